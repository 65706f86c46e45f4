//! Sound: what is granted works with real servers, and nothing else gets through to them.

mod common;

use common::audio::{Audio, loud, tone, wave};
use common::process::{Daemon, children, descendants, name, signal, status, with_line};
use common::{Place, Ran, not_root, ran, tools, until, userns};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const RAW: [&str; 4] = ["--raw", "--format=s16le", "--rate=8000", "--channels=1"];

/// sbx with these words in desktop.sound, in the environment of a user of this server.
fn with(place: &Place, audio: &Audio, words: &[&str]) -> Command {
    let mut command = place.command();
    command.env("XDG_RUNTIME_DIR", &audio.runtime).args(["--rw", "."]);
    command.args(["--set", &format!("desktop.sound={words:?}")]);
    command
}

fn sh(place: &Place, audio: &Audio, words: &[&str], script: &str) -> Ran {
    ran(with(place, audio, words).args(["--", "/bin/sh", "-c", script]).output().unwrap())
}

/// Records outside what the sink plays, until it is dropped.
fn listening(place: &Place, audio: &Audio, source: &str) -> Daemon {
    let file = place.dir.path().join("heard");
    let args = ["--record", "--device", source, "--latency-msec=50", file.to_str().unwrap()];
    let mut command = audio.command("pacat", &[&args[..], &RAW].concat());
    let listening = Daemon(command.stderr(Stdio::null()).spawn().unwrap());
    assert!(until(|| audio.ask("pactl", &["list", "short", "source-outputs"]).out.lines().count() == 1));
    listening
}

type Start = fn(&Place) -> Audio;

