//! Overlays over the view server's filesystem: files of other users belong to root inside and can be changed there, what is
//! below mount points comes along, and neither the server's end nor a hostile tree does harm.

mod common;

use common::{Place, Ran, fuse, not_root, ran, sbx, tick, tools, until, userns};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs sbx with these arguments on a host where `work/sub` is a mount. `setup` is a shell script that runs before, in `work`.
fn on_mount(place: &Place, setup: &str, args: &[&str]) -> Ran {
    std::fs::create_dir_all(place.work().join("sub")).unwrap();
    let script = format!(
        "mount -t tmpfs none sub && {setup}\nexec setpriv --ambient-caps=-all --inh-caps=-all --bounding-set=-all -- \"$@\""
    );
    let mut command = Command::new("unshare");
    command.args(["-cm", "--keep-caps", "/bin/sh", "-c", &script, "sh"]).arg(sbx()).args(args);
    command.current_dir(place.work()).env("HOME", place.home()).env("NO_COLOR", "1");
    ran(command.output().unwrap())
}

/// The program of a sandbox: a shell script.
fn sh(script: &str) -> [&str; 4] {
    ["--", "/bin/sh", "-c", script]
}

/// A file in /etc of root's for which this holds: whether its permissions grant others reading.
fn file_of_root(readable: bool) -> Option<PathBuf> {
    let entries = std::fs::read_dir("/etc").unwrap().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.sort();
    let own = ["passwd", "group", "shadow", "gshadow", "hosts", "hostname", "resolv.conf", "sudoers"];
    files.into_iter().find(|path| {
        let named = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| own.contains(&name));
        path.symlink_metadata().is_ok_and(|facts| {
            let granted = facts.mode() & 0o044;
            facts.is_file() && facts.uid() == 0 && !named && granted == if readable { 0o044 } else { 0 }
        })
    })
}

#[test]
fn files_of_root_are_roots_inside_and_are_changed_there_alone() {
    need!(userns(), fuse(), not_root());
    let place = Place::new();
    let file = file_of_root(true).unwrap();
    let before = std::fs::read(&file).unwrap();
    let path = file.display();
    let script = format!(
        "stat -c %u:%g:%a /etc {path}; echo more >> {path}; tail -n 1 {path}; mkdir /etc/new; rm {path}; ls {path} 2>&1 | wc -l; \
         cp /etc/passwd /etc/p; mv /etc/p /etc/passwd && echo replaced"
    );
    let ran = place.sh(&["--user", "root", "--overlay", "/etc"], &script);
    let mode = |path: &Path| format!("0:0:{:o}\n", std::fs::metadata(path).unwrap().mode() & 0o7777);
    assert_eq!(ran.out, format!("{}{}more\n1\nreplaced\n", mode(Path::new("/etc")), mode(&file)), "{}", ran.err);
    assert!(ran.err.contains("in /etc, all files are shown as root's"), "{}", ran.err);
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert!(!Path::new("/etc/new").exists());
}

#[test]
fn with_subordinate_ids_owners_are_those_of_the_host() {
    need!(userns(), fuse(), not_root());
    let place = Place::new();
    let script = "stat -c %n:%u:%g $(find /var/lib /var/cache -maxdepth 1 -type d) | sort; \
                  mkdir /var/new && chown 33:42 /var/new && stat -c %u:%g /var/new >&2";
    let caps = "security.capabilities=[\"CAP_CHOWN\", \"CAP_DAC_OVERRIDE\"]";
    let ran = place.sh(&["--user", "range", "--set", caps, "--overlay", "/var"], script);
    if ran.status != Some(0) && ran.err.contains("subordinate") {
        return; // the tests of `range` say so
    }
    assert!(ran.err.contains("33:42"), "{ran:?}");
    let mut seen = 0;
    for line in ran.out.lines() {
        let mut parts = line.split(':');
        let Ok(facts) = std::fs::metadata(parts.next().unwrap()) else { continue };
        let shown: Vec<u32> = parts.map(|id| id.parse().unwrap()).collect();
        if facts.uid() < 1000 && facts.gid() < 1000 {
            assert_eq!(shown, [facts.uid(), facts.gid()], "{line}");
            seen += 1;
        }
    }
    assert!(seen > 3, "{}", ran.out);
}

