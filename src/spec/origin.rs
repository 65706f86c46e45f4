//! The lines and flags that settings come from.

use serde::Serialize;
use std::collections::BTreeMap;

/// The line or flag that a setting comes from, as `file:line` or `--flag`; empty for sbx's own defaults.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Default)]
pub struct Origin(pub String);

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Origins of settings without an [`Origin`] of their own, by key, and for lists and maps also by item.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origins(BTreeMap<(&'static str, String), Origin>);

impl Origins {
    /// Records the origin of a key's item; `item` is `""` for a key that is neither a list nor a map.
    pub fn insert(&mut self, key: &'static str, item: &str, origin: Origin) {
        self.0.insert((key, item.to_owned()), origin);
    }

    /// The origin of a key's item (`""` for a key that is neither a list nor a map); empty if none is recorded.
    pub fn of(&self, key: &'static str, item: &str) -> Origin {
        self.0.get(&(key, item.to_owned())).cloned().unwrap_or_default()
    }
}
