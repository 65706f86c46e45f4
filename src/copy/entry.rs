//! Reads a tar stream that anybody may have written: entry by entry, with names of bounded length and paths that lead nowhere else.

use super::{DEEPEST, OF_THE_STREAM, permissions};
use crate::error::{Error, Result};
use std::ffi::CString;
use std::io::Read;
use tar::{Archive, Entry, EntryType, PaxExtensions};

/// The longest path or text of a link, and the longest list of extensions, in bytes.
const LONGEST: u64 = 4096;
const LONGEST_EXTENSIONS: u64 = 1 << 20;

/// What an entry is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Dir,
    /// A symbolic link with this text.
    Link(CString),
    /// Another name of the file with this path in the same stream.
    Name(Vec<CString>),
    /// What is left out, and what it is.
    Other(&'static str),
}

/// The head of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// The parts of its path, without `.`; empty for the top itself.
    pub path: Vec<CString>,
    pub kind: Kind,
    /// The permissions, without set-user-ID, set-group-ID and sticky bits.
    pub mode: u32,
    /// When its content was changed: seconds since 1970, nanoseconds.
    pub modified: (i64, u32),
    pub size: u64,
}

/// Calls `each` for each entry of a stream, which may read the content.
///
/// # Errors
///
/// The stream is none, or `each` fails.
pub(super) fn entries<R: Read>(input: R, mut each: impl FnMut(Head, &mut dyn Read) -> Result<()>) -> Result<()> {
    let mut archive = Archive::new(input);
    let broken = |error: std::io::Error| broken(&error.to_string());
    // What extensions say of the entry that follows.
    let mut next = Extended::default();
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        match entry.header().entry_type() {
            EntryType::GNULongName => next.path = Some(text(&mut entry, LONGEST)?),
            EntryType::GNULongLink => next.link = Some(text(&mut entry, LONGEST)?),
            EntryType::XHeader => next.read(&text(&mut entry, LONGEST_EXTENSIONS)?)?,
            EntryType::XGlobalHeader => {}
            kind => {
                let head = head(&entry, kind, std::mem::take(&mut next))?;
                each(head, &mut entry)?;
            }
        }
    }
    Ok(())
}

fn broken(why: &str) -> Error {
    Error::new(format!("this is no tar stream, or a damaged one: {}", crate::error::printable(why)))
        .status(OF_THE_STREAM)
}

/// What extensions say.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    modified: Option<(i64, u32)>,
}

