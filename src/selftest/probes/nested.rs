//! Probes from a user namespace inside, in which the program has all capabilities. Where the profile allows no nested
//! user namespaces, making one fails.

use super::super::facts::{Facts, Verdict};
use super::files::{MASKED, RW};
use super::mounts::{chroot_twice, covering, read_only, remounted};
use super::proc::{CGROUPS, dangerous};
use super::tools::{c, each, fixture, in_child, not_run, open_to_write, reads_secret, start_of, verdict};
use super::{Probe, by_mounts, by_nested, never};
use crate::sys::{self, Errno, attempts};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "nested-unshare",
        title: "make a user namespace (unshare)",
        attempt: |_| in_child(|| verdict("unshare", attempts::unshare(libc::CLONE_NEWUSER))),
        granted: by_nested,
    },
    Probe { id: "nested-clone", title: "make a user namespace (clone3)", attempt: cloned, granted: by_nested },
    Probe {
        id: "nested-mount",
        title: "mount a filesystem in a user namespace",
        attempt: |_| inside(libc::CLONE_NEWNS, || verdict("mount", sys::mount(c"tmpfs", c"/tmp", 0, c""))),
        granted: by_mounts,
    },
    Probe {
        id: "nested-rename",
        title: "rename what is mounted on in a writable directory, from a user namespace that has another root",
        attempt: |facts| inside(libc::CLONE_NEWNS, || renamed(facts)),
        granted: by_mounts,
    },
    Probe {
        id: "nested-remount",
        title: "make a read-only mount writable in a user namespace",
        attempt: |facts| inside(libc::CLONE_NEWNS, || each(read_only(facts), |path| remounted(&path))),
        granted: never,
    },
    Probe {
        id: "nested-umount",
        title: "take a mount off in a user namespace",
        attempt: |facts| {
            inside(libc::CLONE_NEWNS, || {
                each(covering(facts), |path| verdict(path.display(), attempts::unmount(&c(&path), libc::MNT_DETACH)))
            })
        },
        granted: never,
    },
    Probe {
        id: "nested-uncover",
        title: "copy a directory without what covers it in a user namespace",
        attempt: |facts| inside(libc::CLONE_NEWNS, || uncovered(facts)),
        granted: never,
    },
    Probe {
        id: "nested-chroot",
        title: "leave the root by a second chroot in a user namespace",
        attempt: |facts| inside(0, || chroot_twice(facts)),
        granted: never,
    },
    Probe {
        id: "nested-proc",
        title: "write to the kernel by a procfs mounted in a user namespace",
        attempt: |facts| inside(libc::CLONE_NEWNS | libc::CLONE_NEWPID, || in_child(|| fresh("proc", facts))),
        granted: never,
    },
    Probe {
        id: "nested-sysfs",
        title: "write to the kernel by a sysfs mounted in a user namespace",
        attempt: |facts| inside(libc::CLONE_NEWNS | libc::CLONE_NEWNET, || fresh("sysfs", facts)),
        granted: never,
    },
    Probe {
        id: "nested-release-agent",
        title: "set a cgroup's release agent in a user namespace (CVE-2022-0492)",
        attempt: |_| inside(libc::CLONE_NEWNS | libc::CLONE_NEWCGROUP, release_agent),
        granted: never,
    },
    Probe {
        id: "nested-device",
        title: "make a device file in a user namespace",
        attempt: |_| {
            inside(libc::CLONE_NEWNS, || {
                let _ = sys::mount(c"tmpfs", c"/tmp", 0, c"");
                verdict("mknod", attempts::make_device(c"/tmp/device", libc::S_IFCHR, libc::makedev(1, 1)))
            })
        },
        granted: never,
    },
    Probe {
        id: "nested-firewall",
        title: "reach iptables and its like by options of sockets in a network namespace",
        attempt: |_| inside(libc::CLONE_NEWNET, firewalls),
        granted: |granted| {
            let every = granted.calls("setsockopt") || granted.calls("getsockopt");
            every.then_some("the filter lets every option of sockets in")
        },
    },
    Probe {
        id: "nested-trace",
        title: "trace the sandbox's first process from a user namespace",
        attempt: |facts| inside(0, || verdict("ptrace", attempts::trace(facts.inside.first))),
        granted: never,
    },
];

/// Tries options of sockets by which firewalls, IPsec and routing are set and read. The kernel complains about their value,
/// or that it has no such module, only to those who may use them.
fn firewalls() -> Verdict {
    const V4: (i32, i32) = (libc::AF_INET, libc::IPPROTO_IP);
    const V6: (i32, i32) = (libc::AF_INET6, libc::IPPROTO_IPV6);
    let set = [(V4, 17), (V4, 64), (V4, 96), (V4, 128), (V4, 200), (V6, 35), (V6, 64), (V6, 200)];
    let read = [(V4, 64), (V4, 96), (V4, 128), (V6, 64)];
    let tries = set.map(|option| (false, option)).into_iter().chain(read.map(|option| (true, option)));
    each(tries, |(reads, ((family, level), option))| match attempts::socket_option(family, level, option, reads) {
        Err(Errno(libc::EPERM | libc::EACCES)) => Verdict::Closed(format!("option {option} of level {level}: EPERM")),
        Err(Errno(libc::EAFNOSUPPORT)) => not_run("this sandbox has no such sockets"),
        other => Verdict::Open(format!("option {option} of level {level} is looked at: {other:?}")),
    })
}

