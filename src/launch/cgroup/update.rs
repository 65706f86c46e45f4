//! Changes limits of a sandbox that runs: each is written and read back, and either all of them hold or what was there before does.

use super::files::{exchange, read, write};
use super::own::{Cgroup, hold};
use crate::error::{Error, Result};
use crate::plan::LimitFile;
use crate::spec::limits::Form;
use crate::sys::Errno;

/// What to do where a cgroup, or a controller of it, is missing.
pub(in crate::launch) const START_WITH_LIMIT: &str =
    "start it with such a limit: the cgroup is made at the start, and a limit of `max` is none";

impl Cgroup {
    /// Sets limits. With `shown`, programs inside that read their own limits see them, too.
    ///
    /// # Errors
    ///
    /// One of them cannot be set: nothing is changed then, or the text says what is.
    pub(in crate::launch) fn update(&mut self, limits: &[LimitFile], shown: bool) -> Result<()> {
        let mut before: Vec<(&LimitFile, String)> = Vec::new();
        for limit in limits {
            let changed = self.enable(limit).and_then(|()| {
                let found = read(self.dir(), &limit.file)
                    .ok_or_else(|| Error::new(format!("{} cannot be read", limit.file)))?;
                before.push((limit, previous(limit.form, &limit.value, &found)));
                hold(self.dir(), limit).map_err(Error::new)
            });
            let Err(why) = changed else { continue };
            let (why, hints) = (why.message, why.hints);
            let kept: Vec<_> = before.iter().rev().filter_map(|(limit, old)| self.put_back(limit, old).err()).collect();
            let error = Error::new(match kept.as_slice() {
                [] => format!("limits.{}: {why}; no limit was changed", limit.name),
                kept => format!("limits.{}: {why}; not put back to what it was: {}", limit.name, kept.join(", ")),
            });
            return Err(hints.into_iter().fold(error, Error::hint));
        }
        for limit in limits {
            self.note_change(limit);
            if shown {
                let _ = write(&self.inner().join(&limit.file), &limit.value);
            }
        }
        Ok(())
    }

    /// Writes what a file had said. The error names the limit, and what it is.
    fn put_back(&self, limit: &LimitFile, old: &str) -> std::result::Result<(), String> {
        let now = || read(self.dir(), &limit.file).unwrap_or_default().trim().to_owned();
        match exchange(&self.dir().join(&limit.file), old) {
            Ok(found) if previous(limit.form, &limit.value, &found) == old => Ok(()),
            _ => Err(format!("limits.{} (it is `{}` now)", limit.name, now())),
        }
    }

    /// Enables the controller of a limit that the sandbox was started without.
    fn enable(&mut self, limit: &LimitFile) -> Result<()> {
        let controller = limit.file.split('.').next().unwrap_or_default().to_owned();
        if self.dir().join(&limit.file).exists() {
            return Ok(());
        }
        let enabled = self.enable_controller(&controller);
        if self.dir().join(&limit.file).exists() {
            return Ok(());
        }
        Err(match enabled {
            Ok(()) => Error::new(format!("this kernel has no {}", limit.file)),
            Err(error) => Error::new(format!(
                "its cgroup was made without the controller `{controller}`, which cannot be enabled any more: {}",
                Errno::from(error)
            ))
            .hint(START_WITH_LIMIT),
        })
    }
}

/// What has to be written to a file to have it say again what it said when this was found, where `value` is about to be written.
fn previous(form: Form, value: &str, found: &str) -> String {
    let found = found.trim();
    match form {
        Form::Weight => {
            let line = found.lines().find(|line| line.starts_with("default ")).unwrap_or(found);
            line.trim_start_matches("default ").trim().to_owned()
        }
        Form::Rates | Form::Latency => {
            let device = value.split_whitespace().next().unwrap_or_default();
            let line = found.lines().find(|line| line.split_whitespace().next() == Some(device));
            let none = match form {
                Form::Rates => format!("{device} rbps=max wbps=max riops=max wiops=max"),
                _ => format!("{device} target=max"),
            };
            line.map_or(none, |line| line.trim().to_owned())
        }
        // An empty list stands for all, and write(2) of nothing would write nothing.
        Form::Set if found.is_empty() => "\n".to_owned(),
        _ => found.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_said_can_be_written_to_it() {
        for (form, value, found, back) in [
            (Form::Bytes, "1", "max\n", "max"),
            (Form::Cpu, "1 2", "max 100000\n", "max 100000"),
            (Form::Weight, "50", "default 100\n8:0 200\n", "100"),
            (Form::Weight, "50", "39\n", "39"),
            (Form::Set, "0", "\n", "\n"),
            (Form::Set, "0", "0-1\n", "0-1"),
            (Form::Rates, "8:0 wbps=1", "8:16 rbps=1 wbps=max\n", "8:0 rbps=max wbps=max riops=max wiops=max"),
            (
                Form::Rates,
                "8:0 wbps=1",
                "8:0 rbps=5 wbps=max riops=max wiops=max\n",
                "8:0 rbps=5 wbps=max riops=max wiops=max",
            ),
            (Form::Latency, "8:0 target=5", "", "8:0 target=max"),
        ] {
            assert_eq!(previous(form, value, found), back, "{found}");
        }
    }
}
