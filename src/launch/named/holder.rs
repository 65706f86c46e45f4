//! Starts the process that holds a network. It is no child of the launcher that starts it, since it lives for as long as any sandbox is in the
//! network; and it is sbx, executed anew, once the network is made, so that it has nothing of that launcher's memory.

use super::v6;
use crate::error::{Error, Result};
use crate::launch::helpers::{self, Helper};
use crate::netfilter;
use crate::plan::{Argument, ENABLE_V6, NO_FILTER, NamedNetworkPlan, unmade};
use crate::proxy::HOLDER;
use crate::state::{Busy, Seat};
use crate::sys::{self, Errno, Links, Mask, Poll};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// The index of the bridge in its network namespace: one that no interface has which the kernel makes by itself.
pub(super) const BRIDGE: u32 = 1000;

/// The size of packets, which is that of the helpers' interfaces.
pub(super) const MTU: u32 = 65520;

/// How long it may take to be ready.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why it was not started.
#[derive(Serialize, Deserialize)]
struct Failed {
    message: String,
    hints: Vec<String>,
}

/// Starts the process, and waits until it answers.
pub(super) fn start(busy: &Busy, named: &NamedNetworkPlan) -> Result<()> {
    let failed = |errno: Errno| unmade(&named.name, "made", errno);
    let seat = busy.seat()?;
    let (hears, tells) = sys::pipe().map_err(failed)?;
    // The process in between makes it nobody's child, and one of a session that has no terminal.
    let between = sys::fork(|| {
        let forked = sys::setsid().and_then(|()| sys::fork(|| become_holder(&seat, &tells, named)));
        forked.map_or_else(|errno| errno.0, |_| 0)
    });
    let ended = between.and_then(sys::wait_for).map_err(failed)?;
    drop((tells, seat));
    if let sys::Waited::Exited(errno @ 1..) = ended {
        return Err(failed(Errno(errno)));
    }
    let (mut said, mut bytes, end) = (Vec::new(), [0; 4096], Instant::now() + PATIENCE);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut set = [Poll::read(hears.as_raw_fd())];
        let polled = sys::poll(&mut set, Some(i32::try_from(left.as_millis()).unwrap_or(i32::MAX)));
        if left.is_zero() || polled.is_err() {
            return Err(Error::new(format!(
                "the network `{}` is not ready after {} s",
                named.name,
                PATIENCE.as_secs()
            )));
        }
        match sys::read(hears.as_fd(), &mut bytes) {
            Ok(1..) if bytes.first() == Some(&b'r') && said.is_empty() => return Ok(()),
            Ok(length @ 1..) => said.extend_from_slice(bytes.get(..length).unwrap_or_default()),
            _ => break,
        }
    }
    Err(match serde_json::from_slice::<Failed>(&said) {
        Ok(Failed { message, hints }) => hints.into_iter().fold(Error::new(message), Error::hint),
        Err(_) => Error::new(format!("the process that holds the network `{}` ended before it answered", named.name)),
    })
}

/// Makes the network, and becomes the process that holds it. Returns only if that failed.
fn become_holder(seat: &Seat, tells: &OwnedFd, named: &NamedNetworkPlan) -> i32 {
    let error = match prepare(seat, tells, named) {
        Ok(never) => never,
        Err(error) => error,
    };
    let failed = Failed { message: error.message, hints: error.hints };
    let _ = sys::write_all(tells.as_fd(), &serde_json::to_vec(&failed).unwrap_or_default());
    1
}

fn prepare(seat: &Seat, tells: &OwnedFd, named: &NamedNetworkPlan) -> Result<Error> {
    let failed = |errno: Errno| unmade(&named.name, "made", errno);
    sys::restore(&Mask::default()).map_err(failed)?;
    // Nothing of the caller's stays open in what outlives it.
    let mut keep = [tells, &seat.lock, &seat.listener, &seat.dir, &seat.above].map(AsRawFd::as_raw_fd).to_vec();
    keep.sort_unstable();
    let null = sys::openat(sys::cwd(), c"/dev/null", libc::O_RDWR, 0).map_err(failed)?;
    for stream in 0..3 {
        sys::dup2(null.as_fd(), sys::UnownedFd::new(stream)).map_err(failed)?;
    }
    keep.splice(..0, [0, 1, 2]);
    sys::close_all_but(&keep).map_err(failed)?;
    std::mem::forget(null);
    let Made { user, network, links } = make(named)?;
    let helper = named.helper.as_ref().map(|spec| -> Result<Helper<'_>> {
        let high = |fd: &OwnedFd| sys::dup_above(fd.as_fd(), 10).map_err(failed);
        let helper = Helper::start(spec, None, 0, &Mask::default(), &[high(&user)?, high(&network)?], &[])?;
        helper.expect_ready(&mut |fd, patience| {
            let mut set = [Poll::read(fd)];
            sys::poll(&mut set, Some(i32::try_from(patience.as_millis()).unwrap_or(i32::MAX))).map_err(failed)?;
            Ok(set.iter().any(|poll| poll.ready))
        })?;
        // pasta has made its route by now, if the host has IPv6.
        if spec.args.contains(&Argument::Text(ENABLE_V6.into()))
            && !v6::await_route(user.as_fd(), network.as_fd()).map_err(failed)?
        {
            return Err(Error::new(format!("{} has given the network `{}` no address of IPv6", spec.name, named.name))
                .hint("install pasta (passt), or make the network without --ipv6"));
        }
        Ok(helper)
    });
    let helper = helper.transpose()?;
    let inherit = |fd: RawFd| -> Result<String> {
        let kept = sys::dup_above(sys::UnownedFd::new(fd).as_fd(), 10).map_err(failed)?;
        sys::set_cloexec(kept.as_fd(), false).map_err(failed)?;
        let word = kept.as_raw_fd().to_string();
        std::mem::forget(kept);
        Ok(word)
    };
    let mut words = vec![inherit(tells.as_raw_fd())?];
    for fd in [&seat.listener, &seat.lock, &seat.dir, &seat.above, &user, &network, &links] {
        words.push(inherit(fd.as_raw_fd())?);
    }
    let open: Vec<RawFd> = helper.iter().flat_map(Helper::descriptors).collect();
    let (process, said) = match open[..] {
        [process, said, ..] => (inherit(process)?, inherit(said)?),
        _ => (String::new(), String::new()),
    };
    words.extend([process, said, named.name.clone(), named.subnet.to_string(), named.gateway.to_string()]);
    words.push(named.helper.as_ref().map_or("", |helper| helper.name).to_owned());
    words.push(named.network.id().to_owned());
    words.extend(match named.v6 {
        None => [String::new(), String::new()],
        Some(range) => [range.subnet.to_string(), range.gateway.to_string()],
    });
    // It is the next program's: a helper that is dropped is ended.
    let errno = helpers::become_own(HOLDER, &words);
    Ok(failed(errno))
}

