//! A profile of any bytes.
//!
//!     fuzz/run profile 60

#![no_main]

#[path = "../ways/profile.rs"]
mod profile;

libfuzzer_sys::fuzz_target!(|text: &str| {
    profile::way(text);
});
