//! The flags as the last layer of the profile language: read by the same code as a profile.

use super::caller::Caller;
use super::environment::{self, Variable};
use super::path_flag::{PathFlag, absolute};
use super::text::{list, quote, utf8};
use super::{args, familiar, path_flag};
use crate::error::{Error, Result, printable};
use crate::profile::Merged;
use crate::profile::schema::{self, Kind};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// The flags translated to lines of the profile language, with the flag that each line comes from.
#[derive(Default)]
pub(super) struct Flags {
    pub lines: Vec<Line>,
    /// The sandbox whose network a flag names.
    pub joined: Vec<familiar::Joined>,
}

/// A line of the profile language for a flag.
pub(super) struct Line {
    /// The flag's position on the command line.
    at: usize,
    /// The flag, as messages name it.
    pub label: String,
    pub key: String,
    pub value: String,
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

    /// Whether the layers below, or flags so far, show the root directory writable.
    fn writable_root(&self, below: &Merged) -> bool {
        let root = format!("{PATHS}.{}", quote("/"));
        let writable =
            |value: &str| ["rw", "overlay"].iter().any(|mode| value.trim_start_matches('"').starts_with(mode));
        let mut lines = self.lines.iter().filter(|line| line.thing == root);
        let mut rules = below.map(PATHS).iter().filter(|(path, _)| path.text == "/");
        lines.any(|line| writable(&line.value)) || rules.any(|(_, mode)| writable(&mode.text))
    }

    /// Puts the lines in the order of the flags, and leaves out those that a later one replaces.
    fn sorted(mut self) -> Flags {
        self.lines.sort_by_key(|line| line.at);
        let mut last: Vec<Line> = Vec::new();
        for line in std::mem::take(&mut self.lines) {
            last.retain(|other| other.thing != line.thing);
            last.push(line);
        }
        Flags { lines: last, ..self }
    }

    /// Adds a variable that is not UTF-8.
    fn variable(&mut self, at: usize, name: OsString, value: OsString) {
        // What a line for it would set, if its name is UTF-8: such a line replaces it, and is replaced by it.
        let thing = variable_key(&name.to_string_lossy());
        let (label, key, text) = (String::new(), String::new(), String::new());
        self.lines.push(Line { at, label, key, value: text, thing, bytes: Some((name, value)) });
    }

    /// The lines, as a profile has them.
    pub fn text(&self) -> String {
        let lines = self.lines.iter().filter(|line| line.bytes.is_none());
        lines.map(|line| format!("{} = {}\n", line.key, line.value)).collect()
    }

    /// The variables that are not UTF-8.
    pub fn variables(&self) -> BTreeMap<OsString, OsString> {
        self.lines.iter().filter_map(|line| line.bytes.clone()).collect()
    }

    /// The flag that each line comes from.
    pub fn labels(self) -> Vec<String> {
        self.lines.into_iter().filter(|line| line.bytes.is_none()).map(|line| line.label).collect()
    }
}

/// The key that flags for paths set.
const PATHS: &str = "filesystem.paths";

/// The value of a limit that is none, for which podman and docker also take 0.
const NO_LIMIT: &str = "max";

