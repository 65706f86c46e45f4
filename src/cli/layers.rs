//! Profile, project's file and flags → `Sandbox` and `Facts`: the part that all verbs that need a sandbox share.

use super::path_flag::{PathFlag, absolute};
use super::program::with_arguments;
use super::project_files::{self, ProjectFiles};
use super::{args, closed, familiar, output, path_flag};
use crate::error::{Error, Result, printable};
use crate::host::{self, Account, Facts, Ways};
use crate::profile::schema::{self, Kind};
use crate::profile::{Loader, Merged, Sources, Vars, project, resolve};
use crate::spec::{self, Sandbox};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The caller's environment, directory and account, read once.
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

    fn read_in(cwd: PathBuf) -> Result<Caller> {
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
    fn variable(&self, name: &OsStr) -> Option<OsString> {
        let text = name.to_str().and_then(|name| self.env.get(name)).map(OsString::from);
        text.or_else(|| self.env_bytes.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
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
        merged.apply(layer);
    }
    let flags = flags(args, caller)?;
    let text = flags.text();
    let mut without_project = None;
    let ProjectFiles { files, others } =
        if args.no_project { Default::default() } else { project_files::find(&caller.cwd, &caller.vars)? };
    for file in &files {
        let Some(layer) = loader.project(file, &caller.cwd) else { continue };
        let alone = without_project.is_none().then(|| merged.clone());
        let applied = project::apply(&mut merged, without_project.as_ref(), layer, &loader.sources, &host::rlimits());
        loader.errors.extend(applied.err().into_iter().flatten());
        without_project = without_project.or(alone);
    }
    let layer = loader.text("command line", &text);
    let env_bytes = flags.variables();
    loader.sources.label(layer.source, flags.labels());
    if let Some(without) = &mut without_project {
        without.apply(layer.clone());
    }
    merged.apply(layer);
    if !loader.errors.is_empty() {
        return Err(output::wrong(loader.errors, loader.sources));
    }
    crate::sys::phase("profiles");
    let mut sandbox = resolve::sandbox(&merged, &loader.sources, &caller.vars)
        .map_err(|errors| output::wrong(errors, loader.sources.clone()))?;
    let mut without = match without_project {
        Some(without) => Some(compare(&without, &sandbox, &loader.sources, caller)?),
        None => None,
    };
    if !program.is_empty() {
        // A program that is named by itself, without a profile, is always a program.
        let of_profile = if args.profile.is_some() { sandbox.process.args.as_slice() } else { &[] };
        let path = sandbox.process.env.get("PATH").map(OsStr::new);
        sandbox.process.args = with_arguments(program, of_profile, path, &caller.cwd);
    }
    let mut ways = Ways::default();
    let read = loader.sources.files().map(|file| caller.cwd.join(file));
    let profiles: Vec<_> = read.chain(files.iter().cloned()).collect();
    for sandbox in std::iter::once(&mut sandbox).chain(&mut without) {
        closed::profiles(sandbox, &profiles, &mut ways);
        closed::names(sandbox, &mut ways)?;
        closed::startup(sandbox, &caller.vars, &mut ways);
        closed::variables(sandbox, caller.variables(), &caller.vars, &mut ways)?;
    }
    sandbox.notes.extend(others.into_iter().map(|(file, owner)| spec::Note::NotTaken { file, owner }));
    if sandbox.filesystem.paths.iter().any(|rule| rule.mode == spec::Mode::Overlay) {
        let found = profiles.iter().filter_map(|file| ways.follow(file));
        sandbox.filesystem.profiles = found.flat_map(|(real, links)| links.into_iter().chain([real])).collect();
    }
    sandbox.filesystem.project_files = files;
    sandbox.filesystem.without_project = without.map(|without| without.filesystem.paths);
    // A file's name without its directory and its ending, as profiles in the known directories have it.
    sandbox.name = profile.trim_end_matches(".toml").rsplit('/').next().unwrap_or_default().to_owned();
    sandbox.limits.stats = args.stats.is_some();
    sandbox.process.as_pid_1 = args.as_pid_1;
    sandbox.process.descriptors = spec::Descriptors::Only(args.keep_fd.clone());
    if let (Some(profile), Some(program)) = (chosen, program.first()) {
        sandbox.notes.push(spec::Note::ProfileOf { profile, program: program.display().to_string() });
    }
    sandbox.process.env_bytes = env_bytes;
    crate::sys::phase("spec");
    let mut facts = host::probe(&sandbox, caller.env.clone(), caller.cwd.clone(), caller.accounts.clone());
    facts.add_profiles(&sandbox, &caller.vars.profiles);
    facts.env_bytes.clone_from(&caller.env_bytes);
    crate::sys::phase("host");
    Ok((sandbox, facts))
}

/// The sandbox without a project's file.
///
/// # Errors
///
/// With the file, a rule of the layers below it does not hold any more, whatever the line in it says.
fn compare(without: &Merged, sandbox: &Sandbox, sources: &Sources, caller: &Caller) -> Result<Sandbox> {
    let without =
        resolve::sandbox(without, sources, &caller.vars).map_err(|errors| output::wrong(errors, sources.clone()))?;
    let (before, after) = (&without.filesystem.paths, &sandbox.filesystem.paths);
    if let Some(rule) = project::gained(before, after) {
        let (path, mode) = (rule.path.display(), rule.mode.word());
        return Err(Error::new(format!(
            "{path} would be `{mode}` with .sbx.toml, and is not without it ({})",
            rule.origin
        ))
        .hint(project::HELP));
    }
    let Some((rule, now)) = project::lost(before, after) else { return Ok(without) };
    let (path, old) = (rule.path.display(), rule.mode.word());
    let now = now.map_or("shown".to_owned(), |mode| format!("`{}`", mode.word()));
    Err(Error::new(format!("{path} would be {now} with .sbx.toml, and is `{old}` without it ({})", rule.origin))
        .hint(project::HELP))
}

/// The flags translated to lines of the profile language, with the flag that each line comes from.
#[derive(Default)]
struct Flags {
    lines: Vec<Line>,
}

/// A line of the profile language for a flag.
struct Line {
    /// The flag's position on the command line.
    at: usize,
    /// The flag, as messages name it.
    label: String,
    key: String,
    value: String,
    /// What is set, the same for each spelling of it: of two lines for one thing, the later counts.
    thing: String,
    /// A variable that is not UTF-8, which no line can hold.
    bytes: Option<(OsString, OsString)>,
}

impl Flags {
    fn line(&mut self, at: usize, label: String, key: &str, value: String) {
        let thing = key.to_owned();
        self.lines.push(Line { at, label, key: key.to_owned(), value, thing, bytes: None });
    }

    /// Adds a line for a path, which may be spelt in several ways.
    fn path(&mut self, at: usize, label: String, path: &str, value: String, caller: &Caller) {
        let real = caller.vars.path(path).map_or_else(|_| path.to_owned(), |path| path.display().to_string());
        let (key, thing) = (format!("{PATHS}.{}", quote(path)), format!("{PATHS}.{}", quote(&real)));
        self.lines.push(Line { at, label, key, value, thing, bytes: None });
    }

    /// Puts the lines in the order of the flags, and leaves out those that a later one replaces.
    fn sorted(mut self) -> Flags {
        self.lines.sort_by_key(|line| line.at);
        let mut last: Vec<Line> = Vec::new();
        for line in self.lines {
            last.retain(|other| other.thing != line.thing);
            last.push(line);
        }
        Flags { lines: last }
    }

    /// Adds a variable that is not UTF-8.
    fn variable(&mut self, at: usize, name: OsString, value: OsString) {
        // What a line for it would set, if its name is UTF-8: such a line replaces it, and is replaced by it.
        let thing = variable_key(&name.to_string_lossy());
        let (label, key, text) = (String::new(), String::new(), String::new());
        self.lines.push(Line { at, label, key, value: text, thing, bytes: Some((name, value)) });
    }

    fn text(&self) -> String {
        let lines = self.lines.iter().filter(|line| line.bytes.is_none());
        lines.map(|line| format!("{} = {}\n", line.key, line.value)).collect()
    }

    /// The variables that are not UTF-8.
    fn variables(&self) -> BTreeMap<OsString, OsString> {
        self.lines.iter().filter_map(|line| line.bytes.clone()).collect()
    }

    fn labels(self) -> Vec<String> {
        self.lines.into_iter().filter(|line| line.bytes.is_none()).map(|line| line.label).collect()
    }
}

/// The key that flags for paths set.
const PATHS: &str = "filesystem.paths";

/// Translates the flags to the profile language: they are the last layer, read by the same code as a profile.
fn flags(args: &args::Sandbox, caller: &Caller) -> Result<Flags> {
    let mut flags = Flags::default();
    paths(args, caller, &mut flags)?;
    for familiar::Said { flag, nth, label, line } in familiar::said(&args.familiar, &caller.cwd)? {
        let at = args.order.of(flag, nth);
        match line {
            familiar::Line::Key(key, value) => flags.line(at, label, key, quote(&value)),
            familiar::Line::Path(path, value) => flags.path(at, label, &path, quote(&value), caller),
        }
    }
    let mut patterns = Vec::new();
    for (nth, variable) in args.env.iter().enumerate() {
        let at = args.order.of("env", nth);
        let (name, value) = match split(variable) {
            (name, Some(value)) => (name, value.to_owned()),
            (name, None) if name.as_encoded_bytes().ends_with(b"*") => {
                patterns.push((at, utf8(name, "pattern")?));
                continue;
            }
            (name, None) => match caller.variable(name) {
                Some(value) => (name, value),
                None => {
                    let name = name.display();
                    return Err(Error::new(format!("--env {name}: the variable is not set"))
                        .hint(format!("set it with --env {name}=VALUE")));
                }
            },
        };
        match (name.to_str(), value.to_str()) {
            (Some(name), Some(value)) => {
                let value = quote(&value.replace("${", "$${"));
                flags.line(at, format!("--env {name}"), &variable_key(name), value);
            }
            _ if name.is_empty() => {
                return Err(Error::new(format!("--env {}: a variable needs a name", variable.display()))
                    .hint("write --env NAME=VALUE"));
            }
            _ => flags.variable(at, name.to_owned(), value),
        }
    }
    if let Some((at, _)) = patterns.last() {
        let words: Vec<_> = patterns.iter().map(|(_, pattern)| quote(pattern)).collect();
        flags.line(*at, "--env".into(), "process.env_pass", format!("[{}]", words.join(", ")));
    }
    // The letter that other programs have for a profile.
    let ports = |value: &OsString| value.as_bytes().iter().any(u8::is_ascii_digit);
    if let Some(value) = args.publish.iter().find(|value| !ports(value)) {
        let value = value.to_string_lossy();
        return Err(Error::new(format!("--publish (-p) names ports, as 8080:80, and {} is none", printable(&value)))
            .hint(format!("to name a profile, write --profile {}", printable(&value))));
    }
    for (flag, key, values) in [
        ("share", "namespaces.share", &args.share),
        ("device", "devices.allow", &args.device),
        ("publish", "network.publish", &args.publish),
        ("forward", "network.forward", &args.forward),
    ] {
        if !values.is_empty() {
            let at = args.order.of(flag, values.len());
            let values: Vec<_> = values.iter().map(|value| Ok(quote(utf8(value, key)?))).collect::<Result<_>>()?;
            flags.line(at, format!("--{flag}"), key, format!("[{}]", values.join(", ")));
        }
    }
    if args.open {
        flags.line(args.order.of("open", 0), "--open".into(), "filesystem.arguments", quote("ro"));
    }
    if let Some(given) = &args.cpus {
        let given = utf8(given, "number")?;
        let percent = given.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
        let percent = percent.ok_or_else(|| {
            Error::new(format!("--cpus {given}: it is no number of processors")).hint("a number such as 2 or 0.5")
        })?;
        let value = quote(&format!("{}%", percent * 100.0));
        flags.line(args.order.of("cpus", 0), format!("--cpus {given}"), "limits.cpu_max", value);
    }
    for (flag, key, value) in [
        ("memory", "limits.memory_max", &args.memory),
        ("pids-limit", "limits.pids_max", &args.pids_limit),
        ("net", "network.mode", &args.net),
        ("user", "process.user", &args.user),
        ("home", "filesystem.home", &args.home),
        ("upper", "filesystem.upper", &args.upper),
        ("upper-size", "filesystem.upper_size", &args.upper_size),
        ("tmpfs-size", "filesystem.memory", &args.tmpfs_size),
        ("hostname", "process.hostname", &args.hostname),
        ("tty", "process.tty", &args.tty),
        ("timeout", "process.timeout", &args.timeout),
    ] {
        if let Some(value) = value {
            let value = utf8(value, key)?;
            flags.line(args.order.of(flag, 0), format!("--{flag} {value}"), key, quote(value));
        }
    }
    if let Some(cwd) = &args.cwd {
        let cwd = utf8(cwd, "directory")?;
        let value = quote(&absolute(cwd, &caller.cwd)?);
        flags.line(args.order.of("cwd", 0), format!("--cwd {cwd}"), "process.cwd", value);
    }
    for (nth, set) in args.set.iter().enumerate() {
        let (set, at) = (utf8(set, "setting")?, args.order.of("set", nth));
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
        let string = known.is_some_and(|known| {
            matches!(known.kind, Kind::Text | Kind::Word(_) | Kind::WordOr(..) | Kind::Map | Kind::Paths)
        });
        let table = known.is_some_and(|known| known.name == key && matches!(known.kind, Kind::Map | Kind::Paths));
        let plain = toml::de::DeValue::parse(value).is_err() || (string && !table && !value.starts_with(['"', '\'']));
        let value = if plain { quote(value) } else { value.to_owned() };
        match key.strip_prefix("filesystem.paths.").and_then(unquoted) {
            Some(path) => flags.path(at, format!("--set {set}"), &path, value, caller),
            None => flags.line(at, format!("--set {set}"), key, value),
        }
    }
    Ok(flags.sorted())
}

/// The key of the profile language that sets a variable.
fn variable_key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let spelt = if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quote(name) };
    format!("process.env.{spelt}")
}

