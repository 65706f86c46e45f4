//! Reads a log while it is written, and whatever else has two files of which the newer takes the place of the older.

use super::log::{LONGEST, NAMES, SIZE, size};
use super::place::{c, file};
use crate::sys;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};

/// How much is read at once while more is written, in bytes.
const PART: u64 = 1 << 20;

/// What is done with a line; it says whether more are wanted.
type Each<'a> = &'a mut dyn FnMut(&[u8]) -> ControlFlow<()>;

/// Reads a log while it is written.
pub struct Reader {
    dir: OwnedFd,
    /// The names of its files, the newer first.
    names: [&'static str; 2],
    /// The file that is read, and how far.
    open: Option<(OwnedFd, u64)>,
    /// The file after that, once it is seen: it stays open, whatever becomes of its name.
    then: Option<OwnedFd>,
    /// There may have been others between the two.
    unknown: bool,
    /// The reader has come to such a place.
    gap: bool,
    /// How much is read of a file that was there, in bytes.
    most: u64,
    /// What was read, and not given away yet.
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
        let most = most.max(SIZE);
        let mut reader =
            Reader { dir, names, open: None, then: None, unknown: false, gap: false, most, rest: Vec::new() };
        let [first, then] = reader.files();
        reader.open = first.map(|file| reader.begun(file));
        reader.then = then;
        reader
    }

    /// The files that there are, the older first.
    fn files(&self) -> [Option<OwnedFd>; 2] {
        // The newer one first: if it takes the place of the older one meanwhile, both are the same file, and none is missed.
        let [new, old] = self.names.map(|name| file(self.dir.as_fd(), &c(name), libc::O_RDONLY).ok());
        match (old, new) {
            (Some(old), Some(new)) if !same(&old, &new) => [Some(old), Some(new)],
            (old, new) => [old.or(new), None],
        }
    }

    /// A file, and where to begin to read it.
    fn begun(&self, file: OwnedFd) -> (OwnedFd, u64) {
        // The longest line may stand behind what fills it.
        let most = self.most.saturating_add(4 * LONGEST as u64);
        let start = size(file.as_fd()).unwrap_or_default().saturating_sub(most);
        (file, start)
    }

    /// Looks which file comes after the one that is read.
    fn look(&mut self) {
        let Some((open, _)) = &self.open else {
            let [first, then] = self.files();
            self.open = first.map(|file| self.begun(file));
            self.then = then;
            return;
        };
        if self.then.is_some() {
            return;
        }
        let current = sys::stat(open.as_fd());
        let [new, old] = self.names.map(|name| sys::stat_below(self.dir.as_fd(), &c(name)));
        if new == current || new.is_err() && (old == current || old.is_err()) {
            return;
        }
        // Nothing came between two that have both names.
        let next = (old == current).then_some(new);
        let found = self.files().into_iter().flatten().find(|file| sys::stat(file.as_fd()) != current);
        self.unknown = found.as_ref().map(|file| sys::stat(file.as_fd())) != next;
        self.then = found;
    }

    /// Reads what is there by now, and no more, however fast the program writes; calls for each whole line until that wants no more. Gives whether
    /// there was anything.
    pub fn present(&mut self, each: Each<'_>) -> bool {
        let last = self.then.as_ref().or(self.open.as_ref().map(|(file, _)| file));
        let Some(size) = last.and_then(|file| size(file.as_fd()).ok()) else { return false };
        self.read(Some(size), each)
    }

    /// Reads on, and calls for each whole line until that wants no more. Gives whether there was anything: there may be more then, since it reads
    /// no more than a part of what a program writes that is faster.
    pub fn next(&mut self, each: Each<'_>) -> bool {
        self.look();
        self.read(None, each)
    }

    /// Whether lines may be missing before those that come next, since more was written meanwhile than the files hold. It says so once.
    pub fn has_gap(&mut self) -> bool {
        std::mem::take(&mut self.gap)
    }

