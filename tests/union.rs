//! Overlays: what a program changes in them is seen inside, does not reach the host, and is gone, kept or limited as the profile says.

mod common;

use common::{Place, pass, ran, tools, until, userns};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

/// A place with a project in its current directory.
fn project() -> Place {
    let place = Place::new();
    place.write("work/file", "old\n");
    place.write("work/sub/inner", "inner\n");
    place.write("work/sub/secret", "secret\n");
    place
}

/// The directory that upper layers are kept in.
fn store(place: &Place) -> PathBuf {
    place.home().join(".local/share/sbx/uppers")
}

/// Whether this kernel takes upper layers in memory: from Linux 6.6 on.
fn in_memory() -> bool {
    common::kernel() >= (6, 6)
}

/// The text of a file of the host's.
fn text(place: &Place, path: &str) -> String {
    std::fs::read_to_string(place.work().join(path)).unwrap_or_default()
}

#[test]
fn changes_are_seen_inside_and_are_gone_at_the_end() {
    need!(userns());
    let place = project();
    let script = "echo new >> file && echo more > made && rm -r sub && cat file made && ls";
    assert_eq!(place.sh(&["--overlay", "."], script).ok(), "old\nnew\nmore\nfile\nmade\n");
    assert_eq!((text(&place, "file"), text(&place, "sub/inner")), ("old\n".into(), "inner\n".into()));
    assert!(!place.work().join("made").exists());
    assert_eq!(place.sh(&["--overlay", "."], "cat file; ls").ok(), "old\nfile\nsub\n");
    let left = std::fs::read_dir(store(&place)).map_or(0, Iterator::count);
    assert_eq!(left, 0, "nothing is left of changes that are discarded");
    assert_eq!(store(&place).exists(), !in_memory(), "and nothing is stored where they can be in memory");
}

#[test]
fn kept_changes_are_seen_by_the_next_run_of_that_name_alone() {
    need!(userns());
    let place = project();
    let keep = ["--overlay", ".", "--upper", "keep:one"];
    place.sh(&keep, "echo new > file; rm -r sub; mkdir sub; echo x > sub/x").ok();
    assert_eq!(place.sh(&keep, "cat file; ls sub").ok(), "new\nx\n");
    assert_eq!(place.sh(&["--overlay", ".", "--upper", "keep:two"], "cat file").ok(), "old\n");
    assert_eq!(text(&place, "file"), "old\n");
    let mode = std::fs::metadata(store(&place)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "nobody else may enter it");
}

#[test]
fn a_second_writer_is_refused_and_the_lock_goes_with_the_first_however_it_ends() {
    need!(userns());
    let place = project();
    let mut first = place.command();
    first.args(["--overlay", ".", "--upper", "keep:one", "--", "/bin/sh", "-c", "echo ready > file; sleep 60"]);
    let mut first = first.spawn().unwrap();
    let upper = store(&place).join("one/0/upper/file");
    until(|| std::fs::read_to_string(&upper).is_ok_and(|text| text == "ready\n"));
    let keep = ["--overlay", ".", "--upper", "keep:one"];
    let error = place.sh(&keep, "true").failed(125);
    assert!(error.contains("the upper layers `one` are in use"), "{error}");
    first.kill().unwrap();
    first.wait().unwrap();
    until(|| place.sh(&keep, "true").status == Some(0));
    assert_eq!(place.sh(&keep, "cat file").ok(), "ready\n");
}

#[test]
fn a_size_is_a_limit_with_enospc_and_is_refused_where_nothing_enforces_it() {
    need!(userns());
    let place = project();
    let script = "head -c 3M /dev/zero > big; wc -c < big";
    let ran = place.sh(&["--overlay", ".", "--upper-size", "1M"], script);
    if !in_memory() {
        let error = ran.failed(125);
        assert!(error.contains("changes are in memory only from Linux 6.6 on"), "{error}");
        return;
    }
    assert!(ran.err.contains("No space left on device"), "{ran:?}");
    assert!(ran.out.trim().parse::<u64>().unwrap() <= 1 << 20, "{ran:?}");
    let kept = place.sh(&["--overlay", ".", "--upper-size", "1M", "--upper", "keep:a"], "true").failed(125);
    assert!(kept.contains("upper_size cannot be enforced"), "{kept}");
    assert!(!store(&place).exists());
}

