//! What podman's own system tests show of its verbs, on sbx: a table of cases (`tests/podman/cases`) in which each difference stands with its reason.
//! `tests/real/podman` runs the same beside podman.

mod common;

use common::records::Records;
use common::{Ran, cgroup, ran, tools, until, userns};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;

const CASES: &str = include_str!("podman/cases");

/// One command of a case.
#[derive(Debug, Default)]
struct Step<'t> {
    line: usize,
    words: Vec<String>,
    /// It is repeated until it is as said.
    again: bool,
    input: Option<&'t str>,
    status: i32,
    prints: Vec<&'t str>,
    says: Vec<&'t str>,
    differs: bool,
}

#[derive(Debug, Default)]
struct Case<'t> {
    name: &'t str,
    cgroup: bool,
    steps: Vec<Step<'t>>,
}

/// The words of a command line, as a shell has them.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(mark), c) if c == mark => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    assert!(quote.is_none(), "{line}");
    words.extend(word);
    words
}

fn cases() -> Vec<Case<'static>> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in CASES.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let (sign, rest) = line.split_once(' ').unwrap_or((line, ""));
        if sign == "==" {
            cases.push(Case { name: rest, ..Case::default() });
            continue;
        }
        let case = cases.last_mut().unwrap();
        if let "$" | "$$" = sign {
            let step = Step { line: number + 1, words: words(rest), again: sign == "$$", ..Step::default() };
            case.steps.push(step);
            continue;
        }
        if sign == "?" {
            assert!(["cgroup", "podman's cgroup"].contains(&rest), "line {}", number + 1);
            case.cgroup = rest == "cgroup";
            continue;
        }
        let step = case.steps.last_mut().unwrap();
        match sign {
            "<" => step.input = Some(rest),
            ":" => step.status = rest.parse().unwrap(),
            ">" => step.prints.push(rest),
            "!" => step.says.push(rest),
            "~" => {
                let (status, why) = rest.split_once(" | ").unwrap();
                assert!((status == "-" || status.parse::<i32>().is_ok()) && !why.is_empty(), "line {}", number + 1);
                step.differs = true;
            }
            _ => panic!("line {}: {line}", number + 1),
        }
    }
    cases
}

/// Ids that were printed, by the names that the table gives them.
type Ids = BTreeMap<String, String>;

/// A text with the ids in the place of their names.
fn filled(text: &str, ids: &Ids) -> String {
    ids.iter().fold(text.to_owned(), |text, (name, id)| {
        text.replace(&format!("{{{name}}}"), id).replace(&format!("{{{name}:12}}"), &id[..12])
    })
}

/// Whether a line is as a pattern with `*` and `?` says.
fn fits(pattern: &[char], line: &[char]) -> bool {
    match (pattern.first(), line.first()) {
        (None, None) => true,
        (Some('*'), _) => fits(&pattern[1..], line) || !line.is_empty() && fits(pattern, &line[1..]),
        (Some('?'), Some(_)) => fits(&pattern[1..], &line[1..]),
        (Some(a), Some(b)) if a == b => fits(&pattern[1..], &line[1..]),
        _ => false,
    }
}

/// Whether a command has done what its step says; ids that are printed for the first time get their names.
fn is_as_said(step: &Step, seen: &Ran, ids: &mut Ids) -> bool {
    let mut lines = seen.out.lines();
    for pattern in &step.prints {
        if *pattern == "..." {
            lines = "".lines();
            continue;
        }
        let Some(line) = lines.next() else { return false };
        let name = pattern.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).filter(|name| !name.contains(':'));
        if let Some(name) = name.filter(|name| !ids.contains_key(*name)) {
            if line.len() != 64 || !line.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return false;
            }
            ids.insert(name.to_owned(), line.to_owned());
            continue;
        }
        let pattern = filled(pattern, ids);
        if !fits(&pattern.chars().collect::<Vec<_>>(), &line.chars().collect::<Vec<_>>()) {
            return false;
        }
    }
    let says = step.says.iter().all(|text| seen.err.contains(&filled(text, ids)));
    seen.status == Some(step.status) && lines.next().is_none() && says && (step.says.is_empty() || !seen.err.is_empty())
}

/// Runs the commands of a case. Gives how many there were.
#[track_caller]
fn walk(case: &Case) -> usize {
    let records = Records::new();
    let mut ids = Ids::new();
    for step in &case.steps {
        let mut args: Vec<_> = step.words.iter().map(|word| filled(word, &ids)).collect();
        let first = args[0].clone();
        if let Some(at) =
            args.iter().position(|word| word == "@").filter(|_| ["run", "create"].contains(&first.as_str()))
        {
            let limit: &[&str] = if case.cgroup { &["--set", "limits.max_descendants=50"] } else { &[] };
            args.splice(at..=at, limit.iter().chain(&["-q", "--"]).map(|word| (*word).to_owned()));
        }
        let once = || {
            let mut command = records.command();
            command.args(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            if let Some(text) = step.input {
                // One that reads nothing may have ended by then.
                let _ = stdin.write_all(format!("{text}\n").as_bytes());
            }
            drop(stdin);
            ran(child.wait_with_output().unwrap())
        };
        let mut seen = once();
        let mut as_said = is_as_said(step, &seen, &mut ids);
        if step.again && !as_said {
            as_said = until(|| {
                seen = once();
                is_as_said(step, &seen, &mut ids)
            });
        }
        assert!(as_said, "{}, line {}: {args:?}: wanted {step:?}\nsaw {seen:#?}", case.name, step.line);
    }
    case.steps.len()
}

#[test]
fn verbs_do_what_podmans_own_tests_show_or_differ_for_a_reason() {
    need!(userns(), tools(&["sleep", "cmp"]));
    let (mut walked, mut differ, mut files) = (0, 0, BTreeMap::<&str, usize>::new());
    for case in cases().iter().filter(|case| !case.cgroup) {
        walked += walk(case);
        differ += case.steps.iter().filter(|step| step.differs).count();
        *files.entry(case.name.split([':', ' ']).next().unwrap()).or_default() += 1;
    }
    eprintln!("{walked} commands, of which {differ} differ from podman's; cases: {files:?}");
    assert!(walked > 200 && differ * 8 < walked, "{walked} {differ}");
}

#[test]
fn pausing_does_what_podmans_own_tests_show_or_differs_for_a_reason() {
    need!(userns(), cgroup());
    for case in cases().iter().filter(|case| case.cgroup) {
        walk(case);
    }
}

#[test]
fn the_words_and_patterns_of_the_table_are_those_of_shells() {
    assert_eq!(words("a 'b c' \"d 'e'\" '' f=\"g h\""), ["a", "b c", "d 'e'", "", "f=g h"]);
    for (pattern, line, wanted) in
        [("a*c", "abbc", true), ("*", "", true), ("?b*", "ab", true), ("a*c", "ab", false), ("?", "", false)]
    {
        let [pattern, line] = [pattern, line].map(|text| text.chars().collect::<Vec<_>>());
        assert_eq!(fits(&pattern, &line), wanted, "{pattern:?} {line:?}");
    }
}
