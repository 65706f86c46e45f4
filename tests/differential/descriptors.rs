//! The descriptors that a launcher gets by number.

use super::fixture::Fixture;
use super::grammar::{Carrier, Case, Given, What, flat};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

/// The descriptors of a run: what the launcher gets, and the test's ends.
pub struct Descriptors {
    /// The launcher's, with their numbers; above all numbers that are used.
    pub launcher: Vec<(OwnedFd, RawFd)>,
    /// The ends that stay here, by number.
    pub here: BTreeMap<RawFd, File>,
    /// For the byte that says that the id maps are there.
    pub maps: Option<File>,
    /// What is behind a descriptor, by device and inode.
    pub names: BTreeMap<(u64, u64), String>,
}

impl Descriptors {
    pub fn open(case: &Case, fixture: &Fixture) -> Descriptors {
        let mut all = Descriptors { launcher: Vec::new(), here: BTreeMap::new(), maps: None, names: BTreeMap::new() };
        for given in case.given() {
            all.give(given, fixture);
        }
        all
    }

    fn give(&mut self, given: &Given, fixture: &Fixture) {
        let number = given.number;
        let theirs: OwnedFd = match &given.what {
            What::Data(carrier, data) => carry(*carrier, data, fixture, number),
            What::Args(carrier, groups) => {
                let mut data = Vec::new();
                for word in flat(groups) {
                    data.extend(fixture.fill(&word).into_bytes());
                    data.push(0);
                }
                carry(*carrier, &data, fixture, number)
            }
            What::Path(path, name_only) => {
                let flags = if *name_only { libc::O_PATH } else { 0 };
                File::options().read(true).custom_flags(flags).open(fixture.fill(path)).unwrap().into()
            }
            What::Namespace(which) => fixture.namespace(*which).try_clone().unwrap().into(),
            What::Written | What::Held => {
                let (read, write) = std::io::pipe().unwrap();
                self.here.insert(number, File::from(OwnedFd::from(read)));
                write.into()
            }
            What::Mapped => {
                let (read, write) = std::io::pipe().unwrap();
                self.maps = Some(File::from(OwnedFd::from(write)));
                read.into()
            }
        };
        self.name(&theirs, format!("given as {number}"));
        self.launcher.push((above(theirs), number));
    }

    pub fn name(&mut self, fd: &impl AsRawFd, name: String) {
        let meta = std::fs::metadata(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap();
        self.names.insert((meta.dev(), meta.ino()), name);
    }
}

/// Moves a descriptor above all numbers that lists use.
fn above(fd: OwnedFd) -> OwnedFd {
    // SAFETY: fcntl gives a new descriptor that nobody else has, or -1.
    unsafe {
        let moved = libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 300);
        assert!(moved >= 300, "{}", std::io::Error::last_os_error());
        OwnedFd::from_raw_fd(moved)
    }
}

pub fn memfd(name: &std::ffi::CStr) -> File {
    // SAFETY: a C string; the result is a descriptor that nobody else has, or -1, which from_raw_fd refuses.
    unsafe { File::from_raw_fd(libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC)) }
}

fn carry(carrier: Carrier, data: &[u8], fixture: &Fixture, number: RawFd) -> OwnedFd {
    let path = fixture.dir().join(format!("given-{number}"));
    match carrier {
        Carrier::Pipe => {
            let (read, mut write) = std::io::pipe().unwrap();
            write.write_all(data).unwrap();
            read.into()
        }
        Carrier::File => {
            std::fs::write(&path, data).unwrap();
            File::open(path).unwrap().into()
        }
        Carrier::FileRest => {
            std::fs::write(&path, [b"not this", data].concat()).unwrap();
            let mut file = File::open(path).unwrap();
            file.seek(std::io::SeekFrom::Start(8)).unwrap();
            file.into()
        }
        Carrier::Memfd => {
            let mut file = memfd(c"given");
            file.write_all(data).unwrap();
            file.rewind().unwrap();
            file.into()
        }
    }
}
