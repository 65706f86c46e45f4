//! `sbx run`: plans the sandbox, launches it, and reports how the program ended.

use super::watch::Watch;
use super::{afterwards, args, kept, layers, output, receipt};
use crate::error::{Error, Part, Result};
use crate::exit;
use crate::host::{Facts, Names};
use crate::launch::{self, Events, Outcome, ReceiptTarget, Report, Status, Told};
use crate::plan::{self, Absent, Plan, UpperPlace};
use crate::profile::schema::nearest;
use crate::spec::{Mode, PathRule, Sandbox, Unseen};
use crate::state::Id;
use crate::sys::{self, UnownedFd};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::path::Path;

pub(super) fn main(args: &args::Run) -> u8 {
    carry_out(args, Status::default(), None)
}

/// Runs the program to its end; `status` says where that is told, and has the record of a sandbox that is started again. `id` is that of a new record.
pub(super) fn carry_out(args: &args::Run, status: Status, id: Option<Id>) -> u8 {
    let existing = status.record.is_some();
    let stats = args.sandbox.stats.as_ref().map(|format| format == "json");
    let mut status = Status { quiet: args.quiet, stats, ..status };
    let ran = run(args, &mut status, id);
    let result = match ran {
        Ok(outcome) => Ok(outcome),
        Err(mut error) => {
            if let Some(word) = args.program.first().and_then(|program| program.to_str())
                && error.status == exit::NOT_FOUND
                && let Some(hint) = meant(word)
            {
                error = error.hint(hint);
            }
            status.failed(&error);
            match &status.waiting {
                Some(waiting) => waiting.tell(&Report::Failed(error.status, error.to_string())),
                None => drop(output::complain(&error)),
            }
            Err(error.status)
        }
    };
    if let Some(Err(error)) = status.record.take().map(|record| kept::end(record, args.kept.rm, existing)) {
        output::complain(&error);
    }
    match result {
        Ok(outcome) => outcome.end(),
        Err(status) => status,
    }
}

