//! `sbx commit`: owners, groups, permissions and access control lists of what it puts onto the host, layers that go on after one, and
//! paths that it is not about.

mod common;

use common::{Need, Place, fuse, not_root, tick, tools, userns};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

/// The options of an overlay over the current directory that is kept as `one`.
const KEEP: [&str; 4] = ["--overlay", ".", "--upper", "keep:one"];

/// Runs a script on the host as root of the caller's subordinate ids.
#[track_caller]
fn as_range(place: &Place, script: &str) {
    place.on_host(&format!("unshare --map-root-user --map-auto -- sh -ec '{script}'"));
}

/// The user has subordinate ids, and a program that maps them.
fn subids() -> Need {
    let mapped = Command::new("unshare").args(["--map-root-user", "--map-auto", "true"]).output();
    Need::new("subids", mapped.is_ok_and(|ran| ran.status.success()), "unshare --map-auto does not work")
}

#[test]
fn the_set_group_id_bit_of_a_shared_directory_stays() {
    need!(userns(), fuse(), not_root(), subids(), tools(&["python3", "setfacl"]));
    let place = Place::new();
    place.on_host("mkdir shared other listed");
    // The directories have a group that is none of the caller's. The one around them is another user's, so that it is served.
    as_range(&place, "chgrp 5 shared other listed; chmod 2775 shared other listed; chown 5 .; chmod 777 .");
    tick();
    let keep = [&["--user", "root"][..], &KEEP].concat();
    let script = "python3 -c 'import os; os.setxattr(\"shared\", \"user.x\", b\"1\")'; mkdir shared/new; chmod 2755 shared/new; \
                  python3 -c 'import os; os.chmod(\"other\", 0o770)'; setfacl -m u:0:rwx listed";
    place.sh(&keep, script);
    tick();
    let group = place.on_host("stat -c %g shared").trim().to_owned();
    let dry = place.run(&["commit", "one", "--dry-run"]);
    let ran = place.run(&["commit", "one"]);
    assert_eq!((dry.status, &dry.out), (ran.status, &ran.out), "{dry:?} {ran:?}");
    let facts = format!("2775 {group}\n2755 {group}\n770 {group}\n2775 {group}\n");
    assert_eq!(place.on_host("stat -c '%a %g' shared shared/new other listed"), facts, "{ran:?}");
    // A list cannot be set without taking the bit.
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.err.contains("listed: you are not in the group of the host's directory"), "{ran:?}");
    assert_eq!(place.run(&["diff", "one"]).ok().lines().count(), 1);
}

#[test]
fn a_group_that_the_caller_cannot_give_is_named() {
    need!(userns(), fuse(), not_root(), subids());
    let place = Place::new();
    place.on_host("echo one > file; mkdir shared; echo one > shared/file; chmod 640 file shared/file");
    as_range(&place, "chgrp 5 file shared shared/file; chmod 2775 shared; chown 5 .; chmod 777 .");
    tick();
    place.sh(&[&["--user", "root"][..], &KEEP].concat(), "echo two >> file; echo two >> shared/file").ok();
    let ran = place.run(&["commit", "one"]);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert_eq!(ran.err.matches("you cannot give it the group that the host's file has").count(), 1, "{ran:?}");
    assert_eq!(
        place.on_host("stat -c '%a %g' file shared/file"),
        place.on_host("echo 640 $(id -g); stat -c '640 %g' shared")
    );
}

#[test]
fn set_id_bits_of_a_file_that_stays_its_owners_stay() {
    need!(userns());
    let place = Place::new();
    place.on_host(
        "for file in user group both; do cp /bin/true $file; done; chmod 4755 user; chmod 2755 group; chmod 6711 both",
    );
    tick();
    place.sh(&KEEP, "touch user group both").ok();
    place.run(&["commit", "one"]).ok();
    assert_eq!(place.on_host("stat -c %a user group both"), "4755\n2755\n6711\n");
    assert_eq!(place.run(&["diff", "one"]).ok(), "");
}

#[test]
fn a_named_pipe_has_the_permissions_and_lists_of_the_layer() {
    need!(userns(), tools(&["mkfifo", "setfacl", "getfacl"]));
    let place = Place::new();
    place.on_host("mkdir dir; setfacl -dm u:33:rwx dir");
    tick();
    let script = "mkfifo dir/plain; setfacl -b dir/plain; chmod 777 dir/plain; mkfifo listed; setfacl -m u:$(id -u):r listed; \
                  mkfifo dir/inherits; chmod 660 dir/inherits";
    place.sh(&KEEP, script).ok();
    place.run(&["commit", "one"]).ok();
    let own = place.on_host("id -u");
    let lists = format!(
        "user::rwx\ngroup::rwx\nother::rwx\n\nuser::rw-\nuser:{}:r--\ngroup::r--\nmask::r--\nother::r--\n\n\
         user::rw-\nuser:33:rwx\ngroup::r-x\nmask::rw-\nother::---\n\n",
        own.trim()
    );
    assert_eq!(place.on_host("getfacl -cnE dir/plain listed dir/inherits"), lists);
    assert_eq!(place.run(&["diff", "one"]).ok(), "");
    // A list alone is a difference.
    place.sh(&KEEP, "setfacl -m u:$(id -u):rw dir/plain").ok();
    assert_eq!(place.run(&["diff", "one"]).ok().lines().count(), 1);
}

