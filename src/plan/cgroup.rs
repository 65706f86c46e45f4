//! Chooses the parent of the sandbox's cgroup: a cgroup that is delegated to us, sbx.service, or a new scope of
//! systemd.

use crate::host::{CgroupFacts, Delegated, Hierarchy, Manager, SbxService, ScopeManager};
use serde::Serialize;
use std::path::PathBuf;

/// Where the sandbox's cgroup is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CgroupSource {
    /// Below a cgroup that this user may divide.
    Delegated {
        /// Directory of that cgroup.
        dir: PathBuf,
        /// sbx itself is in it, and must move to a leaf first: cgroups(7), "no internal processes".
        occupied: bool,
    },
    /// Below sbx.service, which the user keeps running for sandboxes.
    Service {
        /// Directory of the service's cgroup.
        dir: PathBuf,
        /// Socket of the systemd manager that has to move our process there; none if we can do it ourselves.
        mover: Option<String>,
        /// The source to use if the service has ended by then.
        otherwise: Option<Box<CgroupSource>>,
    },
    /// Below a scope that a systemd manager makes.
    Scope {
        /// Address of the manager: its own socket, or a D-Bus address.
        address: String,
        /// Whether it is the user's manager rather than the system's.
        user: bool,
        /// The scope's description, which `systemctl` shows.
        description: String,
    },
}

/// Why no cgroup can be made, and how to change that: the error's text and its hint.
pub(super) type NoCgroup = (String, String);

/// Controllers that the sandbox's cgroup is to have.
#[derive(Default)]
pub(super) struct Wanted {
    /// Controllers that it must have: a source without one of them is not chosen.
    pub needed: Vec<&'static str>,
    /// Whether it is to have the controllers of [`COUNTING`] as well, as far as the source can enable them.
    pub counted: bool,
}

/// A source that was chosen, with what it offers.
pub(super) struct Chosen {
    pub(super) source: CgroupSource,
    /// Controllers that a cgroup there can have.
    pub(super) offered: Vec<String>,
    /// The controllers of `offered` that are enabled for it, sorted, each once.
    pub(super) used: Vec<String>,
    /// Directory of the cgroup that the sandbox's will lie below.
    pub(super) below: PathBuf,
}

/// Describes where a cgroup would be made, with the controllers that it would have.
///
/// # Errors
///
/// Why none can be made, and the fix.
pub fn source(facts: &CgroupFacts) -> Result<(String, Vec<String>), NoCgroup> {
    let Chosen { source, offered, .. } = choose(facts, &Wanted::default(), "")?;
    let words = match source {
        CgroupSource::Delegated { dir, .. } => format!("delegated to us: {}", dir.display()),
        CgroupSource::Service { .. } => "sbx.service of the user's systemd manager".to_owned(),
        CgroupSource::Scope { user: true, .. } => "scopes of the user's systemd manager".to_owned(),
        CgroupSource::Scope { user: false, .. } => "scopes of the system's systemd manager".to_owned(),
    };
    Ok((words, offered))
}

/// Chooses the first source that has the controllers in `wanted.needed`. `description` is for a scope.
///
/// # Errors
///
/// Why no source has them, and the fix.
pub(super) fn choose(facts: &CgroupFacts, wanted: &Wanted, description: &str) -> Result<Chosen, NoCgroup> {
    let needed = &wanted.needed;
    unified(facts.hierarchy)?;
    // If no delegated cgroup will do, the error gives the reason of the last.
    let mut why = None;
    for delegated in &facts.delegated {
        match divide(delegated, wanted) {
            Ok(chosen) => return Ok(chosen),
            Err(no) => why = Some(no),
        }
    }
    let mut reasons = Vec::from_iter(why);
    if facts.read_only {
        reasons.push("/sys/fs/cgroup is mounted read-only, as in a container".to_owned());
    }
    let manager = match &facts.manager {
        ScopeManager::Available(manager) => Some(manager),
        ScopeManager::Missing(..) => None,
    };
    let scope = manager.filter(|manager| lacking(&manager.controllers, needed).is_empty() && !facts.read_only);
    let scope = scope.map(|manager| scope_of(manager, wanted, description));
    if let Some(kept) = facts.kept.as_ref().filter(|kept| lacking(&kept.controllers, needed).is_empty())
        && (kept.reached || manager.is_some())
    {
        return Ok(service(kept, manager, wanted, scope));
    }
    scope.ok_or_else(|| no_source_error(facts, needed, reasons))
}

