//! Where what a program in the background writes is kept.

use super::journald::Journald;
use super::log::{Log, Stream};

/// Where what a program writes is kept.
#[derive(Debug)]
pub enum Output {
    /// In files of its record.
    Log(Log),
    /// In the journal of the machine.
    Journal(Journald),
}

impl Output {
    /// Keeps what has come from a stream.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) {
        match self {
            Output::Log(log) => log.write(stream, bytes),
            Output::Journal(journal) => journal.write(stream, bytes),
        }
    }

    /// How much is best written at once, in bytes: each line is a message of the journal's.
    pub fn portion(&self) -> usize {
        match self {
            Output::Log(_) => 1 << 16,
            Output::Journal(_) => 1 << 13,
        }
    }

    /// Waits for nobody any more.
    pub fn hurry(&mut self) {
        if let Output::Journal(journal) = self {
            journal.hurry();
        }
    }

    /// Says what the sandbox is called.
    pub(super) fn name(&mut self, name: Option<String>) {
        if let (Output::Journal(journal), Some(name)) = (self, name) {
            journal.name(name);
        }
    }

    /// What has become of it that nobody is told otherwise, if something has.
    pub fn lost(&self) -> Option<String> {
        match self {
            Output::Journal(journal) if journal.lost() > 0 => Some(format!(
                "{} bytes of what the program has written are lost, since the journal did not take them",
                journal.lost()
            )),
            _ => None,
        }
    }

    /// Says that there is no more.
    pub fn end(&mut self) {
        if let Output::Journal(journal) = self {
            journal.end();
        }
    }
}
