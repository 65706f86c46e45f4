//! docs/architecture.md names every module of the program, from the top to the bottom.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "tests may panic")]

use std::path::PathBuf;

fn root() -> PathBuf {
    std::env::var("CARGO_MANIFEST_DIR").unwrap().into()
}

/// The modules of the page's first table, in its order.
fn rows() -> Vec<String> {
    let page = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let table = page.lines().skip_while(|line| !line.starts_with("| module |")).skip(2);
    table.map_while(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned())).collect()
}

#[test]
fn the_page_names_the_modules_that_there_are() {
    let mut modules: Vec<String> = std::fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .filter(|name| !["bin", "lib", "main"].contains(&name.as_str()))
        .collect();
    modules.sort();
    modules.dedup();
    let mut named = rows();
    named.sort();
    assert_eq!(named, modules);
}

#[test]
fn the_page_has_the_order_that_is_enforced() {
    let test = std::fs::read_to_string(root().join("tests/layering.rs")).unwrap();
    let list = test.split_once("const LAYERS").unwrap().1.split_once("= ").unwrap().1.trim_start();
    let list = list.trim_start_matches('[').split_once(']').unwrap().0;
    let layers: Vec<String> = list.split(',').map(|name| name.trim().trim_matches('"').to_owned()).collect();
    let named: Vec<String> = rows().into_iter().filter(|name| layers.contains(name)).collect();
    let layers: Vec<String> = layers.into_iter().filter(|name| !name.is_empty()).collect();
    assert_eq!(named, layers);
}
