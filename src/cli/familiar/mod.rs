//! Flags that podman and docker have for what sbx's own flags and keys say: each is a line of the profile language, as those are.

mod limits;
mod line;
mod mounts;
mod namespaces;
mod ports;
mod security;

pub(super) use line::{Line, Said, bytes};
pub(super) use mounts::tmpfs;
pub(super) use namespaces::{Joined, check_net};
pub(super) use ports::published;

use super::args::Sandbox;
use crate::error::{Error, Result};
use crate::profile::Merged;
use std::path::Path;

/// What all of these flags say.
pub(super) struct All {
    pub lines: Vec<Said>,
    /// The sandboxes of which namespaces are joined.
    pub joined: Vec<Joined>,
}

/// What all of these flags say. `below` are the layers below them.
///
/// # Errors
///
/// One asks for what sbx does not do, or cannot be read.
pub(super) fn said(args: &Sandbox, below: &Merged, cwd: &Path) -> Result<All> {
    let familiar = &args.familiar;
    if familiar.privileged {
        return Err(Error::new("--privileged: sbx gives no program the rights that this takes a sandbox's walls down for").hint(
            "name what the program needs: --device for a device, --rw PATH for files, --cap-add for capabilities in the sandbox's own namespaces",
        ));
    }
    let mut lines = mounts::said(familiar, cwd)?;
    lines.extend(limits::said(args, cwd)?);
    lines.extend(security::said(args, below)?);
    let (shared, mut joined) = namespaces::shared(args, below)?;
    lines.extend(shared);
    if familiar.terminal {
        lines.push(Said::once("terminal", "", "process.tty", "pty"));
    }
    if let Some(name) = &familiar.domainname {
        lines.push(Said::once("domainname", name, "process.domainname", name.as_str()));
    }
    if let Some(address) = &familiar.ip6 {
        lines.push(Said::once("ip6", address, "network.ip6", address.as_str()));
    }
    let (network, of_network) = namespaces::network(args, below)?;
    lines.extend(network);
    joined.extend(of_network);
    Ok(All { lines, joined })
}
