//! bubblewrap and sbx-bwrap make the same sandbox of the same list of options: lists are generated, both programs run,
//! and whatever can be seen from inside and outside is compared. A difference is reduced to a shorter list and printed.
//!
//! `SBX_CASES` is the number of lists, `SBX_SEED` the seed they are generated from, `SBX_CASE` picks one of them;
//! `SBX_BWRAP` and `BWRAP_PEER` are the two programs. What may differ is listed in `differential/known.rs`.

mod common;
#[path = "differential/descriptors.rs"]
mod descriptors;
#[path = "differential/fixture.rs"]
mod fixture;
#[path = "differential/generate.rs"]
mod generate;
#[path = "differential/grammar.rs"]
mod grammar;
#[path = "differential/invalid.rs"]
mod invalid;
#[path = "differential/known.rs"]
mod known;
#[path = "differential/outside.rs"]
mod outside;
#[path = "differential/places.rs"]
mod places;
#[path = "differential/probe.rs"]
mod probe;
#[path = "differential/random.rs"]
mod random;
#[path = "differential/report.rs"]
mod report;
#[path = "differential/run.rs"]
mod run;
#[path = "differential/settings.rs"]
mod settings;

use common::{Need, bwrap, not_root, static_build};
use fixture::Fixture;
use grammar::Case;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// How many lists are tried.
const CASES: u64 = 2200;

/// Stop after so many different faults; `SBX_FAULTS` sets another number.
const ENOUGH: usize = 20;

/// Options that no list uses, and why.
const UNUSED: [(&str, &str); 5] = [
    ("--exec-label", "needs SELinux; refused without"),
    ("--file-label", "needs SELinux; refused without"),
    ("--help", "prints a text"),
    ("--overlay", "writes to directories of the host; bubblewrap's own tests have it"),
    ("--version", "prints a text"),
];

/// The two programs.
struct Pair {
    peer: PathBuf,
    subject: PathBuf,
    /// The peer is newer than 0.8.0, and has options that this does not have.
    newer: bool,
}

/// A list with which the two differ.
struct Fault {
    index: u64,
    case: Case,
    lines: Vec<(String, String)>,
}

