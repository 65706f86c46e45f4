//! The clock by which the kernel dates changes of files.

use super::file::{filesystem_type, memory_file};
use crate::sys::errno::Result;
use nix::sys::stat::{Mode, fchmod, fstat};
use nix::time::{ClockId, clock_gettime};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// Filesystems that date changes by the kernel's clock for files, and by no clock of their own or of another machine.
const BY_THE_KERNEL: [u32; 4] = [
    libc::EXT4_SUPER_MAGIC as u32,
    libc::XFS_SUPER_MAGIC as u32,
    libc::BTRFS_SUPER_MAGIC as u32,
    libc::TMPFS_MAGIC as u32,
];

/// A time that tells changes of files made before this call from those made after it: the time of the last change (ctime) is lower
/// for the former, and not lower for the latter. `dir` is on the filesystem of these files. Nanoseconds since 1970.
///
/// No clock that can be read is this one. A change is dated with the last tick, some milliseconds ago. Since Linux 6.13 it is dated
/// exactly if the change before it was looked at within the same tick; from then on no change of any file is dated earlier, while
/// CLOCK_REALTIME_COARSE is still at that tick. So a file in memory is changed until that is dated later than the change before: at once, or
/// on older kernels after a tick. A filesystem that may date by another clock may still use that tick: there, the next one is waited for.
/// When `patience` is over, the time may be that of changes made before the call, too. It is never later than that of a change made after.
pub fn time_between_changes(dir: &Path, patience: Duration) -> u64 {
    let end = Instant::now() + patience;
    let Ok(date) = date_of_a_change(end) else { return tick() };
    if filesystem_type(dir).is_some_and(|kind| BY_THE_KERNEL.contains(&kind)) {
        return date;
    }
    loop {
        let tick = tick();
        if tick >= date || Instant::now() >= end {
            return tick.min(date);
        }
        std::thread::sleep(PAUSE);
    }
}

/// The time of the kernel's last tick.
fn tick() -> u64 {
    clock_gettime(ClockId::CLOCK_REALTIME_COARSE).map_or(0, |now| nanoseconds(now.tv_sec(), now.tv_nsec()))
}

/// The last moment that a time of a file may stand for, which its filesystem may have cut off to its own units. These are not known for
/// sure: as many zeros as the time ends in are taken for cut off, and FAT keeps every second second. Nanoseconds since 1970.
pub fn last_moment(time: i128) -> i128 {
    const SECOND: i128 = 1_000_000_000;
    let units = [2 * SECOND, SECOND, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10];
    time + units.into_iter().find(|unit| time.rem_euclid(*unit) == 0).unwrap_or(1) - 1
}

/// Between two looks at the clock.
const PAUSE: Duration = Duration::from_micros(500);

fn nanoseconds(seconds: i64, rest: i64) -> u64 {
    seconds as u64 * 1_000_000_000 + rest as u64
}

/// The time that a change gets which is dated later than one that was made before; of any change when it is too late to wait.
fn date_of_a_change(end: Instant) -> Result<u64> {
    let file = memory_file(c"sbx")?;
    let before = change(file.as_fd())?;
    loop {
        let date = change(file.as_fd())?;
        if date > before || Instant::now() >= end {
            return Ok(date);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Changes a file, and looks at the time that the change has got.
fn change(file: BorrowedFd<'_>) -> Result<u64> {
    fchmod(file, Mode::S_IRUSR | Mode::S_IWUSR)?;
    let found = fstat(file)?;
    Ok(nanoseconds(found.st_ctime, found.st_ctime_nsec))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn a_time_in_coarse_units_stands_for_the_whole_unit() {
        const SECOND: i128 = 1_000_000_000;
        for (time, unit) in [
            (1_700_000_000 * SECOND, 2 * SECOND),
            (1_700_000_001 * SECOND, SECOND),
            (1_700_000_001 * SECOND + 10_000_000, 10_000_000),
            (1_700_000_001 * SECOND + 123_456_700, 100),
            (1_700_000_001 * SECOND + 123_456_789, 1),
        ] {
            assert_eq!(last_moment(time), time + unit - 1);
        }
    }

    #[test]
    fn a_time_between_changes_is_later_than_those_before_and_not_later_than_those_after() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "").unwrap();
        let change = || {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let found = path.metadata().unwrap();
            nanoseconds(found.ctime(), found.ctime_nsec())
        };
        for _ in 0..100 {
            // Since Linux 6.13, the second change has an exact time: it was looked at after the first.
            let before = [change(), change()];
            let between = time_between_changes(dir.path(), Duration::from_secs(10));
            let after = change();
            let known = filesystem_type(dir.path()).is_some_and(|kind| BY_THE_KERNEL.contains(&kind));
            assert!(before[1] < between || !known, "{before:?} {between}");
            assert!(between <= after, "{between} {after}");
        }
    }

    #[test]
    fn on_a_filesystem_with_another_clock_a_time_between_changes_is_no_later_than_the_last_tick() {
        for patience in [Duration::ZERO, Duration::from_secs(10)] {
            let began = date_of_a_change(Instant::now()).unwrap();
            let time = time_between_changes(Path::new("/proc"), patience);
            assert!(time <= tick() && (patience.is_zero() || time > began), "{time}");
        }
    }
}
