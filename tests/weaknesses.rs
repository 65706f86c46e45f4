//! Weaknesses of bubblewrap that `sbx-bwrap` does not have: each test here fails with bubblewrap's own program.
//!
//! `SBX_BWRAP=/usr/bin/bwrap cargo test --test weaknesses` shows that. Where only some versions fail, the test names them.
//! What stays as in bubblewrap, and why, is in sbx-bwrap(1); it has no test here: abstract sockets without `--unshare-net`,
//! supplementary groups, and other descriptors that the caller leaves open.

mod common;

use common::process::{Mark, signal};
use common::terminal::Session;
use common::{Need, Place, Ran, bwrap, default_signals, root, tools, until, until_within, userns};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// A shell in a place, in which the program is `$BWRAP`, the place `$P`, and options for a root with the host's
/// programs `$ROOT`.
fn shell(place: &Place, script: &str) -> Command {
    let mut command = Command::new("/bin/bash");
    command.args(["-c", script]).current_dir(place.work()).env_clear().stdin(Stdio::null());
    command
        .env("BWRAP", bwrap::program())
        .env("P", place.dir.path())
        .env("ROOT", bwrap::PROGRAMS.join(" "))
        .env("HOME", place.home());
    command.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").env("LC_ALL", "C").process_group(0);
    default_signals(&mut command);
    command
}

/// A started script. Its whole process group is ended with it, whatever a test finds.
struct Running {
    child: Child,
    place: PathBuf,
    number: u32,
}

impl Running {
    fn start(place: &Place, script: &str) -> Running {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let place = (place, place.dir.path().to_path_buf());
        let file = |what: &str| File::create(place.1.join(format!("{what}.{number}"))).unwrap();
        // Files, not pipes: a process that is left behind would hold a pipe open.
        let child = shell(place.0, script).stdout(file("out")).stderr(file("err")).spawn().unwrap();
        Running { child, place: place.1, number }
    }

    fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    fn said(&self, what: &str) -> String {
        let bytes = std::fs::read(self.place.join(format!("{what}.{}", self.number))).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until the script has printed this.
    #[track_caller]
    fn expect(&mut self, text: &str) {
        until(|| self.said("out").contains(text) || self.child.try_wait().unwrap().is_some());
        assert!(self.said("out").contains(text), "waited for {text:?}: {:?} {:?}", self.said("out"), self.said("err"));
    }

    /// Waits for the script's end, and returns its status; none if a signal ended it, or if it does not end.
    fn end(mut self) -> Ran {
        until_within(Duration::from_secs(120), || self.child.try_wait().unwrap().is_some());
        let status = self.child.try_wait().unwrap().and_then(|status| status.code());
        Ran { status, out: self.said("out"), err: self.said("err") }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        signal(-self.pid(), libc::SIGKILL);
        let _ = self.child.wait();
    }
}

fn run(place: &Place, script: &str) -> Ran {
    Running::start(place, script).end()
}

/// Names, modes and contents of everything below a directory, but for entries called `but`.
fn tree(dir: &Path, but: &str) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let (path, meta) = (entry.path(), entry.path().symlink_metadata().unwrap());
        if entry.file_name() == but {
            continue;
        }
        let content = if meta.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        found.push((path.clone(), meta.mode(), content));
        if meta.is_dir() {
            found.extend(tree(&path, but));
        }
    }
    found.sort();
    found
}

// 1. A link in a directory that somebody else writes leads what is set up out of the sandbox (CVE-2026-87766; 0.11.1 and
// before).

