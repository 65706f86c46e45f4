//! Finds the desktop's sockets and devices.

use super::socket::is_socket;
use super::sound::{self, SoundFacts};
use crate::dbus;
use crate::spec::{BusPolicy, Sandbox, Wayland, X11};
use crate::wayland;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A Wayland compositor that the caller's environment names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaylandFacts {
    /// Path of its socket.
    pub socket: PathBuf,
    /// What it says that its clients may do.
    pub compositor: Compositor,
}

/// What a compositor says that its clients may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compositor {
    /// It was not asked, since the sandbox is to have its socket whatever it says.
    NotAsked,
    /// It can restrict a socket (security-context-v1).
    Restricts,
    /// It cannot, and clients have no power over others.
    Powerless,
    /// It cannot, and these interfaces give clients power over others, or over the desktop.
    Powers(Vec<String>),
    /// It does not answer, for this reason.
    Failed(String),
}

/// The files that the user has chosen for a sandbox, as the document portal shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Documents {
    /// Where the portal's filesystem is mounted: the paths that it gives to programs lie in there.
    pub mount: PathBuf,
    /// The directory in it that shows the files for this sandbox alone.
    pub dir: PathBuf,
}
/// How much of an Xauthority file is read, in bytes.
const LARGEST: usize = 1 << 20;

/// Sockets and devices of the desktop that were found. Only those that the sandbox asks for are looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct DesktopFacts {
    /// The caller's runtime directory: XDG_RUNTIME_DIR, or its default.
    pub runtime_dir: PathBuf,
    /// The Wayland compositor.
    pub wayland: Option<WaylandFacts>,
    /// Number of the X display, and path of its socket.
    pub x11: Option<(String, PathBuf)>,
    /// The records for this display from the caller's Xauthority file, in that file's format.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub x11_cookie: Vec<u8>,
    /// A random cookie for an X server of the sandbox's own.
    #[serde(skip)]
    pub nested_cookie: Vec<u8>,
    /// The sound server.
    pub sound: SoundFacts,
    /// The runtime directory, if it is there and the sandbox calls portals: they look in it for who calls them.
    pub portals_in: Option<PathBuf>,
    /// Where the document portal shows the files that the user has chosen for this sandbox, if it calls the file chooser.
    pub documents: Option<Documents>,
    /// D-Bus address of the session bus.
    pub session_bus: Option<String>,
    /// Paths of the device files for each class that the sandbox names.
    pub devices: BTreeMap<String, Vec<PathBuf>>,
}

impl DesktopFacts {
    /// All paths of sockets and devices that were found.
    pub fn all_paths(&self) -> impl Iterator<Item = &Path> {
        let sockets = [&self.sound.pipewire, &self.sound.pulse].into_iter().flatten();
        let displays = self.wayland.iter().map(|wayland| &wayland.socket).chain(self.x11.iter().map(|(_, path)| path));
        let sockets = sockets.chain(displays).chain(self.documents.iter().map(|documents| &documents.dir));
        let files = sockets.chain(self.devices.values().flatten()).map(PathBuf::as_path);
        files.chain(self.session_bus.as_deref().and_then(bus_path))
    }
}

/// The socket's path in a D-Bus address, if the address names one (D-Bus Specification, "Unix Domain Sockets").
pub fn bus_path(address: &str) -> Option<&Path> {
    address.split([',', ';']).find_map(|part| part.strip_prefix("unix:path=")).map(Path::new)
}

