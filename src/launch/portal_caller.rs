//! The file by which portals find the sandbox's processes: there while the sandbox is, and removed however sbx ends.

use crate::error::{Error, Result};
use crate::plan::PortalCaller;
use crate::sys;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const NAME: &str = "bwrapinfo.json";

/// The file, and a process that removes it if this one is killed.
pub(super) struct CallerFile {
    dir: PathBuf,
    /// The watching process, which ends when `alive`, the other end of its pipe, is closed.
    watcher: i32,
    alive: Option<OwnedFd>,
}

impl CallerFile {
    /// Makes the file for the sandbox whose first process this is.
    ///
    /// # Errors
    ///
    /// It cannot be made. Nothing of it is left then.
    pub(super) fn new(plan: &PortalCaller, first: i32) -> Result<CallerFile> {
        let dir = plan.dir.clone();
        let failed = |what: &str, errno: sys::Errno| {
            Error::new(format!("{}: {what}: {errno}", plan.dir.display()))
                .hint("portals look there for the sandbox; --set 'desktop.portals=[]' goes without them")
        };
        let (ours, theirs) = sys::pipe().map_err(|errno| failed("pipe", errno))?;
        // Before the file is there, so that nobody can be killed in between who would have to remove it.
        let watcher = sys::fork(|| watch(ours.as_raw_fd(), &dir)).map_err(|errno| failed("fork", errno))?;
        let file = CallerFile { dir: dir.clone(), watcher, alive: Some(theirs) };
        make(&dir)
            .and_then(|()| std::fs::write(dir.join(NAME), format!("{{\n    \"child-pid\": {first}\n}}\n")))
            .map_err(|error| failed("cannot be made", error.into()))?;
        Ok(file)
    }
}

/// Makes the directory and the one above it, which another sandbox may just be removing.
fn make(dir: &Path) -> std::io::Result<()> {
    let make = || std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    (0..10)
        .map(|_| make())
        .find(|made| made.as_ref().err().map(std::io::Error::kind) != Some(ErrorKind::NotFound))
        .unwrap_or_else(make)
}

impl Drop for CallerFile {
    fn drop(&mut self) {
        remove(&self.dir);
        drop(self.alive.take());
        let _ = sys::wait_for(self.watcher);
    }
}

/// The process that waits for the launcher's end. Nothing but the pipe is left open in it: it must not hold open what is
/// to end with the launcher.
fn watch(pipe: i32, dir: &Path) -> i32 {
    let _ = sys::setsid();
    if sys::close_all_but(&[pipe]).is_err() {
        return 1;
    }
    let mut byte = [0];
    while sys::read(sys::UnownedFd::new(pipe).as_fd(), &mut byte) == Err(sys::Errno(libc::EINTR)) {}
    remove(dir);
    0
}

/// Removes the file and its directory, and the directory above if it is empty.
fn remove(dir: &Path) {
    let _ = std::fs::remove_file(dir.join(NAME));
    let _ = std::fs::remove_dir(dir);
    let _ = dir.parent().map(std::fs::remove_dir);
}
