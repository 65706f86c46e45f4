//! Finds the profile that names a program in its `profile.programs`.

use super::diagnostic::Diagnostic;
use super::document::{Document, Value};
use super::load::{self, Loader, built_in_text};
use super::{built_in, literal};
use std::ffi::OsStr;
use std::path::Path;

/// Directories in which every installed program lies. A program that is named by a path elsewhere is not the installed
/// one, whatever its name is.
const INSTALLED: [&str; 8] =
    ["/usr/bin", "/usr/local/bin", "/usr/sbin", "/usr/local/sbin", "/usr/games", "/bin", "/sbin", "/usr/local/games"];

impl Loader {
    /// The name of the profile for this program, as it is named on a command line: the first whose `profile.programs`
    /// has its file name, the user's profiles before those in /etc, those before the built-in ones, and by name within each.
    /// `"!NAME"` in a file keeps a weaker one with the same profile's name from being chosen for that program.
    ///
    /// A program that is named by a path has a profile only if it lies where installed programs do: a file that was
    /// downloaded as `./firefox` must not get what the browser may do. Files with errors are read as far as they can be;
    /// that one cannot be read at all is an error, since it may name the program.
    pub fn for_program(&mut self, program: &OsStr) -> Option<String> {
        let path = Path::new(program);
        let name = path.file_name()?.to_str()?;
        if program.as_encoded_bytes().contains(&b'/')
            && !INSTALLED.iter().any(|dir| path.parent() == Some(Path::new(dir)))
        {
            return None;
        }
        let mut excluded = Vec::new();
        for directory in self.directories.clone().iter().rev() {
            let mut profiles = Vec::new();
            if let Err((directory, errno)) = load::collect(directory, "", &mut profiles) {
                self.unreadable(&directory, &errno.to_string());
            }
            profiles.sort();
            for profile in profiles {
                let path = directory.join(format!("{profile}.toml"));
                let text = load::read(&path, load::LARGEST).unwrap_or_else(|why| {
                    // Editors leave links to nowhere beside a file; other errors are reported if the profile is used.
                    if why.contains("(EACCES)") {
                        self.unreadable(&path, &why);
                    }
                    String::new()
                });
                // Most files name no program, or others: they are not parsed.
                if !text.contains("programs") || !text.contains(name) {
                    continue;
                }
                let document = Loader::default().text(&profile, &text);
                match listed(&document, name) {
                    Some(true) if !excluded.contains(&profile) => return Some(profile),
                    Some(false) => excluded.push(profile),
                    _ => {}
                }
            }
        }
        let chosen = |lines: &[literal::Line], text: &str| {
            lines.iter().any(|line| {
                line.0 == "profile.programs"
                    && matches!(&line.3, literal::Literal::List(words, ..) if words.iter().any(|word| word.of(text) == name))
            })
        };
        let built_in = built_in::BUILT_IN.iter().find(|(profile, lines, _)| {
            let text = built_in_text(profile);
            debug_assert!(text.is_some(), "{profile}: its settings are there, and its text is not");
            chosen(lines, text.unwrap_or_default()) && !excluded.iter().any(|name| name == profile)
        });
        built_in.map(|(profile, ..)| (*profile).to_owned())
    }
}

impl Loader {
    /// Reports that a directory or a file, which may hold a profile for the program, cannot be read.
    fn unreadable(&mut self, path: &Path, why: &str) {
        let message = format!("cannot tell which profile the program has: {}: {why}", path.display());
        self.errors.push(
            Diagnostic::new(message)
                .help("let this user read it, or name a profile: `--profile default` is the general one"),
        );
    }
}

/// Whether a profile's own list has this program (`true`), or takes it out of a weaker one's (`false`).
fn listed(document: &Document, program: &str) -> Option<bool> {
    let Value::List(list, _) = &document.get("profile.programs")?.value else { return None };
    list.iter().find_map(|item| match item.text.strip_prefix('!') {
        Some(gone) => (gone == program).then_some(false),
        None => (item.text == program).then_some(true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(program: &str) -> Option<String> {
        Loader::default().for_program(program.as_ref())
    }

    #[test]
    fn installed_programs_have_their_built_in_profile() {
        assert_eq!(of("firefox").as_deref(), Some("firefox"));
        assert_eq!(of("/usr/bin/firefox-esr").as_deref(), Some("firefox"));
        assert_eq!(of("chromium-browser").as_deref(), Some("chromium"));
        assert_eq!(of("evince").as_deref(), Some("viewer"));
        assert_eq!(of("true"), None);
    }

    #[test]
    fn a_file_that_has_a_programs_name_is_not_that_program() {
        for path in [
            "./firefox",
            "firefox/",
            "bin/firefox",
            "/tmp/firefox",
            "/usr/bin/../../tmp/firefox",
            "/home/me/firefox",
            "",
        ] {
            assert_eq!(of(path).filter(|_| path != "firefox/"), None, "{path}");
        }
    }

    #[test]
    fn the_users_profiles_come_first_and_may_take_a_program_out() {
        let dir = std::env::temp_dir().join(format!("sbx-programs-{}", std::process::id()));
        let (etc, user) = (dir.join("etc"), dir.join("user"));
        std::fs::create_dir_all(&etc).unwrap();
        std::fs::create_dir_all(&user).unwrap();
        let mut loader = Loader::new(vec![etc.clone(), user.clone()]);
        std::fs::write(etc.join("web.toml"), "schema = 1\n[profile]\nprograms = [\"firefox\", \"curl\"]\n").unwrap();
        assert_eq!(loader.for_program("firefox".as_ref()).as_deref(), Some("web"));
        std::fs::write(user.join("mine.toml"), "schema = 1\nprofile.programs = [\"firefox\"]\n").unwrap();
        assert_eq!(loader.for_program("firefox".as_ref()).as_deref(), Some("mine"));
        std::fs::write(user.join("web.toml"), "schema = 1\nprofile.programs = [\"!curl\"]\n").unwrap();
        assert_eq!(loader.for_program("curl".as_ref()), None);
        // Its error is reported when it is loaded.
        std::fs::write(user.join("broken.toml"), "schema = 1\nprofile.programs = [\"curl\"").unwrap();
        assert_eq!(loader.for_program("curl".as_ref()).as_deref(), Some("broken"));
        std::fs::write(user.join("chromium.toml"), "schema = 1\nprofile.programs = [\"!chromium\"]\n").unwrap();
        assert_eq!(loader.for_program("chromium".as_ref()), None);
        assert_eq!(loader.for_program("firefox-esr".as_ref()).as_deref(), Some("firefox"));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
