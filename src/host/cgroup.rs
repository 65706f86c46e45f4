//! Finds out where a sandbox's cgroup can be created: cgroups(7), "Delegation", and systemd's doc/CGROUP_DELEGATION.

use crate::spec::limits::{Limits, Value};
use crate::sys;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The cgroup version of this host, as mounted at /sys/fs/cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Hierarchy {
    /// cgroup v2 only.
    Unified,
    /// cgroup v1 with the controllers, and cgroup v2 without.
    Hybrid,
    /// cgroup v1 only.
    Legacy,
    /// No cgroups.
    #[default]
    Absent,
}

/// What the host offers for a sandbox's cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct CgroupFacts {
    /// The cgroup version that is mounted.
    pub hierarchy: Hierarchy,
    /// /sys/fs/cgroup is mounted read-only, as in most containers.
    pub read_only: bool,
    /// Directory of the cgroup that the caller is in.
    pub own: PathBuf,
    /// cgroup v2 controllers that are available at the root.
    pub kernel: Vec<String>,
    /// Cgroups in which sbx may create others: the caller's own and those above it, up to the one that was delegated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delegated: Vec<Delegated>,
    /// Limits of the cgroups that the caller is in, each with the cgroup's directory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<(PathBuf, String)>,
    /// `sbx.service`, if the user runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<SbxService>,
    /// A systemd manager that can create scopes, or why there is none and how to fix that.
    pub manager: ScopeManager,
    /// For each path in an I/O limit, the number (MAJOR:MINOR) of the whole disk that it is on, or why there is none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub devices: BTreeMap<PathBuf, std::result::Result<String, String>>,
    /// Huge page sizes of this kernel, as in the names of the hugetlb controller's files, such as `2MB`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<String>,
}

/// A systemd manager that can create scopes, or why there is none and how to fix that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScopeManager {
    /// A manager that can create scopes.
    #[serde(rename = "by")]
    Available(Manager),
    /// Why there is no manager, and how to fix that.
    Missing(String, String),
}

impl Default for ScopeManager {
    fn default() -> ScopeManager {
        ScopeManager::Missing(String::new(), String::new())
    }
}

/// A cgroup in which sbx may create others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Delegated {
    /// Its directory.
    pub dir: PathBuf,
    /// Controllers that can be enabled for its children: cgroup.controllers.
    pub controllers: Vec<String>,
    /// Controllers already enabled for its children: cgroup.subtree_control.
    pub enabled: Vec<String>,
    /// The caller is in this cgroup itself, rather than in one below it.
    pub occupied: bool,
    /// Other processes in this cgroup, each as `PID (NAME)`.
    pub others: Vec<String>,
}

/// The cgroup of `sbx.service`. The service has an idle process, since systemd removes empty cgroups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct SbxService {
    /// Its directory.
    pub dir: PathBuf,
    /// Controllers that can be enabled for its children: cgroup.controllers.
    pub controllers: Vec<String>,
    /// The user may write to the common ancestor of this cgroup and the caller's: so a process may be created in it, or
    /// move to it (cgroups(7), "Delegation containment").
    pub reached: bool,
}

/// A systemd manager, of the system or of the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Manager {
    /// Directory that the manager's cgroups are below.
    pub dir: PathBuf,
    /// Path of the manager's own socket, or address of the bus.
    pub address: String,
    /// It is the user's manager rather than the system's.
    pub user: bool,
    /// Controllers that the manager can enable for its cgroups.
    pub controllers: Vec<String>,
}

const ROOT: &str = "/sys/fs/cgroup";

/// The directory of the cgroup v2 that a process is in, from the content of its /proc/PID/cgroup.
fn own(text: &str) -> Option<PathBuf> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(Path::new(ROOT).join(path.trim_start_matches('/')))
}

/// The directory of the cgroup v2 that this process is in now.
pub fn own_cgroup() -> Option<PathBuf> {
    own(&std::fs::read_to_string("/proc/self/cgroup").ok()?)
}

