//! `sbx logs`: what the program of a sandbox in the background has written.

use super::log_source::Source;
use super::{args, elapsed, output, store};
use crate::error::{Error, Result};
use crate::state::{Entry, Line, Status, Stream};
use crate::sys;
use std::collections::VecDeque;
use std::io::Write;
use std::ops::ControlFlow;
use std::time::Duration;

/// How long a follower waits before it looks again.
const AGAIN: Duration = Duration::from_millis(100);

pub(super) fn main(args: &args::Logs) -> Result<u8> {
    let names = args.latest.or(&args.names)?;
    let store = store::store()?;
    let mut all = Vec::new();
    for name in &names {
        let entry = store.find(name).inspect(store::note)?;
        if let Some(why) = without(&entry) {
            return Err(Error::new(format!("{} has no log: {why}", entry.called())));
        }
        let source = Source::of(&entry)?;
        all.push((entry, source));
    }
    let time = |text: &Option<String>| text.as_deref().map(elapsed::when).transpose();
    let (since, until) = (time(&args.since)?, time(&args.until)?);
    let wanted =
        |line: &Line<'_>| since.is_none_or(|since| line.time >= since) && until.is_none_or(|until| line.time <= until);
    // Of several, each line says whose it is, as with podman.
    let heads =
        if all.len() > 1 { all.iter().map(|(entry, _)| entry.id.short().to_owned()).collect() } else { Vec::new() };
    let mut shown = Shown::new(args.timestamps, heads);
    let tail = args.tail.as_deref().filter(|text| *text != "all" && !text.starts_with('-'));
    let tail = tail.map(|text| {
        text.parse::<usize>()
            .map_err(|_| Error::new(format!("--tail {text}: it is no number of lines")).hint("a number, or `all`"))
    });
    let tail = tail.transpose()?;
    for (number, (entry, source)) in all.iter_mut().enumerate() {
        shown.whose = number;
        match tail {
            None => source.present(entry, &mut |line| shown.line(line, &wanted))?,
            Some(most) => {
                for line in last(entry, source, most, &wanted)? {
                    if shown.line(&line, &wanted).is_break() {
                        break;
                    }
                }
            }
        }
    }
    if args.follow {
        go_on(&mut all, &mut shown, &wanted, until)?;
    }
    shown.end()?;
    Ok(0)
}

/// Prints what comes until all of the sandboxes have ended.
fn go_on(
    all: &mut [(Entry, Source)],
    shown: &mut Shown,
    wanted: &dyn Fn(&Line<'_>) -> bool,
    until: Option<u64>,
) -> Result<()> {
    // How often in a row each was found ended with nothing more to read.
    let mut ended = vec![0; all.len()];
    while !shown.closed {
        let over = until.is_some_and(|until| sys::realtime_nanoseconds() > until);
        shown.flush();
        let (mut any, mut goes_on) = (false, false);
        for (number, ((entry, source), looks)) in all.iter_mut().zip(&mut ended).enumerate() {
            // Between two runs nobody holds the lock for a moment.
            let most = if matches!(entry.spec.restart.as_str(), "" | "no") { 1 } else { 2 };
            if *looks == most {
                continue;
            }
            // First whether it has ended: what it wrote last is read after that.
            let ends = entry.wait(Some(Duration::ZERO))? && !entry.is_kept();
            shown.whose = number;
            // Nothing that is wanted comes behind what came when all was over.
            let mut past = false;
            let came = source.next(&mut |line| {
                past |= over && Line::read(line).is_some_and(|line| until.is_some_and(|until| line.time > until));
                shown.line(line, wanted)
            })?;
            if source.has_gap() {
                shown.gap(entry.called());
            }
            *looks = match (past || over && !came, ends && !came && source.is_over(entry)) {
                (true, _) => most,
                (_, true) => *looks + 1,
                _ => 0,
            };
            any |= came;
            goes_on |= *looks < most;
        }
        if !goes_on {
            break;
        }
        if !any {
            std::thread::sleep(AGAIN);
        }
    }
    Ok(())
}

/// Why a sandbox has no log.
fn without(entry: &Entry) -> Option<&'static str> {
    match entry.spec.log_driver.as_str() {
        "none" => Some("it was started with --log-driver none"),
        "passthrough" => Some("it was started with --log-driver passthrough, and writes to what its caller had open"),
        _ if !entry.spec.detached && entry.status() != Status::Created => Some("it runs, or ran, in the foreground"),
        _ => None,
    }
}

