//! Plans `[limits]`: what is written to the files of the sandbox's cgroup, and which limits cannot be enforced.

use super::cgroup::{CgroupSource, Wanted, available, choose, countable};
use super::note::Note;
use crate::error::{Error, Result};
use crate::host::{CgroupFacts, Facts};
use crate::spec::Sandbox;
use crate::spec::limits::{Control, Form, Limit, Limits, Value};
use crate::spec::{Namespace, Origin};
use serde::Serialize;

/// The sandbox's cgroup: where it is made, and what is written to its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CgroupPlan {
    /// Where the cgroup is made.
    pub source: CgroupSource,
    /// Controllers that it needs.
    pub controllers: Vec<String>,
    /// Files that are written, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<LimitFile>,
    /// Whether the program sees the cgroup at /sys/fs/cgroup.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shown: bool,
    /// Whether the program may make cgroups below it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub delegate: bool,
}

/// A file of the cgroup that is written for one limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LimitFile {
    /// The limit's key in `[limits]`.
    pub name: &'static str,
    /// Name of the file.
    pub file: String,
    /// How its value is written.
    #[serde(skip)]
    pub form: Form,
    /// The limit's value in the profile, with the device's path or the size of huge pages that it is for.
    #[serde(skip)]
    pub asked: Value,
    /// Text that is written to the file.
    pub value: String,
    /// Whether the program starts even if the limit cannot be set.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub prefer: bool,
    /// The line of a profile, or the flag, that asked for the limit.
    pub origin: Origin,
}

impl LimitFile {
    /// Whether this file is written for that limit.
    pub(super) fn is_for(&self, limit: &Limit) -> bool {
        self.name == limit.name && self.asked == limit.value && self.origin == limit.origin
    }
}

/// Decides where the cgroup is made and what is written to it. Limits with `prefer` that cannot be enforced become
/// notes.
///
/// # Errors
///
/// A limit without `prefer`, or a cgroup that the program is to see, cannot be had.
pub(super) fn plan(sandbox: &Sandbox, facts: &Facts, notes: &mut Vec<Note>) -> Result<Option<CgroupPlan>> {
    let wanted = &sandbox.limits;
    let Some(found) = facts.cgroup.as_ref().filter(|_| wanted.wanted()) else { return Ok(None) };
    // The line by which the program is to see the cgroup.
    let shown = wanted.delegate.as_ref().or(wanted.cgroupfs.as_ref());
    if let Some(origin) = shown.filter(|_| sandbox.namespaces.share.contains_key(&Namespace::Cgroup)) {
        return Err(Error::new("showing the sandbox's own cgroup needs a cgroup namespace, which is shared here")
            .origin(origin)
            .hint("take `cgroup` out of namespaces.share"));
    }
    let mut list: Vec<&Limit> = wanted.list.iter().collect();
    let description = description(sandbox);
    // If no source has all controllers, limits with `prefer` are dropped first.
    let chosen = loop {
        let controllers = Wanted { needed: needed(wanted, &list, found), counted: wanted.stats };
        let (why, fix) = match choose(found, &controllers, &description) {
            Ok(chosen) => break chosen,
            Err(nowhere) => nowhere,
        };
        // A limit of `max` is none, and holds without a cgroup.
        if let Some(at) = list.iter().position(|limit| matches!(&limit.value, Value::Text(value) if value == "max")) {
            list.remove(at);
            continue;
        }
        let had = |limit: &&Limit| available(found, limit.control.controller);
        if let Some(at) = list.iter().position(|limit| limit.prefer && !had(limit)) {
            notes.push(not_enforced(list.remove(at), &why));
            continue;
        }
        let required = || list.iter().copied().filter(|limit| !limit.prefer);
        if let Some(limit) = required().find(|limit| !had(limit)).or(required().next()) {
            return Err(refused(limit, &why, &fix));
        }
        if let Some(origin) = shown {
            return Err(Error::new(format!("there is no cgroup to show: {why}")).origin(origin).hint(fix));
        }
        if wanted.stats {
            notes.push(Note::NotCounted { why: why.clone() });
        }
        notes.extend(list.iter().map(|limit| not_enforced(limit, &why)));
        return Ok(None);
    };
    for (dir, limit) in found.limits.iter().filter(|(dir, _)| !chosen.below.starts_with(dir)) {
        notes.push(Note::LimitElsewhere { limit: limit.clone(), dir: dir.clone() });
    }
    let mut files = Vec::new();
    for limit in &list {
        match file(limit, found) {
            Ok(file) => files.push(file),
            Err((why, _)) if limit.prefer => notes.push(not_enforced(limit, &why)),
            Err((why, fix)) => return Err(refused(limit, &why, &fix)),
        }
    }
    let delegate = wanted.delegate.is_some();
    Ok(Some(CgroupPlan { source: chosen.source, controllers: chosen.used, files, shown: shown.is_some(), delegate }))
}

/// Controllers that these limits need, and those for statistics or for cgroups of the program's own.
fn needed(wanted: &Limits, list: &[&Limit], found: &CgroupFacts) -> Vec<&'static str> {
    let mut names: Vec<&str> =
        list.iter().map(|limit| limit.control.controller).filter(|name| !name.is_empty()).collect();
    if (wanted.stats && list.is_empty()) || wanted.delegate.is_some() {
        names.extend(countable(found));
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// The note that a limit with `prefer` is not enforced.
fn not_enforced(limit: &Limit, why: &str) -> Note {
    Note::Limit { limit: limit.clone(), why: why.to_owned() }
}

/// The error for a limit that cannot be enforced.
fn refused(limit: &Limit, why: &str, fix: &str) -> Error {
    Error::new(format!("limits.{} cannot be enforced: {why}", limit.name)).origin(&limit.origin).hint(fix)
}

/// The file that is written for a limit of a sandbox that runs.
///
/// # Errors
///
/// The limit cannot be enforced.
pub fn limit_file(limit: &Limit, found: &CgroupFacts) -> Result<LimitFile> {
    file(limit, found).map_err(|(why, fix)| refused(limit, &why, &fix))
}

/// The file that is written for a limit.
///
/// # Errors
///
/// Why the limit cannot be enforced, and the fix.
fn file(limit: &Limit, found: &CgroupFacts) -> std::result::Result<LimitFile, (String, String)> {
    let Control { file: name, form, .. } = limit.control;
    let (file, value) = match &limit.value {
        Value::Text(value) => (name.to_owned(), value.clone()),
        Value::Pages(size, value) if found.pages.contains(size) => (name.replace('*', size), value.clone()),
        Value::Pages(size, _) => {
            let fix = format!("it has {}", found.pages.join(", "));
            return Err((format!("this machine has no huge pages of {size}"), fix));
        }
        Value::Device(path, value) => match found.devices.get(path) {
            Some(Ok(device)) => (name.to_owned(), format!("{device} {value}")),
            other => {
                let why = other.and_then(|other| other.as_ref().err()).cloned().unwrap_or_default();
                return Err((format!("{}: {why}", path.display()), "name a disk, or a path on one".to_owned()));
            }
        },
    };
    Ok(LimitFile {
        name: limit.name,
        file,
        form,
        asked: limit.value.clone(),
        value,
        prefer: limit.prefer,
        origin: limit.origin.clone(),
    })
}

/// The description of the sandbox's scope, which `systemctl` shows in one line: program and limits.
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
