//! Helpers: programs of the host that do something for a sandbox from outside of it. Each is planned where it is
//! needed; `launch/helpers` starts and watches all of them in the same way.

use super::lines::{Lines, from};
use crate::spec::{Origin, Sandbox, Transport};
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// A program that is started outside of the sandbox, and that is ended with the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HelperSpec {
    /// The helper's name in messages.
    pub name: &'static str,
    /// What it provides for the sandbox: the label of its line in `sbx plan`.
    pub provides: &'static str,
    /// The profile's setting that it carries out, as the receipt shows it.
    pub setting: &'static str,
    /// The program.
    pub program: HelperProgram,
    /// What it connects to, such as the address of a bus. For readers of the plan only.
    pub target: String,
    /// Its arguments; `rules` follow them.
    pub args: Vec<Argument>,
    /// Descriptors that it gets at fixed numbers, each with what it is of; the number is -1 where [`Argument::Given`] tells
    /// it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub descriptors: Vec<(i32, Given)>,
    /// Further arguments, which say what it lets through. The plan shows each on a line of its own.
    pub rules: Vec<String>,
    /// When it is started, and has to become ready.
    pub phase: Phase,
    /// How it says that it is ready.
    pub readiness: Readiness,
    /// What it tells by its pipe ([`Argument::Pipe`]), besides that it is ready.
    pub tells: Tells,
    /// The rights that it runs with.
    pub confinement: Confinement,
    /// What sbx does if the helper ends before the program does.
    pub loss: Loss,
    /// Parts of the error's text if it does not become ready.
    #[serde(skip)]
    pub words: HelperWords,
    /// The line of a profile, or the flag, that asked for it.
    pub origin: Origin,
}

impl HelperSpec {
    /// The sockets in the view that are made for it.
    pub(super) fn sockets(&self) -> impl Iterator<Item = &Path> {
        let given = self.descriptors.iter().filter_map(|(_, given)| match given {
            Given::Listener(path) => Some(path.as_path()),
            Given::ConnectionInside(_)
            | Given::Connection(_)
            | Given::Filesystem
            | Given::Layers
            | Given::UserNamespace
            | Given::NetworkNamespace
            | Given::Port(_)
            | Given::Forwarded(..)
            | Given::NameServer(_)
            | Given::Peers
            | Given::Requests => None,
        });
        let inside = self.args.iter().filter_map(|arg| match arg {
            Argument::Inside(path) => Some(path.as_path()),
            _ => None,
        });
        given.chain(inside)
    }

    /// Its own sandbox, if it has one.
    pub fn sandbox(&self) -> Option<&Sandbox> {
        match &self.confinement {
            Confinement::Caller | Confinement::Own | Confinement::Joined(_) => None,
            Confinement::Sandbox(confined) => Some(&confined.sandbox),
        }
    }

    /// Adds the helper's lines to the text of a plan.
    pub(super) fn render(&self, lines: &mut Lines) {
        lines.add(self.provides, format!("{} {}{}", self.program, self.target, from(&self.origin)));
        if let Confinement::Joined(Joined { how, .. }) = &self.confinement {
            lines.add("", format!("{} {how}", self.name));
        }
        self.rules.iter().for_each(|rule| lines.add("", rule));
    }

    /// Whether it gets such a descriptor.
    pub fn has(&self, given: &Given) -> bool {
        self.descriptors.iter().any(|(_, other)| other == given)
    }

    /// What it lets through, for the summary of a plan.
    pub(super) fn summary(&self) -> String {
        match self.program {
            HelperProgram::Host(_) => format!("through {}", self.program),
            HelperProgram::Own(_) if self.tells == Tells::Overlays => {
                format!("{}, shown by {}", self.rules.join(", "), self.program)
            }
            HelperProgram::Own(_) if self.rules.is_empty() => self.target.clone(),
            HelperProgram::Own(_) => format!("{}, through a filter", self.rules.join(", ")),
        }
    }

    /// The text by which the receipt says what enforces `setting`.
    pub(super) fn mechanism(&self) -> String {
        if let Confinement::Joined(Joined { how, .. }) = &self.confinement {
            return format!("{}, which {how}", self.program);
        }
        match self.rules.len() {
            0 => self.program.to_string(),
            count => match self.program {
                HelperProgram::Host(_) => format!("{} with {count} rules", self.program),
                HelperProgram::Own(_) => format!("{}: {}", self.program, self.rules.join(", ")),
            },
        }
    }
}

/// The program of a helper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HelperProgram {
    /// Path of a program on the host.
    Host(PathBuf),
    /// sbx itself, with this argument 0.
    Own(&'static str),
}

impl fmt::Display for HelperProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HelperProgram::Host(path) => path.display().fmt(f),
            HelperProgram::Own(name) => f.write_str(name),
        }
    }
}

