//! The desktop's services: those that a profile grants are there and work, and no others are.

mod common;

use common::bus::bus;
use common::compositor::{Context, compositor};
use common::network::programs;
use common::process::{Daemon, children, name, signal};
use common::{Host, Place, Ran, ran, tools, tun, until, userns};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A name on a session bus that answers Introspect.
fn owner(address: &str, name: &str) -> Daemon {
    let code = "import dbus, dbus.service, sys, time\n\
                name = dbus.service.BusName(sys.argv[1], dbus.SessionBus())\n\
                print('ready', flush=True)\n\
                time.sleep(60)";
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", code, name]).env("DBUS_SESSION_BUS_ADDRESS", address).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    Daemon(child)
}

const NAMES: &str = "dbus-send --session --print-reply --dest=org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus.ListNames";

fn on_bus(place: &Place, address: &str, flags: &[&str], script: &str) -> Ran {
    let mut command = place.command();
    command.env("DBUS_SESSION_BUS_ADDRESS", address).args(flags).args(["--", "/bin/sh", "-c", script]);
    ran(command.output().unwrap())
}

#[test]
fn a_filtered_bus_has_the_names_of_the_profile_and_no_others() {
    need!(userns(), tools(&["dbus-daemon", "dbus-send", "xdg-dbus-proxy"]));
    let place = Place::new();
    let (_daemon, address) = bus(&[]);
    let _open = owner(&address, "org.example.Open");
    let _shut = owner(&address, "org.example.Shut");
    let flags = ["--set", "dbus.session.policy=filter", "--set", "dbus.session.talk=[\"org.example.Open\"]"];
    let out = on_bus(&place, &address, &flags, NAMES).ok();
    assert!(out.contains("org.example.Open") && !out.contains("org.example.Shut"), "{out}");
    let call = |name: &str, timeout: u32| {
        format!(
            "dbus-send --session --print-reply --reply-timeout={timeout} --dest=org.example.{name} / org.freedesktop.DBus.Peer.Ping"
        )
    };
    // The owner of the one that is open never answers.
    assert!(!on_bus(&place, &address, &flags, &call("Open", 500)).err.contains("ServiceUnknown"));
    let refused = on_bus(&place, &address, &flags, &call("Shut", 30000));
    assert!(refused.err.contains("ServiceUnknown") || refused.err.contains("AccessDenied"), "{refused:?}");
    // The real socket is not inside, and the proxy's is not outside.
    let path = address.split("path=").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default();
    let out = on_bus(
        &place,
        &address,
        &flags,
        &format!("test -e '{path}' && echo real; test -S /run/user/$(id -u)/bus && echo ours"),
    );
    assert_eq!(out.out, "ours\n", "{out:?}");
}

/// A portal that tells its caller what it finds in the caller's root directory, as xdg-desktop-portal looks for it.
fn portal(address: &str, runtime: &Path) -> Daemon {
    let code = r#"
import dbus, dbus.mainloop.glib, dbus.service, os
from gi.repository import GLib
dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.SessionBus()
class Portal(dbus.service.Object):
    @dbus.service.method("org.freedesktop.portal.Settings", out_signature="s", sender_keyword="sender")
    def Read(self, sender=None):
        pid = bus.get_object("org.freedesktop.DBus", "/").GetConnectionUnixProcessID(sender)
        root = "/proc/%d/root/" % pid
        try:
            info = open(root + ".flatpak-info").read()
            instance = info.split("instance-id=")[1].split()[0]
            path = os.environ["RUN"] + "/.flatpak/" + instance + "/bwrapinfo.json"
            told = open(path).read() if os.path.exists(path) else ""
            return info + " ".join(sorted(os.listdir(root))) + " bwrapinfo.json: " + told
        except OSError as error:
            return str(error)
name = dbus.service.BusName("org.freedesktop.portal.Desktop", bus)
portal = Portal(bus, "/org/freedesktop/portal/desktop")
print("ready", flush=True)
GLib.MainLoop().run()
"#;
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", code]).env("DBUS_SESSION_BUS_ADDRESS", address).env("RUN", runtime).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    Daemon(child)
}

