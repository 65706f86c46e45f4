//! The verbs for upper layers that are kept: `diff`, `commit`, `discard`, `export`, `uppers`, `snapshot`, `fork`.
//!
//! Each works in a child process with the ids of the sandbox: files of the layers may belong to subordinate ids, or be
//! closed to their owner.

use super::meant::meant;
use super::progress::{Counted, Progress, bytes};
use super::replaced::Replaced;
use super::{args, guarded, output, store};
use crate::error::{Error, Result, printable, printable_path};
use crate::launch;
use crate::plan;
use crate::sys;
use crate::union::{self, Committed, Entry, Guarded, How, LAST, NodeKind, Outside, Store, Upper};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// How many paths that tools outside may run are named.
const NAMED: usize = 20;

/// The store of this user.
fn store() -> Result<Store> {
    Ok(Store::new(data_directory()?.join("uppers")))
}

/// The directory of sbx's own in the user's data. Links of the user's lead to that, and none is followed in it.
pub(super) fn data_directory() -> Result<PathBuf> {
    let data = store::variable("XDG_DATA_HOME")?;
    let (home, accounts) = store::home()?;
    let place = Store::place(data.as_deref(), &home);
    let own = place.parent().unwrap_or(&place);
    let (Some(data), Some(name)) = (own.parent(), own.file_name()) else { return Ok(own.to_owned()) };
    Ok(plan::real_path(data, &home, &home, &accounts)?.join(name))
}

/// Locks the upper layers of this name.
fn locked(name: &str) -> Result<Upper> {
    let store = store()?;
    store.lock(&store.named(name)?, None)
}

/// The paths inside of the paths of a command line, which count from the current directory on. Those in a directory of the host that an
/// overlay shows elsewhere count as well: messages name these.
///
/// # Errors
///
/// `..` in a path leads out of what is not there, or it is one file inside and another one on the host.
fn absolute(upper: &Upper, paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let layers = &upper.state.layers;
    let inside = |path: PathBuf| -> Result<PathBuf> {
        let shown = |layer: &union::Layer| {
            let below = path.strip_prefix(layer.lower.first()?).ok()?;
            Some(layer.path.join(below).components().collect::<PathBuf>())
        };
        let mut shown = layers.iter().filter_map(shown).filter(|shown| *shown != path);
        let near = |layer: &union::Layer| path.starts_with(&layer.path) || layer.path.starts_with(&path);
        let host = path.display();
        match (layers.iter().any(near), shown.next(), shown.next()) {
            (true, Some(shown), _) => {
                let shown = shown.display();
                let why = format!("{host} is one file inside, and the host's of that name is {shown} inside");
                let hint = "if you mean that one; the other one is taken with all others, without a path";
                Err(Error::new(why).hint(format!("name {shown} {hint}")))
            }
            (false, Some(one), Some(other)) => {
                let (one, other) = (one.display(), other.display());
                Err(Error::new(format!("the host's {host} is both {one} and {other} inside")).hint("name one of these"))
            }
            (false, Some(shown), None) => Ok(shown),
            (_, None, _) => Ok(path),
        }
    };

    let cwd = std::env::current_dir().unwrap_or_default();
    let plain = |path: &PathBuf| -> Result<PathBuf> {
        let named: PathBuf = cwd.join(path).components().collect();
        // What the layers have under that very name is meant first: its directory may be a link on the host alone.
        let plain = !named.components().any(|part| part == std::path::Component::ParentDir);
        if plain && upper.has(&named) {
            return inside(named);
        }
        match meant(&named) {
            Some(path) => inside(path),
            None => Err(Error::new(format!("{}: `..` leads out of a directory that is not there", named.display()))
                .hint("name the path without `..`")),
        }
    };
    paths.iter().map(plain).collect()
}

/// Runs `work` on locked upper layers in a child process that has their ids. It is given a process that has the caller's.
pub(super) fn within(upper: Upper, work: impl FnOnce(Upper, &dyn Outside) -> Result<u8>) -> Result<u8> {
    let ids = upper.state.ids.clone();
    launch::within(&ids, move |outside| {
        // A directory may be deeper than the usual limit of descriptors.
        sys::raise_descriptors();
        if union::is_half_frozen(&upper) {
            union::finish_snapshot(&upper)?;
        }
        work(upper, outside)
    })
}

