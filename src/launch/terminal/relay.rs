//! Copies between the caller's terminal and the program's, and has the caller's set as that needs.

use super::inner::{Came, Inner};
use super::modes::Modes;
use super::outer::Outer;
use super::output::{BUFFER, Output};
use super::readers::{Readers, Waiting};
use super::restore::{drop_answers, undo};
use super::streams::stream;
use crate::child::Terminal;
use crate::error::{Error, Result};
use crate::sys::{self, Poll, WindowSize};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Interval at which a job in the background looks whether it has come to the foreground: a shell does not tell one that runs.
const BACKGROUND: Duration = Duration::from_millis(200);
/// How soon, and how rarely at most, the settings of the program's terminal are looked at after something has happened. Nothing tells when
/// a program changes them; but it does so close to a prompt, and nobody answers that sooner.
const SETTINGS: [Duration; 2] = [Duration::from_millis(4), Duration::from_millis(500)];
/// How soon, and how rarely at most, it is looked again whether the program wants what was typed.
const READERS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(100)];
/// A program that has set its terminal gets its keys after this time even if it does not wait for them: it may look for them now and then.
const KEYS: Duration = Duration::from_millis(20);

/// A look that is repeated at growing intervals.
struct Look {
    range: [Duration; 2],
    interval: Duration,
    at: Instant,
}

impl Look {
    fn new(range: [Duration; 2]) -> Look {
        Look { range, interval: range[0], at: Instant::now() + range[0] }
    }

    /// Starts again with the shortest interval.
    fn soon(&mut self) {
        *self = Look::new(self.range);
    }

    fn is_due(&self) -> bool {
        Instant::now() >= self.at
    }

    /// It was done, and has found nothing.
    fn later(&mut self) {
        self.interval = (self.interval * 2).min(self.range[1]);
        self.at = Instant::now() + self.interval;
    }
}

/// Input that is there, and that nobody wants yet.
struct Pending {
    since: Instant,
    look: Look,
}

/// An end of the relay, by what it is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::launch) enum End {
    /// The caller's input, or the end of the caller's terminal.
    Input,
    /// The program's terminal: output, or room for input.
    Program,
    /// Room for output.
    Output,
}

/// Both terminals, each with the bytes still to be written to it. No call blocks: a terminal that nobody reads stops the program, not
/// the launcher.
struct Ends {
    inner: Inner,
    outer: Option<Outer>,
    /// The standard input and output, opened again without blocking, if no stream is a terminal.
    plain: [Option<OwnedFd>; 2],
    readers: Readers,
    settings: Look,
    pending: Option<Pending>,
    to_program: Vec<u8>,
    to_terminal: Output,
    /// What the program has made of the caller's terminal.
    modes: Modes,
    /// Plain input has ended.
    input_ended: bool,
    /// Plain input so far does not end with a line feed.
    open_line: bool,
    /// The program's input was discarded, and the caller's is to be. Not at once: the kernel also does that when the program's session ends,
    /// which says nothing about the caller's input, and of which PID 1 has sent a message by then.
    flush: bool,
}

/// The relay of a sandbox; it does nothing before [`Relay::start`], nor without a pseudo-terminal.
#[derive(Default)]
pub(in crate::launch) struct Relay(Option<Ends>);

impl Relay {
    /// Begins to relay to the pseudo-terminal with this master, which started with these settings. `first` is the sandbox's first
    /// process, and `init` says whether that is sbx's own.
    pub(in crate::launch) fn start(
        &mut self,
        master: OwnedFd,
        initial: Option<&Terminal>,
        first: i32,
        init: bool,
    ) -> Result<()> {
        let inner = Inner::new(master, initial.map(|terminal| terminal.settings));
        let inner = inner.map_err(|errno| Error::new(format!("cannot use the program's terminal: {errno}")))?;
        let outer = Outer::open();
        self.0 = Some(Ends {
            plain: match outer {
                Some(_) => [None, None],
                None => [sys::reopen(0, libc::O_RDONLY).ok(), sys::reopen(1, libc::O_WRONLY).ok()],
            },
            readers: Readers::new(first, init, inner.index()),
            inner,
            outer,
            settings: Look::new(SETTINGS),
            pending: None,
            to_program: Vec::new(),
            to_terminal: Output::default(),
            modes: Modes::default(),
            input_ended: false,
            open_line: false,
            flush: false,
        });
        self.resume();
        Ok(())
    }

