//! `Sandbox`: the whole description of one sandbox, explicit and ordered. Plain data; every front end produces it.

mod addresses;
mod filesystem;
pub mod limits;
mod mounts;
mod names;
mod network;
mod note;
mod origin;
mod parts;
mod path;
mod published;
mod rules;
mod sandbox;
mod secrets;
mod services;
mod size;
mod subnet;
mod system;

pub use addresses::{AddressClass, Addresses, Ranges};
pub use filesystem::{Changes, Filesystem, Mechanism, Mode, Named, Options, PathRule, Root, Unseen, Watched};
pub use mounts::{Access, Make, Mount, Source, Upper};
pub use names::NamePattern;
pub use network::{HelperDeath, NameServers, NamedNetwork, Network, NetworkHelper, PrivateNetwork};
pub use note::Note;
pub use origin::{Origin, Origins};
pub use parts::*;
pub use path::within;
pub use published::{Forwarded, Published, Transport};
pub use rules::{Destination, FORMS, NetworkRule, NetworkRules, Protocol, Service};
pub use sandbox::Sandbox;
pub use secrets::is_secret_variable;
pub use services::{Services, SshAgent};
pub use size::{format_size, is_size, parse_size};
pub use subnet::{Address, OwnAddresses, Range6, Subnet, Subnet6, Subnets};
pub use system::{SYSTEM, is_needed, lies_in_system};
