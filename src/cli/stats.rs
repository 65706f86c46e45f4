//! `sbx stats`: what running sandboxes use, again and again.

use super::template::Template;
use super::{args, elapsed, listed, output, store};
use crate::error::Result;
use crate::exit;
use crate::state::{Answer, Entry, Request, Status, Store, Usage};
use crate::sys::{self, Poll};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

/// The table that is printed without `--format`, and its head: podman's.
const TABLE: &str = "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}\t{{.UpTime}}\t{{.AvgCPU}}";
const HEAD: &str = "ID\tNAME\tCPU %\tMEM USAGE / LIMIT\tMEM %\tNET IO\tBLOCK IO\tPIDS\tCPU TIME\tAVG CPU %";

/// What is not known: a sandbox without a cgroup counts nothing.
const UNKNOWN: &str = "--";

/// How long one look lasts at most where monitors do not answer: the others' figures are not to wait for long.
const PATIENCE: Duration = Duration::from_secs(5);

/// The CPU time of each sandbox when it was looked at last.
type Before = BTreeMap<String, (u64, Instant)>;

pub(super) fn main(args: &args::Stats) -> Result<u8> {
    let names = args.latest.or(&args.names)?;
    let store = store::store()?;
    let (named, status) = store::named(&store, &names, false, exit::FAILED);
    if named.is_empty() && !names.is_empty() {
        return Ok(status);
    }
    let format = args.format.as_deref().filter(|format| *format != "json");
    let as_json = args.json || (args.format.is_some() && format.is_none());
    let template = Template::read_or(format, TABLE)?;
    let head = if matches!(format, None | Some("table")) { HEAD.to_owned() } else { template.head() };
    let clears = !args.no_stream && !args.no_reset && !as_json && sys::is_terminal(sys::STREAMS[1]);
    let mut before = Before::new();
    loop {
        let rows = rows(&store, &named, args.all, &mut before)?;
        // Those that were named have ended.
        if !args.no_stream && !named.is_empty() && !args.all && rows.is_empty() {
            return Ok(status);
        }
        let mut text = if clears { "\u{1b}[2J\u{1b}[H".to_owned() } else { String::new() };
        if as_json {
            let rows: Vec<_> = rows.iter().map(Row::json).collect();
            text += &format!("{:#}\n", json!(rows));
        } else {
            let mut lines = if template.table { vec![head.clone()] } else { Vec::new() };
            for row in &rows {
                lines.push(template.fill(&row.fields(args.no_trunc))?);
            }
            text += &if template.table {
                listed::aligned(&lines)
            } else {
                lines.iter().map(|line| format!("{line}\n")).collect()
            };
        }
        let mut out = std::io::stdout();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => {}
            // Nobody reads any more.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(status),
            Err(error) => return Err(output::unwritable(error)),
        }
        if args.no_stream {
            return Ok(status);
        }
        let mut reader = [Poll::end(1)];
        let pause = i32::try_from(u64::from(args.interval) * 1000).unwrap_or(i32::MAX);
        if sys::poll(&mut reader, Some(pause)).is_ok() && reader.iter().any(|end| end.ready) {
            return Ok(status);
        }
    }
}

/// What is printed of one sandbox.
struct Row {
    id: String,
    short: String,
    name: String,
    usage: Usage,
    /// The share of a processor since it was looked at last, and since it was started, in percent.
    cpu: Option<f64>,
    average: Option<f64>,
}

fn rows(store: &Store, named: &[(String, Entry)], all: bool, before: &mut Before) -> Result<Vec<Row>> {
    let found = if named.is_empty() { store.all()? } else { Vec::new() };
    let entries = named.iter().map(|(_, entry)| entry).chain(&found);
    let end = Instant::now() + PATIENCE;
    let mut rows = Vec::new();
    for entry in entries {
        let status = entry.status();
        if !all && !status.is_running() {
            continue;
        }
        let asked = status.is_running() && Instant::now() < end;
        let usage = if asked { usage(entry) } else { Usage::default() };
        let now = Instant::now();
        let average = match (usage.cpu_usec, &status) {
            (Some(usec), Status::Running(live)) if live.started.is_some() => {
                let since = sys::boottime_nanoseconds().saturating_sub(live.started_since_boot);
                share(usec, Duration::from_nanos(since))
            }
            _ => None,
        };
        // The first look has nothing to compare with but the start.
        let cpu = match (usage.cpu_usec, before.get(entry.id.as_str())) {
            (Some(usec), Some((earlier, at))) => share(usec.saturating_sub(*earlier), now.duration_since(*at)),
            _ => average,
        };
        if let Some(usec) = usage.cpu_usec {
            before.insert(entry.id.to_string(), (usec, now));
        }
        let name = entry.name.clone().unwrap_or_default();
        rows.push(Row { id: entry.id.to_string(), short: entry.id.short().to_owned(), name, usage, cpu, average });
    }
    Ok(rows)
}