#[test]
fn lists_that_name_ids_which_are_not_known_inside_stay() {
    need!(userns(), tools(&["setfacl", "getfacl"]));
    let place = Place::new();
    place.on_host("echo one > file; echo one > old; mkdir dir; setfacl -m u:54321:rw file old; setfacl -m u:54321:rwx,d:u:54321:rwx dir",
    );
    let before = place.on_host("getfacl -cn file old dir");
    tick();
    place
        .sh(&KEEP, "echo two >> file; mv old renamed; echo x > dir/new; mkdir dir/sub; chmod 700 dir; chmod 775 dir")
        .ok();
    assert_eq!(place.run(&["commit", "one", "--dry-run"]).status, Some(0));
    place.run(&["commit", "one"]).ok();
    assert_eq!(place.on_host("cat file renamed"), "one\ntwo\none\n");
    assert_eq!(place.on_host("getfacl -cn file renamed dir"), before);
    assert!(place.on_host("getfacl -cn dir/new").contains("user:54321:rwx"), "as what is made there outside");
    assert!(place.on_host("getfacl -cn dir/sub").contains("default:user:54321:rwx"));
    assert_eq!(place.run(&["diff", "one"]).ok(), "");
}

#[test]
fn a_path_that_names_no_change_is_told() {
    need!(userns());
    let place = Place::new();
    place.write("work/file", "one\n");
    place.write("work/same", "one\n");
    tick();
    place.sh(&KEEP, "echo two >> file; mkdir dir; echo x > dir/x").ok();
    for path in ["nothing", "same", "/nonexistent/x", "fil"] {
        let ran = place.run(&["commit", "one", path]);
        assert_eq!((ran.status, ran.out.as_str()), (Some(1), ""), "{ran:?}");
        assert!(ran.err.contains("sbx: no change at /") && ran.err.contains("`sbx diff one` lists"), "{ran:?}");
        let listed = place.run(&["diff", "one", path]);
        assert_eq!(listed.out, "");
        assert!(listed.err.contains("note: no change at /"), "{listed:?}");
        listed.ok();
    }
    // The rest is done.
    let ran = place.run(&["commit", "one", "nothing", "file", "dir"]);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert_eq!(place.on_host("cat file dir/x"), "one\ntwo\nx\n");
}

#[test]
fn a_commit_of_paths_leaves_other_deletions_in_the_layer() {
    need!(userns());
    let place = Place::new();
    for file in ["f", "other", "both", "sub/x", "sub/y"] {
        place.write(&format!("work/{file}"), "1\n");
    }
    tick();
    place.sh(&KEEP, "rm f sub/x; echo 2 >> other; chmod 600 both; chmod 644 both; echo z > sub/z").ok();
    // What was deleted is elsewhere at the moment: a checkout, a rename.
    place.on_host("mv f ../Qf; mv sub/x ../Qx");
    assert_eq!(place.run(&["commit", "one", "nosuch"]).status, Some(1));
    assert_eq!(place.run(&["commit", "one", "sub/nosuch"]).status, Some(1));
    place.run(&["commit", "one", "other", "sub/z"]).ok();
    place.on_host("mv ../Qf f; mv ../Qx sub/x");
    let list = place.run(&["diff", "one"]).ok();
    assert_eq!((list.matches("D!/").count(), list.lines().count()), (2, 2), "{list}");
    assert_eq!(place.sh(&KEEP, "ls . sub").ok(), ".:\nboth\nother\nsub\n\nsub:\ny\nz\n");
    let upper = place.home().join(".local/share/sbx/uppers/one/0/upper");
    assert!(upper.join("both").exists(), "what the host has in the same way goes with a path as well");
    assert!(!upper.join("other").exists() && !upper.join("sub/z").exists());
}

