//! Functions that several probes need.

use super::super::facts::{Facts, FileId, Verdict};
use crate::sys::{self, Errno, Waited};
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The result of a call as a verdict.
pub(super) fn verdict<T>(what: impl std::fmt::Display, result: Result<T, Errno>) -> Verdict {
    match result {
        Ok(_) => Verdict::Open(format!("{what} works")),
        Err(errno) => Verdict::Closed(format!("{what}: {errno}")),
    }
}

/// The verdict on several attempts at one thing: closed if all are, with the first as an example.
pub(super) fn all(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    let mut first = None;
    let mut more = 0;
    let mut shared = None;
    let mut not_run = None;
    for verdict in verdicts {
        match verdict {
            Verdict::Open(_) => return verdict,
            Verdict::Closed(how) => {
                let (text, others) = counted(&how);
                more += others + usize::from(first.is_some());
                first.get_or_insert(text.to_owned());
            }
            Verdict::Shared(_) => shared = shared.or(Some(verdict)),
            Verdict::NotRun(_) => not_run = not_run.or(Some(verdict)),
        }
    }
    match (shared, first) {
        (Some(shared), _) => shared,
        (None, Some(first)) if more > 0 => Verdict::Closed(format!("{first}{AND}{more}{MORE}")),
        (None, Some(first)) => Verdict::Closed(first),
        (None, None) => not_run.unwrap_or(Verdict::NotRun("there is nothing to try it on".into())),
    }
}

const AND: &str = "; and ";
const MORE: &str = " more";

/// The text of a verdict of [`all`] without its count, and the number of others that it stands for.
fn counted(how: &str) -> (&str, usize) {
    let parts = how.strip_suffix(MORE).and_then(|rest| rest.rsplit_once(AND));
    parts.and_then(|(text, count)| Some((text, count.parse().ok()?))).unwrap_or((how, 0))
}

/// The verdict of [`all`] on an attempt for each item.
pub(super) fn each<I: IntoIterator>(items: I, attempt: impl FnMut(I::Item) -> Verdict) -> Verdict {
    all(items.into_iter().map(attempt))
}

/// The verdict on something that was not tried, and why.
pub(super) fn not_run(why: impl Into<String>) -> Verdict {
    Verdict::NotRun(why.into())
}

/// A path as a C string. Paths come from the kernel or are sbx's own, and hold no NUL byte.
pub(super) fn c(path: impl AsRef<Path>) -> CString {
    CString::new(path.as_ref().as_os_str().as_bytes()).unwrap_or_default()
}

/// Device and inode number of what a path leads to.
pub(in super::super) fn id(path: &Path) -> Option<FileId> {
    std::fs::metadata(path).ok().map(|facts| (facts.dev(), facts.ino()))
}

/// Whether a path leads to the host's root directory, which is not the sandbox's own.
pub(super) fn is_host_root(facts: &Facts, path: &Path) -> bool {
    let there = id(path);
    there == Some(facts.outside.root) && there != id(Path::new("/"))
}

/// Tries something on the host's processes, if their numbers can be theirs here: in a pid namespace of the sandbox's
/// own a number may be another process's.
pub(super) fn on_hosts(facts: &Facts, attempt: impl Fn(i32) -> Verdict) -> Verdict {
    each([facts.outside.process, facts.outside.launcher], |pid| match may_be_hosts(facts, pid) {
        true => attempt(pid),
        false => not_run(format!("number {pid} is another process's inside")),
    })
}

/// Whether a process of this number can be the host's.
pub(super) fn may_be_hosts(facts: &Facts, pid: i32) -> bool {
    let own = std::fs::metadata("/proc/self/ns/pid").map(|found| found.ino()).ok();
    own == facts.outside.namespaces.get("pid").copied() || !Path::new(&format!("/proc/{pid}")).exists()
}

/// Opens for writing, without creating or truncating anything, and without waiting for a pipe or taking a terminal.
pub(super) fn open_to_write(path: &Path) -> Result<File, Errno> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    OpenOptions::new().write(true).custom_flags(flags).open(path).map_err(Errno::from)
}

/// Opens for reading, without waiting for a pipe or taking a terminal.
pub(super) fn open_to_read(path: &Path) -> Result<File, Errno> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(Errno::from)
}

/// The first 4096 bytes of a file.
pub(super) fn start_of(path: &Path) -> Result<Vec<u8>, Errno> {
    let mut file = open_to_read(path)?;
    let mut buffer = vec![0; 4096];
    let n = file.read(&mut buffer).map_err(Errno::from)?;
    buffer.truncate(n);
    Ok(buffer)
}

/// The verdict on reading a file: open if it holds the host's secret.
pub(super) fn reads_secret(facts: &Facts, path: &Path) -> Verdict {
    let shown = path.display();
    match start_of(path) {
        Ok(text) if has(&text, &facts.outside.secret) => Verdict::Open(format!("{shown} is read")),
        Ok(text) => Verdict::Closed(format!("{shown} has {} other bytes", text.len())),
        Err(errno) => Verdict::Closed(format!("{shown}: {errno}")),
    }
}

