//! `sbx network`: networks that several sandboxes share.

use super::args::{NetworkCreate, NetworkInspect, NetworkLs, NetworkRm, NetworkVerb};
use super::network_create::Asked;
use super::template::Template;
use super::{args, elapsed, listed, network_allow, network_connect, output, store};
use crate::error::{Error, Result};
use crate::exit;
use crate::proxy::network::message::{self, Answer, Member, Next, Request};
use crate::spec::Range6;
use crate::state::{Network, Networks, check_network_name};
use crate::sys;
use serde_json::{Value, json};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The exit status if there is no such network, and if a sandbox is in it: podman's.
const MISSING: u8 = 1;
const USED: u8 = 2;

/// The columns of the list.
const COLUMNS: [&str; 5] = ["Name", "Subnet", "Gateway", "Internal", "Sandboxes"];

/// How long the process that holds a network may take to say who is in it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long whoever has given no whole answer is left alone.
const PAUSE: Duration = Duration::from_millis(5);

pub(super) fn main(args: &args::Network) -> Result<u8> {
    if let NetworkVerb::Allow(args) = &args.verb {
        return network_allow::main(args);
    }
    let networks = Networks::new(store::places()?);
    match &args.verb {
        NetworkVerb::Allow(_) => Ok(0),
        NetworkVerb::Connect(args) => network_connect::connect(&networks, args),
        NetworkVerb::Disconnect(args) => network_connect::disconnect(args),
        NetworkVerb::Create(args) => create(&networks, args),
        NetworkVerb::Ls(args) => list(&networks, args),
        NetworkVerb::Inspect(args) => inspect(&networks, args),
        NetworkVerb::Rm(args) => remove(&networks, args),
    }
}

fn create(networks: &Networks, args: &NetworkCreate) -> Result<u8> {
    let asked = Asked::read(args)?;
    let name = &args.name;
    networks.create(name, |others| asked.chosen(name, others))?;
    output::print(&format!("{name}\n")).map(|()| 0)
}

/// Who is in a network; none if nobody answers to the end.
fn members(networks: &Networks, network: &Network) -> Option<Vec<Member>> {
    let end = Instant::now() + PATIENCE;
    // Who ends meanwhile is asked again: then nobody is there, or who asks too many things at once has another turn.
    while Instant::now() < end {
        let Some(connection) = networks.connect(network).ok()? else { return Some(Vec::new()) };
        let request = serde_json::to_vec(&Request::List).unwrap_or_default();
        let (mut goes_on, mut found) = (sys::send_now(connection.as_fd(), &request).is_ok(), Vec::new());
        while goes_on {
            match message::next(connection.as_fd(), end) {
                Next::Answer(Answer::Member(member), _) => found.push(member),
                Next::Answer(Answer::End, _) => return Some(found),
                Next::Ended => goes_on = false,
                Next::Answer(..) | Next::Unknown | Next::Late => return None,
            }
        }
        std::thread::sleep(PAUSE);
    }
    None
}

fn described(networks: &Networks, network: &Network) -> Value {
    let members = members(networks, network);
    let of = |member: &Member| {
        let mut shown = json!({ "address": member.address, "names": member.names, "pid": member.pid });
        if let (Value::Object(shown), Some(address)) = (&mut shown, member.address6) {
            shown.insert("address6".into(), json!(address));
        }
        shown
    };
    let v6 = network.v6.map(|Range6 { subnet, gateway }| json!({ "subnet": subnet, "gateway": gateway }));
    let v4 = json!({ "subnet": network.subnet, "gateway": network.gateway });
    let subnets: Vec<_> = std::iter::once(v4).chain(v6).collect();
    json!({
        "name": network.name,
        "driver": "bridge",
        "created": elapsed::rfc3339(network.created),
        "subnets": subnets,
        "ipv6_enabled": network.v6.is_some(),
        "internal": network.internal,
        "dns_enabled": true,
        "sandboxes": members.map(|members| members.iter().map(of).collect::<Vec<_>>()),
    })
}

