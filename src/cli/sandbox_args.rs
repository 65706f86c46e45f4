//! The flags that describe a sandbox, which `run`, `create`, `plan` and `selftest` have.

pub use super::familiar_args::Familiar;
use super::limit_args::Limits;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches, ValueHint};
use std::collections::BTreeMap;
use std::ffi::OsString;

/// The flags that describe a sandbox: a profile, and the settings that are its last layer.
#[derive(Args, Debug, Default)]
pub struct Sandbox {
    /// Where each flag stands.
    #[command(flatten)]
    pub order: Order,
    /// Profile: a name (see `sbx profile list`) or a file; if not given, the one for the program, else `default`
    #[arg(long, value_name = "NAME|FILE")]
    pub profile: Option<String>,
    /// Set any key of the profile, e.g. --set rlimits.nofile=256
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<OsString>,
    /// Show a path read-only; options may follow: PATH,optional PATH,noexec
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub ro: Vec<OsString>,
    /// Show a path writable; options may follow: PATH,create PATH,optional PATH,noexec PATH,exclusive
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub rw: Vec<OsString>,
    /// Show this file or directory at the path of the --ro, --rw or --overlay before it
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub from: Vec<OsString>,
    /// Show files that are named as arguments of the program, read-only
    #[arg(long)]
    pub open: bool,
    /// Show a directory with changes kept in a layer above it; options may follow: PATH,optional PATH,noexec
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub overlay: Vec<OsString>,
    /// What becomes of changes in overlays: discard, keep:NAME or ask
    #[arg(long, value_name = "HOW", value_hint = ValueHint::Other)]
    pub upper: Option<OsString>,
    /// Limit of the size of changes in overlays, in bytes, or with K, M, G
    #[arg(long, value_name = "SIZE", value_hint = ValueHint::Other)]
    pub upper_size: Option<OsString>,
    /// Put an empty directory in memory at a path
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub tmpfs: Vec<OsString>,
    /// Limit of the size of each of the sandbox's filesystems in memory, in bytes, or with K, M, G
    #[arg(long, value_name = "SIZE", value_hint = ValueHint::Other)]
    pub tmpfs_size: Option<OsString>,
    /// Mask a path: an empty file or directory is there instead
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub mask: Vec<OsString>,
    /// Hide a path: it does not exist inside (ENOENT)
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub hide: Vec<OsString>,
    /// Deny a path: it cannot be opened (EACCES)
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub deny: Vec<OsString>,
    /// The home: tmpfs (in memory), or private:NAME, which is kept for the next run with that name
    #[arg(long, value_name = "HOME", value_hint = ValueHint::Other)]
    pub home: Option<OsString>,
    /// Set an environment variable, or without a value pass the caller's (NAME* passes all that begin with NAME)
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<OsString>,
    /// Network: none, private (its own, by pasta or slirp4netns), host, net:NAME (shared with others), or join:PID (a running sandbox's)
    #[arg(long, value_name = "MODE", value_hint = ValueHint::Other)]
    pub net: Option<OsString>,
    /// Ask about names that the rules of a private network have no line for, on the terminal or by a notification
    #[arg(long)]
    pub ask_network: bool,
    /// Reach a server of a private network at a port of the host; a HOST of 0 is any free port
    #[arg(short, long, value_name = "[ADDRESS:]HOST:INSIDE[/tcp|udp]", value_hint = ValueHint::Other)]
    pub publish: Vec<OsString>,
    /// Reach a port of the host's loopback in a private network: PORT or HOST:INSIDE
    #[arg(long, value_name = "PORT", value_hint = ValueHint::Other)]
    pub forward: Vec<OsString>,
    /// Share a namespace with the host: ipc, uts, pid, cgroup, time; net is shared by --net host
    #[arg(long, value_name = "NAMESPACE")]
    pub share: Vec<OsString>,
    /// Allow a device: gpu, audio, camera, input, fuse, kvm, tun, or a path below /dev
    #[arg(long, value_name = "CLASS|PATH")]
    pub device: Vec<OsString>,
    /// User and group ids inside: self, root, UID:GID, keep-id, or range
    #[arg(short, long, value_name = "USER")]
    pub user: Option<OsString>,
    /// Directory to start in
    #[arg(short = 'C', long, short_alias = 'w', visible_alias = "workdir", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub cwd: Option<OsString>,
    /// Host name inside
    #[arg(short = 'h', long, value_name = "NAME", value_hint = ValueHint::Other)]
    pub hostname: Option<OsString>,
    /// Terminal: auto, pty (a new one even if no stream is one, in place of pipes and files), inherit or none
    #[arg(long, value_name = "HOW")]
    pub tty: Option<OsString>,
    /// End the program after this time, e.g. 90s or 10m
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<OsString>,
    #[command(flatten)]
    pub limits: Limits,
    /// Print usage at exit, as text or json; SIGUSR1 prints it now
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "text", value_parser = ["text", "json"])]
    pub stats: Option<String>,
    /// Run the program as PID 1, without sbx's init
    #[arg(long)]
    pub as_pid_1: bool,
    /// Keep a file descriptor open for the program
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..1_048_576))]
    pub keep_fd: Vec<i32>,
    /// Ignore each .sbx.toml, in the current directory and above
    #[arg(long)]
    pub no_project: bool,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    pub help: Option<bool>,
    /// What other programs call the same.
    #[command(flatten)]
    pub familiar: Familiar,
}

/// The positions of all flags on the command line: of two flags for one thing, the later counts.
#[derive(Debug, Default)]
pub struct Order(BTreeMap<String, Vec<usize>>);

impl Order {
    /// The position of a flag that stands there for the n-th time (from 0 on); of the last if there are fewer.
    pub fn of(&self, flag: &str, nth: usize) -> usize {
        let positions = self.0.get(&flag.replace('-', "_")).map(Vec::as_slice).unwrap_or_default();
        positions.get(nth).or(positions.last()).copied().unwrap_or(0)
    }

    /// A flag is added behind all others.
    pub fn add_last(&mut self, flag: &str) {
        self.0.entry(flag.replace('-', "_")).or_default().push(usize::MAX);
    }
}

impl FromArgMatches for Order {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Order, clap::Error> {
        let given = |id: &&clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
        let position = |id: &clap::Id| Some((id.as_str().to_owned(), matches.indices_of(id.as_str())?.collect()));
        Ok(Order(matches.ids().filter(given).filter_map(position).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Order::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Order {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}
