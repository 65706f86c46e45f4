//! Limits: where the sandbox's cgroup comes from, what is written to its files, and what cannot be had.

use crate::error::{Error, Result};
use crate::host::{CgroupFacts, Facts, Hierarchy, Managed};
use crate::spec::Sandbox;
use crate::spec::limits::{self, Limit, Value};
use crate::spec::{Namespace, Origin};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The sandbox's cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CgroupPlan {
    /// Where it comes from.
    pub source: CgroupSource,
    /// Controllers that are needed in it.
    pub controllers: Vec<String>,
    /// What is written, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<LimitFile>,
    /// The program sees it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shown: bool,
    /// The program may make cgroups below it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub delegate: bool,
}

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

/// A file of the cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LimitFile {
    /// The key in `[limits]`.
    pub name: &'static str,
    /// Its name.
    pub file: String,
    /// What is written.
    pub value: String,
    /// It may fail.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub prefer: bool,
    /// Who asked.
    pub origin: Origin,
}

/// Where a cgroup would come from and which controllers it has, in words; or why there is none, and the fix.
pub fn source(facts: &CgroupFacts) -> std::result::Result<(String, Vec<String>), (String, String)> {
    match choose(facts, &[], "") {
        Ok((CgroupSource::Delegated { dir, .. }, controllers)) => {
            Ok((format!("delegated to us: {}", dir.display()), controllers))
        }
        Ok((CgroupSource::Service { .. }, controllers)) => {
            Ok(("sbx.service of the user's systemd manager".to_owned(), controllers))
        }
        Ok((CgroupSource::Scope { user, .. }, controllers)) => {
            Ok((format!("scopes of {} systemd manager", if user { "the user's" } else { "the system's" }), controllers))
        }
        Err(no) => Err(no),
    }
}

/// The first source that has these controllers, with all that it has.
fn choose(
    facts: &CgroupFacts,
    needed: &[&str],
    description: &str,
) -> std::result::Result<(CgroupSource, Vec<String>), (String, String)> {
    let no = |why: &str, fix: &str| Err((why.to_owned(), fix.to_owned()));
    match facts.hierarchy {
        Hierarchy::Unified => {}
        Hierarchy::Hybrid => {
            return no(
                "the controllers are mounted as cgroup v1 (a hybrid hierarchy), which no ordinary user can divide",
                "boot with systemd.unified_cgroup_hierarchy=1, which is systemd's default",
            );
        }
        Hierarchy::Legacy => {
            return no(
                "only cgroup v1 is mounted, which no ordinary user can divide",
                "boot with systemd.unified_cgroup_hierarchy=1, which is systemd's default",
            );
        }
        Hierarchy::Absent => {
            return no(
                "no cgroup2 file system is mounted at /sys/fs/cgroup",
                "as root: mount -t cgroup2 none /sys/fs/cgroup",
            );
        }
    }
    let lacking = |have: &[String]| -> Vec<String> {
        needed.iter().filter(|name| !have.iter().any(|other| other == *name)).map(|name| (*name).to_owned()).collect()
    };
    let missing = lacking(&facts.kernel);
    // The kernel's own list is whole at the hierarchy's root, which a container does not see.
    let mut reasons = Vec::new();
    for delegated in &facts.delegated {
        let absent = lacking(&delegated.controllers);
        let to_enable = lacking(&delegated.enabled);
        let dir = delegated.dir.display();
        if !absent.is_empty() {
            reasons.push(format!("{dir} is delegated to us without {}", absent.join(", ")));
        } else if !delegated.others.is_empty() && !to_enable.is_empty() {
            reasons.push(format!(
                "{dir} is delegated to us, and {} in it, where no controller can be handed on then",
                match delegated.others.as_slice() {
                    [one] => format!("process {one} is"),
                    more => format!("processes {} are", more.join(", ")),
                }
            ));
        } else {
            let source = CgroupSource::Delegated {
                dir: delegated.dir.clone(),
                occupied: delegated.occupied && !to_enable.is_empty(),
            };
            return Ok((source, delegated.controllers.clone()));
        }
    }
    // Of those that are no use, the one that was handed to us says why.
    reasons.drain(..reasons.len().saturating_sub(1));
    if facts.read_only {
        reasons.push("/sys/fs/cgroup is mounted read-only, as in a container".to_owned());
    }
    let scope = match &facts.manager {
        Managed::By(manager) if lacking(&manager.controllers).is_empty() && !facts.read_only => {
            Some(CgroupSource::Scope {
                address: manager.address.clone(),
                user: manager.user,
                description: description.to_owned(),
            })
        }
        _ => None,
    };
    if let Some(kept) = facts.kept.as_ref().filter(|kept| lacking(&kept.controllers).is_empty()) {
        let mover = match &facts.manager {
            _ if kept.reached => Some(None),
            Managed::By(manager) => Some(Some(manager.address.clone())),
            Managed::Missing(..) => None,
        };
        if let Some(mover) = mover {
            let (dir, otherwise) = (kept.dir.clone(), scope.map(Box::new));
            return Ok((CgroupSource::Service { dir, mover, otherwise }, kept.controllers.clone()));
        }
    }
    match &facts.manager {
        Managed::By(manager) => {
            if let Some(scope) = scope {
                return Ok((scope, manager.controllers.clone()));
            }
            let absent = lacking(&manager.controllers);
            let list = absent.join(", ");
            if absent.iter().any(|name| missing.contains(name)) {
                return Err((
                    format!("this kernel has no cgroup v2 controller {list}"),
                    "take the limit out, or write `,prefer` behind it".into(),
                ));
            }
            reasons.push(format!("systemd hands no {list} on to the user's manager"));
            let all = manager.controllers.iter().chain(&absent).cloned().collect::<Vec<_>>().join(" ");
            Err((
                reasons.join("; "),
                format!(
                    "as root: mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate={all}\\n' \
                     >/etc/systemd/system/user@.service.d/delegate.conf && systemctl daemon-reload, and log in anew"
                ),
            ))
        }
        Managed::Missing(why, fix) => {
            let fix = match facts.delegated.last() {
                Some(delegated) if !delegated.others.is_empty() => format!(
                    "move them to a leaf: mkdir {0}/leaf && for p in $(cat {0}/cgroup.procs); do echo $p >{0}/leaf/cgroup.procs; done",
                    delegated.dir.display()
                ),
                _ if facts.read_only => {
                    "have the container mount it writable with a cgroup namespace of its own (podman: --cgroupns=private \
                     --security-opt unmask=/sys/fs/cgroup), or start sbx outside of it"
                        .into()
                }
                _ => fix.clone(),
            };
            reasons.push(why.clone());
            Err((reasons.join("; "), fix))
        }
    }
}