/// Splits `NAME=VALUE` at the first `=`.
fn split(text: &OsStr) -> (&OsStr, Option<&OsStr>) {
    let bytes = text.as_bytes();
    match bytes.iter().position(|byte| *byte == b'=') {
        Some(at) => (OsStr::from_bytes(&bytes[..at]), Some(OsStr::from_bytes(&bytes[at + 1..]))),
        None => (text, None),
    }
}

/// The flags that set the modes of paths.
fn paths(args: &args::Sandbox, caller: &Caller, flags: &mut Flags) -> Result<()> {
    let modes = [
        ("ro", "ro", &args.ro),
        ("rw", "rw", &args.rw),
        ("overlay", "overlay", &args.overlay),
        ("tmpfs", "tmpfs", &args.tmpfs),
        ("mask", "masked", &args.mask),
        ("hide", "hidden", &args.hide),
        ("deny", "deny", &args.deny),
    ];
    let mut given = Vec::new();
    for (flag, mode, paths) in modes {
        for (nth, path) in paths.iter().enumerate() {
            given.push((args.order.of(flag, nth), flag, mode, utf8(path, "path")?, None));
        }
    }
    given.sort_by_key(|(at, ..)| *at);
    for (nth, from) in args.from.iter().enumerate() {
        let (at, from) = (args.order.of("from", nth), utf8(from, "path")?);
        match given.iter_mut().rfind(|(before, ..)| *before < at) {
            Some((_, "ro" | "rw" | "overlay", _, _, source)) => *source = Some(from),
            _ => {
                return Err(Error::new(format!("--from {from}: no --ro, --rw or --overlay stands before it"))
                    .hint("write --ro PATH --from SOURCE"));
            }
        }
    }
    for (at, flag, mode, path, from) in given {
        // `--ro PATH,optional`: options follow as in a profile.
        let PathFlag { path: read, options } = path_flag::read(path, &caller.cwd)?;
        let mut value = format!("{mode}{options}");
        let mut label = format!("--{flag} {path}");
        if let Some(from) = from {
            let source = absolute(from, &caller.cwd)?.replace('\\', "\\\\").replace('"', "\\\"");
            value.push_str(&format!(",from=\"{source}\""));
            label.push_str(&format!(" --from {from}"));
        }
        flags.path(at, label, &read, quote(&value), caller);
    }
    Ok(())
}

/// The name of a TOML key that is written in quotes.
fn unquoted(key: &str) -> Option<String> {
    match toml::de::DeValue::parse(key).ok()?.into_inner() {
        toml::de::DeValue::String(text) => Some(text.into_owned()),
        _ => None,
    }
}

fn utf8<'a>(text: &'a OsStr, what: &str) -> Result<&'a str> {
    text.to_str().ok_or_else(|| {
        Error::new(format!("the {what} {} is not UTF-8", text.display()))
            .hint("profiles are UTF-8 text; show the directory that holds it instead")
    })
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