#[test]
fn what_is_stricter_below_an_overlay_stays_so_and_cannot_be_moved_away() {
    need!(userns());
    let place = project();
    let mask = ["--overlay", ".", "--mask", "sub/secret"];
    let script = "cat sub/secret; mv sub moved 2>&1; rm -rf sub 2>/dev/null; cat sub/secret moved/secret 2>/dev/null; echo x > sub/y && cat sub/y";
    let out = place.sh(&mask, script).ok();
    assert!(out.contains("Device or resource busy") && out.ends_with("x\n") && !out.contains("secret\n"), "{out}");
    assert_eq!(
        place.sh(&["--overlay", ".", "--ro", "sub"], "(echo x > sub/y) 2>/dev/null || echo ro; echo y > z").ok(),
        "ro\n"
    );
    place.sh(&["--overlay", ".", "--rw", "sub"], "echo host > sub/y; echo layer > z").ok();
    assert_eq!((text(&place, "sub/y"), text(&place, "z")), ("host\n".into(), String::new()));
    let hidden = place.sh(&["--overlay", ".", "--hide", "sub"], "ls; echo x > sub; ls").ok();
    assert_eq!(hidden, "file\nfile\nsub\n");
}

#[test]
fn an_overlay_is_nosuid_and_nodev_and_noexec_if_it_says_so() {
    need!(userns());
    let place = project();
    let mount = "grep ' - overlay ' /proc/self/mountinfo | cut -d' ' -f6";
    let out = place.sh(&["--overlay", "."], mount).ok();
    assert!(out.contains("nosuid") && out.contains("nodev") && !out.contains("noexec"), "{out}");
    assert!(place.sh(&["--overlay", ".,noexec"], mount).ok().contains("noexec"));
    let marks = place.sh(&["--overlay", "."], "mknod whiteout c 0 0 2>&1; ls").ok();
    assert!(marks.ends_with("\nfile\nsub\n"), "{marks}");
}

#[test]
fn the_whole_root_is_an_overlay_and_the_host_stays_as_it_is() {
    need!(userns());
    let place = project();
    place.write("tree/etc/file", "tree\n");
    place.write("tree/usr/other", "x\n");
    let root = format!("filesystem.root=dir:{}", place.dir.path().join("tree").display());
    let usr = [
        "--set",
        &root,
        "--overlay",
        "/",
        "--ro",
        "/usr",
        "--ro",
        "/bin,optional",
        "--ro",
        "/lib,optional",
        "--ro",
        "/lib64,optional",
    ];
    let out = place.sh(&usr, "echo new > /etc/file; echo x > /top; rm -r /etc; ls /etc 2>&1; cat /top");
    assert_eq!(out.status, Some(0), "{out:?}");
    assert!(out.out.ends_with("x\n"), "{out:?}");
    let tree = place.dir.path().join("tree");
    assert_eq!(std::fs::read_to_string(tree.join("etc/file")).unwrap(), "tree\n");
    let names = |dir: PathBuf| {
        let mut names: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(tree), ["etc", "usr"], "no mount point is made on the host");
    // The host's own root.
    let out = place.sh(
        &["-q", "--overlay", "/"],
        "echo x > /etc/made && cat /etc/made && awk '/ - overlay /' /proc/self/mountinfo | wc -l",
    );
    assert_eq!(out.status, Some(0), "{out:?}");
    assert!(out.out.starts_with("x\n") && !PathBuf::from("/etc/made").exists(), "{out:?}");
}

#[test]
fn several_trees_are_one_root_with_the_topmost_first() {
    need!(userns());
    let place = project();
    place.write("a/etc/file", "a\n");
    place.write("b/etc/file", "b\n");
    place.write("b/etc/other", "b\n");
    let root = format!("filesystem.root=[\"dir:{0}/a\", \"dir:{0}/b\"]", place.dir.path().display());
    let flags =
        ["--set", &root, "--ro", "/usr", "--ro", "/bin,optional", "--ro", "/lib,optional", "--ro", "/lib64,optional"];
    let out = place.sh(&flags, "cat /etc/file /etc/other; (echo x > /etc/new) 2>/dev/null || echo refused");
    assert_eq!(out.ok(), "a\nb\nrefused\n");
    let out = place
        .sh(&[&flags[..], &["--overlay", "/"]].concat(), "rm /etc/file; echo x > /etc/other; ls /etc; cat /etc/other");
    assert_eq!(out.ok(), "other\nx\n");
    assert_eq!(std::fs::read_to_string(place.dir.path().join("b/etc/other")).unwrap(), "b\n");
}

