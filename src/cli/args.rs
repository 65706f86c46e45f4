//! The command line: one definition, from which `--help`, the man page and the completions come.

use clap::{ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint};
use std::ffi::OsString;
use std::mem::ManuallyDrop;
use std::path::PathBuf;

pub use super::event_args::*;
pub use super::network_args::*;
pub use super::record_args::*;
pub use super::sandbox_args::*;
pub use super::upper_args::*;

/// Run a program in a sandbox, without root.
#[derive(Parser, Debug)]
#[command(
    name = "sbx",
    version,
    about = "Run a program in a sandbox, without root, setuid or a daemon",
    override_usage = "sbx [FLAGS] [--] PROGRAM [ARGUMENT]...\n       \
                      sbx run|plan|check|selftest|homes ...\n       \
                      sbx profile list|show|check|schema ...\n       \
                      sbx diff|commit|discard|export|uppers|snapshot|fork ...\n       \
                      sbx create|start|restart|exec|attach|ps|logs|inspect ...\n       \
                      sbx stop|kill|wait|rm|prune|rename|pause|unpause ...\n       \
                      sbx top|port|stats|events|update|cp ...\n       \
                      sbx network create|connect|disconnect|allow|ls|inspect|rm ...\n       \
                      sbx generate systemd ...",
    after_help = "`sbx PROGRAM` is short for `sbx run PROGRAM`; `sbx run --help` lists its flags. To run a program \
                  that has the name of a verb, write `sbx -- check`.\n\n\
                  Examples:\n\
                  \x20 sbx -- ./downloaded-tool --help      system read-only, empty home, no network\n\
                  \x20 sbx --profile firefox                its own data and the downloads, nothing else of the home\n\
                  \x20 sbx --profile ci -- cargo test       a build or a test, without network\n\
                  \x20 sbx --rw out --net host -- ./tool    the default, with a writable directory and the network\n\
                  \x20 sbx plan --profile ci -- cargo test  what a run would do\n\n\
                  Exit status: the program's own; 128+N if signal N ended it; 124 timed out; 125 sbx failed before \
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
pub const VERBS: [&str; 37] = [
    "run", "plan", "check", "profile", "selftest", "homes", "diff", "commit", "discard", "export", "uppers",
    "snapshot", "fork", "create", "start", "restart", "exec", "attach", "ps", "logs", "inspect", "stop", "kill",
    "wait", "rm", "prune", "rename", "pause", "unpause", "top", "port", "stats", "update", "cp", "generate", "network",
    "events",
];

