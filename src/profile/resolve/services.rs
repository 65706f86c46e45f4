//! Reads `[services]`.

use super::builder::Builder;
use crate::profile::document::Value;
use crate::spec::{Services, SshAgent};

impl Builder<'_> {
    pub(super) fn services(&mut self) -> Services {
        let merged = self.merged;
        let ssh_agent = match (merged.text("services.ssh-agent"), merged.switch("services.ssh-agent")) {
            (Some(_), _) => SshAgent::Unconfirmed,
            (None, true) => SshAgent::Confirmed,
            (None, false) => SshAgent::Off,
        };
        // A later layer may switch the agent off for a profile that names keys: then they are no error.
        let off_in = match merged.get("services.ssh-agent") {
            Some(Value::Switch(false, at)) => Some(at),
            _ => None,
        };
        let mut keys = Vec::new();
        for text in merged.list("services.ssh-agent-keys") {
            let digest = text.text.strip_prefix("SHA256:");
            let is_digit = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
            if digest.is_some_and(|digest| digest.len() != 43 || !digest.chars().all(is_digit)) {
                let help = "`ssh-add -l` prints the fingerprints of the agent's keys: `SHA256:` and 43 characters";
                self.wrong(text, format!("`{}` is no fingerprint", text.text), help);
            } else if text.text.is_empty() || text.text.contains(['\0', '\n']) {
                self.wrong(text, "a key has a fingerprint or a comment".into(), "`ssh-add -l` prints both");
            }
            let of_project = self.sources.get(text.at.source).is_some_and(|source| source.project);
            if ssh_agent == SshAgent::Off && !of_project && !off_in.is_some_and(|off| merged.is_later(off, &text.at)) {
                let help = "write `ssh-agent = true` in [services]";
                self.wrong(text, "`services.ssh-agent-keys` has no effect without the agent".into(), help);
            }
            keys.push(text.text.clone());
        }
        Services {
            git_identity: merged.switch("services.git-identity"),
            gpg_agent: merged.switch("services.gpg-agent"),
            ssh_agent,
            ssh_agent_keys: keys,
        }
    }
}
