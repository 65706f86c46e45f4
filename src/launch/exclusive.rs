//! Locks on what is shown in one sandbox at a time: taken before a sandbox is made, and held until it has ended.

use crate::error::{Error, Result};
use crate::plan::{Exclusive, Plan};
use crate::sys::{self, Errno};
use crate::union::{Lock, Refused, Store};
use std::ffi::CString;
use std::os::fd::{AsFd, RawFd};
use std::os::unix::ffi::OsStrExt;

/// The locks of a sandbox.
#[derive(Default)]
pub(super) struct Locks(Vec<(sys::Stat, Lock)>);

impl Locks {
    /// Takes the locks for everything that is there, and not locked by this sandbox yet. What the sandbox creates is there
    /// later.
    ///
    /// # Errors
    ///
    /// Another sandbox has one of them, or it cannot be taken.
    pub(super) fn take(&mut self, plan: &Plan) -> Result<()> {
        let Some(exclusive) = &plan.view.exclusive else { return Ok(()) };
        let store = Store::homes(exclusive.store.clone());
        for wanted in &exclusive.paths {
            let path = CString::new(wanted.path.as_os_str().as_bytes()).unwrap_or_default();
            let found = match sys::open_resolved(&path).and_then(|opened| sys::stat(opened.as_fd())) {
                Err(Errno(libc::ENOENT)) => continue,
                other => other.map_err(|errno| failed(wanted, errno))?,
            };
            if self.0.iter().any(|(locked, _)| *locked == found) {
                continue;
            }
            match store.exclude(&found).map_err(|error| error.origin(&wanted.origin))? {
                Ok(lock) => self.0.push((found, lock)),
                Err(Refused::Held(holder)) => {
                    let error = Error::new(format!(
                        "{} is for one sandbox at a time, and is in use{holder}",
                        wanted.path.display()
                    ));
                    return Err(error.origin(&wanted.origin).hint(help(wanted)));
                }
                Err(Refused::Failed(errno)) => return Err(failed(wanted, errno)),
            }
        }
        Ok(())
    }

    /// The descriptors of the locks.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.0.iter().map(|(_, lock)| lock.number())
    }
}

fn failed(wanted: &Exclusive, errno: Errno) -> Error {
    Error::new(format!("cannot lock {} for one sandbox: {errno}", wanted.path.display())).origin(&wanted.origin)
}

/// What to do where somebody else has the lock.
fn help(wanted: &Exclusive) -> String {
    let Exclusive { path, inside, .. } = wanted;
    let from = if path == inside { String::new() } else { format!(" --from {}", path.display()) };
    format!(
        "end that one first; `--tmpfs {0}` starts with none of the data; `--rw {0}{from}` shows it to both, \
         for programs that can share it",
        inside.display()
    )
}
