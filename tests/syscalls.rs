//! Compares the table of system calls with others' lists: podman's default filter and systemd's groups. Differences are
//! listed with a reason, so that a change of ours or of theirs that nobody thought about fails.

mod common;

use common::Need;
use sbx::plan::syscalls::table::ROWS;
use sbx::plan::syscalls::{Arch, Base, Decision, Group, Policy, Row, compile};
use sbx::testing as sys;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

/// What a list decides on a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Refused,
    Checked,
    Allowed,
}
use Said::{Allowed, Checked, Refused};

/// The need for the lists that the table is compared with: those of Debian 12, podman's and systemd's.
fn lists() -> Need {
    let system = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let debian = system.lines().any(|line| line == "VERSION_CODENAME=bookworm");
    let there = [PODMANS_LIST, "/usr/bin/systemd-analyze"].map(Path::new).iter().all(|path| path.exists());
    Need::new(
        "seccomp-lists",
        debian && there,
        format!("there is no {PODMANS_LIST} or no systemd-analyze of Debian 12"),
    )
}

/// Podman's list (golang-github-containers-common).
const PODMANS_LIST: &str = "/usr/share/containers/seccomp.json";

fn podman() -> Value {
    serde_json::from_str(&std::fs::read_to_string(PODMANS_LIST).unwrap()).unwrap()
}

/// systemd's groups as they are written; some name other groups.
fn systemd() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new("systemd-analyze").arg("syscall-filter").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut last = None;
    for line in text.lines() {
        match line.strip_prefix("    ") {
            Some(name) if !name.starts_with('#') => {
                if let Some(group) = &last {
                    groups.entry(String::clone(group)).or_default().insert(name.trim().to_owned());
                }
            }
            Some(_) => {}
            None if line.starts_with('@') => last = Some(line.trim().to_owned()),
            // Calls without a group follow as comments.
            None if line.starts_with('#') => last = None,
            None => {}
        }
    }
    assert!(groups.len() > 20, "systemd-analyze wrote something else: {text}");
    groups
}

/// The calls of a group, with those of the groups that it names.
fn members(groups: &BTreeMap<String, BTreeSet<String>>, group: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for name in &groups[group] {
        match name.starts_with('@') {
            true => all.extend(members(groups, name)),
            false => _ = all.insert(name.clone()),
        }
    }
    all
}

/// What podman's filter decides on a call, on an architecture, for a container without capabilities.
fn podmans(list: &Value, name: &str, arch: Arch) -> Said {
    let arch = match arch {
        Arch::X86_64 => "amd64",
        Arch::X86 => "x86",
        Arch::Aarch64 => "arm64",
        Arch::Arm => "arm",
    };
    let empty = Vec::new();
    let said = |rule: &Value| {
        let has = |value: &Value, word: &str| value.as_array().is_some_and(|list| list.iter().any(|item| item == word));
        let here = rule["includes"]["arches"].is_null() || has(&rule["includes"]["arches"], arch);
        let applies = here && rule["includes"]["caps"].is_null() && has(&rule["names"], name);
        let checks = !rule["args"].as_array().unwrap_or(&empty).is_empty();
        match rule["action"].as_str() {
            Some("SCMP_ACT_ALLOW") if applies && checks => Checked,
            Some("SCMP_ACT_ALLOW") if applies => Allowed,
            _ => Refused,
        }
    };
    list["syscalls"].as_array().unwrap().iter().map(said).max().unwrap()
}

fn ours(row: &Row, arch: Arch) -> Said {
    match Policy::new(Base::Default).decide(row, arch) {
        Decision::Allow => Allowed,
        Decision::Check(_) => Checked,
        Decision::Errno(_) => Refused,
    }
}

/// Calls on which sbx and podman differ, and why.
type Differences = &'static [(Said, Said, &'static [&'static str], &'static str)];

/// Compares on every architecture that has the call, and with the list of differences.
fn compare(whose: &str, listed: Differences, theirs: impl Fn(&str, Arch) -> Said) {
    let mut found: BTreeSet<(Said, Said, &str)> = BTreeSet::new();
    for row in &ROWS {
        for arch in Arch::ALL.into_iter().filter(|arch| row.number(*arch).is_some()) {
            let (ours, theirs) = (ours(row, arch), theirs(row.name(), arch));
            if ours != theirs {
                found.insert((ours, theirs, row.name()));
            }
        }
    }
    let mut explained = BTreeSet::new();
    for (ours, theirs, names, reason) in listed {
        assert!(!reason.is_empty());
        for name in *names {
            assert!(Row::named(name).is_some(), "{name} is no call");
            assert!(explained.insert((*ours, *theirs, *name)), "{name} is listed twice");
        }
    }
    let new: Vec<_> = found.difference(&explained).collect();
    let gone: Vec<_> = explained.difference(&found).collect();
    assert!(new.is_empty() && gone.is_empty(), "{whose} (ours, theirs): unexplained {new:?}; no longer so: {gone:?}");
}

