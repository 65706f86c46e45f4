//! Exit statuses of sbx: those of env(1), timeout(1) and docker-run(1). A status below 124 is the program's own.

/// The time limit of the profile ended the program.
pub const TIMED_OUT: u8 = 124;
/// sbx failed before the program started.
pub const FAILED: u8 = 125;
/// The program was found, but could not be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// The program was not found.
pub const NOT_FOUND: u8 = 127;
/// A signal killed the program: the signal's number is added to this.
pub const SIGNALED: u8 = 128;
