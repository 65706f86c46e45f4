//! The receipt: for each setting of a profile, what enforces it, and what is not enforced.

use super::enforcement::Enforcement;
use super::note::Note;
use super::setting::Setting;
use super::{CapabilityPlan, Carrier, JoinedNamespace, Op, Placed, Plan, PortPlan, Writer};
use crate::netfilter::Peers;
use crate::proxy::{HOLDER, NAMES, RELAY};
use crate::spec::{
    Descriptors, Destination, HelperDeath, Mechanism, NameServers, Namespace, Network, NetworkRule, Origin, Published,
    Sandbox, Wayland, X11,
};
use crate::sys::CAPABILITIES;
use serde::Serialize;

/// How far a setting is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extent {
    /// As the profile says.
    Full,
    /// In part: `missing` says which part is not.
    Partial,
    /// Not at all.
    None,
}

/// One line of a receipt: a setting, and what enforces it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Enforced {
    /// The setting, in the words of the profile language.
    pub setting: Setting,
    /// The line of a profile, or the flag, that has it; empty for a default.
    #[serde(skip_serializing_if = "is_empty")]
    pub origin: Origin,
    /// How far it is enforced.
    pub enforced: Extent,
    /// The mechanisms that enforce it. If there are several, each alone would do.
    pub by: Vec<String>,
    /// What is not enforced, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// Whether a line has no origin, and its JSON leaves it out.
fn is_empty(origin: &Origin) -> bool {
    origin.0.is_empty()
}

/// What a run of this plan enforces. If a step fails, the program is not started, so a receipt holds for every program
/// that was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// Version of this format.
    pub version: u32,
    /// Release of the kernel (uname(2)).
    pub kernel: String,
    /// Version of Landlock's interface that is used; none if Landlock is not.
    pub landlock: Option<i32>,
    /// One line for each setting.
    pub lines: Vec<Enforced>,
    /// What is not enforced or not there, and is allowed to be.
    pub notes: Vec<Note>,
}

impl Receipt {
    /// Marks a limit, by its name in `[limits]`, as not enforced, since setting it failed.
    pub fn not_enforced(&mut self, limit: &str, why: &str) {
        for line in &mut self.lines {
            if matches!(line.setting, Setting::Limit(name) if name == limit) {
                line.enforced = Extent::None;
                line.by.clear();
                line.missing = vec![why.to_owned()];
            }
        }
    }
}

impl Receipt {
    /// Says how the user is asked about names, or why nobody is.
    pub fn asks(&mut self, how: std::result::Result<&str, &str>) {
        for line in self.lines.iter_mut().filter(|line| line.setting == Setting::Asked) {
            match how {
                Ok(by) => {
                    line.by = vec![format!("{NAMES}, which has whoever asks wait for the user, who is asked {by}")]
                }
                Err(why) => {
                    (line.enforced, line.missing) = (Extent::None, vec![why.to_owned()]);
                    line.by.clear();
                }
            }
        }
    }

    /// Says which port was found for one that stands for any that is free.
    pub fn published(&mut self, any: &Published, found: &Published) {
        let any = any.to_string();
        let line = self.lines.iter_mut().find(|line| matches!(&line.setting, Setting::Published(port) if *port == any));
        if let Some(line) = line {
            line.setting = Setting::Published(found.to_string());
        }
    }
}

/// Makes the receipt of a plan.
pub fn receipt(sandbox: &Sandbox, plan: &Plan) -> Receipt {
    let mut builder = ReceiptBuilder { plan, lines: Vec::new() };
    builder.namespaces(sandbox);
    builder.process(sandbox);
    builder.paths(sandbox);
    builder.services(sandbox);
    builder.security(sandbox);
    Receipt {
        version: 1,
        kernel: crate::sys::release(),
        landlock: plan.lockdown.landlock.as_ref().ok().map(|landlock| landlock.version),
        lines: builder.lines,
        notes: plan.notes.clone(),
    }
}

