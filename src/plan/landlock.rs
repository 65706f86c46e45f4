//! Landlock's rules, made from the view: a second barrier behind the flags of mounts. Each path is granted what its
//! mode allows and no more.
//!
//! A rule grants rights on everything below its path (landlock(7)), so a stricter path below a freer one is protected
//! by its mount alone.

use super::tree::{Places, upwards};
use super::{Attributes, Op, Placed};
use crate::error::{Error, Result};
use crate::host::{Facts, Kind};
use crate::spec::{Namespace, Requirement, Sandbox, X11};
use crate::sys::{
    FS_EXECUTE, FS_IOCTL_DEV, FS_MAKE_DEVICES, FS_READ_DIR, FS_READ_FILE, FS_REFER, FS_TRUNCATE, FS_WRITE_FILE,
    SCOPE_ABSTRACT, SCOPE_SIGNAL,
};
use landlock::{ABI, Access, AccessFs};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What Landlock enforces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LandlockPlan {
    /// Version of Landlock's interface (ABI).
    pub version: i32,
    /// The rights that are denied except where a rule grants them (LANDLOCK_ACCESS_FS_*).
    pub rights: u64,
    /// What is kept inside the sandbox: signals and abstract sockets (LANDLOCK_SCOPE_*).
    pub scoped: u64,
    /// Paths inside, each with the rights that it grants.
    pub rules: Vec<(PathBuf, u64)>,
    /// The ports that TCP connections may go to; none if Landlock does not govern them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<Vec<u16>>,
}

impl LandlockPlan {
    /// Which TCP connections are possible, in words; none if they are not governed.
    pub(super) fn tcp_words(&self) -> Option<String> {
        let ports = self.tcp.as_deref()?;
        // A range that a line names is one again.
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for port in ports {
            match ranges.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(*port) => *last = *port,
                _ => ranges.push((*port, *port)),
            }
        }
        let word = |(first, last): &(u16, u16)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        let words: Vec<_> = ranges.iter().map(word).collect();
        Some(format!("TCP connections to port {} alone", words.join(", ")))
    }

    /// What is not enforced, each in one line: what this kernel's version lacks, and scopes that the profile rules out.
    pub(super) fn missing(&self) -> Vec<String> {
        let version = self.version;
        let rights = [
            (FS_REFER, "moving files between directories (version 2)"),
            (FS_TRUNCATE, "truncating files (version 3)"),
            (FS_IOCTL_DEV, "ioctl of devices (version 5)"),
        ];
        let rights = rights.iter().filter(|(right, _)| self.rights & right == 0);
        let rights = rights.map(|(_, what)| format!("this kernel's version {version} does not govern {what}"));
        let scopes = (version < 6).then(|| {
            format!("this kernel's version {version} does not keep signals and abstract sockets inside (version 6)")
        });
        let x_server = (version >= 6 && self.scoped & SCOPE_ABSTRACT == 0).then(|| {
            "abstract sockets are not kept inside: with desktop.x11 and the host's network, programs look for the X server there".to_owned()
        });
        rights.chain(scopes).chain(x_server).collect()
    }
}

/// The newest version of the interface whose rights sbx knows. Newer kernels support it too.
pub const NEWEST: i32 = 6;

/// The rights that a rule for a file, rather than a directory, may grant.
const OF_FILES: u64 = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV;
/// Rights to read files and list directories.
const READ: u64 = FS_READ_FILE | FS_READ_DIR;
/// Rights to use a device file.
const DEVICE: u64 = FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV;

