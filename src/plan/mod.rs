//! `Sandbox` + `Facts` → `Plan`: takes every decision, and finds every error that can be found before anything is
//! changed. Changes nothing itself.

mod agents;
mod arguments;
mod ask;
mod bpf;
mod bus_proxy;
mod capabilities;
mod cgroup;
mod confined;
mod covers;
mod desktop;
mod enforcement;
mod env;
mod etc;
mod exclusive;
mod freer;
mod git_identity;
mod helpers;
mod home;
mod ids;
mod item;
mod items;
mod job_server;
mod landlock;
mod later;
mod limits;
mod lines;
mod links;
mod lockdown;
mod memory;
mod named;
mod names;
mod namespaces;
mod network;
mod note;
mod op;
mod ordered;
mod own;
mod parts;
mod place;
mod portal_caller;
mod ports;
mod privileges;
mod process;
mod procfs;
mod project;
mod receipt;
mod render;
mod requirements;
mod resources;
mod root;
mod rules;
pub mod seccomp;
mod services;
mod setting;
mod sound;
mod summary;
pub mod syscalls;
mod tcp_ports;
mod tree;
mod undone;
mod union;
mod view;
mod view_server;
mod wayland;
mod without_links;
mod x11;

pub use ask::{AskPlan, NOTIFICATIONS, stands_for};
pub use capabilities::CapabilityPlan;
pub use cgroup::{CgroupSource, source as cgroup_source};
pub use env::{PATH, STORE_PATH};
pub use exclusive::{Exclusive, ExclusivePlan};
pub use helpers::{
    Argument, Confined, Confinement, Given, HelperProgram, HelperSpec, HelperWords, Joined, Loss, Phase, Readiness,
    Tells,
};
pub use home::HomePlan;
pub use ids::{IdMapping, IdPlan, Writer};
pub use landlock::LandlockPlan;
pub use later::Later;
pub use limits::{CgroupPlan, LimitFile, limit_file};
pub use links::real_path;
pub use lockdown::LockdownPlan;
pub use memory::{MemoryPlan, inodes};
pub use named::{NamedNetworkPlan, unmade};
pub use names::{FORWARDER, NameList, NamePlan};
pub use namespaces::{JoinedNamespace, JoinedNetwork, NamespacePlan, NetworkSettings};
pub use network::{ENABLE_V6, ENDED, LOST};
pub use note::{MissingNamespace, NotInMode, Note};
pub use op::{Attributes, Op, OwnFile};
pub use parts::{Absent, Closed, Create, Placed};
pub use portal_caller::PortalCaller;
pub use ports::{Carrier, PortPlan, untaken};
pub use process::ProcessPlan;
pub use receipt::{Enforced, Extent, Receipt, receipt};
pub use render::text;
pub use requirements::{APPARMOR, KERNEL_FLOOR};
pub use resources::ResourcePlan;
pub use rules::{NO_FILTER, RulePlan};
pub use setting::Setting;
pub use summary::summary;
pub use union::{UnionPlan, UpperPlace};
pub use view::ViewPlan;
pub use wayland::WaylandPlan;

use crate::error::{Error, Result};
use crate::host::Facts;
use crate::spec::{Forwarded, Sandbox};
use serde::Serialize;

/// Everything that a start will do, grouped by the part of the launcher that carries it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Namespaces that are made or joined, and the ids in them.
    #[serde(flatten)]
    pub namespaces: NamespacePlan,
    /// What the program sees of the filesystem.
    #[serde(flatten)]
    pub view: ViewPlan,
    /// The program that is executed, and how it is started.
    #[serde(flatten)]
    pub process: ProcessPlan,
    /// What is reached from a network of the sandbox's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet_rules: Option<RulePlan>,
    /// The user is asked about names that no rule is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asks: Option<AskPlan>,
    /// Limits on what the program may use: its cgroup and setrlimit(2).
    #[serde(flatten)]
    pub resources: ResourcePlan,
    /// What is taken from the program: capabilities, system calls, rights on files.
    #[serde(flatten)]
    pub lockdown: LockdownPlan,
    /// The socket that the Wayland compositor restricts, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wayland: Option<WaylandPlan>,
    /// What tells portals which processes are the sandbox's, if it calls them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub portal_caller: Option<PortalCaller>,
    /// Ports of the host at which servers inside are reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortPlan>,
    /// Ports of the host's loopback that are reached inside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forwarded: Vec<Forwarded>,
    /// Helper programs outside of the sandbox, in the order in which they are started.
    pub helpers: Vec<HelperSpec>,
    /// The plans of those helpers that have sandboxes of their own, in the same order.
    #[serde(skip)]
    pub confined: Vec<Plan>,
    /// What is not enforced or not there although the profile names it, where the profile allows that.
    pub notes: Vec<Note>,
}

