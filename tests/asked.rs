//! Questions to the user about names that no rule is for (`network.ask`): on a terminal and by notifications, and what a program can do
//! about them.

mod common;

use common::network::{on_network, programs, script};
use common::terminal::Session;
use common::{Place, Ran, ran, tools, tun, until, userns};
use std::time::Duration;

/// Who shows notifications: says what to `shown`, and presses the button that $ANSWERS has for a name, or closes the notification, once somebody
/// may have read it. With $IMPOSTOR, somebody else on the bus says before that the button was pressed which that has; with $EARLY, that
/// button of the first notification is pressed at once.
const SHOWS: &str = r#"
import dbus, dbus.bus, dbus.lowlevel, dbus.mainloop.glib, dbus.service, os
from gi.repository import GLib
dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.SessionBus()
NAME, PATH, home = "org.freedesktop.Notifications", "/org/freedesktop/Notifications", os.environ["HOME"]
answers = dict(pair.split("=") for pair in os.environ.get("ANSWERS", "").split())
count = 0
def say(text):
    with open(home + "/shown", "a") as out: out.write(text + "\n")
class Shows(dbus.service.Object):
    @dbus.service.method(NAME, out_signature="as")
    def GetCapabilities(self):
        return os.environ.get("CAN", "body actions").split()
    @dbus.service.method(NAME, in_signature="susssasa{sv}i", out_signature="u", sender_keyword="sender")
    def Notify(self, app, replaces, icon, summary, body, actions, hints, timeout, sender=None):
        global count
        count += 1
        say(" ".join(["shown", app, str(replaces), body.replace("\n", "|"), ",".join(actions), str(int(hints["urgency"]))]))
        if "IMPOSTOR" in os.environ:
            other = dbus.bus.BusConnection(os.environ["DBUS_SESSION_BUS_ADDRESS"])
            signal = dbus.lowlevel.SignalMessage(PATH, NAME, "ActionInvoked")
            signal.append(count, os.environ["IMPOSTOR"], signature="us")
            signal.set_destination(sender)
            other.send_message(signal)
            other.flush()
        answer = answers.get(body.split("\n")[0])
        if "EARLY" in os.environ and count == 1: GLib.timeout_add(1, self.press, count, os.environ["EARLY"])
        elif answer: GLib.timeout_add(1400, self.press, count, answer)
        return count
    def press(self, number, answer):
        if answer != "close": self.ActionInvoked(number, answer)
        self.NotificationClosed(number, 2)
        return False
    @dbus.service.method(NAME, in_signature="u")
    def CloseNotification(self, number):
        say("taken back")
    @dbus.service.signal(NAME, signature="us")
    def ActionInvoked(self, number, key): pass
    @dbus.service.signal(NAME, signature="uu")
    def NotificationClosed(self, number, reason): pass
name = dbus.service.BusName(NAME, bus)
shows = Shows(bus, PATH)
say("ready")
GLib.MainLoop().run()
"#;

/// Starts a session bus, and who shows notifications there; the answers are those of the environment.
const BUS: &str = r#"export DBUS_SESSION_BUS_ADDRESS=unix:path=$HOME/bus
dbus-daemon --session --nofork --address="$DBUS_SESSION_BUS_ADDRESS" 2>&1 >/dev/null & until [ -S ~/bus ]; do sleep 0.02; done
python3 -c "$SHOWS" >&2 & until [ -e ~/shown ]; do sleep 0.02; done
"#;

/// Runs a script on the test network, on whose host notifications are shown.
fn notified(answers: &[(&str, &str)], text: &str) -> (Ran, Place) {
    let place = Place::new();
    let mut command = on_network(&place, answers, &[BUS, text].concat());
    (ran(command.env("SHOWS", SHOWS).output().unwrap()), place)
}

fn file(place: &Place, name: &str) -> String {
    std::fs::read_to_string(place.home().join(name)).unwrap_or_default()
}

