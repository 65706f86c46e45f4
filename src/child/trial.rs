//! Tests one ability of the host in a child that does nothing else.

use crate::sys::{self, ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID, Errno, NeededCall};
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

/// An ability of the host, tested in a new user namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// Creating the namespaces themselves.
    Enter,
    /// Mapping the caller's own ids: user_namespaces(7).
    Map,
    /// Making a tmpfs.
    Tmpfs,
    /// Making a procfs for a new pid namespace.
    Proc,
    /// Copying the mounts at the host's /usr, read-only.
    Bind,
    /// Making a new instance of devpts.
    Devpts,
    /// Making an overlay filesystem, with its upper directory on a tmpfs.
    Overlay,
    /// Making a FUSE filesystem for a descriptor of /dev/fuse.
    Fuse,
    /// Mounting something in the tree.
    Attach,
    /// Making a mount the root, and letting the old root go.
    Root,
    /// Setting the host name of a new uts namespace.
    Hostname,
    /// Forbidding user namespaces in the new one.
    LimitNested,
    /// Bringing up the loopback interface of a new network namespace.
    Loopback,
    /// A call without which there are no sandboxes, with arguments that no kernel takes.
    Call(&'static NeededCall),
}

/// Runs the test and exits: the exit status is 0, or the errno of the call that failed. For the child.
pub fn attempt(trial: Trial, maps: &(Vec<u8>, Vec<u8>)) -> ! {
    let status = match tried(trial, maps) {
        Ok(()) => 0,
        Err(Errno(number)) => number.clamp(1, 255),
    };
    sys::exit_now(status)
}

fn tried(trial: Trial, (uids, gids): &(Vec<u8>, Vec<u8>)) -> sys::Result<()> {
    match trial {
        Trial::Enter => return Ok(()),
        Trial::Call(call) => return call.attempt(),
        _ => {}
    }
    sys::write_file(c"/proc/self/setgroups", b"deny")?;
    sys::write_file(c"/proc/self/uid_map", uids)?;
    sys::write_file(c"/proc/self/gid_map", gids)?;
    let safe = ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC;
    match trial {
        Trial::Enter | Trial::Map | Trial::Call(_) => Ok(()),
        Trial::Tmpfs => sys::new_filesystem(c"tmpfs", &[], safe).map(drop),
        Trial::Proc => sys::new_filesystem(c"proc", &[], safe).map(drop),
        Trial::Devpts => sys::new_filesystem(c"devpts", &[], ATTR_NOSUID | ATTR_NOEXEC).map(drop),
        Trial::Bind => {
            let tree = sys::clone_tree(sys::cwd(), c"/usr", true)?;
            sys::set_attributes(tree.as_fd(), safe | sys::ATTR_RDONLY, sys::Propagation::Private, true)
        }
        Trial::Overlay => overlay(),
        Trial::Fuse => fuse(uids, gids),
        Trial::Attach => attached().map(drop),
        Trial::Root => root(),
        Trial::Hostname => sys::set_hostname(c"sandbox"),
        Trial::LimitNested => sys::write_file(c"/proc/sys/user/max_user_namespaces", b"0"),
        Trial::Loopback => sys::loopback_up(),
    }
}

/// A new tmpfs that is mounted in the tree, where [`Memory`](super::memory::Memory) has its own.
fn attached() -> sys::Result<OwnedFd> {
    let proc = sys::openat(sys::cwd(), c"/proc/self", libc::O_PATH | libc::O_DIRECTORY, 0)?;
    let tmpfs = sys::new_filesystem(c"tmpfs", &[], ATTR_NOSUID)?;
    sys::attach_at(tmpfs.as_fd(), proc.as_fd(), c"task")?;
    Ok(tmpfs)
}

fn root() -> sys::Result<()> {
    let tmpfs = attached()?;
    sys::mkdirat(tmpfs.as_fd(), c"root", 0o755)?;
    let root = sys::clone_tree(tmpfs.as_fd(), c"root", false)?;
    sys::attach_at(root.as_fd(), tmpfs.as_fd(), c"root")?;
    sys::enter_root(root.as_fd())
}

fn overlay() -> sys::Result<()> {
    let tmpfs = sys::new_filesystem(c"tmpfs", &[], ATTR_NOSUID)?;
    sys::attach_at(tmpfs.as_fd(), sys::cwd(), c"/proc")?;
    for dir in [c"upper", c"work"] {
        sys::mkdirat(tmpfs.as_fd(), dir, 0o755)?;
    }
    let options: [(&CStr, &CStr); 4] =
        [(c"lowerdir", c"/usr"), (c"upperdir", c"/proc/upper"), (c"workdir", c"/proc/work"), (c"userxattr", c"")];
    sys::new_filesystem(c"overlay", &options, ATTR_NOSUID).map(drop)
}

fn fuse(uids: &[u8], gids: &[u8]) -> sys::Result<()> {
    use std::os::fd::AsRawFd;
    let device = sys::openat(sys::cwd(), c"/dev/fuse", libc::O_RDWR, 0)?;
    let number = |number: u32| {
        let mut text = sys::Text::<12>::default();
        text.decimal(number);
        text
    };
    let (device_number, uid, gid) = (number(device.as_raw_fd() as u32), number(first(uids)), number(first(gids)));
    // The options take ids inside the user namespace, which are the first numbers of the maps.
    let options: [(&CStr, &CStr); 4] = [
        (c"fd", device_number.text()?),
        (c"rootmode", c"40000"),
        (c"user_id", uid.text()?),
        (c"group_id", gid.text()?),
    ];
    sys::new_filesystem(c"fuse", &options, ATTR_NOSUID | ATTR_NODEV).map(drop)
}

/// The first number in an id map: the first id inside the user namespace.
fn first(map: &[u8]) -> u32 {
    map.iter().take_while(|byte| byte.is_ascii_digit()).fold(0, |number, byte| number * 10 + u32::from(byte - b'0'))
}
