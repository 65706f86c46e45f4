//! Errors of profiles, in the look of rustc's: file, line, caret, one sentence, one `help:`.

use super::document::At;
use crate::error::printable;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::collections::BTreeMap;

/// One file or one group of flags that settings came from.
#[derive(Debug, Clone)]
pub struct Source {
    /// As it is shown: a path, `built-in:NAME`, or `command line`.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// A project's file, which may only tighten.
    pub project: bool,
    /// What stands for each line where the text is not the user's own: the flags that it was made of.
    labels: Vec<String>,
    /// Where its lines start.
    lines: Vec<usize>,
}

impl Source {
    /// The flag that a place was made of.
    fn label(&self, at: &At) -> Option<&str> {
        let line = self.lines.partition_point(|start| *start <= at.span.start).saturating_sub(1);
        self.labels.get(line).map(String::as_str)
    }
}

/// All sources of one run; an `At` points into it.
#[derive(Debug, Clone, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// Adds one and gives its number.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> usize {
        let text = text.into();
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        self.0.push(Source { name: name.into(), text, project: false, labels: Vec::new(), lines });
        self.0.len() - 1
    }

    /// Says what the lines of a source were made of.
    pub fn label(&mut self, number: usize, labels: Vec<String>) {
        if let Some(source) = self.0.get_mut(number) {
            source.labels = labels;
        }
    }

    /// Marks a source as a project's file.
    pub fn mark_project(&mut self, number: usize) {
        if let Some(source) = self.0.get_mut(number) {
            source.project = true;
        }
    }

    /// The source of this number.
    pub fn get(&self, number: usize) -> Option<&Source> {
        self.0.get(number)
    }

    /// Reasons that authors give for what they grant, by the `file:line` of the grant: comments `# accepted: REASON` above it,
    /// which may go on in the comments that follow.
    pub fn accepted(&self) -> BTreeMap<String, String> {
        let mut reasons = BTreeMap::new();
        for source in &self.0 {
            let mut reason: Option<String> = None;
            for (index, line) in source.text.lines().enumerate() {
                let comment = line.trim_start().strip_prefix('#').map(str::trim);
                match (comment, comment.and_then(|comment| comment.strip_prefix("accepted:"))) {
                    (_, Some(new)) => reason = Some(new.trim().to_owned()),
                    (Some(more), None) => {
                        if let Some(reason) = &mut reason {
                            reason.push(' ');
                            reason.push_str(more);
                        }
                    }
                    (None, None) => {
                        if let Some(reason) = reason.take().filter(|reason| !reason.trim().is_empty()) {
                            reasons.insert(format!("{}:{}", source.name, index + 1), reason);
                        }
                    }
                }
            }
        }
        reasons
    }

    /// `file:line` of a place, or the flag.
    pub fn place(&self, at: &At) -> String {
        self.get(at.source).map_or_else(String::new, |source| {
            let line = source.lines.partition_point(|start| *start <= at.span.start);
            source.label(at).map_or_else(|| [&source.name, ":", &line.to_string()].concat(), str::to_owned)
        })
    }
}

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
