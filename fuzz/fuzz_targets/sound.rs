//! A program and a sound server that send any bytes.
//!
//!     fuzz/run sound 60

#![no_main]

#[path = "../ways/sound.rs"]
mod sound;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sound::way(bytes);
});
