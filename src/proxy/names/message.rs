//! Messages of the domain name system: questions of programs, questions to name servers, and what passes of the answers. What is sent is
//! made anew from what was understood, so that who reads it reads the same.

use super::ask::MOST_ADDRESSES;
use super::rules::{Decision, Rules};
use simple_dns::rdata::{A, AAAA, OPT, RData, SVCB, SVCParam};
use simple_dns::{CLASS, Name, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, TYPE};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// The header of a message.
const HEADER: usize = 12;

/// The shortest record: an empty name, type, class, lifetime and length. A question has less.
const SHORTEST_RECORD: usize = 11;

/// What an answer by UDP may have in bytes, if who asks does not say more.
const PLAIN: u16 = 512;

/// The most that it may have: within what a link carries without parts.
const MOST: u16 = 1232;

/// How long an answer holds at least for the packet filter: programs connect some time after they have asked, and ask no more.
const SHORTEST_LIFETIME: u32 = 60;

/// How long an answer holds at most, for the packet filter and whoever has asked.
const LONGEST_LIFETIME: u32 = 3600;

/// The most names that a name is another name for.
const MOST_ALIASES: usize = 32;

/// Parameters of records about services that are addresses (RFC 9460): hints for IPv4 and IPv6.
const HINTS: [u16; 2] = [4, 6];

/// A question of a program.
#[derive(Debug, Clone)]
pub struct Query {
    /// The number that its answer has to have.
    id: u16,
    question: Question<'static>,
    /// The name in small letters.
    pub name: String,
    /// How long an answer by UDP may be, and whether the program has said so (EDNS).
    size: Option<u16>,
}

/// What has come from a program.
#[derive(Debug)]
pub enum Came {
    /// A question.
    Query(Box<Query>),
    /// Something that is answered at once.
    Wrong(Vec<u8>),
    /// Something that is not answered.
    Nothing,
}

/// An answer of a name server.
#[derive(Debug)]
pub struct Answer<'a> {
    rcode: RCODE,
    /// The parts of it that are about the question.
    records: Vec<ResourceRecord<'a>>,
    /// What says how long there is nothing.
    nothing: Vec<ResourceRecord<'a>>,
}

/// What a name server has sent.
#[derive(Debug)]
pub enum Sent<'a> {
    /// An answer.
    Answer(Answer<'a>),
    /// The answer is too long for UDP.
    Truncated,
    /// The server cannot answer: another one may.
    Failed,
    /// The name is another name for one that is denied.
    Denied,
    /// It is no answer to this question.
    Other,
}

/// Reads a message, unless it claims to hold more than it does: the parser makes room first.
fn parse(bytes: &[u8]) -> Option<Packet<'_>> {
    let counts = bytes.get(4..HEADER)?.as_chunks::<2>().0.iter().map(|count| usize::from(u16::from_be_bytes(*count)));
    (counts.skip(1).sum::<usize>() * SHORTEST_RECORD <= bytes.len()).then_some(())?;
    (bytes.get(4..6)? == [0, 1]).then_some(())?;
    Packet::parse(bytes).ok()
}

