//! The files of the host that control what happens outside of the sandbox, or that hold secrets.
//!
//! In the tables, `~` is the home, `%t` the user's runtime directory, `%u` the user's id. Entries in `~/.config`,
//! `~/.local/share` and `~/.cache` also stand for the directories of `XDG_CONFIG_HOME`, `XDG_DATA_HOME` and
//! `XDG_CACHE_HOME`. The best-known names come first, since only three are printed.

use super::view::own_homes;
use crate::profile::Vars;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a program inside can do with a file of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TargetKind {
    // Whole directories: the verdict describes their contents.
    Home,
    Tree,
    Runtime,
    // Sockets to connect to.
    Engine,
    Builder,
    Manager,
    Accessibility,
    Terminal,
    X11,
    Sound,
    Wayland,
    Agent,
    Card,
    Speech,
    Printing,
    SystemBus,
    // Files to write to, which are run outside.
    Startup,
    Command,
    Tool,
    Profiles,
    System,
    Kernel,
    Cache,
    Worktree,
    Project,
    // Files to read.
    Keys,
    Browser,
    Process,
    Memory,
    Temporary,
    Private,
}

/// A file or directory of the host that the review looks for.
pub(super) struct Target {
    pub path: PathBuf,
    pub kind: TargetKind,
    /// A rule that shows only a part of it counts, too.
    pub parts: bool,
}

/// Files that hold no secrets, in directories that do, by the last components of their paths.
const PUBLIC: &[&str] = &[
    "known_hosts",
    "known_hosts.old",
    "authorized_keys",
    ".ssh/config",
    ".gnupg/gpg.conf",
    "pubring.kbx",
    "pubring.gpg",
    "trustdb.gpg",
];

/// Whether showing this file does no harm, although a directory above it is listed.
pub(super) fn is_harmless(part: &Path, writable: bool) -> bool {
    if writable {
        return ["known_hosts", "known_hosts.old"].iter().any(|name| part.ends_with(name));
    }
    part.extension().is_some_and(|ending| ending == "pub") || PUBLIC.iter().any(|name| part.ends_with(name))
}

const WHOLE: &[(TargetKind, &[&str])] = &[
    (TargetKind::Home, &["~"]),
    (TargetKind::Tree, &["/"]),
    (TargetKind::Runtime, &["%t", "/run/user"]),
    (TargetKind::Temporary, &["/tmp", "/var/tmp"]),
    (TargetKind::Process, &["/proc"]),
    (TargetKind::Private, &["/home", "/media", "/mnt", "/srv", "/var/log", "~/.config", "~/.local/share", "~/.cache"]),
];