/// Collects the lines of a receipt.
struct ReceiptBuilder<'a> {
    plan: &'a Plan,
    lines: Vec<Enforced>,
}

impl ReceiptBuilder<'_> {
    /// Adds a line for a setting that is fully enforced.
    fn full(&mut self, setting: Setting, origin: &Origin, by: Vec<String>) {
        self.line(setting, origin, by, Vec::new());
    }

    /// Adds a line; how far the setting is enforced follows from the two lists.
    fn line(&mut self, setting: Setting, origin: &Origin, by: Vec<String>, missing: Vec<String>) {
        let enforced = match (by.is_empty(), missing.is_empty()) {
            (_, true) => Extent::Full,
            (false, false) => Extent::Partial,
            (true, false) => Extent::None,
        };
        self.lines.push(Enforced { setting, origin: origin.clone(), enforced, by, missing });
    }

    fn namespaces(&mut self, sandbox: &Sandbox) {
        for namespace in Namespace::ALL {
            let word = namespace.word();
            match sandbox.namespaces.share.get(&namespace) {
                Some(origin) => self.full(Setting::Shared(namespace), origin, vec!["shared, as it says".into()]),
                None if namespace == Namespace::Net && self.plan.namespaces.joined.is_some() => {}
                None if self.plan.namespaces.joins(namespace) => {}
                None if namespace == Namespace::Net && self.plan.namespaces.named.is_some() => {
                    let by = "net namespace, which belongs to the user namespace of the network that is shared";
                    self.full(Setting::Private(namespace), &Origin::default(), vec![by.into()]);
                }
                None if self.plan.namespaces.private.contains(&namespace) => {
                    self.full(Setting::Private(namespace), &Origin::default(), vec![format!("{word} namespace")]);
                }
                None => {
                    let missing = vec![format!("this host has no {word} namespaces")];
                    self.line(Setting::Private(namespace), &Origin::default(), Vec::new(), missing);
                }
            }
        }
        if let Some(joined) = &self.plan.namespaces.joined {
            let origin = sandbox.origins.of("network.mode", "");
            let by = vec!["setns: the network namespace of that sandbox, in a user namespace below its own".into()];
            self.full(Setting::Joined(joined.pid), &origin, by);
        }
        for JoinedNamespace { namespace, pid, .. } in &self.plan.namespaces.joined_too {
            let origin = sandbox.namespaces.joined.get(namespace).map(|(_, origin)| origin.clone()).unwrap_or_default();
            let by =
                format!("setns: the {} namespace of that sandbox, in a user namespace below its own", namespace.word());
            self.full(Setting::JoinedNamespace(*namespace, *pid), &origin, vec![by]);
        }
        if let Some(named) = &self.plan.namespaces.named {
            let by = vec![format!("{HOLDER}, to whose bridge the sandbox's network is attached")];
            self.full(Setting::Named(named.name.clone()), &named.origin, by);
            for (name, origin) in &sandbox.named_network.aliases {
                self.full(Setting::Alias(name.clone()), origin, vec![format!("{HOLDER}, which {NAMES} asks")]);
            }
            if let Some((address, origin)) = &sandbox.named_network.ip6 {
                self.full(Setting::Ip6(*address), origin, vec![format!("{HOLDER}, which gives it to nobody else")]);
            }
        }
        let none = Origin::default();
        if !self.plan.namespaces.nested {
            let by = vec!["user.max_user_namespaces of the user namespace".into(), "seccomp".into()];
            self.full(Setting::NoNested, &none, by);
        }
        if sandbox.network == Network::None && self.plan.namespaces.loopback {
            let by = vec!["network namespace with a loopback interface alone".into()];
            let missing = self.kept_sockets();
            self.line(Setting::NoNetwork, &none, by, missing);
        }
    }

    fn process(&mut self, sandbox: &Sandbox) {
        let none = Origin::default();
        let ids = &self.plan.namespaces.ids;
        let writer = match &ids.writer {
            Writer::Helpers { .. } => "user namespace, mapped by newuidmap and newgidmap",
            Writer::Nobody => "the caller's ids",
            Writer::Child | Writer::Launcher => "user namespace",
        };
        let user = Setting::User { uid: ids.uid, gid: ids.gid };
        self.full(user, &sandbox.process.user_origin, vec![writer.into()]);
        if let Some(hostname) = &self.plan.namespaces.hostname {
            self.full(Setting::Hostname(hostname.clone()), &none, vec!["uts namespace".into()]);
        }
        if let Some(domainname) = &self.plan.namespaces.domainname {
            self.full(Setting::Domainname(domainname.clone()), &none, vec!["uts namespace".into()]);
        }
        if let Some(timeout) = self.plan.process.timeout {
            self.full(
                Setting::Timeout(timeout),
                &none,
                vec!["the launcher's clock: SIGTERM, then SIGKILL of PID 1".into()],
            );
        }
        self.full(Setting::Environment, &none, vec!["an environment of its own, passed to execve".into()]);
        if let Descriptors::Only(_) = self.plan.process.descriptors {
            let by = "read-only mounts, or the permissions of the files".into();
            self.full(Setting::ReadOnlyDescriptors, &none, vec![by]);
        }
        for limit in &sandbox.limits.list {
            let files = self.plan.resources.cgroup.iter().flat_map(|cgroup| &cgroup.files);
            let set = files.into_iter().find(|file| file.is_for(limit));
            let by = set.map(|file| format!("cgroup v2: {} = {}", file.file, file.value));
            let missing = self.plan.notes.iter().filter(|note| note.denies_limit(limit)).map(Note::to_string).collect();
            self.line(Setting::Limit(limit.name), &limit.origin, by.into_iter().collect(), missing);
        }
        for limit in &self.plan.resources.rlimits {
            let to_handler = |note: &&Note| limit.name == "core" && matches!(note, Note::CoreHandler { .. });
            let mut missing: Vec<_> = self.plan.notes.iter().filter(to_handler).map(Note::to_string).collect();
            let policy = self.plan.lockdown.syscalls.as_ref();
            if limit.name == "core" && limit.soft == Some(1) && !policy.is_some_and(super::syscalls::keeps_core_limit) {
                missing.push(
                    "the program may set it to 0, with which a program that the host's core_pattern names receives core dumps"
                        .into(),
                );
            }
            self.line(Setting::Rlimit(limit.name), &limit.origin, vec!["setrlimit".into()], missing);
        }
    }

    fn paths(&mut self, sandbox: &Sandbox) {
        let enforcement = Enforcement::of(self.plan);
        for rule in &sandbox.filesystem.paths {
            let (by, missing) = enforcement.rule(rule);
            self.line(Setting::Path(rule.path.clone(), rule.mode), &rule.origin, by, missing);
        }
        if let Some(union) = &self.plan.view.union {
            let setting = Setting::Upper(sandbox.filesystem.changes.to_string());
            self.full(setting, &sandbox.filesystem.changes_origin, vec![union.mechanism()]);
            if let Some((mechanism, origin)) = &sandbox.filesystem.mechanism {
                let by = match mechanism {
                    Mechanism::Overlay => "the kernel's overlay",
                    Mechanism::Fuse => "a FUSE filesystem of sbx's own",
                };
                self.full(Setting::Mechanism(*mechanism), origin, vec![by.into()]);
            }
            if let Some((size, origin)) = &sandbox.filesystem.upper_size {
                let by = match union.limit {
                    Some(_) => "the server of the FUSE union counts what changes take",
                    None => "a tmpfs of this size for upper layers",
                };
                self.full(Setting::UpperSize(*size), origin, vec![by.into()]);
            }
        }
        if let (Some(memory), Some((asked, origin))) = (&self.plan.view.memory, &sandbox.filesystem.memory) {
            self.full(Setting::Memory(*asked), origin, vec![memory.mechanism()]);
        }
        for device in &sandbox.devices {
            self.full(Setting::Device(device.name.clone()), &device.origin, vec!["bind mount of the device".into()]);
        }
    }

    /// What is reached from a network of the sandbox's own.
    fn rules(&mut self, sandbox: &Sandbox) {
        if self.plan.packet_rules.is_none() {
            return;
        }
        let filter = || "nf_tables in the sandbox's network, which the program has no right over".to_owned();
        let by = |rule: &NetworkRule| match rule.to {
            Destination::Name(_) => vec![format!("{}, for addresses that {NAMES} tells for the name", filter())],
            _ => vec![filter()],
        };
        let internet = [NetworkRule::internet()];
        let named = self.plan.namespaces.named.as_ref();
        let unsaid: &[NetworkRule] = if named.is_some_and(|named| named.internal) { &[] } else { &internet };
        for rule in sandbox.network_rules.allow.as_deref().unwrap_or(unsaid) {
            self.full(Setting::Reached(rule.to_string()), &rule.origin, by(rule));
        }
        for rule in &sandbox.network_rules.deny {
            match rule.to {
                Destination::Name(_) => {
                    let missing = "its addresses are reached where they are known otherwise, and allowed".to_owned();
                    let by = vec![format!("{NAMES}, which tells no address for it")];
                    self.line(Setting::Refused(rule.to_string()), &rule.origin, by, vec![missing]);
                }
                _ => self.full(Setting::Refused(rule.to_string()), &rule.origin, by(rule)),
            }
        }
        if let Some(named) = named {
            let peers = self.plan.packet_rules.as_ref().and_then(|rules| rules.peers.as_ref());
            if let Some(Peers { let_in: true, denied, .. }) = peers {
                let but = if denied.is_empty() { "" } else { ", but for what network.deny refuses" };
                let peers = format!("other sandboxes in the network `{}`, and these reach this one{but}", named.name);
                self.full(Setting::Reached(peers), &named.origin, vec![filter()]);
            }
            self.full(Setting::OwnAddress, &named.origin, vec![filter()]);
        }
        if let Some(asks) = &self.plan.asks {
            // By which, is found at the start.
            self.full(Setting::Asked, &asks.origin, vec![format!("{NAMES}, which has whoever asks wait for the user")]);
        }
        let missing = self.kept_sockets();
        self.line(Setting::RefusedElse, &sandbox.origins.of("network.mode", ""), vec![filter()], missing);
    }

    /// What goes around the sandbox's network.
    fn kept_sockets(&self) -> Vec<String> {
        let kept = self.plan.notes.iter().filter(|note| matches!(note, Note::KeptSockets(_)));
        kept.map(Note::to_string).collect()
    }

    fn services(&mut self, sandbox: &Sandbox) {
        if let Some(helper) = self.plan.namespaces.named.as_ref().and_then(|named| named.helper.as_ref()) {
            self.full(Setting::Helper(helper.setting), &helper.origin, vec![helper.mechanism()]);
        }
        // Relays are named by each of their ports.
        for helper in self.plan.helpers.iter().filter(|helper| helper.name != RELAY) {
            self.full(Setting::Helper(helper.setting), &helper.origin, vec![helper.mechanism()]);
        }
        if let (Some(private), Some(_)) = (sandbox.network.own(), &self.plan.packet_rules) {
            match &sandbox.name_servers {
                NameServers::Host => {}
                NameServers::None => {
                    let origin = sandbox.origins.of("network.dns", "");
                    let missing = "a program that knows a name server which it may reach asks it all the same";
                    let by = vec!["a resolv.conf of the sandbox's own".into()];
                    self.line(Setting::Helper("network.dns = \"none\""), &origin, by, vec![missing.into()]);
                }
                NameServers::Named(servers) => {
                    let forwards = self.plan.packet_rules.as_ref().is_some_and(|rules| rules.names.is_some());
                    for (server, origin) in servers {
                        let by = vec![match forwards {
                            true => format!("{NAMES}, which asks it"),
                            false => "a resolv.conf of the sandbox's own".to_owned(),
                        }];
                        self.full(Setting::NameServer(*server), origin, by);
                    }
                }
            }
            self.rules(sandbox);
            let setting = match private.on_helper_death {
                HelperDeath::End => "network.on_helper_death = \"end\"",
                HelperDeath::Report => "network.on_helper_death = \"report\"",
            };
            let by = match (&self.plan.namespaces.named, self.plan.network_helper()) {
                (None, Some(helper)) => vec![format!("a pidfd of {}", helper.name)],
                _ => vec![format!("a connection to {HOLDER}, which tells the end of the network")],
            };
            self.full(Setting::Helper(setting), &sandbox.origins.of("network.on_helper_death", ""), by);
        }
        for PortPlan { port, carrier } in &self.plan.ports {
            let by = match (carrier, self.plan.network_helper()) {
                (Carrier::Pasta | Carrier::Slirp4netns, Some(helper)) => helper.program.to_string(),
                _ => RELAY.to_owned(),
            };
            self.full(Setting::Published(port.to_string()), &port.origin, vec![by]);
        }
        for port in &self.plan.forwarded {
            self.full(Setting::Forwarded(port.to_string()), &port.origin, vec![RELAY.to_owned()]);
        }
        if self.plan.notes.contains(&Note::Offline) {
            let origin = sandbox.origins.of("network.mode", "");
            let missing = vec![Note::Offline.to_string()];
            self.line(Setting::Helper("network.mode = \"private\""), &origin, Vec::new(), missing);
        }
        let bind = || vec!["bind mount of the socket".to_owned()];
        if sandbox.desktop.x11 == X11::Host {
            self.full(Setting::Desktop("x11", "true"), &Origin::default(), bind());
        }
        if sandbox.services.git_identity {
            let missing = self.plan.notes.iter().filter(|note| matches!(note, Note::NoGitIdentity(_)));
            let missing: Vec<_> = missing.map(Note::to_string).collect();
            let origin = sandbox.origins.of("services.git-identity", "");
            let made = |part: &Placed| matches!(&part.op, Op::File { path, .. } if path.ends_with(".gitconfig") || path.ends_with(".config/git/config"));
            let by = match missing.is_empty() {
                true if self.plan.view.parts.iter().any(made) => vec!["a file in the home in memory".to_owned()],
                true => vec!["the home that is shown, or nothing".to_owned()],
                false => Vec::new(),
            };
            self.line(Setting::Service("git-identity", "true"), &origin, by, missing);
        }
        if sandbox.services.gpg_agent {
            let lacks = |note: &&Note| matches!(note, Note::NoGpgAgent { .. } | Note::NoKeyring);
            let missing: Vec<_> = self.plan.notes.iter().filter(lacks).map(Note::to_string).collect();
            let shown =
                |part: &Placed| matches!(&part.op, Op::Bind { path, .. } if path.ends_with("gnupg/S.gpg-agent"));
            let shown = self.plan.view.parts.iter().any(shown);
            let by = shown.then(|| "bind mount of the restricted socket".to_owned()).into_iter().collect();
            let origin = sandbox.origins.of("services.gpg-agent", "");
            self.line(Setting::Service("gpg-agent", "true"), &origin, by, missing);
        }
        let origin = || sandbox.origins.of("desktop.wayland", "");
        let not_shown = self.plan.notes.iter().find(|note| matches!(note, Note::CannotRestrict { .. }));
        match (sandbox.desktop.wayland, &self.plan.wayland, not_shown) {
            (Wayland::Off, ..) => {}
            (Wayland::Unrestricted, ..) => {
                self.full(Setting::Desktop("wayland", "\"unrestricted\""), &origin(), bind());
            }
            (Wayland::Restricted, Some(_), _) => {
                let by = vec!["wp_security_context_v1 of the compositor".to_owned()];
                self.full(Setting::Desktop("wayland", "true"), &origin(), by);
            }
            (Wayland::Restricted, None, Some(note)) => {
                self.line(Setting::Desktop("wayland", "true"), &origin(), Vec::new(), vec![note.to_string()]);
            }
            (Wayland::Restricted, None, None) => {
                self.full(Setting::Desktop("wayland", "true"), &origin(), bind());
            }
        }
    }

    fn security(&mut self, sandbox: &Sandbox) {
        let none = Origin::default();
        let names = |set: u64| -> Vec<&'static str> {
            let held = CAPABILITIES.iter().enumerate().filter(|(number, _)| set >> number & 1 == 1);
            held.map(|(_, name)| name.as_str()).collect()
        };
        let mut by = vec!["capset".to_owned(), "empty bounding set".into(), "securebits".into(), "no_new_privs".into()];
        if self.plan.lockdown.capabilities != CapabilityPlan::EMPTY {
            by = vec!["capset, bounding and ambient set".into(), "no_new_privs".into()];
        }
        if self.plan.namespaces.second_user_namespace {
            by.push("a second user namespace, without power over the view".into());
        }
        self.full(Setting::Capabilities(names(self.plan.lockdown.capabilities.ambient)), &none, by);
        if self.plan.lockdown.own_keyring {
            self.full(Setting::Keyring, &none, vec!["keyctl".into(), "seccomp".into()]);
        }
        if let Some(policy) = &self.plan.lockdown.syscalls {
            let length: usize = self.plan.lockdown.seccomp.iter().map(Vec::len).sum();
            let by = vec![format!("seccomp filter of {length} instructions")];
            self.full(Setting::Seccomp(policy.base), &none, by);
            if policy.arches.contains(&super::syscalls::Arch::X86) {
                let missing = "32-bit programs make sockets by socketcall(2), whose address family a filter cannot see: every family \
                               that an ordinary user may use is in reach";
                let missing =
                    if policy.base == super::syscalls::Base::Default { vec![missing.to_owned()] } else { Vec::new() };
                self.line(Setting::X86, &none, vec!["seccomp filter".into()], missing);
            }
            let by = || vec!["seccomp filter".to_owned()];
            for (name, origin) in &sandbox.security.syscalls.allow {
                self.full(Setting::Allowed(name.clone()), origin, by());
            }
            for (name, origin) in &sandbox.security.syscalls.deny {
                self.full(Setting::Denied(name.clone()), origin, by());
            }
            let given = match policy.setuid_bits {
                true => Vec::new(),
                false => super::syscalls::giving_setuid_bits(policy),
            };
            let missing =
                (!given.is_empty()).then(|| format!("security.syscalls.allow lifts it for {}", given.join(", ")));
            let setting = Setting::SetuidBits(policy.setuid_bits);
            self.line(setting, &sandbox.security.setuid_bits_origin, by(), missing.into_iter().collect());
        }
        let origin = &sandbox.security.landlock_origin;
        match &self.plan.lockdown.landlock {
            Err(why) => self.line(Setting::Landlock, origin, Vec::new(), vec![why.clone()]),
            Ok(landlock) => {
                let by = vec![format!("Landlock version {}, {} rules", landlock.version, landlock.rules.len())];
                self.line(Setting::Landlock, origin, by, landlock.missing());
            }
        }
        let tcp = self.plan.lockdown.landlock.as_ref().ok();
        let tcp = tcp.and_then(|landlock| Some((landlock.version, landlock.tcp_words()?)));
        let lacks = self.plan.notes.iter().find(|note| matches!(note, Note::NoLandlockTcp { .. }));
        if tcp.is_some() || lacks.is_some() {
            let by = tcp.map(|(version, words)| format!("Landlock version {version}: {words}"));
            let origin = sandbox.origins.of("security.landlock_tcp", "");
            let missing = lacks.map(Note::to_string).into_iter().collect();
            self.line(Setting::LandlockTcp, &origin, by.into_iter().collect(), missing);
        }
    }
}
