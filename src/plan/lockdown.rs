//! The lock-down: what is taken from the program before it runs, beside what the view does not show.

use super::lines::Lines;
use super::note::Note;
use super::syscalls::{self, Arch, Base, refusals};
use super::{CapabilityPlan, LandlockPlan, Placed, landlock, privileges, tcp_ports, undone};
use crate::error::Result;
use crate::host::Facts;
use crate::spec::{Requirement, Root, Sandbox};
use crate::sys::BpfProgram;
use serde::{Serialize, Serializer};

/// What is taken from the program before it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LockdownPlan {
    /// Capabilities that the program has once it is started.
    #[serde(skip_serializing_if = "CapabilityPlan::is_empty")]
    pub capabilities: CapabilityPlan,
    /// Landlock's rules, or why Landlock is not used.
    pub landlock: std::result::Result<LandlockPlan, String>,
    /// Whether the program gets an empty session keyring instead of the caller's.
    pub own_keyring: bool,
    /// The policy for system calls; none where only input pushed into a terminal is
    /// refused (sbx-bwrap).
    pub syscalls: Option<syscalls::Policy>,
    /// seccomp filters that PID 1 loads, for itself and the program.
    #[serde(serialize_with = "lengths", skip_serializing_if = "Vec::is_empty")]
    pub seccomp_for_all: Vec<BpfProgram>,
    /// seccomp filters that only the program loads.
    #[serde(serialize_with = "lengths")]
    pub seccomp: Vec<BpfProgram>,
    /// SELinux context that the program is executed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec_label: Option<String>,
    /// Whether processes outside may inspect PID 1 (it is "dumpable": prctl(2)).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub visible: bool,
    /// Whether sbx's own file must be kept from being overwritten through /proc/self/exe, since Landlock does not do
    /// it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub handover: bool,
}

/// Serializes filters as their lengths.
fn lengths<S: Serializer>(filters: &[BpfProgram], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_seq(filters.iter().map(|filter| format!("{} instructions", filter.len())))
}

/// Decides what is taken from the program that sees this view.
///
/// # Errors
///
/// Landlock or the policy for system calls cannot be had as the profile requires, or mounts would undo the view.
pub(super) fn plan(sandbox: &Sandbox, facts: &Facts, view: &[Placed], notes: &mut Vec<Note>) -> Result<LockdownPlan> {
    let bare = sandbox.filesystem.root == Root::Bare;
    let capabilities = privileges::capabilities(sandbox, facts);
    let mut landlock = landlock::plan(sandbox, view, facts)?;
    match tcp_ports::plan(sandbox, landlock.as_ref().map(|plan| plan.version).map_err(String::as_str))? {
        Some(Ok(ports)) => landlock.iter_mut().for_each(|plan| plan.tcp = Some(ports.clone())),
        Some(Err(why)) => notes.push(Note::NoLandlockTcp { why }),
        None => {}
    }
    if let (Err(why), Requirement::Prefer) = (&landlock, sandbox.security.landlock)
        && facts.landlock.is_none()
    {
        notes.push(Note::NoLandlock { why: why.clone() });
    }
    if landlock.is_err() {
        undone::by_mounts(sandbox, facts, view, notes)?;
    }
    let (syscalls, seccomp_for_all, seccomp) = privileges::filters(sandbox, facts, capabilities)?;
    Ok(LockdownPlan {
        capabilities,
        own_keyring: sandbox.security.own_keyring,
        syscalls,
        seccomp_for_all,
        seccomp,
        exec_label: sandbox.security.exec_label.clone(),
        visible: privileges::visible(sandbox, capabilities),
        handover: sandbox.namespaces.nested && landlock.is_err() && !bare,
        landlock,
    })
}

impl LockdownPlan {
    pub(super) fn render(&self, lines: &mut Lines) {
        let keyring = if self.own_keyring { "new session keyring, " } else { "" };
        let capabilities = match self.capabilities {
            CapabilityPlan::EMPTY => "empty bounding set, no capabilities".to_owned(),
            CapabilityPlan { ambient, .. } => format!("capabilities {ambient:#x}"),
        };
        lines.add("lock-down", format!("{keyring}{capabilities}, no_new_privs"));
        let landlock = match &self.landlock {
            Ok(landlock) => {
                let scoped = if landlock.scoped == 0 { "" } else { ", signals and abstract sockets stay inside" };
                let tcp = landlock.tcp_words().map(|words| format!(", {words}")).unwrap_or_default();
                format!("version {}, {} rules{scoped}{tcp}", landlock.version, landlock.rules.len())
            }
            Err(why) => format!("not used: {why}"),
        };
        lines.add("landlock", landlock);
        lines.add("seccomp", self.seccomp_words());
    }

    /// The text that describes the filters in a plan.
    fn seccomp_words(&self) -> String {
        let Some(policy) = &self.syscalls else { return "input pushed into a terminal is refused".to_owned() };
        let base = match policy.base {
            Base::Off => {
                let bits = if policy.setuid_bits { "" } else { ", set-user-ID bits" };
                return format!(
                    "off: only input pushed into a terminal{bits}, calls on keys and denied calls are refused"
                );
            }
            Base::Default => "default",
            Base::Strict => "strict",
        };
        let count = refusals(policy, Arch::NATIVE).len();
        let arches: Vec<_> = policy.arches.iter().map(|arch| format!("{arch:?}").to_lowercase()).collect();
        let length: usize = self.seccomp.iter().map(Vec::len).sum();
        let bits = if policy.setuid_bits { "; files may be given set-user-ID bits" } else { "" };
        let arches = arches.join(" and ");
        format!("{base}: all calls but {count} and unknown ones, for {arches} ({length} instructions){bits}")
    }
}
