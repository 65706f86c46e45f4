//! Plans the namespaces, and what is set up in them: ids, the host name, the loopback interface.

use super::ids::{self, IdMapping, IdPlan, Writer};
use super::lines::Lines;
use super::named::{self, NamedNetworkPlan};
use super::note::{MissingNamespace, Note};
use super::requirements;
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::spec::{Namespace, Network, Sandbox, UserNamespace};
use serde::Serialize;
use std::collections::BTreeSet;

/// The namespaces that are made or joined, and how they are set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamespacePlan {
    /// The sandbox's own namespaces, besides user and mount.
    #[serde(rename = "namespaces")]
    pub private: BTreeSet<Namespace>,
    /// Maps of user and group ids.
    pub ids: IdPlan,
    /// The user namespace that owns the others.
    #[serde(skip_serializing_if = "is_default")]
    pub user: UserNamespace,
    /// Descriptor of a user namespace that is joined once the view stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_last: Option<i32>,
    /// Descriptor of a pid namespace that is joined before the sandbox is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid_join: Option<i32>,
    /// Whether the program enters a second user namespace last, in which its capabilities have no power over the view.
    #[serde(rename = "inner", skip_serializing_if = "std::ops::Not::not")]
    pub second_user_namespace: bool,
    /// Whether the program can make user namespaces.
    pub nested: bool,
    /// Whether programs in nested user namespaces may mount filesystems.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mounts: bool,
    /// Before exec, verify that creating a user namespace fails.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nested_tried: bool,
    /// Host name inside.
    pub hostname: Option<String>,
    /// NIS domain name inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domainname: Option<String>,
    /// Whether the loopback interface of the new network namespace is set up.
    pub loopback: bool,
    /// The network of another sandbox, which is joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined: Option<JoinedNetwork>,
    /// Other namespaces of the same sandbox, or of one without its network, which are joined.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub joined_too: Vec<JoinedNamespace>,
    /// The network of several sandboxes, which is joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub named: Option<NamedNetworkPlan>,
    /// Settings of the network namespace.
    #[serde(skip_serializing_if = "is_default")]
    pub network_settings: NetworkSettings,
}

/// The network of another sandbox, which is joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JoinedNetwork {
    /// The process that names it.
    pub pid: i32,
    /// The number of the namespace.
    pub number: u64,
    /// The caller's user and group id in the user namespace that it belongs to, below which that of the sandbox is made.
    pub ids: (u32, u32),
    /// Whether user namespaces may be made below that one.
    pub nests: bool,
}

/// A namespace of another sandbox that is not its network, and is joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JoinedNamespace {
    /// The kind of namespace: `Ipc` or `Uts`.
    pub namespace: Namespace,
    /// The process that names it.
    pub pid: i32,
    /// The number of the namespace.
    pub number: u64,
    /// The caller's user and group id in the user namespace below which that of the sandbox is made.
    pub ids: (u32, u32),
    /// Whether user namespaces may be made below that one.
    pub nests: bool,
}

