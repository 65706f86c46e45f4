//! Plans the program: what is executed, with which arguments, environment, working directory, terminal and descriptors.

use super::lines::{Lines, quote};
use super::namespaces::NamespacePlan;
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::spec::{Descriptors, Namespace, Origin, Root, Sandbox, Tty};
use serde::{Serialize, Serializer};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

/// What is executed, how it is started, and what PID 1 does for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProcessPlan {
    /// The program's environment.
    #[serde(serialize_with = "lossy_map")]
    pub env: Vec<(OsString, OsString)>,
    /// Whether PWD is added to the environment, once the working directory is entered.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pwd: bool,
    /// Program and arguments.
    #[serde(serialize_with = "crate::spec::lossy")]
    pub args: Vec<OsString>,
    /// The program to execute, if it is not the first of the arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<OsString>,
    /// Descriptor of an open file that is executed instead (execveat(2)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program_fd: Option<i32>,
    /// Whether a file whose format the kernel does not know is given to a shell, as execvp(3) does.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shell: bool,
    /// Candidates for the working directory: the first that exists is used.
    pub cwd: Vec<PathBuf>,
    /// The line or the flag that names the working directory.
    #[serde(skip)]
    pub cwd_origin: Origin,
    /// Which terminal the program gets.
    pub tty: Tty,
    /// Time after which sbx ends the program.
    pub timeout: Option<Duration>,
    /// Whether sbx runs a PID 1 (init); otherwise the sandbox's first process becomes the program.
    pub init: bool,
    /// Descriptors that the program gets beside the standard streams.
    pub descriptors: Descriptors,
    /// Descriptors that PID 1 keeps open as long as the program runs (`--sync-fd`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sync_fds: Vec<i32>,
    /// Files inside that PID 1 locks as long as the program runs (`--lock-file`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lock_files: Vec<PathBuf>,
    /// Descriptor to read from before exec (`--block-fd`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_fd: Option<i32>,
    /// Whether the sandbox ends when the caller does.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dies_with_caller: bool,
    /// Whether PID 1 outlives the launcher where the program leaves processes in the background.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keeps_background: bool,
}

/// Serializes variables as text; what is not UTF-8 in them is replaced.
fn lossy_map<S: Serializer>(map: &[(OsString, OsString)], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_map(map.iter().map(|(name, value)| (name.to_string_lossy(), value.to_string_lossy())))
}

/// Decides how the program is started. Its environment is decided with the view.
///
/// # Errors
///
/// No program is named, or it is to be PID 1 without a pid namespace.
pub(super) fn plan(sandbox: &Sandbox, facts: &Facts, namespaces: &NamespacePlan) -> Result<ProcessPlan> {
    let process = &sandbox.process;
    let bare = sandbox.filesystem.root == Root::Bare;
    let own_pids = namespaces.private.contains(&Namespace::Pid);
    if process.as_pid_1 && !own_pids && !bare {
        return Err(
            Error::new("--as-pid-1 needs a pid namespace of its own").hint("take `pid` out of namespaces.share")
        );
    }
    if process.args.is_empty() {
        return Err(Error::new("no program to run: the command line names none, and the profile has no process.args")
            .hint("sbx [FLAGS] -- PROGRAM [ARGUMENT]..."));
    }
    Ok(ProcessPlan {
        env: Vec::new(),
        pwd: process.environment.is_some(),
        args: process.args.clone(),
        program: process.program.clone(),
        program_fd: process.program_fd,
        shell: bare,
        cwd: match &process.cwd {
            Some(cwd) => vec![cwd.clone()],
            None => vec![facts.cwd.clone(), facts.home.clone(), "/".into()],
        },
        cwd_origin: match &process.cwd {
            Some(_) => sandbox.origins.of("process.cwd", ""),
            None => Origin::default(),
        },
        tty: process.tty,
        timeout: process.timeout,
        init: !process.as_pid_1
            && (!bare || own_pids || !process.sync_fds.is_empty() || !process.lock_files.is_empty()),
        descriptors: process.descriptors.clone(),
        sync_fds: process.sync_fds.clone(),
        lock_files: process.lock_files.clone(),
        block_fd: process.block_fd,
        dies_with_caller: process.dies_with_caller,
        keeps_background: process.keeps_background && own_pids && !process.as_pid_1,
    })
}

/// The error of a plan whose background processes would outlive what ends with the launcher. `watched`: the launcher
/// does more than to wait for the program's end.
pub(super) fn background(process: &ProcessPlan, watched: bool) -> Result<()> {
    if process.keeps_background && (watched || process.timeout.is_some()) {
        let message = "what the program leaves cannot run on: its timeout, cgroup, figures and helpers end with sbx";
        return Err(Error::new(message).hint("leave these out, or let everything end with the program"));
    }
    Ok(())
}

impl ProcessPlan {
    /// The value of a variable in the program's environment.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str())
    }

    /// The program to execute: a path, or a name that is looked up in the program's PATH.
    pub fn executed(&self) -> Option<&OsString> {
        self.program.as_ref().or(self.args.first())
    }

    pub(super) fn render_program(&self, lines: &mut Lines) {
        let args: Vec<_> = self.args.iter().map(|arg| quote(&arg.to_string_lossy())).collect();
        lines.add("program", args.join(" "));
    }

    pub(super) fn render_directories(&self, lines: &mut Lines) {
        let cwd: Vec<_> = self.cwd.iter().map(|dir| dir.display().to_string()).collect();
        lines.add("cwd", cwd.join(", else "));
    }

    pub(super) fn render_environment(&self, lines: &mut Lines) {
        for (name, value) in &self.env {
            lines.add("env", format!("{}={}", name.display(), quote(&value.to_string_lossy())));
        }
    }

    pub(super) fn render_timeout(&self, lines: &mut Lines) {
        if let Some(timeout) = self.timeout {
            lines.add("timeout", humantime::format_duration(timeout).to_string());
        }
    }
}
