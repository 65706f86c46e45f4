//! The work of PID 1 while the program runs: it reaps orphans, passes signals on, and keeps job control of the program's terminal. When
//! the program has ended it exits, and the kernel kills what is left.

use super::changes;
use super::exec::{Further, told};
use super::failure::{At, Failure};
use super::hints::Watch;
use super::lockdown;
use super::prepared::{Prepared, Session};
use super::report::{Call, LENGTH, Message, Place};
use crate::sys::{self, Mask, Poll, Waited};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// After this time, the launcher and PID 1 drop the memory that waiting for the program does not need.
pub const BEFORE_REST: Duration = Duration::from_millis(100);

/// How many changes of children are taken before the launcher's messages are: children may change all the time.
const CHANGES: u32 = 64;

/// The program and its process groups.
struct Job {
    program: i32,
    /// The process group that the program was started in; 0 is that of PID 1, and -1 is one that others are in as well.
    group: i32,
    terminal: Option<OwnedFd>,
    /// The group to put into the foreground of the terminal again, while PID 1's is there.
    behind: Option<i32>,
    /// Whether the program was stopped or continued last, until the launcher has been told.
    state: Option<Message>,
}

/// Waits for the program's end; gives the exit status of PID 1.
pub(super) fn reap(
    prepared: &Prepared,
    socket: &OwnedFd,
    terminal: Option<OwnedFd>,
    program: i32,
    mask: &Mask,
) -> Result<i32, Failure> {
    let place = Place::Setup;
    let group = match prepared.process.session {
        Session::Pty(_) | Session::Inherit { own_group: true, .. } | Session::Detached { own_group: true } => program,
        Session::Detached { own_group: false } => 0,
        Session::Inherit { own_group: false, .. } => -1,
    };
    let behind = if prepared.starts_in_foreground() { None } else { Some(program) };
    let mut job = Job { program, group, terminal, behind, state: None };
    let (signals, ignored) = sys::child_descriptor().at(place, Call::Signalfd)?;
    close_rest(prepared, socket.as_raw_fd(), signals.as_raw_fd(), job.terminal.as_ref())?;
    lockdown::show(prepared, true)?;
    if prepared.process.tells_start {
        sys::send(socket.as_fd(), &Message::Started.encode(), None).at(place, Call::Send)?;
    }
    let hints = Watch::new(&prepared.process);
    sys::phase("PID 1 is ready");
    // The program runs: a failure from here on is not reported as a failed start, but ends the sandbox.
    Ok(watch(prepared, socket, &signals, &mut job, &hints, &mut Further::new(prepared, mask, ignored))
        .unwrap_or(i32::from(crate::exit::FAILED)))
}

/// The main loop of PID 1 while the program runs, and while what it left runs on. Gives the exit status of PID 1.
fn watch(
    prepared: &Prepared,
    socket: &OwnedFd,
    signals: &OwnedFd,
    job: &mut Job,
    hints: &Watch<'_>,
    further: &mut Further<'_>,
) -> Result<i32, Failure> {
    let place = Place::Setup;
    let timeout = i32::try_from(BEFORE_REST.as_millis()).ok();
    let mut at_rest = false;
    loop {
        // Before the first poll: children may have ended before the descriptor for SIGCHLD was open.
        let more = match reap_children(prepared, socket.as_fd(), job, hints, further)? {
            Reaped::Ended { status, left } => {
                if left {
                    outlast(signals)?;
                }
                return Ok(status);
            }
            Reaped::More => true,
            Reaped::All => false,
        };
        let mut set = [signals.as_raw_fd(), socket.as_raw_fd(), prepared.descriptors.caller].map(Poll::read);
        // Without waiting: the launcher may have much else to read, and further programs are asked for meanwhile.
        let untold = !further.tell(socket.as_fd()) || !job.tell(socket.as_fd());
        if untold {
            // No further request before there is room for what is to be told.
            set[1] = Poll { fd: socket.as_raw_fd(), read: false, write: true, ready: false };
        }
        let waited = match at_rest && !more {
            true => sys::poll_at_rest(&mut set, None),
            false => sys::poll(&mut set, if more { Some(0) } else { timeout }),
        };
        waited.at(place, Call::Poll)?;
        // Nothing has happened for a while: until the next event, little memory is needed.
        at_rest = !at_rest && !more && !set.iter().any(|poll| poll.ready);
        while sys::next_signal(signals.as_fd()).is_some() {}
        // The launcher notices the caller's end, too, but not while it is stopped.
        if set[2].ready || (set[1].ready && !untold && !handle_message(socket.as_fd(), job, further)) {
            // The caller or the launcher is gone: the sandbox ends with it.
            let _ = sys::kill(job.program, libc::SIGKILL);
            return Ok(i32::from(crate::exit::FAILED));
        }
    }
}

