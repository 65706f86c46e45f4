//! Services of the user's own that the program can use.

use serde::Serialize;

/// How the program uses the user's SSH agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum SshAgent {
    /// Not at all.
    #[default]
    Off,
    /// It sees keys, and the user is asked before each signature.
    Confirmed,
    /// It sees keys, and signs with them.
    Unconfirmed,
}

/// Services of the user's own that the program can use: `[services]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Services {
    /// The program is shown who the user is to git, and the settings of git that run nothing and hold no secrets.
    pub git_identity: bool,
    /// The program uses gpg-agent, as far as its restricted socket lets it, and sees the user's public keys.
    pub gpg_agent: bool,
    /// The SSH agent.
    pub ssh_agent: SshAgent,
    /// Fingerprints and comments of the keys that the program sees and uses; none of them for all keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh_agent_keys: Vec<String>,
}
