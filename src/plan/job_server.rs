//! The job server of a make(1) around sbx, which MAKEFLAGS names: the two descriptors of a pipe, or the path of a named one.
//!
//! The program gets descriptors and files only where the command line says so. A variable that named descriptors which are
//! closed would be worse than none: make would warn and run one job at a time, and the next files that a program opens have
//! these numbers, so that cargo, rustc and ninja would read their tokens from them.

use super::note::Note;
use crate::spec::{Descriptors, Mode, Sandbox, within};
use std::collections::BTreeMap;
use std::path::Path;

/// The variables by which make and cargo name a job server.
const VARIABLES: [&str; 3] = ["MAKEFLAGS", "CARGO_MAKEFLAGS", "MFLAGS"];

/// Takes a job server that the program does not get out of the variables that are passed on, and says so.
pub(super) fn settle(sandbox: &Sandbox, env: &mut BTreeMap<String, String>, notes: &mut Vec<Note>) {
    let mut told = false;
    for variable in VARIABLES {
        if sandbox.process.env.contains_key(variable) {
            continue;
        }
        let Some(value) = env.get_mut(variable).filter(|value| value.contains("--jobserver-")) else { continue };
        let Some((rest, flags)) = without(value, sandbox) else { continue };
        *value = rest;
        if !told {
            notes.push(Note::NoJobServer { variable: variable.to_owned(), flags });
            told = true;
        }
    }
}

/// The value of a variable without a job server that the program does not get, and the flags that hand it over. None if the
/// value stays.
fn without(value: &str, sandbox: &Sandbox) -> Option<(String, String)> {
    // What follows are variables that make was given.
    let (options, variables) = match value.find(" -- ") {
        Some(at) => value.split_at(at),
        None => (value, ""),
    };
    let server = |word: &str| {
        let word = word.strip_prefix("--jobserver-auth=").or_else(|| word.strip_prefix("--jobserver-fds="));
        word.map(str::to_owned)
    };
    let flags = options.split(' ').filter_map(server).find_map(|server| missing(&server, sandbox))?;
    // `-j` without a number stands for that of the job server; without one, it has no limit.
    let kept = options.split(' ').filter(|word| server(word).is_none() && *word != "-j");
    Some((kept.collect::<Vec<_>>().join(" ") + variables, flags))
}

/// The flags that hand a job server over which the program does not get; none if it gets it, or if there is none to be had.
fn missing(server: &str, sandbox: &Sandbox) -> Option<String> {
    if let Some(path) = server.strip_prefix("fifo:") {
        let shown = |rule: &&crate::spec::PathRule| within(Path::new(path), &rule.path);
        let rules = sandbox.filesystem.paths.iter().filter(shown);
        let nearest = rules.max_by_key(|rule| rule.path.as_os_str().len());
        return nearest.is_none_or(|rule| rule.mode != Mode::Rw).then(|| format!("--rw {path}"));
    }
    let numbers = server.split_once(',')?;
    // make itself gives negative ones to programs that are not to have it.
    let numbers: [i32; 2] = [numbers.0.parse().ok().filter(|fd| *fd >= 0)?, numbers.1.parse().ok()?];
    let Descriptors::Only(kept) = &sandbox.process.descriptors else { return None };
    let closed = numbers.iter().any(|fd| *fd > 2 && !kept.contains(fd));
    closed.then(|| numbers.map(|fd| format!("--keep-fd {fd}")).join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Options, Origin, PathRule};

    fn settled(value: &str, sandbox: &Sandbox) -> (String, usize) {
        let (mut env, mut notes) = (BTreeMap::from([("MAKEFLAGS".to_owned(), value.to_owned())]), Vec::new());
        settle(sandbox, &mut env, &mut notes);
        (env.remove("MAKEFLAGS").unwrap(), notes.len())
    }

    #[test]
    fn a_job_server_is_passed_on_only_if_the_program_gets_it() {
        let plain = Sandbox::default();
        for (value, left) in [
            (" -j2 --jobserver-auth=3,4", " -j2"),
            ("ks -j8 --jobserver-fds=3,4 -- CC=gcc", "ks -j8 -- CC=gcc"),
            ("-j --jobserver-fds=8,9 --jobserver-auth=8,9", ""),
            (" -j2 --jobserver-auth=fifo:/tmp/GMfifo7", " -j2"),
        ] {
            assert_eq!(settled(value, &plain), (left.to_owned(), 1), "{value}");
        }
        for value in ["", "k", " -j2", " -j2 --jobserver-auth=-2,-2", " -- X=--jobserver-auth=3,4"] {
            assert_eq!(settled(value, &plain), (value.to_owned(), 0), "{value}");
        }
        let mut kept = Sandbox::default();
        kept.process.descriptors = Descriptors::Only(vec![3, 4]);
        let (options, origin) = (Options::default(), Origin::default());
        let path = "/tmp/GMfifo7".into();
        kept.filesystem.paths.push(PathRule::new(path, Mode::Rw, options, origin));
        for value in [" -j2 --jobserver-auth=3,4", " -j2 --jobserver-auth=fifo:/tmp/GMfifo7"] {
            assert_eq!(settled(value, &kept), (value.to_owned(), 0), "{value}");
        }
        assert_eq!(settled(" -j2 --jobserver-auth=3,5", &kept), (" -j2".to_owned(), 1));
    }
}