#[test]
fn a_deletion_of_what_the_host_has_no_longer_is_done_and_told() {
    need!(userns());
    let place = Place::new();
    for file in ["f", "g", "deep/x", "moved/x", "own"] {
        place.write(&format!("work/{file}"), "1\n");
    }
    tick();
    place.sh(&KEEP, "rm f g own deep/x moved/x").ok();
    place.on_host("rm f g deep/x; mv moved away; mkdir moved");
    let said = |ran: &common::Ran, path: &str| {
        ran.err.contains(&format!("work/{path}: the host has it no longer; that it was deleted inside "))
    };
    // One that is named, and then the rest.
    let ran = place.run(&["commit", "one", "f"]);
    assert!(said(&ran, "f") && !said(&ran, "g"), "{ran:?}");
    assert_eq!(ran.ok(), "");
    let dry = place.run(&["commit", "one", "--dry-run"]);
    assert!(said(&dry, "g") && dry.err.contains(" would be taken out of the layer"), "{dry:?}");
    let ran = place.run(&["commit", "one"]);
    assert!(said(&ran, "g") && said(&ran, "deep/x") && !said(&ran, "f") && !said(&ran, "own"), "{ran:?}");
    // In what may be another directory by now, that nothing is there says nothing.
    assert!(!said(&ran, "moved/x"), "{ran:?}");
    assert_eq!(dry.out, ran.ok());
    place.on_host("for file in f g deep/x own moved/x; do echo 2 > $file; done");
    assert_eq!(place.sh(&KEEP, "cat f g own deep/x; ls moved").ok(), "2\n2\n2\n2\n");
}

#[test]
fn a_deletion_that_an_interrupted_commit_has_done_goes_out_of_the_layer() {
    need!(userns());
    let place = Place::new();
    for file in ["sub/x", "y", "z"] {
        place.write(&format!("work/{file}"), "1\n");
    }
    tick();
    place.sh(&KEEP, "rm sub/x y z; echo 1 > new").ok();
    // As if one had been killed after it had deleted two of them.
    place.on_host("rm sub/x y; mv z ../z");
    let noted = |path: &str| {
        let bytes: Vec<String> = path.bytes().map(|byte| byte.to_string()).collect();
        format!("[0,[{}]]\n", bytes.join(","))
    };
    let record = place.home().join(".local/share/sbx/uppers/one/deleted");
    std::fs::write(&record, noted("sub/x") + &noted("y") + &noted("new") + "[0,[47").unwrap();
    place.run(&["commit", "one", "new"]).ok();
    assert!(!record.exists());
    place.on_host("echo 2 > sub/x; echo 2 > y; mv ../z z");
    assert_eq!(place.sh(&KEEP, "cat sub/x y; ls").ok(), "2\n2\nnew\nsub\ny\n");
}

#[test]
fn what_the_host_has_deleted_since_the_program_changed_it_is_a_conflict() {
    need!(userns());
    let place = Place::new();
    for file in ["g", "d/f", "d/deep/x", "whole", "binary"] {
        place.write(&format!("work/{file}"), "1\n");
    }
    place.on_host("printf 'a\\0' > binary; ln -s g link");
    tick();
    let script = "echo 2 >> g; echo 2 >> d/f; echo 2 >> d/deep/x; echo n > d/new; echo n > new; mkdir none; printf b >> binary; ln -sf whole link; mv whole name";
    place.sh(&KEEP, script).ok();
    place.on_host("rm -r g d binary link");
    let work = place.work().canonicalize().unwrap().display().to_string();
    let listed = place.run(&["diff", "one"]).ok().replace(&work, ".");
    let lines: Vec<_> = listed.lines().map(|line| line.split("  (").next().unwrap_or_default()).collect();
    let expected = [
        "A!./binary",
        "A!./d",
        "A!./d/deep",
        "A!./d/deep/x",
        "A!./d/f",
        "A!./d/new",
        "A!./g",
        "A!./link",
        "A ./name",
        "A ./new",
        "A ./none",
        "D ./whole",
    ];
    assert_eq!(lines, expected, "{listed}");
    let before = place.on_host("find . | sort");
    let dry = place.run(&["commit", "one", "--dry-run"]);
    assert_eq!(place.on_host("find . | sort"), before);
    let ran = place.run(&["commit", "one"]);
    assert_eq!((dry.status, &dry.out), (ran.status, &ran.out), "{dry:?} {ran:?}");
    assert_eq!(ran.status, Some(1), "{ran:?}");
    for gone in [
        "g left as it is on the host: the host's file is gone",
        "d left as it is on the host: the host's directory is gone",
    ] {
        assert!(
            ran.err.contains(&format!("/{gone} since the program saw it; name it to put it there again")),
            "{ran:?}"
        );
    }
    assert_eq!(place.on_host("find . | sort"), ".\n./name\n./new\n./none\n./whole\n", "{ran:?}");
    // Whoever names it wants it back.
    place.run(&["commit", "one", "g"]).ok();
    place.run(&["commit", "one", "d/deep"]).ok();
    assert_eq!(place.on_host("cat g d/deep/x; ls d"), "1\n2\n1\n2\ndeep\n");
}

