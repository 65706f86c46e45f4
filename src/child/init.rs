//! From clone to the last exit status: sets the namespaces up, starts the program, and is PID 1 for it.

use super::failure::{At, Failure};
use super::launcher::ask;
use super::prepared::{Guard, Prepared, Session};
use super::report::{Call, LENGTH, Message, Place};
use super::search::first_of;
use super::{assemble, handover, lockdown};
use crate::sys::{self, Errno, Mask, Poll, UnownedFd, Waited};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// A program that has not ended by then is waited for with as little memory as can be.
pub const BEFORE_REST: Duration = Duration::from_millis(100);

/// The whole life; gives the exit status of PID 1, which nobody needs, since the true one was sent.
pub(super) fn live(prepared: &Prepared, socket: &OwnedFd, mask: &Mask) -> Result<i32, Failure> {
    let place = Place::Setup;
    sys::phase("clone3: the child begins");
    die_with_launcher(socket.as_fd())?;
    if prepared.has(Guard::NoArguments) {
        sys::forget_arguments();
    }
    // The view may have none, or another.
    let proc = sys::openat(sys::cwd(), c"/proc/self", libc::O_PATH | libc::O_DIRECTORY, 0).at(place, Call::OpenProc)?;
    let network = network(prepared)?;
    namespaces(prepared, socket.as_fd(), proc.as_fd())?;
    sys::phase("ids, host name");
    label(prepared.view.file_label.as_deref(), proc.as_fd(), c"attr/fscreate")?;
    let own = prepared.lockdown.handover.as_ref().map(handover::own_file).transpose()?;
    let terminal = assemble::assemble(prepared, socket.as_fd(), proc.as_fd())?;
    sys::phase("enter the view");
    if let Some(network) = network {
        network.join(prepared.namespaces.own_pids).at(place, Call::UnshareNetwork)?;
        loopback(prepared)?;
        sys::phase("the network made beside");
    }
    if prepared.view.wait_for_go {
        ask(socket.as_fd(), Message::Ready)?;
    }
    last_namespaces(prepared, proc.as_fd())?;
    label(prepared.lockdown.exec_label.as_deref(), proc.as_fd(), c"attr/exec")?;
    // Before anything is looked up in the view: links of /proc in it would lead to what is open here, and from there outside.
    drop(proc);
    close_callers(prepared, socket.as_raw_fd(), terminal.as_ref(), own.as_ref())?;
    prepared
        .descriptors
        .drop_fds
        .iter()
        .filter(|fd| prepared.process.block_fd != Some(**fd))
        .for_each(|fd| UnownedFd::new(*fd).close());
    // Nobody inside may look at or trace this process: its memory and its /proc/1/exe are the launcher's. Not before the maps are
    // written, which are files of /proc, and not after rights are given up.
    // Who is told our number may look at once and at any time, if at all: then there is no moment at which that is refused.
    let hide = !(prepared.lockdown.visible && prepared.namespaces.owns_user_namespace);
    if hide {
        sys::set_dumpable(false).at(Place::Lockdown, Call::Prctl)?;
    }
    lockdown::process(prepared)?;
    lockdown::show(prepared, true)?;
    if let Some(fd) = prepared.process.block_fd {
        // Meanwhile others prepare a network for us, by our number. Its end is as good as a byte.
        let fd = UnownedFd::new(fd);
        sys::read(fd.as_fd(), &mut [0; 1]).at(place, Call::Read)?;
        fd.close();
    }
    session(prepared, terminal.as_ref())?;
    // The program is made in this memory, with no right more than it is to have: others in this user namespace could trace it.
    if hide {
        lockdown::show(prepared, false)?;
    }
    if !prepared.process.init {
        return Err(program(prepared, socket.as_raw_fd(), terminal.as_ref(), own.as_ref(), mask));
    }
    sys::phase("lock-down");
    lock(prepared)?;
    let mut failure = None;
    let program = sys::spawn_shared(|| {
        failure = Some(program(prepared, socket.as_raw_fd(), terminal.as_ref(), own.as_ref(), mask));
        i32::from(crate::exit::FAILED)
    })
    .at(Place::Exec, Call::Clone)?;
    sys::phase("exec");
    if let Some(failure) = failure {
        return Err(failure);
    }
    lockdown::reaper(prepared);
    drop(own);
    if let Some(handover) = &prepared.lockdown.handover {
        handover::executed(handover)?;
    }
    reap(prepared, socket, terminal, program)
}

