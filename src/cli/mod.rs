//! sbx's command line: parses the arguments and calls the verb. Takes no other decisions.

mod args;
mod check;
mod layers;
mod plan;
mod profile;
mod review;
mod run;
mod selftest;

pub use args::{Cli, command, completed};

use crate::error::{Error, Result};
use crate::{exit, sys};
use args::Verb;
use clap::Parser;
use std::ffi::OsString;

/// The entry point of `sbx`, with its arguments, its name among them; returns the exit status.
pub fn main(args: Vec<OsString>) -> u8 {
    // A reader that closes the pipe (`| head`) gives EPIPE instead of a signal.
    sys::ignore_sigpipe();
    // `sbx selftest` executes this program inside its sandbox, by this name.
    if args.first().is_some_and(|name| name == crate::selftest::INSIDE) {
        return crate::selftest::inside(&args);
    }
    if args.first().is_some_and(|name| name == crate::child::EXEC) {
        return crate::child::execute(&args);
    }
    let args = with_verb(args);
    if let Some(run) = args::Run::quickly(&args) {
        return run::main(&run);
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // clap reports `--help` and `--version` as errors, too, which print to stdout.
            let status = if error.use_stderr() { exit::FAILED } else { 0 };
            let printed = error.print();
            return if printed.is_err() { exit::FAILED } else { status };
        }
    };
    let result = match cli.verb {
        Verb::Run(run) => return run::main(&run),
        Verb::Plan(verb) => plan::main(&verb),
        Verb::Check(verb) => check::main(&verb),
        Verb::Profile(verb) => profile::main(&verb),
        Verb::Selftest(verb) => selftest::main(&verb),
    };
    match result {
        Ok(status) => status,
        Err(error) => complain(&error),
    }
}

/// Prints an error to stderr; returns its exit status.
pub(crate) fn complain(error: &Error) -> u8 {
    use std::io::Write;
    // Do not wait longer than two seconds for a terminal or pipe that nobody reads; the exit status still tells.
    let mut set = [sys::Poll { write: true, ..sys::Poll::end(2) }];
    if sys::poll(&mut set, Some(2000)).is_err() || !set[0].ready {
        return error.status;
    }
    // In one write, since other processes may write there, too.
    let _ = std::io::stderr().write_all(format!("{error}\n").as_bytes());
    error.status
}

/// Prints to stdout. A reader that closed the pipe (`| head`) is no error; a full disk is one.
pub(crate) fn print(text: &str) -> Result<()> {
    use std::io::{ErrorKind, Write};
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::new(format!("cannot write to standard output: {}", crate::sys::Errno::from(error))))
        }
        _ => Ok(()),
    }
}

/// The verbs: words that may come first on the command line.
const VERBS: [&str; 5] = ["run", "plan", "check", "profile", "selftest"];

/// `sbx [FLAGS] PROGRAM` means `sbx run [FLAGS] PROGRAM`: inserts `run` if the first argument is no verb.
fn with_verb(mut args: Vec<OsString>) -> Vec<OsString> {
    let verb = args.get(1).is_some_and(|first| {
        VERBS.iter().chain(&["help", "-h", "--help", "-V", "--version"]).any(|word| first == word)
    });
    if !verb && args.len() > 1 {
        args.insert(1, "run".into());
    }
    args
}
