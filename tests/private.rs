//! What is the user's own, wherever it lies: homes that no account names, what the profile's own `[assert]` closes, and what is private or
//! mounted in directories of the system.

mod common;

use common::network::programs;
use common::{Host, Place, not_root, tools, tun, userns};

const PROFILES: [&str; 5] = ["default", "ci", "shell", "viewer", "browser"];

#[test]
fn a_home_that_no_account_names_is_one() {
    need!(userns(), tun(), programs(), tools(&["unshare"]));
    let place = Place::new();
    let setup = "mkdir -p home/me/.ssh home/me/proj data/users; echo secret > home/me/.ssh/id; echo rc > home/me/.bashrc; \
                 echo fine > home/me/proj/file; chmod 700 home/me";
    let script = "for profile in $PROFILES; do $SBX -q --profile $profile -- /bin/sh -c \
                  'cat .ssh/id .bashrc me/.bashrc file; echo more >> .bashrc; echo more >> me/.bashrc'; cat /home/me/.bashrc; done";
    for home in ["", "/", "/tmp/elsewhere", "/opt", "relative"] {
        let host = |work: &str| {
            let host = Host::new(&place, setup).id(54321).env("PROFILES", &PROFILES[..3].join(" ")).work(work);
            host.env("HOME", home)
        };
        for work in ["/home/me", "/home", "/home/me/.ssh"] {
            let out = host(work).script(script);
            assert_eq!(out.out, "rc\n".repeat(3), "{home} {work}: {out:?}");
        }
        let out = host("/home/me").sh(&[], "true");
        assert!(out.err.contains("/home/me holds your home directory and is not shown inside"), "{home}: {out:?}");
        // A directory in it is shown, as of every home; and one that is named.
        assert_eq!(host("/home/me/proj").sh(&["-q"], "cat file").ok(), "fine\n", "{home}");
        assert_eq!(host("/home/me").sh(&["-q", "--ro", "."], "cat .bashrc").ok(), "rc\n", "{home}");
    }
    // Where homes lie elsewhere, and /home is a link to there.
    let moved = format!("{setup}; mv home/me data/users; rmdir home; ln -s data/users home");
    for work in ["/data/users/me", "/data/users", "/data", "/data/users/me/.ssh"] {
        let host = Host::new(&place, &moved).id(54321).env("HOME", "/").work(work);
        let out = host.sh(&["-q"], "cat users/me/.bashrc me/.bashrc .bashrc .ssh/id id; echo done");
        assert_eq!(out.out, "done\n", "{work}: {out:?}");
    }
}

#[test]
fn what_the_profile_says_cannot_be_read_or_written_is_not_shown_as_the_current_directory() {
    need!(userns(), tun(), programs());
    let place = Place::new();
    for (path, text) in [
        ("home/.ssh/keys/id", "secret"),
        ("home/.config/autostart/x", "old"),
        ("home/.aws/x", "secret"),
        ("home/keys/id", "secret"),
        ("home/proj/docs/x", "fine"),
    ] {
        place.write(path, text);
    }
    let run = |dir: &str, flags: &[&str], script: &str| {
        let mut command = place.command();
        command.current_dir(place.home().join(dir)).args(flags).args(["--", "/bin/sh", "-c", script]);
        common::ran(command.output().unwrap())
    };
    for profile in PROFILES {
        for dir in [".ssh", ".ssh/keys", ".aws"] {
            let out = run(dir, &["--profile", profile], "cat id keys/id x; echo x > authorized_keys2; echo done");
            assert!(out.out == "done\n" && out.status == Some(0), "{profile} {dir}: {out:?}");
            let note =
                if dir == ".ssh/keys" { "lies in /" } else { "cannot be read, as [assert] of the profile says," };
            let cares = match dir {
                ".aws" => !["browser", "viewer"].contains(&profile),
                _ => profile != "browser",
            };
            assert!(!cares || out.err.contains(note), "{profile} {dir}: {out:?}");
        }
        assert!(!place.home().join(".ssh/authorized_keys2").exists(), "{profile}");
    }
    // Writable: what lies in it, or below it without a line of its own.
    for dir in [".config", ".config/autostart"] {
        let out =
            run(dir, &["--profile", "shell"], "mkdir -p autostart; echo x > autostart/new; echo x > new; echo done");
        assert!(out.out == "done\n" && out.err.contains("not shown inside"), "{dir}: {out:?}");
    }
    assert_eq!(std::fs::read_dir(place.home().join(".config/autostart")).unwrap().count(), 1);
    assert_eq!(run(".config", &["-q"], "cat autostart/x").ok(), "old", "read-only, it may be shown");
    let line = "filesystem.paths.\"~/.config/autostart\"=\"ro\"";
    let out = run(".config", &["--profile", "shell", "--set", line], "echo x > new; echo x > autostart/new; ls");
    assert_eq!(out.out, "autostart\nnew\n", "{out:?}");
    // What cannot be read below it.
    let out = run("proj", &["--set", "assert.cannot_read=[\"~/proj/docs\"]"], "cat docs/x; echo done");
    assert!(out.out == "done\n" && out.err.contains("/proj holds"), "{out:?}");
    // Named, it is shown.
    assert_eq!(run(".ssh", &["-q", "--ro", "."], "cat keys/id").ok(), "secret");
    // A well-known directory.
    for dir in ["$HOME/.ssh", "$HOME/.ssh/keys"] {
        place.write("home/.config/user-dirs.dirs", &format!("XDG_DOCUMENTS_DIR=\"{dir}\"\n"));
        let out = run("proj", &["--profile", "viewer"], "cat ~/.ssh/id ~/.ssh/keys/id; echo done");
        assert!(out.out == "done\n" && out.err.contains("xdg-documents is /"), "{dir}: {out:?}");
    }
}

