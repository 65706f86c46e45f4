//! Who the user is to git, and the user's settings of git that run nothing and hold no secrets: what the user's
//! configuration says of them, as files for a sandbox.
//!
//! What the files name is not opened but for included files, of which the same settings are taken: a program in another
//! sandbox may have written in the directory that they lie in.

use super::agents::AgentFacts;
use super::git_conditions::Here;
use super::git_config::{self, Line};
use crate::sys::{self, Errno};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How much of a file is read, in bytes.
const LARGEST: usize = 1 << 16;

/// How many files are read at most, and how deep they may include each other, as in git.
const MOST: usize = 50;
const DEEPEST: usize = 10;

/// The variables that are shown, by their full names. None of them has a command, a path or an address as its value.
pub(super) const SHOWN: &[&str] = &[
    "advice.detachedhead",
    "author.email",
    "author.name",
    "branch.autosetupmerge",
    "branch.autosetuprebase",
    "branch.sort",
    "color.branch",
    "color.diff",
    "color.grep",
    "color.interactive",
    "color.status",
    "color.ui",
    "column.ui",
    "commit.cleanup",
    "commit.status",
    "commit.verbose",
    "committer.email",
    "committer.name",
    "core.abbrev",
    "core.autocrlf",
    "core.commentchar",
    "core.eol",
    "core.filemode",
    "core.ignorecase",
    "core.logallrefupdates",
    "core.precomposeunicode",
    "core.quotepath",
    "core.safecrlf",
    "core.symlinks",
    "core.whitespace",
    "diff.algorithm",
    "diff.colormoved",
    "diff.colormovedws",
    "diff.context",
    "diff.mnemonicprefix",
    "diff.noprefix",
    "diff.renames",
    "diff.submodule",
    "fetch.prune",
    "fetch.prunetags",
    "grep.linenumber",
    "grep.patterntype",
    "i18n.commitencoding",
    "i18n.logoutputencoding",
    "init.defaultbranch",
    "log.abbrevcommit",
    "log.date",
    "log.decorate",
    "log.follow",
    "merge.conflictstyle",
    "merge.ff",
    "merge.log",
    "merge.renames",
    "merge.stat",
    "pull.ff",
    "pull.rebase",
    "push.autosetupremote",
    "push.default",
    "push.followtags",
    "rebase.autosquash",
    "rebase.autostash",
    "rebase.missingcommitscheck",
    "rebase.stat",
    "rebase.updaterefs",
    "rerere.autoupdate",
    "rerere.enabled",
    "status.branch",
    "status.short",
    "status.showstash",
    "status.showuntrackedfiles",
    "status.submodulesummary",
    "tag.sort",
    "user.email",
    "user.name",
    "user.useconfigonly",
];

/// The variables that say what is signed, and with which key. They are shown where the agent is that signs: elsewhere,
/// each commit would fail.
const SIGNING: &[&str] =
    &["commit.gpgsign", "gpg.format", "push.gpgsign", "tag.forcesignannotated", "tag.gpgsign", "user.signingkey"];

/// What of the user's configuration of git a sandbox is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct GitIdentity {
    /// Paths of files below the home, with their content: those of git, and others that they include.
    pub files: Vec<(String, Vec<u8>)>,
    /// Why there are none although the user has a configuration, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// Reads the user's configuration: `$GIT_CONFIG_GLOBAL`, or git's two files of the user. `agents` are those that the sandbox
/// has, and `cwd` the directory that it starts in.
pub(super) fn read(env: &BTreeMap<String, String>, home: &Path, cwd: &Path, agents: &AgentFacts) -> GitIdentity {
    let (ssh, gpg) = (agents.ssh.is_some(), agents.gpg.as_ref().is_some_and(|gpg| gpg.extra.is_some()));
    let (shown, by_ssh) = read_files(env, home, cwd, Signing::No);
    match if by_ssh { ssh } else { gpg } {
        true => read_files(env, home, cwd, if by_ssh { Signing::Ssh } else { Signing::Gpg }).0,
        false => shown,
    }
}

/// By what commits are signed inside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Signing {
    No,
    Ssh,
    Gpg,
}

