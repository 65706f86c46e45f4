//! The program's session, process group and terminal.

use super::terminal::stream;
use crate::child::Session;
use crate::plan::Plan;
use crate::spec::Tty;
use crate::sys;

/// Decides the program's session and terminal by what the standard streams are.
pub(super) fn session(plan: &Plan) -> Session {
    // A program that shares everything with the caller needs no look at the streams.
    if plan.process.tty == Tty::Shared {
        return Session::Inherit { own_group: false, terminal: None };
    }
    let terminals = [0, 1, 2].map(|number| sys::is_terminal(stream(number)));
    let any = terminals.contains(&true);
    match plan.process.tty {
        // With a terminal there are keys that stop a job: they stop no process group whose parents are all in it.
        Tty::None => Session::Detached { own_group: any },
        Tty::Shared => Session::Inherit { own_group: false, terminal: None },
        // In the background the terminal is not ours to hand over; the program then stays in our process group, which the shell
        // knows. Otherwise it has one of its own, so that it cannot signal ours.
        Tty::Inherit => match (0..3).find(|number| terminals.get(*number as usize) == Some(&true)) {
            None => Session::Inherit { own_group: true, terminal: None },
            Some(number) if sys::in_foreground(stream(number)) => {
                Session::Inherit { own_group: true, terminal: Some(number) }
            }
            Some(_) => Session::Inherit { own_group: false, terminal: None },
        },
        Tty::Pty => Session::Pty(if any { terminals } else { [true; 3] }),
        Tty::Auto if any => Session::Pty(terminals),
        Tty::Auto => Session::Detached { own_group: false },
    }
}
