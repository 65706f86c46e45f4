//! The conditions on which git's configuration includes files: git-config(1), "Conditional includes". They hold directories of the
//! user's, and addresses, which may have credentials in them. So a sandbox is shown those that are met, by its own directory instead.

use super::git_config::{self, path_in};
use crate::sys;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How much of a repository's configuration is read, in bytes.
const LARGEST: usize = 1 << 16;

/// Where git is used in a sandbox: the repository that the current directory belongs to, or the one that may be made there.
pub(super) struct Here {
    /// Its directory: `.git`, or what a file `.git` names.
    dir: PathBuf,
    /// What all its worktrees have in common.
    common: PathBuf,
}

impl Here {
    pub fn of(cwd: &Path) -> Here {
        let git = cwd.ancestors().map(|dir| dir.join(".git")).find(|git| git.symlink_metadata().is_ok());
        let git = git.unwrap_or_else(|| cwd.join(".git"));
        let named = path_in(&git, "gitdir: ").and_then(|path| git.parent()?.join(path).canonicalize().ok());
        let dir = named.unwrap_or(git);
        let common = path_in(&dir.join("commondir"), "").and_then(|path| dir.join(path).canonicalize().ok());
        Here { common: common.unwrap_or_else(|| dir.clone()), dir }
    }

    /// The condition to show for one in a file, if that one is met, or is met by what may be made in the working copy; none if it
    /// is not, or is of a kind that is not known here.
    pub fn shown(&self, condition: &[u8], file: &Path, home: &Path) -> Option<Vec<u8>> {
        let colon = condition.iter().position(|byte| *byte == b':')?;
        let (kind, rest) = (&condition[..colon], &condition[colon + 1..]);
        match kind {
            // Which branch is checked out may change inside.
            b"onbranch" => Some(condition.to_owned()),
            b"gitdir" | b"gitdir/i" => self.by_dir(rest, kind == b"gitdir/i", file, home),
            b"hasconfig" => {
                let pattern = rest.strip_prefix(b"remote.*.url:")?;
                let text = sys::read_start(&self.common.join("config"), LARGEST).ok()?;
                let lines = git_config::parse(&text).ok()?;
                let urls = lines.iter().filter(|line| &*line.section == "remote" && line.key == "url");
                let is_met = urls.filter_map(|line| line.value.as_deref()).any(|url| matches(pattern, url));
                is_met.then(|| self.all())
            }
            _ => None,
        }
    }

    fn by_dir(&self, pattern: &[u8], folds: bool, file: &Path, home: &Path) -> Option<Vec<u8>> {
        let below = |dir: &Path, rest: &[u8]| [escaped(dir), b"/".to_vec(), rest.to_vec()].concat();
        let mut whole = match pattern {
            // As git has it, the home by its real path.
            [b'~', b'/', rest @ ..] => below(&home.canonicalize().unwrap_or_else(|_| home.to_owned()), rest),
            [b'.', b'/', rest @ ..] => below(file.parent().unwrap_or(file), rest),
            [b'/', ..] => pattern.to_owned(),
            _ => [b"**/", pattern].concat(),
        };
        let is_tree = whole.ends_with(b"/");
        // What lies in the working copy is shown inside.
        let copy = below(self.dir.parent().unwrap_or(&self.dir), b"");
        if whole.starts_with(&copy) {
            return Some([if folds { &b"gitdir/i:"[..] } else { b"gitdir:" }, &whole].concat());
        }
        if is_tree {
            whole.extend(b"**");
        }
        let fold = |bytes: &[u8]| if folds { bytes.to_ascii_lowercase() } else { bytes.to_owned() };
        let is_met = matches(&fold(&whole), &fold(self.dir.as_os_str().as_bytes()));
        is_met.then(|| if is_tree { self.all() } else { [b"gitdir:", &escaped(&self.dir)[..]].concat() })
    }

    /// A condition that this repository meets, and those in its working copy.
    fn all(&self) -> Vec<u8> {
        match self.dir.parent().filter(|_| self.dir.file_name() == Some(OsStr::new(".git"))) {
            Some(copy) => [b"gitdir:", &escaped(copy)[..], b"/"].concat(),
            None => [b"gitdir:", &escaped(&self.dir)[..]].concat(),
        }
    }
}

/// A path as a pattern that matches it alone.
fn escaped(path: &Path) -> Vec<u8> {
    let is_mark = |byte: &u8| b"*?[\\".contains(byte);
    path.as_os_str()
        .as_bytes()
        .iter()
        .flat_map(|byte| is_mark(byte).then_some(b'\\').into_iter().chain([*byte]))
        .collect()
}

/// Whether a pattern matches a text, as gitignore(5) has it: `*` and `?` stand for no `/`, `**/` for some directories, `/**` for all
/// that is below one.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // How many steps are taken at most: a pattern of many stars may take very many.
    matches_within(pattern, text, true, &mut 100_000)
}

