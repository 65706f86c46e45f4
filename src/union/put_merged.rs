//! Texts that both the program and somebody on the host have changed.

use super::bases;
use super::change::Change;
use super::compare;
use super::merge;
use super::node::{self, Node, NodeKind, open_dir};
use super::put::{Commit, LOST_BITS};
use super::remove;
use super::stop::{Stop, cannot, may_write};
use super::wanted::{self, Wanted};
use crate::sys::{self, Errno};
use std::ffi::CStr;
use std::os::fd::AsFd;

/// Name of a directory beside the layers, for a text that is about to be put onto the host.
const MERGED: &CStr = c"merged";

impl Commit<'_> {
    /// The text with the changes of the program and those of the host, and the attributes that it gets; none if the two cannot be
    /// merged: what the program saw is not known, both have changed the same lines, or something else than lines.
    pub(super) fn merged(&self, change: &Change<'_>) -> sys::Result<Option<(String, Wanted)>> {
        let (Some((from, new)), Some((dir, old))) = (&change.new, &change.old) else { return Ok(None) };
        // A file with several names would be another one under this name.
        if !change.known
            || (new.kind, old.kind) != (NodeKind::File, NodeKind::File)
            || self.is_frozen()
            || new.mode != old.mode
            || !compare::same_owner(new, old)
            || old.names > 1
        {
            return Ok(None);
        }
        let Some(base) = self.bases.and_then(|bases| bases.get(change.path)) else { return Ok(None) };
        let file = match self.placer.reader.file(*dir, change.name) {
            Err(Errno(libc::EACCES)) => return Ok(None),
            other => other?,
        };
        let wanted = wanted::of(change.name, (*from, new), change.old, None, change.reader)?;
        if !wanted.is_given(file.as_fd())? {
            return Ok(None);
        }
        let ours = bases::text(node::open_file(*from, change.name)?, new)?;
        let (Some(ours), Some(theirs)) = (ours, bases::text(file, old)?) else { return Ok(None) };
        Ok(merge::merge(&base, &theirs, &ours).map(|text| (text, wanted)))
    }

    /// Puts a text with both changes onto the host, and takes the file out of the layer: the host shows through.
    pub(super) fn put_merged(
        &mut self,
        change: &Change<'_>,
        dir: &Node,
        text: &str,
        wanted: &Wanted,
    ) -> std::result::Result<(), Stop> {
        let (Some(host), Some((from, new)), Some((_, old))) = (change.host, &change.new, &change.old) else {
            return Ok(());
        };
        may_write(host, dir, Some(new), Some(old))?;
        if self.dry {
            self.out.merged.push(self.on_host(change.path));
            return Ok(());
        }
        // Under its own name in a directory of its own, as what is put in place is found.
        let place = self.upper.directory();
        remove(place, MERGED).map_err(cannot)?;
        sys::mkdirat(place, MERGED, 0o700).map_err(cannot)?;
        let made = open_dir(place, MERGED).map_err(cannot)?;
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
        let file = sys::openat(made.as_fd(), change.name, flags, 0o600).map_err(cannot)?;
        sys::write_all(file.as_fd(), text.as_bytes()).map_err(cannot)?;
        let found = Node::dir(file.as_fd()).map_err(cannot)?;
        let node = Node { mode: old.mode, uid: new.uid, gid: new.gid, ..found };
        let beside = self.beside();
        let mut work = self.work(host, change, &beside, Some(old), false);
        let whole = self.placer.place(&mut work, (made.as_fd(), &node), Some(old), wanted)?;
        // From here on, an interruption leaves two texts that are merged to the same again.
        sys::unlink(*from, change.name, false)?;
        self.bases.map_or(Ok(()), |bases| bases.forget(change.path))?;
        remove(place, MERGED)?;
        if !whole {
            self.note(change, LOST_BITS);
        }
        self.out.merged.push(self.on_host(change.path));
        Ok(())
    }
}
