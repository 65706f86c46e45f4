//! The submodules that git's index holds: gitformat-index(5). Git enters the repository of each of them, whatever
//! `.gitmodules` says.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The mode of an entry that is a submodule.
const GITLINK: u32 = 0o160_000;

/// Why an index could not be read, as a part of a sentence.
type Wrong = &'static str;

const SHORT: Wrong = "it ends too early";

/// What an index holds of submodules.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    /// Their paths in the working copy.
    pub gitlinks: Vec<PathBuf>,
    /// The file that holds other entries.
    pub shared: Option<Shared>,
}

/// A file beside the index that holds most of its entries ("split index").
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shared {
    /// The name of that file, which lies in the directory of the repository.
    pub name: String,
    /// Entries of that file, by their numbers in rising order, that are submodules by the index itself, which does not
    /// repeat their names.
    pub replaced: Vec<usize>,
}

/// Reads an index whose object names have `hash` bytes.
///
/// # Errors
///
/// Its format is none that is known here.
pub(super) fn read(bytes: &[u8], hash: usize) -> Result<Index, Wrong> {
    let mut index = Index::default();
    let mut unnamed = Vec::new();
    let extensions = entries(bytes, hash, |number, path| match path {
        [] => unnamed.push(number),
        path => index.gitlinks.push(OsStr::from_bytes(path).into()),
    })?;
    index.shared = link(extensions, hash, &unnamed)?;
    match index.shared.is_none() && !unnamed.is_empty() {
        true => Err("an entry has no name"),
        false => Ok(index),
    }
}

/// Reads a shared index, `replaced` being the numbers of entries that are submodules whatever this file says.
///
/// # Errors
///
/// Its format is none that is known here.
pub(super) fn read_shared(bytes: &[u8], hash: usize, replaced: &[usize]) -> Result<Vec<PathBuf>, Wrong> {
    let mut found = Vec::new();
    let mut add = |path: &[u8]| found.push(OsStr::from_bytes(path).into());
    let mut rest = replaced;
    every_entry(bytes, hash, |number, mode, path| {
        let is_replaced = rest.first() == Some(&number);
        rest = &rest[usize::from(is_replaced)..];
        if is_replaced || mode == GITLINK {
            add(path);
        }
    })?;
    match rest {
        [] => Ok(found),
        _ => Err("an entry that is replaced is not there"),
    }
}

/// Calls `found` with the number and the path of each submodule, and gives the extensions.
fn entries(bytes: &[u8], hash: usize, mut found: impl FnMut(usize, &[u8])) -> Result<&[u8], Wrong> {
    every_entry(bytes, hash, |number, mode, path| {
        if mode == GITLINK {
            found(number, path);
        }
    })
}

/// Calls `found` with the number, the mode and the path of each entry, and gives the extensions.
fn every_entry(bytes: &[u8], hash: usize, mut found: impl FnMut(usize, u32, &[u8])) -> Result<&[u8], Wrong> {
    let (header, _) = bytes.split_first_chunk::<12>().ok_or(SHORT)?;
    if !header.starts_with(b"DIRC") {
        return Err("it does not begin with DIRC");
    }
    let version = number(&header[4..]);
    if !(2..=4).contains(&version) {
        return Err("it is of another version than 2, 3 and 4");
    }
    let body = bytes.get(..bytes.len().saturating_sub(hash)).filter(|body| body.len() >= 12).ok_or(SHORT)?;
    let mut rest = &body[12..];
    let mut path = Vec::new();
    for entry in 0..number(&header[8..]) as usize {
        // Times, device and inode; the mode; owner, group and size; the object's name; flags.
        let mode = number(rest.get(24..28).ok_or(SHORT)?);
        let mut fixed = 40 + hash + 2;
        let flags = rest.get(40 + hash..fixed).ok_or(SHORT)?;
        if flags[0] & 0x40 != 0 {
            fixed += 2;
            if version == 2 {
                return Err("an entry has flags of a later version");
            }
        }
        let named = rest.get(fixed..).ok_or(SHORT)?;
        if version == 4 {
            let (cut, tail) = varint(named)?;
            let end = tail.iter().position(|byte| *byte == 0).ok_or(SHORT)?;
            path.truncate(path.len().checked_sub(cut).ok_or("a name is shorter than what is cut off from it")?);
            path.extend_from_slice(&tail[..end]);
            found(entry, mode, &path);
            rest = &tail[end + 1..];
            continue;
        }
        let mut length = usize::from(flags[0] & 0x0f) << 8 | usize::from(flags[1]);
        if length == 0x0fff {
            length = named.iter().position(|byte| *byte == 0).ok_or(SHORT)?;
        }
        found(entry, mode, named.get(..length).ok_or(SHORT)?);
        // One to eight zeros, up to a multiple of eight.
        rest = rest.get((fixed + length + 8) & !7..).ok_or(SHORT)?;
    }
    Ok(rest)
}

