//! Who may have put a symbolic link where it is: whoever may write to a directory on the way to it.

use super::accounts::Account;
use super::writers::others_may_write;
use crate::spec::SYSTEM;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Top-level directories that only administrators and packages write to, beside those of the system ([`SYSTEM`]). For
/// root as the caller, links in all of them are the system's.
const ADMINISTERED: [&str; 5] = ["boot", "dev", "proc", "run", "sys"];

/// Who may have put a link where it is. A link that leads out of these directories may lead wherever they like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkWriters {
    /// The outermost directory on the way that users other than root and the caller may write to.
    pub others: Option<PathBuf>,
    /// The outermost directory on the way that belongs to the caller: a program in an earlier sandbox may have put the
    /// link there. None for links in the home itself and below its hidden directories (`~/.config`), which are the
    /// user's own: managers of dotfiles put them there, and no shipped profile makes such a directory writable as a
    /// whole.
    pub caller: Option<PathBuf>,
}

/// The caller, as far as it decides who else may write to a directory.
pub(super) struct Caller<'a> {
    pub uid: u32,
    pub gid: u32,
    /// The home directory by its real path.
    pub home: PathBuf,
    pub accounts: &'a [Account],
}

impl Caller<'_> {
    /// Who may have put a link, named by a path whose directories are no links, where it is.
    pub fn writers(&self, link: &Path) -> LinkWriters {
        let mut writers = LinkWriters::default();
        let Some(parent) = link.parent() else { return writers };
        let mut dirs: Vec<&Path> = parent.ancestors().collect();
        dirs.reverse();
        let mut shared = false;
        for dir in dirs {
            let Ok(found) = dir.symlink_metadata() else {
                writers.others.get_or_insert_with(|| dir.to_owned());
                break;
            };
            let sticky = found.mode() & libc::S_ISVTX != 0;
            shared = others_may_write(dir, &found, (self.uid, self.gid), || self.accounts);
            if !self.is_trusted(found.uid()) || (shared && !sticky) {
                writers.others.get_or_insert_with(|| dir.to_owned());
            }
            if found.uid() == self.uid && self.may_hold_leftovers(dir, link) {
                writers.caller.get_or_insert_with(|| dir.to_owned());
            }
        }
        // Only the sticky bit is left that restricts who replaces the link: to the link's owner (and the directory's).
        if shared && let Ok(found) = link.symlink_metadata() {
            if !self.is_trusted(found.uid()) {
                writers.others.get_or_insert_with(|| parent.to_owned());
            } else if found.uid() == self.uid {
                writers.caller.get_or_insert_with(|| parent.to_owned());
            }
        }
        writers
    }

    /// Whether what belongs to this user was put there by the caller, or by somebody who can do everything anyway.
    fn is_trusted(&self, owner: u32) -> bool {
        owner == 0 || owner == self.uid || Some(owner) == unmapped_root()
    }

    /// Whether a program in an earlier sandbox may have put this link into `dir`, one of the caller's own directories.
    fn may_hold_leftovers(&self, dir: &Path, link: &Path) -> bool {
        if let Ok(rest) = link.strip_prefix(&self.home) {
            let mut names = rest.iter();
            let first = names.next().unwrap_or_default();
            let hidden = first.as_encoded_bytes().starts_with(b".");
            return !self.home.starts_with(dir) && names.next().is_some() && !hidden;
        }
        let top = dir.iter().nth(1);
        let system = self.uid == 0
            && top.is_none_or(|top| SYSTEM.iter().chain(&ADMINISTERED).any(|name| OsStr::new(name) == top));
        !system && !self.home.starts_with(dir)
    }
}

/// The user id that the owner of the system's files has here, if root is not mapped in this user namespace.
pub(super) fn unmapped_root() -> Option<u32> {
    let overflow = std::fs::read_to_string("/proc/sys/kernel/overflowuid").ok()?.trim().parse().ok()?;
    let system = Path::new("/usr").metadata().ok()?.uid();
    (system == overflow).then_some(overflow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// A directory of this user's that nobody else writes to, as far as the test says, and the caller whose home it has.
    fn home() -> (tempfile::TempDir, Caller<'static>) {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        for path in ["home/.config/app", "home/proj/sub", "data/sub", "open", "sticky"] {
            std::fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        let mode = |path: &str, mode| {
            std::fs::set_permissions(dir.path().join(path), PermissionsExt::from_mode(mode)).unwrap();
        };
        mode("open", 0o777);
        mode("sticky", 0o1777);
        let (uid, gid) = sys::ids();
        (dir, Caller { uid, gid, home, accounts: &[] })
    }

    #[test]
    fn whoever_may_write_to_a_directory_on_the_way_may_have_put_the_link_there() {
        let (dir, caller) = home();
        let at = |path: &str| dir.path().join(path);
        let writers = |path: &str| {
            symlink("x", at(path)).unwrap();
            let LinkWriters { others, caller } = caller.writers(&at(path));
            let name = |found: Option<PathBuf>| {
                found.map(|found| found.strip_prefix(dir.path()).unwrap().display().to_string())
            };
            (name(others), name(caller))
        };
        let dir = |path: &str| Some(path.to_owned());
        assert_eq!(writers("home/link"), (None, None), "the home itself");
        assert_eq!(writers("home/.config/app/link"), (None, None), "a hidden directory of the home");
        assert_eq!(writers("home/proj/sub/link"), (None, dir("home/proj")));
        assert_eq!(writers("data/sub/link"), (None, dir("data")));
        assert_eq!(writers("open/link"), (dir("open"), dir("open")));
        assert_eq!(writers("sticky/link"), (None, dir("sticky")), "in a sticky directory it is the caller's own");
    }

    #[test]
    fn a_directory_of_another_user_is_not_trusted() {
        let (dir, caller) = home();
        let other = Caller { uid: caller.uid + 1, ..caller };
        let link = dir.path().join("data/link");
        symlink("x", &link).unwrap();
        let outermost = if sys::ids().0 == 0 { None } else { Some(dir.path().to_owned()) };
        assert_eq!(other.writers(&link).others, outermost, "what root owns is trusted");
    }
}
