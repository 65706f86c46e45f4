//! Files of one folder do not import each other in circles: each of them can be read, and changed, with what stands below it alone.
//!
//! A file uses another if it names something that is defined there, be it by way of a `pub use` of the folder's `mod.rs`. A folder in the
//! folder counts as one file. Unit tests do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Circles that there still are: a folder, and the files of it that use each other. None may be added; a line whose circle has been
/// dissolved has to go.
const ALLOWED: &[(&str, &[&str])] = &[
    ("launch", &["cgroup", "events"]),
    ("launch/prepare", &["descriptors", "lockdown", "mod", "namespaces", "process"]),
    (
        "selftest/probes",
        &[
            "descriptors",
            "desktop",
            "devices",
            "files",
            "host_files",
            "ipc",
            "kernel",
            "limits",
            "mod",
            "mounts",
            "names",
            "namespaces",
            "near",
            "nested",
            "network",
            "proc",
            "processes",
            "rights",
            "services",
            "sound",
        ],
    ),
];

/// A module: where its text is, and what it has from others by `use`.
#[derive(Default)]
struct Module {
    /// Its file below src, without the ending; `a/b/mod` for a folder.
    file: String,
    /// The text, without comments and unit tests.
    text: String,
    /// Names that it has from elsewhere, with their full paths.
    imports: BTreeMap<String, Vec<String>>,
    /// Of those, what others may have from it.
    exports: BTreeSet<String>,
}

/// All modules by their full paths, `["plan", "ids"]`; the crate's root is the empty path.
type Modules = BTreeMap<Vec<String>, Module>;

fn read(dir: &Path, path: &[String], modules: &mut Modules) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let file = entry.path();
        let stem = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let inner: Vec<String> = path.iter().cloned().chain([stem.clone()]).collect();
        if file.is_dir() && stem != "bin" {
            read(&file, &inner, modules);
        } else if file.extension().is_some_and(|ending| ending == "rs") && !["tests", "main"].contains(&stem.as_str()) {
            let name = if ["mod", "lib"].contains(&stem.as_str()) { path.to_vec() } else { inner };
            let text = std::fs::read_to_string(&file).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            let lines: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            let file = path.iter().cloned().chain([stem]).collect::<Vec<_>>().join("/");
            modules.insert(name, Module { file, text: lines.join("\n"), ..Module::default() });
        }
    }
}

/// The paths of a `use` tree: `a::{b, c as d}` is `a::b` and `a::c`, with the names that they get.
fn leaves(tree: &str, prefix: &[String], found: &mut Vec<(String, Vec<String>)>) {
    let tree = tree.trim();
    let path = |text: &str| prefix.iter().cloned().chain(text.split("::").map(|part| part.trim().to_owned())).collect();
    if let Some((before, inside)) = tree.split_once('{') {
        let inside = inside.rsplit_once('}').map_or(inside, |(inside, _)| inside);
        let before: Vec<String> = match before.trim_end().strip_suffix("::") {
            Some(before) => path(before),
            None => prefix.to_vec(),
        };
        let (mut depth, mut start) = (0, 0);
        for (at, c) in inside.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    leaves(&inside[start..at], &before, found);
                    start = at + 1;
                }
                _ => {}
            }
        }
        leaves(&inside[start..], &before, found);
    } else if !tree.is_empty() {
        let (tree, name) = tree.split_once(" as ").map_or((tree, None), |(tree, name)| (tree, Some(name.trim())));
        let mut path: Vec<String> = path(tree);
        if path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        found.push((name.map_or_else(|| path.last().unwrap().clone(), str::to_owned), path));
    }
}

/// A path as it is written in a module, from the crate's root; none for other crates.
fn absolute(written: &[String], module: &[String], modules: &Modules) -> Option<Vec<String>> {
    let mut base = module.to_vec();
    let mut rest = written;
    match rest.first()?.as_str() {
        "crate" => (base, rest) = (Vec::new(), &rest[1..]),
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|part| part == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        first => {
            let inner: Vec<String> = base.iter().cloned().chain([first.to_owned()]).collect();
            if !modules.contains_key(&inner) {
                let imported = modules.get(module)?.imports.get(first)?;
                return Some(imported.iter().cloned().chain(rest[1..].iter().cloned()).collect());
            }
        }
    }
    Some(base.into_iter().chain(rest.iter().cloned()).collect())
}

/// The module that defines what a full path names.
fn definer(path: &[String], modules: &Modules, depth: u32) -> Option<Vec<String>> {
    let mut module = Vec::new();
    for (at, part) in path.iter().enumerate() {
        let inner: Vec<String> = module.iter().cloned().chain([part.clone()]).collect();
        if modules.contains_key(&inner) {
            module = inner;
            continue;
        }
        let here = modules.get(&module)?;
        if here.exports.contains(part) && depth < 8 {
            let onwards: Vec<String> =
                here.imports[part].iter().cloned().chain(path[at + 1..].iter().cloned()).collect();
            return definer(&onwards, modules, depth + 1);
        }
        break;
    }
    Some(module)
}

