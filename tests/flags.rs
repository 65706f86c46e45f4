//! Flags: names of files that look like something else, and which of two flags counts.

mod common;

use common::{Place, userns};

/// What a run of these flags would do with paths below the place, from `sbx plan`.
fn planned(place: &Place, flags: &[&str]) -> String {
    place.run(&[&["plan", "--verbose"], flags, &["--", "true"]].concat()).ok()
}

#[test]
fn a_name_that_an_archive_holds_shows_that_file_and_nothing_else() {
    need!(userns());
    let place = Place::new();
    place.write("home/.ssh/id", "SECRET");
    place.write("home/Downloads/file", "SECRET");
    place.write("work/x", "x");
    let names = [
        "x,from=~",
        "x,from=/home",
        "y,noexec",
        "a,b",
        "$HOME",
        "-x",
        "#x",
        "x y",
        "\"x\"",
        "x,from=~,noexec",
        "[x]",
        "*",
        "?",
        "[*]",
        "[[?]]",
        "a[*]?*",
    ];
    for name in names {
        place.write(&format!("work/{name}"), "kept");
    }
    let all = "cat ~/.ssh/id ~/Downloads/file 2>/dev/null";
    for flag in ["ro", "rw"] {
        for name in names {
            let script = format!("{all}; cat \"$PWD/$0\"");
            let flag = format!("--{flag}={name}");
            let ran = place.run(&[&flag, "--set", "filesystem.root=host", "--", "/bin/sh", "-c", &script, name]);
            assert_eq!(ran.ok(), "kept", "{flag}");
        }
    }
    // What means two things is refused, and so is a source behind a comma.
    for name in ["~/.ssh,optional", "~/.ssh", "${HOME}", "xdg-download", "x,noexec", "~"] {
        let _ = std::fs::remove_dir_all(place.work().join("~"));
        place.write(&format!("work/{name}"), "kept");
        for flag in ["--ro", "--rw", "--mask", "--tmpfs"] {
            let refused = place.sh(&[flag, name], all).failed(125);
            assert!(refused.contains("is a file's name, and also"), "{flag} {name}: {refused}");
        }
    }
    for name in ["gone,from=~", "gone,optional,from=~", "/data,from=/"] {
        let refused = place.sh(&["--ro", name], all).failed(125);
        assert!(refused.contains("takes no `from=`") && refused.contains("--from "), "{name}: {refused}");
    }
}

#[test]
fn from_shows_another_file_at_the_path_of_the_flag_before_it() {
    need!(userns());
    let place = Place::new();
    place.write("work/src,noexec/file", "SOURCE");
    place.write("work/\"q\\/file", "QUOTED");
    let script = "cat /here/file";
    assert_eq!(place.sh(&["--ro", "/here", "--from", "src,noexec"], script).ok(), "SOURCE");
    assert_eq!(place.sh(&["--ro", "/here,noexec", "--from", "\"q\\"], script).ok(), "QUOTED");
    assert_eq!(place.sh(&["--ro", "/here", "--from", "/usr", "--from", "src,noexec"], script).ok(), "SOURCE");
    let two = ["--ro", "/a", "--from", "src,noexec", "--rw", "/here", "--from", "\"q\\"];
    assert_eq!(place.sh(&two, "cat /a/file /here/file").ok(), "SOURCEQUOTED");
    assert!(place.sh(&["--ro", "/here", "--from", "."], "ls /here").ok().contains("src,noexec"));
    for flags in
        [&["--from", "."][..], &["--from", ".", "--ro", "/here"], &["--ro", "/usr", "--tmpfs", "/x", "--from", "."]]
    {
        assert!(
            place.sh(flags, script).failed(125).contains("no --ro, --rw or --overlay stands before it"),
            "{flags:?}"
        );
    }
    let missing = place.sh(&["--ro", "/here", "--from", "none"], script).failed(125);
    assert!(missing.contains("--ro /here,optional --from none"), "{missing}");
    // In a profile, a source that holds a comma stands in quotes.
    let dir = place.work().join("src,noexec").display().to_string();
    let profile =
        format!("schema = 1\nextends = [\"default\"]\n[filesystem.paths]\n\"/here\" = 'ro,from=\"{dir}\",noexec'\n");
    let profile = place.write("p.toml", &profile).display().to_string();
    assert_eq!(place.sh(&["--profile", &profile], script).ok(), "SOURCE");
}