fn servers() -> [(&'static str, Start); 2] {
    [("PulseAudio", Audio::pulseaudio), ("PipeWire", Audio::pipewire)]
}

const PULSE: [&str; 3] = ["pulseaudio", "pactl", "pacat"];
const PIPEWIRE: [&str; 5] = ["pipewire", "pipewire-pulse", "wireplumber", "dbus-daemon", "pw-cli"];

#[test]
fn a_program_plays_on_every_server_and_can_do_nothing_else_there() {
    need!(userns(), not_root(), tools(&PULSE), tools(&PIPEWIRE));
    for (server, start) in servers() {
        let place = Place::new();
        let audio = start(&place);
        tone(&place.work().join("tone"), 2);
        wave(&place.work().join("tone.wav"));
        let before = audio.ask("pactl", &["list", "short", "modules"]).ok();
        let heard = place.dir.path().join("heard");
        let listening = listening(&place, &audio, "null0.monitor");
        let raw = RAW.join(" ");
        sh(&place, &audio, &["play"], &format!("exec pacat --playback {raw} --device=null0 tone")).ok();
        assert!(until(|| loud(&heard) > 1000), "{server}: {}", loud(&heard));
        drop(listening);
        for (what, command) in [
            ("pactl load-module module-null-sink", "LOAD_MODULE"),
            ("pactl unload-module 0", "UNLOAD_MODULE"),
            ("pactl exit", "EXIT"),
            ("pactl set-sink-mute null0 1", "SET_SINK_MUTE"),
            ("pactl set-default-sink null0", "SET_DEFAULT_SINK"),
            ("pactl suspend-sink null0 1", "SUSPEND_SINK"),
            ("pactl upload-sample tone.wav x", "CREATE_UPLOAD_STREAM"),
            ("pactl send-message /core list-handlers", "SEND_OBJECT_MESSAGE"),
        ] {
            let out = sh(&place, &audio, &["play", "record", "monitor"], what);
            assert_eq!(out.status, Some(1), "{server}: {out:?}");
            assert!(out.err.contains("Access denied"), "{server}: {out:?}");
            let note = format!("note: sound: the program sent {command} to the sound server, which is refused");
            assert!(out.err.contains(&note), "{server}: {out:?}");
        }
        assert_eq!(audio.ask("pactl", &["list", "short", "modules"]).ok(), before, "{server}");
    }
}

/// Compiles a library that writes to a file when it is loaded.
fn library(place: &Place) -> (String, std::path::PathBuf) {
    let mark = place.dir.path().join("loaded");
    let source = place.write("library.c", &format!(
        "#include <stdio.h>\n__attribute__((constructor)) static void loaded(void) {{ FILE *f = fopen(\"{}\", \"w\"); if (f) fclose(f); }}\n",
        mark.display()
    ));
    let library = place.work().join("library.so");
    let compiled = Command::new("gcc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status().unwrap();
    assert!(compiled.success());
    (library.display().to_string(), mark)
}

#[test]
fn no_property_of_a_stream_loads_a_library() {
    need!(userns(), not_root(), tools(&PULSE), tools(&["gcc"]));
    let place = Place::new();
    let audio = Audio::pulseaudio(&place);
    let (library, mark) = library(&place);
    tone(&place.work().join("tone"), 1);
    let properties = format!(
        "--property=filter.want=ladspa-sink --property='filter.apply.ladspa-sink.parameters=plugin={library} label=x'"
    );
    let play = format!("exec pacat --playback {} {properties} {}/tone", RAW.join(" "), place.work().display());
    // Without the filter it does: this is what PulseAudio does by default.
    audio.ask("/bin/sh", &["-c", &play]).ok();
    assert!(until(|| mark.exists()));
    std::fs::remove_file(&mark).unwrap();
    sh(&place, &audio, &["play"], &play).ok();
    assert!(!mark.exists());
    let loaded = sh(&place, &audio, &["unfiltered"], &play);
    assert!(until(|| mark.exists()) && loaded.err.contains("can load code into the sound servers"), "{loaded:?}");
}

#[test]
fn pipewires_own_socket_which_loads_any_library_is_not_there() {
    need!(userns(), not_root(), tools(&PIPEWIRE), tools(&["gcc"]));
    let place = Place::new();
    let audio = Audio::pipewire(&place);
    let (library, mark) = library(&place);
    // PipeWire looks for it below its own directory, and adds the ending.
    let name = format!("../../../../../..{}", library.strip_suffix(".so").unwrap());
    let node =
        format!("echo 'create-node spa-node-factory {{ factory.name=x library.name={name} }}' | timeout 5 pw-cli");
    audio.ask("/bin/sh", &["-c", &node]);
    assert!(until(|| mark.exists()), "without a sandbox it is loaded");
    std::fs::remove_file(&mark).unwrap();
    let out = sh(&place, &audio, &["play", "record", "monitor"], &format!("{node}; ls $XDG_RUNTIME_DIR"));
    assert_eq!(out.out.lines().last(), Some("pulse"), "{out:?}");
    assert!(!mark.exists());
    sh(&place, &audio, &["unfiltered"], &node);
    assert!(until(|| mark.exists()));
}

#[test]
fn recording_is_granted_apart_from_playing_and_other_programs_sound_apart_from_that() {
    need!(userns(), not_root(), tools(&PULSE), tools(&PIPEWIRE));
    for (server, start) in servers() {
        let place = Place::new();
        let audio = start(&place);
        tone(&place.work().join("tone"), 300);
        let tone = place.work().join("tone");
        let mut player =
            audio.command("pacat", &[&["--playback", "--device=null0", tone.to_str().unwrap()], &RAW[..]].concat());
        let _player = Daemon(player.spawn().unwrap());
        let list = || audio.ask("pactl", &["list", "short", "sink-inputs"]).out;
        assert!(until(|| list().lines().count() == 1));
        let stream = list().split_whitespace().next().unwrap().to_owned();
        let record = |words: &[&str], source: &str| {
            let raw = RAW.join(" ");
            let source = if source.is_empty() { String::new() } else { format!("--device={source}") };
            let script =
                format!("rm -f rec; timeout 3 pacat --record {raw} {source} --latency-msec=50 rec; wc -c < rec");
            let out = sh(&place, &audio, words, &script);
            (out.out.trim().parse::<usize>().unwrap() > 0, loud(&place.work().join("rec")), out.err)
        };
        // Nothing is recorded, and the note says which word is missing.
        for (words, source, missing) in [
            (&["play"][..], "mic0", "`record`"),
            (&["play"], "null0.monitor", "`record`"),
            (&["play", "record"], "null0.monitor", "`monitor`"),
            (&["play", "record"], "@DEFAULT_MONITOR@", "`monitor`"),
        ] {
            let (recorded, heard, err) = record(words, source);
            assert!(!recorded && heard == 0 && err.contains(missing), "{server} {words:?} {source}: {err}");
        }
        for source in [&stream, "0", "null0", "pacat"] {
            let (_, heard, err) = record(&["play", "record"], source);
            assert_eq!(heard, 0, "{server} {source}: {err}");
        }
        assert!(record(&["record"], "mic0").0, "{server}");
        assert!(record(&["record"], "").0, "{server}: the default source is no monitor");
        let (recorded, heard, err) = record(&["monitor"], "null0.monitor");
        assert!(recorded && heard > 100, "{server}: {heard} {err}");
    }
}

#[test]
fn the_default_source_may_be_a_monitor_which_is_not_recorded() {
    need!(userns(), not_root(), tools(&PULSE));
    let place = Place::new();
    let audio = Audio::pulseaudio(&place);
    audio.ask("pactl", &["set-default-source", "null0.monitor"]).ok();
    let script = |raw: &str| format!("timeout 3 pacat --record {raw} --latency-msec=50 rec; wc -c < rec");
    let out = sh(&place, &audio, &["record"], &script(&RAW.join(" ")));
    assert!(out.out.trim() == "0" && out.err.contains("`monitor` in desktop.sound"), "{out:?}");
}

#[test]
fn other_programs_are_neither_seen_nor_changed() {
    need!(userns(), not_root(), tools(&PULSE), tools(&PIPEWIRE));
    for (server, start) in servers() {
        let place = Place::new();
        let audio = start(&place);
        let tone_file = place.work().join("tone");
        tone(&tone_file, 20);
        let args = ["--playback", "--client-name=Diary", "--stream-name=a-secret-song", tone_file.to_str().unwrap()];
        let _player = Daemon(audio.command("pacat", &[&args[..], &RAW].concat()).spawn().unwrap());
        let list = || audio.ask("pactl", &["list", "sink-inputs"]).out;
        assert!(until(|| list().contains("a-secret-song")));
        let short = audio.ask("pactl", &["list", "short", "sink-inputs"]).out;
        let stream = short.split_whitespace().next().unwrap();
        let script = format!(
            "pactl list; pactl info; pactl set-sink-input-mute {stream} 1; pactl set-sink-input-volume {stream} 10%; \
             pactl kill-sink-input {stream} 2>&1; pactl move-sink-input {stream} null0"
        );
        let out = sh(&place, &audio, &["play", "record"], &script);
        let all = format!("{}{}", out.out, out.err);
        for secret in ["Diary", "a-secret-song", "module-null-sink sink_name", &std::process::id().to_string()] {
            assert!(!all.contains(secret), "{server} {secret}: {all}");
        }
        assert!(out.out.contains("Name: null0"), "{server}: devices are seen: {out:?}");
        let after = list();
        assert!(
            after.contains("a-secret-song") && after.contains("Mute: no") && after.contains("100%"),
            "{server}: {after}"
        );
    }
}

/// Starts a shell script that prints `ready`, and waits for that.
fn running(mut command: Command, script: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let command = command.args(["--", "/bin/sh", "-c", script]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    (child, out)
}

fn proxy(sbx: &Child) -> u32 {
    children(sbx.id()).into_iter().find(|pid| is_proxy(*pid)).unwrap()
}

fn is_proxy(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default().starts_with(b"sbx-sound-proxy\0")
}

#[test]
fn the_proxy_is_confined_and_ends_with_the_sandbox() {
    need!(userns(), not_root(), tools(&PULSE));
    let place = Place::new();
    let audio = Audio::pulseaudio(&place);
    let script = "pactl subscribe & until pactl info >/dev/null; do :; done; echo ready; read x";
    for kill in [false, true] {
        let (mut child, _out) = running(with(&place, &audio, &["play"]), script);
        let proxy = proxy(&child);
        assert_eq!((status(proxy, "Seccomp"), status(proxy, "NoNewPrivs")), ("2".into(), "1".into()));
        // Each connection has a process, with a filter more than the proxy. That of `pactl info` ends at some time.
        let confined = |pid: &u32| status(*pid, "Seccomp_filters") == "2" && status(*pid, "NoNewPrivs") == "1";
        assert!(until(|| matches!(&children(proxy)[..], [one] if confined(one))));
        let all = [vec![proxy], descendants(proxy)].concat();
        // Nobody may look into it, not even its user.
        assert!(std::fs::read_dir(format!("/proc/{proxy}/fd")).is_err());
        if kill {
            child.kill().unwrap();
        } else {
            drop(child.stdin.take());
        }
        child.wait().unwrap();
        assert!(until(|| all.iter().all(|pid| name(*pid).is_empty() || status(*pid, "State").starts_with('Z'))));
        assert!(with_line(&format!("sbx-sound-proxy {}", audio.runtime.display())).is_empty());
    }
}

#[test]
fn the_end_of_the_proxy_is_told_and_a_server_that_restarts_is_found_again() {
    need!(userns(), not_root(), tools(&PULSE));
    let place = Place::new();
    let mut audio = Audio::pulseaudio(&place);
    let script = "pactl info >/dev/null && echo ready; read x; pactl info >/dev/null 2>&1; echo $?; read x; pactl info | grep -c Name; read x; pactl info 2>&1; echo end";
    let (mut child, mut out) = running(with(&place, &audio, &["play"]), script);
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut stdin = child.stdin.take().unwrap();
    let line = |out: &mut dyn BufRead| {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        line
    };
    use std::io::Write;
    audio.end();
    stdin.write_all(b"\n").unwrap();
    assert_eq!(line(&mut out), "1\n");
    assert!(line(&mut said).contains("note: sound: no server answers at its socket"));
    std::fs::remove_dir_all(&audio.runtime).unwrap();
    let _again = Audio::pulseaudio(&place);
    stdin.write_all(b"\n").unwrap();
    assert!(line(&mut out).starts_with(['1', '2', '3', '4']));
    signal(proxy(&child) as i32, libc::SIGKILL);
    let told = line(&mut said);
    assert!(told.contains("sbx-sound-proxy ended (signal: 9") && told.contains("no sound from here on"), "{told}");
    stdin.write_all(b"\n").unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("end\n") && child.wait().unwrap().success(), "{rest}");
}

/// PulseAudio asks the kernel for a client's credentials some time after it has accepted the connection, and takes a
/// greeting without them for a stranger's.
#[test]
fn the_server_gets_the_users_credentials_with_the_greeting() {
    need!(userns(), not_root(), tools(&PULSE), tools(&["python3"]));
    let place = Place::new();
    let runtime = place.dir.path().join("runtime");
    std::fs::create_dir_all(runtime.join("pulse")).unwrap();
    let server = "import os, socket, struct, sys, time\n\
        s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print('ready', flush=True)\n\
        c, _ = s.accept(); time.sleep(0.3); c.setsockopt(socket.SOL_SOCKET, 16, 1)\n\
        _, parts, _, _ = c.recvmsg(300, 100)\n\
        print([struct.unpack('iII', data)[1] == os.getuid() for level, kind, data in parts])";
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", server]).arg(runtime.join("pulse/native")).stdout(Stdio::piped());
    let mut server = Daemon(command.spawn().unwrap());
    let mut out = BufReader::new(server.0.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let mut command = place.command();
    command.env("XDG_RUNTIME_DIR", &runtime).args(["--set", "desktop.sound=[\"play\"]", "--", "pactl", "info"]);
    command.output().unwrap();
    line.clear();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "[True]\n");
}

/// What a program does that speaks the protocol itself. `greet` gives a connection.
const HOSTILE: &str = r#"
import array, os, socket, struct, sys, time
path = os.environ['PULSE_SERVER'].removeprefix('unix:')
def u(n): return b'L' + struct.pack('>I', n)
def frame(b): return struct.pack('>II', len(b), 0xffffffff) + b'\0' * 12 + b
def connect():
    s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect(path); return s
def greet(version=35):
    s = connect()
    s.sendall(frame(u(8) + u(0) + u(version) + b'x' + struct.pack('>I', 256) + b'\0' * 256))
    return s, answer(s)
def answer(s):
    head = b''
    while len(head) < 20:
        got = s.recv(20 - len(head))
        if not got: return None
        head += got
    body = b''
    size = struct.unpack('>I', head[:4])[0]
    while len(body) < size: body += s.recv(size - len(body))
    return body
def closed(s):
    try: return s.recv(1) == b''
    except ConnectionResetError: return True
"#;

fn hostile(place: &Place, audio: &Audio, script: &str) -> Ran {
    place.write("work/hostile.py", &format!("{HOSTILE}\n{script}"));
    sh(place, audio, &["play"], "exec /usr/bin/python3 hostile.py")
}

/// Plays under the name of another program, with a property that the arguments name, mutes the stream and moves it to the
/// sink `null1`; then sets its properties again and has them taken away, and does the same each time.
const IMPOSTOR: &str = r#"
def text(t): return b't' + t.encode() + b'\0'
def many(pairs):
    out = b'P'
    for key, value in pairs:
        value = value.encode() + b'\0'; size = struct.pack('>I', len(value))
        out += text(key) + b'L' + size + b'x' + size + value
    return out + b'N'
tags = iter(range(1, 1000))
def ask(command, values):
    tag = next(tags); s.sendall(frame(u(command) + u(tag) + values))
    while True:
        got = answer(s)
        if got[5:10] == u(tag): return got[10:]
s, _ = greet(13)
names = [('application.name', 'Diary')] + [tuple(sys.argv[1:])] * (len(sys.argv) > 1)
ask(9, many(names))
spec = b'a' + bytes([3, 1]) + struct.pack('>I', 8000) + b'm' + bytes([1, 0])
none = u(0xffffffff)
made = ask(3, spec + none + b'N' + none + b'0' + none * 4 + b'v' + bytes([1, 0, 1, 0, 0]) + b'0' * 9 + many(names))
channel, index = made[:5], made[5:10]
def spoil():
    ask(69, index + b'0'); ask(69, index + b'1')
    ask(67, index + none + text('null1')); time.sleep(0.3)
spoil()
ask(81, channel + u(0) + many(names)); spoil()
ask(82, u(0) + many(names)); spoil()
for command, first in [(84, channel), (85, b'')]:
    ask(command, first + b''.join(text(key) for key, _ in names) + b'N')
    spoil()
print('done', flush=True)
time.sleep(2)
"#;

/// Sound servers keep the volume, the mute switch and the device of a program's streams, by what it says that it is.
#[test]
fn what_the_server_keeps_of_a_program_is_not_another_programs() {
    need!(userns(), not_root(), tools(&PULSE), tools(&PIPEWIRE), tools(&["python3"]));
    for (server, start) in servers() {
        let place = Place::new();
        let audio = start(&place);
        audio.ask("pactl", &["load-module", "module-null-sink", "sink_name=null1"]).ok();
        assert!(until(|| audio.ask("pactl", &["set-default-sink", "null0"]).status == Some(0)));
        let tone_file = place.work().join("tone");
        tone(&tone_file, 20);
        place.write("work/hostile.py", &format!("{HOSTILE}\n{IMPOSTOR}"));
        let list = || audio.ask("pactl", &["list", "sink-inputs"]).out;
        for property in [None, Some(("application.id", "org.diary")), Some(("media.role", "music"))] {
            let mut args = vec!["--playback".to_owned(), "--client-name=Diary".into()];
            let mut script = "exec /usr/bin/python3 hostile.py".to_owned();
            if let Some((key, value)) = property {
                args.push(format!("--property={key}={value}"));
                script += &format!(" {key} {value}");
            }
            let out = sh(&place, &audio, &["play"], &script);
            assert_eq!((out.out.as_str(), out.status), ("done\n", Some(0)), "{server}: {out:?}");
            assert!(until(|| list().is_empty()), "{server}: {}", list());
            let args: Vec<&str> = args.iter().map(String::as_str).chain([tone_file.to_str().unwrap()]).collect();
            let _player = Daemon(audio.command("pacat", &[&args[..], &RAW].concat()).spawn().unwrap());
            assert!(until(|| list().contains("Diary")));
            std::thread::sleep(Duration::from_millis(500));
            let sink = audio.ask("pactl", &["list", "short", "sinks"]).out;
            let sink = sink.lines().find(|line| line.contains("null0")).unwrap().split_whitespace().next().unwrap();
            let now = list();
            assert!(
                now.contains("Mute: no") && now.contains(&format!("Sink: {sink}\n")),
                "{server} {property:?}: {now}"
            );
        }
    }
}

/// What a program sets for its own streams counts, also the next time.
#[test]
fn a_programs_own_mute_switch_works_and_is_kept_for_it() {
    need!(userns(), not_root(), tools(&PULSE), tools(&PIPEWIRE), tools(&["python3"]));
    for (server, start) in servers() {
        let place = Place::new();
        let audio = start(&place);
        audio.ask("pactl", &["load-module", "module-null-sink", "sink_name=null1"]).ok();
        tone(&place.work().join("tone"), 300);
        place.write("work/hostile.py", &format!("{HOSTILE}\n{IMPOSTOR}\nsys.stdin.readline()"));
        let list = || audio.ask("pactl", &["list", "sink-inputs"]).out;
        let mut command = with(&place, &audio, &["play"]);
        command.args(["--", "/usr/bin/python3", "hostile.py"]).stdin(Stdio::piped());
        let playing = Daemon(command.spawn().unwrap());
        assert!(until(|| list().contains("Mute: yes")), "{server}: {}", list());
        assert!(list().contains("sbx: Diary") && list().contains("sbx.python3"), "{server}: {}", list());
        std::thread::sleep(Duration::from_secs(3));
        drop(playing);
        assert!(until(|| list().is_empty()));
        let mut command = with(&place, &audio, &["play"]);
        command.args(["--", "/usr/bin/python3", "-c"]);
        command.arg(format!(
            "import os; os.execvp('pacat', ['pacat', '--playback', *'{}'.split(), 'tone'])",
            RAW.join(" ")
        ));
        let _again = Daemon(command.spawn().unwrap());
        assert!(until(|| list().contains("Mute: yes")), "{server}: {}", list());
    }
}

/// Other programs' streams are muted or made softer while one with a role such as `phone` plays.
#[test]
fn no_role_of_a_stream_mutes_other_programs() {
    need!(userns(), not_root(), tools(&PULSE));
    let place = Place::new();
    let audio = Audio::pulseaudio(&place);
    let tone_file = place.work().join("tone");
    tone(&tone_file, 20);
    let args = ["--playback", "--property=media.role=music", tone_file.to_str().unwrap()];
    let _player = Daemon(audio.command("pacat", &[&args[..], &RAW].concat()).spawn().unwrap());
    let list = || audio.ask("pactl", &["list", "sink-inputs"]).out;
    assert!(until(|| list().contains("Corked: no")));
    let phone = format!("timeout 3 pacat --playback {} --property=media.role=phone tone", RAW.join(" "));
    let (mut child, _out) = running(with(&place, &audio, &["play"]), &format!("echo ready; {phone}"));
    assert!(until(|| list().matches("Corked: ").count() == 2));
    std::thread::sleep(Duration::from_millis(500));
    let now = list();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(now.matches("Corked: no").count() == 2 && now.matches("Mute: no").count() == 2, "{now}");
}

#[test]
fn descriptors_and_shared_memory_end_the_connection() {
    need!(userns(), not_root(), tools(&PULSE), tools(&["python3"]));
    let place = Place::new();
    let audio = Audio::pulseaudio(&place);
    let out = hostile(
        &place,
        &audio,
        "s, got = greet(0xc0000023); print(got[10:].hex())\n\
         s.sendmsg([frame(u(20) + u(1))], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0]))]); print(closed(s))\n\
         s, _ = greet(); s.sendall(struct.pack('>IIIII', 16, 0, 0, 0, 0x80000000) + bytes(16)); print(closed(s))\n\
         s, _ = greet(); s.sendall(frame(u(103) + u(2) + u(1))); print(answer(s).hex())\n\
         s, _ = greet(); s.sendall(b'\\0' * 100); print(closed(s))",
    );
    let access = "4c000000004c000000024c00000001";
    // The server's answer to the greeting has no flags, either.
    let expected = format!("4c00000023\nTrue\nTrue\n{access}\nTrue\n");
    assert_eq!((out.out.as_str(), out.status), (expected.as_str(), Some(0)), "{out:?}");
    assert!(out.err.contains("broke the protocol") && out.err.contains("REGISTER_MEMFD_SHMID"), "{out:?}");
}

#[test]
fn a_program_that_reads_nothing_or_connects_without_end_costs_little() {
    need!(userns(), not_root(), tools(&PULSE), tools(&["python3"]));
    let place = Place::new();
    let audio = Audio::pulseaudio(&place);
    // Refused commands, whose answers nobody reads; then more connections than there may be.
    place.write(
        "work/hostile.py",
        &format!(
            "{HOSTILE}\n{}",
            "s, _ = greet(); s.setblocking(False); sent = 0; idle = time.time(); tag = 1\n\
             while time.time() - idle < 1:\n\
             \x20 try: sent += s.send(b''.join(frame(u(51) + u(tag + i) + b'tx\\0N') for i in range(500))); tag += 500; idle = time.time()\n\
             \x20 except BlockingIOError: time.sleep(0.01)\n\
             print('ready', flush=True); sys.stdin.readline()\n\
             many = []\n\
             while len(many) < 100:\n\
             \x20 try: many.append(connect())\n\
             \x20 except OSError: break\n\
             print('many', flush=True); sys.stdin.readline()\n\
             many.clear(); s.close(); print(greet()[1] is not None)"
        ),
    );
    let (mut child, mut out) = running(with(&place, &audio, &["play"]), "exec /usr/bin/python3 hostile.py");
    let proxy = proxy(&child);
    let memory = || -> u64 {
        let pids = [vec![proxy], descendants(proxy)].concat();
        let kib = |pid: &u32| status(*pid, "RssAnon").trim_end_matches(" kB").parse::<u64>().unwrap_or(0);
        pids.iter().map(kib).sum()
    };
    assert!(memory() < 12 * 1024, "{} KiB", memory());
    let mut stdin = child.stdin.take().unwrap();
    use std::io::Write;
    let mut line = String::new();
    stdin.write_all(b"\n").unwrap();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "many\n");
    std::thread::sleep(Duration::from_millis(200));
    assert!(descendants(proxy).len() <= 16 && memory() < 24 * 1024, "{} {} KiB", descendants(proxy).len(), memory());
    // Others still get a connection to the server.
    audio.ask("pactl", &["info"]).ok();
    stdin.write_all(b"\n").unwrap();
    line.clear();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "True\n");
    assert!(child.wait().unwrap().success());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said.matches("LOAD_MODULE").count(), 1, "{said}");
    assert!(said.contains("and further ones wait"), "{said}");
}

