//! Reads and writes files.

use super::super::serving::{LIFETIME, is_same, lifetime};
use super::copy_up::CAREFUL;
use super::server::Server;
use crate::sys::{self, Errno, FileStatus, Result};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// The largest part that copy_file_range(2) is asked for at once, so that other requests are not kept waiting.
const LARGEST_COPY: u64 = 64 * 1024 * 1024;

impl Server {
    /// A file, open for reading, and one of the upper layer for writing.
    fn open_node(&mut self, number: u64) -> Result<Arc<OwnedFd>> {
        if let Some(open) = self.files.get(&number) {
            return Ok(open);
        }
        let node = self.node(number)?;
        let (upper, kept) = (node.upper, node.kept.clone());
        let access = if upper { libc::O_RDWR } else { libc::O_RDONLY };
        let file = match kept {
            Some(kept) => sys::open_again(kept.as_fd(), access | CAREFUL & !libc::O_NOFOLLOW)?,
            None => {
                let (dir, name) = self.place(number)?;
                sys::openat(dir.as_fd(), &name, access | CAREFUL, 0)?
            }
        };
        if sys::file_type(file.as_fd())? != libc::S_IFREG {
            return Err(Errno(libc::EIO));
        }
        Ok(self.files.add(number, file))
    }

    /// A program opens a file. Gives the version, which its reads are to name, and whether the kernel may keep what it has of the
    /// content.
    ///
    /// # Errors
    ///
    /// ESTALE: the host's file has changed, and the kernel may have the size that it had: it would append to the file there. The kernel
    /// then looks the name up again, and opens the file as it is now.
    pub fn open_file(&mut self, number: u64, write: bool, truncate: bool) -> Result<(u64, bool)> {
        let node = self.node(number)?;
        if !node.upper && node.closed && !write {
            return Ok((0, false));
        }
        if !node.upper && !node.closed {
            let now = self.status(number).map_err(|_| self.changed())?;
            let node = self.node_mut(number)?;
            let changed = node.see_again(&now);
            // Not twice in a row: of a file that changes all the time, the size is never known.
            node.refused = changed && !truncate && !node.refused;
            let refused = node.refused;
            if changed {
                self.files.remove(&number);
            }
            if refused {
                return Err(Errno(libc::ESTALE));
            }
        }
        if write {
            self.copy_up(number, truncate)?;
        }
        if truncate {
            self.resize(number, 0)?;
        }
        let node = self.node_mut(number)?;
        let kept = node.opened == node.version;
        node.opened = node.version;
        Ok((node.version.into(), kept))
    }