/// A name as text in small letters; none if a part of it has a dot or what is no visible letter.
fn text(name: &Name) -> Option<String> {
    let mut text = String::new();
    for label in name.as_bytes() {
        if !label.iter().all(|byte| (b'!'..=b'~').contains(byte) && *byte != b'.') {
            return None;
        }
        if !text.is_empty() {
            text.push('.');
        }
        text.extend(label.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
    }
    Some(text)
}

/// Reads what a program has sent.
pub fn read(bytes: &[u8]) -> Came {
    let Some([first, second, flags, _]) = bytes.first_chunk::<4>() else { return Came::Nothing };
    // An answer is never answered.
    if bytes.len() < HEADER || flags & 0x80 != 0 {
        return Came::Nothing;
    }
    let wrong = |rcode: u8| {
        let mut answer = vec![*first, *second, 0x80 | flags & 0x79, 0x80 | rcode];
        answer.extend([0; 8]);
        Came::Wrong(answer)
    };
    const FORMAT: u8 = 1;
    const NOT_IMPLEMENTED: u8 = 4;
    if flags & 0x78 != 0 {
        return wrong(NOT_IMPLEMENTED);
    }
    let Some(packet) = parse(bytes) else { return wrong(FORMAT) };
    let [question] = &packet.questions[..] else { return wrong(FORMAT) };
    let known = matches!(question.qtype, QTYPE::TYPE(_)) && question.qclass == QCLASS::CLASS(CLASS::IN);
    if packet.opcode() != OPCODE::StandardQuery || !known || question.unicast_response {
        return wrong(NOT_IMPLEMENTED);
    }
    // What is no name that a rule could have is none that there is.
    let Some(name) = text(&question.qname) else { return wrong(RCODE::NameError as u8) };
    let size = packet.opt().map(|opt| opt.udp_packet_size);
    Came::Query(Box::new(Query { id: packet.id(), question: question.clone().into_owned(), name, size }))
}

impl Query {
    /// The type of the records that are asked for.
    pub fn kind(&self) -> u16 {
        self.question.qtype.into()
    }

    /// The question to a name server, with this number.
    pub fn question(&self, id: u16) -> Vec<u8> {
        let mut packet = Packet::new_query(id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        packet.questions.push(self.question.clone());
        *packet.opt_mut() = Some(OPT { opt_codes: Vec::new(), udp_packet_size: MOST, version: 0 });
        packet.build_bytes_vec().unwrap_or_default()
    }

    /// An answer without records.
    fn reply(&self, rcode: RCODE) -> Packet<'_> {
        let mut packet = Packet::new_reply(self.id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED | PacketFlag::RECURSION_AVAILABLE);
        *packet.rcode_mut() = rcode;
        packet.questions.push(self.question.clone());
        let opt = OPT { opt_codes: Vec::new(), udp_packet_size: MOST, version: 0 };
        *packet.opt_mut() = self.size.map(|_| opt);
        packet
    }

    /// The answer that there is no such name.
    pub fn refused(&self) -> Vec<u8> {
        self.reply(RCODE::NameError).build_bytes_vec().unwrap_or_default()
    }

    /// The answer with those of these addresses that it was asked for, which hold for a moment; by UDP, if it is short enough for that.
    pub fn told(&self, addresses: &[IpAddr], udp: bool) -> Vec<u8> {
        const LIFETIME: u32 = 1;
        let record = |address: &IpAddr| {
            let (kind, rdata) = match address {
                IpAddr::V4(v4) => (TYPE::A, RData::A(A { address: u32::from(*v4) })),
                IpAddr::V6(v6) => (TYPE::AAAA, RData::AAAA(AAAA { address: u128::from(*v6) })),
            };
            let name = self.question.qname.clone();
            (self.question.qtype == QTYPE::TYPE(kind)).then(|| ResourceRecord::new(name, CLASS::IN, LIFETIME, rdata))
        };
        let mut packet = self.reply(RCODE::NoError);
        packet.answers = addresses.iter().filter_map(record).collect();
        self.fitting(packet, udp)
    }

    /// The message; by UDP, if it is longer than who asks takes, one that says so.
    fn fitting(&self, packet: Packet<'_>, udp: bool) -> Vec<u8> {
        let bytes = packet.build_bytes_vec_compressed().unwrap_or_default();
        let most = self.size.unwrap_or(PLAIN).clamp(PLAIN, MOST);
        if udp && bytes.len() > usize::from(most) {
            let mut packet = self.reply(RCODE::NoError);
            packet.set_flags(PacketFlag::TRUNCATION);
            return packet.build_bytes_vec().unwrap_or_default();
        }
        bytes
    }

    /// The answer that no name server has answered.
    pub fn failed(&self) -> Vec<u8> {
        self.reply(RCODE::ServerFailure).build_bytes_vec().unwrap_or_default()
    }

    /// The answer of a name server for the program, without these addresses; by UDP, if it is short enough for that.
    pub fn answered(&self, answer: &Answer, refused: &[IpAddr], udp: bool) -> Vec<u8> {
        let stays = |record: &&ResourceRecord| address(record).is_none_or(|address| !refused.contains(&address));
        let records: Vec<_> = answer.records.iter().filter(stays).cloned().collect();
        let all_gone = records.iter().all(|record| matches!(record.rdata, RData::CNAME(_)));
        if !refused.is_empty() && all_gone {
            return self.refused();
        }
        let mut packet = self.reply(answer.rcode);
        packet.answers = records;
        packet.name_servers = answer.nothing.clone();
        self.fitting(packet, udp)
    }

    /// Reads what a name server has sent for the question with this number.
    pub fn read_answer<'a>(&self, bytes: &'a [u8], id: u16, rules: &Rules) -> Sent<'a> {
        if bytes.get(..2) != Some(&id.to_be_bytes()) || bytes.get(2).is_none_or(|flags| flags & 0x80 == 0) {
            return Sent::Other;
        }
        let Some(packet) = parse(bytes) else { return Sent::Failed };
        let [question] = &packet.questions[..] else { return Sent::Failed };
        let is_ours = question.qtype == self.question.qtype
            && question.qclass == self.question.qclass
            && text(&question.qname).is_some_and(|name| name == self.name);
        if !is_ours {
            return Sent::Other;
        }
        if packet.has_flags(PacketFlag::TRUNCATION) {
            return Sent::Truncated;
        }
        let rcode = packet.rcode();
        if !matches!(rcode, RCODE::NoError | RCODE::NameError) {
            return Sent::Failed;
        }
        let Packet { answers, name_servers, .. } = packet;
        let Some(records) = self.about(answers, rules) else { return Sent::Denied };
        let nothing =
            name_servers.into_iter().filter(|record| records.is_empty() && matches!(record.rdata, RData::SOA(_)));
        let nothing = nothing.take(1).map(|record| ResourceRecord { ttl: record.ttl.min(LONGEST_LIFETIME), ..record });
        Sent::Answer(Answer { rcode, nothing: nothing.collect(), records })
    }

    /// The records that are about the name, or about one that it is another name for, without what says more than was asked. None if
    /// one of these names is denied.
    fn about<'a>(&self, all: Vec<ResourceRecord<'a>>, rules: &Rules) -> Option<Vec<ResourceRecord<'a>>> {
        let QTYPE::TYPE(wanted) = self.question.qtype else { return None };
        let names = self.names(&all);
        if names.iter().any(|name| rules.denies(name)) {
            return None;
        }
        let allowed = |target: &str| names.contains(target) || rules.decide(target) != Decision::Refused;
        let mut addresses = 0;
        let keep = |record: ResourceRecord<'a>| {
            let kind = record.rdata.type_code();
            let is_alias = matches!(record.rdata, RData::CNAME(_));
            let is_about = text(&record.name).is_some_and(|name| names.contains(&name));
            if record.class != CLASS::IN || !is_about || !(is_alias || kind == wanted) {
                return None;
            }
            if address(&record).is_some() {
                addresses += 1;
                (addresses <= MOST_ADDRESSES).then_some(())?;
            }
            let rdata = match record.rdata {
                RData::HTTPS(https) => RData::HTTPS(without_hints(https.0, allowed)?.into()),
                RData::SVCB(svcb) => RData::SVCB(without_hints(svcb, allowed)?),
                other => other,
            };
            let ttl = record.ttl.min(LONGEST_LIFETIME);
            Some(ResourceRecord { ttl, cache_flush: false, rdata, name: record.name, class: CLASS::IN })
        };
        Some(all.into_iter().filter_map(keep).collect())
    }

    /// The name, and those that it is another name for.
    fn names(&self, all: &[ResourceRecord]) -> BTreeSet<String> {
        let alias = |record: &ResourceRecord| match &record.rdata {
            RData::CNAME(target) => text(&record.name).zip(text(target)),
            _ => None,
        };
        let aliases: Vec<_> = all.iter().filter_map(alias).take(MOST_ALIASES).collect();
        let mut names = BTreeSet::from([self.name.clone()]);
        // They may be in any order.
        for _ in 0..aliases.len() {
            let before = names.len();
            names.extend(
                aliases
                    .iter()
                    .filter(|(name, _)| names.contains(name))
                    .map(|(_, target)| target.clone())
                    .collect::<Vec<_>>(),
            );
            if names.len() == before {
                break;
            }
        }
        names
    }
}