/// Adds what somebody may have meant who named a file where the name of layers comes.
fn or_a_file(error: Error, name: &str) -> Error {
    let is_no_name = |names: Vec<String>| !names.is_empty() && name != LAST && names.iter().all(|known| known != name);
    match store().and_then(|store| store.names()).is_ok_and(is_no_name) && Path::new(name).symlink_metadata().is_ok() {
        true => error.hint(format!(
            "`{name}` is a file here: `sbx diff {LAST} {name}` shows how it differs in the layers used last"
        )),
        false => error,
    }
}

pub(super) fn diff(args: &args::Diff) -> Result<u8> {
    let upper = locked(&args.name).map_err(|error| or_a_file(error, &args.name))?;
    let paths = absolute(&upper, &args.paths)?;
    let guarded = if args.patch { guarded::of(&upper)? } else { Guarded::default() };
    within(upper, |upper, _| {
        if args.patch {
            let mut print = |patch: &str| output::print(&shown(patch, 1));
            let handed = union::patches(&upper, &paths, false, &guarded, &mut print)?;
            output::tell(&notes(handed.left_out.iter().map(|(path, why)| (path, *why))));
            return Ok(0);
        }
        let (entries, deep) = union::differences(&upper, &paths)?;
        output::tell(&notes(deep.iter().map(|path| (path, union::TOO_DEEP))));
        let differs =
            |only: &PathBuf| entries.iter().map(|entry| &entry.path).chain(&deep).any(|path| path.starts_with(only));
        for path in paths.iter().filter(|path| !differs(path)) {
            output::tell(&format!("sbx: note: no change at {}\n", printable(&union::short(path))));
        }
        output::print(&if args.json { format!("{:#}\n", json!(entries)) } else { summary(&entries, args.stat) })?;
        Ok(0)
    })
}

/// A note for each path.
pub(super) fn notes<'p>(left_out: impl Iterator<Item = (&'p PathBuf, &'p str)>) -> String {
    left_out.map(|(path, why)| format!("sbx: note: {}: {why}\n", printable(&union::short(path)))).collect()
}

/// A note on what is in an export and may be run by tools outside.
fn run_outside(found: &BTreeMap<PathBuf, usize>, name: &str, patch: bool) -> String {
    const FIRST: usize = 5;
    let count: usize = found.values().sum();
    let Some(first) = found.keys().next() else { return String::new() };
    let (are, what) = if count == 1 { ("is", "file") } else { ("are", "files") };
    let paths = found.keys().take(FIRST).map(|path| printable(&union::short(path)).into_owned());
    let paths = paths.collect::<Vec<_>>().join(", ");
    let more = if found.len() > FIRST { format!(" and {} more", found.len() - FIRST) } else { String::new() };
    let (path, then) = (printable(&union::short(first)).into_owned(), if patch { "apply" } else { "unpack" });
    format!(
        "sbx: note: in it {are} {count} {what} by which tools outside may run something, at or below {paths}{more}\n\
         help: look at what differs there before you {then} it: sbx diff --patch {name} {path}\n"
    )
}

/// The text of a patch. For a terminal at this standard stream, characters are escaped that it would act on.
pub(super) fn shown(patch: &str, stream: usize) -> String {
    match sys::STREAMS.get(stream).is_some_and(|stream| sys::is_terminal(*stream)) {
        true => crate::error::printable_lines(&patch.replace('\t', "    ")),
        false => patch.to_owned(),
    }
}

/// A line for each entry.
pub(super) fn summary(entries: &[Entry], sizes: bool) -> String {
    let mut out = String::new();
    for entry in entries {
        let mark = if entry.conflict { '!' } else { ' ' };
        let path = printable_path(&entry.path);
        let size = match (sizes, entry.size_on_host, entry.size) {
            (false, ..) | (_, None, None) => String::new(),
            (_, None, Some(new)) => format!(" | {}", bytes(new)),
            (_, Some(old), None) => format!(" | {} gone", bytes(old)),
            (_, Some(old), Some(new)) => format!(" | {} → {}", bytes(old), bytes(new)),
        };
        let _ = writeln!(out, "{}{mark}{path}{size}{}", entry.letter(), remarks(entry));
    }
    if sizes {
        let count = |letter: char| entries.iter().filter(|entry| entry.letter() == letter).count();
        let _ = writeln!(out, "{} added, {} modified, {} deleted", count('A'), count('M'), count('D'));
    }
    out
}

