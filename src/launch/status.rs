//! `--status-fd`: a JSON line for each event.

use crate::sys;
use serde_json::{Value, json};
use std::os::fd::{AsFd, OwnedFd};

/// Where events are told, if anywhere.
#[derive(Debug, Default)]
pub struct Status {
    /// The descriptor.
    pub fd: Option<OwnedFd>,
    /// Whether notes are left out on stderr.
    pub quiet: bool,
}

impl Status {
    fn tell(&mut self, event: &Value) {
        let Some(fd) = &self.fd else { return };
        // A reader that went away must not end the program.
        if sys::write_all(fd.as_fd(), format!("{event}\n").as_bytes()).is_err() {
            self.fd = None;
        }
    }

    /// The program was executed; `pid` is that of the sandbox's first process, as the caller numbers it.
    pub fn started(&mut self, pid: i32) {
        self.tell(&json!({"event": "started", "pid": pid}));
    }

    /// Something that the user should know is missing from here on.
    pub fn note(&mut self, note: &str) {
        use std::io::Write;
        self.tell(&json!({"event": "note", "message": note}));
        if !self.quiet {
            // With stderr closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "sbx: note: {}", crate::error::printable(note));
        }
    }

    /// It did not come to that.
    pub fn failed(&mut self, error: &crate::error::Error) {
        self.tell(&json!({"event": "failed", "status": error.status, "message": error.message}));
    }

    /// It ended.
    pub fn exited(&mut self, outcome: &super::Outcome) {
        use super::Outcome;
        let (cause, signal) = match outcome {
            Outcome::Exited(_) => ("exited", None),
            Outcome::Signaled(signal) => ("signal", Some(*signal)),
            Outcome::TimedOut => ("timeout", None),
            Outcome::Killed => ("killed", None),
        };
        let mut event = json!({"event": "exited", "status": outcome.status(), "cause": cause});
        if let (Some(signal), Value::Object(fields)) = (signal, &mut event) {
            fields.insert("signal".into(), signal.into());
        }
        self.tell(&event);
    }
}
