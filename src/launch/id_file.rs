//! `--cidfile`: where the id of a sandbox is written once its program runs.

use super::own_file::ReceiptTarget;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::sys;
use std::ffi::CString;
use std::os::fd::AsFd;
use std::time::Duration;

/// The flag, as messages name it.
pub const CIDFILE: &str = "--cidfile";

/// How long to wait for the reader of a descriptor.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where an id is written. What was written of a file is removed with this, unless it has its name.
#[derive(Debug)]
pub struct IdFile {
    to: ReceiptTarget,
    /// The file with the id, which has another name as yet.
    made: Option<CString>,
}

impl IdFile {
    /// An id is written there. Nothing is written yet.
    ///
    /// # Errors
    ///
    /// The file is there already.
    pub fn new(to: ReceiptTarget) -> Result<IdFile> {
        match &to {
            ReceiptTarget::File(file) if file.is_there() => Err(there(&file.path())),
            _ => Ok(IdFile { to, made: None }),
        }
    }

    /// Refuses a file that the program could change.
    ///
    /// # Errors
    ///
    /// It could.
    pub fn check(&self, plan: &Plan) -> Result<()> {
        match &self.to {
            ReceiptTarget::File(file) => file.check(plan),
            ReceiptTarget::Descriptor(_) => Ok(()),
        }
    }

    /// Writes the id to a file that has another name as yet, so that a full disk is known of before the program runs.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn prepare(&mut self, id: &str) -> Result<()> {
        let ReceiptTarget::File(file) = &self.to else { return Ok(()) };
        let made = file.beside(id).map_err(|errno| {
            Error::new(format!("{CIDFILE} {}: it cannot be written: {errno}", file.path()))
                .hint("name a file in a directory that can be written, on a disk that has room")
        })?;
        self.made = Some(made);
        Ok(())
    }

    /// Gives the file its name; or writes the id to a descriptor.
    ///
    /// # Errors
    ///
    /// Somebody has made a file of the name meanwhile, or the descriptor cannot be written to.
    pub fn publish(mut self, id: &str) -> Result<()> {
        match (&self.to, self.made.take()) {
            (ReceiptTarget::File(file), Some(made)) => file.take_name(&made).map_err(|errno| {
                file.discard(&made);
                match errno.0 {
                    libc::EEXIST => there(&file.path()),
                    _ => Error::new(format!("{CIDFILE} {}: it cannot be written: {errno}", file.path())),
                }
            }),
            (ReceiptTarget::Descriptor(fd), _) => sys::write_within(fd.as_fd(), id.as_bytes(), PATIENCE)
                .map_err(|errno| Error::new(format!("{CIDFILE}: the descriptor cannot be written to: {errno}"))),
            (ReceiptTarget::File(_), None) => Ok(()),
        }
    }
}

impl Drop for IdFile {
    fn drop(&mut self) {
        if let (ReceiptTarget::File(file), Some(made)) = (&self.to, &self.made) {
            file.discard(made);
        }
    }
}

fn there(path: &str) -> Error {
    Error::new(format!("{CIDFILE} {path}: the file is there already, with the id of another sandbox perhaps"))
        .hint("name another file; or remove it first, if nobody needs that id")
}
