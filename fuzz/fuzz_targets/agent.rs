//! A program and an SSH agent that send any bytes.
//!
//!     fuzz/run agent 60

#![no_main]

#[path = "../ways/agent.rs"]
mod agent;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    agent::way(bytes);
});
