//! The caller's terminal in front of a program whose terminal another process relays, or that has none: it shows what comes, and passes every key on.

use super::modes::Modes;
use super::outer::Outer;
use super::output::BUFFER;
use super::restore::{drop_answers, undo};
use super::streams::stream;
use crate::sys::{self, Poll, Termios, WindowSize};
use std::os::fd::BorrowedFd;

/// Interval, in milliseconds, at which a job in the background looks whether it has come to the foreground: a shell does not tell one that runs.
const BACKGROUND: i32 = 200;

/// The caller's terminal.
pub(in crate::launch) struct Screen {
    outer: Option<Outer>,
    /// Keys are read from it and passed on, those that send signals as well.
    keys: bool,
    /// What the program has made of it.
    modes: Modes,
    /// Whether standard output and standard error are a terminal.
    shows: [bool; 2],
}

impl Screen {
    /// The terminal that one of the standard streams is, if one is. With `keys`, what is typed there is passed on if standard input is one.
    pub(in crate::launch) fn open(keys: bool) -> Screen {
        let outer = Outer::open();
        let keys = keys && outer.is_some() && sys::is_terminal(stream(0));
        let mut screen = Screen {
            outer,
            keys,
            modes: Modes::default(),
            shows: [1, 2].map(|number| sys::is_terminal(stream(number))),
        };
        screen.follow();
        screen
    }

    /// Whether keys are passed on.
    pub(in crate::launch) fn passes_keys(&self) -> bool {
        self.keys
    }

    /// Looks whether the terminal may be set by this process, and sets it to pass keys on if that is wanted.
    pub(in crate::launch) fn follow(&mut self) {
        if let Some(outer) = self.outer.as_mut().filter(|_| self.keys)
            && outer.look()
            && !outer.is_passing()
        {
            // For one that handles everything itself: no key sends a signal here, and output stays as it is.
            outer.pass_on(&Termios::default());
        }
    }

    /// After how many milliseconds [`Screen::follow`] has something to do.
    pub(in crate::launch) fn next_look(&self) -> Option<i32> {
        let outer = self.outer.as_ref().filter(|_| self.keys)?;
        (!outer.was_ours()).then_some(BACKGROUND)
    }

    /// What to poll for keys; the end of the terminal is told in any case.
    pub(in crate::launch) fn wants(&self, room: bool) -> Poll {
        match self.outer.as_ref().filter(|_| self.keys) {
            Some(outer) => Poll { read: room && outer.was_ours(), ..Poll::end(outer.number()) },
            None => Poll::read(-1),
        }
    }

    /// Whether the terminal has hung up.
    pub(in crate::launch) fn is_gone(&self) -> bool {
        self.outer.as_ref().is_some_and(Outer::is_gone)
    }

    /// The keys that were typed.
    pub(in crate::launch) fn typed(&mut self) -> Vec<u8> {
        let mut keys = vec![0; BUFFER];
        let read = self.outer.as_ref().filter(|outer| outer.is_ours()).map(|outer| sys::read(outer.as_fd(), &mut keys));
        keys.truncate(if let Some(Ok(count)) = read { count } else { 0 });
        self.modes.read(&keys);
        keys
    }

    /// Takes note of what is written to standard output (0) or standard error (1).
    pub(in crate::launch) fn shown(&mut self, number: usize, bytes: &[u8]) {
        if self.shows.get(number) == Some(&true) {
            self.modes.shown(bytes);
        }
    }

    /// The size of its window.
    pub(in crate::launch) fn size(&self) -> Option<WindowSize> {
        self.outer.as_ref().and_then(|outer| sys::window_size(outer.as_fd()).ok())
    }

    /// Puts its settings back, until [`Screen::follow`] is called again.
    pub(in crate::launch) fn suspend(&mut self) {
        if let Some(outer) = &mut self.outer {
            outer.put_back();
        }
    }

    /// Puts back all that was changed. With `cut`, not all that the program has written was shown.
    pub(in crate::launch) fn restore(mut self, cut: bool, ended: &mut dyn FnMut() -> bool, signals: BorrowedFd<'_>) {
        if let Some(outer) = &mut self.outer {
            undo(outer, &mut self.modes, cut);
            drop_answers(outer, &mut self.modes, ended, signals);
            outer.put_back();
        }
    }
}
