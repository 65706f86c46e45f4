//! The project that the current directory belongs to (`${PROJECT}`), the repository that its `.git` leads to, and what test runners need
//! of the profile `ci`.

mod common;

use common::{Place, Ran, copy_program, not_root, ran, tools, userns};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a script in `dir` of a place, under `ci`.
fn ci_in(place: &Place, dir: &str, flags: &[&str], script: &str) -> Ran {
    let mut command = place.command();
    command.current_dir(place.dir.path().join(dir)).args(["-q", "--profile", "ci"]).args(flags);
    ran(command.args(["--", "/bin/sh", "-c", script]).output().unwrap())
}

/// Runs git outside of a sandbox.
fn git(place: &Place, dir: &str, args: &[&str]) -> Ran {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=x", "-c", "user.email=x", "-c", "protocol.file.allow=always"]).args(args);
    command.current_dir(place.dir.path().join(dir)).env("HOME", place.home()).env("GIT_CONFIG_NOSYSTEM", "1");
    ran(command.output().unwrap())
}

/// The directories of a place, in `home`, that a script sees from `dir`.
fn project_of(place: &Place, dir: &str) -> PathBuf {
    let out = ci_in(place, dir, &["--set", "process.env.PROJECT=${PROJECT}"], "echo $PROJECT").ok();
    Path::new(out.trim()).strip_prefix(place.home()).map_or_else(|_| out.trim().into(), Path::to_owned)
}

#[test]
fn the_project_is_the_nearest_directory_with_a_repository_or_a_workspace_or_a_part_of_it_with_a_projects_file() {
    need!(userns());
    let place = Place::new();
    for (dir, file, text) in [
        ("cargo", "Cargo.toml", "[workspace]\nmembers = [\"a\"]\n"),
        ("go", "go.work", "go 1.22\n"),
        ("npm", "package.json", "{ \"name\": \"x\", \"workspaces\": [\"a\"] }\n"),
        ("pnpm", "pnpm-workspace.yaml", "packages: [a]\n"),
        ("uv", "pyproject.toml", "[tool.uv.workspace]\nmembers = [\"a\"]\n"),
        ("repo", ".git/HEAD", "ref: refs/heads/main\n"),
        ("gitfile", ".git", "gitdir: ../repo/.git\n"),
    ] {
        place.write(&format!("home/{dir}/{file}"), text);
        if dir == "repo" {
            for name in ["objects", "refs"] {
                std::fs::create_dir(place.home().join("repo/.git").join(name)).unwrap();
            }
        }
        // A member's own manifest is that of no workspace.
        for (name, text) in [("Cargo.toml", "[package]\n"), ("package.json", "{}"), ("pyproject.toml", "[project]\n")] {
            place.write(&format!("home/{dir}/a/{name}"), text);
        }
        place.write(&format!("home/{dir}/a/src/x"), "");
        assert_eq!(project_of(&place, &format!("home/{dir}/a/src")), Path::new(dir), "{dir}");
        assert_eq!(project_of(&place, &format!("home/{dir}")), Path::new(dir), "{dir}");
    }
    place.write("home/repo/inner/.sbx.toml", "schema = 1\n");
    assert_eq!(project_of(&place, "home/repo/inner"), Path::new("repo/inner"), "the nearest");
    place.write("home/repo/broken/.git", "gitdir: nowhere\n");
    place.write("home/repo/broken/deep/x", "");
    place.write("home/repo/inner/deep/x", "");
    assert_eq!(project_of(&place, "home/repo/inner/deep"), Path::new("repo/inner"), "a part of one with a file");
    assert_eq!(project_of(&place, "home/repo/broken/deep"), Path::new("repo/broken"), "a repository that is broken");
    let out = ci_in(&place, "home/repo/inner/deep", &["--no-project"], "ls ../..").ok();
    assert_eq!(out, "a\nbroken\ninner\n", "the file counts for nothing");
    place.write("home/plain/deep/x", "");
    assert_eq!(project_of(&place, "home/plain/deep"), Path::new("plain/deep"), "there is none");
    let out = ci_in(&place, "home/cargo/a/src", &[], "cat ../../Cargo.toml && echo built > ../../out && ls ~").ok();
    assert!(out.contains("[workspace]") && out.ends_with("cargo\n"), "{out}");
    assert!(place.home().join("cargo/out").exists());
}

