//! The sandbox's cgroup: made, limited and read back before there is a process in it; counted and taken away afterwards.
//! "Control Group v2" of the kernel's documentation.
//!
//! It is two, one in the other. The outer one has the limits, the figures and cgroup.kill, and no name inside: what the program sees
//! starts with the inner one, which is the root of its cgroup namespace. Its files are the user's, and a program that makes one more
//! namespace, or where the hierarchy is mounted without `nsdelegate`, may write to all that it can name.

use super::events::Events;
use super::figures::Figures;
use super::systemd;
use super::victims::Victims;
use crate::error::{Error, Result};
use crate::plan::{CgroupPlan, CgroupSource, LimitFile};
use crate::spec::limits::{self, Form};
use crate::sys::{self, Errno};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What the names of our directories start with.
const PREFIX: &str = "sbx-";
/// And end with, where the launcher is in it.
const LAUNCHER: &str = ".launcher";
/// Where launchers are, and whose process keeps it, in a service that is kept for sandboxes.
const LAUNCHERS: &str = "launchers";

/// How long the end of what is in it may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long others who divide the same cgroup may take, of whom there may be hundreds.
const QUEUE: Duration = Duration::from_secs(30);

/// The sandbox's own.
pub(super) struct Cgroup {
    dir: PathBuf,
    /// Open, with a lock that says that we live: what is left without one is taken away by the next.
    _lock: OwnedFd,
    /// The inner one, in which the sandbox is born.
    inner: PathBuf,
    fd: OwnedFd,
    /// The one above, that we divide.
    base: Base,
    gone: bool,
}

/// A cgroup that is divided, with what that has changed in it.
struct Base {
    dir: PathBuf,
    /// It was there before us, and will be.
    stays: bool,
    /// Where we went ourselves: only one without processes of its own hands controllers on.
    leaf: Option<PathBuf>,
    /// What we switched on.
    enabled: Vec<String>,
}

fn at(path: &Path, what: &str, error: std::io::Error) -> Error {
    Error::new(format!("no cgroup for the limits: cannot {what} {}: {}", path.display(), Errno::from(error)))
}

/// Makes it. Nothing is in it yet.
pub(super) fn make(plan: &CgroupPlan, status: &mut dyn Events) -> Result<Cgroup> {
    let cgroup = match (begin(plan, &plan.source), &plan.source) {
        (Err(error), CgroupSource::Service { otherwise: Some(scope), .. }) => {
            status.note(&format!("sbx.service is not used: {}", error.message));
            begin(plan, scope)
        }
        (begun, _) => begun,
    }?;
    limit(plan, cgroup, status)
}

/// The directories, without limits.
fn begin(plan: &CgroupPlan, source: &CgroupSource) -> Result<Cgroup> {
    let (dir, occupied, stays) = match source {
        CgroupSource::Delegated { dir, occupied } => (dir.clone(), *occupied, true),
        CgroupSource::Service { dir, mover, .. } => {
            let leaf = dir.join(LAUNCHERS);
            if read(dir, "cgroup.procs").is_none_or(|pids| !pids.is_empty()) {
                settle(dir, &leaf)?;
            }
            if let Some(address) = mover {
                systemd::go_to(address, dir, LAUNCHERS)?;
            }
            (dir.clone(), false, true)
        }
        // New, and ours alone.
        CgroupSource::Scope { address, user, description } => {
            (systemd::scope(address, *user, description)?, true, false)
        }
    };
    let _lock = if stays { Some(divide(&dir)?) } else { None };
    if stays {
        collect(&dir);
    }
    let name = format!("{PREFIX}{}-{:x}", sys::pid(), sys::monotonic_nanoseconds());
    let mut base = Base { dir, stays, leaf: None, enabled: Vec::new() };
    let dir = base.dir.join(&name);
    match base.prepare(plan, occupied, &name).and_then(|()| directories(&dir)) {
        Ok((lock, inner, fd)) => Ok(Cgroup { dir, _lock: lock, inner, fd, base, gone: false }),
        Err(error) => {
            base.restore();
            Err(error)
        }
    }
}

/// The outer one with its lock, and the inner one.
fn directories(dir: &Path) -> Result<(OwnedFd, PathBuf, OwnedFd)> {
    let make = |dir: &Path| std::fs::create_dir(dir).map_err(|error| at(dir, "make", error));
    let open = |dir: &Path| std::fs::File::open(dir).map(OwnedFd::from).map_err(|error| at(dir, "open", error));
    make(dir)?;
    let inner = dir.join("sandbox");
    let made = open(dir).and_then(|lock| {
        // Who holds it instead of us only keeps what is left from being taken away.
        let _ = sys::lock(lock.as_fd(), false);
        make(&inner)?;
        Ok((lock, inner.clone(), open(&inner)?))
    });
    if made.is_err() {
        let _ = (std::fs::remove_dir(&inner), std::fs::remove_dir(dir));
    }
    made
}

