//! What the program may do as who it is: capabilities, filters of system calls, and which user namespace it is in.

use super::{IdPlan, Op, Placed, seccomp, syscalls};
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::spec::{Capabilities, Filter, Root, Sandbox, UserNamespace};
use crate::sys::BpfProgram;
use serde::Serialize;

/// What becomes of the sets of capabilities. None leaves a set as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CapabilityPlan {
    /// What stays in the bounding set.
    pub bounding: Option<u64>,
    /// Effective, permitted and inheritable.
    pub sets: Option<u64>,
    /// Ambient.
    pub ambient: u64,
    /// Whether root's id is to be one like any other: securebits.
    pub powerless_root: bool,
}

impl CapabilityPlan {
    /// All of them empty.
    pub const EMPTY: CapabilityPlan =
        CapabilityPlan { bounding: Some(0), sets: Some(0), ambient: 0, powerless_root: true };

    pub(super) fn is_empty(&self) -> bool {
        *self == CapabilityPlan::EMPTY
    }
}

pub(super) fn capabilities(sandbox: &Sandbox, facts: &Facts) -> CapabilityPlan {
    let user = sandbox.namespaces.user;
    let (held, sets) = match sandbox.security.capabilities {
        Capabilities::None => (0, Some(0)),
        Capabilities::Held(set) => (set, Some(set)),
        Capabilities::Callers => (facts.capabilities, None),
    };
    // A new user namespace comes with all of them; in the caller's, the bounding set is the caller's matter.
    let bounding = (user != UserNamespace::Callers).then_some(held);
    // bubblewrap leaves the securebits alone, and programs may look.
    let powerless_root = sandbox.filesystem.root != Root::Bare && sets == Some(0);
    CapabilityPlan { bounding, sets, ambient: held, powerless_root }
}

/// Filters for all, and for the program alone. What refuses nothing that PID 1 does binds it, too: it may be traced.
pub(super) fn filters(
    sandbox: &Sandbox,
    capabilities: CapabilityPlan,
) -> Result<(Option<syscalls::Policy>, Vec<BpfProgram>, Vec<BpfProgram>)> {
    let programs = sandbox.security.programs.iter().cloned();
    if sandbox.security.filter == Filter::Terminal {
        return Ok((None, vec![seccomp::terminal()], programs.collect()));
    }
    let policy = seccomp::policy(sandbox, capabilities)?;
    let mut own = Vec::new();
    if policy.base == syscalls::Base::Off {
        own.push(seccomp::filter());
    }
    if policy.base != syscalls::Base::Off || !policy.deny.is_empty() {
        own.push(syscalls::compile(&policy));
    }
    Ok((Some(policy), Vec::new(), own.into_iter().chain(programs).collect()))
}

/// CAP_SYS_ADMIN, which changes mounts, and CAP_SYS_RESOURCE, which lifts limits of namespaces.
const UNDOES_THE_VIEW: u64 = 1 << 21 | 1 << 24;

/// Whether the program is put into a user namespace that does not own the view: what it holds must not have power over that.
pub(super) fn second_user_namespace(
    sandbox: &Sandbox,
    capabilities: CapabilityPlan,
    view: &[Placed],
    ids: &IdPlan,
) -> Result<bool> {
    let held = capabilities.sets != Some(0);
    if sandbox.namespaces.user != UserNamespace::New || !held {
        return Ok(false);
    }
    if sandbox.filesystem.root == Root::Bare {
        // As bubblewrap: where it needs root for devpts, or a limit that holds.
        let devpts = view.iter().any(|placed| matches!(placed.op, Op::Devpts { .. })) && (ids.uid, ids.gid) != (0, 0);
        return Ok(devpts || !sandbox.namespaces.nested);
    }
    let undoes = capabilities.sets.unwrap_or(0) & UNDOES_THE_VIEW != 0;
    if undoes && sandbox.process.user == crate::spec::User::Range {
        return Err(Error::new(
            "CAP_SYS_ADMIN and CAP_SYS_RESOURCE cannot be held with user `range`: they have power over the view",
        )
        .origin(&sandbox.process.user_origin)
        .hint("leave them out of security.capabilities, or take another user, who is put into a second namespace"));
    }
    Ok(undoes)
}

/// CAP_SYS_PTRACE
const TRACES: u64 = 1 << 19;

/// Whether PID 1 may be looked at. A program that may trace others could make it work for it, round the filters that were asked for.
pub(super) fn visible(sandbox: &Sandbox, capabilities: CapabilityPlan) -> bool {
    let own = sandbox.namespaces.user != UserNamespace::Callers;
    let traces = own && capabilities.sets.unwrap_or(u64::MAX) & TRACES != 0;
    sandbox.process.visible && (!traces || sandbox.security.programs.is_empty())
}
