//! `sbx check`: tries what this host and this user can do, and prints the cause and the fix of each blocker.

use super::{args, kernel as options, layers, output, run};
use crate::error::{Error, Result};
use crate::exit;
use crate::host::{self, Facts, Helpers, KernelConfig, Powerless, powerless};
use crate::launch::{self, Ability, Blocker, Status};
use crate::plan::{self, Plan, Writer};
use crate::spec::{Changes, Process, Sandbox, Tty, User};
use crate::sys::{self, Errno};
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;

/// The result of one check: a line of the table.
#[derive(Serialize)]
struct Row {
    name: String,
    /// `ok`, `no` (missing, and every sandbox needs it) or `absent` (missing, and some profiles need it).
    state: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    fix: String,
    /// Whether the fix needs root.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    root: bool,
}

impl Row {
    fn ok(name: impl Into<String>, detail: impl Into<String>) -> Row {
        Row { name: name.into(), state: "ok", detail: detail.into(), fix: String::new(), root: false }
    }

    fn bad(
        name: impl Into<String>,
        needed: bool,
        detail: impl Into<String>,
        root: bool,
        fix: impl Into<String>,
    ) -> Row {
        let state = if needed { "no" } else { "absent" };
        Row { name: name.into(), state, detail: detail.into(), fix: fix.into(), root }
    }
}

pub(super) fn main(args: &args::Check) -> Result<u8> {
    let caller = layers::Caller::read()?;
    if let Some(profile) = &args.profile {
        return one_profile(profile, args.json, &caller);
    }
    if let Some(given) = &args.kernel_config {
        let variable = || std::env::var_os("CONFIG").filter(|file| !file.is_empty()).map(PathBuf::from);
        if let Some(file) = given.clone().or_else(variable) {
            return kernel_options(KernelConfig::read(&file), None, args.json);
        }
    }
    // Subordinate ids are only looked up for a sandbox that uses them.
    let range = Sandbox { process: Process { user: User::Range, ..Process::default() }, ..Sandbox::default() };
    let facts = host::probe(&range, caller.env.clone(), caller.cwd.clone(), caller.accounts.clone()).with_settings();
    let mut rows = Vec::new();
    kernel(&facts, &mut rows);
    let (plan, started) = start(&caller);
    abilities(plan.as_ref(), &facts, started.is_ok(), &mut rows);
    match started {
        Ok(()) => rows.push(Row::ok("start", "a sandbox was started and has ended")),
        // What stands above says why, and how to mend it.
        Err(error) if rows.iter().any(|row| row.state == "no") => {
            rows.push(Row::bad("start", true, error.message, false, ""));
        }
        Err(error) => rows.push(Row::bad("start", true, error.message, false, error.hints.join("; "))),
    }
    ids(&facts, &mut rows);
    devices(&mut rows);
    packet_filter(&mut rows);
    cgroup(&facts, &mut rows);
    match sys::landlock_version() {
        Ok(version @ ..4) => {
            let detail = format!("ABI {version}, which does not govern TCP (security.landlock_tcp)");
            rows.push(Row::ok("landlock", detail));
        }
        Ok(version) => rows.push(Row::ok("landlock", format!("ABI {version}"))),
        Err(errno) => {
            let fix = "boot with lsm=landlock,... (CONFIG_LSM, or the kernel's command line)";
            rows.push(Row::bad("landlock", false, errno.to_string(), true, fix));
        }
    }
    helpers(&facts, &mut rows);
    let config = KernelConfig::of_this_kernel();
    if args.kernel_config.is_some() {
        return kernel_options(config, Some(&rows), args.json);
    }
    const OPTIONS: &str = "kernel options";
    rows.push(match config {
        Ok(config) => {
            let lines = options::lines(&config, Some(&tried(&rows)));
            let summary = options::summary(&config, &lines);
            match lines.iter().all(|line| line.state == "ok") {
                true => Row::ok(OPTIONS, summary),
                // Which of them anybody needs is not known here.
                false => Row::bad(OPTIONS, false, summary, false, ""),
            }
        }
        Err(why) => {
            let fix = "sbx check --kernel-config FILE reads the configuration from a file";
            Row::bad(OPTIONS, false, format!("not known: {why}"), false, fix)
        }
    });
    report("sbx", &rows, args.json)
}

/// The rows, as the table of the kernel's configuration uses them.
fn tried(rows: &[Row]) -> Vec<options::Tried<'_>> {
    rows.iter()
        .map(|Row { name, state, detail, .. }| options::Tried { row: name, works: *state == "ok", detail })
        .collect()
}