/// What a name and a letter do not say of an entry: another kind of file, other permissions, and names that tools outside
/// look for.
fn remarks(entry: &Entry) -> String {
    let mut remarks = Vec::new();
    match entry.kind_on_host {
        Some(before) => remarks.push(format!("{} instead of {}", entry.kind.word(), before.word())),
        None if entry.letter() == 'A' && !matches!(entry.kind, NodeKind::File | NodeKind::Dir) => {
            remarks.push(entry.kind.word().into());
        }
        None => {}
    }
    if let (Some(mode), None, 'A') = (entry.mode.filter(|mode| mode & 0o002 != 0), entry.mode_on_host, entry.letter()) {
        remarks.push(format!("mode {mode:04o}"));
    }
    if let (Some(before), Some(now)) = (entry.mode_on_host, entry.mode) {
        remarks.push(format!("mode {before:04o} → {now:04o}"));
    }
    if runs_by_itself(entry) {
        remarks.push("tools outside may run what it names".into());
    }
    if remarks.is_empty() { String::new() } else { format!("  ({})", remarks.join("; ")) }
}

/// Whether an entry, which is not deleted, is at or below a name by which tools outside run something on their own.
pub(super) fn runs_by_itself(entry: &Entry) -> bool {
    static NAMES: std::sync::LazyLock<Guarded> = std::sync::LazyLock::new(|| Guarded::new(crate::profile::worktree()));
    entry.letter() != 'D' && NAMES.above(Path::new(""), &entry.path).next().is_some()
}

/// What a commit has left in the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// There is nothing left in them.
    Nothing = 0,
    /// Something that cannot be put onto the host, or has changed there.
    Some = 1,
    /// What tools outside may run, which no path named and which was listed whole, and nothing else but deletions that wait for it.
    Guarded = 2,
}

pub(super) fn commit(args: &args::Commit) -> Result<u8> {
    let upper = locked(&args.name)?;
    let paths = absolute(&upper, &args.paths)?;
    let guarded = guarded::of(&upper)?;
    within(upper, |mut upper, outside| {
        let how = How { dry: args.dry_run, merge: args.merge, guarded: Some(&guarded) };
        Ok(u8::from(committed(&mut upper, &paths, how, outside)? != Left::Nothing))
    })
}

