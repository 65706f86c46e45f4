//! Terminals of running sandboxes: `sbx exec` with one, in the background and by a user's name; `sbx attach` and `sbx start --attach`.

mod common;

use common::process::{descendants, name, signal};
use common::records::Records;
use common::{ran, tools, until, userns};
use std::io::Write;
use std::process::{Command, Stdio};

/// The process below a shell that is sbx.
fn client(shell: u32) -> u32 {
    let mut found = None;
    until(|| {
        found = descendants(shell).into_iter().find(|pid| name(*pid) == "sbx");
        found.is_some()
    });
    found.expect("no sbx below the shell")
}

/// Runs a command with this text as its standard input.
fn typed(mut command: Command, text: &str) -> common::Ran {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    ran(child.wait_with_output().unwrap())
}

#[test]
fn a_further_program_has_a_terminal_of_the_sandboxs_own_and_the_callers_is_as_before() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x"], "sleep 1000");
    let script = "stty -a > before; $SBX exec -it x sh -c 'tty; stty size; echo ready; read y; echo got-$y; exit 7'; echo status-$?
        stty -a > after; cmp before after && echo same";
    let mut session = records.session(script);
    session.expect("/dev/pts/0\r\n");
    session.expect("33 77");
    session.expect("ready");
    session.send("hello\n");
    session.expect("hello");
    session.expect("got-hello");
    session.expect("status-7");
    session.expect("same");
}

#[test]
fn a_further_program_is_told_of_a_new_size_and_of_keys_that_send_signals() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x"], "sleep 1000");
    let program = "trap \"stty size\" WINCH; trap \"echo int\" INT; trap \"echo quit; exit 5\" QUIT; echo ready; while :; do sleep 0.1; done";
    let mut session = records.session(&format!("$SBX exec -it x bash -c '{program}'; echo status-$?"));
    session.expect("ready");
    session.resize(44, 99);
    session.expect("44 99");
    session.send("\x03");
    session.expect("int");
    session.send("\x1c");
    session.expect("quit");
    session.expect("status-5");
}

#[test]
fn a_shell_in_a_sandbox_has_job_control() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x"], "sleep 1000");
    let mut session = records.session("$SBX exec -it -e PS1='in> ' x bash --norc --noprofile -i; echo status-$?");
    session.expect("in> ");
    // What is typed before it has answered may still be the shell's, which has the terminal echo nothing.
    let answers = |session: &mut common::terminal::Session| {
        session.send("typed\n");
        session.expect("shown\r\n");
    };
    session.send("sed -u s/typed/sho''wn/\n");
    answers(&mut session);
    session.send("\x1a");
    session.expect("Stopped");
    session.expect("in> ");
    session.send("fg\n");
    answers(&mut session);
    session.send("\x04");
    session.expect("in> ");
    session.send("exit 9\n");
    session.expect("status-9");
}

#[test]
fn the_callers_terminal_is_put_back_whatever_ends_the_command_in_front() {
    need!(userns());
    for end in ["monitor", "signal", "program", "stop"] {
        let records = Records::new();
        records.start(&["--name", "x"], "sleep 1000");
        let program = "printf \"\\033[?1049h\\033[?25l\\033[31m\"; stty raw -echo; echo ready; exec sleep 1000";
        let script = format!(
            "stty -a > before; $SBX exec -it x sh -c '{program}'; echo status-$?; stty -a > after; cmp before after && echo same"
        );
        let mut session = records.session(&script);
        session.expect("ready");
        let status = match end {
            "monitor" => {
                records.kill(".State.MonitorPid", "x", libc::SIGKILL);
                137
            }
            "signal" => {
                signal(client(session.child.id()) as i32, libc::SIGTERM);
                143
            }
            "program" => {
                records.run(&["exec", "x", "sh", "-c", "n=0; while [ $n = 0 ]; do for p in /proc/[0-9]*; do grep -q '^sleep' $p/comm && [ \"$(readlink $p/fd/0)\" = /dev/pts/0 ] && kill -9 ${p#/proc/} && n=1; done; done"]);
                137
            }
            _ => {
                records.run(&["stop", "-t", "0", "x"]).ok();
                137
            }
        };
        // The cursor, the colour and the screen.
        session.expect("\u{1b}[?25h");
        session.expect("\u{1b}[?1049l");
        session.expect(&format!("status-{status}"));
        session.expect("same");
    }
}

