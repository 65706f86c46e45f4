//! Namespaces, and what is set up in them.

use std::cell::Cell;
use std::ffi::CString;
use std::os::fd::OwnedFd;

/// What is done in and to the namespaces that the first process was made in.
pub struct Namespaces {
    /// Ids to change to in a namespace that was joined: uid and gid.
    pub switch_ids: Option<(Option<u32>, Option<u32>)>,
    /// Tell the launcher when the namespaces are there, and wait for what it has to do: the maps, helpers, or directories on the host.
    pub wait_for_launcher: bool,
    /// The maps, if the child writes them: user, group.
    pub maps: Option<(Vec<u8>, Vec<u8>)>,
    /// setgroups(2) with nothing.
    pub drop_groups: bool,
    /// sethostname(2)
    pub hostname: Option<CString>,
    /// A network namespace is made by a process beside this one, rather than by clone3(2), which would wait for it.
    pub network_beside: bool,
    /// Set `lo` up.
    pub loopback: bool,
    /// How many user namespaces can be made inside, by all: 0 forbids them, 1 leaves room for the second one.
    pub limit_nested: Option<&'static [u8]>,
    /// A user namespace to join once the view stands.
    pub join_last: Option<i32>,
    /// A second user namespace, which owns none of the others, with these maps.
    pub second_user_namespace: Option<(Vec<u8>, Vec<u8>)>,
    /// Before exec, verify that creating a user namespace fails.
    pub try_nested: bool,
    /// A cgroup namespace is made by this process: clone3(2) would take the launcher's cgroup for its root.
    pub new_cgroup: bool,
    /// Where this process goes then: below the root of that namespace, in which controllers can be handed on only if nobody is in it.
    pub cgroup_leaf: Cell<Option<OwnedFd>>,
    /// There is a pid namespace.
    pub own_pids: bool,
    /// The user namespace is new: nobody in it is more than this process, and its owner outside is.
    pub owns_user_namespace: bool,
}
