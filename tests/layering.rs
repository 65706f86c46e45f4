//! Arrows point downwards only, and unsafe stays in `sys`.

use std::path::{Path, PathBuf};

/// From the top to the bottom. A module may use itself and what stands below it.
const LAYERS: [&str; 10] = ["cli", "bwrap", "selftest", "launch", "child", "plan", "host", "spec", "profile", "sys"];
/// Used from everywhere.
const SHARED: [&str; 1] = ["sys"];
fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn arrows_point_downwards() {
    let src = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("src");
    let mut found = Vec::new();
    files(&src, &mut found);
    let mut wrong = Vec::new();
    for file in &found {
        let relative = file.strip_prefix(&src).unwrap();
        let layer = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let Some(own) = LAYERS.iter().position(|name| *name == layer) else { continue };
        for line in std::fs::read_to_string(file).unwrap().lines().filter(|line| !line.trim_start().starts_with("//")) {
            for part in line.split("crate::").skip(1) {
                let used: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let Some(other) = LAYERS.iter().position(|name| *name == used) else { continue };
                if other < own && !SHARED.contains(&used.as_str()) {
                    wrong.push(format!("{}: {layer} uses {used}", relative.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn unsafe_code_is_in_sys_alone() {
    let src = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("src");
    let mut found = Vec::new();
    files(&src, &mut found);
    for file in found.iter().filter(|file| !file.starts_with(src.join("sys"))) {
        let text = std::fs::read_to_string(file).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for (number, line) in code.enumerate() {
            let word = ["unsafe {", "unsafe fn", "unsafe impl"].iter().any(|word| line.contains(word));
            assert!(!word, "{}: line {number}: {line}", file.display());
        }
    }
}
