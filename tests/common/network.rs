//! The network that tests of private networks make: `tests/network/internet`.

use super::{Need, Place, Ran, ran, sbx, tools};
use std::process::{Command, Stdio};

/// The programs that carry packets of private networks.
pub const HELPERS: [&str; 2] = ["pasta", "slirp4netns"];

/// What the test network takes.
pub fn programs() -> Need {
    tools(&["pasta", "slirp4netns", "ip", "nsenter", "unshare", "mount", "python3"])
}

/// The path of a program of the test network, which lies elsewhere in a virtual machine (SBX_TEST_NETWORK).
pub fn script(name: &str) -> String {
    let dir = std::env::var("SBX_TEST_NETWORK");
    let dir = dir.unwrap_or_else(|_| format!("{}/tests/network", env!("CARGO_MANIFEST_DIR")));
    format!("{dir}/{name}")
}

/// A command that runs a shell script on the host of the test network. In it, $SBX is sbx and $TRY the program that tries
/// addresses.
pub fn on_network(place: &Place, settings: &[(&str, &str)], text: &str) -> Command {
    let mut command = Command::new("/bin/bash");
    command.arg(script("internet")).args(["/bin/sh", "-c", text]).current_dir(place.work()).stdin(Stdio::null());
    command.env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").env("HOME", place.home()).env("NO_COLOR", "1");
    command.env("SBX", sbx()).env("TRY", std::fs::read_to_string(script("try")).unwrap());
    command.envs(settings.iter().copied());
    command
}

/// What a program in a sandbox with these flags finds.
pub fn tried(settings: &[(&str, &str)], flags: &str, addresses: &[&str]) -> Ran {
    let place = Place::new();
    let text = format!("\"$SBX\" {flags} -- python3 -c \"$TRY\" {}", addresses.join(" "));
    ran(on_network(&place, settings, &text).output().unwrap())
}

/// Makes sure that a program in a sandbox with these flags finds this.
#[track_caller]
pub fn found(settings: &[(&str, &str)], flags: &str, expected: &[(&str, &str)]) {
    let addresses: Vec<_> = expected.iter().map(|(address, _)| *address).collect();
    let ran = tried(settings, flags, &addresses);
    let said = expected.iter().filter(|(address, _)| !address.starts_with("within,"));
    let lines: Vec<_> = said.map(|(address, what)| format!("{address} {what}")).collect();
    assert_eq!(ran.out.lines().collect::<Vec<_>>(), lines, "{flags}: {}", ran.err);
    assert_eq!(ran.status, Some(0), "{flags}: {}", ran.err);
}
