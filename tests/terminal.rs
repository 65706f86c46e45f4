//! A terminal: job control, window size, ^C and ^Z, and that nothing can be typed into the caller's.

mod common;

use common::process::{children, name, signal, status};
use common::terminal::Session;
use common::{Place, tools, until, userns};
use std::time::{Duration, Instant};

#[test]
fn the_program_has_a_terminal_of_its_own_with_the_callers_size() {
    need!(userns());
    let place = Place::new();
    let mut session = Session::start(&place, "$SBX -- /bin/sh -c 'tty; stty size; ls -l /dev/console'");
    session.expect("/dev/pts/0");
    session.expect("33 77");
    session.expect("/dev/console");
}

#[test]
fn keys_reach_the_program_and_the_terminal_is_as_before_afterwards() {
    need!(userns());
    let place = Place::new();
    let mut session = Session::start(
        &place,
        "stty -a > before; $SBX -- /bin/sh -c 'echo ready; read x; echo got-$x'; stty -a > after; cmp before after && echo same",
    );
    session.expect("ready");
    session.send("hello\n");
    session.expect("got-hello");
    session.expect("same");
}

#[test]
fn a_new_size_of_the_window_reaches_the_program() {
    need!(userns());
    let place = Place::new();
    let mut session = Session::start(
        &place,
        "$SBX -- /bin/bash -c 'trap \"stty size\" WINCH; echo ready; while :; do sleep 0.1; done'",
    );
    session.expect("ready");
    session.resize(44, 99);
    session.expect("44 99");
}

#[test]
fn control_c_interrupts_the_program() {
    need!(userns());
    let place = Place::new();
    let mut session = Session::shell(&place, "bash");
    session.command("$SBX -- /bin/sh -c 'echo ready; exec sleep 60'");
    session.expect("ready");
    session.press("\x03");
    session.command("echo status-$?");
    session.expect("status-130");
}

#[test]
fn control_z_stops_it_and_fg_goes_on() {
    need!(userns());
    for tty in ["pty", "inherit"] {
        let place = Place::new();
        let script = format!(
            "set -m; $SBX --tty {tty} -- /bin/sh -c 'echo ready; read x; echo got-$x'; echo stopped-$?; fg; echo end-$?"
        );
        let mut session = Session::start(&place, &script);
        session.expect("ready");
        session.send("\x1a");
        session.expect("stopped-14");
        session.send("word\n");
        session.expect("got-word");
        session.expect("end-0");
    }
}

#[test]
fn nothing_can_be_typed_into_a_shared_terminal() {
    need!(userns(), tools(&["python3"]));
    let place = Place::new();
    let code = "import fcntl,sys\nfor r in (0x5412, 0x5412 | (1 << 32), 0x541c):\n  try:\n    fcntl.ioctl(0, r & 0xffffffff, b'x'); print('typed')\n  except OSError as e: print('errno', e.errno)";
    place.write("work/push.py", code);
    let mut session = Session::start(&place, "$SBX --tty inherit -- /usr/bin/python3 push.py; echo end");
    for _ in 0..3 {
        session.expect("errno 1");
    }
    session.expect("end");
}

#[test]
fn without_a_terminal_there_is_none_to_open() {
    need!(userns());
    let place = Place::new();
    let mut session =
        Session::start(&place, "$SBX --tty none -- /bin/sh -c '(: < /dev/tty) 2>&1 || echo none' | cat; echo end");
    session.expect("none");
    session.expect("end");
}

#[test]
fn the_end_of_the_input_reaches_the_program() {
    need!(userns());
    let place = Place::new();
    // Input that was typed before sbx has the terminal; an unfinished line from a pipe; a line, and then the end of
    // input.
    let mut session = Session::start(&place, "until [ -e typed ]; do sleep 0.01; done; $SBX -- cat; echo end-$?");
    session.send("early\n\x04");
    place.write("work/typed", "");
    session.expect("early");
    session.expect("end-0");
    for text in ["abc", "abc\\n", ""] {
        let mut session =
            Session::start(&place, &format!("printf '{text}' | timeout 25 $SBX --tty pty -- cat; echo end-$?"));
        session.expect("end-0");
    }
}

#[test]
fn a_program_cannot_reach_the_callers_process_group() {
    need!(userns());
    let place = Place::new();
    for tty in ["inherit", "pty", "none"] {
        let script = format!("$SBX --tty {tty} -- /bin/sh -c 'kill -KILL 0'; echo alive-$?");
        let mut session = Session::start(&place, &script);
        session.expect("alive-137");
    }
}