#[test]
fn a_further_program_is_left_by_keys_and_goes_on_whatever_it_writes() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x", "--rw", "."], "sleep 1000");
    // It writes more than a terminal holds once nobody reads it any more.
    let program = "echo ready; until [ -e go ]; do sleep 0.05; done; seq 1 30000; tty > tmp; mv tmp left; sleep 1000";
    let mut session = records.session(&format!(
        "$SBX exec -it x sh -c '{program}'; echo status-$?; $SBX exec --detach-keys a,b -it x sh -c 'echo begun; exec cat'; echo second-$?"
    ));
    session.expect("ready");
    session.send("x\x10y\x10");
    session.expect("x^Py");
    session.send("\x11");
    session.expect("status-0");
    records.place.write("work/go", "");
    assert!(until(|| records.place.work().join("left").exists()), "it waits for a reader");
    assert_eq!(std::fs::read_to_string(records.place.work().join("left")).unwrap(), "/dev/pts/0\n");
    session.expect("begun\r\n");
    session.send("x\n");
    session.expect("x\r\nx\r\n");
    session.send("ab");
    session.expect("second-0");
    let wrong = records.run(&["exec", "--detach-keys", "nonsense", "x", "true"]).failed(125);
    assert!(wrong.contains("these are no keys"), "{wrong}");
}

#[test]
fn input_that_is_no_terminal_is_typed_to_its_end() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x"], "sleep 1000");
    let exec = |args: &[&str], text: &str| {
        let mut command = records.command();
        command.arg("exec").args(args);
        typed(command, text)
    };
    let seen = exec(&["-it", "x", "sh", "-c", "stty -echo; tty; stty size; cat"], "a line\nand a part");
    assert_eq!((seen.status, seen.err.as_str()), (Some(0), ""));
    // What was typed before it said that nothing is to be echoed is shown, too.
    assert!(seen.out.ends_with("/dev/pts/0\r\n24 80\r\na line\r\nand a part"), "{seen:#?}");
    // Standard error is the terminal, too; all of the output is there at the end.
    let long = exec(&["-t", "x", "sh", "-c", "seq 1 30000 >&2; exit 3"], "");
    assert_eq!((long.status, long.err.as_str()), (Some(3), ""));
    assert!(long.out.ends_with("29999\r\n30000\r\n") && long.out.lines().count() == 30000, "{}", long.out.len());
    assert_eq!(exec(&["-t", "x", "no-such-program"], "").status, Some(127));
    assert_eq!(exec(&["-t", "x", "/etc/passwd"], "").status, Some(126));
    assert_eq!(exec(&["-t", "x", "sh", "-c", "kill -TERM $$"], "").status, Some(143));
}

#[test]
fn a_further_program_may_close_its_terminal_and_open_it_again() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x", "--rw", "."], "sleep 1000");
    let program = "echo ready; exec 0<&- 1>&- 2>&-; until [ -e go ]; do sleep 0.05; done; echo back > /dev/tty";
    let mut session = records.session(&format!("$SBX exec -it x sh -c '{program}'; echo status-$?"));
    session.expect("ready");
    records.place.write("work/go", "");
    session.expect("back");
    session.expect("status-0");
}

#[test]
fn a_further_program_is_told_that_the_callers_terminal_has_hung_up() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x", "--rw", "."], "sleep 1000");
    let program = "trap \"echo hup > told; exit\" HUP; echo ready; while :; do sleep 0.05; done";
    let mut session = records.session(&format!("$SBX exec -it x sh -c '{program}'"));
    session.expect("ready");
    session.close();
    assert!(until(|| records.place.work().join("told").exists()));
}

#[test]
fn a_further_program_in_the_background_goes_on_without_the_command() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x", "--rw", "."], "sleep 1000");
    let exec = |args: &[&str]| records.run(&[&["exec", "-d"], args].concat());
    for flags in [&[][..], &["-t"]] {
        let file = format!("made{}", flags.len());
        let script = format!("seq 1 30000; readlink /proc/self/fd/0 > tmp; mv tmp {file}; sleep 1000");
        let ran = exec(&[flags, &["x", "sh", "-c", &script]].concat());
        assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (Some(0), "", ""));
        assert!(until(|| records.place.work().join(&file).exists()));
        let stdin = std::fs::read_to_string(records.place.work().join(&file)).unwrap();
        assert_eq!(stdin, if flags.is_empty() { "/dev/null\n" } else { "/dev/pts/0\n" });
    }
    assert_eq!(exec(&["x", "no-such-program"]).status, Some(127));
    assert_eq!(exec(&["-w", "/no/such", "x", "true"]).status, Some(125));
}

