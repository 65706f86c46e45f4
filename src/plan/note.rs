//! Notes on a plan for the user: what is not enforced or not there, although the profile names it and allows that.

use crate::host::CoreHandler;
use crate::spec::limits::Limit;
use crate::spec::{self, Mode, Namespace, Origin, PathRule};
use crate::sys::Errno;
use crate::union;
use std::fmt;
use std::path::PathBuf;

/// A note, as data. `Display` is its sentence, for people only: no code may depend on the words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A note on how the layers of the profile were read.
    Profile(spec::Note),
    /// These files are named as arguments of the program, and are not shown inside.
    ArgumentsLeftOut(Vec<PathBuf>),
    /// These descriptors of the caller's are named as arguments of the program, which does not get them.
    DescriptorsLeftOut(Vec<i32>),
    /// These descriptors, which the program gets, are sockets by which it reaches others in the caller's network.
    KeptSockets(Vec<i32>),
    /// A variable that is passed on names a job server of make's that the program does not get, and was changed.
    NoJobServer {
        /// The variable.
        variable: String,
        /// The flags that hand the job server over.
        flags: String,
    },
    /// The sandbox goes without this namespace, which the host lacks.
    NoNamespace(MissingNamespace),
    /// There is no pid namespace: the program's processes may outlive it.
    SharedProcesses,
    /// Nested user namespaces cannot map id 0.
    NoNestedRoot,
    /// These supplementary groups cannot be given up.
    SupplementaryGroups(Vec<u32>),
    /// Landlock is preferred, and is not used.
    NoLandlock {
        /// Why it is not used.
        why: String,
    },
    /// Landlock is preferred for TCP connections, and does not hold them.
    NoLandlockTcp {
        /// Why it does not.
        why: String,
    },
    /// A limit with `prefer` is not enforced.
    Limit {
        /// The limit.
        limit: Limit,
        /// Why it is not enforced.
        why: String,
    },
    /// A resource limit is lower than the profile has it, since the caller's hard limit is.
    RlimitLowered {
        /// The limit's name in `[rlimits]`.
        name: &'static str,
        /// The caller's hard limit.
        most: u64,
    },
    /// Core dumps reach a handler outside: a limit of 1 would keep them from a program, and nothing from a socket
    /// (core(5)).
    CoreHandler {
        /// The program or the socket.
        handler: CoreHandler,
        /// The limit is 0 since the caller's hard limit is.
        lowered: bool,
    },
    /// A cgroup above sbx has a limit that does not hold for the sandbox, whose cgroup lies elsewhere.
    LimitElsewhere {
        /// The limit's file and value.
        limit: String,
        /// Directory of the cgroup that has the limit.
        dir: PathBuf,
    },
    /// Statistics are asked for, and there is no cgroup that counts.
    NotCounted {
        /// Why there is no cgroup.
        why: String,
    },
    /// A path does not have its mode, which is only preferred.
    Path {
        /// Path inside.
        path: PathBuf,
        /// The mode that the profile asks for.
        mode: Mode,
        /// The line of a profile, or the flag, that asks for it.
        origin: Origin,
        /// Why it does not have that mode.
        why: NotInMode,
    },
    /// The home is not there on the host and cannot be made in the directory that is shown above it, or is hidden.
    NoHome(PathBuf),
    /// The home is a directory of the system, such as /usr/sbin.
    HomeOfSystem(PathBuf),
    /// An optional path is left out, since it cannot be looked up.
    LeftOut {
        /// Path on the host.
        path: PathBuf,
        /// Why not.
        errno: Errno,
    },
    /// The host's /proc is shown instead of the sandbox's own.
    HostProc,
    /// The Wayland compositor cannot restrict its clients, which have power over others: it is not shown.
    CannotRestrict {
        /// Path of its socket.
        socket: PathBuf,
        /// Interfaces that give clients power.
        powers: Vec<String>,
    },
    /// The X server for a display of the sandbox's own is not installed.
    NoNestedX11 {
        /// The name of the X server that is lacking.
        program: &'static str,
        /// Why there is none, as a part of a sentence.
        why: String,
        /// Whether the program has no other display.
        alone: bool,
    },
    /// The host has neither a Wayland nor an X display.
    NoDisplay,
    /// The document portal does not answer: files that the user chooses in the file chooser are not shown.
    NoDocuments,
    /// The host has no socket of PulseAudio's protocol.
    NoSound {
        /// Whether it has PipeWire's own.
        pipewire: bool,
        /// The value of PULSE_SERVER, if it names no socket of this host.
        elsewhere: Option<String>,
    },
    /// The sound servers' own sockets are shown.
    UnfilteredSound,
    /// The host lacks an optional device.
    NoDevice {
        /// The device's class or path, as the profile has it.
        name: String,
    },
    /// The host has no way to the outside, and neither has the sandbox's own network.
    Offline,
    /// A network of the sandbox's own is reached through a pasta that does not refuse connections as others do.
    OldPasta,
    /// This port is published, at another address than loopback, by a pasta that is silent until the other side speaks.
    SilentPort(String),
    /// This port is published at all addresses of the host by a helper that loses replies to what comes from the host's loopback.
    LostReplies {
        /// The port.
        port: String,
        /// The helper.
        helper: &'static str,
    },
    /// The host has no session bus.
    NoBus,
    /// The user has no SSH agent.
    NoSshAgent {
        /// The value of SSH_AUTH_SOCK, if it names no socket.
        elsewhere: Option<String>,
    },
    /// gpg-agent does not run.
    NoGpgAgent {
        /// Whether GNUPGHOME names another directory than `~/.gnupg`.
        elsewhere: bool,
    },
    /// gpg-agent is shown, and no public keyring is there.
    NoKeyring,
    /// The user's configuration of git is there, and not shown, for this reason.
    NoGitIdentity(String),
    /// Changes at these paths, which would be made on the host without a project's file, are gone at the end, by the modes that lines of
    /// the file give them.
    DiscardedByProject(Vec<(PathBuf, Mode, Origin)>),
    /// Nothing can be made in these directories inside, since mounts of the host lie below them.
    Split(Vec<PathBuf>),
    /// The overlays at these paths are ones over files of users whose ids are not mapped.
    ForeignOwners(Vec<PathBuf>),
    /// In the overlays at these paths, all files are shown as root's, since no other id is mapped.
    Squashed(Vec<PathBuf>),
}

