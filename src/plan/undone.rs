//! Checks for paths whose modes a program could undo by mounting in a namespace of its own.

use super::note::{NotInMode, Note};
use super::tree::upwards;
use super::{Op, Placed, item};
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::spec::{PathRule, Root, Sandbox};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Refuses a mode that the program could undo by mounting in a namespace of its own, or notes it if the rule has
/// `prefer`. There, the program can get mounts below a directory that it may write to out of the way, and with them
/// what keeps names from being changed. Not called where Landlock is used, which forbids mounts.
pub(super) fn by_mounts(sandbox: &Sandbox, facts: &Facts, view: &[Placed], notes: &mut Vec<Note>) -> Result<()> {
    if !sandbox.namespaces.mounts || sandbox.filesystem.root == Root::Bare {
        return Ok(());
    }
    // Sets of bytes, for fast look-ups: there may be thousands of paths.
    // What lies in a private home was put there by a program in a sandbox, and hides nothing of the host's.
    let own = sandbox.filesystem.home.as_ref().and_then(|_| facts.paths.resolve(Path::new("/"), &facts.home));
    let writable: BTreeSet<&OsStr> = view
        .iter()
        .filter(|placed| own.as_ref().is_none_or(|(home, _)| placed.op.path() != home))
        .filter_map(|placed| match &placed.op {
            Op::Bind { path, attributes, .. } if !attributes.ro && attributes.nodev => Some(path.as_os_str()),
            Op::Layers { path, ro: false, .. } => Some(path.as_os_str()),
            _ => None,
        })
        .collect();
    if writable.is_empty() {
        return Ok(());
    }
    let placed: BTreeSet<&OsStr> = view.iter().map(|placed| placed.op.path().as_os_str()).collect();
    let mut undone = Vec::new();
    for rule in sandbox.filesystem.paths.iter().filter(|rule| rule.mode != crate::spec::Mode::Rw) {
        let real = facts.paths.resolve(item::base(&sandbox.filesystem.root), &rule.path).map(|(real, _)| real);
        let Some(real) = real.filter(|real| placed.contains(real.as_os_str())) else { continue };
        let Some(above) = upwards(&real).skip(1).filter(|dir| writable.contains(dir.as_os_str())).last() else {
            continue;
        };
        if rule.options.prefer {
            let (path, mode, origin) = (rule.path.clone(), rule.mode, rule.origin.clone());
            notes.push(Note::Path { path, mode, origin, why: NotInMode::Undone(above.to_owned()) });
        } else {
            undone.push((rule, above.to_owned()));
        }
    }
    // A line that somebody wrote comes first.
    undone.sort_by_key(|(rule, _)| !rule.project);
    match undone.as_slice() {
        [] => Ok(()),
        [(rule, above), others @ ..] => Err(refused(rule, above, others)),
    }
}

/// The error for a rule below the writable directory `above`; `others` are as it is.
fn refused(rule: &PathRule, above: &Path, others: &[(&PathRule, PathBuf)]) -> Error {
    let (path, mode, above) = (rule.path.display(), rule.mode.word(), above.display());
    let names: Vec<_> = others.iter().take(3).map(|(other, _)| other.path.display().to_string()).collect();
    let others = match others.len() {
        0 => String::new(),
        count if count > names.len() => {
            format!("; the same goes for {} and {} more", names.join(", "), count - names.len())
        }
        _ => format!("; the same goes for {}", names.join(", ")),
    };
    let why = format!("it lies below {above}, which is writable, and a program that may mount gets it out of the way");
    let line = "add `nested = \"no-mount\"` below `[namespaces]`";
    let hint = match rule.project {
        true => format!("{line} to the project's file, for programs that need no mounts of their own"),
        false => format!(
            "{line} (--set namespaces.nested=no-mount), for programs that need no mounts of their own; `{mode},prefer` goes on \
             without; or make {above} read-only"
        ),
    };
    Error::new(format!("{path} cannot be `{mode}` here: {why}{others}")).origin(&rule.origin).hint(hint)
}