#[test]
fn a_further_program_has_the_ids_of_the_program_and_no_others() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "own"], "sleep 1000");
    records.start(&["--name", "root", "--user", "0:0"], "sleep 1000");
    let exec = |user: &str, name: &str| {
        records.run(&["exec", "-u", user, name, "sh", "-c", "id -u; id -g; grep ^Cap /proc/self/status"])
    };
    let plain = records.run(&["exec", "own", "sh", "-c", "id -u; id -g; grep ^Cap /proc/self/status"]).ok();
    let mut lines = plain.lines();
    let (uid, gid) = (lines.next().unwrap().to_owned(), lines.next().unwrap().to_owned());
    let (user, group) =
        (records.run(&["exec", "own", "id", "-un"]).ok(), records.run(&["exec", "own", "id", "-gn"]).ok());
    let (user, group) = (user.trim(), group.trim());
    for allowed in [uid.clone(), user.to_owned(), format!("{uid}:{gid}"), format!("{user}:{group}")] {
        assert_eq!(exec(&allowed, "own").ok(), plain, "{allowed}");
    }
    let root = exec("root", "root").ok();
    assert!(root.starts_with("0\n0\n"), "{root}");
    assert_eq!(root.lines().skip(2).collect::<Vec<_>>(), plain.lines().skip(2).collect::<Vec<_>>());
    assert_eq!(exec("0:root", "root").ok(), root);
    for (refused, why) in [
        ("0", "cannot have that of user 0"),
        ("root", "cannot have that of user root, which is 0"),
        (&format!("{uid}:0"), "cannot have that of group 0"),
        ("no-such-user", "has no user no-such-user"),
        (&format!("{uid}:no-such-group"), "has no group no-such-group"),
        ("", "has no user"),
    ] {
        let err = exec(refused, "own").failed(125);
        assert!(err.contains(why), "{refused}: {err}");
    }
    // Not by what a program has made of the file.
    records.start(
        &["--name", "changed", "--set", "filesystem.paths.'/etc'='overlay'"],
        "echo 'evil:x:0:0::/:/bin/sh' >> /etc/passwd; sleep 1000",
    );
    assert!(exec("evil", "changed").status == Some(125));
}

/// What the kernel says of a process that bears on what it may do, as the process itself sees it.
const STANDING: &str = "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Sig|Umask)' /proc/self/status | grep -v SigQ
    for kind in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$kind; done
    cat /proc/self/cgroup /proc/self/limits /proc/self/uid_map /proc/self/attr/current 2>/dev/null
    ls /proc/self/fd | wc -l; ulimit -a";

#[test]
fn a_further_program_with_a_terminal_is_as_locked_down_as_one_without() {
    need!(userns(), tools(&["python3"]));
    let records = Records::new();
    records.start(&["--name", "x", "--rw", "."], "sleep 1000");
    let script = |file: &str| format!("({STANDING}) > tmp-{file} 2>&1; mv tmp-{file} {file}");
    let user = records.run(&["exec", "x", "id", "-u"]).ok();
    for (file, flags) in
        [("plain", &[][..]), ("terminal", &["-t"]), ("user", &["-u", user.trim()]), ("background", &["-d"])]
    {
        records.run(&[&["exec"], flags, &["x", "sh", "-c", &script(file)]].concat()).ok();
    }
    let read = |file: &str| std::fs::read_to_string(records.place.work().join(file)).unwrap();
    assert!(until(|| records.place.work().join("background").exists()));
    assert!(read("plain").contains("NoNewPrivs:\t1"));
    for file in ["terminal", "user", "background"] {
        assert_eq!(read(file), read("plain"), "{file}");
    }
    // Nothing can be typed into it from inside, and no other terminal is there.
    let code = "import fcntl, os\nfor r in (0x5412, 0x541c):\n  try:\n    fcntl.ioctl(0, r, b'x'); print('typed')\n  except OSError as e: print('errno', e.errno)\nprint(sorted(os.listdir('/dev/pts')))";
    let seen = records.run(&["exec", "-t", "x", "python3", "-c", code]).ok();
    assert_eq!(seen, "errno 1\r\nerrno 1\r\n['0', 'ptmx']\r\n");
}