#[test]
fn a_directory_with_a_mount_below_it_is_refused_with_the_mount_where_no_view_can_be_served() {
    need!(userns(), tools(&["unshare", "mount"]));
    let place = project();
    let no_fuse = "{ [ ! -e /dev/fuse ] || mount --bind /proc/version /dev/fuse; }";
    let sbx = common::sbx().display();
    let script = format!("mount -t tmpfs none sub && {no_fuse} && exec {sbx} --overlay . -- true");
    let mut command = std::process::Command::new("unshare");
    command.args(["-Urm", "/bin/sh", "-c", &script]).current_dir(place.work()).env("HOME", place.home());
    let error = ran(command.output().unwrap()).failed(125);
    assert!(error.contains("has a mount below it") && error.contains("/sub"), "{error}");
}

#[test]
fn a_store_that_somebody_else_could_have_changed_is_refused() {
    need!(userns());
    let place = project();
    let keep = ["--overlay", ".", "--upper", "keep:one"];
    place.sh(&keep, "true").ok();
    let one = store(&place).join("one");
    let refused = |why: &str| {
        let error = place.sh(&keep, "true").failed(125);
        assert!(error.contains(why), "{error}");
    };
    // A link in place of each part: to a directory of the host's that must not be written to.
    let victim = place.dir.path().join("victim");
    std::fs::create_dir(&victim).unwrap();
    for part in ["0/upper", "0/work", "0"] {
        std::fs::rename(one.join(part), place.dir.path().join("aside")).unwrap();
        symlink(&victim, one.join(part)).unwrap();
        refused("cannot open");
        std::fs::remove_file(one.join(part)).unwrap();
        std::fs::rename(place.dir.path().join("aside"), one.join(part)).unwrap();
    }
    assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 0);
    for file in ["lock", "state.json"] {
        let text = std::fs::read(one.join(file)).unwrap();
        std::fs::remove_file(one.join(file)).unwrap();
        symlink(victim.join("file"), one.join(file)).unwrap();
        refused("(ELOOP)");
        std::fs::remove_file(one.join(file)).unwrap();
        std::fs::write(one.join(file), text).unwrap();
    }
    std::fs::write(one.join("state.json"), "{\"version\": 1}").unwrap();
    refused("state.json: missing field");
    std::fs::set_permissions(&one, PermissionsExt::from_mode(0o755)).unwrap();
    refused("is open to others");
}

