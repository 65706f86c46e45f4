//! The host's side: runs the sandbox with the probes, and judges their results.

use super::facts::{Facts as Handed, Granted, Outside, Place, Told, Verdict};
use super::fixture::Host;
use super::probes::{self, GROUPS};
use super::{INSIDE, Line, Outcome, Report};
use crate::error::{Error, Result};
use crate::host::{self, Facts};
use crate::launch::{self, Events};
use crate::netfilter::HostAddresses;
use crate::plan::syscalls::{self, Arch, Base, Check, Decision};
use crate::plan::{self, Op, Plan, RulePlan};
use crate::spec::{
    Address, BusPolicy, Changes, Descriptors, Mode, Network, Options, Origin, PathRule, Promise, Protocol, Sandbox,
    Service, Subnet, Subnets, Tty, Wayland, X11,
};
use crate::sys::{self, Errno, UnownedFd};
use std::io::{Read, Seek};
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::Duration;

/// Numbers of the descriptors of the program's file, the facts and the results inside. None of them is in use here.
const NUMBERS: [RawFd; 3] = [100, 101, 102];

/// Runs all probes in a sandbox, and judges their results.
pub fn run(mut sandbox: Sandbox, mut facts: Facts) -> Result<Report> {
    let system = |what: &'static str| move |errno: Errno| Error::new(format!("{what}: {errno}"));
    let program = sys::openat(sys::cwd(), c"/proc/self/exe", libc::O_RDONLY, 0).map_err(system("cannot open sbx"))?;
    let handed = sys::memory_file(c"facts").map_err(system("memfd_create"))?;
    let results = sys::memory_file(c"results").map_err(system("memfd_create"))?;
    let number = |index: usize| NUMBERS.get(index).map_or_else(String::new, RawFd::to_string).into();
    sandbox.process.args = vec![INSIDE.into(), number(1), number(2), number(0)];
    sandbox.process.program_fd = Some(NUMBERS[0]);
    sandbox.process.descriptors = Descriptors::Only(NUMBERS.to_vec());
    sandbox.process.tty = Tty::None;
    sandbox.process.timeout = Some(Duration::from_secs(300));
    // What the probes do must not stay in a layer of the user's.
    sandbox.filesystem.changes = Changes::Discard;
    let mut host = Host::new(&facts)?;
    let mut plan = match shown(&host, &sandbox, &facts) {
        Some((with, looked, plan)) => {
            (sandbox, facts) = (with, looked);
            plan
        }
        // The profile has no room for the self-test's files: probes of those are not run.
        None => {
            host.forget_fixture();
            plan::plan(&sandbox, &facts)?
        }
    };
    // The user does not answer what a test asks for.
    plan.asks = None;
    let granted = granted(&sandbox, &plan, &host.facts);
    host.look(&facts, &sandbox, &plan, &granted);
    host.hand_over();
    let known = Handed { outside: host.facts.clone(), granted, ..Handed::default() };
    let text = serde_json::to_string(&known).map_err(|error| {
        Error::new(format!("cannot tell the program inside what to look for: {error}"))
            .hint("JSON is UTF-8 text, and so must be the paths in it: start in a directory whose name is")
    })?;
    sys::write_all(handed.as_fd(), text.as_bytes()).map_err(system("write"))?;
    let held = [program, handed].into_iter().zip(NUMBERS).map(|(fd, number)| place(fd, number));
    let _held: Vec<OwnedFd> = held.collect::<std::result::Result<_, _>>().map_err(system("dup2"))?;
    let mut results = std::fs::File::from(results);
    sys::dup2(results.as_fd(), UnownedFd::new(NUMBERS[2])).map_err(system("dup2"))?;
    let outcome = launch::run(&plan, &mut Silent)?;
    let left = host.facts.fixture.as_ref().map(|dir| next_start(&sandbox, &facts, &known.granted, dir));
    let changed = host.facts.fixture.as_ref().map(|dir| changed_below(dir, &host.facts.secret));
    drop(host);
    let mut text = String::new();
    results
        .rewind()
        .and_then(|()| results.read_to_string(&mut text))
        .map_err(|error| Error::new(format!("cannot read what the self-test tells: {}", Errno::from(error))))?;
    let mut told: Vec<Told> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if told.is_empty() {
        return Err(Error::new(format!("the self-test told nothing, and ended with {outcome:?}")));
    }
    let told_left = told.iter_mut().find(|told| told.id == probes::LINK_LEFT);
    if let (Some(Told { verdict: verdict @ Verdict::Open(_), .. }), Some(left)) = (told_left, left) {
        *verdict = left;
    }
    let told_overlay = told.iter_mut().find(|told| told.id == probes::OVERLAY_THROUGH);
    if let (Some(Told { verdict: verdict @ Verdict::Open(_), .. }), Some(changed)) = (told_overlay, changed) {
        *verdict = changed;
    }
    Ok(report(told, &known.granted))
}

