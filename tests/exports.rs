//! What leaves kept layers by `sbx export` and `sbx diff --patch`: exactly what the program made, and what is said about it.

mod common;

use common::{Place, tick, tools, userns};
use std::path::Path;
use std::process::Command;

/// The options of an overlay over the current directory that is kept as `one`.
const KEEP: [&str; 4] = ["--overlay", ".", "--upper", "keep:one"];

/// A place in whose current directory a program has run this script, in the layers `one`.
fn changed(script: &str) -> Place {
    let place = Place::new();
    place.write("work/file", "old\n");
    tick();
    place.sh(&KEEP, script).ok();
    tick();
    place
}

/// Exports `one` as a tar file, and unpacks that with GNU's tar. Gives what sbx said, and a script's output in the directory that is there now
/// for the current one.
fn unpacked(place: &Place, script: &str) -> (String, String) {
    let ran = place.run(&["export", "one", "-o", "../layer.tar"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let out = place.dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let tar = Command::new("tar")
        .args(["--xattrs", "--xattrs-include=*", "-xf", "../layer.tar"])
        .current_dir(&out)
        .output()
        .unwrap();
    assert!(tar.status.success(), "{tar:?}");
    let dir = out.join(place.work().canonicalize().unwrap().strip_prefix("/").unwrap());
    (ran.err, listed(&dir, script))
}

fn listed(dir: &Path, script: &str) -> String {
    let ran = Command::new("sh").args(["-ec", script]).current_dir(dir).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

#[test]
fn a_link_comes_out_of_an_export_with_its_text() {
    need!(userns(), tools(&["tar", "readlink"]));
    // One that is longer than a header has room for, and one that is so long only because of what could be left out of it.
    let texts = "https://h//x/./y x/. . / ./a//b/ $(printf '../%.0s' $(seq 60))x/. x$(printf '/%.0s' $(seq 120))y";
    let place = changed(&format!("n=0; for text in {texts}; do n=$((n + 1)); ln -s \"$text\" link$n; done"));
    let (said, links) = unpacked(&place, "readlink link1 link2 link3 link4 link5 link6 link7; ls | wc -l");
    let expected = format!("https://h//x/./y\nx/.\n.\n/\n./a//b/\n{}x/.\nx{}y\n7\n", "../".repeat(60), "/".repeat(120));
    assert_eq!((links, said), (expected, String::new()));
}

#[test]
fn an_attribute_that_a_tar_file_would_rename_is_left_out_and_told() {
    need!(userns(), tools(&["tar", "python3"]));
    let set = "import os
for name in ['user.plain', 'user.a=b', 'user.a%3Db', 'user.c%25', 'user.d%41']: os.setxattr('file', name, b'v')
os.mkdir('dir'); os.setxattr('dir', b'user.x\\xff', b'v'); os.setxattr('dir', 'user.y', b'v')
";
    let place = changed(&format!("python3 - <<'END'\n{set}END"));
    let (said, attributes) = unpacked(
        &place,
        "python3 -c 'import os; print(sorted(os.listxattr(\"file\")), os.listxattr(\"dir\"), open(\"file\").read())'",
    );
    assert_eq!(attributes, "['user.d%41', 'user.plain'] ['user.y'] old\n\n");
    let work = place.work().canonicalize().unwrap();
    for name in ["dir", "file"] {
        let note = format!("sbx: note: {}/{name}: it has extended attributes whose names", work.display());
        assert_eq!(said.matches(&note).count(), 1, "{said}");
    }
    assert_eq!(said.lines().count(), 2, "{said}");
}

/// The name of a path of the current directory, as it is printed.
fn at(place: &Place, name: &str) -> String {
    place.work().canonicalize().unwrap().join(name).display().to_string()
}

#[test]
fn what_tools_outside_may_run_is_told_of_by_each_way_out() {
    need!(userns(), tools(&["git", "cp"]));
    let place = changed(
        "echo x > .envrc; mkdir .vscode sub; echo y > .vscode/tasks.json; echo z > .vscode/more; echo w > 'sub/.envrc'; \
         mkdir 'od\td'; echo v > 'od\td/.envrc'; mkdir bare; echo 'ref: x' > bare/HEAD; echo n > plain; chmod 600 file",
    );
    let patch = place.run(&["diff", "one", "--patch"]).ok();
    let (mut remarks, mut lines) = (Vec::new(), patch.lines().peekable());
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_suffix(": tools outside may run what it names") {
            remarks.push(name.strip_prefix("# ").unwrap());
            assert!(lines.peek().unwrap().starts_with("diff --git "), "before what it is about: {patch}");
        }
    }
    assert_eq!(
        remarks,
        [".envrc", ".vscode/more", ".vscode/tasks.json", "bare/HEAD", r#""od\td/.envrc""#, "sub/.envrc"],
        "{patch}"
    );
    for (flags, then) in [(&["--patch"][..], "apply"), (&[][..], "unpack")] {
        let ran = place.run(&[&["export", "one", "-o", "../out"], flags].concat());
        let names = [".envrc", ".vscode", "bare/HEAD", "od\\td/.envrc", "sub/.envrc"].map(|name| at(&place, name));
        let expected = format!(
            "sbx: note: in it are 6 files by which tools outside may run something, at or below {}\n\
             help: look at what differs there before you {then} it: sbx diff --patch one {}\n",
            names.join(", "),
            names[0]
        );
        assert_eq!((ran.status, &ran.err), (Some(0), &expected), "{flags:?}");
        // git takes the patch all the same, and the remarks are in it.
        if then == "apply" {
            let patch = std::fs::read_to_string(place.dir.path().join("out")).unwrap();
            assert_eq!(patch.matches(": tools outside may run what it names\n").count(), 6, "{patch}");
            place.on_host("cp -a . ../copy");
            let copy = place.dir.path().join("copy");
            listed(&copy, "git apply ../out");
            assert_eq!(listed(&copy, "cat .envrc sub/.envrc bare/HEAD plain"), "x\nw\nref: x\nn\n");
        }
    }
    // More than a few, and a deletion, by which nothing is run.
    let place = Place::new();
    place.write("work/.envrc", "old\n");
    tick();
    place.sh(&KEEP, "rm .envrc; for i in 1 2 3 4 5 6 7; do mkdir d$i; echo x > d$i/.envrc; done").ok();
    let said = place.run(&["export", "one", "-o", "../out"]).err;
    assert!(
        said.starts_with("sbx: note: in it are 7 files by which") && said.contains("d5/.envrc and 2 more\n"),
        "{said}"
    );
    let place = changed("rm file; echo > new");
    let said = place.run(&["export", "one", "-o", "../out"]);
    assert_eq!(said.err, "", "nothing is said where there is nothing");
}

#[test]
fn names_that_look_alike_are_told_apart() {
    need!(userns(), tools(&["python3"]));
    let make = "import os
for name in [b'a\\nb', b'a\\\\nb', b'\"q\"', b'n\\xff', b'n\\xfe', b'n\\xef\\xbf\\xbd', b'caf\\xc3\\xa9 x']: open(name, 'w').close()
os.symlink(b'/x//y', 'link'); os.symlink(b't\\xff', 'odd')
";
    let place = changed(&format!("python3 - <<'END'\n{make}END"));
    let names = [r#"A "./a\nb""#, r"A ./a\nb", "A ./caf\u{e9} x", r#"A "./n\xfe""#, r#"A "./n\xff""#, "A ./n\u{fffd}"];
    let work = at(&place, "");
    let dotted = |text: &str| text.replace(&work, "./");
    let list = dotted(&place.run(&["diff", "one"]).ok()).replace("A  ", "A ");
    for name in names {
        assert_eq!(list.lines().filter(|line| *line == name).count(), 1, "{name}: {list}");
    }
    assert!(list.contains("A ./\"q\"\n"), "{list}");
    let json: serde_json::Value = serde_json::from_str(&place.run(&["diff", "one", "--json"]).ok()).unwrap();
    let find = |name: &str| {
        let end = format!("/{name}");
        json.as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["path"].as_str().unwrap().ends_with(&end))
            .collect::<Vec<_>>()
    };
    assert!(find("a\nb")[0].get("path_bytes").is_none());
    let bytes: Vec<Option<u64>> = find("n\u{fffd}")
        .iter()
        .map(|entry| entry.get("path_bytes").map(|bytes| bytes.as_array().unwrap().last().unwrap().as_u64().unwrap()))
        .collect();
    assert_eq!(bytes, [None, Some(0xfe), Some(0xff)].into_iter().collect::<Vec<_>>(), "{json:#}");
    assert_eq!(find("link")[0]["target"], "/x//y");
    assert!(find("link")[0].get("target_bytes").is_none());
    assert_eq!(
        (&find("odd")[0]["target"], &find("odd")[0]["target_bytes"]),
        (&"t\u{fffd}".into(), &vec![0x74, 0xff].into())
    );
    assert!(find("a\nb")[0].get("target").is_none());
    let done = dotted(&place.run(&["commit", "one"]).ok());
    for name in names {
        assert_eq!(done.lines().filter(|line| *line == name).count(), 1, "{name}: {done}");
    }
}

#[test]
fn who_names_a_file_in_the_place_of_layers_is_told_what_shows_it() {
    need!(userns());
    let place = changed("echo new > file");
    let help = |name: &str| format!("`sbx diff LAST {name}` shows how it differs");
    for name in ["file", "./file"] {
        let error = place.run(&["diff", name]).failed(125);
        assert!(error.contains(&help(name)), "{error}");
    }
    for name in ["nothing", "./nothing"] {
        let error = place.run(&["diff", name]).failed(125);
        assert!(!error.contains("LAST"), "{error}");
    }
    place.write("work/one", "");
    place.run(&["diff", "one"]).ok();
    place.run(&["discard", "one"]).ok();
    let error = place.run(&["diff", "file"]).failed(125);
    assert!(!error.contains("LAST"), "there is nothing that it could show: {error}");
}
