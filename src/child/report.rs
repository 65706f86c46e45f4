//! Messages between the launcher and PID 1: four numbers each, on a socket that keeps message boundaries.

use crate::sys::Errno;

/// The part of the set-up in which a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The set-up apart from the view, such as namespaces, ids and descriptors.
    Setup,
    /// Making the new root.
    Root,
    /// The step of the view with this index.
    Step(u32),
    /// Entering the new root.
    Enter,
    /// Changing to the working directory.
    Cwd,
    /// The resource limit with this index.
    Rlimit(u32),
    /// The lock-down: capabilities, keyring, Landlock, labels.
    Lockdown,
    /// The seccomp filter with this index.
    Filter(u32),
    /// The lock file with this index.
    Lock(u32),
    /// The Landlock rule with this index.
    Landlock(u32),
    /// Opening the file of the caller's descriptor with this number from a read-only mount.
    Stream(u32),
    /// Executing the program.
    Exec,
}

macro_rules! calls {
    ($($name:ident = $text:literal,)*) => {
        /// The call that failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each is named after its system call")]
        pub enum Call { $($name,)* }

        impl Call {
            const ALL: &[Call] = &[$(Call::$name,)*];

            /// The call whose `name` is this, if there is one.
            pub fn named(name: &str) -> Option<Call> {
                Call::ALL.iter().copied().find(|call| call.name() == name)
            }

            /// The call's name, as in its manual page, and what it was made for if that helps.
            pub fn name(self) -> &'static str {
                match self { $(Call::$name => $text,)* }
            }
        }
    };
}

calls! {
    Prctl = "prctl",
    OpenProc = "openat /proc/self",
    WriteSetgroups = "write to /proc/self/setgroups",
    WriteUidMap = "write to /proc/self/uid_map",
    WriteGidMap = "write to /proc/self/gid_map",
    WriteNetwork = "write to /proc/sys/net",
    WriteMaxUserns = "write to /proc/sys/user/max_user_namespaces",
    Setgroups = "setgroups",
    Sethostname = "sethostname",
    Setdomainname = "setdomainname",
    Loopback = "ioctl SIOCSIFFLAGS on lo",
    Receive = "recvmsg from the launcher",
    Send = "sendmsg to the launcher",
    Fsmount = "fsopen, fsconfig or fsmount",
    OpenTree = "open_tree",
    MountSetattr = "mount_setattr",
    MoveMount = "move_mount",
    Mkdir = "mkdirat",
    Symlink = "symlinkat",
    Mknod = "mknodat of a whiteout",
    Create = "openat (create)",
    Openat2 = "openat2",
    Fstat = "fstat",
    Write = "write",
    Fchmod = "fchmod",
    PivotRoot = "pivot_root",
    OpenPtmx = "openat /dev/pts/ptmx",
    OpenNull = "openat /dev/null",
    OpenPeer = "ioctl TIOCGPTPEER",
    Setsid = "setsid",
    Setpgid = "setpgid",
    TakeTerminal = "ioctl TIOCSCTTY",
    TakeForeground = "tcsetpgrp",
    TerminalSettings = "ioctl TCSETS2 or TIOCSWINSZ",
    Stat = "fstat",
    EnterCgroup = "write to cgroup.procs",
    Keyctl = "keyctl KEYCTL_JOIN_SESSION_KEYRING",
    CapBoundingSet = "prctl PR_CAPBSET_DROP",
    CapAmbient = "prctl PR_CAP_AMBIENT",
    Securebits = "prctl PR_SET_SECUREBITS",
    Capset = "capset",
    NoNewPrivs = "prctl PR_SET_NO_NEW_PRIVS",
    Seccomp = "seccomp",
    CloseRange = "close_range",
    Dup2 = "dup2",
    Signalfd = "signalfd",
    Sigprocmask = "sigprocmask",
    Chdir = "chdir",
    Setrlimit = "setrlimit",
    Clone = "clone",
    Execve = "execve",
    Wait = "waitid",
    Setns = "setns",
    SetIds = "setgid or setuid",
    Unshare = "unshare",
    UnshareNetwork = "unshare (CLONE_NEWNET)",
    Nested = "unshare (CLONE_NEWUSER), which should have failed",
    Parents = "mkdirat of a directory above",
    Point = "fstatat",
    Access = "faccessat",
    Readlink = "readlinkat",
    Open = "openat",
    Read = "read",
    Chmod = "chmod",
    Mount = "mount",
    Replaced = "fstat of what has taken its place",
    Fchdir = "fchdir",
    Lock = "fcntl F_SETLK",
    Label = "write of a label",
    LandlockCreate = "landlock_create_ruleset",
    LandlockRule = "landlock_add_rule",
    LandlockRestrict = "landlock_restrict_self",
    Poll = "poll",
    Seek = "lseek",
    OpenFuse = "openat /dev/fuse",
    MountFuse = "fsopen, fsconfig or fsmount of fuse",
    OpenNetfilter = "socket (NETLINK_NETFILTER)",
}

