//! The crate fuser: requests of the kernel come in here, and answers go out. Nothing else of sbx uses it.

use super::nodes::TOP;
use super::server::Server;
use crate::sys::{self, FileStatus};
use fuser::{
    AccessFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    IoctlFlags, KernelConfig, LockOwner, Notifier, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyXattr, Request, Session, SessionACL,
};
use std::ffi::{CString, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long the kernel may use names, and that a name does not exist, without asking again; and the attributes of what is no
/// file.
const LIFETIME: Duration = Duration::from_secs(3600);

/// How long the kernel may use a file's attributes without asking again.
const LIFETIME_OF_FILES: Duration = Duration::from_secs(1);

/// How long the kernel may use these attributes.
fn lifetime(status: &FileStatus) -> Duration {
    if status.mode & libc::S_IFMT == libc::S_IFREG { LIFETIME_OF_FILES } else { LIFETIME }
}

/// The largest read, in bytes.
const LARGEST_READ: u32 = 1024 * 1024;

const GENERATION: Generation = Generation(0);

/// Serves the requests of a mounted filesystem until it is unmounted; `ready` is called once the first one can be
/// answered.
///
/// # Errors
///
/// The kernel and the server do not understand each other.
pub fn serve(
    server: Server,
    device: OwnedFd,
    ready: impl FnOnce() -> sys::Result<()>,
) -> std::result::Result<(), String> {
    let notifier = Arc::new(OnceLock::new());
    let view = View { server, notifier: notifier.clone() };
    // The kernel keeps others out itself. Ids in requests are those of the sandbox.
    let session = Session::from_fd(view, device, SessionACL::All, fuser::Config::default())
        .map_err(|error| format!("/dev/fuse: {error}"))?;
    let _ = notifier.set(session.notifier());
    ready().map_err(|errno| format!("pipe: {errno}"))?;
    session.run().map_err(|error| format!("/dev/fuse: {error}"))
}

struct View {
    server: Server,
    notifier: Arc<OnceLock<Notifier>>,
}

impl From<sys::Errno> for Errno {
    fn from(errno: sys::Errno) -> Errno {
        Errno::from_i32(errno.0)
    }
}

/// The attributes of a file for the kernel.
fn attributes(status: &FileStatus) -> FileAttr {
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

/// A name in a directory. The kernel sends no others; what does not lead out of the directory cannot do harm.
fn name(name: &OsStr) -> std::result::Result<CString, Errno> {
    let bytes = name.as_bytes();
    if matches!(bytes, b"" | b"." | b"..") || bytes.contains(&b'/') {
        return Err(Errno::EINVAL);
    }
    CString::new(name.as_bytes()).map_err(|_| Errno::EINVAL)
}

impl Filesystem for View {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Each is left out where the kernel does not have it.
        for flag in [InitFlags::FUSE_DO_READDIRPLUS, InitFlags::FUSE_CACHE_SYMLINKS, InitFlags::FUSE_PARALLEL_DIROPS] {
            let _ = config.add_capabilities(flag);
        }
        let _ = config.set_max_write(LARGEST_READ);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, file: &OsStr, reply: ReplyEntry) {
        match name(file).and_then(|file| Ok(self.server.lookup(parent.0, &file)?)) {
            Ok(Some(status)) => {
                reply.entry_with_ttls(&lifetime(&status), &LIFETIME, &attributes(&status), GENERATION);
            }
            // The number 0 stands for a name that does not exist, for as long as the lifetime.
            Ok(None) => match self.server.attributes(TOP) {
                Ok(top) => reply.entry(&LIFETIME, &attributes(&FileStatus { ino: 0, ..top }), GENERATION),
                Err(errno) => reply.error(errno.into()),
            },
            Err(errno) => reply.error(errno),
        }
    }

    fn forget(&self, _: &Request, node: INodeNo, times: u64) {
        self.server.forget(node.0, times);
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.server.attributes(node.0) {
            Ok(status) => reply.attr(&lifetime(&status), &attributes(&status)),
            Err(errno) => reply.error(errno.into()),
        }
    }

    fn readlink(&self, _: &Request, node: INodeNo, reply: ReplyData) {
        match self.server.link(node.0) {
            Ok(text) => reply.data(text.to_bytes()),
            Err(errno) => reply.error(errno.into()),
        }
    }

    fn open(&self, _: &Request, node: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.server.open_file(node.0) {
            Ok((version, true)) => reply.opened(FileHandle(version), FopenFlags::FOPEN_KEEP_CACHE),
            Ok((version, false)) => {
                if let Some(notifier) = self.notifier.get() {
                    // The attributes alone: the kernel drops the content itself.
                    let _ = notifier.inval_inode(node, -1, 0);
                }
                reply.opened(FileHandle(version), FopenFlags::empty());
            }
            Err(errno) => reply.error(errno.into()),
        }
    }

    // The kernel does not ask again after ENOSYS: directories need not be opened and closed, and there are no attributes.

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.error(Errno::ENOSYS);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn access(&self, _: &Request, _: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn getxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOSYS);
    }

    fn listxattr(&self, _: &Request, _: INodeNo, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOSYS);
    }

    // Another error makes the overlay of some kernels fail to copy files up.
    fn ioctl(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: IoctlFlags,
        _: u32,
        _: &[u8],
        _: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(Errno::ENOTTY);
    }

    fn read(
        &self,
        _: &Request,
        node: INodeNo,
        file: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut reply = Some(reply);
        let read = self.server.read((node.0, file.0), (offset, size.min(LARGEST_READ)), &mut |content| {
            if let Some(reply) = reply.take() {
                reply.data(content.bytes);
            }
            if let (true, Some(notifier)) = (content.renewed, self.notifier.get()) {
                // The attributes alone: the content is locked by the request that this answers.
                let _ = notifier.inval_inode(node, -1, 0);
            }
        });
        if let (Err(errno), Some(reply)) = (read, reply) {
            reply.error(errno.into());
        }
    }

    fn readdir(&self, _: &Request, node: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let mut given = Vec::new();
        let listed = self.server.list(node.0, offset, &mut |status, file, next| {
            let full =
                reply.add(INodeNo(status.ino), next, attributes(status).kind, OsStr::from_bytes(file.to_bytes()));
            if !full && !matches!(file.to_bytes(), b"." | b"..") {
                given.push(status.ino);
            }
            full
        });
        // Names alone do not tell the kernel of a node.
        given.iter().for_each(|node| self.server.forget(*node, 1));
        match listed {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno.into()),
        }
    }

    fn readdirplus(&self, _: &Request, node: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectoryPlus) {
        let listed = self.server.list(node.0, offset, &mut |status, file, next| {
            let file = OsStr::from_bytes(file.to_bytes());
            reply.add(INodeNo(status.ino), next, file, &lifetime(status), &attributes(status), GENERATION)
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno.into()),
        }
    }

    fn lseek(&self, _: &Request, node: INodeNo, file: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        let hole = match whence {
            libc::SEEK_DATA => false,
            libc::SEEK_HOLE => true,
            _ => return reply.error(Errno::EINVAL),
        };
        let from = u64::try_from(offset).unwrap_or(u64::MAX);
        match self.server.seek((node.0, file.0), from, hole) {
            Ok(found) => reply.offset(found as i64),
            Err(errno) => reply.error(errno.into()),
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096);
    }
}
