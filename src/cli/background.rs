//! `sbx run --detach`: the run goes on in the background. Its launcher, the monitor, is made before anything else is, so that it is the parent of all;
//! this process waits until the program has started, and prints the sandbox's id.

use super::kept::{self, Restart};
use super::{args, output, run, store};
use crate::error::{Error, Result};
use crate::exit;
use crate::launch::{Joining, Recorded, Report, Status, Waiting};
use crate::state::{self, Cause, Id};
use crate::sys::{self, UnownedFd, Waited};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) fn main(args: &args::Run) -> u8 {
    let started = kept::check(&args.kept).and_then(|()| launch(args, None, None));
    match started {
        Ok(Ok(id)) => match output::print(&format!("{id}\n")) {
            Ok(()) => 0,
            Err(error) => output::complain(&kept::take_back(&id, &args.kept, &error)),
        },
        Ok(Err(status)) => status,
        Err(error) => output::complain(&error),
    }
}

/// A sandbox that has a record already: its id, and the directory in which the words of its command line are meant.
pub(super) type Existing<'a> = (&'a Id, &'a Path);

/// Runs a program in the background, and waits until it has started. Gives the sandbox's id; or, once the error is printed, its exit status. `joining` is
/// who is attached to the program from the start.
pub(super) fn launch(
    args: &args::Run,
    existing: Option<Existing<'_>>,
    joining: Option<Joining>,
) -> Result<std::result::Result<String, u8>> {
    let is_terminal = |stream: &UnownedFd| sys::is_terminal(*stream);
    if kept::log_driver(&args.kept) == "passthrough" && sys::STREAMS[1..].iter().any(is_terminal) {
        return Err(Error::new("--log-driver passthrough: a program in the background is not given the terminal")
            .hint("send its output to a file or a pipe: sbx run -d --log-driver passthrough PROGRAM >FILE 2>&1"));
    }
    let (told, tells) = sys::pipe().map_err(|errno| Error::call("pipe2", errno))?;
    sys::fork(|| monitor(args, tells, existing, joining)).map_err(|errno| Error::call("fork", errno))?;
    for line in BufReader::new(File::from(told)).lines() {
        match line.ok().and_then(|line| serde_json::from_str(&line).ok()) {
            Some(Report::Note(text)) => output::tell(&text),
            Some(Report::Started(id)) => return Ok(Ok(id)),
            Some(Report::Failed(status, text)) => {
                output::tell(&format!("{text}\n"));
                return Ok(Err(status));
            }
            None => break,
        }
    }
    Err(Error::new(
        "the process that was to run the program in the background was killed before the program had started",
    ))
}

/// The monitor, from its beginning to its end.
fn monitor(args: &args::Run, tells: OwnedFd, existing: Option<Existing<'_>>, joining: Option<Joining>) -> i32 {
    let left = leave(args, &tells, joining.as_ref())
        .map_err(|errno| Error::new(format!("cannot run in the background: {errno}")));
    let waiting = Waiting::new(tells);
    let entered = left.and_then(|outputs| {
        if let Some((_, dir)) = existing {
            std::env::set_current_dir(dir).map_err(|error| {
                Error::new(format!("{} cannot be entered any more: {}", dir.display(), sys::Errno::from(error))).hint(
                    "the command line of the sandbox was meant there: make the directory, or run the sandbox anew",
                )
            })?;
        }
        Ok((outputs, existing.map_or_else(Id::random, |(id, _)| Ok(id.clone()))?, kept::restart(&args.kept)?))
    });
    let (outputs, id, restart) = match entered {
        Ok(entered) => entered,
        Err(error) => {
            waiting.tell(&Report::Failed(error.status, error.to_string()));
            return error.status.into();
        }
    };
    match restart {
        Restart::No => {
            once(args, Began { waiting: Some(waiting), outputs, joining }, id, existing.is_some().then_some(0))
        }
        restart => {
            let began = Began { waiting: Some(waiting), outputs, joining };
            again_and_again(args, began, &id, existing.is_some(), restart)
        }
    }
    .into()
}

/// What a run in the background begins with.
struct Began {
    /// The command that waits for its start.
    waiting: Option<Waiting>,
    /// Where what the program writes is read.
    outputs: Option<[OwnedFd; 2]>,
    /// Who is attached from the start.
    joining: Option<Joining>,
}

/// Runs the program once. With `resumed`, the sandbox has a record, and was started so often before.
fn once(args: &args::Run, began: Began, id: Id, resumed: Option<u32>) -> u8 {
    let Began { waiting, outputs, joining } = began;
    let passes_through = kept::log_driver(&args.kept) == "passthrough";
    let input = match input(args) {
        Ok(input) => input,
        Err(errno) => return complain(&errno),
    };
    let mut status = Status { waiting, outputs, joining, input, passes_through, ..Status::default() };
    if let Some(restarts) = resumed {
        let there = match kept::log_driver(&args.kept) {
            "journald" if restarts == 0 => state::journal_is_there(),
            _ => Ok(()),
        };
        match there.and_then(|()| store::store()).and_then(|store| store.resume(&id)) {
            Ok(held) => {
                let record = Recorded::new(held, status.outputs.take()).restarts(restarts);
                status.record = Some(record.input(status.input.take()));
            }
            Err(error) => {
                if let Some(waiting) = &status.waiting {
                    waiting.tell(&Report::Failed(error.status, error.to_string()));
                }
                return error.status;
            }
        }
    }
    run::carry_out(args, status, Some(id))
}

