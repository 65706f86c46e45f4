//! Types of the table's rows: a call's name and numbers, its groups, and the rule that each policy starts from.

use super::group::{Group, bits};
use super::why::Why;
use serde::Serialize;

/// Stands for a number where the architecture has no such call.
pub const NONE: u32 = u32::MAX;

/// An architecture whose calls a filter can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// x86-64, without calls of x32.
    X86_64,
    /// i386, 32-bit programs on x86-64.
    X86,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM with the EABI.
    Arm,
}

impl Arch {
    /// Every architecture, in the order of a row's numbers.
    pub const ALL: [Arch; 4] = [Arch::X86_64, Arch::X86, Arch::Aarch64, Arch::Arm];

    /// The architecture that sbx was built for.
    pub const NATIVE: Arch = if cfg!(target_arch = "x86_64") { Arch::X86_64 } else { Arch::Aarch64 };

    /// The 32-bit architecture whose programs a kernel of this one can run, too.
    pub const fn companion(self) -> Option<Arch> {
        match self {
            Arch::X86_64 => Some(Arch::X86),
            Arch::Aarch64 => Some(Arch::Arm),
            Arch::X86 | Arch::Arm => None,
        }
    }

    /// The kernel's AUDIT_ARCH_ number, which struct seccomp_data carries (seccomp(2)).
    pub const fn audit(self) -> u32 {
        match self {
            Arch::X86_64 => 0xc000_003e,
            Arch::X86 => 0x4000_0003,
            Arch::Aarch64 => 0xc000_00b7,
            Arch::Arm => 0x4000_0028,
        }
    }
}

/// What a policy says of a call before a profile's own entries are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Allowed, whatever the arguments are.
    Allow,
    /// Refused with the policy's errno, EPERM by default.
    Refuse,
    /// Refused with ENOSYS, so that programs fall back to other calls.
    Absent,
    /// Allowed if nested namespaces are, else refused.
    Nested,
    /// Allowed if mounts in nested namespaces are, else refused.
    Mounts,
    /// Decided by arguments, namespaces or the architecture.
    Guarded(Guard),
}

/// How a rule depends on a call's arguments, on nested namespaces or on the architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// clone(2): without nested namespaces, no flag that makes a namespace.
    Clone,
    /// unshare(2): without nested namespaces, no flag that makes a namespace, CLONE_NEWTIME included.
    Unshare,
    /// clone3(2): absent without nested namespaces, since a filter cannot see its flags.
    Clone3,
    /// setns(2): refused without nested namespaces, since every type names a namespace, and 0 any.
    Setns,
    /// ioctl(2): no request that inserts input into a terminal.
    Ioctl,
    /// personality(2): Linux's own execution domain, also with the flags that change what uname(2) gives.
    Personality,
    /// personality(2): Linux's own execution domain, and nothing else.
    PlainPersonality,
    /// socket(2): families of everyday use ([`Families::Everyday`](super::policy::Families::Everyday)).
    Socket,
    /// socket(2): unix sockets, and those of the Internet if the sandbox has a network.
    OwnSocket,
    /// socketpair(2): unix sockets.
    Socketpair,
    /// kcmp(2): comparing files (KCMP_FILE).
    Kcmp,
    /// modify_ldt(2): allowed for 32-bit x86 programs only.
    Ldt,
    /// chmod(2) and its like, and calls that make a file: no set-user-ID or set-group-ID bit in the mode, which is the
    /// argument with this index.
    Mode(u8),
    /// open(2) and openat(2): no such bit in the mode of a file that they make. The flags are the argument with this
    /// index, and the mode follows.
    Open(u8),
    /// openat2(2): absent, since a filter cannot see the mode.
    Openat2,
    /// fcntl(2): no leases.
    Fcntl,
    /// setsockopt(2): with nested namespaces, no options that need CAP_NET_ADMIN in a network namespace.
    Setsockopt,
    /// getsockopt(2): as [`Guard::Setsockopt`].
    Getsockopt,
    /// setrlimit(2): RLIMIT_CORE stays as it is, where the profile sets it.
    Setrlimit,
    /// prlimit(2): as [`Guard::Setrlimit`].
    Prlimit,
    /// setxattr(2) and its like: refused where the program could give a file capabilities that hold outside. A filter
    /// cannot see which attribute is set.
    Xattr,
}

impl Guard {
    /// Whether the guard keeps set-user-ID bits, set-group-ID bits and capabilities off files, which a profile may allow
    /// by a key.
    pub fn is_of_setuid_bits(self) -> bool {
        matches!(self, Guard::Mode(_) | Guard::Open(_) | Guard::Openat2 | Guard::Xattr)
    }
}

/// Bytes of the longest name of a call.
const NAME: usize = 28;

/// A row of the table: one system call. It holds no pointer, so that nothing of the table has to be relocated when sbx
/// starts.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    name: [u8; NAME],
    length: u8,
    numbers: [u32; 4],
    groups: u32,
    /// The rule in the policy `default`.
    pub default: Rule,
    /// The rule in the policy `strict`.
    pub strict: Rule,
    /// The reason, if one of these rules is not [`Rule::Allow`].
    pub why: Why,
}

impl Row {
    /// A row with these numbers, in the order of [`Arch::ALL`], and the bits of its groups.
    pub(super) const fn new(name: &str, numbers: [u32; 4], groups: u32, default: Rule, strict: Rule, why: Why) -> Row {
        let mut letters = [0; NAME];
        let mut i = 0;
        while i < name.len() {
            letters[i] = name.as_bytes()[i];
            i += 1;
        }
        Row { name: letters, length: name.len() as u8, numbers, groups: bits::composed(groups), default, strict, why }
    }

    /// The kernel's name of the call.
    pub fn name(&self) -> &str {
        std::str::from_utf8(&self.name[..usize::from(self.length)]).expect("names are ASCII")
    }

    /// The call's number on this architecture, if it has one.
    pub fn number(&self, arch: Arch) -> Option<u32> {
        let number = self.numbers[arch as usize];
        (number != NONE).then_some(number)
    }

    /// Whether the call belongs to this group.
    pub fn is_in(&self, group: Group) -> bool {
        group.0 == bits::KNOWN || self.groups & group.0 != 0
    }
}
