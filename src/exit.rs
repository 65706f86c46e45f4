//! Exit statuses, as env(1), timeout(1) and docker-run(1) have them. Below 124 it is the program's own.

/// The time limit of the profile ended the program.
pub const TIMED_OUT: u8 = 124;
/// sbx failed before the program started.
pub const FAILED: u8 = 125;
/// The program was found and could not be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// The program was not found.
pub const NOT_FOUND: u8 = 127;
/// Plus the number of the signal that ended the program.
pub const SIGNALED: u8 = 128;
