//! The plan of every shipped profile on hosts that nobody has: Debian 12 in full, the others as what differs from it.

use sbx::host::{Account, DesktopFacts, Facts, Kind, Paths, Range, Settings};
use sbx::plan;
use sbx::profile::{Failed, Loader, Merged, Vars, resolve};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

const PROFILES: [&str; 8] = ["base/host", "base/desktop", "base/test", "default", "browser", "ci", "shell", "viewer"];

fn account(name: &str, id: u32, home: &str, shell: &str) -> Account {
    Account { name: name.into(), uid: id, gid: id, home: home.into(), shell: shell.into() }
}

fn strings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

/// A desktop with Debian 12: Wayland and X11, sound, a session bus, a GPU.
fn debian() -> Facts {
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
        "/var/tmp",
        "/home/alice/src/tool",
        "/home/alice/.cargo/registry",
        "/home/alice/Downloads",
        "/home/alice/Documents",
        "/home/alice/.config/fontconfig",
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
    ];
    let mut entries: Vec<(&str, Kind)> = dirs.iter().map(|path| (*path, Kind::Dir)).collect();
    entries.extend(files.iter().map(|path| (*path, Kind::File)));
    entries.extend([("/bin", link("usr/bin")), ("/etc/resolv.conf", link("../run/systemd/resolve/stub-resolv.conf"))]);
    entries.push(("/run/systemd/resolve/stub-resolv.conf", Kind::File));
    Facts {
        uid: 1000,
        gid: 1000,
        capabilities: 0,
        own_ids: (Vec::new(), Vec::new()),
        groups: vec![27],
        kernel: (6, 1),
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
        helpers: ["newuidmap", "newgidmap", "xdg-dbus-proxy"]
            .map(|name| (name.to_owned(), PathBuf::from("/usr/bin").join(name)))
            .into(),
        cwd: "/home/alice/src/tool".into(),
        home: "/home/alice".into(),
        env: strings(&[("LANG", "C.UTF-8"), ("TERM", "xterm"), ("SSH_AUTH_SOCK", "/run/user/1000/ssh")]),
        top: top.map(|(name, kind)| (name.to_owned(), kind)).into(),
        paths: Paths::fake(&entries),
        desktop: DesktopFacts {
            runtime_dir: "/run/user/1000".into(),
            wayland: Some("/run/user/1000/wayland-0".into()),
            x11: Some(("0".into(), "/tmp/.X11-unix/X0".into())),
            x11_cookie: vec![0; 42],
            pipewire: Some("/run/user/1000/pipewire-0".into()),
            pulse: Some("/run/user/1000/pulse/native".into()),
            session_bus: Some("unix:path=/run/user/1000/bus".into()),
            devices: BTreeMap::from([
                ("gpu".into(), vec!["/dev/dri/renderD128".into()]),
                ("audio".into(), vec!["/dev/snd".into()]),
                ("camera".into(), Vec::new()),
            ]),
        },
        cgroup: None,
        resolv_conf: Some("nameserver 192.0.2.1\n".into()),
        absent: BTreeMap::new(),
        landlock: Some(2),
    }
}

fn vars(facts: &Facts) -> Vars {
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
        names,
        places: places.into(),
        homes: vec![facts.home.clone(), "/home/bob".into()],
        rlimits: BTreeMap::new(),
        profiles: vec![facts.home.join(".config/sbx")],
    }
}

/// The plan as `sbx plan` prints it, or the error.
fn planned(profile: &str, flags: &str, facts: &Facts) -> String {
    let mut loader = Loader::new(Vec::new());
    let mut merged = Merged::default();
    loader.profile(profile).iter().for_each(|layer| merged.apply(layer));
    let flags = loader.text("command line", flags);
    merged.apply(&flags);
    assert_eq!(loader.errors, []);
    let sandbox = resolve::sandbox(&merged, &loader.sources, &vars(facts));
    let mut sandbox = sandbox.unwrap_or_else(|diagnostics| {
        panic!("{}", Failed { diagnostics, sources: loader.sources.clone() }.render(false))
    });
    if sandbox.process.args.is_empty() {
        sandbox.process.args = vec!["program".into()];
    }
    match plan::plan(&sandbox, facts) {
        Ok(plan) => plan::text(&plan),
        Err(error) => format!("{error}\n"),
    }
}

/// What one text has and the other has not, line by line.
fn difference(old: &str, new: &str) -> String {
    if new.starts_with("sbx: ") {
        return new.to_owned();
    }
    let mut out = String::new();
    for line in old.lines().filter(|line| !new.lines().any(|other| other == *line)) {
        let _ = writeln!(out, "- {line}");
    }
    for line in new.lines().filter(|line| !old.lines().any(|other| other == *line)) {
        let _ = writeln!(out, "+ {line}");
    }
    if out.is_empty() { "the same\n".into() } else { out }
}

#[test]
fn every_shipped_profile_has_its_plan() {
    let listed = Loader::new(Vec::new()).names();
    assert_eq!(
        listed,
        {
            let mut all = PROFILES.map(String::from).to_vec();
            all.sort();
            all
        },
        "a profile without a snapshot"
    );
    let mut out = String::new();
    for profile in PROFILES {
        let _ = writeln!(out, "### {profile}\n{}", planned(profile, "", &debian()));
    }
    insta::assert_snapshot!("debian-12", out);
}

