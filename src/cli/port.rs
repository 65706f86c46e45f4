//! `sbx port`: the ports of the host at which servers in running sandboxes are reached.

use super::{args, ending, output, store};
use crate::error::{Error, Result};
use crate::exit;
use crate::state::{Entry, Port, Status};
use serde_json::json;

pub(super) fn main(args: &args::Port) -> Result<u8> {
    let names = args.name.iter().cloned().collect::<Vec<_>>();
    let (entries, mut status) = ending::chosen(&store::store()?, &names, args.all, &[], false)?;
    let wanted = args.port.as_deref().map(wanted).transpose()?;
    let (mut lines, mut rows) = (String::new(), Vec::new());
    for (_, entry) in &entries {
        let ports = match published(entry) {
            Ok(ports) => ports,
            // One that has ended since the list was made.
            Err(_) if args.all => continue,
            Err(error) => return Err(error),
        };
        let is_wanted = |port: &&Port| {
            wanted.as_ref().is_none_or(|(inside, transport)| port.inside == *inside && port.transport == *transport)
        };
        let ports: Vec<_> = ports.iter().filter(is_wanted).collect();
        if let (Some((inside, transport)), true) = (&wanted, ports.is_empty()) {
            output::complain(
                &Error::new(format!("{} has no published port {inside}/{transport}", entry.called()))
                    .hint("`sbx port NAME` lists those that it has"),
            );
            status = exit::FAILED;
        }
        for port in ports {
            let Port { inside, transport, .. } = port;
            let id = if args.all { format!("{}\t", entry.id.short()) } else { String::new() };
            lines += &match wanted {
                Some(_) => format!("{}\n", port.at()),
                None => format!("{id}{inside}/{transport} -> {}\n", port.at()),
            };
            rows.push(json!({
                "Id": entry.id.as_str(), "Name": entry.name, "HostIp": port.address, "HostPort": port.host,
                "ContainerPort": inside, "Protocol": transport,
            }));
        }
    }
    if args.json {
        lines = format!("{:#}\n", json!(rows));
    }
    output::print(&lines).map(|()| status)
}

/// A port inside and its protocol, of `PORT[/PROTOCOL]`.
fn wanted(text: &str) -> Result<(u16, String)> {
    let (number, transport) = text.split_once('/').unwrap_or((text, "tcp"));
    match (number.parse(), transport) {
        (Ok(number @ 1..), "tcp" | "udp") => Ok((number, transport.to_owned())),
        _ => Err(Error::new(format!("{text} is no port inside")).hint("write 80, 80/tcp or 53/udp")),
    }
}

fn published(entry: &Entry) -> Result<Vec<Port>> {
    match entry.status() {
        Status::Running(live) => Ok(live.ports()),
        other => Err(Error::new(format!(
            "{} is {}, and ports are published only while it runs",
            entry.called(),
            other.word()
        ))
        .hint(format!("start it first: sbx start {}", entry.called()))),
    }
}
