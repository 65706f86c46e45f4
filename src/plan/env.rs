//! The program's environment: cleared but for what is passed or set.

use crate::host::Facts;
use crate::spec::Sandbox;
use std::collections::BTreeMap;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn plan(sandbox: &Sandbox, facts: &Facts) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let mut set = |name: &str, value: String| env.insert(name.to_owned(), value);
    set("HOME", facts.home.display().to_string());
    set("USER", facts.user_name());
    set("LOGNAME", facts.user_name());
    set("PATH", PATH.to_owned());
    let shell = facts.account().map(|account| account.shell.clone()).filter(|shell| shell.starts_with('/'));
    set("SHELL", shell.unwrap_or_else(|| "/bin/sh".into()));
    if let Some(hostname) = &sandbox.process.hostname {
        set("HOSTNAME", hostname.clone());
    }
    for (name, value) in &facts.env {
        if sandbox.process.env_pass.iter().any(|pattern| matches(pattern, name)) {
            env.insert(name.clone(), value.clone());
        }
    }
    env.extend(sandbox.process.env.clone());
    env
}

/// `*` at the end of a pattern matches the rest of a name.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}
