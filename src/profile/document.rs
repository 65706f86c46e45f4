//! Reads one file of a profile into settings as written, each with its position, and reports all errors at once.

use super::diagnostic::Diagnostic;
use super::schema::{self, Key, Kind};
use super::source::{At, Sources};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A string with its position in a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The string's text, without quotes and escapes.
    pub text: String,
    /// Position of the string.
    pub at: At,
}

/// The value of a key, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`, with its position.
    Switch(bool, At),
    /// A word, a string, or a number as text.
    Text(Text),
    /// A list of strings, with the position of the whole list.
    List(Vec<Text>, At),
    /// A table of strings: names or paths with their values.
    Map(Vec<(Text, Text)>),
}

/// A setting: a key and its value.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The key in the table [`schema::KEYS`].
    pub key: &'static Key,
    /// The value of the key.
    pub value: Value,
    /// Position of the key's name.
    pub at: At,
}

/// One file's settings, in the order of the text.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// The settings that could be read.
    pub settings: Vec<Setting>,
    /// Index of the file in [`Sources`].
    pub source: usize,
    /// This is a project's file (`.sbx.toml`), which may only tighten.
    pub project: bool,
    /// The text is not valid TOML, so a setting that seems to be missing may have been written.
    pub torn: bool,
}

impl Document {
    /// Reads the source with this index. Settings that cannot be read are left out and reported in `errors`.
    pub fn parse(sources: &Sources, source: usize, errors: &mut Vec<Diagnostic>) -> Document {
        let text = sources.get(source).map_or("", |source| source.text.as_str());
        let (table, wrong) = DeTable::parse_recoverable(text);
        let torn = !wrong.is_empty();
        let mut reader = Reader { source, errors, settings: Vec::new() };
        for error in wrong {
            let span = error.span().unwrap_or(0..0);
            let message = error.message().lines().next().unwrap_or_default().to_owned();
            reader.errors.push(Diagnostic::at(&At { source, span }, format!("this is not TOML: {message}")));
        }
        reader.table("", table.get_ref());
        Document { settings: reader.settings, source, project: false, torn }
    }

    /// The names in maps, and the items of lists.
    pub fn texts(&mut self) -> impl Iterator<Item = &mut Text> {
        self.settings.iter_mut().flat_map(|setting| match &mut setting.value {
            Value::List(list, _) => list.iter_mut().collect(),
            Value::Map(map) => map.iter_mut().map(|(name, _)| name).collect(),
            Value::Switch(..) | Value::Text(_) => Vec::new(),
        })
    }

    /// The setting of the key with this full name, if the file has it.
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key.name == name)
    }
}

struct Reader<'a> {
    source: usize,
    errors: &'a mut Vec<Diagnostic>,
    settings: Vec<Setting>,
}

