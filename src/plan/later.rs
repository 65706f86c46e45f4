//! What a private network lets the program reach besides, while that runs: further lines of `network.allow`.

use super::names::is_for_all_names;
use super::rules::{RulePlan, SharedLine, denied};
use crate::error::{Error, Result};
use crate::spec::{AddressClass, Destination, FORMS, NamePattern, NetworkRule, Protocol};

/// The most lines that there may be then.
const MOST: usize = 1024;

/// How many lines of `network.deny` are named that refuse a part of what is allowed.
const SHOWN: usize = 5;

/// Rules with further lines, and what is said of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Later {
    /// The rules in the place of the others. Lists of names keep their indices.
    pub rules: RulePlan,
    /// Names that the forwarder is to answer, each with the index of its list.
    pub names: Vec<(usize, NamePattern)>,
    /// The forwarder is to answer all names that are not denied, and did not before.
    pub all_names: bool,
    /// A sentence for each line.
    pub said: Vec<String>,
    /// Lines that were not there before.
    pub added: Vec<String>,
}

impl RulePlan {
    /// The rules with these lines besides. `tcp` are the ports that Landlock holds the program's connections to, which stays.
    ///
    /// # Errors
    ///
    /// One of them cannot be allowed now: nothing is, then.
    pub fn with(&self, lines: &[String], tcp: Option<&[u16]>) -> Result<Later> {
        let mut later =
            Later { rules: self.clone(), names: Vec::new(), all_names: false, said: Vec::new(), added: Vec::new() };
        for line in lines {
            let rule: NetworkRule = line.parse().map_err(|why| Error::new(format!("{line}: {why}")).hint(FORMS))?;
            later.add(&rule, tcp)?;
        }
        if later.rules.lines.allow.len() > MOST {
            return Err(Error::new(format!("there would be more than {MOST} lines in network.allow"))
                .hint("allow networks, or names below one as `*.example.org`"));
        }
        later.rules.rules = later.rules.lines.rules(later.rules.names.as_ref());
        Ok(later)
    }

    /// The lines by which it is decided: those of `network.deny`, and those of `network.allow`, of now.
    pub fn lines(&self) -> [Vec<String>; 2] {
        [&self.lines.deny, &self.lines.allow].map(|lines| lines.iter().map(ToString::to_string).collect())
    }

    /// The line of a profile that has all that is allowed now at the next start besides.
    pub fn line_of_profile(&self, added: &[String]) -> String {
        // A line in the place of none takes the Internet away, which none stands for.
        let internet = self.lines.by_default.then(|| NetworkRule::internet().to_string());
        let texts: Vec<_> = internet.iter().chain(added).map(|line| format!("{line:?}")).collect();
        format!("network.allow = [{}]", texts.join(", "))
    }
}

impl Later {
    fn add(&mut self, rule: &NetworkRule, tcp: Option<&[u16]>) -> Result<()> {
        let wrong = |why: &str| Error::new(format!("{rule}: {why}"));
        let lines = &self.rules.lines;
        if let Some((why, help)) = rule.has_no_effect() {
            return Err(wrong(&why).hint(help));
        }
        if let Some(SharedLine { name, internal: true, .. }) = &lines.shared {
            return Err(wrong(&format!(
                "from the network `{name}`, which is internal, nothing but other sandboxes in it is reached"
            ))
            .hint("make the network without --internal"));
        }
        if let Some(by) = denied(rule, &lines.deny) {
            return Err(wrong(&format!("network.deny refuses it by {by}, whatever is allowed"))
                .hint(format!("start the sandbox without that line: `\"!{by}\"` in network.deny")));
        }
        if let Some(port) = held(rule, tcp) {
            return Err(wrong(&format!(
                "security.landlock_tcp holds the running program to other ports than {port}, which cannot be undone"
            ))
            .hint("start it anew with the line"));
        }
        let has = |other: &NetworkRule| other.to == rule.to && other.service.covers(rule.service);
        if lines.allow.iter().any(has) {
            self.said.push(format!("{rule} was allowed already"));
            return Ok(());
        }
        let lines_ask = lines.asks;
        let but: Vec<_> = lines.deny.iter().filter(|deny| meets(deny, rule)).map(ToString::to_string).collect();
        if let Destination::Name(name) = &rule.to {
            let Some(names) = &mut self.rules.names else {
                return Err(if lines.nameless {
                    wrong("network.dns is \"none\", so that nobody tells its addresses").hint("allow addresses")
                } else {
                    wrong("the sandbox was started without names in its rules, and nobody in it tells sbx of names")
                        .hint("start it with one in network.allow or network.deny, or allow addresses")
                });
            };
            let at = names.allow(rule, name.clone())?;
            names.bounded()?;
            self.names.push((at, name.clone()));
        }
        if let Some(names) = &mut self.rules.names
            && is_for_all_names(rule)
            && !(lines_ask && rule.to == Destination::Class(AddressClass::Private))
        {
            self.all_names |= !names.others;
            names.others = true;
        }
        self.rules.lines.allow.push(rule.clone());
        self.added.push(rule.to_string());
        let but = match but.get(..SHOWN.min(but.len())).unwrap_or_default() {
            [] => String::new(),
            shown => format!(", but for what network.deny refuses: {}", shown.join(" ")),
        };
        self.said.push(format!("{rule} is allowed from now on{but}"));
        Ok(())
    }
}