#[test]
fn an_argument_of_the_program_that_the_profile_says_cannot_be_read_is_not_shown() {
    need!(userns());
    let place = Place::new();
    let key = place.write("home/.ssh/id", "secret").display().to_string();
    let shown = place.write("home/page", "fine").display().to_string();
    let out = place.run(&["--profile", "viewer", "--", "/bin/cat", &shown, &key]);
    assert!(out.out == "fine" && out.err.contains("/.ssh/id is not shown inside"), "{out:?}");
    assert_eq!(place.run(&["-q", "--profile", "viewer", "--ro", &key, "--", "/bin/cat", &key]).ok(), "secret");
}

#[test]
fn what_another_line_closes_is_not_shown_since_sbx_is_started_there() {
    need!(userns());
    let place = Place::new();
    place.write("work/file", "text");
    let closed =
        format!("schema = 1\nextends = [\"base/host\"]\n[filesystem.paths]\n{:?} = \"masked\"\n", place.work());
    place.write("home/.config/sbx/profiles/closed.toml", &closed);
    let open = "schema = 1\nextends = [\"closed\"]\n[filesystem.paths]\n\"${CWD}\" = \"ro\"\n";
    place.write("home/.config/sbx/profiles/open.toml", open);
    let out = place.run(&["--profile", "open", "--", "/bin/sh", "-c", "ls"]);
    assert!(!out.out.contains("file") && out.err.contains("is `masked` by"), "{out:?}");
    let named =
        place.run(&["-q", "--profile", "open", "--ro", ".", "--", "/bin/ls", &place.work().display().to_string()]);
    assert_eq!(named.ok(), "file\n");
}

#[test]
fn what_lies_in_a_directory_that_another_line_closes_is_not_shown_since_sbx_is_started_there() {
    need!(userns());
    let place = Place::new();
    place.write("work/q/sub/file", "text");
    for repository in ["work/q/.git", "work/q/sub/.git"] {
        for name in ["config", "HEAD", "objects/x", "refs/x"] {
            place.write(&format!("{repository}/{name}"), "conf");
        }
    }
    std::os::unix::fs::symlink(place.work().join("q"), place.dir.path().join("link")).unwrap();
    let name = |path: &str| place.dir.path().join(path).display().to_string();
    let run = |dir: &str, profile: &str, line: &str, flags: &[&str], script: &str| {
        let text = format!("schema = 1\nextends = [\"base/host\", \"{profile}\"]\n[filesystem.paths]\n{line}\n");
        place.write("home/.config/sbx/profiles/p.toml", &text);
        let mut command = place.command();
        command.current_dir(name(dir)).args(["--profile", "p"]).args(flags).args(["--", "/bin/sh", "-c", script]);
        common::ran(command.output().unwrap())
    };
    let (q, link) = (name("work/q"), name("link"));
    let look = format!("cat {q}/sub/file {q}/sub/.git/config {q}/.git/config; echo x > {q}/sub/new; echo done");
    for profile in ["default", "ci", "shell"] {
        for mode in ["hidden", "tmpfs", "masked", "deny", "ro,from=/usr"] {
            for at in [&q, &link] {
                for dir in ["work/q/sub", "work/q"] {
                    let case = format!("{profile} {mode} {at} {dir}");
                    let out = run(dir, profile, &format!("{at:?} = {mode:?}"), &[], &look);
                    assert_eq!(out.out, "done\n", "{case}: {out:?}");
                    let told = out.err.contains(&format!("{dir} lies in")) && out.err.contains(mode);
                    assert!(told || dir == "work/q", "{case}: {out:?}");
                }
            }
        }
        // A line that names it shows it, however it stands to the others.
        for line in [format!("{:?} = \"ro\"", name("work/q/sub")), format!("{:?} = \"rw\"", name("work/q/sub"))] {
            let line = format!("{q:?} = \"tmpfs\"\n{line}");
            assert_eq!(run("work/q/sub", profile, &line, &["-q"], "cat file").ok(), "text", "{profile} {line}");
        }
        let hidden = format!("{q:?} = \"hidden\"");
        assert_eq!(run("work/q/sub", profile, &hidden, &["-q", "--ro", "."], "cat file").ok(), "text", "{profile}");
        // What the view empties anyway is not closed by a line that says so.
        let emptied = format!("\"~\" = \"tmpfs\"\n\"/tmp\" = \"tmpfs\"\n{:?} = \"tmpfs\"", name("work/other"));
        place.write("home/proj/file", "mine");
        assert_eq!(run("home/proj", profile, &emptied, &["-q"], "cat file").ok(), "mine", "{profile}");
    }
    // A line that names a part of the project, and one for what the profile closes in it by its own name.
    let line = "\"${PROJECT}/sub\" = \"hidden\"\n\"${CWD}\" = \"rw\"\n\"${PROJECT}\" = \"ro\"";
    std::fs::remove_dir_all(place.work().join("q/sub/.git")).unwrap();
    place.write("work/q/sub/deep/file", "text");
    let out = run("work/q/sub/deep", "base/worktree", line, &[], "cat file; echo done");
    assert!(out.out == "done\n" && out.err.contains("is `hidden` by"), "{out:?}");
    place.write("work/q/.config/mise.toml", "secret");
    let line = "\"${CWD}\" = \"ro\"\n\"${CWD}/.config\" = \"hidden\"";
    let out = run("work/q", "base/worktree", line, &["-q"], "cat .config/mise.toml; ls");
    assert_eq!(out.out, "sub\n", "{out:?}");
}

