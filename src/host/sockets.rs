//! Sockets that variables of the caller's name, by which programs outside take commands.

use super::git_remotes::decoded;
use super::temporary::real;
use super::walk::Ways;
use crate::profile::VariablePath;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Variables that name such a socket, or what it is reached by, besides those whose names say so.
const NAMED: [&str; 19] = [
    "BUILDKIT_HOST",
    "CONTAINER_HOST",
    "DBUS_SESSION_BUS_ADDRESS",
    "DOCKER_HOST",
    "EMACS_SOCKET_NAME",
    "GPG_AGENT_INFO",
    "I3SOCK",
    "KITTY_LISTEN_ON",
    "LIBVIRT_DEFAULT_URI",
    "MPD_HOST",
    "NVIM",
    "NVIM_LISTEN_ADDRESS",
    "PIPEWIRE_REMOTE",
    "PULSE_SERVER",
    "SSH_AUTH_SOCK",
    "TMUX",
    "VSCODE_GIT_IPC_HANDLE",
    "VSCODE_IPC_HOOK_CLI",
    "WAYLAND_DISPLAY",
];

/// What the names of other ones hold, or end in. What they name counts if it is a socket.
const HELD: &str = "SOCK";
const ENDS: [&str; 4] = ["_BUS_ADDRESS", "_LISTEN_ADDRESS", "_IPC_HANDLE", "_IPC_HOOK"];

/// Those of which a relative value begins at the current directory, whether it is a socket or not. Others may have one begin elsewhere.
const RELATIVE: [&str; 3] = ["NVIM", "NVIM_LISTEN_ADDRESS", "SSH_AUTH_SOCK"];

/// What stands before a path in the value of such a variable.
const BEFORE: [&[u8]; 3] = [b"unix:", b"path=", b"socket="];

/// How many paths of one variable are looked at.
const MOST: usize = 100;

/// The sockets that variables name, by their real paths, each with the variable; without those in `runtime`, the usual directory for them. One
/// that is not there may be made.
pub(super) fn named<'v>(
    runtime: &Path,
    cwd: &Path,
    variables: impl Iterator<Item = (&'v OsStr, &'v OsStr)>,
) -> Vec<VariablePath> {
    let mut found: Vec<VariablePath> = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str() else { continue };
        let is_listed = NAMED.contains(&name);
        if !is_listed && !name.contains(HELD) && !ENDS.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        for path in paths_in(value.as_bytes()).filter(|path| !path.starts_with(runtime)) {
            let is_relative = path.is_relative();
            let path = cwd.join(path);
            let is_socket = path.metadata().is_ok_and(|found| found.file_type().is_socket());
            // What is no socket may become one.
            let is_meant = if is_relative { RELATIVE.contains(&name) } else { is_listed };
            let is_there = path.symlink_metadata().is_ok();
            if !is_socket && !is_meant && (is_there || is_relative) {
                continue;
            }
            let variable = Cow::Owned(name.to_owned());
            let named = real(Cow::clone(&variable), &path).or_else(|| missing(variable, &path));
            found.extend(named.filter(|named| found.iter().all(|other| other.path != named.path)));
        }
    }
    found
}

fn missing(variable: Cow<'static, str>, path: &Path) -> Option<VariablePath> {
    let (path, links) = Ways::default().follow(path)?;
    Some(VariablePath::missing(variable, path, links))
}

/// The paths in the value of a variable that names a socket: `PATH`, `PATH,PID,INDEX` (tmux), `PATH:PID:1` (GnuPG), `unix:PATH`, `unix://PATH`,
/// `unix:path=PATH,guid=ID;...` (D-Bus), `{ID}unix:PATH ...` (PulseAudio), `qemu:///session?socket=PATH` (libvirt).
fn paths_in(value: &[u8]) -> impl Iterator<Item = PathBuf> {
    let whole = Some(value).filter(|value| value.first() == Some(&b'/'));
    let parts = value.split(|byte| b",; ?&".contains(byte)).filter_map(|part| {
        let after = BEFORE.iter().filter_map(|word| {
            let at = part.windows(word.len()).rposition(|window| window == *word)?;
            part.get(at + word.len()..)
        });
        match after.min_by_key(|rest| rest.len()) {
            Some(path) => {
                let path = path.strip_prefix(b"//").unwrap_or(path);
                // With another key of D-Bus than `path`, it is no path of a file.
                let first = path.split(|byte| *byte == b'/').next().unwrap_or_default();
                (!first.contains(&b'=')).then_some(path)
            }
            // With a scheme of another kind, it is another machine's.
            None => (!part.windows(3).any(|window| window == b"://") && !part.contains(&b'=')).then_some(part),
        }
    });
    let all = whole.into_iter().chain(parts).take(MOST);
    let mut found = BTreeSet::new();
    for path in all.filter(|path| !path.contains(&0)) {
        let before_colon = path.split(|byte| *byte == b':').next().unwrap_or_default();
        // D-Bus has other characters than `-0-9A-Za-z_/.\*` as `%41`.
        let plain = path.contains(&b'%').then(|| decoded(path)).filter(|path| !path.contains(&0));
        found.extend([path.to_vec(), before_colon.to_vec()].into_iter().chain(plain));
    }
    let named = found.into_iter().filter(|path| !path.iter().all(|byte| *byte == b'.'));
    named.map(|path| PathBuf::from(OsStr::from_bytes(&path)))
}

#[cfg(test)]
mod tests {
    use super::paths_in;
    use std::path::{Path, PathBuf};

    fn names(value: &str, path: &str) -> bool {
        paths_in(value.as_bytes()).any(|found| found == Path::new(path))
    }

    #[test]
    fn sockets_are_found_in_each_form() {
        for value in [
            "/a/s",
            "/a/s,12,0",
            "/a/s:12:1",
            "unix:/a/s",
            "unix:///a/s",
            "unix:path=/a/s,guid=0f",
            "unix:path=/a%2fs",
            "tcp:host=x;unix:path=/a/s",
            "{0f}unix:/a/s tcp:host",
            "qemu+unix:///session?mode=direct&socket=/a/s",
        ] {
            assert!(names(value, "/a/s"), "{value}");
        }
        for (value, path) in [
            ("a.sock", "a.sock"),
            ("./a.sock", "./a.sock"),
            ("unix://a.sock", "a.sock"),
            ("unix:a.sock", "a.sock"),
            ("unix:path=/my%20project/bus,guid=0", "/my project/bus"),
            ("/a b,c", "/a b,c"),
            ("/a%41", "/a%41"),
        ] {
            assert!(names(value, path), "{value}");
        }
        for value in ["", ".", "tcp://host/a/s", "ssh://me@host/a/s", "unix:abstract=/a/s", "unix:"] {
            assert_eq!(paths_in(value.as_bytes()).find(|path| path != Path::new("unix")), None::<PathBuf>, "{value}");
        }
    }
}
