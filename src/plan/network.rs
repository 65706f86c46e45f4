//! Plans a network of the sandbox's own with a way to the outside: pasta(1) or slirp4netns(1), and the name servers that
//! are reached through it.
//!
//! Either is started before anything of the view exists, and gets descriptors of the sandbox's user and network
//! namespaces as its standard input and output. It makes an interface in the network namespace, and turns what the program
//! sends into sockets of its own, in the host's network. Nothing of that takes rights on the host.

use super::helpers::{
    Argument, Confinement, Given, HelperProgram, HelperSpec, HelperWords, Joined, Loss, Phase, Readiness, Tells,
};
use super::named;
use super::names;
use super::namespaces::NetworkSettings;
use super::note::Note;
use super::ports::{self, Carrier, PortPlan};
use crate::error::{Error, Result};
use crate::host::{Facts, NetworkFacts, name_servers};
use crate::spec::{HelperDeath, NameServers, Network, NetworkHelper, PrivateNetwork, Sandbox, Transport};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// The interface that the program sees beside `lo`.
const INTERFACE: &str = "eth0";

/// The descriptors of the namespaces, which are the helper's standard input and output.
const USER: &str = "/proc/self/fd/0";
const NET: &str = "/proc/self/fd/1";

/// A helper that this host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pasta,
    Slirp4netns,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Pasta => "pasta",
            Kind::Slirp4netns => "slirp4netns",
        }
    }

    /// The addresses at which it answers questions for names, by asking a name server of the host's.
    fn forwarders(self) -> (Ipv4Addr, Ipv6Addr) {
        match self {
            // Told by --dns-forward: addresses that no other machine has.
            Kind::Pasta => (Ipv4Addr::new(169, 254, 1, 1), Ipv6Addr::new(0xfdb4, 0x16f2, 0x93a1, 0, 0, 0, 0, 0x53)),
            Kind::Slirp4netns => (Ipv4Addr::new(10, 0, 2, 3), Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 3)),
        }
    }
}

/// Chooses the helper. pasta goes first, unless it is an old one and there is slirp4netns.
fn choose(wanted: NetworkHelper, facts: &Facts, network: &NetworkFacts) -> std::result::Result<Kind, String> {
    let there = |name: &str| facts.helpers.get(name).is_ok();
    match wanted {
        NetworkHelper::Pasta => facts.helpers.get("pasta").map(|_| Kind::Pasta),
        NetworkHelper::Slirp4netns => facts.helpers.get("slirp4netns").map(|_| Kind::Slirp4netns),
        NetworkHelper::Auto if there("pasta") && !(network.old_pasta && there("slirp4netns")) => Ok(Kind::Pasta),
        NetworkHelper::Auto if there("slirp4netns") => Ok(Kind::Slirp4netns),
        NetworkHelper::Auto => Err(match (facts.helpers.get("pasta"), facts.helpers.get("slirp4netns")) {
            (Err(one), Err(other)) if one == other => one,
            (Err(one), Err(other)) => format!("pasta {one}, slirp4netns {other}"),
            _ => String::new(),
        }),
    }
}

/// What the end of the network means, as the end of a sentence, if `network.on_helper_death` is `end`.
pub const ENDED: &str = "network.on_helper_death is \"end\", so the sandbox was ended";
/// The same, if it is not.
pub const LOST: &str = "the program has no network any more, and its connections were ended";

/// The label of the helper in a plan.
pub(super) const PROVIDES: &str = "network";

/// What is planned for a network of the sandbox's own.
#[derive(Default)]
pub(super) struct Planned {
    /// The program that carries packets; none if the sandbox has no such network, or the host itself has none.
    pub helper: Option<HelperSpec>,
    /// The ports at which servers inside are reached.
    pub ports: Vec<PortPlan>,
}

