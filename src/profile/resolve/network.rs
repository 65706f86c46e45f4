//! Reads `[network]`.

use super::builder::Builder;
use crate::profile::diagnostic::Diagnostic;
use crate::profile::document::{Text, Value};
use crate::profile::source::At;
use crate::proxy::network::message::{MOST_NAMES, is_name};
use crate::spec::{
    AddressClass, Destination, FORMS, Forwarded, HelperDeath, NameServers, NamedNetwork, Network, NetworkHelper,
    NetworkRule, NetworkRules, PrivateNetwork, Published, Requirement,
};
use crate::state::check_network_name;

/// The most ports that are published. Each takes descriptors, of which a process has 1024 by default.
const MOST_PORTS: usize = 256;

/// The most names by which a sandbox is found in a network, besides its own.
const MOST_ALIASES: usize = MOST_NAMES - 1;

/// The most ports of the host's loopback that are reached inside.
const MOST_FORWARDED: usize = 64;

impl<'a> Builder<'a> {
    pub(super) fn network(&mut self) -> Network {
        let merged = self.merged;
        let word = |key: &str| merged.text(key).map(|text| text.text.as_str());
        match word("network.mode") {
            Some("host") => {
                self.without_private_network();
                Network::Host
            }
            Some("private") => Network::Private(self.private_network()),
            Some(other) if other.starts_with("net:") => Network::Named(self.private_network()),
            Some(other) if other.starts_with("join:") => {
                self.without_private_network();
                let pid = other.strip_prefix("join:").and_then(|pid| pid.parse().ok()).filter(|pid| *pid > 0);
                if let (None, Some(text)) = (pid, merged.text("network.mode")) {
                    let help = "write `join:` and the number of one of its processes, or of its sbx: `join:4242`";
                    self.wrong(text, format!("`{other}` names no process"), help);
                }
                pid.map_or(Network::None, Network::Joined)
            }
            _ => {
                self.without_private_network();
                Network::None
            }
        }
    }

    fn private_network(&self) -> PrivateNetwork {
        let word = |key: &str| self.merged.text(key).map(|text| text.text.as_str());
        PrivateNetwork {
            helper: match word("network.helper") {
                Some("pasta") => NetworkHelper::Pasta,
                Some("slirp4netns") => NetworkHelper::Slirp4netns,
                _ => NetworkHelper::Auto,
            },
            on_helper_death: match word("network.on_helper_death") {
                Some("report") => HelperDeath::Report,
                _ => HelperDeath::End,
            },
        }
    }

    /// The network that is shared with other sandboxes.
    pub(super) fn named_network(&mut self) -> NamedNetwork {
        let merged = self.merged;
        let list = merged.list("network.aliases");
        let mode = merged.text("network.mode");
        let Some((text, name)) = mode.and_then(|text| Some((text, text.text.strip_prefix("net:")?))) else {
            let help = "write `mode = \"net:NAME\"` in [network], or leave it out";
            list.iter().for_each(|text| {
                self.no_effect_of("network.aliases", "a network that sandboxes share", help, &text.at)
            });
            if let Some(text) = merged.text("network.ip6") {
                self.no_effect_of("network.ip6", "a network that sandboxes share", help, &text.at);
            }
            return NamedNetwork::default();
        };
        if let Err(error) = check_network_name(name) {
            self.wrong(text, error.message, "write `net:` and the name of a network: `net:web`");
        }
        if list.len() > MOST_ALIASES {
            let help = "leave some out";
            self.wrong(&list[MOST_ALIASES], format!("a sandbox has no more than {MOST_ALIASES} aliases"), help);
        }
        for text in list.iter().filter(|text| !is_name(&text.text)) {
            let help = "write letters, digits, `-` and `_`, as of a machine's name: `db`";
            self.wrong(text, format!("`{}` cannot be the name of a machine", text.text), help);
        }
        let ip6 = merged.text("network.ip6").and_then(|text| {
            let address = text.text.parse().ok();
            if address.is_none() {
                let what = format!("`{}` is no address of IPv6", text.text);
                self.wrong(
                    text,
                    what,
                    "write one of the network's, as `sbx network inspect NAME` shows it: `fd12:3456:789a::7`",
                );
            }
            Some((address?, self.origin(text)))
        });
        NamedNetwork {
            name: name.to_owned(),
            aliases: list.iter().map(|text| (text.text.clone(), self.origin(text))).collect(),
            ip6,
        }
    }

