//! The command line: one definition, from which `--help`, the man page and the completions come.

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

pub use super::record_args::*;

/// Run a program in a sandbox, without root.
#[derive(Parser, Debug)]
#[command(
    name = "sbx",
    version,
    about = "Run a program in a sandbox, without root, setuid or a daemon",
    override_usage = "sbx [FLAGS] [--] PROGRAM [ARGUMENT]...\n       sbx run|plan|check|profile|selftest|homes ...\n       sbx diff|commit|discard|export|uppers|snapshot|fork ...\n       sbx create|start|restart|exec|ps|logs|inspect|stop|kill|wait|rm|prune|rename ...",
    after_help = "`sbx PROGRAM` is short for `sbx run PROGRAM`; `sbx run --help` lists its flags. To run a program\n\
                  that has the name of a verb, write `sbx -- check`.\n\n\
                  Examples:\n\
                  \x20 sbx -- ./downloaded-tool --help      system read-only, empty home, no network\n\
                  \x20 sbx --profile firefox                its own data and the downloads, nothing else of the home\n\
                  \x20 sbx --profile ci -- cargo test       a build or a test, without network\n\
                  \x20 sbx --rw out --net host -- ./tool    the default, with a writable directory and the network\n\
                  \x20 sbx plan --profile ci -- cargo test  what a run would do\n\n\
                  Exit status: the program's own; 128+N if signal N ended it; 124 timed out; 125 sbx failed before\n\
                  the program started; 126 it could not be executed; 127 it was not found.\n\
                  Manual: sbx(1), sbx-profile(5).",
    subcommand_required = true,
    arg_required_else_help = true,
    args_override_self = true,
    disable_help_subcommand = false
)]
pub struct Cli {
    /// The subcommand.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs: words that may come first on the command line.
pub const VERBS: [&str; 26] = [
    "run", "plan", "check", "profile", "selftest", "homes", "diff", "commit", "discard", "export", "uppers",
    "snapshot", "fork", "create", "start", "restart", "exec", "ps", "logs", "inspect", "stop", "kill", "wait", "rm",
    "prune", "rename",
];

/// The subcommands of `sbx`.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Run a program in a sandbox (the default)
    Run(Run),
    /// Print what a run would do, and do nothing
    Plan(Plan),
    /// Try what this host and this user can do, and say how to fix what does not work
    Check(Check),
    /// List, show and check profiles
    Profile(Profile),
    /// Try from inside a sandbox what a hostile program would try
    #[command(
        after_help = "Each line says `held` (it did not work), `shared` (it worked, and the profile allows it),\n\
                            `FAILED` (it worked, and should not) or `not run` (it could not be tried here, and why).\n\
                            Exit status: 0 if nothing failed, 1 if something did, 125 if the sandbox did not start."
    )]
    Selftest(Selftest),
    /// List the private homes that are kept, or remove some
    #[command(
        after_help = "A private home is made by `--home private:NAME`, or `filesystem.home` in a profile. Its files are at\n\
                            ~/.local/share/sbx/homes/NAME/home. What a program left there counts as hostile: look at it before you\n\
                            use it outside."
    )]
    Homes(Homes),
    /// Show what differs in upper layers from the host
    #[command(
        after_help = "A line for each path: A added, M modified, D deleted; `!` marks one that has changed on the host\n\
                            since the program saw it. NAME is that of `--upper keep:NAME`, or LAST for those used last."
    )]
    Diff(Diff),
    /// Put changes of upper layers onto the host
    #[command(
        after_help = "Each file is replaced at once. One that has changed on the host since the program saw it is left as\n\
                            it is, and named; so is one that cannot be put there. A commit that was interrupted is finished by\n\
                            the next one. Exit status: 0 if everything was put onto the host, 1 if not."
    )]
    Commit(Commit),
    /// Remove upper layers, with all changes in them
    Discard(Discard),
    /// Write the changes in upper layers to a tar file, as a layer of an OCI image
    Export(Export),
    /// List the upper layers that are kept
    Uppers(Uppers),
    /// Freeze upper layers: what they hold now stays, and `diff` goes on to compare with the host
    Snapshot(Snapshot),
    /// Make upper layers of another name that begin with what these hold now
    Fork(Fork),
    /// List sandboxes that run in the background or have a name
    #[command(after_help = "To run the program `ps` in a sandbox, write `sbx -- ps`.")]
    Ps(Ps),
    /// Make the record of a sandbox, and start it later
    Create(Run),
    /// Start sandboxes that were created, or have ended, in the background
    Start(Start),
    /// End sandboxes, and start them again
    Restart(Restart),
    /// Execute a further program in a running sandbox
    #[command(
        after_help = "Exit status: that of the program; 125 if it could not be tried (255 if the sandbox does not run), 126 if it cannot be executed, 127 if it is\n\
                            not found."
    )]
    Exec(Exec),
    /// Print what the program of a sandbox in the background has written
    Logs(Logs),
    /// Print all that is known of sandboxes, as JSON
    Inspect(Inspect),
    /// End sandboxes: by SIGTERM, and after a time by SIGKILL
    Stop(Stop),
    /// Send a signal to the programs of sandboxes
    #[command(after_help = "To run the program `kill` in a sandbox, write `sbx -- kill`.")]
    Kill(Kill),
    /// Wait until sandboxes have ended, and print their exit statuses
    Wait(Wait),
    /// Remove the records of sandboxes that have ended
    #[command(after_help = "To run the program `rm` in a sandbox, write `sbx -- rm`.")]
    Rm(Rm),
    /// Remove the records of all sandboxes that have ended
    Prune(Prune),
    /// Give a sandbox another name
    #[command(after_help = "To run the program `rename` in a sandbox, write `sbx -- rename`.")]
    Rename(Rename),
}

