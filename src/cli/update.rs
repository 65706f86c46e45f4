//! `sbx update`: other limits for a sandbox. They hold at once if it runs, and are kept for its next start.

use super::caller::Caller;
use super::{args, asked, flags, happened, output, store};
use crate::error::{Error, Result};
use crate::host;
use crate::plan;
use crate::profile::schema;
use crate::profile::{Merged, resolve};
use crate::spec::limits::{Limits, Value};
use crate::state::{Change, Happened, LONGEST, Request};
use std::collections::BTreeMap;

pub(super) fn main(args: &args::Update) -> Result<u8> {
    const WHAT: &str = "can be given other limits";
    let caller = Caller::read_anywhere()?;
    let (limits, settings) = limits(&sandbox(args), &caller)?;
    if limits.list.is_empty() {
        return Err(Error::new("there is no limit to change").hint("name some: sbx update --memory 1G NAME"));
    }
    let facts = host::cgroup_facts(&limits, crate::sys::ids().0, &host::accounts()?, &caller.env);
    let mut changes = Vec::new();
    for limit in &limits.list {
        let file = plan::limit_file(limit, &facts)?;
        let page = if let Value::Pages(size, _) = &limit.value { size.clone() } else { String::new() };
        changes.push(Change { name: limit.name.to_owned(), page, value: file.value });
    }
    let request = Request::Update { limits: changes };
    if serde_json::to_vec(&request).map_or(true, |text| text.len() > LONGEST) {
        return Err(Error::new("these are too many limits for one change").hint("change them one after the other"));
    }
    let store = store::store()?;
    let entry = store.find(&args.name).inspect(store::note)?;
    let _locked = store.lock(&entry)?;
    // Room for it is there before anything is changed.
    let kept = entry.keep_settings()?;
    if entry.status().is_running() {
        let monitor = asked::monitor(&entry, WHAT)?;
        asked::ask(&entry, &monitor, &request, WHAT)?;
    }
    kept.add(settings).map_err(|errno| {
        Error::new(format!("the limits hold, and cannot be kept for the next start of {}: {errno}", entry.called()))
    })?;
    happened::tell(&entry, &Happened::Update);
    output::print(&format!("{}\n", args.name)).map(|()| 0)
}

/// The flags as those of a run.
fn sandbox(args: &args::Update) -> args::Sandbox {
    args::Sandbox { limits: args.limits.clone(), set: args.set.clone(), ..args::Sandbox::default() }
}

/// The limits that flags name, and for each key the setting that says the same to `--set`.
fn limits(args: &args::Sandbox, caller: &Caller) -> Result<(Limits, BTreeMap<String, String>)> {
    let flags = flags::read(args, &Merged::default(), caller)?;
    let limits = schema::KEYS.iter().filter(|key| matches!(key.target, schema::Target::Limit(_)));
    let limits: Vec<_> = limits.map(|key| key.name).collect();
    // One for a device or a size of pages has that behind the key.
    let is_limit = |name: &str| {
        limits.iter().any(|limit| name.strip_prefix(limit).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    };
    if let Some(line) = flags.lines.iter().find(|line| !is_limit(&line.key)) {
        return Err(Error::new(format!("{}: only limits of the cgroup are changed", line.label))
            .hint("run it anew for anything else: sbx run --replace --name NAME"));
    }
    let settings = flags.lines.iter().map(|line| (line.key.clone(), format!("{}={}", line.key, line.value))).collect();
    let (mut loader, mut merged) = (caller.loader(), Merged::default());
    let layer = loader.text("command line", &flags.text());
    loader.sources.label(layer.source, flags.labels());
    merged.apply(layer);
    if !loader.errors.is_empty() {
        return Err(output::wrong(loader.errors, loader.sources));
    }
    let sandbox = resolve::sandbox(&merged, &loader.sources, &caller.vars)
        .map_err(|errors| output::wrong(errors, loader.sources.clone()))?;
    Ok((sandbox.limits, settings))
}
