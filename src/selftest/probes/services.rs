//! Probes of the services of the user's own: what a program does with them beyond what the profile grants.

use super::super::facts::{Facts, Verdict};
use super::tools::{each, not_run, start_of, verdict};
use super::{Probe, never};
use crate::proxy::agent::message::{self, LARGEST, Reader, number, put, put_string};
use crate::sys::Errno;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Files below the home in which git keeps the user's configuration and credentials.
pub(crate) const GIT: [&str; 4] = [".gitconfig", ".config/git/config", ".config/git/credentials", ".git-credentials"];

/// Sections of git's configuration that hold commands, addresses and credentials.
const SECTIONS: [&str; 6] = ["credential", "url", "http", "alias", "filter", "sendemail"];

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "git-secrets",
        title: "credential helpers, commands and addresses of git's configuration",
        attempt: git_secrets,
        granted: never,
    },
    Probe {
        id: "gpg-agent-full",
        title: "the user's secret keys, by gpg-agent's socket without restrictions",
        attempt: gpg_agent,
        granted: never,
    },
    Probe { id: "ssh-agent-add", title: "add a key to the user's SSH agent", attempt: add_key, granted: never },
    Probe {
        id: "ssh-agent-sign",
        title: "sign anything with the user's SSH keys, neither a login nor a file",
        attempt: sign_anything,
        granted: never,
    },
];

/// Asks gpg-agent whether it restricts this connection: it then neither hands out nor changes secret keys.
fn gpg_agent(facts: &Facts) -> Verdict {
    let there = facts.outside.sockets.iter().filter(|(_, path)| path.ends_with("S.gpg-agent")).map(|(_, path)| path);
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(|dir| PathBuf::from(dir).join("gnupg/S.gpg-agent"));
    if there.clone().next().is_none() {
        return not_run("this host has none");
    }
    each(there.cloned().chain(own), |path| {
        let asked = || -> Result<Verdict, Errno> {
            let mut agent = UnixStream::connect(&path)?;
            agent.set_read_timeout(Some(Duration::from_millis(2500)))?;
            line(&mut agent)?;
            agent.write_all(b"GETINFO restricted\n")?;
            Ok(match line(&mut agent)?.starts_with("OK") {
                true => Verdict::Closed(format!("{} is restricted", path.display())),
                false => Verdict::Open(format!("{} is not restricted", path.display())),
            })
        };
        asked().unwrap_or_else(|errno| verdict(path.display(), Err::<(), _>(errno)))
    })
}

/// A line of an answer.
fn line(agent: &mut UnixStream) -> Result<String, Errno> {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while byte != *b"\n" && text.len() < 1000 {
        agent.read_exact(&mut byte)?;
        text.extend(byte);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The lines of a file of git's that hold commands, addresses and credentials.
pub(crate) fn secret_lines(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut secret = true;
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.to_ascii_lowercase();
            secret = SECTIONS.iter().any(|section| header.starts_with(section));
        } else if secret && line.len() > 3 {
            found.push(line.to_owned());
        }
    }
    found
}

fn git_secrets(facts: &Facts) -> Verdict {
    if facts.outside.git_secrets.is_empty() {
        return not_run("the user's configuration has none");
    }
    let home = std::env::var_os("HOME").map_or_else(PathBuf::new, PathBuf::from);
    each(GIT.map(|name| home.join(name)), |path| read(facts, &path))
}

fn read(facts: &Facts, path: &Path) -> Verdict {
    let shown = path.display();
    match start_of(path) {
        Err(errno) => Verdict::Closed(format!("{shown}: {errno}")),
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            match facts.outside.git_secrets.iter().find(|line| text.contains(line.as_str())) {
                None => Verdict::Closed(format!("{shown} has none of them")),
                Some(_) if facts.granted.shows(path) => Verdict::Shared(format!("the profile shows {shown}")),
                Some(line) => Verdict::Open(format!("{shown} has `{}`", line.split('=').next().unwrap_or("").trim())),
            }
        }
    }
}

/// A key of the test vectors of RFC 8032 (7.1, test 1): the public and the secret half.
const KEY: [[u8; 32]; 2] = [
    [
        0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1,
        0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
    ],
    [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49,
        0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
    ],
];

