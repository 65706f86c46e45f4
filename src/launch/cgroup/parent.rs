//! The cgroup that contains the sandbox's own one. Other launchers may use the same one at the same time.

use super::files::{failed, read, remove, write};
use crate::error::Result;
use crate::plan::CgroupPlan;
use crate::sys::{self, Errno};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Prefix of the names of sandboxes' cgroups.
pub(super) const PREFIX: &str = "sbx-";
/// Suffix of the names of cgroups that hold a launcher.
const LAUNCHER: &str = ".launcher";

/// How long to wait for the processes of a cgroup to end.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait for other launchers that divide the same cgroup, of which there may be hundreds.
const QUEUE: Duration = Duration::from_secs(30);

/// A cgroup that is divided, with the changes that were made to it for that.
pub(super) struct ParentCgroup {
    pub dir: PathBuf,
    /// The cgroup existed before this sandbox, and stays.
    pub stays: bool,
    /// The child cgroup that the launcher moved to: only a cgroup without processes can enable controllers for its
    /// children.
    pub leaf: Option<PathBuf>,
    /// Controllers that were enabled in cgroup.subtree_control.
    pub enabled: Vec<String>,
}

impl ParentCgroup {
    /// Enables the controllers that the limits need for child cgroups. The launcher first moves to a leaf of its own if
    /// processes are in this cgroup (`occupied`).
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

    /// Undoes [`ParentCgroup::prepare`]: disables the controllers and moves the launcher back, unless another launcher
    /// divides the cgroup by now. To be called with the lock of [`divide`].
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

/// Makes the leaf of `sbx.service` and moves the service's processes there: only a cgroup without processes can be
/// divided.
pub(super) fn move_processes_to_leaf(dir: &Path, leaf: &Path) -> Result<()> {
    let _lock = divide(dir)?;
    match std::fs::create_dir(leaf) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(leaf, "make", error)),
        _ => {}
    }
    for pid in read(dir, "cgroup.procs").unwrap_or_default().lines() {
        // A process that has no number in this pid namespace reads as 0, and writing 0 would move this process.
        let named = if pid == "0" { Err(Errno(libc::EINVAL).into()) } else { Ok(()) };
        match named.and_then(|()| write(&leaf.join("cgroup.procs"), pid)) {
            // The process has ended.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            other => other.map_err(|error| failed(leaf, &format!("move process {pid} to"), error))?,
        }
    }
    Ok(())
}

/// Locks a cgroup, so that only one launcher divides it at a time. The lock is on a file in the cgroup, because the
/// directory may be some sandbox's own, locked as long as its launcher lives. The file must not be readable: other
/// users, and programs inside that see the hierarchy read-only, must not be able to take the lock.
pub(super) fn divide(base: &Path) -> Result<std::fs::File> {
    let mut file = base.join("cgroup.kill");
    let lock = std::fs::OpenOptions::new().write(true).open(&file).or_else(|_| {
        // cgroup.kill came with Linux 5.14, and in a unit of the system's manager it does not belong to the user.
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

/// Removes what killed launchers left: cgroups that nobody has locked and that have no processes.
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