/// A port of a line for TCP that Landlock refuses.
fn held(rule: &NetworkRule, tcp: Option<&[u16]>) -> Option<u16> {
    let tcp = tcp?;
    if !matches!(rule.service.protocol, None | Some(Protocol::Tcp)) {
        return None;
    }
    let (first, last) = rule.service.ports.unwrap_or((1, u16::MAX));
    (first..=last).find(|port| !tcp.contains(port))
}

/// Whether a line of `network.deny` refuses a part of what another line allows.
fn meets(deny: &NetworkRule, rule: &NetworkRule) -> bool {
    let addresses = match (&deny.to, &rule.to) {
        (Destination::Name(one), Destination::Name(two)) => two.covers(one),
        // What addresses a name has is not known.
        (_, Destination::Name(_)) | (Destination::Name(_), _) => false,
        // Which addresses the host has is seen when a packet leaves.
        (Destination::Class(AddressClass::Host), _) | (_, Destination::Class(AddressClass::Host)) => true,
        (one, two) => one.addresses().meets(&two.addresses()),
    };
    addresses && deny.service.meets(rule.service)
}

#[cfg(test)]
mod tests {
    use super::super::names::NamePlan;
    use super::super::rules::RuleLines;
    use super::*;
    use crate::netfilter::PacketTarget;

    fn plan(allow: &[&str], deny: &[&str]) -> RulePlan {
        let parsed = |lines: &[&str]| lines.iter().map(|line| line.parse().unwrap()).collect::<Vec<NetworkRule>>();
        let names =
            NamePlan { lists: Vec::new(), denied: Vec::new(), others: false, servers: Vec::new(), shared: false };
        let lines = RuleLines { allow: parsed(allow), deny: parsed(deny), by_name: true, ..RuleLines::default() };
        RulePlan { rules: Vec::new(), published: Vec::new(), peers: None, names: Some(names), lines }
    }

    fn with(plan: &RulePlan, lines: &[&str], tcp: Option<&[u16]>) -> Result<Later> {
        plan.with(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>(), tcp)
    }

    #[test]
    fn lines_are_allowed_besides_and_what_is_denied_stays() {
        let plan = plan(&["link-local"], &["*.b.example", "10.1.0.0/16"]);
        let lines = ["a.example:443", "*.example", "c.example:443", "10.0.0.0/8", "link-local:80"];
        let later = with(&plan, &lines, None).unwrap();
        let said = [
            "a.example:443 is allowed from now on",
            "*.example is allowed from now on, but for what network.deny refuses: *.b.example",
            "c.example:443 is allowed from now on",
            "10.0.0.0/8 is allowed from now on, but for what network.deny refuses: 10.1.0.0/16",
            "link-local:80 was allowed already",
        ];
        assert_eq!(later.said, said);
        assert_eq!(
            later.names.iter().map(|(list, name)| format!("{list} {name}")).collect::<Vec<_>>(),
            ["0 a.example", "1 *.example", "0 c.example"]
        );
        assert_eq!(later.added, ["a.example:443", "*.example", "c.example:443", "10.0.0.0/8"]);
        // Once more: its lists stay what they are.
        let again = with(&later.rules, &["d.example:22", "a.example:443"], None).unwrap();
        assert_eq!(again.names[0].0, 2);
        assert_eq!(again.said[1], "a.example:443 was allowed already");
        assert!(!again.all_names && !again.rules.names.as_ref().unwrap().others);
        let order: Vec<_> = again.rules.rules.iter().map(|rule| (rule.accept, rule.what.as_str())).collect();
        assert!(
            order.iter().position(|rule| *rule == (false, "10.1.0.0/16"))
                < order.iter().position(|rule| *rule == (true, "10.0.0.0/8")),
            "{order:?}"
        );
        // Whoever reaches all of the Internet has all names answered.
        let all = with(&again.rules, &["internet:443", "internet:80"], None).unwrap();
        assert!(all.all_names && all.rules.names.as_ref().unwrap().others);
        assert!(!with(&all.rules, &["private"], None).unwrap().all_names);
        // Where the user is asked about names, those of the local network are no others.
        let asks = RuleLines { asks: true, ..plan.lines.clone() };
        let asks = RulePlan { lines: asks, ..plan };
        assert!(!with(&asks, &["private"], None).unwrap().all_names);
        assert!(with(&asks, &["internet"], None).unwrap().all_names);
        assert_eq!(all.rules.lines()[1].last().unwrap(), "internet:80");
    }

