//! Random operations on an overlay of several layers have the same results as on a plain directory, by each mechanism: the
//! kernel's overlay, that over the view server, and the FUSE union.
//!
//! A sandbox executes this program again ([`driver`]), which applies a list of operations to both. `SBX_CASES` says how many lists,
//! `SBX_SEED` which ones.

mod common;

use common::{Place, Ran, fuse, ran, sbx, tools, userns};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The file in the current directory that says what [`driver`] is to do.
const ORDER: &str = "order.json";

/// Files that are held open.
const SLOTS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Mechanism {
    Overlay,
    Hybrid,
    Fuse,
    /// The FUSE union, with its upper layer on an overlay, which takes no devices.
    Nested,
}

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    mechanism: Mechanism,
    /// Numbers of names are compared. A file of a layer below has there the names that are deleted above, too.
    links: bool,
    cases: Vec<Vec<Op>>,
}

/// A path, as indexes of names.
type Rel = Vec<u8>;

/// A system call, or a few.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Op {
    Write(Rel, u16, u16, u8),
    Replace(Rel, u16, u8),
    Append(Rel, u16, u8),
    CreateNew(Rel, u16),
    Truncate(Rel, u16),
    Punch(Rel, u16, u16),
    Copy(Rel, Rel),
    Mkdir(Rel),
    Unlink(Rel),
    Rmdir(Rel),
    RemoveAll(Rel),
    Rename(Rel, Rel),
    RenameNew(Rel, Rel),
    Exchange(Rel, Rel),
    Link(Rel, Rel),
    Symlink(u8, Rel),
    Fifo(Rel),
    Chmod(Rel, u16),
    Times(Rel, u32),
    SetAttribute(Rel, u8),
    RemoveAttribute(Rel),
    Open(u8, bool, Rel),
    WriteOpen(u8, u16, u8),
    ReadOpen(u8),
    StatOpen(u8),
    ReadFile(Rel),
    Stat(Rel),
    List(Rel),
}

/// Names: one has a line feed, one is not UTF-8, one looks like a whiteout of an image.
const NAMES: [&[u8]; 7] = [b"a", b"b", b"c", b"dir", b"new\nline", b"\xff\xfe", b".wh.a"];

fn path(root: &Path, rel: &Rel) -> PathBuf {
    let mut path = root.to_owned();
    path.extend(rel.iter().map(|index| OsStr::from_bytes(NAMES[*index as usize % NAMES.len()])));
    path
}

fn rel() -> impl Strategy<Value = Rel> {
    let name = prop_oneof![12 => 0_u8..4, 1 => 4_u8..7];
    prop_oneof![
        3 => prop::collection::vec(name.clone(), 1),
        4 => prop::collection::vec(name.clone(), 2),
        2 => prop::collection::vec(name, 3),
    ]
}

