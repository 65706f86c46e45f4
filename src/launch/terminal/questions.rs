//! What a program asks of the caller's terminal by control sequences, and what a terminal answers.

use super::sequences::{LONGEST, Sequence, numbers};

/// What CSI t asks for: states, positions, sizes and titles of the window.
const WINDOW: [u16; 9] = [11, 13, 14, 15, 16, 18, 19, 20, 21];

/// OSC with a text for people, or an address, which may have question marks.
const TEXTS: [&[u8]; 8] = [b"0;", b"1;", b"2;", b"7;", b"8;", b"9;", b"133;", b"777;"];

/// How many answers come for a sequence that is longer than what is kept of it: as many as come before the time is over.
const MANY: u32 = 1000;

/// How many answers a terminal may send for a sequence.
pub(super) fn questions(sequence: &Sequence<'_>) -> u32 {
    let count = |all: &[u8], is: &dyn Fn(&[u8]) -> bool| {
        u32::try_from(all.split(|byte| *byte == b';').filter(|part| is(part)).count()).unwrap_or(u32::MAX)
    };
    let has = |all: &[u8], text: &[u8]| all.windows(text.len()).any(|part| part == text);
    match sequence {
        // ENQ, which PuTTY and others answer with a text that can be set.
        Sequence::Control(5) | Sequence::Unclear => 1,
        // DECID, and character sets in which a single byte may begin a sequence.
        Sequence::Escape(b"", b'Z') | Sequence::Escape(b"%", b'@') => 1,
        Sequence::Csi(text, end) => csi(text, *end).into(),
        // Colours, the clipboard, keys of kitty: each with a question mark in the place of the value.
        Sequence::Text(b']', text) if TEXTS.iter().any(|start| text.starts_with(start)) => 0,
        Sequence::Text(b']', text) => {
            let colours = matches!(numbers(text).next(), Some(4 | 5 | 10..=19 | 21));
            let more = if colours && text.len() >= LONGEST { MANY } else { 0 };
            more.max(count(text, &|part| part.ends_with(b"?")))
                + u32::from(has(text, b"1337;Report") || has(text, b"type=read"))
        }
        Sequence::Text(b'P', text) if text.starts_with(b"$q") => 1,
        Sequence::Text(b'P', [b'+', b'q', text @ ..]) => count(text, &|_| true),
        // Any graphic of kitty's with a name is answered, unless that is forbidden.
        Sequence::Text(b'_', [b'G', text @ ..]) => {
            let keys = text.split(|byte| *byte == b';').next().unwrap_or_default();
            u32::from((has(keys, b"a=q") || has(keys, b"i=") || has(keys, b"I=")) && !has(keys, b"q=2"))
        }
        _ => 0,
    }
}

fn csi(text: &[u8], end: u8) -> bool {
    match (text.first(), text.last(), end) {
        (_, Some(b'$'), b'p' | b'w' | b'u') | (_, Some(b'*'), b'y') | (_, Some(b'&'), b'u') => true,
        (_, Some(b'\''), b'|') | (_, Some(b'+'), b'x') | (_, Some(b'#'), b'R' | b'S' | b'|' | b'y') => true,
        (Some(b'>'), _, b'c' | b'q') | (Some(b'='), _, b'c') => true,
        (Some(b'?'), _, b'n' | b'u' | b'S' | b'm' | b'g') => true,
        (Some(b'?' | b'>' | b'='), ..) => false,
        (_, last, b'c' | b'n' | b'x') => last.is_none_or(|last| matches!(last, b'0'..=b'9' | b';')),
        (_, _, b't') => numbers(text).next().is_some_and(|number| WINDOW.contains(&number)),
        _ => false,
    }
}

/// Whether a terminal sends a sequence as an answer, rather than for a key.
pub(super) fn is_answer(sequence: &Sequence<'_>) -> bool {
    match sequence {
        Sequence::Csi(text, b'u') => text.starts_with(b"?"),
        // xterm's modes of keys, and their formats.
        Sequence::Csi(text, b'm' | b'f') => text.starts_with(b">"),
        Sequence::Csi(_, end) => matches!(end, b'c' | b'n' | b'R' | b'x' | b'y' | b't' | b'S'),
        Sequence::Text(..) => true,
        _ => false,
    }
}
