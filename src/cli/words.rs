//! The words of a command line, before they are read as arguments: those of `run` without some of its flags, and those of other verbs with the id that
//! `--latest` stands for.

use super::{args, latest};
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
    let mut kept = Vec::new();
    let mut reader = Reader { command: &command, rest: words };
    for Flags { word, known, value, complete } in reader.by_ref() {
        if !complete {
            return Err(Error::new(format!("{} is no flag of this version of sbx", word.display()))
                .hint("run the sandbox anew"));
        }
        let stays = |arg: &Arg| !flags.contains(&arg.get_long().unwrap_or_default());
        let left: Vec<_> = known.iter().filter(|(arg, _)| stays(arg)).map(|(_, bytes)| *bytes).collect();
        if !left.is_empty() {
            kept.push(OsString::from_vec([b"-", left.concat().as_slice()].concat()));
        }
        if known.last().is_some_and(|(arg, _)| stays(arg)) {
            kept.extend(value.cloned());
        }
    }
    // The program, and its arguments.
    kept.extend(reader.rest.iter().cloned());
    Ok(kept)
}

/// Puts the id of the sandbox that was made last into the words of a verb that takes one name and something behind it, where `--latest` stands for that:
/// what comes next is the program then, or a column, and may look like a flag.
///
/// # Errors
///
/// There is none.
pub(super) fn with_latest(mut words: Vec<OsString>) -> Result<Vec<OsString>> {
    if let Some(at) = place_of_latest(&words) {
        words.insert(at, latest::id()?.into());
    }
    Ok(words)
}

/// Where the name would be that `--latest` stands for; none if it is not there.
fn place_of_latest(words: &[OsString]) -> Option<usize> {
    let command = match words.get(1)?.to_str()? {
        "exec" => args::Exec::augment_args(Command::new("exec")),
        "attach" => args::Attach::augment_args(Command::new("attach")),
        "port" => args::Port::augment_args(Command::new("port")),
        "top" => args::Top::augment_args(Command::new("top")),
        _ => return None,
    };
    let mut reader = Reader { command: &command, rest: words.get(2..)? };
    let (mut latest, mut behind) = (false, reader.rest.len());
    while let Some(flags) = reader.next() {
        latest |= flags.known.iter().any(|(arg, _)| arg.get_id() == "latest");
        if !flags.complete {
            if flags.is_long() {
                return None;
            }
            // A column of `top`, or no flag at all.
            break;
        }
        behind = reader.rest.len();
    }
    let at = words.len().checked_sub(behind).filter(|_| latest)?;
    Some(at + usize::from(words.get(at).is_some_and(|word| word == "--")))
}

/// Reads the flags of a verb from the front of the words behind it. What they are in front of is left.
struct Reader<'a> {
    command: &'a Command,
    rest: &'a [OsString],
}

/// A word of flags.
struct Flags<'a> {
    word: &'a OsStr,
    /// The flags in it, each with what it takes of the word: all behind the first dash, or a letter and the value behind that.
    known: Vec<(&'a Arg, &'a [u8])>,
    /// The value of the last of them, if that is the next word.
    value: Option<&'a OsString>,
    /// Whether these are all; none is read behind one that the verb does not have.
    complete: bool,
}

impl Flags<'_> {
    fn is_long(&self) -> bool {
        self.word.as_bytes().starts_with(b"--")
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Flags<'a>;

    fn next(&mut self) -> Option<Flags<'a>> {
        let (word, rest) = self.rest.split_first()?;
        let text = word.as_bytes().strip_prefix(b"-").filter(|text| !text.is_empty() && *text != b"-")?;
        self.rest = rest;
        let find = |is: &dyn Fn(&Arg) -> bool| self.command.get_arguments().find(|arg| is(arg));
        let mut flags = Flags { word, known: Vec::new(), value: None, complete: true };
        let mut takes_word = false;
        if let Some(long) = text.strip_prefix(b"-") {
            let name = long.split(|byte| *byte == b'=').next().unwrap_or_default();
            let found = find(&|arg| is_long(arg, name));
            flags.complete = found.is_some();
            flags.known.extend(found.map(|arg| (arg, text)));
            takes_word = found.is_some_and(takes_next) && !long.contains(&b'=');
        } else {
            for (at, letter) in text.iter().enumerate() {
                let Some(arg) = find(&|arg| is_short(arg, char::from(*letter))) else {
                    flags.complete = false;
                    break;
                };
                let with_value = takes_next(arg);
                let end = if with_value { text.len() } else { at + 1 };
                flags.known.push((arg, text.get(at..end).unwrap_or_default()));
                if with_value {
                    takes_word = at + 1 == end;
                    break;
                }
            }
        }
        if takes_word && let Some((value, rest)) = self.rest.split_first() {
            flags.value = Some(value);
            self.rest = rest;
        }
        Some(flags)
    }
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

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn flags_go_with_their_values_and_nothing_else_does() {
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

    #[test]
    fn the_sandbox_that_was_made_last_stands_behind_the_flags_of_the_verb() {
        for (given, made) in [
            ("exec -l ls -l", "exec -l ID ls -l"),
            ("exec -il -w /d -eA=b --env B --user=0 -- ls", "exec -il -w /d -eA=b --env B --user=0 -- ID ls"),
            ("exec -w -l ls", "exec -w -l ls"),
            ("exec -wl ls", "exec -wl ls"),
            ("exec name ls -l", "exec name ls -l"),
            ("exec -- ls -l", "exec -- ls -l"),
            ("exec -l -w", "exec -l -w ID"),
            ("exec -l --odd ls", "exec -l --odd ls"),
            ("attach --latest --no-stdin", "attach --latest --no-stdin ID"),
            ("attach --sig-proxy -l", "attach --sig-proxy -l ID"),
            ("port --latest 80", "port --latest ID 80"),
            ("top -l -eo args", "top -l ID -eo args"),
            ("top -leo args", "top ID -leo args"),
            ("top -l - args", "top -l ID - args"),
            ("top -eo -l", "top -eo -l"),
            ("stop -l name", "stop -l name"),
        ] {
            let mut left = words(&format!("sbx {given}"));
            if let Some(at) = place_of_latest(&left) {
                left.insert(at, "ID".into());
            }
            assert_eq!(left, words(&format!("sbx {made}")), "{given}");
        }
    }
}
