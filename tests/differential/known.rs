//! Where the two programs may differ, and why. Everything here has been looked at; whatever is not here is a fault.

use super::grammar::{Case, What};
use super::report::{Mount, Report};

/// Makes the two reports equal in one respect. The first is that of bubblewrap.
type Alike = fn(&Case, &mut Report, &mut Report);

pub const KNOWN: &[(&str, Alike, &str)] = &[
    (
        "own memory",
        own_memory,
        "a tmpfs without --size is a part of one tmpfs, so its root and the options of the whole differ; the modes of the \
         directories and the sizes are compared where the probe sees them. bubblewrap's own files there have random names",
    ),
    (
        "directories of overlays",
        overlay_directories,
        "an overlay's options name the directories by descriptors of the launcher, which mean nothing inside; that of changes in memory has \
         another name",
    ),
    (
        "propagation of read-only binds",
        read_only_propagation,
        "a read-only bind is private: a mount that arrives later on the host would not be read-only (bubblewrap's is a slave)",
    ),
    (
        "covered mounts",
        covered_mounts,
        "bubblewrap leaves the flags of a mount that another covers at the same place as they are; nobody can see it",
    ),
    (
        "death of the parent",
        parents_death,
        "the program ends with the launcher always; it is asked for by a signal only where the end of PID 1 does not bring it",
    ),
    (
        "descriptors of namespaces",
        namespace_descriptors,
        "bubblewrap lets the program have the descriptors of --userns, --userns2, --pidns and --userns-block-fd, which lead out",
    ),
    (
        "outer ids",
        outer_ids,
        "bubblewrap stacks a second user namespace for --dev and --disable-userns, so the outer ids that the inside reads differ",
    ),
    (
        "what a refused list leaves",
        leftovers,
        "bubblewrap makes files on the host, and tells of processes, until it comes to what it cannot do; ours may see that before, \
         so there may be less, and mount points where there were none",
    ),
    (
        "words that are dropped",
        dropped_words,
        "what follows the first word that is no option in a file of --args is not used, and a warning says so",
    ),
    (
        "devpts",
        devpts_owner,
        "bubblewrap maps root for the mount of devpts, and so owns its top; ours needs no second user namespace, and it is the host's",
    ),
    (
        "number of pseudo-terminals",
        pseudo_terminals,
        "the kernel has one number of them for all containers; a sandbox of ours has 256 at most",
    ),
    (
        "bounding set after --userns2",
        bounding_after_userns2,
        "the kernel gives a full bounding set with a joined user namespace; ours empties that, too",
    ),
    (
        "the overflow id",
        overflow_id,
        "files of ids that are not mapped seem to be those of the id 65534, root's among them: a program with that id is kept from \
         the settings in /proc as root is",
    ),
    ("one more filter", one_more_filter, "TIOCSTI and TIOCLINUX are refused always, by a filter of its own"),
];

fn overflow_id(case: &Case, peer: &mut Report, subject: &mut Report) {
    if case.has("--uid") && case.has("--proc") {
        let covers = |mount: &Mount| mount.kind == "proc" && mount.root != "/" && mount.flags.starts_with("ro,");
        subject.mounts.retain(|mount| !covers(mount) || peer.mounts.iter().any(|other| other.point == mount.point));
    }
}

fn own_memory(_: &Case, peer: &mut Report, subject: &mut Report) {
    for mount in peer.mounts.iter_mut().chain(&mut subject.mounts).filter(|mount| !mount.host && mount.kind == "tmpfs")
    {
        mount.root = "-".to_owned();
        mount.options = "-".to_owned();
    }
}

fn overlay_directories(_: &Case, peer: &mut Report, subject: &mut Report) {
    for mount in peer.mounts.iter_mut().chain(&mut subject.mounts).filter(|mount| mount.kind.contains("overlay")) {
        let count = |option: &str| match option.split_once('=') {
            Some((name @ ("lowerdir" | "upperdir" | "workdir"), dirs)) => {
                format!("{name}: {}", dirs.split(':').count())
            }
            _ => option.to_owned(),
        };
        mount.options = mount.options.split(',').map(count).collect::<Vec<_>>().join(",");
    }
}

fn read_only_propagation(_: &Case, peer: &mut Report, subject: &mut Report) {
    for mount in peer.mounts.iter_mut().chain(&mut subject.mounts) {
        if mount.flags.split(',').any(|flag| flag == "ro") {
            mount.propagation = mount.propagation.replace("master", "");
        }
    }
}

fn covered_mounts(_: &Case, peer: &mut Report, subject: &mut Report) {
    for report in [peer, subject] {
        let above: Vec<(String, usize)> =
            report.mounts.iter().map(|mount| (mount.point.clone(), mount.level)).collect();
        for mount in &mut report.mounts {
            if mount.host && above.iter().any(|(point, level)| *point == mount.point && *level > mount.level) {
                mount.flags = "-".to_owned();
                mount.propagation = "-".to_owned();
            }
        }
    }
}

fn parents_death(case: &Case, peer: &mut Report, subject: &mut Report) {
    let shared = peer.section("namespaces").iter().any(|line| line == "pid the host's");
    if !shared || !case.has("--die-with-parent") {
        for report in [peer, subject] {
            report.section("process").retain(|line| !line.starts_with("parent's death "));
        }
    }
}

fn namespace_descriptors(case: &Case, peer: &mut Report, subject: &mut Report) {
    let ours = subject.section("descriptors");
    for given in case.given().into_iter().filter(|given| matches!(given.what, What::Namespace(_) | What::Mapped)) {
        let name = format!("{}: ", given.number);
        peer.section("descriptors").retain(|line| !line.starts_with(&name) || ours.contains(line));
    }
}

