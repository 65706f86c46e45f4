//! The texts that settings come from, and positions in them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

/// A position in a source: the span of a key or a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// Index of the source in [`Sources`].
    pub source: usize,
    /// Range of bytes in the source's text.
    pub span: Range<usize>,
}

/// A file, or the flags of the command line translated to the profile language.
#[derive(Debug, Clone)]
pub struct Source {
    /// The name shown to users: a path, `built-in:NAME`, or `command line`.
    pub name: String,
    /// The whole text of the source.
    pub text: String,
    /// This is a project's file (`.sbx.toml`), which may only tighten.
    pub project: bool,
    /// The directory of a project's file that lies above the current one.
    pub above: Option<PathBuf>,
    /// The flag that each line was translated from; empty for a file.
    labels: Vec<String>,
    /// Offsets in bytes at which the lines start.
    lines: Cow<'static, [usize]>,
}

impl Source {
    /// The number of the line that a position is in.
    pub(super) fn line(&self, at: &At) -> usize {
        self.lines.partition_point(|start| *start <= at.span.start)
    }

    /// The flag that the line at a position was translated from; none in a file.
    pub(super) fn label(&self, at: &At) -> Option<&str> {
        if self.labels.is_empty() {
            return None;
        }
        self.labels.get(self.line(at).saturating_sub(1)).map(String::as_str)
    }
}

/// The offsets in bytes at which the lines of a text start.
pub(super) fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

/// All sources of one run; an [`At`] points into one of them.
#[derive(Debug, Clone, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// Adds a source and returns its index.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> usize {
        let text = text.into();
        let lines = line_starts(&text).into();
        self.put(name.into(), text, lines)
    }

    /// Adds a built-in profile, whose lines start at these offsets.
    pub(super) fn add_built_in(&mut self, name: String, text: &str, lines: &'static [usize]) -> usize {
        self.put(name, text.to_owned(), lines.into())
    }

    fn put(&mut self, name: String, text: String, lines: Cow<'static, [usize]>) -> usize {
        self.0.push(Source { name, text, project: false, above: None, labels: Vec::new(), lines });
        self.0.len() - 1
    }

    /// Sets the flags that the lines of a source were translated from, one for each line.
    pub fn label(&mut self, number: usize, labels: Vec<String>) {
        if let Some(source) = self.0.get_mut(number) {
            source.labels = labels;
        }
    }

    /// Marks a source as a project's file, in the current directory or in this one above it.
    pub fn mark_project(&mut self, number: usize, above: Option<PathBuf>) {
        if let Some(source) = self.0.get_mut(number) {
            (source.project, source.above) = (true, above);
        }
    }

    /// Whether one of them is a project's file.
    pub fn has_project(&self) -> bool {
        self.0.iter().any(|source| source.project)
    }

    /// The source with this index.
    pub fn get(&self, number: usize) -> Option<&Source> {
        self.0.get(number)
    }

    /// The files among the sources, by their paths.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let files = self.0.iter().filter(|source| !source.project && source.labels.is_empty());
        files
            .map(|source| source.name.as_str())
            .filter(|name| !name.starts_with("built-in:") && *name != "command line")
    }

    /// Reasons that authors give for grants, by the grant's `file:line`: a comment `# accepted: REASON` above that
    /// line, which the comment lines that follow continue.
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

    /// `file:line` of a position, or the flag that it was translated from.
    pub fn place(&self, at: &At) -> String {
        self.get(at.source).map_or_else(String::new, |source| {
            source.label(at).map_or_else(|| [&source.name, ":", &source.line(at).to_string()].concat(), str::to_owned)
        })
    }
}
