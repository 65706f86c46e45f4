//! Entries of tar archives exactly as they are: what the crate would write otherwise, and what the format cannot say.

use std::ffi::OsStr;
use std::io::{Read, Result, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// How long the text of a link may be in a header, in bytes.
const IN_A_HEADER: usize = 100;

/// The name of the entry that has a longer one.
const LONG_LINK: &[u8] = b"././@LongLink";

/// Adds a symbolic link with exactly this text. (The crate's own way leaves out what it takes for redundant: `x/.` would be `x`.)
///
/// # Errors
///
/// Those of the output; the name is none that an entry may have.
pub fn append_link<W: Write>(tar: &mut Builder<W>, header: &mut Header, path: &Path, text: &OsStr) -> Result<()> {
    let text = text.as_bytes();
    if text.len() > IN_A_HEADER {
        // As GNU's tar has it: an entry before this one, which ends with a zero.
        let mut long = Header::new_gnu();
        if let Some(name) = long.as_gnu_mut().and_then(|header| header.name.get_mut(..LONG_LINK.len())) {
            name.copy_from_slice(LONG_LINK);
        }
        long.set_entry_type(EntryType::GNULongLink);
        long.set_mode(0o644);
        long.set_uid(0);
        long.set_gid(0);
        long.set_mtime(0);
        long.set_size(text.len() as u64 + 1);
        long.set_cksum();
        tar.append(&long, text.chain(&b"\0"[..]))?;
    }
    header.set_link_name_literal(text.get(..IN_A_HEADER).unwrap_or(text))?;
    tar.append_data(header, path, std::io::empty())
}

/// The key by which the entry of a file has an extended attribute, as GNU's tar, libarchive and the tools of containers write it. None of a
/// name that would come out as another one: a key ends at the first `=`, is UTF-8, and is decoded by some readers (`%3D` to `=`, `%25` to
/// `%`) and not by others.
pub fn attribute_key(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let is_other = ["=", "%3D", "%3d", "%25"].iter().any(|part| name.contains(part));
    (!is_other).then(|| format!("SCHILY.xattr.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_link_is_written_as_it_is() {
        let long = format!("./{}//x/./", "../".repeat(60));
        // The crate would make a short one of it.
        let shrinks = format!("x{}/.", "/".repeat(120));
        let edge = ["/".repeat(100), "/".repeat(101)];
        for text in ["https://h//x/./y", "x/.", "/", "..", long.as_str(), shrinks.as_str(), &edge[0], &edge[1]] {
            for name in ["a".to_owned(), "n".repeat(180)] {
                let mut tar = Builder::new(Vec::new());
                let mut header = Header::new_gnu();
                header.set_entry_type(EntryType::Symlink);
                header.set_size(0);
                append_link(&mut tar, &mut header, Path::new(&name), OsStr::new(text)).unwrap();
                let bytes = tar.into_inner().unwrap();
                let mut archive = tar::Archive::new(bytes.as_slice());
                let entries: Vec<_> = archive.entries().unwrap().map(std::result::Result::unwrap).collect();
                let [entry] = entries.as_slice() else { panic!("{}", entries.len()) };
                assert_eq!(entry.link_name_bytes().as_deref(), Some(text.as_bytes()), "{text}");
                assert_eq!(&*entry.path_bytes(), name.as_bytes(), "{text}");
            }
        }
    }

    #[test]
    fn an_attribute_has_a_key_if_every_reader_takes_it_for_that_one() {
        assert_eq!(attribute_key(b"user.a b%41").as_deref(), Some("SCHILY.xattr.user.a b%41"));
        for name in [&b"user.a=b"[..], b"user.a%3Db", b"user.%25", b"user.\xff"] {
            assert_eq!(attribute_key(name), None, "{name:?}");
        }
    }
}
