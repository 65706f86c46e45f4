//! The strings of a further program, for PID 1.

use super::prepare;
use crate::plan::Plan;
use crate::state::{Execution, LARGEST};
use crate::sys::{self, Block};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Reads an [`Execution`] from a file in memory, and writes what PID 1 needs to another one.
pub(super) fn strings(file: BorrowedFd<'_>, plan: &Plan) -> Result<OwnedFd, String> {
    let asked = read(file)?;
    let [args, env] = [&asked.args, &asked.env].map(|texts| texts.iter().map(OsString::from).collect::<Vec<_>>());
    let name = args.first().filter(|name| !name.is_empty()).ok_or("a further program needs a name")?;
    let own = plan.process.cwd.first().map_or(Path::new("/"), |dir| dir.as_path()).as_os_str().to_owned();
    let dir = asked.dir.as_ref().map(OsString::from).unwrap_or(own);
    if !dir.as_bytes().starts_with(b"/") {
        return Err("the directory of a further program is the path inside, from / on".to_owned());
    }
    // What the request says comes last, and counts.
    let mut variables: Vec<(OsString, OsString)> = plan.process.env.clone();
    let mut set = |name: OsString, value: OsString| {
        variables.retain(|(known, _)| *known != name);
        variables.push((name, value));
    };
    if plan.process.pwd {
        set("PWD".into(), dir.clone());
    }
    for line in &env {
        let at = line.as_bytes().iter().position(|byte| *byte == b'=').filter(|at| *at > 0);
        let at = at.ok_or_else(|| format!("{} is no variable: NAME=VALUE", line.display()))?;
        let (name, value) = line.as_bytes().split_at(at);
        set(OsStr::from_bytes(name).to_owned(), OsStr::from_bytes(value.get(1..).unwrap_or_default()).to_owned());
    }
    let path = variables.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
    let paths = prepare::candidates(name, path.as_deref()).map(PathBuf::into_os_string).collect();
    let lines = variables.into_iter().map(|(name, value)| {
        let mut line = name.into_vec();
        line.push(b'=');
        line.extend(value.into_vec());
        OsString::from_vec(line)
    });
    let [paths, args, env] = [paths, args.clone(), lines.collect()].map(owned);
    let content = Block::content(&refs(&paths?), &refs(&args?), &refs(&env?), &c(&dir)?);
    if content.len() > sys::LARGEST_BLOCK {
        return Err("its arguments and variables are too long".to_owned());
    }
    sys::memory_file_with(c"sbx-exec", &content).map_err(|errno| format!("a file in memory: {errno}"))
}

fn read(file: BorrowedFd<'_>) -> Result<Execution, String> {
    let mut text = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = sys::read_at(file, &mut buffer, text.len() as u64) {
        text.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if text.len() > LARGEST {
            return Err("its arguments and variables are too long".to_owned());
        }
    }
    serde_json::from_slice(&text).map_err(|_| "this version of sbx does not know the request".to_owned())
}

fn c(text: &OsStr) -> Result<CString, String> {
    CString::new(text.as_bytes()).map_err(|_| format!("{} has a NUL", text.display()))
}

fn owned(texts: Vec<OsString>) -> Result<Vec<CString>, String> {
    texts.iter().map(|text| c(text)).collect()
}

fn refs(texts: &[CString]) -> Vec<&CStr> {
    texts.iter().map(CString::as_c_str).collect()
}
