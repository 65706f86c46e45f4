//! Notes for the user about how the layers of a profile were read.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;

/// A part of a profile that is left out, and why. `Display` gives the sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A rule for the current directory, or for a well-known directory, which is one that must not be shown as a whole,
    /// such as a home.
    TooWide {
        /// The well-known directory's name, such as `xdg-download`; none for the current directory.
        place: Option<String>,
        /// The path that is not shown.
        path: PathBuf,
        /// Why it must not be shown, as the rest of a sentence: `holds your home directory`.
        why: Cow<'static, str>,
    },
    /// The project is a directory above the current one, and writable.
    ProjectAbove {
        /// The project's directory.
        dir: PathBuf,
        /// The file that makes it one.
        marker: &'static str,
    },
    /// A directory above the current one holds what makes a project, and is none.
    NoProject {
        /// The directory above the current one.
        dir: PathBuf,
        /// Why it is no project, as the rest of a sentence.
        why: String,
    },
    /// A project's file in a directory above the current one counts for nothing, since it is another user's.
    NotTaken {
        /// The file.
        file: PathBuf,
        /// The id of the user.
        owner: u32,
    },
    /// What git runs in a project was not found completely.
    GitUnread {
        /// Why, as a sentence.
        why: String,
    },
    /// What a link in the caller's home leads to, or a part of it, is shown writable as a whole.
    StartUp {
        /// The link; none for a directory that lies itself in one that programs start from.
        link: Option<PathBuf>,
        /// The directory that is shown writable.
        dir: PathBuf,
    },
    /// What links in the caller's home, or in closed directories of the project, lead to is read-only.
    Linked {
        /// The first few of these paths, each with the link.
        some: Vec<(PathBuf, PathBuf)>,
        /// How many more there are.
        more: usize,
    },
    /// A directory for temporary files is masked, in one that is shown since sbx was started there.
    Temporary {
        /// The directory for temporary files.
        path: PathBuf,
        /// The variable that names the directory.
        variable: Cow<'static, str>,
    },
    /// A socket is masked, in a directory that is shown since sbx was started there.
    Socket {
        /// The path of the socket.
        path: PathBuf,
        /// The variable that names the socket.
        variable: Cow<'static, str>,
    },
    /// What variables of the caller's name is read-only.
    Named {
        /// The first few of these paths, each with the variable.
        some: Vec<(PathBuf, String)>,
        /// How many more there are.
        more: usize,
    },
    /// Directories in which programs outside look for code are writable.
    Watched {
        /// The first few of them, each with the variable that names it.
        some: Vec<(PathBuf, String)>,
        /// How many more there are.
        more: usize,
    },
    /// Not all links in the caller's home were found that lead into what is shown writable.
    LinksUnread,
    /// The profile that was chosen because its `profile.programs` names the program.
    ProfileOf {
        /// The profile's name.
        profile: String,
        /// The program, as it was named.
        program: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::TooWide { place: Some(place), path, why } => write!(
                f,
                "{place} is {}, which {why} and is not shown inside; user-dirs.dirs names another directory, or --rw PATH",
                path.display()
            ),
            Note::TooWide { place: None, path, why } => write!(
                f,
                "{} {why} and is not shown inside; start elsewhere, or name what the program may see: --ro PATH, --rw PATH",
                path.display()
            ),
            Note::ProjectAbove { dir, marker } => write!(
                f,
                "all of {dir} is writable, since {marker} makes it the project; `--hide {dir} --rw .` shows the current directory alone",
                dir = dir.display()
            ),
            Note::NoProject { dir, why } => write!(
                f,
                "{dir} is not taken for the project of the current directory, since it {why}: start sbx there, or --rw {dir}",
                dir = dir.display()
            ),
            Note::NotTaken { file, owner } => write!(
                f,
                "{} belongs to user {owner}, and counts for nothing: that is neither you, nor root, nor the owner of the current directory",
                file.display()
            ),
            Note::GitUnread { why } => {
                write!(f, "{why}, so what git outside runs by it in the project may be writable inside")
            }
            Note::StartUp { link: Some(link), dir } => write!(
                f,
                "{} leads to what holds {}, which is writable inside: programs outside start what the program inside leaves there, \
                 or read it as their configuration; --overlay {} keeps changes from them until `sbx commit`",
                link.display(),
                dir.display(),
                dir.display()
            ),
            Note::StartUp { link: None, dir } => write!(
                f,
                "{} is writable inside: programs outside start what the program inside leaves there, or read it as their \
                 configuration; --overlay {} keeps changes from them until `sbx commit`",
                dir.display(),
                dir.display()
            ),
            Note::Linked { some, more } => write!(
                f,
                "read-only inside, since links lead there from what programs outside start from: {}; \
                 --rw PATH opens one",
                few(some, *more)
            ),
            Note::Temporary { path, variable } => write!(
                f,
                "{path} is empty inside: {variable} names it, and other programs have temporary files and sockets there; --rw {path} shows it",
                path = path.display()
            ),
            Note::Socket { path, variable } => write!(
                f,
                "{path} is masked inside: {variable} names it, and a program outside takes commands there; --rw {path} shows it",
                path = path.display()
            ),
            Note::Named { some, more } => write!(
                f,
                "read-only inside, since variables outside name code there: {}; --rw PATH opens one",
                few(some, *more)
            ),
            Note::Watched { some, more } => write!(
                f,
                "writable inside, and searched for code outside: {}; what is new or changed there is told at the end, and --ro PATH closes one",
                few(some, *more)
            ),
            Note::LinksUnread => f.write_str(
                "not all directories of your home could be read, or they are too many: links in it that lead into what is writable inside may \
                 be more than were found",
            ),
            Note::ProfileOf { profile, program } => {
                write!(
                    f,
                    "{program} runs under the profile `{profile}`, which names it; `--profile default` is the general one"
                )
            }
        }
    }
}

/// The first few of some paths, each with the link or the variable by which it was found, and how many more there are.
fn few(some: &[(PathBuf, impl AsRef<OsStr>)], more: usize) -> String {
    let some: Vec<_> =
        some.iter().map(|(path, by)| format!("{} ({})", path.display(), by.as_ref().display())).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", some.join(", "))
}

impl serde::Serialize for Note {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
