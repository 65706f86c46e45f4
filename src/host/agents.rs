//! Finds the user's agents, and the program by which the user is asked.

use super::helpers::Helpers;
use super::socket::is_socket;
use crate::spec::{Sandbox, SshAgent};
use serde::Serialize;
use std::collections::BTreeMap;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// The name of the program that asks the user, of which each desktop has its own.
pub const ASKPASS: &str = "ssh-askpass";

/// Where such programs are kept that are not to be called by hand.
const ASKPASS_PLACES: [&str; 6] = [
    "/usr/libexec/openssh/ssh-askpass",
    "/usr/libexec/openssh/gnome-ssh-askpass",
    "/usr/lib/openssh/gnome-ssh-askpass",
    "/usr/lib/ssh/ssh-askpass",
    "/usr/lib/ssh/x11-ssh-askpass",
    "/usr/bin/ksshaskpass",
];

/// The user's agents that were found. Only what the sandbox asks for is looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct AgentFacts {
    /// Path of the SSH agent's socket.
    pub ssh: Option<PathBuf>,
    /// The value of SSH_AUTH_SOCK, if it names no socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_elsewhere: Option<String>,
    /// What was found of gpg-agent, if the sandbox asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpg: Option<GpgFacts>,
}

/// What was found of gpg-agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct GpgFacts {
    /// Path of the restricted socket, which GnuPG has for use from other machines (`extra-socket`).
    pub extra: Option<PathBuf>,
    /// Path of the socket without restrictions.
    pub full: Option<PathBuf>,
    /// Path of the public keyring.
    pub keyring: Option<PathBuf>,
    /// Whether GNUPGHOME names another directory than `~/.gnupg`: sockets in the runtime directory then have names by
    /// a hash of it.
    pub elsewhere: bool,
}

impl AgentFacts {
    /// The paths that may be shown.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let gpg = self.gpg.iter().flat_map(|gpg| [&gpg.extra, &gpg.keyring]);
        gpg.flatten().map(PathBuf::as_path)
    }
}

pub(super) fn probe(sandbox: &Sandbox, env: &BTreeMap<String, String>, home: &Path, uid: u32) -> AgentFacts {
    let mut facts = AgentFacts::default();
    if sandbox.services.ssh_agent != SshAgent::Off
        && let Some(path) = env.get("SSH_AUTH_SOCK").filter(|path| !path.is_empty())
    {
        if path.starts_with('/') && is_socket(Path::new(path)) {
            facts.ssh = Some(path.into());
        } else {
            facts.ssh_elsewhere = Some(path.clone());
        }
    }
    facts.gpg = sandbox.services.gpg_agent.then(|| gpg(env, home, uid));
    facts
}

/// Looks for gpg-agent where GnuPG does: in a directory below /run, or else in its own.
fn gpg(env: &BTreeMap<String, String>, home: &Path, uid: u32) -> GpgFacts {
    let usual = home.join(".gnupg");
    let own = env.get("GNUPGHOME").filter(|path| path.starts_with('/')).map_or_else(|| usual.clone(), PathBuf::from);
    let elsewhere = own != usual;
    let mut dirs = vec![own.clone()];
    if !elsewhere {
        dirs.splice(0..0, ["/run/gnupg/user", "/run/user"].map(|dir| PathBuf::from(format!("{dir}/{uid}/gnupg"))));
    }
    // Not through a link: who may write in the directory would choose what is shown.
    let kind = |path: &PathBuf| path.symlink_metadata().map(|found| found.file_type());
    let socket = |name: &str| {
        let mut paths = dirs.iter().map(|dir| dir.join(name));
        paths.find(|path| kind(path).is_ok_and(|kind| kind.is_socket()))
    };
    let mut keyrings = ["pubring.kbx", "pubring.gpg"].map(|name| own.join(name)).into_iter();
    let keyring = keyrings.find(|path| kind(path).is_ok_and(|kind| kind.is_file()));
    GpgFacts { extra: socket("S.gpg-agent.extra"), full: socket("S.gpg-agent"), keyring, elsewhere }
}

/// The helpers with the program by which the user is asked: SSH_ASKPASS, as for ssh(1), or one that is installed. `env` is the
/// caller's environment, if the user is to be asked.
pub(super) fn with_askpass(mut helpers: Helpers, env: Option<&BTreeMap<String, String>>) -> Helpers {
    let Some(env) = env else { return helpers };
    let named = env.get("SSH_ASKPASS").filter(|path| path.starts_with('/')).map(Path::new);
    helpers.add(ASKPASS, named.into_iter());
    if !helpers.found.contains_key(ASKPASS) {
        let installed = Helpers::find(&[ASKPASS], env.get("PATH").map_or("", String::as_str));
        helpers.add(ASKPASS, installed.found.get(ASKPASS).map(PathBuf::as_path).into_iter());
        helpers.add(ASKPASS, ASKPASS_PLACES.iter().map(Path::new));
        if !helpers.found.contains_key(ASKPASS) {
            helpers.refused.extend(installed.refused);
        }
    }
    helpers
}
