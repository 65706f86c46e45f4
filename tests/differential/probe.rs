//! The program that runs in the sandbox: this test's own file, which is bound into each sandbox and notices by its first
//! argument, before Rust's start changes signals and descriptors, that it is not to run tests. It reports what only the
//! inside can see, waits until the test has looked at it from outside, and ends as told.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString, OsStr};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// First argument of a probe. Second: `exit:N` or `signal:N`. Third: directories of the host that are not walked, as
/// `device:inode,`. All others: paths to look at.
pub const MARK: &str = "--probe";

/// Last line of a report.
pub const DONE: &str = "done";

#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

extern "C" fn before_main() {
    let args: Vec<String> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    if args.get(1).is_some_and(|arg| arg == MARK) && args.len() > 3 {
        probe(&args);
    }
}

fn probe(args: &[String]) {
    let mut report = String::new();
    process(&mut report);
    for (index, arg) in args.iter().enumerate().filter(|(index, _)| *index != 3) {
        writeln!(report, "args\t{index}: {arg}").unwrap();
    }
    network(&mut report);
    let unwalked = args[3].split(',').filter_map(|pair| pair.split_once(':'));
    let unwalked = unwalked.filter_map(|(dev, ino)| Some((dev.parse().ok()?, ino.parse().ok()?))).collect();
    let mut walk = Walk { unwalked, seen: BTreeSet::new(), lines: BTreeMap::new() };
    walk.look(Path::new("/"), 0);
    for path in &args[4..] {
        walk.way(&Path::new("/").join(path));
    }
    for line in walk.lines.values() {
        writeln!(report, "files\t{line}").unwrap();
    }
    writeln!(report, "{DONE}").unwrap();

    let mut rest = report.as_bytes();
    while !rest.is_empty() {
        // SAFETY: the buffer is as long as said.
        let wrote = unsafe { libc::write(1, rest.as_ptr().cast(), rest.len()) };
        rest = &rest[usize::try_from(wrote).unwrap_or(rest.len())..];
    }
    let mut byte = 0u8;
    // SAFETY: the buffer is one byte. The end of the input is the sign to end.
    unsafe { libc::read(0, (&raw mut byte).cast(), 1) };
    let (how, number) = args[2].split_once(':').unwrap_or(("exit", "99"));
    let number = number.parse().unwrap_or(99);
    // SAFETY: plain integers.
    unsafe {
        if how == "signal" {
            libc::signal(number, libc::SIG_DFL);
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigprocmask(libc::SIG_SETMASK, &raw const set, &raw mut set);
            libc::kill(libc::getpid(), number);
        }
        libc::_exit(number);
    }
}

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Zero, or the errno of a call that gave -1.
fn outcome(result: i32) -> i32 {
    if result < 0 { errno() } else { 0 }
}