/// Settings of a network namespace, by their names in sysctl(8), with their values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct NetworkSettings {
    /// Those for interfaces that are made later.
    pub interfaces: Vec<(&'static str, String)>,
    /// Others, which need the ids to be mapped.
    pub mapped: Vec<(&'static str, String)>,
}

/// Whether a field has its default, and is left out of the plan's JSON.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Decides which namespaces there are. Whether there is a second user namespace is decided when the view is known.
///
/// # Errors
///
/// This host lacks a namespace, ids cannot be mapped, or a host name is set without a uts namespace.
pub(super) fn plan(sandbox: &Sandbox, facts: &Facts, notes: &mut Vec<Note>) -> Result<NamespacePlan> {
    let wanted = &sandbox.namespaces;
    let mut ids = ids::plan(sandbox, facts, notes)?;
    let mut private = private(sandbox, facts, notes)?;
    let joined = joined(sandbox, facts)?;
    let named = named::plan(sandbox, facts)?;
    let joined_too = joined_too(sandbox, facts)?;
    if joined.is_some() || named.is_some() {
        private.remove(&Namespace::Net);
    }
    if joined.is_some() || named.is_some() || !joined_too.is_empty() {
        let (whose, line) = match (&named, joined_too.first()) {
            (Some(_), _) => ("the network", "network.mode = \"net:NAME\"".to_owned()),
            (None, Some(first)) if joined.is_none() => {
                ("the other sandbox", format!("namespaces.{} = \"join:PID\"", first.namespace.word()))
            }
            (None, _) => ("the other sandbox", "network.mode = \"join:PID\"".to_owned()),
        };
        if !ids.is_single() || sandbox.process.user.takes_subordinate_ids() {
            return Err(Error::new(format!(
                "user `{}` maps ids that {whose}, below whose user namespace this one's is made, may not have",
                sandbox.process.user.word()
            ))
            .origin(&sandbox.process.user_origin)
            .hint(format!("process.user = \"self\" or \"root\" with {line}")));
        }
        // Others may not write maps of a namespace that is not directly below their own.
        ids.writer = Writer::Child;
        ids.drop_groups = false;
    }
    if !private.contains(&Namespace::Pid) {
        notes.push(Note::SharedProcesses);
    }
    if wanted.nested && ids.uid == 0 {
        notes.push(Note::NoNestedRoot);
    }
    let hostname = sandbox.process.hostname.clone();
    if hostname.is_some() && !private.contains(&Namespace::Uts) {
        let error = Error::new("a host name of its own needs a uts namespace of its own");
        return Err(error.hint(own_uts(sandbox, "process.hostname")));
    }
    let domainname = sandbox.process.domainname.clone();
    if domainname.is_some() && !private.contains(&Namespace::Uts) {
        let error = Error::new("a NIS domain name of its own needs a uts namespace of its own");
        return Err(error.hint(own_uts(sandbox, "process.domainname")));
    }
    Ok(NamespacePlan {
        loopback: sandbox.network != Network::Host && private.contains(&Namespace::Net),
        private,
        ids,
        user: wanted.user,
        user_last: wanted.user_last,
        pid_join: wanted.pid,
        second_user_namespace: false,
        nested: wanted.nested,
        mounts: wanted.mounts,
        nested_tried: wanted.nested_tried,
        hostname,
        domainname,
        network_settings: NetworkSettings::default(),
        joined,
        joined_too,
        named,
    })
}

/// How a sandbox has a uts namespace of its own.
fn own_uts(sandbox: &Sandbox, key: &str) -> String {
    match sandbox.namespaces.joined.contains_key(&Namespace::Uts) {
        true => format!("leave namespaces.uts out, or {key}: the name is that of the other sandbox"),
        false => format!("take `uts` out of namespaces.share, or {key} out of the profile"),
    }
}

/// The host name inside: the sandbox's own, or that of the sandbox whose uts namespace it joins, if it is a name of a machine.
pub(super) fn hostname<'a>(sandbox: &'a Sandbox, facts: &'a Facts) -> Option<&'a str> {
    let joined = || Some(facts.joined.get(&Namespace::Uts)?.as_ref().ok()?.hostname.as_str());
    sandbox.process.hostname.as_deref().or_else(joined).filter(|name| is_name(name))
}

/// Whether a machine can be called that: a program with rights over its uts namespace chooses any bytes, which prompts then show.
fn is_name(name: &str) -> bool {
    const LONGEST: usize = 64;
    (1..=LONGEST).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// The namespaces of another sandbox that this one joins besides its network.
///
/// # Errors
///
/// One cannot be joined, or not together with the others.
fn joined_too(sandbox: &Sandbox, facts: &Facts) -> Result<Vec<JoinedNamespace>> {
    let network = facts.network.as_ref().and_then(|network| network.joined.as_ref()?.as_ref().ok());
    let mut user = network.map(|network| network.user);
    let mut all = Vec::new();
    for (namespace, (pid, origin)) in &sandbox.namespaces.joined {
        let failed =
            |why: &str| Error::new(format!("namespaces.{} = \"join:{pid}\": {why}", namespace.word())).origin(origin);
        if let Network::Named(_) = sandbox.network {
            return Err(failed("this sandbox's namespaces are made below those of the network that it shares, and not below the other sandbox's")
                .hint("network.mode = \"none\", \"private\", or that of the other sandbox: \"join:PID\""));
        }
        let found = match facts.joined.get(namespace) {
            Some(Ok(found)) => found,
            found => {
                let why = found.and_then(|found| found.as_ref().err());
                return Err(failed(why.map_or("nobody looked for it", String::as_str))
                    .hint("name a process of a sandbox of yours that runs, or the sbx that started it: `echo $!`, or `pid` on --status-fd"));
            }
        };
        if user.is_some_and(|user| user != found.user) {
            return Err(failed("it is in another sandbox than what else is joined, and only those of one can be")
                .hint("join the namespaces of one sandbox, or of those that have joined its network"));
        }
        if *namespace == Namespace::Uts && !found.hostname.is_empty() && !is_name(&found.hostname) {
            return Err(failed("the host name there is none that a machine can have")
                .hint("its program has chosen it: start that sandbox with namespaces.nested = \"deny\", or have uts namespaces of their own"));
        }
        user = Some(found.user);
        all.push(JoinedNamespace {
            namespace: *namespace,
            pid: *pid,
            number: found.number,
            ids: found.ids,
            nests: found.nests,
        });
    }
    Ok(all)
}

/// The network of another sandbox, if this one joins it.
///
/// # Errors
///
/// It cannot be joined.
fn joined(sandbox: &Sandbox, facts: &Facts) -> Result<Option<JoinedNetwork>> {
    let Network::Joined(pid) = sandbox.network else { return Ok(None) };
    let found = facts.network.as_ref().and_then(|network| network.joined.clone());
    match found.unwrap_or_else(|| Err("nobody looked for it".into())) {
        Ok(found) => Ok(Some(JoinedNetwork { pid, number: found.number, ids: found.ids, nests: found.nests })),
        Err(why) => Err(Error::new(format!("network.mode = \"join:{pid}\": {why}"))
            .origin(&sandbox.origins.of("network.mode", ""))
            .hint("name a process of a sandbox of yours that runs, or the sbx that started it: `echo $!`, or `pid` on --status-fd")),
    }
}

/// Makes sure that the user namespaces that there are to be inside can be made: what is made below the user namespace of a sandbox whose
/// network is joined counts against the limit of that one, too.
///
/// # Errors
///
/// They cannot.
pub(super) fn nested(sandbox: &Sandbox, plan: &NamespacePlan) -> Result<()> {
    let network = plan.joined.iter().map(|joined| (joined.pid, joined.nests, Namespace::Net));
    let others = plan.joined_too.iter().map(|joined| (joined.pid, joined.nests, joined.namespace));
    let Some((pid, _, what)) = network.chain(others).find(|(_, nests, _)| !nests) else { return Ok(()) };
    let below = format!(
        "no user namespace can be made below that of the sandbox of process {pid}, whose {} is joined, and this one's is below it",
        what.noun()
    );
    if plan.nested {
        let word = if plan.mounts { "allow" } else { "no-mount" };
        return Err(Error::new(format!("namespaces.nested = \"{word}\" cannot be carried out: {below}"))
            .origin(&sandbox.origins.of("namespaces.nested", ""))
            .hint("run the other sandbox with namespaces.nested = \"allow\", too; or this one with \"deny\""));
    }
    if plan.second_user_namespace {
        return Err(Error::new(format!(
            "CAP_SYS_ADMIN and CAP_SYS_RESOURCE cannot be held: the program would have them in a second user namespace, and {below}"
        ))
        .origin(&sandbox.origins.of("security.capabilities", ""))
        .hint("run the other sandbox with namespaces.nested = \"allow\", or leave them out of security.capabilities"));
    }
    Ok(())
}

/// The sandbox's own namespaces. A time namespace that this host lacks becomes a note.
///
/// # Errors
///
/// This host lacks another one.
fn private(sandbox: &Sandbox, facts: &Facts, notes: &mut Vec<Note>) -> Result<BTreeSet<Namespace>> {
    let mut namespaces = sandbox.namespaces.private();
    for namespace in requirements::missing(facts, &namespaces) {
        let settings = facts.settings.as_ref();
        let exhausted = settings.is_some_and(|settings| settings.exhausted.iter().any(|name| name == namespace.word()));
        let missing = MissingNamespace { namespace, exhausted };
        if namespace != Namespace::Time {
            let flag = if namespace == Namespace::Net { "--net host" } else { "--share" };
            let word = if namespace == Namespace::Net { "" } else { namespace.word() };
            let hint = format!("share the host's: {}; or run a kernel that has them", format!("{flag} {word}").trim());
            return Err(Error::new(missing.to_string()).hint(hint));
        }
        // A time namespace isolates nothing but the clocks that count from boot, and kernels of 5.12 are often built
        // without.
        namespaces.remove(&namespace);
        notes.push(Note::NoNamespace(missing));
    }
    Ok(namespaces)
}

impl NamespacePlan {
    /// Whether the network is another one than the caller's.
    pub fn has_own_network(&self) -> bool {
        self.private.contains(&Namespace::Net) || self.joined.is_some() || self.named.is_some()
    }

    /// The caller's user and group id in the user namespace that this sandbox's is made below, if that is not the caller's.
    pub fn above(&self) -> Option<(u32, u32)> {
        let others = || self.joined_too.first().map(|joined| joined.ids);
        let named = || self.named.as_ref().map(|named| named.ids);
        self.joined.as_ref().map(|joined| joined.ids).or_else(others).or_else(named)
    }

    /// Whether this namespace, which is not the network, is that of another sandbox.
    pub fn joins(&self, namespace: Namespace) -> bool {
        self.joined_too.iter().any(|joined| joined.namespace == namespace)
    }

    pub(super) fn render(&self, lines: &mut Lines) {
        let namespaces: Vec<_> = self.private.iter().map(|ns| ns.word()).collect();
        lines.add("namespaces", format!("user mount {}", namespaces.join(" ")));
        let nested = match (self.nested, self.mounts) {
            (true, true) => "user namespaces can be made inside, and mounts in them",
            (true, false) => "user namespaces can be made inside, without mounts",
            (false, _) => "no user namespaces inside",
        };
        lines.add("nested", nested);
        let map = |map: &[IdMapping]| {
            map.iter().map(|e| format!("{} {} {}", e.inside, e.outside, e.count)).collect::<Vec<_>>().join(", ")
        };
        lines.add("ids", format!("user {} group {}", self.ids.uid, self.ids.gid));
        lines.add("uid_map", map(&self.ids.uid_map));
        lines.add("gid_map", map(&self.ids.gid_map));
        let writer = match &self.ids.writer {
            Writer::Child => "written by the process itself".to_owned(),
            Writer::Launcher => "written by the launcher, which may map any id".to_owned(),
            Writer::Helpers { newuidmap, newgidmap } => {
                format!("written by {} and {}", newuidmap.display(), newgidmap.display())
            }
            Writer::Nobody => "not written: there is no new user namespace, or others do it".to_owned(),
        };
        lines.add("", writer);
        if let Some(hostname) = &self.hostname {
            lines.add("hostname", hostname);
        }
        if let Some(domainname) = &self.domainname {
            lines.add("domainname", domainname);
        }
        for joined in &self.joined_too {
            lines.add(joined.namespace.word(), format!("that of process {}", joined.pid));
        }
        match (&self.joined, &self.named) {
            (Some(joined), _) => lines.add("network", format!("that of process {}", joined.pid)),
            (None, Some(named)) => named.render(lines),
            (None, None) => {
                lines.add("network", if self.loopback { "a loopback interface of its own" } else { "the host's" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn machines_are_called_by_letters_digits_and_little_else() {
        assert!(["web", "web.example", "a-b_c", "1"].into_iter().all(is_name));
        assert!(!["", "a b", "x\u{1b}[2J", "ü", &"x".repeat(65)].into_iter().any(is_name));
    }
}
