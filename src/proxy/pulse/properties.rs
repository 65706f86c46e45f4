//! Property lists, of which only properties that say something to people pass.
//!
//! Other properties are commands to the server. `filter.want` and `filter.apply.NAME.parameters` make PulseAudio load the
//! module NAME with these arguments; pipewire-pulse takes a client's properties for those of a node, of which some name
//! libraries (`audioconvert.filter-graph`), another server (`remote.name`) or another program's stream
//! (`target.object`). So this is a list of what is let through, and not of what is not.

use super::tags::{Kind, Malformed, Value};

/// Longer values are left out.
const LONGEST: usize = 4096;

/// Keys that a client may set on itself and on its streams.
const OF_PROGRAMS: &[&str] = &[
    "application.icon_name",
    "application.id",
    "application.language",
    "application.name",
    "application.version",
    "event.description",
    "event.id",
    "media.artist",
    "media.copyright",
    "media.icon_name",
    "media.language",
    "media.name",
    "media.role",
    "media.software",
    "media.title",
    "window.icon_name",
    "window.name",
];

/// Keys of devices that a client may see. Serial numbers and addresses of hardware are not among them.
const OF_DEVICES: &[&str] = &[
    "device.api",
    "device.class",
    "device.description",
    "device.form_factor",
    "device.icon_name",
    "device.intended_roles",
];

/// Keys of a format.
const OF_FORMATS: &[&str] = &["format.channel_map", "format.channels", "format.rate", "format.sample_format"];

/// Whether a client may set, remove and see a property of its own.
pub fn is_of_program(key: &[u8]) -> bool {
    OF_PROGRAMS.iter().any(|known| known.as_bytes() == key)
}

/// Whether a client may see a property, its own or a device's.
fn is_visible(key: &[u8]) -> bool {
    is_of_program(key) || OF_DEVICES.iter().any(|known| known.as_bytes() == key)
}

fn is_of_format(key: &[u8]) -> bool {
    OF_FORMATS.iter().any(|known| known.as_bytes() == key)
}

/// Whether a value is a text for people: UTF-8 that ends with a NUL, of a reasonable length, and without control
/// characters.
fn is_text(value: &[u8]) -> bool {
    let text = value.strip_suffix(b"\0").filter(|text| text.len() <= LONGEST);
    text.and_then(|text| std::str::from_utf8(text).ok()).is_some_and(|text| !text.chars().any(char::is_control))
}

/// The direction that a property list passes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Towards {
    /// From the client: properties to set.
    Server,
    /// From the server: properties to see.
    Client,
}

/// Adds a value; of property lists and formats, only the properties that pass in this direction.
pub fn put_filtered(out: &mut Vec<u8>, value: Value<'_>, towards: Towards) -> Result<(), Malformed> {
    let passes = match towards {
        Towards::Server => is_of_program,
        Towards::Client => is_visible,
    };
    match value.kind {
        Kind('P') => put_list(out, value, passes),
        Kind('f') => {
            // The tag, and the encoding with its own tag.
            let (encoding, list) = value.raw.split_at_checked(3).ok_or(Malformed)?;
            out.extend(encoding);
            put_list(out, Value { kind: Kind('P'), raw: list }, is_of_format)
        }
        _ => {
            out.extend(value.raw);
            Ok(())
        }
    }
}

fn put_list(out: &mut Vec<u8>, list: Value<'_>, passes: fn(&[u8]) -> bool) -> Result<(), Malformed> {
    out.push(b'P');
    for property in list.properties()? {
        if passes(property.key) && is_text(property.value) {
            out.extend(property.raw);
        }
    }
    out.push(b'N');
    Ok(())
}