/// Checks that cgroup v2 alone is mounted: an ordinary user cannot divide a cgroup of v1.
fn unified(hierarchy: Hierarchy) -> Result<(), NoCgroup> {
    let unify = "boot with systemd.unified_cgroup_hierarchy=1, which is systemd's default";
    let (why, fix) = match hierarchy {
        Hierarchy::Unified => return Ok(()),
        Hierarchy::Hybrid => {
            ("the controllers are mounted as cgroup v1 (a hybrid hierarchy), which no ordinary user can divide", unify)
        }
        Hierarchy::Legacy => ("only cgroup v1 is mounted, which no ordinary user can divide", unify),
        Hierarchy::Absent => {
            ("no cgroup2 file system is mounted at /sys/fs/cgroup", "as root: mount -t cgroup2 none /sys/fs/cgroup")
        }
    };
    Err((why.to_owned(), fix.to_owned()))
}

/// The controllers of `needed` that `have` lacks.
fn lacking(have: &[String], needed: &[&str]) -> Vec<String> {
    needed.iter().filter(|name| !have.iter().any(|other| other == *name)).map(|name| (*name).to_owned()).collect()
}

/// The controllers of each source, from the innermost cgroup to the outermost, which has the controllers of all others.
fn offers(facts: &CgroupFacts) -> impl DoubleEndedIterator<Item = &[String]> {
    let manager = match &facts.manager {
        ScopeManager::Available(manager) => Some(&manager.controllers),
        ScopeManager::Missing(..) => None,
    };
    let kept = facts.kept.iter().map(|kept| &kept.controllers);
    kept.chain(facts.delegated.iter().map(|ours| &ours.controllers)).chain(manager).map(Vec::as_slice)
}

/// Whether a list of controllers has this one.
fn has(list: &[String], name: &str) -> bool {
    list.iter().any(|other| other == name)
}

/// Whether any source has this controller, or any source exists if the name is empty.
pub(super) fn available(facts: &CgroupFacts, controller: &str) -> bool {
    facts.hierarchy == Hierarchy::Unified && offers(facts).any(|list| controller.is_empty() || has(list, controller))
}

/// Controllers that count what is used.
const COUNTING: [&str; 4] = ["cpu", "memory", "pids", "io"];

/// The controllers of [`COUNTING`] that the outermost source has.
pub(super) fn countable(facts: &CgroupFacts) -> impl Iterator<Item = &'static str> {
    let widest = offers(facts).next_back().unwrap_or_default();
    COUNTING.into_iter().filter(move |name| has(widest, name))
}

/// The controllers to enable for the sandbox's cgroup at a source that has the controllers `offered`, of which it can
/// enable `at_hand` for its children.
fn used(wanted: &Wanted, offered: &[String], at_hand: &[String]) -> Vec<String> {
    let counted = COUNTING.into_iter().filter(|name| wanted.counted && has(offered, name) && has(at_hand, name));
    let mut used: Vec<_> = wanted.needed.iter().copied().chain(counted).map(str::to_owned).collect();
    used.sort_unstable();
    used.dedup();
    used
}

