//! `sbx network connect` and `sbx network disconnect`: the networks that a running sandbox is in besides that which it was started in.

use super::args::{NetworkConnect, NetworkDisconnect};
use super::{asked, layers, output, store};
use crate::error::{Error, Result};
use crate::proxy::network::message::{MOST_NAMES, is_name};
use crate::spec::{NamedNetwork, Network, PrivateNetwork, Sandbox};
use crate::state::{Entry, Networks, Request};
use crate::{host, launch, plan};
use std::os::fd::AsFd;

pub(super) fn connect(networks: &Networks, args: &NetworkConnect) -> Result<u8> {
    const WHAT: &str = "can be connected to a further network";
    // What is asked for is refused before anything is started for it.
    networks.get(&args.network)?;
    let entry = store::find(&args.name)?;
    let names = names(&entry, &args.alias)?;
    let monitor = asked::monitor(&entry, WHAT)?;
    asked::ask(&entry, &monitor, &Request::Networks { besides: Some(args.network.clone()) }, WHAT)?;
    let named = planned(&args.network, names)?;
    let place = launch::take_place(&named)?;
    let silent = |silence| asked::silent(&entry, silence, WHAT);
    for (number, socket) in place.sockets.iter().enumerate() {
        monitor.pass(&Request::Stream { number }, socket.as_fd()).map_err(silent)?;
    }
    let (network, id) = (args.network.clone(), named.network.id().to_owned());
    let request = Request::Connect { network, id, address: place.address };
    let answer = asked::ask(&entry, &monitor, &request, WHAT)?;
    for joined in answer.rules.map(|said| said.networks).unwrap_or_default() {
        let unnamed = if joined.named { "" } else { "; names there are not told, since network.dns is \"none\"" };
        output::show(&format!(
            "{} is in the network {} as {} until this run ends, by {}{unnamed}\n",
            entry.called(),
            joined.name,
            joined.address,
            joined.interface
        ))?;
    }
    Ok(0)
}

pub(super) fn disconnect(args: &NetworkDisconnect) -> Result<u8> {
    const WHAT: &str = "is disconnected from a network";
    let entry = store::find(&args.name)?;
    let monitor = asked::monitor(&entry, WHAT)?;
    asked::ask(&entry, &monitor, &Request::Disconnect { network: args.network.clone() }, WHAT).map(|_| 0)
}

/// The names by which others in the network find a sandbox: its own, if a machine can have it, and these.
fn names(entry: &Entry, aliases: &[String]) -> Result<Vec<String>> {
    if let Some(wrong) = aliases.iter().find(|alias| !is_name(alias)) {
        let shown: String = wrong.chars().take(80).flat_map(char::escape_debug).collect();
        return Err(Error::new(format!("--alias `{shown}` cannot be the name of a machine"))
            .hint("write letters, digits, `-` and `_`, as of a machine's name: --alias db"));
    }
    let mut names: Vec<String> = entry.name.iter().filter(|name| is_name(name)).cloned().collect();
    for alias in aliases {
        if !names.contains(alias) {
            names.push(alias.clone());
        }
    }
    if names.len() > MOST_NAMES {
        return Err(Error::new(format!("a sandbox has no more than {MOST_NAMES} names in a network"))
            .hint("leave some --alias out"));
    }
    Ok(names)
}

/// Plans the network as it is made if nobody is in it.
fn planned(name: &str, names: Vec<String>) -> Result<plan::NamedNetworkPlan> {
    let sandbox = Sandbox {
        network: Network::Named(PrivateNetwork::default()),
        named_network: NamedNetwork { name: name.to_owned(), aliases: Vec::new(), ip6: None },
        ..Sandbox::default()
    };
    let caller = layers::Caller::read()?;
    let facts = host::probe(&sandbox, caller.env.clone(), caller.cwd.clone(), caller.accounts.clone());
    let named = plan::shared_network(&sandbox, &facts)?;
    let named = named.ok_or_else(|| Error::new(format!("there is no network `{name}`")))?;
    Ok(plan::NamedNetworkPlan { names, ..named })
}
