//! Where a sandbox's cgroup comes from, on hosts that are described, and the message if there is none.

use sbx::host::{CgroupFacts, Delegated, Facts, Hierarchy, Manager, SbxService, ScopeManager};
use sbx::profile::schema::{self, Target};
use sbx::spec::limits::{self, Limit, Limits, Value};
use sbx::spec::{Origin, Process, Root, Sandbox};
use sbx::{plan, spec};
use std::fmt::Write;

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Debian 12, with the controllers that systemd delegates by default.
fn debian() -> CgroupFacts {
    CgroupFacts {
        hierarchy: Hierarchy::Unified,
        own: "/sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope".into(),
        kernel: words("cpuset cpu io memory hugetlb pids rdma misc"),
        manager: ScopeManager::Available(Manager {
            dir: "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service".into(),
            address: "/run/user/1000/systemd/private".into(),
            user: true,
            controllers: words("cpu memory pids"),
        }),
        ..CgroupFacts::default()
    }
}

fn delegated(others: &[&str]) -> Delegated {
    Delegated {
        dir: "/sys/fs/cgroup/ci".into(),
        controllers: words("cpuset cpu io memory pids"),
        enabled: Vec::new(),
        occupied: true,
        others: others.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn job(others: &[&str]) -> Delegated {
    Delegated { dir: "/sys/fs/cgroup/ci/job".into(), ..delegated(others) }
}

fn kept() -> SbxService {
    SbxService {
        dir: "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/sbx.slice/sbx.service".into(),
        controllers: words("cpu memory pids"),
        reached: false,
    }
}

/// A container without systemd, and perhaps with a hierarchy of its own.
fn container() -> CgroupFacts {
    CgroupFacts {
        own: "/sys/fs/cgroup/".into(),
        manager: ScopeManager::Missing(
            "systemd does not run here".into(),
            "ask whoever started this container or job to delegate a cgroup".into(),
        ),
        ..debian()
    }
}

fn decided(facts: &CgroupFacts, asked: &[(&str, &str)]) -> String {
    let limit = |(name, text): &(&str, &str)| {
        let key = schema::find(&format!("limits.{name}")).unwrap();
        let Target::Limit(control) = key.target else { panic!("{name} is no limit") };
        let (plain, prefer) = limits::preferred(text);
        let value = Value::Text(control.form.value(plain).unwrap());
        Limit { name: key.last(), control, value, prefer, origin: Origin(format!("p.toml: {name}")) }
    };
    let sandbox = Sandbox {
        process: Process { args: vec!["program".into()], ..Process::default() },
        filesystem: spec::Filesystem { root: Root::Empty, ..spec::Filesystem::default() },
        limits: Limits { list: asked.iter().map(limit).collect(), ..Limits::default() },
        ..Sandbox::default()
    };
    let facts = Facts {
        uid: 1000,
        gid: 1000,
        kernel: (6, 1),
        home: "/home/alice".into(),
        cwd: "/home/alice".into(),
        cgroup: Some(facts.clone()),
        ..Facts::default()
    };
    match plan::plan(&sandbox, &facts) {
        Ok(plan) => {
            let text = plan::text(&plan);
            let told = |line: &&str| ["cgroup ", "limit ", "note "].iter().any(|word| line.starts_with(word));
            let lines: Vec<_> = text.lines().filter(told).filter(|line| !line.contains("supplementary")).collect();
            lines.join("\n") + "\n"
        }
        Err(error) => format!("{error}\n"),
    }
}

#[test]
fn the_first_source_that_has_the_controllers_is_taken_and_the_others_are_named() {
    let both = [("memory_max", "64M"), ("io_weight", "50,prefer")];
    let hosts = [
        ("Debian 12, in a session", debian(), &[("memory_max", "64M"), ("cpu_max", "50%")][..]),
        ("the same, with a service that is kept", CgroupFacts { kept: Some(kept()), ..debian() }, &both),
        (
            "a service that is kept, with a controller fewer",
            CgroupFacts { kept: Some(SbxService { controllers: words("pids"), ..kept() }), ..debian() },
            &both,
        ),
        ("Debian 12, a controller that is not delegated", debian(), &[("memory_max", "64M"), ("cpus", "0")]),
        ("Debian 12, the same preferred", debian(), &both),
        (
            "Debian 12, one that its kernel lacks",
            CgroupFacts { kernel: words("cpu memory pids"), ..debian() },
            &[("io_weight", "50")],
        ),
        ("a CI job that is handed a cgroup", CgroupFacts { delegated: vec![delegated(&[])], ..container() }, &both),
        (
            "the same, with the job's shell in it",
            CgroupFacts { delegated: vec![delegated(&["17 (bash)"])], ..container() },
            &both,
        ),
        (
            "the same, under systemd",
            CgroupFacts { delegated: vec![delegated(&["17 (bash)", "18 (make)"])], ..debian() },
            &[("memory_max", "64M")],
        ),
        (
            "one that is divided already",
            CgroupFacts {
                delegated: vec![Delegated { enabled: words("memory"), occupied: false, ..delegated(&[]) }],
                ..container()
            },
            &[("memory_max", "64M")],
        ),
        (
            "a job's cgroup below the one of its runner",
            CgroupFacts {
                delegated: vec![job(&[]), Delegated { occupied: false, ..delegated(&[]) }],
                limits: vec![("/sys/fs/cgroup/ci/job".into(), "memory.max = 1073741824".into())],
                ..container()
            },
            &[("pids_max", "10")],
        ),
        (
            "the same, with the job's shell in it",
            CgroupFacts {
                delegated: vec![job(&["17 (bash)"]), Delegated { occupied: false, ..delegated(&[]) }],
                limits: vec![
                    ("/sys/fs/cgroup/ci/job".into(), "memory.max = 1073741824".into()),
                    ("/sys/fs/cgroup/ci".into(), "cpu.max = 100000 100000".into()),
                ],
                ..container()
            },
            &[("pids_max", "10")],
        ),
        (
            "a limited shell in a session",
            CgroupFacts { limits: vec![(debian().own, "memory.high = 1073741824".into())], ..debian() },
            &[("pids_max", "10")],
        ),
        ("a container with a read-only mount", CgroupFacts { read_only: true, ..container() }, &both),
        ("the same, with the host's /run in it", CgroupFacts { read_only: true, ..debian() }, &[("memory_max", "64M")]),
        ("a container without", container(), &[("memory_max", "64M,prefer"), ("pids_max", "10,prefer")]),
        (
            "a user without a session",
            CgroupFacts {
                manager: ScopeManager::Missing(
                    "alice has no session here: there is no /run/user/1000".into(),
                    "log in (ssh, a console; su and sudo make no session), or as root: loginctl enable-linger alice"
                        .into(),
                ),
                ..debian()
            },
            &[("memory_max", "64M")],
        ),
        ("a hybrid hierarchy", CgroupFacts { hierarchy: Hierarchy::Hybrid, ..debian() }, &both),
        ("cgroup v1", CgroupFacts { hierarchy: Hierarchy::Legacy, ..debian() }, &[("memory_max", "64M,prefer")]),
        ("no hierarchy", CgroupFacts::default(), &[("pids_max", "10")]),
    ];
    let mut out = String::new();
    for (title, facts, asked) in hosts {
        let _ = writeln!(out, "# {title}\n{}", decided(&facts, asked));
    }
    insta::assert_snapshot!("sources", out);
}
