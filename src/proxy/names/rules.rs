//! Which names are answered, and which lists of the packet filter they belong to.

use crate::spec::NamePattern;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::IpAddr;

/// A name by which Firefox asks whether it may take a resolver of its own in place of this one: no such name, no.
pub const CANARY: &str = "use-application-dns.net";

/// What is decided by name.
#[derive(Debug, Default)]
pub struct Rules {
    /// Names, with the lists that they are in.
    exact: BTreeMap<String, BTreeSet<u16>>,
    /// Names whose names below are in lists.
    below: BTreeMap<String, BTreeSet<u16>>,
    denied: Vec<NamePattern>,
    /// Other names are answered, too.
    others: bool,
    /// The name servers that are asked.
    pub servers: Vec<IpAddr>,
}

/// What becomes of a question.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// There is no such name.
    Refused,
    /// It is answered, and packets to its addresses are let through by the rules of these lists, if any.
    Answered(Vec<u16>),
}

impl Rules {
    /// Reads words: `server:ADDRESS`, `others`, `LIST:NAME` and `deny:NAME`.
    pub fn read(words: &[OsString]) -> Option<Rules> {
        let mut rules = Rules::default();
        for word in words {
            let word = word.to_str()?;
            if word == "others" {
                rules.others = true;
                continue;
            }
            match word.split_once(':')? {
                ("server", address) => rules.servers.push(address.parse().ok()?),
                ("deny", name) => rules.denied.push(name.parse().ok()?),
                (list, name) => rules.allow(list.parse().ok()?, name.parse().ok()?),
            }
        }
        Some(rules)
    }

    /// Has names be answered, for a list.
    pub fn allow(&mut self, list: u16, NamePattern { name, below }: NamePattern) {
        let names = if below { &mut self.below } else { &mut self.exact };
        names.entry(name).or_default().insert(list);
    }

    /// Has all names be answered that are not denied.
    pub fn allow_others(&mut self) {
        self.others = true;
    }

    /// Whether a name, which is in small letters, is refused whatever is allowed.
    pub fn denies(&self, name: &str) -> bool {
        name == CANARY || self.denied.iter().any(|denied| denied.matches(name))
    }

    /// Decides about a name, which is in small letters.
    pub fn decide(&self, name: &str) -> Decision {
        if self.denies(name) {
            return Decision::Refused;
        }
        let mut lists: BTreeSet<u16> = self.exact.get(name).into_iter().flatten().copied().collect();
        let mut rest = name;
        while let Some((_, above)) = rest.split_once('.') {
            lists.extend(self.below.get(above).into_iter().flatten());
            rest = above;
        }
        match lists.is_empty() && !self.others {
            true => Decision::Refused,
            false => Decision::Answered(lists.into_iter().collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_answered_as_the_lines_say() {
        let rules = |words: &str| Rules::read(&words.split(' ').map(OsString::from).collect::<Vec<_>>()).unwrap();
        let some = rules("server:192.0.2.1 0:a.example 1:*.example 2:*.b.example deny:x.b.example");
        let answered = |lists: &[u16]| Decision::Answered(lists.to_vec());
        assert_eq!(some.decide("a.example"), answered(&[0, 1]));
        assert_eq!(some.decide("c.b.example"), answered(&[1, 2]));
        assert_eq!(some.decide("b.example"), answered(&[1]));
        for name in ["x.b.example", "example", "", "a.example.org", "aexample", CANARY] {
            assert_eq!(some.decide(name), Decision::Refused, "{name}");
        }
        let all = rules("others deny:*.x.example");
        assert_eq!(all.decide("a.example"), answered(&[]));
        assert_eq!(all.decide("a.x.example"), Decision::Refused);
        assert_eq!(all.decide(CANARY), Decision::Refused);
        assert_eq!(some.servers.len(), 1);
        for words in ["x", "0:*", "server:x", "70000:a.example"] {
            assert!(Rules::read(&[words.into()]).is_none(), "{words}");
        }
    }
}
