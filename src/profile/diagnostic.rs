//! Errors of profiles, in the look of rustc's: file, line, caret, one sentence, one `help:`.

use super::source::{At, Sources};
use crate::error::printable;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where.
    pub at: Option<At>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn at(at: &At, message: impl Into<String>) -> Diagnostic {
        Diagnostic { message: message.into(), at: Some(at.clone()), help: None }
    }

    /// An error without a place.
    pub fn new(message: impl Into<String>) -> Diagnostic {
        Diagnostic { message: message.into(), at: None, help: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }
}

/// A character as a terminal may be given it.
fn shown(c: char) -> char {
    match c {
        '\u{80}'..='\u{9f}' => '\u{b7}',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c => c,
    }
}

/// How many are shown: a file that somebody else wrote must not fill the screen, or take minutes to be told about.
const MOST: usize = 20;

/// Everything that is wrong, with the texts it is wrong in.
#[derive(Debug, Clone)]
pub struct Failed {
    /// All of it, in the order it was found.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts.
    pub sources: Sources,
}

impl Failed {
    /// As text, with colours where asked.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for diagnostic in self.diagnostics.iter().take(MOST) {
            let place = diagnostic.at.as_ref().and_then(|at| Some((at, self.sources.get(at.source)?)));
            // A flag stands for the whole line that it was made into, which nobody wrote.
            let flag = place.and_then(|(at, source)| source.label(at));
            let message = match flag {
                Some(flag) => printable(&format!("{} ({flag})", diagnostic.message)).into_owned(),
                None => printable(&diagnostic.message).into_owned(),
            };
            let name = place.filter(|_| flag.is_none()).map(|(_, source)| printable(&source.name));
            let mut group = Group::with_title(Level::ERROR.primary_title(message.as_str()));
            if let Some((at, source)) = place {
                let end = source.text.len();
                let span = at.span.start.min(end)..at.span.end.min(end);
                // Of the same length in bytes, so that spans stay right; ASCII's controls are the renderer's business.
                let text: String = source.text.chars().map(shown).collect();
                let mut snippet = Snippet::source(text).annotation(AnnotationKind::Primary.span(span));
                if let Some(name) = &name {
                    snippet = snippet.path(name.as_ref());
                }
                group = group.element(snippet);
            }
            if let Some(help) = &diagnostic.help {
                group = group.element(Level::HELP.message(help.as_str()));
            }
            out.push_str(&renderer.render(&[group]));
            out.push('\n');
        }
        if self.diagnostics.len() > MOST {
            out.push_str(&format!("and {} more\n", self.diagnostics.len() - MOST));
        }
        out
    }
}