#[test]
fn what_portals_are_told_goes_with_sbx_however_that_dies() {
    need!(userns(), tools(&["dbus-daemon", "xdg-dbus-proxy"]));
    let place = Place::new();
    let (_daemon, address) = bus(&[]);
    let run = place.dir.path().join("run");
    std::fs::create_dir(&run).unwrap();
    let mut command = place.command();
    command.env("DBUS_SESSION_BUS_ADDRESS", &address).env("XDG_RUNTIME_DIR", &run);
    command.args(["--set", "dbus.session.policy=filter", "--set", "desktop.portals=[\"settings\"]", "--"]);
    let mut child = command.args(["/bin/sh", "-c", "echo ready; sleep 60"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let told = run.join(format!(".flatpak/sbx-{}/bwrapinfo.json", child.id()));
    assert!(line == "ready\n" && told.exists(), "{line} {told:?}");
    signal(child.id() as i32, libc::SIGKILL);
    child.wait().unwrap();
    assert!(until(|| std::fs::read_dir(&run).unwrap().next().is_none()));
}

#[test]
fn portals_see_a_caller_in_a_sandbox_and_not_a_program_of_the_host() {
    need!(userns(), tools(&["dbus-daemon", "dbus-send", "xdg-dbus-proxy"]));
    let place = Place::new();
    let (_daemon, address) = bus(&[]);
    let _portal = portal(&address, &place.dir.path().join("run"));
    let call = "dbus-send --session --print-reply=literal --dest=org.freedesktop.portal.Desktop \
                /org/freedesktop/portal/desktop org.freedesktop.portal.Settings.Read";
    let filter = ["--set", "dbus.session.policy=filter", "--set", "desktop.portals=[\"settings\"]"];
    let run = place.dir.path().join("run");
    let on_bus = |flags: &[&str], script: &str| {
        let mut command = place.command();
        command.env("DBUS_SESSION_BUS_ADDRESS", &address).env("XDG_RUNTIME_DIR", &run).args(flags);
        ran(command.args(["--", "/bin/sh", "-c", script]).output().unwrap())
    };
    let seen = on_bus(&filter, call).ok();
    for part in ["[Application]", "name=sbx.profile.default", "instance-id=sbx-"] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    assert!(!seen.contains("network") && !seen.contains("home"), "{seen}");
    let seen = on_bus(&[&filter[..], &["--net", "host"]].concat(), call).ok();
    assert!(seen.contains("shared=network;"), "{seen}");
    // From version 1.19 on, xdg-desktop-portal looks in the runtime directory for the sandbox's processes.
    std::fs::create_dir(&run).unwrap();
    let seen = on_bus(&filter, call).ok();
    assert!(seen.contains("bwrapinfo.json: {\n    \"child-pid\": "), "{seen}");
    assert!(std::fs::read_dir(&run).unwrap().next().is_none(), "it is left");
}

#[test]
fn without_a_policy_there_is_no_bus() {
    need!(userns(), tools(&["dbus-daemon", "dbus-send"]));
    let place = Place::new();
    let (_daemon, address) = bus(&[]);
    let out = on_bus(&place, &address, &[], &format!("echo [$DBUS_SESSION_BUS_ADDRESS]; {NAMES}"));
    assert!(out.out.starts_with("[]\n") && out.status != Some(0), "{out:?}");
}

#[test]
fn the_whole_bus_is_there_where_the_profile_says_so() {
    need!(userns(), tools(&["dbus-daemon", "dbus-send"]));
    let place = Place::new();
    let (_daemon, address) = bus(&[]);
    let _name = owner(&address, "org.example.Open");
    let out = on_bus(&place, &address, &["--set", "dbus.session.policy=host"], NAMES).ok();
    assert!(out.contains("org.example.Open"), "{out}");
}

#[test]
fn a_bus_that_is_not_there_or_goes_away_is_said() {
    need!(userns(), tools(&["dbus-daemon", "xdg-dbus-proxy"]));
    let place = Place::new();
    let filter = ["--set", "dbus.session.policy=filter"];
    let (daemon, address) = bus(&[]);
    let mut command = place.command();
    command.env("DBUS_SESSION_BUS_ADDRESS", &address).args(filter).args([
        "--",
        "/bin/sh",
        "-c",
        "echo started; read x; echo end",
    ]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "started\n");
    let proxy = children(child.id()).into_iter().find(|pid| name(*pid) == "xdg-dbus-proxy").unwrap();
    signal(proxy as i32, libc::SIGKILL);
    let mut said = BufReader::new(child.stderr.take().unwrap());
    line.clear();
    said.read_line(&mut line).unwrap();
    assert!(line.contains("xdg-dbus-proxy ended (signal: 9") && line.contains("no session bus from here on"), "{line}");
    drop(child.stdin.take());
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success() && rest == "end\n", "{rest}");
    drop(daemon);
    let none = on_bus(&place, "unix:path=/no/such/bus", &filter, "echo [$DBUS_SESSION_BUS_ADDRESS]");
    assert!(none.err.contains("note: no session bus") && none.out == "[]\n", "{none:?}");
}

#[test]
fn a_proxy_that_fails_is_an_error() {
    need!(userns(), tools(&["dbus-daemon", "unshare"]));
    let (_daemon, address) = bus(&[]);
    let place = Place::new();
    let host =
        Host::new(&place, "mount --bind /bin/false usr/bin/xdg-dbus-proxy").env("DBUS_SESSION_BUS_ADDRESS", &address);
    let error = host.run(&["--set", "dbus.session.policy=filter", "--", "true"]).failed(125);
    assert!(error.contains("ended before its socket was ready"), "{error}");
}

/// Accepts one connection on a socket and writes a word.
fn listen(path: PathBuf, word: &'static str) {
    use std::io::Write;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(word.as_bytes());
        }
    });
}

