//! Gives the linker the order of functions in `start.ld`, which `benches/order` writes: what a start executes lies together, so that it
//! takes a fifth fewer page faults. SBX_ORDER=off in the environment leaves it out, for linkers that know no such script.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=start.ld");
    println!("cargo::rerun-if-env-changed=SBX_ORDER");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    // rust-lld and GNU ld, which are the usual ones, know such a script; one that somebody chose may not: mold does not. The script has the
    // names of symbols by the mangling that .cargo/config.toml asks for.
    let flags = var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let is_chosen =
        var("RUSTC_LINKER").is_ok() || ["linker", "fuse-ld", "ld-path", "-B"].iter().any(|word| flags.contains(word));
    let is_meant = flags.contains("symbol-mangling-version=v0") && !is_chosen && !is("SBX_ORDER", "off");
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") && is_meant {
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}/start.ld", var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    }
}
