//! What sbx requires of a host: the kernel's version, user namespaces, settings that allow them.

use crate::error::{Error, Result};
use crate::host::Facts;
use crate::spec::Namespace;
use std::collections::BTreeSet;

/// The oldest kernel that sbx runs on, major and minor: mount_setattr(2) came with 5.12.
pub const KERNEL_FLOOR: (u32, u32) = (5, 12);

/// Checks that this host can run a sandbox at all.
///
/// # Errors
///
/// What the host lacks or forbids, with the fix.
pub(super) fn check(facts: &Facts) -> Result<()> {
    if facts.kernel < KERNEL_FLOOR && facts.kernel != (0, 0) {
        let (major, minor) = facts.kernel;
        let message = format!("Linux {major}.{minor} is too old: mount_setattr(2) came with 5.12");
        return Err(Error::new(message).hint("run a newer kernel; Debian 12 has 6.1"));
    }
    let Some(settings) = &facts.settings else { return Ok(()) };
    if facts.uid != 0 && settings.unprivileged_userns_clone == Some(0) {
        return Err(Error::new(
            "this host lets only root create user namespaces: kernel.unprivileged_userns_clone is 0",
        )
        .hint("as root: sysctl -w kernel.unprivileged_userns_clone=1 (and in /etc/sysctl.d to keep it)"));
    }
    if settings.max_user_namespaces == Some(0) {
        let error = Error::new("this host allows no user namespaces: user.max_user_namespaces is 0");
        return Err(error.hint(if settings.inside {
            "this is the inside of a sandbox or a container, which denies them; one of sbx needs namespaces.nested = \"allow\""
        } else {
            "as root: sysctl -w user.max_user_namespaces=15000 (and in /etc/sysctl.d to keep it)"
        }));
    }
    if !settings.namespaces.is_empty() && !settings.namespaces.iter().any(|name| name == "user") {
        return Err(Error::new("this kernel has no user namespaces (CONFIG_USER_NS)")
            .hint("run a kernel that has them; every distribution's has"));
    }
    Ok(())
}

/// The namespaces of `wanted` that this host's kernel lacks or whose number is limited to 0.
pub(super) fn missing(facts: &Facts, wanted: &BTreeSet<Namespace>) -> Vec<Namespace> {
    // Without /proc nothing is known.
    let known = facts.settings.as_ref().filter(|settings| !settings.namespaces.is_empty());
    let Some(settings) = known else { return Vec::new() };
    let there = |namespace: &Namespace| {
        let none = settings.exhausted.iter().any(|name| name == namespace.word());
        !none && settings.namespaces.iter().any(|name| name == namespace.word())
    };
    wanted.iter().copied().filter(|namespace| !there(namespace)).collect()
}

/// The hint on how to give sbx user namespaces where AppArmor restricts them.
pub const APPARMOR: &str =
    "as root, give sbx a profile: `profile sbx /usr/bin/sbx flags=(unconfined) { userns, }` in /etc/apparmor.d/sbx";
