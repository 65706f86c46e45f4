//! What may be left behind, and when something is killed.

use super::until;
use std::collections::BTreeSet;
use std::path::Path;

/// Numbers that look random and are the same in every run (xorshift).
pub struct Random(pub u64);

impl Random {
    /// Numbers that are others with another `SBX_SEED`.
    pub fn seeded(seed: u64) -> Random {
        let given = std::env::var("SBX_SEED").map_or(0, |seed| seed.parse::<u64>().unwrap());
        Random((given.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed) | 1)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// All paths below a directory and in the parts of the host where something might be left, and all mounts.
pub fn traces(place: &Path) -> BTreeSet<String> {
    fn walk(dir: &Path, found: &mut BTreeSet<String>, depth: u32) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            found.insert(entry.path().display().to_string());
            if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                walk(&entry.path(), found, depth - 1);
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(place, &mut found, 8);
    // SAFETY: it takes no argument and cannot fail.
    let uid = unsafe { libc::getuid() };
    for dir in [format!("/run/user/{uid}"), "/dev/shm".into(), "/run/sbx".into()] {
        walk(Path::new(&dir), &mut found, 2);
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    found.extend(mounts.lines().map(|line| format!("mount {line}")));
    found
}

/// Asserts that soon there is nothing that was not there before. Others may test on this machine meanwhile, and clean up.
#[track_caller]
pub fn nothing_new(place: &Path, before: &BTreeSet<String>) {
    let new = || -> Vec<_> { traces(place).difference(before).cloned().collect() };
    assert!(until(|| new().is_empty()), "left: {:#?}", new());
}