#[test]
fn what_an_archive_left_in_a_directory_above_makes_no_project_and_what_does_is_told() {
    need!(userns(), tools(&["git"]));
    let place = Place::new();
    place.write("home/dl/doc", "secret");
    place.write("home/dl/pkg/x", "");
    let run = |flags: &[&str]| {
        let mut command = place.command();
        command.current_dir(place.home().join("dl/pkg")).args(flags);
        ran(command.args(["--", "/bin/sh", "-c", "cat ../doc; echo x > ../w && echo written"]).output().unwrap())
    };
    let markers: [&[(&str, &str)]; 5] = [
        &[(".sbx.toml", "schema = 1\n")],
        &[(".git", "")],
        &[(".git", "gitdir: nowhere\n")],
        &[(".git/config", ""), (".sbx.toml", "schema = 1\n")],
        &[(".git/HEAD", "ref: refs/heads/main\n"), (".git/config", "")],
    ];
    for marker in markers {
        for (name, text) in marker {
            place.write(&format!("home/dl/{name}"), text);
        }
        for profile in ["ci", "shell"] {
            for flags in [&["--profile", profile][..], &["--profile", profile, "--no-project"]] {
                let out = run(flags);
                let shown = out.out.contains("secret") || place.home().join("dl/w").exists();
                assert!(!shown, "{marker:?} {flags:?}: {out:?}");
                let told = out.err.contains("/dl is not taken for the project");
                let file = marker.iter().any(|(name, _)| *name == ".sbx.toml");
                assert_eq!(told, file && flags.len() == 2, "{marker:?} {flags:?}: {out:?}");
            }
        }
        for (name, _) in marker {
            let top = place.home().join("dl").join(name.split('/').next().unwrap());
            Command::new("rm").arg("-rf").arg(top).status().unwrap();
        }
    }
    // A directory for downloads and the like, and one that holds such a one, is a project if sbx is started in it.
    git(&place, "home/dl", &["init", "-q"]).ok();
    for (dir, why) in [("$HOME/dl", "is the place xdg-download"), ("$HOME/dl/x", "holds the place xdg-download")] {
        place.write("home/.config/user-dirs.dirs", &format!("XDG_DOWNLOAD_DIR=\"{dir}\"\n"));
        let out = run(&["--profile", "ci"]);
        assert!(!out.out.contains("secret") && out.err.contains(why), "{dir}: {out:?}");
        assert_eq!(ci_in(&place, "home/dl", &[], "cat doc").ok(), "secret");
    }
    symlink(place.home().join("dl"), place.home().join("link")).unwrap();
    place.write("home/.config/user-dirs.dirs", "XDG_DOWNLOAD_DIR=\"$HOME/link\"\n");
    assert_eq!(run(&["-q", "--profile", "ci"]).out, "written\n", "by a link");
    // Any other repository is a project, and somebody who watches is told that it is more than the current directory.
    std::fs::remove_file(place.home().join(".config/user-dirs.dirs")).unwrap();
    let out = run(&["--profile", "ci"]);
    assert!(out.out == "secretwritten\n" && out.err.is_empty(), "{out:?}");
    let dir = place.home().join("dl").display().to_string();
    let plan = |dir: &str| {
        let mut command = place.command();
        let out =
            command.current_dir(place.home().join(dir)).args(["plan", "--profile", "ci", "--", "/bin/true"]).output();
        ran(out.unwrap()).ok()
    };
    let told = format!("all of {dir} is writable, since .git makes it the project; `--hide {dir} --rw .`");
    assert!(plan("dl/pkg").contains(&told) && !plan("dl").contains("makes it the project"), "{}", plan("dl/pkg"));
    std::fs::remove_file(place.home().join("dl/w")).unwrap();
    let out = run(&["-q", "--profile", "ci", "--hide", &dir, "--rw", "."]);
    assert!(out.out == "written\n" && !place.home().join("dl/w").exists(), "{out:?}");
}

