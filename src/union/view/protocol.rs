//! Requests of the kernel come in here, and answers go out.

use super::super::serving::{
    self, Add, Filesystem, Kernel, LARGEST, LIFETIME, NO_ROOM, Operation, Reply, Request, TOP, flags, lifetime,
};
use super::server::Server;
use crate::sys::{Errno, FileStatus, Result};

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
                let opened = self.open_file(node);
                if !opened.is_ok_and(|(_, keep)| keep) {
                    kernel.renew(node);
                }
                let (version, keep) = opened?;
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
            Operation::Seek { handle, offset, whence } => {
                reply.offset(self.seek((node, handle), offset, serving::is_hole(whence)?)?);
            }
            Operation::StatFs => reply.room(&NO_ROOM),
            // Nothing is changed, directories need not be opened and closed, and there are no extended attributes.
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
