//! `--env` and `--env-file`: variables of the program's.

use super::args;
use super::caller::Caller;
use crate::error::{Error, Result};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// The largest file of variables that is read, in bytes: more than execve(2) takes.
const LARGEST: u64 = 8 << 20;

/// What a flag says of the environment.
pub(super) struct Variable {
    /// The flag's position on the command line.
    pub at: usize,
    /// The flag, as messages name it.
    pub label: String,
    pub name: OsString,
    /// None: those of the caller's variables are passed on whose names begin with this one, up to its `*`.
    pub value: Option<OsString>,
}

/// What the flags say of the environment.
///
/// # Errors
///
/// One cannot be read, or passes a variable on that is not set.
pub(super) fn read(args: &args::Sandbox, caller: &Caller) -> Result<Vec<Variable>> {
    let mut all = Vec::new();
    for file in &args.familiar.env_file {
        of_file(file, caller, &mut all)?;
    }
    for (nth, variable) in args.env.iter().enumerate() {
        let at = args.order.of("env", nth);
        let (name, value) = match split(variable) {
            (name, None) if is_pattern(name) => (name, None),
            _ => given(variable, |name| caller.variable(name)).map(|(name, value)| (name, Some(value)))?,
        };
        let label = format!("--env {}", name.display());
        if value.is_none() && name.to_str().is_none() {
            return Err(Error::new(format!("the pattern {} is not UTF-8", name.display()))
                .hint("profiles are UTF-8 text; name the variable itself"));
        }
        all.push(Variable { at, label, name: name.to_owned(), value });
    }
    Ok(all)
}

/// A variable that a flag `--env` gives: `NAME=VALUE`, or `NAME` for the caller's.
///
/// # Errors
///
/// It has no name, or the caller has none of it.
pub(super) fn given(text: &OsStr, callers: impl Fn(&OsStr) -> Option<OsString>) -> Result<(&OsStr, OsString)> {
    let (name, value) = split(text);
    if name.is_empty() {
        return Err(
            Error::new(format!("--env {}: a variable needs a name", text.display())).hint("write --env NAME=VALUE")
        );
    }
    let label = format!("--env {}", name.display());
    let value = value.map(OsStr::to_owned).or_else(|| callers(name));
    let value = value.ok_or_else(|| {
        Error::new(format!("{label}: the variable is not set")).hint(format!("set it with {label}=VALUE"))
    })?;
    Ok((name, value))
}

/// Adds what a file of variables says, in podman's and docker's format: lines `NAME=VALUE`, whose value is taken as it stands, with its quotes and
/// spaces; `NAME` and `NAME*` for variables of the caller's, if they are set; and comments. What `--env` says counts more, wherever it stands.
fn of_file(path: &OsString, caller: &Caller, all: &mut Vec<Variable>) -> Result<()> {
    let label = format!("--env-file {}", path.display());
    let unread = |errno| Error::new(format!("{label}: cannot be read: {errno}"));
    let file = File::open(caller.cwd.join(Path::new(path)));
    let file = file.map_err(|error| {
        unread(crate::sys::Errno::from(error)).hint("name a file with a line NAME=VALUE for each variable")
    })?;
    let mut text = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut text).map_err(|error| unread(crate::sys::Errno::from(error)))?;
    if text.len() as u64 > LARGEST {
        return Err(Error::new(format!("{label}: it has more than {} MiB", LARGEST >> 20))
            .hint("no program can be given so much"));
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_start();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let (name, value) = split(OsStr::from_bytes(line));
        let name = OsString::from_vec(name.as_bytes().trim_ascii_end().to_vec());
        let wrong = |why: &str| {
            Error::new(format!("{label}: line {}: {why}", number + 1))
                .hint("lines are NAME=VALUE, NAME, NAME* or # comments")
        };
        if name.is_empty() {
            return Err(wrong("there is no name before the `=`"));
        }
        if name.as_bytes().iter().any(u8::is_ascii_whitespace) {
            return Err(wrong("the name of a variable holds no spaces"));
        }
        if line.contains(&0) {
            return Err(wrong("it holds a byte of zero, which no variable can"));
        }
        let label = format!("{label}: {}", name.display());
        match value {
            Some(value) => all.push(Variable { at: 0, label, name, value: Some(value.to_owned()) }),
            None if is_pattern(&name) && name.to_str().is_some() => {
                all.push(Variable { at: 0, label, name, value: None })
            }
            None => {
                let value = caller.variable(&name);
                all.extend(value.map(|value| Variable { at: 0, label, name, value: Some(value) }));
            }
        }
    }
    Ok(())
}

fn is_pattern(name: &OsStr) -> bool {
    name.as_bytes().ends_with(b"*")
}

/// Splits `NAME=VALUE` at the first `=`.
fn split(text: &OsStr) -> (&OsStr, Option<&OsStr>) {
    let mut parts = text.as_bytes().splitn(2, |byte| *byte == b'=');
    let name = parts.next().unwrap_or_default();
    (OsStr::from_bytes(name), parts.next().map(OsStr::from_bytes))
}
