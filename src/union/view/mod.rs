//! The view server: a read-only FUSE filesystem that shows directories of the host with other owners, for the kernel's
//! overlay to lie over.
//!
//! A file of the host's root belongs to nobody in a user namespace that root is not mapped in, and cannot be copied up by
//! the kernel's overlay. The view shows it as belonging to root inside. What lies under mount points comes along, since the
//! server looks paths up as any program does. It is a helper of a sandbox: sbx executes itself with the argument 0
//! [`SERVER`]. It runs outside of the mount namespace that shows its mount, with the caller's rights, confined to reading
//! the directories that it serves.
//!
//! ```text
//! trees    what is served, and the translation of owners      (data)
//! nodes    files that the kernel knows, by number             (data)
//! notes    what is told by the launcher's pipe             (data)
//! server   what is answered to each request
//! protocol requests in, answers out
//! confine  what the process may do
//! ```

mod confine;
mod nodes;
mod notes;
mod protocol;
mod server;
mod trees;

pub use notes::note;
pub(super) use notes::{CHANGED, READY};
pub use trees::{IdRange, Owners, Tree, Trees};

use super::serving::{self, adopt, ended, ends_with_launcher, exit_status};
use crate::sys;
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Argument 0 of the view server, by which sbx knows what it is executed for.
pub const SERVER: &str = "sbx-view-server";

/// Runs the view server, with the arguments `sbx-view-server DEVICE PIPE TREES`: DEVICE is a descriptor of /dev/fuse that a
/// filesystem was mounted with, PIPE that of the launcher's pipe, TREES a [`Trees`] as JSON. Gives the exit status.
pub fn serve(args: &[OsString]) -> u8 {
    // With the end of these, the launcher knows that the server has ended, and ends it: not before it has said why.
    let mut held = None;
    exit_status(SERVER, run(args, &mut held))
}

/// Answers the requests that come by a device, in this process and with its rights, until there are no more: for tests, and for
/// fuzzing.
///
/// # Errors
///
/// A directory cannot be opened, or a request cannot be understood.
pub fn answer(trees: Trees, device: OwnedFd) -> Result<(), String> {
    let nobody = std::fs::File::options().write(true).open("/dev/null").map_err(|error| error.to_string())?;
    serving::serve(&mut server::Server::new(trees, nobody.into())?, &device, || Ok(()))
}

fn run(args: &[OsString], held: &mut Option<[OwnedFd; 2]>) -> Result<(), String> {
    let number = |at: usize| args.get(at)?.to_str()?.parse::<i32>().ok();
    let (Some(device), Some(pipe), Some(trees)) = (number(1), number(2), args.get(3).and_then(|text| text.to_str()))
    else {
        return Err("it is started by sbx for a sandbox with overlays, and not by hand".into());
    };
    let [device, pipe] = held.insert([adopt(device)?, adopt(pipe)?]);
    let trees: Trees = serde_json::from_str(trees).map_err(|error| error.to_string())?;
    if ends_with_launcher(pipe)? {
        return Ok(());
    }
    let mut server = server::Server::new(trees, pipe.try_clone().map_err(|error| error.to_string())?)?;
    let keep = [device.as_raw_fd(), pipe.as_raw_fd()];
    confine::confine(&server, &keep).map_err(|errno| format!("cannot be confined: {errno}"))?;
    serving::serve(&mut server, device, || sys::write_all(pipe.as_fd(), &[notes::READY]))?;
    // The mount is gone, and so is the sandbox. The launcher is to find that out by itself, rather than by a helper that
    // has ended.
    ended(pipe, None);
    Ok(())
}
