//! Where a sandbox's cgroup can come from: cgroups(7), "Delegation", and systemd's doc/CGROUP_DELEGATION.

use crate::spec::limits::{Limits, Value};
use crate::sys;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is mounted at /sys/fs/cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Hierarchy {
    /// cgroup v2 alone.
    Unified,
    /// v1 with its controllers, and v2 without.
    Hybrid,
    /// v1 alone.
    Legacy,
    /// Nothing.
    #[default]
    Absent,
}

/// What there is for a sandbox's cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct CgroupFacts {
    /// What is mounted.
    pub hierarchy: Hierarchy,
    /// The mount is read-only, as in a container.
    pub read_only: bool,
    /// The directory of the cgroup that the caller is in.
    pub own: PathBuf,
    /// Controllers that this kernel has for v2.
    pub kernel: Vec<String>,
    /// The cgroups that are ours to divide: our own and those above it up to the one that was handed to us.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delegated: Vec<Delegated>,
    /// Limits of cgroups that we are in, each with its directory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<(PathBuf, String)>,
    /// The service that a user keeps for sandboxes, if it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
    /// A manager that makes scopes, or why there is none, and what mends that.
    pub manager: Managed,
    /// Devices that paths of limits lie on: the whole disk's number, or why it cannot be told.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub devices: BTreeMap<PathBuf, std::result::Result<String, String>>,
    /// Sizes of huge pages, as the files' names have them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<String>,
}

/// A manager that makes scopes, or why there is none, and what mends that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Managed {
    /// There it is.
    By(Manager),
    /// Why not, and the fix.
    Missing(String, String),
}

impl Default for Managed {
    fn default() -> Managed {
        Managed::Missing(String::new(), String::new())
    }
}

/// A cgroup that is ours to divide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Delegated {
    /// Its directory.
    pub dir: PathBuf,
    /// cgroup.controllers: what can be handed on.
    pub controllers: Vec<String>,
    /// cgroup.subtree_control: what is.
    pub enabled: Vec<String>,
    /// We are in it ourselves, rather than in one below.
    pub occupied: bool,
    /// Who else is.
    pub others: Vec<String>,
}

/// The cgroup of `sbx.service`, which has a process of its own that does nothing: systemd keeps no empty one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Kept {
    /// Its directory.
    pub dir: PathBuf,
    /// cgroup.controllers.
    pub controllers: Vec<String>,
    /// Nobody's cgroup but ours lies between it and ours: a process of ours may be born there.
    pub reached: bool,
}

/// A systemd manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Manager {
    /// The directory that its cgroups lie below.
    pub dir: PathBuf,
    /// Its own socket, or the bus's address.
    pub address: String,
    /// The user's rather than the system's.
    pub user: bool,
    /// Controllers that it may hand on.
    pub controllers: Vec<String>,
}

const ROOT: &str = "/sys/fs/cgroup";

/// The directory of the cgroup v2 that this process is in, of what /proc/self/cgroup says.
fn own(text: &str) -> Option<PathBuf> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(Path::new(ROOT).join(path.trim_start_matches('/')))
}

/// The directory of the cgroup v2 that this process is in by now.
pub fn own_cgroup() -> Option<PathBuf> {
    own(&std::fs::read_to_string("/proc/self/cgroup").ok()?)
}

/// Looks for all of it.
pub fn probe(limits: &Limits, uid: u32, name: &str, env: &BTreeMap<String, String>) -> CgroupFacts {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let v1 = text.lines().any(|line| !line.starts_with("0::") && line.split(':').nth(1).is_some_and(|c| !c.is_empty()));
    let v2 = own(&text);
    let unified = sys::is_cgroup2(Path::new(ROOT));
    let hierarchy = match (unified, v1, v2.is_some()) {
        (true, ..) => Hierarchy::Unified,
        (false, true, true) => Hierarchy::Hybrid,
        (false, true, false) => Hierarchy::Legacy,
        _ => Hierarchy::Absent,
    };
    let mut facts = CgroupFacts { hierarchy, ..CgroupFacts::default() };
    if hierarchy != Hierarchy::Unified {
        return facts;
    }
    facts.read_only = sys::is_read_only(Path::new(ROOT));
    facts.kernel = words(&Path::new(ROOT).join("cgroup.controllers"));
    facts.own = v2.unwrap_or_else(|| ROOT.into());
    let runtime = env.get("XDG_RUNTIME_DIR").map_or_else(|| PathBuf::from(format!("/run/user/{uid}")), PathBuf::from);
    if !facts.read_only {
        facts.delegated = delegated(&facts.own, &runtime);
        facts.kept = kept(uid, &facts.own);
        facts.limits = above(&facts.own, &if uid == 0 { ROOT.into() } else { managers(uid) });
    }
    facts.manager = manager(uid, name, &runtime, env);
    for limit in &limits.list {
        if let Value::Device(path, _) = &limit.value {
            facts.devices.insert(path.clone(), device(path));
        }
    }
    if limits.list.iter().any(|limit| matches!(limit.value, Value::Pages(..))) {
        let names = std::fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten().flatten();
        let sizes = names.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let kilobytes: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
            Some(match kilobytes {
                kb if kb >= 1 << 20 => format!("{}GB", kb >> 20),
                kb if kb >= 1 << 10 => format!("{}MB", kb >> 10),
                kb => format!("{kb}KB"),
            })
        });
        facts.pages = sizes.collect();
    }
    facts
}

