//! Questions to the user about names that no rule is for (`network.ask`): one at a time, on a terminal that is not the program's, or by a
//! notification of the desktop's. How many there are is bounded, since the program decides what is asked for.
//!
//! ```text
//! mod          what the supervisor has: names that wait, and the question that is shown
//! answer       what the user says
//! question     what is asked
//! way          where the user is asked
//! shown        a question that is shown, by a process of its own
//! terminal     a question on the caller's terminal
//! notification a question as a notification, with buttons
//! ```

mod answer;
mod notification;
mod question;
mod shown;
mod terminal;
mod way;

pub(super) use answer::Answer;
pub(super) use way::Ways;

use super::connections::Socket;
use super::denial::Who;
use super::refusals::Lookups;
use crate::proxy::names::ask::RefusedName;
use crate::spec::NamePattern;
use answer::Said;
use question::{PATIENCE, Question};
use shown::{Process, Shown};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, RawFd};
use std::time::Instant;

/// How many names wait for their question, and how many programs for the answer to one.
const MOST_WAITING: usize = 8;
const MOST_ASKERS: usize = 8;

/// How many questions there are in a run, and how many about one name as long as nobody answers.
const MOST: u32 = 100;
const MOST_ABOUT_ONE: u32 = 3;

/// The longest name that is asked about: who answers has to see all of it.
const LONGEST: usize = 100;

/// A name that is asked about.
pub(super) struct Waiting {
    /// The questions for it that wait for the answer.
    pub questions: Vec<RefusedName>,
    /// Who has asked for it first.
    who: Option<Who>,
    since: Instant,
}

impl Waiting {
    /// The name.
    pub fn name(&self) -> &str {
        self.questions.first().map_or("", |question| &question.name)
    }
}

/// What is known of a name that was asked about.
#[derive(Default)]
struct Known {
    asked: u32,
    never: bool,
}

/// What becomes of a name that no rule is for.
pub(super) enum Taken {
    /// The user is asked, or about to be. Who has asked for the name waits.
    Waits,
    /// It is refused, and the user is told this.
    Refused(Option<String>),
}

/// Asks about names.
pub(super) struct Asking {
    ways: Ways,
    /// What the sandbox is called to the user.
    sandbox: String,
    /// What resolvers add to names.
    search: Vec<String>,
    lookups: Lookups,
    /// The first one is asked about while there is a question.
    waiting: VecDeque<Waiting>,
    shown: Option<Shown>,
    /// Processes of questions that are over.
    ending: Vec<Process>,
    /// Names about which there is nothing more to wait for.
    over: VecDeque<(Waiting, Answer)>,
    known: BTreeMap<String, Known>,
    asked: u32,
    /// Questions that could not be shown.
    failed: u32,
    /// Names that were refused without a question, since there were too many of them.
    pub unasked: u64,
    /// Lines of names that the user has allowed for good.
    pub always: Vec<String>,
    /// What the user was told once.
    told: Vec<String>,
    /// What the user has to be told.
    pub notes: Vec<String>,
}

impl Asking {
    /// Asks about names that are asked for in the sandbox with this first process.
    pub fn new(ways: Ways, sandbox: String, search: Vec<String>, first: i32) -> Asking {
        Asking {
            ways,
            sandbox,
            search,
            lookups: Lookups::new(first),
            waiting: VecDeque::new(),
            shown: None,
            ending: Vec::new(),
            over: VecDeque::new(),
            known: BTreeMap::new(),
            asked: 0,
            failed: 0,
            unasked: 0,
            always: Vec::new(),
            told: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The descriptors that are ready to read when there is an answer, or a process has ended.
    pub fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.shown.iter().map(Shown::fd).chain(self.ending.iter().map(Process::fd))
    }

    /// When [`Asking::look`] has something to do though nothing is ready; none if it never has.
    pub fn next_look(&self) -> Option<Instant> {
        self.shown.iter().map(Shown::until).chain(self.ending.iter().filter_map(Process::until)).min()
    }

    /// Takes a name that no rule is for.
    pub fn take(&mut self, name: &RefusedName, diag: Option<BorrowedFd<'_>>, forwarder: SocketAddr) -> Taken {
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.name() == name.name) {
            if waiting.questions.len() >= MOST_ASKERS {
                return Taken::Refused(None);
            }
            waiting.questions.push(name.clone());
            return Taken::Waits;
        }
        if !is_askable(&name.name) || self.is_known(&name.name) {
            return Taken::Refused(None);
        }
        if name.name.len() > LONGEST {
            return self.refuse("too long", format!("a name of more than {LONGEST} letters was refused without a question, since not all of it would be seen"));
        }
        if self.asked >= MOST || self.failed >= MOST {
            self.unasked += 1;
            return self.refuse(
                "too many",
                format!("{MOST} questions about names were asked: in this run, others are refused without one"),
            );
        }
        if self.waiting.len() >= MOST_WAITING {
            self.unasked += 1;
            return self.refuse(
                "too many at a time",
                format!("{MOST_WAITING} names wait for an answer: until then, others are refused without a question"),
            );
        }
        if self.ways.now().is_none() {
            self.unasked += 1;
            return self.refuse(
                "background",
                "sbx is in the background of its terminal: there, names are refused without a question".to_owned(),
            );
        }
        let socket = Socket { tcp: name.tcp, local: name.from, remote: forwarder };
        let who = diag.and_then(|diag| self.lookups.who(diag, &socket));
        self.known.entry(name.name.clone()).or_default().asked += 1;
        self.asked += 1;
        self.waiting.push_back(Waiting { questions: vec![name.clone()], who, since: Instant::now() });
        self.show();
        Taken::Waits
    }

