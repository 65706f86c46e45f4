//! Merges layers into one: a scalar of the later layer wins, maps merge by key, lists unite, `"!item"` removes an item.

use super::document::{Document, Text, Value};
use super::schema::{self, Key, Kind};
use super::source::At;
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, HashMap};

/// The settings of all layers applied so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merged {
    settings: BTreeMap<&'static str, (&'static Key, Value)>,
    /// Rules for paths that rules of later layers have replaced.
    replaced: Vec<(Text, Text)>,
    /// The sources of the layers, in the order in which they were applied. A file is read before those that it extends, which are applied
    /// before it, so that the indices of sources do not tell which layer is the later one.
    layers: Vec<usize>,
}

impl Merged {
    /// Applies a layer on top of those before it.
    pub fn apply(&mut self, document: Document) {
        self.layers.push(document.source);
        for setting in document.settings {
            let name = setting.key.name;
            let value = match (setting.key.kind, self.settings.remove(name).map(|(_, old)| old), setting.value) {
                (Kind::List | Kind::Ports | Kind::Words(_), Some(Value::List(old, _)), Value::List(new, at)) => {
                    Value::List(unite(old, new, has_options(setting.key)), at)
                }
                (Kind::List | Kind::Ports | Kind::Words(_), None, Value::List(new, at)) => {
                    Value::List(unite(Vec::new(), new, has_options(setting.key)), at)
                }
                // Keep the other layers' rule for the same path: the planner judges the project's rule against it.
                (Kind::Paths, Some(Value::Map(mut old)), Value::Map(new)) if document.project => {
                    old.extend(new.into_iter().filter(|(_, value)| value.text != "!"));
                    Value::Map(old)
                }
                (Kind::Map | Kind::Paths, Some(Value::Map(old)), Value::Map(new)) => {
                    let (all, replaced) = join(old, new, setting.key.kind == Kind::Paths);
                    self.replaced.extend(replaced);
                    Value::Map(all)
                }
                (Kind::Paths, None, Value::Map(new)) => Value::Map(join(Vec::new(), new, true).0),
                (_, _, new) => new,
            };
            self.settings.insert(name, (setting.key, value));
        }
    }

    /// Whether what is at one place is of a later layer than what is at another.
    pub fn is_later(&self, one: &At, other: &At) -> bool {
        let rank = |at: &At| self.layers.iter().position(|source| *source == at.source);
        rank(one) > rank(other)
    }

    /// All settings, sorted by the full name of the key.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Key, &Value)> {
        self.settings.values().map(|(key, value)| (*key, value))
    }

    /// The value of the key with this full name, if a layer sets it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        debug_assert!(schema::find(name).is_some(), "{name} is no key");
        self.settings.get(name).map(|(_, value)| value)
    }

    /// The value of a key that holds a word, a string or a number, if a layer sets it.
    pub fn text(&self, name: &str) -> Option<&Text> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a switch; off if no layer sets it.
    pub fn switch(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Switch(true, _)))
    }

    /// The value of a list; empty if no layer sets it.
    pub fn list(&self, name: &str) -> &[Text] {
        match self.get(name) {
            Some(Value::List(list, _)) => list,
            _ => &[],
        }
    }

    /// The rules for paths that rules of later layers, for the same text, have replaced; not those that were taken away.
    pub fn replaced(&self) -> &[(Text, Text)] {
        &self.replaced
    }

    /// The value of a map; empty if no layer sets it.
    pub fn map(&self, name: &str) -> &[(Text, Text)] {
        match self.get(name) {
            Some(Value::Map(map)) => map,
            _ => &[],
        }
    }
}

/// Whether the items of a list have options. Those of others, such as paths, may hold commas.
fn has_options(key: &Key) -> bool {
    matches!(key.kind, Kind::Words(_)) || key.name == "devices.allow"
}

/// A list's item without its options, if it has any: `camera,optional` and `camera` are the same item.
fn item(text: &str, options: bool) -> &str {
    if options { text.split(',').next().unwrap_or(text) } else { text }
}

/// The items of both lists: of two that are the same, the later one, at the later place.
fn unite(list: Vec<Text>, new: Vec<Text>, options: bool) -> Vec<Text> {
    // By item, whether it is there and at which place: a list may have thousands.
    let mut last: HashMap<&str, Option<usize>, RandomState> = HashMap::default();
    for (at, text) in list.iter().chain(&new).enumerate() {
        match text.text.strip_prefix('!') {
            Some(gone) => last.insert(item(gone, options), None),
            None => last.insert(item(&text.text, options), Some(at)),
        };
    }
    let mut places: Vec<usize> = last.into_values().flatten().collect();
    places.sort_unstable();
    let mut places = places.into_iter().peekable();
    let mut all = list.into_iter().chain(new).enumerate().collect::<Vec<_>>();
    all.retain(|(at, _)| places.next_if_eq(at).is_some());
    all.into_iter().map(|(_, text)| text).collect()
}

/// The names of a map with their values.
type Entries = Vec<(Text, Text)>;

/// Up to how many names comparing each takes less than hashing those of the other map.
const FEW: usize = 8;

/// The entries of both maps, and, if entries are `removable`, those that later ones with another value than `!` have replaced.
fn join(mut map: Entries, new: Entries, removable: bool) -> (Entries, Entries) {
    let mut replaced = Vec::new();
    let gone = |value: &Text| removable && value.text == "!";
    if map.is_empty() {
        let mut new = new;
        new.retain(|(_, value)| !gone(value));
        return (new, replaced);
    }
    if !new.is_empty() {
        let few = new.len() <= FEW;
        let names: HashMap<&str, bool, RandomState> = match few {
            true => HashMap::default(),
            false => new.iter().map(|(name, value)| (name.text.as_str(), gone(value))).collect(),
        };
        // Whether the new value of a name takes the old one away; none if there is no new value.
        let found = |old: &str| match few {
            true => new.iter().rev().find(|(name, _)| name.text == old).map(|(_, value)| gone(value)),
            false => names.get(old).copied(),
        };
        replaced = map.extract_if(.., |(old, _)| found(&old.text).is_some()).collect();
        replaced.retain(|(old, _)| removable && found(&old.text) == Some(false));
    }
    map.extend(new.into_iter().filter(|(_, value)| !gone(value)));
    (map, replaced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(words: &[&str]) -> Vec<Text> {
        words.iter().map(|word| Text { text: (*word).to_owned(), at: At { source: 0, span: 0..0 } }).collect()
    }

    /// What uniting is, one item after the other.
    fn one_by_one(mut list: Vec<Text>, new: Vec<Text>, options: bool) -> Vec<Text> {
        let item = |text: &str| item(text, options).to_owned();
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

    proptest! {
        #[test]
        fn lists_unite_as_if_one_item_came_after_the_other(
            old in proptest::collection::vec(prop::sample::select(vec!["a", "b", "a,x", "c,y", "c", "!a", "!c,z"]), 0..8),
            new in proptest::collection::vec(prop::sample::select(vec!["a", "b", "a,x", "c,y", "c", "!a", "!c,z", "!"]), 0..8),
        ) {
            for options in [true, false] {
                let old = one_by_one(Vec::new(), texts(&old), options);
                prop_assert_eq!(unite(old.clone(), texts(&new), options), one_by_one(old, texts(&new), options));
            }
        }
    }
}
