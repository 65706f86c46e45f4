//! Requests to slirp4netns(1) by its socket: ports of the host that it is to listen at.

use crate::spec::Published;
use crate::sys::Errno;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The name of the socket in its directory.
pub(super) const SOCKET: &str = "requests";

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Has slirp4netns publish a port. The error says why it does not.
pub(super) fn publish(directory: BorrowedFd<'_>, port: &Published) -> Result<(), String> {
    let request = json!({"execute": "add_hostfwd", "arguments": {
        "proto": port.transport.to_string(),
        "host_addr": port.address.to_string(),
        "host_port": port.host,
        "guest_port": port.inside,
    }});
    let ask = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd()))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(request.to_string().as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.take(LONGEST).read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().map_err(|error| Errno::from(error).to_string())?;
    let answer: Value = serde_json::from_str(answer.trim()).map_err(|_| format!("it answers {answer:?}"))?;
    match (answer.get("return"), answer.pointer("/error/desc").and_then(Value::as_str)) {
        (Some(_), _) => Ok(()),
        (None, Some(why)) => Err(format!("it says: {why}")),
        (None, None) => Err(format!("it answers {answer}")),
    }
}
