//! What is known of a run, and how two runs differ.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Whether the program reported.
    pub started: bool,
    /// How the launcher ended.
    pub ended: String,
    pub errors: Vec<String>,
    pub mounts: Vec<Mount>,
    /// Number of seccomp filters.
    pub filters: u32,
    /// All else, by what it is about.
    pub sections: BTreeMap<String, Vec<String>>,
}

/// A line of mountinfo, without what differs from run to run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mount {
    pub point: String,
    /// How many mounts lie below at the same place.
    pub level: usize,
    /// The place and level that it is mounted on.
    pub parent: String,
    pub kind: String,
    /// Whether the host has this file system too.
    pub host: bool,
    /// The directory in the file system.
    pub root: String,
    pub flags: String,
    pub propagation: String,
    pub options: String,
}

/// Device numbers of the file systems that the host has mounted.
fn host_devices() -> &'static BTreeSet<String> {
    static DEVICES: OnceLock<BTreeSet<String>> = OnceLock::new();
    DEVICES.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        text.lines().filter_map(|line| line.split(' ').nth(2).map(str::to_owned)).collect()
    })
}

impl Mount {
    /// Reads a mount table; sorted by place, as the order says in which order mounts were made and not how they lie.
    pub fn parse(text: &str) -> Vec<Mount> {
        let mut places: BTreeMap<&str, (String, usize)> = BTreeMap::new();
        let mut mounts = Vec::new();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
        let mut waiting: Vec<&Vec<&str>> = lines.iter().filter(|words| words.len() > 8).collect();
        let known: BTreeSet<&str> = waiting.iter().map(|words| words[0]).collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|words| {
                let (id, parent, point) = (words[0], words[1], words[4].to_owned());
                if known.contains(parent) && !places.contains_key(parent) {
                    return true;
                }
                let below = places.get(parent);
                let level = below.filter(|(place, _)| *place == point).map_or(0, |(_, level)| level + 1);
                let parent = below.map_or_else(String::new, |(place, level)| format!("{place}#{level}"));
                let dash = words.iter().position(|word| *word == "-").unwrap_or(words.len() - 4);
                let peers = words[6..dash].iter().map(|word| word.split(':').next().unwrap_or_default());
                mounts.push(Mount {
                    point: point.clone(),
                    level,
                    parent,
                    kind: words[dash + 1].to_owned(),
                    host: host_devices().contains(words[2]),
                    root: words[3].to_owned(),
                    flags: words[5].to_owned(),
                    propagation: peers.collect::<Vec<_>>().join(","),
                    options: words[dash + 3..].join(" "),
                });
                places.insert(id, (point, level));
                false
            });
            assert!(waiting.len() < before, "a mount table without a beginning: {text}");
        }
        mounts.sort();
        mounts
    }
}

impl std::fmt::Display for Mount {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Mount { point, level, parent, kind, host, root, flags, propagation, options } = self;
        let whose = if *host { "host's" } else { "own" };
        write!(f, "{point}#{level} on {parent}: {whose} {kind} {root} {flags} [{propagation}] {options}")
    }
}

impl Report {
    pub fn add(&mut self, section: &str, line: String) {
        self.sections.entry(section.to_owned()).or_default().push(line);
    }

    pub fn section(&mut self, name: &str) -> &mut Vec<String> {
        self.sections.entry(name.to_owned()).or_default()
    }

    /// The first message that is not a warning.
    pub fn message(&self) -> String {
        let warning = |line: &&String| line.starts_with("bwrap: Only the last ");
        self.errors.iter().find(|line| !warning(line)).cloned().unwrap_or_default()
    }

    fn lines(&self) -> Vec<(String, String)> {
        let mut lines = vec![("start".to_owned(), format!("the program ran: {}", self.started))];
        lines.push(("end".to_owned(), self.ended.clone()));
        let all =
            |section: &'static str, list: Vec<String>| list.into_iter().map(move |line| (section.to_owned(), line));
        if self.started {
            lines.extend(all("errors", self.errors.clone()));
            lines.push(("filters".to_owned(), self.filters.to_string()));
        }
        lines.extend(all("mounts", self.mounts.iter().map(Mount::to_string).collect()));
        for (section, list) in &self.sections {
            lines.extend(list.iter().map(|line| (section.clone(), line.clone())));
        }
        lines
    }

    /// Sections and lines that only one of them has: `-` the first, `+` the second.
    pub fn differences(&self, other: &Report) -> Vec<(String, String)> {
        if self == other {
            return Vec::new();
        }
        let (first, second) = (self.lines(), other.lines());
        let only = |these: &[(String, String)], those: &[(String, String)], sign: &str| {
            let mut rest = those.to_vec();
            let mut only = Vec::new();
            for line in these {
                match rest.iter().position(|other| other == line) {
                    Some(index) => drop(rest.swap_remove(index)),
                    None => only.push((line.0.clone(), format!("{sign} {}: {}", line.0, line.1))),
                }
            }
            only
        };
        let mut differences = only(&first, &second, "-");
        differences.extend(only(&second, &first, "+"));
        differences.sort_by(|a, b| a.0.cmp(&b.0));
        differences
    }
}
