//! Tells on a terminal how far a verb is that takes longer.

use super::output;
use crate::sys;
use crate::union::Step;
use std::cell::Cell;
use std::io::Write;
use std::time::{Duration, Instant};

/// How often it is told, and when for the first time.
const INTERVAL: Duration = Duration::from_millis(500);

/// A size for people.
pub(super) fn bytes(size: u64) -> String {
    let units = ["B", "K", "M", "G", "T"];
    let (mut value, mut unit) = (size as f64, 0);
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let unit = units.get(unit).unwrap_or(&"");
    if *unit == "B" { format!("{size} B") } else { format!("{value:.1} {unit}") }
}

/// How many paths are done, and how many bytes are copied. What was told of that is wiped out when this is dropped.
pub(super) struct Progress {
    paths: Cell<u64>,
    bytes: Cell<u64>,
    next: Cell<Instant>,
    told: Cell<bool>,
}

impl Progress {
    pub fn new() -> Progress {
        Progress {
            paths: Cell::default(),
            bytes: Cell::default(),
            next: Cell::new(Instant::now() + INTERVAL),
            told: Cell::default(),
        }
    }

    pub fn step(&self, step: Step) {
        match step {
            Step::Path => self.paths.set(self.paths.get() + 1),
            Step::Bytes(count) => self.bytes.set(self.bytes.get() + count),
        }
        if Instant::now() < self.next.get() {
            return;
        }
        self.next.set(Instant::now() + INTERVAL);
        if sys::is_terminal(sys::STREAMS[2]) {
            let paths = match self.paths.get() {
                0 => String::new(),
                1 => "1 path, ".into(),
                count => format!("{count} paths, "),
            };
            output::tell(&format!("\r\x1b[Ksbx: {paths}{}", bytes(self.bytes.get())));
            self.told.set(true);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.told.get() {
            output::tell("\r\x1b[K");
        }
    }
}

/// Writes what it is given, and counts that.
pub(super) struct Counted<'p, W> {
    pub output: W,
    pub progress: &'p Progress,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.output.write(bytes)?;
        self.progress.step(Step::Bytes(count as u64));
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.output.flush()
    }
}
