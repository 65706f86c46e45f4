//! What a process with the ids of a sandbox cannot give to a file, and one with those of the caller can: a group that is not mapped
//! inside, and access control lists that name ids which are not.

use super::node::UNMAPPED;
use crate::sys::{self, Errno};
use std::ffi::CStr;
use std::os::fd::BorrowedFd;

/// What is taken over from one file to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// The group of the file.
    Group,
    /// Nothing: whether the caller may give files that group, and keep their set-group-ID bits.
    InGroup,
    /// Nothing: whether the other one has the same group.
    SameGroup,
    /// The access control list of the file itself.
    List,
    /// The list that a directory hands down to what is made in it.
    DefaultList,
}

impl Take {
    /// Every kind, to find one by its byte.
    const ALL: [Take; 5] = [Take::Group, Take::InGroup, Take::SameGroup, Take::List, Take::DefaultList];

    /// The byte that stands for it in a message.
    pub fn byte(self) -> u8 {
        match self {
            Take::Group => b'g',
            Take::InGroup => b'i',
            Take::SameGroup => b's',
            Take::List => b'l',
            Take::DefaultList => b'd',
        }
    }

    /// The one that a byte stands for.
    pub fn of(byte: u8) -> Option<Take> {
        Take::ALL.into_iter().find(|take| take.byte() == byte)
    }

    /// The one for an extended attribute; none if that is no access control list.
    pub(super) fn of_attribute(name: &CStr) -> Option<Take> {
        [Take::List, Take::DefaultList].into_iter().find(|take| take.attribute() == Some(name))
    }

    fn attribute(self) -> Option<&'static CStr> {
        match self {
            Take::List => Some(c"system.posix_acl_access"),
            Take::DefaultList => Some(c"system.posix_acl_default"),
            Take::Group | Take::InGroup | Take::SameGroup => None,
        }
    }
}

/// A process that has the caller's ids, and does this for one that has the sandbox's.
pub trait Outside {
    /// Has one file, as open here, given what another one has.
    ///
    /// # Errors
    ///
    /// The caller may not do that (EPERM), or it cannot be done.
    fn take(&self, what: Take, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> sys::Result<()>;
}

/// Gives one file what another one has, with the ids of this process.
///
/// # Errors
///
/// This process may not do that (EPERM), or it cannot be done.
pub fn take(what: Take, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> sys::Result<()> {
    if let Some(name) = what.attribute() {
        let value = sys::attribute_of(from, name)?.ok_or(Errno(libc::ENODATA))?;
        return sys::set_attribute_of(to, name, &value);
    }
    let (has, given) = (sys::owner(from)?, sys::owner(to)?);
    match what {
        Take::Group | Take::SameGroup if has.gid == given.gid => Ok(()),
        Take::Group => sys::chown_of(to, given.uid, has.gid),
        Take::InGroup if sys::ids().1 == has.gid || sys::groups().contains(&has.gid) => Ok(()),
        Take::InGroup if has.gid != UNMAPPED && is_privileged() => Ok(()),
        _ => Err(Errno(libc::EPERM)),
    }
}

/// Whether this process may give files groups that it is not in: CAP_CHOWN and CAP_FSETID (capabilities(7)).
fn is_privileged() -> bool {
    const NEEDED: u64 = 1 << 0 | 1 << 4;
    sys::capabilities().is_ok_and(|(effective, _)| effective & NEEDED == NEEDED)
}

#[cfg(test)]
mod tests {
    use super::Take;

    #[test]
    fn each_has_a_byte_of_its_own() {
        for take in Take::ALL {
            assert_eq!(Take::of(take.byte()), Some(take));
        }
        assert_eq!(Take::of(b'x'), None);
    }
}
