//! Plans what is reached from a network of the sandbox's own, as rules on packets in the order in which they are asked.
//!
//! What a profile denies is refused, whatever it allows. What it allows is reached: an address or a network whatever class it is of, but
//! that a network does not stand for addresses in it that are the host's own or those of a cloud's metadata. A word stands for its
//! class. A name stands for addresses of the Internet that name servers tell for it, and for those that hosts(5) of the host has for it.

use super::capabilities::CapabilityPlan;
use super::lines::Lines;
use super::named;
use super::names::{self, NamePlan};
use super::network;
use crate::error::{Error, Result};
use crate::host::{Facts, name_servers};
use crate::netfilter::{Connected, HostAddresses, MOST_NEIGHBOURS, PacketRule, PacketTarget, Peers, PublishedInside};
use crate::proxy::names::rules::CANARY;
use crate::spec::{
    AddressClass, Addresses, Destination, NamePattern, NameServers, Network, NetworkRule, Protocol, Published, Ranges,
    Sandbox, Service, Subnet, Subnets, Transport,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// The rules on packets that leave the sandbox's network. What none of them is for is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RulePlan {
    /// The rules; the first one that is for a packet decides.
    pub rules: Vec<PacketRule>,
    /// Ports inside at which what comes from outside first is let in, and may be answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<PublishedInside>,
    /// Other sandboxes in a network that they share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peers: Option<Peers>,
    /// What is decided by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<NamePlan>,
    /// What the rules were made of.
    #[serde(skip)]
    pub(super) lines: RuleLines,
}

/// What rules are made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RuleLines {
    pub(super) allow: Vec<NetworkRule>,
    pub(super) deny: Vec<NetworkRule>,
    /// The profile has no `network.allow`.
    pub(super) by_default: bool,
    /// The name servers that are asked by the program.
    pub(super) servers: Vec<NetworkRule>,
    /// The host's hosts(5).
    pub(super) hosts: String,
    /// Some lines had names at the start: no name server is asked but sbx's own.
    pub(super) by_name: bool,
    /// The user is asked about names that no line is for.
    pub(super) asks: bool,
    /// Nobody tells addresses of names: `network.dns` is "none".
    pub(super) nameless: bool,
    /// Other sandboxes in a network that is shared.
    pub(super) shared: Option<SharedLine>,
}

/// A network that several sandboxes share, in which they reach each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SharedLine {
    pub(super) name: String,
    pub(super) subnet: Subnets,
    /// Nothing else is reached.
    pub(super) internal: bool,
}

/// What to do where the kernel has no packet filter.
pub const NO_FILTER: &str = "as root: modprobe -a nf_tables nft_reject_inet nft_ct; where these are no modules, a kernel with CONFIG_NF_TABLES_INET, \
                             CONFIG_NFT_REJECT_INET and CONFIG_NFT_CT";

/// Plans the rules of a sandbox that reaches the outside by a network of its own.
///
/// # Errors
///
/// This kernel has no packet filter, or a line of the profile has no effect.
pub(super) fn plan(sandbox: &Sandbox, facts: &Facts) -> Result<Option<RulePlan>> {
    if sandbox.network.own().is_none() {
        return Ok(None);
    }
    let named = named::facts(sandbox, facts)?.map(|named| &named.network);
    if let Some(errno) = facts.network.as_ref().and_then(|network| network.filter) {
        return Err(Error::new(format!(
            "a network of the sandbox's own needs the kernel's packet filter, to refuse what the profile does not allow: {errno}"
        ))
        .origin(&sandbox.origins.of("network.mode", ""))
        .hint(NO_FILTER));
    }
    let allow = sandbox.network_rules.allow.as_deref();
    let deny = &sandbox.network_rules.deny;
    if let Some((rule, by)) = allow.unwrap_or_default().iter().find_map(|rule| Some((rule, denied(rule, deny)?))) {
        return Err(Error::new(format!("network.allow has {rule}, which network.deny refuses by {by}"))
            .origin(&rule.origin)
            .hint(format!("leave it out, or take the other away: `\"!{by}\"` in network.deny")));
    }
    let names = names::plan(sandbox, facts)?;
    let internal = named.is_some_and(|named| named.internal);
    let lines = RuleLines {
        allow: match allow {
            _ if internal => Vec::new(),
            Some(allow) => allow.to_vec(),
            None => vec![NetworkRule::internet()],
        },
        deny: deny.clone(),
        by_default: allow.is_none(),
        servers: if names.is_some() { Vec::new() } else { servers(sandbox, facts) },
        hosts: facts.hosts.clone().unwrap_or_default(),
        // The names of a network that sandboxes share are told whatever the rules are.
        by_name: names.is_some() && sandbox.network_rules.have_names(),
        asks: sandbox.network_rules.ask,
        nameless: sandbox.name_servers == NameServers::None,
        shared: named.map(|named| SharedLine { name: named.name.clone(), subnet: named.subnets(), internal }),
    };
    let peers = named.map(|named| named::peers(named.subnets(), lines.denied_in(named.subnets())));
    Ok(Some(RulePlan { rules: lines.rules(names.as_ref()), published: published(sandbox), peers, names, lines }))
}

