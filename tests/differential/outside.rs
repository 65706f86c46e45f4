//! What the host sees of a program in its sandbox.

use super::fixture::Fixture;
use super::grammar::Neighbour;
use super::report::{Mount, Report};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

/// Looks at the probe while it waits.
pub fn outside(report: &mut Report, pid: u32, launcher: u32, names: &BTreeMap<(u64, u64), String>, fixture: &Fixture) {
    let read =
        |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_else(|error| error.to_string());
    report.mounts = Mount::parse(&read("mountinfo"));
    let status = read("status");
    for name in
        ["Umask", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "NoNewPrivs", "Threads", "Uid", "Gid", "Groups"]
            .into_iter()
            .chain(["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NStgid"])
    {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        // The numbers that it has in namespaces of others are chance, how many it has is not.
        let line = if name == "NStgid" { words.len().to_string() } else { words.join(" ") };
        report.add("status", format!("{name} {line}"));
    }
    report.filters = field(pid, "Seccomp_filters").and_then(|count| count.parse().ok()).unwrap_or(0);
    report.add("status", format!("adjusted {}", read("oom_score_adj").trim()));
    for name in ["cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "user", "uts"] {
        let link = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/{name}")).ok();
        let inode = std::fs::metadata(format!("/proc/{pid}/ns/{name}")).map(|meta| meta.ino()).unwrap_or_default();
        let neighbours = [Neighbour::OuterUser, Neighbour::User, Neighbour::Pid];
        let joined = neighbours.iter().find(|which| fixture.namespace(**which).metadata().unwrap().ino() == inode);
        let own = joined.is_none() && link(pid) != link(std::process::id());
        let whose = joined.map_or(if own { "its own" } else { "the host's" }.to_owned(), |which| format!("{which:?}"));
        report.add("namespaces", format!("{name} {whose}"));
        match name {
            "net" if !own => drop(report.sections.remove("network")),
            "pid" if !own => drop(report.sections.remove("pids")),
            _ => {}
        }
    }
    for file in ["uid_map", "gid_map", "setgroups"] {
        let words = read(file);
        report.add("maps", format!("{file} {}", words.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    let family = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let rest = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        rest.skip(1).take(3).map(|number| number.parse().unwrap_or(0)).collect::<Vec<u32>>()
    };
    let (program, launchers) = (family(pid), family(launcher));
    let relation = |number: u32, of_launcher: u32| match number {
        number if number == pid => "its own",
        number if number == of_launcher => "the launcher's",
        _ => "another",
    };
    report.add("family", format!("group {}", relation(program[1], launchers[1])));
    report.add("family", format!("session {}", relation(program[2], launchers[2])));
    report.add("family", format!("the launcher is its parent: {}", program[0] == launcher));
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut numbers: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    for number in numbers {
        let path = format!("/proc/{pid}/fd/{number}");
        let id = std::fs::metadata(&path).map(|meta| (meta.dev(), meta.ino())).unwrap_or_default();
        let link = || std::fs::read_link(&path).unwrap_or_default().display().to_string();
        let name = names.get(&id).cloned().unwrap_or_else(link);
        let info = read(&format!("fdinfo/{number}"));
        // What was said before says how far the errors are.
        let told = info.lines().take(2).filter(|line| number != 2 || !line.starts_with("pos"));
        let info: Vec<String> = told.map(|line| line.replace('\t', "")).collect();
        report.add("descriptors", format!("{number}: {name} {}", info.join(" ")));
    }
}

/// Says of the numbers in a launcher's status what they are.
pub fn numbers_named(text: &str, program: u32) -> String {
    let mut named = String::new();
    for (index, part) in text.split_inclusive('"').enumerate() {
        let digits: String = part.chars().filter(char::is_ascii_digit).collect();
        let Some(number) = digits.parse::<u64>().ok().filter(|_| index > 0 && part.starts_with(": ")) else {
            named += part;
            continue;
        };
        let name = named.trim_end_matches('"').rsplit('"').next().unwrap_or_default();
        let what = if let Some(namespace) = name.strip_suffix("-namespace") {
            let inode = std::fs::metadata(format!("/proc/{program}/ns/{namespace}")).map(|meta| meta.ino());
            if inode.is_ok_and(|inode| inode == number) { "the program's" } else { "another" }
        } else if name == "child-pid" {
            if number == u64::from(program) {
                "the program"
            } else if Some(number) == field(program, "PPid").and_then(|pid| pid.parse().ok()) {
                "its parent"
            } else {
                "another"
            }
        } else {
            named += part;
            continue;
        };
        named += &part.replace(&digits, what);
    }
    named
}

fn field(pid: u32, name: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.split_whitespace().collect::<Vec<_>>().join(" "))
}
