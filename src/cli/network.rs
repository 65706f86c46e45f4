//! `sbx network`: networks that several sandboxes share.

use super::args::{NetworkCreate, NetworkInspect, NetworkLs, NetworkRm, NetworkVerb};
use super::template::Template;
use super::{args, elapsed, output, store};
use crate::error::{Error, Result};
use crate::exit;
use crate::proxy::network::message::{Answer, LONGEST, Member, Request};
use crate::spec::Subnet;
use crate::state::{Network, Networks};
use crate::sys::{self, Errno, Poll};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

/// The exit status if there is no such network, and if a sandbox is in it: podman's.
const MISSING: u8 = 1;
const USED: u8 = 2;

/// How long the process that holds a network may take to say who is in it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Addresses that slirp4netns gives to its own end.
const OF_SLIRP4NETNS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 0);

pub(super) fn main(args: &args::Network) -> Result<u8> {
    let networks = Networks::new(store::places()?);
    match &args.verb {
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
    let (mut found, mut buffer, end) = (Vec::new(), vec![0; LONGEST], Instant::now() + PATIENCE);
    loop {
        match sys::receive(connection.as_fd(), &mut buffer) {
            Ok((length @ 1.., _)) => match serde_json::from_slice(buffer.get(..length).unwrap_or_default()).ok()? {
                Answer::Member(member) => found.push(member),
                Answer::End => return Some(found),
                _ => return None,
            },
            Err(Errno(libc::EAGAIN)) => {}
            _ => return Some(Vec::new()),
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        let mut set = [Poll::read(connection.as_raw_fd())];
        let _ = sys::poll(&mut set, Some(i32::try_from(left.as_millis()).unwrap_or(i32::MAX)));
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
        let heads = ["NAME", "SUBNET", "GATEWAY", "INTERNAL", "SANDBOXES"];
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let keys = ["Name", "Subnet", "Gateway", "Internal", "Sandboxes"];
        let rows: Vec<Vec<String>> = found
            .iter()
            .map(|network| {
                let row = row(networks, network);
                keys.iter().filter_map(|key| row.get(key)).map(text).collect()
            })
            .collect();
        let heads = heads.map(str::to_owned).to_vec();
        let all: Vec<_> = std::iter::once(heads).chain(rows).collect();
        output::print(&table(&all))?;
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

/// Rows as lines whose columns stand one below the other.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
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
