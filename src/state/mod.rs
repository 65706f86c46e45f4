//! Records of sandboxes that can be named: those that run in the background, have a name, or were created to be started later.
//!
//! ```text
//! $XDG_RUNTIME_DIR/sbx/ID/lock        locked by the monitor for as long as it lives: that, and no process id, says who is alive
//! $XDG_RUNTIME_DIR/sbx/ID/ctl         the monitor's socket for requests (SOCK_SEQPACKET)
//! $XDG_RUNTIME_DIR/sbx/ID/state.json  what is so only while it runs: process ids, ports, when it was started
//! $XDG_STATE_HOME/sbx/ID/             locked by a command that starts or removes the sandbox
//! $XDG_STATE_HOME/sbx/ID/spec.json    what was asked for; written once
//! $XDG_STATE_HOME/sbx/ID/exit.json    when it was started, and how it ended; its blocks are reserved, so that a full disk loses no status
//! $XDG_STATE_HOME/sbx/ID/log         what the program has written, and log.1 what it wrote before
//! $XDG_STATE_HOME/sbx/ID/keeper      locked by the process that starts it again by itself; `stop` says that it is not to
//! $XDG_STATE_HOME/sbx/ID/update.json settings that were changed since, for its next start
//! $XDG_STATE_HOME/sbx/.names/NAME     a link whose text is the ID: made exclusively, so that a name is unique
//! $XDG_STATE_HOME/sbx/.events/        what has happened to sandboxes: see `event`
//! $XDG_STATE_HOME/sbx/.networks/      networks that sandboxes share: see `network`
//! $XDG_STATE_HOME/sbx/.new-ID         a record that is not complete yet; .gone-ID one that is being removed
//! ```
//!
//! Everything is read as if an enemy had written it: by descriptors of directories that belong to the user, without following links, no more
//! than a limit, and with each field optional.

mod entry;
mod event;
mod held;
mod id;
mod journald;
mod log;
mod name;
mod network;
mod output;
mod place;
mod reader;
mod record;
mod request;
mod settings;
mod slot;
mod store;
mod words;

pub use entry::Entry;
pub use event::{Event, Happened};
pub use held::Held;
pub use id::Id;
pub use journald::{Message, Said, journal_is_there, message};
pub use log::{Line, SIZE as LOG_SIZE, Stream};
pub use name::check_name;
pub use network::{Busy, Network, Networks, Seat, check_network_name};
pub use place::Places;
pub use reader::Reader;
pub use record::{Begun, Cause, Live, Port, Spec, Status, Text};
pub use request::{Answer, Change, Execution, InNetwork, LARGEST, LONGEST, Monitor, Request, Rules, Silence, Usage};
pub use store::Store;
