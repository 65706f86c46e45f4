//! What other commands ask of the launcher of a sandbox with a record.

use super::Supervisor;
use crate::child::{Call, Message};
use crate::error::Result;
use crate::exit;
use crate::launch::cgroup::Cgroup;
use crate::launch::events::Events;
use crate::launch::{further, usage};
use crate::plan::LimitFile;
use crate::profile::schema;
use crate::spec::limits::Value;
use crate::spec::{Namespace, Origin};
use crate::state::{Answer, Change, Request};
use crate::sys::{self, Errno};
use std::os::fd::{AsFd, OwnedFd};

impl Supervisor<'_> {
    /// Requests have come.
    pub(super) fn on_request(&mut self, status: &mut dyn Events) -> Result<()> {
        let Some(mut control) = self.control.take() else { return Ok(()) };
        let came = control.came();
        for (client, request, file) in came.requests {
            let mut used = None;
            let error = match request {
                Some(Request::Signal { signal, stop }) if (1..=64).contains(&signal) => {
                    if stop {
                        status.stopped();
                    }
                    self.kill(signal);
                    // The end that is asked for would come when it goes on only.
                    if stop {
                        self.thaw(status);
                    }
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
                Some(Request::Freeze { frozen }) => self.freeze(frozen, status).err(),
                Some(Request::Look) => None,
                Some(Request::Usage) => {
                    let sandbox = &self.sandbox;
                    let namespaces = &sandbox.plan.namespaces;
                    let own = namespaces.private.contains(&Namespace::Net) && namespaces.joined.is_none();
                    used = Some(usage::usage(sandbox.cgroup.as_ref(), own, sandbox.first.pid()));
                    None
                }
                Some(Request::Update { limits }) => self.update(&limits).err(),
                None => Some("this version of sbx does not know the request".to_owned()),
            };
            let frozen = self.sandbox.cgroup.as_ref().map(Cgroup::is_frozen);
            let first = Some(self.sandbox.first.pid()).filter(|pid| *pid > 0);
            control.answer(client, &Answer { error, first, frozen, usage: used, ..Answer::default() });
        }
        for (number, _) in self.further.iter().filter(|(_, client)| came.gone.contains(client)) {
            let message = Message::FurtherSignal { number: *number, signal: libc::SIGKILL };
            let _ = sys::send_now(self.sandbox.socket.as_fd(), &message.encode());
        }
        self.control = Some(control);
        Ok(())
    }

    /// Freezes all processes, or has them go on.
    fn freeze(&mut self, frozen: bool, status: &mut dyn Events) -> std::result::Result<(), String> {
        let cgroup =
            self.sandbox.cgroup.as_ref().ok_or("it has no cgroup of its own, by which its processes are frozen")?;
        if !self.started() {
            return Err("its program is not started yet".to_owned());
        }
        if self.paused == frozen {
            return Err(if frozen { "it is paused already" } else { "it is not paused" }.to_owned());
        }
        cgroup.freeze(frozen)?;
        self.paused = frozen;
        status.paused(frozen);
        Ok(())
    }

    /// Has the processes go on if they are frozen.
    pub(super) fn thaw(&mut self, status: &mut dyn Events) {
        if self.paused {
            let _ = self.freeze(false, status);
        }
    }

    /// Sets limits.
    fn update(&mut self, limits: &[Change]) -> std::result::Result<(), String> {
        let shown = self.sandbox.plan.resources.cgroup.as_ref().is_some_and(|plan| plan.shown);
        let cgroup = self.sandbox.cgroup.as_mut().ok_or("it has no cgroup of its own, which has the limits")?;
        let files = limits.iter().map(limit_file).collect::<std::result::Result<Vec<_>, _>>()?;
        cgroup.update(&files, shown)
    }

    /// Has PID 1 execute a further program.
    fn execute(
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
        let (Some(file), [Some(input), Some(output), Some(errors), executable]) = (file, streams) else {
            return Err("the request has come without its files".to_owned());
        };
        if executable.as_ref().is_some_and(|file| !sys::is_sealed(file.as_fd())) {
            return Err("the file that is to be executed is none in memory that nobody can change".to_owned());
        }
        let strings = further::strings(file.as_fd(), plan)?;
        self.last_further = self.last_further.wrapping_add(1);
        let number = self.last_further;
        let socket = self.sandbox.socket.as_fd();
        let send = || -> sys::Result<()> {
            for (index, file) in [&strings, &input, &output, &errors].into_iter().chain(&executable).enumerate() {
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
        self.on_further_end(number, Answer { error: Some(why), status: Some(status.into()), ..Answer::default() });
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

/// The file of a limit that another command asks for.
fn limit_file(change: &Change) -> std::result::Result<LimitFile, String> {
    let Change { name, page, value } = change;
    let key = schema::find(&format!("limits.{name}"));
    let known = key.and_then(|key| match key.target {
        schema::Target::Limit(control) => Some((key.last(), control)),
        _ => None,
    });
    let (name, control) = known.ok_or_else(|| format!("this version of sbx does not know limits.{name}"))?;
    if !page.chars().all(|c| c.is_ascii_alphanumeric()) || control.file.contains('*') == page.is_empty() {
        return Err(format!("limits.{name} is not for huge pages of `{page}`"));
    }
    Ok(LimitFile {
        name,
        file: control.file.replace('*', page),
        form: control.form,
        asked: Value::Text(value.clone()),
        value: value.clone(),
        prefer: false,
        origin: Origin("sbx update".to_owned()),
    })
}