#[test]
fn a_shell_in_the_background_is_attached_to_left_and_attached_to_again() {
    need!(userns());
    let records = Records::new();
    records
        .run(&["run", "-d", "-q", "-it", "--name", "x", "-e", "PS1=in> ", "bash", "--norc", "--noprofile", "-i"])
        .ok();
    let script = "stty -a > before; $SBX attach x; echo status-$?; stty -a > after; cmp before after && echo same
        $SBX attach --detach-keys ctrl-a,q x; echo second-$?";
    let mut session = records.session(script);
    // Its prompt is drawn anew, since the window has another size now.
    session.expect("in> ");
    session.send("stty size; kept=here\n");
    session.expect("33 77");
    // It reads by the time that it has answered: what is typed before that may still be the shell's.
    session.send("sed -u s/typed/sho''wn/\n");
    session.send("typed\n");
    session.expect("shown\r\n");
    session.send("\x03");
    session.expect("^C");
    session.expect("in> ");
    session.send("printf '\\033[?25l'; echo hid''den\n");
    session.expect("hidden");
    session.send("\x10\x11");
    // What it has left on the terminal is put back.
    session.expect("\u{1b}[?25h");
    session.expect("status-0");
    session.expect("same");
    session.expect("in> ");
    session.send("echo ${kept}-kept\n");
    session.expect("here-kept\r\n");
    session.resize(44, 99);
    session.send("stty size\n");
    session.expect("44 99");
    session.send("exit 9\n");
    session.expect("second-9");
    assert_eq!(records.run(&["wait", "x"]).ok(), "9\n");
}

#[test]
fn a_program_draws_anew_for_whoever_attaches_with_the_same_size() {
    need!(userns());
    let records = Records::new();
    let program = "trap 'echo drawn $(stty size)' WINCH; echo ready; while :; do sleep 0.1; done";
    records.run(&["run", "-d", "-q", "-t", "--name", "x", "bash", "-c", program]).ok();
    until(|| records.run(&["logs", "x"]).out.contains("ready"));
    for _ in 0..2 {
        let mut session = records.session("$SBX attach x");
        // What is typed goes nowhere: the caller's terminal is as it is, and ^C ends the command alone.
        session.expect("which was started without -i");
        session.expect("drawn 33 77");
        session.send("\x03");
        assert!(until(|| session.child.try_wait().unwrap().is_some()));
    }
    assert_eq!(records.inspect("x", ".State.Status"), "running");
}

#[test]
fn what_a_program_writes_reaches_each_who_is_attached_by_stream() {
    need!(userns());
    let records = Records::new();
    let program = "until [ -e go ]; do sleep 0.05; done; echo out; echo err >&2; exit 6";
    for driver in ["file", "none"] {
        records.start(&["--name", driver, "--rw", ".", "--log-driver", driver], program);
        let attach = || {
            let mut command = records.command();
            command.args(["attach", driver]).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        };
        let all: Vec<_> = (0..3).map(|_| attach()).collect();
        // They hold a connection to the monitor each.
        let monitor = records.inspect(driver, ".State.MonitorPid");
        let sockets = || {
            let files = std::fs::read_dir(format!("/proc/{monitor}/fd")).unwrap().flatten();
            files
                .filter(|file| {
                    std::fs::read_link(file.path()).is_ok_and(|to| to.display().to_string().starts_with("pipe:"))
                })
                .count()
        };
        // Two for its own output, and two for each; the third is closed as nothing is typed.
        assert!(until(|| sockets() >= 4 + 3 * 2), "{}", sockets());
        records.place.write("work/go", "");
        for child in all {
            let ended = ran(child.wait_with_output().unwrap());
            assert_eq!((ended.status, ended.out.as_str(), ended.err.as_str()), (Some(6), "out\n", "err\n"), "{driver}");
        }
        std::fs::remove_file(records.place.work().join("go")).unwrap();
    }
}

#[test]
fn what_cannot_be_shown_is_told_and_is_no_success() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x"], "while :; do echo line; sleep 0.05; done");
    let full = |args: &[&str], number: usize| {
        let full = || Stdio::from(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        let mut command = records.command();
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        if number == 1 {
            command.stdout(full())
        } else {
            command.stderr(full())
        };
        ran(command.output().unwrap())
    };
    for flags in [&["exec", "x"][..], &["exec", "-t", "x"]] {
        let said = full(&[flags, &["sh", "-c", "echo important"]].concat(), 1).failed(125);
        assert!(said.contains("cannot write to standard output: no space left on device"), "{flags:?}: {said}");
    }
    // The program's own status, where that is none of a success.
    full(&["exec", "x", "sh", "-c", "echo important; exit 7"], 1).failed(7);
    assert_eq!(full(&["exec", "x", "sh", "-c", "echo important >&2"], 2).status, Some(125));
    full(&["exec", "x", "true"], 1).ok();
    let said = full(&["attach", "--no-stdin", "x"], 1).failed(125);
    assert!(
        said.contains("cannot write to standard output: no space") && said.contains("the program goes on"),
        "{said}"
    );
    assert_eq!(records.inspect("x", ".State.Status"), "running");
}

