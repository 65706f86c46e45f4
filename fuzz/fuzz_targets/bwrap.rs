//! A command line of bubblewrap's of any bytes, with what its descriptors give.
//!
//!     fuzz/run bwrap 60

#![no_main]

#[path = "../ways/bwrap.rs"]
mod bwrap;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bwrap::way(bytes);
});
