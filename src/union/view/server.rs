//! What is answered to each request, without the protocol.
//!
//! Paths are opened below the directory of their tree, and no link is followed on the way. The kernel remembers names for an hour,
//! a file's attributes for a second, and its content until it is opened after a change.

use super::super::serving::{Add, Descriptors, Listed, TOP, is_same, lifetime};
use super::nodes::Nodes;
use super::notes::CHANGED;
use super::trees::{Tree, Trees};
use crate::sys::{self, Errno, FileStatus, Resource, Result};
use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Open directories, and open files, at most: each takes a descriptor and some memory of the kernel's.
const MOST_OPEN: u64 = 512;

/// The view of some directories of the host.
pub struct Server {
    trees: Trees,
    /// The directory of each tree.
    roots: Vec<OwnedFd>,
    /// Paths below each tree that are shown empty.
    hidden: Vec<HashSet<Vec<u8>>>,
    uid: u32,
    groups: Vec<u32>,
    pipe: OwnedFd,
    state: Mutex<State>,
}

struct State {
    nodes: Nodes,
    /// Open directories, by the numbers of their nodes.
    dirs: Descriptors<u64>,
    /// Open files, by the numbers of their nodes.
    files: Descriptors<u64>,
    /// The names in the directory that was listed last: one with many is asked for in parts.
    listing: Option<(u64, Arc<[CString]>)>,
}

