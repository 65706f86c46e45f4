//! `sbx profile check`: prints the errors in profiles, and the grants that undo or weaken the sandbox.

use super::layers::Caller;
use super::wrong::Wrong;
use super::{output, project_check};
use crate::error::{Result, printable};
use crate::profile::{Loader, Merged, Vars, resolve};
use crate::review::{Review, Severity, review};
use crate::spec::{Mode, Origin, Root, Sandbox};
use serde_json::json;
use std::fmt::Write;
use std::path::Path;

/// The current directory that reviews assume: the verdict must depend on the profile, not on where sbx is called.
const ELSEWHERE: &str = "${HOME}/.current-directory";

pub(super) fn main(caller: &Caller, files: &[impl AsRef<Path>], strict: bool, json: bool) -> Result<u8> {
    let colour = output::colour(1);
    let (mut report, mut rows) = (String::new(), Vec::new());
    let mut good = true;
    for file in files {
        let shown = file.as_ref().display().to_string();
        let mut loader = caller.loader();
        if project_check::is_of_project(&shown) {
            match project_check::check(caller, &mut loader, &shown) {
                Ok(tightens) => {
                    tightens.text(&mut report, &shown);
                    rows.push(tightens.as_json(&shown));
                }
                Err(wrong) => {
                    good = false;
                    rows.push(json!({ "profile": shown, "project": true, "errors": wrong.as_json(&loader) }));
                    wrong.complain(loader.sources);
                }
            }
            continue;
        }
        match checked(caller, &mut loader, &shown) {
            Ok((found, absent)) => {
                good &= !(strict && found.is_undone());
                text(&mut report, &shown, &found, &absent, colour);
                let absent: Vec<_> = absent.iter().map(Absent::as_json).collect();
                rows.push(json!({ "profile": shown, "level": found.level(), "review": found, "absent": absent }));
            }
            Err(wrong) => {
                good = false;
                rows.push(json!({ "profile": shown, "errors": wrong.as_json(&loader) }));
                wrong.complain(loader.sources);
            }
        }
    }
    if json {
        report = format!("{:#}\n", serde_json::Value::Array(rows));
    }
    output::print(&report)?;
    Ok(if good { 0 } else { 1 })
}

/// A path of a profile that is not on this host.
struct Absent {
    /// The path, with `~` for the home.
    path: String,
    origin: Origin,
    /// Whether a start goes on without it.
    left_out: bool,
}

impl Absent {
    fn as_json(&self) -> serde_json::Value {
        json!({ "path": self.path, "place": self.origin.0, "left_out": self.left_out })
    }
}

/// The paths of a profile that are not on this host, without those below the current directory. What built-in profiles show
/// and close where a host has it is not told.
fn absent(sandbox: &Sandbox, vars: &Vars) -> Vec<Absent> {
    if !matches!(sandbox.filesystem.root, Root::Host | Root::Empty) {
        return Vec::new();
    }
    let home = vars.names.get("HOME").map(Path::new);
    let rules = sandbox.filesystem.paths.iter().filter(|rule| {
        let of_built_in = rule.origin.0.starts_with("built-in:") && (rule.options.optional || !rule.mode.shows_host());
        !of_built_in && !rule.options.create && rule.mode != Mode::Tmpfs && !rule.path.starts_with(&vars.cwd)
    });
    let mut found = Vec::new();
    for rule in rules {
        let source = rule.source();
        let Err(error) = source.symlink_metadata() else { continue };
        if !matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) {
            continue;
        }
        let path = match home.and_then(|home| source.strip_prefix(home).ok()) {
            Some(rest) => Path::new("~").join(rest).display().to_string(),
            None => source.display().to_string(),
        };
        let left_out = rule.options.optional || rule.mode == Mode::Hidden;
        found.push(Absent { path, origin: rule.origin.clone(), left_out });
    }
    found
}

type Checked = (Review, Vec<Absent>);

fn checked(caller: &Caller, loader: &mut Loader, shown: &str) -> std::result::Result<Checked, Wrong> {
    // A file with that name goes before a profile.
    let name = if shown.contains('/') || (!Path::new(shown).exists() && loader.names().iter().any(|name| name == shown))
    {
        shown.to_owned()
    } else {
        format!("./{shown}")
    };
    let mut merged = Merged::default();
    loader.profile(&name).into_iter().for_each(|layer| merged.apply(layer));
    let errors = std::mem::take(&mut loader.errors);
    if !errors.is_empty() {
        return Err(errors.into());
    }
    let here = resolve::sandbox(&merged, &loader.sources, &caller.vars)?;
    Wrong::anywhere(&here)?;
    let mut vars: Vars = caller.vars.clone();
    let elsewhere = vars.path(ELSEWHERE).unwrap_or_default();
    vars.names.insert("CWD".into(), elsewhere.display().to_string());
    vars.cwd = elsewhere;
    (vars.find_project, vars.project) = Default::default();
    let sandbox = resolve::sandbox(&merged, &loader.sources, &vars).unwrap_or(here);
    let absent = absent(&sandbox, &vars);
    Ok((review(&sandbox, &vars, &loader.sources.accepted()), absent))
}

/// The origins of a finding as a comment: `   # FILE:1, 2, OTHER:3`.
fn places(origins: &[Origin]) -> String {
    let mut out = String::new();
    let mut before = "";
    for origin in origins.iter().filter(|origin| !origin.0.is_empty()) {
        let (file, line) = origin.0.rsplit_once(':').unwrap_or((&origin.0, ""));
        out.push_str(if out.is_empty() { "   # " } else { ", " });
        out.push_str(if file == before { line } else { &origin.0 });
        before = file;
    }
    out
}

fn text(out: &mut String, name: &str, found: &Review, absent: &[Absent], colour: bool) {
    let paint = |severity: Severity, text: String| match severity {
        Severity::Undoes if colour => format!("\x1b[1;31m{text}\x1b[0m"),
        Severity::Weakens if colour => format!("\x1b[33m{text}\x1b[0m"),
        _ => text,
    };
    let _ = writeln!(out, "{}: ok", printable(name));
    for finding in &found.findings {
        let from = places(&finding.origins);
        let severity = paint(finding.severity, format!("{:<8}", finding.severity.word()));
        let line = format!("{}: {}{from}", finding.grant, finding.harm);
        let _ = writeln!(out, "{severity}{:>4.1}  {}", finding.weight, printable(&line));
        let help = match &finding.accepted {
            Some(reason) => format!("accepted: {reason}"),
            None => format!("help: {}", finding.help),
        };
        let _ = writeln!(out, "              {}", printable(&help));
    }
    for left_out in [false, true] {
        let (mut paths, mut origins) = (Vec::new(), Vec::new());
        for Absent { path, origin, .. } in absent.iter().filter(|absent| absent.left_out == left_out) {
            paths.push(path.as_str());
            origins.push(origin.clone());
        }
        if !paths.is_empty() {
            let then = if left_out { "and left out" } else { "and a start fails" };
            let line = format!("not on this host, {then}: {}{}", paths.join(", "), places(&origins));
            let _ = writeln!(out, "absent        {}", printable(&line));
        }
    }
    let worst = found.findings.first().map_or(Severity::Note, |finding| finding.severity);
    let level = paint(worst, found.level().to_owned());
    let _ = writeln!(out, "→ overall exposure level for {}: {:.1} {level}", printable(name), found.exposure);
}
