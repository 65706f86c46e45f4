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
        let mut text = Vec::with_capacity(bytes.len() + 128);
        if self.lost > 0 {
            let lost = format!("sbx: {} bytes of the output are lost, since they could not be written", self.lost);
            piece(&mut text, time, Stream::Err, lost.as_bytes(), true);
        }
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if text.len() > LONGEST {
                self.append(&text, bytes.len());
                text.clear();
            }
            let (line, ends) = line.strip_suffix(b"\n").map_or((line, false), |line| (line, true));
            let mut pieces = line.chunks(LONGEST).peekable();
            if pieces.peek().is_none() {
                piece(&mut text, time, stream, b"", ends);
            }
            while let Some(part) = pieces.next() {
                piece(&mut text, time, stream, part, ends && pieces.peek().is_none());
            }
        }
        self.append(&text, bytes.len());
    }

    /// Appends whole lines, in which so many bytes of the program's are, to the file or a new one.
    fn append(&mut self, text: &[u8], bytes: usize) {
        if self.size + text.len() as u64 > self.most && self.size > 0 {
            self.turn();
        }
        match self.put(text) {
            Ok(()) => self.lost = 0,
            Err(_) => self.lost = self.lost.saturating_add(bytes as u64),
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
        self.file = create(self.dir.as_fd()).ok();
        self.size = 0;
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

fn size(file: BorrowedFd<'_>) -> sys::Result<u64> {
    Ok(sys::status_of(file, c"")?.size)
}

/// A file of a log, and where to begin to read it.
fn begun(file: OwnedFd, most: u64) -> (OwnedFd, u64) {
    // The longest line may stand behind what fills it.
    let start = size(file.as_fd()).unwrap_or_default().saturating_sub(most + 4 * LONGEST as u64);
    (file, start)
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

/// Reads a log while it is written.
pub struct Reader {
    dir: OwnedFd,
    /// The names of its files, the newer first.
    names: [&'static str; 2],
    /// The file that is read, and how far.
    open: Option<(OwnedFd, u64)>,
    /// The file after that, if it was there when the reader was made.
    then: Option<OwnedFd>,
    /// How much is read of a file that was there, in bytes.
    most: u64,
    /// What was read, and is not a whole line yet.
    rest: Vec<u8>,
}

impl Reader {
    /// A reader of the log in the directory of a record, from the older file on. Of a file that is larger than `most` bytes, which no monitor
    /// has written, it reads the end.
    pub(super) fn new(dir: OwnedFd, most: u64) -> Reader {
        Reader::of(dir, NAMES, most)
    }

    /// A reader of files with these names, the newer first, which take each other's place as those of a log do.
    pub(super) fn of(dir: OwnedFd, names: [&'static str; 2], most: u64) -> Reader {
        // The newer one first: if it takes the place of the older one meanwhile, both are the same file, and none is missed.
        let [new, old] = names.map(|name| file(dir.as_fd(), &c(name), libc::O_RDONLY).ok());
        let same = |a: &OwnedFd, b: &OwnedFd| sys::stat(a.as_fd()) == sys::stat(b.as_fd());
        let (first, then) = match (old, new) {
            (Some(old), Some(new)) if !same(&old, &new) => (Some(old), Some(new)),
            (old, new) => (old.or(new), None),
        };
        let most = most.max(SIZE);
        Reader { open: first.map(|file| begun(file, most)), then, most, dir, names, rest: Vec::new() }
    }

    /// Reads what is there by now, and no more, however fast the program writes; calls for each whole line. Gives whether there was any.
    pub fn present(&mut self, each: &mut dyn FnMut(&[u8])) -> bool {
        let last = self.then.as_ref().or(self.open.as_ref().map(|(file, _)| file));
        let Some(size) = last.and_then(|file| size(file.as_fd()).ok()) else { return false };
        self.read(Some(size), each)
    }

    /// Reads on to the end, and calls for each whole line. Gives whether there was any.
    pub fn next(&mut self, each: &mut dyn FnMut(&[u8])) -> bool {
        self.read(None, each)
    }

    /// Reads on; of the last file that is known, no more than `most` bytes.
    fn read(&mut self, most: Option<u64>, each: &mut dyn FnMut(&[u8])) -> bool {
        let mut buffer = vec![0; 1 << 16];
        let mut any = false;
        let [new, _] = self.names.map(c);
        loop {
            let Some((open, at)) = &mut self.open else {
                let Ok(file) = file(self.dir.as_fd(), &new, libc::O_RDONLY) else { return any };
                self.open = Some((file, 0));
                continue;
            };
            let room = most.filter(|_| self.then.is_none()).map(|most| most.saturating_sub(*at));
            let room = room.and_then(|room| usize::try_from(room).ok()).unwrap_or(usize::MAX);
            let length = room.min(buffer.len());
            match sys::read_at(open.as_fd(), buffer.get_mut(..length).unwrap_or_default(), *at) {
                Ok(count @ 1..) => {
                    *at += count as u64;
                    self.rest.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    any |= self.lines(each);
                }
                Ok(0) => {
                    if let Some(then) = self.then.take() {
                        self.open = Some(begun(then, self.most));
                        self.rest.clear();
                        continue;
                    }
                    if most.is_some() {
                        return any;
                    }
                    // At its end: another file may have come since.
                    let newest = sys::stat_below(self.dir.as_fd(), &new);
                    if newest.is_err() || newest == sys::stat(open.as_fd()) {
                        return any;
                    }
                    // What was written between the read and the look.
                    if size(open.as_fd()).is_ok_and(|size| size > *at) {
                        continue;
                    }
                    self.open = None;
                    self.rest.clear();
                }
                Err(_) => return any,
            }
        }
    }

    fn lines(&mut self, each: &mut dyn FnMut(&[u8])) -> bool {
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            // No writer makes such a line.
            if self.rest.len() > 4 * LONGEST {
                self.rest.clear();
            }
            return false;
        };
        let after = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, after);
        whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).for_each(each);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(reader: &mut Reader) -> Vec<(Stream, bool, String)> {
        let mut lines = Vec::new();
        reader.next(&mut |line| {
            let line = Line::read(line).unwrap();
            lines.push((line.stream, line.ends, String::from_utf8(line.text.to_vec()).unwrap()));
        });
        lines
    }

    fn open(dir: &tempfile::TempDir) -> OwnedFd {
        std::fs::File::open(dir.path()).unwrap().into()
    }

    #[test]
    fn what_is_written_is_read_line_by_line_while_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(open(&dir), SIZE).unwrap();
        let mut reader = Reader::new(open(&dir), SIZE);
        assert_eq!(all(&mut reader), []);
        log.write(Stream::Out, b"one\n\ntwo ");
        log.write(Stream::Err, b"three\n");
        let line = |stream, ends, text: &str| (stream, ends, text.to_owned());
        let (out, err) = (Stream::Out, Stream::Err);
        let wanted = [line(out, true, "one"), line(out, true, ""), line(out, false, "two "), line(err, true, "three")];
        assert_eq!(all(&mut reader), wanted);
        log.write(out, &[b'x'; LONGEST + 1]);
        let lines = all(&mut reader);
        assert_eq!(lines.iter().map(|line| (line.1, line.2.len())).collect::<Vec<_>>(), [(false, LONGEST), (false, 1)]);
    }

    #[test]
    fn what_is_there_is_read_to_its_end_although_more_is_written_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(open(&dir), 4000).unwrap();
        for number in 0..100 {
            log.write(Stream::Out, format!("line {number}\n").as_bytes());
        }
        let mut reader = Reader::new(open(&dir), SIZE);
        let (mut first, mut last, mut read) = (None, None, 0);
        reader.present(&mut |line| {
            let text = String::from_utf8(Line::read(line).unwrap().text.to_vec()).unwrap();
            first.get_or_insert(text.clone());
            last = Some(text);
            read += 1;
            assert!(read <= 100, "it follows what is written");
            // More than the file takes: it is turned away while it is read.
            for _ in 0..5 {
                log.write(Stream::Out, b"meanwhile, and rather long\n");
            }
        });
        assert_eq!(last.as_deref(), Some("line 99"));
        assert!(read > 50 && first.is_some_and(|first| first.starts_with("line ")));
        // A follower goes on from there.
        log.write(Stream::Out, b"end\n");
        assert_eq!(all(&mut reader).last().unwrap().2, "end");
    }

    #[test]
    fn a_log_turns_and_takes_no_more_than_two_files() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(open(&dir), 4000).unwrap();
        let mut reader = Reader::new(open(&dir), SIZE);
        let mut read = Vec::new();
        for number in 0..500 {
            log.write(Stream::Out, format!("line {number}\n").as_bytes());
            read.extend(all(&mut reader));
        }
        assert_eq!(read.len(), 500, "a reader that keeps up misses nothing");
        for name in NAMES {
            assert!(std::fs::metadata(dir.path().join(name)).unwrap().len() <= 4000);
        }
        let late = all(&mut Reader::new(open(&dir), SIZE));
        assert_eq!(late.last().unwrap().2, "line 499");
        // One that no monitor has written.
        std::fs::File::options().write(true).open(dir.path().join("log.1")).unwrap().set_len(1 << 40).unwrap();
        let late = all(&mut Reader::new(open(&dir), SIZE));
        assert_eq!(late.last().unwrap().2, "line 499");
        // One that a monitor left half written.
        std::fs::write(dir.path().join("log"), "half").unwrap();
        let mut log = Log::open(open(&dir), 4000).unwrap();
        log.write(Stream::Out, b"whole\n");
        assert!(std::fs::read_to_string(dir.path().join("log")).unwrap().starts_with("half\n2"));
    }
}
