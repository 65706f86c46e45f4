//! Policy → classic BPF, as a `BpfProgram` of the crate seccompiler. That crate's own compiler is not used: it makes a
//! chain of comparisons for each call.
//!
//! ```text
//! load the architecture
//! for each architecture: skip its block if the call is of another one
//!     load the number
//!     a binary search over ranges of numbers that have the same decision; its jumps end at
//!         leaves: returns, and checks of arguments, each written once
//! return ENOSYS
//! ```
//!
//! It is a search rather than a chain because the kernel runs the filter once for every number when it is loaded, to
//! learn which calls are always allowed; for those it does not run the filter again (kernel/seccomp.c,
//! seccomp_cache_prepare, since Linux 5.11). That run can follow loads of the number and the architecture, comparisons
//! with constants, and jumps, so nothing else comes before a leaf. The filter is short because the rest of the cost of
//! loading it is the kernel's BPF compiler.
//!
//! All of these architectures are little-endian, so the lower half of an argument comes first. Upper halves are not
//! looked at: where an argument is an int, the kernel ignores them (CVE-2019-10063 is a filter that did not).

use super::super::bpf::{
    ALLOW, ANY_BIT, ARCH, AT_LEAST, EQUAL, ERRNO, JUMP, LOAD, NEGATIVE, NUMBER, RETURN, TIOCLINUX, TIOCSTI, X32,
    argument, op,
};
use super::policy::{Base, Check, Decision, Families, Policy};
use super::row::Arch;
use super::table::ROWS;
use crate::sys::{BpfProgram, sock_filter};

/// The type by which kcmp(2) compares open files.
const KCMP_FILE: u32 = 0;
/// The netlink protocol for interfaces and routes (rtnetlink(7)).
const NETLINK_ROUTE: u32 = 0;
/// The netlink protocol for the kernel's events of devices (netlink(7)).
const NETLINK_KOBJECT_UEVENT: u32 = 15;

/// The execution domain in which uname(2) gives a 32-bit machine (personality(2)).
const PER_LINUX32: u32 = 8;
/// The flag of personality(2) by which uname(2) gives a version 2.6.
const UNAME26: u32 = 0x2_0000;
/// The flag of personality(2) that switches the randomization of addresses off.
const ADDR_NO_RANDOMIZE: u32 = 0x4_0000;
/// The argument by which personality(2) returns the domain that is in force, and changes nothing.
const IN_FORCE: u32 = u32::MAX;

/// The verdict that refuses a call with this errno.
fn errno(number: i32) -> u32 {
    ERRNO | number as u32
}

/// Compiles a policy into a filter. For the architectures of one kernel it has at most 4096 instructions, which is the
/// kernel's limit (BPF_MAXINSNS). A filter that would allow everything is a single instruction, and need not be loaded.
pub fn compile(policy: &Policy) -> BpfProgram {
    if policy.base == Base::Off && policy.deny.is_empty() {
        return vec![op(RETURN, 0, 0, ALLOW)];
    }
    let mut code = vec![op(LOAD, 0, 0, ARCH)];
    for arch in policy.covered() {
        let block = Block::of(&runs(policy, arch), policy.errno).forward();
        code.extend([op(EQUAL, 1, 0, arch.audit()), op(JUMP, 0, 0, block.len() as u32)]);
        code.extend(block);
    }
    code.push(op(RETURN, 0, 0, errno(libc::ENOSYS)));
    code
}

/// All numbers of system calls but those that are private to ARM are below this.
const DENSE: usize = 512;

/// A range of numbers that have the same decision: from `number` to the next run's.
struct Run {
    number: u32,
    decision: Decision,
}

/// The decisions for all numbers of an architecture, as runs in ascending order from 0.
fn runs(policy: &Policy, arch: Arch) -> Vec<Run> {
    let mut dense = [policy.unknown(); DENSE];
    let mut beyond: Vec<Run> = Vec::new();
    for row in &ROWS {
        let Some(number) = row.number(arch) else { continue };
        let decision = policy.decide(row, arch);
        match dense.get_mut(number as usize) {
            Some(place) => *place = decision,
            None => beyond.push(Run { number, decision }),
        }
    }
    beyond.sort_unstable_by_key(|run| run.number);
    let mut runs: Vec<Run> = Vec::with_capacity(DENSE / 2);
    let mut add = |number, decision| {
        if runs.last().is_none_or(|last| last.decision != decision) {
            runs.push(Run { number, decision });
        }
    };
    (0..).zip(dense).for_each(|(number, decision)| add(number, decision));
    add(DENSE as u32, policy.unknown());
    for Run { number, decision } in beyond {
        add(number, decision);
        add(number + 1, policy.unknown());
    }
    if arch == Arch::X86_64 {
        add(X32, Decision::ABSENT);
    }
    runs
}

/// The code of one architecture, written from its end to its start: BPF's jumps only go forward, so the target of each
/// is written already. A place is an index into `backward`.
struct Block {
    /// The last instruction first.
    backward: BpfProgram,
    /// The places at which the code of each decision begins.
    leaves: Vec<(Decision, usize)>,
    /// The verdict where a check of arguments fails.
    refuse: u32,
}

impl Block {
    /// Writes the block for these runs. `refusal` is the errno where a check fails.
    fn of(runs: &[Run], refusal: u16) -> Block {
        let backward = Vec::with_capacity(2 * runs.len() + 64);
        let mut block = Block { backward, leaves: Vec::new(), refuse: errno(refusal.into()) };
        block.search(runs);
        block.backward.push(op(LOAD, 0, 0, NUMBER));
        block
    }

