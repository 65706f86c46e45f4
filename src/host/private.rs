//! Directories below the system's that are no part of the system: what is mounted there, and what is the user's own.

use super::mountinfo::MountInfo;
use super::union::unescaped;
use crate::spec::is_needed;
use crate::sys;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Directories of the system in which administrators and users put what belongs to no package. All others, such as the
/// rest of /usr, are the system's with whatever is mounted there: containers, WSL and NixOS mount parts of a system.
pub(super) const OPEN: [&str; 3] = ["/opt", "/usr/local", "/var"];

/// The directories below `dirs`, the real paths of [`OPEN`], that are no part of the system: each directory that something is
/// mounted on, but for those that the system has everywhere ([`is_needed`]); and those directly in one of `dirs`, files too, that are
/// the caller's own and closed to others, or in which homes lie.
pub(super) fn private(dirs: &[PathBuf], mounts: &MountInfo) -> Vec<PathBuf> {
    let mut found = mounted(dirs, mounts.text());
    // What cannot be looked up needs no cover: the program cannot either.
    found.retain(|path| path.symlink_metadata().is_ok());
    for dir in dirs {
        for entry in sys::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_symlink() {
                continue;
            }
            let path = dir.join(&name);
            // The view has a /var/tmp of its own.
            if is_needed(&path) || path.as_os_str() == "/var/tmp" {
                continue;
            }
            let open = if kind.is_dir() { 0o005 } else { 0o004 };
            let closed = |found: &std::fs::Metadata| found.mode() & open == 0 && found.uid() == sys::ids().0;
            if name == "home" || path.symlink_metadata().is_ok_and(|found| closed(&found)) {
                found.push(path);
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The mount points below these directories in a text as that of /proc/self/mountinfo, in which blanks and the like are
/// octal escapes (proc_pid_mountinfo(5)).
fn mounted(dirs: &[PathBuf], text: &[u8]) -> Vec<PathBuf> {
    let lines = text.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    let below = |path: &[u8]| {
        dirs.iter().any(|dir| path.strip_prefix(dir.as_os_str().as_bytes()).is_some_and(|rest| rest.starts_with(b"/")))
    };
    let paths = lines.filter(|path| below(path)).map(|path| PathBuf::from(unescaped(path)));
    paths.filter(|path| !is_needed(path) && path.as_os_str() != "/var/tmp").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mounted_in_the_system_is_told_from_what_is_mounted_beside_it() {
        let line = |path: &str| format!("23 1 8:1 / {path} rw,relatime shared:1 - ext4 /dev/sda1 rw\n");
        let paths = [
            "/",
            "/opt",
            "/opt/x",
            "/opt/a\\040b/c",
            "/optional",
            "/usr/lib/wsl",
            "/usr/local",
            "/usr/local/bin",
            "/usr/local/src",
            "/usr/local/data",
            "/var/lib",
            "/var/lib/docker/1",
            "/var/tmp",
            "/home/me",
        ];
        let text: String = paths.map(line).concat();
        let found = mounted(&OPEN.map(PathBuf::from), text.as_bytes());
        let expected =
            ["/opt/x", "/opt/a b/c", "/usr/local/src", "/usr/local/data", "/var/lib/docker/1"].map(PathBuf::from);
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_the_callers_own_and_closed_is_told_from_what_is_open() {
        use std::os::unix::fs::PermissionsExt;
        let tree = tempfile::tempdir().unwrap();
        for (name, mode) in [("open", 0o755), ("own", 0o700), ("group", 0o770), ("home", 0o755), ("src", 0o700)] {
            std::fs::create_dir(tree.path().join(name)).unwrap();
            std::fs::set_permissions(tree.path().join(name), PermissionsExt::from_mode(mode)).unwrap();
        }
        for (name, mode) in [("file", 0o644), ("key", 0o600)] {
            std::fs::write(tree.path().join(name), "").unwrap();
            std::fs::set_permissions(tree.path().join(name), PermissionsExt::from_mode(mode)).unwrap();
        }
        let found = private(&[tree.path().to_owned()], &MountInfo::default());
        // A name that the Filesystem Hierarchy Standard has is nobody's excuse.
        assert_eq!(found, ["group", "home", "key", "own", "src"].map(|name| tree.path().join(name)));
    }
}
