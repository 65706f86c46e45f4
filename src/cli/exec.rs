//! `sbx exec`: executes a further program in a running sandbox, with all that keeps the sandbox's program in.
//!
//! Its standard streams are pipes of this process's own, which copies, or a terminal of the sandbox's own, of which this process gets the master: none of
//! the caller's files and terminals comes into the sandbox.

use super::{args, asked, environment, output, store};
use crate::error::{Error, Result};
use crate::exit;
use crate::launch::{Front, Inside, Keys, Left, USUAL_KEYS, start_of_terminal};
use crate::state::{Answer, Entry, Execution, Monitor, Request, Silence, Text};
use crate::sys::{self, Errno, Poll};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};

/// The exit status if the sandbox does not run: podman's.
const NOT_RUNNING: u8 = 255;

pub(super) fn main(args: &args::Exec) -> Result<u8> {
    if args.privileged {
        return Err(Error::new("--privileged: a further program has no more rights than the sandbox's program"));
    }
    let entry = store::find(&args.name)?;
    let keys = Keys::new(args.detach_keys.as_deref().unwrap_or(own_keys(&entry)))?;
    let request = asked::execution(&Execution {
        args: args.command.iter().map(|word| Text::from(word.as_os_str())).collect(),
        env: variables(args, &entry)?,
        dir: args.workdir.as_ref().map(|dir| Text::from(dir.as_os_str())),
        user: args.user.as_ref().map(|user| Text::from(user.as_os_str())),
        terminal: args.tty.then(start_of_terminal),
        detach: args.detach,
    })?
    .ok_or_else(|| Error::new("the arguments and variables are too long"))?;
    let monitor = entry.monitor().map_err(|silence| gone(&entry, silence))?;
    // One that is stopped takes the request all the same, and answers it when it goes on.
    monitor.ask(&Request::Look)?.map_err(|silence| gone(&entry, silence))?;
    let ask =
        |monitor: &Monitor| monitor.pass(&Request::Exec, request.as_fd()).map_err(|silence| gone(&entry, silence));
    if args.detach {
        ask(&monitor)?;
        let (answer, _) = first_answer(&monitor, &entry)?;
        return ended(args, answer);
    }
    let front = if args.tty {
        ask(&monitor)?;
        match first_answer(&monitor, &entry)? {
            (Answer { terminal: true, .. }, Some(master)) => {
                let inside = Inside::with_master(master).map_err(|errno| Error::call("ioctl TIOCGPTPEER", errno))?;
                let input = if args.interactive { inside.master() } else { None };
                Front { monitor, input, outputs: [None, None], inside, keys, attached: false, proxies: false }
            }
            (answer, _) => return ended(args, answer),
        }
    } else {
        let failed = |errno: Errno| Error::call("pipe2", errno);
        let (input, to_input) = sys::pipe().map_err(failed)?;
        let (from_output, output) = sys::pipe().map_err(failed)?;
        let (from_errors, errors) = sys::pipe().map_err(failed)?;
        for (number, stream) in [&input, &output, &errors].into_iter().enumerate() {
            let passed = monitor.pass(&Request::Stream { number }, stream.as_fd());
            passed.map_err(|silence| gone(&entry, silence))?;
        }
        ask(&monitor)?;
        // Each pipe ends with the program from here on.
        drop((input, output, errors));
        let input = Some(to_input).filter(|_| args.interactive);
        let outputs = [Some(from_output), Some(from_errors)];
        Front { monitor, input, outputs, inside: Inside::None, keys, attached: false, proxies: false }
    };
    let (left, master, monitor) = front.attend().map_err(|errno| Error::call("poll", errno))?;
    match left {
        Left::Ended(answer) => ended(args, answer),
        Left::Lost(lost, answer) => {
            let status = answer.map_or(Ok(exit::FAILED), |answer| ended(args, answer))?;
            Err(output::lost(&lost).status(if status == 0 { exit::FAILED } else { status }))
        }
        Left::Gone => Err(Error::new(format!("{} has ended, and all that ran in it", entry.called()))
            .status(exit::SIGNALED + libc::SIGKILL as u8)),
        Left::Keys => {
            let left = match master {
                Some(master) => monitor.pass(&Request::Leave, master.as_fd()),
                None => monitor.tell(&Request::Leave),
            };
            left.map(|()| 0).map_err(|silence| gone(&entry, silence))
        }
        Left::Signal(signal) => {
            drop(monitor);
            sys::die_by(signal);
            Ok(exit::SIGNALED + signal as u8)
        }
    }
}

/// The keys that leave a sandbox's program, unless a command has others.
pub(super) fn own_keys(entry: &Entry) -> &str {
    entry.spec.detach_keys.as_deref().unwrap_or(USUAL_KEYS)
}

/// Why a monitor was not reached.
fn gone(entry: &Entry, silence: Silence) -> Error {
    let ended = matches!(silence, Silence::Gone);
    let error = asked::silent(entry, silence, "can have a program executed");
    if ended { error.status(NOT_RUNNING) } else { error }
}

/// The first answer, for which there is nothing else to do meanwhile.
fn first_answer(monitor: &Monitor, entry: &Entry) -> Result<(Answer, Option<OwnedFd>)> {
    sys::poll(&mut [Poll::read(monitor.number())], None).map_err(|errno| Error::call("poll", errno))?;
    monitor.answer_with_file().ok_or_else(|| gone(entry, Silence::Gone))
}

/// The exit status that an answer means.
fn ended(args: &args::Exec, answer: Answer) -> Result<u8> {
    // One that was started and is left to go on has none yet.
    let status = answer.status.unwrap_or(if answer.error.is_some() { exit::FAILED.into() } else { 0 });
    let status = u8::try_from(status).unwrap_or(exit::FAILED);
    match answer.error {
        None => Ok(status),
        Some(why) => {
            let name = args.command.first().map(|name| name.display().to_string()).unwrap_or_default();
            Err(Error::new(format!("{name}: {why}")).status(status))
        }
    }
}

/// The terminal that one is taken for where the caller says nothing of it: podman's.
const USUAL_TERMINAL: &str = "xterm";

/// The variables of the program. One with a terminal is told what it is, unless the sandbox's program was told so already.
fn variables(args: &args::Exec, entry: &Entry) -> Result<Vec<Text>> {
    let mut all = args.env.iter().map(|word| variable(word)).collect::<Result<Vec<_>>>()?;
    if args.tty && !entry.spec.env.iter().any(|line| line.starts_with("TERM=")) {
        let mut line = OsString::from("TERM=");
        line.push(std::env::var_os("TERM").filter(|term| !term.is_empty()).unwrap_or_else(|| USUAL_TERMINAL.into()));
        // What was asked for comes later, and counts.
        all.insert(0, Text::from(line.as_os_str()));
    }
    Ok(all)
}

/// A variable, as a line.
fn variable(word: &OsStr) -> Result<Text> {
    let (name, value) = environment::given(word, |name| std::env::var_os(name))?;
    let mut line = name.to_owned();
    line.push("=");
    line.push(value);
    Ok(Text::from(line.as_os_str()))
}
