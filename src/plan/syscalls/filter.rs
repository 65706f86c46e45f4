//! Policy → filter: one that was compiled when sbx was, where it is the policy of a shipped profile, or else one that is
//! compiled now. [`compile`] makes both, and a test compares them.

use super::compile::compile;
use super::filters::FILTERS;
use super::policy::Policy;
use crate::sys::BpfProgram;

/// The filter of a policy.
pub fn filter(policy: &Policy) -> BpfProgram {
    ready(policy).unwrap_or_else(|| compile(policy))
}

/// The filter of a policy, if it was compiled when sbx was.
pub fn ready(policy: &Policy) -> Option<BpfProgram> {
    FILTERS.iter().find(|ready| ready.is_for(policy)).map(|ready| ready.code.to_vec())
}
