//! Overlays when something fails below them: full disks, upper layers that are deleted, files of the host that change, filesystems that
//! hang; each by the kernel's overlay and by the FUSE union. Nothing of the host's is lost or spoiled.

mod common;

use common::{Place, Ran, fuse, ran, sbx, tick, tools, until, userns};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const MECHANISMS: [&str; 2] = ["filesystem.mechanism=\"overlay\"", "filesystem.mechanism=\"fuse\""];

/// The options of an overlay over the current directory that is kept as `one`, by a mechanism.
fn keep(mechanism: &str) -> [&str; 6] {
    ["--set", mechanism, "--overlay", ".", "--upper", "keep:one"]
}

/// Runs a script, with sbx as `$1`, where a directory beside the current one is a filesystem of 4 MiB: `at`.
fn on_small(place: &Place, at: &str, script: &str) -> Ran {
    let script = format!(
        "exec 2>&1; mkdir -p ../{at} && mount -t tmpfs -o size=4M none ../{at} && exec setpriv --ambient-caps=-all --inh-caps=-all \
         --bounding-set=-all -- /bin/sh -c '{script}' sh \"$1\""
    );
    let mut command = Command::new("unshare");
    command.args(["-cm", "--keep-caps", "/bin/sh", "-c", &script, "sh"]).arg(sbx());
    command.current_dir(place.work()).env("HOME", place.home()).env("NO_COLOR", "1");
    ran(command.output().unwrap())
}

fn upper(place: &Place) -> PathBuf {
    place.home().join(".local/share/sbx/uppers/one/0/upper")
}

#[test]
fn a_full_disk_is_an_error_inside_and_spoils_no_file() {
    need!(userns(), fuse(), tools(&["unshare", "setpriv", "mount"]));
    for mechanism in MECHANISMS {
        let place = Place::new();
        place.write("work/file", "old\n");
        std::fs::write(place.work().join("large"), vec![b'x'; 8 << 20]).unwrap();
        // The kernel tells the union's server a little later that it has forgotten a file.
        let inside = "echo new >> file; echo y >> large && echo there is room; head -c 8M /dev/zero > big || echo full; wc -c < large; \
                      rm big; for i in 1 2 3 4 5 6 7 8 9; do (echo after > after) 2>/dev/null && break; sleep 0.2; done; cat file after";
        let script = format!(
            "export XDG_DATA_HOME=$PWD/../small; \"$1\" -q {} -- /bin/sh -c \"{inside}\"; \"$1\" diff one; \"$1\" commit one > /dev/null || echo failed",
            keep(mechanism).map(|word| word.replace('"', "\\\"")).join(" ")
        );
        let ran = on_small(&place, "small", &script);
        if common::kernel() < (6, 6) {
            // There, a tmpfs takes no upper layer.
            assert!(ran.out.contains("tmpfs before Linux 6.6") || ran.out.contains("takes no"), "{mechanism}: {ran:?}");
            continue;
        }
        let work = place.work().canonicalize().unwrap().display().to_string();
        let out = ran.out.replace(&work, ".");
        assert!(!out.contains("there is room") && !out.contains("failed"), "{mechanism}: {out}");
        assert!(out.matches("No space left on device").count() >= 2, "{mechanism}: {out}");
        assert!(out.contains("full\n8388608\nold\nnew\nafter\n"), "{mechanism}: {out}");
        assert!(
            out.contains("A ./after") && out.contains("M ./file") && !out.contains("large\n"),
            "{mechanism}: {out}"
        );
        let text = |path: &str| std::fs::read_to_string(place.work().join(path)).unwrap();
        assert_eq!(
            (text("file"), text("after"), text("large").len()),
            ("old\nnew\n".into(), "after\n".into(), 8 << 20)
        );
    }
}

#[test]
fn a_commit_onto_a_full_disk_leaves_the_old_file_and_the_next_one_finishes_it() {
    need!(userns(), tools(&["unshare", "setpriv", "mount"]));
    let place = Place::new();
    let script = "cd ../full; echo old > file; mkdir dir; echo x > dir/x; mkdir ../elsewhere; cd ../full
        \"$1\" -q --overlay . --upper keep:one -- /bin/sh -c \"head -c 3M /dev/zero > file; rm -r dir; echo a > a; echo z > z\"
        head -c 3M /dev/zero > ballast; \"$1\" commit one && echo done at once; cat file; ls -A; rm ballast; \"$1\" commit one > /dev/null && echo done
        wc -c < file; cat a z; ls -A; \"$1\" diff one";
    let out = on_small(&place, "full", script).out;
    assert!(!out.contains("done at once") && out.contains("ENOSPC"), "{out}");
    assert!(out.contains("\nold\n"), "the old file is whole: {out}");
    assert!(!out.contains(".sbx-commit"), "nothing is left beside: {out}");
    assert!(out.ends_with("done\n3145728\na\nz\na\nfile\nz\n"), "{out}");
}

