//! What a test needs of the host. If a test, or a part of one, does not run, that is recorded with the reason: see
//! `tests/README.md`.

use super::place::{Place, sbx};
use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;

/// The names of needs in `SBX_TEST_REQUIRE` and `tests/not-run.allowed`. `landlock` has a version: `landlock:6`.
const WORDS: [&str; 18] = [
    "bwrap",
    "disk",
    "fuse",
    "landlock",
    "limits",
    "multilib",
    "nosymfollow",
    "no-session",
    "not-root",
    "own-service",
    "root",
    "seccomp-lists",
    "static",
    "subids",
    "tools",
    "tun",
    "userns",
    "x86_64",
];

/// Needs that must be met: a missing one is a failure (`SBX_TEST_REQUIRE`).
static REQUIRED: LazyLock<Vec<(String, u32)>> = LazyLock::new(|| {
    let list = std::env::var("SBX_TEST_REQUIRE").unwrap_or_default();
    let items = list.split(',').filter(|item| !item.is_empty());
    items
        .map(|item| {
            let (word, version) = item.split_once(':').unwrap_or((item, "0"));
            assert!(WORDS.contains(&word), "SBX_TEST_REQUIRE has {item:?}, which is none of {WORDS:?}");
            (
                word.to_owned(),
                version.parse().unwrap_or_else(|_| panic!("SBX_TEST_REQUIRE: {item}: a number is missing")),
            )
        })
        .collect()
});

/// Something that a test needs of the host.
pub struct Need {
    word: &'static str,
    version: u32,
    /// What the host lacks; none if the need is met.
    lacks: Option<String>,
}

impl Need {
    /// A need that this host meets or not; `lacks` says what the host lacks in the second case.
    pub fn new(word: &'static str, met: bool, lacks: impl Into<String>) -> Need {
        assert!(WORDS.contains(&word), "{word:?} is no word for a need");
        Need { word, version: 0, lacks: (!met).then(|| lacks.into()) }
    }

    /// Whether the host lacks it, which is recorded for this test. If `SBX_TEST_REQUIRE` names it, the test fails
    /// instead.
    #[track_caller]
    pub fn is_missing(&self, test: &str) -> bool {
        let Some(lacks) = &self.lacks else { return false };
        let lacks = lacks.trim().lines().next().unwrap_or_default().replace('\t', " ");
        let required = REQUIRED.iter().any(|(word, version)| word == self.word && *version >= self.version);
        assert!(!required, "{} is required here by SBX_TEST_REQUIRE: {lacks}", self.word);
        let word = if self.version > 0 { format!("{}:{}", self.word, self.version) } else { self.word.to_owned() };
        if let Some(path) = std::env::var_os("SBX_TEST_NOT_RUN") {
            // One write of one line: other test programs append to the same file.
            let line = format!("{test}\t{word}\t{lacks}\n");
            let file = std::fs::File::options().append(true).create(true).open(&path);
            file.and_then(|mut file| file.write_all(line.as_bytes()))
                .unwrap_or_else(|error| panic!("{path:?}: {error}"));
        }
        // libtest captures what a passing test prints with eprintln!, but not this.
        let _ = std::io::stderr().write_all(format!("not run: {test}: {lacks}\n").as_bytes());
        true
    }
}

/// This host can run sandboxes.
pub fn userns() -> Need {
    static LACKS: LazyLock<Option<String>> = LazyLock::new(|| {
        let ran = Place::new().run(&["--", "/bin/true"]);
        (ran.status != Some(0)).then(|| format!("no sandbox can be started: {}", ran.err))
    });
    Need { word: "userns", version: 0, lacks: LACKS.clone() }
}

/// /dev/net/tun can be opened, for the interface of a private network.
pub fn tun() -> Need {
    let opened = std::fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun");
    let lacks = opened.err().map(|error| format!("/dev/net/tun: {error}")).unwrap_or_default();
    Need::new("tun", lacks.is_empty(), lacks)
}

/// This user may serve FUSE filesystems.
pub fn fuse() -> Need {
    let opened = std::fs::OpenOptions::new().read(true).write(true).open("/dev/fuse");
    Need::new("fuse", opened.is_ok(), format!("/dev/fuse: {}", opened.err().map(|e| e.to_string()).unwrap_or_default()))
}

/// These programs are installed.
pub fn tools(names: &[&str]) -> Need {
    let found = |name: &&str| ["/usr/bin", "/bin", "/usr/sbin"].iter().any(|dir| Path::new(dir).join(name).exists());
    let missing: Vec<_> = names.iter().filter(|name| !found(name)).copied().collect();
    Need::new("tools", missing.is_empty(), format!("there is no {}", missing.join(", no ")))
}

/// The caller has no runtime directory: in one, the caller's own gpg-agent would be used, whatever HOME is.
pub fn no_session() -> Need {
    let dir = format!("/run/user/{}", own_uid());
    Need::new("no-session", !Path::new(&dir).exists(), format!("{dir} has the caller's own agents"))
}

/// The caller's user id.
fn own_uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid()
}

/// The kernel has at least this version of Landlock.
pub fn landlock(version: u32) -> Need {
    let found = sbx::testing::landlock_version().unwrap_or(0);
    let lacks = match found {
        0 => "the kernel has no Landlock".to_owned(),
        found => format!("the kernel has version {found} of Landlock"),
    };
    Need { version, ..Need::new("landlock", found >= version as i32, lacks) }
}

/// A sandbox can have a cgroup of its own.
pub fn limits() -> Need {
    static LACKS: LazyLock<Option<String>> = LazyLock::new(|| {
        let ran = Place::new().run(&["--memory", "64M", "--", "/bin/true"]);
        (ran.status != Some(0)).then_some(ran.err)
    });
    Need { word: "limits", version: 0, lacks: LACKS.clone() }
}

/// A sandbox can have a cgroup of its own, be it without controllers.
pub fn cgroup() -> Need {
    static LACKS: LazyLock<Option<String>> = LazyLock::new(|| {
        let ran = Place::new().run(&["--set", "limits.max_descendants=50", "--", "/bin/true"]);
        (ran.status != Some(0)).then_some(ran.err)
    });
    Need { word: "limits", version: 0, lacks: LACKS.clone() }
}

fn is_root() -> bool {
    // SAFETY: it takes no argument and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// The tests run as root.
pub fn root() -> Need {
    Need::new("root", is_root(), "the caller is not root")
}

/// The tests run as an ordinary user.
pub fn not_root() -> Need {
    Need::new("not-root", !is_root(), "the caller is root")
}

/// The programs are linked statically, as `.cargo/config.toml` asks for.
pub fn static_build() -> Need {
    Need::new("static", cfg!(target_feature = "crt-static"), "the build is not a static one")
}

/// The machine is an x86_64, whose system calls the test makes by number.
pub fn x86_64() -> Need {
    Need::new("x86_64", cfg!(target_arch = "x86_64"), "the machine is no x86_64")
}

/// Ends the test if the host lacks one of these, and records that.
#[macro_export]
macro_rules! need {
    ($($need:expr),+ $(,)?) => { $(if !$crate::available!($need) { return Default::default(); })+ };
}

/// Whether the host has this. If not, it is recorded that a part of the test did not run.
#[macro_export]
macro_rules! available {
    ($need:expr) => {{
        fn here() {}
        let test = std::any::type_name_of_val(&here).trim_end_matches("::here").replace("::{{closure}}", "");
        !$need.is_missing(&test)
    }};
}
