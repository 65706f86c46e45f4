//! What other commands ask of the launcher of a sandbox with a record.

use super::Supervisor;
use super::network::WITHOUT_RULES;
use crate::child::Session;
use crate::error::{Error, Result};
use crate::launch::attached::Joining;
use crate::launch::cgroup::{self, Cgroup};
use crate::launch::events::Events;
use crate::launch::usage;
use crate::plan::LimitFile;
use crate::profile::schema;
use crate::spec::limits::Value;
use crate::spec::{Namespace, Origin};
use crate::state::{Answer, Change, InNetwork, LONGEST, Request, Rules};
use crate::sys;
use std::os::fd::AsFd;

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
                Some(Request::Signal { signal, .. }) => Some(Error::new(format!("there is no signal {signal}"))),
                Some(Request::Exec | Request::Attach { .. }) if control.is_crowded() => {
                    drop(control.streams(client));
                    Some(Error::new("too many commands are in front of it already"))
                }
                Some(Request::Exec) => {
                    let streams = control.streams(client);
                    match self.execute(client, file, streams) {
                        // The answer comes at its end.
                        Ok(()) => continue,
                        Err(why) => Some(Error::new(why)),
                    }
                }
                Some(Request::Leave) => {
                    self.leave_further(client, file);
                    None
                }
                Some(Request::Attach { size }) => {
                    let [input, output, errors, _] = control.streams(client);
                    let streams = [input, output, errors];
                    let attached = match control.socket(client) {
                        Some(socket) => self.attach(client, Joining { socket, streams }, size, status),
                        None => continue,
                    };
                    match attached {
                        Ok(answer) => {
                            control.answer(client, &answer);
                            continue;
                        }
                        Err(why) => Some(Error::new(why)),
                    }
                }
                Some(Request::Size { size }) => {
                    self.relay.show_in(size);
                    continue;
                }
                Some(Request::EndOfInput) => {
                    status.end_of_input(client);
                    continue;
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
                Some(Request::Allow { lines }) => match self.allow(&lines, status) {
                    Ok(said) => {
                        control.answer(client, &bounded(said));
                        continue;
                    }
                    Err(error) => Some(error),
                },
                Some(Request::Rules { from }) => match &self.rules {
                    Some(rules) => {
                        control.answer(client, &Answer::of_lines(&rules.plan().lines(), from));
                        continue;
                    }
                    None => Some(Error::new(WITHOUT_RULES)),
                },
                Some(Request::Connect { network, id, address }) => {
                    let sockets = control.streams(client);
                    match self.connect((&network, &id), address, sockets, status) {
                        Ok(connected) => {
                            control.answer(client, &of_networks(vec![connected]));
                            continue;
                        }
                        Err(error) => Some(error),
                    }
                }
                Some(Request::Disconnect { network }) => self.disconnect(&network, status).err(),
                Some(Request::Networks { besides }) => match besides.map_or(Ok(()), |name| self.can_connect(&name)) {
                    Ok(()) => {
                        control.answer(client, &of_networks(self.in_networks()));
                        continue;
                    }
                    Err(error) => Some(error),
                },
                Some(Request::Update { limits }) => self.update(&limits).err(),
                None => Some(Error::new("this version of sbx does not know the request")),
            };
            let frozen = self.sandbox.cgroup.as_ref().map(Cgroup::is_frozen);
            let first = Some(self.sandbox.first.pid()).filter(|pid| *pid > 0);
            let (error, hints) = error.map(|error| (error.message, error.hints)).unzip();
            let hints = hints.unwrap_or_default();
            control.answer(client, &Answer { error, hints, first, frozen, usage: used, ..Answer::default() });
        }
        self.end_further_of(&came.gone);
        if !came.gone.is_empty() {
            status.detach(&came.gone);
        }
        self.control = Some(control);
        Ok(())
    }

    /// Freezes all processes, or has them go on.
    fn freeze(&mut self, frozen: bool, status: &mut dyn Events) -> Result<()> {
        let cgroup = self.sandbox.cgroup.as_ref().ok_or_else(|| {
            Error::new("it has no cgroup of its own, by which its processes are frozen")
                .hint("start it with a limit, which gives it one: sbx run -d --pids-limit 4096 PROGRAM")
                .hint("`sbx check` says whether this host gives an ordinary user a cgroup, and how to have one")
        })?;
        if !self.started() {
            return Err(Error::new("its program is not started yet"));
        }
        if self.paused == frozen {
            return Err(Error::new(if frozen { "it is paused already" } else { "it is not paused" }));
        }
        cgroup.freeze(frozen).map_err(Error::new)?;
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
    fn update(&mut self, limits: &[Change]) -> Result<()> {
        let shown = self.sandbox.plan.resources.cgroup.as_ref().is_some_and(|plan| plan.shown);
        let cgroup = self.sandbox.cgroup.as_mut().ok_or_else(|| {
            Error::new("it has no cgroup of its own, which has the limits").hint(cgroup::START_WITH_LIMIT)
        })?;
        let files = limits.iter().map(limit_file).collect::<std::result::Result<Vec<_>, _>>().map_err(Error::new)?;
        cgroup.update(&files, shown)
    }

    /// Attaches somebody to the program, and has that draw what it shows anew.
    fn attach(
        &mut self,
        client: u64,
        joining: Joining,
        size: Option<[u16; 2]>,
        status: &mut dyn Events,
    ) -> std::result::Result<Answer, String> {
        let input = status.attach(client, joining)?;
        let terminal = matches!(self.sandbox.given.process.session, Session::Pty(_));
        if let Some([rows, columns]) = size {
            // A program draws anew when its window gets another size. If that is the one that it has, it gets one in between.
            let between = self.relay.shown_in() == size;
            self.relay.show_in(if between { [if rows > 1 { rows - 1 } else { 2 }, columns] } else { [rows, columns] });
        }
        Ok(Answer { terminal, input, ..Answer::default() })
    }

    /// Attaches whoever is to be attached from the start.
    pub(super) fn attach_first(&mut self, status: &mut dyn Events) {
        let Some(mut joining) = status.joining() else { return };
        let Some(mut control) = self.control.take() else { return };
        if let Ok(socket) = joining.socket.try_clone()
            && sys::set_nonblocking(socket.as_fd(), true).is_ok()
        {
            let client = control.adopt(socket);
            let streams = std::mem::take(&mut joining.streams);
            let answer = match self.attach(client, Joining { streams, ..joining }, None, status) {
                Ok(answer) => answer,
                Err(why) => Answer { error: Some(why), ..Answer::default() },
            };
            control.answer(client, &answer);
        }
        self.control = Some(control);
    }
}