#[test]
fn a_repository_elsewhere_that_another_line_closes_is_not_shown_since_a_worktree_of_it_is() {
    need!(userns(), tools(&["git"]));
    let place = Place::new();
    let script = "git init -q closed/main && cd closed/main && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x && \
                  git worktree add -q ../../tree";
    let made = std::process::Command::new("/bin/sh").args(["-ec", script]).current_dir(place.work()).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let run = |flags: &[&str]| {
        let mut command = place.command();
        let git = place.work().join("closed/main/.git/HEAD");
        command
            .current_dir(place.work().join("tree"))
            .args(["--profile", "ci"])
            .args(flags)
            .args(["--", "/bin/cat"])
            .arg(git);
        common::ran(command.output().unwrap())
    };
    assert!(run(&["-q"]).ok().starts_with("ref:"));
    let out = run(&["--hide", &place.work().join("closed").display().to_string()]);
    assert!(out.status == Some(1) && out.err.contains("/closed/main/.git lies in"), "{out:?}");
}

#[test]
fn a_directory_that_holds_the_runtime_directory_is_not_shown_and_neither_is_that_by_another_name() {
    need!(userns());
    let place = Place::new();
    place.write("work/runtime/bus", "");
    place.write("work/file", "");
    std::os::unix::fs::symlink(place.work().join("runtime"), place.dir.path().join("link")).unwrap();
    let name = |path: &str| place.dir.path().join(path).display().to_string();
    for (runtime, dir) in
        [("work/runtime", "work"), ("link", "work/runtime"), ("work/../link", "work"), ("work/runtime", "work/runtime")]
    {
        for profile in ["default", "ci"] {
            let mut command = place.command();
            command.current_dir(name(dir)).env("XDG_RUNTIME_DIR", name(runtime)).args(["--profile", profile]);
            let out = common::ran(
                command.args(["--", "/bin/sh", "-c", &format!("ls -R {}", name("work"))]).output().unwrap(),
            );
            assert!(!out.out.contains("bus"), "{runtime} {dir} {profile}: {out:?}");
            assert!(out.err.contains("is not shown inside"), "{runtime} {dir} {profile}: {out:?}");
        }
    }
}

#[test]
fn a_directory_for_temporary_files_is_no_project_by_another_name_either() {
    need!(userns());
    let place = Place::new();
    place.write("tmp/.sbx.toml", "schema = 1\n");
    place.write("tmp/secret", "secret");
    place.write("tmp/sub/file", "");
    std::os::unix::fs::symlink(place.dir.path().join("tmp"), place.dir.path().join("link")).unwrap();
    let mut command = place.command();
    command.current_dir(place.dir.path().join("tmp/sub")).env("TMPDIR", place.dir.path().join("link"));
    let out = common::ran(command.args(["-q", "--profile", "ci", "--", "/bin/cat", "../secret"]).output().unwrap());
    assert!(out.out.is_empty() && out.err.contains("No such file"), "{out:?}");
}