    /// Whether the program's terminal is to be in the foreground: the caller's is ours. None if nothing is relayed, or if there is no
    /// terminal of the caller's.
    pub(in crate::launch) fn foreground(&mut self) -> Option<bool> {
        Some(self.0.as_mut()?.outer.as_mut()?.look())
    }

    /// Goes on after a stop, or in the foreground: gives the program's terminal the size of the caller's, and sets the caller's as the
    /// program's needs.
    pub(in crate::launch) fn resume(&mut self) {
        self.resize();
        if let Some(ends) = &mut self.0 {
            ends.settings.soon();
            ends.follow();
        }
    }

    /// Puts the settings of the caller's terminal back.
    pub(in crate::launch) fn suspend(&mut self) {
        if let Some(outer) = self.0.as_mut().and_then(|ends| ends.outer.as_mut()) {
            outer.put_back();
        }
    }

    pub(in crate::launch) fn resize(&self) {
        if let Some(Ends { inner, outer: Some(outer), .. }) = &self.0 {
            let _ = inner.resize(outer.as_fd());
        }
    }

    /// The rows and columns of the program's terminal.
    pub(in crate::launch) fn shown_in(&self) -> Option<[u16; 2]> {
        let size = self.0.as_ref()?.inner.size()?;
        Some([size.lines(), size.columns()])
    }

    /// Gives the program's terminal so many rows and columns, where no terminal of the caller's says what it has.
    pub(in crate::launch) fn show_in(&self, [rows, columns]: [u16; 2]) {
        if let Some(Ends { inner, outer: None, .. }) = &self.0 {
            inner.set_size(&WindowSize::of(rows, columns));
        }
    }

    /// Sends a signal of the caller's terminal to the foreground group of the program's; false if nothing is relayed.
    pub(in crate::launch) fn signal(&mut self, signal: i32) -> bool {
        let Some(ends) = &mut self.0 else { return false };
        ends.to_program.clear();
        ends.inner.signal(signal).is_ok()
    }

    /// Closes the program's terminal for good if the caller's has hung up; true if it is closed now.
    pub(in crate::launch) fn hang_up(&mut self) -> bool {
        let gone = self.0.as_ref().and_then(|ends| ends.outer.as_ref()).is_some_and(Outer::is_gone);
        if gone {
            self.0 = None;
        }
        gone
    }

    /// What to poll for at each [`End`], in their order.
    pub(in crate::launch) fn wants(&self) -> [Poll; 3] {
        self.0.as_ref().map_or_else(|| [-1; 3].map(Poll::read), Ends::wants)
    }

    /// Does what one end is ready for. True if the caller's terminal has hung up.
    pub(in crate::launch) fn pump(&mut self, end: End) -> bool {
        let Some(ends) = &mut self.0 else { return false };
        match end {
            End::Input => return ends.on_input(),
            End::Program => {
                ends.type_rest();
                while !ends.to_terminal.is_full() && ends.take() {
                    ends.settings.soon();
                }
                ends.give();
            }
            End::Output => ends.give(),
        }
        false
    }

    /// When [`Relay::look`] has something to do next.
    pub(in crate::launch) fn next_look(&self) -> Option<Instant> {
        let ends = self.0.as_ref()?;
        let outer = ends.outer.as_ref()?;
        if !outer.was_ours() {
            return Some(Instant::now() + BACKGROUND);
        }
        let pending = ends.pending.as_ref().map(|pending| pending.look.at);
        [Some(ends.settings.at), pending].into_iter().flatten().min()
    }

