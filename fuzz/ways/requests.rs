//! Requests of any kind to the view server and to the server of the FUSE union: no panic, each is answered, and nothing but the
//! upper layer is changed.

use sbx::union::fuse::{self, Layers, Unions, UpperPlace};
use sbx::union::view::{self, Owners, Tree, Trees};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Names: some are there, some are not, some no kernel would send.
const NAMES: [&[u8]; 12] =
    [b"a", b"dir", b"inner", b"link", b"hard", b"gone", b"new", b"..", b"../secret", b".", b"\n\xff", b"0"];

/// A directory that is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    /// One that no other call of this process has. A process that was killed may have left one of the same name.
    fn new() -> Scratch {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let scratch = Scratch(std::env::temp_dir().join(format!("sbx-requests-{}-{call}", std::process::id())));
        scratch.remove();
        scratch
    }

    fn remove(&self) {
        if std::fs::remove_dir_all(&self.0).is_err() && self.0.exists() {
            // Requests may have closed directories to their owner.
            let _ = std::process::Command::new("chmod").args(["-R", "u+rwx"]).arg(&self.0).status();
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Numbers of requests: linux/fuse.h.
mod op {
    pub const LOOKUP: u32 = 1;
    pub const FORGET: u32 = 2;
    pub const INIT: u32 = 26;
    pub const DESTROY: u32 = 38;
    pub const BATCH_FORGET: u32 = 42;
}

/// The end of the device that is the kernel's.
struct Kernel {
    device: std::fs::File,
    /// Nodes that it was told of.
    nodes: Vec<u64>,
    unique: u64,
}

impl Kernel {
    /// Sends a request, and gives the answer without its head.
    fn ask(&mut self, kind: u32, node: u64, body: &[u8]) -> Option<Vec<u8>> {
        self.unique += 2;
        let mut request = Vec::new();
        request.extend((40 + body.len() as u32).to_le_bytes());
        request.extend(kind.to_le_bytes());
        request.extend(self.unique.to_le_bytes());
        request.extend(node.to_le_bytes());
        // User, group, process, padding.
        request.extend([0; 16]);
        request.extend(body);
        self.device.write_all(&request).expect("the server is there");
        if kind == op::FORGET || kind == op::BATCH_FORGET {
            return None;
        }
        let mut answer = vec![0; 1 << 17];
        loop {
            let length = self.device.read(&mut answer).expect("an answer");
            assert!(length >= 16, "the server has ended at request {kind}");
            // Without a number: it tells the kernel that attributes have changed.
            if answer[8..16] != [0; 8] {
                answer.truncate(length);
                break;
            }
        }
        assert_eq!(answer[8..16], self.unique.to_le_bytes());
        let failed = answer[4..8] != [0; 4];
        Some(answer.split_off(16)).filter(|_| !failed)
    }
}

fn pair() -> (OwnedFd, std::fs::File) {
    let mut pair = [0; 2];
    // SAFETY: the array has room for two descriptors, which belong to nobody else.
    unsafe {
        assert_eq!(libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, pair.as_mut_ptr()), 0);
        (OwnedFd::from_raw_fd(pair[0]), std::fs::File::from_raw_fd(pair[1]))
    }
}

fn tree(dir: &Path) -> Vec<(PathBuf, u64, Vec<u8>)> {
    let mut all = Vec::new();
    let mut entries: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let facts = path.symlink_metadata().unwrap();
        if facts.is_dir() {
            all.push((path.clone(), 0, Vec::new()));
            all.extend(tree(&path));
        } else if facts.is_file() {
            all.push((path.clone(), facts.len(), std::fs::read(&path).unwrap()));
        } else {
            all.push((path.clone(), 1, Vec::new()));
        }
    }
    all
}