/// `sbx diff`
#[derive(Args, Debug)]
pub struct Diff {
    /// Name of the upper layers, or LAST
    #[arg(default_value = "LAST")]
    pub name: String,
    /// Only what is at or below these paths
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Print sizes
    #[arg(long)]
    pub stat: bool,
    /// Print the differences of texts, as a patch that git applies
    #[arg(short, long, conflicts_with_all = ["stat", "json"])]
    pub patch: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `sbx commit`
#[derive(Args, Debug)]
pub struct Commit {
    /// Name of the upper layers, or LAST
    pub name: String,
    /// Only what is at or below these paths, with new directories that they lie in
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Merge texts that the host has changed, too, where no line was changed by both
    #[arg(short, long)]
    pub merge: bool,
    /// Change nothing, and say what would be done
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// `sbx discard`
#[derive(Args, Debug)]
pub struct Discard {
    /// Names of upper layers, or LAST
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
}

/// `sbx export`
#[derive(Args, Debug)]
pub struct Export {
    /// Name of the upper layers, or LAST
    pub name: String,
    /// File to write to (default: standard output)
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Write a patch that git applies, with files that are no texts, instead of a tar file
    #[arg(short, long)]
    pub patch: bool,
}

/// `sbx uppers`
#[derive(Args, Debug)]
pub struct Uppers {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `sbx snapshot`
#[derive(Args, Debug)]
pub struct Snapshot {
    /// Name of the upper layers, or LAST
    pub name: String,
}

/// `sbx fork`
#[derive(Args, Debug)]
pub struct Fork {
    /// Name of the upper layers, or LAST
    pub name: String,
    /// The new name
    pub new: String,
}

/// `sbx selftest`
#[derive(Args, Debug)]
pub struct Selftest {
    /// The sandbox to test
    #[command(flatten)]
    pub sandbox: Sandbox,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// For each line that held, say how that was seen
    #[arg(long)]
    pub verbose: bool,
}

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
    /// Network: none, private (its own, by pasta or slirp4netns), host, or join:PID (that of a running sandbox)
    #[arg(long, value_name = "MODE", value_hint = ValueHint::Other)]
    pub net: Option<OsString>,
    /// Reach a server of a private network at a port of the host; a HOST of 0 is any free port
    #[arg(short, long, value_name = "[ADDRESS:]HOST:INSIDE[/tcp|udp]", value_hint = ValueHint::Other)]
    pub publish: Vec<OsString>,
    /// Reach a port of the host's loopback in a private network: PORT or HOST:INSIDE
    #[arg(long, value_name = "PORT", value_hint = ValueHint::Other)]
    pub forward: Vec<OsString>,
    /// Share a namespace with the host: ipc, uts, pid, cgroup, time
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
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<OsString>,
    /// Terminal: auto, pty (a new one even if no stream is one, in place of pipes and files), inherit or none
    #[arg(long, value_name = "HOW")]
    pub tty: Option<OsString>,
    /// End the program after this time, e.g. 90s or 10m
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<OsString>,
    /// Memory limit, in bytes, or with K, M, G
    #[arg(short, long, value_name = "SIZE")]
    pub memory: Option<OsString>,
    /// Limit of the number of processes and threads
    #[arg(long, value_name = "N")]
    pub pids_limit: Option<OsString>,
    /// CPU limit, in CPUs, e.g. 1.5
    #[arg(long, value_name = "N")]
    pub cpus: Option<OsString>,
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

/// `sbx run`
#[derive(Args, Debug, Default)]
pub struct Run {
    /// The sandbox to run in.
    #[command(flatten)]
    pub sandbox: Sandbox,
    /// Write a JSON line for each event to a file descriptor
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..1_048_576))]
    pub status_fd: Option<i32>,
    /// Write as JSON what enforces each line of the profile, and what is not enforced, to a file or a file descriptor
    #[arg(long, value_name = "FILE|N", value_hint = ValueHint::FilePath)]
    pub receipt: Option<OsString>,
    /// Print no notes, e.g. about optional parts that are missing
    #[arg(short, long)]
    pub quiet: bool,
    /// What makes a record of the run.
    #[command(flatten)]
    pub kept: Kept,
    /// The words of the command line that all of this was read from.
    #[arg(skip)]
    pub words: Vec<OsString>,
    /// Program and arguments (default: process.args of the profile)
    #[arg(value_name = "PROGRAM", trailing_var_arg = true, value_hint = ValueHint::CommandWithArguments)]
    pub program: Vec<OsString>,
}

