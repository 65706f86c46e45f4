//! Settings that were changed after a sandbox was made, which hold for its next start.

use super::Entry;
use super::place::{c, file, full};
use super::slot::{self, Read};
use crate::error::{Error, Result};
use crate::sys::{self, Errno};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

const UPDATE: &str = "update.json";

/// The file of a record that holds them.
pub struct Settings(OwnedFd);

impl Entry {
    /// The settings that were changed, each by its key. What cannot be read is an error: limits that somebody has set are not left out.
    ///
    /// # Errors
    ///
    /// The file is there, and cannot be read.
    pub fn settings(&self) -> Result<BTreeMap<String, String>> {
        let found = match file(self.dir.as_fd(), &c(UPDATE), libc::O_RDONLY) {
            Err(Errno(libc::ENOENT)) => return Ok(BTreeMap::new()),
            Err(_) => Read::Broken,
            Ok(open) => slot::read(open.as_fd()),
        };
        match found {
            Read::Value(settings) => Ok(settings),
            Read::Nothing => Ok(BTreeMap::new()),
            Read::Broken => Err(Error::new(format!("what was changed of {} cannot be read", self.called()))
                .hint("remove it by `sbx rm`, and run it anew")),
        }
    }

    /// The file for settings, which is made if there is none.
    ///
    /// # Errors
    ///
    /// It cannot be made.
    pub fn keep_settings(&self) -> Result<Settings> {
        let made = match slot::make(self.dir.as_fd(), &c(UPDATE)) {
            Err(Errno(libc::EEXIST)) => file(self.dir.as_fd(), &c(UPDATE), libc::O_RDWR),
            other => other,
        };
        let open = made.map_err(|errno| full("make", &Path::new(self.id.as_str()).join(UPDATE), errno))?;
        self.settings()?;
        Ok(Settings(open))
    }
}

impl Settings {
    /// Adds settings, which take the place of those with the same key.
    ///
    /// # Errors
    ///
    /// They cannot be written.
    pub fn add(&self, more: BTreeMap<String, String>) -> sys::Result<()> {
        let mut all: BTreeMap<String, String> = match slot::read(self.0.as_fd()) {
            Read::Value(all) => all,
            Read::Nothing | Read::Broken => BTreeMap::new(),
        };
        all.extend(more);
        slot::write(self.0.as_fd(), &all)
    }
}