#[test]
fn a_file_that_the_user_may_not_read_is_empty_and_has_its_mode() {
    need!(userns(), fuse(), not_root());
    let place = Place::new();
    let Some(file) = file_of_root(false) else { return };
    let path = file.display();
    let script = format!("stat -c %s:%u:%a {path}; cat {path}; echo x >> {path} && cat {path}; cat /etc/shadow");
    let keep = ["--user", "root", "--overlay", "/etc", "--upper", "keep:one"];
    let ran = place.sh(&keep, &script);
    let mode = std::fs::metadata(&file).unwrap().mode() & 0o7777;
    let shadow = ran.out.strip_prefix(&format!("0:0:{mode:o}\nx\n")).unwrap_or_else(|| panic!("{ran:?}"));
    assert!(shadow.lines().any(|line| line == "root:*:::::::"), "accounts without a password: {shadow}");
    let listed = place.run(&["diff", "one"]).ok();
    assert_eq!(listed, format!("M {path}\n"));
    let committed = place.run(&["commit", "one", "--dry-run"]);
    assert!(committed.err.contains("the program saw an empty one"), "{committed:?}");
}

#[test]
fn the_views_own_files_are_in_no_diff_and_no_export() {
    need!(userns(), fuse(), not_root(), tools(&["tar"]));
    let place = Place::new();
    let keep = ["--user", "root", "--overlay", "/etc", "--upper", "keep:one"];
    let script = "echo me:x:7:7::/: >> /etc/passwd; echo 1.2.3.4 name >> /etc/hosts; echo x > /etc/mine; grep -c ^me: /etc/passwd";
    assert_eq!(place.sh(&keep, script).ok(), "1\n");
    assert_eq!(place.sh(&keep, "grep -c ^me: /etc/passwd").ok(), "1\n", "the next run of that name sees them");
    assert_eq!(place.run(&["diff", "one"]).ok(), "A /etc/mine\n");
    place.run(&["export", "one", "-o", "layer.tar"]).ok();
    let listed = Command::new("tar").args(["tf", "layer.tar"]).current_dir(place.work()).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("etc/mine") && !listed.contains("passwd") && !listed.contains("hosts"), "{listed}");
}

#[test]
fn what_is_below_a_mount_point_comes_along() {
    need!(userns(), fuse(), tools(&["unshare", "setpriv", "mount"]));
    let place = Place::new();
    place.write("work/file", "old\n");
    let script =
        "cat file sub/inner sub/deep/er; echo new > sub/inner; rm -r sub/deep; ls sub; mv sub/inner here; cat here";
    let args = [&["--overlay", "."][..], &sh(script)].concat();
    let ran = on_mount(&place, "mkdir sub/deep; echo inner > sub/inner; echo er > sub/deep/er", &args);
    assert_eq!(ran.ok(), "old\ninner\ner\ninner\nnew\n");
    assert_eq!(std::fs::read_to_string(place.work().join("file")).unwrap(), "old\n");
    let setup = "mount -t proc none sub; mkdir -p one";
    let args = [&["--overlay", "."][..], &sh("ls -A sub | wc -l")].concat();
    let ran = on_mount(&place, setup, &args);
    assert!(ran.status != Some(0) || ran.out == "0\n", "an interface to the kernel is shown empty: {ran:?}");
}

#[test]
fn the_end_of_the_server_ends_the_sandbox_and_what_was_written_stays() {
    need!(userns(), fuse(), not_root());
    let place = Place::new();
    let mut command = place.command();
    command.args(["--user", "root", "--overlay", "/etc", "--upper", "keep:one", "--", "/bin/sh", "-c"]);
    command
        .arg("echo kept > /etc/kept; cat /etc/debian_version >/dev/null; while :; do ls -R /etc >/dev/null 2>&1; done");
    command.stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let upper = place.home().join(".local/share/sbx/uppers/one/0/upper/kept");
    until(|| std::fs::read_to_string(&upper).is_ok_and(|text| text == "kept\n"));
    let server = || {
        let children = common::process::children(child.id());
        children
            .into_iter()
            .find(|child| !common::process::with_line("sbx-view-server").iter().all(|(pid, _)| *pid != *child as i32))
    };
    common::process::signal(server().expect("a view server") as i32, libc::SIGKILL);
    let ended = ran(child.wait_with_output().unwrap());
    let error = ended.failed(125);
    assert!(
        error.contains("sbx-view-server ended (signal: 9") && error.contains("what it has changed stays"),
        "{error}"
    );
    let keep = ["--user", "root", "--overlay", "/etc", "--upper", "keep:one"];
    assert_eq!(place.sh(&keep, "cat /etc/kept").ok(), "kept\n");
    assert_eq!(place.run(&["diff", "one"]).ok(), "A /etc/kept\n");
}

