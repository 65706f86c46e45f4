//! Who may write to a directory beside its owner.

use super::accounts::{Account, members};
use crate::sys;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether users other than its owner, root and the caller (`uid`, `gid`) may create files in a directory, as it was looked up. The sticky bit
/// restricts who removes them, and not who makes them. Groups that only a server knows (LDAP) may have any members.
pub(super) fn others_may_write<'a>(
    dir: &Path,
    found: &std::fs::Metadata,
    (uid, gid): (u32, u32),
    accounts: impl FnOnce() -> &'a [Account],
) -> bool {
    if found.mode() & 0o002 != 0 {
        return true;
    }
    // With an access control list, the bits of the group are the most that the list gives to anybody (acl(5)).
    found.mode() & 0o020 != 0
        && (sys::has_attribute(dir, c"system.posix_acl_access") || !is_own_group(found.gid(), (uid, gid), accounts()))
}

/// Whether a group has no members but root or the caller, as the group that many systems make for each user.
fn is_own_group(group: u32, (uid, gid): (u32, u32), accounts: &[Account]) -> bool {
    if group == 0 {
        return true;
    }
    let own = |name: &str| accounts.iter().any(|account| account.uid == uid && account.name == name);
    group == gid
        && !accounts.iter().any(|account| account.gid == group && account.uid != uid)
        && members(Path::new("/etc/group"), group).is_some_and(|names| names.iter().all(|name| own(name)))
}

/// Whether a file belongs to the caller, or may if it cannot be looked up: a program in a sandbox can set the permissions of such a file. It can
/// give none to another of the caller's ids, since it has no capabilities.
pub fn is_of_caller(path: &Path) -> bool {
    path.symlink_metadata().map_or(true, |found| found.uid() == sys::ids().0)
}

/// Whether names can be made in a directory by this user, or by a program of this user's that changes the permissions of what it owns.
pub(super) fn may_come_to_write(dir: &Path) -> bool {
    let own = |found: std::fs::Metadata| found.uid() == sys::ids().0 && found.mode() & 0o300 != 0o300;
    sys::may_write_followed(dir) || dir.metadata().is_ok_and(own)
}

/// Whether it cannot be told what is at a path, since permissions on the way do not let this user look. A program may have set them, and may
/// set them back: what would count if it were there counts.
pub(super) fn is_unknown(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|error| error.raw_os_error() == Some(libc::EACCES))
}
