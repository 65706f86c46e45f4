//! Settings of the built-in profiles as constants, whose TOML was parsed when `built_in.rs` was generated.
//!
//! Parsing the TOML at each start would take longer than planning the sandbox does.

use super::document::{Document, Setting, Text, Value};
use super::schema;
use super::source::{At, line_starts};

/// A string, by its span in the profile's text: offset of its first byte, and of the byte after its last. Without an address of its own: there
/// are more than a thousand, and each address is written by the C library at the start of a program that may lie anywhere.
#[derive(Clone, Copy)]
pub(super) struct Word(pub u32, pub u32);

impl Word {
    fn at(self, source: usize) -> At {
        At { source, span: self.0 as usize..self.1 as usize }
    }

    /// The string, from the text that the span is of: without its quotes, and nothing in there is escaped.
    pub fn of(self, text: &str) -> &str {
        let word = text.get(self.0 as usize..self.1 as usize).unwrap_or_default();
        word.strip_prefix('"').and_then(|word| word.strip_suffix('"')).unwrap_or(word)
    }
}

/// A value as a constant; switches and lists carry their span (start and end in bytes).
pub(super) enum Literal {
    /// `true` or `false`.
    Switch(bool, usize, usize),
    /// A word, a string, or a number as text.
    Text(Word),
    /// A list of strings.
    List(&'static [Word], usize, usize),
    /// A table of strings: names or paths with their values.
    Map(&'static [(Word, Word)]),
}

/// A setting: the key's full name, the span of the key in bytes, and the value.
pub(super) struct Line(pub &'static str, pub usize, pub usize, pub Literal);

/// The document that these lines were generated from; `source` is the index of its text, `whole`, in `Sources`.
pub(super) fn document(lines: &[Line], whole: &str, source: usize) -> Document {
    let at = |start: usize, end: usize| At { source, span: start..end };
    let text = |word: &Word| Text { text: word.of(whole).to_owned(), at: word.at(source) };
    let setting = |Line(name, start, end, literal): &Line| {
        let value = match literal {
            Literal::Switch(on, start, end) => Value::Switch(*on, at(*start, *end)),
            Literal::Text(word) => Value::Text(text(word)),
            Literal::List(words, start, end) => Value::List(words.iter().map(text).collect(), at(*start, *end)),
            Literal::Map(words) => Value::Map(words.iter().map(|(name, value)| (text(name), text(value))).collect()),
        };
        let key = schema::find(name).expect("generated from documents that the schema accepted");
        Setting { key, value, at: at(*start, *end) }
    };
    Document { settings: lines.iter().map(setting).collect(), source, project: false, torn: false }
}

/// A document's settings as Rust source, for `built_in.rs`, with the offsets at which the lines of its text start. A string that is not in the
/// text as it is panics: built-in profiles have no escapes.
pub fn generate(name: &str, document: &Document, text: &str) -> String {
    let whole = text;
    let word = |text: &Text| {
        let [start, end] =
            [text.at.span.start, text.at.span.end].map(|offset| u32::try_from(offset).expect("profiles are short"));
        assert_eq!(Word(start, end).of(whole), text.text, "{name}: a string with escapes");
        format!("Word({start}, {end})")
    };
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
    let starts: Vec<_> = line_starts(text).iter().map(usize::to_string).collect();
    let starts: String = starts.chunks(20).map(|some| format!("    {},\n", some.join(", "))).collect();
    format!("({name:?}, &[\n{}], &[\n{starts}]),\n", lines.collect::<String>())
}