#[test]
fn a_path_is_named_as_in_a_shell() {
    need!(userns());
    let place = Place::new();
    place.write("work/sub/x", "1\n");
    place.on_host("ln -s sub link; ln -s work ../entered");
    tick();
    place.sh(&KEEP, "echo 2 >> sub/x; echo n > new; mkdir dir; echo d > dir/d; echo d > dir/e; ln -s ../sub dir/sub; rm link; ln -s dir link").ok();
    let entered = place.dir.path().join("entered");
    let lines = |path: &str| place.run(&["diff", "one", path]).ok().lines().count();
    assert_eq!(lines(entered.join("new").to_str().unwrap()), 1);
    assert_eq!(lines(entered.join("dir/d").to_str().unwrap()), 1);
    assert_eq!(lines("sub/../new"), 1);
    assert_eq!(lines("sub/../dir/none/../d"), 1);
    assert_eq!(lines("../work/new"), 1);
    // A link that differs is itself; what the program made of links leads nowhere.
    assert_eq!((lines("link"), lines("dir/sub/x"), lines("link/x")), (1, 0, 1));
    let ran = place.run(&["commit", "one", entered.join("dir/d").to_str().unwrap(), "sub/../new"]);
    assert_eq!(ran.ok().lines().count(), 3);
    assert_eq!(place.on_host("cat new dir/d; ls dir; cat sub/x"), "n\nd\nd\n1\n");
}

#[test]
fn what_both_sides_have_made_the_same_is_done() {
    need!(userns());
    let place = Place::new();
    for file in ["changed", "mode", "text", "touched"] {
        place.write(&format!("work/{file}"), "old\n");
    }
    tick();
    let script = "echo same > new; ln -s new link; echo same > changed; echo same > mode; echo one > text; mkdir dir; echo x > dir/x; \
                  touch -d 2001-01-01 touched";
    place.sh(&KEEP, script).ok();
    tick();
    place.on_host("echo same > new; ln -s new link; echo same > changed; echo same > mode; chmod 600 mode; echo two > text; mkdir dir; echo x > dir/x");
    let work = place.work().canonicalize().unwrap().display().to_string();
    let listed = place.run(&["diff", "one"]).ok().replace(&work, ".");
    let lines: Vec<_> = listed.lines().map(|line| line.split("  (").next().unwrap_or_default()).collect();
    // A time that the program alone has set is a change.
    assert_eq!(lines, ["M!./mode", "M!./text", "M ./touched"], "{listed}");
    place.run(&["commit", "one", "new", "dir"]).ok();
    let dry = place.run(&["commit", "one", "--dry-run"]);
    let ran = place.run(&["commit", "one"]);
    assert_eq!((dry.status, &dry.out), (ran.status, &ran.out), "{dry:?} {ran:?}");
    assert_eq!(ran.out.replace(&work, "."), "M ./touched\n");
    assert_eq!(ran.err.matches("left as it is on the host").count(), 2, "{ran:?}");
    let upper = place.home().join(".local/share/sbx/uppers/one/0/upper");
    let mut left: Vec<_> = std::fs::read_dir(upper).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    // The directory is the program's own as long as the layer has it.
    assert_eq!(left, ["dir", "mode", "text"], "the host shows through again");
    place.on_host("echo later > changed");
    assert_eq!(place.sh(&KEEP, "cat changed new").ok(), "later\nsame\n");
}

#[test]
fn nothing_is_put_into_another_directory_than_the_overlays() {
    need!(userns());
    let place = Place::new();
    place.write("work/A/g", "1\n");
    tick();
    place
        .sh(&["--overlay", "A", "--upper", "keep:one"], "echo 2 >> A/g; echo n > A/new; mkdir A/dir; echo n > A/dir/x")
        .ok();
    place.on_host("mv A A.old; mkdir A");
    let list = place.run(&["diff", "one"]).ok();
    assert_eq!(list.matches("A!/").count(), 4, "{list}");
    let ran = place.run(&["commit", "one"]);
    assert_eq!((ran.status, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    assert!(
        ran.err.contains("A/new left as it is on the host: the directory that it lies in may be another one"),
        "{ran:?}"
    );
    assert_eq!(place.on_host("ls -A A"), "");
    place.run(&["commit", "one", "A/new", "A/dir"]).ok();
    assert_eq!(place.on_host("find A | sort"), "A\nA/dir\nA/dir/x\nA/new\n");
}

#[test]
fn a_path_in_directories_that_are_new_is_committed_with_these() {
    need!(userns());
    let place = Place::new();
    let script = "mkdir -m 750 new; mkdir -p new/deep/er other; chmod 700 new/deep; echo x > new/deep/file; echo y > new/deep/er/y; echo z > new/z; echo o > other/o";
    place.sh(&KEEP, script).ok();
    let work = place.work();
    let listed = |ran: String| ran.replace(&work.canonicalize().unwrap().display().to_string(), ".");
    // A path that is not in the layer brings no directories along.
    let none = place.run(&["commit", "one", "new/deep/none"]);
    assert!(!work.join("new").exists(), "{none:?}");
    let dry = listed(place.run(&["commit", "one", "--dry-run", "new/deep/file"]).ok());
    assert!(!work.join("new").exists());
    let done = listed(place.run(&["commit", "one", "new/deep/file"]).ok());
    assert_eq!((done.as_str(), &dry), ("A ./new\nA ./new/deep\nA ./new/deep/file\n", &done));
    let mode = |path: &str| std::fs::metadata(work.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("new"), mode("new/deep")), (0o750, 0o700));
    let left = ["new/z", "new/deep/er", "other"].map(|path| work.join(path).exists());
    assert_eq!(left, [false; 3], "nothing else of these directories");
    place.run(&["commit", "one"]).ok();
    assert!(["new/z", "new/deep/er/y", "other/o"].iter().all(|path| work.join(path).exists()));
}

#[test]
fn a_frozen_layer_goes_on_after_a_commit() {
    need!(userns());
    let place = Place::new();
    for file in ["file", "dir/inner", "gone", "other"] {
        place.write(&format!("work/{file}"), "one\n");
    }
    tick();
    let run = |script: &str| {
        place.sh(&KEEP, script).ok();
        tick();
    };
    run("echo two >> file; echo new > new; chmod 700 dir; echo two >> dir/inner; echo two >> other");
    place.run(&["snapshot", "one"]).ok();
    run("echo three >> file; rm gone");
    place.run(&["commit", "one"]).ok();
    assert_eq!(place.run(&["diff", "one"]).ok(), "");
    tick();
    place.run(&["fork", "one", "two"]).ok();
    // What the program makes of what was committed is no conflict, and what somebody else does is.
    run("echo four >> file; echo four >> dir/inner; chmod 755 dir; rm new; echo four >> other");
    place.sh(&["--overlay", ".", "--upper", "keep:two"], "echo fork >> file").ok();
    place.write("work/other", "host\n");
    let ran = place.run(&["commit", "one"]);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.err.contains("/other left as it is on the host"), "{ran:?}");
    assert_eq!(
        place.on_host("cat file dir/inner other; stat -c %a dir; ls"),
        "one\ntwo\nthree\nfour\none\ntwo\nfour\nhost\n755\ndir\nfile\nother\n"
    );
    // To the fork, that was somebody else.
    let ran = place.run(&["commit", "two"]);
    assert!(ran.err.contains("/file left as it is on the host"), "{ran:?}");
    assert_eq!(place.on_host("tail -n 1 file"), "four\n");
}

