//! The files among the descriptors that the program inherits, and what it may do with them.

use crate::child::{ReadOnlyFile, Session};
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::spec::Descriptors;
use crate::sys::{self, UnownedFd};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file with a name that the program inherits as a descriptor.
pub(super) struct InheritedFile {
    pub fd: i32,
    /// The access mode: O_RDONLY, O_WRONLY or O_RDWR; O_PATH for one that was opened for none of these.
    access: i32,
    /// It is opened again from a read-only mount.
    pub read_only: Option<ReadOnlyFile>,
    /// What the file permits whom before the program starts, if the program can change that.
    before: Option<Access>,
    /// The caller's file of which the descriptor is a copy, and the offset that it had.
    original: Option<(OwnedFd, i64)>,
}

/// Whom a file permits what: its owner, its permissions and its access control list (acl(5)).
struct Access {
    owner: sys::Owner,
    list: Option<Vec<u8>>,
    /// A device, such as a terminal, is given back exactly as it was. The permissions that a program takes away from a file
    /// stay taken away.
    device: bool,
}

impl InheritedFile {
    /// The Landlock rights by which the program may open the file again, as by /dev/stderr: those that the descriptor
    /// has. None for one that was opened with O_PATH.
    pub fn rights(&self) -> Option<u64> {
        let read = sys::FS_READ_FILE | sys::FS_EXECUTE;
        let write = sys::FS_WRITE_FILE | sys::FS_TRUNCATE;
        let access = match self.access {
            libc::O_PATH => return None,
            libc::O_RDONLY => read,
            libc::O_WRONLY => write,
            _ => read | write,
        };
        Some(sys::FS_IOCTL_DEV | access)
    }
}

/// The files that the program of this plan inherits. None for a plan of sbx-bwrap, which hands descriptors over as they
/// are.
///
/// # Errors
///
/// A standard stream is a directory, was opened with O_PATH, or is a socket that leads out of the sandbox's network.
pub(super) fn files(plan: &Plan, session: Session) -> Result<Vec<InheritedFile>> {
    let mut files = Vec::new();
    let Descriptors::Only(kept) = &plan.process.descriptors else { return Ok(files) };
    // A terminal of the sandbox's own takes the place of these.
    let replaced = if let Session::Pty(streams) = session { streams } else { [false; 3] };
    let streams = (0..3).zip(replaced).filter(|(_, replaced)| !replaced).map(|(fd, _)| fd);
    for fd in streams.chain(kept.iter().copied().filter(|fd| *fd > 2)) {
        let Ok(kind) = sys::file_type(UnownedFd::new(fd).as_fd()) else { continue };
        match kind {
            // A directory would be a way out of the view: /proc/self/fd/0/.. is the host's tree.
            libc::S_IFDIR if fd < 3 && !kept.contains(&fd) => {
                let what = stream(fd);
                return Err(Error::new(format!("{what} is a directory, and its parents lead out of the view")).hint(
                    format!(
                        "give the program another one, such as /dev/null; or hand the directory over on purpose: --keep-fd {fd}"
                    ),
                ));
            }
            // One that is handed over on purpose.
            libc::S_IFDIR => continue,
            libc::S_IFSOCK if fd < 3 && !kept.contains(&fd) && leads_out(plan, fd) => {
                let all = (0..3).filter(|fd| sys::can_connect_anew(UnownedFd::new(*fd).as_fd()));
                let flags: Vec<_> = all.map(|fd| format!("--keep-fd {fd}")).collect();
                return Err(Error::new(format!(
                    "{} is a socket of a network that is not the sandbox's: the program could connect it to others there",
                    stream(fd)
                ))
                .hint(format!(
                    "pass what it carries through pipes: `cat | sbx ... | cat`; share the network: --net host; or hand the socket over on \
                     purpose: {}",
                    flags.join(" ")
                )));
            }
            // What others open by the name of one that has a name is governed by its permissions.
            libc::S_IFIFO if !std::fs::read_link(link(fd)).is_ok_and(|path| path.is_absolute()) => continue,
            _ => {}
        }
        let Ok(flags) = sys::status_flags(UnownedFd::new(fd).as_fd()) else { continue };
        if flags & libc::O_PATH != 0 {
            if fd < 3 {
                return Err(Error::new(format!(
                    "standard stream {fd} was opened with O_PATH, so it can be neither read \
                                               nor written, but the program could change its file's permissions"
                ))
                .hint("open it for what it is for: < FILE, > FILE; or hand it over on purpose: --keep-fd"));
            }
            files.push(unopened(plan, fd));
            continue;
        }
        if matches!(kind, libc::S_IFREG | libc::S_IFBLK | libc::S_IFCHR | libc::S_IFIFO) {
            let mut file = file(plan, fd, kind, flags);
            if kind == libc::S_IFREG && file.access == libc::O_RDONLY {
                file.original = replace_unnamed(plan, fd)?;
            }
            files.push(file);
        }
    }
    Ok(files)
}

