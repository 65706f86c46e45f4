//! Reads /etc/passwd, /etc/group, /etc/subuid and /etc/subgid as files, since a static program has no NSS.

use crate::sys::Result;
use serde::Serialize;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A line of passwd(5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User id of the account.
    pub uid: u32,
    /// Id of the account's primary group.
    pub gid: u32,
    /// Home directory of the account.
    pub home: PathBuf,
    /// Login shell; may be empty.
    pub shell: String,
}

impl Account {
    /// Whether the account is a person's rather than the system's: its user id is in the usual range, UID_MIN to
    /// UID_MAX of login.defs(5).
    pub fn is_person(&self) -> bool {
        (1000..60000).contains(&self.uid)
    }
}

/// A range of ids, as in a line of subuid(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    /// First id of the range.
    pub start: u32,
    /// Number of ids.
    pub count: u32,
}

/// The accounts in a passwd(5) file; none if there is no such file. Invalid lines are skipped, as NSS does.
pub fn accounts(file: &Path) -> Result<Vec<Account>> {
    match std::fs::read(file) {
        Ok(text) => Ok(parse_accounts(&text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Some hosts have thousands of accounts, and each start reads them all: by bytes, that takes a fraction of what text takes.
fn parse_accounts(text: &[u8]) -> Vec<Account> {
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let mut fields = line.strip_suffix(b"\r").unwrap_or(line).split(|byte| *byte == b':');
            let (name, _) = (fields.next()?, fields.next()?);
            let (uid, gid) = (id(fields.next()?)?, id(fields.next()?)?);
            let home = plain(Path::new(OsStr::from_bytes(fields.nth(1)?)));
            Some(Account { name: text_of(name), uid, gid, home, shell: text_of(fields.next().unwrap_or_default()) })
        })
        .collect()
}

/// The number that a field has, in decimal digits.
fn id(field: &[u8]) -> Option<u32> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u32::from(byte - b'0'));
    let add = |number: u32, byte| number.checked_mul(10)?.checked_add(digit(byte)?);
    if field.is_empty() { None } else { field.iter().try_fold(0, add) }
}

fn text_of(field: &[u8]) -> String {
    std::str::from_utf8(field).map_or_else(|_| String::from_utf8_lossy(field).into_owned(), str::to_owned)
}

/// The path without `.` and repeated slashes, as [`within`](crate::spec::within) takes it.
fn plain(path: &Path) -> PathBuf {
    let bytes = path.as_os_str().as_bytes();
    let pairs = || bytes.iter().zip(bytes.get(1..).unwrap_or_default());
    let is_plain = !bytes.ends_with(b"/") && !pairs().any(|(one, next)| *one == b'/' && matches!(next, b'/' | b'.'));
    if is_plain { path.to_owned() } else { path.components().collect() }
}

/// The names and ids in a group(5) file.
pub fn groups(file: &Path) -> Vec<(String, u32)> {
    parse_groups(&std::fs::read(file).unwrap_or_default())
}

/// By bytes, as accounts.
fn parse_groups(text: &[u8]) -> Vec<(String, u32)> {
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let mut fields = line.strip_suffix(b"\r").unwrap_or(line).split(|byte| *byte == b':');
            let (name, number) = (fields.next()?, fields.nth(1)?);
            Some((text_of(name), id(number)?))
        })
        .collect()
}

/// The names of the members that a group(5) file lists for a group, without those whose primary group it is; `None` if
/// the file does not have the group.
pub fn members(file: &Path, gid: u32) -> Option<Vec<String>> {
    let text = std::fs::read(file).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().find_map(|line| {
        let mut fields = line.split(':').skip(2);
        let found = fields.next()?.parse() == Ok(gid);
        let members = fields.next().unwrap_or_default();
        found.then(|| members.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    })
}

/// The ranges in a subuid(5) file that belong to a user, by name or by user id.
pub fn ranges(file: &Path, name: Option<&str>, uid: u32) -> Vec<Range> {
    parse_ranges(&std::fs::read_to_string(file).unwrap_or_default(), name, uid)
}

fn parse_ranges(text: &str, name: Option<&str>, uid: u32) -> Vec<Range> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let owner = fields.next()?;
            let (start, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            let ours = Some(owner) == name || owner.parse() == Ok(uid);
            (ours && count > 0).then_some(Range { start, count })
        })
        .collect()
}

/// The ids inside a user namespace that a map file of user_namespaces(7) defines: the first and the last number of each
/// line.
pub fn own_ranges(file: &Path) -> Vec<Range> {
    std::fs::read_to_string(file)
        .unwrap_or_default()
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            Some(Range { start: fields.next()?.parse().ok()?, count: fields.nth(1)?.parse().ok()? })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_and_by_number_and_there_may_be_several() {
        let text = "# x\nalice:100000:65536\nbob:1:1\n1000:300000:1000\nalice:bad:1\nalice:5:0\n";
        let found = parse_ranges(text, Some("alice"), 1000);
        assert_eq!(found, [Range { start: 100_000, count: 65536 }, Range { start: 300_000, count: 1000 }]);
    }

    #[test]
    fn groups_are_read_with_their_ids() {
        let found = parse_groups(b"root:x:0:\n\nbroken\nwheel:x:10:a,b\r\nbad:x:y:\nlast:x:7:");
        assert_eq!(found, [("root".to_owned(), 0), ("wheel".to_owned(), 10), ("last".to_owned(), 7)]);
    }

    #[test]
    fn lines_that_are_no_accounts_are_passed_over() {
        let found = parse_accounts(b"root:x:0:0:root:/root:/bin/sh\n+::::::\nbroken\nu:x:7:8::/./h//\n");
        assert_eq!(found.len(), 2);
        assert_eq!((found[1].uid, found[1].gid, found[1].home.as_path()), (7, 8, Path::new("/h")));
    }
}
