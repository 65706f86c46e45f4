//! Turns [`Options`] into a [`Sandbox`], which every other run is planned from, too.

use super::options::{CapabilityChange, Options, absolute, plain};
use super::values::refused;
use crate::error::Result;
use crate::spec::{
    Capabilities, Descriptors, Filesystem, Filter, Make, Mount, Namespace, Namespaces, Network, Origin, Process, Root,
    Sandbox, Security, Source, Tty, Upper, User, UserNamespace,
};
use crate::sys::{BpfProgram, Errno};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Facts about the calling process that a sandbox depends on.
pub struct Caller {
    /// Real user id.
    pub uid: u32,
    /// Real group id.
    pub gid: u32,
    /// Effective capabilities.
    pub capabilities: u64,
    /// The current directory by the caller's name for it; empty if it is not known.
    pub cwd: PathBuf,
    /// The path of the terminal on standard output, if it is one.
    pub terminal: Option<PathBuf>,
    /// The host allows new user namespaces.
    pub user_namespaces: bool,
    /// The kernel has cgroup namespaces.
    pub cgroup_namespaces: bool,
    /// SELinux is enabled on the host.
    pub selinux: bool,
    /// What COMMAND leaves in the background ends with it, always: the variable SBX_BWRAP_BACKGROUND says so.
    pub ends_background: bool,
    /// Whether a descriptor is open.
    pub is_open: fn(i32) -> bool,
}

/// The environment variable by which a caller asks for the end of what COMMAND leaves in the background.
pub const BACKGROUND: &str = "SBX_BWRAP_BACKGROUND";

/// Whether the caller asks for that, by the variable's value.
pub(super) fn ends_background(value: Option<&OsStr>) -> Result<bool> {
    match value.map(OsStr::as_bytes) {
        None | Some(b"" | b"keep") => Ok(false),
        Some(b"end") => Ok(true),
        Some(_) => Err(refused(
            format!("{BACKGROUND} is `{}`", value.unwrap_or_default().display()),
            "`end` ends what COMMAND leaves in the background with COMMAND; `keep`, or no such variable, lets it run on",
        )),
    }
}

/// The sandbox that the options ask for; `filter` is the program of `--seccomp`.
pub fn sandbox(options: Options, filter: Option<BpfProgram>, caller: &Caller) -> Result<Sandbox> {
    let user = user_namespace(&options, caller)?;
    agree(&options, user, caller)?;
    descriptors_are_open(&options, caller)?;
    let mounts = mounts(&options, caller);
    let single = User::Single { uid: options.uid.unwrap_or(caller.uid), gid: options.gid.unwrap_or(caller.gid) };
    let capabilities = capabilities(&options, user, caller);
    let label = |label: &Option<OsString>| match label {
        Some(_) if !caller.selinux => {
            let hint = "SELinux is off on this host: leave --exec-label and --file-label out";
            Err(refused("labeling not supported on this system".into(), hint))
        }
        Some(label) => Ok(Some(label.to_string_lossy().into_owned())),
        None => Ok(None),
    };
    let (exec_label, file_label) = (label(&options.exec_label)?, label(&options.file_label)?);
    let mut share = BTreeMap::new();
    let private = [
        (Namespace::Pid, options.unshare_pid),
        (Namespace::Net, options.unshare_net),
        (Namespace::Ipc, options.unshare_ipc),
        (Namespace::Uts, options.unshare_uts),
        (Namespace::Cgroup, options.unshare_cgroup || (options.unshare_cgroup_try && caller.cgroup_namespaces)),
        (Namespace::Time, false),
    ];
    for (namespace, private) in private {
        if !private {
            share.insert(namespace, Origin::default());
        }
    }
    let hostname = match options.hostname.as_ref().map(|name| name.to_str()) {
        Some(None) => {
            return Err(refused("Can't set hostname: it is not UTF-8".into(), "name it with --hostname NAME"));
        }
        Some(Some(name)) => Some(name.to_owned()),
        None => None,
    };
    let reported = options.info_fd.is_some() || options.json_status_fd.is_some();
    let consumed = consumed(&options);
    let is_open = |fd: &i32| (caller.is_open)(*fd);
    let mut args = options.command;
    let program = options.argv0.map(|name| match args.first_mut() {
        Some(first) => std::mem::replace(first, name),
        None => name,
    });
    Ok(Sandbox {
        process: Process {
            args,
            program,
            cwd: options.chdir,
            hostname,
            user: single,
            environment: Some(options.environment),
            // The caller's terminal is shared, as it is: job control goes on working, and nothing can be typed into it.
            tty: if options.new_session { Tty::None } else { Tty::Shared },
            as_pid_1: options.as_pid_1,
            descriptors: Descriptors::AllBut(consumed),
            sync_fds: options.sync_fds.into_iter().filter(is_open).collect(),
            lock_files: options.lock_files,
            block_fd: options.block_fd.filter(is_open),
            dies_with_caller: options.die_with_parent,
            keeps_background: options.unshare_pid
                && !options.as_pid_1
                && !options.die_with_parent
                && !caller.ends_background,
            // Callers that ask for the process id look into the process: `flatpak enter`, portals.
            visible: reported,
            ..Process::default()
        },
        network: if options.unshare_net { Network::None } else { Network::Host },
        namespaces: Namespaces {
            share,
            nested: !options.disable_userns,
            mounts: !options.disable_userns,
            nested_tried: options.disable_userns || options.assert_userns_disabled,
            user,
            user_last: options.userns2,
            pid: options.pidns,
            ..Namespaces::default()
        },
        filesystem: Filesystem { root: Root::Bare, mounts, ..Filesystem::default() },
        security: Security {
            capabilities,
            filter: Filter::Terminal,
            programs: filter.into_iter().chain(options.add_seccomp).collect(),
            own_keyring: false,
            exec_label,
            file_label,
            ..Security::default()
        },
        ..Sandbox::default()
    })
}

