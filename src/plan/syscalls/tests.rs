//! Compares the table with the kernel's numbers, and runs filters in an interpreter to compare them with their
//! policies.

use super::super::bpf::{TIOCLINUX, TIOCSTI, X32};
use super::table::ROWS;
use super::*;
use crate::sys::sock_filter;
use proptest::prelude::*;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule};
use std::collections::BTreeMap;

const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = errno(libc::EPERM);
const ENOSYS: u32 = errno(libc::ENOSYS);

const fn errno(number: i32) -> u32 {
    0x0005_0000 | number as u32
}

/// Runs a filter as the kernel does, and gives the verdict and whether an argument was looked at.
fn run(filter: &[sock_filter], audit: u32, number: u32, arguments: [u64; 6]) -> (u32, bool) {
    let mut data = [0; 64];
    data[..4].copy_from_slice(&number.to_le_bytes());
    data[4..8].copy_from_slice(&audit.to_le_bytes());
    for (at, argument) in arguments.iter().enumerate() {
        data[16 + 8 * at..][..8].copy_from_slice(&argument.to_le_bytes());
    }
    let (mut accumulator, mut at, mut looked) = (0, 0, false);
    loop {
        let i = &filter[at];
        at += 1;
        let mut jump = |holds: bool| at += usize::from(if holds { i.jt } else { i.jf });
        match i.code {
            0x20 => {
                looked |= i.k >= 16;
                assert_eq!(i.k % 4, 0, "the kernel takes aligned loads only");
                accumulator = u32::from_le_bytes(data[i.k as usize..][..4].try_into().unwrap());
            }
            0x05 => at += i.k as usize,
            0x15 => jump(accumulator == i.k),
            0x35 => jump(accumulator >= i.k),
            0x45 => jump(accumulator & i.k != 0),
            0x06 => return (i.k, looked),
            code => panic!("code {code}"),
        }
    }
}

fn verdict(filter: &[sock_filter], arch: Arch, number: u32, arguments: [u64; 6]) -> u32 {
    run(filter, arch.audit(), number, arguments).0
}

/// The verdict that a filter has to give, found by a linear search of the table.
fn expected(policy: &Policy, audit: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let open = policy.base == Base::Off && policy.deny.is_empty() && policy.setuid_bits;
    let Some(arch) = policy.covered().into_iter().find(|arch| arch.audit() == audit) else {
        return if open { ALLOW } else { ENOSYS };
    };
    if open {
        return ALLOW;
    }
    if number == u32::MAX {
        return ALLOW;
    }
    if arch == Arch::X86_64 && number >= X32 {
        return ENOSYS;
    }
    let row = ROWS.iter().find(|row| row.number(arch) == Some(number));
    expected_of(policy, arch, row, arguments)
}