fn op(links: bool) -> impl Strategy<Value = Op> {
    let at = || 0_u16..9000;
    let changes = prop_oneof![
        4 => (rel(), at(), 1_u16..6000, any::<u8>()).prop_map(|(p, o, l, b)| Op::Write(p, o, l, b)),
        4 => (rel(), at(), any::<u8>()).prop_map(|(p, l, b)| Op::Replace(p, l, b)),
        3 => (rel(), 1_u16..3000, any::<u8>()).prop_map(|(p, l, b)| Op::Append(p, l, b)),
        2 => (rel(), 0_u16..0o777).prop_map(|(p, m)| Op::CreateNew(p, m | 0o400)),
        2 => (rel(), at()).prop_map(|(p, l)| Op::Truncate(p, l)),
        1 => (rel(), at(), 1_u16..5000).prop_map(|(p, o, l)| Op::Punch(p, o, l)),
        2 => (rel(), rel()).prop_map(|(a, b)| Op::Copy(a, b)),
        6 => rel().prop_map(Op::Mkdir),
        5 => rel().prop_map(Op::Unlink),
        3 => rel().prop_map(Op::Rmdir),
        2 => rel().prop_map(Op::RemoveAll),
        8 => (rel(), rel()).prop_map(|(a, b)| Op::Rename(a, b)),
        1 => (rel(), rel()).prop_map(|(a, b)| Op::RenameNew(a, b)),
        2 => (rel(), rel()).prop_map(|(a, b)| Op::Exchange(a, b)),
    ];
    let more = prop_oneof![
        2 => (any::<u8>(), rel()).prop_map(|(t, p)| Op::Symlink(t, p)),
        1 => rel().prop_map(Op::Fifo),
        2 => (rel(), 0_u16..0o777).prop_map(|(p, m)| Op::Chmod(p, m | 0o700)),
        2 => (rel(), any::<u32>()).prop_map(|(p, t)| Op::Times(p, t)),
        2 => (rel(), any::<u8>()).prop_map(|(p, v)| Op::SetAttribute(p, v)),
        1 => rel().prop_map(Op::RemoveAttribute),
        3 => (0..SLOTS as u8, any::<bool>(), rel()).prop_map(|(s, w, p)| Op::Open(s, w, p)),
        3 => (0..SLOTS as u8, at(), any::<u8>()).prop_map(|(s, o, b)| Op::WriteOpen(s, o, b)),
        3 => (0..SLOTS as u8).prop_map(Op::ReadOpen),
        2 => (0..SLOTS as u8).prop_map(Op::StatOpen),
        3 => rel().prop_map(Op::ReadFile),
        4 => rel().prop_map(Op::Stat),
        3 => rel().prop_map(Op::List),
    ];
    let link = (rel(), rel()).prop_map(move |(a, b)| if links { Op::Link(a, b) } else { Op::Stat(a) });
    prop_oneof![10 => changes, 7 => more, 1 => link]
}

/// One side: a directory, and files in it that are held open.
struct Side {
    root: PathBuf,
    open: [Option<File>; SLOTS],
}

type Outcome = Result<String, i32>;

fn fail<T>(result: std::io::Result<T>) -> Result<T, i32> {
    result.map_err(|error| error.raw_os_error().unwrap_or(-1))
}

fn c(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

fn done(value: i64) -> Result<(), i32> {
    if value < 0 { Err(std::io::Error::last_os_error().raw_os_error().unwrap()) } else { Ok(()) }
}

fn data(length: u16, byte: u8) -> Vec<u8> {
    (0..length).map(|at| byte.wrapping_add((at / 100) as u8)).collect()
}

fn rename(from: &Path, to: &Path, flags: u32) -> Result<(), i32> {
    let (from, to) = (c(from), c(to));
    // SAFETY: both paths end with a NUL and outlive the call.
    done(unsafe {
        libc::syscall(libc::SYS_renameat2, libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), flags)
    })
}

fn attribute(path: &Path) -> Option<Vec<u8>> {
    let mut value = vec![0; 100];
    let path = c(path);
    // SAFETY: the path and the name end with a NUL; the buffer may be written for the length that is passed.
    let length = unsafe { libc::lgetxattr(path.as_ptr(), c"user.mine".as_ptr(), value.as_mut_ptr().cast(), 100) };
    value.truncate(usize::try_from(length).ok()?);
    Some(value)
}

fn facts(facts: &std::fs::Metadata, links: bool) -> String {
    let kind = facts.file_type();
    let size = if kind.is_file() || kind.is_symlink() { facts.len() } else { 0 };
    let count = if links && !kind.is_dir() { facts.nlink() } else { 0 };
    format!("{:o} {size} {count} {}:{}", facts.mode(), facts.uid(), facts.gid())
}

