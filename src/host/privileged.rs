//! Whether a program that needs its file's rights (newuidmap(1), newgidmap(1)) gets them when this process executes it: execve(2).

use crate::sys;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Something that takes the rights of its file from a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Powerless {
    /// The cause, as a clause.
    pub why: String,
    /// What to do about it.
    pub fix: String,
    /// Whether the fix needs root.
    pub root: bool,
}

/// What keeps a program from getting its file's rights, set-user-ID or capabilities; none if it gets them.
pub fn powerless(program: &Path) -> Option<Powerless> {
    let shown = program.display();
    if sys::effective_uid() == 0 {
        return None;
    }
    if sys::has_no_new_privs() {
        return Some(Powerless {
            why: format!("sbx was started with no_new_privs, so that {shown} gets no rights when it is executed"),
            fix: "start sbx without it: it comes from NoNewPrivileges= of a unit, allowPrivilegeEscalation: false or \
                  no-new-privileges of a container, setpriv(1), or a sandbox around sbx"
                .into(),
            root: false,
        });
    }
    if sys::is_nosuid(program) {
        return Some(Powerless {
            why: format!("{shown} is on a mount with nosuid, where it gets no rights when it is executed"),
            fix: format!("mount that without nosuid: `findmnt -T {shown}` shows it"),
            root: true,
        });
    }
    let set_user_id = program.metadata().is_ok_and(|found| found.mode() & 0o4000 != 0 && found.uid() == 0);
    let capable = || sys::attribute(program, c"security.capability").is_some();
    if !set_user_id && !capable() {
        let capability = if program.ends_with("newgidmap") { "cap_setgid" } else { "cap_setuid" };
        return Some(Powerless {
            why: format!("{shown} is neither set-user-ID root nor has capabilities"),
            fix: format!("setcap {capability}=ep {shown}, or chmod u+s {shown}"),
            root: true,
        });
    }
    None
}
