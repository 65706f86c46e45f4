//! The FUSE union: a writable filesystem that merges directories of the host, and keeps what is changed in an upper layer,
//! where the kernel's overlay cannot.
//!
//! The upper layer has the marks of the kernel's overlay (`userxattr`): whiteouts, and opaque directories. It is read by the
//! kernel's overlay, and by everything else of sbx, and the other way round. The server is a helper of a sandbox, as the view
//! server is: sbx executes itself with the argument 0 [`SERVER`], outside of the mount namespace that shows its mount. In the
//! user namespace of the sandbox it has capabilities over the files of the ids that are mapped there, and over nothing else.
//!
//! ```text
//! layers       what a union consists of                        (data)
//! nodes        files that the kernel knows, by number          (data)
//! listing      names in directories that are being listed      (data)
//! opened       the layers, open
//! budget       how much the changes take              (data)
//! server       where the files are now
//! find         how they are found in the layers
//! links        names of files that have several in a lower layer
//! room         changes are kept within a limit
//! copy_up      files of lower layers come to the upper one
//! attributes, file, directory, make, change, rename
//!              what is answered to each request
//! protocol     requests in, answers out
//! confine      what the process may do
//! ```

mod attributes;
mod budget;
mod change;
mod confine;
mod copy_up;
mod directory;
mod file;
mod find;
mod layers;
mod links;
mod listing;
mod make;
mod nodes;
mod opened;
mod protocol;
mod rename;
mod room;
mod server;

pub use layers::{Layers, OwnFile, Unions, UpperPlace};

use super::serving::{self, adopt, ended, ends_with_launcher, exit_status};
use super::view::{READY, Trees};
use crate::sys;
use std::ffi::OsString;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Argument 0 of the server, by which sbx knows what it is executed for.
pub const SERVER: &str = "sbx-union-server";

/// Runs the server, with the arguments `sbx-union-server DEVICE PIPE LAYERS NAMESPACE TREES`: DEVICE is a descriptor of
/// /dev/fuse that a filesystem was mounted with, PIPE that of the launcher's pipe, LAYERS one of a file with a list of
/// [`Layers`] as JSON, NAMESPACE that of the user namespace of the sandbox, TREES a [`Trees`] as JSON. Gives the exit status.
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
pub fn answer(unions: Unions, device: OwnedFd) -> Result<(), String> {
    let nobody = std::fs::File::options().write(true).open("/dev/null").map_err(|error| error.to_string())?;
    let mut server = server::Server::new(unions, nobody.into())?;
    server.read_links().map_err(|errno| errno.to_string())?;
    serving::serve(&mut server, &device, || Ok(()))
}

fn run(args: &[OsString], held: &mut Option<[OwnedFd; 2]>) -> Result<(), String> {
    let number = |at: usize| args.get(at)?.to_str()?.parse::<i32>().ok();
    let text = args.get(5).and_then(|text| text.to_str());
    let (Some(device), Some(pipe), Some(layers), Some(namespace), Some(trees)) =
        (number(1), number(2), number(3), number(4), text)
    else {
        return Err("it is started by sbx for a sandbox with overlays, and not by hand".into());
    };
    let [device, pipe] = held.insert([adopt(device)?, adopt(pipe)?]);
    let layers = adopt(layers)?;
    let trees: Trees = serde_json::from_str(trees).map_err(|error| error.to_string())?;
    let mut text = String::new();
    std::fs::File::from(layers).read_to_string(&mut text).map_err(|error| error.to_string())?;
    let mut unions: Unions = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    unions.trees = trees;
    let failed = |what: &'static str| move |errno: sys::Errno| format!("{what}: {errno}");
    let powers = match namespace {
        -1 => false,
        number => {
            let namespace = adopt(number)?;
            sys::join_namespace(namespace.as_fd(), libc::CLONE_NEWUSER).map_err(failed("setns"))?;
            true
        }
    };
    // Not before setns(2), which takes the signal of the parent's death away.
    if ends_with_launcher(pipe)? {
        return Ok(());
    }
    sys::umask(0);
    let copy = pipe.try_clone().map_err(|error| error.to_string())?;
    let mut server = server::Server::new(unions, copy)?;
    server.read_links().map_err(failed("links in a work directory"))?;
    confine::confine(&server, &[device.as_raw_fd(), pipe.as_raw_fd()], powers).map_err(failed("cannot be confined"))?;
    serving::serve(&mut server, device, || sys::write_all(pipe.as_fd(), &[READY]))?;
    // The mount is gone, and so is the sandbox. The launcher is to find that out by itself, rather than by a helper that
    // has ended.
    ended(pipe, None);
    Ok(())
}
