//! What tools outside run on their own (git's configuration and hooks, tasks of editors) in profiles that write a working
//! copy: no program may write it there, whether or not the files exist yet.

mod common;

use common::{Place, Ran, not_root, ran, tools, until, userns};
use std::process::{Command, Stdio};

const PROFILES: [&str; 2] = ["ci", "shell"];

/// Runs git outside of a sandbox.
fn git(place: &Place, args: &[&str]) -> Ran {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=x", "-c", "user.email=x"]).args(args).current_dir(place.work());
    ran(command.env("HOME", place.home()).env("GIT_CONFIG_NOSYSTEM", "1").output().unwrap())
}

/// A working copy with settings of editors.
fn worktree() -> Place {
    let place = Place::new();
    place.write("work/file", "text");
    git(&place, &["init", "-q"]).ok();
    git(&place, &["add", "file"]).ok();
    git(&place, &["commit", "-qm", "x"]).ok();
    for path in [".vscode/settings.json", ".idea/workspace.xml", ".husky/pre-commit", ".envrc", ".sbx.toml"] {
        let text = if path == ".sbx.toml" { "schema = 1\n" } else { "" };
        place.write(&format!("work/{path}"), text);
    }
    place
}

fn sh(place: &Place, flags: &[&str], script: &str) -> Ran {
    place.run(&[&["-q"], flags, &["--", "/bin/sh", "-c", script]].concat())
}

/// Each way by which git runs a command of a program's choice at the next `git status` or commit.
const WAYS: &[&str] = &[
    "git config core.fsmonitor 'touch /WORK/ran; false'",
    "printf '[core]\\n\\tfsmonitor = \"touch /WORK/ran; false\"\\n' >> .git/config",
    "printf '#!/bin/sh\\ntouch /WORK/ran\\n' > .git/hooks/post-index-change; chmod +x .git/hooks/post-index-change",
    "mkdir evil && cp -r .git/objects .git/refs .git/config evil && \
     git config --file evil/config core.fsmonitor 'touch /WORK/ran; false' && echo ../evil > .git/commondir",
    "mv .git old && mkdir .git && cp -r old/* .git && git config core.fsmonitor 'touch /WORK/ran; false'",
    "rm -rf .git; git init -q && git config core.fsmonitor 'touch /WORK/ran; false'",
    "mkdir evil; cp -r .git evil/; git -C evil config core.fsmonitor 'touch /WORK/ran; false'; ln -sfn evil/.git .git",
    "echo 'gitdir: evil/.git' > .git",
];

#[test]
fn git_runs_nothing_that_a_program_in_the_sandbox_named() {
    need!(userns(), tools(&["git"]));
    for profile in PROFILES {
        for way in WAYS {
            let place = worktree();
            let script = way.replace("/WORK", place.work().to_str().unwrap());
            let inside = sh(&place, &["--profile", profile], &script);
            std::fs::write(place.work().join("file"), "other").unwrap();
            for outside in [&["status", "-s"][..], &["commit", "-qam", "y"]] {
                git(&place, outside);
            }
            assert!(!place.work().join("ran").exists(), "{profile}: {way}: {inside:#?}");
            assert!(
                ["Read-only", "busy", "Is a directory"].iter().any(|why| inside.err.contains(why)),
                "{profile}: {way}: {inside:#?}"
            );
            assert_eq!(git(&place, &["log", "-1", "--format=%s"]).ok(), "y\n", "the repository is as it was");
        }
    }
    // The same ways, where the user says so.
    let place = worktree();
    sh(&place, &["--profile", "ci", "--rw", ".git"], &WAYS[0].replace("/WORK", place.work().to_str().unwrap())).ok();
    git(&place, &["status", "-s"]);
    assert!(place.work().join("ran").exists());
}

#[test]
fn what_editors_and_shells_start_is_read_only_and_the_rest_is_not() {
    need!(userns(), tools(&["git"]));
    for profile in PROFILES {
        let place = worktree();
        let script =
            "for f in .vscode/tasks.json .idea/new .husky/pre-commit .envrc .sbx.toml; do echo x > $f && echo $f; done
            rm -rf .vscode; mv .idea other; rm -f .envrc; git status -s; git log --format=%s; git diff --stat
            echo more > file && mkdir -p target/debug && touch target/debug/a .gitignore && echo written";
        let out = sh(&place, &["--profile", profile], script);
        assert!(out.out.ends_with("x\nwritten\n") && !out.out.contains(".json\n"), "{profile}: {out:#?}");
        for path in [".vscode/settings.json", ".idea/workspace.xml", ".envrc", "target/debug/a"] {
            assert!(place.work().join(path).exists(), "{profile}: {path}");
        }
    }
}

#[test]
fn what_comes_into_being_is_told_at_the_end() {
    need!(userns(), tools(&["git"]));
    for profile in PROFILES {
        let place = Place::new();
        let flags = ["--profile", profile, "--", "/bin/sh", "-c"];
        let out = place.run(&[&flags[..], &["git init -q; mkdir .vscode; touch other"]].concat());
        for name in [".git", ".vscode"] {
            let path = place.work().join(name);
            let note = format!("note: {} was not there when the program started", path.display());
            assert!(out.err.contains(&note), "{profile}: {out:#?}");
        }
        assert!(!out.err.contains("other"), "{out:#?}");
        // From then on it is closed.
        let out = place.run(&[&flags[..], &["touch .git/new .vscode/new"]].concat());
        assert!(out.err.contains("Read-only") && !out.err.contains("note:"), "{profile}: {out:#?}");
    }
}

#[test]
fn a_home_is_not_shown_by_what_is_to_close_parts_of_a_project() {
    need!(userns(), tools(&["git"]));
    let place = Place::new();
    for path in ["home/.git/config", "home/.envrc", "home/.claude/key", "home/.vscode/key"] {
        place.write(path, "secret");
    }
    for profile in PROFILES {
        let mut command = place.command();
        let script = "ls -A ~ ; cat .git/config .envrc .claude/key .vscode/key";
        command.current_dir(place.home()).args(["--profile", profile, "--", "/bin/sh", "-c", script]);
        let out = ran(command.output().unwrap());
        assert!(out.out.is_empty() && !out.err.contains("was not there"), "{profile}: {out:#?}");
    }
}

#[test]
fn where_a_program_may_mount_the_error_prints_the_line_to_add() {
    need!(userns(), tools(&["git"]));
    let place = worktree();
    let allow = ["--profile", "ci", "--set", "namespaces.nested=allow"];
    let refused = sh(&place, &allow, "true").failed(125);
    assert!(
        refused.contains(".envrc cannot be `ro` here")
            && refused.contains("the same goes for")
            && refused.contains("nested = \"no-mount\""),
        "{refused}"
    );
    assert!(refused.contains("base/worktree:"), "{refused}");
    let mine = "schema = 1\nextends = [\"base/host\"]\n[namespaces]\nnested = \"allow\"\n[filesystem.paths]\n\"${CWD}\" = \"rw\"\n";
    let mine = place.write("p.toml", mine).display().to_string();
    let project = "schema = 1\n[filesystem.paths]\n\"${CWD}/file\" = \"masked\"\n";
    place.write("work/.sbx.toml", project);
    let refused = sh(&place, &["--profile", &mine], "cat file").failed(125);
    let line = "add `nested = \"no-mount\"` below `[namespaces]`";
    assert!(refused.contains(".sbx.toml:3") && refused.contains(line) && !refused.contains("prefer"), "{refused}");
    place.write("work/.sbx.toml", &format!("{project}[namespaces]\nnested = \"no-mount\"\n"));
    assert_eq!(sh(&place, &["--profile", &mine], "cat file").ok(), "");
}

/// Runs `inside` in a sandbox in a working copy that `outside` has prepared, then `git status` and a commit outside: what git ran of the program's
/// choice leaves the file `ran`.
#[track_caller]
fn runs_nothing(outside: &str, inside: &str) {
    for profile in PROFILES {
        let place = worktree();
        let work = place.work().display().to_string();
        let git = "export GIT_CONFIG_NOSYSTEM=1 GIT_ALLOW_PROTOCOL=file; git() { command git -c user.name=x -c user.email=x \"$@\"; };";
        let shell = |script: &str| {
            let script = format!("{git} {}", script.replace("/WORK", &work));
            let mut command = Command::new("/bin/bash");
            ran(command.args(["-c", &script]).current_dir(place.work()).env("HOME", place.home()).output().unwrap())
        };
        shell(outside).ok();
        let said = sh(&place, &["--profile", profile], &inside.replace("/WORK", &work));
        let end = shell("echo other >> file; git status -s; git add file; git commit -qm y; git checkout -q .; true");
        assert!(!place.work().join("ran").exists(), "{profile}: {inside}: {said:#?} {end:#?}");
    }
}

