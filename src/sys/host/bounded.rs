//! Reading and writing that never waits for long, for files and streams that a hostile program may have replaced, or
//! does not read.

use super::file::reopen;
use crate::sys::child::{Poll, openat, poll, write_some};
use crate::sys::errno::{Errno, Result};
use nix::sys::socket::{MsgFlags, send};
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Opens a regular file for reading; links are followed. Anything else is not opened, so that this neither waits for a
/// FIFO nor has a device do something: EINVAL.
pub fn open_regular(path: &Path) -> Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno(libc::EINVAL))?;
    let found = openat(crate::sys::cwd(), &path, libc::O_PATH, 0)?;
    if crate::sys::file_type(found.as_fd())? != libc::S_IFREG {
        return Err(Errno(libc::EINVAL));
    }
    let link = crate::sys::Text::<32>::of_descriptor(found.as_raw_fd());
    openat(crate::sys::cwd(), link.text()?, libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY, 0)
}

/// The first `most` bytes of a regular file; links are followed. What is no regular file is not opened: EINVAL.
pub fn read_start(path: &Path, most: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::from(open_regular(path)?).take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes all bytes to a stream, as far as its reader takes them within `patience`: ETIMEDOUT if it does not. Flags of
/// the open file description, which other processes share, are not changed.
pub fn write_within(fd: BorrowedFd<'_>, mut data: &[u8], patience: Duration) -> Result<()> {
    let kind = crate::sys::file_type(fd)?;
    if kind == libc::S_IFREG {
        return crate::sys::write_all(fd, data);
    }
    let socket = kind == libc::S_IFSOCK;
    // If it cannot be opened anew, a write after poll(2) may still wait, if another process writes in between.
    let own = if socket { None } else { reopen(fd.as_raw_fd(), libc::O_WRONLY).ok() };
    let target = own.as_ref().map_or(fd, AsFd::as_fd);
    let end = Instant::now() + patience;
    while !data.is_empty() {
        let left = i32::try_from(end.saturating_duration_since(Instant::now()).as_millis()).unwrap_or(i32::MAX);
        let mut set = [Poll { fd: target.as_raw_fd(), read: false, write: true, ready: false }];
        poll(&mut set, Some(left))?;
        if !set[0].ready {
            match Instant::now() < end {
                // A signal interrupted the wait.
                true => continue,
                false => return Err(Errno(libc::ETIMEDOUT)),
            }
        }
        // A pipe that polls as writable takes this many bytes at once: PIPE_BUF of pipe(7).
        let part = data.get(..libc::PIPE_BUF).unwrap_or(data);
        let written = match socket {
            true => send(fd.as_raw_fd(), part, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT).map_err(Errno::from),
            false => write_some(target, part),
        };
        match written {
            Ok(n) => data = data.get(n..).unwrap_or_default(),
            Err(Errno(libc::EINTR)) => {}
            Err(Errno(libc::EAGAIN)) if Instant::now() < end => std::thread::sleep(Duration::from_millis(1)),
            Err(Errno(libc::EAGAIN)) => return Err(Errno(libc::ETIMEDOUT)),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use std::os::unix::net::UnixStream;

    const SHORT: Duration = Duration::from_millis(50);

    #[test]
    fn only_a_regular_file_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let (file, fifo) = (dir.path().join("file"), dir.path().join("fifo"));
        std::fs::write(&file, "some text").unwrap();
        nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        assert_eq!(read_start(&file, 4).unwrap(), b"some");
        assert_eq!(read_start(&file, 100).unwrap(), b"some text");
        for path in [&fifo, dir.path(), Path::new("/dev/null")] {
            assert_eq!(read_start(path, 4), Err(Errno(libc::EINVAL)), "{}", path.display());
        }
        assert_eq!(read_start(&dir.path().join("none"), 4), Err(Errno(libc::ENOENT)));
    }

    #[test]
    fn a_reader_that_does_not_read_is_not_waited_for() {
        let (_reader, pipe) = crate::sys::pipe().unwrap();
        let (_peer, socket) = UnixStream::pair().unwrap();
        for fd in [pipe.as_fd(), socket.as_fd()] {
            assert_eq!(write_within(fd, b"line\n", SHORT), Ok(()));
            assert_eq!(write_within(fd, &vec![0; 1 << 20], SHORT), Err(Errno(libc::ETIMEDOUT)));
            assert_eq!(write_within(fd, b"line\n", SHORT), Err(Errno(libc::ETIMEDOUT)));
        }
        let flags = nix::fcntl::fcntl(&pipe, nix::fcntl::FcntlArg::F_GETFL).unwrap();
        assert_eq!(flags & libc::O_NONBLOCK, 0, "the flags that others share stay");
        let file = tempfile::tempfile().unwrap();
        assert_eq!(write_within(file.as_fd(), &vec![0; 1 << 20], SHORT), Ok(()));
    }
}
