//! Running `sbx-bwrap`, or the program that `SBX_BWRAP` names.

use super::place::{Place, default_signals};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// Options for a root that has the host's programs and nothing else.
pub const PROGRAMS: [&str; 12] = [
    "--ro-bind",
    "/usr",
    "/usr",
    "--symlink",
    "usr/bin",
    "/bin",
    "--symlink",
    "usr/lib",
    "/lib",
    "--symlink",
    "usr/lib64",
    "/lib64",
];

/// The program under test.
pub fn program() -> &'static Path {
    static PATH: LazyLock<PathBuf> = LazyLock::new(|| {
        std::env::var_os("SBX_BWRAP").unwrap_or(OsString::from(env!("CARGO_BIN_EXE_sbx-bwrap"))).into()
    });
    &PATH
}

/// A command that runs the program under test in a place, with an environment and a standard input of its own.
pub fn command(place: &Place, args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(args).current_dir(place.work()).env_clear().stdin(Stdio::null());
    command.env("HOME", place.home()).env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    default_signals(&mut command);
    command
}
