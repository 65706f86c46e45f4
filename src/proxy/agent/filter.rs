//! The filter of one connection to an agent.

use super::keys::{Choice, Key, fingerprint};
use super::message::{self, Reader, number, put, put_string};
use super::notes::{self, reason};
use super::purpose::Purpose;
use crate::proxy::filter::{Broken, Filter, Output};

/// The extension by which OpenSSH tells an agent which server a connection is for: keys may be bound to some.
const SESSION_BIND: &[u8] = b"session-bind@openssh.com";

/// The flags of a signature: RSA with SHA-256, and with SHA-512.
const FLAGS: u32 = 2 | 4;

/// A signature that the program has asked for.
#[derive(Debug)]
struct Request {
    blob: Vec<u8>,
    data: Vec<u8>,
    flags: u32,
    purpose: Purpose,
}

/// What is under way.
#[derive(Debug)]
enum State {
    /// Nothing: the program may ask.
    Idle,
    /// The list of keys was asked for.
    Listing,
    /// So it was, since a signature is to be made: with which keys, and under which name the user knows the key.
    Looking(Request),
    /// The user is asked about a signature.
    Asking(Request),
    /// The agent signs.
    Signing,
    /// The agent was told which server the connection is for.
    Binding,
}

/// The filter of one connection.
pub struct Agent {
    choice: Choice,
    /// Whether the user is asked before each signature; and of which profile the question speaks.
    confirm: Option<String>,
    state: State,
}

impl Agent {
    /// A filter for a new connection. `confirm` is the name of the profile, if the user is to be asked.
    pub fn new(choice: Choice, confirm: Option<String>) -> Agent {
        Agent { choice, confirm, state: State::Idle }
    }

    fn refuse(out: &mut Output, reason: u8) {
        out.notes.push(reason);
        put(&mut out.to_client, number::FAILURE, &[]);
    }

    /// Takes a request, when nothing is under way.
    fn request(&mut self, kind: u8, values: &[u8], out: &mut Output) -> Result<(), Broken> {
        let mut reader = Reader(values);
        match kind {
            number::REQUEST_IDENTITIES if values.is_empty() => {
                put(&mut out.to_server, number::REQUEST_IDENTITIES, &[]);
                self.state = State::Listing;
            }
            number::SIGN_REQUEST => {
                let mut read = || Some((reader.string()?, reader.string()?, reader.number()?));
                let (blob, data, flags) = read().filter(|_| reader.is_empty()).ok_or(Broken)?;
                let Some(purpose) = Purpose::of(data, blob).filter(|_| flags & !FLAGS == 0) else {
                    Agent::refuse(out, reason::PURPOSE);
                    return Ok(());
                };
                put(&mut out.to_server, number::REQUEST_IDENTITIES, &[]);
                self.state = State::Looking(Request { blob: blob.to_owned(), data: data.to_owned(), flags, purpose });
            }
            number::EXTENSION if reader.string() == Some(SESSION_BIND) => {
                let mut read = || Some((reader.string()?, reader.string()?, reader.string()?, reader.byte()?));
                let (server, session, signature, forwards) = read().filter(|_| reader.is_empty()).ok_or(Broken)?;
                let mut values = Vec::new();
                [SESSION_BIND, server, session, signature].into_iter().for_each(|part| put_string(&mut values, part));
                values.push(u8::from(forwards != 0));
                put(&mut out.to_server, number::EXTENSION, &values);
                self.state = State::Binding;
            }
            number::REQUEST_IDENTITIES => return Err(Broken),
            number::EXTENSION => Agent::refuse(out, reason::EXTENSION),
            kind => Agent::refuse(out, notes::refused(kind)),
        }
        Ok(())
    }