    /// The instructions in the order in which they run.
    fn forward(self) -> impl ExactSizeIterator<Item = sock_filter> {
        self.backward.into_iter().rev()
    }

    /// Writes a binary search for the number in the accumulator, and returns the place where it begins.
    fn search(&mut self, runs: &[Run]) -> usize {
        let (lower, upper) = runs.split_at(runs.len() / 2);
        let Some(first) = upper.first() else { return self.leaf(Decision::ABSENT) };
        if lower.is_empty() {
            return self.leaf(first.decision);
        }
        let (from, below) = (self.search(upper), self.search(lower));
        let (from, below) = (self.near(from), self.near(below));
        let skipped = |place| (self.backward.len() - place - 1) as u8;
        let compare = op(AT_LEAST, skipped(from), skipped(below), first.number);
        self.backward.push(compare);
        self.backward.len() - 1
    }

    /// The place itself if a comparison can jump to it, else that of a new jump that leads there: a comparison's
    /// offsets have eight bits. Leaves room for one more such jump in between.
    fn near(&mut self, place: usize) -> usize {
        let skipped = self.backward.len() - place;
        if skipped < 255 {
            return place;
        }
        self.backward.push(op(JUMP, 0, 0, skipped as u32 - 1));
        self.backward.len() - 1
    }

    /// The place where the code of a decision begins. Writes that code if there is none yet, or if the last one is too
    /// far away for a comparison's jump.
    fn leaf(&mut self, decision: Decision) -> usize {
        let known = self.leaves.iter().position(|(known, _)| *known == decision);
        if let Some(at) = known {
            if self.backward.len() - self.leaves[at].1 < 200 {
                return self.leaves[at].1;
            }
            self.leaves.swap_remove(at);
        }
        self.backward.extend(code(decision, self.refuse).into_iter().rev());
        let place = self.backward.len() - 1;
        self.leaves.push((decision, place));
        place
    }
}

/// The instructions that carry a decision out. `refuse` is the verdict where a check of arguments fails.
fn code(decision: Decision, refuse: u32) -> BpfProgram {
    match decision {
        Decision::Allow => vec![op(RETURN, 0, 0, ALLOW)],
        Decision::Errno(number) => vec![op(RETURN, 0, 0, errno(number.into()))],
        Decision::Check(Check::Without(flags)) => vec![
            op(LOAD, 0, 0, argument(0)),
            op(ANY_BIT, 0, 1, flags),
            op(RETURN, 0, 0, refuse),
            op(RETURN, 0, 0, ALLOW),
        ],
        Decision::Check(Check::Ioctl) => vec![
            op(LOAD, 0, 0, argument(1)),
            op(EQUAL, 1, 0, TIOCSTI),
            op(EQUAL, 0, 3, TIOCLINUX),
            // A negative descriptor: allowed, since programs test for the kernel's own error (EBADF).
            op(LOAD, 0, 0, argument(0)),
            op(ANY_BIT, 1, 0, NEGATIVE),
            op(RETURN, 0, 0, refuse),
            op(RETURN, 0, 0, ALLOW),
        ],
        Decision::Check(Check::Personality { uname, fixed_addresses }) => {
            among(0, &domains(uname, fixed_addresses), refuse)
        }
        Decision::Check(Check::Socket(families)) => socket(families),
        Decision::Check(Check::Socketpair) => among(0, &[libc::AF_UNIX as u32], errno(libc::EAFNOSUPPORT)),
        Decision::Check(Check::Kcmp) => among(2, &[KCMP_FILE], refuse),
    }
}

/// The arguments of personality(2) that are allowed; see [`Check::Personality`].
fn domains(uname: bool, fixed_addresses: bool) -> Vec<u32> {
    let mut domains = vec![0];
    if uname {
        domains.extend([PER_LINUX32, UNAME26, UNAME26 | PER_LINUX32]);
    }
    if fixed_addresses {
        domains.extend(domains.clone().iter().map(|domain| domain | ADDR_NO_RANDOMIZE));
    }
    domains.push(IN_FORCE);
    domains
}

/// Allows a call if the argument `index` is one of these values, at most 254 of them, and else gives the verdict
/// `refuse`.
fn among(index: u32, values: &[u32], refuse: u32) -> BpfProgram {
    let mut code = vec![op(LOAD, 0, 0, argument(index))];
    code.extend(values.iter().enumerate().map(|(at, value)| op(EQUAL, (values.len() - at) as u8, 0, *value)));
    code.extend([op(RETURN, 0, 0, refuse), op(RETURN, 0, 0, ALLOW)]);
    code
}

/// Allows sockets of these families, and of netlink only some protocols.
fn socket(families: Families) -> BpfProgram {
    let no_family = errno(libc::EAFNOSUPPORT);
    let protocols: &[u32] = match families {
        Families::Unix => return among(0, &[libc::AF_UNIX as u32], no_family),
        Families::Internet => &[NETLINK_ROUTE],
        Families::Everyday => &[NETLINK_ROUTE, NETLINK_KOBJECT_UEVENT],
    };
    let rest = among(2, protocols, errno(libc::EPROTONOSUPPORT));
    // The last instruction of `rest` allows the call.
    let allow = rest.len() as u8;
    let mut code = vec![
        op(LOAD, 0, 0, argument(0)),
        op(EQUAL, 3 + allow, 0, libc::AF_UNIX as u32),
        op(EQUAL, 2 + allow, 0, libc::AF_INET as u32),
        op(EQUAL, 1 + allow, 0, libc::AF_INET6 as u32),
        op(EQUAL, 1, 0, libc::AF_NETLINK as u32),
        op(RETURN, 0, 0, no_family),
    ];
    code.extend(rest);
    code
}