#[test]
fn a_file_that_changes_underneath_is_never_mixed() {
    need!(userns(), fuse(), tools(&["unshare", "setpriv", "mount", "mkfifo", "dd"]));
    let place = Place::new();
    std::fs::create_dir_all(place.work().join("shared")).unwrap();
    // The program asks by one pipe, and is told by the other that the host's files have changed.
    let setup = "mkfifo shared/ask shared/told
        head -c 4M /dev/zero | tr '\\0' a > sub/held; cp sub/held sub/read; cp sub/held sub/replaced; cp sub/held sub/truncated
        cp -p sub/held sub/like; echo one > sub/seen; echo one > sub/new; echo one > sub/deleted
        (timeout 60 cat shared/ask
         head -c 4M /dev/zero | tr '\\0' b > sub/other; cp sub/other sub/held; cp sub/other sub/read
         cp sub/other sub/b; touch -r sub/like sub/b; mv sub/b sub/like; mv sub/other sub/replaced
         : > sub/truncated; echo second > sub/seen; echo second > sub/new; rm sub/deleted
         timeout 60 sh -c 'echo > shared/told') > /dev/null 2>&1 &";
    let script = "exec 3< sub/held; head -c 4096 <&3 > /dev/null
        for file in read replaced truncated like deleted; do head -c 4096 sub/$file > /dev/null; done; stat -c %s sub/seen
        echo > shared/ask; read line < shared/told
        (cat <&3 2> /dev/null || echo stopped >&2) | tr -d a | wc -c
        for file in read replaced truncated like; do dd if=sub/$file bs=4096 2>/dev/null | tr -d a | wc -c; done; cat sub/seen sub/new
        cat sub/deleted 2> /dev/null; sleep 1.2; stat -c %s sub/seen";
    let args = [&["--overlay", ".", "--rw", "shared"][..], &sh(script)].concat();
    let ran = on_mount(&place, setup, &args);
    let whole = (4 << 20).to_string();
    let expected = ["4", "0", &whole, &whole, "0", &whole, "second", "second", "7"];
    assert_eq!(
        ran.out.lines().collect::<Vec<_>>(),
        expected,
        "what is opened anew is the new file, as a whole: {ran:?}"
    );
    assert!(ran.err.contains("stopped"), "what was open has nothing of the new content: {ran:?}");
    assert!(ran.err.contains("a file of the host was changed while the program used it"), "{ran:?}");
}

