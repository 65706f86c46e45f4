//! Names and values that are not UTF-8: they reach the program as they are, or are refused with the reason.

mod common;

use common::{Place, Ran, ran, sbx, userns};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Command;

/// The bytes of `été` in Latin-1.
fn odd() -> OsString {
    OsStr::from_bytes(b"\xe9t\xe9").to_owned()
}

/// A text with those bytes behind it.
fn joined(text: &str) -> OsString {
    let mut joined = OsString::from(text);
    joined.push(odd());
    joined
}

fn run(command: &mut Command, args: &[&OsStr]) -> (Ran, Vec<u8>) {
    let output = command.args(args).output().unwrap();
    let bytes = output.stdout.clone();
    (ran(output), bytes)
}

/// The lines for LC_*, XY and XZ, sorted, each with `\xe9` as `\xe9`.
fn lines(bytes: &[u8]) -> Vec<String> {
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.escape_ascii().to_string());
    let mut lines: Vec<_> =
        lines.filter(|line| ["LC_", "XY", "XZ"].iter().any(|start| line.starts_with(start))).collect();
    lines.sort();
    lines
}

#[test]
fn variables_are_passed_as_they_are() {
    need!(userns());
    let place = Place::new();
    let show = |flags: &[&OsStr]| {
        let mut command = place.command();
        command.env("LC_X", odd()).env(joined("LC_"), "1").env("XY", odd()).env("LANG", "C");
        let args: Vec<_> = flags.iter().copied().chain(["--", "env"].map(OsStr::new)).collect();
        let (out, bytes) = run(&mut command, &args);
        (lines(&bytes), out)
    };
    let (shown, out) = show(&[]);
    assert_eq!(shown, ["LC_X=\\xe9t\\xe9", "LC_\\xe9t\\xe9=1"], "{out:?}");
    let given = [OsStr::from_bytes(b"XZ=\xe9"), OsStr::from_bytes(b"LC_X=plain")];
    let flags = [OsStr::new("--env"), OsStr::new("XY"), OsStr::new("-e"), given[0], OsStr::new("-e"), given[1]];
    let (named, out) = show(&flags);
    assert_eq!(named, ["LC_X=plain", "LC_\\xe9t\\xe9=1", "XY=\\xe9t\\xe9", "XZ=\\xe9"], "{out:?}");
    // The last flag counts, whichever of them is UTF-8.
    for (first, second, last) in [(&b"XZ=\xe9"[..], &b"XZ=e"[..], "XZ=e"), (b"XZ=e", b"XZ=\xe9", "XZ=\\xe9")] {
        let flags = [OsStr::new("-e"), OsStr::from_bytes(first), OsStr::new("-e"), OsStr::from_bytes(second)];
        let (shown, out) = show(&flags);
        assert_eq!(shown.last().map(String::as_str), Some(last), "{out:?}");
    }
    let (_, unset) = show(&[OsStr::new("--env"), OsStr::new("XNONE")]);
    assert!(unset.err.contains("--env XNONE: the variable is not set"), "{unset:?}");
    let (_, nameless) = show(&[OsStr::new("--env"), OsStr::from_bytes(b"=\xe9")]);
    assert!(nameless.status == Some(125) && nameless.err.contains("a variable needs a name"), "{nameless:?}");
}

#[test]
fn a_current_directory_is_shown_whatever_its_name() {
    need!(userns());
    let place = Place::new();
    let dir = place.work().join(odd());
    std::fs::create_dir_all(dir.join("sub")).unwrap();
    std::fs::write(dir.join("file"), "text\n").unwrap();
    let inside = |flags: &[&str], script: &str| {
        let mut command = Command::new(sbx());
        command.current_dir(&dir).env_clear().env("HOME", place.home()).env("PATH", "/usr/bin:/bin");
        let args: Vec<_> = flags.iter().copied().chain(["--", "sh", "-c", script]).map(OsStr::new).collect();
        run(&mut command, &args)
    };
    let (out, bytes) = inside(&[], "cat file; pwd; touch new && ls new");
    let path: PathBuf = OsStr::from_bytes(bytes.split(|byte| *byte == b'\n').nth(1).unwrap()).into();
    assert!(
        out.out.starts_with("text\n") && out.out.ends_with("new\n") && path == dir && !dir.join("new").exists(),
        "{out:?}"
    );
    for profile in ["ci", "shell"] {
        let (out, _) = inside(&["--profile", profile], "echo more > new && cat new && rm new");
        assert_eq!(out.out, "more\n", "{profile}: {out:?}");
    }
    let (out, _) = inside(&["-q", "--rw", "sub", "--ro", "file"], "echo x > sub/new && cat sub/new");
    assert_eq!(out.out, "x\n", "{out:?}");
    let (out, _) = inside(&["-q", "--mask", "."], "ls; echo done");
    assert_eq!(out.out, "done\n", "{out:?}");
    let (out, _) = inside(&["--cwd", "sub"], "basename \"$PWD\"");
    assert_eq!(out.out, "sub\n", "{out:?}");
    // What cannot be said in a profile says so.
    let (out, _) = inside(&["--ro", ".."], "true");
    assert_eq!(out.status, Some(0), "the directory above is UTF-8: {out:?}");
    let profile = place.write("one.toml", "schema = 1\nextends = [\"default\"]\n[process]\nenv = { X = \"${CWD}\" }\n");
    let (out, _) = inside(&["--profile", profile.to_str().unwrap()], "true");
    assert!(out.status == Some(125) && out.err.contains("the current directory is not UTF-8"), "{out:?}");
    let mut command = place.command();
    let (out, _) = run(&mut command, &[OsStr::new("--ro"), &odd(), OsStr::new("true")]);
    assert!(out.status == Some(125) && out.err.contains("is not UTF-8"), "{out:?}");
}

#[test]
fn directories_that_profiles_name_are_refused_where_they_are_not_utf_8() {
    let place = Place::new();
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME"] {
        let mut command = place.command();
        command.env(name, joined("/tmp/"));
        let (out, _) = run(&mut command, &[OsStr::new("--"), OsStr::new("true")]);
        assert!(out.status == Some(125) && out.err.contains(&format!("sbx: {name} is not UTF-8: /tmp/")), "{out:?}");
    }
}

#[test]
fn arguments_reach_the_program_as_they_are() {
    need!(userns());
    let place = Place::new();
    std::fs::write(place.work().join(odd()), "text\n").unwrap();
    let (out, bytes) = run(&mut place.command(), &[OsStr::new("--open"), OsStr::new("cat"), &odd()]);
    assert_eq!(out.out, "text\n", "{out:?}");
    let (_, bytes_of_name) = run(&mut place.command(), &[OsStr::new("printf"), OsStr::new("%s"), &odd()]);
    assert_eq!(OsStr::from_bytes(&bytes_of_name), odd(), "{bytes:?}");
}
