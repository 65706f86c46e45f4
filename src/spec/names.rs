//! Names of the domain name system, as `network.allow` and `network.deny` have them: a name, or all names below one.

use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The longest name in text: RFC 1035, 2.3.4.
const LONGEST: usize = 253;

/// The longest part of a name between dots.
const LONGEST_LABEL: usize = 63;

/// A name, or with `*.` before it all names below one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamePattern {
    /// The name, in small letters.
    pub name: String,
    /// Whether it stands for the names below it, and not for itself.
    pub below: bool,
}

impl NamePattern {
    /// Whether it stands for a name, which is in small letters and without a dot at its end.
    pub fn matches(&self, name: &str) -> bool {
        match name.strip_suffix(&self.name) {
            Some("") => !self.below,
            Some(rest) => self.below && rest.ends_with('.'),
            None => false,
        }
    }

    /// Whether all names that another one stands for belong to this one.
    pub fn covers(&self, other: &NamePattern) -> bool {
        match other.below {
            true => self.below && (self.name == other.name || self.matches(&other.name)),
            false => self.matches(&other.name),
        }
    }
}

impl FromStr for NamePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<NamePattern, String> {
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        if name.contains('*') {
            return Err(format!("`{text}`: `*` stands for whole names at the beginning alone: `*.example.org`"));
        }
        if !name.is_ascii() {
            return Err(format!(
                "`{text}` has letters that name servers are asked for in another form, which begins with `xn--`"
            ));
        }
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_label = |label: &str| {
            (1..=LONGEST_LABEL).contains(&label.len())
                && label.bytes().all(is_letter)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if name.len() > LONGEST || !name.split('.').all(is_label) {
            return Err(format!("`{text}` is no name that a name server knows"));
        }
        let last = name.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("`{text}` is no address"));
        }
        if !below && !name.contains('.') {
            return Err(format!("`{text}` is neither a word for addresses nor a name, which has a dot"));
        }
        Ok(NamePattern { name: name.to_ascii_lowercase(), below })
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*." } else { "" }, self.name)
    }
}

impl Serialize for NamePattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> NamePattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_stands_for_itself_and_a_star_for_what_is_below() {
        let one = pattern("Example.org");
        assert_eq!(one.to_string(), "example.org");
        assert!(one.matches("example.org") && !one.matches("www.example.org") && !one.matches("badexample.org"));
        let below = pattern("*.example.org");
        assert_eq!(below.to_string(), "*.example.org");
        assert!(below.matches("www.example.org") && below.matches("a.b.example.org"));
        assert!(!below.matches("example.org") && !below.matches("badexample.org") && !below.matches("org"));
    }

    #[test]
    fn a_pattern_covers_what_belongs_to_it() {
        let covers = |one: &str, other: &str| pattern(one).covers(&pattern(other));
        assert!(covers("a.org", "a.org") && covers("*.org", "a.org") && covers("*.org", "*.a.org"));
        assert!(covers("*.a.org", "*.a.org") && covers("*.a.org", "b.a.org"));
        assert!(!covers("*.a.org", "a.org") && !covers("a.org", "*.a.org") && !covers("*.a.org", "*.org"));
    }

    #[test]
    fn what_is_no_name_is_an_error() {
        let long = format!("{}.org", "a".repeat(64));
        let longer = "a.".repeat(126) + "org";
        for text in [
            "",
            ".",
            "a..b",
            "a.org.",
            ".org",
            "lan",
            "*",
            "*.",
            "*a.org",
            "a.*.org",
            "-a.org",
            "a-.org",
            "a b.org",
            "bücher.de",
            "10.0.0",
            "a.1",
            &long,
            &longer,
        ] {
            assert!(text.parse::<NamePattern>().is_err(), "{text}");
        }
        for text in ["a.org", "*.org", "_sip._tcp.a.org", "xn--bcher-kva.de", "1.a", "a-b.c-d.org"] {
            assert!(text.parse::<NamePattern>().is_ok(), "{text}");
        }
    }
}