#[test]
fn a_path_may_be_that_of_the_host_and_lists_say_what_layers_lie_over() {
    need!(userns());
    let place = Place::new();
    place.write("other/file", "one\n");
    let other = place.dir.path().join("other").canonicalize().unwrap().display().to_string();
    tick();
    place.sh(&["--overlay", ".", "--from", &other, "--upper", "keep:one"], "echo two >> file; echo x > new").ok();
    let path = format!("{other}/file");
    assert!(place.run(&["diff", "one", &path]).ok().starts_with("M "));
    assert_eq!(place.run(&["commit", "one", &path]).ok(), format!("M {path}\n"));
    assert_eq!(place.run(&["commit", "one", &format!("{other}/none")]).status, Some(1));
    assert!(place.run(&["uppers"]).ok().contains(&format!("(over {other})")));
    // What is frozen takes room, too.
    assert!(!place.run(&["uppers"]).ok().contains("frozen"));
    place.run(&["snapshot", "one"]).ok();
    let list = place.run(&["uppers"]).ok();
    assert!(list.contains(" 0 B ") && list.trim_end().ends_with(" frozen)"), "{list}");
    let json: serde_json::Value = serde_json::from_str(&place.run(&["uppers", "--json"]).ok()).unwrap();
    assert!(json[0]["bytes_frozen"].as_u64() > Some(0), "{json}");
}

#[test]
fn changes_of_one_text_on_both_sides_are_merged_if_that_is_wanted_and_clean() {
    need!(userns());
    let place = Place::new();
    let text = "1\n2\n3\n4\n5\n6\n7\n";
    for file in ["both", "same", "mode", "binary", "late", "named"] {
        place.write(&format!("work/{file}"), text);
    }
    place.on_host("printf '1\\n\\0\\n3\\n' > binary; ln named name; chmod 640 both");
    tick();
    let script = "for file in both same mode binary late named; do sed -i 's/1/one/' $file; done; chmod 755 mode; sed 's/7/x/' same > s; cat s > same";
    place.sh(&KEEP, script).ok();
    tick();
    place.on_host("for file in both mode binary; do sed -i 's/3/three/; s/6/six/' $file; done; sed -i 's/7/seven/' same; sed 's/3/three/' named > new; cat new > named; rm new",
    );
    let before = place.on_host("cat both same");
    let ran = place.run(&["commit", "one", "both", "same"]);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.err.contains("/both left as it is on the host: the host's file has changed since the program saw it; no line was changed by both"), "{ran:?}");
    assert!(
        !ran.err
            .contains("/same left as it is on the host: the host's file has changed since the program saw it; no line"),
        "{ran:?}"
    );
    assert_eq!(place.on_host("cat both same"), before);
    let dry = place.run(&["commit", "one", "--merge", "--dry-run"]);
    assert_eq!(place.on_host("cat both same"), before);
    let ran = place.run(&["commit", "one", "--merge"]);
    assert_eq!((dry.status, &dry.out), (ran.status, &ran.out), "{dry:?} {ran:?}");
    assert!(ran.err.contains("/both: merged with what was changed on the host"), "{ran:?}");
    assert_eq!(place.on_host("cat both; stat -c %a both; ls -A | wc -l"), "one\n2\nthree\n4\n5\nsix\n7\n640\n8\n");
    // Both have changed the line, the permissions are others, it is no text, or it has another name.
    for file in ["same", "mode", "binary", "named"] {
        assert!(ran.err.contains(&format!("/{file} left as it is on the host")), "{file}: {ran:?}");
    }
    // The layer has it no longer, and what is changed next is compared with both.
    assert!(!place.run(&["diff", "one"]).ok().contains("/both"));
    place.sh(&KEEP, "sed -i 's/7/end/' both; cat both").ok();
    tick();
    place.on_host("sed -i 's/three/3/' both");
    place.run(&["commit", "one", "--merge", "both"]).ok();
    assert_eq!(place.on_host("cat both"), "one\n2\n3\n4\n5\nsix\nend\n");
}