/// Plans a network that several sandboxes share alone, for a sandbox that is in it besides another one.
///
/// # Errors
///
/// There is no such network, or this host cannot make it.
pub fn shared_network(sandbox: &Sandbox, facts: &Facts) -> Result<Option<NamedNetworkPlan>> {
    let Some(named) = named::plan(sandbox, facts)? else { return Ok(None) };
    let network::Planned { helper, .. } = network::plan(sandbox, facts, &mut Vec::new())?;
    Ok(Some(NamedNetworkPlan { helper, ..named }))
}

/// Errors in what a sandbox asks for that [`plan`] finds on every host.
pub fn wrong_anywhere(sandbox: &Sandbox) -> Vec<Error> {
    let memory = sandbox.filesystem.memory.as_ref().map_or(Ok(()), |(size, origin)| memory::check(*size, origin));
    [seccomp::asked(sandbox).err(), memory.err()].into_iter().flatten().collect()
}

/// Decides everything that a start of this sandbox on this host will do.
///
/// # Errors
///
/// This host cannot do what the sandbox asks for, or the sandbox contradicts itself.
pub fn plan(sandbox: &Sandbox, facts: &Facts) -> Result<Plan> {
    requirements::check(facts)?;
    let mut notes: Vec<_> = sandbox.notes.iter().cloned().map(Note::Profile).collect();
    if !facts.kept_sockets.is_empty() {
        notes.push(Note::KeptSockets(facts.kept_sockets.clone()));
    }
    let mut namespaces = namespaces::plan(sandbox, facts, &mut notes)?;
    let mut process = process::plan(sandbox, facts, &namespaces)?;
    let network::Planned { helper: mut network, ports } = network::plan(sandbox, facts, &mut notes)?;
    let network_reached = network.is_some() || namespaces.named.is_some();
    if let Some(named) = &mut namespaces.named {
        named.helper = network.take();
    }
    if network_reached {
        // In a network that is shared, they are written in the user namespace that it belongs to.
        let gid = namespaces.named.as_ref().map_or(namespaces.ids.gid, |named| named.ids.1);
        namespaces.network_settings = network::settings(gid);
    }
    let relays = ports::relays(sandbox, &ports);
    let packet_rules = if network_reached { rules::plan(sandbox, facts)? } else { None };
    let asks = ask::plan(sandbox, facts)?.filter(|_| packet_rules.is_some());
    let named = packet_rules.as_ref().and_then(|rules| rules.names.as_ref());
    let forwarder = named.map(|plan| names::helper(sandbox, plan));
    let view::Planned { view, env, wayland, mut helpers } = view::plan(sandbox, facts, &namespaces.ids, &mut notes)?;
    process.env = env;
    helpers.splice(..0, network.into_iter().chain(relays).chain(forwarder));
    let resources = resources::plan(sandbox, facts, &mut notes)?;
    let lockdown = lockdown::plan(sandbox, facts, &view.parts, &mut notes)?;
    let confined = helpers.iter().filter_map(HelperSpec::sandbox).map(|sandbox| plan(sandbox, facts));
    let confined = confined.collect::<Result<_>>()?;
    namespaces.second_user_namespace =
        privileges::second_user_namespace(sandbox, lockdown.capabilities, &view.parts, &namespaces.ids)?;
    namespaces::nested(sandbox, &namespaces)?;
    if packet_rules.is_some() {
        let apart = namespaces.second_user_namespace || namespaces.named.is_some();
        rules::hold(sandbox, lockdown.capabilities, apart)?;
    }
    let portal_caller = portal_caller::plan(sandbox, facts);
    let beside = wayland.is_some() || portal_caller.is_some() || !helpers.is_empty();
    process::background(&process, beside || resources.cgroup.is_some() || resources.stats)?;
    Ok(Plan {
        namespaces,
        view,
        process,
        packet_rules,
        asks,
        resources,
        lockdown,
        wayland,
        portal_caller,
        ports,
        forwarded: sandbox.forwarded.clone(),
        helpers,
        confined,
        notes,
    })
}

impl Plan {
    /// Whether the view is a list of operations on an empty root ([`Root::Bare`](crate::spec::Root::Bare)), as
    /// bubblewrap's options are.
    pub fn is_bare(&self) -> bool {
        self.process.shell
    }

    /// The plan of a helper's own sandbox, if it has one.
    pub fn of_helper(&self, helper: &HelperSpec) -> Option<&Plan> {
        let confined = self.helpers.iter().filter(|helper| helper.sandbox().is_some());
        confined.zip(&self.confined).find(|(other, _)| *other == helper).map(|(_, plan)| plan)
    }

    /// The helper that carries packets of a network of the sandbox's own, or of one that it shares with others, if there is one.
    pub fn network_helper(&self) -> Option<&HelperSpec> {
        let own = self.helpers.iter().find(|helper| helper.provides == network::PROVIDES);
        own.or_else(|| self.namespaces.named.as_ref()?.helper.as_ref())
    }

    /// The helpers that are started in this phase.
    pub fn helpers_of(&self, phase: Phase) -> impl Iterator<Item = &HelperSpec> {
        self.helpers.iter().filter(move |helper| helper.phase == phase)
    }
}
