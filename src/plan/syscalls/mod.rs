//! System calls: which there are, which a sandbox's program may make, and the seccomp filter that sees to it. Pure.
//!
//! ```text
//! table    every call of Linux 6.18: numbers, groups, decisions          (data)
//! row      what a row of it can say                   group  the @names       why  the reasons, one line each
//! policy   base, allow, deny → a decision for each row and architecture
//! compile  policy → classic BPF
//! ```

pub mod compile;
pub mod group;
pub mod policy;
pub mod row;
pub mod table;
#[cfg(test)]
mod tests;
pub mod why;

pub use compile::compile;
pub use group::Group;
pub use policy::{Base, Check, Decision, Entry, Families, Policy, Refusal, Unknown, allowed, decide, refusals};
pub use row::{Arch, Guard, Row, Rule};
pub use why::Why;
