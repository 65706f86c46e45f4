//! What is made outside for the tries to find. It takes no rights, and is gone with its owner, however that ends: the process of the
//! host that the tries look for is also the one that clears up.

use super::facts::Outside;
use super::probes::{self, Bus};
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::sys::attempts::{self, SESSION_KEYRING, SystemV, USER_KEYRING};
use crate::sys::{self, Errno};
use std::ffi::{CStr, CString};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

/// What is on the host for the tries, and what is known of it.
pub(super) struct Host {
    pub facts: Outside,
    lifeline: Option<OwnedFd>,
    // These end when they are closed.
    _root: OwnedFd,
    _loopback: Option<TcpListener>,
    _sockets: Vec<UnixListener>,
    _bus: Option<Bus>,
}

/// What does not end by itself.
#[derive(Default)]
struct Made {
    paths: Vec<PathBuf>,
    objects: Vec<(SystemV, i32)>,
    queue: Option<CString>,
    keys: Vec<(i32, i32)>,
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in &self.paths {
            let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        }
        self.objects.iter().for_each(|(kind, id)| kind.remove(*id));
        self.queue.iter().for_each(|name| attempts::remove_message_queue(name));
        self.keys.iter().for_each(|(serial, keyring)| attempts::remove_key(*serial, *keyring));
    }
}

impl Host {
    /// Makes all of it. Only what every host can make is an error where it fails.
    pub fn new(facts: &Facts) -> Result<Host> {
        let system = |what: &'static str| move |errno: Errno| Error::new(format!("{what}: {errno}"));
        let mark = mark().map_err(|error| Error::new(format!("/dev/urandom: {}", Errno::from(error))))?;
        let name = format!("sbx-selftest-{mark:08x}");
        let secret = format!("sbx-secret-{mark:08x}");
        let mut made = Made::default();
        let mut outside = Outside { launcher: sys::pid(), group: attempts::group(), ..Outside::default() };
        outside.address = secret.as_ptr() as usize;

        let root = sys::openat(sys::cwd(), c"/", libc::O_RDONLY | libc::O_DIRECTORY, 0).map_err(system("open /"))?;
        // As a careless caller leaves it: the sandbox has to close it.
        sys::set_cloexec(root.as_raw_fd(), false).map_err(system("fcntl"))?;
        outside.descriptor = root.as_raw_fd();
        let loopback = TcpListener::bind(("127.0.0.1", 0)).ok();
        outside.loopback_port =
            loopback.as_ref().and_then(|bound| bound.local_addr().ok()).map_or(0, |address| address.port());
        let mut sockets = Vec::new();
        let bound = SocketAddr::from_abstract_name(&name).and_then(|address| UnixListener::bind_addr(&address));
        if let Ok(listener) = bound {
            sockets.push(listener);
            outside.abstract_socket.clone_from(&name);
        }
        if let Some((dir, listener)) = files(Path::new("/tmp"), &name, &secret, &mut made) {
            sockets.extend(listener);
            outside.strays.push(dir.join(probes::SECRET));
            outside.fixture = Some(dir);
        }
        for dir in ["/var/tmp", "/dev/shm"] {
            let path = Path::new(dir).join(&name);
            if file(&path, &secret).is_ok() {
                made.paths.push(path.clone());
                outside.strays.push(path);
            }
        }
        objects(mark, &name, &secret, &mut made, &mut outside);
        let bus = bus(facts);
        outside.bus = bus.as_ref().map(|(address, bus)| (address.clone(), bus.name.clone()));
        let (process, lifeline) = keeper(made).map_err(system("fork"))?;
        outside.process = process;
        outside.secret = secret;
        Ok(Host {
            facts: outside,
            lifeline: Some(lifeline),
            _root: root,
            _loopback: loopback,
            _sockets: sockets,
            _bus: bus.map(|(_, bus)| bus),
        })
    }

