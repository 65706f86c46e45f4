//! The directories of one overlay in upper layers, and the times that what is in them is compared with.

use super::node::Node;
use super::own::{c, failed};
use super::seen::Mark;
use super::store::TEMPORARY;
use super::{Layer, Upper};
use crate::error::{Error, Result};
use crate::sys::{self, Errno};
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the start of a run, or the end of a commit, waits until later changes of files have later times. A tick of the kernel's clock is
/// no longer.
const TICK: Duration = Duration::from_millis(20);

/// Runs of which a layer lists the start.
const MOST_RUNS: usize = 1000;

/// The directories of one overlay in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpperDirectories {
    /// The upper directory.
    pub upper: PathBuf,
    /// The work directory.
    pub work: PathBuf,
    /// Directories to lie between the upper one and those of the host, the topmost first.
    pub frozen: Vec<PathBuf>,
}

/// The directories of the overlays of a sandbox, and the lock on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InUse {
    /// The descriptor of the lock.
    pub lock: RawFd,
    /// Path inside and directories of each overlay.
    pub layers: Vec<(PathBuf, UpperDirectories)>,
}

impl Upper {
    /// The directories for an overlay, which are made if it has none yet. `own` are the paths inside of the view's own files
    /// in it; `served`: it is about to lie over the view server's filesystem.
    ///
    /// # Errors
    ///
    /// They cannot be made, or the overlay lies over other directories of the host than before.
    pub fn layer(&mut self, path: &Path, lower: &[PathBuf], own: &[PathBuf], served: bool) -> Result<UpperDirectories> {
        // Nobody compares what does not outlast the run.
        let patience = if self.name.starts_with(TEMPORARY) { Duration::ZERO } else { TICK };
        let start = sys::time_between_changes(lower.first().map_or(path, PathBuf::as_path), patience);
        let index = match self.state.layers.iter().position(|layer| layer.path == path) {
            Some(index) => {
                let before = self.state.layers.get(index).map(|layer| layer.lower.as_slice()).unwrap_or_default();
                if before != lower {
                    let names = |dirs: &[PathBuf]| dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>();
                    return Err(Error::new(format!(
                        "the upper layer of {} in `{}` lies over {}, and is now to lie over {}",
                        path.display(),
                        self.name,
                        names(before).join(", "),
                        names(lower).join(", ")
                    ))
                    .hint("take another name: --upper keep:NAME"));
                }
                index
            }
            None => {
                let layer = Layer {
                    path: path.to_owned(),
                    lower: lower.to_vec(),
                    frozen: Vec::new(),
                    own: Vec::new(),
                    root: lower.first().and_then(|root| identity(root)),
                    made: start.saturating_sub(1),
                    runs: Vec::new(),
                    served: false,
                };
                self.state.layers.push(layer);
                self.state.layers.len() - 1
            }
        };
        if let Some(layer) = self.state.layers.get_mut(index) {
            let new: Vec<_> = own.iter().filter(|path| !layer.own.contains(path)).cloned().collect();
            layer.own.extend(new);
            layer.served |= served;
            // What was copied in a run that is not listed counts as of one before.
            if layer.runs.len() >= MOST_RUNS {
                layer.runs.remove(1);
            }
            layer.runs.push(start);
        }
        self.directories(index, lower)
    }

