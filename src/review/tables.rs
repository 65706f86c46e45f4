//! The files of the host that control what happens outside of the sandbox, or that hold secrets.
//!
//! In the tables, `~` is the home, `%t` the user's runtime directory, `%u` the user's id. Entries in `~/.config`,
//! `~/.local/share` and `~/.cache` also stand for the directories of `XDG_CONFIG_HOME`, `XDG_DATA_HOME` and
//! `XDG_CACHE_HOME`. The best-known names come first, since only three are printed.
//!
//! What runs outside is in `run_outside`. What is on no list, lies in the home and is not known for data is judged all the
//! same (`unlisted`): the lists say what can be done with a file, and not whether anything can.

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
    BrowserCode,
    Unlisted,
    Cache,
    Worktree,
    Project,
    Files,
    // Files to read.
    Keys,
    Browser,
    Process,
    Memory,
    Temporary,
    Private,
}

impl TargetKind {
    /// Whether files of this kind are run outside, or name what is.
    pub(super) fn is_run(self) -> bool {
        use TargetKind::*;
        matches!(self, Home | Startup | Command | Tool | Profiles | BrowserCode | Worktree | Unlisted)
    }
}

/// Directories of which no part counts.
pub(super) const WHOLE: &[(TargetKind, &[&str])] = &[
    (TargetKind::Home, &["~"]),
    (TargetKind::Tree, &["/"]),
    (TargetKind::Runtime, &["%t", "/run/user"]),
    (TargetKind::Temporary, &["/tmp", "/var/tmp"]),
    (TargetKind::Process, &["/proc"]),
    (TargetKind::Private, &["/home", "/media", "/mnt", "/srv", "/var/log", "~/.config", "~/.local/share", "~/.cache"]),
];

/// Sockets and secrets, which count as a whole and in part.
pub(super) const PARTS: &[(TargetKind, &[&str])] = &[
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
