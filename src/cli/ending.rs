//! `sbx stop`, `sbx kill` and `sbx wait`.

use super::{args, happened, listed, output, store};
use crate::error::{Error, Result};
use crate::exit;
use crate::state::{Entry, Happened, Request, Silence, Status, Store};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long the end of a sandbox is waited for that was killed.
const DYING: Duration = Duration::from_secs(10);

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Yes,
    /// The sandbox has ended.
    Gone,
    /// Its monitor does not answer.
    Stuck,
}

/// Has a sandbox's monitor send a signal to the program.
fn send(entry: &Entry, signal: i32, stop: bool) -> Result<Sent> {
    let monitor = match entry.monitor() {
        Ok(monitor) => monitor,
        // Its socket is removed a moment before it ends.
        Err(Silence::Gone) if entry.wait(Some(Duration::ZERO))? => return Ok(Sent::Gone),
        Err(_) => return Ok(Sent::Stuck),
    };
    Ok(match monitor.ask(&Request::Signal { signal, stop })? {
        Ok(_) => Sent::Yes,
        Err(Silence::Gone) => Sent::Gone,
        // It is stopped, or still starts the program. With its end the kernel kills all of its sandbox.
        Err(Silence::Stuck) if signal == libc::SIGKILL && monitor.kill() => Sent::Yes,
        Err(Silence::Stuck) => Sent::Stuck,
    })
}

pub(super) fn stuck(entry: &Entry) -> Error {
    let said = if let Status::Running(live) = entry.status() { Some(live.monitor) } else { None };
    let listens = || entry.monitor().ok().and_then(|monitor| monitor.process());
    // A state that says nothing of it is no reason to send signals to a whole process group.
    let process = said.filter(|process| *process > 0).or_else(listens).filter(|process| *process > 0);
    let goes_on = process.map(|process| format!("kill -CONT {process} has it go on, ")).unwrap_or_default();
    Error::new(format!("the monitor of {} does not answer", entry.called()))
        .hint(format!("it may be stopped: {goes_on}`sbx kill {0}` and `sbx rm -f {0}` end it", entry.called()))
}

/// Ends a sandbox: by the signal that asks for that, and after a time by SIGKILL.
pub(super) fn stop(entry: &Entry, time: Option<u64>) -> Result<()> {
    stop_until(entry, time, false)
}

/// The same; the next boot may start it again as if nobody had stopped it.
fn stop_until(entry: &Entry, time: Option<u64>, boot: bool) -> Result<()> {
    let ran = entry.status().is_running();
    if end(entry, time, boot)? && ran {
        happened::tell(entry, &Happened::Stop);
    }
    Ok(())
}

/// Gives whether that was asked for: the program may have ended by itself before.
fn end(entry: &Entry, time: Option<u64>, boot: bool) -> Result<bool> {
    let signal = if entry.spec.stop_signal > 0 { entry.spec.stop_signal } else { libc::SIGTERM };
    let time = Duration::from_secs(time.unwrap_or(entry.spec.stop_timeout));
    let late = || {
        if time > Duration::ZERO {
            output::tell(&format!(
                "sbx: note: {} did not end within {} s after signal {signal}, and is ended by SIGKILL\n",
                entry.called(),
                time.as_secs()
            ));
        }
    };
    // Where that is not known, it may be started again.
    if matches!(entry.spec.restart.as_str(), "no" | "") && entry.damage().is_none() {
        // Without any time for it, it is not asked: what it ends by would be a matter of chance.
        if time > Duration::ZERO && send(entry, signal, true)? == Sent::Yes {
            if entry.wait(Some(time))? {
                return Ok(true);
            }
            late();
            return kill(entry).map(|_| true);
        }
        return kill(entry);
    }
    // Between two runs nobody listens for a moment: what is said there counts before the next one.
    // Its monitor is told, too, so that it is ended although that could not be written.
    let noted = entry.ask_to_stop(boot);
    let (end, mut asked) = (Instant::now() + time, false);
    while Instant::now() < end {
        let sent = send(entry, signal, true)?;
        asked |= sent == Sent::Yes;
        // One that has got the signal gets no second one while it ends.
        let patience = if sent == Sent::Yes { end.saturating_duration_since(Instant::now()) } else { PAUSE };
        if entry.wait(Some(patience))? && !entry.is_kept() {
            return noted.map(|()| true);
        }
    }
    if asked {
        late();
    }
    let killed = Instant::now() + DYING;
    loop {
        let ended = kill(entry);
        if ended.is_err() || !entry.is_kept() || Instant::now() >= killed {
            return ended.and(noted).map(|()| true);
        }
        std::thread::sleep(PAUSE);
    }
}

/// How long it is waited before a sandbox is looked at again that is between two runs.
const PAUSE: Duration = Duration::from_millis(10);

/// Ends a sandbox by SIGKILL, and waits for its end. Gives whether it had not ended by itself.
fn kill(entry: &Entry) -> Result<bool> {
    let sent = send(entry, libc::SIGKILL, true)?;
    // One that has ended, has its monitor end in a moment.
    if entry.wait(Some(DYING))? {
        return Ok(sent == Sent::Yes);
    }
    match sent {
        Sent::Stuck => Err(stuck(entry)),
        _ => Err(Error::new(format!("{} does not end", entry.called()))
            .hint("a process of it may wait for a filesystem that does not answer: unmount that (umount -f)")),
    }
}

