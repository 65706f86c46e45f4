//! What users are told of a run: events as JSON lines (`--status-fd`), notes, the receipt and figures.

use super::attached::Joining;
use super::cgroup::figures::Figures;
use super::denial::Denial;
use super::denials::Denials;
use super::events::Events;
use super::id_file::IdFile;
use super::network_log::NetworkLog;
use super::outcome::Outcome;
use super::own_file::ReceiptTarget;
use super::recorded::{Recorded, Report, Waiting};
use crate::error::Result;
use crate::plan::Receipt;
use crate::spec::Published;
use crate::state::Happened;
use crate::sys::{self, Poll};
use serde_json::{Value, json};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// How long to wait for a reader of stderr or of a descriptor: the program may share it, and keep others from writing.
const PATIENCE: Duration = Duration::from_secs(2);

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
    /// The name of the upper layers that the program's changes are kept in.
    pub kept: Option<String>,
    /// The signal by which sbx was asked for the end, otherwise than by a key of the terminal.
    pub ended_by: Option<i32>,
    /// The receipt and its file once it is written: the figures follow at the end.
    pub written: Option<Told>,
    /// Where what the rules on a private network refuse is written.
    pub network_log: Option<NetworkLog>,
    /// What they have refused in all, for the receipt.
    pub refused: Option<Denials>,
    /// Lines of `network.allow` that count since the program runs, each with the time.
    pub allowed: Vec<Value>,
    /// Questions to the user about names, each with the time and the answer.
    pub asked: Vec<Value>,
    /// Nobody has read what was last written to stderr: it is not waited for again.
    pub unread: bool,
    /// The record of the run, if it has one.
    pub record: Option<Recorded>,
    /// The command that waits for the start of a run in the background: until then, notes go there.
    pub waiting: Option<Waiting>,
    /// The read ends of the program's standard output and standard error, for the log of its record.
    pub outputs: Option<[OwnedFd; 2]>,
    /// The write end of the pipe that the program's standard input is, if it is one, for those who are attached.
    pub input: Option<OwnedFd>,
    /// Somebody who is attached to the program from its start.
    pub joining: Option<Joining>,
    /// Where the id of the record is written once the program runs.
    pub id_file: Option<IdFile>,
    /// The program alone keeps the caller's standard output and standard error.
    pub passes_through: bool,
}

/// A receipt and where it is written.
#[derive(Debug)]
pub struct Told {
    /// Where it is written.
    pub to: ReceiptTarget,
    /// The receipt, once there is a plan.
    pub receipt: Option<Receipt>,
}

impl Told {
    fn write(&self, text: &str) -> sys::Result<()> {
        match &self.to {
            ReceiptTarget::Descriptor(fd) => sys::write_within(fd.as_fd(), text.as_bytes(), PATIENCE),
            ReceiptTarget::File(file) => file.write(text),
        }
    }
}

impl Status {
    /// A document with what is known besides by now: figures, refusals, and what was allowed while the program ran.
    fn with(&self, mut document: Value, used: Option<&Figures>) -> String {
        if let Some(used) = used {
            document["used"] = json!(used);
        }
        if let Some(refused) = &self.refused {
            document["refused"] = json!(refused);
        }
        if !self.allowed.is_empty() {
            document["allowed_later"] = json!(self.allowed);
        }
        if !self.asked.is_empty() {
            document["asked"] = json!(self.asked);
        }
        format!("{document:#}\n")
    }

    /// Whether somebody sits at standard error, and reads what this process writes there.
    fn is_read(&self) -> bool {
        !self.quiet && self.waiting.is_none() && self.outputs.is_none() && sys::is_terminal(sys::STREAMS[2])
    }

    fn tell(&mut self, event: &Value) {
        let Some(fd) = &self.fd else { return };
        // A reader that went away, or does not read, must not end the program.
        if sys::write_within(fd.as_fd(), format!("{event}\n").as_bytes(), PATIENCE).is_err() {
            self.fd = None;
        }
    }

    /// Reports that the program was not started, or can no longer be supervised.
    pub fn failed(&mut self, error: &crate::error::Error) {
        if let Some(told) = self.receipt.take() {
            let text = json!({"version": 1, "started": false, "error": error.message});
            let _ = told.write(&format!("{text:#}\n"));
        }
        if let Some(what) = self.record.as_mut().and_then(|record| record.failed(error)) {
            self.happened(&what);
        }
        self.tell(&json!({"event": "failed", "status": error.status, "message": error.message}));
    }

    /// Writes to stderr, which the program may have filled. What nobody reads is lost.
    fn print(&mut self, text: &str) {
        if let Some(waiting) = &self.waiting {
            return waiting.tell(&Report::Note(text.to_owned()));
        }
        if self.record.as_mut().is_some_and(|record| record.note(text)) {
            return;
        }
        let patience = if self.unread { Duration::ZERO } else { PATIENCE };
        let written = sys::write_within(sys::STREAMS[2].as_fd(), text.as_bytes(), patience);
        self.unread = written == Err(sys::Errno(libc::ETIMEDOUT));
    }

