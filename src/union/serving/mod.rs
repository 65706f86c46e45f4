//! What the servers of FUSE filesystems have in common: the view server (`view`) and that of the FUSE union (`fuse`).
//!
//! ```text
//! request      what the kernel asks for           (data)
//! reply        what it is answered                (data)
//! session      the loop between the two
//! descriptors  a bounded number of open files     (data)
//! numbers      numbers of files                   (data)
//! same         whether a file has changed         (data)
//! confine      what every server may do
//! process      a server as a process
//! ```

mod confine;
mod descriptors;
mod numbers;
mod process;
mod reply;
mod request;
mod same;
mod session;

pub use confine::{LIMIT, allow};
pub use descriptors::Descriptors;
pub use numbers::{Numbers, TOP};
pub use process::{adopt, ended, ends_with_launcher, exit_status};
pub use reply::{Add, LIFETIME, Listed, NO_ROOM, Reply, lifetime};
pub use request::{Attributes, Operation, Request, is_hole};
pub use same::is_same;
pub use session::{Filesystem, Kernel, LARGEST, flags, serve};
