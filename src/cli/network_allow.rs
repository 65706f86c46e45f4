//! `sbx network allow`: what a running sandbox reaches besides.

use super::args::NetworkAllow;
use super::{asked, output, store};
use crate::error::{Error, Result};
use crate::state::{LONGEST, Request};

pub(super) fn main(args: &NetworkAllow) -> Result<u8> {
    const WHAT: &str = "can be allowed more";
    let request = Request::Allow { lines: args.lines.clone() };
    if serde_json::to_vec(&request).map_or(true, |text| text.len() > LONGEST) {
        return Err(Error::new("these are too many lines for one change").hint("allow them one after the other"));
    }
    let entry = store::find(&args.name)?;
    let monitor = asked::monitor(&entry, WHAT)?;
    let answer = asked::ask(&entry, &monitor, &request, WHAT)?;
    let said = answer.rules.map(|rules| rules.said).unwrap_or_default();
    said.iter().try_for_each(|said| output::show(&format!("{}: {said}\n", entry.called()))).map(|()| 0)
}
