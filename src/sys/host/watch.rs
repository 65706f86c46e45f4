//! What tells a process of changes and times that it waits for by poll(2): inotify(7) and timerfd_create(2).

use crate::sys::errno::{Errno, Result};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// A directory that is watched: the descriptor is ready to read when a file in it has been made, has changed or has got another name.
pub struct Watched(Inotify);

impl Watched {
    /// Watches an open directory.
    pub fn directory(dir: BorrowedFd<'_>) -> Result<Watched> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let path = crate::sys::Text::<32>::of_descriptor(dir.as_raw_fd());
        let changes = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        let own = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_ONLYDIR;
        inotify.add_watch(path.text()?, changes | own)?;
        Ok(Watched(inotify))
    }

    /// The descriptor.
    pub fn number(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }

    /// Takes what has been told. Gives whether the directory is still where it was.
    pub fn take(&self) -> Result<bool> {
        let gone = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_IGNORED;
        let mut there = true;
        loop {
            match self.0.read_events().map_err(Errno::from) {
                Ok(events) => there &= !events.iter().any(|event| event.mask.intersects(gone)),
                Err(Errno(libc::EAGAIN)) => return Ok(there),
                Err(Errno(libc::EINTR)) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

/// A descriptor that is ready to read from this time on, whatever the clock is set to meanwhile. Nanoseconds since 1970.
pub fn timer_at(time: u64) -> Result<OwnedFd> {
    const SECOND: u64 = 1_000_000_000;
    let timer = TimerFd::new(ClockId::CLOCK_REALTIME, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
    // A time of zero would be none.
    let time = time.max(1);
    let seconds = i64::try_from(time / SECOND).map_err(|_| Errno(libc::EINVAL))?;
    let rest = i64::try_from(time % SECOND).map_err(|_| Errno(libc::EINVAL))?;
    timer.set(Expiration::OneShot(TimeSpec::new(seconds, rest)), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
    Ok(timer.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Poll;

    fn ready(fd: RawFd, patience: i32) -> bool {
        let mut set = [Poll::read(fd)];
        crate::sys::poll(&mut set, Some(patience)).unwrap();
        set[0].ready
    }

    #[test]
    fn a_directory_tells_of_its_files_and_of_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("watched");
        std::fs::create_dir(&path).unwrap();
        let watched = Watched::directory(std::fs::File::open(&path).unwrap().as_fd()).unwrap();
        assert!(!ready(watched.number(), 0));
        std::fs::write(path.join("file"), "x").unwrap();
        assert!(ready(watched.number(), 30_000) && watched.take().unwrap() && !ready(watched.number(), 0));
        std::fs::rename(path.join("file"), path.join("other")).unwrap();
        assert!(ready(watched.number(), 30_000) && watched.take().unwrap());
        std::fs::remove_dir_all(&path).unwrap();
        assert!(ready(watched.number(), 30_000) && !watched.take().unwrap());
    }

    #[test]
    fn a_timer_is_ready_from_its_time_on() {
        let now = crate::sys::realtime_nanoseconds();
        assert!(ready(timer_at(0).unwrap().as_raw_fd(), 30_000));
        assert!(ready(timer_at(now).unwrap().as_raw_fd(), 30_000));
        assert!(!ready(timer_at(now + 3_600_000_000_000).unwrap().as_raw_fd(), 0));
    }
}
