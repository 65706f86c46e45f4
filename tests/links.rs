//! Links on the way to what a profile shows or closes, put there by a program in an earlier sandbox or by another user.
//! Each of these showed, wrote or uncovered something once.

mod common;

use common::process::in_one_thread;
use common::{Place, userns};
use sbx::error::Result;
use sbx::launch::{Events, Outcome, run};
use sbx::plan::{Op, Plan};
use sbx::spec::{Mode, Options, Origin, PathRule, Process, Sandbox};
use sbx::{host, plan};
use std::os::fd::RawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// A profile of the user's with these lines in `[filesystem.paths]`.
fn profile(place: &Place, paths: &str) -> String {
    let text = format!("schema = 1\nextends = [\"default\"]\n[filesystem.paths]\n{paths}\n");
    place.write("p.toml", &text).display().to_string()
}

#[test]
fn a_link_that_a_program_left_is_not_followed_at_the_next_start() {
    need!(userns());
    let place = Place::new();
    place.write("home/.ssh/id", "SECRET");
    std::fs::create_dir_all(place.home().join("proj")).unwrap();
    let both = |mode: &str| profile(&place, &format!("\"~/proj\" = \"rw\"\n\"~/proj/conf\" = \"{mode}\""));
    // The first run: nothing is at ~/proj/conf, and the program puts a link there.
    let first = place.sh(&["--profile", &both("ro,optional")], "ln -s ../.ssh ~/proj/conf && echo left");
    assert_eq!(first.ok(), "left\n");
    let script = "cat ~/proj/conf/id ~/.ssh/id; touch ~/proj/conf/new";
    for mode in ["ro,optional", "ro", "rw", "rw,create", "rw,optional", "ro,noexec"] {
        let refused = place.sh(&["--profile", &both(mode)], script).failed(125);
        assert!(refused.contains("proj/conf is a link that leads out of"), "{mode}: {refused}");
        assert!(refused.contains("p.toml:5") && refused.contains("p.toml:4"), "{mode}: {refused}");
    }
    let source = profile(&place, "\"~/proj\" = \"rw\"\n\"/data\" = \"ro,from=~/proj/conf\"");
    assert!(place.sh(&["--profile", &source], "cat /data/id").failed(125).contains("leads out of"));
    // From another directory, by flags, and where nothing else of the project is shown.
    let conf = place.home().join("proj/conf").display().to_string();
    let proj = place.home().join("proj").display().to_string();
    for flags in [&["--rw", &proj, "--ro", &conf][..], &["--rw", &conf], &["--ro", &conf]] {
        let refused = place.sh(flags, script).failed(125);
        assert!(refused.contains("is a link that leads out of"), "{flags:?}: {refused}");
        assert!(refused.contains("name the path that it leads to") && refused.contains(".ssh"), "{refused}");
    }
    // One that may be left out is left out, and a note says so.
    let out = place.sh(&["--profile", &both("ro,prefer")], "cat ~/proj/conf/id 2>/dev/null; echo on");
    assert!(out.out == "on\n" && out.err.contains("leads out of"), "{out:#?}");
    assert!(!place.home().join(".ssh/new").exists());
}

#[test]
fn a_missing_target_of_a_link_is_not_created() {
    need!(userns());
    let place = Place::new();
    std::fs::create_dir_all(place.home().join("proj")).unwrap();
    symlink("../.config/autostart", place.home().join("proj/conf")).unwrap();
    let paths = "\"~/proj\" = \"rw\"\n\"~/proj/conf\" = \"rw,create\"";
    let refused = place.sh(&["--profile", &profile(&place, paths)], "true").failed(125);
    assert!(refused.contains("leads out of"), "{refused}");
    assert!(!place.home().join(".config").exists());
}

#[test]
fn links_where_other_users_may_write_do_not_say_what_is_shown() {
    need!(userns());
    let place = Place::new();
    place.write("home/.ssh/id", "SECRET");
    let shared = place.dir.path().join("shared");
    std::fs::create_dir_all(shared.join("sub")).unwrap();
    std::fs::set_permissions(&shared, PermissionsExt::from_mode(0o777)).unwrap();
    symlink(place.home().join(".ssh"), shared.join("sub/link")).unwrap();
    let link = shared.join("sub/link").display().to_string();
    let refused = place.sh(&["--ro", &link], "true").failed(125);
    assert!(refused.contains("where other users may put links"), "{refused}");
}

