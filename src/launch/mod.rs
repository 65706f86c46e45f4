//! Carries a plan out, outside of the sandbox. The whole sequence is on this screen.

mod helper;
mod idmap;
mod prepare;
mod relay;
mod status;
mod supervise;
mod trial;
mod wording;

pub use status::Status;
pub use supervise::Outcome;
pub use trial::try_out;

use crate::child::{self, LENGTH_OF_MESSAGE, Message};
use crate::error::{Error, Result};
use crate::plan::{Plan, Writer};
use crate::spec::Namespace;
use crate::sys::{self, Cloned, Poll};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Runs the plan's program to its end.
pub fn run(plan: &Plan, status: &mut Status) -> Result<Outcome> {
    let session = supervise::session(plan);
    // As the plan: never taken apart.
    let prepared = ManuallyDrop::new(prepare::prepare(plan, session)?);
    let system = |what: &'static str| move |errno: sys::Errno| Error::new(format!("{what}: {errno}"));
    let (ours, theirs) = sys::seqpacket_pair().map_err(system("socketpair"))?;
    let mask = sys::block_all().map_err(system("sigprocmask"))?;
    let child = match sys::clone3(flags(plan.namespaces.iter().copied())) {
        Ok(Cloned::Child) => {
            drop(ours);
            child::run(&prepared, &theirs, &mask)
        }
        Ok(Cloned::Parent { pid, pidfd }) => Child { pid, pidfd },
        Err(errno) => {
            let _ = sys::restore(&mask);
            return Err(wording::clone(plan, errno));
        }
    };
    drop(theirs);
    // From here on the child dies with us: it asked the kernel for that, and it sees this socket end.
    let mut guard = Guard { child: &child, mask: &mask, done: false };
    let signals = sys::signal_descriptor().map_err(system("signalfd"))?;
    let mut start = Start { plan, prepared: &prepared, socket: ours.as_fd(), signals: signals.as_fd(), terminal: None };
    if prepared.wait_for_launcher {
        start.expect_ready()?;
        // Not before the kernel has let us: a run that is refused leaves nothing.
        for create in &plan.create {
            make_directory(create)?;
        }
        idmap::write(&plan.ids, child.pid)?;
        start.go()?;
    }
    let mut helper = None;
    if let Some(proxy) = &plan.bus_proxy {
        start.expect_ready()?;
        helper = Some(helper::bus_proxy(proxy, child.pid, &prepared.stage, |fd| start.wait(fd, helper::PATIENCE))?);
        start.go()?;
    }
    let terminal = start.terminal;
    let running =
        supervise::Running { plan, prepared: &prepared, child: &child, socket: ours, signals, terminal, helper };
    let outcome = supervise::supervise(running, status)?;
    guard.done = true;
    Ok(outcome)
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

/// The way to the program's start, while the child asks for things.
struct Start<'a> {
    plan: &'a Plan,
    prepared: &'a child::Prepared,
    socket: BorrowedFd<'a>,
    signals: BorrowedFd<'a>,
    /// The program's terminal, which the child may send at any time.
    terminal: Option<OwnedFd>,
}

impl Start<'_> {
    fn go(&self) -> Result<()> {
        let sent = sys::send(self.socket, &Message::Go.encode(), None);
        sent.map_err(|errno| Error::new(format!("the sandbox is gone: {errno}")))
    }

    /// Waits for a descriptor; false when the time is over, an error when somebody wants us to end.
    fn wait(&self, fd: BorrowedFd<'_>, patience: Duration) -> Result<bool> {
        let end = Instant::now() + patience;
        loop {
            let mut set = [Poll::read(fd.as_raw_fd()), Poll::read(self.signals.as_raw_fd())];
            let left = end.saturating_duration_since(Instant::now()).as_millis();
            sys::poll(&mut set, i32::try_from(left).ok()).map_err(|errno| Error::new(format!("poll: {errno}")))?;
            while let Some(arrived) = sys::next_signal(self.signals) {
                if supervise::is_end(arrived.signal) {
                    let error = Error::new(format!("signal {} came before the program started", arrived.signal));
                    return Err(error.status(crate::exit::SIGNALED + arrived.signal as u8));
                }
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
            let mut buffer = [0; LENGTH_OF_MESSAGE];
            let received = sys::receive(self.socket, &mut buffer);
            match received.map(|(length, fd)| (Message::decode(buffer.get(..length).unwrap_or_default()), fd)) {
                Ok((Some(Message::Ready), _)) => return Ok(()),
                Ok((Some(Message::Terminal), fd)) => self.terminal = fd,
                Ok((Some(Message::Failed { place, call, errno }), _)) => {
                    return Err(wording::failure(self.plan, self.prepared, place, call, errno));
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
    !matches!(writer, Writer::Child)
}