/// Commits, and prints what was done.
pub(super) fn committed(upper: &mut Upper, paths: &[PathBuf], how: How<'_>, outside: &dyn Outside) -> Result<Left> {
    let progress = Progress::new();
    let Committed { mut done, conflicts, left_out, guarded, waiting, incomplete, merged, gone, unchanged } =
        union::commit(upper, paths, how, outside, &|step| progress.step(step))?;
    drop(progress);
    done.sort_by(|(_, one), (_, other)| one.as_os_str().cmp(other.as_os_str()));
    let mut out = String::new();
    let would = if how.dry { "would be " } else { "" };
    for (letter, path) in &done {
        let _ = writeln!(out, "{letter} {}", printable_path(path));
    }
    output::print(&out)?;
    let mut said = notes(left_out.iter().map(|(path, why)| (path, why.as_str())));
    for path in &merged {
        let path = printable(&union::short(path)).into_owned();
        let _ = writeln!(said, "sbx: note: {path}: {would}merged with what was changed on the host");
    }
    for path in gone.iter().take(NAMED) {
        let path = printable(&union::short(path)).into_owned();
        let _ = writeln!(
            said,
            "sbx: note: {path}: the host has it no longer; that it was deleted inside {would}taken out of the layer"
        );
    }
    if gone.len() > NAMED {
        let _ = writeln!(said, "sbx: note: {} more of that kind {would}taken out of the layer", gone.len() - NAMED);
    }
    for (path, why) in &conflicts {
        let path = printable(&union::short(path)).into_owned();
        let _ = writeln!(said, "sbx: {path} {would}left as it is on the host: {}", printable(why));
    }
    if !conflicts.is_empty() {
        let _ = writeln!(
            said,
            "help: compare with `sbx diff --patch {0} PATH`; remove or rename the host's file, and name the path: `sbx commit {0} PATH`",
            upper.name
        );
    }
    let not_all = !conflicts.is_empty() || !left_out.is_empty();
    if not_all {
        let paths: std::collections::BTreeSet<_> =
            conflicts.iter().map(|(path, _)| path).chain(left_out.iter().map(|(path, _)| path)).collect();
        let (count, them) = (paths.len(), if paths.len() == 1 { "path" } else { "paths" });
        let _ = writeln!(said, "sbx: {count} {them} {would}left as on the host, or put there in part");
    }
    for (path, count) in guarded.iter().take(NAMED) {
        let changes = if *count == 1 { "1 change".to_owned() } else { format!("{count} changes") };
        let path = printable(&union::short(path)).into_owned();
        let _ = writeln!(
            said,
            "sbx: {path} {would}left as it is on the host ({changes}): tools outside may run what it names"
        );
    }
    if let Some(path) = guarded.keys().next() {
        if guarded.len() > NAMED {
            let _ = writeln!(said, "sbx: {} more of that kind {would}left as they are", guarded.len() - NAMED);
        }
        let (name, path) = (&upper.name, printable(&union::short(path)).into_owned());
        let _ = writeln!(
            said,
            "help: look at it, and name it to commit it: sbx diff --patch {name} {path}; sbx commit {name} {path}"
        );
    }
    for path in &unchanged {
        let _ = writeln!(said, "sbx: no change at {}", printable(&union::short(path)));
    }
    if !unchanged.is_empty() {
        let _ = writeln!(said, "help: `sbx diff {}` lists the paths that differ", upper.name);
    }
    output::tell(&said);
    if !how.dry && conflicts.is_empty() && !incomplete && paths.is_empty() {
        upper.settled()?;
    }
    let others = !conflicts.is_empty() || left_out.len() > waiting || !unchanged.is_empty();
    Ok(match (others || waiting > 0, guarded.is_empty()) {
        // What is not named is not asked about.
        (_, false) if !others && guarded.len() <= NAMED => Left::Guarded,
        (false, true) => Left::Nothing,
        _ => Left::Some,
    })
}

/// Does something with each of several names. One that fails is told of, and the others are done; the status is that of the last error.
pub(super) fn each(names: &[String], mut work: impl FnMut(&String) -> Result<()>) -> u8 {
    let mut status = 0;
    for name in names {
        if let Err(error) = work(name) {
            output::complain(&error);
            status = error.status;
        }
    }
    status
}

pub(super) fn discard(args: &args::Discard) -> Result<u8> {
    let status = each(&args.names, |name| locked(name).and_then(launch::discard));
    // What an earlier one has left, if it was interrupted.
    let store = store()?;
    store.stale().into_iter().try_for_each(launch::discard)?;
    store.collect();
    Ok(status)
}

pub(super) fn export(args: &args::Export) -> Result<u8> {
    let upper = locked(&args.name)?;
    let guarded = guarded::of(&upper)?;
    let (output, file) = match &args.output {
        Some(path) => {
            let (output, file) = Replaced::new(path)?;
            (Some(output), file)
        }
        None if sys::is_terminal(sys::STREAMS[1]) => {
            let what = if args.patch { "a patch with all files" } else { "a tar file" };
            return Err(
                Error::new(format!("{what} is not for a terminal")).hint("name a file: sbx export NAME -o FILE")
            );
        }
        None => {
            let file = sys::dup_above(sys::STREAMS[1].as_fd(), 3);
            (None, file.map_err(|errno| Error::new(format!("standard output: {errno}")))?.into())
        }
    };
    let status = within(upper, |upper, _| {
        let progress = Progress::new();
        let handed = {
            let file = Counted { output: file, progress: &progress };
            let mut file = std::io::BufWriter::with_capacity(1 << 16, file);
            match args.patch {
                false => union::export(&upper, &guarded, file)?,
                true => {
                    let written = |error: std::io::Error| {
                        Error::new(format!("cannot write the patch: {}", sys::Errno::from(error)))
                    };
                    let mut write =
                        |patch: &str| std::io::Write::write_all(&mut file, patch.as_bytes()).map_err(written);
                    let handed = union::patches(&upper, &[], true, &guarded, &mut write)?;
                    std::io::Write::flush(&mut file).map_err(written)?;
                    handed
                }
            }
        };
        drop(progress);
        output::tell(&notes(handed.left_out.iter().map(|(path, why)| (path, *why))));
        output::tell(&run_outside(&handed.run_outside, &upper.name, args.patch));
        Ok(0)
    })?;
    if status == 0 {
        output.map_or(Ok(()), Replaced::finish)?;
    }
    Ok(status)
}