/// Reads from a socket inside.
const CONNECT: &str = "import socket, sys\n\
    for path in sys.argv[1:]:\n\
    \x20 s = socket.socket(socket.AF_UNIX)\n\
    \x20 try:\n\
    \x20   s.connect(path); print(s.recv(9).decode())\n\
    \x20 except OSError as e: print(e.strerror)";

#[test]
fn sockets_of_the_desktop_are_let_in_one_by_one() {
    need!(userns(), tools(&["python3"]));
    let place = Place::new();
    place.write("work/connect.py", CONNECT);
    let runtime = place.dir.path().join("run");
    listen(runtime.join("wayland-5"), "wayland");
    let wayland = ["--set", "desktop.wayland=unrestricted"];
    listen(runtime.join("pipewire-0"), "pipewire");
    listen(runtime.join("pulse/native"), "pulse");
    listen(runtime.join("gnupg/S.gpg-agent"), "agent");
    let run = |flags: &[&str]| {
        let mut command = place.command();
        command.env("XDG_RUNTIME_DIR", &runtime).env("WAYLAND_DISPLAY", "wayland-5").args(flags);
        let script = "d=$XDG_RUNTIME_DIR; /usr/bin/python3 connect.py $d/wayland-0 $d/pipewire-0 $d/pulse/native $d/gnupg/S.gpg-agent; ls -A $d | wc -l";
        ran(command.args(["--", "/bin/sh", "-c", script]).output().unwrap())
    };
    let missing = "No such file or directory";
    assert_eq!(run(&[]).ok(), format!("{missing}\n{missing}\n{missing}\n{missing}\n0\n"));
    let some = run(&wayland).ok();
    assert_eq!(some, format!("wayland\n{missing}\n{missing}\n{missing}\n1\n"));
    let all = run(&[&wayland[..], &["--set", "desktop.sound=[\"unfiltered\"]"]].concat()).ok();
    assert_eq!(all, format!("wayland\npipewire\npulse\n{missing}\n3\n"));
}

/// What a compositor offers to have restricted, and what sway 1.7 offers, which cannot restrict anything.
const RESTRICTS: &[&str] = &["wl_compositor", "zwp_virtual_keyboard_manager_v1", "wp_security_context_manager_v1"];
const HAS_POWERS: &[&str] = &["wl_compositor", "zwp_virtual_keyboard_manager_v1", "zwlr_screencopy_manager_v1"];