    /// Looks whether the program has set its terminal, and whether it wants the input that is there.
    pub(in crate::launch) fn look(&mut self) {
        let Some(ends) = &mut self.0 else { return };
        if std::mem::take(&mut ends.flush)
            && let Some(outer) = ends.outer.as_ref().filter(|outer| outer.is_ours())
        {
            let _ = sys::flush_input(outer.as_fd());
        }
        if ends.settings.is_due() {
            ends.settings.later();
            ends.follow();
        }
        if ends.pending.as_ref().is_some_and(|pending| pending.look.is_due()) {
            ends.offer();
        }
    }

    /// Writes the rest of the output, for as long as the terminal takes to show it, or with `skip` what it takes at once. `ended` tells
    /// whether a signal asks to stop; `reads` reads what was written, if that is to be done by this process.
    pub(in crate::launch) fn finish(
        &mut self,
        skip: bool,
        mut ended: impl FnMut() -> bool,
        mut reads: impl FnMut(),
        signals: BorrowedFd<'_>,
    ) {
        while let Some(ends) = &mut self.0 {
            let more = !ends.to_terminal.is_full() && ends.take();
            ends.give();
            if !more && ends.to_terminal.is_empty() {
                break;
            }
            if !ends.to_terminal.is_empty() {
                reads();
                let output = Poll { fd: ends.target().as_raw_fd(), read: false, write: true, ready: false };
                if skip || ended() || sys::poll(&mut [output, Poll::read(signals.as_raw_fd())], None).is_err() {
                    break;
                }
            }
        }
        if let Some(ends) = &mut self.0
            && let Some(outer) = &mut ends.outer
        {
            undo(outer, &mut ends.modes, !ends.to_terminal.is_empty());
            drop_answers(outer, &mut ends.modes, &mut ended, signals);
        }
        self.0 = None;
    }
}

impl Ends {
    fn wants(&self) -> [Poll; 3] {
        let input = match &self.outer {
            // An end of the terminal is reported even if nothing is asked for.
            Some(outer) => {
                let read = self.to_program.is_empty() && self.pending.is_none() && outer.was_ours();
                Poll { read, ..Poll::end(outer.number()) }
            }
            None if self.to_program.is_empty() && !self.input_ended => Poll::read(self.source().as_raw_fd()),
            None => Poll::read(-1),
        };
        let (full, writes) = (self.to_terminal.is_full(), !self.to_program.is_empty());
        let fd = if full && !writes { -1 } else { self.inner.number() };
        let output = if self.to_terminal.is_empty() { -1 } else { self.target().as_raw_fd() };
        [
            input,
            Poll { fd, read: !full, write: writes, ready: false },
            Poll { fd: output, read: false, write: true, ready: false },
        ]
    }