#[test]
fn what_is_missing_is_told_in_one_line() {
    need!(userns());
    let place = Place::new();
    let run = |env: &[(&str, &str)], words: &str| {
        let mut command = place.command();
        command.env("XDG_RUNTIME_DIR", place.home()).envs(env.iter().copied());
        command.args(["--set", &format!("desktop.sound={words}"), "--", "/bin/sh", "-c", "echo [$PULSE_SERVER]"]);
        ran(command.output().unwrap())
    };
    let none = run(&[], "[\"play\"]");
    assert_eq!(
        (none.out.as_str(), none.err.as_str()),
        ("[]\n", "sbx: note: no sound: PulseAudio's socket is not there\n")
    );
    let far = run(&[("PULSE_SERVER", "tcp:example.org")], "[\"play\"]");
    assert_eq!(far.err, "sbx: note: no sound: PULSE_SERVER is tcp:example.org, which is no socket of this host\n");
    let _pipewire = std::os::unix::net::UnixListener::bind(place.home().join("pipewire-0")).unwrap();
    let bare = run(&[], "[\"play\"]");
    assert!(bare.err.contains("PipeWire's own is not shown; pipewire-pulse would serve it"), "{bare:?}");
    for (word, instead) in [("pulse", "write `play`"), ("pipewire", "only `unfiltered` shows it")] {
        let old = run(&[], &format!("[\"{word}\"]")).failed(125);
        assert!(old.contains(&format!("does not know `{word}`")) && old.contains(instead), "{old}");
    }
}

