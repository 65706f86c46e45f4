//! The end of what a program has shown on the caller's terminal: what it has left there is put back.

use super::modes::Modes;
use super::outer::Outer;
use crate::sys::{self, Poll};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

/// So long is an answer of the caller's terminal waited for at the end, and all of them together.
const ANSWERS: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(2)];

/// Puts back what the program has made of the caller's terminal by control sequences: as much of that as the terminal takes at once,
/// and only in the foreground, where nobody else has set it. With `cut`, not all that the program has written was shown.
pub(super) fn undo(outer: &Outer, modes: &mut Modes, cut: bool) {
    if !outer.is_ours() {
        return;
    }
    let lines = sys::window_size(outer.as_fd()).map_or(u16::MAX, |size| size.lines());
    let utf8 = sys::terminal_settings(outer.as_fd()).is_ok_and(|settings| settings.is_utf8());
    let undo = modes.undo(cut, lines, utf8);
    let mut rest = undo.as_slice();
    while let Ok(n @ 1..) = sys::write_some(outer.as_fd(), rest) {
        rest = rest.get(n..).unwrap_or_default();
        if rest.is_empty() {
            return;
        }
    }
}

/// Reads the answers of the caller's terminal to what the program has asked: whoever reads next would take them for what was typed.
pub(super) fn drop_answers(
    outer: &mut Outer,
    modes: &mut Modes,
    ended: &mut dyn FnMut() -> bool,
    signals: BorrowedFd<'_>,
) {
    if !(outer.is_ours() && modes.awaits_answers()) {
        return;
    }
    // They are no lines, and are not to be shown.
    if let Ok(settings) = sys::terminal_settings(outer.as_fd()) {
        outer.pass_on(&settings);
    }
    let (mut next, until) = (Instant::now() + ANSWERS[0], Instant::now() + ANSWERS[1]);
    while modes.awaits_answers() && Instant::now() < until {
        let mut set = [outer.number(), signals.as_raw_fd()].map(Poll::read);
        let rest = next.saturating_duration_since(Instant::now());
        if rest.is_zero() || sys::poll(&mut set, i32::try_from(rest.as_millis() + 1).ok()).is_err() {
            break;
        }
        if set[0].ready {
            let mut input = Vec::new();
            if outer.read(&mut input).is_err() || input.is_empty() {
                break;
            }
            modes.read(&input);
            next = Instant::now() + ANSWERS[0];
        }
        // A signal is there at every end, that of PID 1; others ask for an end of the launcher as well.
        if set[1].ready && ended() {
            break;
        }
    }
    outer.put_back();
}
