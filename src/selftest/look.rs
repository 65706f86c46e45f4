//! Facts about the host that are found by looking at it.

use super::facts::{FileId, Granted, Outside};
use super::fixture::Host;
use super::probes::{CALLS, Call, GIT, KERNEL_FILES, SOCKETS, STARTED, id, secret_lines, status};
use crate::host::{Facts, Keeps};
use crate::plan::Plan;
use crate::spec::{Mode, Sandbox, is_needed, lies_in_system};
use crate::sys::{self, Errno, Waited, attempts};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::net::ToSocketAddrs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

impl Host {
    /// Fills in the facts for which nothing has to be made.
    pub(super) fn look(&mut self, host: &Facts, sandbox: &Sandbox, plan: &Plan, granted: &Granted) {
        let facts = &mut self.facts;
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        facts.arguments = text("/proc/self/cmdline");
        facts.variables = host.env.keys().filter(|name| plan.process.variable(name).is_none()).cloned().collect();
        facts.filters = status("Seccomp_filters").and_then(|count| count.parse().ok()).unwrap_or(0);
        facts.namespaces = entries(Path::new("/proc/self/ns"), 100)
            .filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), std::fs::metadata(&path).ok()?.ino())))
            .collect();
        facts.root = id(Path::new("/")).unwrap_or_default();
        facts.beside = beside_the_system();
        facts.handle = attempts::handle(c"/").ok();
        facts.program = std::fs::read_link("/proc/self/exe").unwrap_or_default();
        facts.machine_id = text("/etc/machine-id").trim().to_owned();
        facts.terminals = std::fs::metadata("/dev/pts").map_or(0, |found| found.dev());
        facts.set_id = set_id(host);
        let known = KERNEL_FILES.iter().copied().flatten().filter(|path| Path::new(path).symlink_metadata().is_ok());
        facts.files = known.map(|path| (*path).to_owned()).collect();
        nodes(Path::new("/dev"), &mut facts.nodes);
        homes(host, facts);
        let lines = || plan.view.parts.iter().filter(|placed| !placed.origin.0.is_empty());
        let named = |path: &Path| lines().any(|placed| path.starts_with(placed.op.path()));
        let private = host.paths.private().iter().filter(|path| !named(path));
        facts.private = private.cloned().filter_map(identified).collect();
        // A line that names such a directory, or what is in it, shows it.
        let shown = |store: &PathBuf| lines().any(|placed| placed.op.path().starts_with(store));
        let own = |keeps| {
            let dirs = host.own_dirs.iter().filter(move |own| own.keeps == keeps);
            dirs.map(|own| own.path.clone()).filter(|path| !shown(path)).filter_map(identified)
        };
        facts.stores = own(Keeps::Stores).chain(own(Keeps::Records)).collect();
        facts.profiles = own(Keeps::Profiles).collect();
        let worktree = crate::profile::worktree().map(|name| host.cwd.join(name));
        facts.worktree = worktree.chain(repositories(&host.cwd)).filter_map(identified).collect();
        let filesystem = &sandbox.filesystem;
        let opened = |file: &Path| filesystem.paths.iter().any(|rule| rule.path == file && rule.mode == Mode::Rw);
        let files = filesystem.project_files.iter().filter(|file| !opened(file));
        facts.project_files = files.cloned().filter_map(identified).collect();
        facts.ssh_agent = host.env.get("SSH_AUTH_SOCK").map(PathBuf::from).filter(|path| is_socket(path));
        let git = GIT.iter().filter_map(|name| sys::read_start(&host.home.join(name), 1 << 16).ok());
        facts.git_secrets = git.flat_map(|text| secret_lines(&String::from_utf8_lossy(&text))).take(100).collect();
        facts.writable = writable(host, facts, granted);
        sockets(host, facts);
        facts.missing = missing();
        for (kind, value) in &granted.asserts {
            let path = Path::new(value);
            facts.asserted.push(id(path));
            if kind == "cannot_reach" {
                let found = value.to_socket_addrs().map(Iterator::collect).unwrap_or_default();
                facts.addresses.insert(value.clone(), found);
            }
        }
    }
}

