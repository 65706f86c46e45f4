//! System calls for the launcher alone: functions here may allocate. nix is used wherever it has the call.

mod addresses;
mod arguments;
mod bounded;
mod clone;
mod error_table;
mod error_text;
mod facts;
mod file;
mod filter;
mod inet;
mod namespaces;
mod needed;
mod poll_set;
mod signal;
mod socket;
mod strings;
mod terminal;
mod tree;
mod union;

pub use addresses::*;
pub use arguments::Arguments;
pub use bounded::*;
pub use clone::*;
pub use facts::*;
pub use file::*;
pub use filter::*;
pub use inet::*;
pub use namespaces::*;
pub use needed::*;
pub use poll_set::*;
pub use signal::*;
pub use socket::*;
pub use terminal::*;
pub use tree::*;
pub use union::*;
