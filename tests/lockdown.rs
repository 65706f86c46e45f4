//! What the lock-down denies to a program: capabilities, Landlock, system calls.

mod common;

use common::network::programs;
use common::{Need, Place, landlock, tools, tun, userns};

/// The strictest setting of security.landlock that this kernel supports.
fn most() -> &'static str {
    if version() >= 6 { "security.landlock=require" } else { "security.landlock=prefer" }
}

/// The version of Landlock that the kernel has, or 0.
fn version() -> i32 {
    sbx::testing::landlock_version().unwrap_or(0)
}

const SETS: &str = "grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f2 | sort -u";

#[test]
fn capabilities_are_those_of_the_profile_in_every_set_and_no_other() {
    need!(userns());
    let place = Place::new();
    assert_eq!(place.sh(&[], SETS).ok(), "0000000000000000\n");
    for user in ["self", "root"] {
        let flags = ["--user", user, "--set", "security.capabilities=[\"CAP_NET_RAW\",\"cap_kill\"]"];
        assert_eq!(place.sh(&flags, SETS).ok(), "0000000000002020\n", "{user}");
        // PID 1 needs no capabilities. It gives them up while the program starts.
        let own = "for try in $(seq 300); do
            own=$(grep -E '^Cap(Prm|Eff)' /proc/1/status | cut -f2 | sort -u); [ \"$own\" = 0000000000000000 ] && break; sleep 0.05
            done; echo \"$own\"";
        assert_eq!(place.sh(&flags, own).ok(), "0000000000000000\n", "{user}");
    }
    let wrong = place.sh(&["--set", "security.capabilities=[\"CAP_NET_RAWW\"]"], "true").failed(125);
    assert!(wrong.contains("did you mean `CAP_NET_RAW`?"), "{wrong}");
}

#[test]
fn capabilities_that_are_kept_have_no_power_over_the_view() {
    need!(userns());
    let place = Place::new();
    place.write("work/secret/key", "secret");
    let flags = [
        "--ro",
        ".",
        "--deny",
        "secret",
        "--set",
        "security.capabilities=[\"CAP_SYS_ADMIN\",\"CAP_SYS_RESOURCE\",\"CAP_DAC_OVERRIDE\"]",
    ];
    for user in ["self", "root"] {
        let tries = "umount -l secret && echo umount; mount -o remount,bind,rw . && echo rw; mount -t tmpfs t /mnt && echo tmpfs
            unshare -m umount -l secret && echo umount in a namespace; unshare -m sh -c 'umount -l secret; cat secret/key'
            unshare -U true && echo nested; echo 5 >/proc/sys/user/max_user_namespaces && echo limit
            cat secret/key && echo read; touch new && echo written; true";
        let ran = place.sh(&[&flags[..], &["--user", user]].concat(), tries);
        assert_eq!(ran.out, "", "{user}: {ran:#?}");
        assert_eq!(ran.status, Some(0));
    }
    let range = place.sh(&["--user", "range", "--set", "security.capabilities=[\"CAP_SYS_ADMIN\"]"], "true");
    assert!(range.status == Some(125), "{range:#?}");
}

#[test]
fn landlock_lets_everyday_work_be_done() {
    need!(userns(), tools(&["python3"]), landlock(2));
    let place = Place::new();
    let script =
        "set -e; cd /tmp; mkdir a b; echo x >a/f; mv a/f b/f; ln b/f a/g; : >b/f; rm -r a b; mkfifo p; ln -s p l
        cat /etc/passwd >/dev/null; ls / /proc /sys /dev >/dev/null; echo 1 >/proc/self/oom_score_adj || true
        echo out >/dev/stdout; echo err >/dev/stderr; echo null >/dev/null; head -c1 /dev/zero >/dev/null
        python3 -c 'import tempfile, os; f = tempfile.NamedTemporaryFile(); f.write(b\"x\"); os.sync()'
        cp /bin/true t; ./t; cd \"$HOME\"; echo h >h; (kill -0 $$); sh -c 'exit 0' & wait; echo done";
    let ran = place.sh(&["--set", most()], script);
    assert!(ran.status == Some(0) && ran.out == "out\ndone\n", "{ran:#?}");
    // Rules for a file, for a path that is missing, and no rules at all.
    place.write("work/file", "text");
    let flags = ["--set", most(), "--rw", "file", "--ro", "nowhere,optional"];
    assert_eq!(place.sh(&flags, "cat file; echo more >>file; cat file").ok(), "texttextmore\n");
    place.write("p.toml", "schema = 1\n[filesystem]\nroot = \"empty\"\n[security]\nlandlock = \"prefer\"\n[filesystem.paths]\n\"/usr\" = \"ro\"\n\"/lib\" = \"ro\"\n\"/lib64\" = \"ro,optional\"\n");
    let profile = place.dir.path().join("p.toml");
    let ran = place.run(&["--profile", profile.to_str().unwrap(), "--", "/usr/bin/ls", "/"]);
    assert!(ran.ok().contains("usr"));
}

#[test]
fn landlock_is_a_wall_of_its_own() {
    need!(userns(), landlock(2));
    let place = Place::new();
    // Landlock forbids mounts, which nothing else does if nested namespaces are allowed.
    let mount = "unshare -Urm mount -t tmpfs t /tmp && echo mounted";
    let nested = ["--set", "namespaces.nested=allow"];
    assert_eq!(place.sh(&nested, mount).out, "mounted\n", "preferred, it gives way to what the profile allows");
    let required = place.sh(&[&nested[..], &["--set", "security.landlock=require"]].concat(), mount);
    assert_eq!(required.out, "");
    if !available!(landlock(6)) {
        assert!(required.status == Some(125) && required.err.contains("signals and abstract sockets"), "{required:#?}");
    } else {
        // A signal to a process outside, whose pid namespace is shared.
        let script = format!("kill -0 {} && echo reached", std::process::id());
        let shared = ["--share", "pid"];
        assert_eq!(place.sh(&shared, &script).out, "reached\n", "the profile shares them");
    }
}

/// System calls that a 32-bit program makes differently: sockets by socketcall(2), System V objects by ipc(2), 64-bit
/// times, mmap2, and threads.
const PROGRAM_OF_32_BITS: &str = r#"
#define _GNU_SOURCE
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <errno.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>
static void *thread(void *number) { return (void *)((long)number + 1); }
int main(int argc, char **argv) {
  if (!strcmp(argv[1], "executed")) { puts(argv[1]); return 7; }
  assert(sizeof(long) == 4);
  int pair[2]; char text[3] = ""; struct stat stat; struct timespec now; pthread_t id; void *result; int status;
  long sockets[] = {AF_UNIX, SOCK_STREAM, 0, (long)pair};
  // The filter cannot see the address family, so `strict` does not allow this call.
  if (!strcmp(argv[1], "default")) assert(!syscall(SYS_socketcall, 8, sockets));
  else assert(syscall(SYS_socketcall, 8, sockets) == -1 && errno == EPERM);
  assert(!syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pair) && write(pair[0], "hi", 2) == 2 && read(pair[1], text, 2) == 2);
  assert(!strcmp(text, "hi") && !fstat(pair[0], &stat) && !clock_gettime(CLOCK_REALTIME, &now));
  assert(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
  int memory = shmget(IPC_PRIVATE, 4096, 0600);
  assert(memory >= 0 && shmat(memory, 0, 0) != (void *)-1 && !shmctl(memory, IPC_RMID, 0));
  assert(!pthread_create(&id, 0, thread, (void *)41) && !pthread_join(id, &result) && result == (void *)42);
  assert(syscall(SYS_getuid32) >= 0 && syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now) == 0);
  // What is denied to 64-bit programs is denied here, too.
  assert(syscall(SYS_unshare, CLONE_NEWUSER) == -1 && errno == EPERM);
  assert(syscall(SYS_mount, "t", "/tmp", "tmpfs", 0, 0) == -1 && errno == EPERM);
  assert(syscall(SYS_umount, "/tmp") == -1 && errno == EPERM);
  assert(syscall(SYS_socket, AF_PACKET, SOCK_RAW, 0) == -1);
  // The filter cannot see the arguments of socketcall(2): but there is no packet socket without a capability.
  long packets[] = {AF_PACKET, SOCK_RAW, 0};
  assert(syscall(SYS_socketcall, 1, packets) == -1);
  fflush(stdout);
  if (fork() == 0) { execl("/proc/self/exe", "again", "executed", (char *)0); _exit(1); }
  assert(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 7);
  puts("done");
}
"#;