/// The verdict on what a program has done in the overlay of the fixture `dir`: whether the host's files there are as they
/// were.
fn changed_below(dir: &Path, secret: &str) -> Verdict {
    let over = dir.join(probes::OVERLAY);
    let names = std::fs::read_dir(&over).map_or(0, |entries| entries.flatten().count());
    match std::fs::read_to_string(over.join("file")) {
        Ok(text) if text == *secret && names == 1 => Verdict::Closed("the host's files are as they were".into()),
        Ok(_) => Verdict::Open(format!("what was done reached {} on the host", over.display())),
        Err(error) => Verdict::Open(format!("{} on the host: {}", over.join("file").display(), Errno::from(error))),
    }
}

/// The verdict on a link that a program has left in a writable directory of the fixture `dir`: what the next start does
/// if its profile names the link's path.
fn next_start(sandbox: &Sandbox, facts: &Facts, granted: &Granted, dir: &Path) -> Verdict {
    if granted.shows(&dir.join(probes::SECRET)) {
        return Verdict::Shared("the profile shows what the link leads to, too".into());
    }
    let link = dir.join(probes::LEFT);
    let mut sandbox = sandbox.clone();
    let origin = Origin("the self-test".into());
    let rule = PathRule::new(link.clone(), Mode::Ro, Options::default(), origin);
    sandbox.filesystem.add([rule]);
    let facts = host::probe(&sandbox, facts.env.clone(), facts.cwd.clone(), facts.accounts.clone());
    match plan::plan(&sandbox, &facts) {
        Ok(_) => Verdict::Open(format!("{} is shown by way of the link", link.display())),
        Err(error) => Verdict::Closed(format!("the next start refuses it: {}", error.message)),
    }
}

/// The sandbox with the files of the self-test in its view, if the plan has room for them.
fn shown(host: &Host, sandbox: &Sandbox, facts: &Facts) -> Option<(Sandbox, Facts, Plan)> {
    let mut sandbox = sandbox.clone();
    let dir = host.facts.fixture.as_ref()?;
    let modes = [
        (probes::RO, Mode::Ro),
        (probes::RW, Mode::Rw),
        (probes::INNER, Mode::Ro),
        (probes::MASKED, Mode::Masked),
        (probes::DENIED, Mode::Deny),
    ];
    // Not where the profile has no overlay: the host may have none, and the sandbox would not start.
    let overlay = facts.union.is_some().then_some((probes::OVERLAY, Mode::Overlay));
    let rules = modes.into_iter().chain(overlay).map(|(name, mode)| {
        let origin = Origin("the self-test".into());
        // Where nested mounts may undo these modes they are only preferred; their probes are still run, and give
        // `shared`.
        let options = Options { prefer: sandbox.namespaces.mounts, ..Options::default() };
        PathRule::new(dir.join(name), mode, options, origin)
    });
    let rules: Vec<_> = rules.collect();
    sandbox.filesystem.add(rules);
    let looked = host::probe(&sandbox, facts.env.clone(), facts.cwd.clone(), facts.accounts.clone());
    let plan = plan::plan(&sandbox, &looked).ok()?;
    Some((sandbox, looked, plan))
}

/// The report: the probes' results, judged by what the profile grants.
fn report(mut told: Vec<Told>, granted: &Granted) -> Report {
    let mut verdict = |id: &str| match told.iter().position(|told| told.id == id) {
        Some(at) => told.swap_remove(at).verdict,
        None => Verdict::NotRun("it told nothing".into()),
    };
    let mut lines = Vec::new();
    for (group, probes) in GROUPS {
        for probe in *probes {
            let (outcome, detail) = judged(verdict(probe.id), (probe.granted)(granted));
            lines.push(Line { id: probe.id.to_owned(), group, title: probe.title.to_owned(), outcome, detail });
        }
    }
    for (index, (kind, value)) in granted.asserts.iter().enumerate() {
        let id = super::assertion(index);
        let (outcome, detail) = judged(verdict(&id), None);
        lines.push(Line { id, group: probes::ASSERTS, title: probes::assertion_title(kind, value), outcome, detail });
    }
    Report { lines }
}