/// A run in a session of Wayland's, whose runtime directory is `run` of the place.
fn in_wayland(place: &Place, wayland: &str, script: &str) -> Command {
    let mut command = place.command();
    command.env("XDG_RUNTIME_DIR", place.dir.path().join("run")).env("WAYLAND_DISPLAY", "wayland-5");
    command.args(["--set", &format!("desktop.wayland={wayland}"), "--", "/bin/sh", "-c", script]);
    command
}

/// Accepts a connection on a socket that is restricted, and writes a word.
fn serve(context: Context) -> Context {
    let (mut stream, _) = context.listener.accept().unwrap();
    stream.write_all(b"client").unwrap();
    context
}

#[test]
fn the_compositor_restricts_the_socket_that_is_let_in() {
    need!(userns(), tools(&["python3"]));
    let place = Place::new();
    place.write("work/connect.py", CONNECT);
    let contexts = compositor(&place.dir.path().join("run/wayland-5"), RESTRICTS);
    let script = "d=$XDG_RUNTIME_DIR; echo $WAYLAND_DISPLAY; ls $d; /usr/bin/python3 connect.py $d/$WAYLAND_DISPLAY; read x; true";
    let mut command = in_wayland(&place, "true", script);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let context = serve(contexts.recv_timeout(Duration::from_secs(30)).unwrap());
    for text in ["sbx", "sbx.profile.default"] {
        assert!(context.said.contains(&format!("{text}\0")), "{text}: {:?}", context.said);
    }
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let lines: Vec<String> = (&mut out).lines().take(3).map(Result::unwrap).collect();
    assert_eq!(lines, ["wayland-0", "wayland-0", "client"]);
    assert!(!context.is_over(), "the compositor is to stop when the sandbox ends");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert!(context.is_over());
    // On the host there is the compositor's own socket, and nothing else.
    let left = std::fs::read_dir(place.dir.path().join("run")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["wayland-5"]);
}

#[test]
fn a_restricted_socket_ends_with_sbx_however_that_dies() {
    need!(userns());
    let place = Place::new();
    let contexts = compositor(&place.dir.path().join("run/wayland-5"), RESTRICTS);
    let mut command = in_wayland(&place, "true", "echo ready; sleep 60 & sleep 60");
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let context = contexts.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(line == "ready\n" && !context.is_over());
    signal(child.id() as i32, libc::SIGKILL);
    child.wait().unwrap();
    assert!(until(|| context.is_over()));
}

#[test]
fn a_compositor_that_cannot_restrict_is_shown_only_where_that_does_no_harm() {
    need!(userns());
    let place = Place::new();
    let script = "echo [$WAYLAND_DISPLAY]; ls $XDG_RUNTIME_DIR";
    let socket = place.dir.path().join("run/wayland-5");
    let _contexts = compositor(&socket, HAS_POWERS);
    let ran_with = |wayland| ran(in_wayland(&place, wayland, script).output().unwrap());
    let refused = ran_with("true");
    assert_eq!(refused.out, "[]\n", "{refused:?}");
    for part in
        ["note: no Wayland", "wp_security_context_v1", "zwlr_screencopy_manager_v1", "desktop.wayland=unrestricted"]
    {
        assert!(refused.err.contains(part), "{part}: {refused:?}");
    }
    assert_eq!(refused.err.lines().count(), 1, "{refused:?}");
    assert_eq!(ran_with("unrestricted").ok(), "[wayland-0]\nwayland-0\n");
    std::fs::remove_file(&socket).unwrap();
    let _contexts = compositor(&socket, &["wl_compositor", "xdg_wm_base", "gtk_shell1"]);
    let shown = ran_with("true");
    assert_eq!((shown.out.as_str(), shown.err.as_str()), ("[wayland-0]\nwayland-0\n", ""));
}

