//! Symbolic links on the way to what a profile's paths name. Whoever can put a link there decides what is shown, or
//! takes a rule's effect away: the program in this sandbox or an earlier one, or another user.

use crate::error::{Error, Result};
use crate::host::{Account, Facts, Paths};
use crate::spec::{Mode, Origin, PathRule, Sandbox, within};
use std::path::{Path, PathBuf};

/// A path of the host with its links resolved, and each link on the way with its text.
pub(super) type Resolved = (PathBuf, Vec<(PathBuf, PathBuf)>);

/// Resolves the links of a path of the host: the child opens it by a call that follows none.
///
/// # Errors
///
/// Its links go in a circle.
pub(super) fn followed(facts: &Facts, path: &Path, origin: &Origin) -> Result<Resolved> {
    facts.paths.resolve(Path::new("/"), path).ok_or_else(|| circle(path, origin))
}

/// The error for a path whose links go in a circle.
pub(super) fn circle(path: &Path, origin: &Origin) -> Error {
    Error::new(format!("{}: its links go in a circle", path.display()))
        .origin(origin)
        .hint("name the file itself, or mend the link")
}

/// The real path of a socket or a device that is shown.
///
/// # Errors
///
/// Its links go in a circle, or other users can make them lead elsewhere.
pub(super) fn resolved(facts: &Facts, path: &Path, origin: &Origin) -> Result<PathBuf> {
    let (real, links) = followed(facts, path, origin)?;
    for (link, _) in &links {
        let others = facts.paths.link_writers(link).and_then(|writers| writers.others.as_deref());
        if let Some(dir) = others.filter(|dir| !within(&real, dir)) {
            return Err(escapes(link, dir, &real, OTHERS).origin(origin));
        }
    }
    Ok(real)
}

const OTHERS: &str = "where other users may put links";

/// Refuses a path of the host that is to be shown, at `real`, if it goes through a link that leads out of a directory
/// in which somebody else may have put it: otherwise whoever wrote the files there would choose what is shown. Such
/// directories are the current one, those that the profile shows writable (`writable`, with their origins), those that
/// other users may write to, and those of the caller's that a program in an earlier sandbox may have written to.
///
/// If the current directory holds the user's home, its links are the user's own.
pub(super) fn check_source(
    facts: &Facts,
    writable: &[(PathBuf, &Origin)],
    links: &[(PathBuf, PathBuf)],
    real: &Path,
) -> Result<()> {
    check(facts, writable, links, real, |dir| !within(real, dir))
}

/// Refuses what goes through a link that somebody else may have put there, wherever it leads, as [`check_source`] does. For what the
/// view would not show as freely without the link: it may lie beside the link, and be closed there.
pub(super) fn check_opening(
    facts: &Facts,
    writable: &[(PathBuf, &Origin)],
    links: &[(PathBuf, PathBuf)],
    real: &Path,
) -> Result<()> {
    check(facts, writable, links, real, |_| true)
}

fn check(
    facts: &Facts,
    writable: &[(PathBuf, &Origin)],
    links: &[(PathBuf, PathBuf)],
    real: &Path,
    matters: impl Fn(&Path) -> bool,
) -> Result<()> {
    let lies_in = |link: &Path, dir: &Path| within(link, dir) && matters(dir);
    for (link, _) in links {
        if !within(&facts.home, &facts.cwd) && lies_in(link, &facts.cwd) {
            let message = match within(real, &facts.cwd) {
                false => format!(
                    "{} is a link that leads out of the current directory, to {}",
                    link.display(),
                    real.display()
                ),
                true => format!(
                    "{} is a link in the current directory, to {}, which is less open without it",
                    link.display(),
                    real.display()
                ),
            };
            return Err(Error::new(message).hint(hint(real)));
        }
        if let Some((dir, origin)) = writable.iter().find(|(dir, _)| lies_in(link, dir)) {
            let why = format!("which is writable inside by {origin}, so that a program may have put the link there");
            return Err(escapes(link, dir, real, &why));
        }
        let Some(writers) = facts.paths.link_writers(link) else { continue };
        if let Some(dir) = writers.others.as_deref().filter(|dir| lies_in(link, dir)) {
            return Err(escapes(link, dir, real, OTHERS));
        }
        if let Some(dir) = writers.caller.as_deref().filter(|dir| lies_in(link, dir)) {
            let why = "where a program may have put it in an earlier sandbox";
            return Err(escapes(link, dir, real, why));
        }
    }
    Ok(())
}

/// The real path of what sbx itself is to read or write, for a flag or a command that names it. `cwd` is the current directory, and `home` the caller's.
///
/// # Errors
///
/// Its links go in a circle, or somebody else may make them lead elsewhere.
pub fn real_path(path: &Path, cwd: &Path, home: &Path, accounts: &[Account]) -> Result<PathBuf> {
    let paths = Paths::along(path, home, accounts);
    let facts = Facts { paths, cwd: cwd.to_owned(), home: home.to_owned(), ..Facts::default() };
    let (real, links) = followed(&facts, path, &Origin::default())?;
    check_source(&facts, &[], &links, &real)?;
    Ok(real)
}

fn escapes(link: &Path, dir: &Path, real: &Path, why: &str) -> Error {
    let (link, shown, to) = (link.display(), dir.display(), real.display());
    Error::new(match within(real, dir) {
        false => format!("{link} is a link that leads out of {shown}, {why}, to {to}"),
        true => format!("{link} is a link in {shown}, {why}, to {to}, which is less open without it"),
    })
    .hint(hint(real))
}

fn hint(real: &Path) -> String {
    format!("if that is meant, name the path that it leads to: {}", real.display())
}

/// Why a rule does not hold: its path goes through a link that the program may replace, by a file or a directory of its
/// own. `writable` gives the writable directory of the view, if any, that a path inside lies in. None if the rule
/// holds.
pub(super) fn replaceable<'p>(
    rule: &PathRule,
    links: &'p [PathBuf],
    writable: impl Fn(&'p Path) -> Option<&'p Path>,
) -> Option<String> {
    // In a writable directory, a rule that shows something writable restricts nothing.
    if rule.mode == Mode::Rw {
        return None;
    }
    let (link, dir) = links.iter().find_map(|link| Some((link, writable(link.parent()?)?)))?;
    let (link, dir) = (link.display(), dir.display());
    Some(format!("{link} is a link in {dir}, which is writable: the program can put something else in its place"))
}

/// The real paths of everything that the profile shows writable, each with the line that does.
pub(super) fn writable_sources<'a>(sandbox: &'a Sandbox, facts: &Facts) -> Vec<(PathBuf, &'a Origin)> {
    let rules = sandbox.filesystem.paths.iter().filter(|rule| rule.mode == Mode::Rw);
    rules.filter_map(|rule| Some((facts.paths.resolve(Path::new("/"), rule.source())?.0, &rule.origin))).collect()
}

/// Whether a rule is that of a flag such as `--ro`, rather than of a profile or of `--set`.
pub(super) fn is_flag(rule: &PathRule) -> bool {
    rule.origin.0.starts_with("--") && !rule.origin.0.starts_with("--set")
}

/// The hint that says how to go on without what a profile's rule closes.
pub(super) fn without_rule(rule: &PathRule) -> String {
    format!(
        "to go on without that line: --set 'filesystem.paths.\"{}\"=\"{},prefer\"'; the program can then put something else \
         in the link's place, which tools outside use",
        rule.path.display(),
        rule.mode.word()
    )
}
