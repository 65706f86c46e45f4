//! A policy for system calls as plain data, and what it decides for each row of the table.
//!
//! If a profile both allows and denies a call, the more specific entry wins: a name wins over a group, and on a tie the
//! denial wins. Allowing a name also lifts every check of the call's arguments. Allowing a group does not: it lifts
//! refusals, and leaves guarded calls as the policy `default` has them, since `@process` must not allow namespaces, nor
//! `@network-io` every family of sockets.

use super::group::Group;
use super::row::{Arch, Guard, Row, Rule};
use super::table::ROWS;
use crate::profile::schema::nearest;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The rules that a policy starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// Rules that everyday programs work with.
    Default,
    /// Rules for small tools, which need few calls.
    Strict,
    /// Everything that the profile does not deny is allowed.
    Off,
}

impl Base {
    /// The base's word in the profile language.
    pub fn word(self) -> &'static str {
        match self {
            Base::Default => "default",
            Base::Strict => "strict",
            Base::Off => "off",
        }
    }
}

/// Which system calls the program may make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// The rules that it starts from.
    pub base: Base,
    /// Whether the program may make and enter nested namespaces.
    pub nested: bool,
    /// Whether the program may mount filesystems in nested namespaces.
    pub mounts: bool,
    /// Whether the profile gives CAP_NET_ADMIN, which is for options of sockets that change a network namespace.
    pub net_admin: bool,
    /// Whether the sandbox has a network. Without one, `strict` allows unix sockets only.
    pub network: bool,
    /// Whether files may be given set-user-ID bits, set-group-ID bits and capabilities. If not, no base allows it.
    pub setuid_bits: bool,
    /// Whether a program that is root in a nested namespace could give files capabilities that hold outside
    /// (capabilities(7), "Namespaced file capabilities").
    pub file_capabilities: bool,
    /// Whether RLIMIT_CORE stays as the profile sets it. Only at 1 it keeps core dumps from a handler program outside
    /// (core(5)), and a program may lower it otherwise.
    pub keeps_core_limit: bool,
    /// Calls and groups that the profile allows besides.
    pub allow: Vec<Entry>,
    /// Calls and groups that the profile denies.
    pub deny: Vec<Entry>,
    /// The errno of refused calls, below 4096. Calls that are to look absent give ENOSYS all the same.
    pub errno: u16,
    /// Architectures whose calls are accepted. Calls of every other, and of x32, give ENOSYS.
    pub arches: Vec<Arch>,
}

impl Policy {
    /// A policy with this base and nothing added: native programs, a network, no nested namespaces, no set-user-ID
    /// bits, EPERM.
    pub fn new(base: Base) -> Policy {
        Policy {
            base,
            nested: false,
            mounts: false,
            net_admin: false,
            network: true,
            setuid_bits: false,
            file_capabilities: false,
            keeps_core_limit: false,
            allow: Vec::new(),
            deny: Vec::new(),
            errno: libc::EPERM as u16,
            arches: vec![Arch::NATIVE],
        }
    }

    /// Decides a call on this architecture.
    pub fn decide(&self, row: &Row, arch: Arch) -> Decision {
        let (denied, allowed) = (Named::find(&self.deny, row), Named::find(&self.allow, row));
        if denied != Named::No && denied >= allowed || self.denied_within(row) && allowed != Named::Call {
            return self.denied(row, arch);
        }
        match (allowed, self.base) {
            // Input for the caller's shell is nobody's to allow.
            (Named::Call, _) if row.default == Rule::Guarded(Guard::Ioctl) => Decision::Check(Check::Ioctl),
            (Named::Call, _) => Decision::Allow,
            (_, Base::Off) => match row.default {
                Rule::Guarded(guard) if guard.is_of_setuid_bits() => self.guarded(guard, arch),
                _ => Decision::Allow,
            },
            (Named::Group, _) => self.loosened(row, arch),
            (Named::No, Base::Default) => self.apply(row.default, arch),
            (Named::No, Base::Strict) => self.apply(row.strict, arch),
        }
    }

    /// Whether this call is a multiplexer, socketcall(2) or ipc(2), that could make a call which is denied by its name.
    /// It is denied as a whole then, since a filter cannot tell which call it makes.
    fn denied_within(&self, row: &Row) -> bool {
        // This runs for each call at each start; comparing names is slow.
        if self.deny.is_empty() {
            return false;
        }
        let members: &[&str] = match row.name() {
            "socketcall" => &[
                "socket",
                "bind",
                "connect",
                "listen",
                "accept",
                "accept4",
                "getsockname",
                "getpeername",
                "socketpair",
                "send",
                "recv",
                "sendto",
                "recvfrom",
                "shutdown",
                "setsockopt",
                "getsockopt",
                "sendmsg",
                "recvmsg",
                "sendmmsg",
                "recvmmsg",
            ],
            "ipc" => &[
                "semop",
                "semget",
                "semctl",
                "semtimedop",
                "msgsnd",
                "msgrcv",
                "msgget",
                "msgctl",
                "shmat",
                "shmdt",
                "shmget",
                "shmctl",
            ],
            _ => return false,
        };
        self.deny.iter().any(|entry| matches!(entry, Entry::Call(call) if members.contains(&call.name())))
    }

