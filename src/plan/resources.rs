//! Plans resources: the sandbox's cgroup, and the setrlimit(2) limits of the program.

use super::lines::{Lines, from};
use super::note::Note;
use super::{CgroupPlan, CgroupSource, limits};
use crate::error::Result;
use crate::host::Facts;
use crate::spec::{Rlimit, Sandbox};
use serde::Serialize;

/// Limits on what the sandbox may use, and whether statistics are printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResourcePlan {
    /// The sandbox's cgroup, if it has one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<CgroupPlan>,
    /// Whether usage is printed at exit, and on SIGUSR1.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stats: bool,
    /// Limits that setrlimit(2) sets for the program.
    pub rlimits: Vec<Rlimit>,
    /// Whether the caller's limit of the size of files (RLIMIT_FSIZE) holds while the sandbox is made.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub limited_files: bool,
}

/// Decides what the sandbox may use.
///
/// # Errors
///
/// A limit without `prefer` cannot be enforced.
pub(super) fn plan(sandbox: &Sandbox, facts: &Facts, notes: &mut Vec<Note>) -> Result<ResourcePlan> {
    let cgroup = limits::plan(sandbox, facts, notes)?;
    let rlimits = sandbox.rlimits.iter().map(|limit| lowered(limit, facts, notes)).collect();
    let limited_files = facts.rlimits.get("fsize").is_some_and(|(soft, _)| *soft != u64::MAX);
    Ok(ResourcePlan { cgroup, stats: sandbox.limits.stats, rlimits, limited_files })
}

/// A limit as the caller can set it: a hard limit can be lowered, not raised (setrlimit(2)), so one that is stricter
/// already is kept.
fn lowered(limit: &Rlimit, facts: &Facts, notes: &mut Vec<Note>) -> Rlimit {
    let most = facts.rlimits.get(limit.name).map_or(u64::MAX, |(_, hard)| *hard);
    let at_most = |asked: Option<u64>| Some(asked.unwrap_or(u64::MAX).min(most)).filter(|value| *value != u64::MAX);
    let kept = Rlimit { soft: at_most(limit.soft), hard: at_most(limit.hard), ..limit.clone() };
    match facts.core_handler.as_ref().filter(|_| limit.name == "core") {
        Some(handler) => notes.push(Note::CoreHandler { handler: handler.clone(), lowered: kept.soft != limit.soft }),
        None if kept.soft == limit.soft => {}
        // No dumps at all are what a limit of 1 is for.
        None if limit.name == "core" && limit.hard == Some(1) => {}
        _ => notes.push(Note::RlimitLowered { name: limit.name, most }),
    }
    kept
}

impl ResourcePlan {
    pub(super) fn render(&self, lines: &mut Lines) {
        if let Some(cgroup) = &self.cgroup {
            let source = match &cgroup.source {
                CgroupSource::Delegated { dir, .. } => format!("below {}, which is delegated to us", dir.display()),
                CgroupSource::Service { .. } => "below sbx.service of the user's systemd manager".to_owned(),
                CgroupSource::Scope { user: true, .. } => "in a scope of the user's systemd manager".to_owned(),
                CgroupSource::Scope { user: false, .. } => "in a scope of the system's systemd manager".to_owned(),
            };
            lines.add("cgroup", format!("one of its own {source}"));
            for limit in &cgroup.files {
                lines.add("limit", format!("{} = {}{}", limit.file, limit.value, from(&limit.origin)));
            }
        }
        for limit in &self.rlimits {
            let value = |value: Option<u64>| value.map_or("unlimited".to_owned(), |value| value.to_string());
            let (soft, hard) = (value(limit.soft), value(limit.hard));
            lines.add("rlimit", format!("{} {soft}:{hard}{}", limit.name, from(&limit.origin)));
        }
    }
}
