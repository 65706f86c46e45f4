//! The record of a run that can be named (`--name`, `--detach`).

use super::{args, remove, store};
use crate::error::{Error, Result};
use crate::launch::Recorded;
use crate::plan::Plan;
use crate::spec::Sandbox;
use crate::state::{Spec, check_name};
use std::collections::BTreeMap;
use std::ffi::OsStr;

/// Seconds that a program has between the signal that asks it to end and the one that ends it: as with podman and docker.
const STOP_TIMEOUT: u64 = 10;

/// Whether a run has a record.
pub(super) fn is_wanted(args: &args::Kept) -> bool {
    args.detach || args.name.is_some()
}

/// Checks what the flags say, before anything is planned.
pub(super) fn check(args: &args::Kept) -> Result<()> {
    args.name.as_deref().map_or(Ok(()), check_name)?;
    stop_signal(args)?;
    labels(args).map(drop)
}

fn stop_signal(args: &args::Kept) -> Result<i32> {
    let Some(text) = &args.stop_signal else { return Ok(libc::SIGTERM) };
    store::signal(text).map_err(|error| error.hint("--stop-signal takes a name, such as TERM or SIGINT, or a number"))
}

fn labels(args: &args::Kept) -> Result<BTreeMap<String, String>> {
    let label = |text: &String| match text.split_once('=').unwrap_or((text, "")) {
        ("", _) => Err(Error::new(format!("--label {text}: a label needs a name")).hint("write --label NAME=VALUE")),
        (name, value) => Ok((name.to_owned(), value.to_owned())),
    };
    args.label.iter().map(label).collect()
}

/// Makes the record of a run.
pub(super) fn begin(args: &args::Kept, sandbox: &Sandbox, plan: &Plan) -> Result<Recorded> {
    let text = |text: &OsStr| text.to_string_lossy().into_owned();
    let spec = Spec {
        profile: sandbox.name.clone(),
        args: plan.process.args.iter().map(|arg| text(arg)).collect(),
        cwd: plan.process.cwd.first().map(|dir| dir.display().to_string()).unwrap_or_default(),
        hostname: plan.namespaces.hostname.clone().unwrap_or_default(),
        env: plan.process.env.iter().map(|(name, value)| format!("{}={}", text(name), text(value))).collect(),
        labels: labels(args)?,
        remove: args.rm,
        detached: args.detach,
        stop_signal: stop_signal(args)?,
        stop_timeout: args.stop_timeout.unwrap_or(STOP_TIMEOUT),
        ..Spec::default()
    };
    let store = store::store()?;
    if let (Some(name), true) = (&args.name, args.replace)
        && let Ok(old) = store.find(name)
        && old.name.as_deref() == Some(name)
    {
        remove::one(&store, &old, true, None)?;
    }
    Ok(Recorded::new(store.begin(spec, args.name.as_deref())?))
}

/// Ends a run with its record: that of a program that was never started is removed, and that of one that is not to stay.
pub(super) fn end(record: Recorded, remove: bool) -> Result<()> {
    if remove || !record.has_started() {
        store::store()?.forget(record.id())?;
    }
    Ok(())
}
