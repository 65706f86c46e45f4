//! Third stage of a start: ids are mapped, and what the plan creates on the host exists. If the launcher had to do
//! that, the first process waits.

use super::born::Born;
use super::events::Events;
use super::idmap;
use super::supervise::Supervisor;
use crate::error::{Error, Result};
use crate::plan::Create;
use crate::spec::UserNamespace;
use crate::sys;
use std::os::fd::AsFd;

/// A sandbox whose ids are mapped.
pub(super) struct Mapped<'p>(pub Supervisor<'p>);

impl<'p> Mapped<'p> {
    /// Does what the first process waits for: reports it, creates directories, and maps its ids.
    pub(super) fn new(born: Born<'p>, status: &mut dyn Events) -> Result<Mapped<'p>> {
        let plan = born.plan;
        let waits = born.given.namespaces.wait_for_launcher;
        let mut supervisor = Supervisor::new(born);
        if waits {
            supervisor.expect_ready(status)?;
            let pid = supervisor.sandbox().first.pid();
            status.cloned(pid)?;
            // Not before the kernel has allowed the namespaces: a run that is refused leaves nothing behind.
            for create in &plan.view.create {
                make_directory(create)?;
            }
            supervisor.lock_created()?;
            idmap::write(&plan.namespaces.ids, pid)?;
            if let UserNamespace::MappedByOthers(fd) = plan.namespaces.user {
                supervisor.wait_for(fd, None, status)?;
                let _ = sys::read(sys::UnownedFd::new(fd).as_fd(), &mut [0; 1]);
            }
        }
        Ok(Mapped(supervisor))
    }
}

/// Creates a directory on the host (`create` of a path) with mode 0700, as is usual for what programs keep in a home.
fn make_directory(create: &Create) -> Result<()> {
    let path = create.path.display();
    sys::make_directories(&create.path, 0o700).map_err(|errno| {
        let error = Error::new(format!("cannot create {path}: {errno}")).origin(&create.origin);
        match errno.0 {
            libc::ELOOP => error
                .hint(format!("a link was put on the way to {path} while sbx was starting; see who else writes there")),
            _ => error.hint("make it by hand, and leave `create` out; or use `optional` instead of it"),
        }
    })
}