    /// Closes the caller's standard output and standard error, which end with the program.
    fn let_go(&self) {
        if let Ok(null) = sys::openat(sys::cwd(), c"/dev/null", libc::O_RDWR, 0) {
            for stream in sys::STREAMS {
                let _ = sys::dup2(null.as_fd(), stream);
            }
        }
    }

    /// Writes what is known at the end to the receipt, if there is one.
    fn finish_receipt(&mut self, used: Option<&Figures>) {
        let Some(told) = self.written.take() else { return };
        let text = match told.to {
            ReceiptTarget::File(_) => self.with(json!(told.receipt), used),
            ReceiptTarget::Descriptor(_) => self.with(json!({"version": 1}), used),
        };
        self.write_receipt(&told, &text);
    }

    fn write_receipt(&mut self, told: &Told, text: &str) {
        if let Err(errno) = told.write(text) {
            self.note(&format!("the receipt cannot be written: {errno}"));
        }
    }
}

impl Status {
    /// Tells what `sbx ps` and the like do not know.
    fn note_unwritten(&mut self) {
        if let Some(why) = self.record.as_mut().and_then(Recorded::unwritten) {
            self.note(&format!("what `sbx ps`, `port` and `inspect` say of the sandbox is not up to date: {why}"));
        }
    }
}

impl Events for Status {
    fn wants_hints(&self) -> bool {
        !self.quiet
    }

    fn wants_child(&self) -> bool {
        self.record.is_some()
    }

    fn cloned(&mut self, pid: i32) -> Result<()> {
        let Some(record) = &mut self.record else { return Ok(()) };
        record.cloned(pid, self.waiting.as_ref())
    }

    fn outputs(&self) -> Vec<RawFd> {
        self.record.as_ref().map(Recorded::outputs).unwrap_or_default()
    }

    fn joining(&mut self) -> Option<Joining> {
        self.joining.take()
    }

    fn attach(&mut self, client: u64, joining: Joining) -> std::result::Result<bool, String> {
        match &mut self.record {
            Some(record) if record.has_outputs() => {
                let input = record.attached.add(client, joining);
                self.happened(&Happened::Attach);
                Ok(input)
            }
            _ if self.passes_through => {
                Err("it was started with --log-driver passthrough, and writes to what its caller had open".to_owned())
            }
            _ => Err("it runs in the foreground, where it was started".to_owned()),
        }
    }

    fn detach(&mut self, gone: &[u64]) {
        if let Some(record) = &mut self.record {
            record.attached.remove(gone);
        }
    }

    fn end_of_input(&mut self, client: u64) {
        if let Some(record) = &mut self.record {
            record.attached.end_of_input(client);
        }
    }

    fn attended(&self) -> Vec<Poll> {
        self.record.as_ref().map(|record| record.attached.polls()).unwrap_or_default()
    }

    fn attend(&mut self) {
        if let Some(record) = &mut self.record {
            record.attached.attend();
        }
    }

    fn output(&mut self) {
        if let Some(record) = &mut self.record {
            record.output();
        }
    }

    fn happened(&mut self, what: &Happened) {
        if let Some(why) = self.record.as_mut().and_then(|record| record.tell(what)) {
            self.note(&format!("what happens to the sandbox cannot be told to `sbx events`: {why}"));
        }
    }

    fn stopped(&mut self) {
        if let Some(record) = &mut self.record {
            record.stopped();
        }
    }

    fn paused(&mut self, on: bool) {
        if let Some(record) = &mut self.record {
            record.paused(on);
        }
        self.note_unwritten();
        self.happened(if on { &Happened::Pause } else { &Happened::Unpause });
    }

    fn requests(&mut self) -> Option<OwnedFd> {
        self.record.as_ref().and_then(|record| record.listener().try_clone_to_owned().ok())
    }

    fn wants_start(&self) -> bool {
        self.fd.is_some() || self.receipt.is_some() || self.record.is_some()
    }

    fn started(&mut self, pid: i32) {
        let happened = self.record.as_mut().map(|record| record.started(pid));
        happened.iter().flatten().for_each(|what| self.happened(what));
        self.note_unwritten();
        if let (Some(record), Some(file)) = (&self.record, self.id_file.take())
            && let Err(error) = file.publish(record.id().as_str())
        {
            self.note(&format!("the program runs, but its id is not written: {}", error.message));
        }
        if let Some(record) = &self.record
            && let Some(waiting) = self.waiting.take()
        {
            waiting.tell(&Report::Started(record.id().to_string()));
            // Whatever is mounted there can be unmounted.
            let _ = sys::chdir(c"/");
            if self.passes_through {
                self.let_go();
            }
        }
        if let Some(told) = self.receipt.take() {
            self.write_receipt(&told, &self.with(json!(told.receipt), None));
            self.written = Some(told);
        }
        self.tell(&json!({"event": "started", "pid": pid}));
    }