#[test]
fn a_marker_in_a_home_or_where_others_may_write_widens_nothing() {
    need!(userns(), tools(&["git"]));
    let place = Place::new();
    place.write("home/src/tool/x", "");
    git(&place, "home", &["init", "-q"]).ok();
    place.write("home/.sbx.toml", "schema = 1\n");
    assert_eq!(project_of(&place, "home/src/tool"), Path::new("src/tool"), "the home is no project");
    place.write("home/shared/tool/x", "");
    git(&place, "home/shared", &["init", "-q"]).ok();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(place.home().join("shared"), open).unwrap();
    assert_eq!(project_of(&place, "home/shared/tool"), Path::new("shared/tool"), "anybody may have put it there");
    let out = ci_in(&place, "home/shared/tool", &[], "ls ~/shared").ok();
    assert_eq!(out, "tool\n");
}

#[test]
fn a_directory_that_others_may_write_to_by_an_access_control_list_or_a_group_is_no_project() {
    need!(userns(), not_root(), tools(&["git", "setfacl"]));
    let place = Place::new();
    let dir = place.home().join("team");
    place.write("home/team/sub/x", "");
    place.write("home/team/private", "secret");
    git(&place, "home/team", &["init", "-q"]).ok();
    assert_eq!(project_of(&place, "home/team/sub"), Path::new("team"));
    let acl = |args: &[&str]| {
        let done = Command::new("setfacl").args(args).arg(&dir).status();
        assert!(done.unwrap().success(), "{args:?}");
    };
    acl(&["-m", "u:nobody:rwx"]);
    let out = ci_in(&place, "home/team/sub", &[], "ls ..; cat ../private");
    assert_eq!(out.out, "sub\n", "{out:#?}");
    let mut command = place.command();
    let told = ran(command.current_dir(dir.join("sub")).args(["--profile", "ci", "--", "true"]).output().unwrap()).err;
    assert!(told.contains("team is not taken for the project"), "{told}");
    assert!(told.contains("may be written to by other users"), "{told}");
    // What lies in the directory itself is shown where sbx is started there.
    assert_eq!(ci_in(&place, "home/team", &[], "cat private").ok(), "secret");
    acl(&["-b"]);
    assert_eq!(project_of(&place, "home/team/sub"), Path::new("team"));
    // The group that the account has for itself may write, and others may not.
    let mode = |mode| std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    mode(0o2775);
    assert_eq!(project_of(&place, "home/team/sub"), Path::new("team"));
}

#[test]
fn what_tools_run_on_their_own_is_closed_up_to_the_project_and_its_file_tightens() {
    need!(userns(), tools(&["git"]));
    let place = Place::new();
    place.write("home/p/a/src/x", "");
    git(&place, "home/p", &["init", "-q"]).ok();
    for path in
        ["p/.vscode/tasks.json", "p/a/.vscode/tasks.json", "p/a/src/.vscode/tasks.json", "p/.env", "p/a/src/.env"]
    {
        place.write(&format!("home/{path}"), "text\n");
    }
    place.write("home/p/.sbx.toml", "schema = 1\n[filesystem.paths]\n\"${CWD}/.env\" = \"masked\"\n");
    let script = "for d in ../.. .. .; do echo x > $d/.vscode/tasks.json && echo written; done
        echo x >> ../../.git/config && echo config; echo x > ../../.git/hooks/post-index-change && echo hook
        echo x >> ../../.sbx.toml && echo file; cat ../../.env .env; git log; touch ../../fine && echo end";
    for profile in ["ci", "shell"] {
        let out = ci_in(&place, "home/p/a/src", &["--profile", profile], script);
        assert_eq!(out.out, "text\nend\n", "{profile}: {out:#?}");
    }
    let out = ci_in(&place, "home/p/a/src", &["--no-project"], "cat ../../.env");
    assert_eq!(out.ok(), "text\n");
}

