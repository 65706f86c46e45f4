//! A profile of any bytes: no panic on the way from text to plan, and every error can be shown.
//!
//!     cargo +nightly fuzz run --sanitizer none profile fuzz/corpus profiles profiles/base

#![no_main]

use libfuzzer_sys::fuzz_target;
use sbx::host::Facts;
use sbx::profile::{Failed, Loader, Merged, Vars};
use sbx::{plan, spec};

fuzz_target!(|text: &str| {
    let mut vars = Vars::default();
    for (name, value) in [("HOME", "/home/u"), ("CWD", "/home/u/w"), ("UID", "1000"), ("USER", "u")] {
        vars.names.insert(name.into(), value.into());
    }
    let mut loader = Loader::new(Vec::new());
    let mut merged = Merged::default();
    loader.profile("base/host").iter().for_each(|layer| merged.apply(layer));
    let below = merged.clone();
    let view = spec::build::sandbox(&merged, &loader.sources, &vars).unwrap_or_default().filesystem;
    let document = loader.text("fuzz.toml", text);
    let loosened = spec::project::loosened(&below, &view, &document, &vars);
    merged.apply(&document);
    let mut diagnostics = loader.errors.clone();
    diagnostics.extend(loosened);
    match spec::build::sandbox(&merged, &loader.sources, &vars) {
        Ok(sandbox) => {
            let facts = Facts { uid: 1000, gid: 1000, kernel: (6, 1), home: "/home/u".into(), ..Facts::default() };
            if let Ok(plan) = plan::plan(&sandbox, &facts) {
                let _ = plan::text(&plan);
            }
        }
        Err(errors) => diagnostics.extend(errors),
    }
    let _ = Failed { diagnostics, sources: loader.sources.clone() }.render(false);
});