/// A message between the launcher and PID 1. PID 1 sends it unless it says "From the launcher".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of a failure are named by their types")]
pub enum Message {
    /// The set-up failed: where, which call, and its errno.
    Failed { place: Place, call: Call, errno: Errno },
    /// The master end of the program's pseudo-terminal comes with this message.
    Terminal,
    /// The open file that the program gets instead of this descriptor of the caller's comes with this message.
    Reopened(i32),
    /// The device of the view server's filesystem comes with this message. The child waits for [`Message::Go`].
    Served,
    /// A socket to the packet filter of the sandbox's network comes with this message.
    Netfilter,
    /// The child has reached a point where it waits for [`Message::Go`].
    Ready,
    /// From the launcher: go on.
    Go,
    /// From the launcher: answer with [`Message::Started`] if the program was executed.
    TellStart,
    /// From the launcher: send this signal to the program.
    Signal(i32),
    /// From the launcher: send this signal to the program's process group, and SIGCONT and SIGHUP also to the group that is, or was last, in the
    /// foreground of its terminal.
    SignalGroup(i32),
    /// From the launcher: the program's terminal is in the foreground of the caller's job, or no more. In the background, PID 1 is
    /// its foreground group, so that others stop when they read it.
    Foreground(bool),
    /// From the launcher: a file for a further program comes with this message: 0 its strings, which are sent first; 1 to 3 its standard streams, or
    /// 4 what a terminal of its own starts with, and without these its streams are the sandbox's /dev/null; 5 the file that is executed.
    FurtherFile(u32),
    /// From the launcher: execute the further program whose files have come. It is called by this number.
    Further(u32),
    /// From the launcher: send a signal to the process group of a further program.
    FurtherSignal { number: u32, signal: i32 },
    /// A further program could not be executed: which call failed, and its errno.
    FurtherFailed { number: u32, call: Call, errno: Errno },
    /// The master end of the pseudo-terminal of a further program, which is about to be executed, comes with this message.
    FurtherTerminal(u32),
    /// A further program was executed.
    FurtherStarted(u32),
    /// A further program has ended with this exit status, 128+N if signal N ended it.
    FurtherEnded { number: u32, status: i32 },
    /// The program starts in the working directory with this index, since those before it cannot be entered.
    Elsewhere(u32),
    /// In the step of the view with this index, the topmost mount has its attributes, but the mounts below it do not.
    Partly(u32),
    /// A symbolic link with another text was found where one was to be made. Its text follows the message.
    Found,
    /// The program was executed.
    Started,
    /// The program has ended and left processes, with which PID 1 goes on without the launcher. How it ended follows.
    Left,
    /// The program has failed, and these directories in memory are full: bit N stands for the one with index N. How it ended
    /// follows.
    Full(u32),
    /// The program has ended, and this is what may explain how ([`super::NETWORK`], [`super::HOME`]). How it ended follows.
    Hints(u32),
    /// The program has ended, and the mount of this step is gone. How it ended follows.
    Uncovered(u32),
    /// The program has ended, and has changed so many files that are about to be discarded, or more
    /// ([`super::MOST_CHANGES`]). How it ended follows.
    Changed(u32),
    /// This signal stopped the program.
    Stopped(i32),
    /// The program was continued by SIGCONT.
    Continued,
    /// The program exited with this status.
    Exited(i32),
    /// This signal killed the program.
    Signaled(i32),
}

/// Length of an encoded message in bytes.
pub const LENGTH: usize = 16;

/// Largest length, in bytes, of the text that may follow a message.
pub const LENGTH_OF_TEXT: usize = libc::PATH_MAX as usize;