/// What is shown of the files, and whether a line in them says that signatures are made with SSH keys.
fn read_files(env: &BTreeMap<String, String>, home: &Path, cwd: &Path, signing: Signing) -> (GitIdentity, bool) {
    let base = env.get("XDG_CONFIG_HOME").filter(|path| path.starts_with('/'));
    let base = base.map_or_else(|| home.join(".config"), PathBuf::from);
    let usual = || vec![(".config/git/config", base.join("git/config")), (".gitconfig", home.join(".gitconfig"))];
    // /dev/null is how scripts say that there is none.
    let named = env.get("GIT_CONFIG_GLOBAL").filter(|file| *file != "/dev/null");
    let files = match env.contains_key("GIT_CONFIG_GLOBAL") {
        true => named.map(|file| (".gitconfig", PathBuf::from(file))).into_iter().collect(),
        false => usual(),
    };
    let mut read = Read { home, cwd, here: None, included: Vec::new(), read: 0, signing, by_ssh: false };
    let mut shown = Vec::new();
    for (name, file) in files {
        match read.file(&file, 0) {
            Ok(text) if text.is_empty() => {}
            Ok(text) => shown.push((name.to_owned(), text)),
            Err(why) => return (GitIdentity { files: Vec::new(), failed: Some(why) }, false),
        }
    }
    shown.append(&mut read.included);
    (GitIdentity { files: shown, failed: None }, read.by_ssh)
}

/// The state of reading files that include each other.
struct Read<'a> {
    home: &'a Path,
    cwd: &'a Path,
    /// The repository there, once a condition is about it.
    here: Option<Here>,
    /// The files that others include on a condition that is met there.
    included: Vec<(String, Vec<u8>)>,
    /// How many files were read.
    read: usize,
    signing: Signing,
    /// Whether a line says that signatures are made with SSH keys.
    by_ssh: bool,
}

impl Read<'_> {
    /// What is shown of a file, and of those that it includes; nothing of one that is not there.
    ///
    /// # Errors
    ///
    /// Why git could not read it, or would not, as a sentence.
    fn file(&mut self, file: &Path, depth: usize) -> Result<Vec<u8>, String> {
        let name = file.display();
        let text = match sys::read_start(file, LARGEST) {
            Ok(text) if text.len() < LARGEST => text,
            Ok(_) => return Err(format!("{name} is larger than {} KiB", LARGEST / 1024)),
            Err(Errno(libc::ENOENT | libc::ENOTDIR)) => return Ok(Vec::new()),
            Err(errno) => return Err(format!("{name}: {errno}")),
        };
        self.read += 1;
        if self.read > MOST || depth > DEEPEST {
            return Err(format!("{name} is one of too many included files"));
        }
        let lines =
            git_config::parse(&text).map_err(|line| format!("{name}:{line} is no line of git's configuration"))?;
        let mut out = Vec::new();
        for line in lines {
            self.line(&line, file, depth, &mut out)?;
        }
        Ok(out)
    }

    /// Adds what is shown of a line.
    fn line(&mut self, line: &Line, file: &Path, depth: usize, out: &mut Vec<u8>) -> Result<(), String> {
        let included = self.included_path(line, file);
        let name = line.name().unwrap_or_default();
        self.by_ssh |= name == "gpg.format" && line.value.as_deref() == Some(b"ssh");
        match (&*line.section, line.key.as_str(), &line.subsection) {
            ("include", "path", None) => {
                if let Some(path) = included {
                    out.extend(self.file(&path, depth + 1)?);
                }
            }
            ("includeif", "path", Some(condition)) => {
                let here = self.here.get_or_insert_with(|| Here::of(self.cwd));
                if let Some(path) = included
                    && let Some(condition) = here.shown(condition, file, self.home)
                {
                    let text = self.file(&path, depth + 1)?;
                    if !text.is_empty() {
                        let name = format!(".gitconfig.{}", self.included.len() + 1);
                        let (subsection, value) = (Some(condition.into()), Some(format!("~/{name}").into_bytes()));
                        Line { subsection, value, ..line.clone() }.put(out);
                        self.included.push((name, text));
                    }
                }
            }
            _ if SHOWN.contains(&name.as_str()) => line.put(out),
            _ if self.signing == Signing::Ssh && name == "user.signingkey" => {
                let value = line.value.as_deref().and_then(|value| public_key(value, self.home));
                Line { value, ..line.clone() }.put(out);
            }
            _ if self.signing != Signing::No && SIGNING.contains(&name.as_str()) => line.put(out),
            _ => {}
        }
        Ok(())
    }

    /// The path of an included file; none if git alone knows it (`~NAME/`, `%(prefix)/`).
    fn included_path(&self, line: &Line, file: &Path) -> Option<PathBuf> {
        let value = OsStr::from_bytes(line.value.as_deref().filter(|value| !value.is_empty())?);
        match value.as_bytes() {
            [b'~', b'/', rest @ ..] => Some(self.home.join(OsStr::from_bytes(rest))),
            [b'~' | b'%', ..] => None,
            _ => Some(file.parent().unwrap_or(file).join(value)),
        }
    }
}