/// The whole way. The first byte says which server; after it, requests: the kind, the node, a name, another one, and a byte of
/// which the numbers in it are made.
pub fn way(bytes: &[u8]) {
    let [which, rest @ ..] = bytes else { return };
    let scratch = Scratch::new();
    let place = |path: &str| scratch.0.join(path);
    for dir in ["host/lower/dir/deep", "host/below/dir", "upper", "work"] {
        std::fs::create_dir_all(place(dir)).unwrap();
    }
    for file in ["host/lower/a", "host/lower/dir/inner", "host/below/b", "host/secret"] {
        std::fs::write(place(file), file).unwrap();
    }
    std::os::unix::fs::symlink("../secret", place("host/lower/link")).unwrap();
    std::fs::hard_link(place("host/lower/a"), place("host/lower/hard")).unwrap();
    let before = tree(&place("host"));
    let source = |path: &str| Tree { source: place(path).canonicalize().unwrap(), hidden: Vec::new() };
    let trees = Trees {
        trees: vec![source("host/lower"), source("host/below")],
        uids: Owners::default(),
        gids: Owners::default(),
    };
    let (theirs, device) = pair();
    let fd = device.as_raw_fd();
    let union = which & 1 == 1;
    let server = match union {
        true => {
            let real = |path: &str| place(path).canonicalize().unwrap();
            let upper = Some(UpperPlace { upper: real("upper"), work: real("work"), kept: false });
            let layers = Layers { trees: vec![0, 1], upper, ..Layers::default() };
            std::thread::spawn(move || {
                fuse::answer(Unions { trees, unions: vec![layers], ..Unions::default() }, theirs)
            })
        }
        false => std::thread::spawn(move || view::answer(trees, theirs)),
    };
    let mut kernel = Kernel { device, nodes: vec![1], unique: 0 };
    let mut init = Vec::new();
    for word in [7_u32, 45, 1 << 17, u32::MAX, u32::MAX] {
        init.extend(word.to_le_bytes());
    }
    init.extend([0; 44]);
    kernel.ask(op::INIT, 0, &init).expect("an answer to the first request");
    if let Some(top) = kernel.ask(op::LOOKUP, 1, b"0\0") {
        kernel.nodes.push(u64::from_le_bytes(top[..8].try_into().unwrap()));
    }
    for request in rest.chunks_exact(5).take(200) {
        let [kind, node, first, second, number] = request else { continue };
        let kind = u32::from(*kind) % 54;
        if kind == op::INIT || kind == op::DESTROY {
            continue;
        }
        let node = kernel.nodes[usize::from(*node) % kernel.nodes.len()];
        let names = [first, second].map(|index| NAMES[usize::from(*index) % NAMES.len()]);
        let body = body(kind, names, *number, kernel.nodes[usize::from(*second) % kernel.nodes.len()]);
        let answer = kernel.ask(kind, node, &body);
        // What tells of a node: LOOKUP, SYMLINK, MKNOD, MKDIR, LINK, CREATE.
        if let (1 | 6 | 8 | 9 | 13 | 35, Some(answer)) = (kind, answer)
            && answer.len() >= 128
        {
            let told = u64::from_le_bytes(answer[..8].try_into().unwrap());
            kernel.nodes.extend((told > 1).then_some(told));
        }
    }
    // The end of the device.
    // SAFETY: it is a number of this process, which the file still owns.
    unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
    let _ = server.join().expect("no panic");
    assert_eq!(tree(&place("host")), before, "the host is as it was");
}

