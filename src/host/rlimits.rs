//! Resource limits of the caller: getrlimit(2).

use crate::spec::{Rlimit, Rlimits};
use crate::sys::{self, RLIMITS};
use serde::Serialize;

/// All limits of the caller.
pub fn rlimits() -> Rlimits {
    of(|_| true)
}

/// The limits of the caller with names that `wanted` accepts.
pub(super) fn of(wanted: impl Fn(&str) -> bool) -> Rlimits {
    let wanted = RLIMITS.iter().filter(|(name, _)| wanted(name));
    wanted.filter_map(|(name, resource)| Some((*name, sys::rlimit(*resource).ok()?))).collect()
}

/// The first kernel that gives core dumps to a socket.
const CORE_SOCKETS: (u32, u32) = (6, 16);

/// What receives core dumps outside, as the sysctl kernel.core_pattern names it (core(5)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CoreHandler {
    /// A program, unless RLIMIT_CORE is 1.
    Program(String),
    /// A unix socket, whatever the limit is (since Linux 6.16).
    Socket(String),
}

impl CoreHandler {
    /// The handler that a core_pattern names; none if core dumps are files.
    fn of(pattern: &str) -> Option<CoreHandler> {
        if let Some(rest) = pattern.strip_prefix('|') {
            return Some(CoreHandler::Program(rest.split_whitespace().next()?.to_owned()));
        }
        // `@@` is a socket with a protocol of requests.
        pattern.strip_prefix('@').map(|rest| CoreHandler::Socket(rest.trim_start_matches('@').trim_end().to_owned()))
    }
}

/// What receives core dumps in spite of the limit that the sandbox is to have, if the sandbox is to have none.
pub(super) fn core_handler(asked: &[Rlimit], callers: &Rlimits, kernel: (u32, u32)) -> Option<CoreHandler> {
    let asked = asked.iter().find(|limit| limit.name == "core")?.soft.filter(|soft| *soft <= 1)?;
    let soft = callers.get("core").map_or(asked, |(_, hard)| asked.min(*hard));
    if soft == 1 && kernel < CORE_SOCKETS {
        return None;
    }
    let handler = CoreHandler::of(&std::fs::read_to_string("/proc/sys/kernel/core_pattern").ok()?)?;
    (soft == 0 || matches!(handler, CoreHandler::Socket(_))).then_some(handler)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_pattern_names_files_a_program_or_a_socket() {
        let program = |path: &str| Some(CoreHandler::Program(path.into()));
        let socket = |path: &str| Some(CoreHandler::Socket(path.into()));
        assert_eq!(CoreHandler::of("core.%p\n"), None);
        assert_eq!(
            CoreHandler::of("|/usr/lib/systemd/systemd-coredump %P %u\n"),
            program("/usr/lib/systemd/systemd-coredump")
        );
        assert_eq!(CoreHandler::of("@/run/core.socket\n"), socket("/run/core.socket"));
        assert_eq!(CoreHandler::of("@@/run/core.socket\n"), socket("/run/core.socket"));
    }
}
