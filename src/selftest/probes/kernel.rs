//! Probes of system calls that programs seldom need, and exploits often.

use super::super::facts::{Facts, Verdict};
use super::tools::{each, in_child, not_run, verdict};
use super::{Probe, never};
use crate::sys::attempts::{self, USER_KEYRING, add_key};
use crate::sys::{self, Errno};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// A system call with harmless arguments.
pub(crate) type Call = fn() -> sys::Result<()>;

/// System calls that a kernel may lack, by name: where one gives ENOSYS outside, its probe is not run. All are harmless
/// even with every right.
pub(crate) const CALLS: &[(&str, Call)] = &[
    ("io_uring_setup", || attempts::io_uring().map(drop)),
    ("bpf", || attempts::bpf_map().map(drop)),
    ("perf_event_open", || attempts::perf_counter().map(drop)),
    ("userfaultfd", || attempts::userfault(true).map(drop)),
    ("fanotify_init", || attempts::watch_accesses().map(drop)),
    ("add_key", || add_key(c"", b"", USER_KEYRING).map(drop)),
    ("kcmp", || attempts::compare_processes(sys::pid(), sys::pid())),
    ("process_vm_readv", || attempts::read_memory(sys::pid(), 0, &mut []).map(drop)),
    ("init_module", attempts::may_load_module),
    ("delete_module", attempts::may_unload_module),
    ("kexec_load", attempts::may_replace_kernel),
    ("swapon", attempts::may_swap),
    ("acct", attempts::may_account),
    ("syslog", || attempts::kernel_log(&mut [0; 64]).map(drop)),
    ("iopl", attempts::io_ports),
    ("ioperm", attempts::io_port),
    ("modify_ldt", attempts::write_ldt),
    ("x32", attempts::x32_call),
    ("i386", || attempts::i386_call(I386_GETPID, 0, 0, 0).map(drop)),
    ("vsock", || attempts::socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0).map(drop)),
    ("alg", || attempts::socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0).map(drop)),
];

const I386_GETPID: u32 = 20;
const I386_IOCTL: u32 = 54;
const I386_ADD_KEY: u32 = 286;

const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541c;

/// A probe of a call of `CALLS`, with the name by which a filter allows it.
macro_rules! call {
    ($id:literal, $title:literal, $name:literal, $attempt:expr) => {
        Probe {
            id: $id,
            title: $title,
            attempt: |facts| there($name, facts, || verdict($name, $attempt)),
            granted: |granted| granted.calls($name).then_some(concat!("the filter lets ", $name, " in")),
        }
    };
}

