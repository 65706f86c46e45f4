//! Finds profiles and follows `extends`. Precedence, weakest first: built-in profiles, /etc/sbx/profiles, the user's
//! directory, the project's file, flags.

use super::built_in;
use super::diagnostic::Diagnostic;
use super::document::Document;
use super::expand::quoted;
use super::source::{At, Sources};
use super::{literal, schema};
use crate::sys::Errno;
use std::path::{Path, PathBuf};

/// The built-in profiles: name and text.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("base/browser", include_str!("../../profiles/base/browser.toml")),
    ("base/desktop", include_str!("../../profiles/base/desktop.toml")),
    ("base/host", include_str!("../../profiles/base/host.toml")),
    ("base/test", include_str!("../../profiles/base/test.toml")),
    ("base/worktree", include_str!("../../profiles/base/worktree.toml")),
    ("browser", include_str!("../../profiles/browser.toml")),
    ("chromium", include_str!("../../profiles/chromium.toml")),
    ("ci", include_str!("../../profiles/ci.toml")),
    ("ci-net", include_str!("../../profiles/ci-net.toml")),
    ("default", include_str!("../../profiles/default.toml")),
    ("firefox", include_str!("../../profiles/firefox.toml")),
    ("net", include_str!("../../profiles/net.toml")),
    ("shell", include_str!("../../profiles/shell.toml")),
    ("viewer", include_str!("../../profiles/viewer.toml")),
];

/// The text of a built-in profile; none if there is none of that name.
pub(super) fn built_in_text(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(built_in, _)| *built_in == name).map(|(_, text)| *text)
}

/// The paths in a working copy that tools outside run something from on their own, relative to it: those of the built-in
/// profile `base/worktree`.
pub fn worktree() -> impl Iterator<Item = &'static str> {
    const NAME: &str = "base/worktree";
    let lines = built_in::BUILT_IN.iter().find(|(name, ..)| *name == NAME).map_or(&[][..], |(_, lines, _)| lines);
    let text = built_in_text(NAME).unwrap_or_default();
    let maps = lines.iter().filter_map(|line| match &line.3 {
        literal::Literal::Map(map) => Some(*map),
        _ => None,
    });
    maps.flatten().filter_map(|(path, _)| path.of(text).strip_prefix("${CWD}/"))
}

/// Reads profiles by name or path, and collects their texts and errors.
#[derive(Debug, Default)]
pub struct Loader {
    /// Directories that hold profiles, the weakest first.
    pub directories: Vec<PathBuf>,
    /// Texts of all files read so far.
    pub sources: Sources,
    /// Errors found so far.
    pub errors: Vec<Diagnostic>,
}

impl Loader {
    /// A loader that looks for profiles in these directories, the weakest first.
    pub fn new(directories: Vec<PathBuf>) -> Loader {
        Loader { directories, ..Loader::default() }
    }

    /// All layers of a profile, in the order in which they are applied. A name is looked up among the built-in profiles
    /// and in every directory, and each file found is applied on top of the weaker ones; a path (with a leading `/` or
    /// `.`, or the ending `.toml`) is one file.
    pub fn profile(&mut self, name: &str) -> Vec<Document> {
        let mut layers = Vec::new();
        self.follow(name, None, &mut Vec::new(), &mut layers);
        layers
    }

    /// Parses a text that is not looked up as a profile: flags, or a file's contents. `name` is shown in errors.
    pub fn text(&mut self, name: &str, text: &str) -> Document {
        let source = self.sources.add(name, text);
        Document::parse(&self.sources, source, &mut self.errors)
    }

