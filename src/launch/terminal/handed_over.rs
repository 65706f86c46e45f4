//! The caller's terminal where it is handed over to the program: what the program would leave on it is undone at the end.

use super::streams::{stream, tty};
use crate::sys::{self, Termios, WindowSize};
use std::os::fd::BorrowedFd;

/// The state of the caller's terminal before the program was started. It is for programs that have the terminal itself as a stream.
pub(in crate::launch) struct HandedOver {
    terminal: BorrowedFd<'static>,
    /// Its settings, if those are to be put back.
    settings: Option<Termios>,
    exclusive: bool,
    discipline: Option<i32>,
    /// This process's group was in the foreground.
    foreground: bool,
    /// The status flags of each stream that is a terminal: other processes share the open file descriptions.
    flags: [Option<i32>; 3],
    /// The signal by which each of them says that it is ready.
    signals: [Option<i32>; 3],
    /// The window's size of each stream that is a terminal.
    sizes: [Option<WindowSize>; 3],
}

impl HandedOver {
    /// The state now; none if no stream is a terminal. With `settings`, they are put back as well: a program without a controlling
    /// terminal has no business to set one.
    pub(in crate::launch) fn now(settings: bool) -> Option<HandedOver> {
        let terminal = tty()?;
        Some(HandedOver {
            terminal,
            settings: if settings { sys::terminal_settings(terminal).ok() } else { None },
            exclusive: sys::is_exclusive(terminal).unwrap_or(true),
            discipline: sys::line_discipline(terminal).ok(),
            foreground: sys::in_foreground(terminal),
            flags: of_terminals(sys::status_flags),
            signals: of_terminals(sys::ready_signal),
            sizes: [0, 1, 2].map(|number| sys::window_size(stream(number)).ok()),
        })
    }

    /// Puts back what the program has changed.
    pub(in crate::launch) fn put_back(self) {
        let terminal = self.terminal;
        if self.foreground {
            take_back(terminal);
        }
        if !self.exclusive {
            let _ = sys::end_exclusive(terminal);
        }
        if let Some(before) = self.discipline.filter(|before| sys::line_discipline(terminal) != Ok(*before)) {
            let _ = sys::set_line_discipline(terminal, before);
        }
        put_back(self.flags, sys::status_flags, sys::set_status_flags);
        put_back(self.signals, sys::ready_signal, sys::set_ready_signal);
        // A user's own change of the window's size meanwhile is kept. Nobody makes a window of one line.
        for (number, before) in (0..).zip(self.sizes) {
            if let Some(before) = before.filter(|before| !before.shows_nothing())
                && sys::window_size(stream(number)).is_ok_and(|now| now.shows_nothing())
            {
                let _ = sys::set_window_size(stream(number), &before);
            }
        }
        let _ = sys::start_output(terminal);
        if let Some(settings) = self.settings.filter(|_| sys::in_foreground(terminal)) {
            let _ = sys::set_terminal(terminal, &settings);
        }
    }
}

/// What a call tells of each stream that is a terminal.
fn of_terminals(get: fn(BorrowedFd<'_>) -> sys::Result<i32>) -> [Option<i32>; 3] {
    [0, 1, 2].map(|number| {
        Some(stream(number)).filter(|stream| sys::is_terminal(*stream)).and_then(|stream| get(stream).ok())
    })
}

/// Sets what [`of_terminals`] told where it is another by now.
fn put_back(
    before: [Option<i32>; 3],
    get: fn(BorrowedFd<'_>) -> sys::Result<i32>,
    set: fn(BorrowedFd<'_>, i32) -> sys::Result<()>,
) {
    for (number, before) in (0..).zip(before) {
        if let Some(before) = before.filter(|before| get(stream(number)) != Ok(*before)) {
            let _ = set(stream(number), before);
        }
    }
}

/// Takes the terminal back from a process group that has ended. A shell in a pid namespace cannot give it back when it exits: the group that it
/// found in the foreground has no number there.
fn take_back(terminal: BorrowedFd<'_>) {
    let group = sys::foreground_group(terminal);
    if group > 0 && group != sys::process_group() && sys::kill(-group, 0) == Err(sys::Errno(libc::ESRCH)) {
        sys::ignore_ttou();
        let _ = sys::take_foreground(terminal);
    }
}

/// What [`HandedOver`] does about the foreground, for a program that shares everything with the caller.
pub(in crate::launch) struct Foreground(BorrowedFd<'static>);

impl Foreground {
    /// None unless this process's group is in the foreground of a terminal.
    pub(in crate::launch) fn now() -> Option<Foreground> {
        tty().filter(|terminal| sys::in_foreground(*terminal)).map(Foreground)
    }

    /// Takes the terminal back if the group that has it has ended.
    pub(in crate::launch) fn take_back(self) {
        take_back(self.0);
    }
}
