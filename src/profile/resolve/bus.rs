//! Reads `[dbus.session]`, and checks that portals have a bus.

use super::builder::Builder;
use crate::profile::document::Text;
use crate::spec::{BusPolicy, SessionBus};

impl Builder<'_> {
    pub(super) fn session_bus(&mut self) -> SessionBus {
        let policy = self.merged.text("dbus.session.policy");
        let mut bus = SessionBus {
            policy: match policy.map(|text| text.text.as_str()) {
                Some("filter") => BusPolicy::Filter,
                Some("host") => BusPolicy::Host,
                _ => BusPolicy::None,
            },
            origin: policy.map(|text| self.origin(text)).unwrap_or_default(),
            rules: Vec::new(),
        };
        // A later layer may switch the bus off for a profile that has rules for it: then they are no error.
        let switched_off = |text: &Text| policy.is_some_and(|policy| self.merged.is_later(&policy.at, &text.at));
        for text in self.merged.list("desktop.portals") {
            if bus.policy == BusPolicy::None && !switched_off(text) {
                let help = "write `policy = \"filter\"` in [dbus.session]";
                self.wrong(text, "a portal is called over the session bus, and there is none".into(), help);
            }
        }
        for kind in ["own", "talk", "see", "call", "broadcast"] {
            let key = format!("dbus.session.{kind}");
            for text in self.merged.list(&key) {
                let name = text.text.split('=').next().unwrap_or_default();
                let good = |c: char| c.is_ascii_alphanumeric() || "-_.:*".contains(c);
                let rule = matches!(kind, "call" | "broadcast");
                if name.is_empty() || !name.contains('.') || !name.chars().all(good) || rule != text.text.contains('=')
                {
                    let help =
                        if rule { "`NAME=RULE`, as xdg-dbus-proxy(1) has it" } else { "such as `org.mozilla.*`" };
                    self.wrong(text, format!("`{}` is no name on a bus", text.text), help);
                }
                if bus.policy != BusPolicy::Filter && !switched_off(text) {
                    let help = "write `policy = \"filter\"` in [dbus.session]";
                    self.wrong(text, format!("`{key}` has no effect unless the bus is filtered"), help);
                }
                bus.rules.push(format!("{kind}={}", text.text));
            }
        }
        bus
    }
}
