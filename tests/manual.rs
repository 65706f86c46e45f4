//! The examples of the manuals and of the README do what is said beside them.

mod common;

use common::network::programs;
use common::{Place, tools, tun, userns};
use std::path::PathBuf;

fn text(file: &str) -> String {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap());
    std::fs::read_to_string(root.join(file)).unwrap().replace("\\-", "-")
}

/// The texts between two lines.
fn between(text: &str, start: &str, end: &str) -> Vec<String> {
    let (start, end) = (format!("\n{start}\n"), format!("\n{end}\n"));
    text.split(&start).skip(1).map(|part| part.split(&end).next().unwrap().to_owned() + "\n").collect()
}

/// The examples of sbx-profile(5): a profile, and a project's file.
fn examples() -> [String; 2] {
    between(&text("man/sbx-profile.5"), ".EX", ".EE").try_into().unwrap()
}

#[test]
fn profiles_start() {
    need!(userns());
    let [profile, _] = examples();
    let [readme] = between(&text("README.md"), "```toml", "```").try_into().unwrap();
    for text in [profile, readme] {
        let place = Place::new();
        std::fs::create_dir(place.work().join("out")).unwrap();
        let file = place.write("p.toml", &text).display().to_string();
        place.run(&["profile", "check", "--strict", &file]).ok();
        let ran = place.sh(&["--profile", &file], "touch out/new && echo written; touch new");
        assert!(ran.out == "written\n" && place.work().join("out/new").exists(), "{text}: {ran:?}");
        assert!(!place.work().join("new").exists(), "{text}");
    }
}

#[test]
fn a_projects_file_tightens_every_shipped_profile() {
    need!(userns(), tun(), programs());
    let [_, project] = examples();
    let list = Place::new().run(&["profile", "list", "--json"]).ok();
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    for profile in list.as_array().unwrap() {
        let name = profile["name"].as_str().unwrap();
        let place = Place::new();
        for (path, text) in [(".sbx.toml", project.as_str()), (".env", "secret\n"), ("secrets/key", "secret\n")] {
            place.write(&format!("work/{path}"), text);
        }
        let script = "ulimit -n; [ -e secrets ] || exit 0; echo shown; cat .env secrets/key; rm -rf .env; echo over > .env; mv secrets open; cat .env open/key; true";
        let mut command = place.command();
        command.env("LC_TIME", "C").args(["-q", "--profile", name, "--", "/bin/sh", "-c", script]);
        let ran = common::ran(command.output().unwrap());
        let shown = ["default", "ci", "ci-net", "net", "shell", "viewer"].contains(&name);
        assert_eq!(ran.out, if shown { "256\nshown\n" } else { "256\n" }, "{name}: {ran:?}");
        assert_eq!(std::fs::read_to_string(place.work().join(".env")).unwrap(), "secret\n", "{name}");
        assert!(place.work().join("secrets/key").exists(), "{name}");
        let mut command = place.command();
        command.env("LC_TIME", "C").args(["-q", "--profile", name, "--", "env"]);
        assert!(!common::ran(command.output().unwrap()).ok().contains("LC_TIME"), "{name}");
    }
}

#[test]
fn commands_are_understood() {
    need!(userns(), tools(&["xdg-dbus-proxy"]));
    let place = Place::new();
    place.write("home/data/file", "");
    std::fs::create_dir(place.work().join("out")).unwrap();
    let manual = text("man/sbx.1");
    let examples = manual.split(".SH EXAMPLES").nth(1).unwrap();
    let lines = between(examples, ".EX", ".EE").remove(0) + &text("README.md");
    let mut count = 0;
    for line in lines.lines().filter_map(|line| line.trim_start().strip_prefix("sbx ")) {
        // Without what the shell does, and without the words of the README that follow two blanks.
        let line = line.split("  ").next().unwrap().split(['|', '>']).next().unwrap().trim_end_matches([' ', '3']);
        let words: Vec<String> =
            line.split(' ').map(|word| word.replace('~', &place.home().display().to_string())).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let plan = match words[0] {
            "run" => [&["plan"], &words[1..]].concat(),
            "plan" | "check" | "profile" | "selftest" => words,
            first if first.starts_with('-') || words.len() > 1 => [&["plan"], &words[..]].concat(),
            _ => continue,
        };
        if ["check", "selftest"].contains(&plan[0]) {
            continue;
        }
        let ran = place.run(&plan);
        // A limit may be one that this host does not set.
        assert!(ran.status == Some(0) || ran.err.contains("limits."), "{line}: {ran:?}");
        count += 1;
    }
    assert!(count >= 10, "{count}");
}
