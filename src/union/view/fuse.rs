//! The crate fuser: requests of the kernel come in here, and answers go out.

use super::super::serving::{self, GENERATION, Kernel, LARGEST, LIFETIME, TOP, attributes, lifetime, name_of};
use super::server::Server;
use crate::sys::{self, FileStatus};
use fuser::{
    AccessFlags, Errno, FileHandle, Filesystem, FopenFlags, INodeNo, InitFlags, IoctlFlags, KernelConfig, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl,
    ReplyLseek, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;

/// Serves the requests of a mounted filesystem until it is unmounted; `ready` is called once the first one can be
/// answered.
///
/// # Errors
///
/// The kernel and the server do not understand each other.
pub fn serve(server: Server, device: OwnedFd, ready: impl FnOnce() -> sys::Result<()>) -> Result<(), String> {
    serving::serve(|kernel| View { server, kernel }, device, ready)
}

struct View {
    server: Server,
    kernel: Kernel,
}

impl Filesystem for View {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Each is left out where the kernel does not have it.
        for flag in [InitFlags::FUSE_DO_READDIRPLUS, InitFlags::FUSE_CACHE_SYMLINKS, InitFlags::FUSE_PARALLEL_DIROPS] {
            let _ = config.add_capabilities(flag);
        }
        let _ = config.set_max_write(LARGEST);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, file: &OsStr, reply: ReplyEntry) {
        match name_of(file).and_then(|file| Ok(self.server.lookup(parent.0, &file)?)) {
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
                self.kernel.renew(node);
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
        let read = self.server.read((node.0, file.0), (offset, size.min(LARGEST)), &mut |content| {
            if let Some(reply) = reply.take() {
                reply.data(content.bytes);
            }
            if content.renewed {
                self.kernel.renew(node);
            }
        });
        if let (Err(errno), Some(reply)) = (read, reply) {
            reply.error(errno.into());
        }
    }

    fn readdir(&self, _: &Request, node: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let (listed, given) = serving::add_names(&mut reply, |add| self.server.list(node.0, offset, add));
        given.iter().for_each(|node| self.server.forget(*node, 1));
        serving::end_names(listed, reply);
    }

    fn readdirplus(&self, _: &Request, node: INodeNo, _: FileHandle, offset: u64, reply: ReplyDirectoryPlus) {
        serving::add_files(reply, |add| self.server.list(node.0, offset, add));
    }

    fn lseek(&self, _: &Request, node: INodeNo, file: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        serving::seek(whence, offset, reply, |from, hole| self.server.seek((node.0, file.0), from, hole));
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096);
    }
}