    /// Takes the answer to what is under way.
    fn answer(&mut self, kind: u8, values: &[u8], out: &mut Output) -> Result<(), Broken> {
        match (std::mem::replace(&mut self.state, State::Idle), kind) {
            (State::Listing, number::IDENTITIES_ANSWER) => {
                let keys: Vec<Key> = keys(values)?.into_iter().filter(|key| self.choice.has(key)).collect();
                let mut values = (keys.len() as u32).to_be_bytes().to_vec();
                for key in &keys {
                    put_string(&mut values, &key.blob);
                    put_string(&mut values, &key.comment);
                }
                put(&mut out.to_client, number::IDENTITIES_ANSWER, &values);
            }
            (State::Looking(request), number::IDENTITIES_ANSWER) => {
                let keys = keys(values)?;
                let found = keys.iter().find(|key| key.blob == request.blob && self.choice.has(key));
                match (found, &self.confirm) {
                    (None, _) => Agent::refuse(out, reason::KEY),
                    (Some(_), None) => self.sign(&request, out),
                    (Some(key), Some(profile)) => {
                        out.question = Some(question(profile, key, &request.purpose));
                        self.state = State::Asking(request);
                    }
                }
            }
            (State::Signing, number::SIGN_RESPONSE) => {
                let mut reader = Reader(values);
                let signature = reader.string().filter(|_| reader.is_empty()).ok_or(Broken)?;
                let mut values = Vec::new();
                put_string(&mut values, signature);
                put(&mut out.to_client, number::SIGN_RESPONSE, &values);
            }
            (State::Binding, number::SUCCESS) if values.is_empty() => put(&mut out.to_client, number::SUCCESS, &[]),
            (State::Idle | State::Asking(_), _) => return Err(Broken),
            (_, number::FAILURE | number::EXTENSION_FAILURE) => put(&mut out.to_client, number::FAILURE, &[]),
            _ => return Err(Broken),
        }
        Ok(())
    }

    fn sign(&mut self, request: &Request, out: &mut Output) {
        let mut values = Vec::new();
        put_string(&mut values, &request.blob);
        put_string(&mut values, &request.data);
        values.extend(request.flags.to_be_bytes());
        put(&mut out.to_server, number::SIGN_REQUEST, &values);
        self.state = State::Signing;
    }
}

impl Filter for Agent {
    fn client_sent(&mut self, input: &[u8], out: &mut Output) -> Result<usize, Broken> {
        let mut rest = input;
        while self.takes_more()
            && let Some((kind, values, behind)) = message::first(rest)?
        {
            self.request(kind, values, out)?;
            rest = behind;
        }
        Ok(input.len() - rest.len())
    }

    fn server_sent(&mut self, input: &[u8], out: &mut Output) -> Result<usize, Broken> {
        let mut rest = input;
        while let Some((kind, values, behind)) = message::first(rest)? {
            self.answer(kind, values, out)?;
            rest = behind;
        }
        Ok(input.len() - rest.len())
    }

    fn answered(&mut self, yes: bool, out: &mut Output) {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Asking(request) if yes => self.sign(&request, out),
            State::Asking(_) => Agent::refuse(out, reason::DECLINED),
            other => self.state = other,
        }
    }

    fn takes_more(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    fn waiting(&self) -> usize {
        0
    }
}

/// The keys in an agent's list.
fn keys(values: &[u8]) -> Result<Vec<Key>, Broken> {
    let mut reader = Reader(values);
    let count = reader.number().ok_or(Broken)?;
    let mut keys = Vec::new();
    // Each takes eight bytes at least, so that the message bounds their number.
    for _ in 0..count {
        let mut string = || Some(reader.string()?.to_owned());
        let (Some(blob), Some(comment)) = (string(), string()) else { return Err(Broken) };
        keys.push(Key { blob, comment });
    }
    if reader.is_empty() { Ok(keys) } else { Err(Broken) }
}

/// What the user is asked.
fn question(profile: &str, key: &Key, purpose: &Purpose) -> String {
    let profile = if profile.is_empty() { String::new() } else { format!(" (profile {profile})") };
    let name = key.name();
    let fingerprint = fingerprint(&key.blob);
    format!(
        "A program in a sandbox{profile} asks to use your SSH key\n\n{name}\n{fingerprint}\n\nto {purpose}.\n\nAllow this once?"
    )
}
