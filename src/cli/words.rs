//! The words of a command line of `run`, without some of its flags.

use super::args;
use crate::error::{Error, Result};
use clap::{Arg, Args, Command};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The words without these flags and their values.
///
/// # Errors
///
/// A word is no flag of `run`'s.
pub(super) fn without(words: &[OsString], flags: &[&str]) -> Result<Vec<OsString>> {
    let command = args::Run::augment_args(Command::new("run").disable_help_flag(true));
    let unknown = |word: &OsStr| {
        Error::new(format!("{} is no flag of this version of sbx", word.display())).hint("run the sandbox anew")
    };
    let gone = |arg: &Arg| flags.contains(&arg.get_long().unwrap_or_default());
    let mut kept = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let bytes = word.as_bytes();
        if bytes == b"--" || bytes == b"-" || !bytes.starts_with(b"-") {
            // The program, and its arguments.
            kept.push(word.clone());
            break;
        }
        if let Some(long) = bytes.strip_prefix(b"--") {
            let name = long.split(|byte| *byte == b'=').next().unwrap_or_default();
            let arg = command.get_arguments().find(|arg| is_long(arg, name)).ok_or_else(|| unknown(word))?;
            let value = if takes_next(arg) && !long.contains(&b'=') { rest.next() } else { None };
            if !gone(arg) {
                kept.push(word.clone());
                kept.extend(value.cloned());
            }
            continue;
        }
        let mut letters = vec![b'-'];
        let mut value = None;
        for (at, letter) in bytes.iter().enumerate().skip(1) {
            let arg =
                command.get_arguments().find(|arg| is_short(arg, char::from(*letter))).ok_or_else(|| unknown(word))?;
            if !takes_next(arg) {
                letters.extend((!gone(arg)).then_some(*letter));
                continue;
            }
            let attached = bytes.get(at + 1..).unwrap_or_default();
            let next = if attached.is_empty() { rest.next() } else { None };
            if !gone(arg) {
                letters.push(*letter);
                letters.extend(attached);
                value = next;
            }
            break;
        }
        if letters.len() > 1 {
            kept.push(OsString::from_vec(letters));
            kept.extend(value.cloned());
        }
    }
    kept.extend(rest.cloned());
    Ok(kept)
}

/// Whether the flag's value may be the next word.
pub(super) fn takes_next(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

pub(super) fn is_long(arg: &Arg, name: &[u8]) -> bool {
    let names = arg.get_long_and_visible_aliases().unwrap_or_default();
    names.into_iter().chain(arg.get_all_aliases().unwrap_or_default()).any(|known| known.as_bytes() == name)
}

pub(super) fn is_short(arg: &Arg, letter: char) -> bool {
    arg.get_short() == Some(letter) || arg.get_all_short_aliases().unwrap_or_default().contains(&letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_go_with_their_values_and_nothing_else_does() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let flags = ["detach", "name", "restart", "rm"];
        for (given, left) in [
            ("-d --name x -- prog -d --name y", "-- prog -d --name y"),
            ("-dit --name=x -e A=b prog --rm", "-it -e A=b prog --rm"),
            ("--rm --restart always --stats --detach prog", "--stats prog"),
            ("-d -w /d -hfar -eA=-d prog", "-w /d -hfar -eA=-d prog"),
            ("--workdir /d -e -d prog", "--workdir /d -e -d prog"),
            ("--stats=json -d prog", "--stats=json prog"),
            ("prog -d", "prog -d"),
        ] {
            assert_eq!(without(&words(given), &flags).unwrap(), words(left), "{given}");
        }
        assert!(without(&words("--odd x"), &flags).is_err() && without(&words("-dZ x"), &flags).is_err());
    }
}
