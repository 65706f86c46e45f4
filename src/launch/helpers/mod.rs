//! Programs of the host that sbx starts: helpers that run beside a sandbox, and programs that run to their end.

mod arguments;
mod command;
mod confined;
mod helper;
mod joined;
mod requests;
#[cfg(test)]
mod tests;

pub(super) use command::{ask, become_own, complete, print};
pub(super) use helper::{Helper, given, namespaces};
