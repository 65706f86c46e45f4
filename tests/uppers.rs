//! Taking stock of kept layers: what differs, putting it onto the host, writing it to a file, freezing it, throwing it away.

mod common;

use common::process::{signal, status};
use common::terminal::Session;
use common::{Place, Ran, not_root, tick, tools, until, userns};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

const KEEP: [&str; 4] = ["--overlay", ".", "--upper", "keep:one"];

/// A place with a project in its current directory, and what a program did to it in the layer `one`.
fn changed(script: &str) -> Place {
    let place = Place::new();
    place.write("work/file", "old\nlines\n");
    place.write("work/sub/inner", "inner\n");
    place.write("work/sub/deep/leaf", "leaf\n");
    tick();
    place.sh(&KEEP, script).ok();
    tick();
    place
}

/// The output of a verb, with the path of the current directory as `.`.
fn verb(place: &Place, args: &[&str]) -> Ran {
    let ran = place.run(args);
    let work = place.work().canonicalize().unwrap().display().to_string();
    Ran { out: ran.out.replace(&work, "."), err: ran.err.replace(&work, "."), ..ran }
}

fn text(place: &Place, path: &str) -> String {
    std::fs::read_to_string(place.work().join(path)).unwrap_or_default()
}

fn upper(place: &Place) -> PathBuf {
    place.home().join(".local/share/sbx/uppers/one/0/upper")
}

const SCRIPT: &str = "echo new >> file; echo x > made; mkdir dir; echo y > dir/y; rm sub/inner; rm -r sub/deep; mkdir sub/deep; \
                      echo z > sub/deep/z; ln -s file link; chmod 755 made; touch -r file same; rm same";

#[test]
fn a_diff_lists_what_is_added_modified_and_deleted() {
    need!(userns());
    let place = changed(SCRIPT);
    let expected =
        "A ./dir\nA ./dir/y\nM ./file\nA ./link (a link)\nA ./made\nD ./sub/deep/leaf\nA ./sub/deep/z\nD ./sub/inner\n";
    assert_eq!(verb(&place, &["diff", "one"]).ok().replace("  ", " "), expected);
    assert_eq!(
        verb(&place, &["diff", "LAST", "sub"]).ok().replace("  ", " "),
        expected.split_once("./made\n").unwrap().1
    );
    let json: serde_json::Value = serde_json::from_str(&verb(&place, &["diff", "one", "--json"]).ok()).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 8);
    assert_eq!((&json[2]["change"], &json[2]["size"]), (&"modified".into(), &14.into()));
    assert!(verb(&place, &["diff", "one", "--stat"]).ok().ends_with("5 added, 1 modified, 2 deleted\n"));
    // What was only opened for writing, or written as it was, does not differ.
    let same = changed("cp -p file copy; cat copy > file; touch -r copy file; rm copy; chmod 700 sub; chmod 755 sub");
    assert_eq!(verb(&same, &["diff", "one"]).ok(), "");
}