impl Extended {
    /// Reads a list of extensions: pax(1).
    fn read(&mut self, text: &[u8]) -> Result<()> {
        for one in PaxExtensions::new(text) {
            let one = one.map_err(|error| broken(&error.to_string()))?;
            let value = one.value_bytes();
            match one.key_bytes() {
                b"path" if value.len() as u64 <= LONGEST => self.path = Some(value.to_vec()),
                b"linkpath" if value.len() as u64 <= LONGEST => self.link = Some(value.to_vec()),
                b"path" | b"linkpath" => return Err(broken("a path is too long")),
                b"mtime" => self.modified = time(value),
                b"size" => return Err(broken("the size of a file is in an extension, which sbx does not read")),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A time as extensions have it: `-1.5`.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let digits: String = rest.chars().chain("000000000".chars()).take(9).collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    match (whole.starts_with('-'), nanoseconds) {
        (true, 1..) => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds)),
        _ => Some((seconds, nanoseconds)),
    }
}

/// The content of an entry that is a text, without the NUL at its end.
fn text<R: Read>(entry: &mut Entry<'_, R>, most: u64) -> Result<Vec<u8>> {
    if entry.header().entry_size().map_or(true, |size| size > most) {
        return Err(broken("a path is too long"));
    }
    let mut bytes = Vec::new();
    entry.take(most).read_to_end(&mut bytes).map_err(|error| broken(&error.to_string()))?;
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    Ok(bytes)
}

fn head<R: Read>(entry: &Entry<'_, R>, kind: EntryType, extended: Extended) -> Result<Head> {
    let header = entry.header();
    let failed = |error: std::io::Error| broken(&error.to_string());
    let name = extended.path.unwrap_or_else(|| header.path_bytes().into_owned());
    let link = || extended.link.clone().or_else(|| header.link_name_bytes().map(|bytes| bytes.into_owned()));
    let kind = match kind {
        // Old streams have directories as files whose names end so.
        EntryType::Regular | EntryType::Continuous if name.ends_with(b"/") => Kind::Dir,
        EntryType::Regular | EntryType::Continuous => Kind::File,
        EntryType::Directory => Kind::Dir,
        EntryType::Symlink => match link().and_then(|text| CString::new(text).ok()).filter(|text| !text.is_empty()) {
            Some(text) => Kind::Link(text),
            None => Kind::Other("a link without a text"),
        },
        EntryType::Link => match link().and_then(|text| parts(&text)) {
            Some(path) if !path.is_empty() => Kind::Name(path),
            _ => Kind::Other("another name of a file that is not in the stream"),
        },
        EntryType::Char | EntryType::Block => Kind::Other("a device, which is not copied"),
        EntryType::Fifo => Kind::Other("a named pipe, which is not copied"),
        EntryType::GNUSparse => Kind::Other("a file with holes in a form that sbx does not read"),
        _ => Kind::Other("something that sbx does not know"),
    };
    let (path, kind) = match parts(&name) {
        Some(path) if path.len() > DEEPEST + 1 => (path, Kind::Other("its directories lie too deep in each other")),
        Some(path) => (path, kind),
        None => (CString::new(name).into_iter().collect(), Kind::Other("its path leads out of the directory")),
    };
    let is_dir = matches!(kind, Kind::Dir);
    Ok(Head {
        path,
        kind,
        mode: permissions(header.mode().map_err(failed)?, is_dir),
        modified: match extended.modified {
            Some(time) => time,
            None => (i64::try_from(header.mtime().map_err(failed)?).unwrap_or(0), 0),
        },
        size: header.entry_size().map_err(failed)?,
    })
}

/// The parts of a path below a directory; one from `/` on begins there, too. None if it has `..` or a NUL.
fn parts(path: &[u8]) -> Option<Vec<CString>> {
    let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.map(|part| if part == b".." { None } else { CString::new(part).ok() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn c(parts: &[&str]) -> Vec<CString> {
        parts.iter().map(|part| CString::new(*part).unwrap()).collect()
    }

    #[test]
    fn a_path_stays_below_the_directory() {
        assert_eq!(parts(b"./a//b/"), Some(c(&["a", "b"])));
        assert_eq!(parts(b"/etc/passwd"), Some(c(&["etc", "passwd"])));
        assert_eq!((parts(b"."), parts(b"a/../b"), parts(b"..")), (Some(c(&[])), None, None));
    }

    #[test]
    fn times_before_1970_and_with_fractions_are_read() {
        assert_eq!(time(b"12.5"), Some((12, 500_000_000)));
        assert_eq!(time(b"-1.25"), Some((-2, 750_000_000)));
        assert_eq!((time(b"-3"), time(b"7.1234567899"), time(b"x")), (Some((-3, 0)), Some((7, 123_456_789)), None));
    }

    #[test]
    fn damaged_streams_are_errors_and_no_panic() {
        let mut stream = Vec::new();
        let mut builder = tar::Builder::new(&mut stream);
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o6755);
        header.set_size(3);
        builder.append_pax_extensions([("mtime", b"5.5".as_slice())]).unwrap();
        builder.append_data(&mut header, "x".repeat(300), b"abc".as_slice()).unwrap();
        builder.finish().unwrap();
        drop(builder);
        let mut found = Vec::new();
        let keep = |head, _: &mut dyn std::io::Read| {
            found.push(head);
            Ok(())
        };
        entries(stream.as_slice(), keep).unwrap();
        assert_eq!((found[0].mode, found[0].modified, found[0].size), (0o755, (5, 500_000_000), 3));
        assert_eq!(found[0].path, c(&[&"x".repeat(300)]));
        for at in (0..stream.len()).step_by(7) {
            for value in [0, 0x37, 0xff] {
                let mut stream = stream.clone();
                stream[at] = value;
                let _ = entries(stream.as_slice(), |_, content| {
                    std::io::copy(content, &mut std::io::sink()).map(drop).map_err(|error| broken(&error.to_string()))
                });
            }
        }
        // A name of many gigabytes, of which nothing is kept.
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::GNULongName);
        header.set_size(1 << 40);
        header.set_cksum();
        let endless = std::io::Read::chain(header.as_bytes().as_slice(), std::io::repeat(b'a'));
        assert!(entries(endless, |_, _| Ok(())).is_err());
    }
}
