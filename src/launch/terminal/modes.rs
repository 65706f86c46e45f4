//! What a program has made of the caller's terminal by control sequences, and what it has asked of it: both would be left to whoever uses
//! the terminal next. Modes change what keys send, or hide what is written; an answer is typed into whoever reads next.

use super::sequences::{Sequence, Sequences};
use std::collections::BTreeSet;

/// Private modes of terminals that are put back (DECSET; xterm's ctlseqs.ms), other than by how they are without a program: cursor keys,
/// reverse video, lines that wrap, mice, the cursor, keypad, margins, focus, the alternate screen, bracketed paste, frames that are held
/// back, notes of changed colours and sizes.
const MODES: [u16; 25] = [
    1, 5, 6, 7, 9, 25, 47, 66, 69, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 1047, 1049, 2004, 2026, 2031,
    2048, 5522,
];
/// Those of them that are on without a program.
const ON: [u16; 2] = [7, 25];
/// The alternate screen, by each of its modes.
const OTHER_SCREEN: [u16; 3] = [47, 1047, 1049];
/// The mode in which the position of the cursor counts from the margins.
const ORIGIN: u16 = 6;
/// Modes of ECMA-48: the keyboard is locked, characters are inserted, a line feed begins a line.
const PLAIN_MODES: [u16; 3] = [2, 4, 20];
/// Colours that an OSC sets, and the OSC that puts them back.
const COLOURS: [(u16, u16); 8] = [(4, 104), (5, 105), (10, 110), (11, 111), (12, 112), (13, 113), (17, 117), (19, 119)];
/// What CSI t asks for: states, positions, sizes and titles of the window.
const WINDOW: [u16; 9] = [11, 13, 14, 15, 16, 18, 19, 20, 21];

/// What was changed by sequences and not put back, and what was asked and not answered.
#[derive(Debug, Default)]
pub(super) struct Modes {
    output: Sequences,
    input: Sequences,
    left: Left,
    /// Questions that were not answered yet.
    asked: u32,
}

/// What was changed and not put back.
#[derive(Debug, Default)]
struct Left {
    /// Private modes that are others than without a program.
    modes: BTreeSet<u16>,
    plain_modes: BTreeSet<u16>,
    /// Colours, by the OSC that puts them back.
    colours: BTreeSet<u16>,
    keypad: bool,
    /// The first and the last line of what scrolls; 0 is that of the screen.
    margins: (u16, u16),
    /// Another character set, or one that is shifted to.
    characters: bool,
    /// Colours or other attributes of what is written.
    styled: bool,
    cursor: bool,
    link: bool,
    /// What keys send: xterm's modifyOtherKeys, and kitty's protocol, with how often that was begun.
    other_keys: bool,
    kitty: u32,
    kitty_set: bool,
}

impl Modes {
    /// Takes what is written to the terminal.
    pub(super) fn shown(&mut self, bytes: &[u8]) {
        let Modes { output, left, asked, .. } = self;
        output.read(bytes, &mut |sequence| {
            *asked = asked.saturating_add(u32::from(is_question(&sequence)));
            left.take(&sequence);
        });
    }

    /// Takes what was read from the terminal, whoever it is for.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        let Modes { input, asked, .. } = self;
        if *asked > 0 {
            input.read(bytes, &mut |sequence| *asked = asked.saturating_sub(u32::from(is_answer(&sequence))));
        }
    }

    /// Whether answers may still come.
    pub(super) fn awaits_answers(&self) -> bool {
        self.asked > 0
    }

    /// What puts back all that was changed, on a screen of so many lines. With `cut`, not all that was taken has been written.
    pub(super) fn undo(&mut self, cut: bool, lines: u16) -> Vec<u8> {
        let mut out = Vec::new();
        if cut || self.output.is_open() {
            // The first cancels a sequence, and the second ends a string that does not let itself be cancelled.
            out.extend(b"\x18\x1b\\");
        }
        std::mem::take(&mut self.left).undo(&mut out, lines);
        self.output = Sequences::default();
        out
    }
}

/// The numbers of parameters; one that is left out is 0.
fn numbers(text: &[u8]) -> impl Iterator<Item = u16> {
    text.split(|byte| matches!(byte, b';' | b':')).map(|number| {
        number
            .iter()
            .fold(0_u16, |sum, digit| sum.saturating_mul(10).saturating_add(u16::from(digit.wrapping_sub(b'0'))))
    })
}

