//! The format of git's configuration files: git-config(1), "Syntax".

use crate::sys;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// A line of a file, with what its section says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Name of the section, in lower case: `user`, `includeif`.
    pub section: Rc<str>,
    /// The part of the section's name in quotes.
    pub subsection: Option<Rc<[u8]>>,
    /// Name of the variable, in lower case.
    pub key: String,
    /// Its value; none for a variable without `=`, which means true.
    pub value: Option<Vec<u8>>,
}

impl Line {
    /// The full name of a variable in a section without a subsection: `user.name`.
    pub fn name(&self) -> Option<String> {
        self.subsection.is_none().then(|| format!("{}.{}", self.section, self.key))
    }

    /// Adds the line to a file, with the header of its section.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.extend(format!("[{}", self.section).bytes());
        if let Some(subsection) = &self.subsection {
            out.extend(b" ");
            quote(subsection, out);
        }
        out.extend(format!("]\n\t{}", self.key).bytes());
        if let Some(value) = &self.value {
            out.extend(b" = ");
            quote(value, out);
        }
        out.push(b'\n');
    }
}

/// Adds a text in quotes.
fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', *byte]),
            b'\n' => out.extend(b"\\n"),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

/// The name of a section, and the part of it in quotes.
type Section = (Rc<str>, Option<Rc<[u8]>>);

/// The lines of a file.
///
/// # Errors
///
/// The number of the first line that git would not read.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Line>, usize> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = Reader { rest: text, line: 1 };
    let mut lines = Vec::new();
    // All lines of a section share its name, which may be long.
    let mut section: Option<Section> = None;
    loop {
        match reader.next() {
            None => return Ok(lines),
            Some(b'#' | b';') => reader.skip_line(),
            Some(byte) if is_space(byte) => {}
            Some(b'[') => {
                let (name, subsection) = reader.section().ok_or(reader.line)?;
                section = Some((name.into(), subsection.map(Rc::from)));
            }
            Some(byte) if byte.is_ascii_alphabetic() => {
                let (section, subsection) = section.clone().ok_or(reader.line)?;
                let at = reader.line;
                let (key, value) = reader.variable(byte).ok_or(at)?;
                lines.push(Line { section, subsection, key, value });
            }
            Some(_) => return Err(reader.line),
        }
    }
}

/// White space, as git has it.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)
}

/// Reads a file byte by byte; `\r\n` is `\n`.
struct Reader<'t> {
    rest: &'t [u8],
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        self.rest = match self.rest {
            [b'\r', rest @ ..] if rest.first() == Some(&b'\n') => rest,
            rest => rest,
        };
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        self.line += usize::from(*byte == b'\n');
        Some(*byte)
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|byte| byte != b'\n') {}
    }

    /// The rest of a section's header: `user]`, `remote "origin"]`, or `remote.origin]`.
    fn section(&mut self) -> Option<(String, Option<Vec<u8>>)> {
        let mut name = String::new();
        loop {
            match self.next()? {
                b']' => {
                    let (section, subsection) = match name.split_once('.') {
                        Some((section, subsection)) => (section.to_owned(), Some(subsection.into())),
                        None => (name, None),
                    };
                    return Some((section, subsection));
                }
                b' ' | b'\t' => break,
                byte if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.' => {
                    name.push(byte.to_ascii_lowercase().into());
                }
                _ => return None,
            }
        }
        let mut next = self.next()?;
        while next == b' ' || next == b'\t' {
            next = self.next()?;
        }
        if next != b'"' {
            return None;
        }
        let mut subsection = Vec::new();
        loop {
            match self.next()? {
                b'\n' => return None,
                b'"' => return (self.next()? == b']').then_some((name, Some(subsection))),
                b'\\' => match self.next()? {
                    b'\n' => return None,
                    byte => subsection.push(byte),
                },
                byte => subsection.push(byte),
            }
        }
    }

    /// A variable whose name begins with this letter.
    fn variable(&mut self, first: u8) -> Option<(String, Option<Vec<u8>>)> {
        let mut key = String::from(char::from(first.to_ascii_lowercase()));
        let mut next = self.next();
        while let Some(byte) = next.filter(|byte| byte.is_ascii_alphanumeric() || *byte == b'-') {
            key.push(byte.to_ascii_lowercase().into());
            next = self.next();
        }
        while matches!(next, Some(b' ' | b'\t')) {
            next = self.next();
        }
        match next {
            None | Some(b'\n') => Some((key, None)),
            Some(b'=') => Some((key, Some(self.value()?))),
            Some(_) => None,
        }
    }

    /// What is behind `=`, up to the end of the line.
    fn value(&mut self) -> Option<Vec<u8>> {
        let (mut value, mut kept, mut quoted) = (Vec::new(), 0, false);
        loop {
            match self.next() {
                None | Some(b'\n') if quoted => return None,
                None | Some(b'\n') => {
                    // White space at the end is none of the value, unless it is in quotes.
                    value.truncate(kept);
                    return Some(value);
                }
                Some(b'#' | b';') if !quoted => {
                    self.skip_line();
                    value.truncate(kept);
                    return Some(value);
                }
                Some(byte) if is_space(byte) && !quoted => {
                    if !value.is_empty() {
                        value.push(byte);
                    }
                    continue;
                }
                Some(b'"') => quoted = !quoted,
                Some(b'\\') => match self.next()? {
                    b'\n' => continue,
                    b't' => value.push(b'\t'),
                    b'n' => value.push(b'\n'),
                    b'b' => value.push(8),
                    byte @ (b'"' | b'\\') => value.push(byte),
                    _ => return None,
                },
                Some(byte) => value.push(byte),
            }
            kept = value.len();
        }
    }
}