#[test]
fn a_patch_is_one_that_git_applies() {
    need!(userns(), tools(&["git"]));
    let place = changed(&format!("{SCRIPT}; printf 'a\\0b' > binary; rm binary; printf odd > 'od\td\n\"name'"));
    let patch = place.run(&["diff", "one", "--patch"]).ok();
    let copy = place.dir.path().join("copy");
    let run = |program: &str, args: &[&str]| {
        let output = std::process::Command::new(program).args(args).current_dir(&copy).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    std::fs::create_dir(&copy).unwrap();
    run("cp", &["-a", "../work/.", "."]);
    std::fs::write(place.dir.path().join("patch"), &patch).unwrap();
    run("git", &["apply", "../patch"]);
    assert_eq!(std::fs::read_to_string(copy.join("file")).unwrap(), "old\nlines\nnew\n");
    assert_eq!(std::fs::read_to_string(copy.join("od\td\n\"name")).unwrap(), "odd");
    assert!(!copy.join("sub/inner").exists() && copy.join("sub/deep/z").exists() && copy.join("link").is_symlink());
}

#[test]
fn an_exported_patch_makes_of_the_host_what_the_program_had() {
    need!(userns(), tools(&["git", "cp"]));
    let place = Place::new();
    for (file, content) in [
        ("text", "one\ntwo\n"),
        ("latin", "caf\u{e9}\n"),
        ("gone/deep/file", "x\n"),
        ("gone/other", "y"),
        ("dir/in", "z\n"),
        ("file", "f\n"),
        ("mode", "m\n"),
        ("touched", "t\n"),
        ("empty", ""),
        ("replaced", "r\n"),
    ] {
        place.write(&format!("work/{file}"), content);
    }
    let binary: Vec<u8> = (0..200_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for name in ["binary", "old", "gone/binary"] {
        std::fs::write(place.work().join(name), &binary).unwrap();
    }
    symlink("text", place.work().join("link")).unwrap();
    tick();
    let script = "echo three >> text; printf 'th\\351\\n' > latin; rm -r gone; printf '\\0end' >> binary; mv old 'new n\u{e4}me'; chmod 755 mode; \
                  touch -d 2001-01-01 touched; rm -r dir; echo now > dir; rm file; mkdir file; echo in > file/in; rm link; echo no > link; \
                  rm replaced; ln -s text replaced; mkdir none; printf '\\0' > empty; : > zero; mkfifo pipe; printf end > last; cp -a . /tmp/inside; \
                  cd /tmp/inside && rm -r none pipe && find . \\( -type f -o -type l \\) | sort | while read f; do ls -ld \"$f\" | cut -c1,4; \
                  readlink \"$f\" || cksum < \"$f\"; echo \"$f\"; done";
    let inside = place.sh(&KEEP, script).ok();
    let ran = place.run(&["export", "one", "--patch", "-o", "../patch"]);
    for note in ["/none: a patch has no empty directories", "/pipe: a patch has files and links only"] {
        assert!(ran.err.contains(note), "{ran:?}");
    }
    ran.ok();
    let apply = "git apply ../patch; find . \\( -type f -o -type l \\) | sort | while read f; do ls -ld \"$f\" | cut -c1,4; \
                 readlink \"$f\" || cksum < \"$f\"; echo \"$f\"; done";
    let applied = std::process::Command::new("sh").args(["-ec", apply]).current_dir(place.work()).output().unwrap();
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    assert_eq!(String::from_utf8_lossy(&applied.stdout), inside);
}

#[test]
fn a_commit_puts_the_changes_onto_the_host_and_empties_the_layer() {
    need!(userns());
    let place = changed(SCRIPT);
    let dry = verb(&place, &["commit", "one", "--dry-run"]).ok();
    assert_eq!(dry, verb(&place, &["diff", "one"]).ok().replace("  (a link)", "").replace("  ", " "));
    assert_eq!(text(&place, "file"), "old\nlines\n", "nothing is done yet");
    assert_eq!(verb(&place, &["commit", "one"]).ok(), dry);
    assert_eq!(text(&place, "file"), "old\nlines\nnew\n");
    assert_eq!(
        (text(&place, "made"), text(&place, "dir/y"), text(&place, "sub/deep/z")),
        ("x\n".into(), "y\n".into(), "z\n".into())
    );
    assert!(!place.work().join("sub/inner").exists() && !place.work().join("sub/deep/leaf").exists());
    assert_eq!(std::fs::metadata(place.work().join("made")).unwrap().mode() & 0o777, 0o755);
    assert_eq!(std::fs::read_link(place.work().join("link")).unwrap(), PathBuf::from("file"));
    assert_eq!(verb(&place, &["diff", "one"]).ok(), "");
    assert_eq!(std::fs::read_dir(upper(&place)).unwrap().count(), 0, "the host shows through again");
    // The layer goes on, and what it deletes next is no conflict.
    place.sh(&KEEP, "rm made; echo more >> file").ok();
    assert_eq!(verb(&place, &["commit", "one"]).ok(), "M ./file\nD ./made\n");
    assert!(!place.work().join("made").exists());
}

#[test]
fn a_commit_names_the_paths_of_the_host() {
    need!(userns());
    let place = Place::new();
    place.write("other/file", "old\n");
    let from = place.dir.path().join("other").display().to_string();
    tick();
    place.sh(&["--overlay", ".", "--from", &from, "--upper", "keep:one"], "echo new > file").ok();
    let out = place.run(&["commit", "one"]).ok();
    assert!(out.ends_with("/other/file\n"), "{out}");
    assert_eq!(std::fs::read_to_string(place.dir.path().join("other/file")).unwrap(), "new\n");
}

#[test]
fn chosen_paths_are_committed_and_the_rest_stays_in_the_layer() {
    need!(userns());
    let place = changed(SCRIPT);
    let dry = verb(&place, &["commit", "one", "dir/y", "sub", "--dry-run"]);
    let commit = verb(&place, &["commit", "one", "dir/y", "sub"]);
    // The directory that `y` lies in is new, and comes with it.
    assert_eq!((dry.status, &dry.out), (Some(0), &commit.out), "{commit:?}");
    commit.ok();
    assert!(!place.work().join("sub/inner").exists() && !place.work().join("made").exists());
    assert_eq!(verb(&place, &["diff", "one"]).ok().replace("  ", " "), "M ./file\nA ./link (a link)\nA ./made\n");
    let error = verb(&place, &["commit", "one", "none/../../x"]).failed(125);
    assert!(error.contains("`..` leads out of a directory that is not there"), "{error}");
}

#[test]
fn what_has_changed_on_the_host_meanwhile_is_a_conflict_and_stays() {
    need!(userns());
    let place = changed(SCRIPT);
    tick();
    place.write("work/file", "the host's\n");
    place.write("work/made", "the host's\n");
    place.write("work/sub/inner", "the host's\n");
    let diff = verb(&place, &["diff", "one"]).ok();
    assert!(diff.contains("M!./file\n") && diff.contains("D!./sub/inner\n"), "{diff}");
    let ran = verb(&place, &["commit", "one"]);
    assert!(
        ran.err.contains("./file left as it is on the host: the host's file has changed since the program saw it"),
        "{ran:?}"
    );
    assert_eq!(ran.status, Some(1));
    for path in ["file", "made", "sub/inner"] {
        assert_eq!(text(&place, path), "the host's\n", "{path}");
    }
    assert_eq!(text(&place, "dir/y"), "y\n", "the others are committed");
    // A whole directory that was deleted, and has a new file by now.
    let place = changed("rm -r sub");
    place.write("work/sub/deep/new", "the host's\n");
    let error = verb(&place, &["commit", "one"]).failed(1);
    assert!(error.contains("`new` in it has changed on the host"), "{error}");
    assert_eq!(text(&place, "sub/deep/leaf"), "leaf\n");
}

#[test]
fn what_has_changed_on_the_host_since_a_run_began_is_a_conflict() {
    need!(userns(), tools(&["mkfifo"]));
    let place = Place::new();
    std::fs::create_dir_all(place.work().join("shared")).unwrap();
    for file in ["replaced", "rewritten", "untouched"] {
        place.write(&format!("work/{file}"), "one\n");
    }
    place.on_host("mkfifo shared/ask shared/told");
    tick();
    // The program reads the files before the host changes them, and writes what it makes of them after that.
    let script = "cat replaced > /dev/null; cp rewritten kept; echo > shared/ask; read line < shared/told
        echo program >> replaced; echo program >> kept; mv kept rewritten; echo program >> untouched";
    let child = place
        .command()
        .args(KEEP)
        .args(["--rw", "shared", "--", "/bin/sh", "-c", script])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    place.on_host("timeout 60 cat shared/ask; echo host > new; mv new replaced; echo host >> rewritten; timeout 60 sh -c 'echo > shared/told'",
    );
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    tick();
    let ran = verb(&place, &["commit", "one"]);
    let files = ["replaced", "rewritten", "untouched"].map(|file| text(&place, file));
    assert_eq!(files, ["host\n", "one\nhost\n", "one\nprogram\n"], "{ran:?}");
    assert_eq!(ran.status, Some(1));
    // The next run saw them.
    place.sh(&KEEP, "rm replaced rewritten; echo more > replaced").ok();
    assert!(
        verb(&place, &["diff", "one"]).ok().contains("D!./rewritten"),
        "what is not committed is compared as before"
    );
}

#[test]
fn directories_that_the_program_never_saw_are_neither_removed_nor_written_to() {
    need!(userns());
    let place = Place::new();
    for path in ["build/o", "conf/c", "conf/d", "secret/s", "made/x", "imp/thesis", "other/c", "other/d", "third/x"] {
        place.write(&format!("work/{path}"), "the user's\n");
    }
    tick();
    let script =
        "rm -r build; echo more >> conf/c; rm conf/d; echo new > secret/new; rm -r made; mkdir made; echo y > made/x";
    place.sh(&KEEP, script).ok();
    tick();
    // Older files, in other directories, at the paths that the program has changed.
    place.on_host("mkdir build 2>/dev/null || true; mv imp build/important; mv conf conf.bak; mv other conf; chmod 700 secret; mv made made.bak; mv third made",
    );
    let before = tree(&place.work());
    let list = verb(&place, &["diff", "one"]).ok();
    for line in ["D!./build\n", "M!./conf/c\n", "D!./conf/d\n", "M!./secret  (mode 0700 → 0755)\n", "M!./made/x\n"] {
        assert!(list.contains(line), "{line}: {list}");
    }
    let error = verb(&place, &["commit", "one"]).failed(1);
    assert!(error.contains("./build left as it is on the host: `important` in it has changed"), "{error}");
    let after = tree(&place.work());
    let new: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert_eq!(new, ["secret/new 644 \"new\\n\""], "what is new has no conflict, and nothing else is done");
    assert_eq!(before.len() + 1, after.len());
    // The whole directory is another one.
    let place = changed("echo new > file; rm sub/inner");
    tick();
    place.on_host("cd ..; mv work old; mkdir work; cp -rp old/. work; cd work; true");
    let error = verb(&place, &["commit", "one"]).failed(1);
    assert!(error.contains("another one on the host by now"), "{error}");
    assert_eq!((text(&place, "file"), text(&place, "sub/inner")), ("old\nlines\n".into(), "inner\n".into()));
}

#[test]
fn work_on_the_host_beside_what_the_program_changed_is_no_conflict() {
    need!(userns());
    let place = changed("echo new > file; echo new > sub/inner; rm sub/deep/leaf; chmod 700 sub/deep; echo x > sub/x");
    place.sh(&KEEP, "echo more >> sub/inner; echo y > sub/deep/y").ok();
    tick();
    for path in ["beside", "sub/beside", "sub/deep/beside"] {
        place.write(&format!("work/{path}"), "the user's\n");
    }
    // In two parts, each of which changes directories; and a hard link of what is deleted.
    verb(&place, &["commit", "one", "sub/x"]).ok();
    verb(&place, &["commit", "one"]).ok();
    assert_eq!((text(&place, "sub/inner"), text(&place, "sub/beside")), ("new\nmore\n".into(), "the user's\n".into()));
    assert!(!place.work().join("sub/deep/leaf").exists() && place.work().join("sub/deep/y").exists());
    assert_eq!(std::fs::metadata(place.work().join("sub/deep")).unwrap().mode() & 0o777, 0o700);
    assert_eq!(verb(&place, &["diff", "one"]).ok(), "");
    // Two names of one file, changed both: the first changes the times of the second.
    let place = Place::new();
    let file = place.write("work/a", "old\n");
    for other in ["b", "c", "d"] {
        std::fs::hard_link(&file, place.work().join(other)).unwrap();
    }
    tick();
    place.sh(&KEEP, "rm a b; echo new > c; echo new > d").ok();
    verb(&place, &["commit", "one"]).ok();
    assert_eq!(
        (text(&place, "a"), text(&place, "c"), text(&place, "d")),
        (String::new(), "new\n".into(), "new\n".into())
    );
}

/// Kills a verb after a while, with the process that works for it. Whether it was still at work.
fn killed(place: &Place, args: &[&str], after: std::time::Duration) -> bool {
    let mut verb = place.command();
    verb.args(args).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut verb = verb.spawn().unwrap();
    std::thread::sleep(after);
    let pid = verb.id();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    verb.kill().unwrap();
    for child in children.split_whitespace() {
        // SAFETY: it takes two integers.
        unsafe { libc::kill(child.parse().unwrap(), libc::SIGKILL) };
    }
    use std::os::unix::process::ExitStatusExt;
    verb.wait().unwrap().signal().is_some()
}

/// `SBX_KILLS` kills more often, `SBX_SEED` at other times.
#[test]
fn an_interrupted_commit_loses_nothing_and_the_next_one_finishes_it() {
    need!(userns());
    let number = |name: &str, or: u64| std::env::var(name).ok().map_or(or, |text| text.parse().unwrap());
    let (mut random, kills) =
        (Random(number("SBX_SEED", 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1), number("SBX_KILLS", 40));
    // Files that are changed and new; directories that are deleted, replaced by a link and by a file, and made of a file.
    let make = "i=0; while [ $i -lt 60 ]; do echo new $i > f$i; i=$((i+1)); done; rm -r sub; mkdir sub; echo s > sub/s; echo new > file; \
                rm -r many; ln -s f1 many; rm -r deep; rm -r dir; echo plain > dir; rm plain; mkdir -m 750 plain; echo p > plain/p; \
                chmod 700 kept; rm kept/gone; ln f0 hard";
    let mut done = 0;
    while done < kills {
        let place = Place::new();
        place.write("work/file", "old\n");
        place.write("work/sub/inner", "inner\n");
        for i in 0..30 {
            place.write(&format!("work/f{i}"), "old\n");
            place.write(&format!("work/many/{i}/{i}"), "old\n");
            place.write(&format!("work/deep/{}x", "d/".repeat(i)), "old\n");
        }
        for path in ["dir/x", "plain", "kept/gone", "kept/stays"] {
            place.write(&format!("work/{path}"), "old\n");
        }
        tick();
        place.sh(&KEEP, make).ok();
        // Some kills of the same commit; the last one ends.
        for _ in 0..4 {
            let at_work = killed(
                &place,
                &["commit", "one"],
                std::time::Duration::from_micros(6000 + random.below(40_000) as u64),
            );
            done += u64::from(at_work);
            for i in 0..60 {
                let found = text(&place, &format!("f{i}"));
                assert!(found == format!("new {i}\n") || found == if i < 30 { "old\n" } else { "" }, "{i}: {found:?}");
            }
            let many = place.work().join("many");
            assert!(many.is_symlink() || std::fs::read_dir(&many).unwrap().count() == 30, "all of it or nothing");
            assert!(["old\n", "new\n"].contains(&text(&place, "file").as_str()));
            if !at_work {
                break;
            }
        }
        let last = std::cell::RefCell::new(None);
        until(|| {
            let ran = place.run(&["commit", "one"]);
            let ended = ran.status == Some(0) || ran.err.contains("left as it is");
            *last.borrow_mut() = Some(ran);
            ended
        });
        let last = last.into_inner().unwrap();
        assert_eq!(last.status, Some(0), "{last:?}");
        let mut names: Vec<_> =
            std::fs::read_dir(place.work()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.retain(|name| !name.to_str().unwrap().starts_with('f'));
        names.sort();
        assert_eq!(names, ["dir", "hard", "kept", "many", "plain", "sub"], "nothing is left beside");
        assert_eq!(
            (
                text(&place, "f59"),
                text(&place, "file"),
                text(&place, "sub/s"),
                text(&place, "dir"),
                text(&place, "plain/p")
            ),
            ("new 59\n".into(), "new\n".into(), "s\n".into(), "plain\n".into(), "p\n".into())
        );
        let mode = |path: &str| std::fs::metadata(place.work().join(path)).unwrap().mode() & 0o777;
        assert_eq!((mode("plain"), mode("kept")), (0o750, 0o700));
        assert_eq!(std::fs::read_dir(place.work().join("kept")).unwrap().count(), 1);
        assert!(!place.work().join("sub/inner").exists());
        assert_eq!(verb(&place, &["diff", "one"]).ok(), "");
    }
}

#[test]
fn what_the_host_has_changed_after_an_interruption_is_not_lost() {
    need!(userns());
    // As if a commit had been killed while it copied, and the host's file were edited then.
    let place = changed("echo new > file");
    let beside = place.work().join(".sbx-commit-1-0");
    let journal = upper(&place).parent().unwrap().parent().unwrap().join("commit.json");
    let path: Vec<String> = place
        .work()
        .canonicalize()
        .unwrap()
        .join("file")
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .map(u8::to_string)
        .collect();
    let entry = |phase: &str, copy: &str| {
        let old = r#"{"id":[1,2],"kind":2,"mode":420,"owner":[0,0],"size":10,"modified":[0,0]}"#;
        let path = path.join(",");
        format!(
            "{{\"index\":0,\"path\":[{path}],\"beside\":\".sbx-commit-1-0\",\"old\":{old},\"base\":0,\"copy\":{copy},\"phase\":\"{phase}\"}}\n"
        )
    };
    std::fs::write(&beside, "ne").unwrap();
    std::fs::write(&journal, entry("copying", "null")).unwrap();
    place.write("work/file", "the host's\n");
    verb(&place, &["commit", "one"]).failed(1);
    assert_eq!((text(&place, "file"), beside.exists()), ("the host's\n".into(), false));
    // Killed after the exchange, with what the host had aside, and the host has another file there since.
    std::fs::write(&beside, "what was there\n").unwrap();
    std::fs::write(&journal, entry("moving", "[1,1]")).unwrap();
    let error = verb(&place, &["commit", "one"]).failed(125);
    assert!(error.contains("is what was there before"), "{error}");
    assert_eq!(std::fs::read_to_string(&beside).unwrap(), "what was there\n");
    std::fs::remove_file(&beside).unwrap();
    verb(&place, &["commit", "one"]).failed(1);
    assert_eq!(text(&place, "file"), "the host's\n");
}

#[test]
fn what_is_mounted_on_the_host_is_neither_written_to_nor_removed() {
    need!(userns(), tools(&["unshare"]));
    let place = Place::new();
    for path in ["aside/inner", "aside/deep/leaf", "mounted"] {
        place.write(path, "mounted\n");
    }
    for path in ["file", "sub/inner", "sub/deep/leaf"] {
        place.write(&format!("work/{path}"), "old\n");
    }
    tick();
    place.sh(&KEEP, "echo new > sub/inner; rm sub/deep/leaf; echo new > sub/new; echo new > file; echo x > added").ok();
    let work = place.work().display().to_string();
    let sbx = common::sbx().display().to_string();
    let (uid, gid) = (std::fs::metadata(place.work()).unwrap().uid(), std::fs::metadata(place.work()).unwrap().gid());
    let script = format!(
        "cd {work} && mount --bind ../aside sub && mount --bind ../mounted file && \
         exec unshare -U --map-user={uid} --map-group={gid} {sbx} commit one"
    );
    let mut command = std::process::Command::new("unshare");
    command.args(["-rm", "/bin/sh", "-c", &script]).env("HOME", place.home()).current_dir(place.work());
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    let mounted = error.matches("something is mounted there on the host").count();
    let held = error.matches("may be its other name").count();
    assert_eq!((mounted, held), (4, 0), "each for its own reason: {error}");
    for path in ["aside/inner", "aside/deep/leaf", "mounted"] {
        assert_eq!(std::fs::read_to_string(place.dir.path().join(path)).unwrap(), "mounted\n", "{path}");
    }
    assert_eq!(text(&place, "added"), "x\n");
    // Below a directory that is to be deleted.
    let place = changed("rm -r sub; ln -s file sub");
    place.write("mounted", "mounted\n");
    let work = place.work().display().to_string();
    let script = format!(
        "cd {work} && mount --bind ../mounted sub/deep/leaf && \
         exec unshare -U --map-user={uid} --map-group={gid} {sbx} commit one"
    );
    let mut command = std::process::Command::new("unshare");
    command.args(["-rm", "/bin/sh", "-c", &script]).env("HOME", place.home()).current_dir(place.work());
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("something is mounted on `leaf` in it"), "{error}");
    assert_eq!((text(&place, "sub/inner"), text(&place, "sub/deep/leaf")), ("inner\n".into(), "leaf\n".into()));
    assert_eq!(std::fs::read_dir(place.work()).unwrap().count(), 2, "nothing is left beside");
}

#[test]
fn the_old_name_stays_until_the_new_one_is_there() {
    need!(userns());
    let place = Place::new();
    place.write("work/doc", "precious\n");
    place.write("work/dir/doc", "precious\n");
    place.write("work/gone", "x\n");
    tick();
    place.sh(&KEEP, "mv doc doc.txt; mv dir/doc inner.txt; rm -r dir gone").ok();
    tick();
    // The host has something else at the new names by now.
    place.write("work/doc.txt", "other\n");
    place.write("work/inner.txt", "other\n");
    let commit = verb(&place, &["commit", "one"]);
    assert_eq!(commit.status, Some(1), "{commit:?}");
    assert_eq!(
        (text(&place, "doc").as_str(), text(&place, "dir/doc").as_str()),
        ("precious\n", "precious\n"),
        "{commit:?}"
    );
    std::fs::remove_file(place.work().join("doc.txt")).unwrap();
    std::fs::remove_file(place.work().join("inner.txt")).unwrap();
    verb(&place, &["commit", "one"]).ok();
    assert_eq!((text(&place, "doc.txt").as_str(), text(&place, "inner.txt").as_str()), ("precious\n", "precious\n"));
    assert!(!place.work().join("doc").exists() && !place.work().join("gone").exists());
}

#[test]
fn a_directory_that_the_program_closed_is_closed_when_everything_is_in_it() {
    need!(userns(), not_root());
    let place = changed("echo new > sub/new; rm sub/inner; chmod 0 sub; mkdir n; echo n > n/n; chmod 300 n");
    verb(&place, &["commit", "one"]).ok();
    for (dir, mode) in [("sub", 0), ("n", 0o300)] {
        let path = place.work().join(dir);
        assert_eq!(path.metadata().unwrap().mode() & 0o777, mode, "{dir}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    assert_eq!((text(&place, "sub/new").as_str(), text(&place, "n/n").as_str()), ("new\n", "n\n"));
    assert!(!place.work().join("sub/inner").exists());
}

#[test]
fn an_interrupted_snapshot_or_removal_is_finished_by_the_next_verb() {
    need!(userns());
    let store = |place: &Place| place.home().join(".local/share/sbx/uppers");
    let mut random = Random(7);
    for _ in 0..6 {
        let place = changed("i=0; while [ $i -lt 300 ]; do mkdir -p a/$i/b; echo x > a/$i/b/c; i=$((i+1)); done");
        let micros = |random: &mut Random, most| std::time::Duration::from_micros(4000 + random.below(most) as u64);
        killed(&place, &["snapshot", "one"], micros(&mut random, 8000));
        until(|| place.sh(&KEEP, "ls a | wc -l").out == "300\n");
        until(|| place.run(&["snapshot", "one"]).status == Some(0));
        killed(&place, &["discard", "one"], micros(&mut random, 30_000));
        place.sh(&["--overlay", ".", "--upper", "keep:two"], "true").ok();
        until(|| place.run(&["discard", "two"]).status == Some(0));
        let _ = place.run(&["discard", "one"]);
        let frozen = std::fs::read_dir(store(&place).join(".frozen")).into_iter().flatten().count();
        let names: Vec<_> = std::fs::read_dir(store(&place)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!((frozen, names), (0, vec![".frozen".into()]));
    }
    // What is left of a removal whose state has gone, and a frozen layer that nothing names.
    let place = changed("echo x > file");
    for path in [".run-gone-1-2/lock", ".frozen/5-0/upper/x"] {
        std::fs::create_dir_all(store(&place).join(path).parent().unwrap()).unwrap();
        std::fs::write(store(&place).join(path), "").unwrap();
    }
    std::fs::set_permissions(store(&place).join(".frozen"), PermissionsExt::from_mode(0o700)).unwrap();
    verb(&place, &["discard", "one"]).ok();
    assert_eq!(std::fs::read_dir(store(&place)).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(store(&place).join(".frozen")).unwrap().count(), 0);
}

#[test]
fn a_layer_that_somebody_forged_leads_nowhere() {
    need!(userns());
    let place = changed("mkdir dir; echo x > dir/x; echo y > file; cp /bin/true tool");
    std::fs::set_permissions(upper(&place).join("tool"), PermissionsExt::from_mode(0o6755)).unwrap();
    let victim = place.dir.path().join("victim");
    std::fs::create_dir(&victim).unwrap();
    std::fs::write(victim.join("x"), "victim\n").unwrap();
    // The host's directory is a link by now: what is committed must not go through it.
    std::fs::create_dir(place.work().join("dir")).unwrap();
    std::fs::remove_dir(place.work().join("dir")).unwrap();
    symlink(&victim, place.work().join("dir")).unwrap();
    // A link in the layer, to a directory of the host's: it is committed as a link, and not followed.
    symlink(&victim, upper(&place).join("out")).unwrap();
    let ran = verb(&place, &["commit", "one"]);
    assert!(ran.err.contains("the set-user-ID and set-group-ID bits are left out"), "{ran:?}");
    assert_eq!(std::fs::read_to_string(victim.join("x")).unwrap(), "victim\n");
    assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 1);
    assert_eq!(std::fs::metadata(place.work().join("tool")).unwrap().permissions().mode() & 0o7777, 0o755);
    // A directory of the layer that is a link.
    let place = changed("true");
    std::fs::remove_dir(upper(&place)).unwrap();
    symlink(&victim, upper(&place)).unwrap();
    for args in [&["diff", "one"][..], &["commit", "one"], &["export", "one", "-o", "../layer.tar"]] {
        let error = place.run(args).failed(125);
        assert!(error.contains("(ELOOP)"), "{error}");
    }
    // Content that is elsewhere.
    let place = changed("echo x > file");
    let file = std::ffi::CString::new(upper(&place).join("file").to_str().unwrap()).unwrap();
    for mark in [c"user.overlay.metacopy", c"user.overlay.redirect"] {
        // SAFETY: path and name end with a NUL; the value has the length that is passed.
        assert_eq!(unsafe { libc::setxattr(file.as_ptr(), mark.as_ptr(), c"/etc".as_ptr().cast(), 4, 0) }, 0);
        let error = place.run(&["commit", "one"]).failed(125);
        assert!(error.contains("somebody else has written to the layer"), "{error}");
        // SAFETY: path and name end with a NUL.
        unsafe { libc::removexattr(file.as_ptr(), mark.as_ptr()) };
    }
}

#[test]
fn marks_of_a_layer_are_not_put_onto_the_host() {
    need!(userns(), tools(&["python3"]));
    let set = "python3 -c \"import os; os.setxattr('sub/x', 'user.mine', b'1')\"";
    let place = changed(&format!("rm -r sub; mkdir sub; echo x > sub/x; {set}"));
    verb(&place, &["commit", "one"]).ok();
    let list = |path: &str| {
        let path = std::ffi::CString::new(place.work().join(path).to_str().unwrap()).unwrap();
        let mut names = vec![0_u8; 4096];
        // SAFETY: the path ends with a NUL; the buffer may be written for its length.
        let length = unsafe { libc::listxattr(path.as_ptr(), names.as_mut_ptr().cast(), names.len()) };
        String::from_utf8_lossy(&names[..length as usize]).into_owned()
    };
    assert_eq!((list("sub"), list("sub/x")), (String::new(), "user.mine\0".into()));
}

#[test]
fn an_export_is_a_layer_of_an_image() {
    need!(userns(), tools(&["tar"]));
    let place = changed(&format!("{SCRIPT}; ln made hard; head -c 1000 /dev/zero > \"$(printf 'n%.0s' $(seq 200))\""));
    place.run(&["export", "one", "-o", "../layer.tar"]).ok();
    let list =
        std::process::Command::new("tar").args(["-tf", "../layer.tar"]).current_dir(place.work()).output().unwrap();
    assert!(list.status.success(), "{list:?}");
    let work = place.work().canonicalize().unwrap();
    let start = format!("{}/", work.strip_prefix("/").unwrap().display());
    let list = String::from_utf8(list.stdout).unwrap();
    let names: Vec<_> = list.lines().map(|name| name.strip_prefix(&start).unwrap_or(name)).collect();
    for name in [
        "dir",
        "dir/y",
        "file",
        "link",
        "made",
        "sub",
        "sub/.wh.inner",
        "sub/deep",
        "sub/deep/.wh..wh..opq",
        "sub/deep/z",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    assert!(
        !names.contains(&"sub/inner")
            && !names.contains(&"dir/.wh..wh..opq")
            && names.iter().any(|name| name.len() == 200),
        "{names:?}"
    );
    // Each file with what it holds.
    let file = format!("{start}file");
    let content = std::process::Command::new("tar")
        .args(["-xOf", "../layer.tar", &file])
        .current_dir(place.work())
        .output()
        .unwrap();
    assert!(!content.stdout.is_empty() && !content.stdout.contains(&0), "{content:?}");
    // However little there is to write.
    for flags in [&[][..], &["--patch"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = place.command();
        let ran = common::ran(command.args(["export", "one"]).args(flags).stdout(full).output().unwrap());
        assert!(ran.failed(125).contains("no space left on device"), "{flags:?}");
    }
    let error = place.run(&["export", "one", "-o", "/nowhere/x"]).failed(125);
    assert!(error.contains("cannot write /nowhere/x"), "{error}");
    // What somebody has put at the path is replaced, or refused: a link is not followed, a FIFO not waited for.
    let place = changed("echo x > file");
    place.write("victim", "victim\n");
    let out = place.work().join("out");
    symlink("../victim", &out).unwrap();
    let refused = |place: &Place| {
        let ran = place.run(&["export", "one", "-o", "out"]).failed(125);
        assert!(ran.contains("is no regular file"), "{ran}");
    };
    refused(&place);
    std::fs::remove_file(&out).unwrap();
    std::process::Command::new("mkfifo").arg(&out).status().unwrap();
    refused(&place);
    std::fs::remove_file(&out).unwrap();
    std::fs::hard_link(place.dir.path().join("victim"), &out).unwrap();
    place.run(&["export", "one", "-o", "out"]).ok();
    assert_eq!(std::fs::read_to_string(place.dir.path().join("victim")).unwrap(), "victim\n");
    assert!(std::fs::metadata(&out).unwrap().len() > 1000);
    let names: Vec<_> = std::fs::read_dir(place.work()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "nothing is left beside: {names:?}");
}

#[test]
fn a_snapshot_and_a_fork_begin_where_the_layer_was_and_go_their_own_ways() {
    need!(userns());
    let place = changed("echo one > file; rm sub/inner; echo a > made");
    verb(&place, &["snapshot", "one"]).ok();
    assert_eq!(std::fs::read_dir(upper(&place)).unwrap().count(), 0);
    let all = "M ./file\nA ./made\nD ./sub/inner\n";
    assert_eq!(verb(&place, &["diff", "one"]).ok().replace("  ", " "), all);
    assert_eq!(place.sh(&KEEP, "cat file made; ls sub; rm made; echo b > more").ok(), "one\na\ndeep\n");
    verb(&place, &["fork", "one", "two"]).ok();
    let two = ["--overlay", ".", "--upper", "keep:two"];
    assert_eq!(place.sh(&two, "cat file more; ls; echo two > file").ok(), "one\nb\nfile\nmore\nsub\n");
    assert_eq!(place.sh(&KEEP, "cat file").ok(), "one\n");
    assert_eq!(verb(&place, &["diff", "two"]).ok().replace("  ", " "), "M ./file\nA ./more\nD ./sub/inner\n");
    let taken = verb(&place, &["fork", "one", "two"]).failed(125);
    assert!(taken.contains("there are upper layers `two` already"), "{taken}");
    let own = verb(&place, &["fork", "one", "one"]).failed(125);
    assert!(own.contains("there are upper layers `one` already") && !own.contains("in use"), "{own}");
    // What both lie over goes with the last of them.
    verb(&place, &["discard", "one"]).ok();
    assert_eq!(place.sh(&two, "cat file more").ok(), "two\nb\n");
    verb(&place, &["commit", "two"]).ok();
    assert_eq!((text(&place, "file"), text(&place, "more")), ("two\n".into(), "b\n".into()));
    verb(&place, &["discard", "two"]).ok();
    let store = place.home().join(".local/share/sbx/uppers");
    assert_eq!(std::fs::read_dir(store.join(".frozen")).unwrap().count(), 0);
}

#[test]
fn layers_are_listed_and_thrown_away_whatever_is_in_them() {
    need!(userns());
    let place = changed("mkdir -p a/b; echo x > a/b/c; chmod 0 a/b a");
    let mut command = place.command();
    let running = ["--overlay", ".", "--upper", "keep:two", "--", "/bin/sh", "-c", "echo x > ready; sleep 60"];
    let mut running = command.args(running).spawn().unwrap();
    until(|| place.home().join(".local/share/sbx/uppers/two/0/upper/ready").exists());
    let list = verb(&place, &["uppers"]).ok();
    let lines: Vec<_> = list.lines().collect();
    assert!(lines[0].starts_with("one ") && lines[0].ends_with(" .") && lines[1].contains("in use"), "{list}");
    assert!(verb(&place, &["discard", "two"]).failed(125).contains("are in use"));
    assert!(verb(&place, &["commit", "two"]).failed(125).contains("are in use"));
    running.kill().unwrap();
    running.wait().unwrap();
    until(|| verb(&place, &["discard", "two"]).status == Some(0));
    place.sh(&["--overlay", ".", "--upper", "keep:three"], "true").ok();
    let unknown = verb(&place, &["discard", "three", "nope", "one"]).failed(125);
    assert!(unknown.contains("there are no upper layers `nope`"), "{unknown}");
    assert_eq!(verb(&place, &["uppers"]).ok(), "", "the others are removed");
    assert_eq!(std::fs::read_dir(place.home().join(".local/share/sbx/uppers")).unwrap().count(), 0, "nothing is left");
    let unknown = verb(&place, &["diff", "one"]).failed(125);
    assert!(unknown.contains("there are no upper layers `one`"), "{unknown}");
    assert!(verb(&place, &["diff"]).failed(125).contains("there are no upper layers"));
}

#[test]
fn files_of_subordinate_ids_are_compared_and_thrown_away() {
    need!(userns());
    let place = Place::new();
    place.write("work/file", "x\n");
    let keep = [&KEEP[..], &["--user", "range", "--set", "security.capabilities=[\"CAP_CHOWN\"]"]].concat();
    let ran = place.sh(&keep, "echo y > other; chown 33:33 other; mkdir d; echo z > d/z; chown -R 33 d");
    if ran.status != Some(0) {
        return; // no subordinate ids here: the tests of `range` say so
    }
    assert_eq!(verb(&place, &["diff", "one"]).ok().replace("  ", " "), "A ./d\nA ./d/z\nA ./other\n");
    verb(&place, &["commit", "one", "other"]).ok();
    let own = std::fs::metadata(place.work().join("file")).unwrap().uid();
    assert_eq!(std::fs::metadata(place.work().join("other")).unwrap().uid(), own, "it is the user's own");
    verb(&place, &["discard", "one"]).ok();
    assert_eq!(std::fs::read_dir(place.home().join(".local/share/sbx/uppers")).unwrap().count(), 0);
}

#[test]
fn on_a_terminal_sbx_asks_at_the_end_and_elsewhere_it_says_that_changes_are_gone() {
    need!(userns(), tools(&["bash"]));
    for (answer, file, kept) in [("s\nc\n", "new\n", 0), ("x\nd\n", "old\n", 0), ("k\n", "old\n", 1)] {
        let place = Place::new();
        place.write("work/file", "old\n");
        tick();
        let script = "$SBX --overlay . --upper ask -- /bin/sh -c 'echo new > file; exit 3'; echo status $?";
        let mut session = Session::start(&place, script);
        session.expect("or [s]how them? ");
        assert!(session.before.contains("M ") && session.before.contains("/work/file"), "{}", session.before);
        let (first, second) = answer.split_once('\n').unwrap();
        session.send(&format!("{first}\n"));
        if !second.is_empty() {
            session.expect("or [s]how them? ");
            session.send(second);
        }
        session.expect("status 3");
        session.child.wait().unwrap();
        assert_eq!(text(&place, "file"), file, "{answer:?}");
        let store = place.home().join(".local/share/sbx/uppers");
        assert_eq!(std::fs::read_dir(store).unwrap().count(), kept, "{answer:?}");
        if kept == 1 {
            let ways = [": `--upper keep:", " goes on with them, `sbx commit ", " puts them onto the host"];
            assert!(ways.iter().all(|way| session.before.contains(way)), "{}", session.before);
            assert_eq!(place.run(&["diff"]).ok().lines().count(), 1);
        }
    }
    // Nothing to ask about.
    let place = Place::new();
    let mut session = Session::start(&place, "$SBX --overlay . --upper ask -- /bin/true; echo status $?");
    session.expect("status 0");
    assert!(!session.before.contains("commit"), "{}", session.before);
    session.child.wait().unwrap();
    // No terminal.
    let ran = place.sh(&["--overlay", ".", "--upper", "ask"], "echo x > file");
    let dir = place.work().canonicalize().unwrap().display().to_string();
    let line =
        |what: &str| format!("sbx: note: {what} discarded, with no terminal to ask on: --upper keep:NAME keeps them\n");
    assert_eq!(ran.err, line(&format!("1 file changed in {dir} was")), "{ran:?}");
    assert!(!place.work().join("file").exists());
    for (script, count) in [
        ("true", 0),
        ("cat there > /dev/null; ls -lR > /dev/null; test -w .", 0),
        ("echo x > there; mkdir -p a/b/c a/d; echo > a/b/one; echo > a/b/two; rm sub/gone", 6),
        ("mkdir a; echo > a/b; chmod 0 a; chmod 0 .", 1),
        ("rm -r sub; echo x > new; rm new", 1),
    ] {
        let place = Place::new();
        place.on_host("echo > there; mkdir sub; echo > sub/gone");
        let dir = place.work().canonicalize().unwrap().display().to_string();
        let ran = place.sh(&["--overlay", ".", "--upper", "ask"], script);
        let said = match count {
            0 => String::new(),
            1 => line(&format!("1 file changed in {dir} was")),
            count => line(&format!("{count} files changed in {dir} were")),
        };
        assert_eq!((ran.status, &ran.err), (Some(0), &said), "{script}");
        // The same where PID 1 cannot count. On disk, before Linux 6.6, sbx counts itself.
        let ran = place.sh(&["--overlay", ".", "--upper", "ask", "--as-pid-1"], script);
        let unknown = line(&format!("what the program changed in {dir}, if anything, was"));
        assert!(ran.err == unknown || ran.err == said, "{script}: {ran:?}");
        assert_eq!(place.on_host("ls; ls sub"), "sub\nthere\ngone\n");
    }
    let script = "i=0; while [ $i -lt 1100 ]; do echo > f$i; i=$((i + 1)); done; exit 7";
    let ran = place.sh(&["--overlay", ".", "--upper", "ask"], script);
    assert_eq!((ran.status, ran.err), (Some(7), line(&format!("1000 or more files changed in {dir} were"))));
    // What was asked for in so many words needs no line, and -q leaves it out.
    assert_eq!(place.sh(&["--overlay", ".", "--upper", "discard"], "echo > x").err, "");
    assert_eq!(place.sh(&["-q", "--overlay", ".", "--upper", "ask"], "echo > x").err, "");
    // Several overlays.
    place.on_host("mkdir one two");
    let ran =
        place.sh(&["--profile", "base/host", "--overlay", "one", "--overlay", "two", "--upper", "ask"], "echo > two/x");
    assert_eq!(ran.err, line(&format!("1 file changed in {dir}/one and another overlay was")));
}

#[test]
fn the_second_question_is_about_what_is_named_before_it() {
    need!(userns(), tools(&["bash"]));
    for (count, asked) in [(20, true), (21, false)] {
        let place = Place::new();
        let inner = format!("for i in $(seq {count}); do mkdir d$i; echo x > d$i/.envrc; done");
        let script = format!("$SBX --overlay . --upper ask -- /bin/sh -c '{inner}'; echo status $?");
        let mut session = Session::start(&place, &script);
        session.expect("or [s]how them? ");
        session.send("commit\n");
        if asked {
            session.expect("or [s]how it? ");
            assert_eq!(session.before.matches(".envrc left as it is on the host").count(), count, "{}", session.before);
            session.send("commit\n");
        }
        session.expect("status 0");
        session.child.wait().unwrap();
        // Nobody can say yes to what was not listed.
        let there = place.on_host("ls d*/.envrc 2>/dev/null | wc -l");
        assert_eq!(there.trim(), if asked { "20" } else { "0" }, "{}", session.before);
        assert_eq!(session.before.contains("1 more of that kind left as they are"), !asked, "{}", session.before);
        assert_eq!(place.run(&["diff"]).out.is_empty(), asked);
    }
}

#[test]
fn a_signal_at_the_question_keeps_the_changes_and_the_programs_status() {
    need!(userns(), tools(&["bash"]));
    let said = " shows them, `sbx commit ";
    for (how, said) in [("\x03", said), ("\x04", said)] {
        let place = Place::new();
        let script = "$SBX --overlay . --upper ask -- /bin/sh -c 'echo new > file; exit 3'; echo status $?";
        let mut session = Session::start(&place, script);
        session.expect("or [s]how them? ");
        session.send(how);
        session.expect("status 3");
        assert!(session.before.contains(said), "{}", session.before);
        session.child.wait().unwrap();
        let kept = place.run(&["diff"]).ok();
        assert!(kept.starts_with("A ") && kept.trim_end().ends_with("/file"), "{kept}");
    }
}

#[test]
fn nobody_is_asked_after_a_signal_that_asks_sbx_for_the_end() {
    need!(userns(), tools(&["bash"]));
    for (name, number) in [("SIGTERM", libc::SIGTERM), ("SIGHUP", libc::SIGHUP)] {
        let place = Place::new();
        // A program that ends in its own time, and one that the signal ends.
        for (ends, status) in [
            ("trap \"exit 3\" TERM HUP; echo ready; while :; do sleep 0.02; done", 3),
            ("echo ready; exec sleep 1000", 128 + number),
        ] {
            let inner = format!("echo new > file; {ends}");
            let script = format!(
                "/bin/sh -c 'echo $$ > ../pid; exec $SBX --overlay . --upper ask -- /bin/sh -c \"$0\"' '{inner}'; echo status $?"
            );
            let mut session = Session::start(&place, &script);
            session.expect("ready");
            signal(pid_in(&place), number);
            session.expect(&format!("status {status}"));
            let said = format!("sbx: not asked what becomes of these changes, after {name}: they are kept: `sbx diff ");
            assert!(session.before.contains(&said) && !session.before.contains("[s]how"), "{}", session.before);
            session.child.wait().unwrap();
            let kept = place.run(&["diff"]).ok();
            assert!(kept.starts_with("A ") && kept.trim_end().ends_with("/file"), "{kept}");
        }
    }
}

fn pid_in(place: &Place) -> i32 {
    std::fs::read_to_string(place.dir.path().join("pid")).unwrap().trim().parse().unwrap()
}

#[test]
fn a_question_in_the_background_waits_stopped_and_ends_with_a_signal() {
    need!(userns(), tools(&["bash", "timeout"]));
    let place = Place::new();
    // In a script, it makes a process group of its own, which the terminal is not given to.
    let run = "timeout 1000 /bin/sh -c 'echo $$ > ../pid; exec $SBX --overlay . --upper ask -- /bin/sh -c \"echo new > file\"'; echo status $?";
    place.write("work/runs", run);
    let mut session = Session::start(&place, "SBX=$SBX bash ./runs");
    let stopped = || {
        let pid = std::fs::read_to_string(place.dir.path().join("pid")).ok().and_then(|pid| pid.trim().parse().ok());
        pid.is_some_and(|pid| status(pid, "State").starts_with('T'))
    };
    assert!(until(|| {
        session.look();
        stopped()
    }));
    // As timeout does it.
    let pid = pid_in(&place);
    signal(pid, libc::SIGTERM);
    signal(pid, libc::SIGCONT);
    session.expect("status 0");
    assert!(session.before.contains("they are kept") && !session.before.contains("[s]how"), "{}", session.before);
    session.child.wait().unwrap();
    assert!(place.run(&["diff"]).ok().trim_end().ends_with("/file"));
}

#[test]
fn nobody_is_asked_where_a_pager_may_use_the_terminal() {
    need!(userns(), tools(&["bash"]));
    let place = Place::new();
    let script =
        "$SBX --overlay . --upper ask -- /bin/sh -c 'echo new > file; exit 3' | cat; echo status ${PIPESTATUS[0]}";
    let mut session = Session::start(&place, script);
    session.expect("status 3");
    assert!(session.before.contains("1 file changed in"), "{}", session.before);
    session.child.wait().unwrap();
}

#[test]
fn runs_that_start_and_end_at_once_ask_one_after_the_other() {
    need!(userns(), tools(&["bash"]));
    let place = Place::new();
    // All of them are in the foreground, as those of `make -j` are.
    let script =
        "for n in 1 2 3; do $SBX --overlay . --upper ask -- /bin/sh -c \"echo new > file$n\" < /dev/tty & done; wait";
    place.write("work/runs", script);
    let mut session = Session::start(&place, "SBX=$SBX bash ./runs; echo status $?");
    for _ in 0..3 {
        session.expect("or [s]how them? ");
        assert!(!session.shows("or [s]how them? ", std::time::Duration::from_secs(1)), "one question at a time");
        session.send("c\n");
    }
    session.expect("status 0");
    session.child.wait().unwrap();
    assert_eq!(place.on_host("ls"), "file1\nfile2\nfile3\nruns\n");
}

#[test]
fn an_answer_is_what_is_typed_after_the_question_and_what_matters_is_listed_first() {
    need!(userns(), tools(&["bash"]));
    // A program that gets the user to type `c` while it runs.
    let place = Place::new();
    place.write("work/file", "old\n");
    tick();
    let go = place.dir.path().join("go");
    std::fs::create_dir(&go).unwrap();
    let script = "printf \"[c]ompile or [t]est: \"; echo new > file; until [ -e /go/go ]; do sleep 0.05; done";
    let flags = format!("--overlay . --ro /go --from {} --upper ask", go.display());
    let mut session = Session::start(&place, &format!("$SBX {flags} -- /bin/sh -c '{script}'; echo status $?"));
    session.expect("[t]est: ");
    session.send("c\n");
    std::fs::write(go.join("go"), "").unwrap();
    session.expect("or [s]how them? ");
    assert!(!session.shows("status", std::time::Duration::from_secs(1)), "it waits for an answer");
    assert_eq!(text(&place, "file"), "old\n");
    session.send("d\n");
    session.expect("status 0");
    session.child.wait().unwrap();
    // Many new files, which push what matters out of a list by names.
    let place = Place::new();
    place.write("work/zz-build.sh", "old\n");
    place.write("work/zz-gone", "old\n");
    tick();
    let script = "for i in 1 2 3 4 5 6; do for j in 1 2 3 4 5 6; do echo > .cache-$i$j; done; done; echo new >> zz-build.sh; \
                  rm zz-gone; echo > zz-tool; chmod +x zz-tool; echo > .zz; mkdir zz-dir; echo > zz-dir/.envrc";
    let mut session =
        Session::start(&place, &format!("$SBX --overlay . --upper ask -- /bin/sh -c '{script}'; echo status $?"));
    session.expect("or [s]how them? ");
    for name in ["zz-build.sh", "zz-gone", "/zz-tool", "zz-dir/.envrc  (tools outside may run"] {
        assert!(session.before.contains(name), "{name}: {}", session.before);
    }
    assert!(session.before.contains("more"), "{}", session.before);
    session.send("c\n");
    session.expect("or [s]how them? ");
    assert_eq!(text(&place, "zz-build.sh"), "old\n", "a letter commits only what was listed in full");
    session.send("commit\n");
    session.expect("or [s]how it? ");
    assert_eq!(text(&place, "zz-build.sh"), "old\nnew\n");
    assert!(!place.work().join("zz-dir/.envrc").exists(), "what tools outside run is asked about by itself");
    session.send("c\n");
    session.expect("or [s]how it? ");
    assert!(!place.work().join("zz-dir/.envrc").exists(), "a letter does not commit it");
    session.send("commit\n");
    session.expect("status 0");
    session.child.wait().unwrap();
    assert!(place.work().join("zz-dir/.envrc").exists());
    assert!(!place.work().join("zz-gone").exists());
}

#[test]
fn a_list_says_what_a_letter_and_a_name_do_not() {
    need!(userns());
    let place =
        changed("chmod 666 file; rm sub/inner; mkfifo sub/inner; mkdir -p new/.husky; echo > new/.husky/pre-push");
    let list = verb(&place, &["diff", "one"]).ok();
    for line in [
        "M ./file  (mode 0644 → 0666)\n",
        "M ./sub/inner  (a named pipe instead of a file)\n",
        "A ./new/.husky/pre-push  (tools outside may run what it names)\n",
    ] {
        assert!(list.replace("M  ", "M ").replace("A  ", "A ").contains(line), "{line}: {list}");
    }
}

#[test]
fn a_file_with_holes_of_any_size_is_compared_committed_and_exported() {
    need!(userns(), tools(&["tar", "truncate"]));
    let make = "truncate -s 8T big; touch -d 2001-01-01 big; truncate -s 8M some; printf data | dd of=some bs=1 seek=5000000 conv=notrunc 2>/dev/null; \
                truncate -s 20M some";
    let place = changed(make);
    let begun = std::time::Instant::now();
    assert_eq!(verb(&place, &["diff", "one", "--patch"]).ok().matches("Binary files").count(), 2);
    place.run(&["export", "one", "-o", "../layer.tar"]).ok();
    assert!(std::fs::metadata(place.dir.path().join("layer.tar")).unwrap().len() < 1 << 20);
    let out = place.dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let tar = std::process::Command::new("tar").args(["-xf", "../layer.tar"]).current_dir(&out).output().unwrap();
    assert!(tar.status.success(), "{tar:?}");
    let unpacked = out.join(place.work().canonicalize().unwrap().strip_prefix("/").unwrap());
    verb(&place, &["commit", "one"]).ok();
    for dir in [unpacked, place.work()] {
        assert_eq!(std::fs::metadata(dir.join("big")).unwrap().len(), 8 << 40);
        let some = std::fs::read(dir.join("some")).unwrap();
        assert_eq!((some.len(), &some[5_000_000..5_000_004]), (20 << 20, &b"data"[..]));
        assert_eq!(some.iter().filter(|byte| **byte != 0).count(), 4);
    }
    // The same size and time, and other content, in a hole of the other.
    tick();
    place.sh(&KEEP, "cp -p some before; printf x | dd of=some bs=1 seek=9000000 conv=notrunc 2>/dev/null; touch -r before some; rm before").ok();
    assert_eq!(verb(&place, &["diff", "one"]).ok(), "M ./some\n");
    assert!(begun.elapsed() < std::time::Duration::from_secs(60));
}

#[test]
fn names_that_mark_deletions_are_left_out_of_an_export() {
    need!(userns(), tools(&["tar"]));
    let place =
        changed("touch .wh.file sub/.wh..wh..opq; mkdir .wh.dir; echo x > .wh.dir/x; echo y > made; rm sub/inner");
    let ran = place.run(&["export", "one", "-o", "../layer.tar"]);
    assert_eq!((ran.status, ran.err.matches("would be the mark of a deletion").count()), (Some(0), 3), "{ran:?}");
    let tar =
        std::process::Command::new("tar").args(["-tf", "../layer.tar"]).current_dir(place.work()).output().unwrap();
    let list = String::from_utf8(tar.stdout).unwrap();
    let marks: Vec<_> = list.lines().filter(|line| line.contains(".wh.")).collect();
    assert!(marks.len() == 1 && marks[0].ends_with("sub/.wh.inner"), "{list}");
    assert!(list.contains("/made"), "{list}");
}

#[test]
fn a_patch_has_lines_that_end_with_line_feeds_alone_and_says_what_git_does_not() {
    need!(userns(), tools(&["git"]));
    let place = changed(
        "printf 'a\\rb\\nc\\n' > file; printf 'x\\ry' > new; chmod 666 sub/inner; mkfifo pipe; rm sub/deep/leaf; mkfifo sub/deep/leaf",
    );
    let patch = verb(&place, &["diff", "one", "--patch"]).ok();
    assert!(patch.contains("+a\rb\n+c\n") && patch.contains("@@ -1,2 +1,2 @@"), "{patch:?}");
    for remark in ["sub/inner: mode 0644 → 0666\n", "pipe: a named pipe\n", "leaf: a named pipe instead of a file\n"]
    {
        assert!(patch.contains(remark), "{remark}: {patch}");
    }
    std::fs::write(place.dir.path().join("patch"), place.run(&["diff", "one", "--patch"]).ok()).unwrap();
    let git = std::process::Command::new("git").args(["apply", "../patch"]).current_dir(place.work()).output().unwrap();
    assert!(git.status.success(), "{git:?}");
    assert_eq!((text(&place, "file"), text(&place, "new")), ("a\rb\nc\n".into(), "x\ry".into()));
}

#[test]
fn a_patch_is_applied_whatever_ends_the_last_lines_of_its_files() {
    need!(userns(), tools(&["git", "cp"]));
    let place = Place::new();
    let ends = ["", "\r", "\r\n", "\n", "\n\r", "\u{2028}", "\u{b}", "\u{c}", "\u{85}", "\t", "\\"];
    let mut script = String::new();
    for (index, end) in ends.iter().enumerate() {
        for (old, before) in ends.iter().enumerate() {
            place.write(&format!("work/c{index:02}-{old:02}"), &format!("first\nold{before}"));
            place.write(&format!("work/new-c{index:02}-{old:02}"), &format!("first\nnew{end}"));
        }
        place.write(&format!("work/new-a{index:02}"), &format!("a{end}"));
        // Nothing but the end, and a file that the patch only names.
        place.write(&format!("work/new-b{index:02}"), end);
    }
    tick();
    script.push_str("for file in new-*; do cat $file > ${file#new-}; done; rm new-*; : > c00-00x; chmod 755 c00-00x");
    place.sh(&KEEP, &script).ok();
    for args in [&["export", "one", "--patch", "-o", "../patch"][..], &["diff", "one", "--patch"]] {
        let out = place.run(args).ok();
        let patch = place.dir.path().join("patch");
        if args[0] == "diff" {
            std::fs::write(&patch, out).unwrap();
        }
        let copy = place.dir.path().join(args[0]);
        let apply = format!("cp -a work {0}; cd {0}; git apply ../patch; ls", copy.display());
        let git =
            std::process::Command::new("sh").args(["-ec", &apply]).current_dir(place.dir.path()).output().unwrap();
        assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stderr));
        for (index, end) in ends.iter().enumerate() {
            let read =
                |name: String| std::fs::read_to_string(copy.join(&name)).unwrap_or_else(|_| format!("no {name}"));
            assert_eq!(read(format!("a{index:02}")), format!("a{end}"));
            assert_eq!(read(format!("b{index:02}")), *end);
            for old in 0..ends.len() {
                assert_eq!(read(format!("c{index:02}-{old:02}")), format!("first\nnew{end}"));
            }
        }
        assert!(copy.join("c00-00x").exists());
        assert!(
            !std::fs::read_dir(&copy).unwrap().any(|entry| entry
                .unwrap()
                .file_name()
                .to_string_lossy()
                .starts_with("new-"))
        );
    }
}

#[test]
fn what_git_takes_no_patch_of_is_left_out_and_shown_as_a_comment() {
    need!(userns(), tools(&["git"]));
    let place = Place::new();
    place.write("work/old/.git/config", "[core]\n");
    tick();
    let script = "mkdir -p sub/.git/hooks sub/.GIT 'git~1' 'a/.git .' x/.gitmodules; echo run > sub/.git/hooks/pre-commit; echo 1 > sub/.GIT/x; \
                  echo 2 > 'git~1/x'; echo 3 > 'a/.git .'/x; ln -s good .gitmodules; ln -s good 'gitmod~1'; echo g > good; echo i > .gitignore; \
                  echo m > x/.gitmodules/m; rm -r old; printf '\\0' > sub/.git/index; mkdir sub/.git/none";
    place.sh(&KEEP, script).ok();
    let names = [
        "old/.git/config",
        "sub/.git/hooks/pre-commit",
        "sub/.GIT/x",
        "git~1/x",
        "a/.git ./x",
        "/.gitmodules",
        "gitmod~1",
        "sub/.git/index",
    ];
    for args in [&["export", "one", "--patch", "-o", "../patch"][..], &["diff", "one", "--patch"]] {
        let ran = verb(&place, args);
        for name in names {
            assert!(ran.err.contains(&format!("{name}: git applies no patch to this name")), "{name}: {ran:?}");
        }
        assert!(ran.err.matches("git applies no patch").count() == names.len(), "{ran:?}");
        let out = ran.ok();
        let patch = place.dir.path().join("patch");
        if args[0] == "diff" {
            // Who reviews reads it all the same.
            assert!(out.contains("# diff --git a/sub/.git/hooks/pre-commit") && out.contains("\n# +run\n"), "{out}");
            std::fs::write(&patch, out).unwrap();
        }
        let copy = place.dir.path().join(args[0]);
        let apply = format!("cp -a work {0}; cd {0}; git apply ../patch; ls", copy.display());
        let git =
            std::process::Command::new("sh").args(["-ec", &apply]).current_dir(place.dir.path()).output().unwrap();
        assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stderr));
        assert!(
            copy.join("good").exists() && copy.join(".gitignore").exists() && copy.join("x/.gitmodules/m").exists()
        );
        assert!(!copy.join("sub").exists() && copy.join("old/.git/config").exists());
    }
}

#[test]
fn directories_that_are_too_deep_are_named_and_the_rest_goes_on() {
    need!(userns(), tools(&["python3"]));
    let deep = "python3 -c \"import os\nfor _ in range(2100): os.mkdir('d'); os.chdir('d')\"";
    let place = changed(&format!("mkdir aa; cd aa; {deep}"));
    place.sh(&KEEP, "echo z > zz").ok();
    for args in [&["diff", "one"][..], &["export", "one", "-o", "../layer.tar"]] {
        let ran = place.run(args);
        assert_eq!(ran.status, Some(0), "{}", ran.err.get(..500).unwrap_or(&ran.err));
        assert!(ran.err.contains("more than 400 directories deep") && ran.err.len() < 2000, "{}", ran.err.len());
    }
    let ran = place.run(&["commit", "one"]);
    assert!(ran.status == Some(1) && ran.err.contains("more than 400 directories deep"), "{}", ran.err);
    assert_eq!(text(&place, "zz"), "z\n", "what comes after is committed");
    verb(&place, &["discard", "one"]).ok();
    let place = place.dir.path().join("work/aa");
    std::process::Command::new("rm").arg("-r").arg(place).status().unwrap();
}

/// Pseudo-random numbers (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    /// A path of up to three names.
    fn path(&mut self) -> String {
        let names = ["a", "b", "c", "d"];
        (0..=self.below(3)).map(|_| names[self.below(4)]).collect::<Vec<_>>().join("/")
    }

    /// A script of operations, of which some fail.
    fn script(&mut self, count: usize) -> String {
        let operation = |random: &mut Random| {
            let (one, other, number) = (random.path(), random.path(), random.below(1000));
            match random.below(13) {
                0 | 1 => format!("echo {number} > {one}"),
                2 => format!("echo {number} >> {one}"),
                3 | 4 => format!("mkdir -p {one}"),
                5 => format!("rm -f {one}"),
                6 => format!("rm -rf {one}"),
                7 => format!("mv -T {one} {other}"),
                8 => format!("ln -s {number} {one}"),
                9 => format!("rm -rf {one}; mkdir {one}; echo {number} > {one}/a"),
                10 => {
                    format!("[ -L {one} ] || [ -d {one} ] || chmod {} {one}", ["600", "644", "755", "700"][number % 4])
                }
                11 => {
                    format!("[ -L {one} ] || [ -f {one} ] || chmod {} {one}", ["755", "700", "711", "750"][number % 4])
                }
                // What a copy of a directory into itself leaves depends on the order of its names.
                _ if other.starts_with(&one) || one.starts_with(&other) => ":".to_owned(),
                _ => format!("cp -a {one} {other}"),
            }
        };
        (0..count).map(|_| format!("( {} ) 2>/dev/null\n", operation(self))).collect()
    }
}

/// Every file of a tree: path, kind, permissions, and content or text of the link.
fn tree(dir: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let facts = path.symlink_metadata().unwrap();
            let content = match (facts.is_dir(), facts.is_symlink()) {
                (true, _) => "directory".to_owned(),
                (_, true) => format!("link to {}", std::fs::read_link(&path).unwrap().display()),
                _ => std::fs::read_to_string(&path).unwrap(),
            };
            let mode = if facts.is_symlink() { 0 } else { facts.mode() & 0o7777 };
            found.push(format!("{} {mode:o} {content:?}", path.strip_prefix(dir).unwrap().display()));
            if facts.is_dir() {
                waiting.push(path);
            }
        }
    }
    found.sort();
    found
}

