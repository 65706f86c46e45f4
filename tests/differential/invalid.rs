//! Lists that a launcher has to refuse.

use super::generate::Draft;
use super::grammar::{Carrier, Case, Command, Given, Group, What, Word, words};

/// Groups that are refused wherever they stand, before anything is set up.
const PARSED: [&[&str]; 62] = [
    &["--nope"],
    &["-x"],
    &["-"],
    &["--bind=/a", "/a"],
    &["--uid", "x"],
    &["--uid", "-1"],
    &["--uid", ""],
    &["--gid", "1x"],
    &["--gid", "-5"],
    &["--uid", "2147483648"],
    &["--gid", "4294967294"],
    &["--args", "x"],
    &["--args", "-1"],
    &["--args", ""],
    &["--file", "0x14", "/f"],
    &["--file", "-1", "/f"],
    &["--bind-data", "", "/f"],
    &["--ro-bind-data", "1.5", "/f"],
    &["--bind-fd", "x", "/f"],
    &["--ro-bind-fd", "-2", "/f"],
    &["--seccomp", "x"],
    &["--add-seccomp-fd", "-1"],
    &["--sync-fd", "-1"],
    &["--block-fd", "0a"],
    &["--info-fd", " "],
    &["--json-status-fd", "1 "],
    &["--userns", "x"],
    &["--userns2", "-1"],
    &["--pidns", "x"],
    &["--userns-block-fd", "x"],
    &["--perms", "8", "--dir", "/f"],
    &["--perms", "10000", "--dir", "/f"],
    &["--perms", "", "--dir", "/f"],
    &["--perms", "-1", "--dir", "/f"],
    &["--perms", "0700", "--perms", "0700", "--dir", "/f"],
    &["--perms", "0700", "--bind", "/", "/f"],
    &["--perms", "0700", "--unshare-pid"],
    &["--perms", "0700", "--symlink", "a", "/f"],
    &["--perms", "0700", "--chmod", "0700", "/"],
    &["--size", "0", "--tmpfs", "/f"],
    &["--size", "-5", "--tmpfs", "/f"],
    &["--size", "5k", "--tmpfs", "/f"],
    &["--size", " 5", "--tmpfs", "/f"],
    &["--size", "", "--tmpfs", "/f"],
    &["--size", "99999999999999999999", "--tmpfs", "/f"],
    &["--size", "18446744073709551615", "--tmpfs", "/f"],
    &["--size", "4096", "--size", "4096", "--tmpfs", "/f"],
    &["--size", "4096", "--dir", "/f"],
    &["--size", "4096", "--bind", "/", "/f"],
    &["--chmod", "9", "/"],
    &["--chmod", "10000", "/"],
    &["--chmod", "", "/"],
    &["--cap-add", "CAP_NOPE"],
    &["--cap-add", ""],
    &["--cap-drop", "chown"],
    &["--setenv", "", "x"],
    &["--setenv", "a=b", "x"],
    &["--unsetenv", ""],
    &["--unsetenv", "a=b"],
    &["--args", "99"],
    &["--add-seccomp-fd", "99"],
    &["--uid", "99999999999999999999999x"],
];

/// Lists that are refused as a whole, after all words have been read.
const TOGETHER: [&[&str]; 10] = [
    &["--exec-label", "x"],
    &["--file-label", "x"],
    &["--as-pid-1"],
    &["--unshare-pid", "--as-pid-1", "--lock-file", "/f"],
    &["--hostname", "box"],
    &["--disable-userns"],
    &["--unshare-user", "--userns", "99"],
    &["--unshare-user-try", "--userns", "99"],
    &["--unshare-user", "--userns-block-fd", "99"],
    &["--unshare-user", "--userns-block-fd", "99", "--info-fd", "99", "--disable-userns"],
];

/// Refused while the sandbox is set up.
const SET_UP: [&[&str]; 18] = [
    &["--bind", "@/nope", "/f"],
    &["--ro-bind", "@/file/x", "/f"],
    &["--dev-bind", "@/odd/l-broken", "/f"],
    &["--bind-try", "@/file/x", "/f"],
    &["--ro-bind-try", "@/odd/l-loop", "/f"],
    &["--bind-try", "@/closed/x", "/f"],
    &["--chmod", "755", "/not-there"],
    &["--remount-ro", "/not-there"],
    &["--dir", "/f", "--remount-ro", "/f"],
    &["--chdir", "/not-there"],
    &["--file", "99", "/f"],
    &["--bind-data", "99", "/f"],
    &["--bind-fd", "99", "/f"],
    &["--ro-bind", "%/probe", "/f", "--tmpfs", "/f"],
    &["--ro-bind", "%/probe", "/f", "--dir", "/f/g"],
    &["--dir", "/f", "--ro-bind", "%/probe", "/f"],
    &["--userns", "99"],
    &["--seccomp", "99"],
];

