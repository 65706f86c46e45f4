//! What a key of the profile language is: its name, the type of its value, and what it configures.

use crate::spec::limits::{Control, Form};
use crate::sys::RLIMITS;

/// The type of a key's value, which also decides how layers merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`; the later layer wins.
    Switch,
    /// `true`, `false`, or one of these words; the later layer wins.
    SwitchOr(&'static [&'static str]),
    /// One of these words; the later layer wins.
    Word(&'static [&'static str]),
    /// One of these words, or one that begins with this; the later layer wins.
    WordOr(&'static [&'static str], &'static [&'static str]),
    /// A string; the later layer wins.
    Text,
    /// A number or a string; the later layer wins.
    Number,
    /// A program and its arguments; the later layer replaces the whole list.
    Argv,
    /// A string, or a list of them in an order; the later layer replaces the whole.
    Stack,
    /// A set of strings; layers unite, `"!item"` removes an inherited item.
    List,
    /// A set of strings or numbers; layers unite, `"!item"` removes an inherited item.
    Ports,
    /// A set of these words, each optionally with options after a comma; layers merge as for [`Kind::List`].
    Words(&'static [&'static str]),
    /// A table of names to strings; layers merge by name.
    Map,
    /// A table of paths to modes; layers merge by path, `"!"` removes an inherited path.
    Paths,
}

/// What a key configures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A field of the `Sandbox`, which `resolve` fills with code for this key.
    Field,
    /// A file of the sandbox's cgroup, to which the value is written.
    Limit(Control),
    /// The resource of setrlimit(2) that has the key's name in `sys::RLIMITS`.
    Rlimit,
}

/// A key of the profile language.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// The full name, with dots: `limits.memory_max`.
    pub name: &'static str,
    /// The type of the value.
    pub kind: Kind,
    /// Description for the JSON schema and for error messages.
    pub doc: &'static str,
    /// What the key configures.
    pub target: Target,
}

impl Key {
    /// The key's name within its table: `memory_max` of `limits.memory_max`.
    pub fn last(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }
}

/// A key that fills a field.
pub(super) const fn key(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, doc, target: Target::Field }
}

/// A key of `[limits]` that is written to a file of cgroup v2; `*` in its name stands for the size of huge pages.
pub(super) const fn limit(
    name: &'static str,
    controller: &'static str,
    file: &'static str,
    form: Form,
    doc: &'static str,
) -> Key {
    let kind = match form {
        Form::Switch => Kind::Switch,
        Form::Rates | Form::Latency | Form::Pages => Kind::Map,
        Form::Bytes | Form::Count | Form::Cpu | Form::Weight | Form::Set => Kind::Number,
    };
    Key { name, kind, doc, target: Target::Limit(Control { controller, file, form }) }
}

/// A key of `[rlimits]`. A name that is no resource of setrlimit(2) fails to compile.
pub(super) const fn rlimit(name: &'static str, doc: &'static str) -> Key {
    assert!(is_resource(name.as_bytes()), "no resource of setrlimit(2) has this name");
    Key { name, kind: Kind::Number, doc, target: Target::Rlimit }
}

/// Whether NAME of `rlimits.NAME` is a resource in `sys::RLIMITS`.
const fn is_resource(key: &[u8]) -> bool {
    let (_, name) = key.split_at("rlimits.".len());
    let mut row = 0;
    while row < RLIMITS.len() {
        let known = RLIMITS[row].0.as_bytes();
        let mut same = 0;
        while same < name.len() && same < known.len() && name[same] == known[same] {
            same += 1;
        }
        if same == name.len() && same == known.len() {
            return true;
        }
        row += 1;
    }
    false
}
