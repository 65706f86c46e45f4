//! The record of a run that can be named (`--name`, `--detach`).

use super::layers::Caller;
use super::{args, familiar, happened, receipt, remove, store};
use crate::error::{Error, Result};
use crate::launch::{CIDFILE, IdFile, Keys, Recorded};
use crate::plan::Plan;
use crate::proxy::network::message::is_name;
use crate::spec::{Sandbox, parse_size};
use crate::state::{self, Begun, Happened, Id, LOG_SIZE, Live, Port, Spec, Store, Text, check_name};
use crate::sys;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Seconds that a program has between the signal that asks it to end and the one that ends it: as with podman and docker.
const STOP_TIMEOUT: u64 = 10;

/// Whether a run has a record.
pub(super) fn is_wanted(args: &args::Kept) -> bool {
    args.detach || args.name.is_some() || args.cidfile.is_some()
}

/// Checks what the flags say, before anything is planned.
pub(super) fn check(args: &args::Kept) -> Result<()> {
    args.name.as_deref().map_or(Ok(()), check_name)?;
    stop_signal(args)?;
    log_size(args)?;
    if let ("journald", [option, ..]) = (log_driver(args), args.log_opt.as_slice()) {
        return Err(Error::new(format!("--log-opt {option}: the journal has limits of its own"))
            .hint("leave it out, and see SystemMaxUse= in journald.conf(5)"));
    }
    restart(args)?;
    args.detach_keys.as_deref().map_or(Ok(()), |keys| Keys::new(keys).map(drop))?;
    labels(args).map(drop)
}

/// Checks what the flags say of a run, before anything is planned.
pub(super) fn check_run(args: &args::Kept) -> Result<()> {
    check(args)?;
    if let (Some(text), false) = (&args.restart, args.detach)
        && restart(args)? != Restart::No
    {
        return Err(Error::new(format!("--restart {text}: a program in the foreground is not started again")).hint(
            "run it in the background, and be in front of it by `sbx attach`: sbx run -d --restart WHEN PROGRAM",
        ));
    }
    Ok(())
}

/// What is to be told of flags that mean nothing for a run without a record.
pub(super) fn without_effect(args: &args::Kept) -> Option<String> {
    if is_wanted(args) {
        return None;
    }
    let given = [
        ("--label", !args.label.is_empty()),
        // No log is kept by the others, either.
        ("--log-driver", args.log_driver.is_some() && ["file", "journald"].contains(&log_driver(args))),
        ("--log-opt", !args.log_opt.is_empty()),
        ("--stop-signal", args.stop_signal.is_some()),
        ("--stop-timeout", args.stop_timeout.is_some()),
    ];
    let given: Vec<_> = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
    (!given.is_empty()).then(|| {
        format!(
            "{} without effect, since this run has no record: name it (--name NAME), or run it in the background (-d)",
            given.join(", ")
        )
    })
}

fn stop_signal(args: &args::Kept) -> Result<i32> {
    let Some(text) = &args.stop_signal else { return Ok(libc::SIGTERM) };
    store::signal(text).map_err(|error| error.hint("--stop-signal takes a name, such as TERM or SIGINT, or a number"))
}

/// What becomes of the program's output in the background.
pub(super) fn log_driver(args: &args::Kept) -> &'static str {
    match args.log_driver.as_deref() {
        Some("none") => "none",
        Some("journald") => "journald",
        Some("passthrough") => "passthrough",
        _ => "file",
    }
}

/// The size of each of the two files of a log: `--log-opt max-size=10m`.
fn log_size(args: &args::Kept) -> Result<u64> {
    let mut size = LOG_SIZE;
    for option in &args.log_opt {
        let wrong =
            || Error::new(format!("--log-opt {option}: sbx does not know it")).hint("write --log-opt max-size=10M");
        let text = option.strip_prefix("max-size=").ok_or_else(wrong)?;
        size = parse_size(&familiar::bytes(text)).ok_or_else(wrong)?;
        if size < LEAST {
            return Err(
                Error::new(format!("--log-opt {option}: a log has at least 64K")).hint("--log-driver none keeps none")
            );
        }
    }
    Ok(size)
}

