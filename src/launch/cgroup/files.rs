//! Files and directories of a cgroup.

use crate::error::Error;
use crate::sys::Errno;
use std::path::Path;
use std::time::Instant;

/// The error of an operation on a cgroup: "cannot `what` `path`".
pub(super) fn failed(path: &Path, what: &str, error: std::io::Error) -> Error {
    Error::new(format!("no cgroup for the limits: cannot {what} {}: {}", path.display(), Errno::from(error)))
}

/// Writes to a file that exists.
pub(super) fn write(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    std::fs::OpenOptions::new().write(true).open(file)?.write_all(text.as_bytes())
}

/// Writes to a file, and returns what it then says.
pub(super) fn exchange(file: &Path, text: &str) -> std::io::Result<String> {
    use std::io::{Read, Seek, Write};
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(file)?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    let mut found = String::new();
    file.read_to_string(&mut found)?;
    Ok(found)
}

/// The content of a file of the cgroup `dir`; none if it cannot be read.
pub(super) fn read(dir: &Path, name: &str) -> Option<String> {
    std::fs::read_to_string(dir.join(name)).ok()
}

/// The number after a name, in a file with a name and a number on each line, such as memory.events.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Removes a cgroup and all cgroups below it; those that have processes stay. Gives up at `end`.
pub(super) fn remove(dir: &Path, end: Instant) {
    use std::os::unix::fs::PermissionsExt;
    if std::fs::remove_dir(dir).is_ok() || Instant::now() >= end {
        return;
    }
    // The program may have taken away the permission to remove what it made. There are no symbolic links here.
    let _ = std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755));
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path(), end);
        }
    }
    let _ = std::fs::remove_dir(dir);
}