#[test]
fn no_link_leads_a_destination_out_of_the_new_root() {
    need!(userns());
    let place = Place::new();
    let (host, p) = (place.dir.path().join("host"), place.dir.path().display());
    for dir in ["host/outside", "host/inside"] {
        std::fs::create_dir_all(place.dir.path().join(dir)).unwrap();
    }
    let kept = place.write("host/outside/kept", "kept");
    std::fs::set_permissions(kept, std::fs::Permissions::from_mode(0o640)).unwrap();
    let before = tree(&host, "inside");
    let up = "../".repeat(12);
    let links = [
        format!("/oldroot{p}/host/outside"),
        format!("{up}oldroot{p}/host/outside"),
        format!("{p}/host/outside"),
        format!("{up}{p}/host/outside"),
        "../outside".to_owned(),
        "/proc/self/fd/8".to_owned(),
        format!("/proc/self/root/oldroot{p}/host/outside"),
        format!("/proc/self/cwd/oldroot{p}/host/outside"),
        "/proc/1/cwd".to_owned(),
    ];
    let operations = [
        "--dir /data/link/made",
        "--file 7 /data/link/made",
        "--file 7 /data/link/kept",
        "--bind-data 7 /data/link/made",
        "--ro-bind-data 7 /data/link/made",
        "--bind /etc /data/link/made",
        "--ro-bind /etc/passwd /data/link/made",
        "--bind-fd 8 /data/link/made",
        "--symlink target /data/link/made",
        "--tmpfs /data/link/made",
        "--dev /data/link/made",
        "--proc /data/link/made/deep",
        "--chmod 0777 /data/link/kept",
    ];
    for link in &links {
        let path = host.join("inside/link");
        let _ = std::fs::remove_file(&path);
        std::os::unix::fs::symlink(link, path).unwrap();
        for operation in operations {
            let script = format!(
                "exec 7<<<written 8<\"$P/host/outside\"
                 exec $BWRAP $ROOT --proc /proc --bind \"$P/host/inside\" /data {operation} -- /bin/true"
            );
            let ran = run(&place, &script);
            // Whether it is made inside or refused depends on what the link means there.
            assert!(matches!(ran.status, Some(0 | 1)), "{link} {operation} {ran:?}");
            assert_eq!(tree(&host, "inside"), before, "{link} {operation} {ran:?}");
        }
    }
}

#[test]
fn a_destination_that_is_a_link_is_refused() {
    need!(userns());
    let place = Place::new();
    for bind in ["--ro-bind /etc /link", "--bind /etc /link", "--ro-bind /etc/passwd /link"] {
        let ran = run(&place, &format!("exec $BWRAP $ROOT --dir /target --symlink target /link {bind} -- /bin/true"));
        let message = ran.failed(1);
        assert!(message.starts_with("bwrap: ") && message.contains("symlink destination"), "{bind} {message}");
    }
}

// 2. A source is looked up when the command line is read, and again, by its name, when it is mounted.

