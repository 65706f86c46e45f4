//! Variables of the caller's by which programs outside find code: directories that are searched for programs, libraries and modules, and
//! files that shells, interpreters and tools execute. An activated virtual environment has its directory of programs in PATH.

use super::git_words;
use super::walk::Ways;
use super::writers::is_unknown;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Variables that list directories in which code is looked for, sorted. What builds and installers put there is code that they are to
/// put there.
const LISTS: [&str; 49] = [
    "BASH_LOADABLES_PATH",
    "CARGO_HOME",
    "CLASSPATH",
    "EMACSLOADPATH",
    "FPATH",
    "GCONV_PATH",
    "GEM_HOME",
    "GEM_PATH",
    "GIO_EXTRA_MODULES",
    "GI_TYPELIB_PATH",
    "GOBIN",
    "GOPATH",
    "GOROOT",
    "GRADLE_USER_HOME",
    "GST_PLUGIN_PATH",
    "GTK_PATH",
    "GUILE_LOAD_PATH",
    "JAVA_HOME",
    "JULIA_DEPOT_PATH",
    "JULIA_LOAD_PATH",
    "LD_LIBRARY_PATH",
    "LIBGL_DRIVERS_PATH",
    "LUA_CPATH",
    "LUA_PATH",
    "MODULEPATH",
    "NODE_PATH",
    "NVM_DIR",
    "OPENSSL_ENGINES",
    "OPENSSL_MODULES",
    "PATH",
    "PERL5LIB",
    "PERLLIB",
    "PKG_CONFIG_PATH",
    "PYENV_ROOT",
    "PYTHONPATH",
    "PYTHONUSERBASE",
    "QML2_IMPORT_PATH",
    "QT_PLUGIN_PATH",
    "RUBYLIB",
    "RUSTUP_HOME",
    "R_LIBS",
    "R_LIBS_SITE",
    "R_LIBS_USER",
    "VIRTUAL_ENV",
    "VK_LAYER_PATH",
    "XDG_CONFIG_DIRS",
    "XDG_DATA_DIRS",
    "ZSH",
    "ZSH_CUSTOM",
];

/// Variables that name one file or directory that is read or executed, sorted.
const PATHS: [&str; 38] = [
    "ALSA_CONFIG_PATH",
    "ANSIBLE_CONFIG",
    "AWS_CONFIG_FILE",
    "BASH_ENV",
    "CMAKE_TOOLCHAIN_FILE",
    "DIRENV_CONFIG",
    "DOCKER_CONFIG",
    "ENV",
    "GDK_PIXBUF_MODULE_FILE",
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
    "PSQLRC",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "RIPGREP_CONFIG_PATH",
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
const COMMANDS: [&str; 56] = [
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
    "GOFLAGS",
    "HGEDITOR",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LD",
    "LD_AUDIT",
    "LD_PRELOAD",
    "LESSCLOSE",
    "LESSOPEN",
    "LUA_INIT",
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

/// How the names of further variables that hold a command or options begin and end, in lower case.
const FAMILIES: [(&str, &str); 9] = [
    ("", "_askpass"),
    ("", "_browser"),
    ("", "_command"),
    ("", "_editor"),
    ("", "_opts"),
    ("", "_pager"),
    ("cargo_target_", "_linker"),
    ("cargo_target_", "_runner"),
    ("npm_config_", ""),
];

/// Options before a directory, or a list of them, in which an interpreter looks for code.
const OPTIONS: [&str; 5] = ["-I", "-cp", "-classpath", "--class-path", "--module-path"];

/// Directories of the system's programs, which hold no links into a home.
const SYSTEM: [&str; 5] = ["/usr", "/bin", "/sbin", "/lib", "/lib64"];

/// What a variable names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeKind {
    /// A directory in which code is looked for, and which builds and installers may fill.
    List,
    /// A file or directory that is read or executed.
    Path,
    /// A file that is a part of a command.
    Command,
}

/// A path that a variable names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodePath {
    /// The name of the variable.
    pub variable: String,
    /// The path as it is named, absolute.
    pub named: PathBuf,
    /// The real path, whether there is something or not.
    pub path: PathBuf,
    /// The links on the way that lie in one of the directories.
    pub links: Vec<PathBuf>,
    /// How programs use what is at the path.
    pub kind: CodeKind,
}