/// Decides where the cgroup comes from, and what is left out.
pub(super) fn plan(sandbox: &Sandbox, facts: &Facts, notes: &mut Vec<String>) -> Result<Option<CgroupPlan>> {
    let wanted = &sandbox.limits;
    let Some(found) = facts.cgroup.as_ref().filter(|_| wanted.wanted()) else { return Ok(None) };
    let controller = |limit: &Limit| limits::find(limit.name).map_or("", |key| key.controller);
    let description = description(sandbox);
    let mut list: Vec<&Limit> = wanted.list.iter().collect();
    let needed = |list: &[&Limit]| {
        let mut names: Vec<&str> = list.iter().map(|limit| controller(limit)).filter(|name| !name.is_empty()).collect();
        // What is counted is counted by these, which limits do not wait for.
        if (wanted.stats && list.is_empty()) || wanted.delegate.is_some() {
            let has = |name: &&&str| match &found.manager {
                Managed::By(manager) => manager.controllers.iter().any(|other| other == **name),
                Managed::Missing(..) => {
                    found.delegated.iter().any(|ours| ours.controllers.iter().any(|other| other == **name))
                }
            };
            names.extend(COUNTING.iter().filter(has));
        }
        names.sort_unstable();
        names.dedup();
        names
    };
    let refused = |limit: &Limit, why: &str, fix: &str| {
        Error::new(format!("limits.{} cannot be enforced: {why}", limit.name)).origin(&limit.origin).hint(fix)
    };
    // What is only preferred goes first where there is no way to have it all.
    let chosen = loop {
        match choose(found, &needed(&list), &description) {
            Ok(chosen) => break Some(chosen),
            Err((why, fix)) => match list.iter().position(|limit| limit.prefer && !available(found, controller(limit)))
            {
                Some(at) => {
                    let limit = list.remove(at);
                    notes.push(format!("limits.{} is not enforced: {why}", limit.name));
                }
                None => {
                    let required = || list.iter().filter(|limit| !limit.prefer);
                    let required = required().find(|limit| !available(found, controller(limit))).or(required().next());
                    let asked = wanted.delegate.as_ref().or(wanted.cgroupfs.as_ref());
                    match (required, asked) {
                        (Some(limit), _) => return Err(refused(limit, &why, &fix)),
                        (None, Some(origin)) => {
                            return Err(Error::new(format!("there is no cgroup to show: {why}"))
                                .origin(origin)
                                .hint(fix));
                        }
                        (None, None) => {
                            if wanted.stats {
                                notes.push(format!("what is used is told without a cgroup: {why}"));
                            }
                            notes.extend(
                                list.drain(..).map(|limit| format!("limits.{} is not enforced: {why}", limit.name)),
                            );
                            break None;
                        }
                    }
                }
            },
        }
    };
    let Some((mut source, offered)) = chosen else { return Ok(None) };
    let base = match (&source, &found.manager) {
        (CgroupSource::Delegated { dir, .. } | CgroupSource::Service { dir, .. }, _) => dir.as_path(),
        (CgroupSource::Scope { .. }, Managed::By(manager)) => &manager.dir,
        (CgroupSource::Scope { .. }, Managed::Missing(..)) => Path::new(""),
    };
    for (dir, limit) in found.limits.iter().filter(|(dir, _)| !base.starts_with(dir)) {
        notes.push(format!("{limit} of {} does not hold for the sandbox, whose cgroup lies elsewhere", dir.display()));
    }
    let mut files = Vec::new();
    for limit in &list {
        let Some(key) = limits::find(limit.name) else { continue };
        let (file, value) = match &limit.value {
            Value::Text(value) => (key.file.to_owned(), value.clone()),
            Value::Pages(size, value) if found.pages.contains(size) => (key.file.replace('*', size), value.clone()),
            Value::Pages(size, _) => {
                let why = format!("this machine has no huge pages of {size}");
                if limit.prefer {
                    notes.push(format!("limits.{} is not enforced: {why}", limit.name));
                    continue;
                }
                return Err(refused(limit, &why, &format!("it has {}", found.pages.join(", "))));
            }
            Value::Device(path, value) => match found.devices.get(path) {
                Some(Ok(device)) => (key.file.to_owned(), format!("{device} {value}")),
                other => {
                    let why = other.and_then(|other| other.as_ref().err()).cloned().unwrap_or_default();
                    let why = format!("{}: {why}", path.display());
                    if limit.prefer {
                        notes.push(format!("limits.{} is not enforced: {why}", limit.name));
                        continue;
                    }
                    return Err(refused(limit, &why, "name a disk, or a path on one"));
                }
            },
        };
        files.push(LimitFile { name: key.name, file, value, prefer: limit.prefer, origin: limit.origin.clone() });
    }
    if (wanted.delegate.is_some() || wanted.cgroupfs.is_some())
        && sandbox.namespaces.share.contains_key(&Namespace::Cgroup)
    {
        let origin = wanted.delegate.as_ref().or(wanted.cgroupfs.as_ref()).cloned().unwrap_or_default();
        return Err(Error::new("the sandbox's own cgroup is shown in a cgroup namespace, and that is shared here")
            .origin(&origin)
            .hint("take `cgroup` out of namespaces.share"));
    }
    let mut controllers: Vec<String> = needed(&list).into_iter().map(str::to_owned).collect();
    if wanted.stats {
        controllers.extend(counting(&mut source, found, &offered));
        controllers.sort_unstable();
        controllers.dedup();
    }
    let shown = wanted.delegate.is_some() || wanted.cgroupfs.is_some();
    Ok(Some(CgroupPlan { source, controllers, files, shown, delegate: wanted.delegate.is_some() }))
}

