//! What users are told of a run: events as JSON lines (`--status-fd`), notes, the receipt and figures.

use super::cgroup::figures::Figures;
use super::events::Events;
use super::outcome::Outcome;
use crate::plan::Receipt;
use crate::sys;
use serde_json::{Value, json};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// Where events are reported, if anywhere.
#[derive(Debug, Default)]
pub struct Status {
    /// Descriptor that events are written to.
    pub fd: Option<OwnedFd>,
    /// Whether notes are left out on stderr.
    pub quiet: bool,
    /// The receipt and its file, which is written when the program runs.
    pub receipt: Option<Told>,
    /// Whether figures are written to stderr: `Some(true)` as JSON, `Some(false)` as text.
    pub stats: Option<bool>,
    /// The figures of the whole run, once it has ended.
    pub used: Option<Figures>,
    /// The receipt and its file once it is written: the figures follow at the end.
    pub written: Option<Told>,
}

/// A receipt and its file.
#[derive(Debug)]
pub struct Told {
    /// Descriptor of the file.
    pub fd: OwnedFd,
    /// Whether it is a file of its own, which is rewritten at the end.
    pub own_file: bool,
    /// The receipt, once there is a plan.
    pub receipt: Option<Receipt>,
}

impl Told {
    /// The text of the file, with the figures once they are known.
    fn text(&self, used: Option<&Figures>) -> String {
        let mut receipt = json!(self.receipt);
        if let Some(used) = used {
            receipt["used"] = json!(used);
        }
        format!("{receipt:#}\n")
    }
}

impl Status {
    fn tell(&mut self, event: &Value) {
        let Some(fd) = &self.fd else { return };
        // A reader that went away must not end the program.
        if sys::write_all(fd.as_fd(), format!("{event}\n").as_bytes()).is_err() {
            self.fd = None;
        }
    }

    /// Reports that the program was not started, or can no longer be supervised.
    pub fn failed(&mut self, error: &crate::error::Error) {
        if let Some(told) = self.receipt.take() {
            let text = json!({"version": 1, "started": false, "error": error.message});
            let _ = sys::write_all(told.fd.as_fd(), format!("{text:#}\n").as_bytes());
        }
        self.tell(&json!({"event": "failed", "status": error.status, "message": error.message}));
    }
}

impl Events for Status {
    fn wants_start(&self) -> bool {
        self.fd.is_some() || self.receipt.is_some()
    }

    fn started(&mut self, pid: i32) {
        if let Some(told) = self.receipt.take() {
            if let Err(errno) = sys::write_all(told.fd.as_fd(), told.text(None).as_bytes()) {
                self.note(&format!("the receipt cannot be written: {errno}"));
            }
            self.written = Some(told);
        }
        self.tell(&json!({"event": "started", "pid": pid}));
    }

    fn note(&mut self, note: &str) {
        use std::io::Write;
        self.tell(&json!({"event": "note", "message": note}));
        if !self.quiet {
            // With stderr closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "sbx: note: {}", crate::error::printable(note));
        }
    }

    fn not_enforced(&mut self, limit: &str, why: &str) {
        self.note(&format!("limits.{limit} is not enforced: {why}"));
        if let Some(Told { receipt: Some(receipt), .. }) = &mut self.receipt {
            receipt.not_enforced(limit, why);
        }
    }

    fn wants_figures(&self) -> bool {
        self.stats.is_some() || self.fd.is_some() || self.written.is_some()
    }

    fn figures(&mut self, figures: &Figures, ended: bool) {
        use std::io::Write;
        let text = match self.stats {
            Some(true) => format!("{}\n", json!(figures)),
            Some(false) => figures.text().lines().fold(String::new(), |all, line| all + "sbx: " + line + "\n"),
            None => String::new(),
        };
        let _ = std::io::stderr().write_all(text.as_bytes());
        if !ended {
            self.tell(&json!({"event": "stats", "used": figures}));
            return;
        }
        self.used = Some(figures.clone());
        let Some(told) = self.written.take() else { return };
        let text = match told.own_file {
            true => told.text(Some(figures)),
            false => format!("{:#}\n", json!({"version": 1, "used": figures})),
        };
        if told.own_file && sys::empty_file(told.fd.as_fd()).is_err() {
            return;
        }
        let _ = sys::write_all(told.fd.as_fd(), text.as_bytes());
    }

    fn descriptors(&self) -> Vec<RawFd> {
        self.fd.iter().map(AsRawFd::as_raw_fd).collect()
    }

    fn exited(&mut self, outcome: &Outcome) {
        let (cause, signal) = match outcome {
            Outcome::Exited(_) => ("exited", None),
            Outcome::Signaled(signal) => ("signal", Some(*signal)),
            Outcome::TimedOut => ("timeout", None),
            Outcome::Killed => ("killed", None),
        };
        let mut event = json!({"event": "exited", "status": outcome.status(), "cause": cause});
        if let Some(used) = &self.used {
            event["used"] = json!(used);
            if used.oom_kills.unwrap_or(0) > 0 && matches!(outcome, Outcome::Signaled(libc::SIGKILL) | Outcome::Killed)
            {
                event["cause"] = "oom".into();
            }
        }
        if let (Some(signal), Value::Object(fields)) = (signal, &mut event) {
            fields.insert("signal".into(), signal.into());
        }
        self.tell(&event);
    }
}
