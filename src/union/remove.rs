//! Removes a tree that a hostile program may have made: of any depth, with any permissions.

use crate::sys::{self, Errno, FileKind};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Removes what `name` is in a directory, with everything in it. A name that does not exist is no error.
///
/// The tree is flattened rather than descended into: a directory in it is moved up, to the side of `name`. So neither
/// its depth nor the length of its paths matters. `dir` must lie on the same filesystem.
pub fn remove(dir: BorrowedFd<'_>, name: &CStr) -> sys::Result<()> {
    match sys::unlink(dir, name, false) {
        Err(Errno(libc::EISDIR | libc::EPERM)) => {}
        Err(Errno(libc::ENOENT)) => return Ok(()),
        other => return other,
    }
    let mut moved = 0_u64;
    let mut waiting = vec![name.to_owned()];
    while let Some(name) = waiting.pop() {
        let open = open_all(dir, &name)?;
        for (entry, kind) in sys::entries(open.as_fd())? {
            let unlinked = match kind {
                FileKind::Dir => Err(Errno(libc::EISDIR)),
                _ => sys::unlink(open.as_fd(), &entry, false),
            };
            match unlinked {
                Ok(()) | Err(Errno(libc::ENOENT)) => {}
                Err(Errno(libc::EISDIR | libc::EPERM)) => {
                    // A directory can only be moved elsewhere if it is writable itself.
                    drop(open_all(open.as_fd(), &entry)?);
                    let to = loop {
                        moved += 1;
                        let to = CString::new(format!(".gone-{}-{moved}", std::process::id())).unwrap_or_default();
                        match sys::rename(open.as_fd(), &entry, dir, &to, sys::RENAME_NOREPLACE) {
                            Err(Errno(libc::EEXIST)) => {}
                            other => break other.map(|()| to),
                        }
                    };
                    waiting.push(to?);
                }
                Err(errno) => return Err(errno),
            }
        }
        sys::unlink(dir, &name, true)?;
    }
    Ok(())
}

/// Opens a directory for reading, after giving its owner all permissions on it.
fn open_all(dir: BorrowedFd<'_>, name: &CStr) -> sys::Result<OwnedFd> {
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let path = sys::openat(dir, name, flags | libc::O_PATH, 0)?;
    if sys::owner(path.as_fd())?.mode & 0o700 != 0o700 {
        sys::chmod(path.as_fd(), 0o700)?;
    }
    sys::openat(dir, name, flags, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_tree_of_any_depth_with_any_permissions_is_removed_and_links_are_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let tree = place.path().join("tree");
        std::fs::create_dir_all(tree.join("closed/inner")).unwrap();
        std::fs::write(tree.join("closed/inner/file\nwith"), "x").unwrap();
        std::fs::write(place.path().join("stays"), "x").unwrap();
        std::os::unix::fs::symlink(place.path(), tree.join("link")).unwrap();
        for dir in ["closed/inner", "closed"] {
            std::fs::set_permissions(tree.join(dir), PermissionsExt::from_mode(0o000)).unwrap();
        }
        // Deeper than a path can be long.
        let mut deep =
            sys::openat(sys::cwd(), &CString::new(tree.to_str().unwrap()).unwrap(), libc::O_PATH, 0).unwrap();
        for _ in 0..3000 {
            sys::mkdirat(deep.as_fd(), c"directory", 0o755).unwrap();
            deep = sys::openat(deep.as_fd(), c"directory", libc::O_PATH, 0).unwrap();
        }
        drop(deep);
        let dir = std::fs::File::open(place.path()).unwrap();
        remove(dir.as_fd(), c"tree").unwrap();
        let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["stays"]);
        assert_eq!(remove(dir.as_fd(), c"tree"), Ok(()));
    }
}
