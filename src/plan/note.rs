//! What the user should be told about a plan: what was not enforced or not there, and was allowed to be.

use crate::spec::limits::Limit;
use crate::spec::{self, Mode, Namespace, Origin, PathRule};
use std::fmt;
use std::path::PathBuf;

/// One thing to be told, as data. `Display` is the sentence, which nothing but people reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Something of how the layers of the profile were read.
    Profile(spec::Note),
    /// A namespace that the sandbox goes without.
    NoNamespace(MissingNamespace),
    /// The processes are the host's.
    SharedProcesses,
    /// Nested user namespaces cannot map id 0.
    NoNestedRoot,
    /// Supplementary groups that cannot be given up.
    SupplementaryGroups(Vec<u32>),
    /// Landlock was preferred, and is not used.
    NoLandlock {
        /// What keeps it from being used.
        why: String,
    },
    /// A limit that was preferred, and is not enforced.
    Limit {
        /// The limit.
        limit: Limit,
        /// What keeps it from being enforced.
        why: String,
    },
    /// A limit of a cgroup above us, which the sandbox's own cgroup does not lie below.
    LimitElsewhere {
        /// File and value.
        limit: String,
        /// The cgroup.
        dir: PathBuf,
    },
    /// What is used cannot be counted by a cgroup.
    NotCounted {
        /// Why there is no cgroup.
        why: String,
    },
    /// A path whose mode was preferred, and is another.
    Path {
        /// The path inside.
        path: PathBuf,
        /// The mode that was asked for.
        mode: Mode,
        /// The line that asked for it.
        origin: Origin,
        /// What keeps it from that mode.
        why: NotInMode,
    },
    /// An optional path that this user may not look at.
    LeftOut {
        /// Path on the host.
        path: PathBuf,
    },
    /// The host's /proc is shown.
    HostProc,
    /// Neither display is there.
    NoDisplay,
    /// No sound server is there.
    NoSound,
    /// An optional device that is not there.
    NoDevice {
        /// Class or path.
        name: String,
    },
    /// There is no session bus.
    NoBus,
}

/// What keeps a path from its mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotInMode {
    /// It cannot be mounted so: the planner's error.
    Cannot(String),
    /// A program that mounts gets it out of the way of this writable directory.
    Undone(PathBuf),
    /// This directory, which it would be hidden in, is made by the view itself.
    MadeByView(PathBuf),
    /// This directory, which it would be hidden in, cannot be made anew.
    LiesIn(PathBuf),
}

/// A kind of namespace that cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingNamespace {
    /// The kind.
    pub namespace: Namespace,
    /// The kernel has them, and a setting allows none.
    pub exhausted: bool,
}

impl Note {
    /// Whether it says that this limit is not enforced.
    pub(super) fn denies_limit(&self, of: &Limit) -> bool {
        matches!(self, Note::Limit { limit, .. } if limit == of)
    }

    /// Whether it says that what this rule asks for is not so. A rule's path may be another by the time that it is placed: links.
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
            Note::Limit { limit, why } => write!(f, "limits.{} is not enforced: {why}", limit.name),
            Note::LimitElsewhere { limit, dir } => {
                write!(f, "{limit} of {} does not hold for the sandbox, whose cgroup lies elsewhere", dir.display())
            }
            Note::NotCounted { why } => write!(f, "what is used is told without a cgroup: {why}"),
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
            Note::LeftOut { path } => write!(f, "{} is left out: permission denied (EACCES)", path.display()),
            Note::HostProc => f.write_str(
                "the host's /proc is shown: its processes are seen, and can be changed as far as their user may",
            ),
            Note::NoDisplay => {
                f.write_str("no display: neither WAYLAND_DISPLAY nor DISPLAY names a socket of this host")
            }
            Note::NoSound => f.write_str("no sound: neither PipeWire's nor PulseAudio's socket is there"),
            Note::NoDevice { name } => write!(f, "no {name}: this host has no such device"),
            Note::NoBus => f.write_str(
                "no session bus: there is no socket where DBUS_SESSION_BUS_ADDRESS, or XDG_RUNTIME_DIR, has it",
            ),
        }
    }
}

impl serde::Serialize for Note {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
