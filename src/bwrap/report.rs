//! `--info-fd` and `--json-status-fd`: what is reported of a sandbox while it runs, as JSON.

use super::values::refused;
use crate::error::Result;
use crate::launch::{Events, Outcome};
use crate::sys::{self, UnownedFd};
use std::fmt::Write;
use std::os::fd::{AsFd, RawFd};

/// The descriptors of both options, and what is written to them.
pub(super) struct Report {
    /// `--info-fd`: written to once, then closed.
    pub info: Option<RawFd>,
    /// `--json-status-fd`: a line for each event.
    pub status: Option<RawFd>,
    /// The sandbox's own namespaces, by the names of their files in /proc/PID/ns.
    pub namespaces: Vec<&'static str>,
    /// The program was executed.
    pub started: bool,
    /// The destinations of the view's parts, for warnings about those that do not have all of their flags.
    pub parts: Vec<String>,
    /// The signals that came for the launcher: bit 0 is signal 1.
    pub signals: u64,
    /// The prefix of warnings: `<4>` with `--level-prefix`, otherwise nothing.
    pub prefix: &'static str,
}

impl Report {
    /// Whether this signal came for the launcher.
    pub(super) fn has_signal(&self, signal: i32) -> bool {
        (1..=64).contains(&signal) && self.signals >> (signal - 1) & 1 != 0
    }

    fn members(&self, pid: i32, separator: &str) -> String {
        use std::os::unix::fs::MetadataExt;
        let mut text = format!("\"child-pid\": {pid}");
        for name in &self.namespaces {
            // Left out if this user may not look at it.
            if let Ok(facts) = std::fs::metadata(format!("/proc/{pid}/ns/{name}")) {
                let _ = write!(text, ",{separator}\"{name}-namespace\": {}", facts.ino());
            }
        }
        text
    }
}

fn tell(fd: RawFd, text: &str) -> Result<()> {
    sys::write_all(UnownedFd::new(fd).as_fd(), text.as_bytes()).map_err(|errno| {
        let hint = "the reader of --info-fd or --json-status-fd must stay until the sandbox runs";
        refused(format!("Write to info_fd: {}", super::options::plain(errno)), hint)
    })
}

impl Events for Report {
    fn wants_child(&self) -> bool {
        self.info.is_some() || self.status.is_some()
    }

    fn cloned(&mut self, pid: i32) -> Result<()> {
        if let Some(fd) = self.info.take() {
            tell(fd, &format!("{{\n    {}\n}}\n", self.members(pid, "\n    ")))?;
            if Some(fd) != self.status {
                UnownedFd::new(fd).close();
            }
        }
        match self.status {
            Some(fd) => tell(fd, &format!("{{ {} }}\n", self.members(pid, " "))),
            None => Ok(()),
        }
    }

    fn wants_start(&self) -> bool {
        self.status.is_some()
    }

    fn started(&mut self, _pid: i32) {
        self.started = true;
    }

    fn signal(&mut self, signal: i32) {
        if (1..=64).contains(&signal) {
            self.signals |= 1 << (signal - 1);
        }
    }

    fn note(&mut self, _note: &str) {}

    fn partly(&mut self, index: usize) {
        use std::io::Write;
        let part = crate::error::printable(self.parts.get(index).map_or("", String::as_str));
        let text = format!("{}bwrap: Can't remount submounts of {part}, ignoring error\n", self.prefix);
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    fn exited(&mut self, outcome: &Outcome) {
        if let Some(fd) = self.status.filter(|_| self.started) {
            let _ = tell(fd, &format!("{{ \"exit-code\": {} }}\n", outcome.status()));
        }
    }

    fn descriptors(&self) -> Vec<RawFd> {
        self.status.into_iter().collect()
    }
}