impl Run {
    /// Parses the arguments of `sbx run` without building clap's definitions of the other verbs, which would take
    /// longer than reading a profile. None if that fails: the caller then parses with the whole definition, which
    /// reports the error or prints the help.
    pub fn quickly(args: &[OsString]) -> Option<Run> {
        let (verb, rest) = args.get(1..)?.split_first()?;
        if verb != "run" {
            return None;
        }
        if let Some(run) = Run::plain(rest) {
            return Some(run);
        }
        Run::from_arg_matches(&Run::alone().try_get_matches_from(rest).ok()?).ok()
    }

    /// The definition of `run` without those of the other verbs.
    fn alone() -> Command {
        let command = Command::new("run").no_binary_name(true).disable_version_flag(true).args_override_self(true);
        Run::augment_args(command)
    }
}

impl Run {
    /// Parses `[-q] [--profile NAME] [--] PROGRAM [ARGUMENT]...`, which covers most starts, without clap: building the
    /// definitions of the other flags would take longer. None if there is anything else.
    fn plain(args: &[OsString]) -> Option<Run> {
        let mut run = Run::default();
        let mut profiles = 0;
        let mut rest = args.iter();
        let (first, escaped) = loop {
            let arg = rest.next()?;
            match arg.to_str()? {
                "--" => break (rest.next()?, true),
                "-q" | "--quiet" if !run.quiet => run.quiet = true,
                "--profile" => {
                    let name = rest.next()?.to_str().filter(|name| !name.starts_with('-'))?;
                    run.sandbox.profile = Some(name.to_owned());
                    profiles += 1;
                }
                flag if flag.starts_with('-') => return None,
                _ => break (arg, false),
            }
        };
        run.program = std::iter::once(first).chain(rest).cloned().collect();
        let plain = profiles < 2 && (escaped || !run.program.iter().any(|arg| arg == "--"));
        plain.then_some(run)
    }
}

/// `sbx plan`
#[derive(Args, Debug)]
pub struct Plan {
    /// The sandbox to plan.
    #[command(flatten)]
    pub sandbox: Sandbox,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Print every mount, variable and mechanism, and not only what they come to
    #[arg(long)]
    pub verbose: bool,
    /// Accepted as by `run`, without effect
    #[arg(short, long, hide = true)]
    pub quiet: bool,
    /// Accepted as by `run`, without effect
    #[arg(long, value_name = "N", hide = true)]
    pub status_fd: Option<i32>,
    /// Accepted as by `run`, without effect
    #[arg(long, value_name = "FILE|N", hide = true)]
    pub receipt: Option<OsString>,
    /// Accepted as by `run`, without effect.
    #[command(flatten)]
    pub kept: Kept,
    /// Program and arguments (default: process.args of the profile)
    #[arg(value_name = "PROGRAM", trailing_var_arg = true, value_hint = ValueHint::CommandWithArguments)]
    pub program: Vec<OsString>,
}

