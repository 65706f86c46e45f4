//! Plans what becomes of names that rules on a private network have: a forwarder of sbx's own answers the sandbox's questions for names,
//! and has the packet filter let through what it tells.
//!
//! What a name's addresses are is known only when it is asked for. So the rules for names are rules for sets of addresses, one for each
//! service, that are empty at the start.

use super::helpers::{
    Argument, Confinement, Given, HelperProgram, HelperSpec, HelperWords, Loss, Phase, Readiness, Tells,
};
use super::named;
use crate::error::{Error, Result};
use crate::host::{Facts, name_servers};
use crate::proxy::NAMES;
use crate::spec::{
    AddressClass, Destination, HelperDeath, NamePattern, NameServers, Network, NetworkRule, Sandbox, Service, Transport,
};
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr};

/// Where the forwarder is asked: an address of the sandbox's loopback that no server of a program is likely to have.
pub const FORWARDER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);

/// The most lines with names.
const MOST: usize = 4096;

/// The most services that names are allowed for: each has sets of its own.
const MOST_SERVICES: usize = 64;

/// What programs ask name servers other than the forwarder at: domain, and by TLS or QUIC.
pub(super) const ASKED_AT: [u16; 2] = [53, 853];

/// What is decided by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamePlan {
    /// Names that are allowed, by service. The index of a service is that of its sets in the packet filter.
    pub lists: Vec<NameList>,
    /// Names that are refused, whatever is allowed.
    pub denied: Vec<NamePattern>,
    /// Whether other names are answered: what is reached is not told by names alone.
    pub others: bool,
    /// The name servers that are asked, from the host's network.
    pub servers: Vec<IpAddr>,
    /// Whether the process that holds the network, which knows the names of sandboxes in it, is asked first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}

impl NamePlan {
    /// Whether the profile's rules have names, rather than that those of sandboxes in a network are told alone.
    pub fn has_names(&self) -> bool {
        !self.lists.is_empty() || !self.denied.is_empty()
    }
}

/// Names that a service is reached at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NameList {
    /// The service.
    pub service: Service,
    /// The names.
    pub names: Vec<NamePattern>,
}

/// Whether questions for names are answered by a forwarder of sbx's own.
pub(super) fn forwards(sandbox: &Sandbox) -> bool {
    let shared = matches!(sandbox.network, Network::Named(_));
    sandbox.network.own().is_some()
        && sandbox.name_servers != NameServers::None
        && (shared || sandbox.network_rules.have_names())
}

/// Plans what is decided by name; none if nothing is.
///
/// # Errors
///
/// A line has no effect, or cannot be carried out.
pub(super) fn plan(sandbox: &Sandbox, facts: &Facts) -> Result<Option<NamePlan>> {
    let rules = &sandbox.network_rules;
    let shared = named::facts(sandbox, facts)?.map(|shared| &shared.network);
    if !rules.have_names() && shared.is_none() {
        return Ok(None);
    }
    let internal = shared.is_some_and(|shared| shared.internal);
    let servers = if internal { Vec::new() } else { servers(sandbox, facts) };
    let named = |rule: &NetworkRule| match &rule.to {
        Destination::Name(name) => Some(name.clone()),
        _ => None,
    };
    let allow = rules.allow.as_deref().unwrap_or_default();
    let mut plan = NamePlan {
        lists: Vec::new(),
        denied: Vec::new(),
        others: !internal && !rules.ask,
        servers,
        shared: shared.is_some(),
    };
    for rule in allow {
        let Some(name) = named(rule) else { continue };
        if sandbox.name_servers == NameServers::None {
            return Err(Error::new(format!(
                "network.allow has {rule}, and network.dns is \"none\", so that nobody tells its addresses"
            ))
            .origin(&rule.origin)
            .hint("leave network.dns out, or name addresses in place of it"));
        }
        plan.others = false;
        plan.allow(rule, name)?;
    }
    for rule in &rules.deny {
        let Some(name) = named(rule) else { continue };
        if rule.service != Service::default() {
            return Err(Error::new(format!(
                "network.deny has {rule}: a name is refused as a whole, when it is asked for"
            ))
            .origin(&rule.origin)
            .hint(format!("write `{name}`, or the addresses that are to be refused")));
        }
        plan.denied.push(name);
    }
    plan.bounded()?;
    // Of names in classes of addresses the user is asked, too.
    plan.others |= !rules.ask && allow.iter().any(is_for_all_names);
    Ok(forwards(sandbox).then_some(plan))
}

/// Whether a line has all names answered: whoever reaches all of a class is not told where to by names.
pub(super) fn is_for_all_names(rule: &NetworkRule) -> bool {
    matches!(rule.to, Destination::Any | Destination::Class(AddressClass::Internet | AddressClass::Private))
}

impl NamePlan {
    /// Has a name reached, for the service of its line. Gives the index of its list.
    pub(super) fn allow(&mut self, rule: &NetworkRule, name: NamePattern) -> Result<usize> {
        let wrong = |why: &str| Error::new(format!("network.allow has {rule}, {why}")).origin(&rule.origin);
        if ASKED_AT.iter().any(|port| rule.service.ports == Some((*port, *port))) {
            return Err(wrong("and where rules have names, name servers are asked by sbx alone")
                .hint("leave it out; a name server whose address network.allow has is asked by the program, too"));
        }
        if let Some(at) = self.lists.iter().position(|list| list.service == rule.service) {
            self.lists.iter_mut().skip(at).take(1).for_each(|list| list.names.push(name.clone()));
            return Ok(at);
        }
        if self.lists.len() == MOST_SERVICES {
            return Err(wrong(&format!(
                "and there are names with more than {MOST_SERVICES} combinations of ports and protocols"
            ))
            .hint("write a range of ports, or leave the ports out"));
        }
        self.lists.push(NameList { service: rule.service, names: vec![name] });
        Ok(self.lists.len() - 1)
    }

