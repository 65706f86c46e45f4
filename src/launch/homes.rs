//! Private homes that are kept: made and locked before a sandbox is.

use super::uppers::ids;
use crate::error::{Error, Result};
use crate::plan::{HomePlan, Plan};
use crate::sys::{self, Errno};
use crate::union::{Store, Upper};

/// Makes the private home, if there is none of this name yet, and locks it for as long as the result lives.
///
/// # Errors
///
/// Another sandbox uses it, it cannot be made, or others may enter it.
pub(super) fn open(plan: &Plan, home: &HomePlan) -> Result<Upper> {
    let locked = || {
        let store = Store::homes(home.store.clone());
        store.make()?;
        let mut upper = store.lock(&home.name, Some(&ids(plan)))?;
        match sys::mkdirat(upper.directory(), c"home", 0o700) {
            Ok(()) | Err(Errno(libc::EEXIST)) => {}
            Err(errno) => return Err(Error::new(format!("cannot make {}: {errno}", home.dir().display()))),
        }
        upper.touch();
        upper.save()?;
        Ok(upper)
    };
    locked().map_err(|error: Error| error.origin(&home.origin))
}