#[test]
fn a_commit_keeps_the_attributes_that_the_program_was_not_shown() {
    need!(userns(), fuse(), tools(&["unshare", "setpriv", "mount", "setfacl", "getfacl", "python3"]));
    let place = Place::new();
    for file in ["own", "other", "last", "dir/inner"] {
        place.write(&format!("work/{file}"), "one\n");
    }
    let host = |script: &str| {
        let ran = Command::new("/bin/sh").args(["-ec", script]).current_dir(place.work()).output().unwrap();
        ran.status.success().then(|| String::from_utf8(ran.stdout).unwrap())
    };
    let facts = "getfacl -cnE own other dir; python3 -c 'import os
for file in [\"own\", \"dir\"]: print(os.getxattr(file, \"user.mine\"))'";
    // A filesystem without attributes has nothing to lose.
    let set = "chmod 600 own other; setfacl -m u:$(id -u):rw,d:u:$(id -u):rwx dir; setfacl -m u:$(id -u):rw own; setfacl -m u:1:rw other
        python3 -c 'import os
for file in [\"own\", \"dir\"]: os.setxattr(file, \"user.mine\", b\"x\")'; ";
    let Some(before) = host(&format!("{set}{facts}")) else { return };
    std::thread::sleep(std::time::Duration::from_millis(20));
    let script = "for file in own other last; do echo two >> $file; done; chmod 700 dir; chmod 775 dir; stat -c %a own";
    let args = [&["--overlay", ".", "--upper", "keep:one"][..], &sh(script)].concat();
    on_mount(&place, "true", &args).ok();
    let ran = place.run(&["commit", "one"]);
    assert_eq!(host(facts), Some(before), "{ran:?}");
    let text = |file: &str| std::fs::read_to_string(place.work().join(file)).unwrap();
    // `other` has a list that names an id which is not known inside.
    assert_eq!([text("own"), text("other"), text("last")], ["one\ntwo\n"; 3], "{ran:?}");
    ran.ok();
}

#[test]
fn a_renamed_file_keeps_the_list_that_the_program_was_not_shown() {
    need!(userns(), fuse(), tools(&["unshare", "setpriv", "mount", "setfacl", "getfacl"]));
    let place = Place::new();
    for (file, content) in
        [("kept", "kept\n"), ("dir/inner", "inner\n"), ("old", "old\n"), ("plain", "plain\n"), ("log", "log\n")]
    {
        place.write(&format!("work/{file}"), content);
    }
    place.write("work/over", "over\n");
    let host = |script: &str| {
        let ran = Command::new("/bin/sh").args(["-ec", script]).current_dir(place.work()).output().unwrap();
        ran.status.success().then(|| String::from_utf8(ran.stdout).unwrap())
    };
    // The mask allows the user with the id 1 what the group of the file may not.
    let set =
        "chmod 600 *; setfacl -m u:1:rw kept old log over; setfacl -m u:1:rw dir/inner; chmod 700 dir; getfacl -cn log";
    let Some(list) = host(set) else { return };
    tick();
    let script = "mv kept renamed; mv dir/inner moved; rmdir dir; mv old old~; echo new > old; mv plain over; mv log log.1; \
                  echo more >> log.1";
    let args = [&["--overlay", ".", "--upper", "keep:one"][..], &sh(script)].concat();
    on_mount(&place, "true", &args).ok();
    let ran = place.run(&["commit", "one"]);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    for file in ["renamed", "moved", "old", "old~", "log"] {
        assert_eq!(host(&format!("getfacl -cn {file}")).as_ref(), Some(&list), "{file}: {ran:?}");
    }
    // What was moved over a file with a list had none.
    assert_eq!(host("getfacl -cn over").unwrap(), "user::rw-\ngroup::---\nother::---\n\n", "{ran:?}");
    // What was changed as well cannot be told from a file without a list, and its group may do what the mask allowed.
    assert!(ran.err.contains("/log.1: it was renamed and changed, and may have had an access control list"), "{ran:?}");
    assert!(!place.work().join("log.1").exists());
    place.run(&["commit", "one", "log.1"]).ok();
    assert!(place.work().join("log.1").exists());
    place.run(&["commit", "one"]).ok();
    assert!(!place.work().join("log").exists());
}

#[test]
fn a_hostile_tree_leads_nowhere_and_gives_no_rights() {
    need!(userns(), fuse(), tools(&["unshare", "setpriv", "mount", "mkfifo", "ln", "mknod"]));
    let place = Place::new();
    place.write("secret", "secret\n");
    let secret = place.dir.path().join("secret");
    let setup = format!(
        "cp /bin/true sub/suid; chmod 6755 sub/suid; ln -s {0} sub/out; ln -s ../../secret sub/up; ln -s /proc/1/root/{0} sub/magic
         mkfifo sub/fifo; mknod sub/gone c 0 0; echo x > \"sub/new
line\"; echo x > \"$(printf 'sub/\\377')\"; ln sub/suid sub/hard",
        secret.display()
    );
    let script = "cat sub/out sub/up sub/magic 2>/dev/null; ls -A sub/gone 2>&1 | wc -l; stat -c %a sub/suid; \
                  grep ' /.*work ' /proc/self/mountinfo | grep -c nosuid,nodev; ls sub | wc -l; stat -c %F sub/fifo; \
                  cat sub/new* | wc -l; rm -r sub/* && ls -A sub | wc -l";
    let args = [&["--overlay", "."][..], &sh(script)].concat();
    let out = on_mount(&place, &setup, &args).ok();
    assert!(!out.contains("secret"), "{out}");
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.first(), Some(&"1"), "a whiteout is no file: {out}");
    assert_eq!(lines.get(1), Some(&"6755"));
    assert_eq!(lines.get(2), Some(&"1"), "its mount grants neither set-ID bits nor devices: {out}");
    assert_eq!(lines.last(), Some(&"0"));
    assert!(lines.contains(&"fifo"), "{out}");
}

#[test]
fn a_flood_of_requests_finds_a_server_with_few_descriptors() {
    need!(userns(), fuse(), tools(&["unshare", "setpriv", "mount", "seq"]));
    let place = Place::new();
    let setup = "for dir in $(seq 60); do mkdir sub/$dir; for file in $(seq 20); do echo $file > sub/$dir/$file; done; done; ulimit -n 128";
    let script = "for i in 1 2 3; do (find sub -type f -exec cat {} + | wc -l) & done; wait; i=0; \
                  while [ $i -lt 2000 ]; do [ ! -e sub/none$i ] || echo wrong; i=$((i + 1)); done; find . -type f -name 20 | wc -l";
    let args = [&["--overlay", "."][..], &sh(script)].concat();
    assert_eq!(on_mount(&place, setup, &args).ok(), "1200\n1200\n1200\n60\n");
}

#[test]
fn a_server_that_hangs_does_not_keep_the_sandbox_from_ending() {
    need!(userns(), fuse(), not_root());
    let place = Place::new();
    let mut command = place.command();
    command.args(["--timeout", "3s", "--user", "root", "--overlay", "/usr", "--", "/bin/sh", "-c"]);
    command.arg("for i in 1 2 3; do find /usr -type f -exec cat {} + > /dev/null 2>&1 & done; echo ready; wait");
    command.stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
    let servers: Vec<_> = common::process::with_line("sbx-view-server").into_iter().map(|(pid, _)| pid).collect();
    let children = common::process::children(child.id());
    let server = children.into_iter().find(|child| servers.contains(&(*child as i32))).expect("a view server");
    // As if a directory of the host did not answer any more, at a moment when the server works for the program: what waits
    // for an answer to a request that the server has read cannot be killed.
    std::thread::sleep(std::time::Duration::from_millis(300));
    common::process::signal(server as i32, libc::SIGSTOP);
    assert!(until(|| child.try_wait().unwrap().is_some()), "it has ended");
    assert_eq!(child.wait().unwrap().code(), Some(124));
    assert!(!Path::new(&format!("/proc/{server}")).exists(), "and so has the server");
}

/// A FUSE filesystem with one file, whose content is given to nobody: `python3 -c HANGS DIR COMMAND...`. With LETS_GO=yes, it
/// lets go who is interrupted while it waits, as NFS does.
const HANGS: &str = r#"
import ctypes, os, struct, subprocess, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fd},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}".encode()
if libc.mount(b"hang", sys.argv[1].encode(), b"fuse", 6, options) != 0:
    sys.exit(f"mount: {os.strerror(ctypes.get_errno())}")
