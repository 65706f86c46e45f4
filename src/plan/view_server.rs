//! Plans the view server: which overlays lie over its filesystem, and what it shows (`union/view`).

use super::helpers::{
    Argument, Confinement, Given, HelperProgram, HelperSpec, HelperWords, Loss, Phase, Readiness, Tells,
};
use super::{IdMapping, IdPlan, Op, OwnFile, Placed};
use crate::error::{Error, Result};
use crate::host::{Facts, Kind, UnionFacts};
use crate::spec::{Origin, within};
use crate::union::fuse;
use crate::union::view::{IdRange, Owners, SERVER, Tree, Trees};
use std::path::{Path, PathBuf};

/// The id of files whose owner is not known inside.
const NOBODY: u32 = 65534;

/// Whether an overlay over these directories lies over the view server's filesystem: where the kernel's overlay alone
/// cannot show what is below mount points, or the program is root inside and, unless the overlay is read-only, may not
/// change what root owns.
pub(super) fn is_served((facts, ids, fuse): (&Facts, &IdPlan, bool), lower: &[PathBuf], ro: bool) -> bool {
    if fuse && !ro {
        return true;
    }
    let Some(known) = facts.union.as_ref().filter(|known| known.fuse) else { return false };
    lower.iter().any(|dir| !ro && is_foreign(facts, ids, known, dir) || has_mounts(known, dir))
}

/// Whether a directory belongs to another user than the caller, who is root inside.
fn is_foreign(facts: &Facts, ids: &IdPlan, known: &UnionFacts, dir: &Path) -> bool {
    ids.uid == 0 && facts.uid != 0 && known.foreign.iter().any(|foreign| foreign == dir)
}

/// Whether a directory has mount points of the host below it.
fn has_mounts(known: &UnionFacts, dir: &Path) -> bool {
    known.mounts.iter().any(|mount| mount != dir && within(mount, dir))
}

/// Numbers the directories that the view server shows, and plans it if there are any.
///
/// # Errors
///
/// A path cannot be passed on to it.
pub(super) fn plan(facts: &Facts, ids: &IdPlan, parts: &mut [Placed], origin: &Origin) -> Result<Option<HelperSpec>> {
    let Some(known) = &facts.union else { return Ok(None) };
    let mut trees: Vec<Tree> = Vec::new();
    let mut fused = false;
    for placed in parts {
        let Op::Layers { path, lower, served: Some(served), own, fuse, .. } = &mut placed.op else { continue };
        fused |= *fuse;
        for dir in lower.iter() {
            served.push(trees.len());
            trees.push(tree(known, facts, dir));
        }
        shadow(facts, path, lower, own);
    }
    if trees.is_empty() {
        return Ok(None);
    }
    let rules = trees.iter().map(|tree| tree.source.display().to_string()).collect();
    let (uids, gids) = match fused {
        true => (seen_inside(facts, ids, &ids.uid_map), seen_inside(facts, ids, &ids.gid_map)),
        false => (owners(&ids.uid_map, (facts.uid, ids.uid)), owners(&ids.gid_map, (facts.gid, ids.gid))),
    };
    let text = serde_json::to_string(&Trees { trees, uids, gids }).map_err(|error| {
        Error::new(format!("a directory of an overlay cannot be served: {error}"))
            .origin(origin)
            .hint("its path has to be UTF-8")
    })?;
    if fused {
        return Ok(Some(union_server(text, rules, ids, origin)));
    }
    Ok(Some(HelperSpec {
        name: SERVER,
        provides: "overlays",
        setting: "filesystem.paths",
        program: HelperProgram::Own(SERVER),
        target: "with /dev/fuse".into(),
        args: vec![Argument::Given(0), Argument::Pipe(""), Argument::Text(text)],
        descriptors: vec![(-1, Given::Filesystem)],
        rules,
        phase: Phase::Overlays,
        readiness: Readiness::Byte,
        tells: Tells::Overlays,
        confinement: Confinement::Own,
        loss: Loss::End("the program cannot read the files of its overlays any more; what it has changed stays"),
        words: HelperWords {
            ready: "it served the directories of the overlays".into(),
            needs: "the kernel must let it serve a FUSE filesystem and load a seccomp filter",
            without: "run the program as another user than root inside, and without overlays over mount points",
        },
        origin: origin.clone(),
    }))
}

/// The server of the FUSE union.
fn union_server(trees: String, rules: Vec<String>, ids: &IdPlan, origin: &Origin) -> HelperSpec {
    let (descriptors, namespace) = match ids.uid_map.is_empty() {
        true => (vec![(-1, Given::Filesystem), (-1, Given::Layers)], Argument::Text("-1".into())),
        false => (vec![(-1, Given::Filesystem), (-1, Given::Layers), (-1, Given::UserNamespace)], Argument::Given(2)),
    };
    HelperSpec {
        name: fuse::SERVER,
        provides: "overlays",
        setting: "filesystem.paths",
        program: HelperProgram::Own(fuse::SERVER),
        target: "with /dev/fuse".into(),
        args: vec![Argument::Given(0), Argument::Pipe(""), Argument::Given(1), namespace, Argument::Text(trees)],
        descriptors,
        rules,
        phase: Phase::Overlays,
        readiness: Readiness::Byte,
        tells: Tells::Overlays,
        confinement: Confinement::Own,
        loss: Loss::End("the program cannot use the files of its overlays any more; what it has changed stays"),
        words: HelperWords {
            ready: "it served the overlays".into(),
            needs: "the kernel must let it serve a FUSE filesystem, write to the upper layer, and load a seccomp filter",
            without: "run without `mechanism = \"fuse\"`",
        },
        origin: origin.clone(),
    }
}

