//! The filter, driven message by message.

use super::keys::{Choice, Key, fingerprint, shown};
use super::message::{self, LARGEST, number, put, put_string};
use super::notes::reason;
use super::{Agent, note};
use crate::proxy::filter::{Broken, Filter, Output};
use proptest::prelude::*;

const KEY: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x20ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

fn strings(parts: &[&[u8]]) -> Vec<u8> {
    let mut values = Vec::new();
    parts.iter().for_each(|part| put_string(&mut values, part));
    values
}

fn message(kind: u8, values: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, kind, values);
    out
}

fn list(keys: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut values = (keys.len() as u32).to_be_bytes().to_vec();
    keys.iter().for_each(|(blob, comment)| values.extend(strings(&[blob, comment])));
    message(number::IDENTITIES_ANSWER, &values)
}

fn sshsig(namespace: &[u8]) -> Vec<u8> {
    [b"SSHSIG".to_vec(), strings(&[namespace, b"", b"sha512", &[7; 64]])].concat()
}

fn login(user: &[u8], key: &[u8], server: Option<&[u8]>) -> Vec<u8> {
    let method: &[u8] = if server.is_some() { b"publickey-hostbound-v00@openssh.com" } else { b"publickey" };
    let mut data = strings(&[&[1; 32]]);
    data.push(50);
    data.extend(strings(&[user, b"ssh-connection", method]));
    data.push(1);
    data.extend(strings(&[b"ssh-ed25519", key]));
    data.extend(server.map(|server| strings(&[server])).unwrap_or_default());
    data
}

fn sign(key: &[u8], data: &[u8], flags: u32) -> Vec<u8> {
    message(number::SIGN_REQUEST, &[strings(&[key, data]), flags.to_be_bytes().to_vec()].concat())
}

fn agent(names: &[&str], confirm: bool) -> Agent {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Agent::new(Choice { names }, confirm.then(|| "ci".to_owned()))
}

/// What a filter makes of what the program sends.
fn sent(agent: &mut Agent, bytes: &[u8]) -> Result<Output, Broken> {
    let mut out = Output::default();
    let consumed = agent.client_sent(bytes, &mut out)?;
    assert!(consumed == bytes.len() || !agent.takes_more());
    Ok(out)
}

fn answered(agent: &mut Agent, bytes: &[u8]) -> Result<Output, Broken> {
    let mut out = Output::default();
    assert_eq!(agent.server_sent(bytes, &mut out)?, bytes.len());
    Ok(out)
}

fn failure() -> Vec<u8> {
    message(number::FAILURE, &[])
}

#[test]
fn everything_but_lists_and_signatures_is_refused() {
    for kind in (0..=255u8).filter(|kind| ![number::REQUEST_IDENTITIES, number::SIGN_REQUEST].contains(kind)) {
        for values in [&b""[..], b"\0\0\0\x05query", &strings(&[b"restrict-destination-v00@openssh.com", b"x"])] {
            let mut agent = agent(&[], false);
            let out = sent(&mut agent, &message(kind, values)).unwrap();
            assert_eq!((out.to_server.len(), out.to_client), (0, failure()), "{kind}");
            assert!(out.notes.len() == 1 && note(out.notes[0]).is_some(), "{kind}");
            assert!(agent.takes_more());
        }
    }
}

#[test]
fn only_the_keys_that_are_named_are_listed() {
    let other = strings(&[b"ssh-rsa", b"x"]);
    let all = list(&[(KEY, b"alice@host"), (&other, b"work")]);
    for (names, expected) in [
        (vec![], all.clone()),
        (vec![fingerprint(KEY)], list(&[(KEY, b"alice@host")])),
        (vec!["work".to_owned()], list(&[(&other, b"work")])),
        (vec!["alice".to_owned()], list(&[])),
    ] {
        let mut agent = agent(&names.iter().map(String::as_str).collect::<Vec<_>>(), true);
        let ask = message(number::REQUEST_IDENTITIES, &[]);
        assert_eq!(sent(&mut agent, &ask).unwrap().to_server, ask);
        assert!(!agent.takes_more(), "one request at a time");
        assert_eq!(answered(&mut agent, &all).unwrap().to_client, expected, "{names:?}");
        assert!(agent.takes_more());
    }
}

#[test]
fn a_key_that_is_not_named_or_not_there_does_not_sign() {
    for (names, keys) in
        [(vec!["work"], list(&[(KEY, b"alice")])), (vec![], list(&[(b"x", b"alice")])), (vec![], list(&[]))]
    {
        let mut agent = agent(&names, false);
        sent(&mut agent, &sign(KEY, &sshsig(b"git"), 0)).unwrap();
        let out = answered(&mut agent, &keys).unwrap();
        assert_eq!((out.to_server.len(), out.to_client, out.notes), (0, failure(), vec![reason::KEY]));
    }
}

