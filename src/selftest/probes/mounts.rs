//! Probes of the mounts of the view, and attempts to change them.

use super::super::facts::{Facts, Verdict};
use super::files::{MASKED, RO};
use super::tools::{Mounted, c, each, fixture, in_child, mounts, verdict};
use super::{Probe, never};
use crate::sys::{self, attempts};
use std::path::{Path, PathBuf};

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "mounts-writable",
        title: "a writable mount that the profile does not name",
        attempt: |facts| look(|mount| writable(facts, mount)),
        granted: never,
    },
    Probe {
        id: "mounts-nosuid",
        title: "a mount with set-user-ID programs",
        attempt: |_| look(|mount| (!mount.has("nosuid")).then(|| "is not nosuid".to_owned())),
        granted: never,
    },
    Probe {
        id: "mounts-nodev",
        title: "a mount with device files, beside devices that are let in",
        attempt: |facts| {
            look(|mount| {
                let let_in = facts.granted.place(&mount.path).is_some_and(|place| place.devices);
                let devices = let_in || mount.kind == "devpts" || mount.kind == "mqueue";
                (!mount.has("nodev") && !devices).then(|| "is not nodev".to_owned())
            })
        },
        granted: never,
    },
    Probe {
        id: "mounts-propagation",
        title: "a mount that is tied to one of the host's",
        attempt: |_| propagation(),
        granted: never,
    },
    Probe {
        id: "mount",
        title: "mount a filesystem (mount)",
        attempt: |_| undone("mount", sys::mount(c"tmpfs", c"/tmp", 0, c"")),
        granted: never,
    },
    Probe {
        id: "mount-new-calls",
        title: "mount a filesystem (fsopen, fsmount, move_mount)",
        attempt: |_| verdict("fsopen", sys::new_filesystem(c"tmpfs", &[], 0)),
        granted: never,
    },
    Probe {
        id: "mount-bind",
        title: "bind a directory (mount, open_tree)",
        attempt: |_| {
            let bind = undone("mount", attempts::bind(c"/usr", c"/tmp", 0));
            let tree = sys::clone_tree(sys::cwd(), c"/usr", false);
            each([bind, verdict("open_tree", tree)], |verdict| verdict)
        },
        granted: never,
    },
    Probe {
        id: "mount-remount",
        title: "make a read-only mount writable (remount, mount_setattr)",
        attempt: |facts| each(read_only(facts), |path| remounted(&path)),
        granted: never,
    },
    Probe {
        id: "umount",
        title: "take a mount off that covers files",
        attempt: |facts| {
            each(covering(facts), |path| verdict("umount2", attempts::unmount(&c(path), libc::MNT_DETACH)))
        },
        granted: never,
    },
    Probe {
        id: "pivot-root",
        title: "change the root (pivot_root)",
        attempt: |_| verdict("pivot_root", attempts::pivot_root(c"/", c"/")),
        granted: never,
    },
    Probe {
        id: "chroot",
        title: "leave the root by a second chroot",
        attempt: |facts| in_child(|| chroot_twice(facts)),
        granted: never,
    },
];

/// The verdict on a mount on /tmp, which is unmounted again for the probes that follow.
fn undone(what: &str, result: sys::Result<()>) -> Verdict {
    if result.is_ok() {
        let _ = attempts::unmount(c"/tmp", libc::MNT_DETACH);
    }
    verdict(what, result)
}

/// Looks for the first mount of which `wrong` says that something is wrong.
fn look(wrong: impl Fn(&Mounted) -> Option<String>) -> Verdict {
    let mounts = match mounts() {
        Ok(mounts) => mounts,
        Err(verdict) => return verdict,
    };
    for mount in &mounts {
        if let Some(why) = wrong(mount) {
            return Verdict::Open(format!("{} ({}) {why}", mount.path.display(), mount.kind));
        }
    }
    Verdict::Closed(format!("none of {}", mounts.len()))
}

/// What is wrong with a writable mount. The sandbox's own memory may be writable, and so may filesystems of its
/// namespaces.
fn writable(facts: &Facts, mount: &Mounted) -> Option<String> {
    if mount.has("ro") || ["proc", "devpts", "mqueue"].contains(&mount.kind.as_str()) {
        return None;
    }
    match facts.granted.place(&mount.path) {
        Some(place) if place.host && place.writable => None,
        Some(place) if !place.host && mount.kind == "tmpfs" => None,
        // The kernel's overlay, or the FUSE union.
        Some(place) if place.overlay && ["overlay", "fuse"].contains(&mount.kind.as_str()) => None,
        _ => Some(format!("is writable, and shows {}", mount.root)),
    }
}

/// Looks for mounts that propagate: `shared:` and `master:` before the dash, see proc_pid_mountinfo(5).
fn propagation() -> Verdict {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let tied = text.lines().find(|line| {
        let fields = line.split(" - ").next().unwrap_or_default();
        fields.split(' ').any(|field| field.starts_with("shared:") || field.starts_with("master:"))
    });
    match tied {
        Some(line) => Verdict::Open(line.to_owned()),
        None if text.is_empty() => super::tools::not_run("/proc/self/mountinfo cannot be read"),
        None => Verdict::Closed("none is".into()),
    }
}

/// Read-only mounts: the root, and a directory of the host.
pub(super) fn read_only(facts: &Facts) -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::from("/")];
    paths.extend(fixture(facts, RO));
    paths
}

/// Mounts that cover something.
pub(super) fn covering(facts: &Facts) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        ["/proc/sys", "/proc/kcore", "/proc", "/dev", "/etc/passwd", "/"].map(PathBuf::from).into();
    paths.extend(fixture(facts, MASKED));
    paths
}

/// Tries to remount with other flags, by mount(2) and by mount_setattr(2).
pub(super) fn remounted(path: &Path) -> Verdict {
    let flags = libc::MS_REMOUNT | libc::MS_NOSUID | libc::MS_NODEV;
    let old = verdict(format!("remount of {}", path.display()), attempts::bind(c"none", &c(path), flags));
    let new =
        verdict(format!("mount_setattr of {}", path.display()), attempts::clear_attributes(&c(path), sys::ATTR_RDONLY));
    each([old, new], |verdict| verdict)
}

/// Tries the classic way out of a chroot: another chroot below, with the first root still open.
pub(super) fn chroot_twice(facts: &Facts) -> Verdict {
    let Ok(root) = sys::openat(sys::cwd(), c"/", libc::O_PATH, 0) else {
        return super::tools::not_run("/ cannot be opened");
    };
    let below = sys::openat(sys::cwd(), c"/tmp", libc::O_PATH, 0)
        .or_else(|_| sys::openat(sys::cwd(), c"/usr", libc::O_PATH, 0));
    let Ok(below) = below else { return super::tools::not_run("there is no directory to use") };
    use std::os::fd::AsFd;
    if let Err(errno) = sys::chroot(below.as_fd()) {
        return Verdict::Closed(format!("chroot: {errno}"));
    }
    let _ = sys::fchdir(root.as_fd());
    for _ in 0..40 {
        let _ = sys::chdir(c"..");
    }
    match super::tools::is_host_root(facts, Path::new(".")) {
        true => Verdict::Open("the host's root was reached".into()),
        false => Verdict::Closed("chroot works, and `..` ends at the sandbox's root".into()),
    }
}
