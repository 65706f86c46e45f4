//! From clone to the last exit status: sets the namespaces up, starts the program, and is PID 1 for it.

use super::report::{Call, LENGTH, Message, Place};
use super::{At, Failure, Prepared, Session, assemble, lockdown};
use crate::sys::{self, Errno, Mask, Poll, Waited};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// A program that has not ended by then is waited for with as little memory as can be.
pub const BEFORE_REST: Duration = Duration::from_millis(100);

/// The whole life; gives the exit status of PID 1, which nobody needs, since the true one was sent.
pub(super) fn live(prepared: &Prepared, socket: &OwnedFd, mask: &Mask) -> Result<i32, Failure> {
    let place = Place::Setup;
    sys::set_parent_death_signal(libc::SIGKILL).at(place, Call::Prctl)?;
    if hung_up(socket.as_fd()) {
        return Ok(i32::from(crate::exit::FAILED));
    }
    sys::forget_arguments();
    namespaces(prepared, socket.as_fd())?;
    let terminal = assemble::assemble(prepared, socket.as_fd())?;
    lockdown::process()?;
    // Nobody inside may look at or trace this process: its memory and its /proc/1/exe are the launcher's.
    sys::set_dumpable(false).at(Place::Lockdown, Call::Prctl)?;
    session(prepared, terminal.as_ref())?;
    if prepared.as_pid_1 {
        return Err(program(prepared, socket.as_raw_fd(), terminal.as_ref(), mask));
    }
    let mut failure = None;
    let program = sys::spawn_shared(|| {
        failure = Some(program(prepared, socket.as_raw_fd(), terminal.as_ref(), mask));
        i32::from(crate::exit::FAILED)
    })
    .at(Place::Exec, Call::Clone)?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    reap(socket, terminal, program)
}

/// Ids, host name, loopback, limits of namespaces: all that needs the host's /proc, which the view hides.
fn namespaces(prepared: &Prepared, socket: BorrowedFd<'_>) -> Result<(), Failure> {
    let place = Place::Setup;
    if let Some((uids, gids)) = &prepared.maps {
        // A group map without privilege needs setgroups denied first: user_namespaces(7).
        sys::write_file(c"/proc/self/setgroups", b"deny").at(place, Call::WriteSetgroups)?;
        sys::write_file(c"/proc/self/uid_map", uids).at(place, Call::WriteUidMap)?;
        sys::write_file(c"/proc/self/gid_map", gids).at(place, Call::WriteGidMap)?;
    }
    if prepared.wait_for_launcher {
        ask(socket, Message::Ready)?;
    }
    if prepared.drop_groups {
        sys::drop_groups().at(place, Call::Setgroups)?;
    }
    if let Some(hostname) = &prepared.hostname {
        sys::set_hostname(hostname).at(place, Call::Sethostname)?;
    }
    if prepared.loopback {
        sys::loopback_up().at(place, Call::Loopback)?;
    }
    if prepared.deny_nested {
        // The limit belongs to our user namespace, and only its capabilities could raise it again.
        sys::write_file(c"/proc/sys/user/max_user_namespaces", b"0").at(place, Call::WriteMaxUserns)?;
    }
    Ok(())
}

/// Sends a message and waits for the launcher's word.
pub(super) fn ask(socket: BorrowedFd<'_>, message: Message) -> Result<(), Failure> {
    sys::send(socket, &message.encode(), None).at(Place::Setup, Call::Send)?;
    let mut buffer = [0; LENGTH];
    match sys::receive(socket, &mut buffer).at(Place::Setup, Call::Receive)? {
        (LENGTH, _) if Message::decode(&buffer) == Some(Message::Go) => Ok(()),
        _ => Err(Errno(libc::EPIPE)).at(Place::Setup, Call::Receive),
    }
}

