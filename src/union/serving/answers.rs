//! The crate fuser: what answers to the kernel consist of, and the loop in which requests come in.

use crate::sys::{self, FileStatus};
use fuser::{
    Errno, FileAttr, FileType, Filesystem, Generation, INodeNo, Notifier, ReplyDirectory, ReplyDirectoryPlus,
    ReplyLseek, Session, SessionACL,
};
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long the kernel may use names, and that a name does not exist, without asking again; and the attributes of what is no file.
pub const LIFETIME: Duration = Duration::from_secs(3600);

/// How long the kernel may use the attributes of a file of the host without asking again.
pub const LIFETIME_OF_FILES: Duration = Duration::from_secs(1);

/// The largest read or write, in bytes.
pub const LARGEST: u32 = 1024 * 1024;

/// The kernel tells files whose numbers are used again apart by generations; no number is.
pub const GENERATION: Generation = Generation(0);

/// How long the kernel may use these attributes, of what the host may change.
pub fn lifetime(status: &FileStatus) -> Duration {
    if status.mode & libc::S_IFMT == libc::S_IFREG { LIFETIME_OF_FILES } else { LIFETIME }
}

/// The kernel, as a server tells it that it has to ask again.
#[derive(Clone, Default)]
pub struct Kernel(Arc<OnceLock<Notifier>>);

impl Kernel {
    /// The kernel's copy of a file's attributes is old. (The content is locked by the request that is being answered, or dropped by the
    /// kernel itself.)
    pub fn renew(&self, node: INodeNo) {
        if let Some(notifier) = self.0.get() {
            let _ = notifier.inval_inode(node, -1, 0);
        }
    }
}

/// Serves the requests of a mounted filesystem until it is unmounted; `ready` is called once the first one can be answered.
///
/// # Errors
///
/// The kernel and the server do not understand each other.
pub fn serve<F: Filesystem>(
    filesystem: impl FnOnce(Kernel) -> F,
    device: OwnedFd,
    ready: impl FnOnce() -> sys::Result<()>,
) -> Result<(), String> {
    let kernel = Kernel::default();
    // The kernel keeps others out itself. Ids in requests are those of the sandbox.
    let session = Session::from_fd(filesystem(kernel.clone()), device, SessionACL::All, fuser::Config::default())
        .map_err(|error| format!("/dev/fuse: {error}"))?;
    let _ = kernel.0.set(session.notifier());
    ready().map_err(|errno| format!("pipe: {errno}"))?;
    session.run().map_err(|error| format!("/dev/fuse: {error}"))
}

impl From<sys::Errno> for Errno {
    fn from(errno: sys::Errno) -> Errno {
        Errno::from_i32(errno.0)
    }
}

/// The attributes of a file for the kernel.
pub fn attributes(status: &FileStatus) -> FileAttr {
    let time = |(seconds, rest): (i64, u32)| -> SystemTime {
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let whole = if seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
        whole.and_then(|whole| whole.checked_add(Duration::from_nanos(rest.into()))).unwrap_or(UNIX_EPOCH)
    };
    FileAttr {
        ino: INodeNo(status.ino),
        size: status.size,
        blocks: status.blocks,
        atime: time(status.accessed),
        mtime: time(status.modified),
        ctime: time(status.changed),
        crtime: UNIX_EPOCH,
        kind: match status.mode & libc::S_IFMT {
            libc::S_IFDIR => FileType::Directory,
            libc::S_IFLNK => FileType::Symlink,
            libc::S_IFIFO => FileType::NamedPipe,
            libc::S_IFSOCK => FileType::Socket,
            libc::S_IFCHR => FileType::CharDevice,
            libc::S_IFBLK => FileType::BlockDevice,
            _ => FileType::RegularFile,
        },
        perm: (status.mode & 0o7777) as u16,
        nlink: status.links,
        uid: status.uid,
        gid: status.gid,
        rdev: status.rdev as u32,
        blksize: status.block_size,
        flags: 0,
    }
}

/// A text that ends with a NUL.
pub fn text(text: &OsStr) -> std::result::Result<CString, Errno> {
    CString::new(text.as_bytes()).map_err(|_| Errno::EINVAL)
}

/// A name in a directory. The kernel sends no others; what does not lead out of the directory cannot do harm.
pub fn name_of(name: &OsStr) -> std::result::Result<CString, Errno> {
    let bytes = name.as_bytes();
    if matches!(bytes, b"" | b"." | b"..") || bytes.contains(&b'/') {
        return Err(Errno::EINVAL);
    }
    text(name)
}

/// Answers lseek(2) with SEEK_DATA or SEEK_HOLE: `find` gives where the next data, or with true the next hole, begins from an offset on.
/// All others are the kernel's own business.
pub fn seek(whence: i32, offset: i64, reply: ReplyLseek, find: impl FnOnce(u64, bool) -> sys::Result<u64>) {
    let hole = match whence {
        libc::SEEK_DATA => false,
        libc::SEEK_HOLE => true,
        _ => return reply.error(Errno::EINVAL),
    };
    match find(u64::try_from(offset).unwrap_or(u64::MAX), hole) {
        Ok(found) => reply.offset(found as i64),
        Err(errno) => reply.error(errno.into()),
    }
}

/// What takes an entry of a directory: its attributes, its name, and the offset after it. Gives whether there is no room left for it.
pub type Add<'a> = &'a mut dyn FnMut(&FileStatus, &CStr, u64) -> bool;

/// Adds the names that `list` gives to an answer. Gives what `list` does, and the numbers of the files that the kernel was not told of,
/// since names alone do not tell it.
pub fn add_names(
    reply: &mut ReplyDirectory,
    list: impl FnOnce(Add<'_>) -> sys::Result<()>,
) -> (sys::Result<()>, Vec<u64>) {
    let mut given = Vec::new();
    let listed = list(&mut |status, file, next| {
        let kind = attributes(status).kind;
        let full = reply.add(INodeNo(status.ino), next, kind, OsStr::from_bytes(file.to_bytes()));
        if !full && !matches!(file.to_bytes(), b"." | b"..") {
            given.push(status.ino);
        }
        full
    });
    (listed, given)
}

/// Ends an answer of names.
pub fn end_names(listed: sys::Result<()>, reply: ReplyDirectory) {
    match listed {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno.into()),
    }
}

/// Answers with the names that `list` gives, and with the attributes of the files. They hold no longer than those of the host's files.
pub fn add_files(mut reply: ReplyDirectoryPlus, list: impl FnOnce(Add<'_>) -> sys::Result<()>) {
    let listed = list(&mut |status, file, next| {
        let file = OsStr::from_bytes(file.to_bytes());
        reply.add(INodeNo(status.ino), next, file, &lifetime(status), &attributes(status), GENERATION)
    });
    match listed {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno.into()),
    }
}
