//! What is at a path: a socket, or not.

use std::path::Path;

/// Whether there is a socket at a path.
pub(super) fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|facts| facts.file_type().is_socket())
}
