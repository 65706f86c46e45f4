//! What the test programs share; `tests/README.md` says what goes where.

#![allow(dead_code, unused_imports, reason = "each test program uses a part of it")]

pub mod agent;
pub mod audio;
pub mod bus;
pub mod bwrap;
pub mod compositor;
mod host;
pub mod left;
mod need;
pub mod network;
mod place;
pub mod process;
pub mod records;
pub mod shared;
pub mod terminal;
mod wait;

pub use host::{Host, kernel};
pub use need::{
    Need, cgroup, fuse, landlock, limits, no_session, not_root, root, static_build, tools, tun, userns, x86_64,
};
pub use place::{Place, Ran, copy_program, default_signals, pass, pass_none, ran, sbx};
pub use wait::{tick, until, until_within};
