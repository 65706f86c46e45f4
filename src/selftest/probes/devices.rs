//! Probes of device files: those of the host, and new ones.

use super::super::facts::{Facts, Verdict};
use super::files::RW;
use super::tools::{c, each, fixture, make_file, not_run, open_to_read, verdict};
use super::{Probe, never};
use crate::sys::{Errno, attempts};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Prefixes of the names of device files, by kind.
const KINDS: &[(&str, &[&str])] = &[
    ("device-memory", &["mem", "kmem", "port", "nvram", "cpu/", "msr", "crash", "mcelog"]),
    ("device-log", &["kmsg"]),
    ("device-terminals", &["tty", "vcs", "hvc", "console", "fb", "vga_arbiter"]),
    ("device-virtual", &["kvm", "vhost", "vfio", "vsock", "vboxdrv", "vmci", "sev", "sgx"]),
    ("device-mounts", &["loop-control", "fuse", "mapper/control", "btrfs-control", "autofs", "cuse", "ublk"]),
    ("device-network", &["net/", "ppp", "rfkill"]),
    ("device-input", &["input/", "uinput", "uhid", "hidraw", "psaux"]),
    ("device-sound", &["snd/", "dsp", "mixer"]),
    ("device-video", &["video", "media", "dri/", "nvidia", "v4l"]),
    (
        "device-hardware",
        &[
            "rtc",
            "watchdog",
            "tpm",
            "mei",
            "i2c",
            "spi",
            "gpio",
            "bus/",
            "usb",
            "hpet",
            "cpu_dma_latency",
            "hwrng",
            "sg",
        ],
    ),
];

/// Devices that every program may have.
const BASIC: &[&str] = &["null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts/ptmx"];

/// A probe of one kind of `KINDS`.
macro_rules! devices {
    ($id:literal, $title:literal) => {
        Probe { id: $id, title: $title, attempt: |facts| of_kind($id, facts), granted: never }
    };
}

pub(super) const PROBES: &[Probe] = &[
    devices!("device-memory", "the machine's memory and ports (/dev/mem)"),
    devices!("device-log", "the kernel's messages (/dev/kmsg)"),
    devices!("device-terminals", "the machine's terminals and screens (/dev/tty0)"),
    devices!("device-virtual", "virtual machines (/dev/kvm, /dev/vhost-*)"),
    devices!("device-mounts", "make filesystems (/dev/loop-control, /dev/fuse)"),
    devices!("device-network", "network devices (/dev/net/tun)"),
    devices!("device-input", "keyboards and mice (/dev/input, /dev/uinput)"),
    devices!("device-sound", "sound cards and microphones (/dev/snd)"),
    devices!("device-video", "cameras and graphics (/dev/video*, /dev/dri)"),
    devices!("device-hardware", "other hardware (/dev/rtc, /dev/watchdog, /dev/tpm*)"),
    Probe { id: "device-disks", title: "disks", attempt: disks, granted: never },
    Probe { id: "device-any", title: "any other device of the host", attempt: others, granted: never },
    Probe { id: "device-make", title: "make a device file on a writable mount", attempt: make, granted: never },
    Probe {
        id: "device-shown",
        title: "open a device file in a directory that is shown",
        attempt: shown,
        granted: never,
    },
    Probe {
        id: "dev-write",
        title: "make a file in /dev",
        attempt: |_| verdict("making a file in /dev", make_file(Path::new("/dev"))),
        granted: never,
    },
    Probe { id: "terminals", title: "the host's terminals in /dev/pts", attempt: terminals, granted: never },
    Probe {
        id: "terminal",
        title: "the caller's terminal by /dev/tty",
        attempt: |_| verdict("/dev/tty", open_to_read(Path::new("/dev/tty"))),
        granted: never,
    },
];

fn name(path: &Path) -> String {
    path.strip_prefix("/dev").unwrap_or(path).display().to_string()
}

fn is_of(kind: &str, path: &Path) -> bool {
    let name = name(path);
    let starts = KINDS.iter().find(|(other, _)| *other == kind).map_or(&[][..], |(_, starts)| starts);
    !BASIC.contains(&name.as_str()) && starts.iter().any(|start| name.starts_with(start))
}

