//! Carries a plan out, outside of the sandbox. The whole sequence is on this screen.

mod cgroup;
mod figures;
#[cfg(feature = "guards-off")]
mod guards;
mod helper;
mod idmap;
mod prepare;
mod relay;
mod status;
mod supervise;
mod systemd;
mod trial;
mod victims;
mod wording;

pub use figures::Figures;
pub use status::{Events, Status};
pub use supervise::Outcome;
pub use trial::try_out;
pub use victims::Victim;

use crate::child::{self, LENGTH_OF_MESSAGE, Message};
use crate::error::{Error, Result};
use crate::plan::{Plan, Writer};
use crate::spec::{Descriptors, Namespace, Tty, UserNamespace};
use crate::sys::{self, Cloned, Poll};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Runs the plan's program to its end.
pub fn run(plan: &Plan, status: &mut dyn Events) -> Result<Outcome> {
    let session = supervise::session(plan);
    let ignored = sys::ignore_sigpipe() && plan.is_bare();
    let scoped = plan.landlock.as_ref().is_ok_and(|landlock| landlock.scoped & sys::SCOPE_SIGNAL != 0);
    if plan.tty == Tty::Inherit && matches!(session, child::Session::Inherit { own_group: false, .. }) && !scoped {
        status.note("in the background the program is in this process group, which its signals reach (kill(0, ...))");
    }
    sys::default_sigchld();
    #[cfg(feature = "guards-off")]
    let plan = &guards::plan(plan);
    let system = |what: &'static str| move |errno: sys::Errno| Error::new(format!("{what}: {errno}"));
    let caller = caller(plan)?;
    let around = prepare::Around {
        ignores_sigpipe: ignored,
        wants_child: status.wants_child(),
        caller: caller.as_ref().map_or(-1, |caller| caller.as_raw_fd()),
    };
    let prepared = prepare::prepare(plan, session, around)?;
    #[cfg(feature = "guards-off")]
    let prepared = guards::prepared(prepared);
    // As the plan: never taken apart.
    let prepared = ManuallyDrop::new(prepared);
    let began = Instant::now();
    let mut cgroup = plan.cgroup.as_ref().map(|wanted| cgroup::make(wanted, status)).transpose()?;
    if let Some(cgroup) = cgroup.as_ref().filter(|_| plan.cgroup.as_ref().is_some_and(|wanted| wanted.delegate)) {
        prepared.cgroup_leaf.set(Some(cgroup.leaf_below()?));
    }
    let (ours, theirs) = sys::seqpacket_pair().map_err(system("socketpair"))?;
    // What stops a program that shares our process group is to stop us as well.
    let shared: &[i32] = &[libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    let free = if plan.tty == Tty::Shared { shared } else { &[] };
    let mask = sys::block_all_but(free).map_err(system("sigprocmask"))?;
    let child = match start(plan, &prepared, cgroup.as_ref(), (&ours, &theirs), &mask) {
        Ok(child) => child,
        Err(error) => {
            let _ = sys::restore(&mask);
            return Err(error);
        }
    };
    drop(theirs);
    if let Some(handover) = &prepared.handover {
        // The child's alone: it waits for their end.
        sys::close(handover.pipe.0);
        sys::close(handover.pipe.1);
    }
    // From here on the child dies with us: it asked the kernel for that, and it sees this socket end.
    let mut guard = Guard { child: &child, mask: &mask, done: false };
    let signals = sys::signal_descriptor().map_err(system("signalfd"))?;
    let mut start = Start {
        plan,
        prepared: &prepared,
        socket: ours.as_fd(),
        signals: signals.as_fd(),
        caller: caller.as_ref().map_or(-1, |caller| caller.as_raw_fd()),
        terminal: None,
        early: Vec::new(),
    };
    if prepared.wait_for_launcher {
        start.expect_ready()?;
        status.cloned(child.pid)?;
        // Not before the kernel has let us: a run that is refused leaves nothing.
        for create in &plan.create {
            make_directory(create)?;
        }
        idmap::write(&plan.ids, child.pid)?;
        if let UserNamespace::MappedByOthers(fd) = plan.user {
            start.wait(sys::borrow(fd), Duration::from_secs(u32::MAX.into()))?;
            let _ = sys::read(sys::borrow(fd), &mut [0; 1]);
        }
        start.go()?;
    }
    if !plan.user.is_private() || plan.user_last.is_some() {
        give_up_rights(plan)?;
    }
    if let Descriptors::AllBut(_) = plan.descriptors {
        // Pipes of the caller must end with the program.
        let mut keep = status.descriptors();
        keep.extend([0, 1, 2, ours.as_raw_fd(), child.pidfd.as_raw_fd(), signals.as_raw_fd(), start.caller]);
        keep.sort_unstable();
        sys::close_all_but(keep.get(usize::from(start.caller < 0)..).unwrap_or_default())
            .map_err(system("close_range"))?;
    }
    let mut helper = None;
    if let Some(proxy) = &plan.bus_proxy {
        start.expect_ready()?;
        helper = Some(helper::bus_proxy(proxy, child.pid, |fd| start.wait(fd, helper::PATIENCE))?);
        start.go()?;
    }
    let Start { terminal, early, .. } = start;
    let mut victims = cgroup.as_ref().and_then(|cgroup| cgroup.victims(child.pid));
    let running = supervise::Running {
        plan,
        prepared: &prepared,
        child: &child,
        socket: ours,
        signals,
        caller,
        terminal,
        helper,
        victims: victims.as_mut(),
        early,
    };
    let figures = || match &cgroup {
        Some(cgroup) => cgroup.figures(began),
        None => Figures::of_children(began.elapsed()),
    };
    let outcome = supervise::supervise(running, &figures, status)?;
    guard.done = true;
    let used = match &cgroup {
        Some(cgroup) if !status.wants_figures() => Some(cgroup.verdict(began)),
        None if !plan.stats => None,
        _ => Some(figures()),
    };
    if let Some(used) = used {
        status.figures(&used.naming(victims.as_ref()), true);
    }
    // What the program left is ended, and nothing is left of the cgroup when that is told.
    if let Some(cgroup) = &mut cgroup {
        cgroup.end();
    }
    status.exited(&outcome);
    Ok(outcome)
}

/// The process that the sandbox ends with. By a pidfd: the kernel's parent-death signal goes by the thread that started us
/// (PR_SET_PDEATHSIG(2const)), which may end before its process does.
fn caller(plan: &Plan) -> Result<Option<OwnedFd>> {
    if !plan.dies_with_caller {
        return Ok(None);
    }
    let parent = sys::parent_pid();
    // A program in our process group may stop us. The kernel's signal ends us even then; where the caller has one thread, it is as good.
    if std::fs::read_dir(format!("/proc/{parent}/task")).map_or(0, Iterator::count) == 1 {
        let done = sys::set_parent_death_signal(libc::SIGKILL);
        done.map_err(|errno| Error::new(format!("cannot end with the caller: prctl: {errno}")))?;
    }
    match sys::pidfd_open(parent) {
        Ok(pidfd) if sys::parent_pid() == parent => Ok(Some(pidfd)),
        // Our parent is out of sight, in a pid namespace above, or gone.
        _ if parent == 0 => {
            let done = sys::set_parent_death_signal(libc::SIGKILL);
            done.map_err(|errno| Error::new(format!("cannot end with the caller: prctl: {errno}")))?;
            Ok(None)
        }
        _ => Err(Error::new("the caller ended before the sandbox was started, and the sandbox was to end with it")),
    }
}

/// Makes the sandbox's first process.
fn start(
    plan: &Plan,
    prepared: &child::Prepared,
    cgroup: Option<&cgroup::Cgroup>,
    (ours, theirs): (&OwnedFd, &OwnedFd),
    mask: &sys::Mask,
) -> Result<Child> {
    let join = |fd: Option<i32>, kind: i32, what: &'static str| match fd.map(|fd| sys::join_namespace(fd, kind)) {
        Some(Err(errno)) => Err(wording::join(what, errno)),
        _ => Ok(()),
    };
    let user = if let UserNamespace::Join(fd) = plan.user { Some(fd) } else { None };
    join(user, libc::CLONE_NEWUSER, "userns")?;
    join(plan.pid_join, libc::CLONE_NEWPID, "pidns")?;
    let mut flags = flags(plan.namespaces.iter().copied());
    if !plan.user.is_private() {
        flags &= !(libc::CLONE_NEWUSER as u64);
    }
    if prepared.network_beside {
        flags &= !(libc::CLONE_NEWNET as u64);
    }
    if prepared.new_cgroup_namespace {
        flags &= !(libc::CLONE_NEWCGROUP as u64);
    }
    let mask = if plan.is_bare() { mask.without(libc::SIGCHLD) } else { *mask };
    let run = || -> ! {
        sys::close(ours.as_raw_fd());
        child::run(prepared, theirs, &mask)
    };
    let cloned = match plan.pid_join {
        Some(_) if plan.namespaces.contains(&Namespace::Pid) => {
            sys::clone3_below(flags, || run()).map(|pidfd| Child { pid: number(pidfd.as_fd()), pidfd })
        }
        _ => match sys::clone3_into(flags, cgroup.map(cgroup::Cgroup::fd)) {
            Ok(Cloned::Child) => run(),
            Ok(Cloned::Parent { pid, pidfd }) => Ok(Child { pid, pidfd }),
            Err(errno) => Err(errno),
        },
    };
    cloned.map_err(|errno| wording::clone(plan, "clone3", errno))
}