/// The smallest size of a file of a log, in bytes.
const LEAST: u64 = 64 << 10;

fn labels(args: &args::Kept) -> Result<BTreeMap<String, String>> {
    let label = |text: &String| match text.split_once('=').unwrap_or((text, "")) {
        ("", _) => Err(Error::new(format!("--label {text}: a label needs a name")).hint("write --label NAME=VALUE")),
        (name, value) => Ok((name.to_owned(), value.to_owned())),
    };
    args.label.iter().map(label).collect()
}

/// When a program is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restart {
    No,
    /// After a failure, so often at most; 0 is no limit.
    OnFailure(u32),
    /// Whenever it has ended.
    Always,
}

impl Restart {
    /// Whether a program that has ended so is started again.
    pub(super) fn wants(self, begun: &Begun, restarts: u32) -> bool {
        match self {
            Restart::No => false,
            Restart::Always => true,
            Restart::OnFailure(most) => begun.status != 0 && (most == 0 || restarts < most),
        }
    }
}

/// When the program is started again.
pub(super) fn restart(args: &args::Kept) -> Result<Restart> {
    let Some(text) = &args.restart else { return Ok(Restart::No) };
    let wrong = || {
        Error::new(format!("--restart {text}: sbx does not know it"))
            .hint("no, on-failure, on-failure:N, always or unless-stopped")
    };
    let restart = match text.split_once(':').unwrap_or((text, "")) {
        ("no" | "", "") => Restart::No,
        ("always" | "unless-stopped", "") => Restart::Always,
        ("on-failure", "") => Restart::OnFailure(0),
        ("on-failure", most) => Restart::OnFailure(most.parse().map_err(|_| wrong())?),
        _ => return Err(wrong()),
    };
    if restart != Restart::No && args.rm {
        return Err(Error::new("--rm removes what --restart would start again").hint("leave one of the two out"));
    }
    Ok(restart)
}

/// What a record says of a run.
pub(super) fn spec(args: &args::Run, sandbox: &Sandbox, plan: &Plan) -> Result<Spec> {
    let text = |text: &OsStr| text.to_string_lossy().into_owned();
    let dir = std::env::current_dir().unwrap_or_default();
    let kept = &args.kept;
    let spec = Spec {
        profile: sandbox.name.clone(),
        args: plan.process.args.iter().map(|arg| text(arg)).collect(),
        cwd: plan.process.cwd.first().map(|dir| dir.display().to_string()).unwrap_or_default(),
        hostname: plan.namespaces.hostname.clone().unwrap_or_default(),
        env: plan.process.env.iter().map(|(name, value)| format!("{}={}", text(name), text(value))).collect(),
        labels: labels(kept)?,
        remove: kept.rm,
        detached: kept.detach,
        log_driver: log_driver(kept).to_owned(),
        log_size: log_size(kept)?,
        words: args.words.iter().map(|word| Text::from(word.as_os_str())).collect(),
        dir: Text::from(dir.as_os_str()),
        restart: kept.restart.clone().unwrap_or_else(|| "no".to_owned()),
        stop_signal: stop_signal(kept)?,
        stop_timeout: kept.stop_timeout.unwrap_or(STOP_TIMEOUT),
        detach_keys: kept.detach_keys.clone(),
        ..Spec::default()
    };
    // Before another one goes for its name.
    spec.encode()?;
    Ok(spec)
}

