//! The loop in which requests of the kernel come in, and answers go out: one at a time.

use super::reply::{Add, Reply};
use super::request::{Init, Operation, Request};
use crate::sys::{self, Errno, Result};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The largest read or write, in bytes.
pub const LARGEST: u32 = 1024 * 1024;

/// The version of the protocol: that of Linux 5.17. What is newer is agreed upon by flags, or refused with ENOSYS.
const VERSION: (u32, u32) = (7, 36);

/// What the kernel and a server can agree upon: FUSE_*.
pub mod flags {
    pub const ASYNC_READ: u64 = 1 << 0;
    pub const ATOMIC_O_TRUNC: u64 = 1 << 3;
    pub const BIG_WRITES: u64 = 1 << 5;
    pub const DONT_MASK: u64 = 1 << 6;
    pub const DO_READDIRPLUS: u64 = 1 << 13;
    pub const PARALLEL_DIROPS: u64 = 1 << 18;
    pub const POSIX_ACL: u64 = 1 << 20;
    pub const MAX_PAGES: u64 = 1 << 22;
    pub const CACHE_SYMLINKS: u64 = 1 << 23;
    pub const HANDLE_KILLPRIV_V2: u64 = 1 << 28;
    pub const INIT_EXT: u64 = 1 << 30;
}

/// Requests of its own that the kernel sends without being asked for an answer, at most, and from how many on it holds back.
const BACKGROUND: (u16, u16) = (64, 48);

/// What answers requests.
pub trait Filesystem {
    /// What it wants of the kernel. What that cannot do is left out.
    const WANTED: u64;

    /// Answers a request: adds the answer, or gives the error. ENOSYS: the kernel does not ask that again.
    ///
    /// # Errors
    ///
    /// Those that the program is to get.
    fn answer(
        &mut self,
        request: &Request<'_>,
        operation: Operation<'_>,
        reply: &mut Reply,
        kernel: Kernel<'_>,
    ) -> Result<()>;

    /// Gives the files of a directory from an offset on, and counts each as told to the kernel but `.` and `..`.
    ///
    /// # Errors
    ///
    /// The directory is gone, or cannot be read.
    fn list(&mut self, node: u64, offset: u64, add: Add<'_>) -> Result<()>;

    /// Notes that the kernel has forgotten a node so many times.
    fn forget(&mut self, node: u64, times: u64);
}

/// The kernel, as a server tells it that it has to ask again.
#[derive(Clone, Copy)]
pub struct Kernel<'d>(BorrowedFd<'d>);

impl Kernel<'_> {
    /// The kernel's copy of a file's attributes is old. (The content is locked by the request that is being answered, or dropped by the
    /// kernel itself.)
    pub fn renew(self, node: u64) {
        // The head of a message: its length, its kind (FUSE_NOTIFY_INVAL_INODE), no request. Then the file, and no range of it.
        let head = [40_u32.to_ne_bytes(), 2_u32.to_ne_bytes()].concat();
        let body = [0_u64.to_ne_bytes(), node.to_ne_bytes(), (-1_i64).to_ne_bytes(), 0_i64.to_ne_bytes()].concat();
        // The kernel may have forgotten the file.
        let _ = sys::write_some(self.0, &[head, body].concat());
    }
}

