//! What the child is given: everything it needs, in the form that system calls take it.

mod descriptors;
mod lockdown;
mod namespaces;
mod process;
mod view;

pub use descriptors::Descriptors;
pub use lockdown::{Capabilities, Handover, Landlock, Lockdown};
pub use namespaces::Namespaces;
pub use process::{Process, Session, Strings};
pub use view::{Act, Point, Scratch, Source, Step, ViewSteps};

/// Everything, in groups by what uses it.
pub struct Prepared {
    /// What is done in the namespaces.
    pub namespaces: Namespaces,
    /// What is done for the view.
    pub view: ViewSteps,
    /// What is done for the program.
    pub process: Process,
    /// What becomes of descriptors.
    pub descriptors: Descriptors,
    /// What is taken from the program.
    pub lockdown: Lockdown,
    /// Guards that are left out.
    #[cfg(feature = "guards-off")]
    pub off: Vec<Guard>,
}

/// What a sandbox never lacks, but in programs that are built for tests (the feature `guards-off`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// No rights are gained by exec.
    NoNewPrivs,
    /// PID 1 cannot be looked into.
    Undumpable,
    /// PID 1 does not have the launcher's arguments.
    NoArguments,
}

impl Prepared {
    /// Whether this guard is on.
    #[cfg(feature = "guards-off")]
    pub(super) fn has(&self, guard: Guard) -> bool {
        !self.off.contains(&guard)
    }

    /// Whether this guard is on: always.
    #[cfg(not(feature = "guards-off"))]
    #[expect(clippy::unused_self, reason = "with the feature it is asked")]
    pub(super) fn has(&self, _guard: Guard) -> bool {
        true
    }
}
