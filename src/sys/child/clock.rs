//! The clock.

use nix::time::{ClockId, clock_gettime};

/// The time of CLOCK_MONOTONIC in nanoseconds: clock_gettime(2).
pub fn monotonic_nanoseconds() -> u64 {
    nanoseconds(ClockId::CLOCK_MONOTONIC)
}

/// The time of CLOCK_REALTIME in nanoseconds since 1970.
pub fn realtime_nanoseconds() -> u64 {
    nanoseconds(ClockId::CLOCK_REALTIME)
}

/// The time of CLOCK_BOOTTIME in nanoseconds since the machine was started, suspended times included: it never jumps.
pub fn boottime_nanoseconds() -> u64 {
    nanoseconds(ClockId::CLOCK_BOOTTIME)
}

fn nanoseconds(clock: ClockId) -> u64 {
    let Ok(now) = clock_gettime(clock) else { return 0 };
    u64::try_from(now.tv_sec()).map_or(0, |seconds| seconds * 1_000_000_000 + now.tv_nsec() as u64)
}
