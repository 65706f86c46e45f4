//! Networks that several sandboxes share: what was asked for, and where the process that holds one is reached.
//!
//! ```text
//! $XDG_STATE_HOME/sbx/.networks/NAME.json  what was asked for; written once
//! $XDG_RUNTIME_DIR/sbx/.networks/ID/       locked by a command that joins, starts or removes the network, for that time
//! $XDG_RUNTIME_DIR/sbx/.networks/ID/lock   locked by the process that holds the network for as long as it lives
//! $XDG_RUNTIME_DIR/sbx/.networks/ID/ctl    its socket (SOCK_SEQPACKET)
//! ```
//!
//! ID is a random number in the definition: one who has another directory for definitions may have another network of the same name.

use super::held;
use super::name::check_name;
use super::place::{c, directory, failed, file, full, open};
use super::request::{SOCKET, connect_in};
use super::store::share;
use super::{Id, Places};
use crate::error::{Error, Result};
use crate::spec::{Address, Range6, Subnet, Subnet6, Subnets};
use crate::sys::{self, Errno};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

/// Both directories have one of this name.
const NETWORKS: &str = ".networks";

/// The version of a definition's format.
const VERSION: u32 = 1;

/// The longest definition in bytes.
const LONGEST: usize = 4096;

/// The longest name: it is a part of names in the domain name system.
const LONGEST_NAME: usize = 63;

/// How long the end of a process is waited for that is about to end.
const MOMENT: Duration = Duration::from_secs(1);

/// How many connections wait until the process that holds a network takes them.
const WAITING: i32 = 128;

/// Words that mean something else where a network is named.
const WORDS: [&str; 8] = ["none", "host", "private", "bridge", "pasta", "slirp4netns", "default", "container"];

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The version of this format.
    version: u32,
    /// What it is known by while it runs.
    id: String,
    /// Its name.
    pub name: String,
    /// Its addresses of IPv4.
    pub subnet: Subnet,
    /// The address by which the outside is reached.
    pub gateway: Ipv4Addr,
    /// Its addresses of IPv6, if it has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v6: Option<Range6>,
    /// Whether the outside is not reached at all.
    #[serde(default)]
    pub internal: bool,
    /// When it was made, in nanoseconds since 1970.
    #[serde(default)]
    pub created: u64,
}

impl Network {
    /// What it is known by while it runs.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// All of its addresses.
    pub fn subnets(&self) -> Subnets {
        Subnets { v4: self.subnet, v6: self.v6.map(|range| range.subnet) }
    }

    /// A network that is nowhere, for plans for hosts that nobody has.
    pub fn imagined(name: &str, subnet: Subnet, internal: bool) -> Network {
        let (id, gateway) = ("0".repeat(64), subnet.machine(1).unwrap_or(subnet.first()));
        Network { version: VERSION, id, name: name.to_owned(), subnet, gateway, v6: None, internal, created: 0 }
    }

    /// A network with these addresses of IPv4, and these of IPv6 if it is to have some; the first one of each is the gateway's if none is named.
    ///
    /// # Errors
    ///
    /// The gateway is no machine of the network.
    pub fn new(
        name: &str,
        (subnet, gateway): (Subnet, Option<Ipv4Addr>),
        v6: Option<(Subnet6, Option<Ipv6Addr>)>,
        internal: bool,
    ) -> Result<Network> {
        let gateway = gateway_of(subnet, gateway)?;
        let range = |(subnet, gateway)| Ok(Range6 { subnet, gateway: gateway_of(subnet, gateway)? });
        let v6 = v6.map(range).transpose()?;
        let created = sys::realtime_nanoseconds();
        let id = Id::random()?.to_string();
        Ok(Network { version: VERSION, id, name: name.to_owned(), subnet, gateway, v6, internal, created })
    }
}

