//! Finds the sound server.

use super::socket::is_socket;
use crate::spec::Sandbox;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What was found of the sound server, if the sandbox asks for sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct SoundFacts {
    /// Path of the socket at which a server speaks PulseAudio's protocol: PulseAudio itself, or pipewire-pulse.
    pub pulse: Option<PathBuf>,
    /// Path of the file with the server's cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<PathBuf>,
    /// Path of PipeWire's own socket.
    pub pipewire: Option<PathBuf>,
    /// The value of PULSE_SERVER, if it names no socket of this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<String>,
}

/// Looks for the server as libpulse does: by PULSE_SERVER, or else at its usual places.
pub(super) fn probe<'e>(sandbox: &Sandbox, runtime: &Path, get: impl Fn(&str) -> Option<&'e str>) -> SoundFacts {
    let mut facts = SoundFacts::default();
    if sandbox.desktop.sound.is_empty() {
        return facts;
    }
    let there = |path: PathBuf| is_socket(&path).then_some(path);
    let path = |name: &str| get(name).filter(|value| value.starts_with('/')).map(PathBuf::from);
    match get("PULSE_SERVER") {
        Some(servers) => {
            let mut paths = servers.split_whitespace().filter_map(socket).peekable();
            if paths.peek().is_none() {
                facts.elsewhere = Some(servers.to_owned());
            }
            facts.pulse = paths.find_map(there);
        }
        None => {
            let own = path("PULSE_RUNTIME_PATH").unwrap_or_else(|| runtime.join("pulse"));
            facts.pulse = [own, "/run/pulse".into()].into_iter().find_map(|dir| there(dir.join("native")));
        }
    }
    facts.pipewire = there(runtime.join(get("PIPEWIRE_REMOTE").unwrap_or("pipewire-0")));
    let home = path("HOME");
    let config = path("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
    let cookies =
        [path("PULSE_COOKIE"), config.map(|dir| dir.join("pulse/cookie")), home.map(|dir| dir.join(".pulse-cookie"))];
    facts.cookie = cookies.into_iter().flatten().find(|file| file.is_file());
    facts
}

/// The socket's path in one part of PULSE_SERVER (pulse(1)): `unix:PATH` or a path, either behind the id of a machine in
/// braces.
fn socket(server: &str) -> Option<PathBuf> {
    let server = match server.strip_prefix('{') {
        Some(rest) => rest.split_once('}')?.1,
        None => server,
    };
    let path = server.strip_prefix("unix:").unwrap_or(server);
    path.starts_with('/').then(|| path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_socket_of_this_host() {
        for server in ["unix:/run/p", "/run/p", "{0123abcd}unix:/run/p"] {
            assert_eq!(socket(server), Some("/run/p".into()), "{server}");
        }
        for server in ["tcp:example.org:4713", "example.org", "tcp4:127.0.0.1", "{0123", "unix:relative", ""] {
            assert_eq!(socket(server), None, "{server}");
        }
    }
}
