//! `sbx ps`: lists sandboxes that have a record.

use super::template::Template;
use super::{args, elapsed, output, store};
use crate::error::{Error, Result, printable};
use crate::state::{Entry, Port, Status};
use crate::sys;
use serde_json::{Value, json};
use std::time::Duration;

/// How many characters of the command a table shows.
const COMMAND: usize = 17;

pub(super) fn main(args: &args::Ps) -> Result<u8> {
    let filters = filters(&args.filter)?;
    let all = args.all
        || args.latest
        || args.last.is_some()
        || filters.iter().any(|filter| matches!(filter, Filter::Status(_) | Filter::Exited(_)));
    let mut rows: Vec<(Entry, Status)> = Vec::new();
    for entry in store::store()?.all()? {
        let status = entry.status();
        if (all || status.is_running()) && matches(&filters, &entry, &status) {
            rows.push((entry, status));
        }
    }
    if let Some(most) = if args.latest { Some(1) } else { args.last } {
        rows.truncate(most);
    }
    if let Some(order) = &args.sort {
        sort(&mut rows, order);
    }
    let format = args.format.as_deref().filter(|format| *format != "json");
    if args.json || (args.format.is_some() && format.is_none()) {
        let rows: Vec<_> = rows.iter().map(|(entry, status)| json_row(entry, status)).collect();
        return output::show(&format!("{:#}\n", json!(rows))).map(|()| 0);
    }
    if args.quiet {
        let id = |entry: &Entry| if args.no_trunc { entry.id.as_str() } else { entry.id.short() }.to_owned() + "\n";
        return output::print(&rows.iter().map(|(entry, _)| id(entry)).collect::<String>()).map(|()| 0);
    }
    let template = Template::read_or(format, TABLE)?;
    let mut lines = Vec::new();
    if template.table && !args.noheading {
        lines.push(template.head().replace("RUNNINGFOR", "CREATED"));
    }
    for (entry, status) in &rows {
        lines.push(template.fill(&row(entry, status, args.no_trunc))?);
    }
    output::show(&if template.table {
        aligned(&lines)
    } else {
        lines.join("\n") + if lines.is_empty() { "" } else { "\n" }
    })?;
    Ok(0)
}

/// Puts rows into the order that `--sort` names, as podman does.
fn sort(rows: &mut [(Entry, Status)], order: &str) {
    match order {
        "id" => rows.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id)),
        "names" => rows.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name)),
        "image" | "profile" => rows.sort_by(|(a, _), (b, _)| a.spec.profile.cmp(&b.spec.profile)),
        "command" => rows.sort_by(|(a, _), (b, _)| a.spec.args.cmp(&b.spec.args)),
        "status" => rows.sort_by_cached_key(|(_, status)| status.word()),
        // What was made first runs for longest.
        "runningfor" | "created" => rows.sort_by_key(|(entry, _)| entry.spec.created),
        _ => {}
    }
}

/// The table that is printed without `--format`.
const TABLE: &str = "table {{.ID}}\t{{.Profile}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";

/// A condition on what is listed.
#[derive(Debug)]
pub(super) enum Filter {
    Id(String),
    Name(Part),
    /// Made before this time, in nanoseconds since 1970.
    Before(u64),
    Since(u64),
    Status(String),
    Exited(i32),
    Profile(String),
    Label(String, Option<String>),
    Restart(String),
    Boot(bool),
}

/// Part of a name: `web`, or `^web$`, which begins and ends there.
#[derive(Debug)]
pub(super) struct Part {
    text: String,
    begins: bool,
    ends: bool,
}

impl Part {
    /// Reads one; none if it has what neither stands in a name nor is one of the two signs.
    fn read(text: &str) -> Option<Part> {
        let (text, begins) = text.strip_prefix('^').map_or((text, false), |rest| (rest, true));
        // docker's names begin with a slash.
        let text = text.strip_prefix('/').unwrap_or(text);
        let (text, ends) = text.strip_suffix('$').map_or((text, false), |rest| (rest, true));
        let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        is_name.then(|| Part { text: text.to_owned(), begins, ends })
    }

    fn is_in(&self, name: &str) -> bool {
        match (self.begins, self.ends) {
            (true, true) => name == self.text,
            (true, false) => name.starts_with(&self.text),
            (false, true) => name.ends_with(&self.text),
            (false, false) => name.contains(&self.text),
        }
    }
}

/// The conditions of these `--filter`s.
pub(super) fn filters(texts: &[String]) -> Result<Vec<Filter>> {
    texts.iter().map(|text| Filter::read(text)).collect()
}

