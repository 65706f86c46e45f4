//! What is recorded of upper layers, beside the layers themselves.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The version of the format.
const VERSION: u32 = 1;

/// A line of a map of ids: first id inside, first id outside, count.
pub type Extent = (u32, u32, u32);

/// The maps of user and group ids that files of a layer were written under (user_namespaces(7)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Ids {
    /// Lines of uid_map.
    pub uids: Vec<Extent>,
    /// Lines of gid_map.
    pub gids: Vec<Extent>,
}

impl Ids {
    /// Whether one user and one group are mapped, which are then the caller's.
    pub fn is_single(&self) -> bool {
        let single = |map: &[Extent]| matches!(map, [(_, _, 1)]);
        single(&self.uids) && single(&self.gids)
    }

    /// The word of `process.user` for these maps, made by the user with this id.
    pub fn word(&self, caller: u32) -> &'static str {
        let own = self.uids.iter().find(|(_, outside, count)| (*outside, *count) == (caller, 1));
        match own.map(|(inside, _, _)| *inside) {
            Some(0) if !self.is_single() => "range",
            Some(0) if caller != 0 => "root",
            Some(_) if !self.is_single() => "keep-id",
            Some(inside) if inside != caller => "UID:GID",
            Some(_) => "self",
            // Root maps all ids as they are.
            None => "range",
        }
    }
}

/// One overlay: its path inside, and its directories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Path inside.
    pub path: PathBuf,
    /// Directories of the host that it lies over, the topmost first.
    pub lower: Vec<PathBuf>,
    /// Layers between these and the upper one, the topmost first: names of directories in the store's `frozen`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frozen: Vec<String>,
    /// Paths inside of the view's own files: what a program makes of these is no change of the host's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own: Vec<PathBuf>,
    /// Which directory the topmost of `lower` was when the layer was made, as a mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// When the layer was made, or everything in it was last put onto the host: the last time that changes of the host's files have
    /// which were made before. Nanoseconds since 1970.
    pub made: u64,
    /// When the runs started that used the layer: the first time that changes of the host's files have which were made later. Nanoseconds
    /// since 1970.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<u64>,
    /// In some run it lay over the view server's filesystem.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub served: bool,
}

/// What is recorded of upper layers of one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Version of this format.
    pub version: u32,
    /// The ids of the sandbox.
    pub ids: Ids,
    /// When a sandbox last used them: milliseconds since 1970.
    pub used: u64,
    /// The layers; the directory of the Nth is named N, from 0 on.
    pub layers: Vec<Layer>,
    /// Files of the host that the profiles of the sandboxes were read from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<PathBuf>,
}

impl State {
    /// The state of new upper layers.
    pub fn new(ids: Ids) -> State {
        State { version: VERSION, ids, used: 0, layers: Vec::new(), profiles: Vec::new() }
    }

    /// Reads a state. The error says what is wrong with the text.
    pub fn parse(text: &str) -> Result<State, String> {
        let state: State = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if state.version != VERSION {
            return Err(format!("its version is {}, and this sbx knows {VERSION}", state.version));
        }
        let plain = |name: &String| super::check_name(name).is_ok();
        for layer in &state.layers {
            if !layer.path.is_absolute() || layer.lower.is_empty() || !layer.lower.iter().all(|dir| dir.is_absolute()) {
                return Err("a path in it is not absolute".into());
            }
            if !layer.frozen.iter().all(plain) {
                return Err("the name of a layer in it is none".into());
            }
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_as_it_was_written_and_no_other_is() {
        let mut state = State::new(Ids { uids: vec![(0, 1000, 1)], gids: vec![(0, 1000, 1)] });
        let layer = Layer {
            path: "/p".into(),
            lower: vec!["/l".into()],
            frozen: vec!["a".into()],
            own: vec!["/p/o".into()],
            root: Some("1 2 -".into()),
            made: 7,
            runs: vec![8],
            served: true,
        };
        state.layers.push(layer);
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(State::parse(&text), Ok(state));
        for wrong in [
            text.replace("\"version\":1", "\"version\":2"),
            text.replace("/p", "p"),
            text.replace("\"a\"", "\"../a\""),
            text.replace("\"used\"", "\"other\""),
            "{".into(),
        ] {
            assert!(State::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
