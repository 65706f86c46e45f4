//! The program `sbx`.
//!
//! It has C's `main`: the one that Rust would put before ours reads /proc/self/maps and sets signal stacks up, which is a
//! tenth of a start and of no use to a program that is about to become another.

#![no_main]

#[global_allocator]
static ALLOCATOR: sbx::Arena = sbx::Arena::new();

/// The entry that the C library calls; arguments come through `std::env` all the same.
// SAFETY: `main` is the name and the signature that the C library expects, and nothing else has it.
#[unsafe(no_mangle)]
pub extern "C" fn main(_argc: std::ffi::c_int, _argv: *const *const std::ffi::c_char) -> std::ffi::c_int {
    sbx::begin_phases();
    let status = sbx::cli::main();
    sbx::phase("end");
    sbx::print_phases();
    status.into()
}
