//! Asks on the terminal, when the program has ended, what becomes of the changes that it made in overlays
//! (`filesystem.upper = "ask"`).

use super::uppers::Left;
use super::{guarded, output, uppers};
use crate::error::Result;
use crate::launch;
use crate::sys::{self, Poll};
use crate::union::{self, Entry, How, NodeKind};
use std::fmt::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

/// How many paths are listed before the question.
const LISTED: usize = 20;

/// How long the list is shown before the question is. What is typed meanwhile was for the program, or for nobody.
const PAUSE: Duration = Duration::from_millis(400);

/// Status of the child that lists: there is nothing to ask about, all is listed, some is not listed.
const NOTHING: u8 = 0;
const ALL: u8 = 1;
const SOME: u8 = 2;

/// What is said of changes that nobody has decided about.
fn kept(name: &str) -> String {
    format!(
        "they are kept: `sbx diff {name}` shows them, `sbx commit {name}` puts them onto the host, `sbx discard {name}` removes them\n"
    )
}

/// Asks what becomes of these upper layers. Whatever happens but an answer keeps them, and so does a signal that has asked sbx for the end:
/// then nobody is asked, who may wait for that.
pub(super) fn ask(store: &Path, name: &str, ended_by: Option<i32>) -> Result<()> {
    // The child finds whether there is anything to ask about: its exit status says so.
    let listed = uppers::within(uppers::locked_in(store, name)?, |upper, _| {
        let (mut entries, deep) = union::differences(&upper, &[])?;
        output::tell(&uppers::notes(deep.iter().map(|path| (path, union::TOO_DEEP))));
        // The list may be cut off, and the program chose the names.
        entries.sort_by_key(is_harmless);
        let mut text = uppers::summary(entries.get(..LISTED).unwrap_or(&entries), false);
        if entries.len() > LISTED {
            let _ = writeln!(text, "... and {} more", entries.len() - LISTED);
        }
        output::tell(&text);
        Ok(match entries.len() {
            0 => NOTHING,
            count if count <= LISTED => ALL,
            _ => SOME,
        })
    })?;
    if listed == NOTHING {
        return launch::discard(uppers::locked_in(store, name)?);
    }
    if let Some(signal) = ended_by {
        output::tell(&format!(
            "sbx: not asked what becomes of these changes, after {}: {}",
            sys::signal_name(signal),
            kept(name)
        ));
        return Ok(());
    }
    // Several runs may end on one terminal at once, such as those of `make -j`.
    let _turn = union::Store::new(store.to_owned()).question();
    let mut left = Left::Nothing;
    loop {
        let Some(answer) = answer(match (left, listed) {
            (Left::Guarded, _) => {
                "sbx: commit what tools outside may run, too (type the whole word), [k]eep it, [d]iscard it, or [s]how it? "
            }
            (_, ALL) => "sbx: [c]ommit these changes to the host, [k]eep them, [d]iscard them, or [s]how them? ",
            _ => {
                "sbx: commit these changes to the host (type the whole word), [k]eep them, [d]iscard them, or [s]how them? "
            }
        }) else {
            output::tell(&format!("\nsbx: {}", kept(name)));
            return Ok(());
        };
        match answer.trim() {
            word if word == "commit" || (word == "c" && listed == ALL && left != Left::Guarded) => {
                let asked = left == Left::Guarded;
                let upper = uppers::locked_in(store, name)?;
                let guarded = guarded::of(&upper)?;
                let status = uppers::within(upper, |mut upper, outside| {
                    let how = How { guarded: (!asked).then_some(&guarded), ..How::default() };
                    uppers::committed(&mut upper, &[], how, outside).map(|left| left as u8)
                })?;
                if status == Left::Nothing as u8 {
                    return launch::discard(uppers::locked_in(store, name)?);
                }
                if status == Left::Guarded as u8 {
                    left = Left::Guarded;
                    continue;
                }
                output::tell(&format!(
                    "sbx: what was not put onto the host is kept: `sbx commit {name}` tries again\n"
                ));
                return Ok(());
            }
            "k" | "keep" => {
                output::tell(&format!(
                    "sbx: kept as {name}: `--upper keep:{name}` goes on with them, `sbx commit {name}` puts them onto the host\n"
                ));
                return Ok(());
            }
            "d" | "discard" => return launch::discard(uppers::locked_in(store, name)?),
            "s" | "show" => {
                let upper = uppers::locked_in(store, name)?;
                let guarded = guarded::of(&upper)?;
                uppers::within(upper, |upper, _| {
                    union::patches(&upper, &[], false, &guarded, &mut |patch| {
                        output::tell(&uppers::shown(patch, 2));
                        Ok(())
                    })?;
                    Ok(0)
                })?;
            }
            _ => {}
        }
    }
}

