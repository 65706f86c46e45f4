//! The launcher: carries out a plan from outside of the sandbox. [`start`] shows the whole sequence.

mod abilities;
mod asking;
mod attached;
mod born;
mod caller;
mod cgroup;
mod connections;
mod control;
mod denial;
mod denials;
mod ended;
mod events;
mod exclusive;
mod front;
mod further;
mod further_ids;
#[cfg(feature = "guards-off")]
mod guards;
mod helped;
mod helpers;
mod hints;
mod homes;
mod id_file;
mod idmap;
mod inherited;
mod inside;
mod inside_network;
mod join;
mod lasting;
mod layers;
mod loader;
mod mapped;
mod message;
mod named;
mod namespaces;
mod network_log;
mod not_found;
mod outcome;
mod own_file;
mod portal_caller;
mod ports;
mod prepare;
mod prepared;
mod printed;
mod process;
mod questions;
mod recorded;
mod refusals;
mod rules;
mod running;
mod session;
mod signals;
mod sources;
mod status;
mod supervise;
mod terminal;
mod trial;
mod uppers;
mod usage;
mod wayland;
mod wording;
mod worker;

pub use abilities::{Ability, Blocker, abilities, explain};
pub use attached::Joining;
pub use cgroup::figures::Figures;
pub use cgroup::victims::Victim;
pub use denial::Denial;
pub use denials::Denials;
pub use events::Events;
pub use front::{Front, Inside, Keys, Left, Lost, USUAL as USUAL_KEYS, size_of_terminal, start_of_terminal};
pub use id_file::{CIDFILE, IdFile};
pub use named::{Place, take_place};
pub use network_log::NetworkLog;
pub use outcome::Outcome;
pub use own_file::{OwnFile, ReceiptTarget};
pub use printed::Printed;
pub use recorded::{Recorded, Report, Waiting};
pub use rules::try_packet_filter;
pub use running::Running;
pub use status::{Status, Told};
pub use trial::{Refusal, try_out};
pub use uppers::discard;
pub use worker::within;

use crate::error::Result;
use crate::plan::Plan;

/// Runs the plan's program to its end.
///
/// # Errors
///
/// The program was not started. Nothing is left of its sandbox then.
pub fn run(plan: &Plan, status: &mut dyn Events) -> Result<Outcome> {
    start(plan, status)?.wait(status)
}

/// Starts a sandbox, stage by stage. Each stage owns everything made so far, and undoes it if the next one fails.
///
/// # Errors
///
/// A stage failed. Nothing is left of the sandbox then.
pub fn start<'p>(plan: &'p Plan, status: &mut dyn Events) -> Result<Running<'p>> {
    let prepared = prepared::Prepared::new(plan, status)?;
    let born = born::Born::new(prepared)?;
    let mapped = mapped::Mapped::new(born, status)?;
    let helped = helped::Helped::new(mapped, status)?;
    Running::new(helped, status)
}