pub(super) fn probe(sandbox: &Sandbox, env: &BTreeMap<String, String>, uid: u32) -> DesktopFacts {
    let desktop = &sandbox.desktop;
    let get = |name: &str| env.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let runtime_dir = PathBuf::from(
        get("XDG_RUNTIME_DIR").filter(|path| path.starts_with('/')).map_or(format!("/run/user/{uid}"), str::to_owned),
    );
    let there = |path: PathBuf| is_socket(&path).then_some(path);
    let mut facts = DesktopFacts { runtime_dir: runtime_dir.clone(), ..DesktopFacts::default() };
    // A nested X server is a client of the compositor, whether the program is one or not.
    if desktop.wayland != Wayland::Off || desktop.x11 == X11::Nested {
        // WAYLAND_DISPLAY may be an absolute path (wl_display_connect(3)), which `join` leaves unchanged.
        let socket = there(runtime_dir.join(get("WAYLAND_DISPLAY").unwrap_or("wayland-0")));
        facts.wayland = socket.and_then(|socket| compositor(socket, desktop.wayland));
    }
    if matches!(desktop.x11, X11::Nested | X11::Virtual) {
        facts.nested_cookie = random();
    }
    if matches!(desktop.x11, X11::Nested | X11::Host)
        && let Some(number) = get("DISPLAY").and_then(display_number)
    {
        let socket = PathBuf::from(format!("/tmp/.X11-unix/X{number}"));
        if let Some(socket) = there(socket) {
            let file = get("XAUTHORITY")
                .map(PathBuf::from)
                .or_else(|| get("HOME").map(|home| Path::new(home).join(".Xauthority")));
            let records = file.and_then(|file| crate::sys::read_start(&file, LARGEST).ok()).unwrap_or_default();
            facts.x11_cookie = cookie(&records, &number);
            facts.x11 = Some((number, socket));
        }
    }
    facts.sound = sound::probe(sandbox, &runtime_dir, get);
    if sandbox.session_bus.policy != BusPolicy::None || sandbox.network_rules.ask {
        let named = get("DBUS_SESSION_BUS_ADDRESS").map(str::to_owned);
        let named = named.or_else(|| Some(format!("unix:path={}", runtime_dir.join("bus").display())));
        facts.session_bus = named.filter(|address| bus_path(address).is_none_or(is_socket));
    }
    if sandbox.session_bus.policy == BusPolicy::Filter && facts.session_bus.is_some() {
        facts.portals_in = runtime_dir.is_dir().then_some(runtime_dir);
        if desktop.portals.contains("file-chooser") {
            facts.documents = facts.session_bus.as_deref().and_then(|bus| documents(sandbox, bus));
        }
    }
    for device in &sandbox.devices {
        if !device.name.starts_with('/') {
            facts.devices.insert(device.name.clone(), class(&device.name));
        }
    }
    facts
}

/// 16 random bytes, as a cookie of X11 has them; none if the host has no /dev/urandom.
fn random() -> Vec<u8> {
    let mut bytes = [0; 16];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_or_else(|_| Vec::new(), |()| bytes.to_vec())
}

/// Asks the compositor at this socket what its clients may do, if that matters. `None` if none listens there.
fn compositor(socket: PathBuf, wanted: Wayland) -> Option<WaylandFacts> {
    let compositor = match wanted {
        Wayland::Unrestricted => Compositor::NotAsked,
        Wayland::Off | Wayland::Restricted => match wayland::Compositor::connect(&socket, wayland::PATIENCE) {
            Ok(found) if found.restricts() => Compositor::Restricts,
            Ok(found) => {
                let powers: Vec<_> = found.powers().map(str::to_owned).collect();
                if powers.is_empty() { Compositor::Powerless } else { Compositor::Powers(powers) }
            }
            // The socket of a compositor that has ended.
            Err(error) if error.raw_os_error() == Some(libc::ECONNREFUSED) => return None,
            Err(error) => Compositor::Failed(wayland::describe(&error)),
        },
    };
    Some(WaylandFacts { socket, compositor })
}

/// Asks the document portal where it shows files, which starts it if need be. `None` if there is none.
fn documents(sandbox: &Sandbox, bus: &str) -> Option<Documents> {
    let method = dbus::Method {
        to: "org.freedesktop.portal.Documents",
        path: "/org/freedesktop/portal/documents",
        interface: "org.freedesktop.portal.Documents",
        method: "GetMountPoint",
        signature: "",
        starts: true,
    };
    let mut bus = dbus::connect(bus, dbus::START).ok()?;
    // An array of bytes, which has the form of a string, with a NUL at the end.
    let mount = PathBuf::from(bus.call_with(&method, &dbus::Body::default()).ok()?.trim_end_matches('\0'));
    let dir = mount.join("by-app").join(sandbox.app_id());
    (mount.is_absolute() && dir.is_dir()).then_some(Documents { mount, dir })
}