/// Prints the table of a kernel's configuration: with what was tried, if the kernel is this one.
fn kernel_options(config: std::result::Result<KernelConfig, String>, rows: Option<&[Row]>, json: bool) -> Result<u8> {
    let config = config.map_err(|why| {
        Error::new(format!("the kernel's configuration cannot be read: {why}"))
            .hint("name the file with it, packed or not: sbx check --kernel-config FILE")
    })?;
    let tried = rows.map(tried);
    let lines = options::lines(&config, tried.as_deref());
    let failed = lines.iter().any(|line| line.state == "no");
    if json {
        let text = serde_json::to_string_pretty(&lines);
        let text = text.map_err(|error| Error::new(format!("cannot write JSON: {error}")))?;
        output::print(&(text + "\n"))?;
        return Ok(u8::from(failed));
    }
    let which = if rows.is_some() { "here" } else { "on that kernel" };
    let verdict = if failed { "cannot" } else { "can" };
    output::print(&format!("{}\nsbx {verdict} run {which}.\n", options::text(&config, &lines)))?;
    Ok(u8::from(failed))
}

fn report(what: &str, rows: &[Row], json: bool) -> Result<u8> {
    let failed = rows.iter().any(|row| row.state == "no");
    if json {
        let text = serde_json::to_string_pretty(rows);
        let text = text.map_err(|error| Error::new(format!("cannot write JSON: {error}")))?;
        output::print(&(text + "\n"))?;
        return Ok(u8::from(failed));
    }
    let mut out = String::new();
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0) + 2;
    for row in rows {
        let _ = writeln!(out, "{:<width$}{:<8}{}", row.name, row.state, row.detail);
    }
    for (root, title) in [(false, "\nTo mend it:"), (true, "\nTo mend it, as root:")] {
        let fixes: Vec<_> = rows.iter().filter(|row| !row.fix.is_empty() && row.root == root).collect();
        if !fixes.is_empty() {
            let _ = writeln!(out, "{title}");
            for row in fixes {
                let _ = writeln!(out, "  {:<width$}{}", row.name, row.fix);
            }
        }
    }
    let _ = writeln!(
        out,
        "\n{}",
        if failed { format!("{what} cannot run here.") } else { format!("{what} can run here.") }
    );
    output::print(&out)?;
    Ok(u8::from(failed))
}

fn kernel(facts: &Facts, rows: &mut Vec<Row>) {
    let (major, minor) = facts.kernel;
    let version = format!("{major}.{minor}");
    if facts.kernel < plan::KERNEL_FLOOR && facts.kernel != (0, 0) {
        let detail = format!("{version} lacks mount_setattr(2), which came with 5.12");
        rows.push(Row::bad("kernel", true, detail, true, "run a newer kernel; Debian 12 has 6.1"));
    } else {
        rows.push(Row::ok("kernel", version));
    }
}

/// Starts the sandbox of the command `sbx -- true`: the rows can agree with a run only if this is one. Gives its plan, if it
/// can be planned, and whether it ran.
fn start(caller: &layers::Caller) -> (Option<Plan>, Result<()>) {
    let program = ["true".into()];
    let planned = run::own_descriptors()
        .and_then(|()| layers::sandbox(&args::Sandbox::default(), &program, caller))
        .and_then(|(mut sandbox, facts)| {
            // Nothing is typed for it, and nothing is read.
            sandbox.process.tty = Tty::None;
            sandbox.filesystem.changes = Changes::Discard;
            let facts = facts.with_settings();
            Ok((plan::plan(&sandbox, &facts)?, sandbox, facts))
        });
    let (mut plan, sandbox, facts) = match planned {
        Ok(planned) => planned,
        Err(error) => return (None, Err(error)),
    };
    // A check changes nothing on the host.
    let stored = plan.view.union.as_ref().is_some_and(|union| union.upper.store().is_some());
    let mut ran = Ok(());
    if plan.view.create.is_empty() && !stored {
        let run = |plan: &Plan| launch::run(plan, &mut Status { quiet: true, ..Status::default() }).map(drop);
        ran = run(&plan);
        // Where an overlay is only preferred, a sandbox starts without.
        if let Err(error) = &ran
            && let Some(facts) = run::again(error, &sandbox, &facts, &plan)
            && let Ok(again) = plan::plan(&sandbox, &facts)
            && again != plan
        {
            plan = again;
            ran = run(&plan);
        }
    }
    let ran = match ran {
        // All but the program is there.
        Err(error) if error.status == exit::NOT_FOUND => Ok(()),
        other => other,
    };
    (Some(plan), ran)
}

/// Adds a row for each ability of the host that sandboxes take. One that is missing is no blocker where a sandbox can be
/// `started` without it.
fn abilities(plan: Option<&Plan>, facts: &Facts, started: bool, rows: &mut Vec<Row>) {
    for Ability { name, needed, tried } in launch::abilities(plan, facts) {
        rows.push(match tried {
            Ok(done) => Row::ok(name, done),
            Err(Blocker { why, fix, root, without }) => {
                let fix = without.map_or_else(|| fix.clone(), |flags| format!("{fix}; {flags} runs without"));
                Row::bad(name, needed && !started, why, root, fix)
            }
        });
    }
}

fn ids(facts: &Facts, rows: &mut Vec<Row>) {
    let user = facts.user_name();
    for (file, ranges, flag) in [("subuid", &facts.subuid, "--add-subuids"), ("subgid", &facts.subgid, "--add-subgids")]
    {
        let shown: Vec<_> = ranges.iter().map(|r| format!("{}+{}", r.start, r.count)).collect();
        if ranges.is_empty() && facts.uid != 0 {
            let fix = format!("usermod {flag} 100000-165535 {user}");
            rows.push(Row::bad(file, false, format!("/etc/{file} has no range for {user}"), true, fix));
        } else {
            rows.push(Row::ok(file, shown.join(", ")));
        }
    }
}

