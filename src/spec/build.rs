//! Merged layers → `Sandbox`. All errors at once, each with its place.

mod bus;
mod limits;
mod security;

use super::size::parse_size;
use super::*;
use crate::profile::{Diagnostic, Merged, Sources, Text, Value, Vars};
use std::path::Path;
use std::time::Duration;

/// The sandbox that these layers describe.
pub fn sandbox(merged: &Merged, sources: &Sources, vars: &Vars) -> Result<Sandbox, Vec<Diagnostic>> {
    let mut builder = Builder { merged, sources, vars, errors: Vec::new(), notes: Vec::new() };
    let mut sandbox = Sandbox {
        process: builder.process(),
        namespaces: builder.namespaces(),
        filesystem: builder.filesystem(),
        devices: builder.devices(),
        network: match merged.text("network.mode").map(|text| text.text.as_str()) {
            Some("host") => Network::Host,
            _ => Network::None,
        },
        rlimits: builder.rlimits(),
        limits: builder.limits(),
        desktop: Desktop {
            wayland: merged.switch("desktop.wayland"),
            x11: merged.switch("desktop.x11"),
            sound: merged.list("desktop.sound").iter().map(|text| text.text.clone()).collect(),
            portals: merged.list("desktop.portals").iter().map(|text| text.text.clone()).collect(),
        },
        session_bus: builder.session_bus(),
        security: builder.security(),
        asserts: builder.asserts(),
        notes: Vec::new(),
        origins: builder.origins(),
    };
    sandbox.notes = builder.notes;
    if sandbox.process.hostname.is_none() && !sandbox.namespaces.share.contains_key(&Namespace::Uts) {
        sandbox.process.hostname = Some("sandbox".into());
    }
    if builder.errors.is_empty() { Ok(sandbox) } else { Err(builder.errors) }
}

/// Bytes that compare as `Path` compares a path, which is slow: part by part, so that what lies in a directory follows it at once.
fn by_parts(path: &Path) -> Vec<u8> {
    let part_end = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    path.as_os_str().as_encoded_bytes().iter().map(part_end).collect()
}

struct Builder<'a> {
    merged: &'a Merged,
    sources: &'a Sources,
    vars: &'a Vars,
    errors: Vec<Diagnostic>,
    notes: Vec<String>,
}