#[test]
fn programs_of_32_bits_run_where_the_profile_lets_them() {
    need!(userns(), tools(&["gcc"]));
    let place = Place::new();
    let source = place.write("work/program.c", PROGRAM_OF_32_BITS);
    let program = place.work().join("program");
    for kind in ["-static", "-pie"] {
        let mut gcc = std::process::Command::new("gcc");
        let built =
            gcc.args(["-m32", kind, "-pthread", "-Wno-int-to-pointer-cast", "-o"]).arg(&program).arg(&source).output();
        let built = built.unwrap();
        need!(Need::new("multilib", built.status.success(), format!("gcc -m32 fails: {built:?}")));
        let both = ["--set", "security.arch=[\"native\",\"x86\"]"];
        for base in ["default", "strict"] {
            let filter = format!("security.seccomp={base}");
            let flags = [&both[..], &["--set", &filter, "--", program.to_str().unwrap(), base]].concat();
            assert_eq!(place.run(&flags).ok(), "executed\ndone\n", "{kind} {base}");
        }
        // A call that is denied by its name is also denied by the call that does many things (socketcall, ipc).
        let denied = [
            "--set",
            "security.syscalls.deny=[\"socketpair\",\"accept4\"]",
            "--",
            program.to_str().unwrap(),
            "default",
        ];
        let ran = place.run(&[&both[..], &denied].concat());
        assert!(ran.err.contains("SYS_socketcall, 8"), "{ran:#?}");
        let ran = place.run(&["--", program.to_str().unwrap(), "default"]);
        assert!(ran.status > Some(128) && ran.out.is_empty() && ran.err.contains("security.arch"), "{ran:#?}");
    }
}

