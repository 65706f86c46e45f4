//! Policy → classic BPF.
//!
//! ```text
//! load the architecture
//! for each architecture: another one? over its block
//!     load the number
//!     a binary search over ranges of numbers of which the same is decided
//!         a leaf returns, or looks at arguments and returns
//! return ENOSYS
//! ```
//!
//! A search rather than a chain, since the kernel runs the filter once for every number when it is loaded, to learn which calls are
//! always allowed; of those it does not ask the filter again (kernel/seccomp.c, seccomp_cache_prepare, Linux 5.11). It can follow
//! loads of the number and the architecture, comparisons with constants and jumps; so nothing else stands before a leaf.
//!
//! Every machine that these architectures are is little-endian, so the lower half of an argument comes first. Upper halves are not
//! looked at: where an argument is an int, the kernel ignores them (CVE-2019-10063 is a filter that did not).

use super::policy::{Base, Check, Decision, Families, Policy};
use super::row::Arch;
use super::table::ROWS;
use crate::sys::Instruction;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const ANY_BIT: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

const ALLOW: u32 = 0x7fff_0000; // SECCOMP_RET_ALLOW
const ERRNO: u32 = 0x0005_0000; // SECCOMP_RET_ERRNO

// Offsets in struct seccomp_data.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;

/// The offset of the lower half of an argument, counted from 0.
const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

/// The bit of x32's numbers, which carry the architecture of x86-64.
pub(super) const X32: u32 = 0x4000_0000;

/// The sign of a descriptor, which is an int.
const NEGATIVE: u32 = 1 << 31;

pub(super) const TIOCSTI: u32 = 0x5412;
pub(super) const TIOCLINUX: u32 = 0x541c;
const KCMP_FILE: u32 = 0;
const NETLINK_ROUTE: u32 = 0;
const NETLINK_KOBJECT_UEVENT: u32 = 15;

// personality(2).
const PER_LINUX32: u32 = 8;
const UNAME26: u32 = 0x2_0000;
const ADDR_NO_RANDOMIZE: u32 = 0x4_0000;
const IN_FORCE: u32 = u32::MAX;

fn op(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
    Instruction { code, jt, jf, k }
}

fn errno(number: i32) -> u32 {
    ERRNO | number as u32
}

/// The filter: not more than 4096 instructions, which is as many as the kernel takes, for as many architectures as one kernel runs.
/// One that would allow everything is a single instruction, which need not be loaded.
pub fn compile(policy: &Policy) -> Vec<Instruction> {
    if policy.base == Base::Off && policy.deny.is_empty() {
        return vec![op(RETURN, 0, 0, ALLOW)];
    }
    let mut code = vec![op(LOAD, 0, 0, ARCH)];
    for arch in policy.covered() {
        code.push(op(EQUAL, 1, 0, arch.audit()));
        let over = code.len();
        code.push(op(JUMP, 0, 0, 0));
        code.push(op(LOAD, 0, 0, NUMBER));
        search(&mut code, &ranges(policy, arch), policy.errno);
        code[over].k = (code.len() - over - 1) as u32;
    }
    code.push(op(RETURN, 0, 0, errno(libc::ENOSYS)));
    code
}

/// What is decided of all numbers from one on.
struct From {
    number: u32,
    decision: Decision,
}

/// What is decided of every number, in order, from 0.
fn ranges(policy: &Policy, arch: Arch) -> Vec<From> {
    let mut known: Vec<From> = ROWS
        .iter()
        .filter_map(|row| Some(From { number: row.number(arch)?, decision: policy.decide(row, arch) }))
        .collect();
    known.sort_unstable_by_key(|from| from.number);
    let mut ranges: Vec<From> = Vec::with_capacity(known.len());
    let mut next = 0;
    let mut add = |number, decision| {
        if ranges.last().is_none_or(|last| last.decision != decision) {
            ranges.push(From { number, decision });
        }
    };
    for From { number, decision } in known {
        if number > next {
            add(next, policy.unknown());
        }
        add(number, decision);
        next = number + 1;
    }
    add(next, policy.unknown());
    if arch == Arch::X86_64 {
        add(X32, Decision::ABSENT);
    }
    ranges
}

