//! Each shipped profile in a real run: what it is for works, and what it keeps away cannot be reached.

mod common;

use common::network::{on_network, programs};
use common::{Place, tun, userns};

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
    let with_network = ["browser", "firefox", "chromium", "ci-net", "net"];
    need!(tun(), programs());
    let without = ["base/host", "base/desktop", "base/test", "default", "ci", "shell", "viewer"];
    for profile in without.iter().chain(&with_network) {
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
    need!(userns(), tun(), programs());
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
    need!(userns(), tun(), programs());
    let place = place();
    let script = "echo a > ~/.config/mozilla/p; echo b > ~/.cache/mozilla/c; echo d > ~/Downloads/file; \
                  touch ~/gone; ls ~/Documents; unshare -U true && echo nested";
    let out = sh(&place, "browser", script);
    assert_eq!(out.out, "nested\n", "{out:?}");
    for (path, text) in [(".config/mozilla/p", "a\n"), (".cache/mozilla/c", "b\n"), ("Downloads/file", "d\n")] {
        assert_eq!(std::fs::read_to_string(place.home().join(path)).unwrap(), text);
    }
    assert!(!place.home().join("gone").exists());
    // Created with access for the user alone.
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(place.home().join(".config/mozilla")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

/// Beside the Internet, a browser and what fetches reach what is named: a server of the host's, machines of a local network.
#[test]
fn profiles_with_a_network_reach_the_internet_and_nothing_nearer() {
    need!(userns(), tun(), programs());
    for profile in ["firefox", "chromium", "browser", "net", "ci-net"] {
        let place = Place::new();
        let text = format!(
            "\"$SBX\" -q --profile {profile} -- python3 -c \"$TRY\" tcp,203.0.113.10,80 name,one.example,80 tcp,127.0.0.1,7777 \
                 tcp,198.51.100.2,7000 tcp,10.9.9.9,80 tcp,169.254.169.254,80 tcp,198.51.100.1,82; \
             \"$SBX\" -q --profile {profile} --forward 7777 --set 'network.allow=[\"internet\", \"private\"]' -- \
                 python3 -c \"$TRY\" tcp,127.0.0.1,7777 tcp,10.9.9.9,80 tcp,203.0.113.10,80 tcp,198.51.100.2,7000; \
             \"$SBX\" -q --profile {profile} --net host -- python3 -c \"$TRY\" tcp,127.0.0.1,7777"
        );
        let ran = common::ran(on_network(&place, &[], &text).output().unwrap());
        let expected = [
            "tcp,203.0.113.10,80 reached 203.0.113.10 from 198.51.100.2",
            "name,one.example,80 is 2001:db8:f::10 203.0.113.10",
            "tcp,127.0.0.1,7777 ECONNREFUSED",
            "tcp,198.51.100.2,7000 ECONNREFUSED",
            "tcp,10.9.9.9,80 ECONNREFUSED",
            "tcp,169.254.169.254,80 ECONNREFUSED",
            "tcp,198.51.100.1,82 ECONNREFUSED",
            "tcp,127.0.0.1,7777 reached 127.0.0.1 from 127.0.0.1",
            "tcp,10.9.9.9,80 reached 10.9.9.9 from 198.51.100.2",
            "tcp,203.0.113.10,80 reached 203.0.113.10 from 198.51.100.2",
            "tcp,198.51.100.2,7000 ECONNREFUSED",
            "tcp,127.0.0.1,7777 reached 127.0.0.1 from 127.0.0.1",
        ];
        assert_eq!(ran.out.lines().collect::<Vec<_>>(), expected, "{profile}: {ran:?}");
    }
}

/// A host that has no program to carry packets: the start fails, and says what to install and what goes without.
#[test]
fn a_profile_with_a_network_says_what_it_needs_where_that_is_not_installed() {
    need!(userns(), tun(), programs());
    let place = Place::new();
    let text = "mkdir empty; for name in pasta slirp4netns; do for dir in /usr/bin /bin; do \
                    [ ! -e $dir/$name ] || [ -L $dir ] || echo mount --bind /dev/null $dir/$name >\"$AS_ROOT\"; done; done; sleep 0.5; \
                for profile in firefox net ci-net; do \"$SBX\" --profile $profile -- echo runs; echo $?; done; \
                \"$SBX\" -q --profile firefox --net none -- echo without";
    let ran = common::ran(on_network(&place, &[], text).output().unwrap());
    assert_eq!(ran.out, "125\n125\n125\nwithout\n", "{ran:?}");
    assert_eq!(ran.err.matches("network.mode = \"private\" needs pasta or slirp4netns").count(), 3, "{ran:?}");
    assert_eq!(ran.err.matches("apt-get install passt").count(), 3, "{ran:?}");
    assert_eq!(ran.err.matches("--net host shares the host's").count(), 3, "{ran:?}");
}
