//! The files among the descriptors that the program inherits, and what it may do with them.

use crate::child::{ReadOnlyFile, Session};
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::spec::Descriptors;
use crate::sys::{self, UnownedFd};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A regular file or a device that the program inherits as a descriptor.
pub(super) struct InheritedFile {
    pub fd: i32,
    /// The access mode: O_RDONLY, O_WRONLY or O_RDWR.
    access: i32,
    /// It is opened again from a read-only mount.
    pub read_only: Option<ReadOnlyFile>,
    /// Permissions of a regular file that the program may write to, and change.
    mode: Option<u32>,
}

impl InheritedFile {
    /// The Landlock rights by which the program may open the file again, as by /dev/stderr: those that the descriptor
    /// has.
    pub fn rights(&self) -> u64 {
        let read = sys::FS_READ_FILE | sys::FS_EXECUTE;
        let write = sys::FS_WRITE_FILE | sys::FS_TRUNCATE;
        sys::FS_IOCTL_DEV
            | match self.access {
                libc::O_RDONLY => read,
                libc::O_WRONLY => write,
                _ => read | write,
            }
    }
}

/// The files that the program of this plan inherits. None for a plan of sbx-bwrap, which hands descriptors over as they
/// are.
///
/// # Errors
///
/// A standard stream is a directory.
pub(super) fn files(plan: &Plan, session: Session) -> Result<Vec<InheritedFile>> {
    let mut files = Vec::new();
    let Descriptors::Only(kept) = &plan.process.descriptors else { return Ok(files) };
    // A terminal of the sandbox's own takes the place of these.
    let replaced = if let Session::Pty(streams) = session { streams } else { [false; 3] };
    let streams = (0..3).zip(replaced).filter(|(_, replaced)| !replaced).map(|(fd, _)| fd);
    for fd in streams.chain(kept.iter().copied()) {
        let Ok(kind) = sys::file_type(UnownedFd::new(fd).as_fd()) else { continue };
        match kind {
            // A directory would be a way out of the view: /proc/self/fd/0/.. is the host's tree.
            libc::S_IFDIR if fd < 3 => {
                return Err(Error::new(format!(
                    "standard stream {fd} is a directory, and its parents lead out of the view"
                ))
                .hint("show it instead: --ro DIR; or hand it over on purpose: --keep-fd"));
            }
            libc::S_IFREG | libc::S_IFBLK | libc::S_IFCHR => files.extend(file(plan, fd, kind)),
            _ => {}
        }
    }
    Ok(files)
}

fn file(plan: &Plan, fd: i32, kind: u32) -> Option<InheritedFile> {
    let given = UnownedFd::new(fd);
    let flags = sys::status_flags(given.as_fd()).ok()?;
    if flags & libc::O_PATH != 0 {
        return None;
    }
    let access = flags & libc::O_ACCMODE;
    let path = link(fd);
    let device = kind == libc::S_IFCHR;
    // Of the character devices, only those of memory, such as /dev/null, can be opened again without side effects.
    let reopened = if device {
        is_owned(plan, &path) && path.metadata().is_ok_and(|found| libc::major(found.rdev()) == 1)
    } else {
        access == libc::O_RDONLY && is_changeable(plan, &path)
    };
    let flags = if device { access } else { flags & (libc::O_NONBLOCK | libc::O_DIRECT) };
    let read_only = reopened.then(|| ReadOnlyFile {
        fd,
        flags,
        offset: sys::offset(given.as_fd()).ok().filter(|_| !device),
        device,
    });
    let written = kind == libc::S_IFREG && access != libc::O_RDONLY && is_owned(plan, &path);
    let mode = path.metadata().ok().filter(|_| written).map(|found| found.mode());
    Some(InheritedFile { fd, access, read_only, mode })
}

fn link(fd: i32) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{fd}"))
}

/// Whether the program could open a file for writing, or change its permissions.
fn is_changeable(plan: &Plan, path: &Path) -> bool {
    // A file without a name is nobody else's: a here-document of a shell, memory.
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

/// Takes back what the program has permitted others by chmod(2) on the files that it could write to through its
/// descriptors, and bits that change ids. No mount keeps it from that. Gives a note for each file.
pub(super) fn restore_modes(files: &[InheritedFile]) -> Vec<String> {
    const OTHERS: u32 = 0o7077;
    let restored = files.iter().filter_map(|file| {
        let before = file.mode? & 0o7777;
        let now = link(file.fd).metadata().ok()?.mode() & 0o7777;
        let added = now & !before & OTHERS;
        if added == 0 {
            return None;
        }
        let (path, kept) = (std::fs::read_link(link(file.fd)).unwrap_or_default(), now & !added);
        let path = path.display();
        Some(match sys::chmod(UnownedFd::new(file.fd).as_fd(), kept) {
            Ok(()) => format!("the program changed the permissions of {path} to {now:04o}; they are {kept:04o} now"),
            Err(errno) => format!("the program changed the permissions of {path} to {now:04o}: chmod: {errno}"),
        })
    });
    restored.collect()
}
