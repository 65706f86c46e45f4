//! Paths of the sandbox's view, as the launcher reaches them from outside.

use crate::sys;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

/// Opens the directory that a path of the view lies in, through /proc/PID/root of the first process (O_PATH). Links on
/// the way do not lead out of the view.
pub(super) fn directory(path: &Path, first: i32) -> sys::Result<OwnedFd> {
    let c = |path: &Path| CString::new(path.as_os_str().as_encoded_bytes()).unwrap_or_default();
    let open = |at: BorrowedFd<'_>, path: &Path| sys::open_in_root(at, &c(path), libc::O_PATH | libc::O_DIRECTORY);
    let root = format!("/proc/{first}/root");
    let root = sys::openat(sys::cwd(), &c(Path::new(&root)), libc::O_PATH | libc::O_DIRECTORY, 0)?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    open(root.as_fd(), dir.strip_prefix("/").unwrap_or(dir))
}

/// Does something with a path of the view by a path that leads there from outside. What is at the end of the path is
/// followed if it is a link: only before the program runs is it what sbx has put there.
pub(super) fn reach<T>(path: &Path, first: i32, act: impl FnOnce(&Path) -> sys::Result<T>) -> sys::Result<T> {
    let dir = directory(path, first)?;
    let name = path.file_name().unwrap_or_default();
    act(&Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name))
}

/// Makes a socket at a path of the view that listens for connections. It lies in the view's memory, and goes with it;
/// nothing must be at the path.
pub(super) fn listen(path: &Path, first: i32) -> sys::Result<OwnedFd> {
    reach(path, first, |path| {
        let listener = UnixListener::bind(path)?;
        // The launcher's umask may be anything.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener.into())
    })
}
