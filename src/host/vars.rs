//! Values of the variables and well-known directories that profiles may use.

use super::accounts::Account;
use super::sockets;
use super::temporary::{self, holds_sockets, is_temporary};
use super::walk::Ways;
use crate::profile::{Profiles, Vars};
use crate::spec::is_needed;
use crate::sys::Errno;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How much of user-dirs.dirs is read, in bytes.
const LARGEST: usize = 1 << 16;

/// The caller's home directory: `$HOME` if it is an absolute path, else the account's.
pub fn home(env: &BTreeMap<String, String>, accounts: &[Account], uid: u32) -> PathBuf {
    let set = env.get("HOME").filter(|home| home.starts_with('/')).map(PathBuf::from);
    let home = set.or_else(|| own_accounts(accounts, uid).next().map(|account| account.home.clone()));
    let home = home.unwrap_or_else(|| PathBuf::from("/"));
    without_dots(&home).unwrap_or_else(|_| home.components().collect())
}

/// A path without `.` and `..`: where the latter lead depends on links, so the path up to the last is resolved.
///
/// # Errors
///
/// That part of the path cannot be looked up.
pub fn without_dots(path: &Path) -> std::io::Result<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        clean.push(part);
        if part == std::path::Component::ParentDir {
            clean = clean.canonicalize()?;
        }
    }
    Ok(clean)
}

/// The accounts with this user id: there may be several, such as `root` and `toor`.
pub(super) fn own_accounts(accounts: &[Account], uid: u32) -> impl Iterator<Item = &Account> {
    accounts.iter().filter(move |account| account.uid == uid)
}

/// The caller's homes, `home` being that of `$HOME`: see [`Vars::homes`]. Directories that the system needs are left
/// out: some services have one as their home.
fn own_homes(home: &Path, accounts: &[Account], uid: u32) -> Vec<PathBuf> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut homes = vec![real(home)];
    for account in own_accounts(accounts, uid).filter(|account| account.home != home) {
        homes.extend([account.home.clone(), real(&account.home)]);
    }
    homes.retain(|home| !is_needed(home));
    homes.dedup();
    homes
}

/// The directories in which homes lie (/home, and where it leads), and the home that the current directory is or lies in
/// although no account names it: accounts need not be in /etc/passwd (LDAP, systemd-homed, containers that are given
/// any user id), and `HOME` may name another directory. Such a home lies directly in a directory of homes and belongs to
/// the caller, or to another person.
fn homes_around(
    cwd: &Path,
    found: &std::io::Result<std::fs::Metadata>,
    known: &[PathBuf],
    accounts: &[Account],
    uid: u32,
) -> (Vec<PathBuf>, Option<PathBuf>) {
    let usual = Path::new("/home");
    let mut dirs = vec![usual.to_owned()];
    if known.iter().any(|home| cwd.starts_with(home)) {
        return (dirs, None);
    }
    // The current directory's path has no links: it matters where /home leads unless that is plain.
    if !cwd.starts_with(usual) && usual.is_symlink() {
        dirs.extend(usual.canonicalize().ok());
    }
    let parents = || accounts.iter().filter(|account| account.is_person()).filter_map(|account| account.home.parent());
    let holds_homes = |dir: &Path| {
        let second = dir.components().count() == 3 && dir.ends_with("home");
        dirs.iter().any(|known| known == dir)
            || second
            || (!is_needed(dir) && parents().filter(|parent| *parent == dir).count() > 1)
    };
    let home = cwd.ancestors().find(|dir| dir.parent().is_some_and(holds_homes));
    let owner = home.and_then(|home| match home == cwd {
        true => found.as_ref().ok().map(MetadataExt::uid),
        false => home.metadata().ok().map(|found| found.uid()),
    });
    let person = |owner: u32| owner != 0 && (owner == uid || owner >= 1000);
    let home = home.filter(|_| owner.is_some_and(person)).map(Path::to_owned);
    (dirs, home)
}