/// The public key that `user.signingKey` means, as the key itself: its file is not shown. If it names the file of a
/// private key, the public one lies beside it.
fn public_key(value: &[u8], home: &Path) -> Option<Vec<u8>> {
    const LONGEST: usize = 1 << 14;
    let literal = |text: &[u8]| -> Option<Vec<u8>> {
        let line = text.split(|byte| *byte == b'\n').next()?;
        let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        let (kind, key) = (words.next()?, words.next()?);
        let known = [&b"ssh-"[..], b"ecdsa-", b"sk-"].iter().any(|start| kind.starts_with(start));
        let plain = |word: &[u8]| word.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-.@_".contains(byte));
        (known && plain(kind) && plain(key)).then(|| [b"key::", kind, b" ", key].concat())
    };
    if let Some(key) = literal(value.strip_prefix(b"key::").unwrap_or(value)) {
        return Some(key);
    }
    let path = match value {
        [b'~', b'/', rest @ ..] => home.join(OsStr::from_bytes(rest)),
        value => PathBuf::from(OsStr::from_bytes(value)),
    };
    let mut beside = path.clone().into_os_string();
    beside.push(".pub");
    let files = [path, beside.into()];
    files.iter().filter(|path| path.is_absolute()).find_map(|path| literal(&sys::read_start(path, LONGEST).ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::agents::GpgFacts;
    use super::*;

    fn read_in(files: &[(&str, &str)], env: &[(&str, &str)]) -> GitIdentity {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let env =
            env.iter().map(|(name, value)| ((*name).to_owned(), value.replace('~', dir.path().to_str().unwrap())));
        read(&env.collect(), dir.path(), &dir.path().join("work/p"), &AgentFacts::default())
    }

    fn text(identity: &GitIdentity, name: &str) -> String {
        let found = identity.files.iter().find(|(other, _)| other == name);
        String::from_utf8(found.map(|(_, text)| text.clone()).unwrap_or_default()).unwrap()
    }

    #[test]
    fn names_are_sorted_and_none_runs_anything() {
        assert!(SHOWN.is_sorted());
        for part in [
            "helper", "command", "program", "editor", "pager", "hook", "proxy", "alias", "filter", "file", "url",
            "path",
        ] {
            let known = |name: &&&str| {
                **name != "core.quotepath" && **name != "core.filemode" && !name.contains("showuntrackedfiles")
            };
            assert_eq!(SHOWN.iter().filter(known).find(|name| name.contains(part)), None);
        }
    }

    #[test]
    fn who_the_user_is_is_shown_and_nothing_that_runs() {
        let config = "[user]\nname = A\nemail = a@b\n[credential]\nhelper = store\n[credential \"https://x\"]\nusername = u\n\
                      [core]\neditor = vi\nautocrlf = input\nsshCommand = ssh -i k\nfsmonitor = /x\n[alias]\nx = !y\n\
                      [url \"https://token@x\"]\ninsteadOf = x:\n[http]\nextraHeader = token\n[user \"sub\"]\nname = B\n";
        let seen = text(&read_in(&[(".gitconfig", config)], &[]), ".gitconfig");
        let lines = "[user]\n\tname = \"A\"\n[user]\n\temail = \"a@b\"\n[core]\n\tautocrlf = \"input\"\n";
        assert_eq!(seen, lines);
    }

    #[test]
    fn both_files_count_in_their_order_or_the_one_that_is_named() {
        let files = [
            (".gitconfig", "[user]\nname = B"),
            (".config/git/config", "[user]\nname = A"),
            ("other", "[user]\nname = C"),
        ];
        let both = read_in(&files, &[]);
        assert_eq!(text(&both, ".config/git/config"), "[user]\n\tname = \"A\"\n");
        assert_eq!(text(&both, ".gitconfig"), "[user]\n\tname = \"B\"\n");
        let named = read_in(&files, &[("GIT_CONFIG_GLOBAL", "~/other")]);
        assert_eq!(text(&named, ".gitconfig"), "[user]\n\tname = \"C\"\n");
        assert_eq!(read_in(&files, &[("GIT_CONFIG_GLOBAL", "/dev/null")]), GitIdentity::default());
        let moved = read_in(&[("xdg/git/config", "[user]\nname = D")], &[("XDG_CONFIG_HOME", "~/xdg")]);
        assert_eq!(text(&moved, ".config/git/config"), "[user]\n\tname = \"D\"\n");
        assert_eq!(read_in(&[], &[]), GitIdentity::default());
    }

    #[test]
    fn included_files_are_shown_in_the_same_way() {
        let config = "[include]\npath = one\n[includeIf \"gitdir:~/work/\"]\npath = ~/two\n[include]\npath = none\n\
                      [includeIf \"gitdir:./sub/\"]\npath = two\n[includeIf \"onbranch:x\"]\npath = three\n";
        let helper = "[credential]\nhelper = x\n";
        let one = format!("{helper}[user]\nname = A\n");
        let two = format!("{helper}[user]\nemail = w@w\n");
        let seen = read_in(&[(".gitconfig", config), ("one", &one), ("two", &two), ("three", helper)], &[]);
        let main = text(&seen, ".gitconfig");
        assert!(main.starts_with("[user]\n\tname = \"A\"\n[includeif \"gitdir:/"), "{main}");
        assert!(main.contains("/work/p/\"]\n\tpath = \"~/.gitconfig.1\"\n"), "{main}");
        assert!(
            !main.contains("sub") && !main.contains("three"),
            "what is not met, or shows nothing, is not included: {main}"
        );
        assert_eq!(text(&seen, ".gitconfig.1"), "[user]\n\temail = \"w@w\"\n");
        assert_eq!(seen.files.len(), 2);
    }

    #[test]
    fn what_git_would_not_read_is_told() {
        let failed = |files: &[(&str, &str)]| read_in(files, &[]).failed.unwrap();
        assert!(failed(&[(".gitconfig", "[user]\nname = \"A\n")]).contains(" is no line of git's configuration"));
        assert!(failed(&[(".gitconfig", "[include]\npath = .gitconfig\n")]).contains("too many"));
        assert!(failed(&[(".gitconfig", &"#".repeat(LARGEST))]).contains("is larger than 64 KiB"));
        assert!(failed(&[(".gitconfig/x", "")]).contains(".gitconfig: "), "a directory");
    }

    #[test]
    fn signing_is_shown_where_its_agent_is() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path();
        let seen = |config: &str, ssh: bool, gpg: bool| {
            std::fs::write(home.join(".gitconfig"), config).unwrap();
            let gpg = gpg.then(|| GpgFacts { extra: Some("/x".into()), ..GpgFacts::default() });
            let agents = AgentFacts { ssh: ssh.then(|| "/y".into()), gpg, ..AgentFacts::default() };
            text(&read(&BTreeMap::new(), home, home, &agents), ".gitconfig")
        };
        let gpg = "[commit]\ngpgSign = true\n[user]\nsigningKey = ABC\n[gpg]\nprogram = x\n";
        assert_eq!(seen(gpg, true, false), "");
        let both = "[commit]\n\tgpgsign = \"true\"\n[user]\n\tsigningkey = \"ABC\"\n";
        assert_eq!(seen(gpg, false, true), both);
        std::fs::write(home.join("key"), "-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n").unwrap();
        std::fs::write(home.join("key.pub"), "ssh-ed25519 AAAA me@host\n").unwrap();
        std::fs::write(home.join("other"), "ssh-secret in words\n").unwrap();
        let shown = |key: &str| seen(&format!("[gpg]\nformat = ssh\n[user]\nsigningKey = {key}\n"), true, false);
        let format = "[gpg]\n\tformat = \"ssh\"\n[user]\n\tsigningkey";
        for key in ["~/key", "~/key.pub", "ssh-ed25519 AAAA", "key::ssh-ed25519 AAAA c"] {
            assert_eq!(shown(key), format!("{format} = \"key::ssh-ed25519 AAAA\"\n"), "{key}");
        }
        assert_eq!(shown("~/none"), format!("{format}\n"));
        assert_eq!(shown("/etc/passwd"), format!("{format}\n"));
        assert_eq!(seen("[gpg]\nformat = ssh\n[commit]\ngpgSign = true\n", false, true), "");
    }
}
