//! What a sandbox hands out that undoes it: each grant with what somebody inside can do with it and what to use instead, and
//! a score of all of them. Pure: nothing is looked up on the host, so a profile is judged alike everywhere.
//!
//! What profiles can say is judged. A view that is a list of operations (`Root::Bare`) is not: nobody wrote it by hand.

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
    /// It is a way out, on some hosts if not on all.
    Undoes,
    /// Somebody inside gets at more than a program needs.
    Weakens,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Undoes => "undoes",
            Severity::Weakens => "weakens",
            Severity::Note => "note",
        }
    }
}

/// One grant that counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// How grave it is.
    pub severity: Severity,
    /// What it adds to the exposure by itself, from 0.0 to 10.0; see `exposure`.
    #[serde(serialize_with = "tenths")]
    pub weight: f32,
    /// The lines that grant it; an empty one for what holds without.
    pub origins: Vec<Origin>,
    /// What is granted.
    pub grant: String,
    /// What somebody inside can do with it.
    pub harm: String,
    /// What to use instead.
    pub help: String,
    /// Why the profile's author grants it all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
}

/// The judgement of one sandbox.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Review {
    /// All grants that count, the gravest first.
    pub findings: Vec<Finding>,
    /// From 0.0, nothing is shared, to 10.0.
    #[serde(serialize_with = "tenths")]
    pub exposure: f32,
}

/// Judges a sandbox. The variables say where the home and its parts are. `accepted` has the reasons that authors give, by the line
/// that grants: see `Sources::accepted`.
pub fn review(sandbox: &Sandbox, vars: &Vars, accepted: &BTreeMap<String, String>) -> Review {
    let mut findings = paths::findings(sandbox, vars);
    findings.extend(desktop::findings(sandbox));
    findings.extend(process::findings(sandbox));
    for finding in &mut findings {
        let reasons: Option<Vec<_>> = finding.origins.iter().map(|origin| accepted.get(&origin.0)).collect();
        finding.accepted = reasons.and_then(|reasons| reasons.first().copied().cloned());
    }
    // In the order of the text among equals: the sort is stable.
    findings.sort_by(|a, b| a.severity.cmp(&b.severity).then(b.weight.total_cmp(&a.weight)));
    let exposure = exposure(findings.iter().map(|finding| finding.weight));
    Review { findings, exposure }
}

impl Review {
    /// The word for an exposure, in the manner of `systemd-analyze security`. What undoes a sandbox is `EXPOSED` at least.
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

    /// Whether something undoes the sandbox, and no reason is given for it.
    pub fn is_undone(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Undoes && finding.accepted.is_none())
    }
}

/// The heaviest grant counts in full, and each further one takes a third of its share of what is left: a second way out of a
/// sandbox that has one changes little, and no number of small grants makes a way out.
fn exposure(weights: impl Iterator<Item = f32>) -> f32 {
    let mut weights: Vec<f32> = weights.collect();
    weights.sort_by(|a, b| b.total_cmp(a));
    let shares = weights.iter().enumerate().map(|(nth, weight)| if nth == 0 { weight / 10.0 } else { weight / 30.0 });
    10.0 * (1.0 - shares.map(|share| 1.0 - share).product::<f32>())
}

/// One digit behind the point: more would be a precision that a judgement does not have.
fn tenths<S: serde::Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((f64::from(*value) * 10.0).round() / 10.0)
}

/// A judgement without its place.
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

/// `a`, `a and b`, `a, b and c`, `a, b, c and 4 more`.
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
