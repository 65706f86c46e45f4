//! A host that nobody here has, as data: what `host` would find on a desktop with Debian 12, and what variables stand for there.

#![allow(dead_code, reason = "each test program uses a part of it")]

use sbx::host::{
    Account, AgentFacts, Compositor, DesktopFacts, Documents, Facts, GitIdentity, GpgFacts, Helpers, Keeps, Kind,
    NetworkFacts, OwnDir, Paths, Range, Settings, SoundFacts, UnionFacts, WaylandFacts,
};
use sbx::profile::{Profiles, Vars};
use std::collections::BTreeMap;
use std::path::PathBuf;

pub fn account(name: &str, id: u32, home: &str, shell: &str) -> Account {
    Account { name: name.into(), uid: id, gid: id, home: home.into(), shell: shell.into() }
}

pub fn strings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

/// A desktop with Debian 12: Wayland and X11, sound, a session bus, a GPU.
pub fn debian() -> Facts {
    let link = |to: &str| Kind::Link(to.into());
    let top = [
        ("bin", link("usr/bin")),
        ("boot", Kind::Dir),
        ("dev", Kind::Dir),
        ("etc", Kind::Dir),
        ("home", Kind::Dir),
        ("lib", link("usr/lib")),
        ("lib64", link("usr/lib64")),
        ("proc", Kind::Dir),
        ("root", Kind::Dir),
        ("run", Kind::Dir),
        ("sbin", link("usr/sbin")),
        ("sys", Kind::Dir),
        ("tmp", Kind::Dir),
        ("usr", Kind::Dir),
        ("var", Kind::Dir),
    ];
    let dirs = [
        "/boot",
        "/sys",
        "/usr/bin",
        "/usr/lib",
        "/var/log",
        "/var/lib/me/doc",
        "/var/tmp",
        "/home/alice/src/tool",
        "/home/alice/src/tool/.git",
        "/home/alice/.cargo/registry",
        "/home/alice/Downloads",
        "/home/alice/Documents",
        "/home/alice/.config/fontconfig",
        "/run/user/1000/doc/by-app/sbx.profile._",
    ];
    let files = [
        "/etc/machine-id",
        "/etc/passwd",
        "/etc/group",
        "/etc/hosts",
        "/etc/hostname",
        "/dev/null",
        "/dev/zero",
        "/dev/full",
        "/dev/random",
        "/dev/urandom",
        "/dev/tty",
        "/dev/dri/renderD128",
        "/dev/snd",
        "/run/user/1000/wayland-0",
        "/tmp/.X11-unix/X0",
        "/run/user/1000/pipewire-0",
        "/run/user/1000/pulse/native",
        "/run/user/1000/bus",
        "/run/user/1000/gnupg/S.gpg-agent.extra",
        "/home/alice/.gnupg/pubring.kbx",
    ];
    let mut entries: Vec<(&str, Kind)> = dirs.iter().map(|path| (*path, Kind::Dir)).collect();
    entries.extend(files.iter().map(|path| (*path, Kind::File)));
    entries.extend([("/bin", link("usr/bin")), ("/etc/resolv.conf", link("../run/systemd/resolve/stub-resolv.conf"))]);
    entries.push(("/run/systemd/resolve/stub-resolv.conf", Kind::File));
    Facts {
        joined: BTreeMap::new(),
        uid: 1000,
        gid: 1000,
        capabilities: 0,
        own_ids: (Vec::new(), Vec::new()),
        keeps_groups: false,
        groups: vec![27],
        pid: 4242,
        kernel: (6, 1),
        memory: 16 << 30,
        settings: Some(Settings {
            namespaces: ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"].map(String::from).into(),
            exhausted: Vec::new(),
            inside: false,
            max_user_namespaces: Some(30_000),
            unprivileged_userns_clone: Some(1),
            apparmor_restrict_userns: None,
        }),
        accounts: vec![
            account("root", 0, "/root", "/bin/bash"),
            account("daemon", 1, "/usr/sbin", "/usr/sbin/nologin"),
            account("alice", 1000, "/home/alice", "/bin/bash"),
            account("bob", 1001, "/home/bob", "/bin/bash"),
        ],
        group_names: vec![("root".into(), 0), ("sudo".into(), 27), ("alice".into(), 1000)],
        subuid: vec![Range { start: 100_000, count: 65_536 }],
        subgid: vec![Range { start: 100_000, count: 65_536 }],
        helpers: Helpers {
            found: [
                "newuidmap",
                "newgidmap",
                "xdg-dbus-proxy",
                "Xwayland",
                "Xephyr",
                "ssh-askpass",
                "pasta",
                "slirp4netns",
            ]
            .map(|name| (name.to_owned(), PathBuf::from("/usr/bin").join(name)))
            .into(),
            refused: BTreeMap::new(),
        },
        network: Some(NetworkFacts { routed: true, landlock: true, ..NetworkFacts::default() }),
        cwd: "/home/alice/src/tool".into(),
        home: "/home/alice".into(),
        env_bytes: Vec::new(),
        env: strings(&[("LANG", "C.UTF-8"), ("TERM", "xterm"), ("SSH_AUTH_SOCK", "/run/user/1000/ssh")]),
        system: vec![("lib".into(), link("usr/lib")), ("usr".into(), Kind::Dir)],
        top: top.map(|(name, kind)| (name.into(), kind)).into(),
        paths: Paths::fake(&entries),
        desktop: DesktopFacts {
            runtime_dir: "/run/user/1000".into(),
            wayland: Some(WaylandFacts {
                socket: "/run/user/1000/wayland-0".into(),
                compositor: Compositor::Restricts,
            }),
            x11: Some(("0".into(), "/tmp/.X11-unix/X0".into())),
            x11_cookie: vec![0; 42],
            nested_cookie: vec![0; 16],
            sound: SoundFacts {
                pulse: Some("/run/user/1000/pulse/native".into()),
                pipewire: Some("/run/user/1000/pipewire-0".into()),
                ..SoundFacts::default()
            },
            portals_in: Some("/run/user/1000".into()),
            documents: Some(Documents {
                mount: "/run/user/1000/doc".into(),
                dir: "/run/user/1000/doc/by-app/sbx.profile._".into(),
            }),
            session_bus: Some("unix:path=/run/user/1000/bus".into()),
            devices: BTreeMap::from([
                ("gpu".into(), vec!["/dev/dri/renderD128".into()]),
                ("audio".into(), vec!["/dev/snd".into()]),
                ("camera".into(), Vec::new()),
            ]),
        },
        cgroup: None,
        resolv_conf: Some("nameserver 192.0.2.1\n".into()),
        hosts: Some("127.0.0.1 localhost\n192.0.2.7 printer\n".into()),
        union: Some(UnionFacts {
            store: "/home/alice/.local/share/sbx/uppers".into(),
            mounts: ["/", "/proc", "/home"].map(Into::into).into(),
            ..UnionFacts::default()
        }),
        own_dirs: vec![OwnDir {
            path: "/home/alice/.local/share/sbx".into(),
            keeps: Keeps::Stores,
            links: Vec::new(),
            kept_by: None,
        }],
        absent: BTreeMap::new(),
        kept_sockets: Vec::new(),
        rlimits: BTreeMap::new(),
        core_handler: None,
        machine_id: Some([7; 16]),
        home_store: Some("/home/alice/.local/share/sbx/homes".into()),
        landlock: Some(2),
        agents: AgentFacts {
            ssh: Some("/run/user/1000/ssh".into()),
            gpg: Some(GpgFacts {
                extra: Some("/run/user/1000/gnupg/S.gpg-agent.extra".into()),
                full: Some("/run/user/1000/gnupg/S.gpg-agent".into()),
                keyring: Some("/home/alice/.gnupg/pubring.kbx".into()),
                elsewhere: false,
            }),
            ssh_elsewhere: None,
        },
        git_identity: Some(GitIdentity {
            files: vec![(".gitconfig".into(), b"[user]\n\tname = \"Alice\"\n".to_vec())],
            failed: None,
        }),
    }
}