/// `SBX_SEED` begins elsewhere, `SBX_CASES` tries more.
#[test]
fn a_committed_layer_makes_of_the_host_what_a_plain_directory_would_be() {
    need!(userns());
    let number = |name: &str, or: u64| std::env::var(name).ok().map_or(or, |text| text.parse().unwrap());
    let (seed, cases) = (number("SBX_SEED", 1), number("SBX_CASES", 20));
    for case in 0..cases {
        let mut random = Random((seed + case).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let place = Place::new();
        let plain = place.dir.path().join("plain");
        std::fs::create_dir(&plain).unwrap();
        let run = |dir: &std::path::Path, script: &str| {
            std::process::Command::new("/bin/sh").args(["-c", script]).current_dir(dir).output().unwrap();
        };
        let before = random.script(25);
        run(&place.work(), &before);
        run(&plain, &before);
        assert_eq!(tree(&place.work()), tree(&plain));
        tick();
        for part in 0..2 {
            let script = random.script(20);
            place.sh(&KEEP, &format!("{script}\ntrue")).ok();
            run(&plain, &script);
            let mounted = place.sh(&KEEP, "find . -printf '%p %y %m\\n' | sort").ok();
            let list = std::process::Command::new("/bin/sh");
            let mut list = list;
            let list = list.args(["-c", "find . -printf '%p %y %m\\n' | sort"]).current_dir(&plain).output().unwrap();
            assert_eq!(mounted, String::from_utf8_lossy(&list.stdout), "case {case}: the kernel's own view");
            if case % 3 == 1 && part == 0 {
                place.run(&["snapshot", "one"]).ok();
            }
        }
        let committed = place.run(&["commit", "one"]);
        assert_eq!(committed.status, Some(0), "case {case}: {committed:?}");
        assert_eq!(
            tree(&place.work()),
            tree(&plain),
            "case {case}, SBX_SEED={} SBX_CASES=1: {committed:?}",
            seed + case
        );
        assert_eq!(place.run(&["diff", "one"]).ok(), "", "case {case}");
    }
}

#[test]
fn what_cannot_be_put_onto_the_host_is_a_line_and_the_rest_goes_on() {
    need!(userns(), tools(&["python3"]));
    let place = Place::new();
    for file in ["a", "z"] {
        place.write(&format!("work/{file}"), "one\n");
    }
    tick();
    let bind = "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"dir/socket\")'";
    let script = format!("for file in a z; do echo two >> $file; done; mkdir dir; echo x > dir/x; {bind}");
    place.sh(&[&KEEP[..], &["--user", "self"]].concat(), &script).ok();
    std::fs::set_permissions(upper(&place).join("a"), PermissionsExt::from_mode(0o4755)).unwrap();
    tick();
    let dry = verb(&place, &["commit", "one", "--dry-run"]);
    let commit = verb(&place, &["commit", "one"]);
    assert_eq!((&dry.out, dry.status), (&commit.out, Some(1)), "{dry:?} {commit:?}");
    assert_eq!(commit.out, "M ./a\nA ./dir\nA ./dir/x\nM ./z\n", "{commit:?}");
    for line in [
        "./dir/socket: a socket or a device cannot be copied",
        "./a: the set-user-ID and set-group-ID bits are left out",
        "sbx: 2 paths left as on the host, or put there in part",
    ] {
        assert!(commit.err.contains(line), "{line}: {commit:?}");
    }
    assert_eq!(commit.status, Some(1), "{commit:?}");
    assert_eq!([text(&place, "a"), text(&place, "z")], ["one\ntwo\n", "one\ntwo\n"]);
    // They stay in the layer.
    assert_eq!(verb(&place, &["diff", "one"]).ok().lines().count(), 2);
}

#[test]
fn a_path_that_is_two_files_is_refused() {
    need!(userns());
    let place = Place::new();
    place.on_host("mkdir a b c; echo a > a/file; echo b > b/file");
    tick();
    let [a, b, c] = ["a", "b", "c"].map(|name| place.work().join(name).display().to_string());
    let overlays = ["--overlay", &a, "--from", &b, "--overlay", &c, "--from", &a, "--upper", "keep:two", "--ro", "."];
    place.sh(&overlays, &format!("echo newa > {a}/file; echo newc > {c}/file")).ok();
    let ran = place.run(&["commit", "two", &format!("{a}/file")]);
    assert!(
        ran.status == Some(125) && ran.err.contains(&format!("the host's of that name is {c}/file inside")),
        "{ran:?}"
    );
    assert_eq!(place.on_host("cat a/file b/file"), "a\nb\n");
    place.run(&["commit", "two", &format!("{c}/file")]).ok();
    assert_eq!(place.on_host("cat a/file b/file"), "newc\nb\n");
    place.run(&["commit", "two"]).ok();
    assert_eq!(place.on_host("cat a/file b/file"), "newc\nnewa\n");
}

#[test]
fn two_overlays_over_one_directory_do_not_replace_each_others_changes() {
    need!(userns());
    let place = Place::new();
    place.on_host("mkdir -p a/sub b c d; echo old > a/f; echo old > a/gone; echo old > a/sub/f");
    tick();
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| place.work().join(name).display().to_string());
    let sub = format!("{a}/sub");
    let overlays = ["--overlay", &b, "--from", &a, "--overlay", &c, "--from", &a, "--overlay", &d, "--from", &sub];
    let script = format!(
        "echo b > {b}/f; echo c > {c}/f; rm {b}/gone; echo c > {c}/gone; echo b > {b}/sub/f; echo d > {d}/f; echo c > {c}/other"
    );
    place.sh(&[&["--ro", "."], &overlays[..], &["--upper", "keep:two"]].concat(), &script).ok();
    let ran = place.run(&["commit", "two", &format!("{a}/f")]);
    assert!(ran.status == Some(125) && ran.err.contains(&format!("is both {b}/f and {c}/f inside")), "{ran:?}");
    let on_host = "for file in f gone sub/f other; do cat a/$file 2>&1 || true; done";
    let conflict = "another overlay shows the same file";
    let dry = place.run(&["commit", "two", "--dry-run"]);
    let ran = place.run(&["commit", "two"]);
    assert_eq!((dry.status, ran.status, &dry.out), (Some(1), Some(1), &ran.out), "{dry:?} {ran:?}");
    assert_eq!((dry.err.matches(conflict).count(), ran.err.matches(conflict).count()), (3, 3), "{dry:?} {ran:?}");
    assert_eq!(place.on_host(on_host), "b\ncat: a/gone: No such file or directory\nb\nc\n");
    // What is left is a conflict at the next commit as well.
    let again = place.run(&["commit", "two"]);
    assert!(again.status == Some(1) && again.err.contains("changed since"), "{again:?}");
    assert!(place.on_host(on_host).starts_with("b\n"), "{again:?}");
}

