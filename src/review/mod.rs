//! Finds the grants of a sandbox that undo or weaken it: each with what a program inside can do with it and what to use
//! instead, and a score of all of them. Pure: a profile gets the same verdict on every host.
//!
//! Everything that a profile can grant is reviewed. A view that is a list of operations (`Root::Bare`) is not: nobody
//! wrote it by hand.

mod desktop;
mod paths;
mod process;
mod targets;
mod view;

use crate::profile::Vars;
use crate::spec::{Origin, Sandbox};
use serde::Serialize;
use std::collections::BTreeMap;

/// How grave a grant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The grant is a way out of the sandbox, on some hosts if not on all.
    Undoes,
    /// The grant lets a program inside reach more than it needs.
    Weakens,
    /// The grant is worth knowing about, and does little harm.
    Note,
}

impl Severity {
    /// The severity's word in messages.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Undoes => "undoes",
            Severity::Weakens => "weakens",
            Severity::Note => "note",
        }
    }
}

/// A grant of a sandbox that adds to its exposure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// How grave the grant is.
    pub severity: Severity,
    /// The exposure of a sandbox with this grant alone, from 0.0 to 10.0; see `exposure`.
    #[serde(serialize_with = "tenths")]
    pub weight: f32,
    /// The lines that grant it; an empty origin for what sbx's defaults grant.
    pub origins: Vec<Origin>,
    /// The grant, as a clause: `~/.ssh is readable`.
    pub grant: String,
    /// What a program inside can do with it.
    pub harm: String,
    /// What to use instead of the grant.
    pub help: String,
    /// The author's reason for the grant, from a comment `# accepted: REASON`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
}

/// The review of one sandbox.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Review {
    /// All grants that add to the exposure, the gravest first.
    pub findings: Vec<Finding>,
    /// The exposure, from 0.0 (nothing is shared) to 10.0.
    #[serde(serialize_with = "tenths")]
    pub exposure: f32,
}

/// Reviews a sandbox. `vars` gives the home and the directories in it; `accepted` has the reasons that authors give for
/// grants, by the line of the grant (see [`Sources::accepted`](crate::profile::Sources::accepted)).
pub fn review(sandbox: &Sandbox, vars: &Vars, accepted: &BTreeMap<String, String>) -> Review {
    let mut findings = paths::findings(sandbox, vars);
    findings.extend(desktop::findings(sandbox));
    findings.extend(process::findings(sandbox));
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

/// Serializes a score with one decimal: more would be a precision that a judgement does not have.
fn tenths<S: serde::Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((f64::from(*value) * 10.0).round() / 10.0)
}

/// A finding without the lines that grant it.
struct Verdict {
    severity: Severity,
    weight: f32,
    harm: &'static str,
    help: &'static str,
}

const fn undoes(weight: f32, harm: &'static str, help: &'static str) -> Verdict {
    Verdict { severity: Severity::Undoes, weight, harm, help }
}

const fn weakens(weight: f32, harm: &'static str, help: &'static str) -> Verdict {
    Verdict { severity: Severity::Weakens, weight, harm, help }
}

const fn note(weight: f32, harm: &'static str, help: &'static str) -> Verdict {
    Verdict { severity: Severity::Note, weight, harm, help }
}

impl Verdict {
    fn at(self, origin: &Origin, grant: impl Into<String>) -> Finding {
        Finding {
            severity: self.severity,
            weight: self.weight,
            origins: vec![origin.clone()],
            grant: grant.into(),
            harm: self.harm.into(),
            help: self.help.into(),
            accepted: None,
        }
    }
}

/// Joins names for a sentence: `a`, `a and b`, `a, b and c`, `a, b, c and 4 more`.
fn listed(names: &[String]) -> String {
    const MOST: usize = 3;
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] if names.len() <= MOST => format!("{} and {last}", first.join(", ")),
        _ => format!("{} and {} more", names[..MOST].join(", "), names.len() - MOST),
    }
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

    #[test]
    fn a_list_is_cut_after_three() {
        let names = |count: usize| (0..count).map(|i| i.to_string()).collect::<Vec<_>>();
        assert_eq!(listed(&names(1)), "0");
        assert_eq!(listed(&names(3)), "0, 1 and 2");
        assert_eq!(listed(&names(7)), "0, 1, 2 and 4 more");
    }
}
