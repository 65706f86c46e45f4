//! The program's exec, done by this program anew from a mount that is read-only.
//!
//! What becomes the program is a process of ours until then, and its /proc/self/exe is our file on the host's own mount. A script whose
//! interpreter is that link gets it executed inside, and who owns the file can change it by the link, whatever the view shows
//! (CVE-2019-5736 is of this kind). Where nothing else is in the way, our file is executed once more from a copy of its mount, which
//! is read-only and nowhere attached, and that executes the program.

use super::failure::{At, Failure};
use super::prepared::Handover;
use super::report::{Call, Place};
use super::search::first_of;
use crate::sys::{self, ATTR_NODEV, ATTR_NOSUID, ATTR_RDONLY, Errno, Propagation, StringList, Strings, UnownedFd};
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

/// The name under which we do that.
pub const NAME: &str = "sbx-exec";

/// Our own file, on a mount for it alone. While the host's tree is still seen.
pub(super) fn own_file(handover: &Handover) -> Result<OwnedFd, Failure> {
    let place = Place::Setup;
    let mount = sys::clone_tree(sys::cwd(), &handover.file, false).at(place, Call::OpenTree)?;
    let attributes = ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV;
    sys::set_attributes(mount.as_fd(), attributes, Propagation::Private, false).at(place, Call::MountSetattr)?;
    let found = sys::stat(mount.as_fd()).at(place, Call::Stat)?;
    // Another file has that name by now.
    if (found.dev, found.ino) == handover.id { Ok(mount) } else { Err(Errno(libc::ESTALE)).at(place, Call::Stat) }
}

/// Waits for the second exec; the errno of one that failed.
pub(super) fn executed(handover: &Handover) -> Result<(), Failure> {
    let (hears, tells) = handover.pipe;
    UnownedFd::new(tells).close();
    let hears = UnownedFd::new(hears);
    let mut errno = [0; 4];
    let result = match sys::read(hears.as_fd(), &mut errno) {
        Ok(4) => Err(Errno(i32::from_ne_bytes(errno))).at(Place::Exec, Call::Execve),
        _ => Ok(()),
    };
    hears.close();
    result
}

/// The second exec: `sbx-exec DESCRIPTOR COUNT PATH... ARGUMENT...`.
pub fn run(args: &[OsString]) -> u8 {
    let number = |at: usize| args.get(at).and_then(|arg| arg.to_str()).and_then(|arg| arg.parse::<usize>().ok());
    let (Some(tells), Some(count)) = (number(1), number(2)) else { return crate::exit::FAILED };
    let tells = UnownedFd::new(tells as i32);
    let all: Vec<CString> = args.iter().skip(3).filter_map(|arg| CString::new(arg.clone().into_vec()).ok()).collect();
    let (paths, arguments) = all.split_at(count.min(all.len()));
    if sys::set_cloexec(tells.as_fd(), true).is_err() {
        return crate::exit::FAILED;
    }
    let env: Vec<CString> = std::env::vars_os()
        .filter_map(|(name, value)| {
            let mut line = name.into_vec();
            line.push(b'=');
            line.extend(value.into_vec());
            CString::new(line).ok()
        })
        .collect();
    let (args, env) = (Strings::new(arguments.to_vec()), Strings::new(env));
    let errno = first_of(paths.iter().map(CString::as_c_str), |path| sys::execve(path, args.list(0), env.list(0)));
    let status = if errno == Errno(libc::ENOENT) { crate::exit::NOT_FOUND } else { crate::exit::NOT_EXECUTABLE };
    // As PID 1 there is nobody who waits.
    if sys::write_all(tells.as_fd(), &errno.0.to_ne_bytes()).is_err() {
        let name = arguments.first().map(|name| name.to_string_lossy()).unwrap_or_default();
        let _ = sys::write_all(
            sys::STREAMS[2].as_fd(),
            format!("sbx: {}: cannot be executed in the sandbox: {errno}\n", crate::error::printable(&name)).as_bytes(),
        );
    }
    status
}

impl Handover {
    pub(super) fn execute(&self, file: &OwnedFd, env: StringList<'_>) -> Failure {
        if let Err(errno) = sys::set_cloexec(UnownedFd::new(self.pipe.1).as_fd(), false) {
            return Failure { place: Place::Setup, call: Call::CloseRange, errno };
        }
        let errno = sys::execveat(file.as_fd(), self.args.list(0), env);
        Failure { place: Place::Exec, call: Call::Execve, errno }
    }
}
