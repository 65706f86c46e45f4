//! Which program the words after the flags name.

use crate::host::is_executable;
use crate::plan::{PATH, STORE_PATH};
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The program and its arguments for these words: a program of its own with arguments, or, if the first word names no
/// program, further arguments for the program of the profile (`sbx --profile firefox https://example.com`). `path` is the PATH
/// that the profile sets, if any.
pub(super) fn with_arguments(
    words: &[OsString],
    of_profile: &[OsString],
    path: Option<&OsStr>,
    cwd: &Path,
) -> Vec<OsString> {
    match words.first() {
        Some(first)
            if of_profile.is_empty()
                || match path {
                    Some(path) => is_program(first, path, cwd),
                    None => [PATH, STORE_PATH].iter().any(|path| is_program(first, path.as_ref(), cwd)),
                } =>
        {
            words.to_vec()
        }
        _ => of_profile.iter().chain(words).cloned().collect(),
    }
}

/// Whether a word names a program: by a path to an executable file, or by a name that one of these directories has.
fn is_program(word: &OsStr, path: &OsStr, cwd: &Path) -> bool {
    if word.as_encoded_bytes().contains(&b'/') {
        return is_executable(&cwd.join(word));
    }
    std::env::split_paths(path).any(|dir| is_executable(&cwd.join(dir).join(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn what_is_no_program_is_an_argument_of_the_profiles_program() {
        let browser = words("firefox-esr");
        let cases = [
            ("https://example.com", "firefox-esr https://example.com"),
            ("no-such-program-as-this x", "firefox-esr no-such-program-as-this x"),
            ("--new-window https://example.com", "firefox-esr --new-window https://example.com"),
            ("/etc/passwd", "firefox-esr /etc/passwd"),
            ("/etc", "firefox-esr /etc"),
            ("sh -c true", "sh -c true"),
            ("/bin/sh -c true", "/bin/sh -c true"),
            ("", "firefox-esr"),
        ];
        for (given, wanted) in cases {
            assert_eq!(with_arguments(&words(given), &browser, None, Path::new("/")), words(wanted), "{given}");
        }
    }

    #[test]
    fn without_a_program_in_the_profile_the_first_word_is_the_program() {
        assert_eq!(with_arguments(&words("no-such-program x"), &[], None, Path::new("/")), words("no-such-program x"));
    }

    #[test]
    fn programs_are_looked_up_where_the_profile_says() {
        let browser = words("firefox-esr");
        let found = |path: &str| with_arguments(&words("sh"), &browser, Some(path.as_ref()), Path::new("/")).len() == 1;
        assert!(found("/nowhere:/bin"));
        assert!(!found("/nowhere"));
    }
}
