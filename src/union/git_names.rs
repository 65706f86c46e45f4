//! Names of files that `git apply` refuses, and with them the whole patch (verify_path() of git's read-cache.c): what may be a repository's
//! own directory on any filesystem that git knows of, and links in the place of .gitmodules.

/// Whether git takes no patch to a path below a directory, which is a link or not.
pub(super) fn refuses(path: &[u8], is_link: bool) -> bool {
    // git also looks behind backslashes, which are in names of files here.
    path.split(|byte| matches!(byte, b'/' | b'\\')).any(|name| {
        let name = shown(name);
        is_git(&name) || (is_link && is_gitmodules(&name))
    })
}

/// A name in small letters, without the characters that HFS+ skips: marks of direction and width.
fn shown(name: &[u8]) -> String {
    let skips = |char: &char| matches!(char, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    String::from_utf8_lossy(name).chars().filter(|char| !skips(char)).collect::<String>().to_ascii_lowercase()
}

/// What NTFS takes for the name before it: dots and spaces at the end, or the name of a stream.
fn is_end(rest: &str) -> bool {
    rest.trim_start_matches(['.', ' ']).chars().next().is_none_or(|next| next == ':')
}

fn is_git(name: &str) -> bool {
    [".git", "git~1"].iter().any(|git| name.strip_prefix(git).is_some_and(is_end))
}

/// Also by the short names that NTFS may give it, which are the start of the name or of a hash of it, and a number.
fn is_gitmodules(name: &str) -> bool {
    let short = name.split_once('~').is_some_and(|(start, number)| {
        ("gi7eba".starts_with(start) || start == "gitmod") && number.starts_with(|digit: char| digit.is_ascii_digit())
    });
    short || name.strip_prefix(".gitmodules").is_some_and(is_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_repositories_are_refused_as_git_refuses_them() {
        for name in [
            ".git",
            "a/.git/x",
            "a/.GIT",
            ".gIt/x",
            "git~1",
            "a/GIT~1/x",
            ".git ",
            ".git...",
            ".git. ./x",
            ".git:x",
            "a\\.git\\x",
            ".g\u{200c}it/x",
            "git~1::$INDEX_ALLOCATION/x",
        ] {
            assert!(refuses(name.as_bytes(), false), "{name:?}");
        }
        for name in [
            "git",
            ".gitignore",
            ".gitmodules",
            ".github/x",
            "x.git",
            "git~2",
            "..git",
            ".git~1",
            "a.git/x",
            ".git x",
            "~1",
        ] {
            assert!(!refuses(name.as_bytes(), false), "{name:?}");
        }
        for name in [".gitmodules", "a/.GitModules ", "gitmod~1", "GI7EBA~1", "gi7e~123", "~1", ".gitmodules:x"] {
            assert!(refuses(name.as_bytes(), true), "{name:?}");
        }
        for name in [".gitmodules2", "gitmod~", "link", "a~1", ".gitattributes"] {
            assert!(!refuses(name.as_bytes(), true), "{name:?}");
        }
    }
}
