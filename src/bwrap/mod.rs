//! `sbx-bwrap`: bubblewrap's command line, turned into the same [`Sandbox`] that every other run is planned from.

mod options;
mod report;
mod sandbox;
mod table;
mod values;
mod wording;

pub use options::{CapabilityChange, Inputs, Options, Shown, parse};
pub use sandbox::{Caller, sandbox};
pub use table::{Entry, OPTIONS};

use crate::error::{Error, Result};
use crate::exit;
use crate::host::Elevation;
use crate::launch::{self, Outcome};
use crate::plan::{self, Plan};
use crate::spec::{Namespace, Sandbox};
use crate::sys::{self, Errno, UnownedFd};
use report::Report;
use std::ffi::OsString;
use std::mem::ManuallyDrop;
use std::path::PathBuf;

/// The release of bubblewrap whose options these are. Callers compare it with the version that they need.
const VERSION: &str = "bubblewrap 0.13.1\n";

/// The exit status of every failure before the program runs, as in bubblewrap.
const FAILED: u8 = 1;

/// The program's entry, with its arguments, its name among them; gives its exit status.
pub fn main(args: Vec<OsString>) -> u8 {
    if let Some(error) = elevated() {
        say(&wording::text(&error, None, None, ""));
        return FAILED;
    }
    let mut args = args.into_iter();
    let name = args.next().unwrap_or_else(|| "bwrap".into());
    let args: Vec<OsString> = args.collect();
    let mut options = Options { environment: std::env::vars_os().collect(), ..Options::default() };
    let parsed = if args.is_empty() { Ok(()) } else { parse(args, &mut Own, &mut options) };
    for (prefix, warning) in &options.warnings {
        say(&format!("{}bwrap: {}\n", if *prefix { "<4>" } else { "" }, crate::error::printable(warning)));
    }
    let prefix = if options.level_prefix { "<3>" } else { "" };
    if let Err(error) = parsed {
        say(&wording::text(&error, None, None, prefix));
        return FAILED;
    }
    let help = || table::help(&name.to_string_lossy());
    match options.shown {
        Some(Shown::Help) => return show(&help()),
        Some(Shown::Version) => return show(VERSION),
        Some(Shown::OldestKernel) => {
            let (major, minor) = plan::KERNEL_FLOOR;
            return show(&format!("{major}.{minor}.0\n"));
        }
        None => {}
    }
    if options.command.is_empty() {
        say(&help());
        return FAILED;
    }
    sys::phase("arguments");
    run(options, prefix)
}

/// Reads this process's own descriptors.
struct Own;

impl Inputs for Own {
    fn read(&mut self, fd: i32) -> std::result::Result<Vec<u8>, Errno> {
        use std::io::Read;
        let mut data = Vec::new();
        let mut file = std::fs::File::from(UnownedFd::new(fd).adopt()?);
        file.read_to_end(&mut data).map_err(Errno::from)?;
        Ok(data)
    }
}

