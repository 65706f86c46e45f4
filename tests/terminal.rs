//! A terminal: job control, window size, ^C and ^Z, and that nothing can be typed into the caller's.

#![allow(
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start programs and may panic"
)]

mod common;

use common::{Place, tools, userns};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A program on a new terminal of 33 rows and 77 columns.
struct Session {
    master: File,
    child: Child,
    seen: String,
}

impl Session {
    fn start(place: &Place, shell: &str) -> Session {
        // SAFETY: openpty fills both numbers; the size is valid.
        let (master, slave) = unsafe {
            let (mut master, mut slave) = (0, 0);
            let size = libc::winsize { ws_row: 33, ws_col: 77, ws_xpixel: 0, ws_ypixel: 0 };
            assert_eq!(libc::openpty(&mut master, &mut slave, std::ptr::null_mut(), std::ptr::null_mut(), &size), 0);
            libc::fcntl(master, libc::F_SETFD, libc::FD_CLOEXEC);
            (File::from_raw_fd(master), OwnedFd::from_raw_fd(slave))
        };
        let mut command = std::process::Command::new("/bin/bash");
        command.args(["--norc", "--noprofile", "-ic", shell]).env("SBX", common::sbx()).env("HOME", place.home());
        command.env("BWRAP", env!("CARGO_BIN_EXE_sbx-bwrap"));
        command.current_dir(place.work()).env("PS1", "$ ");
        command.stdin(Stdio::from(slave.try_clone().unwrap())).stdout(Stdio::from(slave.try_clone().unwrap()));
        command.stderr(Stdio::from(slave));
        // SAFETY: both calls are async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        drop(command);
        // SAFETY: plain integers.
        unsafe { libc::fcntl(master.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
        Session { master, child, seen: String::new() }
    }

    /// Waits until the screen has shown this, and forgets all before it.
    #[track_caller]
    fn expect(&mut self, text: &str) {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            assert!(Instant::now() < end, "waited for {text:?}, saw {:?}", self.seen);
            let mut buffer = [0; 4096];
            match self.master.read(&mut buffer) {
                Ok(n) if n > 0 => self.seen.push_str(&String::from_utf8_lossy(&buffer[..n])),
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    fn send(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
    // SAFETY: a valid size for a descriptor of ours.
    unsafe {
        let size = libc::winsize { ws_row: 44, ws_col: 99, ws_xpixel: 0, ws_ypixel: 0 };
        libc::ioctl(session.master.as_raw_fd(), libc::TIOCSWINSZ, &size);
    }
    session.expect("44 99");
}

#[test]
fn control_c_interrupts_the_program() {
    need!(userns());
    let place = Place::new();
    let mut session = Session::start(&place, "$SBX -- /bin/sh -c 'echo ready; exec sleep 60'; echo status-$?");
    session.expect("ready");
    session.send("\x03");
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
    need!(userns() && tools(&["python3"]));
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
    // Typed before sbx has the terminal; an unfinished line from a pipe; a line and its end.
    let mut session = Session::start(&place, "sleep 0.3; $SBX -- cat; echo end-$?");
    session.send("early\n\x04");
    session.expect("early");
    session.expect("end-0");
    for text in ["abc", "abc\\n", ""] {
        let mut session =
            Session::start(&place, &format!("printf '{text}' | timeout 9 $SBX --tty pty -- cat; echo end-$?"));
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
fn a_program_that_stops_itself_stops_no_clock() {
    need!(userns());
    let place = Place::new();
    let started = Instant::now();
    let out = place.sh(&["--timeout", "700ms"], "(sleep 0.2; kill -CONT $$) & kill -STOP $$; kill -TSTP $$; sleep 60");
    assert_eq!(out.status, Some(124), "{out:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_terminal_that_nobody_reads_does_not_hold_sbx() {
    need!(userns());
    let place = Place::new();
    let session = Session::start(&place, "$SBX --timeout 500ms -- /bin/cat /dev/zero; sleep 60");
    let bash = session.child.id();
    let sbx = || {
        let children = std::fs::read_to_string(format!("/proc/{bash}/task/{bash}/children")).unwrap_or_default();
        children.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()).find(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| stat.contains("(sbx)") && !stat.contains(") Z"))
        })
    };
    // The screen is not read. The time limit ends the program; a signal ends the wait for what is still to be shown.
    std::thread::sleep(Duration::from_millis(1500));
    let pid = sbx().expect("it waits for the terminal");
    assert!(
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap().is_empty(),
        "the program is ended"
    );
    let end = Instant::now() + Duration::from_secs(10);
    while sbx().is_some() {
        // SAFETY: plain integers.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        assert!(Instant::now() < end, "it hangs on the terminal");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_program_that_closes_its_terminal_finds_it_again() {
    need!(userns());
    let place = Place::new();
    let script = "$SBX -- /bin/sh -c 'exec </dev/null >/dev/null 2>&1; sleep 0.5; echo back > /dev/tty; sleep 60'; echo status-$?";
    let mut session = Session::start(&place, script);
    session.expect("back");
    session.send("\x03");
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
fn a_job_that_comes_to_the_foreground_gets_its_input() {
    need!(userns());
    let place = Place::new();
    let mut session = Session::start(&place, "set -m; $SBX -- cat & sleep 0.4; fg; echo end-$?");
    std::thread::sleep(Duration::from_millis(900));
    session.send("hello\n\x04");
    session.expect("hello");
    session.expect("end-0");
}

#[test]
fn a_program_that_stops_as_job_control_does_stops_no_clock_either() {
    need!(userns());
    let place = Place::new();
    for tty in ["pty", "inherit", "none"] {
        let script = format!(
            "$SBX --tty {tty} --timeout 800ms -- /bin/sh -c 'kill -TSTP $$; exec sleep 60'; sleep 4; jobs > jobs; echo all-over"
        );
        let started = Instant::now();
        let mut session = Session::start(&place, &script);
        session.expect("all-over");
        assert!(started.elapsed() < Duration::from_secs(15), "{tty}");
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
            "$BWRAP --ro-bind / / {pids} sh -c 'echo started; read line; echo got $line'; echo stopped $?; sleep 0.2; jobs; fg; echo end $?"
        );
        let mut session = Session::start(&place, &script);
        session.expect("started");
        session.send("\x1a");
        session.expect("stopped 148");
        session.expect("Stopped");
        std::thread::sleep(Duration::from_millis(300));
        session.send("word\r");
        session.expect("got word");
        session.expect("end 0");
        // ^C is for the program; the launcher tells what came of it.
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
