//! `sbx profile list`, `show` and `schema`; `sbx profile check` is in `review`.

use super::args::{self, ProfileVerb};
use super::layers::Caller;
use super::{output, review};
use crate::error::{Error, Result};
use crate::profile::{Merged, Text, Value, json_schema};
use std::fmt::Write;

pub(super) fn main(args: &args::Profile) -> Result<u8> {
    let caller = Caller::read_anywhere()?;
    let text = match &args.verb {
        ProfileVerb::List { json } => list(&caller, *json),
        ProfileVerb::Show { name, resolved, origin } => show(&caller, name, *resolved, *origin)?,
        ProfileVerb::Check { files, strict, json } => return review::main(&caller, files, *strict, *json),
        ProfileVerb::Schema => format!("{:#}\n", json_schema()),
    };
    output::print(&text)?;
    Ok(0)
}

fn list(caller: &Caller, json: bool) -> String {
    let mut rows = Vec::new();
    for (directory, errno) in caller.loader().unlisted() {
        let message = format!("the profiles in {} are not among these: {errno}", directory.display());
        output::complain(&Error::new(message).hint("let this user read the directory"));
    }
    for name in caller.loader().names() {
        let mut loader = caller.loader();
        let layers = loader.profile(&name);
        let about = layers.last().and_then(|layer| match layer.get("description").map(|setting| &setting.value) {
            Some(Value::Text(text)) => Some(text.text.clone()),
            _ => None,
        });
        let about = if loader.errors.is_empty() { about.unwrap_or_default() } else { "(has errors)".into() };
        rows.push((name, about));
    }
    if json {
        let rows: Vec<_> =
            rows.iter().map(|(name, about)| serde_json::json!({"name": name, "description": about})).collect();
        return format!("{:#}\n", serde_json::Value::Array(rows));
    }
    rows.iter().fold(String::new(), |mut out, (name, about)| {
        let _ = writeln!(out, "{name:<14}{about}");
        out
    })
}

fn show(caller: &Caller, name: &str, resolved: bool, origin: bool) -> Result<String> {
    let mut loader = caller.loader();
    let layers = loader.profile(name);
    if !loader.errors.is_empty() {
        return Err(output::wrong(loader.errors, loader.sources));
    }
    let mut merged = Merged::default();
    let mut out = String::new();
    if !resolved {
        let last = layers.last().and_then(|layer| loader.sources.get(layer.source));
        return Ok(last.map(|source| format!("# {}\n{}", source.name, source.text)).unwrap_or_default());
    }
    layers.into_iter().for_each(|layer| merged.apply(layer));
    for (key, value) in merged.iter() {
        let name = key.name;
        if name == "extends" {
            continue;
        }
        let mut line = |key: &str, value: String, text: &Text| {
            let from = if origin { format!("   # {}", loader.sources.place(&text.at)) } else { String::new() };
            let _ = writeln!(out, "{key} = {value}{from}");
        };
        match value {
            Value::Switch(on, at) => line(name, on.to_string(), &Text { text: String::new(), at: at.clone() }),
            Value::Text(text) if text.text.bytes().all(|b| b.is_ascii_digit()) => line(name, text.text.clone(), text),
            Value::Text(text) => line(name, format!("{:?}", text.text), text),
            Value::Map(map) => {
                for (key, value) in map {
                    line(&format!("{name}.{:?}", key.text), format!("{:?}", value.text), value);
                }
            }
            Value::List(list, at) => {
                let place = Text { text: String::new(), at: at.clone() };
                if origin && !list.is_empty() {
                    let _ = writeln!(out, "{name} = [");
                    for item in list {
                        let _ = writeln!(out, "  {:?},   # {}", item.text, loader.sources.place(&item.at));
                    }
                    let _ = writeln!(out, "]");
                } else {
                    let items: Vec<_> = list.iter().map(|item| format!("{:?}", item.text)).collect();
                    line(name, format!("[{}]", items.join(", ")), &place);
                }
            }
        }
    }
    Ok(out)
}