/// What people call a standard stream.
fn stream(fd: i32) -> &'static str {
    match fd {
        0 => "standard input",
        1 => "standard output",
        _ => "standard error",
    }
}

/// Whether a socket, which belongs to the network that it was made in, leads to others there than the sandbox's own network does. One that was
/// opened with O_PATH is no socket to whoever holds it.
fn leads_out(plan: &Plan, fd: i32) -> bool {
    let fd = UnownedFd::new(fd);
    let opened = sys::status_flags(fd.as_fd()).is_ok_and(|flags| flags & libc::O_PATH == 0);
    plan.namespaces.has_own_network() && opened && sys::can_connect_anew(fd.as_fd())
}

/// A file of any kind that was opened with O_PATH: again with O_PATH, so that nobody can use it to change its permissions or
/// owner, or to open it for writing.
fn unopened(plan: &Plan, fd: i32) -> InheritedFile {
    let path = link(fd);
    let reopened = !sys::is_read_only(&path) && (is_owned(plan, &path) || sys::may_write_followed(&path));
    let read_only = reopened.then_some(ReadOnlyFile { fd, flags: libc::O_PATH, offset: None, device: false });
    InheritedFile { fd, access: libc::O_PATH, read_only, before: None, original: None }
}

fn file(plan: &Plan, fd: i32, kind: u32, flags: i32) -> InheritedFile {
    let given = UnownedFd::new(fd);
    let access = flags & libc::O_ACCMODE;
    let path = link(fd);
    let device = kind == libc::S_IFCHR;
    // Of the character devices, only those of memory, such as /dev/null, can be opened again without side effects.
    let reopened = if device {
        is_owned(plan, &path) && path.metadata().is_ok_and(|found| libc::major(found.rdev()) == 1)
    } else {
        // A pipe that is opened again waits for a writer, and its reader is not told that the last one has gone.
        kind != libc::S_IFIFO && access == libc::O_RDONLY && is_changeable(plan, &path)
    };
    let flags = if device { access } else { flags & (libc::O_NONBLOCK | libc::O_DIRECT) };
    let read_only = reopened.then(|| ReadOnlyFile {
        fd,
        flags,
        offset: sys::offset(given.as_fd()).ok().filter(|_| !device),
        device,
    });
    // A file that is opened again is changed by nobody: its mount is read-only.
    let changed = read_only.is_none() && (kind != libc::S_IFREG || access != libc::O_RDONLY) && is_owned(plan, &path);
    let before = changed.then(|| Access::of(fd, device)).flatten();
    InheritedFile { fd, access, read_only, before, original: None }
}

impl Access {
    const LIST: &CStr = c"system.posix_acl_access";

    fn of(fd: i32, device: bool) -> Option<Access> {
        let fd = UnownedFd::new(fd);
        let list = sys::attribute_of(fd.as_fd(), Access::LIST).ok().flatten();
        Some(Access { owner: sys::owner(fd.as_fd()).ok()?, list, device })
    }

    /// Takes back what the file permits now and did not before, and bits that change ids. Gives what was changed, as a part
    /// of a sentence; none if nothing was.
    fn put_back(&self, fd: i32) -> Option<String> {
        const OTHERS: u32 = 0o7077;
        let now = Access::of(fd, self.device)?;
        let fd = UnownedFd::new(fd);
        let (before, after) = (self.owner, now.owner);
        let mut failed = None;
        let mut step = |call: &str, result: sys::Result<()>| {
            if let Err(errno) = result {
                failed.get_or_insert_with(|| format!("{call}: {errno}"));
            }
        };
        let moved = (before.uid, before.gid) != (after.uid, after.gid);
        let mut kept = match self.device {
            true => before.mode,
            false => after.mode & !(after.mode & !before.mode & OTHERS),
        };
        if moved {
            let given_back = sys::chown_of(fd.as_fd(), before.uid, before.gid);
            // What was meant for the members of one group is not for those of another.
            if given_back.is_err() {
                kept &= !0o070;
            }
            step("chown", given_back);
        }
        let listed = now.list != self.list;
        if listed {
            step(
                "its access control list",
                match &self.list {
                    Some(list) => sys::set_attribute_of(fd.as_fd(), Access::LIST, list),
                    None => sys::remove_attribute_of(fd.as_fd(), Access::LIST),
                },
            );
        }
        if !moved && !listed && kept == after.mode {
            return None;
        }
        step("chmod", sys::chmod(fd.as_fd(), kept));
        let file = name(fd.as_fd());
        let what = match (moved, listed) {
            (true, _) => format!("the owner or group of {file}"),
            (_, true) => format!("the access control list of {file}"),
            _ => format!("the permissions of {file} to {:04o}", after.mode),
        };
        let now = match (failed, moved || listed) {
            (Some(why), _) => format!(": {why}"),
            (None, true) => format!("; it is as before, with the permissions {kept:04o}"),
            (None, false) => format!("; they are {kept:04o} now"),
        };
        Some(format!("the program changed {what}{now}"))
    }
}

