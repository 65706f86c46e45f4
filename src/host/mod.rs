//! Gathers facts about this machine and this user. It only reads, and changes nothing.
//!
//! [`Facts`] is plain data, so that the planner can be tested with the facts of any host.

mod accounts;
mod agents;
mod cgroup;
mod desktop;
mod elevation;
mod git;
mod git_budget;
mod git_conditions;
mod git_config;
mod git_identity;
mod git_index;
mod git_named;
mod git_remotes;
mod git_words;
mod helpers;
mod joined;
mod kernel_config;
mod links;
mod mountinfo;
mod names;
mod network;
mod own;
mod paths;
mod private;
mod privileged;
mod processes;
pub mod procfs;
mod project;
mod rlimits;
mod socket;
mod sockets;
mod sound;
mod startup;
mod temporary;
mod union;
mod variables;
mod vars;
mod walk;
mod writers;

pub use accounts::{Account, Range};
pub use agents::{ASKPASS, AgentFacts, GpgFacts};
pub use cgroup::{CgroupFacts, Delegated, Hierarchy, Manager, SbxService, ScopeManager, own_cgroup};
pub use desktop::{Compositor, DesktopFacts, Documents, WaylandFacts, bus_path, xauthority};
pub use elevation::Elevation;
pub use git_identity::GitIdentity;
pub use helpers::{Helpers, is_executable};
pub use joined::{JoinedFacts, JoinedNamespace, is_child, joined_namespace};
pub use kernel_config::{Built, KernelConfig};
pub use links::LinkWriters;
pub use names::Names;
pub use network::{NamedFacts, NetworkFacts, name_servers};
pub use own::{Keeps, OwnDir, PARTS};
pub(crate) use paths::ByPath;
pub use paths::{DEVICES, Entry, Kind, MACHINE_IDS, NamedFile, Paths, RUN_LINKS, below};
pub use privileged::{Powerless, powerless};
pub use processes::{IdRange, Process, children, id_inside, id_map, processes};
pub use project::project_now;
pub use rlimits::{CoreHandler, rlimits};
pub use sound::SoundFacts;
pub use startup::{HomeLink, HomeLinks, home_links, is_startup};
pub use union::{StoreFilesystem, TMPFS_WITH_ATTRIBUTES, UnionFacts};
pub use variables::{CodeKind, CodePath, CodePaths, code_paths};
pub use vars::{home, vars, without_dots};
pub use walk::Ways;
pub use writers::is_of_caller;

