//! Reviews the paths of the host that are shown: what lies there, and what a program inside can do with it.

use super::targets::{Target, TargetKind, all, is_harmless};
use super::verdict::{Finding, Severity, Verdict, listed, note, undoes, weakens};
use super::view::{Shown, ShownExtent, View, own_homes};
use crate::profile::Vars;
use crate::spec::{Network, Root, Sandbox, lies_in_system};
use std::path::{Path, PathBuf};

/// The targets of one kind that one rule shows.
struct Group<'v> {
    shown: &'v Shown,
    kind: TargetKind,
    /// Paths of the targets that lie below the rule's path.
    inside: Vec<&'v Path>,
}

impl Group<'_> {
    /// Whether the rule names the target itself, at its own path and in the same mode as `other`, so that both can
    /// share a line.
    fn is_plain(&self, other: &Group) -> bool {
        self.inside.is_empty() && self.shown.path == self.shown.source && self.shown.writable == other.shown.writable
    }
}

pub(super) fn findings(sandbox: &Sandbox, vars: &Vars) -> Vec<Finding> {
    let (view, targets) = (View::of(sandbox, vars), all(vars));
    let groups = grouped(&view, &targets);
    let names = Names::of(vars);
    // Shown because of `root = "host"`, without a line for the path.
    let implied = |shown: &Shown| {
        let rule = sandbox.filesystem.paths.iter().any(|rule| rule.path == shown.path);
        let top = shown.path.parent().is_some_and(|dir| dir == Path::new("/"));
        sandbox.filesystem.root == Root::Host && top && lies_in_system(&shown.path) && !rule
    };
    let judge = |group: &Group| match group.kind {
        TargetKind::Engine if implied(group.shown) => undoes(
            5.0,
            "where these are installed and you are in their group, it starts machines with the host's files in them, as root",
            BASE,
        ),
        TargetKind::Builder if implied(group.shown) => {
            Verdict { help: BASE, ..verdict(group.kind, false, sandbox, vars) }
        }
        TargetKind::Private if implied(group.shown) => note(0.2, "it reads what somebody keeps there", BASE),
        kind => verdict(kind, group.shown.writable, sandbox, vars),
    };
    let mut alike: Vec<(Verdict, Vec<&Group>)> = Vec::new();
    for group in &groups {
        let verdict = judge(group);
        // Grants that are no way out share one finding if they are alike.
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

/// One group for each rule and kind, without those that a graver group of the same rule covers already.
fn grouped<'v>(view: &'v View, targets: &'v [Target]) -> Vec<Group<'v>> {
    let mut groups: Vec<Group> = Vec::new();
    for target in targets {
        for (shown, extent) in view.showing(&target.path) {
            if extent == ShownExtent::Part && (!target.parts || is_harmless(&shown.source, shown.writable)) {
                continue;
            }
            let kind = target.kind;
            if !kind.counts(shown.writable) {
                continue;
            }
            // What is read-only in a project that is shown as a whole says nothing new.
            let whole = || view.showing(&target.path).any(|(_, extent)| extent != ShownExtent::Part);
            if kind == TargetKind::Project && extent == ShownExtent::Part && !shown.writable && whole() {
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
            if extent == ShownExtent::Within && !group.inside.contains(&target.path.as_path()) {
                group.inside.push(&target.path);
            }
        }
    }
    let has = |group: &Group, kinds: &[TargetKind]| {
        groups.iter().any(|other| kinds.contains(&other.kind) && std::ptr::eq(other.shown, group.shown))
    };
    let said: Vec<bool> =
        groups.iter().map(|group| group.kind.said_by(group.shown.writable, |kinds| has(group, kinds))).collect();
    let mut said = said.into_iter();
    groups.retain(|_| !said.next().unwrap_or(false));
    groups
}

impl TargetKind {
    /// Whether a target of this kind matters if the program can write to it (`writable`), or only read it.
    fn counts(self, writable: bool) -> bool {
        use TargetKind::*;
        writable || !matches!(self, Startup | Command | Tool | Profiles | System | Kernel | Cache | Worktree)
    }

    /// Whether a finding of another kind for the same rule covers this one; `has` tells which kinds the rule shows.
    fn said_by(self, writable: bool, has: impl Fn(&[TargetKind]) -> bool) -> bool {
        use TargetKind::*;
        match self {
            Manager | Accessibility | X11 | Sound | Wayland | Terminal | Agent | Card | Speech if has(&[Runtime]) => {
                true
            }
            Keys | Agent | Private | Browser | Startup | Command | Tool | Worktree | Profiles | Cache
                if writable && has(&[Home]) =>
            {
                true
            }
            Private => has(&[Home, Temporary]),
            Command => has(&[Startup]),
            Tool => has(&[Startup, Command]),
            Profiles => has(&[Startup, Command, Tool]),
            Worktree => has(&[Startup, Command, Tool]),
            Project => has(&[Home, Startup, Command, Tool, Worktree]),
            _ => false,
        }
    }
}

/// Writes paths as a profile does: with `~`, variables and well-known directories.
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

    /// Describes the grant of a group, or of several that name their targets themselves.
    fn grant(&self, groups: &[&Group]) -> String {
        let Group { shown, kind, inside } = groups[0];
        let how = match kind {
            _ if shown.writable => "writable",
            TargetKind::Home
            | TargetKind::Tree
            | TargetKind::Keys
            | TargetKind::Browser
            | TargetKind::Project
            | TargetKind::Private => "readable",
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
    "show only what is needed of it, or close what is named here: \"masked\", or \"tmpfs\" for a directory";
const SOCKET: &str =
    "show only what is needed of it, without the socket: [desktop] and [dbus.session] let services in one by one";

fn verdict(kind: TargetKind, writable: bool, sandbox: &Sandbox, vars: &Vars) -> Verdict {
    let network = sandbox.network == Network::Host;
    let root = vars.names.get("UID").is_some_and(|uid| uid == "0");
    match kind {
        TargetKind::Home if writable => undoes(
            9.5,
            "it changes what runs outside at your next login, and reads every key and password",
            "\"~\" = \"tmpfs\", and the directories it needs beside that: \"~/name\" = \"rw\"",
        ),
        TargetKind::Home => weakens(
            2.0,
            "it reads your documents, settings and histories",
            "\"~\" = \"tmpfs\", and the directories it needs beside that: \"~/name\" = \"ro\"",
        ),
        TargetKind::Tree => weakens(
            2.0,
            "it reads what lies beside the system, such as /data, backups and mounted disks",
            "filesystem.root = \"host\" without a line for `/`, and the directories it needs beside the system",
        ),
        TargetKind::Runtime => undoes(
            9.5,
            "it starts programs outside, through the session bus and systemd, whose sockets lie there",
            "leave it out: [desktop] and [dbus.session] let services in one by one",
        ),
        TargetKind::Engine => undoes(
            10.0,
            "it starts containers or machines with the host's files in them, as root",
            "leave the socket out; with namespaces.nested = \"allow\", rootless podman starts containers inside",
        ),
        TargetKind::Builder => undoes(
            5.0,
            "it has a daemon build what it likes, with a network, and as root where the daemon trusts you",
            SOCKET,
        ),
        TargetKind::Manager => undoes(
            9.5,
            "it starts programs outside",
            "leave it out: dbus.session.policy = \"filter\" lets through what is named",
        ),
        TargetKind::Accessibility => {
            undoes(7.0, "it reads what other windows show, and presses their buttons", "leave the socket out")
        }
        TargetKind::Terminal => undoes(
            9.0,
            "it types commands into your terminals or editors outside",
            "leave the socket out, or \"masked\" where the directory around it is shown",
        ),
        TargetKind::X11 => super::desktop::x11(),
        TargetKind::Sound => super::desktop::sound_server(),
        TargetKind::Wayland => super::desktop::wayland(crate::spec::Wayland::Unrestricted),
        TargetKind::Agent => {
            let help = "services.ssh-agent = true and services.gpg-agent, which filter them; or a key of its own, for that one purpose";
            let harm = "it has your keys sign and decrypt whatever it likes; gpg-agent exports them, and ssh-agent loads \
                        PKCS#11 libraries, where a passphrase or a list of paths does not prevent it";
            if network { undoes(6.0, harm, help) } else { undoes(5.0, harm, help) }
        }
        TargetKind::Card => {
            let help = "leave the socket out";
            let harm = "it has your smart cards sign and decrypt, with a PIN that was entered before";
            if network { undoes(6.0, harm, help) } else { weakens(2.5, harm, help) }
        }
        TargetKind::Speech => weakens(
            1.0,
            "it speaks in a screen reader's voice, and hears what that has said before",
            "leave the socket out",
        ),
        TargetKind::Printing => undoes(
            5.0,
            "it prints your documents' next pages or anything else; where you may administer printers, it adds one whose \
             filter is a command",
            "leave the socket out, or portals = [\"print\"]",
        ),
        TargetKind::SystemBus => weakens(
            2.0,
            "it asks the system's services for whatever you may ask them: networks, disks, packages",
            SOCKET,
        ),
        TargetKind::Startup => undoes(
            9.0,
            "what it writes there runs outside, at your next login or with the next shell or program",
            CLOSE,
        ),
        TargetKind::Command => undoes(
            9.0,
            "it replaces commands that you start outside",
            "use \"ro\", or \"tmpfs\" if what it installs may be lost",
        ),
        TargetKind::Tool => undoes(
            8.5,
            "what it writes there names commands, which run outside when the tool is next used",
            "use \"ro\"; a tool inside may have a file of its own: from=/other/file",
        ),
        TargetKind::Profiles => undoes(
            9.0,
            "it writes the profiles, or the kept layers, of the sandboxes that are started next",
            "leave it out, or use \"ro\"",
        ),
        TargetKind::System if root => undoes(9.0, "it changes the system, as root", "use \"ro\""),
        TargetKind::System => weakens(2.0, "it changes what you or your groups may write of the system", "use \"ro\""),
        TargetKind::Kernel if root => undoes(9.0, "it sets the kernel and its devices, as root", "use \"ro\""),
        TargetKind::Kernel => {
            weakens(0.5, "it sets what you or your groups may set of the kernel and its devices", "use \"ro\"")
        }
        TargetKind::Cache => weakens(
            1.0,
            "what it puts there is taken by the next build outside",
            "use \"ro\", or a cache of its own: \"rw,from=/other/directory\"",
        ),
        TargetKind::Worktree => undoes(
            8.5,
            "what it writes there names commands, which git, a shell or an editor runs outside when it is next used there",
            "extends = [\"base/worktree\"], which makes these read-only",
        ),
        TargetKind::Project if !writable => note(
            0.2,
            "it reads what lies where it is started, such as tokens in .env",
            "start it in a directory of its own, or close the file: \"${CWD}/.env\" = \"masked,optional\"",
        ),
        TargetKind::Project => weakens(
            1.5,
            "what it leaves there may run when you use it outside: build scripts, Makefile, a repository in a new directory",
            "use \"ro\", with \"rw\" for the directory it writes to",
        ),
        TargetKind::Keys if network => undoes(
            6.0,
            "it reads your keys and tokens, and can send them away",
            "leave it out; hand over only what is needed: a key of its own, or one variable with --env",
        ),
        TargetKind::Keys => weakens(
            3.0,
            "it reads your keys and tokens, and may leave them in what it writes",
            "leave it out; hand over only what is needed: a key of its own, or one variable with --env",
        ),
        TargetKind::Browser if is_browser(sandbox) && writable && !sandbox.filesystem.is_exclusive() => note(
            0.6,
            "it has this browser's passwords, cookies and settings, and so has a second sandbox at the same time, which spoils them",
            "\"rw,exclusive\", which one sandbox at a time shows",
        ),
        TargetKind::Browser if is_browser(sandbox) => note(
            0.5,
            "it has this browser's passwords, cookies and settings, as a browser has to",
            "for a browser without them: \"rw,from=/other/directory\"",
        ),
        TargetKind::Browser if network => undoes(
            6.0,
            "it reads the passwords and cookies of a browser, and can send them away",
            "leave it out: a browser needs its own, and no other program does",
        ),
        TargetKind::Browser => weakens(
            3.0,
            "it reads the passwords and cookies of a browser",
            "leave it out: a browser needs its own, and no other program does",
        ),
        TargetKind::Process => weakens(
            2.0,
            "it sees all processes with their arguments",
            "leave /proc out: the sandbox has one of its own",
        ),
        TargetKind::Memory => weakens(
            2.0,
            "it reads what other programs share there, and changes it where that is writable",
            "leave it out: the sandbox has a /dev/shm of its own",
        ),
        TargetKind::Temporary => weakens(
            2.0,
            "it reads what other programs put there, and connects to their sockets",
            "leave it out: the sandbox has one of its own; or show a directory in it",
        ),
        TargetKind::Private if writable => {
            note(0.3, "it reads and changes what you keep there", "use \"ro\" where it need not write")
        }
        TargetKind::Private => note(0.2, "it reads what you keep there", "leave it out where it need not read it"),
    }
}

/// Whether the profile's program (`process.args`) is a browser.
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
