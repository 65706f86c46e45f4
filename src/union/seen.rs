//! Which directories of the host the program saw. The kernel does not record for an ordinary user what a file of a layer
//! was copied from, so there are two sources: times of changes, which no program can set, and marks.
//!
//! Nothing enters a directory by renaming or linking without a new time of change (ctime) of its own and of the directory. So a
//! directory is the one that was seen if it, or the directory around it, has not changed since it was copied up. Once
//! that is known, it is marked in the layer: the host's directory may change later, and be known by its inode number.
//! Programs inside cannot see or set the mark: the kernel keeps `user.overlay.*` to itself.

use super::node::Node;
use crate::sys;
use std::ffi::CStr;
use std::os::fd::BorrowedFd;

/// The attribute of a layer's directory.
const NAME: &CStr = c"user.overlay.sbx.host";

/// What is recorded of a directory of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    inode: u64,
    made: i128,
    /// Its permissions, if they were those that the program saw.
    mode: Option<u32>,
}

impl Mark {
    /// The mark for a directory. `unchanged`: it has its attributes of when it was copied up.
    pub fn of(node: &Node, unchanged: bool) -> Mark {
        Mark { inode: node.id.1, made: node.made.unwrap_or(0), mode: unchanged.then_some(node.mode) }
    }

    /// Whether it is that directory.
    pub fn is(&self, node: &Node) -> bool {
        (self.inode, self.made) == (node.id.1, node.made.unwrap_or(0))
    }

    /// Whether it is that directory, with the permissions that the program saw.
    pub fn is_unchanged(&self, node: &Node) -> bool {
        self.is(node) && self.mode == Some(node.mode)
    }

    /// The mark as text.
    pub fn text(&self) -> String {
        let mode = self.mode.map_or_else(|| "-".to_owned(), |mode| format!("{mode:o}"));
        format!("{} {} {mode}", self.inode, self.made)
    }

    /// The mark of a text; none if it is no mark.
    pub fn parse(text: &str) -> Option<Mark> {
        let mut words = text.split(' ');
        let (inode, made) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Mark { inode, made, mode: u32::from_str_radix(words.next()?, 8).ok() })
    }

    /// The mark of a layer's directory.
    pub fn read(dir: BorrowedFd<'_>) -> sys::Result<Option<Mark>> {
        let value = sys::attribute_of(dir, NAME)?;
        Ok(value.and_then(|value| Mark::parse(std::str::from_utf8(&value).ok()?)))
    }

    /// Marks a layer's directory.
    pub fn write(&self, dir: BorrowedFd<'_>) -> sys::Result<()> {
        sys::set_attribute_of(dir, NAME, self.text().as_bytes())
    }
}

/// A directory of the host, as it was when it was entered: what a commit does in it changes its times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// It is the one that the program saw.
    pub known: bool,
    /// Time of its last change.
    pub changed: i128,
}

impl Seen {
    /// A directory in this one, which was copied up at the time `base`.
    pub fn inner(&self, host: &Node, mark: Option<&Mark>, base: i128) -> Seen {
        let known = match mark {
            Some(mark) => mark.is(host),
            None => self.known && (host.changed <= base || self.changed <= base),
        };
        Seen { known, changed: host.changed }
    }
}

#[cfg(test)]
mod tests {
    use super::Mark;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        for mode in [None, Some(0o755)] {
            let mark = Mark { inode: 7, made: -3, mode };
            assert_eq!(Mark::parse(&mark.text()), Some(mark));
        }
        for wrong in ["", "1", "1 2", "x 2 755"] {
            assert_eq!(Mark::parse(wrong), None, "{wrong}");
        }
    }
}
