//! Which mounts of the view cover files of the host that somebody outside may replace while the program runs.

use super::{Op, Placed, Plan};
use crate::spec::lies_in_system;
use std::path::Path;

impl Plan {
    /// The parts of the view, with their indexes, that mask something, or keep it read-only, in a directory of the host. The kernel takes
    /// such a mount away when the file or directory that it lies on is removed on the host, or another one is renamed to its place, as
    /// editors and `git checkout` do; what is there then is not covered. So it is looked at the end whether the mounts are still there.
    ///
    /// What only root may replace is left out where the caller is not `root`: the permissions of such files hold.
    pub fn covers(&self, root: bool) -> impl Iterator<Item = (usize, &Placed)> {
        let parts = &self.view.parts;
        let covers = parts.iter().enumerate().filter(move |(_, part)| match &part.op {
            Op::Mask { path, .. } => root || !lies_in_system(path),
            Op::Bind { path, attributes, .. } => attributes.ro && (root || !lies_in_system(path)),
            _ => false,
        });
        covers.filter(|(_, part)| lies_on_the_host(parts, part.op.path()))
    }

    /// What to say where the part with this index was not there any more when the program had ended.
    pub fn uncovered(&self, index: usize) -> Option<String> {
        let part = self.view.parts.get(index)?;
        let origin = if part.origin.0.is_empty() { String::new() } else { format!(" ({})", part.origin) };
        Some(format!(
            "{} was replaced on the host while the program ran, and the kernel took away what covered it: it was open to the program \
             from then on{origin}",
            part.op.path().display()
        ))
    }
}

/// Whether the directory that a path of the view lies in is one of the host, rather than one in memory. Byte by byte, since it is asked
/// of many pairs at each start.
fn lies_on_the_host(parts: &[Placed], path: &Path) -> bool {
    let path = path.as_os_str().as_encoded_bytes();
    let lies_in = |dir: &[u8]| path.len() > dir.len() && path[dir.len()] == b'/' && path.starts_with(dir);
    let around = parts.iter().filter(|part| lies_in(part.op.path().as_os_str().as_encoded_bytes()));
    let nearest = around.max_by_key(|part| part.op.path().as_os_str().len());
    // What is pinned is the directory around it, by another mount.
    nearest.is_some_and(|part| matches!(part.op, Op::Bind { .. } | Op::Pin { .. }))
}