#[test]
fn an_upper_layer_that_is_deleted_underneath_takes_nothing_of_the_hosts_along() {
    need!(userns(), fuse());
    for mechanism in MECHANISMS {
        let place = Place::new();
        place.write("work/file", "old\n");
        place.write("work/dir/inner", "inner\n");
        let mut command = place.command();
        let script = "echo new >> file; echo x > dir/x; echo ready; read line; echo more >> file; echo y > dir/y; mkdir -p dir/deep; rm -rf dir; cat file; exit 0";
        command.args(["-q"]).args(keep(mechanism)).args(["--", "/bin/sh", "-c", script]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut ready = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        std::fs::remove_dir_all(upper(&place)).unwrap();
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"go\n").unwrap();
        assert!(until(|| child.try_wait().unwrap().is_some()), "{mechanism}: it has ended");
        let ended = child.wait_with_output().unwrap();
        let text = |path: &str| std::fs::read_to_string(place.work().join(path)).unwrap();
        assert_eq!((text("file"), text("dir/inner")), ("old\n".into(), "inner\n".into()), "{mechanism}: {ended:?}");
        // What is left of the layers is told, and can be thrown away.
        let next = place.sh(&keep(mechanism), "cat file");
        let commit = place.run(&["commit", "one"]);
        assert!(next.status == Some(0) || next.err.contains("sbx: "), "{mechanism}: {next:?}");
        assert_eq!((text("file"), text("dir/inner")), ("old\n".into(), "inner\n".into()), "{mechanism}: {commit:?}");
        place.run(&["discard", "one"]).ok();
        assert_eq!(place.sh(&keep(mechanism), "cat file").ok(), "old\n");
    }
}

#[test]
fn another_sandbox_goes_on_while_a_program_floods_the_server_of_its_own() {
    need!(userns(), fuse(), tools(&["python3"]));
    let (place, other) = (Place::new(), Place::new());
    place.write("work/file", "old\n");
    other.write("work/file", "old\n");
    let flood = "import os, threading
def run(n):
    held = []
    while True:
        for i in range(500):
            try: held.append(os.open('f%d-%d' % (n, i), os.O_RDWR | os.O_CREAT))
            except OSError: pass
            os.path.exists('none%d' % i)
        for f in held: os.close(f)
        held = []
for n in range(4): threading.Thread(target=run, args=(n,)).start()
print('ready', flush=True)";
    let mut command = place.command();
    command.args(["-q", "--set", MECHANISMS[1], "--overlay", ".", "--", "/usr/bin/python3", "-c", flood]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0; 6]).unwrap();
    let script = "i=0; while [ $i -lt 200 ]; do echo $i >> file; i=$((i + 1)); done; wc -l < file";
    let ran = other.sh(&["--set", MECHANISMS[1], "--overlay", "."], script);
    assert!(child.try_wait().unwrap().is_none(), "it floods still");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(ran.ok(), "201\n");
}