impl Side {
    fn apply(&mut self, op: &Op, links: bool) -> Outcome {
        let at = |rel: &Rel| path(&self.root, rel);
        let write = |options: &mut OpenOptions, rel: &Rel| fail(options.custom_flags(libc::O_NONBLOCK).open(at(rel)));
        match op {
            Op::Write(rel, offset, length, byte) => {
                let file = write(OpenOptions::new().write(true), rel)?;
                fail(file.write_all_at(&data(*length, *byte), u64::from(*offset)))?;
            }
            Op::Replace(rel, length, byte) => {
                let mut file = write(OpenOptions::new().write(true).create(true).truncate(true), rel)?;
                fail(file.write_all(&data(*length, *byte)))?;
            }
            Op::Append(rel, length, byte) => {
                let mut file = write(OpenOptions::new().append(true), rel)?;
                fail(file.write_all(&data(*length, *byte)))?;
            }
            Op::CreateNew(rel, mode) => {
                let mut file = write(OpenOptions::new().write(true).create_new(true).mode(u32::from(*mode)), rel)?;
                fail(file.write_all(b"created"))?;
            }
            Op::Truncate(rel, length) => fail(write(OpenOptions::new().write(true), rel)?.set_len(u64::from(*length)))?,
            Op::Punch(rel, offset, length) => {
                use std::os::fd::AsRawFd;
                let file = write(OpenOptions::new().write(true), rel)?;
                let flags = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
                // SAFETY: all arguments are integers.
                done(unsafe {
                    libc::fallocate(file.as_raw_fd(), flags, i64::from(*offset), i64::from(*length)).into()
                })?;
            }
            Op::Copy(from, to) => {
                let mut from = write(OpenOptions::new().read(true), from)?;
                let mut to = write(OpenOptions::new().write(true).create(true), to)?;
                fail(std::io::copy(&mut from, &mut to))?;
            }
            Op::Mkdir(rel) => fail(std::fs::create_dir(at(rel)))?,
            Op::Unlink(rel) => fail(std::fs::remove_file(at(rel)))?,
            Op::Rmdir(rel) => fail(std::fs::remove_dir(at(rel)))?,
            Op::RemoveAll(rel) => fail(std::fs::remove_dir_all(at(rel)))?,
            Op::Rename(from, to) => rename(&at(from), &at(to), 0)?,
            Op::RenameNew(from, to) => rename(&at(from), &at(to), libc::RENAME_NOREPLACE)?,
            Op::Exchange(from, to) => rename(&at(from), &at(to), libc::RENAME_EXCHANGE)?,
            Op::Link(from, to) => fail(std::fs::hard_link(at(from), at(to)))?,
            Op::Symlink(target, rel) => {
                let target = OsStr::from_bytes(NAMES[*target as usize % NAMES.len()]);
                fail(std::os::unix::fs::symlink(target, at(rel)))?;
            }
            Op::Fifo(rel) => {
                let path = c(&at(rel));
                // SAFETY: the path ends with a NUL.
                done(unsafe { libc::mkfifo(path.as_ptr(), 0o644).into() })?;
            }
            Op::Chmod(rel, mode) => {
                fail(std::fs::set_permissions(at(rel), std::fs::Permissions::from_mode(u32::from(*mode))))?;
            }
            Op::Times(rel, time) => {
                let times = [libc::timespec { tv_sec: i64::from(*time), tv_nsec: i64::from(*time % 1000) }; 2];
                let file = c(&at(rel));
                let flags = libc::AT_SYMLINK_NOFOLLOW;
                // SAFETY: the path ends with a NUL, and there are two times.
                done(unsafe { libc::utimensat(libc::AT_FDCWD, file.as_ptr(), times.as_ptr(), flags).into() })?;
                let facts = fail(at(rel).symlink_metadata())?;
                return Ok(format!("{} {}", facts.mtime(), facts.mtime_nsec()));
            }
            Op::SetAttribute(rel, value) => {
                let file = c(&at(rel));
                let value = [*value; 20];
                // SAFETY: the path and the name end with a NUL, and the value has this length.
                done(unsafe {
                    libc::lsetxattr(file.as_ptr(), c"user.mine".as_ptr(), value.as_ptr().cast(), value.len(), 0).into()
                })?;
            }
            Op::RemoveAttribute(rel) => {
                let file = c(&at(rel));
                // SAFETY: the path and the name end with a NUL.
                done(unsafe { libc::lremovexattr(file.as_ptr(), c"user.mine".as_ptr()).into() })?;
            }
            Op::Open(slot, writable, rel) => {
                let file = write(OpenOptions::new().read(true).write(*writable), rel);
                let is_file = file.as_ref().is_ok_and(|file| file.metadata().unwrap().is_file());
                let error = file.as_ref().err().copied();
                self.open[*slot as usize] = file.ok().filter(|_| is_file);
                return error.map_or(Ok(format!("{is_file}")), Err);
            }
            Op::WriteOpen(slot, offset, byte) => {
                if let Some(file) = &self.open[*slot as usize] {
                    fail(file.write_all_at(&data(500, *byte), u64::from(*offset)))?;
                }
            }
            Op::ReadOpen(slot) => {
                if let Some(file) = &mut self.open[*slot as usize] {
                    let mut content = Vec::new();
                    fail(file.seek(SeekFrom::Start(0)))?;
                    fail(file.read_to_end(&mut content))?;
                    return Ok(format!("{} {:?}", content.len(), sum(&content)));
                }
            }
            Op::StatOpen(slot) => {
                if let Some(file) = &self.open[*slot as usize] {
                    return Ok(facts(&fail(file.metadata())?, links));
                }
            }
            Op::ReadFile(rel) => {
                let mut content = Vec::new();
                let mut file = write(OpenOptions::new().read(true), rel)?;
                fail(file.read_to_end(&mut content))?;
                return Ok(format!("{} {:?}", content.len(), sum(&content)));
            }
            Op::Stat(rel) => return Ok(facts(&fail(at(rel).symlink_metadata())?, links)),
            Op::List(rel) => {
                let mut names = Vec::new();
                for entry in fail(std::fs::read_dir(at(rel)))? {
                    let entry = fail(entry)?;
                    names.push((entry.file_name(), format!("{:?}", fail(entry.file_type())?)));
                }
                names.sort();
                return Ok(format!("{names:?}"));
            }
        }
        Ok(String::new())
    }

