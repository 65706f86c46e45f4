//! A program and a name server that send any bytes to the forwarder of names.
//!
//!     fuzz/run names 60

#![no_main]

#[path = "../ways/names.rs"]
mod names;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    names::way(bytes);
});