#[test]
fn a_compositor_that_hangs_or_talks_nonsense_is_an_error_and_one_that_is_gone_is_none() {
    need!(userns());
    let place = Place::new();
    let socket = place.dir.path().join("run/wayland-5");
    listen(socket.clone(), "nonsense");
    let start = || ran(in_wayland(&place, "true", "echo started").output().unwrap());
    let error = start().failed(125);
    assert!(error.contains("the Wayland compositor at") && error.contains("desktop.wayland=false"), "{error}");
    std::fs::remove_file(&socket).unwrap();
    let silent = UnixListener::bind(&socket).unwrap();
    let began = Instant::now();
    let error = start().failed(125);
    assert!(error.contains("ETIMEDOUT") && began.elapsed() < Duration::from_secs(20), "{error}");
    drop(silent);
    let gone = start();
    assert!(gone.out == "started\n" && gone.err.contains("note: no display"), "{gone:?}");
}

#[test]
fn a_socket_is_not_made_in_a_directory_of_the_host() {
    need!(userns());
    let place = Place::new();
    let contexts = compositor(&place.dir.path().join("run/wayland-5"), RESTRICTS);
    let runtime = place.dir.path().join("shown");
    std::fs::create_dir(&runtime).unwrap();
    // SAFETY: it takes no argument and cannot fail.
    let inside = format!("/run/user/{}", unsafe { libc::geteuid() });
    let rule = format!("filesystem.paths.\"{inside}\"=rw,from={}", runtime.display());
    let mut command = place.command();
    command.env("XDG_RUNTIME_DIR", place.dir.path().join("run")).env("WAYLAND_DISPLAY", "wayland-5");
    let command = command.args(["--set", "desktop.wayland=true", "--set", &rule, "--", "true"]);
    let error = ran(command.output().unwrap()).failed(125);
    assert!(error.contains("shows the host's files where"), "{error}");
    assert!(contexts.try_recv().is_err() && std::fs::read_dir(&runtime).unwrap().next().is_none());
}

#[test]
fn the_x_server_is_let_in_with_the_cookie_of_this_display_alone() {
    need!(userns(), tools(&["python3"]));
    let place = Place::new();
    place.write("work/connect.py", CONNECT);
    let dir = Path::new("/tmp/.X11-unix");
    if !dir.exists() {
        use std::os::unix::fs::PermissionsExt;
        let _ = std::fs::create_dir(dir);
        let _ = std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o1777));
    }
    let number = 4000 + std::process::id() % 4000;
    let socket = dir.join(format!("X{number}"));
    listen(socket.clone(), "server");
    let record = |number: String, data: &str| {
        let mut out = 256u16.to_be_bytes().to_vec();
        for part in ["host", &number, "MIT-MAGIC-COOKIE-1", data] {
            out.extend((part.len() as u16).to_be_bytes());
            out.extend(part.as_bytes());
        }
        out
    };
    let file = place.home().join(".Xauthority");
    std::fs::write(&file, [record(number.to_string(), "this-one"), record("1".into(), "other")].concat()).unwrap();
    let run = |flags: &[&str]| {
        let mut command = place.command();
        command.env("DISPLAY", format!(":{number}.0")).args(flags);
        let script = format!(
            "/usr/bin/python3 connect.py {}; ls /tmp/.X11-unix | wc -l; grep -ao -e this-one -e other $XAUTHORITY",
            socket.display()
        );
        ran(command.args(["--", "/bin/sh", "-c", &script]).output().unwrap())
    };
    assert_eq!(run(&["--set", "desktop.x11=true"]).ok(), "server\n1\nthis-one\n");
    assert!(run(&[]).out.starts_with("No such file"));
    std::fs::remove_file(&socket).unwrap();
    let gone = run(&["--set", "desktop.x11=true"]);
    assert_eq!(gone.err.matches("note: no display").count(), 1, "{gone:?}");
}

#[test]
fn a_missing_piece_that_is_optional_is_told_once_in_one_line() {
    need!(userns(), tun(), programs(), tools(&["xdg-dbus-proxy"]));
    let place = Place::new();
    // A real login session has a bus below /run/user.
    let mut command = place.command();
    let command = command.env("XDG_RUNTIME_DIR", place.home()).args(["--profile", "browser", "--", "/bin/true"]);
    let out = ran(command.output().unwrap());
    assert_eq!(out.status, Some(0), "{out:?}");
    let told: Vec<_> = out.err.lines().filter(|line| line.contains("this host lacks")).collect();
    assert!(
        told.len() == 1 && ["display", "sound", "session bus"].iter().all(|what| told[0].contains(what)),
        "{out:?}"
    );
    assert!(out.err.lines().all(|line| line.starts_with("sbx: note: ")), "{out:?}");
    assert_eq!(place.run(&["run", "--quiet", "--profile", "browser", "--", "/bin/true"]).err, "");
}

