//! What a program asks the forwarder of names, and what a name server answers, of any kind: no panic, each question is answered in the
//! form that it was asked in, and an answer tells no address that it must not tell.

use sbx::proxy::names::ask::{Asked, MOST_ADDRESSES, Told};
use sbx::proxy::names::message::{Came, Query, Sent, read};
use sbx::proxy::names::rules::Rules;
use std::ffi::OsString;
use std::net::IpAddr;

/// The number of the question to the name server.
const NUMBER: u16 = 0x5a5a;

/// The longest answer by UDP.
const LONGEST: usize = 1232;

/// The whole way. The first byte is the length of the question, the second one how many records the answer claims to have; after the
/// question, the records.
pub fn way(bytes: &[u8]) {
    messages(bytes);
    let [length, count, rest @ ..] = bytes else { return };
    let (question, records) = rest.split_at(rest.len().min(usize::from(*length)));
    match read(question) {
        Came::Query(query) => answered(&query, question, *count, records),
        Came::Wrong(answer) => assert_eq!((answer.get(..2), answer.len()), (question.get(..2), 12)),
        Came::Nothing => {}
    }
}

fn answered(query: &Query, asked: &[u8], count: u8, records: &[u8]) {
    for answer in [query.refused(), query.failed()] {
        assert_eq!(answer.get(..2), asked.get(..2), "the number is that of the question");
    }
    let words = ["others", "deny:denied.example", "0:*.example"];
    let rules = Rules::read(&words.map(OsString::from)).expect("these are rules");
    rules.decide(&query.name);
    let mut sent = query.question(NUMBER);
    // The record behind the question, which is about the size of answers, stays: it has eleven bytes.
    let end = sent.len().saturating_sub(11);
    sent.truncate(end);
    sent.extend(records);
    for (at, byte) in [(2, 0x81), (3, 0x80), (6, 0), (7, count), (10, 0), (11, 0)] {
        sent.iter_mut().skip(at).take(1).for_each(|to| *to = byte);
    }
    let Sent::Answer(answer) = query.read_answer(&sent, NUMBER, &rules) else { return };
    let addresses = answer.addresses();
    assert!(addresses.len() <= MOST_ADDRESSES);
    let all: Vec<IpAddr> = addresses.iter().map(|(address, _)| *address).collect();
    for refused in [&all[..], all.get(..1).unwrap_or_default(), &[]] {
        let (udp, tcp) = (query.answered(&answer, refused, true), query.answered(&answer, refused, false));
        assert!(udp.len() <= LONGEST.max(tcp.len().min(LONGEST)), "{}", udp.len());
        for out in [&udp, &tcp] {
            assert!(out.is_empty() || out.get(..2) == asked.get(..2));
        }
        // Read once more, as the answer of a name server would be: none of these is in it.
        let mut again = tcp.clone();
        again.iter_mut().zip(NUMBER.to_be_bytes()).for_each(|(to, byte)| *to = byte);
        if let Sent::Answer(told) = query.read_answer(&again, NUMBER, &rules) {
            assert!(told.addresses().iter().all(|(address, _)| !refused.contains(address)));
        }
    }
}

/// Messages between the forwarder and the launcher, of which either may have been taken over.
fn messages(bytes: &[u8]) {
    if let Some(asked) = Asked::decode(bytes) {
        assert_eq!(Asked::decode(&asked.encode()), Some(asked));
    }
    if let Some(told) = Told::decode(bytes) {
        assert_eq!(Told::decode(&told.encode()), Some(told));
    }
}
