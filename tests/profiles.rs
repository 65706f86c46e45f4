//! Each shipped profile in a real run: what it is for works, and what it keeps away cannot be reached.

mod common;

use common::{Place, userns};

/// A place whose home has files to protect.
fn place() -> Place {
    let place = Place::new();
    for path in ["home/.ssh/id_test", "home/.bashrc", "home/Documents/letter", "home/.config/secret", "work/file"] {
        place.write(path, "text\n");
    }
    place
}

/// Runs a script under a profile.
fn sh(place: &Place, profile: &str, script: &str) -> common::Ran {
    place.run(&["run", "--quiet", "--profile", profile, "--", "/bin/sh", "-c", script])
}

#[test]
fn every_profile_starts_and_keeps_the_home_away() {
    need!(userns());
    for profile in
        ["base/host", "base/desktop", "base/test", "default", "browser", "firefox", "chromium", "ci", "shell", "viewer"]
    {
        let out = sh(&place(), profile, "cat ~/.ssh/id_test; cat ~/.bashrc; cat ~/.config/secret; echo fine");
        assert_eq!(out.out, "fine\n", "{profile}: {out:?}");
        assert_eq!(out.err.matches("No such file").count(), 3, "{profile}: {out:?}");
    }
}

#[test]
fn default_is_for_a_tool_that_nobody_trusts() {
    need!(userns());
    let place = place();
    let script =
        "cat file; echo new > file; touch new; cat file; touch ~/x && echo home; cat /proc/net/dev | grep -c :";
    let out = sh(&place, "default", script);
    assert_eq!(out.out, "text\nnew\nhome\n1\n", "{out:?}");
    // What it has changed stays inside, and is told.
    let told = place.run(&["--", "/bin/sh", "-c", script]);
    assert!(told.err.contains("2 files changed in ") && told.err.contains("were discarded"), "{told:?}");
    assert_eq!(place.on_host("cat file; ls new 2>/dev/null || true"), "text\n");
    // Flags for the directory count.
    let ro = place.run(&["--ro", ".", "--", "/bin/sh", "-c", "echo x > new"]);
    assert!(ro.err.contains("Read-only file system") && !ro.err.contains("discarded"), "{ro:?}");
    place.run(&["--rw", ".", "--", "/bin/sh", "-c", "echo x > new"]).ok();
    assert_eq!(place.on_host("cat new"), "x\n");
}

#[test]
fn ci_builds_and_runs_a_program() {
    need!(userns());
    let place = place();
    place.write("work/main.c", "#include <stdio.h>\nint main(void) { puts(\"built\"); return 0; }\n");
    let out = sh(&place, "ci", "gcc -o main main.c && ./main && ls -A ~; unshare -U true && echo nested");
    assert_eq!(out.out, "built\nnested\n", "{out:?}");
    assert!(place.work().join("main").exists());
    let offline = sh(&place, "ci", "grep -c : /proc/net/dev");
    assert_eq!(offline.ok(), "1\n");
}

#[test]
fn ci_has_the_tools_caches_where_they_are() {
    need!(userns());
    let place = place();
    place.write("home/.cargo/registry/crate", "cached");
    place.write("home/.cargo/credentials.toml", "token");
    place.write("home/.cargo/bin/tool", "#!/bin/sh\necho tool\n");
    place.write("home/.npmrc", "token");
    let out = sh(
        &place,
        "ci",
        "cat ~/.cargo/registry/crate; touch ~/.cargo/registry/new; touch ~/.cargo/bin/x; cat ~/.cargo/credentials.toml ~/.npmrc",
    );
    assert_eq!(out.out, "cached", "{out:?}");
    assert!(place.home().join(".cargo/registry/new").exists() && !place.home().join(".cargo/bin/x").exists());
}

#[test]
fn shell_is_a_shell_in_the_current_directory() {
    need!(userns());
    let place = place();
    let mut command = place.command();
    command
        .args(["run", "--profile", "shell"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    use std::io::Write;
    child.stdin.take().unwrap().write_all(b"pwd; touch made; echo $BASH_VERSION | grep -c .\n").unwrap();
    let out = common::ran(child.wait_with_output().unwrap()).ok();
    assert_eq!(out, format!("{}\n1\n", place.work().display()));
    assert!(place.work().join("made").exists());
}

#[test]
fn viewer_reads_documents_and_has_no_network() {
    need!(userns());
    let place = place();
    let out = sh(&place, "viewer", "cat file ~/Documents/letter; echo x > ~/Documents/letter; grep -c : /proc/net/dev");
    assert_eq!(out.out, "text\ntext\n1\n", "{out:?}");
    assert!(out.err.contains("Read-only file system"), "{out:?}");
}

#[test]
fn a_browser_does_not_see_the_other_ones_data_and_runs_once() {
    need!(userns());
    let place = place();
    for (profile, own, other) in [("firefox", "mozilla", "chromium"), ("chromium", "chromium", "mozilla")] {
        let script = format!(
            "ls -d ~/.config/{other} ~/.cache/{other} 2>/dev/null; echo x > ~/.config/{own}/data; ls ~/.config"
        );
        assert_eq!(sh(&place, profile, &script).ok(), format!("{own}\n"), "{profile}");
        assert_eq!(std::fs::read_to_string(place.home().join(format!(".config/{own}/data"))).unwrap(), "x\n");
    }
    let start = |profile: &str| {
        let ready = place.home().join("Downloads/ready");
        let _ = std::fs::remove_file(&ready);
        let mut command = place.command();
        command.args(["-q", "--profile", profile, "--", "/bin/sh", "-c", "touch ~/Downloads/ready; exec cat"]);
        let child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        common::until(|| ready.exists());
        child
    };
    // Beside each other, but each once, whichever profile shows the data.
    let mut running = [start("firefox"), start("chromium")];
    for (profile, own) in [("firefox", "mozilla"), ("chromium", "chromium"), ("browser", "is in use")] {
        let refused = sh(&place, profile, "true").failed(125);
        assert!(refused.contains("is for one sandbox at a time") && refused.contains(own), "{profile}: {refused}");
    }
    for child in &mut running {
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
    sh(&place, "browser", "true").ok();
}

#[test]
fn browser_keeps_its_own_directories_and_the_downloads() {
    need!(userns());
    let place = place();
    let script = "echo a > ~/.config/mozilla/p; echo b > ~/.cache/mozilla/c; echo d > ~/Downloads/file; \
                  touch ~/gone; ls ~/Documents; unshare -U true && echo nested; readlink /proc/self/ns/net";
    let out = sh(&place, "browser", script);
    let net = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert_eq!(out.out, format!("nested\n{}\n", net.display()), "{out:?}");
    for (path, text) in [(".config/mozilla/p", "a\n"), (".cache/mozilla/c", "b\n"), ("Downloads/file", "d\n")] {
        assert_eq!(std::fs::read_to_string(place.home().join(path)).unwrap(), text);
    }
    assert!(!place.home().join("gone").exists());
    // Created with access for the user alone.
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(place.home().join(".config/mozilla")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}