/// Adds a key for one second, and removes it again.
fn add_key(facts: &Facts) -> Verdict {
    const REMOVE: u8 = 18;
    const ADD_CONSTRAINED: u8 = 25;
    const LIFETIME: u8 = 1;
    let [public, secret] = KEY;
    let mut values = Vec::new();
    let parts = [b"ssh-ed25519", &public[..], &[secret, public].concat(), b"sbx-selftest"];
    parts.into_iter().for_each(|part| put_string(&mut values, part));
    values.push(LIFETIME);
    values.extend(1u32.to_be_bytes());
    let (mut blob, mut remove) = (Vec::new(), Vec::new());
    [b"ssh-ed25519", &public[..]].into_iter().for_each(|part| put_string(&mut blob, part));
    put_string(&mut remove, &blob);
    on_agents(facts, |agent| {
        let (kind, _) = request(agent, ADD_CONSTRAINED, &values)?;
        if kind != number::SUCCESS {
            return Ok(Verdict::Closed("the answer is a refusal".into()));
        }
        request(agent, REMOVE, &remove)?;
        Ok(Verdict::Open("a key is added, and removed again".into()))
    })
}

fn sign_anything(facts: &Facts) -> Verdict {
    on_agents(facts, |agent| {
        let (kind, list) = request(agent, number::REQUEST_IDENTITIES, &[])?;
        let mut list = Reader(&list);
        let first = list.number().filter(|count| kind == number::IDENTITIES_ANSWER && *count > 0);
        let Some(key) = first.and_then(|_| list.string()) else { return Ok(not_run("the agent has no keys")) };
        let mut values = Vec::new();
        [key, b"sbx-selftest"].into_iter().for_each(|part| put_string(&mut values, part));
        values.extend(0u32.to_be_bytes());
        Ok(match request(agent, number::SIGN_REQUEST, &values)?.0 {
            number::SIGN_RESPONSE => Verdict::Open("a text is signed".into()),
            _ => Verdict::Closed("the answer is a refusal".into()),
        })
    })
}

/// Does something with each SSH agent that can be reached: by the path that the sandbox is given, and by those of the host.
fn on_agents(facts: &Facts, attempt: impl Fn(&mut UnixStream) -> Result<Verdict, Errno>) -> Verdict {
    let there = facts.outside.ssh_agent.iter().cloned();
    let own = std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from);
    if facts.outside.ssh_agent.is_none() {
        return not_run("this host has none");
    }
    each(there.chain(own), |path| {
        let connected = || -> Result<Verdict, Errno> {
            let mut agent = UnixStream::connect(&path)?;
            agent.set_read_timeout(Some(Duration::from_millis(2500)))?;
            attempt(&mut agent)
        };
        match connected() {
            Ok(Verdict::Open(_)) if facts.granted.shows(&path) => {
                Verdict::Shared(format!("the profile shows {}", path.display()))
            }
            Ok(found) => found,
            Err(errno) => verdict(path.display(), Err::<(), _>(errno)),
        }
    })
}

/// Sends a request, and gives the type and the values of the answer.
fn request(agent: &mut UnixStream, kind: u8, values: &[u8]) -> Result<(u8, Vec<u8>), Errno> {
    let mut out = Vec::new();
    put(&mut out, kind, values);
    agent.write_all(&out)?;
    let mut answer = vec![0; 4];
    agent.read_exact(&mut answer)?;
    let length = Reader(&answer).number().unwrap_or(0) as usize;
    answer.resize(4 + length.min(LARGEST), 0);
    agent.read_exact(answer.get_mut(4..).unwrap_or_default())?;
    match message::first(&answer) {
        Ok(Some((kind, values, _))) => Ok((kind, values.to_vec())),
        _ => Err(Errno(libc::EPROTO)),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_secret_of_a_configuration_is_known_by_its_section() {
        let text =
            "[user]\nname = A\n[credential \"https://x\"]\n\thelper = store\n[core]\nabbrev = 4\n[alias]\nx = !y\n";
        assert_eq!(super::secret_lines(text), ["helper = store", "x = !y"]);
        assert_eq!(super::secret_lines("https://u:p@example.org\n"), ["https://u:p@example.org"]);
    }
}
