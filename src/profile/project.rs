//! The project's own file, `.sbx.toml`: it comes with a repository that one clones, so it may only tighten.

use super::diagnostic::Diagnostic;
use super::document::{Document, Setting, Text, Value};
use super::expand::Vars;
use super::merge::Merged;
use super::schema::{Key, Target};
use crate::spec::limits::{self, Control, Form};
use crate::spec::{Filesystem, Mode, PathRule, Root, parse_size};
use std::path::{Path, PathBuf};

const HELP: &str =
    "a project's file may only tighten; what it needs beyond that goes into a profile of yours, or a flag";

/// What in a project's file would loosen the layers below it, and the view that these give. What a path leads to by links is
/// not known here: the planner refuses those in a project's file.
pub fn loosened(below: &Merged, view: &Filesystem, project: &Document, vars: &Vars) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    for setting in &project.settings {
        for (text, why) in check(below, view, setting, vars) {
            errors.push(Diagnostic::at(&text.at, why).help(HELP));
        }
    }
    errors
}

fn check(below: &Merged, view: &Filesystem, setting: &Setting, vars: &Vars) -> Vec<(Text, String)> {
    let name = setting.key.name;
    let whole = |why: &str| vec![(Text { text: String::new(), at: setting.at.clone() }, why.to_owned())];
    if let (Value::Text(text), Target::Rlimit) = (&setting.value, setting.key.target) {
        return refuse(text, rlimit_tightens(below, setting.key, text, vars), "a higher limit");
    }
    if let (Value::Text(text), Target::Limit(control)) = (&setting.value, setting.key.target) {
        return refuse(text, limit_tightens(below, setting.key, control, text), "a higher limit");
    }
    match (&setting.value, name) {
        (_, "schema" | "description") => Vec::new(),
        (Value::Text(text), "namespaces.nested") => {
            let rank = |word: Option<&str>| ["deny", "no-mount", "allow"].iter().position(|name| Some(*name) == word);
            let old = rank(below.text(name).map(|text| text.text.as_str())).unwrap_or(0);
            refuse(text, rank(Some(&text.text)).is_some_and(|new| new <= old), "nested user namespaces")
        }
        (Value::Text(text), "network.mode") => refuse(text, text.text == "none", "the network"),
        (Value::Text(text), "dbus.session.policy") => {
            let rank = |word: Option<&str>| match word {
                Some("host") => 2,
                Some("filter") => 1,
                _ => 0,
            };
            let old = rank(below.text(name).map(|text| text.text.as_str()));
            refuse(text, rank(Some(&text.text)) <= old, "the session bus")
        }
        (Value::Text(text), "security.seccomp") => {
            let rank = |word: Option<&str>| match word {
                Some("strict") => 2,
                Some("off") => 0,
                _ => 1,
            };
            let old = rank(below.text(name).map(|text| text.text.as_str()));
            refuse(text, rank(Some(&text.text)) >= old, "more system calls")
        }
        // What is denied, and what is promised, may grow.
        (
            Value::List(list, _),
            "security.syscalls.deny" | "assert.cannot_read" | "assert.cannot_write" | "assert.cannot_reach",
        ) => {
            let taken = list.iter().filter(|item| item.text.starts_with('!'));
            taken
                .map(|item| (item.clone(), format!("a project's file cannot take `{}` away", &item.text[1..])))
                .collect()
        }
        (Value::Text(text), "security.landlock") => {
            let rank = |word: Option<&str>| match word {
                Some("require") => 2,
                Some("off") => 0,
                _ => 1,
            };
            let old = rank(below.text(name).map(|text| text.text.as_str()));
            refuse(text, rank(Some(&text.text)) >= old, "less of Landlock")
        }
        (Value::Text(text), "process.timeout") => {
            let seconds = |text: &Text| humantime::parse_duration(&text.text).ok();
            let fine = match (below.text(name).and_then(seconds), seconds(text)) {
                (Some(old), Some(new)) => new <= old,
                (None, _) => true,
                (_, None) => false,
            };
            refuse(text, fine, "a longer timeout")
        }
        (Value::Switch(on, at), "limits.delegate" | "limits.cgroupfs") => {
            let text = Text { text: String::new(), at: at.clone() };
            refuse(&text, !on || below.switch(name), "cgroups of its own")
        }
        (Value::Switch(on, at), _) if name.starts_with("desktop.") => {
            let text = Text { text: String::new(), at: at.clone() };
            refuse(&text, !on || below.switch(name), "part of the desktop")
        }
        (Value::List(..), "process.args" | "extends") => whole(&format!("a project's file cannot set `{name}`")),
        (Value::List(list, _), _) => list
            .iter()
            .filter(|item| !item.text.starts_with('!') && !below.list(name).iter().any(|old| old.text == item.text))
            .map(|item| (item.clone(), format!("a project's file cannot add `{}` to `{name}`", item.text)))
            .collect(),
        (Value::Map(map), "filesystem.paths") => {
            map.iter().filter_map(|(path, mode)| path_loosened(view, path, mode, vars)).collect()
        }
        _ => whole(&format!("a project's file cannot set `{name}`")),
    }
}

