//! Whether sbx has more rights than whoever started it.

use crate::sys;

/// How a program comes to have more rights than its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elevation {
    /// Its file is set-user-ID, or its caller has two user ids.
    UserId,
    /// Its file is set-group-ID, or its caller has two group ids.
    GroupId,
    /// Its file has capabilities (setcap(8)).
    Capabilities,
    /// A security module, such as SELinux or AppArmor, has a rule for this transition.
    Module,
}

impl Elevation {
    /// Why this process has more rights than its caller; none if it has not. sbx must do nothing then: it writes the
    /// files and reads the profiles that its caller names.
    pub fn of_this_process() -> Option<Elevation> {
        if !sys::is_elevated() {
            return None;
        }
        let (uid, gid) = sys::ids();
        Some(if sys::effective_uid() != uid {
            Elevation::UserId
        } else if sys::effective_gid() != gid {
            Elevation::GroupId
        } else if uid != 0 && sys::effective_capabilities() != Ok(0) {
            Elevation::Capabilities
        } else {
            Elevation::Module
        })
    }

    /// The cause, as the end of a sentence about sbx.
    pub fn cause(self) -> &'static str {
        match self {
            Elevation::UserId => "it is set-user-ID, or started by a program that is",
            Elevation::GroupId => "it is set-group-ID, or started by a program that is",
            Elevation::Capabilities => "its file has capabilities",
            Elevation::Module => "a security module gives them to it",
        }
    }

    /// What to do about it.
    pub fn fix(self) -> &'static str {
        match self {
            Elevation::UserId => {
                "user namespaces are all that it needs: chmod u-s, or drop the rights before it is started"
            }
            Elevation::GroupId => {
                "user namespaces are all that it needs: chmod g-s, or drop the rights before it is started"
            }
            Elevation::Capabilities => "user namespaces are all that it needs: setcap -r",
            Elevation::Module => "SELinux: allow `noatsecure` for the transition; AppArmor: `px` instead of `Px`",
        }
    }
}