fn say(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn show(text: &str) -> u8 {
    use std::io::Write;
    let mut out = std::io::stdout();
    let shown = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match shown {
        Ok(()) => 0,
        Err(error) => {
            if error.kind() != std::io::ErrorKind::BrokenPipe {
                let message = format!("cannot write to standard output: {}", Errno::from(error));
                say(&wording::text(&crate::error::Error::new(message), None, None, ""));
            }
            FAILED
        }
    }
}

/// The error if this process has rights that its caller has not, in bubblewrap's words where it has some.
fn elevated() -> Option<Error> {
    let elevation = Elevation::of_this_process()?;
    let message = match elevation {
        Elevation::UserId => "setuid use of bubblewrap is not supported".to_owned(),
        Elevation::Capabilities => "Unexpected capabilities but not setuid, old file caps config?".to_owned(),
        other => format!("rights that the caller has not are not supported: {}", other.cause()),
    };
    Some(values::refused(message, elevation.fix()))
}

/// Facts about the caller. Capabilities of a caller who is not root are an error, as in bubblewrap.
fn caller(options: &Options) -> Result<Caller> {
    let (uid, gid) = sys::ids();
    let capabilities = sys::effective_capabilities().unwrap_or(0);
    if uid != 0 && capabilities != 0 {
        let message = "Unexpected capabilities but not setuid, old file caps config?";
        return Err(values::refused(
            message.into(),
            "drop the caller's capabilities: setpriv --inh-caps=-all --ambient-caps=-all",
        ));
    }
    Ok(Caller {
        uid,
        gid,
        capabilities,
        cwd: sandbox::current_directory(&options.environment),
        terminal: sys::is_terminal(sys::STREAMS[1]).then(|| std::fs::read_link("/proc/self/fd/1").ok()).flatten(),
        user_namespaces: !options.unshare_user_try || crate::host::has_user_namespaces(),
        cgroup_namespaces: !(options.unshare_cgroup || options.unshare_cgroup_try)
            || crate::host::has_namespace(Namespace::Cgroup),
        selinux: (options.exec_label.is_some() || options.file_label.is_some())
            && std::path::Path::new("/sys/fs/selinux/enforce").exists(),
        ends_background: sandbox::ends_background(std::env::var_os(sandbox::BACKGROUND).as_deref())?,
        is_open: |fd| UnownedFd::new(fd).flags().is_ok(),
    })
}

fn run(options: Options, prefix: &'static str) -> u8 {
    let mut known = (None, None);
    let mut report = report(&options, prefix);
    match sandboxed(options, &mut report, &mut known) {
        Ok(outcome) => {
            // As bubblewrap, which dies of signals: a caller that sends one, or a shell whose user types ^C, looks for that.
            if let Outcome::Signaled(signal) = outcome
                && report.has_signal(signal)
            {
                sys::die_by(signal);
            }
            outcome.end()
        }
        Err(error) => {
            let signal = i32::from(error.status) - i32::from(exit::SIGNALED);
            if report.has_signal(signal) {
                sys::die_by(signal);
            }
            say(&wording::text(&error, known.0.as_deref(), known.1.as_deref(), prefix));
            FAILED
        }
    }
}

/// The sandbox and the plan, as far as known, for the wording of an error. Never dropped, since the caller waits.
type Known = (Option<ManuallyDrop<Sandbox>>, Option<ManuallyDrop<Plan>>);

/// What is to be reported of the sandbox that these options describe.
fn report(options: &Options, prefix: &'static str) -> Report {
    let namespaces = [
        ("cgroup", options.unshare_cgroup || options.unshare_cgroup_try),
        ("ipc", options.unshare_ipc),
        ("mnt", true),
        ("net", options.unshare_net),
        ("pid", options.unshare_pid),
        ("uts", options.unshare_uts),
    ];
    Report {
        info: options.info_fd,
        status: options.json_status_fd,
        namespaces: namespaces.into_iter().filter(|(_, private)| *private).map(|(name, _)| name).collect(),
        started: false,
        parts: Vec::new(),
        signals: 0,
        prefix: if prefix.is_empty() { "" } else { "<4>" },
    }
}

fn sandboxed(mut options: Options, report: &mut Report, known: &mut Known) -> Result<Outcome> {
    let caller = caller(&options)?;
    let filter = match options.seccomp {
        Some(fd) => Some(options::seccomp_data(&mut Own, fd)?),
        None => None,
    };
    let home = options.environment.iter().find(|(name, _)| name == "HOME").map(|(_, value)| PathBuf::from(value));
    options.sync_fds.dedup();
    let sandbox = known.0.insert(ManuallyDrop::new(sandbox(options, filter, &caller)?));
    sys::phase("spec");
    let facts = crate::host::probe_bare(sandbox, caller.cwd, home.unwrap_or_else(|| "/".into()));
    sys::phase("host");
    let plan = known.1.insert(ManuallyDrop::new(plan::plan(sandbox, &facts)?));
    sys::phase("plan");
    report.parts = plan.view.parts.iter().map(|placed| placed.op.path().display().to_string()).collect();
    match launch::run(plan, report) {
        Err(error) if error.refused => {
            // The kernel refused: the host's settings tell why.
            let facts = facts.with_settings();
            match plan::plan(sandbox, &facts) {
                Ok(_) => Err(launch::explain(error, plan, &facts)),
                Err(why) => Err(Error { cause: error.cause, ..why }),
            }
        }
        other => other.map_err(|error| launch::explain(error, plan, &facts)),
    }
}
