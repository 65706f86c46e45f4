//! Waits for a condition.

use std::os::fd::FromRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, Instant};

/// Long enough for any condition that becomes true at all, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a condition is true; returns whether it was within [`PATIENCE`].
pub fn until(so: impl FnMut() -> bool) -> bool {
    until_within(PATIENCE, so)
}

/// Waits until what is changed in files gets a later time than what was changed before, on any filesystem. The kernel's clock for files goes
/// on some hundred times a second; since Linux 6.13 a file may be dated exactly, and later than that clock says for as long.
pub fn tick() {
    let now = || {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call writes one timespec.
        assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_REALTIME_COARSE, &raw mut time) }, 0);
        (time.tv_sec, time.tv_nsec)
    };
    // SAFETY: the name ends with a NUL, and the descriptor is new.
    let file = unsafe { std::fs::File::from_raw_fd(libc::memfd_create(c"tick".as_ptr(), libc::MFD_CLOEXEC)) };
    let change = || {
        file.set_permissions(std::fs::Permissions::from_mode(0o600)).unwrap();
        let found = file.metadata().unwrap();
        (found.ctime(), found.ctime_nsec())
    };
    // The second is dated exactly, where that is done.
    let before = now().max(change()).max(change());
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
