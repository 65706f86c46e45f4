//! What the user says to a question about a name.

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::launch) enum Answer {
    /// It is reached in this run.
    Once,
    /// It is reached in this run, and the line for the profile is told.
    Always,
    /// It is not reached in this run, and not asked about again.
    Never,
    /// Nobody has said anything.
    None,
}

impl Answer {
    /// What a user can say.
    pub const ALL: [Answer; 3] = [Answer::Once, Answer::Always, Answer::Never];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Answer::Once => "once",
            Answer::Always => "always",
            Answer::Never => "never",
            Answer::None => "none",
        }
    }

    /// What is said by a word, or by its first letter.
    pub fn of(word: &str) -> Answer {
        let says = |answer: &Answer| answer.word() == word || answer.word().get(..1) == Some(word);
        Answer::ALL.into_iter().find(says).unwrap_or(Answer::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_or_its_first_letter_is_an_answer_and_nothing_else_is() {
        for answer in Answer::ALL {
            assert_eq!(Answer::of(answer.word()), answer);
            assert_eq!(Answer::of(&answer.word()[..1]), answer);
        }
        for word in ["", "y", "yes", "onc", "Once", "none", "o\u{8}", "always "] {
            assert_eq!(Answer::of(word), Answer::None, "{word:?}");
        }
    }
}