/// The address by which the outside is reached from a network: this one, or the first.
fn gateway_of<A: Address>(subnet: Subnet<A>, wanted: Option<A>) -> Result<A> {
    let first = subnet.machine(1).unwrap_or_else(|| subnet.first());
    match wanted.unwrap_or(first) {
        gateway if subnet.has_machine(gateway) => Ok(gateway),
        gateway => Err(Error::new(format!("the gateway {gateway} is no machine of {subnet}"))
            .hint(format!("name one of it, such as {first}, or leave it out"))),
    }
}

/// Whether a text can be the name of a network.
///
/// # Errors
///
/// It cannot; the error says why.
pub fn check_network_name(name: &str) -> Result<()> {
    let shown: String = name.chars().take(80).flat_map(char::escape_debug).collect();
    if WORDS.contains(&name) {
        return Err(Error::new(format!("`{name}` cannot be the name of a network: the word means something else"))
            .hint("take another name"));
    }
    let lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
    match check_name(name) {
        Ok(()) if name.len() <= LONGEST_NAME && lower => Ok(()),
        _ => Err(Error::new(format!("`{shown}` cannot be the name of a network")).hint(format!(
            "a name has at most {LONGEST_NAME} small letters, digits, `_`, `.` and `-`, and begins with a letter or a digit"
        ))),
    }
}

/// The networks of a user.
#[derive(Debug, Clone)]
pub struct Networks {
    places: Places,
}

/// The lock on a network that is being joined, started or removed, and the directory of what is so while it runs.
#[derive(Debug)]
pub struct Busy {
    dir: OwnedFd,
    above: OwnedFd,
    network: Network,
    path: PathBuf,
}

impl Networks {
    /// The networks in these directories, which need not exist.
    pub fn new(places: Places) -> Networks {
        Networks { places }
    }

    fn definitions(&self) -> PathBuf {
        self.places.state.join(NETWORKS)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.definitions().join(format!("{name}.json"))
    }

    /// The directory of definitions; none if it is not there and not to be made.
    fn dir(&self, make: bool) -> Result<Option<OwnedFd>> {
        let Some(above) = open(&self.places.state, make)? else { return Ok(None) };
        below(&above, NETWORKS, &self.definitions(), make)
    }

    /// Makes a network. `choose` is given those that there are, and says what it is to be.
    ///
    /// # Errors
    ///
    /// There is one of this name, or it cannot be made.
    pub fn create(&self, name: &str, choose: impl FnOnce(&[Network]) -> Result<Network>) -> Result<Network> {
        check_network_name(name)?;
        let path = self.path(name);
        let dir = self.dir(true)?.ok_or_else(|| failed("make", &path, Errno(libc::ENOENT)))?;
        // Two commands would else choose the same addresses.
        share(dir.as_fd(), &self.definitions())?;
        if sys::stat_below(dir.as_fd(), &c(format!("{name}.json"))).is_ok() {
            return Err(Error::new(format!("there is a network `{name}` already"))
                .hint(format!("take another name, or remove it: sbx network rm {name}")));
        }
        let others: Vec<_> = self.all()?.into_iter().filter_map(|(_, network)| network.ok()).collect();
        let network = choose(&others)?;
        let text = serde_json::to_vec(&network)
            .map_err(|error| Error::new(format!("cannot write {}: {error}", path.display())))?;
        let (new, last) = (c(format!(".{name}.new")), c(format!("{name}.json")));
        let write = || -> sys::Result<()> {
            // What a command has left that was killed.
            let _ = sys::unlink(dir.as_fd(), &new, false);
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
            let file = sys::openat(dir.as_fd(), &new, flags, 0o600)?;
            sys::write_all(file.as_fd(), &text)?;
            sys::sync_file(file.as_fd(), true)?;
            sys::rename_in(dir.as_fd(), &new, &last)
        };
        write().map_err(|errno| {
            let _ = sys::unlink(dir.as_fd(), &new, false);
            full("write", &path, errno)
        })?;
        Ok(network)
    }

