//! Removes a tree that a hostile program may have made: of any depth, with any permissions.

use crate::sys::{self, Errno, FileKind};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Removes what `name` is in a directory, with everything in it. A name that does not exist is no error.
///
/// The tree is flattened rather than descended into: a directory in it is moved up, into `name` itself. So neither its depth
/// nor the length of its paths matters, and if this is interrupted, what is left is below `name`, and goes with the next
/// call. What is mounted in it is not removed (EBUSY).
pub fn remove(dir: BorrowedFd<'_>, name: &CStr) -> sys::Result<()> {
    match sys::unlink(dir, name, false) {
        Err(Errno(libc::EISDIR | libc::EPERM)) => {}
        Err(Errno(libc::ENOENT)) => return Ok(()),
        other => return other,
    }
    let top = open_all(dir, name)?;
    let mut moved = 0_u64;
    loop {
        let mut waiting = empty(top.as_fd(), top.as_fd(), &mut moved)?;
        if waiting.is_empty() {
            break;
        }
        while let Some(name) = waiting.pop() {
            let open = open_all(top.as_fd(), &name)?;
            waiting.extend(empty(open.as_fd(), top.as_fd(), &mut moved)?);
            sys::unlink(top.as_fd(), &name, true)?;
        }
    }
    sys::unlink(dir, name, true)
}

/// Removes the files in a directory, and moves the directories in it to `top`. Gives the names of these there.
fn empty(dir: BorrowedFd<'_>, top: BorrowedFd<'_>, moved: &mut u64) -> sys::Result<Vec<CString>> {
    let is_top = dir.as_raw_fd() == top.as_raw_fd();
    let mut dirs = Vec::new();
    for (entry, kind) in sys::entries(dir)? {
        let unlinked = match kind {
            FileKind::Dir => Err(Errno(libc::EISDIR)),
            _ => sys::unlink(dir, &entry, false),
        };
        match unlinked {
            Ok(()) | Err(Errno(libc::ENOENT)) => {}
            Err(Errno(libc::EISDIR | libc::EPERM)) if is_top => dirs.push(entry),
            Err(Errno(libc::EISDIR | libc::EPERM)) => {
                // A directory can only be moved elsewhere if it is writable itself.
                drop(open_all(dir, &entry)?);
                dirs.push(loop {
                    *moved += 1;
                    let to = CString::new(format!(".gone-{}-{moved}", std::process::id())).unwrap_or_default();
                    match sys::rename(dir, &entry, top, &to, sys::RENAME_NOREPLACE) {
                        Err(Errno(libc::EEXIST)) => {}
                        // A filesystem without that flag: it fails, too, where something else than an empty directory is.
                        Err(Errno(libc::EINVAL)) => match sys::rename(dir, &entry, top, &to, 0) {
                            Err(Errno(libc::EEXIST | libc::ENOTEMPTY | libc::ENOTDIR)) => {}
                            other => break other.map(|()| to)?,
                        },
                        other => break other.map(|()| to)?,
                    }
                });
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(dirs)
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
