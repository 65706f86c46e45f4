//! Strings for execve(2) that another process has written to a file in memory: they are used where they are mapped, since PID 1 allocates nothing.

use super::process::StringList;
use crate::sys::errno::{Errno, Result};
use std::ffi::{CStr, c_char};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// The largest file of this kind, in bytes.
pub const LARGEST_BLOCK: usize = 4 << 20;

/// Bytes of a number, and of a pointer.
pub(in crate::sys) const WORD: usize = size_of::<u64>();

/// The strings: the paths where the program may be, its arguments, its environment, and its directory.
///
/// The file has four numbers first: how many strings each of the three lists has, and its size in words up to the strings. Then each list, and the
/// directory, a word for each string: its offset in the file. A list ends with a 0. Then the strings, with a NUL behind each.
pub struct Block {
    base: *mut u8,
    length: usize,
    /// Where each list begins, in words, and how long it is.
    lists: [(usize, usize); 4],
}

/// The numbers at the beginning.
pub(in crate::sys) const HEAD: usize = 3;

impl Block {
    /// Maps such a file, of which this process has a copy from here on. EINVAL for one that has another form.
    pub fn map(file: BorrowedFd<'_>) -> Result<Block> {
        let length = usize::try_from(nix::sys::stat::fstat(file)?.st_size).map_err(|_| Errno(libc::EINVAL))?;
        if !(HEAD * WORD..=LARGEST_BLOCK).contains(&length) {
            return Err(Errno(libc::EINVAL));
        }
        let (read_write, private) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE);
        // SAFETY: a new mapping at an address that the kernel chooses replaces no other.
        let base =
            unsafe { libc::mmap(std::ptr::null_mut(), length, read_write, private, file.as_fd().as_raw_fd(), 0) };
        if base == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        // From here on it is unmapped when it is dropped.
        let mut block = Block { base: base.cast(), length, lists: [(0, 0); 4] };
        block.prepare()?;
        Ok(block)
    }

    /// Checks the form, and replaces the offsets by addresses.
    fn prepare(&mut self) -> Result<()> {
        let bad = Err(Errno(libc::EINVAL));
        // SAFETY: the mapping has `length` bytes, is writable, and nothing else refers to it.
        let bytes = unsafe { std::slice::from_raw_parts_mut(self.base, self.length) };
        let word = |bytes: &[u8], at: usize| {
            let part = bytes.get(at * WORD..(at + 1) * WORD)?;
            usize::try_from(u64::from_ne_bytes(part.try_into().ok()?)).ok()
        };
        if bytes.last() != Some(&0) {
            return bad;
        }
        let mut at = HEAD;
        for list in 0..self.lists.len() {
            let count = if list < HEAD { word(bytes, list) } else { Some(1) };
            let Some(count) = count.filter(|count| *count <= self.length / WORD) else { return bad };
            for index in at..at + count {
                match word(bytes, index) {
                    Some(offset) if offset > 0 && offset < self.length => {
                        let address = (self.base as u64).wrapping_add(offset as u64);
                        match bytes.get_mut(index * WORD..(index + 1) * WORD) {
                            Some(place) => place.copy_from_slice(&address.to_ne_bytes()),
                            None => return bad,
                        }
                    }
                    _ => return bad,
                }
            }
            if word(bytes, at + count) != Some(0) {
                return bad;
            }
            if let Some(place) = self.lists.get_mut(list) {
                *place = (at, count);
            }
            at += count + 1;
        }
        Ok(())
    }

    fn list(&self, number: usize) -> &[*const c_char] {
        let (at, count) = self.lists.get(number).copied().unwrap_or((0, 0));
        // SAFETY: `prepare` has found the list, with its null at the end, within the mapping, which is aligned to a page and lives as long as this
        // value.
        unsafe { std::slice::from_raw_parts(self.base.cast::<*const c_char>().add(at), count + 1) }
    }

    /// The paths where the program may be.
    pub fn paths(&self) -> impl Iterator<Item = &CStr> {
        // SAFETY: `prepare` has made each of them an address in the mapping, whose last byte is a NUL.
        self.list(0).iter().filter(|text| !text.is_null()).map(|text| unsafe { CStr::from_ptr(*text) })
    }

    /// The arguments.
    pub fn args(&self) -> StringList<'_> {
        StringList::of(self.list(1))
    }

    /// The environment.
    pub fn env(&self) -> StringList<'_> {
        StringList::of(self.list(2))
    }

    /// The directory.
    pub fn dir(&self) -> &CStr {
        let first = self.list(3).first().copied().filter(|text| !text.is_null());
        // SAFETY: as of the paths.
        first.map_or(c"/", |text| unsafe { CStr::from_ptr(text) })
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the mapping has this size and belongs to this value.
        unsafe { libc::munmap(self.base.cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{memory_file, write_all};

    fn file(content: &[u8]) -> std::os::fd::OwnedFd {
        let file = memory_file(c"test").unwrap();
        write_all(file.as_fd(), content).unwrap();
        file
    }

    #[test]
    fn strings_are_found_where_they_are_mapped_and_another_form_is_refused() {
        let content = Block::content(&[c"/bin/a", c"/usr/bin/a"], &[c"a", c"", c"b c"], &[], c"/dir");
        let open = file(&content);
        let block = Block::map(open.as_fd()).unwrap();
        assert_eq!(block.paths().collect::<Vec<_>>(), [c"/bin/a", c"/usr/bin/a"]);
        assert_eq!(block.dir(), c"/dir");
        assert_eq!((block.list(1).len(), block.list(2).len()), (4, 1));
        for cut in 0..content.len() {
            let _ = Block::map(file(&content[..cut]).as_fd());
        }
        for at in 0..content.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut content = content.clone();
                content[at] = value;
                if let Ok(block) = Block::map(file(&content).as_fd()) {
                    let _ = (block.paths().count(), block.dir());
                }
            }
        }
    }
}
