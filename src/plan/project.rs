//! Checks what a project's file says of paths. The file comes with a repository that somebody cloned, so it may only
//! tighten the sandbox: each of its lines is compared with what a profile, a flag or a default says of the same real
//! path.

use crate::error::{Error, Result};
use crate::profile::project::HELP;
use crate::spec::{Filesystem, Mode, Options, PathRule, Root};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The rules that do not come from a project's file, by real path, with those for optional paths that do not exist.
/// Empty if no project's file has a rule.
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

/// What is in force at a path.
pub(super) struct InForce<'a> {
    pub mode: Mode,
    pub options: &'a Options,
    /// Size of a tmpfs in bytes.
    pub size: Option<u64>,
}

impl<'a> InForce<'a> {
    /// What a rule puts in force.
    fn of(rule: &'a PathRule) -> InForce<'a> {
        InForce { mode: rule.mode, options: &rule.options, size: rule.options.size }
    }
}

/// Refuses a project's rule for `/`, the mode that all other rules start from.
pub(super) fn check_root(rule: &PathRule) -> Result<()> {
    match rule.project {
        true => Err(refused(rule, "a project's file cannot set the mode of `/`, which all others start from".into())),
        false => Ok(()),
    }
}

/// Whether a rule of a project's file says anything. One in a directory above the current one may have lines for what is not shown of its
/// directory, since sbx was started elsewhere: these are to make nothing of it seen.
pub(super) fn applies<'a>(
    rule: &PathRule,
    real: &Path,
    others: &Others<'_>,
    item: impl Fn(&Path) -> Option<InForce<'a>>,
) -> bool {
    let mode = |path: &Path| {
        let rule = others.0.get(path).map(|rule| rule.mode);
        rule.or_else(|| item(path).map(|item| item.mode))
    };
    let is_shown = || {
        let here = rule.below.as_deref().map(|rule| rule.mode);
        here.or_else(|| real.ancestors().find_map(mode)).is_some_and(Mode::shows_host)
    };
    !rule.above || is_shown()
}

/// Refuses a rule of a project's file that is freer than what is in force without it. `real` is the rule's path with
/// links resolved; `item` gives what sbx's defaults have put in force at a path.
pub(super) fn check<'a>(
    rule: &PathRule,
    real: &Path,
    filesystem: &Filesystem,
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
    if let Some(size) = options.size {
        // Each directory with a size is one more filesystem; a smaller one may take the place of what is there.
        let memory = filesystem.memory.as_ref().map_or(u64::MAX, |(size, _)| *size);
        let known = others.0.get(real).map(|rule| InForce::of(rule)).or_else(|| item(real));
        let old = known.filter(|old| old.mode == Mode::Tmpfs).map(|old| old.size.unwrap_or(memory));
        if old.is_none_or(|old| size > old) {
            return Err(refused(
                rule,
                format!("a project's file cannot have {size} bytes of memory for this directory"),
            ));
        }
    }
    let here = [rule.below.as_deref(), others.0.get(real).copied()];
    let mut here = here.into_iter().flatten().map(InForce::of).peekable();
    if here.peek().is_some() {
        return here.try_for_each(|old| compare(rule, &new, &old));
    }
    // Without another rule for this path, the nearest directory above that has a rule or a default decides.
    let above =
        real.ancestors().find_map(|path| others.0.get(path).map(|rule| InForce::of(rule)).or_else(|| item(path)));
    // If nothing above decides, nothing of the host is shown there. The host's root directory is then one in memory, in
    // which the file may put something empty.
    let mode = if filesystem.root == Root::Host { Mode::Tmpfs } else { Mode::Hidden };
    let none = Options::default();
    compare(rule, &new, &above.unwrap_or(InForce { mode, options: &none, size: None }))
}

/// Compares a project's rule with what it would replace, options included.
///
/// # Errors
///
/// It has a freer mode, or lacks an option that restricts.
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
    } else if new.mode == Mode::Rw && old.options.exclusive && !new.options.exclusive {
        "exclusive"
    } else if new.mode == Mode::Tmpfs && old.size.is_some_and(|old| new.size.is_none_or(|new| new > old)) {
        "size="
    } else {
        return Ok(());
    };
    let why = format!("`{path}` has the option `{lost}` here, and a project's file cannot take that away");
    Err(refused(rule, why))
}

/// The error for a rule of a project's file.
fn refused(rule: &PathRule, why: String) -> Error {
    Error::new(why).origin(&rule.origin).hint(HELP)
}