/// The values of variables and well-known directories for this caller. `bytes` are those of its variables that are not
/// UTF-8.
pub fn vars(env: &BTreeMap<String, String>, bytes: &[(OsString, OsString)], cwd: &Path, accounts: &[Account]) -> Vars {
    let (uid, _) = crate::sys::ids();
    let home_path = home(env, accounts, uid);
    let home = home_path.display().to_string();
    let name = own_accounts(accounts, uid).next().map(|account| account.name.clone());
    let mut names = BTreeMap::new();
    let mut set = |name: &str, value: String| names.insert(name.to_owned(), value);
    set("HOME", home.clone());
    if let Some(cwd) = cwd.to_str() {
        set("CWD", cwd.to_owned());
    }
    set("UID", uid.to_string());
    set("USER", name.unwrap_or_else(|| uid.to_string()));
    // XDG Base Directory Specification: relative paths are ignored, and these are the defaults.
    let base =
        |name: &str, default: String| env.get(name).filter(|path| path.starts_with('/')).cloned().unwrap_or(default);
    for (name, below) in [
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_DATA_HOME", ".local/share"),
        ("XDG_CACHE_HOME", ".cache"),
        ("XDG_STATE_HOME", ".local/state"),
    ] {
        set(name, base(name, format!("{home}/{below}")));
    }
    set("XDG_RUNTIME_DIR", base("XDG_RUNTIME_DIR", format!("/run/user/{uid}")));
    let config = names.get("XDG_CONFIG_HOME").cloned().unwrap_or_default();
    let file = Path::new(&config).join("user-dirs.dirs");
    let (written, no_places) = match crate::sys::read_start(&file, LARGEST) {
        Ok(text) => (String::from_utf8_lossy(&text).into_owned(), None),
        Err(Errno(libc::ENOENT | libc::ENOTDIR)) => (String::new(), None),
        Err(errno) => (String::new(), Some(format!("{}: {errno}", file.display()))),
    };
    // Other users' homes are not looked up: that might involve a file server or an automounter.
    let others = accounts.iter().filter(|account| account.is_person() && account.uid != uid);
    let mut profiles = Profiles::default();
    profile_paths(&Path::new(&config).join("sbx/profiles"), &mut profiles);
    // Runs without these variables look there.
    let usual = |name: &str, below: &str| env.contains_key(name).then(|| home_path.join(below).join("sbx"));
    if let Some(dir) = usual("XDG_CONFIG_HOME", ".config") {
        profile_paths(&dir.join("profiles"), &mut profiles);
    }
    for account in own_accounts(accounts, uid).filter(|account| account.home != home_path) {
        profile_paths(&account.home.join(".config/sbx/profiles"), &mut profiles);
    }
    // Layers are kept there, which a later run enters, and `sbx commit` puts onto the host.
    let store = Path::new(names.get("XDG_DATA_HOME").map_or("/", String::as_str)).join("sbx");
    profiles.stores.push(store.clone());
    profiles.stores.extend(usual("XDG_DATA_HOME", ".local/share"));
    let near = cwd.components().any(|part| part.as_os_str() == "sbx");
    let stores = if near { store.canonicalize().into_iter().chain([store]).collect() } else { Vec::new() };
    let runtime_dir = PathBuf::from(format!("/run/user/{uid}"));
    let runtime = runtime(names.get("XDG_RUNTIME_DIR").map_or("/", String::as_str), uid);
    let found = cwd.metadata();
    let odd = |wanted: &str| bytes.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let text = env.iter().map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
    let all = text.chain(bytes.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())));
    let variable = |name: &str| env.get(name).map(OsString::from).or_else(|| odd(name));
    let mut homes = own_homes(&home_path, accounts, uid);
    let (home_dirs, unlisted) = homes_around(cwd, &found, &homes, accounts, uid);
    homes.extend(unlisted);
    Vars {
        places: places(&home, &written),
        no_places,
        homes,
        other_homes: others
            .map(|account| &account.home)
            .filter(|home| !matches!(home.as_os_str().as_bytes(), b"" | b"/"))
            .cloned()
            .collect(),
        home_dirs,
        runtime,
        stores,
        cwd_is_temporary: found.as_ref().is_ok_and(|found| is_temporary(cwd, found, variable))
            || holds_sockets(cwd, variable),
        temporary: temporary::named(cwd, variable),
        sockets: sockets::named(&runtime_dir, cwd, all),
        cwd_is_closed: match found.map_err(|error| error.raw_os_error()) {
            Err(Some(libc::EACCES)) => Some("lies in a directory that this user may not search"),
            Err(Some(libc::ENAMETOOLONG)) => Some("has a path of more than 4095 bytes, which Linux does not look up,"),
            _ => None,
        },
        profiles,
        names,
        cwd: cwd.to_owned(),
        real: Some(real),
        find_project: Some(super::project::find),
        ..Vars::default()
    }
}

/// The real path of one that goes through links.
fn real(path: &Path) -> Option<PathBuf> {
    let name = std::ffi::CString::new(path.as_os_str().as_bytes()).ok()?;
    match crate::sys::open_resolved(&name) {
        Err(Errno(libc::ELOOP)) => path.canonicalize().ok(),
        _ => None,
    }
}

/// The names of a runtime directory. The usual one lies in a directory of root's, and needs no look.
fn runtime(dir: &str, uid: u32) -> Vec<PathBuf> {
    let named = PathBuf::from(dir);
    if dir == format!("/run/user/{uid}") {
        return vec![named];
    }
    let real = named.canonicalize().ok().filter(|real| *real != named);
    std::iter::once(named.components().collect()).chain(real).collect()
}

