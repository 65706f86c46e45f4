//! `--log-driver journald`: what a program in the background writes goes to the journal of the machine, which is one that the test makes.

mod common;

use common::records::Records;
use common::{Ran, tools, userns};

/// Takes messages, and writes each as `journalctl --output json` prints it. It reads none while there is a file `stop`, and ends by SIGTERM once it has
/// taken all that there are.
const JOURNAL: &str = r#"
import json, os, signal, socket, sys, time
place = sys.argv[1]
os.makedirs("/run/systemd/journal")
taken = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
taken.bind("/run/systemd/journal/socket")
signal.signal(signal.SIGTERM, lambda *_: taken.setblocking(False))
open(place + "/journal", "w").close()
open(place + "/ready", "w").close()
number = 0
while True:
    while os.path.exists(place + "/stop"):
        time.sleep(0.02)
    try:
        data, fields = taken.recv(1 << 18), {}
    except BlockingIOError:
        break
    while data:
        line, data = data.split(b"\n", 1)
        if b"=" in line:
            name, value = line.split(b"=", 1)
        else:
            name, size = line, int.from_bytes(data[:8], "little")
            value, data = data[8:8 + size], data[8 + size + 1:]
        try:
            text = value.decode()
            fields[name.decode()] = text if text.isprintable() else list(value)
        except UnicodeDecodeError:
            fields[name.decode()] = list(value)
    number += 1
    fields.update({"__CURSOR": str(number), "__REALTIME_TIMESTAMP": str(int(time.time() * 1e6))})
    with open(place + "/journal", "a") as journal:
        journal.write(json.dumps(fields) + "\n")
"#;

/// Prints what that has written, as journalctl does.
const JOURNALCTL: &str = r#"#!/usr/bin/python3
import json, sys, time
after, wanted = 0, {}
for word in sys.argv[1:]:
    if word.startswith("--after-cursor="):
        after = int(word.split("=", 1)[1])
    elif not word.startswith("--"):
        name, value = word.split("=", 1)
        wanted[name] = value
assert "_UID" in wanted, sys.argv
with open("PLACE/journal") as journal:
    while True:
        line = journal.readline()
        if not line:
            if "--follow" not in sys.argv:
                break
            time.sleep(0.02)
            continue
        fields = json.loads(line)
        if int(fields["__CURSOR"]) > after and fields["CONTAINER_ID_FULL"] == wanted["CONTAINER_ID_FULL"]:
            print(line, end="", flush=True)
"#;

