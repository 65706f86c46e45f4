//! What is made on the host for the probes to find. It needs no rights, and is removed however the self-test ends: the
//! host process that the probes look for is also the one that removes it.

use super::facts::Outside;
use super::probes;
use crate::dbus::{self, Bus};
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::sys::attempts::{self, SESSION_KEYRING, SystemV, USER_KEYRING};
use crate::sys::{self, Errno};
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a directory is removed in which something appears meanwhile, and how long after each other: ten seconds in all.
const MOST_TIMES: u32 = 500;
const BETWEEN: Duration = Duration::from_millis(20);

/// What was made on the host for the probes, and the facts about the host.
pub(super) struct Host {
    pub facts: Outside,
    keeper: Option<Keeper>,
    // These are gone when they are closed.
    _root: OwnedFd,
    _loopback: Option<TcpListener>,
    _sockets: Vec<UnixListener>,
    _bus: Option<Bus>,
}

/// Something that stays until it is removed.
#[derive(Serialize, Deserialize)]
enum Made {
    Path(PathBuf),
    /// A System V object: index in [`SYSTEM_V`], and key.
    Object(usize, i32),
    Queue(String),
    /// A kernel key: name, and the keyring that it is in.
    Key(String, i32),
}

const SYSTEM_V: [SystemV; 3] = [SystemV::Memory, SystemV::Semaphores, SystemV::Messages];

impl Made {
    fn remove(&self) {
        match self {
            Made::Path(path) if path.is_dir() => remove_directory(path),
            Made::Path(path) => drop(std::fs::remove_file(path)),
            Made::Object(kind, key) => {
                let kind = SYSTEM_V.get(*kind);
                if let Some((kind, id)) = kind.and_then(|kind| Some((kind, kind.get(*key, false).ok()?))) {
                    kind.remove(id);
                }
            }
            Made::Queue(name) => attempts::remove_message_queue(&CString::new(name.as_str()).unwrap_or_default()),
            Made::Key(name, keyring) => {
                let name = CString::new(name.as_str()).unwrap_or_default();
                if let Ok(serial) = attempts::find_key(*keyring, &name) {
                    attempts::remove_key(serial, *keyring);
                }
            }
        }
    }
}

/// Removes a directory and all that is in it. A program in the sandbox may make something there until it has ended, too: then it is done again.
fn remove_directory(path: &Path) {
    for _ in 0..MOST_TIMES {
        if std::fs::remove_dir_all(path).is_ok() || !path.exists() {
            return;
        }
        std::thread::sleep(BETWEEN);
    }
}

/// The host process. It is told by a pipe what is made, and removes all of it at the end of the pipe.
struct Keeper {
    pid: i32,
    told: OwnedFd,
}

impl Keeper {
    fn start() -> sys::Result<Keeper> {
        let (hears, told) = sys::pipe()?;
        let pid = sys::fork(|| {
            // Closes this process's copy, whose owner is not dropped here.
            sys::UnownedFd::new(told.as_raw_fd()).close();
            // A signal from the terminal must not end it before its work is done.
            let _ = sys::block_all_but(&[]);
            let _ = std::fs::write("/proc/self/comm", "sbx-outside");
            let mut text = String::new();
            let _ = std::fs::File::from(hears).read_to_string(&mut text);
            text.lines().filter_map(|line| serde_json::from_str::<Made>(line).ok()).for_each(|made| made.remove());
            0
        })?;
        Ok(Keeper { pid, told })
    }

    /// Tells the host process what is about to be made: before, since the self-test may be killed at any moment. No
    /// other process uses the name.
    fn keep(&self, made: &Made) {
        let line = serde_json::to_string(made).unwrap_or_default() + "\n";
        let _ = sys::write_all(self.told.as_fd(), line.as_bytes());
    }
}

