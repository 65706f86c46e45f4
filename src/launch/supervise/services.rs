//! What runs or stands outside of the sandbox for it: helpers, the socket that the compositor restricts, and what portals
//! are told.

use super::Supervisor;
use crate::error::{Error, Result};
use crate::launch::born::Born;
use crate::launch::events::Events;
use crate::launch::helpers::{self, Helper};
use crate::launch::layers;
use crate::launch::portal_caller::CallerFile;
use crate::launch::rules::PacketRules;
use crate::launch::uppers::Uppers;
use crate::launch::wayland;
use crate::plan::{Given, Loss, Phase};
use crate::proxy::names::ask::Told;
use crate::sys::{self, Poll};
use std::os::fd::AsRawFd;

impl Supervisor<'_> {
    /// Has the Wayland compositor restrict the socket of the plan, if there is one.
    pub(in crate::launch) fn show_wayland(&mut self) -> Result<()> {
        let Born { plan, first, .. } = &self.sandbox;
        self.wayland = plan.wayland.as_ref().map(|plan| wayland::restrict(plan, first.pid())).transpose()?;
        Ok(())
    }

    /// Makes the file that tells portals which processes are the sandbox's, if the plan has one.
    pub(in crate::launch) fn show_to_portals(&mut self) -> Result<()> {
        let Born { plan, first, .. } = &self.sandbox;
        self.portal_caller =
            plan.portal_caller.as_ref().map(|caller| CallerFile::new(caller, first.pid())).transpose()?;
        Ok(())
    }

    /// Starts the helpers of a phase, and waits until they are ready.
    pub(in crate::launch) fn help(&mut self, phase: Phase, status: &mut dyn Events) -> Result<()> {
        let first = self.sandbox.first.pid();
        let mask = self.sandbox.signals.before();
        // All of them are started before the first one is waited for.
        let plan = self.sandbox.plan;
        // From here on the view server alone has the device, whose last descriptor ends the filesystem.
        let mut given: Vec<_> =
            if phase == Phase::Overlays { self.served.take().into_iter().collect() } else { Vec::new() };
        for spec in plan.helpers_of(phase).filter(|spec| spec.has(&Given::Layers)) {
            let uppers = self.sandbox.uppers.as_ref().map(Uppers::in_use);
            given.extend(layers::given(spec, plan, uppers, first)?);
        }
        let mut network = if phase == Phase::Namespaces { self.inside_network(status)? } else { None };
        if phase == Phase::Namespaces {
            self.find_who_answers(status);
        }
        let mut start = |spec| {
            let own = network.as_mut().map(|network| network.given(spec, &mut self.sandbox.ports)).transpose()?;
            let given = own.as_ref().unwrap_or(&given);
            Helper::start(spec, plan.of_helper(spec), first, &mask, given, self.sandbox.ports.all())
        };
        let helpers: Result<Vec<_>> = plan.helpers_of(phase).map(&mut start).collect();
        drop((given, network));
        for mut helper in helpers? {
            helper.expect_ready(&mut |fd, patience| self.wait_for(fd, Some(patience), status))?;
            helper.publish(plan, self.sandbox.ports.all())?;
            if self.recorder.is_some() || self.asking.is_some() {
                helper.say(&Told::Tell);
            }
            self.helpers.push(helper);
        }
        if phase == Phase::Namespaces {
            self.sandbox.ports.leave();
            if let Some(membership) = &mut self.sandbox.membership {
                membership.leave_namespaces();
            }
        }
        Ok(())
    }

    /// Makes the rules on what is reached from the sandbox's network, if the plan has some.
    pub(in crate::launch) fn filter_packets(&mut self) -> Result<()> {
        let plan = self.sandbox.plan;
        if let Some(rules) = &plan.packet_rules {
            let membership = self.sandbox.membership.as_mut();
            let own = membership.as_ref().map(|membership| membership.own);
            let filter = membership.and_then(|membership| membership.filter.take());
            let filter = filter
                .or_else(|| self.filter.take())
                .ok_or_else(|| Error::new("the sandbox has sent no socket to the packet filter"))?;
            self.rules = Some(PacketRules::new(filter, rules, plan, own)?);
        }
        Ok(())
    }

    /// The host's addresses have changed.
    pub(super) fn on_addresses(&mut self, status: &mut dyn Events) -> Result<()> {
        if let Some(Err(errno)) = self.rules.as_mut().map(PacketRules::follow) {
            status.note(&format!(
                "the host's addresses have changed, and those that the program is kept from have not: {errno}"
            ));
        }
        Ok(())
    }

    /// Makes the descriptors of helpers that are started on demand.
    pub(in crate::launch) fn await_demand(&mut self) -> Result<()> {
        let first = self.sandbox.first.pid();
        for spec in self.sandbox.plan.helpers_of(Phase::Demand) {
            self.waiting.push((spec, helpers::given(spec, first)?));
        }
        Ok(())
    }

    /// A program has connected to the socket of a helper that is started on demand.
    pub(super) fn on_demand(&mut self, status: &mut dyn Events) -> Result<()> {
        let (first, mask) = (self.sandbox.first.pid(), self.sandbox.signals.before());
        let mut index = 0;
        while let Some((_, given)) = self.waiting.get(index) {
            let mut set = [Poll::read(given.first().map_or(-1, AsRawFd::as_raw_fd))];
            let polled = sys::poll(&mut set, Some(0));
            if polled.is_err() || !set.iter().any(|poll| poll.ready) {
                index += 1;
                continue;
            }
            let (spec, given) = self.waiting.remove(index);
            match Helper::start(spec, self.sandbox.plan.of_helper(spec), first, &mask, &given, &[]) {
                Ok(helper) => self.helpers.push(helper),
                // The program runs, and is told by its connection, which ends with the descriptors.
                Err(error) => status.note(&error.message),
            }
        }
        Ok(())
    }

    /// Helpers may have something to tell the user.
    pub(super) fn on_helper_note(&mut self, status: &mut dyn Events) -> Result<()> {
        for helper in &mut self.helpers {
            helper.notes().iter().for_each(|note| status.note(&format!("{}: {note}", helper.spec().provides)));
        }
        Ok(())
    }

    /// Somebody wants to ask the user, has a question, or has an answer to it.
    pub(super) fn on_question(&mut self, status: &mut dyn Events) -> Result<()> {
        for helper in &mut self.helpers {
            while let Some((asker, program)) = helper.asker() {
                self.questions.add(asker, program);
            }
        }
        if let Some(note) = self.questions.go_on() {
            status.note(&note);
        }
        Ok(())
    }

    /// A helper has ended by itself.
    pub(super) fn on_helper_exit(&mut self, status: &mut dyn Events) -> Result<()> {
        let mut index = 0;
        while let Some(helper) = self.helpers.get_mut(index) {
            let Some(description) = helper.exit_description() else {
                index += 1;
                continue;
            };
            let spec = self.helpers.remove(index).spec();
            if Some(spec) == self.sandbox.plan.network_helper() {
                self.end_connections();
            }
            match spec.loss {
                Loss::Note(_) => status.note(&description),
                Loss::End(_) => {
                    self.give_up(status);
                    return Err(Error::new(description).origin(&spec.origin));
                }
            }
        }
        Ok(())
    }
}