/// A repository with a second worktree, and one with a submodule: `home/main`, `home/second`, `home/outer/sub`.
fn repositories() -> Place {
    let place = Place::new();
    place.write("home/main/file", "text\n");
    git(&place, "home/main", &["init", "-q", "-b", "main"]).ok();
    git(&place, "home/main", &["add", "file"]).ok();
    git(&place, "home/main", &["commit", "-qm", "first"]).ok();
    git(&place, "home/main", &["worktree", "add", "-q", "../second"]).ok();
    place.write("home/outer/file", "text\n");
    git(&place, "home/outer", &["init", "-q", "-b", "main"]).ok();
    git(&place, "home/outer", &["submodule", "--quiet", "add", "../main", "sub"]).ok();
    place
}

#[test]
fn git_works_in_a_worktree_and_a_submodule_and_changes_nothing_that_it_runs_later() {
    need!(userns(), tools(&["git"]));
    let place = repositories();
    place.write("home/second/deep/x", "");
    for (dir, common) in
        [("second", "main/.git"), ("second/deep", "main/.git"), ("outer/sub", "outer/.git/modules/sub")]
    {
        let common = place.home().join(common).display().to_string();
        let script = "git log --format=%s && git status -s && git diff HEAD
            for f in config hooks/post-checkout worktrees/second/commondir worktrees/second/config.worktree new objects/new refs/heads/new
            do echo x >> COMMON/$f && echo $f; done; ls ~";
        let out = ci_in(&place, &format!("home/{dir}"), &[], &script.replace("COMMON", &common));
        let deep = if dir == "outer/sub" { "" } else { "?? deep/\n" };
        let deep = deep.replace("deep", if dir == "second/deep" { "./" } else { "deep/" }).replace("//", "/");
        assert!(out.out.starts_with(&format!("first\n{deep}")), "{dir}: {out:#?}");
        let shown = if dir == "outer/sub" { "outer\n" } else { "main\nsecond\n" };
        assert!(out.out.ends_with(&format!("{deep}{shown}")), "{dir}: {out:#?}");
        assert_eq!(
            ci_in(&place, &format!("home/{dir}"), &[], "ls ~/main 2>&1 | head -n 1").ok().trim(),
            if dir == "outer/sub" {
                "ls: cannot access '".to_owned()
                    + &place.home().join("main").display().to_string()
                    + "': No such file or directory"
            } else {
                String::new()
            },
            "only .git"
        );
    }
}

#[test]
fn in_a_worktree_rw_git_opens_what_a_commit_needs_and_neither_hooks_nor_configuration() {
    need!(userns(), tools(&["git"]));
    let place = repositories();
    let script = "echo more >> file && git -c user.name=x -c user.email=x commit -qam second && git log -1 --format=%s
        cd ~/main/.git; for f in config hooks/post-checkout worktrees/second/commondir worktrees/second/gitdir HEAD packed-refs
        do echo x >> $f && echo $f; done; rm -f worktrees/second/commondir; mv worktrees/second worktrees/other";
    let out = ci_in(&place, "home/second", &["--rw", ".git"], script);
    assert_eq!(out.out, "second\n", "{out:#?}");
    assert_eq!(git(&place, "home/main", &["log", "-1", "--format=%s", "second"]).ok(), "second\n");
}

