//! What a program inside can do with files of the host, by their kind, and what to use instead.

use super::tables::TargetKind;
use super::verdict::{Verdict, note, undoes, weakens};
use crate::profile::Vars;
use crate::spec::Sandbox;
use std::path::Path;

/// The verdict on writable files of the program that the profile is for.
pub(super) fn own_data() -> Verdict {
    weakens(
        3.0,
        "what it writes there, such as settings and extensions, runs outside if the program is ever started without sbx",
        "start it by this profile alone; or give it files of its own: \"rw,from=/other/directory\"",
    )
}

/// The help where `root = "host"` shows something without a line of the profile.
pub(super) const BASE: &str = "extends = [\"base/host\"], which closes what is named here";
const CLOSE: &str =
    "show only what is needed of it, or close what is named here: \"masked\", or \"tmpfs\" for a directory";
const SOCKET: &str =
    "show only what is needed of it, without the socket: [desktop] and [dbus.session] let services in one by one";

/// The verdict on what the host has of this kind.
pub(super) fn verdict(kind: TargetKind, writable: bool, sandbox: &Sandbox, vars: &Vars) -> Verdict {
    let network = sandbox.network.reaches_out();
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
        TargetKind::BrowserCode => undoes(
            8.5,
            "what it writes there runs outside with the browser or mail program: extensions, settings, and programs that \
             extensions start",
            "leave it out: a browser needs its own, and no other program does",
        ),
        TargetKind::Unlisted => undoes(
            8.5,
            "what it writes there may name commands, or be one, for a program outside: it is not known to be data alone",
            "use \"ro\", or files of its own: \"rw,from=/other/directory\"; if nothing outside reads it: `# accepted: REASON`",
        ),
        TargetKind::Files => weakens(
            3.0,
            "what it leaves there may run when you use it outside: build scripts, and what git, editors and shells run of a \
             project",
            "use \"ro\", with \"rw\" for the directory it writes to",
        ),
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
pub(super) fn is_browser(sandbox: &Sandbox) -> bool {
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
