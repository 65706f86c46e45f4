//! Private homes that are kept: what stays, who may use one at a time, and what a program may have left in one.

mod common;

use common::{Place, not_root, ran, root, until, userns};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const ONE: [&str; 2] = ["--home", "private:one"];

fn store(place: &Place) -> PathBuf {
    place.home().join(".local/share/sbx/homes")
}

#[test]
fn what_is_written_to_a_private_home_is_there_in_the_next_run_with_its_name() {
    need!(userns());
    let place = Place::new();
    place.write("home/.bashrc", "mine\n");
    let read = "cat ~/.bashrc ~/dir/new 2>/dev/null; true";
    place.sh(&ONE, "mkdir ~/dir; echo kept > ~/dir/new; echo theirs > ~/.bashrc").ok();
    assert_eq!(place.sh(&ONE, read).ok(), "theirs\nkept\n");
    assert_eq!(place.sh(&["--home", "private:two"], read).ok(), "");
    assert_eq!(place.sh(&[], read).ok(), "");
    assert_eq!(place.sh(&["--profile", "ci", "--home", "private:one"], read).ok(), "theirs\nkept\n");
    assert_eq!(std::fs::read_to_string(place.home().join(".bashrc")).unwrap(), "mine\n");
    assert_eq!(std::fs::read_to_string(store(&place).join("one/home/dir/new")).unwrap(), "kept\n");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(store(&place)).unwrap());
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn rules_below_the_home_hold_in_every_run() {
    need!(userns());
    let place = Place::new();
    for file in ["tool/config", "shown", "secret", "data/x"] {
        place.write(&format!("home/{file}"), "host\n");
    }
    let at = |name: &str| place.home().join(name).display().to_string();
    let (tool, shown, secret, data, tmp) = (at("tool"), at("shown"), at("secret"), at("data"), at("tmp/a"));
    let flags =
        [&ONE[..], &["--ro", &tool, "--ro", &shown, "--rw", &data, "--mask", &secret, "--tmpfs", &tmp]].concat();
    for turn in ["first", "second"] {
        let script = format!(
            "cat ~/tool/config ~/shown ~/secret; echo {turn} > ~/data/x; echo {turn} >> ~/log; touch ~/tmp/a/x
             touch ~/tool/new ~/shown ~/secret; true"
        );
        let out = place.sh(&flags, &script);
        assert_eq!(out.out, "host\nhost\n", "{turn}: {out:?}");
        assert_eq!(out.err.matches("cannot touch").count(), 3, "{turn}: {out:?}");
        assert_eq!(std::fs::read_to_string(place.home().join("data/x")).unwrap(), format!("{turn}\n"));
    }
    assert_eq!(
        place.sh(&ONE, "cat ~/log; ls ~/data ~/tmp/a; cat ~/secret").out.lines().take(2).collect::<Vec<_>>(),
        ["first", "second"]
    );
}

#[test]
fn one_sandbox_at_a_time_uses_a_private_home() {
    need!(userns());
    let place = Place::new();
    let mut command = place.command();
    command.args(ONE).args(["--", "/bin/sh", "-c", "touch ~/ready; cat"]).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    until(|| store(&place).join("one/home/ready").exists());
    let refused = place.sh(&ONE, "true").failed(125);
    assert!(refused.contains("the private home `one` is in use") && refused.contains("--home"), "{refused}");
    let refused = place.run(&["homes", "--remove", "one"]).failed(125);
    assert!(refused.contains("is in use"), "{refused}");
    assert!(place.run(&["homes"]).ok().contains("in use"));
    place.sh(&["--home", "private:two"], "true").ok();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    place.sh(&ONE, "true").ok();
}

