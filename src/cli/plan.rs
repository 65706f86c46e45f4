//! `sbx plan`: what would be done.

use super::{args, layers};
use crate::error::{Error, Result};
use crate::plan;

pub(super) fn main(args: &args::Plan) -> Result<u8> {
    let caller = layers::Caller::read()?;
    let (sandbox, facts) = layers::sandbox(&args.sandbox, &args.program, &caller)?;
    let plan = plan::plan(&sandbox, &facts.with_settings())?;
    let text = if args.json {
        let json = serde_json::to_string_pretty(&plan);
        json.map_err(|error| Error::new(format!("cannot write the plan as JSON: {error}")))? + "\n"
    } else {
        plan::text(&plan)
    };
    super::print(&text)?;
    Ok(0)
}
