//! `Sandbox` + `Facts` → `Plan`: every decision taken, every error found that can be found before anything happens. Pure.

mod bpf;
mod bus_proxy;
mod cgroup;
mod desktop;
mod env;
mod helpers;
mod ids;
mod items;
mod landlock;
mod limits;
mod op;
mod ordered;
mod place;
mod privileges;
mod receipt;
mod render;
mod requirements;
pub mod seccomp;
pub mod syscalls;
mod tree;
mod undone;

pub use cgroup::{CgroupSource, source as cgroup_source};
pub use helpers::{Argument, Confinement, HelperSpec, HelperWords, Loss, Phase, Readiness};
pub use ids::{Extent, IdPlan, Writer};
pub use landlock::LandlockPlan;
pub use limits::{CgroupPlan, LimitFile};
pub use op::{Attributes, Op};
pub use privileges::CapabilityPlan;
pub use receipt::{Enforced, Receipt, receipt};
pub use render::text;
pub use requirements::{APPARMOR, KERNEL_FLOOR, explain};

use crate::error::{Error, Result};
use crate::host::Facts;
use crate::spec::{Descriptors, Namespace, Network, Origin, Rlimit, Root, Sandbox, Tty, UserNamespace};
use crate::sys::Instruction;
use serde::{Serialize, Serializer};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that will be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Private namespaces, besides user and mount.
    pub namespaces: BTreeSet<Namespace>,
    /// Maps of user and group ids.
    pub ids: IdPlan,
    /// The user namespace that owns them.
    #[serde(skip_serializing_if = "is_default")]
    pub user: UserNamespace,
    /// One that is joined once the view stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_last: Option<i32>,
    /// A pid namespace that is joined before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid_join: Option<i32>,
    /// A second user namespace is entered last, in which the program's capabilities have no power over the view.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub inner: bool,
    /// Whether user namespaces can be made inside.
    pub nested: bool,
    /// And may mount in them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mounts: bool,
    /// Whether that is tried.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nested_tried: bool,
    /// Host name inside.
    pub hostname: Option<String>,
    /// Whether the loopback interface is set up.
    pub loopback: bool,
    /// Directories made on the host, because a path says `create`.
    pub create: Vec<Create>,
    /// The view, in order.
    pub view: Vec<Placed>,
    /// The program's environment.
    #[serde(serialize_with = "lossy_map")]
    pub env: Vec<(OsString, OsString)>,
    /// Whether PWD is added to it, which is known when the directory is entered.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pwd: bool,
    /// Program and arguments.
    #[serde(serialize_with = "lossy")]
    pub args: Vec<OsString>,
    /// What is executed where it is not the first of the arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<OsString>,
    /// An open file that is executed instead of what has a name inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program_fd: Option<i32>,
    /// Whether a file that the kernel does not know is given to a shell, as execvp(3) does.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shell: bool,
    /// Directories to start in: the first that is there.
    pub cwd: Vec<PathBuf>,
    /// The terminal.
    pub tty: Tty,
    /// Time after which the program is ended.
    pub timeout: Option<Duration>,
    /// There is a PID 1 of ours; otherwise the sandbox's first process becomes the program.
    pub init: bool,
    /// Descriptors that the program gets beside the standard streams.
    pub descriptors: Descriptors,
    /// Descriptors that PID 1 keeps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sync_fds: Vec<i32>,
    /// Files that PID 1 locks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lock_files: Vec<PathBuf>,
    /// Waited for before the program starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_fd: Option<i32>,
    /// The sandbox ends when the caller does.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dies_with_caller: bool,
    /// Others outside may look at PID 1.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub visible: bool,
    /// The sandbox's cgroup, if it has one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<CgroupPlan>,
    /// Somebody wants to know what was used.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stats: bool,
    /// The program is not to reach our own file by /proc/self/exe, and nothing else keeps it from that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub handover: bool,
    /// setrlimit(2).
    pub rlimits: Vec<Rlimit>,
    /// Capabilities at the end.
    #[serde(skip_serializing_if = "CapabilityPlan::is_empty")]
    pub capabilities: CapabilityPlan,
    /// Landlock's rules, or why there are none.
    pub landlock: std::result::Result<LandlockPlan, String>,
    /// Whether the program gets an empty session keyring.
    pub own_keyring: bool,
    /// Which system calls may be made, where there is a policy of ours.
    pub syscalls: Option<syscalls::Policy>,
    /// seccomp filters that bind PID 1, too.
    #[serde(serialize_with = "lengths", skip_serializing_if = "Vec::is_empty")]
    pub seccomp_for_all: Vec<Vec<Instruction>>,
    /// The program's own.
    #[serde(serialize_with = "lengths")]
    pub seccomp: Vec<Vec<Instruction>>,
    /// SELinux context of the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec_label: Option<String>,
    /// SELinux context of what is made for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_label: Option<String>,
    /// Programs that help from outside, in the order in which they are started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub helpers: Vec<HelperSpec>,
    /// Masks that are not needed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<Closed>,
    /// What was not enforced or not there, each in one line, and was allowed to be.
    pub notes: Vec<String>,
}