fn matches_within(pattern: &[u8], text: &[u8], starts: bool, left: &mut usize) -> bool {
    let Some(rest) = left.checked_sub(1) else { return false };
    *left = rest;
    match pattern {
        [] => text.is_empty(),
        [b'*', b'*'] if starts => true,
        [b'*', b'*', b'/', rest @ ..] if starts => {
            let mut at = Some(0);
            while let Some(from) = at {
                if matches_within(rest, &text[from..], true, left) {
                    return true;
                }
                at = text[from..].iter().position(|byte| *byte == b'/').map(|slash| from + slash + 1);
            }
            false
        }
        [b'*', rest @ ..] => {
            let end = text.iter().position(|byte| *byte == b'/').unwrap_or(text.len());
            (0..=end).any(|from| matches_within(rest, &text[from..], false, left))
        }
        [b'?', rest @ ..] => {
            text.first().is_some_and(|byte| *byte != b'/') && matches_within(rest, &text[1..], false, left)
        }
        [b'[', ..] => {
            let Some((byte, tail)) = text.split_first() else { return false };
            let found = class(&pattern[1..], *byte);
            found.is_some_and(|(is_in, rest)| *byte != b'/' && is_in && matches_within(rest, tail, false, left))
        }
        [b'\\', byte, rest @ ..] | [byte, rest @ ..] => {
            text.first() == Some(byte) && matches_within(rest, &text[1..], *byte == b'/', left)
        }
    }
}

/// Whether a class of bytes, behind its `[`, has this one, and what follows it; none if it has no end.
fn class(pattern: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let (negated, mut rest) = match pattern {
        [b'!' | b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (mut is_in, mut first) = (false, true);
    loop {
        rest = match rest {
            [b']', rest @ ..] if !first => return Some((is_in != negated, rest)),
            [from, b'-', to, rest @ ..] if *to != b']' => {
                is_in |= (*from..=*to).contains(&byte);
                rest
            }
            [b'\\', one, rest @ ..] | [one, rest @ ..] => {
                is_in |= *one == byte;
                rest
            }
            [] => return None,
        };
        first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_git_has_it() {
        for (pattern, text) in [
            ("/a/**", "/a/b/.git"),
            ("**/b/**", "/a/b/.git"),
            ("**/b/**", "b/.git"),
            ("/a/*/.git", "/a/b/.git"),
            ("/a/[a-c]/.gi?", "/a/b/.git"),
            ("/a/[!x]/\\.git", "/a/b/.git"),
            ("https://*.example/**", "https://git.example/a/b"),
            ("/a/**/c", "/a/c"),
        ] {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern}");
        }
        for (pattern, text) in [
            ("/a/*", "/a/b/.git"),
            ("**/b", "/a/b/.git"),
            ("/a/[!b]/.git", "/a/b/.git"),
            ("/a?b", "/a/b"),
            ("/a/[b", "/a/b"),
            ("/a/**", "/a"),
            (&"*a".repeat(40), &"a".repeat(60)[..59].replace('a', "b")),
        ] {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern}");
        }
    }

    #[test]
    fn only_conditions_that_are_met_are_shown_and_by_the_working_copy() {
        let tree = tempfile::tempdir().unwrap();
        let home = &tree.path().canonicalize().unwrap();
        let cwd = home.join("work/p");
        std::fs::create_dir_all(cwd.join(".git")).unwrap();
        std::fs::write(cwd.join(".git/config"), "[remote \"o\"]\nurl = https://u:t@git.example/x\n").unwrap();
        let here = Here::of(&cwd.join("sub"));
        let shown = |condition: &str| {
            let shown = here.shown(condition.as_bytes(), &home.join(".gitconfig"), home)?;
            Some(String::from_utf8(shown).unwrap().replace(home.to_str().unwrap(), "~"))
        };
        let all = Some("gitdir:~/work/p/".to_owned());
        for met in ["gitdir:~/work/", "gitdir:./work/", "gitdir:work/", "gitdir/i:WORK/", "gitdir:~/w*/"] {
            assert_eq!(shown(met), all, "{met}");
        }
        assert_eq!(shown("hasconfig:remote.*.url:https://*@git.example/**"), all);
        assert_eq!(shown("gitdir:**/p/.git"), Some("gitdir:~/work/p/.git".into()));
        assert_eq!(shown("gitdir:~/work/p/sub/"), Some("gitdir:~/work/p/sub/".into()));
        assert_eq!(shown("onbranch:main"), Some("onbranch:main".into()));
        for other in
            ["gitdir:~/client/", "gitdir:client/", "hasconfig:remote.*.url:https://t@x/**", "hostname:x", "gitdir"]
        {
            assert_eq!(shown(other), None, "{other}");
        }
    }
}
