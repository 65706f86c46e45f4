//! What is asked of a monitor by its socket, and the answers.

use super::Text;
use super::place::c;
use crate::error::{Error, Result};
use crate::sys::{self, Errno, Poll};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// The name of the socket.
pub(super) const SOCKET: &str = "ctl";

/// The longest request or answer, in bytes.
pub const LONGEST: usize = 4096;

/// How long an answer is waited for: a monitor answers at once unless it is stopped.
const PATIENCE: Duration = Duration::from_secs(2);

/// A request to a monitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Request {
    /// Send a signal to the program.
    Signal {
        /// Its number.
        signal: i32,
        /// The program is not started again when it ends.
        #[serde(default)]
        stop: bool,
    },
    /// The standard stream with this number of a further program, whose descriptor comes with this message. There is no answer.
    Stream {
        /// 0, 1 or 2; 3 is the file that is executed, in place of one that is found in the sandbox.
        number: usize,
    },
    /// Let the program reach what these lines name, as in `network.allow`, from now on.
    Allow {
        /// The lines.
        lines: Vec<String>,
    },
    /// Say by which lines it is decided what the program reaches: as many as fit, from one on.
    Rules {
        /// How many of them are known: first those of `network.deny`, then those of `network.allow`.
        from: usize,
    },
    /// Connect the sandbox to a network. As the standard streams of a further program, these have come before: the connection to the process that
    /// holds the network, a socket by which interfaces are attached to its bridge, and one by which names are asked for.
    Connect {
        /// The network's name.
        network: String,
        /// Its id.
        id: String,
        /// The address that the sandbox has there.
        address: Ipv4Addr,
    },
    /// Disconnect it from a network.
    Disconnect {
        /// The network's name.
        network: String,
    },
    /// Say which networks it is in.
    Networks {
        /// Refuse it if it cannot be connected to the network of this name.
        #[serde(default)]
        besides: Option<String>,
    },
    /// Execute a further program: a file in memory with an [`Execution`] comes with this message. It is answered when that has ended; before that, with
    /// the master of its terminal if it is to have one.
    Exec,
    /// Freeze all processes, or have them go on.
    Freeze {
        /// They are to be frozen.
        frozen: bool,
    },
    /// Say what [`Answer::first`] and [`Answer::frozen`] are.
    Look,
    /// Say what is used.
    Usage,
    /// Set limits.
    Update {
        /// The limits.
        limits: Vec<Change>,
    },
    /// The further program that was asked for goes on without whoever has asked. The master of its terminal comes with this message if it has one.
    Leave,
    /// Be attached to the program: the streams have come before. The answer says what it has; another one follows when it has ended.
    Attach {
        /// The rows and columns of a terminal on which it is shown.
        #[serde(default)]
        size: Option<[u16; 2]>,
    },
    /// The terminal on which the program is shown has this size.
    Size {
        /// Rows and columns.
        size: [u16; 2],
    },
    /// The input that is passed on to the program is at its end, and not only gone with whoever has passed it on.
    EndOfInput,
}

/// A limit that is to be set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its key's name in `[limits]`.
    pub name: String,
    /// The size of huge pages that it is for; empty for others.
    #[serde(default)]
    pub page: String,
    /// What is written to its file.
    pub value: String,
}

/// What a sandbox uses. What is not known is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// CPU time of all processes that there were, in microseconds.
    pub cpu_usec: Option<u64>,
    /// Memory without what the kernel gives up at once if others need it, in bytes.
    pub memory: Option<u64>,
    /// The limit of it.
    pub memory_max: Option<u64>,
    /// Bytes that were read from disks and written to them.
    pub blocks: Option<[u64; 2]>,
    /// Bytes that were received and sent.
    pub network: Option<[u64; 2]>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

/// A further program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Execution {
    /// The program and its arguments.
    pub args: Vec<Text>,
    /// Variables, as NAME=VALUE, besides those of the sandbox's program.
    pub env: Vec<Text>,
    /// The directory; none is that of the sandbox's program.
    pub dir: Option<Text>,
    /// The ids that it is to have, as USER or USER:GROUP; none are those of the sandbox's program.
    pub user: Option<Text>,
    /// It has a terminal of its own, and this is what that starts with, in a form that this module does not know.
    pub terminal: Option<Vec<u8>>,
    /// It goes on without whoever has asked for it, who is answered when it was started.
    pub detach: bool,
}

/// The largest file with an [`Execution`], in bytes.
pub const LARGEST: usize = 3 << 20;