#[test]
fn a_program_that_stops_itself_does_not_stop_the_time_limit() {
    need!(userns());
    let place = Place::new();
    let started = Instant::now();
    let out = place.sh(&["--timeout", "700ms"], "(sleep 0.2; kill -CONT $$) & kill -STOP $$; kill -TSTP $$; sleep 60");
    assert_eq!(out.status, Some(124), "{out:?}");
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_terminal_that_nobody_reads_does_not_hold_sbx() {
    need!(userns());
    let place = Place::new();
    let session = Session::start(&place, "$SBX --timeout 500ms -- /bin/cat /dev/zero; sleep 60");
    let bash = session.child.id();
    let sbx = || children(bash).into_iter().find(|pid| name(*pid) == "sbx" && !status(*pid, "State").starts_with('Z'));
    // Nobody reads the screen. The time limit ends the program; a signal ends the wait for output that is still to be
    // shown.
    assert!(until(|| sbx().is_some_and(|pid| !children(pid).is_empty())), "the program is started");
    let pid = sbx().unwrap();
    assert!(until(|| children(pid).is_empty()), "the program is ended");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(sbx(), Some(pid), "it waits for the terminal");
    let ended = until(|| {
        signal(pid as i32, libc::SIGTERM);
        sbx().is_none()
    });
    assert!(ended, "it hangs on the terminal");
}

#[test]
fn a_program_that_closes_its_terminal_finds_it_again() {
    need!(userns());
    let place = Place::new();
    let mut session = Session::shell(&place, "bash");
    session
        .command("$SBX -- /bin/sh -c 'exec </dev/null >/dev/null 2>&1; sleep 0.5; echo ba''ck > /dev/tty; sleep 60'");
    session.expect("back");
    session.press("\x03");
    session.command("echo status-$?");
    session.expect("status-130");
}

#[test]
fn settings_that_a_program_leaves_on_a_shared_stream_are_put_back() {
    need!(userns());
    let place = Place::new();
    let mut session = Session::start(
        &place,
        "stty -a > before; $SBX --tty none -- stty raw -echo; stty -a > after; cmp before after && echo same",
    );
    session.expect("same");
}

#[test]
fn a_terminal_that_is_handed_over_is_not_opened_to_others() {
    need!(userns(), tools(&["python3"]));
    let place = Place::new();
    let program = "import fcntl, os, struct, termios; os.fchmod(1, 0o666); \
                   fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack(\"4H\", 1, 1, 0, 0))";
    for tty in ["none", "inherit"] {
        let script = format!(
            "stty rows 30 cols 90; stat -Lc %a /dev/stdin > before; $SBX --tty {tty} -- python3 -c '{program}'; \
             stat -Lc %a /dev/stdin > after; cmp before after && echo same-$(stty size)-"
        );
        let mut session = Session::start(&place, &script);
        session.expect("they are 0");
        session.expect("same-30 90-");
    }
}

#[test]
fn a_job_that_comes_to_the_foreground_gets_its_input() {
    need!(userns());
    let place = Place::new();
    let script = "set -m; $SBX --rw . -- sh -c ': >started; exec cat' & until [ -e started ]; do sleep 0.01; done; fg; echo end-$?";
    let mut session = Session::start(&place, script);
    let shell = session.foreground();
    assert!(until(|| session.foreground() != shell), "fg gives it the terminal");
    session.send("hello\n\x04");
    session.expect("hello");
    session.expect("end-0");
}

#[test]
fn a_job_control_stop_by_the_program_does_not_stop_the_time_limit() {
    need!(userns());
    let place = Place::new();
    for tty in ["pty", "inherit", "none"] {
        let script = format!(
            "$SBX --tty {tty} --timeout 800ms -- /bin/sh -c 'kill -TSTP $$; exec sleep 60'; \
             for try in $(seq 100); do jobs > jobs; [ -s jobs ] || break; sleep 0.1; done; echo all-over"
        );
        let started = Instant::now();
        let mut session = Session::start(&place, &script);
        session.expect("all-over");
        assert!(started.elapsed() < Duration::from_secs(30), "{tty}");
        let jobs = std::fs::read_to_string(place.work().join("jobs")).unwrap();
        assert!(!jobs.contains("Stopped") && !jobs.contains("Running"), "{tty}: {jobs}");
    }
}

#[test]
fn job_control_of_a_program_under_sbx_bwrap_is_as_without_it() {
    need!(userns());
    let place = Place::new();
    for pids in ["", "--unshare-pid"] {
        let script = format!(
            "$BWRAP --ro-bind / / {pids} sh -c 'echo started; read line; echo got $line'; echo stopped $?; jobs; fg; echo end $?"
        );
        let mut session = Session::start(&place, &script);
        session.expect("started");
        session.send("\x1a");
        session.expect("stopped 148");
        session.expect("Stopped");
        session.send("word\r");
        session.expect("got word");
        session.expect("end 0");
        // ^C is for the program; the launcher reports what came of it.
        let script = format!(
            "$BWRAP --ro-bind / / {pids} sh -c 'trap \"echo caught; exit 5\" INT; echo started; sleep 9'; echo end $?"
        );
        let mut session = Session::start(&place, &script);
        session.expect("started");
        session.send("\x03");
        session.expect("caught");
        session.expect("end 5");
    }
}

#[test]
fn what_control_sequences_have_made_of_the_terminal_is_put_back() {
    need!(userns());
    let place = Place::new();
    let mut session = Session::start(
        &place,
        "$SBX -- /bin/sh -c 'printf \"\\033[?1049h\\033[?1003h\\033[?2004h\\033[?25l\\033]0;not ended\"; kill -9 $$'; echo status-$?
         $SBX -- /bin/sh -c 'printf \"\\033[?2004h\\033[31mred\\033[0m\\033[?2004l\"'; echo second-$?
         $SBX -- /bin/sh -c 'printf \"\\033[?%0100d003h\" 1'; echo third-$?",
    );
    session.expect("status-137");
    let (shown, undone) = session.before.split_once("not ended").unwrap();
    assert!(shown.contains("\u{1b}[?1049h"), "{shown:?}");
    assert_eq!(undone.split("sbx:").next(), Some("\u{18}\u{1b}\\\u{1b}[?25h\u{1b}[?1003l\u{1b}[?1049l\u{1b}[?2004l"));
    // Nothing is written for a program that puts its own back.
    session.expect("second-0");
    assert!(session.before.ends_with("\u{1b}[?2004h\u{1b}[31mred\u{1b}[0m\u{1b}[?2004l"), "{:?}", session.before);
    // All is put back where a terminal may have understood what sbx has not.
    session.expect("third-0");
    let undone = session.before.split_once("1003h").unwrap().1;
    for part in ["\u{1b}[!p", "\u{1b}[?1003l", "\u{1b}[?2004l", "\u{1b}[?25h", "\u{1b}[m"] {
        assert!(undone.contains(part), "{part:?}: {undone:?}");
    }
}

#[test]
fn an_answer_of_the_terminal_to_the_program_is_not_typed_into_what_follows() {
    need!(userns());
    let place = Place::new();
    // The program asks, and does not wait for the answer; the second one asks nothing, and what is typed ahead stays.
    // In an overlay, a file that comes on the host need not be seen.
    let wait = "while [ ! -e go ]; do sleep 0.05; done";
    let mut session = Session::start(
        &place,
        &format!(
            "$SBX --ro . -- /bin/sh -c 'printf \"\\033[6n\"; echo asked; {wait}'; rm go; read -t 0.2 -n 20 x; echo \"got-${{#x}}-\"
             $SBX --ro . -- /bin/sh -c 'echo second; {wait}'; read -t 30 x; echo \"got-$x-\""
        ),
    );
    session.expect("asked");
    session.send("\u{1b}[12;34R");
    place.write("work/go", "");
    session.expect("got-0-");
    session.expect("second");
    session.send("ahead\n");
    place.write("work/go", "");
    session.expect("got-ahead-");
}

#[test]
fn an_answer_that_comes_after_the_end_is_waited_for() {
    need!(userns());
    let place = Place::new();
    // sbx waits for 0.2 s; that a busy machine is slower than that every time is not to be expected.
    let dropped = (0..8).any(|_| {
        let script = "$SBX -- /bin/sh -c 'printf \"\\033[5n\"'; read -t 0.5 -n 20 x; echo \"got-${#x}-\"";
        let mut session = Session::start(&place, script);
        session.expect("\u{1b}[5n");
        std::thread::sleep(Duration::from_millis(100));
        session.send("\u{1b}[0n");
        session.expect("got-");
        session.shows("0-", Duration::from_millis(500))
    });
    assert!(dropped);
}

#[test]
fn an_answer_is_dropped_if_the_time_is_over() {
    need!(userns());
    let place = Place::new();
    let script =
        "$SBX --timeout 3s -- /bin/sh -c 'printf \"\\033[5n\"; sleep 9'; read -t 0.5 -n 20 x; echo \"got-${#x}-\"";
    let mut session = Session::start(&place, script);
    session.expect("\u{1b}[5n");
    session.send("\u{1b}[0n");
    session.expect("got-0-");
}
