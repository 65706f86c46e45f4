//! The hostile program: this program itself, in the sandbox.

use super::facts::{Facts, Inside, Told, Verdict};
use super::probes::{self, GROUPS};
use crate::sys::{self, UnownedFd, Waited};
use std::ffi::OsString;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Seconds after which a probe is ended.
const SECONDS: u32 = 6;

/// Runs all probes. The arguments are the program's name and the numbers of three descriptors: of the facts, of the
/// results, and of the program's file, which is not needed any more.
pub fn inside(args: &[OsString]) -> u8 {
    let number = |index: usize| args.get(index)?.to_str()?.parse().ok();
    let (Some(facts), Some(results), Some(program)) = (number(1), number(2), number(3)) else { return 1 };
    let (Ok(facts), Ok(results)) = (UnownedFd::new(facts).adopt(), UnownedFd::new(results).adopt()) else { return 1 };
    UnownedFd::new(program).close();
    let mut text = String::new();
    let mut file = std::fs::File::from(facts);
    if file.rewind().and_then(|()| file.read_to_string(&mut text)).is_err() {
        return 1;
    }
    drop(file);
    let Ok(mut facts) = serde_json::from_str::<Facts>(&text) else { return 1 };
    facts.inside = Inside { first: sys::parent_pid(), main: sys::pid(), results: results.as_raw_fd() };
    for (_, group) in GROUPS {
        for probe in *group {
            attempt(probe.id, &results, || (probe.attempt)(&facts));
        }
    }
    for index in 0..facts.granted.asserts.len() {
        attempt(&super::assertion(index), &results, || probes::assertion(&facts, index));
    }
    0
}

/// Runs a probe in a process of its own, which writes the result. If that process cannot, its parent does.
fn attempt(id: &str, results: &OwnedFd, attempt: impl FnOnce() -> Verdict) {
    let tell = |verdict: Verdict| {
        let told = Told { id: id.to_owned(), verdict };
        let line = serde_json::to_string(&told).unwrap_or_default() + "\n";
        let _ = sys::write_all(results.as_fd(), line.as_bytes());
    };
    let child = || {
        sys::end_after(SECONDS);
        tell(attempt());
        0
    };
    match sys::fork(child) {
        Ok(pid) => match sys::wait_for(pid) {
            Ok(Waited::Exited(0)) => {}
            Ok(Waited::Signaled(libc::SIGSYS)) => tell(Verdict::Closed("killed by the seccomp filter".into())),
            Ok(Waited::Signaled(libc::SIGALRM)) => tell(Verdict::NotRun(format!("no answer in {SECONDS} s"))),
            Ok(other) => tell(Verdict::NotRun(format!("the try ended with {other:?}"))),
            Err(errno) => tell(Verdict::NotRun(format!("waitid: {errno}"))),
        },
        Err(errno) => tell(Verdict::NotRun(format!("fork: {errno}"))),
    }
}
