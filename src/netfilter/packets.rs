//! Parts of rules that say which packets they are for.

use super::rule::{Compare, Family, Rule, Value};
use crate::spec::{Protocol, Service};

/// The chain that all packets pass through that leave.
pub(super) const OUTPUT: &str = "output";

/// Marks of connections, which rules alone make.
pub(super) mod mark {
    /// The first packet came from outside, to a port that is published.
    pub const FROM_OUTSIDE: u32 = 1;
    /// It was begun while a set of addresses of names had its address.
    pub const NAMED: u32 = 2;
    /// A packet of it has left by another rule that accepts it.
    pub const ACCEPTED: u32 = 4;
}

/// The protocols of a service; none stands for all of them.
pub(super) fn protocols(service: Service) -> Vec<Option<Protocol>> {
    match (service.protocol, service.ports) {
        (Some(protocol), _) => vec![Some(protocol)],
        (None, None) => vec![None],
        (None, Some(_)) => vec![Some(Protocol::Tcp), Some(Protocol::Udp)],
    }
}

/// Goes on only for packets of a family that ask for a service by this protocol.
pub(super) fn of_service(made: &mut Rule, family: Family, protocol: Option<Protocol>, service: Service) {
    // The destination's port is the second number of the header of either protocol.
    at_port(made, family, protocol, service, Value::Transport(2, 2));
}

/// Goes on only for packets of a family that come from a service by this protocol: what is sent back to their sender asks for it.
pub(super) fn of_sender(made: &mut Rule, family: Family, protocol: Option<Protocol>, service: Service) {
    at_port(made, family, protocol, service, Value::Transport(0, 2));
}

fn at_port(made: &mut Rule, family: Family, protocol: Option<Protocol>, service: Service, port: Value) {
    made.load(Value::Family).only(Compare::Equal, &[family as u8]);
    if let Some(protocol) = protocol {
        made.load(Value::Protocol).only(Compare::Equal, &[family.protocol(protocol)]);
    }
    if let Some((first, last)) = service.ports {
        between(made.load(port), &first.to_be_bytes(), &last.to_be_bytes());
    }
}

/// Goes on only if the register is between two values, which belong to them.
pub(super) fn between(rule: &mut Rule, first: &[u8], last: &[u8]) {
    if first == last {
        rule.only(Compare::Equal, first);
    } else {
        rule.only(Compare::AtLeast, first).only(Compare::AtMost, last);
    }
}