fn usage(entry: &Entry) -> Usage {
    let answer = entry.monitor().ok().and_then(|monitor| monitor.ask(&Request::Usage).ok()?.ok());
    answer.and_then(|answer: Answer| answer.usage).unwrap_or_default()
}

fn share(usec: u64, time: Duration) -> Option<f64> {
    let seconds = time.as_secs_f64();
    (seconds > 0.0).then(|| Duration::from_micros(usec).as_secs_f64() * 100.0 / seconds)
}

impl Row {
    /// The memory that it may use: its limit, or all that the machine has.
    fn memory_limit(&self) -> Option<u64> {
        self.usage.memory?;
        let machine = sys::memory();
        Some(self.usage.memory_max.map_or(machine, |limit| limit.min(machine)))
    }

    fn memory_percent(&self) -> Option<f64> {
        let limit = self.memory_limit().filter(|limit| *limit > 0)?;
        #[expect(clippy::cast_precision_loss, reason = "a share is printed with two places")]
        self.usage.memory.map(|used| used as f64 * 100.0 / limit as f64)
    }

    /// The fields for `--format`, with podman's names.
    fn fields(&self, whole: bool) -> Value {
        let pair = |pair: Option<[u64; 2]>| match pair {
            Some([one, other]) => format!("{} / {}", size(one), size(other)),
            None => format!("{UNKNOWN} / {UNKNOWN}"),
        };
        let memory = self.usage.memory.zip(self.memory_limit()).map(|(used, limit)| [used, limit]);
        let pids = self.usage.pids.map_or_else(|| UNKNOWN.to_owned(), |count| count.to_string());
        let time =
            self.usage.cpu_usec.map_or_else(|| UNKNOWN.to_owned(), |usec| elapsed::go(Duration::from_micros(usec)));
        let id = if whole { &self.id } else { &self.short };
        json!({
            "ID": id,
            "ContainerID": self.id,
            "Name": self.name,
            "CPUPerc": percent(self.cpu),
            "CPU": percent(self.cpu),
            "MemUsage": pair(memory),
            "MemPerc": percent(self.memory_percent()),
            "NetIO": pair(self.usage.network),
            "BlockIO": pair(self.usage.blocks),
            "PIDs": pids,
            "PIDS": pids,
            "UpTime": time,
            "AvgCPU": percent(self.average),
        })
    }

    /// A row for programs: podman's texts, and the numbers that they are of.
    fn json(&self) -> Value {
        let fields = self.fields(true);
        json!({
            "id": self.id,
            "name": self.name,
            "cpu_percent": fields["CPUPerc"],
            "cpu_time": fields["UpTime"],
            "avg_cpu": fields["AvgCPU"],
            "mem_usage": fields["MemUsage"],
            "mem_percent": fields["MemPerc"],
            "net_io": fields["NetIO"],
            "block_io": fields["BlockIO"],
            "pids": fields["PIDs"],
            "used": self.usage,
        })
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| UNKNOWN.to_owned(), |share| format!("{share:.2}%"))
}

/// A size in decimal units with four digits, as podman and docker print it: `1.638MB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    #[expect(clippy::cast_precision_loss, reason = "four digits are printed")]
    let mut number = bytes as f64;
    let mut units = UNITS.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    while number >= 1000.0
        && let Some(next) = units.next()
    {
        number /= 1000.0;
        unit = next;
    }
    let places = match number {
        ..10.0 => 3,
        ..100.0 => 2,
        ..1000.0 => 1,
        _ => 0,
    };
    let text = format!("{number:.places$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_printed_as_podman_prints_them() {
        for (bytes, said) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (1_638_400, "1.638MB"),
            (16_333_000_000, "16.33GB"),
            (123_456, "123.5kB"),
        ] {
            assert_eq!(size(bytes), said);
        }
    }

    #[test]
    fn what_is_not_known_is_never_said_to_be_nothing() {
        let (id, short, name) = (String::new(), String::new(), String::new());
        let row = Row { id, short, name, usage: Usage::default(), cpu: None, average: None };
        let fields = row.fields(false);
        for (field, said) in [("CPUPerc", "--"), ("MemUsage", "-- / --"), ("NetIO", "-- / --"), ("PIDs", "--")] {
            assert_eq!(fields[field], said, "{field}");
        }
    }
}
