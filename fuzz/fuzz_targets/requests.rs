//! Requests of any kind to the servers of FUSE filesystems.
//!
//!     fuzz/run requests 60

#![no_main]

#[path = "../ways/requests.rs"]
mod requests;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    requests::way(bytes);
});