const FSMONITOR: &str = "core.fsmonitor 'touch /WORK/ran; false'";
const SCRIPT: &str = "printf '#!/bin/sh\\ntouch /WORK/ran\\n'";

#[test]
fn a_submodule_is_no_way_into_the_repository_around_it() {
    need!(userns(), tools(&["git"]));
    let add = "git init -q -b main ../other && git -C ../other commit -q --allow-empty -m x && git submodule --quiet add ../other sub && git commit -qm sub";
    for inside in [
        format!(
            "rm sub/.git; cp -r .git/modules/sub sub/.git; git config -f sub/.git/config --unset core.worktree; git config -f sub/.git/config {FSMONITOR}"
        ),
        format!(
            "mv sub old; cp -r old sub; rm -f sub/.git; cp -r .git/modules/sub sub/.git; git config -f sub/.git/config --unset core.worktree; git config -f sub/.git/config {FSMONITOR}"
        ),
    ] {
        runs_nothing(add, &inside);
    }
}

#[test]
fn the_files_of_a_submodule_can_be_written() {
    need!(userns(), tools(&["git"]));
    for profile in PROFILES {
        let place = worktree();
        let add = "git init -q -b main ../other && git -C ../other -c user.name=x -c user.email=x commit -q --allow-empty -m x && \
                   git -c protocol.file.allow=always submodule --quiet add ../other sub";
        let mut shell = Command::new("/bin/sh");
        ran(shell.args(["-c", add]).current_dir(place.work()).env("HOME", place.home()).output().unwrap()).ok();
        sh(&place, &["--profile", profile], "touch sub/new").ok();
        let closed = sh(&place, &["--profile", profile], "echo x > sub/.git; touch .git/modules/sub/new");
        assert!(closed.err.matches("Read-only").count() == 2, "{profile}: {closed:?}");
    }
}

#[test]
fn what_the_last_run_closed_or_filled_is_no_way_in() {
    need!(userns(), not_root(), tools(&["git"]));
    for profile in PROFILES {
        let place = worktree();
        place.write("work/.config/mise.toml", "");
        let mut shell = Command::new("/bin/sh");
        let outside = "git init -q n; mkdir hooks; git config core.hooksPath hooks";
        ran(shell.args(["-c", outside]).current_dir(place.work()).env("HOME", place.home()).output().unwrap()).ok();
        for dir in ["n", ".config"] {
            sh(&place, &["--profile", profile], &format!("chmod 0 {dir}")).ok();
            let error =
                sh(&place, &["--profile", profile], &format!("chmod 755 {dir}; touch {dir}/.git/x")).failed(125);
            assert!(error.contains("cannot be looked up"), "{profile}: {dir}: {error}");
            let path = place.work().join(dir);
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        sh(&place, &["--profile", profile], "for i in $(seq -w 0 520); do mkdir -p a$i/.git; done").ok();
        let error = sh(&place, &["--profile", profile], "touch hooks/pre-commit").failed(125);
        assert!(error.contains("more than 500 paths") && error.contains("--overlay ."), "{profile}: {error}");
    }
}

#[test]
fn what_a_program_makes_of_permissions_opens_no_repository() {
    need!(userns(), not_root(), tools(&["git"]));
    for profile in PROFILES {
        for mode in ["0777", "1777", "0775"] {
            let place = Place::new();
            git(&place, &["init", "-q", "n"]).ok();
            sh(&place, &["--profile", profile], &format!("chmod {mode} .")).ok();
            let out = sh(&place, &["--profile", profile], "chmod 755 .; git -C n config core.fsmonitor false");
            let said = git(&place, &["-C", "n", "config", "core.fsmonitor"]);
            assert!(out.status != Some(0) && said.status == Some(1), "{profile}: {mode}: {out:#?} {said:#?}");
        }
    }
}

#[test]
fn what_a_program_shut_is_an_error_and_not_left_out() {
    need!(userns(), not_root(), tools(&["git"]));
    for (shut, open, says) in [
        ("chmod 0311 .", "chmod 755 .", "its names cannot be read"),
        ("mkdir .vscode; ln -s ../file .vscode/tasks.json; chmod 0311 .vscode", "chmod 755 .vscode", "the names in"),
        ("mkdir -p .config/mise/x; chmod 0 .config/mise/x", "chmod 755 .config/mise/x", "the names in"),
    ] {
        let place = worktree();
        std::fs::remove_dir_all(place.work().join(".vscode")).unwrap();
        git(&place, &["init", "-q", "n"]).ok();
        sh(&place, &["--profile", "ci"], shut).ok();
        let next = sh(&place, &["--profile", "ci"], "git -C n config core.fsmonitor false");
        let opened = Command::new("/bin/sh").args(["-c", open]).current_dir(place.work()).status();
        assert!(opened.unwrap().success());
        let error = next.failed(125);
        assert!(error.contains(says) && error.contains("chmod "), "{shut}: {error}");
    }
}

#[test]
fn what_a_program_shut_deep_in_a_project_is_an_error_and_not_left_out() {
    need!(userns(), not_root(), tools(&["git"]));
    for (outside, shut) in [
        ("mkdir -p 't/my tools'; touch 't/my tools/x'; git config core.fsmonitor '\"t/my tools/x\"'", "t/my tools"),
        ("git clone -q --bare . t/sub/o.git; git config branch.main.remote ./t/sub/o.git", "t/sub"),
        ("git clone -q --bare . t/sub/o.git; git config branch.main.remote ./t/sub/o.git", "t/sub/o.git"),
        ("mkdir -p t/tools; touch t/tools/w", "t/tools"),
    ] {
        let place = worktree();
        let mut shell = Command::new("/bin/sh");
        ran(shell.args(["-c", outside]).current_dir(place.work()).env("HOME", place.home()).output().unwrap()).ok();
        let path = place.work().join(shut);
        let mode = |mode| std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        mode(0);
        let mut command = place.command();
        command.env("RUSTC_WRAPPER", place.work().join("t/tools/w")).args(["-q", "--profile", "ci", "--", "true"]);
        let next = ran(command.output().unwrap());
        mode(0o755);
        assert!(next.failed(125).contains("cannot be looked up"), "{outside}: {shut}");
    }
}

#[test]
fn a_repository_that_is_made_in_a_directory_of_the_project_is_told() {
    need!(userns(), tools(&["git"]));
    for profile in PROFILES {
        let place = worktree();
        place.write("work/src/a", "");
        place.write("work/lib/a", "");
        let out = place.run(&[
            "--profile",
            profile,
            "--",
            "/bin/sh",
            "-c",
            "mkdir src/.git; touch lib/HEAD; mkdir new new/.git",
        ]);
        for made in ["src/.git", "lib/HEAD"] {
            assert!(out.err.contains(&format!("{made} was not there when the program started")), "{profile}: {out:#?}");
        }
        assert_eq!(out.err.matches("note:").count(), 2, "{profile}: {out:#?}");
    }
}

#[test]
fn addresses_and_their_rewrites_keep_no_start_waiting() {
    need!(userns(), tools(&["git"]));
    let place = worktree();
    git(&place, &["init", "-q", "n"]).ok();
    let many = |of: &dyn Fn(usize) -> String| (0..4000).map(of).collect::<String>();
    for (rewrites, addresses) in [
        (many(&|_| "insteadOf=x\n".to_owned()), many(&|_| "url=x\n".to_owned())),
        (many(&|n| format!("[url \"t{n}/\"]\ninsteadOf=x\n")), many(&|n| format!("url=x{n}\n"))),
    ] {
        place.write("work/n/.git/config", &format!("[url \"t/\"]\n{rewrites}[remote \"a\"]\n{addresses}"));
        let began = std::time::Instant::now();
        let out = sh(&place, &["--profile", "ci"], "true");
        assert!(began.elapsed().as_secs() < 15, "{:?}", began.elapsed());
        assert!(out.status == Some(0) || out.err.contains("more than"), "{out:#?}");
    }
}

#[test]
fn links_in_what_links_in_closed_directories_lead_to_are_followed_too() {
    need!(userns());
    let place = worktree();
    let outside = "mkdir -p .claude shared/hooks shared/deep scripts conf z/fn; touch scripts/pre.sh scripts/a conf/zshrc conf/g
        ln -s ../shared/hooks .claude/hooks; ln -s ../../scripts/pre.sh shared/hooks/pre.sh; ln -s ../deep shared/hooks/d
        ln -s ../../scripts/a shared/deep/a; ln -s ../hooks shared/deep/again; ln -s ../conf/zshrc z/.zshrc; ln -s ../../conf/g z/fn/g";
    assert!(Command::new("/bin/sh").args(["-c", outside]).current_dir(place.work()).status().unwrap().success());
    let mut command = place.command();
    let script = "for f in scripts/pre.sh scripts/a conf/zshrc conf/g shared/deep/n; do echo x >> $f && echo WROTE $f; done; echo x > scripts/new";
    command.env("ZDOTDIR", place.work().join("z")).args(["-q", "--profile", "ci", "--", "/bin/sh", "-c", script]);
    let out = ran(command.output().unwrap());
    assert!(out.out.is_empty() && place.work().join("scripts/new").exists(), "{out:#?}");
}

#[test]
fn a_repository_that_comes_where_a_remote_leads_is_told() {
    need!(userns(), tools(&["git"]));
    for (outside, made) in [("true", "up.git"), ("mkdir up", "up.git"), ("mkdir up", "up/.git"), ("true", "up")] {
        let place = worktree();
        git(&place, &["remote", "add", "origin", "./up"]).ok();
        Command::new("/bin/sh").args(["-c", outside]).current_dir(place.work()).status().unwrap();
        let out = place.run(&["--profile", "ci", "--", "mkdir", made]);
        assert!(out.err.contains(&format!("{made} was not there when the program started")), "{made}: {out:#?}");
    }
    // Subsections keep their case in variables, too.
    let place = worktree();
    git(&place, &["clone", "-q", "--bare", ".", "Sub/O.git"]).ok();
    let mut command = place.command();
    let key = format!("URL.{}/Sub/.InsteadOf", place.work().display());
    command.envs([("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", key.as_str()), ("GIT_CONFIG_VALUE_0", "r:")]);
    let out = ran(command.args(["-q", "--profile", "ci", "--", "touch", "Sub/O.git/hooks/x"]).output().unwrap());
    assert!(out.err.contains("Read-only"), "{out:#?}");
}

#[test]
fn what_the_users_own_configuration_names_is_closed_where_there_is_no_repository() {
    need!(userns(), tools(&["git"]));
    let place = Place::new();
    for file in ["gh/githooks/pre-commit", "gh/fs", "gh/inc"] {
        place.write(&format!("home/{file}"), "#!/bin/sh\n");
    }
    place.write("home/gh/inc", "[user]\nname = x\n");
    place.on_host(&format!("chmod 755 {}/gh/githooks/pre-commit {0}/gh/fs", place.home().display()));
    place.write(
        "home/.gitconfig",
        "[core]\nhooksPath = ~/gh/githooks\nfsmonitor = ~/gh/fs\n[include]\npath = ~/gh/inc\n",
    );
    place.write("home/gh/free/x", "");
    let run = |dir: &str, script: &str| {
        let mut command = place.command();
        command.current_dir(place.home().join(dir)).args(["--profile", "ci", "--", "/bin/sh", "-c", script]);
        ran(command.output().unwrap())
    };
    let script = "for f in githooks/pre-commit githooks/new fs inc free/x; do echo '#' >> $f && echo $f; done";
    assert_eq!(run("gh", script).out, "free/x\n");
    // What is the current directory itself is told.
    let out = run("gh/githooks", "true");
    assert!(out.err.contains("core.hooksPath of your configuration names it"), "{out:#?}");
}

#[test]
fn the_error_for_a_link_on_the_way_to_configuration_names_the_variable_that_leads_there() {
    need!(userns(), tools(&["git"]));
    let place = worktree();
    place.write("envs/bin/git", "");
    std::os::unix::fs::symlink("../envs", place.work().join(".venv")).unwrap();
    let mut command = place.command();
    command.env("PATH", format!("{}:/usr/bin:/bin", place.work().join(".venv/bin").display()));
    let error = ran(command.args(["--profile", "ci", "--", "true"]).output().unwrap()).failed(125);
    assert!(error.contains(".venv") && error.contains("base/worktree:11, for the variable PATH)"), "{error}");
    let error = |(variable, value): (&str, &str)| {
        let mut command = place.command();
        ran(command.env(variable, value).args(["--profile", "ci", "--", "true"]).output().unwrap()).failed(125)
    };
    for variable in ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"] {
        let file = place.work().join(".venv/config").display().to_string();
        let error = error((variable, &file));
        assert!(error.contains(&format!(", for the variable {variable})")), "{error}");
    }
}

