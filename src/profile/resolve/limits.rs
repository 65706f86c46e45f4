//! `[rlimits]` and `[limits]`.

use super::builder::Builder;
use crate::profile::document::{Text, Value};
use crate::spec::{Origin, Rlimit, limits, parse_size};

impl Builder<'_> {
    pub(super) fn rlimits(&mut self) -> Vec<Rlimit> {
        let merged = self.merged;
        let mut limits = Vec::new();
        for (key, value) in merged.iter() {
            let (Some(name), Value::Text(text)) = (key.strip_prefix("rlimits."), value) else {
                continue;
            };
            let one = |part: &str| match part {
                "unlimited" => Some(None),
                _ => parse_size(part).map(Some),
            };
            let (soft, hard) = text.text.split_once(':').unwrap_or((&text.text, &text.text));
            match (one(soft), one(hard)) {
                (Some(soft), Some(hard)) if soft.unwrap_or(u64::MAX) <= hard.unwrap_or(u64::MAX) => {
                    limits.push(Rlimit { name, soft, hard, origin: self.origin(text) });
                }
                _ => {
                    let help = "a number, one with K, M or G, `unlimited`, or `SOFT:HARD` with the soft one not above the hard";
                    self.wrong(text, format!("`{}` is no limit", text.text), help);
                }
            }
        }
        limits
    }

    pub(super) fn limits(&mut self) -> limits::Limits {
        let merged = self.merged;
        let mut found = limits::Limits::default();
        for (key, value) in merged.iter() {
            let Some(name) = key.strip_prefix("limits.") else { continue };
            match (name, value) {
                ("delegate", Value::Switch(true, at)) => found.delegate = Some(Origin(self.sources.place(at))),
                ("cgroupfs", Value::Switch(true, at)) => found.cgroupfs = Some(Origin(self.sources.place(at))),
                _ => {}
            }
            let Some(key) = limits::find(name) else { continue };
            match value {
                Value::Switch(on, at) => found.list.push(limits::Limit {
                    name: key.name,
                    value: limits::Value::Text(if *on { "1" } else { "0" }.into()),
                    prefer: false,
                    origin: Origin(self.sources.place(at)),
                }),
                Value::Text(text) => {
                    let (plain, prefer) = limits::preferred(&text.text);
                    if let Some(value) = self.limit(key, text, plain) {
                        let value = limits::Value::Text(value);
                        found.list.push(limits::Limit { name: key.name, value, prefer, origin: self.origin(text) });
                    }
                }
                Value::Map(map) => {
                    for (item, text) in map {
                        let (plain, prefer) = limits::preferred(&text.text);
                        let Some(value) = self.limit(key, text, plain) else { continue };
                        let value = match key.form {
                            limits::Form::Pages => limits::Value::Pages(item.text.clone(), value),
                            _ => match self.path(item) {
                                Some(path) => limits::Value::Device(path, value),
                                None => continue,
                            },
                        };
                        found.list.push(limits::Limit { name: key.name, value, prefer, origin: self.origin(item) });
                    }
                }
                Value::List(..) => {}
            }
        }
        // In the order of the table, whatever that of the layers: memory before swap.
        found.list.sort_by_key(|limit| limits::KEYS.iter().position(|key| key.name == limit.name));
        found
    }

    fn limit(&mut self, key: &limits::Key, text: &Text, plain: &str) -> Option<String> {
        match key.form.value(plain) {
            Ok(value) => Some(value),
            Err(help) => {
                self.wrong(text, format!("`{}` is no value of limits.{}", text.text, key.name), help);
                None
            }
        }
    }
}