/// Every path that a text names: after `use`, and in the code.
fn named(text: &str, modules: &Modules, module: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    for part in text.split(|c: char| !word(c)).filter(|part| part.contains("::")) {
        let path: Vec<String> = part.split("::").map(str::to_owned).filter(|part| !part.is_empty()).collect();
        found.extend(absolute(&path, module, modules));
    }
    found
}

/// The modules of src, with their imports resolved, and which uses which.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let src = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("src");
    let mut modules = Modules::new();
    read(&src, &[], &mut modules);
    let mut codes = BTreeMap::new();
    for path in modules.keys().cloned().collect::<Vec<_>>() {
        let mut code = String::new();
        let mut imports = Vec::new();
        for statement in modules[&path].text.split_inclusive(';') {
            let mut lines = statement.trim_start();
            while lines.starts_with("#[") || lines.starts_with("#![") {
                lines = lines.split_once('\n').map_or("", |(_, rest)| rest.trim_start());
            }
            let (public, tree) = match lines.strip_prefix("pub") {
                Some(rest) => (true, rest.trim_start_matches(|c: char| c != ' ').trim_start()),
                None => (false, lines),
            };
            match tree.strip_prefix("use ").and_then(|tree| tree.strip_suffix(';')) {
                Some(tree) => {
                    let mut found = Vec::new();
                    leaves(tree, &[], &mut found);
                    imports.extend(found.into_iter().map(|(name, written)| (public, name, written)));
                }
                None => code.push_str(statement),
            }
        }
        for (public, name, written) in imports {
            let Some(full) = absolute(&written, &path, &modules) else { continue };
            let module = modules.get_mut(&path).unwrap();
            if public {
                module.exports.insert(name.clone());
            }
            module.imports.insert(name, full);
        }
        codes.insert(path, code);
    }
    let mut graph = BTreeMap::new();
    for (path, module) in &modules {
        let mut paths = named(&codes[path], &modules, path);
        paths.extend(
            module.imports.iter().filter(|(name, _)| !module.exports.contains(*name)).map(|(_, full)| full.clone()),
        );
        // A module that is named as such, as in `pub(in crate::a)`, is not used by that.
        let items = paths.iter().filter(|path| !modules.contains_key(*path));
        let to = items.filter_map(|path| definer(path, &modules, 0)).map(|path| modules[&path].file.clone());
        let to: BTreeSet<String> = to.filter(|file| *file != module.file).collect();
        graph.insert(module.file.clone(), to);
    }
    graph
}

/// What lies in a folder as seen from it: `b` of `a/b` and of `a/b/c`.
fn within(folder: &str, file: &str) -> Option<String> {
    let rest = if folder.is_empty() { file } else { file.strip_prefix(folder)?.strip_prefix('/')? };
    Some(rest.split('/').next().unwrap().to_owned())
}

/// All that can be reached from a node.
fn reached(from: &str, graph: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(node) = open.pop() {
        for next in graph.get(&node).into_iter().flatten() {
            if seen.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    seen
}

#[test]
fn files_of_a_folder_do_not_use_each_other_in_circles() {
    let uses = uses();
    let folders: BTreeSet<String> = uses.keys().filter_map(|file| Some(file.rsplit_once('/')?.0.to_owned())).collect();
    let mut circles = Vec::new();
    for folder in folders {
        let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (file, others) in &uses {
            let Some(from) = within(&folder, file) else { continue };
            let others = others.iter().filter_map(|other| within(&folder, other)).filter(|other| *other != from);
            graph.entry(from.clone()).or_default().extend(others);
        }
        let mut done = BTreeSet::new();
        for node in graph.keys() {
            let circle: BTreeSet<String> =
                reached(node, &graph).into_iter().filter(|other| reached(other, &graph).contains(node)).collect();
            if circle.len() > 1 && done.insert(circle.clone()) {
                circles.push((folder.clone(), circle));
            }
        }
    }
    let allowed: Vec<_> = ALLOWED
        .iter()
        .map(|(folder, files)| ((*folder).to_owned(), files.iter().map(|file| (*file).to_owned()).collect()))
        .collect();
    let news: Vec<_> = circles.iter().filter(|circle| !allowed.contains(circle)).collect();
    let mut arrows = String::new();
    for (folder, circle) in &news {
        let among = |file: &str| within(folder, file).filter(|name| circle.contains(name));
        for (file, others) in &uses {
            for other in others
                .iter()
                .filter(|other| among(file).is_some() && among(other).is_some() && among(file) != among(other))
            {
                arrows.push_str(&format!("{file} uses {other}\n"));
            }
        }
    }
    assert!(news.is_empty(), "new circles, or other files in them: {news:?}\n{arrows}");
    let gone: Vec<_> = allowed.iter().filter(|circle| !circles.contains(circle)).collect();
    assert!(gone.is_empty(), "no longer circles: {gone:?}");
}

#[test]
fn what_is_named_is_found_where_it_is_defined() {
    let uses = uses();
    let of = |file: &str| &uses[file];
    assert!(of("cli/run").contains("cli/layers"), "by super");
    assert!(of("plan/receipt").contains("plan/note"), "by its own path");
    assert!(of("bwrap/wording").contains("child/report"), "by a re-export");
    assert!(!of("plan/mod").is_empty() && of("profile/nearest").is_empty());
}
