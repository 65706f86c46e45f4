//! Namespaces of a running sandbox, which another one is to join: found by a process, and checked to be the caller's.

use super::processes::children;
use crate::spec::Namespace;
use crate::sys::{self, Errno, Poll};
use serde::Serialize;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// How many processes below the one that is named are looked at.
const MOST: usize = 64;

/// How long a program may take to show its resolv.conf, which it may serve itself.
const PATIENCE: Duration = Duration::from_secs(2);

/// User namespaces that may be made where sandboxes have set no limit of their own.
const UNLIMITED: u32 = 1000;

/// The most that is read of it, in bytes.
const LONGEST: usize = 64 * 1024;

/// How many user namespaces may be between the caller's and that of a namespace that is joined: more than the kernel nests.
const DEEPEST: usize = 40;

/// A namespace that can be joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct JoinedFacts {
    /// The number of its namespace, which tells whether the process is still the same.
    pub number: u64,
    /// The number of the user namespace below which that of the sandbox is made.
    pub user: u64,
    /// The caller's user and group id in that one.
    pub ids: (u32, u32),
    /// Whether user namespaces may be made below that one. What a sandbox makes there counts against its limit, too.
    pub nests: bool,
    /// Of a network, the resolv.conf(5) of programs in it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resolv_conf: String,
    /// Of a uts namespace, the host name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hostname: String,
}

/// A namespace that was found, and what is needed to join it.
#[derive(Debug)]
pub struct JoinedNamespace {
    /// The namespace that is joined.
    pub namespace: OwnedFd,
    /// The user namespace that it belongs to; of another one than a network, the one below the caller's that this one is in.
    pub user: OwnedFd,
    /// The number of the namespace.
    pub number: u64,
    /// Its CLONE_NEW* flag.
    pub flag: i32,
    /// The process that it was found by.
    process: i32,
}

/// Finds a namespace of a sandbox by one of its processes, or by the process of sbx that started it: that of the first process below it
/// which has another one than this process.
///
/// # Errors
///
/// There is no such process, or the namespace is not one that a sandbox of the caller's made. The text says which.
pub fn joined_namespace(pid: i32, kind: Namespace) -> Result<JoinedNamespace, String> {
    let noun = kind.noun();
    let own = number(namespace_of("self", kind).map_err(|errno| errno.to_string())?)?;
    let mut next = vec![pid];
    let mut seen = 0;
    let mut refused = None;
    while let Some(process) = (seen < next.len()).then(|| next.get(seen).copied()).flatten() {
        seen += 1;
        match of_process(process, kind) {
            Ok(namespace) => {
                let number = number(namespace.try_clone().map_err(|error| Errno::from(error).to_string())?)?;
                if number != own {
                    let user = owned(&namespace, kind)?;
                    return Ok(JoinedNamespace { namespace, user, number, flag: flag(kind)?, process });
                }
            }
            Err(Errno(libc::ENOENT | libc::ESRCH)) if process == pid => {
                return Err(format!("there is no process {pid}"));
            }
            // It has ended meanwhile, or nobody has waited for it yet.
            Err(Errno(libc::ENOENT | libc::ESRCH)) => {}
            // The first process of a sandbox cannot be looked into, but what it has started can.
            Err(errno) => refused = Some(errno),
        }
        next.extend(children(Path::new(&format!("/proc/{process}/task/{process}"))));
        next.truncate(MOST);
    }
    Err(match refused {
        Some(errno) => format!("the {noun} of process {pid} cannot be opened: {errno}"),
        None => format!("process {pid} has the same {noun} as sbx itself"),
    })
}

/// The CLONE_NEW* flag of a kind that can be joined.
fn flag(kind: Namespace) -> Result<i32, String> {
    match kind {
        Namespace::Net => Ok(libc::CLONE_NEWNET),
        Namespace::Ipc => Ok(libc::CLONE_NEWIPC),
        Namespace::Uts => Ok(libc::CLONE_NEWUTS),
        Namespace::Pid | Namespace::Cgroup | Namespace::Time => Err(format!("a {} is not joined", kind.noun())),
    }
}

fn namespace_of(process: &str, kind: Namespace) -> sys::Result<OwnedFd> {
    let path = CString::new(format!("/proc/{process}/ns/{}", kind.word())).unwrap_or_default();
    sys::openat(sys::cwd(), &path, libc::O_RDONLY, 0)
}

/// The namespace of a process, which was that one's when it was opened.
fn of_process(pid: i32, kind: Namespace) -> sys::Result<OwnedFd> {
    let process = sys::pidfd_open(pid)?;
    let opened = namespace_of(&pid.to_string(), kind)?;
    // Had it ended before, another one could have had its number.
    sys::pidfd_signal(process.as_fd(), 0)?;
    Ok(opened)
}

