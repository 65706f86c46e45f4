//! Wrong input of every kind: each message names the cause and the fix. The messages are compared with snapshots.

mod common;

use common::{Place, Ran, not_root, ran, userns};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

/// Messages of many cases, one after the other.
#[derive(Default)]
struct Book(String);

impl Book {
    /// Writes a case down; each must fail.
    #[track_caller]
    fn add(&mut self, title: &str, place: &Place, ran: &Ran) {
        assert!(ran.status.is_some_and(|status| status != 0), "{title}: {ran:#?}");
        assert!(!ran.err.contains("panicked"), "{title}: {ran:#?}");
        let dir = place.dir.path().to_str().unwrap();
        let text = ran.err.replace(dir, "[DIR]");
        self.0.push_str(&format!("### {title} (exit {})\n{}\n", ran.status.unwrap(), text.trim_end()));
        self.0.push('\n');
    }
}

#[test]
fn wrong_profiles() {
    let mut book = Book::default();
    let cases: &[(&str, &str)] = &[
        ("no value", "schema = 1\n[process]\ntimeout =\n"),
        ("a string without an end", "schema = 1\ndescription = \"open\n"),
        ("a key twice", "schema = 1\n[process]\ntty = \"none\"\ntty = \"pty\"\n"),
        ("no schema", "description = \"x\"\n"),
        ("a schema of the future", "schema = 2\n"),
        ("an unknown table", "schema = 1\n[filesytem]\nroot = \"host\"\n"),
        ("an unknown key", "schema = 1\n[process]\nhostnme = \"x\"\n"),
        ("a key in the wrong table", "schema = 1\n[process]\nnofile = 3\n"),
        ("rules without a network", "schema = 1\n[network]\nallow = [\"internet\"]\n"),
        (
            "limits of memory that are none",
            "schema = 1\n[limits]\nmemory_max = \"lots\"\npids_max = -3\ncpu_max = \"2\"\ncpu_weight = 0\nio_max = { \"/\" = \"fast\" }\nmemory_maxx = 1\n",
        ),
        ("a string for a switch", "schema = 1\n[desktop]\nwayland = \"yes\"\n"),
        ("a wrong word", "schema = 1\n[namespaces]\nnested = \"alow\"\n"),
        ("a number for a table", "schema = 1\nprocess = 3\n"),
        ("a string for a list", "schema = 1\n[process]\nargs = \"sh\"\n"),
        ("a list with a number in it", "schema = 1\n[process]\nargs = [\"sh\", 3]\n"),
        ("a mode from elsewhere", "schema = 1\n[filesystem.paths]\n\"/usr\" = \"readonly\"\n"),
        (
            "upper layers that are none",
            "schema = 1\n[filesystem]\nroot = [\"dir:/a\", \"host\"]\nupper = \"keep:../x\"\nupper_size = \"0\"\n\
             paths = { \"/usr\" = \"overlay,size=1M\", \"/var\" = \"ro,size=1M\" }\n",
        ),
        ("an upper layer without a name", "schema = 1\n[filesystem]\nupper = \"keep\"\n"),
        ("an unknown option", "schema = 1\n[filesystem.paths]\n\"/usr\" = \"ro,optionl\"\n"),
        (
            "options that do not fit",
            "schema = 1\n[filesystem.paths]\n\"/a\" = \"ro,size=1M\"\n\"/b\" = \"tmpfs,from=/x\"\n\"/c\" = \"ro,create\"\n",
        ),
        ("a size that is none", "schema = 1\n[filesystem.paths]\n\"/a\" = \"tmpfs,size=lots\"\n"),
        ("a relative path", "schema = 1\n[filesystem.paths]\n\"usr\" = \"ro\"\n"),
        ("a path that goes up", "schema = 1\n[filesystem.paths]\n\"/usr/../etc\" = \"ro\"\n"),
        ("a variable that is none", "schema = 1\n[filesystem.paths]\n\"${HOEM}/x\" = \"ro\"\n"),
        ("a variable without its brace", "schema = 1\n[process]\nargs = [\"${HOME\"]\n"),
        ("a place that is none", "schema = 1\n[filesystem.paths]\n\"xdg-downlod\" = \"ro\"\n"),
        ("a user that is none", "schema = 1\n[process]\nuser = \"nobody\"\n"),
        ("an id that means nobody to the kernel", "schema = 1\n[process]\nuser = \"1000:4294967295\"\n"),
        ("a time that is none", "schema = 1\n[process]\ntimeout = \"soon\"\n"),
        ("a host name that is none", "schema = 1\n[process]\nhostname = \"a b\"\n"),
        ("a variable's name that is none", "schema = 1\n[process]\nenv = { \"A=B\" = \"x\" }\n"),
        ("limits that are none", "schema = 1\n[rlimits]\nnofile = \"many\"\ncore = \"2:1\"\n"),
        ("a device that is none", "schema = 1\n[devices]\nallow = [\"gpuu\", \"/etc/passwd\", \"camera,maybe\"]\n"),
        (
            "names on a bus that are none",
            "schema = 1\n[dbus.session]\npolicy = \"filter\"\ntalk = [\"x\", \"--log\"]\ncall = [\"org.x.Y\"]\n",
        ),
        ("names on a bus that is not filtered", "schema = 1\n[dbus.session]\ntalk = [\"org.x.Y\"]\n"),
        ("a shared network that the mode denies", "schema = 1\n[namespaces]\nshare = [\"net\"]\n"),
        ("a base that is none", "schema = 1\nextends = [\"base/dekstop\"]\n"),
        ("a base that leads out of the directory", "schema = 1\nextends = [\"../../etc/passwd\"]\n"),
        (
            "patterns as paths",
            "schema = 1\n[filesystem.paths]\n\"~/*.toml\" = \"ro,optional\"\n\"/x\" = \"ro,from=/opt/?\"\n\"/a[*]\" = \"ro\"\n",
        ),
        (
            "four errors at once",
            "schema = 1\ncolour = 1\n[process]\ntty = \"maybe\"\n[network]\nmode = 4\n[filesystem.paths]\n\"x\" = \"r\"\n",
        ),
    ];
    let place = Place::new();
    for (title, text) in cases {
        place.write("work/p.toml", text);
        book.add(title, &place, &place.run(&["profile", "check", "p.toml"]));
    }
    place.write("home/.config/sbx/profiles/a.toml", "schema = 1\nextends = [\"b\"]\n");
    place.write("home/.config/sbx/profiles/b.toml", "schema = 1\nextends = [\"a\"]\n");
    book.add("profiles in a circle", &place, &place.run(&["plan", "--profile", "a", "--", "true"]));
    place.write("home/.config/sbx/profiles/c.toml", "schema = 1\nextends = [\"c\"]\n");
    book.add("a profile that extends itself", &place, &place.run(&["plan", "--profile", "c", "--", "true"]));
    std::fs::write(place.work().join("latin.toml"), b"schema = 1\ndescription = \"caf\xe9\"\n").unwrap();
    book.add("a profile that is not UTF-8", &place, &place.run(&["profile", "check", "latin.toml"]));
    book.add("a profile that is a directory", &place, &place.run(&["plan", "--profile", "./", "--", "true"]));
    book.add("a profile that is a device", &place, &place.run(&["plan", "--profile", "/dev/zero", "--", "true"]));
    book.add("a profile that is not there", &place, &place.run(&["plan", "--profile", "./none.toml", "--", "true"]));
    book.add("a name of a profile that is none", &place, &place.run(&["plan", "--profile", "browsr", "--", "true"]));
    place.write("work/big.toml", &"#".repeat((1 << 20) + 1));
    book.add("a profile of more than 1 MiB", &place, &place.run(&["plan", "--profile", "./big.toml", "--", "true"]));
    insta::assert_snapshot!(book.0);
}

