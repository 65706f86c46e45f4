//! Reads `[rlimits]` and `[limits]`.

use super::builder::Builder;
use crate::profile::document::{Text, Value};
use crate::profile::schema::{KEYS, Key, Target};
use crate::profile::source::At;
use crate::spec::limits::{self, Control, Form, Limit, Limits};
use crate::spec::{Origin, Rlimit, parse_size};

impl Builder<'_> {
    pub(super) fn rlimits(&mut self) -> Vec<Rlimit> {
        let merged = self.merged;
        let mut list = Vec::new();
        for (key, value) in merged.iter() {
            let (Target::Rlimit, Value::Text(text)) = (key.target, value) else { continue };
            let one = |part: &str| match part {
                "unlimited" => Some(None),
                _ => parse_size(part).map(Some),
            };
            let (soft, hard) = text.text.split_once(':').unwrap_or((&text.text, &text.text));
            match (one(soft), one(hard)) {
                (Some(soft), Some(hard)) if soft.unwrap_or(u64::MAX) <= hard.unwrap_or(u64::MAX) => {
                    list.push(Rlimit { name: key.last(), soft, hard, origin: self.origin(text) });
                }
                _ => {
                    let help = "a number, one with K, M or G, `unlimited`, or `SOFT:HARD` with the soft one not above the hard";
                    self.wrong(text, format!("`{}` is no limit", text.text), help);
                }
            }
        }
        list
    }

    pub(super) fn limits(&mut self) -> Limits {
        let merged = self.merged;
        let mut list = Vec::new();
        for (key, value) in merged.iter() {
            if let Target::Limit(control) = key.target {
                self.limit(key, control, value, &mut list);
            }
        }
        // Sort by the order of the table of keys, not by name: memory before swap.
        list.sort_by_key(|limit| KEYS.iter().position(|key| key.target == Target::Limit(limit.control)));
        let switch = |name| match merged.get(name) {
            Some(Value::Switch(true, at)) => Some(self.place(at)),
            _ => None,
        };
        Limits { list, delegate: switch("limits.delegate"), cgroupfs: switch("limits.cgroupfs"), stats: false }
    }

    fn limit(&mut self, key: &'static Key, control: Control, value: &Value, list: &mut Vec<Limit>) {
        let mut push = |value, prefer, origin| list.push(Limit { name: key.last(), control, value, prefer, origin });
        match value {
            Value::Switch(on, at) => {
                push(limits::Value::Text(if *on { "1" } else { "0" }.into()), false, self.place(at));
            }
            Value::Text(text) => {
                let (plain, prefer) = limits::preferred(&text.text);
                if let Some(value) = self.amount(key, control.form, text, plain) {
                    push(limits::Value::Text(value), prefer, self.origin(text));
                }
            }
            Value::Map(map) => {
                for (item, text) in map {
                    let (plain, prefer) = limits::preferred(&text.text);
                    let Some(value) = self.amount(key, control.form, text, plain) else { continue };
                    let value = match control.form {
                        Form::Pages => limits::Value::Pages(item.text.clone(), value),
                        _ => match self.path(item) {
                            Some(path) => limits::Value::Device(path, value),
                            None => continue,
                        },
                    };
                    push(value, prefer, self.origin(item));
                }
            }
            // No key of `[limits]` is a list.
            Value::List(..) => {}
        }
    }

    fn amount(&mut self, key: &Key, form: Form, text: &Text, plain: &str) -> Option<String> {
        match form.value(plain) {
            Ok(value) => Some(value),
            Err(help) => {
                self.wrong(text, format!("`{}` is no value of {}", text.text, key.name), help);
                None
            }
        }
    }

    fn place(&self, at: &At) -> Origin {
        Origin(self.sources.place(at))
    }
}
