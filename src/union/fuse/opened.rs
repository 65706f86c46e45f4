//! The layers of a union, open.

use super::super::node::{DELETED, OPAQUE};
use super::super::view::{Tree, Trees};
use super::layers::{Layers, OwnFile};
use crate::sys::{self, Errno, Result};
use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// The directory of the work directory that holds what is made here.
const OURS: &CStr = c"fuse";

/// The directory of the work directory that holds names of files which have several in a lower layer.
const LINKS: &CStr = c"links";

/// The open layers of one union.
pub struct Union {
    /// Its lower layers, the topmost first.
    pub lower: Vec<LowerLayer>,
    /// Its upper layer.
    pub upper: Option<UpperLayer>,
}

/// A lower layer.
pub struct LowerLayer {
    /// Root directory of the layer.
    pub root: Arc<OwnedFd>,
    /// Its number among those that are the same in each run; none for one that was made for this run.
    pub id: Option<usize>,
    /// Paths in it that are shown empty.
    pub hidden: HashSet<Vec<u8>>,
}

/// The upper layer.
#[derive(Clone)]
pub struct UpperLayer {
    /// Root directory of the layer.
    pub root: Arc<OwnedFd>,
    /// A directory on the same filesystem for what is being made.
    pub work: Arc<OwnedFd>,
    /// A directory on the same filesystem that has a name of each file which has several in a lower layer: see
    /// [`super::links`].
    pub links: Arc<OwnedFd>,
    /// What is copied up is on the disk before it takes its place.
    pub kept: bool,
    /// Its filesystem takes no devices: deleted names are marked by empty files with an attribute.
    pub no_devices: bool,
}

/// Marks a directory of an upper layer: what the layers below have of it does not show through.
pub fn mark_opaque(dir: BorrowedFd<'_>) -> Result<()> {
    sys::set_attribute_at(dir, OPAQUE, b"y", 0)
}

impl UpperLayer {
    /// Makes the mark of a deleted name in the work directory.
    pub fn whiteout(&self, temporary: &CStr) -> Result<()> {
        if self.no_devices {
            deleted_file(self.work.as_fd(), temporary)
        } else {
            sys::whiteout(self.work.as_fd(), temporary)
        }
    }
}

/// Makes an empty file that marks a deleted name.
fn deleted_file(dir: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    let file = sys::openat(dir, name, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW, 0o600)?;
    sys::set_attribute_at(file.as_fd(), DELETED, b"y", 0)?;
    sys::chmod(file.as_fd(), 0)
}

impl Union {
    /// Opens the layers of a union, and makes those that are made for this run.
    pub fn new(layers: &Layers, trees: &Trees) -> std::result::Result<Union, String> {
        let mut lower = Vec::new();
        let (mut upper, mut points) = (None, None);
        if let Some(place) = &layers.upper {
            let (root, above) = (open(&place.upper)?, open(&place.work)?);
            let failed = |errno: Errno| format!("{}: {errno}", place.work.display());
            // What an earlier server has left.
            super::super::remove(above.as_fd(), OURS).map_err(failed)?;
            let work = Arc::new(make_dir(above.as_fd(), OURS).map_err(failed)?);
            let scratch = |name| make_dir(work.as_fd(), name).map(Arc::new);
            if !layers.without.is_empty() {
                let dir = scratch(c"without").map_err(failed)?;
                for name in &layers.without {
                    let name = text(name)?;
                    let made = sys::whiteout(dir.as_fd(), &name).or_else(|_| deleted_file(dir.as_fd(), &name));
                    made.map_err(failed)?;
                }
                lower.push(LowerLayer { root: dir, id: None, hidden: HashSet::new() });
            }
            if !layers.own.is_empty() {
                let dir = scratch(c"own").map_err(failed)?;
                layers.own.iter().try_for_each(|file| own_file(dir.as_fd(), file))?;
                lower.push(LowerLayer { root: dir, id: None, hidden: HashSet::new() });
            }
            if !layers.points.is_empty() {
                let dir = scratch(c"points").map_err(failed)?;
                for (path, is_dir) in &layers.points {
                    match is_dir {
                        true => drop(directories(dir.as_fd(), path)?),
                        false => own_file(dir.as_fd(), &OwnFile { path: path.clone(), mode: 0o444, data: Vec::new() })?,
                    }
                }
                points = Some(LowerLayer { root: dir, id: None, hidden: HashSet::new() });
            }
            let work = scratch(c"tmp").map_err(failed)?;
            let no_devices = takes_marks(work.as_fd()).map_err(|(what, errno)| {
                format!("{}: its filesystem takes no {what} ({errno}), so that it cannot hold an upper layer; set XDG_DATA_HOME to a directory on another one", place.upper.display())
            })?;
            let links = match make_dir(above.as_fd(), LINKS) {
                Err(Errno(libc::EEXIST)) => {
                    sys::openat(above.as_fd(), LINKS, libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0)
                }
                made => made,
            };
            let links = Arc::new(links.map_err(failed)?);
            upper = Some(UpperLayer { root, work, links, kept: place.kept, no_devices });
        }
        let mut id = 0..;
        for frozen in &layers.frozen {
            lower.push(LowerLayer { root: open(frozen)?, id: id.next(), hidden: HashSet::new() });
        }
        for index in &layers.trees {
            let Tree { source, hidden } = trees.trees.get(*index).ok_or("there is no such tree")?;
            let below = hidden.iter().filter_map(|path| path.strip_prefix(source).ok());
            let hidden = below.map(|path| path.as_os_str().as_bytes().to_vec()).collect();
            lower.push(LowerLayer { root: open(source)?, id: id.next(), hidden });
        }
        lower.extend(points);
        Ok(Union { lower, upper })
    }
}