use crate::profile::Profiles;
use crate::spec::{
    BusPolicy, Descriptors, Make, Namespace, Network, Requirement, Rlimits, Root, Sandbox, Source, SshAgent, Upper, X11,
};
use crate::sys::UnownedFd;
use mountinfo::MountInfo;
use paths::Homes;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// Facts about the host that the planner needs. They are gathered for one sandbox: what it does not need is left empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Facts {
    /// The caller's real user id.
    pub uid: u32,
    /// The caller's real group id.
    pub gid: u32,
    /// The caller's effective capabilities, one bit for each: root may lack some, as inside a sandbox.
    pub capabilities: u64,
    /// User ids and group ids that exist in the caller's user namespace, for root: from /proc/self/uid_map and gid_map.
    pub own_ids: (Vec<Range>, Vec<Range>),
    /// Whether the caller's user namespace denies setgroups(2), for root: user_namespaces(7).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keeps_groups: bool,
    /// The caller's supplementary groups without `gid`.
    pub groups: Vec<u32>,
    /// The launcher's process id, if a helper in a sandbox of its own needs a name by it; else 0.
    pub pid: u32,
    /// Version of the kernel, major and minor: uname(2). (0, 0) if a filter refuses to tell.
    pub kernel: (u32, u32),
    /// Kernel settings that may prevent a sandbox; `None` if they were not read.
    pub settings: Option<Settings>,
    /// Accounts in /etc/passwd.
    pub accounts: Vec<Account>,
    /// Groups in /etc/group: name and id.
    pub group_names: Vec<(String, u32)>,
    /// Ranges in /etc/subuid that belong to the caller.
    pub subuid: Vec<Range>,
    /// Ranges in /etc/subgid that belong to the caller.
    pub subgid: Vec<Range>,
    /// The helper programs that the sandbox needs.
    pub helpers: Helpers,
    /// The caller's working directory.
    pub cwd: PathBuf,
    /// The caller's home directory.
    pub home: PathBuf,
    /// The directory of the user's private homes and of locks, if the sandbox has one that is kept or locked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home_store: Option<PathBuf>,
    /// The caller's environment, as far as it is UTF-8.
    pub env: BTreeMap<String, String>,
    /// Variables of the caller whose name or value is not UTF-8.
    #[serde(skip)]
    pub env_bytes: Vec<(OsString, OsString)>,
    /// Random bytes for the sandbox's machine id; none if the kernel gives none.
    #[serde(skip)]
    pub machine_id: Option<[u8; 16]>,
    /// Entries of the host's `/` (or of PATH for the root `dir:PATH`), by name.
    #[serde(skip)]
    pub top: Vec<Entry>,
    /// Top-level directories and links of the host that hold programs and libraries, if a helper in a sandbox of its own
    /// needs them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub system: Vec<(String, Kind)>,
    /// What kind of file is at each path that the sandbox names.
    pub paths: Paths,
    /// Sockets and devices of the desktop that the sandbox asks for.
    pub desktop: DesktopFacts,
    /// The user's agents, as far as the sandbox asks for them.
    pub agents: AgentFacts,
    /// What of the user's configuration of git the program is shown, if the sandbox asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_identity: Option<GitIdentity>,
    /// Landlock version of the kernel, if the sandbox uses Landlock and the kernel has it.
    pub landlock: Option<i32>,
    /// Where a cgroup can be created, if the sandbox needs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<CgroupFacts>,
    /// Resource limits of the caller: those that the sandbox sets, and that of the size of files.
    pub rlimits: Rlimits,
    /// This machine's memory in bytes, if the sandbox limits its own by it; else 0.
    pub memory: u64,
    /// What receives core dumps outside although the sandbox is to have none.
    pub core_handler: Option<CoreHandler>,
    /// Content of /etc/resolv.conf, if the sandbox has a way to the outside.
    pub resolv_conf: Option<String>,
    /// Content of /etc/hosts, if the sandbox has a way to the outside.
    pub hosts: Option<String>,
    /// What is known of the host's network, if the sandbox has one of its own with a way to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkFacts>,
    /// Other namespaces than the network that are joined, or why they cannot be.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub joined: BTreeMap<Namespace, Result<JoinedFacts, String>>,
    /// Descriptors that the program gets (`--keep-fd`) and that are sockets of the caller's network, by which others are reached there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kept_sockets: Vec<i32>,
    /// Facts for paths of the mode `overlay`, and for a root of several directories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub union: Option<UnionFacts>,
    /// Directories of sbx's own that a directory which the sandbox shows may hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub own_dirs: Vec<OwnDir>,
    /// Sources of mounts that do not exist, with the errno, for a sandbox with a bare root (sbx-bwrap).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub absent: BTreeMap<PathBuf, crate::sys::Errno>,
}

/// Kernel settings that may prevent a sandbox. A run reads them only after the kernel has refused a call: reading them
/// takes longer than reading a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Settings {
    /// Namespace types that this kernel has, by their names in /proc/self/ns.
    pub namespaces: Vec<String>,
    /// Namespace types of which the sysctl user.max_NAME_namespaces allows none, by their names in /proc/self/ns.
    pub exhausted: Vec<String>,
    /// The caller is not in the initial user namespace, but in a sandbox or a container.
    pub inside: bool,
    /// The sysctl user.max_user_namespaces; `None` if it cannot be read.
    pub max_user_namespaces: Option<u64>,
    /// The sysctl kernel.unprivileged_userns_clone, which older kernels of Debian have.
    pub unprivileged_userns_clone: Option<u64>,
    /// The sysctl kernel.apparmor_restrict_unprivileged_userns, which kernels of Ubuntu have.
    pub apparmor_restrict_userns: Option<u64>,
}

impl Facts {
    /// Whether the caller may map ids that are not its own: CAP_SETGID and CAP_SETUID.
    pub fn maps_ids(&self) -> bool {
        const BOTH: u64 = 1 << 6 | 1 << 7;
        self.capabilities & BOTH == BOTH
    }

