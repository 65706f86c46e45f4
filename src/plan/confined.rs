//! The sandbox of a helper: the system's programs and libraries read-only, what it connects to, and nothing of the user's.

use super::helpers::{Confined, Confinement};
use crate::host::{Facts, Kind};
use crate::spec::{
    Access, Filesystem, Filter, Make, Mount, Namespace, Namespaces, Origin, Process, Root, Sandbox, Security, Source,
    User,
};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What a helper needs beside the system's programs and libraries.
#[derive(Default)]
pub(super) struct Needs {
    /// Sockets and files of the host that it sees, at the same paths.
    pub shown: Vec<PathBuf>,
    /// Files that are made for it, each with its content.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// Its environment.
    pub env: Vec<(&'static str, String)>,
    /// Whether it connects to an abstract socket, which belongs to the network namespace.
    pub network: bool,
}

/// The sandbox for a program of the host with these needs. Its arguments are known when it is started.
pub(super) fn sandbox(of: &Sandbox, facts: &Facts, program: &Path, needs: Needs) -> Confinement {
    let mount = |what, dest: PathBuf| Mount { what, dest, parents: 0o755, origin: Origin::default() };
    let show = |path: PathBuf| {
        let what = Make::Bind {
            source: Source::Path(path.clone()),
            access: Access::ReadOnly,
            optional: false,
            tolerant: false,
        };
        mount(what, path)
    };
    let mut mounts = Vec::new();
    for (name, kind) in &facts.system {
        let path = Path::new("/").join(name);
        mounts.push(match kind {
            Kind::Link(text) => mount(Make::Symlink { target: text.clone() }, path),
            Kind::Dir | Kind::File => show(path),
        });
    }
    mounts.push(mount(Make::Proc, "/proc".into()));
    mounts.push(mount(Make::Dev { console: None }, "/dev".into()));
    mounts.push(mount(Make::Tmpfs { mode: 0o1777, size: None }, "/tmp".into()));
    if !facts.system.iter().any(|(name, _)| program.starts_with(Path::new("/").join(name))) {
        mounts.push(show(program.to_owned()));
    }
    mounts.extend(needs.shown.iter().cloned().map(show));
    mounts.extend(needs.files.into_iter().map(|(path, data)| mount(Make::Content { data, mode: 0o444 }, path)));
    // What it may not change is at the root: a file there may say who it is.
    mounts.push(mount(Make::RemountReadOnly, "/".into()));
    let mut share = BTreeMap::new();
    // What this host lacks, the helper goes without.
    let all = Namespace::ALL.into_iter().collect();
    let lacking = super::requirements::missing(facts, &all).into_iter();
    for namespace in lacking.chain(needs.network.then_some(Namespace::Net)) {
        share.insert(namespace, Origin::default());
    }
    let own_pids = !share.contains_key(&Namespace::Pid);
    let variables = needs.env.into_iter().map(|(name, value)| (name.into(), value.into()));
    let environment: Vec<(OsString, OsString)> = variables.collect();
    let sandbox = Sandbox {
        process: Process {
            args: vec![program.into()],
            cwd: Some("/".into()),
            user: User::Single { uid: facts.uid, gid: facts.gid },
            environment: Some(environment),
            as_pid_1: own_pids,
            ..Process::default()
        },
        namespaces: Namespaces {
            share,
            nested: of.namespaces.nested,
            mounts: of.namespaces.mounts,
            ..Namespaces::default()
        },
        filesystem: Filesystem { root: Root::Bare, mounts, ..Filesystem::default() },
        security: Security { filter: Filter::Default, own_keyring: true, ..Security::default() },
        ..Sandbox::default()
    };
    Confinement::Sandbox(Box::new(Confined { sees: needs.shown, sandbox }))
}