/// The sandboxes that names, or `--all`, mean.
pub(super) fn chosen(
    store: &Store,
    names: &[String],
    all: bool,
    filters: &[String],
    ignore: bool,
) -> Result<(Vec<(String, Entry)>, u8)> {
    let filters = listed::filters(filters)?;
    if all || !filters.is_empty() {
        let entries = store.all()?.into_iter().filter(|entry| {
            let status = entry.status();
            status.is_running() && listed::matches(&filters, entry, &status)
        });
        return Ok((entries.map(|entry| (entry.id.to_string(), entry)).collect(), 0));
    }
    let (entries, status) = store::named(store, names, ignore, exit::FAILED);
    entries.iter().for_each(|(_, entry)| store::note(entry));
    Ok((entries, status))
}

/// Does something with each sandbox and prints how it was called; errors are printed, and give the exit status.
pub(super) fn each(
    entries: &[(String, Entry)],
    mut status: u8,
    mut act: impl FnMut(&Entry) -> Result<()>,
) -> Result<u8> {
    for (name, entry) in entries {
        match act(entry) {
            Ok(()) => output::print(&format!("{name}\n"))?,
            Err(error) => {
                output::complain(&error);
                status = exit::FAILED;
            }
        }
    }
    Ok(status)
}

/// How many are stopped at once.
const AT_ONCE: usize = 32;

pub(super) fn stop_main(args: &args::Stop) -> Result<u8> {
    let names = args.latest.or(&args.names)?;
    let (entries, status) = chosen(&store::store()?, &names, args.all, &args.filter, args.ignore)?;
    // At once: a program may take its time, and a shutdown does not wait for many of them one after the other.
    let mut ended = Vec::new();
    for some in entries.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let stop = |entry| scope.spawn(move || stop_until(entry, args.time, args.until_boot));
            let threads: Vec<_> = some.iter().map(|(_, entry)| stop(entry)).collect();
            ended.extend(threads.into_iter().map(|thread| thread.join().unwrap_or(Ok(()))));
        });
    }
    let mut ended = ended.into_iter();
    each(&entries, status, |_| ended.next().unwrap_or(Ok(())))
}

pub(super) fn kill_main(args: &args::Kill) -> Result<u8> {
    let names = args.latest.or(&args.names)?;
    let signal = store::signal(&args.signal)?;
    let (entries, status) = chosen(&store::store()?, &names, args.all, &[], false)?;
    each(&entries, status, |entry| match send(entry, signal, signal == libc::SIGKILL)? {
        Sent::Yes => {
            happened::tell(entry, &Happened::Kill(signal));
            // As with docker, this is a stop: the next boot starts it no more if it is to be started unless it was stopped.
            let stops = signal == libc::SIGKILL && entry.spec.restart == "unless-stopped";
            if stops { entry.ask_to_stop(false) } else { Ok(()) }
        }
        Sent::Stuck => Err(stuck(entry)),
        Sent::Gone => Err(Error::new(format!(
            "only a running sandbox can be killed, and {} is {}",
            entry.called(),
            entry.status().word()
        ))),
    })
}

/// How long it is waited before a status is looked at again: a lock tells the end alone.
const AGAIN: Duration = Duration::from_millis(50);

/// Waits until a sandbox has one of these statuses; without any, until it has ended. Gives how it has ended, and none if it has not.
fn wait_for(entry: &Entry, exit: Option<&OwnedFd>, conditions: &[String]) -> Result<Option<Status>> {
    if conditions.iter().all(|condition| ["exited", "stopped"].contains(&condition.as_str())) {
        return entry.end(exit).map(Some);
    }
    loop {
        let status = entry.status();
        let word = status.word();
        let holds = |condition: &String| condition == word || condition == "stopped" && word == "exited";
        // One whose record is gone meanwhile has ended for good.
        if status == Status::Broken || conditions.iter().any(holds) {
            return Ok(Some(status).filter(|status| status.exit_status().is_some() || *status == Status::Broken));
        }
        std::thread::sleep(AGAIN);
    }
}

/// What `sbx wait` prints where there is no exit status: podman's.
const NO_STATUS: &str = "-1\n";

pub(super) fn wait_main(args: &args::Wait) -> Result<u8> {
    let names = args.latest.or(&args.names)?;
    let (store, mut status) = (store::store()?, 0);
    // Opened before any of them is waited for: one that ends meanwhile may be removed.
    let mut opened = Vec::new();
    for name in &names {
        match store.find(name) {
            Ok(entry) => opened.push(Some((entry.exit(), entry))),
            Err(_) if args.ignore => opened.push(None),
            Err(error) => status = output::complain(&error),
        }
    }
    for found in opened {
        let Some((exit, entry)) = found else {
            output::print(NO_STATUS)?;
            continue;
        };
        let Some(found) = wait_for(&entry, exit.as_ref(), &args.condition)? else {
            output::print(NO_STATUS)?;
            continue;
        };
        match found.exit_status() {
            Some(number) => output::print(&format!("{number}\n"))?,
            None => {
                let why =
                    if found == Status::Created { "was never started" } else { "has a record that cannot be read" };
                output::complain(&Error::new(format!("{} {why}", entry.called())));
                status = exit::FAILED;
            }
        }
    }
    Ok(status)
}