/// Whether a terminal may answer to a sequence.
fn is_question(sequence: &Sequence<'_>) -> bool {
    match sequence {
        Sequence::Escape(b"", b'Z') => true,
        Sequence::Csi(text, end) => match (text.first(), text.last(), end) {
            (_, Some(b'$'), b'p' | b'w' | b'u') | (_, Some(b'*'), b'y') => true,
            (Some(b'>'), _, b'c' | b'q') | (Some(b'='), _, b'c') | (Some(b'?'), _, b'n' | b'u' | b'S') => true,
            (Some(b'?' | b'>' | b'='), ..) => false,
            (_, _, b'c' | b'n' | b'x') => true,
            (_, _, b't') => numbers(text).next().is_some_and(|number| WINDOW.contains(&number)),
            _ => false,
        },
        Sequence::Text(b']', text) => text.ends_with(b"?") || text.windows(3).any(|part| part == b";?;"),
        Sequence::Text(b'P', text) => text.starts_with(b"$q") || text.starts_with(b"+q"),
        Sequence::Text(b'_', text) => text.windows(3).any(|part| part == b"a=q"),
        _ => false,
    }
}

/// Whether a terminal sends a sequence as an answer, rather than for a key.
fn is_answer(sequence: &Sequence<'_>) -> bool {
    match sequence {
        Sequence::Csi(text, b'u') => text.starts_with(b"?"),
        Sequence::Csi(_, end) => matches!(end, b'c' | b'n' | b'R' | b'x' | b'y' | b't' | b'S'),
        Sequence::Text(..) => true,
        _ => false,
    }
}

impl Left {
    fn take(&mut self, sequence: &Sequence<'_>) {
        match sequence {
            Sequence::Control(0x0e) => self.characters = true,
            Sequence::Control(_) => {}
            Sequence::Escape(b"", b'c') => *self = Left::default(),
            Sequence::Escape(b"", b'=') => self.keypad = true,
            Sequence::Escape(b"", b'>') => self.keypad = false,
            Sequence::Escape(b"", b'n' | b'o' | b'|' | b'}' | b'~') => self.characters = true,
            Sequence::Escape([b'(' | b')' | b'*' | b'+' | b'-' | b'.' | b'/', ..] | b"%", _) => self.characters = true,
            Sequence::Escape(..) => {}
            Sequence::Csi(text, end) => self.csi(text, *end),
            Sequence::Text(b']', text) => self.osc(text),
            Sequence::Text(..) => {}
        }
    }

    fn csi(&mut self, text: &[u8], end: u8) {
        let set = |modes: &mut BTreeSet<u16>, known: &[u16], text: &[u8]| {
            for mode in numbers(text).filter(|mode| known.contains(mode)) {
                match (end == b'h') != ON.contains(&mode) {
                    true => modes.insert(mode),
                    false => modes.remove(&mode),
                };
            }
        };
        match (text, end) {
            ([b'?', text @ ..], b'h' | b'l') => set(&mut self.modes, &MODES, text),
            (_, b'h' | b'l') => set(&mut self.plain_modes, &PLAIN_MODES, text),
            ([b'>', text @ ..], b'm') => self.other_keys = numbers(text).nth(1).is_some_and(|value| value != 0),
            ([b'?' | b'<' | b'=', ..], b'm') => {}
            (_, b'm') => self.styled = numbers(text).last() != Some(0) || numbers(text).count() > 1,
            ([b'>', ..], b'u') => self.kitty = self.kitty.saturating_add(1),
            ([b'<', text @ ..], b'u') => {
                let count = numbers(text).next().unwrap_or(0).max(1);
                self.kitty = self.kitty.saturating_sub(count.into());
            }
            ([b'=', ..], b'u') => self.kitty_set = true,
            ([b'?', ..], b'r') => {}
            (_, b'r') => {
                let mut lines = numbers(text);
                self.margins = (lines.next().unwrap_or(0), lines.next().unwrap_or(0));
            }
            ([text @ .., b' '], b'q') => self.cursor = numbers(text).next() != Some(0),
            _ => {}
        }
    }