    /// Refuses too many names.
    pub(super) fn bounded(&self) -> Result<()> {
        let lines = self.denied.len() + self.lists.iter().map(|list| list.names.len()).sum::<usize>();
        if lines <= MOST {
            return Ok(());
        }
        Err(Error::new(format!("network.allow and network.deny have more than {MOST} names")).hint(
            "write names below one as `*.example.org`; or allow what is to be reached rather than deny all that is not",
        ))
    }
}

/// The name servers that are asked.
fn servers(sandbox: &Sandbox, facts: &Facts) -> Vec<IpAddr> {
    match &sandbox.name_servers {
        NameServers::None => Vec::new(),
        NameServers::Named(servers) => servers.iter().map(|(server, _)| *server).collect(),
        NameServers::Host => {
            let found: Vec<_> = name_servers(facts.resolv_conf.as_deref().unwrap_or_default()).take(3).collect();
            // resolv.conf(5): without a line, the server of this host.
            if found.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { found }
        }
    }
}

/// Lines of the host's hosts(5) for a name that is allowed: it has these addresses, since the files of the view have them. A line with a name
/// that is denied gives no address to another one either.
pub(super) fn in_hosts<'a>(
    pattern: &'a NamePattern,
    denied: &'a [&'a NamePattern],
    hosts: &'a str,
) -> impl Iterator<Item = IpAddr> + 'a {
    hosts.lines().filter_map(move |line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let address: IpAddr = words.next()?.parse().ok()?;
        let names: Vec<_> = words.map(str::to_ascii_lowercase).collect();
        let has = |pattern: &NamePattern| names.iter().any(|name| pattern.matches(name));
        let usable = !address.is_loopback() && !address.is_unspecified();
        (usable && has(pattern) && !denied.iter().any(|denied| has(denied))).then_some(address)
    })
}

/// The forwarder.
pub(super) fn helper(sandbox: &Sandbox, plan: &NamePlan) -> HelperSpec {
    let ends = sandbox.network.own().is_some_and(|network| network.on_helper_death == HelperDeath::End);
    let rules = &sandbox.network_rules;
    let first = rules.allow.iter().flatten().chain(&rules.deny).find(|rule| matches!(rule.to, Destination::Name(_)));
    let mut args = vec![Argument::Pipe(""), Argument::Rules, Argument::Given(0), Argument::Given(1)];
    let mut descriptors = vec![(-1, Given::NameServer(Transport::Udp)), (-1, Given::NameServer(Transport::Tcp))];
    if plan.shared {
        args.push(Argument::Given(descriptors.len()));
        descriptors.push((-1, Given::Peers));
    }
    let mut word = |text: String| args.push(Argument::Text(text));
    plan.servers.iter().for_each(|server| word(format!("server:{server}")));
    if plan.others {
        word("others".into());
    }
    for (index, list) in plan.lists.iter().enumerate() {
        list.names.iter().for_each(|name| word(format!("{index}:{name}")));
    }
    plan.denied.iter().for_each(|name| word(format!("deny:{name}")));
    let holder = plan.shared.then(|| "the process that holds the network".to_owned());
    let servers: Vec<_> = holder.into_iter().chain(plan.servers.iter().map(ToString::to_string)).collect();
    HelperSpec {
        name: NAMES,
        provides: "names",
        setting: if plan.shared {
            "names of sandboxes in the network"
        } else {
            "names in network.allow and network.deny"
        },
        program: HelperProgram::Own(NAMES),
        target: format!("answers questions for names, by asking {}", servers.join(", ")),
        args,
        descriptors,
        rules: Vec::new(),
        phase: Phase::Namespaces,
        readiness: Readiness::Byte,
        tells: Tells::Names,
        confinement: Confinement::Own,
        loss: match ends {
            true => Loss::End("network.on_helper_death is \"end\", so the sandbox was ended"),
            false => Loss::Note(
                "names are not answered any more, and what they were answered with is reached no longer than for an hour",
            ),
        },
        words: HelperWords {
            ready: "it answered questions".into(),
            needs: "the kernel must let it load a seccomp filter",
            without: match plan.shared {
                true => "--set network.dns=none goes without names",
                false => "write addresses in place of names in network.allow and network.deny",
            },
        },
        origin: match first {
            Some(rule) => rule.origin.clone(),
            None => sandbox.origins.of("network.mode", ""),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_hosts_are_found_by_name() {
        let text = "127.0.0.1 localhost a.example\n# 10.0.0.9 a.example\n10.0.0.1\tb.example A.example # x\nfd00::1 a.example\nx a.example\n0.0.0.0 a.example\n";
        let found = |pattern: &str| {
            let pattern = pattern.parse().unwrap();
            in_hosts(&pattern, &[], text).map(|address| address.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(found("a.example"), ["10.0.0.1", "fd00::1"]);
        assert_eq!(found("*.example"), ["10.0.0.1", "fd00::1"]);
        assert!(found("c.example").is_empty());
    }
}
