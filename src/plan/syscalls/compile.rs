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
//! looked at, except those of pointers: where an argument is an int, the kernel ignores them (CVE-2019-10063 is a filter
//! that did not).

use super::super::bpf::{
    ALLOW, ANY_BIT, ARCH, AT_LEAST, EQUAL, ERRNO, JUMP, LOAD, NEGATIVE, NUMBER, RETURN, TIOCLINUX, TIOCSTI, X32,
    argument, op, upper_half,
};
use super::policy::{Base, Check, Decision, Families, Policy, SETUID_BITS};
use super::row::Arch;
use super::table::ROWS;
use crate::sys::{BpfProgram, sock_filter};

/// The type by which kcmp(2) compares open files.
const KCMP_FILE: u32 = 0;
/// Ranges of values of an argument, each with its first and its last one, in ascending order.
type Ranges = &'static [(u32, u32)];
/// Commands of fcntl(2) that ask to be told before others write: F_SETLEASE, and F_SETDELEG of Linux 6.19.
const LEASES: Ranges = &[(1024, 1024), (1040, 1040)];
/// Options that setsockopt(2) needs CAP_NET_ADMIN in a network namespace for, of the levels SOL_IP and SOL_IPV6: policies of
/// IPsec (16 and 17, 34 and 35); from 64 on those of iptables (IPT_SO_SET_REPLACE), arptables (96), ebtables (128),
/// multicast routing (MRT_BASE, 200) and IPVS (1152). Options of SOL_IP of every day are below 64. Those of SOL_IPV6 are below
/// 128, with IPV6_RECVTCLASS and IPV6_TCLASS as 66 and 67.
const SET_OF_IP: (Ranges, Ranges) = (&[(16, 17), (64, u32::MAX)], &[(34, 35), (64, 65), (128, u32::MAX)]);
/// The same for getsockopt(2), which loads the modules and reads their tables. SO_ORIGINAL_DST (80) is for everybody.
const READ_OF_IP: (Ranges, Ranges) = (&[(64, 79), (81, u32::MAX)], &[(64, 65), (128, u32::MAX)]);
/// The resource of setrlimit(2) for core dumps: RLIMIT_CORE, on all of these architectures.
const RLIMIT_CORE: u32 = 4;
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

/// Flags of open(2) by which it takes a mode: O_CREAT, and the bit of O_TMPFILE that no other flag has.
const MAKES_A_FILE: u32 = (libc::O_CREAT | libc::O_TMPFILE & !libc::O_DIRECTORY) as u32;

/// The verdict that refuses a call with this errno.
fn errno(number: i32) -> u32 {
    ERRNO | number as u32
}

