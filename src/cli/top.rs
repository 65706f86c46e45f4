//! `sbx top`: the processes of a running sandbox, with podman's columns.

use super::{args, asked, elapsed, listed, output, store};
use crate::error::{Error, Result, printable};
use crate::host::{self, Account, IdRange, Process};
use crate::state::{Entry, Request};
use crate::sys;
use serde_json::{Value, json};
use std::time::Duration;

/// The columns that are printed without others: podman's.
const USUAL: [&str; 8] = ["user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args"];

/// What else is known of the sandbox's processes.
struct Known {
    uids: Vec<IdRange>,
    gids: Vec<IdRange>,
    accounts: Vec<Account>,
}

/// A column: its names, the first of which is that of its value in JSON; its head; and its value.
struct Column {
    names: &'static [&'static str],
    head: &'static str,
    value: fn(&Process, &Known) -> Value,
}

const COLUMNS: &[Column] = &[
    Column { names: &["user"], head: "USER", value: |p, known| known.user(p.uid[1]) },
    Column { names: &["pid"], head: "PID", value: |p, _| p.pid.into() },
    Column { names: &["ppid"], head: "PPID", value: |p, _| p.parent.into() },
    Column { names: &["pcpu", "%cpu"], head: "%CPU", value: |p, _| pcpu(p).into() },
    Column { names: &["etime"], head: "ELAPSED", value: |p, _| elapsed::go(milliseconds(p.elapsed)).into() },
    Column { names: &["tty", "tt", "tname"], head: "TTY", value: |p, _| tty(p.terminal).into() },
    Column { names: &["time", "cputime"], head: "TIME", value: |p, _| elapsed::go(p.cpu).into() },
    Column { names: &["args", "command", "cmd"], head: "COMMAND", value: |p, _| command(p).into() },
    Column { names: &["comm"], head: "COMMAND", value: |p, _| printable(&p.name).into() },
    Column { names: &["hpid"], head: "HPID", value: |p, _| p.outside.into() },
    Column { names: &["huser"], head: "HUSER", value: |p, known| known.outside(p.uid[1]) },
    Column { names: &["hgroup"], head: "HGROUP", value: |p, _| p.gid[1].into() },
    Column { names: &["ruser"], head: "RUSER", value: |p, known| known.user(p.uid[0]) },
    Column { names: &["group"], head: "GROUP", value: |p, known| known.group(p.gid[1]) },
    Column { names: &["rgroup"], head: "RGROUP", value: |p, known| known.group(p.gid[0]) },
    Column { names: &["pgid", "pgrp"], head: "PGID", value: |p, _| p.group.into() },
    Column { names: &["state", "s", "stat"], head: "STATE", value: |p, _| p.state.to_string().into() },
    Column { names: &["nice", "ni"], head: "NI", value: |p, _| p.nice.into() },
    Column { names: &["vsz"], head: "VSZ", value: |p, _| p.virtual_kib.into() },
    Column { names: &["rss"], head: "RSS", value: |p, _| p.resident_kib.into() },
    Column { names: &["seccomp"], head: "SECCOMP", value: |p, _| seccomp(p.seccomp).into() },
    Column { names: &["label"], head: "LABEL", value: |p, _| printable(&p.label).into() },
    Column { names: &["capeff"], head: "EFFECTIVE CAPS", value: |p, _| capabilities(p.capabilities[0]).into() },
    Column { names: &["capinh"], head: "INHERITED CAPS", value: |p, _| capabilities(p.capabilities[1]).into() },
    Column { names: &["capprm"], head: "PERMITTED CAPS", value: |p, _| capabilities(p.capabilities[2]).into() },
    Column { names: &["capbnd"], head: "BOUNDING CAPS", value: |p, _| capabilities(p.capabilities[3]).into() },
    Column { names: &["capamb"], head: "AMBIENT CAPS", value: |p, _| capabilities(p.capabilities[4]).into() },
];

pub(super) fn main(args: &args::Top) -> Result<u8> {
    const WHAT: &str = "has processes to list";
    let columns = columns(&args.columns)?;
    let entry = store::find(&args.name)?;
    let monitor = asked::monitor(&entry, WHAT)?;
    let first = || asked::ask(&entry, &monitor, &Request::Look, WHAT)?.first.ok_or_else(|| unknown(&entry));
    let number = first()?;
    let found = host::processes(number);
    let known = Known {
        uids: host::id_map(number, "uid_map"),
        gids: host::id_map(number, "gid_map"),
        accounts: host::accounts()?,
    };
    // As long as its monitor answers, the first process is not reaped: what was read by its number was its own.
    first()?;
    let processes = found.ok_or_else(|| unknown(&entry))?;
    if args.json {
        let columns: Vec<_> = if args.columns.is_empty() { COLUMNS.iter().collect() } else { columns };
        let row = |process: &Process| -> Value {
            let cell = |column: &&Column| Some(((*column.names.first()?).to_owned(), (column.value)(process, &known)));
            columns.iter().filter_map(cell).collect::<serde_json::Map<_, _>>().into()
        };
        let rows: Vec<_> = processes.iter().map(row).collect();
        return output::show(&format!("{:#}\n", json!(rows))).map(|()| 0);
    }
    let mut lines = vec![columns.iter().map(|column| column.head).collect::<Vec<_>>().join("\t")];
    for process in &processes {
        let cell = |column: &&Column| match (column.value)(process, &known) {
            Value::String(text) => text,
            other => other.to_string(),
        };
        lines.push(columns.iter().map(cell).collect::<Vec<_>>().join("\t"));
    }
    output::show(&listed::aligned(&lines)).map(|()| 0)
}

