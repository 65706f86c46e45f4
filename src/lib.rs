//! sbx runs a program in a sandbox that an ordinary user can set up: no root, no setuid binary of ours, no daemon.
//!
//! One road from text to system calls; each stage knows only those below it.
//!
//! ```text
//! cli      what the user typed
//! bwrap    bubblewrap's options, another front end
//! selftest what a sandbox keeps from a hostile program, tried from inside
//! profile  TOML → settings, with their places
//! spec     layers → Sandbox: one sandbox, explicit and ordered
//! host     → Facts: what this machine and this user can do
//! plan     Sandbox + Facts → Plan: every decision taken; pure
//! launch   carries a plan out, outside of the sandbox
//! child    between clone and exec, and PID 1
//! sys      one function per system call, the only unsafe
//! dbus     questions to systemd and to a session bus
//! ```

#![deny(clippy::disallowed_methods)]
#![warn(clippy::unwrap_used, clippy::allow_attributes)]

pub mod bwrap;
pub mod child;
pub mod cli;
mod dbus;
pub mod error;
pub mod exit;
pub mod host;
pub mod launch;
pub mod plan;
pub mod profile;
pub mod selftest;
pub mod spec;
pub mod sys;

use std::path::{Path, PathBuf};

/// The host's path of a path of the view, whose root is that directory.
pub(crate) fn host_path(root: &Path, path: &Path) -> PathBuf {
    host::below(root, path)
}
