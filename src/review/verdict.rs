//! A grant of a sandbox with its verdict: how grave it is, what a program inside can do with it, and what to use instead.

use crate::spec::Origin;
use serde::Serialize;

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

/// Serializes a score with one decimal: more would be a precision that a judgement does not have.
pub(super) fn tenths<S: serde::Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((f64::from(*value) * 10.0).round() / 10.0)
}

/// A finding without the lines that grant it.
pub(super) struct Verdict {
    pub severity: Severity,
    pub weight: f32,
    pub harm: &'static str,
    pub help: &'static str,
}

pub(super) const fn undoes(weight: f32, harm: &'static str, help: &'static str) -> Verdict {
    Verdict { severity: Severity::Undoes, weight, harm, help }
}

pub(super) const fn weakens(weight: f32, harm: &'static str, help: &'static str) -> Verdict {
    Verdict { severity: Severity::Weakens, weight, harm, help }
}

pub(super) const fn note(weight: f32, harm: &'static str, help: &'static str) -> Verdict {
    Verdict { severity: Severity::Note, weight, harm, help }
}

impl Verdict {
    pub fn at(self, origin: &Origin, grant: impl Into<String>) -> Finding {
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
pub(super) fn listed(names: &[String]) -> String {
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
    fn a_list_is_cut_after_three() {
        let names = |count: usize| (0..count).map(|i| i.to_string()).collect::<Vec<_>>();
        assert_eq!(listed(&names(1)), "0");
        assert_eq!(listed(&names(3)), "0, 1 and 2");
        assert_eq!(listed(&names(7)), "0, 1, 2 and 4 more");
    }
}
