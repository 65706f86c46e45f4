//! The command line of `sbx network`.

use clap::{Args, Subcommand, ValueHint};

/// `sbx network`
#[derive(Args, Debug)]
pub struct Network {
    /// The subcommand.
    #[command(subcommand)]
    pub verb: NetworkVerb,
}

/// The subcommands of `sbx network`.
#[derive(Subcommand, Debug)]
pub enum NetworkVerb {
    /// Make a network, which lives while a sandbox is in it, and is there until it is removed
    Create(NetworkCreate),
    /// Let a running sandbox reach more, until its run ends
    Allow(NetworkAllow),
    /// Connect a running sandbox to a further network, until its run ends
    Connect(NetworkConnect),
    /// Disconnect a running sandbox from a network that it was connected to
    Disconnect(NetworkDisconnect),
    /// List networks
    #[command(visible_alias = "list")]
    Ls(NetworkLs),
    /// Print all that is known of networks, and who is in them, as JSON
    Inspect(NetworkInspect),
    /// Remove networks that no sandbox is in
    #[command(visible_alias = "remove")]
    Rm(NetworkRm),
}

/// `sbx network create`
#[derive(Args, Debug)]
pub struct NetworkCreate {
    /// Addresses: a private network of IPv4 (default: the first of 10.89.0.0/24, 10.89.1.0/24 ... that is free), one of IPv6 in fd00::/8, or one of each
    #[arg(long, value_name = "CIDR", value_hint = ValueHint::Other)]
    pub subnet: Vec<String>,
    /// The address by which the outside is reached, of either family (default: the first of the subnet)
    #[arg(long, value_name = "ADDRESS", value_hint = ValueHint::Other)]
    pub gateway: Vec<String>,
    /// Addresses of IPv6, too (default: those of IPv4 alone): the subnet of IPv6 that is named, or a random one
    #[arg(long)]
    pub ipv6: bool,
    /// Nothing is reached but the other sandboxes in the network
    #[arg(long)]
    pub internal: bool,
    /// The name
    #[arg(value_name = "NAME", value_hint = ValueHint::Other)]
    pub name: String,
}

/// `sbx network connect`
#[derive(Args, Debug)]
pub struct NetworkConnect {
    /// A further name by which others in the network find the sandbox
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Other)]
    pub alias: Vec<String>,
    /// The network
    #[arg(value_name = "NETWORK", value_hint = ValueHint::Other)]
    pub network: String,
    /// Name or id of the sandbox, which was started in another network
    #[arg(value_name = "SANDBOX", value_hint = ValueHint::Other)]
    pub name: String,
}

/// `sbx network disconnect`
#[derive(Args, Debug)]
pub struct NetworkDisconnect {
    /// The network
    #[arg(value_name = "NETWORK", value_hint = ValueHint::Other)]
    pub network: String,
    /// Name or id of the sandbox
    #[arg(value_name = "SANDBOX", value_hint = ValueHint::Other)]
    pub name: String,
}

/// `sbx network allow`
#[derive(Args, Debug)]
pub struct NetworkAllow {
    /// Name or id of the sandbox
    #[arg(value_name = "SANDBOX", value_hint = ValueHint::Other)]
    pub name: String,
    /// What it is to reach, as a line of network.allow: a name, an address, a network or a word, with ports and a protocol
    #[arg(required = true, value_name = "HOST[:PORTS][/PROTOCOL]", value_hint = ValueHint::Other)]
    pub lines: Vec<String>,
}

/// `sbx network ls`
#[derive(Args, Debug)]
pub struct NetworkLs {
    /// Print names alone
    #[arg(short, long, conflicts_with_all = ["json", "format"])]
    pub quiet: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Print by a template, as '{{.Name}} {{.Subnet}}', or json
    #[arg(long, value_name = "TEMPLATE", value_hint = ValueHint::Other, conflicts_with = "json")]
    pub format: Option<String>,
}

/// `sbx network inspect`
#[derive(Args, Debug)]
pub struct NetworkInspect {
    /// Names
    #[arg(required = true, value_name = "NAME", value_hint = ValueHint::Other)]
    pub names: Vec<String>,
}

/// `sbx network rm`
#[derive(Args, Debug)]
pub struct NetworkRm {
    /// Names
    #[arg(required = true, value_name = "NAME", value_hint = ValueHint::Other)]
    pub names: Vec<String>,
}
