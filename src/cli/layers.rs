//! Profile, project's file and flags → `Sandbox` and `Facts`: the first half of every verb that concerns a sandbox.

use super::args;
use crate::error::{Error, Result};
use crate::host::{self, Account, Facts};
use crate::profile::{Failed, Loader, Merged, Vars};
use crate::spec::{self, Sandbox, project};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The caller's surroundings, read once.
pub(super) struct Caller {
    pub env: BTreeMap<String, String>,
    /// Names of variables whose values are not UTF-8.
    pub odd: Vec<String>,
    pub cwd: PathBuf,
    pub vars: Vars,
    pub accounts: Vec<Account>,
}

impl Caller {
    pub fn read() -> Result<Caller> {
        let cwd = std::env::current_dir().map_err(|error| {
            let errno = crate::sys::Errno::from(error);
            Error::new(format!("cannot tell the current directory: {errno}")).hint("it may be gone: cd to another")
        })?;
        if cwd.to_str().is_none() {
            return Err(Error::new(format!("the current directory's name is not UTF-8: {}", cwd.display())).hint(
                "profiles are UTF-8 text, and so are the paths in them; start from a directory with such a name",
            ));
        }
        let mut env = BTreeMap::new();
        let mut odd = Vec::new();
        for (name, value) in std::env::vars_os() {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => {
                    env.insert(name, value);
                }
                (Ok(name), Err(_)) => odd.push(name),
                (Err(_), _) => {}
            }
        }
        let accounts = host::accounts();
        let vars = host::vars(&env, &cwd, &accounts);
        Ok(Caller { env, odd, cwd, vars, accounts })
    }

    /// Where profiles are looked for.
    pub fn loader(&self) -> Loader {
        let user = self.vars.names.get("XDG_CONFIG_HOME").cloned().unwrap_or_default();
        Loader::new(vec!["/etc/sbx/profiles".into(), Path::new(&user).join("sbx/profiles")])
    }
}

/// Everything that a run, or a plan of it, starts from.
pub(super) fn sandbox(args: &args::Sandbox, program: &[OsString], caller: &Caller) -> Result<(Sandbox, Facts)> {
    let mut loader = caller.loader();
    let mut merged = Merged::default();
    for layer in loader.profile(&args.profile) {
        merged.apply(&layer);
    }
    let file = caller.cwd.join(".sbx.toml");
    if !args.no_project
        && file.symlink_metadata().is_ok()
        && let Some(layer) = loader.project(&file)
        // What is wrong with the layers below is said further down.
        && let Ok(below) = spec::build::sandbox(&merged, &loader.sources, &caller.vars)
    {
        let loosened = project::loosened(&merged, &below.filesystem, &layer, &caller.vars);
        loader.errors.extend(loosened);
        merged.apply(&layer);
    }
    let text = flags(args, caller)?;
    let layer = loader.text("command line", &text);
    merged.apply(&layer);
    let fail = |diagnostics, sources| {
        let colour = std::env::var_os("NO_COLOR").is_none() && crate::sys::is_terminal(crate::sys::borrow(2));
        Error::rendered(Failed { diagnostics, sources }.render(colour))
    };
    if !loader.errors.is_empty() {
        return Err(fail(loader.errors, loader.sources));
    }
    let mut sandbox = spec::build::sandbox(&merged, &loader.sources, &caller.vars)
        .map_err(|errors| fail(errors, loader.sources.clone()))?;
    if !program.is_empty() {
        sandbox.process.args = program.to_vec();
    }
    sandbox.process.as_pid_1 = args.as_pid_1;
    sandbox.process.keep_fds.clone_from(&args.keep_fd);
    for name in &caller.odd {
        if sandbox.process.env_pass.iter().any(|pattern| pattern == name) {
            sandbox.notes.push(format!("{name} is not passed: its value is not UTF-8"));
        }
    }
    let facts = host::probe(&sandbox, caller.env.clone(), caller.cwd.clone(), caller.accounts.clone());
    Ok((sandbox, facts))
}

