//! What enforces the mode of each path, looked up in a plan by the line that asked for it.

use super::note::Note;
use super::{Attributes, ExclusivePlan, LandlockPlan, Op, Plan};
use crate::spec::{Mode, PathRule};
use crate::sys::{FS_READ_FILE, FS_WRITE_FILE};
use std::collections::HashMap;
use std::path::Path;

/// The parts of a plan that have to do with paths, by the lines that asked for them: a profile may have thousands.
#[derive(Default)]
pub(super) struct Enforcement<'a> {
    lines: HashMap<&'a str, Line<'a>>,
    /// Notes on paths, by the path.
    notes: HashMap<&'a Path, Vec<&'a Note>>,
    /// Landlock's version, and the rights that it grants by path.
    landlock: Option<(i32, HashMap<&'a Path, u64>)>,
}

/// What a plan has for one line of a profile.
#[derive(Default)]
struct Line<'a> {
    parts: Vec<&'a Op>,
    /// Why optional masks are left out.
    closed: Vec<&'static str>,
    /// Whether a path is not there to be made read-only.
    absent: bool,
    /// Whether a path is not there to be hidden.
    seen_later: bool,
    /// Whether a path is shown in one sandbox at a time.
    exclusive: bool,
    notes: Vec<&'a Note>,
}

impl<'a> Enforcement<'a> {
    pub fn of(plan: &'a Plan) -> Enforcement<'a> {
        let mut found = Enforcement::default();
        let view = &plan.view;
        for placed in &view.parts {
            found.lines.entry(&placed.origin.0).or_default().parts.push(&placed.op);
        }
        for closed in &view.closed {
            found.lines.entry(&closed.origin.0).or_default().closed.push(closed.why);
        }
        for absent in &view.absent {
            let line = found.lines.entry(&absent.origin.0).or_default();
            *(if absent.hides.is_some() { &mut line.seen_later } else { &mut line.absent }) = true;
        }
        for exclusive in view.exclusive.iter().flat_map(|plan| &plan.paths) {
            found.lines.entry(&exclusive.origin.0).or_default().exclusive = true;
        }
        for note in &plan.notes {
            if let Note::Path { path, origin, .. } = note {
                found.notes.entry(path).or_default().push(note);
                found.lines.entry(&origin.0).or_default().notes.push(note);
            }
        }
        let granted = |landlock: &'a LandlockPlan| {
            let mut granted: HashMap<&Path, u64> = HashMap::new();
            landlock.rules.iter().for_each(|(path, rights)| *granted.entry(path).or_default() |= rights);
            (landlock.version, granted)
        };
        found.landlock = plan.lockdown.landlock.as_ref().ok().map(granted);
        found
    }

    /// The mechanisms that enforce a rule, and what is missing. If there are several mechanisms, each alone would do.
    pub fn rule(&self, rule: &PathRule) -> (Vec<String>, Vec<String>) {
        let none = Line::default();
        let line = self.lines.get(rule.origin.0.as_str()).unwrap_or(&none);
        let by_path = self.notes.get(rule.path.as_path()).map_or(&[][..], Vec::as_slice);
        let notes = by_path.iter().chain(line.notes.iter().filter(|note| !by_path.iter().any(|other| other == *note)));
        let mut missing: Vec<_> = notes.filter(|note| note.denies_path(rule)).map(|note| note.to_string()).collect();
        if line.absent {
            missing.push("it is not there yet, and the program can make it; a note at the end says if it has".into());
        }
        if line.seen_later {
            missing.push(
                "it is not there yet, and what is made there while the program runs is seen; a note at the end says if it was".into(),
            );
        }
        if !missing.is_empty() {
            return (Vec::new(), missing);
        }
        let mut by = Vec::new();
        for how in line.parts.iter().filter_map(|op| mechanism(op)) {
            if !by.contains(&how) {
                by.push(how);
            }
        }
        if rule.mode == Mode::Hidden {
            by.push("left out of the view".into());
        }
        by.extend(line.closed.iter().map(|why| (*why).to_owned()));
        if by.is_empty() {
            let why = if rule.options.optional { "it is not there" } else { "the mount above it is the same" };
            by.push(why.into());
        }
        by.extend(self.landlock(&rule.path, rule.mode));
        if line.exclusive {
            by.push(ExclusivePlan::mechanism());
        }
        (by, missing)
    }

    /// Landlock as a second mechanism for a path's mode, if its rules would enforce the mode without the mount's flags.
    fn landlock(&self, path: &Path, mode: Mode) -> Option<String> {
        let (version, rules) = self.landlock.as_ref()?;
        let granted = path.ancestors().filter_map(|above| rules.get(above)).fold(0, |all, one| all | one);
        let keeps = match mode {
            Mode::Ro => granted & FS_WRITE_FILE == 0,
            Mode::Masked | Mode::Hidden | Mode::Deny => granted & (FS_WRITE_FILE | FS_READ_FILE) == 0,
            Mode::Rw | Mode::Overlay | Mode::Tmpfs => return None,
        };
        keeps.then(|| format!("Landlock version {version}"))
    }
}

/// The text by which a receipt says how a part of the view is made; `None` if it enforces nothing.
fn mechanism(op: &Op) -> Option<String> {
    let flags = |attributes: &Attributes| {
        let words =
            [("ro", attributes.ro), ("nosuid", true), ("nodev", attributes.nodev), ("noexec", attributes.noexec)];
        words.iter().filter(|(_, on)| *on).map(|(word, _)| *word).collect::<Vec<_>>().join(",")
    };
    Some(match op {
        Op::Bind { attributes, .. } => format!("bind mount, {} on it and all below", flags(attributes)),
        Op::Layers { ro: true, .. } => "the kernel's overlay, without an upper layer".into(),
        Op::Layers { fuse: true, .. } => format!(
            "a FUSE filesystem of {}: changes go to its upper layer; what you cannot read is empty",
            crate::union::fuse::SERVER
        ),
        Op::Layers { served: Some(_), .. } => {
            format!(
                "the kernel's overlay over {}: changes go to its upper layer; what you cannot read is empty",
                crate::union::view::SERVER
            )
        }
        Op::Layers { .. } => "the kernel's overlay: changes go to its upper layer".into(),
        Op::Tmpfs { attributes, size: Some(size), .. } => format!("tmpfs of {size} bytes, {}", flags(attributes)),
        Op::Tmpfs { attributes, .. } => format!("tmpfs, {}", flags(attributes)),
        Op::Mask { closed: true, .. } => "a mount that nobody may enter, over it".into(),
        Op::Mask { .. } => "an empty mount over it".into(),
        Op::Proc { .. } => "procfs of the pid namespace".into(),
        _ => return None,
    })
}
