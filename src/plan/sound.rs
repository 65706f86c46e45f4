//! Plans sound: sbx's own filter in front of a server that speaks PulseAudio's protocol.

use super::helpers::{
    Argument, Confinement, Given, HelperProgram, HelperSpec, HelperWords, Loss, Phase, Readiness, Tells,
};
use super::item::{ItemKind, own};
use super::note::Note;
use super::services::DesktopPlan;
use crate::error::Result;
use crate::host::Facts;
use crate::proxy;
use crate::spec::{Origin, Sandbox};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The word of `desktop.sound` that shows the servers' own sockets.
const UNFILTERED: &str = "unfiltered";

/// Plans what `desktop.sound` asks for.
///
/// # Errors
///
/// The links of a server's socket go in a circle.
pub(super) fn plan(
    sandbox: &Sandbox,
    facts: &Facts,
    runtime: &Path,
    env: &mut BTreeMap<String, String>,
    plan: &mut DesktopPlan,
    notes: &mut Vec<Note>,
) -> Result<()> {
    let sound = &facts.desktop.sound;
    let Some(word) = sandbox.desktop.sound.first() else { return Ok(()) };
    let unfiltered = sandbox.desktop.sound.contains(UNFILTERED);
    if sound.pulse.is_none() && (sound.pipewire.is_none() || !unfiltered) {
        notes.push(Note::NoSound { pipewire: sound.pipewire.is_some(), elsewhere: sound.elsewhere.clone() });
    }
    let socket = runtime.join("pulse/native");
    if sound.pulse.is_some() {
        env.insert("PULSE_SERVER".into(), format!("unix:{}", socket.display()));
    }
    if unfiltered {
        notes.push(Note::UnfilteredSound);
        for (server, path) in [(&sound.pipewire, runtime.join("pipewire-0")), (&sound.pulse, socket)] {
            if let Some(server) = server {
                plan.socket(facts, server, path)?;
            }
        }
    } else if let Some(server) = &sound.pulse {
        let socket = plan.inside(sandbox, facts, runtime, "pulse/native");
        plan.items.push((runtime.join("pulse"), own(ItemKind::Dir { mode: 0o700 })));
        plan.helpers.push(helper(sandbox, facts, server, socket, sandbox.origins.of("desktop.sound", word)));
    }
    Ok(())
}

/// What the server knows a program in this sandbox by, and keeps its streams' volumes for. It is made of the name of the
/// program that sbx starts, which nothing inside can choose.
fn id(sandbox: &Sandbox) -> String {
    const LONGEST: usize = 64;
    let program = sandbox.process.args.first().map(Path::new).and_then(Path::file_name).unwrap_or_default();
    let plain = |char: char| if char.is_ascii_alphanumeric() || "._-+".contains(char) { char } else { '_' };
    format!("sbx.{}", program.to_string_lossy().chars().take(LONGEST).map(plain).collect::<String>())
}

/// Plans the proxy, which serves `socket`, a path inside, and forwards to the server at `server`.
fn helper(sandbox: &Sandbox, facts: &Facts, server: &Path, socket: PathBuf, origin: Origin) -> HelperSpec {
    let text = |path: &Path| Argument::Text(path.display().to_string());
    let cookie = facts.desktop.sound.cookie.as_deref().unwrap_or(Path::new(""));
    HelperSpec {
        name: proxy::SOUND,
        provides: "sound",
        setting: "desktop.sound",
        program: HelperProgram::Own(proxy::SOUND),
        target: server.display().to_string(),
        args: vec![Argument::Given(0), Argument::Pipe(""), text(server), text(cookie), Argument::Text(id(sandbox))],
        descriptors: vec![(-1, Given::Listener(socket))],
        rules: sandbox.desktop.sound.iter().cloned().collect(),
        phase: Phase::Demand,
        readiness: Readiness::Started,
        tells: Tells::Sound,
        confinement: Confinement::Own,
        loss: Loss::Note("the program has no sound from here on"),
        words: HelperWords {
            ready: "it had confined itself".into(),
            needs: "the kernel must let it load a seccomp filter",
            without: "--set 'desktop.sound=[\"!play\", \"!record\"]' goes without",
        },
        origin,
    }
}
