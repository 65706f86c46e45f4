//! Reviews the desktop's services: the display, sound, portals, and the session bus.

use super::verdict::{Finding, Verdict, listed, note, undoes, weakens};
use crate::spec::{BusPolicy, Sandbox, SessionBus, Wayland, X11};

pub(super) fn findings(sandbox: &Sandbox) -> Vec<Finding> {
    let (desktop, origins) = (&sandbox.desktop, &sandbox.origins);
    let mut found = Vec::new();
    match desktop.x11 {
        X11::Off => {}
        X11::Nested | X11::Virtual => found.push(nested_x11().at(&origins.of("desktop.x11", ""), "X11 of its own")),
        X11::Host => found.push(x11().at(&origins.of("desktop.x11", ""), "X11")),
    }
    if desktop.wayland != Wayland::Off {
        found.push(wayland(desktop.wayland).at(
            &origins.of("desktop.wayland", ""),
            if desktop.wayland == Wayland::Unrestricted { "Wayland without restrictions" } else { "Wayland" },
        ));
    }
    for word in &desktop.sound {
        let (verdict, grant) = sound(word, sandbox.network.reaches_out());
        found.push(verdict.at(&origins.of("desktop.sound", word), grant));
    }
    portals(sandbox, &mut found);
    let bus = &sandbox.session_bus;
    match bus.policy {
        BusPolicy::None => {}
        BusPolicy::Host => found.push(
            undoes(
                9.5,
                "it starts programs outside, through systemd and the desktop, and reads your passwords",
                "dbus.session.policy = \"filter\", and the names it needs in `talk`; desktop.portals for files and links",
            )
            .at(&bus.origin, "the session bus without a filter"),
        ),
        BusPolicy::Filter => rules(sandbox, &mut found),
    }
    found
}

/// The verdict on the host's X server, which does not isolate its clients from each other: what is typed into a terminal
/// runs outside.
pub(super) fn x11() -> Verdict {
    undoes(
        9.0,
        "it reads the keys typed into other X windows, takes pictures of them and types into them, terminals among them",
        "desktop.x11 = \"nested\", a server of its own; or desktop.wayland = true alone",
    )
}

fn nested_x11() -> Verdict {
    note(
        0.3,
        "it opens windows in an X server of its own, which has a fault now and then, and runs in a sandbox of its own",
        "desktop.x11 = false for a program that speaks Wayland",
    )
}

/// The verdict on a Wayland socket. One that the compositor has to restrict is not shown where it cannot.
pub(super) fn wayland(wanted: Wayland) -> Verdict {
    match wanted {
        Wayland::Unrestricted => undoes(
            9.0,
            "on many compositors (those of wlroots) it types into other windows, terminals among them, and reads the screen",
            "desktop.wayland = true, which the compositor restricts",
        ),
        Wayland::Off | Wayland::Restricted => note(
            0.5,
            "it opens windows, and reads the clipboard while one has the focus",
            "desktop.wayland = false for a program without windows",
        ),
    }
}

/// The verdict on a word of `desktop.sound`, and what it grants. What is recorded can be sent away over the network.
fn sound(word: &str, network: bool) -> (Verdict, &'static str) {
    let heard = |harm, help| if network { weakens(1.5, harm, help) } else { weakens(0.7, harm, help) };
    match word {
        "play" => (
            note(0.2, "it plays sound, and learns which sound devices there are", "leave it out for a silent program"),
            "playing sound",
        ),
        "record" => (
            heard("it records the microphone whenever it likes", "leave `record` out for a program that only plays"),
            "recording sound",
        ),
        "monitor" => (
            heard("it records what other programs play", "leave `monitor` out: a call needs `record` alone"),
            "recording other programs' sound",
        ),
        _ => (sound_server(), "the sound servers without a filter"),
    }
}

/// The verdict on a sound server's own socket. PulseAudio loads modules with any library (LOAD_MODULE, and filters that a
/// stream's properties name); PipeWire loads any library for a node (create-node), for clients with the access
/// `restricted` as well.
pub(super) fn sound_server() -> Verdict {
    undoes(
        9.5,
        "it loads code into the sound server, which runs outside, as you",
        "desktop.sound = [\"play\"], which filters PulseAudio's protocol",
    )
}