/// What the extensions say of a shared index, `unnamed` being the numbers of submodules without a name.
fn link(mut rest: &[u8], hash: usize, unnamed: &[usize]) -> Result<Option<Shared>, Wrong> {
    let mut shared = None;
    while !rest.is_empty() {
        let (header, tail) = rest.split_first_chunk::<8>().ok_or(SHORT)?;
        let size = number(&header[4..]) as usize;
        let content = tail.get(..size).ok_or(SHORT)?;
        match &header[..4] {
            b"link" => {
                let (name, maps) = content.split_at_checked(hash).ok_or(SHORT)?;
                if name.iter().any(|byte| *byte != 0) {
                    let (_, replaced) = bits(maps, 0)?;
                    let (all, _) = bits(replaced, unnamed.last().map_or(0, |last| last + 1))?;
                    let replaced: Option<_> = unnamed.iter().map(|number| all.get(*number).copied()).collect();
                    let name = name.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
                    let replaced = replaced.ok_or("an entry has no name")?;
                    shared = Some(Shared { name: format!("sharedindex.{name}"), replaced });
                }
            }
            // Directories that are left out of the working copy, with all that is in them.
            b"sdir" => {}
            // What may be ignored begins with an upper-case letter.
            [b'A'..=b'Z', ..] => {}
            _ => return Err("it has an extension that is not known here"),
        }
        rest = &tail[size..];
    }
    Ok(shared)
}

/// The places of the first `most` bits that are set in a compressed bitmap (EWAH), and what follows it.
fn bits(bytes: &[u8], most: usize) -> Result<(Vec<usize>, &[u8]), Wrong> {
    let (header, tail) = bytes.split_first_chunk::<8>().ok_or(SHORT)?;
    let size = (number(&header[4..]) as usize).checked_mul(8).ok_or(SHORT)?;
    let (words, rest) = tail.split_at_checked(size).ok_or(SHORT)?;
    // The place of the last marker, which only a writer needs.
    let rest = rest.get(4..).ok_or(SHORT)?;
    let mut words = words.as_chunks::<8>().0.iter().map(|word| u64::from_be_bytes(*word));
    let (mut found, mut at) = (Vec::new(), 0usize);
    while found.len() < most {
        // A marker: the bit that is repeated, for how many words, and how many words follow as they are.
        let Some(marker) = words.next() else { break };
        let repeated = (marker >> 1) as u32 as usize * 64;
        if marker & 1 != 0 {
            found.extend((at..at + repeated).take(most - found.len()));
        }
        at += repeated;
        for word in words.by_ref().take((marker >> 33) as usize) {
            found.extend((0..64).filter(|bit| word >> bit & 1 != 0).map(|bit| at + bit));
            at += 64;
        }
    }
    found.truncate(most);
    Ok((found, rest))
}

/// A number of 32 bits at the start of these bytes, of which there are at least four.
fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// A number of variable width, as that of an offset in a pack, and what follows it.
fn varint(bytes: &[u8]) -> Result<(usize, &[u8]), Wrong> {
    let mut value = 0usize;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        value = value << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Ok((value, &bytes[index + 1..]));
        }
        value += 1;
    }
    Err("a number has no end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_is_read_up_to_a_number_of_bits() {
        // Two words of ones, then 0b101, then one word of zeros, then 1.
        let words = [1 | 2 << 1 | 1 << 33, 0b101, 1 << 1 | 1 << 33, 1u64];
        let mut bytes = [0, 0, 0, 0, 0, 0, 0, 4].to_vec();
        words.iter().for_each(|word| bytes.extend(word.to_be_bytes()));
        bytes.extend([0, 0, 0, 0, b'x']);
        let all = (0..128).chain([128, 130, 256]).collect::<Vec<_>>();
        assert_eq!(bits(&bytes, 1000).unwrap(), (all, &b"x"[..]));
        assert_eq!(bits(&bytes, 5).unwrap().0, [0, 1, 2, 3, 4]);
        assert_eq!(bits(&bytes, 0).unwrap(), (vec![], &b"x"[..]));
        assert!(bits(&bytes[..30], 1).is_err());
    }

    #[test]
    fn a_number_of_variable_width_is_read() {
        assert_eq!(varint(&[0x7f, 9]).unwrap(), (127, &[9][..]));
        assert_eq!(varint(&[0x80, 0x00]).unwrap().0, 128);
        assert_eq!(varint(&[0x81, 0x00]).unwrap().0, 256);
        assert!(varint(&[0xff; 9]).is_err());
        assert!(varint(&[]).is_err());
    }

    #[test]
    fn what_is_no_index_is_told() {
        for bytes in [&b""[..], b"DIRC", b"DIRC\0\0\0\x05\0\0\0\0", b"XXXX\0\0\0\x02\0\0\0\0aaaaaaaaaaaaaaaaaaaa"] {
            read(bytes, 20).unwrap_err();
        }
        let with = |version: u8, count: u8, rest: &[u8]| {
            [b"DIRC\0\0\0", &[version, 0, 0, 0, count][..], rest, &[0; 20]].concat()
        };
        assert_eq!(read(&with(2, 0, b""), 20), Ok(Index::default()));
        assert_eq!(read(&with(2, 0, b"TREE\0\0\0\x01x"), 20), Ok(Index::default()));
        for rest in [&b"next\0\0\0\x01x"[..], b"TREE\0\0\0\x02x", b"TRE", b"link\0\0\0\x01x"] {
            read(&with(2, 0, rest), 20).unwrap_err();
        }
        read(&with(2, 1, b"TREE"), 20).unwrap_err();
    }
}