fn devices(rows: &mut Vec<Row>) {
    for (path, fix) in [(c"/dev/fuse", "chmod 0666 /dev/fuse"), (c"/dev/net/tun", "chmod 0666 /dev/net/tun")] {
        let name = path.to_string_lossy().into_owned();
        match sys::openat(sys::cwd(), path, libc::O_RDWR, 0) {
            Ok(_) => rows.push(Row::ok(name, "opens")),
            Err(errno @ Errno(_)) => rows.push(Row::bad(name, false, errno.to_string(), true, fix)),
        }
    }
}

/// Checks what refuses packets in private networks. Where there are no namespaces, other rows say so.
fn packet_filter(rows: &mut Vec<Row>) {
    match launch::try_packet_filter() {
        Some(Ok(())) => rows.push(Row::ok("nf_tables", "takes rules in a network namespace")),
        Some(Err(error)) => {
            let why = format!("{}; network.mode `private` needs it", error.message);
            rows.push(Row::bad("nf_tables", false, why, true, error.hints.join("; ")));
        }
        None => {}
    }
}

/// Checks where the cgroup of a sandbox with limits would come from.
fn cgroup(facts: &Facts, rows: &mut Vec<Row>) {
    let found = host::cgroup_facts(&crate::spec::limits::Limits::default(), facts.uid, &facts.accounts, &facts.env);
    match plan::cgroup_source(&found) {
        Ok((source, controllers)) => rows.push(Row::ok("limits", format!("{source}: {}", controllers.join(" ")))),
        Err((why, fix)) => rows.push(Row::bad("limits", false, why, true, fix)),
    }
}

fn helpers(facts: &Facts, rows: &mut Vec<Row>) {
    let names = [
        ("newuidmap", "uidmap", "user `range` or `keep-id`"),
        ("newgidmap", "uidmap", "user `range` or `keep-id`"),
        ("xdg-dbus-proxy", "xdg-dbus-proxy", "a filtered session bus"),
        ("pasta", "passt", "network.mode `private`, unless there is slirp4netns,"),
        ("slirp4netns", "slirp4netns", "network.mode `private`, unless there is pasta,"),
    ];
    let path = facts.env.get("PATH").map_or("", String::as_str);
    let found = Helpers::find(&names.map(|(name, _, _)| name), path);
    for (name, package, purpose) in names {
        match found.get(name) {
            Ok(file) => rows.push(match powerless(file).filter(|_| package == "uidmap") {
                None => Row::ok(name, file.display().to_string()),
                Some(Powerless { why, fix, root }) => {
                    Row::bad(name, false, format!("{why}; {purpose} needs it"), root, fix)
                }
            }),
            Err(why) => {
                let fix = format!("apt-get install {package}");
                let why = found.refused.get(name).unwrap_or(&why);
                rows.push(Row::bad(name, false, format!("{why}; {purpose} needs it"), true, fix));
            }
        }
    }
}

/// A row for each program that has to write the sandbox's id maps and gets no rights when it is executed.
fn powerless_writers(plan: &Plan) -> Vec<Row> {
    let Writer::Helpers { newuidmap, newgidmap } = &plan.namespaces.ids.writer else { return Vec::new() };
    let programs = [("newuidmap", newuidmap), ("newgidmap", newgidmap)];
    let rows = programs.into_iter().filter_map(|(name, program)| {
        powerless(program).map(|Powerless { why, fix, root }| Row::bad(name, true, why, root, fix))
    });
    rows.collect()
}

/// Checks one profile: plans its sandbox, tries its namespaces, and lists the plan's notes about what would be missing.
fn one_profile(profile: &str, json: bool, caller: &layers::Caller) -> Result<u8> {
    let args = args::Sandbox { profile: Some(profile.to_owned()), ..args::Sandbox::default() };
    let (mut sandbox, facts) = layers::sandbox(&args, &[], caller)?;
    if sandbox.process.args.is_empty() {
        sandbox.process.args = vec!["true".into()];
    }
    let mut rows = Vec::new();
    let facts = facts.with_settings();
    match plan::plan(&sandbox, &facts) {
        Ok(plan) => {
            for note in &plan.notes {
                rows.push(Row::bad("note", false, note.to_string(), false, ""));
            }
            let mut tried = Vec::new();
            abilities(Some(&plan), &facts, false, &mut tried);
            tried.retain(|row| row.state == "no");
            tried.extend(powerless_writers(&plan));
            match tried.is_empty() {
                true => rows.push(Row::ok(profile, "its sandbox can be made, and all that it asks for is there")),
                false => rows.extend(tried),
            }
        }
        Err(error) => {
            let fix = error.hints.join("; ");
            rows.push(Row::bad(profile, true, error.message, false, fix));
        }
    }
    report(&format!("`{profile}`"), &rows, json)
}