/// The most bytes of a file without a name that are copied.
const MOST_COPIED: u64 = 64 << 20;

/// Puts a copy that nobody can change in the place of a file without a name that the program could change: a file in memory
/// (memfd_create(2)), which others may have open, or one whose name was removed. Gives the file, and its offset.
///
/// # Errors
///
/// It is too large, or cannot be copied.
fn replace_unnamed(plan: &Plan, fd: i32) -> Result<Option<(OwnedFd, i64)>> {
    let (given, path) = (UnownedFd::new(fd), link(fd));
    let Some(found) = path.metadata().ok().filter(|found| found.nlink() == 0) else { return Ok(None) };
    if sys::is_sealed(given.as_fd()) || !is_owned(plan, &path) && !sys::may_write_followed(&path) {
        return Ok(None);
    }
    let what = if fd == 0 { "standard input".to_owned() } else { format!("descriptor {fd}") };
    let failed = |why: String| {
        Error::new(format!("{what} is a file without a name, which the program could change: {why}"))
            .hint("pass it through a pipe: `cat | sbx ...`")
    };
    if found.len() > MOST_COPIED {
        return Err(failed(format!("it is too large to be copied ({} MiB at most)", MOST_COPIED >> 20)));
    }
    let call = |errno: sys::Errno| failed(errno.to_string());
    let offset = sys::offset(given.as_fd()).map_err(call)?;
    let copy = sys::sealed_copy(given.as_fd(), found.len()).map_err(|error| call(error.into()))?;
    sys::seek(copy.as_fd(), offset).map_err(call)?;
    let original = sys::dup_above(given.as_fd(), 3).map_err(call)?;
    sys::dup2(copy.as_fd(), UnownedFd::new(fd)).map_err(call)?;
    Ok(Some((original, offset)))
}

/// The path of an open file, for people.
fn name(fd: BorrowedFd<'_>) -> String {
    std::fs::read_link(link(fd.as_raw_fd())).unwrap_or_default().display().to_string()
}

fn link(fd: i32) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{fd}"))
}

/// Whether the program could open a file for writing, or change its permissions.
fn is_changeable(plan: &Plan, path: &Path) -> bool {
    // One without a name is copied.
    let named = path.metadata().is_ok_and(|found| found.nlink() > 0);
    named && !sys::is_read_only(path) && (is_owned(plan, path) || sys::may_write_followed(path))
}

/// Whether the program can act as the owner of a file.
fn is_owned(plan: &Plan, path: &Path) -> bool {
    path.metadata().is_ok_and(|found| plan.namespaces.ids.acts_as(found.uid()))
}

/// Moves the caller's descriptors as far as the program has read of the files that it got instead (`reopened`), as if it
/// had had the descriptors themselves. One that somebody else has moved meanwhile stays where it is.
pub(super) fn move_offsets(files: &[InheritedFile], reopened: &[(i32, OwnedFd)]) {
    for file in files {
        if let Some((original, began)) = &file.original
            && sys::offset(original.as_fd()) == Ok(*began)
            && let Ok(offset) = sys::offset(UnownedFd::new(file.fd).as_fd())
        {
            let _ = sys::seek(original.as_fd(), offset);
        }
    }
    for (number, program) in reopened {
        let given = files.iter().find_map(|file| file.read_only.filter(|given| given.fd == *number));
        let fd = UnownedFd::new(*number);
        if let Some(began) = given.and_then(|given| given.offset)
            && sys::offset(fd.as_fd()) == Ok(began)
            && let Ok(offset) = sys::offset(program.as_fd())
        {
            let _ = sys::seek(fd.as_fd(), offset);
        }
    }
}

/// Takes back what the program has permitted others on the files that it could change through its descriptors: by chmod(2),
/// chown(2) and access control lists. No mount keeps it from that. Gives a note for each file.
pub(super) fn put_access_back(files: &[InheritedFile]) -> Vec<String> {
    files.iter().filter_map(|file| file.before.as_ref()?.put_back(file.fd)).collect()
}
