//! sbx's command line: parses the arguments and calls the verb. Takes no other decisions.

mod afterwards;
mod args;
mod ask;
mod asked;
mod attach;
mod background;
mod caller;
mod check;
mod closed;
mod closing;
mod copier;
mod cp;
mod elapsed;
mod ending;
mod environment;
mod event_args;
mod events;
mod exec;
mod familiar;
mod familiar_args;
mod flags;
mod generate;
mod guarded;
mod happened;
mod homes;
mod inspect;
mod journal;
mod kept;
mod kernel;
mod latest;
mod layers;
mod limit_args;
mod listed;
mod log_source;
mod logs;
mod meant;
mod network;
mod network_allow;
mod network_args;
mod network_connect;
mod network_create;
mod one_verb;
mod output;
mod path_flag;
mod pausing;
mod plan;
mod port;
mod profile;
mod program;
mod progress;
mod project_check;
mod project_files;
mod receipt;
mod record_args;
mod remove;
mod replaced;
mod review;
mod run;
mod sandbox_args;
mod selftest;
mod starting;
mod stats;
mod store;
mod template;
mod text;
mod top;
mod unread;
mod update;
mod upper_args;
mod uppers;
mod watch;
mod words;
mod wrong;

pub use args::{Cli, command, completed};

use crate::error::Error;
use crate::host::Elevation;
use crate::{exit, sys};
use args::{VERBS, Verb};
use clap::Parser;
use output::complain;
use std::ffi::OsString;