#[test]
fn wrong_flags() {
    let mut book = Book::default();
    let place = Place::new();
    let cases: &[&[&str]] = &[
        &["--no-such-flag", "true"],
        &["--set", "network.mode", "--", "true"],
        &["--set", "network.mod=none", "--", "true"],
        &["--set", "network.mode=hots", "--", "true"],
        &["--set", "=x", "--", "true"],
        &["--net", "bridge", "--", "true"],
        &["--tty", "raw", "--", "true"],
        &["--user", "1000", "--", "true"],
        &["--share", "mnt", "--", "true"],
        &["--device", "disk", "--", "true"],
        &["--timeout", "0", "--", "true"],
        &["--env", "NO_SUCH_VARIABLE", "--", "true"],
        &["--env", "=x", "--", "true"],
        &["--keep-fd", "77", "--", "true"],
        &["--keep-fd", "-1", "--", "true"],
        &["run", "--status-fd", "77", "--", "true"],
        &["--hostname", "", "--", "true"],
        &["--ro", "", "--", "true"],
        &["--profile", "", "--", "true"],
        &["--as-pid-1", "--share", "pid", "--", "true"],
        &["--share", "uts", "--hostname", "x", "--", "true"],
        &["--"],
        &["profile", "show", "nothing"],
        &["profile", "frobnicate"],
    ];
    for args in cases {
        book.add(&args.join(" "), &place, &place.run(args));
    }
    let odd = OsStr::from_bytes(b"caf\xe9");
    let output = place.command().arg("--ro").arg(odd).args(["--", "true"]).output().unwrap();
    book.add("--ro with a name that is not UTF-8", &place, &ran(output));
    insta::assert_snapshot!(book.0);
}

