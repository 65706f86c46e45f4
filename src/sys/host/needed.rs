//! Words for system calls that are missing or refused: whether the kernel is too old, or a seccomp filter around this
//! process, as containers have, takes them away.

use crate::sys::child::NeededCall;
use crate::sys::errno::Errno;

/// Whether a seccomp filter is in force for this process; none if that cannot be read.
pub fn is_filtered() -> Option<bool> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:"))?;
    Some(mode.trim() == "2")
}

/// Major and minor number of the running kernel; (0, 0) if a filter refuses to tell.
pub fn kernel_version() -> (u32, u32) {
    let release = super::release();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

impl NeededCall {
    /// Why the call gave this errno, and what to do about it, if it is refused as a whole: the kernel is older than it, or
    /// something around this process takes it away.
    pub fn why_refused(&self, errno: Errno) -> Option<(String, String)> {
        match errno.0 {
            libc::ENOSYS => Some(self.why_missing()),
            libc::EPERM if self.judges_arguments && self.attempt() == Err(errno) => Some(self.filtered("refuses")),
            _ => None,
        }
    }

    /// Why the call gives ENOSYS, and what to do about it.
    pub fn why_missing(&self) -> (String, String) {
        let name = self.name;
        let ((major, minor), (now_major, now_minor)) = (self.since, kernel_version());
        if self.since > kernel_version() && kernel_version() != (0, 0) {
            let why = format!(
                "{name}(2), as sbx uses it, came with Linux {major}.{minor}, and this is {now_major}.{now_minor}"
            );
            return (why, "run a newer kernel; Debian 12 has 6.1".into());
        }
        match is_filtered() {
            Some(false) => (
                format!("this says that it is Linux {now_major}.{now_minor}, but has no {name}(2)"),
                "what imitates Linux, as gVisor, WSL 1, qemu-user and valgrind do, may lack calls: run Linux itself"
                    .into(),
            ),
            _ => self.filtered("hides"),
        }
    }

    /// The sentence that a filter `does` something to the call, and what to do about it.
    pub fn filtered(&self, does: &str) -> (String, String) {
        let name = self.name;
        (
            format!("a seccomp filter around sbx, as containers have, {does} {name}(2)"),
            format!("allow {name} in that filter; with podman or docker, --security-opt seccomp=unconfined has none"),
        )
    }
}