/// Why a path does not have its mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotInMode {
    /// It cannot be placed in the view with that mode. The text is the planner's error.
    Cannot(String),
    /// It lies below this writable directory, and a program that may mount can bypass its mount.
    Undone(PathBuf),
    /// It cannot be hidden in this directory, which the view makes itself.
    MadeByView(PathBuf),
    /// It cannot be hidden in this directory, which is writable or shown from elsewhere.
    LiesIn(PathBuf),
}

/// A kind of namespace that this host lacks or does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingNamespace {
    /// The kind of namespace.
    pub namespace: Namespace,
    /// Whether the kernel has such namespaces, and only user.max_*_namespaces is 0.
    pub exhausted: bool,
}

impl Note {
    /// Whether the note says nothing about what is missing or not enforced: it is for somebody who watches.
    pub fn is_information(&self) -> bool {
        use spec::Note as Read;
        matches!(
            self,
            Note::Profile(
                Read::ProfileOf { .. }
                    | Read::ProjectAbove { .. }
                    | Read::Linked { .. }
                    | Read::Named { .. }
                    | Read::Watched { .. }
            ) | Note::NoNestedX11 { alone: false, .. }
        )
    }

    /// A word for what is not there, if the note is about an optional service or device of the desktop that this host lacks.
    pub fn missing(&self) -> Option<&str> {
        match self {
            Note::NoDisplay => Some("display"),
            Note::NoSound { pipewire: false, elsewhere: None } => Some("sound"),
            Note::NoBus => Some("session bus"),
            Note::NoSshAgent { elsewhere: None } => Some("SSH agent"),
            Note::NoGpgAgent { elsewhere: false } => Some("gpg-agent"),
            Note::NoDocuments => Some("document portal"),
            Note::NoNestedX11 { program, alone: true, .. } => Some(program),
            Note::NoDevice { name } => Some(name),
            _ => None,
        }
    }