fn lossy<S: Serializer>(args: &[OsString], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_seq(args.iter().map(|arg| arg.to_string_lossy()))
}

fn lossy_map<S: Serializer>(map: &[(OsString, OsString)], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_map(map.iter().map(|(name, value)| (name.to_string_lossy(), value.to_string_lossy())))
}

fn lengths<S: Serializer>(filters: &[Vec<Instruction>], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_seq(filters.iter().map(|filter| format!("{} instructions", filter.len())))
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A directory to make on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Create {
    /// Where.
    pub path: PathBuf,
    /// Who asked.
    pub origin: Origin,
}

/// A part of the view with the line that asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Placed {
    /// What.
    #[serde(flatten)]
    pub op: Op,
    /// Who asked.
    pub origin: Origin,
    /// Made where it is missing, with directories above it of these permissions: in a bare root, where nothing is known before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ensure: Option<u32>,
}

/// A path that was to be closed, optionally, and is: there is nothing to be seen, or this user may not open it on the host either and
/// no other id is mapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Closed {
    /// Where.
    pub path: PathBuf,
    /// Who asked.
    pub origin: Origin,
    /// Why nothing is mounted over it.
    pub why: &'static str,
}

/// Decides everything.
pub fn plan(sandbox: &Sandbox, facts: &Facts) -> Result<Plan> {
    requirements::check(facts)?;
    let mut notes = sandbox.notes.clone();
    let ids = ids::plan(sandbox, facts, &mut notes)?;
    let mut namespaces = sandbox.namespaces.private();
    for namespace in requirements::missing(facts, &namespaces) {
        let word = namespace.word();
        let exhausted =
            facts.settings.as_ref().is_some_and(|settings| settings.exhausted.iter().any(|name| name == word));
        let message = if exhausted {
            format!("this host allows no {word} namespaces: user.max_{word}_namespaces is 0")
        } else {
            format!("this kernel has no {word} namespaces")
        };
        if namespace != Namespace::Time {
            let flag = if namespace == Namespace::Net { "--net host" } else { "--share" };
            let word = if namespace == Namespace::Net { "" } else { namespace.word() };
            let hint = format!("share the host's: {}; or run a kernel that has them", format!("{flag} {word}").trim());
            return Err(Error::new(message).hint(hint));
        }
        // Nothing is isolated by it but the clocks that count from boot, and 5.12 kernels are often built without.
        namespaces.remove(&namespace);
        notes.push(format!("{message}: the boot-time clocks are the host's"));
    }
    let bare = sandbox.filesystem.root == Root::Bare;
    if sandbox.process.as_pid_1 && !namespaces.contains(&Namespace::Pid) && !bare {
        return Err(
            Error::new("--as-pid-1 needs a pid namespace of its own").hint("take `pid` out of namespaces.share")
        );
    }
    if !namespaces.contains(&Namespace::Pid) {
        notes.push("the processes are the host's: what the program starts in the background may outlive it".into());
    }
    if sandbox.namespaces.nested && ids.uid == 0 {
        notes.push(
            "user namespaces made inside cannot map id 0 again: without CAP_SETFCAP the kernel refuses that".into(),
        );
    }
    if sandbox.process.args.is_empty() {
        return Err(Error::new("no program to run: the command line names none, and the profile has no process.args")
            .hint("sbx [FLAGS] -- PROGRAM [ARGUMENT]..."));
    }
    let mut closed = Vec::new();
    let (env, placed, helpers) = view(sandbox, facts, &ids, &mut notes, &mut closed)?;
    let hostname = match (&sandbox.process.hostname, namespaces.contains(&Namespace::Uts)) {
        (Some(_), false) => {
            let error = Error::new("a host name of its own needs a uts namespace of its own");
            return Err(error.hint("take `uts` out of namespaces.share, or process.hostname out of the profile"));
        }
        (name, _) => name.clone(),
    };
    let cwd = match &sandbox.process.cwd {
        Some(cwd) => vec![cwd.clone()],
        None => vec![facts.cwd.clone(), facts.home.clone(), "/".into()],
    };
    let cgroup = limits::plan(sandbox, facts, &mut notes)?;
    let capabilities = privileges::capabilities(sandbox, facts);
    let user = sandbox.namespaces.user;
    let inner = privileges::inner(sandbox, capabilities, &placed.ops, &ids)?;
    let landlock = landlock::plan(sandbox, &placed.ops, facts)?;
    if let (Err(why), crate::spec::Requirement::Prefer) = (&landlock, sandbox.security.landlock)
        && facts.landlock.is_none()
    {
        notes.push(format!("Landlock is not used: {why}"));
    }
    if landlock.is_err() {
        undone::by_mounts(sandbox, facts, &placed.ops, &mut notes)?;
    }
    let process = &sandbox.process;
    let (syscalls, seccomp_for_all, seccomp) = privileges::filters(sandbox, capabilities)?;
    Ok(Plan {
        loopback: sandbox.network == Network::None && namespaces.contains(&Namespace::Net),
        init: !process.as_pid_1
            && (!bare
                || namespaces.contains(&Namespace::Pid)
                || !process.sync_fds.is_empty()
                || !process.lock_files.is_empty()),
        namespaces,
        user,
        user_last: sandbox.namespaces.user_last,
        pid_join: sandbox.namespaces.pid,
        inner,
        ids,
        nested: sandbox.namespaces.nested,
        mounts: sandbox.namespaces.mounts,
        nested_tried: sandbox.namespaces.nested_tried,
        hostname,
        create: placed.create,
        view: placed.ops,
        env,
        pwd: process.environment.is_some(),
        args: process.args.clone(),
        program: process.program.clone(),
        program_fd: process.program_fd,
        shell: bare,
        cwd,
        tty: process.tty,
        timeout: process.timeout,
        descriptors: process.descriptors.clone(),
        sync_fds: process.sync_fds.clone(),
        lock_files: process.lock_files.clone(),
        block_fd: process.block_fd,
        dies_with_caller: process.dies_with_caller,
        visible: privileges::visible(sandbox, capabilities),
        cgroup,
        stats: sandbox.limits.stats,
        handover: sandbox.namespaces.nested && landlock.is_err() && !bare,
        rlimits: sandbox.rlimits.clone(),
        capabilities,
        landlock,
        own_keyring: sandbox.security.own_keyring,
        syscalls,
        seccomp_for_all,
        seccomp,
        exec_label: sandbox.security.exec_label.clone(),
        file_label: sandbox.security.file_label.clone(),
        helpers,
        closed,
        notes,
    })
}

