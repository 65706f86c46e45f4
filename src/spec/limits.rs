//! Limits of cgroup v2: what is limited to how much, and how values are written. Which there are stands in `profile::schema`; the
//! names are those of the files without the dots, as in "Control Group v2" of the kernel's documentation.

use super::Origin;
use super::size::parse_size;
use serde::Serialize;
use std::path::PathBuf;

/// What a sandbox may use, and whether it is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Limits {
    /// One by one.
    pub list: Vec<Limit>,
    /// The program may make cgroups below its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delegate: Option<Origin>,
    /// The sandbox's part of the hierarchy is shown at /sys/fs/cgroup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroupfs: Option<Origin>,
    /// Somebody wants to know what was used.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stats: bool,
}

impl Limits {
    /// Whether the sandbox is to have a cgroup of its own.
    pub fn wanted(&self) -> bool {
        *self != Limits::default()
    }
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Its name in `[limits]`.
    pub name: &'static str,
    /// Where it is written.
    #[serde(skip)]
    pub control: Control,
    /// What is written.
    pub value: Value,
    /// It may be missing.
    pub prefer: bool,
    /// Who asked.
    pub origin: Origin,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// As the file takes it.
    Text(String),
    /// For the device that a path lies on, or is.
    Device(PathBuf, String),
    /// For huge pages of this size, as the file's name has it.
    Pages(String, String),
}

/// How the value of a key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Bytes, or with K, M, G, T, or `max`.
    Bytes,
    /// A number or `max`.
    Count,
    /// A share of one processor in percent, `QUOTA PERIOD` in microseconds, or `max`.
    Cpu,
    /// From 1 to 10000.
    Weight,
    /// Numbers and ranges, `0-3,6`.
    Set,
    /// `true` or `false`.
    Switch,
    /// Paths to `rbps= wbps= riops= wiops=`.
    Rates,
    /// Paths to microseconds.
    Latency,
    /// Sizes of pages to bytes.
    Pages,
}

/// The file of the cgroup that a limit is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Control {
    /// The controller that has the file; none for the core's own.
    pub controller: &'static str,
    /// The file; `*` is the size of the pages.
    pub file: &'static str,
    /// How its value is written.
    pub form: Form,
}

/// A period of cpu.max, in microseconds: the kernel's default.
const PERIOD: u64 = 100_000;

impl Form {
    /// What is written to the file; the error says what would do.
    pub fn value(self, text: &str) -> Result<String, &'static str> {
        let good = |value: Option<String>, help| value.ok_or(help);
        let number = |text: &str| text.parse::<u64>().ok().map(|number| number.to_string());
        match self {
            Form::Bytes | Form::Pages if text == "max" => Ok("max".into()),
            Form::Bytes | Form::Pages => {
                good(parse_size(text).map(|size| size.to_string()), "bytes, or with K, M, G or T: `512M`, or `max`")
            }
            Form::Count if text == "max" => Ok("max".into()),
            Form::Count => good(number(text), "a number, or `max`"),
            Form::Cpu => {
                good(cpu(text), "a share of one processor such as `150%`, `QUOTA PERIOD` in microseconds, or `max`")
            }
            Form::Weight => {
                let weight = text.parse::<u32>().ok().filter(|weight| (1..=10_000).contains(weight));
                good(weight.map(|weight| weight.to_string()), "a number from 1 to 10000; what others have is 100")
            }
            Form::Set => good(numbers(text).map(|_| text.replace(' ', "")), "numbers and ranges: `0-3,6`"),
            Form::Switch => good(matches!(text, "0" | "1").then(|| text.to_owned()), "`true` or `false`"),
            Form::Rates => good(
                rates(text),
                "`rbps=`, `wbps=`, `riops=`, `wiops=` with a number, a size or `max`: \"wbps=10M riops=200\"",
            ),
            Form::Latency => good(number(text).map(|number| format!("target={number}")), "microseconds"),
        }
    }

    /// Whether a value is no freer than another.
    pub fn tightens(self, new: &str, old: Option<&str>) -> bool {
        let Some(old) = old else { return true };
        let amount = |text: &str| if text == "max" { Some(u64::MAX) } else { parse_size(text) };
        match self {
            Form::Bytes | Form::Count | Form::Weight => {
                matches!((amount(new), amount(old)), (Some(new), Some(old)) if new <= old)
            }
            Form::Cpu => {
                let share = |text: &str| {
                    let text = cpu(text)?;
                    let (quota, period) = text.split_once(' ')?;
                    let (quota, period) = (quota.parse::<u64>().ok()?, period.parse::<u64>().ok()?);
                    // In millionths of a processor.
                    Some((quota.saturating_mul(1_000_000) / period.max(1), period))
                };
                match (cpu(new).as_deref(), cpu(old).as_deref()) {
                    (_, Some("max")) => true,
                    (Some("max"), _) => false,
                    // A longer period allows longer bursts.
                    _ => {
                        matches!((share(new), share(old)), (Some((new, period)), Some((old, before))) if new <= old && period <= before)
                    }
                }
            }
            Form::Set => match (numbers(new), numbers(old)) {
                (Some(new), Some(old)) => new.iter().all(|number| old.contains(number)),
                _ => false,
            },
            Form::Switch | Form::Rates | Form::Latency | Form::Pages => new == old,
        }
    }
}