impl RuleLines {
    /// What of a network that sandboxes share is denied.
    fn denied_in(&self, subnet: Subnets) -> Vec<PacketRule> {
        let mut denied = Rules::default();
        let here = |rule: &NetworkRule| {
            let targets = everything(&rule.to).into_iter();
            targets.filter_map(|target| named::narrowed(target, subnet)).collect()
        };
        denied.add(self.deny.iter().map(|rule| (rule, here(rule))), false);
        denied.0
    }

    /// The rules, in their order.
    pub(super) fn rules(&self, names: Option<&NamePlan>) -> Vec<PacketRule> {
        let RuleLines { allow, deny, servers, hosts, by_name, shared, .. } = self;
        let mut rules = Rules::default();
        let denied: Vec<_> = deny.iter().filter_map(|rule| rule.to.name()).collect();
        // A program can send these out by the network's interface (SO_BINDTODEVICE of socket(7)), and the network's helper would then reach
        // the host's own: no line of the profile stands for them.
        rules.refuse("loopback", PacketTarget::Addresses(Addresses::of_the_sender()));
        // Name servers are asked whatever class their addresses are of.
        rules.add(servers.iter().filter_map(|rule| Some((rule, single(&rule.to, &[], "")?))), true);
        rules.add(deny.iter().map(|rule| (rule, everything(&rule.to))), false);
        if let Some(SharedLine { name, subnet, .. }) = shared {
            rules.accept(&format!("other sandboxes in the network `{name}` ({subnet})"), subnet.given());
        }
        // The order says what counts where addresses are of several kinds.
        rules.add(allow.iter().filter_map(|rule| Some((rule, single(&rule.to, &denied, hosts)?))), true);
        rules.refuse("host", PacketTarget::Host);
        rules.refuse("metadata", PacketTarget::Addresses(AddressClass::Metadata.addresses()));
        rules.add(allow.iter().filter_map(|rule| Some((rule, several(&rule.to)?))), true);
        if *by_name {
            rules.servers_of_others();
        }
        let named = names.is_some_and(|names| !names.lists.is_empty());
        if *by_name || named || allow.iter().any(|rule| matches!(rule.to, Destination::Class(_))) {
            rules.refuse("networks that the host is attached to", PacketTarget::Attached);
        }
        rules.add(allow.iter().filter_map(|rule| Some((rule, class(&rule.to)?))), true);
        rules.names(names);
        rules.0
    }
}

/// The name servers of the resolv.conf inside.
fn servers(sandbox: &Sandbox, facts: &Facts) -> Vec<NetworkRule> {
    let text = facts.resolv_conf.as_ref().map(|text| network::resolv_conf(sandbox, facts, text)).unwrap_or_default();
    let service = Service { protocol: None, ports: Some((53, 53)) };
    name_servers(&text).map(|server| NetworkRule::to_address(server, service)).collect()
}