    /// The decision for a number that no row has.
    pub fn unknown(&self) -> Decision {
        match self.base {
            Base::Off => Decision::Allow,
            Base::Default | Base::Strict => Decision::ABSENT,
        }
    }

    /// The architectures whose calls the filter accepts: those listed, and with [`Base::Off`] all whose programs the
    /// kernel runs.
    pub fn covered(&self) -> Vec<Arch> {
        let companions = self.arches.iter().filter_map(|arch| arch.companion()).filter(|_| self.base == Base::Off);
        let mut covered = Vec::new();
        for arch in self.arches.iter().copied().chain(companions) {
            if !covered.contains(&arch) {
                covered.push(arch);
            }
        }
        covered
    }

    /// Decides a call by a rule.
    fn apply(&self, rule: Rule, arch: Arch) -> Decision {
        match rule {
            Rule::Allow => Decision::Allow,
            Rule::Refuse => self.refusal(),
            Rule::Absent => Decision::ABSENT,
            Rule::Nested if self.nested => Decision::Allow,
            Rule::Mounts if self.mounts => Decision::Allow,
            Rule::Nested | Rule::Mounts => self.refusal(),
            Rule::Guarded(guard) => self.guarded(guard, arch),
        }
    }

    /// Decides a guarded call.
    fn guarded(&self, guard: Guard, arch: Arch) -> Decision {
        let fixed_addresses = || self.allow.iter().any(Entry::allows_tracing);
        match guard {
            Guard::Clone | Guard::Unshare | Guard::Clone3 | Guard::Setns if self.nested => Decision::Allow,
            Guard::Clone => Decision::Check(Check::Without { argument: 0, bits: NAMESPACES }),
            Guard::Unshare => Decision::Check(Check::Without { argument: 0, bits: NAMESPACES | NEWTIME }),
            Guard::Clone3 => Decision::ABSENT,
            Guard::Setns => self.refusal(),
            Guard::Ioctl => Decision::Check(Check::Ioctl),
            Guard::Personality => {
                Decision::Check(Check::Personality { uname: true, fixed_addresses: fixed_addresses() })
            }
            Guard::PlainPersonality => {
                Decision::Check(Check::Personality { uname: false, fixed_addresses: fixed_addresses() })
            }
            Guard::Socket => Decision::Check(Check::Socket(Families::Everyday)),
            Guard::OwnSocket if self.network => Decision::Check(Check::Socket(Families::Internet)),
            Guard::OwnSocket => Decision::Check(Check::Socket(Families::Unix)),
            Guard::Socketpair => Decision::Check(Check::Socketpair),
            Guard::Kcmp => Decision::Check(Check::Kcmp),
            Guard::Ldt if arch == Arch::X86 => Decision::Allow,
            Guard::Ldt => self.refusal(),
            guard if guard.is_of_setuid_bits() && self.setuid_bits => Decision::Allow,
            Guard::Fcntl => Decision::Check(Check::Fcntl),
            Guard::Setsockopt | Guard::Getsockopt if !self.nested || self.net_admin => Decision::Allow,
            Guard::Setsockopt => Decision::Check(Check::Sockopt { reads: false }),
            Guard::Getsockopt => Decision::Check(Check::Sockopt { reads: true }),
            Guard::Setrlimit | Guard::Prlimit if !self.keeps_core_limit => Decision::Allow,
            Guard::Setrlimit => Decision::Check(Check::Setrlimit),
            Guard::Prlimit => Decision::Check(Check::Prlimit),
            Guard::Xattr if !self.file_capabilities => Decision::Allow,
            Guard::Xattr => Decision::Errno(libc::EOPNOTSUPP as u16),
            Guard::Mode(argument) => Decision::Check(Check::Without { argument, bits: SETUID_BITS }),
            Guard::Open(flags) => Decision::Check(Check::Mode { flags }),
            Guard::Openat2 => Decision::ABSENT,
        }
    }

    /// Decides a call of a group that the profile allows.
    fn loosened(&self, row: &Row, arch: Arch) -> Decision {
        match row.default {
            Rule::Guarded(Guard::Kcmp) if self.allow.contains(&Entry::Group(Group::DEBUG)) => Decision::Allow,
            Rule::Guarded(guard) => self.guarded(guard, arch),
            Rule::Allow | Rule::Refuse | Rule::Absent | Rule::Nested | Rule::Mounts => Decision::Allow,
        }
    }