/// Compiles a policy into a filter. For the architectures of one kernel it has at most 4096 instructions, which is the
/// kernel's limit (BPF_MAXINSNS). A filter that would allow everything is a single instruction, and need not be loaded.
pub fn compile(policy: &Policy) -> BpfProgram {
    if policy.base == Base::Off && policy.deny.is_empty() && policy.setuid_bits {
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

/// The number that a tracer sets to skip a call. The kernel answers ENOSYS unless the tracer has set a result, which a
/// filter that answered would overwrite: it runs after the tracer (seccomp(2), NOTES).
const SKIPPED: u32 = u32::MAX;

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
    add(SKIPPED, Decision::Allow);
    runs
}

/// The code of one architecture, written from its end to its start: BPF's jumps only go forward, so the target of each
/// is written already. A place is an index into `backward`.
struct Block {
    /// The last instruction first.
    backward: BpfProgram,
    /// The places at which the code of each decision begins.
    leaves: Vec<(Decision, usize)>,
    /// The decision where a check of arguments fails.
    refusal: Decision,
}

impl Block {
    /// Writes the block for these runs. `refusal` is the errno where a check fails.
    fn of(runs: &[Run], refusal: u16) -> Block {
        let backward = Vec::with_capacity(2 * runs.len() + 64);
        let mut block = Block { backward, leaves: Vec::new(), refusal: Decision::Errno(refusal) };
        block.search(runs);
        block.write(op(LOAD, 0, 0, NUMBER));
        block
    }

    /// The instructions in the order in which they run.
    fn forward(self) -> impl ExactSizeIterator<Item = sock_filter> {
        self.backward.into_iter().rev()
    }

    /// Writes an instruction, and returns its place. What is written next runs before it.
    fn write(&mut self, instruction: sock_filter) -> usize {
        self.backward.push(instruction);
        self.backward.len() - 1
    }

    /// Writes a comparison of the accumulator with `k`, which goes on at one of two places, and returns its own.
    fn test(&mut self, code: u16, k: u32, yes: usize, no: usize) -> usize {
        let (yes, no) = (self.near(yes), self.near(no));
        let skipped = |place| (self.backward.len() - place - 1) as u8;
        self.write(op(code, skipped(yes), skipped(no), k))
    }

    /// Writes a binary search for the number in the accumulator, and returns the place where it begins.
    fn search(&mut self, runs: &[Run]) -> usize {
        let (lower, upper) = runs.split_at(runs.len() / 2);
        let Some(first) = upper.first() else { return self.leaf(Decision::ABSENT) };
        if lower.is_empty() {
            return self.leaf(first.decision);
        }
        let (from, below) = (self.search(upper), self.search(lower));
        self.test(AT_LEAST, first.number, from, below)
    }

    /// The place itself if a comparison can jump to it, else that of a new jump that leads there: a comparison's
    /// offsets have eight bits. Leaves room for one more such jump in between.
    fn near(&mut self, place: usize) -> usize {
        let skipped = self.backward.len() - place;
        if skipped < 255 { place } else { self.write(op(JUMP, 0, 0, skipped as u32 - 1)) }
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
        let place = match decision {
            Decision::Allow => self.write(op(RETURN, 0, 0, ALLOW)),
            Decision::Errno(number) => self.write(op(RETURN, 0, 0, errno(number.into()))),
            Decision::Check(check) => self.check(check),
        };
        self.leaves.push((decision, place));
        place
    }

    /// Writes a check of arguments, and returns the place where it begins.
    fn check(&mut self, check: Check) -> usize {
        let (refuse, allow) = (self.leaf(self.refusal), self.leaf(Decision::Allow));
        match check {
            Check::Without { argument: index, bits } => {
                self.test(ANY_BIT, bits, refuse, allow);
                self.write(op(LOAD, 0, 0, argument(index.into())))
            }
            Check::Mode { flags } => {
                let mode = self.leaf(Decision::Check(Check::Without { argument: flags + 1, bits: SETUID_BITS }));
                self.test(ANY_BIT, MAKES_A_FILE, mode, allow);
                self.write(op(LOAD, 0, 0, argument(flags.into())))
            }
            Check::Ioctl => {
                // A negative descriptor: allowed, since programs test for the kernel's own error (EBADF).
                self.test(ANY_BIT, NEGATIVE, allow, refuse);
                let descriptor = self.write(op(LOAD, 0, 0, argument(0)));
                let other = self.test(EQUAL, TIOCLINUX, descriptor, allow);
                self.test(EQUAL, TIOCSTI, descriptor, other);
                self.write(op(LOAD, 0, 0, argument(1)))
            }
            Check::Personality { uname, fixed_addresses } => self.among(0, &domains(uname, fixed_addresses), refuse),
            Check::Socket(families) => self.socket(families),
            Check::Socketpair => {
                let no_family = self.leaf(Decision::Errno(libc::EAFNOSUPPORT as u16));
                self.among(0, &[libc::AF_UNIX as u32], no_family)
            }
            Check::Kcmp => self.among(2, &[KCMP_FILE], refuse),
            Check::Fcntl => self.none_of(1, LEASES, allow, refuse),
            Check::Sockopt { reads } => {
                let (of_ip, of_ipv6) = if reads { READ_OF_IP } else { SET_OF_IP };
                let ipv6 = self.none_of(2, of_ipv6, allow, refuse);
                let ipv6 = self.test(EQUAL, libc::IPPROTO_IPV6 as u32, ipv6, allow);
                let ip = self.none_of(2, of_ip, allow, refuse);
                self.test(EQUAL, libc::IPPROTO_IP as u32, ip, ipv6);
                self.write(op(LOAD, 0, 0, argument(1)))
            }
            Check::Setrlimit => {
                let nothing = self.leaf(Decision::NOTHING);
                self.test(EQUAL, RLIMIT_CORE, nothing, allow);
                self.write(op(LOAD, 0, 0, argument(0)))
            }
            Check::Prlimit => {
                let nothing = self.leaf(Decision::NOTHING);
                let set = self.null(3, nothing, refuse);
                let core = self.null(2, allow, set);
                self.test(EQUAL, RLIMIT_CORE, core, allow);
                self.write(op(LOAD, 0, 0, argument(1)))
            }
        }
    }

    /// Writes a test whether the argument `index` is a null pointer, in both halves. Returns the place where it begins.
    fn null(&mut self, index: u32, yes: usize, no: usize) -> usize {
        self.test(EQUAL, 0, yes, no);
        let upper = self.write(op(LOAD, 0, 0, upper_half(index)));
        self.test(EQUAL, 0, upper, no);
        self.write(op(LOAD, 0, 0, argument(index)))
    }

    /// Writes a check whether the argument `index` is in none of these ranges. Returns the place where it begins.
    fn none_of(&mut self, index: u32, ranges: Ranges, yes: usize, no: usize) -> usize {
        ranges.iter().rev().fold(yes, |above, (first, last)| {
            if first == last {
                return self.test(EQUAL, *first, no, above);
            }
            let at_least = if *last == u32::MAX { no } else { self.test(AT_LEAST, last + 1, above, no) };
            self.test(AT_LEAST, *first, at_least, yes)
        });
        self.write(op(LOAD, 0, 0, argument(index)))
    }

    /// Writes a check that allows a call if the argument `index` is one of these values, and else goes on at a place.
    /// Returns the place where it begins.
    fn among(&mut self, index: u32, values: &[u32], or: usize) -> usize {
        let allow = self.leaf(Decision::Allow);
        values.iter().rev().fold(or, |or, value| self.test(EQUAL, *value, allow, or));
        self.write(op(LOAD, 0, 0, argument(index)))
    }

    /// Writes a check that allows sockets of these families, and of netlink only some protocols. Returns the place where
    /// it begins.
    fn socket(&mut self, families: Families) -> usize {
        let no_family = self.leaf(Decision::Errno(libc::EAFNOSUPPORT as u16));
        let protocols: &[u32] = match families {
            Families::Unix => return self.among(0, &[libc::AF_UNIX as u32], no_family),
            Families::Internet => &[NETLINK_ROUTE],
            Families::Everyday => &[NETLINK_ROUTE, NETLINK_KOBJECT_UEVENT],
        };
        let no_protocol = self.leaf(Decision::Errno(libc::EPROTONOSUPPORT as u16));
        let netlink = self.among(2, protocols, no_protocol);
        let or = self.test(EQUAL, libc::AF_NETLINK as u32, netlink, no_family);
        self.among(0, &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6].map(|family| family as u32), or)
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
