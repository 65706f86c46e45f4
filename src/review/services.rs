//! Reviews the services of the user's own that the program can use.

use super::verdict::{Finding, Verdict, note, undoes, weakens};
use crate::spec::{Sandbox, SshAgent};

pub(super) fn findings(sandbox: &Sandbox) -> Vec<Finding> {
    let mut found = Vec::new();
    if sandbox.services.git_identity {
        let verdict = note(
            0.1,
            "it learns your name and mail address, as git has them",
            "services.git-identity = false where nothing is committed",
        );
        found.push(verdict.at(&sandbox.origins.of("services.git-identity", ""), "your identity for git"));
    }
    if sandbox.services.gpg_agent {
        let verdict = gpg_agent(sandbox.network.reaches_out());
        found.push(verdict.at(&sandbox.origins.of("services.gpg-agent", ""), "gpg-agent by its restricted socket"));
    }
    if let Some((verdict, grant)) = ssh_agent(sandbox.services.ssh_agent, sandbox.network.reaches_out()) {
        found.push(verdict.at(&sandbox.origins.of("services.ssh-agent", ""), grant));
    }
    found
}

/// The verdict on the SSH agent, and what is granted. With a network, a signature is a login.
fn ssh_agent(agent: SshAgent, network: bool) -> Option<(Verdict, &'static str)> {
    let leave = "leave it out where nothing logs in or signs; services.ssh-agent-keys names the one key that is needed";
    Some(match (agent, network) {
        (SshAgent::Off, _) => return None,
        (SshAgent::Confirmed, true) => (
            weakens(
                1.5,
                "it sees your public keys, and logs in to servers as you when you say yes to its question",
                leave,
            ),
            "your SSH agent, with a question before each signature",
        ),
        (SshAgent::Confirmed, false) => (
            note(0.5, "it sees your public keys, and makes signatures of yours when you say yes", leave),
            "your SSH agent, with a question before each signature",
        ),
        (SshAgent::Unconfirmed, true) => (
            undoes(
                5.5,
                "it logs in as you to every server that takes your keys, and signs in your name, for as long as it runs",
                "services.ssh-agent = true, which asks before each signature, and services.ssh-agent-keys",
            ),
            "your SSH agent",
        ),
        (SshAgent::Unconfirmed, false) => (
            weakens(
                2.5,
                "it signs in your name, commits and releases among it, for as long as it runs",
                "services.ssh-agent = true, which asks before each signature, and services.ssh-agent-keys",
            ),
            "your SSH agent",
        ),
    })
}

/// The verdict on gpg-agent's restricted socket: what it signs and decrypts, it does while a passphrase is cached, or once the
/// user has typed it.
fn gpg_agent(network: bool) -> Verdict {
    let harm = "it signs in your name and decrypts what is encrypted to you while the agent has the passphrase, and sees your \
                public keys with those whom you know";
    let help =
        "leave it out where nothing is signed; max-cache-ttl 0 in gpg-agent.conf, or a smartcard, asks each time";
    if network { weakens(4.0, harm, help) } else { weakens(2.5, harm, help) }
}