#[test]
fn links_on_the_way_to_a_repository_are_refused() {
    need!(userns(), tools(&["git"]));
    for outside in [
        "mkdir c; mv .git c/real; ln -s c lnk; echo gitdir: lnk/real > .git",
        "git init -q n; mkdir n/c; mv n/.git n/c/real; ln -s c n/lnk; echo gitdir: lnk/real > n/.git",
        "git worktree add -q ../other; mkdir c; mv .git c/g; ln -s c lnk; echo gitdir: $PWD/c/g > .git; echo $PWD/lnk/g > c/g/commondir",
        "mkdir w; mv file w; ln -s w lnk; git config core.worktree $PWD/lnk",
    ] {
        let place = worktree();
        let mut shell = Command::new("/bin/sh");
        let script = format!("set -e; {outside}");
        ran(shell.args(["-c", &script]).current_dir(place.work()).env("HOME", place.home()).output().unwrap()).ok();
        let error = sh(&place, &["--profile", "ci"], "true").failed(125);
        assert!(error.contains("lnk") && error.contains("is a link"), "{outside}: {error}");
    }
}

#[test]
fn hooks_and_configuration_that_are_links_into_the_project_are_closed_where_they_lead() {
    need!(userns(), tools(&["git"]));
    let script = format!(
        "mkdir scripts; {SCRIPT} > scripts/hook; printf '#!/bin/sh\\n' > scripts/hook; chmod +x scripts/hook; "
    );
    for link in [
        "ln -s ../../scripts/hook .git/hooks/post-index-change",
        "rm -rf .git/hooks; ln -s ../scripts .git/hooks; mv scripts/hook scripts/post-index-change; ln -s post-index-change scripts/hook",
        "mkdir tools; ln -s ../scripts/hook tools/post-index-change; git config core.hooksPath tools",
        "mkdir ~/hooks; ln -s $PWD/scripts/hook ~/hooks/post-index-change; git config --global core.hooksPath ~/hooks",
    ] {
        runs_nothing(&format!("{script}{link}"), &format!("{SCRIPT} > scripts/hook; chmod +x scripts/hook"));
    }
    runs_nothing("mv .git/config conf; ln -s ../conf .git/config", &format!("git config -f conf {FSMONITOR}"));
    runs_nothing("touch gitconfig; ln -s $PWD/gitconfig ~/.gitconfig", &format!("git config -f gitconfig {FSMONITOR}"));
}

#[test]
fn a_repository_that_is_kept_beside_the_files_is_closed_too() {
    need!(userns(), tools(&["git"]));
    let apart = "mv .git .bare && echo 'gitdir: ./.bare' > .git";
    runs_nothing(
        apart,
        &format!(
            "git config {FSMONITOR}; git config -f .bare/config {FSMONITOR}; mv .bare x; cp -r x .bare; git config -f .bare/config {FSMONITOR}"
        ),
    );
    let bare = "mv .git/* . && rmdir .git && git config core.bare false && git config core.worktree .";
    runs_nothing(
        bare,
        &format!(
            "git config -f config {FSMONITOR}; {SCRIPT} > hooks/post-index-change; chmod +x hooks/post-index-change"
        ),
    );
}

/// A bare repository `bare` beside the files.
const BARE: &str = "git clone -q --bare . bare";

