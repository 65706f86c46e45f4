//! Compares a limit that was written to a file of a cgroup with what the file says afterwards.

use crate::spec::limits::{self, Form};

/// Whether `found`, as read from a file of a cgroup, means the same as `written`: the kernel rounds sizes to pages, and
/// prints lists, weights and devices in a form of its own.
pub(super) fn holds(form: Form, written: &str, found: &str) -> bool {
    let found = found.trim();
    let number = |text: &str| text.parse::<u64>().ok();
    match form {
        Form::Bytes | Form::Pages => match (number(written), number(found)) {
            // The kernel rounds down to whole pages: of at most 64 KiB, and huge pages of at most 1 GiB.
            (Some(written), Some(found)) => {
                found <= written && written - found < if form == Form::Bytes { 65_536 } else { 1 << 30 }
            }
            // More than the kernel can count is `max`.
            (Some(written), None) => found == "max" && written >= 1 << 62,
            _ => written == found,
        },
        Form::Cpu => found == written || (written == "max" && found.starts_with("max ")),
        Form::Weight => found.lines().any(|line| line.trim_start_matches("default ").trim() == written),
        Form::Set => limits::numbers(found).zip(limits::numbers(written)).is_some_and(|(mut found, mut written)| {
            found.sort_unstable();
            written.sort_unstable();
            written.dedup();
            found == written
        }),
        Form::Rates | Form::Latency => {
            let mut words = written.split_whitespace();
            let device = words.next().unwrap_or_default();
            let line = found.lines().find(|line| line.split_whitespace().next() == Some(device)).unwrap_or_default();
            let unlimited = |word: &str| word.ends_with("=max") && line.is_empty();
            words.all(|word| unlimited(word) || line.split_whitespace().any(|other| other == word))
        }
        Form::Count | Form::Switch => written == found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_compared_by_what_their_files_mean() {
        assert!(holds(Form::Bytes, "67108864", "67108864\n") && holds(Form::Bytes, "67108865", "67108864\n"));
        assert!(!holds(Form::Bytes, "67108864", "max\n") && !holds(Form::Bytes, "67108864", "134217728\n"));
        assert!(holds(Form::Bytes, "max", "max\n") && holds(Form::Bytes, "0", "0\n"));
        assert!(holds(Form::Cpu, "max", "max 100000\n") && !holds(Form::Cpu, "50000 100000", "max 100000\n"));
        assert!(holds(Form::Weight, "50", "default 50\n") && holds(Form::Weight, "50", "50\n"));
        assert!(holds(Form::Set, "0,1", "0-1\n") && !holds(Form::Set, "0", "0-1\n") && !holds(Form::Set, "0", "\n"));
        assert!(holds(Form::Rates, "8:0 wbps=1048576", "8:0 rbps=max wbps=1048576 riops=max wiops=max\n"));
        assert!(!holds(Form::Rates, "8:0 wbps=1048576", "8:16 rbps=max wbps=1048576 riops=max wiops=max\n"));
    }
}
