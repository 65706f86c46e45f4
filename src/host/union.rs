//! Facts for layers: where upper layers are kept, and which mounts of the host lie below a directory.

use super::mountinfo::MountInfo;
use crate::spec::{Changes, Mechanism, Mode, Sandbox};
use crate::sys;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The first version of the kernel whose tmpfs takes the attributes (user.*) of an upper layer.
pub const TMPFS_WITH_ATTRIBUTES: (u32, u32) = (6, 6);

/// Facts that a sandbox with layers needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct UnionFacts {
    /// Directory in which upper layers are kept. It may not exist yet.
    pub store: PathBuf,
    /// The filesystem that it lies on, or will.
    pub store_filesystem: StoreFilesystem,
    /// The user may not write where it is, or would be made.
    pub store_closed: bool,
    /// With which error the kernel has refused to mount an overlay, if a start has found that.
    pub failed: Option<String>,
    /// Mount points of the host.
    pub mounts: Vec<PathBuf>,
    /// Those of them that have no files of a disk or of memory: procfs, sysfs and the like.
    pub special: Vec<PathBuf>,
    /// Directories of the host, of those that are to be an overlay, that belong to another user.
    pub foreign: Vec<PathBuf>,
    /// A FUSE filesystem can be served: this user may use /dev/fuse.
    pub fuse: bool,
    /// The user can be asked at the end: standard input and standard error are terminals, and standard output is no pipe, at whose
    /// other end a program may use the terminal, such as a pager.
    pub terminal: bool,
}

/// What is known of a filesystem that upper layers are to lie on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum StoreFilesystem {
    /// Nothing speaks against it.
    #[default]
    Usable,
    /// tmpfs, which takes the attributes of layers from Linux 6.6 on.
    Tmpfs,
    /// One that the kernel takes no upper layers on, by its name.
    Refused(&'static str),
}

impl UnionFacts {
    /// The directories of the host that have mounts below them, without `/`, for a sandbox whose whole root is an overlay.
    pub(super) fn directories_above_mounts(&self, sandbox: &Sandbox) -> impl Iterator<Item = &Path> {
        let paths = &sandbox.filesystem.paths;
        let whole = paths.iter().any(|rule| rule.mode == Mode::Overlay && rule.is_root());
        let mounts = if whole && sandbox.filesystem.root.dirs().is_empty() { self.mounts.as_slice() } else { &[] };
        let own = ["/proc", "/dev", "/sys", "/tmp", "/run"];
        let shown = mounts.iter().filter(move |mount| !own.iter().any(|dir| mount.starts_with(dir)));
        let above: std::collections::BTreeSet<&Path> = shown.flat_map(|mount| mount.ancestors().skip(1)).collect();
        above.into_iter().filter(|dir| dir.parent().is_some())
    }
}

/// Gathers the facts, if the sandbox has layers.
pub(super) fn probe(
    sandbox: &Sandbox,
    env: &BTreeMap<String, String>,
    home: &Path,
    kernel: (u32, u32),
    mounts: &MountInfo,
) -> Option<UnionFacts> {
    let filesystem = &sandbox.filesystem;
    let layered = filesystem.paths.iter().any(|rule| rule.mode == Mode::Overlay) || filesystem.root.dirs().len() > 1;
    layered.then(|| {
        let store = crate::union::Store::place(env.get("XDG_DATA_HOME").map(String::as_str), home);
        let (mounts, special) = self::mounts(mounts.text());
        let terminal = terminal();
        // Where changes are in memory, nobody asks where they could be kept.
        let in_memory = kernel >= TMPFS_WITH_ATTRIBUTES
            && !matches!(filesystem.mechanism, Some((Mechanism::Fuse, _)))
            && match filesystem.changes {
                Changes::Discard => true,
                Changes::Ask => !terminal,
                Changes::Keep(_) => false,
            };
        let is_closed = || store.ancestors().find(|dir| dir.is_dir()).is_none_or(|dir| !sys::may_write_followed(dir));
        UnionFacts {
            store_filesystem: if in_memory { StoreFilesystem::Usable } else { filesystem_of(&store) },
            store_closed: !in_memory && is_closed(),
            failed: None,
            store,
            foreign: foreign(sandbox),
            mounts,
            special,
            fuse: sys::may_write_followed(Path::new("/dev/fuse")),
            terminal,
        }
    })
}