    /// Reads a project's file, `.sbx.toml`, in the current directory or one above it. A symbolic link is refused: a cloned repository
    /// must not name other files. What it says of `${CWD}` and `${PROJECT}` is said of its own directory, whichever the project is.
    pub fn project(&mut self, path: &Path, cwd: &Path) -> Option<Document> {
        if path.is_symlink() {
            let message = format!("cannot read {}: a project's file may be no link", path.display());
            let help = format!("an archive or an earlier program may have left it: rm {}", path.display());
            self.errors.push(Diagnostic::new(message).help(help));
            return None;
        }
        let Some(mut document) = self.file(path, LARGEST_OF_PROJECT, None) else {
            if let Some(error) = self.errors.last_mut() {
                error
                    .help
                    .get_or_insert_with(|| "look at it, and remove it; --no-project goes on without it".to_owned());
            }
            return None;
        };
        document.project = true;
        self.check_version(&document);
        let above = path.parent().filter(|dir| *dir != cwd).map(Path::to_owned);
        let dir = match &above {
            // The variable stands for itself, whatever bytes the name of the directory has.
            None => Some(OWN.to_owned()),
            Some(dir) => dir.to_str().map(|dir| quoted(dir).replace("${", "$${")),
        };
        for text in document.texts() {
            let Some(rest) = NAMES.iter().find_map(|name| text.text.strip_prefix(name)) else { continue };
            match &dir {
                Some(dir) => {
                    text.text = if dir == "/" && !rest.is_empty() { rest.to_owned() } else { format!("{dir}{rest}") }
                }
                None => {
                    let message = "the name of this file's directory is not UTF-8, so that no line can name what is in it from another one";
                    self.errors.push(
                        Diagnostic::at(&text.at, message).help("start sbx in that directory, or use --no-project"),
                    );
                }
            }
        }
        self.sources.mark_project(document.source, above);
        Some(document)
    }

    /// Reads a file of at most `largest` bytes; an error is reported at `from`, the place that names the file.
    fn file(&mut self, path: &Path, largest: u64, from: Option<&At>) -> Option<Document> {
        match read(path, largest) {
            Ok(text) => Some(self.text(&path.display().to_string(), &text)),
            Err(why) => {
                let message = format!("cannot read profile {}: {why}", path.display());
                let is_layer = self.directories.iter().any(|directory| path.starts_with(directory));
                let help = why.contains("(EACCES)").then(|| match is_layer {
                    true => format!(
                        "a layer may be there: let this user read it, or set HOME to a home of its own (namei -l {})",
                        path.display()
                    ),
                    false => format!(
                        "let this user read it, and search the directories above it (namei -l {})",
                        path.display()
                    ),
                });
                self.errors.push(Diagnostic { message, at: from.cloned(), help });
                None
            }
        }
    }

    /// Names of all profiles that [`Loader::profile`] finds, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect();
        for directory in &self.directories {
            // What cannot be listed can be named all the same: see `unlisted`.
            let _ = collect(directory, "", &mut names);
        }
        names.sort();
        names.dedup();
        names
    }

    /// The directories whose profiles [`Loader::names`] lacks, since their names cannot be read.
    pub fn unlisted(&self) -> Vec<(PathBuf, Errno)> {
        self.directories.iter().filter_map(|directory| collect(directory, "", &mut Vec::new()).err()).collect()
    }

    fn follow(&mut self, name: &str, from: Option<&At>, path: &mut Vec<String>, layers: &mut Vec<Document>) {
        if path.iter().any(|open| open == name) {
            path.push(name.to_owned());
            let message = format!("profiles extend each other in a circle: {}", path.join(" → "));
            path.pop();
            let help = Some("take one of these names out of `extends`".to_owned());
            self.errors.push(Diagnostic { message, at: from.cloned(), help });
            return;
        }
        let documents = self.documents(name, from);
        path.push(name.to_owned());
        for document in documents {
            if let Some(setting) = document.get("extends")
                && let super::document::Value::List(list, _) = &setting.value
            {
                for base in list {
                    let already = layers.iter().any(|layer: &Document| {
                        self.sources.get(layer.source).is_some_and(|s| s.name == built_in_name(&base.text))
                    });
                    if !already {
                        self.follow(&base.text.clone(), Some(&base.at.clone()), path, layers);
                    }
                }
            }
            self.check_version(&document);
            layers.push(document);
        }
        path.pop();
    }

    fn documents(&mut self, name: &str, from: Option<&At>) -> Vec<Document> {
        if is_path(name) {
            // In `extends`, a path is relative to the file that holds it, not to the caller's directory.
            let holder = from.and_then(|at| self.sources.get(at.source)).map(|source| PathBuf::from(&source.name));
            // `./` of both would be twice in what errors show.
            let dir = holder.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
            let name = if dir.as_os_str().is_empty() { name } else { name.strip_prefix("./").unwrap_or(name) };
            let path = dir.join(name);
            return self.file(&path, LARGEST, from).into_iter().collect();
        }
        let mut found = Vec::new();
        if let Some(text) = built_in_text(name) {
            let generated = built_in::BUILT_IN.iter().find(|(built_in, ..)| *built_in == name);
            let (settings, starts) = generated.map_or((&[][..], &[0][..]), |(_, settings, starts)| (settings, starts));
            let source = self.sources.add_built_in(built_in_name(name), text, starts);
            found.push(literal::document(settings, text, source));
        }
        let safe =
            !name.is_empty() && Path::new(name).components().all(|c| matches!(c, std::path::Component::Normal(_)));
        for directory in self.directories.clone() {
            let path = directory.join(format!("{name}.toml"));
            // Only if there surely is nothing: a file that cannot be looked up may be a layer, and so may a link's target.
            let is_none = |error: std::io::Error| matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR));
            if safe && !path.symlink_metadata().is_err_and(is_none) {
                found.extend(self.file(&path, LARGEST, from));
            }
        }
        if found.is_empty() && !self.errors.iter().any(|e| e.message.contains("cannot read profile")) {
            let names = self.names();
            let help = match schema::nearest(name, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    "`sbx profile list` shows those there are; a file is named with its ending, `./mine.toml`".into()
                }
            };
            let message = format!("there is no profile `{name}`");
            self.errors.push(Diagnostic { message, at: from.cloned(), help: Some(help) });
        }
        found
    }

    fn check_version(&mut self, document: &Document) {
        let wanted = format!("the first line of a profile is `schema = {}`", schema::VERSION);
        match document.get("schema").map(|setting| &setting.value) {
            Some(super::document::Value::Text(text)) if text.text == schema::VERSION.to_string() => {}
            Some(super::document::Value::Text(text)) => {
                let message = format!("this sbx does not know version {} of the profile language", text.text);
                self.errors.push(Diagnostic::at(&text.at, message).help(wanted));
            }
            _ if document.torn => {}
            // The value of `schema` has the wrong type, which is reported already.
            None if self.errors.iter().any(|error| error.message.starts_with("`schema`")) => {}
            _ => {
                let at = At { source: document.source, span: 0..0 };
                self.errors.push(Diagnostic::at(&at, "the profile does not say its `schema`").help(wanted));
            }
        }
    }
}

