//! Plans the program's ids, and the maps of user and group ids of its user namespace (user_namespaces(7)).

use super::note::Note;
use crate::error::{Error, Result};
use crate::host::{Facts, Range};
use crate::spec::{Sandbox, User, UserNamespace};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// One line of /proc/PID/uid_map or gid_map: `count` ids from `inside` on stand for those from `outside` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct IdMapping {
    /// First id inside the user namespace.
    pub inside: u32,
    /// First id in the caller's user namespace.
    pub outside: u32,
    /// Number of ids.
    pub count: u32,
}

impl IdMapping {
    /// A map in the form of /proc/PID/uid_map: a line for each of these.
    pub fn text(map: &[IdMapping]) -> String {
        map.iter().map(|e| format!("{} {} {}\n", e.inside, e.outside, e.count)).collect()
    }
}

/// Who writes the maps of ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Writer {
    /// The sandbox's first process: mapping one id to the caller's own needs no capability.
    Child,
    /// The launcher, which has the capabilities to map any id.
    Launcher,
    /// Nobody: there is no new user namespace, or whoever made it writes them.
    Nobody,
    /// newuidmap(1) and newgidmap(1), privileged programs of the host.
    Helpers {
        /// Path of newuidmap(1).
        newuidmap: PathBuf,
        /// Path of newgidmap(1).
        newgidmap: PathBuf,
    },
}

/// Ids of the program, and the maps of its user namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdPlan {
    /// User id that the program runs with.
    pub uid: u32,
    /// Group id that the program runs with.
    pub gid: u32,
    /// Lines of /proc/PID/uid_map.
    pub uid_map: Vec<IdMapping>,
    /// Lines of /proc/PID/gid_map.
    pub gid_map: Vec<IdMapping>,
    /// Process that writes the maps.
    pub writer: Writer,
    /// Whether supplementary groups are given up. Where an unprivileged process maps one group, the kernel denies
    /// setgroups(2), and they stay in force.
    pub drop_groups: bool,
}

impl IdPlan {
    /// Whether no id but the caller's is mapped, so that the program cannot act as another user.
    pub(super) fn is_single(&self) -> bool {
        let single = |map: &[IdMapping]| map.iter().map(|extent| u64::from(extent.count)).sum::<u64>() <= 1;
        single(&self.uid_map) && single(&self.gid_map)
    }

    /// Whether the program has this user id of the caller's namespace, or can take it.
    pub fn acts_as(&self, outside: u32) -> bool {
        if self.uid_map.is_empty() {
            return self.uid == outside;
        }
        self.uid_map.iter().any(|extent| outside.checked_sub(extent.outside).is_some_and(|at| at < extent.count))
    }
}

/// Decides the program's ids and their maps.
///
/// # Errors
///
/// The caller may not map these ids, or a range of subordinate ids is missing or cannot be mapped.
pub(super) fn plan(sandbox: &Sandbox, facts: &Facts, notes: &mut Vec<Note>) -> Result<IdPlan> {
    let own = sandbox.namespaces.user == UserNamespace::New;
    if let (User::Single { uid, gid }, false) = (sandbox.process.user, own) {
        return Ok(IdPlan { uid, gid, uid_map: vec![], gid_map: vec![], writer: Writer::Nobody, drop_groups: false });
    }
    if facts.uid == 0 && !facts.maps_root() {
        return Err(Error::new("root has no CAP_SETFCAP here, and without it no new namespace can map id 0")
            .hint("this is root in a sandbox or a container: run sbx there as another user, or give it CAP_SETFCAP"));
    }
    let one = |inside, outside| vec![IdMapping { inside, outside, count: 1 }];
    let (uid, gid) = match sandbox.process.user {
        User::Own => (facts.uid, facts.gid),
        User::Ids { uid, gid } => (uid, gid),
        User::Range => return range(sandbox, facts, (0, 0)),
        User::KeepId => return range(sandbox, facts, (facts.uid, facts.gid)),
        User::Single { uid, gid } => {
            let (uid_map, gid_map) = (one(uid, facts.uid), one(gid, facts.gid));
            return Ok(IdPlan { uid, gid, uid_map, gid_map, writer: Writer::Child, drop_groups: false });
        }
    };
    let writer = if facts.maps_ids() { Writer::Launcher } else { Writer::Child };
    let kept = !facts.maps_ids() && sandbox.process.user != User::Own || facts.maps_ids() && facts.keeps_groups;
    if kept && !facts.groups.is_empty() {
        notes.push(Note::SupplementaryGroups(facts.groups.clone()));
    }
    Ok(IdPlan {
        uid,
        gid,
        uid_map: one(uid, facts.uid),
        gid_map: one(gid, facts.gid),
        drop_groups: writer == Writer::Launcher && !facts.keeps_groups,
        writer,
    })
}

