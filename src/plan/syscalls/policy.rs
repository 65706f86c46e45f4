//! A policy as plain data, and what it makes of each row of the table.
//!
//! What a profile allows and denies is weighed as everything in a profile is: a name is more specific than a group and
//! wins over it; on a tie the denial wins. A name lifts every check on the call's arguments. A group does not: it lifts
//! refusals, and leaves what is guarded as the policy `default` has it, since `@process` must not open the namespaces
//! nor `@network-io` every family.

use super::group::Group;
use super::row::{Arch, Guard, Row, Rule};
use super::table::ROWS;
use crate::profile::schema::nearest;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// What a policy starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// Everyday programs.
    Default,
    /// Tools that need little.
    Strict,
    /// Everything is allowed that is not denied.
    Off,
}

impl Base {
    /// The word of the profile language.
    pub fn word(self) -> &'static str {
        match self {
            Base::Default => "default",
            Base::Strict => "strict",
            Base::Off => "off",
        }
    }
}

/// Which system calls may be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// What it starts from.
    pub base: Base,
    /// Whether namespaces may be made and used inside.
    pub nested: bool,
    /// And mounts made in them.
    pub mounts: bool,
    /// Whether there is a network; without one `strict` has unix sockets alone.
    pub network: bool,
    /// What is allowed besides.
    pub allow: Vec<Entry>,
    /// What is denied besides.
    pub deny: Vec<Entry>,
    /// The errno of what is known and forbidden, below 4096. Calls that are to look absent give ENOSYS whatever it is.
    pub errno: u16,
    /// Whose calls are taken. Those of every other architecture, and of x32, give ENOSYS.
    pub arches: Vec<Arch>,
}

impl Policy {
    /// That base with nothing added: native programs, a network, no nested namespaces, EPERM.
    pub fn new(base: Base) -> Policy {
        Policy {
            base,
            nested: false,
            mounts: false,
            network: true,
            allow: Vec::new(),
            deny: Vec::new(),
            errno: libc::EPERM as u16,
            arches: vec![Arch::NATIVE],
        }
    }

    /// What becomes of a call on that architecture.
    pub fn decide(&self, row: &Row, arch: Arch) -> Decision {
        let (denied, allowed) = (Named::find(&self.deny, row), Named::find(&self.allow, row));
        if denied != Named::No && denied >= allowed || self.denied_within(row) && allowed != Named::Call {
            return self.denied(row, arch);
        }
        match (allowed, self.base) {
            (Named::Call, _) | (_, Base::Off) => Decision::Allow,
            (Named::Group, _) => self.loosened(row, arch),
            (Named::No, Base::Default) => self.apply(row.default, arch),
            (Named::No, Base::Strict) => self.apply(row.strict, arch),
        }
    }

    /// Whether a call that is denied by its name is one that this one makes, too: which, lies behind a pointer or in an
    /// argument.
    fn denied_within(&self, row: &Row) -> bool {
        // Asked for each call at each start, and answered without its name where nothing is denied.
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

    /// What becomes of a number that no row has.
    pub fn unknown(&self) -> Decision {
        match self.base {
            Base::Off => Decision::Allow,
            Base::Default | Base::Strict => Decision::ABSENT,
        }
    }

    /// The architectures that the filter takes calls of: those listed, and where everything is allowed that is not
    /// denied, all that the kernel takes.
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

    fn guarded(&self, guard: Guard, arch: Arch) -> Decision {
        let fixed_addresses = || self.allow.contains(&Entry::Group(Group::DEBUG));
        match guard {
            Guard::Clone | Guard::Unshare | Guard::Clone3 | Guard::Setns if self.nested => Decision::Allow,
            Guard::Clone => Decision::Check(Check::Without(NAMESPACES)),
            Guard::Unshare => Decision::Check(Check::Without(NAMESPACES | NEWTIME)),
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
        }
    }

    /// A row of a group that is allowed.
    fn loosened(&self, row: &Row, arch: Arch) -> Decision {
        match row.default {
            Rule::Guarded(Guard::Kcmp) if self.allow.contains(&Entry::Group(Group::DEBUG)) => Decision::Allow,
            Rule::Guarded(guard) => self.guarded(guard, arch),
            Rule::Allow | Rule::Refuse | Rule::Absent | Rule::Nested | Rule::Mounts => Decision::Allow,
        }
    }

    /// What is refused anyway keeps its errno, so that libraries fall back as they would. clone3 is one that they fall
    /// back from.
    fn denied(&self, row: &Row, arch: Arch) -> Decision {
        let rule = match self.base {
            _ if row.default == Rule::Guarded(Guard::Clone3) => Rule::Absent,
            Base::Default => row.default,
            Base::Strict => row.strict,
            Base::Off => Rule::Refuse,
        };
        match self.apply(rule, arch) {
            Decision::Errno(errno) => Decision::Errno(errno),
            Decision::Allow | Decision::Check(_) => self.refusal(),
        }
    }

    fn refusal(&self) -> Decision {
        Decision::Errno(self.errno)
    }
}

/// How specifically a list has a row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    No,
    Group,
    Call,
}