#[test]
fn what_is_mounted_or_private_below_the_systems_directories_is_not_shown_unless_a_line_names_it() {
    need!(userns(), tun(), programs(), tools(&["unshare"]));
    let place = Place::new();
    let setup = "for dir in opt var usr/local; do mount -t tmpfs none $dir; done; mkdir -p var/lib/x var/cache opt/disk/deep/er 'opt/a b' \
                 opt/own opt/src opt/open opt/x/y usr/local/data usr/local/src usr/local/bin usr/local/own var/lib/disk var/home/me var/lib/x/y; \
                 for dir in opt/disk/deep/er 'opt/a b' opt/x/y usr/local/data usr/local/src usr/local/bin var/lib/disk; do \
                 mount -t tmpfs -o mode=755 none \"$dir\"; done; \
                 for dir in opt/disk/deep/er 'opt/a b' opt/x/y opt/own opt/src usr/local/data usr/local/src usr/local/own var/lib/disk var/home/me; do \
                 echo secret > \"$dir/key\"; done; chmod 700 opt/own opt/src usr/local/own var/home/me; \
                 for dir in opt/open opt/disk usr/local/bin var/lib/x; do echo fine > $dir/fine; done; \
                 for file in opt/file usr/local/file; do echo secret > $file; chmod 600 $file; done";
    let host = |work: &str| Host::new(&place, setup).env("HOME", "/home/me").work(work);
    let keys = "cat /opt/file /usr/local/file /opt/*/key /opt/*/*/key /opt/*/*/*/key /usr/local/*/key /var/lib/*/key /var/home/*/key; echo $(cat /opt/*/fine \
                /usr/local/bin/fine /var/lib/x/fine)";
    for profile in PROFILES {
        let out = host("/etc").sh(&["-q", "--profile", profile], keys);
        assert_eq!(out.out, "fine fine fine fine\n", "{profile}: {out:?}");
    }
    let touch = host("/etc").sh(&["-q"], "touch /opt/own/x; ls /opt/own; test -d /opt/own && echo there");
    assert!(touch.out == "there\n" && touch.err.contains("Read-only"), "{touch:?}");
    let tried = host("/etc").run(&["selftest", "--verbose"]);
    let line = tried.out.lines().find(|line| line.contains("what is mounted in /opt, /usr/local and /var"));
    assert!(line.is_some_and(|line| line.contains("held")), "{tried:?}");
    // Named, what is in them is shown: by a line, by one for a directory above, or since sbx is started there.
    let named = |flag: &[&str], script: &str| {
        let out = host("/etc").sh(flag, script);
        assert!(out.out.contains("secret"), "{flag:?}: {out:?}");
        out.out
    };
    assert_eq!(named(&["--ro", "/opt/own"], "cat /opt/*/key"), "secret\n");
    assert_eq!(named(&["--ro", "/opt/disk/deep/er/key"], "cat /opt/*/key /opt/*/*/*/key"), "secret\n");
    assert_eq!(named(&["--ro", "/opt"], "cat /opt/own/key '/opt/a b/key'"), "secret\nsecret\n");
    assert_eq!(named(&["--ro", "/"], "cat /opt/own/key /var/lib/disk/key"), "secret\nsecret\n");
    let out = host("/opt/x/y").sh(&[], "cat key; echo $(ls /opt/x/y)");
    assert_eq!(out.out, "secret\nkey\n", "{out:?}");
    // An overlay of the whole shows no more than the whole.
    let over = host("/etc").sh(&["-q", "--overlay", "/"], "cat /opt/own/key /opt/disk/deep/er/key /usr/local/data/key");
    assert!(!over.out.contains("secret"), "{over:?}");
    // A project's file does not name it for the user.
    for path in ["/opt", "/opt/own", "/opt/disk/deep/er", "/usr/local", "/var"] {
        let project =
            format!("printf 'schema = 1\\n[filesystem.paths]\\n\"{path}\" = \"ro\"\\n' > .sbx.toml; $SBX -- /bin/true");
        let error = host("/opt/open").script(&project).failed(125);
        assert!(error.contains("a project's file cannot make it `ro`"), "{path}: {error}");
    }
    // A link that a line follows does not lead there for somebody else.
    let link =
        host("/opt/open").script("ln -s /opt/own /opt/open/link; $SBX --ro /opt/open/link -- /bin/cat /opt/own/key");
    assert!(!link.out.contains("secret"), "{link:?}");
    // Where the system's directory is a link.
    let linked = "mkdir -p data/opt/mine data/opt/tool; echo secret > data/opt/mine/key; echo fine > data/opt/tool/fine; \
                  chmod 700 data/opt/mine; ln -s data/opt opt";
    let host = Host::new(&place, linked).without("opt").env("HOME", "/home/me").work("/etc");
    let out = host.sh(&["-q"], "cat /opt/*/key /data/opt/*/key /opt/*/fine");
    assert_eq!(out.out, "fine\n", "{out:?}");
}