/// The ids of users `range` and `keep-id`: the caller's own are `inside`, and the subordinate ids are all others from 0
/// on, as in rootless podman. For a caller who may map any id, every id stays as it is.
fn range(sandbox: &Sandbox, facts: &Facts, inside: (u32, u32)) -> Result<IdPlan> {
    let (origin, word) = (&sandbox.process.user_origin, sandbox.process.user.word());
    let user = facts.user_name();
    if facts.uid == 0 && facts.maps_ids() {
        let all = |ranges: &[Range]| {
            ranges
                .iter()
                .map(|range| IdMapping { inside: range.start, outside: range.start, count: range.count })
                .collect()
        };
        let (uid_map, gid_map) = (all(&facts.own_ids.0), all(&facts.own_ids.1));
        return Ok(IdPlan {
            uid: 0,
            gid: 0,
            uid_map,
            gid_map,
            writer: Writer::Launcher,
            drop_groups: !facts.keeps_groups,
        });
    }
    for (file, ranges) in [("/etc/subuid", &facts.subuid), ("/etc/subgid", &facts.subgid)] {
        if ranges.is_empty() {
            let flag = if file.ends_with("subuid") { "--add-subuids" } else { "--add-subgids" };
            return Err(Error::new(format!("user `{word}` needs subordinate ids, and {file} has none for {user}"))
                .origin(origin)
                .hint(format!("as root: usermod {flag} 100000-165535 {user}")));
        }
    }
    let helper = |name: &str| {
        facts.helpers.get(name).map(Path::to_owned).map_err(|why| {
            Error::new(format!("user `{word}` needs {name}, {why}"))
                .origin(origin)
                .hint("install it: apt-get install uidmap (Debian), dnf install shadow-utils (Fedora)")
        })
    };
    let writer = Writer::Helpers { newuidmap: helper("newuidmap")?, newgidmap: helper("newgidmap")? };
    Ok(IdPlan {
        uid: inside.0,
        gid: inside.1,
        uid_map: whole(inside.0, facts.uid, &facts.subuid),
        gid_map: whole(inside.1, facts.gid, &facts.subgid),
        writer,
        drop_groups: true,
    })
}

/// The map in which the id `inside` is the caller's own (`outside`), and the subordinate ranges are all others from 0 on,
/// in their order, as many as the kernel takes.
fn whole(inside: u32, outside: u32, ranges: &[Range]) -> Vec<IdMapping> {
    let mut map = vec![IdMapping { inside, outside, count: 1 }];
    let mut next: u32 = 0;
    for range in ranges {
        let end = range.start.saturating_add(range.count);
        // No id outside may be mapped twice: a range that holds the caller's own id, or overlaps another, is left out.
        let overlaps = |e: &IdMapping| range.start < e.outside.saturating_add(e.count) && e.outside < end;
        if map.iter().any(overlaps) {
            continue;
        }
        // One more than the range has, for the caller's own id between them.
        if next.checked_add(range.count).is_none_or(|after| after == u32::MAX) {
            break;
        }
        let mut at = range.start;
        while at < end && map.len() < MOST_EXTENTS {
            next += u32::from(next == inside);
            let most = if next < inside { inside - next } else { u32::MAX };
            let count = most.min(end - at);
            map.push(IdMapping { inside: next, outside: at, count });
            (next, at) = (next + count, at + count);
        }
    }
    map.sort_unstable_by_key(|extent| extent.inside);
    map
}

/// The greatest number of lines in a map (user_namespaces(7)).
const MOST_EXTENTS: usize = 340;

#[cfg(test)]
mod tests {
    use super::*;

    fn map(ranges: &[(u32, u32)]) -> Vec<(u32, u32, u32)> {
        let ranges: Vec<_> = ranges.iter().map(|(start, count)| Range { start: *start, count: *count }).collect();
        whole(0, 1000, &ranges).iter().map(|e| (e.inside, e.outside, e.count)).collect()
    }

    #[test]
    fn several_ranges_follow_one_another() {
        let expected = [(0, 1000, 1), (1, 100_000, 65_536), (65_537, 300_000, 1000)];
        assert_eq!(map(&[(100_000, 65_536), (300_000, 1000)]), expected);
    }

    #[test]
    fn the_callers_own_id_is_kept_between_the_others() {
        let keep = |own: u32, ranges: &[(u32, u32)]| {
            let ranges: Vec<_> = ranges.iter().map(|(start, count)| Range { start: *start, count: *count }).collect();
            whole(own, own, &ranges).iter().map(|e| (e.inside, e.outside, e.count)).collect::<Vec<_>>()
        };
        let expected = [(0, 100_000, 1000), (1000, 1000, 1), (1001, 101_000, 64_536)];
        assert_eq!(keep(1000, &[(100_000, 65_536)]), expected);
        let expected = [(0, 100_000, 600), (600, 300_000, 400), (1000, 1000, 1), (1001, 300_400, 200)];
        assert_eq!(keep(1000, &[(100_000, 600), (300_000, 600)]), expected);
        assert_eq!(keep(1000, &[(100_000, 1000)]), [(0, 100_000, 1000), (1000, 1000, 1)], "none is left for after it");
        assert_eq!(keep(90_000, &[(100_000, 600)]), [(0, 100_000, 600), (90_000, 90_000, 1)], "an id beyond the range");
    }

    #[test]
    fn what_the_kernel_would_refuse_is_left_out() {
        assert_eq!(map(&[(900, 200)]), [(0, 1000, 1)], "the caller's own id twice");
        assert_eq!(map(&[(5000, 10), (5005, 10)]), [(0, 1000, 1), (1, 5000, 10)], "ids outside twice");
        assert_eq!(map(&[(2000, u32::MAX)]).len(), 1, "more ids than there are");
        let many: Vec<_> = (0..500).map(|i| (10_000 + 10 * i, 5)).collect();
        assert_eq!(map(&many).len(), MOST_EXTENTS);
    }
}
