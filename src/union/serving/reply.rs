//! Answers to the kernel, as they go to /dev/fuse: linux/fuse.h.

use crate::sys::{Errno, FileStatus, Room};
use std::ffi::CStr;
use std::time::Duration;

/// The size of an answer's head.
const HEAD: usize = 16;

/// The size of the answer to a lookup.
const ENTRY: usize = 128;

/// FOPEN_KEEP_CACHE: the kernel may use what it has of a file's content.
const KEEP_CACHE: u32 = 1 << 1;

/// How long the kernel may use names, and that a name does not exist, without asking again; and the attributes of what is no file.
pub const LIFETIME: Duration = Duration::from_secs(3600);

/// How long the kernel may use the attributes of a file of the host without asking again.
const LIFETIME_OF_FILES: Duration = Duration::from_secs(1);

/// How long the kernel may use these attributes, of what the host may change.
pub fn lifetime(status: &FileStatus) -> Duration {
    if status.mode & libc::S_IFMT == libc::S_IFREG { LIFETIME_OF_FILES } else { LIFETIME }
}

/// A file in a directory that is listed.
#[derive(Clone, Copy)]
pub struct Listed<'l> {
    /// Its attributes.
    pub status: &'l FileStatus,
    /// How long these may be used.
    pub lifetime: Duration,
    /// Its name.
    pub name: &'l CStr,
    /// The place behind it.
    pub next: u64,
}

/// What takes the files of a directory; gives whether there is no room left for the one that was given.
pub type Add<'a> = &'a mut dyn FnMut(Listed<'_>) -> bool;

/// What is said of a filesystem that has no room, or cannot be asked for it.
pub const NO_ROOM: Room = Room { block_size: 4096, blocks: [0; 3], files: [0; 2], longest_name: 255 };

/// An answer. Its memory is used again for the next one.
#[derive(Default)]
pub struct Reply {
    /// The head, and what follows it.
    bytes: Vec<u8>,
    /// How much of it there is.
    length: usize,
}

impl Reply {
    /// Begins an answer, of nothing yet.
    pub fn begin(&mut self) {
        self.length = HEAD;
        self.bytes.resize(self.bytes.len().max(HEAD), 0);
    }

    /// The answer to the request of this number: an error, or what was added.
    pub fn end(&mut self, unique: u64, error: Option<Errno>) -> &[u8] {
        if error.is_some() {
            self.length = HEAD;
        }
        let (length, error) = (self.length as u32, error.map_or(0, |errno| -errno.0));
        let head = [length.to_ne_bytes(), error.to_ne_bytes()].concat();
        for (byte, new) in self.bytes.iter_mut().zip(head.into_iter().chain(unique.to_ne_bytes())) {
            *byte = new;
        }
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.space(bytes.len()).copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// Room for so many bytes, of which [`Reply::took`] says how many it has now.
    pub fn space(&mut self, size: usize) -> &mut [u8] {
        let end = self.length + size;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes.get_mut(self.length..end).unwrap_or_default()
    }

    /// So many bytes of [`Reply::space`] belong to the answer.
    pub fn took(&mut self, bytes: usize) {
        self.length = (self.length + bytes).min(self.bytes.len());
    }

    fn u32(&mut self, number: u32) {
        self.add(&number.to_ne_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.add(&number.to_ne_bytes());
    }

    fn status(&mut self, status: &FileStatus) {
        self.u64(status.ino);
        self.u64(status.size);
        self.u64(status.blocks);
        let times = [status.accessed, status.modified, status.changed];
        times.iter().for_each(|(seconds, _)| self.add(&seconds.to_ne_bytes()));
        times.iter().for_each(|(_, rest)| self.u32(*rest));
        for number in [status.mode, status.links, status.uid, status.gid, status.rdev as u32, status.block_size, 0] {
            self.u32(number);
        }
    }

    /// A file that was looked up or made. Its number 0 stands for a name that does not exist. Files whose numbers are used again would be
    /// told apart by a generation; no number is.
    pub fn entry(&mut self, status: &FileStatus, lifetime: Duration) {
        self.u64(status.ino);
        self.u64(0);
        self.u64(LIFETIME.as_secs());
        self.u64(lifetime.as_secs());
        self.u32(LIFETIME.subsec_nanos());
        self.u32(lifetime.subsec_nanos());
        self.status(status);
    }

    /// The attributes of a file.
    pub fn attributes(&mut self, status: &FileStatus, lifetime: Duration) {
        self.u64(lifetime.as_secs());
        self.u32(lifetime.subsec_nanos());
        self.u32(0);
        self.status(status);
    }

    /// A file was opened: a number that its reads are to name, and whether the kernel may use what it has of its content.
    pub fn opened(&mut self, handle: u64, keep: bool) {
        self.u64(handle);
        self.u32(if keep { KEEP_CACHE } else { 0 });
        self.u32(0);
    }

    /// How much was written, or how large something is.
    pub fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).unwrap_or(u32::MAX));
        self.u32(0);
    }

    /// An offset in a file.
    pub fn offset(&mut self, offset: u64) {
        self.u64(offset);
    }

    /// The value of an attribute, or if the size is 0 how long it is.
    ///
    /// # Errors
    ///
    /// ERANGE: it is longer than the size.
    pub fn value(&mut self, value: &[u8], size: u32) -> Result<(), Errno> {
        match size as usize {
            0 => self.count(value.len()),
            size if value.len() > size => return Err(Errno(libc::ERANGE)),
            _ => self.add(value),
        }
        Ok(())
    }

    /// What a filesystem has room for.
    pub fn room(&mut self, room: &Room) {
        room.blocks.iter().chain(&room.files).for_each(|number| self.u64(*number));
        let size = room.block_size as u32;
        [size, room.longest_name as u32, size].iter().for_each(|number| self.u32(*number));
        (0..7).for_each(|_| self.u32(0));
    }

    /// Adds a name of a directory, with what the file is, to an answer of at most so many bytes. Gives whether there was no room for it.
    pub fn name(&mut self, file: Listed<'_>, most: u32) -> bool {
        let length = file.name.count_bytes();
        let padded = (24 + length).next_multiple_of(8);
        if self.length - HEAD + padded > most as usize {
            return true;
        }
        self.u64(file.status.ino);
        self.u64(file.next);
        self.u32(length as u32);
        self.u32(file.status.mode >> 12 & 0o17);
        self.add(file.name.to_bytes());
        self.add(&[0; 8][..padded - 24 - length]);
        false
    }

    /// Adds a name as [`Reply::name`] does, with the attributes of the file.
    pub fn file(&mut self, file: Listed<'_>, most: u32) -> bool {
        let before = self.length;
        self.entry(file.status, file.lifetime);
        let full = self.name(file, most);
        if full {
            self.length = before;
        }
        full
    }
}

