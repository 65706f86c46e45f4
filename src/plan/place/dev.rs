//! A /dev of the view's own.

use super::{Cover, Placer};
use crate::error::Result;
use crate::host::{DEVICES, Kind};
use crate::plan::Op;
use crate::plan::item::Item;
use std::path::Path;

impl Placer<'_> {
    /// A minimal /dev: the six devices that every program may expect, terminals of its own, shared memory.
    pub(super) fn dev(&mut self, path: &Path, item: &Item) -> Result<()> {
        match self.cover(path).1 {
            // The root is a tmpfs of the view, which is made read-only in the end.
            Cover::Ours => drop(self.directory(path, item)?),
            _ => self.tmpfs(path, item, 0o755, None, true)?,
        }
        for name in DEVICES {
            let source = Path::new("/dev").join(name);
            if self.facts.paths.kind(&source).is_some() {
                // Read-only keeps the host's node from being changed; a device opens for writing all the same.
                self.bind(&path.join(name), item, &source, true, true)?;
            }
        }
        let links = [
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
            ("ptmx", "pts/ptmx"),
        ];
        for (name, target) in links {
            let path = path.join(name);
            self.made.insert(path.clone(), Kind::Link(target.into()));
            self.push(Op::Symlink { path, target: target.into() }, &item.origin);
        }
        let pts = path.join("pts");
        self.directory(&pts, item)?;
        self.push(Op::Devpts { path: pts.clone() }, &item.origin);
        self.covers.insert(pts, Cover::Closed);
        self.tmpfs(&path.join("shm"), item, 0o1777, None, false)?;
        self.queues(&path.join("mqueue"), item)
    }

    /// Mounts the POSIX message queues, which belong to the ipc namespace (mq_overview(7)). Landlock grants them
    /// only by a rule for this directory, so it serves for more than listing queues.
    fn queues(&mut self, path: &Path, item: &Item) -> Result<()> {
        if self.joins_ipc {
            return Ok(());
        }
        if self.shares_ipc {
            let source = Path::new("/dev/mqueue");
            let there = self.facts.paths.kind(source) == Some(&Kind::Dir);
            return if there { self.bind(path, item, source, false, false) } else { Ok(()) };
        }
        self.directory(path, item)?;
        self.push(Op::Mqueue { path: path.to_owned(), optional: true }, &item.origin);
        self.covers.insert(path, Cover::Closed);
        Ok(())
    }
}