#[test]
fn a_file_of_the_host_that_changes_below_the_union_is_never_mixed() {
    need!(userns(), fuse(), tools(&["python3"]));
    let place = Place::new();
    let whole = |letter: u8| vec![letter; 4 << 20];
    for name in ["held", "read", "replaced", "truncated", "deleted", "mapped", "written"] {
        std::fs::write(place.work().join(name), whole(b'a')).unwrap();
    }
    tick();
    // The program holds and reads files, asks, and looks at them again once they have changed.
    let script = "import mmap, os, sys
fds = {name: os.open(name, os.O_RDONLY) for name in ('held', 'replaced', 'truncated', 'deleted')}
for fd in fds.values(): os.pread(fd, 4096, 0)
for name in ('read', 'written'): open(name, 'rb').read(4096)
f = os.open('mapped', os.O_RDONLY); m = mmap.mmap(f, 0, prot=mmap.PROT_READ); m[0]
print('ready', flush=True); sys.stdin.readline()
def what(read):
    try: data = read()
    except OSError as error: return os.strerror(error.errno)
    kinds = set(data)
    return 'mixed %d' % len(data) if len(kinds) > 1 else '%s %d' % (chr(kinds.pop()) if kinds else 'empty', len(data))
for name, fd in fds.items(): print('open', name, what(lambda: os.pread(fd, 8 << 20, 0)))
print('again held', what(lambda: os.pread(fds['held'], 4096, 1 << 20)))
for name in ('held', 'read', 'replaced', 'truncated', 'deleted'): print(name, what(lambda: open(name, 'rb').read()))
with open('written', 'r+b') as f: f.seek(0, 2); f.write(b'c')
print('written', what(lambda: open('written', 'rb').read()), set(open('written', 'rb').read()) == set(b'bc'))";
    let mut command = place.command();
    command.args([
        "-q",
        "--set",
        MECHANISMS[1],
        "--overlay",
        ".",
        "--upper",
        "keep:one",
        "--",
        "/usr/bin/python3",
        "-c",
        script,
    ]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0; 6]).unwrap();
    let host = |name: &str| place.work().join(name);
    for name in ["held", "read", "written"] {
        std::fs::write(host(name), whole(b'b')).unwrap();
    }
    std::fs::write(host("new"), whole(b'b')).unwrap();
    std::fs::rename(host("new"), host("replaced")).unwrap();
    std::fs::write(host("truncated"), "").unwrap();
    std::fs::remove_file(host("deleted")).unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"go\n").unwrap();
    let ended = ran(child.wait_with_output().unwrap());
    let seen = format!("{ended:?}");
    assert_eq!(ended.out.matches("mixed").count(), 1, "{seen}");
    let b = format!("b {}", 4 << 20);
    for line in [format!("held {b}"), format!("read {b}"), format!("replaced {b}"), "truncated empty 0".into()] {
        assert!(
            ended.out.lines().any(|other| other == line),
            "what is opened anew is the new file, as a whole: {line}: {seen}"
        );
    }
    assert!(
        ended.out.contains("open held a ") && ended.out.contains("again held Input/output error"),
        "what was open has nothing of the new content: {seen}"
    );
    assert_eq!(ended.out.lines().last(), Some("written mixed 4194305 True"), "{seen}");
}

#[test]
fn what_the_host_has_appended_is_not_written_over() {
    need!(userns(), fuse(), tools(&["python3", "unshare", "setpriv", "mount"]));
    // The program looks at files, and opens them as soon as they have changed: within the time that attributes are kept for.
    let script = "import os, sys
for name in ('appended', 'grown', 'shrunk'): os.stat(name); open(name).read()
print('ready', flush=True); sys.stdin.readline()
def what(name, flags, *text):
    try:
        f = os.open(name, flags)
        for t in text: os.write(f, t)
        os.close(f)
        print(name, open(name, 'rb').read())
    except OSError as error: print(name, os.strerror(error.errno))
what('appended', os.O_WRONLY | os.O_APPEND, b'two')
what('grown', os.O_RDWR, b'ONE')
what('shrunk', os.O_WRONLY | os.O_APPEND, b'two')";
    for how in ["kernel", "hybrid", "union"] {
        let place = Place::new();
        std::fs::create_dir(place.work().join("mounted")).unwrap();
        for name in ["appended", "grown", "shrunk"] {
            place.write(&format!("work/{name}"), "one one one\n");
        }
        tick();
        let before = match how {
            // Something is mounted below it: then the overlay lies over the view server.
            "hybrid" => {
                "mount -t tmpfs none mounted; exec setpriv --ambient-caps=-all --inh-caps=-all --bounding-set=-all -- \"$@\""
            }
            _ => "exec setpriv --ambient-caps=-all --inh-caps=-all --bounding-set=-all -- \"$@\"",
        };
        let mut command = Command::new("unshare");
        command.args(["-cm", "--keep-caps", "/bin/sh", "-c", before, "sh"]).arg(sbx());
        command.args([
            "-q",
            "--set",
            MECHANISMS[usize::from(how == "union")],
            "--overlay",
            ".",
            "--",
            "/usr/bin/python3",
            "-c",
            script,
        ]);
        command.current_dir(place.work()).env("HOME", place.home()).env("NO_COLOR", "1");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0; 6]).unwrap();
        let append = |name: &str, text: &str| {
            let file = std::fs::OpenOptions::new().append(true).open(place.work().join(name));
            std::io::Write::write_all(&mut file.unwrap(), text.as_bytes()).unwrap();
        };
        append("appended", "host\n");
        std::fs::write(place.work().join("grown"), "the host's own text\n").unwrap();
        std::fs::write(place.work().join("shrunk"), "host\n").unwrap();
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"go\n").unwrap();
        let ended = ran(child.wait_with_output().unwrap());
        let expected =
            "appended b'one one one\\nhost\\ntwo'\ngrown b\"ONE host's own text\\n\"\nshrunk b'host\\ntwo'\n";
        assert_eq!(ended.out, expected, "{how}: {ended:?}");
    }
}
