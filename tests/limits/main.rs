//! Limits of cgroup v2: they hold, they are told, and nothing is left of them. On a host without a systemd manager of the user's, which
//! most build machines are, `tests/guest/test limits` runs these in a virtual machine.

#[path = "../common/mod.rs"]
mod common;
mod ending;
mod figures;
mod hold;
mod service;
mod sources;

use common::{Place, Ran, until_within};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A run of a script with its figures.
fn used(place: &Place, flags: &[&str], script: &str) -> (Ran, Value) {
    let ran = place.sh(&[flags, &["--stats=json"]].concat(), script);
    let used = figures_in(&ran.err);
    (ran, used)
}

/// What `--stats=json` said among other lines.
#[track_caller]
fn figures_in(said: &str) -> Value {
    let line = said.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("{said}"));
    serde_json::from_str(line).unwrap()
}

/// One at a time, the first look whether there are limits included: what is left is looked for in the whole hierarchy, times are
/// compared, and a service that is stopped ends who starts in it.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// All cgroups of sandboxes, and scopes.
fn traces() -> BTreeSet<PathBuf> {
    fn walk(dir: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with("sbx-") {
                    found.insert(entry.path());
                }
                walk(&entry.path(), found);
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(Path::new("/sys/fs/cgroup"), &mut found);
    found
}

/// Asserts that it comes true in this time.
#[track_caller]
fn soon(patience: Duration, so: impl FnMut() -> bool) {
    assert!(until_within(patience, so), "not in {patience:?}: {:#?}", traces());
}

/// Waits for what others, who test at the same time, and systemd have yet to take away.
#[track_caller]
fn gone(patience: Duration) {
    soon(patience, || traces().is_empty());
}