    /// Whether a name was asked about as often as it is, or is made of one that was by adding a name of the search list.
    fn is_known(&self, name: &str) -> bool {
        let is_over = |known: &Known| known.never || known.asked >= MOST_ABOUT_ONE;
        let shorter = |end: &String| name.strip_suffix(end.as_str())?.strip_suffix('.');
        self.known.get(name).is_some_and(is_over)
            || self.search.iter().filter_map(shorter).any(|name| self.known.contains_key(name))
    }

    /// Refuses a name, and tells the user why the first time.
    fn refuse(&mut self, word: &'static str, why: String) -> Taken {
        Taken::Refused(self.is_new(word).then_some(why))
    }

    /// Whether the user was not told this yet. That is bounded.
    fn is_new(&mut self, word: &str) -> bool {
        const MOST: usize = 16;
        let new = self.told.len() < MOST && !self.told.iter().any(|told| told == word);
        self.told.extend(new.then(|| word.to_owned()));
        new
    }

    /// Shows the question about the first name that waits, if none is shown.
    fn show(&mut self) {
        while self.shown.is_none() {
            let Some(waiting) = self.waiting.front() else { return };
            // Who has asked for it has been refused by now.
            if waiting.since.elapsed() >= PATIENCE {
                self.failed("it waited too long for its turn".into(), false);
                continue;
            }
            let who = waiting.who.as_ref().map(|who| who.program.as_str());
            match Shown::new(&self.ways, &Question::new(waiting.name(), who, &self.sandbox)) {
                Ok(shown) => self.shown = Some(shown),
                Err(why) => self.failed(why, true),
            }
        }
    }

    /// The first name that waits is refused without a question, which does not count as one.
    fn failed(&mut self, why: String, tried: bool) {
        let Some(waiting) = self.waiting.pop_front() else { return };
        if let Some(known) = self.known.get_mut(waiting.name()) {
            known.asked = known.asked.saturating_sub(1);
        }
        self.asked = self.asked.saturating_sub(1);
        self.failed += u32::from(tried);
        if self.is_new(&why) {
            self.notes
                .push(format!("a question about a name could not be shown, and it was refused without one: {why}"));
        }
        self.over.push_back((waiting, Answer::None));
    }

    /// Takes what has come, and ends what takes too long. The next question is shown.
    pub fn look(&mut self) {
        self.ending.retain_mut(|process| !process.has_ended());
        if let Some(said) = self.shown.as_ref().and_then(Shown::said) {
            self.said(said);
        }
    }

    /// Something has become of the question that is shown.
    fn said(&mut self, said: Said) {
        let waits = said == Ok(Answer::Always);
        self.ending.extend(self.shown.take().map(|shown| shown.over(waits)));
        match said {
            Ok(answer) => {
                let Some(waiting) = self.waiting.pop_front() else { return };
                if answer == Answer::Never {
                    self.known.entry(waiting.name().to_owned()).or_default().never = true;
                }
                self.over.push_back((waiting, answer));
            }
            Err(why) => self.failed(why, true),
        }
        self.show();
    }

    /// The next name about which there is nothing more to wait for, with the answer.
    pub fn next(&mut self) -> Option<(Waiting, Answer)> {
        self.over.pop_front()
    }

    /// Has the line for the profile be shown where it was asked for; none if the name is not allowed after all.
    pub fn tell(&mut self, line: Option<&str>) {
        self.ending.iter_mut().for_each(|process| process.tell(line));
    }

    /// The names that nobody will answer about any more.
    pub fn end(&mut self) -> Vec<Waiting> {
        self.shown = None;
        self.ending.clear();
        let over = std::mem::take(&mut self.over).into_iter().map(|(waiting, _)| waiting);
        over.chain(std::mem::take(&mut self.waiting)).collect()
    }
}

