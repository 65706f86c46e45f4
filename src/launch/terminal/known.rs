//! Which control sequences change nothing of a terminal but what is shown, or what `modes` puts back, on all terminals alike.

use super::sequences::{Sequence, is_plain, numbers};

/// A Tektronix terminal, in which no sequences of a VT are known.
const TEKTRONIX: u16 = 38;

/// Whether a sequence is understood. Of others, anything has to be expected.
pub(super) fn is_known(sequence: &Sequence<'_>) -> bool {
    match sequence {
        Sequence::Unclear => false,
        Sequence::Control(_) => true,
        Sequence::Escape(b"", end) => b"78=>DEHMZcnoNO|}~\\".contains(end),
        Sequence::Escape(b" ", end) => matches!(end, b'F' | b'G'),
        Sequence::Escape(b"#", end) => matches!(end, b'3'..=b'6' | b'8'),
        Sequence::Escape(b"%", end) => *end == b'G',
        Sequence::Escape(text, _) => matches!(text.first(), Some(b'(' | b')' | b'*' | b'+' | b'-' | b'.' | b'/')),
        Sequence::Csi(text, end) => is_known_csi(text, *end),
        // Its number has to be whole; what is behind it may be of any length.
        Sequence::Text(b']', text) => {
            let number = text.split(|byte| *byte == b';').next().unwrap_or_default();
            number.len() <= 5 && number.iter().all(u8::is_ascii_digit)
        }
        // Questions, pictures, frames, and what is for a terminal around tmux.
        Sequence::Text(b'P', text) => {
            let known = [&b"$q"[..], b"+q", b"=1s", b"=2s", b"tmux;"].iter().any(|start| text.starts_with(start));
            let picture = text.iter().find(|byte| !matches!(byte, b'0'..=b'9' | b';')) == Some(&b'q');
            // vim asks so whether there are such strings at all.
            known || picture || *text == b"zz"
        }
        Sequence::Text(..) => true,
    }
}

fn is_known_csi(text: &[u8], end: u8) -> bool {
    let is_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b';' | b':');
    let (prefix, rest) = match text {
        [prefix @ b'<'..=b'?', rest @ ..] => (*prefix, rest),
        _ => (0, text),
    };
    let at = rest.iter().position(|byte| !is_number(byte)).unwrap_or(rest.len());
    let (values, more) = rest.split_at_checked(at).unwrap_or_default();
    // Of too many attributes, it is enough to know that there were some.
    let is_style = prefix == 0 && end == b'm';
    if !(is_style || is_plain(values)) || (values.contains(&b':') && end != b'm') {
        return false;
    }
    let ends: &[u8] = match (prefix, more) {
        (b'?', b"") if numbers(values).any(|mode| mode == TEKTRONIX) => b"JKSgimnu",
        (b'?', b"") => b"JKSghilmnrsu",
        (b'>', b"") => b"Tcfmnpqstu",
        (b'<', b"") => b"u",
        (b'=', b"") => b"cu",
        (0, b"") => b"@ABCDEFGHIJKLMPSTXZ`abcdefghilmnrqstux",
        (0, b" ") => b"@Aqtu",
        (0 | b'?', b"$") => b"prtuvwxz{",
        (0, b"!") => b"p",
        (0, b"#") => b"PQRSpqy{|}",
        (0, b"*") => b"xy",
        (0, b"'") => b"w{|}~",
        // As vim tries it: some terminals take it for attributes.
        (0, b"%") => b"m",
        _ => b"",
    };
    ends.contains(&end)
}
