//! A plan as text for people (`sbx plan`). Each group of the plan renders its own lines.

use super::lines::Lines;
use super::{Carrier, Plan};

/// The plan as text: one line for each thing that will be done.
pub fn text(plan: &Plan) -> String {
    let mut lines = Lines::default();
    plan.process.render_program(&mut lines);
    plan.namespaces.render(&mut lines);
    plan.packet_rules.iter().for_each(|rules| rules.render(&mut lines));
    plan.asks.iter().for_each(|asks| asks.render(&mut lines));
    plan.process.render_directories(&mut lines);
    plan.view.render(&mut lines);
    plan.process.render_environment(&mut lines);
    plan.resources.render(&mut lines);
    plan.process.render_timeout(&mut lines);
    plan.wayland.iter().for_each(|wayland| wayland.render(&mut lines));
    plan.portal_caller.iter().for_each(|caller| caller.render(&mut lines));
    plan.helpers.iter().for_each(|helper| helper.render(&mut lines));
    for port in plan.ports.iter().filter(|port| port.carrier != Carrier::Relay) {
        lines.add("publish", format!("{} by the network's helper", port.port));
    }
    plan.lockdown.render(&mut lines);
    plan.view.render_closed(&mut lines);
    plan.notes.iter().for_each(|note| lines.add("note", note.to_string()));
    lines.text
}
