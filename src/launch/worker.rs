//! Runs a function in a child process that has the ids of a sandbox: files of its layers may belong to subordinate ids,
//! which this user cannot change.

use super::idmap;
use crate::error::{Error, Result};
use crate::host;
use crate::plan::{IdMapping, IdPlan, Writer};
use crate::sys::{self, Errno, Waited};
use crate::union::{self, Ids, Outside, Take};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Runs `work` in a child process in a new user namespace with these ids, as user 0 inside if that is mapped, and with
/// all capabilities there. Gives its value. What `work` fails with is handed over. It is given this process, which keeps the caller's
/// ids, to do what needs these.
///
/// # Errors
///
/// The ids cannot be mapped, or `work` failed.
pub fn within(ids: &Ids, work: impl FnOnce(&dyn Outside) -> Result<u8>) -> Result<u8> {
    let failed = |what: &'static str| move |errno: sys::Errno| Error::new(format!("{what}: {errno}"));
    let (ours, theirs) = sys::seqpacket_pair().map_err(failed("socketpair"))?;
    let plan = if ids.is_single() { None } else { Some(id_plan(ids)?) };
    let asked = Asked(theirs.as_fd());
    let pid = sys::fork(|| {
        let go = || -> Result<u8> {
            sys::new_user_namespace().map_err(|errno| {
                Error::new(format!("cannot make a user namespace: unshare: {errno}")).hint("`sbx check` says why")
            })?;
            if ids.is_single() {
                let text =
                    |map: &[(u32, u32, u32)]| map.iter().map(|(a, b, c)| format!("{a} {b} {c}\n")).collect::<String>();
                let write = |path, text: &str| sys::write_file(path, text.as_bytes()).map_err(failed("cannot map ids"));
                write(c"/proc/self/setgroups", "deny")?;
                write(c"/proc/self/uid_map", &text(&ids.uids))?;
                write(c"/proc/self/gid_map", &text(&ids.gids))?;
                return work(&asked);
            }
            sys::send(theirs.as_fd(), b"r", None).map_err(failed("sendmsg"))?;
            let mut answer = [0];
            match sys::read(theirs.as_fd(), &mut answer) {
                Ok(1) if answer == *GO => work(&asked),
                _ => Ok(crate::exit::FAILED),
            }
        };
        match go() {
            Ok(status) => i32::from(status),
            Err(error) => {
                let parts = std::iter::once(&error.message).chain(&error.hints);
                let text = parts.map(String::as_str).collect::<Vec<_>>().join("\0");
                let _ = sys::send(theirs.as_fd(), text.as_bytes().get(..LONGEST).unwrap_or(text.as_bytes()), None);
                REPORTED
            }
        }
    })
    .map_err(failed("fork"))?;
    // The end of the child is then the end of this socket.
    drop(theirs);
    let mapped = match &plan {
        // The child maps the one id itself.
        None => Ok(()),
        Some(plan) => {
            let mapped = match sys::read(ours.as_fd(), &mut [0; 1]) {
                Ok(1) => idmap::write(plan, pid),
                _ => Ok(()),
            };
            let _ = sys::send(ours.as_fd(), if mapped.is_ok() { GO } else { b"x" }, None);
            mapped
        }
    };
    let told = serve(ours.as_fd());
    let ended = sys::wait_for(pid).map_err(failed("waitid"))?;
    mapped?;
    match ended {
        Waited::Exited(REPORTED) => Err(reported(&told)),
        Waited::Exited(status) => Ok(status as u8),
        _ => Err(Error::new("the process that works on the layers was killed")),
    }
}

/// The child's exit status once it has sent an error.
const REPORTED: i32 = 255;

/// What tells the child that its ids are mapped.
const GO: &[u8; 1] = b"g";

/// Longest text of an error that the child sends, in bytes.
const LONGEST: usize = 16 * 1024;

/// This process, for the child: it does what needs the caller's ids.
struct Asked<'a>(BorrowedFd<'a>);

impl Outside for Asked<'_> {
    fn take(&self, what: Take, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> sys::Result<()> {
        sys::send(self.0, FROM, Some(from))?;
        sys::send(self.0, &[what.byte()], Some(to))?;
        let mut answer = [0; 4];
        match sys::read(self.0, &mut answer)? {
            4 if answer == [0; 4] => Ok(()),
            4 => Err(Errno(i32::from_ne_bytes(answer))),
            _ => Err(Errno(libc::EPIPE)),
        }
    }
}

/// The message with which the child sends the first of two files.
const FROM: &[u8; 1] = b"f";

/// Does what the child asks for until it has ended. Gives the error that it has sent.
fn serve(socket: BorrowedFd<'_>) -> String {
    let (mut buffer, mut error) = (vec![0; LONGEST], String::new());
    let mut from: Option<OwnedFd> = None;
    while let Ok((length @ 1.., file)) = sys::receive(socket, &mut buffer) {
        let message = buffer.get(..length).unwrap_or_default();
        match (message, file, from.take()) {
            (message, Some(file), None) if message == FROM => from = Some(file),
            ([byte], Some(to), Some(from)) if let Some(what) = Take::of(*byte) => {
                let errno = union::take(what, from.as_fd(), to.as_fd()).map_or_else(|Errno(errno)| errno, |()| 0);
                let _ = sys::send(socket, &errno.to_ne_bytes(), None);
            }
            // What it asks for comes with files, and an error with none.
            (message, ..) => error = String::from_utf8_lossy(message).into_owned(),
        }
    }
    error
}

/// The error that the child has sent: its message and its hints, with a NUL between each.
fn reported(text: &str) -> Error {
    let mut parts = text.split('\0');
    let error = Error::new(parts.next().unwrap_or_default());
    parts.fold(error, |error, hint| error.hint(hint))
}

/// Who writes these maps.
fn id_plan(ids: &Ids) -> Result<IdPlan> {
    let map = |map: &[(u32, u32, u32)]| {
        map.iter()
            .map(|(inside, outside, count)| IdMapping { inside: *inside, outside: *outside, count: *count })
            .collect()
    };
    let writer = match sys::ids() {
        (0, _) => Writer::Launcher,
        _ => {
            let path = std::env::var("PATH").unwrap_or_default();
            let found = host::Helpers::find(&["newuidmap", "newgidmap"], &path);
            let program = |name: &str| {
                found.get(name).map(Path::to_owned).map_err(|why| {
                    Error::new(format!("files of subordinate ids need {name}: {why}"))
                        .hint("install it: apt-get install uidmap (Debian), dnf install shadow-utils (Fedora)")
                })
            };
            Writer::Helpers { newuidmap: program("newuidmap")?, newgidmap: program("newgidmap")? }
        }
    };
    Ok(IdPlan { uid: 0, gid: 0, uid_map: map(&ids.uids), gid_map: map(&ids.gids), writer, drop_groups: false })
}