    /// Everything in it, as text.
    fn tree(&self, links: bool) -> BTreeMap<OsString, String> {
        let mut all = BTreeMap::new();
        let mut waiting = vec![PathBuf::new()];
        while let Some(dir) = waiting.pop() {
            for entry in std::fs::read_dir(self.root.join(&dir)).unwrap() {
                let rel = dir.join(entry.unwrap().file_name());
                let path = self.root.join(&rel);
                let found = path.symlink_metadata().unwrap();
                let kind = found.file_type();
                let content = match () {
                    () if kind.is_dir() => {
                        waiting.push(rel.clone());
                        String::new()
                    }
                    () if kind.is_symlink() => format!("{:?}", std::fs::read_link(&path).unwrap()),
                    () if kind.is_fifo() => String::new(),
                    () => sum(&read(&path)),
                };
                let text = format!("{} {content} {:?}", facts(&found, links), attribute(&path));
                all.insert(rel.into_os_string(), text);
            }
        }
        all
    }
}

fn read(path: &Path) -> Vec<u8> {
    // A program without capabilities may not read what it has closed to itself.
    std::fs::read(path).unwrap_or_else(|error| error.to_string().into_bytes())
}

fn sum(content: &[u8]) -> String {
    let sum = content.iter().fold(7_u64, |sum, byte| sum.wrapping_mul(1_000_003).wrapping_add(u64::from(*byte)));
    format!("{}:{sum:x}", content.len())
}

