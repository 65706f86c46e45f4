//! A helper that joins the sandbox's user and network namespaces, which it is given as its standard input and output. It is
//! killed with sbx, whichever way that ends. It is the first of a process group of its own.

use super::confined::high;
use crate::launch::process::FirstProcess;
use crate::plan;
use crate::sys::{self, Errno, Poll, Resource};
use landlock::{ABI, Access, AccessFs};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// How much of what a helper wrote becomes a part of an error.
const SAID: usize = 2048;

/// The process of such a helper.
pub(super) struct Joined {
    process: FirstProcess,
    /// The reading end of a pipe for what it writes to standard error. The helper is ended by a signal if it writes to a pipe
    /// that nobody reads.
    said: OwnedFd,
}

impl Joined {
    /// Starts a program with the first two of these descriptors as its standard input and output. If the plan has a list of files, Landlock
    /// lets it open no others, and make sockets in the directory `sockets`.
    pub fn start(
        mut command: Command,
        given: &[OwnedFd],
        plan: &plan::Joined,
        sockets: Option<&OwnedFd>,
    ) -> sys::Result<Joined> {
        let [input, output, ..] = given else { return Err(Errno(libc::EBADF)) };
        let (said, says) = sys::pipe()?;
        // A helper that says more than anybody reads must not wait for ever.
        sys::set_nonblocking(says.as_fd(), true)?;
        command.stdin(Stdio::from(high(input.try_clone()?)?)).stdout(Stdio::from(high(output.try_clone()?)?));
        command.stderr(Stdio::from(high(says)?));
        let rules = plan.files.as_deref().map(|files| ruleset(files, sockets)).transpose()?;
        let launcher = sys::pid();
        let pid = sys::fork(|| {
            let restricted = rules.as_ref().is_none_or(|rules| restrict(rules.as_fd()).is_ok());
            let unprivileged = plan.keeps.is_none_or(|keeps| give_up_all_but(keeps).is_ok());
            if restricted
                && unprivileged
                && bound().is_ok()
                && sys::set_parent_death_signal(libc::SIGKILL).is_ok()
                && sys::parent_pid() == launcher
            {
                let error = command.exec();
                return error.raw_os_error().unwrap_or(1);
            }
            1
        })?;
        // It is not reaped before it is waited for, so the process id is still its own.
        match sys::pidfd_open(pid) {
            Ok(pidfd) => Ok(Joined { process: FirstProcess::new(pid, pidfd), said }),
            Err(errno) => {
                let _ = (sys::kill(pid, libc::SIGKILL), sys::wait_for(pid));
                Err(errno)
            }
        }
    }

    /// Its pidfd, ready to read when it has ended.
    pub fn fd(&self) -> RawFd {
        self.process.fd()
    }

    /// Descriptors that must stay open while it runs.
    pub fn descriptors(&self) -> [RawFd; 2] {
        [self.process.fd(), self.said.as_raw_fd()]
    }

    /// The pipe that it writes to, to wait for.
    pub fn said(&self) -> &OwnedFd {
        &self.said
    }

    /// Kills it, and does not wait for its end.
    pub fn kill(&self) {
        // An old pasta(1) leaves children that it has not waited for; where PID 1 does not either, as in some containers, they
        // would stay for ever.
        let _ = sys::set_child_subreaper(true);
        self.process.signal(libc::SIGKILL);
    }

    /// What it wrote to standard error and nobody has read yet; `None` if that is nothing.
    pub fn failure(&self) -> Option<String> {
        let mut set = [Poll::read(self.said.as_raw_fd())];
        let mut bytes = [0; SAID];
        sys::poll(&mut set, Some(0)).ok()?;
        let length =
            if set.iter().any(|poll| poll.ready) { sys::read(self.said.as_fd(), &mut bytes).ok()? } else { 0 };
        words(bytes.get(..length)?)
    }

    /// How it ended, as std describes it for a child; `None` while it runs.
    pub fn ended(&mut self) -> Option<String> {
        self.process.ended()
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.kill();
        let _ = self.process.wait();
        // It leads a process group of its own, which its children are in.
        sys::reap_group(self.process.pid());
        let _ = sys::set_child_subreaper(false);
    }
}

/// A ruleset that lets a process open these files and what is below these directories, to read or execute them or, where it
/// says so, to write to them. What is not there is left out. In the directory `sockets`, it may make sockets, and remove files.
fn ruleset(files: &[(PathBuf, bool)], sockets: Option<&OwnedFd>) -> sys::Result<OwnedFd> {
    let version = sys::landlock_version()?;
    let rules = sys::landlock_ruleset(AccessFs::from_all(ABI::from(version)).bits(), 0, 0)?;
    for (path, writable) in files {
        let path = CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| Errno(libc::EINVAL))?;
        let opened = match sys::openat(sys::cwd(), &path, libc::O_PATH, 0) {
            Err(Errno(libc::ENOENT)) => continue,
            opened => opened?,
        };
        let is_dir = std::fs::metadata(format!("/proc/self/fd/{}", opened.as_raw_fd())).is_ok_and(|file| file.is_dir());
        let mut rights = sys::FS_READ_FILE | sys::FS_EXECUTE;
        if is_dir {
            rights |= sys::FS_READ_DIR;
        }
        if *writable {
            rights |= sys::FS_WRITE_FILE;
            // TUNSETIFF is an ioctl(2) of a device.
            rights |= if version >= 5 { sys::FS_IOCTL_DEV } else { 0 };
        }
        sys::landlock_allow(rules.as_fd(), opened.as_fd(), rights)?;
    }
    if let Some(dir) = sockets {
        sys::landlock_allow(rules.as_fd(), dir.as_fd(), (AccessFs::MakeSock | AccessFs::RemoveFile).bits())?;
    }
    Ok(rules)
}

/// The most descriptors of a helper. A program inside has it take one, and with that a port of the host, for each port that it sends
/// datagrams from.
const MOST_DESCRIPTORS: u64 = 8192;

/// Sets that limit, unless the caller's hard one is lower. slirp4netns keeps to the soft one, which is 1,024 for most callers.
fn bound() -> sys::Result<()> {
    let (_, hard) = sys::rlimit(Resource::RLIMIT_NOFILE)?;
    let most = Some(hard.min(MOST_DESCRIPTORS));
    sys::set_rlimit(Resource::RLIMIT_NOFILE, most, most)
}

/// Leaves the program that is executed next no capabilities but these, although it may be root's. The kernel takes the sets as the most
/// there may be, once no new privileges are gained.
fn give_up_all_but(keep: u64) -> sys::Result<()> {
    /// CAP_SETPCAP.
    const BOUNDS: u64 = 1 << 8;
    let (effective, permitted) = sys::capabilities()?;
    sys::set_no_new_privs()?;
    let keep = keep & permitted;
    if effective & BOUNDS != 0 {
        sys::shrink_bounding_set(keep)?;
    }
    sys::clear_ambient()?;
    sys::set_capabilities(keep)?;
    sys::raise_ambient(keep)
}

fn restrict(rules: BorrowedFd<'_>) -> sys::Result<()> {
    sys::set_no_new_privs()?;
    sys::landlock_restrict(rules)
}

/// What a helper wrote, in one line. pasta(1) complains where there is no syslog, besides what it has to say.
pub(super) fn words(said: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(said);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<_> = lines.filter(|line| !(line.starts_with("Failed to send") && line.contains("syslog"))).collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}