/// The number that a process has for us, wherever it was made: /proc/self/fdinfo of its pidfd. 0 if it cannot be told.
fn number(pidfd: BorrowedFd<'_>) -> i32 {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap_or_default();
    let pid = text.lines().find_map(|line| line.strip_prefix("Pid:")).and_then(|pid| pid.trim().parse().ok());
    pid.unwrap_or(0)
}

/// Root's rights, or those over a namespace that was joined, were for the start alone.
fn give_up_rights(plan: &Plan) -> Result<()> {
    let system = |what: &'static str| move |errno: sys::Errno| Error::new(format!("{what}: {errno}"));
    if let Some(fd) = plan.user_last {
        sys::join_namespace(fd, libc::CLONE_NEWUSER).map_err(|errno| wording::join("userns2", errno))?;
    }
    match sys::set_capabilities(0) {
        // A filter around us may refuse it to root (systemd-nspawn's does).
        Err(sys::Errno(libc::EPERM)) => {}
        other => other.map_err(system("capset"))?,
    }
    // The program may have our user, and as few rights: it must not look out of the view through us.
    sys::set_dumpable(false).map_err(system("prctl PR_SET_DUMPABLE"))
}

/// The sandbox's first process.
pub(crate) struct Child {
    pid: i32,
    pidfd: OwnedFd,
}

