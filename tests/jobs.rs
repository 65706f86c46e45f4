//! Programs on a terminal, among others of their job: each case is typed into shells with job control, for the program by itself as well as
//! in a sandbox. What holds without one has to hold in it.

mod common;

use common::process::{Mark, descendants, name, status};
use common::terminal::Session;
use common::{Place, bwrap, sbx, tools, until, userns};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

/// Who runs the program: `box` in the scripts below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runner {
    Bare,
    Sbx,
    SbxBwrap,
    SbxBwrapInit,
    Bubblewrap,
}
use Runner::{Bare, Bubblewrap, Sbx, SbxBwrap, SbxBwrapInit};

const SHELLS: [&str; 3] = ["bash", "zsh", "dash"];
const BASH: [&str; 1] = ["bash"];

impl Runner {
    fn script(self) -> String {
        let run = match self {
            Bare => String::new(),
            Sbx => format!("{} -q --rw . --", sbx().display()),
            SbxBwrap => format!("{} --bind / / --dev-bind /dev /dev", bwrap::program().display()),
            SbxBwrapInit => format!("{} --bind / / --dev-bind /dev /dev --unshare-pid", bwrap::program().display()),
            Bubblewrap => "/usr/bin/bwrap --bind / / --dev-bind /dev /dev".to_owned(),
        };
        format!("#!/bin/sh\nexec {run} \"$@\"\n")
    }

    /// A place whose `box` is this.
    fn place(self) -> Place {
        let place = Place::new();
        let path = place.write("bin/box", &self.script());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        place
    }
}

/// Runs a case in shells: bare, in a sandbox of sbx, and in those of sbx-bwrap. A failure says whose it was.
#[track_caller]
fn everywhere(shells: &[&str], case: impl Fn(&Place, &mut Session)) {
    among(&[Bare, Sbx, SbxBwrap, SbxBwrapInit], shells, case);
}

#[track_caller]
fn among(runners: &[Runner], shells: &[&str], case: impl Fn(&Place, &mut Session)) {
    let only = std::env::var("SBX_TEST_RUNNER").ok();
    for shell in shells {
        for runner in runners {
            if only.as_ref().is_some_and(|only| *only != format!("{runner:?}")) {
                continue;
            }
            eprintln!("{shell}, {runner:?}");
            let place = runner.place();
            let mut session = Session::shell(&place, shell);
            session.command("stty -g > before; mkfifo go");
            case(&place, &mut session);
            // Whatever happened: the terminal is as it was, and the shell goes on.
            session.command("stty -g > after; cmp before after && echo same-$((40+2))");
            session.expect("same-42");
        }
    }
}

/// Lets a program go on that reads a line of `go`, now or later: until then it is still running, however long the test takes.
fn go(place: &Place) {
    let fifo = place.work().join("go");
    std::thread::spawn(move || std::fs::write(fifo, "\n"));
}

/// Whether a process has this in its environment.
fn uses(pid: u32, mark: &str) -> bool {
    let text = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    text.windows(mark.len()).any(|part| part == mark.as_bytes())
}

/// Whether a shell says that a job is stopped: in words of bash and dash, or of zsh.
fn stopped(screen: &str) -> bool {
    screen.contains("Stopped") || screen.contains("suspended")
}

#[test]
fn what_comes_by_a_pipe_or_from_a_file_is_the_programs() {
    need!(userns(), tools(&["zsh"]));
    everywhere(&SHELLS, |_, session| {
        session.command("seq 100000 | box wc -l");
        session.expect("100000");
        session.command("seq 12345 > file; box wc -l < file; box wc -l < file > out; cat out out");
        (0..3).for_each(|_| session.expect("12345"));
        session.command("printf 'a\\nb\\nc\\n' | while read f; do box echo got-$f; done");
        ["got-a", "got-b", "got-c"].iter().for_each(|text| session.expect(text));
        session.command("echo 'echo $((6*7))' | box sh -");
        session.expect("42");
    });
}

