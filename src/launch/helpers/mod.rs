//! Programs of the host that help: those that run beside a sandbox, and those that are run to their end.

mod command;
mod helper;
#[cfg(test)]
mod tests;

pub(super) use command::complete;
pub(super) use helper::Helper;