fn outer_ids(case: &Case, peer: &mut Report, subject: &mut Report) {
    if case.has("--dev") || case.has("--disable-userns") {
        for line in peer.section("inner map").iter_mut().chain(subject.section("inner map")) {
            let mut words: Vec<&str> = line.split(' ').collect();
            words.remove(2.min(words.len() - 1));
            *line = words.join(" ");
        }
    }
}

fn leftovers(_: &Case, peer: &mut Report, subject: &mut Report) {
    if !peer.started && !subject.started {
        let mount_point =
            |line: &str| line.starts_with('+') && (line.ends_with(" 100444 0 \"\"") || line.contains(" 040"));
        let theirs = std::mem::take(peer.section("host's files"));
        subject.section("host's files").retain(|line| !mount_point(line) && !theirs.contains(line));
        peer.section("descriptors").clear();
        subject.section("descriptors").clear();
    }
}

fn dropped_words(_: &Case, _: &mut Report, subject: &mut Report) {
    subject.errors.retain(|line| !line.starts_with("bwrap: --args: ") || !line.contains(" is not used: "));
}

fn devpts_owner(_: &Case, peer: &mut Report, subject: &mut Report) {
    for line in peer.section("files").iter_mut().chain(subject.section("files")) {
        // The number is DEVPTS_SUPER_MAGIC. Nobody can make anything there, for one reason or another.
        if let Some((before, after)) = line.split_once(", file system 1cd1 ") {
            let mode = before.rsplitn(4, ' ').last().unwrap_or_default();
            let flags = after.split(',').next().unwrap_or_default();
            *line = format!("{mode} on devpts {flags}");
        }
    }
}

fn pseudo_terminals(_: &Case, _: &mut Report, subject: &mut Report) {
    for mount in subject.mounts.iter_mut().filter(|mount| !mount.host && mount.kind == "devpts") {
        mount.options = mount.options.strip_suffix(",max=256").unwrap_or("without a bound").to_owned();
    }
}

fn bounding_after_userns2(case: &Case, peer: &mut Report, subject: &mut Report) {
    let set = |line: &String| u64::from_str_radix(line.strip_prefix("CapBnd ")?, 16).ok();
    let theirs = peer.section("status").iter().find_map(set);
    if let (true, Some(theirs)) = (case.has("--userns2"), theirs) {
        for line in subject.section("status") {
            if set(line).is_some_and(|ours| ours & !theirs == 0) {
                *line = format!("CapBnd {theirs:016x}");
            }
        }
    }
}

fn one_more_filter(_: &Case, peer: &mut Report, subject: &mut Report) {
    if subject.filters == peer.filters + 1 {
        subject.filters = peer.filters;
    }
}

/// Messages of refused lists that differ on purpose: how bubblewrap's begins, how sbx-bwrap's begins, and why.
pub const WORDING: &[(&str, &str, &str)] = &[
    ("bwrap: --userns not compatible", "bwrap: --userns is not compatible with", "as 0.12.0 says it"),
    (
        "bwrap: --disable-userns is not compatible with  --",
        "bwrap: --disable-userns is not compatible with --",
        "as 0.12.0 says it",
    ),
    ("bwrap: --bind-fd takes two", "bwrap: --ro-bind-fd takes two", "bubblewrap names the other option"),
    (
        "bwrap: --size takes a non-zero number",
        "bwrap: --size (for tmpfs) is limited",
        "a number that is too large is one",
    ),
];

/// Whether a different message is one of those.
pub fn wording(peer: &str, subject: &str) -> bool {
    WORDING.iter().any(|(theirs, ours, _)| peer.starts_with(theirs) && subject.starts_with(ours))
}

/// Whether the whole result may differ.
type Excuse = fn(&Case, &Report, &Report) -> bool;

pub const EXCUSED: &[(Excuse, &str)] = &[
    (
        lock_that_fails,
        "the lock is taken beside the start of the program; where one of them fails, it is chance whether the other ended before",
    ),
    (
        mount_on_data,
        "bubblewrap binds files of --bind-data that have no name, and the kernel mounts nothing on those; ours have one",
    ),
    (
        waits_for_ever,
        "where a set-up with --pidns fails, bubblewrap waits for a process that will not come; ours says what failed",
    ),
];

fn waits_for_ever(case: &Case, peer: &Report, subject: &Report) -> bool {
    case.has("--pidns") && peer.ended == "hangs" && subject.ended != "hangs"
}

fn lock_that_fails(case: &Case, peer: &Report, subject: &Report) -> bool {
    let lock = |report: &Report| report.errors.iter().any(|line| line.contains("lock file"));
    let exec = peer.errors.iter().any(|line| line.contains("execvp"));
    case.has("--lock-file") && (lock(peer) || lock(subject) || exec)
}

fn mount_on_data(case: &Case, peer: &Report, subject: &Report) -> bool {
    let theirs = peer.message();
    let fails = theirs.ends_with("Unable to mount source on destination: No such file or directory")
        || theirs.ends_with(" (deleted)\" in mount table");
    fails && (case.has("--bind-data") || case.has("--ro-bind-data")) && subject.message() != theirs
}

/// A message without the paths in it.
pub fn shape(message: &str) -> String {
    let words = message.split(' ').map(|word| if word.contains('/') { "PATH" } else { word });
    words.collect::<Vec<_>>().join(" ")
}
