//! What the next start takes from the project and a program has changed: which directory the project is, and the files that tighten.

use crate::host;
use crate::profile::Vars;
use crate::spec::{Filesystem, Mode};
use std::path::Path;

/// Sentences about what is another project now, or tightens nothing any more.
pub(super) fn changes(vars: &Vars, filesystem: &Filesystem) -> Vec<String> {
    let is_gone = |file: &Path| {
        let error = file.symlink_metadata().err().and_then(|error| error.raw_os_error());
        matches!(error, Some(libc::ENOENT | libc::ENOTDIR))
    };
    let gone = filesystem.project_files.iter().filter(|file| is_gone(file));
    let gone = gone.map(|file| {
        format!("{} is gone: what it has closed in this sandbox is open from the next start on", file.display())
    });
    gone.chain(other_project(vars, filesystem)).collect()
}

/// Whether another directory is the project now, if a line needs to know which one is. It is looked for where the program could make or
/// unmake one: in a directory above the current one that is writable.
fn other_project(vars: &Vars, filesystem: &Filesystem) -> Option<String> {
    let was = vars.project.get()?;
    let is_writable_above = || {
        let mut writable = filesystem.paths.iter().filter(|rule| rule.mode == Mode::Rw);
        writable.any(|rule| rule.path != vars.cwd && vars.cwd.starts_with(&rule.path))
    };
    if was.dir == vars.cwd && !is_writable_above() {
        return None;
    }
    let (now, marker) = host::project_now(vars);
    if now == was.dir {
        return None;
    }
    let how = marker.map_or_else(|| ", which nothing marks".to_owned(), |marker| format!(", by {marker}"));
    Some(format!(
        "in {}, ${{PROJECT}} is from the next start on {}{how}, and no longer {}: the program, or another one meanwhile, has changed what makes it so",
        vars.cwd.display(),
        now.display(),
        was.dir.display()
    ))
}