    /// Whether the note says that this limit is not enforced.
    pub(super) fn denies_limit(&self, of: &Limit) -> bool {
        matches!(self, Note::Limit { limit, .. } if limit == of)
    }

    /// Whether the note says that the path of this rule does not have its mode. Rules are compared by path or by
    /// origin, since links may have led to another path.
    pub(super) fn denies_path(&self, rule: &PathRule) -> bool {
        match self {
            Note::Path { path, mode, origin, .. } => {
                *mode == rule.mode && (*path == rule.path || (*origin == rule.origin && !origin.0.is_empty()))
            }
            _ => false,
        }
    }
}

impl fmt::Display for MissingNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.namespace.word();
        match self.exhausted {
            true => write!(f, "this host allows no {word} namespaces: user.max_{word}_namespaces is 0"),
            false => write!(f, "this kernel has no {word} namespaces"),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Profile(note) => note.fmt(f),
            Note::ArgumentsLeftOut(paths) => arguments_left_out(f, paths),
            Note::DescriptorsLeftOut(fds) => {
                let names: Vec<_> = fds.iter().map(|fd| format!("/dev/fd/{fd}")).collect();
                let flags: Vec<_> = fds.iter().map(|fd| format!("--keep-fd {fd}")).collect();
                let (what, them) = match fds.len() {
                    1 => ("is a descriptor", "it"),
                    _ => ("are descriptors", "them"),
                };
                write!(
                    f,
                    "{} {what} of the caller's, which the program does not get: {} hands {them} over",
                    names.join(" and "),
                    flags.join(" ")
                )
            }
            Note::KeptSockets(fds) => {
                let flags: Vec<_> = fds.iter().map(|fd| format!("--keep-fd {fd}")).collect();
                write!(
                    f,
                    "{} hands over a socket of another network than the sandbox's: the program can connect it to whatever is reached \
                     there, whatever `network` says",
                    flags.join(" ")
                )
            }
            Note::NoJobServer { variable, flags } => write!(
                f,
                "the job server that {variable} names is not handed over, so that make counts jobs inside by itself: {flags} \
                 hands it over"
            ),
            Note::NoNamespace(missing) => write!(f, "{missing}: the boot-time clocks are the host's"),
            Note::SharedProcesses => {
                f.write_str("the processes are the host's: what the program starts in the background may outlive it")
            }
            Note::NoNestedRoot => f.write_str(
                "user namespaces made inside cannot map id 0 again: without CAP_SETFCAP the kernel refuses that",
            ),
            Note::SupplementaryGroups(groups) => {
                let groups: Vec<_> = groups.iter().map(u32::to_string).collect();
                write!(
                    f,
                    "supplementary groups {} stay in force and show as nogroup: one mapped group cannot give them up",
                    groups.join(", ")
                )
            }
            Note::NoLandlock { why } => write!(f, "Landlock is not used: {why}"),
            Note::NoLandlockTcp { why } => write!(f, "Landlock does not hold TCP connections, the packet filter alone does: {why}"),
            Note::Limit { limit, why } => write!(f, "limits.{} is not enforced: {why}", limit.name),
            Note::RlimitLowered { name, most } => {
                write!(f, "rlimits.{name} is {most}: the caller's hard limit is no higher (`ulimit -H -a`)")
            }
            Note::CoreHandler { handler: CoreHandler::Socket(socket), .. } => write!(
                f,
                "core dumps reach the socket {socket} outside, which the host's core_pattern names: no limit keeps them from it"
            ),
            Note::CoreHandler { handler: CoreHandler::Program(program), lowered: true } => write!(
                f,
                "core dumps reach {program} outside: the caller's hard limit of them is 0, and only 1 keeps them from it \
                 (ulimit -c 1)"
            ),
            Note::CoreHandler { handler: CoreHandler::Program(program), lowered: false } => write!(
                f,
                "core dumps reach {program} outside, which the host's core_pattern names: only rlimits.core = 1 keeps them \
                 from it"
            ),
            Note::LimitElsewhere { limit, dir } => {
                write!(f, "{limit} of {} does not hold for the sandbox, whose cgroup lies elsewhere", dir.display())
            }
            Note::NotCounted { why } => write!(f, "usage is reported without a cgroup: {why}"),
            Note::Path { path, mode, why, .. } => {
                let (path, mode) = (path.display(), mode.word());
                match why {
                    NotInMode::Cannot(why) => write!(f, "{path} is not `{mode}`: {why}"),
                    NotInMode::Undone(above) => write!(
                        f,
                        "{path} is not `{mode}` for all programs: it lies below {}, which is writable, and a program that may \
                         mount gets it out of the way",
                        above.display()
                    ),
                    NotInMode::MadeByView(above) => {
                        write!(f, "{path} is not {mode}: {} is made by the view itself", above.display())
                    }
                    NotInMode::LiesIn(above) => write!(f, "{path} is not {mode}: it lies in `{}`", above.display()),
                }
            }
            Note::NoHome(path) => write!(
                f,
                "there is no {} inside, so that the program has no home: HOME=/tmp, set for sbx, gives it a private one",
                path.display()
            ),
            Note::HomeOfSystem(path) => write!(
                f,
                "{} belongs to the system and is no private home: HOME=/tmp, set for sbx, gives the program one",
                path.display()
            ),
            Note::LeftOut { path, errno } => write!(f, "{} is left out: {errno}", union::short(path)),
            Note::HostProc => f.write_str(
                "the host's /proc is shown: its processes are seen, and can be changed as far as their user may",
            ),
            Note::CannotRestrict { socket, powers } => {
                let some = powers.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
                let more = if powers.len() > 3 { format!(" and {} more", powers.len() - 3) } else { String::new() };
                write!(
                    f,
                    "no Wayland: the compositor at {} cannot restrict a client (it has no wp_security_context_v1), and lets each one type into \
                     others or read the screen ({some}{more}); --set desktop.wayland=unrestricted shows it all the same",
                    socket.display()
                )
            }
            Note::NoNestedX11 { program, why, .. } => {
                write!(f, "no X11: a server of the sandbox's own needs {program}, {why}")
            }
            Note::NoDisplay => {
                f.write_str("no display: neither WAYLAND_DISPLAY nor DISPLAY names a socket of this host")
            }
            Note::NoDocuments => f.write_str(
                "no document portal (org.freedesktop.portal.Documents): files chosen in the file chooser cannot be opened",
            ),
            Note::NoSound { elsewhere: Some(server), .. } => {
                write!(f, "no sound: PULSE_SERVER is {server}, which is no socket of this host")
            }
            Note::NoSound { pipewire: true, .. } => f.write_str(
                "no sound: PulseAudio's socket is not there, and PipeWire's own is not shown; pipewire-pulse would serve it",
            ),
            Note::NoSound { .. } => f.write_str("no sound: PulseAudio's socket is not there"),
            Note::UnfilteredSound => f.write_str(
                "desktop.sound has `unfiltered`: the program can load code into the sound servers, which run outside",
            ),
            Note::NoDevice { name } => write!(f, "no {name}: this host has no such device"),
            Note::Split(paths) => write!(
                f,
                "nothing can be made or removed in {} itself, only in the directories in it: the host has mounts below it",
                listed(paths)
            ),
            Note::ForeignOwners(paths) => write!(
                f,
                "in {}, what belongs to other users can be changed inside only as far as you may change it on the host",
                listed(paths)
            ),
            Note::DiscardedByProject(lost) => discarded(f, lost),
            Note::Squashed(paths) => write!(
                f,
                "in {}, all files are shown as root's, and cannot be given to another user: your user has no other ids inside \
                 (--user range has, with subordinate ids)",
                listed(paths)
            ),
            Note::NoSshAgent { elsewhere: Some(path) } => {
                write!(f, "no SSH agent: SSH_AUTH_SOCK is {path}, where there is no socket")
            }
            Note::NoSshAgent { elsewhere: None } => f.write_str("no SSH agent: SSH_AUTH_SOCK is not set"),
            Note::NoGpgAgent { elsewhere: false } => {
                f.write_str("no gpg-agent: it does not run (gpgconf --launch gpg-agent starts it)")
            }
            Note::NoGpgAgent { elsewhere: true } => f.write_str(
                "no gpg-agent: there is no socket of it in GNUPGHOME, and sockets that are elsewhere are found for ~/.gnupg alone",
            ),
            Note::NoKeyring => f.write_str(
                "gpg inside has no public keys: ~/.gnupg has neither pubring.kbx nor pubring.gpg (with keyboxd, `gpg --export` and \
                 `gpg --import` bring some in)",
            ),
            Note::NoGitIdentity(why) => write!(f, "git does not know who you are inside: {why}"),
            Note::Offline => f.write_str(
                "the sandbox has a loopback interface alone, since this host has no default route, and pasta of before August 2024 \
                 does not start without one: slirp4netns does",
            ),
            Note::OldPasta => f.write_str(
                "pasta is one of before August 2024: a connection that is refused hangs until it times out; slirp4netns, or a newer \
                 pasta, has it fail at once",
            ),
            Note::SilentPort(port) => write!(
                f,
                "{port}: pasta of before August 2024 lets a server inside see a connection from another machine only when that has sent \
                 something, so that protocols in which the server begins (SSH, SMTP) hang"
            ),
            Note::LostReplies { port, helper } => write!(
                f,
                "{port}: {helper} loses the replies to what programs of this host send to that port at 127.0.0.1; publish it at loopback, \
                 too, at another port"
            ),
            Note::NoBus => {
                f.write_str("no session bus: neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR leads to a socket")
            }
        }
    }
}

