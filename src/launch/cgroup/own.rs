//! The sandbox's cgroup: it is made, and its limits are set and read back, before a process is in it; at the end its
//! counters are read, and it is removed. See "Control Group v2" in the kernel's documentation.
//!
//! There are two cgroups, one in the other. The outer one has the limits, the counters and cgroup.kill, and cannot be
//! named inside: what the program sees starts with the inner one, which is the root of its cgroup namespace. The files
//! of both belong to the user, and a program that makes another cgroup namespace, or that runs where the hierarchy is
//! mounted without `nsdelegate`, may write to all of them that it can name.

use super::compare::holds;
use super::figures::Figures;
use super::files::{exchange, failed, field, read, remove, write};
use super::parent::{PATIENCE, PREFIX, ParentCgroup, divide, move_processes_to_leaf, remove_stale};
use super::systemd;
use super::victims::Victims;
use crate::error::{Error, Result};
use crate::launch::events::Events;
use crate::plan::{CgroupPlan, CgroupSource, LimitFile};
use crate::state::Usage;
use crate::sys::{self, Errno};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The leaf of `sbx.service` that holds launchers and the service's own process.
const LAUNCHERS: &str = "launchers";

/// The sandbox's own cgroup. When it is dropped, what is left in it is killed, and it is removed.
pub(in crate::launch) struct Cgroup {
    dir: PathBuf,
    /// The outer cgroup's directory, locked (flock(2)) as long as this launcher lives: what is left without a lock is
    /// removed by the next launcher.
    _lock: OwnedFd,
    /// The inner cgroup, in which the first process is created.
    inner: PathBuf,
    fd: OwnedFd,
    /// The cgroup that contains the outer one.
    parent: ParentCgroup,
    /// Limits that were changed since it was made.
    changed: BTreeMap<&'static str, String>,
    gone: bool,
}

/// Makes the sandbox's cgroup, still without processes, and sets its limits.
pub(in crate::launch) fn make(plan: &CgroupPlan, status: &mut dyn Events) -> Result<Cgroup> {
    let cgroup = match (begin(plan, &plan.source), &plan.source) {
        (Err(error), CgroupSource::Service { otherwise: Some(scope), .. }) => {
            status.note(&format!("sbx.service is not used: {}", error.message));
            begin(plan, scope)
        }
        (begun, _) => begun,
    }?;
    limit(plan, cgroup, status)
}

/// Makes the cgroup, without limits, where `source` says.
fn begin(plan: &CgroupPlan, source: &CgroupSource) -> Result<Cgroup> {
    let (dir, occupied, stays) = match source {
        CgroupSource::Delegated { dir, occupied } => (dir.clone(), *occupied, true),
        CgroupSource::Service { dir, mover, .. } => {
            let leaf = dir.join(LAUNCHERS);
            if read(dir, "cgroup.procs").is_none_or(|pids| !pids.is_empty()) {
                move_processes_to_leaf(dir, &leaf)?;
            }
            if let Some(address) = mover {
                systemd::go_to(address, dir, LAUNCHERS)?;
            }
            (dir.clone(), false, true)
        }
        // A new scope, for this sandbox alone.
        CgroupSource::Scope { address, user, description } => {
            (systemd::scope(address, *user, description)?, true, false)
        }
    };
    let _lock = if stays { Some(divide(&dir)?) } else { None };
    if stays {
        remove_stale(&dir);
    }
    let name = format!("{PREFIX}{}-{:x}", sys::pid(), sys::monotonic_nanoseconds());
    let mut parent = ParentCgroup { dir, stays, leaf: None, enabled: Vec::new() };
    let dir = parent.dir.join(&name);
    match parent.prepare(plan, occupied, &name).and_then(|()| directories(&dir)) {
        Ok((lock, inner, fd)) => {
            Ok(Cgroup { dir, _lock: lock, inner, fd, parent, changed: BTreeMap::new(), gone: false })
        }
        Err(error) => {
            parent.restore();
            Err(error)
        }
    }
}

