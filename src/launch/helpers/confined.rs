//! A helper in a sandbox of its own: a namespace and a view that hold what it needs, and the same lock-down as for any
//! program. What it serves is hostile, and may have found a fault in it.

use crate::child::{self, Message, Session};
use crate::error::{Error, Result};
use crate::launch::message::{Received, receive};
use crate::launch::prepare::{CallerState, prepare};
use crate::launch::process::FirstProcess;
use crate::launch::{namespaces, wording};
use crate::plan::Plan;
use crate::spec::Descriptors;
use crate::sys::{self, Mask, Poll, UnownedFd};
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// How much of what a helper wrote to stderr becomes a part of an error.
const SAID: usize = 2048;

/// A process that is the helper, or becomes it.
pub(super) struct Confined {
    first: FirstProcess,
    /// The socket to it, until it has executed the helper's program.
    socket: OwnedFd,
    /// The reading end of a pipe for what it writes to stderr.
    said: OwnedFd,
    plan: Plan,
    given: child::Prepared,
}

impl Confined {
    /// Starts the program of a plan with these arguments behind it. It gets `inherited`, by their numbers; `moves` are
    /// further descriptors, each with the number that it gets. `mask` is its signal mask.
    pub fn start(
        mut plan: Plan,
        args: Vec<OsString>,
        inherited: &[OwnedFd],
        moves: &[(RawFd, RawFd)],
        mask: &Mask,
    ) -> Result<Confined> {
        let failed = |what: &'static str| move |errno: sys::Errno| Error::new(format!("{what}: {errno}"));
        let null =
            sys::openat(sys::cwd(), c"/dev/null", libc::O_RDWR, 0).and_then(high).map_err(failed("/dev/null"))?;
        let (said, says) = sys::pipe().map_err(failed("pipe"))?;
        // A helper that says more than anybody reads must not wait for ever.
        sys::set_nonblocking(says.as_fd(), true).map_err(failed("fcntl"))?;
        let says = high(says).map_err(failed("dup"))?;
        let (ours, theirs) = sys::seqpacket_pair().map_err(failed("socketpair"))?;
        let theirs = high(theirs).map_err(failed("dup"))?;
        let streams = [(null.as_raw_fd(), 0), (null.as_raw_fd(), 1), (says.as_raw_fd(), 2)];
        let moves: Vec<_> = streams.into_iter().chain(moves.iter().copied()).collect();
        let moved = moves.iter().map(|(_, number)| *number).filter(|number| *number > 2);
        plan.process.args.extend(args);
        plan.process.descriptors = Descriptors::Only(inherited.iter().map(AsRawFd::as_raw_fd).chain(moved).collect());
        let state = CallerState {
            ignores_sigpipe: false,
            defaults_sigxfsz: false,
            wants_child: false,
            wants_start: false,
            wants_hints: false,
            caller: -1,
        };
        // What it inherits are pipes, sockets and /dev/null.
        let mut given = prepare(&plan, Session::Detached { own_group: false }, &state, &[], None, &[])?;
        given.descriptors.moves = moves;
        let flags = namespaces::flags(plan.namespaces.private.iter().copied());
        let run = || -> i32 {
            // The owner is not dropped in the child, since this closure never returns.
            UnownedFd::new(ours.as_raw_fd()).close();
            child::run(&given, &theirs, mask)
        };
        let flags = if given.namespaces.network_beside { flags & !(libc::CLONE_NEWNET as u64) } else { flags };
        let (pid, pidfd) = sys::clone3(flags, None, run).map_err(|errno| wording::clone(&plan, "clone3", errno))?;
        Ok(Confined { first: FirstProcess::new(pid, pidfd), socket: ours, said, plan, given })
    }

    /// Its pidfd, ready to read when it has ended.
    pub fn fd(&self) -> RawFd {
        self.first.fd()
    }

    /// Descriptors that must stay open while it runs.
    pub fn descriptors(&self) -> [RawFd; 3] {
        [self.first.fd(), self.socket.as_raw_fd(), self.said.as_raw_fd()]
    }

    /// Why it ended before its program was executed, or what the program wrote to stderr; `None` if that is not known.
    pub fn failure(&self) -> Option<String> {
        let mut set = [Poll::read(self.socket.as_raw_fd())];
        while sys::poll(&mut set, Some(0)).is_ok() && set.iter().any(|poll| poll.ready) {
            match receive(self.socket.as_fd()) {
                Ok(Received { message: Some(Message::Failed { place, call, errno }), .. }) => {
                    return Some(wording::failure(&self.plan, &self.given, (place, call, errno), None).message);
                }
                Ok(Received { end: false, .. }) => {}
                _ => break,
            }
        }
        let mut set = [Poll::read(self.said.as_raw_fd())];
        let mut bytes = [0; SAID];
        sys::poll(&mut set, Some(0)).ok()?;
        let length =
            if set.iter().any(|poll| poll.ready) { sys::read(self.said.as_fd(), &mut bytes).ok()? } else { 0 };
        let text = String::from_utf8_lossy(bytes.get(..length)?).trim().replace('\n', "; ");
        (!text.is_empty()).then_some(text)
    }

    /// How it ended, as std describes it for a child; `None` while it runs.
    pub fn ended(&mut self) -> Option<String> {
        self.first.ended()
    }
}

/// The descriptor at a number that is out of the way of those that a program knows by number, close-on-exec.
pub(super) fn high(fd: OwnedFd) -> sys::Result<OwnedFd> {
    sys::dup_above(fd.as_fd(), 10)
}
