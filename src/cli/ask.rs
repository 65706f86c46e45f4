//! Asks on the terminal, when the program has ended, what becomes of the changes that it made in overlays
//! (`filesystem.upper = "ask"`).

use super::{output, uppers};
use crate::error::Result;
use crate::launch;
use crate::union;
use std::fmt::Write;
use std::io::BufRead;
use std::path::Path;

/// How many paths are listed before the question.
const LISTED: usize = 20;

/// Asks what becomes of these upper layers. Whatever happens but an answer keeps them.
pub(super) fn ask(store: &Path, name: &str) -> Result<()> {
    // The child finds whether there is anything to ask about: its exit status says so.
    let any = uppers::within(uppers::locked_in(store, name)?, |upper| {
        let entries = union::differences(&upper, &[])?;
        let mut text = uppers::summary(entries.get(..LISTED).unwrap_or(&entries), false);
        if entries.len() > LISTED {
            let _ = writeln!(text, "... and {} more", entries.len() - LISTED);
        }
        output::tell(&text);
        Ok(u8::from(!entries.is_empty()))
    })?;
    if any == 0 {
        return launch::discard(uppers::locked_in(store, name)?);
    }
    let mut input = std::io::stdin().lock();
    loop {
        output::tell("sbx: [c]ommit these changes to the host, [k]eep them, [d]iscard them, or [s]how them? ");
        let mut line = String::new();
        if input.read_line(&mut line).unwrap_or(0) == 0 {
            output::tell(&format!(
                "\nsbx: they are kept: `sbx diff {name}` shows them, `sbx discard {name}` removes them\n"
            ));
            return Ok(());
        }
        match line.trim() {
            "c" | "commit" => {
                let status = uppers::within(uppers::locked_in(store, name)?, |mut upper| {
                    uppers::committed(&mut upper, &[], false)
                })?;
                if status == 0 {
                    return launch::discard(uppers::locked_in(store, name)?);
                }
                output::tell(&format!(
                    "sbx: what was not put onto the host is kept: `sbx commit {name}` tries again\n"
                ));
                return Ok(());
            }
            "k" | "keep" => {
                output::tell(&format!("sbx: kept as {name}: `--upper keep:{name}` goes on with them\n"));
                return Ok(());
            }
            "d" | "discard" => return launch::discard(uppers::locked_in(store, name)?),
            "s" | "show" => {
                uppers::within(uppers::locked_in(store, name)?, |upper| {
                    union::patches(&upper, &[], &mut |patch| {
                        output::tell(&uppers::shown(patch, 2));
                        Ok(())
                    })?;
                    Ok(0)
                })?;
            }
            _ => {}
        }
    }
}