#[test]
fn a_pager_behind_a_pipe_has_its_keys() {
    need!(userns(), tools(&["zsh", "less"]));
    everywhere(&SHELLS, |_, session| {
        session.command("box seq 300000 | less");
        session.expect("\n30");
        session.press("/2100\n");
        session.expect("2105");
        session.press("G");
        session.expect("299999");
        session.press("q");
    });
}

#[test]
fn several_share_a_terminal() {
    need!(userns(), tools(&["zsh", "make"]));
    everywhere(&SHELLS, |place, session| {
        session.command("box seq 3 | box wc -l | box sed 's/^/n=/'");
        session.expect("n=3");
        let makefile = "all: a b c d e f g h\n%:\n\t@box sh -c 'sleep 0.1; echo made-$@'\n";
        place.write("work/Makefile", makefile);
        session.command("make -j4 && echo all-$((1+1))");
        session.expect("all-2");
        session.command("seq 8 | xargs -P4 -n1 box sh -c 'sleep 0.1; echo ran-$0'; echo all-$((1+2))");
        session.expect("all-3");
    });
}

#[test]
fn a_job_in_the_background_leaves_the_terminal_to_others() {
    need!(userns(), tools(&["zsh"]));
    everywhere(&SHELLS, |_, session| {
        session.command("box sleep 1 & printf 'na''me? '; read n; wait; echo hello-$n");
        session.expect("name? ");
        session.press("bob\n");
        session.expect("hello-bob");
    });
    // Without job control it is in the foreground group all the same.
    everywhere(&BASH, |_, session| {
        session.command("sh -c 'box sleep 1 & printf na\"\"me?; read n; wait; echo hello-$n'");
        session.expect("name?");
        session.press("bob\n");
        session.expect("hello-bob");
    });
}

#[test]
fn a_job_that_was_stopped_goes_on_with_all_of_its_processes() {
    need!(userns(), tools(&["zsh"]));
    everywhere(&SHELLS, |place, session| {
        session.command("box sh -c 'echo a-$((1)); read x <go; echo b-$((2))'");
        session.expect("a-1");
        session.press("\x1a");
        session.command("fg");
        go(place);
        session.expect("b-2");
        // In the background, too; and back to the foreground while it runs.
        session.command("box sh -c 'echo a-$((3)); read x <go; echo b-$((4))'");
        session.expect("a-3");
        session.press("\x1a");
        session.command("bg");
        go(place);
        session.expect("b-4");
        session.press("\n");
        session.command("box sh -c 'echo a-$((5)); sleep 60; sleep 60; echo no'; echo st-$?");
        session.expect("a-5");
        session.press("\x1a");
        session.command("fg; echo st-$?");
        // ^C is for who is in the foreground by then.
        session.press("\x03");
        session.command("jobs; echo over-$((1+1))");
        session.expect("over-2");
        assert!(!session.before.contains("topped") && !session.before.contains("unning"), "{}", session.before);
    });
}

#[test]
fn a_program_that_stops_itself_stops_its_job() {
    need!(userns(), tools(&["zsh"]));
    for signal in ["STOP", "TSTP"] {
        among(&[Bare, Sbx], &SHELLS, |_, session| {
            session.command(&format!("box sh -c 'kill -{signal} $$; echo on-$((3))'"));
            session.command("fg");
            session.expect("on-3");
        });
    }
}

#[test]
fn a_job_in_the_background_stops_when_it_reads_the_terminal() {
    need!(userns(), tools(&["zsh"]));
    everywhere(&SHELLS, |place, session| {
        session.command("box cat &");
        session.press("\n");
        let stops = until(|| {
            session.command("jobs; echo over-$((1+1))");
            session.expect("over-2");
            stopped(&session.before)
        });
        assert!(stops, "{}", session.before);
        session.command("fg");
        session.press("wo\x7forld\n");
        session.expect("world");
        session.press("\x04");
        // The same when it was moved to the background.
        session.command("box sh -c 'echo a-$((1)); read y <go; read x; echo got-$x'");
        session.expect("a-1");
        session.press("\x1a");
        session.command("bg");
        go(place);
        let stops = until(|| {
            session.command("jobs; echo over-$((1+2))");
            session.expect("over-3");
            stopped(&session.before)
        });
        assert!(stops, "{}", session.before);
        session.command("fg");
        session.press("line\n");
        session.expect("got-line");
    });
}