#[test]
fn message_queues_are_there_and_are_not_the_hosts() {
    need!(userns(), tools(&["python3"]));
    let place = Place::new();
    let script = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n\
        assert libc.mq_open(b'/sbx-test', os.O_CREAT | os.O_RDWR, 0o600, None) >= 0, os.strerror(ctypes.get_errno())\n\
        print(os.listdir('/dev/mqueue'))";
    for flags in [&[][..], &["--set", "security.landlock=off"]] {
        let out = place.sh(flags, &format!("python3 -c \"{script}\""));
        assert_eq!(out.out, "['sbx-test']\n", "{out:?}");
    }
}

#[test]
fn the_receipt_says_what_enforces_each_line_and_what_does_not() {
    need!(userns());
    let place = Place::new();
    let path = place.dir.path().join("receipt.json");
    let file = path.to_str().unwrap();
    let read = || -> serde_json::Value { serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap() };
    let line = |receipt: &serde_json::Value, setting: &str| {
        let lines = receipt["lines"].as_array().unwrap().clone();
        lines.into_iter().find(|line| line["setting"].as_str().unwrap().contains(setting)).unwrap()
    };
    place.run(&["--receipt", file, "--ro", "/etc", "--deny", "/usr/games", "--", "true"]).ok();
    let receipt = read();
    assert_eq!(line(&receipt, "/etc = \"ro\"")["enforced"], "full");
    assert!(line(&receipt, "/etc = \"ro\"")["origin"].as_str().unwrap().contains("--ro /etc"), "{receipt}");
    assert!(line(&receipt, "/usr/games")["by"][0].as_str().unwrap().contains("enter"), "{receipt}");
    assert!(line(&receipt, "security.seccomp")["by"][0].as_str().unwrap().contains("instructions"));
    let expected = match version() {
        6.. => "full",
        2..6 => "partial",
        _ => "none",
    };
    assert_eq!(line(&receipt, "security.landlock")["enforced"], expected, "{receipt}");
    // The receipt says that it is not enforced.
    place.run(&["--receipt", file, "--set", "security.landlock=off", "--", "true"]).ok();
    assert_eq!(line(&read(), "security.landlock")["enforced"], "none");
    // A run that did not start enforced nothing.
    place.run(&["--receipt", file, "--", "/nowhere"]).failed(127);
    assert_eq!(read()["started"], false);
    // The receipt's descriptor is not passed to the program.
    let told = place.run(&["--receipt", "1", "--", "true"]).ok();
    assert!(told.starts_with("{\n") && told.contains("\"lines\""), "{told}");
    let error = place.run(&["--receipt", "/nowhere/x", "--", "true"]).failed(125);
    assert!(error.contains("--receipt /nowhere/x") && error.contains("help:"), "{error}");
}

