//! Probes of the host's files: which can be seen, and which can be written.

use super::super::facts::{Facts, FileId, Verdict};
use super::tools::{each, id, make_file, not_run, open_to_write, reads_secret, start_of, verdict};
use super::{Probe, never};
use crate::sys::{self, attempts};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Paths below a home from which code is started later, outside of the sandbox.
pub(crate) const STARTED: &[&str] = &[
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".config/autostart",
    ".config/sbx",
    ".local/state/sbx",
    ".config/systemd/user",
    ".config/environment.d",
    ".config/fish",
    ".local/bin",
    ".local/share/applications",
    ".local/share/dbus-1",
    ".cargo/bin",
    ".ssh",
    ".gnupg",
    ".vimrc",
    ".gitconfig",
    ".xsessionrc",
    ".pam_environment",
    "bin",
];

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "host-root",
        title: "the host's root directory",
        attempt: |facts| match id(Path::new("/")) == Some(facts.outside.root) {
            true if facts.granted.shows(Path::new("/")) => Verdict::Shared("the profile shows /".into()),
            true => Verdict::Open("/ is the host's".into()),
            false => Verdict::Closed("/ is another directory".into()),
        },
        granted: never,
    },
    Probe {
        id: "beside-system",
        title: "directories beside the system, such as /data and /srv",
        attempt: |facts| each(&facts.outside.beside, |(path, file)| seen(facts, path, *file)),
        granted: never,
    },
    Probe { id: "tmp", title: "files in the host's /tmp", attempt: |facts| stray(facts, "/tmp"), granted: never },
    Probe {
        id: "var-tmp",
        title: "files in the host's /var/tmp",
        attempt: |facts| stray(facts, "/var/tmp"),
        granted: never,
    },
    Probe {
        id: "shm",
        title: "files in the host's /dev/shm",
        attempt: |facts| stray(facts, "/dev/shm"),
        granted: never,
    },
    Probe {
        id: "home",
        title: "the caller's homes, and what lies in them",
        attempt: |facts| each(&facts.outside.home_files, |(path, file)| seen(facts, path, *file)),
        granted: never,
    },
    Probe {
        id: "private",
        title: "what is mounted in /opt, /usr/local and /var, or is the caller's own there",
        attempt: |facts| each(&facts.outside.private, |(path, file)| same(path, *file)),
        granted: never,
    },
    Probe {
        id: "stores",
        title: "where sbx keeps private homes, locks, upper layers and records of sandboxes",
        attempt: |facts| each(&facts.outside.stores, |(path, file)| same(path, *file)),
        granted: never,
    },
    Probe {
        id: "profiles",
        title: "write to the user's profiles, which later sandboxes have",
        attempt: |facts| each(&facts.outside.profiles, |(path, file)| write(facts, path, *file)),
        granted: never,
    },
    Probe {
        id: "homes",
        title: "the homes of others",
        attempt: |facts| each(&facts.outside.homes, |(path, file)| seen(facts, path, *file)),
        granted: never,
    },
    Probe {
        id: "runtime-dir",
        title: "the caller's runtime directory",
        attempt: |facts| each(&facts.outside.runtime, |(path, file)| seen(facts, path, *file)),
        granted: never,
    },
    Probe {
        id: "handle",
        title: "the host's root by a file handle (open_by_handle_at)",
        attempt: by_handle,
        granted: never,
    },
    Probe {
        id: "host-write",
        title: "write to what the caller can write to",
        attempt: |facts| each(&facts.outside.writable, |(path, file)| write(facts, path, *file)),
        granted: never,
    },
    Probe {
        id: "start-files",
        title: "write to what starts programs outside (.bashrc, autostart, profiles of sbx)",
        attempt: |facts| each(&facts.outside.started, |(path, file)| write(facts, path, *file)),
        granted: never,
    },
    Probe {
        id: "worktree",
        title: "write to what tools outside run on their own in the current directory (.git, .vscode)",
        attempt: |facts| each(&facts.outside.worktree, |(path, file)| write(facts, path, *file)),
        granted: never,
    },
    Probe {
        id: "project-file",
        title: "change or take away a file by which a project tightens the next start (.sbx.toml)",
        attempt: |facts| match facts.outside.project_files.as_slice() {
            [] => not_run("no .sbx.toml counts here"),
            files => each(files, |(path, file)| replace(path, *file)),
        },
        granted: never,
    },
    Probe { id: "secrets", title: "passwords and keys of the system", attempt: secrets, granted: never },
    Probe {
        id: "machine-id",
        title: "the host's machine id",
        attempt: |facts| match facts.outside.machine_id.as_str() {
            "" => not_run("this host has none"),
            own => each(["/etc/machine-id", "/var/lib/dbus/machine-id"], |path| match std::fs::read_to_string(path) {
                Ok(text) if text.trim() == own => Verdict::Open(format!("{path} has it")),
                Ok(_) => Verdict::Closed(format!("{path} has not")),
                Err(error) => Verdict::Closed(format!("{path}: {}", sys::Errno::from(error))),
            }),
        },
        granted: never,
    },
];

/// Looks for a file of the host in a directory where the sandbox has memory of its own.
fn stray(facts: &Facts, dir: &str) -> Verdict {
    let stray = facts.outside.strays.iter().find(|path| path.starts_with(dir));
    let Some(path) = stray else { return not_run(format!("no file could be made in {dir}")) };
    match reads_secret(facts, path) {
        Verdict::Open(how) if facts.granted.shows(path) => Verdict::Shared(format!("{how}: the profile shows it")),
        other => other,
    }
}