/// The environment, the view, and the helpers that belong to them.
#[expect(clippy::type_complexity, reason = "three parts of a plan, for one caller")]
fn view(
    sandbox: &Sandbox,
    facts: &Facts,
    ids: &IdPlan,
    notes: &mut Vec<String>,
    closed: &mut Vec<Closed>,
) -> Result<(Vec<(OsString, OsString)>, place::Placement, Vec<HelperSpec>)> {
    if sandbox.filesystem.root == Root::Bare {
        let env = sandbox.process.environment.clone().unwrap_or_default();
        return Ok((env, ordered::place(sandbox, facts)?, Vec::new()));
    }
    let mut env = env::plan(sandbox, facts);
    let desktop = desktop::plan(sandbox, facts, &mut env, notes)?;
    let items = items::collect(sandbox, facts, ids, desktop.items, notes, closed)?;
    let placed = place::place(items, sandbox, facts, notes)?;
    let env = env.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    Ok((env, placed, desktop.helpers))
}

impl Plan {
    /// A variable of the program's environment.
    pub fn variable(&self, name: &str) -> Option<&std::ffi::OsStr> {
        self.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str())
    }

    /// Whether the view is a list of operations.
    pub fn is_bare(&self) -> bool {
        self.shell
    }

    /// The helpers of a phase.
    pub fn helpers_of(&self, phase: Phase) -> impl Iterator<Item = &HelperSpec> {
        self.helpers.iter().filter(move |helper| helper.phase == phase)
    }

    /// What is looked for in the program's PATH, or executed.
    pub fn executed(&self) -> Option<&OsString> {
        self.program.as_ref().or(self.args.first())
    }
}