/// As [`expected`], for a call of this row, or of none.
fn expected_of(policy: &Policy, arch: Arch, row: Option<&Row>, arguments: [u64; 6]) -> u32 {
    let refused = errno(policy.errno.into());
    let or = |fine: bool, refused: u32| if fine { ALLOW } else { refused };
    let [first, second, third] = [arguments[0] as u32, arguments[1] as u32, arguments[2] as u32];
    match row.map_or(policy.unknown(), |row| policy.decide(row, arch)) {
        Decision::Allow => ALLOW,
        Decision::Errno(number) => errno(number.into()),
        Decision::Check(Check::Without { argument, bits }) => {
            or(arguments[usize::from(argument)] as u32 & bits == 0, refused)
        }
        Decision::Check(Check::Ioctl) => or(![TIOCSTI, TIOCLINUX].contains(&second) || (first as i32) < 0, refused),
        Decision::Check(Check::Personality { uname, fixed_addresses }) => {
            let rest = if fixed_addresses { first & !libc::ADDR_NO_RANDOMIZE as u32 } else { first };
            let plain = rest == 0 || uname && [8, 0x20000, 0x20008].contains(&rest);
            or(first == u32::MAX || plain, refused)
        }
        Decision::Check(Check::Socket(families)) => match (first as i32, families) {
            (libc::AF_UNIX, _) => ALLOW,
            (_, Families::Unix) => errno(libc::EAFNOSUPPORT),
            (libc::AF_INET | libc::AF_INET6, _) => ALLOW,
            (libc::AF_NETLINK, Families::Internet) => or(third == 0, errno(libc::EPROTONOSUPPORT)),
            (libc::AF_NETLINK, Families::Everyday) => or(third == 0 || third == 15, errno(libc::EPROTONOSUPPORT)),
            _ => errno(libc::EAFNOSUPPORT),
        },
        Decision::Check(Check::Socketpair) => or(first as i32 == libc::AF_UNIX, errno(libc::EAFNOSUPPORT)),
        Decision::Check(Check::Kcmp) => or(third == 0, refused),
        Decision::Check(Check::Fcntl) => or(![1024, 1040].contains(&second), refused),
        Decision::Check(Check::Sockopt { reads }) => {
            let bad = match (second, reads) {
                (0, false) => matches!(third, 16 | 17 | 64..),
                (0, true) => matches!(third, 64..=79 | 81..),
                (41, false) => matches!(third, 34 | 35 | 64 | 65 | 128..),
                (41, true) => matches!(third, 64 | 65 | 128..),
                _ => false,
            };
            or(!bad, refused)
        }
        Decision::Check(Check::Setrlimit) => or(first != 4, errno(0)),
        Decision::Check(Check::Prlimit) => match (second, arguments[2], arguments[3]) {
            (4, 1.., 0) => errno(0),
            (4, 1.., 1..) => refused,
            _ => ALLOW,
        },
        Decision::Check(Check::Mode { flags }) => {
            let makes = arguments[usize::from(flags)] & 0o2000_0100 != 0;
            or(!makes || arguments[usize::from(flags) + 1] & 0o6000 == 0, refused)
        }
    }
}

/// Arguments that checks compare with, also off by one, and with upper halves that have to be ignored.
fn values() -> Vec<u64> {
    let low = [
        0, 1, 2, 3, 4, 7, 33, 34, 35, 36, 41, 63, 64, 65, 66, 67, 68, 79, 80, 81, 127, 128, 1023, 1024, 1025, 1040, 8,
        9, 10, 15, 16, 17, 38, 40, 0x80, 0x11, 0o1777, 0o2755, 0o4000, 0x10_0000, 0x2_0000, 0x2_0008, 0x4_0000,
        0x4_0008,
    ];
    let flags = [
        0o100,
        0o200_0000,
        0o2000_0000,
        0x100,
        0x200,
        0x400,
        0x0200_0000,
        0x0400_0000,
        0x0800_0000,
        0x1000_0000,
        0x2000_0000,
        0x4000_0000,
    ];
    let requests = [TIOCSTI, TIOCLINUX, TIOCSTI - 1, 0x541b, 0x8000_0000, u32::MAX, u32::MAX - 1];
    let all = low.into_iter().chain(flags).chain(requests).map(u64::from);
    all.flat_map(|value| [value, value | u64::MAX << 32]).collect()
}

fn call(name: &str) -> &'static Row {
    Row::named(name).unwrap_or_else(|| panic!("{name}"))
}

fn entries(words: &[&str]) -> Vec<Entry> {
    words.iter().map(|word| word.parse().unwrap()).collect()
}

fn with(base: Base, allow: &[&str], deny: &[&str]) -> Policy {
    Policy { allow: entries(allow), deny: entries(deny), ..Policy::new(base) }
}

const PAIRS: [[Arch; 2]; 2] = [[Arch::X86_64, Arch::X86], [Arch::Aarch64, Arch::Arm]];

fn policies() -> Vec<Policy> {
    let mut all = Vec::new();
    for base in [Base::Default, Base::Strict, Base::Off] {
        for nested in [false, true] {
            for network in [false, true] {
                for arches in PAIRS {
                    for arches in [vec![arches[0]], arches.to_vec()] {
                        all.push(Policy { nested, network, arches, ..Policy::new(base) });
                    }
                }
            }
        }
    }
    let guarded: Vec<_> = all.iter().filter(|policy| policy.nested).cloned().collect();
    all.extend(guarded.into_iter().map(|policy| Policy { keeps_core_limit: true, ..policy }));
    let with_bits: Vec<_> = all.iter().filter(|policy| policy.network && !policy.nested).cloned().collect();
    all.extend(with_bits.into_iter().map(|policy| Policy { setuid_bits: true, ..policy }));
    all
}

