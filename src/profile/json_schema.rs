//! The profile language as a JSON schema, for editors.

use super::schema::{KEYS, Key, Kind, MODES};
use serde_json::{Map, Value as Json, json};

/// The JSON schema (draft 2020-12) of a profile, from the table [`KEYS`].
pub fn json_schema() -> Json {
    let mut root = Map::new();
    for key in KEYS {
        let mut table = &mut root;
        let mut parts = key.name.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                table.insert(part.into(), value_schema(key));
                break;
            }
            let next = table
                .entry(part)
                .or_insert_with(|| json!({"type": "object", "additionalProperties": false, "properties": {}}));
            table = match next.get_mut("properties") {
                Some(Json::Object(properties)) => properties,
                _ => unreachable!("a table of the schema has properties"),
            };
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sbx profile",
        "type": "object",
        "required": ["schema"],
        "additionalProperties": false,
        "properties": root,
    })
}

fn value_schema(key: &Key) -> Json {
    let strings = json!({"type": "string"});
    let mut schema = match key.kind {
        Kind::Switch => json!({"type": "boolean"}),
        Kind::SwitchOr(words) => {
            let words = words.iter().map(|word| Json::from(*word));
            let all: Vec<_> = [true, false].map(Json::from).into_iter().chain(words).collect();
            json!({"enum": all})
        }
        Kind::Word(words) => json!({"enum": words}),
        Kind::WordOr(words, others) => {
            let others: Vec<_> = others.iter().map(|other| format!("{other}.*")).collect();
            json!({"type": "string", "pattern": format!("^({}|{})$", words.join("|"), others.join("|"))})
        }
        Kind::Text => strings,
        Kind::Number => json!({"type": ["integer", "string"]}),
        Kind::Stack => json!({"type": ["string", "array"], "items": strings}),
        Kind::Argv | Kind::List => json!({"type": "array", "items": strings}),
        Kind::Ports => json!({"type": "array", "items": {"type": ["integer", "string"]}}),
        Kind::Words(words) => {
            json!({"type": "array", "items": {"type": "string", "pattern": format!("^!?({})(,.*)?$", words.join("|"))}})
        }
        Kind::Map => json!({"type": "object", "additionalProperties": strings}),
        Kind::Paths => json!({"type": "object", "additionalProperties": {
            "type": "string", "pattern": format!("^(!|({})(,.*)?)$", MODES.join("|"))}}),
    };
    if let Json::Object(fields) = &mut schema {
        fields.insert("description".into(), key.doc.into());
    }
    schema
}
