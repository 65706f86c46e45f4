//! Further programs, which PID 1 executes while the program runs, by the steps that it became the program by. They have PID 1 as their parent, and
//! nothing is entered from outside: so they have the program's namespaces, ids, Landlock domain, keyring, cgroup and filters by construction.

use super::confine::confine;
use super::failure::{At, Failure};
use super::lockdown;
use super::prepared::{Prepared, Terminal};
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
    /// The strings, the standard streams, what a terminal starts with, and the file that is executed, if it is not found by its name.
    files: [Option<OwnedFd>; 6],
    all: [Slot; MOST],
    /// The answer to the last request, until the launcher has been told: its socket may be full of what the program's children do.
    answer: Option<Message>,
}

/// A place for a further program, which the launcher calls by a number.
#[derive(Clone, Copy)]
enum Slot {
    Free,
    Runs {
        number: u32,
        process: i32,
    },
    /// The launcher has not been told yet.
    Ended {
        number: u32,
        status: i32,
    },
}

/// The standard streams of a further program.
enum Streams<'f> {
    /// Files that came with the request: standard input, output and error.
    Given([&'f OwnedFd; 3]),
    /// A pseudo-terminal of its own, which starts so. The launcher gets its master, by this socket and number.
    Terminal(Terminal, BorrowedFd<'f>, u32),
    /// The sandbox's /dev/null.
    Null,
}

impl<'p> Further<'p> {
    pub(super) fn new(prepared: &'p Prepared, mask: &'p Mask, ignored: u64) -> Further<'p> {
        Further { prepared, mask, ignored, files: [const { None }; 6], all: [Slot::Free; MOST], answer: None }
    }

    /// A file for the next one has come: the strings, which come first, a stream, or what a terminal starts with.
    pub(super) fn take(&mut self, index: u32, file: Option<OwnedFd>) {
        if index == 0 {
            self.files = [const { None }; 6];
        }
        if let Some(place) = self.files.get_mut(index as usize) {
            // Not where a standard stream is to be: PID 1 has closed its own.
            *place = file.and_then(|file| above_streams(Ok(file)).ok());
        }
    }

    /// Executes the one whose files have come. The answer is whether that failed.
    pub(super) fn start(&mut self, number: u32, socket: BorrowedFd<'_>) {
        let files = std::mem::take(&mut self.files);
        self.answer = Some(match self.executed(&files, number, socket) {
            Ok(()) => Message::FurtherStarted(number),
            Err(Failure { call, errno, .. }) => Message::FurtherFailed { number, call, errno },
        });
    }

    /// Tells the launcher what it has not been told yet: whether all is told. The answer to the request comes before the end of what was started.
    pub(super) fn tell(&mut self, socket: BorrowedFd<'_>) -> bool {
        if let Some(answer) = self.answer {
            if !told(socket, answer) {
                return false;
            }
            self.answer = None;
        }
        for slot in &mut self.all {
            if let Slot::Ended { number, status } = *slot {
                if !told(socket, Message::FurtherEnded { number, status }) {
                    return false;
                }
                *slot = Slot::Free;
            }
        }
        true
    }

    fn executed(&mut self, files: &[Option<OwnedFd>; 6], number: u32, socket: BorrowedFd<'_>) -> Result<(), Failure> {
        let place = Place::Setup;
        let (strings, streams) = match files {
            [Some(strings), Some(input), Some(output), Some(errors), None, _] => {
                (strings, Streams::Given([input, output, errors]))
            }
            [Some(strings), None, None, None, Some(start), _] => {
                let mut bytes = [0; Terminal::BYTES];
                sys::seek(start.as_fd(), 0).at(place, Call::Seek)?;
                sys::read(start.as_fd(), &mut bytes).at(place, Call::Read)?;
                (strings, Streams::Terminal(Terminal::from_bytes(&bytes), socket, number))
            }
            [Some(strings), None, None, None, None, _] => (strings, Streams::Null),
            _ => return Err(Errno(libc::EBADMSG)).at(place, Call::Receive),
        };
        let Some(free) = self.all.iter_mut().find(|slot| matches!(slot, Slot::Free)) else {
            return Err(Errno(libc::EAGAIN)).at(place, Call::Clone);
        };
        let process = execute(self.prepared, (self.mask, self.ignored), strings, (&streams, files[5].as_ref()))?;
        *free = Slot::Runs { number, process };
        Ok(())
    }

    /// Sends a signal to one of them, and its process group.
    pub(super) fn signal(&self, number: u32, signal: i32) {
        for slot in &self.all {
            if let Slot::Runs { number: known, process } = *slot
                && known == number
                && sys::kill(-process, signal).is_err()
            {
                let _ = sys::kill(process, signal);
            }
        }
    }

    /// A child of PID 1 that is not the program has changed its state: if it was one of these and has ended, the launcher is to be told.
    pub(super) fn changed(&mut self, ended: i32, waited: Waited) {
        let status = match waited {
            Waited::Exited(status) => status,
            Waited::Signaled(signal) => 128 + signal,
            Waited::Stopped(_) | Waited::Continued => return,
        };
        for slot in &mut self.all {
            if let Slot::Runs { number, process } = *slot
                && process == ended
            {
                *slot = Slot::Ended { number, status };
            }
        }
    }
}

/// Tells the launcher something without waiting; false if there is no room for it now. That the launcher is gone is noticed elsewhere.
pub(super) fn told(socket: BorrowedFd<'_>, message: Message) -> bool {
    sys::send_now(socket, &message.encode()) != Err(Errno(libc::EAGAIN))
}

fn execute(
    prepared: &Prepared,
    signals: (&Mask, u64),
    strings: &OwnedFd,
    files: (&Streams<'_>, Option<&OwnedFd>),
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
    (streams, executable): (&Streams<'_>, Option<&OwnedFd>),
) -> Result<Failure, Failure> {
    let place = Place::Setup;
    match streams {
        Streams::Given(files) => {
            sys::own_process_group().at(place, Call::Setpgid)?;
            for (from, to) in files.iter().zip(sys::STREAMS) {
                sys::dup2(from.as_fd(), to).at(place, Call::Dup2)?;
            }
        }
        Streams::Terminal(start, socket, number) => terminal(start, *socket, *number)?,
        Streams::Null => {
            sys::own_process_group().at(place, Call::Setpgid)?;
            // O_NONBLOCK: what lies there might be a pipe that nobody reads.
            let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_NONBLOCK | libc::O_NOFOLLOW;
            let null = above_streams(sys::openat(sys::cwd(), c"/dev/null", flags, 0)).at(place, Call::OpenNull)?;
            if sys::is_device(null.as_fd(), NULL) != Ok(true) {
                return Err(Errno(libc::ENODEV)).at(place, Call::OpenNull);
            }
            for to in sys::STREAMS {
                sys::dup2(null.as_fd(), to).at(place, Call::Dup2)?;
            }
        }
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

/// The same file at a number above those of the standard streams, which PID 1 has closed, and which are about to be replaced.
fn above_streams(file: sys::Result<OwnedFd>) -> sys::Result<OwnedFd> {
    file.and_then(|file| sys::dup_above(file.as_fd(), 3))
}

/// The device number of /dev/null: mem(4).
const NULL: (u32, u32) = (1, 3);

/// Makes a session with a new pseudo-terminal of the sandbox's own devpts, which the standard streams are, and sends its master to the launcher.
fn terminal(start: &Terminal, socket: BorrowedFd<'_>, number: u32) -> Result<(), Failure> {
    let place = Place::Setup;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_NOFOLLOW;
    let master = above_streams(sys::openat(sys::cwd(), c"/dev/pts/ptmx", flags, 0)).at(place, Call::OpenPtmx)?;
    let slave = above_streams(sys::open_peer(master.as_fd())).at(place, Call::OpenPeer)?;
    sys::setsid().at(place, Call::Setsid)?;
    sys::take_terminal(slave.as_fd()).at(place, Call::TakeTerminal)?;
    let found = sys::terminal_settings(slave.as_fd()).at(place, Call::TerminalSettings)?;
    sys::set_terminal(slave.as_fd(), &found.with_modes_of(&start.settings)).at(place, Call::TerminalSettings)?;
    sys::set_window_size(slave.as_fd(), &start.size).at(place, Call::TerminalSettings)?;
    sys::take_foreground(slave.as_fd()).at(place, Call::TakeForeground)?;
    for to in sys::STREAMS {
        sys::dup2(slave.as_fd(), to).at(place, Call::Dup2)?;
    }
    let message = Message::FurtherTerminal(number).encode();
    sys::pass_now(socket, &message, master.as_fd()).at(place, Call::Send)
}