/// Whether a name can be a line of a profile, and somebody may know whether it should: not those of addresses.
fn is_askable(name: &str) -> bool {
    let pattern = name.parse::<NamePattern>();
    pattern.is_ok_and(|pattern| !pattern.below) && name.rsplit('.').next() != Some("arpa")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::names::ask::Why;

    fn asking() -> Asking {
        Asking::new(Ways::to_nobody(), "test".into(), vec!["lan".into(), "corp.example".into()], 1)
    }

    fn take(asking: &mut Asking, name: &str) -> Taken {
        let from = "127.0.0.1:4000".parse().unwrap();
        let name = RefusedName { number: 0, tcp: false, from, kind: 1, why: Why::Unknown, name: name.into() };
        asking.take(&name, None, "127.0.0.53:53".parse().unwrap())
    }

    fn waits(asking: &mut Asking, name: &str) -> bool {
        matches!(take(asking, name), Taken::Waits)
    }

    #[test]
    fn what_waits_is_bounded_and_names_are_joined() {
        let mut asking = asking();
        let mut names = (0..).map(|number| format!("n{number}.example"));
        assert!(names.by_ref().take(MOST_WAITING).all(|name| waits(&mut asking, &name)));
        let Taken::Refused(Some(note)) = take(&mut asking, "more.example") else { panic!() };
        assert!(note.contains("8 names wait"), "{note}");
        assert!(matches!(take(&mut asking, "even.more.example"), Taken::Refused(None)));
        assert_eq!(asking.unasked, 2);
        assert!((1..MOST_ASKERS).all(|_| waits(&mut asking, "n0.example")));
        assert!(!waits(&mut asking, "n0.example"));
        // Nobody answers: the next question is shown.
        asking.said(Ok(Answer::None));
        let (first, answer) = asking.next().unwrap();
        assert_eq!((first.name(), first.questions.len(), answer), ("n0.example", MOST_ASKERS, Answer::None));
        assert!(waits(&mut asking, "more.example"));
        assert_eq!(asking.end().len(), MOST_WAITING);
        assert_eq!(asking.descriptors().count(), 0);
    }

    #[test]
    fn questions_are_bounded_in_all_and_about_one_name() {
        let mut asking = asking();
        for _ in 0..MOST_ABOUT_ONE {
            assert!(waits(&mut asking, "one.example"));
            asking.said(Ok(Answer::None));
        }
        assert!(!waits(&mut asking, "one.example"));
        for number in MOST_ABOUT_ONE..MOST {
            assert!(waits(&mut asking, &format!("n{number}.example")));
            asking.said(Ok(Answer::None));
        }
        let Taken::Refused(Some(note)) = take(&mut asking, "more.example") else { panic!() };
        assert!(note.contains("100 questions"), "{note}");
    }

    #[test]
    fn what_cannot_be_shown_is_told_once_and_is_no_question() {
        let mut asking = asking();
        for number in 0..2 * MOST_ABOUT_ONE {
            assert!(waits(&mut asking, "one.example"));
            asking.said(Err("no buttons".into()));
            assert!(
                asking
                    .next()
                    .is_some_and(|(waiting, answer)| waiting.name() == "one.example" && answer == Answer::None)
            );
            assert_eq!((asking.asked, asking.failed, asking.notes.len()), (0, number + 1, 1));
        }
        assert!(asking.notes[0].ends_with("refused without one: no buttons"), "{:?}", asking.notes);
        // Those whose turn comes too late are not shown.
        assert!(["one.example", "two.example"].into_iter().all(|name| waits(&mut asking, name)));
        asking.waiting[1].since -= PATIENCE;
        asking.said(Ok(Answer::Never));
        assert!(asking.shown.is_none() && asking.waiting.is_empty() && asking.over.len() == 2);
        assert!(!waits(&mut asking, "one.example") && waits(&mut asking, "two.example"));
    }

    #[test]
    fn no_question_is_about_what_nobody_could_allow_or_see() {
        let mut asking = asking();
        let long = format!("{}.example", ["abcdefghi"; 10].join("."));
        for name in ["localhost", "10.2.0.192.in-addr.arpa", "a b.example", "*.example", "", "1.2.3.4", &long] {
            assert!(!waits(&mut asking, name), "{name}");
        }
        assert!(waits(&mut asking, "printer.lan") && waits(&mut asking, "xn--bcher-kva.example"));
        // A resolver goes on with its search list where a name is refused.
        assert!(waits(&mut asking, "one.example"));
        assert!(!waits(&mut asking, "one.example.lan") && !waits(&mut asking, "one.example.corp.example"));
        assert!(waits(&mut asking, "one.example.org"));
    }
}
