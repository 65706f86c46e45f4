//! Layers: what the kernel's overlay keeps in an upper layer on disk, and what is done with it.
//!
//! The format is the kernel's (Documentation/filesystems/overlayfs.rst) with the attributes of `userxattr`: a file that
//! was deleted is a character device 0:0 (or, in layers of the FUSE union on a filesystem that takes no devices, an empty file with the
//! attribute `user.overlay.whiteout`), a directory that replaces one has the attribute `user.overlay.opaque`.
//!
//! A hostile program has written what is here. Nothing of it is followed: directories are opened one by one below the
//! one above, without links, and attributes other than those named above are either kept to the layer or an error.

mod bases;
mod below;
mod change;
mod commit;
mod committed;
mod compare;
mod copy;
mod deleted;
mod diff;
mod export;
mod freeze;
pub mod fuse;
mod git_names;
mod guarded;
mod journal;
mod layer;
mod lock;
mod merge;
mod name;
mod node;
mod ours;
mod outside;
mod own;
mod patch;
mod place;
mod prune;
mod put;
mod put_merged;
mod reader;
mod record;
mod recover;
mod remove;
mod renamed;
mod run_outside;
mod seen;
mod serving;
mod size;
mod state;
mod stop;
mod store;
mod upper;
pub mod view;
mod walk;
mod wanted;

pub use change::Difference;
pub use commit::commit;
pub use committed::{Committed, How};
pub use copy::Step;
pub use diff::{Entry, differences};
pub use export::{Handed, export};
pub use freeze::{discard, finish_snapshot, fork, is_half_frozen, snapshot};
pub use guarded::Guarded;
pub use layer::{InUse, UpperDirectories};
pub use lock::{Holder, Lock, Refused};
pub use name::{LAST, check_name};
pub use node::NodeKind;
pub use outside::{Outside, Take, take};
pub use own::link_to_store;
pub use patch::patches;
pub use record::record;
pub use remove::remove;
pub use size::{changed, size};
pub use state::{Ids, Layer, State};
pub use store::Store;
pub use upper::Upper;
pub use walk::{TOO_DEEP, short};