fn cloned(_: &Facts) -> Verdict {
    match sys::clone3(libc::CLONE_NEWUSER as u64, None, || 0) {
        Ok((pid, _)) => {
            let _ = sys::wait_for(pid);
            Verdict::Open("clone3 works".into())
        }
        Err(errno) => Verdict::Closed(format!("clone3: {errno}")),
    }
}

/// Tries to rename a mount point. The kernel only refuses that to processes in the mount namespace where it is one:
/// rename(2), EBUSY.
fn renamed(facts: &Facts) -> Verdict {
    let rw = match fixture(facts, RW) {
        Ok(rw) => rw,
        Err(verdict) => return verdict,
    };
    let Ok(dir) = sys::openat(sys::cwd(), &c(&rw), libc::O_PATH | libc::O_DIRECTORY, 0) else {
        return not_run("the fixture is not there");
    };
    let tried = sys::mount(c"tmpfs", c"/tmp", 0, c"")
        .and_then(|()| sys::mkdirat(sys::cwd(), c"/tmp/old", 0o700))
        .and_then(|()| attempts::pivot_root(c"/tmp", c"/tmp/old"))
        .and_then(|()| attempts::unmount(c"/old", libc::MNT_DETACH))
        .and_then(|()| attempts::rename(dir.as_fd(), c"inner", c"moved"));
    if tried.is_ok() {
        let _ = attempts::rename(dir.as_fd(), c"moved", c"inner");
    }
    verdict("rename", tried)
}

/// Runs an attempt in a child, as root of a new user namespace with other new namespaces (`flags`).
fn inside(flags: i32, attempt: impl FnOnce() -> Verdict) -> Verdict {
    in_child(|| {
        let (uid, gid) = sys::ids();
        if let Err(errno) = attempts::unshare(libc::CLONE_NEWUSER) {
            return Verdict::Closed(format!("unshare: {errno}"));
        }
        let _ = std::fs::write("/proc/self/setgroups", "deny");
        // If id 0 cannot be mapped, the process keeps its id.
        for (file, id) in [("uid_map", uid), ("gid_map", gid)] {
            let path = format!("/proc/self/{file}");
            if std::fs::write(&path, format!("0 {id} 1")).is_err() {
                let _ = std::fs::write(&path, format!("{id} {id} 1"));
            }
        }
        match attempts::unshare(flags) {
            Ok(()) => attempt(),
            Err(errno) => Verdict::Closed(format!("unshare of the others: {errno}")),
        }
    })
}

/// Tries a bind mount without the mounts below it, which would show what those cover. The kernel refuses it
/// (has_locked_children).
fn uncovered(facts: &Facts) -> Verdict {
    let (dir, masked) = match (fixture(facts, RW), fixture(facts, MASKED)) {
        (Ok(dir), Ok(masked)) => (dir, masked),
        (Err(verdict), _) | (_, Err(verdict)) => return verdict,
    };
    let sub = masked.parent().unwrap_or(&dir);
    each([dir.as_path(), sub], |dir| match attempts::bind(&c(dir), c"/tmp", 0) {
        Err(errno) => Verdict::Closed(format!("bind of {}: {errno}", dir.display())),
        Ok(()) => {
            let rest = masked.strip_prefix(dir).unwrap_or(&masked);
            reads_secret(facts, &Path::new("/tmp").join(rest))
        }
    })
}

/// Tries to mount a new procfs or sysfs, over the one that is there, or in another directory.
fn fresh(kind: &str, facts: &Facts) -> Verdict {
    let there = format!("/{}", if kind == "proc" { "proc" } else { "sys" });
    let target = match sys::mount(&c(kind), &c(&there), 0, c"") {
        Ok(()) => there.clone(),
        Err(_) => match sys::mount(&c(kind), c"/tmp", 0, c"") {
            Ok(()) => "/tmp".to_owned(),
            Err(errno) => return Verdict::Closed(format!("mount of {kind}: {errno}")),
        },
    };
    let paths = dangerous(facts, &there).map(|path| PathBuf::from(path.replacen(&there, &target, 1)));
    let kcore = PathBuf::from(&target).join("kcore");
    let read = match start_of(&kcore) {
        Ok(text) if !text.is_empty() => Verdict::Open(format!("{} is read", kcore.display())),
        _ => Verdict::Closed(format!("{} is not read", kcore.display())),
    };
    each(paths.map(|path| verdict(path.display(), open_to_write(&path))).chain([read]), |verdict| verdict)
}

/// Tries to write release_agent of cgroup version 1. The kernel asks for CAP_SYS_ADMIN on the host at the write, so the
/// file is written, with its own content.
fn release_agent() -> Verdict {
    each(CGROUPS, |controller| {
        if let Err(errno) = sys::mount(c"cgroup", c"/tmp", 0, &c(controller)) {
            return Verdict::Closed(format!("mount of a cgroup hierarchy: {errno}"));
        }
        let agent = Path::new("/tmp/release_agent");
        let result = match std::fs::read(agent) {
            Ok(text) => verdict("writing release_agent", std::fs::write(agent, text).map_err(Errno::from)),
            Err(error) => Verdict::Closed(format!("release_agent: {}", Errno::from(error))),
        };
        let _ = attempts::unmount(c"/tmp", libc::MNT_DETACH);
        result
    })
}
