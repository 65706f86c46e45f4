//! Attacks by whoever wrote the program, or the current directory, on profiles that grant much. Each of these worked
//! once.

mod common;

use common::network::programs;
use common::process::descendants;
use common::{Place, Ran, pass, ran, tools, tun, until, userns, x86_64};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

/// A pipe that takes no more bytes: its read end and its write end.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    // SAFETY: the calls take a descriptor that is open, and write bytes of a buffer that is as long.
    unsafe {
        let flags = libc::fcntl(writer.as_raw_fd(), libc::F_GETFL);
        libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK);
        for part in [&[0u8; 4096][..], &[0]] {
            while libc::write(writer.as_raw_fd(), part.as_ptr().cast(), part.len()) > 0 {}
        }
        libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, flags);
    }
    (reader, writer)
}

/// Whether a command ends by itself within half a minute. If not, it is killed.
fn ends(command: &mut Command) -> bool {
    let mut child = command.spawn().unwrap();
    let ended = until(|| child.try_wait().unwrap().is_some());
    let _ = child.kill();
    let _ = child.wait();
    ended
}

const PROFILES: [&str; 3] = ["default", "ci", "shell"];

#[test]
fn what_the_caller_has_open_is_no_place_to_start_in_and_no_program() {
    need!(userns());
    let place = Place::new();
    place.write("home/secret/tool", "#!/bin/sh\necho executed\n");
    std::fs::set_permissions(place.home().join("secret/tool"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let dir = std::fs::File::open(place.home().join("secret")).unwrap();
    symlink("/proc/self/fd/7", place.work().join("build")).unwrap();
    symlink("/proc/self/fd/7/tool", place.work().join("tool")).unwrap();
    place.write("work/script", "#!/proc/self/fd/7/tool\n");
    std::fs::set_permissions(place.work().join("script"), std::fs::Permissions::from_mode(0o755)).unwrap();
    for profile in PROFILES {
        let try_with = |args: &[&str]| -> Ran {
            let mut command = place.command();
            command.args(["--profile", profile]).args(args);
            pass(&mut command, &dir, 7);
            ran(command.output().unwrap())
        };
        let started = try_with(&["--cwd", "build", "--", "/bin/ls", "."]);
        assert!(started.status == Some(125) && started.out.is_empty(), "{profile}: {started:#?}");
        for program in ["./tool", "./script"] {
            let started = try_with(&["--", program]);
            assert!(matches!(started.status, Some(126 | 127)) && started.out.is_empty(), "{profile}: {started:#?}");
        }
    }
}

#[test]
fn our_own_file_cannot_be_changed_by_a_script_that_executes_it() {
    need!(userns());
    let place = Place::new();
    let own = place.dir.path().join("sbx");
    common::copy_program(common::sbx(), &own);
    // Its help does not fit into the pipe, so that it waits, as a process of the program in the sandbox.
    place.write("work/tool", "#!/proc/self/exe --help\n");
    let (_reader, full) = full_pipe();
    std::fs::set_permissions(place.work().join("tool"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mode = || own.metadata().unwrap().mode() & 0o7777;
    let before = mode();
    let mut command = Command::new(&own);
    // Under Landlock, which is used where programs may not mount, the file cannot be executed at all.
    let mut refused = Command::new(&own);
    refused.args(["--profile", "ci", "--", "./tool"]).current_dir(place.work());
    let refused = ran(refused.env_clear().env("HOME", place.home()).env("PATH", "/usr/bin:/bin").output().unwrap());
    assert!(refused.status == Some(126) && mode() == before, "{refused:#?}");
    const MOUNTS: [&str; 4] = ["--profile", "ci", "--set", "namespaces.nested=allow"];
    command.args(MOUNTS).args(["--", "./tool"]).current_dir(place.work());
    let mut child =
        command.env_clear().env("HOME", place.home()).env("PATH", "/usr/bin:/bin").stdout(full).spawn().unwrap();
    let mut tried = None;
    until(|| {
        for pid in descendants(child.id()) {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let exe = format!("/proc/{pid}/exe");
            if String::from_utf8_lossy(&line).contains("--help") && Path::new(&exe).metadata().is_ok() {
                tried = Some(std::fs::set_permissions(&exe, std::fs::Permissions::from_mode(0o755 ^ 0o010)));
            }
        }
        tried.is_some()
    });
    let _ = child.kill();
    let _ = child.wait();
    let error = tried.expect("the script is executed").unwrap_err();
    assert_eq!((error.raw_os_error(), mode()), (Some(libc::EROFS), before));
    // Programs still start and fail as before.
    let run = |args: &[&str]| {
        let mut command = Command::new(&own);
        command.arg("-q").args(MOUNTS).args(args).current_dir(place.work());
        ran(command.env_clear().env("HOME", place.home()).env("PATH", "/usr/bin:/bin").output().unwrap())
    };
    let ran = run(&["--env", "A=b c", "--", "sh", "-c", "echo \"$0|$1|$A\"; exit 7", "x y", ""]);
    assert!(ran.status == Some(7) && ran.out == "x y||b c\n", "{ran:#?}");
    assert!(run(&["--", "nowhere"]).failed(127).contains("nowhere: not found in the sandbox"));
    assert!(run(&["--", "/etc/passwd"]).failed(126).contains("cannot be executed"));
    assert!(run(&["--as-pid-1", "--", "nowhere"]).failed(127).contains("nowhere"));
    let ran = run(&["--as-pid-1", "--", "sh", "-c", "exit 5"]);
    assert_eq!(ran.status, Some(5));
}

/// A script that gets mounts below the current directory out of the way, as any program can that may mount.
const ATTACK: &str = r#"
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(result):
    if result: print(os.strerror(ctypes.get_errno())); raise SystemExit(1)
work = os.open(".", os.O_PATH | os.O_DIRECTORY)
uid, gid = os.getuid(), os.getgid()
call(libc.unshare(0x10000000 | 0x20000))
open("/proc/self/setgroups", "w").write("deny")
open("/proc/self/uid_map", "w").write(f"0 {uid} 1"); open("/proc/self/gid_map", "w").write(f"0 {gid} 1")
call(libc.mount(b"t", b"/tmp", b"tmpfs", 0, b""))
os.mkdir("/tmp/old")
call(libc.syscall(155, b"/tmp", b"/tmp/old"))
call(libc.umount2(b"/old", 2))
os.rename("secret", "moved", src_dir_fd=work, dst_dir_fd=work)
print("renamed")
"#;

#[test]
fn what_a_program_that_mounts_gets_out_of_the_way_is_not_promised() {
    need!(userns(), tools(&["python3"]), x86_64());
    let place = Place::new();
    place.write("work/secret", "secret");
    place.write("home/attack.py", ATTACK);
    let script = place.home().join("attack.py").display().to_string();
    let attack = |flags: &[&str]| {
        let all = [&["--profile", "ci", "--ro", &script][..], flags, &["--", "python3", &script]].concat();
        place.run(&all)
    };
    let mounts = ["--set", "namespaces.nested=allow"];
    let refused = attack(&[&mounts[..], &["--mask", "secret"]].concat()).failed(125);
    assert!(refused.contains("secret cannot be `masked` here") && refused.contains("no-mount"), "{refused}");
    assert!(place.work().join("secret").exists());
    for nested in ["no-mount", "deny"] {
        let setting = format!("namespaces.nested={nested}");
        let held = attack(&["--mask", "secret", "--set", &setting]);
        assert!(held.status == Some(1) && !held.out.contains("renamed"), "{nested}: {held:#?}");
        assert!(place.work().join("secret").exists());
    }
    // A note says where it does not hold.
    let said = attack(&[&mounts[..], &["--mask", "secret,prefer"]].concat());
    assert!(said.err.contains("secret is not `masked` for all programs"), "{said:#?}");
    assert_eq!(said.out, "renamed\n", "{said:#?}");
    // Nested user namespaces without mounts are what browsers need.
    let flags = ["--profile", "ci", "--set", "namespaces.nested=no-mount", "--", "sh", "-c"];
    let works =
        place.run(&[&flags[..], &["unshare -Ur id -u; unshare -Urm mount -t tmpfs t /tmp && echo mounted"]].concat());
    assert_eq!(works.out, "0\n", "{works:#?}");
}

#[test]
fn links_in_the_directory_one_stands_in_do_not_say_what_is_shown() {
    need!(userns());
    let place = Place::new();
    place.write("home/private/key", "key");
    symlink(place.home().join("private"), place.work().join("out")).unwrap();
    symlink("inner", place.work().join("within")).unwrap();
    std::fs::create_dir(place.work().join("inner")).unwrap();
    let refused = place.sh(&["--rw", "out"], "cat out/key").failed(125);
    assert!(refused.contains("is a link that leads out of the current directory"), "{refused}");
    let profile =
        place.write("p.toml", "schema = 1\nextends = [\"default\"]\n[filesystem.paths]\n\"${CWD}/out\" = \"rw\"\n");
    let refused = place.sh(&["--profile", profile.to_str().unwrap()], "cat out/key").failed(125);
    assert!(refused.contains("p.toml:4") && refused.contains("name the path"), "{refused}");
    assert!(place.sh(&["--ro", "/data", "--from", "out"], "cat /data/key").failed(125).contains("leads out"));
    // One that stays inside opens nothing that is less open without it, and one that leads to something closed is no danger.
    let refused = place.sh(&["--rw", "within"], "true").failed(125);
    assert!(refused.contains("which is less open without it"), "{refused}");
    assert_eq!(place.sh(&["--ro", "within"], "ls -d within").ok(), "within\n");
    assert_eq!(place.sh(&["--rw", ".", "--rw", "within"], "touch within/x && echo written").ok(), "written\n");
    assert_eq!(place.sh(&["--deny", "out"], "cat out/key 2>/dev/null || echo closed").ok(), "closed\n");
    // In the user's own home, the links are the user's own.
    symlink(place.work(), place.home().join("link")).unwrap();
    let mut command = place.command();
    command.current_dir(place.home()).args(["--ro", "link", "--", "/bin/ls", place.work().to_str().unwrap()]);
    assert!(ran(command.output().unwrap()).ok().contains("within"));
}

/// Tries each call that can leave a set-user-ID or set-group-ID bit on a file of the host, and prints those that did.
const SET_IDS: &str = r#"
import ctypes, os, stat, struct
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    arguments = [a.encode() if isinstance(a, str) else a for a in arguments]
    result = libc.syscall(number, *arguments)
    return ctypes.get_errno() if result < 0 else 0
AT, CREAT, TMPFILE, RDWR = -100, 0o100, 0o20200000, 2
for bit in [0o4000, 0o2000, 0o6000]:
    mode = bit | 0o755
    def file():
        open("f", "w").close()
        return os.open("f", os.O_RDWR)
    def unnamed(mode):
        how = ctypes.create_string_buffer(struct.pack("QQQ", TMPFILE | RDWR, mode, 0))
        return how
    def linked(number, *arguments):
        fd = libc.syscall(number, *[a.encode() if isinstance(a, str) else a for a in arguments])
        return libc.linkat(AT, f"/proc/self/fd/{fd}".encode(), AT, b"f", 0x400)
    tries = {
        "chmod": lambda: (file(), call(90, "f", mode)),
        "fchmod": lambda: call(91, file(), mode),
        "fchmodat": lambda: (file(), call(268, AT, "f", mode)),
        "fchmodat2": lambda: (file(), call(452, AT, "f", mode, 0)),
        "open": lambda: call(2, "f", CREAT | RDWR, mode),
        "openat": lambda: call(257, AT, "f", CREAT | RDWR, mode),
        "open O_TMPFILE": lambda: linked(2, ".", TMPFILE | RDWR, mode),
        "openat O_TMPFILE": lambda: linked(257, AT, ".", TMPFILE | RDWR, mode),
        "openat2": lambda: call(437, AT, "f", struct.pack("QQQ", CREAT | RDWR, mode, 0), 24),
        "creat": lambda: call(85, "f", mode),
        "mknod": lambda: call(133, "f", stat.S_IFREG | mode, 0),
        "mknodat": lambda: call(259, AT, "f", stat.S_IFREG | mode, 0),
        "upper half": lambda: (file(), call(90, "f", ctypes.c_ulong(mode | 1 << 32))),
    }
    for name, attempt in tries.items():
        if os.path.exists("f"): os.unlink("f")
        attempt()
        if os.path.exists("f") and os.stat("f").st_mode & 0o6000: print(f"{name} {bit:o}")
    if os.path.exists("f"): os.unlink("f")
# What has no such bit is made as ever, and a file that is only opened may be given any mode.
assert call(2, "f", CREAT | RDWR, 0o1755) == 0 and call(90, "f", 0o1644) == 0 and call(2, "f", RDWR, 0o4755) == 0
assert call(83, "d", 0o1777) == 0 and os.rmdir("d") is None
"#;

#[test]
fn no_program_leaves_a_file_that_gives_its_rights_to_whoever_starts_it() {
    need!(userns(), tun(), programs(), tools(&["python3"]), x86_64());
    let place = Place::new();
    let script = place.write("home/set-ids.py", SET_IDS).display().to_string();
    let tried = |flags: &[&str]| {
        let ran = place.run(&[&["-q", "--ro", &script, "--rw", "."][..], flags, &["--", "python3", &script]].concat());
        assert_eq!(ran.status, Some(0), "{flags:?}: {ran:#?}");
        ran.out
    };
    for profile in ["default", "ci", "shell", "browser"] {
        assert_eq!(tried(&["--profile", profile]), "", "{profile}");
    }
    for filter in ["strict", "off"] {
        assert_eq!(tried(&["--set", &format!("security.seccomp={filter}")]), "", "{filter}");
    }
    let allowed = tried(&["--set", "security.setuid_bits=allow"]);
    assert!(allowed.lines().count() >= 36, "{allowed}");
    let script = "mkdir d && chmod 755 d && install -m 700 /bin/true d/t && ./d/t && cp -r d e && echo fine";
    assert_eq!(place.run(&["-q", "--profile", "ci", "--", "sh", "-c", script]).ok(), "fine\n");
}

#[test]
fn a_receipt_is_written_to_no_file_that_somebody_else_has_put_there() {
    need!(userns());
    let place = Place::new();
    let victim = place.write("home/victim", "KEPT");
    let out = place.dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let run = |receipt: &Path, flags: &[&str], script: &str| {
        place.sh(&[&["--receipt", receipt.to_str().unwrap()], flags].concat(), script)
    };
    let names = || -> Vec<_> { std::fs::read_dir(&out).unwrap().flatten().map(|entry| entry.file_name()).collect() };
    // A link, a FIFO, and a directory.
    symlink(&victim, out.join("link")).unwrap();
    assert!(Command::new("mkfifo").arg(out.join("fifo")).status().unwrap().success());
    std::fs::create_dir(out.join("dir")).unwrap();
    for name in ["link", "fifo", "dir"] {
        let mut command = place.command();
        command.args(["--receipt", out.join(name).to_str().unwrap(), "--", "true"]).stderr(Stdio::null());
        assert!(ends(&mut command), "{name}: it waits");
        let refused = run(&out.join(name), &[], "true").failed(125);
        assert!(refused.contains("no regular file") && refused.contains("--receipt 3"), "{name}: {refused}");
    }
    // A directory that is a link, in the current directory, leads elsewhere.
    symlink(&out, place.work().join("results")).unwrap();
    let refused = run(&place.work().join("results/receipt"), &[], "true").failed(125);
    assert!(refused.contains("leads out of"), "{refused}");
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "KEPT");
    for name in ["link", "fifo", "dir"] {
        let _ = std::fs::remove_file(out.join(name)).or_else(|_| std::fs::remove_dir(out.join(name)));
    }
    // An old receipt is replaced as a whole, also if the program is not started. Other names of it stay as they are.
    std::fs::write(out.join("receipt"), "OLD").unwrap();
    std::fs::hard_link(out.join("receipt"), out.join("other")).unwrap();
    run(&out.join("receipt"), &[], "true").ok();
    let read = || std::fs::read_to_string(out.join("receipt")).unwrap();
    assert!(read().contains("\"lines\"") && std::fs::read_to_string(out.join("other")).unwrap() == "OLD", "{}", read());
    run(&out.join("receipt"), &["--ro", "/none"], "true").failed(125);
    assert!(read().contains("\"started\": false"), "{}", read());
    assert_eq!(names().len(), 2, "{:?}", names());
    // What the program could change is no receipt.
    let dir = out.to_str().unwrap();
    for (flags, receipt) in [
        (&["--profile", "ci"][..], place.work().join("receipt")),
        (&["--rw", dir], out.join("receipt")),
        (&["--ro", dir, "--rw", out.join("receipt").to_str().unwrap()], out.join("receipt")),
        (&["--set", &format!("filesystem.paths.\"/elsewhere\"=\"rw,from={dir}\"")], out.join("receipt")),
    ] {
        let refused = run(&receipt, flags, "true").failed(125);
        assert!(refused.contains("the program could change it"), "{flags:?}: {refused}");
    }
    assert!(read().contains("false") && !place.work().join("receipt").exists());
    // By descriptors, as before.
    assert!(run(Path::new("/dev/stderr"), &[], "true").err.contains("\"lines\""));
}

#[test]
fn a_program_that_puts_a_fifo_in_its_place_does_not_make_the_launcher_wait() {
    need!(userns());
    let place = Place::new();
    for (script, flags) in [
        ("rm tool; mkfifo tool; kill -SEGV $$", &["--timeout", "2s"][..]),
        ("rm tool; ln -s fifo tool; mkfifo fifo; kill -SEGV $$", &[]),
    ] {
        let _ = std::fs::remove_file(place.work().join("tool"));
        place.write("work/tool", &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(place.work().join("tool"), PermissionsExt::from_mode(0o755)).unwrap();
        let mut command = place.command();
        command.args(["--profile", "ci"]).args(flags).args(["--", "./tool"]).stderr(Stdio::null());
        assert!(ends(&mut command), "{script}");
    }
    // Left by an earlier run: the program cannot be executed, and the launcher looks for its interpreter.
    let mut command = place.command();
    command.args(["--profile", "ci", "--", "./fifo"]).stderr(Stdio::null());
    assert!(ends(&mut command));
}

#[test]
fn a_program_that_fills_the_stderr_it_shares_does_not_outlive_its_time() {
    need!(userns());
    let place = Place::new();
    for flags in [&["--stats"][..], &["--stats=json", "--status-fd", "2"], &[]] {
        let (_reader, full) = full_pipe();
        let mut command = place.command();
        command.args(flags).args(["--timeout", "1s", "--", "sh", "-c", "while :; do echo more >&2; done"]).stderr(full);
        assert!(ends(&mut command), "{flags:?}");
    }
}
