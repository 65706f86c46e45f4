//! The caller's terminal, the program's terminal, and what passes between them.
//!
//! Other processes use the caller's terminal at the same time: a pager behind a pipe, a shell that reads the next line, other sandboxes.
//! So sbx leaves it alone for as long as it can:
//!
//! - Its settings stay while the program's terminal has those that it had at first. Lines are edited and echoed by the caller's
//!   terminal, and its keys send signals to every process of the job; sbx hands them on.
//! - Input is read only when a process of the sandbox waits for it (`readers`). What is typed ahead stays where it is, for whoever
//!   reads it later.
//! - Once the program has changed its own terminal, as editors and prompts for passwords do, the caller's is set to pass every key on,
//!   and is set back as soon as the program has done so.
//! - What passes is not changed. But what the program has made of the terminal by control sequences, and has not put back, is put back
//!   at the end, and answers of the terminal to the program's questions are not left for whoever reads next (`modes`).

mod handed_over;
mod inner;
mod known;
mod left;
mod modes;
mod outer;
mod output;
mod questions;
mod readers;
mod relay;
mod restore;
mod screen;
mod sequences;
mod streams;

pub(in crate::launch) use handed_over::{Foreground, HandedOver};
pub(in crate::launch) use outer::initial;
pub(in crate::launch) use relay::{End, Relay};
pub(in crate::launch) use screen::Screen;
pub(in crate::launch) use streams::{stream, tty};
