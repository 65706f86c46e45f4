//! The user's records, for the verbs that work on them.

use super::output;
use crate::error::{Error, Result};
use crate::host::{self, Account};
use crate::state::{Entry, Places, Store};
use crate::sys;
use std::env::VarError;
use std::path::{Path, PathBuf};

/// The user's records.
pub(super) fn store() -> Result<Store> {
    places().map(Store::new)
}

/// The directories of the user's records.
pub(super) fn places() -> Result<Places> {
    let (home, _) = home()?;
    let plain = |name: &str| -> Result<Option<String>> {
        let Some(value) = variable(name)? else { return Ok(None) };
        let failed =
            |why: String| Error::new(format!("{name} is {value}: {why}")).hint("set it to a path without `..`");
        let plain =
            host::without_dots(Path::new(&value)).map_err(|error| failed(sys::Errno::from(error).to_string()))?;
        plain.into_os_string().into_string().map(Some).map_err(|_| failed("it leads to what is not UTF-8".into()))
    };
    Ok(Places::of(plain("XDG_STATE_HOME")?.as_deref(), plain("XDG_RUNTIME_DIR")?.as_deref(), &home))
}

/// A variable of the caller's.
///
/// # Errors
///
/// It is not UTF-8.
pub(super) fn variable(name: &str) -> Result<Option<String>> {
    match std::env::var(name) {
        Err(VarError::NotUnicode(value)) => Err(Error::new(format!("{name} is not UTF-8: {}", value.display()))
            .hint(format!("a run takes no such {name} either: set it to another directory"))),
        other => Ok(other.ok()),
    }
}

/// The caller's home directory, as a run finds it, and the accounts that it was looked up in.
pub(super) fn home() -> Result<(PathBuf, Vec<Account>)> {
    let env = variable("HOME")?.map(|home| ("HOME".to_owned(), home)).into_iter().collect();
    let accounts = host::accounts()?;
    Ok((host::home(&env, &accounts, sys::ids().0), accounts))
}

/// The number of a signal that a flag names.
pub(super) fn signal(text: &str) -> Result<i32> {
    // As podman takes it: -HUP, -9.
    sys::signal_named(text.strip_prefix('-').unwrap_or(text))
        .ok_or_else(|| Error::new(format!("`{text}` is no signal")))
}

/// The sandbox that a name means.
pub(super) fn find(name: &str) -> Result<Entry> {
    store()?.find(name).inspect(note)
}

/// Says of a damaged record that it is one.
pub(super) fn note(entry: &Entry) {
    if let Some(why) = entry.damage() {
        output::tell(&format!(
            "sbx: note: the record of {0} is damaged ({why}), and does not say any more what was asked for: sbx rm -f {0} ends and removes \
             the sandbox\n",
            entry.called()
        ));
    }
}

/// The sandboxes that these names mean; those that are wrong are complained of, and give the exit status.
pub(super) fn named(store: &Store, names: &[String], ignore: bool, missing: u8) -> (Vec<(String, Entry)>, u8) {
    let (mut found, mut status) = (Vec::new(), 0);
    for name in names {
        match store.find(name) {
            Ok(entry) => found.push((name.clone(), entry)),
            Err(_) if ignore => {}
            Err(error) => {
                output::complain(&error);
                status = missing;
            }
        }
    }
    (found, status)
}