#[test]
fn sockets_of_other_programs_in_a_directory_for_temporary_files_below_are_not_shown_since_sbx_is_started_above() {
    need!(userns(), tun(), programs());
    let place = Place::new();
    for dir in ["work/tmp", "work/sub/tmux", "home/Downloads/tmp"] {
        place.write(&format!("{dir}/agent"), "socket");
    }
    for name in ["HEAD", "objects/x", "refs/x"] {
        place.write(&format!("work/.git/{name}"), "ref: refs/heads/main\n");
    }
    std::os::unix::fs::symlink(place.work().join("tmp"), place.dir.path().join("link")).unwrap();
    let name = |path: &str| place.dir.path().join(path).display().to_string();
    let run = |dir: &str, variable: &str, value: &str, flags: &[&str], script: &str| {
        let mut command = place.command();
        command.current_dir(name(dir)).env(variable, name(value)).args(flags).args(["--", "/bin/sh", "-c", script]);
        common::ran(command.output().unwrap())
    };
    for profile in PROFILES {
        for variable in ["TMPDIR", "TMP", "TEMP", "TEMPDIR", "TMUX_TMPDIR", "SCREENDIR"] {
            for value in ["work/tmp", "link", "work/../work/tmp"] {
                let out = run(
                    "work",
                    variable,
                    value,
                    &["--profile", profile],
                    "cat tmp/agent; ls tmp; echo x > tmp/new; echo done",
                );
                assert!(
                    out.out == "done\n" && !place.work().join("tmp/new").exists(),
                    "{profile} {variable} {value}: {out:?}"
                );
                let told = format!("{} is empty inside: {variable} names it", name("work/tmp"));
                let shows = !["viewer", "browser"].contains(&profile);
                assert!(!shows || out.err.contains(&told), "{profile} {variable} {value}: {out:?}");
            }
        }
        assert_eq!(
            run(
                "work",
                "TMPDIR",
                "work/tmp",
                &["-q", "--profile", profile, "--ro", "tmp"],
                &format!("cat {}", name("work/tmp/agent"))
            )
            .ok(),
            "socket"
        );
        let inner = run(
            "work",
            "TMPDIR",
            "work/tmp",
            &["-q", "--profile", profile, "--ro", "tmp/agent"],
            &format!("cat {0}/agent; ls {0}", name("work/tmp")),
        );
        assert_eq!(inner.ok(), "socketagent\n", "{profile}");
    }
    // In the project that the current directory belongs to, and in a place.
    let out =
        run("work/sub", "TMUX_TMPDIR", "work/sub/tmux", &["--profile", "ci"], "cat tmux/agent; cat ../tmp/agent; echo");
    assert!(out.out == "socket\n", "{out:?}");
    let out = run("work/sub", "TMPDIR", "work/tmp", &["--profile", "ci"], "cat tmux/agent; cat ../tmp/agent; echo");
    assert!(out.out == "socket\n", "{out:?}");
    let out =
        run("work", "TMPDIR", "home/Downloads/tmp", &["-q", "--profile", "firefox"], "cat ~/Downloads/tmp/agent; echo");
    assert_eq!(out.out, "\n", "{out:?}");
    // A directory of sockets in one for temporary files.
    for dir in ["tmux-1001", "ssh-XXXX", "pulse-abc", "nvimaB3xY9"] {
        place.write(&format!("shared/{dir}/agent"), "socket");
        let mode = |mode| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(place.dir.path().join("shared").join(dir), mode).unwrap();
        };
        mode(0o755);
        assert_eq!(run(&format!("shared/{dir}"), "TMPDIR", "shared", &["-q"], "cat agent").ok(), "socket", "{dir}");
        mode(0o700);
        for profile in ["default", "ci", "shell"] {
            let out =
                run(&format!("shared/{dir}"), "TMPDIR", "shared", &["--profile", profile], "cat agent; echo done");
            let told = out.err.contains("holds temporary files of other programs and is not shown inside");
            assert!(out.out == "done\n" && told, "{profile} {dir}: {out:?}");
        }
        // Elsewhere, or below, it is a directory as any other.
        let shown = run(&format!("shared/{dir}"), "TMPDIR", "work", &["-q"], "cat agent");
        assert_eq!(shown.ok(), "socket", "{dir}");
        place.write(&format!("shared/{dir}/deep/file"), "fine");
        assert_eq!(run(&format!("shared/{dir}/deep"), "TMPDIR", "shared", &["-q"], "cat file").ok(), "fine");
    }
}

#[test]
fn sockets_of_other_programs_in_the_current_directory_itself_are_not_reached() {
    need!(userns(), tun(), programs());
    let place = Place::new();
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
    let tmux = format!("tmux-{uid}");
    let name = |path: &str| place.dir.path().join(path).display().to_string();
    place.write(&format!("work/{tmux}/default"), "socket");
    place.write("work/sub/s", "socket");
    for file in ["HEAD", "objects/x", "refs/x"] {
        place.write(&format!("work/.git/{file}"), "ref: refs/heads/main\n");
    }
    let run = |dir: &str, (variable, value): (&str, &str), flags: &[&str], script: &str| {
        let mut command = place.command();
        command.current_dir(name(dir)).env(variable, value).args(flags).args(["--", "/bin/sh", "-c", script]);
        common::ran(command.output().unwrap())
    };
    // Where tmux makes its sockets: the rest of the directory is shown.
    for (dir, profile) in [("work", "default"), ("work", "ci"), ("work", "shell"), ("work/sub", "ci")] {
        let script = format!("cat {0}/{tmux}/default; ls {0}/{tmux}; cat {0}/.git/HEAD", name("work"));
        let out = run(dir, ("TMUX_TMPDIR", &name("work")), &["--profile", profile], &script);
        assert_eq!(out.out, "ref: refs/heads/main\n", "{dir} {profile}: {out:?}");
        let told = format!("{} is empty inside: TMUX_TMPDIR names it", name(&format!("work/{tmux}")));
        assert!(out.err.contains(&told), "{dir} {profile}: {out:?}");
    }
    // Where screen makes them, and in a place that is one for temporary files.
    let out = run("work/sub", ("SCREENDIR", &name("work/sub")), &["--profile", "ci"], "cat s; echo done");
    assert_eq!(out.out, "done\n", "{out:?}");
    place.write("home/Downloads/agent", "socket");
    let out = run(
        "work",
        ("TMPDIR", &name("home/Downloads")),
        &["-q", "--profile", "firefox"],
        "cat ~/Downloads/agent; echo",
    );
    assert_eq!(out.out, "\n", "{out:?}");
    // Single sockets.
    let path = name("work/sub/s");
    place.write("work/.vscode/s", "socket");
    let values = [
        ("TMUX", format!("{path},12,0")),
        ("NVIM_LISTEN_ADDRESS", name("work/.vscode/s")),
        ("NVIM", path.clone()),
        ("DOCKER_HOST", format!("unix://{path}")),
        ("SSH_AUTH_SOCK", path.clone()),
        ("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={path},guid=00")),
    ];
    for (variable, value) in &values {
        let path = if *variable == "NVIM_LISTEN_ADDRESS" { value } else { &path };
        for dir in ["work", "work/sub"] {
            let out = run(
                dir,
                (variable, value),
                &["--profile", "ci"],
                &format!("cat {path}; cat {}/.git/HEAD", name("work")),
            );
            assert_eq!(out.out, "ref: refs/heads/main\n", "{variable} {dir}: {out:?}");
            assert!(out.err.contains(&format!("{path} is masked inside: {variable} names it")), "{variable}: {out:?}");
        }
        let out = run("work", (variable, value), &["-q", "--profile", "ci", "--ro", path], &format!("cat {path}"));
        assert_eq!(out.out, "socket", "{variable}: {out:?}");
    }
}

