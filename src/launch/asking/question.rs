//! A question about a name, in words that a program has no part in.

use std::time::Duration;

/// How long a question waits for its answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// How long a question is shown before an answer to it counts: a key or a click of before was for something else.
pub(super) const READING: Duration = Duration::from_secs(1);

/// What is asked.
pub(super) struct Question {
    pub name: String,
    /// Who asks for the name.
    pub who: String,
    /// The name has letters that are shown otherwise in other places.
    pub encoded: bool,
}

impl Question {
    pub fn new(name: &str, program: Option<&str>, sandbox: &str) -> Question {
        let who = match program.map(plain).filter(|program| !program.is_empty()) {
            Some(program) => format!("\"{program}\" in the sandbox of {}", plain(sandbox)),
            None => format!("a program in the sandbox of {}", plain(sandbox)),
        };
        Question { name: name.to_owned(), who, encoded: name.split('.').any(|label| label.starts_with("xn--")) }
    }
}

/// What a program is called, in letters that mean nothing to a terminal, to markup or to the question itself.
fn plain(program: &str) -> String {
    const LONGEST: usize = 32;
    let shown = |c: char| if c.is_ascii_alphanumeric() || "-_.+".contains(c) { c } else { '?' };
    program.chars().take(LONGEST).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_calls_itself_says_nothing_but_that() {
        let question = Question::new("a.example", Some("\u{1b}[A<b>x\" is\nfine"), "curl");
        assert_eq!((question.who.as_str(), question.encoded), ("\"??A?b?x??is?fine\" in the sandbox of curl", false));
        let question = Question::new("xn--bcher-kva.example", None, "a b");
        assert_eq!((question.who.as_str(), question.encoded), ("a program in the sandbox of a?b", true));
        assert_eq!(plain(&"x".repeat(1000)).len(), 32);
    }
}
