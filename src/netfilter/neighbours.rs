//! A bound on how many neighbours packets go to: machines that are reached without a router. Each takes a place in the one table of neighbours
//! that the kernel has for all networks of the host and each family (arp(7), gc_thresh3: 1,024 places by default), so that a program that
//! sends to one address after the other could take the places of all others. One of IPv6 takes a second one, of the group by which it is asked for
//! (RFC 4291), which the kernel gives up first.

use super::chain::NEW_CHAIN;
use super::message::{Batch, CREATE, Message};
use super::rule::{Compare, Family, NEIGHBOURS, Rule, TABLE, Value};
use super::sets;
use std::time::Duration;

/// How many neighbours of a family a sandbox sends to within [`FORGOTTEN`], and how many machines of networks that the host is attached to:
/// it is the host then that has them for neighbours, since it is the host that sends.
pub const MOST: u32 = 128;

/// After this time without a packet to it, a neighbour does not count any more; the kernel keeps it as long (gc_stale_time).
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Flags of a set: packets change it (NFT_SET_EVAL), and its elements have a lifetime (NFT_SET_TIMEOUT).
const BY_PACKETS: u32 = 32 | 16;

/// The lowest number of such a set: below those of names.
const FIRST: u32 = (1 << 31) - 2;

/// Makes the chain that each rule goes to by which packets leave, with the sets that it counts in.
pub(super) fn chain(batch: &mut Batch) {
    let mut message = Message::new(NEW_CHAIN, CREATE);
    message.text(1, TABLE).text(3, NEIGHBOURS);
    batch.add("a chain", message);
    for (id, family) in (FIRST..).zip(Family::BOTH) {
        batch.add("a set that packets change", sets::bounded(family.neighbours(), family, BY_PACKETS, id, MOST));
    }
}

/// The rules of the chain.
pub(super) fn rules() -> Vec<Message> {
    let counted = |family: Family| {
        let [_, attached] = family.sets();
        let (length, offset) = family.address();
        let machine = Rule::message(NEIGHBOURS, |rule| {
            rule.load(Value::Family).only(Compare::Equal, &[family as u8]);
            rule.load(Value::Network(offset, length)).only_in(attached);
            rule.only_if_kept(family.neighbours(), FORGOTTEN).accept();
        });
        // Not all networks of this namespace are the host's, and none is of who has no other place: it is refused below.
        let next = Rule::message(NEIGHBOURS, |rule| {
            rule.load(Value::Family).only(Compare::Equal, &[family as u8]);
            rule.load(Value::Network(offset, length)).only_not_in(attached);
            rule.load(Value::Next(family)).only_if_kept(family.neighbours(), FORGOTTEN).accept();
        });
        [machine, next]
    };
    let refused = Rule::message(NEIGHBOURS, |rule| rule.refuse());
    Family::BOTH.into_iter().flat_map(counted).chain([refused]).collect()
}