fn judged(verdict: Verdict, granted: Option<&str>) -> (Outcome, String) {
    match (verdict, granted) {
        (Verdict::Closed(how), _) => (Outcome::Held, how),
        (Verdict::Shared(what), _) => (Outcome::Shared, what),
        (Verdict::Open(what), Some(why)) => (Outcome::Shared, format!("{what} ({why})")),
        (Verdict::Open(what), None) => (Outcome::Failed, what),
        (Verdict::NotRun(why), _) => (Outcome::NotRun, why),
    }
}

/// Gives a descriptor this number.
fn place(fd: OwnedFd, number: RawFd) -> sys::Result<OwnedFd> {
    if fd.as_raw_fd() == number {
        return Ok(fd);
    }
    let place = UnownedFd::new(number);
    sys::dup2(fd.as_fd(), place)?;
    place.adopt()
}

/// What the profile grants, as the plan has it.
fn granted(sandbox: &Sandbox, plan: &Plan, outside: &Outside) -> Granted {
    let place = |op: &Op| {
        let (host, writable, devices) = match op {
            // A private home that is kept is no file of the host's to the program.
            Op::Bind { source, .. } if plan.view.home.as_ref().is_some_and(|home| home.dir() == *source) => {
                (false, true, false)
            }
            Op::Bind { attributes, .. } => (true, !attributes.ro, !attributes.nodev),
            Op::Layers { .. } => (true, false, false),
            Op::Cgroup { ro, .. } => (false, !ro, false),
            Op::Tmpfs { .. } | Op::Devpts { .. } | Op::Proc { .. } | Op::Mqueue { .. } => (false, true, false),
            Op::Dir { .. } | Op::File { .. } | Op::Mask { .. } => (false, false, false),
            _ => return None,
        };
        Some(Place {
            path: op.path().to_owned(),
            host,
            source: match op {
                Op::Bind { source, .. } => Some(source.clone()),
                Op::Layers { lower, .. } => lower.first().cloned(),
                _ => None,
            },
            writable,
            devices,
            overlay: matches!(op, Op::Layers { ro: false, .. }),
        })
    };
    let rules = plan.packet_rules.as_ref();
    let peers = rules.and_then(|rules| rules.peers.as_ref()).map(|peers| last_machines(peers.subnet));
    let peers = peers.unwrap_or_default();
    let host = HostAddresses::of(&outside.networks, &sys::routes().unwrap_or_default());
    Granted {
        shared: sandbox.namespaces.share.keys().map(|namespace| namespace.word().to_owned()).collect(),
        network: sandbox.network == Network::Host,
        outside: matches!(sandbox.network, Network::Host | Network::Joined(_)) || plan.network_helper().is_some(),
        metadata: rules.is_some_and(|rules| rules.reaches([169, 254, 169, 254].into(), &host)),
        shared_network: plan.namespaces.named.is_some(),
        by_name: rules.and_then(|rules| rules.names.as_ref()).is_some_and(|names| names.has_names()),
        reached: rules.map(|rules| reached(rules, outside, &peers, &host)).unwrap_or_default(),
        peers,
        tcp: plan.lockdown.landlock.as_ref().ok().and_then(|landlock| landlock.tcp.clone()),
        nested: plan.namespaces.nested,
        mounts: plan.namespaces.mounts,
        plain_proc: plan.view.parts.iter().any(|placed| match &placed.op {
            Op::Proc { masked, .. } => !masked,
            Op::Bind { path, .. } => path == Path::new("/proc"),
            _ => false,
        }),
        x11: sandbox.desktop.x11 == X11::Host,
        wayland: sandbox.desktop.wayland != Wayland::Off,
        wayland_unrestricted: sandbox.desktop.wayland == Wayland::Unrestricted,
        sound: sandbox.desktop.sound.iter().cloned().collect(),
        gpg_agent: sandbox.services.gpg_agent,
        session_bus: match sandbox.session_bus.policy {
            BusPolicy::None => "none",
            BusPolicy::Filter => "filter",
            BusPolicy::Host => "host",
        }
        .into(),
        capabilities: plan.lockdown.capabilities.ambient,
        calls: calls(plan),
        memory: sandbox.filesystem.memory.as_ref().map(|(size, _)| *size),
        no_core: plan.resources.rlimits.iter().any(|limit| limit.name == "core" && limit.soft == Some(1))
            && plan.lockdown.syscalls.as_ref().is_some_and(syscalls::keeps_core_limit),
        setuid_bits: plan
            .lockdown
            .syscalls
            .as_ref()
            .is_none_or(|policy| !syscalls::giving_setuid_bits(policy).is_empty()),
        arches: arches(plan),
        asserts: sandbox.asserts.iter().map(|assert| (kind(assert.promise).to_owned(), assert.of.clone())).collect(),
        view: plan.view.parts.iter().filter_map(|placed| place(&placed.op)).collect(),
    }
}