    fn published(&mut self, ports: &[(u16, &Published)]) {
        if let Some(record) = &mut self.record {
            record.published(ports);
        }
        self.note_unwritten();
        for (asked, port) in ports {
            self.tell(&json!({"event": "published", "address": port.address, "host": port.host, "inside": port.inside,
                "transport": port.transport}));
            if *asked != 0 {
                continue;
            }
            if let Some(Told { receipt: Some(receipt), .. }) = &mut self.receipt {
                receipt.published(&Published { host: 0, ..(*port).clone() }, port);
            }
            if !self.quiet {
                let Published { address, host, inside, transport, .. } = port;
                let at = std::net::SocketAddr::from((*address, *host));
                self.print(&format!("sbx: port {inside}/{transport} is published at {at}\n"));
            }
        }
    }

    fn note(&mut self, note: &str) {
        self.tell(&json!({"event": "note", "message": note}));
        if !self.quiet {
            self.print(&format!("sbx: note: {}\n", crate::error::printable(note)));
        }
    }

    fn allowed(&mut self, lines: &[String]) {
        let time = humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string();
        self.tell(&json!({"event": "allowed", "time": time, "lines": lines}));
        self.allowed.extend(lines.iter().map(|line| json!({"time": time, "line": line})));
        if let Some(told) = self.written.take() {
            if let ReceiptTarget::File(_) = told.to {
                self.write_receipt(&told, &self.with(json!(told.receipt), None));
            }
            self.written = Some(told);
        }
    }

    fn asks(&mut self, how: std::result::Result<&str, &str>) {
        if let Some(Told { receipt: Some(receipt), .. }) = &mut self.receipt {
            receipt.asks(how);
        }
        self.tell(&match how {
            Ok(by) => json!({"event": "asks", "by": by}),
            Err(why) => json!({"event": "asks", "by": null, "why": why}),
        });
        if let Err(why) = how {
            self.note(&format!("nobody can be asked about names, so that those without a line are refused: {why}"));
        }
    }

    fn asked(&mut self, name: &str, answer: &str, line: Option<&str>) {
        let time = humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string();
        let mut said = json!({"time": time, "name": name, "answer": answer});
        if let Some(line) = line {
            said["line"] = line.into();
        }
        self.asked.push(said.clone());
        said["event"] = "asked".into();
        self.tell(&said);
        if let Some(line) = line {
            self.note(&format!("{name} is allowed always: for the runs to come, write into the profile: {line}"));
        }
    }

    fn wants_refusals(&self) -> bool {
        let to_write = self.fd.is_some() || self.network_log.is_some();
        to_write || self.receipt.is_some() || self.written.is_some() || self.is_read()
    }

    fn refused(&mut self, refusal: &Denial) {
        if let Some(log) = &mut self.network_log {
            log.write(refusal);
        }
        if self.fd.is_some() {
            let mut event = json!(refusal);
            event["event"] = "refused".into();
            self.tell(&event);
        }
    }

    fn refused_in_all(&mut self, all: &Denials) {
        if all.only_counted > 0 {
            self.tell(&json!({"event": "only-counted", "refused": all.only_counted}));
        }
        if let Some(verdict) = self.network_log.as_ref().and_then(|log| log.verdict(all.only_counted)) {
            self.note(&verdict);
        }
        if self.is_read()
            && let Some(line) = all.line(self.network_log.as_ref().map(NetworkLog::name))
        {
            self.print(&format!("sbx: {}\n", crate::error::printable(&line)));
        }
        self.refused = Some(all.clone());
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
        let text = match self.stats {
            Some(true) => format!("{}\n", json!(figures)),
            Some(false) => figures.text().lines().fold(String::new(), |all, line| all + "sbx: " + line + "\n"),
            None => String::new(),
        };
        self.print(&text);
        if !ended {
            self.tell(&json!({"event": "stats", "used": figures}));
            return;
        }
        self.used = Some(figures.clone());
        self.finish_receipt(Some(figures));
    }

    fn signal(&mut self, signal: i32) {
        if matches!(signal, libc::SIGTERM | libc::SIGHUP) {
            self.ended_by = Some(signal);
        }
    }

    fn kept(&mut self, name: &str) {
        self.tell(&json!({"event": "kept", "name": name}));
        self.kept = Some(name.to_owned());
    }

    fn descriptors(&self) -> Vec<RawFd> {
        let record = self.record.iter().flat_map(Recorded::descriptors);
        let log = self.network_log.iter().filter_map(NetworkLog::descriptor);
        self.fd
            .iter()
            .map(AsRawFd::as_raw_fd)
            .chain(log)
            .chain(record)
            .chain(self.waiting.iter().map(Waiting::number))
            .collect()
    }

    fn exited(&mut self, outcome: &Outcome) {
        if self.refused.is_some() || !self.allowed.is_empty() || !self.asked.is_empty() {
            self.finish_receipt(None);
        }
        let oom = self.used.as_ref().is_some_and(|used| used.oom_kills.unwrap_or(0) > 0);
        if let Some(record) = &mut self.record {
            let all = record.exited(outcome, oom);
            all.iter().for_each(|what| self.happened(what));
        }
        let (cause, signal) = match outcome {
            Outcome::Exited(_) => ("exited", None),
            Outcome::Signaled(signal) | Outcome::Interrupted(signal) => ("signal", Some(*signal)),
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
