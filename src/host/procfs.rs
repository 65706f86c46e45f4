//! Paths of procfs and sysfs that a sandbox masks, or makes read-only. They are the OCI's lists, and for root what its ids open to
//! it: a procfs asks who the caller is outside, whatever user namespace and capabilities the program has. Paths that a
//! kernel does not have are skipped.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Files that everybody may read, of which nobody should: names of keys, and timings of the host's hardware, which tell
/// what others type and compute.
pub const MASKED_FILES: [&CStr; 4] = [c"interrupts", c"keys", c"latency_stats", c"sched_debug"];
/// Directories that are masked.
pub const MASKED_DIRS: [&CStr; 3] = [c"acpi", c"asound", c"scsi"];
/// Files that root alone may read: they tell addresses and contents of the kernel's memory.
pub const MASKED_FOR_ROOT: [&CStr; 10] = [
    c"allocinfo",
    c"kcore",
    c"kpagecgroup",
    c"kpagecount",
    c"kpageflags",
    c"pagetypeinfo",
    c"slabinfo",
    c"timer_list",
    c"vmallocinfo",
    c"vmcore",
];
/// Paths that are read-only.
pub const READ_ONLY: [&CStr; 5] = [c"bus", c"fs", c"irq", c"sys", c"sysrq-trigger"];
/// Further paths that root alone may write to.
pub const READ_ONLY_FOR_ROOT: [&CStr; 5] = [c"driver", c"dynamic_debug", c"lock_stat", c"mtrr", c"profile"];

/// Paths of the host's own procfs that are masked where it is shown, to root or to others.
pub fn masked(root: bool) -> impl Iterator<Item = PathBuf> {
    let for_root = if root { &MASKED_FOR_ROOT[..] } else { &[] };
    paths(MASKED_FILES.iter().chain(&MASKED_DIRS).chain(for_root))
}

/// Paths of the host's own procfs that are read-only where it is shown, for root or for others.
pub fn read_only(root: bool) -> impl Iterator<Item = PathBuf> {
    paths(READ_ONLY.iter().chain(if root { &READ_ONLY_FOR_ROOT[..] } else { &[] }))
}

fn paths<'a>(names: impl Iterator<Item = &'a &'a CStr>) -> impl Iterator<Item = PathBuf> {
    names.map(|name| Path::new("/proc").join(OsStr::from_bytes(name.to_bytes())))
}

/// Paths of sysfs that root alone may read, and that are masked where the host's is shown to root: they tell what the
/// kernel's memory holds and the machine's serial numbers, and reading `hot_add` makes a device.
pub const SYS_MASKED_FOR_ROOT: [&str; 7] = [
    "/sys/class/zram-control",
    "/sys/devices/virtual/dmi/id/board_serial",
    "/sys/devices/virtual/dmi/id/chassis_serial",
    "/sys/devices/virtual/dmi/id/product_serial",
    "/sys/devices/virtual/dmi/id/product_uuid",
    "/sys/kernel/mm/damon",
    "/sys/kernel/slab",
];
