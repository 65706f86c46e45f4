//! System calls: a table of all of them, which of them the program may make, and the seccomp filter that enforces it.
//! Nothing here changes anything.
//!
//! ```text
//! table    every call of Linux 6.18: numbers, groups, decisions          (data)
//! row      the type of its rows                                          (type)
//! group    groups of calls, as @NAME                                      (data)
//! why      why a call is not allowed, one line for each reason            (data)
//! policy   base, allow, deny → a decision for each row and architecture
//! compile  policy → classic BPF
//! ready    the type of a filter that is compiled when sbx is             (type)
//! filters  those of the shipped profiles                                  (data)
//! filter   policy → one of these, or else a filter that is compiled now
//! ```

pub mod compile;
pub mod filter;
mod filters;
pub mod group;
pub mod policy;
pub mod ready;
pub mod row;
pub mod table;
#[cfg(test)]
mod tests;
pub mod why;

pub use compile::compile;
pub use filter::{filter, ready};
pub use group::Group;
pub use policy::{
    Base, Check, Decision, Entry, Families, Policy, Refusal, Unknown, allowed, decide, giving_setuid_bits,
    keeps_core_limit, refusals,
};
pub use row::{Arch, Guard, Row, Rule};
pub use why::Why;
