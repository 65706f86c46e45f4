//! The files of projects, `.sbx.toml`, that count for a start.

use crate::error::{Error, Result};
use crate::host;
use crate::profile::{Vars, project};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files of projects in the current directory and above.
#[derive(Default)]
pub(super) struct ProjectFiles {
    /// Those that count, the outermost first.
    pub files: Vec<PathBuf>,
    /// Those of other users, each with its owner.
    pub others: Vec<(PathBuf, u32)>,
}

/// Largest size of all files of projects together, in bytes. They come from somebody else, and are read before any time limit runs.
const LARGEST_OF_PROJECTS: u64 = 64 << 10;

/// The files of projects in the current directory and those above it, the outermost first, and those among them that count for nothing,
/// each with its owner. One that cannot be looked up is there, so that reading it says why; where nothing of the current directory
/// can be looked up, that is not shown either.
///
/// Whatever a program makes of permissions and markers, such a file counts. It only tightens; but another user's could keep sbx from
/// starting, wherever that user may make one. Who owns the current directory, in which the user has chosen to start, may do so.
///
/// # Errors
///
/// One cannot be looked up since a directory of the caller's own has no permission for that, which a program may have taken away.
pub(super) fn find(cwd: &Path, vars: &Vars) -> Result<ProjectFiles> {
    let (mut files, mut others, mut size) = (Vec::new(), Vec::new(), 0);
    let uid = crate::sys::ids().0;
    let owns_cwd = |owner: u32| cwd.metadata().is_ok_and(|found| found.uid() == owner);
    // In `/` and in directories of homes, only root makes any; a name in the latter may be a file server's to look up.
    let is_asked =
        |dir: &&Path| **dir == *cwd || (dir.parent().is_some() && vars.home_dirs.iter().all(|homes| homes != dir));
    for file in cwd.ancestors().filter(is_asked).map(|dir| dir.join(project::FILE)) {
        match file.symlink_metadata().map_err(|error| error.raw_os_error()) {
            Ok(found) if found.uid() == uid || found.uid() == 0 || owns_cwd(found.uid()) => {
                size += found.len();
                files.push(file);
            }
            Ok(found) => others.push((file, found.uid())),
            Err(Some(libc::ENOENT | libc::ENOTDIR)) => {}
            Err(Some(libc::EACCES)) => {
                let shut = file.ancestors().skip(1).find(|dir| dir.symlink_metadata().is_ok());
                if let Some(shut) = shut.filter(|dir| host::is_of_caller(dir)) {
                    let shut = shut.display();
                    let why = format!(
                        "{} cannot be looked up, so that it is not known what it closes: {shut} is yours, and has no \
                                       permission to search it",
                        file.display()
                    );
                    let mend = format!("chmod u+rwx {shut}; or --no-project goes on without such files");
                    return Err(Error::new(why).hint(mend));
                }
            }
            Err(_) if vars.cwd_is_closed.is_some() => {}
            Err(_) => files.push(file),
        }
    }
    files.reverse();
    // What a single file has is said where it is read.
    if files.len() > 1 && size > LARGEST_OF_PROJECTS {
        let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        let why = format!("{} are together larger than {} KiB", names.join(", "), LARGEST_OF_PROJECTS >> 10);
        return Err(Error::new(why).hint("make them smaller; or --no-project goes on without such files"));
    }
    Ok(ProjectFiles { files, others })
}
