//! Requests to systemd, over D-Bus: a scope for a sandbox, and moving the launcher into `sbx.service`. See
//! org.freedesktop.systemd1(5), StartTransientUnit and AttachProcessesToUnit.

use crate::dbus::{self, Body, Method};
use crate::error::{Error, Result};
use crate::sys;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The slice that contains the scopes of all sandboxes.
const SLICE: &str = "sbx.slice";

/// The service whose cgroup sandboxes share if it runs.
const SERVICE: &str = "sbx.service";

/// The process id by which the manager means its caller: our own number may be another process's in the manager's pid
/// namespace.
const OURSELVES: u32 = 0;

/// Connects to a systemd manager: directly if `address` is the path of a socket, else by the bus at that address.
fn manager(address: &str) -> std::result::Result<dbus::Bus, String> {
    match address.strip_prefix('/') {
        Some(_) => dbus::connect_directly(Path::new(address), dbus::LONG),
        None => {
            let mut bus = dbus::connect(address, dbus::LONG)?;
            let name = "org.freedesktop.DBus";
            let rule = "type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";
            bus.call(name, "/org/freedesktop/DBus", name, "AddMatch", Some(rule))?;
            Ok(bus)
        }
    }
}

fn failed(user: bool, what: &str, why: String) -> Error {
    let whose = if user { "the user's systemd manager" } else { "systemd" };
    let check = if user { "systemctl --user status" } else { "systemctl status" };
    Error::new(format!("no cgroup for the limits: {whose} {what}: {why}")).hint(format!("see `{check}`"))
}

/// Has this process moved to the cgroup `leaf` of `sbx.service`, whose own cgroup is `service`.
pub(super) fn go_to(address: &str, service: &Path, leaf: &str) -> Result<()> {
    let mut bus = manager(address).map_err(|why| failed(true, &format!("does not answer at {address}"), why))?;
    let mut body = Body::default();
    body.string(SERVICE);
    body.string(&format!("/{leaf}"));
    body.array(4, |pids| pids.number(OURSELVES));
    let method = Method { method: "AttachProcessesToUnit", signature: "ssau", ..METHOD };
    bus.call_with(&method, &body).map_err(|why| failed(true, &format!("does not move sbx to {SERVICE}"), why))?;
    let dir = crate::host::own_cgroup().unwrap_or_default();
    if dir != service.join(leaf) {
        let why = format!("we are in {}", dir.display());
        return Err(failed(true, &format!("did not move sbx to {SERVICE}"), why));
    }
    Ok(())
}

/// Has this process moved into a new scope with `Delegate=yes`, and returns its directory. systemd removes the scope
/// when the last process in it has ended.
pub(super) fn scope(address: &str, user: bool, description: &str) -> Result<PathBuf> {
    let failed = |what: &str, why: String| failed(user, what, why);
    let mut bus = manager(address).map_err(|why| failed(&format!("does not answer at {address}"), why))?;
    let pid = sys::pid();
    // Process ids are reused, and a scope may outlive its processes for a moment: so the name also has the time.
    let name = format!("sbx-{pid}-{:x}.scope", sys::monotonic_nanoseconds());
    let companion =
        Companion::start(&mut bus, &name).map_err(|errno| failed("cannot be asked", format!("fork: {errno}")))?;
    let mut body = Body::default();
    body.string(&name);
    body.string("fail");
    body.array(8, |properties| {
        for (property, text) in [("Description", description), ("Slice", SLICE), ("CollectMode", "inactive-or-failed")]
        {
            properties.structure();
            properties.string(property);
            properties.variant("s");
            properties.string(text);
        }
        properties.structure();
        properties.string("Delegate");
        properties.variant("b");
        properties.switch(true);
        properties.structure();
        properties.string("PIDs");
        properties.variant("au");
        properties.array(4, |pids| pids.number(OURSELVES));
    });
    body.array(8, |_| {});
    let method = Method { method: "StartTransientUnit", signature: "ssa(sv)a(sa(sv))", ..METHOD };
    let job = bus.call_with(&method, &body).map_err(|why| failed("did not make a scope", why))?;
    loop {
        let signal = bus.signal("JobRemoved").map_err(|why| failed("does not say that the scope is there", why))?;
        // The arguments are the job's number, and then, as strings, its path, the unit and the result.
        let words = dbus::strings(&signal, 4);
        if words.first() == Some(&job) {
            match words.get(2).map(String::as_str) {
                Some("done") => break,
                other => return Err(failed("did not make a scope", other.unwrap_or("no result").to_owned())),
            }
        }
    }
    let dir = crate::host::own_cgroup().unwrap_or_default();
    if !dir.ends_with(&name) {
        return Err(failed("made a scope, but did not move us", format!("we are in {}", dir.display())));
    }
    companion.dismiss();
    // Only where process ids are the same as the manager's can it be told whether a scope's launcher is gone.
    let seen = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    if let Some(slice) = dir.parent().filter(|_| seen.trim() == pid.to_string()) {
        collect(&mut bus, slice);
    }
    Ok(dir)
}

/// A child that has the scope stopped if the launcher is killed, or gives up, before it is in the scope. The manager
/// removes a scope when the last process has left it, which it never sees of a process that was gone before it was
/// moved.
struct Companion {
    pid: i32,
    /// Pipe to the child: a byte says that the launcher is in the scope; its end, that it never will be.
    told: OwnedFd,
}

impl Companion {
    fn start(bus: &mut dbus::Bus, scope: &str) -> sys::Result<Companion> {
        let (hears, told) = sys::pipe()?;
        let pid = sys::fork(|| {
            let _ = sys::block_all_but(&[]);
            // Out of the launcher's process group, which may be killed as a whole.
            let _ = sys::setsid();
            let mut keep = [hears.as_raw_fd(), bus.as_fd().as_raw_fd()];
            keep.sort_unstable();
            let _ = sys::close_all_but(&keep);
            if !matches!(sys::read(hears.as_fd(), &mut [0; 1]), Ok(1)) {
                bus.call_after(&STOP, &stopped(scope));
            }
            0
        })?;
        Ok(Companion { pid, told })
    }

    fn dismiss(self) {
        let _ = sys::write_all(self.told.as_fd(), b"x");
        let _ = sys::wait_for(self.pid);
    }
}

/// The arguments of [`STOP`] for this scope.
fn stopped(scope: &str) -> Body {
    let mut body = Body::default();
    body.string(scope);
    body.string("replace");
    body
}

/// Has scopes in `slice` stopped that are empty and whose launcher is gone.
fn collect(bus: &mut dbus::Bus, slice: &Path) {
    for entry in std::fs::read_dir(slice).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with("sbx-") && name.ends_with(".scope")) else {
            continue;
        };
        let launcher = name.split('-').nth(1).unwrap_or_default();
        let empty = || {
            std::fs::read_to_string(entry.path().join("cgroup.events")).is_ok_and(|text| text.contains("populated 0"))
        };
        if !Path::new("/proc").join(launcher).exists() && empty() {
            let _ = bus.call_with(&STOP, &stopped(name));
        }
    }
}

/// A method of the manager's object, without its name and signature.
const METHOD: Method<'static> = Method {
    to: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    method: "",
    signature: "",
    starts: false,
};

const STOP: Method<'static> = Method { method: "StopUnit", signature: "ss", ..METHOD };
