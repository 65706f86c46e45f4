//! Interfaces of a network namespace, their addresses and routes, as rtnetlink(7) makes them. Constants that have no name here are those of
//! linux/if_link.h and linux/veth.h.

use crate::sys::errno::{Errno, Result};
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Set in the type of an attribute that holds attributes (NLA_F_NESTED).
const NESTED: u16 = 0x8000;

/// Attributes of IFLA_LINKINFO, and that of a pair's other end.
const KIND: u16 = 1;
const DATA: u16 = 2;
const PEER: u16 = 1;

/// An interface's address on its link.
pub type Mac = [u8; 6];

/// A socket by which the interfaces of the network namespace are made that it was opened in.
#[derive(Debug)]
pub struct Links(OwnedFd);

impl From<OwnedFd> for Links {
    fn from(socket: OwnedFd) -> Links {
        Links(socket)
    }
}

impl AsFd for Links {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Links {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A message while it is made.
struct Request(Vec<u8>);

impl Request {
    /// A message of this type with what follows its header.
    fn new(kind: u16, flags: i32, body: &[&[u8]]) -> Request {
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags) as u16;
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        body.iter().for_each(|part| bytes.extend(*part));
        Request(bytes)
    }

    /// A message about an interface (struct ifinfomsg); 0 stands for one that is to be made.
    fn link(flags: i32, index: u32, up: bool) -> Request {
        Request::new(libc::RTM_NEWLINK, flags, &[&interface(index, up)])
    }

    fn attribute(&mut self, kind: u16, data: &[u8]) -> &mut Request {
        self.nest(kind, |request| request.0.extend(data))
    }

    fn number(&mut self, kind: u16, number: u32) -> &mut Request {
        self.attribute(kind, &number.to_ne_bytes())
    }

    fn text(&mut self, kind: u16, text: &str) -> &mut Request {
        self.attribute(kind, &[text.as_bytes(), b"\0"].concat())
    }

    fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Request)) -> &mut Request {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend(kind.to_ne_bytes());
        fill(self);
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        self.set(start, &length.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn set(&mut self, at: usize, value: &[u8]) {
        if let Some(place) = self.0.get_mut(at..at + value.len()) {
            place.copy_from_slice(value);
        }
    }
}

/// What the kernel has answered: struct nlmsghdr, and what follows.
struct Answer(Vec<u8>);

impl Answer {
    fn kind(&self) -> i32 {
        self.0.get(4..6).and_then(|kind| kind.try_into().ok()).map_or(0, u16::from_ne_bytes).into()
    }

    /// The errno with its sign turned, 0 for none, if it is an answer that says so.
    fn error(&self) -> Option<i32> {
        let errno = self.0.get(16..20).and_then(|errno| errno.try_into().ok()).map(i32::from_ne_bytes);
        errno.filter(|_| self.kind() == libc::NLMSG_ERROR)
    }

    /// The index of an interface, if it is an answer about one: struct ifinfomsg.
    fn index(&self) -> Option<u32> {
        let index = self.0.get(20..24).and_then(|index| index.try_into().ok()).map(u32::from_ne_bytes);
        index.filter(|index| self.kind() == i32::from(libc::RTM_NEWLINK) && *index != 0)
    }
}

/// The address on its link of the machine with this address.
pub fn mac(address: Ipv4Addr) -> Mac {
    let [a, b, c, d] = address.octets();
    // The bit for addresses that no maker of interfaces has given.
    [2, 0, a, b, c, d]
}

/// The address of IPv6 that the kernel gives an interface with this address on its link, for that link alone (RFC 4291, appendix A).
pub fn link_local([a, b, c, d, e, f]: Mac) -> Ipv6Addr {
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

/// An address's family, and its bytes.
fn parts(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (libc::AF_INET as u8, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6 as u8, address.octets().to_vec()),
    }
}

/// The name of the interface by which the machine with this address is attached to a bridge.
fn port(address: Ipv4Addr) -> String {
    format!("port{:08x}", u32::from(address))
}

/// struct ifinfomsg.
fn interface(index: u32, up: bool) -> Vec<u8> {
    let flags = if up { libc::IFF_UP as u32 } else { 0 };
    [&[0; 4][..], &index.to_ne_bytes(), &flags.to_ne_bytes(), &flags.to_ne_bytes()].concat()
}

/// The index of an interface of this process's network namespace.
pub fn interface_index(name: &str) -> Result<u32> {
    Ok(if_nametoindex(name)?)
}

impl Links {
    /// Opens the socket in this process's network namespace.
    pub fn open() -> Result<Links> {
        Ok(Links(socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?))
    }

    /// Makes a bridge with this index, name and address on its link, and sets it up. With an address that is given, it keeps that when
    /// interfaces come and go.
    pub fn make_bridge(&self, index: u32, name: &str, mac: Mac, mtu: u32) -> Result<()> {
        let mut request = Request::link(libc::NLM_F_CREATE | libc::NLM_F_EXCL, index, true);
        request.text(libc::IFLA_IFNAME, name).number(libc::IFLA_MTU, mtu).attribute(libc::IFLA_ADDRESS, &mac);
        request.nest(libc::IFLA_LINKINFO | NESTED, |info| {
            info.text(KIND, "bridge");
        });
        self.ask(request)
    }

    /// Makes a pair of interfaces: one with the name of the [`port`] is attached to the bridge with this index; the other one has this name and
    /// the address on its link that is made of the same address, in another network namespace.
    pub fn make_pair(
        &self,
        bridge: u32,
        mtu: u32,
        name: &str,
        address: Ipv4Addr,
        network: BorrowedFd<'_>,
    ) -> Result<()> {
        let mac = mac(address);
        let mut request = Request::link(libc::NLM_F_CREATE | libc::NLM_F_EXCL, 0, true);
        request.text(libc::IFLA_IFNAME, &port(address)).number(libc::IFLA_MTU, mtu).number(libc::IFLA_MASTER, bridge);
        request.nest(libc::IFLA_LINKINFO | NESTED, |info| {
            info.text(KIND, "veth").nest(DATA | NESTED, |data| {
                data.nest(PEER | NESTED, |peer| {
                    peer.0.extend(interface(0, false));
                    peer.text(libc::IFLA_IFNAME, name).number(libc::IFLA_MTU, mtu).attribute(libc::IFLA_ADDRESS, &mac);
                    let network = u32::try_from(network.as_raw_fd()).unwrap_or(u32::MAX);
                    peer.number(libc::IFLA_NET_NS_FD, network);
                });
            });
        });
        self.ask(request)
    }

    /// Removes the end of such a pair that is attached to the bridge, and with it the other one.
    pub fn remove_pair(&self, address: Ipv4Addr) -> Result<()> {
        let mut request = Request::new(libc::RTM_DELLINK, 0, &[&interface(0, false)]);
        request.text(libc::IFLA_IFNAME, &port(address));
        self.ask(request)
    }

    /// Removes an interface.
    pub fn remove(&self, index: u32) -> Result<()> {
        self.ask(Request::new(libc::RTM_DELLINK, 0, &[&interface(index, false)]))
    }

    /// The index of the interface with this name in the network namespace of the socket.
    pub fn index(&self, name: &str) -> Result<u32> {
        let mut request = Request::new(libc::RTM_GETLINK, 0, &[&interface(0, false)]);
        request.text(libc::IFLA_IFNAME, name);
        // The interface is the answer, and no other one follows.
        let (flags, length) = (libc::NLM_F_REQUEST as u16, u32::try_from(request.0.len()));
        request.set(6, &flags.to_ne_bytes());
        request.set(0, &length.map_err(|_| Errno(libc::EMSGSIZE))?.to_ne_bytes());
        let answer = self.answered(&request)?;
        match (answer.error(), answer.index()) {
            (Some(errno), _) => Err(Errno(errno.wrapping_neg())),
            (None, Some(index)) => Ok(index),
            (None, None) => Err(Errno(libc::EBADMSG)),
        }
    }

    /// Gives an interface an address, and the network of those whose first bits are the same. Nobody is asked whether he has it, too.
    pub fn add_address(&self, index: u32, address: impl Into<IpAddr>, prefix: u8) -> Result<()> {
        let (family, bytes) = parts(address.into());
        // struct ifaddrmsg: family, length of the prefix, flags, scope.
        let flags = if i32::from(family) == libc::AF_INET6 { libc::IFA_F_NODAD as u8 } else { 0 };
        let body = [&[family, prefix, flags, 0][..], &index.to_ne_bytes()];
        let mut request = Request::new(libc::RTM_NEWADDR, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &body);
        request.attribute(libc::IFA_LOCAL, &bytes).attribute(libc::IFA_ADDRESS, &bytes);
        self.ask(request)
    }

    /// Sets an interface up.
    pub fn set_up(&self, index: u32) -> Result<()> {
        self.ask(Request::link(0, index, true))
    }

    /// Has packets for which there is no other route go by an interface to this machine.
    pub fn add_default_route(&self, index: u32, gateway: impl Into<IpAddr>) -> Result<()> {
        let (family, gateway) = parts(gateway.into());
        // struct rtmsg: family, lengths of the two prefixes, TOS, table, protocol, scope, type, flags.
        let body = [
            family,
            0,
            0,
            0,
            libc::RT_TABLE_MAIN,
            libc::RTPROT_STATIC,
            libc::RT_SCOPE_UNIVERSE,
            libc::RTN_UNICAST,
            0,
            0,
            0,
            0,
        ];
        let mut request = Request::new(libc::RTM_NEWROUTE, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &[&body]);
        request.attribute(libc::RTA_GATEWAY, &gateway).number(libc::RTA_OIF, index);
        self.ask(request)
    }

    /// Sends a message, and reads the kernel's answer, which is there when the call has returned.
    fn ask(&self, mut request: Request) -> Result<()> {
        let length = u32::try_from(request.0.len()).map_err(|_| Errno(libc::EMSGSIZE))?;
        request.set(0, &length.to_ne_bytes());
        let answer = self.answered(&request)?;
        match answer.error() {
            Some(0) => Ok(()),
            Some(errno) => Err(Errno(errno.wrapping_neg())),
            None => Err(Errno(libc::EBADMSG)),
        }
    }

    /// Sends a message that is complete, and gives the first bytes of the answer.
    ///
    /// The kernel's end is named in each message: then it asks for the rights of who sends it, which are those of an owner over all user
    /// namespaces of his, and not for those of who has opened the socket, who had them over one (`__netlink_ns_capable`).
    fn answered(&self, request: &Request) -> Result<Answer> {
        sendto(self.0.as_raw_fd(), &request.0, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        let mut answer = [0; 4096];
        let length = loop {
            match recv(self.0.as_raw_fd(), &mut answer, MsgFlags::empty()) {
                Err(nix::Error::EINTR) => {}
                received => break received?,
            }
        };
        Ok(Answer(answer.get(..length).unwrap_or_default().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::child::{Waited, cwd, join_namespace, new_network_namespace, new_user_namespace, openat};
    use crate::sys::host::{fork, wait_for};

    #[test]
    fn the_kernel_makes_a_bridge_and_what_is_attached_to_it() {
        let pid = fork(|| {
            if new_user_namespace().and_then(|()| new_network_namespace()).is_err() {
                return 77;
            }
            let made = || -> Result<()> {
                let own = || openat(cwd(), c"/proc/self/ns/net", libc::O_RDONLY, 0);
                let (bridge, links) = (own()?, Links::open()?);
                match links.make_bridge(1000, "bridge", [2, 0, 10, 89, 0, 1], 65520) {
                    // The kernel has no bridges.
                    Err(Errno(libc::EOPNOTSUPP)) => return Ok(()),
                    made => made?,
                }
                links.add_address(1000, Ipv4Addr::new(10, 89, 0, 1), 24)?;
                new_network_namespace()?;
                let (network, inside) = (own()?, Links::open()?);
                let address = Ipv4Addr::new(10, 89, 0, 2);
                links.make_pair(1000, 65520, "eth0", address, network.as_fd())?;
                let index = interface_index("eth0")?;
                if inside.index("eth0") != Ok(index) || inside.index("eth1") != Err(Errno(libc::ENODEV)) {
                    return Err(Errno(libc::EBADMSG));
                }
                inside.add_address(index, address, 24)?;
                inside.set_up(index)?;
                inside.add_default_route(index, Ipv4Addr::new(10, 89, 0, 1))?;
                links.remove_pair(address)?;
                let gone = interface_index("eth0").is_err() && links.remove_pair(address).is_err();
                links.make_pair(1000, 65520, "eth0", address, network.as_fd())?;
                inside.remove(inside.index("eth0")?)?;
                let gone = gone && links.remove_pair(address).is_err();
                join_namespace(bridge.as_fd(), libc::CLONE_NEWNET)?;
                if gone && interface_index("bridge").is_ok() { Ok(()) } else { Err(Errno(libc::EEXIST)) }
            };
            i32::from(made().is_err())
        });
        let ended = wait_for(pid.unwrap()).unwrap();
        assert!(matches!(ended, Waited::Exited(0 | 77)), "{ended:?}");
    }
}