fn user_namespace(options: &Options, caller: &Caller) -> Result<UserNamespace> {
    let asked = options.unshare_user;
    let complain = |message: &str, hint: &str| Err(refused(message.into(), hint));
    if options.userns_block_fd.is_some() && !asked {
        return complain("--userns-block-fd requires --unshare-user", "add --unshare-user");
    }
    if options.userns_block_fd.is_some() && options.info_fd.is_none() {
        return complain("--userns-block-fd requires --info-fd", "add --info-fd: who writes the maps needs the pid");
    }
    if options.userns.is_some() && asked {
        return complain("--userns is not compatible with --unshare-user", "join one, or make one");
    }
    if options.userns.is_some() && options.unshare_user_try {
        return complain("--userns is not compatible with --unshare-user-try", "join one, or make one");
    }
    if options.disable_userns && !asked {
        return complain("--disable-userns requires --unshare-user", "add --unshare-user");
    }
    if options.disable_userns && options.userns_block_fd.is_some() {
        return complain("--disable-userns is not compatible with --userns-block-fd", "leave one of them out");
    }
    // An ordinary user has no rights without a user namespace.
    let made = asked || caller.uid != 0 || (options.unshare_user_try && caller.user_namespaces);
    Ok(match (options.userns, options.userns_block_fd) {
        (Some(fd), _) => UserNamespace::Join(fd),
        (None, Some(fd)) => UserNamespace::MappedByOthers(fd),
        (None, None) if made => UserNamespace::New,
        (None, None) => UserNamespace::Callers,
    })
}

/// The error of options that exclude each other, or lack another one.
fn agree(options: &Options, user: UserNamespace, caller: &Caller) -> Result<()> {
    let complain = |message: &str, hint: &str| Err(refused(message.into(), hint));
    if user == UserNamespace::Callers {
        for (name, wanted, own) in [("uid", options.uid, caller.uid), ("gid", options.gid, caller.gid)] {
            if wanted.is_some_and(|wanted| wanted != own) {
                let message = format!("Specifying --{name} requires --unshare-user or --userns");
                return complain(&message, "add --unshare-user");
            }
        }
    }
    if options.hostname.is_some() && !options.unshare_uts {
        return complain("Specifying --hostname requires --unshare-uts", "add --unshare-uts");
    }
    if options.as_pid_1 && !options.unshare_pid {
        return complain("Specifying --as-pid-1 requires --unshare-pid", "add --unshare-pid");
    }
    if options.as_pid_1 && !options.lock_files.is_empty() {
        let hint = "there is no PID 1 of ours then that could hold the lock";
        return complain("Specifying --as-pid-1 and --lock-file is not permitted", hint);
    }
    if options.userns_block_fd.is_some() && [options.info_fd, options.json_status_fd].contains(&options.userns_block_fd)
    {
        return complain("--userns-block-fd needs a descriptor of its own", "one to read from, the others to write to");
    }
    if options.unshare_cgroup && !caller.cgroup_namespaces {
        let message = "Cannot create new cgroup namespace because the kernel does not support it";
        return complain(message, "--unshare-cgroup-try goes on without");
    }
    Ok(())
}

