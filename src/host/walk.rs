//! Paths as the kernel resolves them, one component after the other.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How many links the kernel follows in one path before it fails with ELOOP: path_resolution(7).
const MAX_LINKS: usize = 40;

/// Walks along a path below a root, component by component, as the kernel resolves it.
pub(super) struct Walk {
    /// The current path on the host, links resolved.
    real: Vec<u8>,
    /// Length of the root in `real`, in bytes.
    base: usize,
    /// Offset in `real` at which the last component starts.
    last: usize,
    /// The path that is walked, or the text of the last link and what was left behind it.
    rest: Vec<u8>,
    /// Offset in `rest` of the next component.
    at: usize,
    /// How many links were followed.
    links: usize,
}

impl Walk {
    pub(super) fn new(root: &Path, path: &Path) -> Walk {
        let real = root.as_os_str().as_bytes().strip_suffix(b"/").unwrap_or(root.as_os_str().as_bytes()).to_vec();
        let rest = path.as_os_str().as_bytes().to_vec();
        Walk { base: real.len(), last: real.len(), real, rest, at: 0, links: 0 }
    }

    /// Goes to the next component; false at the end of the path.
    pub(super) fn step(&mut self) -> bool {
        while let Some(rest) = self.rest.get(self.at..).filter(|rest| !rest.is_empty()) {
            let length = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
            let part = rest.get(..length).unwrap_or_default();
            self.at += length + 1;
            match part {
                b"" | b"." => {}
                b".." => {
                    let parent = self.real.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                    self.real.truncate(parent.max(self.base));
                }
                _ => {
                    self.last = self.real.len();
                    self.real.push(b'/');
                    self.real.extend(part);
                    return true;
                }
            }
        }
        false
    }

    /// Follows a link, with this text, at the current path. False after more than [`MAX_LINKS`].
    pub(super) fn follow(&mut self, text: &Path) -> bool {
        self.links += 1;
        self.real.truncate(if text.is_absolute() { self.base } else { self.last });
        let mut rest = text.as_os_str().as_bytes().to_vec();
        rest.push(b'/');
        rest.extend(self.rest.get(self.at..).unwrap_or_default());
        (self.rest, self.at) = (rest, 0);
        self.links <= MAX_LINKS
    }

    /// The directory of the current path, without a slash at the end, if the host's own root is walked and no link has led
    /// here.
    pub(super) fn reached_directory(&self) -> Option<&OsStr> {
        self.is_without_links().then(|| OsStr::from_bytes(self.real.get(..self.last).unwrap_or_default()))
    }

    /// Whether the host's own root is walked, and no link has led here.
    pub(super) fn is_without_links(&self) -> bool {
        self.links == 0 && self.base == 0
    }

    /// The current path on the host.
    pub(super) fn host(&self) -> &OsStr {
        OsStr::from_bytes(&self.real)
    }

    /// The current path below the root.
    pub(super) fn inside(&self) -> PathBuf {
        match self.real.get(self.base..) {
            Some(path) if !path.is_empty() => OsStr::from_bytes(path).into(),
            _ => PathBuf::from("/"),
        }
    }
}

/// Where paths of the host lead. Each component is looked up once, whatever number of paths go through it.
#[derive(Default)]
pub struct Ways {
    /// What was looked up: the text of a link, or none for what is no link or not there.
    known: HashMap<OsString, Option<PathBuf>>,
}

impl Ways {
    /// The real path that a path leads to, whether it is there or not, and each link on the way, by the path of its own place. None
    /// if there are too many links, or the path is longer than any that the kernel looks up.
    pub fn follow(&mut self, path: &Path) -> Option<(PathBuf, Vec<PathBuf>)> {
        let mut links = Vec::new();
        let mut walk = Walk::new(Path::new("/"), path);
        while walk.step() {
            if walk.real.len() + walk.rest.len() >= libc::PATH_MAX as usize {
                return None;
            }
            let known = match self.known.get(walk.host()) {
                Some(known) => known,
                None => {
                    let text = std::fs::read_link(Path::new(walk.host())).ok();
                    self.known.entry(walk.host().to_owned()).or_insert(text)
                }
            };
            if let Some(text) = known {
                links.push(walk.inside());
                if !walk.follow(text) {
                    return None;
                }
            }
        }
        Some((walk.inside(), links))
    }
}
