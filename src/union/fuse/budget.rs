//! How much the changes take, and how much they may: `filesystem.upper_size`.

/// What the changes of a sandbox take.
#[derive(Debug, Default)]
pub struct Budget {
    /// How many bytes they may take; none: there is no limit.
    pub limit: Option<u64>,
    /// How many they take, or more.
    pub used: u64,
    /// Something was removed since they were counted.
    pub stale: bool,
}

impl Budget {
    /// Changes that may take so many bytes, and are to be counted first.
    pub fn new(limit: Option<u64>) -> Budget {
        Budget { limit, used: u64::MAX, stale: true }
    }

    /// Something was removed.
    pub fn freed(&mut self) {
        self.stale = true;
    }
}
