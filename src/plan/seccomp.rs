//! Turns what a profile says of system calls into a policy; and makes the small filter for where everything else is
//! allowed.
//!
//! The small filter refuses two things. Input pushed into a terminal: ioctl(2)'s TIOCSTI types as if the user had, and
//! TIOCLINUX pastes; a program that shares the caller's terminal would run commands in the caller's shell with either.
//! And the kernel's keys: the user's own keyrings are reached by the user's id, which the sandbox has, whatever session
//! keyring it is given (keyrings(7)).

use super::CapabilityPlan;
use super::bpf::{
    ALLOW, ANY_BIT, ARCH, EQUAL, ERRNO, LOAD, NEGATIVE, NUMBER, RETURN, TIOCLINUX, TIOCSTI, X32, argument, op,
};
use super::syscalls::{Arch, Base, Decision, Entry, Policy, decide};
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::spec::{Filter, Origin, Sandbox, User};
use crate::sys::BpfProgram;

/// The bit of CAP_SYS_CHROOT in a set of capabilities.
const CHROOT: u64 = 1 << caps::Capability::CAP_SYS_CHROOT as u8;
/// The bit of CAP_SYS_ADMIN in a set of capabilities.
const ADMIN: u64 = 1 << caps::Capability::CAP_SYS_ADMIN as u8;

/// The bit of CAP_NET_ADMIN in a set of capabilities.
const NET_ADMIN: u64 = 1 << caps::Capability::CAP_NET_ADMIN as u8;

/// Makes the policy of a profile.
///
/// # Errors
///
/// The profile names an unknown call or architecture, or denies the call that executes the program.
pub(super) fn policy(sandbox: &Sandbox, facts: &Facts, capabilities: CapabilityPlan) -> Result<Policy> {
    let mut policy = asked(sandbox)?;
    // A capability that the program holds is of no use without the calls that need it.
    if capabilities.ambient & ADMIN != 0 {
        policy.allow.extend("@mount".parse::<Entry>());
    }
    if capabilities.ambient & (ADMIN | CHROOT) != 0 {
        policy.allow.extend("chroot".parse::<Entry>());
    }
    policy.nested = sandbox.namespaces.nested;
    policy.mounts = sandbox.namespaces.mounts;
    policy.network = sandbox.network.reaches_out();
    policy.net_admin = capabilities.ambient & NET_ADMIN != 0;
    policy.setuid_bits = sandbox.security.setuid_bits;
    // The kernel lets nobody map id 0 again without CAP_SETFCAP. Under another id, root can be mapped as root of a nested
    // namespace; what that namespace gives files holds outside, since its root is the host's.
    let another_id = matches!(sandbox.process.user, User::Ids { uid, .. } | User::Single { uid, .. } if uid != 0);
    policy.file_capabilities = facts.uid == 0 && another_id && sandbox.namespaces.nested;
    policy.keeps_core_limit = sandbox.rlimits.iter().any(|limit| limit.name == "core" && limit.soft == Some(1));
    Ok(policy)
}

/// What a profile says of system calls, whatever the host is.
///
/// # Errors
///
/// As those of [`policy`].
pub(super) fn asked(sandbox: &Sandbox) -> Result<Policy> {
    let wanted = &sandbox.security.syscalls;
    let mut policy = Policy::new(match sandbox.security.filter {
        Filter::Strict => Base::Strict,
        Filter::Off => Base::Off,
        Filter::Default | Filter::Terminal => Base::Default,
    });
    let entries = |list: &[(String, Origin)]| list.iter().map(entry).collect::<Result<Vec<_>>>();
    policy.allow = entries(&wanted.allow)?;
    policy.deny = entries(&wanted.deny)?;
    policy.errno = wanted.errno;
    if !wanted.arch.is_empty() {
        policy.arches = wanted.arch.iter().map(arch).collect::<Result<_>>()?;
    }
    // The filter is loaded before the program is executed, so it must allow that call.
    for name in ["execve", "execveat"] {
        let needed = name == "execve" || sandbox.process.program_fd.is_some();
        if needed && !matches!(decide(&policy, name), Ok(Decision::Allow)) {
            let origin = wanted.deny.first().map(|(_, origin)| origin.clone()).unwrap_or_default();
            return Err(Error::new(format!("no program can be started where {name} is denied"))
                .origin(&origin)
                .hint("take it, or its group, out of security.syscalls.deny"));
        }
    }
    Ok(policy)
}