fn process(report: &mut String) {
    let mut ids = [0u32; 6];
    let [ruid, euid, suid, rgid, egid, sgid] = ids.each_mut();
    let mut groups = [0u32; 64];
    // SAFETY: plain integers, and places for them.
    unsafe {
        libc::getresuid(ruid, euid, suid);
        libc::getresgid(rgid, egid, sgid);
        let count = libc::getgroups(64, groups.as_mut_ptr());
        writeln!(report, "process\tids {ids:?} groups {:?}", &groups[..usize::try_from(count).unwrap_or(0)]).unwrap();
        writeln!(report, "pids\tpid {} parent {}", libc::getpid(), libc::getppid()).unwrap();
        writeln!(report, "pids\tgroup {} session {}", libc::getpgid(0), libc::getsid(0)).unwrap();
        let mut signal = 0;
        libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut signal);
        writeln!(report, "process\tparent's death sends {signal}").unwrap();
        for (name, option) in [
            ("dumpable", libc::PR_GET_DUMPABLE),
            ("securebits", libc::PR_GET_SECUREBITS),
            ("timer slack", libc::PR_GET_TIMERSLACK),
            ("no new privileges", libc::PR_GET_NO_NEW_PRIVS),
        ] {
            writeln!(report, "process\t{name} {}", libc::prctl(option, 0, 0, 0, 0)).unwrap();
        }
        writeln!(report, "process\tpriority {}", libc::nice(0)).unwrap();
        for descriptor in 0..3 {
            writeln!(report, "process\tterminal {descriptor} {}", libc::isatty(descriptor)).unwrap();
        }
        for limit in 0..16 {
            let mut value: libc::rlimit = std::mem::zeroed();
            libc::getrlimit(limit, &raw mut value);
            writeln!(report, "process\tlimit {limit} {} {}", value.rlim_cur, value.rlim_max).unwrap();
        }
        // The filters of the lists refuse this call.
        let refused = libc::syscall(libc::SYS_getpriority, 0, 0) as i32;
        writeln!(report, "process\tfiltered call {}", outcome(refused)).unwrap();
        let mut name: libc::utsname = std::mem::zeroed();
        libc::uname(&raw mut name);
        let text = |part: &[libc::c_char]| CStr::from_ptr(part.as_ptr()).to_string_lossy().into_owned();
        writeln!(report, "process\thost {} {}", text(&name.nodename), text(&name.domainname)).unwrap();
        writeln!(report, "process\tnew user namespace {}", new_user_namespace()).unwrap();
    }
    let cwd = std::env::current_dir().map_err(|error| error.raw_os_error());
    let cwd = cwd.map(|path| if path.starts_with("/proc") { without_numbers(&path) } else { path });
    writeln!(report, "process\tcwd {cwd:?}").unwrap();
    for file in ["uid_map", "gid_map"] {
        if let Ok(map) = std::fs::read_to_string(Path::new("/proc/self").join(file)) {
            let map: Vec<&str> = map.split_whitespace().collect();
            writeln!(report, "inner map\t{file} {map:?}").unwrap();
        }
    }
    let mut env: Vec<String> = std::env::vars_os().map(|(name, value)| format!("{name:?}={value:?}")).collect();
    env.sort();
    env.iter().for_each(|line| writeln!(report, "environment\t{line}").unwrap());
}

/// The errno of an attempt, which a child makes.
fn new_user_namespace() -> i32 {
    // SAFETY: there is one thread; the child makes two system calls and ends.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            libc::_exit(outcome(libc::unshare(libc::CLONE_NEWUSER)));
        }
        let mut status = 0;
        libc::waitpid(pid, &raw mut status, 0);
        libc::WEXITSTATUS(status)
    }
}

fn network(report: &mut String) {
    let mut list = std::ptr::null_mut();
    // SAFETY: getifaddrs gives a list whose entries stay until freeifaddrs; an address of a family has that family's type.
    unsafe {
        writeln!(report, "network\t{}", outcome(libc::getifaddrs(&raw mut list))).unwrap();
        let mut at = list;
        while let Some(entry) = at.as_ref() {
            let name = CStr::from_ptr(entry.ifa_name).to_string_lossy();
            let flags = entry.ifa_flags as i32 & (libc::IFF_UP | libc::IFF_LOOPBACK);
            if let Some(address) = entry.ifa_addr.as_ref()
                && i32::from(address.sa_family) == libc::AF_INET
            {
                let address = &*entry.ifa_addr.cast::<libc::sockaddr_in>();
                let mask = &*entry.ifa_netmask.cast::<libc::sockaddr_in>();
                let [address, mask] =
                    [address, mask].map(|of| std::net::Ipv4Addr::from_bits(u32::from_be(of.sin_addr.s_addr)));
                writeln!(report, "network\t{name} {flags:#x} {address}/{mask}").unwrap();
            } else {
                writeln!(report, "network\t{name} {flags:#x}").unwrap();
            }
            at = entry.ifa_next;
        }
        libc::freeifaddrs(list);
    }
}

/// The files that can be seen, without going into the host's own large directories.
struct Walk {
    unwalked: BTreeSet<(u64, u64)>,
    seen: BTreeSet<PathBuf>,
    lines: BTreeMap<PathBuf, String>,
}

impl Walk {
    /// A path and all that lead to it.
    fn way(&mut self, path: &Path) {
        let mut above: Vec<&Path> = path.ancestors().collect();
        above.reverse();
        for path in above {
            self.look(path, 0);
        }
    }

