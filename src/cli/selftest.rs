//! `sbx selftest`: prints a table of what was tried inside a sandbox, and with what result.

use super::{args, layers, output};
use crate::error::Result;
use crate::selftest::{self, Outcome, Report};
use std::fmt::Write;

pub(super) fn main(args: &args::Selftest) -> Result<u8> {
    let caller = layers::Caller::read()?.with(&args.sandbox);
    let (mut sandbox, facts) = layers::sandbox(&args.sandbox, &[], &caller)?;
    sandbox.process.args = vec!["sbx-selftest".into()];
    let report = selftest::run(sandbox, facts)?;
    let text = if args.json { format!("{:#}\n", serde_json::json!(report)) } else { table(&report, args.verbose) };
    output::print(&text)?;
    Ok(u8::from(report.count(Outcome::Failed) > 0))
}

fn table(report: &Report, verbose: bool) -> String {
    let mut out = String::new();
    let mut group = "";
    for line in &report.lines {
        if group != line.group {
            group = line.group;
            let _ = writeln!(out, "{group}");
        }
        let word = match line.outcome {
            Outcome::Held => "held",
            Outcome::Shared => "shared",
            Outcome::Failed => "FAILED",
            Outcome::NotRun => "not run",
        };
        let detail = crate::error::printable(&line.detail);
        let _ = match verbose || line.outcome != Outcome::Held {
            true => writeln!(out, "  {word:<8} {:<52} {detail}", line.title),
            false => writeln!(out, "  {word:<8} {}", line.title),
        };
    }
    let [held, shared, failed, not_run] =
        [Outcome::Held, Outcome::Shared, Outcome::Failed, Outcome::NotRun].map(|outcome| report.count(outcome));
    let _ = writeln!(out, "{held} held, {shared} shared as the profile says, {failed} failed, {not_run} not run");
    out
}
