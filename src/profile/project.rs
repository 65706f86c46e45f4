//! Checks the project's file, `.sbx.toml`: it comes with a cloned repository, so it may only tighten the sandbox.

use super::diagnostic::Diagnostic;
use super::document::{Document, Setting, Text, Value};
use super::merge::Merged;
use super::schema::{Key, Target};
use super::source::{At, Sources};
use crate::spec::limits::{self, Control, Form};
use crate::spec::{Mode, PathRule, Rlimits, parse_size};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;

/// The name of a project's file.
pub const FILE: &str = ".sbx.toml";

/// The help for a setting of a project's file that is refused.
pub const HELP: &str = "a project's file may only tighten; what it needs beyond that goes into a profile of yours, or a flag, and \
                        --no-project goes on without it";

/// An error for each setting of a project's file that would loosen the layers below it, or the caller's own `rlimits` where no layer sets
/// them.
pub fn loosened(below: &Merged, project: &Document, rlimits: &Rlimits) -> Vec<Diagnostic> {
    let wrong = project.settings.iter().flat_map(|setting| check(below, setting, rlimits));
    wrong.map(|(text, why)| Diagnostic::at(&text.at, why).help(HELP)).collect()
}

/// Applies a project's file. `below` are the layers without any such file, if others are among those in `merged`: of what several
/// files say, the strictest holds. The planner checks the modes of paths, since links are not resolved here.
///
/// # Errors
///
/// Those of [`loosened`], and each setting with which neither of two files is at least as strict as the other.
pub fn apply(
    merged: &mut Merged,
    below: Option<&Merged>,
    mut file: Document,
    sources: &Sources,
    rlimits: &Rlimits,
) -> Result<(), Vec<Diagnostic>> {
    let layers = below.unwrap_or(merged);
    let mut errors = loosened(layers, &file, rlimits);
    if let (Some(below), true) = (below, errors.is_empty()) {
        let settings = std::mem::take(&mut file.settings);
        for setting in settings {
            match stricter(merged, below, setting, rlimits) {
                Ok(setting) => file.settings.extend(setting),
                Err((at, other)) => {
                    let why = format!(
                        "{} restricts what this line does not, and this line what that does not",
                        sources.place(&other)
                    );
                    errors.push(
                        Diagnostic::at(&at, why)
                            .help("let one of the two files say both; --no-project goes on without them"),
                    );
                }
            }
        }
    }
    if errors.is_empty() {
        merged.apply(file);
        return Ok(());
    }
    Err(errors)
}

/// The part of a project's setting that is no freer than what the files of projects in `merged` say of it.
///
/// # Errors
///
/// Neither is as strict as the other: where both are.
fn stricter(
    merged: &Merged,
    below: &Merged,
    mut setting: Setting,
    rlimits: &Rlimits,
) -> Result<Option<Setting>, (At, At)> {
    let name = setting.key.name;
    let freer = check(merged, &setting, rlimits);
    let (false, Some(old)) = (freer.is_empty(), merged.get(name)) else { return Ok(Some(setting)) };
    if let Value::List(list, _) = &mut setting.value
        && name != "services.ssh-agent-keys"
    {
        list.retain(|item| freer.iter().all(|(wrong, _)| wrong.at != item.at));
        return Ok(Some(setting));
    }
    let at = |value: &Value| match value {
        Value::Switch(_, at) | Value::List(_, at) => at.clone(),
        Value::Text(text) => text.at.clone(),
        Value::Map(_) => setting.at.clone(),
    };
    let other = Setting { key: setting.key, value: old.clone(), at: at(old) };
    let place = at(&setting.value);
    let mut alone = below.clone();
    alone.apply(Document { settings: vec![setting], project: true, ..Document::default() });
    if check(&alone, &other, rlimits).is_empty() { Ok(None) } else { Err((place, other.at)) }
}

/// The mode that rules say of a path: that of the nearest one at or above it.
struct Modes<'a>(BTreeMap<&'a OsStr, Mode>);

