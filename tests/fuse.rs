//! The FUSE union: what the kernel's overlay cannot do, layers of either in the other, hostile layers and programs, its end.

mod common;

use common::{Place, Ran, fuse, tools, until, userns};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::PathBuf;

/// An overlay over the current directory by the FUSE union, which is kept as `one`.
const FUSE: [&str; 6] = ["--set", "filesystem.mechanism=\"fuse\"", "--overlay", ".", "--upper", "keep:one"];

/// The same overlay by the kernel's.
const KERNEL: [&str; 6] = ["--set", "filesystem.mechanism=\"overlay\"", "--overlay", ".", "--upper", "keep:one"];

/// A place with some files below.
fn place() -> Place {
    let place = Place::new();
    for (path, text) in [("file", "old\n"), ("dir/inner", "inner\n"), ("dir/deep/leaf", "leaf\n")] {
        place.write(&format!("work/{path}"), text);
    }
    std::fs::hard_link(place.work().join("file"), place.work().join("dir/same")).unwrap();
    place
}

fn upper(place: &Place) -> PathBuf {
    place.home().join(".local/share/sbx/uppers/one/0/upper")
}

fn is_whiteout(place: &Place, path: &str) -> bool {
    let found = upper(place).join(path).symlink_metadata();
    found.is_ok_and(|facts| facts.file_type().is_char_device() && facts.rdev() == 0)
}

