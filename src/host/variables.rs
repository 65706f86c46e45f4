//! Variables of the caller's by which programs outside find code: directories that are searched for programs, libraries and modules, and
//! files that shells, interpreters and tools execute. An activated virtual environment has its directory of programs in PATH.

use super::git_words;
use super::walk::Ways;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Variables that list directories in which code is looked for, sorted. What builds and installers put there is code that they are to
/// put there.
const LISTS: [&str; 28] = [
    "CARGO_HOME",
    "CLASSPATH",
    "EMACSLOADPATH",
    "FPATH",
    "GCONV_PATH",
    "GEM_HOME",
    "GEM_PATH",
    "GIO_EXTRA_MODULES",
    "GI_TYPELIB_PATH",
    "GST_PLUGIN_PATH",
    "GTK_PATH",
    "GUILE_LOAD_PATH",
    "LD_LIBRARY_PATH",
    "LIBGL_DRIVERS_PATH",
    "MODULEPATH",
    "NODE_PATH",
    "OPENSSL_ENGINES",
    "OPENSSL_MODULES",
    "PATH",
    "PERL5LIB",
    "PERLLIB",
    "PKG_CONFIG_PATH",
    "PYTHONPATH",
    "QML2_IMPORT_PATH",
    "QT_PLUGIN_PATH",
    "RUBYLIB",
    "VIRTUAL_ENV",
    "VK_LAYER_PATH",
];

/// Variables that name one file or directory that is read or executed, sorted.
const PATHS: [&str; 34] = [
    "ALSA_CONFIG_PATH",
    "AWS_CONFIG_FILE",
    "BASH_ENV",
    "DOCKER_CONFIG",
    "ENV",
    "GIT_CONFIG",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_EXEC_PATH",
    "GIT_TEMPLATE_DIR",
    "GNUPGHOME",
    "INPUTRC",
    "IPYTHONDIR",
    "JUPYTER_CONFIG_DIR",
    "KUBECONFIG",
    "LESSKEY",
    "MAILCAPS",
    "MAKEFILES",
    "NPM_CONFIG_GLOBALCONFIG",
    "NPM_CONFIG_USERCONFIG",
    "OPENSSL_CONF",
    "PIP_CONFIG_FILE",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "RIPGREP_CONFIG_PATH",
    "RUSTUP_HOME",
    "R_ENVIRON",
    "R_ENVIRON_USER",
    "R_PROFILE",
    "R_PROFILE_USER",
    "SCREENRC",
    "STARSHIP_CONFIG",
    "VIMRUNTIME",
    "ZDOTDIR",
];

/// Variables that hold a command, or options that name code, sorted.
const COMMANDS: [&str; 54] = [
    "AR",
    "BROWSER",
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CC",
    "CXX",
    "DIFFPROG",
    "EDITOR",
    "EXINIT",
    "FCEDIT",
    "FZF_DEFAULT_COMMAND",
    "FZF_DEFAULT_OPTS",
    "GIT_ASKPASS",
    "GIT_EDITOR",
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER",
    "GIT_PROXY_COMMAND",
    "GIT_SEQUENCE_EDITOR",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "HGEDITOR",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LD",
    "LD_AUDIT",
    "LD_PRELOAD",
    "LESSCLOSE",
    "LESSOPEN",
    "MAKE",
    "MANPAGER",
    "NODE_OPTIONS",
    "PAGER",
    "PERL5DB",
    "PERL5OPT",
    "PROMPT_COMMAND",
    "PYTHON",
    "RSYNC_RSH",
    "RUBYOPT",
    "RUSTC",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "RUSTFMT",
    "SHELL",
    "SSH_ASKPASS",
    "SUDO_ASKPASS",
    "SUDO_EDITOR",
    "SVN_EDITOR",
    "SYSTEMD_EDITOR",
    "SYSTEMD_PAGER",
    "TERMINAL",
    "VIMINIT",
    "VISUAL",
    "_JAVA_OPTIONS",
];

/// Directories of the system's programs, which hold no links into a home.
const SYSTEM: [&str; 5] = ["/usr", "/bin", "/sbin", "/lib", "/lib64"];

/// A path that a variable names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodePath {
    /// The variable.
    pub variable: String,
    /// The real path, whether there is something or not.
    pub path: PathBuf,
    /// It is a directory in which code is looked for, and which builds and installers may fill.
    pub is_list: bool,
}

/// What variables name in some directories.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CodePaths {
    /// The paths, in the order of the variables.
    pub paths: Vec<CodePath>,
    /// The real paths of the directories.
    pub dirs: Vec<PathBuf>,
}

