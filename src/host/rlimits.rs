//! Resource limits of the caller: getrlimit(2).

use crate::spec::Rlimits;
use crate::sys::{self, RLIMITS};

/// All limits of the caller.
pub fn rlimits() -> Rlimits {
    of(|_| true)
}

/// The limits of the caller with names that `wanted` accepts.
pub(super) fn of(wanted: impl Fn(&str) -> bool) -> Rlimits {
    let wanted = RLIMITS.iter().filter(|(name, _)| wanted(name));
    wanted.filter_map(|(name, resource)| Some((*name, sys::rlimit(*resource).ok()?))).collect()
}

/// The program of the host, or the socket, that core dumps are given to whatever their limit is, as the sysctl
/// kernel.core_pattern names it; none if they are files (core(5)).
pub(super) fn core_handler() -> Option<String> {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").ok()?;
    let program = pattern.strip_prefix(['|', '@'])?.split_whitespace().next()?;
    Some(program.to_owned())
}