/// Translates the flags to the profile language. `below` are the layers below, for flags that change what these say.
///
/// # Errors
///
/// A flag cannot be read, or asks for what the profile language cannot say.
pub(super) fn read(args: &args::Sandbox, below: &Merged, caller: &Caller) -> Result<Flags> {
    let mut flags = Flags::default();
    paths(args, caller, &mut flags)?;
    let said = familiar::said(args, below, &caller.cwd)?;
    flags.joined = said.joined;
    for familiar::Said { flag, nth, label, line } in said.lines {
        let at = args.order.of(flag, nth);
        match line {
            familiar::Line::Key(key, value) => flags.line(at, label, key, quote(&value)),
            familiar::Line::Path(path, value) => flags.path(at, label, &path, quote(&value), caller),
            familiar::Line::Of(key, name, value) => {
                flags.line(at, label, &format!("{key}.{}", quote(&name)), quote(&value));
            }
            familiar::Line::List(key, items) => flags.line(at, label, key, list(&items)),
        }
    }
    if args.familiar.read_only && flags.writable_root(below) {
        flags.path(args.order.of("read_only", 0), "--read-only".into(), "/", quote("ro"), caller);
    }
    let mut patterns = Vec::new();
    for Variable { at, label, name, value } in environment::read(args, caller)? {
        match (name.to_str(), value) {
            (Some(pattern), None) => patterns.push((at, pattern.to_owned())),
            (Some(name), Some(value)) if value.to_str().is_some() => {
                let value = quote(&value.to_string_lossy().replace("${", "$${"));
                flags.line(at, label, &variable_key(name), value);
            }
            (_, value) => flags.variable(at, name, value.unwrap_or_default()),
        }
    }
    if let Some((at, _)) = patterns.last() {
        let words: Vec<_> = patterns.iter().map(|(_, pattern)| pattern.clone()).collect();
        flags.line(*at, "--env".into(), "process.env_pass", list(&words));
    }
    // The letter that other programs have for a profile.
    let ports = |value: &OsString| value.as_bytes().iter().any(u8::is_ascii_digit);
    if let Some(value) = args.publish.iter().find(|value| !ports(value)) {
        let value = value.to_string_lossy();
        return Err(Error::new(format!("--publish (-p) names ports, as 8080:80, and {} is none", printable(&value)))
            .hint(format!("to name a profile, write --profile {}", printable(&value))));
    }
    let exposed = familiar::published(args)?;
    let publish: Vec<_> = args.publish.iter().chain(&exposed).cloned().collect();
    for (flag, key, values) in [
        ("device", "devices.allow", &args.device),
        ("publish", "network.publish", &publish),
        ("forward", "network.forward", &args.forward),
        ("network-alias", "network.aliases", &args.familiar.network_alias),
    ] {
        if !values.is_empty() {
            let at = args.order.of(flag, values.len());
            let values: Vec<_> = values.iter().map(|value| Ok(quote(utf8(value, key)?))).collect::<Result<_>>()?;
            let flag = if flag == "publish" && args.publish.is_empty() { "publish-all" } else { flag };
            flags.line(at, format!("--{flag}"), key, format!("[{}]", values.join(", ")));
        }
    }
    if args.ask_network {
        flags.line(args.order.of("ask-network", 0), "--ask-network".into(), "network.ask", "true".into());
    }
    if args.open {
        flags.line(args.order.of("open", 0), "--open".into(), "filesystem.arguments", quote("ro"));
    }
    if let Some(given) = &args.limits.cpus {
        let given = utf8(given, "number")?;
        let number = given.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        let value = match number {
            Some(0.0) => quote(NO_LIMIT),
            Some(number) => quote(&format!("{}%", number * 100.0)),
            None => {
                let error = Error::new(format!("--cpus {given}: it is no number of processors"));
                return Err(error.hint("a number such as 2 or 0.5, or 0 for no limit"));
            }
        };
        flags.line(args.order.of("cpus", 0), format!("--cpus {given}"), "limits.cpu_max", value);
    }
    if let Some(given) = &args.limits.memory {
        let given = utf8(given, "size")?;
        let value = if given == "0" { quote(NO_LIMIT) } else { quote(&familiar::bytes(given)) };
        flags.line(args.order.of("memory", 0), format!("--memory {given}"), "limits.memory_max", value);
    }
    if let Some(given) = &args.limits.pids_limit {
        let given = utf8(given, "number")?;
        let value = quote(if ["-1", "0"].contains(&given) { NO_LIMIT } else { given });
        flags.line(args.order.of("pids-limit", 0), format!("--pids-limit {given}"), "limits.pids_max", value);
    }
    if let Some(mode) = &args.net {
        familiar::check_net(utf8(mode, "network.mode")?)?;
    }
    for (flag, key, value) in [
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
            let given = utf8(value, key)?;
            // podman's are seconds.
            let is_number = flag == "timeout" && given.parse::<u32>().is_ok();
            if is_number && given.bytes().all(|digit| matches!(digit, b'0' | b'+')) {
                return Err(Error::new(format!("--timeout {given}: it is no time that a program could have"))
                    .hint("name seconds, or a time with units: 90, 90s, 10m, 1h30m; leave it out for no limit"));
            }
            let value = if is_number { quote(&format!("{given}s")) } else { quote(given) };
            flags.line(args.order.of(flag, 0), format!("--{flag} {given}"), key, value);
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
        let given = if mode == "tmpfs" { familiar::tmpfs(path, &caller.cwd)? } else { None };
        let PathFlag { path: read, options } = path_flag::read(given.as_deref().unwrap_or(path), &caller.cwd)?;
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
