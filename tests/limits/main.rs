//! Limits of cgroup v2: they hold, they are reported, and nothing is left of them. On a host without a systemd manager
//! of the user's, which most build machines are, `tests/guest/test limits` runs these in a virtual machine.

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

/// Runs a script, and returns the result with its figures.
fn used(place: &Place, flags: &[&str], script: &str) -> (Ran, Value) {
    let ran = place.sh(&[flags, &["--stats=json"]].concat(), script);
    let used = figures_in(&ran.err);
    (ran, used)
}

/// The figures of `--stats=json` among other lines.
#[track_caller]
fn figures_in(said: &str) -> Value {
    let line = said.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("{said}"));
    serde_json::from_str(line).unwrap()
}

/// Lets one test run at a time, its check for `limits()` included: tests look for leftovers in the whole hierarchy and
/// compare times, and a service that is stopped ends sandboxes that start in it.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// All cgroups and scopes of sandboxes.
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

/// Asserts that a condition becomes true in this time.
#[track_caller]
fn soon(patience: Duration, so: impl FnMut() -> bool) {
    assert!(until_within(patience, so), "not in {patience:?}: {:#?}", traces());
}

/// Waits until the cgroups of all sandboxes are gone, which systemd may still have to remove.
#[track_caller]
fn gone(patience: Duration) {
    soon(patience, || traces().is_empty());
}
