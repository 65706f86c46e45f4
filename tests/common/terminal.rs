//! A shell with job control on a terminal of its own.

use super::place::{Place, default_signals, sbx};
use super::process::signal;
use super::{bwrap, until};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// A terminal of 33 rows and 77 columns, and the shell on it.
pub struct Session {
    pub master: File,
    pub child: Child,
    /// What the screen has shown since the text that was last waited for.
    seen: String,
    /// What the screen had shown before the text that was last waited for.
    pub before: String,
}

fn size(rows: u16, columns: u16) -> libc::winsize {
    libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

impl Session {
    /// Starts a script, in which the two programs are `$SBX` and `$BWRAP`.
    pub fn start(place: &Place, script: &str) -> Session {
        // SAFETY: openpty fills both numbers; the size is valid, and nothing else is asked for.
        let (master, slave) = unsafe {
            let (mut master, mut slave) = (0, 0);
            let (null, size) = (std::ptr::null_mut(), size(33, 77));
            assert_eq!(libc::openpty(&mut master, &mut slave, null, null.cast(), &size), 0);
            libc::fcntl(master, libc::F_SETFD, libc::FD_CLOEXEC);
            libc::fcntl(master, libc::F_SETFL, libc::O_NONBLOCK);
            (File::from_raw_fd(master), OwnedFd::from_raw_fd(slave))
        };
        let mut command = Command::new("/bin/bash");
        command.args(["--norc", "--noprofile", "-ic", script]).current_dir(place.work()).env_clear().env("PS1", "$ ");
        command.env("SBX", sbx()).env("BWRAP", bwrap::program()).env("HOME", place.home());
        command.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
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
        Session { master, child: command.spawn().unwrap(), seen: String::new(), before: String::new() }
    }

    /// Waits until the screen has shown this text, and forgets it and all before it.
    #[track_caller]
    pub fn expect(&mut self, text: &str) {
        until(|| {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = self.master.read(&mut buffer) {
                self.seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
            }
            self.seen.contains(text)
        });
        let at = self.seen.find(text).unwrap_or_else(|| panic!("waited for {text:?}, saw {:?}", self.seen));
        self.before = self.seen.drain(..at + text.len()).take(at).collect();
    }

    /// Types a text.
    pub fn send(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
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
