//! Waits for a condition.

use std::time::{Duration, Instant};

/// Long enough for any condition that becomes true at all, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a condition is true; returns whether it was within [`PATIENCE`].
pub fn until(so: impl FnMut() -> bool) -> bool {
    until_within(PATIENCE, so)
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
