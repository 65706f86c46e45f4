//! Everything that the child needs, prepared by the launcher in the form that system calls take it.

mod descriptors;
mod lockdown;
mod namespaces;
mod process;
mod view;

pub use descriptors::{Descriptors, ReadOnlyFile};
pub use lockdown::{Capabilities, Handover, Landlock, Lockdown};
pub use namespaces::Namespaces;
pub use process::{Hints, Process, Session, Strings, Terminal};
pub use view::{
    Lower, MountSource, Overlay, OwnFile, ProcCover, Rule, Scratch, Served, Step, StepAction, TargetState, UpperDirs,
    ViewSteps,
};

/// Everything that the child needs, grouped by use.
pub struct Prepared {
    /// Set-up of the namespaces.
    pub namespaces: Namespaces,
    /// Steps that build the view.
    pub view: ViewSteps,
    /// The program, and how it is started.
    pub process: Process,
    /// Which descriptors are kept and which are closed.
    pub descriptors: Descriptors,
    /// Rights that are taken from PID 1 and the program.
    pub lockdown: Lockdown,
    /// Guards that are switched off for a test.
    #[cfg(feature = "guards-off")]
    pub off: Vec<Guard>,
}

/// A protection that every sandbox has. Only test builds, with the feature `guards-off`, can switch it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Exec gives no new privileges: no_new_privs.
    NoNewPrivs,
    /// Processes of the sandbox cannot inspect PID 1: the dumpable flag.
    Undumpable,
    /// The launcher's arguments are erased from the memory of PID 1, and so from /proc/1/cmdline.
    NoArguments,
}

impl Prepared {
    /// Whether the program's process group is the foreground group of its pseudo-terminal from the start. Without an init nobody could
    /// change that later.
    pub(super) fn starts_in_foreground(&self) -> bool {
        !self.process.init || self.process.terminal.is_none_or(|terminal| terminal.foreground)
    }

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
