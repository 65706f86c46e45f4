//! The words in a value of git's configuration that may be paths: of a variable that names a file, or in a command, which
//! git has a shell run.

use super::git_config::Line;
use super::git_identity::SHOWN;
use super::git_remotes::remote;
use std::collections::HashSet;

/// How many words of a value are looked at.
pub(super) const MOST: usize = 500;

/// Variables that name files of which git runs nothing.
const TEXTS: [&str; 4] = ["blame.ignorerevsfile", "commit.template", "core.excludesfile", "mailmap.file"];

/// Last parts of names of variables whose values are addresses, names of branches, or what a repository holds.
const ADDRESSES: [&str; 8] = ["fetch", "insteadof", "merge", "pushinsteadof", "pushurl", "rebase", "refspec", "url"];

/// Whether a variable's value is text that runs nothing, or a file of such text.
pub(super) fn is_text(line: &Line) -> bool {
    let name = line.name().unwrap_or_default();
    TEXTS.contains(&name.as_str()) || SHOWN.binary_search(&name.as_str()).is_ok()
}

/// Whether a variable's value names a file or a directory as a whole, that git reads or runs.
pub(super) fn is_path(line: &Line) -> bool {
    matches!(
        (&*line.section, line.key.as_str()),
        ("core", "hookspath") | ("include" | "includeif", "path") | ("init", "templatedir")
    )
}

/// Whether a variable's value names files of a submodule, another repository, which is looked for by itself, or a branch and where it
/// comes from.
pub(super) fn is_data(line: &Line) -> bool {
    match &*line.section {
        "branch" => true,
        "core" => line.key == "worktree",
        "safe" => line.key == "directory",
        _ => remote(line).is_some(),
    }
}

/// Whether what a variable names counts only where it is there: it is an address, which may look like a path.
pub(super) fn is_address(line: &Line) -> bool {
    ADDRESSES.contains(&line.key.as_str()) || matches!(&*line.section, "url" | "user")
}

/// A part of a value that may be a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Word {
    pub text: Vec<u8>,
    /// It looks like a path: what is missing there may come into being.
    pub likely: bool,
    /// It begins with what a shell computes, such as `$PWD/`, and this is what follows: below the working copy, probably.
    pub computed: bool,
}

/// All words of a value, the whole of it among them.
pub(super) fn words(value: &[u8]) -> Vec<Word> {
    let value = value.strip_prefix(b"!").unwrap_or(value);
    let mut found = Words::default();
    found.add(value);
    shell_words(value).iter().for_each(|word| found.add(word));
    for part in value.split(|byte| matches!(byte, b'"' | b'\'')) {
        found.add(part);
        for word in part.split(|byte| b" \t\n\\;&|=(<>:,".contains(byte)) {
            found.add(word);
        }
    }
    found.list
}

/// The words that were found, in their order, and the same ones to tell whether one is there.
#[derive(Default)]
struct Words {
    list: Vec<Word>,
    known: HashSet<Word>,
}

impl Words {
    /// Adds a word, unless it is there or cannot be a path.
    fn add(&mut self, word: &[u8]) {
        let is_mark = |byte: &u8| b"`$(){}".contains(byte);
        let end = word.iter().rposition(|byte| !is_mark(byte)).map_or(0, |last| last + 1);
        let start = word[..end].iter().position(|byte| *byte != b'`' && *byte != b'(').unwrap_or(end);
        let word = word[start..end].trim_ascii();
        let (computed, text) = match word.iter().position(|byte| *byte == b'/') {
            Some(slash) if word[..slash].iter().any(is_mark) => (true, &word[slash + 1..]),
            _ => (false, word),
        };
        let is_long = text.len() >= libc::PATH_MAX as usize;
        if text.is_empty() || text.starts_with(b"-") || is_long || text.contains(&0) || self.list.len() >= MOST {
            return;
        }
        let likely = computed || (text.iter().any(|byte| b"/.".contains(byte)) && !text.contains(&b' '));
        let word = Word { text: text.to_owned(), likely, computed };
        if self.known.insert(word.clone()) {
            self.list.push(word);
        }
    }
}

/// The words as a shell has them, which begin and end with what is not in quotes: the first few.
fn shell_words(value: &[u8]) -> Vec<Vec<u8>> {
    let (mut words, mut word, mut quote) = (Vec::new(), Vec::new(), None);
    let mut bytes = value.iter();
    while let Some(byte) = bytes.next().filter(|_| words.len() < MOST) {
        match (byte, quote) {
            (b'\\', Some(b'"') | None) => word.extend(bytes.next()),
            (byte, Some(open)) if *byte == open => quote = None,
            (byte, Some(_)) => word.push(*byte),
            (b'"' | b'\'', None) => quote = Some(*byte),
            (b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>', None) => words.push(std::mem::take(&mut word)),
            (byte, None) => word.push(*byte),
        }
    }
    words.push(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn has(value: &str, word: &str, likely: bool, computed: bool) {
        let found = words(value.as_bytes());
        let word = Word { text: word.into(), likely, computed };
        assert!(found.contains(&word), "{value}: {found:?}");
    }

    #[test]
    fn paths_in_commands_are_found() {
        has("tools/hooks", "tools/hooks", true, false);
        has("hooks", "hooks", false, false);
        has("my hooks", "my hooks", false, false);
        has("tools/clean %f", "tools/clean", true, false);
        has("!f() { ./x.sh; }; f", "./x.sh", true, false);
        has("!$(git rev-parse --show-toplevel)/h7.sh", "h7.sh", true, true);
        has("!\"$(git rev-parse --show-toplevel)\"/a/h7.sh", "a/h7.sh", true, true);
        has("$PWD/h10.sh", "h10.sh", true, true);
        has("${PWD}/h10.sh -x", "h10.sh", true, true);
        has("`pwd`/h10.sh", "h10.sh", true, true);
        has("`./h.sh`", "./h.sh", true, false);
        has("sh -c \"./h5.sh\"", "./h5.sh", true, false);
        has("sh -c './h5.sh \"$@\"'", "./h5.sh", true, false);
        has("\"my tools/x\" %f", "my tools/x", false, false);
        has("my\\ tools/x %f", "my tools/x", false, false);
        has("X=./a ./b", "./a", true, false);
        has("PATH=tools:$PATH x", "tools", false, false);
        has("ssh -o ProxyCommand=./p", "./p", true, false);
    }

    #[test]
    fn the_number_of_words_is_bounded() {
        let long = (0..1000).map(|number| format!("a{number} ")).collect::<String>();
        assert_eq!(words(long.as_bytes()).len(), MOST);
    }
}
