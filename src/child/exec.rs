//! Further programs, which PID 1 executes while the program runs, by the steps that it became the program by. They have PID 1 as their parent, and
//! nothing is entered from outside: so they have the program's namespaces, ids, Landlock domain, keyring, cgroup and filters by construction.

use super::confine::confine;
use super::failure::{At, Failure};
use super::lockdown;
use super::prepared::Prepared;
use super::report::{Call, Message, Place};
use super::search::first_of;
use crate::sys::{self, Block, Errno, Mask, UnownedFd, Waited};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The most of them at a time.
const MOST: usize = 64;

/// The descriptor of the file that is executed, in the process that executes it.
const EXECUTABLE: UnownedFd = UnownedFd::new(3);

/// The further programs, and what came for the next one.
pub(super) struct Further<'p> {
    prepared: &'p Prepared,
    mask: &'p Mask,
    /// The signals that the program was started with as ignored, a bit for each: PID 1 ignores all of them by now.
    ignored: u64,
    /// The strings, the standard streams, and the file that is executed, if it is not found by its name.
    files: [Option<OwnedFd>; 5],
    /// The number by which the launcher calls each, and its process; 0 for none.
    running: [(u32, i32); MOST],
}

impl<'p> Further<'p> {
    pub(super) fn new(prepared: &'p Prepared, mask: &'p Mask, ignored: u64) -> Further<'p> {
        Further { prepared, mask, ignored, files: [None, None, None, None, None], running: [(0, 0); MOST] }
    }

    /// A file for the next one has come: the strings, or a stream.
    pub(super) fn take(&mut self, index: u32, file: Option<OwnedFd>) {
        if let Some(place) = self.files.get_mut(index as usize) {
            *place = file;
        }
    }

    /// Executes the one whose files have come, and tells the launcher if that failed.
    pub(super) fn start(&mut self, number: u32, socket: BorrowedFd<'_>) {
        let files = std::mem::take(&mut self.files);
        let started = match (files, self.running.iter_mut().find(|(_, process)| *process == 0)) {
            ([Some(strings), Some(input), Some(output), Some(errors), executable], Some(place)) => {
                let files = (&[input, output, errors], executable.as_ref());
                execute(self.prepared, (self.mask, self.ignored), &strings, files)
                    .map(|process| *place = (number, process))
            }
            ([None, ..] | [_, None, ..] | [_, _, None, ..] | [_, _, _, None, _], _) => {
                Err(Failure { place: Place::Setup, call: Call::Receive, errno: Errno(libc::EBADMSG) })
            }
            (_, None) => Err(Failure { place: Place::Setup, call: Call::Clone, errno: Errno(libc::EAGAIN) }),
        };
        if let Err(Failure { call, errno, .. }) = started {
            let _ = sys::send_now(socket, &Message::FurtherFailed { number, call, errno }.encode());
        }
    }

    /// Sends a signal to one of them, and its process group.
    pub(super) fn signal(&self, number: u32, signal: i32) {
        for (_, process) in self.running.iter().filter(|(known, process)| *known == number && *process > 0) {
            if sys::kill(-process, signal).is_err() {
                let _ = sys::kill(*process, signal);
            }
        }
    }

    /// A child of PID 1 that is not the program has changed its state: if it was one of these and has ended, the launcher is told.
    pub(super) fn changed(&mut self, process: i32, waited: Waited, socket: BorrowedFd<'_>) {
        let status = match waited {
            Waited::Exited(status) => status,
            Waited::Signaled(signal) => 128 + signal,
            Waited::Stopped(_) | Waited::Continued => return,
        };
        if let Some(place) = self.running.iter_mut().find(|(_, running)| *running == process) {
            let (number, _) = std::mem::take(place);
            let _ = sys::send_now(socket, &Message::FurtherEnded { number, status }.encode());
        }
    }
}

fn execute(
    prepared: &Prepared,
    signals: (&Mask, u64),
    strings: &OwnedFd,
    files: (&[OwnedFd; 3], Option<&OwnedFd>),
) -> Result<i32, Failure> {
    let block = Block::map(strings.as_fd()).at(Place::Setup, Call::Read)?;
    // Its process shares this memory until its exec, and has only the program's rights.
    lockdown::show(prepared, false)?;
    let mut failure = None;
    let spawned = sys::spawn_shared(|| {
        failure = Some(match become_it(prepared, signals, &block, files) {
            Ok(failure) | Err(failure) => failure,
        });
        i32::from(crate::exit::FAILED)
    });
    lockdown::show(prepared, true)?;
    let process = spawned.at(Place::Exec, Call::Clone)?;
    // The child that failed is reaped with the others.
    failure.map_or(Ok(process), Err)
}

fn become_it(
    prepared: &Prepared,
    (mask, ignored): (&Mask, u64),
    block: &Block,
    (streams, executable): (&[OwnedFd; 3], Option<&OwnedFd>),
) -> Result<Failure, Failure> {
    let place = Place::Setup;
    sys::own_process_group().at(place, Call::Setpgid)?;
    for (from, to) in streams.iter().zip(sys::STREAMS) {
        sys::dup2(from.as_fd(), to).at(place, Call::Dup2)?;
    }
    // All of PID 1's own, before the directory and the program are looked up.
    match executable {
        Some(file) => {
            sys::dup2(file.as_fd(), EXECUTABLE).at(place, Call::Dup2)?;
            sys::set_cloexec(EXECUTABLE.as_fd(), true).at(place, Call::Dup2)?;
            sys::close_range(4, u32::MAX).at(place, Call::CloseRange)?;
        }
        None => sys::close_range(3, u32::MAX).at(place, Call::CloseRange)?,
    }
    sys::default_signals(ignored);
    sys::umask(prepared.process.umask);
    sys::chdir(block.dir()).at(Place::Cwd, Call::Chdir)?;
    confine(prepared, mask, false)?;
    let errno = match executable {
        Some(_) => sys::execveat(EXECUTABLE.as_fd(), block.args(), block.env()),
        None => first_of(block.paths(), |path| sys::execve(path, block.args(), block.env())),
    };
    Ok(Failure { place: Place::Exec, call: Call::Execve, errno })
}
