//! Probes of the modes of paths, on files that the self-test puts on the host and into the view.

use super::super::facts::{Facts, Verdict};
use super::tools::{c, each, fixture, make_file, open_to_read, open_to_write, reads_secret, verdict};
use super::{Probe, never};
use crate::sys::{self, Errno, attempts};
use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// A file of the fixture that is not shown.
pub(crate) const SECRET: &str = "secret";
/// A directory that is shown read-only, with `file` in it.
pub(crate) const RO: &str = "ro";
/// A directory that is shown writable, with `file` in it.
pub(crate) const RW: &str = "rw";
/// A read-only directory in the writable one, with `file` in it.
pub(crate) const INNER: &str = "rw/inner";
/// A masked file, two levels below the writable directory.
pub(crate) const MASKED: &str = "rw/sub/masked";
/// A file of the fixture that is not shown, but handed over for reading, as standard input.
pub(crate) const HANDED: &str = "handed";
/// A link that a probe leaves in the writable directory. It leads to [`SECRET`], which is not shown.
pub(crate) const LEFT: &str = "rw/left";
/// Id of the probe that leaves it. What the next start does with it is tried outside.
pub(crate) const LINK_LEFT: &str = "link-left";
/// A directory that is an overlay where the profile has one, with `file` in it.
pub(crate) const OVERLAY: &str = "over";
/// Id of the probe that changes it. Whether that reached the host is looked up outside.
pub(crate) const OVERLAY_THROUGH: &str = "overlay-through";
/// A closed directory in the read-only one, with `file` in it.
pub(crate) const DENIED: &str = "ro/denied";

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "ro-write",
        title: "write below a read-only directory",
        attempt: |facts| on(facts, RO, written),
        granted: never,
    },
    Probe {
        id: "ro-reopen",
        title: "reopen a read-only file for writing by links of /proc",
        attempt: |facts| on(facts, RO, reopened),
        granted: never,
    },
    Probe {
        id: "ro-change",
        title: "remove, rename or change what is read-only",
        attempt: |facts| on(facts, RO, changed),
        granted: never,
    },
    Probe {
        id: "ro-link",
        title: "link or move a read-only file to where it is writable",
        attempt: moved,
        granted: never,
    },
    Probe {
        id: "inner-write",
        title: "write to a read-only directory in a writable one",
        attempt: |facts| on(facts, INNER, written),
        granted: never,
    },
    Probe {
        id: "inner-move",
        title: "move the directory away that is closed in a writable one",
        attempt: |facts| on(facts, RW, |dir| moved_away(&dir)),
        granted: never,
    },
    Probe {
        id: "masked-read",
        title: "read a file that is masked",
        attempt: |facts| on(facts, MASKED, |path| reads_secret(facts, &path)),
        granted: never,
    },
    Probe {
        id: "masked-write",
        title: "write to or remove a file that is masked",
        attempt: |facts| {
            on(facts, MASKED, |path| {
                let remove = verdict("unlink", fs::remove_file(&path).map_err(Errno::from));
                each([verdict("opening it", open_to_write(&path)), remove], |verdict| verdict)
            })
        },
        granted: never,
    },
    Probe {
        id: "denied-read",
        title: "read below a directory that is closed",
        attempt: |facts| {
            on(facts, DENIED, |dir| {
                let opened = verdict("opendir", fs::read_dir(&dir).map_err(Errno::from));
                let mode =
                    verdict("chmod", fs::set_permissions(&dir, PermissionsExt::from_mode(0o755)).map_err(Errno::from));
                each([opened, mode, reads_secret(facts, &dir.join("file"))], |verdict| verdict)
            })
        },
        granted: never,
    },
    Probe { id: "beside", title: "what lies beside a directory that is shown", attempt: beside, granted: never },
    Probe {
        id: LINK_LEFT,
        title: "leave a link that the next start follows to what is not shown",
        attempt: |facts| {
            on(facts, LEFT, |link| verdict("making the link", symlink("../secret", link).map_err(Errno::from)))
        },
        granted: never,
    },
    Probe {
        id: OVERLAY_THROUGH,
        title: "change the host's files through an overlay",
        attempt: |facts| in_overlay(facts, through),
        granted: never,
    },
    Probe {
        id: "overlay-marks",
        title: "make a mark of an overlay's format in it (a whiteout, user.overlay.*)",
        attempt: |facts| in_overlay(facts, marked),
        granted: never,
    },
    Probe {
        id: "overlay-times",
        title: "end what serves an overlay, by times that no file has",
        attempt: |facts| in_overlay(facts, timed),
        granted: never,
    },
    Probe {
        id: "lease",
        title: "stall who writes to a read-only file outside, by a lease on it",
        attempt: |facts| {
            on(facts, RO, |dir| match open_to_read(&dir.join("file")) {
                Ok(file) => verdict("fcntl with F_SETLEASE", attempts::lease(file.as_fd())),
                Err(errno) => super::tools::not_run(format!("its file: {errno}")),
            })
        },
        granted: |granted| granted.calls("fcntl").then_some("the filter lets every fcntl in"),
    },
    Probe {
        id: "set-id-make",
        title: "leave a set-user-ID file in a writable directory of the host",
        attempt: |facts| on(facts, RW, |dir| set_id(&dir)),
        granted: |granted| granted.setuid_bits.then_some("the profile lets files have set-user-ID bits"),
    },
];