/// Whether a device can be used. Opening some devices has an effect (a watchdog starts): unless `open`, it is enough
/// that the node is there and the permissions allow it.
fn there(facts: &Facts, path: &Path, device: u64, open: bool) -> Verdict {
    let shown = path.display();
    match path.metadata() {
        Err(error) => Verdict::Closed(format!("{shown}: {}", Errno::from(error))),
        Ok(found) if found.rdev() != device || !is_device(&found) => Verdict::Closed(format!("{shown} is another")),
        Ok(_) => {
            match if open { open_to_read(path).map(drop) } else { crate::sys::may_write(crate::sys::cwd(), &c(path)) } {
                // Devices are bound read-only, which keeps the node from being changed, but not the device from being
                // written to.
                Err(errno) if errno != Errno(libc::EROFS) => Verdict::Closed(format!("{shown}: {errno}")),
                _ if facts.granted.place(path).is_some_and(|place| place.devices) => {
                    Verdict::Shared(format!("the profile lets {shown} in"))
                }
                _ => Verdict::Open(format!("{shown} is there")),
            }
        }
    }
}

fn is_device(found: &std::fs::Metadata) -> bool {
    found.file_type().is_char_device() || found.file_type().is_block_device()
}

fn of_kind(kind: &str, facts: &Facts) -> Verdict {
    let nodes = facts.outside.nodes.iter().filter(|(path, _, block)| !block && is_of(kind, path));
    match each(nodes, |(path, device, _)| there(facts, path, *device, kind == "device-memory" || kind == "device-log"))
    {
        Verdict::NotRun(_) => not_run("this host has none"),
        other => other,
    }
}

fn disks(facts: &Facts) -> Verdict {
    let nodes = facts.outside.nodes.iter().filter(|(_, _, block)| *block);
    match each(nodes, |(path, device, _)| there(facts, path, *device, true)) {
        Verdict::NotRun(_) => not_run("this host has none in /dev"),
        other => other,
    }
}

/// Tries the devices of no known kind, and what is in /dev and not known outside.
fn others(facts: &Facts) -> Verdict {
    let known = |path: &Path| {
        let basic = BASIC.contains(&name(path).as_str()) || path.starts_with("/dev/pts");
        basic || KINDS.iter().any(|(kind, _)| is_of(kind, path))
    };
    let nodes = facts.outside.nodes.iter().filter(|(path, _, block)| !block && !known(path));
    match each(nodes, |(path, device, _)| there(facts, path, *device, false)) {
        Verdict::NotRun(_) => not_run("this host has none"),
        other => other,
    }
}

fn make(facts: &Facts) -> Verdict {
    let mut dirs: Vec<PathBuf> = ["/tmp", "/var/tmp", "/dev/shm", "/run"].map(PathBuf::from).into();
    dirs.extend(fixture(facts, RW));
    dirs.extend(facts.granted.view.iter().filter(|place| place.writable).map(|place| place.path.clone()));
    dirs.truncate(20);
    let dirs = dirs.into_iter().filter(|dir| dir.is_dir());
    each(dirs, |dir| {
        let path = dir.join(format!(".sbx-selftest-{}", crate::sys::pid()));
        each([(libc::S_IFCHR, libc::makedev(1, 1)), (libc::S_IFBLK, libc::makedev(7, 0))], |(kind, device)| {
            let result = attempts::make_device(&c(&path), kind, device);
            let _ = std::fs::remove_file(&path);
            verdict(format!("mknod in {}", dir.display()), result)
        })
    })
}

/// Tries a device that root has put into the writable directory outside.
fn shown(facts: &Facts) -> Verdict {
    let path = match fixture(facts, RW) {
        Ok(dir) => dir.join("device"),
        Err(verdict) => return verdict,
    };
    match path.symlink_metadata() {
        Ok(found) if is_device(&found) => verdict(path.display(), open_to_read(&path)),
        _ => not_run("only root can make one outside"),
    }
}

fn terminals(facts: &Facts) -> Verdict {
    match Path::new("/dev/pts").metadata() {
        Ok(found) if found.dev() == facts.outside.terminals => Verdict::Open("/dev/pts is the host's".into()),
        Ok(_) => Verdict::Closed("/dev/pts is another".into()),
        Err(error) => Verdict::Closed(format!("/dev/pts: {}", Errno::from(error))),
    }
}
