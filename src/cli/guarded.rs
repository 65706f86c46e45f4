//! What a commit leaves alone unless it is named: all that is read-only in a directory which a program may write to.

use super::{closed, layers, output};
use crate::error::{Result, printable};
use crate::host::{self, Ways};
use crate::profile::Vars;
use crate::spec::{Mode, Options, Origin, PathRule, Sandbox};
use crate::union::{Guarded, Upper};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The names by which tools outside run something on their own, in whatever directory, those of the profile `base/worktree`. And paths in
/// what the layers lie over, as the host has it now: what git runs besides, where links in such names and in the homes lead, what variables
/// name as code, what the user's programs start from, the profiles, and what sbx keeps.
pub(super) fn of(upper: &Upper) -> Result<Guarded> {
    let mut guarded = Guarded::new(crate::profile::worktree());
    let caller = layers::Caller::read_anywhere()?;
    for layer in &upper.state.layers {
        let Some(lower) = layer.lower.first() else { continue };
        let vars = host::vars(&caller.env, &caller.env_bytes, lower, &caller.accounts);
        let mut paths = of_repositories(&vars);
        let own = vars.profiles.all().chain(&vars.stores).chain(&upper.state.profiles);
        paths.extend(own.cloned());
        paths.extend(crate::review::run_outside(&vars));
        match closed_in(lower, &caller, &vars) {
            Ok(closed) => paths.extend(closed),
            Err(error) => {
                output::tell(&format!("sbx: note: more may be run by tools outside than is left out: {error}\n"))
            }
        }
        for path in paths {
            match path.strip_prefix(lower) {
                Ok(inner) if !inner.as_os_str().is_empty() => guarded.add(layer.path.join(inner)),
                // All of the layer is that, or lies in it.
                _ if lower.starts_with(&path) => guarded.add(layer.path.clone()),
                _ => {}
            }
        }
    }
    Ok(guarded)
}

/// What git runs besides, in the repositories in and around the directory.
fn of_repositories(vars: &Vars) -> BTreeSet<PathBuf> {
    let project = vars.project();
    output::tell(&project.notes.iter().map(|why| format!("sbx: note: {}\n", printable(why))).collect::<String>());
    if project.is_partial {
        let dir = printable(&crate::union::short(&project.dir)).into_owned();
        output::tell(&format!(
            "sbx: note: the repositories in {dir} hold more than is read, so that git may run more than is left out\n"
        ));
    }
    // What holds the directory is not the program's to change.
    project.closed.iter().filter(|path| path.starts_with(&vars.cwd) && **path != vars.cwd).cloned().collect()
}

/// What would be made read-only beside what the layers of a profile say, if the directory were shown writable.
///
/// # Errors
///
/// More would have to be read than is before a start.
fn closed_in(dir: &Path, caller: &layers::Caller, vars: &Vars) -> Result<Vec<PathBuf>> {
    let mut sandbox = Sandbox::default();
    sandbox.filesystem.paths = vec![PathRule::new(dir.to_owned(), Mode::Rw, Options::default(), Origin::default())];
    let mut ways = Ways::default();
    closed::linked_from(&mut sandbox, crate::profile::worktree().map(|name| dir.join(name)), &mut ways)?;
    closed::startup(&mut sandbox, vars, &mut ways);
    closed::variables(&mut sandbox, caller.variables(), vars, &mut ways)?;
    let rules = sandbox.filesystem.paths.into_iter().filter(|rule| rule.mode != Mode::Rw);
    Ok(rules.map(|rule| rule.path).collect())
}
