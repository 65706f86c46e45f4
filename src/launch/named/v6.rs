//! What IPv6 may do in the network namespaces of a network that sandboxes share: nobody there tells others of addresses or routers, and
//! nobody listens to who does. Addresses are those that the process which holds the network has given.

use crate::sys::{self, Errno, Poll, Result, Waited};
use std::ffi::CString;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How long the helper may take to tell of its address and of the route.
const PATIENCE: Duration = Duration::from_secs(5);

/// Settings for interfaces that are made later, and for all: no addresses and routes that messages tell of, none that the kernel makes up
/// but that of the link, which is that of the interface's own; no questions whether somebody else has an address (a start does not wait for
/// that); no routes that a sender names.
const SETTINGS: [(&str, &str); 11] = [
    ("forwarding", "0"),
    ("disable_ipv6", "0"),
    ("accept_ra", "0"),
    ("autoconf", "0"),
    ("accept_redirects", "0"),
    ("accept_source_route", "-1"),
    ("accept_dad", "0"),
    ("router_solicitations", "0"),
    ("use_tempaddr", "0"),
    ("addr_gen_mode", "0"),
    ("proxy_ndp", "0"),
];

/// Writes the settings in this process's network namespace, which has no interfaces yet; `wanted` is whether they are to have addresses of
/// IPv6 at all.
pub(super) fn set(wanted: bool) -> Result<()> {
    if !wanted {
        return match write("default", "disable_ipv6", "1") {
            // The kernel has no IPv6.
            Err(Errno(libc::ENOENT)) => Ok(()),
            written => written,
        };
    }
    for (name, value) in SETTINGS {
        for which in ["all", "default"] {
            write(which, name, value)?;
        }
    }
    Ok(())
}

/// Has this process's network namespace, whose bridge is made, send on what comes by that. The helper's interface, which is made later, takes
/// the address and the route that the helper tells of: nobody else is on its link.
pub(super) fn forward() -> Result<()> {
    write("all", "forwarding", "1")?;
    let helper =
        [("accept_ra", "2"), ("autoconf", "1"), ("router_solicitations", "3"), ("router_solicitation_delay", "0")];
    helper.into_iter().try_for_each(|(name, value)| write("default", name, value))
}

/// Waits until the helper of a network has told of its route, in these namespaces; false if it does not.
pub(super) fn await_route(user: BorrowedFd<'_>, network: BorrowedFd<'_>) -> Result<bool> {
    let pid = sys::fork(|| {
        let there = || -> Result<bool> {
            sys::join_namespace(user, libc::CLONE_NEWUSER)?;
            sys::join_namespace(network, libc::CLONE_NEWNET)?;
            // Watched before they are read: none is missed that comes between.
            let (changes, end) = (sys::watch_addresses()?, Instant::now() + PATIENCE);
            while !has_route()? {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Ok(false);
                }
                let mut set = [Poll::read(changes.as_raw_fd())];
                sys::poll(&mut set, Some(i32::try_from(left.as_millis()).unwrap_or(i32::MAX)))?;
                sys::drain_addresses(changes.as_fd())?;
            }
            Ok(true)
        };
        there().map_or_else(|errno| errno.0, |there| if there { 0 } else { libc::ETIMEDOUT })
    })?;
    match sys::wait_for(pid)? {
        Waited::Exited(0) => Ok(true),
        Waited::Exited(libc::ETIMEDOUT) => Ok(false),
        Waited::Exited(errno) => Err(Errno(errno)),
        _ => Err(Errno(libc::EIO)),
    }
}

/// Whether this process's network namespace has a route of IPv6 to everywhere.
pub(super) fn has_route() -> Result<bool> {
    let everywhere = |route: &sys::Route| {
        matches!(route.to, IpAddr::V6(_)) && route.prefix == 0 && route.kind == libc::RTN_UNICAST && route.gateway
    };
    Ok(sys::routes()?.iter().any(everywhere))
}

fn write(which: &str, name: &str, value: &str) -> Result<()> {
    let file = CString::new(format!("/proc/sys/net/ipv6/conf/{which}/{name}")).map_err(|_| Errno(libc::EINVAL))?;
    sys::write_file(&file, value.as_bytes())
}