fn run(args: &args::Run, status: &mut Status, id: Option<Id>) -> Result<Outcome> {
    sys::phase("arguments");
    kept::check_run(&args.kept)?;
    descriptors(args, status)?;
    kept::without_effect(&args.kept).iter().for_each(|note| status.note(note));
    // Not dropped when the program has ended: the caller waits, and the kernel frees all memory at once.
    let mut caller = ManuallyDrop::new(layers::Caller::read()?.with(&args.sandbox));
    // A plan that is printed, and a receipt, have all lines.
    caller.vars.names_in = args.receipt.is_none().then_some(|dir| Some(Names::of(dir)?.into_set()));
    if let Some(target) = &args.receipt {
        let to = receipt::target(receipt::RECEIPT, target, &caller)?;
        status.receipt = Some(Told { to, receipt: None });
    }
    let log = args.network_log.as_ref().map(|given| receipt::target(receipt::NETWORK_LOG, given, &caller));
    let log = log.transpose()?;
    if status.record.is_none() {
        status.id_file = kept::id_file(&args.kept, &caller)?;
    }
    sys::phase("caller");
    let parts = ManuallyDrop::new(layers::sandbox(&args.sandbox, &args.program, &caller)?);
    let (sandbox, facts) = &*parts;
    let mut plan = ManuallyDrop::new(plan::plan(sandbox, facts)?);
    sys::phase("plan");
    promise(status, sandbox, &plan)?;
    status.network_log = log.map(|log| receipt::network_log(log, &plan)).transpose()?;
    status.id_file.as_ref().map_or(Ok(()), |file| file.check(&plan))?;
    tell(&plan.notes, status);
    if kept::is_wanted(&args.kept) {
        kept::check_ports(&plan)?;
    }
    if kept::is_wanted(&args.kept) && status.record.is_none() {
        let id = id.map_or_else(Id::random, Ok)?;
        // Before another one goes for it.
        status.id_file.as_mut().map_or(Ok(()), |file| file.prepare(id.as_str()))?;
        let record = kept::begin(args, sandbox, &plan, status.outputs.take(), Some(id))?;
        status.record = Some(record.input(status.input.take()));
    }
    kept::known_as(&mut plan, status.record.as_ref())?;
    // Nobody is told: then nothing needs to be looked at.
    let told = !args.quiet || args.status_fd.is_some();
    let watch = Watch::begin(if told { &sandbox.filesystem.watched } else { &[] });
    let outcome = match launch::run(&plan, status) {
        Err(error) => {
            let Some(facts) = again(&error, sandbox, facts, &plan) else {
                return Err(launch::explain(error, &plan, facts));
            };
            let mut again = plan::plan(sandbox, &facts)?;
            kept::known_as(&mut again, status.record.as_ref())?;
            if again == *plan {
                return Err(launch::explain(error, &plan, &facts));
            }
            tell(again.notes.get(plan.notes.len()..).unwrap_or_default(), status);
            *plan = again;
            promise(status, sandbox, &plan)?;
            launch::run(&plan, status).map_err(|error| launch::explain(error, &plan, &facts))?
        }
        Ok(outcome) => outcome,
    };
    if outcome == Outcome::TimedOut {
        let time = plan.process.timeout.map_or_else(String::new, |time| humantime::format_duration(time).to_string());
        output::complain(&Error::new(format!("the program was ended after {time} (process.timeout)")));
    }
    verdict(&plan, outcome, status);
    if let (Some(name), Some(UpperPlace::Asked { store })) =
        (status.kept.take(), plan.view.union.as_ref().map(|union| &union.upper))
    {
        // The program has ended as it has, whatever becomes of its changes.
        if let Err(error) = super::ask::ask(store, &name, status.ended_by) {
            output::complain(&error);
        }
    }
    let unseen = sandbox.filesystem.unseen.iter().filter(|unseen| plan.view.unseen.contains(&unseen.dir));
    let mut absent = unseen.flat_map(come).collect::<Vec<_>>();
    absent.extend(plan.view.absent.iter().filter(|path| !absent.contains(path)).cloned().collect::<Vec<_>>());
    let (made, shut) = made(&absent);
    for dir in shut {
        let dir = dir.display();
        status.note(&format!(
            "{dir} cannot be searched any more, so that it is not known whether the program made files there that tools outside run \
             on their own: chmod u+x {dir}, and look"
        ));
    }
    for absent in made {
        let line = if absent.origin.0.is_empty() { String::new() } else { format!(" ({})", absent.origin) };
        let then = match absent.hides {
            None => "tools outside may run what it names, so look at it first".to_owned(),
            Some(mode) => format!("`{mode}` has not hidden it from the program; it does from the next start on"),
        };
        let path = absent.path.display();
        status.note(&format!("{path} was not there when the program started, and is there now: {then}{line}"));
    }
    watch.end().iter().for_each(|note| status.note(note));
    afterwards::changes(&caller.vars, &sandbox.filesystem).iter().for_each(|note| status.note(note));
    if matches!(outcome, Outcome::Signaled(libc::SIGSEGV | libc::SIGSYS)) && is_of_32_bits(&plan) {
        status.note(
            "the program is one of 32 bits, whose system calls the filter refuses: --set 'security.arch=[\"native\",\"x86\"]' lets \
             them in",
        );
    }
    Ok(outcome)
}

/// What is known of the host once the kernel has refused something of a plan: the host's settings, which tell why, or what to leave
/// out; or that it mounts no overlay where one is only preferred. None if another plan would be the same.
pub(super) fn again(error: &Error, sandbox: &Sandbox, facts: &Facts, plan: &Plan) -> Option<Facts> {
    let prefers = |rule: &PathRule| rule.mode == Mode::Overlay && rule.options.prefer;
    let op = |part| match part {
        Part::Step(index) => plan.view.parts.get(index).map(|placed| &placed.op),
        _ => None,
    };
    match &error.cause {
        Some(cause)
            if matches!(op(cause.part), Some(plan::Op::Layers { .. }))
                && cause.call == "mount"
                && sandbox.filesystem.paths.iter().any(prefers) =>
        {
            Some(facts.clone().without_overlays(cause.errno.to_string()))
        }
        _ if error.refused => Some(facts.clone().with_settings()),
        _ => None,
    }
}

/// Those of names which were not there when the program started that may be there now.
fn come(unseen: &Unseen) -> Vec<Absent> {
    let now = Names::of(&unseen.dir);
    let first = |name: &str| OsStr::new(name.split('/').next().unwrap_or_default()).to_owned();
    let may_be_there = |name: &str| now.as_ref().is_none_or(|now| !now.lack(&first(name)));
    let names = unseen.names.iter().filter(|(name, _)| may_be_there(name));
    names
        .map(|(name, line)| Absent {
            path: unseen.dir.join(name),
            origin: unseen.origin(*line),
            link: None,
            hides: None,
        })
        .collect()
}