/// Parses an entry of `security.syscalls`.
fn entry((text, origin): &(String, Origin)) -> Result<Entry> {
    text.parse().map_err(|unknown: super::syscalls::Unknown| {
        let hint = "names are those of syscalls(2), groups those of `systemd-analyze syscall-filter`";
        Error::new(unknown.to_string()).origin(origin).hint(hint)
    })
}

/// Parses an entry of `security.arch`.
fn arch((text, origin): &(String, Origin)) -> Result<Arch> {
    let companion = Arch::NATIVE.companion();
    let word = if cfg!(target_arch = "x86_64") { "x86" } else { "arm" };
    match (text.as_str(), companion) {
        ("native", _) => Ok(Arch::NATIVE),
        (text, Some(companion)) if text == word => Ok(companion),
        _ => Err(Error::new(format!("`{text}` is no architecture of this machine's kernel"))
            .origin(origin)
            .hint(format!("`native`, and `{word}` for programs of 32 bits"))),
    }
}

const FIRST_ARGUMENT: u32 = argument(0);
const SECOND_ARGUMENT: u32 = argument(1);

/// Numbers of the calls that the small filter looks at, on one architecture.
struct Calls {
    /// AUDIT_ARCH_ number of the architecture.
    arch: u32,
    ioctl: &'static [u32],
    /// Numbers of add_key, request_key and keyctl.
    keys: &'static [u32],
}

/// The architectures that this machine's kernel accepts calls of. x32 has an ioctl of its own.
const CALLS: &[Calls] = if cfg!(target_arch = "x86_64") {
    &[
        Calls {
            arch: Arch::X86_64.audit(),
            ioctl: &[16, X32 | 514, X32 | 16],
            keys: &[248, 249, 250, X32 | 248, X32 | 249, X32 | 250],
        },
        Calls { arch: Arch::X86.audit(), ioctl: &[54], keys: &[286, 287, 288] },
    ]
} else {
    &[
        Calls { arch: Arch::Aarch64.audit(), ioctl: &[29], keys: &[217, 218, 219] },
        Calls { arch: Arch::Arm.audit(), ioctl: &[54], keys: &[309, 310, 311] },
    ]
};

/// The filter that refuses with EPERM TIOCSTI, TIOCLINUX and the calls on keys, and allows everything else. It ignores
/// the upper half of an ioctl's request, as the kernel does (CVE-2019-10063). It is short, since each start compiles
/// it.
pub fn filter() -> BpfProgram {
    refusing(true)
}

/// As [`filter`], but for TIOCSTI and TIOCLINUX only: calls on keys are allowed.
pub fn terminal() -> BpfProgram {
    refusing(false)
}

