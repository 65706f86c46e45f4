//! Profile, project's file and flags → `Sandbox` and `Facts`: the part that all verbs that need a sandbox share.

use super::program::with_arguments;
use super::{args, output};
use crate::error::{Error, Result};
use crate::host::{self, Account, Facts};
use crate::profile::schema::{self, Kind};
use crate::profile::{Loader, Merged, Vars, project, resolve};
use crate::spec::{self, Sandbox};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The caller's environment, directory and account, read once.
pub(super) struct Caller {
    pub env: BTreeMap<String, String>,
    /// Names of environment variables whose values are not UTF-8.
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
                "profiles are UTF-8 text, and so are the paths in them; start from a directory with a UTF-8 name",
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

    /// A loader for the directories in which profiles are looked for.
    pub fn loader(&self) -> Loader {
        let user = self.vars.names.get("XDG_CONFIG_HOME").cloned().unwrap_or_default();
        Loader::new(vec!["/etc/sbx/profiles".into(), Path::new(&user).join("sbx/profiles")])
    }
}

/// The sandbox that the profile, the project's file and the flags describe, and the facts about the host for its plan.
pub(super) fn sandbox(args: &args::Sandbox, program: &[OsString], caller: &Caller) -> Result<(Sandbox, Facts)> {
    let mut loader = caller.loader();
    let mut merged = Merged::default();
    let chosen = match args.profile {
        Some(_) => None,
        None => program.first().and_then(|program| loader.for_program(program)),
    };
    let profile = args.profile.as_ref().or(chosen.as_ref()).map_or("default", String::as_str);
    for layer in loader.profile(profile) {
        merged.apply(&layer);
    }
    let file = caller.cwd.join(".sbx.toml");
    if !args.no_project
        && file.symlink_metadata().is_ok()
        && let Some(layer) = loader.project(&file)
    {
        let loosened = project::loosened(&merged, &layer, &host::rlimits());
        loader.errors.extend(loosened);
        merged.apply(&layer);
    }
    let flags = flags(args, caller)?;
    let layer = loader.text("command line", &flags.text());
    loader.sources.label(layer.source, flags.labels);
    merged.apply(&layer);
    if !loader.errors.is_empty() {
        return Err(output::wrong(loader.errors, loader.sources));
    }
    crate::sys::phase("profiles");
    let mut sandbox = resolve::sandbox(&merged, &loader.sources, &caller.vars)
        .map_err(|errors| output::wrong(errors, loader.sources.clone()))?;
    if !program.is_empty() {
        // A program that is named by itself, without a profile, is always a program.
        let of_profile = if args.profile.is_some() { sandbox.process.args.as_slice() } else { &[] };
        let path = sandbox.process.env.get("PATH").map(OsStr::new);
        sandbox.process.args = with_arguments(program, of_profile, path, &caller.cwd);
    }
    // A file's name without its directory and its ending, as profiles in the known directories have it.
    sandbox.name = profile.trim_end_matches(".toml").rsplit('/').next().unwrap_or_default().to_owned();
    sandbox.limits.stats = args.stats.is_some();
    sandbox.process.as_pid_1 = args.as_pid_1;
    sandbox.process.descriptors = spec::Descriptors::Only(args.keep_fd.clone());
    if let (Some(profile), Some(program)) = (chosen, program.first()) {
        sandbox.notes.push(spec::Note::ProfileOf { profile, program: program.display().to_string() });
    }
    for name in &caller.odd {
        if sandbox.process.env_pass.iter().any(|pattern| pattern == name) {
            sandbox.notes.push(spec::Note::NotUtf8 { variable: name.clone() });
        }
    }
    crate::sys::phase("spec");
    let facts = host::probe(&sandbox, caller.env.clone(), caller.cwd.clone(), caller.accounts.clone());
    crate::sys::phase("host");
    Ok((sandbox, facts))
}

/// The flags translated to lines of the profile language, with the flag that each line comes from.
#[derive(Default)]
struct Flags {
    lines: Vec<(String, String)>,
    labels: Vec<String>,
}

impl Flags {
    /// Adds a line; of two flags for one key, the later wins.
    fn line(&mut self, label: String, key: &str, value: &str) {
        if let Some(at) = self.lines.iter().position(|(old, _)| old == key) {
            self.lines.remove(at);
            self.labels.remove(at);
        }
        self.lines.push((key.to_owned(), value.to_owned()));
        self.labels.push(label);
    }

    fn text(&self) -> String {
        self.lines.iter().map(|(key, value)| format!("{key} = {value}\n")).collect()
    }
}

