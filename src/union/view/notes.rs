//! What the server tells the launcher by its pipe.

/// What the server writes to its pipe once it serves.
pub const READY: u8 = 1;

/// What the server writes to its pipe when a file of the host has changed that the program had read.
pub const CHANGED: u8 = 2;

/// The sentence for a reason that the server gives.
pub fn note(reason: u8) -> Option<String> {
    (reason == CHANGED).then(|| {
        "a file of the host was changed while the program used it, and what the program has not read of it yet cannot be \
         read any more (EIO)"
            .to_owned()
    })
}