#[test]
fn a_push_to_a_repository_in_the_project_runs_nothing_that_a_program_named() {
    need!(userns(), tools(&["git"]));
    let hook = |dir: &str| {
        format!("mkdir -p {dir}/hooks; {SCRIPT} > {dir}/hooks/pre-receive; chmod +x {dir}/hooks/pre-receive")
    };
    let nested = format!("{BARE} && mkdir deep && mv bare deep/o.git");
    for (outside, inside, push) in [
        // Directly in the project's directory, whatever names it.
        (BARE.to_owned(), hook("bare"), "../work/bare HEAD:m"),
        (BARE.to_owned(), format!("mv bare old; cp -r old bare; {}", hook("bare")), "./bare HEAD:m"),
        (BARE.to_owned(), format!("git clone -q --bare bare bare/.git; {}", hook("bare/.git")), "./bare HEAD:m"),
        (format!("{BARE}; mkdir h; git -C bare config core.hooksPath ../h"), hook("h/..").replace("/hooks/", "/h/"), "./bare HEAD:m"),
        // Deeper, by what the configuration names.
        (format!("{nested}; git remote add o deep/o.git"), hook("deep/o.git"), "o HEAD:m"),
        (format!("{nested}; git remote add o ./deep/o"), hook("deep/o.git"), "o HEAD:m"),
        (format!("{nested}; git remote add o file://$PWD/deep/%6f.git"), hook("deep/o.git"), "o HEAD:m"),
        (format!("{nested}; git remote add o /nowhere; git remote set-url --push o $PWD/deep/o.git"), hook("deep/o.git"), "o HEAD:m"),
        (format!("{nested}; git remote add o gh:o.git; git config --global url.deep/.pushInsteadOf gh:"), hook("deep/o.git"), "o HEAD:m"),
        (format!("{nested}; git config --global url./WORK/deep/.insteadOf gh:"), hook("deep/o.git"), "gh:o.git HEAD:m"),
        (format!("{nested}; git config branch.main.pushRemote deep/o.git; git config push.default current"), hook("deep/o.git"), ""),
        (format!("{nested}; git config remote.pushDefault deep/o.git; git config push.default current"), hook("deep/o.git"), ""),
        (format!("{nested}; mkdir -p .git/branches; echo deep/o.git > .git/branches/b"), hook("deep/o.git"), "b HEAD:m"),
        (format!("{nested}; mkdir -p .git/remotes; echo URL: deep/o.git > .git/remotes/r"), hook("deep/o.git"), "r HEAD:m"),
        (format!("{nested}; ln -s deep lnk; git remote add o $PWD/deep/../deep/o.git"), hook("deep/o.git"), "o HEAD:m"),
        ("mkdir deep; git clone -q . deep/c; git remote add o deep/c".to_owned(), hook("deep/c/.git"), "o HEAD:m"),
        (format!("{nested}; echo 'gitdir: o.git' > deep/f; git remote add o deep/f"), hook("deep/o.git"), "o HEAD:m"),
        (format!("{nested}; echo 'gitdir: o.git' > deep/f; git remote add o deep/f"), format!("cp -r deep/o.git e; {}; echo gitdir: ../e > deep/f", hook("e")), "o HEAD:m"),
        // Commands in addresses.
        ("touch t.sh; chmod +x t.sh; git config protocol.ext.allow always; git remote add o 'ext::./t.sh %S'".to_owned(), format!("{SCRIPT} > t.sh"), "o HEAD:m"),
        ("touch t.sh; chmod +x t.sh; git config protocol.ext.allow always; git config url.'ext::./t.sh '.insteadOf x:".to_owned(), format!("{SCRIPT} > t.sh"), "x:y HEAD:m"),
    ] {
        let place = worktree();
        let work = place.work().display().to_string();
        let git = "export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0=x;";
        let shell = |script: &str| {
            let script = format!("{git} {}", script.replace("/WORK", &work));
            let mut command = Command::new("/bin/bash");
            ran(command.args(["-c", &script]).current_dir(place.work()).env("HOME", place.home()).output().unwrap())
        };
        shell(&format!("git branch -qm main; {outside}")).ok();
        let said = sh(&place, &["--profile", "ci"], &inside.replace("/WORK", &work));
        let end = shell(&format!("git push -q {push}"));
        assert!(!place.work().join("ran").exists(), "{outside}: {inside}: {said:#?} {end:#?}");
        // The same without a sandbox.
        shell(&inside);
        let end = shell(&format!("git -c user.email=x commit -q --allow-empty -m y; git push -q {push}"));
        assert!(place.work().join("ran").exists(), "{outside}: {inside}: it is no way: {end:#?}");
    }
}

#[test]
fn what_the_configuration_names_of_the_project_is_closed() {
    need!(userns(), tools(&["git"]));
    for outside in [
        "mkdir -p tools/hooks && git config core.hooksPath tools/hooks",
        "mkdir -p tools/hooks && git config --global core.hooksPath tools/hooks",
        "mkdir -p tools/hooks && printf '[core]\\n hooksPath = tools/hooks\\n' > .gitconfig && git config include.path ../.gitconfig",
    ] {
        runs_nothing(
            outside,
            &format!(
                "{SCRIPT} > tools/hooks/post-index-change; chmod +x tools/hooks/post-index-change; mv tools t; cp -r t tools; {SCRIPT} > tools/hooks/post-index-change; chmod +x tools/hooks/*"
            ),
        );
        runs_nothing(outside, &format!("git config -f .gitconfig {FSMONITOR}"));
    }
    let filter = "mkdir tools; printf '#!/bin/sh\\ncat\\n' > tools/clean; chmod +x tools/clean; git config filter.x.clean 'tools/clean %f'; echo '* filter=x' > .gitattributes";
    runs_nothing(
        filter,
        &format!("{SCRIPT} > tools/clean; rm tools/clean; {SCRIPT} > tools/clean; chmod +x tools/clean"),
    );
}

/// Makes a repository at a path that exists or not, with a monitor of the program's choice, where it can.
fn evil(dir: &str) -> String {
    format!(
        "rm -rf {dir}; git init -q {dir}; cd {dir}; git config {FSMONITOR}; echo z > l; git add l; \
         git -c user.email=a@b -c user.name=n commit -qm l; cd /WORK"
    )
}

const OTHER: &str = "git init -q -b main ../other && git -C ../other commit -q --allow-empty -m x";

#[test]
fn a_submodule_is_what_the_index_holds() {
    need!(userns(), tools(&["git"]));
    let nested = format!("{OTHER} && git clone -q ../other sub/nested && git add sub/nested && git commit -qm n");
    runs_nothing(&nested, &evil("sub/nested"));
    let proper = format!("{OTHER} && git submodule --quiet add ../other sub && git commit -qm sub");
    for lost in ["rm .gitmodules", "git config -f .gitmodules --unset submodule.sub.path", "echo x > .gitmodules"] {
        runs_nothing(&format!("{proper}; {lost}; git rm -q --cached .gitmodules; true"), &evil("sub"));
    }
    // One that another branch has, whose repository is kept in the one above.
    let branch = format!("{proper} && git branch other && git rm -q --cached sub .gitmodules && rm .gitmodules");
    runs_nothing(&branch, &format!("{}; rm sub/.git; echo gitdir: /WORK/x > sub/.git", evil("sub")));
}

/// Checks that a program can neither write in a path nor replace it, in a working copy that `outside` has prepared.
#[track_caller]
fn is_closed(outside: &str, path: &str) {
    let place = worktree();
    let mut shell = Command::new("/bin/bash");
    let script = format!("git() {{ command git -c user.name=x -c user.email=x \"$@\"; }}; set -e; {outside}");
    let env = [("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_ALLOW_PROTOCOL", "file")];
    ran(shell.args(["-c", &script]).current_dir(place.work()).env("HOME", place.home()).envs(env).output().unwrap())
        .ok();
    let script = format!("mv {path} moved; echo x > {path}; mkdir {path}; touch {path}/new; echo done");
    let out = sh(&place, &["--profile", "ci"], &script);
    let at = place.work().join(path);
    let written = at.join("new").exists() || std::fs::read(&at).is_ok_and(|text| text == b"x\n");
    assert!(out.out.contains("done") && !written && !out.err.contains("note:"), "{outside}: {path}: {out:#?}");
}

