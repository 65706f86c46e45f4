//! Modules only use modules below them, `unsafe` is only in `sys`, and the index of tests is complete.

use std::path::{Path, PathBuf};

/// The modules from the top to the bottom, as src/lib.rs and CONTRIBUTING.md list them. Each may use itself and those below it.
const LAYERS: [&str; 22] = [
    "cli",
    "bwrap",
    "selftest",
    "launch",
    "child",
    "plan",
    "review",
    "host",
    "profile",
    "state",
    "copy",
    "union",
    "archive",
    "wayland",
    "dbus",
    "netfilter",
    "proxy",
    "socket",
    "error",
    "spec",
    "exit",
    "sys",
];

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

/// The modules of the crate that a file uses by `crate::NAME` or `crate::{NAME, NAME::...}`.
fn used(text: &str) -> Vec<String> {
    let word = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for part in text.split("crate::").skip(1) {
        let Some(list) = part.strip_prefix('{') else {
            found.push(word(part));
            continue;
        };
        let (mut depth, mut start) = (1, 0);
        for (at, c) in list.char_indices() {
            depth += i32::from(c == '{') - i32::from(c == '}');
            if depth == 0 || (depth == 1 && c == ',') {
                found.push(word(&list[start..at]));
                start = at + 1;
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

#[test]
fn modules_use_only_modules_below_them() {
    let mut wrong = Vec::new();
    for (file, text) in code("") {
        let layer = file.split(['/', '.']).next().unwrap();
        // The programs, and the crate's root, which only has re-exports.
        if ["main", "bin", "lib"].contains(&layer) {
            continue;
        }
        match LAYERS.iter().position(|name| *name == layer) {
            Some(own) => wrong.extend(
                used(&text)
                    .iter()
                    .filter(|used| LAYERS[..own].contains(&used.as_str()))
                    .map(|used| format!("{file}: {layer} uses {used}")),
            ),
            None => wrong.push(format!("{file} is in no layer")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(
        used("use crate::{exit, plan::{self, Plan}, sys};\ncrate::host::below();"),
        ["exit", "plan", "sys", "host"]
    );
}

#[test]
fn the_documented_order_of_modules_is_the_enforced_one() {
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).to_owned();
    let lib = std::fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let list = lib.split("//! ```text\n").nth(1).unwrap().split("//! ```").next().unwrap();
    let documented: Vec<_> = list.lines().filter_map(|line| line.strip_prefix("//! ")?.split(' ').next()).collect();
    assert_eq!(documented, LAYERS, "src/lib.rs");
    let contributing = std::fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let line = contributing.lines().find(|line| line.contains(" → bwrap → ")).unwrap();
    assert_eq!(line.trim().split(" → ").collect::<Vec<_>>(), LAYERS, "CONTRIBUTING.md");
}

/// Every file below a directory of src, by its path below src, without its comments and unit tests.
fn code(dir: &str) -> Vec<(String, String)> {
    let src = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("src");
    let mut found = Vec::new();
    files(&src.join(dir), &mut found);
    let read = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let lines: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        (file.strip_prefix(&src).unwrap().display().to_string(), lines.join("\n"))
    };
    found.iter().map(read).collect()
}

#[test]
fn the_lint_against_unsafe_code_is_lifted_for_sys_alone() {
    let lifted: Vec<_> = code("").into_iter().filter(|(_, text)| text.contains("(unsafe_code")).collect();
    let [(file, text)] = &lifted[..] else { panic!("{lifted:#?}") };
    assert_eq!(file, "lib.rs");
    assert!(text.contains("#![deny(unsafe_code)]"));
    assert_eq!(text.matches("(unsafe_code").count(), 2, "denied, and lifted once");
    let (_, after) = text.split_once("#[expect(unsafe_code").unwrap();
    assert!(after.lines().nth(1).unwrap().ends_with("mod sys;"));
}

/// Words in code that allocates, or may panic. (`debug_assert` is not in what users run.)
const NOT_IN_A_CHILD: [&str; 28] = [
    "Vec::new",
    "Vec::with",
    "vec!",
    "String::new",
    "String::from",
    "format!",
    "Box::",
    "CString::new",
    "HashMap",
    "BTreeMap",
    "LazyLock",
    "thread::",
    ".to_owned()",
    ".to_vec()",
    ".to_string()",
    ".collect()",
    ".collect::<",
    ".clone()",
    "std::fs",
    "std::env",
    "println!",
    "eprint",
    "panic!",
    "unreachable!",
    ".unwrap()",
    ".expect(",
    " assert!",
    " assert_eq!",
];

#[test]
fn what_runs_between_clone_and_exec_has_nothing_in_it_that_allocates_or_panics() {
    let mut wrong = Vec::new();
    for (file, text) in code("sys/child").into_iter().chain(code("child")) {
        // Code that the launcher runs for the child, and code that runs after an exec.
        if file == "child/prepared.rs" {
            continue;
        }
        let after_exec = text.find("pub fn run(args").map(|at| at..at + text[at..].find("\n}\n").unwrap());
        let text = after_exec.map_or(text.clone(), |range| text[..range.start].to_owned() + &text[range.end..]);
        for word in NOT_IN_A_CHILD.iter().filter(|word| text.contains(**word)) {
            wrong.push(format!("{file}: {word}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_runs_between_clone_and_exec_uses_its_own_half_of_sys() {
    let kinds = ["pub fn ", "pub struct ", "pub enum ", "pub const ", "pub static "];
    let mut host = Vec::new();
    for (_, text) in code("sys/host").into_iter().chain(code("sys/attempts")) {
        for line in text.lines() {
            let Some(name) = kinds.iter().find_map(|kind| line.strip_prefix(kind)) else { continue };
            host.push(name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>());
        }
    }
    assert!(host.contains(&"clone3".to_owned()) && host.contains(&"CAPABILITIES".to_owned()), "{host:?}");
    let mut wrong = Vec::new();
    for (file, text) in code("child") {
        let words: Vec<_> = text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').collect();
        for word in words.iter().filter_map(|word| word.strip_prefix("sys::")).filter(|word| !word.is_empty()) {
            if host.iter().any(|name| name == word) || word.starts_with("host") || word.starts_with("attempts") {
                wrong.push(format!("{file}: sys::{word}"));
            }
        }
        for list in text.split("use crate::sys::{").skip(1).filter_map(|rest| rest.split("};").next()) {
            wrong.extend(
                list.split(',')
                    .map(str::trim)
                    .filter(|name| host.iter().any(|known| known == name))
                    .map(|name| format!("{file}: use of sys::{name}")),
            );
        }
    }
    for (file, text) in code("sys/child").iter().filter(|(_, text)| text.contains("sys::host")) {
        wrong.push(format!("{file}: {text}"));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_index_of_tests_names_every_program() {
    let tests = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("tests");
    let index = std::fs::read_to_string(tests.join("README.md")).unwrap();
    for entry in std::fs::read_dir(tests).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == "rs") || path.join("main.rs").exists() {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(index.contains(&format!("`{name}`")), "tests/README.md does not say what {name} holds");
        }
    }
}
