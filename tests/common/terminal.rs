//! A shell with job control on a terminal of its own.

use super::place::{Place, default_signals, sbx};
use super::process::{descendants, signal, status};
use super::{bwrap, until_within};
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, unlockpt};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Duration;

/// A terminal of 33 rows and 77 columns, and the shell on it.
pub struct Session {
    pub master: File,
    pub child: Child,
    /// What the screen has shown since the text that was last waited for.
    seen: String,
    /// What the screen had shown before the text that was last waited for.
    pub before: String,
    /// The prompt was waited for, and nothing was typed since.
    prompted: bool,
}

fn size(rows: u16, columns: u16) -> libc::winsize {
    libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// The two ends of a new terminal, neither of which a child that another test starts meanwhile gets.
fn pair() -> (File, OwnedFd) {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let master = posix_openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    // SAFETY: TIOCGPTPEER takes flags by value and gives a new descriptor; TIOCSWINSZ reads one size.
    let slave = unsafe {
        let slave = libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        assert!(slave >= 0, "TIOCGPTPEER: {}", std::io::Error::last_os_error());
        assert_eq!(libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &size(33, 77)), 0);
        OwnedFd::from_raw_fd(slave)
    };
    (File::from(OwnedFd::from(master)), slave)
}

impl Session {
    /// Starts a script, in which the two programs are `$SBX` and `$BWRAP`.
    pub fn start(place: &Place, script: &str) -> Session {
        Session::of(place, "/bin/bash", &["--norc", "--noprofile", "-ic", script])
    }

    /// Starts a shell that is typed into.
    pub fn shell(place: &Place, shell: &str) -> Session {
        let args: &[&str] = match shell {
            "bash" => &["--norc", "--noprofile", "-i"],
            "zsh" => &["-f", "-i"],
            _ => &["-i"],
        };
        Session::of(place, &format!("/bin/{shell}"), args)
    }

    fn of(place: &Place, program: &str, args: &[&str]) -> Session {
        let (master, slave) = pair();
        let mut command = Command::new(program);
        command.args(args).current_dir(place.work()).env_clear().env("PS1", "$ ").env("TERM", "xterm");
        command.env("SBX", sbx()).env("BWRAP", bwrap::program()).env("HOME", place.home());
        let bin = place.dir.path().join("bin");
        command.env("PATH", format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", bin.display()));
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        default_signals(&mut command);
        // SAFETY: both calls are async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        Session { master, child: command.spawn().unwrap(), seen: String::new(), before: String::new(), prompted: false }
    }

    /// Waits until the screen has shown this text, and forgets it and all before it.
    #[track_caller]
    pub fn expect(&mut self, text: &str) {
        assert!(self.shows(text, Duration::from_secs(30)), "waited for {text:?}, saw {:?}", self.seen);
    }

    /// Whether the screen shows this text within a time; if so, it is forgotten with all before it.
    pub fn shows(&mut self, text: &str, within: Duration) -> bool {
        until_within(within, || {
            self.look();
            self.seen.contains(text)
        });
        let Some(at) = self.seen.find(text) else { return false };
        self.before = self.seen.drain(..at + text.len()).take(at).collect();
        true
    }

    /// What the screen has shown since the text that was last waited for.
    pub fn look(&mut self) -> &str {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = self.master.read(&mut buffer) {
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
        &self.seen
    }

    /// Types a command once the shell has shown its prompt and waits for one, and forgets what the screen has shown.
    #[track_caller]
    pub fn command(&mut self, line: &str) {
        self.prompt();
        self.send(&format!("{line}\n"));
        self.expect("\n");
    }

    /// Waits until the shell has shown its prompt as the last thing, and forgets what the screen has shown.
    #[track_caller]
    pub fn prompt(&mut self) {
        if std::mem::replace(&mut self.prompted, true) {
            return;
        }
        let waits = until_within(Duration::from_secs(30), || {
            // What a line editor sends besides: sequences of ESC and bytes up to a letter or sign.
            let parts = self.look().split('\u{1b}');
            let plain: String = parts
                .enumerate()
                .map(|(at, part)| {
                    if at == 0 {
                        part
                    } else {
                        part.split_once(|c: char| c.is_alphabetic() || "=>".contains(c)).map_or("", |(_, rest)| rest)
                    }
                })
                .collect();
            plain.ends_with("$ ")
        });
        assert!(waits, "no prompt: {:?}, before that: {:?}", self.seen, self.before);
        self.before = std::mem::take(&mut self.seen);
        // The line editor sets the terminal only then.
        std::thread::sleep(Duration::from_millis(20));
    }

    /// Types keys once everything that the shell has started sleeps: it waits for them, or for something else. (A key that stops or
    /// interrupts in the middle of vfork(2) has other effects.)
    pub fn press(&mut self, keys: &str) {
        let mut asleep = 0;
        until_within(Duration::from_secs(10), || {
            let all = descendants(self.child.id());
            let sleeps = |pid: &u32| !matches!(status(*pid, "State").chars().next(), Some('R' | 'D'));
            asleep = if all.iter().all(sleeps) { asleep + 1 } else { 0 };
            std::thread::sleep(Duration::from_millis(15));
            asleep > 5
        });
        self.send(keys);
    }

    /// Types a text.
    pub fn send(&mut self, keys: &str) {
        self.prompted = false;
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Closes the terminal, as the window of an emulator is closed.
    pub fn close(&mut self) {
        self.master = File::open("/dev/null").unwrap();
    }

    /// Gives the window another size.
    pub fn resize(&self, rows: u16, columns: u16) {
        // SAFETY: a valid size for a descriptor of ours.
        assert_eq!(unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCSWINSZ, &size(rows, columns)) }, 0);
    }

    /// The terminal's foreground process group.
    pub fn foreground(&self) -> i32 {
        let mut group = 0;
        // SAFETY: it fills one integer.
        unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCGPGRP, &mut group) };
        group
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Processes that have the terminal in the foreground, or wait for it, end when it hangs up.
        let group = self.foreground();
        if group > 0 {
            signal(-group, libc::SIGKILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