    #[test]
    fn a_line_of_hosts_with_a_denied_name_gives_no_address_to_another_one() {
        let mut plan = plan(&["link-local"], &["secret.example", "host", "10.1.0.0/16:22"]);
        plan.lines.hosts = "10.0.0.5 secret.example other.example\n10.0.0.6 open.example\n".to_owned();
        let later = with(&plan, &["*.example", "192.168.0.0/16", "10.0.0.0/8:80"], None).unwrap();
        let said = [
            "*.example is allowed from now on, but for what network.deny refuses: secret.example",
            "192.168.0.0/16 is allowed from now on, but for what network.deny refuses: host",
            "10.0.0.0/8:80 is allowed from now on, but for what network.deny refuses: host",
        ];
        assert_eq!(later.said, said);
        let open = Destination::Address("10.0.0.6".parse().unwrap()).addresses();
        let of_hosts: Vec<_> = later
            .rules
            .rules
            .iter()
            .filter(|rule| rule.accept && rule.what == "*.example")
            .map(|rule| &rule.to)
            .collect();
        assert_eq!(of_hosts[0], &PacketTarget::Addresses(open), "{of_hosts:?}");
    }

    #[test]
    fn the_line_for_the_profile_keeps_what_none_stands_for() {
        let named = plan(&["internet"], &[]);
        let added = ["10.0.0.7:80".to_owned()];
        assert_eq!(named.line_of_profile(&added), "network.allow = [\"10.0.0.7:80\"]");
        let lines = RuleLines { by_default: true, ..named.lines.clone() };
        let default = RulePlan { lines, ..named };
        assert_eq!(default.line_of_profile(&added), "network.allow = [\"internet\", \"10.0.0.7:80\"]");
    }

    #[test]
    fn what_cannot_be_allowed_is_refused_with_all_else() {
        let named = plan(&["internet"], &["*.b.example", "10.1.0.0/16"]);
        let without = RulePlan { names: None, ..named.clone() };
        let nameless = RuleLines { nameless: true, ..named.lines.clone() };
        let nameless = RulePlan { names: None, lines: nameless, ..named.clone() };
        let subnet = crate::spec::Subnets { v4: "10.89.0.0/24".parse().unwrap(), v6: None };
        let shared = Some(SharedLine { name: "web".into(), subnet, internal: true });
        let internal = RulePlan { lines: RuleLines { shared, ..named.lines.clone() }, ..named.clone() };
        for (plan, lines, tcp, why) in [
            (&named, &["c.example", "x.b.example"][..], None, "x.b.example: network.deny refuses it by *.b.example"),
            (&named, &["10.1.2.3:80"], None, "network.deny refuses it by 10.1.0.0/16"),
            (&named, &["loopback"], None, "the host's loopback is not reached by rules"),
            (&named, &["127.0.0.1:80"], None, "`127.0.0.1:80` is loopback"),
            (&named, &["a b"], None, "a b: "),
            (&named, &["a.example:53"], None, "name servers are asked by sbx alone"),
            (&without, &["a.example"], None, "started without names in its rules"),
            (&nameless, &["a.example"], None, "network.dns is \"none\""),
            (&internal, &["192.0.2.1"], None, "from the network `web`, which is internal"),
            (&named, &["a.example:443-444"], Some(&[443][..]), "holds the running program to other ports than 444"),
            (&named, &["a.example"], Some(&[443]), "holds the running program to other ports than 1"),
        ] {
            let refused = with(plan, lines, tcp).unwrap_err();
            assert!(refused.message.contains(why) && !refused.hints.is_empty(), "{lines:?}: {refused:?}");
        }
        assert!(with(&named, &["a.example:443/tcp", "a.example:53/udp", "192.0.2.1/icmp"], Some(&[443])).is_err());
        assert!(with(&named, &["a.example:443/tcp", "192.0.2.1:53/udp"], Some(&[443])).is_ok());
        let many: Vec<_> = (0..=MOST).map(|port| format!("192.0.2.1:{}", port + 1)).collect();
        assert!(named.with(&many, None).unwrap_err().message.contains("more than 1024 lines"));
    }
}
