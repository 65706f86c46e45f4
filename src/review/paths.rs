//! Paths that are shown: what lies there, and what that gives to somebody inside.

use super::targets::{Kind, Target, all, is_harmless};
use super::view::{Extent, Shown, View, own_homes};
use super::{Finding, Severity, Verdict, listed, note, undoes, weakens};
use crate::profile::Vars;
use crate::spec::{Network, Root, Sandbox};
use std::path::{Path, PathBuf};

/// What one rule shows of one kind.
struct Group<'v> {
    shown: &'v Shown,
    kind: Kind,
    /// Those that lie below the rule's own path.
    inside: Vec<&'v Path>,
}

impl Group<'_> {
    /// Whether it is a path by itself, shown as the other is.
    fn is_plain(&self, other: &Group) -> bool {
        self.inside.is_empty() && self.shown.path == self.shown.source && self.shown.writable == other.shown.writable
    }
}

pub(super) fn findings(sandbox: &Sandbox, vars: &Vars) -> Vec<Finding> {
    let (view, targets) = (View::of(sandbox, vars), all(vars));
    let groups = grouped(&view, &targets);
    let names = Names::of(vars);
    // What comes with `root = "host"`, for which no line has to be written.
    let implied = |shown: &Shown| {
        let rule = sandbox.filesystem.paths.iter().any(|rule| rule.path == shown.path);
        sandbox.filesystem.root == Root::Host && shown.path.parent().is_none() && !rule
    };
    let judge = |group: &Group| match group.kind {
        Kind::Engine if implied(group.shown) => undoes(
            5.0,
            "where these are installed and you are in their group, it starts machines with the host's files in them, as root",
            BASE,
        ),
        Kind::Private if implied(group.shown) => note(0.2, "it reads what somebody keeps there", BASE),
        kind => verdict(kind, group.shown.writable, sandbox, vars),
    };
    let mut alike: Vec<(Verdict, Vec<&Group>)> = Vec::new();
    for group in &groups {
        let verdict = judge(group);
        // What is no way out is told once for all the lines that are alike.
        let known = alike.iter_mut().find(|(old, members)| {
            old.severity != Severity::Undoes
                && members[0].kind == group.kind
                && members.iter().chain([&group]).all(|one| one.is_plain(group))
        });
        match known {
            Some((_, members)) => members.push(group),
            None => alike.push((verdict, vec![group])),
        }
    }
    let finding = |(verdict, members): (Verdict, Vec<&Group>)| Finding {
        origins: members.iter().map(|group| group.shown.origin.clone()).collect(),
        ..verdict.at(&members[0].shown.origin, names.grant(&members))
    };
    alike.into_iter().map(finding).collect()
}

/// One group for each rule and kind, without those that a graver one of the same rule says already.
fn grouped<'v>(view: &'v View, targets: &'v [Target]) -> Vec<Group<'v>> {
    let mut groups: Vec<Group> = Vec::new();
    for target in targets {
        for (shown, extent) in view.showing(&target.path) {
            if extent == Extent::Part && (!target.parts || is_harmless(&shown.source, shown.writable)) {
                continue;
            }
            let kind = target.kind;
            if !kind.counts(shown.writable) {
                continue;
            }
            let old = groups.iter_mut().find(|group| group.kind == kind && std::ptr::eq(group.shown, shown));
            let group = match old {
                Some(old) => old,
                None => {
                    groups.push(Group { shown, kind, inside: Vec::new() });
                    groups.last_mut().expect("one was pushed just now")
                }
            };
            if extent == Extent::Within && !group.inside.contains(&target.path.as_path()) {
                group.inside.push(&target.path);
            }
        }
    }
    let has = |group: &Group, kinds: &[Kind]| {
        groups.iter().any(|other| kinds.contains(&other.kind) && std::ptr::eq(other.shown, group.shown))
    };
    let said: Vec<bool> =
        groups.iter().map(|group| group.kind.said_by(group.shown.writable, |kinds| has(group, kinds))).collect();
    let mut said = said.into_iter();
    groups.retain(|_| !said.next().unwrap_or(false));
    groups
}

impl Kind {
    /// Whether it matters for something that can be written, or only be read.
    fn counts(self, writable: bool) -> bool {
        use Kind::*;
        writable || !matches!(self, Startup | Command | Tool | Profiles | System | Cache)
    }