/// What git runs something by of the repositories that lie directly in a directory: of one without a working copy, all.
fn repositories(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let dirs = entries(dir, 1000).filter(|path| path.symlink_metadata().is_ok_and(|found| found.is_dir()));
    let is_bare = |dir: &Path| ["HEAD", "objects", "refs"].iter().all(|name| dir.join(name).symlink_metadata().is_ok());
    dirs.flat_map(move |dir| [dir.join(".git"), if is_bare(&dir) { dir.join("hooks") } else { dir.join(".git/hooks") }])
}

/// A path with the file at it; links are not followed.
fn identified(path: PathBuf) -> Option<(PathBuf, FileId)> {
    let found = path.symlink_metadata().ok()?;
    Some((path, (found.dev(), found.ino())))
}

fn entries(dir: &Path, most: usize) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).take(most)
}

/// What lies in the host's root directory and is neither a part of the system nor a directory for which a sandbox has one
/// of its own.
fn beside_the_system() -> Vec<(PathBuf, FileId)> {
    const OWN: [&str; 5] = ["/dev", "/proc", "/run", "/sys", "/tmp"];
    let known = |path: &Path| lies_in_system(path) || OWN.iter().any(|own| path == Path::new(own));
    let link = |path: &Path| path.is_symlink() && real(path).parent().is_some_and(lies_in_system);
    let found = entries(Path::new("/"), 1_000).filter(|path| !known(path) && !link(path));
    found.filter_map(identified).collect()
}

fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn may_write(path: &Path) -> bool {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
    sys::may_write(sys::cwd(), &path).is_ok()
}

/// A set-user-ID or set-group-ID program of another user or group, of those that do nothing when they are asked for
/// their version.
fn set_id(host: &Facts) -> Option<PathBuf> {
    const NAMES: [&str; 9] = ["su", "mount", "passwd", "chage", "newgrp", "gpasswd", "chsh", "expiry", "crontab"];
    let paths = ["/usr/bin", "/bin"].iter().flat_map(|dir| NAMES.iter().map(move |name| Path::new(dir).join(name)));
    paths.into_iter().find(|path| {
        std::fs::metadata(path).is_ok_and(|found| {
            let mode = found.permissions().mode();
            let user = mode & 0o4000 != 0 && found.uid() != host.uid;
            let group = mode & 0o2000 != 0 && found.gid() != host.gid;
            (user || group) && mode & 0o001 != 0
        })
    })
}

/// Adds the device files below a directory, but for pseudo-terminals.
fn nodes(dir: &Path, found: &mut Vec<(PathBuf, u64, bool)>) {
    for path in entries(dir, 2_000) {
        let Ok(there) = path.symlink_metadata() else { continue };
        let kind = there.file_type();
        if kind.is_dir() && !["pts", "shm", "mqueue", "fd"].iter().any(|name| path.ends_with(name)) {
            nodes(&path, found);
        } else if kind.is_char_device() || kind.is_block_device() {
            found.push((path, there.rdev(), kind.is_block_device()));
        }
    }
}

fn homes(host: &Facts, facts: &mut Outside) {
    facts.home = real(&host.home);
    // What the caller owns in /home is a home, too, whatever the accounts say.
    let owned = |path: &PathBuf| host.uid != 0 && path.symlink_metadata().is_ok_and(|found| found.uid() == host.uid);
    let unlisted = entries(Path::new("/home"), 2_000).filter(owned);
    let own = host.own_homes().map(real).filter(|home| !is_needed(home)).chain(unlisted);
    let own: BTreeSet<PathBuf> = own.collect();
    if !own.is_empty() {
        let files = own.iter().flat_map(|home| std::iter::once(home.clone()).chain(entries(home, 300)));
        facts.home_files = files.filter_map(identified).collect();
        let mut started: Vec<PathBuf> = Vec::new();
        for (home, name) in own.iter().flat_map(|home| STARTED.iter().map(move |name| (home, name))) {
            // What is missing could be made in the nearest directory that exists.
            let path = home.join(name);
            let nearest = path.ancestors().find(|path| path.exists()).unwrap_or(home);
            let nearest = real(nearest);
            if may_write(&nearest) && !started.contains(&nearest) {
                started.push(nearest);
            }
        }
        started.push("/etc/sbx".into());
        facts.started = started.into_iter().filter_map(identified).collect();
    }
    let others = host.accounts.iter().filter(|account| account.is_person() || account.uid == 0);
    let others: BTreeSet<PathBuf> = others.map(|account| real(&account.home)).collect();
    let others = others.into_iter().filter(|home| !own.contains(home) && home.parent().is_some());
    facts.homes = others.filter_map(identified).collect();
    let runtime = host.env.get("XDG_RUNTIME_DIR").cloned().unwrap_or_else(|| format!("/run/user/{}", host.uid));
    facts.runtime = identified(real(Path::new(&runtime)));
}

