//! The command line of `sbx events`.

use clap::{Args, ValueHint};

/// `sbx events`
#[derive(Args, Debug)]
pub struct Events {
    /// Print what has happened since then, too: 10m, 2026-11-29T12:00:00Z, or seconds since 1970
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other)]
    pub since: Option<String>,
    /// Print what happens until then, also what has happened before; then end
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other)]
    pub until: Option<String>,
    /// Print only what meets a condition: container=, event=, profile=, label=
    #[arg(short, long, value_name = "KEY=VALUE", value_hint = ValueHint::Other)]
    pub filter: Vec<String>,
    /// Print by a template, such as '{{.Time}} {{.Status}} {{.Name}}', or json
    #[arg(long, value_name = "TEMPLATE", value_hint = ValueHint::Other)]
    pub format: Option<String>,
    /// Print a line of JSON for each
    #[arg(long)]
    pub json: bool,
    /// Go on with what happens (the default)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub stream: Option<bool>,
    /// Print what has happened so far, and end
    #[arg(long, conflicts_with = "stream")]
    pub no_stream: bool,
    /// Shorten no ids (the default)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub no_trunc: Option<bool>,
}