#[test]
fn wrong_paths() {
    need!(userns());
    let mut book = Book::default();
    let place = Place::new();
    place.write("work/file", "x");
    std::fs::create_dir(place.work().join("dir")).unwrap();
    symlink("loop-b", place.work().join("loop-a")).unwrap();
    symlink("loop-a", place.work().join("loop-b")).unwrap();
    symlink("nowhere", place.work().join("dangling")).unwrap();
    let cases: &[(&str, &[&str])] = &[
        ("a path that is not there", &["--ro", "missing", "--", "true"]),
        ("links in a circle", &["--ro", "loop-a", "--", "true"]),
        ("a link to nothing", &["--ro", "dangling", "--", "true"]),
        ("a tmpfs on a file", &["--tmpfs", "file", "--", "true"]),
        ("a directory below a file", &["--tmpfs", "file/x", "--", "true"]),
        ("a mount point that is not there", &["--rw", "dir", "--tmpfs", "dir/new", "--", "true"]),
        ("a path in what is masked", &["--mask", "dir", "--tmpfs", "dir/new", "--", "true"]),
        (
            "a path in what is closed",
            &["--deny", "dir", "--ro", "/usr", "--from", "/usr", "--tmpfs", "dir/new", "--", "true"],
        ),
        ("a hidden path in a writable directory", &["--rw", ".", "--hide", "file", "--", "true"]),
        ("the root as tmpfs", &["--tmpfs", "/", "--", "true"]),
        ("the root hidden", &["--hide", "/", "--", "true"]),
        ("a path in /proc", &["--tmpfs", "/proc/x", "--", "true"]),
        ("a root that is not there", &["--set", "filesystem.root=dir:/no/such", "--", "true"]),
        ("a root that is a file", &["--set", "filesystem.root=dir:/etc/passwd", "--", "true"]),
        ("a root that is none", &["--set", "filesystem.root=image:debian", "--", "true"]),
        ("a verb of sbx behind flags", &["--hostname", "x", "plan", "--", "true"]),
        ("a directory to start in that is not there", &["--cwd", "/no/such", "--", "true"]),
        ("a directory to start in that is a file", &["--cwd", "/etc/passwd", "--", "true"]),
        ("a directory that cannot be made", &["--rw", "/etc/passwd/x,create", "--", "true"]),
        ("a device that is not there", &["--device", "/dev/no-such-device", "--", "true"]),
        ("a source that is not there", &["--ro", "/opt/x", "--from", "/no/such", "--", "true"]),
    ];
    for (title, args) in cases {
        book.add(title, &place, &place.run(args));
    }
    let gone = place.dir.path().join("gone");
    std::fs::create_dir(&gone).unwrap();
    let script = format!("cd {0} && rmdir {0} && exec {1} -- true", gone.display(), common::sbx().display());
    let output = place.command().args(["--no-project", "--", "true"]).output().unwrap();
    assert!(output.status.success());
    let output = std::process::Command::new("/bin/sh").args(["-c", &script]).env("NO_COLOR", "1").output().unwrap();
    book.add("a current directory that is gone", &place, &ran(output));
    let odd = place.dir.path().join(OsStr::from_bytes(b"caf\xe9"));
    std::fs::create_dir(&odd).unwrap();
    let flags = ["--set", "process.env.X=${CWD}", "--", "true"];
    let output = place.command().current_dir(&odd).args(flags).output().unwrap();
    book.add("a current directory that is not UTF-8, in a text", &place, &ran(output));
    let output = place.command().env("HOME", &odd).args(["--", "true"]).output().unwrap();
    book.add("a home that is not UTF-8", &place, &ran(output));
    insta::assert_snapshot!(book.0);
}

