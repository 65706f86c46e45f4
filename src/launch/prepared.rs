//! First stage of a start: all is ready for the sandbox's first process, and nothing is made yet but its cgroup.

use super::caller;
use super::cgroup::{self, Cgroup};
use super::events::Events;
use super::exclusive::Locks;
use super::homes;
use super::inherited::{self, InheritedFile};
use super::named::Membership;
use super::ports::Ports;
use super::prepare::{self, CallerState};
use super::session::session;
use super::signals::Signals;
use super::uppers::Uppers;
use crate::child;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::spec::Tty;
use crate::sys;
use crate::union::Upper;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

/// What the first process needs, and the launcher's own state that goes with it.
pub(super) struct Prepared<'p> {
    pub plan: &'p Plan,
    /// Never dropped, like the plan: the kernel frees all of its memory at once when the launcher exits.
    pub given: ManuallyDrop<child::Prepared>,
    /// The files that the program inherits as descriptors.
    pub inherited: Vec<InheritedFile>,
    /// The launcher's end of the socket between it and the child.
    pub socket: OwnedFd,
    /// The child's end of that socket.
    pub socket_of_child: OwnedFd,
    /// The blocked signals. Dropped before the cgroup: removing that may take a moment, during which signals have to
    /// work.
    pub signals: Signals,
    /// A pidfd of the caller if the sandbox is to end with it.
    pub caller: Option<OwnedFd>,
    pub cgroup: Option<Cgroup>,
    /// The upper layers of overlays, if they are on disk.
    pub uppers: Option<Uppers>,
    /// The private home that is kept, locked.
    pub home: Option<Upper>,
    /// The locks on what is shown in one sandbox at a time.
    pub locks: Locks,
    /// The ports at which servers inside are reached.
    pub ports: Ports,
    /// The sandbox's place in a network that it shares with others.
    pub membership: Option<Membership>,
    /// When the sandbox was started, for its figures.
    pub began: Instant,
}

impl<'p> Prepared<'p> {
    /// Reads the state of this process that the plan does not have, and makes the cgroup.
    pub(super) fn new(plan: &'p Plan, status: &mut dyn Events) -> Result<Prepared<'p>> {
        let session = session(plan);
        let inherited = inherited::files(plan, session)?;
        let ignores_sigpipe = sys::ignore_sigpipe();
        let scoped = plan.lockdown.landlock.as_ref().is_ok_and(|landlock| landlock.scoped & sys::SCOPE_SIGNAL != 0);
        if plan.process.tty == Tty::Inherit
            && matches!(session, child::Session::Inherit { own_group: false, .. })
            && !scoped
        {
            status.note("in the background the program shares sbx's process group, and can signal it (kill(0, ...))");
        }
        sys::default_sigchld();
        #[cfg(feature = "guards-off")]
        let plan = super::guards::plan(plan);
        let caller = caller::pidfd(plan)?;
        let state = CallerState {
            ignores_sigpipe,
            // A write beyond the limit is an error then, which can be said, instead of a signal that ends the process.
            defaults_sigxfsz: plan.resources.limited_files && !sys::ignore_sigxfsz(),
            wants_child: status.wants_child(),
            wants_start: status.wants_start(),
            wants_hints: status.wants_hints(),
            caller: caller.as_ref().map_or(-1, AsRawFd::as_raw_fd),
        };
        let ports = Ports::take(&plan.ports)?;
        let mut locks = Locks::default();
        locks.take(plan)?;
        let uppers = plan.view.union.as_ref().map(|union| Uppers::open(plan, union)).transpose()?.flatten();
        let home = plan.view.home.as_ref().map(|home| homes::open(plan, home)).transpose()?;
        let in_use = uppers.as_ref().map(Uppers::in_use);
        let held = in_use.map(|uppers| uppers.lock).into_iter().chain(home.as_ref().map(Upper::lock_number));
        let held: Vec<_> = held.chain(locks.descriptors()).collect();
        let membership = plan.namespaces.named.as_ref().map(|named| Membership::join(named, plan)).transpose()?;
        let given = prepare::prepare(plan, session, &state, &inherited, in_use, &held)?;
        #[cfg(feature = "guards-off")]
        let given = super::guards::prepared(given);
        let given = ManuallyDrop::new(given);
        let began = Instant::now();
        let cgroup = plan.resources.cgroup.as_ref().map(|wanted| cgroup::make(wanted, status)).transpose()?;
        if let Some(cgroup) =
            cgroup.as_ref().filter(|_| plan.resources.cgroup.as_ref().is_some_and(|wanted| wanted.delegate))
        {
            given.namespaces.cgroup_leaf.set(Some(cgroup.leaf_below()?));
        }
        let pair = sys::seqpacket_pair().map_err(|errno| Error::call("socketpair", errno))?;
        let signals = Signals::block(plan)?;
        sys::phase("prepare");
        Ok(Prepared {
            plan,
            given,
            inherited,
            socket: pair.0,
            socket_of_child: pair.1,
            signals,
            caller,
            cgroup,
            uppers,
            home,
            locks,
            ports,
            membership,
            began,
        })
    }
}
