//! Any text as a profile: no panic on the way to a plan, and every error has its place in the text. The fuzz target `profile`
//! does the same for longer.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "tests may panic")]

use proptest::prelude::*;
use sbx::host::Facts;
use sbx::profile::schema::{self, Kind};
use sbx::profile::{Failed, Loader, Merged, Vars};
use sbx::{plan, spec};

fn vars() -> Vars {
    let mut vars = Vars::default();
    for (name, value) in [("HOME", "/home/u"), ("CWD", "/home/u/w"), ("UID", "1000"), ("USER", "u")] {
        vars.names.insert(name.into(), value.into());
    }
    vars
}

/// The whole way; gives how many errors there were.
fn way(text: &str) -> usize {
    let vars = vars();
    let mut loader = Loader::new(Vec::new());
    let mut merged = Merged::default();
    loader.profile("base/host").iter().for_each(|layer| merged.apply(layer));
    let below = merged.clone();
    let view = spec::build::sandbox(&merged, &loader.sources, &vars).unwrap().filesystem;
    let document = loader.text("any.toml", text);
    let mut diagnostics = loader.errors.clone();
    diagnostics.extend(spec::project::loosened(&below, &view, &document, &vars));
    merged.apply(&document);
    match spec::build::sandbox(&merged, &loader.sources, &vars) {
        Ok(sandbox) => {
            let facts = Facts { uid: 1000, gid: 1000, kernel: (6, 1), home: "/home/u".into(), ..Facts::default() };
            if let Ok(plan) = plan::plan(&sandbox, &facts) {
                let _ = plan::text(&plan);
            }
        }
        Err(errors) => diagnostics.extend(errors),
    }
    for diagnostic in &diagnostics {
        let at = diagnostic.at.as_ref().unwrap();
        let source = loader.sources.get(at.source).unwrap();
        assert!(at.span.start <= at.span.end && at.span.end <= source.text.len(), "{diagnostic:?}");
    }
    let count = diagnostics.len();
    let shown = Failed { diagnostics, sources: loader.sources.clone() }.render(false);
    assert_eq!(shown.is_empty(), count == 0);
    count
}

/// Words that stand in profiles, and some that do not.
fn word() -> impl Strategy<Value = String> {
    let mut words: Vec<String> = [
        "/",
        "/usr",
        "~",
        "~/x",
        "${CWD}",
        "${HOME",
        "$${x}",
        "xdg-download",
        "!",
        "!net",
        "..",
        "/a/../b",
        "",
        "\\u001b",
        "1:2",
    ]
    .map(String::from)
    .into();
    for list in [schema::MODES, schema::DEVICES, schema::NAMESPACES, schema::PORTALS, schema::PATH_OPTIONS] {
        words.extend(list.iter().map(|word| (*word).to_owned()));
    }
    prop_oneof![
        prop::sample::select(words.clone()),
        (prop::sample::select(words.clone()), prop::sample::select(words)).prop_map(|(a, b)| format!("{a},{b}")),
        "[ -~]{0,12}",
        "\\PC{0,4}",
    ]
}

/// A value of the form that a key has, or of another.
fn value() -> impl Strategy<Value = String> {
    let text = || word().prop_map(|word| format!("{word:?}"));
    prop_oneof![
        text(),
        Just("true".to_owned()),
        (0u64..5_000_000_000).prop_map(|number| number.to_string()),
        prop::collection::vec(text(), 0..4).prop_map(|list| format!("[{}]", list.join(", "))),
        prop::collection::vec((text(), text()), 0..4).prop_map(|map| {
            let map: Vec<_> = map.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            format!("{{ {} }}", map.join(", "))
        }),
    ]
}

fn line() -> impl Strategy<Value = String> {
    let keys: Vec<&str> = schema::KEYS.iter().map(|key| key.name).collect();
    (prop::sample::select(keys), value()).prop_map(|(key, value)| format!("{key} = {value}\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines_of_known_keys_and_odd_values_never_panic(lines in prop::collection::vec(line(), 0..8)) {
        way(&lines.concat());
    }

    #[test]
    fn any_text_never_panics(text in "\\PC{0,60}(\n\\PC{0,40}){0,4}") {
        way(&text);
    }

    #[test]
    fn a_shipped_profile_with_a_part_cut_out_never_panics(which in 0usize..8, from in 0usize..1500, length in 0usize..40, put in "[ -~]{0,5}") {
        let (_, text) = sbx::profile::load::BUILT_IN[which % sbx::profile::load::BUILT_IN.len()];
        let from = from % text.len();
        let to = (from + length).min(text.len());
        if text.is_char_boundary(from) && text.is_char_boundary(to) {
            way(&format!("{}{put}{}", &text[..from], &text[to..]));
        }
    }
}

#[test]
fn the_strategies_reach_what_is_right_as_well() {
    assert_eq!(way("schema = 1\n[rlimits]\ncore = 0\n"), 0);
    assert!(way("schema = 1\n[rlimits]\ncore = 5\n") > 0, "a project's file may not raise a limit");
    assert!(schema::KEYS.iter().any(|key| key.kind == Kind::Paths));
}