#[test]
fn wrong_programs() {
    need!(userns());
    let mut book = Book::default();
    let place = Place::new();
    place.write("work/plain", "echo hello\n");
    for (name, text) in [
        ("no-interpreter", "#!/no/such/sh\n"),
        ("dos", "#!/bin/sh\r\n"),
        ("garbage", "\u{1}\u{2}\u{3}\n"),
        ("noexec", "#!/bin/sh\n"),
    ] {
        let path = place.write(&format!("work/{name}"), text);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(if name == "noexec" { 0o644 } else { 0o755 }))
            .unwrap();
    }
    let cases: &[&[&str]] = &[
        &["--", "no-such-program"],
        &["--", "/no/such/program"],
        &["--", "./plain"],
        &["--", "./noexec"],
        &["--", "./garbage"],
        &["--", "./no-interpreter"],
        &["--", "./dos"],
        &["--hide", "/usr/bin/env", "--", "env"],
        &["--", "/usr"],
        &["--", ""],
        &["--tmpfs", "/usr", "--", "/bin/true"],
        &["--set", "filesystem.root=empty", "--", "/bin/true"],
        &["--ro", ".,noexec", "--", "./no-interpreter"],
        &["--user", "root", "--set", "process.args=[]"],
    ];
    for args in cases {
        book.add(&args.join(" "), &place, &place.run(args));
    }
    let long = "x".repeat(95_000);
    let list = |count: usize| [&["--"][..], &["/bin/true"], &vec![long.as_str(); count]].concat();
    assert_eq!(place.run(&list(20)).status, Some(0), "1.9 MB of arguments are no problem");
    let args = [&["--set", "rlimits.stack=512K"], &list(20)[..]].concat();
    book.add("more arguments than the limit of the stack allows", &place, &place.run(&args));
    insta::assert_snapshot!(book.0);
}

#[test]
fn a_host_without_user_namespaces_is_told_apart() {
    need!(userns(), not_root());
    // A sandbox that denies user namespaces stands for such a host.
    let place = Place::new();
    let sbx = common::sbx();
    let dir = sbx.parent().unwrap().to_str().unwrap();
    let mut book = Book::default();
    let out = place.run(&["--ro", dir, "--", sbx.to_str().unwrap(), "--", "true"]);
    book.add("user.max_user_namespaces is 0", &place, &out);
    insta::assert_snapshot!(book.0);
}

#[test]
fn what_cannot_be_written_is_said_and_a_reader_that_left_is_not() {
    let place = Place::new();
    let sbx = common::sbx().display();
    let shell = |script: &str| {
        let script = script.replace("SBX", &sbx.to_string());
        let mut command = std::process::Command::new("/bin/bash");
        ran(command.args(["-c", &script]).current_dir(place.work()).env("HOME", place.home()).output().unwrap())
    };
    for verb in ["plan -- true", "profile schema", "profile list", "profile show browser --resolved --origin"] {
        let full = shell(&format!("SBX {verb} > /dev/full"));
        assert!(
            full.status == Some(125) && full.err.contains("No space left") || full.err.contains("no space left"),
            "{full:?}"
        );
        assert_eq!(shell(&format!("SBX {verb} | head -n 1; exit ${{PIPESTATUS[0]}}")).status, Some(0), "{verb}");
        assert!(matches!(shell(&format!("SBX {verb} >&-")).status, Some(0 | 125)), "{verb}");
    }
}