fn cpu(text: &str) -> Option<String> {
    if text == "max" {
        return Some("max".into());
    }
    if let Some(percent) = text.strip_suffix('%') {
        let percent: f64 = percent.trim().parse().ok().filter(|percent: &f64| percent.is_finite() && *percent > 0.0)?;
        // The kernel takes no quota below a millisecond; a longer period makes room for one.
        let period = if percent < 1.0 { 10 * PERIOD } else { PERIOD };
        let quota = (percent * period as f64 / 100.0).round();
        return (1000.0..1e15).contains(&quota).then(|| format!("{quota} {period}"));
    }
    let (quota, period) = text.split_once(' ')?;
    let (quota, period): (u64, u64) = (quota.parse().ok()?, period.trim().parse().ok()?);
    (quota >= 1000 && (1000..=1_000_000).contains(&period)).then(|| format!("{quota} {period}"))
}

/// The numbers of `0-3,6`.
pub fn numbers(text: &str) -> Option<Vec<u32>> {
    let mut found = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last > 1 << 16 {
            return None;
        }
        found.extend(first..=last);
    }
    Some(found)
}

fn rates(text: &str) -> Option<String> {
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        let (name, value) = word.split_once('=')?;
        let value = match value {
            "max" => "max".to_owned(),
            _ => parse_size(value).filter(|value| *value > 0)?.to_string(),
        };
        ["rbps", "wbps", "riops", "wiops"].contains(&name).then(|| words.push(format!("{name}={value}")))?;
    }
    (!words.is_empty()).then(|| words.join(" "))
}

/// A value without `,prefer`, and whether it had that.
pub fn preferred(text: &str) -> (&str, bool) {
    match text.strip_suffix("prefer").map(|rest| rest.trim_end()) {
        Some(rest) if rest.ends_with(',') => (rest.trim_end_matches(',').trim_end(), true),
        _ => (text, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_the_files_take() {
        let value = |form: Form, text: &str| form.value(text).ok();
        assert_eq!(value(Form::Bytes, "64M").as_deref(), Some("67108864"));
        assert_eq!(value(Form::Bytes, "0").as_deref(), Some("0"));
        assert_eq!(value(Form::Cpu, "150%").as_deref(), Some("150000 100000"));
        assert_eq!(value(Form::Cpu, "0.5%").as_deref(), Some("5000 1000000"));
        assert_eq!(value(Form::Cpu, "20000 50000").as_deref(), Some("20000 50000"));
        assert_eq!(value(Form::Set, "0-1, 3").as_deref(), Some("0-1,3"));
        assert_eq!(value(Form::Rates, "wbps=1M riops=max").as_deref(), Some("wbps=1048576 riops=max"));
        for (form, wrong) in [
            (Form::Bytes, "1.5G"),
            (Form::Bytes, "-1"),
            (Form::Cpu, "0%"),
            (Form::Cpu, "nan%"),
            (Form::Cpu, "1"),
            (Form::Weight, "0"),
            (Form::Weight, "10001"),
            (Form::Set, "3-1"),
            (Form::Set, ""),
            (Form::Rates, "1M"),
            (Form::Rates, "wbps=0"),
            (Form::Count, "lots"),
        ] {
            assert_eq!(value(form, wrong), None, "{form:?} {wrong}");
        }
        assert_eq!(preferred("1G,prefer"), ("1G", true));
        assert_eq!(preferred("0-1, prefer"), ("0-1", true));
        assert_eq!(preferred("0-1,3"), ("0-1,3", false));
    }

    #[test]
    fn a_stricter_value_is_one_that_allows_no_more() {
        let tightens = |form: Form, new, old| form.tightens(new, old);
        assert!(tightens(Form::Bytes, "1M", Some("1G")) && !tightens(Form::Bytes, "2G", Some("1G")));
        assert!(tightens(Form::Cpu, "50%", Some("100000 100000")) && !tightens(Form::Cpu, "max", Some("50%")));
        assert!(tightens(Form::Set, "0", Some("0-1")) && !tightens(Form::Set, "0-2", Some("0-1")));
        assert!(tightens(Form::Count, "5", None));
    }
}