fn portals(sandbox: &Sandbox, found: &mut Vec<Finding>) {
    let portals: Vec<String> = sandbox.desktop.portals.iter().cloned().collect();
    let (Some(first), BusPolicy::Filter) = (portals.first(), sandbox.session_bus.policy) else { return };
    let origin = |name: &str| sandbox.origins.of("desktop.portals", name);
    let verdict = note(0.2, "it asks for files and the like, and you choose", "leave out the portals it does not use");
    found.push(verdict.at(&origin(first), format!("the portals {}", listed(&portals))));
    if sandbox.desktop.portals.contains("open-uri") && !sandbox.network.reaches_out() {
        let verdict = weakens(
            1.0,
            "it has your browser open addresses, which carries out what the sandbox without a network keeps in",
            "leave `open-uri` out of desktop.portals",
        );
        found.push(verdict.at(&origin("open-uri"), "the portal open-uri"));
    }
}

/// A name on the session bus whose service does more for its clients than it seems, such as run programs outside.
struct Name {
    name: &'static str,
    verdict: fn(network: bool) -> Verdict,
}

const SYSTEMD: &str = "leave it out: nothing that is to stay inside needs it";
const ASK: &str = "leave it out; desktop.portals has what asks you before";

fn runs(_: bool) -> Verdict {
    undoes(9.5, "it starts programs outside", SYSTEMD)
}

fn desktop_shell(_: bool) -> Verdict {
    undoes(8.0, "it loads scripts or extensions into the desktop, or takes pictures of the screen", ASK)
}

fn passwords(network: bool) -> Verdict {
    let help = "leave it out; a program without it keeps its passwords in a file of its own";
    let harm = "it reads all passwords of the keyring";
    if network { undoes(6.0, harm, help) } else { weakens(3.0, harm, help) }
}

fn settings(_: bool) -> Verdict {
    let help =
        "leave it out; portals = [\"settings\"] reads the look, and a program without it keeps settings of its own";
    undoes(8.0, "it changes the desktop's settings, such as key bindings with commands", help)
}

fn every_portal(_: bool) -> Verdict {
    weakens(2.0, "it calls every portal, as a program without a sandbox: autostart, screen, remote control", ASK)
}

fn backends(_: bool) -> Verdict {
    undoes(6.0, "it calls the portals' backends directly, so nobody asks you first", ASK)
}

fn flatpak_portal(_: bool) -> Verdict {
    weakens(2.0, "it has Flatpak start programs in Flatpak's own sandboxes", "leave it out")
}

fn accounts(_: bool) -> Verdict {
    weakens(2.0, "it reads your mail, calendars and accounts", "leave it out")
}

fn index(_: bool) -> Verdict {
    weakens(1.5, "it searches and reads what the desktop has indexed of your files", "leave it out")
}

fn volumes(_: bool) -> Verdict {
    weakens(
        1.5,
        "it reads files outside through the desktop's mounts",
        "leave it out; portals = [\"file-chooser\"] asks",
    )
}

fn accessibility(_: bool) -> Verdict {
    note(
        0.3,
        "it learns where the bus for assistive technology is, whose socket is not shown",
        "leave it out where no screen reader is used",
    )
}

/// Names by which a program acts for the user, outside.
const ACT: &[Name] = &[
    Name { name: "org.freedesktop.systemd1", verdict: runs },
    Name { name: "org.freedesktop.Flatpak", verdict: runs },
    Name { name: "org.gnome.Terminal", verdict: runs },
    Name { name: "org.gnome.Ptyxis", verdict: runs },
    Name { name: "org.kde.konsole", verdict: runs },
    Name { name: "org.kde.yakuake", verdict: runs },
    Name { name: "org.kde.klauncher5", verdict: runs },
    Name { name: "org.kde.krunner", verdict: runs },
    Name { name: "org.gnome.SettingsDaemon", verdict: settings },
    Name { name: "org.gnome.Shell", verdict: desktop_shell },
    Name { name: "org.gnome.Mutter", verdict: desktop_shell },
    Name { name: "org.Cinnamon", verdict: desktop_shell },
    Name { name: "org.kde.KWin", verdict: desktop_shell },
    Name { name: "org.kde.plasmashell", verdict: desktop_shell },
    Name { name: "ca.desrt.dconf", verdict: settings },
    Name { name: "org.xfce.Xfconf", verdict: settings },
    Name { name: "org.kde.kglobalaccel", verdict: settings },
    Name { name: "org.freedesktop.impl.portal", verdict: backends },
];

