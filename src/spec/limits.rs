//! Limits of cgroup v2: their values, and how these are written in profiles and in the kernel's files.
//! `profile::schema` lists the keys; their names are those of the files without the dots
//! (Documentation/admin-guide/cgroup-v2.rst).

use super::Origin;
use super::size::parse_size;
use serde::Serialize;
use std::path::PathBuf;

/// The limits of a sandbox's cgroup, and whether usage is reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Limits {
    /// The limits, in the order in which they are written.
    pub list: Vec<Limit>,
    /// The line that lets the program create cgroups below its own; none if it may not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delegate: Option<Origin>,
    /// The line that shows the sandbox's cgroup at /sys/fs/cgroup; none if it is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroupfs: Option<Origin>,
    /// Usage is to be reported (`--stats`), which takes a cgroup of the sandbox's own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stats: bool,
}

impl Limits {
    /// Whether the sandbox needs a cgroup of its own.
    pub fn wanted(&self) -> bool {
        *self != Limits::default()
    }
}

/// One value for one file of the sandbox's cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// The key's name in `[limits]`.
    pub name: &'static str,
    /// The file that the value is written to.
    #[serde(skip)]
    pub control: Control,
    /// The value, as the kernel takes it.
    pub value: Value,
    /// `,prefer`: the sandbox starts without the limit, with a note, if it cannot be set.
    pub prefer: bool,
    /// The line that the limit comes from.
    pub origin: Origin,
}

/// The value of a limit, as the kernel takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// The text that is written to the file.
    Text(String),
    /// A path and a text: the limit for the block device that the path lies on, or is.
    Device(PathBuf, String),
    /// A size as in the file's name (`2MB`) and a text: the limit for huge pages of that size.
    Pages(String, String),
}

/// How the value of a limit is written in a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Bytes, with an optional suffix K, M, G or T, or `max`.
    Bytes,
    /// A number or `max`.
    Count,
    /// A percentage of one CPU, `QUOTA PERIOD` in microseconds, or `max`.
    Cpu,
    /// A weight from 1 to 10000.
    Weight,
    /// Numbers and ranges of CPUs or memory nodes: `0-3,6`.
    Set,
    /// `true` or `false`.
    Switch,
    /// A table of paths to `rbps= wbps= riops= wiops=`.
    Rates,
    /// A table of paths to microseconds.
    Latency,
    /// A table of sizes of huge pages to bytes.
    Pages,
}

/// A file of a cgroup that a limit is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Control {
    /// The controller that the file belongs to; empty for the files of the cgroup core.
    pub controller: &'static str,
    /// The file's name; `*` stands for the size of huge pages.
    pub file: &'static str,
    /// How the value is written in a profile.
    pub form: Form,
}

/// Period of cpu.max in microseconds: the kernel's default.
const PERIOD: u64 = 100_000;

impl Form {
    /// The text that is written to the file for a value of a profile. The error describes the values that are accepted.
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

    /// Whether the value `new` allows no more than `old`; with no `old`, every limit tightens.
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
                    // In millionths of a CPU.
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
        // The kernel refuses a quota below a millisecond: a longer period allows a smaller share.
        let period = if percent < 1.0 { 10 * PERIOD } else { PERIOD };
        let quota = (percent * period as f64 / 100.0).round();
        return (1000.0..1e15).contains(&quota).then(|| format!("{quota} {period}"));
    }
    let (quota, period) = text.split_once(' ')?;
    let (quota, period): (u64, u64) = (quota.parse().ok()?, period.trim().parse().ok()?);
    (quota >= 1000 && (1000..=1_000_000).contains(&period)).then(|| format!("{quota} {period}"))
}

/// The numbers in a list such as `0-3,6`; none if the text is no such list, or names a number above 65536.
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

/// The value without a `,prefer` at its end, and whether it had one.
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
