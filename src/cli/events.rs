//! `sbx events`: what has happened to sandboxes, and what goes on to happen.

use super::template::Template;
use super::{args, elapsed, output, store};
use crate::error::{Error, Result, printable};
use crate::state::{Event, Happened};
use crate::sys::{self, Poll};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::ops::ControlFlow;
use std::os::fd::AsRawFd;

pub(super) fn main(args: &args::Events) -> Result<u8> {
    let filters = Filters::read(&args.filter)?;
    let time = |text: &Option<String>| text.as_deref().map(elapsed::when).transpose();
    let (since, until) = (time(&args.since)?, time(&args.until)?);
    let format = args.format.as_deref().filter(|format| *format != "json");
    let form = match format {
        Some(format) => Form::Template(template(format)?),
        None if args.json || args.format.is_some() => Form::Json,
        None => Form::Text { whole: args.no_trunc.unwrap_or(true) },
    };
    let streams = !args.no_stream && args.stream.unwrap_or(true);
    let mut shown = Shown { filters, since, until, form, text: String::new(), damaged: false };
    let journal = store::store()?.journal();
    if !streams {
        let mut reader = journal.read()?;
        shown.read(|each| reader.present(each), false)?;
        return shown.print().map(|_| 0);
    }
    let (mut reader, watched) = journal.follow()?;
    // As with podman: what happened before is wanted only if a time says so.
    if since.is_none() && until.is_none() {
        reader.present(&mut |_| ControlFlow::Continue(()));
    }
    loop {
        // First whether it is over: what was written until then is read after that.
        let over = until.is_some_and(|until| sys::realtime_nanoseconds() >= until);
        let came = shown.read(|each| reader.next(each), over)?;
        if !shown.print()? {
            return Ok(0);
        }
        if reader.has_gap() {
            output::tell(
                "sbx: note: some of what happened may be missing here: more came than is read, and two files of it alone are kept\n",
            );
        }
        // More may have come.
        if came {
            continue;
        }
        if over {
            return Ok(0);
        }
        // Set anew each time: the clock may have been set back since.
        let timer = until.map(sys::timer_at).transpose().map_err(|errno| Error::call("timerfd_create", errno))?;
        let timer = timer.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let mut set = [Poll::read(watched.number()), Poll::read(timer), Poll::end(1)];
        sys::poll(&mut set, None).map_err(|errno| Error::call("poll", errno))?;
        if set[2].ready {
            // Nobody reads any more.
            return Ok(0);
        }
        if !watched.take().map_err(|errno| Error::call("read", errno))? {
            return Err(Error::new("the directory in which sbx writes what happens to sandboxes was removed")
                .hint("begin anew: sbx events --since 1m"));
        }
    }
}

fn template(format: &str) -> Result<Template> {
    let template = Template::read(format)?;
    if template.table {
        return Err(Error::new(format!("--format {format}: events come one by one, and make no table"))
            .hint("leave the word `table` out"));
    }
    Ok(template)
}

/// How events are printed.
enum Form {
    /// A line of text; with `whole`, ids are not shortened.
    Text {
        whole: bool,
    },
    Json,
    Template(Template),
}

/// What is printed.
struct Shown {
    filters: Filters,
    since: Option<u64>,
    until: Option<u64>,
    form: Form,
    /// What is to be printed.
    text: String,
    /// It was said that there are lines that cannot be read.
    damaged: bool,
}

impl Shown {
    /// Takes what `reads` gives. Gives whether there was anything, behind which more may come that is wanted: if all is `over`, nothing does behind
    /// what is past the end.
    fn read(
        &mut self,
        reads: impl FnOnce(&mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> bool,
        over: bool,
    ) -> Result<bool> {
        let (mut failed, mut past) = (Ok(()), false);
        let came = reads(&mut |line| {
            let Some(event) = Event::read(line) else {
                if !std::mem::replace(&mut self.damaged, true) {
                    output::tell("sbx: note: some of what happened cannot be read, and is left out\n");
                }
                return ControlFlow::Continue(());
            };
            past |= over && self.until.is_some_and(|until| event.time > until);
            let in_time = self.since.is_none_or(|since| event.time >= since)
                && self.until.is_none_or(|until| event.time <= until);
            if in_time && self.filters.hold(&event) {
                match self.form.line(&event) {
                    Ok(line) => self.text += &(line + "\n"),
                    Err(error) => failed = Err(error),
                }
            }
            if failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        failed.map(|()| came && !past)
    }

    /// Prints it. Gives whether somebody reads.
    fn print(&mut self) -> Result<bool> {
        let mut text = std::mem::take(&mut self.text);
        if sys::is_terminal(sys::STREAMS[1]) {
            text = output::harmless(&text);
        }
        let mut out = std::io::stdout();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(output::unwritable(error)),
        }
    }
}

impl Form {
    fn line(&self, event: &Event) -> Result<String> {
        match self {
            Form::Text { whole } => Ok(text(event, *whole)),
            Form::Json => Ok(json!(known(fields(event, &str::to_owned))).to_string()),
            Form::Template(template) => template.fill(&json!(fields(event, &|text| printable(text).into_owned()))),
        }
    }
}

/// A line for people, as podman has it.
fn text(event: &Event, whole: bool) -> String {
    let id = if whole { event.id.as_str() } else { event.id.get(..12).unwrap_or_default() };
    let time = elapsed::rfc3339(event.time).replace('T', " ").replace('Z', " +0000 UTC");
    if let Some(network) = &event.network {
        let details = format!("container={}, name={network}", event.id);
        return printable(&format!("{time} network {} {id} ({details})", event.event)).into_owned();
    }
    let mut details = vec![format!("profile={}", event.profile), format!("name={}", event.name)];
    details.extend(event.status.map(|status| format!("exitCode={status}")));
    details.extend(event.signal.map(|signal| format!("signal={signal}")));
    details.extend(event.old_name.as_ref().map(|name| format!("oldName={name}")));
    details.extend(event.labels.iter().map(|(name, value)| format!("{name}={value}")));
    printable(&format!("{time} container {} {id} ({})", event.event, details.join(", "))).into_owned()
}

/// The fields, with podman's names.
fn fields(event: &Event, shown: &dyn Fn(&str) -> String) -> BTreeMap<&'static str, Value> {
    let labels: BTreeMap<_, _> = event.labels.iter().map(|(name, value)| (shown(name), shown(value))).collect();
    BTreeMap::from([
        ("Attributes", json!(labels)),
        ("ContainerExitCode", json!(event.status)),
        ("ID", json!(event.id)),
        ("Image", json!(shown(&event.profile))),
        ("Name", json!(shown(&event.name))),
        ("Network", json!(event.network.as_deref().map(shown))),
        ("OldName", json!(event.old_name.as_deref().map(shown))),
        ("Profile", json!(shown(&event.profile))),
        ("Signal", json!(event.signal)),
        ("Status", json!(shown(&event.event))),
        ("Time", json!(elapsed::rfc3339(event.time))),
        ("TimeNano", json!(event.time)),
        ("Type", json!(kind(event))),
    ])
}

/// What it has happened to: podman's word.
fn kind(event: &Event) -> &'static str {
    if event.network.is_some() { "network" } else { "container" }
}