#[test]
fn an_index_is_read_in_each_of_its_formats() {
    need!(userns(), tools(&["git"]));
    let clone = "git clone -q ../other a/nested; touch a/b z; git add a z; git commit -qm n";
    let nested = format!("{OTHER}; {clone}");
    let more = "git -C a/nested commit -q --allow-empty -m y; git add a/nested";
    let again = "rm -rf .git; git init -q --object-format=sha256; git add .";
    for format in [
        "true".to_owned(),
        "git update-index --index-version 4".into(),
        "git add -N .envrc".into(),
        "git update-index --split-index".into(),
        format!("git update-index --split-index; {more}"),
        format!(
            "git update-index --index-version 4 --split-index; {more}; git rm -q --cached a/b; touch new; git add new"
        ),
        "git sparse-checkout set --cone --sparse-index a".into(),
        "mv .git ../apart; echo gitdir: ../apart > .git".into(),
        "git worktree add -q ../wt; rm -rf a".into(),
    ] {
        is_closed(&format!("{nested}; {format}"), "a/nested/.git");
    }
    // A file that a submodule took the place of.
    let file = format!(
        "{OTHER}; touch x; git add x; git commit -qm x; git update-index --split-index; rm x; git clone -q ../other x"
    );
    is_closed(&format!("{file}; git add x"), "x/.git");
    let other = "git init -q --object-format=sha256 -b main ../other; git -C ../other commit -q --allow-empty -m x";
    is_closed(&format!("{other}; {again}; {clone}"), "a/nested/.git");
    // A submodule of a submodule.
    let deep = "git init -q -b main ../deep; git -C ../deep commit -q --allow-empty -m x; git clone -q ../other a/nested; \
                git clone -q ../deep a/nested/deep; git -C a/nested add deep; git add a";
    is_closed(&format!("{OTHER}; {deep}"), "a/nested/deep/.git");
}

#[test]
fn what_is_not_found_for_certain_is_told() {
    need!(userns(), tools(&["git"]));
    for (path, text, note) in [
        (".git/index", "DIRC\0\0\0\x09\0\0\0\0aaaaaaaaaaaaaaaaaaaa", "is an index of git's that sbx cannot read"),
        (".gitmodules", "[submodule", ".gitmodules:1 is no line of git's configuration"),
    ] {
        let place = worktree();
        place.write(&format!("work/{path}"), text);
        let out = place.run(&["--profile", "ci", "--", "true"]);
        assert!(out.err.contains(note), "{path}: {out:#?}");
    }
    let place = worktree();
    // What a program may have made more than is looked at is an error, with the ways on.
    let names = (0..600).map(|number| format!("[submodule \"s{number}\"]\npath = s{number}\n")).collect::<String>();
    for (text, says) in
        [(names, "more than 500 paths"), ("[core]\n".repeat(200_000), ".gitmodules is larger than 1024 KiB")]
    {
        place.write("work/.gitmodules", &text);
        let refused = place.run(&["--profile", "ci", "--", "true"]).failed(125);
        assert!(refused.contains(says) && refused.contains("--overlay ."), "{refused}");
        place.run(&["--profile", "ci", "--overlay", ".", "--", "true"]).ok();
    }
}

#[test]
fn directories_that_a_program_makes_hide_no_repository() {
    need!(userns(), tools(&["git"]));
    let place = worktree();
    for name in ["a", "zz"] {
        git(&place, &["init", "-q", name]).ok();
    }
    sh(&place, &["--profile", "ci"], "mkdir $(seq 1000 2500)").ok();
    let out =
        sh(&place, &["--profile", "ci"], "for n in a zz; do echo x >> $n/.git/config && echo WROTE; done; echo done");
    assert!(out.out == "done\n" && !out.err.contains("note:"), "{out:#?}");
    sh(&place, &["--profile", "ci"], "for n in $(seq 1000 1600); do mkdir $n/.git; done").ok();
    let refused = place.run(&["--profile", "ci", "--", "true"]).failed(125);
    assert!(refused.contains("more than 500 paths") && refused.contains("--overlay ."), "{refused}");
}