impl Named {
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
    /// One call.
    Call(&'static Row),
    /// All calls of a group.
    Group(Group),
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

/// A word that is neither a call nor a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The word.
    pub word: String,
    /// What was probably meant.
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

fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(Row::name)
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is made.
    Allow,
    /// It fails with this errno.
    Errno(u16),
    /// Its arguments decide.
    Check(Check),
}

impl Decision {
    /// ENOSYS: as if the kernel did not have it.
    pub const ABSENT: Decision = Decision::Errno(libc::ENOSYS as u16);
}

/// What is looked at in a call's arguments. What fails the check gets the policy's errno, where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The first has none of these bits. Only its lower half counts: the kernel takes no more, or refuses more.
    Without(u32),
    /// The second is not TIOCSTI or TIOCLINUX, or the first is no descriptor.
    Ioctl,
    /// The first is an execution domain that changes nothing that matters, or asks for the one in force.
    Personality {
        /// Whether uname(2) may tell of a 32-bit machine, or of Linux 2.6.
        uname: bool,
        /// Whether addresses may be left where they are (ADDR_NO_RANDOMIZE).
        fixed_addresses: bool,
    },
    /// The first is a family of these; EAFNOSUPPORT elsewhere, EPROTONOSUPPORT for another protocol of netlink(7).
    Socket(Families),
    /// The first is AF_UNIX; EAFNOSUPPORT elsewhere.
    Socketpair,
    /// The third is KCMP_FILE.
    Kcmp,
}

/// Families of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// unix(7).
    Unix,
    /// That, ip(7), ipv6(7), and rtnetlink(7), from which the C library learns of interfaces.
    Internet,
    /// Those, and netlink's events of devices, which udev's library listens to (gamepads, USB).
    Everyday,
}

/// CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET.
const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;
/// CLONE_NEWTIME: a bit that in clone(2)'s flags belongs to the signal.
const NEWTIME: u32 = 0x80;

/// What becomes of the call of that name on the native architecture.
pub fn decide(policy: &Policy, name: &str) -> Result<Decision, Unknown> {
    match Entry::from_str(name)? {
        Entry::Call(row) => Ok(policy.decide(row, Arch::NATIVE)),
        Entry::Group(_) => Err(Unknown { word: name.to_owned(), near: None }),
    }
}

/// A call that a policy does not allow, or only with some arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The call.
    pub name: &'static str,
    /// What becomes of it.
    pub decision: Decision,
    /// Why, in one line.
    pub why: &'static str,
}

/// The calls that are made whatever their arguments are.
pub fn allowed(policy: &Policy, arch: Arch) -> impl Iterator<Item = &'static str> {
    let here = ROWS.iter().filter(move |row| row.number(arch).is_some());
    here.filter(move |row| policy.decide(row, arch) == Decision::Allow).map(Row::name)
}

/// Everything that a policy does not plainly allow on that architecture, by name.
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
