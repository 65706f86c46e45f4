//! sbx runs a program in a sandbox that an ordinary user can set up: no root, no set-user-ID binary of its own, no daemon.
//!
//! The modules are layers; each uses only those below it (`tests/layering.rs` enforces this order). `docs/architecture.md` says more.
//!
//! ```text
//! cli      the command line of sbx
//! bwrap    bubblewrap's command line → Sandbox
//! selftest what a hostile program can do in a sandbox, tried from inside
//! launch   carries a plan out, outside of the sandbox
//! child    between clone and exec, and PID 1
//! plan     Sandbox + Facts → Plan: every decision; pure
//! review   what a Sandbox grants that undoes it
//! host     → Facts: what this machine and this user can do
//! profile  TOML → settings with their places → Sandbox
//! state    records of sandboxes that can be named: their directories, locks and requests
//! copy     trees of files as tar streams, read and written by descriptors
//! union    layers: what an upper layer holds, on disk, and its changes
//! archive  entries of tar archives exactly as they are
//! wayland  questions to a Wayland compositor
//! dbus     questions to systemd and to a session bus
//! netfilter rules on the packets of a network namespace
//! proxy    filters between programs in a sandbox and servers outside
//! socket   a connection on which everything ends at a deadline
//! error    the error that users see
//! spec     Sandbox: one sandbox as data, explicit and ordered
//! exit     exit statuses
//! sys      one function for each system call; the only unsafe code
//! ```

#![deny(clippy::disallowed_methods)]
#![deny(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::allow_attributes)]

mod archive;
pub mod bwrap;
pub mod child;
pub mod cli;
mod copy;
mod dbus;
pub mod error;
pub mod exit;
pub mod host;
pub mod launch;
mod netfilter;
pub mod plan;
pub mod profile;
pub mod proxy;
pub mod review;
pub mod selftest;
mod socket;
pub mod spec;
mod state;
#[expect(unsafe_code, reason = "system calls that no crate has a safe function for")]
mod sys;
pub mod union;
mod wayland;

pub use sys::{Arena, Arguments, begin_phases, phase, print_phases};

/// Functions and types of `sys` that the integration tests use.
#[doc(hidden)]
pub mod testing {
    pub use crate::sys::{
        Errno, landlock_version, load_filter, new_user_namespace, pidfd_open, set_no_new_privs, sock_filter,
    };
}
