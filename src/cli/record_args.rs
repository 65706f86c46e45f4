//! The command line of the verbs for sandboxes that have a record, and the flags of `run` that give one.

use super::latest::{Latest, in_place_of};
use super::limit_args::Limits;
use clap::{Args, Subcommand, ValueHint};
use std::ffi::OsString;

/// The flags of a run that can be named.
#[derive(Args, Debug, Default)]
pub struct Kept {
    /// Run in the background: print the sandbox's id once the program has started
    #[arg(short, long)]
    pub detach: bool,
    /// Name of the sandbox, for `sbx ps`, `sbx stop` and the like; with --detach, a random one if none is given
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Other)]
    pub name: Option<String>,
    /// Write the id of the sandbox, which has a record then, to a new file or a file descriptor once the program runs
    #[arg(long, value_name = "FILE|N", value_hint = ValueHint::FilePath)]
    pub cidfile: Option<OsString>,
    /// Remove the record of the sandbox when the program has ended
    #[arg(long)]
    pub rm: bool,
    /// Remove a sandbox that has the name; one that runs is ended first
    #[arg(long, requires = "name")]
    pub replace: bool,
    /// What becomes of the output of a program in the background: file or journald (`sbx logs` shows it), none, or passthrough
    #[arg(long, value_name = "DRIVER", value_parser = ["file", "k8s-file", "json-file", "journald", "none", "passthrough"])]
    pub log_driver: Option<String>,
    /// Size of each of the two files of the log: max-size=10M
    #[arg(long, value_name = "max-size=SIZE", value_hint = ValueHint::Other)]
    pub log_opt: Vec<String>,
    /// Start a program in the background again when it has ended: no, on-failure, on-failure:N, always, unless-stopped
    #[arg(long, value_name = "WHEN", value_hint = ValueHint::Other)]
    pub restart: Option<String>,
    /// Add a label to the record
    #[arg(short, long, value_name = "NAME[=VALUE]", value_hint = ValueHint::Other)]
    pub label: Vec<String>,
    /// Signal by which `sbx stop` asks the program to end (default: TERM)
    #[arg(long, value_name = "SIGNAL", value_hint = ValueHint::Other)]
    pub stop_signal: Option<String>,
    /// Seconds until `sbx stop` ends the program by SIGKILL (default: 10)
    #[arg(long, value_name = "SECONDS", value_hint = ValueHint::Other)]
    pub stop_timeout: Option<u64>,
    /// Keys by which `sbx attach` and its like leave the program to go on (default: ctrl-p,ctrl-q); an empty text is none
    #[arg(long, value_name = "KEYS", value_hint = ValueHint::Other)]
    pub detach_keys: Option<String>,
}

/// `sbx ps`
#[derive(Args, Debug)]
pub struct Ps {
    /// List those that have ended, too
    #[arg(short, long)]
    pub all: bool,
    /// Print ids only
    #[arg(short, long)]
    pub quiet: bool,
    /// List only what meets a condition: id=, name=, status=, exited=, profile=, label=, before=, since=
    #[arg(short, long, value_name = "KEY=VALUE", value_hint = ValueHint::Other)]
    pub filter: Vec<String>,
    /// Order: created (the oldest first), names, id, status, command, profile or runningfor; without it, the newest first
    #[arg(long, value_name = "ORDER", value_parser = ["created", "names", "id", "status", "command", "profile", "image", "runningfor"], hide_possible_values = true)]
    pub sort: Option<String>,
    /// Print by a template, such as '{{.ID}} {{.Names}}' or 'table {{.ID}}\t{{.Status}}', or json
    #[arg(long, value_name = "TEMPLATE", value_hint = ValueHint::Other)]
    pub format: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Shorten no ids and commands
    #[arg(long)]
    pub no_trunc: bool,
    /// Print no head of the table
    #[arg(long)]
    pub noheading: bool,
    /// List the one that was made last
    #[arg(short, long)]
    pub latest: bool,
    /// List the N that were made last
    #[arg(short = 'n', long, value_name = "N")]
    pub last: Option<usize>,
}

/// `sbx inspect`
#[derive(Args, Debug)]
#[command(mut_args(in_place_of(["names"])))]
pub struct Inspect {
    /// Names or ids
    #[arg(required_unless_present = "latest", value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub latest: Latest,
    /// Print by a template, such as '{{.State.Pid}}'
    #[arg(short, long, value_name = "TEMPLATE", value_hint = ValueHint::Other)]
    pub format: Option<String>,
}

