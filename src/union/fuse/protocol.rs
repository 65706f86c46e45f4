//! Requests of the kernel come in here, and answers go out.

use super::super::serving::{
    self, Add, Filesystem, Kernel, LARGEST, LIFETIME, NO_ROOM, Operation, Reply, Request, flags,
};
use super::make::{Kind, Maker};
use super::server::Server;
use crate::sys::{Errno, FileStatus, Result};
use std::ffi::CStr;

/// Flags of open(2), as a request has them.
#[derive(Clone, Copy)]
struct Flags(i32);

impl Flags {
    fn writes(self) -> bool {
        self.0 & libc::O_ACCMODE != libc::O_RDONLY
    }

    fn truncates(self) -> bool {
        self.0 & libc::O_TRUNC != 0
    }
}

impl Filesystem for Server {
    const WANTED: u64 = flags::DO_READDIRPLUS
        | flags::CACHE_SYMLINKS
        | flags::PARALLEL_DIROPS
        | flags::ATOMIC_O_TRUNC
        | flags::DONT_MASK
        | flags::POSIX_ACL
        | flags::HANDLE_KILLPRIV_V2;

    fn answer(
        &mut self,
        request: &Request<'_>,
        operation: Operation<'_>,
        reply: &mut Reply,
        kernel: Kernel<'_>,
    ) -> Result<()> {
        let node = request.node;
        let maker = |umask| Maker { uid: request.ids.0, gid: request.ids.1, umask };
        match operation {
            Operation::Lookup { name } => match self.lookup(node, name)? {
                Some(status) => self.entry(reply, &status),
                None => reply.entry(&FileStatus { ino: 0, ..self.top() }, LIFETIME),
            },
            Operation::GetAttributes => {
                let status = self.attributes(node)?;
                reply.attributes(&status, self.lifetime(&status));
            }
            Operation::SetAttributes(change) => {
                let status = self.change(node, &change)?;
                reply.attributes(&status, self.lifetime(&status));
            }
            Operation::ReadLink => reply.add(self.link_text(node)?.to_bytes()),
            Operation::Symlink { name, target } => {
                let made = self.make(node, name, Kind::Link(target), 0o777, maker(0))?;
                self.entry(reply, &made);
            }
            Operation::MakeNode { name, mode, umask } => {
                let made = self.make(node, name, kind_of(mode)?, mode, maker(umask))?;
                self.entry(reply, &made);
            }
            Operation::MakeDir { name, mode, umask } => {
                let made = self.make(node, name, Kind::Dir, mode, maker(umask))?;
                self.entry(reply, &made);
            }
            Operation::Link { from, name } => {
                let made = self.link(from, node, name)?;
                self.entry(reply, &made);
            }
            Operation::Unlink { name } => self.unlink(node, name)?,
            Operation::RemoveDir { name } => self.remove_dir(node, name)?,
            Operation::Rename { name, to, new, flags } => self.rename((node, name), (to, new), flags)?,
            Operation::Open { flags } => {
                let flags = Flags(flags);
                let opened = self.open_file(node, flags.writes() || flags.truncates(), flags.truncates());
                if !opened.is_ok_and(|(_, keep)| keep) {
                    kernel.renew(node);
                }
                let (version, keep) = opened?;
                reply.opened(version, keep);
            }
            Operation::Create { name, flags, mode, umask } => {
                let (status, version) = self.create((node, name), Flags(flags), mode, maker(umask))?;
                self.entry(reply, &status);
                reply.opened(version, true);
            }
            Operation::CreateTemporary { flags, mode, umask } => {
                let made = self.make_temporary(node, flags, mode, maker(umask))?;
                self.entry(reply, &made);
                reply.opened(0, true);
            }
            Operation::Read { handle, offset, size } => {
                let read = self.read((node, handle), offset, reply.space(size.min(LARGEST) as usize))?;
                reply.took(read);
            }
            Operation::Write { offset, data, strip } => {
                // For a program without CAP_FSETID, the kernel wants that with each write; few files have the bits.
                let (written, stripped) = self.write(node, offset, data, strip)?;
                if stripped {
                    kernel.renew(node);
                }
                reply.count(written);
            }
            Operation::Sync { data } => self.sync(node, data)?,
            Operation::Release => {}
            Operation::StatFs => reply.room(&self.room(node).unwrap_or(NO_ROOM)),
            Operation::SetXattr { name, value, flags } => self.set_attribute(node, name, value, flags)?,
            Operation::GetXattr { name, size } => reply.value(&self.attribute(node, name)?, size)?,
            Operation::ListXattrs { size } => reply.value(&self.attribute_list(node)?, size)?,
            Operation::RemoveXattr { name } => self.remove_attribute(node, name)?,
            Operation::Allocate { offset, length, flags } => {
                let done = self.allocate(node, flags, offset, length);
                kernel.renew(node);
                done?;
            }
            Operation::Seek { offset, whence, .. } => {
                reply.offset(self.seek(node, offset, serving::is_hole(whence)?)?)
            }
            Operation::CopyRange { from, to, to_node, length } => {
                let copied = self.copy_range((node, from), (to_node, to), length)?;
                kernel.renew(to_node);
                reply.count(copied);
            }
            // Directories need not be opened and closed, and the kernel checks permissions itself.
            _ => return Err(Errno(libc::ENOSYS)),
        }
        Ok(())
    }

    fn list(&mut self, node: u64, offset: u64, add: Add<'_>) -> Result<()> {
        Server::list(self, node, offset, add)
    }

    fn forget(&mut self, node: u64, times: u64) {
        Server::forget(self, node, times);
    }
}

fn kind_of(mode: u32) -> Result<Kind<'static>> {
    match mode & libc::S_IFMT {
        0 | libc::S_IFREG => Ok(Kind::File),
        kind @ (libc::S_IFIFO | libc::S_IFSOCK) => Ok(Kind::Special(kind)),
        // A device 0:0 would be the mark of a deleted name.
        _ => Err(Errno(libc::EPERM)),
    }
}

impl Server {
    fn entry(&self, reply: &mut Reply, status: &FileStatus) {
        reply.entry(status, self.lifetime(status));
    }

    fn create(
        &mut self,
        (parent, name): (u64, &CStr),
        flags: Flags,
        mode: u32,
        maker: Maker,
    ) -> Result<(FileStatus, u64)> {
        match self.make(parent, name, Kind::File, mode, maker) {
            // The host has got one meanwhile.
            Err(Errno(libc::EEXIST)) if flags.0 & libc::O_EXCL == 0 => {
                let found = self.lookup(parent, name)?.ok_or(Errno(libc::ENOENT))?;
                let opened = self.open_file(found.ino, flags.writes(), flags.truncates())?;
                Ok((self.attributes(found.ino)?, opened.0))
            }
            made => Ok((made?, 0)),
        }
    }
}
