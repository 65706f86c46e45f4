//! sbx runs a program in a sandbox that an ordinary user can set up: no root, no setuid binary of ours, no daemon.
//!
//! One road from text to system calls; each stage knows only those below it.
//!
//! ```text
//! cli      what the user typed
//! bwrap    bubblewrap's options, another front end
//! selftest what a sandbox keeps from a hostile program, tried from inside
//! review   what a Sandbox hands out that undoes it
//! profile  TOML → settings with their places → Sandbox
//! spec     Sandbox: one sandbox, explicit and ordered, as data
//! host     → Facts: what this machine and this user can do
//! plan     Sandbox + Facts → Plan: every decision taken; pure
//! launch   carries a plan out, outside of the sandbox
//! child    between clone and exec, and PID 1
//! sys      one function per system call, the only unsafe
//! dbus     questions to systemd and to a session bus
//! ```

#![deny(clippy::disallowed_methods)]
#![deny(unsafe_code)]
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
pub mod review;
pub mod selftest;
pub mod spec;
#[expect(unsafe_code, reason = "system calls that no crate has a safe function for")]
mod sys;

pub use sys::{Arena, Arguments, begin_phases, phase, print_phases};

/// What the integration tests use of `sys`.
#[doc(hidden)]
pub mod testing {
    pub use crate::sys::{Errno, landlock_version, load_filter, new_user_namespace, pidfd_open, set_no_new_privs};
}

use std::path::{Path, PathBuf};

/// The host's path of a path of the view, whose root is that directory.
pub(crate) fn host_path(root: &Path, path: &Path) -> PathBuf {
    host::below(root, path)
}