    fn look(&mut self, path: &Path, depth: u32) {
        if self.seen.len() > 600 || !self.seen.insert(path.to_owned()) {
            return;
        }
        let meta = match std::fs::symlink_metadata(path) {
            Ok(meta) => meta,
            Err(error) => {
                self.lines.insert(path.to_owned(), format!("{path:?} {error}"));
                return;
            }
        };
        let kind = meta.file_type();
        let mut line = format!("{path:?} {:06o} {}:{}", meta.mode(), meta.uid(), meta.gid());
        let name = CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
        // SAFETY: a C string.
        let writable = || outcome(unsafe { libc::access(name.as_ptr(), libc::W_OK) });
        let mut inside = false;
        if kind.is_symlink() {
            write!(line, " -> {:?}", without_numbers(&std::fs::read_link(path).unwrap_or_default())).unwrap();
        } else if kind.is_file() {
            write!(line, " {} bytes, writing {}", meta.len(), writable()).unwrap();
            if meta.len() <= 16384 {
                match std::fs::read(path) {
                    Ok(bytes) => write!(line, ", content {:016x}", hash(&bytes)).unwrap(),
                    Err(error) => write!(line, ", {error}").unwrap(),
                }
            }
        } else if kind.is_dir() {
            inside = self.directory(&name, &meta, &mut line, writable());
        } else {
            write!(line, " device {:x}, writing {}", meta.rdev(), writable()).unwrap();
            // Devices that mean no harm: null, zero, random and their like.
            if kind.is_char_device() && libc::major(meta.rdev()) == 1 {
                // SAFETY: a C string; what was opened is closed.
                let opened = unsafe { libc::open(name.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
                write!(line, ", opening {}", outcome(opened)).unwrap();
                // SAFETY: see above.
                unsafe { libc::close(opened) };
            }
        }
        self.lines.insert(path.to_owned(), line);
        if inside && depth < 10 {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            paths.sort();
            for path in paths {
                self.look(&path, depth + 1);
            }
        }
    }

    /// Adds what there is to say about a directory; gives whether to walk it.
    fn directory(&self, name: &CStr, meta: &std::fs::Metadata, line: &mut String, writing: i32) -> bool {
        // SAFETY: all zeroes are a value of both, which are places to write to; the name is a C string.
        let (system, flags) = unsafe {
            let mut system: libc::statfs = std::mem::zeroed();
            let mut flags: libc::statvfs = std::mem::zeroed();
            libc::statfs(name.as_ptr(), &raw mut system);
            libc::statvfs(name.as_ptr(), &raw mut flags);
            (system, flags)
        };
        write!(line, " writing {writing}, file system {:x} {:x}", system.f_type, flags.f_flag).unwrap();
        if system.f_type == libc::TMPFS_MAGIC {
            write!(line, " {} blocks", system.f_blocks).unwrap();
        }
        if system.f_type == libc::PROC_SUPER_MAGIC {
            for entry in ["self", "sys", "sysrq-trigger", "irq", "bus"] {
                let path = [name.to_bytes(), b"/", entry.as_bytes()].concat();
                let path = CString::new(path).unwrap_or_default();
                // SAFETY: a C string.
                let [there, writing] =
                    [libc::F_OK, libc::W_OK].map(|mode| outcome(unsafe { libc::access(path.as_ptr(), mode) }));
                write!(line, ", {entry} {there} {writing}").unwrap();
            }
            return false;
        }
        let walked = !self.unwalked.contains(&(meta.dev(), meta.ino()))
            && ![libc::SYSFS_MAGIC, libc::CGROUP_SUPER_MAGIC, libc::CGROUP2_SUPER_MAGIC].contains(&system.f_type);
        if walked {
            let new = CString::new([name.to_bytes(), b"/.new"].concat()).unwrap_or_default();
            // SAFETY: C strings; what was made is removed.
            unsafe {
                write!(line, ", making {}", outcome(libc::mkdir(new.as_ptr(), 0o777))).unwrap();
                libc::rmdir(new.as_ptr());
            }
        }
        walked
    }
}

/// A path without its names that are numbers: those of processes.
fn without_numbers(path: &Path) -> PathBuf {
    let number = |name: &OsStr| name.as_bytes().iter().all(u8::is_ascii_digit);
    path.iter().map(|name| if number(name) { OsStr::new("<number>") } else { name }).collect()
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
