//! Addresses that were told for names: sets of a table whose elements have a lifetime, the rules that look them up, and the messages that
//! put addresses in.

use super::message::{Batch, Message};
use super::packets::{self, OUTPUT, mark};
use super::rule::{Compare, Family, Rule, Value};
use super::sets::{self, DELETE_ELEMENTS, NEW_ELEMENTS};
use crate::spec::{Protocol, Service};
use std::net::IpAddr;
use std::time::Duration;

/// Flags of a set: its elements have a lifetime.
const TIMEOUT: u32 = 16;

/// How many addresses a set holds. What is told beyond that is an error for who has asked.
const MOST: u32 = 4096;

/// The lowest number of such a set: those of other sets begin at 0.
const FIRST: u32 = 1 << 31;

/// A connection's first packet went the way that this one goes.
const ORIGINAL: u8 = 0;

/// The other side of a connection has answered.
const ESTABLISHED: u32 = 2;

/// The message that makes the set of a list for a family.
pub(super) fn set(list: u16, family: Family) -> Message {
    let id = FIRST + 2 * u32::from(list) + u32::from(family == Family::V6);
    sets::bounded(&family.named(list), family, TIMEOUT, id, MOST)
}

/// The rule by which connections go on whose address was in a set when they were begun: it may not be there any more. A packet that goes
/// the way of the first one has its destination, so that no other address is reached by it.
pub(super) fn goes_on() -> Message {
    Rule::message(OUTPUT, |rule| {
        rule.load(Value::Mark).only(Compare::Equal, &mark::NAMED.to_ne_bytes());
        rule.load(Value::Direction).only(Compare::Equal, &[ORIGINAL]);
        rule.load(Value::State).only_bits(ESTABLISHED).leave();
    })
}

/// The rules for packets of a family to the addresses of a list.
pub(super) fn rules(list: u16, service: Service, family: Family) -> Vec<Message> {
    let (length, offset) = family.address();
    let to_named = |rule: &mut Rule, protocol: Option<Protocol>| {
        packets::of_service(rule, family, protocol, service);
        rule.load(Value::Network(offset, length)).only_in(&family.named(list));
    };
    let of = |protocol| {
        let mark = Rule::message(OUTPUT, |rule| {
            to_named(rule, protocol);
            rule.load(Value::Direction).only(Compare::Equal, &[ORIGINAL]).mark(mark::NAMED);
        });
        let accept = Rule::message(OUTPUT, |rule| {
            to_named(rule, protocol);
            rule.leave();
        });
        [mark, accept]
    };
    packets::protocols(service).into_iter().flat_map(of).collect()
}

/// The messages that let packets to addresses through by the rules of lists, each address of a list for as long.
pub fn let_through(lists: &[(u16, Vec<(IpAddr, Duration)>)]) -> Batch {
    let mut batch = Batch::default();
    let each = lists.iter().flat_map(|(list, addresses)| Family::BOTH.map(|family| (*list, addresses, family)));
    for (list, addresses, family) in each {
        let keys = addresses.iter().filter_map(|(address, lifetime)| match (address, family) {
            (IpAddr::V4(address), Family::V4) => Some((address.octets().to_vec(), *lifetime)),
            (IpAddr::V6(address), Family::V6) => Some((address.octets().to_vec(), *lifetime)),
            _ => None,
        });
        let keys: Vec<_> = keys.collect();
        if keys.is_empty() {
            continue;
        }
        let mut add = |kind| {
            let message = sets::elements(kind, &family.named(list), |message| {
                for (key, lifetime) in &keys {
                    let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
                    message.nest(1, |element| {
                        element.nest(1, |holder| {
                            holder.bytes(1, key);
                        });
                        if kind == NEW_ELEMENTS {
                            element.bytes(4, &lifetime.to_be_bytes());
                        }
                    });
                }
            });
            batch.add("addresses of names", message);
        };
        // Kernels before 6.13 do not renew the lifetime of an element that is there. One that is not there cannot be deleted.
        [NEW_ELEMENTS, DELETE_ELEMENTS, NEW_ELEMENTS].into_iter().for_each(&mut add);
    }
    batch
}