#[test]
fn rows_are_sorted_by_name_and_no_two_have_one_number() {
    for pair in ROWS.windows(2) {
        assert!(pair[0].name() < pair[1].name(), "{} {}", pair[0].name(), pair[1].name());
    }
    for arch in Arch::ALL {
        let mut seen = BTreeMap::new();
        for row in &ROWS {
            if let Some(other) = row.number(arch).and_then(|number| seen.insert(number, row.name())) {
                panic!("{arch:?}: {other} and {}", row.name());
            }
        }
    }
    assert!(ROWS.iter().all(|row| Arch::ALL.iter().any(|arch| row.number(*arch).is_some())));
}

/// Names in sbx's table that the crate `syscalls` lacks on an architecture, and why.
const NOT_IN_CRATE: &[(Arch, &str, &str)] = &[
    (Arch::Aarch64, "newfstatat", "the crate calls it fstatat, after the function and not after the kernel's table"),
    (Arch::Arm, "breakpoint", "one of ARM's private calls, above 0xf0000"),
    (Arch::Arm, "cacheflush", "one of ARM's private calls, above 0xf0000"),
    (Arch::Arm, "get_tls", "one of ARM's private calls, above 0xf0000"),
    (Arch::Arm, "set_tls", "one of ARM's private calls, above 0xf0000"),
    (Arch::Arm, "usr26", "one of ARM's private calls, above 0xf0000"),
    (Arch::Arm, "usr32", "one of ARM's private calls, above 0xf0000"),
];

#[test]
fn numbers_are_those_of_the_crate_syscalls() {
    fn theirs(arch: Arch) -> BTreeMap<String, u32> {
        macro_rules! all {
            ($module:ident) => {
                (0..1000)
                    .filter_map(syscalls::$module::Sysno::new)
                    .map(|call| (call.name().trim_start_matches("r#").to_owned(), call.id() as u32))
                    .collect()
            };
        }
        match arch {
            Arch::X86_64 => all!(x86_64),
            Arch::X86 => all!(x86),
            Arch::Aarch64 => all!(aarch64),
            Arch::Arm => all!(arm),
        }
    }
    for arch in Arch::ALL {
        let mut theirs = theirs(arch);
        // The generic table gives 403 to 423 to 32-bit architectures alone.
        theirs.retain(|_, number| arch != Arch::Aarch64 || !(403..=423).contains(number));
        for row in &ROWS {
            let listed = NOT_IN_CRATE.iter().any(|(on, name, _)| *on == arch && *name == row.name());
            if listed {
                assert!(theirs.remove(row.name()).is_none(), "{arch:?} {}: the crate has it", row.name());
            } else {
                assert_eq!(row.number(arch), theirs.remove(row.name()), "{arch:?} {}", row.name());
            }
        }
        let stray = theirs.remove("fstatat");
        assert_eq!(stray, (arch == Arch::Aarch64).then_some(79));
        assert!(theirs.is_empty(), "{arch:?}: rows are missing: {theirs:?}");
    }
}

#[test]
fn a_reason_stands_where_something_is_not_plainly_allowed_and_nowhere_else() {
    for row in &ROWS {
        let plain = row.default == Rule::Allow && row.strict == Rule::Allow;
        assert_eq!(row.why == Why::Nothing, plain, "{}", row.name());
        let only_strict = row.default == Rule::Allow && !plain;
        assert_eq!(only_strict, row.why.text().contains("strict:"), "{}", row.name());
        let text = row.why.text();
        assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
    }
}