/// Has this process's network namespace, which has these settings of the host's, take no route that a sender names and answer for no other
/// machine: packets go where the rules of their sandbox let them, and nowhere by anybody's help.
pub(super) fn help_nobody() -> sys::Result<()> {
    let files = [
        c"/proc/sys/net/ipv4/conf/all/accept_source_route",
        c"/proc/sys/net/ipv4/conf/default/accept_source_route",
        c"/proc/sys/net/ipv4/conf/all/proxy_arp",
        c"/proc/sys/net/ipv4/conf/default/proxy_arp",
    ];
    files.into_iter().try_for_each(|file| sys::write_file(file, b"0"))
}

/// What was made.
pub(super) struct Made {
    pub user: OwnedFd,
    pub network: OwnedFd,
    /// A socket by which interfaces of the network are removed.
    links: OwnedFd,
}

/// Makes the user namespace, the network namespace and the bridge, in a process that does nothing else.
pub(super) fn make(named: &NamedNetworkPlan) -> Result<Made> {
    let failed = |errno: Errno| unmade(&named.name, "made", errno);
    let (ours, theirs) = sys::seqpacket_pair().map_err(failed)?;
    let rules = (!named.internal).then(|| netfilter::gateway(BRIDGE));
    let pid = sys::fork(|| {
        let made = || -> sys::Result<()> {
            sys::new_user_namespace()?;
            let (uid, gid) = named.ids;
            sys::write_file(c"/proc/self/setgroups", b"deny")?;
            sys::write_file(c"/proc/self/uid_map", format!("{uid} {uid} 1\n").as_bytes())?;
            sys::write_file(c"/proc/self/gid_map", format!("{gid} {gid} 1\n").as_bytes())?;
            sys::new_network_namespace()?;
            sys::loopback_up()?;
            v6::set(named.v6.is_some())?;
            help_nobody()?;
            let links = Links::open()?;
            links.make_bridge(BRIDGE, "bridge", sys::mac(named.gateway), MTU)?;
            links.add_address(BRIDGE, named.gateway, named.subnet.prefix())?;
            if let Some(range) = named.v6 {
                links.add_address(BRIDGE, range.gateway, range.subnet.prefix())?;
            }
            if let Some(rules) = &rules {
                sys::write_file(c"/proc/sys/net/ipv4/ip_forward", b"1")?;
                if named.v6.is_some() {
                    v6::forward()?;
                }
                let filter = sys::netfilter_socket()?;
                if let Err(refused) = rules.send(filter.as_fd()) {
                    sys::send(theirs.as_fd(), format!("{}: {}", refused.what, refused.errno).as_bytes(), None)?;
                    return Err(refused.errno);
                }
            }
            let open = |path| sys::openat(sys::cwd(), path, libc::O_RDONLY, 0);
            sys::send(theirs.as_fd(), b"u", Some(open(c"/proc/self/ns/user")?.as_fd()))?;
            sys::send(theirs.as_fd(), b"n", Some(open(c"/proc/self/ns/net")?.as_fd()))?;
            sys::send(theirs.as_fd(), b"l", Some(links.as_fd()))
        };
        made().map_or_else(|errno| errno.0, |()| 0)
    })
    .map_err(failed)?;
    drop(theirs);
    let receive = || {
        let mut text = [0; 256];
        let received = sys::receive(ours.as_fd(), &mut text);
        received.map(|(length, fd)| (String::from_utf8_lossy(text.get(..length).unwrap_or_default()).into_owned(), fd))
    };
    let (user, network, links) = (receive(), receive(), receive());
    match (sys::wait_for(pid).map_err(failed)?, user, network, links) {
        (sys::Waited::Exited(0), Ok((_, Some(user))), Ok((_, Some(network))), Ok((_, Some(links)))) => {
            Ok(Made { user, network, links })
        }
        (sys::Waited::Exited(1..), Ok((what, None)), ..) if !what.is_empty() => Err(Error::new(format!(
            "the network `{}` cannot be made, since the kernel's packet filter does not take its rules: {what}",
            named.name
        ))
        .hint(NO_FILTER)
        .hint("for sandboxes that do not reach the outside, make it with --internal")),
        (sys::Waited::Exited(errno @ 1..), ..) => Err(failed(Errno(errno))),
        _ => Err(failed(Errno(libc::EIO))),
    }
}