/// The words of a file.
fn words(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// Limits that hold for us, of those that a sandbox elsewhere would be without.
fn above(own: &Path, manager: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for dir in own.ancestors().take_while(|dir| dir.starts_with(ROOT) && !manager.starts_with(dir)) {
        for file in ["memory.max", "memory.high", "memory.swap.max", "cpu.max", "cpuset.cpus", "io.max"] {
            // Numbers, which come at once.
            let mut bytes = [0; 64];
            let read = std::fs::File::open(dir.join(file)).and_then(|mut file| file.read(&mut bytes));
            let text = String::from_utf8_lossy(bytes.get(..read.unwrap_or(0)).unwrap_or_default());
            if !text.trim().is_empty() && !text.starts_with("max") {
                found.push((dir.to_owned(), format!("{file} = {}", text.lines().next().unwrap_or_default())));
            }
        }
    }
    found
}

/// The cgroups from our own up to the nearest that somebody handed to us. That we could write to one does not say so: the user's manager
/// makes all of its cgroups as the user.
fn delegated(own: &Path, runtime: &Path) -> Vec<Delegated> {
    // What lies outside of our namespace's root is named by `..`.
    if own.components().any(|part| part == std::path::Component::ParentDir) {
        return Vec::new();
    }
    let line: Vec<_> = own.ancestors().take_while(|dir| dir.starts_with(ROOT)).collect();
    let handed = line.iter().position(|dir| is_delegated(dir, runtime));
    let line = line.into_iter().take(handed.map_or(0, |at| at + 1));
    line.filter(|dir| may_divide(dir)).map(|dir| divisible(dir, own)).collect()
}

fn divisible(dir: &Path, own: &Path) -> Delegated {
    let processes = words(&dir.join("cgroup.procs"));
    let us = sys::pid().to_string();
    let others = processes.iter().filter(|pid| **pid != us).map(|pid| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        format!("{pid} ({})", name.trim())
    });
    Delegated {
        dir: dir.to_owned(),
        controllers: words(&dir.join("cgroup.controllers")),
        enabled: words(&dir.join("cgroup.subtree_control")),
        occupied: dir == own,
        others: others.collect(),
    }
}

/// Whether the permissions allow it, and it is none of systemd's slices, which it never delegates: systemd.resource-control(5), Delegate=.
fn may_divide(dir: &Path) -> bool {
    let writable = |name: &str| {
        let path = CString::new(dir.join(name).as_os_str().as_bytes()).unwrap_or_default();
        sys::may(sys::cwd(), &path, libc::W_OK).is_ok()
    };
    let slice = dir.extension().is_some_and(|extension| extension == "slice");
    !slice && ["", "cgroup.procs", "cgroup.subtree_control"].into_iter().all(writable)
}