    pub(super) fn directories(&self, index: usize, lower: &[PathBuf]) -> Result<UpperDirectories> {
        let dir = self.path().join(index.to_string());
        let make = |parent: BorrowedFd<'_>, name: &str, path: &Path| {
            match sys::mkdirat(parent, &c(name), 0o700) {
                Ok(()) | Err(Errno(libc::EEXIST)) => {}
                Err(errno) => return Err(failed("make", path, errno)),
            }
            let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_PATH;
            sys::openat(parent, &c(name), flags, 0).map_err(|errno| failed("open", path, errno))
        };
        let parent = make(self.directory(), &index.to_string(), &dir)?;
        let there = sys::stat_below(parent.as_fd(), c"upper").is_ok();
        let upper = make(parent.as_fd(), "upper", &dir)?;
        if !there && let Some(lower) = lower.first() {
            alike(upper.as_fd(), parent.as_fd(), lower).map_err(|errno| failed("look up", lower, errno))?;
        }
        make(parent.as_fd(), "work", &dir)?;
        let store = self.store();
        let frozen = self.state.layers.get(index).map(|layer| layer.frozen.as_slice()).unwrap_or_default();
        Ok(UpperDirectories {
            upper: dir.join("upper"),
            work: dir.join("work"),
            frozen: frozen.iter().map(|id| store.frozen(id)).collect(),
        })
    }

    /// Whether the layers have a file at a path inside.
    pub fn has(&self, path: &Path) -> bool {
        let (own, store) = (self.path(), self.store());
        self.state.layers.iter().enumerate().any(|(index, layer)| {
            let Ok(rest) = path.strip_prefix(&layer.path) else { return false };
            let own = own.join(index.to_string()).join("upper");
            let mut all = std::iter::once(own).chain(layer.frozen.iter().map(|id| store.frozen(id)));
            all.any(|dir| sys::open_resolved(&c(dir.join(rest))).is_ok())
        })
    }

    /// Notes that all changes are on the host: what changes there from here on is compared with this moment.
    ///
    /// # Errors
    ///
    /// That cannot be written.
    pub fn settled(&mut self) -> Result<()> {
        for layer in &mut self.state.layers {
            let lower = layer.lower.first().unwrap_or(&layer.path);
            layer.made = sys::time_between_changes(lower, TICK).saturating_sub(1);
        }
        self.save()
    }
}

/// Which directory is at a path of the host, as a mark.
fn identity(path: &Path) -> Option<String> {
    let dir = sys::open_resolved(&c(path)).ok()?;
    Some(Mark::of(&Node::dir(dir.as_fd()).ok()?, false).text())
}

/// Gives a new upper directory the mode and, as far as it may, the group of the directory below it: a merged directory has
/// the attributes of the upper one.
fn alike(upper: BorrowedFd<'_>, parent: BorrowedFd<'_>, lower: &Path) -> sys::Result<()> {
    let like = sys::owner(sys::open_resolved(&c(lower))?.as_fd())?;
    let _ = sys::chown(parent, c"upper", None, Some(like.gid));
    sys::chmod(upper, like.mode)
}

#[cfg(test)]
mod tests {
    use super::super::{Ids, Store};
    use super::*;

    #[test]
    fn a_run_starts_later_than_what_was_changed_just_before_it_and_not_later_than_what_is_changed_then() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let (lower, file) = (place.path().join("lower"), place.path().join("lower/file"));
        std::fs::create_dir(&lower).unwrap();
        std::fs::write(&file, "").unwrap();
        let change = || {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
            Node::find(sys::cwd(), &c(&file)).unwrap().unwrap().changed
        };
        let store = Store::new(place.path().join("sbx/uppers"));
        store.make().unwrap();
        let mut upper = store.lock("one", Some(&Ids::default())).unwrap();
        for run in 0..20 {
            // Since Linux 6.13, the second has an exact time, which is later than the kernel's clock says.
            let before = change().max(change());
            upper.layer(Path::new("/p"), std::slice::from_ref(&lower), &[], false).unwrap();
            let (made, start) = (upper.state.layers[0].made, upper.state.layers[0].runs[run]);
            let after = change();
            assert!(before < start.into() && i128::from(start) <= after, "{before} {start} {after}");
            assert!(run > 0 || before <= made.into() && made < start);
            let before = change().max(change());
            upper.settled().unwrap();
            let made = upper.state.layers[0].made;
            assert!(before <= made.into() && i128::from(made) < change(), "{before} {made}");
        }
    }
}
