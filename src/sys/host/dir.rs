//! The entries of directories.

use crate::sys::child::{cwd, next_entry, openat, read_entries};
use crate::sys::errno::Errno;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The entries of a directory, as `std::fs::read_dir` gives them: getdents64(2), without `.` and `..`.
///
/// A start reads ten to twenty directories, most of them small. For each, the C library's opendir(3) allocates a buffer: musl maps and
/// unmaps memory for it, which with the page faults takes longer than the reading.
pub struct ReadDir {
    dir: Rc<Dir>,
    buffer: Vec<u8>,
    /// The part of the buffer whose entries are still to come.
    left: std::ops::Range<usize>,
    is_at_end: bool,
}

/// A directory that is read.
struct Dir {
    path: PathBuf,
    fd: OwnedFd,
}

/// Opens the directory at a path.
///
/// # Errors
///
/// Those of open(2); [`io::ErrorKind::InvalidInput`] where the path has a NUL.
pub fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref();
    let fd = openat(cwd(), &CString::new(path.as_os_str().as_bytes())?, libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    let dir = Rc::new(Dir { path: path.to_owned(), fd });
    Ok(ReadDir { dir, buffer: vec![0; SMALL], left: 0..0, is_at_end: false })
}

/// Size of the buffer for entries in bytes, at first: most directories that a start reads fit it.
const SMALL: usize = 1024;

/// Its size for directories that have more, and for longer names: FUSE has some of 4,095 bytes.
const LARGE: usize = 8 * 1024;

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
            // The kernel may have stopped there for want of room.
            if self.left.end > SMALL / 2 {
                self.buffer.resize(LARGE, 0);
            }
            match read_entries(self.dir.fd.as_fd(), &mut self.buffer) {
                Ok(length @ 1..) => self.left = 0..length,
                // The next entry does not fit.
                Err(Errno(libc::EINVAL)) if self.buffer.len() < LARGE => self.buffer.resize(LARGE, 0),
                other => {
                    (self.left, self.is_at_end) = (0..0, true);
                    // A directory that was removed since it was opened has no entries, as readdir(3) says.
                    return other.err().filter(|errno| *errno != Errno(libc::ENOENT)).map(|errno| Err(errno.into()));
                }
            }
        }
    }
}

/// A name in a directory.
pub struct DirEntry {
    dir: Rc<Dir>,
    name: OsString,
    kind: u8,
}

impl DirEntry {
    /// The name of the entry, without the directory.
    pub fn file_name(&self) -> OsString {
        self.name.clone()
    }

    /// The directory's path, as it was given, and the name.
    pub fn path(&self) -> PathBuf {
        self.dir.path.join(&self.name)
    }

    /// What the name is for; links are not followed. Filesystems that do not say so with the name are asked (fstatat(2)).
    pub fn file_type(&self) -> io::Result<EntryType> {
        match self.kind {
            libc::DT_UNKNOWN => asked(&self.dir.fd, &self.name),
            kind => Ok(EntryType(kind)),
        }
    }
}

/// What fstatat(2) says that a name in a directory is for. `DT_*` are the bits of the mode for the type of a file: IFTODT(3).
fn asked(dir: &OwnedFd, name: &OsStr) -> io::Result<EntryType> {
    let found = nix::sys::stat::fstatat(dir, name, nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW)?;
    Ok(EntryType(((found.st_mode & libc::S_IFMT) >> 12) as u8))
}

/// What kind of file a name in a directory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryType(u8);

impl EntryType {
    /// Whether the name is for a directory.
    pub fn is_dir(self) -> bool {
        self.0 == libc::DT_DIR
    }

    /// Whether the name is for a symbolic link.
    pub fn is_symlink(self) -> bool {
        self.0 == libc::DT_LNK
    }

    /// Whether the name is for a regular file.
    pub fn is_file(self) -> bool {
        self.0 == libc::DT_REG
    }

    /// Whether the name is for a socket.
    pub fn is_socket(self) -> bool {
        self.0 == libc::DT_SOCK
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::os::unix::fs::FileTypeExt;

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
            .inspect(|entry| assert_eq!(asked(&entry.dir.fd, &entry.name).unwrap(), entry.file_type().unwrap()))
            .map(|entry| (entry.file_name(), entry.file_type().unwrap()))
            .collect()
    }

    #[test]
    fn entries_are_those_that_std_reads() {
        let made = tempfile::tempdir().unwrap();
        // More than fit one buffer, with names as long as most filesystems have them, and of bytes that are not UTF-8.
        for number in 0..100 {
            std::fs::write(made.path().join(format!("{number}{}", "x".repeat(250 * (number % 2)))), "").unwrap();
        }
        std::fs::create_dir(made.path().join(OsStr::from_bytes(b"\xff"))).unwrap();
        std::os::unix::fs::symlink("nowhere", made.path().join("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(made.path().join("socket")).unwrap();
        nix::unistd::mkfifo(&made.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for dir in [made.path(), Path::new("/proc/self/ns")] {
            assert_eq!(by_us(dir), by_std(dir), "{dir:?}");
        }
        let empty = tempfile::tempdir().unwrap();
        assert!(read_dir(empty.path()).unwrap().next().is_none());
    }

    #[test]
    fn a_directory_that_was_removed_meanwhile_has_no_entries() {
        let made = tempfile::tempdir().unwrap();
        let mut entries = read_dir(made.path()).unwrap();
        made.close().unwrap();
        assert!(entries.next().is_none());
    }

    #[test]
    fn errors_are_those_of_the_kernel() {
        let errno = |path: &str| read_dir(path).err().and_then(|error| error.raw_os_error());
        assert_eq!(errno("/nowhere"), Some(libc::ENOENT));
        assert_eq!(errno("/etc/passwd"), Some(libc::ENOTDIR));
        assert_eq!(read_dir("/a\0b").err().map(|error| error.kind()), Some(io::ErrorKind::InvalidInput));
    }
}
