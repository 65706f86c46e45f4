//! `sbx create`, `sbx start` and `sbx restart`.

use super::{args, attach, background, ending, happened, kept, layers, listed, output, run, store};
use crate::error::{Error, Result};
use crate::exit;
use crate::launch::Joining;
use crate::plan;
use crate::state::{Entry, Happened, Id, Store};
use std::ffi::OsString;
use std::path::PathBuf;

pub(super) fn create(args: &args::Run) -> Result<u8> {
    kept::check(&args.kept)?;
    run::own_descriptors()?;
    let caller = layers::Caller::read()?.with(&args.sandbox);
    let mut file = kept::id_file(&args.kept, &caller)?;
    let (sandbox, facts) = layers::sandbox(&args.sandbox, &args.program, &caller)?;
    let plan = plan::plan(&sandbox, &facts)?;
    kept::check_ports(&plan)?;
    file.as_ref().map_or(Ok(()), |file| file.check(&plan))?;
    let store = store::store()?;
    let id = Id::random()?;
    let spec = kept::spec(args, &sandbox, &plan)?;
    // Before another one goes for it.
    file.as_mut().map_or(Ok(()), |file| file.prepare(id.as_str()))?;
    kept::replace(&args.kept, &store)?;
    store.create(spec, args.kept.name.as_deref(), id.clone())?;
    if let Some(file) = file
        && let Err(error) = file.publish(id.as_str())
    {
        store.forget(&id)?;
        return Err(error);
    }
    if let Ok(entry) = store.find(id.as_str()) {
        happened::tell(&entry, &Happened::Create);
    }
    output::print(&format!("{id}\n")).map_err(|error| kept::take_back(id.as_str(), &args.kept, &error))?;
    Ok(0)
}

pub(super) fn start(args: &args::Start) -> Result<u8> {
    let names = args.latest.or(&args.names)?;
    let store = store::store()?;
    if args.attach || args.interactive {
        let [name] = names.as_slice() else {
            return Err(Error::new("only one sandbox can be started with --attach or --interactive")
                .hint("leave the flag out, and use `sbx attach` or `sbx logs -f`"));
        };
        let entry = store.find(name)?;
        return attach::start(&entry, &args.front, args.interactive, |joining| one(&store, &entry, Some(joining)));
    }
    let filters = listed::filters(&args.filter)?;
    let (entries, mut status) = if args.all || !filters.is_empty() {
        let entries = store.all()?.into_iter().filter(|entry| {
            let status = entry.status();
            !status.is_running() && !entry.is_kept() && listed::matches(&filters, entry, &status)
        });
        (entries.map(|entry| (entry.id.to_string(), entry)).collect(), 0)
    } else {
        store::named(&store, &names, false, exit::FAILED)
    };
    for (name, entry) in entries {
        match one(&store, &entry, None) {
            Ok(None | Some(0)) => output::print(&format!("{name}\n"))?,
            Ok(Some(failed)) => status = failed,
            Err(error) => status = output::complain(&error),
        }
    }
    Ok(status)
}

pub(super) fn restart(args: &args::Restart) -> Result<u8> {
    let names = args.latest.or(&args.names)?;
    let store = store::store()?;
    let filters = listed::filters(&args.filter)?;
    let (entries, mut status) = if names.is_empty() {
        let entries = store.all()?.into_iter().filter(|entry| {
            let status = entry.status();
            (!args.running || status.is_running() || entry.is_kept()) && listed::matches(&filters, entry, &status)
        });
        (entries.map(|entry| (entry.id.to_string(), entry)).collect(), 0)
    } else {
        store::named(&store, &names, false, exit::FAILED)
    };
    for (name, entry) in entries {
        // One that could not be started again goes on.
        let stopped = entry.whole().and_then(|()| match entry.status().is_running() || entry.is_kept() {
            true => ending::stop(&entry, args.time),
            false => Ok(()),
        });
        match stopped.and_then(|()| one(&store, &entry, None)) {
            Ok(None | Some(0)) => {
                happened::tell(&entry, &Happened::Restart);
                output::print(&format!("{name}\n"))?;
            }
            Ok(Some(failed)) => status = failed,
            Err(error) => status = output::complain(&error),
        }
    }
    Ok(status)
}

/// Starts one sandbox by the words of its command line, as they mean it now: its profile, and the caller's variables, are read anew. Gives the exit
/// status, 0 if it was started; none if it runs already. `joining` is who is attached to it from the start.
fn one(store: &Store, entry: &Entry, joining: Option<Joining>) -> Result<Option<u8>> {
    entry.whole()?;
    let _locked = store.lock(entry)?;
    if entry.status().is_running() || entry.is_kept() {
        return Ok(None);
    }
    entry.ask_to_go_on();
    let words = ["sbx", "run"].into_iter().map(OsString::from).chain(entry.spec.words.iter().map(OsString::from));
    let words: Vec<_> = words.collect();
    let run = args::Run::quickly(&words).filter(|_| words.len() > 2);
    let mut run = run.ok_or_else(|| {
        Error::new(format!("what was asked for of {} is not known to this version of sbx", entry.called()))
            .hint("remove it by `sbx rm`, and run it anew")
    })?;
    run.kept.detach = true;
    // What was changed since counts, whatever the words say.
    for setting in entry.settings()?.into_values() {
        run.sandbox.set.push(setting.into());
        run.sandbox.order.add_last("set");
    }
    let dir = PathBuf::from(OsString::from(&entry.spec.dir));
    Ok(Some(match background::launch(&run, Some((&entry.id, &dir)), joining)? {
        Ok(_) => 0,
        Err(status) => status,
    }))
}
