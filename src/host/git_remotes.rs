//! The repositories that git reaches by a path: a push to one runs its hooks and what its configuration names, with the rights of whoever
//! pushes, and so does a fetch from one with versions of git before 2.45.1 (CVE-2024-32004).

use super::git_config::Line;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// What a line of git's configuration names of other repositories.
pub(super) enum Remote<'l> {
    /// An address that a push or a fetch goes to, whether something is there or not.
    Address(&'l [u8]),
    /// The name of a remote, or an address.
    Name(&'l [u8]),
    /// A repository that git enters on its own, by its path.
    Entered(&'l [u8]),
}

/// What a line names of other repositories; none if it is for something else.
pub(super) fn remote(line: &Line) -> Option<Remote<'_>> {
    let value = line.value.as_deref().filter(|value| !value.is_empty())?;
    match (&*line.section, line.key.as_str()) {
        ("remote", "url" | "pushurl") | ("submodule", "url") => Some(Remote::Address(value)),
        ("branch", "remote" | "pushremote") | ("remote", "pushdefault") => Some(Remote::Name(value)),
        // git-maintenance(1), scalar(1), git-gui(1).
        ("maintenance" | "scalar", "repo") | ("gui", "recentrepo") => Some(Remote::Entered(value)),
        _ => None,
    }
}

/// How addresses are written anew: `url.BASE.insteadOf` and `pushInsteadOf`.
#[derive(Default)]
pub(super) struct Rewrites<'l>(Vec<(&'l [u8], &'l [u8])>);

impl<'l> Rewrites<'l> {
    /// Those of some lines.
    pub fn of(lines: impl Iterator<Item = &'l Line>) -> Rewrites<'l> {
        let rewrite = |line: &'l Line| {
            let is_one = &*line.section == "url" && matches!(line.key.as_str(), "insteadof" | "pushinsteadof");
            Some((line.value.as_deref().filter(|_| is_one)?, line.subsection.as_deref()?))
        };
        Rewrites(lines.filter_map(rewrite).collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What addresses begin with once they are written anew.
    pub fn bases(&self) -> impl Iterator<Item = &'l [u8]> {
        self.0.iter().map(|(_, base)| *base)
    }

    /// An address, and what it may be written as.
    pub fn all<'s>(&'s self, address: &'s [u8]) -> impl Iterator<Item = Cow<'s, [u8]>> {
        let anew =
            self.0.iter().filter_map(move |(prefix, base)| Some([*base, address.strip_prefix(*prefix)?].concat()));
        std::iter::once(Cow::Borrowed(address)).chain(anew.map(Cow::Owned))
    }
}

/// The path that an address names on this machine, as git tells them apart; none if it names another machine or a helper.
pub(super) fn local(address: &[u8]) -> Option<Cow<'_, [u8]>> {
    if let Some(path) = address.strip_prefix(b"file://") {
        let slash = path.iter().position(|byte| *byte == b'/')?;
        return Some(Cow::Owned(decoded(&path[slash..])));
    }
    let colon = address.iter().position(|byte| *byte == b':');
    let slash = address.iter().position(|byte| *byte == b'/').unwrap_or(address.len());
    colon.is_none_or(|colon| slash < colon).then_some(Cow::Borrowed(address))
}

/// What follows `NAME::` in an address, which a program `git-remote-NAME` gets: for `ext::`, a command.
pub(super) fn for_helper(address: &[u8]) -> Option<&[u8]> {
    let name = address.iter().position(|byte| !byte.is_ascii_alphanumeric() && !b"+.-".contains(byte))?;
    address.get(name..)?.strip_prefix(b"::")
}

/// A text in which `%41` stands for `A`.
pub(super) fn decoded(text: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text);
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = hex.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_other_machines() {
        for (address, path) in [
            ("../o.git", Some("../o.git")),
            ("o", Some("o")),
            ("./a:b", Some("./a:b")),
            ("~/o.git", Some("~/o.git")),
            ("file:///a%20b/%c", Some("/a b/%c")),
            ("host:o.git", None),
            ("https://host/o.git", None),
            ("ext::./t.sh %S", None),
        ] {
            assert_eq!(local(address.as_bytes()).as_deref(), path.map(str::as_bytes), "{address}");
        }
        assert_eq!(for_helper(b"ext::./t.sh %S"), Some(&b"./t.sh %S"[..]));
        assert_eq!((for_helper(b"https://x"), for_helper(b"./a::b")), (None, None));
    }
}
