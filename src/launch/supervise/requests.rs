//! What other commands ask of the launcher of a sandbox with a record.

use super::Supervisor;
use crate::child::{Call, Message};
use crate::error::Result;
use crate::exit;
use crate::launch::events::Events;
use crate::launch::further;
use crate::spec::Namespace;
use crate::state::{Answer, Request};
use crate::sys::{self, Errno};
use std::os::fd::{AsFd, OwnedFd};

impl Supervisor<'_> {
    /// Requests have come.
    pub(super) fn on_request(&mut self, status: &mut dyn Events) -> Result<()> {
        let Some(mut control) = self.control.take() else { return Ok(()) };
        let came = control.came();
        for (client, request, file) in came.requests {
            let error = match request {
                Some(Request::Signal { signal, stop }) if (1..=64).contains(&signal) => {
                    if stop {
                        status.stopped();
                    }
                    self.kill(signal);
                    None
                }
                Some(Request::Signal { signal, .. }) => Some(format!("there is no signal {signal}")),
                Some(Request::Exec) => {
                    let streams = control.streams(client);
                    match self.execute(client, file, streams) {
                        // The answer comes at its end.
                        Ok(()) => continue,
                        Err(why) => Some(why),
                    }
                }
                Some(Request::Stream { .. }) => continue,
                None => Some("this version of sbx does not know the request".to_owned()),
            };
            control.answer(client, &Answer { error, ..Answer::default() });
        }
        for (number, _) in self.further.iter().filter(|(_, client)| came.gone.contains(client)) {
            let message = Message::FurtherSignal { number: *number, signal: libc::SIGKILL };
            let _ = sys::send_now(self.sandbox.socket.as_fd(), &message.encode());
        }
        self.control = Some(control);
        Ok(())
    }

    /// Has PID 1 execute a further program.
    fn execute(
        &mut self,
        client: u64,
        file: Option<OwnedFd>,
        streams: [Option<OwnedFd>; 3],
    ) -> std::result::Result<(), String> {
        let (plan, given) = (self.sandbox.plan, &self.sandbox.given);
        if !given.process.init || !plan.namespaces.private.contains(&Namespace::Pid) {
            return Err("a further program needs sbx's PID 1: it was started with --as-pid-1 or --share pid".to_owned());
        }
        if given.lockdown.handover.is_some() {
            return Err("a further program could overwrite sbx's own file here, since neither Landlock nor its owner prevents that".to_owned());
        }
        let (Some(file), [Some(input), Some(output), Some(errors)]) = (file, streams) else {
            return Err("the request has come without its files".to_owned());
        };
        let strings = further::strings(file.as_fd(), plan)?;
        self.last_further = self.last_further.wrapping_add(1);
        let number = self.last_further;
        let socket = self.sandbox.socket.as_fd();
        let send = || -> sys::Result<()> {
            for (index, file) in [&strings, &input, &output, &errors].into_iter().enumerate() {
                sys::pass_now(socket, &Message::FurtherFile(index as u32).encode(), file.as_fd())?;
            }
            sys::send_now(socket, &Message::Further(number).encode())
        };
        send().map_err(|errno| format!("PID 1 of the sandbox does not take it: {errno}"))?;
        self.further.push((number, client));
        Ok(())
    }

    /// A further program could not be executed.
    pub(super) fn on_further_failure(&mut self, number: u32, call: Call, errno: Errno) {
        let (status, why) = match (call, errno.0) {
            (Call::Execve, libc::ENOENT) => (exit::NOT_FOUND, "not found in the sandbox".to_owned()),
            (Call::Execve, _) => (exit::NOT_EXECUTABLE, format!("cannot be executed in the sandbox: {errno}")),
            (Call::Chdir, _) => (exit::FAILED, format!("its directory cannot be entered inside: {errno}")),
            _ => (exit::FAILED, format!("{}: {errno}", call.name())),
        };
        self.on_further_end(number, Answer { error: Some(why), status: Some(status.into()) });
    }

    /// A further program has ended.
    pub(super) fn on_further_end(&mut self, number: u32, answer: Answer) {
        let Some(index) = self.further.iter().position(|(known, _)| *known == number) else { return };
        let (_, client) = self.further.swap_remove(index);
        if let Some(control) = &self.control {
            control.answer(client, &answer);
        }
    }
}