#[test]
fn a_git_file_that_a_stranger_wrote_shows_nothing() {
    need!(userns(), tools(&["git"]));
    let place = repositories();
    place.write("home/.ssh/id", "secret\n");
    let secrets = |dir: &str| {
        let out = ci_in(&place, dir, &[], "cat ~/.ssh/id ~/main/.git/HEAD ~/HEAD ~/main/file ~/worktrees/HEAD");
        assert_eq!(out.out, "", "{dir}: {out:#?}");
    };
    let home = place.home().display().to_string();
    // Another's worktree, the main repository, and a directory that is none.
    for target in ["main/.git/worktrees/second", "main/.git", ".ssh", "."] {
        place.write("home/evil/.git", &format!("gitdir: {home}/{target}\n"));
        secrets("home/evil");
    }
    // A directory that names itself as the worktree of the home.
    for file in ["HEAD", "objects/x", "refs/x", "commondir"] {
        place.write(&format!("home/worktrees/x/{file}"), "../..\n");
    }
    place.write("home/worktrees/x/gitdir", &format!("{home}/worktrees/x/.git\n"));
    place.write("home/worktrees/x/.git", &format!("gitdir: {home}/worktrees/x\n"));
    secrets("home/worktrees/x");
    // One that has a genuine worktree's name for itself.
    place.write("home/evil/repo/gitdir", &format!("{home}/evil/.git\n"));
    place.write("home/evil/repo/commondir", "../../main/.git\n");
    place.write("home/evil/.git", &format!("gitdir: {home}/evil/repo\n"));
    secrets("home/evil");
    // Links: in place of .git, and on the way to the repository.
    std::fs::remove_file(place.home().join("evil/.git")).unwrap();
    symlink(place.home().join("main/.git"), place.home().join("evil/.git")).unwrap();
    let refused = ci_in(&place, "home/evil", &[], "true").failed(125);
    assert!(refused.contains("is a link that leads out of"), "{refused}");
}

#[test]
fn objects_that_are_a_link_are_not_opened() {
    need!(userns(), tools(&["git"]));
    let place = repositories();
    place.write("home/private/x", "secret\n");
    std::fs::rename(place.home().join("main/.git/refs"), place.home().join("refs")).unwrap();
    symlink(place.home().join("private"), place.home().join("main/.git/refs")).unwrap();
    let out =
        ci_in(&place, "home/second", &["--rw", ".git"], "cat ~/private/x; echo x > ~/private/y; ls ~/main/.git/refs/");
    assert_eq!(out.out, "", "{out:#?}");
    assert!(!place.home().join("private/y").exists());
}

#[test]
fn variables_of_test_runners_are_passed_and_credentials_are_not() {
    need!(userns());
    let place = Place::new();
    let names = [
        ("CARGO_MANIFEST_DIR", true),
        ("CARGO_BIN_EXE_x", true),
        ("CARGO_REGISTRY_TOKEN", false),
        ("CARGO_REGISTRIES_MINE_TOKEN", false),
        ("NEXTEST", true),
        ("NEXTEST_RUN_ID", true),
        ("NEXTEST_SECRET", false),
        ("LD_LIBRARY_PATH", true),
        ("RUST_TEST_THREADS", true),
        ("PYTEST_ADDOPTS", true),
        ("GTEST_FILTER", true),
        ("GOFLAGS", true),
        ("GOOGLE_APPLICATION_CREDENTIALS", false),
        ("AWS_SECRET_ACCESS_KEY", false),
        ("npm_config__authToken", false),
        ("PYTHON_API_KEY", false),
    ];
    let mut command = place.command();
    command.envs(names.map(|(name, _)| (name, "value"))).args(["-q", "--profile", "ci", "--", "/usr/bin/env"]);
    let out = ran(command.output().unwrap()).ok();
    for (name, passed) in names {
        assert_eq!(out.lines().any(|line| line == format!("{name}=value")), passed, "{name}: {out}");
    }
    let mut command = place.command();
    command.envs([("TOOL_A", "1"), ("TOOL_B", "2"), ("TOOL_TOKEN", "3"), ("OTHER_A", "4"), ("LATER_X", "5")]);
    command.args(["-q", "--env", "TOOL_*", "--env", "OTHER_A", "--env", "LATER_*", "--", "/usr/bin/env"]);
    let out = ran(command.output().unwrap()).ok();
    let set = |name: &str| out.lines().any(|line| line.starts_with(&format!("{name}=")));
    assert!(set("TOOL_A") && set("TOOL_B") && set("OTHER_A") && set("LATER_X") && !set("TOOL_TOKEN"), "{out}");
}

