//! `sbx inspect`: all that is known of sandboxes, with podman's names for it.

use super::template::Template;
use super::{args, elapsed, listed, output, store};
use crate::error::Result;
use crate::exit;
use crate::state::{Cause, Entry, InNetwork, Live, Request, Status};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn main(args: &args::Inspect) -> Result<u8> {
    let names = args.latest.or(&args.names)?;
    let store = store::store()?;
    let template = args.format.as_deref().filter(|format| *format != "json").map(Template::read).transpose()?;
    let (entries, status) = store::named(&store, &names, false, exit::FAILED);
    entries.iter().for_each(|(_, entry)| store::note(entry));
    let all: Vec<_> = entries.iter().map(|(_, entry)| inspected(entry)).collect();
    match template {
        Some(template) => {
            for value in &all {
                output::show(&(template.fill(value)? + "\n"))?;
            }
        }
        None => output::show(&format!("{:#}\n", json!(all)))?,
    }
    Ok(status)
}

/// The time of something that has not happened, as Go has it.
const NEVER: &str = "0001-01-01T00:00:00Z";

fn inspected(entry: &Entry) -> Value {
    let (spec, status) = (&entry.spec, entry.status());
    let time = |time: Option<u64>| time.map_or_else(|| NEVER.to_owned(), elapsed::rfc3339);
    let begun = match &status {
        Status::Exited(begun) | Status::Lost { begun, .. } => Some(begun),
        _ => None,
    };
    let live = if let Status::Running(live) = &status { Some(live) } else { None };
    let error = match &status {
        Status::Exited(begun) => begun.error.clone(),
        Status::Lost { rebooted: true, .. } => "the machine was started anew while the program ran".to_owned(),
        Status::Lost { .. } => "the sandbox's monitor was killed, and the program with it".to_owned(),
        Status::Broken => "the record cannot be read".to_owned(),
        _ => entry.damage().map_or_else(String::new, |why| format!("the record is damaged: {why}")),
    };
    // That of one whose monitor was killed is not known.
    let restarts = match &status {
        Status::Created => Some(0),
        Status::Running(live) => Some(live.restarts),
        Status::Exited(begun) => Some(begun.restarts),
        Status::Lost { .. } | Status::Broken => None,
    };
    let (policy, most) = spec.restart.split_once(':').unwrap_or((&spec.restart, ""));
    json!({
        "Id": entry.id.as_str(),
        "Created": elapsed::rfc3339(spec.created),
        "Path": spec.args.first().cloned().unwrap_or_default(),
        "Args": spec.args.get(1..).unwrap_or_default(),
        "State": {
            "Status": status.word(),
            "Running": live.is_some_and(|live| live.started.is_some() && !live.paused),
            "Paused": live.is_some_and(|live| live.paused),
            "Restarting": live.is_some_and(|live| live.restarting),
            "OOMKilled": begun.is_some_and(|begun| begun.cause == Cause::Oom),
            "Dead": false,
            "Pid": listed::pid(&status),
            "MonitorPid": live.map_or(0, |live| live.monitor),
            "ConmonPid": live.map_or(0, |live| live.monitor),
            "StoppedByUser": begun.is_some_and(|begun| begun.stopped),
            "ExitCode": status.exit_status().unwrap_or(0),
            "Cause": begun.map(|begun| begun.cause),
            "Error": error,
            "StartedAt": time(live.map_or_else(|| begun.map(|begun| begun.started), |live| live.started)),
            "FinishedAt": time(status.finished()),
        },
        "Name": entry.name.clone().unwrap_or_default(),
        "Profile": spec.profile,
        "Image": spec.profile,
        "Config": {
            "Hostname": spec.hostname,
            "Env": spec.env,
            "Cmd": spec.args,
            "WorkingDir": spec.cwd,
            "Labels": spec.labels,
            "StopSignal": spec.stop_signal,
            "StopTimeout": spec.stop_timeout,
        },
        "RestartCount": restarts,
        "HostConfig": {
            "AutoRemove": spec.remove,
            "LogConfig": { "Type": spec.log_driver, "Size": spec.log_size },
            "RestartPolicy": { "Name": policy, "MaximumRetryCount": most.parse().unwrap_or(0) },
        },
        "NetworkSettings": {
            "Networks": live.filter(|live| live.started.is_some()).map_or_else(|| json!({}), |_| networks(entry)),
            "Ports": live.map(Live::ports).unwrap_or_default(),
            "Rules": live.filter(|live| live.started.is_some()).and_then(|_| rules(entry)),
        },
    })
}

/// The networks of `sbx network` that it is in, as its monitor says: by their names, as podman has them.
fn networks(entry: &Entry) -> Value {
    let asked = entry.monitor().ok().and_then(|monitor| monitor.ask(&Request::Networks { besides: None }).ok()?.ok());
    let of = |network: &InNetwork| {
        json!({
            "NetworkID": network.id,
            "IPAddress": network.address,
            "IPPrefixLen": network.prefix,
            "Gateway": if network.started { network.gateway.as_str() } else { "" },
            "Interface": network.interface,
        })
    };
    let all = asked.and_then(|answer| answer.rules).map(|said| said.networks).unwrap_or_default();
    json!(all.iter().map(|network| (network.name.as_str(), of(network))).collect::<BTreeMap<_, _>>())
}

/// By which lines it is decided what the program reaches, as its monitor says; none if nothing is, or nobody says it.
fn rules(entry: &Entry) -> Option<Value> {
    /// More lines than any monitor has.
    const MOST: usize = 8192;
    let monitor = entry.monitor().ok()?;
    let [mut deny, mut allow] = [Vec::new(), Vec::new()];
    while deny.len() + allow.len() < MOST {
        let request = Request::Rules { from: deny.len() + allow.len() };
        let more = monitor.ask(&request).ok()?.ok()?.rules?;
        if more.deny.is_empty() && more.allow.is_empty() {
            return Some(json!({ "Allow": allow, "Deny": deny }));
        }
        deny.extend(more.deny);
        allow.extend(more.allow);
    }
    None
}
