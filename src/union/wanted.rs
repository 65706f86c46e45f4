//! The extended attributes that a changed file gets on the host.

use super::node::{self, Attributes, Node, NodeKind, attributes, open_dir};
use super::reader::Reader;
use crate::sys;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The extended attributes that a file of a layer gets on the host. The view server shows none: what was copied up from there
/// has lost those of the host's file, here `old`. They stay, but for those that the program has set.
fn wanted(new: BorrowedFd<'_>, old: Option<BorrowedFd<'_>>, reader: Reader) -> sys::Result<Attributes> {
    let mut wanted = attributes(new)?;
    if let (Reader::Server, Some(old)) = (reader, old) {
        let lost = attributes(old)?.into_iter().filter(|(name, _)| !wanted.iter().any(|(set, _)| set == name));
        let lost: Vec<_> = lost.collect();
        wanted.extend(lost);
        wanted.sort_unstable();
    }
    Ok(wanted)
}

/// Whether a file of the host has the extended attributes that one of a layer would give it.
pub fn is_alike(new: BorrowedFd<'_>, old: BorrowedFd<'_>, reader: Reader) -> sys::Result<bool> {
    Ok(wanted(new, Some(old), reader)? == attributes(old)?)
}

/// The extended attributes that a file or directory of a layer gets on the host, where `old` is what the host has at that name
/// in a directory; none if one of them cannot be set: an access control list that names ids which are not mapped here.
pub fn of(
    name: &CStr,
    (dir, new): (BorrowedFd<'_>, &Node),
    old: Option<(BorrowedFd<'_>, Node)>,
    reader: Reader,
) -> sys::Result<Option<Attributes>> {
    let open = |dir: BorrowedFd<'_>, kind| -> sys::Result<OwnedFd> {
        match kind {
            NodeKind::Dir => open_dir(dir, name),
            _ => node::open_file(dir, name).map(OwnedFd::from),
        }
    };
    if !matches!(new.kind, NodeKind::File | NodeKind::Dir) {
        return Ok(Some(Vec::new()));
    }
    let old = old.filter(|(_, old)| old.kind == new.kind);
    let old = old.map(|(dir, old)| open(dir, old.kind)).transpose()?;
    let old = old.as_ref().map(AsFd::as_fd);
    let wanted = wanted(open(dir, new.kind)?.as_fd(), old, reader)?;
    // A directory stays the one that it is, and what it has need not be set.
    let there = match old {
        Some(old) if new.kind == NodeKind::Dir => attributes(old)?,
        _ => Vec::new(),
    };
    let foreign = wanted.iter().any(|attribute| names_unknown(attribute) && !there.contains(attribute));
    Ok((!foreign).then_some(wanted))
}

/// Whether an access control list names a user or a group whose id is not mapped in this process: acl(5), as the kernel gives it
/// (version 2, and an entry of tag, permissions and id for each line).
fn names_unknown((name, value): &(CString, Vec<u8>)) -> bool {
    let unknown = |entry: &[u8]| matches!(entry, [2 | 8, 0, _, _, 255, 255, 255, 255]);
    name.to_bytes().starts_with(b"system.posix_acl_") && value.get(4..).unwrap_or_default().chunks(8).any(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_not_mapped_is_found_in_a_list() {
        let entry = |tag: u16, id: u32| [&tag.to_le_bytes()[..], &6_u16.to_le_bytes(), &id.to_le_bytes()].concat();
        let list = |entries: &[Vec<u8>]| [&2_u32.to_le_bytes()[..], &entries.concat()].concat();
        let acl = |entries: &[Vec<u8>]| (c"system.posix_acl_access".to_owned(), list(entries));
        // The owner, the group, the mask and others have no id.
        let plain = [entry(1, u32::MAX), entry(4, u32::MAX), entry(16, u32::MAX), entry(32, u32::MAX)];
        assert!(!names_unknown(&acl(&plain)));
        assert!(!names_unknown(&acl(&[&plain[..], &[entry(2, 7)]].concat())));
        assert!(names_unknown(&acl(&[&plain[..], &[entry(2, u32::MAX)]].concat())));
        assert!(names_unknown(&acl(&[&plain[..], &[entry(8, u32::MAX)]].concat())));
        assert!(!names_unknown(&(c"user.x".to_owned(), list(&[entry(2, u32::MAX)]))));
    }
}