#[test]
fn logins_and_signatures_of_files_are_signed_and_nothing_else() {
    for data in [sshsig(b"git"), login(b"alice", KEY, None), login(b"alice", KEY, Some(b"server"))] {
        let mut agent = agent(&[], false);
        let request = sign(KEY, &data, 2);
        assert_eq!(sent(&mut agent, &request).unwrap().to_server, message(number::REQUEST_IDENTITIES, &[]));
        assert_eq!(answered(&mut agent, &list(&[(KEY, b"alice")])).unwrap().to_server, request);
        let signature = message(number::SIGN_RESPONSE, &strings(&[b"signature"]));
        assert_eq!(answered(&mut agent, &signature).unwrap().to_client, signature);
    }
    let more = |mut data: Vec<u8>| {
        data.push(0);
        data
    };
    let certificate = strings(&[b"ssh-ed25519-cert-v01@openssh.com", b"nonce", b"key"]);
    for data in [
        b"x".to_vec(),
        Vec::new(),
        certificate,
        more(sshsig(b"git")),
        sshsig(b""),
        more(login(b"alice", KEY, None)),
        login(b"alice", b"another key", None),
    ] {
        let out = sent(&mut agent(&[], false), &sign(KEY, &data, 0)).unwrap();
        assert_eq!((out.to_server.len(), out.to_client, out.notes), (0, failure(), vec![reason::PURPOSE]));
    }
    let out = sent(&mut agent(&[], false), &sign(KEY, &sshsig(b"git"), 8)).unwrap();
    assert_eq!(out.to_client, failure(), "a flag that is not known");
}

#[test]
fn the_user_is_asked_before_each_signature() {
    let mut agent = agent(&[], true);
    for yes in [true, false, true] {
        let request = sign(KEY, &login(b"root", KEY, Some(b"server")), 0);
        sent(&mut agent, &request).unwrap();
        let out = answered(&mut agent, &list(&[(KEY, b"alice\n\x1b[2J\xe2\x80\xae")])).unwrap();
        assert!(out.to_server.is_empty() && out.to_client.is_empty());
        let question = out.question.unwrap();
        assert!(question.contains("(profile ci)") && question.contains("\nalice??[2J?\n"), "{question:?}");
        let key = fingerprint(b"server");
        assert!(question.contains(&format!("log in as `root` by SSH, on the server with the key {key}")), "{question}");
        assert!(question.contains(&fingerprint(KEY)), "{question}");
        let mut out = Output::default();
        assert_eq!(agent.client_sent(&message(17, b""), &mut out), Ok(0), "nothing is taken meanwhile");
        agent.answered(yes, &mut out);
        if yes {
            assert_eq!((out.to_server, out.to_client.len()), (request, 0));
            assert_eq!(answered(&mut agent, &failure()).unwrap().to_client, failure());
        } else {
            assert_eq!((out.to_server.len(), out.to_client, out.notes), (0, failure(), vec![reason::DECLINED]));
        }
        assert!(agent.takes_more());
    }
}

#[test]
fn what_a_program_says_is_no_part_of_the_question() {
    let name = b"git` by SSH, on the server with the key SHA256:good.\n\nAllow";
    let mut agent = agent(&[], true);
    sent(&mut agent, &sign(KEY, &login(name, KEY, None), 0)).unwrap();
    let question = answered(&mut agent, &list(&[(KEY, b"alice")])).unwrap().question.unwrap();
    let shown = "log in as `git? by SSH, on the server with the key SHA256:good.??Allow` by SSH, on any server.";
    assert!(question.contains(shown), "{question}");
}

#[test]
fn a_connection_is_bound_to_a_server_as_openssh_does_it() {
    let values = [strings(&[b"session-bind@openssh.com", b"key", b"session", b"signature"]), vec![1]].concat();
    let mut agent = agent(&[], false);
    let request = message(number::EXTENSION, &values);
    assert_eq!(sent(&mut agent, &request).unwrap().to_server, request);
    let done = message(number::SUCCESS, &[]);
    assert_eq!(answered(&mut agent, &done).unwrap().to_client, done);
    sent(&mut agent, &request).unwrap();
    assert_eq!(answered(&mut agent, &message(number::EXTENSION_FAILURE, &[])).unwrap().to_client, failure());
}

