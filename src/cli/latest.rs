//! `--latest`: the sandbox that was made last, in place of a name.

use super::args::{self, Verb};
use super::store;
use super::words::{is_long, is_short, takes_next};
use crate::error::{Error, Result};
use clap::{Args, Command};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// Puts the id of the sandbox that was made last into the words of a verb that takes one name and something behind it, where `--latest` stands for that:
/// what comes next is the program then, or a column, and may look like a flag.
///
/// # Errors
///
/// There is none.
pub(super) fn put_before(words: Vec<OsString>) -> Result<Vec<OsString>> {
    let command = match words.get(1).and_then(|verb| verb.to_str()) {
        Some("exec") => args::Exec::augment_args(Command::new("exec")),
        Some("attach") => args::Attach::augment_args(Command::new("attach")),
        Some("port") => args::Port::augment_args(Command::new("port")),
        Some("top") => args::Top::augment_args(Command::new("top")),
        _ => return Ok(words),
    };
    let (mut at, mut latest) = (2, false);
    while let Some(word) = words.get(at) {
        let bytes = word.as_bytes();
        if bytes == b"-" || !bytes.starts_with(b"-") {
            break;
        }
        at += 1;
        if bytes == b"--" {
            break;
        }
        if let Some(long) = bytes.strip_prefix(b"--") {
            let name = long.split(|byte| *byte == b'=').next().unwrap_or_default();
            let Some(arg) = command.get_arguments().find(|arg| is_long(arg, name)) else { return Ok(words) };
            latest |= arg.get_id() == "latest";
            at += usize::from(takes_next(arg) && !long.contains(&b'='));
            continue;
        }
        for (place, letter) in bytes.iter().enumerate().skip(1) {
            let found = command.get_arguments().find(|arg| is_short(arg, char::from(*letter)));
            let Some(arg) = found else {
                // A column of `top`, or no flag at all.
                return if latest { put_at(words, at - 1) } else { Ok(words) };
            };
            latest |= arg.get_id() == "latest";
            if takes_next(arg) {
                at += usize::from(place + 1 == bytes.len());
                break;
            }
        }
    }
    if latest {
        let at = at.min(words.len());
        return put_at(words, at);
    }
    Ok(words)
}

fn put_at(mut words: Vec<OsString>, at: usize) -> Result<Vec<OsString>> {
    words.insert(at, id()?.into());
    Ok(words)
}

/// Puts the id of the sandbox that was made last where `--latest` stands for names.
///
/// # Errors
///
/// There is none.
pub(super) fn put(verb: &mut Verb) -> Result<()> {
    match verb {
        Verb::Start(args::Start { latest: true, names, .. })
        | Verb::Restart(args::Restart { latest: true, names, .. })
        | Verb::Stop(args::Stop { latest: true, names, .. })
        | Verb::Kill(args::Kill { latest: true, names, .. })
        | Verb::Wait(args::Wait { latest: true, names, .. })
        | Verb::Rm(args::Rm { latest: true, names, .. })
        | Verb::Logs(args::Logs { latest: true, names, .. })
        | Verb::Inspect(args::Inspect { latest: true, names, .. })
        | Verb::Pause(args::Pause { latest: true, names, .. })
        | Verb::Unpause(args::Pause { latest: true, names, .. })
        | Verb::Stats(args::Stats { latest: true, names, .. }) => names.push(id()?),
        _ => {}
    }
    Ok(())
}

fn id() -> Result<String> {
    let all = store::store()?.all()?;
    let newest = all
        .first()
        .ok_or_else(|| Error::new("--latest: there is no sandbox").hint("`sbx ps -a` lists all that there are"))?;
    Ok(newest.id.to_string())
}
