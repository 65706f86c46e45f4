//! What is at one path of the host, and in one directory: kinds of files, their permissions, and names.

use crate::sys;
use serde::Serialize;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The kind of a file on the host. Links are not followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A directory.
    Dir,
    /// A file, device, socket or pipe: all of them are mounted on a file.
    File,
    /// A symbolic link, with its text.
    Link(PathBuf),
}

/// A name in a directory, with the kind of what it names.
pub type Entry = (OsString, Kind);

/// Owner and permissions of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Permissions {
    owner: u32,
    /// It is a regular file that nobody has the permission to execute: the kernel then executes it for nobody, whatever filesystem it is on.
    never_executed: bool,
}

impl Permissions {
    pub(super) fn of(found: &std::fs::Metadata) -> Permissions {
        Permissions { owner: found.uid(), never_executed: found.is_file() && found.mode() & 0o111 == 0 }
    }

    /// Whether the file at this path, which has this owner, belongs to another user than `uid`, the caller, who may not read, write or
    /// execute it. The kernel is asked: permission bits do not say what a file server, FUSE or an access control list
    /// allows.
    pub(super) fn refuse(self, path: &OsStr, uid: u32) -> bool {
        if self.owner == uid {
            return false;
        }
        let Ok(path) = CString::new(path.as_bytes()) else { return false };
        let refused = |what: libc::c_int| sys::may(sys::cwd(), &path, what) == Err(sys::Errno(libc::EACCES));
        refused(libc::R_OK) && refused(libc::W_OK) && (self.never_executed || refused(libc::X_OK))
    }
}

/// The kind of the file at a path, and its permissions.
pub(super) fn kind_of(path: &Path) -> std::io::Result<(Kind, Permissions)> {
    let found = std::fs::symlink_metadata(path)?;
    let kind = if found.is_symlink() {
        Kind::Link(std::fs::read_link(path)?)
    } else if found.is_dir() {
        Kind::Dir
    } else {
        Kind::File
    };
    Ok((kind, Permissions::of(&found)))
}

/// What a program of the host needs of the root directory to start, as far as it is there: directories and links with
/// programs and libraries.
pub(in crate::host) fn system() -> Vec<(String, Kind)> {
    const NAMES: [&str; 10] =
        ["bin", "etc/ld.so.cache", "gnu", "lib", "lib32", "lib64", "libx32", "nix", "sbin", "usr"];
    let kind = |name: &&str| Some(((*name).to_owned(), kind_of(&Path::new("/").join(name)).ok()?.0));
    NAMES.iter().filter_map(kind).collect()
}

/// The entries of a directory, sorted by name. Their kinds come with the names (getdents64(2)), so only links have to
/// be read.
///
/// # Errors
///
/// Not all entries are known: a directory that is made anew would lack some.
pub(super) fn entries(path: &Path) -> sys::Result<Vec<Entry>> {
    let mut list = some_entries(path, |_| true)?;
    list.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(list)
}

/// Those entries of a directory that are links, in no order.
///
/// # Errors
///
/// As those of [`entries`].
pub(super) fn links_in(path: &Path) -> sys::Result<Vec<Entry>> {
    some_entries(path, |kind| kind.is_symlink())
}

/// Those entries of a directory whose kind is meant, in no order.
fn some_entries(path: &Path, is_meant: impl Fn(sys::EntryType) -> bool) -> sys::Result<Vec<Entry>> {
    let kind = |entry: &sys::DirEntry| -> std::io::Result<Option<Kind>> {
        let found = entry.file_type()?;
        Ok(match is_meant(found) {
            false => None,
            true if found.is_symlink() => Some(Kind::Link(std::fs::read_link(entry.path())?)),
            true if found.is_dir() => Some(Kind::Dir),
            true => Some(Kind::File),
        })
    };
    let mut list = Vec::new();
    for entry in sys::read_dir(path)? {
        let entry = entry?;
        match kind(&entry) {
            Ok(kind) => list.extend(kind.map(|kind| (entry.file_name(), kind))),
            // It was removed meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_what_is_closed_whatever_the_permission_bits_are() {
        let readable = std::fs::metadata("/etc/passwd").unwrap();
        let uid = sys::ids().0;
        assert!(!Permissions::of(&readable).refuse(OsStr::new("/etc/passwd"), uid));
        // Another user's, as it says, and what a file server allows all the same.
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(!Permissions { owner: uid + 1, never_executed: false }.refuse(file.path().as_os_str(), uid));
    }
}