/// Everything in the host's directory: names, modes, times, contents.
fn host(place: &Place) -> String {
    let script = "find . -printf '%p %m %T@ %s\\n' | sort; find . -type f | sort | xargs -d '\\n' md5sum";
    let output = std::process::Command::new("/bin/sh").args(["-c", script]).current_dir(place.work()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn py(place: &Place, script: &str) -> Ran {
    place.run(&[&FUSE[..], &["--", "/usr/bin/python3", "-c", script]].concat())
}

#[test]
fn a_plan_says_which_mechanism_it_is_and_why() {
    need!(userns(), fuse());
    let place = place();
    let plan = place.run(&[&["plan", "--verbose"], &FUSE[..], &["--", "true"]].concat()).ok();
    assert!(plan.contains("by the FUSE union, as `filesystem.mechanism` says"), "{plan}");
    assert!(plan.contains(", by the union server") && plan.contains("sbx-union-server with /dev/fuse"), "{plan}");
    let limited = [&["plan"], &FUSE[..], &["--set", "filesystem.upper_size=\"1G\"", "--", "true"]].concat();
    assert!(place.run(&limited).ok().contains("kept, 1073741824 bytes at most"));
}

#[test]
fn changes_are_in_the_upper_layer_and_the_host_stays_as_it_is() {
    need!(userns(), fuse());
    let place = place();
    let before = host(&place);
    let script = "echo new >> file; mkdir made; echo x > made/x; rm dir/inner; rm -r dir/deep; mkdir dir/deep; ls dir/deep; \
                  chmod 600 dir/same; ln -s file link; mkfifo pipe; cat dir/same";
    assert_eq!(place.sh(&FUSE, script).ok(), "old\nnew\n");
    assert_eq!(host(&place), before);
    assert!(is_whiteout(&place, "dir/inner"));
    let listed =
        place.run(&["diff", "one"]).ok().replace(&place.work().canonicalize().unwrap().display().to_string(), ".");
    let names: Vec<_> = listed.lines().map(|line| line.split("  ").next().unwrap()).collect();
    let all = [
        "M ./dir/same",
        "D ./dir/deep/leaf",
        "D ./dir/inner",
        "M ./file",
        "A ./link",
        "A ./made",
        "A ./made/x",
        "A ./pipe",
    ];
    let sorted = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(sorted(&names), sorted(&all), "{listed}");
    place.run(&["commit", "one"]).ok();
    assert_eq!(std::fs::read_to_string(place.work().join("file")).unwrap(), "old\nnew\n");
    assert!(!place.work().join("dir/inner").exists() && place.work().join("made/x").exists());
}

#[test]
fn either_mechanism_reads_what_the_other_has_kept() {
    need!(userns(), fuse());
    let script = "echo more >> file; rm dir/inner; rm -r dir/deep; mkdir dir/deep; echo new > dir/deep/new; mkdir m; echo m > m/m";
    let look = "cat file; find . | sort; cat dir/deep/new m/m";
    for (first, second) in [(FUSE, KERNEL), (KERNEL, FUSE)] {
        let place = place();
        let shown = place.sh(&first, &format!("{script}; {look}")).ok();
        assert_eq!(place.sh(&second, look).ok(), shown);
        let more = place.sh(&second, "rm -r m; echo x > dir/inner; mv dir/deep/new dir/deep/moved; find . | sort").ok();
        assert_eq!(place.sh(&first, "find . | sort").ok(), more);
    }
}

#[test]
fn directories_of_the_host_are_renamed() {
    need!(userns(), fuse(), tools(&["python3"]));
    let place = place();
    let before = host(&place);
    let script = "import os
os.rename('dir', 'moved'); os.mkdir('dir'); os.rename('moved/deep', 'dir/deep')
print(open('dir/deep/leaf').read(), open('moved/inner').read(), sorted(os.listdir('moved')), os.listdir('dir'))";
    assert_eq!(py(&place, script).ok(), "leaf\n inner\n ['inner', 'same'] ['deep']\n");
    assert_eq!(
        place.sh(&KERNEL, "find dir moved | sort; cat dir/deep/leaf").ok(),
        "dir\ndir/deep\ndir/deep/leaf\nmoved\nmoved/inner\nmoved/same\nleaf\n"
    );
    assert_eq!(host(&place), before);
}

#[test]
fn a_directory_that_was_renamed_has_no_whiteouts_left_which_the_kernel_would_list() {
    need!(userns(), fuse());
    let place = place();
    place.sh(&FUSE, "rm dir/inner dir/deep/leaf; ls dir/deep; mv dir moved").ok();
    assert_eq!(
        place.sh(&FUSE, "rm -r moved/none 2>/dev/null; find moved | sort").ok(),
        "moved\nmoved/deep\nmoved/same\n"
    );
    assert_eq!(place.sh(&KERNEL, "find moved | sort; rm -r moved; ls").ok(), "moved\nmoved/deep\nmoved/same\nfile\n");
}

#[test]
fn what_is_written_by_one_name_is_read_by_all_others_and_by_files_that_are_open() {
    need!(userns(), fuse(), tools(&["python3"]));
    let place = place();
    let script = "import mmap, os
seen = open('dir/same', 'rb', buffering=0); shared = mmap.mmap(seen.fileno(), 0, prot=mmap.PROT_READ)
before = os.stat('file').st_ino
open('file', 'ab').write(b'new')
print(seen.read(), shared[:3], os.stat('dir/same').st_size, os.stat('dir/same').st_nlink, os.stat('file').st_ino == before)
os.link('file', 'third'); os.unlink('file'); print(os.stat('third').st_nlink, open('dir/same').read())
os.unlink('third'); os.unlink('dir/same'); print(os.fstat(seen.fileno()).st_nlink, os.pread(seen.fileno(), 9, 0))";
    assert_eq!(py(&place, script).ok(), "b'old\\nnew' b'old' 7 2 True\n2 old\nnew\n0 b'old\\nnew'\n");
    // In a later run, too, of which the first one knew nothing.
    place.run(&["discard", "one"]).ok();
    place.sh(&FUSE, "echo more >> file").ok();
    assert_eq!(place.sh(&FUSE, "cat dir/same; stat -c %h file dir/same").ok(), "old\nmore\n2\n2\n");
    assert_eq!(place.sh(&KERNEL, "cat dir/same").ok(), "old\nmore\n");
}

#[test]
fn mappings_locks_holes_and_large_files_work() {
    need!(userns(), fuse(), tools(&["python3"]));
    let place = place();
    std::fs::File::create(place.work().join("sparse")).unwrap().set_len(1 << 33).unwrap();
    let script = "import fcntl, mmap, os
f = os.open('file', os.O_RDWR); m = mmap.mmap(f, 4); m[0:3] = b'NEW'; m.flush(); print(open('file').read().strip())
fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB); fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
s = os.open('sparse', os.O_RDWR); os.pwrite(s, b'x', 5 << 30); st = os.fstat(s)
print(st.st_size == 1 << 33, st.st_blocks < 1000, os.lseek(s, 0, os.SEEK_DATA) // 4096 * 4096 == 5 << 30, os.pread(s, 1, 5 << 30))
os.posix_fallocate(f, 0, 100000); print(os.fstat(f).st_size)
os.ftruncate(f, 2); print(open('file').read())
a = os.open('file', os.O_WRONLY | os.O_APPEND); os.write(a, b'1'); os.write(a, b'2'); print(open('file').read())
r = os.open('made', os.O_RDWR | os.O_CREAT, 0o444); os.write(r, b'read-only'); print(open('made').read())
os.unlink('made'); os.write(r, b'!'); print(os.pread(r, 20, 0), os.fstat(r).st_nlink)
v = os.statvfs('.'); print(v.f_blocks > 0)";
    let shown = "NEW\nTrue True True b'x'\n100000\nNE\nNE12\nread-only\nb'read-only!' 0\nTrue\n";
    assert_eq!(py(&place, script).ok(), shown);
}

#[test]
fn attributes_and_access_control_lists_come_along_and_marks_do_not() {
    need!(userns(), fuse(), tools(&["setfacl", "python3"]));
    let place = place();
    let setup = "setfacl -m u:$(id -u):rw,g:$(id -g):r file; setfacl -d -m o::- dir; chmod 2755 dir";
    let mut on_host = std::process::Command::new("/bin/sh");
    if !on_host.args(["-ec", setup]).current_dir(place.work()).status().unwrap().success() {
        return; // a filesystem without access control lists
    }
    let script = "import os, errno
def err(f):
    try: f(); return 'done'
    except OSError as e: return errno.errorcode[e.errno]
os.setxattr('file', 'user.mine', b'x'); print(os.getxattr('file', 'user.mine'), sorted(os.listxattr('file')))
print(err(lambda: os.setxattr('dir', 'user.overlay.opaque', b'y')), err(lambda: os.setxattr('file', 'user.overlay.redirect', b'/')))
print(err(lambda: os.getxattr('dir', 'user.overlay.opaque')), err(lambda: os.mknod('white', 0o20000, 0)), err(lambda: os.setxattr('file', 'trusted.x', b'')))
os.umask(0); os.unlink('dir/inner'); open('dir/inner', 'w'); open('dir/new', 'w'); os.mkdir('dir/sub')
print(['%o' % os.stat(p).st_mode for p in ('dir/inner', 'dir/new', 'dir/sub')])";
    let expected = "b'x' ['system.posix_acl_access', 'user.mine']\nEPERM EPERM\nENODATA EACCES EPERM\n['100640', '100640', '42750']\n";
    assert_eq!(py(&place, script).ok(), expected);
}

#[test]
fn a_forged_layer_leads_nowhere() {
    need!(userns(), fuse(), tools(&["python3"]));
    let place = place();
    place.write("secret", "secret\n");
    place.sh(&FUSE, "mkdir m; echo x > m/x").ok();
    let layer = upper(&place);
    let set = |name: &str, value: &str, path: &str| {
        let script = "import os, sys; os.setxattr(sys.argv[3], sys.argv[1], sys.argv[2].encode())";
        let mut command = std::process::Command::new("python3");
        assert!(command.args(["-c", script, name, value]).arg(layer.join(path)).status().unwrap().success());
    };
    // Links out of the layer in place of directories, marks of renamed directories and of content elsewhere.
    std::os::unix::fs::symlink("../../../../../../..", layer.join("up")).unwrap();
    std::os::unix::fs::symlink(place.dir.path(), layer.join("dir")).unwrap();
    std::fs::create_dir(layer.join("redirected")).unwrap();
    set("user.overlay.redirect", "/../../secret", "redirected");
    set("user.overlay.metacopy", "", "m/x");
    std::fs::set_permissions(layer.join("m/x"), PermissionsExt::from_mode(0o6777)).unwrap();
    let out = place.sh(&FUSE, "cat up/secret dir/secret 2>/dev/null; ls redirected 2>&1 | head -1; cat m/x; stat -c %F dir; grep -c nosuid,nodev /proc/self/mountinfo").ok();
    assert!(!out.contains("secret\nsecret") && out.contains("x\nsymbolic link\n"), "{out}");
    assert!(out.lines().next().unwrap().contains("not permitted"), "{out}");
}

#[test]
fn a_program_that_floods_the_server_gets_errors_and_the_host_stays() {
    need!(userns(), fuse(), tools(&["python3"]));
    let place = place();
    let before = host(&place);
    let script = "import os, errno
held = []
for i in range(3000):
    n = os.open('many%d' % i, os.O_RDWR | os.O_CREAT)
    os.unlink('many%d' % i); os.write(n, b'%d' % i); held.append(n)
    if len(held) > 900: os.close(held.pop(0))
print([os.pread(f, 9, 0) == b'%d' % i for f, i in zip(held, range(3000 - len(held), 3000))].count(False))
for i in range(2000): os.mkdir('d%d' % i)
print(len(os.listdir('.')))
d = os.open('.', os.O_RDONLY); deep = []
for i in range(2000):
    os.mkdir('x' * 200); os.chdir('x' * 200)
open('bottom', 'w').write('deep'); print(open('bottom').read()); os.fchdir(d)
for name in (b'new\\nline', b'\\xff', b'a' * 255): open(name, 'w').write('x')
try: open(b'a' * 256, 'w')
except OSError as e: print(errno.errorcode[e.errno])";
    assert_eq!(py(&place, script).ok(), "0\n2002\ndeep\nENAMETOOLONG\n");
    assert_eq!(host(&place), before);
}

#[test]
fn many_names_are_listed_once_while_others_are_removed() {
    need!(userns(), fuse(), tools(&["python3"]));
    let place = place();
    for name in 0..3000 {
        place.write(&format!("work/many/{name}"), "");
    }
    let script = "import os
seen = 0
with os.scandir('many') as it:
    for e in it: os.unlink(e.path); seen += 1
print(seen, os.listdir('many')); os.rmdir('many'); os.mkdir('many'); print(os.listdir('many'))
for i in range(20000): open('many/%d' % i, 'w')
print(len(set(os.listdir('many'))))";
    assert_eq!(py(&place, script).ok(), "3000 []\n[]\n20000\n");
}

#[test]
fn the_end_of_the_server_ends_the_sandbox_and_each_file_is_whole() {
    need!(userns(), fuse());
    let place = place();
    let line = "whole ".repeat(5000);
    for name in 0..200 {
        place.write(&format!("work/many/{name}"), &line);
    }
    for round in 0..6 {
        let mut command = place.command();
        command.args(FUSE).args(["--", "/bin/sh", "-c"]);
        command.arg("echo ready > ready; i=0; while :; do i=$((i+1)); for f in many/*; do chmod 7$((i % 8))4 $f; done; mv many/1 many/x; mv many/x many/1; done");
        command.stderr(std::process::Stdio::piped());
        let child = command.spawn().unwrap();
        assert!(until(|| upper(&place).join("ready").exists()));
        // Early, where nothing may have been copied yet, and in the middle of it.
        let has_begun = || std::fs::read_dir(upper(&place).join("many")).is_ok_and(|mut names| names.next().is_some());
        assert!(round < 3 || until(has_begun));
        std::thread::sleep(std::time::Duration::from_millis(37 * round));
        let server = || {
            let servers = common::process::with_line("sbx-union-server");
            common::process::children(child.id())
                .into_iter()
                .find(|id| servers.iter().any(|(pid, _)| *pid == *id as i32))
        };
        common::process::signal(server().expect("a server") as i32, libc::SIGKILL);
        let error = common::ran(child.wait_with_output().unwrap()).failed(125);
        assert!(
            error.contains("sbx-union-server ended (signal: 9") && error.contains("what it has changed stays"),
            "{error}"
        );
        for entry in std::fs::read_dir(upper(&place).join("many")).into_iter().flatten().flatten() {
            if entry.file_type().unwrap().is_file() {
                assert_eq!(std::fs::read_to_string(entry.path()).unwrap(), line, "{entry:?}");
            }
        }
        std::fs::remove_file(upper(&place).join("ready")).unwrap();
    }
    let names = "cat many/* | wc -c; ls many | wc -l";
    let all = 200 * line.len();
    for kind in [FUSE, KERNEL] {
        assert_eq!(place.sh(&kind, names).ok(), format!("{all}\n200\n"));
    }
}

/// Runs sbx where the home lies on an overlay of the kernel's, as in many containers, which is kept in `home` for the next run.
fn in_container(place: &Place, args: &[&str]) -> Ran {
    let script = "mkdir -p ../up/u ../up/w && mount -t overlay -o lowerdir=../home,upperdir=../up/u,workdir=../up/w,userxattr none ../home || exit 77
        exec setpriv --ambient-caps=-all --inh-caps=-all --bounding-set=-all -- \"$@\"";
    let mut command = std::process::Command::new("unshare");
    command.args(["-cm", "--keep-caps", "/bin/sh", "-c", script, "sh"]).arg(common::sbx()).args(args);
    command.current_dir(place.work()).env("HOME", place.home()).env("NO_COLOR", "1");
    common::ran(command.output().unwrap())
}

#[test]
fn where_the_kernels_overlay_takes_no_upper_layer_the_union_does() {
    need!(userns(), fuse(), tools(&["unshare", "setpriv", "mount"]));
    let place = place();
    let before = host(&place);
    let keep = ["--overlay", ".", "--upper", "keep:one"];
    let script = "rm dir/inner; rm -r dir/deep; mkdir dir/deep; mv file moved; mv dir/same dir/other; echo new > dir/inner; rm dir/inner; mkdir dir/inner; find . | sort";
    let shown = ".\n./dir\n./dir/deep\n./dir/inner\n./dir/other\n./moved\n";
    let ran = in_container(&place, &[&keep[..], &["--", "/bin/sh", "-c", script]].concat());
    if ran.status == Some(77) {
        return; // a kernel whose overlays an ordinary user may not mount
    }
    // Before Linux 6.7, an overlay that an ordinary user has mounted takes no attributes of overlays.
    if common::kernel() < (6, 7) {
        let error = ran.failed(125);
        assert!(
            error.contains("takes no marks of deleted files")
                && error.contains("set XDG_DATA_HOME to a directory on another one"),
            "{error}"
        );
        assert_eq!(host(&place), before);
        return;
    }
    assert_eq!(ran.ok(), shown);
    assert_eq!(
        in_container(&place, &[&keep[..], &["--", "/bin/sh", "-c", "find . | sort; cat moved dir/other"]].concat())
            .ok(),
        format!("{shown}old\nold\n")
    );
    let listed = in_container(&place, &["diff", "one"])
        .ok()
        .replace(&place.work().canonicalize().unwrap().display().to_string(), ".");
    let names: std::collections::BTreeSet<_> = listed.lines().map(|line| line.split("  ").next().unwrap()).collect();
    assert!(
        ["D ./file", "D ./dir/same", "D ./dir/deep/leaf", "A ./moved", "A ./dir/other"]
            .iter()
            .all(|name| names.contains(name)),
        "{listed}"
    );
    assert_eq!(host(&place), before);
    in_container(&place, &["commit", "one"]).ok();
    assert!(
        !place.work().join("file").exists()
            && place.work().join("moved").exists()
            && place.work().join("dir/inner").is_dir()
    );
}

#[test]
fn a_layer_that_is_not_kept_leaves_nothing() {
    need!(userns(), fuse());
    let place = place();
    let before = host(&place);
    place.sh(&FUSE[..4], "echo x > x; rm -r dir; rm file; ls -A").ok();
    assert_eq!(host(&place), before);
    let left = std::fs::read_dir(place.home().join(".local/share/sbx/uppers")).unwrap().count();
    assert_eq!(left, 0);
}

#[test]
fn files_without_a_name_are_made_and_get_one_later() {
    need!(userns(), fuse(), tools(&["python3"]));
    let place = place();
    let before = host(&place);
    let script = "import ctypes, os
def link(f, path):
    made = ctypes.CDLL(None, use_errno=True).linkat(-100, f'/proc/self/fd/{f}'.encode(), -100, path.encode(), 0x400)
    return os.strerror(ctypes.get_errno()) if made else 'linked'
f = os.open('dir', os.O_TMPFILE | os.O_RDWR, 0o640)
os.write(f, b'text'); print(os.fstat(f).st_nlink, sorted(os.listdir('dir')))
print(link(f, 'dir/named'))
os.write(f, b' more'); print(os.fstat(f).st_nlink, open('dir/named').read(), oct(os.stat('dir/named').st_mode))
os.unlink('dir/named'); print(os.fstat(f).st_nlink, os.pread(f, 99, 0).decode())
g = os.open('.', os.O_TMPFILE | os.O_EXCL | os.O_WRONLY, 0o600)
print(link(g, 'never'), sorted(os.listdir('dir')))";
    let shown = "0 ['deep', 'inner', 'same']\nlinked\n1 text more 0o100640\n0 text more\n\
                 No such file or directory ['deep', 'inner', 'same']\n";
    assert_eq!(py(&place, script).ok(), shown);
    assert_eq!(host(&place), before);
}

#[test]
fn times_at_the_ends_of_what_there_is_do_not_end_the_server() {
    need!(userns(), fuse(), tools(&["python3"]));
    let place = place();
    // What the filesystem of the upper layer does not have is cut to what it has, there as here.
    let script = "import ctypes, os, sys
set_times = ctypes.CDLL(None).utimensat
def times(path):
    for seconds in -2**63, -2**63 + 1, -1, 2**63 - 1:
        for rest in 0, 1, 500000000, 999999999:
            assert set_times(-100, path.encode(), (ctypes.c_long * 4)(seconds, rest, seconds, rest), 0) == 0
            yield os.stat(path).st_mtime_ns, os.stat(path).st_atime_ns
print(list(times(sys.argv[1])))";
    let output =
        std::process::Command::new("/usr/bin/python3").args(["-c", script, "file"]).current_dir(place.work()).output();
    let output = output.unwrap();
    assert!(output.status.success());
    let shown = place.run(&[&FUSE[..], &["--", "/usr/bin/python3", "-c", script, "dir/inner"]].concat()).ok();
    assert_eq!(shown, String::from_utf8(output.stdout).unwrap());
}

#[test]
fn changes_take_no_more_than_upper_size_says() {
    need!(userns(), fuse(), tools(&["python3"]));
    let place = place();
    std::fs::write(place.work().join("large"), vec![b'x'; 5 << 20]).unwrap();
    let limited = [&FUSE[..], &["--set", "filesystem.upper_size=\"4M\"", "--", "/usr/bin/python3", "-c"]].concat();
    let start = "import errno, os, time
M = 1 << 20
def full(call):
    try: call()
    except OSError as error: return errno.errorcode[error.errno]
    return 'room'
# The kernel tells the server a little later that it has forgotten a file.
def soon(call):
    for _ in range(3000):
        if full(call) == 'room': return 'room'
        time.sleep(0.01)
def write(path, size, at=0):
    f = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while size > 0:
            done = os.pwrite(f, b'x' * min(size, M), at); size -= done; at += done
    finally: os.close(f)
";
    let run = |script: &str| place.run(&[&limited[..], &[&format!("{start}{script}")]].concat());
    let script = "print(full(lambda: write('a', 3 * M)), full(lambda: write('b', 2 * M)), os.stat('b').st_size <= M)
print(full(lambda: write('a', 3 * M)), 'what is there is written again')
print(full(lambda: open('large', 'r+')), os.stat('large').st_size == 5 * M)
os.unlink('b'); print(full(lambda: write('c', M // 2)), full(lambda: write('c', M, M // 2)))
f = os.open('a', os.O_RDWR); os.unlink('a'); print(full(lambda: write('d', 2 * M)), 'while it is open')
os.close(f); print(soon(lambda: write('d', 2 * M)))
f = os.open('d', os.O_RDWR); os.truncate(f, 0); print(full(lambda: write('e', 2 * M)))
print(full(lambda: os.posix_fallocate(f, 0, 2 * M)), os.statvfs('.').f_blocks * os.statvfs('.').f_bsize == 4 * M)
print(full(lambda: [write(f'many{n}', 0) for n in range(5000)]))";
    assert_eq!(
        run(script).ok(),
        "room ENOSPC True\nroom what is there is written again\nENOSPC True\nroom ENOSPC\nENOSPC while it is open\nroom\nroom\n\
         ENOSPC True\nENOSPC\n"
    );
    // What an earlier run has left counts.
    assert_eq!(run("print(full(lambda: write('more', 2 * M)))").ok(), "ENOSPC\n");
}
