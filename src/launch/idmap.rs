//! Writes the id maps of the first process: directly as root, or through newuidmap(1) and newgidmap(1).

use super::helpers;
use crate::error::{Error, Result};
use crate::host::{Powerless, powerless};
use crate::plan::{IdMapping, IdPlan, Writer};

pub(super) fn write(ids: &IdPlan, pid: i32) -> Result<()> {
    match &ids.writer {
        Writer::Child | Writer::Nobody => Ok(()),
        Writer::Launcher => {
            for (file, map) in [("uid_map", &ids.uid_map), ("gid_map", &ids.gid_map)] {
                let path = format!("/proc/{pid}/{file}");
                std::fs::write(&path, IdMapping::text(map)).map_err(|error| {
                    let errno = crate::sys::Errno::from(error);
                    Error::new(format!("cannot write {path} ({}): {errno}", IdMapping::text(map).trim_end()))
                        .hint("the map may name ids that the caller does not have itself")
                })?;
            }
            Ok(())
        }
        Writer::Helpers { newuidmap, newgidmap } => {
            let runs = [(newuidmap, &ids.uid_map), (newgidmap, &ids.gid_map)]
                .map(|(program, map)| (program.as_path(), arguments(pid, map)));
            // Both at once: they take longer than the rest of a start.
            let ended = helpers::complete(&runs);
            for (((program, args), ended), file) in runs.iter().zip(ended).zip(["/etc/subuid", "/etc/subgid"]) {
                ended.map_err(|why| {
                    let error = Error::new(format!("{} {}: {why}", program.display(), args.join(" ")));
                    match powerless(program) {
                        Some(Powerless { why, fix, root }) => {
                            error.hint(format!("{why}: {}{fix}", if root { "as root, " } else { "" }))
                        }
                        None => error.hint(format!("the ranges of {file} must allow this map")),
                    }
                })?;
            }
            Ok(())
        }
    }
}

/// Arguments of newuidmap(1) and newgidmap(1).
fn arguments(pid: i32, map: &[IdMapping]) -> Vec<String> {
    let numbers = map.iter().flat_map(|e| [e.inside, e.outside, e.count]).map(|n| n.to_string());
    std::iter::once(pid.to_string()).chain(numbers).collect()
}
