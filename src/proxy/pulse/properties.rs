//! Property lists, of which only properties that say something to people pass.
//!
//! Other properties are commands to the server. `filter.want` and `filter.apply.NAME.parameters` make PulseAudio load the
//! module NAME with these arguments; pipewire-pulse takes a client's properties for those of a node, of which some name
//! libraries (`audioconvert.filter-graph`), another server (`remote.name`) or another program's stream
//! (`target.object`). So this is a list of what is let through, and not of what is not.
//!
//! Servers keep the volume, the mute switch and the device of a stream for later ones of the same program, by the first of
//! these that it has: `media.role`, `application.id`, `application.name`, `media.name` (PulseAudio's module-stream-restore,
//! WirePlumber's restore-stream). While a stream with a role such as `phone` plays, others are muted (module-role-cork). So
//! no role passes, the id is the proxy's in each list that goes to the server, and a name begins with [`PREFIX`].

use super::tags::{Kind, Malformed, Property, Value, put_bytes, put_number, put_text};

/// Longer values are left out.
const LONGEST: usize = 4096;

/// Keys that a client may set on itself and on its streams.
const OF_PROGRAMS: &[&str] = &[
    "application.icon_name",
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
    "media.software",
    "media.title",
    "window.icon_name",
    "window.name",
];

/// The key by whose value servers know the program.
const ID: &[u8] = b"application.id";

/// The key of what a stream is for, such as `music` or `phone`.
const ROLE: &[u8] = b"media.role";

/// The key of the program's name for people.
const NAME: &[u8] = b"application.name";

/// What the name of a program in a sandbox begins with.
pub const PREFIX: &str = "sbx: ";

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
    is_of_program(key) || key == ID || key == ROLE || OF_DEVICES.iter().any(|known| known.as_bytes() == key)
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
pub enum Towards<'a> {
    /// From the client, which has this id: properties to set.
    Server(&'a str),
    /// From the server: properties to see.
    Client,
}

/// Adds a value; of property lists and formats, only the properties that pass in this direction.
pub fn put_filtered(out: &mut Vec<u8>, value: Value<'_>, towards: Towards<'_>) -> Result<(), Malformed> {
    match (value.kind, towards) {
        (Kind('P'), Towards::Server(id)) => {
            out.push(b'P');
            for property in passing(value, is_of_program)? {
                match property.key {
                    NAME if !property.value.starts_with(PREFIX.as_bytes()) => {
                        put_property(out, NAME, &[PREFIX.as_bytes(), property.value].concat());
                    }
                    _ => out.extend(property.raw),
                }
            }
            put_property(out, ID, &[id.as_bytes(), b"\0"].concat());
            out.push(b'N');
        }
        (Kind('P'), Towards::Client) => put_list(out, value, is_visible)?,
        (Kind('f'), _) => {
            // The tag, and the encoding with its own tag.
            let (encoding, list) = value.raw.split_at_checked(3).ok_or(Malformed)?;
            out.extend(encoding);
            put_list(out, Value { kind: Kind('P'), raw: list }, is_of_format)?;
        }
        _ => out.extend(value.raw),
    }
    Ok(())
}

fn put_list(out: &mut Vec<u8>, list: Value<'_>, passes: fn(&[u8]) -> bool) -> Result<(), Malformed> {
    out.push(b'P');
    passing(list, passes)?.for_each(|property| out.extend(property.raw));
    out.push(b'N');
    Ok(())
}

fn passing(list: Value<'_>, passes: fn(&[u8]) -> bool) -> Result<impl Iterator<Item = Property<'_>>, Malformed> {
    Ok(list.properties()?.into_iter().filter(move |property| passes(property.key) && is_text(property.value)))
}

fn put_property(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    put_text(out, Some(key));
    put_number(out, value.len() as u32);
    put_bytes(out, value);
}