impl Base {
    /// Hands the controllers on that are needed.
    fn prepare(&mut self, plan: &CgroupPlan, occupied: bool, name: &str) -> Result<()> {
        if occupied {
            let leaf = self.dir.join(format!("{name}{LAUNCHER}"));
            std::fs::create_dir(&leaf).map_err(|error| at(&leaf, "make", error))?;
            self.leaf = Some(leaf.clone());
            write(&leaf.join("cgroup.procs"), "0").map_err(|error| at(&leaf, "go to", error))?;
        }
        let have = read(&self.dir, "cgroup.subtree_control").unwrap_or_default();
        let file = self.dir.join("cgroup.subtree_control");
        for controller in plan.controllers.iter().filter(|name| !have.split_whitespace().any(|had| had == *name)) {
            write(&file, &format!("+{controller}")).map_err(|error| {
                at(&file, &format!("write +{controller} to"), error)
                    .hint("EBUSY: processes are in that cgroup itself; ENOENT: the controller is not handed on to it")
            })?;
            self.enabled.push(controller.clone());
        }
        Ok(())
    }

    /// As it was: controllers off, and we back, unless somebody else divides it by now. It is locked.
    fn restore(&self) {
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

fn limit(plan: &CgroupPlan, cgroup: Cgroup, status: &mut dyn Events) -> Result<Cgroup> {
    // What a program makes below must not keep us from taking it away.
    for (name, most) in [("cgroup.max.descendants", "1000"), ("cgroup.max.depth", "32")] {
        let _ = write(&cgroup.dir.join(name), most);
    }
    if plan.shown {
        for controller in &plan.controllers {
            let _ = write(&cgroup.dir.join("cgroup.subtree_control"), &format!("+{controller}"));
        }
    }
    for limit in &plan.files {
        // For programs that look at their own: it is the outer one that holds.
        if plan.shown {
            let _ = write(&cgroup.inner.join(&limit.file), &limit.value);
        }
        if let Err(why) = cgroup.limit(limit) {
            if !limit.prefer {
                return Err(Error::new(format!("limits.{} cannot be enforced: {why}", limit.name))
                    .origin(&limit.origin)
                    .hint("`,prefer` behind the value goes on without"));
            }
            status.not_enforced(limit.name, &why);
        }
    }
    Ok(cgroup)
}

/// Makes the leaf of a service that is kept, and takes its process there: only a cgroup without one can be divided.
fn settle(dir: &Path, leaf: &Path) -> Result<()> {
    let _lock = divide(dir)?;
    match std::fs::create_dir(leaf) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(at(leaf, "make", error)),
        _ => {}
    }
    for pid in read(dir, "cgroup.procs").unwrap_or_default().lines() {
        // One that has no number here cannot be named: 0 would be us.
        let named = if pid == "0" { Err(Errno(libc::EINVAL).into()) } else { Ok(()) };
        match named.and_then(|()| write(&leaf.join("cgroup.procs"), pid)) {
            // It has ended.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            other => other.map_err(|error| at(leaf, &format!("move process {pid} to"), error))?,
        }
    }
    Ok(())
}

/// One at a time. By a file of the cgroup that is divided: its directory may be somebody's own, who holds its lock for life. And by one
/// that cannot be read: others, and programs inside that see the hierarchy read-only, must not be able to take the lock.
fn divide(base: &Path) -> Result<std::fs::File> {
    let mut file = base.join("cgroup.kill");
    let lock = std::fs::OpenOptions::new().write(true).open(&file).or_else(|_| {
        // It came with Linux 5.14, and a unit of the system's manager does not hand it on.
        file = base.join("cgroup.subtree_control");
        std::fs::File::open(&file)
    });
    let lock = lock.map_err(|error| at(&file, "open", error))?;
    let end = Instant::now() + QUEUE;
    loop {
        match sys::lock(lock.as_fd(), false) {
            Err(Errno(libc::EWOULDBLOCK)) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
            other => return other.map(|()| lock).map_err(|errno| at(&file, "lock", errno.into())),
        }
    }
}

/// Takes away what launchers left that were killed: nobody holds its lock, and nobody is in it.
fn collect(base: &Path) {
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        let path = entry.path();
        let free = || std::fs::File::open(&path).is_ok_and(|dir| sys::lock(dir.as_fd(), false).is_ok());
        if name.ends_with(LAUNCHER) || free() {
            remove(&path, Instant::now() + PATIENCE);
        }
    }
}

/// Removes it with what was made below it; not what has processes.
fn remove(dir: &Path, end: Instant) {
    use std::os::unix::fs::PermissionsExt;
    if std::fs::remove_dir(dir).is_ok() || Instant::now() >= end {
        return;
    }
    // Whoever made what is below may have closed it. There are no links here.
    let _ = std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755));
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path(), end);
        }
    }
    let _ = std::fs::remove_dir(dir);
}

fn write(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    std::fs::OpenOptions::new().write(true).open(file)?.write_all(text.as_bytes())
}

/// Writes to a file and reads it.
fn exchange(file: &Path, text: &str) -> std::io::Result<String> {
    use std::io::{Read, Seek, Write};
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(file)?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    let mut found = String::new();
    file.read_to_string(&mut found)?;
    Ok(found)
}

