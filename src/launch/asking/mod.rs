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
use question::Question;
use shown::Shown;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, RawFd};

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
    known: BTreeMap<String, Known>,
    asked: u32,
    /// Names that were refused without a question, since there were too many of them.
    pub unasked: u64,
    /// Lines of names that the user has allowed for good.
    pub always: Vec<String>,
    /// What the user was told once.
    told: Vec<&'static str>,
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
            known: BTreeMap::new(),
            asked: 0,
            unasked: 0,
            always: Vec::new(),
            told: Vec::new(),
        }
    }

    /// The descriptor that is ready to read when there is an answer; negative if there is no question.
    pub fn fd(&self) -> RawFd {
        self.shown.as_ref().map_or(-1, Shown::fd)
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
        if self.asked >= MOST {
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
        self.waiting.push_back(Waiting { questions: vec![name.clone()], who });
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
        let first = !self.told.contains(&word);
        self.told.extend(first.then_some(word));
        Taken::Refused(first.then_some(why))
    }

    /// Shows the question about the first name that waits, if none is shown.
    fn show(&mut self) {
        if self.shown.is_some() {
            return;
        }
        let Some(waiting) = self.waiting.front() else { return };
        let who = waiting.who.as_ref().map(|who| who.program.as_str());
        // A process that cannot be made answers nothing.
        self.shown = Some(Shown::new(&self.ways, &Question::new(waiting.name(), who, &self.sandbox)));
    }

    /// The answer to the question that is shown, with the name that it is about. The next question is shown.
    pub fn answered(&mut self) -> Option<(Waiting, Answer)> {
        let answer = self.shown.take()?.answer();
        let waiting = self.waiting.pop_front()?;
        if answer == Answer::Never {
            self.known.entry(waiting.name().to_owned()).or_default().never = true;
        }
        self.show();
        Some((waiting, answer))
    }

    /// The names that nobody will answer about any more.
    pub fn end(&mut self) -> Vec<Waiting> {
        self.shown = None;
        std::mem::take(&mut self.waiting).into()
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
        let (first, answer) = asking.answered().unwrap();
        assert_eq!((first.name(), first.questions.len(), answer), ("n0.example", MOST_ASKERS, Answer::None));
        assert!(waits(&mut asking, "more.example"));
        assert_eq!(asking.end().len(), MOST_WAITING);
        assert!(asking.fd() < 0);
    }

    #[test]
    fn questions_are_bounded_in_all_and_about_one_name() {
        let mut asking = asking();
        for _ in 0..MOST_ABOUT_ONE {
            assert!(waits(&mut asking, "one.example"));
            assert!(asking.answered().is_some());
        }
        assert!(!waits(&mut asking, "one.example"));
        for number in MOST_ABOUT_ONE..MOST {
            assert!(waits(&mut asking, &format!("n{number}.example")));
            assert!(asking.answered().is_some());
        }
        let Taken::Refused(Some(note)) = take(&mut asking, "more.example") else { panic!() };
        assert!(note.contains("100 questions"), "{note}");
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
