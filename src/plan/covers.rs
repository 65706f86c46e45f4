//! Which mounts of the view cover files of the host that somebody outside may replace while the program runs.

use super::{Op, Placed, Plan};
use crate::spec::lies_in_system;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
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
        let shown: Shown<'_> = parts.iter().map(|part| (bytes(part.op.path()), shows_host(&part.op))).collect();
        covers.filter(move |(_, part)| lies_on_the_host(&shown, bytes(part.op.path())))
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

/// The paths of parts, each with whether that part shows the host.
type Shown<'a> = HashMap<&'a [u8], bool, RandomState>;

/// Whether a part shows the host's tree at its path. What is pinned is the directory around it, by another mount.
fn shows_host(op: &Op) -> bool {
    matches!(op, Op::Bind { .. } | Op::Pin { .. })
}

/// Whether the directory that a path of the view lies in is one of the host, rather than one in memory: what the nearest part
/// around it shows. `shown` says of the path of each part whether that shows the host.
fn lies_on_the_host(shown: &Shown<'_>, path: &[u8]) -> bool {
    let mut dir = path;
    while let Some(slash) = dir.iter().rposition(|byte| *byte == b'/') {
        if dir.len() == 1 {
            break;
        }
        dir = &dir[..slash.max(1)];
        if let Some(host) = shown.get(dir) {
            return *host;
        }
    }
    false
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Attributes;
    use std::path::PathBuf;

    #[test]
    fn a_path_lies_on_the_host_if_the_nearest_part_around_it_does() {
        let attributes = Attributes { ro: true, nodev: true, noexec: false };
        let bind = |path: &str| Op::Bind { source: path.into(), path: path.into(), attributes, make: false };
        let tmpfs = Op::Tmpfs { path: PathBuf::from("/a"), mode: 0o755, size: None, attributes };
        let parts = [bind("/"), tmpfs, bind("/a/b")];
        let shown = parts.iter().map(|op| (bytes(op.path()), shows_host(op))).collect();
        for (path, expected) in [
            ("/", false),
            ("/x", true),
            ("/x/y", true),
            ("/a", true),
            ("/a/x", false),
            ("/a/b", false),
            ("/a/b/x", true),
            ("/a/bc", false),
        ] {
            assert_eq!(lies_on_the_host(&shown, path.as_bytes()), expected, "{path}");
        }
    }
}
