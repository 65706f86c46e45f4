//! Paths compared byte by byte: the standard library goes by their parts, which takes several times as long.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Whether `path` is `dir`, or lies below it. Both are absolute, without `.` and repeated slashes.
pub fn within(path: &Path, dir: &Path) -> bool {
    let (path, dir) = (path.as_os_str().as_bytes(), dir.as_os_str().as_bytes());
    match path.strip_prefix(dir) {
        Some(rest) => rest.is_empty() || rest[0] == b'/' || dir == b"/",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_is_what_the_library_says() {
        for (path, dir) in
            [("/a/b", "/a"), ("/a", "/a"), ("/ab", "/a"), ("/a", "/"), ("/", "/"), ("/", "/a"), ("/a", "/a/b")]
        {
            assert_eq!(within(Path::new(path), Path::new(dir)), Path::new(path).starts_with(dir), "{path} {dir}");
        }
    }
}