/// Refuses ports that the record of a running sandbox has no room for.
pub(super) fn check_ports(plan: &Plan) -> Result<()> {
    // One of any number follows none.
    let host = |host: u16| if host == 0 { u16::MAX } else { host };
    let ports = plan.ports.iter().map(|planned| Port { host: host(planned.port.host), ..Port::from(&planned.port) });
    if Live::has_room_for(ports) {
        return Ok(());
    }
    Err(Error::new(format!("{} published ports are too many for the record of a sandbox", plan.ports.len()))
        .hint("publish them as ranges, which take the room of one port (-p 8000-8199:8000-8199), or fewer of them"))
}

/// Where the id of a new record is written, if somewhere.
pub(super) fn id_file(args: &args::Kept, caller: &Caller) -> Result<Option<IdFile>> {
    let Some(given) = &args.cidfile else { return Ok(None) };
    receipt::target(CIDFILE, given, caller).and_then(IdFile::new).map(Some)
}

/// Makes the record of a run, with this id if one was given.
pub(super) fn begin(
    args: &args::Run,
    sandbox: &Sandbox,
    plan: &Plan,
    outputs: Option<[OwnedFd; 2]>,
    id: Option<Id>,
) -> Result<Recorded> {
    let spec = spec(args, sandbox, plan)?;
    let store = store::store()?;
    // Before another one goes for it.
    if spec.log_driver == "journald" {
        state::journal_is_there()?;
    }
    replace(&args.kept, &store)?;
    let held = store.begin(spec, args.kept.name.as_deref(), id)?;
    if let Ok(entry) = store.find(held.id().as_str()) {
        happened::tell(&entry, &Happened::Create);
    }
    Ok(Recorded::new(held, outputs))
}

/// Has a network that the sandbox shares know it by the name of its record.
pub(super) fn known_as(plan: &mut Plan, record: Option<&Recorded>) -> Result<()> {
    let (Some(named), Some(record)) = (&mut plan.namespaces.named, record) else { return Ok(()) };
    let entry = store::store()?.find(record.id().as_str())?;
    // One with a dot at its end, or two in a row, is no name of a machine.
    let name = entry.name.filter(|name| is_name(name) && !named.names.contains(name));
    named.names.splice(..0, name);
    Ok(())
}

/// Removes the sandbox that has the name, if the flags say so.
pub(super) fn replace(args: &args::Kept, store: &Store) -> Result<()> {
    match &args.name {
        Some(name) if args.replace => match store.find(name) {
            Ok(old) if old.name.as_deref() == Some(name) => remove::one(store, &old, true, None),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Ends and removes a new sandbox whose id could not be printed, so that whoever tries again finds its name free. Gives the error to print.
pub(super) fn take_back(id: &str, args: &args::Kept, unprinted: &Error) -> Error {
    let removed = store::store().and_then(|store| match store.find(id) {
        Ok(entry) => remove::one(&store, &entry, true, Some(0)),
        // It has ended, and has gone by itself.
        Err(_) => Ok(()),
    });
    let why = format!("the id of the new sandbox cannot be printed: {}", unprinted.message);
    match removed {
        Ok(()) => {
            if let Some(path) = args.cidfile.as_ref().filter(|given| receipt::descriptor(given).is_none())
                && sys::read_start(Path::new(path), id.len() + 1).is_ok_and(|text| text == id.as_bytes())
            {
                let _ = std::fs::remove_file(path);
            }
            Error::new(why)
                .hint("it was ended and removed: make room there, or send the output elsewhere, and run it again")
        }
        Err(error) => Error::new(format!("{why}; and it is still there: {}", error.message))
            .hint(format!("end and remove it: sbx rm -f {id}")),
    }
}

/// Ends a run with its record: that of a program that was never started is removed unless there was one before, and that of one that is not to stay.
pub(super) fn end(mut record: Recorded, remove: bool, existing: bool) -> Result<()> {
    record.drain();
    record.finish();
    if remove || !(existing || record.has_started()) {
        let store = store::store()?;
        let entry = store.find(record.id().as_str());
        store.forget(record.id())?;
        if let Ok(entry) = entry {
            happened::tell(&entry, &Happened::Remove);
        }
    }
    Ok(())
}