impl Filter {
    /// Reads a condition as `--filter` has it: `KEY=VALUE`.
    fn read(text: &str) -> Result<Filter> {
        let known = || "filters are id=, name=, status=, exited=, profile= (or ancestor=), label=NAME[=VALUE], before=NAME, since=NAME, restart-policy= and should-start-on-boot=true";
        let no_pattern = || {
            Error::new(format!("--filter {text}: sbx knows no regular expressions but `^` and `$`"))
                .hint("write a part of it, or ^NAME$ for the whole; several filters with one key are alternatives")
        };
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| Error::new(format!("--filter {text}: there is no `=`")).hint(known()))?;
        Ok(match key {
            "id" => {
                let start = value.strip_prefix('^').unwrap_or(value).to_ascii_lowercase();
                let is_id = start.bytes().all(|byte| byte.is_ascii_alphanumeric());
                Filter::Id(Some(start).filter(|_| is_id).ok_or_else(no_pattern)?)
            }
            "name" => Filter::Name(Part::read(value).ok_or_else(no_pattern)?),
            "before" => Filter::Before(store::store()?.find(value)?.spec.created),
            "since" | "after" => Filter::Since(store::store()?.find(value)?.spec.created),
            "status" => match value {
                "created" | "initialized" | "running" | "restarting" | "paused" | "exited" | "stopped" | "unknown" => {
                    Filter::Status(if value == "stopped" { "exited".to_owned() } else { value.to_owned() })
                }
                _ => {
                    return Err(Error::new(format!("--filter {text}: there is no such status"))
                        .hint("created, initialized, running, restarting, paused, exited or unknown"));
                }
            },
            "exited" => Filter::Exited(value.parse().map_err(|_| {
                Error::new(format!("--filter {text}: it is no exit status")).hint("a number from 0 to 255")
            })?),
            "profile" | "ancestor" => Filter::Profile(value.to_owned()),
            "restart-policy" => match value {
                "no" | "on-failure" | "always" | "unless-stopped" => Filter::Restart(value.to_owned()),
                _ => {
                    return Err(Error::new(format!("--filter {text}: there is no such policy"))
                        .hint("no, on-failure, always or unless-stopped"));
                }
            },
            "should-start-on-boot" => Filter::Boot(value.parse().map_err(|_| {
                Error::new(format!("--filter {text}: it is neither true nor false"))
                    .hint("true are those that a boot starts")
            })?),
            "label" => match value.split_once('=') {
                Some((name, value)) => Filter::Label(name.to_owned(), Some(value.to_owned())),
                None => Filter::Label(value.to_owned(), None),
            },
            _ => return Err(Error::new(format!("--filter {text}: sbx does not know `{key}`")).hint(known())),
        })
    }

    fn holds(&self, entry: &Entry, status: &Status) -> bool {
        match self {
            Filter::Id(id) => entry.id.as_str().starts_with(id.as_str()),
            Filter::Name(part) => entry.name.as_ref().is_some_and(|found| part.is_in(found)),
            Filter::Before(time) => entry.spec.created < *time,
            Filter::Since(time) => entry.spec.created > *time,
            Filter::Status(word) => status.word() == word,
            Filter::Exited(number) => status.exit_status() == Some(*number),
            Filter::Restart(policy) => {
                let own = entry.spec.restart.split(':').next().unwrap_or_default();
                policy == if own.is_empty() { "no" } else { own }
            }
            Filter::Boot(wanted) => entry.starts_at_boot() == *wanted,
            Filter::Profile(profile) => entry.spec.profile == *profile,
            Filter::Label(name, value) => {
                entry.spec.labels.get(name).is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
            }
        }
    }

    /// Whether two filters ask for the same thing, of which one is enough.
    fn is_of_kind(&self, other: &Filter) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other) && !matches!(self, Filter::Label(..))
    }
}

/// Whether a sandbox meets all filters; of several with one key, one is enough, but for labels.
pub(super) fn matches(filters: &[Filter], entry: &Entry, status: &Status) -> bool {
    filters.iter().all(|filter| {
        let mut alike = filters.iter().filter(|other| filter.is_of_kind(other)).peekable();
        if alike.peek().is_none() {
            filter.holds(entry, status)
        } else {
            alike.any(|filter| filter.holds(entry, status))
        }
    })
}

/// The command, as a table shows it. The program may have chosen its arguments.
fn command(entry: &Entry, whole: bool) -> String {
    let text = printable(&entry.spec.args.join(" ")).into_owned();
    if whole || text.chars().count() <= COMMAND {
        return text;
    }
    text.chars().take(COMMAND).chain("...".chars()).collect()
}

/// What a table says of the status: `Up 5 minutes`, `Exited (0) 2 days ago`.
pub(super) fn status_words(status: &Status) -> String {
    let ago = |time: u64| elapsed::words(elapsed::since(time));
    match status {
        Status::Created => "Created".to_owned(),
        Status::Running(live) if live.restarting => "Restarting".to_owned(),
        Status::Running(live) if live.started.is_none() => "Initialized".to_owned(),
        Status::Running(live) if live.paused => "Paused".to_owned(),
        Status::Running(live) => {
            let now = sys::boottime_nanoseconds();
            format!("Up {}", elapsed::words(Duration::from_nanos(now.saturating_sub(live.started_since_boot))))
        }
        Status::Exited(begun) => {
            format!("Exited ({}) {} ago", begun.status, ago(begun.finished.unwrap_or_default()))
        }
        Status::Lost { rebooted: true, .. } => "Exited (137) by a reboot".to_owned(),
        Status::Lost { .. } => "Exited (137), killed".to_owned(),
        Status::Broken => "Unknown".to_owned(),
    }
}

