//! Reads `[devices]`.

use super::builder::Builder;
use crate::profile::schema::{DEVICES, nearest};
use crate::spec::Device;

impl Builder<'_> {
    pub(super) fn devices(&mut self) -> Vec<Device> {
        let mut devices = Vec::new();
        for text in self.merged.list("devices.allow") {
            let (name, option) = text.text.split_once(',').map_or((text.text.as_str(), None), |(n, o)| (n, Some(o)));
            let below_dev = name.starts_with("/dev/") && !name.split('/').any(|part| part == "..");
            if !DEVICES.contains(&name) && !below_dev {
                let help = match nearest(name, DEVICES.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("classes are {}; anything else is a path below /dev", DEVICES.join(", ")),
                };
                self.wrong(text, format!("`{name}` is no class of devices"), &help);
            }
            if option.is_some_and(|option| option.trim() != "optional") {
                self.wrong(text, "a device has one option, `optional`".into(), "write `camera,optional`");
            }
            devices.push(Device { name: name.to_owned(), optional: option.is_some(), origin: self.origin(text) });
        }
        devices
    }
}