fn hung_up(socket: BorrowedFd<'_>) -> bool {
    let mut set = [Poll::read(socket.as_raw_fd())];
    sys::poll(&mut set, Some(0)).is_err() || set[0].ready
}

/// PID 1 leads the session, so that the program's process group is not an orphaned one, which ^Z would not stop.
fn session(prepared: &Prepared, terminal: Option<&OwnedFd>) -> Result<(), Failure> {
    if let Session::Inherit { .. } = prepared.session {
        return Ok(());
    }
    sys::setsid().at(Place::Setup, Call::Setsid)?;
    if let Some(terminal) = terminal {
        sys::take_terminal(terminal.as_fd()).at(Place::Setup, Call::TakeTerminal)?;
    }
    Ok(())
}

/// Becomes the program. Comes back only with a failure.
fn program(prepared: &Prepared, socket: i32, terminal: Option<&OwnedFd>, mask: &Mask) -> Failure {
    match become_program(prepared, socket, terminal, mask) {
        Ok(failure) | Err(failure) => failure,
    }
}

fn become_program(
    prepared: &Prepared,
    socket: i32,
    terminal: Option<&OwnedFd>,
    mask: &Mask,
) -> Result<Failure, Failure> {
    let place = Place::Setup;
    if !prepared.own_pids && !prepared.as_pid_1 {
        sys::set_parent_death_signal(libc::SIGKILL).at(place, Call::Prctl)?;
    }
    if let (Some(terminal), Session::Pty(streams)) = (terminal, prepared.session) {
        if !prepared.as_pid_1 {
            sys::own_process_group().at(place, Call::Setpgid)?;
        }
        sys::take_foreground(terminal.as_fd()).at(place, Call::TakeForeground)?;
        for (number, on) in streams.into_iter().enumerate() {
            if on {
                sys::dup2(terminal.as_raw_fd(), number as i32).at(place, Call::Dup2)?;
            }
        }
    }
    if let Session::Inherit { own_group: true, terminal } = prepared.session {
        // A group of its own: kill(0, ...) goes by group, and the caller's must not be in it.
        sys::own_process_group().at(place, Call::Setpgid)?;
        if let Some(terminal) = terminal {
            sys::take_foreground(sys::borrow(terminal)).at(place, Call::TakeForeground)?;
        }
    }
    keep_descriptors(prepared)?;
    working_directory(prepared, sys::borrow(socket))?;
    for (index, (resource, soft, hard)) in prepared.rlimits.iter().enumerate() {
        sys::set_rlimit(*resource, *soft, *hard).at(Place::Rlimit(index as u32), Call::Setrlimit)?;
    }
    sys::umask(prepared.umask);
    sys::default_sigpipe();
    lockdown::filter(prepared)?;
    sys::restore(mask).at(place, Call::Sigprocmask)?;
    let mut errno = Errno(libc::ENOENT);
    for path in &prepared.programs {
        match sys::execve(path, prepared.args.pointers(), prepared.env.pointers()) {
            Errno(libc::ENOENT | libc::ENOTDIR) => {}
            // As execvp(3): a directory that may not be searched does not end the search, and is told if nothing is found.
            Errno(libc::EACCES) => errno = Errno(libc::EACCES),
            other => return Ok(Failure { place: Place::Exec, call: Call::Execve, errno: other }),
        }
    }
    Ok(Failure { place: Place::Exec, call: Call::Execve, errno })
}

/// Only the standard streams and what was asked for stay open over exec.
fn keep_descriptors(prepared: &Prepared) -> Result<(), Failure> {
    let place = Place::Setup;
    let mut first = 3;
    for fd in &prepared.keep_fds {
        let fd = *fd as u32;
        if fd >= first {
            sys::cloexec_range(first, fd - 1).at(place, Call::CloseRange)?;
            first = fd + 1;
        }
    }
    sys::cloexec_range(first, u32::MAX).at(place, Call::CloseRange)?;
    for fd in &prepared.keep_fds {
        sys::set_cloexec(*fd, false).at(place, Call::CloseRange)?;
    }
    Ok(())
}