/// Serves the requests of a mounted filesystem until it is unmounted; `ready` is called once the first one can be answered.
///
/// # Errors
///
/// The kernel and the server do not understand each other.
pub fn serve<F: Filesystem>(
    filesystem: &mut F,
    device: &OwnedFd,
    ready: impl FnOnce() -> Result<()>,
) -> std::result::Result<(), String> {
    let failed = |errno: Errno| format!("/dev/fuse: {errno}");
    let mut buffer = vec![0; LARGEST as usize + 4096];
    let mut reply = Reply::default();
    let mut ready = Some(ready);
    while let Some(length) = next(device.as_fd(), &mut buffer).map_err(failed)? {
        let bytes = buffer.get(..length).unwrap_or_default();
        let request = Request::new(bytes).map_err(failed)?;
        let operation = request.operation();
        reply.begin();
        let error = match operation {
            Ok(Operation::Forget(forgotten)) => {
                forgotten.for_each(|(node, times)| filesystem.forget(node, times));
                continue;
            }
            Err(_) if !request.is_answered() => continue,
            Ok(Operation::Init(init)) => begin::<F>(&init, &mut reply).err(),
            Ok(Operation::Destroy) => {
                send(device.as_fd(), &mut reply, request.unique, None);
                return Ok(());
            }
            Ok(operation) => answer(filesystem, &request, operation, &mut reply, Kernel(device.as_fd())).err(),
            Err(errno) => Some(errno),
        };
        send(device.as_fd(), &mut reply, request.unique, error);
        if let (Some(ready), Ok(Operation::Init(_))) = (ready.take_if(|_| error.is_none()), request.operation()) {
            ready().map_err(|errno| format!("pipe: {errno}"))?;
        }
    }
    Ok(())
}

/// Answers a request: itself, where the answers of all filesystems are made in one way.
fn answer<F: Filesystem>(
    filesystem: &mut F,
    request: &Request<'_>,
    operation: Operation<'_>,
    reply: &mut Reply,
    kernel: Kernel<'_>,
) -> Result<()> {
    match operation {
        Operation::ReadDir { offset, size } => {
            let mut given = Vec::new();
            filesystem.list(request.node, offset, &mut |file| {
                let full = reply.name(file, size);
                if !full && !matches!(file.name.to_bytes(), b"." | b"..") {
                    given.push(file.status.ino);
                }
                full
            })?;
            // Names alone do not tell the kernel of the files.
            given.iter().for_each(|node| filesystem.forget(*node, 1));
            Ok(())
        }
        Operation::ReadDirPlus { offset, size } => {
            filesystem.list(request.node, offset, &mut |file| reply.file(file, size))
        }
        // Another error makes the overlay of some kernels fail to copy files up.
        Operation::Ioctl => Err(Errno(libc::ENOTTY)),
        operation => filesystem.answer(request, operation, reply, kernel),
    }
}

/// The next request; none: the filesystem was unmounted.
fn next(device: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Option<usize>> {
    loop {
        match sys::read(device, buffer) {
            Ok(0) | Err(Errno(libc::ENODEV)) => return Ok(None),
            // The program was interrupted before it was read.
            Err(Errno(libc::ENOENT | libc::EAGAIN)) => {}
            other => return other.map(Some),
        }
    }
}

fn send(device: BorrowedFd<'_>, reply: &mut Reply, unique: u64, error: Option<Errno>) {
    match sys::write_some(device, reply.end(unique, error)) {
        // The program does not wait any more, or the filesystem was unmounted.
        Ok(_) | Err(Errno(libc::ENOENT | libc::ENODEV)) => {}
        // Nobody is to wait for an answer that the kernel does not take.
        Err(_) => drop(sys::write_some(device, reply.end(unique, Some(Errno(libc::EIO))))),
    }
}

/// Answers the first request.
fn begin<F: Filesystem>(init: &Init, reply: &mut Reply) -> Result<()> {
    if init.version.0 != VERSION.0 {
        return Err(Errno(libc::EPROTO));
    }
    let wanted = flags::ASYNC_READ | flags::BIG_WRITES | flags::MAX_PAGES | flags::INIT_EXT | F::WANTED;
    let flags = wanted & init.flags;
    let number = |number: u32| number.to_ne_bytes();
    let start = [VERSION.0, VERSION.1.min(init.version.1), init.readahead, flags as u32];
    start.iter().for_each(|word| reply.add(&number(*word)));
    [BACKGROUND.0, BACKGROUND.1].iter().for_each(|word| reply.add(&word.to_ne_bytes()));
    // The largest write, and the granularity of times in nanoseconds.
    [LARGEST, 1].iter().for_each(|word| reply.add(&number(*word)));
    // The largest request in pages, and no alignment of mappings.
    [(LARGEST / 4096) as u16, 0].iter().for_each(|word| reply.add(&word.to_ne_bytes()));
    reply.add(&number((flags >> 32) as u32));
    reply.add(&[0; 28]);
    Ok(())
}