#[test]
fn what_is_no_message_ends_the_connection() {
    let too_long = (LARGEST as u32 + 1).to_be_bytes();
    let torn = message(number::SIGN_REQUEST, &strings(&[KEY, b"x"]));
    let more = message(number::REQUEST_IDENTITIES, b"x");
    for bytes in [&[0; 4][..], &too_long, &[0xff; 8], &torn, &more] {
        assert!(matches!(sent(&mut agent(&[], false), bytes), Err(Broken)), "{bytes:?}");
        assert!(answered(&mut agent(&[], false), bytes).is_err(), "{bytes:?}");
    }
    // What the agent sends without having been asked, or what is no answer to what it was.
    assert!(answered(&mut agent(&[], false), &list(&[])).is_err());
    for answer in
        [message(number::SUCCESS, &[]), message(number::SIGN_RESPONSE, &strings(&[b"x"])), list(&[])[..8].to_vec()]
    {
        let mut agent = agent(&[], false);
        sent(&mut agent, &message(number::REQUEST_IDENTITIES, &[])).unwrap();
        let mut out = Output::default();
        assert!(agent.server_sent(&answer, &mut out) != Ok(answer.len()), "{answer:?}");
        assert!(out.to_client.is_empty());
    }
    let count = message(number::IDENTITIES_ANSWER, &u32::MAX.to_be_bytes());
    let mut agent = agent(&[], false);
    sent(&mut agent, &message(number::REQUEST_IDENTITIES, &[])).unwrap();
    assert!(answered(&mut agent, &count).is_err());
}

#[test]
fn messages_come_in_any_pieces() {
    let (mut agent, mut input, mut out) = (agent(&[], false), Vec::new(), Output::default());
    for byte in [message(17, b"abc"), message(number::REQUEST_IDENTITIES, &[]), message(19, b"")].concat() {
        input.push(byte);
        let consumed = agent.client_sent(&input, &mut out).unwrap();
        input.drain(..consumed);
    }
    assert_eq!(out.to_client, failure());
    assert_eq!(out.to_server, message(number::REQUEST_IDENTITIES, &[]));
    assert_eq!(input, message(19, b""), "the next one waits for the answer");
    assert_eq!(message::first(&input).map(|first| first.map(|(kind, ..)| kind)), Ok(Some(19)));
}

proptest! {
    /// Whatever both sides send, in whatever pieces, and whatever the user answers.
    #[test]
    fn nothing_but_lists_signatures_and_bindings_reaches_the_agent(
        turns in proptest::collection::vec((0..4u8, any_message()), 0..24), confirm: bool, named: bool,
    ) {
        let mut agent = agent(if named { &["alice"] } else { &[] }, confirm);
        let (mut client, mut server, mut out) = (Vec::new(), Vec::new(), Output::default());
        for (turn, bytes) in turns {
            let taken = match turn {
                0 | 1 => {
                    client.extend(bytes);
                    agent.client_sent(&client, &mut out).map(|length| drop(client.drain(..length)))
                }
                2 => {
                    server.extend(bytes);
                    agent.server_sent(&server, &mut out).map(|length| drop(server.drain(..length)))
                }
                _ => {
                    agent.answered(bytes.len() % 2 == 0, &mut out);
                    Ok(())
                }
            };
            if taken.is_err() {
                break;
            }
        }
        let mut rest = &out.to_server[..];
        while let Some((kind, values, behind)) = message::first(rest).unwrap() {
            match kind {
                number::REQUEST_IDENTITIES => prop_assert!(values.is_empty()),
                number::SIGN_REQUEST => prop_assert!(values.windows(6).any(|part| part == b"SSHSIG")),
                number::EXTENSION => prop_assert!(values.starts_with(&strings(&[b"session-bind@openssh.com"]))),
                other => prop_assert!(false, "{}", other),
            }
            rest = behind;
        }
        prop_assert!(rest.is_empty());
    }
}

/// Messages of both sides, whole and broken.
fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let bind = [strings(&[b"session-bind@openssh.com", b"key", b"session", b"signature"]), vec![1]].concat();
    let whole = vec![
        message(number::REQUEST_IDENTITIES, &[]),
        sign(KEY, &sshsig(b"git"), 0),
        sign(KEY, b"x", 0),
        message(number::EXTENSION, &bind),
        message(number::EXTENSION, &strings(&[b"query"])),
        message(17, b"abc"),
        list(&[(KEY, b"alice")]),
        message(number::SIGN_RESPONSE, &strings(&[b"signature"])),
        message(number::SUCCESS, &[]),
        failure(),
    ];
    let broken = proptest::collection::vec(any::<u8>(), 0..12);
    let length =
        (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..12)).prop_map(|(kind, values)| message(kind, &values));
    prop_oneof![8 => proptest::sample::select(whole), 1 => broken, 2 => length]
}

#[test]
fn fingerprints_are_those_of_ssh_add() {
    // `ssh-keygen -lf` of a file with this key.
    assert_eq!(fingerprint(KEY).len(), "SHA256:".len() + 43);
    assert_eq!(fingerprint(b""), "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU");
    assert_eq!(shown(&[b'a'; 200]).chars().count(), 101);
    let key = Key { blob: KEY.to_vec(), comment: b"c".to_vec() };
    assert!(Choice::default().has(&key) && !Choice { names: vec!["d".into()] }.has(&key));
}
