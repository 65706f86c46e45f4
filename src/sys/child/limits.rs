//! Resource limits.

use crate::sys::errno::Result;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Resources of setrlimit(2), by their names in lower case.
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

/// setrlimit(2). `None` is no limit.
pub fn set_rlimit(resource: Resource, soft: Option<u64>, hard: Option<u64>) -> Result<()> {
    Ok(setrlimit(resource, soft.unwrap_or(libc::RLIM_INFINITY), hard.unwrap_or(libc::RLIM_INFINITY))?)
}

/// getrlimit(2): the soft and the hard limit of a resource.
pub fn rlimit(resource: Resource) -> Result<(u64, u64)> {
    Ok(getrlimit(resource)?)
}
