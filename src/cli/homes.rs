//! `sbx homes`: lists the private homes that are kept, and removes them.

use super::{args, output, uppers};
use crate::error::Result;
use crate::launch;
use crate::union::{State, Store};
use serde_json::json;
use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

pub(super) fn main(args: &args::Homes) -> Result<u8> {
    let store = Store::homes(uppers::data_directory()?.join("homes"));
    if !args.remove.is_empty() {
        let locked = |name: &String| store.lock(&store.named(name)?, None);
        let status = uppers::each(&args.remove, |name| locked(name).and_then(launch::discard));
        store.stale().into_iter().try_for_each(launch::discard)?;
        return Ok(status);
    }
    let mut rows = Vec::new();
    let mut out = String::new();
    for name in store.names()? {
        let Some(State { used, .. }) = store.peek(&name) else {
            let _ = writeln!(out, "{name:<24} cannot be read");
            rows.push(json!({"name": name, "state": "cannot be read"}));
            continue;
        };
        let in_use = store.lock(&name, None).is_err();
        let when = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(used)).to_string();
        let when = when.replace('T', " ").replace('Z', "");
        let dir = store.path().join(&name).join("home");
        let _ = writeln!(out, "{name:<24} {:>6}  {when}  {}", if in_use { "in use" } else { "" }, dir.display());
        rows.push(json!({"name": name, "used": used, "in_use": in_use, "dir": dir.to_string_lossy()}));
    }
    output::print(&if args.json { format!("{:#}\n", json!(rows)) } else { out })?;
    Ok(0)
}