    pub(super) fn name_servers(&mut self) -> NameServers {
        let merged = self.merged;
        let help = "write `host`, `none`, or a list of addresses: `[\"9.9.9.9\", \"2620:fe::fe\"]`";
        let (at, texts) = match merged.get("network.dns") {
            None => return NameServers::Host,
            Some(Value::Text(text)) => (&text.at, std::slice::from_ref(text)),
            Some(Value::List(list, at)) => (at, list.as_slice()),
            Some(_) => return NameServers::Host,
        };
        if !self.has_private_network() {
            self.no_effect("network.dns", at);
        }
        match texts {
            [one] if one.text == "host" => return NameServers::Host,
            [one] if one.text == "none" => return NameServers::None,
            [] => self.errors.push(Diagnostic::at(at, "`network.dns` names no server").help(help)),
            // glibc reads no more: resolv.conf(5), MAXNS.
            [_, _, _, fourth, ..] => self.wrong(fourth, "programs ask no more than three name servers".into(), help),
            _ => {}
        }
        let mut servers = Vec::new();
        for text in texts {
            match text.text.parse::<std::net::IpAddr>() {
                Ok(address) if address.to_canonical() != address => {
                    let what = format!("`{}` is {}: name that", text.text, address.to_canonical());
                    self.wrong(text, what, help);
                }
                Ok(address) => servers.push((address, self.origin(text))),
                Err(_) => self.wrong(text, format!("`{}` is no address of a name server", text.text), help),
            }
        }
        self.if_private(NameServers::Named(servers))
    }

    /// The items of a list that has an effect with a private network alone: without one, with an error for each. What else is wrong with
    /// them is told either way.
    fn of_private(&mut self, key: &'static str) -> &'a [Text] {
        let merged = self.merged;
        let list = merged.list(key);
        if !self.has_private_network() {
            list.iter().for_each(|text| self.no_effect(key, &text.at));
        }
        list
    }

    /// What was read for a private network, if there is one.
    fn if_private<T: Default>(&self, read: T) -> T {
        if self.has_private_network() { read } else { T::default() }
    }

    pub(super) fn published(&mut self) -> Vec<Published> {
        let mut all: Vec<Published> = Vec::new();
        for text in self.of_private("network.publish") {
            match Published::read(&text.text, &self.origin(text)) {
                Ok(ports) => {
                    let twice = ports.iter().find(|port| all.iter().any(|other| other.collides(port)));
                    if let Some(port) = twice {
                        let help = "name another port of the host";
                        self.wrong(text, format!("port {} of the host is published twice", port.host), help);
                    } else if all.len() + ports.len() > MOST_PORTS {
                        let help = "publish fewer: each is a socket of its own";
                        self.wrong(text, format!("more than {MOST_PORTS} ports are published"), help);
                    } else {
                        all.extend(ports);
                    }
                }
                Err(why) => {
                    let help = "write `8080:80`, `0.0.0.0:8080:80/tcp`, `[::1]:5353:53/udp`, `8000-8010:80-90`, or `0:80` for any free \
                                port: the host's port first";
                    self.wrong(text, why, help);
                }
            }
        }
        self.if_private(all)
    }

    pub(super) fn forwarded(&mut self) -> Vec<Forwarded> {
        let mut all: Vec<Forwarded> = Vec::new();
        for text in self.of_private("network.forward") {
            match Forwarded::read(&text.text, &self.origin(text)) {
                Ok(port)
                    if all.iter().any(|other| (other.inside, other.transport) == (port.inside, port.transport)) =>
                {
                    let help = "name another port inside: `HOST:INSIDE`";
                    self.wrong(text, format!("port {} inside is taken twice", port.inside), help);
                }
                Ok(_) if all.len() == MOST_FORWARDED => {
                    self.wrong(text, format!("more than {MOST_FORWARDED} ports are forwarded"), "forward fewer");
                }
                Ok(port) => all.push(port),
                Err(why) => self.wrong(text, why, "write `5432`, `5432:15432` or `53:53/udp`: the host's port first"),
            }
        }
        self.if_private(all)
    }

    pub(super) fn network_rules(&mut self) -> NetworkRules {
        let merged = self.merged;
        let mut rules = |key: &'static str| match merged.get(key) {
            Some(Value::List(list, at)) => {
                if !self.has_private_network() {
                    self.no_effect(key, at);
                }
                let rules = Some(list.iter().filter_map(|text| self.network_rule(key, text)).collect());
                self.if_private(rules)
            }
            _ => None,
        };
        let (allow, deny) = (rules("network.allow"), rules("network.deny").unwrap_or_default());
        let ask = match merged.get("network.ask") {
            Some(Value::Switch(true, at)) => {
                if !self.has_private_network() {
                    self.no_effect("network.ask", at);
                }
                self.has_private_network()
            }
            _ => false,
        };
        // Whoever wants to be asked does not want all of the Internet reached.
        NetworkRules { allow: if ask { Some(allow.unwrap_or_default()) } else { allow }, deny, ask }
    }