#[test]
fn sockets_of_filters_are_not_made_among_the_hosts_files() {
    need!(userns(), not_root(), tools(&PULSE), tools(&["xdg-dbus-proxy", "dbus-daemon"]));
    let place = Place::new();
    let audio = Audio::pulseaudio(&place);
    let uid = std::fs::metadata(place.home()).map(|found| std::os::unix::fs::MetadataExt::uid(&found)).unwrap();
    let (shown, home) = (format!("/run/user/{uid}"), place.home().display().to_string());
    let mut command = with(&place, &audio, &["play"]);
    let error = ran(command.args(["--rw", &shown, "--from", &home, "--", "true"]).output().unwrap()).failed(125);
    assert!(error.contains("shows the host's files where") && error.contains("pulse/native is made"), "{error}");
    let mut command = place.command();
    command.env("XDG_RUNTIME_DIR", &audio.runtime).env("DBUS_SESSION_BUS_ADDRESS", "unix:abstract=none");
    command.args(["--set", "dbus.session.policy=filter", "--rw", &shown, "--from", &home, "--", "true"]);
    let error = ran(command.output().unwrap()).failed(125);
    assert!(error.contains("shows the host's files where") && error.contains("bus is made"), "{error}");
    assert_eq!(std::fs::read_dir(place.home()).unwrap().count(), 0);
}
