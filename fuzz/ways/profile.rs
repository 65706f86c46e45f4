//! A profile of any text: no panic on the way to a plan, and every error has its place in the text.

use sbx::host::Facts;
use sbx::plan;
use sbx::profile::{Failed, Loader, Merged, Vars, project, resolve};

fn vars() -> Vars {
    let mut vars = Vars { cwd: "/home/u/w".into(), ..Vars::default() };
    for (name, value) in [("HOME", "/home/u"), ("CWD", "/home/u/w"), ("UID", "1000"), ("USER", "u")] {
        vars.names.insert(name.into(), value.into());
    }
    vars
}

/// The whole way; gives how many errors there were.
pub fn way(text: &str) -> usize {
    let vars = vars();
    let mut loader = Loader::new(Vec::new());
    let mut merged = Merged::default();
    loader.profile("base/host").into_iter().for_each(|layer| merged.apply(layer));
    let mut document = loader.text("any.toml", text);
    let mut diagnostics = loader.errors.clone();
    diagnostics.extend(project::loosened(&merged, &document, &Default::default()));
    document.project = text.len().is_multiple_of(2);
    if document.project {
        let above = text.len().is_multiple_of(4).then(|| "/home/u".into());
        loader.sources.mark_project(document.source, above);
    }
    merged.apply(document);
    match resolve::sandbox(&merged, &loader.sources, &vars) {
        Ok(sandbox) => {
            let facts = Facts { uid: 1000, gid: 1000, kernel: (6, 1), home: "/home/u".into(), ..Facts::default() };
            if let Ok(plan) = plan::plan(&sandbox, &facts) {
                let _ = (plan::text(&plan), plan::receipt(&sandbox, &plan));
            }
        }
        Err(errors) => diagnostics.extend(errors),
    }
    for diagnostic in &diagnostics {
        let at = diagnostic.at.as_ref().expect("a place");
        let source = loader.sources.get(at.source).expect("a source");
        assert!(at.span.start <= at.span.end && at.span.end <= source.text.len(), "{diagnostic:?}");
    }
    let count = diagnostics.len();
    let shown = Failed { diagnostics, sources: loader.sources.clone() }.render(false);
    assert_eq!(shown.is_empty(), count == 0);
    count
}
