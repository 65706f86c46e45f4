//! What binds show: copies of the host's mounts, found without links.

use super::failure::{At, Failure};
use super::report::Call;
use super::view::{TargetKind, View};
use crate::sys::{self, Errno, Propagation, Text};
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

impl<'a> View<'a> {
    /// A detached copy of the mounts at a path of the host, on which the planner has followed all links. A link that is
    /// found now was put there since, and is an error.
    pub(super) fn resolved(&mut self, source: &'a CStr, attributes: u64) -> Result<(OwnedFd, TargetKind), Failure> {
        let place = self.place;
        let bytes = source.to_bytes_with_nul();
        let slash = bytes.iter().rposition(|byte| *byte == b'/');
        let name = slash.and_then(|slash| CStr::from_bytes_with_nul(bytes.get(slash + 1..)?).ok());
        let (tree, kind) = match (slash, name) {
            (Some(slash), Some(name)) if !matches!(name.to_bytes(), b"" | b"." | b"..") => {
                let dir = bytes.get(..slash).unwrap_or_default();
                if self.last_source.as_ref().is_none_or(|(last, _)| *last != dir) {
                    self.last_source = Some((dir, self.source_directory(dir)?));
                }
                let dir = self.last_source.as_ref().map_or(sys::cwd(), |(_, fd)| fd.as_fd());
                // What follows no link copies the link itself.
                let tree = sys::clone_below(dir, name).at(place, Call::OpenTree)?;
                match sys::file_type(tree.as_fd()).at(place, Call::Fstat)? {
                    libc::S_IFLNK => return Err(Errno(libc::ELOOP)).at(place, Call::OpenTree),
                    libc::S_IFDIR => (tree, TargetKind::Dir),
                    _ => (tree, TargetKind::Other),
                }
            }
            _ => {
                let found = sys::open_resolved(source).at(place, Call::Openat2)?;
                self.tree(sys::clone_tree(found.as_fd(), c"", true).at(place, Call::OpenTree)?)?
            }
        };
        sys::set_attributes(tree.as_fd(), attributes, Propagation::Private, true).at(place, Call::MountSetattr)?;
        Ok((tree, kind))
    }

    /// Opens a directory of the host that sources lie in; the root's path is empty.
    #[inline(never)]
    fn source_directory(&self, path: &[u8]) -> Result<OwnedFd, Failure> {
        let mut text = Text::<{ libc::PATH_MAX as usize }>::default();
        let path = text.push(if path.is_empty() { b"/" } else { path }).text().at(self.place, Call::Openat2)?;
        sys::open_resolved_directory(path).at(self.place, Call::Openat2)
    }
}