impl Host {
    /// Makes everything that the probes look for. It is an error only where something fails that every host can make.
    pub fn new(facts: &Facts) -> Result<Host> {
        let system = |what: &'static str| move |errno: Errno| Error::new(format!("{what}: {errno}"));
        let mark = mark().map_err(|error| Error::new(format!("/dev/urandom: {}", Errno::from(error))))?;
        let name = format!("sbx-selftest-{mark:016x}");
        let secret = format!("sbx-secret-{mark:016x}");
        let mut outside = Outside { launcher: sys::pid(), group: attempts::group(), ..Outside::default() };
        outside.address = secret.as_ptr() as usize;
        let keeper = Keeper::start().map_err(system("fork"))?;
        outside.process = keeper.pid;

        let root = sys::openat(sys::cwd(), c"/", libc::O_RDONLY | libc::O_DIRECTORY, 0).map_err(system("open /"))?;
        // Without close-on-exec, as a careless caller leaves descriptors: the sandbox has to close it.
        sys::set_cloexec(root.as_fd(), false).map_err(system("fcntl"))?;
        outside.descriptor = root.as_raw_fd();
        let loopback = TcpListener::bind(("127.0.0.1", 0)).ok();
        outside.loopback_port =
            loopback.as_ref().and_then(|bound| bound.local_addr().ok()).map_or(0, |address| address.port());
        let networks = sys::interface_addresses().unwrap_or_default().into_iter();
        outside.networks = networks.filter(|(address, _)| !is_on_link(*address)).collect();
        outside.neighbours = neighbours(&outside.networks);
        let mut sockets = Vec::new();
        let bound = SocketAddr::from_abstract_name(&name).and_then(|address| UnixListener::bind_addr(&address));
        if let Ok(listener) = bound {
            sockets.push(listener);
            outside.abstract_socket.clone_from(&name);
        }
        if let Some((dir, listener)) = files(Path::new("/tmp"), &name, &secret, &keeper) {
            sockets.extend(listener);
            outside.strays.push(dir.join(probes::SECRET));
            outside.fixture = Some(dir);
        }
        for dir in ["/var/tmp", "/dev/shm"] {
            let path = Path::new(dir).join(&name);
            keeper.keep(&Made::Path(path.clone()));
            if file(&path, &secret).is_ok() {
                outside.strays.push(path);
            }
        }
        objects(mark, &name, &secret, &keeper, &mut outside);
        let mut bus = bus(facts);
        outside.bus_has_systemd = bus.as_mut().is_some_and(|(_, bus)| bus.owner("org.freedesktop.systemd1").is_ok());
        outside.bus = bus.as_ref().map(|(address, bus)| (address.clone(), bus.name.clone()));
        outside.secret = secret;
        Ok(Host {
            facts: outside,
            keeper: Some(keeper),
            _root: root,
            _loopback: loopback,
            _sockets: sockets,
            _bus: bus.map(|(_, bus)| bus),
        })
    }

    /// Makes a file of the fixture, opened for reading, the standard input that the sandbox inherits.
    pub fn hand_over(&mut self) {
        let Some(path) = self.facts.fixture.as_ref().map(|dir| dir.join(probes::HANDED)) else { return };
        let file = std::fs::File::open(&path);
        if file.is_ok_and(|file| sys::dup2(file.as_fd(), sys::STREAMS[0]).is_ok()) {
            self.facts.handed = probes::id(&path);
        }
    }

    /// Forgets the directory of files, for which the view has no room.
    pub fn forget_fixture(&mut self) {
        self.facts.fixture = None;
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(Keeper { pid, told }) = self.keeper.take() {
            drop(told);
            let _ = sys::wait_for(pid);
        }
    }
}

/// Whether an address is one of loopback, or is known on one link alone.
fn is_on_link(address: IpAddr) -> bool {
    address.is_loopback()
        || match address {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        }
}

/// An address that another machine may have in each of the host's networks.
fn neighbours(host: &[(IpAddr, u8)]) -> Vec<IpAddr> {
    let near = host.iter().filter_map(|(address, prefix)| {
        let host_bits = (if address.is_ipv4() { 32u8 } else { 128 }).checked_sub(*prefix).filter(|bits| *bits > 2)?;
        let mut candidates = (1..1 << host_bits.min(5)).map(|bits: u128| match address {
            IpAddr::V4(v4) => IpAddr::V4((u32::from(*v4) ^ bits as u32).into()),
            IpAddr::V6(v6) => IpAddr::V6((u128::from(*v6) ^ bits).into()),
        });
        candidates.find(|other| !host.iter().any(|(own, _)| own == other))
    });
    near.collect()
}

