//! The sandbox's cgroup: its limits, the resources used in it, and the victims of the OOM killer.

mod compare;
pub(super) mod figures;
mod files;
mod own;
mod parent;
mod systemd;
mod update;
pub(super) mod victims;

pub(super) use own::{Cgroup, make};
pub(super) use update::START_WITH_LIMIT;
