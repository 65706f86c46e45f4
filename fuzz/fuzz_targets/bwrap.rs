//! A command line of bubblewrap's of any bytes, with what its descriptors give.
//!
//!     cargo +nightly fuzz run --sanitizer none bwrap -- -dict=fuzz/bwrap.dict

#![no_main]

#[path = "../ways/bwrap.rs"]
mod bwrap;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bwrap::way(bytes);
});