#[test]
fn a_directory_that_a_program_closes_is_told_once() {
    need!(userns());
    let place = worktree();
    std::fs::create_dir_all(place.work().join("s/t")).unwrap();
    let mut command = place.command();
    command.current_dir(place.work().join("s/t"));
    let out = ran(command
        .args(["--profile", "ci", "--", "/bin/sh", "-c", "mkdir ../../.pijul; chmod 0 .."])
        .output()
        .unwrap());
    let shut = place.work().join("s");
    std::fs::set_permissions(&shut, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let told = format!("{} cannot be searched any more", shut.display());
    assert_eq!(out.err.matches("cannot be searched").count(), 1, "{out:#?}");
    assert!(out.err.contains(&told) && out.err.contains(".pijul was not there") && out.err.len() < 2000, "{out:#?}");
}

/// An index of version 4 with submodules: one whose name has this length, and others with the same name.
fn index(length: usize, count: usize) -> Vec<u8> {
    let entry = |name: &[u8]| {
        let fixed = [&[0; 24][..], &0o160_000_u32.to_be_bytes(), &[0; 32], &[0x0f, 0xff], &[0]].concat();
        [fixed, name.to_vec(), vec![0]].concat()
    };
    let head = [b"DIRC\0\0\0\x04", &(count as u32).to_be_bytes()[..]].concat();
    [head, entry(&vec![b'a'; length]), entry(b"").repeat(count - 1), vec![0; 20]].concat()
}

#[test]
fn what_a_start_reads_of_a_project_is_bounded() {
    need!(userns(), tools(&["git", "strace"]));
    // With what is there, whether it starts, and what it says. 400 MB of addresses are enough for all of it.
    let words = |from: usize, mark: &str| (0..90).map(|word| format!("w{from}{mark}{word} ")).collect::<String>();
    let aliases =
        |mark: &str| (0..900).map(|alias| format!("a{alias} = !{}\n", words(alias, mark))).collect::<String>();
    let again = "[include]\npath = config\n".repeat(6);
    let section = format!("[a \"{}\"]\n{}", "x".repeat(400_000), "a=1\n".repeat(100_000));
    let long = format!("[include]\npath = {}\n[core]\nhooksPath = {}\n", "i/".repeat(200_000), "h/".repeat(200_000));
    let unknown = "hold more than sbx reads before a start";
    for (path, text, starts, says) in [
        (".git/index", index(2_000_000, 200), true, "a name in it is longer than any path"),
        (".git/index", index(4000, 1_000_000), true, ""),
        (".git/config", again.clone().into(), true, ""),
        (".git/config", format!("[alias]\n{}{again}", aliases("/")).into(), false, "more than 500 paths"),
        (".git/config", format!("[alias]\n{}{again}", aliases("x")).into(), false, unknown),
        (".git/config", section.into(), true, ""),
        (".git/config", long.into(), true, ""),
        (".gitmodules", "[submodule \"a\"]\npath = a\n".repeat(40_000).into(), true, ""),
    ] {
        let place = worktree();
        std::fs::write(place.work().join(path), &text).unwrap();
        let calls = place.dir.path().join("calls");
        let mut command = place.command();
        let sbx = command.get_program().to_owned();
        command = Command::new("/bin/sh");
        let script = "ulimit -v 400000; exec strace -qq -f -c -o \"$0\" \"$@\"";
        command.args(["-c", script]).arg(&calls).arg(sbx).args(["--profile", "ci", "--timeout", "20s", "--", "true"]);
        command.current_dir(place.work()).env_clear().env("HOME", place.home()).env("PATH", "/usr/bin:/bin");
        let out = ran(command.output().unwrap());
        let what = format!("{path}: {:?}: {out:#?}", String::from_utf8_lossy(&text[..text.len().min(60)]));
        assert_eq!(out.status, Some(if starts { 0 } else { 125 }), "{what}");
        assert!(out.err.contains(says) && out.err.len() < 4000 && (says.is_empty() == out.err.is_empty()), "{what}");
        let calls = std::fs::read_to_string(calls).unwrap();
        let total = calls.lines().last().unwrap().split_whitespace().nth(2).unwrap().parse::<u32>().unwrap();
        assert!(total < 80_000, "{total}: {what}");
    }
    // Large files in repositories of the project's directory, and the ways on.
    let place = worktree();
    for dir in ["a", "b"] {
        git(&place, &["init", "-q", dir]).ok();
        let file = std::fs::File::create(place.work().join(dir).join(".git/index")).unwrap();
        file.set_len(100 << 20).unwrap();
    }
    let refused = place.run(&["--profile", "ci", "--", "true"]).failed(125);
    assert!(refused.contains(unknown) && refused.contains("--overlay .") && refused.contains("worktree"), "{refused}");
    place.run(&["--profile", "ci", "--overlay", ".", "--", "true"]).ok();
    place.run(&["--profile", "ci", "--rw", ".git", "--", "true"]).ok();
    place.run(&["--", "true"]).ok();
}

#[test]
fn a_submodule_is_found_by_the_repositorys_own_files_alone() {
    need!(userns(), tools(&["git"]));
    // Git takes core.worktree from the file itself, whatever that includes.
    is_closed(
        &format!(
            "{OTHER}; git clone -q ../other a/sub; git add a/sub; printf '[core]\nworktree = /nowhere\n' > .git/inc; git config include.path inc"
        ),
        "a/sub/.git",
    );
}

#[test]
fn hooks_that_the_users_own_configuration_names_are_closed_whether_they_are_there_or_not() {
    need!(userns(), tools(&["git"]));
    let hook = format!("{SCRIPT} > .myhooks/pre-commit; chmod +x .myhooks/pre-commit");
    for outside in [
        "printf '[core]\nhooksPath = .myhooks\n' > ~/.gitconfig-work; git config --global include.path '~/.gitconfig-work'",
        "printf '[core]\nhooksPath = .myhooks\n' > ~/.gitconfig-work; git config --global includeIf.gitdir:/.path .gitconfig-work",
        "git config --global core.hooksPath /WORK/.myhooks",
        "git config --global core.hooksPath './.myhooks'",
        "mkdir -p ~/.config/git; git config -f ~/.config/git/config core.hooksPath .myhooks",
        "git config extensions.worktreeConfig true; git config --worktree core.hooksPath .myhooks",
    ] {
        runs_nothing(&format!("mkdir .myhooks; {outside}"), &hook);
        // What comes into being is told.
        let place = worktree();
        let mut shell = Command::new("/bin/bash");
        let script = outside.replace("/WORK", place.work().to_str().unwrap());
        ran(shell.args(["-c", &script]).current_dir(place.work()).env("HOME", place.home()).output().unwrap()).ok();
        let out = place.run(&["--profile", "ci", "--", "mkdir", ".myhooks"]);
        assert!(out.err.contains(".myhooks was not there when the program started"), "{outside}: {out:#?}");
    }
    // The hooks lie in the top directory.
    let place = worktree();
    git(&place, &["config", "core.hooksPath", "."]).ok();
    let out = place.run(&["--profile", "ci", "--", "touch", "pre-commit"]);
    assert!(out.err.contains("pre-commit was not there"), "{out:#?}");
    // By variables, and for all users of the system.
    let system = place.write("home/system", "[core]\nhooksPath = .of-system\n").display().to_string();
    let global = place.write("home/global", "[core]\nhooksPath = .of-global\n").display().to_string();
    for (vars, made) in [
        (&[("GIT_CONFIG_SYSTEM", system.as_str())][..], ".of-system"),
        (&[("GIT_CONFIG_GLOBAL", &global)], ".of-global"),
        (&[("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "core.hooksPath"), ("GIT_CONFIG_VALUE_0", "vars")], "vars"),
        (&[("GIT_CONFIG_PARAMETERS", "'core.hooksPath'='.vars'")], ".vars"),
        (&[("GIT_SSH_COMMAND", "./ssh.sh -v")], "ssh.sh"),
    ] {
        let mut command = place.command();
        command.envs(vars.iter().copied()).args(["--profile", "ci", "--", "touch", made]);
        let out = ran(command.output().unwrap());
        assert!(out.err.contains(&format!("{made} was not there")), "{vars:?}: {out:#?}");
    }
}

#[test]
fn scripts_in_commands_of_the_configuration_are_closed() {
    need!(userns(), tools(&["git"]));
    for (config, path) in [
        ("git config alias.t '!$(git rev-parse --show-toplevel)/h.sh'", "h.sh"),
        ("git config core.fsmonitor '$PWD/tools/h.sh'", "tools/h.sh"),
        ("git config diff.x.textconv 'sh -c \"./h.sh\"'", "h.sh"),
        ("git config filter.x.clean '\"my tools/h.sh\" %f'", "'my tools/h.sh'"),
    ] {
        let outside = format!("mkdir -p tools 'my tools'; touch {path}; {config}");
        let place = worktree();
        let mut shell = Command::new("/bin/bash");
        ran(shell.args(["-c", &outside]).current_dir(place.work()).env("HOME", place.home()).output().unwrap()).ok();
        let out = sh(&place, &["--profile", "ci"], &format!("echo x >> {path} || echo refused"));
        assert_eq!(out.out, "refused\n", "{config}: {out:#?}");
    }
}

#[test]
fn other_working_copies_below_the_project_are_closed_as_it_is() {
    need!(userns(), tools(&["git"]));
    let add = "git worktree add -q .wt/f";
    is_closed(add, ".wt/f/.git");
    is_closed(
        &format!(
            "git config extensions.worktreeConfig true; {add}; git -C .wt/f config --worktree core.hooksPath .h; mkdir .wt/f/.h"
        ),
        ".wt/f/.h",
    );
    is_closed(&format!("{OTHER}; {add}; git clone -q ../other .wt/f/sub; git -C .wt/f add sub"), ".wt/f/sub/.git");
    let relative = format!("{add}; echo ../../../.wt/f/.git > .git/worktrees/f/gitdir");
    is_closed(&relative, ".wt/f/.git");
    is_closed("rm -rf .git; git init -q clone; git -C clone commit -q --allow-empty -m x", "clone/.git");
    is_closed(
        &format!("{OTHER}; rm -rf .git; git init -q c; git clone -q ../other c/sub; git -C c add sub"),
        "c/sub/.git",
    );
    // Where the current directory is a part of the project, or a project of its own in a repository.
    for marker in ["true", "touch part/.sbx.toml; echo 'schema = 1' > part/.sbx.toml"] {
        let place = worktree();
        let script = format!(
            "{OTHER}; mkdir -p part/hooks; {marker}; git clone -q ../other part/sub; git add part/sub; git config core.hooksPath part/hooks; git commit -qm x"
        );
        let mut shell = Command::new("/bin/bash");
        let script = format!("git() {{ command git -c user.name=x -c user.email=x \"$@\"; }}; {script}");
        ran(shell.args(["-c", &script]).current_dir(place.work()).env("HOME", place.home()).output().unwrap()).ok();
        let mine = place
            .write("p.toml", "schema = 1\nextends = [\"base/worktree\"]\n[filesystem.paths]\n\"${CWD}\" = \"rw\"\n");
        for profile in ["ci", mine.to_str().unwrap()] {
            let mut command = place.command();
            let script = "touch x && rm x && echo begun; touch hooks/x sub/.git/x";
            command.current_dir(place.work().join("part")).args([
                "-q",
                "--profile",
                profile,
                "--",
                "/bin/sh",
                "-c",
                script,
            ]);
            let out = ran(command.output().unwrap());
            assert_eq!(out.out, "begun\n", "{out:#?}");
            let made = ["hooks/x", "sub/.git/x"].map(|path| place.work().join("part").join(path).exists());
            assert_eq!(made, [false; 2], "{marker}: {profile}: {out:#?}");
        }
    }
}

/// A rule for a path, as `--set` and a project's file have it.
fn rule(path: &str, mode: &str) -> String {
    format!("filesystem.paths.\"{path}\"=\"{mode}\"")
}

#[test]
fn what_other_lines_say_of_the_current_directorys_own_opens_nothing_above_it_or_beside_it() {
    need!(userns(), tools(&["git"]));
    // The project's file, and flags.
    let strict = rule("${CWD}/.git", "masked,optional");
    let cases: [(String, Vec<&str>); 7] = [
        (String::new(), vec![]),
        (rule("${CWD}/sub/.git", "masked,optional"), vec![]),
        (rule("${PROJECT}/.git", "rw"), vec![]),
        ("assert.cannot_read = [\"${CWD}/.git\"]".into(), vec![]),
        (String::new(), vec!["--set", &strict]),
        (String::new(), vec!["--rw", ".git,optional"]),
        (String::new(), vec!["--rw", ".."]),
    ];
    for profile in PROFILES {
        for (project, flags) in &cases {
            let place = worktree();
            place.write("work/sub/file", "");
            place.write("work/.sbx.toml", &format!("schema = 1\n{project}\n"));
            for (dir, top) in [("sub", ".."), (".", ".")] {
                if dir == "." && flags.contains(&"--rw") {
                    continue;
                }
                let mut command = place.command();
                let script =
                    format!("git config --file {top}/.git/config x.y z; touch {top}/.git/new {top}/.vscode/new");
                command.current_dir(place.work().join(dir)).args(["-q", "--profile", profile]).args(flags);
                let out = ran(command.args(["--", "/bin/sh", "-c", &script]).output().unwrap());
                let config = std::fs::read_to_string(place.work().join(".git/config")).unwrap();
                let made = [".git/new", ".vscode/new"].iter().any(|path| place.work().join(path).exists());
                assert!(!config.contains("[x]") && !made, "{profile}: {project:?} {flags:?} in {dir}: {out:#?}");
            }
        }
    }
    // What the configuration of git names stays closed whatever covers the repository.
    let outside = "mkdir -p tools/hooks && git config core.hooksPath tools/hooks";
    for (project, flags) in [(rule("${CWD}/.git", "masked"), vec![]), (String::new(), vec!["--set", &strict])] {
        let place = worktree();
        let mut shell = Command::new("/bin/sh");
        ran(shell.args(["-c", outside]).current_dir(place.work()).env("HOME", place.home()).output().unwrap()).ok();
        place.write("work/.sbx.toml", &format!("schema = 1\n{project}\n"));
        let out = sh(&place, &[&["--profile", "ci"][..], &flags].concat(), "touch tools/hooks/pre-commit; touch done");
        assert!(place.work().join("done").exists(), "{project} {flags:?}: {out:?}");
        assert!(!place.work().join("tools/hooks/pre-commit").exists(), "{project} {flags:?}: {out:?}");
    }
}

#[test]
fn a_bare_repository_and_names_of_other_tools_do_not_come_into_being_unseen() {
    need!(userns(), tools(&["git"]));
    let place = Place::new();
    let names = "HEAD rust-toolchain.toml .cargo mise.local.toml .mise .helix .exrc .nvim.lua .yarnrc.yml .devcontainer lefthook.yml .codex .gemini \
                 .sl _darcs .pijul .npmrc .mvn .opencode opencode.json opencode.jsonc .aider.conf.yml .windsurf .kiro .qwen .continue .amazonq .vimrc \
                 .gvimrc .lvimrc .dir-locals.el .Rprofile .Renviron .ghci .octaverc .irbrc .pryrc .iex.exs .pdbrc .gdbinit .lldbinit";
    let out = place.run(&["--profile", "ci", "--", "/bin/sh", "-c", &format!("mkdir {names}")]);
    for name in names.split(' ') {
        let note = format!("{} was not there when the program started", place.work().join(name).display());
        assert!(out.err.contains(&note), "{name}: {out:#?}");
    }
}

/// Each name that `base/worktree` closes, but for those that lie in another one.
fn names() -> Vec<&'static str> {
    let all: Vec<_> = sbx::profile::load::worktree().collect();
    let inner = |name: &str| all.iter().any(|other| name.strip_prefix(other).is_some_and(|rest| rest.starts_with('/')));
    all.iter().filter(|name| !inner(name)).copied().collect()
}

#[test]
fn each_name_of_the_list_is_closed_if_it_is_there_and_told_if_it_comes() {
    need!(userns(), tools(&["git"]));
    let script = |names: &[&str], from: &str| {
        let make = |name: &&str| {
            let path = std::path::Path::new(from).join(name);
            let (dir, path) = (path.parent().unwrap().display(), path.display());
            format!("mkdir -p ./{dir}; echo x > {path} && echo WROTE {path}\n")
        };
        names.iter().map(make).collect::<String>()
    };
    let names = names();
    assert!(names.len() > 215, "{}", names.len());
    for (profile, from, cwd) in [("ci", "", "work"), ("shell", "..", "work/sub")] {
        let place = worktree();
        place.write("work/sub/file", "");
        for name in names.iter().filter(|name| **name != ".git") {
            let _ = std::fs::remove_dir_all(place.work().join(name));
            place.write(&format!("work/{name}"), "");
        }
        // It would be a file of sbx's own.
        place.write("work/.sbx.toml", "schema = 1\n");
        let run = |place: &Place| {
            let mut command = place.command();
            command.current_dir(place.dir.path().join(cwd)).args(["--profile", profile, "--", "/bin/sh", "-c"]);
            ran(command.arg(script(&names, from)).output().unwrap())
        };
        let closed = run(&place);
        assert_eq!(closed.out, "", "{profile}: {closed:#?}");
        let place = Place::new();
        place.write("work/go.work", "");
        place.write("work/sub/file", "");
        place.write("work/tools/other", "");
        let made = run(&place);
        assert_eq!(made.out.lines().count(), names.len(), "{profile}: {made:#?}");
        for name in &names {
            let note = format!("note: {} was not there when the program started", place.work().join(name).display());
            assert_eq!(made.err.matches(&note).count(), 1, "{profile}: {name}: {made:#?}");
            assert!(made.err.contains("(built-in:base/worktree:"), "{made:#?}");
        }
    }
}

#[test]
fn what_another_line_says_of_a_name_that_is_not_there_counts() {
    need!(userns());
    let place = Place::new();
    for dir in ["work", "${CWD}", "${PROJECT}"] {
        let path = dir.replace("work", place.work().to_str().unwrap());
        let masked = place.run(&["--profile", "ci", "--set", &rule(&format!("{path}/.envrc"), "masked"), "--", "true"]);
        assert!(masked.failed(125).contains(".envrc: there is no such file"), "{dir}");
        let tmpfs = rule(&format!("{path}/.vscode"), "tmpfs,optional");
        let said = place.run(&["--profile", "ci", "--set", &tmpfs, "--", "true"]).failed(125);
        assert!(said.contains(".vscode"), "{dir}: {said}");
        let create = rule(&format!("{path}/.zed"), "rw,create");
        place.run(&["--profile", "ci", "--set", &create, "--", "touch", ".zed/x"]).ok();
        std::fs::remove_dir_all(place.work().join(".zed")).unwrap();
    }
    // Without the project's directory, nothing of it is told.
    let mine = place
        .write("p.toml", "schema = 1\nextends = [\"base/worktree\"]\n[filesystem.paths]\n\"/mnt/x\" = \"tmpfs\"\n");
    std::fs::create_dir(place.work().join(".mise")).unwrap();
    assert_eq!(place.run(&["--profile", mine.to_str().unwrap(), "--", "true"]).err, "");
}

#[test]
fn a_closed_directory_is_one_note_whatever_is_left_out_of_it() {
    need!(userns());
    let place = Place::new();
    for (dir, profile) in [("home/.ssh", "ci"), ("home/.ssh/sub", "ci"), ("home/.ssh/sub", "shell"), ("home", "ci")] {
        let dir = place.dir.path().join(dir);
        std::fs::create_dir_all(&dir).unwrap();
        let out = ran(place.command().current_dir(&dir).args(["--profile", profile, "--", "true"]).output().unwrap());
        let notes = out.err.lines().filter(|line| line.contains("is not shown inside")).count();
        assert_eq!(notes, 1, "{profile}: {out:#?}");
    }
}

#[test]
fn the_profile_of_a_run_is_not_rewritten_by_it() {
    need!(userns());
    let place = Place::new();
    place.write("home/secret", "secret\n");
    place.write("work/base.toml", "schema = 1\nextends = [\"ci\"]\n");
    place.write("work/mine.toml", "schema = 1\nextends = [\"./base.toml\"]\n");
    let evil = "echo 'filesystem.paths = { \"~/secret\" = \"ro\" }'";
    for profile in ["./mine.toml", "mine.toml", "../work/mine.toml"] {
        let script =
            format!("for f in mine base; do {evil} >> $f.toml; mv $f.toml x; rm -f $f.toml; done; cat ~/secret");
        for _ in 0..2 {
            let out = place.sh(&["-q", "--profile", profile], &script);
            assert_eq!(out.out, "", "{profile}: {out:#?}");
        }
    }
    // Nor does a line of a project's file make it writable.
    place.write("work/.sbx.toml", "schema = 1\n[filesystem.paths]\n\"${CWD}/mine.toml\" = \"rw\"\n");
    let out = place.sh(&["-q", "--profile", "mine.toml"], &format!("{evil} >> mine.toml"));
    assert!(out.status == Some(125) && out.err.contains("cannot make it `rw`"), "{out:?}");
    std::fs::remove_file(place.work().join(".sbx.toml")).unwrap();
    std::fs::rename(place.work().join("mine.toml"), place.home().join("mine.toml")).unwrap();
    std::os::unix::fs::symlink("../home/mine.toml", place.work().join("mine.toml")).unwrap();
    place.write("home/base.toml", "schema = 1\nextends = [\"ci\"]\n");
    let refused = place.sh(&["--profile", "mine.toml"], "true").failed(125);
    assert!(refused.contains("mine.toml") && refused.contains("link"), "{refused}");
}

#[test]
fn what_is_replaced_on_the_host_while_it_runs_is_told_to_be_open() {
    need!(userns());
    let place = Place::new();
    for name in [".env", ".envrc", "other", "sec/key"] {
        place.write(&format!("work/{name}"), "OLD");
    }
    place.write(
        "work/.sbx.toml",
        "schema = 1\n[filesystem.paths]\n\"${CWD}/.env\" = \"deny\"\n\"${CWD}/sec\" = \"masked\"\n",
    );
    let replace = |name: &str| {
        place.write(&format!("work/{name}.new"), "NEW");
        std::fs::rename(place.work().join(format!("{name}.new")), place.work().join(name)).unwrap();
    };
    let run = |replaced: &dyn Fn()| {
        let script = "touch begun; while [ ! -e go ]; do sleep 0.05; done; cat .env; true";
        let child = place
            .command()
            .args(["run", "--profile", "ci", "--", "sh", "-c", script])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        until(|| place.work().join("begun").exists());
        replaced();
        place.write("work/go", "");
        let ran = ran(child.wait_with_output().unwrap());
        for name in ["go", "begun"] {
            std::fs::remove_file(place.work().join(name)).unwrap();
        }
        ran
    };
    let quiet = run(&|| replace("other"));
    assert!(!quiet.err.contains("was replaced"), "{quiet:?}");
    let told = run(&|| {
        replace(".env");
        replace(".envrc");
        std::fs::rename(place.work().join("sec"), place.work().join("old")).unwrap();
    });
    // Moved, a directory takes its mount along.
    for (name, told_of) in [(".env ", true), (".envrc ", true), ("sec ", false), ("other ", false)] {
        let there = told.err.contains(&format!("/{name}was replaced on the host"));
        assert_eq!(there, told_of, "{name}: {told:?}");
    }
    assert!(told.err.contains(".sbx.toml:3)"), "{told:?}");
}

#[test]
fn links_on_the_way_to_a_profile_are_refused() {
    need!(userns());
    for (link, base) in [("l1", "ci"), ("../l1", "ci"), ("l1", "./cur/b.toml")] {
        let place = Place::new();
        let dir = if link == "l1" { "work/l1" } else { "l1" };
        let text = |base: &str| format!("schema = 1\nextends = [\"{base}\"]\n");
        place.write(&format!("{dir}/p.toml"), &text("ci"));
        place.write(&format!("{dir}/b.toml"), &text("ci"));
        place.write("work/p.toml", &text(base));
        std::os::unix::fs::symlink(link, place.work().join("cur")).unwrap();
        let profile = if base == "ci" { "cur/p.toml" } else { "./p.toml" };
        let refused = place.sh(&["--profile", profile], "rm cur && mkdir cur && echo REPLACED").failed(125);
        assert!(refused.contains("work/cur") && refused.contains("link"), "{link}: {base}: {refused}");
    }
}

#[test]
fn what_links_in_closed_directories_lead_to_is_read_only() {
    need!(userns());
    for (profile, cwd) in [("ci", "work"), ("shell", "work/sub")] {
        let place = Place::new();
        place.write("work/go.work", "");
        place.write("work/sub/free", "");
        let links = [
            (".vscode/tasks.json", "../cfg/a"),
            (".claude/skills/one/SKILL.md", "../../../cfg/b"),
            (".husky/pre-commit", "../cfg/c"),
            (".cargo/config.toml", "../cfg/d"),
            (".direnv/lib", "../cfg/dir"),
            (".config/mise/conf.d/x.toml", "../../../cfg/e"),
            (".hg/hgrc", "../cfg/f"),
        ];
        for name in ["a", "b", "c", "d", "dir/file", "e", "f"] {
            place.write(&format!("work/cfg/{name}"), "");
        }
        for (link, to) in links {
            let link = place.work().join(link);
            std::fs::create_dir_all(link.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(to, &link).unwrap();
        }
        let cfg = place.work().join("cfg").display().to_string();
        let script =
            format!("for f in a b c d dir/file e f; do echo x > {cfg}/$f && echo $f; done; touch {cfg}/g && echo free");
        let mut command = place.command();
        command.current_dir(place.dir.path().join(cwd)).args(["--profile", profile, "--", "/bin/sh", "-c", &script]);
        let out = ran(command.output().unwrap());
        assert_eq!(out.out, "free\n", "{profile}: {out:#?}");
        let path = format!("{cfg}/a");
        let opened = place.sh(&["--profile", profile, "--rw", &path], "echo x > cfg/a && echo opened");
        assert_eq!(opened.out, "opened\n", "{profile}: {opened:#?}");
    }
}

/// The value of the first `--set '...'` of an error.
fn pasted(err: &str) -> String {
    let (_, rest) = err.split_once("--set '").expect(err);
    rest.split_once('\'').expect(err).0.to_owned()
}

#[test]
fn a_link_at_a_name_that_is_closed_is_refused_with_a_flag_that_can_be_pasted() {
    need!(userns(), tools(&["git"]));
    let place = Place::new();
    place.write("work/proj/file", "text");
    std::fs::create_dir_all(place.dir.path().join("outside")).unwrap();
    std::fs::create_dir(place.work().join("inside")).unwrap();
    let outside = place.dir.path().join("outside");
    for profile in PROFILES {
        for (name, to) in [(".git", outside.as_path()), (".vscode", std::path::Path::new("inside"))] {
            let link = place.work().join(name);
            std::os::unix::fs::symlink(to, &link).unwrap();
            let err = place.run(&["--profile", profile, "--", "true"]).failed(125);
            assert!(err.contains("something else in the link's place"), "{err}");
            let flag = pasted(&err);
            assert_eq!(flag, format!("filesystem.paths.\"{}\"=\"ro,prefer\"", link.display()));
            let run = place.run(&["--profile", profile, "--set", &flag, "--", "true"]);
            assert_eq!(run.status, Some(0), "{run:#?}");
            assert!(run.err.contains(&format!("{} is not `ro`", link.display())), "{run:#?}");
            if let Some((_, target)) = err.split_once("is shown by: --ro ") {
                let target = target.lines().next().unwrap();
                assert_eq!(std::path::Path::new(target), to);
                let script = format!("ls {name}/ && ! touch {name}/x 2>/dev/null");
                place
                    .run(&["-q", "--profile", profile, "--set", &flag, "--ro", target, "--", "sh", "-c", &script])
                    .ok();
            }
            std::fs::remove_file(&link).unwrap();
        }
    }
}

#[test]
fn a_link_that_leads_nowhere_is_as_good_as_none_and_what_becomes_of_it_is_told() {
    need!(userns());
    let place = Place::new();
    let link = place.work().join(".envrc");
    for to in ["nowhere", "/nonexistent/file"] {
        let script = |script: &str| {
            let _ = std::fs::remove_file(&link);
            std::os::unix::fs::symlink(to, &link).unwrap();
            let run = place.sh(&["--profile", "ci"], script);
            assert_eq!(run.status, Some(0), "{run:#?}");
            run.err
        };
        assert_eq!(script("true"), "");
        for change in ["rm .envrc; echo x > .envrc", "ln -sfn file .envrc", "ln -sfn / .envrc"] {
            assert!(script(change).contains(".envrc was not there when the program started"), "{change}");
        }
    }
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    let run = place.sh(&["--profile", "ci"], "echo x > nowhere");
    assert!(run.err.contains(".envrc was not there when the program started"), "{run:#?}");
}
