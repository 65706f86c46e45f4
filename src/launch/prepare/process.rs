//! The program: its arguments, environment, directory, resource limits and terminal.

use super::CallerState;
use super::strings::{cstring, cstrings};
use crate::child::{Process, Session, Strings};
use crate::error::{Error, Result};
use crate::exit;
use crate::launch::{hints, terminal};
use crate::plan::{Placed, Plan};
use crate::sys;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub(super) fn prepare(plan: &Plan, session: Session, state: &CallerState) -> Result<Process> {
    let wanted = &plan.process;
    let umask = sys::umask(0);
    sys::umask(umask);
    let rlimits = plan.resources.rlimits.iter();
    Ok(Process {
        init: wanted.init,
        // The launcher has to know of the start if there is a terminal, which it follows from then on.
        tells_start: state.wants_start
            || matches!(session, Session::Pty(_) | Session::Inherit { terminal: Some(_), .. }),
        keeps_background: wanted.keeps_background,
        looked_at: match &plan.view.memory {
            Some(memory) => {
                memory.looked_at.iter().take(31).map(|dir| cstring(dir.as_os_str())).collect::<Result<_>>()?
            }
            None => Vec::new(),
        },
        hints: hints::wanted(plan, session, state.wants_hints)?,
        covers: match plan.is_bare() || !wanted.init {
            true => Vec::new(),
            false => {
                let covers = plan.covers(sys::ids().0 == 0);
                let cover = |(index, part): (usize, &Placed)| Ok((index as u32, cstring(part.op.path().as_os_str())?));
                covers.map(cover).collect::<Result<_>>()?
            }
        },
        session,
        terminal: if let Session::Pty(_) = session { terminal::initial() } else { None },
        block_fd: wanted.block_fd,
        rlimits: rlimits.filter_map(|limit| Some((resource(limit.name)?, limit.soft, limit.hard))).collect(),
        cwd: cstrings(&wanted.cwd)?,
        programs: programs(plan)?,
        program_fd: wanted.program_fd,
        args: Strings::new(wanted.args.iter().map(|arg| cstring(arg)).collect::<Result<_>>()?),
        shell: if wanted.shell { Some(shell(plan)?) } else { None },
        env: environment(plan)?,
        umask,
        ignores_sigpipe: state.ignores_sigpipe,
        defaults_sigxfsz: state.defaults_sigxfsz,
    })
}

/// The program's environment. If it has PWD, there is a list for each directory that the program may start in.
fn environment(plan: &Plan) -> Result<Strings> {
    let line = |name: &OsStr, value: &OsStr| {
        let mut line = OsString::from(name);
        line.push("=");
        line.push(value);
        cstring(&line)
    };
    let mut env = plan.process.env.iter().map(|(name, value)| line(name, value)).collect::<Result<Vec<_>>>()?;
    if !plan.process.pwd {
        return Ok(Strings::new(env));
    }
    let at = plan.process.env.iter().position(|(name, _)| name == "PWD").unwrap_or(env.len());
    if at == env.len() {
        env.push(c"PWD=".to_owned());
    }
    let variants =
        plan.process.cwd.iter().map(|dir| line(OsStr::new("PWD"), dir.as_os_str())).collect::<Result<_>>()?;
    Ok(Strings::with_variants(env, at, variants))
}

/// The arguments `/bin/sh PATH ARGUMENT...`, one list for each path where the program may be.
fn shell(plan: &Plan) -> Result<Strings> {
    let mut args = vec![c"/bin/sh".to_owned(), c"".to_owned()];
    for arg in plan.process.args.iter().skip(1) {
        args.push(cstring(arg)?);
    }
    Ok(Strings::with_variants(args, 1, programs(plan)?))
}

/// The paths where execvp(3) would look for the program, by the PATH of its own environment.
pub(super) fn programs(plan: &Plan) -> Result<Vec<CString>> {
    let Some(name) = plan.process.executed() else { return Ok(Vec::new()) };
    if name.is_empty() {
        return Err(Error::new("the program's name is empty").status(exit::NOT_FOUND));
    }
    candidates(name, plan.process.variable("PATH")).map(|path| cstring(path.as_os_str())).collect()
}

/// The paths where execvp(3) would look for a program of this name, by this value of PATH.
pub fn candidates<'a>(name: &'a OsStr, path: Option<&'a OsStr>) -> impl Iterator<Item = PathBuf> {
    let is_path = name.as_bytes().contains(&b'/');
    let dirs = path.unwrap_or(OsStr::new("/bin:/usr/bin")).as_bytes().split(|byte| *byte == b':');
    let dirs = dirs.map(|dir| if dir.is_empty() { b"." } else { dir });
    let in_dirs = dirs.filter(move |_| !is_path).map(move |dir| Path::new(OsStr::from_bytes(dir)).join(name));
    is_path.then(|| PathBuf::from(name)).into_iter().chain(in_dirs)
}

fn resource(name: &str) -> Option<sys::Resource> {
    sys::RLIMITS.iter().find(|(known, _)| *known == name).map(|(_, resource)| *resource)
}
