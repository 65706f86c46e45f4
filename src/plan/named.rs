//! Plans a network that several sandboxes share: a process that lives while one of them does holds a user namespace, in which the network
//! namespaces of all of them are, and a bridge that they are attached to. The outside is reached from there.

use super::helpers::HelperSpec;
use super::lines::{Lines, from};
use crate::error::{Error, Result};
use crate::host::{Facts, NamedFacts};
use crate::netfilter::{PacketRule, PacketTarget, Peers};
use crate::spec::{Addresses, HelperDeath, Network, Origin, Range6, Sandbox, Service, Subnet, Subnets};
use crate::state::{self, Places};
use crate::sys::Errno;
use serde::Serialize;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The network that several sandboxes share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedNetworkPlan {
    /// Its name.
    pub name: String,
    /// Its addresses, of which the sandbox gets one when it is started.
    pub subnet: Subnet,
    /// The address by which the outside is reached.
    pub gateway: Ipv4Addr,
    /// The same of IPv6, if it has some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub v6: Option<Range6>,
    /// The address of IPv6 that the sandbox has; none stands for one that is free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip6: Option<Ipv6Addr>,
    /// Whether the outside is not reached at all.
    pub internal: bool,
    /// Names by which others in it find this sandbox, beside that of the sandbox.
    pub names: Vec<String>,
    /// The caller's user and group id in the user namespace that the network belongs to.
    pub ids: (u32, u32),
    /// The program that carries packets to the outside, for all sandboxes in the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub helper: Option<HelperSpec>,
    /// Whether the sandbox is ended if the network ends before it.
    pub ends: bool,
    /// What was asked for of the network.
    #[serde(skip)]
    pub network: state::Network,
    /// Where the network's records are.
    #[serde(skip)]
    pub places: Places,
    /// The line that names it.
    pub origin: Origin,
}

/// What is known of the network, if the sandbox shares one.
///
/// # Errors
///
/// There is no such network, or the kernel cannot make it.
pub(super) fn facts<'a>(sandbox: &Sandbox, facts: &'a Facts) -> Result<Option<&'a NamedFacts>> {
    let Network::Named(_) = sandbox.network else { return Ok(None) };
    let origin = sandbox.origins.of("network.mode", "");
    let network = facts.network.as_ref();
    let found = match network.and_then(|network| network.named.as_ref()) {
        Some(found) => found.as_ref().map_err(|error| error.clone().origin(&origin))?,
        None => return Err(Error::new("nobody looked for the network").origin(&origin)),
    };
    let without_v6 = network.is_some_and(|network| network.without_v6);
    match network.and_then(|network| network.bridge) {
        None if without_v6 && found.network.v6.is_some() => Err(Error::new(format!(
            "the network `{}` has addresses of IPv6, and this kernel has no IPv6",
            found.network.name
        ))
        .origin(&origin)
        .hint("start the kernel without ipv6.disable=1; or remove the network, and make it without --ipv6")),
        None => Ok(Some(found)),
        Some(errno) => Err(Error::new(format!(
            "network.mode = \"net:{}\" needs a bridge, and interfaces attached to it, which this kernel does not make: {errno}",
            found.network.name
        ))
        .origin(&origin)
        .hint(match errno.0 {
            libc::EOPNOTSUPP => "as root: modprobe -a bridge veth; where these are no modules, a kernel with CONFIG_BRIDGE and CONFIG_VETH",
            _ => "--net private gives the sandbox a network that it shares with nobody",
        })),
    }
}

