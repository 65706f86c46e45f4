//! Where the user is asked about names: on the caller's terminal, if the program has no part in it, or by a notification.

use super::notification;
use super::terminal::Terminal;
use crate::child::Session;
use crate::plan::{AskPlan, Plan};
use crate::spec::Descriptors;
use crate::sys::{self, UnownedFd};
use std::os::fd::AsFd;

/// Those ways that there are.
pub(in crate::launch) struct Ways {
    terminal: Option<Terminal>,
    /// The bus on which notifications are shown. That somebody shows some is known only if there is no terminal.
    bus: Option<String>,
    /// Names there to which the program sends messages.
    talks: Vec<String>,
}

/// The way of a question.
pub(super) enum Way<'w> {
    Terminal(&'w Terminal),
    Bus { address: &'w str, talks: &'w [String] },
}

impl Ways {
    /// Finds them.
    ///
    /// # Errors
    ///
    /// There is none: why.
    pub fn find(asks: &AskPlan, plan: &Plan, session: Session) -> Result<Ways, String> {
        let terminal = beside(plan, session).and_then(|()| Terminal::find());
        let bus = asks.notifications.clone().and_then(|address| {
            // A desktop that does not answer is no reason to wait where the terminal is the way.
            if terminal.is_err() {
                notification::reach(&address, &asks.talks)?;
            }
            Ok(address)
        });
        match (terminal, bus) {
            (Err(terminal), Err(bus)) => {
                Err(format!("not on a terminal, since {terminal}; not by a notification, since {bus}"))
            }
            (terminal, bus) => Ok(Ways { terminal: terminal.ok(), bus: bus.ok(), talks: asks.talks.clone() }),
        }
    }

    /// They as words.
    pub fn words(&self) -> &'static str {
        match (&self.terminal, &self.bus) {
            (Some(_), Some(_)) => {
                "on the terminal, and by a notification, if the desktop shows some, while sbx is in the background there"
            }
            (Some(_), None) => "on the terminal",
            (None, _) => "by a notification",
        }
    }

    /// The way of a question that is asked now, if there is one.
    pub(super) fn now(&self) -> Option<Way<'_>> {
        let terminal = self.terminal.as_ref().filter(|terminal| terminal.is_in_front()).map(Way::Terminal);
        terminal.or_else(|| self.bus.as_deref().map(|address| Way::Bus { address, talks: &self.talks }))
    }

    #[cfg(test)]
    pub(super) fn to_nobody() -> Ways {
        Ways { terminal: None, bus: Some("unix:path=/nonexistent".into()), talks: Vec::new() }
    }
}

/// Makes sure that the program cannot get at the caller's terminal: not what is typed there, and not what is shown.
fn beside(plan: &Plan, session: Session) -> Result<(), String> {
    if !matches!(session, Session::Detached { .. }) || (0..3).any(|number| sys::is_terminal(stream(number))) {
        return Err("the program has it".into());
    }
    let kept = match &plan.process.descriptors {
        Descriptors::Only(kept) => kept.to_vec(),
        _ => return Err("the program has all descriptors of the caller's".into()),
    };
    if let Some(number) = kept.iter().find(|number| sys::is_terminal(stream(**number))) {
        return Err(format!("the program has one as descriptor {number}"));
    }
    for (number, name) in [(1, "standard output"), (2, "standard error")] {
        if !shows_nothing(number) {
            return Err(format!(
                "whoever reads the program's {name} may show it there, in the place of a question: have it written to a file or /dev/null"
            ));
        }
    }
    let others = std::iter::once((0, "standard input".to_owned()));
    let others = others.chain(kept.iter().map(|number| (*number, format!("descriptor {number}"))));
    for (number, name) in others {
        if !shows_nothing(number) {
            return Err(format!(
                "what the program writes to its {name} may be shown there, in the place of a question: that has to be a file, /dev/null, or the end of a pipe that is read"
            ));
        }
    }
    Ok(())
}

fn stream(number: i32) -> impl AsFd {
    UnownedFd::new(number)
}

/// Whether what is written to a descriptor goes to a file or nowhere: not to a pipe, a socket, a device, or what lies in a directory.
fn shows_nothing(number: i32) -> bool {
    const NULL: (u32, u32) = (1, 3);
    let fd = UnownedFd::new(number);
    match sys::file_type(fd.as_fd()) {
        Ok(libc::S_IFREG) => true,
        Ok(libc::S_IFCHR) => sys::is_device(fd.as_fd(), NULL) == Ok(true),
        Ok(libc::S_IFIFO) => {
            sys::status_flags(fd.as_fd()).is_ok_and(|flags| flags & (libc::O_ACCMODE | libc::O_PATH) == libc::O_RDONLY)
        }
        _ => false,
    }
}
