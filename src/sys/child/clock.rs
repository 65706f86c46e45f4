//! The clock.

use nix::time::{ClockId, clock_gettime};

/// The time of CLOCK_MONOTONIC in nanoseconds: clock_gettime(2).
pub fn monotonic_nanoseconds() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}

/// The time of CLOCK_BOOTTIME in nanoseconds since the machine was started, suspended times included: it never jumps.
pub fn boottime_nanoseconds() -> u64 {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |now| now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}