#[test]
fn sockets_are_found_whatever_form_and_variable_names_them() {
    need!(userns(), tools(&["python3"]));
    let place = Place::new();
    let name = |path: &str| place.work().join(path).display().to_string();
    std::fs::create_dir(place.work().join("my project")).unwrap();
    place.write("work/plain", "text");
    let _listening: Vec<_> =
        ["a.sock", "my project/bus"].map(|path| std::os::unix::net::UnixListener::bind(name(path)).unwrap()).into();
    let run = |variable: &str, value: &str, path: &str| {
        let script = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1]); print('connected')";
        let mut command = place.command();
        command.env(variable, value).args(["--profile", "ci", "--", "/usr/bin/python3", "-c", script, path]);
        common::ran(command.output().unwrap())
    };
    assert!(run("OTHER", &name("a.sock"), "a.sock").out.contains("connected"));
    let (absolute, spaced) = (name("a.sock"), name("my project/bus"));
    let escaped = spaced.replace(' ', "%20");
    let agent = format!("{absolute}:12:1");
    let libvirt = format!("qemu+unix:///session?socket={absolute}");
    for (variable, value, path) in [
        ("NVIM_LISTEN_ADDRESS", "a.sock", "a.sock"),
        ("NVIM_LISTEN_ADDRESS", "./a.sock", "a.sock"),
        ("NVIM", "a.sock", "a.sock"),
        ("SSH_AUTH_SOCK", "a.sock", "a.sock"),
        ("DOCKER_HOST", "unix://a.sock", "a.sock"),
        ("KITTY_LISTEN_ON", "unix:a.sock", "a.sock"),
        ("WAYLAND_DISPLAY", "./a.sock", "a.sock"),
        ("DBUS_SESSION_BUS_ADDRESS", &format!("unix:path={escaped},guid=00"), "my project/bus"),
        ("DBUS_SESSION_BUS_ADDRESS", &format!("unix:path={}", absolute.replace('/', "%2f")), "a.sock"),
        ("DBUS_SYSTEM_BUS_ADDRESS", &format!("unix:path={absolute}"), "a.sock"),
        ("AT_SPI_BUS_ADDRESS", &format!("unix:path={absolute}"), "a.sock"),
        ("PIPEWIRE_REMOTE", &absolute, "a.sock"),
        ("NIRI_SOCKET", &absolute, "a.sock"),
        ("BSPWM_SOCKET", &absolute, "a.sock"),
        ("BUILDKIT_HOST", &format!("unix://{absolute}"), "a.sock"),
        ("LIBVIRT_DEFAULT_URI", &libvirt, "a.sock"),
        ("MPD_HOST", &absolute, "a.sock"),
        ("GPG_AGENT_INFO", &agent, "a.sock"),
        ("SOME_TOOLS_SOCK", &absolute, "a.sock"),
        ("SOME_TOOLS_SOCK", &spaced, "my project/bus"),
        ("SOME_SOCKET_PATH", "a.sock", "a.sock"),
    ] {
        let out = run(variable, value, path);
        assert!(!out.out.contains("connected"), "{variable}={value}: {out:#?}");
        let told = format!("{path} is masked inside: {variable} names it");
        assert!(out.err.contains(&told), "{variable}={value}: {out:#?}");
    }
    // What is no socket is masked if the variable is known to name one, and no other words are taken for files.
    let read = |variable: &str, value: &str| {
        let mut command = place.command();
        command.env(variable, value).args(["-q", "--", "cat", "plain"]);
        common::ran(command.output().unwrap()).out
    };
    assert_eq!(read("SOME_TOOLS_SOCK", &name("plain")), "text");
    assert_eq!(read("MPD_HOST", "plain"), "text");
    assert_eq!(read("DOCKER_HOST", "tcp://plain"), "text");
    assert_eq!(read("SSH_AUTH_SOCK", "plain"), "");
}