fn unknown(entry: &Entry) -> Error {
    Error::new(format!("the processes of {} cannot be seen in the /proc of this process", entry.called())).hint(
        "list them where its monitor runs: /proc may be that of another pid namespace, or be mounted with hidepid",
    )
}

/// What ps(1) has before the names of columns, and people are used to.
const BEFORE_COLUMNS: [&str; 3] = ["-eo", "-o", "-Ao"];

/// The columns that these words name; several may stand in one word, with commas or spaces.
fn columns(words: &[String]) -> Result<Vec<&'static Column>> {
    let usual = || USUAL.map(str::to_owned).to_vec();
    let words = if words.is_empty() { usual() } else { words.to_vec() };
    let words = words.iter().filter(|word| !BEFORE_COLUMNS.contains(&word.as_str()));
    let names = words.flat_map(|word| word.split([',', ' '])).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let lower = name.to_ascii_lowercase();
            COLUMNS.iter().find(|column| column.names.contains(&lower.as_str())).ok_or_else(|| {
                let known: Vec<_> = COLUMNS.iter().filter_map(|column| column.names.first().copied()).collect();
                Error::new(format!("{name}: there is no such column")).hint(format!("there are {}", known.join(", ")))
            })
        })
        .collect()
}

impl Known {
    /// A user inside. It is named as outside if it is the same there, since that is what the sandbox's /etc/passwd says.
    fn user(&self, outside: u32) -> Value {
        match host::id_inside(&self.uids, outside) {
            Some(0) => "root".into(),
            Some(inside) if inside == outside => self.outside(outside),
            Some(inside) => inside.to_string().into(),
            None => "nobody".into(),
        }
    }

    fn outside(&self, uid: u32) -> Value {
        let account = self.accounts.iter().find(|account| account.uid == uid);
        account.map_or_else(|| uid.to_string(), |account| printable(&account.name).into_owned()).into()
    }

    fn group(&self, outside: u32) -> Value {
        host::id_inside(&self.gids, outside).map_or_else(|| "nogroup".to_owned(), |inside| inside.to_string()).into()
    }
}

/// The share of a processor that it has used since it was started, in percent.
fn pcpu(process: &Process) -> String {
    let elapsed = process.elapsed.as_secs_f64();
    let share = if elapsed > 0.0 { process.cpu.as_secs_f64() * 100.0 / elapsed } else { 0.0 };
    format!("{share:.3}")
}

/// A time without what is shorter than a millisecond, which the kernel's clock for processes does not tell.
fn milliseconds(time: Duration) -> Duration {
    Duration::new(time.as_secs(), time.subsec_millis() * 1_000_000)
}

/// The name of a terminal's device, tty(4) and pts(4).
fn tty(number: u64) -> String {
    // The upper bits of the minor number stand above the major one: proc_pid_stat(5), tty_nr.
    let (major, minor) = ((number >> 8) & 0xfff, (number & 0xff) | ((number >> 12) & 0xf_ff00));
    match major {
        0 => "?".to_owned(),
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        4 if minor < 64 => format!("tty{minor}"),
        4 => format!("ttyS{}", minor - 64),
        5 if minor == 1 => "console".to_owned(),
        _ => format!("{major}:{minor}"),
    }
}

/// The arguments, or the name in brackets of one that has none, as ps(1) prints it.
fn command(process: &Process) -> String {
    match process.args.as_slice() {
        [] => format!("[{}]", printable(&process.name)),
        args => printable(&args.join(" ")).into_owned(),
    }
}

fn seccomp(mode: u32) -> String {
    match mode {
        0 => "disabled".to_owned(),
        1 => "strict".to_owned(),
        2 => "filter".to_owned(),
        other => other.to_string(),
    }
}

/// A set of capabilities, as podman has it: `none`, `full`, or their names.
fn capabilities(set: u64) -> String {
    let names = sys::CAPABILITIES.iter().enumerate().filter(|(number, _)| set & 1 << number != 0);
    let names: Vec<_> = names.map(|(_, name)| name.trim_start_matches("cap_").to_uppercase()).collect();
    match names.len() {
        0 => "none".to_owned(),
        all if all == sys::CAPABILITIES.len() => "full".to_owned(),
        _ => names.join(","),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_and_capabilities_have_their_names() {
        assert_eq!([0, 34816, 34821, 1025, 1284].map(tty), ["?", "pts/0", "pts/5", "tty1", "5:4"]);
        assert_eq!([0, 1, 1 << 21 | 1, u64::MAX].map(capabilities), ["none", "CHOWN", "CHOWN,SYS_ADMIN", "full"]);
    }

    #[test]
    fn what_a_process_calls_itself_is_escaped() {
        let mut process = Process { name: "a\u{1b}[2J".to_owned(), ..Process::default() };
        assert_eq!(command(&process), "[a\\u{1b}[2J]");
        process.args = vec!["sh".to_owned(), "\u{1b}]0;x\u{7}\t\n".to_owned()];
        assert_eq!(command(&process), "sh \\u{1b}]0;x\\u{7}\\t\\n");
    }
}