fn working_directory(prepared: &Prepared, socket: BorrowedFd<'_>) -> Result<(), Failure> {
    let mut last = Ok(());
    for (index, dir) in prepared.cwd.iter().enumerate() {
        last = sys::chdir(dir);
        if last.is_ok() {
            if index > 0 {
                let _ = sys::send_now(socket, &Message::Elsewhere(index as u32).encode());
            }
            break;
        }
    }
    last.at(Place::Cwd, Call::Chdir)
}

/// Reaps orphans, hands signals on, and ends when the program does; the kernel then ends all that is left.
fn reap(socket: &OwnedFd, terminal: Option<OwnedFd>, program: i32) -> Result<i32, Failure> {
    let place = Place::Setup;
    drop(terminal);
    let signals = sys::child_descriptor().at(place, Call::Signalfd)?;
    close_all_but(socket.as_raw_fd(), signals.as_raw_fd())?;
    sys::send(socket.as_fd(), &Message::Started.encode(), None).at(place, Call::Send)?;
    let mut patience = i32::try_from(BEFORE_REST.as_millis()).ok();
    loop {
        // First, since children may have ended before there was a descriptor for the signal.
        if let Some(status) = collect(socket.as_fd(), program)? {
            return Ok(status);
        }
        let mut set = [Poll::read(signals.as_raw_fd()), Poll::read(socket.as_raw_fd())];
        sys::poll(&mut set, patience).at(place, Call::Poll)?;
        if patience.is_some() && !set[0].ready && !set[1].ready {
            patience = None;
            sys::release_code();
        }
        while sys::next_signal(signals.as_fd()).is_some() {}
        if set[1].ready && !obey(socket.as_fd(), program) {
            // The launcher is gone, and so shall all be.
            let _ = sys::kill(program, libc::SIGKILL);
            return Ok(i32::from(crate::exit::FAILED));
        }
    }
}

/// One message of the launcher; false when it is gone.
fn obey(socket: BorrowedFd<'_>, program: i32) -> bool {
    let mut buffer = [0; LENGTH];
    match sys::receive(socket, &mut buffer) {
        Ok((length, _)) if length > 0 => {
            if let Some(Message::Signal(signal)) = Message::decode(&buffer) {
                let _ = sys::kill(program, signal);
            }
            true
        }
        _ => false,
    }
}

/// Takes what children have to tell; gives the status once the program has ended.
fn collect(socket: BorrowedFd<'_>, program: i32) -> Result<Option<i32>, Failure> {
    loop {
        let (pid, waited) = match sys::wait_any() {
            Ok(Some(change)) => change,
            Ok(None) => return Ok(None),
            Err(errno) => return Err(errno).at(Place::Setup, Call::Wait),
        };
        if pid != program {
            continue;
        }
        let (message, status) = match waited {
            Waited::Exited(status) => (Message::Exited(status), Some(status)),
            Waited::Signaled(signal) => (Message::Signaled(signal), Some(128 + signal)),
            Waited::Stopped(signal) => (Message::Stopped(signal), None),
            Waited::Continued => (Message::Continued, None),
        };
        sys::send(socket, &message.encode(), None).at(Place::Setup, Call::Send)?;
        if status.is_some() {
            return Ok(status);
        }
    }
}

/// What PID 1 holds could be found below /proc/1/fd, and would keep pipes of the caller open.
fn close_all_but(a: i32, b: i32) -> Result<(), Failure> {
    let (low, high) = if a < b { (a as u32, b as u32) } else { (b as u32, a as u32) };
    let close = |first: u32, last: u32| sys::close_range(first, last).at(Place::Setup, Call::CloseRange);
    if low > 0 {
        close(0, low - 1)?;
    }
    close(low + 1, high - 1)?;
    close(high + 1, u32::MAX)
}
