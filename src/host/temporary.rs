//! Directories for the temporary files and sockets of all programs.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Whether a directory is one where programs put temporary files and sockets: anybody may make files in it, and only
/// their owners may remove them (the sticky bit), or it is /tmp, /var/tmp or what a variable names.
pub(super) fn is_temporary(dir: &Path, found: &std::fs::Metadata, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let id = (found.dev(), found.ino());
    let anybody = found.mode() & 0o002 != 0;
    let usual = ["/tmp", "/var/tmp"].map(Path::new);
    let named = ["TMPDIR", "TMP", "TEMP", "TEMPDIR"].into_iter().filter_map(variable).map(PathBuf::from);
    let same = |path: &Path| path == dir || path.metadata().is_ok_and(|other| (other.dev(), other.ino()) == id);
    (anybody && found.mode() & 0o1000 != 0)
        || usual.contains(&dir)
        || (anybody && usual.into_iter().any(same))
        || named.filter(|path| path.is_absolute()).any(|path| same(&path))
}
