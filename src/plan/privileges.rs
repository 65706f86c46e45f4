//! Plans the program's privileges: capabilities, filters of system calls, and the user namespace that it runs in.

use super::capabilities::CapabilityPlan;
use super::{IdPlan, Op, Placed, seccomp, syscalls};
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::spec::{Capabilities, Filter, Root, Sandbox, UserNamespace};
use crate::sys::BpfProgram;

/// Decides the program's sets of capabilities.
pub(super) fn capabilities(sandbox: &Sandbox, facts: &Facts) -> CapabilityPlan {
    let user = sandbox.namespaces.user;
    let (held, sets) = match sandbox.security.capabilities {
        Capabilities::None => (0, Some(0)),
        Capabilities::Held(set) => (set, Some(set)),
        Capabilities::Callers => (facts.capabilities, None),
    };
    // A new user namespace starts with all capabilities. In the caller's, the bounding set is left as the caller has
    // it.
    let bounding = (user != UserNamespace::Callers).then_some(held);
    // bubblewrap does not set securebits, and a program can see them (prctl(2), PR_GET_SECUREBITS).
    let powerless_root = sandbox.filesystem.root != Root::Bare && sets == Some(0);
    CapabilityPlan { bounding, sets, ambient: held, powerless_root }
}

/// The policy, the filters that PID 1 loads too, and those that only the program loads. A filter that refuses nothing
/// that PID 1 does is for both, since the program may trace PID 1 and make it act on its behalf.
///
/// # Errors
///
/// The policy names an unknown call or architecture, or keeps the program from being executed.
pub(super) fn filters(
    sandbox: &Sandbox,
    facts: &Facts,
    capabilities: CapabilityPlan,
) -> Result<(Option<syscalls::Policy>, Vec<BpfProgram>, Vec<BpfProgram>)> {
    let programs = sandbox.security.programs.iter().cloned();
    if sandbox.security.filter == Filter::Terminal {
        return Ok((None, vec![seccomp::terminal()], programs.collect()));
    }
    let policy = seccomp::policy(sandbox, facts, capabilities)?;
    let mut own = Vec::new();
    if policy.base == syscalls::Base::Off {
        own.push(seccomp::filter());
    }
    if policy.base != syscalls::Base::Off || !policy.deny.is_empty() || !policy.setuid_bits {
        own.push(syscalls::filter(&policy));
    }
    Ok((Some(policy), Vec::new(), own.into_iter().chain(programs).collect()))
}

/// Capabilities that have power over the view: CAP_SYS_ADMIN changes mounts, CAP_SYS_RESOURCE lifts limits of
/// namespaces.
const UNDOES_THE_VIEW: u64 = 1 << 21 | 1 << 24;

/// Whether the program is put into a second user namespace, which does not own the view, so that the program's
/// capabilities have no power over the view.
///
/// # Errors
///
/// It would have to be, and user `range` or `keep-id` rules that out.
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
        // As bubblewrap does: if it became root only to mount devpts, or to keep the limit on user namespaces in force.
        let devpts = view.iter().any(|placed| matches!(placed.op, Op::Devpts { .. })) && (ids.uid, ids.gid) != (0, 0);
        return Ok(devpts || !sandbox.namespaces.nested);
    }
    let undoes = capabilities.sets.unwrap_or(0) & UNDOES_THE_VIEW != 0;
    if undoes && sandbox.process.user.takes_subordinate_ids() {
        return Err(Error::new(format!(
            "CAP_SYS_ADMIN and CAP_SYS_RESOURCE cannot be held with user `{}`: they have power over the view",
            sandbox.process.user.word()
        ))
        .origin(&sandbox.process.user_origin)
        .hint("leave them out of security.capabilities, or take another user, who is put into a second namespace"));
    }
    Ok(undoes)
}

/// CAP_SYS_PTRACE: traces other processes.
const TRACES: u64 = 1 << 19;

/// Whether processes outside may inspect PID 1 (it is "dumpable": prctl(2)). Not if the program may trace others and
/// the caller gave filters: it could make PID 1, which those filters do not bind, act on its behalf.
pub(super) fn visible(sandbox: &Sandbox, capabilities: CapabilityPlan) -> bool {
    let own = sandbox.namespaces.user != UserNamespace::Callers;
    let traces = own && capabilities.sets.unwrap_or(u64::MAX) & TRACES != 0;
    sandbox.process.visible && (!traces || sandbox.security.programs.is_empty())
}
