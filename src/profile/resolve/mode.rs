//! Reads the mode of a path with its options: `rw,noexec`, `ro,from=/other`.

use super::builder::Builder;
use crate::profile::document::Text;
use crate::profile::schema::{MODES, PATH_OPTIONS, nearest};
use crate::spec::{Mode, Options, is_size, parse_size};

/// Splits a mode and its options at commas. A value in double quotes may hold commas; in it, a backslash stands before
/// a quote or a backslash that is meant. The error is a sentence without a position.
fn split(text: &str) -> Result<Vec<String>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.find(',').unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        let Some((name, _)) = part.split_once('=').filter(|(_, value)| value.trim_start().starts_with('"')) else {
            parts.push(part.trim().to_owned());
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => return Ok(parts),
            }
            continue;
        };
        let quoted = rest.split_once('"').map_or("", |(_, quoted)| quoted);
        let (value, after) = unquoted(quoted).ok_or_else(|| format!("`{rest}` has no closing quote"))?;
        parts.push(format!("{}={value}", name.trim()));
        let after = after.trim_start();
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(parts),
            None => return Err(format!("`{after}` follows a closing quote")),
        }
    }
}

/// What stands before the closing quote, without backslashes, and what follows it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

impl Builder<'_> {
    pub(super) fn mode(&mut self, text: &Text) -> Option<(Mode, Options)> {
        let (quoted, mut without_quotes, mut with_quotes);
        // Most have no quotes, and there may be thousands.
        let parts: &mut dyn Iterator<Item = &str> = if text.text.contains('"') {
            quoted = match split(&text.text) {
                Ok(parts) => parts,
                Err(why) => {
                    self.wrong(text, why, "a value that holds a comma is written in double quotes: from=\"/a,b\"");
                    return None;
                }
            };
            with_quotes = quoted.iter().map(String::as_str);
            &mut with_quotes
        } else {
            without_quotes = text.text.split(',').map(str::trim);
            &mut without_quotes
        };
        let word = parts.next().unwrap_or_default();
        let Some(mode) = Mode::from_word(word) else {
            let help = match (word, nearest(word, MODES.iter().copied())) {
                (_, Some(near)) => format!("did you mean `{near}`?"),
                _ => format!("modes are {}", MODES.join(", ")),
            };
            self.wrong(text, format!("`{word}` is no mode of a path"), &help);
            return None;
        };
        let mut options = Options::default();
        let before = self.errors.len();
        for part in parts {
            match part.split_once('=') {
                Some(("size", size)) => match parse_size(size) {
                    // tmpfs(5): no limit.
                    Some(0) => self.wrong(text, "a tmpfs of size 0 has no limit".into(), "name a size: `size=64M`"),
                    Some(size) => options.size = Some(size),
                    None if is_size(size) => {
                        self.wrong(text, format!("`{size}` is too large a size"), "16777215T is the most");
                    }
                    None => self.wrong(text, format!("`{size}` is no size"), "bytes, or with K, M, G: `size=64M`"),
                },
                Some(("from", from)) => {
                    options.from = self.path(&Text { text: from.to_owned(), at: text.at.clone() });
                }
                _ => match part {
                    "optional" => options.optional = true,
                    "create" => options.create = true,
                    "exclusive" => options.exclusive = true,
                    "noexec" => options.noexec = true,
                    "nosuid" => options.nosuid = true,
                    "nodev" => options.nodev = true,
                    "prefer" => options.prefer = true,
                    _ => {
                        let help = match nearest(part, PATH_OPTIONS.iter().copied()) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => format!("options are {}", PATH_OPTIONS.join(", ")),
                        };
                        self.wrong(text, format!("`{part}` is no option of a path"), &help);
                    }
                },
            }
        }
        let misfit = match mode {
            _ if options.size.is_some() && mode != Mode::Tmpfs => Some(("size", "`size` goes with `tmpfs`")),
            _ if options.from.is_some() && !mode.shows_host() => {
                Some(("from", "`from` goes with `ro`, `rw` and `overlay`"))
            }
            _ if options.create && mode != Mode::Rw => Some(("create", "`create` goes with `rw`")),
            _ if options.exclusive && mode != Mode::Rw => Some(("exclusive", "`exclusive` goes with `rw`")),
            _ => None,
        };
        if let Some((option, help)) = misfit {
            self.wrong(text, format!("`{option}` has no meaning for `{word}`"), help);
        }
        (self.errors.len() == before).then_some((mode, options))
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_value_in_quotes_may_hold_commas() {
        let parts = |text: &str| split(text).unwrap();
        assert_eq!(parts("ro"), ["ro"]);
        assert_eq!(parts("rw, noexec ,size=1M"), ["rw", "noexec", "size=1M"]);
        assert_eq!(parts("ro,from=\"/a,from=~\",optional"), ["ro", "from=/a,from=~", "optional"]);
        assert_eq!(parts(r#"ro, from = "/\"\\" "#), ["ro", r#"from=/"\"#]);
        assert_eq!(parts("ro,from=/a\"b"), ["ro", "from=/a\"b"], "a quote within is a part of the value");
        assert_eq!(parts("ro,,"), ["ro", "", ""]);
        for wrong in ["ro,from=\"/a", "ro,from=\"/a\"b", "ro,from=\"/a\\"] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }
}