#[test]
fn the_default_profile_asks_about_the_current_directory() {
    need!(userns(), tools(&["bash"]));
    // A program that leaves its terminal in raw mode, one that is ended for its time, and one that changes nothing.
    for (flags, script, status) in
        [("", "stty raw -echo; echo new > file", 0), ("--timeout 1s", "echo new > file; sleep 60", 124)]
    {
        let place = Place::new();
        let mut session = Session::start(&place, &format!("$SBX {flags} -- /bin/sh -c '{script}'; echo status $?"));
        session.expect("or [s]how them? ");
        session.send("c\n");
        session.expect(&format!("status {status}"));
        session.child.wait().unwrap();
        assert_eq!(text(&place, "file"), "new\n", "{script}");
        assert_eq!(std::fs::read_dir(place.home().join(".local/share/sbx/uppers")).unwrap().count(), 0);
    }
    let place = Place::new();
    place.write("work/file", "text\n");
    let mut session = Session::start(&place, "$SBX -- /bin/sh -c 'stty raw; cat file; exit 5'; echo status $?");
    session.expect("status 5");
    assert!(!session.before.contains("commit"), "{}", session.before);
    session.child.wait().unwrap();
    // A launcher that is killed while it asks leaves the changes where the next command finds them.
    let mut session =
        Session::start(&place, "$SBX -- /bin/sh -c 'echo new > file' & jobs -p; fg > /dev/null; echo status $?");
    session.expect("or [s]how them? ");
    let pid = session.before.lines().find_map(|line| line.trim().parse::<u32>().ok()).unwrap();
    place.on_host(&format!("kill -KILL {pid}"));
    session.expect("status 137");
    session.child.wait().unwrap();
    assert_eq!(text(&place, "file"), "text\n");
    assert!(place.run(&["diff"]).ok().starts_with("M "));
}