#[test]
fn who_does_not_read_is_dropped_and_keeps_neither_the_program_nor_others_waiting() {
    need!(userns());
    let records = Records::new();
    // The second one's output is a file that the program looks at, so that it never has much more to read than that.
    let program =
        "until [ -e go ]; do sleep 0.05; done; i=0; while [ $i -lt 12 ]; do i=$((i + 1)); head -c 1048576 /dev/zero
        until [ $(stat -c %s seen) -ge $((i * 1048576)) ]; do sleep 0.02; done; done; echo end; exit 3";
    records.start(&["--name", "x", "--rw", ".", "--log-opt", "max-size=256k"], program);
    let seen = std::fs::File::create(records.place.work().join("seen")).unwrap();
    let attach = |out: Stdio| {
        let mut command = records.command();
        command.args(["attach", "--no-stdin", "x"]).stdout(out).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let (stopped, reads) = (attach(Stdio::null()), attach(seen.into()));
    // Both are attached once they wait for the monitor with all signals in a descriptor.
    for child in [&stopped, &reads] {
        assert!(until(|| common::process::handles(child.id(), libc::SIGTERM)));
    }
    signal(stopped.id() as i32, libc::SIGSTOP);
    records.place.write("work/go", "");
    let reads = ran(reads.wait_with_output().unwrap());
    assert_eq!((reads.status, reads.err.as_str()), (Some(3), ""));
    let seen = std::fs::read(records.place.work().join("seen")).unwrap();
    assert!(seen.len() == 12 * 1_048_576 + 4 && seen.ends_with(b"end\n"), "{}", seen.len());
    assert_eq!(records.run(&["wait", "x"]).ok(), "3\n");
    signal(stopped.id() as i32, libc::SIGCONT);
    let stopped = ran(stopped.wait_with_output().unwrap());
    assert!(stopped.status == Some(125) && stopped.err.contains("is attached no more"), "{stopped:#?}");
}

#[test]
fn what_is_typed_goes_to_a_program_with_standard_input_to_its_end() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x", "-i"], "cat; echo over; exit 2");
    let attach = |flags: &[&str]| {
        let mut command = records.command();
        command.arg("attach").args(flags).arg("x");
        command
    };
    // One that goes without an end does not end the program's input.
    let mut first = attach(&[]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    first.stdin.as_mut().unwrap().write_all(b"first\n").unwrap();
    until(|| records.run(&["logs", "x"]).out == "first\n");
    first.kill().unwrap();
    first.wait().unwrap();
    let long = "line\n".repeat(50_000);
    let second = typed(attach(&[]), &long);
    assert_eq!((second.status, second.out == long.clone() + "over\n"), (Some(2), true), "{}", second.out.len());
    // Without -i, or with --no-stdin, nothing is passed on.
    records.start(&["--name", "y"], "cat; sleep 1000");
    let mut command = records.command();
    command.args(["attach", "--sig-proxy=false", "y"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    assert!(until(|| common::process::handles(child.id(), libc::SIGTERM)));
    signal(child.id() as i32, libc::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), None, "it ends by the signal");
    assert_eq!(records.inspect("y", ".State.Status"), "running");
}

#[test]
fn signals_for_the_command_in_front_are_the_programs_unless_it_has_a_terminal() {
    need!(userns());
    let records = Records::new();
    let program = "trap 'echo usr' USR1; trap 'echo term; exit 8' TERM; echo ready; while :; do sleep 0.05; done";
    records.start(&["--name", "x"], program);
    until(|| records.run(&["logs", "x"]).out == "ready\n");
    let mut command = records.command();
    let child = command.args(["attach", "x"]).stdout(Stdio::piped()).spawn().unwrap();
    assert!(until(|| common::process::handles(child.id(), libc::SIGTERM)));
    signal(child.id() as i32, libc::SIGUSR1);
    until(|| records.run(&["logs", "x"]).out == "ready\nusr\n");
    signal(child.id() as i32, libc::SIGTERM);
    let ended = ran(child.wait_with_output().unwrap());
    assert_eq!((ended.status, ended.out.as_str()), (Some(8), "usr\nterm\n"));
}

#[test]
fn who_is_attached_learns_that_the_monitor_was_killed_and_has_the_terminal_back() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x", "-it"], "printf '\\033[?1049h'; echo ready; exec sleep 1000");
    until(|| records.run(&["logs", "x"]).out.contains("ready"));
    let mut session = records
        .session("stty -a > before; $SBX attach x; echo status-$?; stty -a > after; cmp before after && echo same");
    assert!(until(|| common::process::handles(client(session.child.id()), libc::SIGTERM)));
    records.kill(".State.MonitorPid", "x", libc::SIGKILL);
    session.expect("its monitor was killed");
    session.expect("status-137");
    session.expect("same");
}

#[test]
fn what_is_started_with_attach_shows_all_from_the_first_line_on() {
    need!(userns());
    let records = Records::new();
    records.run(&["create", "--name", "x", "-i", "--", "sh", "-c", "seq 1 20000; echo err >&2; cat; exit 5"]).ok();
    let mut command = records.command();
    command.args(["start", "-a", "-i", "x"]);
    let seen = typed(command, "typed\n");
    let wanted: String = (1..=20000).map(|number| format!("{number}\n")).collect();
    assert_eq!(
        (seen.status, seen.err.as_str(), seen.out == wanted + "typed\n"),
        (Some(5), "err\n", true),
        "{}",
        seen.out.len()
    );
    // One that starts again and again: each who is attached sees one run.
    records.run(&["create", "--name", "z", "--restart", "on-failure:1", "--", "sh", "-c", "echo run; exit 4"]).ok();
    let first = records.run(&["start", "-a", "z"]);
    assert_eq!((first.status, first.out.as_str()), (Some(4), "run\n"));
    assert_eq!(records.run(&["start", "-a", "x", "z"]).status, Some(125));
    records.run(&["create", "--name", "gone", "no-such-program"]).ok();
    assert_eq!(records.run(&["start", "-a", "gone"]).status, Some(127));
    // One on a terminal has its size.
    let program = "until stty size | grep '33 77'; do sleep 0.02; done; read y; echo got-$y";
    records.run(&["create", "--name", "t", "-it", "--", "sh", "-c", program]).ok();
    let mut session = records.session("$SBX start -ai t; echo status-$?");
    session.expect("33 77");
    session.send("key\n");
    session.expect("got-key");
    session.expect("status-0");
}

#[test]
fn only_what_runs_in_the_background_is_attached_to() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "ended"], "true");
    records.run(&["wait", "ended"]).ok();
    let attach = |name: &str| records.run(&["attach", name]).failed(125);
    assert!(attach("ended").contains("only a running sandbox can be attached to"));
    assert!(attach("nobody").contains("no sandbox with the name"));
    let mut fore = records.command().args(["run", "-q", "--name", "fore", "sleep", "1000"]).spawn().unwrap();
    until(|| records.run(&["inspect", "--format", "{{.State.Status}}", "fore"]).out == "running\n");
    assert!(attach("fore").contains("it runs in the foreground"));
    records.run(&["rm", "-f", "-t", "0", "fore"]).ok();
    fore.wait().unwrap();
    let out = std::fs::File::create(records.place.dir.path().join("out")).unwrap();
    let mut command = records.command();
    command.args(["run", "-d", "-q", "--name", "pass", "--log-driver", "passthrough", "sleep", "1000"]);
    assert!(command.stdout(out.try_clone().unwrap()).stderr(out).status().unwrap().success());
    assert!(attach("pass").contains("--log-driver passthrough"));
    let err = records.run(&["run", "--detach-keys", "a", "true"]).failed(125);
    assert!(err.contains("a program in the foreground cannot be left"), "{err}");
    assert!(records.run(&["run", "-d", "--detach-keys", "aa", "true"]).failed(125).contains("these are no keys"));
}

#[test]
fn all_that_a_terminal_in_the_background_has_shown_is_logged_at_the_end() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x", "-t"], "seq 1 100000; exit 4");
    assert_eq!(records.run(&["wait", "x"]).ok(), "4\n");
    let log = records.run(&["logs", "x"]).ok();
    assert!(log.lines().count() == 100_000 && log.ends_with("100000\r\n"), "{}", log.len());
}