const PARTS: &[(TargetKind, &[&str])] = &[
    (
        TargetKind::Engine,
        &[
            "/run/docker.sock",
            "/run/podman",
            "/run/containerd",
            "/run/crio",
            "/run/k3s",
            "/run/libvirt",
            "/var/snap/lxd/common",
            "/var/lib/lxd",
            "/var/lib/incus",
        ],
    ),
    (TargetKind::Builder, &["/nix/var/nix/daemon-socket", "/var/guix/daemon-socket"]),
    (
        TargetKind::Manager,
        &["%t/bus", "%t/systemd", "%t/dbus-1", "%t/docker.sock", "%t/podman", "%t/libvirt", "%t/.flatpak-helper"],
    ),
    (TargetKind::Accessibility, &["%t/at-spi"]),
    (
        TargetKind::Terminal,
        &["/tmp/tmux-%u", "/run/screen", "/run/tmux", "%t/tmux-%u", "%t/emacs", "%t/hypr", "%t/zellij", "%t/wezterm"],
    ),
    (TargetKind::X11, &["/tmp/.X11-unix"]),
    (
        TargetKind::Sound,
        &[
            "%t/pulse",
            "/run/pulse",
            "%t/pipewire-0",
            "%t/pipewire-0-manager",
            "/run/pipewire",
            "/tmp/jack-%u",
            "/dev/shm/jack-%u",
            "/dev/shm/jack_default_%u_0",
        ],
    ),
    (TargetKind::Wayland, &["%t/wayland-0", "%t/wayland-1"]),
    (
        TargetKind::Agent,
        &[
            "%t/keyring",
            "%t/gnupg",
            "%t/gcr",
            "%t/ssh-agent.socket",
            "%t/openssh_agent",
            "~/.gnupg/S.gpg-agent",
            "~/.gnupg/S.gpg-agent.ssh",
            "~/.1password/agent.sock",
        ],
    ),
    (TargetKind::Card, &["/run/pcscd"]),
    (TargetKind::Speech, &["%t/speech-dispatcher"]),
    (TargetKind::Printing, &["/run/cups"]),
    (TargetKind::SystemBus, &["/run/dbus", "/run/snapd.socket", "/run/NetworkManager"]),
    (
        TargetKind::Startup,
        &[
            "~/.bashrc",
            "~/.profile",
            "~/.config/autostart",
            "~/.config/systemd",
            "~/.bash_profile",
            "~/.bash_login",
            "~/.bash_logout",
            "~/.bash_aliases",
            "~/.zshrc",
            "~/.zshenv",
            "~/.zprofile",
            "~/.zlogin",
            "~/.zlogout",
            "~/.zsh",
            "~/.oh-my-zsh",
            "~/.kshrc",
            "~/.cshrc",
            "~/.tcshrc",
            "~/.login",
            "~/.inputrc",
            "~/.config/fish",
            "~/.config/nushell",
            "~/.config/elvish",
            "~/.local/share/bash-completion",
            "~/.config/environment.d",
            "~/.config/user-tmpfiles.d",
            "~/.local/share/systemd",
            "~/.local/share/applications",
            "~/.local/share/dbus-1",
            "~/.local/share/flatpak",
            "~/.local/share/gnome-shell",
            "~/.local/share/cinnamon",
            "~/.local/share/plasma",
            "~/.local/share/kwin",
            "~/.local/share/kio",
            "~/.local/share/nautilus",
            "~/.config/dconf",
            "~/.config/autostart-scripts",
            "~/.config/plasma-workspace",
            "~/.config/kglobalshortcutsrc",
            "~/.config/khotkeysrc",
            "~/.config/mimeapps.list",
            "~/.config/xfce4",
            "~/.config/lxsession",
            "~/.config/sway",
            "~/.config/hypr",
            "~/.config/i3",
            "~/.config/labwc",
            "~/.config/openbox",
            "~/.config/sxhkd",
            "~/.config/pulse",
            "~/.pulse",
            "~/.asoundrc",
            "~/.config/alsa",
            "~/.jackdrc",
            "~/.config/speech-dispatcher",
            "~/.local/share/wireplumber",
            "~/.config/pipewire",
            "~/.config/wireplumber",
            "~/.xinitrc",
            "~/.xsession",
            "~/.xsessionrc",
            "~/.xprofile",
            "~/.xbindkeysrc",
            "~/.pam_environment",
            "/var/spool/cron",
            "/var/spool/at",
        ],
    ),
    (
        TargetKind::Command,
        &[
            "~/.local/bin",
            "~/bin",
            "~/.cargo/bin",
            "~/.cargo/env",
            "~/.rustup",
            "~/go/bin",
            "~/.npm-global",
            "~/.yarn/bin",
            "~/.local/share/pnpm",
            "~/.bun/bin",
            "~/.deno/bin",
            "~/.pyenv",
            "~/.rbenv",
            "~/.rvm",
            "~/.nvm",
            "~/.sdkman",
            "~/.asdf",
            "~/.local/share/mise",
            "~/.nix-profile",
            "~/.local/lib",
        ],
    ),
    (
        TargetKind::Tool,
        &[
            "~/.gitconfig",
            "~/.config/git",
            "~/.vimrc",
            "~/.ssh",
            "~/.gnupg",
            "~/.git-templates",
            "~/.hgrc",
            "~/.config/hg",
            "~/.vim",
            "~/.config/nvim",
            "~/.local/share/nvim",
            "~/.emacs",
            "~/.emacs.d",
            "~/.config/emacs",
            "~/.config/helix",
            "~/.vscode",
            "~/.config/Code",
            "~/.config/VSCodium",
            "~/.tmux.conf",
            "~/.config/tmux",
            "~/.screenrc",
            "~/.config/kitty",
            "~/.config/alacritty",
            "~/.config/foot",
            "~/.config/wezterm",
            "~/.config/ghostty",
            "~/.npmrc",
            "~/.config/pip",
            "~/.pip",
            "~/.pypirc",
            "~/.pydistutils.cfg",
            "~/.cargo/config",
            "~/.cargo/config.toml",
            "~/.config/go",
            "~/.gem",
            "~/.gemrc",
            "~/.irbrc",
            "~/.m2/settings.xml",
            "~/.gradle/init.d",
            "~/.gradle/init.gradle",
            "~/.gradle/gradle.properties",
            "~/.gdbinit",
            "~/.config/gdb",
            "~/.lldbinit",
            "~/.pdbrc",
            "~/.Rprofile",
            "~/.psqlrc",
            "~/.sqliterc",
            "~/.mailcap",
            "~/.lesskey",
            "~/.config/lesskey",
            "~/.config/direnv",
            "~/.config/mise",
            "~/.direnvrc",
            "~/.docker",
            "~/.config/containers",
            "~/.kube",
            "~/.aws",
            "~/.ladspa",
            "~/.lv2",
            "~/.vst",
            "~/.vst3",
            "~/.clap",
        ],
    ),
    (TargetKind::Profiles, &["~/.config/sbx", "/etc/sbx", "~/.local/share/sbx"]),
    (TargetKind::Kernel, &["/sys", "/proc/sys", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/sysrq-trigger"]),
    (TargetKind::System, &["/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/boot", "/opt", "/var/spool"]),
    (
        TargetKind::Cache,
        &[
            "~/.cargo/registry",
            "~/.cargo/git",
            "~/.npm",
            "~/.cache/pip",
            "~/.cache/uv",
            "~/.cache/yarn",
            "~/.cache/go-build",
            "~/go/pkg",
            "~/.m2/repository",
            "~/.gradle/caches",
            "~/.ccache",
            "~/.cache/ccache",
            "~/.cache/sccache",
            "~/.cache/bazel",
            "~/.nuget",
            "~/.ivy2",
            "~/.hex",
            "~/.stack",
            "~/.cabal",
            "~/.opam",
        ],
    ),
    (
        TargetKind::Keys,
        &[
            "~/.ssh",
            "~/.gnupg",
            "~/.local/share/keyrings",
            "~/.password-store",
            "~/.local/share/gopass",
            "~/.local/share/kwalletd",
            "~/.config/keepassxc",
            "~/.config/Bitwarden",
            "~/.config/1Password",
            "~/.config/op",
            "~/.aws",
            "~/.azure",
            "~/.config/gcloud",
            "~/.config/doctl",
            "~/.config/hcloud",
            "~/.kube",
            "~/.docker",
            "~/.config/containers/auth.json",
            "~/.config/gh",
            "~/.config/hub",
            "~/.config/glab-cli",
            "~/.config/git/credentials",
            "~/.git-credentials",
            "~/.netrc",
            "~/.npmrc",
            "~/.yarnrc.yml",
            "~/.pypirc",
            "~/.cargo/credentials",
            "~/.cargo/credentials.toml",
            "~/.gem/credentials",
            "~/.m2/settings.xml",
            "~/.gradle/gradle.properties",
            "~/.config/composer",
            "~/.config/rclone",
            "~/.config/sops",
            "~/.config/age",
            "~/.terraform.d",
            "~/.vault-token",
            "~/.pgpass",
            "~/.my.cnf",
            "~/.config/remmina",
            "~/.local/share/remmina",
            "~/.config/filezilla",
            "~/.purple",
            "~/.bitcoin",
            "~/.electrum",
            "~/.config/Signal",
            "~/.local/share/TelegramDesktop",
            "~/.Xauthority",
        ],
    ),
    (
        TargetKind::Browser,
        &[
            "~/.mozilla",
            "~/.config/mozilla",
            "~/.config/chromium",
            "~/.config/google-chrome",
            "~/.config/BraveSoftware",
            "~/.config/microsoft-edge",
            "~/.config/vivaldi",
            "~/.config/opera",
            "~/.librewolf",
            "~/.local/share/epiphany",
        ],
    ),
    (TargetKind::Memory, &["/dev/shm"]),
    (
        TargetKind::Private,
        &[
            "~/.bash_history",
            "~/.zsh_history",
            "~/.local/share/fish",
            "~/.python_history",
            "~/.psql_history",
            "~/.local/share/recently-used.xbel",
            "~/.local/share/Trash",
            "~/.thunderbird",
            "~/.local/share/evolution",
            "~/.local/share/gnome-online-accounts",
            "~/Mail",
            "~/.maildir",
            "~/.var/app",
            "/var/mail",
            "/var/spool",
            "/var/crash",
            "/var/lib/systemd/coredump",
        ],
    ),
];

/// All targets, with the caller's paths.
pub(super) fn all(vars: &Vars) -> Vec<Target> {
    let mut targets = Vec::new();
    let mut known = BTreeSet::new();
    let mut add = |path: PathBuf, kind, parts| {
        if known.insert((kind, path.clone())) {
            targets.push(Target { path, kind, parts });
        }
    };
    for (table, parts) in [(WHOLE, false), (PARTS, true)] {
        for (kind, paths) in table {
            for path in paths.iter().flat_map(|path| spelt(path, vars)) {
                add(path, *kind, parts);
            }
        }
    }
    for place in vars.places.values() {
        add(place.into(), TargetKind::Private, true);
    }
    for home in &vars.other_homes {
        add(home.clone(), TargetKind::Private, false);
    }
    if vars.cwd.is_absolute() {
        for name in crate::profile::worktree() {
            add(vars.cwd.join(name), TargetKind::Worktree, true);
        }
        add(vars.cwd.clone(), TargetKind::Project, true);
    }
    targets
}

/// The paths that an entry of the tables stands for, in the notation of this module.
fn spelt(entry: &str, vars: &Vars) -> Vec<PathBuf> {
    let uid = vars.names.get("UID").map_or("", String::as_str);
    let entry = entry.replace("%u", uid);
    if let Some(rest) = entry.strip_prefix("%t") {
        let named = vars.names.get("XDG_RUNTIME_DIR").map(PathBuf::from);
        let usual = Path::new("/run/user").join(uid);
        return named.into_iter().chain([usual]).map(|dir| below(&dir, rest)).collect();
    }
    let Some(rest) = entry.strip_prefix('~') else { return vec![entry.into()] };
    let mut paths: Vec<PathBuf> = own_homes(vars).iter().map(|home| below(home, rest)).collect();
    let moved = [("/.config", "XDG_CONFIG_HOME"), ("/.local/share", "XDG_DATA_HOME"), ("/.cache", "XDG_CACHE_HOME")];
    for (usual, name) in moved {
        let inside = rest.strip_prefix(usual).filter(|inside| inside.is_empty() || inside.starts_with('/'));
        if let (Some(inside), Some(dir)) = (inside, vars.names.get(name)) {
            paths.push(below(Path::new(dir), inside));
        }
    }
    paths
}

fn below(dir: &Path, rest: &str) -> PathBuf {
    dir.join(rest.trim_start_matches('/')).components().collect()
}