/// Whether the user can be asked something once the program has ended.
fn terminal() -> bool {
    let is_pipe = || matches!(sys::file_type(sys::STREAMS[1].as_fd()), Ok(libc::S_IFIFO | libc::S_IFSOCK));
    [0, 2].into_iter().all(|stream| sys::is_terminal(sys::STREAMS[stream])) && !is_pipe()
}

/// The directories at the top of overlays that belong to another user, by their real paths.
fn foreign(sandbox: &Sandbox) -> Vec<PathBuf> {
    let filesystem = &sandbox.filesystem;
    let rules = filesystem.paths.iter().filter(|rule| rule.mode == Mode::Overlay);
    let (whole, some): (Vec<_>, Vec<_>) = rules.partition(|rule| rule.is_root());
    let mut dirs: Vec<PathBuf> = some.iter().map(|rule| rule.source().to_owned()).collect();
    match (whole.is_empty(), filesystem.root.dirs()) {
        (true, _) => {}
        (false, []) => dirs.extend(sys::read_dir("/").into_iter().flatten().flatten().map(|entry| entry.path())),
        (false, roots) => dirs.extend_from_slice(roots),
    }
    let own = sys::ids().0;
    dirs.retain(|dir| std::fs::metadata(dir).is_ok_and(|facts| facts.uid() != own));
    dirs.iter().filter_map(|dir| dir.canonicalize().ok()).collect()
}

/// What is known of the filesystem of a path, or of the nearest directory above it that exists.
fn filesystem_of(path: &Path) -> StoreFilesystem {
    // The numbers are those of statfs(2) and of the kernel's include/uapi/linux/magic.h.
    match path.ancestors().find_map(sys::filesystem_type) {
        Some(0x794c_7630) => StoreFilesystem::Refused("overlayfs"),
        Some(0x6573_5546) => StoreFilesystem::Refused("FUSE"),
        Some(0x6969) => StoreFilesystem::Refused("NFS"),
        Some(0x517b | 0xff53_4d42 | 0xfe53_4d42) => StoreFilesystem::Refused("SMB"),
        Some(0x0102_1997) => StoreFilesystem::Refused("9p"),
        Some(0x4d44 | 0x2011_bab0) => StoreFilesystem::Refused("FAT"),
        Some(0x5346_544e | 0x7366_746e) => StoreFilesystem::Refused("NTFS"),
        Some(0xf15f) => StoreFilesystem::Refused("eCryptfs"),
        Some(0x0102_1994) => StoreFilesystem::Tmpfs,
        _ => StoreFilesystem::Usable,
    }
}

/// Types of filesystems that are an interface to the kernel.
const SPECIAL: [&[u8]; 14] = [
    b"proc",
    b"sysfs",
    b"cgroup",
    b"cgroup2",
    b"devpts",
    b"mqueue",
    b"autofs",
    b"debugfs",
    b"tracefs",
    b"securityfs",
    b"bpf",
    b"pstore",
    b"configfs",
    b"binfmt_misc",
];

/// The mount points in /proc/self/mountinfo, and those of special filesystems. In the text, blanks, line breaks and backslashes are octal escapes
/// (proc_pid_mountinfo(5)).
fn mounts(text: &[u8]) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let (mut all, mut special) = (Vec::new(), Vec::new());
    for line in text.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b' ');
        let Some(path) = fields.nth(4) else { continue };
        let path = PathBuf::from(unescaped(path));
        let kind = fields.skip_while(|field| *field != b"-").nth(1).unwrap_or_default();
        if SPECIAL.contains(&kind) {
            special.push(path.clone());
        }
        all.push(path);
    }
    (all, special)
}

pub(super) fn unescaped(text: &[u8]) -> OsString {
    if !text.contains(&b'\\') {
        return OsStr::from_bytes(text).to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| *first == b'\\') {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_with_their_escapes() {
        let text = b"23 1 8:1 / / rw - ext4 /dev/sda1 rw\n24 23 0:5 / /a\\040b\\134\\012c rw shared:1 - proc t rw\n";
        let (all, special) = mounts(text);
        assert_eq!(all, [Path::new("/"), Path::new("/a b\\\nc")]);
        assert_eq!(special, [Path::new("/a b\\\nc")]);
    }
}
