//! `sbx run --detach`: the run goes on in the background. Its launcher, the monitor, is made before anything else is, so that it is the parent of all;
//! this process waits until the program has started, and prints the sandbox's id.

use super::{args, output, run};
use crate::error::{Error, Result};
use crate::exit;
use crate::launch::{Report, Status, Waiting};
use crate::sys::{self, UnownedFd};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

pub(super) fn main(args: &args::Run) -> u8 {
    let started = super::kept::check(&args.kept).and_then(|()| start(args));
    started.unwrap_or_else(|error| output::complain(&error))
}

fn start(args: &args::Run) -> Result<u8> {
    let (told, tells) = sys::pipe().map_err(|errno| Error::call("pipe2", errno))?;
    sys::fork(|| monitor(args, tells)).map_err(|errno| Error::call("fork", errno))?;
    for line in BufReader::new(File::from(told)).lines() {
        match line.ok().and_then(|line| serde_json::from_str(&line).ok()) {
            Some(Report::Note(text)) => output::tell(&text),
            Some(Report::Started(id)) => return output::print(&format!("{id}\n")).map(|()| 0),
            Some(Report::Failed(status, text)) => {
                output::tell(&format!("{text}\n"));
                return Ok(status);
            }
            None => break,
        }
    }
    Err(Error::new(
        "the process that was to run the program in the background was killed before the program had started",
    ))
}

/// The monitor, from its beginning to its end.
fn monitor(args: &args::Run, tells: OwnedFd) -> i32 {
    let left = leave(args, &tells);
    let waiting = Waiting::new(tells);
    if let Err(errno) = left {
        let error = Error::new(format!("cannot run in the background: {errno}"));
        waiting.tell(&Report::Failed(exit::FAILED, error.to_string()));
        return exit::FAILED.into();
    }
    run::carry_out(args, Status { waiting: Some(waiting), ..Status::default() }).into()
}

/// Leaves the caller's session and terminal, and everything that the caller waits for the end of: its standard streams and other descriptors, but for
/// those that flags name.
fn leave(args: &args::Run, tells: &OwnedFd) -> sys::Result<()> {
    sys::setsid()?;
    let null = sys::openat(sys::cwd(), c"/dev/null", libc::O_RDWR, 0)?;
    for stream in sys::STREAMS {
        sys::dup2(null.as_fd(), stream)?;
    }
    let receipt = args.receipt.as_ref().and_then(|given| given.to_str()?.parse::<i32>().ok());
    let mut keep = vec![0, 1, 2, tells.as_raw_fd()];
    keep.extend(args.sandbox.keep_fd.iter().copied());
    keep.extend(args.status_fd.into_iter().chain(receipt));
    keep.retain(|fd| *fd == tells.as_raw_fd() || UnownedFd::new(*fd).flags().is_ok());
    keep.sort_unstable();
    keep.dedup();
    // Closed with the others.
    std::mem::forget(null);
    sys::close_all_but(&keep)
}
