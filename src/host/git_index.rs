//! The submodules that git's index holds: gitformat-index(5). Git enters the repository of each of them, whatever
//! `.gitmodules` says.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The mode of an entry that is a submodule.
const GITLINK: u32 = 0o160_000;

/// Why an index could not be read, as a part of a sentence.
type Wrong = &'static str;

const SHORT: Wrong = "it ends too early";
const LONG: Wrong = "a name in it is longer than any path";

/// How many submodules are found at most.
pub(super) const MOST: usize = 500;
/// How much of the extension that names a shared index is read, in bytes: a bit for each of a hundred million files.
const LARGEST_LINK: usize = 16 << 20;

/// What an index holds of submodules.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    /// Their paths in the working copy: the first [`MOST`] and one more.
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

/// Reads an index of this size, whose object names have `hash` bytes. Little of it is kept, whatever its size.
///
/// # Errors
///
/// Its format is none that is known here.
pub(super) fn read(index: impl Read, size: usize, hash: usize) -> Result<Index, Wrong> {
    let mut body = Body::new(index, size, hash)?;
    let mut found = Index::default();
    let mut unnamed = Vec::new();
    every_entry(&mut body, hash, |number, mode, path| match (mode, path) {
        (GITLINK, []) => unnamed.push(number),
        (GITLINK, path) => add(&mut found.gitlinks, path),
        _ => {}
    })?;
    found.shared = link(&mut body, hash, &unnamed)?;
    match found.shared.is_none() && !unnamed.is_empty() {
        true => Err("an entry has no name"),
        false => Ok(found),
    }
}

/// Reads a shared index, `replaced` being the numbers of entries that are submodules whatever this file says.
///
/// # Errors
///
/// Its format is none that is known here.
pub(super) fn read_shared(
    index: impl Read,
    size: usize,
    hash: usize,
    replaced: &[usize],
) -> Result<Vec<PathBuf>, Wrong> {
    let mut found = Vec::new();
    let mut rest = replaced;
    every_entry(&mut Body::new(index, size, hash)?, hash, |number, mode, path| {
        let is_replaced = rest.first() == Some(&number);
        rest = &rest[usize::from(is_replaced)..];
        if is_replaced || mode == GITLINK {
            add(&mut found, path);
        }
    })?;
    match rest {
        [] => Ok(found),
        _ => Err("an entry that is replaced is not there"),
    }
}

/// Adds a submodule, unless it has the name of the one before, or there are too many.
fn add(found: &mut Vec<PathBuf>, path: &[u8]) {
    if found.len() <= MOST && found.last().is_none_or(|last| last.as_os_str().as_bytes() != path) {
        found.push(OsStr::from_bytes(path).into());
    }
}

/// An index without the checksum at its end.
struct Body<R> {
    reader: BufReader<R>,
    /// How many bytes are left.
    left: usize,
}

impl<R: Read> Body<R> {
    fn new(index: R, size: usize, hash: usize) -> Result<Body<R>, Wrong> {
        let left = size.checked_sub(hash).ok_or(SHORT)?;
        Ok(Body { reader: BufReader::with_capacity(1 << 16, index), left })
    }

    /// The next bytes, as many as there is room for.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Wrong> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(SHORT)?;
        self.reader.read_exact(bytes).map_err(|_| SHORT)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Adds what comes before the next zero, up to the length of the longest path, to these bytes. Gives how much that is.
    fn name(&mut self, out: &mut Vec<u8>) -> Result<usize, Wrong> {
        let (most, before) = (libc::PATH_MAX as usize, out.len());
        let read = self.reader.by_ref().take(most as u64).read_until(0, out).map_err(|_| SHORT)?;
        self.left = self.left.checked_sub(read).ok_or(SHORT)?;
        match out.pop() {
            Some(0) if out.len() < most => Ok(out.len() - before),
            Some(_) if read == most || out.len() >= most => Err(LONG),
            _ => Err(SHORT),
        }
    }

    fn skip(&mut self, count: usize) -> Result<(), Wrong> {
        self.left = self.left.checked_sub(count).ok_or(SHORT)?;
        let skipped = std::io::copy(&mut self.reader.by_ref().take(count as u64), &mut std::io::sink());
        skipped.ok().filter(|skipped| *skipped == count as u64).map(drop).ok_or(SHORT)
    }
}

/// Calls `found` with the number, the mode and the path of each entry. What follows are the extensions.
fn every_entry(body: &mut Body<impl Read>, hash: usize, mut found: impl FnMut(usize, u32, &[u8])) -> Result<(), Wrong> {
    let header: [u8; 12] = body.array()?;
    if !header.starts_with(b"DIRC") {
        return Err("it does not begin with DIRC");
    }
    let version = number(&header[4..]);
    if !(2..=4).contains(&version) {
        return Err("it is of another version than 2, 3 and 4");
    }
    let mut path = Vec::new();
    for entry in 0..number(&header[8..]) as usize {
        // Times, device and inode; the mode; owner, group and size; the object's name; flags.
        let mut fixed = 40 + hash + 2;
        let mut start = [0; 40 + 32 + 2];
        body.fill(start.get_mut(..fixed).ok_or(SHORT)?)?;
        let (mode, flags) = (number(&start[24..]), [start[40 + hash], start[41 + hash]]);
        if flags[0] & 0x40 != 0 {
            fixed += 2;
            if version == 2 {
                return Err("an entry has flags of a later version");
            }
            body.skip(2)?;
        }
        if version == 4 {
            let cut = varint(|| Ok(body.array::<1>()?[0]))?;
            path.truncate(path.len().checked_sub(cut).ok_or("a name is shorter than what is cut off from it")?);
            body.name(&mut path)?;
            found(entry, mode, &path);
            continue;
        }
        path.clear();
        let length = usize::from(flags[0] & 0x0f) << 8 | usize::from(flags[1]);
        let mut read = fixed + length;
        if length == 0x0fff {
            // The zero that ends it is read, too.
            read = fixed + body.name(&mut path)? + 1;
        } else {
            path.resize(length, 0);
            body.fill(&mut path)?;
        }
        found(entry, mode, &path);
        // One to eight zeros, up to a multiple of eight.
        body.skip(((fixed + path.len() + 8) & !7) - read)?;
    }
    Ok(())
}