#[test]
fn what_the_program_did_not_see_is_no_base_of_a_merge() {
    need!(userns());
    let place = Place::new();
    place.write("work/file", "1\n2\n3\n4\n5\n");
    place.write("work/early", "1\n2\n3\n4\n5\n");
    tick();
    // Changed on the host before the program has changed it: what it saw is not known.
    let mut command = place.command();
    command.args(KEEP).args(["--", "/bin/sh", "-c", "echo ready; read x; sed -i 's/5/five/' early file"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    place.on_host("sed -i 's/1/one/' early");
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    assert!(child.wait().unwrap().success());
    tick();
    place.on_host("sed -i 's/3/three/' early file");
    let ran = place.run(&["commit", "one", "--merge"]);
    assert!(
        ran.err.contains("/early left as it is on the host: the host's file has changed since the program saw it\n"),
        "{ran:?}"
    );
    assert_eq!(place.on_host("cat early file"), "one\n2\nthree\n4\n5\n1\n2\nthree\n4\nfive\n", "{ran:?}");
}

#[test]
fn what_tools_outside_run_is_committed_only_if_it_is_named() {
    need!(userns(), tools(&["git"]));
    let place = Place::new();
    place.on_host("git init -q .; echo one > file; echo one > gone; echo one > .envrc; mkdir -p sub/deep");
    tick();
    let script = "git config core.fsmonitor ./evil; echo two > file; rm gone; rm .envrc; echo x > sub/.GIT; mkdir -p sub/deep/.config/mise \
                  sub/.vscode; echo x > sub/deep/.config/mise/config.toml; echo x > sub/.vscode/tasks.json; echo x > sub/other";
    place.sh(&KEEP, script).ok();
    tick();
    let before = place.on_host("cat .git/config");
    let dry = place.run(&["commit", "one", "--dry-run"]);
    let ran = place.run(&["commit", "one"]);
    assert_eq!((dry.status, &dry.out), (ran.status, &ran.out), "{dry:?} {ran:?}");
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert_eq!(place.on_host("cat .git/config"), before, "{ran:?}");
    // What was deleted may be under one of the new names by now.
    let there = "./.envrc\n./file\n./gone\n./sub\n./sub/deep\n./sub/deep/.config\n./sub/other\n";
    assert_eq!(place.on_host("find . -mindepth 1 -not -path \"./.git*\" | LC_ALL=C sort"), there, "{ran:?}");
    for name in [".envrc", ".git", "sub/.GIT", "sub/.vscode", "sub/deep/.config/mise"] {
        let line = format!("work/{name} left as it is on the host (");
        assert!(ran.err.contains(&line), "{name}: {ran:?}");
    }
    assert!(ran.err.contains("name it to commit it: sbx diff --patch one "), "{ran:?}");
    // A directory above does not name it.
    assert_eq!(place.run(&["commit", "one", "sub"]).status, Some(1));
    assert_eq!(place.run(&["commit", "one", "."]).status, Some(1));
    place.run(&["commit", "one", ".git/config", "sub/.vscode", ".envrc"]).ok();
    place.run(&["commit", "one", "sub/.GIT", "sub/deep/.config/mise"]).ok();
    place.run(&["commit", "one"]).ok();
    assert!(place.on_host("cat .git/config").contains("fsmonitor"));
    assert_eq!(place.on_host("cat sub/.vscode/tasks.json sub/.GIT; ls .envrc gone 2>/dev/null || true"), "x\nx\n");
    // What the host's git runs besides.
    let place = Place::new();
    place.on_host("git init -q .; git config core.hooksPath tools/hooks");
    tick();
    place.sh(&KEEP, "mkdir -p tools/hooks; echo x > tools/hooks/pre-commit; echo x > tools/other").ok();
    let ran = place.run(&["commit", "one"]);
    assert!(ran.err.contains("work/tools/hooks left as it is on the host ("), "{ran:?}");
    assert_eq!(place.on_host("ls tools"), "other\n");
}

#[test]
fn a_link_in_the_place_of_a_directory_that_holds_what_is_run_is_committed_only_if_it_is_named() {
    need!(userns(), tools(&["git"]));
    let place = Place::new();
    place.on_host(
        "git init -q .; git config core.hooksPath tools/hooks; mkdir -p tools/hooks; echo one > tools/hooks/pre-commit",
    );
    tick();
    let script = "cp -r tools mine; echo run >> mine/hooks/pre-commit; rm -r tools; ln -s mine tools; mkdir a b; echo x > a/config.edn; \
                  ln -s a .lsp; ln -s ../b b/mise; ln -s b .config";
    place.sh(&KEEP, script).ok();
    tick();
    let ran = place.run(&["commit", "one"]);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    for name in ["tools", ".lsp", ".config"] {
        assert!(ran.err.contains(&format!("work/{name} left as it is on the host (")), "{name}: {ran:?}");
    }
    assert_eq!(place.on_host("cat tools/hooks/pre-commit; ls -d .lsp .config 2>/dev/null || true"), "one\n", "{ran:?}");
    place.run(&["commit", "one", ".lsp", ".config"]).ok();
    assert_eq!(place.on_host("cat .lsp/config.edn"), "x\n");
    // Nor does a repository go with a directory that is deleted or replaced.
    for script in [
        "mv sub moved; rm -r moved/.git moved/.sbx.toml",
        "rm -r sub; mkdir new; ln -s new sub",
        "rm -r sub; echo > sub",
    ] {
        for kept in [".git/HEAD", ".sbx.toml"] {
            let place = Place::new();
            place
                .on_host(&format!("mkdir -p sub/deep/$(dirname {kept}); echo one > sub/deep/{kept}; echo one > sub/x"));
            tick();
            place.sh(&KEEP, &script.replace("moved/", "moved/deep/").replace("rm -r moved", "rm -rf moved")).ok();
            tick();
            let ran = place.run(&["commit", "one"]);
            assert_eq!(ran.status, Some(1), "{script}: {ran:?}");
            assert!(ran.err.contains("work/sub left as it is on the host ("), "{script}: {ran:?}");
            assert_eq!(place.on_host(&format!("cat sub/deep/{kept}")), "one\n");
            place.run(&["commit", "one", "sub"]).ok();
        }
    }
    // Nor is the directory deleted that holds what git runs.
    let place = Place::new();
    place.on_host(
        "git init -q .; git config core.hooksPath tools/hooks; mkdir -p tools/hooks; echo one > tools/hooks/pre-commit",
    );
    tick();
    place.sh(&KEEP, "rm -r tools").ok();
    let ran = place.run(&["commit", "one"]);
    assert_eq!((ran.status, place.on_host("cat tools/hooks/pre-commit").as_str()), (Some(1), "one\n"), "{ran:?}");
}

#[test]
fn what_is_read_only_in_a_writable_directory_is_committed_only_if_it_is_named() {
    need!(userns());
    // The profiles and what sbx keeps, files that programs outside start from, and each where a link in such a place leads.
    let place = Place::new();
    place.on_host(
        "mkdir -p ../home/.config conf dotfiles tools .vscode; ln -s ../conf/tasks.json .vscode/tasks.json; echo 1 > conf/tasks.json; \
         echo 1 > dotfiles/bashrc; ln -s \"$PWD/dotfiles/bashrc\" ../home/.bashrc; echo 1 > tools/env; echo 1 > other; \
         printf 'schema = 1\\nextends = [\"default\"]\\n' > mine.toml",
    );
    tick();
    let script = "for file in conf/tasks.json dotfiles/bashrc tools/env mine.toml other; do echo '#2' >> $file; done";
    let flags = [&["--profile", "./mine.toml", "--set", "filesystem.upper=keep:one"][..], &["--overlay", "."]].concat();
    place.sh(&flags, script).ok();
    tick();
    let mut command = place.command();
    let ran = command.args(["commit", "one"]).env("BASH_ENV", place.work().join("tools/env")).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    for name in ["conf/tasks.json", "dotfiles/bashrc", "tools/env", "mine.toml"] {
        assert!(said.contains(&format!("work/{name} left as it is on the host (")), "{name}: {said}");
    }
    let count = "grep -c '#2' conf/tasks.json dotfiles/bashrc tools/env mine.toml other || true";
    let expected = "conf/tasks.json:0\ndotfiles/bashrc:0\ntools/env:0\nmine.toml:0\nother:1\n";
    assert_eq!(place.on_host(count), expected, "{said}");
    for (dir, files) in
        [("../home/.config", "sbx/profiles/default.toml autostart/x.desktop"), ("../home/.local/bin", "tool")]
    {
        place.on_host(&format!("mkdir -p {dir}"));
        tick();
        let name = format!("keep:{}", dir.replace(['/', '.'], ""));
        let keep = ["--overlay", dir, "--upper", &name];
        place
            .sh(&keep, &format!("cd {dir}; for file in {files}; do mkdir -p $(dirname $file); echo x > $file; done"))
            .ok();
        tick();
        let ran = place.run(&["commit", &name[5..]]);
        assert_eq!(ran.status, Some(1), "{dir}: {ran:?}");
        assert_eq!(place.on_host(&format!("find {dir} -type f")), "", "{ran:?}");
    }
}

#[test]
fn names_count_in_what_a_layer_lies_over_as_well() {
    need!(userns());
    let place = Place::new();
    place.on_host("mkdir -p .git/hooks .vscode tools; echo one > .git/config; echo one > .vscode/tasks.json");
    for (dir, script) in [
        (".git", "echo x > hooks/pre-commit; echo x >> config"),
        (".vscode", "echo x >> tasks.json"),
        ("tools", "echo x > bazel"),
    ] {
        tick();
        let (from, name) = (place.work().join(dir), format!("over{}", dir.replace('.', "")));
        let flags = ["--overlay", "/mnt", "--from", from.to_str().unwrap(), "--upper", &format!("keep:{name}")];
        place.sh(&flags, &format!("cd /mnt; {script}")).ok();
        tick();
        let ran = place.run(&["commit", &name]);
        assert_eq!((ran.status, ran.out.as_str()), (Some(1), ""), "{dir}: {ran:?}");
        assert!(ran.err.contains("left as it is on the host ("), "{ran:?}");
        assert_eq!(place.on_host("cat .git/config .vscode/tasks.json; ls tools .git/hooks").matches("x\n").count(), 0);
    }
    place.run(&["commit", "overtools", "/mnt/bazel"]).ok();
    assert_eq!(place.on_host("cat tools/bazel"), "x\n");
}

/// Leaves the journal of a commit that was killed in this phase of a path, after `old` was moved to `.sbx-commit-1-0`. What was at the path in
/// the layer is there on the host, if the path is.
fn interrupted(place: &Place, path: &str, old: &Path, phase: &str) {
    let facts = |path: &Path| {
        let found = path.symlink_metadata().unwrap();
        format!(
            r#"{{"id":[{},{}],"kind":2,"mode":{},"owner":[{},{}],"size":{},"modified":[{},{}]}}"#,
            found.dev(),
            found.ino(),
            found.mode() & 0o7777,
            found.uid(),
            found.gid(),
            found.len(),
            found.mtime(),
            found.mtime_nsec()
        )
    };
    let there = place.work().canonicalize().unwrap().join(path);
    let (copy, layers) = match there.symlink_metadata() {
        Ok(found) => (format!("[{},{}]", found.dev(), found.ino()), format!(r#","layers":{}"#, facts(&there))),
        Err(_) => ("null".to_owned(), String::new()),
    };
    let bytes: Vec<String> = there.as_os_str().as_encoded_bytes().iter().map(u8::to_string).collect();
    let entry = format!(
        r#"{{"index":0,"path":[{}],"beside":".sbx-commit-1-0","old":{},"base":0,"copy":{copy}{layers},"phase":"{phase}"}}"#,
        bytes.join(","),
        facts(old)
    );
    std::fs::write(place.home().join(".local/share/sbx/uppers/one/commit.json"), entry + "\n").unwrap();
}

#[test]
fn what_a_commit_put_there_when_it_was_killed_is_no_conflict_later() {
    need!(userns());
    let place = Place::new();
    let old = place.write("work/file", "old\n");
    std::fs::hard_link(&old, place.work().join("aside")).unwrap();
    tick();
    place.sh(&KEEP, "echo one > file").ok();
    place.run(&["snapshot", "one"]).ok();
    place.run(&["commit", "one"]).ok();
    // As if it had been killed before it noted that.
    std::fs::remove_file(place.home().join(".local/share/sbx/uppers/one/committed")).unwrap();
    interrupted(&place, "file", &place.work().join("aside"), "moving");
    place.run(&["commit", "one"]).ok();
    place.sh(&KEEP, "echo two > file").ok();
    place.run(&["commit", "one"]).ok();
    assert_eq!(place.on_host("cat file aside"), "two\nold\n");
}

#[test]
fn a_file_that_loses_a_name_to_an_interrupted_commit_is_no_conflict_at_its_others() {
    need!(userns());
    let place = Place::new();
    let old = place.write("work/a", "old\n");
    std::fs::hard_link(&old, place.work().join("b")).unwrap();
    tick();
    place.sh(&KEEP, "rm a; echo new > b").ok();
    // As if a commit had been killed when it was about to remove what it had moved aside.
    std::fs::rename(&old, place.work().join(".sbx-commit-1-0")).unwrap();
    interrupted(&place, "a", &place.work().join(".sbx-commit-1-0"), "condemned");
    place.run(&["commit", "one"]).ok();
    assert_eq!(place.on_host("ls -A; cat b"), "b\nnew\n");
}