#[test]
fn links_that_are_the_users_own_are_followed() {
    need!(userns());
    let place = Place::new();
    place.write("home/dotfiles/tool/conf", "CONF");
    place.write("data/file", "DATA");
    place.write("work/inner/file", "INNER");
    std::fs::create_dir_all(place.home().join(".config")).unwrap();
    symlink("../dotfiles/tool", place.home().join(".config/tool")).unwrap();
    symlink(place.dir.path().join("data"), place.home().join("data")).unwrap();
    symlink("/usr/share", place.work().join("share")).unwrap();
    symlink("inner", place.work().join("link")).unwrap();
    let paths = "\"~/.config/tool\" = \"ro\"\n\"~/data\" = \"rw\"\n\"${CWD}/link\" = \"ro\"\n\"/doc\" = \"ro,from=${CWD}/share\"";
    let flags = ["--profile", &profile(&place, paths), "--set", "filesystem.root=empty", "--ro", "/usr"];
    let flags = [&flags[..], &["--ro", "/bin,optional", "--ro", "/lib,optional", "--ro", "/lib64,optional"]].concat();
    let out = place.sh(&flags, "cat ~/.config/tool/conf ~/data/file link/file; ls -d /doc/doc");
    // What a link leads to in the end is shown anyway.
    assert_eq!(out.ok(), "CONFDATAINNER/doc/doc\n");
}

#[test]
fn a_rule_through_a_link_that_the_program_can_replace_is_refused() {
    need!(userns());
    let place = Place::new();
    place.write("work/tr/file", "KEPT");
    std::fs::create_dir_all(place.work().join("d")).unwrap();
    symlink("../tr", place.work().join("d/hooks")).unwrap();
    let script = "rm d/hooks; mkdir d/hooks && echo EVIL > d/hooks/file; cat d/hooks/file";
    for rule in ["--ro", "--mask", "--deny", "--tmpfs"] {
        let refused = place.sh(&["--rw", ".", rule, "d/hooks"], script).failed(125);
        assert!(refused.contains("d/hooks is a link in") && refused.contains("tr itself"), "{rule}: {refused}");
    }
    // A part of a path that is a link is no different from the whole.
    let refused = place.sh(&["--rw", ".", "--ro", "d/hooks/file"], script).failed(125);
    assert!(refused.contains("d/hooks is a link in"), "{refused}");
    let noted = place.sh(&["--rw", ".", "--ro", "d/hooks,prefer"], "echo x > tr/file; echo on");
    assert!(noted.err.contains("d/hooks is not `ro`") && noted.err.contains("is a link in"), "{noted:#?}");
    // By its real path, and in a directory that is read-only, the rule holds.
    assert!(place.sh(&["--rw", ".", "--ro", "tr"], "echo x > tr/file").err.contains("Read-only"));
    assert_eq!(
        place.sh(&["--ro", ".", "--mask", "d/hooks/file"], "cat tr/file; rm -f d/hooks 2>/dev/null || echo held").ok(),
        "held\n"
    );
}

