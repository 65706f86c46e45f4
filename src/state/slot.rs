//! A file of fixed size that holds one value as JSON and is written in place: its blocks are reserved when it is made, so that a disk which has
//! become full since then keeps nobody from writing it.
//!
//! A reader may see half of the old value and half of the new one, after a crash for ever. So the value stands between two equal numbers, and what
//! does not is taken for not readable.

use crate::sys::{self, Errno};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// The size of such a file, in bytes.
const SIZE: usize = 8192;

/// How often a file is read that is being written.
const ATTEMPTS: u32 = 20;

/// What such a file holds.
#[derive(Serialize, Deserialize)]
struct Framed<T> {
    number: u64,
    value: T,
    end: u64,
}

/// Makes such a file, which holds nothing yet. It must not exist.
pub(super) fn make(dir: BorrowedFd<'_>, name: &CStr) -> sys::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
    let file = sys::openat(dir, name, flags, 0o600)?;
    let reserved = match sys::allocate(file.as_fd(), 0, 0, SIZE as u64) {
        // A filesystem without fallocate(2).
        Err(Errno(libc::EOPNOTSUPP)) => Ok(()),
        other => other,
    };
    match reserved.and_then(|()| put(file.as_fd(), &[])) {
        Ok(()) => Ok(file),
        Err(errno) => {
            // One that is there counts as reserved.
            let _ = sys::unlink(dir, name, false);
            Err(errno)
        }
    }
}

/// Writes a value.
pub(super) fn write<T: Serialize>(file: BorrowedFd<'_>, value: &T) -> sys::Result<()> {
    put(file, &text(sys::monotonic_nanoseconds(), value)?)
}

/// Whether a value can be written, whatever number stands around it.
pub(super) fn fits<T: Serialize>(value: &T) -> bool {
    text(u64::MAX, value).is_ok()
}

/// What is written: EFBIG if there is no room for it.
fn text<T: Serialize>(number: u64, value: &T) -> sys::Result<Vec<u8>> {
    let text = serde_json::to_vec(&Framed { number, value, end: number }).map_err(|_| Errno(libc::EINVAL))?;
    if text.len() >= SIZE { Err(Errno(libc::EFBIG)) } else { Ok(text) }
}

/// Writes a text in one call, with spaces and a line break behind it.
fn put(file: BorrowedFd<'_>, text: &[u8]) -> sys::Result<()> {
    let mut all = vec![b' '; SIZE];
    all.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
    if let Some(last) = all.last_mut() {
        *last = b'\n';
    }
    let mut at = 0;
    while at < all.len() {
        at += sys::write_at(file, all.get(at..).unwrap_or_default(), at as u64)?;
    }
    Ok(())
}

/// What such a file holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read<T> {
    Value(T),
    /// It holds nothing yet.
    Nothing,
    /// What it holds is no value of this kind.
    Broken,
}

/// Reads an open file of this kind.
pub(super) fn read<T: DeserializeOwned>(file: BorrowedFd<'_>) -> Read<T> {
    let mut buffer = [0; SIZE];
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let Ok(length) = sys::read_at(file, &mut buffer, 0) else { return Read::Broken };
        let text = buffer.get(..length).unwrap_or_default().trim_ascii();
        if text.is_empty() {
            return Read::Nothing;
        }
        if let Ok(framed) = serde_json::from_slice::<Framed<T>>(text)
            && framed.number == framed.end
        {
            return Read::Value(framed.value);
        }
    }
    Read::Broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_value_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let open = std::fs::File::open(dir.path()).unwrap();
        let file = make(open.as_fd(), c"x").unwrap();
        assert_eq!(read::<Vec<u32>>(file.as_fd()), Read::Nothing);
        write(file.as_fd(), &vec![1, 2, 3]).unwrap();
        assert_eq!(read(file.as_fd()), Read::Value(vec![1, 2, 3]));
        write(file.as_fd(), &vec![7]).unwrap();
        assert_eq!(read(file.as_fd()), Read::Value(vec![7]));
        assert_eq!(read::<String>(file.as_fd()), Read::Broken, "a value of another kind");
        let path = dir.path().join("x");
        for text in ["{\"number\":1,\"value\":[7],\"end\":2}", "{\"number\":1,\"val", "\0\0\0", "x"] {
            std::fs::write(&path, text).unwrap();
            let file = std::fs::File::open(&path).unwrap();
            assert_eq!(read::<Vec<u32>>(file.as_fd()), Read::Broken, "{text}");
        }
        let long = vec!["x".repeat(SIZE)];
        assert_eq!(write(file.as_fd(), &long), Err(Errno(libc::EFBIG)));
    }
}
