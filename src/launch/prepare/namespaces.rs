//! The namespaces of the child, its ids, host name and cgroup.

use super::CallerState;
use super::strings::cstring;
use crate::child::Namespaces;
use crate::error::Result;
use crate::plan::{IdMapping, Phase, Plan, Writer};
use crate::spec::{Namespace, UserNamespace};
use crate::sys;
use std::cell::Cell;
use std::ffi::{CString, OsStr};

pub(super) fn prepare(plan: &Plan, state: &CallerState) -> Result<Namespaces> {
    let wanted = &plan.namespaces;
    let ids = &wanted.ids;
    let maps =
        |uid: &[IdMapping], gid: &[IdMapping]| (IdMapping::text(uid).into_bytes(), IdMapping::text(gid).into_bytes());
    let same = |id: u32| [IdMapping { inside: id, outside: id, count: 1 }];
    let wait_for_launcher = matches!(ids.writer, Writer::Launcher | Writer::Helpers { .. })
        || state.wants_child
        || !plan.view.create.is_empty()
        || plan.helpers_of(Phase::Namespaces).next().is_some()
        || wanted.named.is_some();
    Ok(Namespaces {
        switch_ids: switch_ids(plan),
        wait_for_launcher,
        // Others that learn of the first process before it has assembled the view may look at its network at once, so
        // it must exist by then.
        network_beside: wanted.private.contains(&Namespace::Net)
            && wanted.user.is_private()
            && wanted.pid_join.is_none()
            && plan.process.block_fd.is_none()
            && !wait_for_launcher,
        maps: (ids.writer == Writer::Child).then(|| match wanted.above() {
            None => maps(&ids.uid_map, &ids.gid_map),
            // The ids of the namespace above are those of the other sandbox.
            Some(above) => {
                let below = |map: &[IdMapping], id| {
                    map.iter().map(|entry| IdMapping { outside: id, ..*entry }).collect::<Vec<_>>()
                };
                maps(&below(&ids.uid_map, above.0), &below(&ids.gid_map, above.1))
            }
        }),
        drop_groups: ids.drop_groups,
        hostname: wanted.hostname.as_deref().map(|name| cstring(OsStr::new(name))).transpose()?,
        domainname: wanted.domainname.as_deref().map(|name| cstring(OsStr::new(name))).transpose()?,
        loopback: wanted.loopback,
        // Nor over those settings: they are written when the network is made.
        network_settings: match wanted.named {
            None => [settings(&wanted.network_settings.interfaces)?, settings(&wanted.network_settings.mapped)?],
            Some(_) => [Vec::new(), Vec::new()],
        },
        // In a network of several sandboxes, it has no right over the packet filter.
        filters_packets: plan.packet_rules.is_some() && wanted.named.is_none(),
        limit_nested: match (wanted.nested, wanted.second_user_namespace) {
            (true, _) => None,
            (false, false) => Some(b"0"),
            (false, true) => Some(b"1"),
        },
        join_last: wanted.user_last,
        second_user_namespace: wanted.second_user_namespace.then(|| maps(&same(ids.uid), &same(ids.gid))),
        try_nested: wanted.nested_tried,
        new_cgroup: plan.resources.cgroup.is_some() && wanted.private.contains(&Namespace::Cgroup),
        cgroup_leaf: Cell::new(None),
        own_pids: wanted.private.contains(&Namespace::Pid),
        owns_user_namespace: wanted.user.is_private(),
    })
}

/// Settings of the network namespace as files of /proc/sys with their contents.
fn settings(settings: &[(&str, String)]) -> Result<Vec<(CString, Vec<u8>)>> {
    let file = |(name, value): &(&str, String)| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        Ok((cstring(OsStr::new(&path))?, value.clone().into_bytes()))
    };
    settings.iter().map(file).collect()
}

/// The user and group id that the child changes to in a user namespace that was joined. There the caller's ids are
/// already what its maps make of them; only different ones need a call.
fn switch_ids(plan: &Plan) -> Option<(Option<u32>, Option<u32>)> {
    let UserNamespace::Join(_) = plan.namespaces.user else { return None };
    let (uid, gid) = sys::ids();
    let other = |id: u32, own: u32| (id != own).then_some(id);
    Some((other(plan.namespaces.ids.uid, uid), other(plan.namespaces.ids.gid, gid))).filter(|ids| *ids != (None, None))
}