/// Plans the network.
///
/// # Errors
///
/// No helper is installed, it could not make its interface, or a port cannot be published.
pub(super) fn plan(sandbox: &Sandbox, facts: &Facts, notes: &mut Vec<Note>) -> Result<Planned> {
    let Some(PrivateNetwork { helper: wanted, on_helper_death }) = sandbox.network.own() else {
        return Ok(Planned::default());
    };
    let shared = named::facts(sandbox, facts)?.map(|shared| &shared.network);
    let setting = if shared.is_some() { "network.mode = \"net:NAME\"" } else { "network.mode = \"private\"" };
    let none = NetworkFacts::default();
    let network = facts.network.as_ref().unwrap_or(&none);
    let origin = sandbox.origins.of("network.mode", "");
    if shared.is_some() && sandbox.name_servers != NameServers::None && facts.resolv_conf.is_none() {
        return Err(Error::new(format!(
            "{setting} has names answered, and this host has no /etc/resolv.conf to show another one over"
        ))
        .origin(&origin)
        .hint("as root: touch /etc/resolv.conf; or --set network.dns=none, which goes without names"));
    }
    if shared.is_some_and(|shared| shared.internal) {
        return Ok(Planned { helper: None, ports: ports::plan(sandbox, network, false)? });
    }
    let kind = choose(wanted, facts, network).map_err(|why| {
        let (names, install) = match wanted {
            NetworkHelper::Auto => ("pasta or slirp4netns", "passt"),
            NetworkHelper::Pasta => ("pasta", "passt"),
            NetworkHelper::Slirp4netns => ("slirp4netns", "slirp4netns"),
        };
        Error::new(format!("{setting} needs {names}, {why}"))
            .origin(&origin)
            .hint(format!("install it, as root: apt-get install {install} (dnf, pacman and apk know the same name)"))
            .hint("--net none goes without a network, --net host shares the host's")
    })?;
    if let Some(errno) = network.tun {
        let fix = match errno.0 {
            libc::ENOENT | libc::ENODEV | libc::ENXIO => {
                "as root: modprobe tun, and where that makes no /dev/net/tun: mknod -m 666 /dev/net/tun c 10 200"
            }
            _ => {
                "as root: chmod 0666 /dev/net/tun, which every distribution has by default: it gives nobody a right on the host's network"
            }
        };
        return Err(Error::new(format!("{setting} needs /dev/net/tun, which cannot be opened: {errno}"))
            .origin(&origin)
            .hint(fix));
    }
    let ports = ports::plan(sandbox, network, kind == Kind::Slirp4netns)?;
    name_servers_reached(sandbox, facts, network)?;
    let carried = || ports.iter().filter(|port| port.carrier != Carrier::Relay).map(|port| &port.port);
    if kind == Kind::Pasta && network.old_pasta {
        if let (false, Some(port)) = (network.routed, carried().next()) {
            return Err(Error::new(format!("{port} cannot be published: {}", Note::Offline))
                .origin(&port.origin)
                .hint("install a newer pasta (passt), connect this host, or publish at loopback"));
        }
        if !network.routed {
            // It refuses to start then.
            notes.push(Note::Offline);
            return Ok(Planned { helper: None, ports });
        }
        notes.push(Note::OldPasta);
        let silent = carried().find(|port| port.transport == Transport::Tcp);
        notes.extend(silent.map(|port| Note::SilentPort(port.to_string())));
    }
    if kind == Kind::Slirp4netns || network.old_pasta {
        let lost = carried().find(|port| port.transport == Transport::Udp && port.address.is_unspecified());
        notes.extend(lost.map(|port| Note::LostReplies { port: port.to_string(), helper: kind.name() }));
    }
    let program = facts.helpers.get(kind.name()).unwrap_or(Path::new(kind.name()));
    let (args, readiness, confined) = match kind {
        // It mounts its empty view, which Landlock would not let it.
        Kind::Pasta => {
            let confined = Joined { how: PASTA.into(), keeps: None, files: None };
            (pasta(sandbox, &ports, facts, network), Readiness::Number, confined)
        }
        Kind::Slirp4netns => (slirp4netns(sandbox, &ports, network), Readiness::Byte, shown(&ports, facts, network)),
    };
    let mut descriptors = vec![(0, Given::UserNamespace), (1, Given::NetworkNamespace)];
    descriptors.extend(args.contains(&Argument::Requests).then_some((-1, Given::Requests)));
    let helper = HelperSpec {
        name: kind.name(),
        provides: PROVIDES,
        setting,
        program: HelperProgram::Host(program.to_owned()),
        target: format!("carries packets of {INTERFACE} to the host's network"),
        args,
        descriptors,
        rules: Vec::new(),
        phase: Phase::Namespaces,
        readiness,
        tells: Tells::Nothing,
        confinement: Confinement::Joined(confined),
        loss: match on_helper_death {
            HelperDeath::End => Loss::End(ENDED),
            HelperDeath::Report => Loss::Note(LOST),
        },
        words: HelperWords {
            ready: "the network was ready".into(),
            needs: "it must be able to enter the sandbox's user and network namespaces, and to make a tun device there",
            without: "--net none goes without a network",
        },
        origin,
    };
    Ok(Planned { helper: Some(helper), ports })
}