    /// All networks by name, and why one cannot be read.
    ///
    /// # Errors
    ///
    /// Their directory cannot be read.
    pub fn all(&self) -> Result<Vec<(String, Result<Network>)>> {
        let Some(dir) = self.dir(false)? else { return Ok(Vec::new()) };
        let found = sys::entries(dir.as_fd()).map_err(|errno| failed("read", &self.definitions(), errno))?;
        let name = |file: std::ffi::CString| {
            let name = file.to_str().ok()?.strip_suffix(".json")?.to_owned();
            check_network_name(&name).is_ok().then_some(name)
        };
        let mut names: Vec<_> = found.into_iter().filter_map(|(file, _)| name(file)).collect();
        names.sort();
        Ok(names.into_iter().map(|name| (name.clone(), self.get(&name))).collect())
    }

    /// What was asked for by this name.
    ///
    /// # Errors
    ///
    /// There is no such network, or its definition cannot be read.
    pub fn get(&self, name: &str) -> Result<Network> {
        check_network_name(name)?;
        let unknown = || {
            Error::new(format!("there is no network `{name}`"))
                .hint(format!("make it: sbx network create {name}; `sbx network ls` lists those that there are"))
        };
        let Some(dir) = self.dir(false)? else { return Err(unknown()) };
        let broken = |why: String| {
            Error::new(format!("the definition of the network `{name}` in {} {why}", self.path(name).display()))
                .hint(format!("remove it, and make it anew: sbx network rm {name}"))
        };
        let file = match file(dir.as_fd(), &c(format!("{name}.json")), libc::O_RDONLY) {
            Err(Errno(libc::ENOENT)) => return Err(unknown()),
            Err(Errno(libc::EPERM | libc::ELOOP)) => return Err(broken("is no file of yours".into())),
            other => other.map_err(|errno| broken(format!("cannot be opened: {errno}")))?,
        };
        let mut text = vec![0; LONGEST];
        let mut length = 0;
        while let Some(rest) = text.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match sys::read(file.as_fd(), rest).map_err(|errno| broken(format!("cannot be read: {errno}")))? {
                0 => break,
                more => length += more,
            }
        }
        let text = text.get(..length).unwrap_or_default();
        let network: Network = serde_json::from_slice(text).map_err(|_| broken("cannot be understood".into()))?;
        let holds = network.version == VERSION && network.name == name && Id::parse(&network.id).is_some();
        let of_v6 = network.v6.is_none_or(|range| range.subnet.has_machine(range.gateway));
        if holds && of_v6 && network.subnet.has_machine(network.gateway) {
            Ok(network)
        } else {
            Err(broken("does not hold together".into()))
        }
    }

    /// Removes a network whose lock is held.
    ///
    /// # Errors
    ///
    /// It cannot be removed.
    pub fn remove(&self, busy: Busy) -> Result<()> {
        self.forget(&busy.network.name)
    }

    /// Removes the definition of a network, whether it can be read or not.
    ///
    /// # Errors
    ///
    /// There is none, or it cannot be removed.
    pub fn forget(&self, name: &str) -> Result<()> {
        check_network_name(name)?;
        let Some(dir) = self.dir(false)? else { return self.get(name).map(drop) };
        match sys::unlink(dir.as_fd(), &c(format!("{name}.json")), false) {
            Ok(()) => Ok(()),
            Err(Errno(libc::ENOENT)) => self.get(name).map(drop),
            Err(errno) => Err(failed("remove", &self.path(name), errno)),
        }
    }

    /// The directory of what is so while a network runs.
    fn runtime(&self, network: &Network) -> PathBuf {
        self.places.runtime.join(NETWORKS).join(&network.id)
    }

    /// Locks a network, so that nobody else joins, starts or removes it meanwhile.
    ///
    /// # Errors
    ///
    /// Another command works on it for long, or its directory cannot be made.
    pub fn lock(&self, network: &Network) -> Result<Busy> {
        let path = self.runtime(network);
        let missing = || failed("make", &path, Errno(libc::ENOENT));
        loop {
            let runtime = open(&self.places.runtime, true)?.ok_or_else(missing)?;
            let above = below(&runtime, NETWORKS, &self.places.runtime.join(NETWORKS), true)?.ok_or_else(missing)?;
            // Whoever held the lock may have removed it.
            let Some(dir) = below(&above, &network.id, &path, true)? else { continue };
            share(dir.as_fd(), &path)?;
            if sys::stat_below(above.as_fd(), &c(&network.id)) == sys::stat(dir.as_fd()) {
                return Ok(Busy { dir, above, network: network.clone(), path });
            }
        }
    }

    /// Removes what is left of a network whose process has ended, or is about to: that is waited for, but not for long. Nobody else is waited for:
    /// whoever works on the network now leaves nothing of it either.
    pub fn tidy(&self, network: &Network) {
        let path = self.runtime(network);
        let opened = || {
            let runtime = open(&self.places.runtime, false).ok()??;
            let above = below(&runtime, NETWORKS, &self.places.runtime.join(NETWORKS), false).ok()??;
            Some((below(&above, &network.id, &path, false).ok()??, above))
        };
        let Some((dir, above)) = opened() else { return };
        // First of all: who has the lock on the directory by then gives it back later than that, and sees it, too.
        let _ = held::is_free(dir.as_fd(), Some(MOMENT));
        let locked = sys::try_lock(dir.as_fd()).is_ok();
        if locked && sys::stat_below(above.as_fd(), &c(&network.id)) == sys::stat(dir.as_fd()) {
            drop(Busy { dir, above, network: network.clone(), path });
        }
    }

    /// A connection to the process that holds a network; none if no sandbox is in it.
    ///
    /// # Errors
    ///
    /// It cannot be told.
    pub fn connect(&self, network: &Network) -> Result<Option<OwnedFd>> {
        let path = self.runtime(network);
        let Some(runtime) = open(&self.places.runtime, false)? else { return Ok(None) };
        let Some(above) = below(&runtime, NETWORKS, &path, false)? else { return Ok(None) };
        let Some(dir) = below(&above, &network.id, &path, false)? else { return Ok(None) };
        connect(&dir).map_err(|errno| failed("connect to the network in", &path, errno))
    }
}

