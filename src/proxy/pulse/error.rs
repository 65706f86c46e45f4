//! Error numbers of the protocol (`pulse/def.h` in PulseAudio's source).

/// Access failure.
pub const ACCESS: u32 = 1;
/// Unknown command.
pub const COMMAND: u32 = 2;
/// Invalid argument.
pub const INVALID: u32 = 3;
/// No such entity.
pub const NO_ENTITY: u32 = 5;
/// Incompatible protocol version.
pub const VERSION: u32 = 17;
/// Data too large.
pub const TOO_LARGE: u32 = 18;
/// Extension does not exist.
pub const NO_EXTENSION: u32 = 21;