fn arguments_left_out(f: &mut fmt::Formatter<'_>, paths: &[PathBuf]) -> fmt::Result {
    const NAMED: usize = 3;
    let names: Vec<_> = paths.iter().take(NAMED).map(|path| path.display().to_string()).collect();
    let more = match paths.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (verb, them) = if paths.len() == 1 { ("is", "it") } else { ("are", "them") };
    let first = names.first().map_or("", String::as_str);
    write!(
        f,
        "{}{more} {verb} not shown inside: --open shows files that are named as arguments; --ro {first} shows {them}",
        names.join(", ")
    )
}

/// The note on what is lost at the end by lines of a project's file.
fn discarded(f: &mut fmt::Formatter<'_>, lost: &[(PathBuf, Mode, Origin)]) -> fmt::Result {
    const NAMED: usize = 3;
    let name =
        |(path, mode, origin): &(PathBuf, Mode, Origin)| format!("{} (`{}` by {origin})", path.display(), mode.word());
    let some: Vec<_> = lost.iter().take(NAMED).map(name).collect();
    write!(f, "what the program changes in {}", some.join(", "))?;
    match lost.len().saturating_sub(NAMED) {
        0 => {}
        more => write!(f, " and {more} more directories")?,
    }
    f.write_str(" is gone at the end, and would be written to the host, kept or asked about without the lines of the project's file")
}

/// Paths as a list of words.
fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

impl serde::Serialize for Note {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