/// Exchanges two names without a pause while a test runs.
fn exchanging<T>(one: &Path, other: &Path, test: impl FnOnce() -> T) -> T {
    let names = [one, other].map(|path| std::ffi::CString::new(path.to_str().unwrap()).unwrap());
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !end.load(Ordering::Relaxed) {
                let [one, other] = [names[0].as_ptr(), names[1].as_ptr()];
                // SAFETY: both are strings that end in NUL and live until the scope's end.
                unsafe { libc::renameat2(libc::AT_FDCWD, one, libc::AT_FDCWD, other, libc::RENAME_EXCHANGE) };
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(test));
        end.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[test]
fn a_source_is_what_its_name_meant_on_the_host() {
    need!(userns());
    let place = Place::new();
    place.write("source/name", "good");
    place.write("secret/name", "secret");
    let [source, link] = ["source", "link"].map(|name| place.dir.path().join(name));
    // On the host this path does not exist: what it names exists only while the sandbox is set up.
    std::os::unix::fs::symlink(format!("/oldroot{}/secret", place.dir.path().display()), &link).unwrap();
    let out = exchanging(&source, &link, || {
        let script =
            "for i in $(seq 300); do $BWRAP $ROOT --ro-bind \"$P/source\" /mnt cat /mnt/name 2>>errors; echo; done";
        run(&place, script).out
    });
    let (good, secret) = (out.matches("good").count(), out.matches("secret").count());
    assert!(good > 0, "no start met the directory: {}", std::fs::read_to_string(place.work().join("errors")).unwrap());
    assert_eq!(secret, 0, "{good} starts of 300 showed the directory");
}

// A descriptor is of the caller's mount namespace, and the kernel copies mounts of one's own only. So it is found by its name,
// and one that has none any more cannot be bound; but a name that has changed is no reason to fail.
#[test]
fn a_descriptor_is_bound_while_its_name_changes() {
    need!(userns());
    let place = Place::new();
    let [one, other] = [place.write("one/name", "good"), place.write("other/name", "wrong")];
    let script = r#"
        exec 9<"$P/one"; echo ready; read go
        for i in $(seq 300); do $BWRAP $ROOT --ro-bind-fd 9 /mnt cat /mnt/name || exit; done
    "#;
    let mut command = shell(&place, script);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    let output = exchanging(one.parent().unwrap(), other.parent().unwrap(), || {
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        child.wait_with_output().unwrap()
    });
    assert_eq!(common::ran(output).ok(), "good".repeat(300));
}

// 3. A mount that arrives from the host after the start is not read-only below a read-only bind.

#[test]
fn a_mount_that_arrives_later_is_not_writable_below_a_read_only_bind() {
    need!(userns());
    let place = Place::new();
    for flags in ["", "--unshare-user"] {
        let script = format!(
            r#"
            cd "$P"; mkdir -p tree; rm -f said go; mkfifo said go; mount -t tmpfs none tree; mkdir tree/later
            $BWRAP --ro-bind / / --dev /dev {flags} --ro-bind tree /mnt -- /bin/sh -c '
              cd "$0"; echo > said; read x < go
              for dir in "$0"/tree/later /mnt/later; do
                if (echo x > $dir/file) 2>/dev/null; then echo written; else echo refused; fi
              done' "$P" &
            read x < said; mount -t tmpfs none tree/later; echo > go; wait $!"#
        );
        let script = script.replace('\'', "'\\''");
        let ran = run(&place, &format!("exec unshare -rm --propagation shared /bin/bash -c '{script}'"));
        assert_eq!(ran.ok(), "refused\nrefused\n", "{flags}");
    }
}

// 4. `nosymfollow` of a mount is dropped by a bind of it.

#[test]
fn nosymfollow_stays_on_what_is_bound() {
    need!(userns());
    let place = Place::new();
    let script = r#"
        cd "$P"; mkdir -p tree; mount -t tmpfs none tree; echo text > tree/file; ln -s file tree/link
        mount -o remount,bind,nosymfollow tree && ! cat tree/link 2>/dev/null || exit 77
        for flags in "--ro-bind / /" "--bind / /" "--dev-bind / /" "--bind / / --remount-ro $P/tree" "--bind / / --unshare-user"; do
          $BWRAP $flags --dev /dev -- /bin/sh -c "cat tree/link 2>/dev/null; cat tree/file"
          $BWRAP $flags --dev /dev --bind tree /mnt -- /bin/sh -c "cat /mnt/link 2>/dev/null; cat /mnt/file"
        done
    "#;
    let script = script.replace('\'', "'\\''");
    let ran = run(&place, &format!("exec unshare -rm /bin/bash -c '{script}'"));
    need!(Need::new("nosymfollow", ran.status != Some(77), "mount(8) or the kernel has no nosymfollow"));
    assert_eq!(ran.ok(), "text\n".repeat(10));
}

// 5. A program types into the caller's terminal; what stops it (`--new-session`) takes job control away.

const SANDBOXES: [&str; 3] = ["", "--unshare-pid", "--unshare-pid --as-pid-1"];

#[test]
fn nothing_can_be_typed_into_the_callers_terminal_and_job_control_works() {
    need!(userns(), tools(&["python3"]));
    let place = Place::new();
    // TIOCSTI, and TIOCLINUX, which pastes on a virtual console.
    let code = "import fcntl\nfor r in (0x5412, 0x541c):\n  try: fcntl.ioctl(0, r, b'#'); print('typed')\n  except OSError as e: print('errno', e.errno)";
    place.write("work/push.py", code);
    for flags in SANDBOXES {
        let script = format!(
            "set -m; $BWRAP --ro-bind / / {flags} /bin/bash -c '/usr/bin/python3 push.py; echo ready; \
             trap \"echo size; exit 5\" WINCH; read x; echo got-$x; while :; do read -t 0.1 x; done'; \
             echo stopped-$?; fg; echo end-$?"
        );
        let mut terminal = Session::start(&place, &script);
        terminal.expect("ready");
        assert_eq!(terminal.before, "errno 1\r\nerrno 1\r\n", "{flags}");
        // A stop is for a process that may be stopped: the kernel keeps it from PID 1 of a namespace.
        if !flags.contains("as-pid-1") {
            terminal.send("\x1a");
            terminal.expect("stopped-14");
        }
        terminal.send("word\n");
        terminal.expect("got-word");
        terminal.resize(44, 99);
        terminal.expect("size");
        terminal.expect("-5");
    }
}

// 6. Descriptors of namespaces, and others that are meant for the launcher alone, stay open in the program.

/// A script that prints what the open descriptors are, but for those that a shell uses itself.
const OPEN: &str =
    r#"/bin/bash -c 'for n in {4..9}; do [ ! -e /proc/self/fd/$n ] || readlink -n /proc/self/fd/$n; done'"#;

#[test]
fn descriptors_that_are_for_the_launcher_are_not_open_in_the_program() {
    need!(userns());
    let place = Place::new();
    std::fs::write(place.work().join("filter"), filter(&[], REFUSED)).unwrap();
    place.write("work/empty", "");
    // The first namespaces are those of a process that waits; the second user namespace is made in the first. 7 is for the
    // program: what has no meaning for the launcher reaches it.
    let script = format!(
        r#"
        mkfifo wait ready
        unshare -Ur --pid --fork bash -c 'unshare -U bash -c "echo > ready; read x < wait" & wait' &
        read x < ready
        first=$(cat /proc/$!/task/$!/children); first=${{first% }}
        second=$(cat /proc/$first/task/$first/children); second=${{second% }}
        exec 7<"$P/home"
        try() {{ echo "$*: $("$BWRAP" --ro-bind / / "$@" -- {OPEN}) $?"; }}
        for option in --args --info-fd --json-status-fd --sync-fd --block-fd; do (exec 8<>empty; try $option 8); done
        for option in --file --bind-data --ro-bind-data --bind-fd; do (exec 8<empty; try --tmpfs /mnt $option 8 /mnt/f); done
        (exec 8<filter; try --seccomp 8)
        (exec 8<filter; try --add-seccomp-fd 8)
        user() {{ exec 8</proc/$first/ns/user; }}
        (user; try --userns 8)
        (user; exec 9</proc/$second/ns/user; try --userns 8 --userns2 9)
        (user; exec 9</proc/$first/ns/pid_for_children; try --userns 8 --pidns 9)
        (user; exec 9</proc/$first/ns/pid_for_children; try --userns 8 --pidns 9 --unshare-pid)
        mkfifo info block
        exec 8<>info 9<>block
        try --unshare-user --info-fd 8 --userns-block-fd 9 &
        read -r -u 8 x; read -r -u 8 pid; pid=${{pid//[!0-9]/}}
        echo deny > /proc/$pid/setgroups; echo "$UID $UID 1" > /proc/$pid/uid_map
        id=$(id -g); echo "$id $id 1" > /proc/$pid/gid_map; echo >&9; wait $!
        echo > wait
        "#
    );
    let out = run(&place, &script).ok();
    let right = format!(": {}/home 0", place.dir.path().display());
    assert_eq!(out.lines().count(), 16, "{out}");
    assert_eq!(out.lines().filter(|line| !line.ends_with(&right)).collect::<Vec<_>>(), [""; 0]);
}

// 7. Arguments from a file go on with an overlay that began before them: 0.11.1 and 0.12.0 crash (0.8.0 has no overlays).

#[test]
fn an_overlay_that_goes_on_in_a_file_of_arguments_crashes_nothing() {
    need!(userns());
    let place = Place::new();
    for dir in ["lower", "upper", "other"] {
        std::fs::create_dir(place.work().join(dir)).unwrap();
    }
    for arguments in [
        "--tmp-overlay /mnt",
        "--ro-overlay /mnt",
        "--overlay upper other /mnt",
        "--overlay-src other --ro-overlay /mnt",
        "--overlay-src other",
        "--tmp-overlay",
        "--dir /mnt",
        "",
    ] {
        place
            .write("work/arguments", &arguments.split_whitespace().map(|word| format!("{word}\0")).collect::<String>());
        for before in ["--overlay-src lower", "--overlay-src lower --overlay-src lower"] {
            // The work directory of an overlay has no permissions: the temporary directory could not be removed.
            let ran = run(
                &place,
                &format!(
                    "exec 9<arguments; $BWRAP $ROOT {before} --args 9 /bin/true; status=$?; \
                chmod -f 700 other/work; exit $status"
                ),
            );
            let said = if ran.err.is_empty() { 0 } else { 1 };
            assert_eq!(ran.status, Some(said), "{before} {arguments:?} {ran:?}");
            assert!(ran.err.is_empty() || ran.err.starts_with("bwrap: "), "{before} {arguments:?} {ran:?}");
        }
    }
}

// 8. Numbers are cut to 32 bits: the user 4294967296 is root, the descriptor 4294967299 is 3.

#[test]
fn a_number_that_is_too_large_is_refused() {
    need!(userns());
    let place = Place::new();
    let refused = |arguments: &str, message: &str| {
        let script = format!("exec 3</dev/null; exec $BWRAP $ROOT {arguments} /bin/true");
        let said = run(&place, &script).failed(1);
        assert_eq!(said.lines().next(), Some(format!("bwrap: {message}").as_str()), "{arguments}");
    };
    for number in ["2147483648", "4294967294", "4294967296", "99999999999", "18446744073709551616"] {
        refused(&format!("--unshare-user --uid {number}"), &format!("Invalid uid: {number}"));
        refused(&format!("--unshare-user --gid {number}"), &format!("Invalid gid: {number}"));
    }
    let number = "4294967299";
    for option in ["args", "sync-fd", "block-fd", "info-fd", "json-status-fd", "seccomp", "add-seccomp-fd", "userns"] {
        refused(&format!("--{option} {number}"), &format!("Invalid fd: {number}"));
    }
    for option in ["userns2", "pidns", "userns-block-fd"] {
        refused(&format!("--{option} {number}"), &format!("Invalid fd: {number}"));
    }
    for option in ["file", "bind-data", "ro-bind-data", "bind-fd", "ro-bind-fd"] {
        refused(&format!("--{option} {number} /file"), &format!("Invalid fd: {number}"));
    }
}

// 9. `--die-with-parent` has moments at which it does not hold, and takes the end of a thread for that of the process. The
// program itself has to die at least; processes that it started are sure to die with it only in a pid namespace.

#[test]
fn a_launcher_killed_at_any_moment_leaves_no_process() {
    need!(userns());
    let place = Place::new();
    let mark = Mark::new();
    for flags in ["", "--unshare-pid", "--unshare-pid --as-pid-1", "--unshare-all --dev /dev --proc /proc"] {
        for round in 0..150 {
            let script = format!("exec $BWRAP --ro-bind / / --die-with-parent {flags} sleep {}", mark.0);
            let mut child = shell(&place, &script).stderr(Stdio::null()).spawn().unwrap();
            let name = format!("/proc/{}/cmdline", child.id());
            // The moment at which bash has become the launcher, and up to 6 ms more.
            until(|| std::fs::read_to_string(&name).is_ok_and(|line| !line.starts_with("/bin/bash")));
            std::thread::sleep(Duration::from_micros(round * 40));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        mark.gone(flags);
    }
}

#[test]
fn the_end_of_the_thread_that_started_it_is_not_the_end_of_the_parent() {
    need!(userns());
    let place = Place::new();
    let mark = Mark::new();
    for flags in ["", "--unshare-pid"] {
        let script = format!("exec $BWRAP --ro-bind / / --die-with-parent {flags} sleep {}", mark.0);
        let start = || {
            let child = shell(&place, &script).spawn().unwrap();
            // By now the launcher watches its parent.
            until(|| mark.sleeping() > 0);
            child
        };
        let mut child = std::thread::scope(|scope| scope.spawn(start).join().unwrap());
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(child.try_wait().unwrap(), None, "{flags}");
        child.kill().unwrap();
        child.wait().unwrap();
        mark.gone(flags);
        // The parent's end counts as well: a shell that is killed while the launcher runs in it.
        let mut parent = shell(&place, &script.replace("exec ", "")).arg0("parent").spawn().unwrap();
        until(|| mark.sleeping() > 0);
        parent.kill().unwrap();
        parent.wait().unwrap();
        mark.gone(flags);
    }
}

// 10. Each tmpfs may take half of the memory; the reaper shows what the launcher knew.

#[test]
fn what_has_no_size_of_its_own_shares_one_tmpfs() {
    need!(userns());
    let place = Place::new();
    // The root is another one: a program that compares device numbers is to see where a filesystem begins.
    let script = r#"
        $BWRAP $ROOT --dev /dev --tmpfs /one --tmpfs /two --size 1048576 --tmpfs /sized -- /bin/bash -c '
          free() { stat -f -c %a "$@"; }
          for dir in / /dev /dev/shm /one; do
            before=$(free /two); head -c 4194304 /dev/zero > $dir/data; after=$(free /two); rm $dir/data
            echo $dir $(((before - after) * $(stat -f -c %S /two) >= 4194304))
          done
          before=$(free /two); head -c 524288 /dev/zero > /sized/data; echo /sized $((before - $(free /two)))'
    "#;
    assert_eq!(run(&place, script).ok(), "/ 0\n/dev 1\n/dev/shm 1\n/one 1\n/sized 0\n");
}

#[test]
fn the_reaper_shows_the_program_nothing() {
    need!(userns());
    let place = Place::new();
    let script = r#"
        export SECRET=in-the-environment
        for flags in --clearenv "--unsetenv SECRET" "--clearenv --info-fd 9" "--clearenv --json-status-fd 9"; do
          9>/dev/null $BWRAP $ROOT --unshare-pid --proc /proc --dev /dev --cap-drop ALL $flags -- /bin/bash -c '
            [ $$ != 1 ] || echo no reaper
            for file in environ mem maps auxv; do (head -c 1 /proc/1/$file | wc -c) 2>/dev/null; done
            for link in exe cwd root fd/0 ns/mnt; do readlink /proc/1/$link; done
            [ -z "$SECRET" ] || echo kept; kill -0 1 || echo cannot be signalled'
        done
    "#;
    assert_eq!(run(&place, script).out, "0\n0\n0\n0\n".repeat(4));
}

// 11. A seccomp program for the payload is put on the reaper, too, and on what the launcher has still to do. (A program with
// capabilities may trace a PID 1 that `--json-status-fd` shows, which then gets the same filters: hence `--cap-drop ALL`.)

/// A program that ends or refuses these system calls and allows all others.
fn filter(calls: &[i64], action: u32) -> Vec<u8> {
    let statement = |code: u16, jt: u8, jf: u8, k: u32| {
        [&code.to_ne_bytes()[..], &[jt, jf], &k.to_ne_bytes()[..]].concat() // struct sock_filter
    };
    // The number of the call is the first member of struct seccomp_data.
    let mut program = statement((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, 0, 0, 0);
    for call in calls {
        program.extend(statement((libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, 0, 1, *call as u32));
        program.extend(statement((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, action));
    }
    program.extend(statement((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, libc::SECCOMP_RET_ALLOW));
    program
}

const REFUSED: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;

#[test]
fn a_seccomp_program_does_not_stop_the_reaper() {
    need!(userns());
    let place = Place::new();
    for action in [libc::SECCOMP_RET_KILL_PROCESS, REFUSED] {
        let calls = [
            (libc::SYS_wait4, "wait4"),
            (libc::SYS_waitid, "waitid"),
            (libc::SYS_write, "write"),
            (libc::SYS_ppoll, "ppoll"),
            (libc::SYS_epoll_pwait, "epoll_pwait"),
            (libc::SYS_signalfd4, "signalfd4"),
            (libc::SYS_kill, "kill"),
            #[cfg(target_arch = "x86_64")]
            (libc::SYS_poll, "poll"),
        ];
        let all: Vec<i64> = calls.iter().map(|(call, _)| *call).collect();
        let each = calls.iter().map(|(call, name)| (vec![*call], *name));
        for (calls, name) in each.chain([(all, "all of them")]) {
            std::fs::write(place.work().join("filter"), filter(&calls, action)).unwrap();
            for option in ["--seccomp", "--add-seccomp-fd"] {
                let script = format!(
                    "exec 9<filter 10>status; $BWRAP $ROOT --unshare-pid --cap-drop ALL --json-status-fd 10 {option} 9 /bin/sh -c 'exit 7'"
                );
                assert_eq!(run(&place, &script).status, Some(7), "{name} {action:#x} {option}");
                let status = std::fs::read_to_string(place.work().join("status")).unwrap();
                assert!(status.contains("\"exit-code\": 7"), "{name} {action:#x} {option} {status}");
            }
        }
    }
}

#[test]
fn orphans_are_reaped_whatever_the_program_may_call() {
    need!(userns(), tools(&["python3"]));
    let place = Place::new();
    // A child that is left waits for nobody; its child, an orphan, ends 0.2 s later. When both have ended, which closes the pipe,
    // the child is the program's own to wait for (Z), and the orphan the reaper's (gone, soon).
    let code = "import os, time\n\
                ended, pipe = os.pipe()\n\
                if os.fork() == 0:\n  if os.fork() == 0: time.sleep(0.2)\n  os._exit(0)\n\
                os.close(pipe); os.read(ended, 1)\n\
                def state(pid):\n  try: return open(f'/proc/{pid}/stat').read().split(') ')[1][0]\n  except OSError: return ''\n\
                for wait in range(1000):\n\
                \x20 zombies = [state(pid) for pid in os.listdir('/proc') if pid.isdigit()].count('Z')\n\
                \x20 if zombies == 1: break\n\
                \x20 time.sleep(0.01)\n\
                os._exit(10 + zombies)";
    place.write("work/orphan.py", code);
    for action in [libc::SECCOMP_RET_KILL_PROCESS, REFUSED] {
        std::fs::write(place.work().join("filter"), filter(&[libc::SYS_wait4, libc::SYS_waitid], action)).unwrap();
        let script =
            "exec 9<filter; $BWRAP --ro-bind / / --unshare-pid --proc /proc --seccomp 9 /usr/bin/python3 orphan.py";
        assert_eq!(run(&place, script).status, Some(11), "{action:#x}");
    }
}

// And what is awkward rather than unsafe: signals end the launcher alone, and processes outlive it.

#[test]
fn signals_for_the_launcher_reach_the_program() {
    need!(userns());
    let place = Place::new();
    for (name, number) in [("TERM", libc::SIGTERM), ("INT", libc::SIGINT)] {
        for flags in SANDBOXES {
            let script = format!(
                "exec $BWRAP --ro-bind / / {flags} /bin/bash -c 'trap \"echo got; exit 9\" {name}; echo ready; \
                 while :; do sleep 0.05; done'"
            );
            let mut running = Running::start(&place, &script);
            running.expect("ready");
            signal(running.pid(), number);
            let ran = running.end();
            assert_eq!((ran.status, ran.out.as_str()), (Some(9), "ready\ngot\n"), "{name} {flags} {}", ran.err);
        }
    }
}

#[test]
fn a_signal_that_the_program_does_not_handle_ends_it() {
    need!(userns());
    let place = Place::new();
    let mark = Mark::new();
    for number in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1] {
        for flags in ["", "--unshare-pid"] {
            let script = format!("exec $BWRAP --ro-bind / / {flags} sleep {}", mark.0);
            let running = Running::start(&place, &script);
            until(|| mark.sleeping() > 0);
            signal(running.pid(), number);
            let mut running = running;
            until(|| running.child.try_wait().unwrap().is_some());
            mark.gone(flags);
            // The launcher dies by the signal, as bubblewrap does.
            let status = running.child.wait().unwrap();
            assert_eq!((status.signal(), status.core_dumped()), (Some(number), false), "{flags} {status:?}");
        }
    }
}

#[test]
fn with_a_pid_namespace_nothing_outlives_a_launcher_that_dies_with_its_parent() {
    need!(userns());
    let place = Place::new();
    let mark = Mark::new();
    let script = format!(
        "exec $BWRAP --ro-bind / / --unshare-pid --die-with-parent /bin/bash -c 'trap \"\" HUP TERM; (setsid sleep {0} &); sleep {0} & exit 3'",
        mark.0
    );
    let mut running = Running::start(&place, &script);
    until(|| running.child.try_wait().unwrap().is_some());
    // The launcher waits for the last process, so the test does not wait.
    assert_eq!(mark.alive(), vec![]);
    assert_eq!(running.end().status, Some(3));
}

#[test]
fn with_a_pid_namespace_the_death_of_the_launcher_ends_the_sandbox() {
    need!(userns());
    let place = Place::new();
    let mark = Mark::new();
    for flags in ["--unshare-pid", "--unshare-all", "--unshare-pid --as-pid-1"] {
        let inner = format!("trap \"\" HUP TERM; (setsid sleep {0} &); sleep {0}", mark.0);
        let running = Running::start(&place, &format!("exec $BWRAP --ro-bind / / {flags} /bin/bash -c '{inner}'"));
        until(|| mark.sleeping() == 2);
        signal(running.pid(), libc::SIGKILL);
        mark.gone(flags);
    }
}

/// Opens for writing every file of procfs that is not a process's, and reads those that only root may read. Nothing is
/// written.
const PROC: &str = r#"
import os
for root, dirs, files in os.walk('/proc'):
    if root == '/proc':
        dirs[:] = [dir for dir in dirs if not dir.isdigit() and dir not in ('self', 'thread-self', 'pressure')]
    for path in (os.path.join(root, file) for file in files):
        if os.path.islink(path): continue
        for flags in (os.O_WRONLY, os.O_RDONLY):
            try:
                if flags == os.O_RDONLY and os.lstat(path).st_mode & 0o044: continue
                file = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
                if flags == os.O_WRONLY and WRITES or flags == os.O_RDONLY and READS and os.read(file, 1): print(path)
                os.close(file)
            except OSError: pass
"#;

/// bubblewrap asks whether it may write to /proc/sys itself, which not even root may.
#[test]
fn root_sets_nothing_of_the_kernel_in_proc() {
    need!(root(), userns(), tools(&["python3"]));
    let place = Place::new();
    let script = PROC.replace("WRITES", "True").replace("READS", "False");
    for options in [
        &["--unshare-pid"][..],
        &[],
        &["--unshare-pid", "--unshare-user", "--uid", "1000"],
        &["--unshare-pid", "--unshare-user", "--uid", "0"],
        &["--unshare-user", "--uid", "1000"],
    ] {
        let all = [&bwrap::PROGRAMS[..], &["--proc", "/proc", "--cap-drop", "ALL"], options].concat();
        let mut command = bwrap::command(&place, &[&all[..], &["python3", "-c", &script]].concat());
        let ran = common::ran(command.output().unwrap());
        assert!(
            ran.status == Some(0) && ran.out.is_empty(),
            "{options:?}: {} {}",
            ran.err,
            &ran.out[..ran.out.len().min(400)]
        );
    }
}