    /// Decides a call that the profile denies. If the base refuses it anyway, it keeps that errno, so that libraries
    /// fall back as they would; clone3 is always absent, since they fall back from it only on ENOSYS; so is openat2.
    fn denied(&self, row: &Row, arch: Arch) -> Decision {
        let rule = match self.base {
            _ if matches!(row.default, Rule::Guarded(Guard::Clone3 | Guard::Openat2)) => Rule::Absent,
            Base::Default => row.default,
            Base::Strict => row.strict,
            Base::Off => Rule::Refuse,
        };
        match self.apply(rule, arch) {
            Decision::Errno(errno) => Decision::Errno(errno),
            Decision::Allow | Decision::Check(_) => self.refusal(),
        }
    }

    /// The refusal with the policy's errno.
    fn refusal(&self) -> Decision {
        Decision::Errno(self.errno)
    }
}

/// How specifically a list of entries names a call, from not at all to by its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    No,
    Group,
    Call,
}

impl Named {
    /// The most specific way in which an entry names this call.
    fn find(entries: &[Entry], row: &Row) -> Named {
        let how = |entry: &Entry| match entry {
            Entry::Call(call) if std::ptr::eq(*call, row) => Named::Call,
            Entry::Group(group) if row.is_in(*group) => Named::Group,
            _ => Named::No,
        };
        entries.iter().map(how).max().unwrap_or(Named::No)
    }
}

/// A call or a group, as a profile names it.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// One call, by its name.
    Call(&'static Row),
    /// All calls of a group, as `@NAME`.
    Group(Group),
}

impl Entry {
    /// Whether a program that is allowed this may trace others, and so may switch off what keeps the addresses of their
    /// memory secret: debuggers and sanitizers want the same addresses in each run.
    fn allows_tracing(&self) -> bool {
        match self {
            Entry::Call(row) => row.name() == "ptrace",
            Entry::Group(group) => *group == Group::DEBUG,
        }
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        match (self, other) {
            (Entry::Call(a), Entry::Call(b)) => std::ptr::eq(*a, *b),
            (Entry::Group(a), Entry::Group(b)) => a == b,
            (Entry::Call(_), Entry::Group(_)) | (Entry::Group(_), Entry::Call(_)) => false,
        }
    }
}

impl Eq for Entry {}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Call(row) => f.write_str(row.name()),
            Entry::Group(group) => group.fmt(f),
        }
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The error for a word that names neither a call nor a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The word that was not found.
    pub word: String,
    /// The name that was probably meant.
    pub near: Option<&'static str>,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.word.starts_with('@') { "group of system calls" } else { "system call" };
        write!(f, "unknown {kind} `{}`", self.word)?;
        self.near.map_or(Ok(()), |near| write!(f, "; did you mean `{near}`?"))
    }
}

impl FromStr for Entry {
    type Err = Unknown;

    fn from_str(word: &str) -> Result<Entry, Unknown> {
        let entry = if word.starts_with('@') {
            Group::named(word).map(Entry::Group)
        } else {
            Row::named(word).map(Entry::Call)
        };
        entry.ok_or_else(|| Unknown {
            word: word.to_owned(),
            near: if word.starts_with('@') { nearest(word, Group::names()) } else { nearest(word, names()) },
        })
    }
}

/// The names of all calls.
fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(Row::name)
}

/// What the filter does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The call is made.
    Allow,
    /// The call fails with this errno.
    Errno(u16),
    /// The call's arguments decide.
    Check(Check),
}

impl Decision {
    /// ENOSYS: the call fails as if the kernel did not have it.
    pub const ABSENT: Decision = Decision::Errno(libc::ENOSYS as u16);
    /// The call does nothing, and succeeds.
    pub const NOTHING: Decision = Decision::Errno(0);
}