/// `sbx start`
#[derive(Args, Debug)]
#[command(mut_args(in_place_of(["names", "all", "filter"])))]
pub struct Start {
    /// Names or ids
    #[arg(required_unless_present_any = ["latest", "all", "filter"], value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub latest: Latest,
    /// Start all that do not run
    #[arg(long, conflicts_with_all = ["names", "attach", "interactive"])]
    pub all: bool,
    /// Start those that do not run and meet a condition, as with `sbx ps`; should-start-on-boot=true are those that a boot starts
    #[arg(short, long, value_name = "KEY=VALUE", conflicts_with_all = ["names", "attach", "interactive"], value_hint = ValueHint::Other)]
    pub filter: Vec<String>,
    /// Attach to the program: show what it writes, wait for its end, and exit with its status
    #[arg(short, long)]
    pub attach: bool,
    /// Attach, and pass standard input on
    #[arg(short, long)]
    pub interactive: bool,
    #[command(flatten)]
    pub front: Front,
}

/// How a command is in front of a program that it is attached to.
#[derive(Args, Debug, Default)]
pub struct Front {
    /// Keys that leave the program to go on (default: those of `sbx run --detach-keys`, or ctrl-p,ctrl-q); an empty text is none
    #[arg(long, value_name = "KEYS", value_hint = ValueHint::Other)]
    pub detach_keys: Option<String>,
    /// Whether signals for this command are sent to a program without a terminal
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub sig_proxy: Option<bool>,
}

/// `sbx attach`
#[derive(Args, Debug)]
pub struct Attach {
    #[command(flatten)]
    pub latest: Latest,
    /// Pass no standard input on
    #[arg(long)]
    pub no_stdin: bool,
    #[command(flatten)]
    pub front: Front,
    /// Name or id
    pub name: String,
}

/// `sbx restart`
#[derive(Args, Debug)]
#[command(mut_args(in_place_of(["names", "all", "running", "filter"])))]
pub struct Restart {
    /// Names or ids
    #[arg(required_unless_present_any = ["latest", "all", "running", "filter"], value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub latest: Latest,
    /// All, those that do not run, too
    #[arg(short, long, conflicts_with_all = ["names", "running"])]
    pub all: bool,
    /// All that run
    #[arg(long, conflicts_with = "names")]
    pub running: bool,
    /// Those that meet a condition, as with `sbx ps`
    #[arg(short, long, value_name = "KEY=VALUE", conflicts_with = "names", value_hint = ValueHint::Other)]
    pub filter: Vec<String>,
    /// Seconds until the program is ended by SIGKILL (default: that of --stop-timeout)
    #[arg(short, long, value_name = "SECONDS")]
    pub time: Option<u64>,
}

/// `sbx exec`
#[derive(Args, Debug)]
pub struct Exec {
    #[command(flatten)]
    pub latest: Latest,
    /// Pass standard input on
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the program a terminal of its own
    #[arg(short, long)]
    pub tty: bool,
    /// Return once the program has started; what it writes is dropped
    #[arg(short, long)]
    pub detach: bool,
    /// Keys that leave a program with a terminal to go on; an empty text is none
    #[arg(long, value_name = "KEYS", value_hint = ValueHint::Other)]
    pub detach_keys: Option<String>,
    /// Set an environment variable, or without a value pass the caller's
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<OsString>,
    /// Directory to start in: the path inside
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::Other)]
    pub workdir: Option<OsString>,
    /// Ids of the program: those of the sandbox's program, by number or name; others are refused
    #[arg(short, long, value_name = "USER[:GROUP]", value_hint = ValueHint::Other)]
    pub user: Option<OsString>,
    /// Refused: more rights
    #[arg(long, hide = true)]
    pub privileged: bool,
    /// Name or id of the sandbox
    pub name: String,
    /// Program and arguments
    #[arg(required = true, value_name = "PROGRAM", trailing_var_arg = true, allow_hyphen_values = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// `sbx stop`
#[derive(Args, Debug)]
#[command(mut_args(in_place_of(["names", "all", "filter"])))]
pub struct Stop {
    /// Names or ids
    #[arg(required_unless_present_any = ["latest", "all", "filter"], value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub latest: Latest,
    /// Seconds until the program is ended by SIGKILL (default: that of --stop-timeout)
    #[arg(short, long, value_name = "SECONDS")]
    pub time: Option<u64>,
    /// Stop all that run
    #[arg(short, long)]
    pub all: bool,
    /// Stop those that meet a condition, as with `sbx ps`
    #[arg(short, long, value_name = "KEY=VALUE", value_hint = ValueHint::Other)]
    pub filter: Vec<String>,
    /// Ignore names that there is no sandbox of
    #[arg(short, long)]
    pub ignore: bool,
    /// Have the next boot start what --restart unless-stopped says, as if nobody had stopped it
    #[arg(long)]
    pub until_boot: bool,
}