impl Message {
    /// Encodes the message for the socket.
    pub fn encode(self) -> [u8; LENGTH] {
        let numbers: [i32; 4] = match self {
            Message::Failed { place, call, errno } => {
                let (kind, index) = match place {
                    Place::Setup => (0, 0),
                    Place::Root => (1, 0),
                    Place::Step(index) => (2, index),
                    Place::Enter => (3, 0),
                    Place::Cwd => (4, 0),
                    Place::Rlimit(index) => (5, index),
                    Place::Lockdown => (6, 0),
                    Place::Exec => (7, 0),
                    Place::Filter(index) => (8, index),
                    Place::Lock(index) => (9, index),
                    Place::Landlock(index) => (10, index),
                    Place::Stream(number) => (11, number),
                };
                [1, (index << 4) as i32 | kind, call as i32, errno.0]
            }
            Message::Terminal => [2, 0, 0, 0],
            Message::Ready => [3, 0, 0, 0],
            Message::Go => [4, 0, 0, 0],
            Message::Started => [5, 0, 0, 0],
            Message::Stopped(signal) => [6, signal, 0, 0],
            Message::Continued => [7, 0, 0, 0],
            Message::Exited(status) => [8, status, 0, 0],
            Message::Signaled(signal) => [9, signal, 0, 0],
            Message::Signal(signal) => [10, signal, 0, 0],
            Message::Elsewhere(index) => [11, index as i32, 0, 0],
            Message::Partly(index) => [12, index as i32, 0, 0],
            Message::Found => [13, 0, 0, 0],
            Message::TellStart => [14, 0, 0, 0],
            Message::Left => [15, 0, 0, 0],
            Message::SignalGroup(signal) => [16, signal, 0, 0],
            Message::Foreground(on) => [17, i32::from(on), 0, 0],
            Message::Reopened(fd) => [18, fd, 0, 0],
            Message::Full(dirs) => [19, dirs as i32, 0, 0],
            Message::Hints(seen) => [22, seen as i32, 0, 0],
            Message::Uncovered(index) => [20, index as i32, 0, 0],
            Message::Served => [21, 0, 0, 0],
            Message::Changed(count) => [23, count as i32, 0, 0],
            Message::Netfilter => [24, 0, 0, 0],
            Message::FurtherFile(index) => [25, index as i32, 0, 0],
            Message::Further(number) => [26, number as i32, 0, 0],
            Message::FurtherSignal { number, signal } => [27, number as i32, signal, 0],
            Message::FurtherFailed { number, call, errno } => [28, number as i32, call as i32, errno.0],
            Message::FurtherEnded { number, status } => [29, number as i32, status, 0],
            Message::FurtherTerminal(number) => [30, number as i32, 0, 0],
            Message::FurtherStarted(number) => [31, number as i32, 0, 0],
        };
        let mut bytes = [0; LENGTH];
        for (chunk, number) in bytes.chunks_exact_mut(4).zip(numbers) {
            chunk.copy_from_slice(&number.to_ne_bytes());
        }
        bytes
    }

    /// Decodes a message; `None` if the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Option<Message> {
        let mut numbers = bytes.chunks_exact(4).map(|chunk| i32::from_ne_bytes(chunk.try_into().unwrap_or_default()));
        let [kind, a, b, c] = [numbers.next()?, numbers.next()?, numbers.next()?, numbers.next()?];
        Some(match kind {
            1 => {
                let index = a as u32 >> 4;
                let place = match a & 15 {
                    0 => Place::Setup,
                    1 => Place::Root,
                    2 => Place::Step(index),
                    3 => Place::Enter,
                    4 => Place::Cwd,
                    5 => Place::Rlimit(index),
                    6 => Place::Lockdown,
                    8 => Place::Filter(index),
                    9 => Place::Lock(index),
                    10 => Place::Landlock(index),
                    11 => Place::Stream(index),
                    _ => Place::Exec,
                };
                Message::Failed { place, call: *Call::ALL.get(b as usize)?, errno: Errno(c) }
            }
            2 => Message::Terminal,
            3 => Message::Ready,
            4 => Message::Go,
            5 => Message::Started,
            6 => Message::Stopped(a),
            7 => Message::Continued,
            8 => Message::Exited(a),
            9 => Message::Signaled(a),
            10 => Message::Signal(a),
            11 => Message::Elsewhere(a as u32),
            12 => Message::Partly(a as u32),
            13 => Message::Found,
            14 => Message::TellStart,
            15 => Message::Left,
            16 => Message::SignalGroup(a),
            17 => Message::Foreground(a != 0),
            18 => Message::Reopened(a),
            19 => Message::Full(a as u32),
            20 => Message::Uncovered(a as u32),
            21 => Message::Served,
            22 => Message::Hints(a as u32),
            23 => Message::Changed(a as u32),
            24 => Message::Netfilter,
            25 => Message::FurtherFile(a as u32),
            26 => Message::Further(a as u32),
            27 => Message::FurtherSignal { number: a as u32, signal: b },
            28 => Message::FurtherFailed { number: a as u32, call: *Call::ALL.get(b as usize)?, errno: Errno(c) },
            29 => Message::FurtherEnded { number: a as u32, status: b },
            30 => Message::FurtherTerminal(a as u32),
            31 => Message::FurtherStarted(a as u32),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_socket() {
        for place in
            [Place::Setup, Place::Step(2_000_000), Place::Rlimit(3), Place::Filter(2), Place::Lock(1), Place::Exec]
        {
            let message = Message::Failed { place, call: Call::Poll, errno: Errno(22) };
            assert_eq!(Message::decode(&message.encode()), Some(message));
        }
        for message in [
            Message::Ready,
            Message::Left,
            Message::Served,
            Message::Netfilter,
            Message::SignalGroup(2),
            Message::FurtherFailed { number: 3, call: Call::Poll, errno: Errno(2) },
            Message::FurtherEnded { number: 4, status: 137 },
            Message::FurtherSignal { number: 5, signal: 9 },
            Message::FurtherTerminal(6),
            Message::FurtherStarted(7),
            Message::Foreground(true),
            Message::Stopped(19),
            Message::Exited(255),
            Message::Signaled(9),
        ] {
            assert_eq!(Message::decode(&message.encode()), Some(message));
        }
        assert_eq!(Message::decode(b"short"), None);
        assert_eq!(Message::decode(&[0xff; LENGTH]), None);
    }
}
