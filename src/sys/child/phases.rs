//! How long each phase of a start takes. With the feature `trace`, and SBX_TRACE=phases in the environment, the program
//! prints the times on stderr at its end. Without the feature, which no release has, these functions are empty and the
//! variable is ignored.

#[cfg(feature = "trace")]
pub use on::{begin_phases, phase, print_phases};

/// Starts recording times, if SBX_TRACE is `phases` or `phases:T`. T is the time (CLOCK_MONOTONIC, nanoseconds) when
/// the program was executed.
#[cfg(not(feature = "trace"))]
#[inline]
pub fn begin_phases() {}

/// Records the end of a phase.
#[cfg(not(feature = "trace"))]
#[inline]
pub fn phase(_name: &'static str) {}

/// Prints the phases in the order of their ends: microseconds since the start, microseconds since the previous end, in
/// whichever process that was, and the name.
#[cfg(not(feature = "trace"))]
#[inline]
pub fn print_phases() {}

#[cfg(feature = "trace")]
mod on {
    use crate::sys::child::{STREAMS, Text, monotonic_nanoseconds, write_all};
    use std::os::fd::AsFd;
    use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

    /// The end of a phase: its name and time. Zeroed memory is a valid value.
    struct Mark {
        name: AtomicPtr<u8>,
        length: AtomicUsize,
        time: AtomicU64,
    }

    struct Table {
        count: AtomicUsize,
        marks: [Mark; 64],
    }

    /// The table, in memory that the launcher shares with its children. They have it, and the names, at the same
    /// addresses.
    static TABLE: AtomicPtr<Table> = AtomicPtr::new(std::ptr::null_mut());

    fn table() -> Option<&'static Table> {
        // SAFETY: null, or the mapping of `begin_phases`, which is never unmapped.
        unsafe { TABLE.load(Ordering::Relaxed).as_ref() }
    }

    /// Starts recording times, if SBX_TRACE is `phases` or `phases:T`. T is the time (CLOCK_MONOTONIC, nanoseconds)
    /// when the program was executed.
    pub fn begin_phases() {
        let now = monotonic_nanoseconds();
        // SAFETY: called first in `main`, when there is one thread and nothing changes the environment.
        let value = unsafe {
            let value = libc::getenv(c"SBX_TRACE".as_ptr());
            if value.is_null() {
                return;
            }
            std::ffi::CStr::from_ptr(value)
        };
        let Some(rest) = value.to_str().ok().and_then(|text| text.strip_prefix("phases")) else { return };
        let executed = rest.strip_prefix(':').and_then(|time| time.parse().ok()).unwrap_or(now);
        // SAFETY: new memory, which holds zeros: a valid Table, as all of its fields are atomic numbers and pointers.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<Table>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if memory != libc::MAP_FAILED {
            TABLE.store(memory.cast(), Ordering::Relaxed);
            note("executed", executed);
            note("the C library", now);
        }
    }

    /// Records the end of a phase.
    pub fn phase(name: &'static str) {
        if table().is_some() {
            note(name, monotonic_nanoseconds());
        }
    }

    fn note(name: &'static str, time: u64) {
        let Some(table) = table() else { return };
        if let Some(mark) = table.marks.get(table.count.fetch_add(1, Ordering::Relaxed)) {
            mark.name.store(name.as_ptr().cast_mut(), Ordering::Relaxed);
            mark.length.store(name.len(), Ordering::Relaxed);
            mark.time.store(time, Ordering::Release);
        }
    }

    /// Prints the phases in the order of their ends: microseconds since the start, microseconds since the previous end,
    /// in whichever process that was, and the name.
    pub fn print_phases() {
        let Some(table) = table() else { return };
        let marks = table.marks.get(..table.count.load(Ordering::Relaxed).min(table.marks.len())).unwrap_or_default();
        let time = |mark: &Mark| mark.time.load(Ordering::Acquire);
        let begin = marks.first().map_or(0, time);
        let mut last = begin.saturating_sub(1);
        // Two processes may record at the same time, so the marks are only almost in order.
        while let Some(mark) = marks.iter().filter(|mark| time(mark) > last).min_by_key(|mark| time(mark)) {
            let now = time(mark);
            let mut line = Text::<128>::default();
            line.decimal(((now - begin) / 1000) as u32)
                .push(b"\t")
                .decimal(((now - last.max(begin)) / 1000) as u32)
                .push(b"\t");
            let (name, length) = (mark.name.load(Ordering::Relaxed), mark.length.load(Ordering::Relaxed));
            // SAFETY: a constant string of this program, stored by `note` before the time was.
            line.push(unsafe { std::slice::from_raw_parts(name, length) }).push(b"\n");
            let _ = write_all(STREAMS[2].as_fd(), line.bytes());
            last = now;
        }
    }
}