/// The kernel ends this process with the launcher, and forgets it where ids change.
fn die_with_launcher(socket: BorrowedFd<'_>) -> Result<(), Failure> {
    sys::set_parent_death_signal(libc::SIGKILL).at(Place::Setup, Call::Prctl)?;
    // It may be gone already.
    if hung_up(socket) { Err(Errno(libc::EPIPE)).at(Place::Setup, Call::Receive) } else { Ok(()) }
}

/// Ids, host name, loopback, limits of namespaces: all that needs the host's /proc, which the view hides.
fn namespaces(prepared: &Prepared, socket: BorrowedFd<'_>, proc: BorrowedFd<'_>) -> Result<(), Failure> {
    let place = Place::Setup;
    if let Some((uid, gid)) = prepared.namespaces.switch_ids {
        // Capabilities are for the view still to be made; the kernel takes the effective ones away all the same.
        sys::keep_capabilities().at(place, Call::Prctl)?;
        sys::set_ids(uid, gid).at(place, Call::SetIds)?;
        let (_, permitted) = sys::capabilities().at(place, Call::Capset)?;
        sys::set_capabilities(permitted).at(place, Call::Capset)?;
        die_with_launcher(socket)?;
    }
    if let Some(maps) = &prepared.namespaces.maps {
        write_maps(proc, maps)?;
    }
    if prepared.namespaces.wait_for_launcher {
        ask(socket, Message::Ready)?;
    }
    if prepared.namespaces.drop_groups {
        sys::drop_groups().at(place, Call::Setgroups)?;
    }
    if prepared.namespaces.new_cgroup {
        sys::new_cgroup_namespace().at(place, Call::Unshare)?;
        if let Some(leaf) = prepared.namespaces.cgroup_leaf.take() {
            sys::write_all(leaf.as_fd(), b"0").at(place, Call::EnterCgroup)?;
        }
    }
    if let Some(hostname) = &prepared.namespaces.hostname {
        sys::set_hostname(hostname).at(place, Call::Sethostname)?;
    }
    if !prepared.namespaces.network_beside {
        loopback(prepared)?;
    }
    if let Some(limit) = prepared.namespaces.limit_nested {
        // The limit belongs to our user namespace, and only its capabilities could raise it again.
        sys::write_file(c"/proc/sys/user/max_user_namespaces", limit).at(place, Call::WriteMaxUserns)?;
    }
    Ok(())
}

/// Begins to make the network namespace. What needs the kernel's help for longest is begun first.
fn network(prepared: &Prepared) -> Result<Option<sys::NetworkMaker>, Failure> {
    if !prepared.namespaces.network_beside {
        return Ok(None);
    }
    let place = Place::Setup;
    let proc = sys::openat(sys::cwd(), c"/proc", libc::O_PATH | libc::O_DIRECTORY, 0).at(place, Call::OpenProc)?;
    sys::NetworkMaker::start(proc).at(place, Call::Clone).map(Some)
}

fn loopback(prepared: &Prepared) -> Result<(), Failure> {
    if prepared.namespaces.loopback { sys::loopback_up().at(Place::Setup, Call::Loopback) } else { Ok(()) }
}

/// A group map without privilege needs setgroups denied first: user_namespaces(7).
fn write_maps(proc: BorrowedFd<'_>, (uids, gids): &(Vec<u8>, Vec<u8>)) -> Result<(), Failure> {
    let place = Place::Setup;
    sys::write_file_at(proc, c"setgroups", b"deny").at(place, Call::WriteSetgroups)?;
    sys::write_file_at(proc, c"uid_map", uids).at(place, Call::WriteUidMap)?;
    sys::write_file_at(proc, c"gid_map", gids).at(place, Call::WriteGidMap)
}

