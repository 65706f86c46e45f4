//! The seccomp filter (policy → BPF): what it refuses, as data.
//!
//! So far it closes one thing: input pushed into a terminal. ioctl(2)'s TIOCSTI types as if the user had, and TIOCLINUX
//! pastes; a program that shares the caller's terminal would run commands in the caller's shell with either.

use crate::sys::Instruction;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;

// Offsets in struct seccomp_data (little-endian: the low half of an argument comes first).
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const SECOND_ARGUMENT: u32 = 24;

const ARCH_X86_64: u32 = 0xc000_003e;
const ARCH_I386: u32 = 0x4000_0003;
const ARCH_AARCH64: u32 = 0xc000_00b7;
const ARCH_ARM: u32 = 0x4000_0028;
/// x32 calls carry the architecture of x86-64 and this bit.
const X32: u32 = 0x4000_0000;

const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;

/// The architectures that this machine's kernel takes calls of, with ioctl's numbers there; x32 has one of its own.
const IOCTL: &[(u32, &[u32])] = if cfg!(target_arch = "x86_64") {
    &[(ARCH_X86_64, &[16, X32 | 514, X32 | 16]), (ARCH_I386, &[54])]
} else {
    &[(ARCH_AARCH64, &[29]), (ARCH_ARM, &[54])]
};

fn op(code: u16, jt: usize, jf: usize, k: u32) -> Instruction {
    Instruction { code, jt: jt as u8, jf: jf as u8, k }
}

/// Refuses TIOCSTI and TIOCLINUX with EPERM, whatever the upper half of the request is, which the kernel ignores
/// (CVE-2019-10063). Everything else is allowed. Short, since each start compiles it: `sbx` pays for every instruction.
pub fn terminal_filter() -> Vec<Instruction> {
    // What is at the end: look at the request, refuse, allow.
    let request = [
        op(LOAD, 0, 0, SECOND_ARGUMENT),
        op(EQUAL, 1, 0, TIOCSTI),
        op(EQUAL, 0, 1, TIOCLINUX),
        op(RETURN, 0, 0, ERRNO | libc::EPERM as u32),
        op(RETURN, 0, 0, ALLOW),
    ];
    let mut filter = vec![op(LOAD, 0, 0, ARCH)];
    for (index, (arch, numbers)) in IOCTL.iter().enumerate() {
        // Instructions between the end of this group and `request`.
        let behind: usize = IOCTL.iter().skip(index + 1).map(|(_, numbers)| numbers.len() + 3).sum();
        filter.push(op(EQUAL, 0, numbers.len() + 2, *arch));
        filter.push(op(LOAD, 0, 0, NUMBER));
        for (at, number) in numbers.iter().enumerate() {
            filter.push(op(EQUAL, numbers.len() - at + behind + 1, 0, *number));
        }
        filter.push(op(RETURN, 0, 0, ALLOW));
    }
    // Another architecture: nothing that this kernel knows.
    filter.push(op(RETURN, 0, 0, ALLOW));
    filter.extend(request);
    filter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a filter as the kernel would.
    fn run(filter: &[Instruction], arch: u32, number: u32, second: u64) -> u32 {
        let mut accumulator = 0;
        let mut at = 0;
        loop {
            let i = filter[at];
            at += 1;
            match i.code {
                LOAD => {
                    accumulator = match i.k {
                        NUMBER => number,
                        ARCH => arch,
                        SECOND_ARGUMENT => second as u32,
                        _ => panic!("offset {}", i.k),
                    }
                }
                EQUAL => at += usize::from(if accumulator == i.k { i.jt } else { i.jf }),
                RETURN => return i.k,
                code => panic!("code {code}"),
            }
        }
    }

    #[test]
    fn pushed_input_is_refused_on_every_architecture_and_whatever_the_upper_half_is() {
        let filter = terminal_filter();
        for (arch, number) in IOCTL.iter().flat_map(|(arch, numbers)| numbers.iter().map(move |number| (arch, number)))
        {
            for request in [TIOCSTI, TIOCLINUX] {
                for upper in [0, 1 << 32, u64::MAX << 32] {
                    let verdict = run(&filter, *arch, *number, upper | u64::from(request));
                    assert_eq!(verdict, ERRNO | 1, "{arch:x} {number} {request:x}");
                }
            }
        }
    }

    #[test]
    fn everything_else_is_allowed() {
        let filter = terminal_filter();
        for (arch, numbers) in IOCTL {
            assert_eq!(run(&filter, *arch, numbers[0], 0x5401), ALLOW, "TCGETS");
            assert_eq!(run(&filter, *arch, 0, u64::from(TIOCSTI)), ALLOW, "another call");
        }
        assert_eq!(run(&filter, 0x1234, 16, u64::from(TIOCSTI)), ALLOW, "another architecture");
    }
}
