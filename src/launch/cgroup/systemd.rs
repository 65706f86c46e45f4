//! A scope from systemd: org.freedesktop.systemd1(5), StartTransientUnit.

use crate::dbus::{self, Body, Method};
use crate::error::{Error, Result};
use crate::sys;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The slice that all sandboxes lie in.
const SLICE: &str = "sbx.slice";

/// The service that is kept for sandboxes.
const SERVICE: &str = "sbx.service";

/// The manager's word for who asks: our own number may be that of another process in its pid namespace.
const OURSELVES: u32 = 0;

/// Connects to a manager.
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

/// Has this process moved to a leaf of the service that is kept.
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

/// Has this process moved into a scope of its own that is ours to divide, and gives its directory. It is gone when the last process
/// in it is.
pub(super) fn scope(address: &str, user: bool, description: &str) -> Result<PathBuf> {
    let failed = |what: &str, why: String| failed(user, what, why);
    let mut bus = manager(address).map_err(|why| failed(&format!("does not answer at {address}"), why))?;
    let pid = sys::pid();
    // Numbers are used again, and a scope may live a moment longer than who was in it.
    let name = format!("sbx-{pid}-{:x}.scope", sys::monotonic_nanoseconds());
    let companion =
        Companion::start(&mut bus, &name).map_err(|errno| failed("is not asked", format!("fork: {errno}")))?;
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
    let job = bus.call_with(&method, &body).map_err(|why| failed("makes no scope", why))?;
    loop {
        let signal = bus.signal("JobRemoved").map_err(|why| failed("does not say that the scope is there", why))?;
        // Its number, and then its path, the unit and the result.
        let words = dbus::strings(&signal, 4);
        if words.first() == Some(&job) {
            match words.get(2).map(String::as_str) {
                Some("done") => break,
                other => return Err(failed("makes no scope", other.unwrap_or("no result").to_owned())),
            }
        }
    }
    let dir = crate::host::own_cgroup().unwrap_or_default();
    if !dir.ends_with(&name) {
        return Err(failed("made a scope, but did not move us", format!("we are in {}", dir.display())));
    }
    companion.dismiss();
    // What is gone can be told by who is numbered as the manager numbers.
    let seen = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    if let Some(slice) = dir.parent().filter(|_| seen.trim() == pid.to_string()) {
        collect(&mut bus, slice);
    }
    Ok(dir)
}

/// Has the scope stopped when we are killed, or give up, before we are in it: the manager takes one away when the last process has left
/// it, which it never sees of a process that was gone before it was moved.
struct Companion {
    pid: i32,
    /// A word says that we are in it; its end, that we never will be.
    told: OwnedFd,
}

impl Companion {
    fn start(bus: &mut dbus::Bus, scope: &str) -> sys::Result<Companion> {
        let (hears, told) = sys::pipe()?;
        let pid = sys::fork(|| {
            let _ = sys::block_all_but(&[]);
            // Not where the launcher's process group is killed.
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

/// What STOP is told.
fn stopped(scope: &str) -> Body {
    let mut body = Body::default();
    body.string(scope);
    body.string("replace");
    body
}

/// Has scopes stopped that nobody is in, and whose launcher is gone.
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

/// Of the manager's object.
const METHOD: Method<'static> = Method {
    to: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    method: "",
    signature: "",
};

const STOP: Method<'static> = Method { method: "StopUnit", signature: "ss", ..METHOD };