    fn network_rule(&mut self, key: &'static str, text: &Text) -> Option<NetworkRule> {
        let rule = match text.text.parse::<NetworkRule>() {
            Ok(rule) => rule.from(self.origin(text)),
            Err(why) => {
                self.wrong(text, why, FORMS);
                return None;
            }
        };
        // It is not reached, as the word says.
        let said = key == "network.deny" && rule.to == Destination::Class(AddressClass::Loopback);
        if let Some((why, help)) = rule.has_no_effect().filter(|_| !said) {
            self.wrong(text, why, help);
        }
        Some(rule)
    }

    /// What Landlock does about TCP, which needs rules of a private network.
    pub(super) fn landlock_tcp(&mut self) -> Requirement {
        let merged = self.merged;
        let Some(text) = merged.text("security.landlock_tcp") else { return Requirement::Off };
        let wanted = match text.text.as_str() {
            "require" => Requirement::Require,
            "prefer" => Requirement::Prefer,
            _ => Requirement::Off,
        };
        if wanted == Requirement::Off || self.has_private_network() {
            return wanted;
        }
        self.no_effect("security.landlock_tcp", &text.at);
        Requirement::Off
    }

    fn has_private_network(&self) -> bool {
        self.merged.text("network.mode").is_some_and(|mode| mode.text == "private" || mode.text.starts_with("net:"))
    }

    /// Refuses keys of a private network in a profile that has none.
    fn without_private_network(&mut self) {
        let merged = self.merged;
        for key in ["network.helper", "network.on_helper_death"] {
            if let Some(text) = merged.text(key) {
                self.no_effect(key, &text.at);
            }
        }
    }

    /// Refuses a key of a private network in a profile that has none, unless a later layer has taken the network away. A project's
    /// file may only tighten, whatever there is.
    fn no_effect(&mut self, key: &str, at: &At) {
        let help = "write `mode = \"private\"` in [network], or `--net private`, or leave it out";
        self.no_effect_of(key, "a private network", help, at);
    }

    fn no_effect_of(&mut self, key: &str, without: &str, help: &str, at: &At) {
        let taken = self.merged.text("network.mode").is_some_and(|mode| self.merged.is_later(&mode.at, at));
        let of_project = self.sources.get(at.source).is_some_and(|source| source.project);
        if !of_project && !taken {
            let message = format!("`{key}` has no effect without {without}");
            self.errors.push(Diagnostic::at(at, message).help(help));
        }
    }
}