#[test]
fn keys_that_have_no_effect_are_errors_whichever_file_is_read_first() {
    let place = Place::new();
    let host = "schema = 1\nextends = [\"base/host\"]\n";
    let lines = [
        ("network.allow", "[network]\nallow = [\"example.org\"]"),
        ("network.deny", "[network]\ndeny = [\"private\"]"),
        ("network.ask", "[network]\nask = true"),
        ("network.publish", "[network]\npublish = [\"8080:80\"]"),
        ("network.forward", "[network]\nforward = [5432]"),
        ("network.dns", "[network]\ndns = [\"9.9.9.9\"]"),
        ("network.dns", "[network]\ndns = \"none\""),
        ("network.helper", "[network]\nhelper = \"pasta\""),
        ("network.on_helper_death", "[network]\non_helper_death = \"report\""),
        ("network.aliases", "[network]\naliases = [\"db\"]"),
        ("network.ip6", "[network]\nip6 = \"fd12::7\""),
        ("security.landlock_tcp", "[security]\nlandlock_tcp = \"require\""),
        ("services.ssh-agent-keys", "[services]\nssh-agent-keys = [\"work\"]"),
        ("dbus.session.talk", "[dbus.session]\ntalk = [\"org.x.Y\"]"),
    ];
    place.write(
        "work/off.toml",
        &format!("{host}network.mode = \"none\"\nservices.ssh-agent = false\ndbus.session.policy = \"none\"\n"),
    );
    for (key, line) in lines {
        for base in ["base/host", "./off.toml"] {
            place.write("work/p.toml", &format!("schema = 1\nextends = [{base:?}]\n{line}\n"));
            let expected = format!("`{key}` has no effect");
            for args in [
                &["profile", "check", "p.toml"] as &[&str],
                &["plan", "--profile", "./p.toml", "--", "true"],
                &["run", "--profile", "./p.toml", "--", "true"],
            ] {
                let ran = place.run(args);
                assert!(ran.status != Some(0) && ran.err.contains(&expected), "{line} over {base}: {ran:#?}");
                assert!(ran.err.contains("p.toml:4"), "{line} over {base}: {ran:#?}");
            }
        }
    }
    place.write("work/p.toml", &format!("{host}[desktop]\nportals = [\"camera\"]\n"));
    let ran = place.run(&["profile", "check", "p.toml"]);
    assert!(ran.err.contains("and there is none"), "{ran:#?}");
}

#[test]
fn a_later_layer_takes_a_network_away_without_an_error() {
    let place = Place::new();
    let rules = "[network]\nmode = \"private\"\nallow = [\"internet\"]\ndeny = [\":25/tcp\"]\npublish = [\"8080:80\"]\nforward = [5432]\n\
                 dns = [\"9.9.9.9\"]\nhelper = \"pasta\"\n[security]\nlandlock_tcp = \"prefer\"\n[services]\nssh-agent = true\n\
                 ssh-agent-keys = [\"work\"]\n[dbus.session]\npolicy = \"filter\"\ntalk = [\"org.x.Y\"]\n";
    place.write("work/net.toml", &format!("schema = 1\nextends = [\"base/host\"]\n{rules}"));
    place.write(
        "work/off.toml",
        "schema = 1\nextends = [\"./net.toml\"]\n[network]\nmode = \"none\"\n[services]\nssh-agent = false\n[dbus.session]\n\
         policy = \"none\"\n",
    );
    let ran = place.run(&["profile", "check", "off.toml"]);
    assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""), "{ran:#?}");
    let flags = ["--set", "services.ssh-agent=false", "--set", "dbus.session.policy=\"none\""];
    for args in [&["--profile", "./net.toml", "--net", "none"] as &[&str], &["--profile", "./off.toml"]] {
        let ran = place.run(&[&["plan"], args, &flags, &["--", "true"]].concat());
        assert!(ran.status == Some(0) && ran.out.contains("network"), "{args:?}: {ran:#?}");
        assert!(!ran.out.contains("pasta") && !ran.err.contains("no effect"), "{args:?}: {ran:#?}");
    }
    // What is wrong with the lines themselves is told all the same.
    place.write(
        "work/net.toml",
        &format!("schema = 1\nextends = [\"base/host\"]\n{}", rules.replace("internet", "bad bad")),
    );
    let ran = place.run(&["profile", "check", "off.toml"]);
    assert!(ran.status == Some(1) && ran.err.contains("bad bad") && !ran.err.contains("no effect"), "{ran:#?}");
}