/// Whether an entry may be listed after others: a new file or directory that nothing runs by itself, and that not everybody may write to.
fn is_harmless(entry: &Entry) -> bool {
    let is_plain =
        matches!(entry.kind, NodeKind::File | NodeKind::Dir) && entry.mode.is_none_or(|mode| mode & 0o002 == 0);
    entry.letter() == 'A' && is_plain && !entry.is_program() && !uppers::runs_by_itself(entry)
}

/// The line that is typed after a question; none at the end of input, or once a signal asks for the end. What was typed before the
/// question is dropped: the program may have asked for it.
fn answer(question: &str) -> Option<String> {
    let input = sys::STREAMS[0].as_fd();
    let before = sys::block_all_but(&[libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU]).ok()?;
    let line = sys::signal_descriptor().ok().and_then(|signals| {
        std::thread::sleep(PAUSE);
        if !is_in_foreground(input, signals.as_fd()) {
            return None;
        }
        let _ = sys::flush_input(input);
        output::tell(question);
        line(input, signals.as_fd())
    });
    let _ = sys::restore(&before);
    line
}

/// Waits until sbx is in the foreground of the terminal, and stops until then as others do where they read it. (The kernel would stop it at each
/// call, before it could see a signal that asks for the end.) Gives whether it is: not once a signal has asked for the end, and not if it
/// cannot be stopped, since no shell of this terminal would ever have it go on.
fn is_in_foreground(input: BorrowedFd<'_>, signals: BorrowedFd<'_>) -> bool {
    let is_behind = || {
        let group = sys::foreground_group(input);
        group > 0 && group != sys::process_group()
    };
    let mut stopped = false;
    while is_behind() {
        let (mut ends, mut goes_on) = (false, false);
        while let Some(arrived) = sys::next_signal(signals) {
            ends |= is_end(arrived.signal);
            goes_on |= arrived.signal == libc::SIGCONT;
        }
        if ends || (stopped && !goes_on) || sys::kill(0, libc::SIGTTIN).is_err() {
            return false;
        }
        stopped = true;
    }
    true
}

/// Whether a signal asks for the end.
fn is_end(signal: i32) -> bool {
    matches!(signal, libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT)
}

/// The next line of the input; none at its end, or once a signal asks for the end.
fn line(input: BorrowedFd<'_>, signals: BorrowedFd<'_>) -> Option<String> {
    let mut line = Vec::new();
    // Byte by byte: nothing of a later line is read, which a later question would take for its answer.
    let mut byte = [0];
    while !line.ends_with(b"\n") {
        let mut set = [input.as_raw_fd(), signals.as_raw_fd()].map(Poll::read);
        if sys::poll(&mut set, None).is_err() {
            return None;
        }
        while let Some(arrived) = sys::next_signal(signals) {
            if is_end(arrived.signal) {
                return None;
            }
        }
        if !set[0].ready {
            continue;
        }
        if !is_in_foreground(input, signals) {
            return None;
        }
        match sys::read(input, &mut byte) {
            Ok(1..) => line.extend(byte),
            _ if line.is_empty() => return None,
            _ => break,
        }
    }
    Some(String::from_utf8_lossy(&line).into_owned())
}