/// The ports inside that are published, but at loopback, where a relay carries what comes.
fn published(sandbox: &Sandbox) -> Vec<PublishedInside> {
    // In a network that sandboxes share, a relay carries what comes to any of them.
    if let Network::Named(_) = sandbox.network {
        return Vec::new();
    }
    let of = |(family, transport, protocol)| {
        let here = |port: &&Published| {
            port.transport == transport && !port.address.is_loopback() && port.address.is_ipv6() == family
        };
        let ports = sandbox.published.iter().filter(here).map(|port| (port.inside.into(), port.inside.into()));
        let narrow = |port: u128| u16::try_from(port).unwrap_or(u16::MAX);
        let inside = |(first, last): &(u128, u128)| PublishedInside {
            v6: family,
            service: Service { protocol: Some(protocol), ports: Some((narrow(*first), narrow(*last))) },
        };
        Ranges::new(ports).ranges().iter().map(inside).collect::<Vec<_>>()
    };
    let transports = [(Transport::Tcp, Protocol::Tcp), (Transport::Udp, Protocol::Udp)];
    let both = transports.map(|(transport, protocol)| [false, true].map(|family| (family, transport, protocol)));
    both.into_iter().flatten().flat_map(of).collect()
}

/// The line that refuses all that another one allows.
pub(super) fn denied<'a>(rule: &NetworkRule, deny: &'a [NetworkRule]) -> Option<&'a NetworkRule> {
    deny.iter().find(|other| {
        let covers = match (&other.to, &rule.to) {
            (Destination::Any, _) => true,
            (Destination::Class(one), Destination::Class(two)) => one == two,
            (Destination::Name(one), Destination::Name(two)) => one.covers(two),
            (Destination::Name(_), _) | (_, Destination::Name(_)) => false,
            (_, Destination::Class(AddressClass::Host | AddressClass::Private)) => false,
            (one, two) => one.addresses().covers(&two.addresses()),
        };
        covers && other.service.covers(rule.service)
    })
}

/// What a line of `deny` stands for: the addresses that a translator of the network makes these of, too.
fn everything(to: &Destination) -> Vec<PacketTarget> {
    match to {
        Destination::Class(AddressClass::Host) => vec![PacketTarget::Host],
        Destination::Class(AddressClass::Private) => {
            vec![PacketTarget::Addresses(to.addresses()), PacketTarget::Attached]
        }
        // It is refused when it is asked for.
        Destination::Name(_) => Vec::new(),
        _ => vec![PacketTarget::Addresses(to.addresses().with_translated())],
    }
}

/// What a line of `allow` stands for that names an address, or a class of single ones. `hosts` is the host's hosts(5), in which names have
/// addresses that are not `denied`.
fn single(to: &Destination, denied: &[&NamePattern], hosts: &str) -> Option<Vec<PacketTarget>> {
    match to {
        Destination::Name(name) => {
            let known: Vec<_> =
                names::in_hosts(name, denied, hosts).map(|address| Destination::Address(address).addresses()).collect();
            (!known.is_empty()).then(|| vec![PacketTarget::Addresses(Addresses::of(&known))])
        }
        Destination::Class(AddressClass::Host) => Some(vec![PacketTarget::Host]),
        Destination::Address(_) | Destination::Class(AddressClass::Metadata) => {
            Some(vec![PacketTarget::Addresses(to.addresses())])
        }
        _ => None,
    }
}

/// What a line of `allow` stands for that names a network, or networks that the host is attached to.
fn several(to: &Destination) -> Option<Vec<PacketTarget>> {
    match to {
        // The host itself is in groups, and answers.
        Destination::Any => Some(vec![PacketTarget::Addresses(to.addresses().without(&Addresses::of_groups()))]),
        Destination::Network(..) => Some(vec![PacketTarget::Addresses(to.addresses())]),
        Destination::Class(AddressClass::Private) => Some(vec![PacketTarget::Attached]),
        _ => None,
    }
}

/// What a line of `allow` stands for that names a class of networks.
fn class(to: &Destination) -> Option<Vec<PacketTarget>> {
    let class =
        matches!(to, Destination::Class(AddressClass::Internet | AddressClass::Private | AddressClass::LinkLocal));
    class.then(|| vec![PacketTarget::Addresses(to.addresses())])
}

/// Rules while they are made.
#[derive(Default)]
struct Rules(Vec<PacketRule>);

