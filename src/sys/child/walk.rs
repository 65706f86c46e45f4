//! Opening paths whose links may not lead just anywhere: openat2(2).
//!
//! Where that call is missing, paths are opened part by part. A sandbox of sbx answers that the kernel does not have it,
//! since a filter cannot see its mode; so do the filters of some containers, and kernels before Linux 5.6.

use super::descriptor::cwd;
use super::file::{file_type, openat, read_link, stat};
use super::text::Text;
use crate::sys::errno::{Errno, Result};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

fn openat2(dir: BorrowedFd<'_>, path: &CStr, flags: i32, resolve: ResolveFlag) -> Result<OwnedFd> {
    let how = OpenHow::new().flags(OFlag::from_bits_retain(flags) | OFlag::O_CLOEXEC).resolve(resolve);
    Ok(nix::fcntl::openat2(dir, path, how)?)
}

/// The kernel has no openat2(2), or a filter says so.
const NO_OPENAT2: Errno = Errno(libc::ENOSYS);
/// A filter refuses openat2(2). It fails with this for no other reason, with the flags that are used here.
const REFUSED: Errno = Errno(libc::EPERM);

/// openat2(2) with `root` as the root directory, which links and `..` cannot leave (RESOLVE_IN_ROOT), and without
/// /proc's magic links.
pub fn open_in_root(root: BorrowedFd<'_>, path: &CStr, flags: i32) -> Result<OwnedFd> {
    let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    loop {
        match openat2(root, path, flags, resolve) {
            // The kernel could not make sure that `..` did not escape, since something was renamed meanwhile:
            // openat2(2), EAGAIN.
            Err(Errno(libc::EAGAIN)) => {}
            Err(NO_OPENAT2 | REFUSED) => return open_by_parts(root, path, flags, true),
            other => return other,
        }
    }
}

/// openat2(2), O_PATH, of an absolute path whose links were resolved before (RESOLVE_NO_SYMLINKS): ELOOP if part of it
/// is a link by now.
pub fn open_resolved(path: &CStr) -> Result<OwnedFd> {
    open_without_links(path, libc::O_PATH)
}

/// The same for a directory. One that is mounted when somebody goes through it (autofs) is mounted by that.
pub fn open_resolved_directory(path: &CStr) -> Result<OwnedFd> {
    open_without_links(path, libc::O_PATH | libc::O_DIRECTORY)
}

/// openat2(2) of an absolute path that no link is followed on (RESOLVE_NO_SYMLINKS), with the flags of open(2): ELOOP if part of it is a link.
pub fn open_without_links(path: &CStr, flags: i32) -> Result<OwnedFd> {
    match openat2(cwd(), path, flags, ResolveFlag::RESOLVE_NO_SYMLINKS) {
        Err(NO_OPENAT2 | REFUSED) => open_by_parts(openat(cwd(), c"/", libc::O_PATH, 0)?.as_fd(), path, flags, false),
        other => other,
    }
}

/// openat2(2) of a path below a directory that no link is followed on (RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS): ELOOP if
/// part of it is a link.
pub fn open_below(dir: BorrowedFd<'_>, path: &CStr, flags: i32) -> Result<OwnedFd> {
    match openat2(dir, path, flags, ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS) {
        Err(NO_OPENAT2 | REFUSED) => open_by_parts(dir, path, flags, false),
        other => other,
    }
}

/// Bytes of the longest path, with its NUL.
const LONGEST: usize = libc::PATH_MAX as usize;

/// How many links the kernel follows in one path before it fails with ELOOP: path_resolution(7).
const MAX_LINKS: usize = 40;

