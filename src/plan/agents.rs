//! Plans the user's agents: sbx's own filter in front of the SSH agent, and the restricted socket of gpg-agent.

use super::helpers::{
    Argument, Confinement, Given, HelperProgram, HelperSpec, HelperWords, Loss, Phase, Readiness, Tells,
};
use super::item::{Item, ItemKind, own};
use super::links::resolved;
use super::note::Note;
use super::services::DesktopPlan;
use crate::error::{Error, Result};
use crate::host::{ASKPASS, Facts};
use crate::proxy;
use crate::spec::{Sandbox, SshAgent};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The name of the agent's socket in the runtime directory.
const SOCKET: &str = "sbx-ssh-agent";

/// Plans what `[services]` asks for of agents.
///
/// # Errors
///
/// The user is to be asked, and there is no program to ask with; or gpg-agent has no restricted socket.
pub(super) fn plan(
    sandbox: &Sandbox,
    facts: &Facts,
    runtime: &Path,
    env: &mut BTreeMap<String, String>,
    plan: &mut DesktopPlan,
    notes: &mut Vec<Note>,
) -> Result<()> {
    gpg(sandbox, facts, runtime, plan, notes)?;
    if sandbox.services.ssh_agent == SshAgent::Off {
        return Ok(());
    }
    let Some(agent) = &facts.agents.ssh else {
        notes.push(Note::NoSshAgent { elsewhere: facts.agents.ssh_elsewhere.clone() });
        return Ok(());
    };
    let origin = sandbox.origins.of("services.ssh-agent", "");
    let asks = match sandbox.services.ssh_agent {
        SshAgent::Confirmed => {
            let program = facts.helpers.get(ASKPASS).map_err(|why| {
                Error::new(format!("services.ssh-agent asks before each signature, by ssh-askpass, {why}"))
                    .origin(&origin)
                    .hint("install it: apt-get install ssh-askpass-gnome, or ksshaskpass; SSH_ASKPASS may name another one of the system's")
                    .hint("services.ssh-agent = \"unconfirmed\" signs without a question; --set services.ssh-agent=false goes without")
            })?;
            Argument::Asks(program.to_owned())
        }
        _ => Argument::Text(String::new()),
    };
    let socket = plan.inside(sandbox, facts, runtime, SOCKET);
    env.insert("SSH_AUTH_SOCK".into(), runtime.join(SOCKET).display().to_string());
    plan.helpers.push(helper(sandbox, agent, asks, socket));
    Ok(())
}

/// Shows gpg-agent's restricted socket where gpg inside looks for the agent, and the public keyring.
fn gpg(sandbox: &Sandbox, facts: &Facts, runtime: &Path, plan: &mut DesktopPlan, notes: &mut Vec<Note>) -> Result<()> {
    let Some(gpg) = facts.agents.gpg.as_ref().filter(|_| sandbox.services.gpg_agent) else { return Ok(()) };
    let origin = sandbox.origins.of("services.gpg-agent", "");
    let Some(extra) = &gpg.extra else {
        if gpg.full.is_some() {
            let message = "gpg-agent has no restricted socket, and the one without restrictions is not shown";
            return Err(Error::new(message)
                .origin(&origin)
                .hint("take `extra-socket none` out of gpg-agent.conf, then: gpgconf --kill gpg-agent; gpgconf --launch gpg-agent")
                .hint("--set services.gpg-agent=false goes without"));
        }
        notes.push(Note::NoGpgAgent { elsewhere: gpg.elsewhere });
        return Ok(());
    };
    let item = |what| Item { origin: origin.clone(), ..own(what) };
    let dir = runtime.join("gnupg");
    plan.items.push((runtime.to_owned(), item(ItemKind::Dir { mode: 0o700 })));
    plan.items.push((dir.clone(), item(ItemKind::Dir { mode: 0o700 })));
    let bind = |source: &Path| -> Result<Item> {
        let source = resolved(facts, source, &origin)?;
        Ok(item(ItemKind::Bind { source, ro: true, device: false }))
    };
    plan.items.push((dir.join("S.gpg-agent"), bind(extra)?));
    match &gpg.keyring {
        Some(keyring) => {
            let home = facts.home.join(".gnupg");
            let name = keyring.file_name().unwrap_or_default();
            plan.items.push((home.join(name), bind(keyring)?));
            plan.items.push((home, item(ItemKind::Dir { mode: 0o700 })));
        }
        None => notes.push(Note::NoKeyring),
    }
    Ok(())
}

/// Plans the proxy, which serves `socket`, a path inside, and forwards to the agent at `agent`.
fn helper(sandbox: &Sandbox, agent: &Path, asks: Argument, socket: PathBuf) -> HelperSpec {
    let text = |text: String| Argument::Text(text);
    let how = if matches!(asks, Argument::Asks(_)) { "confirmed" } else { "unconfirmed" };
    let keys = sandbox.services.ssh_agent_keys.iter().map(|key| format!("key:{key}"));
    HelperSpec {
        name: proxy::AGENT,
        provides: "ssh agent",
        setting: if how == "confirmed" { "services.ssh-agent = true" } else { "services.ssh-agent = \"unconfirmed\"" },
        program: HelperProgram::Own(proxy::AGENT),
        target: agent.display().to_string(),
        args: vec![
            Argument::Given(0),
            Argument::Pipe(""),
            text(agent.display().to_string()),
            asks,
            text(sandbox.name.clone()),
        ],
        descriptors: vec![(-1, Given::Listener(socket))],
        rules: std::iter::once(how.to_owned()).chain(keys).collect(),
        phase: Phase::Demand,
        readiness: Readiness::Started,
        tells: Tells::SshAgent,
        confinement: Confinement::Own,
        loss: Loss::Note("the program has no SSH agent from here on"),
        words: HelperWords {
            ready: "it had confined itself".into(),
            needs: "the kernel must let it load a seccomp filter",
            without: "--set services.ssh-agent=false goes without",
        },
        origin: sandbox.origins.of("services.ssh-agent", ""),
    }
}
