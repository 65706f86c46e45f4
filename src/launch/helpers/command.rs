//! The one place where programs are started outside of the sandbox.

use crate::plan::HelperProgram;
use crate::sys;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Variables that programs of the host are given, with the caller's values. No others: many name files whose code is
/// loaded (LD_PRELOAD, GIO_EXTRA_MODULES), and may lead to a directory that somebody else wrote.
const PASSED: [&str; 5] = ["DBUS_SESSION_BUS_ADDRESS", "HOME", "LOGNAME", "USER", "XDG_RUNTIME_DIR"];

/// A program of the host, to be started without standard input, in the root directory and a process group of its own.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).current_dir("/").process_group(0);
    command.env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").env("LC_ALL", "C.UTF-8");
    command.envs(PASSED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command
}

/// The program of a helper; sbx itself is started with an empty environment.
pub(super) fn helper(program: &HelperProgram) -> Command {
    match program {
        HelperProgram::Host(path) => command(path),
        HelperProgram::Own(name) => {
            let mut command = command(Path::new("/proc/self/exe"));
            command.arg0(name).env_clear();
            command
        }
    }
}

/// Becomes sbx with this argument 0, these further ones, and an empty environment. Returns only if that failed.
pub(in crate::launch) fn become_own(name: &'static str, words: &[String]) -> sys::Errno {
    let mut command = helper(&HelperProgram::Own(name));
    command.args(words).stdout(Stdio::null()).stderr(Stdio::null());
    command.exec().into()
}

/// Variables besides [`PASSED`] that a program needs to show something to the user.
const OF_THE_DISPLAY: [&str; 8] = [
    "DESKTOP_SESSION",
    "DISPLAY",
    "LANG",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_CURRENT_DESKTOP",
    "XDG_SESSION_TYPE",
    "XDG_SESSION_ID",
];

/// Starts a program of the host that asks the user a question, as ssh(1) has it ask: its success means yes. It ends with
/// this process. Gives its pidfd.
pub(in crate::launch) fn ask(program: &Path, question: &str) -> sys::Result<OwnedFd> {
    let mut command = command(program);
    command.arg(question).env("SSH_ASKPASS_PROMPT", "confirm").stdout(Stdio::null()).stderr(Stdio::null());
    command.envs(OF_THE_DISPLAY.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    let launcher = sys::pid();
    let pid = sys::fork(|| {
        if sys::set_parent_death_signal(libc::SIGKILL).is_ok() && sys::parent_pid() == launcher {
            let _ = command.exec();
        }
        1
    })?;
    // It is not reaped before it is waited for, so the process id is still its own.
    sys::pidfd_open(pid).inspect_err(|_| {
        let _ = (sys::kill(pid, libc::SIGKILL), sys::wait_for(pid));
    })
}

/// Starts a program of the host with these arguments, which writes to a pipe. It ends with this process. Gives its process id, which is its own until
/// it is waited for.
pub(in crate::launch) fn print(program: &Path, words: &[String], output: OwnedFd) -> sys::Result<i32> {
    let mut command = command(program);
    command.args(words).stdout(Stdio::from(output));
    let caller = sys::pid();
    sys::fork(|| {
        if sys::set_parent_death_signal(libc::SIGKILL).is_ok() && sys::parent_pid() == caller {
            let _ = command.exec();
        }
        127
    })
}

/// Runs programs of the host with these arguments, all at once, to their ends. The errors are what they wrote to stderr, or
/// the exit status of one that wrote nothing.
pub(in crate::launch) fn complete(runs: &[(&Path, Vec<String>)]) -> Vec<Result<(), String>> {
    let start = |(program, args): &(&Path, Vec<String>)| {
        command(program).args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
    };
    let started: Vec<_> = runs.iter().map(start).collect();
    let end = |started: std::io::Result<Child>| {
        let output = started.and_then(Child::wait_with_output).map_err(|error| sys::Errno::from(error).to_string())?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().replace('\n', "; ");
        Err(if said.is_empty() { output.status.to_string() } else { said })
    };
    started.into_iter().map(end).collect()
}
