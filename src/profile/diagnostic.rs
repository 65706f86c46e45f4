//! Errors in profiles, formatted like rustc's: file, line, caret, one sentence, one `help:`.

use super::source::{At, Sources};
use crate::error::printable;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// An error in a profile or a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, in one sentence.
    pub message: String,
    /// Position of the error in a source; none if it belongs to no line.
    pub at: Option<At>,
    /// How to fix it, printed after `help:`.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a position of a source, without help.
    pub fn at(at: &At, message: impl Into<String>) -> Diagnostic {
        Diagnostic { message: message.into(), at: Some(at.clone()), help: None }
    }

    /// An error without a position and without help.
    pub fn new(message: impl Into<String>) -> Diagnostic {
        Diagnostic { message: message.into(), at: None, help: None }
    }

    /// Adds how to fix the error.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }
}

/// A character of a profile as it is safe to print: C1 controls and characters that change the direction of the text
/// (which could make a line read differently from what it says) are replaced by others of the same length in UTF-8.
fn shown(c: char) -> char {
    match c {
        '\u{80}'..='\u{9f}' => '\u{b7}',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c => c,
    }
}

/// Number of errors that are printed: somebody else's file must not fill the screen, or take minutes to render.
const MOST: usize = 20;

/// Puts the errors of each source in the order of its lines; sources are in the order in which their first errors were found.
pub fn sort(diagnostics: &mut [Diagnostic]) {
    let source = |diagnostic: &Diagnostic| diagnostic.at.as_ref().map(|at| at.source);
    let mut sources = Vec::new();
    for found in diagnostics.iter().map(source) {
        if !sources.contains(&found) {
            sources.push(found);
        }
    }
    diagnostics.sort_by_key(|diagnostic| {
        let rank = sources.iter().position(|found| *found == source(diagnostic));
        (rank, diagnostic.at.as_ref().map(|at| at.span.start))
    });
}

/// All errors of a run, with the sources that they point into.
#[derive(Debug, Clone)]
pub struct Failed {
    /// The errors, in the order in which they are printed: see [`sort`].
    pub diagnostics: Vec<Diagnostic>,
    /// The sources that the positions of the errors refer to.
    pub sources: Sources,
}

impl Failed {
    /// The errors as text for a terminal; `colour` adds escape sequences.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for diagnostic in self.diagnostics.iter().take(MOST) {
            let place = diagnostic.at.as_ref().and_then(|at| Some((at, self.sources.get(at.source)?)));
            // Nobody wrote the line that a flag was translated into: name the flag instead.
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
                // The length in bytes stays the same, so that spans stay right. The renderer replaces ASCII controls.
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
