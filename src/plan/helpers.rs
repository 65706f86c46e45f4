//! Helpers: programs of the host that do something for a sandbox from outside of it. They are planned beside what needs them, and started
//! and watched in one way (`launch/helpers`).

use super::render::{Lines, from};
use crate::spec::Origin;
use serde::Serialize;
use std::path::PathBuf;

/// A program that is started outside of the sandbox, and ends with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HelperSpec {
    /// Its name in messages.
    pub name: &'static str,
    /// What the sandbox has by it, in the words of `sbx plan`.
    pub provides: &'static str,
    /// The setting that it carries out, as the receipt has it.
    pub setting: &'static str,
    /// Path of the program on the host.
    pub program: PathBuf,
    /// What it is in front of, such as the address of a bus, for readers of the plan.
    pub target: String,
    /// Its arguments, before the rules.
    pub args: Vec<Argument>,
    /// Further arguments, which say what it lets through: the plan shows each.
    pub rules: Vec<String>,
    /// When it is started, and has to be ready.
    pub phase: Phase,
    /// How it says that it is ready.
    pub readiness: Readiness,
    /// With which rights it runs.
    pub confinement: Confinement,
    /// What follows when it ends before the program does.
    pub loss: Loss,
    /// What is said of it where it does not become ready.
    #[serde(skip)]
    pub words: HelperWords,
    /// The line that asked for it.
    pub origin: Origin,
}

impl HelperSpec {
    pub(super) fn render(&self, lines: &mut Lines) {
        lines.add(self.provides, format!("{} {}{}", self.program.display(), self.target, from(&self.origin)));
        self.rules.iter().for_each(|rule| lines.add("", rule));
    }

    /// What enforces its setting, for the receipt.
    pub(super) fn mechanism(&self) -> String {
        match self.rules.len() {
            0 => self.program.display().to_string(),
            count => format!("{} with {count} rules", self.program.display()),
        }
    }
}

/// An argument of a helper. Descriptors and process ids are known when it is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Argument {
    /// This text.
    Text(String),
    /// This text followed by the number of a pipe's writing end. The helper says on it that it is ready, and sees by it that sbx is gone:
    /// there is no reader then.
    Pipe(&'static str),
    /// The process id of the sandbox's first process.
    FirstProcess,
    /// A path in the sandbox's view, by an open descriptor of its directory: `/proc/self/fd/NUMBER/NAME`. Nothing of it is on the host.
    Inside(PathBuf),
}

/// A moment at which the sandbox's first process waits for the launcher. A helper is started then, and the first process goes on when it
/// is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The namespaces are there, and ids are mapped. The view is not begun: for what is shown in it, and for the network.
    Namespaces,
    /// The view stands; the program is not started yet.
    View,
}

/// How a helper says that it is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// By a byte on its pipe.
    Byte,
    /// By a line on its pipe.
    Line,
    /// By a file, usually a socket, that is at this path of the host from then on.
    File(PathBuf),
    /// Not at all: it is enough that it was started.
    Started,
}

/// The rights of a helper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confinement {
    /// The caller's: its user, its environment, its namespaces; without its standard input and output, and in a process group of its own.
    Caller,
}

/// What follows when a helper ends before the program does; in each case with the reason, which says what the program lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// The program goes on, and the user is told.
    Note(&'static str),
    /// The sandbox is ended.
    End(&'static str),
}

/// Parts of sentences that a helper's failure to become ready is told in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HelperWords {
    /// What is the case once it is ready: "its socket was ready".
    pub ready: String,
    /// What it needs to become ready, as advice.
    pub needs: &'static str,
    /// How to run without it, as advice.
    pub without: &'static str,
}