/// Whether a file of the host is seen at its own path.
fn seen(facts: &Facts, path: &Path, file: FileId) -> Verdict {
    let shown = path.display();
    match path.symlink_metadata() {
        Ok(found) if (found.dev(), found.ino()) != file => Verdict::Closed(format!("{shown} is another")),
        Ok(_) if facts.granted.shows(path) => Verdict::Shared(format!("the profile shows {shown}")),
        Ok(_) => Verdict::Open(format!("{shown} is the host's")),
        Err(error) => Verdict::Closed(format!("{shown}: {}", sys::Errno::from(error))),
    }
}

/// Whether a directory that nothing grants is the one of the host: the view shows the directory around it.
fn same(path: &Path, file: FileId) -> Verdict {
    let shown = path.display();
    match path.symlink_metadata() {
        Ok(found) if (found.dev(), found.ino()) == file => Verdict::Open(format!("{shown} is the host's")),
        Ok(_) => Verdict::Closed(format!("{shown} is another")),
        Err(error) => Verdict::Closed(format!("{shown}: {}", sys::Errno::from(error))),
    }
}

/// Whether something of the host's can be written to: a file by opening it, a directory by making a file in it.
fn write(facts: &Facts, path: &Path, file: FileId) -> Verdict {
    let shown = path.display();
    let is_dir = match path.metadata() {
        Ok(found) if (found.dev(), found.ino()) != file => return Verdict::Closed(format!("{shown} is another")),
        Ok(found) => found.is_dir(),
        Err(error) => return Verdict::Closed(format!("{shown}: {}", sys::Errno::from(error))),
    };
    match if is_dir { make_file(path) } else { open_to_write(path).map(drop) } {
        Ok(()) if facts.granted.writes(path) => Verdict::Shared(format!("the profile shows {shown} writable")),
        Ok(()) => Verdict::Open(format!("{shown} is written to")),
        Err(errno) => Verdict::Closed(format!("{shown}: {errno}")),
    }
}

/// Whether a file of the host's can be written to, or have another in its place: it is moved there and back.
fn replace(path: &Path, file: FileId) -> Verdict {
    let shown = path.display();
    match id(path) {
        Some(found) if found == file => {}
        _ => return Verdict::Closed(format!("{shown} is not there, or another")),
    }
    if open_to_write(path).is_ok() {
        return Verdict::Open(format!("{shown} is written to"));
    }
    let aside = path.with_extension("moved");
    match std::fs::rename(path, &aside) {
        Ok(()) => {
            let back = std::fs::rename(&aside, path)
                .map_or_else(|error| format!("and not back: {error}"), |()| "and back".into());
            Verdict::Open(format!("{shown} is moved, {back}"))
        }
        Err(error) => Verdict::Closed(format!("{shown}: {}", sys::Errno::from(error))),
    }
}

fn by_handle(facts: &Facts) -> Verdict {
    let Some((kind, data)) = &facts.outside.handle else { return not_run("the host's root gives no handles") };
    // open_by_handle_at(2) needs some file of the same filesystem; which ones are on it is not known inside.
    let mut places: Vec<PathBuf> = facts.granted.view.iter().map(|place| place.path.clone()).collect();
    places.push("/".into());
    let on_it = places.iter().filter(|path| id(path).is_some_and(|(device, _)| device == facts.outside.root.0));
    each(on_it.take(5), |path| {
        let mount = match super::tools::open_to_read(path) {
            Ok(mount) => mount,
            Err(errno) => return not_run(format!("{}: {errno}", path.display())),
        };
        verdict("open_by_handle_at", attempts::open_handle(mount.as_fd(), *kind, data))
    })
}

/// Files that only root may read on the host. If root is the caller, it owns them inside, too.
pub(super) const SECRETS: &[&str] = &[
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/shadow-",
    "/etc/gshadow-",
    "/etc/security/opasswd",
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/ssh/ssh_host_ecdsa_key",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssl/private",
    "/etc/krb5.keytab",
    "/etc/NetworkManager/system-connections",
    "/etc/wpa_supplicant/wpa_supplicant.conf",
    "/etc/wireguard",
    "/var/lib/systemd/credential.secret",
    "/var/lib/NetworkManager/secret_key",
    "/var/lib/sss/secrets",
    "/var/lib/iwd",
    "/var/lib/bluetooth",
    "/var/lib/docker",
    "/var/spool/cron/crontabs",
];

fn secrets(facts: &Facts) -> Verdict {
    let there = SECRETS.iter().filter(|path| facts.outside.files.contains(**path));
    each(there, |path| {
        let path = Path::new(path);
        let shown = path.display();
        if path.is_dir() {
            return match std::fs::read_dir(path).map(|mut entries| entries.next().is_some()) {
                Ok(true) => Verdict::Open(format!("{shown} is listed")),
                Ok(false) => Verdict::Closed(format!("{shown} is empty")),
                Err(error) => Verdict::Closed(format!("{shown}: {}", sys::Errno::from(error))),
            };
        }
        match start_of(path) {
            Ok(text) if text.is_empty() => Verdict::Closed(format!("{shown} is empty")),
            Ok(_) => Verdict::Open(format!("{shown} is read")),
            Err(errno) => Verdict::Closed(format!("{shown}: {errno}")),
        }
    })
}