fn refuse(text: &Text, fine: bool, what: &str) -> Vec<(Text, String)> {
    if fine { Vec::new() } else { vec![(text.clone(), format!("a project's file cannot ask for {what}"))] }
}

fn rlimit_tightens(below: &Merged, key: &Key, text: &Text, vars: &Vars) -> bool {
    // Where no layer has it, it is the caller's own that may not be raised.
    let old = match below.text(key.name) {
        Some(old) => soft_and_hard(old),
        None => vars.rlimits.get(key.last()).copied(),
    };
    match (soft_and_hard(text), old) {
        (Some((soft, hard)), Some((old_soft, old_hard))) => soft <= old_soft && hard <= old_hard,
        (new, None) => new.is_some(),
        (None, _) => false,
    }
}

fn limit_tightens(below: &Merged, key: &Key, control: Control, text: &Text) -> bool {
    let (new, new_prefers) = limits::preferred(&text.text);
    let old = below.text(key.name).map(|old| limits::preferred(&old.text));
    // What is guaranteed, or weighs more than the others', is no restriction.
    let gives = matches!(control.file, "memory.low" | "memory.min")
        || (old.is_none() && (control.file == "cpu.max.burst" || control.form == Form::Weight));
    let weaker = new_prefers && old.is_some_and(|(_, prefers)| !prefers);
    !gives && !weaker && control.form.tightens(new, old.map(|(old, _)| old))
}

/// Soft and hard of `N`, `SOFT:HARD` or `unlimited`.
fn soft_and_hard(text: &Text) -> Option<(u64, u64)> {
    let one = |part: &str| if part == "unlimited" { Some(u64::MAX) } else { parse_size(part) };
    let (soft, hard) = text.text.split_once(':').unwrap_or((&text.text, &text.text));
    Some((one(soft)?, one(hard)?))
}

fn path_loosened(view: &Filesystem, path: &Text, mode: &Text, vars: &Vars) -> Option<(Text, String)> {
    let says = |why: String| Some((path.clone(), why));
    if mode.text == "!" {
        return says(format!("a project's file cannot take `{}` away", path.text));
    }
    let mut parts = mode.text.split(',').map(str::trim);
    // What is no mode or no path is an error of its own.
    let new = Mode::from_word(parts.next()?)?;
    if let Some(option) = parts.find(|part| {
        part.starts_with("from=") || matches!(*part, "create" | "prefer") || (new.shows_host() && *part == "optional")
    }) {
        return says(format!("a project's file cannot use `{option}`"));
    }
    let target = vars.path(&path.text).ok()?;
    if target.parent().is_none() {
        return says("a project's file cannot set the mode of `/`, which all others start from".into());
    }
    let (old, rule) = in_force(view, &target, vars);
    if new < old {
        let (old, new) = (old.word(), new.word());
        return says(format!("`{}` is `{old}` here, and a project's file cannot make it `{new}`", path.text));
    }
    // The project's line takes the place of the one below it, options included.
    let options = rule.map(|rule| rule.options.clone()).unwrap_or_default();
    let written: Vec<&str> = mode.text.split(',').skip(1).map(str::trim).collect();
    let kept = |option: &str| written.contains(&option);
    let size = written.iter().find_map(|option| parse_size(option.strip_prefix("size=")?));
    let lost = if new.shows_host() && options.from.is_some() {
        "from="
    } else if matches!(new, Mode::Ro | Mode::Rw | Mode::Tmpfs) && options.noexec && !kept("noexec") {
        "noexec"
    } else if new == Mode::Tmpfs && options.size.is_some_and(|old| size.is_none_or(|new| new > old)) {
        "size="
    } else {
        return None;
    };
    says(format!("`{}` has the option `{lost}` here, and a project's file cannot take that away", path.text))
}

/// The mode that a path has so far, and the rule that gives it: that of the most specific path at or above it, be it a rule or one
/// that is private whatever the root. At one and the same path the rule wins, as in the view.
fn in_force<'v>(view: &'v Filesystem, target: &Path, vars: &Vars) -> (Mode, Option<&'v PathRule>) {
    let home = vars.names.get("HOME").map(PathBuf::from).unwrap_or_default();
    let private = ["/proc", "/dev", "/tmp", "/run", "/sys", "/home", "/root", "/var/tmp"].map(PathBuf::from);
    let private = private.iter().chain([&home]).chain(&vars.homes).filter(|path| target.starts_with(path));
    let private = private.map(|path| (path, Mode::Tmpfs, None));
    let rules = view.paths.iter().filter(|rule| target.starts_with(&rule.path));
    let rules = rules.map(|rule| (&rule.path, rule.mode, Some(rule)));
    // Of equals, `max_by_key` takes the last.
    match private.chain(rules).max_by_key(|(path, ..)| path.components().count()) {
        Some((_, mode, rule)) => (mode, rule),
        None if view.root == Root::Host => (Mode::Ro, None),
        None => (Mode::Hidden, None),
    }
}
