//! The extended attributes that a changed file gets on the host.

use super::node::{self, Attributes, Node, NodeKind, attributes};
use super::outside::{Outside, Take};
use super::reader::Reader;
use crate::sys::{self, Errno};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// The extended attributes that a file gets on the host.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// Those that this process can set.
    plain: Attributes,
    /// Access control lists that name ids which are not mapped in this process, each with an open file that has it.
    foreign: Vec<(Take, Rc<OwnedFd>)>,
}

impl Wanted {
    /// Whether a file has these attributes and no others.
    pub fn is_given(&self, to: BorrowedFd<'_>) -> sys::Result<bool> {
        Ok(self.foreign.is_empty() && self.plain == attributes(to)?)
    }

    /// Whether a file has another access control list.
    pub fn changes_list(&self, to: BorrowedFd<'_>) -> sys::Result<bool> {
        let list = |all: &Attributes| {
            all.iter().find(|(name, _)| Take::of_attribute(name) == Some(Take::List)).map(|(_, value)| value.clone())
        };
        let foreign = self.foreign.iter().any(|(take, _)| *take == Take::List);
        Ok(foreign || list(&self.plain) != list(&attributes(to)?))
    }

    /// Gives a file these extended attributes, and takes away all others.
    pub fn give(&self, to: BorrowedFd<'_>, outside: &dyn Outside) -> sys::Result<()> {
        let there = attributes(to)?;
        for (name, _) in &there {
            let foreign = Take::of_attribute(name).is_some_and(|take| self.foreign.iter().any(|(own, _)| *own == take));
            if !foreign && !self.plain.iter().any(|(other, _)| other == name) {
                sys::remove_attribute_of(to, name)?;
            }
        }
        let missing = self.plain.iter().filter(|attribute| !there.contains(attribute));
        missing.into_iter().try_for_each(|(name, value)| sys::set_attribute_of(to, name, value))?;
        self.foreign.iter().try_for_each(|(take, from)| outside.take(*take, from.as_fd(), to))
    }
}

/// The extended attributes that a file of a layer gets on the host, each with whether it is one of `old`. The view server shows none:
/// what was copied up from there has lost those of the host's file, here `old`. They stay, but for those that the program has set.
fn merged(
    new: BorrowedFd<'_>,
    old: Option<BorrowedFd<'_>>,
    reader: Reader,
) -> sys::Result<Vec<(CString, Vec<u8>, bool)>> {
    let mut merged: Vec<_> = attributes(new)?.into_iter().map(|(name, value)| (name, value, false)).collect();
    if let (Reader::Server, Some(old)) = (reader, old) {
        let lost = attributes(old)?.into_iter().filter(|(name, _)| !merged.iter().any(|(set, ..)| set == name));
        let lost: Vec<_> = lost.map(|(name, value)| (name, value, true)).collect();
        merged.extend(lost);
        merged.sort_unstable();
    }
    Ok(merged)
}

/// Whether a file of the host has the extended attributes that one of a layer would give it.
pub fn is_alike(new: BorrowedFd<'_>, old: BorrowedFd<'_>, reader: Reader) -> sys::Result<bool> {
    let merged = merged(new, Some(old), reader)?.into_iter().map(|(name, value, _)| (name, value));
    Ok(merged.collect::<Attributes>() == attributes(old)?)
}

/// Opens a file of this kind at a name in a directory, to look at its attributes. A named pipe is not opened for reading: somebody may
/// wait for that.
fn open(dir: BorrowedFd<'_>, name: &CStr, kind: NodeKind) -> sys::Result<OwnedFd> {
    match kind {
        NodeKind::Dir => node::open_dir(dir, name),
        NodeKind::Fifo => {
            let fd = sys::openat(dir, name, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
            if sys::file_type(fd.as_fd())? == libc::S_IFIFO { Ok(fd) } else { Err(Errno(libc::EINVAL)) }
        }
        _ => node::open_file(dir, name).map(OwnedFd::from),
    }
}

/// Whether two named pipes have the same attributes.
pub fn are_pipes_alike(
    one: (BorrowedFd<'_>, &CStr),
    other: (BorrowedFd<'_>, &CStr),
    reader: Reader,
) -> sys::Result<bool> {
    let (one, other) = (open(one.0, one.1, NodeKind::Fifo)?, open(other.0, other.1, NodeKind::Fifo)?);
    is_alike(one.as_fd(), other.as_fd(), reader)
}

/// The extended attributes that a file or directory of a layer gets on the host, where `old` is what the host has at that name in a
/// directory. `known`: what it is a renamed file of, if that is known.
pub(super) fn of(
    name: &CStr,
    (dir, new): (BorrowedFd<'_>, &Node),
    old: Option<(BorrowedFd<'_>, Node)>,
    known: Option<&Known>,
    reader: Reader,
) -> sys::Result<Wanted> {
    if !matches!(new.kind, NodeKind::File | NodeKind::Dir | NodeKind::Fifo) {
        return Ok(Wanted::default());
    }
    let old = old.filter(|(_, old)| old.kind == new.kind);
    let old = match known {
        None => old.map(|(dir, old)| open(dir, name, old.kind)).transpose()?.map(Rc::new),
        Some(Known::Plain) => None,
        Some(Known::File(file)) => Some(Rc::clone(file)),
    };
    let new_fd = Rc::new(open(dir, name, new.kind)?);
    // A directory stays the one that it is, and what it has need not be set.
    let there = match &old {
        Some(old) if new.kind == NodeKind::Dir => attributes(old.as_fd())?,
        _ => Vec::new(),
    };
    let mut wanted = Wanted::default();
    for (name, value, of_old) in merged(new_fd.as_fd(), old.as_ref().map(|old| old.as_fd()), reader)? {
        let attribute = (name, value);
        match Take::of_attribute(&attribute.0) {
            Some(take) if names_unknown(&attribute) && !there.contains(&attribute) => {
                let from = if of_old { old.as_ref() } else { Some(&new_fd) };
                wanted.foreign.extend(from.map(|from| (take, Rc::clone(from))));
            }
            _ => wanted.plain.push(attribute),
        }
    }
    Ok(wanted)
}

/// What a file of a layer is a renamed one of.
#[derive(Debug, Clone)]
pub(super) enum Known {
    /// A file of the host without extended attributes.
    Plain,
    /// This file of the host.
    File(Rc<OwnedFd>),
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
