//! Why a program is not found inside: where it is on the host, whether it is shown, and what else is missing.

use super::loader;
use crate::plan::{Op, Plan};
use crate::sys;
use std::path::{Path, PathBuf};

/// The hint for a program that is not found, if anything can be said.
pub(super) fn hint(plan: &Plan, name: &str) -> Option<String> {
    // A path that is not absolute is looked up where the program starts.
    let here = std::env::current_dir().ok();
    let start = plan.process.cwd.first().filter(|_| name.contains('/') && !name.starts_with('/'));
    if let (Some(start), Some(here)) = (start, here.filter(|here| Some(here) != start))
        && here.join(name).exists()
    {
        let file = here.join(name);
        return Some(format!(
            "the program starts in {}: name it by its whole path, {}",
            start.display(),
            file.display()
        ));
    }
    let inside = plan.process.variable("PATH").unwrap_or_default().to_string_lossy();
    let Some((file, on_path)) = find(plan, name, &inside) else {
        return (!name.contains('/')).then(|| format!("PATH inside is {inside}"));
    };
    let path = file.display();
    if plan.is_bare() {
        return Some(match interpreter(&file) {
            Some(line) => of_interpreter(&file, &line),
            None => format!(
                "it is {path} on the host: show it inside, with what it needs: its loader and libraries (ldd {path})"
            ),
        });
    }
    Some(match (is_shown(plan, &file), interpreter(&file)) {
        (true, _) if !on_path => {
            format!(
                "it is {path}, which is shown, but PATH inside does not have its directory: name it by its path, or --env PATH=..."
            )
        }
        (true, Some(line)) => of_interpreter(&file, &line),
        (true, None) => format!("{path} is there inside; its loader is not: `file {path}` names it"),
        (false, script) => {
            let (what, needed) = match script {
                Some(line) => ("interpreter", Some(line)),
                None => ("loader", loader::of(&file)),
            };
            match needed.filter(|needed| !is_shown(plan, Path::new(needed))) {
                Some(needed) => format!(
                    "it is {path} on the host, and not shown, and neither is its {what} {needed}: leave out what hides them, or show them with all that they need (`ldd {path}` lists libraries)"
                ),
                None => format!("it is {path} on the host, and not shown: `--ro {path} -- {path}` shows it inside"),
            }
        }
    })
}

/// The program's file on the host, and whether the program could be found by its name if it were shown.
fn find(plan: &Plan, name: &str, inside: &str) -> Option<(PathBuf, bool)> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|file| file.exists()).map(|file| (file, true));
    }
    let outside = std::env::var("PATH").unwrap_or_default();
    let dirs = |path: &str| path.split(':').filter(|dir| dir.starts_with('/')).map(PathBuf::from).collect::<Vec<_>>();
    // A directory that a flag or a profile shows, as one of the user's own programs.
    let shown =
        plan.view.parts.iter().filter(|placed| !placed.origin.0.is_empty()).filter_map(|placed| match &placed.op {
            Op::Bind { source, path, .. } if source == path => Some(path.clone()),
            _ => None,
        });
    let all = [(dirs(inside), true), (dirs(&outside), false), (shown.collect(), false)];
    let files = all.into_iter().flat_map(|(dirs, on_path)| dirs.into_iter().map(move |dir| (dir.join(name), on_path)));
    files.into_iter().find(|(file, _)| file.is_file())
}

/// Whether the view shows this file of the host at its own path.
fn is_shown(plan: &Plan, file: &Path) -> bool {
    let Ok(real) = file.canonicalize() else { return false };
    let parts = plan.view.parts.iter().map(|placed| &placed.op);
    let nearest = parts.filter(|op| real.starts_with(op.path())).max_by_key(|op| op.path().components().count());
    let at =
        |source: &Path, path: &Path| real.strip_prefix(path).is_ok_and(|rest| source.join(rest).starts_with(&real));
    match nearest {
        Some(Op::Bind { source, path, .. }) => at(source, path),
        Some(Op::Layers { lower, path, .. }) => lower.iter().any(|lower| at(lower, path)),
        _ => false,
    }
}

/// The interpreter that the first line of a script names.
fn interpreter(file: &Path) -> Option<String> {
    let start = sys::read_start(file, 256).ok()?;
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line).trim_start().to_owned();
    Some(line.split([' ', '\t']).next().unwrap_or_default().to_owned())
}

/// The hint for a script with this interpreter.
fn of_interpreter(file: &Path, program: &str) -> String {
    let path = file.display();
    match program.ends_with('\r') {
        true => {
            format!("the first line of {path} ends with a carriage return, as DOS has it: sed -i 's/\\r$//' {path}")
        }
        false => format!("{path} is there on the host; its interpreter {program} may not be there inside"),
    }
}
