//! Resource limits of processes: setrlimit(2).

use crate::sys::errno::Result;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The resources of setrlimit(2) that a profile may limit, by their names in lower case without `RLIMIT_`.
pub const RLIMITS: [(&str, Resource); 9] = [
    ("as", Resource::RLIMIT_AS),
    ("core", Resource::RLIMIT_CORE),
    ("cpu", Resource::RLIMIT_CPU),
    ("data", Resource::RLIMIT_DATA),
    ("fsize", Resource::RLIMIT_FSIZE),
    ("memlock", Resource::RLIMIT_MEMLOCK),
    ("nofile", Resource::RLIMIT_NOFILE),
    ("nproc", Resource::RLIMIT_NPROC),
    ("stack", Resource::RLIMIT_STACK),
];

/// setrlimit(2): sets the soft and the hard limit of a resource. `None` is no limit.
pub fn set_rlimit(resource: Resource, soft: Option<u64>, hard: Option<u64>) -> Result<()> {
    Ok(setrlimit(resource, soft.unwrap_or(libc::RLIM_INFINITY), hard.unwrap_or(libc::RLIM_INFINITY))?)
}

/// Raises the soft limit of open descriptors to the hard one. One that cannot be raised stays.
pub fn raise_descriptors() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Does something while the soft limit of open descriptors is the hard one. The kernel compares it with how many descriptors of the user's
/// are on their way by sockets, too.
pub(super) fn with_most_descriptors<T>(so: impl FnOnce() -> T) -> T {
    let before = getrlimit(Resource::RLIMIT_NOFILE);
    raise_descriptors();
    let done = so();
    if let Ok((soft, hard)) = before {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft, hard);
    }
    done
}

/// getrlimit(2): the soft and the hard limit of a resource.
pub fn rlimit(resource: Resource) -> Result<(u64, u64)> {
    Ok(getrlimit(resource)?)
}
