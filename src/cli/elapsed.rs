//! Times as people say them: podman's and docker's words.

use crate::error::{Error, Result};
use crate::sys;
use std::time::{Duration, UNIX_EPOCH};

/// How long something took: `5 minutes`, `About an hour`.
pub(super) fn words(time: Duration) -> String {
    let (seconds, minutes) = (time.as_secs(), time.as_secs() / 60);
    // Rounded, as those do it.
    let hours = (time.as_secs() + 1800) / 3600;
    let many = |count: u64, what: &str| format!("{count} {what}");
    match (seconds, minutes, hours) {
        (0, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (2..60, ..) => many(seconds, "seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, 2..60, _) => many(minutes, "minutes"),
        (_, _, 1) => "About an hour".to_owned(),
        (_, _, 0..48) => many(hours, "hours"),
        (_, _, 48..336) => many(hours / 24, "days"),
        (_, _, 336..1440) => many(hours / 24 / 7, "weeks"),
        (_, _, 1440..17520) => many(hours / 24 / 30, "months"),
        _ => many(hours / 24 / 365, "years"),
    }
}

/// A time as Go prints it: `1h2m3.5s`, `20ms`, `0s`.
pub(super) fn go(time: Duration) -> String {
    let trimmed = |number: String| {
        if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.').to_owned() } else { number }
    };
    let nanoseconds = time.as_nanos();
    match (time.as_secs(), nanoseconds) {
        (_, 0) => "0s".to_owned(),
        (0, 1_000_000..) => {
            format!("{}ms", trimmed(format!("{}.{:06}", nanoseconds / 1_000_000, nanoseconds % 1_000_000)))
        }
        (0, 1000..) => format!("{}µs", trimmed(format!("{}.{:03}", nanoseconds / 1000, nanoseconds % 1000))),
        (0, _) => format!("{nanoseconds}ns"),
        (seconds, _) => {
            let rest = trimmed(format!("{}.{:09}", seconds % 60, time.subsec_nanos()));
            match (seconds / 3600, seconds / 60 % 60) {
                (0, 0) => format!("{rest}s"),
                (0, minutes) => format!("{minutes}m{rest}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{rest}s"),
            }
        }
    }
}

/// How long ago a time was: nanoseconds since 1970. A clock that was set back since gives the shortest time.
pub(super) fn since(time: u64) -> Duration {
    Duration::from_nanos(sys::realtime_nanoseconds().saturating_sub(time))
}

/// A time, nanoseconds since 1970, as RFC 3339 has it.
pub(super) fn rfc3339(time: u64) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_nanos(time)).unwrap_or(UNIX_EPOCH);
    humantime::format_rfc3339_nanos(time).to_string()
}

/// The time that a text means, in nanoseconds since 1970: one of RFC 3339, seconds since 1970, or a time that has passed since, such as 10m.
pub(super) fn when(text: &str) -> Result<u64> {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    if let Ok(seconds) = text.parse::<f64>()
        && let Ok(time) = Duration::try_from_secs_f64(seconds)
    {
        return Ok(nanoseconds(time));
    }
    // One that is yet to come.
    if let Some(Ok(ahead)) = text.strip_prefix('-').map(humantime::parse_duration) {
        return Ok(sys::realtime_nanoseconds().saturating_add(nanoseconds(ahead)));
    }
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(sys::realtime_nanoseconds().saturating_sub(nanoseconds(ago)));
    }
    let day = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    match humantime::parse_rfc3339_weak(&day).ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()) {
        Some(time) => Ok(nanoseconds(time)),
        None => {
            Err(Error::new(format!("`{text}` is no time"))
                .hint("write 10m, 2026-11-29T12:00:00Z or seconds since 1970"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_as_go_prints_them() {
        for (microseconds, said) in [
            (0, "0s"),
            (1500, "1.5ms"),
            (20, "20µs"),
            (1_000_000, "1s"),
            (22_785_444, "22.785444s"),
            (60_000_000, "1m0s"),
            (3_600_000_000 * 26 + 62_500_000, "26h1m2.5s"),
        ] {
            assert_eq!(go(Duration::from_micros(microseconds)), said, "{microseconds}");
        }
    }

    #[test]
    fn times_are_said_as_docker_says_them() {
        const HOUR: u64 = 3600;
        for (seconds, said) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (59 * 60 + 59, "59 minutes"),
            (HOUR, "About an hour"),
            (2 * HOUR, "2 hours"),
            (47 * HOUR, "47 hours"),
            (48 * HOUR, "2 days"),
            (14 * 24 * HOUR, "2 weeks"),
            (60 * 24 * HOUR, "2 months"),
            (730 * 24 * HOUR, "2 years"),
        ] {
            assert_eq!(words(Duration::from_secs(seconds)), said, "{seconds}");
        }
    }

    #[test]
    fn times_are_absolute_or_so_long_ago() {
        assert_eq!(when("0.5"), Ok(500_000_000));
        assert_eq!(when("1970-01-01T00:00:01Z"), Ok(1_000_000_000));
        assert_eq!(when("1970-01-02"), Ok(86_400_000_000_000));
        let ago = when("10m").unwrap();
        assert!(sys::realtime_nanoseconds() - ago >= 600_000_000_000);
        assert!(when("-10m").unwrap() - sys::realtime_nanoseconds() > 500_000_000_000);
        assert!(when("yesterday").is_err());
    }
}