/// Opens a path with `root` as the root directory, which links and `..` cannot leave. `flags` are those of open(2),
/// without O_CREAT. Each part is opened by itself and no link by the kernel: with `follow`, the texts of links are
/// taken apart here, so that those of /proc are no more than their texts; without it, a link is an error (ELOOP).
#[inline(never)]
fn open_by_parts(root: BorrowedFd<'_>, path: &CStr, flags: i32, follow: bool) -> Result<OwnedFd> {
    let top = || openat(root, c".", libc::O_PATH | libc::O_DIRECTORY, 0);
    let mut dir = top()?;
    let mut rest = Text::<LONGEST>::default();
    rest.push(path.to_bytes());
    let (mut at, mut followed) = (0, 0);
    loop {
        let left = rest.bytes().get(at..).unwrap_or_default();
        let slashes = left.iter().take_while(|byte| **byte == b'/').count();
        let left = left.get(slashes..).unwrap_or_default();
        let length = left.iter().position(|byte| *byte == b'/').unwrap_or(left.len());
        let mut name = Text::<256>::default();
        name.push(left.get(..length).unwrap_or_default());
        at += slashes + length;
        match name.bytes() {
            b"" => return openat(dir.as_fd(), c".", flags, 0),
            b"." => continue,
            b".." => {
                if stat(dir.as_fd())? != stat(root)? {
                    dir = openat(dir.as_fd(), c"..", libc::O_PATH | libc::O_DIRECTORY, 0)?;
                }
                continue;
            }
            _ => {}
        }
        let name = name.text()?;
        let last = rest.bytes().get(at..).unwrap_or_default().iter().all(|byte| *byte == b'/');
        let found = openat(dir.as_fd(), name, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
        if file_type(found.as_fd())? == libc::S_IFLNK {
            if last && follow && flags & libc::O_NOFOLLOW != 0 && flags & libc::O_PATH != 0 {
                return Ok(found);
            }
            if !follow || followed == MAX_LINKS || last && flags & libc::O_NOFOLLOW != 0 {
                return Err(Errno(libc::ELOOP));
            }
            followed += 1;
            let mut buffer = [0; LONGEST];
            let text = read_link(found.as_fd(), c"", &mut buffer)?.to_bytes();
            if text.starts_with(b"/") {
                dir = top()?;
            }
            let mut next = Text::<LONGEST>::default();
            next.push(text).push(rest.bytes().get(at..).unwrap_or_default());
            next.text()?;
            (rest, at) = (next, 0);
        } else if last {
            return openat(dir.as_fd(), name, flags | libc::O_NOFOLLOW, 0);
        } else {
            dir = found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn c(path: &Path) -> CString {
        CString::new(path.as_os_str().as_bytes()).unwrap()
    }

    #[test]
    fn it_leads_where_openat2_leads() {
        let tree = tempfile::tempdir().unwrap();
        let at = |path: &str| tree.path().join(path);
        for dir in ["root/a/b", "root/x", "outside"] {
            std::fs::create_dir_all(at(dir)).unwrap();
        }
        std::fs::write(at("root/a/f"), "").unwrap();
        for (text, link) in [
            ("a/b", "down"),
            ("/a", "absolute"),
            ("../../outside", "x/out"),
            ("../x/../a/f", "a/round"),
            ("loop", "loop"),
            ("nowhere", "dangling"),
            ("absolute/b/../f", "through"),
            ("/", "top"),
        ] {
            symlink(text, at("root").join(link)).unwrap();
        }
        let root = openat(cwd(), &c(&at("root")), libc::O_PATH, 0).unwrap();
        let names =
            ["", ".", "/", "..", "a", "a/f", "a/f/", "a/f/b", "down", "down/..", "absolute/f", "x/out", "x/out/y"];
        let more =
            ["a/round", "loop", "loop/x", "dangling", "through", "top/a/../top/a/b", "../../a", "a/./b//", "none/x"];
        for name in names.into_iter().chain(more) {
            for flags in
                [libc::O_PATH, libc::O_PATH | libc::O_DIRECTORY, libc::O_PATH | libc::O_NOFOLLOW, libc::O_RDONLY]
            {
                let path = CString::new(name).unwrap();
                let found = |opened: Result<OwnedFd>| opened.and_then(|fd| stat(fd.as_fd()));
                let ours = found(open_by_parts(root.as_fd(), &path, flags, true));
                // openat2(2) takes no empty path, and a path that ends in a slash for a directory.
                let path = if name.is_empty() { c".".to_owned() } else { path };
                let theirs = found(open_in_root(root.as_fd(), &path, flags));
                if !(name.ends_with('/') && theirs == Err(Errno(libc::ENOTDIR))) {
                    assert_eq!(ours, theirs, "{name:?} {flags:o}");
                }
            }
            let whole = c(&at("root").join(name));
            let slash = openat(cwd(), c"/", libc::O_PATH, 0).unwrap();
            let ours = open_by_parts(slash.as_fd(), &whole, libc::O_PATH, false).and_then(|fd| stat(fd.as_fd()));
            let theirs = open_resolved(&whole).and_then(|fd| stat(fd.as_fd()));
            if !name.ends_with('/') {
                assert_eq!(ours, theirs, "{name:?}");
            }
        }
    }

    #[test]
    fn what_is_too_long_is_an_error() {
        let slash = openat(cwd(), c"/", libc::O_PATH, 0).unwrap();
        for path in ["a".repeat(300), "./".repeat(2048)] {
            let opened = open_by_parts(slash.as_fd(), &CString::new(path).unwrap(), libc::O_PATH, true);
            assert!(matches!(opened, Err(Errno(libc::ENAMETOOLONG)) | Ok(_)));
        }
    }
}
