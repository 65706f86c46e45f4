//! Frames, into which both directions of a connection are divided: a descriptor of five 32-bit numbers, and as many
//! bytes as it says. A frame is a control packet, or sound of one stream (`pulsecore/pstream.c` in PulseAudio's source).

use super::tags::Malformed;

/// Bytes of a descriptor.
pub const DESCRIPTOR: usize = 20;

/// The channel of a control packet.
const CONTROL: u32 = u32::MAX;

/// The largest frame that PulseAudio accepts.
const LARGEST: u32 = 16 * 1024 * 1024;

/// The largest value of a seek mode. All other flags are about shared memory.
const LAST_SEEK_MODE: u32 = 3;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// A control packet of so many bytes.
    Packet(usize),
    /// So many bytes of sound, of the stream with this channel.
    Sound {
        /// The stream's number, which the server chooses.
        channel: u32,
        /// The length in bytes.
        length: usize,
    },
}

impl Frame {
    /// Reads a descriptor. Frames that refer to shared memory are malformed: neither side is told that the other could
    /// do that.
    pub fn read(descriptor: &[u8; DESCRIPTOR]) -> Result<Frame, Malformed> {
        let number = |at: usize| -> Option<u32> { Some(u32::from_be_bytes(*descriptor.get(4 * at..)?.first_chunk()?)) };
        let [Some(length), Some(channel), Some(high), Some(low), Some(flags)] = [0, 1, 2, 3, 4].map(number) else {
            return Err(Malformed);
        };
        match channel {
            _ if length == 0 || length > LARGEST => Err(Malformed),
            CONTROL if flags == 0 && high == 0 && low == 0 => Ok(Frame::Packet(length as usize)),
            CONTROL => Err(Malformed),
            _ if flags > LAST_SEEK_MODE => Err(Malformed),
            _ => Ok(Frame::Sound { channel, length: length as usize }),
        }
    }
}

/// Adds the descriptor of a control packet of so many bytes.
pub fn put_packet(out: &mut Vec<u8>, packet: &[u8]) {
    out.extend((packet.len() as u32).to_be_bytes());
    out.extend(CONTROL.to_be_bytes());
    out.extend([0; 12]);
    out.extend(packet);
}