/// Ends and reaps the child on every way out of `run`, and leaves signals as they were.
struct Guard<'a> {
    child: &'a Child,
    mask: &'a sys::Mask,
    done: bool,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.done {
            let _ = sys::pidfd_signal(self.child.pidfd.as_fd(), libc::SIGKILL);
            let _ = sys::wait_end(self.child.pidfd.as_fd());
        }
        // What was meant for the program is not left for us.
        if let Ok(signals) = sys::signal_descriptor() {
            while sys::next_signal(signals.as_fd()).is_some() {}
        }
        let _ = sys::restore(self.mask);
    }
}

/// CLONE_NEW* of these. User and mount namespaces are always private.
fn flags(namespaces: impl IntoIterator<Item = Namespace>) -> u64 {
    let always = (libc::CLONE_NEWUSER | libc::CLONE_NEWNS) as u64;
    namespaces.into_iter().fold(always, |flags, namespace| flags | flag(namespace))
}

fn flag(namespace: Namespace) -> u64 {
    match namespace {
        Namespace::Pid => libc::CLONE_NEWPID as u64,
        Namespace::Net => libc::CLONE_NEWNET as u64,
        Namespace::Ipc => libc::CLONE_NEWIPC as u64,
        Namespace::Uts => libc::CLONE_NEWUTS as u64,
        Namespace::Cgroup => libc::CLONE_NEWCGROUP as u64,
        Namespace::Time => sys::CLONE_NEWTIME,
    }
}