/// User namespaces that own none of the others: what the program may do in them, it may not do to the view.
fn last_namespaces(prepared: &Prepared, proc: BorrowedFd<'_>) -> Result<(), Failure> {
    let place = Place::Setup;
    if let Some(fd) = prepared.namespaces.join_last {
        sys::join_namespace(UnownedFd::new(fd).as_fd(), libc::CLONE_NEWUSER).at(place, Call::Setns)?;
    }
    if let Some(maps) = &prepared.namespaces.second_user_namespace {
        sys::new_user_namespace().at(place, Call::Unshare)?;
        write_maps(proc, maps)?;
    }
    if prepared.namespaces.try_nested && sys::new_user_namespace().is_ok() {
        return Err(Errno(0)).at(place, Call::Nested);
    }
    Ok(())
}

fn label(label: Option<&CStr>, proc: BorrowedFd<'_>, file: &CStr) -> Result<(), Failure> {
    match label {
        Some(label) => sys::write_file_at(proc, file, label.to_bytes()).at(Place::Lockdown, Call::Label),
        None => Ok(()),
    }
}

/// Locks that last as long as this process. The program's copies of the descriptors end with its exec, and the locks are not its own.
fn lock(prepared: &Prepared) -> Result<(), Failure> {
    use std::os::fd::IntoRawFd;
    let mut held = prepared.descriptors.held.take();
    for (index, path) in prepared.descriptors.lock_files.iter().enumerate() {
        let place = Place::Lock(index as u32);
        // A pipe that nobody writes must not hold us.
        let flags = libc::O_RDONLY | libc::O_NOCTTY | libc::O_NONBLOCK;
        let file = sys::openat(sys::cwd(), path, flags, 0).at(place, Call::Open)?;
        sys::lock_for_reading(file.as_fd()).at(place, Call::Lock)?;
        held.push(file.into_raw_fd());
    }
    prepared.descriptors.held.set(held);
    Ok(())
}

/// Whether the launcher is gone. It may have sent a signal meanwhile, which waits here for the program.
fn hung_up(socket: BorrowedFd<'_>) -> bool {
    let mut set = [Poll::end(socket.as_raw_fd())];
    sys::poll(&mut set, Some(0)).is_err() || set[0].ready
}

/// PID 1 leads the session, so that the program's process group is not an orphaned one, which ^Z would not stop.
fn session(prepared: &Prepared, terminal: Option<&OwnedFd>) -> Result<(), Failure> {
    if let Session::Inherit { .. } = prepared.process.session {
        return Ok(());
    }
    sys::setsid().at(Place::Setup, Call::Setsid)?;
    if let Some(terminal) = terminal {
        sys::take_terminal(terminal.as_fd()).at(Place::Setup, Call::TakeTerminal)?;
    }
    Ok(())
}

/// Becomes the program. Comes back only with a failure.
fn program(
    prepared: &Prepared,
    socket: i32,
    terminal: Option<&OwnedFd>,
    own: Option<&OwnedFd>,
    mask: &Mask,
) -> Failure {
    match become_program(prepared, socket, terminal, own, mask) {
        Ok(failure) | Err(failure) => failure,
    }
}