/// The same of a sandbox, whose record may be damaged.
fn words(entry: &Entry, status: &Status) -> String {
    status_words(status) + if entry.damage().is_some() { " (record damaged)" } else { "" }
}

/// How long ago the record was made, if that is known.
fn running_for(created: u64) -> String {
    match created {
        0 => "unknown".to_owned(),
        _ => format!("{} ago", elapsed::words(elapsed::since(created))),
    }
}

fn ports(status: &Status) -> Vec<Port> {
    if let Status::Running(live) = status { live.ports() } else { Vec::new() }
}

/// The fields of a row for `--format`, with podman's names.
fn row(entry: &Entry, status: &Status, whole: bool) -> Value {
    let spec = &entry.spec;
    let id = if whole { entry.id.as_str() } else { entry.id.short() };
    let labels: Vec<_> = spec.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let ports: Vec<_> = ports(status).iter().map(ToString::to_string).collect();
    let profile = printable(&spec.profile).into_owned();
    json!({
        "ID": id,
        "Names": entry.name.clone().unwrap_or_default(),
        "Image": profile,
        "Profile": profile,
        "Command": command(entry, whole),
        "Created": spec.created / 1_000_000_000,
        "CreatedAt": elapsed::rfc3339(spec.created),
        "StartedAt": started(status),
        "Exited": status.exit_status().is_some(),
        "ExitedAt": status.finished().map(|time| time / 1_000_000_000),
        "AutoRemove": spec.remove,
        "RunningFor": running_for(spec.created),
        "Status": words(entry, status),
        "State": status.word(),
        "Ports": printable(&ports.join(", ")),
        "Labels": printable(&labels.join(",")),
        "Label": spec.labels,
        "Pid": pid(status),
        "ExitCode": status.exit_status().unwrap_or(0),
    })
}

/// When the program was started that runs, in seconds since 1970.
fn started(status: &Status) -> Option<u64> {
    if let Status::Running(live) = status { live.started.map(|time| time / 1_000_000_000) } else { None }
}

pub(super) fn pid(status: &Status) -> i32 {
    if let Status::Running(live) = status { live.pid } else { 0 }
}

/// A row for programs.
fn json_row(entry: &Entry, status: &Status) -> Value {
    let spec = &entry.spec;
    json!({
        "Id": entry.id.as_str(),
        "Names": entry.name.iter().collect::<Vec<_>>(),
        "Profile": spec.profile,
        "Image": spec.profile,
        "Command": spec.args,
        "Created": spec.created / 1_000_000_000,
        "CreatedAt": elapsed::rfc3339(spec.created),
        "State": status.word(),
        "Status": words(entry, status),
        "Exited": status.exit_status().is_some(),
        "ExitCode": status.exit_status().unwrap_or(0),
        "ExitedAt": status.finished().map(|time| time / 1_000_000_000),
        "StartedAt": started(status),
        "Pid": pid(status),
        "Ports": ports(status),
        "Labels": spec.labels,
        "AutoRemove": spec.remove,
    })
}

/// Lines with tabs as a table: each column as wide as its widest cell, with two spaces behind it.
pub(super) fn aligned(lines: &[String]) -> String {
    let rows: Vec<Vec<&str>> = lines.iter().map(|line| line.split('\t').collect()).collect();
    let mut widths: Vec<usize> = Vec::new();
    for row in &rows {
        for (index, cell) in row.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(index) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (index, cell) in row.iter().enumerate() {
            line.push_str(cell);
            if index + 1 < row.len() {
                let width = widths.get(index).copied().unwrap_or(0);
                line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let lines = ["A\tBB\tC".to_owned(), "xyz\t\tlast".to_owned()];
        assert_eq!(aligned(&lines), "A    BB  C\nxyz      last\n");
    }

    #[test]
    fn parts_of_names_may_say_where_the_name_begins_and_ends() {
        let found = |part: &str| {
            let part = Part::read(part).unwrap();
            ["web", "web-1", "my-web"].map(|name| part.is_in(name))
        };
        assert_eq!(found("web"), [true, true, true]);
        assert_eq!(found("^web"), [true, true, false]);
        assert_eq!(found("web$"), [true, false, true]);
        assert_eq!(found("^/web$"), [true, false, false]);
        for pattern in ["web.*", "[a-z]", "a|b", "w+", "(x)", "a^b", "$x"] {
            assert!(Part::read(pattern).is_none(), "{pattern}");
        }
    }
}