    /// Reads on: the last file that is known up to `most` bytes of it; without that, a part of what there is.
    fn read(&mut self, most: Option<u64>, each: Each<'_>) -> bool {
        let mut buffer = vec![0; 1 << 16];
        let mut count = 0;
        // What was left because no more was wanted.
        let mut any = !self.rest.is_empty() && self.rest.contains(&b'\n');
        if self.lines(each).is_break() {
            return true;
        }
        while count < PART || most.is_some() {
            let Some((open, at)) = &mut self.open else { return any };
            let room = most.filter(|_| self.then.is_none()).map(|most| most.saturating_sub(*at));
            let room = room.and_then(|room| usize::try_from(room).ok()).unwrap_or(usize::MAX);
            let length = room.min(buffer.len());
            match sys::read_at(open.as_fd(), buffer.get_mut(..length).unwrap_or_default(), *at) {
                Ok(read @ 1..) => {
                    *at += read as u64;
                    count += read as u64;
                    any = true;
                    self.rest.extend_from_slice(buffer.get(..read).unwrap_or_default());
                    if self.lines(each).is_break() {
                        return true;
                    }
                }
                Ok(0) if most.is_some() && self.then.is_none() => return any,
                Ok(0) => match self.at_end(most.is_none()) {
                    ControlFlow::Continue(()) => {}
                    ControlFlow::Break(came) => return any || came,
                },
                Err(_) => return any,
            }
        }
        any
    }

    /// What follows the end of a file: the next one that is known, or with `looks` that is there by now. It breaks where there is nothing more, or
    /// something to tell.
    fn at_end(&mut self, looks: bool) -> ControlFlow<bool> {
        if looks {
            self.look();
        }
        let Some((open, at)) = &mut self.open else { return ControlFlow::Break(false) };
        match size(open.as_fd()) {
            // What was written between the read and the look.
            Ok(size) if size > *at => return ControlFlow::Continue(()),
            // It has begun anew.
            Ok(size) if *at - size > 4 * LONGEST as u64 => {
                *at = 0;
                self.gap = true;
            }
            // Lines that could not be written whole were taken back.
            Ok(size) if size < *at => *at = size,
            Ok(_) if self.then.is_none() => return ControlFlow::Break(false),
            Ok(_) => {
                self.gap |= std::mem::take(&mut self.unknown);
                self.open = self.then.take().map(|file| self.begun(file));
                // The one after it is opened before it goes, too.
                if looks {
                    self.look();
                }
            }
            Err(_) => return ControlFlow::Break(false),
        }
        self.rest.clear();
        if self.gap { ControlFlow::Break(true) } else { ControlFlow::Continue(()) }
    }

    /// Gives whole lines away.
    fn lines(&mut self, each: Each<'_>) -> ControlFlow<()> {
        let (mut at, mut flow) = (0, ControlFlow::Continue(()));
        while flow.is_continue() {
            let rest = self.rest.get(at..).unwrap_or_default();
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { break };
            let line = rest.get(..end).unwrap_or_default();
            at += end + 1;
            if !line.is_empty() {
                flow = each(line);
            }
        }
        self.rest.drain(..at);
        // No writer makes such a line.
        if flow.is_continue() && self.rest.len() > 4 * LONGEST {
            self.rest.clear();
        }
        flow
    }
}

/// Whether two descriptors are of one file.
fn same(a: &OwnedFd, b: &OwnedFd) -> bool {
    sys::stat(a.as_fd()) == sys::stat(b.as_fd())
}

#[cfg(test)]
mod tests {
    use super::super::log::{Line, Log, Stream};
    use super::*;

    fn all(reader: &mut Reader) -> Vec<(Stream, bool, String)> {
        let mut lines = Vec::new();
        while reader.next(&mut |line| {
            let line = Line::read(line).unwrap();
            lines.push((line.stream, line.ends, String::from_utf8(line.text.to_vec()).unwrap()));
            ControlFlow::Continue(())
        }) {}
        lines
    }

    fn texts(reader: &mut Reader) -> Vec<String> {
        all(reader).into_iter().map(|line| line.2).collect()
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
            ControlFlow::Continue(())
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
        let late = all(&mut Reader::new(open(&dir), u64::MAX));
        assert_eq!(late.last().unwrap().2, "line 499");
        // One that no monitor has written.
        std::fs::File::options().write(true).open(dir.path().join("log.1")).unwrap().set_len(1 << 40).unwrap();
        let late = all(&mut Reader::new(open(&dir), SIZE));
        assert_eq!(late.last().unwrap().2, "line 499");
    }