#[test]
fn a_link_beside_what_is_closed_does_not_open_it() {
    need!(userns());
    let place = Place::new();
    place.write("work/.git/hooks/sample", "");
    place.write("work/.git/config", "");
    place.write("work/build/file", "");
    place.write("home/proj/secret/s", "SECRET");
    place.write("home/proj/open/s", "OPEN");
    // What a program in an earlier run, or the archive, has put there.
    for (target, link) in [(".git", "out"), (".git/hooks", "hooks"), (".git/config", "log.txt"), ("build", "here")] {
        symlink(target, place.work().join(link)).unwrap();
    }
    symlink("secret", place.home().join("proj/conf")).unwrap();
    symlink("open", place.home().join("proj/fine")).unwrap();
    for (profile, rule) in [("ci", "out"), ("ci", "hooks"), ("ci", "log.txt"), ("shell", "hooks"), ("default", "out")] {
        let refused = place.sh(&["--profile", profile, "--rw", rule], "true").failed(125);
        assert!(refused.contains(&format!("{rule} is a link in the current directory")), "{profile}: {refused}");
        assert!(refused.contains("name the path that it leads to"), "{refused}");
    }
    assert_eq!(place.sh(&["--profile", "ci", "--rw", "here"], "echo x > here/new; cat build/new").ok(), "x\n");
    // A rule that shows it elsewhere has none of what is closed below.
    let closed = |source: &str, mode: &str| {
        format!("\"~/proj\" = \"rw\"\n\"~/proj/secret\" = \"deny\"\n\"~/x\" = \"{mode},from=~/proj/{source}\"")
    };
    for mode in ["ro", "rw", "overlay"] {
        let refused = place.sh(&["--profile", &profile(&place, &closed("conf", mode))], "cat ~/x/s").failed(125);
        assert!(refused.contains("proj/conf is a link in") && refused.contains("less open without it"), "{refused}");
    }
    assert_eq!(place.sh(&["--profile", &profile(&place, &closed("fine", "ro"))], "cat ~/x/s").ok(), "OPEN");
    symlink(".", place.home().join("proj/all")).unwrap();
    let refused = place.sh(&["--profile", &profile(&place, &closed("all", "ro"))], "cat ~/x/secret/s").failed(125);
    assert!(refused.contains("proj/all is a link in"), "{refused}");
}

/// Nobody is told of a run.
struct Untold;

impl Events for Untold {
    fn started(&mut self, _pid: i32) {}

    fn note(&mut self, _note: &str) {}

    fn exited(&mut self, _outcome: &Outcome) {}

    fn descriptors(&self) -> Vec<RawFd> {
        Vec::new()
    }
}

/// A plan that shows this file and the one beside it, and reads both.
fn planned(file: &Path, beside: &Path) -> Plan {
    let script = format!("cat {} {} > /dev/null", file.display(), beside.display());
    let args = ["/bin/sh", "-c", &script].map(Into::into).to_vec();
    let mut sandbox = Sandbox { process: Process { args, ..Process::default() }, ..Sandbox::default() };
    for path in [file, beside] {
        sandbox.filesystem.paths.push(PathRule::new(path.into(), Mode::Ro, Options::default(), Origin::default()));
    }
    let env = [("HOME".to_owned(), "/".to_owned()), ("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
    let facts = host::probe(&sandbox, env.into(), "/".into(), Vec::new());
    plan::plan(&sandbox, &facts).unwrap()
}

#[test]
fn a_link_that_is_put_there_while_sbx_starts_is_an_error() {
    need!(userns());
    in_one_thread(|| {
        let place = Place::new();
        let (file, beside) = (place.write("data/d/file", "FILE"), place.write("data/d/beside", "BESIDE"));
        let top = place.work().parent().unwrap().to_owned();
        let started = || -> Result<Outcome> { run(&planned(&file, &beside), &mut Untold) };
        assert_eq!(started().unwrap(), Outcome::Exited(0));
        let plan = planned(&file, &beside);
        let binds =
            plan.view.parts.iter().filter(|placed| matches!(&placed.op, Op::Bind { source, .. } if *source == file));
        assert_eq!(binds.count(), 1);
        let refused = |what: &str| {
            let error = run(&plan, &mut Untold).unwrap_err();
            let hints = error.hints.join("\n");
            assert!(
                error.message.contains("ELOOP") && hints.contains("a link was put on the way"),
                "{what}: {error:?}"
            );
        };
        // In the place of the file, of the directory that it lies in, and of one further up.
        std::fs::rename(&file, top.join("kept")).unwrap();
        symlink(&beside, &file).unwrap();
        refused("file");
        std::fs::remove_file(&file).unwrap();
        std::fs::rename(top.join("kept"), &file).unwrap();
        for dir in ["data/d", "data"] {
            let (dir, moved) = (top.join(dir), top.join("moved"));
            std::fs::rename(&dir, &moved).unwrap();
            symlink(&moved, &dir).unwrap();
            refused("directory");
            std::fs::remove_file(&dir).unwrap();
            std::fs::rename(&moved, &dir).unwrap();
        }
        assert_eq!(started().unwrap(), Outcome::Exited(0));
    });
}