impl<'a> Modes<'a> {
    fn of(rules: &'a [PathRule]) -> Modes<'a> {
        Modes(rules.iter().map(|rule| (rule.path.as_os_str(), rule.mode)).collect())
    }

    fn at(&self, path: &Path) -> Option<Mode> {
        path.ancestors().find_map(|above| self.0.get(above.as_os_str()).copied())
    }
}

/// A rule that holds without the project's file and not with it, and what its path is then: a line of that file has taken
/// something out of force that stands elsewhere.
pub fn lost<'a>(without: &'a [PathRule], with: &[PathRule]) -> Option<(&'a PathRule, Option<Mode>)> {
    let modes = Modes::of(with);
    without.iter().map(|rule| (rule, modes.at(&rule.path))).find(|(rule, mode)| match mode {
        Some(mode) => *mode < rule.mode,
        None => !rule.mode.shows_host(),
    })
}

/// A rule that is not the project's file's own, and shows more with that file than the rules without it do.
pub fn gained<'a>(without: &[PathRule], with: &'a [PathRule]) -> Option<&'a PathRule> {
    let modes = Modes::of(without);
    let mut shown = with.iter().filter(|rule| !rule.project && rule.mode.shows_host());
    shown.find(|rule| modes.at(&rule.path).is_none_or(|without| rule.mode < without))
}