    /// Whether the caller may map id 0 of its own namespace: CAP_SETFCAP, by user_namespaces(7).
    pub fn maps_root(&self) -> bool {
        self.capabilities & 1 << 31 != 0
    }

    /// Reads the kernel settings, and adds them.
    #[must_use]
    pub fn with_settings(mut self) -> Facts {
        let number = |path: &str| -> Option<u64> { std::fs::read_to_string(path).ok()?.trim().parse().ok() };
        self.settings = Some(Settings {
            namespaces: namespaces(),
            exhausted: Namespace::ALL
                .into_iter()
                .map(Namespace::word)
                .chain(["mnt"])
                .filter(|name| number(&format!("/proc/sys/user/max_{name}_namespaces")) == Some(0))
                .map(str::to_owned)
                .collect(),
            inside: accounts::own_ranges(Path::new("/proc/self/uid_map"))
                .first()
                .is_none_or(|range| range.count != u32::MAX),
            max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
            unprivileged_userns_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor_restrict_userns: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        });
        self
    }

    /// Notes that the kernel has refused to mount an overlay.
    #[must_use]
    pub fn without_overlays(mut self, error: String) -> Facts {
        self.union = self.union.map(|union| UnionFacts { failed: Some(error), ..union });
        self
    }

    /// The caller's account, if it is in /etc/passwd.
    pub fn account(&self) -> Option<&Account> {
        vars::own_accounts(&self.accounts, self.uid).next()
    }

    /// The caller's homes: the one that `$HOME` names, and others that the caller's accounts have.
    pub fn own_homes(&self) -> impl Iterator<Item = &Path> {
        let accounts = vars::own_accounts(&self.accounts, self.uid).map(|account| account.home.as_path());
        std::iter::once(self.home.as_path()).chain(accounts.filter(|home| *home != self.home))
    }

    /// Whether a path is the real one of a directory in which sbx keeps private homes, locks, upper layers or records, also if
    /// it is not there yet.
    pub fn is_store(&self, path: &Path) -> bool {
        self.own_dirs.iter().any(|own| match (own.keeps, path.strip_prefix(&own.path)) {
            (Keeps::Stores, Ok(rest)) => rest == "" || PARTS.iter().any(|part| rest == *part),
            (Keeps::Records, Ok(rest)) => rest == "",
            _ => false,
        })
    }

    /// Adds the directories of the user's profiles.
    pub fn add_profiles(&mut self, sandbox: &Sandbox, profiles: &Profiles) {
        let found = own::profiles(&mut self.paths, sandbox, profiles);
        self.own_dirs.extend(found);
    }

    /// The caller's user name, or its user id if it has none.
    pub fn user_name(&self) -> String {
        self.account().map_or_else(|| self.uid.to_string(), |account| account.name.clone())
    }
}

/// The accounts in this host's /etc/passwd.
///
/// # Errors
///
/// The file is there and cannot be read: whose homes are to be closed is not known.
pub fn accounts() -> crate::error::Result<Vec<Account>> {
    accounts::accounts(Path::new("/etc/passwd")).map_err(|errno| {
        crate::error::Error::new(format!("cannot read /etc/passwd: {errno}"))
            .hint("sbx needs it to tell which homes to close: everybody has to be able to read it")
    })
}

/// Gathers the few facts that a sandbox with a bare root (sbx-bwrap) needs.
pub fn probe_bare(sandbox: &Sandbox, cwd: PathBuf, home: PathBuf) -> Facts {
    let (uid, gid) = crate::sys::ids();
    let mut absent = BTreeMap::new();
    let mut look = |path: &Path| {
        // Not EACCES: the source is opened later with other rights, and may be accessible then.
        if let Err(error) = std::fs::metadata(path)
            && matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP))
        {
            absent.insert(path.to_owned(), crate::sys::Errno::from(error));
        }
    };
    for mount in &sandbox.filesystem.mounts {
        match &mount.what {
            Make::Bind { source: Source::Path(path), .. } => look(path),
            Make::Overlay { lower, upper } => {
                lower.iter().for_each(|dir| look(dir));
                if let Upper::Host { upper, work } = upper {
                    [upper, work].into_iter().for_each(|dir| look(dir));
                }
            }
            _ => {}
        }
    }
    Facts {
        uid,
        gid,
        capabilities: crate::sys::effective_capabilities().unwrap_or(0),
        kernel: crate::sys::kernel_version(),
        cwd,
        home,
        absent,
        rlimits: rlimits::of(|name| name == "fsize"),
        ..Facts::default()
    }
}

