//! What the user is told of what was refused.

use super::commands::COMMANDS;
use super::connection::MOST_STREAMS;

/// Reasons for a note beside the numbers of refused commands.
pub mod reason {
    /// A command that no version of the protocol has.
    pub const UNKNOWN: u8 = 200;
    /// A record stream on a monitor.
    pub const MONITOR: u8 = 201;
    /// Too many streams.
    pub const STREAMS: u8 = 202;
    /// Playback is not granted.
    pub const PLAY: u8 = 203;
    /// Recording is not granted.
    pub const RECORD: u8 = 204;
    /// An old version of the protocol.
    pub const OLD: u8 = 205;
}

/// The sentence for a reason of [`Output::notes`](crate::proxy::filter::Output::notes).
pub fn note(reason: u8) -> Option<String> {
    Some(match reason {
        reason::UNKNOWN => "the program sent an unknown command to the sound server, which is refused".into(),
        reason::MONITOR => {
            "the program may not record what other programs play: `monitor` in desktop.sound lets it".into()
        }
        reason::STREAMS => format!("the program may not have more than {MOST_STREAMS} streams of one connection"),
        reason::PLAY => "the program may not play sound: `play` in desktop.sound lets it".into(),
        reason::RECORD => "the program may not record sound: `record` in desktop.sound lets it".into(),
        reason::OLD => "the program's sound library is older than PulseAudio 0.9.11, and is refused".into(),
        _ => {
            let command = COMMANDS.get(usize::from(reason))?;
            format!("the program sent {} to the sound server, which is refused", command.name)
        }
    })
}
