//! Directories for the temporary files and sockets of all programs.

use super::walk::Ways;
use super::writers::may_come_to_write;
use crate::profile::VariablePath;
use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Variables that name a directory for temporary files, or for the sockets of screen(1), zellij, abduco, sound servers and keyrings.
const VARIABLES: [&str; 10] = [
    "TMPDIR",
    "TMP",
    "TEMP",
    "TEMPDIR",
    "SCREENDIR",
    "ZELLIJ_SOCKET_DIR",
    "ABDUCO_SOCKET_DIR",
    "PULSE_RUNTIME_PATH",
    "PIPEWIRE_RUNTIME_DIR",
    "GNOME_KEYRING_CONTROL",
];

/// The variable that names the directory in which tmux(1) makes one for its sockets, `tmux-UID`. People name their project by it, to have a
/// server for each.
const TMUX: &str = "TMUX_TMPDIR";

/// How the names of directories begin in which programs keep their sockets, in one for temporary files.
const SOCKETS: [&str; 20] = [
    ".com.google.Chrome.",
    ".org.chromium.Chromium.",
    "abduco",
    "dbus-",
    "emacs",
    "gpg-",
    "i3-",
    "kakoune",
    "kde-",
    "ksocket-",
    "nvim.",
    "orbit-",
    "pulse-",
    "runtime-",
    "screens",
    "ssh-",
    "systemd-private-",
    "tmate-",
    "tmux-",
    "zellij-",
];

/// How the name of Neovim's directory begins before version 0.8, as mkdtemp(3) makes it: six letters or digits follow.
const NVIM: &[u8] = b"nvim";

/// How deep sockets are looked for in a directory, and among how many names in each: more are a program's.
const DEEPEST: usize = 1;
const MOST: usize = 1000;

/// Whether a directory is one of a program's sockets: by its name, closed to others or with a socket in it, and directly in one for temporary
/// files. Those that are open to all, such as .X11-unix, are for temporary files themselves.
pub(super) fn holds_sockets(dir: &Path, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let name = dir.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    let is_nvims = |rest: &[u8]| rest.len() == 6 && rest.iter().all(u8::is_ascii_alphanumeric);
    let is_known =
        SOCKETS.iter().any(|known| name.starts_with(known.as_bytes())) || name.strip_prefix(NVIM).is_some_and(is_nvims);
    let Some(parent) = dir.parent().filter(|_| is_known) else { return false };
    // A program may have opened it to others, but what it is for lies in it.
    if dir.metadata().is_ok_and(|found| found.mode() & 0o007 != 0) && !holds_socket(dir, DEEPEST) {
        return false;
    }
    let named = variable(TMUX).map(PathBuf::from).filter(|path| !path.as_os_str().is_empty());
    named.is_some_and(|named| named.canonicalize().is_ok_and(|named| named == parent))
        || parent.metadata().is_ok_and(|found| is_temporary(parent, &found, variable))
}

/// Whether a socket lies in a directory, as deep as this, or names that cannot be read or are too many.
fn holds_socket(dir: &Path, depth: usize) -> bool {
    let Ok(entries) = crate::sys::read_dir(dir) else { return true };
    entries.flatten().enumerate().any(|(number, entry)| {
        number > MOST
            || entry.file_type().is_ok_and(|kind| {
                kind.is_socket() || (kind.is_dir() && depth > 0 && holds_socket(&entry.path(), depth - 1))
            })
    })
}

/// The directories that variables name for temporary files and sockets, but for the usual ones, by their real paths, each with the variable;
/// relative ones begin at `cwd`. After what TMUX_TMPDIR names follows the directory in there that tmux makes, whether it is there or not.
pub(super) fn named(cwd: &Path, variable: impl Fn(&str) -> Option<OsString>) -> Vec<VariablePath> {
    let set = VARIABLES.into_iter().chain([TMUX]).filter_map(|name| Some((name, variable(name)?)));
    let other = set.filter(|(_, path)| !path.is_empty() && path != "/tmp" && path != "/var/tmp");
    let found = |(name, path): (&'static str, OsString)| {
        let path = cwd.join(path);
        real(name.into(), &path).or_else(|| to_come(name, &path))
    };
    let mut named: Vec<_> = other.filter_map(found).collect();
    let of_tmux = named.iter().find(|named| named.variable == TMUX && named.is_there != Some(false));
    if let Some(VariablePath { path, .. }) = of_tmux {
        let inner = path.join(format!("tmux-{}", crate::sys::ids().0));
        // Whoever makes it decides what clients of tmux connect to.
        let may_come = may_come_to_write(path);
        let missing = || may_come.then(|| VariablePath::missing(TMUX.into(), inner.clone(), Vec::new()));
        named.extend(real(TMUX.into(), &inner).or_else(missing));
    }
    named
}

/// The directory that a variable names and that is not there, if this user could make it: whoever does so decides what is found there.
fn to_come(variable: &'static str, path: &Path) -> Option<VariablePath> {
    let (path, links) = Ways::default().follow(path)?;
    let above = path.ancestors().skip(1).find(|above| above.symlink_metadata().is_ok())?;
    may_come_to_write(above).then(|| VariablePath::missing(variable.into(), path.clone(), links))
}

/// The path that a variable names, if something is there, or may be: the permissions of a directory on the way do not let this user look, but a
/// program that owns the directory may change them.
pub(super) fn real(variable: Cow<'static, str>, path: &Path) -> Option<VariablePath> {
    let (path, links) = Ways::default().follow(path)?;
    let is_there = match path.symlink_metadata() {
        Ok(_) => Some(true),
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => None,
        Err(_) => return None,
    };
    Some(VariablePath { variable, path, is_there, links })
}

/// Whether a directory is one where programs put temporary files and sockets: anybody may make files in it, and only
/// their owners may remove them (the sticky bit), or it is /tmp, /var/tmp or what a variable names.
pub(super) fn is_temporary(dir: &Path, found: &std::fs::Metadata, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let id = (found.dev(), found.ino());
    let anybody = found.mode() & 0o002 != 0;
    let usual = ["/tmp", "/var/tmp"].map(Path::new);
    let named = VARIABLES.into_iter().filter_map(variable).map(PathBuf::from);
    let same = |path: &Path| path == dir || path.metadata().is_ok_and(|other| (other.dev(), other.ino()) == id);
    (anybody && found.mode() & 0o1000 != 0)
        || usual.contains(&dir)
        || (anybody && usual.into_iter().any(same))
        // Relative ones begin at the current directory, as for the programs that read them.
        || named.filter(|path| !path.as_os_str().is_empty()).any(|path| same(&path))
}
