//! `sbx attach`, and `sbx start --attach`: this process is in front of the program of a sandbox in the background, as others may be at the same time.

use super::exec::own_keys;
use super::{args, asked, output, store};
use crate::error::{Error, Result};
use crate::exit;
use crate::launch::{Front, Inside, Joining, Keys, Left, size_of_terminal};
use crate::state::{Answer, Entry, Monitor, Request, Silence, Status};
use crate::sys::{self, Poll};
use std::os::fd::{AsFd, OwnedFd};

pub(super) fn main(args: &args::Attach) -> Result<u8> {
    let entry = store::find(&args.name)?;
    join(&entry, &args.front, !args.no_stdin)
}

/// What this process keeps of the pipes between it and a monitor.
struct Pipes {
    input: OwnedFd,
    outputs: [OwnedFd; 2],
}

/// The pipes, and the ends that the monitor gets.
fn pipes() -> Result<(Pipes, [OwnedFd; 3])> {
    let pipe = || sys::pipe().map_err(|errno| Error::call("pipe2", errno));
    let ((read, input), (out, to_out), (err, to_err)) = (pipe()?, pipe()?, pipe()?);
    Ok((Pipes { input, outputs: [out, err] }, [read, to_out, to_err]))
}

/// Attaches to a sandbox that runs.
pub(super) fn join(entry: &Entry, front: &args::Front, input: bool) -> Result<u8> {
    let keys = keys(entry, front)?;
    let gone = |silence: Silence| asked::silent(entry, silence, "can be attached to");
    let exit = entry.exit();
    let monitor = entry.monitor().map_err(gone)?;
    let (pipes, theirs) = pipes()?;
    for (number, stream) in theirs.iter().enumerate() {
        monitor.pass(&Request::Stream { number }, stream.as_fd()).map_err(gone)?;
    }
    let answer = monitor.ask(&Request::Attach { size: size_of_terminal() });
    let answer =
        answer.map_err(|error| Error::new(format!("{} cannot be attached to: {}", entry.called(), error.message)));
    let answer = answer?.map_err(gone)?;
    drop(theirs);
    attend(entry, exit, (monitor, pipes), &answer, (keys, front), input, true)
}

/// Starts a sandbox by `start`, which takes who is attached to it from the start, and is in front of it. `start` gives the exit status if it was not started,
/// and none if it runs already.
pub(super) fn start(
    entry: &Entry,
    front: &args::Front,
    input: bool,
    start: impl FnOnce(Joining) -> Result<Option<u8>>,
) -> Result<u8> {
    let keys = keys(entry, front)?;
    let exit = entry.exit();
    let (pipes, streams) = pipes()?;
    let (ours, socket) = sys::seqpacket_pair().map_err(|errno| Error::call("socketpair", errno))?;
    match start(Joining { socket, streams: streams.map(Some) })? {
        None => return join(entry, front, input),
        Some(0) => {}
        Some(failed) => return Ok(failed),
    }
    let monitor = Monitor::on(ours);
    sys::poll(&mut [Poll::read(monitor.number())], None).map_err(|errno| Error::call("poll", errno))?;
    match monitor.answer() {
        Some(Answer { error: Some(why), .. }) => {
            Err(Error::new(format!("{} runs, but cannot be attached to: {why}", entry.called())))
        }
        Some(answer) => attend(entry, exit, (monitor, pipes), &answer, (keys, front), input, false),
        None => ended(entry, exit),
    }
}

fn keys(entry: &Entry, front: &args::Front) -> Result<Keys> {
    Keys::new(front.detach_keys.as_deref().unwrap_or(own_keys(entry)))
}

/// Is in front of the program, whose monitor has answered so.
fn attend(
    entry: &Entry,
    exit: Option<OwnedFd>,
    (monitor, Pipes { input: to_input, outputs }): (Monitor, Pipes),
    answer: &Answer,
    (keys, front): (Keys, &args::Front),
    input: bool,
    redraws: bool,
) -> Result<u8> {
    if input && !answer.input && sys::is_terminal(sys::STREAMS[0]) {
        output::tell("sbx: note: what is typed does not go to the program, which was started without -i\n");
    }
    let front = Front {
        monitor,
        input: Some(to_input).filter(|_| input && answer.input),
        outputs: outputs.map(Some),
        inside: if answer.terminal { Inside::There { redraws } } else { Inside::None },
        keys,
        attached: true,
        proxies: front.sig_proxy.unwrap_or(true),
    };
    let (left, _, _) = front.attend().map_err(|errno| Error::call("poll", errno))?;
    match left {
        Left::Ended(Answer { error: Some(why), status, .. }) => {
            let status = status.and_then(|status| u8::try_from(status).ok()).unwrap_or(exit::FAILED);
            Err(Error::new(format!("{}: {why}", entry.called())).status(status))
        }
        Left::Ended(answer) => Ok(answer.status.and_then(|status| u8::try_from(status).ok()).unwrap_or(exit::FAILED)),
        Left::Gone => ended(entry, exit),
        Left::Keys => Ok(0),
        Left::Lost(lost, _) => {
            Err(output::lost(&lost).hint(format!("the program goes on: sbx attach {0}, sbx logs {0}", entry.called())))
        }
        Left::Signal(signal) => {
            sys::die_by(signal);
            Ok(exit::SIGNALED + u8::try_from(signal).unwrap_or_default())
        }
    }
}

/// How a sandbox has ended whose monitor has not told it.
fn ended(entry: &Entry, exit: Option<OwnedFd>) -> Result<u8> {
    let status = entry.end(exit.as_ref())?;
    let number = status.exit_status().and_then(|status| u8::try_from(status).ok()).unwrap_or(exit::FAILED);
    match status {
        Status::Exited(_) => Ok(number),
        _ => Err(Error::new(format!("{} has ended: its monitor was killed, and the program with it", entry.called()))
            .status(number)),
    }
}
