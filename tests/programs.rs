//! Which profile, program and files a command line means.

mod common;

use common::network::programs;
use common::{Place, tun, userns};

/// A profile of the user's, in a place's home.
fn profile(place: &Place, name: &str, text: &str) {
    place.write(&format!("home/.config/sbx/profiles/{name}.toml"), text);
}

#[test]
fn a_program_runs_under_the_profile_that_names_it() {
    need!(userns());
    let place = Place::new();
    profile(
        &place,
        "greeter",
        "schema = 1\nextends = [\"default\"]\n[profile]\nprograms = [\"sh\"]\n[process]\nenv = { GREETING = \"hello\" }\n",
    );
    let script = ["sh", "-c", "echo ${GREETING-none}"];
    assert_eq!(place.run(&script).ok(), "hello\n");
    assert_eq!(place.run(&["/bin/sh", "-c", "echo ${GREETING-none}"]).ok(), "hello\n");
    assert_eq!(place.run(&["--profile", "default", "sh", "-c", "echo ${GREETING-none}"]).ok(), "none\n");
    assert!(place.run(&["plan", "sh"]).ok().contains("sh runs under the profile `greeter`"));
    // A file of that name that came from somewhere is not the installed program.
    let own = place.write("work/sh", "#!/bin/sh\necho ${GREETING-none}\n");
    std::fs::set_permissions(own, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(place.run(&["./sh"]).ok(), "none\n");
}

#[test]
fn only_a_terminal_is_told_which_profile_was_chosen() {
    need!(userns());
    let place = Place::new();
    profile(&place, "mine", "schema = 1\nextends = [\"default\"]\nprofile.programs = [\"true\"]\n");
    let ran = place.run(&["true"]);
    assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (Some(0), "", ""));
}

#[test]
fn what_is_no_program_goes_to_the_program_of_the_profile() {
    need!(userns());
    let place = Place::new();
    profile(&place, "teller", "schema = 1\nextends = [\"default\"]\n[process]\nargs = [\"echo\", \"says\"]\n");
    let run = |words: &[&str]| place.run(&[&["--profile", "teller"], words].concat()).ok();
    assert_eq!(run(&[]), "says\n");
    assert_eq!(run(&["https://example.com", "x"]), "says https://example.com x\n");
    assert_eq!(run(&["--", "--flag"]), "says --flag\n");
    assert_eq!(run(&["printf", "%s\\n", "other"]), "other\n");
    assert_eq!(run(&["--", "/usr/bin/printf", "path\\n"]), "path\n");
}

#[test]
fn files_named_as_arguments_are_told_or_shown() {
    need!(userns());
    let place = Place::new();
    place.write("home/letter.txt", "dear\n");
    place.write("work/here.txt", "here\n");
    let letter = place.home().join("letter.txt");
    let letter = letter.to_str().unwrap();
    let hidden = place.run(&["cat", letter, "here.txt"]);
    assert_eq!(hidden.out, "here\n");
    assert!(hidden.err.contains(&format!("{letter} is not shown inside: --open shows files")), "{hidden:?}");
    assert!(!hidden.err.contains("here.txt"), "{hidden:?}");
    let shown = place.run(&[
        "--open",
        "sh",
        "-c",
        "cat \"$1\"; ls ~; echo x 2>/dev/null >> \"$1\" || echo read-only",
        "sh",
        letter,
    ]);
    assert_eq!((shown.out.as_str(), shown.err.as_str()), ("dear\nletter.txt\nread-only\n", ""));
    assert_eq!(place.run(&["-q", "--profile", "viewer", "--", "cat", letter]).ok(), "dear\n");
    // What the view has itself is meant as it is, and so is what the user has masked.
    assert_eq!(place.run(&["ls", "/tmp", "/dev/null"]).err, "");
    let masked = place.run(&["--open", "--hide", letter, "cat", letter]);
    assert!(masked.out.is_empty() && masked.status != Some(0), "{masked:?}");
}

#[test]
fn what_is_there_in_part_is_there() {
    need!(userns());
    let place = Place::new();
    for dir in ["/", "/home", "/run"] {
        let out = place.run(&["--", "/bin/ls", dir]);
        assert!(out.status == Some(0) && !out.err.contains("is not shown"), "{dir}: {out:?}");
    }
}

#[test]
fn a_program_that_starts_elsewhere_is_looked_for_there() {
    need!(userns());
    let place = Place::new();
    place.write("work/tool", "#!/bin/sh\n");
    let out = place.run(&["--set", "process.cwd=\"/usr\"", "--", "./tool"]);
    let error = out.failed(127);
    assert!(error.contains("the program starts in /usr: name it by its whole path"), "{error}");
}

