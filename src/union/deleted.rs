//! Which deletions of a layer are done on the host: these go out of the layer, and no others. A file that the host has not at the
//! moment may be back tomorrow, and the program has deleted it all the same. What both sides have made the same goes as well.

use super::compare::same_but_for_time;
use super::node::{Node, NodeKind};
use super::reader::Reader;
use super::{Upper, name};
use crate::sys::{self, Errno};
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Name of a file beside the layers, while a commit is at work: a line for each deletion, with the index of the layer and the path in the
/// directory of the overlay, as bytes. A commit that was interrupted has not taken them out of the layer.
const NAME: &CStr = c"deleted";

/// Notes a deletion that is about to be carried out.
pub(super) fn note(upper: &Upper, index: usize, inside: &Path) -> sys::Result<()> {
    let text = serde_json::to_string(&(index, inside.as_os_str().as_bytes())).map_err(|_| Errno(libc::EILSEQ))? + "\n";
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_NOFOLLOW;
    // One write, which a signal does not tear.
    sys::write_all(sys::openat(upper.directory(), NAME, flags, 0o600)?.as_fd(), text.as_bytes())
}

/// Takes out of the layers what an interrupted commit has deleted on the host. `host` opens the directory below a layer, with everything
/// that was done in it on disk.
pub(super) fn finish(upper: &Upper, host: &dyn Fn(usize) -> sys::Result<OwnedFd>) -> sys::Result<()> {
    let file = match sys::openat(upper.directory(), NAME, libc::O_RDONLY | libc::O_NOFOLLOW, 0) {
        Err(Errno(libc::ENOENT)) => return Ok(()),
        other => std::fs::File::from(other?),
    };
    let text = std::io::read_to_string(file).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<(usize, Vec<u8>)>(line).ok());
    let mut open: Option<(usize, OwnedFd)> = None;
    for (index, inside) in lines {
        if upper.state.layers.get(index).is_none_or(|layer| !layer.frozen.is_empty()) {
            continue;
        }
        if open.as_ref().is_none_or(|(of, _)| *of != index) {
            open = Some((index, host(index)?));
        }
        if let Some((_, host)) = &open {
            take_out(upper, index, Path::new(OsStr::from_bytes(&inside)), host.as_fd())?;
        }
    }
    end(upper);
    Ok(())
}

/// Notes that all deletions which were carried out are out of the layers.
pub(super) fn end(upper: &Upper) {
    let _ = sys::unlink(upper.directory(), NAME, false);
}

/// Takes what is done out of the upper layer with this index: a deletion, unless the host has something there; a file, unless the host's is
/// another one but for its time.
pub(super) fn take_out(upper: &Upper, index: usize, inside: &Path, host: BorrowedFd<'_>) -> sys::Result<()> {
    let Some(last) = inside.file_name() else { return Ok(()) };
    let c = |text: &OsStr| CString::new(text.as_bytes()).map_err(|_| Errno(libc::EINVAL));
    let (last, above) = (c(last)?, inside.parent().unwrap_or(inside));
    let above = c(if above.as_os_str().is_empty() { OsStr::new(".") } else { above.as_os_str() })?;
    let parent = |root: BorrowedFd<'_>| {
        match sys::open_below(root, &above, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW) {
            // Something else is there by now.
            Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::EACCES)) => Ok(None),
            other => other.map(Some),
        }
    };
    let reader = upper.state.layers.get(index).map_or(Reader::Overlay, Reader::of);
    let upper = sys::open_below(upper.directory(), &upper_of(index), libc::O_RDONLY | libc::O_DIRECTORY)?;
    let (Some(layer), Some(host)) = (parent(upper.as_fd())?, parent(host)?) else { return Ok(()) };
    let done = match (Node::find(layer.as_fd(), &last)?, Node::find(host.as_fd(), &last)?) {
        (Some(new), None) => new.kind == NodeKind::Whiteout,
        (Some(new), Some(old)) if new.kind == old.kind && new.kind != NodeKind::Dir => {
            same_but_for_time((layer.as_fd(), &last, &new), (host.as_fd(), &last, &old), reader)?
        }
        _ => false,
    };
    if done { sys::unlink(layer.as_fd(), &last, false) } else { Ok(()) }
}

/// The path of an upper layer, below the directory of all of them.
fn upper_of(index: usize) -> CString {
    CString::new([name::number(index).to_bytes(), b"/upper"].concat()).unwrap_or_default()
}