const _: () = assert!(ENTRY == 40 + 88);

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> FileStatus {
        let root = crate::sys::status_of(crate::sys::cwd(), c"/").unwrap();
        FileStatus { ino: 7, mode: libc::S_IFREG | 0o644, modified: (i64::MIN, 999_999_999), ..root }
    }

    #[test]
    fn answers_have_the_sizes_that_the_kernel_expects() {
        let mut reply = Reply::default();
        let mut size = |fill: &dyn Fn(&mut Reply)| {
            reply.begin();
            fill(&mut reply);
            let bytes = reply.end(5, None);
            assert_eq!(bytes[..4], (bytes.len() as u32).to_ne_bytes());
            assert_eq!(bytes[4..16], [0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]);
            bytes.len() - HEAD
        };
        let room = Room { blocks: [1; 3], files: [1; 2], block_size: 4096, longest_name: 255 };
        assert_eq!(size(&|reply| reply.entry(&status(), LIFETIME)), ENTRY);
        assert_eq!(size(&|reply| reply.attributes(&status(), LIFETIME)), 104);
        assert_eq!(size(&|reply| reply.opened(1, true)), 16);
        assert_eq!(size(&|reply| reply.room(&room)), 80);
        assert_eq!(size(&|reply| reply.count(1)), 8);
        assert_eq!(size(&|_| ()), 0);
        reply.begin();
        reply.entry(&status(), LIFETIME);
        let bytes = reply.end(5, Some(Errno(libc::ENOENT)));
        assert_eq!((bytes.len(), &bytes[4..8]), (HEAD, &(-libc::ENOENT).to_ne_bytes()[..]));
    }

    #[test]
    fn a_directory_is_listed_until_there_is_no_room() {
        let status = status();
        let file = |name, next| Listed { status: &status, lifetime: LIFETIME, name, next };
        let mut reply = Reply::default();
        reply.begin();
        assert!(!reply.name(file(c"12345678", 1), 72) && !reply.name(file(c"123456789", 2), 72));
        assert!(reply.name(file(c"1", 3), 72));
        assert_eq!(reply.end(1, None).len(), HEAD + 72);
        reply.begin();
        assert!(!reply.file(file(c"1", 1), ENTRY as u32 + 32) && reply.file(file(c"2", 2), ENTRY as u32 + 40));
        assert_eq!(reply.end(1, None).len(), HEAD + ENTRY + 32);
    }
}
