//! `.sbx.toml` in the directories above the current one: each counts, whatever a program that may write there makes of markers and
//! permissions, and none opens what another one closes.

mod common;

use common::{Place, Ran, not_root, ran, root, tools, userns};
use std::os::unix::fs::symlink;
use std::path::Path;

/// A file that closes `sub/secrets`, as seen from its own directory.
const CLOSES: &str = "schema = 1\n[filesystem.paths]\n\"${CWD}/sub/secrets\" = \"deny\"\n";

/// A directory `home/k` with `sub/secrets/s`, and with `file` as its project's file.
fn closed(file: &str) -> Place {
    let place = Place::new();
    place.write("home/k/sub/secrets/s", "SECRET\n");
    place.write("home/k/sub/t/x", "");
    place.write("home/k/.sbx.toml", file);
    place
}

/// Runs a script in `dir` of a place.
fn run_in(place: &Place, dir: &str, flags: &[&str], script: &str) -> Ran {
    let mut command = place.command();
    command.current_dir(place.dir.path().join(dir)).args(flags);
    ran(command.args(["--", "/bin/sh", "-c", script]).output().unwrap())
}

fn on_host(dir: &Path, script: &str) {
    let status = std::process::Command::new("/bin/sh").args(["-ec", script]).current_dir(dir).status().unwrap();
    assert!(status.success(), "{script}");
}

#[test]
fn a_file_above_counts_in_every_profile_and_is_told_by_nothing_but_its_effect() {
    need!(userns());
    let place = closed(&format!("{CLOSES}[rlimits]\nnofile = 33\n"));
    let sub = place.home().join("k/sub").display().to_string();
    for profile in ["default", "ci", "shell", "viewer"] {
        for dir in ["sub", "sub/t"] {
            let path = if dir == "sub" { "secrets/s" } else { "../secrets/s" };
            let script = format!("cat {path}; ulimit -n");
            let out = run_in(&place, &format!("home/k/{dir}"), &["--profile", profile, "--ro", &sub], &script);
            assert_eq!(out.out, "33\n", "{profile} {dir}: {out:#?}");
            let out =
                run_in(&place, &format!("home/k/{dir}"), &["-q", "--profile", profile, "--no-project"], "ulimit -n");
            assert_ne!(out.ok(), "33\n", "{profile} {dir}");
        }
    }
}

#[test]
fn no_permission_and_no_marker_of_a_program_takes_a_file_above_out_of_force() {
    need!(userns(), tools(&["git"]));
    let marks: [(&str, &str, &str); 9] = [
        ("nothing", "git init -q", ":"),
        ("a directory for temporary files", "git init -q", "chmod 1777 .."),
        ("a directory that others may write to", "git init -q", "chmod 777 .."),
        ("a workspace in between", "git init -q", "touch go.work"),
        ("a manifest in between", "git init -q", "echo '[workspace]' > Cargo.toml"),
        ("a repository in between", "git init -q", "git init -q ."),
        ("a file in between", "git init -q", "echo 'schema = 1' > .sbx.toml"),
        ("a workspace that is none any more", "echo '[workspace]' > Cargo.toml", "echo > ../Cargo.toml"),
        ("a workspace that is gone", "touch go.work", "rm ../go.work"),
    ];
    for (what, before, inside) in marks {
        let place = closed(CLOSES);
        on_host(&place.home().join("k"), before);
        let out = run_in(&place, "home/k/sub", &["-q", "--profile", "ci"], inside);
        assert_eq!(out.status, Some(0), "{what}: {out:#?}");
        for flags in [
            &["--profile", "ci"][..],
            &["--profile", "shell"],
            &["--profile", "default"],
            &["--rw", "."],
            &["--rw", ".."],
        ] {
            let out = run_in(&place, "home/k/sub", flags, "cat secrets/s || echo closed");
            assert!(out.out == "closed\n" && !out.out.contains("SECRET"), "{what} {flags:?}: {out:#?}");
        }
    }
}

