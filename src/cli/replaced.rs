//! A file that a verb writes by replacing it: a new file is written beside it and renamed, so that no file, link or FIFO
//! that somebody else has put at its path is written to, and nobody reads half of it.

use crate::error::{Error, Result};
use crate::sys;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A file that is being written. What is written of it goes when this is dropped, unless it was finished.
pub(super) struct Replaced {
    /// The directory, opened once: what its path leads to later does not matter.
    dir: OwnedFd,
    name: CString,
    /// Name of the new file until it is finished.
    beside: Option<CString>,
    what: String,
}

impl Replaced {
    /// Makes the new file for a path, and gives it for writing.
    ///
    /// # Errors
    ///
    /// The directory cannot be written to, or something that is no regular file has the name.
    pub fn new(path: &Path) -> Result<(Replaced, File)> {
        let what = format!("cannot write {}", path.display());
        let failed = |why: String| Error::new(format!("{what}: {why}"));
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(failed("it is no name of a file".into()));
        };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let dir = File::open(parent).map_err(|error| failed(sys::Errno::from(error).to_string()))?;
        let found = path.symlink_metadata();
        if found.is_ok_and(|found| !found.is_file()) {
            return Err(failed("it is there already, and is no regular file".into())
                .hint("name another file; or write to standard output, without --output"));
        }
        let name = CString::new(name.as_bytes()).unwrap_or_default();
        let (beside, file) =
            sys::create_beside(dir.as_fd(), ".sbx-output").map_err(|errno| failed(errno.to_string()))?;
        Ok((Replaced { dir: dir.into(), name, beside: Some(beside), what }, file.into()))
    }

    /// Puts the new file in the place of the old one.
    ///
    /// # Errors
    ///
    /// It cannot be renamed.
    pub fn finish(mut self) -> Result<()> {
        let Some(beside) = &self.beside else { return Ok(()) };
        sys::rename_in(self.dir.as_fd(), beside, &self.name)
            .map_err(|errno| Error::new(format!("{}: {errno}", self.what)))?;
        self.beside = None;
        Ok(())
    }
}

impl Drop for Replaced {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            let _ = sys::unlink_in(self.dir.as_fd(), beside);
        }
    }
}
