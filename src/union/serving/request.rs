//! Requests of the kernel, as they come by /dev/fuse: linux/fuse.h.
//!
//! A request is a head, numbers in the order of the processor, and names that each end with a NUL. What is too short or has a name that
//! no directory can have is refused with EINVAL, and what is not known with ENOSYS.

use crate::sys::{Errno, NewTime, Result};
use std::ffi::CStr;

/// The size of a request's head.
const HEAD: usize = 40;

/// A request.
#[derive(Debug)]
pub struct Request<'r> {
    /// Number of the operation.
    opcode: u32,
    /// By which the answer names the request.
    pub unique: u64,
    /// The file that it is about.
    pub node: u64,
    /// The ids of the process that asks, in the user namespace of the mount.
    pub ids: (u32, u32),
    /// What follows the head.
    body: &'r [u8],
}

/// What the first request says of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Init {
    /// Version of the protocol.
    pub version: (u32, u32),
    /// The largest read-ahead in bytes.
    pub readahead: u32,
    /// What the kernel can do.
    pub flags: u64,
}

/// Attributes that are to be changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Permissions.
    pub mode: Option<u32>,
    /// User id.
    pub uid: Option<u32>,
    /// Group id.
    pub gid: Option<u32>,
    /// Size.
    pub size: Option<u64>,
    /// Time of the last access.
    pub accessed: NewTime,
    /// Time of the last change.
    pub modified: NewTime,
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Operation<'r> {
    Init(Init),
    Destroy,
    Lookup {
        name: &'r CStr,
    },
    Forget(Forgotten<'r>),
    GetAttributes,
    SetAttributes(Attributes),
    ReadLink,
    Symlink {
        name: &'r CStr,
        target: &'r CStr,
    },
    MakeNode {
        name: &'r CStr,
        mode: u32,
        umask: u32,
    },
    MakeDir {
        name: &'r CStr,
        mode: u32,
        umask: u32,
    },
    Unlink {
        name: &'r CStr,
    },
    RemoveDir {
        name: &'r CStr,
    },
    Rename {
        name: &'r CStr,
        to: u64,
        new: &'r CStr,
        flags: u32,
    },
    Link {
        from: u64,
        name: &'r CStr,
    },
    Open {
        flags: i32,
    },
    Create {
        name: &'r CStr,
        flags: i32,
        mode: u32,
        umask: u32,
    },
    /// A file without a name: O_TMPFILE.
    CreateTemporary {
        flags: i32,
        mode: u32,
        umask: u32,
    },
    /// `handle`: what the answer to [`Operation::Open`] gave.
    Read {
        handle: u64,
        offset: u64,
        size: u32,
    },
    Write {
        offset: u64,
        data: &'r [u8],
        strip: bool,
    },
    Release,
    /// `data`: as fdatasync(2).
    Sync {
        data: bool,
    },
    StatFs,
    SetXattr {
        name: &'r CStr,
        value: &'r [u8],
        flags: i32,
    },
    GetXattr {
        name: &'r CStr,
        size: u32,
    },
    ListXattrs {
        size: u32,
    },
    RemoveXattr {
        name: &'r CStr,
    },
    ReadDir {
        offset: u64,
        size: u32,
    },
    ReadDirPlus {
        offset: u64,
        size: u32,
    },
    Allocate {
        offset: u64,
        length: u64,
        flags: i32,
    },
    Seek {
        handle: u64,
        offset: u64,
        whence: u32,
    },
    CopyRange {
        from: u64,
        to: u64,
        to_node: u64,
        length: u64,
    },
    Ioctl,
}

/// Nodes that the kernel has forgotten, and how often each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten<'r> {
    first: Option<(u64, u64)>,
    rest: &'r [u8],
}

impl Iterator for Forgotten<'_> {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let mut fields = Fields(self.rest);
        let found = (fields.u64().ok()?, fields.u64().ok()?);
        self.rest = fields.0;
        Some(found)
    }
}

