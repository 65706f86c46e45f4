//! `sbx plan`: prints what `sbx run` would do.

use super::{args, kept, layers, output};
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::plan;
use crate::spec::Sandbox;
use std::collections::BTreeSet;

pub(super) fn main(args: &args::Plan) -> Result<u8> {
    kept::check_run(&args.kept)?;
    let caller = layers::Caller::read()?.with(&args.sandbox);
    let (sandbox, facts) = layers::sandbox(&args.sandbox, &args.program, &caller)?;
    let facts = facts.with_settings();
    let plan = plan::plan(&sandbox, &facts)?;
    if kept::is_wanted(&args.kept) {
        kept::check_ports(&plan)?;
    }
    let receipt = plan::receipt(&sandbox, &plan);
    let text = if args.json {
        let failed = |error| {
            Error::new(format!("cannot write the plan as JSON: {error}"))
                .hint("JSON is UTF-8 text, and so must be the paths in it; without --json any path can be printed")
        };
        let mut json = serde_json::to_value(&plan).map_err(failed)?;
        if let serde_json::Value::Object(fields) = &mut json {
            fields.insert("receipt".into(), serde_json::json!(receipt));
        }
        format!("{json:#}\n")
    } else if args.verbose {
        plan::text(&plan) + &enforced(&receipt) + &looked_at(&sandbox, &facts)
    } else {
        plan::summary(&sandbox, &plan, &receipt) + MORE
    };
    output::print(&text)?;
    Ok(0)
}

/// The last line of the summary.
const MORE: &str = "\n`sbx plan --verbose` has every mount, variable and mechanism.\n";

/// Which paths of the host a start looks at, besides those of the profile's lines: it waits for the server that one lies
/// on.
fn looked_at(sandbox: &Sandbox, facts: &Facts) -> String {
    let rules: BTreeSet<_> = sandbox.filesystem.paths.iter().flat_map(|rule| rule.path.ancestors()).collect();
    let mut out = String::from("\nlooked at, besides the profile's paths and the directories above them\n");
    for (path, listed) in facts.paths.looked_at() {
        if listed || !rules.contains(path) {
            out.push_str(&format!("  {}{}\n", path.display(), if listed { " (its names)" } else { "" }));
        }
    }
    crate::error::printable_lines(&out)
}

/// The receipt as text: a line for each setting, with the mechanisms that enforce it.
fn enforced(receipt: &plan::Receipt) -> String {
    let mut out = String::from("\nenforced by\n");
    for line in &receipt.lines {
        let by = if line.by.is_empty() { "nothing".to_owned() } else { line.by.join("; ") };
        out.push_str(&format!("  {}: {by}", line.setting));
        if !line.missing.is_empty() {
            out.push_str(&format!(" (but not: {})", line.missing.join("; ")));
        }
        out.push('\n');
    }
    crate::error::printable_lines(&out)
}
