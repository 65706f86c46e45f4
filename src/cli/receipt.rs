//! `--receipt`: where the receipt is written.

use super::layers::Caller;
use crate::error::{Error, Result};
use crate::host::{Facts, Paths};
use crate::launch::{ReceiptFile, ReceiptTarget};
use crate::plan;
use crate::sys::{self, UnownedFd};
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The target that the flag names: a descriptor if it is a number or the name of one, else a file.
pub(super) fn target(given: &OsStr, caller: &Caller) -> Result<ReceiptTarget> {
    if let Some(fd) = descriptor(given) {
        let adopted = taken(fd).map_err(|_| {
            Error::new(format!("--receipt {}: there is no such descriptor", given.display()))
                .hint(format!("open it before: sbx --receipt {fd} ... {fd}>FILE, or name a file"))
        })?;
        return Ok(ReceiptTarget::Descriptor(adopted));
    }
    let path = caller.cwd.join(given);
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::new(format!("--receipt {}: it is no name of a file", given.display()))
            .hint("name a file that can be written, or the number of a descriptor"));
    };
    let home = caller.vars.names.get("HOME").map_or(Path::new("/"), Path::new);
    let facts = Facts {
        paths: Paths::along(dir, home, &caller.accounts),
        cwd: caller.cwd.clone(),
        home: home.to_owned(),
        ..Facts::default()
    };
    let real = plan::directory_to_write(&facts, dir).map_err(|mut error| {
        error.message = format!("--receipt {}: {}", given.display(), error.message);
        error
    })?;
    ReceiptFile::new(&real, name).map(ReceiptTarget::File)
}

/// Takes over a descriptor that a flag names for sbx's own use. Standard streams are duplicated: the program has them.
pub(super) fn taken(number: i32) -> sys::Result<OwnedFd> {
    let fd = UnownedFd::new(number);
    if number < 3 { sys::dup_above(fd.as_fd(), 3) } else { fd.adopt() }
}

/// The number of the descriptor that a name of it stands for, such as `3` or `/dev/stderr`: files with these names are
/// links to what the descriptor refers to.
fn descriptor(given: &OsStr) -> Option<i32> {
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
