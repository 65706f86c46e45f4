//! Finds the programs that run outside of a sandbox for it. They have the caller's rights, so none is taken that somebody
//! but root could have put there: PATH may hold directories of a project that somebody else wrote.

use super::links::unmapped_root;
use super::walk::Walk;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where helpers are looked for before PATH: the usual directories, then those of NixOS and Guix, which have their
/// set-user-ID programs apart.
const DIRECTORIES: [&str; 10] = [
    "/usr/bin",
    "/usr/sbin",
    "/bin",
    "/sbin",
    "/usr/local/bin",
    "/run/wrappers/bin",
    "/run/privileged/bin",
    "/run/setuid-programs",
    "/run/current-system/sw/bin",
    "/run/current-system/profile/bin",
];

/// Where else root's own programs lie. What a program in a sandbox of root's makes is root's, too: for root as the caller, files in other
/// directories are taken by nobody's word.
const ROOTS: [&str; 7] =
    ["/usr/lib", "/usr/libexec", "/usr/local/sbin", "/usr/local/lib", "/usr/local/libexec", "/nix/store", "/gnu/store"];

/// Helper programs by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Helpers {
    /// Paths of those that were found.
    pub found: BTreeMap<String, PathBuf>,
    /// Why one that is in PATH is not used, as a sentence, if no other was found.
    pub refused: BTreeMap<String, String>,
}

impl Helpers {
    /// Looks for programs in the system's directories, then in those of `path` (PATH).
    pub fn find(names: &[&str], path: &str) -> Helpers {
        let mut helpers = Helpers::default();
        let directories = || DIRECTORIES.iter().copied().chain(path.split(':')).map(Path::new);
        for name in names {
            helpers.add(name, directories().filter(|dir| dir.is_absolute()).map(|dir| dir.join(name)));
        }
        helpers
    }

    /// Takes the first of these files for a program, if there is none yet.
    pub(super) fn add(&mut self, name: &str, files: impl Iterator<Item = impl AsRef<Path>>) {
        for file in files {
            let file = file.as_ref();
            if self.found.contains_key(name) {
                return;
            }
            if !is_executable(file) {
                continue;
            }
            match only_roots(file).and_then(|()| if crate::sys::ids().0 == 0 { is_systems(file) } else { Ok(()) }) {
                Ok(()) => {
                    self.found.insert(name.to_owned(), file.to_owned());
                    self.refused.remove(name);
                }
                Err(why) => {
                    let why = format!("{} is not used: {why}", file.display());
                    self.refused.entry(name.to_owned()).or_insert(why);
                }
            }
        }
    }

    /// The path of a helper.
    ///
    /// # Errors
    ///
    /// Why there is none, as the end of a sentence about the helper.
    pub fn get(&self, name: &str) -> Result<&Path, String> {
        self.found.get(name).map(PathBuf::as_path).ok_or_else(|| match self.refused.get(name) {
            Some(why) => format!("which is not among the system's programs ({why})"),
            None => "which is not installed".to_owned(),
        })
    }
}

/// Whether a path leads to a regular file that somebody may execute.
pub fn is_executable(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
}

/// Makes sure that nobody but root can change which file a path leads to, or what is in it: the file, each directory and
/// each link on the way are root's, and no group or other users may write to them.
///
/// # Errors
///
/// The first part of the path that somebody else can change, as a clause.
fn only_roots(path: &Path) -> Result<(), String> {
    let mut walk = Walk::new(Path::new("/"), path);
    while walk.step() {
        let here = Path::new(walk.host()).to_owned();
        let looked = here.symlink_metadata();
        let found = looked.map_err(|error| format!("{}: {}", here.display(), crate::sys::Errno::from(error)))?;
        if !is_root(found.uid()) {
            return Err(format!("{} belongs to user {}", here.display(), found.uid()));
        }
        if !found.is_symlink() {
            let others = found.mode() & 0o002 != 0;
            let group = found.mode() & 0o020 != 0 && !is_root(found.gid());
            if others || group {
                let who = if others { "everybody may" } else { "a group may" };
                return Err(format!("{who} write to {}", here.display()));
            }
            continue;
        }
        let text = std::fs::read_link(&here).unwrap_or_default();
        if !walk.follow(&text) {
            return Err(format!("the links of {} go in a circle", path.display()));
        }
    }
    Ok(())
}

/// Makes sure that a path is one of the system's, for root as the caller.
///
/// # Errors
///
/// It is not, as a clause.
fn is_systems(path: &Path) -> Result<(), String> {
    let is_plain = path.components().all(|part| part != std::path::Component::ParentDir);
    match is_plain && DIRECTORIES.iter().chain(&ROOTS).any(|dir| path.starts_with(dir)) {
        true => Ok(()),
        false => {
            Err("it is in no directory of the system's, so that a program in a sandbox of root's may have made it"
                .into())
        }
    }
}

/// Whether a user or group id is root's: 0, or what root's id shows as where it is not mapped, as in a sandbox.
fn is_root(id: u32) -> bool {
    id == 0 || Some(id) == unmapped_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_used_if_nobody_but_root_can_change_it() {
        assert_eq!(only_roots(Path::new("/bin/sh")), Ok(()));
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("sh");
        std::os::unix::fs::symlink("/bin/sh", &link).unwrap();
        let why = only_roots(&link).unwrap_err();
        assert!(why.contains("everybody may write to /tmp") || why.contains("belongs to user"), "{why}");
        let found = Helpers::find(&["sh"], dir.path().to_str().unwrap());
        assert_eq!(found.get("sh").unwrap(), Path::new("/usr/bin/sh"));
    }

    #[test]
    fn for_root_only_the_systems_directories_count() {
        for path in ["/usr/bin/pasta", "/usr/lib/openssh/ssh-askpass", "/nix/store/x/bin/pasta", "/usr/local/sbin/x"] {
            assert_eq!(is_systems(Path::new(path)), Ok(()), "{path}");
        }
        for path in
            ["/srv/project/venv/bin/pasta", "/usr/bin/../../srv/x", "/root/bin/pasta", "/usr/src/p/pasta", "/opt/p/x"]
        {
            assert!(is_systems(Path::new(path)).unwrap_err().contains("sandbox of root's"), "{path}");
        }
    }

    #[test]
    fn one_that_is_not_used_is_named_with_the_reason() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sbx-no-such-helper");
        std::fs::write(&file, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        let found = Helpers::find(&["sbx-no-such-helper"], &format!("relative:{}", dir.path().display()));
        let why = found.get("sbx-no-such-helper").unwrap_err();
        assert!(why.contains(&format!("{} is not used: ", file.display())), "{why}");
        assert_eq!(found.get("other").unwrap_err(), "which is not installed");
    }
}