/// Takes a delegated cgroup as the source, or says why it cannot give its children these controllers.
fn divide(delegated: &Delegated, wanted: &Wanted) -> Result<Chosen, String> {
    let absent = lacking(&delegated.controllers, &wanted.needed);
    let dir = delegated.dir.display();
    if !absent.is_empty() {
        return Err(format!("{dir} is delegated to us without {}", absent.join(", ")));
    }
    if !delegated.others.is_empty() && !lacking(&delegated.enabled, &wanted.needed).is_empty() {
        let others = match delegated.others.as_slice() {
            [one] => format!("process {one} is"),
            more => format!("processes {} are", more.join(", ")),
        };
        return Err(format!(
            "{dir} is delegated to us, and {others} in it, so no controller can be enabled for its children"
        ));
    }
    // Where other processes are in it, no further controller can be enabled (cgroups(7), "no internal processes").
    let at_hand = if delegated.others.is_empty() { &delegated.controllers } else { &delegated.enabled };
    let used = used(wanted, &delegated.controllers, at_hand);
    let occupied = delegated.occupied && used.iter().any(|name| !has(&delegated.enabled, name));
    Ok(Chosen {
        source: CgroupSource::Delegated { dir: delegated.dir.clone(), occupied },
        offered: delegated.controllers.clone(),
        used,
        below: delegated.dir.clone(),
    })
}

/// A scope of this manager as the source.
fn scope_of(manager: &Manager, wanted: &Wanted, description: &str) -> Chosen {
    let source = CgroupSource::Scope {
        address: manager.address.clone(),
        user: manager.user,
        description: description.to_owned(),
    };
    let offered = manager.controllers.clone();
    Chosen { source, used: used(wanted, &offered, &offered), offered, below: manager.dir.clone() }
}

/// sbx.service as the source, with `scope` in case it has ended by the time that the cgroup is made.
fn service(kept: &SbxService, manager: Option<&Manager>, wanted: &Wanted, scope: Option<Chosen>) -> Chosen {
    let source = CgroupSource::Service {
        dir: kept.dir.clone(),
        mover: manager.filter(|_| !kept.reached).map(|manager| manager.address.clone()),
        otherwise: scope.map(|scope| Box::new(scope.source)),
    };
    let offered = kept.controllers.clone();
    Chosen { source, used: used(wanted, &offered, &offered), offered, below: kept.dir.clone() }
}

/// The error where no source has these controllers; `reasons` holds what is known so far.
fn no_source_error(facts: &CgroupFacts, needed: &[&str], mut reasons: Vec<String>) -> NoCgroup {
    let fix = match &facts.manager {
        ScopeManager::Available(manager) if !facts.read_only => {
            let absent = lacking(&manager.controllers, needed);
            let list = absent.join(", ");
            // The kernel's own list is whole at the hierarchy's root, which a container does not see.
            if absent.iter().any(|name| !facts.kernel.contains(name)) {
                reasons = vec![format!("this kernel has no cgroup v2 controller {list}")];
                "take the limit out, or write `,prefer` behind it".to_owned()
            } else {
                reasons.push(format!("systemd does not delegate {list} to the user's manager"));
                let all = manager.controllers.iter().chain(&absent).cloned().collect::<Vec<_>>().join(" ");
                format!(
                    "as root: mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate={all}\\n' \
                     >/etc/systemd/system/user@.service.d/delegate.conf && systemctl daemon-reload, and log in anew"
                )
            }
        }
        // The manager may make a scope, but cgroups are read-only here, so the scope cannot be divided.
        ScopeManager::Available(_) => hand_on(facts, None),
        ScopeManager::Missing(why, fix) => {
            reasons.push(why.clone());
            hand_on(facts, Some(fix))
        }
    };
    (reasons.join("; "), fix)
}

/// The fix where no manager makes a scope: `manager` is the hint on how to get one.
fn hand_on(facts: &CgroupFacts, manager: Option<&String>) -> String {
    match (facts.delegated.last(), manager) {
        (Some(delegated), _) if !delegated.others.is_empty() => format!(
            "move them to a leaf: mkdir {0}/leaf && for p in $(cat {0}/cgroup.procs); do echo $p >{0}/leaf/cgroup.procs; done",
            delegated.dir.display()
        ),
        (_, Some(fix)) if !facts.read_only => fix.clone(),
        _ => "have the container mount it writable with a cgroup namespace of its own (podman: --cgroupns=private \
              --security-opt unmask=/sys/fs/cgroup), or start sbx outside of it"
            .to_owned(),
    }
}
