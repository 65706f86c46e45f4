//! Plans an X server of the sandbox's own: Xwayland or Xephyr, a window on the host's display, or Xvfb, which nobody
//! sees. It is started when the first program connects to it. It has no window manager.

use super::confined::{self, Needs};
use super::helpers::{Argument, Given, HelperProgram, HelperSpec, HelperWords, Loss, Phase, Readiness, Tells};
use super::note::Note;
use super::wayland::WaylandPlan;
use crate::host::{Compositor, Facts, xauthority};
use crate::spec::{Sandbox, Wayland, X11};
use std::path::{Path, PathBuf};

/// Numbers of the descriptors that a server gets: the first of LISTEN_FDS (sd_listen_fds(3)), and one for WAYLAND_SOCKET.
const LISTENER: i32 = 3;
const COMPOSITOR: i32 = 4;

/// Where a server's cookie lies in its own view.
const COOKIE: &str = "/.server-cookie";

/// A server of the sandbox's own.
pub(super) struct Nested {
    /// The display's number: DISPLAY without the colon.
    pub number: u32,
    /// Path of its socket inside.
    pub socket: PathBuf,
    /// Content of the program's Xauthority file.
    pub cookie: Vec<u8>,
    pub helper: HelperSpec,
}

/// What a server shows its windows on.
enum Screen<'a> {
    /// A window of the Wayland compositor, by this connection.
    Wayland(Given),
    /// A window of the host's X server: display number and socket.
    X11(&'a str, &'a Path),
    /// Nothing.
    None,
}

/// Plans a server, if the profile asks for one of the sandbox's own. None if this host has no display for it, or, with a
/// note, if the server is not installed.
pub(super) fn nested(
    sandbox: &Sandbox,
    facts: &Facts,
    wayland: Option<&WaylandPlan>,
    shows_wayland: bool,
    notes: &mut Vec<Note>,
) -> Option<Nested> {
    let program = |name: &str| facts.helpers.get(name);
    let (screen, name, program) = match (&facts.desktop.wayland, &facts.desktop.x11) {
        _ if sandbox.desktop.x11 == X11::Virtual => (Screen::None, "Xvfb", program("Xvfb")),
        _ if sandbox.desktop.x11 != X11::Nested => return None,
        (Some(compositor), _) if !matches!(compositor.compositor, Compositor::Failed(_)) => {
            let given = match wayland {
                Some(restricted) => Given::ConnectionInside(restricted.socket.clone()),
                None => Given::Connection(compositor.socket.clone()),
            };
            (Screen::Wayland(given), "Xwayland", program("Xwayland"))
        }
        (_, Some((number, socket))) => (Screen::X11(number, socket), "Xephyr", program("Xephyr")),
        _ => return None,
    };
    let program = match program {
        Ok(program) => program,
        Err(why) => {
            notes.push(Note::NoNestedX11 { program: name, why, alone: !shows_wayland });
            return None;
        }
    };
    // A number that no server of the host is likely to have: libxcb looks for an abstract socket of that number first,
    // which belongs to the network namespace, and goes on to the path if there is none.
    let number = 1000 + facts.pid % 50_000;
    let socket = PathBuf::from(format!("/tmp/.X11-unix/X{number}"));
    let cookie = xauthority(&number.to_string(), b"MIT-MAGIC-COOKIE-1", &facts.desktop.nested_cookie);
    let helper = helper(sandbox, facts, (program, name), screen, number, &socket, &cookie);
    Some(Nested { number, socket, cookie, helper })
}

fn helper(
    sandbox: &Sandbox,
    facts: &Facts,
    (program, name): (&Path, &'static str),
    screen: Screen<'_>,
    number: u32,
    socket: &Path,
    cookie: &[u8],
) -> HelperSpec {
    let mut needs = Needs { files: vec![(COOKIE.into(), cookie.to_vec())], ..Needs::default() };
    let env = [("PATH", "/usr/bin:/bin"), ("HOME", "/tmp"), ("XDG_RUNTIME_DIR", "/tmp")];
    needs.env.extend(env.map(|(name, value)| (name, value.to_owned())));
    let mut args = vec![format!(":{number}"), "-auth".into(), COOKIE.into()];
    args.extend(["-nolisten", "tcp", "-nolisten", "local", "-noreset"].map(String::from));
    let mut descriptors = vec![(LISTENER, Given::Listener(socket.to_owned()))];
    let target = match screen {
        Screen::Wayland(given) => {
            let restricted = matches!(given, Given::ConnectionInside(_)) && sandbox.desktop.wayland != Wayland::Off;
            args.extend(["-listenfd".to_owned(), LISTENER.to_string()]);
            needs.env.push(("WAYLAND_SOCKET", COMPOSITOR.to_string()));
            descriptors.push((COMPOSITOR, given));
            if restricted { "a window of the compositor, which restricts it" } else { "a window of the compositor" }
                .into()
        }
        Screen::X11(host, host_socket) => {
            args.extend(["-screen".to_owned(), "1280x800".into(), "-resizeable".into()]);
            args.extend(["-title".to_owned(), format!("{} (sbx)", sandbox.name)]);
            activated(&mut needs);
            needs.shown.push(host_socket.to_owned());
            needs.env.push(("DISPLAY", format!(":{host}")));
            if !facts.desktop.x11_cookie.is_empty() {
                needs.files.push(("/.Xauthority".into(), facts.desktop.x11_cookie.clone()));
                needs.env.push(("XAUTHORITY", "/.Xauthority".into()));
            }
            format!("a window of the display :{host}")
        }
        Screen::None => {
            args.extend(["-screen".to_owned(), "0".into(), "1280x800x24".into()]);
            activated(&mut needs);
            "a display that nobody sees".into()
        }
    };
    HelperSpec {
        name,
        provides: "x11",
        setting: match sandbox.desktop.x11 {
            X11::Virtual => "desktop.x11 = \"virtual\"",
            _ => "desktop.x11 = \"nested\"",
        },
        program: HelperProgram::Host(program.to_owned()),
        target: format!("on demand at {}, {target}", socket.display()),
        args: args.into_iter().map(Argument::Text).collect(),
        descriptors,
        rules: Vec::new(),
        phase: Phase::Demand,
        readiness: Readiness::Started,
        tells: Tells::Nothing,
        confinement: confined::sandbox(sandbox, facts, program, needs),
        loss: Loss::Note("X11 programs have no display from here on"),
        words: HelperWords {
            ready: "it was asked for a window".into(),
            needs: "the host's display must answer",
            without: "--set desktop.x11=false goes without",
        },
        origin: sandbox.origins.of("desktop.x11", ""),
    }
}

/// Has a server of Xorg's take the socket that it is given, as systemd would give it: sd_listen_fds(3). It is the first
/// process of its pid namespace.
fn activated(needs: &mut Needs) {
    needs.env.extend([("LISTEN_FDS", "1".to_owned()), ("LISTEN_PID", "1".to_owned())]);
}
