//! Asks on the terminal, when the program has ended, what becomes of the changes that it made in overlays
//! (`filesystem.upper = "ask"`).

use super::{output, uppers};
use crate::error::Result;
use crate::launch;
use crate::sys;
use crate::union::{self, Entry};
use std::fmt::Write;
use std::os::fd::AsFd;
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

/// Asks what becomes of these upper layers. Whatever happens but an answer keeps them.
pub(super) fn ask(store: &Path, name: &str) -> Result<()> {
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
    loop {
        let Some(answer) = answer(match listed {
            ALL => "sbx: [c]ommit these changes to the host, [k]eep them, [d]iscard them, or [s]how them? ",
            _ => {
                "sbx: commit these changes to the host (type the whole word), [k]eep them, [d]iscard them, or [s]how them? "
            }
        }) else {
            output::tell(&format!(
                "\nsbx: they are kept: `sbx diff {name}` shows them, `sbx discard {name}` removes them\n"
            ));
            return Ok(());
        };
        match answer.trim() {
            word if word == "commit" || (word == "c" && listed == ALL) => {
                let status = uppers::within(uppers::locked_in(store, name)?, |mut upper, outside| {
                    uppers::committed(&mut upper, &[], union::How::default(), outside)
                })?;
                if status == 0 {
                    return launch::discard(uppers::locked_in(store, name)?);
                }
                output::tell(&format!(
                    "sbx: what was not put onto the host is kept: `sbx commit {name}` tries again\n"
                ));
                return Ok(());
            }
            "k" | "keep" => {
                output::tell(&format!("sbx: kept as {name}: `--upper keep:{name}` goes on with them\n"));
                return Ok(());
            }
            "d" | "discard" => return launch::discard(uppers::locked_in(store, name)?),
            "s" | "show" => {
                uppers::within(uppers::locked_in(store, name)?, |upper, _| {
                    union::patches(&upper, &[], false, &mut |patch| {
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

/// Whether an entry may be listed after others: a new file, link or directory that nothing runs by itself.
fn is_harmless(entry: &Entry) -> bool {
    entry.letter() == 'A' && !entry.is_program() && !uppers::runs_by_itself(entry)
}

/// The line that is typed after a question; none at the end of input. What was typed before the question is dropped: the
/// program may have asked for it.
fn answer(question: &str) -> Option<String> {
    let input = sys::STREAMS[0].as_fd();
    std::thread::sleep(PAUSE);
    let _ = sys::flush_input(input);
    output::tell(question);
    let mut line = Vec::new();
    // Byte by byte: nothing of a later line is read, which a later question would take for its answer.
    let mut byte = [0];
    while !line.ends_with(b"\n") {
        match sys::read(input, &mut byte) {
            Ok(1..) => line.extend(byte),
            Err(sys::Errno(libc::EINTR)) => {}
            _ if line.is_empty() => return None,
            _ => break,
        }
    }
    Some(String::from_utf8_lossy(&line).into_owned())
}
