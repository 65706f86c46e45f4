//! Probes of the desktop's and the system's services: sockets that act for the user, or for root.

use super::super::facts::{Facts, Granted, Verdict};
use super::network::connect_abstract;
use super::tools::{each, id, not_run, verdict};
use super::{Probe, by_network, never};
use crate::dbus;
use crate::sys::Errno;
use crate::wayland::{self, Compositor};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Sockets of known services, by kind. `$RUN` is the runtime directory, `$HOME` the home; a name in capitals is a
/// variable with a path.
pub(crate) const SOCKETS: &[(&str, &[&str])] = &[
    (
        "containers",
        &[
            "/run/docker.sock",
            "/var/run/docker.sock",
            "$RUN/docker.sock",
            "/run/containerd/containerd.sock",
            "/run/podman/podman.sock",
            "$RUN/podman/podman.sock",
            "/run/crio/crio.sock",
            "/run/buildkit/buildkitd.sock",
            "/var/lib/incus/unix.socket",
            "/var/lib/lxd/unix.socket",
            "/run/libvirt/libvirt-sock",
            "/run/snapd.socket",
        ],
    ),
    (
        "agents",
        &[
            "SSH_AUTH_SOCK",
            "$RUN/gnupg/S.gpg-agent",
            "$RUN/gnupg/S.gpg-agent.ssh",
            "$HOME/.gnupg/S.gpg-agent",
            "$RUN/keyring/control",
            "$RUN/keyring/ssh",
            "$RUN/keyring/pkcs11",
            "$RUN/ssh-agent.socket",
        ],
    ),
    ("systemd", &["/run/systemd/private", "$RUN/systemd/private", "/run/systemd/notify", "$RUN/systemd/notify"]),
    (
        "names",
        &[
            "/run/systemd/resolve/io.systemd.Resolve",
            "/run/nscd/socket",
            "/run/avahi-daemon/socket",
            "/run/systemd/userdb/io.systemd.DynamicUser",
        ],
    ),
    ("log", &["/run/systemd/journal/socket", "/run/systemd/journal/stdout", "/dev/log"]),
    ("system-bus", &["/run/dbus/system_bus_socket"]),
    ("wayland", &["WAYLAND_DISPLAY", "$RUN/wayland-0", "$RUN/wayland-1"]),
    ("pipewire", &["$RUN/pipewire-0", "$RUN/pipewire-0-manager"]),
    ("pulse", &["$RUN/pulse/native", "/run/pulse/native"]),
    ("speech", &["$RUN/speech-dispatcher/speechd.sock"]),
    ("cards", &["/run/pcscd/pcscd.comm"]),
    ("accessibility", &["$RUN/at-spi/bus", "$RUN/at-spi/bus_0", "$RUN/at-spi/bus_1"]),
    ("printing", &["/run/cups/cups.sock"]),
];

/// A probe of one kind of `SOCKETS`.
macro_rules! sockets {
    ($id:literal, $title:literal, $granted:expr) => {
        Probe { id: $id, title: $title, attempt: |facts| sockets($id, facts), granted: $granted }
    };
}

pub(super) const PROBES: &[Probe] = &[
    Probe { id: "socket", title: "a socket in a directory of the host", attempt: own_socket, granted: never },
    Probe { id: "sockets", title: "any socket that listens on the host", attempt: any_socket, granted: never },
    sockets!("containers", "start containers (docker.sock and its like)", never),
    sockets!("agents", "use the user's keys (ssh-agent, gpg-agent, keyring)", never),
    sockets!("systemd", "talk to systemd by its own sockets", never),
    sockets!("names", "ask the host's name services by sockets", never),
    sockets!("log", "write to the system's log", never),
    sockets!("system-bus", "the system bus", never),
    Probe {
        id: "session-bus",
        title: "programs on the session bus",
        attempt: |facts| on_bus(facts, |bus, name| bus.owner(name)),
        granted: by_bus,
    },
    Probe {
        id: "session-systemd",
        title: "start programs outside by the session bus (systemd)",
        attempt: |facts| match facts.outside.bus_has_systemd {
            false => not_run("the caller's session bus has no systemd"),
            true => on_bus(facts, |bus, _| {
                let (name, path) = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1");
                bus.call(name, path, "org.freedesktop.DBus.Peer", "GetMachineId", None)
            }),
        },
        granted: by_bus,
    },
    Probe {
        id: "x11",
        title: "see and type into all windows (X11)",
        attempt: x11,
        granted: |granted| granted.x11.then_some("desktop.x11 is true"),
    },
    Probe {
        id: "x11-abstract",
        title: "the X server by its abstract socket",
        attempt: x11_abstract,
        granted: |granted| {
            if granted.x11 { Some("desktop.x11 is true") } else { by_network(granted) }
        },
    },
    sockets!("wayland", "the Wayland compositor", |granted| granted.wayland.then_some("desktop.wayland is true")),
    Probe {
        id: "wayland-powers",
        title: "type into other windows and read the screen (Wayland)",
        attempt: wayland_powers,
        granted: |granted| granted.wayland_unrestricted.then_some("desktop.wayland is unrestricted"),
    },
    sockets!("speech", "speak, and hear what was spoken (speech-dispatcher)", never),
    sockets!("cards", "use smart cards (pcscd)", never),
    sockets!("accessibility", "read and control all programs (at-spi)", never),
    sockets!("printing", "print (cups)", never),
];

fn by_bus(granted: &Granted) -> Option<&'static str> {
    (granted.session_bus == "host").then_some("dbus.session.policy is host")
}

