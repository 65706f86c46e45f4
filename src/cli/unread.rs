//! A command line that cannot be read: clap's errors, with hints that work here.

use super::args;
use super::words::{is_long, is_short, takes_next, takes_program, verb};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Error};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// How clap begins the hint that a word which looks like a flag may stand behind `--`.
const BEHIND_DASHES: &str = "to pass ";

/// The error with hints that work. `words` is the command line, with its verb.
pub(super) fn mended(mut error: Error, words: &[OsString]) -> Error {
    match error.kind() {
        // A word behind `--` is the program, or a name, and not the value that was meant.
        ErrorKind::UnknownArgument => {
            let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else { return error };
            let Some(ContextValue::StyledStrs(hints)) = error.get(ContextKind::Suggested) else { return error };
            let mut hints = hints.clone();
            let dashed = |hint: &clap::builder::StyledStr| hint.to_string().starts_with(BEHIND_DASHES);
            let Some(at) = hints.iter().position(dashed) else { return error };
            match meant(unknown, words) {
                Some(flag) => hints[at] = format!("to give it as a value, write '{flag}'").into(),
                None if takes_program(words) => drop(hints.remove(at)),
                None => return error,
            }
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(hints));
        }
        // clap shows a line that has both of what cannot stand together.
        ErrorKind::ArgumentConflict => {
            if let Some(usage) = usage(words) {
                error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
            }
        }
        _ => {}
    }
    error
}

/// The flag with the value that somebody meant by a word which looks like a flag, as it is to be written.
fn meant(unknown: &str, words: &[OsString]) -> Option<String> {
    let mut whole = args::command();
    let command = verb(&mut whole, words)?;
    let own = words.iter().take_while(|word| *word != "--");
    let pairs = own.clone().zip(own.skip(1)).skip(1);
    let mut found = pairs.filter(|(_, word)| {
        let word = word.as_bytes();
        word == unknown.as_bytes() || (!unknown.starts_with("--") && word.starts_with(unknown.as_bytes()))
    });
    let (flag, word) = found.next()?;
    let takes = |known: &dyn Fn(&Arg) -> bool| command.get_arguments().any(|arg| known(arg) && takes_next(arg));
    let bytes = flag.as_bytes();
    let is_flag = match bytes.strip_prefix(b"--") {
        Some(name) => takes(&|arg| is_long(arg, name)),
        None => matches!(bytes, [b'-', letter] if takes(&|arg| is_short(arg, char::from(*letter)))),
    };
    let (flag, word) = (flag.to_str()?, word.to_str()?);
    is_flag.then(|| format!("{flag}={word}"))
}

fn usage(words: &[OsString]) -> Option<clap::builder::StyledStr> {
    let mut whole = args::command();
    Some(verb(&mut whole, words)?.render_usage())
}
