//! The sandbox's cgroup: its limits, what was used in it, and who is ended for memory.

mod compare;
pub(super) mod figures;
mod files;
mod own;
mod parent;
mod systemd;
pub(super) mod victims;

pub(super) use own::{Cgroup, make};
