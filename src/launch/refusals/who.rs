//! Which process of a sandbox a socket belongs to: its inode, as sock_diag(7) tells it, is looked for among the descriptors of the
//! sandbox's processes. How much is looked at, and for how long, is bounded: the program decides how many processes and descriptors there
//! are.

use crate::host;
use crate::launch::connections::{self, Socket};
use crate::launch::denial::Who;
use crate::sys;
use std::collections::VecDeque;
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

/// The most processes that are looked at, and the most descriptors of one.
const MOST_PROCESSES: usize = 1024;
const MOST_DESCRIPTORS: usize = 4096;

/// How long one is looked for.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long is looked in each second at most.
const IN_A_SECOND: Duration = Duration::from_millis(300);

/// The longest name of a program, in bytes: TASK_COMM_LEN is 16.
const LONGEST_NAME: usize = 64;

/// Looks for processes.
pub(in crate::launch) struct Lookups {
    /// The first process of the sandbox.
    first: i32,
    /// How long was looked since when.
    spent: Duration,
    since: Instant,
}

impl Lookups {
    pub fn new(first: i32) -> Lookups {
        Lookups { first, spent: Duration::ZERO, since: Instant::now() }
    }

    /// Who holds a socket of the network that `diag` was made in; none if that is not found in time.
    pub fn who(&mut self, diag: BorrowedFd<'_>, socket: &Socket) -> Option<Who> {
        let began = Instant::now();
        if began.duration_since(self.since) >= Duration::from_secs(1) {
            (self.spent, self.since) = (Duration::ZERO, began);
        }
        let left = IN_A_SECOND.saturating_sub(self.spent).min(PATIENCE);
        if left.is_zero() {
            return None;
        }
        let found = connections::inode(diag, socket).and_then(|inode| holder(self.first, inode, began + left));
        self.spent += began.elapsed();
        found
    }
}

/// A process among the descendants of one, itself included, that has the socket with this inode open.
fn holder(first: i32, inode: u32, until: Instant) -> Option<Who> {
    let wanted = format!("socket:[{inode}]");
    let mut queue = VecDeque::from([first]);
    let mut seen = 0;
    while let Some(pid) = queue.pop_front() {
        seen += 1;
        if seen > MOST_PROCESSES || Instant::now() >= until {
            return None;
        }
        // By a descriptor: another process may get its number, but not its directory.
        let path = CString::new(format!("/proc/{pid}")).ok()?;
        let Ok(dir) = sys::openat(sys::cwd(), &path, libc::O_PATH | libc::O_DIRECTORY, 0) else { continue };
        let dir = format!("/proc/self/fd/{}", dir.as_raw_fd());
        let links = fs::read_dir(format!("{dir}/fd")).into_iter().flatten().flatten().take(MOST_DESCRIPTORS);
        for (at, link) in links.enumerate() {
            if fs::read_link(link.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str()) {
                let comm = sys::read_start(format!("{dir}/comm").as_ref(), LONGEST_NAME).ok()?;
                return Some(Who { pid, program: String::from_utf8_lossy(&comm).trim_end_matches('\n').to_owned() });
            }
            if at % 64 == 63 && Instant::now() >= until {
                return None;
            }
        }
        let threads = fs::read_dir(format!("{dir}/task")).into_iter().flatten().flatten().take(MOST_PROCESSES);
        for thread in threads {
            queue.extend(host::children(&thread.path()).into_iter().take(MOST_PROCESSES.saturating_sub(queue.len())));
            if Instant::now() >= until {
                return None;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    #[test]
    fn the_process_that_has_a_socket_is_found_by_its_addresses() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let local = socket.local_addr().unwrap();
        let asked = Socket { tcp: false, local, remote: "127.0.0.1:53".parse().unwrap() };
        let diag = sys::diag_socket().unwrap();
        // Where sock_diag(7) is not there, nobody is found.
        let Some(inode) = connections::inode(diag.as_fd(), &asked) else { return };
        let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        assert_eq!(link.to_str(), Some(format!("socket:[{inode}]").as_str()));
        // A busy machine may use the time up.
        let who = (0..100).find_map(|_| Lookups::new(sys::pid()).who(diag.as_fd(), &asked)).unwrap();
        assert_eq!((who.pid, who.program.is_empty()), (sys::pid(), false));
        drop(socket);
        assert!(sys::soon(|| connections::inode(diag.as_fd(), &asked).is_none()));
        assert_eq!(Lookups::new(sys::pid()).who(diag.as_fd(), &asked), None);
    }

    #[test]
    fn looking_ends_when_its_time_is_over() {
        assert_eq!(holder(sys::pid(), 0, Instant::now()), None);
        let mut lookups = Lookups { spent: IN_A_SECOND, ..Lookups::new(sys::pid()) };
        let diag = sys::diag_socket().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let remote = "127.0.0.1:53".parse().unwrap();
        let asked = Socket { tcp: false, local: socket.local_addr().unwrap(), remote };
        assert_eq!(lookups.who(diag.as_fd(), &asked), None);
    }
}