/// Those of them that there is something to say of.
fn known(mut fields: BTreeMap<&'static str, Value>) -> BTreeMap<&'static str, Value> {
    fields.retain(|_, value| !value.is_null());
    fields
}

/// Conditions, by their keys. Of several with one key, one has to hold; each key has to.
struct Filters(BTreeMap<&'static str, Vec<String>>);

impl Filters {
    fn read(texts: &[String]) -> Result<Filters> {
        const KNOWN: &str = "filters are container= (a name or the beginning of an id), event=, profile= (or image=), label=NAME[=VALUE], network=NAME and type=container or type=network";
        let mut filters: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for text in texts {
            let (key, value) = text
                .split_once('=')
                .ok_or_else(|| Error::new(format!("--filter {text}: there is no `=`")).hint(KNOWN))?;
            let key = match key {
                "container" => "container",
                "event" if Happened::WORDS.contains(&value) => "event",
                "event" => {
                    return Err(
                        Error::new(format!("--filter {text}: there is no such event")).hint(Happened::WORDS.join(", "))
                    );
                }
                "profile" | "image" => "profile",
                "label" => "label",
                "network" => "network",
                "type" if ["container", "network"].contains(&value) => "type",
                _ => return Err(Error::new(format!("--filter {text}: sbx does not know it")).hint(KNOWN)),
            };
            filters.entry(key).or_default().push(value.to_owned());
        }
        Ok(Filters(filters))
    }

    fn hold(&self, event: &Event) -> bool {
        let holds = |key: &str, value: &str| match key {
            "container" => {
                !value.is_empty()
                    && (event.id.starts_with(value) || event.name == value || event.old_name.as_deref() == Some(value))
            }
            "event" => event.event == value,
            "network" => event.network.as_deref() == Some(value),
            "type" => kind(event) == value,
            "profile" => event.profile == value,
            _ => match value.split_once('=') {
                Some((name, value)) => event.labels.get(name).is_some_and(|found| found == value),
                None => event.labels.contains_key(value),
            },
        };
        self.0.iter().all(|(key, values)| values.iter().any(|value| holds(key, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            time: 1_500_000_000,
            event: "died".to_owned(),
            id: "ab".repeat(32),
            name: "web".to_owned(),
            profile: "p\u{1b}[2J".to_owned(),
            labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            status: Some(3),
            ..Event::default()
        }
    }

    #[test]
    fn a_line_is_podmans_and_harmless_on_a_terminal() {
        let text = text(&event(), false);
        assert!(
            text.starts_with("1970-01-01 00:00:01.500000000 +0000 UTC container died abababababab (profile=p"),
            "{text}"
        );
        assert!(text.ends_with(", name=web, exitCode=3, a=b)") && !text.contains('\u{1b}'), "{text}");
        let json = Form::Json.line(&event()).unwrap();
        assert!(json.contains("\"ContainerExitCode\":3") && !json.contains("Signal"), "{json}");
        let filled = Form::Template(template("{{.Status}} {{.Signal}}{{.ContainerExitCode}} {{.Image}}").unwrap());
        assert!(!filled.line(&event()).unwrap().contains('\u{1b}'));
        assert!(filled.line(&event()).unwrap().starts_with("died 3 "));
        assert!(template("table {{.ID}}").is_err());
    }

    #[test]
    fn of_conditions_with_one_key_one_has_to_hold() {
        for (filters, holds) in [
            (&["container=web"][..], true),
            (&["container=abab"], true),
            (&["container="], false),
            (&["container=we"], false),
            (&["event=start", "event=died"], true),
            (&["event=died", "container=other"], false),
            (&["label=a"], true),
            (&["label=a=c"], false),
            (&["type=container"], true),
        ] {
            let texts: Vec<_> = filters.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(Filters::read(&texts).unwrap().hold(&event()), holds, "{filters:?}");
        }
        for wrong in ["event=nosuch", "name", "pod=x", "type=image"] {
            assert!(Filters::read(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
