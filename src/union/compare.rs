//! Whether a file of a layer is the same as one of the host.

use super::node::{Node, NodeKind, UNMAPPED, open_file};
use super::reader::Reader;
use super::wanted;
use crate::sys;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

/// Whether a file of a layer has the owner of one of the host. The owner of the host's is not known where its id is not
/// mapped in this process; the program saw a translated one.
pub fn same_owner(node: &Node, host: &Node) -> bool {
    let same = |id: u32, host: u32| id == host || host == UNMAPPED;
    same(node.uid, host.uid) && same(node.gid, host.gid)
}

/// Whether a file of a layer and one of the host, of the same kind and not directories, are the same: in content, owner,
/// permissions and attributes, as far as these were shown. If the host's could not be read for the program, it counts as an empty file.
pub fn same(
    one: (BorrowedFd<'_>, &CStr, &Node),
    other: (BorrowedFd<'_>, &CStr, &Node),
    reader: Reader,
) -> sys::Result<bool> {
    let ((dir, name, node), (other_dir, other_name, other)) = (one, other);
    if node.kind != other.kind || !same_owner(node, other) {
        return Ok(false);
    }
    if node.kind == NodeKind::File
        && (node.size == 0 || node.size == other.size)
        && reader.is_closed(other_dir, other_name)
    {
        return Ok(node.size == 0 && node.mode == other.mode);
    }
    if node.size != other.size {
        return Ok(false);
    }
    match node.kind {
        NodeKind::Link => Ok(sys::link_text(dir, name)? == sys::link_text(other_dir, other_name)?),
        NodeKind::File if (node.mode, node.modified) == (other.mode, other.modified) => {
            let (file, other) = (open_file(dir, name)?, open_file(other_dir, other_name)?);
            Ok(wanted::is_alike(file.as_fd(), other.as_fd(), reader)? && same_content(&file, &other)?)
        }
        NodeKind::File => Ok(false),
        NodeKind::Fifo => {
            Ok(node.mode == other.mode && wanted::are_pipes_alike((dir, name), (other_dir, other_name), reader)?)
        }
        _ => Ok(node.mode == other.mode),
    }
}

/// Whether they are the same but for the time of the last change, which is not what anybody has changed.
pub(super) fn same_but_for_time(
    (dir, name, node): (BorrowedFd<'_>, &CStr, &Node),
    other: (BorrowedFd<'_>, &CStr, &Node),
    reader: Reader,
) -> sys::Result<bool> {
    same((dir, name, &Node { modified: other.2.modified, ..*node }), other, reader)
}

/// Whether two files of the same size have the same content. What is a hole in both is not read: it may be of any size.
pub(super) fn same_content(one: &std::fs::File, other: &std::fs::File) -> sys::Result<bool> {
    use std::os::unix::fs::FileExt;
    let (mut a, mut b) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut at = 0;
    loop {
        let ranges = [sys::next_data(one.as_fd(), at)?, sys::next_data(other.as_fd(), at)?];
        let Some(start) = ranges.iter().flatten().map(|range| range.0).min() else { return Ok(true) };
        let first = ranges.iter().flatten().filter(|range| range.0 == start);
        let end = first.map(|range| range.1).min().unwrap_or(start);
        at = start;
        while at < end {
            let length = usize::try_from(end - at).unwrap_or(usize::MAX).min(a.len());
            let (Some(a), Some(b)) = (a.get_mut(..length), b.get_mut(..length)) else { return Ok(false) };
            one.read_exact_at(a, at)?;
            other.read_exact_at(b, at)?;
            if a != b {
                return Ok(false);
            }
            at += length as u64;
        }
    }
}
