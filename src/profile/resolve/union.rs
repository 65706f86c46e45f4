//! Reads what `[filesystem]` says of layers: a root of several directories, and what becomes of changes.

use super::builder::Builder;
use crate::profile::document::{Text, Value};
use crate::spec::{Changes, Origin, Root, is_size, parse_size};

/// The forms of `filesystem.root`, as a help for others.
const ROOTS: &str = "`host`, `empty`, `dir:/path/of/a/tree`, or a list of the latter: [\"dir:/a\", \"dir:/b\"]";

/// The forms of `filesystem.upper`, as a help for others.
const CHANGES: &str = "`discard`, `keep:NAME`, or `ask`";

impl Builder<'_> {
    /// The root that the view starts from, and the line that says so.
    pub(super) fn root(&mut self) -> (Root, Origin) {
        let (one, list) = match self.merged.get("filesystem.root") {
            Some(Value::Text(text)) => (Some(text), [].as_slice()),
            Some(Value::List(list, _)) => (list.first().filter(|_| list.len() == 1), list.as_slice()),
            _ => return (Root::Host, Origin::default()),
        };
        let origin = one.or(list.first()).map(|text| self.origin(text)).unwrap_or_default();
        let root = match one {
            Some(text) if text.text == "host" => Root::Host,
            Some(text) if text.text == "empty" => Root::Empty,
            Some(text) => self.directory(text).map_or(Root::Empty, Root::Dir),
            None => Root::Stack(list.iter().filter_map(|text| self.directory(text)).collect()),
        };
        if list.is_empty() && one.is_none() {
            let at = match self.merged.get("filesystem.root") {
                Some(Value::List(_, at)) => at.clone(),
                _ => return (root, origin),
            };
            self.wrong(&Text { text: String::new(), at }, "`filesystem.root` is an empty list".into(), ROOTS);
        }
        (root, origin)
    }

    /// The directory of `dir:PATH`.
    fn directory(&mut self, text: &Text) -> Option<std::path::PathBuf> {
        match text.text.strip_prefix("dir:") {
            Some(path) => self.path(&Text { text: path.to_owned(), at: text.at.clone() }),
            None => {
                self.wrong(text, format!("`{}` is no root", text.text), ROOTS);
                None
            }
        }
    }

    /// The name of a private home that is kept.
    pub(super) fn home(&mut self) -> Option<(String, Origin)> {
        let text = self.merged.text("filesystem.home").filter(|text| text.text != "tmpfs")?;
        let Some(name) = text.text.strip_prefix("private:") else {
            self.wrong(text, format!("`{}` is no home", text.text), "`tmpfs`, or `private:NAME`");
            return None;
        };
        if let Err(why) = crate::union::check_name(name) {
            self.wrong(text, format!("`{name}` is no name of a private home"), why);
            return None;
        }
        Some((name.to_owned(), self.origin(text)))
    }

    /// What becomes of changes in paths of the mode `overlay`.
    pub(super) fn changes(&mut self) -> Changes {
        let Some(text) = self.merged.text("filesystem.upper") else { return Changes::Discard };
        match (text.text.as_str(), text.text.strip_prefix("keep:")) {
            ("discard", _) => Changes::Discard,
            ("ask", _) => Changes::Ask,
            (_, Some(name)) => match crate::union::check_name(name) {
                Ok(()) => Changes::Keep(name.to_owned()),
                Err(why) => {
                    self.wrong(text, format!("`{name}` is no name of an upper layer"), why);
                    Changes::Discard
                }
            },
            (other, None) => {
                self.wrong(text, format!("`filesystem.upper` does not know `{other}`"), CHANGES);
                Changes::Discard
            }
        }
    }

    /// How many bytes changes may take, and the line that says so.
    pub(super) fn upper_size(&mut self) -> Option<(u64, Origin)> {
        self.size("filesystem.upper_size", "bytes, or with K, M, G: `upper_size = \"4G\"`")
    }

    /// How many bytes each filesystem in memory may hold, and the line that says so.
    pub(super) fn memory(&mut self) -> Option<(u64, Origin)> {
        self.size("filesystem.memory", "bytes, or with K, M, G: `memory = \"2G\"`")
    }

    fn size(&mut self, key: &str, help: &str) -> Option<(u64, Origin)> {
        let text = self.merged.text(key)?;
        match parse_size(&text.text) {
            // tmpfs(5) takes 0 for no limit.
            Some(size) if size > 0 => Some((size, self.origin(text))),
            None if is_size(&text.text) => {
                self.wrong(text, format!("`{}` is too large a size", text.text), "16777215T is the most");
                None
            }
            _ => {
                self.wrong(text, format!("`{}` is no size", text.text), help);
                None
            }
        }
    }
}
