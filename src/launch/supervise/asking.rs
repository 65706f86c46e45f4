//! Questions to the user about names that no rule is for, and what becomes of the names by their answers.

use super::Supervisor;
use crate::error::Result;
use crate::launch::asking::{Answer, Asking, Waiting, Ways};
use crate::launch::events::Events;
use crate::proxy::names::ask::Told;
use std::os::fd::AsFd;
use std::path::Path;

impl Supervisor<'_> {
    /// Finds where the user can be asked, if the profile wants that.
    pub(super) fn find_who_answers(&mut self, status: &mut dyn Events) {
        let plan = self.sandbox.plan;
        let Some(asks) = &plan.asks else { return };
        let program = plan.process.executed().map(Path::new).and_then(Path::file_name).unwrap_or_default();
        match Ways::find(asks, plan, self.sandbox.given.process.session) {
            Ok(ways) => {
                status.asks(Ok(ways.words()));
                let (name, first) = (program.to_string_lossy().into_owned(), self.sandbox.first.pid());
                self.asking = Some(Asking::new(ways, name, asks.search.clone(), first));
            }
            Err(why) => status.asks(Err(&why)),
        }
    }

    /// The user has answered, or has not in time.
    pub(super) fn on_answer(&mut self, status: &mut dyn Events) -> Result<()> {
        self.look_at_questions(status);
        Ok(())
    }

    /// Takes the answers that have come, and ends what takes too long.
    pub(super) fn look_at_questions(&mut self, status: &mut dyn Events) {
        let Some(asking) = &mut self.asking else { return };
        asking.look();
        while let Some((waiting, answer)) = self.asking.as_mut().and_then(Asking::next) {
            self.decide(&waiting, answer, status);
        }
        let notes = self.asking.as_mut().map(|asking| std::mem::take(&mut asking.notes));
        notes.iter().flatten().for_each(|note| status.note(note));
    }

    /// Does what was said about a name.
    fn decide(&mut self, waiting: &Waiting, answer: Answer, status: &mut dyn Events) {
        let allowed = matches!(answer, Answer::Once | Answer::Always) && self.allow_name(waiting, answer, status);
        if !allowed {
            self.refuse_name(waiting, answer, status);
        }
        // What is allowed was told before.
        for question in &waiting.questions {
            self.helpers.iter_mut().for_each(|helper| helper.say(&Told::Decided(question.number)));
        }
    }

    /// Has a name be reached from now on; whether it is.
    fn allow_name(&mut self, waiting: &Waiting, answer: Answer, status: &mut dyn Events) -> bool {
        let name = waiting.name().to_owned();
        if let Err(error) = self.allow(std::slice::from_ref(&name), status) {
            status.note(&format!("{name} is not reached, though it was allowed: {}", error.message));
            self.asking.iter_mut().for_each(|asking| asking.tell(None));
            return false;
        }
        let line = match (&mut self.asking, &self.rules) {
            (Some(asking), Some(rules)) if answer == Answer::Always => {
                asking.always.push(name.clone());
                Some(rules.plan().line_of_profile(&asking.always))
            }
            _ => None,
        };
        self.asking.iter_mut().for_each(|asking| asking.tell(line.as_deref()));
        status.asked(&name, answer.word(), line.as_deref());
        true
    }

    /// Records that a name is refused.
    fn refuse_name(&mut self, waiting: &Waiting, answer: Answer, status: &mut dyn Events) {
        status.asked(waiting.name(), answer.word(), None);
        let (Some(recorder), Some(rules)) = (&mut self.recorder, &self.rules) else { return };
        for question in &waiting.questions {
            recorder.name(question, rules, self.diag.as_ref().map(AsFd::as_fd), status);
        }
    }

    /// Takes questions back: the program has ended.
    pub(super) fn end_questions(&mut self, status: &mut dyn Events) {
        let Some(mut asking) = self.asking.take() else { return };
        for waiting in asking.end() {
            self.refuse_name(&waiting, Answer::None, status);
        }
        if asking.unasked > 0 {
            let (times, were) = if asking.unasked == 1 { ("one name", "was") } else { ("names", "were") };
            let count = if asking.unasked == 1 { String::new() } else { format!("{} ", asking.unasked) };
            status
                .note(&format!("{count}{times} {were} refused without a question, since there were too many of them"));
        }
    }
}