/// Makes the outer cgroup at `dir` and the inner one. Returns the lock of the outer one, and the path and a descriptor
/// of the inner one.
fn directories(dir: &Path) -> Result<(OwnedFd, PathBuf, OwnedFd)> {
    let make = |dir: &Path| std::fs::create_dir(dir).map_err(|error| failed(dir, "make", error));
    let open = |dir: &Path| std::fs::File::open(dir).map(OwnedFd::from).map_err(|error| failed(dir, "open", error));
    make(dir)?;
    let inner = dir.join("sandbox");
    let made = open(dir).and_then(|lock| {
        // If somebody else holds the lock, that only keeps leftovers from being removed.
        let _ = sys::try_lock(lock.as_fd());
        make(&inner)?;
        Ok((lock, inner.clone(), open(&inner)?))
    });
    if made.is_err() {
        let _ = (std::fs::remove_dir(&inner), std::fs::remove_dir(dir));
    }
    made
}

fn limit(plan: &CgroupPlan, cgroup: Cgroup, status: &mut dyn Events) -> Result<Cgroup> {
    // What a program makes below must not keep the cgroup from being removed.
    for (name, most) in [("cgroup.max.descendants", "1000"), ("cgroup.max.depth", "32")] {
        let _ = write(&cgroup.dir.join(name), most);
    }
    if plan.shown {
        for controller in &plan.controllers {
            let _ = write(&cgroup.dir.join("cgroup.subtree_control"), &format!("+{controller}"));
        }
    }
    for limit in &plan.files {
        // For programs that read their own limits; those of the outer cgroup are the ones that hold.
        if plan.shown {
            let _ = write(&cgroup.inner.join(&limit.file), &limit.value);
        }
        if let Err(why) = hold(&cgroup.dir, limit) {
            if !limit.prefer {
                return Err(Error::new(format!("limits.{} cannot be enforced: {why}", limit.name))
                    .origin(&limit.origin)
                    .hint("add `,prefer` to the value to run without it"));
            }
            status.not_enforced(limit.name, &why);
        }
    }
    Ok(cgroup)
}

impl Cgroup {
    /// The inner cgroup's directory, for clone3(2) with CLONE_INTO_CGROUP.
    pub(in crate::launch) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Makes the leaf that the program starts in if it may divide its cgroup, since only a cgroup without processes can
    /// be divided. Returns the leaf's cgroup.procs, open for writing.
    pub(in crate::launch) fn leaf_below(&self) -> Result<OwnedFd> {
        let leaf = self.inner.join("program");
        std::fs::create_dir(&leaf).map_err(|error| failed(&leaf, "make", error))?;
        let file = leaf.join("cgroup.procs");
        let file = std::fs::OpenOptions::new().write(true).open(&file).map_err(|error| failed(&file, "open", error))?;
        Ok(file.into())
    }

    /// The outer cgroup's directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The inner cgroup's directory.
    pub(super) fn inner(&self) -> &Path {
        &self.inner
    }

    /// Notes that a limit was changed.
    pub(super) fn note_change(&mut self, limit: &LimitFile) {
        self.changed.insert(limit.name, limit.value.clone());
    }

    /// Enables a controller that the cgroup was made without.
    pub(super) fn enable_controller(&mut self, controller: &str) -> std::io::Result<()> {
        write(&self.parent.dir.join("cgroup.subtree_control"), &format!("+{controller}"))?;
        self.parent.enabled.push(controller.to_owned());
        Ok(())
    }

    /// What is used now.
    pub(in crate::launch) fn usage(&self) -> Usage {
        let text = |name: &str| read(&self.dir, name);
        let number = |name: &str| text(name)?.trim().parse::<u64>().ok();
        // What the files of a cgroup are cached for is memory that others get as soon as they need it.
        let idle = || field(&text("memory.stat")?, "inactive_file");
        let sum = |text: &str, name: &str| {
            let words = text.split_whitespace().filter_map(|word| word.strip_prefix(name)?.parse::<u64>().ok());
            words.fold(0, u64::saturating_add)
        };
        Usage {
            cpu_usec: text("cpu.stat").and_then(|text| field(&text, "usage_usec")),
            memory: number("memory.current").map(|used| used.saturating_sub(idle().unwrap_or(0))),
            // `max` is no number.
            memory_max: number("memory.max"),
            blocks: text("io.stat").map(|text| [sum(&text, "rbytes="), sum(&text, "wbytes=")]),
            network: None,
            pids: number("pids.current"),
        }
    }

