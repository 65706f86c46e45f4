//! Hints at the end of a run, for somebody at a terminal: what the sandbox has that may have surprised the program.

mod common;

use common::terminal::Session;
use common::{Place, tools, userns};

/// What a command in a sandbox, with these flags, shows on a terminal.
#[track_caller]
fn shown(flags: &str, command: &str) -> String {
    let place = Place::new();
    let mut session = Session::start(&place, &format!("$SBX {flags} -- {command}; echo end-$?"));
    session.expect("end-");
    session.before.replace("\r\n", " ")
}

const NETWORK: &str = "the program tried to reach the network, and this profile has none";
const HOME: &str = "is gone, since the home is in memory";
const TRACE: &str = "traces by ptrace(2), which this profile refuses";

/// Fails to connect by these families, or to resolve a name.
const CONNECT: [&str; 3] = [
    "python3 -c 'import socket; socket.create_connection((\"192.0.2.1\", 80))'",
    "python3 -c 'import socket; socket.create_connection((\"2001:db8::1\", 80))'",
    "python3 -c 'import socket; socket.getaddrinfo(\"name.example.org\", 80)'",
];

#[test]
fn a_program_that_fails_for_want_of_a_network_is_told_once() {
    need!(userns(), tools(&["python3"]));
    for command in CONNECT {
        let text = shown("", command);
        assert_eq!(text.matches(NETWORK).count(), 1, "{command}: {text}");
        assert!(text.contains("--net host"), "{text}");
    }
    for (flags, command) in [
        ("-q", CONNECT[0]),
        ("--net host", CONNECT[2]),
        ("", "python3 -c 'import socket, sys; sys.exit(socket.socket().connect_ex((\"127.0.0.1\", 1)))'"),
        ("", "false"),
        // It went on without.
        ("", "/bin/sh -c \"python3 -c 'import socket; socket.socket().connect_ex((\\\"192.0.2.1\\\", 80))'\""),
    ] {
        let text = shown(flags, command);
        assert!(!text.contains(NETWORK), "{flags} {command}: {text}");
    }
}

#[test]
fn what_was_written_to_a_home_in_memory_is_told_to_be_gone() {
    need!(userns());
    let touch = "/bin/sh -c 'touch ~/new; touch ~/other'";
    let text = shown("", touch);
    assert_eq!(text.matches(HOME).count(), 1, "{text}");
    for (flags, command) in [("-q", touch), ("", "/bin/sh -c 'ls ~; touch /tmp/x'"), ("--rw '~'", touch)] {
        let text = shown(flags, command);
        assert!(!text.contains(HOME), "{flags} {command}: {text}");
    }
}

#[test]
fn a_tracer_is_told_that_the_filter_refuses_it() {
    need!(userns(), tools(&["strace"]));
    let text = shown("", "strace true");
    assert_eq!(text.matches(TRACE).count(), 1, "{text}");
    for flags in ["-q", "--profile shell", "--set 'security.syscalls.allow=[\"@debug\"]'"] {
        let text = shown(flags, "strace -o /dev/null true");
        assert!(!text.contains(TRACE), "{flags}: {text}");
    }
}

#[test]
fn nobody_is_told_where_there_is_no_terminal() {
    need!(userns(), tools(&["python3", "strace"]));
    let place = Place::new();
    for script in [CONNECT[0], "touch ~/new", "exec strace true"] {
        let ran = place.sh(&[], script);
        assert!(!ran.err.contains("sbx: note"), "{script}: {ran:?}");
    }
}