impl Serialize for HelperProgram {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An argument of a helper. Numbers of descriptors and process ids are filled in when the helper is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Argument {
    /// This text.
    Text(String),
    /// This text followed by the number of a pipe's writing end. The helper writes to it when it is ready, and notices
    /// by it that sbx has ended: the pipe has no reader then.
    Pipe(&'static str),
    /// The process id of the sandbox's first process.
    FirstProcess,
    /// The number of one of its descriptors, by its index in the plan. For a helper without a sandbox of its own.
    Given(usize),
    /// The number of a socket by which connections get one of their own to ask the user by, with this program; each question
    /// is its argument, and its success means yes.
    Asks(PathBuf),
    /// The number of a socket by which it has the packet filter let addresses through.
    Rules,
    /// The option of pasta(1) that publishes the port with this index in the plan.
    Published(usize),
    /// The path of a socket at which slirp4netns(1) takes requests, below a directory of its own ([`Given::Requests`]).
    Requests,
    /// A path in the sandbox's view, passed as `/proc/self/fd/NUMBER/NAME` with an open descriptor of its directory.
    /// The path need not exist on the host.
    Inside(PathBuf),
}

/// A descriptor that a helper gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Given {
    /// A socket that listens at this path in the view, where it is made.
    Listener(PathBuf),
    /// A connection to the socket at this path in the view, which a service outside serves.
    ConnectionInside(PathBuf),
    /// A connection to the socket at this path of the host.
    Connection(PathBuf),
    /// A file in memory with the layers of the FUSE union, as JSON.
    Layers,
    /// The user namespace of the sandbox.
    UserNamespace,
    /// The network namespace of the sandbox.
    NetworkNamespace,
    /// The socket of the published port with this index in the plan.
    Port(usize),
    /// A socket inside of the forwarded port with this index in the sandbox; the second of the two is that of IPv6. Where there is no
    /// IPv6, it is the first once more.
    Forwarded(usize, bool),
    /// A socket inside at which questions for names are answered.
    NameServer(Transport),
    /// A socket by which the names of sandboxes in the network are asked for.
    Peers,
    /// A directory that is seen by nobody else, in memory.
    Requests,
    /// The device of the FUSE filesystem that overlays lie over. The sandbox's first process mounts it, and sends it.
    Filesystem,
}

/// A moment at which the sandbox's first process waits for the launcher. The launcher starts the helpers of this phase,
/// and the first process goes on once they are ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The namespaces are made and ids are mapped, but nothing of the view is: for helpers that provide the network, or
    /// something that the view shows.
    Namespaces,
    /// The filesystem that overlays lie over is mounted ([`Given::Filesystem`]), and nothing else of the view is made.
    Overlays,
    /// The view is complete; the program is not started yet.
    View,
    /// Somebody has connected to the socket that it listens at ([`Given::Listener`]). Its descriptors are made when the
    /// view is complete: later, the program may have put something else at their paths.
    Demand,
}

/// How a helper says that it is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// It writes a byte to its pipe ([`Argument::Pipe`]).
    Byte,
    /// It writes a line to its pipe ([`Argument::Pipe`]).
    Line,
    /// It writes a line of digits to its standard error, which are its process id; other lines are what it says.
    Number,
    /// It creates a file, usually a socket, at this path on the host.
    File(PathBuf),
    /// It does not: it counts as ready once it is started.
    Started,
}

/// What a helper tells by its pipe, besides that it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tells {
    /// Nothing.
    Nothing,
    /// Each byte is the reason for a note of the sound proxy.
    Sound,
    /// Each byte is the reason for a note of the view server.
    Overlays,
    /// Each byte is the reason for a note of the proxy for SSH agents.
    SshAgent,
    /// Each byte is the reason for a note of the forwarder of names.
    Names,
}

impl Tells {
    /// The sentence for a byte.
    pub fn note(self, byte: u8) -> Option<String> {
        match self {
            Tells::Nothing => None,
            Tells::Sound => crate::proxy::sound_note(byte),
            Tells::Overlays => crate::union::view::note(byte),
            Tells::SshAgent => crate::proxy::agent_note(byte),
            Tells::Names => crate::proxy::names_note(byte),
        }
    }
}

/// The rights of a helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confinement {
    /// The caller's rights: the same user and namespaces; but not the caller's standard input and output, of the
    /// environment only what names the user and the session, and a process group of its own.
    Caller,
    /// The caller's user, and nothing else: an empty environment, no files but those that it serves, no network, and only the
    /// system calls that it needs. It confines itself before it takes a connection or a request.
    Own,
    /// The caller's user and an empty environment. It joins the sandbox's user and network namespaces, which are its standard
    /// input and output. It is killed when sbx ends.
    Joined(Joined),
    /// A sandbox of its own, which shows what it needs and nothing else.
    Sandbox(Box<Confined>),
}

/// How a helper is confined that joins the sandbox's namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Joined {
    /// How far it is confined, as the end of a sentence about it.
    pub how: String,
    /// The capabilities that it keeps, one bit for each, if sbx takes the others from it. One that gives them up itself needs some first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keeps: Option<u64>,
    /// The files and directories that Landlock lets it open, and whether for writing; none if Landlock does not restrict it.
    pub files: Option<Vec<(PathBuf, bool)>>,
}

/// The sandbox of a helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confined {
    /// The paths of the host that it sees, besides the system's programs and libraries. For readers of the plan.
    pub sees: Vec<PathBuf>,
    /// The sandbox.
    #[serde(skip)]
    pub sandbox: Sandbox,
}

/// What sbx does if a helper ends before the program does. The text says what the program lacks then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// The program goes on, and sbx prints a note.
    Note(&'static str),
    /// sbx ends the sandbox.
    End(&'static str),
}

/// Parts of the error's text if a helper does not become ready.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HelperWords {
    /// What is true once it is ready, as the end of a sentence: "its socket was ready".
    pub ready: String,
    /// What it needs to become ready, for the hint.
    pub needs: &'static str,
    /// How to run without it, for the hint.
    pub without: &'static str,
}
