//! Grants by which a program acts for the user outside: it types, presses buttons or starts programs. It could say yes for the user, too, to
//! whatever the user is asked.

use super::desktop;
use super::harms::verdict;
use super::tables::{PARTS, TargetKind};
use super::targets::spelt;
use super::verdict::Verdict;
use super::view::View;
use crate::profile::Vars;
use crate::spec::{BusPolicy, Sandbox};
use std::path::Path;

/// Sockets by which that is done.
const KINDS: [TargetKind; 5] =
    [TargetKind::Manager, TargetKind::Accessibility, TargetKind::Terminal, TargetKind::X11, TargetKind::Wayland];

/// The first such grant among the paths that are shown and the rules of the session bus, as a clause with what the program does by it,
/// and what to do instead.
pub fn acting(sandbox: &Sandbox, runtime: &Path, uid: u32) -> Option<(String, &'static str)> {
    let bus = &sandbox.session_bus;
    if bus.policy == BusPolicy::Host {
        let help = "write dbus.session.policy = \"filter\", and the names it needs in `talk`";
        return Some(("with dbus.session.policy = \"host\" it starts programs outside".into(), help));
    }
    if let Some((name, Verdict { harm, help, .. })) = desktop::acting(bus) {
        return Some((format!("with `{name}` on the session bus {harm}"), help));
    }
    // None of these lies in a home.
    let mut vars = Vars::default();
    vars.names.insert("UID".into(), uid.to_string());
    vars.names.extend(runtime.to_str().map(|dir| ("XDG_RUNTIME_DIR".to_owned(), dir.to_owned())));
    let view = View::of(sandbox, &vars);
    for (kind, paths) in PARTS.iter().filter(|(kind, _)| KINDS.contains(kind)) {
        for path in paths.iter().flat_map(|path| spelt(path, &vars)) {
            if let Some((shown, _)) = view.showing(&path).next() {
                let Verdict { harm, help, .. } = verdict(*kind, shown.writable, sandbox, &vars);
                let at = if shown.source.starts_with(&path) { &shown.source } else { &path };
                return Some((format!("with {}, which is shown, {harm}", at.display()), help));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Filesystem, Mode, Options, Origin, PathRule, Root, SessionBus};

    fn of(paths: &[(&str, Mode)], rules: &[&str]) -> Option<String> {
        let rule =
            |(path, mode): &(&str, Mode)| PathRule::new(path.into(), *mode, Options::default(), Origin::default());
        let paths = paths.iter().map(rule).collect();
        let filesystem = Filesystem { root: Root::Host, paths, ..Filesystem::default() };
        let rules = rules.iter().map(|rule| (*rule).to_owned()).collect();
        let session_bus = SessionBus { policy: BusPolicy::Filter, rules, ..SessionBus::default() };
        let sandbox = Sandbox { filesystem, session_bus, ..Sandbox::default() };
        acting(&sandbox, Path::new("/run/user/7"), 7).map(|(why, _)| why)
    }

    #[test]
    fn sockets_and_names_by_which_a_program_acts_are_found() {
        use Mode::{Masked, Ro, Rw};
        for (path, found) in [
            ("/tmp/tmux-7", "/tmp/tmux-7"),
            ("/tmp/tmux-7/default", "/tmp/tmux-7/default"),
            ("/tmp", "/tmp/tmux-7"),
            ("/run", "/run/user/7/"),
            ("/run/user/7", "/run/user/7/"),
            ("/var/run/user/7/bus", "/run/user/7/bus"),
            ("/run/user/7/hypr", "/run/user/7/hypr"),
            ("/run/user/7/at-spi/bus_0", "/run/user/7/at-spi/bus_0"),
            ("/run/user/7/wayland-0", "/run/user/7/wayland-0"),
            ("/tmp/.X11-unix/X0", "/tmp/.X11-unix/X0"),
        ] {
            for mode in [Ro, Rw] {
                let why = of(&[(path, mode)], &[]).unwrap();
                assert!(why.starts_with(&format!("with {found}")), "{path}: {why}");
            }
            assert_eq!(of(&[(path, Masked)], &[]), None, "{path}");
        }
        assert_eq!(of(&[("/run/user/7/app", Rw), ("/srv", Rw), ("/run/user/8/bus", Ro)], &[]), None);
        for rule in ["talk=org.freedesktop.systemd1", "own=org.gnome.*", "call=org.gnome.Shell=*", "talk=org.kde.*"] {
            assert!(of(&[], &[rule]).is_some_and(|why| why.contains("on the session bus it ")), "{rule}");
        }
        let fine = ["talk=org.freedesktop.secrets", "see=org.gnome.Shell", "broadcast=org.gnome.Shell=*"];
        assert_eq!(of(&[], &fine), None);
    }
}