fn built_in_name(name: &str) -> String {
    format!("built-in:{name}")
}

fn is_path(name: &str) -> bool {
    name.starts_with(['/', '.']) || name.ends_with(".toml")
}

/// Reads a profile's text. Files larger than `largest` bytes, pipes and devices are refused. The error is a fragment such
/// as `it is not a regular file`, or the errno's text.
pub(super) fn read(path: &Path, largest: u64) -> Result<String, String> {
    use std::io::Read;
    use std::os::unix::fs::OpenOptionsExt;
    let errno = |error: std::io::Error| Errno::from(error).to_string();
    let mut options = std::fs::OpenOptions::new();
    // Without O_NONBLOCK, open(2) of a FIFO would wait for a writer.
    let file = options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).map_err(errno)?;
    if !file.metadata().map_err(errno)?.is_file() {
        return Err("it is not a regular file".into());
    }
    let mut bytes = Vec::new();
    file.take(largest + 1).read_to_end(&mut bytes).map_err(errno)?;
    if bytes.len() as u64 > largest {
        return Err(format!("it is larger than {} KiB", largest >> 10));
    }
    String::from_utf8(bytes).map_err(|e| format!("it is not UTF-8 (byte {})", e.utf8_error().valid_up_to()))
}

/// The variables that a project's file has for its own directory, and the one that stands for the current directory.
const NAMES: [&str; 2] = [OWN, "${PROJECT}"];
const OWN: &str = "${CWD}";

/// Largest size of a profile in bytes.
pub(super) const LARGEST: u64 = 1 << 20;
/// Largest size of a project's file in bytes. It comes from somebody else, and is read before any time limit runs.
const LARGEST_OF_PROJECT: u64 = 64 << 10;

/// Adds the names of the profiles in a directory and in those directly in it. A directory that is not there has none.
///
/// # Errors
///
/// The names cannot be read: the directory's path and the errno.
pub(super) fn collect(directory: &Path, prefix: &str, names: &mut Vec<String>) -> Result<(), (PathBuf, Errno)> {
    let failed = |error: std::io::Error| (directory.to_owned(), Errno::from(error));
    let entries = match crate::sys::read_dir(directory) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => return Ok(()),
        other => other.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        // Names of profiles are UTF-8.
        let Ok(name) = entry.file_name().into_string() else { continue };
        if let Some(stem) = name.strip_suffix(".toml") {
            names.push(format!("{prefix}{stem}"));
        } else if prefix.is_empty() && entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), names)?;
        }
    }
    Ok(())
}
