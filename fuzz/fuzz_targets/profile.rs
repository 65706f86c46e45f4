//! A profile of any bytes.
//!
//!     cargo +nightly fuzz run --sanitizer none profile fuzz/corpus/profile profiles profiles/base

#![no_main]

#[path = "../ways/profile.rs"]
mod profile;

libfuzzer_sys::fuzz_target!(|text: &str| {
    profile::way(text);
});