/// What the extensions say of a shared index, `unnamed` being the numbers of submodules without a name.
fn link(body: &mut Body<impl Read>, hash: usize, unnamed: &[usize]) -> Result<Option<Shared>, Wrong> {
    let mut shared = None;
    while body.left > 0 {
        let header: [u8; 8] = body.array()?;
        let size = number(&header[4..]) as usize;
        match &header[..4] {
            b"link" => {
                if size > LARGEST_LINK.min(body.left) {
                    return Err("its extension `link` is too large");
                }
                let mut content = vec![0; size];
                body.fill(&mut content)?;
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
            // Directories that are left out of the working copy, with all that is in them; and what may be ignored, which begins
            // with an upper-case letter.
            b"sdir" | [b'A'..=b'Z', ..] => body.skip(size)?,
            _ => return Err("it has an extension that is not known here"),
        }
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

/// A number of variable width, as that of an offset in a pack, from bytes one by one.
fn varint(mut next: impl FnMut() -> Result<u8, Wrong>) -> Result<usize, Wrong> {
    let mut value = 0usize;
    for _ in 0..5 {
        let byte = next()?;
        value = value << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Ok(value);
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
        let read = |bytes: &[u8]| {
            let mut bytes = bytes.iter();
            varint(|| bytes.next().copied().ok_or(SHORT))
        };
        assert_eq!(read(&[0x7f, 9]), Ok(127));
        assert_eq!(read(&[0x80, 0x00]), Ok(128));
        assert_eq!(read(&[0x81, 0x00]), Ok(256));
        assert!(read(&[0xff; 9]).is_err());
        assert!(read(&[]).is_err());
    }

    fn all(bytes: &[u8]) -> Result<Index, Wrong> {
        read(bytes, bytes.len(), 20)
    }

    /// An index of submodules whose names are `tails`, each of which is put behind what `cut` leaves of the one before.
    fn fourth(entries: impl Iterator<Item = (u8, Vec<u8>)>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut count = 0u32;
        for (cut, tail) in entries {
            count += 1;
            out.extend([0; 24]);
            out.extend(GITLINK.to_be_bytes());
            out.extend([0; 12 + 20 + 2]);
            out.push(cut);
            out.extend(tail);
            out.push(0);
        }
        [b"DIRC\0\0\0\x04", &count.to_be_bytes()[..], &out, &[0; 20]].concat()
    }

    #[test]
    fn no_more_is_kept_of_an_index_than_its_submodules() {
        let long = |length| fourth([(0, vec![b'a'; length])].into_iter());
        assert_eq!(all(&long(4095)).unwrap().gitlinks.len(), 1);
        assert_eq!(all(&long(4096)), Err(LONG));
        assert_eq!(all(&long(2_000_000)), Err(LONG));
        // Longer by each entry, the same again and again, and many.
        assert_eq!(all(&fourth((0..41).map(|_| (0, vec![b'a'; 100])))), Err(LONG));
        let again = (0..1000).map(|entry| (0, if entry == 0 { vec![b'a'; 4000] } else { vec![] }));
        assert_eq!(all(&fourth(again)).unwrap().gitlinks.len(), 1);
        let many = (0..100_000).map(|entry| (u8::from(entry > 0), vec![b'a' + (entry % 2) as u8]));
        assert_eq!(all(&fourth(many)).unwrap().gitlinks.len(), MOST + 1);
    }

    #[test]
    fn what_is_no_index_is_told() {
        for bytes in [&b""[..], b"DIRC", b"DIRC\0\0\0\x05\0\0\0\0", b"XXXX\0\0\0\x02\0\0\0\0aaaaaaaaaaaaaaaaaaaa"] {
            all(bytes).unwrap_err();
        }
        let with = |version: u8, count: u8, rest: &[u8]| {
            [b"DIRC\0\0\0", &[version, 0, 0, 0, count][..], rest, &[0; 20]].concat()
        };
        assert_eq!(all(&with(2, 0, b"")), Ok(Index::default()));
        assert_eq!(all(&with(2, 0, b"TREE\0\0\0\x01x")), Ok(Index::default()));
        for rest in [&b"next\0\0\0\x01x"[..], b"TREE\0\0\0\x02x", b"TRE", b"link\0\0\0\x01x", b"link\xff\xff\xff\xffx"]
        {
            all(&with(2, 0, rest)).unwrap_err();
        }
        all(&with(2, 1, b"TREE")).unwrap_err();
    }
}