/// A directory of this user's in another one.
fn below(above: &OwnedFd, name: &str, path: &std::path::Path, make: bool) -> Result<Option<OwnedFd>> {
    if make {
        match sys::mkdirat(above.as_fd(), &c(name), 0o700) {
            Ok(()) | Err(Errno(libc::EEXIST)) => {}
            Err(errno) => return Err(full("make", path, errno)),
        }
    }
    match directory(above.as_fd(), &c(name), 0o077) {
        Ok(dir) => Ok(Some(dir)),
        Err(Errno(libc::ENOENT)) => Ok(None),
        Err(errno) => Err(failed("open", path, errno)
            .hint("it has to be a directory of yours alone: look at what is there, and remove it")),
    }
}

/// A connection to the socket in a network's directory; none if nobody listens there.
fn connect(dir: &OwnedFd) -> sys::Result<Option<OwnedFd>> {
    match connect_in(dir.as_fd()) {
        Ok(connected) => Ok(Some(connected)),
        Err(Errno(libc::ECONNREFUSED | libc::ENOENT | libc::ENOTSOCK | libc::EPROTOTYPE)) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// What the process that holds a network gets of its directory.
#[derive(Debug)]
pub struct Seat {
    /// Locked for as long as the process lives.
    pub lock: OwnedFd,
    /// Where it is reached.
    pub listener: OwnedFd,
    /// The directory, with a lock of its own to try for.
    pub dir: OwnedFd,
    /// The directory above it.
    pub above: OwnedFd,
}

impl Busy {
    /// Whether a process holds the network.
    ///
    /// # Errors
    ///
    /// That cannot be told.
    pub fn is_held(&self) -> Result<bool> {
        let free = held::is_free(self.dir.as_fd(), Some(Duration::ZERO));
        free.map(|free| !free).map_err(|errno| failed("look at the lock in", &self.path, errno))
    }

    /// A connection to the process that holds it; none if there is none.
    ///
    /// # Errors
    ///
    /// It takes no more.
    pub fn connect(&self) -> Result<Option<OwnedFd>> {
        connect(&self.dir).map_err(|errno| failed("connect to the network in", &self.path, errno))
    }

    /// Takes the place of the process that holds the network, which has ended, or is about to: for that it is waited.
    ///
    /// # Errors
    ///
    /// It has not ended, or something cannot be made.
    pub fn seat(&self) -> Result<Seat> {
        const PATIENCE: Duration = Duration::from_secs(5);
        let free = held::is_free(self.dir.as_fd(), Some(PATIENCE));
        if !free.map_err(|errno| failed("look at the lock in", &self.path, errno))? {
            return Err(Error::new(format!(
                "the process that holds the network `{}` does not answer",
                self.network.name
            ))
            .hint(format!("look which one it is, and end it: fuser -v {}/lock", self.path.display())));
        }
        for name in [SOCKET, held::LOCK] {
            match sys::unlink(self.dir.as_fd(), &c(name), false) {
                Ok(()) | Err(Errno(libc::ENOENT)) => {}
                Err(errno) => return Err(failed("remove", &self.path.join(name), errno)),
            }
        }
        let made = || -> sys::Result<Seat> {
            let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
            let lock = sys::openat(self.dir.as_fd(), &c(held::LOCK), flags, 0o600)?;
            sys::try_lock(lock.as_fd())?;
            let listener = sys::listen_in(self.dir.as_fd(), &c(SOCKET), WAITING)?;
            let dir = sys::open_again(self.dir.as_fd(), libc::O_RDONLY | libc::O_DIRECTORY)?;
            let above = sys::open_again(self.above.as_fd(), libc::O_RDONLY | libc::O_DIRECTORY)?;
            Ok(Seat { lock, listener, dir, above })
        };
        made().map_err(|errno| full("make", &self.path, errno))
    }

    /// Waits until a process has ended that was to hold the network, but not for long, and gives the lock back.
    pub fn await_end(self) {
        let _ = held::is_free(self.dir.as_fd(), Some(MOMENT));
    }
}

impl Drop for Busy {
    /// Removes what is left of a network that nobody holds.
    fn drop(&mut self) {
        if self.is_held() != Ok(false) {
            return;
        }
        for name in [SOCKET, held::LOCK] {
            let _ = sys::unlink(self.dir.as_fd(), &c(name), false);
        }
        let _ = sys::unlink(self.above.as_fd(), &c(&self.network.id), true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_networks_are_parts_of_names_of_machines() {
        for name in ["a", "web-1", "a.b_c"] {
            assert!(check_network_name(name).is_ok(), "{name}");
        }
        let long = "x".repeat(64);
        for name in ["", "A", "host", "none", "a/b", "..", "a b", "\x1b[2J", &long] {
            assert!(check_network_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn who_gives_a_lock_back_leaves_nothing_of_a_network_that_nobody_holds() {
        let dir = tempfile::tempdir().unwrap();
        let [state, runtime] = ["state", "run"].map(|name| dir.path().join(name));
        let networks = Networks::new(Places { state, runtime });
        let network = Network::imagined("one", "10.89.0.0/24".parse().unwrap(), false);
        let is_there = || networks.runtime(&network).exists();
        drop(networks.lock(&network).unwrap());
        assert!(!is_there());

        let busy = networks.lock(&network).unwrap();
        let seat = busy.seat().unwrap();
        drop(busy);
        assert!(is_there(), "somebody holds it");
        // Somebody works on it when its process has ended: that one removes what is left.
        let busy = networks.lock(&network).unwrap();
        drop(seat);
        networks.tidy(&network);
        assert!(is_there(), "somebody works on it");
        // A process that another test has forked meanwhile may have the locks open, too.
        assert!(sys::soon(|| busy.is_held() == Ok(false)));
        drop(busy);
        assert!(!is_there());

        let seat = networks.lock(&network).unwrap().seat().unwrap();
        assert!(is_there());
        drop(seat);
        assert!(sys::soon(|| {
            networks.tidy(&network);
            !is_there()
        }));
    }
}