    /// Where output goes.
    fn target(&self) -> BorrowedFd<'_> {
        match (&self.outer, &self.plain) {
            (Some(outer), _) => outer.as_fd(),
            (None, [_, Some(plain)]) => plain.as_fd(),
            (None, _) => stream(1),
        }
    }

    /// Where input comes from if no stream is a terminal. What cannot be opened again, as sockets, is read only when it has something.
    fn source(&self) -> BorrowedFd<'_> {
        self.plain[0].as_ref().map_or(stream(0), AsFd::as_fd)
    }

    /// Sets the caller's terminal as the program's is set. The old settings stay until all output is written that the program wrote
    /// under its own old ones.
    fn follow(&mut self) {
        let Some(outer) = &mut self.outer else { return };
        match self.inner.changed() {
            Some(settings) => outer.pass_on(&settings),
            None if outer.is_passing() && self.to_terminal.is_empty() => outer.put_back(),
            None => {}
        }
    }

    /// The caller's input is ready, or its terminal has hung up, which is given.
    fn on_input(&mut self) -> bool {
        let Some(outer) = &self.outer else {
            self.plain_input();
            self.type_rest();
            return false;
        };
        if outer.is_gone() {
            return true;
        }
        if outer.is_ours() && self.pending.is_none() {
            self.pending = Some(Pending { since: Instant::now(), look: Look::new(READERS) });
            self.offer();
        }
        false
    }

    /// Hands input that is there to the program, if it wants it.
    fn offer(&mut self) {
        self.follow();
        let (Some(outer), Some(pending)) = (&self.outer, &mut self.pending) else { return };
        if !outer.is_ours() || !self.to_program.is_empty() {
            self.pending = None;
            return;
        }
        let passing = outer.is_passing();
        // Who has not read all that was given before does not wait, however it looks: it has just been woken.
        let wanted = self.inner.is_drained() && self.readers.waiting(!passing) != Waiting::No;
        let overdue = passing && pending.since.elapsed() >= KEYS;
        if !wanted && !overdue {
            pending.look.later();
            if passing {
                pending.look.at = pending.look.at.min(pending.since + KEYS);
            }
            return;
        }
        self.pending = None;
        let mut input = Vec::new();
        let read = outer.read(&mut input);
        self.modes.read(&input);
        match read {
            Ok(true) => self.inner.give_line(&input),
            Ok(false) => {
                self.to_program.extend(input);
                self.type_rest();
            }
            // Somebody else has read it meanwhile.
            Err(sys::Errno(libc::EAGAIN)) => return,
            Err(_) => {
                let look = Look { interval: READERS[1], at: Instant::now() + READERS[1], range: READERS };
                self.pending = Some(Pending { since: Instant::now(), look });
                return;
            }
        }
        self.settings.soon();
    }

    /// Reads input that does not come from a terminal, whose end becomes the character that ends the input of one. On an unfinished
    /// line the first one only ends the line.
    fn plain_input(&mut self) {
        let mut buffer = [0; BUFFER];
        match sys::read(self.source(), &mut buffer) {
            Ok(0) => {
                self.input_ended = true;
                self.to_program.extend_from_slice(if self.open_line { &[4, 4] } else { &[4] });
            }
            Ok(n) => {
                self.to_program.extend_from_slice(buffer.get(..n).unwrap_or_default());
                self.open_line = self.to_program.last() != Some(&b'\n');
            }
            Err(sys::Errno(libc::EAGAIN)) => {}
            Err(_) => self.input_ended = true,
        }
    }

    /// Types what the program's terminal did not take before.
    fn type_rest(&mut self) {
        if !self.to_program.is_empty() {
            let n = self.inner.type_keys(&self.to_program);
            self.to_program.drain(..n);
        }
    }

    /// Reads what the program wrote; false if there is nothing.
    fn take(&mut self) -> bool {
        let mut buffer = [0; BUFFER];
        match self.inner.read(&mut buffer) {
            Came::Output(n) => {
                let settings = self.inner.settings();
                // What a program writes once it has set its terminal is for a terminal that is set so.
                if let Some(outer) = self.outer.as_mut().filter(|_| self.inner.is_changed(&settings)) {
                    outer.pass_on(&settings);
                }
                let both = settings.ends_lines() && self.outer.as_ref().is_some_and(Outer::ends_lines);
                let output = buffer.get(1..=n).unwrap_or_default();
                if self.outer.is_some() {
                    self.modes.shown(output);
                }
                self.to_terminal.add(output, both);
                true
            }
            Came::Flush => {
                self.flush = true;
                true
            }
            Came::Nothing => {
                self.to_terminal.settle();
                false
            }
        }
    }

    /// Writes as much as the caller's terminal takes.
    fn give(&mut self) {
        if self.to_terminal.is_empty() {
            return;
        }
        match sys::write_some(self.target(), self.to_terminal.bytes()) {
            Ok(n) => self.to_terminal.written(n),
            Err(sys::Errno(libc::EAGAIN)) => {}
            // The terminal is gone: what it would have shown is lost.
            Err(_) => self.to_terminal.clear(),
        }
    }
}