/// An X server that nobody sees, as the host's: its number, and a file with its cookie. It removes its socket when it
/// ends.
struct XServer {
    child: std::process::Child,
    number: String,
    cookie: PathBuf,
}

impl XServer {
    fn start(place: &Place) -> XServer {
        let mut record = 65535u16.to_be_bytes().to_vec();
        for part in ["", "", "MIT-MAGIC-COOKIE-1", "0123456789abcdef"] {
            record.extend((part.len() as u16).to_be_bytes());
            record.extend(part.as_bytes());
        }
        let cookie = place.dir.path().join("cookie");
        std::fs::write(&cookie, record).unwrap();
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-nolisten", "tcp", "-auth"]).arg(&cookie);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut number = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut number).unwrap();
        XServer { child, number: number.trim().to_owned(), cookie }
    }

    fn in_session(&self, place: &Place) -> Command {
        let mut command = place.command();
        command.env("DISPLAY", format!(":{}", self.number)).env("XAUTHORITY", &self.cookie);
        command.args(["--set", "desktop.x11=nested", "--"]);
        command
    }
}

impl Drop for XServer {
    fn drop(&mut self) {
        signal(self.child.id() as i32, libc::SIGTERM);
        let _ = self.child.wait();
    }
}

/// The children of sbx that run this program.
fn helpers(sbx: u32, program: &str) -> Vec<u32> {
    children(sbx).into_iter().filter(|pid| name(*pid) == program).collect()
}

#[test]
fn a_nested_x_server_is_the_sandboxs_own_and_starts_when_it_is_used() {
    need!(userns(), tools(&["Xvfb", "Xephyr", "xdpyinfo", "xwininfo"]));
    let place = Place::new();
    let host = XServer::start(&place);
    let script = "ls /tmp/.X11-unix; read x; xdpyinfo | grep -c MIT-SHM; XAUTHORITY=/dev/null xdpyinfo 2>&1 | grep -o Authorization; \
                  xwininfo -root -tree | grep -c children; read x; read x; true";
    let mut command = host.in_session(&place);
    let command = command.args(["/bin/sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut input = child.stdin.take().unwrap();
    let socket = out.next().unwrap();
    assert!(socket.starts_with('X') && socket[1..] != host.number, "{socket}");
    assert!(helpers(child.id(), "Xephyr").is_empty(), "nobody has asked for it");
    input.write_all(b"\n").unwrap();
    let lines: Vec<String> = (&mut out).take(3).collect();
    assert_eq!(lines, ["1", "Authorization", "1"]);
    let [server] = helpers(child.id(), "Xephyr")[..] else { panic!("one server") };
    let view = std::fs::read_dir(format!("/proc/{server}/root")).unwrap();
    let view: Vec<_> = view.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!view.contains(&"home".into()) && !view.contains(&"root".into()), "{view:?}");
    // Its end is told, and the program goes on.
    signal(server as i32, libc::SIGKILL);
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("X11 programs have no display from here on") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "no note");
    }
    input.write_all(b"\n\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!Path::new("/tmp/.X11-unix").join(socket).exists());
}

#[test]
fn an_x_server_that_nobody_sees_needs_no_display_of_the_host_and_a_nested_one_does() {
    need!(userns(), tools(&["Xvfb", "Xephyr", "xdpyinfo"]));
    let place = Place::new();
    let run = |value: &str| {
        let flags = ["--set", value, "--", "/bin/sh", "-c", "xdpyinfo 2>&1 | grep -c MIT-SHM; echo [$DISPLAY]"];
        ran(place.command().args(flags).output().unwrap())
    };
    let unseen = run("desktop.x11=virtual");
    assert!(unseen.out.starts_with("1\n[:") && unseen.err.is_empty(), "{unseen:?}");
    let none = run("desktop.x11=nested");
    assert!(none.out == "0\n[]\n" && none.err.contains("no display"), "{none:?}");
}
