//! Bytes of any kind from a program and from an SSH agent: no panic in the filter between them, and the agent gets nothing
//! but what the filter lets through.

use sbx::proxy::agent::message::{LARGEST, first, number};
use sbx::proxy::agent::{Agent, Choice};
use sbx::proxy::filter::{Filter, Output};

/// One side: what it has sent and the filter has not consumed; what the filter has sent it and was not looked at.
#[derive(Default)]
struct Side {
    sent: Vec<u8>,
    gets: Vec<u8>,
}

/// The whole way. The first byte says whether the user is asked, and whether a key is named; after it, pieces of bytes: one that
/// says whose they are and how many there are, and these.
pub fn way(bytes: &[u8]) {
    let [settings, rest @ ..] = bytes else { return };
    let names = if settings & 2 != 0 { vec!["alice".to_owned()] } else { Vec::new() };
    let mut filter = Agent::new(Choice { names }, (settings & 1 != 0).then(|| "ci".to_owned()));
    let (mut client, mut server) = (Side::default(), Side::default());
    let (mut rest, mut asked) = (rest, false);
    while let [head, behind @ ..] = rest {
        let (piece, behind) = behind.split_at(behind.len().min(usize::from(head >> 2)));
        rest = behind;
        let mut out = Output::default();
        let taken = match head & 3 {
            // As a connection does it: nothing is read that the filter does not take.
            0 | 1 if !filter.takes_more() => Ok(()),
            0 | 1 => {
                client.sent.extend(piece);
                filter.client_sent(&client.sent, &mut out).map(|taken| drop(client.sent.drain(..taken)))
            }
            2 => {
                server.sent.extend(piece);
                filter.server_sent(&server.sent, &mut out).map(|taken| drop(server.sent.drain(..taken)))
            }
            _ => {
                if std::mem::take(&mut asked) {
                    filter.answered(!piece.is_empty(), &mut out);
                }
                Ok(())
            }
        };
        asked |= out.question.is_some();
        assert!(out.question.is_none_or(|question| !question.contains(|c: char| c.is_control() && c != '\n')));
        assert!(client.sent.len() <= 2 * LARGEST && server.sent.len() <= 2 * LARGEST && filter.waiting() == 0);
        for reason in &out.notes {
            assert!(sbx::proxy::agent::note(*reason).is_some(), "{reason}");
        }
        server.gets.extend(out.to_server);
        client.gets.extend(out.to_client);
        checked(&mut server.gets, &[number::REQUEST_IDENTITIES, number::SIGN_REQUEST, number::EXTENSION]);
        let answers = [number::FAILURE, number::SUCCESS, number::IDENTITIES_ANSWER, number::SIGN_RESPONSE];
        checked(&mut client.gets, &answers);
        if taken.is_err() {
            return;
        }
    }
}

/// Checks the types of these messages, of which there are no parts, and takes them away.
fn checked(bytes: &mut Vec<u8>, kinds: &[u8]) {
    let mut rest = bytes.as_slice();
    while let Some((kind, values, behind)) = first(rest).expect("a message") {
        assert!(kinds.contains(&kind), "{kind}");
        if kind == number::EXTENSION {
            assert!(values.starts_with(b"\0\0\0\x18session-bind@openssh.com"));
        }
        rest = behind;
    }
    assert!(rest.is_empty());
    bytes.clear();
}
