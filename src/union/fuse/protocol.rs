//! The crate fuser: requests of the kernel come in here, and answers go out.

use super::super::serving::{self, GENERATION, Kernel, LARGEST, LIFETIME, attributes, name_of, text};
use super::change::{Change, Kind, Maker};
use super::server::Server;
use crate::sys::{self, FileStatus};
use fuser::{
    AccessFlags, BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle, Filesystem, FopenFlags, INodeNo, InitFlags,
    IoctlFlags, KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr,
    Request, TimeOrNow, WriteFlags,
};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Serves the requests of a mounted filesystem until it is unmounted; `ready` is called once the first one can be
/// answered.
///
/// # Errors
///
/// The kernel and the server do not understand each other.
pub fn serve(server: Server, device: OwnedFd, ready: impl FnOnce() -> sys::Result<()>) -> Result<(), String> {
    serving::serve(|kernel| Union { server: Mutex::new(server), kernel }, device, ready)
}

struct Union {
    server: Mutex<Server>,
    kernel: Kernel,
}

/// A time that a program sets.
fn new_time(time: Option<TimeOrNow>) -> sys::NewTime {
    time.map(|time| match time {
        TimeOrNow::Now => (0, libc::UTIME_NOW),
        TimeOrNow::SpecificTime(time) => match time.duration_since(UNIX_EPOCH) {
            Ok(since) => (since.as_secs() as i64, since.subsec_nanos().into()),
            Err(before) => {
                let before = before.duration();
                let (seconds, rest) = (before.as_secs() as i64, i64::from(before.subsec_nanos()));
                if rest == 0 { (-seconds, 0) } else { (-seconds - 1, 1_000_000_000 - rest) }
            }
        },
    })
}

fn maker(request: &Request, umask: u32) -> Maker {
    Maker { uid: request.uid(), gid: request.gid(), umask }
}

impl Union {
    fn server(&self) -> MutexGuard<'_, Server> {
        // A request that panicked ends the process.
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lifetime(server: &Server, status: &FileStatus) -> Duration {
        if server.is_ours(status.ino) { LIFETIME } else { serving::lifetime(status) }
    }

    fn entry(&self, server: &Server, made: sys::Result<FileStatus>, reply: ReplyEntry) {
        match made {
            Ok(status) => {
                reply.entry_with_ttls(&Union::lifetime(server, &status), &LIFETIME, &attributes(&status), GENERATION)
            }
            Err(errno) => reply.error(errno.into()),
        }
    }
}

fn empty(done: sys::Result<()>, reply: ReplyEmpty) {
    match done {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno.into()),
    }
}

fn value(value: sys::Result<Vec<u8>>, size: u32, reply: ReplyXattr) {
    match value {
        Ok(value) if size == 0 => reply.size(value.len() as u32),
        Ok(value) if value.len() > size as usize => reply.error(Errno::ERANGE),
        Ok(value) => reply.data(&value),
        Err(errno) => reply.error(errno.into()),
    }
}