/// How far pasta is confined, as the end of a sentence about it.
const PASTA: &str = "has your user id, and confines itself: an empty view of files, a list of system calls, and no right but over the \
                     sandbox's namespaces";

/// CAP_NET_BIND_SERVICE.
const LOW_PORTS: u64 = 1 << 10;

/// How slirp4netns is confined: besides what it does itself, sbx leaves it the files that it needs to start and to find name
/// servers, and of root's capabilities at most the one for low ports.
fn shown(ports: &[PortPlan], facts: &Facts, network: &NetworkFacts) -> Joined {
    let is_low = |port: &PortPlan| port.carrier == Carrier::Slirp4netns && (1..1024).contains(&port.port.host);
    let keeps = if ports.iter().any(is_low) { facts.capabilities & LOW_PORTS } else { 0 };
    let rights = if keeps == 0 { "no capability" } else { "no capability but CAP_NET_BIND_SERVICE" };
    let which = format!("has your user id, {rights}, ");
    if !network.landlock {
        let how =
            format!("{which}and a filter of system calls; it can read your files, since this kernel has no Landlock");
        return Joined { how, keeps: Some(keeps), files: None };
    }
    let mut files: Vec<(PathBuf, bool)> = vec![("/dev/net/tun".into(), true), ("/dev/urandom".into(), false)];
    files.extend(facts.system.iter().map(|(name, _)| (Path::new("/").join(name), false)));
    files.push(("/etc/ld.so.cache".into(), false));
    files.extend(network.resolv_dir.iter().map(|dir| (dir.clone(), false)));
    let how = format!(
        "{which}a filter of system calls, and no files but the system's programs and libraries and the directory of resolv.conf (Landlock)"
    );
    Joined { how, keeps: Some(keeps), files: Some(files) }
}

/// Makes sure that the name servers that the profile names can be named, and asked.
fn name_servers_reached(sandbox: &Sandbox, facts: &Facts, network: &NetworkFacts) -> Result<()> {
    let NameServers::Named(servers) = &sandbox.name_servers else { return Ok(()) };
    if let (None, Some((_, origin))) = (&facts.resolv_conf, servers.first()) {
        return Err(Error::new(
            "network.dns cannot be carried out: this host has no /etc/resolv.conf to show another one over",
        )
        .origin(origin)
        .hint("as root: touch /etc/resolv.conf; or leave network.dns out"));
    }
    // The forwarder asks from the host's network.
    let reached = names::forwards(sandbox);
    match servers.iter().find(|(server, _)| !reached && network.own_servers.contains(server)) {
        None => Ok(()),
        Some((server, origin)) => Err(Error::new(format!(
            "the name server {server} is this host itself, whose addresses a private network does not reach"
        ))
        .origin(origin)
        .hint("network.dns = \"host\" has the host's own name server asked, if /etc/resolv.conf names it")),
    }
}