def attributes(node):
    mode, size = (0o40755, 0) if node == 1 else (0o100644, 5)
    return struct.pack("<6Q10I", node, size, 1, 0, 0, 0, 0, 0, 0, mode, 1, os.getuid(), os.getgid(), 0, 4096, 0)
def serve():
    while True:
        try: request = os.read(fd, 1 << 20)
        except OSError: return
        length, code, unique, node = struct.unpack_from("<IIQQ", request)
        if code == 26: out = struct.pack("<IIIIHHIIHHI7I", 7, 31, 65536, 0, 16, 12, 65536, 1, 16, 0, 0, *[0] * 7)
        elif code == 1: out = struct.pack("<QQQQII", 2, 0, 3600, 3600, 0, 0) + attributes(2) if request[40:-1] == b"file" else None
        elif code == 3: out = struct.pack("<QII", 3600, 0, 0) + attributes(node)
        elif code in (14, 27): out = struct.pack("<QII", 0, 0, 0)
        elif code == 28: out = b"" if struct.unpack_from("<QQ", request, 40)[1] else struct.pack("<QQII", 2, 1, 4, 8) + b"file".ljust(8, b"\0")
        elif code == 15:
            open("asked", "w").close()
            continue
        # An interruption: of the request that it names.
        elif code == 36:
            if os.environ["LETS_GO"] == "yes": os.write(fd, struct.pack("<IiQ", 16, -4, struct.unpack_from("<Q", request, 40)[0]))
            continue
        elif code in (2, 42): continue
        elif code in (18, 25, 29): out = b""
        else: out = False
        error = -2 if out is None else -38 if out is False else 0
        data = out or b""
        os.write(fd, struct.pack("<IiQ", 16 + len(data), error, unique) + data)