/// What all workers have found.
#[derive(Default)]
struct Found {
    faults: BTreeMap<String, Fault>,
    /// How often each fault was seen.
    seen: BTreeMap<String, usize>,
    /// Faults that a second run did not show.
    passing: Vec<(u64, Vec<(String, String)>)>,
    /// And those where bubblewrap itself did another thing the second time.
    wavering: Vec<(u64, Vec<(String, String)>)>,
    started: usize,
    refused: usize,
    same_words: usize,
    other_words: BTreeMap<(String, String), (u64, String, String)>,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// The two programs that are compared.
fn pair() -> Pair {
    let peer = std::env::var_os("BWRAP_PEER").map_or_else(|| "/usr/bin/bwrap".into(), PathBuf::from);
    let newer = help(&peer).contains("--argv0");
    Pair { peer, subject: bwrap::program().into(), newer }
}

/// What a program says of its options.
fn help(program: &std::path::Path) -> String {
    let output = std::process::Command::new(program).arg("--help").output();
    output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Bubblewrap is there and works.
fn peer_works() -> Need {
    let lacks = match std::process::Command::new(pair().peer).args(["--ro-bind", "/", "/", "true"]).output() {
        Err(error) => Some(format!("bubblewrap cannot be run: {error}")),
        Ok(output) if !output.status.success() => Some(format!("bubblewrap does not work here: {output:?}")),
        Ok(_) => None,
    };
    Need::new("bwrap", lacks.is_none(), lacks.unwrap_or_default())
}

impl Pair {
    /// Runs both; gives what differs, and the reports.
    fn compare(&self, case: &Case, fixture: &Fixture) -> (Vec<(String, String)>, [report::Report; 2]) {
        let mut peer = run::run(&self.peer, case, fixture);
        let mut subject = run::run(&self.subject, case, fixture);
        for (_, alike, _) in known::KNOWN {
            alike(case, &mut peer, &mut subject);
        }
        let mut lines = peer.differences(&subject);
        if peer.started != subject.started {
            lines.retain(|(section, _)| section == "start" || section == "end");
            lines.iter_mut().for_each(|(section, _)| "start".clone_into(section));
            for (sign, report) in [("-", &peer), ("+", &subject)] {
                lines.extend(report.errors.iter().map(|line| ("start".to_owned(), format!("{sign} message: {line}"))));
            }
        } else if !peer.started && peer.ended != "exit 0" {
            let (theirs, ours) = (peer.message(), subject.message());
            let prefix = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
            let same = theirs == ours || known::wording(&theirs, &ours);
            if prefix(&theirs) != prefix(&ours) || case.refused && !same {
                lines.push(("message".to_owned(), format!("- message: {theirs}")));
                lines.push(("message".to_owned(), format!("+ message: {ours}")));
            }
        }
        for (sign, report) in [("-", &peer), ("+", &subject)] {
            if report.ended == "hangs" {
                lines.insert(0, ("hang".to_owned(), format!("{sign} hangs")));
            }
        }
        if known::EXCUSED.iter().any(|(excused, _)| excused(case, &peer, &subject)) {
            lines.clear();
        }
        (lines, [peer, subject])
    }

    /// A list as small as possible with which the two still differ in the same respect.
    fn shrunk(&self, mut case: Case, about: &str, fixture: &Fixture) -> (Case, Vec<(String, String)>) {
        let differs = |case: &Case| {
            let lines = self.compare(case, fixture).0;
            lines.iter().any(|(section, _)| section == about).then_some(lines)
        };
        let mut lines = Vec::new();
        // Every run that hangs takes its time.
        if about == "hang" {
            let lines = differs(&case).unwrap_or_default();
            return (case, lines);
        }
        while let Some((smaller, less)) = case.smaller().into_iter().find_map(|case| Some((differs(&case)?, case))) {
            (lines, case) = (smaller, less);
        }
        if lines.is_empty() {
            lines = differs(&case).unwrap_or_default();
        }
        (case, lines)
    }
}

/// Takes lists until there are none left.
fn work(pair: &Pair, seed: u64, next: &AtomicU64, end: u64, found: &Mutex<Found>) {
    let enough = number("SBX_FAULTS").map_or(ENOUGH, |count| count as usize);
    let fixture = Fixture::new(&pair.peer);
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= end || found.lock().unwrap().faults.len() >= enough {
            return;
        }
        let case = generate::case(seed, index, pair.newer);
        let (lines, [peer, subject]) = pair.compare(&case, &fixture);
        {
            let mut found = found.lock().unwrap();
            if peer.started {
                found.started += 1;
            } else {
                found.refused += 1;
                let (theirs, ours) = (peer.message(), subject.message());
                if theirs == ours {
                    found.same_words += 1;
                } else {
                    found
                        .other_words
                        .entry((known::shape(&theirs), known::shape(&ours)))
                        .or_insert((index, theirs, ours));
                }
            }
        }
        let Some((about, _)) = lines.first().cloned() else { continue };
        let (case, shrunk) = pair.shrunk(case, &about, &fixture);
        // A second run of the same list tells whose the first difference was: bubblewrap's alone, if sbx-bwrap did the
        // same both times.
        let wavered = shrunk.is_empty() && {
            let (_, [again, ours]) = pair.compare(&generate::case(seed, index, pair.newer), &fixture);
            subject.differences(&ours).is_empty() && !peer.differences(&again).is_empty()
        };
        let mut found = found.lock().unwrap();
        if shrunk.is_empty() {
            if wavered {
                found.wavering.push((index, lines))
            } else {
                found.passing.push((index, lines))
            };
            continue;
        }
        // Binds are in every list, if only that of the probe.
        let mut options: BTreeSet<String> = case.texts().into_iter().filter(|text| text.starts_with("--")).collect();
        if options.iter().any(|option| !option.contains("bind")) {
            options.retain(|option| !option.contains("bind"));
        }
        let name = format!("{about}: {}", options.into_iter().collect::<Vec<_>>().join(" "));
        *found.seen.entry(name.clone()).or_default() += 1;
        found.faults.entry(name).or_insert(Fault { index, case, lines: shrunk });
    }
}

#[test]
fn generated_lists_make_the_same_sandbox_as_bubblewrap_does() {
    // What a list may write to as an ordinary user is the fixture; as root it would be the host.
    need!(not_root(), static_build(), peer_works());
    let pair = pair();
    let seed = number("SBX_SEED").unwrap_or(1);
    let (first, end) = match number("SBX_CASE") {
        Some(one) => (one, one + 1),
        None => (0, number("SBX_CASES").unwrap_or(CASES)),
    };
    let start = Instant::now();
    let (next, found) = (AtomicU64::new(first), Mutex::new(Found::default()));
    std::thread::scope(|scope| {
        let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(8);
        for _ in 0..workers {
            scope.spawn(|| work(&pair, seed, &next, end, &found));
        }
    });
    let found = found.into_inner().unwrap();
    println!(
        "seed {seed}: {} lists in {:.1} s; {} ran their program, {} were refused, {} of these with the same message",
        found.started + found.refused,
        start.elapsed().as_secs_f32(),
        found.started,
        found.refused,
        found.same_words,
    );
    for (index, theirs, ours) in found.other_words.values() {
        println!("other words, such as list {index}\n  - {theirs}\n  + {ours}");
    }
    for (index, lines) in found.passing.iter().chain(&found.wavering) {
        println!("\nlist {index} differed once and then no more:");
        lines.iter().for_each(|(_, line)| println!("    {line}"));
    }
    for (name, Fault { index, case, lines }) in &found.faults {
        println!("\n{name}\nlist {index}, seen {} times:", found.seen[name]);
        println!("{}", case.shell("bwrap"));
        lines.iter().for_each(|(_, line)| println!("    {line}"));
    }
    assert!(found.faults.is_empty(), "{} differences; - is bubblewrap's, + is ours", found.faults.len());
    assert!(found.passing.is_empty(), "{} differences that come and go", found.passing.len());
    assert!(found.wavering.len() < 5, "bubblewrap does not do the same twice in {} lists", found.wavering.len());
    if first == 0 && end >= CASES {
        assert!(found.started * 10 > (found.started + found.refused) * 6, "most lists have to reach their program");
    }
}

#[test]
fn the_lists_use_every_option_that_bubblewrap_has() {
    need!(peer_works());
    let pair = pair();
    let help = help(&pair.peer);
    let options: BTreeSet<&str> =
        help.lines().filter_map(|line| line.split_whitespace().next()).filter(|word| word.starts_with("--")).collect();
    let cases = (0..CASES).map(|index| generate::case(1, index, pair.newer)).filter(|case| !case.refused);
    let used: BTreeSet<String> = cases.flat_map(|case| case.texts()).collect();
    let unused: Vec<&str> = options.into_iter().filter(|option| !used.contains(*option)).collect();
    let expected = UNUSED.iter().map(|(option, _)| *option).filter(|option| pair.newer || *option != "--overlay");
    assert_eq!(unused, expected.collect::<Vec<_>>());
}
