//! Which path in layers somebody means who names a path in a shell.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// An absolute path whose directory is the real one, as far as the host has it: without links and `..`. Its last part is as it was named: it
/// may be a link that differs. None if `..` leads out of what is not there.
pub(super) fn meant(path: &Path) -> Option<PathBuf> {
    let (mut dir, last) = match path.file_name() {
        Some(last) => (path.parent().unwrap_or(path), Some(last)),
        None => (path, None),
    };
    let mut missing: Vec<Component> = Vec::new();
    let mut real = loop {
        match (dir.canonicalize(), dir.parent()) {
            (Ok(real), _) => break real,
            (Err(_), Some(above)) => {
                missing.extend(dir.components().next_back());
                dir = above;
            }
            (Err(_), None) => break dir.to_owned(),
        }
    };
    // A directory that the layers alone have: links in it are the program's, and are not followed.
    let mut below: Vec<OsString> = Vec::new();
    for part in missing.into_iter().rev() {
        match part {
            Component::ParentDir => drop(below.pop()?),
            part => below.push(part.as_os_str().to_owned()),
        }
    }
    real.extend(below);
    real.extend(last);
    Some(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_links_are_followed_up_to_the_last_part() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("real/sub")).unwrap();
        std::os::unix::fs::symlink("real", root.join("link")).unwrap();
        for (named, path) in [
            ("link/x", "real/x"),
            ("link", "link"),
            ("link/sub/../x", "real/x"),
            ("link/..", ""),
            ("link/none/deep/../x", "real/none/x"),
            ("real/./sub/", "real/sub"),
        ] {
            let expected: PathBuf = root.join(path).components().collect();
            assert_eq!(meant(&root.join(named)), Some(expected), "{named}");
        }
        assert_eq!(meant(&root.join("none/../../x")), None);
    }
}
