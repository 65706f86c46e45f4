//! Reads `[namespaces]`, and from `[network]` whether the network namespace is shared.

use super::builder::Builder;
use crate::spec::{Namespace, Namespaces, Origin};
use std::collections::BTreeMap;

impl Builder<'_> {
    pub(super) fn namespaces(&mut self) -> Namespaces {
        let mut share = BTreeMap::new();
        for text in self.merged.list("namespaces.share") {
            let namespace = Namespace::ALL.into_iter().find(|ns| ns.word() == text.text);
            if let Some(namespace) = namespace {
                share.insert(namespace, self.origin(text));
            }
        }
        let network = self.merged.text("network.mode");
        match network.filter(|text| text.text == "host") {
            Some(text) => {
                share.entry(Namespace::Net).or_insert_with(|| Origin(self.sources.place(&text.at)));
            }
            None => {
                let asked = self.merged.list("namespaces.share").iter().find(|text| text.text == "net");
                if let Some(text) = asked {
                    let help = "write `network.mode = \"host\"`, or `--net host`, which says the same";
                    self.wrong(text, "the network is shared here and absent in `network.mode`".into(), help);
                }
            }
        }
        let joined = self.joined(&share);
        let nested = self.merged.text("namespaces.nested").map(|text| text.text.as_str());
        let (nested, mounts) = (matches!(nested, Some("allow" | "no-mount")), nested == Some("allow"));
        Namespaces { share, joined, nested, mounts, ..Namespaces::default() }
    }

    /// The namespaces of running sandboxes that are joined.
    fn joined(&mut self, share: &BTreeMap<Namespace, Origin>) -> BTreeMap<Namespace, (i32, Origin)> {
        let merged = self.merged;
        let mut joined = BTreeMap::new();
        for (key, namespace) in [("namespaces.ipc", Namespace::Ipc), ("namespaces.uts", Namespace::Uts)] {
            let Some((text, pid)) = merged.text(key).and_then(|text| Some((text, text.text.strip_prefix("join:")?)))
            else {
                continue;
            };
            match pid.parse().ok().filter(|pid| *pid > 0) {
                Some(pid) => drop(joined.insert(namespace, (pid, self.origin(text)))),
                None => {
                    let help = "write `join:` and the number of one of its processes, or of its sbx: `join:4242`";
                    self.wrong(text, format!("`{}` names no process", text.text), help);
                }
            }
            if share.contains_key(&namespace) {
                let help = format!("take `{}` out of namespaces.share, or leave this out", namespace.word());
                self.wrong(text, "it is shared with the host in `namespaces.share`".into(), &help);
            }
        }
        joined
    }
}
