//! The description of one sandbox.

use super::filesystem::Filesystem;
use super::limits::Limits;
use super::network::{NameServers, NamedNetwork, Network};
use super::note::Note;
use super::origin::Origins;
use super::parts::{Assert, Desktop, Device, Namespaces, Process, Rlimit, Security, SessionBus};
use super::published::{Forwarded, Published};
use super::rules::NetworkRules;
use super::services::Services;
use serde::Serialize;

/// The description of one sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Sandbox {
    /// The name of the profile that it is made from, for those outside who are told which program it is.
    pub name: String,
    /// The program and how it is started.
    pub process: Process,
    /// Namespaces shared with the host or joined.
    pub namespaces: Namespaces,
    /// The view of the filesystem.
    pub filesystem: Filesystem,
    /// Devices that the program can open.
    pub devices: Vec<Device>,
    /// The network that the program has.
    pub network: Network,
    /// The network that is shared with other sandboxes, if it is ([`Network::Named`]).
    #[serde(skip_serializing_if = "is_default")]
    pub named_network: NamedNetwork,
    /// The name servers of a network of the sandbox's own.
    pub name_servers: NameServers,
    /// Ports of the host at which servers in a network of the sandbox's own are reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<Published>,
    /// Ports of the host's loopback that are reached at the loopback of a network of the sandbox's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forwarded: Vec<Forwarded>,
    /// What is reached from a network of the sandbox's own.
    #[serde(skip_serializing_if = "NetworkRules::is_default")]
    pub network_rules: NetworkRules,
    /// Resource limits of the process: setrlimit(2).
    pub rlimits: Vec<Rlimit>,
    /// Limits of the sandbox's cgroup: cgroup v2.
    pub limits: Limits,
    /// Capabilities, the system call filter, and Landlock.
    pub security: Security,
    /// Services of the desktop that the program can reach.
    pub desktop: Desktop,
    /// Access to the session bus.
    pub session_bus: SessionBus,
    /// Services of the user's own that the program can use.
    pub services: Services,
    /// Assertions of the profile, which `sbx selftest` tries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asserts: Vec<Assert>,
    /// Notes for the user about how the layers were read.
    pub notes: Vec<Note>,
    /// Origins of the settings that have none of their own.
    #[serde(skip)]
    pub origins: Origins,
}

/// Whether a field has its default, and is left out of the JSON.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Sandbox {
    /// The id by which a compositor and portals know the program: elements with dots between them, of letters, digits and
    /// `_`, none of which begins with a digit.
    pub fn app_id(&self) -> String {
        let good = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let mut name: String = self.name.chars().map(good).take(100).collect();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            name.insert(0, '_');
        }
        format!("sbx.profile.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::Sandbox;

    #[test]
    fn an_id_is_one_whatever_the_profile_is_called() {
        let id = |name: &str| Sandbox { name: name.into(), ..Sandbox::default() }.app_id();
        assert_eq!(id("browser"), "sbx.profile.browser");
        assert_eq!(id("base/desktop"), "sbx.profile.base_desktop");
        assert_eq!(id("7z\n[Context]"), "sbx.profile._7z__Context_");
        assert_eq!(id(""), "sbx.profile._");
    }
}
