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

/// What has become of a question: the answer, or why it could not be shown.
pub(super) type Said = Result<Answer, String>;

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

    /// What is said by a word: the whole of it, which nobody types by mistake.
    pub fn of(word: &str) -> Answer {
        Answer::ALL.into_iter().find(|answer| answer.word() == word).unwrap_or(Answer::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_word_is_an_answer_and_nothing_else_is() {
        for answer in Answer::ALL {
            assert_eq!(Answer::of(answer.word()), answer);
            assert_eq!(Answer::of(&answer.word()[..1]), Answer::None);
        }
        for word in ["", "y", "yes", "onc", "Once", "none", "onceonce", "o\u{8}", "always "] {
            assert_eq!(Answer::of(word), Answer::None, "{word:?}");
        }
    }
}
