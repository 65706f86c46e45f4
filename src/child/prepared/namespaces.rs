//! Data for the set-up of the namespaces.

use std::cell::Cell;
use std::ffi::CString;
use std::os::fd::OwnedFd;

/// How the namespaces are set up that the first process was created in, and which it enters later.
pub struct Namespaces {
    /// User and group id to change to, in a user namespace that was joined.
    pub switch_ids: Option<(Option<u32>, Option<u32>)>,
    /// Tell the launcher that the namespaces exist, and wait while it writes the id maps, starts helpers, or creates
    /// directories on the host.
    pub wait_for_launcher: bool,
    /// Contents of uid_map and gid_map, if the child writes them.
    pub maps: Option<(Vec<u8>, Vec<u8>)>,
    /// Drop all supplementary groups: setgroups(2) with an empty list.
    pub drop_groups: bool,
    /// Host name to set: sethostname(2).
    pub hostname: Option<CString>,
    /// NIS domain name to set: setdomainname(2).
    pub domainname: Option<CString>,
    /// The network namespace is made by a helper process in parallel, rather than by clone3(2), which would have to
    /// wait for it.
    pub network_beside: bool,
    /// Bring the loopback interface up.
    pub loopback: bool,
    /// Files of /proc/sys/net to write, with their contents: before the launcher starts helpers, and once ids are mapped. One that
    /// is not there is left out.
    pub network_settings: [Vec<(CString, Vec<u8>)>; 2],
    /// Open a socket to the packet filter of the network namespace, for the launcher to make rules with.
    pub filters_packets: bool,
    /// Content for /proc/sys/user/max_user_namespaces: how many user namespaces may exist inside. 0 forbids them; 1
    /// allows only the second one, which sbx makes.
    pub limit_nested: Option<&'static [u8]>,
    /// Descriptor of a user namespace to join once the view is built.
    pub join_last: Option<i32>,
    /// Contents of uid_map and gid_map for a second user namespace, which does not own the sandbox's other namespaces.
    pub second_user_namespace: Option<(Vec<u8>, Vec<u8>)>,
    /// Before exec, verify that creating a user namespace fails.
    pub try_nested: bool,
    /// Make a cgroup namespace by unshare(2): with clone3(2), its root would be the launcher's cgroup.
    pub new_cgroup: bool,
    /// cgroup.procs of a child of the cgroup namespace's root, for this process to move to: controllers can be enabled
    /// for children of the root only if there is no process in it.
    pub cgroup_leaf: Cell<Option<OwnedFd>>,
    /// The sandbox has a pid namespace of its own.
    pub own_pids: bool,
    /// The sandbox has made its user namespace: no process in it has more rights than this one, but its owner outside
    /// does.
    pub owns_user_namespace: bool,
}