#[test]
fn plans_on_other_hosts_differ_where_they_should() {
    let settings = |change: fn(&mut Settings)| {
        let mut facts = debian();
        change(facts.settings.as_mut().unwrap());
        facts
    };
    let hosts: [(&str, Facts); 9] = [
        ("Linux 6.12, X11 alone, no sound, no bus", {
            let mut facts = debian();
            facts.kernel = (6, 12);
            facts.settings.as_mut().unwrap().unprivileged_userns_clone = None;
            facts.desktop = DesktopFacts {
                runtime_dir: "/run/user/1000".into(),
                x11: facts.desktop.x11,
                ..DesktopFacts::default()
            };
            facts
        }),
        ("no subordinate ids", Facts { subuid: Vec::new(), subgid: Vec::new(), ..debian() }),
        ("no /dev/fuse, no GPU, no helpers", {
            let mut facts = debian();
            facts.helpers.clear();
            facts.desktop.devices.values_mut().for_each(Vec::clear);
            facts
        }),
        ("user namespaces for root alone", settings(|settings| settings.unprivileged_userns_clone = Some(0))),
        ("no user namespaces", settings(|settings| settings.max_user_namespaces = Some(0))),
        ("a kernel without time namespaces", settings(|settings| settings.namespaces.retain(|name| name != "time"))),
        ("a kernel without network namespaces", settings(|settings| settings.namespaces.retain(|name| name != "net"))),
        ("Linux 5.10", Facts { kernel: (5, 10), ..debian() }),
        ("in a container, as root", {
            let mut facts = Facts {
                uid: 0,
                gid: 0,
                capabilities: (1 << 41) - 1,
                own_ids: (vec![Range { start: 0, count: 65_536 }], vec![Range { start: 0, count: 65_536 }]),
                groups: Vec::new(),
                home: "/root".into(),
                cwd: "/src".into(),
                ..debian()
            };
            facts.paths = Paths::fake(&[
                ("/src", Kind::Dir),
                ("/root", Kind::Dir),
                ("/etc/passwd", Kind::File),
                ("/etc/group", Kind::File),
                ("/dev/null", Kind::File),
                ("/sys", Kind::Dir),
                ("/boot", Kind::Dir),
            ]);
            facts.top.retain(|(name, _)| !["lib64", "boot"].contains(&name.as_str()));
            facts.top.push(("src".into(), Kind::Dir));
            facts.desktop = DesktopFacts { runtime_dir: "/run/user/0".into(), ..DesktopFacts::default() };
            facts.helpers.clear();
            facts
        }),
    ];
    let mut out = String::new();
    for (title, facts) in &hosts {
        let _ = writeln!(out, "# {title}\n");
        for profile in ["default", "browser", "ci", "shell", "viewer"] {
            let _ = writeln!(
                out,
                "### {profile}\n{}",
                difference(&planned(profile, "", &debian()), &planned(profile, "", facts))
            );
        }
        let range = "process.user = \"range\"\n";
        let _ = writeln!(
            out,
            "### default, --user range\n{}",
            difference(&planned("default", range, &debian()), &planned("default", range, facts))
        );
    }
    insta::assert_snapshot!("other-hosts", out);
}

/// What root alone may read is masked where the caller may read it, and left to its own permissions where not.
#[test]
fn nothing_is_mounted_over_what_the_user_may_not_open() {
    let mut facts = debian();
    let mut entries: Vec<_> =
        ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/machine-id", "/dev/null"]
            .map(|path| (path, Kind::File))
            .into();
    entries.extend(["/home/alice/src/tool", "/usr", "/etc/ssl/private"].map(|path| (path, Kind::Dir)));
    facts.paths = Paths::fake(&entries);
    let lines = |facts: &Facts, flags: &str| -> Vec<String> {
        let plan = planned("default", flags, facts);
        let ours = |line: &&str| ["shadow", "private", "machine-id"].iter().any(|name| line.contains(name));
        let first = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ").replace(':', "");
        plan.lines()
            .filter(|line| line.starts_with("mask ") || line.starts_with("closed "))
            .filter(ours)
            .map(first)
            .collect()
    };
    let masked =
        ["/etc/gshadow", "/etc/machine-id", "/etc/shadow", "/etc/ssl/private"].map(|path| format!("mask {path}"));
    assert_eq!(lines(&facts, ""), masked, "a member of the groups `shadow` and `ssl-cert`");
    for path in ["/etc/shadow", "/etc/gshadow", "/etc/ssl/private"] {
        facts.paths.close(path);
    }
    let closed = ["mask /etc/machine-id", "closed /etc/gshadow", "closed /etc/shadow", "closed /etc/ssl/private"];
    assert_eq!(lines(&facts, ""), closed);
    // More ids than one's own: the file may be another's whom the program can become.
    assert_eq!(lines(&facts, "process.user = \"range\"\n"), masked);
    // Who asks for it without `optional` gets what it says: a path that reads as empty.
    let asked = lines(&facts, "[filesystem.paths]\n\"/etc/shadow\" = \"masked\"\n");
    assert_eq!(asked, ["mask /etc/machine-id", "mask /etc/shadow", "closed /etc/gshadow", "closed /etc/ssl/private"]);
    // In a directory that the program may write to, it could put another in its place.
    let hooks = "/home/alice/src/tool/hooks";
    let mut entries = entries.clone();
    entries.push((hooks, Kind::Dir));
    facts.paths = Paths::fake(&entries);
    facts.paths.close(hooks);
    let of = |mode: &str| {
        let flags =
            format!("[filesystem.paths]\n\"${{CWD}}\" = \"{mode}\"\n\"${{CWD}}/hooks\" = \"masked,optional\"\n");
        let text = planned("default", &flags, &facts);
        text.lines().find(|line| line.contains(hooks)).map(|line| line.split_whitespace().next().unwrap().to_owned())
    };
    assert_eq!((of("ro").as_deref(), of("rw").as_deref()), (Some("closed"), Some("mask")));
}
