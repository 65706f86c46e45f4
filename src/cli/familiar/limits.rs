//! Flags for limits, in docker's units.

use super::line::{Line, Said, bytes};
use crate::cli::args::Sandbox;
use crate::cli::path_flag::absolute;
use crate::error::{Error, Result};
use crate::spec::limits::preferred;
use crate::spec::parse_size;
use std::path::Path;

/// What the flags for limits say.
///
/// # Errors
///
/// One is no limit.
pub(super) fn said(args: &Sandbox, cwd: &Path) -> Result<Vec<Said>> {
    let mut all = Vec::new();
    let familiar = &args.familiar;
    for (nth, text) in familiar.ulimit.iter().enumerate() {
        all.push(Said { flag: "ulimit", nth, label: format!("--ulimit {text}"), line: ulimit(text)? });
    }
    if let Some(text) = &args.limits.cpu_shares {
        let weight = weight("cpu-shares", text, [2, 262_144], "a number from 2 to 262144; 1024 is usual")?;
        all.push(Said::once("cpu-shares", text, "limits.cpu_weight", weight));
    }
    if let Some(text) = &args.limits.blkio_weight {
        let weight = weight("blkio-weight", text, [10, 1000], "a number from 10 to 1000; 500 is usual")?;
        all.push(Said::once("blkio-weight", text, "limits.io_weight", weight));
    }
    if let Some(text) = &args.limits.memory_swap {
        all.push(Said::once("memory-swap", text, "limits.swap_max", swap(text, args)?));
    }
    if let Some(text) = &args.limits.memory_reservation {
        all.push(Said::once("memory-reservation", text, "limits.memory_low", bytes(text)));
    }
    for (flag, key, given) in [
        ("cpuset-cpus", "limits.cpus", &args.limits.cpuset_cpus),
        ("cpuset-mems", "limits.mems", &args.limits.cpuset_mems),
    ] {
        all.extend(given.iter().map(|text| Said::once(flag, text, key, text.as_str())));
    }
    rates(args, cwd, &mut all)?;
    Ok(all)
}

/// What the flag `--ulimit NAME=SOFT[:HARD]` says: a key of `[rlimits]`, and its value.
fn ulimit(text: &str) -> Result<Line> {
    let wrong = |why: &str| Error::new(format!("--ulimit {text}: {why}")).hint("write --ulimit nofile=1024:4096");
    let (name, value) = text.split_once('=').ok_or_else(|| wrong("there is no `=`"))?;
    const PREFIX: &str = "rlimits.";
    let keys = [
        "rlimits.as",
        "rlimits.core",
        "rlimits.cpu",
        "rlimits.data",
        "rlimits.fsize",
        "rlimits.memlock",
        "rlimits.nofile",
        "rlimits.nproc",
        "rlimits.stack",
    ];
    let key = keys.into_iter().find(|key| key.strip_prefix(PREFIX) == Some(name));
    let known = || keys.map(|key| key.strip_prefix(PREFIX).unwrap_or(key)).join(", ");
    let key = key.ok_or_else(|| wrong(&format!("there is no limit `{name}`; there are {}", known())))?;
    let values: Vec<_> = value.split(':').map(|value| if value == "-1" { "unlimited" } else { value }).collect();
    Ok(Line::Key(key, values.join(":")))
}

/// A weight of cgroup v2 for one of v1 from `least` to `most`, as the OCI runtimes convert it: to 1 to 10000.
fn weight(flag: &str, text: &str, [least, most]: [u64; 2], help: &str) -> Result<String> {
    let given = text.parse::<u64>().ok().filter(|given| (least..=most).contains(given));
    let given = given.ok_or_else(|| Error::new(format!("--{flag} {text}: it is no such weight")).hint(help))?;
    Ok((1 + (given - least) * 9999 / (most - least)).to_string())
}

/// The swap space of `--memory-swap`, which docker counts together with the memory.
fn swap(text: &str, args: &Sandbox) -> Result<String> {
    let wrong = |why: String| {
        Error::new(format!("--memory-swap {text}: {why}"))
            .hint("it is memory and swap space together, as --memory 1g --memory-swap 2g; -1 is no limit of swap space")
    };
    let both = bytes(text);
    let (number, prefer) = preferred(&both);
    if number == "max" {
        return Ok(both);
    }
    let memory = args.limits.memory.as_deref().and_then(|memory| memory.to_str()).map(bytes);
    let memory = memory.ok_or_else(|| wrong("it needs --memory".to_owned()))?;
    let memory = parse_size(preferred(&memory).0).ok_or_else(|| wrong("--memory is no number of bytes".to_owned()))?;
    let both = parse_size(number).ok_or_else(|| wrong("it is no size".to_owned()))?;
    let swap = both.checked_sub(memory).ok_or_else(|| wrong("it is less than --memory".to_owned()))?;
    Ok(if prefer { format!("{swap},prefer") } else { swap.to_string() })
}