#[test]
fn directories_of_sockets_that_are_not_there_yet_are_no_programs() {
    need!(userns());
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
    for (variable, dir) in [("TMUX_TMPDIR", "so"), ("TMUX_TMPDIR", "so/deep"), ("SCREENDIR", "so"), ("TMPDIR", "so")] {
        let place = Place::new();
        let named = place.work().join(dir);
        let script = format!("mkdir -p {dir}/tmux-{uid}; touch {dir}/tmux-{uid}/default {dir}/s; ls -A {dir}; true");
        let mut command = place.command();
        command.env(variable, &named).args(["--profile", "ci", "--", "/bin/sh", "-c", &script]);
        let out = common::ran(command.output().unwrap());
        assert!(out.status == Some(0) && out.out.is_empty(), "{variable} {dir}: {out:#?}");
        assert!(out.err.contains(&format!("{} is empty inside: {variable} names it", named.display())), "{out:#?}");
        assert_eq!(std::fs::read_dir(&named).map_or(0, Iterator::count), 0, "{variable} {dir}");
        // Nothing is made where changes do not reach the host.
        let place = Place::new();
        let named = place.work().join(dir);
        let mut command = place.command();
        let out = command.env(variable, &named).args(["-q", "--", "true"]).output().unwrap();
        assert!(out.status.success() && !named.exists(), "{variable} {dir}: {out:?}");
    }
    let place = Place::new();
    for variable in ["NVIM_LISTEN_ADDRESS", "SSH_AUTH_SOCK"] {
        let mut command = place.command();
        let path = place.work().join(variable).join("ck");
        command
            .env(variable, &path)
            .args(["--profile", "ci", "--", "/bin/sh", "-c"])
            .arg(format!("mkdir {variable}; touch {variable}/ck"));
        let out = common::ran(command.output().unwrap());
        assert!(out.err.contains(&format!("{} was not there when the program started", path.display())), "{out:#?}");
    }
}

#[test]
fn sockets_that_come_or_whose_directory_was_opened_or_shut_are_not_reached_either() {
    need!(userns(), not_root());
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
    let tmux = format!("tmux-{uid}");
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    let run = |place: &Place, dir: &str, (variable, value): (&str, &str), flags: &[&str], script: &str| {
        let mut command = place.command();
        command.current_dir(place.dir.path().join(dir)).env(variable, value).args(flags);
        common::ran(command.args(["--", "/bin/sh", "-c", script]).output().unwrap())
    };
    // What tmux makes where TMUX_TMPDIR says: a client outside would run what a program's server sends.
    for profile in ["default", "ci", "shell"] {
        let place = Place::new();
        let work = place.work().display().to_string();
        let script = format!("mkdir -p -m 700 {tmux}; touch {tmux}/default; ls {tmux}; echo done");
        let out = run(&place, "work", ("TMUX_TMPDIR", &work), &["--profile", profile], &script);
        let made = place.work().join(&tmux);
        assert_eq!(out.out, "done\n", "{profile}: {out:?}");
        assert!(out.err.contains(&format!("{} is empty inside", made.display())), "{profile}: {out:?}");
        // Nothing is made on the host where changes do not reach it.
        if profile == "default" {
            assert!(!made.exists());
            continue;
        }
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&made.metadata().unwrap().permissions()) & 0o7777, 0o700);
        assert_eq!(std::fs::read_dir(&made).unwrap().count(), 0, "{profile}");
    }
    let place = Place::new();
    // A relative value begins at the current directory.
    place.write("work/tmp/agent", "socket");
    assert_eq!(
        run(&place, "work", ("TMPDIR", "tmp"), &["-q", "--profile", "ci"], "cat tmp/agent; echo done").out,
        "done\n"
    );
    // One that is not there yet is told if a program makes it.
    let socket = place.work().join("nvim.sock").display().to_string();
    let out = run(&place, "work", ("NVIM_LISTEN_ADDRESS", &socket), &["--profile", "ci"], "touch nvim.sock");
    assert!(out.err.contains(&format!("{socket} was not there when the program started")), "{out:?}");
    // What a program shut.
    place.write("work/a/tmp/agent", "socket");
    let tmp = place.work().join("a/tmp").display().to_string();
    let plain = place.write("p.toml", "schema = 1\nextends = [\"default\"]\n[filesystem.paths]\n\"${CWD}\" = \"rw\"\n");
    for variable in ["TMPDIR", "SSH_AUTH_SOCK"] {
        let value = if variable == "TMPDIR" { tmp.clone() } else { format!("{tmp}/agent") };
        let run = |script: &str| {
            run(&place, "work", (variable, &value), &["-q", "--profile", plain.to_str().unwrap()], script)
        };
        run("chmod 0 a").ok();
        let next = run("chmod 755 a; cat a/tmp/agent");
        mode(&place.work().join("a"), 0o755);
        assert!(next.failed(125).contains("cannot be looked up"), "{variable}");
    }
    // What a program opened to others; and more names.
    for dir in ["tmux-1001", "nvim.me", "zellij-1001", "runtime-me"] {
        let path = place.dir.path().join("shared").join(dir);
        let deep = if dir == "nvim.me" { path.join("deep") } else { path.clone() };
        std::fs::create_dir_all(&deep).unwrap();
        let _kept = std::os::unix::net::UnixListener::bind(deep.join("s")).unwrap();
        for open in [0o700, 0o755] {
            mode(&path, open);
            let shared = place.dir.path().join("shared").display().to_string();
            let out = run(&place, &format!("shared/{dir}"), ("TMPDIR", &shared), &["--profile", "ci"], "ls; echo done");
            assert_eq!(out.out, "done\n", "{dir}: {open:o}: {out:?}");
        }
    }
}

/// A profile that shows a directory, and `key` in it in another mode.
fn rule_of(data: &str, mode: &str) -> String {
    let lines = format!("\"{data}\" = \"ro\"\n\"{data}/key\" = \"{mode}\"\n");
    format!("schema = 1\nextends = [\"default\"]\n[filesystem.paths]\n{lines}")
}

