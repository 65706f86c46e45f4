//! The other side: what the tries are to find, the sandbox that they run in, and what is made of what they tell.

use super::facts::{Facts as Handed, Granted, Outside, Told, Verdict};
use super::probes::PROBES;
use super::{INSIDE, Line, Outcome, Report};
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::launch::{self, Events};
use crate::plan::{self, Op, Plan};
use crate::spec::{BusPolicy, Descriptors, Network, Sandbox, Tty};
use crate::sys::{self, Errno};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// The numbers that the program itself, the facts and the results have inside.
const NUMBERS: [RawFd; 3] = [10, 11, 12];

/// Runs everything in the sandbox.
pub fn run(mut sandbox: Sandbox, facts: Facts) -> Result<Report> {
    let host = Host::new()?;
    let system = |what: &'static str| move |errno: Errno| Error::new(format!("{what}: {errno}"));
    let program = sys::openat(sys::cwd(), c"/proc/self/exe", libc::O_RDONLY, 0).map_err(system("cannot open sbx"))?;
    let handed = sys::memory_file(c"facts").map_err(system("memfd_create"))?;
    let results = sys::memory_file(c"results").map_err(system("memfd_create"))?;
    sandbox.process.args = vec![INSIDE.into(), NUMBERS[1].to_string().into(), NUMBERS[2].to_string().into()];
    sandbox.process.program_fd = Some(NUMBERS[0]);
    sandbox.process.descriptors = Descriptors::Only(NUMBERS.to_vec());
    sandbox.process.tty = Tty::None;
    sandbox.process.timeout = Some(Duration::from_secs(300));
    let plan = plan::plan(&sandbox, &facts)?;
    let known = Handed { outside: host.facts.clone(), granted: granted(&sandbox, &plan) };
    let text = serde_json::to_string(&known).map_err(|error| Error::new(format!("facts: {error}")))?;
    sys::write_all(handed.as_fd(), text.as_bytes()).map_err(system("write"))?;
    let held = [program, handed].into_iter().zip(NUMBERS).map(|(fd, number)| place(fd, number));
    let _held: Vec<OwnedFd> = held.collect::<std::result::Result<_, _>>().map_err(system("dup2"))?;
    let mut results = std::fs::File::from(results);
    sys::dup2(results.as_raw_fd(), NUMBERS[2]).map_err(system("dup2"))?;
    let outcome = launch::run(&plan, &mut Silent)?;
    let mut text = String::new();
    results
        .rewind()
        .and_then(|()| results.read_to_string(&mut text))
        .map_err(|error| Error::new(format!("cannot read what the self-test tells: {}", Errno::from(error))))?;
    drop(host);
    let mut told: Vec<Told> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if told.is_empty() {
        return Err(Error::new(format!("the self-test told nothing, and ended with {outcome:?}")));
    }
    let lines = PROBES.iter().map(|probe| {
        let verdict = match told.iter().position(|told| told.id == probe.id) {
            Some(at) => told.swap_remove(at).verdict,
            None => Verdict::NotRun("it told nothing".into()),
        };
        let (outcome, detail) = match (verdict, (probe.granted)(&known.granted)) {
            (Verdict::Closed(how), _) => (Outcome::Held, how),
            (Verdict::Open(what), Some(why)) => (Outcome::Shared, format!("{what} ({why})")),
            (Verdict::Open(what), None) => (Outcome::Failed, what),
            (Verdict::NotRun(why), _) => (Outcome::NotRun, why),
        };
        Line { id: probe.id.to_owned(), group: probe.group, title: probe.title.to_owned(), outcome, detail }
    });
    Ok(Report { lines: lines.collect() })
}

/// Gives a descriptor this number.
fn place(fd: OwnedFd, number: RawFd) -> sys::Result<OwnedFd> {
    if fd.as_raw_fd() == number {
        return Ok(fd);
    }
    sys::dup2(fd.as_raw_fd(), number)?;
    sys::adopt(number)
}

/// What the profile lets in, as the plan has it.
fn granted(sandbox: &Sandbox, plan: &Plan) -> Granted {
    let binds = |writable: bool| {
        let shown = plan.view.iter().filter_map(move |placed| match &placed.op {
            Op::Bind { path, attributes, .. } if !writable || !attributes.ro => Some(path.display().to_string()),
            _ => None,
        });
        shown.collect()
    };
    Granted {
        shared: sandbox.namespaces.share.keys().map(|namespace| namespace.word().to_owned()).collect(),
        network: sandbox.network == Network::Host,
        nested: plan.nested,
        x11: sandbox.desktop.x11,
        session_bus: match sandbox.session_bus.policy {
            BusPolicy::None => "none",
            BusPolicy::Filter => "filter",
            BusPolicy::Host => "host",
        }
        .into(),
        capabilities: plan.capabilities.ambient,
        writable: binds(true),
        shown: binds(false),
        asserts: Vec::new(),
    }
}

/// Nobody is told.
struct Silent;

impl Events for Silent {
    fn started(&mut self, _pid: i32) {}
    fn note(&mut self, _note: &str) {}
    fn exited(&mut self, _outcome: &launch::Outcome) {}
    fn descriptors(&self) -> Vec<RawFd> {
        Vec::new()
    }
}

/// What is made outside for the tries to find. It is gone with this.
struct Host {
    facts: Outside,
    process: i32,
    lifeline: Option<OwnedFd>,
    _root: OwnedFd,
}

impl Host {
    fn new() -> Result<Host> {
        let system = |what: &'static str| move |errno: Errno| Error::new(format!("{what}: {errno}"));
        let root = sys::openat(sys::cwd(), c"/", libc::O_RDONLY | libc::O_DIRECTORY, 0).map_err(system("open /"))?;
        // As a careless caller leaves it: the sandbox has to close it.
        sys::set_cloexec(root.as_raw_fd(), false).map_err(system("fcntl"))?;
        let (waits, lifeline) = sys::pipe().map_err(system("pipe"))?;
        let process = match sys::fork().map_err(system("fork"))? {
            Some(pid) => pid,
            None => {
                drop(lifeline);
                let _ = std::fs::write("/proc/self/comm", "sbx-outside");
                let _ = sys::read(waits.as_fd(), &mut [0; 1]);
                sys::exit_now(0)
            }
        };
        let facts = Outside { process, descriptor: root.as_raw_fd(), ..Outside::default() };
        Ok(Host { facts, process, lifeline: Some(lifeline), _root: root })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It sees the end of the pipe, and ends.
        drop(self.lifeline.take());
        let _ = sys::wait_for(self.process);
        let _ = std::io::stdout().flush();
    }
}
