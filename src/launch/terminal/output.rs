//! The program's output, on its way to the caller's terminal.

/// The most that is kept, in bytes: as long as there is more, the program's output is not read.
pub(super) const BUFFER: usize = 16 * 1024;

/// Output that the caller's terminal has not taken yet.
#[derive(Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    /// A CR came last, and what follows it is not known yet.
    held: bool,
}

impl Output {
    /// Adds what the program's terminal has given. With `ends_lines`, both terminals end a line with CR LF: one CR before each LF is
    /// left out, and the caller's terminal adds it again.
    pub(super) fn add(&mut self, data: &[u8], ends_lines: bool) {
        for (at, part) in data.split(|byte| *byte == b'\r').enumerate() {
            // A CR comes before each part but the first.
            if at > 0 {
                self.settle();
                self.held = true;
            }
            if !part.is_empty() {
                let held = std::mem::take(&mut self.held);
                if held && !(ends_lines && part.starts_with(b"\n")) {
                    self.bytes.push(b'\r');
                }
                self.bytes.extend_from_slice(part);
            }
        }
    }

    /// Nothing more has come for now: a CR at the end is one by itself.
    pub(super) fn settle(&mut self) {
        if std::mem::take(&mut self.held) {
            self.bytes.push(b'\r');
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= BUFFER
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Removes what was written.
    pub(super) fn written(&mut self, n: usize) {
        self.bytes.drain(..n.min(self.bytes.len()));
    }

    pub(super) fn clear(&mut self) {
        *self = Output::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_the_program_ended_them() {
        let mut output = Output::default();
        for data in ["a\r", "\nb\r\r\n", "\rc\r"] {
            output.add(data.as_bytes(), true);
        }
        assert_eq!(output.bytes(), b"a\nb\r\n\rc");
        output.settle();
        output.settle();
        output.add(b"\r\n", false);
        assert_eq!(output.bytes(), b"a\nb\r\n\rc\r\r\n");
    }
}