#[test]
fn what_is_typed_ahead_is_for_whoever_reads_it() {
    need!(userns(), tools(&["zsh", "python3"]));
    everywhere(&SHELLS, |place, session| {
        session.command("box sleep 1");
        session.press("echo ahead-$((5*5))\necho also-$((6*6))\n");
        session.expect("ahead-25");
        session.expect("also-36");
        // One that waits for other things than the terminal is not waiting for the terminal.
        place.write("work/wait.py", "import subprocess; subprocess.run(['sleep', '1'], capture_output=True)");
        session.command("box python3 wait.py");
        session.press("echo ahead-$((5*6))\n");
        session.expect("ahead-30");
        // The program reads one line, and its shell script the next one.
        place.write("work/script", "box sh -c 'sleep 1; read a; echo first-$a'\nread b\necho second-$b\n");
        session.command("sh script");
        session.press("one\ntwo\n");
        session.expect("first-one");
        session.expect("second-two");
    });
    // Typed while the shell still edits lines: the kernel makes one line of them when it is set to give lines. zsh reads them itself.
    everywhere(&["bash", "dash"], |place, session| {
        place.write("work/script", "box sh -c 'sleep 1; read a; echo first-$a'\nread b\necho second-$b\n");
        session.prompt();
        session.send("sh script\none\ntwo\n");
        session.expect("first-one");
        session.expect("second-two");
    });
}

#[test]
fn keys_that_send_signals_reach_the_whole_job() {
    need!(userns(), tools(&["zsh"]));
    everywhere(&SHELLS, |_, session| {
        for (key, expected) in [("\x03", "130"), ("\x1c", "131")] {
            session.command("box sh -c 'ulimit -c 0; echo s-$((1)); sleep 60'");
            session.expect("s-1");
            session.press(key);
            session.command("echo st-$?");
            session.expect(&format!("st-{expected}"));
        }
        // A script ends with the program that ^C has ended.
        session.command("sh -c 'while :; do box sh -c \"echo s-\\$((2)); sleep 60\"; done'");
        session.expect("s-2");
        session.press("\x03");
        // One that handles it goes on.
        session.command("sh -c 'box sh -c \"trap \\\"echo caught-\\$((3)); exit 5\\\" INT; echo s-\\$((3)); sleep 60\"; echo st-$?'");
        session.expect("s-3");
        session.press("\x03");
        session.expect("caught-3");
    });
    everywhere(&BASH, |_, session| {
        session.command("bash -c 'for i in 1 2 3; do box sh -c \"echo s-$i; sleep 60\"; done; echo no'");
        session.expect("s-1");
        session.press("\x03");
        assert!(!session.before.contains("s-2"), "{}", session.before);
    });
}