/// The answer that says in which networks the sandbox is.
fn of_networks(networks: Vec<InNetwork>) -> Answer {
    Answer::of_rules(Rules { networks, ..Rules::default() })
}

/// The answer that says this, with fewer words if it would be longer than one may be.
fn bounded(said: Vec<String>) -> Answer {
    let answer = Answer::of_rules(Rules { said, ..Rules::default() });
    if answer.encode().len() <= LONGEST {
        return answer;
    }
    let whole = "all of it is allowed from now on, but for what network.deny refuses".to_owned();
    let shorter = |last: String| Answer::of_rules(Rules { said: vec![whole.clone(), last], ..Rules::default() });
    // The last sentence has the line for the profile.
    let last = answer.rules.and_then(|mut rules| rules.said.pop()).unwrap_or_default();
    let with_line = shorter(last);
    if with_line.encode().len() <= LONGEST {
        return with_line;
    }
    shorter(
        "that holds until this run ends; for the next one, write into its profile, as network.allow, what `sbx inspect` has as \
         NetworkSettings.Rules.Allow"
            .to_owned(),
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_would_be_too_long_keeps_the_line_for_the_profile_or_says_where_it_is() {
        let answer = |lines: usize, length: usize| {
            let mut said = vec!["192.0.2.1:443 is allowed from now on".to_owned(); lines];
            said.push(format!("write into its profile: {}", "x".repeat(length)));
            let answer = bounded(said);
            assert!(answer.encode().len() <= LONGEST);
            answer.rules.map(|rules| rules.said).unwrap_or_default()
        };
        assert_eq!(answer(2, 100).len(), 3);
        let said = answer(100, 1000);
        assert!(said.len() == 2 && said[1].ends_with("xxx"), "{said:?}");
        let said = answer(100, 5000);
        assert!(said.len() == 2 && said[1].contains("NetworkSettings.Rules.Allow"), "{said:?}");
    }
}
