//! Waiting for something to become true.

use std::time::{Duration, Instant};

/// Long enough for whatever comes true at all, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until it is true; gives whether it came true within half a minute.
pub fn until(so: impl FnMut() -> bool) -> bool {
    until_within(PATIENCE, so)
}

/// Waits until it is true; gives whether it came true in this time.
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