#[test]
fn debuggers_work_where_a_profile_allows_them() {
    need!(userns(), tools(&["strace", "gdb", "gcc"]));
    let place = Place::new();
    let trace = "strace -o /tmp/trace true 2>/tmp/said; echo $?; grep -c execve /tmp/trace";
    let denied = place.sh(&[], trace);
    assert!(!denied.out.starts_with("0\n"), "{denied:#?}");
    let allowed = place.sh(&["--set", "security.syscalls.allow=[\"@debug\"]"], trace);
    assert_eq!(allowed.out, "0\n1\n", "{allowed:#?}");
    let debug = "gdb -q -batch -ex 'break main' -ex run -ex bt -ex continue ./a 2>&1";
    let build = "cd /tmp; printf 'int main(){return 42;}' >a.c; gcc -g a.c -o a";
    let allowed = place.sh(&["--set", "security.syscalls.allow=[\"@debug\"]"], &format!("{build}; {debug}"));
    assert!(
        allowed.out.contains("#0  main () at a.c:1") && allowed.out.contains("exited with code 052"),
        "{allowed:#?}"
    );
    let denied = place.sh(&[], &format!("{build}; {debug}"));
    assert!(!denied.out.contains("#0  main"), "{denied:#?}");
    let wrong = place.sh(&["--set", "security.syscalls.allow=[\"ptrac\"]"], "true").failed(125);
    assert!(wrong.contains("did you mean `ptrace`?"), "{wrong}");
    let wrong = place.sh(&["--set", "security.syscalls.deny=[\"execve\"]"], "true").failed(125);
    assert!(wrong.contains("no program can be started"), "{wrong}");
    // A call that is denied by name, with the errno that was asked for.
    let flags = ["--set", "security.syscalls.deny=[\"mkdir\",\"mkdirat\"]", "--set", "security.syscalls.errno=EXDEV"];
    let denied = place.sh(&flags, "mkdir /tmp/x");
    assert!(denied.err.contains("cross-device"), "{denied:#?}");
}

/// Takes a descriptor out of a child, and asks for a counter of the processor.
const DEBUGGER: &str = r#"
import ctypes, errno, os, platform, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
read, write = os.pipe()
child = os.fork()
if child == 0: signal.pause()
taken = libc.syscall(438, os.pidfd_open(child), write, 0)
if taken >= 0: os.write(taken, b"taken"); print(os.read(read, 9).decode())
else: print(errno.errorcode[ctypes.get_errno()])
os.kill(child, signal.SIGKILL)
libc.syscall(298 if platform.machine() == "x86_64" else 241, ctypes.create_string_buffer(128), 0, -1, -1, 0)
print(errno.errorcode[ctypes.get_errno()])
"#;

#[test]
fn ci_and_shell_have_what_debuggers_and_sanitizers_ask_for() {
    need!(userns(), tools(&["setarch", "python3"]));
    let place = Place::new();
    let calls = |flags: &[&str]| place.run(&[flags, &["--", "python3", "-c", DEBUGGER]].concat()).ok();
    let fixed = |flags: &[&str]| place.run(&[flags, &["--", "setarch", "-R", "true"]].concat());
    for profile in ["ci", "shell"] {
        fixed(&["--profile", profile]).ok();
        assert_eq!(calls(&["--profile", profile]), "taken\nEPERM\n", "{profile}: perf_event_open is no debugger's");
    }
    assert_eq!(calls(&[]), "EPERM\nEPERM\n");
    assert_ne!(fixed(&[]).status, Some(0));
    if available!(tools(&["gdb", "gcc"])) {
        let debug = "cd /tmp; printf 'int main(){return 42;}' >a.c; gcc -g a.c -o a
            gdb -q -batch -ex 'break main' -ex run -ex bt -ex continue ./a 2>&1";
        let ran = place.sh(&["--profile", "ci"], debug);
        assert!(ran.out.contains("exited with code 052") && !ran.out.contains("randomization"), "{ran:#?}");
    }
    // Each of these ends with what the leak costs, or says that the sanitizer cannot run.
    if available!(tools(&["gcc"])) {
        let leak =
            "cd /tmp; printf '#include <stdlib.h>\\nvoid *volatile p; int main(){p=malloc(77); p=0; return 0;}' >a.c
            gcc -g -fsanitize=leak a.c -o a && setarch -R ./a 2>&1 | tail -n 1";
        let ran = place.sh(&["--profile", "ci"], leak);
        assert!(ran.out.contains("77 byte(s) leaked"), "{ran:#?}");
    }
}