/// The error of descriptors that are not open: such a number would mean the next file that sbx opens.
fn descriptors_are_open(options: &Options, caller: &Caller) -> Result<()> {
    let open = |fd: i32| (caller.is_open)(fd);
    let bad = plain(Errno(libc::EBADF));
    let complain = |message: String, fd: i32| {
        Err(refused(message, &format!("descriptor {fd} is not open: open it before, or hand over another")))
    };
    for mount in &options.mounts {
        let dest = mount.dest.display();
        match mount.what {
            Make::File { fd, .. } | Make::BindData { fd, .. } if !open(fd) => {
                return complain(format!("Can't write data to file {dest}: {bad}"), fd);
            }
            Make::Bind { source: Source::Descriptor(fd), .. } if !open(fd) => {
                return complain(format!("Can't find source path /proc/self/fd/{fd}: No such file or directory"), fd);
            }
            _ => {}
        }
    }
    for (fd, message) in [
        (options.userns, "Joining specified user namespace failed"),
        (options.userns2, "Setting userns2 failed"),
        (options.pidns, "Setting pidns failed"),
        (options.info_fd, "Write to info_fd"),
        (options.json_status_fd, "Write to info_fd"),
        (options.userns_block_fd, "Read from --userns-block-fd"),
    ] {
        if let Some(fd) = fd.filter(|fd| !open(*fd)) {
            return complain(format!("{message}: {bad}"), fd);
        }
    }
    let mut data: Vec<i32> = options.mounts.iter().filter_map(data_fd).collect();
    data.sort_unstable();
    match data.windows(2).find(|pair| pair.first() == pair.last()).and_then(<[i32]>::first) {
        Some(fd) => Err(refused(
            format!("Can't write data to file: {bad}"),
            &format!("descriptor {fd} is named twice, and is closed when it has been used"),
        )),
        None => Ok(()),
    }
}

fn data_fd(mount: &Mount) -> Option<i32> {
    match mount.what {
        Make::File { fd, .. } | Make::BindData { fd, .. } => Some(fd),
        Make::Bind { source: Source::Descriptor(fd), .. } => Some(fd),
        _ => None,
    }
}

/// Descriptors for the launcher alone, which the program does not get.
fn consumed(options: &Options) -> Vec<i32> {
    let namespaces = [options.userns, options.userns2, options.pidns, options.userns_block_fd];
    let own = [options.block_fd, options.info_fd, options.json_status_fd];
    let mut fds: Vec<i32> = namespaces.into_iter().chain(own).flatten().collect();
    fds.extend(options.mounts.iter().filter_map(data_fd));
    // The descriptors of `--sync-fd` are PID 1's; the program has them only where it is PID 1 itself.
    fds.retain(|fd| !(options.as_pid_1 && options.sync_fds.contains(fd)));
    fds
}

fn mounts(options: &Options, caller: &Caller) -> Vec<Mount> {
    let here = |path: &Path| absolute(&caller.cwd, path);
    let tolerate = options.not_a_security_boundary;
    let mut mounts = options.mounts.clone();
    for mount in &mut mounts {
        match &mut mount.what {
            Make::Bind { source, tolerant, .. } => {
                *tolerant = tolerate;
                if let Source::Path(path) = source {
                    *path = here(path);
                }
            }
            Make::Overlay { lower, upper } => {
                lower.iter_mut().for_each(|dir| *dir = here(dir));
                if let Upper::Host { upper, work } = upper {
                    (*upper, *work) = (here(upper), here(work));
                }
            }
            Make::Dev { console } => console.clone_from(&caller.terminal),
            _ => {}
        }
    }
    mounts
}

/// The program's capabilities: root starts with the caller's, others with none, and options change that in their order.
fn capabilities(options: &Options, user: UserNamespace, caller: &Caller) -> Capabilities {
    let root = caller.uid == 0;
    if options.capabilities.is_empty() {
        return if root { Capabilities::Callers } else { Capabilities::None };
    }
    let start = if root { caller.capabilities } else { 0 };
    // Root without a user namespace of its own cannot add what it does not have: there, ALL is what it has.
    let there = if user == UserNamespace::Callers { caller.capabilities } else { u64::MAX };
    let held = options.capabilities.iter().fold(start, |held, change| match change {
        CapabilityChange::Add(u64::MAX) => held | there,
        CapabilityChange::Add(set) => held | set,
        CapabilityChange::Drop(set) => held & !set,
    });
    if held == 0 { Capabilities::None } else { Capabilities::Held(held) }
}

/// The current directory by the name in $PWD, if that is right, as get_current_dir_name(3) has it.
pub fn current_directory(environment: &[(OsString, OsString)]) -> PathBuf {
    use std::os::unix::fs::MetadataExt;
    let same = |path: &Path| {
        let facts = |path: &Path| path.metadata().ok().map(|facts| (facts.dev(), facts.ino()));
        facts(path).is_some_and(|found| facts(Path::new(".")) == Some(found))
    };
    let named = environment.iter().find(|(name, _)| name == "PWD").map(|(_, value)| PathBuf::from(value));
    match named {
        Some(named) if named.as_os_str().as_bytes().starts_with(b"/") && same(&named) => named,
        _ => std::env::current_dir().unwrap_or_default(),
    }
}