pub(super) fn read(dir: &Path, name: &str) -> Option<String> {
    std::fs::read_to_string(dir.join(name)).ok()
}

impl Cgroup {
    /// For clone3(2), CLONE_INTO_CGROUP.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// For a sandbox that divides it: where its processes are. Open for writing oneself to.
    pub(super) fn leaf_below(&self) -> Result<OwnedFd> {
        let leaf = self.inner.join("program");
        std::fs::create_dir(&leaf).map_err(|error| at(&leaf, "make", error))?;
        let file = leaf.join("cgroup.procs");
        let file = std::fs::OpenOptions::new().write(true).open(&file).map_err(|error| at(&file, "open", error))?;
        Ok(file.into())
    }

    /// Writes a limit, and reads it back: what says nothing may still not have done it.
    fn limit(&self, limit: &LimitFile) -> std::result::Result<(), String> {
        let file = self.dir.join(&limit.file);
        // Ours count, too: the inner one, and the program's leaf.
        let value = match (limit.name, limit.value.parse::<u64>()) {
            ("max_descendants" | "max_depth", Ok(number)) => (number + 2).to_string(),
            _ => limit.value.clone(),
        };
        let found = exchange(&file, &value).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOENT | libc::EACCES) if !file.exists() => format!("this kernel has no {}", limit.file),
            _ => format!("writing `{value}` to {}: {}", limit.file, Errno::from(error)),
        })?;
        let form = limits::find(limit.name).map_or(Form::Count, |key| key.form);
        if holds(form, &value, &found) {
            Ok(())
        } else {
            Err(format!("{} says `{}` after `{value}` was written", limit.file, found.trim()))
        }
    }

    /// For who is ended for memory in it.
    pub(super) fn victims(&self, first: i32) -> Option<Victims> {
        Victims::of(&self.dir, first)
    }

    /// What was used so far.
    pub(super) fn figures(&self, since: Instant) -> Figures {
        Figures::of_cgroup(&self.dir, since.elapsed())
    }

    /// What limits did to it.
    pub(super) fn verdict(&self, since: Instant) -> Figures {
        Figures::verdict(&self.dir, since.elapsed())
    }

    /// Ends what is left in it, and takes it away.
    pub(super) fn end(&mut self) {
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
        if self.base.leaf.is_some()
            && self.base.stays
            && let Ok(_lock) = divide(&self.base.dir)
        {
            self.base.restore();
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether a file says what was written, in its own way.
fn holds(form: Form, written: &str, found: &str) -> bool {
    let found = found.trim();
    let number = |text: &str| text.parse::<u64>().ok();
    match form {
        Form::Bytes | Form::Pages => match (number(written), number(found)) {
            // In whole pages, and none is larger than a gigabyte.
            (Some(written), Some(found)) => {
                found <= written && written - found < if form == Form::Bytes { 65_536 } else { 1 << 30 }
            }
            // More than there can be.
            (Some(written), None) => found == "max" && written >= 1 << 62,
            _ => written == found,
        },
        Form::Cpu => found == written || (written == "max" && found.starts_with("max ")),
        Form::Weight => found.lines().any(|line| line.trim_start_matches("default ").trim() == written),
        Form::Set => limits::numbers(found).zip(limits::numbers(written)).is_some_and(|(mut found, mut written)| {
            found.sort_unstable();
            written.sort_unstable();
            written.dedup();
            found == written
        }),
        Form::Rates | Form::Latency => {
            let mut words = written.split_whitespace();
            let device = words.next().unwrap_or_default();
            let line = found.lines().find(|line| line.split_whitespace().next() == Some(device)).unwrap_or_default();
            let unlimited = |word: &str| word.ends_with("=max") && line.is_empty();
            words.all(|word| unlimited(word) || line.split_whitespace().any(|other| other == word))
        }
        Form::Count | Form::Switch => written == found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_is_compared_by_what_it_means() {
        assert!(holds(Form::Bytes, "67108864", "67108864\n") && holds(Form::Bytes, "67108865", "67108864\n"));
        assert!(!holds(Form::Bytes, "67108864", "max\n") && !holds(Form::Bytes, "67108864", "134217728\n"));
        assert!(holds(Form::Bytes, "max", "max\n") && holds(Form::Bytes, "0", "0\n"));
        assert!(holds(Form::Cpu, "max", "max 100000\n") && !holds(Form::Cpu, "50000 100000", "max 100000\n"));
        assert!(holds(Form::Weight, "50", "default 50\n") && holds(Form::Weight, "50", "50\n"));
        assert!(holds(Form::Set, "0,1", "0-1\n") && !holds(Form::Set, "0", "0-1\n") && !holds(Form::Set, "0", "\n"));
        assert!(holds(Form::Rates, "8:0 wbps=1048576", "8:0 rbps=max wbps=1048576 riops=max wiops=max\n"));
        assert!(!holds(Form::Rates, "8:0 wbps=1048576", "8:16 rbps=max wbps=1048576 riops=max wiops=max\n"));
    }
}
