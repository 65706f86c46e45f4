//! Variables of the caller's that name code in what the program may write to: an activated virtual environment, `node_modules/.bin`, BASH_ENV.

mod common;

use common::{Place, Ran, ran, tick, userns};
use std::os::unix::fs::symlink;

/// Runs a script in the current directory under a profile, with these variables.
fn run(place: &Place, flags: &[&str], variables: &[(&str, String)], script: &str) -> Ran {
    let mut command = place.command();
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    ran(command.args(flags).args(["--", "/bin/sh", "-c", script]).output().unwrap())
}

/// A PATH with directories of the place before the system's.
fn path(place: &Place, dirs: &[&str]) -> (&'static str, String) {
    let dirs = dirs.iter().map(|dir| place.dir.path().join(dir).display().to_string() + ":");
    ("PATH", dirs.collect::<String>() + "/usr/bin:/bin")
}

#[test]
fn what_a_program_leaves_in_a_directory_that_path_names_is_told() {
    need!(userns());
    for (dir, flags) in [
        ("work/.venv/bin", &["--profile", "ci"][..]),
        ("home/tools", &["--rw", "~/tools"]),
        ("link", &["--profile", "ci"]),
    ] {
        let place = Place::new();
        for dir in ["work/.venv/bin", "home/tools"] {
            place.write(&format!("{dir}/old"), "#!/bin/sh\n");
            place.write(&format!("{dir}/sub/x"), "");
        }
        symlink(place.work().join(".venv/bin"), place.dir.path().join("link")).unwrap();
        let real = if dir == "link" { "work/.venv/bin" } else { dir };
        let inside = place.dir.path().join(real).display().to_string();
        let variables = [path(&place, &[dir])];
        let run = |script: &str| run(&place, flags, &variables, &script.replace("DIR", &inside));
        let quiet = run("cat DIR/old; touch DIR/sub/y");
        assert!(quiet.status == Some(0) && quiet.err.is_empty(), "{dir}: {quiet:?}");
        for (script, names) in [
            ("echo x > DIR/ls", "ls is"),
            ("echo x >> DIR/old", "old is"),
            ("echo x > DIR/../z; mv DIR/../z DIR/git; ln -s /bin/true DIR/cp", "cp, git are"),
            ("touch -d 2001-01-01 DIR/older", "older is"),
            ("mkdir DIR/new; for n in 1 2 3 4 5 6 7; do echo > DIR/a$n; done", "a1, a2, a3, a4, a5 and 3 more are"),
        ] {
            let out = run(script);
            let told = format!(
                "in {inside}, {names} new or changed since the program started: PATH outside names this directory"
            );
            assert!(out.status == Some(0) && out.err.contains(&told), "{dir} {script}: {out:?}");
        }
        let out = run("chmod 0 DIR");
        std::process::Command::new("chmod").args(["700", &inside]).status().unwrap();
        assert!(out.err.contains("cannot be read any more"), "{out:?}");
        if real != "home/tools" {
            let out = run("mv DIR DIR.old; mkdir DIR; echo x > DIR/ls");
            assert!(out.err.contains("is another directory than when the program started"), "{out:?}");
        }
    }
}

#[test]
fn directories_that_come_into_being_or_are_named_otherwise_are_told() {
    need!(userns());
    let place = Place::new();
    place.write("work/.venv/lib/python3.11/site-packages/a.py", "");
    let named = |name: &'static str, value: &str| [(name, value.replace("WORK", &place.work().display().to_string()))];
    for (variables, script, told) in [
        (
            named("PATH", "./node_modules/.bin:/usr/bin:/bin"),
            "mkdir -p node_modules/.bin; echo > node_modules/.bin/ls",
            "/node_modules/.bin, ls is",
        ),
        (named("PYTHONPATH", "WORK/src"), "mkdir src; echo > src/os.py", "/src, os.py is"),
        (named("PYTHONPATH", "src:"), "mkdir json", "/work, json is"),
        (named("LD_LIBRARY_PATH", "WORK/target"), "mkdir target; echo > target/libx.so", "/target, libx.so is"),
        (
            named("VIRTUAL_ENV", "WORK/.venv"),
            "echo > .venv/lib/python3.11/site-packages/x.pth",
            "/site-packages, x.pth is",
        ),
    ] {
        let out = run(&place, &["--profile", "ci"], &variables, script);
        assert!(out.status == Some(0) && out.err.contains(told), "{variables:?}: {out:?}");
        let quiet = run(&place, &["-q", "--profile", "ci"], &variables, "echo > new; mkdir -p src; echo > src/new");
        assert_eq!(quiet.err, "", "{variables:?}");
    }
    // What a program has shut is not taken for what is not there.
    let variables = named("VIRTUAL_ENV", "WORK/.venv");
    let shut = run(&place, &["--profile", "ci"], &variables, "chmod 0 .venv/lib");
    let site = "chmod 755 .venv/lib; echo x > .venv/lib/python3.11/site-packages/sitecustomize.py";
    let out = run(&place, &["--profile", "ci"], &variables, site);
    assert!(shut.err.contains("cannot be") && out.status == Some(0), "{shut:?} {out:?}");
    assert!(out.err.contains("/.venv/lib, python3.11 is new or changed"), "{out:?}");
    // Nothing is told of what is read-only or not shown, nor of changes that stay in a layer.
    let variables = [path(&place, &["work/.venv/bin"])];
    for flags in [
        &["--profile", "default"][..],
        &["--profile", "ci", "--ro", ".venv"],
        &["--overlay", "."],
        &["--profile", "ci", "--tmpfs", ".venv"],
    ] {
        let out = run(&place, flags, &variables, "mkdir -p .venv/bin && echo > .venv/bin/ls; true");
        assert!(!out.err.contains("new or changed"), "{flags:?}: {out:?}");
    }
    // Somebody who watches is told at the start, too, and how to close it.
    let mut command = place.command();
    command.envs(variables).args(["plan", "--profile", "ci", "--", "/bin/true"]);
    let plan = ran(command.output().unwrap()).ok();
    let dir = place.work().join(".venv/bin").display().to_string();
    assert!(plan.contains(&format!("searched for code outside: {dir} (PATH)")), "{plan}");
}