/// `sbx kill`
#[derive(Args, Debug)]
#[command(mut_args(in_place_of(["names", "all"])))]
pub struct Kill {
    /// Names or ids
    #[arg(required_unless_present_any = ["latest", "all"], value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub latest: Latest,
    /// Signal to send, by name or number
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL", allow_hyphen_values = true, value_hint = ValueHint::Other)]
    pub signal: String,
    /// Send it to all that run
    #[arg(short, long)]
    pub all: bool,
}

/// `sbx wait`
#[derive(Args, Debug)]
#[command(mut_args(in_place_of(["names"])))]
pub struct Wait {
    /// Names or ids
    #[arg(required_unless_present = "latest", value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub latest: Latest,
    /// Print -1 for names that there is no sandbox of
    #[arg(long)]
    pub ignore: bool,
    /// Accepted: their ends are waited for, and not looked for so often
    #[arg(short, long, value_name = "TIME", value_hint = ValueHint::Other)]
    pub interval: Option<String>,
    /// Wait until they are created, running, paused, or exited (the default; stopped is the same); several are alternatives
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = ["created", "running", "paused", "exited", "stopped"], hide_possible_values = true)]
    pub condition: Vec<String>,
}

/// `sbx rm`
#[derive(Args, Debug)]
#[command(mut_args(in_place_of(["names", "all", "filter"])))]
pub struct Rm {
    /// Names or ids
    #[arg(required_unless_present_any = ["latest", "all", "filter"], value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub latest: Latest,
    /// End those that run first; ignore names that there is no sandbox of
    #[arg(short, long)]
    pub force: bool,
    /// Remove all
    #[arg(short, long)]
    pub all: bool,
    /// Remove those that meet a condition, as with `sbx ps`
    #[arg(long, value_name = "KEY=VALUE", value_hint = ValueHint::Other)]
    pub filter: Vec<String>,
    /// Ignore names that there is no sandbox of
    #[arg(short, long)]
    pub ignore: bool,
    /// Seconds until one that runs is ended by SIGKILL
    #[arg(short, long, value_name = "SECONDS")]
    pub time: Option<u64>,
    /// Accepted, without effect: sandboxes have no volumes of their own
    #[arg(short, long, hide = true)]
    pub volumes: bool,
}

/// `sbx logs`
#[derive(Args, Debug)]
#[command(mut_args(in_place_of(["names"])))]
pub struct Logs {
    /// Names or ids; of several, each line begins with an id
    #[arg(required_unless_present = "latest", value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub latest: Latest,
    /// Go on with what the program writes, until it has ended
    #[arg(short, long)]
    pub follow: bool,
    /// Print the time of each line
    #[arg(short, long)]
    pub timestamps: bool,
    /// Print the last N lines
    #[arg(short = 'n', long, value_name = "N", value_hint = ValueHint::Other)]
    pub tail: Option<String>,
    /// Print what was written since then: 10m, 2026-11-29T12:00:00Z, or seconds since 1970
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_hint = ValueHint::Other)]
    pub since: Option<String>,
    /// Print what was written until then
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_hint = ValueHint::Other)]
    pub until: Option<String>,
}

/// `sbx prune`
#[derive(Args, Debug)]
pub struct Prune {
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
    /// Remove those that meet a condition, as with `sbx ps`
    #[arg(long, value_name = "KEY=VALUE", value_hint = ValueHint::Other)]
    pub filter: Vec<String>,
}

/// `sbx rename`
#[derive(Args, Debug)]
pub struct Rename {
    /// Name or id
    pub name: String,
    /// The new name
    pub new: String,
}

/// `sbx generate`
#[derive(Args, Debug)]
pub struct Generate {
    /// The subcommand.
    #[command(subcommand)]
    pub verb: GenerateVerb,
}

/// The subcommands of `sbx generate`.
#[derive(Subcommand, Debug)]
pub enum GenerateVerb {
    /// Print a unit of the user's systemd manager that starts and stops a sandbox
    Systemd(Systemd),
}