/// Runs a script outside of a sandbox, in this directory.
fn outside(place: &Place, dir: &std::path::Path, script: &str) -> common::Ran {
    let mut command = std::process::Command::new("/bin/bash");
    command.args(["-c", script]).current_dir(dir).env_clear().env("HOME", place.home()).env("PATH", "/usr/bin:/bin");
    common::ran(command.output().unwrap())
}

#[test]
fn a_closed_pipe_is_a_signal_or_an_error_as_the_caller_has_it() {
    need!(userns());
    let place = Place::new();
    for (trap, ignored) in [("trap '' PIPE;", true), ("", false)] {
        let script = format!("{trap} exec {} -- grep SigIgn /proc/self/status", common::sbx().display());
        let out = outside(&place, &place.work(), &script).ok();
        // Whatever started the tests may ignore others.
        let set = u64::from_str_radix(out.split_whitespace().last().unwrap(), 16).unwrap();
        assert_eq!(set >> (libc::SIGPIPE - 1) & 1 == 1, ignored, "{trap} {out}");
    }
}

#[test]
fn verbs_for_profiles_need_no_current_directory() {
    let place = Place::new();
    let gone = place.work().join("gone");
    std::fs::create_dir(&gone).unwrap();
    let script = format!("rmdir ../gone; exec {} profile list", common::sbx().display());
    assert!(outside(&place, &gone, &script).ok().contains("default"));
}

#[test]
fn a_link_that_somebody_else_may_have_made_opens_nothing() {
    need!(userns());
    let place = Place::new();
    place.write("home/.ssh/id", "key\n");
    std::os::unix::fs::symlink(place.home().join(".ssh/id"), place.work().join("picture.png")).unwrap();
    let ran = place.run(&["--open", "cat", "picture.png"]);
    assert_eq!(ran.out, "", "{ran:?}");
    assert!(ran.err.contains("picture.png is not shown inside"), "{ran:?}");
    // Nor one that a program in another sandbox may have left below a hidden directory.
    place.write("home/.cache/mail/doc.txt", "mail\n");
    place.write("home/papers/private", "private\n");
    let link = |text: &str, name: &str| {
        std::os::unix::fs::symlink(text, place.home().join(".cache/mail").join(name)).unwrap();
        place.home().join(".cache/mail").join(name).display().to_string()
    };
    for (text, shown) in [("../../papers/private", ""), ("doc.txt", "mail\n")] {
        let name = link(text, &format!("link{}", shown.len()));
        for flags in [&["--open"][..], &["--profile", "viewer"]] {
            let ran = place.run(&[flags, &["--", "/bin/cat", &name]].concat());
            assert_eq!(ran.out, shown, "{flags:?} {text}: {ran:?}");
        }
    }
    // A directory is not shown as a whole.
    let ran = place.run(&["--open", "ls", place.home().join(".ssh").to_str().unwrap()]);
    assert_eq!(ran.out, "", "{ran:?}");
}

#[test]
fn words_that_are_no_programs_have_their_hint() {
    need!(userns());
    let place = Place::new();
    for (word, hint) in [
        ("shell", "`shell` is the name of a profile: sbx --profile shell PROGRAM"),
        ("list", "the verb for profiles is `sbx profile list`"),
        ("chekc", "did you mean the verb `sbx check`?"),
    ] {
        let said = place.run(&[word]).failed(127);
        assert!(said.contains(hint), "{word}: {said}");
    }
}

#[test]
fn what_the_desktop_lacks_is_one_line() {
    need!(userns(), tun(), programs());
    let ran = Place::new().run(&["--profile", "browser", "--", "true"]);
    let notes: Vec<_> = ran.err.lines().filter(|line| line.contains("note:")).collect();
    assert!(notes.len() <= 2, "{notes:?}");
}

#[test]
fn a_plan_says_first_what_the_program_may_do() {
    need!(userns());
    let place = Place::new();
    place.write("home/notes", "x\n");
    let work = place.work();
    let plan = |args: &[&str]| place.run(&[&["plan"], args].concat()).ok();
    let short = plan(&["--rw", ".", "--", "make", "all"]);
    let line = |label: &str| short.lines().find(|line| line.starts_with(label)).unwrap_or_default().to_owned();
    assert_eq!(line("program"), "program     make all");
    assert_eq!(line("profile"), "profile     default");
    assert!(line("reads").contains("the system (/etc ") && line("reads").contains("/usr"), "{short}");
    assert_eq!(line("writes"), format!("writes      {}", work.display()), "{short}");
    assert!(line("in memory").contains(place.home().to_str().unwrap()), "{short}");
    assert_eq!(line("network"), "network     none");
    assert!(short.lines().count() < 30, "{short}");
    let whole = plan(&["--verbose", "--rw", ".", "--", "make", "all"]);
    assert!(whole.contains("enforced by\n") && whole.lines().count() > 60, "{whole}");
    assert_eq!(
        plan(&["-q", "make"]).lines().find(|line| line.starts_with("writes")),
        Some("writes      nothing on the host")
    );
}
