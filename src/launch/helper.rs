//! Programs of the host that help: the one place where programs are started outside of the sandbox.

use crate::error::{Error, Result};
use crate::plan::BusProxy;
use crate::sys;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A helper that ends with us: it watches a pipe of which we hold the other end.
pub(super) struct Helper {
    child: Child,
    /// Tells its end.
    pidfd: OwnedFd,
    lifeline: Option<OwnedFd>,
    /// What the program loses with it.
    loss: &'static str,
}

impl Helper {
    /// Ready to read when it has ended.
    pub(super) fn fd(&self) -> RawFd {
        self.pidfd.as_raw_fd()
    }

    /// It has ended by itself: how, in a sentence.
    pub(super) fn exit_description(&mut self, program: &Path) -> String {
        let how = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        format!("{} ended ({how}): {}", program.display(), self.loss)
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the place")]
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).current_dir("/").process_group(0);
    command
}

/// Runs a helper to its end; the error is what it said.
pub(super) fn complete(program: &Path, args: &[String]) -> std::result::Result<(), String> {
    let output = command(program).args(args).output().map_err(|error| sys::Errno::from(error).to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().replace('\n', "; ");
    Err(if said.is_empty() { output.status.to_string() } else { said })
}

/// xdg-dbus-proxy with its socket in the view, which is reached through /proc/PID/root: nothing of it is on the host.
pub(super) fn bus_proxy(proxy: &BusProxy, pid: i32, wait: impl FnOnce(RawFd) -> Result<bool>) -> Result<Helper> {
    if proxy.address.starts_with('-') {
        return Err(Error::new(format!("{} is no address of a bus", proxy.address)).origin(&proxy.origin));
    }
    let name = "xdg-dbus-proxy";
    let system = |what: &str, errno: sys::Errno| Error::new(format!("{name}: {what}: {errno}")).origin(&proxy.origin);
    let (ours, other) = sys::pipe().map_err(|errno| system("pipe", errno))?;
    // At a number that nothing else has, without close-on-exec: the standard library starts programs by fork and exec.
    let theirs = sys::dup_above(other.as_fd(), 10).map_err(|errno| system("dup", errno))?;
    // The helper's end must be the only one, or its death would not be seen.
    drop(other);
    sys::set_cloexec(theirs.as_raw_fd(), false).map_err(|errno| system("fcntl", errno))?;
    // The directory as it is now, and no path: whoever is root inside may put a link where it was, and the proxy removes its socket
    // when it ends.
    let dir = directory(proxy, pid).map_err(|errno| system("the socket's directory inside cannot be opened", errno))?;
    let file = proxy.socket.file_name().unwrap_or_default().to_string_lossy();
    let socket = format!("/proc/self/fd/{}/{file}", dir.as_raw_fd());
    let mut command = command(&proxy.program);
    command.arg(format!("--fd={}", theirs.as_raw_fd())).arg(&proxy.address).arg(&socket).args(&proxy.args);
    command.stdout(Stdio::null());
    let child = command.spawn().map_err(|error| system("cannot be started", error.into()))?;
    drop((theirs, dir));
    // Not reaped before we wait for it, so the number is its own.
    let pidfd = sys::pidfd_open(child.id() as i32).map_err(|errno| system("pidfd_open", errno))?;
    let loss = "the program has no session bus from here on";
    let helper = Helper { child, pidfd, lifeline: Some(ours), loss };
    let lifeline = helper.lifeline.as_ref().map_or(-1, |fd| fd.as_raw_fd());
    if !wait(lifeline)? {
        return Err(Error::new(format!("{name} is not ready after {} s", PATIENCE.as_secs()))
            .origin(&proxy.origin)
            .hint(format!(
                "see whether {} works; --set dbus.session.policy=none goes without",
                proxy.program.display()
            )));
    }
    match sys::read(sys::borrow(lifeline), &mut [0; 1]) {
        Ok(1) => Ok(helper),
        _ => Err(Error::new(format!("{name} ended before its socket was ready, on the bus {}", proxy.address))
            .origin(&proxy.origin)
            .hint("see what it wrote above; DBUS_SESSION_BUS_ADDRESS must name a bus that answers")),
    }
}

/// The directory of the proxy's socket in the view, open for programs that are started from here.
fn directory(proxy: &BusProxy, pid: i32) -> sys::Result<OwnedFd> {
    let c = |path: &Path| std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).unwrap_or_default();
    let root =
        sys::openat(sys::cwd(), &c(Path::new(&format!("/proc/{pid}/root"))), libc::O_PATH | libc::O_DIRECTORY, 0)?;
    let dir = proxy.socket.parent().unwrap_or(Path::new("/"));
    let dir = c(dir.strip_prefix("/").unwrap_or(dir));
    let dir = sys::open_in_root(root.as_fd(), &dir, libc::O_PATH | libc::O_DIRECTORY, 0)?;
    let open = sys::dup_above(dir.as_fd(), 10)?;
    sys::set_cloexec(open.as_raw_fd(), false)?;
    Ok(open)
}

/// How long a helper may take to be ready.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