#[test]
fn everyday_programs_work_under_the_filter_and_under_strict() {
    need!(userns(), tools(&["python3", "gcc", "git"]));
    let place = Place::new();
    let script = "set -e; cd /tmp; python3 -c 'import threading, socket, subprocess; t = threading.Thread(target=print, args=(1,)); t.start(); t.join(); a, b = socket.socketpair(); subprocess.run([\"true\"], check=True)'
        printf 'int main(){return 0;}' >a.c; gcc a.c -o a; ./a; tar cf t.tar a.c; sort a.c >/dev/null; find / -maxdepth 1 >/dev/null
        git init -q r; cd r; echo x >f; git add f; git -c user.name=x -c user.email=x commit -qm x; git log --oneline | wc -l; echo done";
    for seccomp in ["default", "strict", "off"] {
        let setting = format!("security.seccomp={seccomp}");
        let ran = place.sh(&["--set", &setting, "--set", most()], script);
        assert!(ran.status == Some(0) && ran.out == "1\n1\ndone\n", "{seccomp}: {ran:#?}");
    }
}

/// Only a limit of 1 keeps core dumps from a program that the host's core_pattern names: core(5).
const CORE: &str = r#"
import ctypes, mmap, os, resource, struct
libc = ctypes.CDLL(None, use_errno=True)
CORE, NOFILE = resource.RLIMIT_CORE, resource.RLIMIT_NOFILE
zeroes = ctypes.create_string_buffer(16)
# A pointer whose lower half is zero.
libc.mmap.restype = ctypes.c_void_p
address = libc.mmap(ctypes.c_void_p(1 << 32), 4096, 3, 0x32, -1, 0)
assert address == 1 << 32
tries = [
    lambda: resource.setrlimit(CORE, (0, 1)),
    lambda: resource.setrlimit(CORE, (0, 0)),
    lambda: libc.syscall(160, CORE, zeroes),
    lambda: libc.syscall(302, 0, CORE, zeroes, None),
    lambda: libc.syscall(302, 0, CORE, ctypes.c_void_p(address), None),
    lambda: libc.syscall(302, 0, ctypes.c_ulong(CORE | 1 << 32), zeroes, None),
    lambda: resource.prlimit(os.getpid(), CORE, (0, 0)),
    lambda: resource.prlimit(os.getppid(), CORE, (0, 0)),
]
for number, attempt in enumerate(tries):
    try: attempt()
    except PermissionError: pass
    if resource.getrlimit(CORE) != (1, 1): print("changed by", number)
soft, hard = resource.getrlimit(NOFILE)
resource.setrlimit(NOFILE, (soft - 1, hard))
assert resource.getrlimit(NOFILE) == (soft - 1, hard) and resource.prlimit(0, CORE) == (1, 1)
"#;

#[test]
fn core_dumps_stay_away_from_programs_outside_whatever_limit_the_program_sets() {
    need!(userns(), tools(&["python3"]), common::x86_64());
    let place = Place::new();
    let script = place.write("home/core.py", CORE).display().to_string();
    let run = |flags: &[&str]| place.run(&[&["--ro", &script][..], flags, &["--", "python3", &script]].concat());
    for flags in [&[][..], &["--set", "security.seccomp=strict"], &["--profile", "ci"]] {
        assert_eq!(run(flags).ok(), "", "{flags:?}");
    }
    // What programs that hold secrets do, and stop if it fails.
    let limit = "awk '/core/ {print $5, $6}' /proc/self/limits";
    assert_eq!(place.sh(&[], &format!("set -e; ulimit -c 0; {limit}")).ok(), "1 1\n");
    let other = ["--set", "rlimits.core=\"512:5120\""];
    assert_eq!(place.sh(&other, &format!("ulimit -S -c 0; {limit}")).ok(), "0 5120\n");
}