/// Whether this kernel has namespaces of this type.
pub fn has_namespace(namespace: Namespace) -> bool {
    Path::new("/proc/self/ns").join(namespace.word()).exists()
}

/// Whether the kernel has user namespaces, and they are not disabled for everybody.
pub fn has_user_namespaces() -> bool {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    Path::new("/proc/self/ns/user").exists()
        && read("/proc/sys/user/max_user_namespaces").trim() != "0"
        && !read("/sys/module/user_namespace/parameters/enable").starts_with('N')
}

/// Gathers the facts about the host that this sandbox needs.
pub fn probe(sandbox: &Sandbox, env: BTreeMap<String, String>, cwd: PathBuf, accounts: Vec<Account>) -> Facts {
    let (uid, gid) = crate::sys::ids();
    let name = vars::own_accounts(&accounts, uid).next().map(|account| account.name.clone());
    let subordinate = sandbox.process.user.takes_subordinate_ids();
    let ranges = |file: &str| match subordinate {
        true => accounts::ranges(Path::new(file), name.as_deref(), uid),
        false => Vec::new(),
    };
    let mut wanted = Vec::new();
    if subordinate {
        wanted.extend(["newuidmap", "newgidmap"]);
    }
    if sandbox.session_bus.policy == BusPolicy::Filter {
        wanted.push("xdg-dbus-proxy");
    }
    match sandbox.desktop.x11 {
        X11::Off | X11::Host => {}
        X11::Nested => wanted.extend(["Xwayland", "Xephyr"]),
        X11::Virtual => wanted.push("Xvfb"),
    }
    wanted.extend(network::wanted(sandbox));
    let asks = sandbox.services.ssh_agent == SshAgent::Confirmed;
    let own_x11 = matches!(sandbox.desktop.x11, X11::Nested | X11::Virtual);
    let confined = sandbox.session_bus.policy == BusPolicy::Filter || own_x11;
    let confined = confined || sandbox.network.own().is_some();
    let home = vars::home(&env, &accounts, uid);
    let desktop = desktop::probe(sandbox, &env, uid);
    let agents = agents::probe(sandbox, &env, &home, uid);
    let mut paths = Paths::default();
    let account_homes = vars::own_accounts(&accounts, uid).map(|account| account.home.as_path());
    let homes: Vec<_> = std::iter::once(home.as_path()).chain(account_homes.filter(|path| *path != home)).collect();
    let others = accounts.iter().filter(|account| account.is_person() && account.uid != uid);
    let others: Vec<_> = others.map(|account| account.home.as_path()).collect();
    let homes = Homes { own: &homes, others: &others, accounts: &accounts };
    let mounts = MountInfo::default();
    paths.gather(sandbox, &homes, &cwd, &desktop, &mounts);
    agents.paths().for_each(|path| paths.record(path));
    let kept = sandbox.filesystem.home.is_some() || sandbox.filesystem.is_exclusive();
    let home_store = (kept && sandbox.filesystem.root != Root::Bare)
        .then(|| crate::union::Store::place_of_homes(env.get("XDG_DATA_HOME").map(String::as_str), &home));
    home_store.iter().for_each(|store| paths.record_source(store, &homes));
    let kernel = crate::sys::kernel_version();
    let union = union::probe(sandbox, &env, &home, kernel, &mounts);
    let data = env.get("XDG_DATA_HOME").map(String::as_str);
    let mut own_dirs = own::stores(&mut paths, sandbox, data, &home, kept || union.is_some());
    let variable = |name: &str| env.get(name).map(String::as_str);
    own_dirs.extend(own::records(
        &mut paths,
        sandbox,
        variable("XDG_STATE_HOME"),
        variable("XDG_RUNTIME_DIR"),
        (&home, uid),
    ));
    if let Some(union) = &union {
        paths.record_source(&union.store, &homes);
        union.directories_above_mounts(sandbox).for_each(|dir| paths.record_entries(dir));
    }
    let rlimits = rlimits::of(|name| name == "fsize" || sandbox.rlimits.iter().any(|limit| limit.name == name));
    // What is not UTF-8 in these files can only be a comment.
    let names = |file: &str| match sandbox.network {
        Network::Host | Network::Private(_) | Network::Named(_) | Network::Joined(_) => {
            std::fs::read(file).ok().map(|text| String::from_utf8_lossy(&text).into_owned())
        }
        Network::None => None,
    };
    let resolv_conf = names("/etc/resolv.conf");
    let helpers = Helpers::find(&wanted, env.get("PATH").map_or("", String::as_str));
    let own_ids = |file: &str| match subordinate && uid == 0 {
        true => accounts::own_ranges(Path::new(file)),
        false => Vec::new(),
    };
    Facts {
        uid,
        gid,
        capabilities: crate::sys::effective_capabilities().unwrap_or(0),
        own_ids: (own_ids("/proc/self/uid_map"), own_ids("/proc/self/gid_map")),
        keeps_groups: uid == 0
            && std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim() == "deny"),
        groups: crate::sys::groups().into_iter().filter(|group| *group != gid).collect(),
        kernel,
        settings: None,
        group_names: match sandbox.filesystem.root {
            Root::Empty | Root::Bare => Vec::new(),
            _ => accounts::groups(Path::new("/etc/group")),
        },
        subuid: ranges("/etc/subuid"),
        subgid: ranges("/etc/subgid"),
        network: network::probe(sandbox, &helpers, resolv_conf.as_deref(), || {
            crate::state::Places::of(variable("XDG_STATE_HOME"), variable("XDG_RUNTIME_DIR"), &home)
        }),
        helpers: agents::with_askpass(helpers, asks.then_some(&env)),
        top: paths.take_top(),
        system: if confined { paths::system() } else { Vec::new() },
        pid: if confined { std::process::id() } else { 0 },
        git_identity: sandbox.services.git_identity.then(|| git_identity::read(&env, &home, &cwd, &agents)),
        agents,
        landlock: match sandbox.security.landlock {
            Requirement::Off => None,
            _ => crate::sys::landlock_version().ok(),
        },
        cgroup: sandbox.limits.wanted().then(|| cgroup_facts(&sandbox.limits, uid, &accounts, &env)),
        memory: sandbox.filesystem.memory.as_ref().map_or(0, |_| crate::sys::memory()),
        core_handler: rlimits::core_handler(&sandbox.rlimits, &rlimits, kernel),
        rlimits,
        home_store,
        machine_id: crate::sys::random_bytes().ok(),
        resolv_conf,
        hosts: names("/etc/hosts"),
        accounts,
        cwd,
        home,
        env,
        env_bytes: Vec::new(),
        paths,
        desktop,
        union,
        own_dirs,
        absent: BTreeMap::new(),
        kept_sockets: kept_sockets(sandbox),
        joined: sandbox.namespaces.joined.iter().map(|(kind, (pid, _))| (*kind, joined::probe(*pid, *kind))).collect(),
    }
}

/// The sockets among the descriptors that a program with another network gets, by which it reaches others in the caller's.
fn kept_sockets(sandbox: &Sandbox) -> Vec<i32> {
    let Descriptors::Only(kept) = &sandbox.process.descriptors else { return Vec::new() };
    let leads_out = |fd: &&i32| crate::sys::can_connect_anew(UnownedFd::new(**fd).as_fd());
    let other = sandbox.network != Network::Host;
    kept.iter().filter(|_| other).filter(leads_out).copied().collect()
}

fn namespaces() -> Vec<String> {
    let entries = crate::sys::read_dir("/proc/self/ns").into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.ends_with("_for_children"))
        .collect();
    names.sort();
    names
}

/// Gathers the facts about cgroups that these limits need.
pub fn cgroup_facts(
    limits: &crate::spec::limits::Limits,
    uid: u32,
    accounts: &[Account],
    env: &BTreeMap<String, String>,
) -> CgroupFacts {
    let name = accounts.iter().find(|account| account.uid == uid).map_or_else(|| uid.to_string(), |a| a.name.clone());
    cgroup::probe(limits, uid, &name, env)
}
