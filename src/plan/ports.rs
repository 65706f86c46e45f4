//! Plans which process carries what passes at a port: the network's helper, or a relay of sbx's own.
//!
//! At loopback it is the relay, whichever helper there is: helpers show different source addresses, lose replies of UDP, and do not reach a
//! server that listens at the sandbox's loopback alone. At other addresses it is the helper, which keeps the source address.

use super::helpers::{
    Argument, Confinement, Given, HelperProgram, HelperSpec, HelperWords, Loss, Phase, Readiness, Tells,
};
use crate::error::{Error, Result};
use crate::host::NetworkFacts;
use crate::proxy::RELAY;
use crate::spec::{HelperDeath, Network, Origin, Published, Sandbox, Transport};
use crate::sys::Errno;
use serde::Serialize;

/// The process that carries what passes at a published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// pasta, which keeps the source address.
    Pasta,
    /// slirp4netns, which does so, too.
    Slirp4netns,
    /// The relay, which shows that of loopback.
    Relay,
}

/// A published port, and the process that carries what passes there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortPlan {
    /// The port.
    #[serde(flatten)]
    pub port: Published,
    /// Who carries.
    pub carrier: Carrier,
}

/// Plans published ports. `slirp` says that slirp4netns is the helper, which publishes no IPv6.
///
/// # Errors
///
/// A port is taken, or nobody could carry it.
pub(super) fn plan(sandbox: &Sandbox, network: &NetworkFacts, slirp: bool) -> Result<Vec<PortPlan>> {
    let plan = |port: &Published| {
        if let Some(errno) = network.unpublished.get(&port.to_string()) {
            return Err(untaken(port, *errno));
        }
        let shared = matches!(sandbox.network, Network::Named(_));
        let relayed = shared || port.address.is_loopback() || (slirp && port.address.is_ipv6());
        if shared && port.transport == Transport::Udp && port.address.is_unspecified() {
            return Err(Error::new(format!(
                "{port} cannot be published: in a network of several sandboxes a relay carries what comes, and answers from one address"
            ))
            .origin(&port.origin)
            .hint(format!("name one address of this host in place of {}", port.address)));
        }
        if relayed && port.transport == Transport::Udp && port.address.is_unspecified() {
            return Err(Error::new(format!("{port} cannot be published: slirp4netns publishes no UDP of IPv6"))
                .origin(&port.origin)
                .hint("name one address of this host in place of [::], or install pasta (passt)"));
        }
        let carrier = match (relayed, slirp) {
            (true, _) => Carrier::Relay,
            (false, true) => Carrier::Slirp4netns,
            (false, false) => Carrier::Pasta,
        };
        Ok(PortPlan { port: port.clone(), carrier })
    };
    sandbox.published.iter().map(plan).collect()
}

/// The error for a port of the host that cannot be listened at.
pub fn untaken(port: &Published, errno: Errno) -> Error {
    let error = Error::new(format!("{port} cannot be published: listening at port {} of the host: {errno}", port.host));
    error.origin(&port.origin).hint(match errno.0 {
        libc::EADDRINUSE => {
            "another program listens there (`ss -lntup` shows which): name another port of the host, or 0 for any free one"
        }
        libc::EACCES => {
            "low ports are root's: name one from 1024 on, or as root: sysctl -w net.ipv4.ip_unprivileged_port_start=80"
        }
        libc::EADDRNOTAVAIL => "this host does not have that address (`ip addr` shows those that it has)",
        _ => "name another address or port of the host",
    })
}

/// The relays: one in the sandbox's network, for published ports, and one in the host's, for forwarded ones.
pub(super) fn relays(sandbox: &Sandbox, ports: &[PortPlan]) -> Vec<HelperSpec> {
    let mut relays = Vec::new();
    let relayed: Vec<_> = ports.iter().enumerate().filter(|(_, port)| port.carrier == Carrier::Relay).collect();
    if let Some((_, first)) = relayed.first() {
        let mut descriptors = vec![(-1, Given::UserNamespace), (-1, Given::NetworkNamespace)];
        let mut args = vec![Argument::Pipe(""), Argument::Given(0), Argument::Given(1)];
        for (index, PortPlan { port, .. }) in &relayed {
            args.extend(target(descriptors.len(), port.transport, port.inside));
            descriptors.push((-1, Given::Port(*index)));
        }
        let to = relayed.iter().map(|(_, port)| port.port.to_string()).collect();
        let lost = "ports that are published at loopback are not reached any more";
        relays.push(spec(sandbox, "publish", "network.publish", to, lost, descriptors, args, &first.port.origin));
    }
    if let Some(first) = sandbox.forwarded.first() {
        let mut descriptors = Vec::new();
        let mut args = vec![Argument::Pipe(""), Argument::Text(String::new()), Argument::Text(String::new())];
        for (index, port) in sandbox.forwarded.iter().enumerate() {
            for v6 in [false, true] {
                args.extend(target(descriptors.len(), port.transport, port.host));
                descriptors.push((-1, Given::Forwarded(index, v6)));
            }
        }
        let to = sandbox.forwarded.iter().map(ToString::to_string).collect();
        let lost = "ports of the host's loopback are not reached any more";
        relays.push(spec(sandbox, "forward", "network.forward", to, lost, descriptors, args, &first.origin));
    }
    relays
}

/// The words of the relay's command line for a socket: its descriptor, by the index among those it gets, and where what comes there
/// goes.
fn target(index: usize, transport: Transport, port: u16) -> [Argument; 3] {
    [Argument::Given(index), Argument::Text(transport.to_string()), Argument::Text(port.to_string())]
}

#[expect(clippy::too_many_arguments, reason = "two relays differ in these")]
fn spec(
    sandbox: &Sandbox,
    provides: &'static str,
    setting: &'static str,
    to: Vec<String>,
    lost: &'static str,
    descriptors: Vec<(i32, Given)>,
    args: Vec<Argument>,
    origin: &Origin,
) -> HelperSpec {
    let ends = sandbox.network.own().is_some_and(|network| network.on_helper_death == HelperDeath::End);
    HelperSpec {
        name: RELAY,
        provides,
        setting,
        program: HelperProgram::Own(RELAY),
        target: to.join(", "),
        args,
        descriptors,
        rules: Vec::new(),
        phase: Phase::Namespaces,
        readiness: Readiness::Byte,
        tells: Tells::Nothing,
        confinement: Confinement::Own,
        loss: match ends {
            true => Loss::End("network.on_helper_death is \"end\", so the sandbox was ended"),
            false => Loss::Note(lost),
        },
        words: HelperWords {
            ready: "it listened at the ports".into(),
            needs: "the kernel must let it enter the sandbox's network and load a seccomp filter",
            without: "leave network.publish and network.forward out",
        },
        origin: origin.clone(),
    }
}