#[test]
fn a_masked_path_that_comes_while_the_program_runs_is_told_and_not_said_to_be_hidden() {
    need!(userns());
    for mode in ["masked,optional", "deny,optional"] {
        let place = Place::new();
        std::fs::create_dir(place.dir.path().join("data")).unwrap();
        let data = place.dir.path().join("data").display().to_string();
        let profile = place.write("p.toml", &rule_of(&data, mode)).display().to_string();
        let plan = place.run(&["plan", "--verbose", "--profile", &profile, "--", "true"]).ok();
        assert!(plan.contains("not there to be hidden"), "{mode}: {plan}");
        let receipt = place.home().join("r.json");
        let to = receipt.display().to_string();
        let script = format!("echo ready; while ! [ -e {data}/key ]; do sleep 0.01; done; cat {data}/key");
        let mut command = place.command();
        command.args(["--profile", &profile, "--receipt", &to, "--", "/bin/sh", "-c", &script]);
        let mut child =
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let mut ready = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        place.write("data/key", "PASSWORD");
        let out = common::ran(child.wait_with_output().unwrap());
        let word = mode.split(',').next().unwrap();
        assert!(out.err.contains(&format!("`{word}` has not hidden it from the program")), "{mode}: {out:?}");
        let receipt: serde_json::Value = serde_json::from_slice(&std::fs::read(receipt).unwrap()).unwrap();
        let text = receipt.to_string();
        assert!(text.contains("what is made there while the program runs is seen"), "{mode}: {text}");
        std::fs::remove_file(place.dir.path().join("data/key")).unwrap();
        // `hidden` holds, whatever else is there.
        for other in [false, true] {
            if other {
                place.write("data/other", "");
            }
            let hidden = rule_of(&data, "hidden");
            let hidden = place.write("hidden.toml", &hidden).display().to_string();
            let made = place.write("home/shared/x", "");
            let shared = made.parent().unwrap().display().to_string();
            let script =
                format!("touch {shared}/ready; while ! [ -e {shared}/go ]; do sleep 0.01; done; cat {data}/key");
            let mut command = place.command();
            command.args(["--profile", &hidden, "--rw", &shared, "--", "/bin/sh", "-c", &script]);
            let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
            assert!(common::until(|| place.home().join("shared/ready").exists()));
            place.write("data/key", "PASSWORD");
            place.write("home/shared/go", "");
            let out = common::ran(child.unwrap().wait_with_output().unwrap());
            assert!(out.status == Some(1) && out.out.is_empty(), "{out:?}");
            std::fs::remove_dir_all(place.home().join("shared")).unwrap();
            std::fs::remove_file(place.dir.path().join("data/key")).unwrap();
        }
        place.write("data/key", "PASSWORD");
        // What is there is hidden, and nothing is said.
        let out = place.run(&["--profile", &profile, "--", "/bin/sh", "-c", &format!("cat {data}/key; echo done")]);
        assert!(out.out == "done\n" && !out.err.contains("note:"), "{mode}: {out:?}");
    }
}

#[test]
fn links_and_permissions_on_the_way_to_sockets_give_no_program_their_names() {
    need!(userns(), not_root());
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
    let tmux = format!("tmux-{uid}");
    let run = |place: &Place, (variable, value): (&str, &str), script: &str| {
        let mut command = place.command();
        let value = value.replace("WORK", place.work().to_str().unwrap());
        command.env(variable, value).args(["-q", "--profile", "ci", "--", "/bin/sh", "-c", script]);
        common::ran(command.output().unwrap())
    };
    for (outside, variable, value) in [
        (format!("mkdir -p t/{tmux}; ln -s t l"), "TMUX_TMPDIR", "WORK/l"),
        ("mkdir t; ln -s t l".to_owned(), "SCREENDIR", "WORK/l"),
        ("mkdir t; touch t/s; ln -s t l".to_owned(), "SSH_AUTH_SOCK", "WORK/l/s"),
        (format!("mkdir d; ln -s d {tmux}"), "TMUX_TMPDIR", "WORK"),
    ] {
        let place = Place::new();
        let done = std::process::Command::new("/bin/sh").args(["-c", &outside]).current_dir(place.work()).status();
        assert!(done.unwrap().success());
        let out = run(&place, (variable, value), "true");
        assert!(out.failed(125).contains("is a link"), "{outside}: {variable}");
    }
    // A link that leads nowhere may be replaced, and that is told.
    let place = Place::new();
    std::os::unix::fs::symlink("t/s", place.work().join("l")).unwrap();
    std::fs::create_dir(place.work().join("t")).unwrap();
    let mut command = place.command();
    command.env("NVIM_LISTEN_ADDRESS", place.work().join("l")).args([
        "--profile",
        "ci",
        "--",
        "/bin/sh",
        "-c",
        "rm l; touch l",
    ]);
    let out = common::ran(command.output().unwrap());
    assert!(out.err.contains("/l was not there when the program started"), "{out:?}");
    let place = Place::new();
    run(&place, ("X", ""), "chmod 555 .").ok();
    let next = run(&place, ("TMUX_TMPDIR", "WORK"), &format!("chmod 755 .; mkdir {tmux}"));
    std::fs::set_permissions(place.work(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert!(next.failed(125).contains(&tmux));
}