fn become_program(
    prepared: &Prepared,
    socket: i32,
    terminal: Option<&OwnedFd>,
    own: Option<&OwnedFd>,
    mask: &Mask,
) -> Result<Failure, Failure> {
    let place = Place::Setup;
    if !prepared.namespaces.own_pids && prepared.process.init {
        sys::set_parent_death_signal(libc::SIGKILL).at(place, Call::Prctl)?;
    }
    if let (Some(terminal), Session::Pty(streams)) = (terminal, prepared.process.session) {
        if prepared.process.init {
            sys::own_process_group().at(place, Call::Setpgid)?;
        }
        sys::take_foreground(terminal.as_fd()).at(place, Call::TakeForeground)?;
        for (stream, on) in sys::STREAMS.into_iter().zip(streams) {
            if on {
                sys::dup2(terminal.as_fd(), stream).at(place, Call::Dup2)?;
            }
        }
    }
    if let Session::Inherit { own_group: true, terminal } = prepared.process.session {
        // A group of its own: kill(0, ...) goes by group, and the caller's must not be in it.
        sys::own_process_group().at(place, Call::Setpgid)?;
        if let Some(terminal) = terminal {
            sys::take_foreground(UnownedFd::new(terminal).as_fd()).at(place, Call::TakeForeground)?;
        }
    }
    keep_descriptors(prepared)?;
    sys::umask(prepared.process.umask);
    let dir = working_directory(prepared, UnownedFd::new(socket).as_fd())?;
    for (index, (resource, soft, hard)) in prepared.process.rlimits.iter().enumerate() {
        sys::set_rlimit(*resource, *soft, *hard).at(Place::Rlimit(index as u32), Call::Setrlimit)?;
    }
    if !prepared.process.ignores_sigpipe {
        sys::default_sigpipe();
    }
    // Before the filters, which are the caller's and may allow nothing but execve(2).
    sys::restore(mask).at(place, Call::Sigprocmask)?;
    lockdown::program(prepared)?;
    sys::phase("the program's process, the filter");
    let env = prepared.process.env.list(dir);
    if let Some(fd) = prepared.process.program_fd {
        let errno = sys::execveat(UnownedFd::new(fd).as_fd(), prepared.process.args.list(0), env);
        return Ok(Failure { place: Place::Exec, call: Call::Execve, errno });
    }
    if let (Some(handover), Some(own)) = (&prepared.lockdown.handover, own) {
        return Ok(handover.execute(own, env));
    }
    let mut index = 0;
    let errno = first_of(prepared.process.programs.iter().map(CString::as_c_str), |path| {
        let result = sys::execve(path, prepared.process.args.list(0), env);
        let result = match (result, &prepared.process.shell) {
            (Errno(libc::ENOEXEC), Some(shell)) => sys::execve(c"/bin/sh", shell.list(index), env),
            _ => result,
        };
        index += 1;
        result
    });
    Ok(Failure { place: Place::Exec, call: Call::Execve, errno })
}

/// What the caller has open and the program does not get is closed at once, rather than by exec: the directory to start in, and the
/// program, are looked up before that, and their links may lead through /proc/self/fd.
fn close_callers(
    prepared: &Prepared,
    socket: i32,
    terminal: Option<&OwnedFd>,
    own: Option<&OwnedFd>,
) -> Result<(), Failure> {
    let Some(only) = &prepared.descriptors.only_fds else { return Ok(()) };
    let number = |fd: Option<&OwnedFd>| fd.map_or(-1, |fd| fd.as_raw_fd());
    let pipe = prepared.lockdown.handover.as_ref().map_or((-1, -1), |handover| handover.pipe);
    let own = [socket, number(terminal), number(own), prepared.descriptors.caller, pipe.0, pipe.1];
    let mut first = 3;
    while let Some(next) = only.iter().chain(&own).copied().filter(|fd| *fd >= first).min() {
        sys::close_range(first as u32, next as u32 - 1).at(Place::Setup, Call::CloseRange)?;
        first = next + 1;
    }
    sys::close_range(first as u32, u32::MAX).at(Place::Setup, Call::CloseRange)
}

/// Only the standard streams and what was asked for stay open over exec.
fn keep_descriptors(prepared: &Prepared) -> Result<(), Failure> {
    let place = Place::Setup;
    if prepared.process.init {
        prepared.descriptors.sync_fds.iter().for_each(|fd| UnownedFd::new(*fd).close());
    }
    let Some(only) = &prepared.descriptors.only_fds else { return Ok(()) };
    let mut first = 3;
    for fd in only {
        let fd = *fd as u32;
        if fd >= first {
            sys::cloexec_range(first, fd - 1).at(place, Call::CloseRange)?;
            first = fd + 1;
        }
    }
    sys::cloexec_range(first, u32::MAX).at(place, Call::CloseRange)?;
    for fd in only {
        sys::set_cloexec(UnownedFd::new(*fd).as_fd(), false).at(place, Call::CloseRange)?;
    }
    Ok(())
}