    #[test]
    fn a_reader_that_is_slow_reads_each_file_that_is_still_there() {
        let dir = tempfile::tempdir().unwrap();
        // Each file takes one of these.
        let mut log = Log::open(open(&dir), 1000).unwrap();
        let mut write = |text: &str| log.write(Stream::Out, format!("{text:900}\n").as_bytes());
        let read =
            |reader: &mut Reader| -> Vec<_> { texts(reader).iter().map(|text| text.trim_end().to_owned()).collect() };
        write("one");
        let mut reader = Reader::new(open(&dir), SIZE);
        write("two");
        // One that has seen what follows its file has that, although its name is gone.
        assert!(reader.next(&mut |_| ControlFlow::Break(())));
        write("three");
        assert!(!reader.has_gap());
        assert_eq!(read(&mut reader), ["two", "three"]);
        assert!(!reader.has_gap());
        // One that comes back late finds the two that there are, and says that there may have been others.
        write("four");
        write("five");
        let mut seen = 0;
        assert!(reader.next(&mut |_| {
            seen += 1;
            ControlFlow::Continue(())
        }));
        assert!(seen == 0 && reader.has_gap() && !reader.has_gap(), "it is told where it is");
        assert_eq!(read(&mut reader), ["four", "five"]);
        assert!(!reader.has_gap());
        for text in ["six", "seven", "eight", "nine"] {
            write(text);
        }
        assert!(reader.next(&mut |_| ControlFlow::Continue(())) && reader.has_gap());
        assert_eq!(read(&mut reader), ["eight", "nine"]);
        // One that was given nothing yet, while its file goes.
        write("ten");
        let mut reader = Reader::new(open(&dir), SIZE);
        assert!(reader.next(&mut |_| ControlFlow::Break(())));
        for text in ["eleven", "twelve", "thirteen"] {
            write(text);
        }
        assert_eq!(read(&mut reader), ["ten", "twelve", "thirteen"]);
        assert!(reader.has_gap());
    }

    #[test]
    fn a_reader_that_follows_gives_others_their_turn_however_fast_the_program_writes_and_stops_when_it_is_told_to() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(open(&dir), SIZE).unwrap();
        let mut reader = Reader::new(open(&dir), SIZE);
        log.write(Stream::Out, b"begin\n");
        let (long, mut read) = ([&[b'x'; 9999][..], b"\n"].concat(), 0);
        assert!(reader.next(&mut |_| {
            read += 1;
            assert!(read < 1000, "it follows what is written without an end");
            (0..2).for_each(|_| log.write(Stream::Out, &long));
            ControlFlow::Continue(())
        }));
        // It goes on from there, line by line if that is wanted.
        assert!(texts(&mut reader).len() > read);
        log.write(Stream::Out, b"one\ntwo\nthree\n");
        for wanted in ["one", "two", "three"] {
            let mut last = String::new();
            assert!(reader.next(&mut |line| {
                last = String::from_utf8(Line::read(line).unwrap().text.to_vec()).unwrap();
                ControlFlow::Break(())
            }));
            assert_eq!(last, wanted);
        }
        assert!(!reader.next(&mut |_| ControlFlow::Break(())));
    }

    #[test]
    fn what_a_writer_takes_back_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(open(&dir), SIZE).unwrap();
        let mut reader = Reader::new(open(&dir), SIZE);
        log.write(Stream::Out, b"one\n");
        let path = dir.path().join("log");
        let whole = std::fs::metadata(&path).unwrap().len();
        // A part of a line, as of a disk that is full; and it is taken back.
        std::fs::write(&path, [&std::fs::read(&path).unwrap()[..], b"2026-11-29T16:00"].concat()).unwrap();
        assert_eq!(texts(&mut reader), ["one"]);
        std::fs::File::options().write(true).open(&path).unwrap().set_len(whole).unwrap();
        assert_eq!(texts(&mut reader), [""; 0]);
        log.write(Stream::Out, b"two\n");
        assert_eq!(texts(&mut reader), ["two"]);
        assert!(!reader.has_gap());
        // A file that begins anew, since it could not be turned.
        log.write(Stream::Out, &b"long\n".repeat(3000));
        assert_eq!(texts(&mut reader).len(), 3000);
        std::fs::write(&path, "").unwrap();
        let mut log = Log::open(open(&dir), SIZE).unwrap();
        log.write(Stream::Out, b"anew\n");
        assert!(reader.next(&mut |_| ControlFlow::Continue(())) && reader.has_gap());
        assert_eq!(texts(&mut reader), ["anew"]);
    }
}