/// What these variables name in `dirs`. Nothing else is looked up where none names a path that may lie there.
pub fn code_paths<'v>(
    variables: impl Iterator<Item = (&'v OsStr, &'v OsStr)>,
    cwd: &Path,
    dirs: impl Iterator<Item = PathBuf> + Clone,
) -> CodePaths {
    let mut named: Vec<(&str, PathBuf, bool)> = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str() else { continue };
        let is = |names: &[&str]| names.binary_search(&name).is_ok();
        if is(&LISTS) {
            // An empty item is the current directory.
            named.extend(
                value
                    .as_bytes()
                    .split(|byte| *byte == b':')
                    .map(|item| (name, cwd.join(OsStr::from_bytes(item)), true)),
            );
        } else if is(&PATHS) && !value.is_empty() {
            named.push((name, cwd.join(value), false));
        } else if is(&COMMANDS) {
            named.extend(in_command(value.as_bytes()).map(|word| (name, cwd.join(OsStr::from_bytes(&word)), false)));
        }
    }
    let in_system =
        |path: &Path| SYSTEM.iter().any(|dir| path.starts_with(dir)) && !dirs.clone().any(|dir| path.starts_with(dir));
    named.retain(|(_, path, _)| !in_system(path));
    if named.is_empty() {
        return CodePaths::default();
    }
    let mut ways = Ways::default();
    let dirs: Vec<PathBuf> = dirs.map(|dir| ways.follow(&dir).map_or(dir, |(real, _)| real)).collect();
    let mut paths: Vec<CodePath> = Vec::new();
    for (variable, path, is_list) in named {
        let Some((path, _)) = ways.follow(&path) else { continue };
        if !dirs.iter().any(|dir| path.starts_with(dir)) {
            continue;
        }
        let all = if variable == "VIRTUAL_ENV" { site_packages(&path) } else { vec![path] };
        for path in all {
            // A command may name a directory that it works on.
            let counts = is_list || PATHS.contains(&variable) || path.is_file();
            if counts && !paths.iter().any(|known| known.path == path) {
                paths.push(CodePath { variable: variable.to_owned(), path, is_list });
            }
        }
    }
    CodePaths { paths, dirs }
}

/// The directories of a virtual environment in which Python finds modules, and files that it executes when it starts.
fn site_packages(environment: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(environment.join("lib")).into_iter().flatten().flatten();
    let pythons = entries.filter(|entry| entry.file_name().as_bytes().starts_with(b"python"));
    pythons.map(|entry| entry.path().join("site-packages")).collect()
}

/// The words of a command, or of options, that may be paths: those with a slash.
fn in_command(value: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let words = git_words::words(value).into_iter().filter(|word| !word.computed).map(|word| word.text);
    // An option and its value in one word: -I./lib, -javaagent:/path.
    let options = value.split(u8::is_ascii_whitespace).filter(|word| word.starts_with(b"-"));
    let values =
        options.filter_map(|word| word.iter().position(|byte| b"./".contains(byte)).map(|at| word[at..].to_vec()));
    let all: Vec<_> = words.chain(values).filter(|word| word.contains(&b'/')).collect();
    all.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_sorted() {
        assert!(LISTS.is_sorted() && PATHS.is_sorted() && COMMANDS.is_sorted());
    }

    #[test]
    fn what_variables_name_in_a_directory_is_found_by_any_spelling() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("work/lib/python3.9")).unwrap();
        std::os::unix::fs::symlink("work/bin", root.join("link")).unwrap();
        for file in ["editor", "pre.so", "x.js", "a.jar"] {
            std::fs::write(root.join("work").join(file), "").unwrap();
        }
        let work = root.join("work");
        let of = |variable: &str, value: &str| {
            let value = value.replace("ROOT", &root.display().to_string());
            let variables = [(OsStr::new(variable), OsStr::new(&value))];
            let found = code_paths(variables.into_iter(), &work, [work.clone()].into_iter());
            let name = |path: &CodePath| path.path.strip_prefix(&work).unwrap().display().to_string();
            found.paths.iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(of("PATH", "/usr/bin:ROOT/work/bin:ROOT/other:/bin"), ["bin"]);
        assert_eq!(of("PATH", "ROOT/link:"), ["bin", ""]);
        assert_eq!(of("PATH", "./node/bin:../work/x:/usr/bin"), ["node/bin", "x"]);
        assert_eq!(of("VIRTUAL_ENV", "ROOT/work"), ["lib/python3.9/site-packages"]);
        assert_eq!(of("BASH_ENV", "new.sh"), ["new.sh"]);
        assert_eq!(of("EDITOR", "ROOT/work/editor --wait"), ["editor"]);
        assert!(of("EDITOR", "editor").is_empty() && of("FZF_DEFAULT_COMMAND", "find ROOT/work").is_empty());
        assert_eq!(of("LD_PRELOAD", "/lib/a.so:ROOT/work/pre.so"), ["pre.so"]);
        assert_eq!(of("NODE_OPTIONS", "--max-old-space-size=9 -r ./x.js"), ["x.js"]);
        assert_eq!(of("NODE_OPTIONS", "--require=./x.js"), ["x.js"]);
        assert_eq!(of("JAVA_TOOL_OPTIONS", "-javaagent:ROOT/work/a.jar=opt"), ["a.jar"]);
        assert_eq!(of("RUBYOPT", "-r./x.js"), ["x.js"]);
        assert!(of("HOME", "ROOT/work").is_empty());
    }
}