/// The filter of [`filter`] or [`terminal`].
fn refusing(keys: bool) -> BpfProgram {
    // The end of the filter, to which all jumps lead: check the request of an ioctl, refuse, allow.
    let end = [
        op(LOAD, 0, 0, SECOND_ARGUMENT),
        op(EQUAL, 1, 0, TIOCSTI),
        op(EQUAL, 0, 3, TIOCLINUX),
        // A negative descriptor: allowed, since programs test for the kernel's own error (EBADF).
        op(LOAD, 0, 0, FIRST_ARGUMENT),
        op(ANY_BIT, 1, 0, NEGATIVE),
        op(RETURN, 0, 0, ERRNO | libc::EPERM as u32),
        op(RETURN, 0, 0, ALLOW),
    ];
    const REFUSE: usize = 5;
    let keys = |calls: &Calls| if keys { calls.keys } else { &[] };
    let length = |calls: &Calls| calls.ioctl.len() + keys(calls).len() + 3;
    let total: usize = 2 + CALLS.iter().map(length).sum::<usize>();
    let mut filter = vec![op(LOAD, 0, 0, ARCH)];
    for calls in CALLS {
        // If it is another architecture, skip to the next group.
        filter.push(op(EQUAL, 0, (length(calls) - 1) as u8, calls.arch));
        filter.push(op(LOAD, 0, 0, NUMBER));
        for number in calls.ioctl {
            filter.push(op(EQUAL, (total - filter.len() - 1) as u8, 0, *number));
        }
        for number in keys(calls) {
            filter.push(op(EQUAL, (total + REFUSE - filter.len() - 1) as u8, 0, *number));
        }
        filter.push(op(RETURN, 0, 0, ALLOW));
    }
    // Not an architecture that this kernel knows.
    filter.push(op(RETURN, 0, 0, ALLOW));
    filter.extend(end);
    filter
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::sock_filter;

    /// Runs a filter as the kernel would, on a call whose first argument is descriptor 3, and gives the verdict.
    fn run(filter: &[sock_filter], arch: u32, number: u32, second: u64) -> u32 {
        run_on(filter, arch, number, 3, second)
    }

    /// As [`run`], with any first argument.
    fn run_on(filter: &[sock_filter], arch: u32, number: u32, first: i32, second: u64) -> u32 {
        let mut accumulator = 0;
        let mut at = 0;
        loop {
            let i = &filter[at];
            at += 1;
            match i.code {
                LOAD => {
                    accumulator = match i.k {
                        NUMBER => number,
                        ARCH => arch,
                        FIRST_ARGUMENT => first as u32,
                        SECOND_ARGUMENT => second as u32,
                        _ => panic!("offset {}", i.k),
                    }
                }
                EQUAL => at += usize::from(if accumulator == i.k { i.jt } else { i.jf }),
                ANY_BIT => at += usize::from(if accumulator & i.k != 0 { i.jt } else { i.jf }),
                RETURN => return i.k,
                code => panic!("code {code}"),
            }
        }
    }

    #[test]
    fn pushed_input_is_refused_on_every_architecture_and_whatever_the_upper_half_is() {
        let filter = filter();
        for (arch, number) in CALLS.iter().flat_map(|calls| calls.ioctl.iter().map(move |number| (calls.arch, number)))
        {
            for request in [TIOCSTI, TIOCLINUX] {
                for upper in [0, 1 << 32, u64::MAX << 32] {
                    let verdict = run(&filter, arch, *number, upper | u64::from(request));
                    assert_eq!(verdict, ERRNO | 1, "{arch:x} {number} {request:x}");
                }
            }
        }
    }

    #[test]
    fn a_descriptor_that_cannot_be_is_the_kernels_matter() {
        for filter in [filter(), terminal()] {
            let ioctl = CALLS[0].ioctl[0];
            assert_eq!(run_on(&filter, CALLS[0].arch, ioctl, -1, TIOCSTI.into()), ALLOW);
            assert_eq!(run_on(&filter, CALLS[0].arch, ioctl, 0, TIOCSTI.into()), ERRNO | 1);
        }
        assert_eq!(run(&terminal(), CALLS[0].arch, CALLS[0].keys[0], 0), ALLOW, "keys are left alone there");
    }

    #[test]
    fn keys_are_refused_on_every_architecture() {
        let filter = filter();
        for (arch, number) in CALLS.iter().flat_map(|calls| calls.keys.iter().map(move |number| (calls.arch, number))) {
            assert_eq!(run(&filter, arch, *number, 0), ERRNO | 1, "{arch:x} {number}");
        }
    }

    #[test]
    fn everything_else_is_allowed() {
        let filter = filter();
        for calls in CALLS {
            assert_eq!(run(&filter, calls.arch, calls.ioctl[0], 0x5401), ALLOW, "TCGETS");
            for number in 0..600 {
                let filtered = calls.keys.contains(&number);
                assert_eq!(run(&filter, calls.arch, number, 0) == ALLOW, !filtered, "{:x} {number}", calls.arch);
            }
        }
        assert_eq!(run(&filter, 0x1234, 16, u64::from(TIOCSTI)), ALLOW, "another architecture");
    }
}
