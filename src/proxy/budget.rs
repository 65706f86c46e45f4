//! How often something may be done that costs something, where a hostile program decides how often it is asked for.

use std::time::{Duration, Instant};

/// So much in a second, and more at once after a pause.
#[derive(Debug)]
pub struct Budget {
    each_second: f64,
    most: f64,
    left: f64,
    at: Instant,
}

impl Budget {
    /// A budget that is full.
    pub fn new(each_second: u32, most: u32) -> Budget {
        Budget { each_second: each_second.into(), most: most.into(), left: most.into(), at: Instant::now() }
    }

    /// Takes one; false if there is none left.
    pub fn take(&mut self, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.each_second;
        (self.left, self.at) = ((self.left + gained).min(self.most), self.at.max(now));
        let any = self.left >= 1.0;
        self.left -= f64::from(u8::from(any));
        any
    }

    /// How long it takes until there are so many.
    pub fn until(&self, wanted: u32) -> Duration {
        Duration::from_secs_f64((f64::from(wanted) - self.left).max(0.0) / self.each_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_so_much_in_a_second() {
        let mut budget = Budget::new(10, 3);
        let now = budget.at;
        assert_eq!([0, 0, 0, 0].map(|_| budget.take(now)), [true, true, true, false]);
        assert!(budget.take(now + Duration::from_millis(150)));
        assert!(!budget.take(now + Duration::from_millis(150)));
        assert_eq!(budget.until(1), Duration::from_millis(50));
        let later = now + Duration::from_secs(60);
        assert_eq!([0, 0, 0, 0].map(|_| budget.take(later)), [true, true, true, false]);
    }
}