pub(super) fn list(args: &args::Uppers) -> Result<u8> {
    let store = store()?;
    let mut rows = Vec::new();
    for name in store.names()? {
        let Some(state) = store.peek(&name) else {
            rows.push(json!({"name": name, "state": "cannot be read"}));
            continue;
        };
        let layers: Vec<_> = state
            .layers
            .iter()
            .map(|layer| {
                let lower: Vec<_> = layer.lower.iter().map(|dir| dir.to_string_lossy()).collect();
                json!({"path": layer.path.to_string_lossy(), "lower": lower, "frozen": layer.frozen.len()})
            })
            .collect();
        let mut row = json!({"name": name, "used": state.used, "layers": layers});
        match store.lock(&name, None) {
            Ok(upper) => {
                let (own, frozen) = size(upper)?;
                row["bytes"] = json!(own);
                row["bytes_frozen"] = json!(frozen);
            }
            Err(_) => row["in_use"] = json!(true),
        }
        rows.push(row);
    }
    if args.json {
        output::print(&format!("{:#}\n", json!(rows)))?;
        return Ok(0);
    }
    let mut out = String::new();
    for row in &rows {
        let name = row["name"].as_str().unwrap_or_default();
        let Some(layers) = row["layers"].as_array() else {
            let _ = writeln!(out, "{name:<24} cannot be read; `sbx discard {name}` may remove it by hand only");
            continue;
        };
        let used = UNIX_EPOCH + Duration::from_millis(row["used"].as_u64().unwrap_or(0));
        let used = humantime::format_rfc3339_seconds(used).to_string().replace('T', " ").replace('Z', "");
        let size = row["bytes"].as_u64().map_or_else(|| "in use".to_owned(), bytes);
        let frozen = row["bytes_frozen"].as_u64().filter(|bytes| *bytes > 0);
        let frozen = frozen.map_or_else(String::new, |frozen| format!("  (and {} frozen)", bytes(frozen)));
        // Another directory of the host than that of the same path.
        let over = layers.iter().filter_map(|layer| {
            let (path, lower) = (layer["path"].as_str()?, layer["lower"].as_array()?);
            let lower: Vec<_> = lower.iter().filter_map(serde_json::Value::as_str).collect();
            Some(if lower == [path] { path.to_owned() } else { format!("{path} (over {})", lower.join(", ")) })
        });
        let over: Vec<_> = over.collect();
        let _ = writeln!(out, "{name:<24} {size:>10}  {used}  {}{frozen}", printable(&over.join(" ")));
    }
    output::print(&out)?;
    Ok(0)
}

/// Bytes that upper layers and the frozen ones below take, found in a child process that has their ids.
fn size(upper: Upper) -> Result<(u64, u64)> {
    let told = sys::memory_file(c"size").map_err(|errno| Error::new(format!("memfd_create: {errno}")))?;
    within(upper, |upper, _| {
        let (own, frozen) = union::size(&upper);
        let text = format!("{own} {frozen}");
        sys::write_all(told.as_fd(), text.as_bytes()).map_err(|errno| Error::new(format!("write: {errno}")))?;
        Ok(0)
    })?;
    let mut text = String::new();
    use std::io::{Read, Seek};
    let mut file = std::fs::File::from(told);
    let _ = file.rewind().and_then(|()| file.read_to_string(&mut text));
    let (own, frozen) = text.split_once(' ').unwrap_or_default();
    Ok((own.parse().unwrap_or(0), frozen.parse().unwrap_or(0)))
}

pub(super) fn snapshot(args: &args::Snapshot) -> Result<u8> {
    within(locked(&args.name)?, |mut upper, _| union::snapshot(&mut upper).map(|_| 0))
}

pub(super) fn fork(args: &args::Fork) -> Result<u8> {
    within(locked(&args.name)?, |mut upper, _| union::fork(&mut upper, &args.new).map(|()| 0))
}

/// Opens the store in this directory and locks upper layers of this name.
pub(super) fn locked_in(store: &Path, name: &str) -> Result<Upper> {
    Store::new(store.to_owned()).lock(name, None)
}
