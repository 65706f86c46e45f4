//! What a project's file says of paths. It comes with a repository that somebody cloned, so it may only tighten: each of its lines is
//! compared with what holds at the real path without it, be it said by a profile or a flag or a default of the view.

use crate::error::{Error, Result};
use crate::profile::project::HELP;
use crate::spec::{Mode, Options, PathRule, Root};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What others than a project's file say of real paths, whether it comes to something or not: an optional path may be missing now.
/// Empty where no project's file says anything.
#[derive(Default)]
pub(super) struct Others<'a>(BTreeMap<PathBuf, &'a PathRule>);

impl<'a> Others<'a> {
    /// Records a rule. Of two for one path, the stricter mode wins, as in the view.
    pub fn record(&mut self, real: &Path, rule: &'a PathRule) {
        let known = self.0.entry(real.to_owned()).or_insert(rule);
        if rule.mode >= known.mode {
            *known = rule;
        }
    }
}

/// What holds at a path.
pub(super) struct InForce<'a> {
    pub mode: Mode,
    pub options: &'a Options,
    /// Bytes of a tmpfs.
    pub size: Option<u64>,
}

impl<'a> InForce<'a> {
    fn of(rule: &'a PathRule) -> InForce<'a> {
        InForce { mode: rule.mode, options: &rule.options, size: rule.options.size }
    }
}

/// Refuses a rule for the whole view, which all others start from.
pub(super) fn check_root(rule: &PathRule) -> Result<()> {
    match rule.project {
        true => Err(refused(rule, "a project's file cannot set the mode of `/`, which all others start from".into())),
        false => Ok(()),
    }
}

/// Refuses a rule of a project's file that is freer than what holds without it. `real` is where its path leads; `item` has what the
/// view has at a path so far.
pub(super) fn check<'a>(
    rule: &PathRule,
    real: &Path,
    root: &Root,
    others: &Others<'_>,
    item: impl Fn(&Path) -> Option<InForce<'a>>,
) -> Result<()> {
    let options = &rule.options;
    let shows = rule.mode.shows_host();
    let used = [
        ("from=", options.from.is_some()),
        ("create", options.create),
        ("prefer", options.prefer),
        ("optional", shows && options.optional),
    ];
    if let Some((option, _)) = used.iter().find(|(_, used)| *used) {
        return Err(refused(rule, format!("a project's file cannot use `{option}`")));
    }
    let new = InForce::of(rule);
    let here = [rule.below.as_deref(), others.0.get(real).copied()];
    let mut here = here.into_iter().flatten().map(InForce::of).peekable();
    if here.peek().is_some() {
        return here.try_for_each(|old| compare(rule, &new, &old));
    }
    // What nobody else names is as the nearest one above says.
    let above =
        real.ancestors().find_map(|path| others.0.get(path).map(|rule| InForce::of(rule)).or_else(|| item(path)));
    // All of the host's tree has an item, so that nothing is there; of another root, nothing is shown.
    let mode = if *root == Root::Host { Mode::Ro } else { Mode::Hidden };
    let none = Options::default();
    compare(rule, &new, &above.unwrap_or(InForce { mode, options: &none, size: None }))
}

/// A project's line takes the place of what it is compared with, options included.
fn compare(rule: &PathRule, new: &InForce<'_>, old: &InForce<'_>) -> Result<()> {
    let path = rule.path.display();
    if new.mode < old.mode {
        let (old, new) = (old.mode.word(), new.mode.word());
        let why = format!("`{path}` is `{old}` here, and a project's file cannot make it `{new}`");
        return Err(refused(rule, why));
    }
    let lost = if new.mode.shows_host() && old.options.from.is_some() {
        "from="
    } else if new.mode <= Mode::Tmpfs && old.options.noexec && !new.options.noexec {
        "noexec"
    } else if new.mode == Mode::Tmpfs && old.size.is_some_and(|old| new.size.is_none_or(|new| new > old)) {
        "size="
    } else {
        return Ok(());
    };
    let why = format!("`{path}` has the option `{lost}` here, and a project's file cannot take that away");
    Err(refused(rule, why))
}

fn refused(rule: &PathRule, why: String) -> Error {
    Error::new(why).origin(&rule.origin).hint(HELP)
}