threading.Thread(target=serve, daemon=True).start()
sys.exit(subprocess.run(sys.argv[2:]).returncode)
"#;

/// Starts a program that reads from such a filesystem in `work/sub`, for three seconds.
fn hanging(place: &Place, lets_go: &str, mechanism: &str) -> std::process::Child {
    std::fs::create_dir(place.work().join("sub")).unwrap();
    let script = "exec python3 -c \"$0\" sub setpriv --ambient-caps=-all --inh-caps=-all --bounding-set=-all -- \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-cm", "--keep-caps", "/bin/sh", "-c", script, HANGS]).arg(sbx());
    command.args(["--timeout", "3s", "--set", &format!("filesystem.mechanism=\"{mechanism}\"")]);
    command.args(["--overlay", ".", "--", "cat", "sub/file"]);
    command.current_dir(place.work()).env("HOME", place.home()).env("LETS_GO", lets_go);
    command.stderr(std::process::Stdio::piped()).spawn().unwrap()
}

/// Ends what serves the filesystem: with it ends the filesystem, and what waits for it goes on.
fn end(child: &std::process::Child) {
    // unshare, sh and python3 are one process after another.
    common::process::signal(child.id() as i32, libc::SIGKILL);
}

#[test]
fn a_directory_of_the_host_that_hangs_does_not_keep_the_sandbox_from_ending() {
    need!(userns(), fuse(), tools(&["unshare", "setpriv", "mount", "python3"]));
    for mechanism in ["overlay", "fuse"] {
        let place = Place::new();
        let mut child = hanging(&place, "yes", mechanism);
        let ended = until(|| child.try_wait().unwrap().is_some());
        if !ended {
            end(&child);
        }
        assert!(place.work().join("asked").exists(), "the server waits for the file's content");
        assert!(ended, "the sandbox waits for the server, and that for the file");
        assert_eq!(child.wait().unwrap().code(), Some(124));
    }
}

#[test]
fn who_waits_for_a_filesystem_that_lets_nobody_go_is_told() {
    need!(userns(), fuse(), tools(&["unshare", "setpriv", "mount", "python3"]));
    let place = Place::new();
    let mut child = hanging(&place, "no", "overlay");
    let mut text = String::new();
    let mut errors = std::io::BufReader::new(child.stderr.take().unwrap());
    while !text.contains("does not answer") && std::io::BufRead::read_line(&mut errors, &mut text).unwrap() > 0 {}
    assert!(text.contains("a process of the sandbox cannot be ended while it waits for a filesystem"), "{text}");
    end(&child);
    assert!(until(|| child.try_wait().unwrap().is_some()));
}

#[test]
fn an_export_is_a_tree_that_the_hosts_own_lies_below() {
    need!(userns(), fuse(), not_root(), tools(&["tar"]));
    let place = Place::new();
    let keep = ["--user", "root", "--overlay", "/usr", "--upper", "keep:one"];
    let script = "printf '#!/bin/sh\necho installed\n' > /usr/bin/of-the-layer; chmod +x /usr/bin/of-the-layer";
    place.sh(&keep, script).ok();
    place.run(&["export", "one", "-o", "layer.tar"]).ok();
    std::fs::create_dir(place.work().join("tree")).unwrap();
    let unpacked = Command::new("tar").args(["xf", "layer.tar", "-C", "tree"]).current_dir(place.work()).status();
    assert!(unpacked.unwrap().success());
    let roots = format!("filesystem.root=[\"dir:{}/tree\", \"dir:/\"]", place.work().display());
    let ran = place.sh(
        &["--set", &roots],
        "of-the-layer; (echo x > /usr/bin/x) 2> /dev/null || echo read-only; ls -A /proc/1 | wc -l",
    );
    let out = ran.ok();
    assert!(out.starts_with("installed\nread-only\n") && !out.ends_with("\n0\n"), "{out}");
}

/// The options of an overlay over the current directory that is kept as `one`.
const KEEP: [&str; 4] = ["--overlay", ".", "--upper", "keep:one"];

fn text(place: &Place, path: &str) -> String {
    std::fs::read_to_string(place.work().join(path)).unwrap_or_default()
}