impl Rules {
    /// Adds rules of the same verdict, between which the order does not matter. Those for addresses and the same service become one.
    fn add<'a>(&mut self, rules: impl Iterator<Item = (&'a NetworkRule, Vec<PacketTarget>)>, accept: bool) {
        let mut merged: BTreeMap<Service, (Vec<String>, Vec<Addresses>)> = BTreeMap::new();
        for (rule, targets) in rules {
            for target in targets {
                match target {
                    PacketTarget::Addresses(addresses) => {
                        let (texts, all) = merged.entry(rule.service).or_default();
                        texts.push(rule.to_string());
                        all.push(addresses);
                    }
                    to => {
                        let what = match to {
                            PacketTarget::Attached => format!("{rule}, in networks that the host is attached to"),
                            _ => rule.to_string(),
                        };
                        self.0.push(PacketRule { accept, what, to, service: rule.service });
                    }
                }
            }
        }
        for (service, (texts, all)) in merged {
            let to = PacketTarget::Addresses(Addresses::of(&all));
            self.0.push(PacketRule { accept, what: texts.join(" "), to, service });
        }
    }

    /// Adds a rule that is no line of the profile, by which addresses are reached.
    fn accept(&mut self, what: &str, to: Addresses) {
        let to = PacketTarget::Addresses(to);
        self.0.push(PacketRule { accept: true, what: what.into(), to, service: Service::default() });
    }

    /// Adds a rule that is no line of the profile.
    fn refuse(&mut self, what: &str, to: PacketTarget) {
        self.0.push(PacketRule { accept: false, what: what.into(), to, service: Service::default() });
    }

    /// Adds rules for the addresses of names, after those for addresses: they are for the Internet alone.
    fn names(&mut self, names: Option<&NamePlan>) {
        let lists = names.map(|names| &names.lists[..]).unwrap_or_default();
        if lists.is_empty() {
            return;
        }
        let elsewhere = Addresses::all().without(&AddressClass::Internet.addresses());
        self.refuse(ELSEWHERE, PacketTarget::Addresses(elsewhere));
        for (index, list) in (0..).zip(lists) {
            let texts: Vec<_> = list.names.iter().map(|name| format!("{name}{}", list.service)).collect();
            self.0.push(PacketRule {
                accept: true,
                what: texts.join(" "),
                to: PacketTarget::Names(index),
                service: list.service,
            });
        }
    }

    /// Adds rules by which no name server is asked but sbx's own: others would tell what is refused.
    fn servers_of_others(&mut self) {
        for port in names::ASKED_AT {
            let service = Service { protocol: None, ports: Some((port, port)) };
            let what = format!("other name servers, at port {port}");
            self.0.push(PacketRule { accept: false, what, to: PacketTarget::Addresses(Addresses::all()), service });
        }
    }
}

/// Capabilities by which a program goes around the rules, if it has them in the user namespace that owns the network: CAP_NET_ADMIN
/// changes rules, CAP_NET_RAW sends packets that no rule is asked about (packet(7)).
const AROUND: [(u64, &str); 2] = [(1 << 12, "CAP_NET_ADMIN"), (1 << 13, "CAP_NET_RAW")];

/// Makes sure that the program cannot go around the rules. `apart` is whether it is in a user namespace that does not own the network.
///
/// # Errors
///
/// It keeps a capability over the network.
pub(super) fn hold(sandbox: &Sandbox, capabilities: CapabilityPlan, apart: bool) -> Result<()> {
    let held = capabilities.sets.unwrap_or(u64::MAX);
    match AROUND.iter().find(|(bit, _)| held & bit != 0 && !apart) {
        None => Ok(()),
        Some((_, name)) => Err(Error::new(format!(
            "{name} cannot be held in a private network: with it the program goes around the rules on what it reaches"
        ))
        .origin(&sandbox.origins.of("security.capabilities", name))
        .hint(format!("leave {name} out of security.capabilities"))),
    }
}

/// Whether a rule is for an address, on a host with these addresses; those of names are not known here.
fn is_for(to: &PacketTarget, address: IpAddr, host: &HostAddresses) -> bool {
    match to {
        PacketTarget::Addresses(addresses) => addresses.contains(address),
        PacketTarget::Host => host.is_own(address),
        PacketTarget::Attached => host.is_attached(address),
        PacketTarget::Names(_) => false,
    }
}

/// What keeps names from having addresses that no name may have.
const ELSEWHERE: &str = "addresses of names that are not in the Internet";

/// What refuses what a rule accepts.
fn many_neighbours() -> String {
    format!("more than {MOST_NEIGHBOURS} machines that no router is between, in a minute")
}