fn on(facts: &Facts, name: &str, attempt: impl FnOnce(PathBuf) -> Verdict) -> Verdict {
    fixture(facts, name).map_or_else(|verdict| verdict, attempt)
}

/// Runs an attempt in the directory of the fixture that is an overlay.
fn in_overlay(facts: &Facts, attempt: impl FnOnce(PathBuf) -> Verdict) -> Verdict {
    on(facts, OVERLAY, |dir| match facts.granted.place(&dir) {
        Some(place) if place.overlay => attempt(dir),
        _ => super::tools::not_run("the profile has no overlay"),
    })
}

/// Changes, adds and removes files in an overlay. That works: whether it reached the host is looked up outside.
fn through(dir: PathBuf) -> Verdict {
    let done = [
        fs::write(dir.join("new"), "new"),
        fs::OpenOptions::new().append(true).open(dir.join("file")).and_then(|mut file| file.write_all(b"more")),
        fs::set_permissions(dir.join("file"), PermissionsExt::from_mode(0o4777)),
        fs::hard_link(dir.join("file"), dir.join("link")),
        fs::rename(dir.join("link"), dir.join("new")),
        fs::remove_file(dir.join("file")),
    ];
    let count = done.iter().filter(|result| result.is_ok()).count();
    verdict("changing the files of an overlay", if count > 0 { Ok(()) } else { Err(Errno(libc::EROFS)) })
}

/// Makes what would be taken for a part of the overlay's format.
fn marked(dir: PathBuf) -> Verdict {
    let whiteout = attempts::make_device(&c(dir.join("whiteout")), libc::S_IFCHR, 0);
    let attribute = attempts::set_attribute(&c(&dir), c"user.overlay.opaque", b"y");
    // From Linux 6.7 on the attribute is kept under another name, so that a nested overlay has it, and this one does not.
    let attribute = match (attribute, fs::read_dir(&dir).map_or(0, Iterator::count)) {
        (Ok(()), 0) => verdict("the attribute user.overlay.opaque hides what is below", Ok::<_, Errno>(())),
        (Ok(()), _) => Verdict::Closed("the attribute user.overlay.opaque is kept as another".into()),
        (Err(errno), _) => Verdict::Closed(format!("setxattr user.overlay.opaque: {errno}")),
    };
    each([verdict("mknod of a whiteout", whiteout), attribute], |verdict| verdict)
}

/// Sets times at the ends of what there is. The filesystem is to be there afterwards.
fn timed(dir: PathBuf) -> Verdict {
    for seconds in [i64::MIN, i64::MAX] {
        for rest in [0, 999_999_999] {
            // The filesystem may refuse them.
            let _ = sys::set_times(sys::cwd(), &c(&dir), Some((seconds, rest)), Some((seconds, rest)));
        }
    }
    match sys::status_of(sys::cwd(), &c(&dir)) {
        Ok(_) => Verdict::Closed("it goes on".into()),
        Err(errno) => Verdict::Open(format!("stat(2) afterwards: {errno}")),
    }
}

fn written(dir: PathBuf) -> Verdict {
    each(
        [verdict("opening its file", open_to_write(&dir.join("file"))), verdict("making a file", make_file(&dir))],
        |v| v,
    )
}

fn reopened(dir: PathBuf) -> Verdict {
    let path = dir.join("file");
    let file = match open_to_read(&path) {
        Ok(file) => file,
        Err(errno) => return super::tools::not_run(format!("{}: {errno}", path.display())),
    };
    let number = file.as_raw_fd();
    let mut links: Vec<PathBuf> =
        ["/proc/self/fd", "/proc/thread-self/fd", "/dev/fd"].map(|dir| Path::new(dir).join(number.to_string())).into();
    for root in ["/proc/self/root", "/proc/thread-self/root", "/proc/self/cwd/../../../../../../.."] {
        links.push(PathBuf::from(format!("{root}{}", path.display())));
    }
    each(links, |link| verdict(link.display(), open_to_write(&link)))
}