/// What is left of a request's body.
struct Fields<'r>(&'r [u8]);

impl<'r> Fields<'r> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>().ok_or(Errno(libc::EINVAL))?;
        self.0 = rest;
        Ok(*array)
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_ne_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_ne_bytes)
    }

    fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_ne_bytes)
    }

    fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_ne_bytes)
    }

    fn skip(&mut self, bytes: usize) -> Result<()> {
        self.0 = self.0.get(bytes..).ok_or(Errno(libc::EINVAL))?;
        Ok(())
    }

    fn text(&mut self) -> Result<&'r CStr> {
        let text = CStr::from_bytes_until_nul(self.0).map_err(|_| Errno(libc::EINVAL))?;
        self.skip(text.count_bytes() + 1)?;
        Ok(text)
    }

    /// A name in a directory. The kernel sends no others; what does not lead out of the directory cannot do harm.
    fn name(&mut self) -> Result<&'r CStr> {
        let name = self.text()?;
        match name.to_bytes() {
            b"" | b"." | b".." => Err(Errno(libc::EINVAL)),
            bytes if bytes.contains(&b'/') => Err(Errno(libc::EINVAL)),
            _ => Ok(name),
        }
    }
}

impl<'r> Request<'r> {
    /// The head of a request.
    ///
    /// # Errors
    ///
    /// EINVAL: it is none, and nothing can be answered.
    pub fn new(bytes: &'r [u8]) -> Result<Request<'r>> {
        let body = bytes.get(HEAD..).ok_or(Errno(libc::EINVAL))?;
        let mut head = Fields(bytes);
        head.skip(4)?;
        let (opcode, unique, node) = (head.u32()?, head.u64()?, head.u64()?);
        Ok(Request { opcode, unique, node, ids: (head.u32()?, head.u32()?), body })
    }

    /// Whether the kernel waits for an answer.
    pub fn is_answered(&self) -> bool {
        !matches!(self.opcode, 2 | 42)
    }

    /// What is asked for.
    ///
    /// # Errors
    ///
    /// ENOSYS: it is not known here. EINVAL: it is no request.
    pub fn operation(&self) -> Result<Operation<'r>> {
        let mut body = Fields(self.body);
        Ok(match self.opcode {
            1 => Operation::Lookup { name: body.name()? },
            2 => Operation::Forget(Forgotten { first: Some((self.node, body.u64()?)), rest: &[] }),
            3 => Operation::GetAttributes,
            4 => Operation::SetAttributes(attributes(&mut body)?),
            5 => Operation::ReadLink,
            6 => Operation::Symlink { name: body.name()?, target: body.text()? },
            8 => {
                let (mode, _device, umask) = (body.u32()?, body.u32()?, body.u32()?);
                body.skip(4)?;
                Operation::MakeNode { mode, umask, name: body.name()? }
            }
            9 => Operation::MakeDir { mode: body.u32()?, umask: body.u32()?, name: body.name()? },
            10 => Operation::Unlink { name: body.name()? },
            11 => Operation::RemoveDir { name: body.name()? },
            12 => Operation::Rename { to: body.u64()?, flags: 0, name: body.name()?, new: body.name()? },
            13 => Operation::Link { from: body.u64()?, name: body.name()? },
            14 => Operation::Open { flags: body.i32()? },
            15 => {
                let (handle, offset, size) = (body.u64()?, body.u64()?, body.u32()?);
                Operation::Read { handle, offset, size }
            }
            16 => {
                let (_handle, offset, size, flags) = (body.u64()?, body.u64()?, body.u32()?, body.u32()?);
                body.skip(16)?;
                let data = body.0.get(..size as usize).ok_or(Errno(libc::EINVAL))?;
                // FUSE_WRITE_KILL_SUIDGID
                Operation::Write { offset, data, strip: flags & 1 << 2 != 0 }
            }
            17 => Operation::StatFs,
            18 | 29 => Operation::Release,
            20 | 30 => {
                body.skip(8)?;
                Operation::Sync { data: body.u32()? & 1 != 0 }
            }
            21 => {
                let (size, flags, name) = (body.u32()?, body.i32()?, body.text()?);
                let value = body.0.get(..size as usize).ok_or(Errno(libc::EINVAL))?;
                Operation::SetXattr { name, value, flags }
            }
            22 => {
                let size = body.u32()?;
                body.skip(4)?;
                Operation::GetXattr { size, name: body.text()? }
            }
            23 => Operation::ListXattrs { size: body.u32()? },
            24 => Operation::RemoveXattr { name: body.text()? },
            26 => {
                let (version, readahead, flags) = ((body.u32()?, body.u32()?), body.u32()?, body.u32()?);
                let more = body.u32().unwrap_or(0);
                Operation::Init(Init { version, readahead, flags: u64::from(flags) | u64::from(more) << 32 })
            }
            28 | 44 => {
                body.skip(8)?;
                let (offset, size) = (body.u64()?, body.u32()?);
                match self.opcode {
                    28 => Operation::ReadDir { offset, size },
                    _ => Operation::ReadDirPlus { offset, size },
                }
            }
            35 | 51 => {
                let (flags, mode, umask) = (body.i32()?, body.u32()?, body.u32()?);
                body.skip(4)?;
                match self.opcode {
                    35 => Operation::Create { flags, mode, umask, name: body.name()? },
                    _ => Operation::CreateTemporary { flags, mode, umask },
                }
            }
            38 => Operation::Destroy,
            39 => Operation::Ioctl,
            42 => {
                body.skip(8)?;
                Operation::Forget(Forgotten { first: None, rest: body.0 })
            }
            43 => {
                body.skip(8)?;
                Operation::Allocate { offset: body.u64()?, length: body.u64()?, flags: body.i32()? }
            }
            45 => {
                let (to, flags) = (body.u64()?, body.u32()?);
                body.skip(4)?;
                Operation::Rename { to, flags, name: body.name()?, new: body.name()? }
            }
            46 => Operation::Seek { handle: body.u64()?, offset: body.u64()?, whence: body.u32()? },
            47 => {
                body.skip(8)?;
                let (from, to_node) = (body.u64()?, body.u64()?);
                body.skip(8)?;
                Operation::CopyRange { from, to_node, to: body.u64()?, length: body.u64()? }
            }
            _ => return Err(Errno(libc::ENOSYS)),
        })
    }
}