/// Adds the paths that decide which profiles apply: each link on the way to the profiles' directory; the real paths of that
/// directory and of its parent, whether they exist or not; and the targets of links in that directory.
fn profile_paths(path: &Path, profiles: &mut Profiles) {
    let mut here = PathBuf::from("/");
    let count = path.components().count();
    for (index, part) in path.components().enumerate().skip(1) {
        let next = here.join(part);
        here = if next.is_symlink() {
            let real = next.canonicalize().unwrap_or_else(|_| next.clone());
            profiles.links.push(next);
            real
        } else {
            next
        };
        if index + 2 >= count {
            profiles.real.push(here.clone());
        }
    }
    let mut left = MOST_PROFILES;
    profile_links(&here, 0, &mut left, profiles);
}

/// How deep directories of profiles are searched for links, and how many names are looked at.
const DEEPEST: usize = 8;
const MOST_PROFILES: usize = 10_000;

/// Adds what the links in a directory of profiles lead to, and those in the directories in there and in what links lead to, as a name of
/// several parts finds them.
fn profile_links(dir: &Path, depth: usize, left: &mut usize, profiles: &mut Profiles) {
    for entry in crate::sys::read_dir(dir).into_iter().flatten().flatten() {
        let Some(fewer) = left.checked_sub(1) else { return };
        *left = fewer;
        let Ok(kind) = entry.file_type() else { continue };
        let mut inner = kind.is_dir().then(|| entry.path());
        if kind.is_symlink()
            && let Some((real, links)) = Ways::default().follow(&entry.path())
        {
            // The first is the entry itself, which lies in what is closed.
            profiles.links.extend(links.into_iter().skip(1));
            inner = real.is_dir().then(|| real.clone());
            if inner.is_none() {
                extended(&real, 0, profiles);
            }
            profiles.real.push(real);
        } else if kind.is_file() {
            extended(&entry.path(), 0, profiles);
        }
        if let Some(inner) = inner.filter(|_| depth < DEEPEST) {
            profile_links(&inner, depth + 1, left, profiles);
        }
    }
}

/// Adds the files that a profile extends by their paths, and those that these extend. What looks like such a line in a comment or a text is
/// taken for one: that closes too much at most.
fn extended(file: &Path, depth: usize, profiles: &mut Profiles) {
    let is_one = file.extension().is_some_and(|ending| ending == "toml");
    let text = if is_one && depth < DEEPEST { crate::sys::read_start(file, LARGEST) } else { return };
    let text = text.map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
    let lists = text.split("extends").skip(1).filter_map(|rest| rest.split_once('[')?.1.split_once(']'));
    for name in lists.flat_map(|(list, _)| list.split(['"', '\'']).skip(1).step_by(2)) {
        let is_path = name.starts_with(['/', '.']) || name.ends_with(".toml");
        let path = file.parent().unwrap_or(Path::new("/")).join(name);
        if !is_path || profiles.real.len() > MOST_PROFILES {
            continue;
        }
        if let Some((real, links)) = Ways::default().follow(&path)
            && !profiles.real.contains(&real)
        {
            profiles.links.extend(links);
            profiles.real.push(real.clone());
            extended(&real, depth + 1, profiles);
        }
    }
}

/// Well-known directories by name, such as `xdg-download`: from `written`, the content of xdg-user-dirs' file, with its
/// defaults.
fn places(home: &str, written: &str) -> BTreeMap<String, String> {
    let defaults = [
        ("desktop", "Desktop"),
        ("documents", "Documents"),
        ("download", "Downloads"),
        ("music", "Music"),
        ("pictures", "Pictures"),
        ("publicshare", "Public"),
        ("templates", "Templates"),
        ("videos", "Videos"),
    ];
    let mut places: BTreeMap<_, _> =
        defaults.iter().map(|(name, dir)| (format!("xdg-{name}"), format!("{home}/{dir}"))).collect();
    for line in written.lines() {
        let Some((name, value)) = line.trim().strip_prefix("XDG_").and_then(|line| line.split_once("_DIR=")) else {
            continue;
        };
        let value = value.trim_matches('"').replace("$HOME", home);
        // The file says that there is no such directory by setting it to the home itself. Other directories that are too
        // wide are no places either, but that is for whoever names the place to say.
        if let Some(place) = places.get_mut(&format!("xdg-{}", name.to_lowercase()))
            && value.starts_with('/')
            && Path::new(&value) != Path::new(home)
        {
            *place = value;
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::places;

    #[test]
    fn a_place_that_names_the_whole_home_is_not_taken() {
        let places = places("/h", "XDG_DOWNLOAD_DIR=\"$HOME/dl\"\nXDG_MUSIC_DIR=\"$HOME/\"\n#x\n");
        assert_eq!(places["xdg-download"], "/h/dl");
        assert_eq!(places["xdg-music"], "/h/Music");
    }
}