/// A record about a service without addresses; none if it leads to a name that is not allowed.
fn without_hints<'a>(service: SVCB<'a>, allowed: impl Fn(&str) -> bool) -> Option<SVCB<'a>> {
    let target = text(&service.target)?;
    (target.is_empty() || allowed(&target)).then_some(())?;
    let mut kept = SVCB::new(service.priority, service.target.clone());
    for param in service.iter_params() {
        match param {
            SVCParam::Mandatory(keys) => kept.set_mandatory(keys.iter().copied().filter(|key| !HINTS.contains(key))),
            other if HINTS.contains(&other.key_code()) => {}
            other => kept.set_param(other.clone()),
        }
    }
    Some(kept)
}

/// The address that a record tells, if it tells one.
fn address(record: &ResourceRecord) -> Option<IpAddr> {
    match &record.rdata {
        RData::A(a) => Some(IpAddr::V4(a.address.into())),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.address.into())),
        _ => None,
    }
}

impl Answer<'_> {
    /// The addresses that it tells, each with how long packets to it are to be let through.
    pub fn addresses(&self) -> Vec<(IpAddr, Duration)> {
        let lifetime = |ttl: u32| Duration::from_secs(ttl.clamp(SHORTEST_LIFETIME, LONGEST_LIFETIME).into());
        self.records.iter().filter_map(|record| Some((address(record)?, lifetime(record.ttl)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::rdata::{CNAME, HTTPS};

    fn asked(name: &'static str, kind: u16) -> Vec<u8> {
        let mut packet = Packet::new_query(7);
        let kind = QTYPE::try_from(kind).unwrap();
        packet.questions.push(Question::new(Name::new(name).unwrap(), kind, QCLASS::CLASS(CLASS::IN), false));
        packet.build_bytes_vec().unwrap()
    }

    fn query(name: &'static str, kind: u16) -> Query {
        match read(&asked(name, kind)) {
            Came::Query(query) => *query,
            other => panic!("{other:?}"),
        }
    }

    fn rules(words: &[&str]) -> Rules {
        Rules::read(&words.iter().map(std::ffi::OsString::from).collect::<Vec<_>>()).unwrap()
    }

    fn sent(query: &Query, records: &[(&'static str, u32, RData<'static>)]) -> Vec<u8> {
        let question = query.question(9);
        let mut packet = Packet::parse(&question).unwrap().into_reply();
        packet.answers.extend(
            records.iter().map(|(name, ttl, rdata)| {
                ResourceRecord::new(Name::new(name).unwrap(), CLASS::IN, *ttl, rdata.clone())
            }),
        );
        packet.build_bytes_vec().unwrap()
    }

    fn v4(address: [u8; 4]) -> RData<'static> {
        RData::A(A { address: u32::from_be_bytes(address) })
    }

    fn alias(name: &'static str) -> RData<'static> {
        RData::CNAME(CNAME(Name::new(name).unwrap()))
    }

    /// What the program gets, without these addresses.
    fn passed(
        query: &Query,
        bytes: &[u8],
        rules: &Rules,
        refused: &[IpAddr],
    ) -> (Vec<String>, RCODE, Vec<(IpAddr, u64)>) {
        let Sent::Answer(answer) = query.read_answer(bytes, 9, rules) else {
            panic!("{:?}", query.read_answer(bytes, 9, rules))
        };
        let out = query.answered(&answer, refused, true);
        let packet = Packet::parse(&out).unwrap();
        assert_eq!((packet.id(), packet.questions.len()), (7, 1));
        let shown = packet.answers.iter().map(|record| match &record.rdata {
            RData::CNAME(target) => format!("{} {} -> {}", record.name, record.ttl, target.0),
            other => format!(
                "{} {} {}",
                record.name,
                record.ttl,
                address(record).map_or(format!("{other:?}"), |a| a.to_string())
            ),
        });
        let addresses = answer.addresses().into_iter().map(|(address, lifetime)| (address, lifetime.as_secs()));
        (shown.collect(), packet.rcode(), addresses.collect())
    }

    #[test]
    fn addresses_of_the_name_pass_and_nothing_else() {
        let query = query("A.example", 1);
        let records = [
            ("b.example", 30, v4([192, 0, 2, 2])),
            ("a.EXAMPLE", 300, alias("b.example")),
            ("b.example", 7200, v4([192, 0, 2, 1])),
            // Not asked for.
            ("c.example", 30, v4([192, 0, 2, 3])),
            ("b.example", 30, RData::AAAA(AAAA { address: 1 })),
        ];
        let bytes = sent(&query, &records);
        let (shown, rcode, addresses) = passed(&query, &bytes, &rules(&["others"]), &[]);
        assert_eq!(shown, ["b.example 30 192.0.2.2", "a.EXAMPLE 300 -> b.example", "b.example 3600 192.0.2.1"]);
        assert_eq!(rcode, RCODE::NoError);
        assert_eq!(addresses, [([192, 0, 2, 2].into(), 60), ([192, 0, 2, 1].into(), 3600)]);
        let (shown, ..) = passed(&query, &bytes, &rules(&["others"]), &[[192, 0, 2, 1].into()]);
        assert_eq!(shown, ["b.example 30 192.0.2.2", "a.EXAMPLE 300 -> b.example"]);
        // None is left.
        let both = [[192, 0, 2, 1].into(), [192, 0, 2, 2].into()];
        assert_eq!(passed(&query, &bytes, &rules(&["others"]), &both).1, RCODE::NameError);
        assert!(matches!(query.read_answer(&bytes, 9, &rules(&["others", "deny:b.example"])), Sent::Denied));
        assert!(matches!(query.read_answer(&bytes, 8, &rules(&["others"])), Sent::Other));
    }

    #[test]
    fn hints_of_addresses_are_taken_out() {
        let query = query("a.example", 65);
        let https = |priority, target: &'static str| {
            let mut service = SVCB::new(priority, Name::new(target).unwrap());
            service.set_mandatory([3, 4].into_iter());
            service.set_port(8443);
            service.set_ipv4hint(&[1]);
            service.set_ipv6hint(&[1]);
            ("a.example", 60, RData::HTTPS(HTTPS(service)))
        };
        let bytes = sent(&query, &[https(1, "."), https(2, "b.example"), https(3, "c.example")]);
        let (shown, ..) = passed(&query, &bytes, &rules(&["0:a.example", "0:b.example"]), &[]);
        assert_eq!(shown.len(), 2, "{shown:?}");
        for line in &shown {
            assert!(!line.contains("Hint") && line.contains("Port(8443)") && line.contains("Mandatory({3})"), "{line}");
        }
    }

    #[test]
    fn what_is_too_long_for_udp_is_said_to_be() {
        let query = query("a.example", 1);
        let many: Vec<_> = (0..70).map(|n| ("a.example", 60, v4([192, 0, 2, n]))).collect();
        let bytes = sent(&query, &many);
        let Sent::Answer(answer) = query.read_answer(&bytes, 9, &rules(&["others"])) else { panic!() };
        assert_eq!(answer.addresses().len(), MOST_ADDRESSES);
        let packet = |udp| query.answered(&answer, &[], udp);
        assert!(Packet::parse(&packet(true)).unwrap().has_flags(PacketFlag::TRUNCATION));
        assert_eq!(Packet::parse(&packet(false)).unwrap().answers.len(), MOST_ADDRESSES);
    }

    #[test]
    fn what_is_no_question_is_refused_or_not_answered() {
        let good = asked("a.example", 1);
        let wrong = |bytes: &[u8], rcode: u8| match read(bytes) {
            Came::Wrong(answer) => assert_eq!((&answer[..2], answer[3] & 15, answer.len()), (&bytes[..2], rcode, 12)),
            other => panic!("{other:?}"),
        };
        let changed = |at: usize, to: u8| {
            let mut bytes = good.clone();
            bytes[at] = to;
            bytes
        };
        assert!(matches!(read(&good[..11]), Came::Nothing));
        assert!(matches!(read(&changed(2, 0x80)), Came::Nothing));
        wrong(&good[..20], 1);
        // Two questions; an answer that is not there; updates; a zone; any; another class; a name with a dot in a part.
        wrong(&changed(5, 2), 1);
        wrong(&changed(6, 255), 1);
        wrong(&changed(2, 0x28), 4);
        wrong(&asked("a.example", 252), 4);
        wrong(&asked("a.example", 255), 4);
        wrong(&changed(good.len() - 1, 3), 4);
        wrong(&changed(13, b'.'), 3);
    }
}