#[rustfmt::skip]
const PODMAN: Differences = &[
    (Refused, Allowed, &["clone3"], "its flags cannot be seen; podman lets every container make namespaces"),
    (
        Refused,
        Allowed,
        &[
            "fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount", "open_tree", "pivot_root",
            "umount", "umount2",
        ],
        "of use in nested namespaces alone, with which they are allowed",
    ),
    (Refused, Allowed, &["setns"], "enters namespaces; podman allows it among the calls on mounts"),
    (Refused, Allowed, &["epoll_ctl_old", "epoll_wait_old"], "were never in a kernel"),
    (Refused, Allowed, &["fanotify_mark"], "nothing to mark without fanotify_init, which both refuse"),
    (Refused, Allowed, &["get_mempolicy", "mbind", "set_mempolicy"], "libnuma then does without; many holes, little use"),
    (Refused, Allowed, &["keyctl"], "the user's keyrings; podman refuses add_key and request_key alone"),
    (Refused, Allowed, &["modify_ldt"], "16-bit code is for 32-bit programs; podman has it for 64-bit ones too"),
    (
        Refused,
        Allowed,
        &["pidfd_getfd", "process_vm_readv", "process_vm_writev", "ptrace"],
        "debuggers' calls: a profile allows @debug",
    ),
    (Refused, Allowed, &["reboot"], "podman lets a container end its own pid namespace with it; programs here do not boot"),
    (Refused, Allowed, &["syslog"], "the kernel's log, which containers may read where the host lets every user"),
    (
        Checked,
        Allowed,
        &[
            "chmod", "creat", "fchmod", "fchmodat", "mkdir", "mkdirat", "mknod", "mknodat", "open", "openat",
        ],
        "no set-user-ID and set-group-ID bits; a container's files are its own",
    ),
    (Checked, Refused, &["fchmodat2"], "newer than podman's list; fchmodat with flags, without these bits"),
    (Refused, Allowed, &["openat2"], "its mode cannot be seen"),
    (Checked, Allowed, &["clone", "unshare"], "no namespaces unless they are nested"),
    (Checked, Allowed, &["fcntl", "fcntl64"], "no leases, which stall who writes to a file outside"),
    (Checked, Allowed, &["ioctl"], "TIOCSTI and TIOCLINUX; a container has a terminal of its own"),
    (Checked, Allowed, &["socketpair"], "unix sockets alone come in pairs"),
    (Checked, Refused, &["kcmp"], "graphics drivers compare files"),
    (Allowed, Refused, &["arch_prctl"], "i386 has it too since Linux 4.12 (CPUID faulting), podman for x86-64 alone"),
    (Allowed, Refused, &["file_getattr", "file_setattr"], "newer than podman's list; what ioctl does with FS_IOC_FSGETXATTR"),
    (
        Allowed,
        Refused,
        &["futex_requeue", "futex_wait", "futex_waitv", "futex_wake"],
        "newer than podman's list; parts of futex",
    ),
    (Allowed, Refused, &["get_tls"], "reads a register; podman has set_tls"),
    (
        Allowed,
        Refused,
        &["getxattrat", "listxattrat", "removexattrat", "setxattrat"],
        "newer than podman's list; getxattr and its like, below a directory",
    ),
    (Allowed, Refused, &["io_pgetevents", "io_pgetevents_time64"], "io_getevents with a signal mask, which podman allows"),
    (Allowed, Refused, &["listmount", "statmount"], "newer than podman's list; what /proc/self/mountinfo says"),
    (
        Allowed,
        Refused,
        &["lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr"],
        "newer than podman's list; what /proc/self/attr does",
    ),
    (Allowed, Refused, &["map_shadow_stack", "mseal"], "newer than podman's list; hardening of a program by itself"),
    (Allowed, Refused, &["nice"], "setpriority under an older name, which podman allows"),
    (
        Allowed,
        Refused,
        &["oldfstat", "oldlstat", "oldolduname", "oldstat", "olduname"],
        "stat and uname under older names, for old 32-bit programs",
    ),
    (Allowed, Refused, &["process_madvise"], "allocators advise on their own memory with it; for another process's the kernel asks for ptrace's right"),
    (Allowed, Refused, &["uprobe", "uretprobe"], "the kernel puts them into programs that it probes; refused, those would die"),
];