#[test]
fn private_homes_are_listed_and_removed() {
    need!(userns());
    let place = Place::new();
    place.sh(&ONE, "mkdir -p ~/a/b; touch ~/a/b/c; chmod 0 ~/a/b; ln -s / ~/root").ok();
    place.sh(&["--home", "private:two"], "true").ok();
    let list: serde_json::Value = serde_json::from_str(&place.run(&["homes", "--json"]).ok()).unwrap();
    let names: Vec<_> = list.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["one", "two"]);
    place.run(&["homes", "--remove", "one"]).ok();
    assert!(!store(&place).join("one").exists() && store(&place).join("two").exists());
    let unknown = place.run(&["homes", "--remove", "one", "--remove", "two"]).failed(125);
    assert!(unknown.contains("there is no private home `one`"), "{unknown}");
    assert!(!store(&place).join("two").exists(), "the others are removed");
}

#[test]
fn what_a_program_left_in_a_private_home_leads_nowhere_else() {
    need!(userns());
    let place = Place::new();
    for file in ["tool/config", "file", "outside/x"] {
        place.write(&format!("home/{file}"), "host\n");
    }
    let at = |name: &str| place.home().join(name).display().to_string();
    let flags = |ways: &[&str]| {
        [&ONE[..], &["--ro", &at("tool"), "--ro", &at("file"), "--tmpfs", &at("deep/in/x")], ways]
            .concat()
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    for left in [
        "ln -s ../outside ~/tool",
        "ln -s /etc/passwd ~/file",
        "ln -s /usr ~/deep",
        "mkdir -p ~/deep; ln -s /etc ~/deep/in",
        "mkdir ~/file",
        "touch ~/tool",
        "mkfifo ~/file",
        "ln -s loop ~/loop; ln -s loop ~/deep",
        "mkdir ~/.config; ln -s / ~/.config/x; touch ~/deep",
    ] {
        place.sh(&ONE, left).ok();
        let flags = flags(&[]);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let out = place.sh(
            &flags,
            "echo evil > ~/outside/x; echo evil >> ~/file; echo evil > ~/tool/config; cat ~/tool/config; true",
        );
        // It starts, and shows what it is to show; or it says what is in the way.
        match out.status {
            Some(0) => assert_eq!(out.out, "host\n", "{left}: {out:?}"),
            status => assert!(status == Some(125) && out.err.contains("sbx: "), "{left}: {out:?}"),
        }
        for file in ["tool/config", "file", "outside/x"] {
            assert_eq!(std::fs::read_to_string(place.home().join(file)).unwrap(), "host\n", "{left}");
        }
        place.run(&["homes", "--remove", "one"]).ok();
    }
}

#[test]
fn what_cannot_be_a_private_home_is_refused_with_words() {
    need!(userns());
    let place = Place::new();
    let refused = |flags: &[&str], words: &str| {
        let said = place.sh(flags, "true").failed(125);
        assert!(said.contains(words), "{flags:?}: {said}");
    };
    refused(&["--home", "private:../x"], "is no name of a private home");
    refused(&["--home", "elsewhere"], "is no home");
    refused(&["--home", "private:one", "--rw", "~"], "has a rule of its own");
    if available!(common::Need::new("subids", std::path::Path::new("/usr/bin/newuidmap").exists(), "newuidmap")) {
        refused(&["--home", "private:one", "--user", "range"], "subordinate ids");
    }
    place.write("work/.sbx.toml", "schema = 1\nfilesystem.home = \"private:one\"\n");
    refused(&[], "a project's file cannot set `filesystem.home`");
    std::fs::remove_file(place.work().join(".sbx.toml")).unwrap();
    std::fs::create_dir_all(store(&place)).unwrap();
    std::fs::set_permissions(store(&place), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    refused(&ONE, "is open to others");
    let mut command = place.command();
    command
        .env("XDG_DATA_HOME", place.dir.path().join("data"))
        .args(ONE)
        .args(["--", "touch"])
        .arg(place.home().join("x"));
    ran(command.output().unwrap()).ok();
    assert!(place.dir.path().join("data/sbx/homes/one/home/x").exists());
}

#[test]
fn private_homes_are_not_seen_by_others_that_show_a_directory_above_them() {
    need!(userns());
    let place = Place::new();
    place.sh(&ONE, "echo secret > ~/key").ok();
    let data = place.home().join(".local/share").display().to_string();
    let script =
        "cat ~/.local/share/sbx/homes/one/home/key; echo x > ~/.local/share/sbx/homes/one/home/new; ls ~/.local/share";
    for flags in [["--ro", &data], ["--rw", &data], ["--overlay", &data]] {
        let out = place.sh(&flags, script);
        assert_eq!(out.out, "sbx\n", "{flags:?}: {out:?}");
    }
}

#[test]
fn the_first_private_home_of_a_user_is_not_seen_either() {
    need!(userns());
    let place = Place::new();
    place.write("home/.local/share/x", "");
    let data = place.home().join(".local/share").display().to_string();
    for flags in [["--ro", &data], ["--rw", &data], ["--overlay", &data]] {
        let script = "ls ~/.local/share/sbx/homes; touch ~/kept ~/.local/share/sbx/homes/x 2>/dev/null; true";
        let out = place.sh(&[&ONE[..], &flags].concat(), script).ok();
        assert_eq!(out, "", "{flags:?}");
        assert!(store(&place).join("one/home/kept").exists(), "{flags:?}");
        assert!(!store(&place).join("x").exists(), "{flags:?}");
        std::fs::remove_dir_all(place.home().join(".local/share/sbx")).unwrap();
    }
}

#[test]
fn stores_that_another_run_makes_meanwhile_are_not_seen() {
    need!(userns());
    for (above, flags) in [(".local/share", ["--ro"]), (".local", ["--ro"]), (".local/share", ["--overlay"])] {
        for fresh in [
            &["--home", "private:one", "--", "/bin/sh", "-c", "echo TOPSECRET > ~/key"][..],
            &["--overlay", ".", "--upper", "keep:u1", "--", "/bin/sh", "-c", "echo TOPSECRET > key"],
        ] {
            let place = Place::new();
            place.write("home/.local/share/x", "");
            let shown = place.home().join(above).display().to_string();
            let script =
                "echo started; read line; cat ~/.local/share/sbx/*/*/*/key ~/.local/share/sbx/*/*/*/*/key; true";
            let mut command = place.command();
            command.args(flags).args([&shown, "--", "/bin/sh", "-c", script]);
            let (pipe, null) = (std::process::Stdio::piped, std::process::Stdio::null);
            let mut running = command.stdin(pipe()).stdout(pipe()).stderr(null()).spawn().unwrap();
            let mut out = std::io::BufReader::new(running.stdout.take().unwrap());
            let mut text = String::new();
            std::io::BufRead::read_line(&mut out, &mut text).unwrap();
            assert_eq!(text, "started\n");
            place.run(fresh).ok();
            drop(running.stdin.take());
            text.clear();
            std::io::Read::read_to_string(&mut out, &mut text).unwrap();
            assert!(running.wait().unwrap().success() && text.is_empty(), "{above} {flags:?} {fresh:?}: {text}");
        }
    }
}

/// A profile that shows this directory of the home writable.
fn writable(place: &Place, dir: &str) -> String {
    let text = format!("schema = 1\nextends = [\"default\"]\n[filesystem.paths]\n\"{dir}\" = \"rw\"\n");
    place.write("home/a.toml", &text).display().to_string()
}

#[test]
fn a_program_cannot_make_what_a_later_run_takes_for_the_users_stores() {
    need!(userns());
    for dir in ["~/.local/share", "~/.local", "~"] {
        for script in [
            "mkdir -m 700 ~/.local/share/sbx; ln -s ~/.secret ~/.local/share/sbx/homes; ln -s ~/.secret ~/.local/share/sbx/uppers",
            "ln -s ~/.secret ~/.local/share/sbx",
            "mv ~/.local/share ~/.local/moved; mkdir -p ~/.local/share/sbx/uppers/u1",
            "rmdir ~/.local/share/sbx; rm -rf ~/.local; ln -s ~/.secret ~/.local",
            "mkdir -p ~/.local/share/sbx/uppers/u1/0/upper",
        ] {
            let place = Place::new();
            if dir == "~/.local/share" {
                std::fs::create_dir_all(place.home().join(".local/share")).unwrap();
            } else {
                std::fs::create_dir_all(place.home().join(".local")).unwrap();
            }
            place.write("home/.secret/one/home/key", "TOPSECRET");
            let out = place.sh(
                &["--profile", &writable(&place, dir)],
                &format!("mkdir -p ~/.local/share; {script}; ls ~/.local/share/sbx"),
            );
            assert_eq!(out.out, "", "{dir} {script}: {out:?}");
            let own = place.home().join(".local/share/sbx");
            let mode = std::os::unix::fs::MetadataExt::mode(&own.symlink_metadata().unwrap());
            assert_eq!((mode & 0o7777, std::fs::read_dir(own).unwrap().count()), (0o700, 0), "{dir} {script}");
            assert_eq!(place.sh(&ONE, "cat ~/key; touch ~/mine").out, "", "{dir} {script}");
            assert!(
                store(&place).join("one/home/mine").exists() && !place.home().join(".secret/one/home/mine").exists()
            );
        }
    }
    // Nor, with XDG_DATA_HOME and XDG_CONFIG_HOME, what runs without these take for them.
    let place = Place::new();
    for dir in [".local/share", ".config", "elsewhere"] {
        std::fs::create_dir_all(place.home().join(dir)).unwrap();
    }
    let elsewhere = place.home().join("elsewhere");
    let script = "mkdir -p ~/.local/share/sbx/homes ~/.config/sbx/profiles ~/elsewhere/sbx/homes ~/elsewhere/sbx/profiles; ls ~/*/sbx ~/.*/sbx ~/.local/*/sbx";
    let mut command = place.command();
    command.env("XDG_DATA_HOME", &elsewhere).env("XDG_CONFIG_HOME", elsewhere.join("config"));
    let home = place.home().display().to_string();
    command.args(["--rw", &home, "--", "/bin/sh", "-c", script]);
    let out = ran(command.output().unwrap());
    assert!(!out.out.contains("homes") && !out.out.contains("profiles\n"), "{out:?}");
    // Where it cannot be made, nobody makes it meanwhile either.
    let place = Place::new();
    place.write("home/.local/share/x", "");
    let data = place.home().join(".local/share").display().to_string();
    let mode = |mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(place.home().join(".local/share"), mode).unwrap();
    };
    mode(0o555);
    place.sh(&["--ro", &data], "ls ~/.local/share").ok();
    place.sh(&["--ro", &data, "--overlay", "."], "ls ~/.local/share").ok();
    mode(0o755);
    if available!(common::not_root()) {
        assert!(!place.home().join(".local/share/sbx").exists());
    }
    // The FUSE union keeps changes in the store.
    if available!(common::fuse()) {
        let fuse = ["--set", "filesystem.mechanism=fuse", "--overlay", "."];
        for flags in [["--ro", &data], ["--rw", &data], ["--overlay", &data]] {
            let out =
                place.sh(&[&fuse[..], &flags].concat(), "ls -A ~/.local/share/sbx; touch ~/.local/share/sbx/x; true");
            assert_eq!(out.ok(), "", "{flags:?}");
            std::fs::remove_dir_all(place.home().join(".local/share/sbx")).unwrap();
        }
    }
}

#[test]
fn permissions_of_the_callers_own_directories_do_not_say_that_no_program_makes_stores_or_profiles() {
    need!(userns(), not_root());
    let makes = "mkdir -p ~/.local/share/sbx/homes/x ~/.config/sbx/profiles && echo MADE";
    for (shut, shown) in [
        (".config", ".config"),
        (".config", ""),
        (".local/share", ".local/share"),
        (".local/share", ".local"),
        (".local", ".local"),
        (".local", ""),
    ] {
        for mode in ["555", "111", "577"] {
            let place = Place::new();
            // `share` is missing in what is shut itself.
            let dirs: &[&str] = if shut == ".local" { &[".local", ".config"] } else { &[".local/share", ".config"] };
            dirs.iter().for_each(|dir| std::fs::create_dir_all(place.home().join(dir)).unwrap());
            let dir = place.home().join(shut).display().to_string();
            let shown = place.home().join(shown).display().to_string();
            place.on_host(&format!("chmod {mode} {dir}"));
            let script = format!("chmod 755 {dir}; {makes}");
            let out = place.run(&["-q", "--rw", &shown, "--", "/bin/sh", "-c", &script]);
            assert!(!out.out.contains("MADE"), "{shut} {mode} {shown}: {out:#?}");
            let error = out.failed(125);
            assert!(error.contains("is yours and not writable") && error.contains(&format!("u+rwx {dir}")), "{error}");
            // Read-only, its permissions stay as they are.
            let out = place.run(&["-q", "--ro", &shown, "--", "/bin/sh", "-c", &script]);
            assert!(
                out.status.is_some_and(|status| status != 125) && !out.out.contains("MADE"),
                "{shut} {mode}: {out:#?}"
            );
            place.on_host(&format!("chmod 755 {dir}"));
        }
    }
}

#[test]
fn a_home_that_nobody_can_write_to_is_shown() {
    need!(root(), userns());
    let place = Place::new();
    for dir in [".local/share", ".config"] {
        std::fs::create_dir_all(place.home().join(dir)).unwrap();
    }
    // On a read-only mount, as in images of containers; and one of root's, as an ordinary user's.
    let (sbx, home, work) = (common::sbx(), place.home().display().to_string(), place.work().display().to_string());
    let copy = place.dir.path().join("sbx");
    common::copy_program(sbx, &copy);
    place.on_host(&format!(
        "chmod 755 {home} {work} {home}/..; chown -R 1000:1000 {home}; chmod 555 {home}/.local/share {home}/.config"
    ));
    let as_user = format!(
        "setpriv --reuid 1000 --regid 1000 --clear-groups env -i HOME={home} PATH=/usr/bin:/bin {} --rw {home} -- true",
        copy.display()
    );
    let mounted = format!("unshare -m sh -ec 'mount --bind {home} {home}; mount -o remount,bind,ro {home}; {as_user}'");
    place.on_host(&mounted);
    place.on_host(&format!("chown -R 0:0 {home}; {as_user}"));
}

#[test]
fn what_links_in_directories_of_profiles_and_extends_lead_to_is_not_written() {
    need!(userns());
    let text = "schema = 1\nextends = [\"default\"]\n";
    for (make, profile) in [
        ("mkdir -p profiles/d; ln -s $J/z.toml profiles/d/z.toml", "d/z"),
        ("mkdir -p profiles/d/e; ln -s $J/z.toml profiles/d/e/z.toml", "d/e/z"),
        ("mkdir -p profiles pdir; ln -s $J/z.toml pdir/z.toml; ln -s ../pdir profiles/team", "team/z"),
        ("mkdir -p profiles; printf 'schema = 1\nextends = [\"%s\"]\n' $J/z.toml > profiles/mine.toml", "mine"),
        (
            "mkdir -p profiles; printf 'schema = 1\nextends = [\n\"../b.toml\",\n]\n' > profiles/mine.toml; printf 'schema = 1\nextends = [\"%s\"]\n' $J/z.toml > b.toml",
            "mine",
        ),
    ] {
        let place = Place::new();
        let file = place.write("home/j/z.toml", text);
        std::fs::create_dir_all(place.home().join(".config/sbx")).unwrap();
        let j = place.home().join("j");
        place.on_host(&format!("cd {}/.config/sbx; J={}; {make}", place.home().display(), j.display()));
        place.run(&["plan", "--profile", profile, "--", "true"]).ok();
        let run = |flags: &[&str], script: &str| {
            let mut command = place.command();
            command.current_dir(&j).args(flags).args(["--", "/bin/sh", "-c", script]);
            ran(command.output().unwrap())
        };
        for flags in [&["-q", "--rw", "."][..], &["-q", "--profile", "ci"]] {
            let out = run(flags, "echo '#' >> z.toml; mv z.toml y; echo > fine");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "{make} {flags:?}: {out:#?}");
            assert!(j.join("fine").exists(), "{make} {flags:?}: {out:#?}");
        }
    }
}