    /// Whether a finding of another kind for the same rule says as much.
    fn said_by(self, writable: bool, has: impl Fn(&[Kind]) -> bool) -> bool {
        use Kind::*;
        match self {
            Manager | Accessibility | X11 | Pulse | PipeWire | Wayland | Terminal | Agent if has(&[Runtime]) => true,
            Keys | Agent | Private | Browser | Startup | Command | Tool | Profiles | Cache
                if writable && has(&[Home]) =>
            {
                true
            }
            Private => has(&[Home, Temporary]),
            Command => has(&[Startup]),
            Tool => has(&[Startup, Command]),
            Profiles => has(&[Startup, Command, Tool]),
            Project => has(&[Home, Startup, Command, Tool]),
            _ => false,
        }
    }
}

/// Paths as a profile spells them.
struct Names<'a> {
    homes: Vec<PathBuf>,
    vars: &'a Vars,
}

impl Names<'_> {
    fn of(vars: &Vars) -> Names<'_> {
        Names { homes: own_homes(vars), vars }
    }

    fn short(&self, path: &Path) -> String {
        let named = |name: &str| self.vars.names.get(name).map(Path::new).filter(|dir| dir.parent().is_some());
        let known = [
            (self.homes.first().map(PathBuf::as_path), "~"),
            (named("CWD"), "${CWD}"),
            (named("XDG_RUNTIME_DIR"), "${XDG_RUNTIME_DIR}"),
        ];
        let fitting = known.into_iter().filter_map(|(dir, name)| Some((path.strip_prefix(dir?).ok()?, name)));
        match fitting.min_by_key(|(rest, _)| rest.components().count()) {
            Some((rest, name)) if rest.as_os_str().is_empty() => name.to_owned(),
            Some((rest, name)) => format!("{name}/{}", rest.display()),
            None => path.display().to_string(),
        }
    }

    /// What the lines grant: one of them, or several that are plain.
    fn grant(&self, groups: &[&Group]) -> String {
        let Group { shown, kind, inside } = groups[0];
        let how = match kind {
            _ if shown.writable => "writable",
            Kind::Home | Kind::Keys | Kind::Browser | Kind::Project | Kind::Private => "readable",
            _ => "shown",
        };
        let verb = if groups.len() > 1 { "are" } else { "is" };
        let paths: Vec<String> = groups.iter().map(|group| self.short(&group.shown.source)).collect();
        let at = if shown.path == shown.source { String::new() } else { format!(" at {}", self.short(&shown.path)) };
        let inside: Vec<String> = inside.iter().map(|path| self.short(path)).collect();
        let with = if inside.is_empty() { String::new() } else { format!(", with {}", listed(&inside)) };
        format!("{} {verb} {how}{at}{with}", listed(&paths))
    }
}

const BASE: &str = "extends = [\"base/host\"], which closes what is named here";
const CLOSE: &str =
    "show what is needed of it alone, or close what is named here: \"masked\", or \"tmpfs\" for a directory";
const SOCKET: &str =
    "show what is needed of it alone, without the socket: [desktop] and [dbus.session] let services in one by one";