/// Handles one message of the launcher; false if the launcher is gone.
fn handle_message(socket: BorrowedFd<'_>, job: &mut Job, further: &mut Further<'_>) -> bool {
    let mut buffer = [0; LENGTH];
    match sys::receive(socket, &mut buffer) {
        Ok((length, file)) if length > 0 => {
            match Message::decode(&buffer) {
                Some(Message::FurtherFile(index)) => further.take(index, file),
                Some(Message::Further(number)) => further.start(number, socket),
                Some(Message::FurtherSignal { number, signal }) => further.signal(number, signal),
                Some(Message::Signal(signal)) => drop(sys::kill(job.program, signal)),
                Some(Message::SignalGroup(signal)) => job.signal(signal),
                Some(Message::Foreground(on)) => job.set_foreground(on),
                Some(Message::TellStart) => drop(sys::send_now(socket, &Message::Started.encode())),
                _ => {}
            }
            true
        }
        _ => false,
    }
}

impl Job {
    /// Tells the launcher of the program's state: whether all is told.
    fn tell(&mut self, socket: BorrowedFd<'_>) -> bool {
        let told = self.state.is_none_or(|state| told(socket, state));
        if told {
            self.state = None;
        }
        told
    }

    /// Sends a signal to the program's process group.
    fn signal(&self, signal: i32) {
        let sent = match self.group {
            // PID 1 is in it as well, and ignores what it is told to send there.
            0 => sys::kill(0, signal),
            -1 => sys::kill(self.program, signal),
            group => sys::kill(-group, signal),
        };
        if sent.is_err() {
            // The program has moved to another group, and nobody is left in its first one.
            let _ = sys::kill(self.program, signal);
        }
        // ^Z stops the foreground group, which need not be the program's; so does the end of a terminal end it.
        let Some(terminal) = self.terminal.as_ref().filter(|_| matches!(signal, libc::SIGCONT | libc::SIGHUP)) else {
            return;
        };
        let group = self.behind.unwrap_or_else(|| sys::foreground_group(terminal.as_fd()));
        if group > 0 && group != self.group && group != sys::process_group() {
            let _ = sys::kill(-group, signal);
        }
    }

    /// Has the terminal in the foreground or the background of the caller's job.
    fn set_foreground(&mut self, on: bool) {
        let Some(terminal) = self.terminal.as_ref().map(AsFd::as_fd) else { return };
        if on {
            let Some(group) = self.behind.take() else { return };
            if sys::give_foreground(terminal, group).is_err() {
                let _ = sys::give_foreground(terminal, self.group);
            }
        } else if self.behind.is_none() {
            self.behind = Some(sys::foreground_group(terminal));
            let _ = sys::take_foreground(terminal);
        }
    }
}

/// What reaping has come to.
enum Reaped {
    /// The program has ended.
    Ended {
        /// The exit status for PID 1.
        status: i32,
        /// Processes are left, with which PID 1 goes on.
        left: bool,
    },
    /// There may be more changes.
    More,
    /// There are no more for now.
    All,
}

