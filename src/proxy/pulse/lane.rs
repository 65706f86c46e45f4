//! One direction of a connection: sound passes piece by piece, and packets go between frames of it.

use super::frame::{DESCRIPTOR, put_packet};

/// What is under way in one direction.
#[derive(Debug, Default)]
pub struct Lane {
    /// Bytes that are missing of the frame of sound that is under way.
    missing: usize,
    /// Whether that frame is passed on.
    passes: bool,
    /// Packets that wait for its end, since nothing may stand between its bytes.
    waiting: Vec<u8>,
}

impl Lane {
    /// Whether a frame of sound is under way.
    pub fn in_sound(&self) -> bool {
        self.missing > 0
    }

    /// Bytes of packets that wait for the end of a frame.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Begins a frame of sound, which is passed on or dropped.
    pub fn begin_sound(&mut self, descriptor: &[u8; DESCRIPTOR], length: usize, passes: bool, out: &mut Vec<u8>) {
        (self.missing, self.passes) = (length, passes);
        if passes {
            out.extend(descriptor);
        }
    }

    /// Takes a piece of the frame that is under way; gives what follows the piece.
    pub fn sound<'a>(&mut self, input: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let (piece, rest) = input.split_at(input.len().min(self.missing));
        self.missing -= piece.len();
        if self.passes {
            out.extend(piece);
        }
        if self.missing == 0 {
            out.append(&mut self.waiting);
        }
        rest
    }

    /// Adds a packet: at once, or behind the frame that is under way.
    pub fn packet(&mut self, packet: &[u8], out: &mut Vec<u8>) {
        let place = if self.missing > 0 && self.passes { &mut self.waiting } else { out };
        put_packet(place, packet);
    }
}