/// Whether a directory's filesystem takes the marks of an upper layer but no devices; or else what it does not take.
fn takes_marks(work: BorrowedFd<'_>) -> std::result::Result<bool, (&'static str, Errno)> {
    let name = c"mark";
    let no_devices = sys::whiteout(work, name).is_err();
    if no_devices {
        deleted_file(work, name).map_err(|errno| ("marks of deleted files", errno))?;
    }
    sys::unlink(work, name, false).map_err(|errno| ("whiteouts", errno))?;
    let marked = make_dir(work, name).and_then(|dir| mark_opaque(dir.as_fd()));
    marked.map_err(|errno| ("extended attributes (user.*)", errno))?;
    sys::unlink(work, name, true).map_err(|errno| ("directories", errno))?;
    Ok(no_devices)
}

fn make_dir(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    sys::mkdirat(dir, name, 0o755)?;
    sys::openat(dir, name, libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0)
}

/// Makes each directory of a path below `root`, and opens the last.
fn directories(root: BorrowedFd<'_>, path: &Path) -> std::result::Result<OwnedFd, String> {
    let failed = |errno: Errno| format!("{}: {errno}", path.display());
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let mut dir = sys::openat(root, c".", flags, 0).map_err(failed)?;
    for part in path.iter().filter(|part| part.as_bytes() != b"/") {
        let name = text(Path::new(part))?;
        match sys::mkdirat(dir.as_fd(), &name, 0o755) {
            Ok(()) | Err(Errno(libc::EEXIST)) => {}
            Err(errno) => return Err(failed(errno)),
        }
        dir = sys::openat(dir.as_fd(), &name, flags, 0).map_err(failed)?;
    }
    Ok(dir)
}

fn own_file(root: BorrowedFd<'_>, file: &OwnFile) -> std::result::Result<(), String> {
    let failed = |errno: Errno| format!("{}: {errno}", file.path.display());
    let (Some(above), Some(name)) = (file.path.parent(), file.path.file_name()) else { return Ok(()) };
    let dir = directories(root, above)?;
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_NOFOLLOW;
    let made = sys::openat(dir.as_fd(), &text(Path::new(name))?, flags, 0o600).map_err(failed)?;
    sys::write_all(made.as_fd(), &file.data).map_err(failed)?;
    sys::chmod(made.as_fd(), file.mode).map_err(failed)
}

fn text(path: &Path) -> std::result::Result<CString, String> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| format!("{}: a NUL in a path", path.display()))
}

fn open(path: &Path) -> std::result::Result<Arc<OwnedFd>, String> {
    let found = sys::open_resolved(&text(path)?).map_err(|errno| format!("{}: {errno}", path.display()))?;
    Ok(Arc::new(found))
}
