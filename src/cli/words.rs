//! The words of a command line, before they are read as arguments: those of `run` without some of its flags, those of other verbs with the id that
//! `--latest` stands for, and flags that are said to be true or false.

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

/// Flags that take no value, without the one by which podman's and docker's may be given (`--rm=true`): such a flag is there, or is not.
pub(super) fn with_switches(words: Vec<OsString>) -> Vec<OsString> {
    let is_said = |word: &OsString| word.as_bytes().starts_with(b"--") && said(word).is_some();
    if !words.iter().any(is_said) {
        return words;
    }
    let mut whole = args::command();
    let Some(command) = verb(&mut whole, &words) else { return words };
    let names = usize::from(command.get_name() != words.get(1).map_or("", |word| word.to_str().unwrap_or_default()));
    let (first, rest) = words.split_at(words.len().min(2 + names));
    let mut made = first.to_vec();
    let mut reader = Reader { command, rest };
    loop {
        for Flags { word, known, value, complete } in reader.by_ref() {
            let switch = |(arg, _): &&(&Arg, &[u8])| complete && !arg.get_action().takes_values();
            let is_there = said(word).filter(|_| known.last().as_ref().is_some_and(switch));
            match is_there {
                Some((name, true)) => made.push(name.to_owned()),
                Some((_, false)) => {}
                None => made.push(word.to_owned()),
            }
            made.extend(value.cloned());
        }
        match reader.rest.split_first() {
            // A name: flags may stand behind it.
            Some((name, rest)) if name != "--" && !takes_program(&words) => {
                made.push(name.clone());
                reader.rest = rest;
            }
            _ => break,
        }
    }
    made.extend(reader.rest.iter().cloned());
    made
}

/// A long flag that is said to be true or false, and which, by the words for these that podman and docker take.
fn said(word: &OsStr) -> Option<(&OsStr, bool)> {
    let at = word.as_bytes().iter().position(|byte| *byte == b'=')?;
    let (name, value) = word.as_bytes().split_at(at);
    let value = match value {
        b"=1" | b"=t" | b"=T" | b"=true" | b"=TRUE" | b"=True" => true,
        b"=0" | b"=f" | b"=F" | b"=false" | b"=FALSE" | b"=False" => false,
        _ => return None,
    };
    Some((OsStr::from_bytes(name), value))
}

/// The definition of the verb that the words name.
pub(super) fn verb<'a>(whole: &'a mut Command, words: &[OsString]) -> Option<&'a mut Command> {
    whole.build();
    let names: Vec<&str> = words.iter().skip(1).map_while(|word| word.to_str()).take(2).collect();
    let (first, second) = (names.first()?, names.get(1).copied().unwrap_or_default());
    let command = whole.find_subcommand_mut(first)?;
    if command.has_subcommands() { command.find_subcommand_mut(second) } else { Some(command) }
}

/// Whether what stands behind `--` is a program.
pub(super) fn takes_program(words: &[OsString]) -> bool {
    let verb = words.get(1).and_then(|word| word.to_str()).unwrap_or_default();
    ["run", "create", "plan", "selftest", "exec"].contains(&verb)
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
    fn a_flag_is_there_if_it_is_said_to_be_true() {
        for (given, made) in [
            ("run --rm=true -d --name x prog --rm=true", "run --rm -d --name x prog --rm=true"),
            ("run --rm=false --detach=1 -- prog", "run --detach -- prog"),
            ("create --rm=T prog", "create --rm prog"),
            ("run --name --rm=true prog", "run --name --rm=true prog"),
            ("run -e A=true --env=true prog", "run -e A=true --env=true prog"),
            ("run --odd=true prog", "run --odd=true prog"),
            ("run --rm=yes prog", "run --rm=yes prog"),
            ("rm x --force=true y -- --all=true", "rm x --force y -- --all=true"),
            ("ps --all=false -q", "ps -q"),
            ("network create --internal=true one", "network create --internal one"),
            ("attach --sig-proxy=false x", "attach --sig-proxy=false x"),
            ("exec x ls --all=true", "exec x ls --all=true"),
        ] {
            let (given, made) = (words(&format!("sbx {given}")), words(&format!("sbx {made}")));
            assert_eq!(with_switches(given), made);
        }
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
