//! The program's environment: only variables that sbx sets, that `process.env_pass` passes on, or that the profile
//! sets.

use super::namespaces::hostname;
use crate::host::Facts;
use crate::spec::{Sandbox, is_secret_variable};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// The program's PATH, unless the profile passes or sets another.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where programs are on hosts that keep them in a store: NixOS, Guix, and others with one of their package managers.
pub const STORE_PATH: &str = "/run/current-system/sw/bin:/run/current-system/profile/bin:\
                              /run/current-system/profile/sbin:/nix/var/nix/profiles/default/bin";

/// The program's PATH, unless the profile passes or sets another: on a host with a store, with its directories as well.
fn path(facts: &Facts) -> String {
    let has = |wanted: &str| facts.top.iter().any(|(name, _)| name == wanted);
    let mut path = PATH.to_owned();
    if !has("nix") && !has("gnu") {
        return path;
    }
    if has("nix") {
        path += &format!(":/etc/profiles/per-user/{}/bin", facts.user_name());
    }
    path + ":" + STORE_PATH
}

/// The variables of the program's environment. What the profile sets wins over what is passed, and that over defaults.
pub(super) fn plan(sandbox: &Sandbox, facts: &Facts) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let mut set = |name: &str, value: String| env.insert(name.to_owned(), value);
    set("HOME", facts.home.display().to_string());
    set("USER", facts.user_name());
    set("LOGNAME", facts.user_name());
    set("PATH", path(facts));
    let shell = facts.account().map(|account| account.shell.clone()).filter(|shell| shell.starts_with('/'));
    set("SHELL", shell.unwrap_or_else(|| "/bin/sh".into()));
    if let Some(hostname) = hostname(sandbox, facts) {
        set("HOSTNAME", hostname.to_owned());
    }
    for (name, value) in &facts.env {
        if sandbox.process.env_pass.iter().any(|pattern| matches(pattern, name)) {
            env.insert(name.clone(), value.clone());
        }
    }
    env.extend(sandbox.process.env.clone());
    env
}

/// The whole environment: these variables, those of the caller that are passed and not UTF-8, unless the profile sets
/// them, and those of flags that are not.
pub(super) fn whole(sandbox: &Sandbox, facts: &Facts, text: BTreeMap<String, String>) -> Vec<(OsString, OsString)> {
    let process = &sandbox.process;
    if facts.env_bytes.is_empty() && process.env_bytes.is_empty() {
        return text.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    }
    let is_set = |name: &OsStr| name.to_str().is_some_and(|name| process.env.contains_key(name));
    let passed = |name: &OsStr| {
        !is_set(name)
            && process.env_pass.iter().any(|pattern| match (pattern.strip_suffix('*'), name.to_str()) {
                (_, Some(name)) => matches(pattern, name),
                (Some(start), None) => name.as_encoded_bytes().starts_with(start.as_bytes()),
                (None, None) => false,
            })
    };
    let mut all: BTreeMap<OsString, OsString> =
        text.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    all.extend(facts.env_bytes.iter().filter(|(name, _)| passed(name)).cloned());
    all.extend(process.env_bytes.clone());
    all.into_iter().collect()
}

/// Whether a pattern of `process.env_pass` matches a variable's name: `*` at the end of the pattern matches any rest. Only
/// `*` alone matches secrets: `CARGO_*` means what a build is told, and not the right to publish what it made.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start) && (start.is_empty() || !is_secret_variable(name)),
        None => pattern == name,
    }
}