/// Options that lack their last words, and how many words they have left.
const CUT: [(&str, usize); 46] = [
    ("--args", 0),
    ("--chdir", 0),
    ("--remount-ro", 0),
    ("--bind", 0),
    ("--bind", 1),
    ("--bind-try", 1),
    ("--ro-bind", 1),
    ("--ro-bind-try", 1),
    ("--dev-bind", 0),
    ("--dev-bind-try", 1),
    ("--bind-fd", 1),
    ("--ro-bind-fd", 0),
    ("--proc", 0),
    ("--exec-label", 0),
    ("--file-label", 0),
    ("--dev", 0),
    ("--tmpfs", 0),
    ("--mqueue", 0),
    ("--dir", 0),
    ("--file", 1),
    ("--bind-data", 1),
    ("--ro-bind-data", 0),
    ("--symlink", 1),
    ("--lock-file", 0),
    ("--sync-fd", 0),
    ("--block-fd", 0),
    ("--userns-block-fd", 0),
    ("--info-fd", 0),
    ("--json-status-fd", 0),
    ("--seccomp", 0),
    ("--add-seccomp-fd", 0),
    ("--userns", 0),
    ("--userns2", 0),
    ("--pidns", 0),
    ("--setenv", 0),
    ("--setenv", 1),
    ("--unsetenv", 0),
    ("--uid", 0),
    ("--gid", 0),
    ("--hostname", 0),
    ("--cap-add", 0),
    ("--cap-drop", 0),
    ("--perms", 0),
    ("--size", 0),
    ("--chmod", 1),
    ("--chmod", 0),
];

/// Makes the list one that is refused, or one that looks as if.
pub fn spoil(draft: &mut Draft, case: &mut Case) {
    let at = draft.random.below(case.groups.len() + 1);
    let mut put = |group: Group| case.groups.insert(at, group);
    case.refused = true;
    match draft.random.below(20) {
        0..=8 => put(draft.random.group(&PARSED)),
        9..=10 => {
            // Alone, as other options of the list may be what these lack.
            case.groups = vec![draft.random.group(&TOGETHER)];
        }
        11..=13 => {
            let (option, count) = *draft.random.pick(&CUT);
            case.groups.push(words(&[option, "1"][..=count]));
            case.command = Command::Nothing;
        }
        14 => case.command = Command::Nothing,
        15 => put(both_filters(draft)),
        16..=18 => {
            case.refused = false;
            let group = match draft.random.below(24) {
                0 => used_twice(draft),
                1 => draft.with("--add-seccomp-fd", What::Data(Carrier::Memfd, b"1234567".to_vec()), &[]),
                2 => draft.with("--add-seccomp-fd", What::Data(Carrier::Pipe, vec![0xff; 8]), &[]),
                3 => draft.with("--bind-fd", What::Data(Carrier::Memfd, Vec::new()), &["/f"]),
                4 => draft.with("--file", What::Path("@/dir".to_owned(), false), &["/f"]),
                5 => draft.with("--args", What::Args(Carrier::Pipe, vec![words(&["--args", "5"])]), &[]),
                _ => draft.random.group(&SET_UP),
            };
            put(group);
        }
        _ => {
            // Accepted, though it does not look like it.
            case.refused = false;
            case.groups.push(draft.random.group(&[&["--perms", "0700"], &["--size", "4096"]]));
        }
    }
}

fn both_filters(draft: &mut Draft) -> Group {
    let mut options = ["--seccomp", "--add-seccomp-fd"];
    if draft.random.percent(50) {
        options.reverse();
    }
    // Valid programs, as one kind is read at once and the other at the end.
    let allow = [0x06, 0, 0, 0, 0, 0, 0xff, 0x7f];
    let groups = options.map(|option| draft.with(option, What::Data(Carrier::Memfd, allow.to_vec()), &[]));
    Group(groups.into_iter().flat_map(|group| group.0).collect())
}

fn used_twice(draft: &mut Draft) -> Group {
    let data = draft.data();
    let given: Given = draft.given(data);
    let number = given.spelled.clone();
    let text = |text: &str| Word::Text(text.to_owned());
    Group(vec![text("--file"), Word::Fd(given), text("/f"), text("--file"), text(&number), text("/g")])
}
