//! Layers joined into one: a scalar of the later layer wins, maps merge by key, lists unite, `"!item"` takes away.

use super::document::{Document, Text, Value};
use super::schema::{self, Key, Kind};
use std::collections::{BTreeMap, BTreeSet};

/// Settings after all layers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merged {
    settings: BTreeMap<&'static str, (&'static Key, Value)>,
}

impl Merged {
    /// Puts a layer on top.
    pub fn apply(&mut self, document: &Document) {
        for setting in &document.settings {
            let name = setting.key.name;
            let value = match (setting.key.kind, self.settings.remove(name).map(|(_, old)| old), setting.value.clone())
            {
                (Kind::List | Kind::Words(_), Some(Value::List(old, _)), Value::List(new, at)) => {
                    Value::List(unite(old, new), at)
                }
                (Kind::List | Kind::Words(_), None, Value::List(new, at)) => Value::List(unite(Vec::new(), new), at),
                // What a project's file says of a path is judged by what the others say of it, which must not be lost.
                (Kind::Paths, Some(Value::Map(mut old)), Value::Map(new)) if document.project => {
                    old.extend(new.into_iter().filter(|(_, value)| value.text != "!"));
                    Value::Map(old)
                }
                (Kind::Map | Kind::Paths, Some(Value::Map(old)), Value::Map(new)) => {
                    Value::Map(join(old, new, setting.key.kind == Kind::Paths))
                }
                (Kind::Paths, None, Value::Map(new)) => Value::Map(join(Vec::new(), new, true)),
                (_, _, new) => new,
            };
            self.settings.insert(name, (setting.key, value));
        }
    }

    /// All settings, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Key, &Value)> {
        self.settings.values().map(|(key, value)| (*key, value))
    }

    /// The value of a key, if a layer has it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        debug_assert!(schema::find(name).is_some(), "{name} is no key");
        self.settings.get(name).map(|(_, value)| value)
    }

    /// A word, string or number.
    pub fn text(&self, name: &str) -> Option<&Text> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A switch; off where it is not written.
    pub fn switch(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Switch(true, _)))
    }

    /// A list; empty where it is not written.
    pub fn list(&self, name: &str) -> &[Text] {
        match self.get(name) {
            Some(Value::List(list, _)) => list,
            _ => &[],
        }
    }

    /// A map; empty where it is not written.
    pub fn map(&self, name: &str) -> &[(Text, Text)] {
        match self.get(name) {
            Some(Value::Map(map)) => map,
            _ => &[],
        }
    }
}

/// The item without its options: `camera,optional` and `camera` are the same item.
fn item(text: &str) -> &str {
    text.split(',').next().unwrap_or(text)
}

fn unite(mut list: Vec<Text>, new: Vec<Text>) -> Vec<Text> {
    for text in new {
        match text.text.strip_prefix('!') {
            Some(gone) => list.retain(|old| item(&old.text) != item(gone)),
            None => {
                list.retain(|old| item(&old.text) != item(&text.text));
                list.push(text);
            }
        }
    }
    list
}

fn join(mut map: Vec<(Text, Text)>, new: Vec<(Text, Text)>, removable: bool) -> Vec<(Text, Text)> {
    let replaced: BTreeSet<&str> = new.iter().map(|(name, _)| name.text.as_str()).collect();
    map.retain(|(old, _)| !replaced.contains(old.text.as_str()));
    map.extend(new.into_iter().filter(|(_, value)| !(removable && value.text == "!")));
    map
}