/// The flags as a text of the profile language: they are the last layer, and no second road.
fn flags(args: &args::Sandbox, caller: &Caller) -> Result<String> {
    let mut text = String::new();
    let mut line = |key: &str, value: String| text.push_str(&format!("{key} = {value}\n"));
    for (mode, paths) in [
        ("ro", &args.ro),
        ("rw", &args.rw),
        ("tmpfs", &args.tmpfs),
        ("masked", &args.mask),
        ("hidden", &args.hide),
        ("deny", &args.deny),
    ] {
        for path in paths {
            // `--ro PATH,optional`: options follow as in a profile.
            let path = utf8(path, "path")?;
            let (path, options) = split_options(path);
            line(
                &format!("filesystem.paths.{}", quote(&absolute(path, &caller.cwd))),
                quote(&format!("{mode}{options}")),
            );
        }
    }
    for variable in &args.env {
        let variable = utf8(variable, "variable")?;
        match variable.split_once('=') {
            Some((name, value)) => line(&format!("process.env.{}", quote(name)), quote(&value.replace("${", "$${"))),
            None => match caller.env.get(variable) {
                Some(value) => line(&format!("process.env.{}", quote(variable)), quote(&value.replace("${", "$${"))),
                None => {
                    return Err(Error::new(format!("--env {variable}: the variable is not set"))
                        .hint(format!("set it with --env {variable}=VALUE")));
                }
            },
        }
    }
    for (key, values) in [("namespaces.share", &args.share), ("devices.allow", &args.device)] {
        if !values.is_empty() {
            let values: Vec<_> = values.iter().map(|value| Ok(quote(utf8(value, key)?))).collect::<Result<_>>()?;
            line(key, format!("[{}]", values.join(", ")));
        }
    }
    for (key, value) in [
        ("network.mode", &args.net),
        ("process.user", &args.user),
        ("process.hostname", &args.hostname),
        ("process.tty", &args.tty),
        ("process.timeout", &args.timeout),
    ] {
        if let Some(value) = value {
            line(key, quote(utf8(value, key)?));
        }
    }
    if let Some(cwd) = &args.cwd {
        line("process.cwd", quote(&absolute(utf8(cwd, "directory")?, &caller.cwd)));
    }
    for set in &args.set {
        let set = utf8(set, "setting")?;
        let Some((key, value)) = set.split_once('=') else {
            return Err(Error::new(format!("--set {set}: there is no `=`")).hint("write --set KEY=VALUE"));
        };
        let value = value.trim();
        // What is no TOML value is meant as a string: --set network.mode=host.
        let plain = toml::de::DeValue::parse(value).is_err();
        line(key.trim(), if plain { quote(value) } else { value.to_owned() });
    }
    Ok(text)
}

fn utf8<'a>(text: &'a OsStr, what: &str) -> Result<&'a str> {
    text.to_str().ok_or_else(|| {
        Error::new(format!("the {what} {} is not UTF-8", text.display()))
            .hint("profiles are UTF-8 text; show the directory that holds it instead")
    })
}

/// `PATH,optional,create` → path and `,optional,create`. A path with a comma of its own keeps it, unless options follow.
fn split_options(text: &str) -> (&str, &str) {
    let mut at = text.len();
    for (index, _) in text.rmatch_indices(',') {
        let option = text[index + 1..at].split('=').next().unwrap_or_default();
        let known = crate::profile::schema::PATH_OPTIONS.iter().any(|known| known.trim_end_matches('=') == option);
        if !known {
            break;
        }
        at = index;
    }
    text.split_at(at)
}

/// Flags take what a shell user types: relative paths, and `..`, which is taken out by what is there.
fn absolute(path: &str, cwd: &Path) -> String {
    if path.starts_with(['/', '~', '$']) || path.starts_with("xdg-") {
        return path.to_owned();
    }
    let joined = cwd.join(path);
    let clean = if path.split('/').any(|part| part == "..") { joined.canonicalize().unwrap_or(joined) } else { joined };
    clean.display().to_string()
}

/// A basic string of TOML.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
