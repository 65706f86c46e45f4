//! The entries of directories.

use crate::sys::child::{cwd, next_entry, openat, read_entries};
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The entries of a directory, as `std::fs::read_dir` gives them: getdents64(2), without `.` and `..`.
///
/// A start reads ten to twenty directories, most of them small. With the C library's opendir(3) each takes three more system calls and two
/// more page faults, since musl maps and unmaps the memory for it.
pub struct ReadDir {
    dir: Rc<Path>,
    fd: OwnedFd,
    buffer: [u8; 2048],
    /// The part of the buffer whose entries are still to come.
    left: std::ops::Range<usize>,
    is_at_end: bool,
}

/// Opens the directory at a path.
///
/// # Errors
///
/// Those of open(2); EINVAL where the path has a NUL.
pub fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let dir = path.as_ref();
    let path = CString::new(dir.as_os_str().as_bytes())?;
    let fd = openat(cwd(), &path, libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    Ok(ReadDir { dir: dir.into(), fd, buffer: [0; 2048], left: 0..0, is_at_end: false })
}

impl Iterator for ReadDir {
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<io::Result<DirEntry>> {
        loop {
            let left = self.buffer.get(self.left.clone()).unwrap_or_default();
            if let Some((kind, name, rest)) = next_entry(left) {
                let name = OsStr::from_bytes(name.to_bytes()).to_owned();
                self.left.start = self.left.end - rest.len();
                return Some(Ok(DirEntry { dir: Rc::clone(&self.dir), name, kind }));
            }
            if self.is_at_end {
                return None;
            }
            match read_entries(self.fd.as_fd(), &mut self.buffer) {
                Ok(length @ 1..) => self.left = 0..length,
                other => {
                    (self.left, self.is_at_end) = (0..0, true);
                    return other.err().map(|error| Err(error.into()));
                }
            }
        }
    }
}

/// A name in a directory.
pub struct DirEntry {
    dir: Rc<Path>,
    name: OsString,
    kind: u8,
}

impl DirEntry {
    /// The name.
    pub fn file_name(&self) -> OsString {
        self.name.clone()
    }

    /// The directory's path, as it was given, and the name.
    pub fn path(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    /// What the name is for; links are not followed. Filesystems that do not say so with the name are asked (lstat(2)).
    pub fn file_type(&self) -> io::Result<EntryType> {
        Ok(EntryType(match self.kind {
            libc::DT_UNKNOWN => {
                let found = self.path().symlink_metadata()?.file_type();
                match () {
                    () if found.is_dir() => libc::DT_DIR,
                    () if found.is_symlink() => libc::DT_LNK,
                    () if found.is_file() => libc::DT_REG,
                    () if found.is_socket() => libc::DT_SOCK,
                    // Of pipes and devices nobody needs to know more.
                    () => libc::DT_UNKNOWN,
                }
            }
            kind => kind,
        }))
    }
}

/// What kind of file a name in a directory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryType(u8);

impl EntryType {
    /// A directory.
    pub fn is_dir(self) -> bool {
        self.0 == libc::DT_DIR
    }

    /// A symbolic link.
    pub fn is_symlink(self) -> bool {
        self.0 == libc::DT_LNK
    }

    /// A regular file.
    pub fn is_file(self) -> bool {
        self.0 == libc::DT_REG
    }

    /// A socket.
    pub fn is_socket(self) -> bool {
        self.0 == libc::DT_SOCK
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// What std says of the same directory.
    fn by_std(path: &Path) -> BTreeMap<OsString, EntryType> {
        let kind = |found: std::fs::FileType| match () {
            () if found.is_dir() => libc::DT_DIR,
            () if found.is_symlink() => libc::DT_LNK,
            () if found.is_file() => libc::DT_REG,
            () if found.is_socket() => libc::DT_SOCK,
            () if found.is_fifo() => libc::DT_FIFO,
            () if found.is_char_device() => libc::DT_CHR,
            () => libc::DT_BLK,
        };
        let entries = std::fs::read_dir(path).unwrap().map(Result::unwrap);
        entries.map(|entry| (entry.file_name(), EntryType(kind(entry.file_type().unwrap())))).collect()
    }

    fn by_us(path: &Path) -> BTreeMap<OsString, EntryType> {
        let entries = read_dir(path).unwrap().map(Result::unwrap);
        entries
            .inspect(|entry| assert_eq!(entry.path(), path.join(entry.file_name())))
            .map(|entry| (entry.file_name(), entry.file_type().unwrap()))
            .collect()
    }

    #[test]
    fn entries_are_those_that_std_reads() {
        let made = tempfile::tempdir().unwrap();
        // More than fit one buffer, with names as long as they can be and of bytes that are not UTF-8.
        for number in 0..100 {
            std::fs::write(made.path().join(format!("{number}{}", "x".repeat(250 * (number % 2)))), "").unwrap();
        }
        std::fs::create_dir(made.path().join(OsStr::from_bytes(b"\xff"))).unwrap();
        std::os::unix::fs::symlink("nowhere", made.path().join("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(made.path().join("socket")).unwrap();
        for dir in [made.path(), Path::new("/"), Path::new("/dev"), Path::new("/usr/bin"), Path::new("/proc/self/ns")] {
            assert_eq!(by_us(dir), by_std(dir), "{dir:?}");
        }
        let empty = tempfile::tempdir().unwrap();
        assert!(read_dir(empty.path()).unwrap().next().is_none());
    }

    #[test]
    fn errors_are_those_of_the_kernel() {
        let errno = |path: &str| read_dir(path).err().and_then(|error| error.raw_os_error());
        assert_eq!(errno("/nowhere"), Some(libc::ENOENT));
        assert_eq!(errno("/etc/passwd"), Some(libc::ENOTDIR));
        assert_eq!(read_dir("/a\0b").err().map(|error| error.kind()), Some(io::ErrorKind::InvalidInput));
    }
}
