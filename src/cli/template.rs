//! `--format`: the part of Go's templates that people use with podman and docker: fields, fields of fields, `json`, and texts between them.

use crate::error::{Error, Result};
use serde_json::Value;

/// A template that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template {
    /// A head of the fields' names stands above the rows.
    pub table: bool,
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field {
        path: Vec<String>,
        json: bool,
    },
    /// The value of a label, empty if there is none.
    Label(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// It has something that sbx does not know.
    pub fn read(text: &str) -> Result<Template> {
        let (table, mut rest) = match text.strip_prefix("table") {
            Some(rest) if rest.starts_with(char::is_whitespace) => (true, rest.trim_start()),
            _ => (false, text),
        };
        let mut parts = Vec::new();
        while let Some((before, after)) = rest.split_once("{{") {
            parts.push(Part::Text(unescaped(before)));
            let (field, after) =
                after.split_once("}}").ok_or_else(|| Error::new(format!("--format {text}: `{{{{` without `}}}}`")))?;
            parts.push(field_of(field.trim_matches('-').trim(), text)?);
            rest = after;
        }
        parts.push(Part::Text(unescaped(rest)));
        Ok(Template { table, parts })
    }

    /// Reads a template, or the usual one where none is given or `table` alone, as docker has it.
    ///
    /// # Errors
    ///
    /// It has something that sbx does not know.
    pub fn read_or(text: Option<&str>, usual: &str) -> Result<Template> {
        Template::read(text.filter(|text| *text != "table").unwrap_or(usual))
    }

    /// The names of the fields, as the head of a table.
    pub fn head(&self) -> String {
        let name = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Label(name) => name.to_uppercase(),
            Part::Field { path, .. } => path.last().map(|name| name.to_uppercase()).unwrap_or_default(),
        };
        self.parts.iter().map(name).collect()
    }

    /// The text for one value.
    ///
    /// # Errors
    ///
    /// It has no such field.
    pub fn fill(&self, value: &Value) -> Result<String> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Label(name) => {
                    let labels = value
                        .get("Label")
                        .ok_or_else(|| Error::new("--format: there is no field `.Label`").hint("`sbx ps` has it"))?;
                    out.push_str(labels.get(name).and_then(Value::as_str).unwrap_or_default());
                }
                Part::Field { path, json } => {
                    let mut found = value;
                    for name in path {
                        found = found.get(name).ok_or_else(|| {
                            let known: Vec<_> = found.as_object().into_iter().flat_map(|all| all.keys()).collect();
                            let known = known.iter().map(|name| format!(".{name}")).collect::<Vec<_>>().join(", ");
                            Error::new(format!("--format: there is no field `.{}`", path.join("."))).hint(
                                if known.is_empty() {
                                    "it has no fields".to_owned()
                                } else {
                                    format!("there are {known}")
                                },
                            )
                        })?;
                    }
                    out.push_str(&match found {
                        found if *json => found.to_string(),
                        Value::String(text) => text.clone(),
                        Value::Null => String::new(),
                        // As Go prints lists of words.
                        Value::Array(all) if all.iter().all(Value::is_string) => {
                            format!("[{}]", all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "))
                        }
                        found => found.to_string(),
                    });
                }
            }
        }
        Ok(out)
    }
}

fn field_of(field: &str, whole: &str) -> Result<Part> {
    let (json, path) = match field.strip_prefix("json") {
        Some(rest) if rest.starts_with(char::is_whitespace) => (true, rest.trim()),
        _ => (false, field),
    };
    if let Some(name) = field.strip_prefix(".Label").filter(|rest| rest.starts_with(char::is_whitespace))
        && let Some(name) = name.trim().strip_prefix('"').and_then(|name| name.strip_suffix('"'))
        && !name.contains(['"', '\\'])
    {
        return Ok(Part::Label(name.to_owned()));
    }
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    match path.strip_prefix('.') {
        Some("") => Ok(Part::Field { path: Vec::new(), json }),
        Some(path) if path.split('.').all(is_name) => {
            Ok(Part::Field { path: path.split('.').map(str::to_owned).collect(), json })
        }
        _ => Err(Error::new(format!("--format {whole}: sbx does not know `{{{{{field}}}}}`"))
            .hint("fields are {{.Name}}, {{.State.Pid}} and {{json .Name}}; --json prints everything, for jq")),
    }
}

/// Replaces `\t` and `\n`, which shells pass on as they are.
fn unescaped(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_put_into_texts() {
        let value = json!({"Id": "abc", "State": {"Pid": 7, "Running": true}, "Names": ["a", "b"], "Nothing": null});
        for (text, filled) in [
            ("{{.Id}}", "abc"),
            ("{{ .State.Pid }} {{.State.Running}}", "7 true"),
            ("<{{.Id}}\\t{{.Names}}>", "<abc\t[a b]>"),
            ("{{json .Names}}{{.Nothing}}", "[\"a\",\"b\"]"),
            ("plain", "plain"),
        ] {
            assert_eq!(Template::read(text).unwrap().fill(&value).unwrap(), filled, "{text}");
        }
        let labelled = json!({"Label": {"a": "1"}});
        for (text, filled) in [("{{ .Label \"a\" }}", "1"), ("<{{.Label \"b\"}}>", "<>")] {
            assert_eq!(Template::read(text).unwrap().fill(&labelled).unwrap(), filled, "{text}");
        }
        assert!(Template::read("{{.Label \"a\"}}").unwrap().fill(&value).is_err());
        let table = Template::read("table {{.Id}}\\t{{.Names}}").unwrap();
        assert!(table.table);
        assert_eq!(table.head(), "ID\tNAMES");
        for text in [
            "{{.Id",
            "{{range .Names}}",
            "{{Id}}",
            "{{.a..b}}",
            "{{.Id | upper}}",
            "{{.Label a}}",
            "{{.Label \"a\" \"b\"}}",
        ] {
            assert!(Template::read(text).is_err(), "{text}");
        }
        assert!(Template::read("{{.Nope}}").unwrap().fill(&value).is_err());
    }
}
