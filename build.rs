//! Gives the linker the order of functions in `start.ld`, which `benches/order` writes: what a start executes lies together, so that it takes
//! a fifth fewer page faults.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=start.ld");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    // Linkers that somebody chose may not know linker scripts: mold does not.
    let chosen =
        var("RUSTC_LINKER").is_ok() || var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("fuse-ld"));
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") && !chosen {
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}/start.ld", var("CARGO_MANIFEST_DIR").unwrap_or_default());
    }
}