/// The subcommands of `sbx`.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Run a program in a sandbox (the default)
    #[command(disable_help_flag = true)]
    Run(Run),
    /// Print what a run would do, and do nothing
    #[command(disable_help_flag = true)]
    Plan(Plan),
    /// Try what this host and this user can do, and say how to fix what does not work
    Check(Check),
    /// List, show and check profiles
    Profile(Profile),
    /// Try from inside a sandbox what a hostile program would try
    #[command(
        disable_help_flag = true,
        after_help = "Each line says `held` (it did not work), `shared` (it worked, and the profile allows it), \
                            `FAILED` (it worked, and should not) or `not run` (it could not be tried here, and why).\n\
                            Exit status: 0 if nothing failed, 1 if something did, 125 if the sandbox did not start."
    )]
    Selftest(Selftest),
    /// List the private homes that are kept, or remove some
    #[command(
        after_help = "A private home is made by `--home private:NAME`, or `filesystem.home` in a profile. Its files are at \
                            ~/.local/share/sbx/homes/NAME/home. What a program left there counts as hostile: look at it before you \
                            use it outside."
    )]
    Homes(Homes),
    /// Show what differs in upper layers from the host
    #[command(
        after_help = "A line for each path: A added, M modified, D deleted; `!` marks one that has changed on the host \
                            since the program saw it. NAME is that of `--upper keep:NAME`, or LAST for those used last."
    )]
    Diff(Diff),
    /// Put changes of upper layers onto the host
    #[command(
        after_help = "Each file is replaced at once. One that has changed on the host since the program saw it is left as \
                            it is, and named; so is one that cannot be put there. A commit that was interrupted is finished by \
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
    /// Make, list and remove networks that sandboxes share, connect running sandboxes to them, and let these reach more
    #[command(
        after_help = "A sandbox joins a network by `--network NAME`, or network.mode = \"net:NAME\" in a profile. Sandboxes in one \
                            network reach each other by their addresses, and by their names: that of `--name`, and each `--network-alias`, \
                            with or without `.` and the name of the network behind it. A network has addresses of IPv4, and of IPv6 \
                            if it is made with `--ipv6`.\n\
                            `connect` puts a running sandbox of one network into another one, too: sbx network connect NETWORK SANDBOX\n\
                            `allow` is for a private network, too: sbx network allow SANDBOX example.org:443"
    )]
    Network(Network),
    /// List sandboxes that run in the background or have a name
    #[command(after_help = "To run the program `ps` in a sandbox, write `sbx -- ps`.")]
    Ps(Ps),
    /// Make the record of a sandbox, and start it later
    #[command(disable_help_flag = true)]
    Create(Run),
    /// Start sandboxes that were created, or have ended, in the background
    Start(Start),
    /// End sandboxes, and start them again
    Restart(Restart),
    /// Execute a further program in a running sandbox
    #[command(
        after_help = "Exit status: that of the program; 125 if it could not be tried (255 if the sandbox does not run), 126 if it cannot be executed, 127 if it is \
                            not found."
    )]
    Exec(Exec),
    /// Be in front of the program of a sandbox in the background, until it ends or the keys ctrl-p ctrl-q are typed
    #[command(
        after_help = "Exit status: that of the program; 0 if it was left by the keys; 125 if it could not be attached to."
    )]
    Attach(Attach),
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
    /// Print a unit of systemd's for a sandbox
    Generate(Generate),
    /// Freeze all processes of sandboxes, by their cgroups
    Pause(Pause),
    /// Have frozen sandboxes go on
    Unpause(Pause),
    /// List the processes of a sandbox
    #[command(after_help = "To run the program `top` in a sandbox, write `sbx -- top`.")]
    Top(Top),
    /// Copy files between the host and a running sandbox
    #[command(
        after_help = "A path is that of the host, NAME:PATH in a sandbox, or `-` for a tar stream. To run the program `cp` in a sandbox, write `sbx -- cp`.\n\
                            Exit status: 0 if all was copied, 1 if something was left out, which is named; 125 if the copy ended early."
    )]
    Cp(Cp),
    /// Print what sandboxes use: processor time, memory, data, processes
    Stats(Stats),
    /// Give a sandbox other limits, now and for its next start
    Update(Update),
    /// Print at which ports of the host servers in sandboxes are reached
    Port(Port),
    /// Print what has happened to sandboxes, and goes on to happen
    #[command(
        after_help = "Events are attach, create, died, exec, exec_died, kill, oom, pause, remove, rename, restart, start, stop, unpause and update."
    )]
    Events(Events),
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
    /// Write as JSON lines what the rules on a private network refuse, and whom, to the end of a file or to a file descriptor
    #[arg(long, value_name = "FILE|N", value_hint = ValueHint::FilePath)]
    pub network_log: Option<OsString>,
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
        Run::from_arg_matches(&matches(Run::alone(), rest)?).ok()
    }

    /// The definition of `run` without those of the other verbs.
    fn alone() -> Command {
        let command = Command::new("run")
            .no_binary_name(true)
            .disable_version_flag(true)
            .disable_help_flag(true)
            .args_override_self(true);
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
    /// Accepted as by `run`, without effect
    #[arg(long, value_name = "FILE|N", hide = true)]
    pub network_log: Option<OsString>,
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
    /// List the options of the kernel's that sbx has a use for: of this kernel, or of the one whose configuration FILE (or the variable CONFIG) is
    #[arg(long, value_name = "FILE", num_args = 0..=1, conflicts_with = "profile", value_hint = ValueHint::FilePath)]
    pub kernel_config: Option<Option<PathBuf>>,
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

/// What a definition makes of these words; none if they are no command line of it.
pub(super) fn matches(command: Command, words: &[OsString]) -> Option<ArgMatches> {
    // Hundreds of blocks, which the end of the process frees at once.
    ManuallyDrop::new(command).try_get_matches_from_mut(words).ok()
}

/// The definition for completions, in which the flags of `run` may stand without `run`, unlike in [`command`].
pub fn completed() -> Command {
    let command = Cli::command().subcommand_required(false).disable_help_flag(true);
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
