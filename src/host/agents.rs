//! Finds the user's agents, and the program by which the user is asked.

use super::helpers::Helpers;
use super::socket::is_socket;
use crate::spec::{Sandbox, SshAgent};
use serde::Serialize;
use std::collections::BTreeMap;
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
}

pub(super) fn probe(sandbox: &Sandbox, env: &BTreeMap<String, String>) -> AgentFacts {
    let mut facts = AgentFacts::default();
    if sandbox.services.ssh_agent == SshAgent::Off {
        return facts;
    }
    if let Some(path) = env.get("SSH_AUTH_SOCK").filter(|path| !path.is_empty()) {
        if path.starts_with('/') && is_socket(Path::new(path)) {
            facts.ssh = Some(path.into());
        } else {
            facts.ssh_elsewhere = Some(path.clone());
        }
    }
    facts
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
