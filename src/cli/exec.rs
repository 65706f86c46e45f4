//! `sbx exec`: executes a further program in a running sandbox, with all that keeps the sandbox's program in.
//!
//! Its standard streams are pipes of this process's own, which copies: none of the caller's files and terminals comes into the sandbox.

use super::{args, store};
use crate::error::{Error, Result};
use crate::exit;
use crate::state::{Execution, LARGEST, Monitor, Request, Silence, Text};
use crate::sys::{self, Errno, Poll};
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// The exit status if the sandbox does not run: podman's.
const NOT_RUNNING: u8 = 255;

/// How much is copied at once, in bytes.
const PIECE: usize = 1 << 16;

pub(super) fn main(args: &args::Exec) -> Result<u8> {
    refused(args)?;
    let entry = store::store()?.find(&args.name)?;
    let gone = |silence: Silence| match silence {
        Silence::Gone => Error::new(format!(
            "{} is {}, and a program can be executed only in a running sandbox",
            entry.called(),
            entry.status().word()
        ))
        .hint(format!("start it first: sbx start {}", entry.called()))
        .status(NOT_RUNNING),
        Silence::Stuck => {
            Error::new(format!("the monitor of {} does not answer", entry.called())).hint("it may be stopped")
        }
    };
    let asked = Execution {
        args: args.command.iter().map(|word| Text::from(word.as_os_str())).collect(),
        env: args.env.iter().map(variable).collect::<Result<_>>()?,
        dir: args.workdir.as_ref().map(|dir| Text::from(dir.as_os_str())),
    };
    let failed = |errno: Errno| Error::call("pipe2", errno);
    let (input, to_input) = sys::pipe().map_err(failed)?;
    let (from_output, output) = sys::pipe().map_err(failed)?;
    let (from_errors, errors) = sys::pipe().map_err(failed)?;
    let request = request(&asked)?;
    let monitor = entry.monitor().map_err(gone)?;
    let pass = || -> std::result::Result<(), Silence> {
        for (number, stream) in [&input, &output, &errors].into_iter().enumerate() {
            monitor.pass(&Request::Stream { number }, stream.as_fd())?;
        }
        monitor.pass(&Request::Exec, request.as_fd())
    };
    pass().map_err(gone)?;
    // Each pipe ends with the program from here on.
    drop((input, output, errors));
    let to_input = Some(to_input).filter(|_| args.interactive);
    let ended =
        copy(&monitor, to_input, [Some(from_output), Some(from_errors)]).map_err(|errno| Error::call("poll", errno))?;
    let Some(answer) = ended else {
        return Err(Error::new(format!("{} has ended, and all that ran in it", entry.called()))
            .status(exit::SIGNALED + libc::SIGKILL as u8));
    };
    let status = answer.status.map_or(exit::FAILED, |status| status as u8);
    match answer.error {
        None => Ok(status),
        Some(why) => {
            let name = args.command.first().map(|name| name.display().to_string()).unwrap_or_default();
            Err(Error::new(format!("{name}: {why}")).status(status))
        }
    }
}

/// A variable: NAME=VALUE, or the caller's value of NAME.
fn variable(word: &OsString) -> Result<Text> {
    if word.as_bytes().contains(&b'=') {
        return Ok(Text::from(word.as_os_str()));
    }
    let value = std::env::var_os(word).ok_or_else(|| {
        Error::new(format!("--env {}: the variable is not set", word.display()))
            .hint(format!("set it with --env {}=VALUE", word.display()))
    })?;
    let mut line = word.clone();
    line.push("=");
    line.push(value);
    Ok(Text::from(line.as_os_str()))
}

/// The file in memory that the request is in.
fn request(asked: &Execution) -> Result<OwnedFd> {
    let text = serde_json::to_vec(asked).map_err(|error| Error::new(format!("cannot write the request: {error}")))?;
    if text.len() > LARGEST {
        return Err(Error::new("the arguments and variables are too long"));
    }
    sys::memory_file_with(c"sbx-exec", &text).map_err(|errno| Error::new(format!("a file in memory: {errno}")))
}

/// Copies until the monitor has answered and the program's output is at its end, or has nothing more. Gives the answer.
fn copy(
    monitor: &Monitor,
    mut to_input: Option<OwnedFd>,
    mut from: [Option<OwnedFd>; 2],
) -> sys::Result<Option<crate::state::Answer>> {
    if let Some(to) = &to_input {
        sys::set_nonblocking(to.as_fd(), true)?;
    }
    let number = |fd: &Option<OwnedFd>| fd.as_ref().map_or(-1, AsRawFd::as_raw_fd);
    let (mut typed, mut buffer) = (Vec::new(), vec![0; PIECE]);
    let (mut ended, mut answer) = (false, None);
    let mut input_open = true;
    loop {
        let reads = to_input.is_some() && input_open && typed.is_empty();
        let writes = if typed.is_empty() { -1 } else { number(&to_input) };
        let mut set = [
            Poll::read(if ended { -1 } else { monitor.number() }),
            Poll::read(if reads { 0 } else { -1 }),
            Poll { fd: writes, read: false, write: true, ready: false },
            Poll::read(number(&from[0])),
            Poll::read(number(&from[1])),
        ];
        // What is left in the pipes is there by the time that the end is told; what the program has left running may write for ever.
        sys::poll(&mut set, if ended { Some(0) } else { None })?;
        if ended && !set.iter().skip(3).any(|poll| poll.ready) {
            return Ok(answer);
        }
        if set[0].ready {
            answer = monitor.answer();
            ended = true;
        }
        if set[1].ready {
            match sys::read(sys::STREAMS[0].as_fd(), &mut buffer) {
                Ok(count @ 1..) => typed.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                _ => input_open = false,
            }
        }
        if let Some(to) = to_input.as_ref().filter(|_| !typed.is_empty()) {
            match sys::write_some(to.as_fd(), &typed) {
                Ok(count) => drop(typed.drain(..count)),
                Err(Errno(libc::EAGAIN | libc::EINTR)) => {}
                // The program reads no more.
                Err(_) => to_input = None,
            }
        }
        if !input_open && typed.is_empty() {
            to_input = None;
        }
        for (index, stream) in from.iter_mut().enumerate() {
            if !set[3 + index].ready {
                continue;
            }
            let read = stream.as_ref().map(|stream| sys::read(stream.as_fd(), &mut buffer));
            match read {
                Some(Ok(count @ 1..)) => {
                    let to = sys::STREAMS[1 + index].as_fd();
                    if sys::write_all(to, buffer.get(..count).unwrap_or_default()).is_err() {
                        // Nobody reads any more: the program is told by its pipe.
                        *stream = None;
                    }
                }
                _ => *stream = None,
            }
        }
    }
}

/// What is not there to be had.
fn refused(args: &args::Exec) -> Result<()> {
    if args.tty {
        return Err(Error::new("--tty: a further program is given no terminal by this version of sbx")
            .hint("leave -t out: what is typed goes to the program line by line with -i"));
    }
    if args.user.is_some() {
        return Err(Error::new("--user: a further program has the ids of the sandbox's program").hint("leave it out"));
    }
    if args.privileged {
        return Err(Error::new("--privileged: a further program has no more rights than the sandbox's program"));
    }
    Ok(())
}