fn verdict(kind: Kind, writable: bool, sandbox: &Sandbox, vars: &Vars) -> Verdict {
    let network = sandbox.network == Network::Host;
    let root = vars.names.get("UID").is_some_and(|uid| uid == "0");
    match kind {
        Kind::Home if writable => undoes(
            9.5,
            "it changes what runs outside at your next login, and reads every key and password",
            "\"~\" = \"tmpfs\", and the directories it needs beside that: \"~/name\" = \"rw\"",
        ),
        Kind::Home => weakens(
            2.0,
            "it reads your documents, settings and histories",
            "\"~\" = \"tmpfs\", and the directories it needs beside that: \"~/name\" = \"ro\"",
        ),
        Kind::Runtime => undoes(
            9.5,
            "it starts programs outside, through the session bus and systemd, whose sockets lie there",
            "leave it out: [desktop] and [dbus.session] let services in one by one",
        ),
        Kind::Engine => undoes(
            10.0,
            "it starts containers or machines with the host's files in them, as root",
            "leave the socket out; with namespaces.nested = \"allow\", rootless podman starts containers inside",
        ),
        Kind::Manager => undoes(
            9.5,
            "it starts programs outside",
            "leave it out: dbus.session.policy = \"filter\" lets through what is named",
        ),
        Kind::Accessibility => {
            undoes(7.0, "it reads what other windows show, and presses their buttons", "leave the socket out")
        }
        Kind::Terminal => undoes(
            9.0,
            "it types commands into your terminals or editors outside",
            "leave the socket out, or \"masked\" where the directory around it is shown",
        ),
        Kind::X11 => super::desktop::x11(sandbox),
        Kind::Pulse => super::desktop::pulse(),
        Kind::PipeWire => super::desktop::pipewire(),
        Kind::Wayland => super::desktop::wayland(),
        Kind::Agent => {
            let help = "leave it out; use a key of its own, which is good for that one purpose";
            let harm = "it has your keys sign and decrypt whatever it likes, without seeing them";
            if network { undoes(6.0, harm, help) } else { weakens(2.5, harm, help) }
        }
        Kind::SystemBus => weakens(
            2.0,
            "it asks the system's services for what you may have of them: networks, disks, packages",
            SOCKET,
        ),
        Kind::Startup => undoes(
            9.0,
            "what it writes there runs outside, at your next login or with the next shell or program",
            CLOSE,
        ),
        Kind::Command => undoes(
            9.0,
            "it replaces commands that you start outside",
            "use \"ro\", or \"tmpfs\" if what it installs may be lost",
        ),
        Kind::Tool => undoes(
            8.5,
            "what it writes there names commands, which run outside when the tool is next used",
            "use \"ro\"; a tool inside may have a file of its own: from=/other/file",
        ),
        Kind::Profiles => {
            undoes(9.0, "it writes the profiles of the sandboxes that are started next", "leave it out, or use \"ro\"")
        }
        Kind::System if root => undoes(9.0, "it changes the system, as root", "use \"ro\""),
        Kind::System => weakens(2.0, "it changes what of the system is yours or your groups'", "use \"ro\""),
        Kind::Cache => weakens(
            1.0,
            "what it puts there is taken by the next build outside",
            "use \"ro\", or a cache of its own: \"rw,from=/other/directory\"",
        ),
        Kind::Project if !writable => note(
            0.2,
            "it reads what lies where it is started, such as tokens in .env",
            "start it in a directory of its own, or close the file: \"${CWD}/.env\" = \"masked,optional\"",
        ),
        Kind::Project => note(
            0.3,
            "what it leaves there may run when you use it outside: .git/hooks, Makefile and the like",
            "use \"ro\", with \"rw\" for the directory it writes to",
        ),
        Kind::Keys if network => undoes(
            6.0,
            "it reads your keys and tokens, and can send them away",
            "leave it out; hand over what is needed alone: a key of its own, or one variable with --env",
        ),
        Kind::Keys => weakens(
            3.0,
            "it reads your keys and tokens, and may leave them in what it writes",
            "leave it out; hand over what is needed alone: a key of its own, or one variable with --env",
        ),
        Kind::Browser if is_browser(sandbox) => note(
            0.5,
            "it has this browser's passwords, cookies and settings, as a browser has to",
            "for a browser without them: \"rw,from=/other/directory\"",
        ),
        Kind::Browser if network => undoes(
            6.0,
            "it reads the passwords and cookies of a browser, and can send them away",
            "leave it out: a browser needs its own, and no other program does",
        ),
        Kind::Browser => weakens(
            3.0,
            "it reads the passwords and cookies of a browser",
            "leave it out: a browser needs its own, and no other program does",
        ),
        Kind::Process => weakens(
            2.0,
            "it sees all processes with their arguments",
            "leave /proc out: the sandbox has one of its own",
        ),
        Kind::Memory => weakens(
            2.0,
            "it reads what other programs share there, and changes it where that is writable",
            "leave it out: the sandbox has a /dev/shm of its own",
        ),
        Kind::Temporary => weakens(
            2.0,
            "it reads what other programs put there, and connects to their sockets",
            "leave it out: the sandbox has one of its own; or show a directory in it",
        ),
        Kind::Private if writable => {
            note(0.3, "it reads and changes what you keep there", "use \"ro\" where it need not write")
        }
        Kind::Private => note(0.2, "it reads what you keep there", "leave it out where it need not read it"),
    }
}

/// Whether the program that the profile names is a browser.
fn is_browser(sandbox: &Sandbox) -> bool {
    let program = sandbox.process.args.first().map(Path::new).and_then(Path::file_name).and_then(|name| name.to_str());
    let known = [
        "firefox",
        "chromium",
        "chrome",
        "google-chrome",
        "brave",
        "vivaldi",
        "opera",
        "microsoft-edge",
        "librewolf",
        "epiphany",
    ];
    program.is_some_and(|program| known.iter().any(|name| program.starts_with(name)))
}
