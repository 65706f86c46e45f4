//! Requests of the kernel come in here, and answers go out.

use super::super::serving::{
    self, Filesystem, Kernel, LARGEST, LIFETIME, Operation, Reply, Request, TOP, flags, lifetime,
};
use super::server::Server;
use crate::sys::{self, Errno, FileStatus, Result};
use std::os::fd::OwnedFd;

/// Serves the requests of a mounted filesystem until it is unmounted; `ready` is called once the first one can be
/// answered.
///
/// # Errors
///
/// The kernel and the server do not understand each other.
pub fn serve(
    mut server: Server,
    device: &OwnedFd,
    ready: impl FnOnce() -> Result<()>,
) -> std::result::Result<(), String> {
    serving::serve(&mut server, device, ready)
}

impl Filesystem for Server {
    const WANTED: u64 = flags::DO_READDIRPLUS | flags::CACHE_SYMLINKS | flags::PARALLEL_DIROPS;

    fn answer(
        &mut self,
        request: &Request<'_>,
        operation: Operation<'_>,
        reply: &mut Reply,
        kernel: Kernel<'_>,
    ) -> Result<()> {
        let node = request.node;
        match operation {
            Operation::Lookup { name } => match self.lookup(node, name)? {
                Some(status) => reply.entry(&status, lifetime(&status)),
                None => reply.entry(&FileStatus { ino: 0, ..self.attributes(TOP)? }, LIFETIME),
            },
            Operation::GetAttributes => {
                let status = self.attributes(node)?;
                reply.attributes(&status, lifetime(&status));
            }
            Operation::ReadLink => reply.add(self.link(node)?.to_bytes()),
            Operation::Open { .. } => {
                let (version, keep) = self.open_file(node)?;
                if !keep {
                    kernel.renew(node);
                }
                reply.opened(version, keep);
            }
            Operation::Read { handle, offset, size } => {
                let (read, renewed) = self.read((node, handle), offset, reply.space(size.min(LARGEST) as usize))?;
                reply.took(read);
                if renewed {
                    kernel.renew(node);
                }
            }
            Operation::Release => {}
            Operation::ReadDir { offset, size } => {
                let mut given = Vec::new();
                self.list(node, offset, &mut |file| {
                    let full = reply.name(file, size);
                    if !full && !matches!(file.name.to_bytes(), b"." | b"..") {
                        given.push(file.status.ino);
                    }
                    full
                })?;
                // Names alone do not tell the kernel of the files.
                given.iter().for_each(|node| Server::forget(self, *node, 1));
            }
            Operation::ReadDirPlus { offset, size } => self.list(node, offset, &mut |file| reply.file(file, size))?,
            Operation::Seek { handle, offset, whence } => {
                reply.offset(self.seek((node, handle), offset, serving::is_hole(whence)?)?);
            }
            Operation::StatFs => {
                reply.room(&sys::Room { block_size: 4096, blocks: [0; 3], files: [0; 2], longest_name: 255 })
            }
            // Another error makes the overlay of some kernels fail to copy files up.
            Operation::Ioctl => return Err(Errno(libc::ENOTTY)),
            // Nothing is changed, directories need not be opened and closed, and there are no extended attributes.
            _ => return Err(Errno(libc::ENOSYS)),
        }
        Ok(())
    }

    fn forget(&mut self, node: u64, times: u64) {
        Server::forget(self, node, times);
    }
}