/// One message of the child.
struct Received {
    /// None at the end, and where it is none.
    message: Option<Message>,
    /// Whether it is the end.
    end: bool,
    /// What came with it.
    fd: Option<OwnedFd>,
    /// The text that followed it.
    text: Option<String>,
}

fn message(socket: BorrowedFd<'_>) -> sys::Result<Received> {
    let mut buffer = [0; LENGTH_OF_MESSAGE + child::LENGTH_OF_TEXT];
    let (length, fd) = sys::receive(socket, &mut buffer)?;
    let (message, text) = buffer.get(..length).unwrap_or_default().split_at(length.min(LENGTH_OF_MESSAGE));
    let text = (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned());
    Ok(Received { message: Message::decode(message), end: length == 0, fd, text })
}

/// The way to the program's start, while the child asks for things.
struct Start<'a> {
    plan: &'a Plan,
    prepared: &'a child::Prepared,
    socket: BorrowedFd<'a>,
    signals: BorrowedFd<'a>,
    /// The process that the sandbox ends with, or nothing.
    caller: i32,
    /// The program's terminal, which the child may send at any time.
    terminal: Option<OwnedFd>,
    /// Signals for the program, which is not there yet.
    early: Vec<sys::Arrived>,
}

impl Start<'_> {
    fn go(&self) -> Result<()> {
        let sent = sys::send(self.socket, &Message::Go.encode(), None);
        sent.map_err(|errno| Error::new(format!("the sandbox is gone: {errno}")))
    }

    /// Waits for a descriptor; false when the time is over, an error when somebody wants us to end.
    fn wait(&mut self, fd: BorrowedFd<'_>, patience: Duration) -> Result<bool> {
        let end = Instant::now() + patience;
        loop {
            let mut set = [fd.as_raw_fd(), self.signals.as_raw_fd(), self.caller].map(Poll::read);
            let left = end.saturating_duration_since(Instant::now()).as_millis();
            sys::poll(&mut set, i32::try_from(left).ok()).map_err(|errno| Error::new(format!("poll: {errno}")))?;
            while let Some(arrived) = sys::next_signal(self.signals) {
                if supervise::is_end(arrived.signal) {
                    let error = Error::new(format!("signal {} came before the program started", arrived.signal));
                    return Err(error.status(crate::exit::SIGNALED + arrived.signal as u8));
                }
                // Once each, as the kernel keeps them.
                if !self.early.iter().any(|early| early.signal == arrived.signal) {
                    self.early.push(arrived);
                }
            }
            if set[2].ready {
                return Err(Error::new("the caller ended before the program started"));
            }
            if set[0].ready || left == 0 {
                return Ok(set[0].ready);
            }
        }
    }

    /// Waits until the child says `Ready`; its terminal may come before that.
    fn expect_ready(&mut self) -> Result<()> {
        loop {
            self.wait(self.socket, Duration::from_secs(3600))?;
            match message(self.socket) {
                Ok(Received { message: Some(Message::Ready), .. }) => return Ok(()),
                Ok(Received { message: Some(Message::Terminal), fd, .. }) => self.terminal = fd,
                Ok(Received { message: Some(Message::Failed { place, call, errno }), .. }) => {
                    return Err(wording::failure(self.plan, self.prepared, (place, call, errno), None));
                }
                _ => return Err(Error::new("the sandbox ended before it was set up").hint("it may have been killed")),
            }
        }
    }
}

/// `create`: a directory on the host, for the caller alone, as is usual for what programs keep in a home.
fn make_directory(create: &crate::plan::Create) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if create.path.exists() {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&create.path).map_err(|error| {
        let path = create.path.display();
        Error::new(format!("cannot create {path}: {}", sys::Errno::from(error)))
            .origin(&create.origin)
            .hint("make it by hand, or take `create` out: then it has to be there, or `optional`")
    })
}

/// The launcher writes the maps where the child cannot.
pub(crate) fn maps_by_launcher(writer: &Writer) -> bool {
    matches!(writer, Writer::Launcher | Writer::Helpers { .. })
}