/// Those of these paths, which were not there when the program started, that are there now, and the directories that cannot be searched for
/// others of them, since the program closed them. A directory that many of them lie in is read at once.
fn made(absent: &[Absent]) -> (Vec<&Absent>, BTreeSet<&Path>) {
    const MANY: usize = 12;
    let mut counts = BTreeMap::new();
    for dir in absent.iter().filter_map(|absent| absent.path.parent()) {
        *counts.entry(dir).or_insert(0) += 1;
    }
    let many = counts.into_iter().filter(|(_, count)| *count >= MANY);
    let listed: BTreeMap<_, _> = many.filter_map(|(dir, _)| Some((dir, Names::of(dir)?))).collect();
    let lacks = |path: &Path| {
        let names = path.parent().and_then(|dir| listed.get(dir));
        names.zip(path.file_name()).is_some_and(|(names, name)| names.lack(name))
    };
    let mut shut = BTreeSet::new();
    let made = absent.iter().filter(|absent| {
        if lacks(&absent.path) {
            return false;
        }
        let dir = shut_above(&absent.path);
        shut.extend(dir);
        dir.is_none() && is_there(absent)
    });
    (made.collect(), shut)
}

/// The directory on the way to a path that cannot be searched, if that is why the path cannot be looked up.
fn shut_above(path: &Path) -> Option<&Path> {
    let error = path.symlink_metadata().err()?;
    let above = || path.ancestors().skip(1).find(|above| above.symlink_metadata().is_ok());
    if error.raw_os_error() == Some(libc::EACCES) { above() } else { None }
}

/// Whether something is at a path that was absent before, or what a link there leads to cannot be seen.
fn is_there(Absent { path, link, .. }: &Absent) -> bool {
    let there = |found: std::io::Result<std::fs::Metadata>| match found {
        Ok(_) => true,
        Err(error) => !matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)),
    };
    // A link that led nowhere is no news, as long as it is the same and still does.
    there(path.metadata()) || there(path.symlink_metadata()) && path.read_link().ok() != *link
}

/// What was probably meant by a word that is no program.
fn meant(word: &str) -> Option<String> {
    if args::VERBS.contains(&word) {
        return Some(format!("sbx's own `{word}` comes before the flags: sbx {word} FLAGS"));
    }
    let names = layers::Caller::read().ok()?.loader().names();
    if names.iter().any(|name| name == word) {
        return Some(format!("`{word}` is the name of a profile: sbx --profile {word} PROGRAM"));
    }
    match word {
        "list" | "show" | "schema" => Some(format!("the verb for profiles is `sbx profile {word}`")),
        _ => {
            let near = nearest(word, args::VERBS)?;
            Some(format!("did you mean the verb `sbx {near}`?"))
        }
    }
}

/// Prints a plan's notes. Several services and devices that are missing make one line.
fn tell(notes: &[plan::Note], status: &mut Status) {
    let missing: Vec<_> = notes.iter().filter_map(plan::Note::missing).collect();
    let several = missing.len() > 1;
    if several {
        status.note(&format!(
            "this host lacks what the profile would use: {} (`sbx plan` says more)",
            missing.join(", ")
        ));
    }
    for note in notes.iter().filter(|note| !(several && note.missing().is_some())) {
        // Nobody reads in a log which profile was chosen; a script that cares names it.
        if !note.is_information() || sys::is_terminal(sys::STREAMS[2]) {
            status.note(&note.to_string());
        }
    }
}

/// Prepares the receipt, which the program must not be able to change.
fn promise(status: &mut Status, sandbox: &Sandbox, plan: &Plan) -> Result<()> {
    let Some(told) = &mut status.receipt else { return Ok(()) };
    if let ReceiptTarget::File(file) = &told.to
        && let Err(error) = file.check(plan)
    {
        // Not even that the program was not started is written there.
        status.receipt = None;
        return Err(error);
    }
    told.receipt = Some(plan::receipt(sandbox, plan));
    Ok(())
}

