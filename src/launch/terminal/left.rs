//! What control sequences have changed of a terminal and not put back, and what puts it back.

use super::sequences::{LONGEST, MOST, Sequence, numbers};
use std::collections::BTreeSet;

/// Private modes of terminals that are put back (DECSET; xterm's ctlseqs.ms), other than by how they are without a program: cursor keys,
/// VT52, reverse video, lines that wrap, mice, the cursor, keypad, the key Backspace, margins, focus, the alternate screen, kinds of
/// function keys, key releases, bracketed paste, frames that are held back, notes of changed colours and sizes, other protocols of keys.
const MODES: [u16; 37] = [
    1, 2, 5, 6, 7, 9, 25, 47, 66, 67, 68, 69, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 1047, 1049, 1050,
    1051, 1052, 1053, 1060, 1061, 1337, 2004, 2026, 2031, 2048, 5522, 7727, 9001,
];
/// Those of them that are on without a program.
const ON: [u16; 3] = [ANSI, WRAP, 25];
/// Sequences of ECMA-48, rather than those of a VT52, in which nothing else can be put back.
const ANSI: u16 = 2;
const WRAP: u16 = 7;
/// The alternate screen, by each of its modes. The last one also puts the cursor where it was saved.
const OTHER_SCREEN: [u16; 3] = [47, 1047, 1049];
/// The mode in which the position of the cursor counts from the margins.
const ORIGIN: u16 = 6;
/// Modes of ECMA-48: the keyboard is locked, characters are inserted, what is typed is not shown by the terminal, a line feed begins a
/// line.
const PLAIN_MODES: [u16; 4] = [2, 4, SILENT, 20];
/// The one that is on without a program.
const SILENT: u16 = 12;
/// Colours that an OSC sets, and the OSC that puts them back.
const COLOURS: [(u16, u16); 8] = [(4, 104), (5, 105), (10, 110), (11, 111), (12, 112), (13, 113), (17, 117), (19, 119)];
/// What xterm's modifyOtherKeys and its like set: which keys send sequences of their own.
const KEYS: [u16; 7] = [0, 1, 2, 3, 4, 6, 7];

/// What begins a designation of a character set as each of G0 to G3, for sets of 94 and of 96 characters (ECMA-35).
const SETS: [&[u8]; 4] = [b"(", b")-", b"*.", b"+/"];
/// The bit for another set than G0 being shifted to, on either side.
const SHIFTED: u8 = 1 << 4;

/// What was changed and not put back.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Something was not understood: anything may have changed.
    pub(super) unsure: bool,
    /// Private modes that are others than without a program, and those that were ever saved so.
    modes: BTreeSet<u16>,
    saved_modes: BTreeSet<u16>,
    plain_modes: BTreeSet<u16>,
    /// Colours, by the OSC that puts them back.
    colours: BTreeSet<u16>,
    keypad: bool,
    /// The first and the last line of what scrolls; 0 is that of the screen.
    margins: (u16, u16),
    written: Written,
    /// What was ever saved with the cursor.
    saved: Written,
    cursor: bool,
    link: bool,
    /// What keys send: xterm's modifyOtherKeys and its like, and kitty's protocol, with how often that was begun.
    keys: BTreeSet<u16>,
    formats: BTreeSet<u16>,
    kitty: u32,
    kitty_set: bool,
    /// Answers and keys begin with a C1 of one byte, and the level of the terminal is another.
    eight: bool,
    level: bool,
}

/// What is saved and restored with the cursor.
#[derive(Debug, Default, Clone, Copy)]
struct Written {
    /// What is not as it is at the start of G0 to G3, by their bits, and of [`SHIFTED`].
    characters: u8,
    /// Colours or other attributes of what is written.
    styled: bool,
    origin: bool,
    unwrapped: bool,
}

impl Written {
    fn with(self, other: Written) -> Written {
        Written {
            characters: self.characters | other.characters,
            styled: self.styled || other.styled,
            origin: self.origin || other.origin,
            unwrapped: self.unwrapped || other.unwrapped,
        }
    }
}

