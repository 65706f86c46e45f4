//! What the servers of FUSE filesystems have in common: the view server (`view`) and that of the FUSE union (`fuse`).

mod answers;
mod confine;
mod descriptors;
mod numbers;
mod process;

pub use answers::*;
pub use confine::{LIMIT, allow};
pub use descriptors::Descriptors;
pub use numbers::{Numbers, TOP};
pub use process::{adopt, ended, ends_with_launcher, exit_status};