#[test]
fn a_directory_that_a_program_shut_does_not_show_the_stores_in_it_to_the_next() {
    need!(userns(), not_root());
    let place = Place::new();
    place.write("home/.local/share/x", "");
    place.run(&["--home", "private:h1", "--", "/bin/sh", "-c", "echo PASSWORD > ~/.netrc"]).ok();
    let share = place.home().join(".local/share");
    for (shown, dir) in [(".local", ".local/share"), ("", ".local"), ("", ".local/share")] {
        let shown = place.home().join(shown).display().to_string();
        let run = |script: &str| place.run(&["-q", "--rw", &shown, "--", "/bin/sh", "-c", script]);
        run(&format!("chmod 0 ~/{dir}")).ok();
        let next = run(&format!("chmod 755 ~/{dir}; cat ~/.local/share/sbx/homes/h1/home/.netrc"));
        let open = Command::new("chmod").arg("755").args([place.home().join(".local"), share.clone()]).status();
        assert!(open.unwrap().success());
        assert!(next.failed(125).contains("/sbx cannot be looked up"), "{shown} {dir}");
    }
}

#[test]
fn links_in_the_way_to_stores_are_told_and_not_followed() {
    need!(userns());
    let links: [(&str, &str); 4] = [
        (".local/share/sbx", "../../.secret"),
        (".local/share/sbx/homes", "../../../.secret"),
        (".local/share/sbx/uppers", "../../../.secret"),
        (".local/share/sbx", "nowhere"),
    ];
    for (link, target) in links {
        let place = Place::new();
        let secret = place.home().join(".secret");
        place.write("home/.secret/one/home/key", "TOPSECRET");
        let all = std::process::Command::new("chmod").args(["-R", "go=", &secret.display().to_string()]).status();
        assert!(all.unwrap().success());
        let link = place.home().join(link);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::fs::set_permissions(link.parent().unwrap(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink(target, &link).unwrap();
        let told = format!("{} is a link, and sbx follows none to its own directories", link.display());
        let data = format!("{},exclusive", place.write("home/data/x", "").parent().unwrap().display());
        let work = place.work().display().to_string();
        let homes = !link.ends_with("uppers");
        let uppers = !link.ends_with("homes");
        for (affected, args) in [
            (homes, &["--home", "private:one", "--", "/bin/true"][..]),
            (homes, &["--rw", &data, "--", "/bin/true"]),
            (uppers, &["--overlay", &work, "--upper", "keep:u1", "--", "/bin/true"]),
            (homes, &["homes"]),
            (homes, &["homes", "--remove", "one"]),
            (uppers, &["uppers"]),
            (uppers, &["commit", "u1"]),
            (uppers, &["discard", "u1"]),
        ] {
            let out = place.run(args);
            let refused = out.status != Some(0) && out.err.contains(&told);
            assert!(refused || !affected, "{link:?} {args:?}: {out:?}");
        }
        assert_eq!(std::fs::read_dir(&secret).unwrap().count(), 1, "{link:?}: nothing is made where it leads");
        // Nor can a program replace it.
        if link.ends_with("sbx") {
            let out = place.sh(&["--profile", &writable(&place, "~/.local/share")], "true").failed(125);
            assert!(out.contains("is no directory, and lies in"), "{out}");
        }
    }
    // What is no private home has a name of one.
    let place = Place::new();
    place.sh(&ONE, "true").ok();
    std::os::unix::fs::symlink("/usr", store(&place).join("usr")).unwrap();
    let out = place.run(&["homes"]).ok();
    assert!(out.lines().any(|line| line.starts_with("usr ") && line.ends_with("cannot be read")), "{out}");
    let out = place.run(&["homes", "--remove", "usr"]);
    assert!(out.status != Some(0) && out.err.contains("/homes/usr is no directory"), "{out:?}");
}

#[test]
fn the_users_data_may_lie_behind_a_link_of_the_users() {
    need!(userns());
    let place = Place::new();
    std::fs::create_dir_all(place.home().join("disk/share")).unwrap();
    std::fs::create_dir_all(place.home().join(".local")).unwrap();
    std::os::unix::fs::symlink("../disk/share", place.home().join(".local/share")).unwrap();
    place.sh(&ONE, "touch ~/kept").ok();
    assert!(place.home().join("disk/share/sbx/homes/one/home/kept").exists());
    assert!(place.run(&["homes"]).ok().starts_with("one"));
    // Where the program may replace that link, or reach the directory by its other name.
    let out = place.sh(&["--profile", &writable(&place, "~/.local")], "true").failed(125);
    assert!(out.contains("/.local/share is a link in") && out.contains("which is writable"), "{out}");
    let out = place.sh(&["--profile", &writable(&place, "~/disk")], "ls ~/disk/share/sbx; touch ~/disk/share/sbx/x");
    assert!(out.out.is_empty() && !place.home().join("disk/share/sbx/x").exists(), "{out:?}");
    let out = place.sh(&["--profile", &writable(&place, "~/.local/share")], "ls ~/.local/share/sbx");
    assert_eq!(out.out, "", "{out:?}");
}

#[test]
fn a_program_that_may_write_beside_the_users_profiles_makes_and_changes_none() {
    need!(userns());
    let script = "mkdir -p ~/.config/sbx/profiles; echo evil > ~/.config/sbx/profiles/ci.toml; ln -s /tmp ~/.config/sbx/x; \
                  rm -rf ~/.config/sbx; mv ~/.config ~/moved; ls ~/.config/sbx; touch ~/.config/fine";
    for dir in ["~/.config", "~"] {
        for profiles in [false, true] {
            let place = Place::new();
            std::fs::create_dir_all(place.home().join(".config")).unwrap();
            let file = place.home().join(".config/sbx/profiles/ci.toml");
            if profiles {
                place.write("home/.config/sbx/profiles/ci.toml", "schema = 1\n");
            }
            let out = place.sh(&["--profile", &writable(&place, dir)], script);
            assert_eq!(out.out, if profiles { "profiles\n" } else { "" }, "{dir}: {out:?}");
            let left = std::fs::read_to_string(file).ok();
            assert_eq!(left.as_deref(), profiles.then_some("schema = 1\n"), "{dir}: {out:?}");
            assert!(place.home().join(".config/fine").exists(), "{dir}: {out:?}");
        }
    }
    // Named, they are writable.
    let place = Place::new();
    place.write("home/.config/sbx/profiles/ci.toml", "schema = 1\n");
    place
        .sh(&["--profile", &writable(&place, "~/.config/sbx/profiles")], "echo '#' >> ~/.config/sbx/profiles/ci.toml")
        .ok();
    // What links of the user's lead to.
    let place = Place::new();
    place.write("home/dots/sbx/profiles/ci.toml", "schema = 1\n");
    std::fs::create_dir_all(place.home().join(".config")).unwrap();
    std::os::unix::fs::symlink("../dots/sbx", place.home().join(".config/sbx")).unwrap();
    let out = place
        .sh(&["--profile", &writable(&place, "~/dots")], "echo x > ~/dots/sbx/profiles/ci.toml; touch ~/dots/fine");
    assert!(out.status == Some(0) && out.err.contains("Read-only"), "{out:?}");
    let out = place.sh(&["--profile", &writable(&place, "~/.config")], "true").failed(125);
    assert!(out.contains("/.config/sbx is a link in") && out.contains("the user's profiles"), "{out}");
}

#[test]
fn a_selftest_tells_a_private_home_from_the_hosts() {
    need!(userns());
    let place = Place::new();
    place.write("home/.bashrc", "");
    let out = place.run(&["selftest", "--home", "private:one"]);
    assert!(!out.out.contains(".bashrc can be written to"), "{out:?}");
}

#[test]
fn a_directory_in_a_private_home_can_be_masked() {
    need!(userns());
    let place = Place::new();
    place.write("home/keys/key", "secret\n");
    let keys = place.home().join("keys").display().to_string();
    for turn in ["first", "second"] {
        let out = place
            .sh(&[&ONE[..], &["--mask", &keys]].concat(), "ls -A ~/keys; touch ~/keys/x 2>/dev/null || echo closed");
        assert_eq!(out.ok(), "closed\n", "{turn}");
    }
}