#[test]
fn what_the_server_showed_empty_is_not_deleted_by_a_commit() {
    need!(userns(), fuse(), not_root(), tools(&["unshare", "setpriv", "mount"]));
    let place = Place::new();
    let all = [("closed", 0o644), ("dir/closed", 0o644), ("way/inner", 0o755), ("listed/inner", 0o755)];
    for path in ["closed", "dir/closed", "way/inner/file", "listed/inner/file"] {
        place.write(&format!("work/{path}"), "precious\n");
    }
    let close = |path: &str, mode| {
        std::fs::set_permissions(place.work().join(path), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    all.iter().for_each(|(path, _)| close(path, 0));
    // It can be listed, and nothing in it looked at.
    close("listed/inner", 0o400);
    tick();
    let script = "mv closed moved; rm -rf closed dir way listed; echo x > a; echo x > z; cat moved | wc -c";
    let ran = on_mount(&place, ":", &[&KEEP[..], &sh(script)].concat());
    tick();
    let diff = place.run(&["diff", "one"]);
    let dry = place.run(&["commit", "one", "--dry-run"]);
    let commit = place.run(&["commit", "one"]);
    all.iter().for_each(|(path, mode)| close(path, *mode));
    let seen = format!("{ran:?} {diff:?} {commit:?}");
    for path in ["closed", "dir/closed", "way/inner/file", "listed/inner/file"] {
        assert_eq!(text(&place, path), "precious\n", "{path}: {seen}");
    }
    assert_eq!((text(&place, "a"), text(&place, "z")), ("x\n".into(), "x\n".into()), "the rest goes on: {seen}");
    assert!(commit.err.contains("you cannot read"), "{seen}");
    assert_eq!((&dry.out, dry.status, Some(1)), (&commit.out, commit.status, commit.status), "{dry:?} {seen}");
    assert!(diff.out.contains("D!"), "{seen}");
}

#[test]
fn what_the_host_changes_while_an_overlay_is_served_is_not_overwritten() {
    need!(userns(), fuse(), not_root(), tools(&["unshare", "setpriv", "mount", "mkfifo"]));
    let place = Place::new();
    let files =
        ["appended", "replaced", "truncated", "deleted", "chmod", "swapped/dir/file", "swapped/dir/gone", "quiet"];
    for path in files {
        place.write(&format!("work/{path}"), "one\n");
    }
    place.write("work/other/file", "another\n");
    place.write("work/other/gone", "another\n");
    std::fs::create_dir_all(place.work().join("shared")).unwrap();
    tick();
    // The program looks, asks the host by one pipe, and is told by the other that the host's files have changed.
    let setup = "mkfifo shared/ask shared/told
        (timeout 60 cat shared/ask
         echo HOST >> appended; echo HOST > new; mv new replaced; : > truncated; rm deleted; chmod 640 chmod
         mv swapped/dir swapped/old; mv other swapped/dir
         timeout 60 sh -c 'echo > shared/told') > /dev/null 2>&1 &";
    let script = "cat appended replaced truncated deleted chmod swapped/dir/* quiet > /dev/null; ls -lR . > /dev/null
        echo > shared/ask; read line < shared/told
        for f in appended replaced truncated deleted chmod swapped/dir/file quiet; do echo two >> $f; done 2> /dev/null; rm -f swapped/dir/gone; true";
    let ran = on_mount(&place, setup, &[&KEEP[..], &["--rw", "shared"], &sh(script)].concat());
    tick();
    let diff = place.run(&["diff", "one"]);
    let commit = place.run(&["commit", "one"]);
    let seen = format!("{ran:?} {diff:?} {commit:?}");
    let now = ["appended", "replaced", "truncated", "chmod", "swapped/dir/file", "swapped/dir/gone", "quiet"];
    let expected = ["one\nHOST\n", "HOST\n", "", "one\n", "another\n", "another\n", "one\ntwo\n"];
    assert_eq!(now.map(|path| text(&place, path)), expected, "{seen}");
    assert_eq!(commit.status, Some(1), "{seen}");
    // What the commit itself did is no change of the host's for the next run.
    let ran = on_mount(
        &place,
        ":",
        &[&KEEP[..], &sh("cat quiet; echo three >> quiet; rm truncated; echo x > truncated")].concat(),
    );
    let commit = place.run(&["commit", "one", &place.work().join("quiet").display().to_string()]);
    assert_eq!(text(&place, "quiet"), "one\ntwo\nthree\n", "{ran:?} {commit:?}");
}
