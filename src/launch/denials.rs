//! What was refused in all of a run: how much, and the first of it.

use super::denial::{Denial, Target};
use serde::Serialize;

/// How many different ones are kept.
const MOST: usize = 50;

/// How many are shown in a line.
const SHOWN: usize = 3;

/// All refusals of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Denials {
    /// How many there were: questions for names, and packets.
    pub count: u64,
    /// How many of them are only counted: they came too fast, or there were too many.
    pub only_counted: u64,
    /// The first ones that differ in what was to be reached, and by which program.
    pub first: Vec<Target>,
    /// There were others that differ.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl Denials {
    /// Counts one.
    pub(super) fn add(&mut self, refusal: &Denial) {
        self.count += 1;
        let target = refusal.target();
        if self.first.contains(&target) {
            return;
        }
        match self.first.len() < MOST {
            true => self.first.push(target),
            false => self.more = true,
        }
    }

    /// Counts some of which nothing else is known.
    pub(super) fn add_unknown(&mut self, count: u64) {
        self.count = self.count.saturating_add(count);
        self.only_counted += count;
    }

    /// A line for a terminal; none if nothing was refused. `log` is the file that has all of them.
    #[must_use]
    pub fn line(&self, log: Option<&str>) -> Option<String> {
        let (count, only) = (self.first.len(), self.only_counted);
        let words = match (count, self.more) {
            (0, _) if only == 0 => return None,
            (0, _) => format!("{only} packets and questions for names refused"),
            (1, false) => "1 destination refused".to_owned(),
            (count, false) => format!("{count} destinations refused"),
            (count, true) => format!("more than {count} destinations refused"),
        };
        let mut shown: Vec<_> = self.first.iter().take(SHOWN).map(ToString::to_string).collect();
        if count > SHOWN {
            shown.push("...".into());
        }
        let shown = if shown.is_empty() { String::new() } else { format!(" ({})", shown.join(", ")) };
        let log = match log {
            Some(file) => format!("{file} has {}", if only == 0 { "all" } else { "them" }),
            None => "--network-log FILE has all".to_owned(),
        };
        Some(format!("network: {words}{shown}; {log}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netfilter::RefusedPacket;

    fn packet(port: u16) -> Denial {
        let packet = RefusedPacket {
            from: ([192, 0, 2, 1].into(), 9),
            to: ([192, 0, 2, 2].into(), port),
            protocol: 6,
            kind: 0,
            sequence: 0,
        };
        Denial::of_packet(&packet, None, "r".into())
    }

    #[test]
    fn the_line_names_the_first_ones_that_differ() {
        let mut all = Denials::default();
        assert_eq!(all.line(None), None);
        (0..2).for_each(|_| all.add(&packet(1)));
        assert_eq!(
            all.line(None).unwrap(),
            "network: 1 destination refused (192.0.2.2:1/tcp); --network-log FILE has all"
        );
        (0..4).for_each(|port| all.add(&packet(port)));
        let shown = "192.0.2.2:1/tcp, 192.0.2.2:0/tcp, 192.0.2.2:2/tcp, ...";
        assert_eq!(all.line(Some("/x")).unwrap(), format!("network: 4 destinations refused ({shown}); /x has all"));
        all.add_unknown(5);
        (0..100).for_each(|port| all.add(&packet(port)));
        assert_eq!((all.count, all.only_counted, all.first.len(), all.more), (111, 5, MOST, true));
        assert_eq!(
            all.line(Some("/x")).unwrap(),
            format!("network: more than 50 destinations refused ({shown}); /x has them")
        );
        let mut unknown = Denials::default();
        unknown.add_unknown(2);
        assert!(unknown.line(None).unwrap().starts_with("network: 2 packets and questions for names refused; "));
    }
}