/// What refuses what no rule is for.
const UNNAMED: &str = "not in network.allow";

impl RulePlan {
    /// The rules for a network that the sandbox is connected to by an interface with this index, where it has this address.
    pub fn connected(&self, subnet: Subnet, address: Ipv4Addr, interface: u32) -> Connected {
        let subnets = Subnets { v4: subnet, v6: None };
        let denied = self.lines.denied_in(subnets);
        let let_in = named::peers(subnets, denied.clone()).let_in;
        Connected { interface, address, subnet, let_in, denied }
    }

    /// Whether names may have an address, if it is not one of the host's.
    pub fn is_for_names(&self, address: IpAddr) -> bool {
        AddressClass::Internet.addresses().contains(address)
    }

    /// Whether something at an address is reached by other rules than those for names, on a host with these addresses. What is refused
    /// for all services is refused; what is accepted for one is reached.
    pub fn reaches(&self, address: IpAddr, host: &HostAddresses) -> bool {
        let decides =
            |rule: &&PacketRule| is_for(&rule.to, address, host) && (rule.accept || rule.service == Service::default());
        self.rules.iter().find(decides).is_some_and(|rule| rule.accept)
    }

    /// Whether packets for a service at an address leave by other rules than those for names, on a host with these addresses.
    pub fn lets_through(&self, address: IpAddr, service: Service, host: &HostAddresses) -> bool {
        let decides = |rule: &&PacketRule| is_for(&rule.to, address, host) && rule.service.covers(service);
        self.rules.iter().find(decides).is_some_and(|rule| rule.accept)
    }

    /// The rule that has refused something for this service at an address, on a host with these addresses: rules that accept were not for it.
    pub fn refuses(&self, address: IpAddr, protocol: Option<Protocol>, port: u16, host: &HostAddresses) -> String {
        let ports = matches!(protocol, Some(Protocol::Tcp | Protocol::Udp)).then_some((port, port));
        let asked = Service { protocol, ports };
        if self.lets_through(address, asked, host) {
            return many_neighbours();
        }
        let refuses = |rule: &&PacketRule| {
            // Of a protocol that no rule can name, rules for all of them alone speak.
            let service = match protocol {
                None => rule.service == Service::default(),
                Some(_) => rule.service.covers(asked),
            };
            !rule.accept && service && is_for(&rule.to, address, host)
        };
        let rule = self.rules.iter().find(refuses).filter(|rule| rule.what != ELSEWHERE);
        rule.map_or_else(|| UNNAMED.to_owned(), |rule| rule.what.clone())
    }

    /// The rule that refuses a name.
    pub fn refuses_name(&self, name: &str) -> String {
        let denied = self.names.iter().flat_map(|names| &names.denied).find(|denied| denied.matches(name));
        match denied {
            Some(denied) => denied.to_string(),
            None if name == CANARY => "a name by which browsers ask for leave to ask other name servers".to_owned(),
            // Either none has it, or it is another name for one that is denied.
            None if self.names.as_ref().is_some_and(|names| names.others) => {
                "another name for one that is refused".to_owned()
            }
            None => UNNAMED.to_owned(),
        }
    }

    pub(super) fn render(&self, lines: &mut Lines) {
        if !self.published.is_empty() {
            lines.add("reached", "who has connected to a published port, for the answers");
        }
        match &self.peers {
            Some(Peers { subnet, let_in: true, denied }) => {
                lines.add("reached", format!("who has asked from {subnet}, for the answers"));
                for rule in denied {
                    lines.add("refused", format!("what comes from there and could not be answered: {}", rule.what));
                }
            }
            Some(Peers { subnet, let_in: false, .. }) => lines.add("refused", format!("what comes from {subnet}")),
            None => {}
        }
        for rule in &self.rules {
            lines.add(if rule.accept { "reached" } else { "refused" }, &rule.what);
        }
        for name in self.names.iter().flat_map(|names| &names.denied) {
            lines.add("refused", name.to_string());
        }
        if self.names.as_ref().is_some_and(|names| !names.others) {
            lines.add("refused", "questions for other names");
        }
        lines.add("refused", many_neighbours());
        lines.add("refused", "all else");
    }
}
