//! Runs sbx in tests. libtest has threads, so everything is tried on the program itself.

use super::tick;
use nix::fcntl::{FcntlArg, fcntl};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A temporary directory with a home, a current directory and a way to run sbx in them.
pub struct Place {
    pub dir: tempfile::TempDir,
}

/// The result of a run.
#[derive(Debug)]
pub struct Ran {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Place {
    pub fn new() -> Place {
        let dir = tempfile::Builder::new().prefix("sbx-test").tempdir().unwrap();
        std::fs::create_dir(dir.path().join("home")).unwrap();
        std::fs::create_dir(dir.path().join("work")).unwrap();
        Place { dir }
    }

    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    pub fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The program under test, in the directory `work`. What was written before has an earlier time than what it will write, and than its
    /// start: a run takes a file of its own start's time for one that is changed meanwhile.
    pub fn command(&self) -> Command {
        tick();
        let mut command = Command::new(sbx());
        command
            .current_dir(self.work())
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
        command.env("NO_COLOR", "1").stdin(Stdio::null());
        default_signals(&mut command);
        command
    }

    /// Runs a script in the current directory, on the host. Gives what it prints.
    #[track_caller]
    pub fn on_host(&self, script: &str) -> String {
        let ran = Command::new("/bin/sh").args(["-ec", script]).current_dir(self.work()).output().unwrap();
        assert!(ran.status.success(), "{script}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        ran(self.command().args(args).output().unwrap())
    }

    /// Runs a shell script in the sandbox.
    pub fn sh(&self, flags: &[&str], script: &str) -> Ran {
        self.run(&[flags, &["--", "/bin/sh", "-c", script]].concat())
    }
}

/// Makes a command start its program with no signal ignored: whatever started the tests may ignore some, as nohup and a
/// shell's & do, and programs inherit that.
pub fn default_signals(command: &mut Command) {
    // SAFETY: signal is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        });
    }
}

/// Passes a descriptor to a command, at this number. Until then it is kept high above the numbers that tests ask for:
/// other tests open files meanwhile, so its own number may be this one, or one that the command gets another file at.
pub fn pass(command: &mut Command, file: &impl AsFd, number: i32) {
    let kept = fcntl(file.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(500)).unwrap();
    // SAFETY: nothing else has the descriptor that was just made.
    let kept = unsafe { OwnedFd::from_raw_fd(kept) };
    // SAFETY: dup2 is async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            let fd = kept.as_raw_fd();
            if libc::dup2(fd, number) == number { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        });
    }
}

/// Hands over no descriptors to a command but the standard streams: the test program itself may have inherited some.
pub fn pass_none(command: &mut Command) {
    // SAFETY: close_range is async-signal-safe, and marks descriptors only.
    unsafe {
        command.pre_exec(|| match libc::close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC as i32) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

pub fn ran(output: Output) -> Ran {
    Ran {
        status: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Ran {
    /// Asserts success, and returns the output.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.status, Some(0), "{self:#?}");
        self.out
    }

    /// Asserts a failure with this status, and returns the message.
    #[track_caller]
    pub fn failed(self, status: i32) -> String {
        assert_eq!(self.status, Some(status), "{self:#?}");
        self.err
    }
}

/// Path of the program under test, `sbx`. In a guest it lies elsewhere than where it was built.
pub fn sbx() -> &'static Path {
    static PATH: std::sync::LazyLock<PathBuf> = std::sync::LazyLock::new(|| {
        std::env::var_os("SBX_TEST_BINARY").map_or(env!("CARGO_BIN_EXE_sbx").into(), Into::into)
    });
    &PATH
}

/// Copies a program, to be executed by this process. Another one does it: a file that this process has open for writing would stay open
/// in what other tests start meanwhile, and could not be executed so long (ETXTBSY).
pub fn copy_program(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("--").args([from, to]).status().unwrap();
    assert!(copied.success(), "cp {} {}: {copied}", from.display(), to.display());
}