#[test]
fn a_program_does_not_see_what_others_have_left_in_the_store() {
    need!(userns());
    let place = project();
    place.sh(&["--overlay", ".", "--upper", "keep:one"], "echo private > file").ok();
    let out = place.sh(&["--overlay", "~", "--upper", "keep:two"], "find ~/.local; ls -A ~/.local/share/sbx");
    assert!(!out.out.contains("one") && !out.out.contains("two"), "{out:?}");
    // By another path, and in a sandbox without layers.
    let home = place.home().display().to_string();
    for flags in [
        &["--overlay", "/mnt/s", "--from", &home][..],
        &["--ro", "/mnt/s", "--from", &home],
        &["--overlay", "/mnt/s/.local", "--from", &format!("{home}/.local")],
        &["--ro", "~/.local/share"],
        &["--rw", "~/.local/share"],
        &["--rw", "~/.local/share", "--overlay", ".", "--upper", "keep:two"],
        &["--ro", "~"],
        &["--ro", "/", "--ro", "~"],
    ] {
        let out = place.sh(flags, &format!("find /mnt {home} 2>/dev/null | grep sbx$"));
        assert!(out.out.contains("/share/sbx\n"), "{flags:?}: {out:?}");
        let out = place.sh(flags, &format!("find /mnt {home} 2>/dev/null | grep share/sbx/"));
        assert_eq!(out.out, "", "{flags:?}: {out:?}");
    }
    // It cannot be moved away either.
    let moved = place.sh(&["--rw", "~/.local"], "mv ~/.local/share/sbx ~/.local/x || mv ~/.local/share ~/.local/y");
    assert!(moved.err.matches("busy").count() == 2, "{moved:?}");
    // Who names it gets it.
    assert!(place.sh(&["--ro", "~/.local/share/sbx/uppers"], "ls ~/.local/share/sbx/uppers").ok().contains("one"));
    let flags = ["--rw", "~/.local", "--ro", "~/.local/share/sbx/uppers/one"];
    let script =
        "ls ~/.local/share/sbx/uppers ~/.local/share/sbx; touch ~/.local/share/sbx/x 2>/dev/null || echo closed";
    let out = place.sh(&flags, script).ok();
    assert!(out.contains("sbx:\nuppers\n") && out.contains("uppers:\none\n") && out.ends_with("closed\n"), "{out}");
    let out = place.sh(&["--ro", "~/.local/share/sbx"], "ls -A ~/.local/share/sbx ~/.local/share/sbx/uppers").ok();
    assert!(out.contains("uppers\n") && !out.contains("one"), "{out}");
    // The first run has nothing to mask yet, and would make it.
    let place = project();
    std::fs::create_dir_all(place.home().join(".local/share")).unwrap();
    let flags = ["--overlay", "~", "--overlay", ".", "--upper", "keep:one"];
    assert_eq!(place.sh(&flags, "ls -A ~/.local/share/sbx").ok(), "");
    let place = project();
    std::fs::create_dir_all(place.home().join(".local/share")).unwrap();
    let flags = ["--rw", "~/.local/share", "--overlay", ".", "--upper", "keep:one"];
    let script = "ls -A ~/.local/share/sbx; touch ~/.local/share/sbx/x 2>/dev/null || echo closed";
    assert_eq!(place.sh(&flags, script).ok(), "closed\n");
}

#[test]
fn a_kept_layer_is_one_of_the_same_directory_and_the_same_ids() {
    need!(userns());
    let place = project();
    place.write("other/file", "other\n");
    place.sh(&["--overlay", ".", "--upper", "keep:one"], "true").ok();
    let from = place.dir.path().join("other").display().to_string();
    let error = place.sh(&["--overlay", ".", "--from", &from, "--upper", "keep:one"], "true").failed(125);
    assert!(error.contains("and is now to lie over"), "{error}");
    let error = place.sh(&["--overlay", ".", "--upper", "keep:one", "--user", "root"], "true").failed(125);
    assert!(error.contains("of a sandbox with other ids") && error.contains("(--user self)"), "{error}");
    // Nothing is kept of a program that never ran.
    place.run(&["--overlay", ".", "--upper", "keep:three", "--", "no-such-program"]).failed(127);
    assert!(!store(&place).join("three").exists());
}

#[test]
fn names_of_layers_and_files_as_overlays_are_refused() {
    need!(userns());
    let place = project();
    for name in ["keep:../x", "keep:", "keep:a/b", "keep:LAST", "kept"] {
        place.sh(&["--overlay", ".", "--upper", name], "true").failed(125);
    }
    let error = place.sh(&["--overlay", "file"], "true").failed(125);
    assert!(error.contains("a file cannot be `overlay`"), "{error}");
    place.write("work/.sbx.toml", "schema = 1\n[filesystem]\nroot = []\n");
    place.sh(&[], "true").failed(125);
    place.write("work/.sbx.toml", "schema = 1\n[filesystem]\nupper = \"keep:mine\"\n");
    let error = place.sh(&[], "true").failed(125);
    assert!(error.contains("a project's file cannot set `filesystem.upper`"), "{error}");
}

#[test]
fn the_lock_does_not_reach_the_program() {
    need!(userns());
    let place = project();
    let file = std::fs::File::open("/dev/null").unwrap();
    let mut command = place.command();
    command.args([
        "--overlay",
        ".",
        "--upper",
        "keep:one",
        "--keep-fd",
        "77",
        "--",
        "/bin/sh",
        "-c",
        "ls /proc/self/fd",
    ]);
    pass(&mut command, &file, 77);
    let out = ran(command.output().unwrap()).ok();
    assert_eq!(out.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3", "77"]);
}