/// Directories of the host that the caller can write to: the system's, the caller's, and all that the view shows.
fn writable(host: &Facts, facts: &Outside, granted: &Granted) -> Vec<(PathBuf, FileId)> {
    const SYSTEM: [&str; 16] = [
        "/",
        "/etc",
        "/usr",
        "/usr/bin",
        "/usr/lib",
        "/usr/local",
        "/usr/local/bin",
        "/opt",
        "/srv",
        "/var",
        "/var/lib",
        "/var/cache",
        "/var/spool",
        "/var/log",
        "/run",
        "/boot",
    ];
    let own = [host.cwd.clone(), facts.home.clone(), facts.program.parent().unwrap_or(Path::new("/")).to_owned()];
    let ours = |path: &Path| facts.fixture.as_ref().is_some_and(|dir| path.starts_with(dir));
    let shown = granted.view.iter().filter(|place| place.host && !ours(&place.path)).map(|place| place.path.clone());
    let paths: BTreeSet<PathBuf> =
        SYSTEM.iter().map(PathBuf::from).chain(own).chain(shown).map(|path| real(&path)).collect();
    paths.into_iter().filter(|path| path.is_dir() && may_write(path)).filter_map(identified).collect()
}

/// Adds the sockets that listen, by /proc/net/unix (number, references, protocol, flags, type, state, inode, path; the
/// flag is SO_ACCEPTCON, the type SOCK_STREAM), and those of known services.
fn sockets(host: &Facts, facts: &mut Outside) {
    let text = std::fs::read("/proc/net/unix").unwrap_or_default();
    for line in String::from_utf8_lossy(&text).lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (Some(&"00010000"), Some(&"0001"), Some(path)) = (words.get(3), words.get(4), words.get(7)) else {
            continue;
        };
        match path.strip_prefix('@') {
            Some(name) => drop(facts.abstract_names.insert(name.to_owned())),
            None if is_socket(Path::new(path)) && may_write(Path::new(path)) => {
                facts.listening.extend(id(Path::new(path)).map(|file| (path.into(), file)));
            }
            None => {}
        }
    }
    facts.listening.sort();
    facts.listening.dedup();
    let run = host.env.get("XDG_RUNTIME_DIR").cloned().unwrap_or_else(|| format!("/run/user/{}", host.uid));
    for (kind, paths) in SOCKETS {
        for path in *paths {
            let path = match path.split_once('/') {
                Some(("$RUN", rest)) => Path::new(&run).join(rest),
                Some(("$HOME", rest)) => host.home.join(rest),
                Some(_) => PathBuf::from(path),
                // A variable with a path; that of WAYLAND_DISPLAY may be relative.
                None => match host.env.get(*path) {
                    Some(value) => Path::new(&run).join(value),
                    None => continue,
                },
            };
            if is_socket(&path) {
                facts.sockets.push(((*kind).to_owned(), path));
            }
        }
    }
}

fn is_socket(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.file_type().is_socket())
}

/// Names of those of [`CALLS`] that this kernel does not have. Each is made in a child: it may change the process, or
/// end it.
fn missing() -> BTreeSet<String> {
    let gone = [libc::ENOSYS, libc::EAFNOSUPPORT, libc::EPROTONOSUPPORT, libc::ESOCKTNOSUPPORT];
    let is_missing = |call: Call| {
        let tried = sys::fork(|| i32::from(call().is_err_and(|Errno(errno)| gone.contains(&errno))));
        tried.is_ok_and(|pid| sys::wait_for(pid) != Ok(Waited::Exited(0)))
    };
    CALLS.iter().filter(|(_, call)| is_missing(*call)).map(|(name, _)| (*name).to_owned()).collect()
}