/// The last lines of what there is. The pieces of a line count as one, whatever came from the other stream in between.
fn last(
    entry: &Entry,
    source: &mut Source,
    most: usize,
    wanted: &dyn Fn(&Line<'_>) -> bool,
) -> Result<VecDeque<Vec<u8>>> {
    let (mut kept, mut lines) = (VecDeque::new(), 0);
    // The number of the line of each stream that has not ended.
    let mut open: [Option<usize>; 2] = [None, None];
    source.present(entry, &mut |text| {
        let Some(line) = Line::read(text).filter(|line| wanted(line)) else { return ControlFlow::Continue(()) };
        let open = &mut open[usize::from(line.stream == Stream::Err)];
        let number = open.unwrap_or_else(|| {
            lines += 1;
            lines
        });
        *open = Some(number).filter(|_| !line.ends);
        kept.push_back((number, text.to_vec()));
        while kept.front().is_some_and(|(number, _)| number.saturating_add(most) <= lines) {
            kept.pop_front();
        }
        ControlFlow::Continue(())
    })?;
    Ok(kept.into_iter().filter(|(number, _)| number.saturating_add(most) > lines).map(|(_, text)| text).collect())
}

/// What is printed.
struct Shown {
    times: bool,
    /// What stands before the lines of each sandbox, if there are several.
    heads: Vec<String>,
    /// Whose lines come.
    whose: usize,
    out: Vec<u8>,
    err: Vec<u8>,
    /// Whether each stream is a terminal, which would act on what the program has written.
    terminals: [bool; 2],
    /// The sandbox and the stream whose last line has not ended, if one has not.
    open: Option<(usize, Stream)>,
    /// Nobody reads any more.
    closed: bool,
    failed: Option<std::io::Error>,
}

impl Shown {
    fn new(times: bool, heads: Vec<String>) -> Shown {
        Shown {
            times,
            heads,
            whose: 0,
            out: Vec::new(),
            err: Vec::new(),
            terminals: [1, 2].map(|stream: usize| sys::is_terminal(sys::STREAMS[stream])),
            open: None,
            closed: false,
            failed: None,
        }
    }

    /// Prints a line if it is wanted. It breaks once nobody reads.
    fn line(&mut self, text: &[u8], wanted: &dyn Fn(&Line<'_>) -> bool) -> ControlFlow<()> {
        let Some(line) = Line::read(text).filter(|line| wanted(line)) else { return ControlFlow::Continue(()) };
        let terminal = self.terminals[usize::from(line.stream == Stream::Err)];
        let begins = self.open != Some((self.whose, line.stream));
        // The other line would go on behind it.
        let follows = |(whose, stream)| self.terminals == [true, true] || whose != self.whose && stream == line.stream;
        if begins && self.open.is_some_and(follows) {
            self.buffer(line.stream).push(b'\n');
        }
        let head = self.heads.get(self.whose).filter(|_| begins).map(|head| format!("{head} "));
        let time = (self.times && begins).then(|| format!("{} ", line.written));
        let buffer = self.buffer(line.stream);
        buffer.extend_from_slice(head.unwrap_or_default().as_bytes());
        buffer.extend_from_slice(time.unwrap_or_default().as_bytes());
        if terminal {
            harmless(buffer, line.text, line.ends);
        } else {
            buffer.extend_from_slice(line.text);
        }
        if line.ends {
            buffer.push(b'\n');
        }
        self.open = Some((self.whose, line.stream)).filter(|_| !line.ends);
        if self.out.len() + self.err.len() > 1 << 16 {
            self.flush();
        }
        if self.closed { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Says that lines may be missing here.
    fn gap(&mut self, called: &str) {
        // A line that has begun does not go on behind it.
        if let Some((_, stream)) = self.open.take() {
            self.buffer(stream).push(b'\n');
        }
        self.flush();
        output::tell(&format!(
            "sbx: note: some of the output of {called} may be missing here: it writes faster than this is read, and its log keeps two files alone (a larger --log-opt max-size= keeps more)\n"
        ));
    }

    fn buffer(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Out => {
                // In the order in which they came.
                if !self.err.is_empty() {
                    self.flush();
                }
                &mut self.out
            }
            Stream::Err => {
                if !self.out.is_empty() {
                    self.flush();
                }
                &mut self.err
            }
        }
    }

    fn flush(&mut self) {
        let (out, err) = (std::mem::take(&mut self.out), std::mem::take(&mut self.err));
        let mut stdout = std::io::stdout();
        let written =
            stdout.write_all(&out).and_then(|()| stdout.flush()).and_then(|()| std::io::stderr().write_all(&err));
        if let Err(error) = written {
            self.closed = true;
            self.failed.get_or_insert(error);
        }
    }

    fn end(mut self) -> Result<()> {
        self.flush();
        match self.failed {
            Some(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(output::unwritable(error)),
            _ => Ok(()),
        }
    }
}

/// Appends a text so that a terminal only shows it: control characters become escapes, but for colours.
fn harmless(out: &mut Vec<u8>, text: &[u8], ends: bool) {
    let text = if ends { text.strip_suffix(b"\r").unwrap_or(text) } else { text };
    let text = String::from_utf8_lossy(text);
    let mut rest = text.as_ref();
    let mut coloured = false;
    while !rest.is_empty() {
        if let Some(length) = colour(rest) {
            out.extend_from_slice(rest.get(..length).unwrap_or_default().as_bytes());
            rest = rest.get(length..).unwrap_or_default();
            coloured = true;
            continue;
        }
        let mut chars = rest.chars();
        let first = chars.next().map(String::from).unwrap_or_default();
        match first.as_str() {
            "\t" => out.push(b'\t'),
            other => out.extend_from_slice(crate::error::printable(other).as_bytes()),
        }
        rest = chars.as_str();
    }
    if coloured && ends {
        out.extend_from_slice(b"\x1b[0m");
    }
}

/// The length of the sequence that sets colours (SGR) that a text begins with, if it does.
fn colour(text: &str) -> Option<usize> {
    let numbers = text.strip_prefix("\x1b[")?;
    let end = numbers.find(|c: char| !c.is_ascii_digit() && c != ';').filter(|end| *end < 32)?;
    numbers.get(end..)?.starts_with('m').then_some(2 + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_only_shows_what_a_log_holds() {
        let shown = |text: &[u8]| {
            let mut out = Vec::new();
            harmless(&mut out, text, true);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown(b"plain\ttext\r"), "plain\ttext");
        assert_eq!(shown(b"\x1b[31mred\x1b[0m"), "\x1b[31mred\x1b[0m\x1b[0m");
        for text in [
            "\x1b]52;c;eA==\x07",
            "\x1b[2J",
            "\x1b[6n",
            "\x1b[1;2",
            "\x1bP",
            "\u{9b}2J",
            "a\rb",
            "\x1b[38;5;1mx\x1b[?25l",
        ] {
            let out = shown(text.as_bytes());
            assert!(
                !out.replace("\x1b[38;5;1m", "").replace("\x1b[0m", "").contains(|c: char| c.is_control()),
                "{out:?}"
            );
        }
        assert!(!shown(b"\xff\x9b2J").contains('\u{9b}'));
    }
}
