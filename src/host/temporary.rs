//! Directories for the temporary files and sockets of all programs.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Variables that name a directory for temporary files.
const VARIABLES: [&str; 4] = ["TMPDIR", "TMP", "TEMP", "TEMPDIR"];

/// How the names of directories begin in which programs keep their sockets, in one for temporary files.
const SOCKETS: [&str; 11] =
    ["dbus-", "emacs", "gpg-", "kde-", "ksocket-", "orbit-", "pulse-", "screens", "ssh-", "systemd-private-", "tmux-"];

/// Whether a directory is one of a program's sockets: by its name, closed to others, and directly in one for temporary files. Those that are open
/// to all, such as .X11-unix, are for temporary files themselves.
pub(super) fn holds_sockets(dir: &Path, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let name = dir.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    let Some(parent) = dir.parent().filter(|_| SOCKETS.iter().any(|known| name.starts_with(known.as_bytes()))) else {
        return false;
    };
    if dir.metadata().is_ok_and(|found| found.mode() & 0o007 != 0) {
        return false;
    }
    let named = variable("TMUX_TMPDIR").map(PathBuf::from).filter(|path| path.is_absolute());
    named.is_some_and(|named| named.canonicalize().is_ok_and(|named| named == parent))
        || parent.metadata().is_ok_and(|found| is_temporary(parent, &found, variable))
}

/// The directories that variables name for temporary files and sockets, but for the usual ones, by their real paths, each with the variable.
pub(super) fn named(variable: impl Fn(&str) -> Option<OsString>) -> Vec<(&'static str, PathBuf)> {
    let names = VARIABLES.into_iter().chain(["TMUX_TMPDIR"]);
    let set = names.filter_map(|name| Some((name, PathBuf::from(variable(name)?))));
    let other = set
        .filter(|(_, path)| path.is_absolute() && !["/tmp", "/var/tmp"].iter().any(|usual| path == Path::new(usual)));
    other.filter_map(|(name, path)| Some((name, path.canonicalize().ok()?))).collect()
}

/// Whether a directory is one where programs put temporary files and sockets: anybody may make files in it, and only
/// their owners may remove them (the sticky bit), or it is /tmp, /var/tmp or what a variable names.
pub(super) fn is_temporary(dir: &Path, found: &std::fs::Metadata, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let id = (found.dev(), found.ino());
    let anybody = found.mode() & 0o002 != 0;
    let usual = ["/tmp", "/var/tmp"].map(Path::new);
    let named = VARIABLES.into_iter().filter_map(variable).map(PathBuf::from);
    let same = |path: &Path| path == dir || path.metadata().is_ok_and(|other| (other.dev(), other.ino()) == id);
    (anybody && found.mode() & 0o1000 != 0)
        || usual.contains(&dir)
        || (anybody && usual.into_iter().any(same))
        || named.filter(|path| path.is_absolute()).any(|path| same(&path))
}