/// How owners are shown that are seen from within the user namespace: as they are there. Those that are not mapped are seen
/// as nobody; if the program is root inside and the caller is not, they are root's.
fn seen_inside(facts: &Facts, ids: &IdPlan, map: &[IdMapping]) -> Owners {
    let same = |entry: &IdMapping| IdRange { outside: entry.inside, inside: entry.inside, count: entry.count };
    Owners { ranges: map.iter().map(same).collect(), others: if ids.uid == 0 && facts.uid != 0 { 0 } else { NOBODY } }
}

/// A directory that is served. What is an interface to the kernel is shown empty, and so are upper layers.
fn tree(known: &UnionFacts, facts: &Facts, dir: &Path) -> Tree {
    let store = facts.paths.resolve(Path::new("/"), &known.store).map(|(store, _)| store);
    let hidden = known.special.iter().cloned().chain(store);
    Tree { source: dir.to_owned(), hidden: hidden.filter(|path| path != dir && within(path, dir)).collect() }
}

/// How owners of the host are shown. If the program is root inside and the caller is not, ids of the host stay as they are,
/// root's too, as far as they are mapped inside; the caller's files are root's. All others are nobody's, or, where one id is
/// mapped alone, root's. For other programs, owners are those that the kernel shows.
fn owners(map: &[IdMapping], (outside, inside): (u32, u32)) -> Owners {
    let as_mapped = |entry: &IdMapping| IdRange { outside: entry.outside, inside: entry.inside, count: entry.count };
    if inside != 0 || outside == 0 {
        return Owners { ranges: map.iter().map(as_mapped).collect(), others: NOBODY };
    }
    let own = IdRange { outside, inside: 0, count: 1 };
    let same = |entry: &IdMapping| IdRange { outside: entry.inside, inside: entry.inside, count: entry.count };
    let ranges: Vec<_> = std::iter::once(own).chain(map.iter().map(same)).collect();
    let known = ranges.iter().skip(1).any(|range| NOBODY.checked_sub(range.inside).is_some_and(|at| at < range.count));
    Owners { ranges, others: if known { NOBODY } else { 0 } }
}

/// Adds the files of locked passwords to the view's own, for the accounts that its /etc/passwd has: the host's are closed
/// to the caller, and would be empty.
fn shadow(facts: &Facts, path: &Path, lower: &[PathBuf], own: &mut Vec<OwnFile>) {
    for (file, accounts, rest) in [("shadow", "passwd", ":*:::::::"), ("gshadow", "group", ":*::")] {
        let etc = Path::new("/etc");
        let Some(below) = within(etc, path).then(|| etc.strip_prefix(path).unwrap_or(Path::new("")).to_owned()) else {
            return;
        };
        let there = |name: &Path| lower.iter().any(|dir| facts.paths.kind(&dir.join(name)) == Some(&Kind::File));
        let (file, accounts) = (below.join(file), below.join(accounts));
        let Some(known) = own.iter().find(|own| own.path == accounts).filter(|_| there(&file)) else { continue };
        let lines = String::from_utf8_lossy(&known.data);
        let names = lines.lines().filter_map(|line| line.split(':').next());
        let data = names.map(|name| format!("{name}{rest}\n")).collect::<String>().into_bytes();
        own.push(OwnFile { path: file, mode: 0o640, data });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(map: &[(u32, u32, u32)]) -> Vec<IdMapping> {
        map.iter()
            .map(|(inside, outside, count)| IdMapping { inside: *inside, outside: *outside, count: *count })
            .collect()
    }

    #[test]
    fn files_of_root_are_roots_inside_and_those_of_the_caller_too() {
        let range = owners(&map(&[(0, 1000, 1), (1, 100_000, 65_536)]), (1000, 0));
        let ids = [0, 33, 1000, 1001, 65_534, 65_537, 100_000];
        assert_eq!(ids.map(|id| range.inside(id)), [0, 33, 0, 1001, 65_534, 65_534, 65_534]);
        let single = owners(&map(&[(0, 1000, 1)]), (1000, 0));
        assert_eq!(ids.map(|id| single.inside(id)), [0; 7]);
    }

    #[test]
    fn for_others_owners_are_those_that_the_kernel_shows() {
        let own = owners(&map(&[(1000, 1000, 1)]), (1000, 1000));
        assert_eq!([0, 1000, 1001].map(|id| own.inside(id)), [65_534, 1000, 65_534]);
        let root = owners(&map(&[(0, 0, 10)]), (0, 0));
        assert_eq!([0, 9, 10].map(|id| root.inside(id)), [0, 9, 65_534]);
    }
}