#[rustfmt::skip]
const SYSTEMD: Differences = &[
    (Refused, Allowed, &["add_key", "keyctl", "request_key"], "a service has a keyring of its own, a sandbox the user's"),
    (Refused, Allowed, &["clone3"], "its flags cannot be seen; systemd has RestrictNamespaces= beside its groups"),
    (Refused, Allowed, &["setns"], "enters namespaces; systemd has RestrictNamespaces= beside its groups"),
    (Refused, Allowed, &["epoll_ctl_old", "epoll_wait_old"], "were never in a kernel"),
    (
        Refused,
        Allowed,
        &["get_mempolicy", "mbind", "migrate_pages", "move_pages", "set_mempolicy", "set_mempolicy_home_node"],
        "libnuma then does without; many holes, little use",
    ),
    (Refused, Allowed, &["io_uring_enter", "io_uring_register", "io_uring_setup"], "does what other calls do, unseen"),
    (Refused, Allowed, &["process_vm_readv", "process_vm_writev"], "debuggers' calls: a profile allows @debug"),
    (Refused, Allowed, &["userfaultfd"], "of use to exploits, and restricted for users by the kernel's default"),
    (Refused, Allowed, &["vmsplice"], "podman refuses it too; nothing of every day needs it"),
    (
        Checked,
        Allowed,
        &[
            "chmod", "creat", "fchmod", "fchmodat", "fchmodat2", "mkdir", "mkdirat", "mknod", "mknodat", "open",
            "openat",
        ],
        "systemd has RestrictSUIDSGID= beside its groups",
    ),
    (Refused, Allowed, &["openat2"], "its mode cannot be seen; so does RestrictSUIDSGID="),
    (Checked, Allowed, &["clone", "unshare"], "no namespaces unless they are nested"),
    (Checked, Allowed, &["fcntl", "fcntl64"], "no leases, which stall who writes to a file outside"),
    (Checked, Allowed, &["ioctl"], "TIOCSTI and TIOCLINUX; a service has no terminal"),
    (Checked, Allowed, &["kcmp"], "graphics drivers compare files, the rest is for debuggers"),
    (Checked, Allowed, &["personality"], "systemd has LockPersonality= beside its groups"),
    (Checked, Allowed, &["socket", "socketpair"], "systemd has RestrictAddressFamilies= beside its groups"),
    (
        Allowed,
        Refused,
        &["adjtimex", "clock_adjtime", "clock_adjtime64"],
        "NTP's tools read with it, and only the host's administrator can write",
    ),
    (Allowed, Refused, &["arm_sync_file_range"], "systemd knows it as sync_file_range2"),
    (Allowed, Refused, &["breakpoint"], "a trap into the program itself"),
    (Allowed, Refused, &["file_getattr", "file_setattr"], "newer than the list; what ioctl does with FS_IOC_FSGETXATTR"),
    (Allowed, Refused, &["futex_requeue", "futex_wait", "futex_wake"], "newer than the list; parts of futex"),
    (Allowed, Refused, &["get_tls"], "reads a register; systemd has set_tls"),
    (
        Allowed,
        Refused,
        &["getxattrat", "listxattrat", "removexattrat", "setxattrat"],
        "newer than the list; getxattr and its like, below a directory",
    ),
    (
        Allowed,
        Refused,
        &["landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "seccomp"],
        "programs confine themselves; a group of later versions, @sandbox",
    ),
    (Allowed, Refused, &["listmount", "statmount"], "newer than the list; what /proc/self/mountinfo says"),
    (
        Allowed,
        Refused,
        &["lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr"],
        "newer than the list; what /proc/self/attr does",
    ),
    (Allowed, Refused, &["map_shadow_stack", "mseal"], "newer than the list; hardening of a program by itself"),
    (Allowed, Refused, &["memfd_secret"], "a program's own secrets; bounded by RLIMIT_MEMLOCK"),
    (Allowed, Refused, &["mincore"], "unwinders ask whether memory is there"),
    (Allowed, Refused, &["modify_ldt"], "16-bit code, for 32-bit programs alone (Wine)"),
    (Allowed, Refused, &["pkey_alloc", "pkey_free", "pkey_mprotect"], "browsers protect the code that they generate"),
    (Allowed, Refused, &["process_mrelease"], "frees the memory of a process that was killed by its user"),
    (Allowed, Refused, &["uprobe"], "the kernel puts it into programs that it probes; refused, those would die"),
];

#[test]
fn every_difference_from_podmans_list_is_explained() {
    need!(lists());
    let list = podman();
    compare("podman", PODMAN, |name, arch| podmans(&list, name, arch));
}

#[test]
fn every_difference_from_systemds_services_is_explained() {
    need!(lists());
    let groups = systemd();
    let service = members(&groups, "@system-service");
    compare("@system-service", SYSTEMD, |name, _| if service.contains(name) { Allowed } else { Refused });
}

/// Calls that are in a group of sbx's and not in that of systemd 252, and why.
#[rustfmt::skip]
const GROUPED: &[(&str, &[&str], &str)] = &[
    ("@sandbox", &["landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "seccomp"], "of systemd 254"),
    ("@debug", &["kcmp", "process_vm_readv", "process_vm_writev"], "debuggers need them; the kernel asks for ptrace's right"),
    ("@default", &["futex_requeue", "futex_wait", "futex_wake"], "beside futex"),
    ("@default", &["get_tls"], "beside set_tls"),
    ("@default", &["map_shadow_stack", "mseal"], "beside mprotect"),
    ("@default", &["uprobe"], "beside uretprobe"),
    (
        "@file-system",
        &[
            "cachestat", "file_getattr", "file_setattr", "getxattrat", "listmount", "listxattrat", "removexattrat",
            "setxattrat", "statmount",
        ],
        "newer than the list",
    ),
    ("@mount", &["open_tree_attr"], "beside open_tree"),
    ("@sync", &["arm_sync_file_range"], "systemd knows it as sync_file_range2"),
    (
        "@obsolete",
        &["epoll_ctl_old", "epoll_wait_old", "lookup_dcookie", "nfsservctl", "usr26", "usr32"],
        "not in today's kernels",
    ),
    (
        "@system-service",
        &[
            "arm_sync_file_range", "cachestat", "file_getattr", "file_setattr", "futex_requeue", "futex_wait",
            "futex_wake", "get_tls", "getxattrat", "listmount", "listxattrat", "map_shadow_stack", "mseal",
            "removexattrat", "setxattrat", "statmount", "uprobe",
        ],
        "consists of groups above",
    ),
];

/// Names in systemd's groups that are not system calls of the four architectures.
const ELSEWHERE: &[&str] = &[
    "riscv_flush_icache",
    "riscv_hwprobe",
    "rtas",
    "s390_pci_mmio_read",
    "s390_pci_mmio_write",
    "s390_runtime_instr",
    "subpage_prot",
    "swapcontext",
    "switch_endian",
    "sync_file_range2",
    "sys_debug_setcontext",
];

#[test]
fn groups_are_systemds_and_what_is_added_is_listed() {
    need!(lists());
    let groups = systemd();
    let mut added: BTreeSet<(&str, &str)> =
        GROUPED.iter().flat_map(|(g, names, _)| names.iter().map(|n| (*g, *n))).collect();
    for group in Group::names().filter(|group| *group != "@known") {
        let ours = Group::named(group).unwrap();
        let theirs = if groups.contains_key(group) { members(&groups, group) } else { BTreeSet::new() };
        for row in &ROWS {
            let listed = added.remove(&(group, row.name()));
            let (is_ours, is_theirs) = (row.is_in(ours), theirs.contains(row.name()));
            assert_eq!(is_ours && !is_theirs, listed, "{} in {group}", row.name());
            assert!(is_ours || !is_theirs, "{} is in {group}", row.name());
        }
        for name in theirs {
            assert!(Row::named(&name).is_some() || ELSEWHERE.contains(&name.as_str()), "{name} of {group} is no row");
        }
    }
    assert!(added.is_empty(), "no such calls or groups: {added:?}");
    let known: Vec<_> = groups.keys().filter(|group| Group::named(group).is_none()).collect();
    assert!(known.is_empty(), "groups that are not ours: {known:?}");
}

#[test]
fn the_kernel_takes_each_filter_and_threads_programs_and_sockets_work_behind_it() {
    for (base, network) in [(Base::Default, true), (Base::Strict, true), (Base::Strict, false)] {
        for nested in [false, true] {
            let policy = Policy { nested, network, ..Policy::new(base) };
            // A filter applies to a thread, and to those that it creates.
            let behind = std::thread::spawn(move || {
                sys::set_no_new_privs().unwrap();
                sys::load_filter(&compile(&policy)).unwrap();
                std::thread::spawn(|| ()).join().unwrap();
                assert!(Command::new("true").status().unwrap().success());
                UnixStream::pair().unwrap();
                let bound = TcpListener::bind("127.0.0.1:0").map(|_| ()).map_err(|error| error.raw_os_error().unwrap());
                assert_eq!(bound, if network { Ok(()) } else { Err(libc::EAFNOSUPPORT) });
                let made = sys::new_user_namespace().unwrap_err();
                // The kernel's own error is another: a process with threads cannot do this.
                assert_eq!(made.0, if nested { libc::EINVAL } else { libc::EPERM });
            });
            behind.join().unwrap();
        }
    }
}
