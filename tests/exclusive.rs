//! What is shown in one sandbox at a time: who is refused, with which words, and what a program inside can do about it.

mod common;

use common::{Place, process, ran, until, userns};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A program that runs until its standard input ends.
struct Running(Child);

impl Running {
    /// Starts a sandbox with these flags, and waits until its program has made `ready` in the directory.
    fn start(place: &Place, flags: &[&str], script: &str) -> Running {
        let ready = place.home().join("data/ready");
        let _ = std::fs::remove_file(&ready);
        let script = format!("{script}\ntouch {}; exec cat", ready.display());
        let mut command = command(place, flags);
        command.args(["--", "/bin/sh", "-c", &script]).stdin(Stdio::piped());
        let running = Running(command.spawn().unwrap());
        until(|| ready.exists());
        running
    }

    fn end(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

fn command(place: &Place, flags: &[&str]) -> Command {
    let mut command = place.command();
    command.args(flags);
    command
}

/// A place with a directory `data` in its home, and the flag that shows it to one sandbox at a time.
fn place() -> (Place, String) {
    let place = Place::new();
    place.write("home/data/file", "");
    let flag = format!("{},exclusive", place.home().join("data").display());
    (place, flag)
}

fn locks(place: &Place) -> PathBuf {
    place.home().join(".local/share/sbx/homes/.locks")
}

#[test]
fn a_second_sandbox_is_refused_and_told_who_has_the_directory_and_what_to_do() {
    need!(userns());
    let (place, data) = place();
    let first = Running::start(&place, &["--rw", &data], "true");
    let refused = place.sh(&["--rw", &data], "touch ~/data/second").failed(125);
    let pid = format!("(process {})", first.0.id());
    for words in ["data is for one sandbox at a time, and is in use by `sbx --rw ", &pid, ", for ", "--tmpfs", "--rw"] {
        assert!(refused.contains(words), "{words}: {refused}");
    }
    assert!(!place.home().join("data/second").exists());
    first.end();
    place.sh(&["--rw", &data], "true").ok();
    assert_eq!(std::fs::read_dir(locks(&place)).unwrap().count(), 0, "nothing is left");
}

#[test]
fn the_directory_counts_and_not_the_path_or_the_profile_that_shows_it() {
    need!(userns());
    let (place, data) = place();
    let path = |name: &str| place.home().join(name).display().to_string();
    std::os::unix::fs::symlink("data", place.home().join("link")).unwrap();
    std::fs::create_dir(place.home().join("other")).unwrap();
    for profile in ["one", "two"] {
        let text = format!(
            "schema = 1\nextends = [\"base/host\"]\n[filesystem.paths]\n\"{}\" = \"rw,exclusive\"\n",
            path("data")
        );
        place.write(&format!("work/{profile}.toml"), &text);
    }
    let first = Running::start(&place, &["--profile", "./one.toml"], "true");
    let link = format!("{},exclusive", path("link"));
    let other = format!("{},exclusive", path("other"));
    let set = format!("filesystem.paths.\"/tmp/x\"=\"rw,exclusive,from={}\"", path("data"));
    for flags in
        [&["--profile", "./two.toml"][..], &["--rw", &data], &["--rw", &link], &["--profile", "ci", "--set", &set]]
    {
        let refused = place.sh(flags, "true").failed(125);
        assert!(refused.contains("is in use by `"), "{flags:?}: {refused}");
    }
    // An overlay beside it does not change that, and neither does a kept one of all the rest.
    let home = path("");
    let refused = place.sh(&["--overlay", &home, "--upper", "keep:x", "--rw", &data], "true").failed(125);
    assert!(refused.contains("is in use by `"), "{refused}");
    // Another directory is another matter.
    place.sh(&["--rw", &other], "true").ok();
    first.end();
    place.sh(&["--profile", "./two.toml"], "true").ok();
}

#[test]
fn who_wants_to_share_it_does_so_on_purpose() {
    need!(userns());
    let (place, data) = place();
    let path = place.home().join("data").display().to_string();
    let first = Running::start(&place, &["--rw", &data], "true");
    place.sh(&["--rw", &data, "--rw", &path], "touch ~/data/shared").ok();
    assert!(place.home().join("data/shared").exists());
    place.sh(&["--rw", &data, "--tmpfs", &path], "touch ~/data/gone").ok();
    assert!(!place.home().join("data/gone").exists());
    first.end();
}

#[test]
fn a_start_after_a_crash_works() {
    need!(userns());
    let (place, data) = place();
    for _ in 0..3 {
        let mut first = Running::start(&place, &["--rw", &data], "true");
        process::signal(first.0.id() as i32, libc::SIGKILL);
        first.0.wait().unwrap();
        place.sh(&["--rw", &data], "true").ok();
    }
}

#[test]
fn of_many_first_starts_that_create_the_directory_one_wins() {
    need!(userns());
    let place = Place::new();
    let data = format!("{},create,exclusive", place.home().join("new/data").display());
    let script = "mkdir ~/new/data/mine && sleep 1 && rmdir ~/new/data/mine";
    let start = || {
        let mut command = command(&place, &["--rw", &data]);
        command.args(["--", "/bin/sh", "-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let children: Vec<_> = (0..4).map(|_| start()).collect();
    let ended: Vec<_> = children.into_iter().map(|child| ran(child.wait_with_output().unwrap())).collect();
    assert!(ended.iter().any(|ran| ran.status == Some(0)), "{ended:?}");
    // Nobody has met another one inside.
    for ran in ended.iter().filter(|ran| ran.status != Some(0)) {
        assert!(ran.status == Some(125) && ran.err.contains("is in use"), "{ended:?}");
    }
}

#[test]
fn the_program_inside_reaches_no_lock() {
    need!(userns());
    let (place, data) = place();
    // The home as a whole is shown, before there are locks and after that.
    for turn in ["first", "second"] {
        let home = place.home().display().to_string();
        let script = "rm -rf ~/.local/share/sbx/homes ~/data/x; mkdir -p ~/.local/share/sbx/homes/.locks
            ls -A ~/.local/share/sbx/homes; flock -u ~/data true; rm -rf ~/.local/share/sbx; mv ~/.local ~/moved; true";
        let first = Running::start(&place, &["--rw", &home, "--rw", &data], script);
        assert_eq!(std::fs::read_dir(locks(&place)).unwrap().count(), 1, "{turn}");
        let refused = place.sh(&["--rw", &data], "true").failed(125);
        assert!(refused.contains("is in use by `"), "{turn}: {refused}");
        first.end();
    }
}

#[test]
fn the_program_has_no_descriptor_of_a_lock_and_holds_it_without_an_init_too() {
    need!(userns());
    let (place, data) = place();
    for flags in [&["--rw", &data][..], &["--as-pid-1", "--rw", &data]] {
        let script = "ls -l /proc/self/fd /proc/$$/fd | grep -c locks";
        assert_eq!(place.sh(flags, script).out, "0\n", "{flags:?}");
        let mut first = Running::start(&place, flags, "true");
        place.sh(&["--rw", &data], "true").failed(125);
        process::signal(first.0.id() as i32, libc::SIGKILL);
        first.0.wait().unwrap();
        place.sh(&["--rw", &data], "true").ok();
    }
}

#[test]
fn a_file_of_the_user_that_is_linked_into_the_locks_stays_as_it_is() {
    need!(userns());
    let (place, data) = place();
    place.write("home/.bashrc", "mine\n");
    Running::start(&place, &["--rw", &data], "true").end();
    let found = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(place.home().join("data")).unwrap());
    let dev = std::os::unix::fs::MetadataExt::dev(&std::fs::metadata(place.home().join("data")).unwrap());
    std::fs::hard_link(place.home().join(".bashrc"), locks(&place).join(format!("{dev:x}-{found}"))).unwrap();
    let first = Running::start(&place, &["--rw", &data], "true");
    place.sh(&["--rw", &data], "true").failed(125);
    first.end();
    assert_eq!(std::fs::read_to_string(place.home().join(".bashrc")).unwrap(), "mine\n");
}

#[test]
fn a_private_home_says_who_uses_it() {
    need!(userns());
    let (place, _) = place();
    let data = place.home().join("data").display().to_string();
    let flags = ["--home", "private:one", "--rw", &data];
    let first = Running::start(&place, &flags, "true");
    let refused = place.sh(&flags, "true").failed(125);
    let pid = format!("(process {})", first.0.id());
    assert!(refused.contains("the private home `one` is in use by `") && refused.contains(&pid), "{refused}");
    first.end();
    place.sh(&flags, "true").ok();
}

#[test]
fn of_two_rules_for_one_directory_the_options_that_restrict_count() {
    need!(userns());
    let (place, data) = place();
    std::os::unix::fs::symlink("data", place.home().join("a")).unwrap();
    std::os::unix::fs::symlink("data", place.home().join("z")).unwrap();
    let first = Running::start(&place, &["--rw", &data], "true");
    let path = |name: &str| place.home().join(name).display().to_string();
    for link in ["a", "z"] {
        let refused = place.sh(&["--rw", &data, "--rw", &path(link)], "true").failed(125);
        assert!(refused.contains("is in use by `"), "{link}: {refused}");
        let noexec = format!("{},noexec", path("data"));
        let out = place.sh(
            &["--rw", &noexec, "--rw", &path(link)],
            "cp /bin/true ~/data/true; chmod +x ~/data/true; ~/data/true && echo ran",
        );
        assert!(!out.out.contains("ran"), "{link}: {out:?}");
    }
    first.end();
}

#[test]
fn a_project_cannot_take_the_option_away_and_other_modes_do_not_have_it() {
    need!(userns());
    let place = Place::new();
    let profile = "schema = 1\nextends = [\"base/host\"]\n[filesystem.paths]\n\"${CWD}\" = \"rw,exclusive\"\n";
    let profile = place.write("home/one.toml", profile).display().to_string();
    place.write("work/.sbx.toml", "schema = 1\nfilesystem.paths.\"${CWD}\" = \"rw\"\n");
    let refused = place.sh(&["--profile", &profile], "true").failed(125);
    assert!(refused.contains("has the option `exclusive` here"), "{refused}");
    place.write("work/.sbx.toml", "schema = 1\nfilesystem.paths.\"${CWD}\" = \"ro\"\n");
    place.sh(&["--profile", &profile], "true").ok();
    std::fs::remove_file(place.work().join(".sbx.toml")).unwrap();
    let work = format!("{},exclusive", place.work().display());
    let refused = place.sh(&["--ro", &work], "true").failed(125);
    assert!(refused.contains("`exclusive` goes with `rw`"), "{refused}");
    // What is not there is not locked, and what is replaced by another mode neither.
    let gone = format!("{},optional,exclusive", place.home().join("gone").display());
    place.sh(&["--rw", &gone], "true").ok();
}

#[test]
fn the_plan_and_the_receipt_say_what_is_locked() {
    need!(userns());
    let (place, data) = place();
    let path = place.home().join("data").display().to_string();
    let plan = place.run(&["plan", "--rw", &data, "--", "true"]).ok();
    assert!(plan.lines().any(|line| line.contains("exclusive") && line.contains(&path)), "{plan}");
    let receipt = place.work().join("receipt.json");
    place.run(&["--rw", &data, "--receipt", &receipt.display().to_string(), "--", "true"]).ok();
    let text = std::fs::read_to_string(receipt).unwrap();
    assert!(text.contains("a lock that sbx holds"), "{text}");
}