#[test]
fn files_that_variables_name_as_code_are_read_only() {
    need!(userns());
    let place = Place::new();
    for file in ["env.sh", "editor", "pre.so", "hook.js", "zsh/.zshrc", "mine"] {
        place.write(&format!("work/{file}"), "old");
    }
    let work = place.work().display().to_string();
    for (name, value, file) in [
        ("BASH_ENV", "WORK/env.sh", "env.sh"),
        ("ENV", "env.sh", "env.sh"),
        ("EDITOR", "WORK/editor --wait", "editor"),
        ("LD_PRELOAD", "WORK/pre.so", "pre.so"),
        ("NODE_OPTIONS", "--require ./hook.js", "hook.js"),
        ("ZDOTDIR", "WORK/zsh", "zsh/.zshrc"),
    ] {
        let script = format!("echo x > {file} && echo written; mv {file} gone && echo moved; touch {file}.new");
        let variables = [(name, value.replace("WORK", &work))];
        let out = run(&place, &["--profile", "ci"], &variables, &script);
        assert!(out.out.is_empty(), "{name}: {out:?}");
        let plan = run(&place, &["plan", "--profile", "ci"], &variables, "true").ok();
        // What git would run is closed with all else that git runs.
        let by_git = name == "EDITOR" && plan.contains(&format!("{work}/{file}\n"));
        let said = plan.contains("read-only inside, since variables outside name code there");
        assert!(said || by_git, "{name}: {plan}");
        assert_eq!(std::fs::read_to_string(place.work().join(file)).unwrap(), "old", "{name}");
        let _ = std::fs::remove_file(place.work().join(format!("{file}.new")));
    }
    // A line that names it opens it, and a file that is not there is told when it is made.
    let variables = [("BASH_ENV", format!("{work}/mine"))];
    let mine = format!("{work}/mine");
    run(&place, &["--profile", "ci", "--rw", &mine], &variables, "echo x > mine").ok();
    let out = run(&place, &["--profile", "ci"], &[("BASH_ENV", format!("{work}/later"))], "echo x > later");
    assert!(out.err.contains("/later was not there when the program started"), "{out:?}");
    // What a command works on is not its code.
    run(&place, &["--profile", "ci"], &[("FZF_DEFAULT_COMMAND", format!("find {work}"))], "echo x > fine").ok();
}

#[test]
fn links_on_the_way_to_what_variables_name_are_closed_or_watched() {
    need!(userns());
    let place = Place::new();
    let work = place.work().display().to_string();
    place.on_host(
        "mkdir e1 n v1 v2 py; : > e1/env.sh; : > n/a.js; echo x > v2/ls; ln -s e1 cur; ln -s n nn; ln -s v1 bin; ln -s /usr/bin/env py/python",
    );
    // A file: a link that the program could replace is an error.
    for (name, value) in
        [("BASH_ENV", "WORK/cur/env.sh"), ("NODE_OPTIONS", "--require WORK/nn/a.js"), ("BASH_ENV", "$PWD/cur/env.sh")]
    {
        let variables = [(name, value.replace("WORK", &work))];
        let out = run(&place, &["--profile", "ci"], &variables, "rm -f cur nn; mkdir cur nn").failed(125);
        assert!(out.contains("which is writable: the program can put something else in its place"), "{name}: {out}");
    }
    // A command that leads out of there, as to the Python of a virtual environment, is told.
    let variables = [("PYTHON", format!("{work}/py/python"))];
    let out = run(&place, &["--profile", "ci"], &variables, "true");
    assert!(out.status == Some(0) && out.err.is_empty(), "{out:?}");
    let out = run(&place, &["--profile", "ci"], &variables, "rm py/python; cp /bin/true py/python");
    assert!(out.err.contains("/py/python is another file than when the program started: PYTHON outside"), "{out:?}");
    // A directory of code.
    tick();
    for (name, value) in [("PATH", format!("{work}/bin:/usr/bin:/bin")), ("PYTHONPATH", format!("{work}/bin"))] {
        let out = run(&place, &["--profile", "ci"], &[(name, value)], "rm bin; ln -s v2 bin");
        assert!(out.err.contains("/bin is another directory than when the program started"), "{name}: {out:?}");
        place.on_host("rm bin; ln -s v1 bin");
    }
}

