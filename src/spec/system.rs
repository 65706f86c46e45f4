//! Which directories of a host are its system: what `root = "host"` shows, and what no home takes the place of.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Names of the top-level directories that are a part of the system: programs, libraries, their settings and the data
/// that they keep, as the Filesystem Hierarchy Standard, NixOS, Guix and snapd have them. What is not in this list, such
/// as /data, /scratch or /backup, holds files of administrators and users.
pub const SYSTEM: [&str; 16] = [
    "bin", "etc", "gnu", "lib", "lib32", "lib64", "libilp32", "libn32", "libo32", "libx32", "nix", "opt", "sbin",
    "snap", "usr", "var",
];

/// Whether an absolute path is, or lies in, one of the top-level directories in [`SYSTEM`]. Links are not followed; `..`
/// is taken to lead to the directory above.
pub fn lies_in_system(path: &Path) -> bool {
    // Most paths are plain already.
    let bytes = path.as_os_str().as_bytes();
    if !bytes.windows(2).any(|pair| pair == b"/." || pair == b"//") {
        let mut parts = bytes.split(|byte| *byte == b'/').skip(1);
        return parts.next().is_some_and(|top| SYSTEM.iter().any(|known| known.as_bytes() == top));
    }
    lexical(path).components().nth(1).and_then(|top| top.as_os_str().to_str()).is_some_and(|top| SYSTEM.contains(&top))
}

/// Whether a directory is one that programs of the system need, so that nothing may take its place. Some accounts of
/// services have one as their home: /usr/sbin, /bin, /dev, `/`.
pub fn is_needed(directory: &Path) -> bool {
    // Asked of each name in some directories of the system, at each start. How deep the path goes beyond the fourth name does not matter.
    let mut names = [""; 4];
    let parts = directory.components().skip(1).filter_map(|name| name.as_os_str().to_str());
    let count = names.iter_mut().zip(parts).map(|(place, name)| *place = name).count();
    let names = names.get(..count).unwrap_or_default();
    match names {
        [] | [_] => names.first().is_none_or(|top| SYSTEM.contains(top) || ["dev", "proc", "sys", "run"].contains(top)),
        ["dev" | "proc" | "sys", ..] => true,
        ["usr", "local", name] => ["bin", "etc", "lib", "libexec", "sbin", "share"].contains(name),
        ["usr", _] => true,
        ["var", name] => ["cache", "db", "empty", "lib", "local", "lock", "log", "opt", "run", "spool"].contains(name),
        [top, ..] => SYSTEM.contains(top) && !["opt", "usr", "var"].contains(top),
    }
}

/// The path without `.` and `..`, each `..` with the part before it taken away.
fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_told_from_what_lies_beside_it() {
        for path in ["/usr", "/usr/bin", "/lib64", "/nix/store", "/home/../usr/share", "/../var"] {
            assert!(lies_in_system(Path::new(path)), "{path}");
        }
        for path in ["/", "/data/usr", "/usr/../home/x", "/usrx", "/library", "/lost+found", "/home/usr"] {
            assert!(!lies_in_system(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn homes_that_services_have_in_the_system_are_told_from_directories_of_the_system() {
        for path in ["/", "/bin", "/usr/sbin", "/usr/games", "/dev", "/dev/null", "/var", "/var/lib", "/usr/local/bin"]
        {
            assert!(is_needed(Path::new(path)), "{path}");
        }
        for path in ["/home", "/root", "/var/www", "/var/spool/lpd", "/opt/app", "/usr/local/app", "/srv/x", "/data"] {
            assert!(!is_needed(Path::new(path)), "{path}");
        }
    }
}
