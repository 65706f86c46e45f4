//! `sbx pause` and `sbx unpause`: all processes of a sandbox are frozen by its cgroup, and go on.

use super::{args, asked, ending, store};
use crate::error::{Error, Result};
use crate::state::{Entry, Request};
use std::time::{Duration, Instant};

/// How long the kernel may take to freeze all processes. It takes a moment, but for one that waits in a call which cannot be interrupted.
const PATIENCE: Duration = Duration::from_secs(10);

const PAUSED: &str = "can be paused";

pub(super) fn pause(args: &args::Pause) -> Result<u8> {
    let names = args.latest.or(&args.names)?;
    let (mut entries, status) = ending::chosen(&store::store()?, &names, args.all, &args.filter, false)?;
    if args.all || !args.filter.is_empty() {
        entries.retain(|(_, entry)| entry.status().word() == "running");
    }
    ending::each(&entries, status, freeze)
}

pub(super) fn unpause(args: &args::Pause) -> Result<u8> {
    let names = args.latest.or(&args.names)?;
    let (mut entries, status) = ending::chosen(&store::store()?, &names, args.all, &args.filter, false)?;
    if args.all || !args.filter.is_empty() {
        entries.retain(|(_, entry)| entry.status().word() == "paused");
    }
    ending::each(&entries, status, |entry| {
        let monitor = asked::monitor(entry, PAUSED)?;
        asked::ask(entry, &monitor, &Request::Freeze { frozen: false }, PAUSED).map(drop)
    })
}

/// Freezes all processes of a sandbox, and waits until they are.
fn freeze(entry: &Entry) -> Result<()> {
    let monitor = asked::monitor(entry, PAUSED)?;
    let mut answer = asked::ask(entry, &monitor, &Request::Freeze { frozen: true }, PAUSED)?;
    let end = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    while answer.frozen != Some(true) {
        if Instant::now() >= end {
            asked::ask(entry, &monitor, &Request::Freeze { frozen: false }, PAUSED)?;
            return Err(Error::new(format!("{} cannot be frozen, and goes on", entry.called()))
                .hint("a process of it may wait for a filesystem that does not answer: `sbx top` shows it with the state D (sbx top NAME pid state comm)"));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
        answer = asked::ask(entry, &monitor, &Request::Look, PAUSED)?;
    }
    Ok(())
}