impl Server {
    /// Opens the trees. The pipe is what notes are written to.
    ///
    /// # Errors
    ///
    /// A directory cannot be opened.
    pub fn new(trees: Trees, pipe: OwnedFd) -> std::result::Result<Server, String> {
        let open = |path: &Path| {
            let found = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno(libc::EINVAL));
            let found = found.and_then(|path| sys::open_resolved(&path));
            found.map_err(|errno| format!("{}: {errno}", path.display()))
        };
        let roots = trees.trees.iter().map(|tree| open(&tree.source)).collect::<std::result::Result<_, _>>()?;
        let below = |tree: &Tree| {
            let paths = tree.hidden.iter().filter_map(|path| path.strip_prefix(&tree.source).ok());
            paths.map(|path| path.as_os_str().as_bytes().to_vec()).collect()
        };
        let hidden = trees.trees.iter().map(below).collect();
        sys::raise_descriptors();
        let limit = sys::rlimit(Resource::RLIMIT_NOFILE).map_or(256, |(soft, _)| soft);
        let most = (limit.saturating_sub(64) / 2).clamp(8, MOST_OPEN) as usize;
        let state = State {
            nodes: Nodes::default(),
            dirs: Descriptors::new(most),
            files: Descriptors::new(most),
            listing: None,
        };
        let mut groups = sys::groups();
        groups.push(sys::effective_gid());
        let uid = sys::effective_uid();
        Ok(Server { trees, roots, hidden, uid, groups, pipe, state: Mutex::new(state) })
    }

    /// The directories of the trees.
    pub fn roots(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.roots.iter().map(AsFd::as_fd)
    }

    /// The pipe that notes are written to.
    pub fn pipe(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A request that panicked ends the process.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The attributes of a node, with its number in place of the host's inode number and the owner that is shown.
    fn shown(&self, number: u64, status: &FileStatus) -> FileStatus {
        let (uid, gid) = (self.trees.uids.inside(status.uid), self.trees.gids.inside(status.gid));
        FileStatus { ino: number, uid, gid, ..*status }
    }

    /// The attributes of the directory at the top.
    fn top(&self) -> FileStatus {
        self.trees.top()
    }

    /// The attributes of a node.
    ///
    /// # Errors
    ///
    /// ESTALE: there is no such node.
    pub fn attributes(&self, number: u64) -> Result<FileStatus> {
        if number == TOP {
            return Ok(self.top());
        }
        let mut state = self.state();
        // What is gone is shown as it was.
        let _ = self.renew(&mut state, number);
        let node = state.nodes.get(number).ok_or(Errno(libc::ESTALE))?;
        Ok(self.shown(number, &node.status))
    }

    /// Looks at a file again, and notes if it has changed.
    fn renew(&self, state: &mut State, number: u64) -> Result<()> {
        let node = state.nodes.get(number).ok_or(Errno(libc::ESTALE))?;
        if node.closed || node.status.mode & libc::S_IFMT != libc::S_IFREG {
            return Ok(());
        }
        let (parent, name) = (node.parent, node.name.clone());
        let Some((now, false)) = self.status(self.directory(state, parent)?.as_fd(), &name)? else {
            return Err(Errno(libc::EACCES));
        };
        if now.mode & libc::S_IFMT != libc::S_IFREG {
            return Err(Errno(libc::EIO));
        }
        let node = state.nodes.get_mut(number).ok_or(Errno(libc::ESTALE))?;
        if !is_same(&now, &node.status) {
            node.status = now;
            node.read = false;
            node.version += 1;
            state.files.remove(&number);
        }
        Ok(())
    }

    /// Opens a file. Gives its version, which its reads are to name, and whether the kernel may keep what it has of the content.
    ///
    /// # Errors
    ///
    /// EIO: it is no file any more, or cannot be read. ESTALE: it has changed, and the kernel may have the size that it had: an overlay
    /// would copy so much of it. The kernel then looks the name up again, and opens the file as it is now.
    pub fn open_file(&self, number: u64) -> Result<(u64, bool)> {
        let mut state = self.state();
        let before = state.nodes.get(number).map(|node| node.version);
        if self.renew(&mut state, number).is_err() {
            return Err(self.changed());
        }
        let node = state.nodes.get_mut(number).ok_or(Errno(libc::ESTALE))?;
        // Not twice in a row: of a file that changes all the time, the size is never known.
        node.refused = before != Some(node.version) && !node.refused;
        if node.refused {
            return Err(Errno(libc::ESTALE));
        }
        let kept = node.opened == node.version;
        node.opened = node.version;
        Ok((node.version, kept))
    }

    /// Looks a name up, and counts that the kernel was told of it. None: there is nothing.
    ///
    /// # Errors
    ///
    /// The directory is not what it was, or cannot be read.
    pub fn lookup(&self, parent: u64, name: &CStr) -> Result<Option<FileStatus>> {
        let mut state = self.state();
        let Some((number, new)) = self.find(&mut state, parent, name)? else { return Ok(None) };
        if !new {
            // What is gone is shown as it was.
            let _ = self.renew(&mut state, number);
        }
        state.nodes.told(number);
        Ok(state.nodes.get(number).map(|node| self.shown(number, &node.status)))
    }

    /// Notes that the kernel has forgotten a node so many times.
    pub fn forget(&self, number: u64, times: u64) {
        let mut state = self.state();
        if number != TOP && state.nodes.forget(number, times) {
            state.dirs.remove(&number);
            state.files.remove(&number);
        }
    }

    /// The node at a name, which is added if it is not known yet, and whether it was: then its attributes are those of now.
    fn find(&self, state: &mut State, parent: u64, name: &CStr) -> Result<Option<(u64, bool)>> {
        if let Some(number) = state.nodes.find(parent, name) {
            return Ok(Some((number, false)));
        }
        if parent == TOP {
            let text = name.to_str().unwrap_or_default();
            let Some(tree) = text.parse::<usize>().ok().filter(|tree| tree.to_string() == text) else {
                return Ok(None);
            };
            let Some(root) = self.roots.get(tree) else { return Ok(None) };
            let status = sys::status_of(root.as_fd(), c"")?;
            return Ok(Some((state.nodes.add(TOP, name, tree, (status, false)), true)));
        }
        let above = state.nodes.get(parent).ok_or(Errno(libc::ESTALE))?;
        if above.closed {
            return Ok(None);
        }
        let tree = above.tree;
        if self.is_hidden(state, parent, tree, name) {
            let status = FileStatus { ino: 0, ..self.top() };
            return Ok(Some((state.nodes.add(parent, name, tree, (status, true)), true)));
        }
        let dir = self.directory(state, parent)?;
        match self.status(dir.as_fd(), name) {
            Ok(found) => Ok(found.map(|found| (state.nodes.add(parent, name, tree, found), true))),
            // What this user may not search is empty to them.
            Err(Errno(libc::ENOENT | libc::EACCES)) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    fn is_hidden(&self, state: &State, parent: u64, tree: usize, name: &CStr) -> bool {
        let Some(hidden) = self.hidden.get(tree).filter(|hidden| !hidden.is_empty()) else { return false };
        let Some((_, mut path)) = state.nodes.path(parent) else { return false };
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend(name.to_bytes());
        hidden.contains(&path)
    }

    /// The attributes of a file of the host, and whether it is shown empty since this user may not read it. None: it is the
    /// mark of an absent file, which means as much here.
    fn status(&self, dir: BorrowedFd<'_>, name: &CStr) -> Result<Option<(FileStatus, bool)>> {
        let status = sys::status_of(dir, name)?;
        Ok(match status.mode & libc::S_IFMT {
            libc::S_IFCHR if status.rdev == 0 => None,
            libc::S_IFREG if !self.may_read(dir, name, &status) => {
                Some((FileStatus { size: 0, blocks: 0, ..status }, true))
            }
            _ => Some((status, false)),
        })
    }

    fn may_read(&self, dir: BorrowedFd<'_>, name: &CStr, status: &FileStatus) -> bool {
        let bit = match status {
            _ if status.uid == self.uid => 0o400,
            _ if self.groups.contains(&status.gid) => 0o040,
            _ => 0o004,
        };
        // An access control list may grant what the permissions do not.
        status.mode & bit != 0 || sys::may(dir, name, libc::R_OK).is_ok()
    }

    /// The open directory of a node.
    fn directory(&self, state: &mut State, number: u64) -> Result<Arc<OwnedFd>> {
        match state.dirs.get(&number) {
            Some(fd) => Ok(fd),
            None => {
                let fd = self.open(&state.nodes, number, libc::O_PATH | libc::O_DIRECTORY)?;
                Ok(state.dirs.add(number, fd))
            }
        }
    }

    fn open(&self, nodes: &Nodes, number: u64, flags: i32) -> Result<OwnedFd> {
        let (tree, path) = nodes.path(number).ok_or(Errno(libc::ESTALE))?;
        let root = self.roots.get(tree).ok_or(Errno(libc::ESTALE))?;
        let path = if path.is_empty() { b".".to_vec() } else { path };
        let path = CString::new(path).map_err(|_| Errno(libc::EINVAL))?;
        sys::open_below(root.as_fd(), &path, flags | libc::O_NOFOLLOW)
    }

    /// Gives what is in a directory, from an offset on, to `add` until that says that it has no room.
    ///
    /// # Errors
    ///
    /// It is no directory any more, or cannot be read.
    pub fn list(&self, number: u64, offset: u64, add: Add<'_>) -> Result<()> {
        let mut state = self.state();
        let (own, parent) = match state.nodes.get(number) {
            Some(node) => (self.shown(number, &node.status), node.parent),
            None if number == TOP => (self.top(), TOP),
            None => return Err(Errno(libc::ESTALE)),
        };
        let above = state.nodes.get(parent).map_or_else(|| self.top(), |node| self.shown(parent, &node.status));
        let names = self.names(&mut state, number, offset)?;
        // The first two are not counted as told.
        for (at, (status, name)) in [(own, c"."), (above, c"..")].into_iter().enumerate().skip(offset as usize) {
            if add(Listed { status: &status, lifetime: lifetime(&status), name, next: at as u64 + 1 }) {
                return Ok(());
            }
        }
        for (at, name) in names.iter().enumerate().skip(offset.saturating_sub(2) as usize) {
            let Ok(Some((found, new))) = self.find(&mut state, number, name) else { continue };
            if !new {
                let _ = self.renew(&mut state, found);
            }
            let Some(status) = state.nodes.get(found).map(|node| self.shown(found, &node.status)) else { continue };
            if add(Listed { status: &status, lifetime: lifetime(&status), name, next: at as u64 + 3 }) {
                state.nodes.sweep(found);
                break;
            }
            state.nodes.told(found);
        }
        Ok(())
    }

    /// The names in a directory.
    fn names(&self, state: &mut State, number: u64, offset: u64) -> Result<Arc<[CString]>> {
        if let Some((listed, names)) = &state.listing
            && (*listed, offset > 0) == (number, true)
        {
            return Ok(names.clone());
        }
        let closed = state.nodes.get(number).is_some_and(|node| node.closed);
        let names: Vec<CString> = if number == TOP {
            (0..self.roots.len()).filter_map(|tree| CString::new(tree.to_string()).ok()).collect()
        } else if closed {
            Vec::new()
        } else {
            match sys::entries(self.directory(state, number)?.as_fd()) {
                Ok(names) => names.into_iter().map(|(name, _)| name).collect(),
                Err(Errno(libc::EACCES)) => Vec::new(),
                Err(errno) => return Err(errno),
            }
        };
        let names: Arc<[CString]> = names.into();
        state.listing = Some((number, names.clone()));
        Ok(names)
    }

    /// The text of a symbolic link.
    ///
    /// # Errors
    ///
    /// It is no link any more.
    pub fn link(&self, number: u64) -> Result<CString> {
        let mut state = self.state();
        let node = state.nodes.get(number).ok_or(Errno(libc::ESTALE))?;
        let (parent, name) = (node.parent, node.name.clone());
        sys::link_text(self.directory(&mut state, parent)?.as_fd(), &name)
    }

    /// Reads from a file that was opened in this version. Gives how much it was, and whether the file's attributes are others than those
    /// that the kernel was told, and nothing of its content was given out before.
    ///
    /// # Errors
    ///
    /// EIO: the file is not what it was when it was opened.
    pub fn read(&self, (number, version): (u64, u64), offset: u64, into: &mut [u8]) -> Result<(usize, bool)> {
        let state = &mut *self.state();
        let node = state.nodes.get(number).ok_or(Errno(libc::ESTALE))?;
        if node.closed {
            return Ok((0, false));
        }
        if node.version != version {
            return Err(self.changed());
        }
        let mut renewed = self.backing(state, number)?;
        for _ in 0..3 {
            let Some(fd) = state.files.get(&number) else { break };
            let length = sys::read_at(fd.as_fd(), into, offset)?;
            let now = sys::status_of(fd.as_fd(), c"")?;
            let node = state.nodes.get_mut(number).ok_or(Errno(libc::ESTALE))?;
            if is_same(&now, &node.status) {
                node.read = true;
                return Ok((length, renewed));
            }
            if node.read {
                break;
            }
            (node.status, renewed) = (now, true);
        }
        Err(self.changed())
    }

    /// Where data, or with `hole` a hole, begins in a file, from an offset on.
    ///
    /// # Errors
    ///
    /// ENXIO behind the last; EIO as [`Server::read`].
    pub fn seek(&self, (number, version): (u64, u64), offset: u64, hole: bool) -> Result<u64> {
        let state = &mut *self.state();
        let node = state.nodes.get(number).ok_or(Errno(libc::ESTALE))?;
        if node.closed {
            return Err(Errno(libc::ENXIO));
        }
        if node.version != version {
            return Err(self.changed());
        }
        self.backing(state, number)?;
        let fd = state.files.get(&number).ok_or(Errno(libc::ESTALE))?;
        sys::seek_next(fd.as_fd(), offset, hole)
    }

    /// Opens the file of a node, unless it is open. Gives whether its attributes had to be renewed.
    fn backing(&self, state: &mut State, number: u64) -> Result<bool> {
        if state.files.get(&number).is_some() {
            return Ok(false);
        }
        let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
        let node = state.nodes.get(number).ok_or(Errno(libc::ESTALE))?;
        let (parent, name) = (node.parent, node.name.clone());
        let opened = self.directory(state, parent).and_then(|dir| sys::openat(dir.as_fd(), &name, flags, 0));
        let fd = match opened {
            Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::ENXIO)) => return Err(self.changed()),
            other => other?,
        };
        let now = sys::status_of(fd.as_fd(), c"")?;
        let node = state.nodes.get_mut(number).ok_or(Errno(libc::ESTALE))?;
        let renewed = !is_same(&now, &node.status);
        if renewed {
            if node.read || now.mode & libc::S_IFMT != libc::S_IFREG {
                return Err(self.changed());
            }
            node.status = now;
        }
        state.files.add(number, fd);
        Ok(renewed)
    }

    /// Tells the launcher that a file has changed. Gives the error for the program.
    fn changed(&self) -> Errno {
        // A pipe that is full has told it often enough.
        let _ = sys::write_some(self.pipe.as_fd(), &[CHANGED]);
        Errno(libc::EIO)
    }
}