fn is_delegated(dir: &Path, runtime: &Path) -> bool {
    if !may_divide(dir) {
        return false;
    }
    let Some(name) = dir.file_name().and_then(|name| name.to_str()) else { return false };
    // The root of our namespace: a container's own, unless a systemd in it divides it. The hierarchy's true root has no type.
    if dir == Path::new(ROOT) {
        return dir.join("cgroup.type").exists() && !dir.join("init.scope").exists();
    }
    // The manager's own, which is the manager's to divide.
    if name.starts_with("user@") && name.ends_with(".service") {
        return false;
    }
    // Of units of the system's manager.
    if sys::attribute(dir, c"user.delegate").as_deref() == Some(b"1") {
        return true;
    }
    // Of units that were made at run time, which have a file, as with `systemd-run -p Delegate=yes`.
    let user = dir.components().any(|part| part.as_os_str().to_string_lossy().starts_with("user@"));
    let units = if user { runtime.join("systemd/transient") } else { PathBuf::from("/run/systemd/transient") };
    let text = std::fs::read_to_string(units.join(name)).unwrap_or_default();
    let value = text.lines().filter_map(|line| line.trim().strip_prefix("Delegate=")).next_back();
    value.is_some_and(|value| !["", "no", "false", "0", "off"].contains(&value))
}

/// The directory of the user's manager.
fn managers(uid: u32) -> PathBuf {
    Path::new(ROOT).join(format!("user.slice/user-{uid}.slice/user@{uid}.service"))
}

fn kept(uid: u32, own: &Path) -> Option<Kept> {
    // Root's scopes are of the system's manager.
    if uid == 0 {
        return None;
    }
    let manager = managers(uid);
    let dir = manager.join("sbx.slice/sbx.service");
    let controllers = words(&dir.join("cgroup.controllers"));
    // One that runs sbx itself is another.
    (!controllers.is_empty() && !own.starts_with(&dir)).then(|| Kept {
        reached: own.starts_with(&manager),
        dir,
        controllers,
    })
}

fn manager(uid: u32, name: &str, runtime: &Path, env: &BTreeMap<String, String>) -> Managed {
    let no = |why: String, fix: &str| Managed::Missing(why, fix.to_owned());
    if !Path::new("/run/systemd/system").exists() {
        return no(
            "systemd does not run here".into(),
            "have who started this container or job hand a cgroup on: its /sys/fs/cgroup writable, in a cgroup namespace of its own",
        );
    }
    if uid == 0 {
        let controllers = words(&Path::new(ROOT).join("cgroup.controllers"));
        return Managed::By(Manager {
            dir: ROOT.into(),
            address: "/run/systemd/private".into(),
            user: false,
            controllers,
        });
    }
    let service = managers(uid);
    // Where there is no runtime directory of that name, as where a program has been given another, the usual one may still be there.
    let usual = PathBuf::from(format!("/run/user/{uid}/systemd/private"));
    let private = Some(runtime.join("systemd/private")).filter(|path| path.exists()).unwrap_or(usual);
    let address = match env.get("DBUS_SESSION_BUS_ADDRESS") {
        _ if private.exists() => private.display().to_string(),
        Some(address) => address.clone(),
        None if runtime.join("bus").exists() => format!("unix:path={}", runtime.join("bus").display()),
        None if !runtime.exists() => {
            let why = format!("{name} has no session here: there is no {}", runtime.display());
            let fix = format!(
                "log in (ssh, a console; su and sudo make no session), or as root: loginctl enable-linger {name}"
            );
            return Managed::Missing(why, fix);
        }
        None => {
            return no(
                format!("{name}'s systemd manager does not run: {} has no socket of it", runtime.display()),
                "systemctl start user@$(id -u) as root, or log in anew",
            );
        }
    };
    if !service.exists() {
        return no(
            format!("{name}'s systemd manager is in no cgroup that is seen here"),
            "in a container, run sbx where the manager runs, or have a cgroup handed on",
        );
    }
    let controllers = words(&service.join("cgroup.controllers"));
    Managed::By(Manager { dir: service, address, user: true, controllers })
}

/// MAJOR:MINOR of the disk that a path is, or lies on: io.max takes no partitions.
fn device(path: &Path) -> std::result::Result<String, String> {
    use std::os::unix::fs::FileTypeExt;
    let facts = std::fs::metadata(path).map_err(|error| sys::Errno::from(error).to_string())?;
    let number = if facts.file_type().is_block_device() { facts.rdev() } else { facts.dev() };
    let (major, minor) = (libc::major(number), libc::minor(number));
    let block = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
    if !block.exists() {
        return Err(format!("it lies on no disk (device {major}:{minor}): name the disk, such as /dev/sda"));
    }
    // A partition lies below its disk.
    let dir = if block.join("partition").exists() { block.join("..") } else { block };
    let text = std::fs::read_to_string(dir.join("dev")).map_err(|error| sys::Errno::from(error).to_string())?;
    Ok(text.trim().to_owned())
}
