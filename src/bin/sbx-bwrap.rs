//! The program `sbx-bwrap`, which takes bubblewrap's command line and can replace it, under any name.
//!
//! It defines C's `main` itself, for the reason given in `src/main.rs`.

#![no_main]

#[global_allocator]
static ALLOCATOR: sbx::Arena = sbx::Arena::new();

/// The entry point that the C library calls.
// SAFETY: `main` is the name and the signature that the C library expects, and nothing else has it.
#[unsafe(no_mangle)]
pub extern "C" fn main(_count: std::ffi::c_int, arguments: sbx::Arguments) -> std::ffi::c_int {
    sbx::begin_phases();
    let status = sbx::bwrap::main(arguments.strings());
    sbx::phase("end");
    sbx::print_phases();
    status.into()
}