/// `sbx generate systemd`
#[derive(Args, Debug)]
pub struct Systemd {
    /// Name or id
    #[arg(value_name = "NAME")]
    pub sandbox: String,
    /// Call the sandbox by its name in place of its id, in the unit and its file's name
    #[arg(short, long)]
    pub name: bool,
    /// Have the unit run the program anew each time, by the words of the command line, in place of the sandbox that has a record
    #[arg(long)]
    pub new: bool,
    /// Write the unit to a file in the current directory, and print its path
    #[arg(short, long)]
    pub files: bool,
    /// Seconds until the program is ended by SIGKILL (default: that of --stop-timeout)
    #[arg(short = 't', long, alias = "time", value_name = "SECONDS")]
    pub stop_timeout: Option<u64>,
    /// When systemd starts it again: systemd.service(5), Restart=
    #[arg(long, value_name = "WHEN", default_value = "on-failure", value_parser = ["no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always"])]
    pub restart_policy: String,
    /// Seconds that it waits before that
    #[arg(long, value_name = "SECONDS")]
    pub restart_sec: Option<u64>,
    /// Leave out the comment at the head
    #[arg(long)]
    pub no_header: bool,
}

/// `sbx pause` and `sbx unpause`
#[derive(Args, Debug)]
#[command(mut_args(in_place_of(["names", "all", "filter"])))]
pub struct Pause {
    /// Names or ids
    #[arg(required_unless_present_any = ["latest", "all", "filter"], value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub latest: Latest,
    /// All of them
    #[arg(short, long)]
    pub all: bool,
    /// Those that meet a condition, as with `sbx ps`
    #[arg(short, long, value_name = "KEY=VALUE", value_hint = ValueHint::Other)]
    pub filter: Vec<String>,
}

/// `sbx top`
#[derive(Args, Debug)]
pub struct Top {
    #[command(flatten)]
    pub latest: Latest,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Name or id
    pub name: String,
    /// Columns, as of `ps -o`: user pid ppid pcpu etime tty time args by default; hpid is the process id outside
    #[arg(value_name = "COLUMN", value_hint = ValueHint::Other, allow_hyphen_values = true)]
    pub columns: Vec<String>,
}

/// `sbx port`
#[derive(Args, Debug)]
pub struct Port {
    #[command(flatten)]
    pub latest: Latest,
    /// Print the ports of all that run
    #[arg(short, long, conflicts_with = "name")]
    pub all: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Name or id
    #[arg(required_unless_present = "all")]
    pub name: Option<String>,
    /// Print only where this port is reached
    #[arg(value_name = "PORT[/tcp|udp]", value_hint = ValueHint::Other)]
    pub port: Option<String>,
}

/// `sbx stats`
#[derive(Args, Debug)]
#[command(mut_args(in_place_of(["names", "all"])))]
pub struct Stats {
    /// Names or ids (default: all that run)
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub latest: Latest,
    /// Print those that do not run, too
    #[arg(short, long)]
    pub all: bool,
    /// Print once, and end
    #[arg(long)]
    pub no_stream: bool,
    /// Do not clear the terminal between two tables
    #[arg(long)]
    pub no_reset: bool,
    /// Seconds between two tables
    #[arg(short, long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub interval: u32,
    /// Print by a template, such as '{{.Name}} {{.MemUsage}}', or json
    #[arg(long, value_name = "TEMPLATE", value_hint = ValueHint::Other)]
    pub format: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Shorten no ids
    #[arg(long)]
    pub no_trunc: bool,
}

/// `sbx update`
#[derive(Args, Debug)]
pub struct Update {
    #[command(flatten)]
    pub limits: Limits,
    /// Set any limit, e.g. --set limits.memory_high=1G
    #[arg(long, value_name = "limits.KEY=VALUE", value_hint = ValueHint::Other)]
    pub set: Vec<OsString>,
    /// Name or id
    pub name: String,
}

/// `sbx cp`
#[derive(Args, Debug)]
pub struct Cp {
    /// Accepted: what is copied belongs to whoever may make it there, the program inside and the caller outside
    #[arg(short, long)]
    pub archive: bool,
    /// What is copied: a path, NAME:PATH, or `-`; DIR/. is what is in a directory
    #[arg(value_name = "FROM", value_hint = ValueHint::AnyPath)]
    pub source: OsString,
    /// Where to: a path, NAME:PATH, or `-`
    #[arg(value_name = "TO", value_hint = ValueHint::AnyPath)]
    pub destination: OsString,
}
