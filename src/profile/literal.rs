//! Settings of the profiles that are part of the program, as they stand in it: read when it was written, not at each start.
//!
//! Reading their TOML would take a start longer than planning the sandbox does.

use super::document::{Document, Setting, Text, Value};
use super::schema;
use super::source::At;

/// A string, and where it stands in the profile's text: first byte, and the byte behind it.
pub(super) struct Word(pub &'static str, pub usize, pub usize);

/// A value, with the bytes that it stands at where it is more than one string.
pub(super) enum Literal {
    /// A switch.
    Switch(bool, usize, usize),
    /// A word, string or number.
    Text(Word),
    /// A list.
    List(&'static [Word], usize, usize),
    /// Names or paths with their strings.
    Map(&'static [(Word, Word)]),
}

/// A key by its name, where it stands, and its value.
pub(super) struct Line(pub &'static str, pub usize, pub usize, pub Literal);

/// The document that these lines were read from, as the source of this number.
pub(super) fn document(lines: &[Line], source: usize) -> Document {
    let at = |start: usize, end: usize| At { source, span: start..end };
    let text = |word: &Word| Text { text: word.0.to_owned(), at: at(word.1, word.2) };
    let setting = |Line(name, start, end, literal): &Line| {
        let value = match literal {
            Literal::Switch(on, start, end) => Value::Switch(*on, at(*start, *end)),
            Literal::Text(word) => Value::Text(text(word)),
            Literal::List(words, start, end) => Value::List(words.iter().map(text).collect(), at(*start, *end)),
            Literal::Map(words) => Value::Map(words.iter().map(|(name, value)| (text(name), text(value))).collect()),
        };
        let key = schema::find(name).expect("they were read by the schema when they were written here");
        Setting { key, value, at: at(*start, *end) }
    };
    Document { settings: lines.iter().map(setting).collect(), source, project: false, torn: false }
}

/// The lines of a document as source text of this program.
pub fn generate(name: &str, document: &Document) -> String {
    let word = |text: &Text| format!("Word({:?}, {}, {})", text.text, text.at.span.start, text.at.span.end);
    let list = |words: Vec<String>| words.iter().map(|word| format!("        {word},\n")).collect::<String>();
    let lines = document.settings.iter().map(|setting| {
        let value = match &setting.value {
            Value::Switch(on, at) => format!("Literal::Switch({on}, {}, {})", at.span.start, at.span.end),
            Value::Text(text) => format!("Literal::Text({})", word(text)),
            Value::List(words, at) => {
                let words = list(words.iter().map(word).collect());
                format!("Literal::List(&[\n{words}    ], {}, {})", at.span.start, at.span.end)
            }
            Value::Map(words) => {
                let words =
                    list(words.iter().map(|(name, value)| format!("({}, {})", word(name), word(value))).collect());
                format!("Literal::Map(&[\n{words}    ])")
            }
        };
        format!("    Line({:?}, {}, {}, {value}),\n", setting.key.name, setting.at.span.start, setting.at.span.end)
    });
    format!("({name:?}, &[\n{}]),\n", lines.collect::<String>())
}
