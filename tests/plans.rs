//! The plan of every shipped profile on described hosts: Debian 12 in full, the others as the difference from it.

#[path = "common/debian.rs"]
mod debian;

use debian::{debian, vars};
use sbx::host::{DesktopFacts, Documents, Facts, Kind, NetworkFacts, Paths, Range, Settings};
use sbx::plan;
use sbx::profile::{Failed, Loader, Merged, resolve};
use sbx::spec::{Process, Sandbox};
use std::fmt::Write;
use std::time::Duration;

const PROFILES: [&str; 14] = [
    "base/host",
    "base/desktop",
    "base/browser",
    "base/test",
    "base/worktree",
    "default",
    "browser",
    "firefox",
    "chromium",
    "ci",
    "ci-net",
    "net",
    "shell",
    "viewer",
];

/// The plan as `sbx plan` prints it, or the error.
fn planned(profile: &str, flags: &str, facts: &Facts) -> String {
    let mut loader = Loader::new(Vec::new());
    let mut merged = Merged::default();
    loader.profile(profile).into_iter().for_each(|layer| merged.apply(layer));
    let flags = loader.text("command line", flags);
    merged.apply(flags);
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

/// The difference of two texts, line by line.
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
            facts.helpers.found.clear();
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
            facts.top.retain(|(name, _)| name != "lib64" && name != "boot");
            facts.top.push(("src".into(), Kind::Dir));
            facts.desktop = DesktopFacts { runtime_dir: "/run/user/0".into(), ..DesktopFacts::default() };
            facts.helpers.found.clear();
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

#[test]
fn the_callers_ids_are_kept_between_subordinate_ones() {
    let keep = "process.user = \"keep-id\"\n";
    let plan = planned("default", keep, &debian());
    for line in ["user 1000 group 1000", "0 100000 1000, 1000 1000 1, 1001 101000 64536", "/usr/bin/newuidmap"] {
        assert!(plan.contains(line), "{line}: {plan}");
    }
    let facts = Facts { subgid: Vec::new(), ..debian() };
    let error = planned("default", keep, &facts);
    assert!(error.contains("user `keep-id` needs subordinate ids, and /etc/subgid has none"), "{error}");
}

/// Files that only root may read are masked if the caller may read them, and otherwise left to their own permissions.
#[test]
fn nothing_is_mounted_over_what_the_user_may_not_open() {
    let mut facts = debian();
    let mut entries: Vec<_> = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/dev/null"]
        .map(|path| (path, Kind::File))
        .into();
    entries.extend(["/home/alice/src/tool", "/usr", "/etc/ssl/private"].map(|path| (path, Kind::Dir)));
    facts.paths = Paths::fake(&entries);
    let lines = |facts: &Facts, flags: &str| -> Vec<String> {
        let plan = planned("default", flags, facts);
        let ours = |line: &&str| ["shadow", "private", "sudoers"].iter().any(|name| line.contains(name));
        let first = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ").replace(':', "");
        plan.lines()
            .filter(|line| line.starts_with("mask ") || line.starts_with("closed "))
            .filter(ours)
            .map(first)
            .collect()
    };
    let masked = ["/etc/gshadow", "/etc/shadow", "/etc/ssl/private", "/etc/sudoers"].map(|path| format!("mask {path}"));
    assert_eq!(lines(&facts, ""), masked, "a member of the groups `shadow` and `ssl-cert`");
    for path in ["/etc/shadow", "/etc/gshadow", "/etc/ssl/private"] {
        facts.paths.close(path);
    }
    let closed = ["mask /etc/sudoers", "closed /etc/gshadow", "closed /etc/shadow", "closed /etc/ssl/private"];
    assert_eq!(lines(&facts, ""), closed);
    // With more ids than the caller's own, the file may belong to another that the program can become.
    assert_eq!(lines(&facts, "process.user = \"range\"\n"), masked);
    // A path that is masked without `optional` is masked: it reads as empty.
    let asked = lines(&facts, "[filesystem.paths]\n\"/etc/shadow\" = \"masked\"\n");
    assert_eq!(asked, ["mask /etc/shadow", "mask /etc/sudoers", "closed /etc/gshadow", "closed /etc/ssl/private"]);
    // If the program may write to the directory, it could put another file in its place.
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

#[test]
fn what_the_document_portal_shows_is_shown_wherever_it_is_mounted() {
    let (mount, dir) = ("/var/lib/me/doc", "/var/lib/me/doc/by-app/sbx.profile.firefox");
    let mut facts = debian();
    facts.desktop.documents = Some(Documents { mount: mount.into(), dir: dir.into() });
    facts.paths.separate(mount);
    let plan = planned("firefox", "", &facts);
    let lines: Vec<_> = plan.lines().filter(|line| line.contains(mount)).collect();
    assert!(
        lines.iter().any(|line| line.starts_with("bind") && line.contains(&format!("{mount} ← {dir} rw"))),
        "{lines:?}"
    );
    assert!(!lines.iter().any(|line| line.starts_with("tmpfs")), "{lines:?}");
}

/// What ends with the launcher would be missing afterwards.
#[test]
fn what_the_program_leaves_runs_on_only_where_nothing_depends_on_the_launcher() {
    let facts = debian();
    let plan = |timeout: Option<Duration>, stats: bool| {
        let args = vec!["program".into()];
        let process = Process { args, keeps_background: true, timeout, ..Process::default() };
        let mut sandbox = Sandbox { process, ..Sandbox::default() };
        sandbox.limits.stats = stats;
        plan::plan(&sandbox, &facts)
    };
    assert!(plan(None, false).unwrap().process.keeps_background);
    for refused in [plan(Some(Duration::from_secs(1)), false), plan(None, true)] {
        let error = refused.unwrap_err().to_string();
        assert!(error.starts_with("sbx: what the program leaves cannot run on"), "{error}");
    }
}

#[test]
fn changes_of_overlays_are_where_this_kernel_and_this_disk_take_them() {
    use sbx::host::{StoreFilesystem, UnionFacts};
    let host = |kernel, change: &dyn Fn(&mut UnionFacts)| {
        let mut union = UnionFacts {
            store: "/home/alice/.local/share/sbx/uppers".into(),
            mounts: ["/", "/proc", "/home", "/usr/lib/mounted"].map(Into::into).into(),
            ..UnionFacts::default()
        };
        change(&mut union);
        let mut facts = debian();
        facts.kernel = kernel;
        facts.union = Some(union);
        facts
    };
    let same: &dyn Fn(&mut UnionFacts) = &|_| {};
    let terminal: &dyn Fn(&mut UnionFacts) = &|union| union.terminal = true;
    let nfs: &dyn Fn(&mut UnionFacts) = &|union| union.store_filesystem = StoreFilesystem::Refused("NFS");
    let tmpfs: &dyn Fn(&mut UnionFacts) = &|union| union.store_filesystem = StoreFilesystem::Tmpfs;
    let foreign: &dyn Fn(&mut UnionFacts) = &|union| union.foreign = vec!["/var".into()];
    let fuse: &dyn Fn(&mut UnionFacts) = &|union| {
        union.fuse = true;
        union.foreign = vec!["/etc".into(), "/usr".into(), "/var".into()];
    };
    let refused: &dyn Fn(&mut UnionFacts) = &|union| union.failed = Some("Operation not permitted (EPERM)".into());
    let terminal_nfs: &dyn Fn(&mut UnionFacts) = &|union| {
        union.terminal = true;
        union.store_filesystem = StoreFilesystem::Refused("NFS");
    };
    let terminal_closed: &dyn Fn(&mut UnionFacts) = &|union| {
        union.terminal = true;
        union.store_closed = true;
    };
    let nfs_fuse: &dyn Fn(&mut UnionFacts) = &|union| {
        union.fuse = true;
        union.store_filesystem = StoreFilesystem::Refused("NFS");
    };
    let cwd = "paths = { \"${CWD}\" = \"overlay\" }\n";
    let root = |user: &str| format!("paths = {{ \"/\" = \"overlay\" }}\n[process]\nuser = \"{user}\"\n");
    let hosts = [
        ("discarded, Linux 6.12", host((6, 12), same), cwd.to_owned()),
        ("discarded, Linux 6.1", host((6, 1), same), cwd.to_owned()),
        ("discarded, Linux 6.1, the store on NFS", host((6, 1), nfs), cwd.to_owned()),
        ("discarded, Linux 6.12, the store on NFS", host((6, 12), nfs), cwd.to_owned()),
        ("limited, Linux 6.12", host((6, 12), same), format!("upper_size = \"1G\"\n{cwd}")),
        ("limited, Linux 6.1", host((6, 1), same), format!("upper_size = \"1G\"\n{cwd}")),
        ("kept", host((6, 1), same), format!("upper = \"keep:a\"\n{cwd}")),
        ("kept on tmpfs, Linux 6.1", host((6, 1), tmpfs), format!("upper = \"keep:a\"\n{cwd}")),
        ("kept on NFS", host((6, 12), nfs), format!("upper = \"keep:a\"\n{cwd}")),
        ("kept on NFS, with /dev/fuse", host((6, 12), nfs_fuse), format!("upper = \"keep:a\"\n{cwd}")),
        ("by the FUSE union", host((6, 12), fuse), format!("mechanism = \"fuse\"\n{cwd}")),
        ("by the FUSE union, without /dev/fuse", host((6, 12), same), format!("mechanism = \"fuse\"\n{cwd}")),
        ("by the kernel's overlay, on NFS", host((6, 12), nfs_fuse), format!("mechanism = \"overlay\"\nupper = \"keep:a\"\n{cwd}")),
        ("kept and limited", host((6, 12), same), format!("upper = \"keep:a\"\nupper_size = \"1G\"\n{cwd}")),
        ("asked about, without a terminal", host((6, 12), same), format!("upper = \"ask\"\n{cwd}")),
        ("asked about, on a terminal", host((6, 12), terminal), format!("upper = \"ask\"\n{cwd}")),
        ("another user's", host((6, 12), foreign), "paths = { \"/var\" = \"overlay\" }\n".into()),
        ("with a mount below", host((6, 12), same), "paths = { \"/usr\" = \"overlay\" }\n".into()),
        ("with a mount below, with /dev/fuse", host((6, 12), fuse), "paths = { \"/usr\" = \"overlay\" }\n".into()),
        ("preferred", host((6, 12), same), "upper = \"ask\"\npaths = { \"${CWD}\" = \"overlay,prefer\" }\n".into()),
        ("preferred, refused by the kernel", host((6, 12), refused), "paths = { \"${CWD}\" = \"overlay,prefer\" }\n".into()),
        ("preferred, another user's", host((6, 12), foreign), "paths = { \"/var\" = \"overlay,prefer\" }\n".into()),
        ("preferred, with a mount below", host((6, 12), fuse), "paths = { \"/usr\" = \"overlay,prefer\" }\n".into()),
        ("preferred, on a terminal, the store on NFS", host((6, 12), terminal_nfs), {
            "upper = \"ask\"\npaths = { \"${CWD}\" = \"overlay,prefer\" }\n".into()
        }),
        ("preferred, on a terminal, the store closed", host((6, 12), terminal_closed), {
            "upper = \"ask\"\npaths = { \"${CWD}\" = \"overlay,prefer\" }\n".into()
        }),
        ("the whole root, as root with one id", host((6, 12), fuse), root("root")),
        ("the whole root, as root with subordinate ids", host((6, 12), fuse), root("range")),
        ("the whole root, as root without /dev/fuse", host((6, 12), foreign), root("root")),
        (
            "with stricter paths in it",
            host((6, 12), same),
            "paths = { \"~\" = \"overlay\", \"~/Downloads\" = \"masked\", \"~/src/tool\" = \"rw\", \"~/.config/fontconfig\" = \"ro\", \
             \"~/Documents\" = \"hidden\" }\n"
                .into(),
        ),
        ("where programs may mount", host((6, 12), same), {
            "paths = { \"~\" = \"overlay\", \"~/Downloads\" = \"masked\" }\n[namespaces]\nnested = \"allow\"\n".into()
        }),
    ];
    let mut out = String::new();
    for (title, facts, flags) in hosts {
        let text = planned("base/host", &format!("[filesystem]\n{flags}"), &facts);
        let plain = planned("base/host", "", &facts);
        let _ = writeln!(out, "### {title}\n{}", difference(&plain, &text));
    }
    insta::assert_snapshot!("overlays", out);
}

/// The helper of a private network that is planned, or why there is none.
#[test]
fn a_private_network_takes_the_helper_that_is_there() {
    type Change = fn(&mut Facts);
    let hosts: [(&str, &str, Change); 19] = [
        ("both", "", |_| ()),
        ("an old pasta", "", |facts| facts.network.as_mut().unwrap().old_pasta = true),
        ("an old pasta, named", "network.helper = \"pasta\"", |facts| {
            facts.network.as_mut().unwrap().old_pasta = true;
        }),
        ("an old pasta alone, offline", "", |facts| {
            facts.helpers.found.remove("slirp4netns");
            *facts.network.as_mut().unwrap() = NetworkFacts { old_pasta: true, ..NetworkFacts::default() };
        }),
        ("a pasta, offline", "", |facts| facts.network.as_mut().unwrap().routed = false),
        ("neither", "", |facts| facts.helpers.found.clear()),
        ("not the one that is named", "network.helper = \"slirp4netns\"", |facts| {
            facts.helpers.found.remove("slirp4netns");
        }),
        ("a port, by an old pasta", "network.publish = [\"8080:80\", \"0.0.0.0:53:5353/tcp\"]", |facts| {
            facts.network.as_mut().unwrap().old_pasta = true;
        }),
        ("a port that is taken", "network.publish = [\"8080:80\"]", |facts| {
            let taken = ("127.0.0.1:8080:80/tcp".to_owned(), sbx::testing::Errno(libc::EADDRINUSE));
            facts.network.as_mut().unwrap().unpublished = [taken].into();
        }),
        ("UDP at loopback, by an old pasta", "network.publish = [\"5353:53/udp\"]", |facts| {
            facts.network.as_mut().unwrap().old_pasta = true;
        }),
        ("a port at loopback, offline", "network.publish = [\"8080:80\"]", |facts| {
            *facts.network.as_mut().unwrap() = NetworkFacts { old_pasta: true, ..NetworkFacts::default() };
            facts.helpers.found.remove("slirp4netns");
        }),
        ("a port, offline", "network.publish = [\"192.0.2.1:8080:80\"]\nnetwork.helper = \"pasta\"", |facts| {
            *facts.network.as_mut().unwrap() = NetworkFacts { old_pasta: true, ..NetworkFacts::default() };
        }),
        (
            "ports and slirp4netns",
            "network.publish = [\"8080:80\", \"0.0.0.0:0:53/udp\"]\nnetwork.helper = \"slirp4netns\"",
            |_| (),
        ),
        ("IPv6 and slirp4netns", "network.publish = [\"[::]:8080:80\"]\nnetwork.helper = \"slirp4netns\"", |_| ()),
        (
            "UDP of IPv6 and slirp4netns",
            "network.publish = [\"[::]:53:53/udp\"]\nnetwork.helper = \"slirp4netns\"",
            |_| (),
        ),
        ("ranges and pasta", "network.publish = [\"0.0.0.0:8000-8001:80-81\", \"0:9000-9001/udp\"]", |_| ()),
        ("a forwarded port", "network.forward = [5432, \"53:1053/udp\"]", |_| ()),
        ("no device", "", |facts| facts.network.as_mut().unwrap().tun = Some(sbx::testing::Errno(libc::ENOENT))),
        ("a closed device", "network.on_helper_death = \"report\"", |facts| {
            facts.network.as_mut().unwrap().tun = Some(sbx::testing::Errno(libc::EACCES));
        }),
    ];
    let mut out = String::new();
    for (title, flags, change) in hosts {
        let mut facts = debian();
        change(&mut facts);
        let plan = planned("default", &format!("network.mode = \"private\"\n{flags}"), &facts);
        let lines: Vec<_> = match plan.starts_with("sbx: ") {
            true => plan.lines().collect(),
            false => plan
                .lines()
                .skip_while(|line| !line.starts_with("network  "))
                .filter(|line| {
                    ["network  ", "note  ", "publish  ", "forward  "].iter().any(|start| line.starts_with(start))
                        || line.contains(" has your user id")
                        || line.contains(" --tcp-ports")
                })
                .collect(),
        };
        let _ = writeln!(out, "# {title}\n{}\n", lines.join("\n"));
    }
    insta::assert_snapshot!("private-networks", out);
}

/// The rules of a private network, in the order in which the kernel asks them, or why there are none.
#[test]
fn the_rules_of_a_private_network_are_in_an_order_that_says_what_counts() {
    let mut facts = debian();
    facts.resolv_conf = Some("nameserver 192.168.1.1\n".into());
    let mut out = String::new();
    let profiles = [
        "",
        "allow = []",
        "allow = [\"internet\"]\ndns = \"none\"",
        "allow = [\"192.0.2.1:443/tcp\", \"192.0.2.2:443/tcp\", \"10.0.0.0/8\", \":53/udp\"]",
        "allow = [\"internet\", \"private:443\", \"host/icmp\", \"metadata\"]\ndeny = [\":25/tcp\", \"private:22\", \"10.9.9.9\"]",
        "publish = [\"8080:80\"]",
        "allow = [\"10.1.0.0/16:443/tcp\"]\ndeny = [\"10.0.0.0/8:1-1000\"]",
        "allow = [\"private\"]\ndeny = [\"private\"]",
    ];
    for profile in profiles {
        let lines = profile.lines().map(|line| format!("network.{line}\n")).collect::<String>();
        let plan = planned("default", &format!("network.mode = \"private\"\n{lines}"), &facts);
        let shown = |line: &&str| ["reached", "refused", "sbx: ", "help: "].iter().any(|start| line.starts_with(start));
        let _ = writeln!(out, "# {profile}\n{}\n", plan.lines().filter(shown).collect::<Vec<_>>().join("\n"));
    }
    facts.network.as_mut().unwrap().filter = Some(sbx::testing::Errno(libc::EPROTONOSUPPORT));
    let _ = writeln!(out, "# no packet filter\n{}", planned("default", "network.mode = \"private\"", &facts));
    insta::assert_snapshot!("network-rules", out);
}