    /// The view has no room for the files.
    pub fn forget_fixture(&mut self) {
        self.facts.fixture = None;
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It sees the end of the pipe, clears up, and ends.
        drop(self.lifeline.take());
        let _ = sys::wait_for(self.facts.process);
    }
}

/// A number that nobody else uses.
fn mark() -> std::io::Result<u32> {
    let mut bytes = [0; 4];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u32::from_ne_bytes(bytes))
}

/// The process of the host: it waits until the other end of the pipe is closed. What a terminal sends to all does not end it before.
fn keeper(made: Made) -> sys::Result<(i32, OwnedFd)> {
    let (waits, lifeline) = sys::pipe()?;
    match sys::fork()? {
        Some(pid) => {
            std::mem::forget(made);
            Ok((pid, lifeline))
        }
        None => {
            drop(lifeline);
            let _ = sys::block_all_but(&[]);
            let _ = std::fs::write("/proc/self/comm", "sbx-outside");
            let _ = sys::read(waits.as_fd(), &mut [0; 1]);
            drop(made);
            sys::exit_now(0)
        }
    }
}

fn cstring(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

fn file(path: &Path, text: &str) -> std::io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

/// The directory of which the sandbox shows parts, with a socket in it.
fn files(above: &Path, name: &str, secret: &str, made: &mut Made) -> Option<(PathBuf, Option<UnixListener>)> {
    let dir = above.join(name);
    DirBuilder::new().mode(0o700).create(&dir).ok()?;
    made.paths.push(dir.clone());
    for sub in [probes::RO, probes::DENIED, probes::RW, probes::INNER, "rw/sub"] {
        DirBuilder::new().mode(0o700).create(dir.join(sub)).ok()?;
    }
    let inside = |sub: &str| format!("{sub}/file");
    let paths = [probes::SECRET.to_owned(), probes::MASKED.to_owned()];
    let below = [probes::RO, probes::DENIED, probes::RW, probes::INNER].map(inside);
    for path in paths.iter().chain(&below) {
        file(&dir.join(path), secret).ok()?;
    }
    // Zeroes; only root can.
    let _ = attempts::make_device(&cstring(&dir.join("rw/device")), libc::S_IFCHR, libc::makedev(1, 5));
    let socket = UnixListener::bind(dir.join("socket")).ok();
    Some((dir, socket))
}

/// System V's objects, a POSIX queue, keys.
fn objects(mark: u32, name: &str, secret: &str, made: &mut Made, outside: &mut Outside) {
    let key = (mark & 0x7fff_ffff) as i32 | 1;
    for (kind, place) in
        [SystemV::Memory, SystemV::Semaphores, SystemV::Messages].into_iter().zip(&mut outside.system_v)
    {
        if let Ok(id) = kind.get(key, true) {
            made.objects.push((kind, id));
            *place = Some(key);
        }
    }
    let text = CString::new(name).unwrap_or_default();
    if attempts::message_queue(&text, true).is_ok() {
        made.queue = Some(text.clone());
        outside.queue = Some(name.to_owned());
    }
    let mut key = |keyring: i32, text: &CStr| {
        let serial = attempts::add_key(text, secret.as_bytes(), keyring).ok()?;
        made.keys.push((serial, keyring));
        Some(serial)
    };
    outside.keys = (name.to_owned(), key(USER_KEYRING, &text), key(SESSION_KEYRING, &text));
}

/// The session bus, if the caller has one.
fn bus(facts: &Facts) -> Option<(String, Bus)> {
    let address = facts.env.get("DBUS_SESSION_BUS_ADDRESS").cloned().unwrap_or_else(|| {
        let dir = facts.env.get("XDG_RUNTIME_DIR").cloned().unwrap_or_else(|| format!("/run/user/{}", facts.uid));
        format!("unix:path={dir}/bus")
    });
    let bus = probes::connect_to_bus(&address).ok()?;
    Some((address, bus))
}