/// A random number, for names that nobody else uses.
fn mark() -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

fn cstring(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

fn file(path: &Path, text: &str) -> std::io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

/// Makes the directory of which the sandbox shows parts, with a socket in it.
fn files(above: &Path, name: &str, secret: &str, keeper: &Keeper) -> Option<(PathBuf, Option<UnixListener>)> {
    let dir = above.join(name);
    keeper.keep(&Made::Path(dir.clone()));
    DirBuilder::new().mode(0o700).create(&dir).ok()?;
    for sub in [probes::RO, probes::DENIED, probes::RW, probes::INNER, probes::OVERLAY, "rw/sub"] {
        DirBuilder::new().mode(0o700).create(dir.join(sub)).ok()?;
    }
    let inside = |sub: &str| format!("{sub}/file");
    let paths = [probes::SECRET, probes::HANDED, probes::MASKED].map(str::to_owned);
    let below = [probes::RO, probes::DENIED, probes::RW, probes::INNER, probes::OVERLAY].map(inside);
    for path in paths.iter().chain(&below) {
        file(&dir.join(path), secret).ok()?;
    }
    // The device of /dev/zero. Only root can make one.
    let _ = attempts::make_device(&cstring(&dir.join("rw/device")), libc::S_IFCHR, libc::makedev(1, 5));
    let socket = UnixListener::bind(dir.join("socket")).ok();
    Some((dir, socket))
}

/// Makes System V objects, a POSIX message queue and kernel keys.
fn objects(mark: u64, name: &str, secret: &str, keeper: &Keeper, outside: &mut Outside) {
    let key = (mark & 0x7fff_ffff) as i32 | 1;
    for ((index, kind), place) in SYSTEM_V.into_iter().enumerate().zip(&mut outside.system_v) {
        if kind.get(key, false) != Err(Errno(libc::ENOENT)) {
            continue;
        }
        keeper.keep(&Made::Object(index, key));
        *place = kind.get(key, true).ok().map(|_| key);
    }
    let text = CString::new(name).unwrap_or_default();
    keeper.keep(&Made::Queue(name.to_owned()));
    outside.queue = attempts::message_queue(&text, true).ok().map(|_| name.to_owned());
    let key = |keyring: i32| {
        keeper.keep(&Made::Key(name.to_owned(), keyring));
        attempts::add_key(&text, secret.as_bytes(), keyring).ok()
    };
    outside.keys = (name.to_owned(), key(USER_KEYRING), key(SESSION_KEYRING));
}

/// Connects to the session bus, if the caller has one; returns its address as well.
fn bus(facts: &Facts) -> Option<(String, Bus)> {
    let address = facts.env.get("DBUS_SESSION_BUS_ADDRESS").cloned().unwrap_or_else(|| {
        let dir = facts.env.get("XDG_RUNTIME_DIR").cloned().unwrap_or_else(|| format!("/run/user/{}", facts.uid));
        format!("unix:path={dir}/bus")
    });
    let bus = dbus::connect(&address, dbus::SHORT).ok()?;
    Some((address, bus))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_directory_that_somebody_still_writes_to_is_removed_once_nobody_does() {
        let dir = tempfile::tempdir().unwrap();
        let made = dir.path().join("made");
        for name in ["a", "b", "c"] {
            std::fs::create_dir_all(made.join(name)).unwrap();
        }
        let ends = Instant::now() + Duration::from_millis(300);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while Instant::now() < ends {
                    for name in ["a", "b", "c"] {
                        let dir = made.join(name);
                        let _ = std::fs::create_dir(&dir).and_then(|()| std::fs::write(dir.join("file"), ""));
                    }
                }
            });
            Made::Path(made.clone()).remove();
        });
        assert!(!made.exists());
    }
}
