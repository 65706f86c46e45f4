//! Passes a tar stream on: what comes from a sandbox is written anew, entry by entry, so that what arrives is a stream with nothing in it that [`super::put()`]
//! would not write.

use super::entry::{Head, Kind, entries};
use super::take::written;
use super::{LeftOut, leave_out};
use crate::archive::append_link;
use crate::error::Result;
use std::ffi::{CString, OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// Writes the stream anew. Gives what is left out.
///
/// # Errors
///
/// The stream is damaged, or cannot be written.
pub fn pass(input: impl Read, output: impl Write) -> Result<LeftOut> {
    let mut tar = Builder::new(output);
    let mut left_out = Vec::new();
    entries(input, |head, content| {
        let path = joined(&head.path);
        if let Kind::Other(why) = head.kind {
            leave_out(&mut left_out, &path, why);
            return Ok(());
        }
        append(&mut tar, &head, Path::new(&path), content).map_err(|error| written(&error))
    })?;
    tar.finish().and_then(|()| tar.get_mut().flush()).map_err(|error| written(&error))?;
    Ok(left_out)
}

fn joined(path: &[CString]) -> OsString {
    let parts: Vec<_> = path.iter().map(|part| part.to_bytes()).collect();
    match parts.as_slice() {
        [] => ".".into(),
        parts => OsStr::from_bytes(&parts.join(&b'/')).to_owned(),
    }
}

fn append<W: Write>(tar: &mut Builder<W>, head: &Head, path: &Path, content: &mut dyn Read) -> std::io::Result<()> {
    let (seconds, nanoseconds) = head.modified;
    if nanoseconds > 0 && seconds >= 0 {
        tar.append_pax_extensions([("mtime", format!("{seconds}.{nanoseconds:09}").as_bytes())])?;
    }
    let mut header = Header::new_gnu();
    header.set_mode(head.mode);
    header.set_mtime(u64::try_from(seconds).unwrap_or(0));
    header.set_size(0);
    match &head.kind {
        Kind::Dir => {
            header.set_entry_type(EntryType::Directory);
            tar.append_data(&mut header, path, std::io::empty())
        }
        Kind::Link(text) => {
            header.set_entry_type(EntryType::Symlink);
            append_link(tar, &mut header, path, OsStr::from_bytes(text.to_bytes()))
        }
        Kind::Name(first) => {
            header.set_entry_type(EntryType::Link);
            tar.append_link(&mut header, path, joined(first))
        }
        Kind::File | Kind::Other(_) => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(head.size);
            // Exactly as long as it says: else what follows would be read as something else.
            let mut counted = Counted { content, left: head.size };
            tar.append_data(&mut header, path, &mut counted)
        }
    }
}

/// A content that is an error if it is shorter than was said.
struct Counted<'c> {
    content: &'c mut dyn Read,
    left: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.content.read(buffer)?;
        if count == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}
