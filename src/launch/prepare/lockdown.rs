//! The lock-down: capabilities, Landlock, seccomp filters, labels.

use super::process::programs;
use super::strings::{cstring, label};
use crate::child::{self, Capabilities, Handover, Landlock, Lockdown, MountSource, Rule, Step, StepAction, Strings};
use crate::error::{Error, Result};
use crate::launch::inherited::InheritedFile;
use crate::plan::Plan;
use crate::sys;
use foldhash::fast::RandomState;
use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The steps of the view get the Landlock rules for what they mount.
pub(super) fn prepare(plan: &Plan, inherited: &[InheritedFile], steps: &mut [Step]) -> Result<Lockdown> {
    let wanted = &plan.lockdown;
    Ok(Lockdown {
        own_keyring: wanted.own_keyring,
        capabilities: Capabilities {
            bounding: wanted.capabilities.bounding,
            sets: wanted.capabilities.sets,
            ambient: wanted.capabilities.ambient,
            powerless_root: wanted.capabilities.powerless_root,
        },
        landlock: landlock(plan, inherited, steps)?,
        filters_for_all: wanted.seccomp_for_all.clone(),
        filters: wanted.seccomp.clone(),
        exec_label: label(wanted.exec_label.as_ref())?,
        visible: wanted.visible,
        tracer_barrier_caps: Cell::new(0),
        handover: if wanted.handover { handover(plan)? } else { None },
    })
}

fn landlock(plan: &Plan, inherited: &[InheritedFile], steps: &mut [Step]) -> Result<Option<Landlock>> {
    let Ok(wanted) = &plan.lockdown.landlock else { return Ok(None) };
    // What was mounted last at a path is what is found there.
    let mut last: HashMap<&[u8], usize, RandomState> = HashMap::default();
    let mounts = steps.iter().enumerate().filter(|(_, step)| matches!(step.act, StepAction::Mount(_)));
    last.extend(mounts.map(|(at, step)| (step.path.to_bytes(), at)));
    let at = |path: &Path| last.get(path.as_os_str().as_bytes().strip_prefix(b"/")?).copied();
    let at: Vec<_> = wanted.rules.iter().map(|(path, _)| at(path)).collect();
    let mut rules = Vec::new();
    for ((index, (path, rights)), at) in (0..).zip(&wanted.rules).zip(at) {
        match at.and_then(|at| steps.get_mut(at)) {
            // An overlay is mounted by its path.
            Some(step) if !matches!(step.act, StepAction::Mount(MountSource::Overlay(_))) => {
                let rights = step.rule.map_or(0, |rule| rule.rights) | rights;
                step.rule = Some(Rule { index, rights });
            }
            _ => rules.push((cstring(path.as_os_str())?, Rule { index, rights: *rights })),
        }
    }
    Ok(Some(Landlock {
        rights: wanted.rights,
        scoped: wanted.scoped,
        rules,
        descriptors: inherited.iter().filter_map(|file| Some((file.fd, file.rights()?))).collect(),
        tcp: wanted.tcp.clone(),
    }))
}

/// What the child needs to execute sbx again from a read-only mount, so that the program cannot write to sbx's file
/// through /proc/self/exe. None if the caller is not root, does not own that file and cannot write to it.
fn handover(plan: &Plan) -> Result<Option<Handover>> {
    use std::os::fd::IntoRawFd;
    use std::os::unix::fs::MetadataExt;
    let failed = |what: &str, error: std::io::Error| Error::new(format!("{what}: {}", sys::Errno::from(error)));
    let exe = Path::new("/proc/self/exe");
    let found = exe.metadata().map_err(|error| failed("/proc/self/exe", error))?;
    let file = exe.read_link().map_err(|error| failed("/proc/self/exe", error))?;
    let file = cstring(file.as_os_str())?;
    let (uid, _) = sys::ids();
    if uid != 0 && found.uid() != uid && sys::may(sys::cwd(), &file, libc::W_OK).is_err() {
        return Ok(None);
    }
    let (hears, tells) = sys::pipe().map_err(|errno| Error::call("pipe", errno))?;
    let pipe = (hears.into_raw_fd(), tells.into_raw_fd());
    let paths = programs(plan)?;
    let text = |text: &str| cstring(OsStr::new(text));
    let mut args = vec![text(child::EXEC)?, text(&pipe.1.to_string())?, text(&paths.len().to_string())?];
    args.extend(paths);
    for arg in &plan.process.args {
        args.push(cstring(arg)?);
    }
    Ok(Some(Handover { file, id: (found.dev(), found.ino()), args: Strings::new(args), pipe }))
}
