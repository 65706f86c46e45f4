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
        let nested = self.merged.text("namespaces.nested").map(|text| text.text.as_str());
        let (nested, mounts) = (matches!(nested, Some("allow" | "no-mount")), nested == Some("allow"));
        Namespaces { share, nested, mounts, ..Namespaces::default() }
    }
}