/// Whether the network is one that sandboxes share and that has no addresses of IPv6.
fn shares_v4_alone(sandbox: &Sandbox, network: &NetworkFacts) -> bool {
    let named = network.named.as_ref().and_then(|named| named.as_ref().ok());
    matches!(sandbox.network, Network::Named(_)) && named.is_none_or(|named| named.network.v6.is_none())
}

/// The arguments of pasta(1). By default it mirrors all ports, and shows the host's loopback at the gateway's address.
fn pasta(sandbox: &Sandbox, ports: &[PortPlan], facts: &Facts, network: &NetworkFacts) -> Vec<Argument> {
    let carried: Vec<_> = ports.iter().enumerate().filter(|(_, port)| port.carrier != Carrier::Relay).collect();
    let mut args = vec!["--quiet", "--foreground", "--config-net", "--no-map-gw", "--no-netns-quit", "-I", INTERFACE];
    for (option, transport) in [("--tcp-ports=none", Transport::Tcp), ("--udp-ports=none", Transport::Udp)] {
        if !carried.iter().any(|(_, port)| port.port.transport == transport) {
            args.push(option);
        }
    }
    args.extend(["--tcp-ns=none", "--udp-ns=none"]);
    args.extend(["-P", "/proc/self/fd/2", "--userns", USER, "--netns", NET]);
    let mut args: Vec<String> = args.into_iter().map(str::to_owned).collect();
    if shares_v4_alone(sandbox, network) {
        args.push("--ipv4-only".into());
    }
    let (v4, v6) = Kind::Pasta.forwarders();
    let by_helper = sandbox.name_servers == NameServers::Host && !names::forwards(sandbox);
    let asked = |is: fn(&IpAddr) -> bool| by_helper && network.own_servers.iter().any(is);
    if asked(IpAddr::is_ipv4) {
        args.extend(["--dns-forward".into(), v4.to_string()]);
    }
    if asked(IpAddr::is_ipv6) {
        args.extend(["--dns-forward".into(), v6.to_string()]);
    }
    if facts.uid == 0 {
        // It would become nobody, who may not enter root's namespaces.
        args.extend(["--runas".into(), "0:0".into()]);
    }
    let published = carried.iter().map(|(index, _)| Argument::Published(*index));
    args.into_iter().map(Argument::Text).chain(published).collect()
}

/// The option of slirp4netns(1) by which it carries IPv6, and tells of an address and a route as a router does.
pub const ENABLE_V6: &str = "--enable-ipv6";

/// The arguments of slirp4netns(1).
fn slirp4netns(sandbox: &Sandbox, ports: &[PortPlan], network: &NetworkFacts) -> Vec<Argument> {
    let v6 = match sandbox.network {
        // What it says of a host without IPv6 does not get to sandboxes behind a bridge: there is no route then, and they are told at once.
        Network::Named(_) => network.routed6 && !shares_v4_alone(sandbox, network),
        _ => true,
    };
    let mut args: Vec<Argument> = ["--configure", "--mtu=65520", "--disable-host-loopback"]
        .into_iter()
        .chain(v6.then_some(ENABLE_V6))
        .chain(["--enable-seccomp", "--netns-type=path"])
        .map(|word| Argument::Text(word.into()))
        .collect();
    if sandbox.name_servers != NameServers::Host || names::forwards(sandbox) {
        args.push(Argument::Text("--disable-dns".into()));
    }
    if ports.iter().any(|port| port.carrier != Carrier::Relay) {
        args.push(Argument::Requests);
    }
    args.push(Argument::Text(format!("--userns-path={USER}")));
    args.push(Argument::Pipe("--ready-fd="));
    args.extend([NET, INTERFACE].map(|word| Argument::Text(word.into())));
    args
}

/// Settings of the network namespace. The network is the sandbox's own, so a program in it listens at any port and sends echo requests
/// of ICMP, as on a machine of its own.
pub(super) fn settings(gid: u32) -> NetworkSettings {
    // An address and a route of IPv6 are there at once, rather than after a second: nobody else has the address.
    let interfaces =
        [("net.ipv6.conf.default.accept_dad", "0"), ("net.ipv6.conf.default.router_solicitation_delay", "0")];
    NetworkSettings {
        interfaces: interfaces.map(|(name, value)| (name, value.to_owned())).to_vec(),
        mapped: vec![
            ("net.ipv4.ip_unprivileged_port_start", "0".into()),
            ("net.ipv4.ping_group_range", format!("{gid} {gid}")),
        ],
    }
}