    /// Reads from a file that was opened in this version. Gives how much it was.
    pub fn read(&mut self, (number, version): (u64, u64), offset: u64, into: &mut [u8]) -> Result<usize> {
        let node = self.node(number)?;
        if node.kind != libc::S_IFREG {
            return Err(Errno(libc::EINVAL));
        }
        if node.closed {
            return Ok(0);
        }
        let upper = node.upper;
        if u64::from(node.version) != version {
            return Err(self.changed());
        }
        let file = match self.open_node(number) {
            Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::ENXIO)) if !upper => {
                return Err(self.changed());
            }
            other => other?,
        };
        let length = sys::read_at(file.as_fd(), into, offset)?;
        if !upper {
            let now = sys::status_of(file.as_fd(), c"")?;
            if !self.node(number)?.seen().is_some_and(|seen| is_same(&now, &seen)) {
                return Err(self.changed());
            }
        }
        Ok(length)
    }

    /// Writes to a file. With `strip`, it loses its set-ID bits. Gives how much was written, and whether it had such bits.
    pub fn write(&mut self, number: u64, offset: u64, data: &[u8], strip: bool) -> Result<(usize, bool)> {
        self.copy_up(number, false)?;
        let file = self.open_node(number)?;
        let stripped = strip && self.strip(number)?;
        let missing = self.missing(file.as_fd(), offset, data.len() as u64);
        let written = self.growing(file.as_fd(), missing, || write_whole(file.as_fd(), offset, data))?;
        Ok((written, stripped))
    }

    /// Takes the set-ID bits from a file that is changed. Gives whether it had any.
    pub(super) fn strip(&mut self, number: u64) -> Result<bool> {
        if !self.node(number)?.privileged {
            return Ok(false);
        }
        let mode = self.status(number)?.mode;
        let mut stripped = mode & 0o7777 & !0o4000;
        // Without the group's execute bit, it is no set-group-ID bit.
        if mode & 0o010 != 0 {
            stripped &= !0o2000;
        }
        let file = self.handle(number)?;
        sys::chmod(file.as_fd(), stripped)?;
        self.node_mut(number)?.privileged = stripped & 0o6000 != 0;
        Ok(true)
    }

    /// Sets the size of a file.
    pub(super) fn resize(&mut self, number: u64, size: u64) -> Result<()> {
        self.copy_up(number, size == 0)?;
        let file = self.open_node(number)?;
        self.growing(file.as_fd(), 0, || sys::truncate(file.as_fd(), size))?;
        self.strip(number).map(drop)
    }

    /// fallocate(2): reserves a range of a file, or makes a hole.
    pub fn allocate(&mut self, number: u64, flags: i32, offset: u64, length: u64) -> Result<()> {
        self.copy_up(number, false)?;
        let file = self.open_node(number)?;
        let grows = if flags & libc::FALLOC_FL_PUNCH_HOLE == 0 { length } else { 0 };
        self.growing(file.as_fd(), grows, || sys::allocate(file.as_fd(), flags, offset, length))?;
        self.strip(number).map(drop)
    }

    /// copy_file_range(2): copies a range from one file to another.
    pub fn copy_range(
        &mut self,
        (from, from_offset): (u64, u64),
        (to, to_offset): (u64, u64),
        length: u64,
    ) -> Result<usize> {
        if self.node(from)?.closed {
            return Ok(0);
        }
        self.copy_up(to, false)?;
        let (from, target) = (self.open_node(from)?, self.open_node(to)?);
        let length = length.min(LARGEST_COPY) as usize;
        let missing = self.missing(target.as_fd(), to_offset, length as u64);
        let copied = self.growing(target.as_fd(), missing, || {
            sys::copy_range((from.as_fd(), from_offset), (target.as_fd(), to_offset), length)
        });
        self.strip(to)?;
        copied
    }

    /// Where data, or with `hole` a hole, begins in a file, from an offset on. ENXIO behind the last.
    pub fn seek(&mut self, number: u64, offset: u64, hole: bool) -> Result<u64> {
        if self.node(number)?.closed {
            return Err(Errno(libc::ENXIO));
        }
        let file = self.open_node(number)?;
        sys::seek_next(file.as_fd(), offset, hole)
    }

    /// fsync(2), or with `data` fdatasync(2). Of a layer that is not kept nothing has to be on the disk.
    pub fn sync(&mut self, number: u64, data: bool) -> Result<()> {
        let node = self.node(number)?;
        let (upper, is_dir, union) = (node.upper, node.is_dir(), node.union);
        let kept = self.unions.get(union).and_then(|union| union.upper.as_ref()).is_some_and(|upper| upper.kept);
        if !upper || !kept {
            return Ok(());
        }
        if is_dir {
            let dir = self.upper_dir(number)?;
            return sys::sync_file(sys::open_again(dir.as_fd(), libc::O_RDONLY)?.as_fd(), data);
        }
        let file = self.open_node(number)?;
        sys::sync_file(file.as_fd(), data)
    }

    /// The text of a symbolic link.
    pub fn link_text(&mut self, number: u64) -> Result<CString> {
        let (dir, name) = self.place(number)?;
        sys::link_text(dir.as_fd(), &name)
    }

    /// The attributes of a node.
    pub fn attributes(&mut self, number: u64) -> Result<FileStatus> {
        if number == super::super::serving::TOP {
            return Ok(self.top());
        }
        let found = self.status(number);
        let status = match found {
            Ok(status) => status,
            // What the host has deleted is shown as it was.
            Err(errno) => self.node(number)?.seen().ok_or(errno)?,
        };
        Ok(self.shown(number, &status))
    }

    /// Looks a name up, and counts that the kernel was told of it. `None`: there is nothing.
    pub fn lookup(&mut self, parent: u64, name: &CStr) -> Result<Option<FileStatus>> {
        let Some((number, status)) = self.find_shown(parent, name)? else { return Ok(None) };
        self.nodes.told(number);
        Ok(Some(status))
    }

    /// How long the kernel may use the attributes of a file: nobody else changes what the upper layer has.
    pub fn lifetime(&self, status: &FileStatus) -> Duration {
        match self.nodes.get(status.ino).is_some_and(|node| node.upper) {
            true => LIFETIME,
            false => lifetime(status),
        }
    }

    /// What the filesystem of the upper layer has room for.
    pub fn room(&mut self, number: u64) -> Result<sys::Room> {
        let mut room = sys::room_of(self.upper(number)?.root.as_fd())?;
        if let Some((limit, left)) = self.left() {
            let unit = room.block_size.max(1);
            let [_, free, available] = room.blocks;
            room.blocks = [limit / unit, free.min(left / unit), available.min(left / unit)];
        }
        Ok(room)
    }
}

/// Writes as much as there is room for.
fn write_whole(file: BorrowedFd<'_>, offset: u64, data: &[u8]) -> Result<usize> {
    let mut written = 0;
    while let Some(rest) = data.get(written..).filter(|rest| !rest.is_empty()) {
        match sys::write_at(file, rest, offset + written as u64) {
            Ok(0) => break,
            Ok(more) => written += more,
            Err(Errno(libc::EINTR)) => {}
            Err(errno) if written == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(written)
}
