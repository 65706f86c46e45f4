//! Where `--network-log` has refusals written: a line of JSON for each.

use super::denial::Denial;
use crate::sys::{self, Errno};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// How long to wait for a reader of a descriptor.
const PATIENCE: Duration = Duration::from_secs(2);

/// A log that is open. What cannot be written is lost, and counted: the program goes on.
#[derive(Debug)]
pub struct NetworkLog {
    to: To,
    /// What it is called.
    name: String,
    written: u64,
    lost: u64,
    why: Option<Errno>,
}

#[derive(Debug)]
enum To {
    /// A file that nobody else writes to, and how long it is.
    File(File, u64),
    /// A descriptor of the caller; none once nobody reads there.
    Descriptor(Option<OwnedFd>),
}

impl NetworkLog {
    /// A log at the end of a file that nobody else writes to.
    ///
    /// # Errors
    ///
    /// The file cannot be looked at.
    pub fn to_file(file: File, name: String) -> std::io::Result<NetworkLog> {
        let length = file.metadata()?.len();
        Ok(NetworkLog { to: To::File(file, length), name, written: 0, lost: 0, why: None })
    }

    /// A log on a descriptor.
    #[must_use]
    pub fn to_descriptor(descriptor: OwnedFd) -> NetworkLog {
        let name = format!("descriptor {}", descriptor.as_raw_fd());
        NetworkLog { to: To::Descriptor(Some(descriptor)), name, written: 0, lost: 0, why: None }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The descriptor that has to stay open.
    pub(super) fn descriptor(&self) -> Option<RawFd> {
        match &self.to {
            To::File(file, _) => Some(file.as_raw_fd()),
            To::Descriptor(descriptor) => descriptor.as_ref().map(AsRawFd::as_raw_fd),
        }
    }

    /// Writes one.
    pub(super) fn write(&mut self, refusal: &Denial) {
        let line = serde_json::to_string(refusal).unwrap_or_default() + "\n";
        let written = match &mut self.to {
            To::File(file, length) => file.write_all(line.as_bytes()).map_err(Errno::from).inspect_err(|_| {
                // No half of a line stays.
                let _ = file.set_len(*length);
            }),
            To::Descriptor(Some(descriptor)) => sys::write_within(descriptor.as_fd(), line.as_bytes(), PATIENCE),
            To::Descriptor(None) => Err(self.why.unwrap_or(Errno(libc::EPIPE))),
        };
        match (written, &mut self.to) {
            (Ok(()), to) => {
                self.written += 1;
                if let To::File(_, length) = to {
                    *length += line.len() as u64;
                }
            }
            (Err(errno), to) => {
                self.lost += 1;
                self.why.get_or_insert(errno);
                if let To::Descriptor(descriptor) = to {
                    *descriptor = None;
                }
            }
        }
    }

    /// What the user is told at the end of what is not there; nothing if all is. So many were only counted.
    pub(super) fn verdict(&self, only_counted: u64) -> Option<String> {
        let NetworkLog { name, written, lost, .. } = self;
        let mut missing = Vec::new();
        if *lost > 0 {
            let why = self.why.map_or_else(String::new, |errno| format!(": {errno}"));
            missing.push(format!("{lost} of {} refusals could not be written{why}", written + lost));
        }
        if only_counted > 0 {
            missing.push(format!(
                "at least {only_counted} refusals came too fast, or were too many, and were only counted"
            ));
        }
        (!missing.is_empty()).then(|| format!("network log: {name}: {}", missing.join("; ")))
    }
}