/// Whether SEEK_HOLE, and not SEEK_DATA, is asked for. All others are the kernel's own business.
///
/// # Errors
///
/// EINVAL: neither is.
pub fn is_hole(whence: u32) -> Result<bool> {
    match whence as i32 {
        libc::SEEK_DATA => Ok(false),
        libc::SEEK_HOLE => Ok(true),
        _ => Err(Errno(libc::EINVAL)),
    }
}

fn attributes(body: &mut Fields<'_>) -> Result<Attributes> {
    let valid = body.u32()?;
    // Padding, a handle.
    body.skip(12)?;
    let size = body.u64()?;
    // The owner of a lock.
    body.skip(8)?;
    let (accessed, modified, _changed) = (body.i64()?, body.i64()?, body.i64()?);
    let (accessed_rest, modified_rest, _changed_rest) = (body.u32()?, body.u32()?, body.u32()?);
    let mode = body.u32()?;
    body.skip(4)?;
    let (uid, gid) = (body.u32()?, body.u32()?);
    let is = |bit: u32| valid & 1 << bit != 0;
    // FATTR_ATIME, FATTR_MTIME; FATTR_ATIME_NOW, FATTR_MTIME_NOW.
    let time = |bit, now, seconds, rest: u32| match (is(bit), is(now)) {
        (false, _) => None,
        (true, true) => Some((0, libc::UTIME_NOW)),
        (true, false) => Some((seconds, rest.min(999_999_999).into())),
    };
    Ok(Attributes {
        mode: is(0).then_some(mode),
        uid: is(1).then_some(uid),
        gid: is(2).then_some(gid),
        size: is(3).then_some(size),
        accessed: time(4, 7, accessed, accessed_rest),
        modified: time(5, 8, modified, modified_rest),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(opcode: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = (HEAD as u32 + body.len() as u32).to_ne_bytes().to_vec();
        bytes.extend(opcode.to_ne_bytes());
        bytes.extend([8_u64, 9].iter().flat_map(|number| number.to_ne_bytes()));
        bytes.extend([10_u32, 11, 12, 0].iter().flat_map(|number| number.to_ne_bytes()));
        bytes.extend(body);
        bytes
    }

    fn refused(opcode: u32, body: &[u8]) -> Option<i32> {
        Request::new(&request(opcode, body)).unwrap().operation().err().map(|errno| errno.0)
    }

    #[test]
    fn the_head_says_who_asks_for_what_of_which_file() {
        let bytes = request(1, b"name\0");
        let request = Request::new(&bytes).unwrap();
        assert_eq!((request.unique, request.node, request.ids), (8, 9, (10, 11)));
        assert_eq!(request.operation().unwrap(), Operation::Lookup { name: c"name" });
        assert!(request.is_answered());
    }

    #[test]
    fn what_is_too_short_and_what_is_not_known_is_refused() {
        assert!(Request::new(&[0; HEAD - 1]).is_err());
        for opcode in 0..60 {
            let all = request(opcode, &[b'x'; 200]);
            for length in HEAD..all.len() {
                let _ = Request::new(&all[..length]).unwrap().operation();
            }
        }
        assert_eq!(refused(4, &[0; 83]), Some(libc::EINVAL));
        assert_eq!(refused(4, &[0; 88]), None);
        assert_eq!(refused(16, &[255; 60]), Some(libc::EINVAL), "fewer bytes than the number of them");
        assert_eq!(refused(53, &[]), Some(libc::ENOSYS));
    }

    #[test]
    fn names_that_lead_out_of_a_directory_are_refused() {
        for name in [&b"\0"[..], b".\0", b"..\0", b"../x\0", b"a/b\0", b"/\0", b"without its end"] {
            assert_eq!(refused(1, name), Some(libc::EINVAL), "{name:?}");
        }
        assert_eq!(refused(1, b"...\0"), None);
        assert_eq!(refused(1, b"\xff\n\0"), None);
    }

    #[test]
    fn times_at_the_ends_of_what_there_is_are_taken_as_they_are() {
        for (seconds, rest) in
            [(i64::MIN, 0), (i64::MIN, 999_999_999), (i64::MAX, 0), (i64::MAX, 999_999_999), (-1, 500)]
        {
            let mut body = [0; 88];
            body[0] = 1 << 5;
            body[40..48].copy_from_slice(&seconds.to_ne_bytes());
            body[60..64].copy_from_slice(&u32::to_ne_bytes(rest));
            let bytes = request(4, &body);
            let Operation::SetAttributes(found) = Request::new(&bytes).unwrap().operation().unwrap() else { panic!() };
            assert_eq!(found, Attributes { modified: Some((seconds, rest.into())), ..Attributes::default() });
        }
    }

    #[test]
    fn many_nodes_are_forgotten_at_once() {
        let numbers = [2_u64, 5, 1, 6, 3].iter().flat_map(|number| number.to_ne_bytes()).collect::<Vec<_>>();
        let bytes = request(42, &numbers);
        let request = Request::new(&bytes).unwrap();
        let Operation::Forget(forgotten) = request.operation().unwrap() else { panic!() };
        assert_eq!(forgotten.collect::<Vec<_>>(), [(5, 1), (6, 3)]);
        assert!(!request.is_answered());
    }
}