impl Builder<'_> {
    fn origin(&self, text: &Text) -> Origin {
        Origin(self.sources.place(&text.at))
    }

    fn origins(&self) -> Origins {
        let mut origins = BTreeMap::new();
        for (key, value) in self.merged.iter() {
            let mut put = |item: &str, at| origins.insert((key, item.to_owned()), Origin(self.sources.place(at)));
            match value {
                Value::Switch(_, at) => drop(put("", at)),
                Value::Text(text) => drop(put("", &text.at)),
                Value::List(list, _) => list.iter().for_each(|item| drop(put(&item.text, &item.at))),
                // A path keeps its own, and there may be thousands.
                Value::Map(_) if key == "filesystem.paths" => {}
                Value::Map(map) => map.iter().for_each(|(name, _)| drop(put(&name.text, &name.at))),
            }
        }
        Origins(origins)
    }

    fn wrong(&mut self, text: &Text, message: String, help: &str) {
        self.errors.push(Diagnostic::at(&text.at, message).help(help));
    }

    fn expand(&mut self, text: &Text) -> String {
        match self.vars.text(&text.text) {
            Ok(expanded) => expanded,
            Err(why) => {
                self.wrong(text, why, "variables are written `${HOME}`; set the variable, or write the value");
                String::new()
            }
        }
    }

    fn path(&mut self, text: &Text) -> Option<PathBuf> {
        match self.vars.path(&text.text) {
            Ok(path) => Some(path),
            Err(why) => {
                self.wrong(text, why, "paths start with `/`, `~/`, `${CWD}/` or a place such as `xdg-download`");
                None
            }
        }
    }

    fn process(&mut self) -> Process {
        let merged = self.merged;
        let args = merged.list("process.args").iter().map(|text| self.expand(text).into()).collect();
        let cwd = merged.text("process.cwd").and_then(|text| self.path(text));
        let hostname = merged.text("process.hostname").map(|text| {
            let name = self.expand(text);
            let good = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            if name.is_empty() || name.len() > 64 || !name.chars().all(good) {
                let message = format!("`{}` is no host name", text.text);
                self.wrong(
                    text,
                    message,
                    "1 to 64 characters, which are letters, digits, `-`, `.` and `_` (sethostname(2))",
                );
            }
            name
        });
        let user = merged.text("process.user");
        let mut env = BTreeMap::new();
        for (name, value) in merged.map("process.env") {
            if name.text.is_empty() || name.text.contains(['=', '\0']) {
                self.wrong(name, format!("`{}` is no name of a variable", name.text), "a name holds no `=`");
            }
            let value = self.expand(value);
            env.insert(name.text.clone(), value);
        }
        Process {
            args,
            cwd,
            hostname,
            user: user.and_then(|text| self.user(text)).unwrap_or_default(),
            user_origin: user.map(|text| self.origin(text)).unwrap_or_default(),
            env,
            env_pass: merged.list("process.env_pass").iter().map(|text| text.text.clone()).collect(),
            tty: match merged.text("process.tty").map(|text| text.text.as_str()) {
                Some("pty") => Tty::Pty,
                Some("inherit") => Tty::Inherit,
                Some("none") => Tty::None,
                _ => Tty::Auto,
            },
            timeout: merged.text("process.timeout").and_then(|text| self.duration(text)),
            ..Process::default()
        }
    }

    fn user(&mut self, text: &Text) -> Option<User> {
        match text.text.as_str() {
            "self" => return Some(User::Own),
            "root" => return Some(User::Ids { uid: 0, gid: 0 }),
            "range" => return Some(User::Range),
            _ => {}
        }
        // 4294967295 is (uid_t) -1, "no change" to the kernel.
        let id = |part: &str| part.parse().ok().filter(|id: &u32| *id != u32::MAX);
        if let Some((Some(uid), Some(gid))) = text.text.split_once(':').map(|(u, g)| (id(u), id(g))) {
            return Some(User::Ids { uid, gid });
        }
        let help = "`self`, `root`, `range`, or two numbers from 0 to 4294967294 such as `1000:1000`";
        self.wrong(text, format!("`{}` names no user", text.text), help);
        None
    }

    fn duration(&mut self, text: &Text) -> Option<Duration> {
        match humantime::parse_duration(&text.text) {
            Ok(duration) if !duration.is_zero() && duration.as_secs() < 1 << 31 => Some(duration),
            _ => {
                self.wrong(
                    text,
                    format!("`{}` is no duration", text.text),
                    "more than nothing, with a unit: `90s`, `10m`, `8h`, or `1h 30m`",
                );
                None
            }
        }
    }

    fn namespaces(&mut self) -> Namespaces {
        let mut share = BTreeMap::new();
        for text in self.merged.list("namespaces.share") {
            let namespace = Namespace::ALL.into_iter().find(|ns| ns.word() == text.text);
            if let Some(namespace) = namespace {
                share.insert(namespace, self.origin(text));
            }
        }
        let network = self.merged.text("network.mode");
        match network.filter(|text| text.text == "host") {
            Some(text) => {
                share.entry(Namespace::Net).or_insert_with(|| Origin(self.sources.place(&text.at)));
            }
            None => {
                let asked = self.merged.list("namespaces.share").iter().find(|text| text.text == "net");
                if let Some(text) = asked {
                    let help = "write `network.mode = \"host\"`, or `--net host`, which says the same";
                    self.wrong(text, "the network is shared here and absent in `network.mode`".into(), help);
                }
            }
        }
        let nested = self.merged.text("namespaces.nested").map(|text| text.text.as_str());
        let (nested, mounts) = (matches!(nested, Some("allow" | "no-mount")), nested == Some("allow"));
        Namespaces { share, nested, mounts, ..Namespaces::default() }
    }

    fn filesystem(&mut self) -> Filesystem {
        let root = self.merged.text("filesystem.root");
        let chosen = match root.map(|text| text.text.as_str()) {
            None | Some("host") => Root::Host,
            Some("empty") => Root::Empty,
            Some(other) => match (root, other.strip_prefix("dir:")) {
                (Some(text), Some(path)) => {
                    let text = Text { text: path.to_owned(), at: text.at.clone() };
                    self.path(&text).map_or(Root::Empty, Root::Dir)
                }
                (Some(text), None) => {
                    let help = "`host`, `empty`, or `dir:/path/of/a/tree`";
                    self.wrong(text, format!("`{other}` is no root"), help);
                    Root::Empty
                }
                (None, _) => Root::Host,
            },
        };
        let mut paths: BTreeMap<Vec<u8>, (usize, PathRule)> = BTreeMap::new();
        for (name, value) in self.merged.map("filesystem.paths") {
            let (Some(path), Some((mode, options))) = (self.path(name), self.mode(value)) else { continue };
            if name.text.starts_with("${CWD}")
                && let Some(why) = self.too_wide(&path, mode)
            {
                let message = format!(
                    "{} {why} and is not shown inside; start elsewhere, \
                     or name what the program may see: --ro PATH, --rw PATH",
                    path.display()
                );
                self.notes.push(message);
                continue;
            }
            let project = self.sources.get(name.at.source).is_some_and(|source| source.project);
            let key = by_parts(&path);
            let rule = PathRule { path, mode, options, origin: self.origin(name), project };
            // Two spellings of one path: the later layer wins, and within a layer the stricter mode.
            match paths.get(&key) {
                Some((source, old)) if *source == name.at.source && old.mode > rule.mode => {}
                _ => {
                    paths.insert(key, (name.at.source, rule));
                }
            }
        }
        Filesystem {
            root: chosen,
            root_origin: root.map(|text| self.origin(text)).unwrap_or_default(),
            paths: paths.into_values().map(|(_, rule)| rule).collect(),
            mounts: Vec::new(),
        }
    }

    /// A rule for "wherever I am" must not open a whole home, or the profiles of the next sandbox, because somebody stands there.
    fn too_wide(&self, path: &Path, mode: Mode) -> Option<&'static str> {
        let runtime = self.vars.names.get("XDG_RUNTIME_DIR").map(PathBuf::from);
        let home = self.vars.names.get("HOME").map(PathBuf::from).unwrap_or_default();
        if self.vars.homes.iter().chain([&home]).any(|home| home.starts_with(path)) {
            Some("holds your home directory")
        } else if mode == Mode::Rw
            && self.vars.profiles.iter().any(|way| way.starts_with(path) || path.starts_with(way))
        {
            Some("holds the profiles of sbx")
        } else if runtime.is_some_and(|dir| path.starts_with(dir))
            || (["/proc", "/dev", "/sys", "/run"].iter().any(|dir| path.starts_with(dir))
                && !path.starts_with("/run/media"))
        {
            Some("is a part of what is private inside")
        } else {
            None
        }
    }

    fn mode(&mut self, text: &Text) -> Option<(Mode, Options)> {
        use crate::profile::schema::{MODES, PATH_OPTIONS, nearest};
        let mut parts = text.text.split(',').map(str::trim);
        let word = parts.next().unwrap_or_default();
        let Some(mode) = Mode::from_word(word) else {
            let help = match (word, nearest(word, MODES.iter().copied())) {
                ("overlay", _) => "this version has no `overlay` yet; use `ro`, `rw` or `tmpfs`".to_owned(),
                (_, Some(near)) => format!("did you mean `{near}`?"),
                _ => format!("modes are {}", MODES.join(", ")),
            };
            self.wrong(text, format!("`{word}` is no mode of a path"), &help);
            return None;
        };
        let mut options = Options::default();
        let before = self.errors.len();
        for part in parts {
            match part.split_once('=') {
                Some(("size", size)) => match parse_size(size) {
                    Some(size) => options.size = Some(size),
                    None => self.wrong(text, format!("`{size}` is no size"), "bytes, or with K, M, G: `size=64M`"),
                },
                Some(("from", from)) => {
                    options.from = self.path(&Text { text: from.to_owned(), at: text.at.clone() });
                }
                _ => match part {
                    "optional" => options.optional = true,
                    "create" => options.create = true,
                    "noexec" => options.noexec = true,
                    "nosuid" => options.nosuid = true,
                    "nodev" => options.nodev = true,
                    "prefer" => options.prefer = true,
                    _ => {
                        let help = match nearest(part, PATH_OPTIONS.iter().copied()) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => format!("options are {}", PATH_OPTIONS.join(", ")),
                        };
                        self.wrong(text, format!("`{part}` is no option of a path"), &help);
                    }
                },
            }
        }
        let misfit = match mode {
            _ if options.size.is_some() && mode != Mode::Tmpfs => Some(("size", "`size` goes with `tmpfs`")),
            _ if options.from.is_some() && !mode.shows_host() => Some(("from", "`from` goes with `ro` and `rw`")),
            _ if options.create && mode != Mode::Rw => Some(("create", "`create` goes with `rw`")),
            _ => None,
        };
        if let Some((option, help)) = misfit {
            self.wrong(text, format!("`{option}` has no meaning for `{word}`"), help);
        }
        (self.errors.len() == before).then_some((mode, options))
    }

    fn devices(&mut self) -> Vec<Device> {
        use crate::profile::schema::{DEVICES, nearest};
        let mut devices = Vec::new();
        for text in self.merged.list("devices.allow") {
            let (name, option) = text.text.split_once(',').map_or((text.text.as_str(), None), |(n, o)| (n, Some(o)));
            let below_dev = name.starts_with("/dev/") && !name.split('/').any(|part| part == "..");
            if !DEVICES.contains(&name) && !below_dev {
                let help = match nearest(name, DEVICES.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("classes are {}; anything else is a path below /dev", DEVICES.join(", ")),
                };
                self.wrong(text, format!("`{name}` is no class of devices"), &help);
            }
            if option.is_some_and(|option| option.trim() != "optional") {
                self.wrong(text, "a device has one option, `optional`".into(), "write `camera,optional`");
            }
            devices.push(Device { name: name.to_owned(), optional: option.is_some(), origin: self.origin(text) });
        }
        devices
    }
}