/// The entry point of `sbx`, with its arguments, its name among them; returns the exit status.
pub fn main(args: Vec<OsString>) -> u8 {
    // A reader that closes the pipe (`| head`) gives EPIPE instead of a signal.
    sys::ignore_sigpipe();
    if let Some(elevation) = Elevation::of_this_process() {
        let message =
            format!("sbx has rights that its caller has not, and does nothing with them: {}", elevation.cause());
        return complain(&Error::new(message).hint(elevation.fix()));
    }
    // `sbx selftest` executes this program inside its sandbox, by this name.
    if args.first().is_some_and(|name| name == crate::selftest::INSIDE) {
        return crate::selftest::inside(&args);
    }
    // `sbx cp` has it executed in a sandbox by this name.
    if args.first().is_some_and(|name| name == crate::copy::NAME) {
        return crate::copy::inside(&args);
    }
    if args.first().is_some_and(|name| name == crate::child::EXEC) {
        return crate::child::execute(&args);
    }
    if args.first().is_some_and(|name| name == crate::proxy::SOUND) {
        return crate::proxy::sound(&args);
    }
    if args.first().is_some_and(|name| name == crate::proxy::AGENT) {
        return crate::proxy::ssh_agent(&args);
    }
    if args.first().is_some_and(|name| name == crate::proxy::RELAY) {
        return crate::proxy::relay_ports(&args);
    }
    if args.first().is_some_and(|name| name == crate::proxy::NAMES) {
        return crate::proxy::forward_names(&args);
    }
    if args.first().is_some_and(|name| name == crate::proxy::HOLDER) {
        return crate::proxy::hold_network(&args);
    }
    if args.first().is_some_and(|name| name == crate::union::fuse::SERVER) {
        return crate::union::fuse::serve(&args);
    }
    if args.first().is_some_and(|name| name == crate::union::view::SERVER) {
        return crate::union::view::serve(&args);
    }
    let args = with_verb(args);
    if let Some(run) = args::Run::quickly(&args) {
        return start(run, &args);
    }
    let args = words::with_switches(args);
    let words = args.clone();
    let args = match words::with_latest(args) {
        Ok(args) => args,
        Err(error) => return complain(&error),
    };
    let verb = match one_verb::quickly(&args).map_or_else(|| Cli::try_parse_from(args).map(|cli| cli.verb), Ok) {
        Ok(verb) => verb,
        Err(error) => {
            // clap reports `--help` and `--version` as errors, too, which print to stdout.
            let status = if error.use_stderr() { exit::FAILED } else { 0 };
            let error = unread::mended(error, &words);
            return match error.print() {
                Err(failed) if !error.use_stderr() && failed.kind() != std::io::ErrorKind::BrokenPipe => {
                    complain(&output::unwritable(failed))
                }
                _ => status,
            };
        }
    };
    let result = match verb {
        Verb::Run(run) => return start(run, &words),
        Verb::Create(run) => starting::create(&with_words(run, &words)),
        Verb::Start(verb) => starting::start(&verb),
        Verb::Restart(verb) => starting::restart(&verb),
        Verb::Plan(verb) => plan::main(&verb),
        Verb::Check(verb) => check::main(&verb),
        Verb::Profile(verb) => profile::main(&verb),
        Verb::Selftest(verb) => selftest::main(&verb),
        Verb::Homes(verb) => homes::main(&verb),
        Verb::Diff(verb) => uppers::diff(&verb),
        Verb::Commit(verb) => uppers::commit(&verb),
        Verb::Discard(verb) => uppers::discard(&verb),
        Verb::Export(verb) => uppers::export(&verb),
        Verb::Uppers(verb) => uppers::list(&verb),
        Verb::Snapshot(verb) => uppers::snapshot(&verb),
        Verb::Fork(verb) => uppers::fork(&verb),
        Verb::Network(verb) => network::main(&verb),
        Verb::Ps(verb) => listed::main(&verb),
        Verb::Exec(verb) => exec::main(&verb),
        Verb::Attach(verb) => attach::main(&verb),
        Verb::Generate(args::Generate { verb: args::GenerateVerb::Systemd(verb) }) => generate::systemd(&verb),
        Verb::Logs(verb) => logs::main(&verb),
        Verb::Inspect(verb) => inspect::main(&verb),
        Verb::Stop(verb) => ending::stop_main(&verb),
        Verb::Kill(verb) => ending::kill_main(&verb),
        Verb::Wait(verb) => ending::wait_main(&verb),
        Verb::Rm(verb) => remove::main(&verb),
        Verb::Prune(verb) => remove::prune(&verb),
        Verb::Rename(verb) => remove::rename(&verb),
        Verb::Pause(verb) => pausing::pause(&verb),
        Verb::Unpause(verb) => pausing::unpause(&verb),
        Verb::Top(verb) => top::main(&verb),
        Verb::Port(verb) => port::main(&verb),
        Verb::Stats(verb) => stats::main(&verb),
        Verb::Cp(verb) => cp::main(&verb),
        Verb::Update(verb) => update::main(&verb),
        Verb::Events(verb) => events::main(&verb),
    };
    match result {
        Ok(status) => status,
        Err(error) => complain(&error),
    }
}

/// Runs the program, in the foreground or the background.
fn start(run: args::Run, words: &[OsString]) -> u8 {
    if !run.kept.detach && run.kept.detach_keys.as_ref().is_some_and(|keys| !keys.is_empty()) {
        return complain(
            &crate::error::Error::new("--detach-keys: a program in the foreground cannot be left to go on")
                .hint("start it by `sbx run -d`, and be in front of it by `sbx attach`"),
        );
    }
    if !kept::is_wanted(&run.kept) {
        return run::main(&run);
    }
    let run = with_words(run, words);
    if run.kept.detach { background::main(&run) } else { run::main(&run) }
}

/// A run with the words behind the verb that it was read from.
fn with_words(run: args::Run, words: &[OsString]) -> args::Run {
    args::Run { words: words.get(2..).unwrap_or_default().to_vec(), ..run }
}

/// `sbx [FLAGS] PROGRAM` means `sbx run [FLAGS] PROGRAM`: inserts `run` if the first argument is no verb.
fn with_verb(mut args: Vec<OsString>) -> Vec<OsString> {
    let verb = args.get(1).is_some_and(|first| {
        VERBS.iter().chain(&["help", "--help", "-V", "--version"]).any(|word| first == word)
            // With a word behind it, it is the host name of a run.
            || (first == "-h" && args.len() == 2)
    });
    if !verb && args.len() > 1 {
        args.insert(1, "run".into());
    }
    args
}
