//! Merges two changes of one text.

use similar::Algorithm;
use similar::algorithms::{DiffHook, diff_slices_deadline};
use std::convert::Infallible;
use std::ops::Range;
use std::time::{Duration, Instant};

/// How long it may take to find what was changed. What is found by then is right, and not the least.
const PATIENCE: Duration = Duration::from_secs(1);

/// Lines that were replaced by others.
#[derive(Debug, PartialEq, Eq)]
struct Edit<'t> {
    lines: Range<usize>,
    by: &'t [&'t str],
}

/// The text with both changes; none if both have changed the same lines, or lines beside each other, in different ways.
pub(super) fn merge(base: &str, one: &str, other: &str) -> Option<String> {
    let [base, one, other] = [base, one, other].map(|text| text.split_inclusive('\n').collect::<Vec<_>>());
    let (edits, others) = (edits(&base, &one)?, edits(&base, &other)?);
    let (mut edits, mut others) = (edits.into_iter().peekable(), others.into_iter().peekable());
    let (mut merged, mut at) = (String::new(), 0);
    loop {
        let next = match (edits.peek(), others.peek()) {
            (None, None) => break,
            (Some(one), Some(other)) if one == other => {
                others.next();
                edits.next()
            }
            (Some(one), Some(other)) if touch(&one.lines, &other.lines) => return None,
            (Some(one), Some(other)) if other.lines.start < one.lines.start => others.next(),
            (None, Some(_)) => others.next(),
            _ => edits.next(),
        }?;
        base.get(at..next.lines.start)?.iter().chain(next.by).for_each(|line| merged.push_str(line));
        at = next.lines.end;
    }
    base.get(at..)?.iter().for_each(|line| merged.push_str(line));
    Some(merged)
}

/// Whether two ranges of lines have one in common, or no line is between them.
fn touch(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start <= other.end && other.start <= one.end
}

/// The lines that are the same: where they begin in each text, and how many they are.
#[derive(Default)]
struct Same(Vec<(usize, usize, usize)>);

impl DiffHook for Same {
    type Error = Infallible;

    fn equal(&mut self, base: usize, text: usize, count: usize) -> Result<(), Infallible> {
        self.0.push((base, text, count));
        Ok(())
    }
}

/// What was changed, in order, with a line between one and the next at least; none if the two were not compared rightly.
fn edits<'t>(base: &[&'t str], text: &'t [&'t str]) -> Option<Vec<Edit<'t>>> {
    let mut same = Same::default();
    let Ok(()) = diff_slices_deadline(Algorithm::Myers, &mut same, base, text, Some(Instant::now() + PATIENCE));
    let (mut edits, mut at, mut made) = (Vec::new(), 0, 0);
    for (start, by, count) in same.0.into_iter().chain([(base.len(), text.len(), 0)]) {
        if base.get(start..start + count)? != text.get(by..by + count)? {
            return None;
        }
        let edit = Edit { lines: at..start, by: text.get(made..by)? };
        if at > start {
            return None;
        }
        if !(edit.lines.is_empty() && edit.by.is_empty()) {
            edits.push(edit);
        }
        (at, made) = (start + count, by + count);
    }
    Some(edits)
}

#[cfg(test)]
mod tests {
    use super::merge;
    use proptest::prelude::*;

    #[test]
    fn changes_apart_are_merged_and_others_are_not() {
        for (base, one, other, merged) in [
            ("a\nb\nc\n", "A\nb\nc\n", "a\nb\nC\n", Some("A\nb\nC\n")),
            ("a\nb\nc\n", "A\nb\nc\n", "A\nb\nC\n", Some("A\nb\nC\n")),
            ("a\nb\nc\n", "A\nb\nc\n", "X\nb\nc\n", None),
            ("a\nb\nc\n", "A\nb\nc\n", "a\nB\nc\n", None),
            ("a\nb\nc\n", "a\nc\n", "a\nB\nc\n", None),
            ("a\nb\nc\n", "a\nb\nc\nd\n", "0\na\nb\nc\n", Some("0\na\nb\nc\nd\n")),
            ("a\nb\nc\n", "a\nb\nc\nd\n", "a\nb\nc\ne\n", None),
            ("a\nb\nc", "a\nb\nc\n", "A\nb\nc", Some("A\nb\nc\n")),
            ("", "a\n", "", Some("a\n")),
            ("", "a\n", "b\n", None),
            ("a\n", "", "a\nb\n", None),
        ] {
            assert_eq!(merge(base, one, other).as_deref(), merged, "{base:?} {one:?} {other:?}");
            assert_eq!(merge(base, other, one).as_deref(), merged, "{base:?} {other:?} {one:?}");
        }
    }

    fn lines() -> impl Strategy<Value = String> {
        proptest::collection::vec("[abc]\n?", 0..12).prop_map(|lines| lines.concat())
    }

    proptest! {
        #[test]
        fn a_change_of_one_alone_is_what_it_has(base in lines(), one in lines()) {
            prop_assert_eq!(merge(&base, &one, &base), Some(one.clone()));
            prop_assert_eq!(merge(&base, &base, &one), Some(one.clone()));
            prop_assert_eq!(merge(&base, &one, &one), Some(one));
        }

        #[test]
        fn both_sides_give_the_same(base in lines(), one in lines(), other in lines()) {
            prop_assert_eq!(merge(&base, &one, &other), merge(&base, &other, &one));
        }
    }
}
