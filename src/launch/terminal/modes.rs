//! What a program has made of the caller's terminal by control sequences, and what it has asked of it: both would be left to whoever uses
//! the terminal next. Modes change what keys send, or hide what is written; an answer is typed into whoever reads next. A terminal is not
//! followed exactly: after what may be understood in several ways, all is put back that is known here.

use super::known::is_known;
use super::left::Left;
use super::questions::{is_answer, questions};
use super::sequences::Sequences;

/// What was changed by sequences and not put back, and what was asked and not answered.
#[derive(Debug, Default)]
pub(super) struct Modes {
    output: Sequences,
    input: Sequences,
    left: Left,
    /// Questions that were not answered yet.
    asked: u32,
}

impl Modes {
    /// Takes what is written to the terminal.
    pub(super) fn shown(&mut self, bytes: &[u8]) {
        let Modes { output, left, asked, .. } = self;
        output.read(bytes, &mut |sequence| {
            let known = is_known(&sequence);
            *asked = asked.saturating_add(questions(&sequence).max(u32::from(!known)));
            left.unsure |= !known;
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

    /// What puts back all that was changed, on a screen of so many lines, of a terminal that is in UTF-8 or not. With `cut`, not all that was
    /// taken has been written.
    pub(super) fn undo(&mut self, cut: bool, lines: u16, utf8: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let left = std::mem::take(&mut self.left);
        if cut || self.output.is_open() || left.unsure {
            // The first cancels a sequence, and the second ends a string that does not let itself be cancelled.
            out.extend(b"\x18\x1b\\");
        }
        if left.unsure {
            left.undo_all(&mut out, utf8);
        } else {
            left.undo(&mut out, lines, false);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undone(shown: &str) -> String {
        let mut modes = Modes::default();
        modes.shown(shown.as_bytes());
        String::from_utf8(modes.undo(false, 24, true)).unwrap()
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
            ("\x1b(0", "\x1b(B"),
            ("\x1b(0\x1b(B\x0e\x0f\x1b%G", ""),
            ("\x1b(B\x1b[m\x0f", ""),
            ("\x1b)0\x0e", "\x0f\x1b)B"),
            ("\x1b-A\x1bn", "\x0f\x1b)B"),
            ("\x1b(0\x1b7\x1b(B\x1b8", "\x1b(B"),
            ("\x1b[5;9r", "\x1b7\x1b[r\x1b8"),
            ("\x1b[5;9r\x1b[r", ""),
            ("\x1b[5;9r\x1b[1;24r", ""),
            ("\x1b[>4;2m\x1b[?1u", "\x1b[>4m"),
            ("\x1b[>4;2m\x1b[>1m\x1b[>2f\x1b[>1;1f", "\x1b[>4m\x1b[>1f"),
            ("\x1b[?1003h\x1b[?1003s\x1b[?1003l\x1b[?1003r", "\x1b[?1003l\x1b[?1003s"),
            ("\x1b[?25r", "\x1b[?25h"),
            ("\x1b[8m\x1b7\x1b[m\x1b8", "\x1b[m"),
            ("\x1b[8m\x1b[s\x1b[m\x1b[u", "\x1b[m"),
            ("\x1b[8m\x1b7\x1b[m\x1b[?1048l", "\x1b[m"),
            ("\x1b7\x1b[5;9r\x1b8\x1b[1A\x1b[r", ""),
            ("\x1b[8m\x1b[#{\x1b[m\x1b[#}", "\x1b[m"),
            ("\x1b[?6h\x1b7\x1b[?6l\x1b8", "\x1b[?6l\x1b[r\x1b[999;1H"),
            ("\x1b G", "\x1b F"),
            ("\x1b[?67h\x1b[12l\x1b[?1061h", "\x1b[?67l\x1b[?1061l\x1b[12h"),
            ("\x1b[>4;2m\x1b[>4;m", ""),
            ("\x1b]8;;http://x\x1b\\text", "\x1b]8;;\x1b\\"),
            ("\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\", ""),
            ("\x1b]11;#000\x07\x1b]10;?\x07", "\x1b]111\x1b\\"),
            ("\x1b]4;1;red\x07\x1b]104\x07", ""),
            ("\x1b]4;1;red;2;?\x07", "\x1b]104\x1b\\"),
            ("\x1b]4;1;?;2;?\x07\x1b]10;?;?\x07", ""),
            ("\x1b]10;#000;#000\x07", "\x1b]110\x1b\\\x1b]111\x1b\\"),
            ("\x1b]10;?;#000\x07", "\x1b]111\x1b\\"),
            ("\x1b[>1u\x1b[>3u\x1b[<u", "\x1b[<1u"),
            ("\x1b[?1049h\x1b[>1u\x1bc", ""),
            ("\x1b]0;never ended", "\x18\x1b\\"),
            // Common, and nothing to put back.
            ("\x1bPzz\x1b\\\x1b[0%m\x1b[6n\x1bP$q q\x1b\\\x1b[?1006;1000h\x1b[?1006;1000l", ""),
            (
                "\x1b[22;0;0t\x1b[2J\x1b[H\x1b[38;2;1;2;3m\x1b[m\x1b[4:3m\x1b[m\x1bktitle\x1b\\\x1bPtmux;x\x1b\\\x1b[23;0;0t",
                "",
            ),
            (
                "\x1b[?12h\x1b[?12l\x1b[?12$p\x1b[>c\x1b[3J\x1b[!p\x1b[?1034h\x1bM\x1b#8\x1b]133;A\x07\x1b]8;;http://x?\x07\x1b]8;;\x07",
                "",
            ),
        ] {
            assert_eq!(undone(shown), undo, "{shown:?}");
        }
    }

    #[test]
    fn after_what_is_not_understood_everything_is_put_back() {
        let zeros = "0".repeat(70);
        for shown in [
            format!("\x1b[?{zeros}1003h"),
            format!("\x1b[{zeros}8m"),
            format!("\x1b[?{}1003l", "1;".repeat(17)),
            "\x1b[?66539h".into(),
            "\x1b[\u{9b}?1003h".into(),
            "\x1b[1?1003h".into(),
            "\x1b]0;t\u{9c}\x1b[?1003l".into(),
            "\x1b[?2l".into(),
            "\x1b[?2l\x1bc".into(),
            "\x1b[?38h".into(),
            "\x1b[61\"p".into(),
            "\x1bP1;1|17/41\x1b\\".into(),
            "\x1bP1$t1;1;1\x1b\\".into(),
            "\x1b%@".into(),
            "\x1b[[A".into(),
            "\x1b[1;2'z".into(),
            "\x1b[1$}".into(),
            format!("\x1b]{zeros}4;1;red\x1b\\"),
        ] {
            let undone = undone(&shown);
            for part in [
                "\x18\x1b\\\x1b\x03\x1b<\x1b F",
                "\x1b[!p",
                "\x1b[?1003l",
                "\x1b[?2004l",
                "\x1b[?7h",
                "\x1b[?25h",
                "\x1b[?67l",
                "\x1b[12h",
                "\x1b[m",
                "\x1b[>4m",
                "\x1b[>0m",
                "\x1b[=0u",
                "\x1b]104\x1b\\",
                "\x1b%G",
                "\x1bP0;1|\x1b\\",
                "\x1b[?6l\x1b[r\x1b[999;1H\r\n",
            ] {
                assert!(undone.contains(part), "{shown:?}: {part:?}: {undone:?}");
            }
            // An answer may come as well.
            let mut modes = Modes::default();
            modes.shown(shown.as_bytes());
            assert!(modes.awaits_answers() || shown.contains("?2l"), "{shown:?}");
        }
    }

    #[test]
    fn a_terminal_that_is_not_in_utf_8_is_not_made_one() {
        for shown in ["\x1b%@", "\x1b[?38h", "\x1b(0"] {
            let mut modes = Modes::default();
            modes.shown(shown.as_bytes());
            let undone = String::from_utf8(modes.undo(false, 24, false)).unwrap();
            assert!(!undone.contains("\x1b%") && undone.contains("\x1b(B"), "{shown:?}: {undone:?}");
        }
    }

    #[test]
    fn questions_with_several_answers_and_those_of_other_terminals_are_counted() {
        for (shown, count) in [
            ("\x1b[?4m", 1),
            ("\x1b[?4g", 1),
            ("\x1b[#R", 1),
            ("\x1b['|", 1),
            ("\x1b]4;0;?;1;?\x1b\\", 2),
            ("\x1b]10;?;?\x1b\\", 2),
            ("\x1b]21;foreground=?\x1b\\", 1),
            ("\x1b]4;0;rgb:0000/0000/0000;1;rgb:0000/0000/0000;2;rgb:0000/0000/0000;3;?\x07", 1000),
            ("\x1b]52;c;?\x07", 1),
            ("\x1b_Gi=1,a=T,f=24,s=1,v=1;AAAA\x1b\\", 1),
            ("\x1b]1337;ReportCellSize\x07", 1),
            ("\x05", 1),
            ("\x1b[?00000000000000000000000000000000000000000000000000000000000000000000000001003$p", 1),
            ("\x1bP+q436f;544e\x1b\\", 2),
            ("\x1b[c\x1b[1x\x1b[32;1;1;2;2$x\x1b[2*x", 2),
            ("\x1b]8;;http://x?\x07\x1b[1m\x1b_Ga=T,f=24;AAAA\x1b\\\x1b]0;what?\x07", 0),
        ] {
            let mut modes = Modes::default();
            modes.shown(shown.as_bytes());
            assert_eq!(modes.asked, count, "{shown:?}");
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