/// What was shown, without what was shown again: so it is where a slow machine takes a button for one that was pressed too early.
fn once(shown: &str) -> String {
    let mut lines: Vec<_> = shown.lines().collect();
    while let Some(at) = lines.windows(3).position(|three| three[1] == "taken back" && three[0] == three[2]) {
        lines.drain(at..at + 2);
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

const ONE: &str = "tcp,one.example,80 reached 203.0.113.10 from 198.51.100.2\n";
const TWO: &str = "tcp,two.example,80 reached 203.0.113.20 from 198.51.100.2\n";

#[test]
fn a_name_is_reached_once_the_user_says_so_and_no_other_is() {
    need!(userns(), programs(), tun(), tools(&["dbus-daemon"]));
    let (ran, place) = notified(
        &[("ANSWERS", "one.example=once two.example=always sub.two.example=never sub.one.example=once")],
        "\"$SBX\" run --net private --ask-network --set 'network.deny=[\"sub.one.example\",\"203.0.113.10/32:81\"]' --receipt ~/receipt --status-fd 5 5>~/events \
         -- python3 -c \"$TRY\" tcp,203.0.113.10,80 tcp,one.example,80 tcp,two.example,80 name,sub.two.example,80 name,sub.two.example,80 name,sub.one.example,80 tcp,203.0.113.10,81 tcp,one.example,80",
    );
    // The resolver asks for both kinds of addresses: one question for both.
    let expected = [
        "tcp,203.0.113.10,80 ECONNREFUSED\n",
        ONE,
        TWO,
        "name,sub.two.example,80 unknown\nname,sub.two.example,80 unknown\nname,sub.one.example,80 unknown\n",
        "tcp,203.0.113.10,81 ECONNREFUSED\n",
        ONE,
    ];
    assert_eq!(ran.out, expected.concat(), "{ran:?}");
    let shown = |name: &str| {
        format!(
            "shown sbx 0 {name}|asked for by \"python3\" in the sandbox of python3 once,Once, in this run,always,Always,never,Never 2\n"
        )
    };
    let line = "network.allow = [\"two.example\"]";
    let told = format!("shown sbx 0 For the runs to come, write into the profile:|{line}  2\n");
    let notifications = once(&file(&place, "shown"));
    assert!(notifications.contains(&told), "{notifications}");
    assert_eq!(
        notifications.replace(&told, ""),
        ["ready\n".to_owned(), shown("one.example"), shown("two.example"), shown("sub.two.example")].concat()
    );
    assert!(
        ran.err.contains(&format!(
            "sbx: note: two.example is allowed always: for the runs to come, write into the profile: {line}\n"
        )),
        "{ran:?}"
    );
    assert!(!ran.err.contains("one.example is allowed"), "{ran:?}");
    let receipt: serde_json::Value = serde_json::from_str(&file(&place, "receipt")).unwrap();
    let asked: Vec<_> = receipt["asked"]
        .as_array()
        .unwrap()
        .iter()
        .map(|said| format!("{} {}", said["name"], said["answer"]))
        .collect();
    assert_eq!(asked, ["\"one.example\" \"once\"", "\"two.example\" \"always\"", "\"sub.two.example\" \"never\""]);
    assert_eq!(receipt["asked"][1]["line"], line);
    let of_ask =
        receipt["lines"].as_array().unwrap().iter().find(|line| line["setting"] == "network.ask = true").unwrap();
    assert!(
        of_ask["enforced"] == "full" && of_ask["by"][0].as_str().unwrap().ends_with("by a notification"),
        "{of_ask}"
    );
    let events = file(&place, "events");
    assert!(events.contains("{\"by\":\"by a notification\",\"event\":\"asks\"}"), "{events}");
    assert_eq!(events.matches("\"event\":\"asked\"").count(), 3, "{events}");
    assert!(events.contains("\"name\":\"sub.two.example\""), "{events}");
}

/// A notification that is closed is no answer: it is asked again, and not for ever.
#[test]
fn no_answer_is_a_refusal_and_a_later_attempt_asks_again_a_few_times() {
    need!(userns(), programs(), tun(), tools(&["dbus-daemon"]));
    let (ran, place) = notified(
        &[("ANSWERS", "one.example=close")],
        "\"$SBX\" run --net private --ask-network -- python3 -c \"$TRY\" name,one.example,80 name,one.example,80 name,one.example,80 name,one.example,80 name,one.example,80",
    );
    assert_eq!(ran.out, "name,one.example,80 unknown\n".repeat(5), "{ran:?}");
    let shown = file(&place, "shown");
    assert_eq!(shown.matches("shown sbx").count(), 3, "{shown}");
}

/// What somebody else on the bus says is not believed.
#[test]
fn only_who_shows_a_notification_answers_it() {
    need!(userns(), programs(), tun(), tools(&["dbus-daemon"]));
    let (ran, place) = notified(
        &[("ANSWERS", "one.example=never"), ("IMPOSTOR", "always")],
        "\"$SBX\" run --net private --ask-network -- python3 -c \"$TRY\" name,one.example,80",
    );
    assert_eq!(ran.out, "name,one.example,80 unknown\n", "{ran:?}");
    assert_eq!(once(&file(&place, "shown")).matches("shown sbx").count(), 1);
}

/// A click at the moment at which a notification appears was for something else: it is shown again.
#[test]
fn a_button_that_is_pressed_before_anybody_can_have_read_the_question_is_no_answer() {
    need!(userns(), programs(), tun(), tools(&["dbus-daemon"]));
    let (ran, place) = notified(
        &[("EARLY", "always"), ("ANSWERS", "one.example=never")],
        "\"$SBX\" run --net private --ask-network -- python3 -c \"$TRY\" name,one.example,80",
    );
    assert_eq!(ran.out, "name,one.example,80 unknown\n", "{ran:?}");
    assert!(!ran.err.contains("is allowed always"), "{ran:?}");
    let shown = file(&place, "shown");
    assert!(shown.contains("taken back\n") && shown.matches("shown sbx").count() > 1, "{shown}");
}

/// A question is taken back with the program that it is about.
#[test]
fn a_question_ends_with_its_sandbox() {
    need!(userns(), programs(), tun(), tools(&["dbus-daemon"]));
    let (ran, place) = notified(
        &[],
        "\"$SBX\" run --net private --ask-network -- sh -c 'getent hosts one.example; sleep 1000' &
         until grep -q shown.sbx ~/shown; do sleep 0.02; done; kill $!; wait $!; echo $?; until grep -q taken ~/shown; do sleep 0.02; done; wc -l <~/shown",
    );
    assert_eq!(ran.out, "143\n3\n", "{ran:?} {}", file(&place, "shown"));
}

#[test]
fn where_nobody_can_be_asked_the_start_says_so_and_names_are_refused() {
    need!(userns(), programs(), tun(), tools(&["dbus-daemon"]));
    let try_one = "-- python3 -c \"$TRY\" name,one.example,80";
    let place = Place::new();
    let text =
        format!("\"$SBX\" run --net private --ask-network --receipt ~/receipt --status-fd 5 5>~/events {try_one}");
    let alone = ran(on_network(&place, &[("XDG_RUNTIME_DIR", "/nonexistent")], &text).output().unwrap());
    assert_eq!(alone.out, "name,one.example,80 unknown\n", "{alone:?}");
    let why = "nobody can be asked about names, so that those without a line are refused: not on a terminal, since";
    assert_eq!(alone.err.matches(why).count(), 1, "{alone:?}");
    assert!(alone.err.contains("not by a notification, since there is no session bus"), "{alone:?}");
    let receipt: serde_json::Value = serde_json::from_str(&file(&place, "receipt")).unwrap();
    let line =
        receipt["lines"].as_array().unwrap().iter().find(|line| line["setting"] == "network.ask = true").unwrap();
    assert!(line["enforced"] == "none" && line["missing"][0].as_str().unwrap().contains("session bus"), "{line}");
    assert!(file(&place, "events").contains("{\"by\":null,\"event\":\"asks\",\"why\":\"not on a terminal"));
    // A program that could change what is shown, or a desktop without buttons.
    for (settings, flags, why) in [
        (&[("CAN", "body")][..], "", "since what shows them shows no buttons"),
        (
            &[("ANSWERS", "one.example=once")],
            "--set dbus.session.policy=filter --set 'dbus.session.talk=[\"org.freedesktop.Notifications\"]'",
            "the program can send messages to `org.freedesktop.Notifications` by dbus.session",
        ),
    ] {
        let (ran, place) = notified(settings, &format!("\"$SBX\" run --net private --ask-network {flags} {try_one}"));
        assert_eq!(ran.out, "name,one.example,80 unknown\n", "{ran:?}");
        assert!(ran.err.contains(why), "{why}: {ran:?}");
        assert_eq!(file(&place, "shown"), "ready\n");
    }
}

/// In the background, too; what was allowed for one run is not allowed in the next one.
#[test]
fn a_sandbox_in_the_background_asks_by_notifications_and_anew_after_a_restart() {
    need!(userns(), programs(), tun(), tools(&["dbus-daemon"]));
    let (ran, place) = notified(
        &[("ANSWERS", "one.example=once two.example=always")],
        "export XDG_RUNTIME_DIR=$HOME/run; mkdir $XDG_RUNTIME_DIR; \"$SBX\" network create lan >&2
         \"$SBX\" run -d --name web --network lan --ask-network -- sleep 1000 >&2; try() { \"$SBX\" exec web python3 -c \"$TRY\" \"$@\"; }
         try tcp,one.example,80 tcp,one.example,80; \"$SBX\" logs web; \"$SBX\" restart -t 0 web >&2; try tcp,one.example,80 tcp,two.example,80; \"$SBX\" logs web 2>&1 | grep allowed
         \"$SBX\" stop -t 0 web >&2; \"$SBX\" rm web >&2; \"$SBX\" network rm lan >&2",
    );
    let note = "sbx: note: two.example is allowed always: for the runs to come, write into the profile: network.allow = [\"two.example\"]\n";
    assert_eq!(ran.out, [ONE, ONE, ONE, TWO, note].concat(), "{ran:?}");
    let shown = once(&file(&place, "shown"));
    let names: Vec<_> = shown.lines().filter_map(|line| line.strip_prefix("shown sbx 0 ")?.split('|').next()).collect();
    assert_eq!(names[..3], ["one.example", "one.example", "two.example"], "{shown}");
}

/// What an answer is typed after.
const ASKS: &str = "sbx: is it reached (once, that is in this run; always; or never)? ";

/// A shell on a terminal on the test network, which runs a sandbox whose program has nothing of the terminal.
fn on_terminal(place: &Place, flags: &str, program: &str) -> Session {
    std::fs::write(place.home().join("program"), program).unwrap();
    let (internet, tried) = (script("internet"), script("try"));
    let inner = format!(
        "\"$SBX\" run --net private --ask-network {flags} -- python3 -c \"$(cat ~/program)\" \"$TRY\" </dev/null >~/out 2>&1; echo ended $?"
    );
    std::fs::write(place.home().join("inner"), inner).unwrap();
    let text = format!("export TRY=\"$(cat {tried})\" XDG_RUNTIME_DIR=/nonexistent; bash {internet} /bin/sh ~/inner");
    Session::start(place, &text)
}

/// Has a program try what is said.
fn trying(what: &str) -> String {
    format!("import sys\nsys.argv[1:], code = \"{what}\".split(), sys.argv[1]\nexec(code)\n")
}

#[test]
fn the_user_answers_on_a_terminal_that_is_not_the_programs() {
    need!(userns(), programs(), tun());
    let place = Place::new();
    let what = "tcp,one.example,80 name,sub.one.example,80 tcp,two.example,80 name,sub.one.example,80";
    let mut session = on_terminal(&place, "", &trying(what));
    session.expect("\"python3\" in the sandbox of python3 asks for this name, which no line of network.allow or network.deny is for:\r\n    one.example\r\n");
    session.expect(ASKS);
    session.send("x\n");
    session.expect(ASKS);
    session.send("once\n");
    session.expect("    sub.one.example\r\n");
    session.expect(ASKS);
    session.send("never\n");
    session.expect("    two.example\r\n");
    session.expect(ASKS);
    session.send("always\n");
    session.expect("sbx: it is reached; for the runs to come, write into the profile:\r\n    network.allow = [\"two.example\"]\r\n");
    session.expect("ended 0");
    let unknown = "name,sub.one.example,80 unknown\n";
    let note = "sbx: note: two.example is allowed always: for the runs to come, write into the profile: network.allow = [\"two.example\"]\n";
    let out = file(&place, "out");
    assert!(out.contains(note), "{out}");
    assert_eq!(out.replace(note, ""), [ONE, unknown, TWO, unknown].concat());
}

/// What is typed before the question, or before somebody can have read it, is no answer, and neither is a single letter.
#[test]
fn keys_that_were_for_something_else_allow_nothing() {
    need!(userns(), programs(), tun());
    let program = "import os, socket, time
while not os.path.exists('GO'): time.sleep(0.02)
try: print('found', socket.getaddrinfo('one.example', 80)[0][4][0], flush=True)
except OSError: print('unknown', flush=True)
";
    // On a machine that is slow, keys may come only after that second: they are answers then.
    let in_time = (0..5).any(|_| {
        let place = Place::new();
        let shared = place.home().join("shared");
        std::fs::create_dir(&shared).unwrap();
        let go = shared.join("go");
        let mut session = on_terminal(&place, "--rw ~/shared", &program.replace("GO", &go.display().to_string()));
        session.send("a\nalways\n");
        session.expect("always\r\n");
        std::fs::write(&go, "").unwrap();
        session.expect("    one.example\r\n");
        session.send("o\nonce\nalways\n");
        session.expect(ASKS);
        if !session.before.contains("once\r\nalways\r\n") {
            return false;
        }
        for letter in ["o\n", "a\n"] {
            session.send(letter);
            session.expect(ASKS);
        }
        session.send("never\n");
        session.expect("ended 0");
        assert_eq!(file(&place, "out"), "unknown\n");
        true
    });
    assert!(in_time);
}

/// A question that cannot be shown as a whole is not shown: a note says why, once, and it counts as none.
#[test]
fn a_window_that_is_too_narrow_for_a_name_shows_no_question() {
    need!(userns(), programs(), tun());
    let place = Place::new();
    let shared = place.home().join("shared");
    std::fs::create_dir(&shared).unwrap();
    let go = shared.join("go");
    let program = format!(
        "import os, time\nwhile not os.path.exists('{}'): time.sleep(0.02)\n{}",
        go.display(),
        trying(&["name,one.example,80"; 5].join(" "))
    );
    let mut session = on_terminal(&place, "--rw ~/shared", &program);
    session.resize(33, 14);
    std::fs::write(&go, "").unwrap();
    session.expect("ended 0");
    assert!(!session.before.contains("asks for this name"), "{}", session.before);
    let out = file(&place, "out");
    let note = "sbx: note: a question about a name could not be shown, and it was refused without one: the window is too narrow for the name\n";
    assert_eq!(out.matches(note).count(), 1, "{out}");
    assert_eq!(out.replace(note, ""), "name,one.example,80 unknown\n".repeat(5));
}

/// While a question is open, a program goes on, and cannot answer it.
#[test]
fn a_program_neither_answers_a_question_on_the_terminal_nor_waits_for_that_of_another() {
    need!(userns(), programs(), tun());
    let place = Place::new();
    let program = "import fcntl, os, socket, sys, termios, threading, time
def ask():
    try: print('found', socket.getaddrinfo('one.example', 80)[0][4][0], flush=True)
    except OSError as error: print('unknown', flush=True)
asks = threading.Thread(target=ask)
asks.start()
while not os.path.exists(os.environ['HOME'] + '/go'): time.sleep(0.02)
for path in ['/dev/tty', '/dev/console', '/dev/pts/0', '/proc/self/fd/0', '/proc/self/fd/1', '/proc/self/fd/2']:
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        fcntl.ioctl(fd, termios.TIOCSTI, b'a')
        print('typed by', path, flush=True)
    except OSError: pass
print('sbx: is it reached (once', flush=True)
print('allowed', socket.getaddrinfo('two.example', 80)[0][4][0] != '', flush=True)
asks.join()
";
    let flags = "--set 'network.allow=[\"two.example\"]' --rw ~/shared --env HOME";
    let shared = place.home().join("shared");
    std::fs::create_dir(&shared).unwrap();
    let program = program.replace("os.environ['HOME'] + '/go'", &format!("'{}'", shared.join("go").display()));
    let mut session = on_terminal(&place, flags, &program);
    session.expect("    one.example\r\n");
    session.expect(ASKS);
    std::fs::write(shared.join("go"), "").unwrap();
    assert!(until(|| file(&place, "out").contains("allowed True\n")), "{}", file(&place, "out"));
    let out = file(&place, "out");
    assert!(!out.contains("typed") && !out.contains("found"), "{out}");
    assert!(!session.look().contains("sbx: is it"), "{}", session.look());
    session.send("never\n");
    session.expect("ended 0");
    assert!(file(&place, "out").ends_with("unknown\n"));
}

/// A flood of names: a few questions, one at a time, and the rest is refused at once.
#[test]
fn a_flood_of_names_asks_little_and_keeps_nobody_waiting() {
    need!(userns(), programs(), tun());
    let place = Place::new();
    let program = "import socket, struct
def query(name):
    parts = b''.join(bytes([len(part)]) + part.encode() for part in name.split('.'))
    return struct.pack('>HHHHHH', 7, 0x100, 1, 0, 0, 0) + parts + b'\\0' + struct.pack('>HH', 1, 1)
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
own.settimeout(60)
for n in range(60):
    own.sendto(query(f'n{n}.example'), ('127.0.0.53', 53))
answers = 0
while answers < 52:
    own.recv(1000); answers += 1
print('refused', answers, flush=True)
print(socket.getaddrinfo('one.example', 80)[0][4][0] != '', flush=True)
";
    let mut session = on_terminal(&place, "--set 'network.allow=[\"one.example\"]'", program);
    session.expect("    n0.example\r\n");
    session.expect("ended 0");
    let out = file(&place, "out");
    assert!(out.contains("refused 52\nTrue\n"), "{out}");
    assert!(
        out.contains("sbx: note: 8 names wait for an answer: until then, others are refused without a question\n"),
        "{out}"
    );
    assert!(out.contains("names were refused without a question, since there were too many of them\n"), "{out}");
}

/// Nobody at the terminal.
#[test]
fn a_question_that_nobody_answers_in_time_is_a_refusal() {
    need!(userns(), programs(), tun());
    let place = Place::new();
    let mut session = on_terminal(&place, "", &trying("name,one.example,80"));
    session.expect(ASKS);
    assert!(session.shows("sbx: without an answer, it is refused\r\n", Duration::from_secs(120)), "{}", session.look());
    session.expect("ended 0");
    assert_eq!(file(&place, "out"), "name,one.example,80 unknown\n");
}

/// Where the program has the terminal, or somebody may show what it writes there, no question is shown on it.
#[test]
fn a_terminal_that_the_program_may_write_to_shows_no_question() {
    need!(userns(), programs(), tun());
    let why = "sbx: note: nobody can be asked about names, so that those without a line are refused: not on a terminal, since ";
    for (flags, streams, because) in [
        ("", "2>~/out", "the program has it"),
        ("--tty none", "</dev/null 2>~/out", "the program has it"),
        ("", "</dev/null 2>~/out | cat", "whoever reads the program's standard output may show it there"),
        ("--keep-fd 9", "</dev/null >~/out 2>&1 9<>/dev/tty", "the program has one as descriptor 9"),
        (
            "--keep-fd 9",
            "</dev/null >~/out 2>&1 9> >(cat)",
            "what the program writes to its descriptor 9 may be shown there",
        ),
        ("--keep-fd 9", "</dev/null >~/out 2>&1 9<.", "what the program writes to its descriptor 9 may be shown there"),
        ("", "<>~/pipe >~/out 2>&1", "what the program writes to its standard input may be shown there"),
    ] {
        let place = Place::new();
        let (internet, tried) = (script("internet"), script("try"));
        let inner = format!(
            "\"$SBX\" run --net private --ask-network {flags} -- python3 -c \"$TRY\" name,one.example,80 {streams}; echo ended"
        );
        std::fs::write(place.home().join("inner"), inner).unwrap();
        let text = format!(
            "export TRY=\"$(cat {tried})\" XDG_RUNTIME_DIR=/nonexistent; mkfifo ~/pipe; bash {internet} /bin/bash ~/inner"
        );
        let mut session = Session::start(&place, &text);
        session.expect("ended");
        let out = file(&place, "out");
        assert!(out.contains(&format!("{why}{because}")), "{streams}: {out}");
        assert!(
            !session.before.contains(ASKS) && format!("{out}{}", session.before).contains("unknown"),
            "{}",
            session.before
        );
    }
}

/// What would make the answers worthless is refused before anything is started.
#[test]
fn questions_that_the_program_could_answer_or_that_say_nothing_are_refused() {
    need!(userns(), programs(), tun());
    let private = "--net private --ask-network";
    for (flags, why, help) in [
        (
            "--ask-network --net none",
            "`network.ask` has no effect without a private network",
            "write `mode = \"private\"` in [network]",
        ),
        (
            &format!("{private} --set 'network.allow=[\"a.example\",\"internet:443\"]'"),
            "network.allow has internet:443",
            "leave that line out",
        ),
        (
            &format!("{private} --set 'network.allow=[\"0.0.0.0/1\"]'"),
            "network.allow has 0.0.0.0/1",
            "leave that line out",
        ),
        (&format!("{private} --set network.dns=none"), "network.dns is \"none\"", "leave network.dns out"),
        (
            &format!("{private} --set 'network.allow=[\"a.example:443\"]' --set security.landlock_tcp=prefer"),
            "security.landlock_tcp holds TCP",
            "leave security.landlock_tcp out",
        ),
        (
            &format!("{private} --set desktop.x11=true"),
            "the program types and clicks in all windows",
            "desktop.x11 = \"nested\"",
        ),
        (
            &format!("{private} --device input"),
            "with the device `input` the program can type",
            "leave input out of devices.allow",
        ),
        (
            &format!("{private} --ro /tmp"),
            "which is shown, it types commands into your terminals",
            "\"masked\" where the directory around it is shown",
        ),
        (
            &format!(
                "{private} --set dbus.session.policy=filter --set 'dbus.session.talk=[\"org.freedesktop.systemd1\"]'"
            ),
            "with `org.freedesktop.systemd1` on the session bus it starts programs outside",
            "leave it out",
        ),
        (
            &format!("{private} --set dbus.session.policy=host"),
            "with dbus.session.policy = \"host\" it starts programs outside",
            "dbus.session.policy = \"filter\"",
        ),
    ] {
        let place = Place::new();
        let text = format!("for verb in plan run; do \"$SBX\" $verb {flags} -- true 2>&1; echo $verb $?; done");
        let ran = ran(on_network(&place, &[], &text).output().unwrap());
        assert_eq!((ran.out.matches(why).count(), ran.out.matches(help).count()), (2, 2), "{flags}: {ran:?}");
        assert!(ran.out.contains("plan 125\n") && ran.out.contains("run 125\n"), "{flags}: {ran:?}");
    }
}