/// Whether bytes contain a text.
pub(super) fn has(bytes: &[u8], text: &str) -> bool {
    !text.is_empty() && bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

/// Makes a file in a directory: without a name if the filesystem supports that (O_TMPFILE), else it is removed at once.
pub(super) fn make_file(dir: &Path) -> Result<(), Errno> {
    let open = |path: &Path, flags: i32| {
        OpenOptions::new().write(true).mode(0o600).custom_flags(flags).open(path).map(drop).map_err(Errno::from)
    };
    match open(dir, libc::O_TMPFILE) {
        Err(Errno(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)) => {
            let path = dir.join(format!(".sbx-selftest-{}", sys::pid()));
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(Errno::from)?;
            let _ = std::fs::remove_file(path);
            Ok(())
        }
        other => other,
    }
}

/// The path of a file or directory of the fixture.
pub(super) fn fixture(facts: &Facts, name: &str) -> Result<PathBuf, Verdict> {
    let dir = facts.outside.fixture.as_ref().map(|dir| dir.join(name));
    dir.ok_or_else(|| not_run("its files could not be shown in this sandbox"))
}

/// Runs an attempt in a child, and gives its verdict. The child is ended after some seconds, since it does not end with
/// its parent.
pub(super) fn in_child(attempt: impl FnOnce() -> Verdict) -> Verdict {
    let Ok((from, to)) = sys::pipe() else { return not_run("pipe failed") };
    let told = || {
        sys::end_after(4);
        let text = serde_json::to_string(&attempt()).unwrap_or_default();
        let _ = sys::write_all(to.as_fd(), text.as_bytes());
        0
    };
    match sys::fork(told) {
        Ok(pid) => {
            drop(to);
            let mut text = String::new();
            let _ = File::from(from).read_to_string(&mut text);
            let ended = sys::wait_for(pid);
            match (serde_json::from_str(&text), ended) {
                (Ok(verdict), _) => verdict,
                (_, Ok(Waited::Signaled(libc::SIGSYS))) => Verdict::Closed("killed by the seccomp filter".into()),
                (_, ended) => not_run(format!("the try ended with {ended:?}")),
            }
        }
        Err(errno) => not_run(format!("fork: {errno}")),
    }
}

/// Process id of a child that does nothing, and is killed when this is dropped.
pub(super) struct Sibling(pub i32);

impl Sibling {
    /// Starts the child.
    pub fn start() -> Result<Sibling, Verdict> {
        let rest = || {
            sys::end_after(4);
            sys::attempts::rest()
        };
        sys::fork(rest).map(Sibling).map_err(|errno| not_run(format!("fork: {errno}")))
    }
}

impl Drop for Sibling {
    fn drop(&mut self) {
        let _ = sys::kill(self.0, libc::SIGKILL);
        let _ = sys::wait_for(self.0);
    }
}

/// A field of /proc/self/status.
pub(in super::super) fn status(name: &str) -> Option<String> {
    field(&std::fs::read_to_string("/proc/self/status").ok()?, name)
}

/// A field of a text like /proc/self/status.
pub(super) fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// One line of /proc/self/mountinfo: proc_pid_mountinfo(5).
pub(super) struct Mounted {
    pub path: PathBuf,
    pub options: String,
    pub kind: String,
    /// The directory of the filesystem that is mounted.
    pub root: String,
}

impl Mounted {
    pub fn has(&self, option: &str) -> bool {
        self.options.split(',').any(|other| other == option)
    }
}

/// The mounts that this process sees.
pub(super) fn mounts() -> Result<Vec<Mounted>, Verdict> {
    let text = std::fs::read_to_string("/proc/self/mountinfo");
    let text = text.map_err(|error| not_run(format!("/proc/self/mountinfo: {}", Errno::from(error))))?;
    let mounts = text.lines().filter_map(|line| {
        let (first, second) = line.split_once(" - ")?;
        let mut words = first.split(' ').skip(3);
        let (root, path, options) = (words.next()?, words.next()?, words.next()?);
        let kind = second.split(' ').next()?;
        Some(Mounted {
            path: unescaped(path),
            options: options.to_owned(),
            kind: kind.to_owned(),
            root: root.to_owned(),
        })
    });
    Ok(mounts.collect())
}

/// A path of mountinfo with its octal escapes undone: `\040` is a space.
fn unescaped(path: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match (first, octal) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(std::ffi::OsStr::from_bytes(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_attempts_give_one_verdict() {
        let closed = |text: &str| Verdict::Closed(text.into());
        let inner = all([closed("a"), closed("b"), closed("c")]);
        assert_eq!(inner, closed("a; and 2 more"));
        assert_eq!(all([inner.clone(), closed("d")]), closed("a; and 3 more"));
        assert_eq!(all([closed("d"), inner.clone()]), closed("d; and 3 more"));
        let open = Verdict::Open("x".into());
        assert_eq!(all([inner.clone(), Verdict::Shared("s".into()), open.clone()]), open);
        assert_eq!(all([inner, Verdict::Shared("s".into())]), Verdict::Shared("s".into()));
        assert_eq!(all([closed("a"), not_run("n")]), closed("a"));
        assert_eq!(all([not_run("n")]), not_run("n"), "what could not be tried is not closed");
        assert!(matches!(all([]), Verdict::NotRun(_)));
    }

    #[test]
    fn names_of_mount_points_are_read_as_they_are() {
        assert_eq!(unescaped(r"/a\040b\134c"), PathBuf::from(r"/a b\c"));
        assert_eq!(unescaped(r"/end\04"), PathBuf::from(r"/end\04"));
    }
}