fn list(networks: &Networks, args: &NetworkLs) -> Result<u8> {
    let (mut found, mut status) = (Vec::new(), 0);
    for (_, network) in networks.all()? {
        match network {
            Ok(network) => found.push(network),
            Err(error) => status = output::complain(&error),
        }
    }
    let template = args.format.as_deref().filter(|format| *format != "json").map(Template::read).transpose()?;
    if args.quiet {
        let names: String = found.iter().map(|network| format!("{}\n", network.name)).collect();
        output::print(&names)?;
    } else if args.json || args.format.as_deref() == Some("json") {
        let all: Vec<_> = found.iter().map(|network| described(networks, network)).collect();
        output::print(&format!("{:#}\n", json!(all)))?;
    } else if let Some(template) = template {
        for network in &found {
            output::print(&(template.fill(&row(networks, network))? + "\n"))?;
        }
    } else {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let line = |network: &Network| {
            let row = row(networks, network);
            let cells: Vec<_> = COLUMNS.iter().filter_map(|key| row.get(key)).map(text).collect();
            cells.join("\t")
        };
        let heads = COLUMNS.map(str::to_ascii_uppercase).join("\t");
        let lines: Vec<_> = std::iter::once(heads).chain(found.iter().map(line)).collect();
        output::print(&listed::aligned(&lines))?;
    }
    Ok(status)
}

/// What a line of the list, or a template, shows of a network.
fn row(networks: &Networks, network: &Network) -> Value {
    let members = members(networks, network).map_or_else(|| json!("?"), |members| json!(members.len()));
    json!({
        "Name": network.name,
        "Driver": "bridge",
        "Created": elapsed::rfc3339(network.created),
        "Subnet": both(&network.subnet, network.v6.map(|range| range.subnet)),
        "Gateway": both(&network.gateway, network.v6.map(|range| range.gateway)),
        "IPv6Enabled": network.v6.is_some(),
        "Internal": network.internal,
        "Sandboxes": members,
    })
}

/// A text for both families.
fn both(v4: &impl ToString, v6: Option<impl ToString>) -> String {
    let v6 = v6.map_or_else(String::new, |v6| format!(",{}", v6.to_string()));
    v4.to_string() + &v6
}

fn inspect(networks: &Networks, args: &NetworkInspect) -> Result<u8> {
    let (mut found, mut status) = (Vec::new(), 0);
    for name in &args.names {
        match networks.get(name) {
            Ok(network) => found.push(described(networks, &network)),
            Err(error) => {
                output::complain(&error);
                status = exit::FAILED;
            }
        }
    }
    output::print(&format!("{:#}\n", json!(found)))?;
    Ok(status)
}

fn remove(networks: &Networks, args: &NetworkRm) -> Result<u8> {
    let mut status = 0;
    for name in &args.names {
        match one(networks, name) {
            Ok(()) => output::print(&format!("{name}\n"))?,
            Err(error) => {
                output::complain(&error);
                status = error.status;
            }
        }
    }
    Ok(status)
}

fn one(networks: &Networks, name: &str) -> Result<()> {
    let network = match networks.get(name) {
        Ok(network) => network,
        Err(error) => {
            // One whose definition cannot be read is removed all the same: nobody joins it any more.
            let there = networks.all()?.iter().any(|(other, _)| other == name);
            if there {
                return networks.forget(name);
            }
            // A name that no network can have says so itself; to make one is no way to remove it.
            let unknown = || {
                Error::new(format!("there is no network `{name}`")).hint("`sbx network ls` lists those that there are")
            };
            return Err(check_network_name(name).map_or(error, |()| unknown()).status(MISSING));
        }
    };
    let busy = networks.lock(&network)?;
    let members = if busy.is_held()? { members(networks, &network) } else { Some(Vec::new()) };
    match members {
        // One that nobody is in any more ends at this moment, and waits for this lock.
        Some(members) if members.is_empty() => networks.remove(busy),
        members => {
            let who = members.into_iter().flatten().map(|member| match member.names.first() {
                Some(first) => first.clone(),
                None => member.address.to_string(),
            });
            let who: Vec<_> = who.take(8).collect();
            let who = if who.is_empty() { String::new() } else { format!(": {}", who.join(", ")) };
            Err(Error::new(format!("sandboxes are in the network `{name}`, and it is not removed{who}"))
                .hint(format!("end them first; `sbx network inspect {name}` lists them"))
                .status(USED))
        }
    }
}