/// What variables name in some directories.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CodePaths {
    /// The paths, in the order of the variables.
    pub paths: Vec<CodePath>,
    /// The real paths of the directories.
    pub dirs: Vec<PathBuf>,
}

/// Where relative paths and those of the home lead.
#[derive(Debug, Clone, Copy)]
struct Places<'a> {
    cwd: &'a Path,
    home: &'a Path,
}

impl Places<'_> {
    /// The path that a text names, with what shells make of `~`, `$HOME` and `$PWD`.
    fn path(self, text: &[u8]) -> PathBuf {
        let homes: [&[u8]; 3] = [b"~/", b"$HOME/", b"${HOME}/"];
        let here: [&[u8]; 2] = [b"$PWD/", b"${PWD}/"];
        let after = |known: &[&[u8]]| known.iter().find_map(|known| text.strip_prefix(*known));
        match (after(&homes), after(&here)) {
            (Some(rest), _) => self.home.join(OsStr::from_bytes(rest)),
            (_, Some(rest)) => self.cwd.join(OsStr::from_bytes(rest)),
            _ => self.cwd.join(OsStr::from_bytes(text)),
        }
    }
}

/// What these variables name in `dirs`, and what is reached through links in there. Nothing else is looked up where none names a path that
/// may lie there.
pub fn code_paths<'v>(
    variables: impl Iterator<Item = (&'v OsStr, &'v OsStr)>,
    cwd: &Path,
    home: &Path,
    dirs: impl Iterator<Item = PathBuf> + Clone,
    ways: &mut Ways,
) -> CodePaths {
    let places = Places { cwd, home };
    let mut named: Vec<(&str, PathBuf, CodeKind)> = Vec::new();
    for (name, value) in variables {
        let (Some(name), value) = (name.to_str(), value.as_bytes()) else { continue };
        let is = |names: &[&str]| names.binary_search(&name).is_ok();
        let mut add = |text: &[u8], kind| named.push((name, places.path(text), kind));
        if is(&LISTS) {
            match name {
                // A template, in which `?` stands for the module's name.
                "LUA_PATH" | "LUA_CPATH" => value.split(|byte| *byte == b';').for_each(|item| {
                    let dir = item.split(|byte| *byte == b'?').next().unwrap_or_default();
                    add(dir, CodeKind::List);
                }),
                // All archives of a directory: java(1).
                "CLASSPATH" => value.split(|byte| *byte == b':').for_each(|item| {
                    add(item.strip_suffix(b"/*").unwrap_or(item), CodeKind::List);
                }),
                // ld.so(8).
                "LD_LIBRARY_PATH" => {
                    value.split(|byte| b":;".contains(byte)).for_each(|item| add(item, CodeKind::List));
                }
                // An empty item is the current directory.
                _ => value.split(|byte| *byte == b':').for_each(|item| add(item, CodeKind::List)),
            }
        } else if is(&PATHS) {
            let between = |byte: &u8| match name {
                "MAKEFILES" => byte.is_ascii_whitespace(),
                "KUBECONFIG" => *byte == b':',
                _ => false,
            };
            let items = value.split(between).filter(|item| !item.is_empty());
            items.for_each(|item| add(item, CodeKind::Path));
        } else if is(&COMMANDS) || is_of_family(name) {
            in_command(value).for_each(|word| add(&word, CodeKind::Command));
            in_options(value).for_each(|word| add(word, CodeKind::List));
        }
    }
    let in_system =
        |path: &Path| SYSTEM.iter().any(|dir| path.starts_with(dir)) && !dirs.clone().any(|dir| path.starts_with(dir));
    named.retain(|(_, path, _)| !in_system(path));
    if named.is_empty() {
        return CodePaths::default();
    }
    let dirs: Vec<PathBuf> = dirs.map(|dir| ways.follow(&dir).map_or(dir, |(real, _)| real)).collect();
    let mut paths: Vec<CodePath> = Vec::new();
    for (variable, named, kind) in named {
        let all = match variable {
            "VIRTUAL_ENV" => site_packages(&named),
            "PYTHONUSERBASE" => [site_packages(&named), vec![named.join("bin")]].concat(),
            "JAVA_HOME" | "GOROOT" | "GOPATH" => vec![named.join("bin"), named],
            _ => vec![named],
        };
        for named in all {
            let Some((path, mut links)) = ways.follow(&named) else { continue };
            let lies_in = |path: &Path| dirs.iter().any(|dir| path.starts_with(dir));
            links.retain(|link| lies_in(link));
            // A command may name a directory that it works on.
            let counts = kind != CodeKind::Command || path.is_file() || is_unknown(&path);
            let is_known = paths.iter().any(|known| known.named == named && known.kind == kind);
            if counts && !is_known && (lies_in(&path) || !links.is_empty()) {
                paths.push(CodePath { variable: variable.to_owned(), named, path, links, kind });
            }
        }
    }
    CodePaths { paths, dirs }
}