/// The path that is all of a file but these words before it.
pub(super) fn path_in(file: &Path, before: &str) -> Option<PathBuf> {
    let text = sys::read_start(file, libc::PATH_MAX as usize).ok()?;
    let path = text.strip_prefix(before.as_bytes())?.trim_ascii_end();
    (!path.is_empty() && !path.contains(&b'\n')).then(|| OsStr::from_bytes(path).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts in all forms that the format has. Whether git reads them in the same way, tests/identity.rs asks it.
    const TEXTS: [&str; 4] = [
        "# c\n[User]\n\tName = A B  ; c\n email=a@b\n[core] autocrlf\r\n\teol = lf\r\n",
        "[includeIf \"gitdir:~/a \\\"b\\\"/\"]\npath = x\n[remote.Origin]\nurl = y",
        "[a]\nb = \" c \" d # e\nf = g\\\n  h\\tj\ni = \nk = \"#l\"\\\\\n",
        "\u{feff}[a-b]\n  c-1 = d\n\n",
    ];

    fn named(text: &[u8]) -> Vec<(String, Option<String>)> {
        let word = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        let name = |line: &Line| match &line.subsection {
            Some(sub) => format!("{}.{}.{}", line.section, word(&sub.to_vec()), line.key),
            None => line.name().unwrap(),
        };
        parse(text).unwrap().iter().map(|line| (name(line), line.value.as_ref().map(word))).collect()
    }

    #[test]
    fn a_file_is_read_as_git_reads_it() {
        let seen: Vec<_> = TEXTS.iter().flat_map(|text| named(text.as_bytes())).collect();
        let expected = [
            ("user.name", Some("A B")),
            ("user.email", Some("a@b")),
            ("core.autocrlf", None),
            ("core.eol", Some("lf")),
            ("includeif.gitdir:~/a \"b\"/.path", Some("x")),
            ("remote.origin.url", Some("y")),
            ("a.b", Some(" c  d")),
            ("a.f", Some("g  h\tj")),
            ("a.i", Some("")),
            ("a.k", Some("#l\\")),
            ("a-b.c-1", Some("d")),
        ];
        assert_eq!(seen, expected.map(|(name, value)| (name.to_owned(), value.map(str::to_owned))));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in TEXTS.iter().chain(&["[a \"b\\\\ c\"]\nd = \"\\n[x]\\ny = z \""]) {
            let lines = parse(text.as_bytes()).unwrap();
            let mut written = Vec::new();
            lines.iter().for_each(|line| line.put(&mut written));
            assert_eq!(parse(&written).unwrap(), lines, "{text}");
        }
    }

    #[test]
    fn a_line_that_git_does_not_read_is_told() {
        for (text, line) in [
            ("a = b", 1),
            ("[a]\n[b\nc = d", 3),
            ("[a]\n\nb = \"c\n", 4),
            ("[a]\nb c", 2),
            ("[a]\nb = \\x", 2),
            ("[a \"b", 1),
        ] {
            let wrong = parse(text.as_bytes()).unwrap_err();
            assert!(wrong == line || wrong + 1 == line, "{text}: {wrong}");
        }
    }
}