    /// Freezes all processes, or has them go on. The kernel takes a moment for it: [`Cgroup::is_frozen`].
    pub(in crate::launch) fn freeze(&self, on: bool) -> std::result::Result<(), String> {
        let value = if on { "1" } else { "0" };
        let file = self.dir.join("cgroup.freeze");
        let found = exchange(&file, value).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOENT) => "this kernel has no cgroup.freeze: it came with Linux 5.2".to_owned(),
            _ => format!("writing `{value}` to cgroup.freeze: {}", Errno::from(error)),
        })?;
        if found.trim() == value {
            Ok(())
        } else {
            Err(format!("cgroup.freeze says `{}` after `{value}` was written", found.trim()))
        }
    }

    /// Whether all processes are frozen.
    pub(in crate::launch) fn is_frozen(&self) -> bool {
        field(&read(&self.dir, "cgroup.events").unwrap_or_default(), "frozen") == Some(1)
    }

    /// Tracks the OOM killer's victims in this cgroup; `first` is the process id of the sandbox's first process.
    pub(in crate::launch) fn victims(&self, first: i32) -> Option<Victims> {
        Victims::of(&self.dir, first)
    }

    /// Resources used so far; `since` is when the sandbox was started.
    pub(in crate::launch) fn figures(&self, since: Instant) -> Figures {
        Figures { changed: self.changed.clone(), ..Figures::of_cgroup(&self.dir, since.elapsed()) }
    }

    /// What limits did to the sandbox so far: [`Figures::verdict`].
    pub(in crate::launch) fn verdict(&self, since: Instant) -> Figures {
        Figures { changed: self.changed.clone(), ..Figures::verdict(&self.dir, since.elapsed()) }
    }

    /// Kills what is left in the cgroup, and removes it; gives up after [`PATIENCE`].
    pub(in crate::launch) fn end(&mut self) {
        if std::mem::replace(&mut self.gone, true) {
            return;
        }
        let end = Instant::now() + PATIENCE;
        let mut pause = Duration::from_micros(200);
        let _ = std::fs::remove_dir(&self.inner);
        loop {
            remove(&self.dir, end);
            if !self.dir.exists() || Instant::now() >= end {
                break;
            }
            let _ = write(&self.dir.join("cgroup.kill"), "1");
            // Processes leave their cgroup a moment after they are reaped.
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        if self.parent.leaf.is_some()
            && self.parent.stays
            && let Ok(_lock) = divide(&self.parent.dir)
        {
            self.parent.restore();
        }
    }
}

/// Writes a limit to the cgroup `dir` and reads it back: a write may succeed without an effect. The error says why the limit is not in
/// force.
pub(super) fn hold(dir: &Path, limit: &LimitFile) -> std::result::Result<(), String> {
    let file = dir.join(&limit.file);
    // sbx's own cgroups count, too: the inner one, and the program's leaf.
    let value = match (limit.name, limit.value.parse::<u64>()) {
        ("max_descendants" | "max_depth", Ok(number)) => number.saturating_add(2).to_string(),
        _ => limit.value.clone(),
    };
    let found = exchange(&file, &value).map_err(|error| match error.raw_os_error() {
        Some(libc::ENOENT | libc::EACCES) if !file.exists() => format!("this kernel has no {}", limit.file),
        _ => format!("writing `{value}` to {}: {}", limit.file, Errno::from(error)),
    })?;
    if holds(limit.form, &value, &found) {
        Ok(())
    } else {
        Err(format!("{} says `{}` after `{value}` was written", limit.file, found.trim()))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.end();
    }
}