/// `sbx check`
#[derive(Args, Debug)]
pub struct Check {
    /// Check one profile: what of it this host can do
    #[arg(long, value_name = "NAME|FILE")]
    pub profile: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `sbx homes`, which lists and removes private homes.
#[derive(Args, Debug)]
pub struct Homes {
    /// Remove this private home, with all that is in it
    #[arg(long, value_name = "NAME")]
    pub remove: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `sbx profile`
#[derive(Args, Debug)]
pub struct Profile {
    /// The subcommand.
    #[command(subcommand)]
    pub verb: ProfileVerb,
}

/// The subcommands of `sbx profile`.
#[derive(Subcommand, Debug)]
pub enum ProfileVerb {
    /// List the profiles
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a profile
    Show {
        /// Name or file
        name: String,
        /// Print all layers merged into one
        #[arg(long)]
        resolved: bool,
        /// Print for each value which line it comes from
        #[arg(long)]
        origin: bool,
    },
    /// Check profiles for errors, and for grants that undo the sandbox
    Check {
        /// Files, or names of profiles
        #[arg(required = true, value_name = "FILE|NAME", value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
        /// Fail if a grant undoes the sandbox and no comment `# accepted: REASON` stands above its line
        #[arg(long)]
        strict: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON schema of the profile language
    Schema,
}

/// The definition of the command line, from which the manual is generated.
pub fn command() -> Command {
    Cli::command()
}

/// The definition for completions, in which the flags of `run` may stand without `run`, unlike in [`command`].
pub fn completed() -> Command {
    let command = Cli::command().subcommand_required(false);
    Run::augment_args(command).args_conflicts_with_subcommands(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsStr;

    fn by_clap(args: &[OsString]) -> Option<Run> {
        Run::from_arg_matches(&Run::alone().try_get_matches_from(args).ok()?).ok()
    }

    #[test]
    fn the_plain_command_line_is_read_without_clap() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        for line in ["true", "-- true", "--profile ci -- cargo test", "--profile default -q -- sh -c --", "-q ls -l"] {
            assert!(Run::plain(&words(line)).is_some(), "{line}");
        }
        for line in [
            "--net host true",
            "-p 80:80 true",
            "--profile=ci true",
            "--profile",
            "--",
            "--profile -q true",
            "sh -- -c",
        ] {
            assert!(Run::plain(&words(line)).is_none(), "{line}");
        }
    }

    #[test]
    fn a_flag_that_is_given_twice_counts_once_or_adds() {
        let line = "--net none --rw a --net host --ro b --rw c -q -q --as-pid-1 --as-pid-1 --stats --stats=json true";
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let run = by_clap(&words).unwrap();
        assert_eq!(run.sandbox.net.as_deref(), Some(OsStr::new("host")));
        assert_eq!((run.sandbox.rw.len(), run.sandbox.ro.len(), run.sandbox.stats.as_deref()), (2, 1, Some("json")));
        let order = &run.sandbox.order;
        let [first, between, second] = [order.of("rw", 0), order.of("ro", 0), order.of("rw", 1)];
        assert!(first < order.of("net", 0) && order.of("net", 0) < between && between < second, "{order:?}");
    }

    proptest! {
        #[test]
        fn what_is_read_without_clap_is_what_clap_reads(args in proptest::collection::vec(
            prop_oneof![
                Just("--"), Just("-q"), Just("--quiet"), Just("-p"), Just("--profile"), Just("80:80"), Just("ci"), Just("true"), Just("-x"), Just(""),
                Just("--profile=ci"), Just("-h"), Just("run"), Just("-"), Just("a b"),
            ],
            0..7,
        )) {
            let args: Vec<OsString> = args.into_iter().map(OsString::from).collect();
            if let Some(run) = Run::plain(&args) {
                let by_clap = by_clap(&args).map(|mut run| {
                    // Nothing is asked for the order of these.
                    run.sandbox.order = Order::default();
                    run
                });
                prop_assert_eq!(format!("{:?}", Some(run)), format!("{by_clap:?}"));
            }
        }
    }
}