fn side(root: PathBuf) -> Side {
    Side { root, open: [const { None }; SLOTS] }
}

/// Whether a result of the kernel's overlay may differ: it neither renames directories of lower layers, nor shows by an open file
/// what was written to its copy; and it takes a new name of a file that had several below for another file, onto which it does not
/// rename the old one (ESTALE), where that would be nothing to do.
fn differs(mechanism: Mechanism, op: &Op, outcome: &Outcome) -> bool {
    !matches!(mechanism, Mechanism::Fuse | Mechanism::Nested)
        && match op {
            Op::Rename(..) => matches!(outcome, Err(libc::EXDEV | libc::ESTALE)),
            Op::RenameNew(..) | Op::Exchange(..) => *outcome == Err(libc::EXDEV),
            Op::ReadOpen(_) | Op::StatOpen(_) => true,
            _ => false,
        }
}

/// What a sandbox executes: applies the operations of [`ORDER`] in `lower` and in `plain`.
#[test]
fn driver() {
    let Ok(order) = std::fs::read_to_string(ORDER) else { return };
    let order: Order = serde_json::from_str(&order).unwrap();
    let links = order.links;
    for (number, ops) in order.cases.iter().enumerate() {
        let name = format!("case{number}");
        let (mut ours, mut plain) = (side(Path::new("lower").join(&name)), side(Path::new("plain").join(&name)));
        for (at, op) in ops.iter().enumerate() {
            let outcome = ours.apply(op, links);
            if differs(order.mechanism, op, &outcome) {
                continue;
            }
            let expected = plain.apply(op, links);
            assert_eq!(outcome, expected, "case {number}, {op:?}, after {:?}", &ops[..at]);
        }
        let (left, right) = (ours.tree(links), plain.tree(links));
        let both = left.keys().chain(right.keys()).collect::<std::collections::BTreeSet<_>>();
        let differ: Vec<_> = both.iter().filter(|key| left.get(**key) != right.get(**key)).collect();
        let differ: Vec<_> = differ.iter().map(|key| (key, left.get(**key), right.get(**key))).collect();
        assert!(differ.is_empty(), "case {number}: {differ:?}, after {ops:?}");
    }
    println!("all the same");
}

fn generate(runner: &mut TestRunner, mechanism: Mechanism, cases: usize, links: bool, most: usize) -> Vec<Vec<Op>> {
    let strategy = prop::collection::vec(op(links), 1..most);
    let shown = |op: Op| match op {
        // The view server shows none.
        Op::SetAttribute(rel, _) | Op::RemoveAttribute(rel) if mechanism == Mechanism::Hybrid => Op::Stat(rel),
        op => op,
    };
    let mut one = || strategy.new_tree(runner).unwrap().current().into_iter().map(shown).collect();
    (0..cases).map(|_| one()).collect()
}

/// Executes [`driver`] in a sandbox.
fn drive(place: &Place, (order, by): (Order, Mechanism), more: &[&str]) -> Ran {
    std::fs::write(place.work().join(ORDER), serde_json::to_string(&order).unwrap()).unwrap();
    let program = std::env::current_exe().unwrap();
    let program = program.to_str().unwrap();
    let which = match by {
        Mechanism::Fuse | Mechanism::Nested => "filesystem.mechanism=\"fuse\"",
        _ => "filesystem.mechanism=\"overlay\"",
    };
    let mut args = vec!["--set", which, "--ro", ".", "--ro", program, "--overlay", "lower", "--rw", "plain"];
    args.extend(more);
    args.extend(["--", program, "driver", "--exact", "--nocapture", "--test-threads=1"]);
    run(place, by, &args)
}

