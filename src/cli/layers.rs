//! Profile, project's file and flags → `Sandbox` and `Facts`: the part that all verbs that need a sandbox share.

pub(super) use super::caller::Caller;
use super::program::with_arguments;
use super::project_files::{self, ProjectFiles};
use super::{args, closed, familiar, flags, output};
use crate::error::{Error, Result};
use crate::host::{self, Facts, Ways};
use crate::profile::{Merged, Sources, project, resolve};
use crate::spec::{self, Sandbox};
use std::ffi::{OsStr, OsString};

/// The sandbox that the profile, the project's file and the flags describe, and the facts about the host for its plan.
pub(super) fn sandbox(args: &args::Sandbox, program: &[OsString], caller: &Caller) -> Result<(Sandbox, Facts)> {
    let mut loader = caller.loader();
    let mut merged = Merged::default();
    let chosen = match args.profile {
        Some(_) => None,
        None => program.first().and_then(|program| loader.for_program(program)),
    };
    let profile = args.profile.as_ref().or(chosen.as_ref()).map_or("default", String::as_str);
    for layer in loader.profile(profile) {
        merged.apply(layer);
    }
    let mut flags = flags::read(args, &merged, caller)?;
    let joined = std::mem::take(&mut flags.joined);
    let text = flags.text();
    let mut without_project = None;
    let ProjectFiles { files, others } =
        if args.no_project { Default::default() } else { project_files::find(&caller.cwd, &caller.vars)? };
    for file in &files {
        let Some(layer) = loader.project(file, &caller.cwd) else { continue };
        let alone = without_project.is_none().then(|| merged.clone());
        let applied = project::apply(&mut merged, without_project.as_ref(), layer, &loader.sources, &host::rlimits());
        loader.errors.extend(applied.err().into_iter().flatten());
        without_project = without_project.or(alone);
    }
    let layer = loader.text("command line", &text);
    let env_bytes = flags.variables();
    loader.sources.label(layer.source, flags.labels());
    if let Some(without) = &mut without_project {
        without.apply(layer.clone());
    }
    merged.apply(layer);
    if !loader.errors.is_empty() {
        return Err(output::wrong(loader.errors, loader.sources));
    }
    crate::sys::phase("profiles");
    let mut sandbox = resolve::sandbox(&merged, &loader.sources, &caller.vars)
        .map_err(|errors| output::wrong(errors, loader.sources.clone()))?;
    let mut without = match without_project {
        Some(without) => Some(compare(&without, &sandbox, &loader.sources, caller)?),
        None => None,
    };
    if !program.is_empty() {
        // A program that is named by itself, without a profile, is always a program.
        let of_profile = if args.profile.is_some() { sandbox.process.args.as_slice() } else { &[] };
        let path = sandbox.process.env.get("PATH").map(OsStr::new);
        sandbox.process.args = with_arguments(program, of_profile, path, &caller.cwd);
    }
    let mut ways = Ways::default();
    let read = loader.sources.files().map(|file| caller.cwd.join(file));
    let profiles: Vec<_> = read.chain(files.iter().cloned()).collect();
    for sandbox in std::iter::once(&mut sandbox).chain(&mut without) {
        closed::profiles(sandbox, &profiles, &mut ways);
        closed::names(sandbox, &mut ways)?;
        closed::startup(sandbox, &caller.vars, &mut ways);
        closed::variables(sandbox, caller.variables(), &caller.vars, &mut ways)?;
    }
    sandbox.notes.extend(others.into_iter().map(|(file, owner)| spec::Note::NotTaken { file, owner }));
    if sandbox.filesystem.paths.iter().any(|rule| rule.mode == spec::Mode::Overlay) {
        let found = profiles.iter().filter_map(|file| ways.follow(file));
        sandbox.filesystem.profiles = found.flat_map(|(real, links)| links.into_iter().chain([real])).collect();
    }
    sandbox.filesystem.project_files = files;
    sandbox.filesystem.without_project = without.map(|without| without.filesystem.paths);
    // A file's name without its directory and its ending, as profiles in the known directories have it.
    sandbox.name = profile.trim_end_matches(".toml").rsplit('/').next().unwrap_or_default().to_owned();
    sandbox.limits.stats = args.stats.is_some();
    sandbox.process.as_pid_1 = args.as_pid_1;
    sandbox.process.descriptors = spec::Descriptors::Only(args.keep_fd.clone());
    if let (Some(profile), Some(program)) = (chosen, program.first()) {
        sandbox.notes.push(spec::Note::ProfileOf { profile, program: program.display().to_string() });
    }
    sandbox.process.env_bytes = env_bytes;
    crate::sys::phase("spec");
    let mut facts = host::probe(&sandbox, caller.env.clone(), caller.cwd.clone(), caller.accounts.clone());
    if let Some(familiar::Joined { flag, name, .. }) = joined.iter().find(|joined| !joined.monitor.is_there()) {
        return Err(
            Error::new(format!("--{flag} container:{name}: it has ended meanwhile")).hint(format!("sbx start {name}"))
        );
    }
    facts.add_profiles(&sandbox, &caller.vars.profiles);
    facts.env_bytes.clone_from(&caller.env_bytes);
    crate::sys::phase("host");
    Ok((sandbox, facts))
}

/// The sandbox without a project's file.
///
/// # Errors
///
/// With the file, a rule of the layers below it does not hold any more, whatever the line in it says.
fn compare(without: &Merged, sandbox: &Sandbox, sources: &Sources, caller: &Caller) -> Result<Sandbox> {
    let without =
        resolve::sandbox(without, sources, &caller.vars).map_err(|errors| output::wrong(errors, sources.clone()))?;
    let (before, after) = (&without.filesystem.paths, &sandbox.filesystem.paths);
    if let Some(rule) = project::gained(before, after) {
        let (path, mode) = (rule.path.display(), rule.mode.word());
        return Err(Error::new(format!(
            "{path} would be `{mode}` with .sbx.toml, and is not without it ({})",
            rule.origin
        ))
        .hint(project::HELP));
    }
    let Some((rule, now)) = project::lost(before, after) else { return Ok(without) };
    let (path, old) = (rule.path.display(), rule.mode.word());
    let now = now.map_or("shown".to_owned(), |mode| format!("`{}`", mode.word()));
    Err(Error::new(format!("{path} would be {now} with .sbx.toml, and is `{old}` without it ({})", rule.origin))
        .hint(project::HELP))
}