    fn osc(&mut self, text: &[u8]) {
        let (number, rest) = match text.iter().position(|byte| *byte == b';') {
            Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default()),
            None => (text, &[][..]),
        };
        if number == b"8" {
            // Parameters, and the address.
            self.link = rest.iter().position(|byte| *byte == b';').is_some_and(|at| at + 1 < rest.len());
            return;
        }
        let number = numbers(number).next().unwrap_or(0);
        for (sets, puts_back) in COLOURS {
            if number == sets && !rest.ends_with(b"?") {
                self.colours.insert(puts_back);
            } else if number == puts_back && rest.is_empty() {
                self.colours.remove(&puts_back);
            }
        }
    }

    fn undo(self, out: &mut Vec<u8>, lines: u16) {
        let mut say = |text: &str| out.extend(text.as_bytes());
        let keys = |say: &mut dyn FnMut(&str)| {
            if self.kitty_set {
                say("\x1b[=0u");
            }
            if self.kitty > 0 {
                say(&format!("\x1b[<{}u", self.kitty));
            }
        };
        keys(&mut say);
        for mode in self.modes.iter().filter(|mode| **mode != ORIGIN) {
            say(&format!("\x1b[?{mode}{}", if ON.contains(mode) { 'h' } else { 'l' }));
        }
        // Each screen has its own.
        if self.modes.iter().any(|mode| OTHER_SCREEN.contains(mode)) {
            keys(&mut say);
        }
        self.plain_modes.iter().for_each(|mode| say(&format!("\x1b[{mode}l")));
        if self.other_keys {
            say("\x1b[>4m");
        }
        if self.keypad {
            say("\x1b>");
        }
        if self.characters {
            // UTF-8, and the plain set.
            say("\x1b%G\x0f\x1b(B\x1b)B");
        }
        if self.styled {
            say("\x1b[m");
        }
        if self.link {
            say("\x1b]8;;\x1b\\");
        }
        if self.cursor {
            say("\x1b[0 q");
        }
        self.colours.iter().for_each(|number| say(&format!("\x1b]{number}\x1b\\")));
        // Both move the cursor: to where it was, or else to the last line.
        let scrolls = self.margins.0 > 1 || (self.margins.1 != 0 && self.margins.1 < lines);
        match (self.modes.contains(&ORIGIN), scrolls) {
            (true, _) => say("\x1b[?6l\x1b[r\x1b[999;1H"),
            (false, true) => say("\x1b7\x1b[r\x1b8"),
            (false, false) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undone(shown: &str) -> String {
        let mut modes = Modes::default();
        modes.shown(shown.as_bytes());
        String::from_utf8(modes.undo(false, 24)).unwrap()
    }

    #[test]
    fn what_a_program_leaves_is_put_back_and_nothing_else() {
        for (shown, undo) in [
            ("plain \x1b[31mred\x1b[0m \x1b]0;title\x07\n", ""),
            ("\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[?2004l\x1b[?25h\x1b[?1049l", ""),
            ("\x1b[?1049h\x1b[?25l\x1b[?1003;1006h", "\x1b[?25h\x1b[?1003l\x1b[?1006l\x1b[?1049l"),
            ("\x1b[?7l\x1b[4h\x1b[?1h\x1b=", "\x1b[?1l\x1b[?7h\x1b[4l\x1b>"),
            ("\x1b[31m", "\x1b[m"),
            ("\x1b[1;0m\x1b[m", ""),
            ("\x1b(0", "\x1b%G\x0f\x1b(B\x1b)B"),
            ("\x1b[5;9r", "\x1b7\x1b[r\x1b8"),
            ("\x1b[5;9r\x1b[r", ""),
            ("\x1b[5;9r\x1b[1;24r", ""),
            ("\x1b[>4;2m\x1b[?1u", "\x1b[>4m"),
            ("\x1b[>4;2m\x1b[>4;m", ""),
            ("\x1b]8;;http://x\x1b\\text", "\x1b]8;;\x1b\\"),
            ("\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\", ""),
            ("\x1b]11;#000\x07\x1b]10;?\x07", "\x1b]111\x1b\\"),
            ("\x1b]4;1;red\x07\x1b]104\x07", ""),
            ("\x1b[>1u\x1b[>3u\x1b[<u", "\x1b[<1u"),
            ("\x1b[?1049h\x1b[>1u\x1bc", ""),
            ("\x1b]0;never ended", "\x18\x1b\\"),
        ] {
            assert_eq!(undone(shown), undo, "{shown:?}");
        }
    }

    #[test]
    fn questions_are_counted_until_they_are_answered() {
        let questions = "\x1b[c\x1b[>c\x1b[6n\x1b[?6n\x1b[21t\x1b[?2026$p\x1b[>q\x1b[?u\x1bP$qm\x1b\\\x1b]11;?\x07\x1bZ\x1bP+q4\x1b\\";
        let mut modes = Modes::default();
        modes.shown(b"\x1b[1m\x1b[2J\x1b[8;24;80t\x1b]0;t\x07\x1b[3 q\x1b[s\x1b[u");
        assert!(!modes.awaits_answers());
        modes.shown(questions.as_bytes());
        assert_eq!(modes.asked, 12);
        // Keys, mice and pastes are no answers.
        modes.read(b"hello\r\x1b[A\x1bOP\x1b[97;5u\x1b[<0;1;1M\x1b[200~text\x1b[201~\x1b[I");
        assert_eq!(modes.asked, 12);
        modes.read(
            b"\x1b[?62;c\x1b[>0;276;0c\x1b[1;1R\x1b[?1;1;1R\x1b]ltitle\x1b\\\x1b[?2026;2$y\x1bP>|X\x1b\\\x1b[?0u",
        );
        modes.read(b"\x1bP1$r0m\x1b\\\x1b]11;rgb:0/0/0\x1b\\\x1b[?62c");
        assert_eq!(modes.asked, 1);
        modes.read(b"\x1bP0+r\x1b\\");
        assert!(!modes.awaits_answers());
    }
}
