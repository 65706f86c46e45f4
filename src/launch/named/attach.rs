//! Makes the network namespace of a sandbox in a network that it shares: it belongs to the network's user namespace, so that nobody in the
//! sandbox has a right over it, and is attached to the bridge by a pair of interfaces.

use super::holder::{BRIDGE, MTU, help_nobody};
use super::v6;
use crate::error::Result;
use crate::plan::{NamedNetworkPlan, NetworkSettings, unmade};
use crate::spec::OwnAddresses;
use crate::sys::{self, Errno, Links};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

/// The interface that the program sees beside `lo`.
const INTERFACE: &str = "eth0";

/// What was made.
pub(super) struct Attached {
    /// The network namespace.
    pub network: OwnedFd,
    /// A socket to its packet filter.
    pub filter: OwnedFd,
    /// A socket by which its interfaces are made.
    pub links: Links,
}

/// Makes it, in a process that joins the namespaces for that alone.
pub(super) fn attach(
    user: &OwnedFd,
    bridge: &OwnedFd,
    own: OwnAddresses,
    named: &NamedNetworkPlan,
    settings: &NetworkSettings,
) -> Result<Attached> {
    let failed = |errno: Errno| {
        let error = unmade(&named.name, "joined", errno);
        match errno.0 {
            libc::EPERM => error.hint("sbx must not be in a sandbox or a chroot itself"),
            libc::ENOSPC => error.hint("as root: sysctl -w user.max_net_namespaces=100000"),
            _ => error,
        }
    };
    let (ours, theirs) = sys::seqpacket_pair().map_err(failed)?;
    let pid = sys::fork(|| {
        let made = || -> sys::Result<()> {
            sys::join_namespace(user.as_fd(), libc::CLONE_NEWUSER)?;
            sys::join_namespace(bridge.as_fd(), libc::CLONE_NEWNET)?;
            let outside = Links::open()?;
            sys::new_network_namespace()?;
            sys::loopback_up()?;
            write(settings)?;
            // A new network has it of the host's, which may be a router. Nothing is sent on from one interface to another.
            sys::write_file(c"/proc/sys/net/ipv4/ip_forward", b"0")?;
            help_nobody()?;
            v6::set(own.v6.is_some())?;
            let network = sys::openat(sys::cwd(), c"/proc/self/ns/net", libc::O_RDONLY, 0)?;
            outside.make_pair(BRIDGE, MTU, INTERFACE, own.v4, network.as_fd())?;
            let (inside, index) = (Links::open()?, sys::interface_index(INTERFACE)?);
            inside.add_address(index, own.v4, named.subnet.prefix())?;
            inside.set_up(index)?;
            if let (Some(address), Some(range)) = (own.v6, named.v6) {
                inside.add_address(index, address, range.subnet.prefix())?;
            }
            if !named.internal {
                inside.add_default_route(index, named.gateway)?;
                if let Some(range) = named.v6 {
                    inside.add_default_route(index, range.gateway)?;
                }
            }
            sys::send(theirs.as_fd(), b"n", Some(network.as_fd()))?;
            sys::send(theirs.as_fd(), b"f", Some(sys::netfilter_socket()?.as_fd()))?;
            sys::send(theirs.as_fd(), b"l", Some(inside.as_fd()))
        };
        made().map_or_else(|errno| errno.0, |()| 0)
    })
    .map_err(failed)?;
    drop(theirs);
    let receive = || sys::receive(ours.as_fd(), &mut [0; 1]).ok().and_then(|(_, fd)| fd);
    let (network, filter, links) = (receive(), receive(), receive());
    match (sys::wait_for(pid).map_err(failed)?, network, filter, links) {
        (sys::Waited::Exited(0), Some(network), Some(filter), Some(links)) => {
            let high = |fd: OwnedFd| sys::dup_above(fd.as_fd(), 10).map_err(failed);
            Ok(Attached { network: high(network)?, filter: high(filter)?, links: Links::from(high(links)?) })
        }
        (sys::Waited::Exited(errno @ 1..), ..) => Err(failed(Errno(errno))),
        _ => Err(failed(Errno(libc::EIO))),
    }
}

/// Writes settings of this process's network namespace.
fn write(settings: &NetworkSettings) -> sys::Result<()> {
    for (name, value) in settings.interfaces.iter().chain(&settings.mapped) {
        let file = CString::new(format!("/proc/sys/{}", name.replace('.', "/"))).map_err(|_| Errno(libc::EINVAL))?;
        match sys::write_file(&file, value.as_bytes()) {
            // A kernel without IPv6 lacks some.
            Err(Errno(libc::ENOENT)) => {}
            written => written?,
        }
    }
    Ok(())
}
