//! Control sequences in what is written to a terminal, or what it sends (ECMA-48, and xterm's ctlseqs.ms).

/// The most that is kept of one sequence, in bytes: what is looked at is shorter.
pub(super) const LONGEST: usize = 64;

/// The most parameters that all terminals take.
pub(super) const MOST: usize = 16;

/// One control sequence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sequence<'s> {
    /// A control character.
    Control(u8),
    /// ESC, intermediate bytes and a final one.
    Escape(&'s [u8], u8),
    /// CSI, parameters and intermediate bytes, and a final one.
    Csi(&'s [u8], u8),
    /// A string by its introducer (`P` for DCS, `]` for OSC, `_` for APC, `k` for the title in screen), and how it begins.
    Text(u8, &'s [u8]),
    /// What terminals may understand in several ways: a sequence that is longer than what is kept, that was broken off, or that has bytes
    /// which belong to none.
    Unclear,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Plain,
    /// The first byte of a character of two, which may be a control character of ISO 6429's C1.
    Wide,
    Escape,
    Csi,
    Text(u8),
    /// ESC in a string, which ends with `ESC \`.
    TextEscape(u8),
    /// The first byte of a character of two in a string: terminals may take a C1 there for one, or for text.
    TextWide(u8),
}

/// Finds control sequences in a stream of bytes, which may come in any parts.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    state: State,
    kept: Vec<u8>,
    /// More came than is kept.
    cut: bool,
}

impl Sequences {
    /// Whether a sequence has begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.state, State::Plain | State::Wide)
    }

    /// Takes the next bytes, and calls `found` for each sequence that ends in them.
    pub(super) fn read(&mut self, mut bytes: &[u8], found: &mut dyn FnMut(Sequence<'_>)) {
        loop {
            if self.state == State::Plain {
                // Most of the output is text.
                let Some(at) = bytes.iter().position(|byte| matches!(byte, 0x1b | 0xc2 | 0x05 | 0x0e | 0x0f)) else {
                    return;
                };
                bytes = bytes.get(at..).unwrap_or_default();
            }
            let Some((byte, rest)) = bytes.split_first() else { return };
            bytes = rest;
            self.byte(*byte, found);
        }
    }

    fn begin(&mut self, state: State) {
        self.kept.clear();
        self.cut = false;
        self.state = state;
    }

    fn keep(&mut self, byte: u8) {
        if self.kept.len() < LONGEST {
            self.kept.push(byte);
        } else {
            self.cut = true;
        }
    }

    fn byte(&mut self, byte: u8, found: &mut dyn FnMut(Sequence<'_>)) {
        match (self.state, byte) {
            // Both cancel whatever has begun.
            (state, 0x18 | 0x1a) => {
                if !matches!(state, State::Plain | State::Wide) {
                    found(Sequence::Unclear);
                }
                self.begin(State::Plain);
            }
            (State::Text(kind) | State::TextWide(kind), 0x1b) => self.state = State::TextEscape(kind),
            (State::Text(b']') | State::TextWide(b']'), 0x07) => self.end_text(b']', found),
            (State::TextEscape(kind), b'\\') => self.end_text(kind, found),
            (State::TextEscape(_), _) => {
                found(Sequence::Unclear);
                self.begin(State::Escape);
                self.byte(byte, found);
            }
            (State::Escape | State::Csi, 0x1b) => {
                found(Sequence::Unclear);
                self.begin(State::Escape);
            }
            (_, 0x1b) => self.begin(State::Escape),
            (State::Plain, 0xc2) => self.state = State::Wide,
            (State::Wide, 0x80..=0x9f) => {
                self.begin(State::Escape);
                self.byte(byte - 0x40, found);
            }
            (State::Plain | State::Wide, _) => {
                self.state = if byte == 0xc2 { State::Wide } else { State::Plain };
                if byte < b' ' {
                    found(Sequence::Control(byte));
                }
            }
            (State::Escape, b'[') if self.kept.is_empty() => self.begin(State::Csi),
            (State::Escape, b'P' | b']' | b'_' | b'^' | b'X' | b'k') if self.kept.is_empty() => {
                self.begin(State::Text(byte));
            }
            (State::Escape, b' '..=b'/') | (State::Csi, b' '..=b'?') => self.keep(byte),
            // Control characters in a sequence, and bytes of characters, which may begin another.
            (State::Escape | State::Csi, ..b' ' | 0x7f..) => {
                found(Sequence::Unclear);
                if byte < b' ' {
                    found(Sequence::Control(byte));
                }
                if byte >= 0x80 {
                    self.begin(if byte == 0xc2 { State::Wide } else { State::Plain });
                }
            }
            (State::Escape | State::Csi, _) if self.cut => {
                found(Sequence::Unclear);
                self.begin(State::Plain);
            }
            (State::Escape, _) => {
                found(Sequence::Escape(&self.kept, byte));
                self.begin(State::Plain);
            }
            (State::Csi, _) => {
                found(Sequence::Csi(&self.kept, byte));
                self.begin(State::Plain);
            }
            (State::TextWide(_), 0x80..=0x9f) => {
                found(Sequence::Unclear);
                self.begin(State::Escape);
                self.byte(byte - 0x40, found);
            }
            (State::Text(kind) | State::TextWide(kind), _) => {
                if byte == 0x07 {
                    found(Sequence::Unclear);
                }
                self.keep(byte);
                self.state = if byte == 0xc2 { State::TextWide(kind) } else { State::Text(kind) };
            }
        }
    }

    fn end_text(&mut self, kind: u8, found: &mut dyn FnMut(Sequence<'_>)) {
        found(Sequence::Text(kind, &self.kept));
        self.begin(State::Plain);
    }
}

/// The numbers of parameters; one that is left out is 0.
pub(super) fn numbers(text: &[u8]) -> impl Iterator<Item = u16> {
    text.split(|byte| matches!(byte, b';' | b':')).map(|number| {
        number
            .iter()
            .filter(|byte| byte.is_ascii_digit())
            .fold(0_u16, |sum, digit| sum.saturating_mul(10).saturating_add(u16::from(digit.wrapping_sub(b'0'))))
    })
}

/// Whether all terminals take parameters the same way: not more of them than all know, and no numbers that some cut.
pub(super) fn is_plain(text: &[u8]) -> bool {
    numbers(text).count() <= MOST && !numbers(text).any(|number| number > 0x7fff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(parts: &[&[u8]]) -> (Vec<String>, bool) {
        let (mut sequences, mut found) = (Sequences::default(), Vec::new());
        for part in parts {
            sequences.read(part, &mut |sequence| {
                found.push(match sequence {
                    Sequence::Control(byte) => format!("{byte:x}"),
                    Sequence::Escape(kept, end) => format!("ESC {}{}", String::from_utf8_lossy(kept), char::from(end)),
                    Sequence::Csi(kept, end) => format!("CSI {}{}", String::from_utf8_lossy(kept), char::from(end)),
                    Sequence::Text(kind, kept) => format!("{} {}", char::from(kind), String::from_utf8_lossy(kept)),
                    Sequence::Unclear => "?".to_owned(),
                });
            });
        }
        (found, sequences.is_open())
    }

    #[test]
    fn sequences_are_found_however_they_are_cut() {
        let text =
            b"a\x1b[?1;2h\xc3\xa9\x1b(0\x0e\x1b]0;t\x07\x1bP$q\"p\x1b\\\xc2\x9b6n\xc2\xa0\x1bc\x1b[1\x18m\x1b]x\x1b[3m";
        let expected = ["CSI ?1;2h", "ESC (0", "e", "] 0;t", "P $q\"p", "CSI 6n", "ESC c", "?", "?", "CSI 3m"];
        assert_eq!(all(&[text]).0, expected);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(all(&bytes).0, expected);
        assert!(!all(&[text]).1 && all(&[b"x\x1b]0;"]).1 && all(&[b"\x1b["]).1);
    }

    #[test]
    fn what_terminals_may_understand_in_several_ways_is_unclear() {
        let long = format!("\x1b[?{}1003h", "0".repeat(70));
        for (text, expected) in [
            (long.as_bytes(), &["?"][..]),
            (b"\x1b[\xc2\x9b?1003h", &["?", "CSI ?1003h"]),
            (b"\x1b\xc2\x9b5n", &["?", "CSI 5n"]),
            (b"\x1b[1\n2h", &["?", "a", "CSI 12h"]),
            (b"\x1b[1\x7f2h", &["?", "CSI 12h"]),
            (b"\x1b[?10\x1b[5n", &["?", "CSI 5n"]),
            (b"\x1b]0;t\xc2\x9c\x1b[5n", &["?", "ESC \\", "CSI 5n"]),
            (b"\x1b]0;t\xc2\x9b5n", &["?", "CSI 5n"]),
            (b"\x1bPq\x07\x1b\\", &["?", "P q\x07"]),
            (b"\xc2\xc2\x9b5n", &["CSI 5n"]),
            (b"\x1bktitle\x1b\\", &["k title"]),
        ] {
            assert_eq!(all(&[text]).0, expected, "{:?}", String::from_utf8_lossy(text));
            assert_eq!(all(&text.chunks(1).collect::<Vec<_>>()).0, expected, "{:?}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn any_bytes_are_taken_and_little_is_kept() {
        let mut sequences = Sequences::default();
        let mut seed = 7_u64;
        for _ in 0..100_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            sequences.read(&[(seed >> 33) as u8], &mut |_| {});
            assert!(sequences.kept.len() <= LONGEST);
        }
        sequences.read(&[0x18], &mut |_| {});
        sequences.read(&[b"\x1b]".as_slice(), &[b'x'; 1 << 20]].concat(), &mut |_| {});
        assert!(sequences.kept.len() <= LONGEST && sequences.is_open());
    }
}