#[test]
fn of_two_flags_for_one_thing_the_last_counts() {
    let place = Place::new();
    place.write("work/dir/file", "");
    let dir = place.work().join("dir").display().to_string();
    let is_rw = |flags: &[&str]| {
        let plan = planned(&place, flags);
        let line = plan.lines().find(|line| line.starts_with("bind") && line.contains(&format!("{dir} ←")));
        line.is_some_and(|line| line.contains(" rw,"))
    };
    let set = format!("filesystem.paths.\"{dir}\"=ro");
    assert!(is_rw(&["--ro", "dir", "--rw", "dir"]));
    assert!(!is_rw(&["--rw", "dir", "--ro", "dir"]));
    assert!(is_rw(&["--ro", &dir, "--rw", "dir/"]));
    assert!(!is_rw(&["--rw", "./dir", "--ro", &dir]));
    assert!(is_rw(&["--ro", "${CWD}/dir", "--rw", "dir"]));
    assert!(!is_rw(&["--rw", "dir", "--ro", "${CWD}/dir"]));
    assert!(is_rw(&["--set", &set, "--rw", "dir"]));
    assert!(!is_rw(&["--rw", "dir", "--set", &set]));
    for flags in [
        &["--net", "none", "--net", "host"][..],
        &["--set", "network.mode=none", "--net", "host"],
        &["--net", "none", "--set", "network.mode=host"],
    ] {
        assert!(planned(&place, flags).contains("network     the host"), "{flags:?}: {}", planned(&place, flags));
    }
    for flags in [
        &["--hostname", "a", "--hostname", "b"][..],
        &["--timeout", "1s", "--timeout", "2s"],
        &["--user", "root", "--user", "self"],
        &["--profile", "ci", "--profile", "default"],
        &["-C", "/usr", "--cwd", "/"],
        &["--tty", "none", "--tty", "auto"],
        &["--cpus", "1", "--cpus", "2"],
        &["--memory", "1G", "--memory", "2G"],
        &["--as-pid-1", "--as-pid-1", "--no-project", "--no-project", "--open", "--open"],
        &["--env", "A=1", "--env", "A=2"],
    ] {
        let [twice, once] =
            [flags, &flags[flags.len() - 2..]].map(|flags| place.run(&[&["plan"], flags, &["--", "true"]].concat()));
        assert_eq!((twice.status, &twice.out), (once.status, &once.out), "{flags:?}: {}", twice.err);
    }
    assert_eq!(place.run(&["-q", "-q", "plan"]).status, place.run(&["-q", "plan"]).status);
}

#[test]
fn the_letter_that_names_a_profile_elsewhere_is_told_to_publish_ports() {
    let place = Place::new();
    let told = place.run(&["-p", "ci", "--", "true"]).failed(125);
    assert!(told.contains("--publish (-p) names ports") && told.contains("write --profile ci"), "{told}");
    let plan = place.run(&["plan", "--verbose", "--net", "private", "-p", "8080:80", "--", "true"]);
    assert!(plan.out.contains("8080") || plan.err.contains("pasta"), "{plan:?}");
}

/// What is stricter has the directories above it bound onto themselves, so that they are not moved away.
#[test]
fn what_is_shown_at_a_path_stays_there_whatever_is_closed_beside_it() {
    need!(userns());
    let place = Place::new();
    place.write("work/d/e/a", "host\n");
    place.write("work/d/b", "host\n");
    place.write("other/a", "other\n");
    std::fs::create_dir(place.work().join("d/proc")).unwrap();
    let other = place.dir.path().join("other/a").display().to_string();
    for above in ["--rw", "--overlay"] {
        for beside in [&["--ro", "d/b"][..], &["--mask", "d/b"], &["--tmpfs", "d/proc"]] {
            let flags = [&["-q", above, ".", "--rw", "d/e/a", "--from", &other][..], beside].concat();
            let read = place.sh(&flags, "cat d/e/a; mv d/e d/f 2>/dev/null || echo stays");
            assert_eq!(read.ok(), "other\nstays\n", "{flags:?}");
        }
    }
}
