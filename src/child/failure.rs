//! Failures between clone and exec.

use super::report::{Call, Place};
use crate::sys;

/// A call that failed, its errno, and the part of the set-up in which it was made.
pub(super) struct Failure {
    pub place: Place,
    pub call: Call,
    pub errno: sys::Errno,
}

/// Adds the place and the call to an errno, so that the launcher can make a message of the failure.
pub(super) trait At<T> {
    fn at(self, place: Place, call: Call) -> std::result::Result<T, Failure>;
}

impl<T> At<T> for sys::Result<T> {
    fn at(self, place: Place, call: Call) -> std::result::Result<T, Failure> {
        self.map_err(|errno| Failure { place, call, errno })
    }
}
