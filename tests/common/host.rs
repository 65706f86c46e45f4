//! A host of the test's own: a root directory in a user and a mount namespace, with the real host's system in it and what the test
//! adds. The tests of other layouts run sbx there.

use super::place::{Place, Ran, ran, sbx};
use std::process::{Command, Stdio};

/// Builds the root and executes `$@` in it. `$ROOT` is the new root, `$SETUP` the test's part.
const SCRIPT: &str = r#"set -eu
mount -t tmpfs -o mode=755 none "$ROOT"
for path in /*; do
  case " $LEFT_OUT " in *" ${path#/} "*) continue;; esac
  if [ -L "$path" ]; then cp -P "$path" "$ROOT"
  elif [ -d "$path" ]; then mkdir "$ROOT$path"; mount --rbind "$path" "$ROOT$path"
  fi
done
: > "$ROOT$SBX"
mount --bind "$PROGRAM" "$ROOT$SBX"
cd "$ROOT"
OLD=
eval "$SETUP"
mkdir -p .old
pivot_root . .old
cd "$WORK"
umount -l /.old
rmdir /.old
exec unshare --user --map-user="$ID_USER" --map-group="$ID_GROUP" -- "$@"
"#;

/// Where sbx lies on the host, which need not have the directory that it was built in.
const PROGRAM: &str = "/.sbx";

/// A host to run sbx on, as the caller's own user.
pub struct Host<'p> {
    place: &'p Place,
    setup: String,
    left_out: String,
    env: Vec<(String, String)>,
    work: String,
    id: Option<u32>,
}

impl<'p> Host<'p> {
    /// A host with this shell script to complete it; it runs in the new root before that is entered.
    pub fn new(place: &'p Place, setup: &str) -> Host<'p> {
        // None of the directories that are no part of a system.
        let known = ["bin", "dev", "etc", "opt", "proc", "run", "sbin", "sys", "tmp", "usr", "var"];
        let names = std::fs::read_dir("/").unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
        let left_out = names.filter(|name| !known.contains(&name.as_str()) && !name.starts_with("lib"));
        let left_out = left_out.collect::<Vec<_>>().join(" ");
        let work = place.work().display().to_string();
        Host { place, setup: setup.into(), left_out, env: Vec::new(), work, id: None }
    }

    /// Leaves out this directory of the real host, too.
    pub fn without(mut self, name: &str) -> Self {
        self.left_out += &format!(" {name}");
        self
    }

    /// Sets a variable for sbx.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Starts sbx in this directory.
    pub fn work(mut self, dir: &str) -> Self {
        self.work = dir.into();
        self
    }

    /// Runs sbx as this user and group id.
    pub fn id(mut self, id: u32) -> Self {
        self.id = Some(id);
        self
    }

    /// The command that runs a program on the host.
    fn command(&self, program: &[&str]) -> Command {
        let root = self.place.dir.path().join("root");
        let _ = std::fs::create_dir(&root);
        // SAFETY: they take no argument and cannot fail.
        let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "--", "/bin/sh", "-c", SCRIPT, "sh"]).args(program);
        command.env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").env("HOME", self.place.home());
        command
            .env("SBX", PROGRAM)
            .env("PROGRAM", sbx())
            .env("ROOT", root)
            .env("SETUP", &self.setup)
            .env("LEFT_OUT", &self.left_out)
            .env("WORK", &self.work);
        command.env("ID_USER", self.id.unwrap_or(uid).to_string()).env("ID_GROUP", self.id.unwrap_or(gid).to_string());
        command.env("NO_COLOR", "1").envs(self.env.iter().cloned()).stdin(Stdio::null()).current_dir("/");
        command
    }

    /// Runs sbx on the host.
    pub fn run(&self, args: &[&str]) -> Ran {
        ran(self.command(&[&[PROGRAM], args].concat()).output().unwrap())
    }

    /// Runs a shell script on the host, in which sbx is `$SBX`.
    pub fn script(&self, script: &str) -> Ran {
        ran(self.command(&["/bin/sh", "-c", script]).output().unwrap())
    }

    /// Runs a shell script in a sandbox on the host.
    pub fn sh(&self, flags: &[&str], script: &str) -> Ran {
        self.run(&[flags, &["--", "/bin/sh", "-c", script]].concat())
    }
}

/// The version of the kernel: its first two numbers.
pub fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap(), numbers.next().unwrap())
}
