//! Finds the grants of a sandbox that undo or weaken it: each with what a program inside can do with it and what to use
//! instead, and a score of all of them. Pure: a profile gets the same verdict on every host.
//!
//! Everything that a profile can grant is reviewed. A view that is a list of operations (`Root::Bare`) is not: nobody
//! wrote it by hand.

mod acting;
mod desktop;
mod harms;
mod network;
mod paths;
mod process;
mod run_outside;
mod services;
mod tables;
mod targets;
mod unlisted;
mod verdict;
mod view;

pub use acting::acting;
pub use verdict::{Finding, Severity};

use crate::profile::Vars;
use crate::spec::Sandbox;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use verdict::tenths;

/// The review of one sandbox.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Review {
    /// All grants that add to the exposure, the gravest first.
    pub findings: Vec<Finding>,
    /// The exposure, from 0.0 (nothing is shared) to 10.0.
    #[serde(serialize_with = "tenths")]
    pub exposure: f32,
}

/// The files and directories, in the caller's homes and elsewhere, that are run outside or name what is.
pub fn run_outside(vars: &Vars) -> impl Iterator<Item = PathBuf> {
    let tables = run_outside::RUN_OUTSIDE.iter().chain(tables::PARTS);
    let run = tables.filter(|(kind, _)| kind.is_run()).flat_map(|(_, paths)| paths.iter());
    run.flat_map(|path| targets::spelt(path, vars))
}

/// Reviews a sandbox. `vars` gives the home and the directories in it; `accepted` has the reasons that authors give for
/// grants, by the line of the grant (see [`Sources::accepted`](crate::profile::Sources::accepted)).
pub fn review(sandbox: &Sandbox, vars: &Vars, accepted: &BTreeMap<String, String>) -> Review {
    let mut findings = paths::findings(sandbox, vars);
    findings.extend(desktop::findings(sandbox));
    findings.extend(services::findings(sandbox));
    findings.extend(process::findings(sandbox, vars));
    for finding in &mut findings {
        let reasons: Option<Vec<_>> = finding.origins.iter().map(|origin| accepted.get(&origin.0)).collect();
        finding.accepted = reasons.and_then(|reasons| reasons.first().copied().cloned());
    }
    // The sort is stable: equal findings stay in the order of the text.
    findings.sort_by(|a, b| a.severity.cmp(&b.severity).then(b.weight.total_cmp(&a.weight)));
    let exposure = exposure(findings.iter().map(|finding| finding.weight));
    Review { findings, exposure }
}

impl Review {
    /// The exposure as a word, as in `systemd-analyze security`. A sandbox that a grant undoes is at least `EXPOSED`.
    pub fn level(&self) -> &'static str {
        match self.exposure {
            e if e < 0.95 => "SAFE",
            e if e < 2.95 => "OK",
            e if e < 4.95 => "MEDIUM",
            e if e < 7.95 => "EXPOSED",
            e if e < 9.45 => "UNSAFE",
            _ => "DANGEROUS",
        }
    }

    /// Whether a grant undoes the sandbox that no `# accepted: REASON` accounts for.
    pub fn is_undone(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Undoes && finding.accepted.is_none())
    }
}

/// The exposure of a sandbox with grants of these weights, from 0.0 to 10.0. The heaviest counts in full, and each
/// further one adds a third of its share of what is left: a second way out of a sandbox changes little, and no number
/// of small grants makes a way out.
fn exposure(weights: impl Iterator<Item = f32>) -> f32 {
    let mut weights: Vec<f32> = weights.collect();
    weights.sort_by(|a, b| b.total_cmp(a));
    let shares = weights.iter().enumerate().map(|(nth, weight)| if nth == 0 { weight / 10.0 } else { weight / 30.0 });
    10.0 * (1.0 - shares.map(|share| 1.0 - share).product::<f32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_grant_counts_in_full_and_no_sum_of_small_ones_reaches_it() {
        let of = |weights: &[f32]| exposure(weights.iter().copied());
        assert_eq!(of(&[]), 0.0);
        assert!((of(&[9.5]) - 9.5).abs() < 0.01);
        assert!((of(&[0.3, 10.0, 5.0]) - 10.0).abs() < 0.01);
        assert!(of(&[0.3; 20]) < 2.95, "{}", of(&[0.3; 20]));
        assert!(of(&[5.0, 5.0]) > of(&[5.0]));
    }
}