/// Runs sbx on a host as the mechanism needs it: with a mount below the overlay, or a home on an overlay.
fn run(place: &Place, by: Mechanism, args: &[&str]) -> Ran {
    let setup = match by {
        Mechanism::Overlay | Mechanism::Fuse => return place.run(args),
        Mechanism::Hybrid => "mount -t tmpfs none lower/mount",
        Mechanism::Nested => {
            "mkdir -p ../up/u ../up/w; mount -t overlay -o lowerdir=../home,upperdir=../up/u,workdir=../up/w,userxattr none ../home"
        }
    };
    let script =
        format!("{setup} || exit 77\nexec setpriv --ambient-caps=-all --inh-caps=-all --bounding-set=-all -- \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["-cm", "--keep-caps", "/bin/sh", "-c", &script, "sh"]).arg(sbx()).args(args);
    command.current_dir(place.work()).env("HOME", place.home()).env("NO_COLOR", "1");
    ran(command.output().unwrap())
}

fn is_same(ran: &Ran, what: &str) {
    assert!(ran.status == Some(0) && ran.out.contains("all the same"), "{what}: {ran:?}");
}

fn compare(mechanism: Mechanism) {
    let number =
        |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (cases, seed) = (number("SBX_CASES", 150) as usize, number("SBX_SEED", 1));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let place = Place::new();
    let roots = ["lower", "plain"].map(|root| place.work().join(root));
    std::fs::create_dir_all(place.work().join("lower/mount")).unwrap();
    // The kernel's overlay does not keep hard links of lower layers.
    let links = matches!(mechanism, Mechanism::Fuse | Mechanism::Nested);
    let below = generate(&mut runner, mechanism, cases, links, 25);
    for (number, ops) in below.iter().enumerate() {
        for root in &roots {
            let root = root.join(format!("case{number}"));
            std::fs::create_dir_all(&root).unwrap();
            let mut side = side(root);
            ops.iter().for_each(|op| drop(side.apply(op, false)));
        }
    }
    let keep = ["--upper", "keep:one"];
    let first = generate(&mut runner, mechanism, cases, links, 30);
    let order = Order { mechanism, links, cases: first };
    is_same(&drive(&place, (order, mechanism), &keep), "over one layer");
    run(&place, mechanism, &["snapshot", "one"]).ok();
    let second = generate(&mut runner, mechanism, cases, true, 50);
    let order = Order { mechanism, links: false, cases: second };
    is_same(&drive(&place, (order, mechanism), &keep), "over two layers");
    // What one has written, the other reads.
    let others: &[Mechanism] = match mechanism {
        Mechanism::Fuse => &[Mechanism::Fuse, Mechanism::Overlay],
        Mechanism::Overlay => &[Mechanism::Fuse, Mechanism::Overlay],
        Mechanism::Hybrid => &[Mechanism::Hybrid],
        Mechanism::Nested => &[Mechanism::Nested],
    };
    for other in others {
        let order = Order { mechanism: *other, links: false, cases: vec![Vec::new(); cases] };
        is_same(&drive(&place, (order, *other), &keep), &format!("read by {other:?}"));
    }
}

#[test]
fn the_kernels_overlay_is_like_a_plain_directory() {
    need!(userns());
    compare(Mechanism::Overlay);
}

#[test]
fn the_overlay_over_the_view_server_is_like_a_plain_directory() {
    need!(userns(), fuse(), tools(&["unshare", "setpriv", "mount"]));
    compare(Mechanism::Hybrid);
}

#[test]
fn the_fuse_union_is_like_a_plain_directory() {
    need!(userns(), fuse());
    compare(Mechanism::Fuse);
}

#[test]
fn the_fuse_union_with_its_layer_on_an_overlay_is_like_a_plain_directory() {
    need!(userns(), fuse(), tools(&["unshare", "setpriv", "mount"]));
    let place = Place::new();
    if common::kernel() < (6, 7) || run(&place, Mechanism::Nested, &["uppers"]).status == Some(77) {
        return; // a kernel that lets no ordinary user mount an overlay, or whose overlays take no marks (see `fuse`)
    }
    compare(Mechanism::Nested);
}
