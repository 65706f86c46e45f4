//! The cgroup that the sandbox's own one lies in: divided for it, with others who do the same.

use super::files::{failed, read, remove, write};
use crate::error::Result;
use crate::plan::CgroupPlan;
use crate::sys::{self, Errno};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What the names of our directories start with.
pub(super) const PREFIX: &str = "sbx-";
/// What the names of those end with that the launcher is in.
const LAUNCHER: &str = ".launcher";

/// How long the end of what is in a cgroup may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How long others who divide the same cgroup may take, of whom there may be hundreds.
const QUEUE: Duration = Duration::from_secs(30);

/// A cgroup that is divided, with what was changed in it for that.
pub(super) struct ParentCgroup {
    pub dir: PathBuf,
    /// It was there before this sandbox, and stays.
    pub stays: bool,
    /// The cgroup below it that the launcher went to: only one without processes of its own hands controllers on.
    pub leaf: Option<PathBuf>,
    /// Controllers that were switched on in cgroup.subtree_control.
    pub enabled: Vec<String>,
}

impl ParentCgroup {
    /// Hands the controllers on that are needed.
    pub(super) fn prepare(&mut self, plan: &CgroupPlan, occupied: bool, name: &str) -> Result<()> {
        if occupied {
            let leaf = self.dir.join(format!("{name}{LAUNCHER}"));
            std::fs::create_dir(&leaf).map_err(|error| failed(&leaf, "make", error))?;
            self.leaf = Some(leaf.clone());
            write(&leaf.join("cgroup.procs"), "0").map_err(|error| failed(&leaf, "go to", error))?;
        }
        let have = read(&self.dir, "cgroup.subtree_control").unwrap_or_default();
        let file = self.dir.join("cgroup.subtree_control");
        for controller in plan.controllers.iter().filter(|name| !have.split_whitespace().any(|had| had == *name)) {
            write(&file, &format!("+{controller}")).map_err(|error| {
                failed(&file, &format!("write +{controller} to"), error)
                    .hint("EBUSY: processes are in that cgroup itself; ENOENT: the controller is not handed on to it")
            })?;
            self.enabled.push(controller.clone());
        }
        Ok(())
    }

    /// As it was: controllers off, and we back, unless somebody else divides it by now. It is locked.
    pub(super) fn restore(&self) {
        let Some(leaf) = self.leaf.as_ref().filter(|_| self.stays) else { return };
        let others = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let others = others.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()) && entry.path() != *leaf);
        if others.count() > 0 {
            return;
        }
        for controller in &self.enabled {
            let _ = write(&self.dir.join("cgroup.subtree_control"), &format!("-{controller}"));
        }
        let _ = write(&self.dir.join("cgroup.procs"), "0");
        let _ = std::fs::remove_dir(leaf);
    }
}

/// Makes the leaf of a service that is kept, and takes its process there: only a cgroup without one can be divided.
pub(super) fn move_processes_to_leaf(dir: &Path, leaf: &Path) -> Result<()> {
    let _lock = divide(dir)?;
    match std::fs::create_dir(leaf) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(leaf, "make", error)),
        _ => {}
    }
    for pid in read(dir, "cgroup.procs").unwrap_or_default().lines() {
        // One that has no number here cannot be named: 0 would be us.
        let named = if pid == "0" { Err(Errno(libc::EINVAL).into()) } else { Ok(()) };
        match named.and_then(|()| write(&leaf.join("cgroup.procs"), pid)) {
            // It has ended.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            other => other.map_err(|error| failed(leaf, &format!("move process {pid} to"), error))?,
        }
    }
    Ok(())
}

/// Locks a cgroup for dividing it: one at a time does so. By a file of the cgroup that is divided: its directory may be somebody's own, who holds its lock for life. And by one
/// that cannot be read: others, and programs inside that see the hierarchy read-only, must not be able to take the lock.
pub(super) fn divide(base: &Path) -> Result<std::fs::File> {
    let mut file = base.join("cgroup.kill");
    let lock = std::fs::OpenOptions::new().write(true).open(&file).or_else(|_| {
        // It came with Linux 5.14, and a unit of the system's manager does not hand it on.
        file = base.join("cgroup.subtree_control");
        std::fs::File::open(&file)
    });
    let lock = lock.map_err(|error| failed(&file, "open", error))?;
    let end = Instant::now() + QUEUE;
    loop {
        match sys::try_lock(lock.as_fd()) {
            Err(Errno(libc::EWOULDBLOCK)) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
            other => return other.map(|()| lock).map_err(|errno| failed(&file, "lock", errno.into())),
        }
    }
}

/// Takes away what launchers left that were killed: nobody holds its lock, and nobody is in it.
pub(super) fn remove_stale(base: &Path) {
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        let path = entry.path();
        let free = || std::fs::File::open(&path).is_ok_and(|dir| sys::try_lock(dir.as_fd()).is_ok());
        if name.ends_with(LAUNCHER) || free() {
            remove(&path, Instant::now() + PATIENCE);
        }
    }
}
