//! Further programs: PID 1 executes them, and whoever has asked for one is told of its end.

use super::Supervisor;
use crate::child::{Call, Message};
use crate::error::Result;
use crate::exit;
use crate::launch::events::Events;
use crate::launch::further::{self, Asked, Further, ends};
use crate::launch::outcome::Outcome;
use crate::spec::Namespace;
use crate::state::{Answer, Happened};
use crate::sys::{self, Errno};
use std::os::fd::{AsFd, OwnedFd};

/// How much of what nobody reads is taken at once, in bytes: a terminal gives no more.
const PIECE: usize = 4096;

impl Supervisor<'_> {
    /// Has PID 1 execute a further program.
    pub(super) fn execute(
        &mut self,
        client: u64,
        file: Option<OwnedFd>,
        streams: [Option<OwnedFd>; 4],
    ) -> std::result::Result<(), String> {
        if self.paused {
            return Err("the sandbox is paused, and nothing is executed in it: sbx unpause".to_owned());
        }
        let (plan, given) = (self.sandbox.plan, &self.sandbox.given);
        if !given.process.init || !plan.namespaces.private.contains(&Namespace::Pid) {
            return Err("a further program needs sbx's PID 1: it was started with --as-pid-1 or --share pid".to_owned());
        }
        if given.lockdown.handover.is_some() {
            return Err("a further program could overwrite sbx's own file here, since neither Landlock nor its owner prevents that".to_owned());
        }
        let file = file.ok_or("the request has come without its file")?;
        let Asked { strings, terminal, detach } = further::asked(file.as_fd(), plan)?;
        let mut files = vec![(0, &strings)];
        let [input, output, errors, executable] = &streams;
        match ([input, output, errors], &terminal, detach) {
            (_, Some(terminal), _) => files.push((4, terminal)),
            ([Some(input), Some(output), Some(errors)], ..) => files.extend([(1, input), (2, output), (3, errors)]),
            (.., true) => {}
            _ => return Err("the request has come without its streams".to_owned()),
        }
        if executable.as_ref().is_some_and(|file| !sys::is_sealed(file.as_fd())) {
            return Err("the file that is to be executed is none in memory that nobody can change".to_owned());
        }
        files.extend(executable.iter().map(|file| (5, file)));
        self.last_further = self.last_further.wrapping_add(1);
        let number = self.last_further;
        let socket = self.sandbox.socket.as_fd();
        let send = || -> sys::Result<()> {
            for (index, file) in files {
                sys::pass_now(socket, &Message::FurtherFile(index).encode(), file.as_fd())?;
            }
            sys::send_now(socket, &Message::Further(number).encode())
        };
        send().map_err(|errno| format!("PID 1 of the sandbox does not take it: {errno}"))?;
        let own = executable.is_some();
        self.further.push(Further { number, client: Some(client), detach, own, started: false, terminal: None });
        Ok(())
    }

    /// The master of a further program's terminal has come.
    pub(super) fn on_further_terminal(&mut self, number: u32, master: Option<OwnedFd>) {
        let (Some(further), Some(master)) = (self.further.iter_mut().find(|further| further.number == number), master)
        else {
            return;
        };
        match (&self.control, further.client) {
            (Some(control), Some(client)) if !further.detach => {
                control.hand(client, &Answer { terminal: true, ..Answer::default() }, master.as_fd());
            }
            _ => further.terminal = ends(master),
        }
    }

    /// A further program was executed.
    pub(super) fn on_further_start(&mut self, number: u32, status: &mut dyn Events) {
        let Some(further) = self.further.iter_mut().find(|further| further.number == number) else { return };
        further.started = true;
        if !further.own {
            status.happened(&Happened::Exec);
        }
        let client = if further.detach { further.client.take() } else { None };
        if let (Some(client), Some(control)) = (client, &self.control) {
            control.answer(client, &Answer::default());
        }
    }

    /// A further program could not be executed.
    pub(super) fn on_further_failure(&mut self, number: u32, (call, errno): (Call, Errno), events: &mut dyn Events) {
        let (status, why) = match (call, errno.0) {
            (Call::Execve, libc::ENOENT) => (exit::NOT_FOUND, "not found in the sandbox".to_owned()),
            (Call::Execve, _) => (exit::NOT_EXECUTABLE, format!("cannot be executed in the sandbox: {errno}")),
            (Call::Chdir, _) => (exit::FAILED, format!("its directory cannot be entered inside: {errno}")),
            (Call::OpenNull, _) => (exit::FAILED, format!("the sandbox has no /dev/null for its streams: {errno}")),
            (Call::OpenPtmx | Call::OpenPeer, _) => {
                (exit::FAILED, format!("no terminal can be made in the sandbox: {}: {errno}", call.name()))
            }
            _ => (exit::FAILED, format!("{}: {errno}", call.name())),
        };
        let answer = Answer { error: Some(why), status: Some(status.into()), ..Answer::default() };
        self.on_further_end(number, answer, events);
    }

    /// A further program has ended.
    pub(super) fn on_further_end(&mut self, number: u32, answer: Answer, status: &mut dyn Events) {
        let Some(index) = self.further.iter().position(|further| further.number == number) else { return };
        let further = self.further.swap_remove(index);
        if further.started && !further.own {
            status.happened(&Happened::ExecDied(answer.status.unwrap_or_default()));
        }
        if let (Some(client), Some(control)) = (further.client, &self.control) {
            control.answer(client, &answer);
        }
    }

    /// All of the sandbox has ended, and by that the further programs that were left.
    pub(super) fn tell_further_ends(&mut self, status: &mut dyn Events) {
        for further in &mut self.further {
            if std::mem::take(&mut further.started) && !further.own {
                status.happened(&Happened::ExecDied(Outcome::Signaled(libc::SIGKILL).status().into()));
            }
        }
    }

    /// Whoever has asked for a further program leaves it to go on. `master` is that of its terminal.
    pub(super) fn leave_further(&mut self, client: u64, master: Option<OwnedFd>) {
        if let Some(further) = self.further.iter_mut().find(|further| further.client == Some(client)) {
            further.client = None;
            further.terminal = master.and_then(ends);
        }
    }

    /// Ends further programs that these connections have asked for.
    pub(super) fn end_further_of(&self, gone: &[u64]) {
        for further in self.further.iter().filter(|further| further.client.is_some_and(|client| gone.contains(&client)))
        {
            let message = Message::FurtherSignal { number: further.number, signal: libc::SIGKILL };
            let _ = sys::send_now(self.sandbox.socket.as_fd(), &message.encode());
        }
    }

    /// Reads what further programs write to terminals that nobody else reads.
    pub(super) fn on_unread(&mut self, _: &mut dyn Events) -> Result<()> {
        let mut buffer = [0; PIECE];
        for further in &mut self.further {
            let read = further.terminal.as_ref().map(|[master, _]| sys::read(master.as_fd(), &mut buffer));
            // Once it has hung up, it stays so.
            if read.is_some_and(|read| !matches!(read, Ok(1..) | Err(Errno(libc::EAGAIN)))) {
                further.terminal = None;
            }
        }
        Ok(())
    }
}