#[test]
fn what_links_in_a_directory_of_code_lead_to_and_what_is_moved_into_place_is_told() {
    need!(userns());
    let place = Place::new();
    place.write("work/node_modules/eslint/bin/eslint.js", "old");
    place.write("work/node_modules/other/bin/eslint.js", "other");
    place.write("work/stash/git", "x");
    let bin = place.work().join("node_modules/.bin");
    std::fs::create_dir(&bin).unwrap();
    symlink("../eslint/bin/eslint.js", bin.join("eslint")).unwrap();
    tick();
    let variables = [path(&place, &["work/node_modules/.bin", "work/tools"])];
    let run = |script: &str| run(&place, &["--profile", "ci"], &variables, script);
    assert_eq!(run("cat node_modules/.bin/eslint; touch node_modules/eslint/x").err, "");
    let told = "/node_modules/.bin, eslint is new or changed";
    for script in [
        "echo x >> node_modules/eslint/bin/eslint.js",
        "mv node_modules/eslint node_modules/gone; mv node_modules/other node_modules/eslint",
    ] {
        let out = run(script);
        assert!(out.err.contains(told), "{script}: {out:?}");
        assert_eq!(run("true").err, "");
    }
    let out = run("mv stash tools");
    assert!(out.err.contains("/tools, git is new or changed"), "{out:?}");
}

#[test]
fn what_is_shown_twice_is_closed_in_both_places() {
    need!(userns());
    let place = Place::new();
    place.write("home/dot/sub/env.sh", "");
    place.write("home/dot/sub/bashrc", "");
    symlink("dot/sub/bashrc", place.home().join(".bashrc")).unwrap();
    let dot = place.home().join("dot").display().to_string();
    let variables = [("BASH_ENV", format!("{dot}/sub/env.sh"))];
    let flags = ["-q", "--rw", &dot, "--rw", "/q", "--from", &dot];
    let script =
        format!("for f in env.sh bashrc; do echo x >> {dot}/sub/$f; echo x >> /q/sub/$f; done; touch /q/sub/new");
    let out = run(&place, &flags, &variables, &script);
    assert!(place.home().join("dot/sub/new").exists(), "{out:?}");
    for name in ["env.sh", "bashrc"] {
        let text = std::fs::read_to_string(place.home().join("dot/sub").join(name)).unwrap();
        assert_eq!(text, "", "{name}: {out:?}");
    }
}

#[test]
fn an_activated_virtual_environment_that_is_a_link_does_not_keep_ci_from_starting() {
    need!(userns());
    let place = Place::new();
    place.write("work/go.work", "");
    place.write("envs/x/bin/python", "");
    for file in ["HEAD", "objects/x", "refs/x"] {
        place.write(&format!("work/.git/{file}"), "ref: refs/heads/main\n");
    }
    symlink(place.dir.path().join("envs/x"), place.work().join(".venv")).unwrap();
    let out = run(&place, &["--profile", "ci"], &[path(&place, &["work/.venv/bin"])], "echo done");
    assert!(out.out == "done\n", "{out:?}");
    // One that has a git, which reads a configuration there, is refused.
    place.write("envs/x/bin/git", "");
    let out = run(&place, &["--profile", "ci"], &[path(&place, &["work/.venv/bin"])], "echo done");
    assert!(out.failed(125).contains(".venv is a link"));
}

#[test]
fn lists_of_archives_and_lists_with_semicolons_are_watched() {
    need!(userns());
    let place = Place::new();
    place.write("work/lib/a.jar", "");
    place.write("work/b/x.so", "");
    let work = place.work().display().to_string();
    for (variable, value, made) in [
        ("CLASSPATH", format!("{work}/lib/*"), "lib/b.jar"),
        ("LD_LIBRARY_PATH", format!("/usr/lib;{work}/b"), "b/libc.so.6x"),
    ] {
        let out = run(&place, &["--profile", "ci"], &[(variable, value)], &format!("echo x > {made}"));
        assert!(out.err.contains(&format!("{variable} outside names this directory")), "{out:?}");
    }
}
