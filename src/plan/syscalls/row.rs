//! What a row of the table says: a call's names and numbers, its groups, and the rule that each policy starts from.

use super::group::{Group, bits};
use super::table::ROWS;
use super::why::Why;
use serde::Serialize;

/// No such call on that architecture.
pub const NONE: u32 = u32::MAX;

/// An architecture whose calls a filter can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// x86-64, without x32.
    X86_64,
    /// i386, 32-bit programs on x86-64.
    X86,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM with the EABI.
    Arm,
}

impl Arch {
    /// Every one, in the order of a row's numbers.
    pub const ALL: [Arch; 4] = [Arch::X86_64, Arch::X86, Arch::Aarch64, Arch::Arm];

    /// The one that this program was built for.
    pub const NATIVE: Arch = if cfg!(target_arch = "x86_64") { Arch::X86_64 } else { Arch::Aarch64 };

    /// The one whose 32-bit programs the same kernel runs.
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

/// What a policy says of a call before a profile's own entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Allowed.
    Allow,
    /// Known and forbidden: EPERM, or the errno that the policy names.
    Refuse,
    /// ENOSYS, so that programs take another way.
    Absent,
    /// Allowed where nested namespaces are, forbidden elsewhere.
    Nested,
    /// Allowed where mounts in nested namespaces are, forbidden elsewhere.
    Mounts,
    /// It depends.
    Guarded(Guard),
}

/// On what a rule depends: arguments, namespaces, the architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Without nested namespaces no flag that makes a namespace.
    Clone,
    /// The same with unshare(2)'s flags.
    Unshare,
    /// Absent without nested namespaces: the flags cannot be seen.
    Clone3,
    /// Forbidden without nested namespaces: every type names a namespace, and 0 any.
    Setns,
    /// No request that puts input into a terminal.
    Ioctl,
    /// Linux's own execution domain, with the version and machine that uname(2) tells.
    Personality,
    /// Linux's own execution domain and nothing else.
    PlainPersonality,
    /// Everyday families.
    Socket,
    /// Unix sockets, and the Internet's where the sandbox has a network.
    OwnSocket,
    /// Unix sockets.
    Socketpair,
    /// Comparing files (KCMP_FILE).
    Kcmp,
    /// 32-bit x86 alone.
    Ldt,
}

/// The longest name.
const NAME: usize = 28;

/// One system call. It holds no pointer: a static program relocates none of the table when it starts.
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
    /// The reason, where one of them is not plainly allowed.
    pub why: Why,
}

impl Row {
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

    /// Its number there, if it has one.
    pub fn number(&self, arch: Arch) -> Option<u32> {
        let number = self.numbers[arch as usize];
        (number != NONE).then_some(number)
    }

    /// Whether it belongs to the group.
    pub fn is_in(&self, group: Group) -> bool {
        group.0 == bits::KNOWN || self.groups & group.0 != 0
    }

    /// The call of that name.
    pub fn named(name: &str) -> Option<&'static Row> {
        ROWS.binary_search_by(|row| row.name().cmp(name)).ok().map(|at| &ROWS[at])
    }
}