fn changed(dir: PathBuf) -> Verdict {
    let file = dir.join("file");
    let mode = fs::set_permissions(&file, PermissionsExt::from_mode(0o666));
    let time =
        open_to_read(&file).and_then(|file| file.set_modified(std::time::SystemTime::now()).map_err(Errno::from));
    let made = [
        ("chmod", mode.map_err(Errno::from)),
        ("utimensat", time),
        ("rename", fs::rename(&file, dir.join("other")).map_err(Errno::from)),
        ("mkdir", fs::create_dir(dir.join("made")).map_err(Errno::from)),
        ("symlink", symlink("/", dir.join("link")).map_err(Errno::from)),
        ("unlink", fs::remove_file(&file).map_err(Errno::from)),
    ];
    each(made, |(what, result)| verdict(what, result))
}

fn moved(facts: &Facts) -> Verdict {
    let (ro, rw) = match (fixture(facts, RO), fixture(facts, RW)) {
        (Ok(ro), Ok(rw)) => (ro, rw),
        (Err(verdict), _) | (_, Err(verdict)) => return verdict,
    };
    let file = ro.join("file");
    let opened = open_to_read(&file).map(|file| PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())));
    let made = [
        ("link", fs::hard_link(&file, rw.join("linked")).map_err(Errno::from)),
        ("link of a descriptor", opened.and_then(|link| fs::hard_link(link, rw.join("linked")).map_err(Errno::from))),
        ("rename", fs::rename(&file, rw.join("moved")).map_err(Errno::from)),
    ];
    each(made, |(what, result)| verdict(what, result))
}

/// Tries to rename a mount point, and the directories above it. If that worked, the next sandbox would find nothing to
/// close at the path that its profile names, and what was closed would be free under another name.
fn moved_away(rw: &Path) -> Verdict {
    let attempt = |from: &str| match fs::rename(rw.join(from), rw.join("moved")) {
        Err(error) => Verdict::Closed(format!("rename of {from}: {}", Errno::from(error))),
        Ok(()) => {
            let _ = fs::rename(rw.join("moved"), rw.join(from));
            Verdict::Open(format!("rename of {from} works"))
        }
    };
    let (inner, sub) = (attempt("inner"), attempt("sub"));
    let exchanged = fs::remove_dir(rw.join("inner")).map_err(Errno::from);
    each([inner, sub, verdict("rmdir of inner", exchanged)], |verdict| verdict)
}

/// Tries to reach a file that is not shown: by `..` from a directory that is, and by links.
fn beside(facts: &Facts) -> Verdict {
    let (ro, rw, secret) = match (fixture(facts, RO), fixture(facts, RW), fixture(facts, SECRET)) {
        (Ok(ro), Ok(rw), Ok(secret)) => (ro, rw, secret),
        (Err(verdict), ..) | (_, Err(verdict), _) | (.., Err(verdict)) => return verdict,
    };
    if facts.granted.shows(&secret) {
        return Verdict::Shared("the profile shows the directory above it, too".into());
    }
    let link = rw.join("link");
    let _ = symlink("../secret", &link);
    let paths = [ro.join("../secret"), rw.join("inner/../../secret"), link.clone()];
    let paths = paths.into_iter().chain([PathBuf::from(format!("/proc/self/root/../..{}", secret.display()))]);
    let result = each(paths, |path| reads_secret(facts, &path));
    let _ = fs::remove_file(link);
    result
}

/// Tries to leave a file with a set-user-ID or set-group-ID bit, which would give whoever runs it outside the rights of
/// the caller, perhaps root. Each call that gives a file its mode is tried.
fn set_id(dir: &Path) -> Verdict {
    let path = dir.join("set-id");
    let calls = attempts::SET_MODE.iter().chain(attempts::SET_MODE_OF_OLD);
    let verdict = each(calls.flat_map(|call| [(call, 0o4755), (call, 0o2755)]), |((name, call), mode)| {
        let _ = fs::remove_file(&path);
        if name.contains("chmod")
            && let Err(error) = fs::write(&path, "")
        {
            return Verdict::Closed(format!("{}: {}", path.display(), Errno::from(error)));
        }
        let result = call(&c(&path), mode);
        let kept = fs::metadata(&path).is_ok_and(|facts| facts.permissions().mode() & 0o6000 != 0);
        match result {
            Ok(()) if !kept => Verdict::Closed(format!("{name} does not set the bit")),
            other => verdict(format!("{name} with mode {mode:o}"), other),
        }
    });
    let _ = fs::remove_file(&path);
    verdict
}
