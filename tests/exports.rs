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