/// The answer of a monitor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// Why it was not done; none if it was.
    pub error: Option<String>,
    /// What to do about that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// The exit status of a further program, or that of an error.
    pub status: Option<i32>,
    /// The process id, outside, of the first process, which is no other one's as long as the monitor answers.
    pub first: Option<i32>,
    /// Whether all processes are frozen.
    pub frozen: Option<bool>,
    /// What is used.
    pub usage: Option<Usage>,
    /// The program has a terminal; the master of that of a further program comes with this message. There will be another answer.
    pub terminal: bool,
    /// What is typed goes to the program.
    pub input: bool,
    /// What is said of its network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Box<Rules>>,
}

/// A sandbox's place in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InNetwork {
    /// The network's name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// The sandbox's address.
    pub address: String,
    /// How many bits all addresses of the network begin with.
    pub prefix: u8,
    /// The address by which the outside is reached from there.
    pub gateway: String,
    /// The sandbox's interface.
    pub interface: String,
    /// Names of others there are told to the sandbox.
    pub named: bool,
    /// It was started in this network.
    pub started: bool,
}

/// What is said of a private network, and of the rules on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// What was done, a sentence for each part.
    pub said: Vec<String>,
    /// Lines of `network.deny`.
    pub deny: Vec<String>,
    /// Lines of `network.allow`.
    pub allow: Vec<String>,
    /// The networks that the sandbox is in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<InNetwork>,
}

/// The longest text of an error, in characters: each may take six bytes of a message.
const LONGEST_ERROR: usize = 500;

impl Answer {
    /// An answer that says this of rules.
    pub fn of_rules(rules: Rules) -> Answer {
        Answer { rules: Some(Box::new(rules)), ..Answer::default() }
    }

    /// An answer with as many of these lines, first those of `deny`, as fit, from one on.
    pub fn of_lines([deny, allow]: &[Vec<String>; 2], from: usize) -> Answer {
        // What stands around them takes less.
        let mut room = LONGEST - 512;
        let all = deny.iter().map(|line| (true, line)).chain(allow.iter().map(|line| (false, line)));
        let mut rules = Rules::default();
        for (denies, line) in all.skip(from) {
            let Some(left) = room.checked_sub(line.len() + 3) else { break };
            room = left;
            if denies { &mut rules.deny } else { &mut rules.allow }.push(line.clone());
        }
        Answer::of_rules(rules)
    }

    /// The message, which is no longer than [`LONGEST`].
    pub fn encode(&self) -> Vec<u8> {
        let bounded = |text: &String| text.chars().take(LONGEST_ERROR).collect();
        let (error, hints) = (self.error.as_ref().map(bounded), self.hints.iter().map(bounded).collect());
        let mut answer = Answer { error, hints, ..self.clone() };
        loop {
            let text = serde_json::to_vec(&answer).unwrap_or_default();
            if text.len() <= LONGEST || answer.hints.pop().is_none() {
                return text;
            }
        }
    }
}

/// A connection to a monitor.
pub struct Monitor(OwnedFd);

/// Why a monitor was not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// There is none, or it has ended.
    Gone,
    /// It does not answer.
    Stuck,
}

/// Connects to the socket in a directory of the user's.
///
/// # Errors
///
/// There is none (ENOENT, ENOTSOCK), or nobody listens there (ECONNREFUSED).
pub(super) fn connect_in(dir: BorrowedFd<'_>) -> sys::Result<OwnedFd> {
    let found = sys::openat(dir, &c(SOCKET), libc::O_PATH | libc::O_NOFOLLOW, 0)?;
    let is_socket = sys::file_type(found.as_fd())? == libc::S_IFSOCK;
    // By its descriptor: what has that name by now may be another file.
    if is_socket { sys::connect_to(found.as_fd()) } else { Err(Errno(libc::ENOTSOCK)) }
}

impl Monitor {
    /// Connects to the monitor that listens in this directory.
    pub(super) fn connect(dir: BorrowedFd<'_>) -> std::result::Result<Monitor, Silence> {
        match connect_in(dir) {
            Ok(socket) if sys::peer(socket.as_fd()).is_ok_and(|peer| peer.uid == sys::effective_uid()) => {
                Ok(Monitor(socket))
            }
            // As many wait as may.
            Err(Errno(libc::EAGAIN)) => Err(Silence::Stuck),
            _ => Err(Silence::Gone),
        }
    }