/// Names by which it does other things.
const SERVE: &[Name] = &[
    Name { name: "org.freedesktop.secrets", verdict: passwords },
    Name { name: "org.gnome.keyring", verdict: passwords },
    Name { name: "org.kde.kwalletd5", verdict: passwords },
    Name { name: "org.kde.kwalletd6", verdict: passwords },
    Name { name: "org.keepassxc.KeePassXC", verdict: passwords },
    Name { name: "org.freedesktop.portal.Desktop", verdict: every_portal },
    Name { name: "org.freedesktop.portal.Documents", verdict: every_portal },
    Name { name: "org.freedesktop.portal.Flatpak", verdict: flatpak_portal },
    Name { name: "org.gnome.OnlineAccounts", verdict: accounts },
    Name { name: "org.gnome.evolution.dataserver", verdict: accounts },
    Name { name: "org.freedesktop.Tracker3", verdict: index },
    Name { name: "org.freedesktop.LocalSearch3", verdict: index },
    Name { name: "org.gtk.vfs", verdict: volumes },
    Name { name: "org.a11y.Bus", verdict: accessibility },
];

/// The first rule of the session bus by which a program acts for the user outside, with what it does.
pub(super) fn acting(bus: &SessionBus) -> Option<(&str, Verdict)> {
    if bus.policy != BusPolicy::Filter {
        return None;
    }
    bus.rules.iter().find_map(|rule| {
        let (kind, text) = rule.split_once('=')?;
        let pattern = text.split('=').next().unwrap_or(text);
        let name = ACT.iter().find(|name| matches(pattern, name.name))?;
        matches!(kind, "talk" | "own" | "call").then(|| (pattern, (name.verdict)(true)))
    })
}

/// Reviews the rules of a filtered session bus.
fn rules(sandbox: &Sandbox, found: &mut Vec<Finding>) {
    let network = sandbox.network.reaches_out();
    for rule in &sandbox.session_bus.rules {
        let Some((kind, text)) = rule.split_once('=') else { continue };
        // Seeing a name, or receiving its signals, only tells that a program runs.
        if !matches!(kind, "talk" | "own" | "call") {
            continue;
        }
        let key = match kind {
            "talk" => "dbus.session.talk",
            "own" => "dbus.session.own",
            _ => "dbus.session.call",
        };
        let origin = sandbox.origins.of(key, text);
        let pattern = text.split('=').next().unwrap_or(text);
        let matched: Vec<&Name> = ACT.iter().chain(SERVE).filter(|name| matches(pattern, name.name)).collect();
        let mut verdicts: Vec<Verdict> = matched.iter().map(|name| (name.verdict)(network)).collect();
        verdicts.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        let Some(mut verdict) = verdicts.into_iter().next() else { continue };
        // A rule for some calls grants less than one for all of them; how much less, only its author can judge.
        if kind == "call" && text != format!("{pattern}=*") && verdict.weight > 2.0 {
            verdict = weakens(
                2.0,
                "it makes these calls to a service that can do more than a program inside should",
                SYSTEMD,
            );
        }
        if kind == "own" {
            verdict.harm = "it takes the service's place, and talks to it where it is there";
        }
        let wide = pattern.ends_with('*') && matched.iter().any(|name| name.name != pattern.trim_end_matches(".*"));
        let names: Vec<String> = matched.iter().map(|name| name.name.to_owned()).collect();
        let with = if wide { format!(", with {}", listed(&names)) } else { String::new() };
        found.push(verdict.at(&origin, format!("`{kind}` {text} on the session bus{with}")));
    }
}

/// Whether a rule for `pattern` covers the service `name`: `org.x.*` matches `org.x` and all names below, and a
/// service's name stands for the names below it, too.
fn matches(pattern: &str, name: &str) -> bool {
    let below =
        |name: &str, above: &str| name.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    match pattern.strip_suffix(".*") {
        Some(above) => below(name, above) || below(above, name),
        None => pattern == "*" || below(pattern, name),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_the_proxy_takes_them() {
        assert!(matches("org.freedesktop.*", "org.freedesktop.systemd1"));
        assert!(matches("org.gnome.Shell.Screenshot", "org.gnome.Shell"), "a part of a service");
        assert!(!matches("org.freedesktop.systemd", "org.freedesktop.systemd1"));
        assert!(!matches("org.freedesktop.Notifications", "org.freedesktop.systemd1"));
    }
}
