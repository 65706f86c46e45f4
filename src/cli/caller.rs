//! The caller's environment, directory and account.

use super::args;
use crate::error::{Error, Result};
use crate::host::{self, Account};
use crate::profile::{Loader, Vars};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// What was read of them, once.
pub(super) struct Caller {
    pub env: BTreeMap<String, String>,
    /// Environment variables whose names or values are not UTF-8.
    pub env_bytes: Vec<(OsString, OsString)>,
    pub cwd: PathBuf,
    pub vars: Vars,
    pub accounts: Vec<Account>,
}

/// Variables with directories that profiles name.
const WITH_PATHS: [&str; 6] =
    ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"];

/// The value of a variable with a directory, without `..`.
fn plain(name: &str, value: &str) -> Result<String> {
    let resolved = host::without_dots(Path::new(value)).map_err(|error| {
        let errno = crate::sys::Errno::from(error);
        Error::new(format!("{name} is {value}, and where `..` leads cannot be told: {errno}"))
            .hint(format!("set {name} to a path without `..`"))
    })?;
    resolved.into_os_string().into_string().map_err(|real| {
        Error::new(format!("{name} leads to {}, which is not UTF-8", real.display())).hint(format!(
            "profiles are UTF-8 text, and so are the paths in them: set {name} to another directory for sbx"
        ))
    })
}

impl Caller {
    pub fn read() -> Result<Caller> {
        let cwd = std::env::current_dir().map_err(|error| {
            let errno = crate::sys::Errno::from(error);
            Error::new(format!("cannot tell the current directory: {errno}")).hint("it may be gone: cd to another")
        })?;
        Caller::read_in(cwd)
    }

    /// The same caller, for whom files of projects count for nothing if the flags say so.
    pub fn with(mut self, args: &args::Sandbox) -> Caller {
        self.vars.no_project_file = args.no_project;
        self
    }

    /// For verbs that do not depend on the current directory, which may be gone.
    pub fn read_anywhere() -> Result<Caller> {
        Caller::read_in(std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")))
    }

    /// The caller, as if in this directory.
    pub fn read_in(cwd: PathBuf) -> Result<Caller> {
        let mut env = BTreeMap::new();
        let mut env_bytes = Vec::new();
        for (name, value) in std::env::vars_os() {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) if WITH_PATHS.contains(&name.as_str()) && value.contains("..") => {
                    let value = plain(&name, &value)?;
                    env.insert(name, value);
                }
                (Ok(name), Ok(value)) => {
                    env.insert(name, value);
                }
                (Ok(name), Err(value)) if WITH_PATHS.contains(&name.as_str()) => {
                    return Err(Error::new(format!("{name} is not UTF-8: {}", value.display())).hint(format!(
                        "profiles are UTF-8 text, and so are the paths in them: set {name} to another directory for sbx"
                    )));
                }
                (name, value) => {
                    let name = name.map_or_else(|name| name, OsString::from);
                    env_bytes.push((name, value.map_or_else(|value| value, OsString::from)));
                }
            }
        }
        let accounts = host::accounts()?;
        let vars = host::vars(&env, &env_bytes, &cwd, &accounts);
        Ok(Caller { env, env_bytes, cwd, vars, accounts })
    }

    /// All environment variables.
    pub fn variables(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        let text = self.env.iter().map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
        text.chain(self.env_bytes.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())))
    }

    /// The value of an environment variable.
    pub fn variable(&self, name: &OsStr) -> Option<OsString> {
        let text = name.to_str().and_then(|name| self.env.get(name)).map(OsString::from);
        text.or_else(|| self.env_bytes.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
    }

    /// A loader for the directories in which profiles are looked for.
    pub fn loader(&self) -> Loader {
        let user = self.vars.names.get("XDG_CONFIG_HOME").cloned().unwrap_or_default();
        Loader::new(vec!["/etc/sbx/profiles".into(), Path::new(&user).join("sbx/profiles")])
    }
}