impl Left {
    pub(super) fn take(&mut self, sequence: &Sequence<'_>) {
        match sequence {
            Sequence::Control(0x0e) => self.written.characters |= SHIFTED,
            Sequence::Control(0x0f) => self.written.characters &= !SHIFTED,
            Sequence::Control(_) | Sequence::Unclear => {}
            // A reset may leave colours and what was saved as they are, and is none in a VT52.
            Sequence::Escape(b"", b'c') => {
                let Left { unsure, saved_modes, saved, colours, .. } = std::mem::take(self);
                *self = Left { unsure, saved_modes, saved, colours, ..Left::default() };
            }
            Sequence::Escape(b"", b'7') => self.save(),
            Sequence::Escape(b"", b'8') => self.restore(),
            Sequence::Escape(b" ", b'G') => self.eight = true,
            Sequence::Escape(b" ", b'F') => self.eight = false,
            Sequence::Escape(b"", b'=') => self.keypad = true,
            Sequence::Escape(b"", b'>') => self.keypad = false,
            Sequence::Escape(b"", b'n' | b'o' | b'|' | b'}' | b'~') => self.written.characters |= SHIFTED,
            Sequence::Escape([set @ (b'(' | b')' | b'*' | b'+' | b'-' | b'.' | b'/'), more @ ..], end) => {
                let set = 1 << SETS.iter().position(|sets| sets.contains(set)).unwrap_or(0);
                self.written.characters &= !set;
                // ASCII, which is what terminals of UTF-8 begin with.
                if !(more.is_empty() && matches!((set, *end), (1 | 2 | 4 | 8, b'B'))) {
                    self.written.characters |= set;
                }
            }
            Sequence::Escape(..) => {}
            Sequence::Csi(text, end) => self.csi(text, *end),
            Sequence::Text(b']', text) => self.osc(text),
            Sequence::Text(..) => {}
        }
    }

    fn save(&mut self) {
        let here =
            Written { origin: self.modes.contains(&ORIGIN), unwrapped: self.modes.contains(&WRAP), ..self.written };
        self.saved = self.saved.with(here);
    }

    fn restore(&mut self) {
        self.written = self.written.with(self.saved);
        self.modes.extend(
            [(ORIGIN, self.saved.origin), (WRAP, self.saved.unwrapped)].iter().filter(|mode| mode.1).map(|mode| mode.0),
        );
    }

    fn csi(&mut self, text: &[u8], end: u8) {
        let set = |modes: &mut BTreeSet<u16>, known: &[u16], on: &[u16], text: &[u8]| {
            for mode in numbers(text).filter(|mode| known.contains(mode)) {
                match (end == b'h') != on.contains(&mode) {
                    true => modes.insert(mode),
                    false => modes.remove(&mode),
                };
            }
        };
        match (text, end) {
            ([b'?', text @ ..], b'h' | b'l') => {
                let cursor = numbers(text).any(|mode| matches!(mode, 1048 | 1049));
                if cursor && end == b'h' {
                    self.save();
                }
                set(&mut self.modes, &MODES, &ON, text);
                if cursor && end == b'l' {
                    self.restore();
                }
                // All that follows is for a VT52.
                self.unsure |= self.modes.contains(&ANSI);
            }
            (_, b'h' | b'l') => set(&mut self.plain_modes, &PLAIN_MODES, &[SILENT], text),
            ([b'>', text @ ..], b'm') => Left::set_keys(&mut self.keys, text),
            ([b'>', text @ ..], b'f') => Left::set_keys(&mut self.formats, text),
            ([b'>', text @ ..], b'n') => {
                self.keys.insert(if text.is_empty() { 2 } else { numbers(text).next().unwrap_or(0) });
            }
            ([b'?' | b'<' | b'=', ..], b'm') => {}
            ([b'#'], b'}' | b'q') => self.written.styled = true,
            ([.., b'#'], b'Q') => self.colours.extend(COLOURS.map(|(_, puts_back)| puts_back)),
            ([.., b'"'], b'p') => self.level = true,
            ([b'?', text @ ..], b's') => {
                self.saved_modes.extend(numbers(text).filter(|mode| self.modes.contains(mode)));
            }
            ([b'?', text @ ..], b'r') => {
                self.modes.extend(numbers(text).filter(|mode| MODES.contains(mode)));
                self.unsure |= self.modes.contains(&ANSI);
            }
            ([], b's') => self.save(),
            ([], b'u') => self.restore(),
            ([text @ .., b'%'], b'm') => self.written.styled |= numbers(text).any(|number| number != 0),
            (_, b'm') => self.written.styled = numbers(text).last() != Some(0) || numbers(text).count() > 1,
            ([b'>', ..], b'u') => self.kitty = self.kitty.saturating_add(1),
            ([b'<', text @ ..], b'u') => {
                let count = numbers(text).next().unwrap_or(0).max(1);
                self.kitty = self.kitty.saturating_sub(count.into());
            }
            ([b'=', ..], b'u') => self.kitty_set = true,
            ([.., b'$'], b'r') => {}
            (_, b'r') => {
                let mut lines = numbers(text);
                self.margins = (lines.next().unwrap_or(0), lines.next().unwrap_or(0));
            }
            ([text @ .., b' '], b'q') => self.cursor = numbers(text).next() != Some(0),
            _ => {}
        }
    }

