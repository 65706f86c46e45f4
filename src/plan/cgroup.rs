//! Where the sandbox's cgroup comes from: one that was handed to us, the service that is kept, or a scope.

use crate::host::{CgroupFacts, Delegated, Hierarchy, Manager, SbxService, ScopeManager};
use serde::Serialize;
use std::path::PathBuf;

/// Where a cgroup comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CgroupSource {
    /// Below one that is ours to divide.
    Delegated {
        /// Its directory.
        dir: PathBuf,
        /// We are in it, and go to a leaf of our own first: cgroups(7), "no internal processes".
        occupied: bool,
    },
    /// Below the service that the user keeps for sandboxes.
    Service {
        /// Its directory.
        dir: PathBuf,
        /// The socket of the manager that has to move us there, where we cannot ourselves.
        mover: Option<String>,
        /// What is taken when it has ended meanwhile.
        otherwise: Option<Box<CgroupSource>>,
    },
    /// Below a scope that systemd makes.
    Scope {
        /// The manager's socket, or the bus's address.
        address: String,
        /// The user's manager.
        user: bool,
        /// What `systemctl` shows.
        description: String,
    },
}

/// Why there is none, and the fix.
pub(super) type Nowhere = (String, String);

/// Controllers that a sandbox is to have.
#[derive(Default)]
pub(super) struct Wanted {
    /// A source without one of these is no use.
    pub needed: Vec<&'static str>,
    /// Those that count are wanted as well, as far as the source has them and can hand them on as things are.
    pub counted: bool,
}

/// A source with what it has.
pub(super) struct Chosen {
    pub(super) source: CgroupSource,
    /// Controllers that can be had there.
    pub(super) offered: Vec<String>,
    /// Those of them that are used: sorted, each once.
    pub(super) used: Vec<String>,
    /// What the cgroup lies below.
    pub(super) below: PathBuf,
}

/// Where a cgroup would come from and which controllers it has, in words; or why there is none, and the fix.
pub fn source(facts: &CgroupFacts) -> Result<(String, Vec<String>), Nowhere> {
    let Chosen { source, offered, .. } = choose(facts, &Wanted::default(), "")?;
    let words = match source {
        CgroupSource::Delegated { dir, .. } => format!("delegated to us: {}", dir.display()),
        CgroupSource::Service { .. } => "sbx.service of the user's systemd manager".to_owned(),
        CgroupSource::Scope { user: true, .. } => "scopes of the user's systemd manager".to_owned(),
        CgroupSource::Scope { user: false, .. } => "scopes of the system's systemd manager".to_owned(),
    };
    Ok((words, offered))
}

/// The first source that has these controllers.
pub(super) fn choose(facts: &CgroupFacts, wanted: &Wanted, description: &str) -> Result<Chosen, Nowhere> {
    let needed = &wanted.needed;
    unified(facts.hierarchy)?;
    // Of those that are no use, the one that was handed to us says why.
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
    scope.ok_or_else(|| nowhere(facts, needed, reasons))
}

/// Only there an ordinary user can divide anything.
fn unified(hierarchy: Hierarchy) -> Result<(), Nowhere> {
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

fn lacking(have: &[String], needed: &[&str]) -> Vec<String> {
    needed.iter().filter(|name| !have.iter().any(|other| other == *name)).map(|name| (*name).to_owned()).collect()
}

/// The controllers of each source, those of the widest last: what lies above has what lies below has.
fn offers(facts: &CgroupFacts) -> impl DoubleEndedIterator<Item = &[String]> {
    let manager = match &facts.manager {
        ScopeManager::Available(manager) => Some(&manager.controllers),
        ScopeManager::Missing(..) => None,
    };
    let kept = facts.kept.iter().map(|kept| &kept.controllers);
    kept.chain(facts.delegated.iter().map(|ours| &ours.controllers)).chain(manager).map(Vec::as_slice)
}

fn has(list: &[String], name: &str) -> bool {
    list.iter().any(|other| other == name)
}

/// Whether any source has that controller.
pub(super) fn available(facts: &CgroupFacts, controller: &str) -> bool {
    facts.hierarchy == Hierarchy::Unified && offers(facts).any(|list| controller.is_empty() || has(list, controller))
}

/// Controllers that count.
const COUNTING: [&str; 4] = ["cpu", "memory", "pids", "io"];

/// Those of them that the widest source has.
pub(super) fn countable(facts: &CgroupFacts) -> impl Iterator<Item = &'static str> {
    let widest = offers(facts).next_back().unwrap_or_default();
    COUNTING.into_iter().filter(move |name| has(widest, name))
}

/// What is used of a source that has these controllers and can hand on those.
fn used(wanted: &Wanted, offered: &[String], at_hand: &[String]) -> Vec<String> {
    let counted = COUNTING.into_iter().filter(|name| wanted.counted && has(offered, name) && has(at_hand, name));
    let mut used: Vec<_> = wanted.needed.iter().copied().chain(counted).map(str::to_owned).collect();
    used.sort_unstable();
    used.dedup();
    used
}

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
        return Err(format!("{dir} is delegated to us, and {others} in it, where no controller can be handed on then"));
    }
    // Where other processes are in it, no more than it hands on already.
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

fn scope_of(manager: &Manager, wanted: &Wanted, description: &str) -> Chosen {
    let source = CgroupSource::Scope {
        address: manager.address.clone(),
        user: manager.user,
        description: description.to_owned(),
    };
    let offered = manager.controllers.clone();
    Chosen { source, used: used(wanted, &offered, &offered), offered, below: manager.dir.clone() }
}

fn service(kept: &SbxService, manager: Option<&Manager>, wanted: &Wanted, scope: Option<Chosen>) -> Chosen {
    let source = CgroupSource::Service {
        dir: kept.dir.clone(),
        mover: manager.filter(|_| !kept.reached).map(|manager| manager.address.clone()),
        otherwise: scope.map(|scope| Box::new(scope.source)),
    };
    let offered = kept.controllers.clone();
    Chosen { source, used: used(wanted, &offered, &offered), offered, below: kept.dir.clone() }
}

/// Why none of them has these controllers.
fn nowhere(facts: &CgroupFacts, needed: &[&str], mut reasons: Vec<String>) -> Nowhere {
    let fix = match &facts.manager {
        ScopeManager::Available(manager) if !facts.read_only => {
            let absent = lacking(&manager.controllers, needed);
            let list = absent.join(", ");
            // The kernel's own list is whole at the hierarchy's root, which a container does not see.
            if absent.iter().any(|name| !facts.kernel.contains(name)) {
                reasons = vec![format!("this kernel has no cgroup v2 controller {list}")];
                "take the limit out, or write `,prefer` behind it".to_owned()
            } else {
                reasons.push(format!("systemd hands no {list} on to the user's manager"));
                let all = manager.controllers.iter().chain(&absent).cloned().collect::<Vec<_>>().join(" ");
                format!(
                    "as root: mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate={all}\\n' \
                     >/etc/systemd/system/user@.service.d/delegate.conf && systemctl daemon-reload, and log in anew"
                )
            }
        }
        // It may make a scope, which cannot be divided from here.
        ScopeManager::Available(_) => hand_on(facts, None),
        ScopeManager::Missing(why, fix) => {
            reasons.push(why.clone());
            hand_on(facts, Some(fix))
        }
    };
    (reasons.join("; "), fix)
}

/// How a cgroup can be handed to us where no manager makes one.
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