/// The number is in the accumulator.
fn search(code: &mut Vec<Instruction>, ranges: &[From], refusal: u16) {
    let (lower, upper) = ranges.split_at(ranges.len() / 2);
    let Some((first, true)) = upper.first().map(|first| (first, !lower.is_empty())) else {
        return upper.iter().for_each(|only| leaf(code, only.decision, refusal));
    };
    let at = code.len();
    code.push(op(AT_LEAST, 0, 0, first.number));
    search(code, lower, refusal);
    let skipped = code.len() - at - 1;
    match u8::try_from(skipped) {
        Ok(short) => code[at].jt = short,
        // Jumps of comparisons are eight bits long. What was written moves as one; its jumps are relative.
        Err(_) => {
            code[at].jf = 1;
            code.insert(at + 1, op(JUMP, 0, 0, skipped as u32));
        }
    }
    search(code, upper, refusal);
}

fn leaf(code: &mut Vec<Instruction>, decision: Decision, refusal: u16) {
    let refuse = errno(refusal.into());
    match decision {
        Decision::Allow => code.push(op(RETURN, 0, 0, ALLOW)),
        Decision::Errno(number) => code.push(op(RETURN, 0, 0, errno(number.into()))),
        Decision::Check(Check::Without(flags)) => code.extend([
            op(LOAD, 0, 0, argument(0)),
            op(ANY_BIT, 0, 1, flags),
            op(RETURN, 0, 0, refuse),
            op(RETURN, 0, 0, ALLOW),
        ]),
        Decision::Check(Check::Ioctl) => code.extend([
            op(LOAD, 0, 0, argument(1)),
            op(EQUAL, 1, 0, TIOCSTI),
            op(EQUAL, 0, 3, TIOCLINUX),
            // No descriptor at all: what the kernel says of it is what programs test for.
            op(LOAD, 0, 0, argument(0)),
            op(ANY_BIT, 1, 0, NEGATIVE),
            op(RETURN, 0, 0, refuse),
            op(RETURN, 0, 0, ALLOW),
        ]),
        Decision::Check(Check::Personality { uname, fixed_addresses }) => {
            among(code, 0, &domains(uname, fixed_addresses), refuse);
        }
        Decision::Check(Check::Socket(families)) => socket(code, families),
        Decision::Check(Check::Socketpair) => among(code, 0, &[libc::AF_UNIX as u32], errno(libc::EAFNOSUPPORT)),
        Decision::Check(Check::Kcmp) => among(code, 2, &[KCMP_FILE], refuse),
    }
}

/// The execution domains that are allowed.
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

/// Allows where the argument is one of these values, not more than 254.
fn among(code: &mut Vec<Instruction>, index: u32, values: &[u32], refuse: u32) {
    code.push(op(LOAD, 0, 0, argument(index)));
    for (at, value) in values.iter().enumerate() {
        code.push(op(EQUAL, (values.len() - at) as u8, 0, *value));
    }
    code.extend([op(RETURN, 0, 0, refuse), op(RETURN, 0, 0, ALLOW)]);
}

/// Unix and Internet sockets, and netlink's with these protocols.
fn socket(code: &mut Vec<Instruction>, families: Families) {
    let no_family = errno(libc::EAFNOSUPPORT);
    let protocols: &[u32] = match families {
        Families::Unix => return among(code, 0, &[libc::AF_UNIX as u32], no_family),
        Families::Internet => &[NETLINK_ROUTE],
        Families::Everyday => &[NETLINK_ROUTE, NETLINK_KOBJECT_UEVENT],
    };
    let end = protocols.len() as u8;
    code.extend([
        op(LOAD, 0, 0, argument(0)),
        op(EQUAL, 6 + end, 0, libc::AF_UNIX as u32),
        op(EQUAL, 5 + end, 0, libc::AF_INET as u32),
        op(EQUAL, 4 + end, 0, libc::AF_INET6 as u32),
        op(EQUAL, 1, 0, libc::AF_NETLINK as u32),
        op(RETURN, 0, 0, no_family),
    ]);
    among(code, 2, protocols, errno(libc::EPROTONOSUPPORT));
}