/// What follows the head of a request.
fn body(kind: u32, [first, second]: [&[u8]; 2], number: u8, other: u64) -> Vec<u8> {
    let mut body = Vec::new();
    let n = u64::from(number);
    let word = |body: &mut Vec<u8>, words: &[u64]| words.iter().for_each(|word| body.extend(word.to_le_bytes()));
    let half = |body: &mut Vec<u8>, words: &[u32]| words.iter().for_each(|word| body.extend(word.to_le_bytes()));
    let text = |body: &mut Vec<u8>, text: &[u8]| {
        body.extend(text);
        body.push(0);
    };
    match kind {
        // LOOKUP, UNLINK, RMDIR, REMOVEXATTR
        1 | 10 | 11 | 24 => text(&mut body, first),
        2 => word(&mut body, &[n & 3]),
        // GETATTR
        3 => word(&mut body, &[0, 0]),
        // SETATTR: valid, padding, fh, size, lock, times, mode, ids
        4 => {
            half(&mut body, &[u32::from(number) & 0x1ff, 0]);
            word(&mut body, &[0, n * 7, 0, n, n, n]);
            half(&mut body, &[n as u32, n as u32, n as u32, 0o100644 | n as u32, 0, 0, 0, 0]);
        }
        // SYMLINK
        6 => {
            text(&mut body, first);
            text(&mut body, second);
        }
        // MKNOD: mode, rdev, umask
        8 => {
            let kind = [libc::S_IFREG, libc::S_IFIFO, libc::S_IFCHR, libc::S_IFSOCK][usize::from(number & 3)];
            half(&mut body, &[kind | 0o644, 0, 0o22, 0]);
            text(&mut body, first);
        }
        // MKDIR
        9 => {
            half(&mut body, &[0o755, 0o22]);
            text(&mut body, first);
        }
        // RENAME
        12 => {
            word(&mut body, &[other]);
            text(&mut body, first);
            text(&mut body, second);
        }
        // RENAME2
        45 => {
            word(&mut body, &[other]);
            half(&mut body, &[u32::from(number) & 7, 0]);
            text(&mut body, first);
            text(&mut body, second);
        }
        // LINK
        13 => {
            word(&mut body, &[other]);
            text(&mut body, first);
        }
        // OPEN, OPENDIR
        14 | 27 => half(&mut body, &[[0, 1, 2, 0o1001][usize::from(number & 3)], 0]),
        // READ, READDIR, READDIRPLUS
        15 | 28 | 44 => {
            word(&mut body, &[n & 1, n * 3]);
            half(&mut body, &[u32::from(number) * 16, 0]);
            word(&mut body, &[0]);
            half(&mut body, &[0, 0]);
        }
        // WRITE
        16 => {
            word(&mut body, &[0, n * 100]);
            half(&mut body, &[first.len() as u32, u32::from(number) & 7]);
            word(&mut body, &[0]);
            half(&mut body, &[1, 0]);
            body.extend(first);
        }
        // SETXATTR
        21 => {
            half(&mut body, &[second.len() as u32, u32::from(number) & 3]);
            let names: [&[u8]; 4] = [b"user.mine", b"user.overlay.opaque", b"system.posix_acl_access", b"trusted.x"];
            text(&mut body, names[usize::from(number >> 6)]);
            body.extend(second);
        }
        // GETXATTR, LISTXATTR
        22 | 23 => {
            half(&mut body, &[u32::from(number), 0]);
            if kind == 22 {
                text(&mut body, b"user.mine");
            }
        }
        // CREATE: flags, mode, umask
        35 => {
            half(&mut body, &[[1, 2, 0o101, 0o301][usize::from(number & 3)], 0o100644, 0o22, 0]);
            text(&mut body, first);
        }
        // IOCTL
        39 => {
            word(&mut body, &[0]);
            half(&mut body, &[0, u32::from(number)]);
            word(&mut body, &[0]);
            half(&mut body, &[first.len() as u32, u32::from(number)]);
            body.extend(first);
        }
        // BATCH_FORGET
        42 => {
            half(&mut body, &[1, 0]);
            word(&mut body, &[other, n & 3]);
        }
        // FALLOCATE
        43 => {
            word(&mut body, &[0, n * 10, n * 20]);
            half(&mut body, &[u32::from(number) & 3, 0]);
        }
        // LSEEK
        46 => {
            word(&mut body, &[0, n]);
            half(&mut body, &[3 + (u32::from(number) & 1), 0]);
        }
        // COPY_FILE_RANGE
        47 => word(&mut body, &[0, n, other, 0, n * 2, n * 30, 0]),
        _ => body.extend(std::iter::repeat_n(number, usize::from(number))),
    }
    body
}