/// The display's number in a value of DISPLAY: `1` of `:1`, `:1.0` and `unix:1`. `None` for a display of another host,
/// which has no socket here.
fn display_number(display: &str) -> Option<String> {
    let rest = display.strip_prefix("unix").unwrap_or(display).strip_prefix(':')?;
    let number = rest.split('.').next()?;
    (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then(|| number.to_owned())
}

/// The family of an address that matches every host name.
const FAMILY_WILD: u16 = 65535;

/// A record of an Xauthority file, which matches under every host name.
pub fn xauthority(number: &str, name: &[u8], data: &[u8]) -> Vec<u8> {
    let mut out = FAMILY_WILD.to_be_bytes().to_vec();
    for part in [&[], number.as_bytes(), name, data] {
        out.extend((part.len() as u16).to_be_bytes());
        out.extend(part);
    }
    out
}

/// The records for one display from the content of an Xauthority file (Xau(3): each record is a 16-bit family and four
/// counted strings, address, number, name, data). The family is changed to FamilyWild, so that the record matches under
/// another host name.
fn cookie(mut records: &[u8], number: &str) -> Vec<u8> {
    const FAMILY_LOCAL: u16 = 256;
    fn word(bytes: &mut &[u8]) -> Option<u16> {
        let (first, rest) = bytes.split_first_chunk::<2>()?;
        *bytes = rest;
        Some(u16::from_be_bytes(*first))
    }
    fn counted<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
        let length = word(bytes)?;
        let (first, rest) = bytes.split_at_checked(length.into())?;
        *bytes = rest;
        Some(first)
    }
    fn record<'a>(bytes: &mut &'a [u8]) -> Option<(u16, [&'a [u8]; 4])> {
        let family = word(bytes)?;
        Some((family, [counted(bytes)?, counted(bytes)?, counted(bytes)?, counted(bytes)?]))
    }
    let mut out = Vec::new();
    while let Some((family, [_, display, name, data])) = record(&mut records) {
        if matches!(family, FAMILY_LOCAL | FAMILY_WILD) && (display.is_empty() || display == number.as_bytes()) {
            out.extend(xauthority(number, name, data));
        }
    }
    out
}

/// The device files of a class, such as `gpu`.
fn class(name: &str) -> Vec<PathBuf> {
    let below = |dir: &str, prefixes: &[&str]| {
        let entries = crate::sys::read_dir(dir).into_iter().flatten().flatten();
        let mut found: Vec<_> = entries
            .filter(|e| e.file_name().to_str().is_some_and(|name| prefixes.iter().any(|p| name.starts_with(p))))
            .map(|entry| entry.path())
            .collect();
        found.sort();
        found
    };
    let one = |path: &str| if Path::new(path).exists() { vec![path.into()] } else { Vec::new() };
    match name {
        "gpu" => [below("/dev/dri", &["renderD", "card"]), below("/dev", &["nvidia", "dri3"])].concat(),
        "audio" => one("/dev/snd"),
        "camera" => below("/dev", &["video", "media"]),
        "input" => one("/dev/input"),
        "fuse" => one("/dev/fuse"),
        "kvm" => one("/dev/kvm"),
        "tun" => one("/dev/net/tun"),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(family: u16, display: &str, data: &str) -> Vec<u8> {
        let mut out = family.to_be_bytes().to_vec();
        for part in ["host", display, "MIT-MAGIC-COOKIE-1", data] {
            out.extend((part.len() as u16).to_be_bytes());
            out.extend(part.as_bytes());
        }
        out
    }

    #[test]
    fn only_the_cookie_of_this_display_is_taken() {
        let file = [record(256, "1", "mine"), record(256, "2", "other"), record(0, "1", "remote")].concat();
        let taken = cookie(&file, "1");
        let has = |text: &str| taken.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(has("mine") && !has("other") && !has("remote"));
        assert!(cookie(&file[..file.len() - 3], "1").len() == taken.len(), "a torn file is read up to the tear");
    }

    #[test]
    fn a_display_of_another_host_has_no_number_here() {
        assert_eq!(display_number(":10.0").as_deref(), Some("10"));
        assert_eq!(display_number("example.org:0"), None);
        assert_eq!(display_number(":../../etc"), None);
    }
}
