//! The first process of a sandbox: sets the namespaces up, starts the program, and is PID 1 until the program ends.

use super::confine::confine;
use super::failure::{At, Failure};
use super::launcher::ask;
use super::prepared::{Guard, Prepared, Session};
use super::report::{Call, Message, Place};
use super::search::first_of;
use super::{assemble, changes, handover, lockdown, reaper, streams};
use crate::sys::{self, Errno, Mask, Poll, UnownedFd};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Runs the child to its end. Gives its exit status, which nobody uses: the program's status was sent as a message.
pub(super) fn live(prepared: &Prepared, socket: &OwnedFd, mask: &Mask) -> Result<i32, Failure> {
    let place = Place::Setup;
    sys::phase("clone3: the child begins");
    die_with_launcher(socket.as_fd())?;
    for (from, to) in &prepared.descriptors.moves {
        sys::dup2(UnownedFd::new(*from).as_fd(), UnownedFd::new(*to)).at(place, Call::Dup2)?;
    }
    if prepared.has(Guard::NoArguments) {
        sys::forget_arguments();
    }
    // Opened now, since the view may have no /proc, or that of another pid namespace.
    let proc = sys::openat(sys::cwd(), c"/proc/self", libc::O_PATH | libc::O_DIRECTORY, 0).at(place, Call::OpenProc)?;
    let network = network(prepared)?;
    namespaces(prepared, socket.as_fd(), proc.as_fd())?;
    sys::phase("ids, host name");
    label(prepared.view.file_label.as_deref(), proc.as_fd(), c"attr/fscreate")?;
    let own = prepared.lockdown.handover.as_ref().map(handover::own_file).transpose()?;
    streams::reopen(prepared, socket.as_fd())?;
    let ruleset = lockdown::ruleset(prepared)?;
    let terminal = assemble::assemble(prepared, socket.as_fd(), proc.as_fd(), ruleset.as_ref().map(AsFd::as_fd))?;
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
    // Before any path is resolved in the view: links of its /proc would lead to descriptors that are open here, and
    // from there outside.
    drop(proc);
    let made = [terminal.as_ref(), own.as_ref(), ruleset.as_ref()];
    close_callers(prepared, socket.as_raw_fd(), made)?;
    prepared
        .descriptors
        .drop_fds
        .iter()
        .filter(|fd| prepared.process.block_fd != Some(**fd))
        .for_each(|fd| UnownedFd::new(*fd).close());
    // Nobody inside may inspect or trace this process: its memory and its /proc/1/exe are the launcher's. Not before
    // the id maps are written, since they are files of /proc, and not after rights are dropped. If the caller is told
    // this process's id, it may inspect the process at once and at any time: then it is never hidden.
    let hide = !(prepared.lockdown.visible && prepared.namespaces.owns_user_namespace);
    if hide {
        sys::set_dumpable(false).at(Place::Lockdown, Call::Prctl)?;
    }
    lockdown::process(prepared, ruleset)?;
    lockdown::show(prepared, true)?;
    if let Some(fd) = prepared.process.block_fd {
        // Meanwhile another program configures the network of this process. The end of the file counts as a byte, too.
        let fd = UnownedFd::new(fd);
        sys::read(fd.as_fd(), &mut [0; 1]).at(place, Call::Read)?;
        fd.close();
    }
    session(prepared, terminal.as_ref())?;
    // The program's process shares this memory until its exec, and has only the program's rights: others in this user
    // namespace could trace it.
    if hide {
        lockdown::show(prepared, false)?;
    }
    if !prepared.process.init {
        return Err(program(prepared, socket.as_raw_fd(), terminal.as_ref(), own.as_ref(), mask));
    }
    sys::phase("lock-down");
    lock(prepared)?;
    let mut failure = None;
    let init = (!prepared.namespaces.own_pids).then(sys::pid);
    let program = sys::spawn_shared(|| {
        failure = Some(match init.map_or(Ok(()), die_with_init) {
            Ok(()) => program(prepared, socket.as_raw_fd(), terminal.as_ref(), own.as_ref(), mask),
            Err(failure) => failure,
        });
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
    reaper::reap(prepared, socket, terminal, program, mask)
}

/// Makes the kernel kill this process when the launcher dies. The kernel clears that setting when ids change
/// (PR_SET_PDEATHSIG(2const)).
fn die_with_launcher(socket: BorrowedFd<'_>) -> Result<(), Failure> {
    sys::set_parent_death_signal(libc::SIGKILL).at(Place::Setup, Call::Prctl)?;
    // The launcher may have died before that call.
    if hung_up(socket) { Err(Errno(libc::EPIPE)).at(Place::Setup, Call::Receive) } else { Ok(()) }
}

/// Makes the kernel kill the program when the process that started it dies. (A pid namespace ends with its PID 1 anyway.)
fn die_with_init(init: i32) -> Result<(), Failure> {
    sys::set_parent_death_signal(libc::SIGKILL).at(Place::Setup, Call::Prctl)?;
    // It may have died before that call; then there is no signal.
    if sys::parent_pid() == init { Ok(()) } else { Err(Errno(libc::ESRCH)).at(Place::Setup, Call::Prctl) }
}

/// Sets up ids, cgroup, host name, loopback and the limit of nested namespaces, while the host's /proc is still
/// visible.
fn namespaces(prepared: &Prepared, socket: BorrowedFd<'_>, proc: BorrowedFd<'_>) -> Result<(), Failure> {
    let place = Place::Setup;
    if let Some((uid, gid)) = prepared.namespaces.switch_ids {
        // The capabilities are needed to make the view. PR_SET_KEEPCAPS keeps the permitted set alone, so the effective
        // one is set again.
        sys::keep_capabilities().at(place, Call::Prctl)?;
        sys::set_ids(uid, gid).at(place, Call::SetIds)?;
        let (_, permitted) = sys::capabilities().at(place, Call::Capset)?;
        sys::set_capabilities(permitted).at(place, Call::Capset)?;
        die_with_launcher(socket)?;
    }
    if let Some(maps) = &prepared.namespaces.maps {
        write_maps(proc, maps)?;
    }
    let [later, now] = &prepared.namespaces.network_settings;
    network_settings(later)?;
    if prepared.namespaces.filters_packets {
        // The kernel asks who has opened the socket, and who uses it: this process here, which has rights over the network, and there the
        // launcher, which owns its user namespace. This copy is closed before anything is executed.
        let filter = sys::netfilter_socket().at(place, Call::OpenNetfilter)?;
        sys::send(socket, &Message::Netfilter.encode(), Some(filter.as_fd())).at(place, Call::Send)?;
    }
    if prepared.namespaces.wait_for_launcher {
        ask(socket, Message::Ready)?;
    }
    network_settings(now)?;
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
    if let Some(domainname) = &prepared.namespaces.domainname {
        sys::set_domainname(domainname).at(place, Call::Setdomainname)?;
    }
    if !prepared.namespaces.network_beside {
        loopback(prepared)?;
    }
    if let Some(limit) = prepared.namespaces.limit_nested {
        // The limit is that of this user namespace; raising it takes capabilities in it.
        sys::write_file(c"/proc/sys/user/max_user_namespaces", limit).at(place, Call::WriteMaxUserns)?;
    }
    Ok(())
}

/// Writes settings of the network namespace. A kernel without IPv6 lacks some.
fn network_settings(settings: &[(CString, Vec<u8>)]) -> Result<(), Failure> {
    for (file, content) in settings {
        match sys::write_file(file, content) {
            Err(Errno(libc::ENOENT)) => {}
            written => written.at(Place::Setup, Call::WriteNetwork)?,
        }
    }
    Ok(())
}

/// Starts making the network namespace in parallel, if the plan says so. It takes longest of all, so it is started
/// first.
fn network(prepared: &Prepared) -> Result<Option<sys::NetworkMaker>, Failure> {
    if !prepared.namespaces.network_beside {
        return Ok(None);
    }
    let place = Place::Setup;
    let proc = sys::openat(sys::cwd(), c"/proc", libc::O_PATH | libc::O_DIRECTORY, 0).at(place, Call::OpenProc)?;
    match sys::NetworkMaker::start(proc) {
        Ok(maker) => Ok(Some(maker)),
        // There may be room for one process less than that takes.
        Err(_) => {
            sys::new_network_namespace().at(place, Call::UnshareNetwork)?;
            loopback(prepared)?;
            Ok(None)
        }
    }
}

fn loopback(prepared: &Prepared) -> Result<(), Failure> {
    if prepared.namespaces.loopback { sys::loopback_up().at(Place::Setup, Call::Loopback) } else { Ok(()) }
}

/// Writes the id maps. Without privileges, gid_map can be written only after setgroups(2) was denied:
/// user_namespaces(7).
fn write_maps(proc: BorrowedFd<'_>, (uids, gids): &(Vec<u8>, Vec<u8>)) -> Result<(), Failure> {
    let place = Place::Setup;
    sys::write_file_at(proc, c"setgroups", b"deny").at(place, Call::WriteSetgroups)?;
    sys::write_file_at(proc, c"uid_map", uids).at(place, Call::WriteUidMap)?;
    sys::write_file_at(proc, c"gid_map", gids).at(place, Call::WriteGidMap)
}

/// Enters the user namespaces that do not own the sandbox's other namespaces: capabilities in them give no rights over
/// the view.
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

/// Locks files for as long as this process lives. The program's copies of the descriptors are closed by its exec, and
/// the locks belong to this process alone (fcntl(2)).
fn lock(prepared: &Prepared) -> Result<(), Failure> {
    use std::os::fd::IntoRawFd;
    let mut held = prepared.descriptors.held.take();
    held.extend(changes::descriptors(prepared));
    for (index, path) in prepared.descriptors.lock_files.iter().enumerate() {
        let place = Place::Lock(index as u32);
        // O_NONBLOCK: opening a pipe that nobody writes must not block.
        let flags = libc::O_RDONLY | libc::O_NOCTTY | libc::O_NONBLOCK;
        let file = sys::openat(sys::cwd(), path, flags, 0).at(place, Call::Open)?;
        sys::lock_for_reading(file.as_fd()).at(place, Call::Lock)?;
        held.push(file.into_raw_fd());
    }
    prepared.descriptors.held.set(held);
    Ok(())
}

/// Whether the launcher is gone. Messages are not read: the launcher may have sent a signal already, which is for the
/// program.
fn hung_up(socket: BorrowedFd<'_>) -> bool {
    let mut set = [Poll::end(socket.as_raw_fd())];
    sys::poll(&mut set, Some(0)).is_err() || set[0].ready
}

/// Makes PID 1 the leader of the session, unless the caller's is used: so the program's process group is not orphaned,
/// and ^Z can stop it.
fn session(prepared: &Prepared, terminal: Option<&OwnedFd>) -> Result<(), Failure> {
    if let Session::Inherit { .. } = prepared.process.session {
        return Ok(());
    }
    let place = Place::Setup;
    sys::setsid().at(place, Call::Setsid)?;
    if let Some(terminal) = terminal {
        sys::take_terminal(terminal.as_fd()).at(place, Call::TakeTerminal)?;
        if let Some(start) = &prepared.process.terminal {
            let found = sys::terminal_settings(terminal.as_fd()).at(place, Call::TerminalSettings)?;
            let settings = found.with_modes_of(&start.settings);
            sys::set_terminal(terminal.as_fd(), &settings).at(place, Call::TerminalSettings)?;
            sys::set_window_size(terminal.as_fd(), &start.size).at(place, Call::TerminalSettings)?;
        }
    }
    Ok(())
}

/// Becomes the program. Returns only if that failed.
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
    if let (Some(terminal), Session::Pty(streams)) = (terminal, prepared.process.session) {
        if prepared.process.init {
            sys::own_process_group().at(place, Call::Setpgid)?;
        }
        // In the background it is as the caller's job is: it stops when it reads its terminal.
        if prepared.starts_in_foreground() {
            sys::take_foreground(terminal.as_fd()).at(place, Call::TakeForeground)?;
        }
        for (stream, on) in sys::STREAMS.into_iter().zip(streams) {
            if on {
                sys::dup2(terminal.as_fd(), stream).at(place, Call::Dup2)?;
            }
        }
    }
    if let Session::Detached { own_group: true } = prepared.process.session
        && prepared.process.init
    {
        sys::own_process_group().at(place, Call::Setpgid)?;
    }
    if let Session::Inherit { own_group: true, terminal } = prepared.process.session {
        // kill(0, ...) signals the whole process group, so the caller's processes must not be in the program's.
        sys::own_process_group().at(place, Call::Setpgid)?;
        if let Some(terminal) = terminal {
            sys::take_foreground(UnownedFd::new(terminal).as_fd()).at(place, Call::TakeForeground)?;
        }
    }
    keep_descriptors(prepared)?;
    sys::umask(prepared.process.umask);
    let dir = working_directory(prepared, UnownedFd::new(socket).as_fd())?;
    confine(prepared, mask, true)?;
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

/// Closes at once the caller's descriptors that the program does not get. Exec would be too late: the paths of the
/// working directory and of the program are resolved before it, and may lead through /proc/self/fd. `made` are those of
/// this process's own that stay open.
fn close_callers(prepared: &Prepared, socket: i32, made: [Option<&OwnedFd>; 3]) -> Result<(), Failure> {
    let Some(only) = &prepared.descriptors.only_fds else { return Ok(()) };
    let made = made.map(|fd| fd.map_or(-1, |fd| fd.as_raw_fd()));
    let pipe = prepared.lockdown.handover.as_ref().map_or((-1, -1), |handover| handover.pipe);
    let own = [socket, prepared.descriptors.caller, pipe.0, pipe.1];
    let mut first = 3;
    while let Some(next) = only
        .iter()
        .chain(&own)
        .chain(&made)
        .chain(&prepared.descriptors.locks)
        .chain(changes::descriptors(prepared))
        .copied()
        .filter(|fd| *fd >= first)
        .min()
    {
        sys::close_range(first as u32, next as u32 - 1).at(Place::Setup, Call::CloseRange)?;
        first = next + 1;
    }
    sys::close_range(first as u32, u32::MAX).at(Place::Setup, Call::CloseRange)
}

/// Marks all descriptors close-on-exec but the standard streams and those that the program gets.
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

/// Changes to the first working directory of the list that can be entered; gives its index. The launcher is told if it
/// is not the first.
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
        assert!(sys::soon(|| hung_up(theirs.as_fd())));
    }
}