/// The user namespace that a network belongs to, if a process of the caller made it below the caller's. Other namespaces may belong to one below
/// that: the sandbox may have joined the network of a third one.
fn owned(namespace: &OwnedFd, kind: Namespace) -> Result<OwnedFd, String> {
    let foreign = || format!("its {} is not one that a sandbox of yours made", kind.noun());
    let mut user = sys::owning_user_namespace(namespace.as_fd()).map_err(|_| foreign())?;
    let own = sys::openat(sys::cwd(), c"/proc/self/ns/user", libc::O_RDONLY, 0).map_err(|errno| errno.to_string())?;
    let own = number(own)?;
    for _ in 0..if kind == Namespace::Net { 1 } else { DEEPEST } {
        let parent = sys::parent_namespace(user.as_fd()).map_err(|_| foreign())?;
        if number(parent.try_clone().map_err(|error| Errno::from(error).to_string())?)? == own {
            let owner = sys::namespace_owner(user.as_fd()).map_err(|errno| errno.to_string())?;
            return if owner == sys::effective_uid() { Ok(user) } else { Err(foreign()) };
        }
        user = parent;
    }
    Err(foreign())
}

fn number(namespace: OwnedFd) -> Result<u64, String> {
    sys::stat(namespace.as_fd()).map(|found| found.ino).map_err(|errno| errno.to_string())
}

/// Joins the namespace in a process that does nothing else, and tells what is to be known of it.
pub(super) fn probe(pid: i32, kind: Namespace) -> Result<JoinedFacts, String> {
    let found = joined_namespace(pid, kind)?;
    let failed = |errno: Errno| format!("the {} of process {pid} cannot be joined: {errno}", kind.noun());
    let (hears, tells) = sys::pipe().map_err(failed)?;
    let trial = sys::fork(|| {
        let joined = sys::join_namespace(found.user.as_fd(), libc::CLONE_NEWUSER)
            .and_then(|()| sys::join_namespace(found.namespace.as_fd(), found.flag));
        if let Err(errno) = joined {
            return errno.0;
        }
        let (uid, gid) = sys::ids();
        let limit = std::fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
        let _ = sys::write_all(tells.as_fd(), format!("{uid} {gid} {}\n", limit.trim()).as_bytes());
        // The program may have made what is read here. It is read last, and given up if that takes long.
        let text = match kind {
            Namespace::Net => resolv_conf(found.process).unwrap_or_default(),
            Namespace::Uts => std::fs::read("/proc/sys/kernel/hostname").unwrap_or_default(),
            _ => Vec::new(),
        };
        let _ = sys::write_all(tells.as_fd(), &text);
        0
    })
    .map_err(failed)?;
    drop(tells);
    let (mut text, mut bytes, end) = (Vec::new(), [0; 4096], Instant::now() + PATIENCE);
    while text.len() < LONGEST {
        let mut set = [Poll::read(hears.as_raw_fd())];
        let left = end.saturating_duration_since(Instant::now()).as_millis();
        if sys::poll(&mut set, Some(i32::try_from(left).unwrap_or(0))).is_err() || !set.iter().any(|poll| poll.ready) {
            break;
        }
        match sys::read(hears.as_fd(), &mut bytes) {
            Ok(length @ 1..) => text.extend_from_slice(bytes.get(..length).unwrap_or_default()),
            _ => break,
        }
    }
    let _ = sys::kill(trial, libc::SIGKILL);
    if let Ok(sys::Waited::Exited(errno @ 1..)) = sys::wait_for(trial) {
        return Err(failed(Errno(errno)));
    }
    let text = String::from_utf8_lossy(&text);
    let (ids, text) = text.split_once('\n').unwrap_or_default();
    let mut numbers = ids.split(' ').map(|number| number.parse::<u32>().ok());
    let mut next = || numbers.next().flatten().ok_or_else(|| failed(Errno(libc::EIO)));
    let (ids, limit) = ((next()?, next()?), next()?);
    // One more user namespace is allowed there while that of the sandbox is made.
    if limit < UNLIMITED && !is_filtered(found.process) {
        return Err(format!(
            "process {pid} may make no user namespace, and has no filter of system calls that would refuse it one while this sandbox's is \
             made: run it with security.seccomp = \"default\""
        ));
    }
    let facts = JoinedFacts {
        number: found.number,
        user: number(found.user)?,
        ids,
        nests: limit >= UNLIMITED,
        ..JoinedFacts::default()
    };
    Ok(match kind {
        Namespace::Uts => JoinedFacts { hostname: text.trim_end().to_owned(), ..facts },
        _ => JoinedFacts { resolv_conf: text.to_owned(), ..facts },
    })
}

/// Whether a process is the child of another one.
pub fn is_child(pid: i32, parent: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mut lines = status.lines().filter_map(|line| line.strip_prefix("PPid:"));
    lines.any(|found| found.trim().parse() == Ok(parent))
}

/// Whether a process has a filter of system calls, which those that it starts have, too.
fn is_filtered(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().filter_map(|line| line.strip_prefix("Seccomp:")).any(|mode| mode.trim() == "2")
}

/// The resolv.conf(5) that a process sees. Links in its view do not lead out of that.
fn resolv_conf(pid: i32) -> sys::Result<Vec<u8>> {
    let root = CString::new(format!("/proc/{pid}/root")).unwrap_or_default();
    let root = sys::openat(sys::cwd(), &root, libc::O_PATH | libc::O_DIRECTORY, 0)?;
    let file = sys::open_in_root(root.as_fd(), c"etc/resolv.conf", libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY)?;
    let mut text = vec![0; LONGEST];
    let length = sys::read(file.as_fd(), &mut text)?;
    text.truncate(length);
    Ok(text)
}