impl Filesystem for Union {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Each is left out where the kernel does not have it.
        for flag in [
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_CACHE_SYMLINKS,
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_ATOMIC_O_TRUNC,
            InitFlags::FUSE_BIG_WRITES,
            InitFlags::FUSE_DONT_MASK,
            InitFlags::FUSE_POSIX_ACL,
            InitFlags::FUSE_HANDLE_KILLPRIV_V2,
        ] {
            let _ = config.add_capabilities(flag);
        }
        let _ = config.set_max_write(LARGEST);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut server = self.server();
        let found = name_of(name).and_then(|name| Ok(server.lookup(parent.0, &name)?));
        match found {
            Ok(Some(status)) => self.entry(&server, Ok(status), reply),
            // The number 0 stands for a name that does not exist, for as long as the lifetime.
            Ok(None) => {
                reply.entry(&LIFETIME, &attributes(&FileStatus { ino: 0, ..server.top() }), GENERATION);
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn forget(&self, _: &Request, node: INodeNo, times: u64) {
        self.server().forget(node.0, times);
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let mut server = self.server();
        match server.attributes(node.0) {
            Ok(status) => reply.attr(&Union::lifetime(&server, &status), &attributes(&status)),
            Err(errno) => reply.error(errno.into()),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        node: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let (accessed, modified) = (new_time(accessed), new_time(modified));
        let mut server = self.server();
        match server.change(node.0, &Change { mode, uid, gid, size, accessed, modified }) {
            Ok(status) => reply.attr(&Union::lifetime(&server, &status), &attributes(&status)),
            Err(errno) => reply.error(errno.into()),
        }
    }

    fn readlink(&self, _: &Request, node: INodeNo, reply: ReplyData) {
        match self.server().link_text(node.0) {
            Ok(text) => reply.data(text.to_bytes()),
            Err(errno) => reply.error(errno.into()),
        }
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let kind = match mode & libc::S_IFMT {
            0 | libc::S_IFREG => Kind::File,
            kind @ (libc::S_IFIFO | libc::S_IFSOCK) => Kind::Special(kind),
            // A device 0:0 would be the mark of a deleted name.
            _ => return reply.error(Errno::EPERM),
        };
        let mut server = self.server();
        match name_of(name) {
            Ok(name) => {
                let made = server.make(parent.0, &name, kind, mode, maker(request, umask));
                self.entry(&server, made, reply);
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let mut server = self.server();
        match name_of(name) {
            Ok(name) => {
                let made = server.make(parent.0, &name, Kind::Dir, mode, maker(request, umask));
                self.entry(&server, made, reply);
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn symlink(&self, request: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let mut server = self.server();
        match (name_of(name), text(target.as_os_str())) {
            (Ok(name), Ok(target)) => {
                let made = server.make(parent.0, &name, Kind::Link(&target), 0o777, maker(request, 0));
                self.entry(&server, made, reply);
            }
            _ => reply.error(Errno::EINVAL),
        }
    }

    fn link(&self, _: &Request, node: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut server = self.server();
        match name_of(name) {
            Ok(name) => {
                let made = server.link(node.0, parent.0, &name);
                self.entry(&server, made, reply);
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        match name_of(name) {
            Ok(name) => empty(self.server().unlink(parent.0, &name), reply),
            Err(errno) => reply.error(errno),
        }
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        match name_of(name) {
            Ok(name) => empty(self.server().remove_dir(parent.0, &name), reply),
            Err(errno) => reply.error(errno),
        }
    }

    fn rename(
        &self,
        _: &Request,
        from: INodeNo,
        old: &OsStr,
        to: INodeNo,
        new: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        match (name_of(old), name_of(new)) {
            (Ok(old), Ok(new)) => {
                empty(self.server().rename((from.0, &old), (to.0, &new), flags.bits()), reply);
            }
            _ => reply.error(Errno::EINVAL),
        }
    }

    fn open(&self, _: &Request, node: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let write = flags.0 & libc::O_ACCMODE != libc::O_RDONLY;
        let truncate = flags.0 & libc::O_TRUNC != 0;
        match self.server().open_file(node.0, write || truncate, truncate) {
            Ok((version, true)) => reply.opened(FileHandle(version), FopenFlags::FOPEN_KEEP_CACHE),
            Ok((version, false)) => {
                self.kernel.renew(node);
                reply.opened(FileHandle(version), FopenFlags::empty());
            }
            Err(errno) => reply.error(errno.into()),
        }
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let mut server = self.server();
        let made = name_of(name).and_then(|name| {
            match server.make(parent.0, &name, Kind::File, mode, maker(request, umask)) {
                // The host has got one meanwhile.
                Err(sys::Errno(libc::EEXIST)) if flags & libc::O_EXCL == 0 => {
                    let found = server.lookup(parent.0, &name)?.ok_or(Errno::ENOENT)?;
                    let write = flags & libc::O_ACCMODE != libc::O_RDONLY;
                    let opened = server.open_file(found.ino, write, flags & libc::O_TRUNC != 0)?;
                    Ok((server.attributes(found.ino)?, opened.0))
                }
                made => Ok((made?, 0)),
            }
        });
        match made {
            Ok((status, version)) => {
                let lifetime = Union::lifetime(&server, &status);
                let (handle, flags) = (FileHandle(version), FopenFlags::FOPEN_KEEP_CACHE);
                reply.created(&lifetime, &attributes(&status), GENERATION, handle, flags);
            }
            Err(errno) => reply.error(errno),
        }
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
        let read = self.server().read((node.0, file.0), (offset, size.min(LARGEST)), &mut |bytes| {
            if let Some(reply) = reply.take() {
                reply.data(bytes);
            }
        });
        if let (Err(errno), Some(reply)) = (read, reply) {
            reply.error(errno.into());
        }
    }

    fn write(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        flags: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let strip = flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID);
        match self.server().write(node.0, offset, data, strip) {
            Ok(written) => {
                if strip {
                    self.kernel.renew(node);
                }
                reply.written(written as u32);
            }
            Err(errno) => reply.error(errno.into()),
        }
    }

    fn fsync(&self, _: &Request, node: INodeNo, _: FileHandle, data: bool, reply: ReplyEmpty) {
        empty(self.server().sync(node.0, data), reply);
    }

    fn fsyncdir(&self, _: &Request, node: INodeNo, _: FileHandle, data: bool, reply: ReplyEmpty) {
        empty(self.server().sync(node.0, data), reply);
    }

    // The kernel does not ask again after ENOSYS: directories need not be opened and closed, and it checks permissions itself.

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.error(Errno::ENOSYS);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn access(&self, _: &Request, _: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn readdir(&self, _: &Request, node: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let mut server = self.server();
        let (listed, given) = serving::add_names(&mut reply, |add| server.list(node.0, offset, add));
        given.iter().for_each(|node| server.forget(*node, 1));
        serving::end_names(listed, reply);
    }

    fn readdirplus(&self, _: &Request, node: INodeNo, _: FileHandle, offset: u64, reply: ReplyDirectoryPlus) {
        let mut server = self.server();
        serving::add_files(reply, |add| server.list(node.0, offset, add));
    }

    fn statfs(&self, _: &Request, node: INodeNo, reply: ReplyStatfs) {
        match self.server().room(node.0) {
            Ok(room) => {
                let [blocks, free, available] = room.blocks;
                let [files, free_files] = room.files;
                let size = room.block_size as u32;
                reply.statfs(blocks, free, available, files, free_files, size, room.longest_name as u32, size);
            }
            Err(_) => reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096),
        }
    }

    fn setxattr(
        &self,
        _: &Request,
        node: INodeNo,
        name: &OsStr,
        content: &[u8],
        flags: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        match text(name) {
            Ok(name) => empty(self.server().set_attribute(node.0, &name, content, flags), reply),
            Err(errno) => reply.error(errno),
        }
    }

    fn getxattr(&self, _: &Request, node: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        match text(name) {
            Ok(name) => value(self.server().attribute(node.0, &name), size, reply),
            Err(errno) => reply.error(errno),
        }
    }

    fn listxattr(&self, _: &Request, node: INodeNo, size: u32, reply: ReplyXattr) {
        value(self.server().attribute_list(node.0), size, reply);
    }

    fn removexattr(&self, _: &Request, node: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        match text(name) {
            Ok(name) => empty(self.server().remove_attribute(node.0, &name), reply),
            Err(errno) => reply.error(errno),
        }
    }

    fn fallocate(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let done = self.server().allocate(node.0, mode, offset, length);
        self.kernel.renew(node);
        empty(done, reply);
    }

    fn lseek(&self, _: &Request, node: INodeNo, _: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        serving::seek(whence, offset, reply, |from, hole| self.server().seek(node.0, from, hole));
    }

    fn copy_file_range(
        &self,
        _: &Request,
        from: INodeNo,
        _: FileHandle,
        from_offset: u64,
        to: INodeNo,
        _: FileHandle,
        to_offset: u64,
        length: u64,
        _: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        match self.server().copy_range((from.0, from_offset), (to.0, to_offset), length) {
            Ok(copied) => {
                self.kernel.renew(to);
                reply.written(copied as u32);
            }
            Err(errno) => reply.error(errno.into()),
        }
    }

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
}