#[test]
fn the_projects_file_is_read_only_wherever_its_directory_is_writable() {
    need!(userns());
    let place = closed(CLOSES);
    place.write(
        "home/.config/sbx/profiles/mine.toml",
        "schema = 1\nextends = [\"base/host\"]\n[filesystem.paths]\n\"${PROJECT}\" = \"rw\"\n\"${CWD}\" = \"rw\"\n",
    );
    let file = place.home().join("k/.sbx.toml");
    let script =
        |dir: &str| format!("rm -f {dir}/.sbx.toml; mv {dir}/.sbx.toml {dir}/x; echo > {dir}/.sbx.toml; touch {dir}/w");
    for (dir, above, flags) in [
        ("home/k", ".", &["-q", "--rw", "."][..]),
        ("home/k", ".", &["-q", "--profile", "mine"]),
        ("home/k/sub", "..", &["-q", "--rw", ".."]),
        ("home/k/sub/t", "../..", &["-q", "--rw", "../.."]),
    ] {
        let out = run_in(&place, dir, flags, &script(above));
        assert_eq!(out.status, Some(0), "{flags:?}: {out:#?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), CLOSES, "{flags:?}: {out:#?}");
    }
    // A line for the very file opens it.
    let out = run_in(&place, "home/k", &["--rw", ".", "--rw", ".sbx.toml"], "echo '#' > .sbx.toml");
    assert_eq!((out.ok().as_str(), std::fs::read_to_string(&file).unwrap().as_str()), ("", "#\n"));
}

#[test]
fn a_projects_file_that_goes_while_the_program_runs_is_told() {
    need!(userns());
    let place = closed(CLOSES);
    let (ready, go) = (place.home().join("k/sub/t/ready"), place.home().join("k/sub/t/go"));
    let script = "touch ready; while [ ! -e go ]; do sleep 0.02; done";
    let mut command = place.command();
    command.current_dir(place.home().join("k/sub/t")).args(["--rw", ".", "--", "/bin/sh", "-c", script]);
    let child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    common::until(|| ready.exists());
    std::fs::remove_file(place.home().join("k/.sbx.toml")).unwrap();
    std::fs::write(go, "").unwrap();
    let out = ran(child.wait_with_output().unwrap());
    assert!(out.status == Some(0) && out.err.contains("k/.sbx.toml is gone"), "{out:#?}");
}

#[test]
fn of_two_files_the_stricter_line_holds() {
    need!(userns());
    let outer = "schema = 1\n[filesystem.paths]\n\"${CWD}/sub/secrets\" = \"deny\"\n\"${CWD}/sub/fixed\" = \"ro\"\n\
                 [process]\ntimeout = \"50s\"\n[rlimits]\nnofile = 44\n";
    let place = closed(outer);
    place.write("home/k/sub/fixed/f", "text\n");
    place.write("home/k/sub/free/f", "text\n");
    let inner = |text: &str| place.write("home/k/sub/.sbx.toml", &format!("schema = 1\n{text}\n"));
    let run = |script: &str| run_in(&place, "home/k/sub", &["-q", "--profile", "ci"], script);
    for lines in [
        "\"${CWD}/secrets\" = \"rw\"",
        "\"${CWD}/secrets\" = \"ro\"",
        "\"${CWD}/secrets/s\" = \"rw\"",
        "\"${CWD}/secrets/s\" = \"ro\"",
        "\"${PROJECT}/secrets\" = \"masked\"",
        "\"${CWD}\" = \"rw\"",
        "\"${CWD}/fixed\" = \"rw\"",
        "\"${CWD}/fixed/f\" = \"rw\"",
        "\"${CWD}/fixed/f\" = \"overlay\"",
    ] {
        inner(&format!("[filesystem.paths]\n{lines}"));
        let out = run("cat secrets/s; echo x >> fixed/f; cat fixed/f; ulimit -n; echo x >> free/f");
        let text = std::fs::read_to_string(place.home().join("k/sub/fixed/f")).unwrap();
        assert!(!out.out.contains("SECRET") && text == "text\n", "{lines}: {out:#?}");
    }
    // What the inner one says beside that counts, and its freer numbers do not.
    inner("[filesystem.paths]\n\"${CWD}/free\" = \"ro\"\n[rlimits]\nnofile = 55\n[process]\ntimeout = \"55s\"");
    let out = run("echo y >> free/f; ulimit -n");
    assert!(out.out == "44\n" && out.err.contains("Read-only file system"), "{out:#?}");
    inner("[rlimits]\nnofile = 22");
    assert_eq!(run("ulimit -n").ok(), "22\n");
    inner("[rlimits]\nnofile = \"50:90\"");
    assert_eq!(run("ulimit -n").ok(), "44\n", "freer than the outer one's in part");
}

#[test]
fn lines_that_neither_of_two_files_can_tighten_are_an_error() {
    need!(userns());
    let place = closed("schema = 1\n[rlimits]\nnofile = \"30:90\"\n");
    place.write("home/k/sub/.sbx.toml", "schema = 1\n[rlimits]\nnofile = \"40:50\"\n");
    let error = run_in(&place, "home/k/sub", &[], "ulimit -n").failed(125);
    assert!(error.contains("k/sub/.sbx.toml:3") && error.contains("k/.sbx.toml:3"), "{error}");
}

#[test]
fn what_a_file_above_says_of_its_own_directory_holds_in_the_current_one() {
    need!(userns());
    let place = closed(
        "schema = 1\n[filesystem.paths]\n\"${CWD}\" = \"ro\"\n\"${CWD}/out\" = \"rw\"\n\"${CWD}/docs\" = \"ro\"\n",
    );
    for dir in ["docs", "out/deep"] {
        place.write(&format!("home/k/{dir}/x"), "");
    }
    for profile in ["default", "ci"] {
        let out = run_in(&place, "home/k/sub", &["-q", "--profile", profile], "echo x > made; ls ../docs");
        assert!(out.err.contains("Read-only file system"), "{profile}: {out:#?}");
        let out = run_in(&place, "home/k/out/deep", &["-q", "--profile", profile], "echo x > made; echo fine");
        assert_eq!(out.ok(), "fine\n", "{profile}");
    }
    // The user's own flag opens it, as it does in the file's own directory.
    assert_eq!(run_in(&place, "home/k/sub", &["-q", "--rw", "."], "echo x > made; cat made").ok(), "x\n");
    // What is closed around the current directory is closed there.
    place.write("home/k/.sbx.toml", "schema = 1\n[filesystem.paths]\n\"${CWD}/sub\" = \"deny\"\n");
    let out = run_in(&place, "home/k/sub/t", &["--profile", "ci"], "cat ../secrets/s; ls");
    assert!(out.out.is_empty() && out.err.contains("is `deny` by"), "{out:#?}");
}

#[test]
fn what_is_not_shown_needs_no_line_of_a_file_above() {
    need!(userns());
    let lines = [
        "\"${CWD}\" = \"ro\"",
        "\"${CWD}/other\" = \"deny\"",
        "\"${CWD}/absent\" = \"masked\"",
        "\"${CWD}/other\" = \"tmpfs,size=1M\"",
        "\"${CWD}/other\" = \"rw\"",
        "\"${CWD}/sub/x\" = \"hidden\"",
    ];
    let place = closed("");
    place.write("home/k/other/x", "");
    for line in lines {
        place.write("home/k/.sbx.toml", &format!("schema = 1\n[filesystem.paths]\n{line}\n"));
        let out = run_in(&place, "home/k/sub/t", &["-q"], "ls; ls ../..");
        assert_eq!(out.ok(), "x\nsub\n", "{line}");
    }
    // In the home itself, and with what it says of the home.
    for line in ["\"${CWD}/k/sub/secrets\" = \"deny\"\n\"${CWD}\" = \"ro\"", "\"~/k/sub/secrets\" = \"deny\""] {
        place.write("home/.sbx.toml", &format!("schema = 1\n[filesystem.paths]\n{line}\n"));
        place.write("home/k/.sbx.toml", "schema = 1\n");
        let out = run_in(&place, "home/k/sub", &["-q", "--profile", "ci"], "cat secrets/s; ls t; echo y > t/x");
        assert!(out.out == "x\n" && out.err.contains("Permission denied"), "{line}: {out:#?}");
    }
    // What it would loosen is an error, from wherever sbx is started.
    place.write("home/k/.sbx.toml", "schema = 1\n[network]\nmode = \"host\"\n");
    let error = run_in(&place, "home/k/sub", &[], "true").failed(125);
    assert!(error.contains("k/.sbx.toml:3") && error.contains("--no-project"), "{error}");
}

#[test]
fn the_network_of_a_file_above_holds() {
    need!(userns());
    let place = closed("schema = 1\n[network]\nmode = \"none\"\n");
    place.write("home/.config/sbx/profiles/mine.toml", "schema = 1\nextends = [\"ci\"]\n[network]\nmode = \"host\"\n");
    std::fs::write(place.home().join("k/sub/go.work"), "").unwrap();
    let out = run_in(&place, "home/k/sub", &["-q", "--profile", "mine"], "grep -c : /proc/net/dev");
    assert_eq!(out.ok(), "1\n");
}

#[test]
fn a_link_or_what_is_no_file_above_is_an_error() {
    let place = closed("");
    let file = place.home().join("k/.sbx.toml");
    std::fs::remove_file(&file).unwrap();
    symlink("../../elsewhere", &file).unwrap();
    let error = run_in(&place, "home/k/sub", &[], "true").failed(125);
    assert!(error.contains("may be no link") && error.contains(&format!("rm {}", file.display())), "{error}");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let error = run_in(&place, "home/k/sub", &[], "true").failed(125);
    assert!(error.contains("not a regular file") && error.contains("--no-project"), "{error}");
    run_in(&place, "home/k/sub", &["-q", "--profile", "ci", "--no-project"], "true").ok();
}

#[test]
fn all_files_together_are_small() {
    need!(userns());
    let text = |length: usize| format!("schema = 1\n#{}\n", "x".repeat(length));
    let place = closed(&text(30 << 10));
    place.write("home/k/sub/.sbx.toml", &text(33 << 10));
    run_in(&place, "home/k/sub", &[], "true").ok();
    place.write("home/.sbx.toml", &text(2 << 10));
    let error = run_in(&place, "home/k/sub", &[], "true").failed(125);
    assert!(error.contains("home/.sbx.toml, ") && error.contains("together larger than 64 KiB"), "{error}");
}

#[test]
fn lines_of_a_profile_for_the_project_close_from_each_directory_above_it() {
    need!(userns(), tools(&["git"]));
    for mode in ["deny,optional", "masked", "hidden", "tmpfs", "ro"] {
        let place = closed("schema = 1\n");
        let profile = if mode == "hidden" { "default" } else { "ci" };
        place.write(
            "home/mine.toml",
            &format!(
                "schema = 1\nextends = [\"{profile}\"]\n[filesystem.paths]\n\"${{PROJECT}}/sub/secrets\" = \"{mode}\"\n"
            ),
        );
        let mine = place.home().join("mine.toml").display().to_string();
        on_host(&place.home().join("k"), "git init -q");
        for mark in ["true", "touch go.work", "git init -q . && rm -rf ../.git"] {
            on_host(&place.home().join("k/sub"), mark);
            let script = "cat secrets/s; echo x >> secrets/s; true";
            let out = run_in(&place, "home/k/sub", &["-q", "--profile", &mine], script);
            let text = std::fs::read_to_string(place.home().join("k/sub/secrets/s")).unwrap();
            assert!(text == "SECRET\n", "{mode} {mark}: {out:#?}");
            assert!(mode == "ro" || !out.out.contains("SECRET"), "{mode} {mark}: {out:#?}");
        }
    }
}

#[test]
fn what_makes_another_project_of_the_next_start_is_told_at_the_end() {
    need!(userns(), tools(&["git"]));
    for (dir, before, inside, told) in [
        ("sub", "git init -q", "touch go.work", "k/sub, by go.work"),
        ("sub/t", "git init -q", "touch ../go.work", "k/sub, by go.work"),
        ("sub", "git init -q", "echo '[workspace]' > Cargo.toml", "k/sub, by Cargo.toml"),
        ("sub", "git init -q", "git init -q .", "k/sub, by .git"),
        ("sub", "touch go.work", "rm ../go.work", "k/sub, which nothing marks"),
        ("sub", "git init -q", "chmod 1777 ..", "k/sub, which nothing marks"),
        ("sub", "git init -q", ": > Makefile", ""),
        ("sub", "git init -q", "touch ../go.work", ""),
        ("", "git init -q", "touch go.work sub/go.work", ""),
    ] {
        let place = closed("");
        std::fs::remove_file(place.home().join("k/.sbx.toml")).unwrap();
        on_host(&place.home().join("k"), before);
        let out = run_in(&place, &format!("home/k/{dir}"), &["--profile", "ci"], inside);
        let is_told = out.err.contains("${PROJECT} is from the next start on");
        let right = if told.is_empty() { !is_told } else { is_told && out.err.contains(told) };
        assert!(right && out.status == Some(0), "{before}, {inside}: {out:#?}");
        let out = run_in(&place, &format!("home/k/{dir}"), &["-q", "--profile", "default"], inside);
        assert!(!out.err.contains("${PROJECT}"), "{inside}: {out:#?}");
    }
}

#[test]
fn a_directory_above_that_a_program_shut_is_an_error_and_does_not_leave_its_file_out() {
    need!(userns(), not_root());
    let place = closed("schema = 1\n[rlimits]\nnofile = 33\n");
    let sub = place.home().join("k/sub");
    for mode in ["0", "600", "200"] {
        let script = format!("chmod {mode} ..; exec \"$@\"");
        let run = |flags: &[&str]| {
            let mut command = std::process::Command::new("/bin/sh");
            command.args(["-c", &script, "sh"]).arg(common::sbx()).args(flags).args([
                "--",
                "/bin/sh",
                "-c",
                "ulimit -n",
            ]);
            command.env("HOME", place.home()).env("NO_COLOR", "1");
            on_host(&place.home(), "chmod 755 k");
            let out = ran(command.current_dir(&sub).output().unwrap());
            on_host(&place.home(), "chmod 755 k");
            out
        };
        let error = run(&["--profile", "ci"]).failed(125);
        let mend = format!("chmod u+rwx {}", place.home().join("k").display());
        assert!(error.contains(".sbx.toml cannot be looked up") && error.contains(&mend), "{mode}: {error}");
        let out = run(&["-q", "--profile", "ci", "--no-project"]);
        assert!(out.status == Some(0) && out.out != "33\n", "{mode}: {out:#?}");
    }
}

#[test]
fn what_other_users_put_above_counts_for_nothing_and_is_told() {
    need!(root(), userns());
    let place = closed("schema = 1\n[network]\nmode = \"host\"\n");
    let file = place.home().join("k/.sbx.toml");
    std::os::unix::fs::chown(&file, Some(1), Some(1)).unwrap();
    let out = run_in(&place, "home/k/sub", &[], "echo fine");
    assert!(out.status == Some(0) && out.out == "fine\n", "{out:#?}");
    assert!(out.err.contains("k/.sbx.toml belongs to user 1"), "{out:#?}");
    // FIFOs, links and the like do not stop it either.
    for make in ["mkfifo .sbx.toml", "ln -s nowhere .sbx.toml", "mkdir .sbx.toml"] {
        on_host(&place.home().join("k"), &format!("rm -rf .sbx.toml; {make}; chown -h 1:1 .sbx.toml"));
        let out = run_in(&place, "home/k/sub", &[], "echo fine");
        assert!(out.status == Some(0) && out.err.contains("belongs to user 1"), "{make}: {out:#?}");
    }
    // Whose the current directory is, is the project's owner.
    on_host(&place.home().join("k"), "rm -rf .sbx.toml; chown 1:1 sub");
    place.write("home/k/.sbx.toml", CLOSES);
    std::os::unix::fs::chown(&file, Some(1), Some(1)).unwrap();
    let out = run_in(&place, "home/k/sub", &["--ro", "."], "cat secrets/s");
    assert!(!out.out.contains("SECRET") && out.err.contains("Permission denied"), "{out:#?}");
}

#[test]
fn a_file_above_in_a_directory_that_others_may_write_to_counts() {
    need!(userns(), not_root(), tools(&["setfacl"]));
    let place = closed(CLOSES);
    for open in ["setfacl -m u:nobody:rwx .", "setfacl -b .; chmod 777 .", "chmod 1777 .", "chmod 2775 ."] {
        on_host(&place.home().join("k"), open);
        let out = run_in(&place, "home/k/sub", &["-q", "--profile", "ci"], "cat secrets/s");
        assert!(!out.out.contains("SECRET") && out.err.contains("Permission denied"), "{open}: {out:#?}");
    }
}
