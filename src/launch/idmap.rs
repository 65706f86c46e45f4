//! Writes the id maps of the first process: directly as root, or through newuidmap(1) and newgidmap(1).

use super::helpers;
use crate::error::{Error, Result};
use crate::plan::{IdMapping, IdPlan, Writer};
use std::path::Path;

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
            run(newuidmap, pid, &ids.uid_map, "/etc/subuid")?;
            run(newgidmap, pid, &ids.gid_map, "/etc/subgid")
        }
    }
}

fn run(program: &Path, pid: i32, map: &[IdMapping], file: &str) -> Result<()> {
    let numbers = map.iter().flat_map(|e| [e.inside, e.outside, e.count]).map(|n| n.to_string());
    let args: Vec<String> = std::iter::once(pid.to_string()).chain(numbers).collect();
    helpers::complete(program, &args).map_err(|why| {
        Error::new(format!("{} {}: {why}", program.display(), args.join(" ")))
            .hint(format!("the ranges of {file} must allow this map, and the program must be set-user-id root or have cap_setuid, cap_setgid"))
    })
}
