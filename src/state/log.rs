//! What a program in the background writes, as a log: in the format of Kubernetes' container runtimes, a line for each piece that came,
//! `TIME STREAM F|P TEXT`, where P is one that the line goes on after.
//!
//! A log has two files, `log` and the older `log.1`. Once the first is as large as it may be it takes the place of the second. What cannot be written
//! is lost and counted: a full disk stops no program.

use super::place::{c, file};
use crate::sys::{self, Errno};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The names of the files, the newer first.
pub(super) const NAMES: [&str; 2] = ["log", "log.1"];

/// How large each file may become, in bytes, unless something else was asked for.
pub const SIZE: u64 = 10 << 20;

/// The longest text of a line; a longer one is cut into pieces.
pub const LONGEST: usize = 16 << 10;

/// A stream of the program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    fn word(self) -> &'static str {
        match self {
            Stream::Out => "stdout",
            Stream::Err => "stderr",
        }
    }
}

/// Writes a log.
#[derive(Debug)]
pub struct Log {
    dir: OwnedFd,
    file: Option<OwnedFd>,
    /// The size of the file, in bytes.
    size: u64,
    most: u64,
    /// How many bytes could not be written since the last that could.
    lost: u64,
}

impl Log {
    /// The log in the directory of a record, of which each file has at most so many bytes.
    ///
    /// # Errors
    ///
    /// Its file cannot be made.
    pub fn open(dir: OwnedFd, most: u64) -> sys::Result<Log> {
        let file = create(dir.as_fd())?;
        let size = size(file.as_fd())?;
        // A monitor that was killed may have left half of a line.
        let mut log = Log { dir, file: Some(file), size, most, lost: 0 };
        log.end_line();
        Ok(log)
    }

    /// Writes what has come from a stream.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (mut text, mut count) = (self.begun(time), 0);
        for whole in bytes.split_inclusive(|byte| *byte == b'\n') {
            if text.len() > LONGEST {
                self.append(&text, count);
                (text, count) = (self.begun(time), 0);
            }
            let (line, ends) = whole.strip_suffix(b"\n").map_or((whole, false), |line| (line, true));
            let mut pieces = line.chunks(LONGEST).peekable();
            if pieces.peek().is_none() {
                piece(&mut text, time, stream, b"", ends);
            }
            while let Some(part) = pieces.next() {
                piece(&mut text, time, stream, part, ends && pieces.peek().is_none());
            }
            count += whole.len() as u64;
        }
        self.append(&text, count);
    }

    /// What the next lines begin with: how much was lost before them, if anything was.
    fn begun(&self, time: Duration) -> Vec<u8> {
        let mut text = Vec::with_capacity(2 * LONGEST);
        if self.lost > 0 {
            let lost = format!("sbx: {} bytes of the output are lost, since they could not be written", self.lost);
            piece(&mut text, time, Stream::Err, lost.as_bytes(), true);
        }
        text
    }

    /// Appends whole lines, which begin with what was lost before them, and in which so many bytes of the program's are, to the file or a new one.
    fn append(&mut self, text: &[u8], bytes: u64) {
        if self.size + text.len() as u64 > self.most && self.size > 0 {
            self.turn();
        }
        if self.file.is_none() {
            self.anew();
        }
        match self.put(text) {
            Ok(()) => self.lost = 0,
            Err(_) => self.lost = self.lost.saturating_add(bytes),
        }
    }

    /// Appends whole lines, or nothing.
    fn put(&mut self, text: &[u8]) -> sys::Result<()> {
        let file = self.file.as_ref().ok_or(Errno(libc::EBADF))?;
        let mut at = 0;
        while at < text.len() {
            match sys::write_at(file.as_fd(), text.get(at..).unwrap_or_default(), self.size + at as u64) {
                Ok(count @ 1..) => at += count,
                Err(Errno(libc::EINTR)) => {}
                failed => {
                    let _ = sys::truncate(file.as_fd(), self.size);
                    return failed.map(drop).and(Err(Errno(libc::ENOSPC)));
                }
            }
        }
        self.size += text.len() as u64;
        Ok(())
    }

    /// Begins a new file; the one so far takes the place of the older.
    fn turn(&mut self) {
        let [new, old] = NAMES.map(c);
        if sys::rename(self.dir.as_fd(), &new, self.dir.as_fd(), &old, 0).is_err() {
            // It goes on in the same file, which must not grow for ever.
            if let Some(file) = &self.file
                && sys::truncate(file.as_fd(), 0).is_ok()
            {
                self.size = 0;
            }
            return;
        }
        self.anew();
    }

    /// Opens a new file. Where none can be made, the next lines try it again.
    fn anew(&mut self) {
        let made = create(self.dir.as_fd()).and_then(|file| Ok((size(file.as_fd())?, file)));
        (self.size, self.file) = made.map_or((0, None), |(size, file)| (size, Some(file)));
    }

    fn end_line(&mut self) {
        let Some(file) = &self.file else { return };
        let mut last = [b'\n'];
        if self.size > 0 && sys::read_at(file.as_fd(), &mut last, self.size - 1) == Ok(1) && last != [b'\n'] {
            let _ = self.put(b"\n");
        }
    }
}

