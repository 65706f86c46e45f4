//! What a flag says, in the profile language.

/// A line of the profile language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Line {
    /// A key and its value, which is a text.
    Key(&'static str, String),
    /// A key that is a table, a name in it, and the text of that.
    Of(&'static str, String, String),
    /// A key and its items.
    List(&'static str, Vec<String>),
    /// A path inside, and its mode with options.
    Path(String, String),
}

/// A flag: its name, for its place on the command line; which of its kind it is; how messages name it; and what it says.
#[derive(Debug)]
pub(in crate::cli) struct Said {
    pub flag: &'static str,
    pub nth: usize,
    pub label: String,
    pub line: Line,
}

impl Said {
    /// A flag that counts once, with its value.
    pub fn once(flag: &'static str, value: &str, key: &'static str, text: impl Into<String>) -> Said {
        let label = format!("--{flag} {value}");
        Said { flag, nth: 0, label: label.trim_end().to_owned(), line: Line::Key(key, text.into()) }
    }
}

/// A number of bytes in the words of the profile language, for one as podman and docker take it: `512m`, `1gb`, `64KiB`, and `-1` for no limit.
pub(in crate::cli) fn bytes(text: &str) -> String {
    let (number, prefer) = crate::spec::limits::preferred(text);
    let number = match number {
        "-1" | "max" => "max".to_owned(),
        _ => {
            let upper = number.to_ascii_uppercase();
            let short = upper.strip_suffix("IB").or_else(|| upper.strip_suffix('B')).unwrap_or(&upper);
            // What is no size stays as it was written, for the message about it.
            let digits = short.strip_suffix(['K', 'M', 'G', 'T']).unwrap_or(short);
            let is_size = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if is_size { short.to_owned() } else { number.to_owned() }
        }
    };
    if prefer { number + ",prefer" } else { number }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_read_in_dockers_units_too() {
        for (given, said) in [
            ("512m", "512M"),
            ("1gb", "1G"),
            ("64KiB", "64K"),
            ("10", "10"),
            ("10b", "10"),
            ("-1", "max"),
            ("1g,prefer", "1G,prefer"),
            ("max", "max"),
            ("foo", "foo"),
            ("1.5g", "1.5g"),
            ("b", "b"),
        ] {
            assert_eq!(bytes(given), said, "{given}");
        }
    }
}
