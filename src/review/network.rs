//! Reviews what a network of the sandbox's own reaches.

use super::verdict::{Finding, Severity, listed, note, weakens};
use crate::spec::{AddressClass, Destination, Sandbox};

/// What a network of the sandbox's own reaches.
pub(super) fn reached(sandbox: &Sandbox) -> Vec<Finding> {
    let origin = sandbox.origins.of("network.mode", "");
    let Some(allow) = &sandbox.network_rules.allow else {
        let verdict = weakens(
            1.0,
            "it sends what it reads wherever it likes in the Internet",
            "network.allow with the addresses that the program needs; network.mode = \"none\" for one that works without",
        );
        return vec![verdict.at(&origin, "a network of its own")];
    };
    let mut found = Vec::new();
    for rule in allow {
        let reaches = |class: AddressClass| match rule.to {
            Destination::Class(other) => class == other,
            // A network does not stand for these.
            _ if class == AddressClass::Host => false,
            Destination::Address(_) => class.addresses().meets(&rule.to.addresses()),
            _ => class != AddressClass::Metadata && class.addresses().meets(&rule.to.addresses()),
        };
        let exact = matches!(rule.to, Destination::Address(_) | Destination::Name(_));
        let wide = match rule.to {
            Destination::Class(AddressClass::Internet) | Destination::Any => true,
            // Whoever likes has a name there.
            Destination::Name(ref name) => name.below && !name.name.contains('.'),
            Destination::Network(address, prefix) => {
                reaches(AddressClass::Internet) && prefix < if address.is_ipv4() { 16 } else { 32 }
            }
            _ => false,
        };
        let verdict = if reaches(AddressClass::Metadata) {
            weakens(3.0, "it asks the cloud for the secrets and rights of this machine", "leave it out")
        } else if reaches(AddressClass::Host) {
            weakens(
                1.5,
                "it reaches servers of this host that listen at all its addresses, and take it for a program of the host",
                "name the address and port that the program needs: `192.0.2.1:443/tcp`",
            )
        } else if reaches(AddressClass::Private) && !exact {
            weakens(
                1.0,
                "it reaches machines of your local networks that trust whoever is there: routers, printers, disks",
                "name the addresses that the program needs",
            )
        } else if wide {
            weakens(
                1.0,
                "it sends what it reads wherever it likes in the Internet",
                "name the addresses that the program needs",
            )
        } else {
            note(0.2, "it sends what it reads there", "leave it out where the program works without")
        };
        let grant = match verdict.severity {
            Severity::Note => rule.to_string(),
            _ => format!("packets to {rule}"),
        };
        found.push(verdict.at(&rule.origin, grant));
    }
    // Many single addresses are one grant.
    let (light, mut found): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|finding| finding.severity == Severity::Note);
    if let Some(first) = light.first() {
        let names: Vec<_> = light.iter().map(|finding| finding.grant.clone()).collect();
        let origins = light.iter().flat_map(|finding| finding.origins.clone()).collect();
        found.push(Finding { grant: format!("packets to {}", listed(&names)), origins, ..first.clone() });
    }
    if found.is_empty() {
        let verdict = note(0.2, "it asks name servers, by which it sends what it reads", "network.mode = \"none\"");
        found.push(verdict.at(&origin, "a network of its own"));
    }
    found
}
