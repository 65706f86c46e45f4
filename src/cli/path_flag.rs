//! Paths in flags: relative ones, variables, and options behind a comma. File names may look like any of these, and
//! somebody else may have chosen them: `for file in *; do sbx --ro "$file" ...`.

use crate::error::{Error, Result};
use crate::profile::{quoted, schema};
use std::path::{Component, Path, PathBuf};

/// A path of a flag, in the words of the profile language.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PathFlag {
    /// The path, with variables.
    pub path: String,
    /// Options, each with a comma before it; may be empty.
    pub options: String,
}

/// Reads `PATH` or `PATH,optional,create`. A text that names an existing file is that file.
///
/// # Errors
///
/// The text could mean two things, or holds the option `from=`.
pub(super) fn read(text: &str, cwd: &Path) -> Result<PathFlag> {
    let (path, options) = split_options(text);
    if options.is_empty() || !exists(text, cwd) {
        if options.split(',').any(|option| option.starts_with("from=")) {
            let from = options.split_once("from=").map_or("", |(_, from)| from);
            return Err(Error::new(format!("{text}: a flag takes no `from=`, which a file's name may hold"))
                .hint(format!("write --from behind the flag: --ro {path} --from {from}")));
        }
        return Ok(PathFlag { path: absolute(path, cwd)?, options: options.to_owned() });
    }
    if (exists(path, cwd) || is_variable(path)) && !options.contains("from=") {
        return Err(Error::new(format!("{text} is a file's name, and also {path} with options"))
            .hint(format!("rename one of them, or write --set 'filesystem.paths.\"/FULL/PATH/{text}\"=\"ro\"'")));
    }
    Ok(PathFlag { path: literal(text, cwd)?, options: String::new() })
}

/// The absolute path for a path in a flag. Variables and places stay, for the profile language to replace.
///
/// # Errors
///
/// The text is empty, could mean two things, or it cannot be told where its `..` leads.
pub(super) fn absolute(text: &str, cwd: &Path) -> Result<String> {
    if text.is_empty() {
        return Err(Error::new("a path of a flag is empty").hint("write `.` for the current directory"));
    }
    if !is_variable(text) {
        return literal(text, cwd);
    }
    if exists(text, cwd) {
        return Err(Error::new(format!("{text} is a file's name, and also a variable or place of profiles"))
            .hint(format!("write ./{text} for the file, and the full path for the other")));
    }
    Ok(text.to_owned())
}

/// Whether a text stands for something else in the profile language.
fn is_variable(text: &str) -> bool {
    text == "~"
        || ["~/", "xdg-", "${"].iter().any(|start| text.starts_with(start))
        || (text.starts_with('/') && text.contains("${"))
}

/// Whether a text, taken as it stands, names a file.
fn exists(text: &str, cwd: &Path) -> bool {
    cwd.join(text).symlink_metadata().is_ok()
}

/// The absolute path for a path that is meant as it stands, in the words of the profile language. Links before a `..`
/// are resolved, so a path that does not exist up to there is an error.
fn literal(text: &str, cwd: &Path) -> Result<String> {
    // Where `..` leads depends on links: let the kernel resolve the path up to there.
    let mut clean = PathBuf::new();
    for part in cwd.join(text).components() {
        clean.push(part);
        if part == Component::ParentDir {
            clean = clean.canonicalize().map_err(|error| {
                let errno = crate::sys::Errno::from(error);
                Error::new(format!("{text}: cannot tell where `..` leads: {errno}")).hint("write the path without `..`")
            })?;
        }
    }
    // `${` in the name of a file is not a variable, and `*` is no pattern.
    let escaped = |path: &Path| path.to_str().map(|path| quoted(&path.replace("${", "$${")));
    let below = clean.strip_prefix(cwd).ok().and_then(escaped);
    match (escaped(&clean), below) {
        (Some(whole), _) => Ok(whole),
        // The current directory is not UTF-8, which profiles have a variable for.
        (None, Some(below)) if below.is_empty() => Ok("${CWD}".to_owned()),
        (None, Some(below)) => Ok(format!("${{CWD}}/{below}")),
        (None, None) => Err(Error::new(format!("{text}: its full path {} is not UTF-8", clean.display()))
            .hint("profiles are UTF-8 text; start sbx in the directory that is not, and name the path from there")),
    }
}

/// Splits `PATH,optional,create` into the path and `,optional,create`. A comma that no known option follows is a part
/// of the path.
fn split_options(text: &str) -> (&str, &str) {
    let mut at = text.len();
    for (index, _) in text.rmatch_indices(',') {
        let option = text[index + 1..at].split('=').next().unwrap_or_default();
        let known = schema::PATH_OPTIONS.iter().any(|known| known.trim_end_matches('=') == option);
        if !known {
            break;
        }
        at = index;
    }
    text.split_at(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_there_is_that_file_and_what_means_two_things_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let cwd = dir.path().canonicalize().unwrap();
        let names = ["x", "x,from=~", "alone,noexec", "x,optional", "~", "${HOME}", "xdg-download", "$dollar", "a,b"];
        names.iter().for_each(|name| std::fs::write(cwd.join(name), "").unwrap());
        let full = |name: &str| cwd.join(name).display().to_string();
        let found = |text: &str| read(text, &cwd).map(|PathFlag { path, options }| (path, options));
        let is = |text: &str, path: &str, options: &str| {
            assert_eq!(found(text).unwrap(), (path.to_owned(), options.to_owned()), "{text}");
        };
        for name in ["x", "x,from=~", "alone,noexec", "$dollar", "a,b"] {
            is(name, &full(name), "");
            is(&format!("./{name}"), &full(name), "");
        }
        is("./${HOME}", &full("$${HOME}"), "");
        is("./~", &full("~"), "");
        is("x,noexec", &full("x"), ",noexec");
        is("new,create,noexec", &full("new"), ",create,noexec");
        is("a,b,optional", &full("a,b"), ",optional");
        is("~/x,optional", "~/x", ",optional");
        is("${CWD}/x", "${CWD}/x", "");
        is("xdg-music", "xdg-music", "");
        is("~user", &full("~user"), "");
        std::fs::create_dir(cwd.join("home")).unwrap();
        std::fs::remove_file(cwd.join("~")).unwrap();
        std::fs::create_dir(cwd.join("~")).unwrap();
        std::fs::write(cwd.join("~/secret,optional"), "").unwrap();
        for text in [
            "~/secret,optional",
            "x,optional",
            "~",
            "${HOME}",
            "xdg-download",
            "",
            "gone,from=~",
            "/gone,optional,from=/x",
        ] {
            assert!(found(text).is_err(), "{text}: {:?}", found(text));
        }
    }
}