/// Whether a socket answers at its path. If the profile shows the directory that it is in, it is shared.
fn connect(facts: &Facts, path: &Path) -> Verdict {
    let shown = path.display();
    let connected = match UnixStream::connect(path).map_err(Errno::from) {
        // A datagram socket: the kernel asks for the permission to write before it compares the types.
        Err(Errno(libc::EPROTOTYPE)) => Ok(()),
        other => other.map(drop),
    };
    match connected {
        Ok(()) if facts.granted.shows(path) => Verdict::Shared(format!("the profile shows {shown}")),
        other => verdict(format!("connecting to {shown}"), other),
    }
}

fn own_socket(facts: &Facts) -> Verdict {
    super::tools::fixture(facts, "socket").map_or_else(|verdict| verdict, |path| connect(facts, &path))
}

fn any_socket(facts: &Facts) -> Verdict {
    each(&facts.outside.listening, |(path, file)| match id(path) {
        // The socket of a filtering proxy may lie at the bus's own path.
        Some(found) if found != *file => Verdict::Closed(format!("{} is another", path.display())),
        _ => connect(facts, path),
    })
}

/// Paths of the sockets of a kind: on the host, and inside, where a service's socket may be at another path. Empty if
/// the host has none.
fn paths_of(kind: &str, facts: &Facts) -> Vec<PathBuf> {
    let there = facts.outside.sockets.iter().filter(|(other, _)| other == kind);
    let named = match kind {
        "wayland" => std::env::var_os("WAYLAND_DISPLAY").map(|name| runtime().join(name)),
        _ => None,
    };
    let mut paths: Vec<PathBuf> = there.map(|(_, path)| path.clone()).collect();
    if !paths.is_empty() {
        paths.extend(named);
    }
    paths
}

fn sockets(kind: &str, facts: &Facts) -> Verdict {
    match paths_of(kind, facts) {
        paths if paths.is_empty() => not_run("this host has none"),
        paths => each(paths, |path| connect(facts, &path)),
    }
}

/// Asks each compositor that can be reached for the interfaces that give power over other clients.
fn wayland_powers(facts: &Facts) -> Verdict {
    let paths = paths_of("wayland", facts);
    if paths.is_empty() {
        return not_run("this host has none");
    }
    each(paths, |path| {
        let shown = path.display();
        match Compositor::connect(&path, dbus::SHORT) {
            Err(error) => Verdict::Closed(format!("{shown}: {}", wayland::describe(&error))),
            Ok(found) => match found.powers().next() {
                Some(power) if facts.granted.shows(&path) => Verdict::Shared(format!("{shown} offers {power}")),
                Some(power) => Verdict::Open(format!("{shown} offers {power}")),
                None => Verdict::Closed(format!("{shown} offers nothing of that kind")),
            },
        }
    })
}

fn runtime() -> PathBuf {
    std::env::var_os("XDG_RUNTIME_DIR").map_or_else(|| "/run".into(), PathBuf::from)
}

/// Asks on the session bus, by the address that the program has, and by the host's.
fn on_bus(facts: &Facts, ask: impl Fn(&mut dbus::Bus, &str) -> dbus::Answer) -> Verdict {
    let Some((address, name)) = &facts.outside.bus else { return not_run("the caller has no session bus") };
    let own = std::env::var("DBUS_SESSION_BUS_ADDRESS").ok();
    let default = format!("unix:path={}", runtime().join("bus").display());
    let addresses = [Some(address.clone()), own, Some(default)];
    each(addresses.into_iter().flatten(), |address| match dbus::connect(&address, dbus::SHORT) {
        Err(error) => Verdict::Closed(format!("{address}: {error}")),
        Ok(mut bus) => match ask(&mut bus, name) {
            Ok(_) if by_directory(facts, &address) => Verdict::Shared(format!("the profile shows {address}")),
            Ok(_) => Verdict::Open("it answers".into()),
            Err(error) => Verdict::Closed(format!("the bus refuses it: {error}")),
        },
    })
}

/// Whether the bus is reached because the profile shows the directory of its socket, and not at the path where sbx puts
/// it.
fn by_directory(facts: &Facts, address: &str) -> bool {
    let own = runtime().join("bus");
    crate::host::bus_path(address).is_some_and(|path| path != own && facts.granted.shows(path))
}

/// Sends an X server the protocol's first message: little-endian, version 11.0, no cookie. A server that asks for a
/// cookie answers as well, with a refusal.
fn x11(facts: &Facts) -> Verdict {
    let dir = Path::new("/tmp/.X11-unix");
    let sockets = facts.outside.listening.iter().map(|(path, _)| path).filter(|path| path.starts_with(dir));
    match each(sockets, |path| match UnixStream::connect(path) {
        Ok(stream) => match greet(stream) {
            Some(byte) => Verdict::Open(format!("{} answers with {byte}", path.display())),
            None => Verdict::Open(format!("{} takes connections", path.display())),
        },
        Err(error) => Verdict::Closed(format!("{}: {}", path.display(), Errno::from(error))),
    }) {
        Verdict::NotRun(_) => not_run("this host has no X server"),
        other => other,
    }
}

fn greet(mut stream: UnixStream) -> Option<u8> {
    stream.set_read_timeout(Some(Duration::from_millis(500))).ok()?;
    stream.write_all(&[b'l', 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0]).ok()?;
    let mut answer = [0];
    stream.read_exact(&mut answer).ok()?;
    Some(answer[0])
}

fn x11_abstract(facts: &Facts) -> Verdict {
    let names =
        facts.outside.abstract_names.iter().filter(|name| name.contains("X11-unix") || name.contains("ICE-unix"));
    match each(names, |name| connect_abstract(name)) {
        Verdict::NotRun(_) => not_run("this host has no X server with one"),
        other => other,
    }
}