/// Decides whether Landlock is used, and with which rules. The inner `Err` says why it is not used.
///
/// # Errors
///
/// `security.landlock` is `require`, and Landlock cannot be used in full.
pub(super) fn plan(
    sandbox: &Sandbox,
    view: &[Placed],
    facts: &Facts,
) -> Result<std::result::Result<LandlockPlan, String>> {
    let wanted = sandbox.security.landlock;
    let version = facts.landlock;
    let missing = match version {
        _ if wanted == Requirement::Off => return Ok(Err("security.landlock is off".into())),
        None | Some(..1) => {
            Some("this kernel has no Landlock, or it is not switched on (lsm= of the kernel's command line)")
        }
        Some(1) if wanted == Requirement::Prefer => {
            Some("this kernel's first version of Landlock would forbid moving files between directories")
        }
        _ if sandbox.namespaces.mounts && wanted == Requirement::Prefer => {
            Some("namespaces.nested allows sandboxes inside, and Landlock would forbid them to mount")
        }
        _ => None,
    };
    if let Some(why) = missing {
        if wanted == Requirement::Require {
            return Err(Error::new(format!("security.landlock is `require`: {why}"))
                .origin(&sandbox.security.landlock_origin)
                .hint("boot with lsm=landlock,... or a kernel from 5.13 on that has it; or write `prefer`"));
        }
        return Ok(Err(why.into()));
    }
    let version = version.unwrap_or(0).min(NEWEST);
    let rights = AccessFs::from_all(ABI::from(version)).bits();
    let private = |namespace| !sandbox.namespaces.share.contains_key(&namespace);
    // libxcb asks for the X server's abstract socket first, and takes EPERM for an answer.
    let x_server = sandbox.desktop.x11 == X11::Host && !private(Namespace::Net);
    let abstracts = if x_server { 0 } else { SCOPE_ABSTRACT };
    let scoped = match version {
        6.. if private(Namespace::Pid) => abstracts | SCOPE_SIGNAL,
        6.. => abstracts,
        _ => 0,
    };
    let mut rules = Rules { list: Vec::with_capacity(view.len()), known: Places::with_capacity(view.len()) };
    // `/` can always be listed.
    rules.allow(Path::new("/"), FS_READ_DIR & rights);
    let sealed = view.iter().filter_map(|placed| match &placed.op {
        Op::Seal { path } => Some(path.as_path()),
        _ => None,
    });
    let sealed = sealed.collect();
    for placed in view {
        if let Some((path, granted)) = granted(&placed.op, &sealed, facts) {
            rules.allow(path, granted & rights);
            if let Op::Devpts { path } = &placed.op {
                // The sandbox's terminal, if it gets one.
                rules.allow(&path.with_file_name("console"), DEVICE & rights);
            }
        }
    }
    let plan = LandlockPlan { version, rights, scoped, rules: rules.list, tcp: None };
    match plan.missing() {
        missing if missing.is_empty() || wanted == Requirement::Prefer => Ok(Ok(plan)),
        missing => Err(Error::new(format!(
            "security.landlock is `require`, but part of it cannot be enforced: {}",
            missing.join("; ")
        ))
        .origin(&sandbox.security.landlock_origin)
        .hint("write `prefer`: the rest is enforced, and the receipt says what is not; Linux 6.12 has all of it")),
    }
}

/// Rules, without those that one for a directory above makes superfluous. There may be thousands.
struct Rules {
    list: Vec<(PathBuf, u64)>,
    known: Places<u64>,
}

impl Rules {
    /// Grants rights below a path.
    fn allow(&mut self, path: &Path, granted: u64) {
        // Rights that a directory above grants need no rule.
        let above = upwards(path).filter_map(|above| self.known.get(above)).fold(0, |all, one| all | one);
        if granted & !above != 0 {
            self.known.insert(path, self.known.get(path).map_or(granted, |known| known | granted));
            self.list.push((path.to_owned(), granted));
        }
    }
}

/// The path and the rights that the rule for a part of the view has; `None` if it needs none. `sealed` are the paths of
/// mounts that become read-only in the end.
fn granted<'o>(op: &'o Op, sealed: &BTreeSet<&Path>, facts: &Facts) -> Option<(&'o Path, u64)> {
    let execute = |attributes: &Attributes| if attributes.noexec { 0 } else { FS_EXECUTE };
    let all = |attributes: &Attributes| (!FS_EXECUTE & !FS_MAKE_DEVICES & !FS_IOCTL_DEV) | execute(attributes);
    let (path, granted) = match op {
        Op::Bind { path, attributes, .. } if !attributes.nodev => (path, DEVICE),
        Op::Bind { path, attributes, .. } if attributes.ro => (path, READ | execute(attributes)),
        Op::Bind { path, attributes, .. } => (path, all(attributes)),
        Op::Layers { path, ro, noexec, .. } => {
            let attributes = Attributes { ro: *ro, nodev: true, noexec: *noexec };
            (path, if *ro { READ | execute(&attributes) } else { all(&attributes) })
        }
        Op::Tmpfs { path, .. } if sealed.contains(path.as_path()) => (path, READ | FS_EXECUTE),
        Op::Tmpfs { path, attributes, .. } => (path, all(attributes)),
        Op::File { path, over: false, .. } => (path, READ),
        Op::Mask { path, closed: false, .. } => (path, READ),
        Op::Proc { path, .. } => (path, READ | FS_WRITE_FILE | FS_TRUNCATE),
        Op::Devpts { path } => (path, DEVICE | FS_READ_DIR),
        Op::Cgroup { path, ro: true } => (path, READ),
        Op::Cgroup { path, .. } | Op::Mqueue { path, .. } => (path, !FS_EXECUTE & !FS_MAKE_DEVICES & !FS_IOCTL_DEV),
        _ => return None,
    };
    let file = match op {
        Op::Bind { source, .. } => facts.paths.kind(source) == Some(&Kind::File),
        Op::File { .. } | Op::Mask { dir: false, .. } => true,
        _ => false,
    };
    // landlock_add_rule(2) refuses a file's rule that grants rights of directories (EINVAL).
    Some((path, if file { granted & OF_FILES } else { granted }))
}