/// Translates the flags to the profile language: they are the last layer, read by the same code as a profile.
fn flags(args: &args::Sandbox, caller: &Caller) -> Result<Flags> {
    let mut flags = Flags::default();
    let mut line = |label: String, key: &str, value: String| flags.line(label, key, &value);
    for (flag, mode, paths) in [
        ("ro", "ro", &args.ro),
        ("rw", "rw", &args.rw),
        ("overlay", "overlay", &args.overlay),
        ("tmpfs", "tmpfs", &args.tmpfs),
        ("mask", "masked", &args.mask),
        ("hide", "hidden", &args.hide),
        ("deny", "deny", &args.deny),
    ] {
        for path in paths {
            // `--ro PATH,optional`: options follow as in a profile.
            let given = utf8(path, "path")?;
            let (path, options) = split_options(given);
            let path = absolute(path, &caller.cwd)?;
            let key = format!("filesystem.paths.{}", quote(&path));
            line(format!("--{flag} {given}"), &key, quote(&format!("{mode}{options}")));
        }
    }
    for variable in &args.env {
        let variable = utf8(variable, "variable")?;
        let mut set = |name: &str, value: &str| {
            let bare = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let spelt = if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quote(name) };
            let key = format!("process.env.{spelt}");
            line(format!("--env {name}"), &key, quote(&value.replace("${", "$${")));
        };
        match variable.split_once('=') {
            Some((name, value)) => set(name, value),
            None => match caller.env.get(variable) {
                Some(value) => set(variable, value),
                None => {
                    return Err(Error::new(format!("--env {variable}: the variable is not set"))
                        .hint(format!("set it with --env {variable}=VALUE")));
                }
            },
        }
    }
    for (flag, key, values) in [("share", "namespaces.share", &args.share), ("device", "devices.allow", &args.device)] {
        if !values.is_empty() {
            let values: Vec<_> = values.iter().map(|value| Ok(quote(utf8(value, key)?))).collect::<Result<_>>()?;
            line(format!("--{flag}"), key, format!("[{}]", values.join(", ")));
        }
    }
    if args.open {
        line("--open".into(), "filesystem.arguments", quote("ro"));
    }
    if let Some(given) = &args.cpus {
        let given = utf8(given, "number")?;
        let percent = given.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
        let percent = percent.ok_or_else(|| {
            Error::new(format!("--cpus {given}: it is no number of processors")).hint("a number such as 2 or 0.5")
        })?;
        line(format!("--cpus {given}"), "limits.cpu_max", quote(&format!("{}%", percent * 100.0)));
    }
    for (flag, key, value) in [
        ("memory", "limits.memory_max", &args.memory),
        ("pids-limit", "limits.pids_max", &args.pids_limit),
        ("net", "network.mode", &args.net),
        ("user", "process.user", &args.user),
        ("upper", "filesystem.upper", &args.upper),
        ("upper-size", "filesystem.upper_size", &args.upper_size),
        ("hostname", "process.hostname", &args.hostname),
        ("tty", "process.tty", &args.tty),
        ("timeout", "process.timeout", &args.timeout),
    ] {
        if let Some(value) = value {
            let value = utf8(value, key)?;
            line(format!("--{flag} {value}"), key, quote(value));
        }
    }
    if let Some(cwd) = &args.cwd {
        let cwd = utf8(cwd, "directory")?;
        line(format!("--cwd {cwd}"), "process.cwd", quote(&absolute(cwd, &caller.cwd)?));
    }
    for set in &args.set {
        let set = utf8(set, "setting")?;
        let Some((key, value)) = set.split_once('=') else {
            return Err(Error::new(format!("--set {set}: there is no `=`")).hint("write --set KEY=VALUE"));
        };
        let (key, value) = (key.trim(), value.trim());
        if matches!(key, "extends" | "schema") {
            return Err(
                Error::new(format!("--set {set}: `{key}` is a matter of profiles")).hint("choose one with --profile")
            );
        }
        // A value that is not TOML, or that is not a string where the key takes one, is meant as a string: --set
        // network.mode=host.
        let known = schema::find(key).or_else(|| schema::find(key.rsplit_once('.')?.0));
        let string =
            known.is_some_and(|known| matches!(known.kind, Kind::Text | Kind::Word(_) | Kind::Map | Kind::Paths));
        let table = known.is_some_and(|known| known.name == key && matches!(known.kind, Kind::Map | Kind::Paths));
        let plain = toml::de::DeValue::parse(value).is_err() || (string && !table && !value.starts_with(['"', '\'']));
        line(format!("--set {set}"), key, if plain { quote(value) } else { value.to_owned() });
    }
    Ok(flags)
}

fn utf8<'a>(text: &'a OsStr, what: &str) -> Result<&'a str> {
    text.to_str().ok_or_else(|| {
        Error::new(format!("the {what} {} is not UTF-8", text.display()))
            .hint("profiles are UTF-8 text; show the directory that holds it instead")
    })
}

/// Splits `PATH,optional,create` into the path and `,optional,create`. A comma that no known option follows is a part
/// of the path.
fn split_options(text: &str) -> (&str, &str) {
    let mut at = text.len();
    for (index, _) in text.rmatch_indices(',') {
        let option = text[index + 1..at].split('=').next().unwrap_or_default();
        let known = schema::PATH_OPTIONS.iter().any(|known| known.trim_end_matches('=') == option);
        if !known {
            break;
        }
        at = index;
    }
    text.split_at(at)
}

/// The absolute path for a path in a flag, which may be relative and hold `..`. Links before a `..` are resolved, so a
/// path that does not exist up to there is an error.
fn absolute(path: &str, cwd: &Path) -> Result<String> {
    if path.is_empty() {
        return Err(Error::new("a path of a flag is empty").hint("write `.` for the current directory"));
    }
    if path.starts_with(['/', '~', '$']) || path.starts_with("xdg-") {
        return Ok(path.to_owned());
    }
    // Where `..` leads depends on links: let the kernel resolve the path up to there.
    let mut clean = PathBuf::new();
    for part in cwd.join(path).components() {
        clean.push(part);
        if part == std::path::Component::ParentDir {
            clean = clean.canonicalize().map_err(|error| {
                let errno = crate::sys::Errno::from(error);
                Error::new(format!("{path}: cannot tell where `..` leads: {errno}")).hint("write the path without `..`")
            })?;
        }
    }
    // `${` in the name of a directory is not a variable.
    Ok(clean.display().to_string().replace("${", "$${"))
}

/// The text as a basic string of TOML.
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