impl Reader<'_> {
    fn at(&self, span: Range<usize>) -> At {
        At { source: self.source, span }
    }

    fn error(&mut self, span: Range<usize>, message: String, help: Option<String>) {
        let at = self.at(span);
        self.errors.push(Diagnostic { message, at: Some(at), help });
    }

    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table.iter() {
            let full =
                if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
            if let Some(key) = schema::find(&full) {
                if let Some(read) = self.value(key, value) {
                    let at = self.at(name.span());
                    self.settings.push(Setting { key, value: read, at });
                }
            } else if schema::is_table(&full) {
                match value.get_ref() {
                    DeValue::Table(inner) => self.table(&full, inner),
                    other => {
                        let message = format!("`{full}` is a table, not {}", article(other.type_str()));
                        let inside = schema::names_in(&full).join(", ");
                        self.error(value.span(), message, Some(format!("write `[{full}]` and below it: {inside}")));
                    }
                }
            } else {
                self.unknown(prefix, &full, name);
            }
        }
    }

    fn unknown(&mut self, prefix: &str, full: &str, name: &Spanned<toml::de::DeString<'_>>) {
        let known = schema::names_in(prefix);
        let elsewhere = schema::KEYS.iter().find(|key| key.name.rsplit('.').next() == Some(name.get_ref()));
        let help = if let Some(near) = schema::nearest(name.get_ref(), known.iter().copied()) {
            let near = if prefix.is_empty() { near.to_owned() } else { format!("{prefix}.{near}") };
            format!("did you mean `{near}`?")
        } else if let Some(key) = elsewhere {
            format!("there is a key `{}`", key.name)
        } else if prefix.is_empty() {
            format!("known at the top level: {}", known.join(", "))
        } else {
            format!("known in [{prefix}]: {}", known.join(", "))
        };
        self.error(name.span(), format!("unknown key `{full}`"), Some(help));
    }

    fn value(&mut self, key: &'static Key, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        match key.kind {
            Kind::Switch => match value.get_ref() {
                DeValue::Boolean(on) => Some(Value::Switch(*on, self.at(value.span()))),
                _ => self.wrong(key, value, "true or false"),
            },
            Kind::SwitchOr(words) => match value.get_ref() {
                DeValue::Boolean(on) => Some(Value::Switch(*on, self.at(value.span()))),
                DeValue::String(_) => {
                    let text = self.text(key, value)?;
                    self.word(key, &text, &text.text, words).then_some(Value::Text(text))
                }
                _ => self.wrong(key, value, "true, false or a word"),
            },
            Kind::Word(words) => {
                let text = self.text(key, value)?;
                self.word(key, &text, &text.text, words).then_some(Value::Text(text))
            }
            Kind::WordOr(words, other) => {
                let text = self.text(key, value)?;
                let good =
                    other.iter().any(|other| text.text.starts_with(other)) || self.word(key, &text, &text.text, words);
                good.then_some(Value::Text(text))
            }
            Kind::Text => self.text(key, value).map(Value::Text),
            Kind::Number => match value.get_ref() {
                DeValue::Integer(number) => {
                    let text = number.as_str().replace('_', "");
                    Some(Value::Text(Text { text, at: self.at(value.span()) }))
                }
                DeValue::String(_) if key.name != "schema" => self.text(key, value).map(Value::Text),
                _ => self.wrong(key, value, "a number"),
            },
            Kind::Stack if matches!(value.get_ref(), DeValue::String(_)) => self.text(key, value).map(Value::Text),
            Kind::Argv | Kind::List | Kind::Stack => {
                self.list(key, value).map(|list| Value::List(list, self.at(value.span())))
            }
            Kind::Ports => {
                let DeValue::Array(items) = value.get_ref() else {
                    return self.wrong(key, value, "a list of ports, in brackets");
                };
                let list: Vec<_> = items
                    .iter()
                    .filter_map(|item| match item.get_ref() {
                        DeValue::Integer(number) => {
                            Some(Text { text: number.as_str().replace('_', ""), at: self.at(item.span()) })
                        }
                        DeValue::String(_) => self.text(key, item),
                        _ => self.wrong_as(key, &format!("an item of `{}`", key.name), item, "a number or a string"),
                    })
                    .collect();
                (list.len() == items.iter().count()).then(|| Value::List(list, self.at(value.span())))
            }
            Kind::Words(words) => {
                let list = self.list(key, value)?;
                let mut good = true;
                for item in &list {
                    let word = item.text.strip_prefix('!').unwrap_or(&item.text);
                    let word = word.split(',').next().unwrap_or(word);
                    good &= self.word(key, item, word, words);
                }
                good.then(|| Value::List(list, self.at(value.span())))
            }
            Kind::Map | Kind::Paths => {
                let DeValue::Table(table) = value.get_ref() else {
                    return self.wrong(key, value, "a table of strings");
                };
                let mut map = Vec::new();
                for (name, value) in table.iter() {
                    let full = || format!("`{}.{}`", key.name, as_key(name.get_ref()));
                    if let Some(text) = self.string(key, &full, value) {
                        let name = Text { text: name.get_ref().to_string(), at: self.at(name.span()) };
                        map.push((name, text));
                    }
                }
                Some(Value::Map(map))
            }
        }
    }

    fn list(&mut self, key: &'static Key, value: &Spanned<DeValue<'_>>) -> Option<Vec<Text>> {
        let DeValue::Array(items) = value.get_ref() else {
            return self.wrong(key, value, "a list of strings, in brackets");
        };
        let item_of = || format!("an item of `{}`", key.name);
        let list: Vec<_> = items.iter().filter_map(|item| self.string(key, &item_of, item)).collect();
        (list.len() == items.iter().count()).then_some(list)
    }

    fn text(&mut self, key: &'static Key, value: &Spanned<DeValue<'_>>) -> Option<Text> {
        self.string(key, &|| format!("`{}`", key.name), value)
    }

    /// The string that is a key's value, or one of them: `what` says which in an error.
    fn string(&mut self, key: &'static Key, what: &dyn Fn() -> String, value: &Spanned<DeValue<'_>>) -> Option<Text> {
        let DeValue::String(text) = value.get_ref() else { return self.wrong_as(key, &what(), value, "a string") };
        if text.contains('\0') {
            self.error(value.span(), format!("{} holds a NUL byte", what()), Some("take it out".into()));
            return None;
        }
        Some(Text { text: text.to_string(), at: self.at(value.span()) })
    }

    fn word(&mut self, key: &Key, text: &Text, word: &str, words: &[&str]) -> bool {
        if words.contains(&word) {
            return true;
        }
        let switch = if let Kind::SwitchOr(_) = key.kind { "true, false, " } else { "" };
        let gone = schema::GONE.iter().find(|(name, gone, _)| *name == key.name && *gone == word);
        let help = match schema::nearest(word, words.iter().copied()) {
            _ if gone.is_some() => gone.map_or_else(String::new, |(_, _, instead)| (*instead).to_owned()),
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it takes: {switch}{}{}", words.join(", "), forms(key)),
        };
        self.error(text.at.span.clone(), format!("`{}` does not know `{word}`", key.name), Some(help));
        false
    }

    fn wrong<T>(&mut self, key: &Key, value: &Spanned<DeValue<'_>>, wanted: &str) -> Option<T> {
        self.wrong_as(key, &format!("`{}`", key.name), value, wanted)
    }

    fn wrong_as<T>(&mut self, key: &Key, what: &str, value: &Spanned<DeValue<'_>>, wanted: &str) -> Option<T> {
        let found = article(value.get_ref().type_str());
        let form = match key.kind {
            Kind::Switch | Kind::SwitchOr(_) => "true".to_owned(),
            Kind::Word(words) | Kind::WordOr(words, _) => format!("{:?}", words.first().unwrap_or(&"")),
            Kind::Words(words) => format!("{:?}", words.get(..words.len().min(2)).unwrap_or_default()),
            Kind::Stack => "\"host\"".to_owned(),
            Kind::Argv => "[\"ls\", \"-l\"]".to_owned(),
            Kind::List => "[\"a\", \"b\"]".to_owned(),
            Kind::Ports => "[5432]".to_owned(),
            Kind::Map => "{ NAME = \"value\" }".to_owned(),
            Kind::Paths => "{ \"/path\" = \"ro\" }".to_owned(),
            Kind::Number => "1".to_owned(),
            Kind::Text => "\"...\"".to_owned(),
        };
        let last = key.name.rsplit('.').next().unwrap_or(key.name);
        let help = format!("write for example `{last} = {form}`: {}", key.doc);
        self.error(
            value.span(),
            format!("{what} {} {wanted}, not {found}", if what.starts_with('`') { "takes" } else { "is" }),
            Some(help),
        );
        None
    }
}

/// A name as it is written as a key of TOML.
fn as_key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { format!("{name:?}") }
}

/// What a key takes besides words, as a part of their list.
fn forms(key: &Key) -> String {
    let Kind::WordOr(_, starts) = key.kind else { return String::new() };
    // `join:` is followed by a number, and all others by names.
    starts.iter().map(|start| format!(", {start}{}", if *start == "join:" { "PID" } else { "NAME" })).collect()
}

fn article(noun: &str) -> String {
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {noun}", if vowel { "an" } else { "a" })
}