/// Controllers that count.
const COUNTING: [&str; 4] = ["cpu", "memory", "pids", "io"];

/// Those of them that a source has, and can hand on as things are: where other processes are in it, no more than it hands on already.
fn counting(source: &mut CgroupSource, facts: &CgroupFacts, offered: &[String]) -> Vec<String> {
    let mut list: Vec<String> = COUNTING.iter().map(|name| (*name).to_owned()).collect();
    list.retain(|name| offered.contains(name));
    if let CgroupSource::Delegated { dir, occupied } = source
        && let Some(delegated) = facts.delegated.iter().find(|delegated| delegated.dir == *dir)
    {
        if !delegated.others.is_empty() {
            list.retain(|name| delegated.enabled.contains(name));
        }
        *occupied |= delegated.occupied && list.iter().any(|name| !delegated.enabled.contains(name));
    }
    list
}

/// Whether any source has that controller.
fn available(facts: &CgroupFacts, controller: &str) -> bool {
    let has = |list: &[String]| controller.is_empty() || list.iter().any(|name| name == controller);
    facts.hierarchy == Hierarchy::Unified
        && (facts.delegated.iter().any(|ours| has(&ours.controllers))
            || facts.kept.as_ref().is_some_and(|kept| has(&kept.controllers))
            || matches!(&facts.manager, Managed::By(manager) if has(&manager.controllers)))
}

/// One line for `systemctl`.
fn description(sandbox: &Sandbox) -> String {
    let name = sandbox.process.args.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let limits: Vec<_> = sandbox
        .limits
        .list
        .iter()
        .map(|limit| match &limit.value {
            Value::Text(value) => format!("{}={value}", limit.name),
            Value::Device(path, value) => format!("{} {}={value}", limit.name, path.display()),
            Value::Pages(size, value) => format!("{} {size}={value}", limit.name),
        })
        .collect();
    let text = format!("sbx: {name} {}", limits.join(" "));
    let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    text.trim_end().to_owned()
}