fn create(dir: BorrowedFd<'_>) -> sys::Result<OwnedFd> {
    let [new, _] = NAMES.map(c);
    match file(dir, &new, libc::O_RDWR) {
        Err(Errno(libc::ENOENT)) => {
            sys::openat(dir, &new, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW, 0o600)
        }
        other => other,
    }
}

pub(super) fn size(file: BorrowedFd<'_>) -> sys::Result<u64> {
    Ok(sys::status_of(file, c"")?.size)
}

/// Appends one line of the log.
fn piece(text: &mut Vec<u8>, time: Duration, stream: Stream, part: &[u8], ends: bool) {
    let time = humantime::format_rfc3339_nanos(UNIX_EPOCH + time);
    text.extend_from_slice(format!("{time} {} {} ", stream.word(), if ends { 'F' } else { 'P' }).as_bytes());
    text.extend_from_slice(part);
    text.push(b'\n');
}

/// A line of a log.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// When it came, in nanoseconds since 1970.
    pub time: u64,
    /// The same as it stands there.
    pub written: &'a str,
    /// Where it came from.
    pub stream: Stream,
    /// Whether the program's line ends with it.
    pub ends: bool,
    /// The text.
    pub text: &'a [u8],
}

impl Line<'_> {
    /// A line as it is written, without its line feed. The time is that since 1970.
    pub(super) fn written(time: Duration, stream: Stream, text: &[u8], ends: bool) -> Vec<u8> {
        let mut line = Vec::with_capacity(text.len() + 64);
        piece(&mut line, time, stream, text, ends);
        line.pop();
        line
    }

    /// Reads one line, without its line feed; none if it is none.
    pub fn read(line: &[u8]) -> Option<Line<'_>> {
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let written = std::str::from_utf8(parts.next()?).ok()?;
        let time = humantime::parse_rfc3339(written).ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        let stream = match parts.next()? {
            b"stdout" => Stream::Out,
            b"stderr" => Stream::Err,
            _ => return None,
        };
        let ends = match parts.next()? {
            b"F" => true,
            b"P" => false,
            _ => return None,
        };
        Some(Line { time: u64::try_from(time).ok()?, written, stream, ends, text: parts.next()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(dir: &tempfile::TempDir, name: &str) -> Vec<String> {
        let text = std::fs::read(dir.path().join(name)).unwrap();
        let lines = text.split(|byte| *byte == b'\n').filter_map(Line::read);
        lines.map(|line| String::from_utf8_lossy(line.text).into_owned()).collect()
    }

    fn open(dir: &tempfile::TempDir) -> OwnedFd {
        std::fs::File::open(dir.path()).unwrap().into()
    }

    /// A file that nothing can be written to.
    fn unwritable(dir: &tempfile::TempDir) -> OwnedFd {
        std::fs::File::open(dir.path().join("log")).unwrap().into()
    }

    #[test]
    fn a_file_that_could_not_be_made_is_made_later_and_what_was_lost_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(open(&dir), 1000).unwrap();
        log.write(Stream::Out, &[b'x'; 900]);
        // As where the file has become the older one, and another cannot be made.
        log.turn();
        log.file = None;
        std::fs::remove_file(dir.path().join("log")).unwrap();
        std::fs::create_dir(dir.path().join("log")).unwrap();
        log.write(Stream::Out, b"lost\n");
        log.write(Stream::Out, b"lost, too\n");
        assert_eq!(log.lost, 15);
        std::fs::remove_dir(dir.path().join("log")).unwrap();
        log.write(Stream::Out, b"kept\n");
        let lost = "sbx: 15 bytes of the output are lost, since they could not be written";
        assert_eq!(texts(&dir, "log"), [lost, "kept"]);
        assert_eq!(texts(&dir, "log.1").len(), 1);
    }

    #[test]
    fn what_is_lost_is_counted_once_and_told_before_what_is_written_by_the_same_call() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(open(&dir), SIZE).unwrap();
        log.file = Some(unwritable(&dir));
        // Each of these is written in several parts.
        let lines = [&[b'x'; 9999][..], b"\n"].concat().repeat(7);
        log.write(Stream::Out, &lines);
        assert_eq!(log.lost, lines.len() as u64);
        // The first part is lost, the next one is not: a new file is begun for it.
        let mut log = Log::open(open(&dir), SIZE).unwrap();
        log.file = Some(unwritable(&dir));
        log.size = 1;
        log.most = 20_100;
        log.write(Stream::Out, lines.get(..40_000).unwrap());
        let told: Vec<_> =
            NAMES.iter().rev().flat_map(|name| texts(&dir, name)).filter(|text| text.starts_with("sbx: ")).collect();
        assert_eq!(told, ["sbx: 20000 bytes of the output are lost, since they could not be written"]);
        assert_eq!(log.lost, 0);
    }

    #[test]
    fn a_line_that_a_monitor_left_half_written_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("log"), "half").unwrap();
        let mut log = Log::open(open(&dir), 4000).unwrap();
        log.write(Stream::Out, b"whole\n");
        assert!(std::fs::read_to_string(dir.path().join("log")).unwrap().starts_with("half\n2"));
    }
}