/// Whether a variable is one of [`FAMILIES`].
fn is_of_family(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    FAMILIES.iter().any(|(start, end)| name.starts_with(start) && name.ends_with(end))
}

/// The directories of a virtual environment in which Python finds modules, and files that it executes when it starts.
fn site_packages(environment: &Path) -> Vec<PathBuf> {
    let lib = environment.join("lib");
    let entries = match crate::sys::read_dir(&lib) {
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => return vec![lib],
        entries => entries.into_iter().flatten().flatten(),
    };
    let pythons = entries.filter(|entry| entry.file_name().as_bytes().starts_with(b"python"));
    pythons.map(|entry| entry.path().join("site-packages")).collect()
}

/// The words of a command, or of options, that may be paths: those with a slash.
fn in_command(value: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let words = git_words::words(value).into_iter().map(|word| word.text);
    // What shells compute is not in these words.
    let plain = value.split(|byte| byte.is_ascii_whitespace() || b"\"';&|".contains(byte)).map(<[u8]>::to_vec);
    // An option and its value in one word: -I./lib, -javaagent:/path; @/path of Lua.
    let options = value.split(u8::is_ascii_whitespace).filter(|word| word.starts_with(b"-") || word.starts_with(b"@"));
    let values =
        options.filter_map(|word| word.iter().position(|byte| b"./".contains(byte)).map(|at| word[at..].to_vec()));
    let all: Vec<_> = words.chain(plain).chain(values).filter(|word| word.contains(&b'/')).collect();
    all.into_iter()
}

/// The directories that options name for code.
fn in_options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let known = OPTIONS.iter().find_map(|option| word.strip_prefix(option.as_bytes()));
        let dirs = match known {
            Some([]) => words.next(),
            Some(rest) => Some(rest.strip_prefix(b"=").unwrap_or(rest)),
            None => word.strip_prefix(b"-Xbootclasspath/").and_then(|rest| rest.get(2..)),
        };
        found.extend(dirs.into_iter().flat_map(|dirs| dirs.split(|byte| *byte == b':')).filter(|dir| !dir.is_empty()));
    }
    found.into_iter()
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
            let found =
                code_paths(variables.into_iter(), &work, &root, [work.clone()].into_iter(), &mut Ways::default());
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
        assert_eq!(of("MAKEFILES", "ROOT/work/a.mk b.mk"), ["a.mk", "b.mk"]);
        assert_eq!(of("KUBECONFIG", "a:ROOT/work/b"), ["a", "b"]);
        for home in ["~/work", "$HOME/work", "${HOME}/work", "$PWD", "${PWD}"] {
            assert_eq!(of("BASH_ENV", &format!("{home}/x.sh")), ["x.sh"], "{home}");
            assert_eq!(of("PROMPT_COMMAND", &format!(". {home}/x.js")), ["x.js"], "{home}");
        }
        assert_eq!(of("PERL5OPT", "-IROOT/work/d"), ["d"]);
        assert_eq!(of("RUBYOPT", "-I lib -rx"), ["lib"]);
        assert_eq!(of("JAVA_TOOL_OPTIONS", "-cp ROOT/work/c:d"), ["c", "d"]);
        assert_eq!(of("MAVEN_OPTS", "-Xbootclasspath/a:d"), ["d"]);
        assert_eq!(of("LUA_PATH", "ROOT/work/?.lua;;"), [""]);
        assert_eq!(of("LUA_INIT", "@ROOT/work/x.js"), ["x.js"]);
        assert_eq!(of("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", "./editor -q"), ["editor"]);
        assert!(of("CARGO_TARGET_DIR", "ROOT/work").is_empty());
        assert_eq!(of("npm_config_userconfig", "ROOT/work/x.js"), ["x.js"]);
        assert_eq!(of("GOFLAGS", "-toolexec=ROOT/work/editor"), ["editor"]);
        assert_eq!(of("PYTHONUSERBASE", "ROOT/work"), ["lib/python3.9/site-packages", "bin"]);
    }
}