#[test]
fn strict_allows_nothing_that_default_does_not() {
    for (nested, network) in [(false, false), (false, true), (true, false), (true, true)] {
        let [default, strict] =
            [Base::Default, Base::Strict].map(|base| Policy { nested, network, ..Policy::new(base) });
        for row in &ROWS {
            for arch in Arch::ALL {
                match (strict.decide(row, arch), default.decide(row, arch)) {
                    (Decision::Allow, default) => assert_eq!(default, Decision::Allow, "{}", row.name()),
                    (Decision::Check(_), Decision::Errno(_)) => panic!("{}", row.name()),
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn filters_give_what_the_table_says_for_every_number_and_every_argument_that_matters() {
    for policy in policies() {
        let filter = compile(&policy);
        for arch in Arch::ALL {
            let private = 0xf_0000..0xf_0010;
            for number in (0..600).chain(private).chain([X32 - 1, u32::MAX, u32::MAX - 1]) {
                let none = [0; 6];
                assert_eq!(verdict(&filter, arch, number, none), expected(&policy, arch.audit(), number, none));
            }
            if !policy.covered().contains(&arch) {
                continue;
            }
            for row in ROWS.iter().filter(|row| matches!(policy.decide(row, arch), Decision::Check(_))) {
                let Some(number) = row.number(arch) else { continue };
                for value in values() {
                    for other in [0, 3, 4, 41, 1 << 32, u64::from(u32::MAX), TIOCSTI.into(), 16] {
                        for arguments in [
                            [value, other, other, 0, 0, 0],
                            [other, value, other, 0, 0, 0],
                            [other, other, value, 0, 0, 0],
                            [other, other, other, value, 0, 0],
                        ] {
                            let expected = expected_of(&policy, arch, Some(row), arguments);
                            let verdict = verdict(&filter, arch, number, arguments);
                            assert_eq!(verdict, expected, "{policy:?} {arch:?} {} {arguments:x?}", row.name());
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn calls_of_x32_and_of_architectures_that_are_not_listed_look_absent() {
    for base in [Base::Default, Base::Strict] {
        let policy = Policy { arches: vec![Arch::X86_64], ..Policy::new(base) };
        let filter = compile(&policy);
        for number in 0..600 {
            assert_eq!(verdict(&filter, Arch::X86_64, X32 | number, [0; 6]), ENOSYS);
            assert_eq!(verdict(&filter, Arch::X86, number, [0; 6]), ENOSYS);
            assert_eq!(run(&filter, 0x1234, number, [0; 6]).0, ENOSYS);
        }
    }
    let both = compile(&Policy { arches: PAIRS[0].to_vec(), ..Policy::new(Base::Default) });
    assert_eq!(verdict(&both, Arch::X86, 3, [0; 6]), ALLOW, "read");
    assert_eq!(verdict(&both, Arch::X86, 26, [0; 6]), EPERM, "ptrace");
    assert_eq!(verdict(&both, Arch::X86_64, 26, [0; 6]), ALLOW, "msync");
}

#[test]
fn what_is_denied_where_nothing_else_is_refused_is_denied_to_32_bit_programs_too() {
    let filter = compile(&Policy { arches: vec![Arch::X86_64], ..with(Base::Off, &[], &["ptrace"]) });
    assert_eq!(verdict(&filter, Arch::X86_64, 101, [0; 6]), EPERM);
    assert_eq!(verdict(&filter, Arch::X86, 26, [0; 6]), EPERM);
    assert_eq!(verdict(&filter, Arch::X86_64, X32 | 521, [0; 6]), ENOSYS);
    assert_eq!(verdict(&filter, Arch::X86_64, 600, [0; 6]), ALLOW);
    assert_eq!(compile(&Policy { setuid_bits: true, ..Policy::new(Base::Off) }).len(), 1);
}

#[test]
fn whatever_is_allowed_or_refused_outright_is_decided_without_a_look_at_arguments() {
    for policy in policies() {
        let filter = compile(&policy);
        for arch in policy.covered() {
            for row in &ROWS {
                let Some(number) = row.number(arch) else { continue };
                let checked = matches!(policy.decide(row, arch), Decision::Check(_));
                assert_eq!(run(&filter, arch.audit(), number, [0; 6]).1, checked, "{}", row.name());
            }
        }
    }
}

#[test]
fn a_name_is_more_specific_than_a_group_and_on_a_tie_the_denial_wins() {
    let decide = |allow: &[&str], deny: &[&str], name| decide(&with(Base::Default, allow, deny), name).unwrap();
    let refused = Decision::Errno(libc::EPERM as u16);
    assert_eq!(decide(&[], &[], "ptrace"), refused);
    assert_eq!(decide(&["@debug"], &[], "ptrace"), Decision::Allow);
    assert_eq!(decide(&["@debug"], &["ptrace"], "ptrace"), refused);
    assert_eq!(decide(&["ptrace"], &["@debug"], "ptrace"), Decision::Allow);
    assert_eq!(decide(&["@debug"], &["@debug"], "ptrace"), refused);
    assert_eq!(decide(&["ptrace"], &["ptrace"], "ptrace"), refused);
    assert_eq!(decide(&[], &["@network-io"], "connect"), refused);
    assert_eq!(decide(&["keyctl"], &["@keyring"], "add_key"), refused);
}

#[test]
fn a_group_lifts_refusals_and_leaves_guards() {
    let open = with(Base::Default, &["@known"], &[]);
    for (name, number) in [("clone", 56), ("unshare", 272), ("ioctl", 16), ("socket", 41), ("socketpair", 53)] {
        assert!(matches!(decide(&open, name), Ok(Decision::Check(_))), "{name}");
        assert_eq!(call(name).number(Arch::X86_64), Some(number));
    }
    assert_eq!(decide(&open, "clone3"), Ok(Decision::ABSENT));
    assert_eq!(decide(&open, "setns"), Ok(Decision::Errno(libc::EPERM as u16)));
    for name in ["mount", "bpf", "ptrace", "io_uring_setup", "reboot"] {
        assert_eq!(decide(&open, name), Ok(Decision::Allow), "{name}");
    }
    assert_eq!(decide(&with(Base::Default, &["socket"], &[]), "socket"), Ok(Decision::Allow), "a name lifts the guard");
    let strict = Policy { network: false, ..with(Base::Strict, &["@network-io"], &[]) };
    assert_eq!(decide(&strict, "socket"), Ok(Decision::Check(Check::Socket(Families::Everyday))));
}

#[test]
fn namespaces_come_with_what_is_needed_in_them() {
    let calls =
        ["clone", "clone3", "unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "open_tree", "fsopen"];
    for base in [Base::Default, Base::Strict] {
        for name in calls {
            let nested = |nested| decide(&Policy { nested, mounts: nested, ..Policy::new(base) }, name).unwrap();
            assert_eq!(nested(true), Decision::Allow, "{name}");
            assert_ne!(nested(false), Decision::Allow, "{name}");
        }
    }
}

#[test]
fn debuggers_may_have_fixed_addresses() {
    let filter = |policy: Policy| compile(&Policy { arches: vec![Arch::X86_64], ..policy });
    let [plain, debug, trace] =
        [&[][..], &["@debug"], &["ptrace"]].map(|allow| filter(with(Base::Default, allow, &[])));
    let personality = |filter: &[sock_filter], domain| verdict(filter, Arch::X86_64, 135, [domain, 0, 0, 0, 0, 0]);
    assert_eq!(personality(&plain, 0x4_0000), EPERM);
    assert_eq!(personality(&debug, 0x4_0000), ALLOW);
    assert_eq!(personality(&trace, 0x4_0000), ALLOW);
    assert_eq!(personality(&trace, 0x40_0000), EPERM, "READ_IMPLIES_EXEC");
    assert_eq!(personality(&debug, 0x4_0008), ALLOW);
    assert_eq!(personality(&debug, 0x40_0000), EPERM, "READ_IMPLIES_EXEC");
    assert_eq!(personality(&plain, 0xffff_ffff), ALLOW);
}

#[test]
fn a_denied_call_gets_the_errno_and_what_libraries_fall_back_from_stays_absent() {
    let policy = Policy { errno: libc::EACCES as u16, ..with(Base::Default, &[], &["@process", "@aio", "mkdir"]) };
    assert_eq!(decide(&policy, "mkdir"), Ok(Decision::Errno(libc::EACCES as u16)));
    assert_eq!(decide(&policy, "clone"), Ok(Decision::Errno(libc::EACCES as u16)));
    assert_eq!(decide(&policy, "bpf"), Ok(Decision::Errno(libc::EACCES as u16)));
    assert_eq!(decide(&policy, "clone3"), Ok(Decision::ABSENT));
    assert_eq!(decide(&policy, "io_uring_setup"), Ok(Decision::ABSENT));
    assert_eq!(decide(&Policy { nested: true, ..with(Base::Off, &[], &["clone3"]) }, "clone3"), Ok(Decision::ABSENT));
}

#[test]
fn sixteen_bit_code_is_for_32_bit_programs() {
    let policy = Policy::new(Base::Default);
    assert_eq!(policy.decide(call("modify_ldt"), Arch::X86), Decision::Allow);
    assert_ne!(policy.decide(call("modify_ldt"), Arch::X86_64), Decision::Allow);
}

#[test]
fn an_unknown_word_brings_the_one_that_was_meant() {
    let said = |word: &str| word.parse::<Entry>().unwrap_err().to_string();
    assert_eq!(said("ptrac"), "unknown system call `ptrac`; did you mean `ptrace`?");
    assert_eq!(said("@keyrings"), "unknown group of system calls `@keyrings`; did you mean `@keyring`?");
    assert_eq!(said("zzzzzzzzzz"), "unknown system call `zzzzzzzzzz`");
    for word in ["@system-service", "@sandbox", "read", "_llseek"] {
        assert_eq!(word.parse::<Entry>().unwrap().to_string(), word);
    }
}

#[test]
fn what_is_refused_is_told_with_reasons() {
    let refusals = refusals(&with(Base::Default, &["@debug"], &["mkdir"]), Arch::X86_64);
    let why = |name: &str| refusals.iter().find(|refusal| refusal.name == name).map(|refusal| refusal.why);
    assert_eq!(why("mkdir"), Some("denied by the profile"));
    assert_eq!(why("bpf"), Some("loads programs into the kernel"));
    assert_eq!(why("ptrace"), None);
    assert!(why("socket").is_some(), "refused with some arguments");
    assert_eq!(why("vm86"), None, "no such call there");
    assert!(refusals.iter().all(|refusal| !refusal.why.is_empty()));
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let groups: Vec<Entry> = Group::names().filter_map(Group::named).map(Entry::Group).collect();
    prop_oneof![3 => (0..ROWS.len()).prop_map(|at| Entry::Call(&ROWS[at])), 1 => proptest::sample::select(groups)]
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let base = proptest::sample::select(vec![Base::Default, Base::Strict, Base::Off]);
    let arches = proptest::sample::subsequence(Arch::ALL.to_vec(), 1..=4);
    // Up to every other call, so that jumps become long.
    let entries =
        || prop_oneof![proptest::collection::vec(any_entry(), 0..6), proptest::collection::vec(any_entry(), 0..250)];
    let switches = [any::<bool>(), any::<bool>(), any::<bool>()];
    (base, switches, entries(), entries(), 1..4096u16, arches).prop_map(
        |(base, [nested, network, setuid_bits], allow, deny, errno, arches)| Policy {
            base,
            nested,
            mounts: nested,
            network,
            setuid_bits,
            file_capabilities: nested,
            keeps_core_limit: network,
            net_admin: false,
            allow,
            deny,
            errno,
            arches,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_policy_compiles_to_a_filter_that_gives_what_it_says(
        policy in any_policy(),
        arguments in proptest::collection::vec(prop_oneof![proptest::sample::select(values()), any::<u64>()], 6),
    ) {
        let filter = compile(&policy);
        prop_assert!(filter.len() <= 4096);
        let arguments: [u64; 6] = arguments.try_into().unwrap();
        for audit in Arch::ALL.map(Arch::audit).into_iter().chain([0, 0x1234]) {
            for number in (0..560).chain([X32, X32 | 16, X32 | 514, 0xf_0002, u32::MAX]) {
                prop_assert_eq!(run(&filter, audit, number, arguments).0, expected(&policy, audit, number, arguments));
            }
        }
    }
}

#[test]
fn the_filter_of_two_architectures_with_every_other_call_denied_is_not_too_long() {
    for arches in PAIRS {
        let mut numbers: Vec<&'static Row> = ROWS.iter().filter(|row| row.number(arches[0]).is_some()).collect();
        numbers.sort_by_key(|row| row.number(arches[0]));
        let deny = numbers.iter().step_by(2).map(|row| Entry::Call(row)).collect();
        let allow = numbers.iter().skip(1).step_by(2).map(|row| Entry::Call(row)).collect();
        let policy = Policy { arches: arches.to_vec(), allow, deny, ..Policy::new(Base::Default) };
        let filter = compile(&policy);
        assert!(filter.len() <= 4096, "{}", filter.len());
        for number in 0..600 {
            for arch in arches {
                assert_eq!(verdict(&filter, arch, number, [0; 6]), expected(&policy, arch.audit(), number, [0; 6]));
            }
        }
    }
}

#[test]
fn a_filter_is_short() {
    // A number that is read in reviews: it changes with the table.
    let native = |base| compile(&Policy { arches: vec![Arch::X86_64], ..Policy::new(base) }).len();
    assert!(native(Base::Default) < 150, "{}", native(Base::Default));
    assert!(native(Base::Strict) < 170, "{}", native(Base::Strict));
}

#[test]
fn what_is_allowed_is_what_the_filter_of_seccompiler_for_the_same_calls_allows() {
    let arch = Arch::NATIVE;
    for base in [Base::Default, Base::Strict] {
        let policy = Policy::new(base);
        let ours = compile(&policy);
        let allowed = ROWS.iter().filter(|row| policy.decide(row, arch) == Decision::Allow);
        let rules: BTreeMap<i64, Vec<SeccompRule>> =
            allowed.filter_map(|row| Some((row.number(arch)?.into(), Vec::new()))).collect();
        let target = std::env::consts::ARCH.try_into().unwrap();
        let refuse = SeccompAction::Errno(libc::ENOSYS as u32);
        let theirs: BpfProgram =
            SeccompFilter::new(rules, refuse, SeccompAction::Allow, target).unwrap().try_into().unwrap();
        let mut compared = 0;
        for number in 0..600 {
            let (verdict, looked) = run(&ours, arch.audit(), number, [0; 6]);
            // Where an argument decides, theirs has no rule.
            if !looked {
                let (other, _) = run(&theirs, arch.audit(), number, [0; 6]);
                assert_eq!(verdict == ALLOW, other == ALLOW, "{base:?}: {number}");
                compared += 1;
            }
        }
        assert!(compared > 580, "{compared}");
        assert!(ours.len() < theirs.len() / 2, "{} and {} instructions", ours.len(), theirs.len());
    }
}

#[test]
fn input_for_a_terminal_is_refused_even_where_the_call_is_allowed_by_its_name() {
    for base in [Base::Default, Base::Strict] {
        for allow in ["ioctl", "@system-service", "@known"] {
            let filter = compile(&Policy { arches: vec![Arch::X86_64], ..with(base, &[allow], &[]) });
            let ioctl = |request: u32| verdict(&filter, Arch::X86_64, 16, [0, request.into(), 0, 0, 0, 0]);
            assert_eq!((ioctl(TIOCSTI), ioctl(TIOCLINUX), ioctl(0x5401)), (EPERM, EPERM, ALLOW), "{base:?} {allow}");
        }
    }
}

#[test]
fn a_ready_filter_is_for_its_policy_alone_and_is_what_that_compiles_to() {
    let usual = || Policy { keeps_core_limit: true, ..Policy::new(Base::Default) };
    assert_eq!(ready(&usual()), Some(compile(&usual())), "the policy of `default`");
    assert_eq!(ready(&Policy { network: false, ..usual() }), Some(compile(&Policy { network: false, ..usual() })));
    let others = [
        Policy { base: Base::Strict, ..usual() },
        Policy { base: Base::Off, ..usual() },
        Policy { nested: true, mounts: true, ..usual() },
        Policy { net_admin: true, ..usual() },
        Policy { setuid_bits: true, ..usual() },
        Policy { file_capabilities: true, ..usual() },
        Policy { keeps_core_limit: false, ..usual() },
        Policy { errno: libc::EACCES as u16, ..usual() },
        Policy { allow: entries(&["ptrace"]), ..usual() },
        Policy { allow: entries(&["@debug"]), ..usual() },
        Policy { deny: entries(&["chmod"]), ..usual() },
        Policy { arches: Vec::new(), ..usual() },
        Policy { arches: [Arch::NATIVE].into_iter().chain(Arch::NATIVE.companion()).collect(), ..usual() },
    ];
    for policy in others {
        assert_eq!(ready(&policy), None, "{policy:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_filter_is_what_its_policy_compiles_to(policy in any_policy()) {
        prop_assert_eq!(filter(&policy), compile(&policy));
    }
}
