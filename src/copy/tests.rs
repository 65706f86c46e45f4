//! What arrives of a stream, whatever is in it.

use super::{At, How, pass, put, take};
use crate::sys;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// A stream of these entries: type, path, text of a link, mode; each file holds its own path.
fn stream(entries: &[(EntryType, &str, &str, u32)]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (kind, path, link, mode) in entries {
        let mut header = Header::new_gnu();
        let size = if *kind == EntryType::Regular { path.len() } else { 0 };
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_link_name_literal(link).unwrap();
        header.set_mode(*mode);
        header.set_size(size as u64);
        header.set_mtime(1_000_000_000);
        header.set_uid(0);
        header.set_gid(0);
        header.set_cksum();
        tar.append(&header, &path.as_bytes()[..size]).unwrap();
    }
    tar.into_inner().unwrap()
}

fn at(path: &Path) -> At<'_> {
    At { path, real: None }
}

#[test]
fn no_entry_leads_out_of_the_directory_whatever_it_says() {
    use EntryType as E;
    let place = tempfile::tempdir().unwrap();
    let (outside, to) = (place.path().join("outside"), place.path().join("to"));
    std::fs::create_dir(&outside).unwrap();
    std::fs::create_dir(&to).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    symlink("../outside", to.join("there")).unwrap();
    symlink("../outside/secret", to.join("named")).unwrap();
    let hostile = stream(&[
        (E::Regular, "../outside/a", "", 0o644),
        (E::Regular, "x/../../outside/b", "", 0o644),
        (E::Symlink, "made", "../outside", 0o777),
        (E::Regular, "made/c", "", 0o644),
        (E::Directory, "made", "", 0o777),
        (E::Regular, "there/d", "", 0o644),
        (E::Link, "hard", "../outside/secret", 0o644),
        (E::Link, "other", "named", 0o644),
        (E::Regular, "named", "", 0o6755),
        (E::Char, "device", "", 0o666),
        (E::Fifo, "pipe", "", 0o666),
        (E::Regular, "/absolute", "", 0o4711),
    ]);
    let left_out = put(&at(&to), How::All, hostile.as_slice()).unwrap();
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(std::fs::read_to_string(outside.join("secret")).unwrap(), "secret");
    let mut found: Vec<_> = std::fs::read_dir(&to).unwrap().map(|e| e.unwrap().file_name()).collect();
    found.sort();
    assert_eq!(found, ["absolute", "made", "named", "there"], "{left_out:?}");
    // A link is replaced, and not written through; nobody gets another one's rights.
    let named = std::fs::symlink_metadata(to.join("named")).unwrap();
    assert!(named.is_file() && named.mode() & 0o7777 == 0o755, "{named:?}");
    assert_eq!(left_out.len(), 9, "{left_out:#?}");
    // What is passed on has none of it either.
    let mut passed = Vec::new();
    pass(hostile.as_slice(), &mut passed).unwrap();
    let mut archive = tar::Archive::new(passed.as_slice());
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        assert!(!entry.path().unwrap().to_string_lossy().contains(".."));
        assert_eq!(entry.header().mode().unwrap() & 0o7000, 0);
        assert!(!matches!(entry.header().entry_type(), E::Char | E::Block | E::Fifo));
    }
}

#[test]
fn directories_that_lie_too_deep_in_each_other_are_left_out() {
    let place = tempfile::tempdir().unwrap();
    let named = |depth: usize| {
        let mut tar = Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o644);
        tar.append_data(&mut header, "d/".repeat(depth) + "file", std::io::empty()).unwrap();
        tar.into_inner().unwrap()
    };
    let left_out = put(&at(place.path()), How::All, named(501).as_slice()).unwrap();
    assert!(left_out.len() == 1 && left_out[0].contains("too deep in each other"), "{left_out:?}");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    assert_eq!(put(&at(place.path()), How::All, named(500).as_slice()).unwrap(), [""; 0]);
    assert!(place.path().join("d/".repeat(500) + "file").is_file());
}

#[test]
fn a_tree_arrives_with_its_permissions_times_links_and_holes() {
    let place = tempfile::tempdir().unwrap();
    let from = place.path().join("from");
    std::fs::create_dir_all(from.join("closed/in")).unwrap();
    std::fs::write(from.join("closed/in/file"), "text").unwrap();
    let long = "n".repeat(200);
    std::fs::write(from.join(&long), vec![0; 3 << 20]).unwrap();
    symlink("./closed//in/file", from.join("link")).unwrap();
    let dir = std::fs::File::open(from.join("closed")).unwrap();
    std::fs::set_permissions(from.join("closed/in"), std::fs::Permissions::from_mode(0o555)).unwrap();
    for (name, time) in [(c"in", -5_500_000_000), (c"in/file", 1_234_567_890_123_456_789)] {
        sys::set_modified(dir.as_fd(), name, time).unwrap();
    }
    let mut stream = Vec::new();
    assert_eq!(take(&at(&from), &mut stream).unwrap(), [""; 0]);
    let to = place.path().join("to");
    assert_eq!(put(&at(&to), How::Into, stream.as_slice()).unwrap(), [""; 0]);
    let status = |path: &str| std::fs::symlink_metadata(to.join(path)).unwrap();
    assert_eq!((status("closed/in").mode() & 0o777, status("closed/in").mtime()), (0o555, -6));
    assert_eq!(status("closed/in").mtime_nsec(), 500_000_000);
    assert_eq!((status("closed/in/file").mtime(), status("closed/in/file").mtime_nsec()), (1_234_567_890, 123_456_789));
    assert_eq!(std::fs::read_link(to.join("link")).unwrap(), Path::new("./closed//in/file"));
    assert_eq!((status(&long).len(), status(&long).blocks()), (3 << 20, 0));
    // Once more, into what is there, and into a directory that is.
    assert_eq!(put(&at(&to), How::Contents, stream.as_slice()).unwrap(), [""; 0]);
    assert_eq!(put(&at(&to), How::Into, stream.as_slice()).unwrap(), [""; 0]);
    assert_eq!(std::fs::read_to_string(to.join("from/closed/in/file")).unwrap(), "text");
    for dir in [&from, &to, &to.join("from")] {
        std::fs::set_permissions(dir.join("closed/in"), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn a_stream_that_ends_early_is_an_error_and_leaves_no_half_file() {
    let place = tempfile::tempdir().unwrap();
    let whole = stream(&[(EntryType::Regular, "a", "", 0o644), (EntryType::Regular, "bcdefg", "", 0o644)]);
    for length in 1..whole.len().min(1600) {
        let to = place.path().join(length.to_string());
        std::fs::create_dir(&to).unwrap();
        let result = put(&at(&to), How::All, &whole[..length]);
        let left: Vec<_> = std::fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().path()).collect();
        for path in left {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), name, "{length} {result:?}");
        }
    }
    assert!(put(&at(&place.path().join("7")), How::All, b"no tar stream at all".as_slice()).is_err());
}
