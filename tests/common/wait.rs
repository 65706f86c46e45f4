//! Waits for a condition.

use std::time::{Duration, Instant};

/// Long enough for any condition that becomes true at all, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a condition is true; returns whether it was within [`PATIENCE`].
pub fn until(so: impl FnMut() -> bool) -> bool {
    until_within(PATIENCE, so)
}

/// Waits until what is changed in files gets a later time than what was changed before: the kernel's clock for files goes on a few hundred
/// times a second.
pub fn tick() {
    let now = || {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call writes one timespec.
        assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_REALTIME_COARSE, &raw mut time) }, 0);
        (time.tv_sec, time.tv_nsec)
    };
    let before = now();
    assert!(until(|| now() > before), "the clock stands");
}

/// Waits until a condition is true; returns whether it was in this time.
pub fn until_within(patience: Duration, mut so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    let mut pause = Duration::from_micros(500);
    loop {
        if so() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