/// Reaps children, and reports the end of the program to the launcher. Of its stops and continuations the last one is to be told.
fn reap_children(
    prepared: &Prepared,
    socket: BorrowedFd<'_>,
    job: &mut Job,
    hints: &Watch<'_>,
    further: &mut Further<'_>,
) -> Result<Reaped, Failure> {
    for _ in 0..CHANGES {
        let (pid, waited) = match sys::wait_any() {
            Ok(Some(change)) => change,
            Ok(None) => return Ok(Reaped::All),
            Err(errno) => return Err(errno).at(Place::Setup, Call::Wait),
        };
        if pid != job.program {
            further.changed(pid, waited);
            continue;
        }
        let (message, status) = match waited {
            Waited::Exited(status) => (Message::Exited(status), status),
            Waited::Signaled(signal) => (Message::Signaled(signal), 128 + signal),
            Waited::Stopped(signal) => {
                job.state = Some(Message::Stopped(signal));
                continue;
            }
            Waited::Continued => {
                job.state = Some(Message::Continued);
                continue;
            }
        };
        let left = prepared.process.keeps_background && others_run();
        if left {
            // Before the launcher learns of it, and ends.
            sys::set_parent_death_signal(0).at(Place::Setup, Call::Prctl)?;
            sys::send(socket, &Message::Left.encode(), None).at(Place::Setup, Call::Send)?;
        }
        if status != 0
            && let full @ 1.. = full(&prepared.process.looked_at)
        {
            sys::send(socket, &Message::Full(full).encode(), None).at(Place::Setup, Call::Send)?;
        }
        if let seen @ 1.. = hints.seen(status != 0) {
            sys::send(socket, &Message::Hints(seen).encode(), None).at(Place::Setup, Call::Send)?;
        }
        if let changed @ 1.. = changes::count(prepared) {
            sys::send(socket, &Message::Changed(changed).encode(), None).at(Place::Setup, Call::Send)?;
        }
        for (index, _) in prepared.process.covers.iter().filter(|(_, path)| sys::is_mount(path) == Ok(false)) {
            sys::send(socket, &Message::Uncovered(*index).encode(), None).at(Place::Setup, Call::Send)?;
        }
        sys::send(socket, &message.encode(), None).at(Place::Setup, Call::Send)?;
        sys::phase("the program");
        return Ok(Reaped::Ended { status, left });
    }
    Ok(Reaped::More)
}

/// Which of these directories lie in a tmpfs that is full: bit N stands for the one with index N.
fn full(dirs: &[CString]) -> u32 {
    // What is written takes whole pages, and a file may need some more.
    const LEFT: u64 = 64 * 1024;
    let is_full = |dir: &CString| sys::room(dir).is_ok_and(|(bytes, inodes)| bytes < LEFT || inodes == 0);
    dirs.iter().zip(0..).filter(|(dir, _)| is_full(dir)).fold(0, |full, (_, index)| full | 1 << index)
}

/// Reaps children; gives whether there are others that run. All processes of the pid namespace are descendants of its PID
/// 1, and become its children when their parents end.
fn others_run() -> bool {
    loop {
        match sys::wait_any() {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// Waits for the end of all processes that the program left.
fn outlast(signals: &OwnedFd) -> Result<(), Failure> {
    while others_run() {
        sys::poll_at_rest(&mut [Poll::read(signals.as_raw_fd())], None).at(Place::Setup, Call::Poll)?;
        while sys::next_signal(signals.as_fd()).is_some() {}
    }
    Ok(())
}

/// Closes the descriptors that PID 1 does not need: they would be visible in /proc/1/fd, and keep pipes of the caller
/// open.
fn close_rest(prepared: &Prepared, socket: i32, signals: i32, terminal: Option<&OwnedFd>) -> Result<(), Failure> {
    let mut keep = prepared.descriptors.held.take();
    keep.push(socket);
    keep.push(signals);
    if let Some(terminal) = terminal {
        keep.push(terminal.as_raw_fd());
    }
    if prepared.descriptors.caller >= 0 {
        keep.push(prepared.descriptors.caller);
    }
    keep.sort_unstable();
    sys::close_all_but(&keep).at(Place::Setup, Call::CloseRange)
}
