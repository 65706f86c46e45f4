//! `sbx plan`: prints what `sbx run` would do.

use super::{args, layers, output};
use crate::error::{Error, Result};
use crate::plan;

pub(super) fn main(args: &args::Plan) -> Result<u8> {
    let caller = layers::Caller::read()?;
    let (sandbox, facts) = layers::sandbox(&args.sandbox, &args.program, &caller)?;
    let plan = plan::plan(&sandbox, &facts.with_settings())?;
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
        plan::text(&plan) + &enforced(&receipt)
    } else {
        plan::summary(&sandbox, &plan, &receipt) + MORE
    };
    output::print(&text)?;
    Ok(0)
}

/// The last line of the summary.
const MORE: &str = "\n`sbx plan --verbose` has every mount, variable and mechanism.\n";

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
