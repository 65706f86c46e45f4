//! The program `sbx`.
//!
//! It defines C's `main` itself. The one of Rust's runtime would read /proc/self/maps and set up signal stacks, which
//! takes a tenth of a start and is of no use to a program that only starts another.

#![no_main]

#[global_allocator]
static ALLOCATOR: sbx::Arena = sbx::Arena::new();

/// The entry point that the C library calls.
// SAFETY: `main` is the name and the signature that the C library expects, and nothing else has it.
#[unsafe(no_mangle)]
pub extern "C" fn main(_count: std::ffi::c_int, arguments: sbx::Arguments) -> std::ffi::c_int {
    sbx::begin_phases();
    let status = sbx::cli::main(arguments.strings());
    sbx::phase("end");
    sbx::print_phases();
    status.into()
}
