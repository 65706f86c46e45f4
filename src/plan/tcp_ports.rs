//! Plans a second barrier around a private network: Landlock's rules on TCP connections (landlock(7), from version 4 on).
//!
//! Landlock tells ports apart and not addresses, so it can hold only a list of `network.allow` that is by port. Unlike the rules on packets it
//! also holds at loopback inside, which is why a profile has to ask for it.

use crate::error::{Error, Result};
use crate::spec::{Network, Protocol, Requirement, Sandbox, Transport};
use std::collections::BTreeSet;

/// The first version of Landlock's interface that governs TCP.
const SINCE: i32 = 4;

/// The most ports: each is a rule of its own.
const MOST: usize = 1024;

/// Name servers are asked by TCP where an answer is long.
const NAME_SERVERS: u16 = 53;

/// The ports that TCP connections may go to, or why Landlock does not hold them; none if the profile does not ask for it. `landlock` is the
/// version that is used, or why it is not.
///
/// # Errors
///
/// The rules are not by port, or Landlock is required and does not govern TCP.
pub(super) fn plan(
    sandbox: &Sandbox,
    landlock: std::result::Result<i32, &str>,
) -> Result<Option<std::result::Result<Vec<u16>, String>>> {
    let wanted = sandbox.security.landlock_tcp;
    if wanted == Requirement::Off || sandbox.network.own().is_none() {
        return Ok(None);
    }
    let origin = sandbox.origins.of("security.landlock_tcp", "");
    if let Network::Named(_) = sandbox.network {
        return Err(Error::new(
            "security.landlock_tcp holds ports, and other sandboxes in the network are reached at all of them",
        )
        .origin(&origin)
        .hint("leave security.landlock_tcp out"));
    }
    let ports = ports(sandbox)?;
    let why = match landlock {
        Ok(SINCE..) => return Ok(Some(Ok(ports))),
        Ok(version) => {
            format!("this kernel's version {version} of Landlock does not govern TCP (version 4, Linux 6.7)")
        }
        Err(why) => why.to_owned(),
    };
    match wanted {
        Requirement::Require => Err(Error::new(format!("security.landlock_tcp is `require`: {why}"))
            .origin(&origin)
            .hint("write `prefer`: the rules on packets hold all the same, and the receipt says what does not")),
        Requirement::Prefer | Requirement::Off => Ok(Some(Err(why))),
    }
}

/// The ports that the rules on packets let TCP leave to, in order.
fn ports(sandbox: &Sandbox) -> Result<Vec<u16>> {
    let needs = |what: String, origin| {
        Err(Error::new(format!("security.landlock_tcp holds ports, and {what}"))
            .origin(origin)
            .hint("name the ports: network.allow = [\"internet:443/tcp\"]; or leave security.landlock_tcp out"))
    };
    let Some(allow) = &sandbox.network_rules.allow else {
        let origin = sandbox.origins.of("security.landlock_tcp", "");
        return needs("without network.allow the Internet is reached at all of them".into(), &origin);
    };
    let mut ports = BTreeSet::from([NAME_SERVERS]);
    for rule in allow {
        match (rule.service.protocol, rule.service.ports) {
            (Some(Protocol::Udp | Protocol::Icmp), _) => {}
            (_, Some((first, last))) => ports.extend(first..=last),
            (_, None) => return needs(format!("network.allow has {rule}, which is for all of them"), &rule.origin),
        }
        if ports.len() > MOST {
            return Err(Error::new(format!(
                "security.landlock_tcp takes {MOST} ports at most, and network.allow has more"
            ))
            .origin(&rule.origin)
            .hint("name fewer ports; or leave security.landlock_tcp out"));
        }
    }
    let forwarded = sandbox.forwarded.iter().filter(|port| port.transport == Transport::Tcp);
    ports.extend(forwarded.map(|port| port.inside));
    Ok(ports.into_iter().collect())
}
