//! Reads `[process]`.

use super::builder::Builder;
use crate::profile::document::Text;
use crate::spec::{Process, Tty, User};
use std::collections::BTreeMap;
use std::time::Duration;

impl Builder<'_> {
    pub(super) fn process(&mut self) -> Process {
        let merged = self.merged;
        let args = merged.list("process.args").iter().map(|text| self.expand(text).into()).collect();
        let cwd = merged.text("process.cwd").and_then(|text| self.path(text));
        let hostname = self.node_name("process.hostname", "host name", "sethostname(2)");
        let domainname = self.node_name("process.domainname", "NIS domain name", "setdomainname(2)");
        let user = merged.text("process.user");
        self.programs();
        let mut env = BTreeMap::new();
        for (name, value) in merged.map("process.env") {
            if name.text.is_empty() {
                self.wrong(
                    name,
                    "a variable has no name here".into(),
                    "write the name before the value: `NAME = \"value\"`",
                );
            } else if name.text.contains(['=', '\0']) {
                self.wrong(name, format!("`{}` is no name of a variable", name.text), "a name holds no `=`");
            }
            let value = self.expand(value);
            env.insert(name.text.clone(), value);
        }
        Process {
            args,
            cwd,
            hostname,
            domainname,
            user: user.and_then(|text| self.user(text)).unwrap_or_default(),
            user_origin: user.map(|text| self.origin(text)).unwrap_or_default(),
            env,
            env_pass: self.passed(),
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

    /// The variables that are passed on. A name that no variable can have would be ignored.
    fn passed(&mut self) -> Vec<String> {
        let merged = self.merged;
        let list = merged.list("process.env_pass");
        for text in list {
            let name = text.text.strip_suffix('*').unwrap_or(&text.text);
            if text.text.is_empty() {
                self.wrong(text, "an empty name passes no variable on".into(), "name a variable, or take it out");
            } else if let Some((name, _)) = text.text.split_once('=') {
                let help = format!(
                    "`env_pass` has names, and the caller's values; a value is set in [process.env]: `{name} = \"...\"`"
                );
                self.wrong(text, format!("`{}` is no name of a variable", text.text), &help);
            } else if name.contains('*') {
                let help = "name the variables: `*` matches the rest of a name, at its end alone, as in `LC_*`";
                self.wrong(text, format!("`{}` matches no variable", text.text), help);
            }
        }
        list.iter().map(|text| text.text.clone()).collect()
    }

    /// A name of the uts namespace, in the words of messages and by the call that sets it.
    fn node_name(&mut self, key: &'static str, what: &str, call: &str) -> Option<String> {
        let merged = self.merged;
        let text = merged.text(key)?;
        let name = self.expand(text);
        let good = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(good) {
            let help = format!("1 to 64 characters, which are letters, digits, `-`, `.` and `_` ({call})");
            self.wrong(text, format!("`{}` is no {what}", text.text), &help);
        }
        Some(name)
    }

    fn user(&mut self, text: &Text) -> Option<User> {
        match text.text.as_str() {
            "self" => return Some(User::Own),
            "root" => return Some(User::Ids { uid: 0, gid: 0 }),
            "range" => return Some(User::Range),
            "keep-id" => return Some(User::KeepId),
            _ => {}
        }
        // 4294967295 is (uid_t) -1, which setresuid(2) takes as "no change".
        let id = |part: &str| part.parse().ok().filter(|id: &u32| *id != u32::MAX);
        if let Some((Some(uid), Some(gid))) = text.text.split_once(':').map(|(u, g)| (id(u), id(g))) {
            return Some(User::Ids { uid, gid });
        }
        let help = "`self`, `root`, `range`, `keep-id`, or two numbers from 0 to 4294967294 such as `1000:1000`";
        self.wrong(text, format!("`{}` names no user", text.text), help);
        None
    }

    /// Refuses names of programs that no program has: the profile would never be chosen for them.
    fn programs(&mut self) {
        let merged = self.merged;
        for text in merged.list("profile.programs") {
            let name = text.text.as_str();
            let file = name.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            if name.is_empty() {
                self.wrong(text, "an empty name is no program's".into(), "name a program: `firefox`");
            } else if name.contains('/') {
                let help = match file {
                    "" => "name a program: `firefox`".to_owned(),
                    file => format!("a program is named by its file name, wherever it is installed: `{file}`"),
                };
                self.wrong(text, format!("`{name}` is a path, and not the name of a program"), &help);
            } else if name.contains('*') || name.contains(char::is_whitespace) {
                let help = "one file name for each program, without arguments; there are no patterns: `[\"python3\", \"python3.13\"]`";
                self.wrong(text, format!("`{name}` is not the name of a program"), help);
            }
        }
    }

    fn too_long(&mut self, text: &Text) -> Option<Duration> {
        let help = "24000 days are the most; leave the line out for no limit";
        self.wrong(text, format!("`{}` is too long a time", text.text), help);
        None
    }

    fn duration(&mut self, text: &Text) -> Option<Duration> {
        match humantime::parse_duration(&text.text) {
            Ok(duration) if !duration.is_zero() && duration.as_secs() < 1 << 31 => Some(duration),
            Ok(duration) if !duration.is_zero() => self.too_long(text),
            // It stands for parts of a nanosecond, too.
            Err(humantime::DurationError::NumberOverflow) if !text.text.contains('.') => self.too_long(text),
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
}