/// The last addresses of a network that sandboxes share: those that are given out last.
fn last_machines(Subnets { v4, v6 }: Subnets) -> Vec<IpAddr> {
    of_family(v4).chain(v6.into_iter().flat_map(of_family)).collect()
}

fn of_family<A: Address>(subnet: Subnet<A>) -> impl Iterator<Item = IpAddr> {
    let numbers = (1..=subnet.machines()).rev().take(2);
    numbers.filter_map(move |number| subnet.machine(number)).map(Into::into)
}

/// What is reached under these rules of what the probes send to, by its names.
fn reached(rules: &RulePlan, outside: &Outside, peers: &[IpAddr], host: &HostAddresses) -> Vec<String> {
    let own = outside.networks.iter().map(|(address, _)| ("host", *address));
    let neighbours = outside.neighbours.iter().map(|address| ("neighbours", *address));
    let all = own.chain(neighbours).chain(probes::near());
    let all = all.filter(|(_, address)| rules.reaches(*address, host));
    let datagrams = |port: u16| Service { protocol: Some(Protocol::Udp), ports: Some((port, port)) };
    let sent = probes::destinations(peers).into_iter();
    let sent = sent.filter(|(_, address, port)| rules.lets_through(*address, datagrams(*port), host));
    let names = all.map(|(name, _)| name).chain(sent.map(|(name, ..)| name));
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

/// The key of an `[assert]` line in a profile.
fn kind(promise: Promise) -> &'static str {
    match promise {
        Promise::CannotRead => "cannot_read",
        Promise::CannotWrite => "cannot_write",
        Promise::CannotReach => "cannot_reach",
    }
}

/// System calls that the seccomp filter allows whatever their arguments are; `personality` where it may fix addresses,
/// and families of sockets where the arguments of `socket` are not checked.
fn calls(plan: &Plan) -> Vec<String> {
    let Some(policy) = &plan.lockdown.syscalls else { return Vec::new() };
    let mut calls: Vec<&str> = syscalls::allowed(policy, Arch::NATIVE).collect();
    let personality = syscalls::decide(policy, "personality");
    if matches!(personality, Ok(Decision::Check(Check::Personality { fixed_addresses: true, .. }))) {
        calls.push("personality");
    }
    if calls.contains(&"socket") {
        calls.extend(["vsock", "alg"]);
    }
    calls.into_iter().map(str::to_owned).collect()
}

/// Architectures other than the machine's own whose system calls the filter allows.
fn arches(plan: &Plan) -> Vec<String> {
    let word = |arch: &Arch| match arch {
        Arch::X86 => Some("x86".to_owned()),
        Arch::Arm => Some("arm".to_owned()),
        Arch::X86_64 | Arch::Aarch64 => None,
    };
    match &plan.lockdown.syscalls {
        Some(policy) if policy.base == Base::Off => ["x86", "x32", "arm"].map(str::to_owned).to_vec(),
        Some(policy) => policy.covered().iter().filter_map(word).collect(),
        None => Vec::new(),
    }
}

/// Ignores the events of the self-test's sandbox.
struct Silent;

impl Events for Silent {
    fn wants_start(&self) -> bool {
        false
    }
    fn started(&mut self, _pid: i32) {}
    fn note(&mut self, _note: &str) {}
    fn exited(&mut self, _outcome: &launch::Outcome) {}
    fn descriptors(&self) -> Vec<RawFd> {
        Vec::new()
    }
}
