//! `sbx network`: networks that several sandboxes share.

use super::args::{NetworkCreate, NetworkInspect, NetworkLs, NetworkRm, NetworkVerb};
use super::template::Template;
use super::{args, elapsed, listed, network_allow, output, store};
use crate::error::{Error, Result};
use crate::exit;
use crate::proxy::network::message::{self, Answer, Member, Next, Request};
use crate::spec::Subnet;
use crate::state::{Network, Networks};
use crate::sys;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The exit status if there is no such network, and if a sandbox is in it: podman's.
const MISSING: u8 = 1;
const USED: u8 = 2;

/// The columns of the list.
const COLUMNS: [&str; 5] = ["Name", "Subnet", "Gateway", "Internal", "Sandboxes"];

/// How long the process that holds a network may take to say who is in it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Addresses that slirp4netns gives to its own end.
const OF_SLIRP4NETNS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 0);

pub(super) fn main(args: &args::Network) -> Result<u8> {
    if let NetworkVerb::Allow(args) = &args.verb {
        return network_allow::main(args);
    }
    let networks = Networks::new(store::places()?);
    match &args.verb {
        NetworkVerb::Allow(_) => Ok(0),
        NetworkVerb::Create(args) => create(&networks, args),
        NetworkVerb::Ls(args) => list(&networks, args),
        NetworkVerb::Inspect(args) => inspect(&networks, args),
        NetworkVerb::Rm(args) => remove(&networks, args),
    }
}

fn create(networks: &Networks, args: &NetworkCreate) -> Result<u8> {
    let wrong = |flag: &str, text: &str, why: String| Error::new(format!("--{flag} {text}: {why}"));
    let subnet = args.subnet.as_ref().map(|text| {
        text.parse::<Subnet>().map_err(|why| wrong("subnet", text, why).hint("write for example --subnet 10.90.0.0/24"))
    });
    let gateway = args.gateway.as_ref().map(|text| {
        text.parse::<Ipv4Addr>().map_err(|_| {
            wrong("gateway", text, "it is no address of IPv4".into()).hint("an address in the subnet, or leave it out")
        })
    });
    let (subnet, gateway) = (subnet.transpose()?, gateway.transpose()?);
    let name = &args.name;
    networks.create(name, |others| {
        let taken = taken(others)?;
        let meets = |subnet: Subnet| taken.iter().find(|(other, _)| other.meets(subnet));
        let subnet = match subnet {
            Some(subnet) => match meets(subnet) {
                None => subnet,
                Some((other, whose)) => {
                    return Err(Error::new(format!("--subnet {subnet} has addresses of {other}, {whose}"))
                        .hint("name another one, or leave it out: then one that is free is found"));
                }
            },
            None => {
                let free = |subnet: &Subnet| meets(*subnet).is_none();
                let mut all = (0..=255).map(|part| Subnet::around(Ipv4Addr::new(10, 89, part, 0), 24));
                all.find(free).ok_or_else(|| {
                    Error::new("none of 10.89.0.0/24 to 10.89.255.0/24 is free").hint("name another one: --subnet CIDR")
                })?
            }
        };
        Network::new(name, subnet, gateway, args.internal)
    })?;
    output::print(&format!("{name}\n")).map(|()| 0)
}

/// Networks whose addresses no new one may have, and whose they are.
fn taken(others: &[Network]) -> Result<Vec<(Subnet, String)>> {
    let host = sys::interface_addresses()
        .map_err(|errno| Error::new(format!("this host's addresses cannot be read: {errno}")))?;
    let host = host.into_iter().filter_map(|(address, prefix)| match address {
        IpAddr::V4(address) => Some((Subnet::around(address, prefix), "which this host is attached to".to_owned())),
        IpAddr::V6(_) => None,
    });
    let others = others.iter().map(|other| (other.subnet, format!("which the network `{}` has", other.name)));
    let slirp = (Subnet::around(OF_SLIRP4NETNS, 24), "which slirp4netns has".to_owned());
    Ok(others.chain(host).chain([slirp]).collect())
}

/// Who is in a network; none if nobody answers.
fn members(networks: &Networks, network: &Network) -> Option<Vec<Member>> {
    let Some(connection) = networks.connect(network).ok()? else { return Some(Vec::new()) };
    let request = serde_json::to_vec(&Request::List).unwrap_or_default();
    // It has ended since.
    if sys::send_now(connection.as_fd(), &request).is_err() {
        return Some(Vec::new());
    }
    let (mut found, end) = (Vec::new(), Instant::now() + PATIENCE);
    loop {
        match message::next(connection.as_fd(), end) {
            Next::Answer(Answer::Member(member), _) => found.push(member),
            Next::Answer(Answer::End, _) => return Some(found),
            Next::Ended => return Some(Vec::new()),
            Next::Answer(..) | Next::Unknown | Next::Late => return None,
        }
    }
}

fn described(networks: &Networks, network: &Network) -> Value {
    let members = members(networks, network);
    let of = |member: &Member| json!({ "address": member.address, "names": member.names, "pid": member.pid });
    json!({
        "name": network.name,
        "driver": "bridge",
        "created": elapsed::rfc3339(network.created),
        "subnets": [{ "subnet": network.subnet, "gateway": network.gateway }],
        "ipv6_enabled": false,
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
        "Subnet": network.subnet,
        "Gateway": network.gateway,
        "Internal": network.internal,
        "Sandboxes": members,
    })
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
            return if there { networks.forget(name) } else { Err(error.status(MISSING)) };
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