#[test]
fn a_signal_for_a_job_reaches_its_children() {
    need!(userns());
    among(&[Bare, Sbx, SbxBwrap, SbxBwrapInit], &BASH, |_, session| {
        session.prompt();
        let start = Instant::now();
        session.press("timeout -s INT 1 box bash -c 'sleep 20; echo done'; echo st-$((1+1))\n");
        session.expect("st-2");
        assert!(start.elapsed() < Duration::from_secs(10));
    });
    let place = Place::new();
    let started = Instant::now();
    let script = "timeout -s INT 1 $SBX -- bash -c 'sleep 20; echo done'; exit 0";
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", script]).env("SBX", sbx()).current_dir(place.work()).stdin(std::process::Stdio::null());
    assert!(command.output().unwrap().status.success());
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn lines_are_edited_and_shown_as_without_a_sandbox() {
    need!(userns());
    let mut shown = Vec::new();
    for runner in [Bare, Sbx] {
        let place = runner.place();
        let script = "echo begin-$1; box cat; echo st-$?; \
                      box sh -c 'echo ready; read a; read b; echo [$a][$b]; printf \"x\\ty\\r\\nz\\r\"; echo'; echo end-$1";
        place.write("work/script", script);
        let mut session = Session::shell(&place, "dash");
        session.command("sh script 7");
        session.expect("begin-7");
        // Erased, literal, a line that ^D ends, and the end of input.
        for (keys, shown) in
            [("ab\x7fc\n", "ac\r\n"), ("\x16\x03\x16\x16 \u{e9}\u{e9}\x7f\n", "\r\n"), ("no end\x04", "no endno end")]
        {
            session.press(keys);
            session.expect(shown);
        }
        session.press("\x04");
        session.expect("ready");
        let first = session.before.clone();
        session.press("one\n");
        session.press("two\n");
        session.expect("end-7");
        shown.push(first + &session.before);
    }
    assert_eq!(shown[0], shown[1]);
}

#[test]
fn a_password_is_not_shown() {
    need!(userns(), tools(&["zsh", "python3"]));
    everywhere(&SHELLS, |_, session| {
        session.command("echo x | box bash -c 'read a; read -s -p pass:\\  p </dev/tty; echo; echo $a-${#p}'");
        session.expect("pass: ");
        session.press("secret\n");
        session.expect("x-6");
        assert!(!session.before.contains("secret"), "{}", session.before);
        session.command("box python3 -c 'import getpass; print(len(getpass.getpass(\"pass\" + \": \")))' | cat");
        session.expect("pass: ");
        session.press("secret\n");
        session.expect("6");
        assert!(!session.before.contains("secret"), "{}", session.before);
        session.command("box sh -c 'stty -echo; echo ask-$((1)); read p; stty echo; echo; echo ${#p}-long'");
        session.expect("ask-1");
        session.press("secret\n");
        session.expect("6-long");
        assert!(!session.before.contains("secret"), "{}", session.before);
    });
}

#[test]
fn the_last_of_several_that_set_the_terminal_puts_it_back() {
    need!(userns());
    // That the settings are those of before is looked at behind each case.
    among(&[Sbx], &BASH, |_, session| {
        let set = |time: &str| format!("box sh -c 'stty raw -echo </dev/tty; sleep {time}'");
        session.command(&format!("{} | {}; {} | {}", set("0.3"), set("0.6"), set("0.6"), set("0.3")));
    });
    // The first was killed, and the other has never seen what the settings were at first.
    among(&[Sbx], &BASH, |place, session| {
        let script = "box sh -c 'stty raw -echo </dev/tty; sleep 60' & a=$!; until stty -a </dev/tty | grep -qe -echo; do sleep 0.1; done\n\
                      box sh -c 'stty raw -echo </dev/tty; : >set; sleep 1.5' & b=$!; until [ -e set ]; do sleep 0.1; done; kill -9 $a; wait $b";
        place.write("work/script", script);
        session.command("sh script");
    });
}

#[test]
fn programs_that_wait_for_several_things_get_their_input() {
    need!(userns(), tools(&["python3"]));
    everywhere(&BASH, |place, session| {
        let code = "import select, sys\np = select.epoll() if sys.argv[1] == 'epoll' else select.poll()\n\
                    p.register(0, select.POLLIN)\nprint('re' + 'ady', flush=True)\nif sys.argv[1] == 'select': select.select([0], [], [])\n\
                    else: p.poll()\nprint('got', sys.stdin.readline())\n";
        place.write("work/wait.py", code);
        for kind in ["poll", "select", "epoll"] {
            session.command(&format!("box python3 wait.py {kind}"));
            session.expect("ready");
            session.press("line\n");
            session.expect("got line");
        }
    });
}

#[test]
fn full_screen_programs_work_and_can_be_stopped() {
    need!(userns(), tools(&["zsh", "vim", "less"]));
    everywhere(&SHELLS, |place, session| {
        // Without questions to the terminal, which nobody answers here.
        session.command("box vim -u NONE -N --cmd 'set t_RV= t_u7= t_RF= t_RB=' new");
        session.expect("[New]");
        session.press("ihello\x1b");
        session.press("\x1a");
        session.command("fg");
        // It may take the screen for the one that it left, and draw a part of it: ^L has it draw all.
        session.press("\x0c");
        session.expect("hello");
        for keys in ["A", "world", "\x1b", ":wq\r"] {
            session.press(keys);
        }
        session.prompt();
        assert_eq!(std::fs::read_to_string(place.work().join("new")).unwrap(), "helloworld\n");
        session.command("seq 1000 > numbers; box less numbers");
        session.expect("\n30");
        session.press("G");
        session.expect("999");
        session.press("q");
    });
}

#[test]
fn a_shell_in_it_has_job_control() {
    need!(userns());
    everywhere(&BASH, |_, session| {
        session.command("box bash --norc --noprofile -i");
        session.command("echo in-$((2*3))");
        session.expect("in-6");
        session.command("sleep 60");
        session.press("\x1a");
        session.expect("topped");
        session.command("fg");
        session.press("\x03");
        session.command("cat");
        session.press("wo\x7for\n\x04");
        session.expect("or\r\nwor");
        session.command("exit");
        session.expect("exit");
    });
}

#[test]
fn a_script_goes_on_after_a_shell_in_it() {
    need!(userns());
    everywhere(&BASH, |_, session| {
        session.command("sh -c 'box bash --norc --noprofile -i; read x; echo got-$x'");
        session.expect("$ ");
        session.press("exit\n");
        session.expect("exit");
        session.press("line\n");
        session.expect("got-line");
    });
}

#[test]
fn the_window_has_its_size_and_tells_when_that_changes() {
    need!(userns());
    everywhere(&BASH, |_, session| {
        session.command(
            "box stty size; box bash -c 'trap \"stty size; exit\" WINCH; echo re\"\"ady; while :; do sleep 0.1; done'",
        );
        session.expect("33 77");
        session.expect("ready");
        session.resize(44, 99);
        session.expect("44 99");
        session.resize(33, 77);
    });
    // A size that changed while the job was stopped, or in the background.
    among(&[Bare, Sbx], &BASH, |place, session| {
        session.command("box sh -c 'echo a-$((1)); read x <go; stty size'");
        session.expect("a-1");
        session.press("\x1a");
        session.resize(22, 88);
        session.command("fg");
        go(place);
        session.expect("22 88");
        session.resize(33, 77);
    });
}

#[test]
fn terminals_in_terminals() {
    need!(userns(), tools(&["script", "tmux"]));
    everywhere(&BASH, |place, session| {
        session.command("script -qc \"box sh -c 'echo re''ady; read x; echo got-\\$x'\" /dev/null");
        session.expect("ready");
        session.press("one\n");
        session.expect("got-one");
        session.command("box script -qc \"sh -c 'echo re''ady; read x; echo got-\\$x'\" /dev/null");
        session.expect("ready");
        session.press("two\n");
        session.expect("got-two");
        place.write("work/in", "echo re''ady; read x; echo got-$x; read y");
        session.command("tmux -f /dev/null -S socket new 'box sh in'");
        session.expect("ready");
        session.press("three\n");
        session.expect("got-three");
        session.press("\n");
        session.expect("exited]");
    });
    let nested = |place: &Place| {
        let inside = format!("{} -q --", sbx().display());
        let outside =
            format!("{} -q --set namespaces.nested=\\\"allow\\\" --ro {} --rw . --", sbx().display(), sbx().display());
        place.write("bin/boxes", &format!("#!/bin/sh\nexec {outside} {inside} \"$@\"\n"));
    };
    among(&[Sbx], &BASH, |place, session| {
        nested(place);
        session.command("sh ../bin/boxes sh -c 'stty size; read x; echo got-$x; read y; echo got-$y; sleep 60'");
        session.expect("33 77");
        session.press("one\ntwo\n");
        session.expect("got-one");
        session.expect("got-two");
        session.press("\x1a");
        session.command("fg");
        session.press("\x03");
    });
}

#[test]
fn the_end_of_the_terminal_ends_its_programs() {
    need!(userns(), tools(&["less", "git"]));
    for runner in [Bare, Sbx, SbxBwrap, SbxBwrapInit] {
        for pager in ["less numbers", "git -p diff --no-index /dev/null numbers", "cat", "bash --norc -i"] {
            let mark = Mark::new();
            let place = runner.place();
            place.write("work/numbers", &"line\n".repeat(1000));
            let mut session = Session::shell(&place, "bash");
            session.command(&format!("box env MARK={} {pager}; echo over-$((1+1))", mark.0));
            let shell = session.child.id();
            let started = || descendants(shell).iter().any(|pid| uses(*pid, &mark.0));
            assert!(until(started));
            session.press("");
            let mine = descendants(shell);
            session.close();
            let gone =
                until(|| mine.iter().all(|pid| matches!(status(*pid, "State").chars().next(), None | Some('Z'))));
            let left: Vec<_> = mine.iter().map(|pid| (*pid, name(*pid), status(*pid, "State"))).collect();
            assert!(gone, "{runner:?}, {pager}: {left:?}");
        }
    }
}

#[test]
fn what_a_program_changes_on_the_callers_terminal_is_put_back() {
    need!(userns(), tools(&["python3"]));
    let place = Place::new();
    let code = "import fcntl, os, termios\nfcntl.ioctl(0, termios.TIOCEXCL)\nfcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_NONBLOCK)\n\
                termios.tcflow(0, termios.TCOOFF)\n";
    place.write("work/leave.py", code);
    let look = "import fcntl, os; print('nonblock', fcntl.fcntl(0, fcntl.F_GETFL) & os.O_NONBLOCK); os.close(os.open('/dev/pts/%d' % (os.fstat(0).st_rdev & 255), os.O_RDWR)); print('shared')";
    place.write("work/look.py", look);
    for tty in ["none", "inherit"] {
        let mut session = Session::shell(&place, "bash");
        session.command(&format!("$SBX -q --tty {tty} -- python3 leave.py; python3 look.py"));
        session.expect("nonblock 0");
        session.expect("shared");
    }
}

#[test]
fn without_a_controlling_terminal_keys_stop_and_interrupt_it_as_well() {
    need!(userns());
    for run in ["$SBX -q --rw . --tty none --", "$BWRAP --bind / / --unshare-pid --new-session"] {
        let place = Place::new();
        let mut session = Session::shell(&place, "bash");
        session.command("mkfifo go");
        session.command(&format!("{run} sh -c 'echo a-$((1)); read x <go; echo b-$((2)); sleep 60; echo no'"));
        session.expect("a-1");
        session.press("\x1a");
        session.command("fg");
        go(&place);
        session.expect("b-2");
        session.press("\x03");
        session.command("echo st-$?");
        session.expect("st-130");
    }
}

#[test]
fn bubblewrap_and_the_bare_shell_agree_with_these_tests() {
    need!(userns(), tools(&["bwrap"]));
    among(&[Bare, Bubblewrap], &BASH, |place, session| {
        session.command("box sleep 1");
        session.press("echo ahead-$((5*5))\n");
        session.expect("ahead-25");
        session.command("box sh -c 'echo a-$((1)); read x <go; echo b-$((2))'");
        session.expect("a-1");
        session.press("\x1a");
        session.command("fg");
        go(place);
        session.expect("b-2");
    });
}