/// A check of a call's arguments. A call that fails it gets the policy's errno, unless another is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The argument has none of these bits. Only its lower half counts: the kernel ignores the upper one, or refuses
    /// bits in it.
    Without {
        /// Index of the argument, from 0.
        argument: u8,
        /// The bits.
        bits: u32,
    },
    /// The call makes no file, or one whose mode has no set-user-ID and set-group-ID bits. The mode follows the flags.
    Mode {
        /// Index of the argument that has the flags of open(2).
        flags: u8,
    },
    /// The second argument is not TIOCSTI or TIOCLINUX, or the first is negative and thus no descriptor.
    Ioctl,
    /// The first argument is a harmless execution domain, or asks for the one in force.
    Personality {
        /// Whether domains are allowed in which uname(2) gives a 32-bit machine, or Linux 2.6.
        uname: bool,
        /// Whether the randomization of addresses may be switched off (ADDR_NO_RANDOMIZE).
        fixed_addresses: bool,
    },
    /// The first argument is one of these families, else EAFNOSUPPORT; for another protocol of netlink(7)
    /// EPROTONOSUPPORT.
    Socket(Families),
    /// The first argument is AF_UNIX, else EAFNOSUPPORT.
    Socketpair,
    /// The third argument is KCMP_FILE.
    Kcmp,
    /// The second argument is not F_SETLEASE or F_SETDELEG.
    Fcntl,
    /// The level and the option, the second and the third argument, are none that need CAP_NET_ADMIN in a network
    /// namespace.
    Sockopt {
        /// Whether the option is read.
        reads: bool,
    },
    /// The first argument is not RLIMIT_CORE; if it is, the call does nothing and succeeds: a program that wants no core
    /// dumps has none.
    Setrlimit,
    /// The second argument is not RLIMIT_CORE, or the third is null: nothing is set. Otherwise the call does nothing and
    /// succeeds if the fourth is null, since nothing is asked for either.
    Prlimit,
}

/// Families of sockets that the program may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// unix(7) only.
    Unix,
    /// unix(7), ip(7), ipv6(7), and rtnetlink(7), by which the C library lists interfaces.
    Internet,
    /// The families of [`Families::Internet`], and netlink's events of devices, which udev's library listens to
    /// (gamepads, USB).
    Everyday,
}

/// The flags of clone(2) and unshare(2) that make namespaces, without CLONE_NEWTIME.
const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;
/// Bits of a mode that give a file's rights to whoever executes it: set-user-ID and set-group-ID (inode(7)).
pub(super) const SETUID_BITS: u32 = libc::S_ISUID | libc::S_ISGID;
/// CLONE_NEWTIME, a flag of unshare(2) only: in the flags of clone(2), this bit belongs to the number of a signal.
const NEWTIME: u32 = 0x80;

/// Decides the call of this name on the native architecture.
///
/// # Errors
///
/// There is no such call.
pub fn decide(policy: &Policy, name: &str) -> Result<Decision, Unknown> {
    match Entry::from_str(name)? {
        Entry::Call(row) => Ok(policy.decide(row, Arch::NATIVE)),
        Entry::Group(_) => Err(Unknown { word: name.to_owned(), near: None }),
    }
}

/// The names of the calls by which this policy lets a file be given set-user-ID bits, set-group-ID bits or capabilities.
pub fn giving_setuid_bits(policy: &Policy) -> Vec<&'static str> {
    let gives = |row: &Row| policy.covered().iter().any(|arch| policy.decide(row, *arch) == Decision::Allow);
    let guarded = |row: &&Row| match row.default {
        Rule::Guarded(Guard::Xattr) => policy.file_capabilities,
        Rule::Guarded(guard) => guard.is_of_setuid_bits(),
        _ => false,
    };
    ROWS.iter().filter(guarded).filter(|row| gives(row)).map(Row::name).collect()
}

/// Whether no call lets a program change RLIMIT_CORE by this policy.
pub fn keeps_core_limit(policy: &Policy) -> bool {
    let guards = [Guard::Setrlimit, Guard::Prlimit].map(Rule::Guarded);
    let kept = |row: &Row| policy.covered().iter().all(|arch| policy.decide(row, *arch) != Decision::Allow);
    ROWS.iter().filter(|row| guards.contains(&row.default)).all(kept)
}

/// A call that a policy does not allow, or only with some arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The call's name.
    pub name: &'static str,
    /// What the filter does with it.
    pub decision: Decision,
    /// Why it is not allowed, in one line.
    pub why: &'static str,
}

/// The names of the calls that a policy allows on this architecture whatever their arguments are.
pub fn allowed(policy: &Policy, arch: Arch) -> impl Iterator<Item = &'static str> {
    let here = ROWS.iter().filter(move |row| row.number(arch).is_some());
    here.filter(move |row| policy.decide(row, arch) == Decision::Allow).map(Row::name)
}

/// The calls that a policy does not allow on this architecture, or only with some arguments, sorted by name.
pub fn refusals(policy: &Policy, arch: Arch) -> Vec<Refusal> {
    let without = Policy { deny: Vec::new(), ..policy.clone() };
    let here = ROWS.iter().filter(|row| row.number(arch).is_some());
    here.filter_map(|row| {
        let decision = policy.decide(row, arch);
        let why = if without.decide(row, arch) == decision { row.why.text() } else { "denied by the profile" };
        (decision != Decision::Allow).then_some(Refusal { name: row.name(), decision, why })
    })
    .collect()
}