/// Gives the number of the directory that it is.
fn working_directory(prepared: &Prepared, socket: BorrowedFd<'_>) -> Result<usize, Failure> {
    let mut last = Ok(());
    for (index, dir) in prepared.process.cwd.iter().enumerate() {
        last = sys::chdir(dir);
        if last.is_ok() {
            if index > 0 {
                let _ = sys::send_now(socket, &Message::Elsewhere(index as u32).encode());
            }
            return Ok(index);
        }
    }
    last.at(Place::Cwd, Call::Chdir).map(|()| 0)
}

/// Reaps orphans, hands signals on, and ends when the program does; the kernel then ends all that is left.
fn reap(prepared: &Prepared, socket: &OwnedFd, terminal: Option<OwnedFd>, program: i32) -> Result<i32, Failure> {
    let place = Place::Setup;
    drop(terminal);
    let signals = sys::child_descriptor().at(place, Call::Signalfd)?;
    close_rest(prepared, socket.as_raw_fd(), signals.as_raw_fd())?;
    lockdown::show(prepared, true)?;
    if prepared.process.tells_start {
        sys::send(socket.as_fd(), &Message::Started.encode(), None).at(place, Call::Send)?;
    }
    sys::phase("PID 1 is ready");
    // What fails from here on is no failure of the start, and is told as what it is: the end.
    Ok(watch(prepared, socket, &signals, program).unwrap_or(i32::from(crate::exit::FAILED)))
}

/// The life of PID 1 while the program runs.
fn watch(prepared: &Prepared, socket: &OwnedFd, signals: &OwnedFd, program: i32) -> Result<i32, Failure> {
    let place = Place::Setup;
    let mut patience = i32::try_from(BEFORE_REST.as_millis()).ok();
    loop {
        // First, since children may have ended before there was a descriptor for the signal.
        if let Some(status) = collect(socket.as_fd(), program)? {
            return Ok(status);
        }
        let mut set = [signals.as_raw_fd(), socket.as_raw_fd(), prepared.descriptors.caller].map(Poll::read);
        sys::poll(&mut set, patience).at(place, Call::Poll)?;
        if patience.is_some() && !set.iter().any(|poll| poll.ready) {
            patience = None;
            sys::release_code();
        }
        while sys::next_signal(signals.as_fd()).is_some() {}
        // The launcher sees the caller's end, too, unless somebody has stopped it.
        if set[2].ready || (set[1].ready && !obey(socket.as_fd(), program)) {
            // One of those is gone that we end with, and so shall all be.
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
            match Message::decode(&buffer) {
                Some(Message::Signal(signal)) => drop(sys::kill(program, signal)),
                Some(Message::TellStart) => drop(sys::send_now(socket, &Message::Started.encode())),
                _ => {}
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
            sys::phase("the program");
            return Ok(status);
        }
    }
}

/// What PID 1 holds could be found below /proc/1/fd, and would keep pipes of the caller open.
fn close_rest(prepared: &Prepared, socket: i32, signals: i32) -> Result<(), Failure> {
    let mut keep = prepared.descriptors.held.take();
    keep.push(socket);
    keep.push(signals);
    if prepared.descriptors.caller >= 0 {
        keep.push(prepared.descriptors.caller);
    }
    keep.sort_unstable();
    sys::close_all_but(&keep).at(Place::Setup, Call::CloseRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_launcher_is_gone_when_its_socket_is_and_not_when_it_sends() {
        let (ours, theirs) = sys::seqpacket_pair().unwrap();
        assert!(!hung_up(theirs.as_fd()));
        sys::send(ours.as_fd(), &Message::Signal(libc::SIGTERM).encode(), None).unwrap();
        assert!(!hung_up(theirs.as_fd()));
        drop(ours);
        assert!(hung_up(theirs.as_fd()));
    }
}
