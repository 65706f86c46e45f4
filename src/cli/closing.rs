//! Rules for paths, to which others are added that make parts of what they show read-only. There may be thousands of either, so that none is
//! looked for by looking at all.

use crate::spec::{Mode, Options, Origin, PathRule, within};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The rules, sorted by path, and those that are added; they are among the others once this is dropped.
pub(super) struct Closing<'r> {
    pub old: &'r mut Vec<PathRule>,
    added: BTreeMap<PathBuf, PathRule>,
    /// How many rules were compared with a path.
    #[cfg(test)]
    compared: std::cell::Cell<usize>,
}

impl<'r> Closing<'r> {
    pub fn of(old: &'r mut Vec<PathRule>) -> Closing<'r> {
        Closing {
            old,
            added: BTreeMap::new(),
            #[cfg(test)]
            compared: Default::default(),
        }
    }

    /// Makes real paths of the host read-only in each place where one of the rules in `writable` shows it, each of which is
    /// given with the real path of its source. What a line names itself stays as it is: that opens it. Gives the paths
    /// inside that were made read-only.
    pub fn close<'s>(
        &mut self,
        writable: &[(PathBuf, PathRule)],
        steps: impl IntoIterator<Item = &'s PathBuf>,
        origin: &Origin,
    ) -> Vec<PathBuf> {
        let mut closed = Vec::new();
        for step in steps {
            for (real, rule) in writable.iter().filter(|(real, _)| within(step, real) && step != real) {
                let inside = rule.path.join(step.strip_prefix(real).unwrap_or(step));
                if self.nearest(&inside).is_some_and(|above| above.path == rule.path && above.mode == Mode::Rw) {
                    closed.push(inside.clone());
                    self.put(read_only(rule, step, inside, origin.clone()));
                }
            }
        }
        closed
    }

    /// The rule that a path inside lies in, whatever a project's file says.
    pub fn nearest(&self, path: &Path) -> Option<&PathRule> {
        path.ancestors().find_map(|above| {
            let old = || self.place(above).ok().and_then(|at| self.old.get(at)).and_then(PathRule::without_project);
            self.added.get(above).or_else(old)
        })
    }

    /// Adds a rule. One of a project's file for its path stands, and is judged by it.
    pub fn put(&mut self, rule: PathRule) {
        match self.place(&rule.path) {
            Ok(at) => {
                if let Some(other) = self.old.get_mut(at).filter(|other| other.project) {
                    other.below.get_or_insert_with(|| Box::new(rule));
                }
            }
            Err(_) => drop(self.added.entry(rule.path.clone()).or_insert(rule)),
        }
    }

    /// Where the rule for a path is among those that there were.
    fn place(&self, path: &Path) -> Result<usize, usize> {
        self.old.binary_search_by(|rule| {
            #[cfg(test)]
            self.compared.set(self.compared.get() + 1);
            rule.path.as_path().cmp(path)
        })
    }
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        if !self.added.is_empty() {
            self.old.extend(std::mem::take(&mut self.added).into_values());
            self.old.sort_by(|one, other| one.path.cmp(&other.path));
        }
    }
}

/// The rule that a path inside lies in, whatever a project's file says, among rules that are sorted by path.
pub(super) fn nearest<'r>(rules: &'r [PathRule], path: &Path) -> Option<&'r PathRule> {
    path.ancestors().find_map(|above| {
        let at = rules.binary_search_by(|rule| rule.path.as_path().cmp(above)).ok()?;
        rules.get(at).and_then(PathRule::without_project)
    })
}

/// The rule that makes `step` read-only, a real path of the host that another rule shows at `inside`.
pub(super) fn read_only(shown_by: &PathRule, step: &Path, inside: PathBuf, origin: Origin) -> PathRule {
    let from = shown_by.options.from.as_ref().map(|_| step.to_owned());
    let options = Options { optional: true, from, ..Options::default() };
    PathRule::new(inside, Mode::Ro, options, origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(path: &str, mode: Mode) -> PathRule {
        PathRule::new(path.into(), mode, Options::default(), Origin::default())
    }

    /// How many comparisons it takes to close this many paths, in as many rules.
    fn cost(count: usize) -> usize {
        let mut rules: Vec<_> = (0..count).map(|number| rule(&format!("/w/a{number:05}"), Mode::Ro)).collect();
        rules.insert(0, rule("/w", Mode::Rw));
        let shown = [(PathBuf::from("/w"), rules[0].clone())];
        let mut closing = Closing::of(&mut rules);
        let steps: Vec<_> = (0..count).map(|number| PathBuf::from(format!("/w/b{number:05}"))).collect();
        assert_eq!(closing.close(&shown, &steps, &Origin::default()).len(), count);
        let compared = closing.compared.get();
        drop(closing);
        assert!(rules.len() == 2 * count + 1 && rules.is_sorted_by(|one, other| one.path < other.path));
        compared
    }

    #[test]
    fn many_links_are_closed_without_looking_at_all_rules_for_each() {
        let (few, many) = (cost(1000), cost(8000));
        // The logarithm of the number of rules grows, too.
        assert!(many < 8 * few * 3 / 2, "{few} {many}");
    }

    #[test]
    fn what_a_line_names_stays_as_it_is() {
        let mut rules = vec![rule("/w", Mode::Rw), rule("/w/a", Mode::Rw), rule("/w/b", Mode::Ro)];
        let shown = [(PathBuf::from("/w"), rules[0].clone())];
        let mut closing = Closing::of(&mut rules);
        let steps = ["/w/a/x", "/w/b/x", "/w/c", "/w", "/v"].map(PathBuf::from);
        assert_eq!(closing.close(&shown, &steps, &Origin::default()), [PathBuf::from("/w/c")]);
        drop(closing);
        assert_eq!(rules.iter().map(|rule| rule.mode).collect::<Vec<_>>(), [Mode::Rw, Mode::Rw, Mode::Ro, Mode::Ro]);
        assert_eq!(rules[3].path, Path::new("/w/c"));
    }
}
