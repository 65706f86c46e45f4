//! `--receipt` and `--network-log`: where they are written.

use super::layers::Caller;
use crate::error::{Error, Result};
use crate::launch::{NetworkLog, OwnFile, ReceiptTarget};
use crate::plan::{self, Plan};
use crate::sys::{self, UnownedFd};
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The flag that names the receipt.
pub(super) const RECEIPT: &str = "--receipt";

/// The flag that names the log of what a private network refuses.
pub(super) const NETWORK_LOG: &str = "--network-log";

/// The target that a flag names: a descriptor if it is a number or the name of one, else a file.
pub(super) fn target(flag: &'static str, given: &OsStr, caller: &Caller) -> Result<ReceiptTarget> {
    if let Some(fd) = descriptor(given) {
        let adopted = taken(fd).map_err(|_| {
            Error::new(format!("{flag} {}: there is no such descriptor", given.display()))
                .hint(format!("open it before: sbx {flag} {fd} ... {fd}>FILE, or name a file"))
        })?;
        return Ok(ReceiptTarget::Descriptor(adopted));
    }
    if given.is_empty() {
        return Err(Error::new(format!("{flag}: the name of the file is empty"))
            .hint(format!("name a file, or the number of a descriptor: {flag} FILE")));
    }
    let path = caller.cwd.join(given);
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::new(format!("{flag} {}: it is no name of a file", given.display()))
            .hint("name a file that can be written, or the number of a descriptor"));
    };
    let home = caller.vars.names.get("HOME").map_or(Path::new("/"), Path::new);
    let real = plan::real_path(dir, &caller.cwd, home, &caller.accounts).map_err(|mut error| {
        error.message = format!("{flag} {}: {}", given.display(), error.message);
        error
    })?;
    OwnFile::new(flag, &real, name).map(ReceiptTarget::File)
}

/// Opens the log of what a private network refuses.
///
/// # Errors
///
/// The plan has no such network, the program could change the file, or it cannot be written to.
pub(super) fn network_log(target: ReceiptTarget, plan: &Plan) -> Result<NetworkLog> {
    if plan.packet_rules.is_none() {
        return Err(Error::new(format!(
            "{NETWORK_LOG}: the sandbox has no private network, whose rules alone refuse what could be logged"
        ))
        .hint("add --net private; or leave it out"));
    }
    match target {
        ReceiptTarget::Descriptor(descriptor) => Ok(NetworkLog::to_descriptor(descriptor)),
        ReceiptTarget::File(file) => {
            file.check(plan)?;
            let opened = file.append()?;
            let log = NetworkLog::to_file(opened, file.path());
            log.map_err(|error| Error::new(format!("{NETWORK_LOG} {}: {}", file.path(), sys::Errno::from(error))))
        }
    }
}

/// Takes over a descriptor that a flag names for sbx's own use. Standard streams are duplicated: the program has them.
pub(super) fn taken(number: i32) -> sys::Result<OwnedFd> {
    let fd = UnownedFd::new(number);
    if number < 3 { sys::dup_above(fd.as_fd(), 3) } else { fd.adopt() }
}

/// The number of the descriptor that a name of it stands for, such as `3` or `/dev/stderr`: files with these names are
/// links to what the descriptor refers to.
pub(super) fn descriptor(given: &OsStr) -> Option<i32> {
    let text = given.to_str()?;
    let number = match text {
        "/dev/stdin" => "0",
        "/dev/stdout" => "1",
        "/dev/stderr" => "2",
        _ => ["/dev/fd/", "/proc/self/fd/"].iter().find_map(|dir| text.strip_prefix(dir)).unwrap_or(text),
    };
    number.parse().ok().filter(|fd| *fd >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_descriptors_are_known() {
        for (given, fd) in [("3", 3), ("/dev/stderr", 2), ("/dev/fd/63", 63), ("/proc/self/fd/1", 1)] {
            assert_eq!(descriptor(OsStr::new(given)), Some(fd), "{given}");
        }
        for given in ["file", "./3", "-1", "/dev/null", "/dev/fd/x", ""] {
            assert_eq!(descriptor(OsStr::new(given)), None, "{given}");
        }
    }
}