/// The text of resolv.conf(5) for a network of the sandbox's own: name servers of the host's own, which the program does not
/// reach at their addresses, are asked by way of the helper.
pub(super) fn resolv_conf(sandbox: &Sandbox, facts: &Facts, text: &str) -> String {
    if let Some(Ok(joined)) = facts.network.as_ref().and_then(|network| network.joined.as_ref()) {
        return joined_resolv_conf(&joined.resolv_conf, text);
    }
    if let Network::Named(_) = sandbox.network {
        return shared_resolv_conf(sandbox, text);
    }
    let (Network::Private(PrivateNetwork { helper, .. }), Some(network)) = (sandbox.network, &facts.network) else {
        return text.to_owned();
    };
    let Ok(kind) = choose(helper, facts, network) else { return text.to_owned() };
    let (v4, v6) = kind.forwarders();
    let mut lines: Vec<String> = Vec::new();
    let forwards = names::forwards(sandbox);
    if forwards {
        lines.push(format!("nameserver {}", names::FORWARDER));
    } else if let NameServers::Named(servers) = &sandbox.name_servers {
        lines.extend(servers.iter().map(|(server, _)| format!("nameserver {server}")));
    }
    let others = forwards || sandbox.name_servers != NameServers::Host;
    for line in text.lines().filter(|line| !others || line.split_whitespace().next() != Some("nameserver")) {
        let line = match name_servers(line).next() {
            Some(server) if network.own_servers.contains(&server) => match server {
                IpAddr::V4(_) => format!("nameserver {v4}"),
                IpAddr::V6(_) => format!("nameserver {v6}"),
            },
            _ => line.to_owned(),
        };
        // Two of the host's own are one here.
        if !line.starts_with("nameserver") || !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.extend(patience(sandbox));
    lines.push(String::new());
    lines.join("\n")
}

/// The text of resolv.conf(5) for a network that sandboxes share: their names are looked for before others that the host's search list has.
fn shared_resolv_conf(sandbox: &Sandbox, text: &str) -> String {
    let first = |line: &&str| line.split_whitespace().next().map(str::to_owned).unwrap_or_default();
    let list = |word: &str| {
        text.lines().rfind(|line| first(line) == word).into_iter().flat_map(|line| line.split_whitespace().skip(1))
    };
    let host: Vec<_> = list("search").chain(list("domain")).collect();
    let search: Vec<_> = std::iter::once(sandbox.named_network.name.as_str()).chain(host).collect();
    let server = names::forwards(sandbox).then(|| format!("nameserver {}", names::FORWARDER));
    let others = text.lines().filter(|line| !matches!(first(line).as_str(), "nameserver" | "search" | "domain"));
    let mut lines: Vec<_> = server.into_iter().chain([format!("search {}", search.join(" "))]).collect();
    lines.extend(others.map(str::to_owned));
    lines.extend(patience(sandbox));
    lines.push(String::new());
    lines.join("\n")
}

/// The line by which resolvers wait for the user; of two, the last one counts.
fn patience(sandbox: &Sandbox) -> Option<String> {
    let asks = sandbox.network_rules.ask && names::forwards(sandbox);
    asks.then(|| "options timeout:25 attempts:2".to_owned())
}

/// The text of resolv.conf(5) for the network of another sandbox: name servers are those of that one, and nothing else is what its
/// program may have written.
fn joined_resolv_conf(other: &str, text: &str) -> String {
    let servers = name_servers(other).take(3).map(|server| format!("nameserver {server}"));
    let host = text.lines().filter(|line| line.split_whitespace().next() != Some("nameserver")).map(str::to_owned);
    let mut lines: Vec<_> = servers.chain(host).collect();
    lines.push(String::new());
    lines.join("\n")
}