#[test]
fn the_program_that_is_named_by_its_path_is_shown_alone() {
    need!(userns());
    let place = Place::new();
    let elsewhere = tempfile::tempdir_in("/tmp").unwrap();
    let dir = elsewhere.path().join("rustdoctest1");
    std::fs::create_dir(&dir).unwrap();
    let program = dir.join("rust_out");
    copy_program(Path::new("/bin/ls"), &program);
    std::fs::write(dir.join("other"), "").unwrap();
    place.write("home/letter", "");
    let letter = place.home().join("letter");
    let run = |profile: &str| {
        let mut command = place.command();
        command.args(["-q", "--profile", profile, "--"]).arg(&program).arg(&dir).arg(&letter);
        ran(command.output().unwrap())
    };
    let out = run("ci");
    assert!(out.out.contains("rust_out") && !out.out.contains("other") && out.err.contains("letter"), "{out:#?}");
    run("default").failed(127);
    // A link that somebody put there names nothing else.
    place.write("home/secret/tool", "#!/bin/sh\necho ran\n");
    std::fs::remove_file(&program).unwrap();
    symlink(place.home().join("secret/tool"), &program).unwrap();
    run("ci").failed(127);
}

/// Runs make(1) with two jobs, and a rule that is this command. Gives what was printed, errors as well.
fn make(place: &Place, command: &str) -> String {
    place.write("work/outer.mk", &format!("all:\n\t+@{command}\n"));
    place.write("work/inner.mk", "all: a b\na b:\n\t@echo $@ \"$(MAKEFLAGS)\"\n");
    let mut make = Command::new("make");
    make.args(["-s", "-j2", "-f", "outer.mk"]).current_dir(place.work()).env_clear();
    make.env("PATH", "/usr/bin:/bin").env("HOME", place.home()).env("SBX", common::sbx());
    let made = ran(make.output().unwrap());
    assert_eq!(made.status, Some(0), "{made:#?}");
    made.out + &made.err
}

#[test]
fn a_job_server_that_the_program_does_not_get_is_not_named_to_it() {
    need!(userns(), tools(&["make"]));
    let place = Place::new();
    let said = make(&place, "$$SBX --profile ci -- make -f inner.mk");
    assert!(!said.contains("warning"), "{said}");
    assert!(said.contains("the job server that MAKEFLAGS names is not handed over"), "{said}");
    let seen = make(&place, "$$SBX -q --profile ci -- sh -c 'echo \"$$MAKEFLAGS\"'");
    assert!(seen.contains("-j2") && !seen.contains("jobserver"), "{seen}");
    // As the note says; make's own pipe has these numbers where nothing else is open.
    let flags = said.split_once("by itself: ").unwrap().1.split_once(" hands").unwrap().0;
    let said = make(&place, &format!("$$SBX --profile ci {flags} -- make -f inner.mk"));
    assert!(!said.contains("sbx: note") && !said.contains("warning") && said.contains("jobserver"), "{said}");
    // A named pipe, as make 4.4 has it: not in the sandbox's own /tmp, and handed over where a line shows it.
    for (path, seen) in [("/tmp/GMfifo1", " -j2"), ("work/fifo", " -j2 --jobserver-auth=fifo:work/fifo")] {
        let path = if path.starts_with('/') { path.into() } else { place.dir.path().join(path).display().to_string() };
        let kept = seen.replace("work/fifo", &path);
        let flag = if seen.contains("fifo") { &["--rw", "."][..] } else { &[] };
        let mut with = place.command();
        with.env("MAKEFLAGS", format!(" -j2 --jobserver-auth=fifo:{path}")).args(["-q", "--profile", "ci"]).args(flag);
        with.args(["--", "sh", "-c", "printf %s \"$MAKEFLAGS\""]);
        assert_eq!(ran(with.output().unwrap()).ok(), kept);
    }
}
