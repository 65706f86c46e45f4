//! The texts that settings come from, and places in them.

use std::collections::BTreeMap;
use std::ops::Range;

/// A place in a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// Number of the source.
    pub source: usize,
    /// Bytes of its text.
    pub span: Range<usize>,
}

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
    pub(super) fn label(&self, at: &At) -> Option<&str> {
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