/// Reports what the limits did to the program: processes killed for memory, and forks refused.
fn verdict(plan: &plan::Plan, outcome: Outcome, status: &mut Status) {
    let Some(used) = &status.used else { return };
    let changed = used.changed.clone();
    let limit = |names: &[&str]| {
        let files = plan.resources.cgroup.iter().flat_map(|cgroup| &cgroup.files);
        let planned = files.map(|file| (file.name, file.value.as_str()));
        let changed = changed.iter().map(|(name, value)| (*name, value.as_str()));
        let in_force: BTreeMap<_, _> = planned.chain(changed).filter(|(name, _)| names.contains(name)).collect();
        let set: Vec<_> = in_force.iter().map(|(name, value)| format!("limits.{name} = {value}")).collect();
        if set.is_empty() { "the host's own memory was at its end".to_owned() } else { set.join(", ") }
    };
    let memory = ["memory_max", "swap_max"];
    let (killed, refused) = (used.oom_kills.unwrap_or(0), used.pids_refused.unwrap_or(0));
    let names: Vec<_> = used.oom_killed.iter().map(ToString::to_string).collect();
    let names = names.join(", ");
    match (outcome, killed) {
        (_, 0) => {}
        (Outcome::Signaled(libc::SIGKILL) | Outcome::Killed, _) => {
            let more = if killed > 1 { format!(", with {} more of its processes", killed - 1) } else { String::new() };
            output::complain(&Error::new(format!("the program was ended for memory{more} ({})", limit(&memory))));
        }
        (_, 1) => {
            let who = if names.is_empty() { "a process of the program's" } else { &names };
            status.note(&format!("{who} was ended for memory ({})", limit(&memory)));
        }
        _ => {
            let who = match used.oom_killed.len() as u64 {
                0 => String::new(),
                known if known < killed => format!(", among them {names}"),
                _ => format!(": {names}"),
            };
            let limit = limit(&memory);
            status.note(&format!("{killed} processes of the program's were ended for memory ({limit}){who}"));
        }
    }
    if refused > 0 {
        let times = if refused == 1 { "once".to_owned() } else { format!("{refused} times") };
        status.note(&format!("{times} no process could be made ({})", limit(&["pids_max"])));
    }
}

/// Whether the program, looked up on the host, is for i386 while the filter lets no system calls of i386 through.
fn is_of_32_bits(plan: &plan::Plan) -> bool {
    if plan.lockdown.syscalls.as_ref().is_none_or(|policy| policy.arches.contains(&plan::syscalls::Arch::X86)) {
        return false;
    }
    let Some(name) = plan.process.args.first().map(std::path::Path::new) else { return false };
    let dirs =
        plan.process.env.iter().find(|(name, _)| name == "PATH").map(|(_, dirs)| dirs.as_os_str()).unwrap_or_default();
    let paths: Vec<_> = match name.as_os_str().as_encoded_bytes().contains(&b'/') {
        true => plan.process.cwd.iter().map(|dir| dir.join(name)).collect(),
        false => std::env::split_paths(dirs).map(|dir| dir.join(name)).collect(),
    };
    // The program may have put something else in its own place, such as a FIFO.
    let head = paths.iter().find_map(|path| sys::read_start(path, 20).ok()).unwrap_or_default();
    // The file's class is ELFCLASS32, and its machine EM_386: elf(5).
    head.starts_with(b"\x7fELF\x01") && head.get(18..) == Some(&[3, 0])
}

/// Opens missing standard streams, and marks all other descriptors close-on-exec.
pub(super) fn own_descriptors() -> Result<()> {
    // A missing standard stream would hand its number to the next file that is opened.
    for (number, stream) in sys::STREAMS.into_iter().enumerate() {
        if stream.flags().is_err() {
            let null = sys::openat(sys::cwd(), c"/dev/null", libc::O_RDWR, 0);
            let opened = null.and_then(|null| {
                use std::os::fd::IntoRawFd;
                // open(2) returned the lowest free number, which is usually this stream's. It stays open.
                let fd = UnownedFd::new(null.into_raw_fd());
                if fd == stream { sys::set_cloexec(fd.as_fd(), false) } else { sys::dup2(fd.as_fd(), stream) }
            });
            opened.map_err(|errno| Error::new(format!("cannot open /dev/null for stream {number}: {errno}")))?;
        }
    }
    sys::cloexec_range(3, u32::MAX).map_err(|errno| Error::call("close_range", errno))
}

/// Checks the descriptors that flags name, opens missing standard streams, and marks all others close-on-exec.
fn descriptors(args: &args::Run, status: &mut Status) -> Result<()> {
    for fd in &args.sandbox.keep_fd {
        if UnownedFd::new(*fd).flags().is_err() {
            return Err(Error::new(format!("--keep-fd {fd}: there is no such descriptor"))
                .hint(format!("open it before: sbx --keep-fd {fd} ... {fd}<FILE")));
        }
    }
    own_descriptors()?;
    if let Some(fd) = args.status_fd {
        let adopted = receipt::taken(fd);
        let adopted = adopted.map_err(|_| {
            Error::new(format!("--status-fd {fd}: there is no such descriptor"))
                .hint(format!("open it before: sbx --status-fd {fd} ... {fd}>FILE"))
        })?;
        status.fd = Some(adopted);
    }
    Ok(())
}
