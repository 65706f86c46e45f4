//! A filter that was compiled when sbx was: its policy, in so far as the shipped profiles differ, and its instructions.

use super::compile::compile;
use super::policy::{Base, Entry, Policy};
use super::row::Arch;
use crate::sys::sock_filter;
use std::fmt::Write;

/// A compiled filter with the policy that it is for.
pub(super) struct Ready {
    /// Whether nested namespaces can be made.
    pub nested: bool,
    /// Whether filesystems can be mounted in them.
    pub mounts: bool,
    /// The names of the calls that are allowed besides.
    pub allow: &'static [&'static str],
    /// What [`compile`] makes of that policy.
    pub code: &'static [sock_filter],
}

impl Ready {
    /// Whether this filter is that of a policy.
    pub fn is_for(&self, policy: &Policy) -> bool {
        let same = |(entry, name): (&Entry, &&str)| matches!(entry, Entry::Call(row) if row.name() == *name);
        policy.nested == self.nested
            && policy.mounts == self.mounts
            && policy.allow.len() == self.allow.len()
            && policy.allow.iter().zip(self.allow).all(same)
            && policy.arches == [Arch::NATIVE]
            && is_usual(policy)
    }
}

/// Whether a policy differs from those of the shipped profiles at most in what [`Ready`] names, and in its architectures.
fn is_usual(policy: &Policy) -> bool {
    // Every field is named, so that a new one is thought about.
    let Policy {
        base,
        nested: _,
        mounts: _,
        net_admin,
        network: _, // of no meaning but for `strict`
        setuid_bits,
        file_capabilities,
        keeps_core_limit,
        allow: _,
        deny,
        errno,
        arches: _,
    } = policy;
    *base == Base::Default
        && !net_admin
        && !setuid_bits
        && !file_capabilities
        && *keeps_core_limit
        && deny.is_empty()
        && *errno == libc::EPERM as u16
}

/// The text of `filters.rs` for these policies, each of which is there once.
///
/// # Panics
///
/// A policy is not one that `Ready` can name.
pub fn generate(policies: &[Policy]) -> String {
    let mut text = String::from(
        "//! Generated from the policies of the shipped profiles by `SBX_UPDATE=1 cargo test --test generated`.\n\n\
         use super::super::bpf::op as i;\nuse super::ready::Ready;\n",
    );
    for (arch, word) in [(Arch::X86_64, "x86_64"), (Arch::Aarch64, "aarch64")] {
        let _ = write!(
            text,
            "\n/// The filters of this architecture.\n#[rustfmt::skip]\n#[cfg(target_arch = \"{word}\")]\n\
             pub(super) static FILTERS: &[Ready] = &[\n"
        );
        let mut heads = Vec::new();
        for policy in policies {
            assert!(is_usual(policy), "a shipped profile has a policy that no ready filter is for: {policy:?}");
            let allow: Vec<_> = policy.allow.iter().map(|entry| format!("{:?}", entry.to_string())).collect();
            let head = format!(
                "    Ready {{ nested: {}, mounts: {}, allow: &[{}], code: &[",
                policy.nested,
                policy.mounts,
                allow.join(", ")
            );
            if heads.contains(&head) {
                continue;
            }
            text.push_str(&head);
            let code = compile(&Policy { arches: vec![arch], ..policy.clone() });
            for (at, instruction) in code.iter().enumerate() {
                text.push_str(if at % 5 == 0 { "\n        " } else { " " });
                let sock_filter { code, jt, jf, k } = instruction;
                let _ = write!(text, "i({code:#x}, {jt}, {jf}, {k:#x}),");
            }
            text.push_str("\n    ] },\n");
            heads.push(head);
        }
        text.push_str("];\n");
    }
    text
}
