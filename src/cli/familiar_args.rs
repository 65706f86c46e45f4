//! Flags that podman and docker have for what sbx's own flags and keys say.

use clap::{Args, ValueHint};
use std::ffi::OsString;

/// Flags that podman and docker have for what other flags say.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "As with podman and docker")]
pub struct Familiar {
    /// Show a file or directory of the host at a path: HOST:PATH, or HOST:PATH:ro
    #[arg(short, long, value_name = "HOST:PATH[:ro]", value_hint = ValueHint::AnyPath)]
    pub volume: Vec<String>,
    /// The same as type=bind,source=HOST,target=PATH with or without ,readonly, or an empty directory in memory as type=tmpfs,target=PATH
    #[arg(long, value_name = "WHAT", value_hint = ValueHint::Other)]
    pub mount: Vec<String>,
    /// Set the environment variables that a file names in lines NAME=VALUE; --env counts more
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub env_file: Vec<OsString>,
    /// The network, as --net: none, host, private (bridge, pasta and slirp4netns mean that, too), container:NAME, that of a running sandbox, or the name of one of `sbx network`
    #[arg(long, value_name = "MODE", value_hint = ValueHint::Other)]
    pub network: Option<String>,
    /// A name by which others in the network find the sandbox
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Other)]
    pub network_alias: Vec<OsString>,
    /// The address of IPv6 that the sandbox has in the network, as --set network.ip6
    #[arg(long, value_name = "ADDRESS", value_hint = ValueHint::Other)]
    pub ip6: Option<String>,
    /// Shared memory and message queues: private, or host, as --share ipc
    #[arg(long, value_name = "MODE", value_hint = ValueHint::Other)]
    pub ipc: Option<String>,
    /// Processes: private, or host, as --share pid
    #[arg(long, value_name = "MODE", value_hint = ValueHint::Other)]
    pub pid: Option<String>,
    /// Host name: private, or host, as --share uts
    #[arg(long, value_name = "MODE", value_hint = ValueHint::Other)]
    pub uts: Option<String>,
    /// NIS domain name inside, as --set process.domainname
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Other)]
    pub domainname: Option<String>,
    /// Show the root directory read-only where a profile shows it writable
    #[arg(long)]
    pub read_only: bool,
    /// Give the program a capability in the sandbox's own namespaces, as --set security.capabilities
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Other)]
    pub cap_add: Vec<String>,
    /// Take a capability away that a profile gives, or ALL
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Other)]
    pub cap_drop: Vec<String>,
    /// seccomp=unconfined, as --set security.seccomp=off, or mask=PATH, as --mask; accepted: no-new-privileges, label=disable, apparmor=unconfined
    #[arg(long, value_name = "OPTION", value_hint = ValueHint::Other)]
    pub security_opt: Vec<String>,
    /// A terminal of the program's own, as --tty pty
    #[arg(short = 't', long = "terminal")]
    pub terminal: bool,
    /// Accepted: the program has the caller's standard input
    #[arg(short, long)]
    pub interactive: bool,
    /// Accepted: sbx has an init
    #[arg(long)]
    pub init: bool,
    /// A limit of the kernel's, as --set rlimits.NAME
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_hint = ValueHint::Other)]
    pub ulimit: Vec<String>,
    /// Ports that the program listens at, which --publish-all publishes
    #[arg(long, value_name = "PORT[-PORT][/tcp|udp]", value_hint = ValueHint::Other)]
    pub expose: Vec<String>,
    /// Publish each port that --expose names at any free port of the host's loopback
    #[arg(short = 'P', long)]
    pub publish_all: bool,
    /// Refused: sbx gives no program such rights
    #[arg(long, hide = true)]
    pub privileged: bool,
}