/// A tracer that skips getppid(2): at its entry it sets the number to -1 and the result to 4242, and lets the tracee run.
const TRACER: &str = r#"
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
TRACEME, CONT, GETREGS, SETREGS, SYSCALL, RAX, ORIG_RAX = 0, 7, 12, 13, 24, 10, 15
child = os.fork()
if child == 0:
    libc.ptrace(TRACEME, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(42 if libc.syscall(110) == 4242 else 1)
os.waitpid(child, 0)
registers = (ctypes.c_ulonglong * 27)()
while True:
    libc.ptrace(SYSCALL, child, None, None)
    os.waitpid(child, 0)
    libc.ptrace(GETREGS, child, None, registers)
    if registers[ORIG_RAX] == 110: break
registers[ORIG_RAX], registers[RAX] = 2**64 - 1, 4242
libc.ptrace(SETREGS, child, None, registers)
libc.ptrace(CONT, child, None, None)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;

#[test]
fn a_tracer_that_skips_a_call_has_its_own_result() {
    need!(userns(), tools(&["python3"]), common::x86_64());
    let place = Place::new();
    let script = place.write("home/tracer.py", TRACER).display().to_string();
    for flags in [&["--profile", "ci"][..], &["--set", "security.syscalls.allow=[\"@debug\"]"]] {
        let ran = place.run(&[&["--ro", &script][..], flags, &["--", "python3", &script]].concat());
        assert_eq!(ran.ok(), "42\n", "{flags:?}");
    }
}

#[test]
fn a_lease_does_not_stall_who_writes_to_a_shared_file_outside() {
    need!(userns(), tools(&["python3"]));
    let place = Place::new();
    let file = place.write("work/file", "text");
    // F_SETLEASE, and F_SETDELEG of Linux 6.19.
    let script = "import fcntl\nfile = open('file')\n\
        for command, argument in [(1024, fcntl.F_RDLCK), (1040, 0)]:\n\
        \x20   try: fcntl.fcntl(file, command, argument); print('leased')\n\
        \x20   except PermissionError: print('refused')\n\
        \x20   except OSError: print('not there')\n\
        pass";
    let run = |flags: &[&str]| place.run(&[flags, &["--", "python3", "-c", script]].concat());
    for flags in [&[][..], &["--profile", "ci"], &["--set", "security.seccomp=strict"]] {
        assert_eq!(run(flags).ok(), "refused\nrefused\n", "{flags:?}");
    }
    assert!(run(&["--set", "security.syscalls.allow=[\"fcntl\"]"]).ok().starts_with("leased\n"));
    // Locks are as they were.
    let lock = "import fcntl; file = open('file'); fcntl.flock(file, fcntl.LOCK_SH); fcntl.lockf(file, fcntl.LOCK_SH)";
    place.run(&["--", "python3", "-c", lock]).ok();
    assert!(std::fs::write(file, "more").is_ok());
}

/// Options of sockets that change a network namespace, which a program may in one of its own, and options of every day.
const OPTIONS: &str = r#"
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x10000000 | 0x40000000) == 0
def tried(family, level, option, reads):
    with socket.socket(family, socket.SOCK_DGRAM) as made:
        try:
            if reads: made.getsockopt(level, option, 64)
            else: made.setsockopt(level, option, b"\0" * 64)
        except OSError as error: return error.errno
V4, V6 = (socket.AF_INET, 0), (socket.AF_INET6, 41)
tables = {V4: [64, 65, 66, 67, 96, 128, 200, 1152], V6: [64, 65, 200]}
for kind in (V4, V6):
    for option in tables[kind] + {V4: [16, 17], V6: [34, 35]}[kind]:
        for reads in (False, True):
            if reads and option not in tables[kind]: continue
            error = tried(*kind, option, reads)
            if error != 1: print("reached" if not reads else "read", kind[1], option, error and os.strerror(error))
ordinary = {V4: [1, 2, 10, 24, 50], V6: [16, 26, 49, 66, 67, 70]}
for kind, options in ordinary.items():
    for option in options:
        if tried(*kind, option, False) == 1: print("refused", kind[1], option)
        if tried(*kind, option, True) == 1: print("not read", kind[1], option)
# SO_ORIGINAL_DST is for everybody.
if tried(*V4, 80, True) == 1: print("not read 80")
"#;

#[test]
fn firewalls_and_routing_tables_are_not_set_by_options_of_sockets() {
    need!(userns(), tun(), programs(), tools(&["python3"]));
    let place = Place::new();
    let script = place.write("home/options.py", OPTIONS).display().to_string();
    let run = |flags: &[&str]| place.run(&[&["-q", "--ro", &script][..], flags, &["--", "python3", &script]].concat());
    for flags in [&["--profile", "browser"][..], &["--profile", "ci"], &["--set", "namespaces.nested=allow"]] {
        assert_eq!(run(flags).ok(), "", "{flags:?}");
    }
    let named = run(&["--profile", "browser", "--set", "security.syscalls.allow=[\"setsockopt\"]"]).ok();
    assert!(named.contains("reached 0 64") && named.contains("reached 41 64"), "a name lifts the check: {named}");
}