fn check(below: &Merged, setting: &Setting, rlimits: &Rlimits) -> Vec<(Text, String)> {
    let name = setting.key.name;
    let whole = |why: &str| vec![(Text { text: String::new(), at: setting.at.clone() }, why.to_owned())];
    if let (Value::Text(text), Target::Rlimit) = (&setting.value, setting.key.target) {
        let what = match setting.key.last() {
            "core" => "a higher limit: any but 1 lets a handler outside have core dumps",
            _ => "a higher limit",
        };
        return refuse(text, rlimit_tightens(below, setting.key, text, rlimits), what);
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
        (Value::Text(text), "namespaces.ipc" | "namespaces.uts") => {
            refuse(text, text.text == "private", "namespaces of another sandbox")
        }
        (Value::Text(text), "filesystem.arguments") => refuse(text, text.text == "none", "files of the host"),
        (Value::Text(text), "network.mode") => {
            // Another network of several sandboxes, or the same one, is no tighter than any.
            let rank = |word: Option<&str>| ["none", "private", "host"].iter().position(|name| Some(*name) == word);
            let old = rank(below.text(name).map(|text| text.text.as_str())).unwrap_or(0);
            refuse(text, rank(Some(&text.text)).is_some_and(|new| new <= old), "the network")
        }
        (Value::Text(text), "network.on_helper_death") => refuse(text, text.text == "end", "what is not ended"),
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
        (Value::Text(text), "security.setuid_bits") => {
            let allowed = below.text(name).is_some_and(|text| text.text == "allow");
            refuse(text, text.text == "deny" || allowed, "set-user-ID bits on files")
        }
        // Denying more calls, or asserting more, tightens: items may be added but not removed.
        (
            Value::List(list, _),
            "security.syscalls.deny"
            | "network.deny"
            | "assert.cannot_read"
            | "assert.cannot_write"
            | "assert.cannot_reach",
        ) => {
            let taken = list.iter().filter(|item| item.text.starts_with('!'));
            taken
                .map(|item| (item.clone(), format!("a project's file cannot take `{}` away", &item.text[1..])))
                .collect()
        }
        (Value::Text(text), "security.landlock" | "security.landlock_tcp") => {
            let rank = |word: Option<&str>| match word {
                Some("require") => 2,
                Some("off") => 0,
                None if name == "security.landlock_tcp" => 0,
                _ => 1,
            };
            let old = rank(below.text(name).map(|text| text.text.as_str()));
            refuse(text, rank(Some(&text.text)) >= old, "less of Landlock")
        }
        (Value::Text(text), "filesystem.memory") => {
            let fine = match (below.text(name).and_then(|old| parse_size(&old.text)), parse_size(&text.text)) {
                (Some(old), Some(new)) => new <= old,
                (None, new) => new.is_some(),
                (_, None) => false,
            };
            refuse(text, fine, "more memory for files")
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
        (Value::Switch(on, at), "services.git-identity" | "services.gpg-agent") => {
            let text = Text { text: String::new(), at: at.clone() };
            refuse(&text, !on || below.switch(name), "the user's own services")
        }
        (Value::Switch(..) | Value::Text(_), "services.ssh-agent") => {
            let text = Text { text: String::new(), at: setting.at.clone() };
            let rank = |value: Option<&Value>| match value {
                Some(Value::Text(_)) => 2,
                Some(Value::Switch(true, _)) => 1,
                _ => 0,
            };
            refuse(&text, rank(Some(&setting.value)) <= rank(below.get(name)), "the user's own services")
        }
        // A list that names none stands for all keys: to name some tightens, to add to them or take some away may not.
        (Value::List(list, _), "services.ssh-agent-keys") => {
            let none = below.list(name).is_empty();
            let known: BTreeSet<_> = below.list(name).iter().map(|old| old.text.as_str()).collect();
            let wrong =
                list.iter().filter(|item| item.text.starts_with('!') || (!none && !known.contains(item.text.as_str())));
            wrong
                .map(|item| (item.clone(), format!("a project's file cannot change `{name}` by `{}`", item.text)))
                .collect()
        }
        (Value::Switch(..) | Value::Text(_), "desktop.wayland" | "desktop.x11") => {
            let text = Text { text: String::new(), at: setting.at.clone() };
            let rank = |value: Option<&Value>| match value {
                Some(Value::Text(word)) if word.text == "virtual" => 1,
                Some(Value::Text(word)) if word.text == "nested" => 2,
                Some(Value::Text(_)) => 4,
                Some(Value::Switch(true, _)) => 3,
                _ => 0,
            };
            refuse(&text, rank(Some(&setting.value)) <= rank(below.get(name)), "part of the desktop")
        }
        (Value::List(..), "process.args" | "extends" | "filesystem.root" | "network.dns" | "network.allow") => {
            whole(&format!("a project's file cannot set `{name}`"))
        }
        (Value::List(list, _), _) => {
            let known: BTreeSet<_> = below.list(name).iter().map(|old| old.text.as_str()).collect();
            list.iter()
                .filter(|item| !item.text.starts_with('!') && !known.contains(item.text.as_str()))
                .map(|item| (item.clone(), format!("a project's file cannot add `{}` to `{name}`", item.text)))
                .collect()
        }
        // The planner checks the modes, by real paths (`plan::project`).
        (Value::Map(map), "filesystem.paths") => {
            let taken = map.iter().filter(|(_, mode)| mode.text == "!");
            taken
                .map(|(path, _)| (path.clone(), format!("a project's file cannot take `{}` away", path.text)))
                .collect()
        }
        _ => whole(&format!("a project's file cannot set `{name}`")),
    }
}

fn refuse(text: &Text, fine: bool, what: &str) -> Vec<(Text, String)> {
    if fine { Vec::new() } else { vec![(text.clone(), format!("a project's file cannot ask for {what}"))] }
}

fn rlimit_tightens(below: &Merged, key: &Key, text: &Text, rlimits: &Rlimits) -> bool {
    // If no layer sets the limit, the caller's own must not be raised.
    let old = match below.text(key.name) {
        Some(old) => soft_and_hard(old),
        None => rlimits.get(key.last()).copied(),
    };
    match (soft_and_hard(text), old) {
        // A limit of 1 keeps dumps from a program that receives them, which no other limit does, not even 0: core(5).
        (Some(new), _) if key.last() == "core" && new == (1, 1) => true,
        (Some(_), Some((1, _))) if key.last() == "core" => false,
        (Some((soft, hard)), Some((old_soft, old_hard))) => soft <= old_soft && hard <= old_hard,
        (new, None) => new.is_some(),
        (None, _) => false,
    }
}

fn limit_tightens(below: &Merged, key: &Key, control: Control, text: &Text) -> bool {
    let (new, new_prefers) = limits::preferred(&text.text);
    let old = below.text(key.name).map(|old| limits::preferred(&old.text));
    // A guarantee is no restriction, and neither is a burst or a weight that no layer below sets.
    let gives = matches!(control.file, "memory.low" | "memory.min")
        || (old.is_none() && (control.file == "cpu.max.burst" || control.form == Form::Weight));
    let weaker = new_prefers && old.is_some_and(|(_, prefers)| !prefers);
    !gives && !weaker && control.form.tightens(new, old.map(|(old, _)| old))
}

/// The soft and hard limit of `N`, `SOFT:HARD` or `unlimited`, which is `u64::MAX`.
fn soft_and_hard(text: &Text) -> Option<(u64, u64)> {
    let one = |part: &str| if part == "unlimited" { Some(u64::MAX) } else { parse_size(part) };
    let (soft, hard) = text.text.split_once(':').unwrap_or((&text.text, &text.text));
    Some((one(soft)?, one(hard)?))
}