/// The rates of a disk, by the names of io.max.
type Rates = Vec<(&'static str, u64)>;

/// What the flags for rates of disks say: a line for each disk.
fn rates(args: &Sandbox, cwd: &Path, all: &mut Vec<Said>) -> Result<()> {
    let flags = [
        ("device-read-bps", "rbps", &args.limits.device_read_bps, true),
        ("device-write-bps", "wbps", &args.limits.device_write_bps, true),
        ("device-read-iops", "riops", &args.limits.device_read_iops, false),
        ("device-write-iops", "wiops", &args.limits.device_write_iops, false),
    ];
    let mut given = Vec::new();
    for (flag, name, texts, is_size) in flags {
        for (nth, text) in texts.iter().enumerate() {
            let wrong = |why: &str| {
                let example = if is_size { "10m" } else { "1000" };
                Error::new(format!("--{flag} {text}: {why}")).hint(format!("write --{flag} /dev/sda:{example}"))
            };
            let (path, rate) = text.rsplit_once(':').ok_or_else(|| wrong("there is no `:`"))?;
            let rate = if is_size { parse_size(&bytes(rate)) } else { rate.parse().ok() };
            let rate = rate.filter(|rate| *rate > 0).ok_or_else(|| wrong("it has no rate"))?;
            given.push((args.order.of(flag, nth), flag, nth, absolute(path, cwd)?, name, rate, text));
        }
    }
    given.sort_by_key(|(at, ..)| *at);
    // A line has all rates of its disk, and the place of the last flag for that.
    let mut disks: Vec<(Said, Rates)> = Vec::new();
    for (_, flag, nth, path, name, rate, text) in given {
        let label = format!("--{flag} {text}");
        let line = Line::Of("limits.io_max", path, String::new());
        match disks.iter_mut().find(|(said, _)| said.line == line) {
            Some((said, rates)) => {
                *said = Said { flag, nth, label: format!("{} {label}", said.label), line };
                rates.retain(|(other, _)| *other != name);
                rates.push((name, rate));
            }
            None => disks.push((Said { flag, nth, label, line }, vec![(name, rate)])),
        }
    }
    for (mut said, rates) in disks {
        if let Line::Of(_, _, text) = &mut said.line {
            *text = rates.iter().map(|(name, rate)| format!("{name}={rate}")).collect::<Vec<_>>().join(" ");
        }
        all.push(said);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::limit_args::Limits;

    #[test]
    fn limits_have_sbxs_own_names() {
        assert_eq!(ulimit("nofile=10:-1"), Ok(Line::Key("rlimits.nofile", "10:unlimited".into())));
        assert_eq!(ulimit("core=-1"), Ok(Line::Key("rlimits.core", "unlimited".into())));
        assert!(ulimit("nofile").is_err() && ulimit("odd=1").is_err());
        let shares = |text| weight("cpu-shares", text, [2, 262_144], "").ok();
        assert_eq!(shares("1024").as_deref(), Some("39"));
        assert_eq!(shares("262144").as_deref(), Some("10000"));
        assert_eq!(shares("1"), None);
        assert_eq!(weight("blkio-weight", "10", [10, 1000], ""), Ok("1".to_owned()));
    }

    #[test]
    fn the_rates_of_a_disk_are_one_line() {
        let limits = Limits {
            device_read_bps: vec!["/d:1m".into(), "/d:2mb".into(), "/e:3".into()],
            device_write_iops: vec!["/d:4".into()],
            ..Default::default()
        };
        let mut all = Vec::new();
        rates(&Sandbox { limits, ..Sandbox::default() }, Path::new("/"), &mut all).unwrap();
        let lines: Vec<_> = all.into_iter().map(|said| said.line).collect();
        let line = |path: &str, rates: &str| Line::Of("limits.io_max", path.to_owned(), rates.to_owned());
        assert_eq!(lines, [line("/d", "rbps=2097152 wiops=4"), line("/e", "rbps=3")]);
    }

    #[test]
    fn swap_space_is_what_is_left_of_both() {
        let limits = |memory: &str| Limits { memory: Some(memory.into()), ..Limits::default() };
        let args = |memory: &str| Sandbox { limits: limits(memory), ..Sandbox::default() };
        assert_eq!(swap("2g", &args("1g")), Ok((1 << 30).to_string()));
        assert_eq!(swap("1g,prefer", &args("1G,prefer")), Ok("0,prefer".to_owned()));
        assert_eq!(swap("-1", &args("1g")), Ok("max".to_owned()));
        assert_eq!(swap("-1", &Sandbox::default()), Ok("max".to_owned()));
        assert!(swap("512m", &args("1g")).is_err() && swap("1g", &Sandbox::default()).is_err());
    }
}