    /// A connection that is there already.
    pub fn on(socket: OwnedFd) -> Monitor {
        Monitor(socket)
    }

    /// Asks for something, and gives the answer.
    ///
    /// # Errors
    ///
    /// The monitor refuses. In the inner result: it has ended, or does not answer.
    pub fn ask(&self, request: &Request) -> Result<std::result::Result<Answer, Silence>> {
        let text = serde_json::to_vec(request).unwrap_or_default();
        if sys::send_now(self.0.as_fd(), &text).is_err() {
            return Ok(Err(Silence::Gone));
        }
        let mut set = [Poll::read(self.0.as_raw_fd())];
        let patience = i32::try_from(PATIENCE.as_millis()).ok();
        if sys::poll(&mut set, patience).is_err() || !set.iter().any(|poll| poll.ready) {
            return Ok(Err(Silence::Stuck));
        }
        match self.answer() {
            None => Ok(Err(Silence::Gone)),
            Some(Answer { error: Some(why), hints, .. }) => Err(hints.into_iter().fold(Error::new(why), Error::hint)),
            Some(answer) => Ok(Ok(answer)),
        }
    }

    /// Sends a request with a descriptor, and waits for no answer.
    ///
    /// # Errors
    ///
    /// The monitor has ended, or does not answer.
    pub fn pass(&self, request: &Request, file: BorrowedFd<'_>) -> std::result::Result<(), Silence> {
        let text = serde_json::to_vec(request).unwrap_or_default();
        match sys::pass_now(self.0.as_fd(), &text, file) {
            Err(Errno(libc::EAGAIN)) => Err(Silence::Stuck),
            sent => sent.map_err(|_| Silence::Gone),
        }
    }

    /// The connection, ready to read when an answer has come.
    pub fn number(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// Sends a request, and waits for no answer.
    ///
    /// # Errors
    ///
    /// The monitor has ended, or does not answer.
    pub fn tell(&self, request: &Request) -> std::result::Result<(), Silence> {
        let text = serde_json::to_vec(request).unwrap_or_default();
        match sys::send_now(self.0.as_fd(), &text) {
            Err(Errno(libc::EAGAIN)) => Err(Silence::Stuck),
            sent => sent.map_err(|_| Silence::Gone),
        }
    }

    /// The answer that has come; none if the monitor has ended.
    pub fn answer(&self) -> Option<Answer> {
        self.answer_with_file().map(|(answer, _)| answer)
    }

    /// The same, with the descriptor that came with it.
    pub fn answer_with_file(&self) -> Option<(Answer, Option<OwnedFd>)> {
        let mut buffer = [0; LONGEST];
        match sys::receive(self.0.as_fd(), &mut buffer) {
            Ok((length @ 1.., file)) => {
                let answer = serde_json::from_slice(buffer.get(..length).unwrap_or_default()).ok();
                answer.map(|answer| (answer, file))
            }
            _ => None,
        }
    }

    /// Whether the monitor has its end of the connection, and so its process id.
    pub fn is_there(&self) -> bool {
        let mut set = [Poll::end(self.0.as_raw_fd())];
        sys::poll(&mut set, Some(0)).is_ok() && !set.iter().any(|poll| poll.ready)
    }

    /// The monitor's process id, which is its own as long as it [is there](Monitor::is_there).
    pub fn process(&self) -> Option<i32> {
        sys::peer(self.0.as_fd()).ok().map(|peer| peer.pid)
    }

    /// Kills the monitor, and with it its sandbox, although it does not answer. Gives whether there was one to kill.
    pub fn kill(&self) -> bool {
        let pidfd = match sys::peer_pidfd(self.0.as_fd()) {
            Ok(pidfd) => Ok(pidfd),
            // Before Linux 6.5. As long as the other end is open, its process lives, and the number is its own.
            Err(_) => sys::peer(self.0.as_fd()).and_then(|peer| sys::pidfd_open(peer.pid)),
        };
        self.is_there() && pidfd.is_ok_and(|pidfd| sys::pidfd_signal(pidfd.as_fd(), libc::SIGKILL).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_takes_no_more_than_is_read_whatever_its_hints_are() {
        let error = Some("\u{1}".repeat(9000));
        let answer = Answer { error, hints: vec!["short".into(), "\u{1}".repeat(9000)], ..Answer::default() };
        let text = answer.encode();
        let read: Answer = serde_json::from_slice(&text).unwrap();
        assert!(text.len() <= LONGEST && read.hints == ["short"], "{}", text.len());
    }
}
