//! Executes the program by way of sbx's own file, from a read-only mount.
//!
//! Until its exec, the process that becomes the program runs sbx, and its /proc/self/exe is sbx's file on the host's
//! own mount. A script with that link as its interpreter executes the file inside the sandbox; the owner of the file
//! can then write to it through the link, whatever the view shows (CVE-2019-5736 is of this kind). Where nothing else
//! prevents that, sbx's file is executed once more, from a copy of its mount that is read-only and attached nowhere,
//! and that process executes the program.

use super::failure::{At, Failure};
use super::prepared::Handover;
use super::report::{Call, Place};
use super::search::first_of;
use crate::sys::{self, ATTR_NODEV, ATTR_NOSUID, ATTR_RDONLY, Errno, Propagation, StringList, Strings, UnownedFd};
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

/// Argument 0 of sbx's second execution, by which it knows what to do.
pub const NAME: &str = "sbx-exec";

/// sbx's own file, as a detached read-only mount. Called while the host's tree is still visible.
pub(super) fn own_file(handover: &Handover) -> Result<OwnedFd, Failure> {
    let place = Place::Setup;
    let mount = sys::clone_tree(sys::cwd(), &handover.file, false).at(place, Call::OpenTree)?;
    let attributes = ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV;
    sys::set_attributes(mount.as_fd(), attributes, Propagation::Private, false).at(place, Call::MountSetattr)?;
    let found = sys::stat(mount.as_fd()).at(place, Call::Stat)?;
    // If the ids differ, another file has that name by now.
    if (found.dev, found.ino) == handover.id { Ok(mount) } else { Err(Errno(libc::ESTALE)).at(place, Call::Stat) }
}

/// Waits until sbx's second execution has executed the program; gives the errno if that failed.
pub(super) fn executed(handover: &Handover) -> Result<(), Failure> {
    let (read_end, write_end) = handover.pipe;
    UnownedFd::new(write_end).close();
    let read_end = UnownedFd::new(read_end);
    let mut errno = [0; 4];
    let result = match sys::read(read_end.as_fd(), &mut errno) {
        Ok(4) => Err(Errno(i32::from_ne_bytes(errno))).at(Place::Exec, Call::Execve),
        _ => Ok(()),
    };
    read_end.close();
    result
}

/// sbx's second execution, with the arguments `sbx-exec DESCRIPTOR COUNT PATH... ARGUMENT...`: executes the program by
/// the first of COUNT paths that works. DESCRIPTOR is the pipe for the errno if none does. Gives the exit status then.
pub fn run(args: &[OsString]) -> u8 {
    let number = |at: usize| args.get(at).and_then(|arg| arg.to_str()).and_then(|arg| arg.parse::<usize>().ok());
    let (Some(pipe), Some(count)) = (number(1), number(2)) else { return crate::exit::FAILED };
    let pipe = UnownedFd::new(pipe as i32);
    let all: Vec<CString> = args.iter().skip(3).filter_map(|arg| CString::new(arg.clone().into_vec()).ok()).collect();
    let (paths, arguments) = all.split_at(count.min(all.len()));
    if sys::set_cloexec(pipe.as_fd(), true).is_err() {
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
    // If this process is PID 1, nobody reads the pipe.
    if sys::write_all(pipe.as_fd(), &errno.0.to_ne_bytes()).is_err() {
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