/// Gathers all facts about cgroups that these limits need. `name` is the user's name.
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
        facts.limits = above(&facts.own, &if uid == 0 { ROOT.into() } else { user_manager_dir(uid) });
    }
    facts.manager = manager(uid, name, &runtime, env);
    for limit in &limits.list {
        if let Value::Device(path, _) = &limit.value {
            facts.devices.insert(path.clone(), device(path));
        }
    }
    if limits.list.iter().any(|limit| matches!(limit.value, Value::Pages(..))) {
        let names = sys::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten().flatten();
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

/// The words of a file; none if it cannot be read.
fn words(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// Limits of the caller's cgroups that a sandbox in a scope of the manager would escape.
fn above(own: &Path, manager: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for dir in own.ancestors().take_while(|dir| dir.starts_with(ROOT) && !manager.starts_with(dir)) {
        for file in ["memory.max", "memory.high", "memory.swap.max", "cpu.max", "cpuset.cpus", "io.max"] {
            // A short line, which one read(2) gives whole.
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

/// The cgroups from the caller's own up to the nearest that was delegated. That one is writable does not mean that it
/// was delegated: the user's manager creates all of its cgroups as the user.
fn delegated(own: &Path, runtime: &Path) -> Vec<Delegated> {
    // A cgroup outside of the cgroup namespace's root is named by `..`.
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

/// Whether sbx may create cgroups in this one: its permissions allow it, and it is no slice, since systemd never
/// delegates those (systemd.resource-control(5), Delegate=).
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
    // The cgroup namespace's root, as in a container, is delegated unless a systemd in there manages it. The root of
    // the whole hierarchy has no cgroup.type.
    if dir == Path::new(ROOT) {
        return dir.join("cgroup.type").exists() && !dir.join("init.scope").exists();
    }
    // The user manager's own cgroup is delegated to that manager.
    if name.starts_with("user@") && name.ends_with(".service") {
        return false;
    }
    // The system's manager marks delegated units with this attribute.
    if sys::attribute(dir, c"user.delegate").as_deref() == Some(b"1") {
        return true;
    }
    // Transient units, as of `systemd-run -p Delegate=yes`, have a unit file that says so.
    let user = dir.components().any(|part| part.as_os_str().to_string_lossy().starts_with("user@"));
    let units = if user { runtime.join("systemd/transient") } else { PathBuf::from("/run/systemd/transient") };
    let text = std::fs::read_to_string(units.join(name)).unwrap_or_default();
    let value = text.lines().filter_map(|line| line.trim().strip_prefix("Delegate=")).next_back();
    value.is_some_and(|value| !["", "no", "false", "0", "off"].contains(&value))
}

/// The directory of the user manager's cgroup.
fn user_manager_dir(uid: u32) -> PathBuf {
    Path::new(ROOT).join(format!("user.slice/user-{uid}.slice/user@{uid}.service"))
}

fn kept(uid: u32, own: &Path) -> Option<SbxService> {
    // For root, the system's manager creates scopes.
    if uid == 0 {
        return None;
    }
    let manager = user_manager_dir(uid);
    let dir = manager.join("sbx.slice/sbx.service");
    let controllers = words(&dir.join("cgroup.controllers"));
    // If sbx itself runs in that service, it is not one for sandboxes.
    (!controllers.is_empty() && !own.starts_with(&dir)).then(|| SbxService {
        reached: own.starts_with(&manager),
        dir,
        controllers,
    })
}

fn manager(uid: u32, name: &str, runtime: &Path, env: &BTreeMap<String, String>) -> ScopeManager {
    let no = |why: String, fix: &str| ScopeManager::Missing(why, fix.to_owned());
    if !Path::new("/run/systemd/system").exists() {
        return no(
            "systemd does not run here".into(),
            "ask whoever started this container or job to delegate a cgroup: a writable /sys/fs/cgroup in a cgroup namespace of its own",
        );
    }
    if uid == 0 {
        let controllers = words(&Path::new(ROOT).join("cgroup.controllers"));
        return ScopeManager::Available(Manager {
            dir: ROOT.into(),
            address: "/run/systemd/private".into(),
            user: false,
            controllers,
        });
    }
    let service = user_manager_dir(uid);
    // XDG_RUNTIME_DIR may have been changed for this program; the manager's socket is in the usual directory then.
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
            return ScopeManager::Missing(why, fix);
        }
        None => {
            return no(
                format!("{name}'s systemd manager does not run: there is no socket of it in {}", runtime.display()),
                "systemctl start user@$(id -u) as root, or log in anew",
            );
        }
    };
    if !service.exists() {
        return no(
            format!("{name}'s systemd manager has no cgroup that is visible here"),
            "in a container, run sbx where the manager runs, or have a cgroup delegated to it",
        );
    }
    let controllers = words(&service.join("cgroup.controllers"));
    ScopeManager::Available(Manager { dir: service, address, user: true, controllers })
}

/// MAJOR:MINOR of the disk that a path is or is on, since io.max takes no partitions; or why there is none.
fn device(path: &Path) -> std::result::Result<String, String> {
    use std::os::unix::fs::FileTypeExt;
    let facts = std::fs::metadata(path).map_err(|error| sys::Errno::from(error).to_string())?;
    let number = if facts.file_type().is_block_device() { facts.rdev() } else { facts.dev() };
    let (major, minor) = (libc::major(number), libc::minor(number));
    let block = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
    if !block.exists() {
        return Err(format!("it lies on no disk (device {major}:{minor}): name the disk, such as /dev/sda"));
    }
    // In sysfs, a partition's directory is below that of its disk.
    let dir = if block.join("partition").exists() { block.join("..") } else { block };
    let text = std::fs::read_to_string(dir.join("dev")).map_err(|error| sys::Errno::from(error).to_string())?;
    Ok(text.trim().to_owned())
}