/// Runs a script, in which `$sbx` is that, with such a journal; or, unless `journal`, with none.
fn with_journal(records: &Records, journal: bool, script: &str) -> Ran {
    let dir = records.place.dir.path();
    records.place.write("journal.py", JOURNAL);
    let journalctl = records.place.write("journalctl", &JOURNALCTL.replace("PLACE", &dir.display().to_string()));
    std::fs::set_permissions(&journalctl, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let start = if journal {
        "python3 $place/journal.py $place & journal=$!
         while [ ! -e $place/ready ]; do kill -0 $journal || exit 91; sleep 0.02; done
         [ -e /usr/bin/journalctl ] && mount --bind $place/journalctl /usr/bin/journalctl"
    } else {
        "journal="
    };
    records.in_own_mounts(&format!(
        "mount -t tmpfs t /run
         {start}
         {script}
         [ -z \"$journal\" ] || {{ kill $journal; wait $journal; }}"
    ))
}

/// The messages that the journal took, and how many bytes of a program are lost by what they say.
fn taken(records: &Records) -> (Vec<String>, u64) {
    let journal = std::fs::read_to_string(records.place.dir.path().join("journal")).unwrap();
    let (mut messages, mut lost) = (Vec::new(), 0);
    for line in journal.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = value["MESSAGE"].as_str().unwrap().to_owned();
        match text.strip_prefix("sbx: ").map(|text| text.split_once(" bytes of the output are lost")) {
            Some(Some((count, _))) => lost += count.parse::<u64>().unwrap(),
            // The word that the program has ended.
            Some(None) => {}
            None => messages.push(text),
        }
    }
    (messages, lost)
}

#[test]
fn what_a_program_writes_goes_to_the_journal_and_logs_show_it() {
    need!(userns(), tools(&["unshare", "mount", "python3", "journalctl"]));
    let records = Records::new();
    let script = "$sbx run -q -d --name web --rw . --log-driver journald -- \
                  sh -c 'echo one; printf part; while [ ! -e go ]; do sleep 0.02; done; echo ial; printf \"\\033[2J\\n\" >&2; exit 3' >/dev/null || exit 90
         while ! grep -q part $place/journal; do sleep 0.02; done
         $sbx logs web; echo
         $sbx logs -f web 2>$HOME/err & follows=$!
         touch go; $sbx wait web; wait $follows
         $sbx logs --tail 1 web 2>&1 | od -c | head -1
         $sbx inspect --format '{{.HostConfig.LogConfig.Type}} [{{.State.Error}}]' web; $sbx rm web";
    let ran = with_journal(&records, true, script);
    let journal = std::fs::read_to_string(records.place.dir.path().join("journal")).unwrap();
    assert!(ran.out.starts_with("one\npart\n") && ran.out.contains("one\npartial\n"), "{ran:#?} {journal}");
    assert!(ran.out.contains("033   [   2   J  \\n") && ran.out.ends_with("journald []\nweb\n"), "{ran:#?}");
    assert_eq!(std::fs::read(records.place.dir.path().join("home/err")).unwrap(), b"\x1b[2J\n", "{ran:#?}");
    let line = |what: &str| journal.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{journal}"));
    let first = line("\"one\"");
    assert!(first.contains("\"PRIORITY\": \"6\"") && first.contains("\"CONTAINER_NAME\": \"web\""), "{first}");
    assert!(first.contains("\"SYSLOG_IDENTIFIER\": \"web\"") && !first.contains("PARTIAL"), "{first}");
    assert!(line("\"part\"").contains("\"CONTAINER_PARTIAL_MESSAGE\": \"true\""), "{journal}");
    assert!(line("[27, 91, 50, 74]").contains("\"PRIORITY\": \"3\""), "{journal}");
}

#[test]
fn logs_of_sandboxes_with_different_drivers_are_shown_by_one_command_and_each_run_of_one_is_in_the_journal() {
    need!(userns(), tools(&["unshare", "mount", "python3", "journalctl"]));
    let records = Records::new();
    let script = "$sbx run -q -d --name a --log-driver journald -- echo first >/dev/null || exit 90
         $sbx run -q -d --name b -- echo second >/dev/null || exit 90
         $sbx wait a b
         $sbx start a >/dev/null; $sbx wait a
         $sbx logs a b | sed 's/.* //'
         $sbx logs -f b a | sed 's/.* //'
         $sbx logs --tail 1 a
         # Of one that the journal knows nothing of, that is said.
         >$place/journal
         $sbx logs a";
    let ran = with_journal(&records, true, script);
    let lines = "first\nfirst\nsecond\nsecond\nfirst\nfirst\nfirst\n";
    assert_eq!(ran.out, format!("0\n0\n0\n{lines}"), "{ran:#?}");
    assert!(ran.err.contains("the journal shows nothing of a"), "{ran:#?}");
}

#[test]
fn where_there_is_no_journal_the_program_is_not_started() {
    need!(userns(), tools(&["unshare", "mount"]));
    let records = Records::new();
    let script = "$sbx create --name old --log-driver journald -- true >/dev/null || exit 90
         $sbx run -q -d --log-driver journald -- true; echo $?
         $sbx run -q -d --name old --replace --log-driver journald -- true; echo $?
         $sbx start old; echo $?
         $sbx ps -a --format '{{.Names}} {{.State}}'";
    let ran = with_journal(&records, false, script);
    assert_eq!(ran.out, "125\n125\n125\nold created\n", "{ran:#?}");
    assert_eq!(ran.err.matches("there is no journal here").count(), 3, "{ran:#?}");
    assert!(ran.err.contains("--log-driver file"), "{ran:#?}");
    let err = records.run(&["run", "-d", "--log-driver", "journald", "--log-opt", "max-size=1M", "true"]).failed(125);
    assert!(err.contains("limits of its own"), "{err}");
}

#[test]
fn a_journal_that_takes_nothing_keeps_no_program_waiting_and_what_is_lost_is_said() {
    need!(userns(), tools(&["unshare", "mount", "python3"]));
    let records = Records::new();
    let script = "touch $place/stop
         $sbx run -q -d --name x --log-driver journald -- sh -c 'seq 30000; exit 4' >/dev/null
         $sbx run -q -d --name y --log-driver journald -- yes >/dev/null
         $sbx wait x; $sbx inspect --format '{{.State.ExitCode}} {{.State.Error}}' x; $sbx rm x
         $sbx exec y echo answers; $sbx stop -t 0 y; $sbx rm y; rm $place/stop";
    let ran = with_journal(&records, true, script);
    assert!(ran.out.starts_with("4\n4 ") && ran.out.ends_with("\nx\nanswers\ny\ny\n"), "{ran:#?}");
    assert!(ran.out.contains("are lost, since the journal did not take them"), "{ran:#?}");
}

#[test]
fn of_a_flood_each_byte_is_in_the_journal_or_counted_as_lost() {
    need!(userns(), tools(&["unshare", "mount", "python3"]));
    let records = Records::new();
    let script = "$sbx run -q -d --name x --log-driver journald -- seq 40000 >/dev/null || exit 90
         $sbx wait x; $sbx inspect --format '{{.State.Error}}' x";
    let ran = with_journal(&records, true, script);
    let (messages, said) = taken(&records);
    let lost = ran.out.strip_prefix("0\n").and_then(|text| text.split(' ').next()?.trim().parse().ok()).unwrap_or(0);
    let journal = std::fs::read_to_string(records.place.dir.path().join("journal")).unwrap();
    // What was lost last is said with the word of the end, if that was taken.
    assert!(said == lost || said < lost && !journal.contains("SBX_END"), "{said} of {lost} {ran:#?}");
    let cut = journal.matches("CONTAINER_PARTIAL_MESSAGE").count() as u64;
    let kept: u64 = messages.iter().map(|text| text.len() as u64 + 1).sum();
    let all: u64 = (1..=40000).map(|number| format!("{number}\n").len() as u64).sum();
    assert_eq!(kept - cut + lost, all, "{ran:#?}");
}