pub fn vars(facts: &Facts) -> Vars {
    let home = facts.home.to_str().unwrap();
    let mut names = strings(&[("HOME", home), ("CWD", facts.cwd.to_str().unwrap()), ("USER", &facts.user_name())]);
    names.insert("UID".into(), facts.uid.to_string());
    for (name, dir) in [("CONFIG", ".config"), ("DATA", ".local/share"), ("CACHE", ".cache"), ("STATE", ".local/state")]
    {
        names.insert(format!("XDG_{name}_HOME"), format!("{home}/{dir}"));
    }
    names.insert("XDG_RUNTIME_DIR".into(), format!("/run/user/{}", facts.uid));
    let places = ["Download", "Documents", "Pictures"];
    let places = places.map(|dir| {
        (format!("xdg-{}", dir.to_lowercase()), format!("{home}/{dir}{}", if dir == "Download" { "s" } else { "" }))
    });
    Vars {
        cwd: facts.cwd.clone(),
        names,
        places: places.into(),
        no_places: None,
        homes: vec![facts.home.clone()],
        other_homes: vec!["/home/bob".into()],
        home_dirs: vec!["/home".into()],
        cwd_is_temporary: false,
        cwd_is_closed: None,
        profiles: Profiles { real: vec![facts.home.join(".config/sbx")], ..Profiles::default() },
        ..Vars::default()
    }
}