#[test]
fn what_is_wrong_on_every_host_is_found_by_each_verb() {
    let place = Place::new();
    for (lines, why) in [
        ("[security.syscalls]\nallow = [\"nosuchcall\"]", "unknown system call `nosuchcall`"),
        ("[security.syscalls]\ndeny = [\"@nogroup\"]", "unknown group of system calls `@nogroup`"),
        ("[security.syscalls]\ndeny = [\"execve\"]", "no program can be started where execve is denied"),
        ("[security]\narch = [\"z80\"]", "`z80` is no architecture"),
        ("[filesystem]\nmemory = \"1\"", "1 bytes are too few"),
    ] {
        place.write("work/p.toml", &format!("schema = 1\nextends = [\"base/host\"]\n{lines}\n"));
        for args in [
            &["profile", "check", "p.toml"] as &[&str],
            &["plan", "--profile", "./p.toml", "--", "true"],
            &["run", "--profile", "./p.toml", "--", "true"],
        ] {
            let ran = place.run(args);
            assert!(ran.status != Some(0) && ran.err.contains(why), "{lines}: {ran:#?}");
            assert!(ran.err.contains("p.toml:4"), "{lines}: {ran:#?}");
        }
        let json = place.run(&["profile", "check", "--json", "p.toml"]);
        assert!(json.status == Some(1) && json.out.contains(why), "{json:#?}");
    }
}

#[test]
fn errors_name_the_key_and_the_cause_in_the_order_of_the_lines() {
    let mut book = Book::default();
    let place = Place::new();
    let cases: &[(&str, &str)] = &[
        (
            "values of other types in tables and lists",
            "schema = 1\n[process]\nenv = { C = 5, \"a b\" = [] }\nargs = [1]\n[filesystem.paths]\n\"~/v\" = [\"ro\"]\n[network]\nforward = [true]\n",
        ),
        (
            "values that are too large",
            "schema = 1\n[process]\ntimeout = \"999999999999999h\"\n[filesystem]\nmemory = \"99999999999G\"\n\
             paths = { \"/a\" = \"tmpfs,size=99999999999G\" }\n",
        ),
        ("a time of centuries", "schema = 1\n[process]\ntimeout = \"900years\"\n"),
        ("a variable without a name", "schema = 1\n[process.env]\n\"\" = \"x\"\n"),
        ("names that no variable has", "schema = 1\n[process]\nenv_pass = [\"A=B\", \"\", \"*X\", \"LC_*\", \"*\"]\n"),
        (
            "names that no program has",
            "schema = 1\n[profile]\nprograms = [\"/bin/ls\", \"\", \"a b\", \"/\", \"x*\", \"ls\"]\n",
        ),
        (
            "errors in the order of the lines",
            "schema = 1\n[rlimits]\nnofile = \"many\"\n[process]\ntimeout = \"soon\"\nhostname = \"a b\"\n[filesystem]\nmemory = \"lots\"\n",
        ),
    ];
    for (title, text) in cases {
        place.write("work/p.toml", text);
        book.add(title, &place, &place.run(&["profile", "check", "p.toml"]));
    }
    place.write("work/q.toml", "schema = 1\nextends = [\"./p.toml\"]\n");
    book.add("a file that another one extends", &place, &place.run(&["profile", "check", "./q.toml"]));
    insta::assert_snapshot!(book.0);
}

#[test]
fn a_file_that_was_named_and_cannot_be_read_is_no_layer() {
    need!(not_root());
    let place = Place::new();
    place.write("work/np.toml", "schema = 1\n");
    std::fs::set_permissions(place.work().join("np.toml"), std::fs::Permissions::from_mode(0o000)).unwrap();
    let ran = place.run(&["plan", "--profile", "./np.toml", "--", "true"]);
    assert!(ran.err.contains("let this user read it") && !ran.err.contains("HOME"), "{ran:#?}");
}

#[test]
fn a_directory_to_start_in_that_is_not_there_brings_its_line() {
    need!(userns());
    let place = Place::new();
    place.write("work/p.toml", "schema = 1\nextends = [\"base/host\"]\n[process]\ncwd = \"/nonexistent\"\n");
    let ran = place.run(&["run", "--profile", "./p.toml", "--", "true"]);
    assert!(ran.err.contains("cannot start in /nonexistent: chdir") && ran.err.contains("p.toml:4"), "{ran:#?}");
    let ran = place.run(&["run", "--profile", "base/host", "--cwd", "/nonexistent", "--", "true"]);
    assert!(
        ran.err.contains("cannot start in /nonexistent: chdir") && ran.err.contains("asked for by --cwd"),
        "{ran:#?}"
    );
}