/// The shortest and the longest time between an end and the next start; it doubles each time.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(60)];

/// A program that has run so long is not one that fails at once.
const LONG: Duration = Duration::from_secs(10);

/// Runs the program, and again after its end as the flag says. Each run has a launcher of its own, so that what one takes of memory goes with it.
fn again_and_again(args: &args::Run, began: Began, id: &Id, existing: bool, restart: Restart) -> u8 {
    let Began { waiting: mut first, outputs, mut joining } = began;
    let (mut restarts, mut pause) = (0, PAUSES[0]);
    let mut kept = None;
    loop {
        let began = Instant::now();
        let own = |[out, err]: &[OwnedFd; 2]| -> std::io::Result<_> { Ok([out.try_clone()?, err.try_clone()?]) };
        let own = match outputs.as_ref().map(own).transpose() {
            Ok(own) => own,
            Err(error) => return complain(&sys::Errno::from(error)),
        };
        let (waiting, joining) = (first.take(), joining.take());
        let resumed = (existing || restarts > 0).then_some(restarts);
        let keeper = sys::pid();
        let launcher = sys::fork(|| {
            if sys::set_parent_death_signal(libc::SIGKILL).is_err() || sys::parent_pid() != keeper {
                return exit::FAILED.into();
            }
            once(args, Began { waiting, outputs: own, joining }, id.clone(), resumed).into()
        });
        let status = match launcher.and_then(sys::wait_for) {
            Ok(Waited::Exited(status)) => status as u8,
            // Somebody has killed it: so ends the sandbox.
            Ok(_) => return exit::SIGNALED + libc::SIGKILL as u8,
            Err(errno) => return complain(&errno),
        };
        // Without a record, it was never started, or somebody has removed it.
        let Ok(store) = store::store() else { return status };
        let Ok(entry) = store.find(id.as_str()) else { return status };
        kept = kept.or_else(|| entry.keep());
        let state::Status::Exited(begun) = entry.status() else { return status };
        let never_started = restarts == 0 && begun.cause == Cause::Failed;
        if kept.is_none() || entry.is_to_stop() || begun.stopped || never_started || !restart.wants(&begun, restarts) {
            return status;
        }
        pause = if began.elapsed() >= LONG { PAUSES[0] } else { pause };
        let Ok(held) = store.resume(id) else { return status };
        let goes_on = Recorded::new(held, None).restarts(restarts).rest(pause, &begun);
        if !goes_on || entry.is_to_stop() {
            return status;
        }
        pause = (pause * 2).min(PAUSES[1]);
        restarts += 1;
    }
}

fn complain(errno: &sys::Errno) -> u8 {
    output::complain(&Error::new(format!("cannot run in the background: {errno}")))
}

/// Leaves the caller's session and terminal, and everything that the caller waits for the end of: its standard streams and other descriptors, but for
/// those that flags name. Gives the read ends of standard output and standard error if what is written there is logged.
fn leave(args: &args::Run, tells: &OwnedFd, joining: Option<&Joining>) -> sys::Result<Option<[OwnedFd; 2]>> {
    sys::setsid()?;
    let null = sys::openat(sys::cwd(), c"/dev/null", libc::O_RDWR, 0)?;
    let [input, outputs @ ..] = sys::STREAMS;
    sys::dup2(null.as_fd(), input)?;
    let read = match kept::log_driver(&args.kept) {
        "passthrough" => None,
        // This process keeps the write ends open as well: notes of its own are logged, and the end is not told by them.
        _ => Some([piped(outputs[0])?, piped(outputs[1])?]),
    };
    let written = args.receipt.iter().chain(&args.network_log).chain(&args.kept.cidfile);
    let written = written.filter_map(|given| given.to_str()?.parse::<i32>().ok());
    let mut keep = vec![0, 1, 2, tells.as_raw_fd()];
    keep.extend(read.iter().flatten().map(AsRawFd::as_raw_fd));
    keep.extend(joining.iter().map(|joining| joining.socket.as_raw_fd()));
    keep.extend(joining.iter().flat_map(|joining| joining.streams.iter().flatten()).map(AsRawFd::as_raw_fd));
    let named = args.sandbox.keep_fd.iter().copied().chain(args.status_fd).chain(written);
    keep.extend(named.filter(|fd| UnownedFd::new(*fd).flags().is_ok()));
    keep.sort_unstable();
    keep.dedup();
    // Closed with the others.
    std::mem::forget(null);
    sys::close_all_but(&keep)?;
    Ok(read)
}

/// Gives the program a standard input that does not end by itself, if the flags ask for one: a pipe, whose write end this is if those who are attached may
/// write to it.
fn input(args: &args::Run) -> sys::Result<Option<OwnedFd>> {
    let familiar = &args.sandbox.familiar;
    if !(familiar.interactive || familiar.terminal) {
        return Ok(None);
    }
    let (read, write) = sys::pipe()?;
    sys::dup2(read.as_fd(), sys::STREAMS[0])?;
    if familiar.interactive {
        return Ok(Some(write));
    }
    // It stays open for as long as this process lives.
    std::mem::forget(write);
    Ok(None)
}

/// Puts the write end of a pipe in the place of a stream; gives the read end, which does not block.
fn piped(stream: UnownedFd) -> sys::Result<OwnedFd> {
    let (read, write) = sys::pipe()?;
    sys::dup2(write.as_fd(), stream)?;
    sys::set_nonblocking(read.as_fd(), true)?;
    Ok(read)
}
