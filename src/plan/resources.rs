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
}

/// Decides what the sandbox may use.
///
/// # Errors
///
/// A limit without `prefer` cannot be enforced.
pub(super) fn plan(sandbox: &Sandbox, facts: &Facts, notes: &mut Vec<Note>) -> Result<ResourcePlan> {
    let cgroup = limits::plan(sandbox, facts, notes)?;
    Ok(ResourcePlan { cgroup, stats: sandbox.limits.stats, rlimits: sandbox.rlimits.clone() })
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