pub(super) const PROBES: &[Probe] = &[
    call!("io-uring", "set an io_uring up", "io_uring_setup", attempts::io_uring()),
    call!("bpf-program", "load a bpf program", "bpf", attempts::bpf_program()),
    call!("bpf-map", "make a bpf map", "bpf", attempts::bpf_map()),
    call!("perf", "count this program's own events (perf_event_open)", "perf_event_open", attempts::perf_counter()),
    call!("userfaultfd", "answer this program's own page faults", "userfaultfd", attempts::userfault(true)),
    call!("userfaultfd-kernel", "hold the kernel up in a page fault", "userfaultfd", attempts::userfault(false)),
    call!("fanotify", "answer for others' accesses (fanotify)", "fanotify_init", attempts::watch_accesses()),
    call!("module-load", "load a module into the kernel", "init_module", attempts::may_load_module()),
    Probe {
        id: "module-load-file",
        title: "load a module into the kernel from a file (finit_module)",
        attempt: |facts| {
            there("init_module", facts, || match super::tools::open_to_read("/proc/self/exe".as_ref()) {
                Ok(file) => verdict("finit_module", attempts::may_load_module_file(file.as_fd())),
                Err(errno) => not_run(format!("/proc/self/exe: {errno}")),
            })
        },
        granted: never,
    },
    call!("module-unload", "take a module out of the kernel", "delete_module", attempts::may_unload_module()),
    call!("kexec", "start another kernel (kexec_load)", "kexec_load", attempts::may_replace_kernel()),
    Probe {
        id: "reboot",
        title: "stop or restart the machine (reboot)",
        attempt: |_| verdict("reboot", attempts::may_reboot()),
        granted: never,
    },
    call!("swap", "change where memory is swapped to (swapon)", "swapon", attempts::may_swap()),
    call!("acct", "keep accounts of all processes (acct)", "acct", attempts::may_account()),
    call!("syslog", "read the kernel's messages (syslog)", "syslog", attempts::kernel_log(&mut [0; 4096])),
    call!("iopl", "all ports of the machine (iopl)", "iopl", attempts::io_ports()),
    call!("ioperm", "a port of the machine (ioperm)", "ioperm", attempts::io_port()),
    call!("ldt", "write segments of its own (modify_ldt)", "modify_ldt", attempts::write_ldt()),
    Probe {
        id: "personality",
        title: "start programs at predictable addresses (personality)",
        attempt: |_| verdict("personality", attempts::predictable_addresses()),
        granted: |granted| granted.calls("personality").then_some("the filter lets personality in"),
    },
    Probe {
        id: "calls-i386",
        title: "make calls of the 32-bit kind (int 0x80)",
        attempt: |facts| there("i386", facts, || verdict("getpid", attempts::i386_call(I386_GETPID, 0, 0, 0))),
        granted: |granted| granted.arches.iter().any(|arch| arch == "x86").then_some("the filter lets x86 calls in"),
    },
    Probe {
        id: "calls-x32",
        title: "make calls of the x32 kind",
        attempt: |facts| there("x32", facts, || verdict("getpid", attempts::x32_call())),
        granted: |granted| granted.arches.iter().any(|arch| arch == "x32").then_some("the filter lets x32 calls in"),
    },
    Probe {
        id: "calls-i386-keys",
        title: "reach the user's keys by calls of the 32-bit kind",
        attempt: |facts| {
            there("i386", facts, || match attempts::i386_call(I386_ADD_KEY, 0, 0, 0) {
                Err(Errno(libc::EFAULT | libc::EINVAL)) => Verdict::Open("add_key reaches the kernel".into()),
                other => verdict("add_key", other),
            })
        },
        granted: never,
    },
    Probe {
        id: "tiocsti",
        title: "type into the terminal (TIOCSTI)",
        attempt: |_| in_terminal(|terminal| push(terminal, &[TIOCSTI, TIOCSTI | 1 << 32])),
        granted: never,
    },
    Probe {
        id: "tioclinux",
        title: "paste into the terminal (TIOCLINUX)",
        attempt: |_| in_terminal(|terminal| push(terminal, &[TIOCLINUX, TIOCLINUX | 1 << 32])),
        granted: never,
    },
    Probe {
        id: "tiocsti-i386",
        title: "type into the terminal by calls of the 32-bit kind",
        attempt: |facts| {
            there("i386", facts, || {
                in_terminal(|terminal| {
                    // No address of a 64-bit process fits: EFAULT shows that the kernel looked for one.
                    match attempts::i386_call(I386_IOCTL, terminal.as_raw_fd() as u32, TIOCSTI as u32, 8) {
                        Err(Errno(libc::EFAULT | libc::EIO)) => Verdict::Open("the request reaches the kernel".into()),
                        other => verdict("ioctl", other),
                    }
                })
            })
        },
        granted: never,
    },
];

/// Runs an attempt, unless this kernel does not have the call.
fn there(name: &str, facts: &Facts, attempt: impl FnOnce() -> Verdict) -> Verdict {
    match facts.outside.missing.contains(name) {
        true => not_run("this kernel has no such calls"),
        false => attempt(),
    }
}

/// Runs an attempt in a child with a new session, and a new terminal as its controlling one.
fn in_terminal(attempt: impl FnOnce(BorrowedFd<'_>) -> Verdict) -> Verdict {
    in_child(|| {
        let master = match sys::openat(sys::cwd(), c"/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY, 0) {
            Ok(master) => master,
            Err(errno) => return not_run(format!("/dev/ptmx: {errno}")),
        };
        let made = sys::open_peer(master.as_fd()).and_then(|peer| {
            sys::setsid()?;
            sys::take_terminal(peer.as_fd())?;
            Ok(peer)
        });
        let verdict = match &made {
            Ok(peer) => attempt(peer.as_fd()),
            Err(errno) => not_run(format!("no terminal of its own: {errno}")),
        };
        // Closing the master would send this process SIGHUP.
        std::mem::forget(master);
        verdict
    })
}

/// Tries to push input into a terminal. The filter answers EPERM to each request; an answer of the kernel itself shows
/// that the request reached it. A kernel with dev.tty.legacy_tiocsti=0 says EIO.
fn push(terminal: BorrowedFd<'_>, requests: &[u64]) -> Verdict {
    each(requests, |request| match attempts::push_input(terminal, *request, b'x') {
        Err(Errno(libc::EIO)) => Verdict::Closed("the kernel refuses it (dev.tty.legacy_tiocsti is 0)".into()),
        Err(Errno(libc::ENOTTY | libc::EINVAL)) => Verdict::Open("the request reaches the kernel".into()),
        other => verdict("ioctl", other),
    })
}