    /// A resource and its value; without that, it is as it was.
    fn set_keys(keys: &mut BTreeSet<u16>, text: &[u8]) {
        let mut values = numbers(text);
        let (key, value) = (values.next().unwrap_or(0), values.next().unwrap_or(0));
        match value {
            _ if text.is_empty() => keys.clear(),
            0 => {
                keys.remove(&key);
            }
            _ => {
                keys.insert(key);
            }
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
        let values: Vec<&[u8]> = rest.split(|byte| *byte == b';').collect();
        for (sets, puts_back) in COLOURS {
            // Pairs of an index and a colour; or colours, of which each is that of the next number.
            let first = if number < 10 { usize::from(number == sets) } else { usize::from(sets.wrapping_sub(number)) };
            let step = if number < 10 { 2 } else { values.len().max(1) };
            let is_of = if number < 10 { number == sets } else { (10..20).contains(&number) && sets >= number };
            let is_set = values.iter().skip(first).step_by(step).any(|value| !matches!(*value, b"" | b"?"));
            if is_of && (is_set || text.len() >= LONGEST) {
                self.colours.insert(puts_back);
            } else if number == puts_back && rest.is_empty() {
                self.colours.remove(&puts_back);
            }
        }
    }

    /// Puts back all that is known, whatever was found. The cursor is on a new last line after it.
    pub(super) fn undo_all(mut self, out: &mut Vec<u8>, utf8: bool) {
        // Back from a Tektronix terminal and a VT52; sequences without C1; the level and the main display; then DECSTR (modes, margins,
        // character sets, attributes, what is saved with the cursor), function keys (DECUDK) and the locator.
        out.extend(b"\x1b\x03\x1b<\x1b F\x1b\\\x1b[0$}");
        // A VT52 becomes a VT100.
        if self.level || self.modes.contains(&ANSI) {
            out.extend(b"\x1b[64;1\"p");
        }
        out.extend(b"\x1b[!p\x1bP0;1|\x1b\\\x1b[0'z");
        self.modes.extend(MODES);
        // It has moved the cursor where it was saved, if there is no other screen.
        self.modes.remove(&1049);
        self.plain_modes.extend(PLAIN_MODES);
        self.colours.extend(COLOURS.map(|(_, puts_back)| puts_back));
        self.keys.extend(KEYS);
        self.formats.extend(KEYS);
        (self.keypad, self.cursor, self.link, self.kitty_set) = (true, true, true, true);
        self.written = Written { characters: u8::MAX, styled: true, ..Written::default() };
        // What the caller had of it stays: who has begun it ends it.
        self.kitty = 0;
        self.eight = false;
        self.undo(out, u16::MAX, utf8);
        out.extend(b"\r\n");
    }

    /// Puts back what was changed, on a screen of so many lines.
    pub(super) fn undo(self, out: &mut Vec<u8>, lines: u16, utf8: bool) {
        let mut say = |text: &str| out.extend(text.as_bytes());
        let keys = |say: &mut dyn FnMut(&str)| {
            if self.kitty_set {
                say("\x1b[=0u");
            }
            if self.kitty > 0 {
                say(&format!("\x1b[<{}u", self.kitty));
            }
        };
        if self.eight {
            say("\x1b F");
        }
        keys(&mut say);
        for mode in self.modes.iter().filter(|mode| **mode != ORIGIN) {
            say(&format!("\x1b[?{mode}{}", if ON.contains(mode) { 'h' } else { 'l' }));
        }
        // Each screen has its own.
        if self.modes.iter().any(|mode| OTHER_SCREEN.contains(mode)) {
            keys(&mut say);
        }
        for mode in &self.plain_modes {
            say(&format!("\x1b[{mode}{}", if *mode == SILENT { 'h' } else { 'l' }));
        }
        self.keys.iter().for_each(|key| say(&format!("\x1b[>{key}m")));
        self.formats.iter().for_each(|key| say(&format!("\x1b[>{key}f")));
        if self.keypad {
            say("\x1b>");
        }
        if utf8 {
            say("\x1b%G");
        }
        if self.written.characters & SHIFTED != 0 {
            say("\x0f");
        }
        let changed = |set: usize| self.written.characters & 1 << set != 0;
        (0..SETS.len()).filter(|set| changed(*set)).for_each(|set| say(["\x1b(B", "\x1b)B", "\x1b*B", "\x1b+B"][set]));
        if self.written.styled {
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
        // What is saved is what was put back.
        if !self.saved_modes.is_empty() {
            let modes: Vec<String> = self.saved_modes.iter().map(u16::to_string).collect();
            modes.chunks(MOST).for_each(|modes| say(&format!("\x1b[?{}s", modes.join(";"))));
        }
    }
}
