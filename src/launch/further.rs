//! A further program: what PID 1 is told of it, and what the launcher knows of one that runs.

use super::{further_ids, prepare};
use crate::child::Terminal;
use crate::plan::{Op, Placed, Plan};
use crate::state::{Execution, LARGEST};
use crate::sys::{self, Block};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A further program, as PID 1 is told of it.
pub(super) struct Asked {
    /// The file with its strings.
    pub strings: OwnedFd,
    /// The file with what its terminal starts with, if it has one.
    pub terminal: Option<OwnedFd>,
    /// It goes on without whoever has asked.
    pub detach: bool,
}

/// A further program that runs.
pub(super) struct Further {
    /// What it is called by between here and PID 1.
    pub number: u32,
    /// The connection that has asked for it; none if it goes on without.
    pub client: Option<u64>,
    /// It goes on without as soon as it was started.
    pub detach: bool,
    /// Its file came with the request, so that it is a part of sbx's.
    pub own: bool,
    /// It was executed.
    pub started: bool,
    /// Both ends of its terminal, if nobody else has the master. What it writes there is read, so that it never waits for a reader. The slave keeps the
    /// terminal working when the program closes it and opens it again.
    pub terminal: Option<[OwnedFd; 2]>,
}

impl Further {
    /// Where what it writes is read, if nobody else does.
    pub fn unread(&self) -> Option<RawFd> {
        self.terminal.as_ref().map(|[master, _]| master.as_raw_fd())
    }
}

/// Both ends of a terminal whose master this is; none if it is no master.
pub(super) fn ends(master: OwnedFd) -> Option<[OwnedFd; 2]> {
    sys::set_nonblocking(master.as_fd(), true).ok()?;
    let slave = sys::open_peer(master.as_fd()).ok()?;
    Some([master, slave])
}

/// Reads an [`Execution`] from a file in memory, and writes what PID 1 needs to others.
pub(super) fn asked(file: BorrowedFd<'_>, plan: &Plan) -> Result<Asked, String> {
    let asked = read(file)?;
    if let Some(user) = &asked.user {
        further_ids::check(&OsString::from(user), plan)?;
    }
    let terminal = asked.terminal.as_deref().map(|start| terminal(start, plan)).transpose()?;
    Ok(Asked { strings: strings(&asked, plan)?, terminal, detach: asked.detach })
}

/// The file with what a terminal starts with.
fn terminal(start: &[u8], plan: &Plan) -> Result<OwnedFd, String> {
    let own = |placed: &Placed| matches!(&placed.op, Op::Devpts { path } if path == Path::new("/dev/pts"));
    if !plan.view.parts.iter().any(own) {
        return Err("the sandbox has no /dev/pts of its own, in which a terminal could be made".to_owned());
    }
    if start.len() != Terminal::BYTES {
        return Err("this version of sbx does not know the request".to_owned());
    }
    sys::memory_file_with(c"sbx-terminal", start).map_err(|errno| format!("a file in memory: {errno}"))
}

fn strings(asked: &Execution, plan: &Plan) -> Result<OwnedFd, String> {
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
