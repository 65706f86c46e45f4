//! The program's sets of capabilities.

use serde::Serialize;

/// The program's sets of capabilities (capabilities(7)), as bit masks. `None` leaves a set as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CapabilityPlan {
    /// The bounding set.
    pub bounding: Option<u64>,
    /// The effective, permitted and inheritable sets.
    pub sets: Option<u64>,
    /// The ambient set.
    pub ambient: u64,
    /// Whether id 0 gets no capabilities on exec: securebits, capabilities(7).
    pub powerless_root: bool,
}

impl CapabilityPlan {
    /// Every set empty.
    pub const EMPTY: CapabilityPlan =
        CapabilityPlan { bounding: Some(0), sets: Some(0), ambient: 0, powerless_root: true };

    /// Whether every set is empty.
    pub(super) fn is_empty(&self) -> bool {
        *self == CapabilityPlan::EMPTY
    }
}