/// Plans the network, but for what reaches the outside.
///
/// # Errors
///
/// As [`facts`].
pub(super) fn plan(sandbox: &Sandbox, all: &Facts) -> Result<Option<NamedNetworkPlan>> {
    let Some(NamedFacts { network, places }) = facts(sandbox, all)? else { return Ok(None) };
    if let (true, Some(rule)) = (network.internal, sandbox.network_rules.allow.iter().flatten().next()) {
        return Err(Error::new(format!(
            "network.allow has {rule}, and from the network `{}`, which is internal, nothing but other sandboxes in it is reached",
            network.name
        ))
        .origin(&rule.origin)
        .hint("leave it out, or make the network without --internal"));
    }
    Ok(Some(NamedNetworkPlan {
        name: network.name.clone(),
        subnet: network.subnet,
        gateway: network.gateway,
        v6: network.v6,
        ip6: ip6(sandbox, network)?,
        internal: network.internal,
        names: sandbox.named_network.aliases.iter().map(|(name, _)| name.clone()).collect(),
        ids: (all.uid, all.gid),
        helper: None,
        ends: sandbox.network.own().is_some_and(|network| network.on_helper_death == HelperDeath::End),
        network: network.clone(),
        places: places.clone(),
        origin: sandbox.origins.of("network.mode", ""),
    }))
}

/// The address of IPv6 that is asked for, which has to be a machine's of the network. Whether another sandbox has it is seen when it is started.
fn ip6(sandbox: &Sandbox, network: &state::Network) -> Result<Option<Ipv6Addr>> {
    let Some((address, origin)) = &sandbox.named_network.ip6 else { return Ok(None) };
    let name = &network.name;
    let (why, fix) = match network.v6 {
        None => (
            format!("the network `{name}` has no addresses of IPv6"),
            "leave network.ip6 out; or remove the network, and make it with --ipv6".to_owned(),
        ),
        Some(Range6 { gateway, .. }) if gateway == *address => (
            format!("it is that by which the outside is reached from the network `{name}`"),
            "name another one, or leave network.ip6 out".to_owned(),
        ),
        Some(range) if !range.given().has_machine(*address) => (
            format!("it is no machine's address of {}, which sandboxes in the network `{name}` have", range.given()),
            "name one of these, or leave network.ip6 out".to_owned(),
        ),
        Some(_) => return Ok(Some(*address)),
    };
    Err(Error::new(format!("the sandbox cannot have the address {address}: {why}")).origin(origin).hint(fix))
}

/// What is let in of other sandboxes' in the network: all but what rules for the network's addresses deny.
pub(super) fn peers(subnet: Subnets, denied: Vec<PacketRule>) -> Peers {
    let all = subnet.addresses();
    let whole = |rule: &PacketRule| match &rule.to {
        PacketTarget::Addresses(addresses) => addresses.covers(&all) && rule.service == Service::default(),
        _ => false,
    };
    let let_in = !denied.iter().any(whole);
    Peers { subnet, let_in, denied: if let_in { denied } else { Vec::new() } }
}

/// What of a rule is for addresses of the network; none if nothing is.
pub(super) fn narrowed(to: PacketTarget, subnet: Subnets) -> Option<PacketTarget> {
    match to {
        PacketTarget::Addresses(all) => {
            let here = all.within(&subnet.addresses());
            (here != Addresses::default()).then_some(PacketTarget::Addresses(here))
        }
        PacketTarget::Host => Some(to),
        // Its addresses are private ones, which the same line of a profile names.
        PacketTarget::Attached | PacketTarget::Names(_) => None,
    }
}

/// The error for a network that the kernel does not make.
pub fn unmade(name: &str, what: &str, errno: Errno) -> Error {
    Error::new(format!("the network `{name}` cannot be {what}: {errno}"))
}

impl NamedNetworkPlan {
    pub(super) fn render(&self, lines: &mut Lines) {
        let outside = match (&self.helper, self.internal) {
            (_, true) => "which is internal".to_owned(),
            (Some(helper), _) => format!("from which the outside is reached through {}", helper.program),
            (None, false) => "from which nothing outside is reached, since the host has no network".to_owned(),
        };
        let v6 = self.v6.map_or_else(String::new, |v6| format!(", {} at {}", v6.subnet, v6.gateway));
        lines.add(
            "network",
            format!("net:{}, {} at {}{v6}, {outside}{}", self.name, self.subnet, self.gateway, from(&self.origin)),
        );
        let names =
            if self.names.is_empty() { "that of the sandbox, if it has one".to_owned() } else { self.names.join(" ") };
        if let Some(address) = self.ip6 {
            lines.add("", format!("its address of IPv6 is {address}"));
        }
        lines.add("", format!("other sandboxes in it reach this one by its address, and by these names: {names}"));
    }
}
