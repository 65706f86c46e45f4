//! The program `sbx`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sbx::cli::main()
}
