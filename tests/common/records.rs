//! Sandboxes that have records, in directories of a test's own.

use super::terminal::Session;
use super::{Place, Ran, ran};
use std::path::PathBuf;
use std::process::Command;

/// A place with directories for records of its own.
pub struct Records {
    pub place: Place,
}

impl Records {
    pub fn new() -> Records {
        let place = Place::new();
        for dir in ["run", "state"] {
            std::fs::create_dir(place.dir.path().join(dir)).unwrap();
        }
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(place.dir.path().join("run"), closed).unwrap();
        Records { place }
    }

    pub fn command(&self) -> Command {
        let mut command = self.place.command();
        command.env("XDG_RUNTIME_DIR", self.place.dir.path().join("run"));
        command.env("XDG_STATE_HOME", self.place.dir.path().join("state"));
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        ran(self.command().args(args).output().unwrap())
    }

    /// Starts a shell script in the background, and gives the id.
    #[track_caller]
    pub fn start(&self, flags: &[&str], script: &str) -> String {
        let args = [&["run", "-d", "-q"], flags, &["--", "sh", "-c", script]].concat();
        self.run(&args).ok().trim().to_owned()
    }

    /// A script in a shell on a terminal of its own, in which the records are these.
    pub fn session(&self, script: &str) -> Session {
        let dir = self.place.dir.path().display();
        let script = format!("export XDG_RUNTIME_DIR={dir}/run XDG_STATE_HOME={dir}/state; {script}");
        Session::start(&self.place, &script)
    }

    /// Runs a script in a mount namespace of the test's own, in which `$sbx` has its records in `$place`.
    pub fn in_own_mounts(&self, script: &str) -> Ran {
        let dir = self.place.dir.path().display();
        let script = format!(
            "place={dir} sbx={}; export XDG_RUNTIME_DIR={dir}/run XDG_STATE_HOME={dir}/state HOME={dir}/home; cd {dir}/work\n{script}",
            super::sbx().display()
        );
        ran(Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
            .output()
            .unwrap())
    }

    #[track_caller]
    pub fn inspect(&self, name: &str, field: &str) -> String {
        self.run(&["inspect", "--format", &format!("{{{{{field}}}}}"), name]).ok().trim().to_owned()
    }

    pub fn records(&self) -> PathBuf {
        self.place.dir.path().join("state/sbx")
    }

    pub fn running(&self) -> PathBuf {
        self.place.dir.path().join("run/sbx")
    }

    /// The names in the directory of records, but for those of names and of what has happened.
    pub fn left(&self) -> Vec<String> {
        let names = |dir: PathBuf| {
            let entries = std::fs::read_dir(dir).into_iter().flatten();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
        };
        let mut all = [names(self.records()), names(self.records().join(".names")), names(self.running())].concat();
        all.retain(|name| name != ".names" && name != ".events");
        all
    }

    pub fn kill(&self, field: &str, name: &str, signal: i32) {
        let pid: i32 = self.inspect(name, field).parse().unwrap();
        assert!(pid > 1, "{pid}");
        // SAFETY: a signal to a process that this test has started.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        self.run(&["rm", "-f", "-a", "-t", "0"]);
    }
}
