//! Probes of named objects that are not files, and of kernel keys.

use super::super::facts::{Facts, Verdict};
use super::tools::{c, each, has, not_run, verdict};
use super::{Probe, by_ipc, never};
use crate::sys::attempts::{self, SESSION_KEYRING, SystemV, USER_KEYRING};

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "system-v-memory",
        title: "shared memory of the host (shmget)",
        attempt: |facts| system_v(SystemV::Memory, facts.outside.system_v[0]),
        granted: by_ipc,
    },
    Probe {
        id: "system-v-semaphores",
        title: "semaphores of the host (semget)",
        attempt: |facts| system_v(SystemV::Semaphores, facts.outside.system_v[1]),
        granted: by_ipc,
    },
    Probe {
        id: "system-v-messages",
        title: "message queues of the host (msgget)",
        attempt: |facts| system_v(SystemV::Messages, facts.outside.system_v[2]),
        granted: by_ipc,
    },
    Probe {
        id: "posix-queue",
        title: "POSIX message queues of the host (mq_open)",
        attempt: |facts| match &facts.outside.queue {
            Some(name) => verdict("mq_open", attempts::message_queue(&c(name), false)),
            None => not_run("no queue could be made outside"),
        },
        granted: by_ipc,
    },
    Probe {
        id: "key-user",
        title: "a key of the user's keyring",
        attempt: |facts| key(facts, facts.outside.keys.1, USER_KEYRING),
        granted: never,
    },
    Probe {
        id: "key-session",
        title: "a key of the caller's session keyring",
        attempt: |facts| key(facts, facts.outside.keys.2, SESSION_KEYRING),
        granted: never,
    },
    Probe {
        id: "key-add",
        title: "put a key into the user's keyring",
        attempt: |facts| match facts.outside.keys.1 {
            None => not_run("no key could be made outside"),
            Some(_) => {
                let made = attempts::add_key(c"sbx-selftest-inside", b"x", USER_KEYRING);
                if let Ok(serial) = made {
                    attempts::remove_key(serial, USER_KEYRING);
                }
                verdict("add_key", made)
            }
        },
        granted: never,
    },
];

fn system_v(kind: SystemV, key: Option<i32>) -> Verdict {
    match key {
        Some(key) => verdict(format!("{kind:?} of key {key}"), kind.get(key, false)),
        None => not_run("none could be made outside"),
    }
}

/// Tries to find a key by its keyring, and to read it by its serial number, which needs no keyring if the key's
/// permissions allow it.
fn key(facts: &Facts, serial: Option<i32>, keyring: i32) -> Verdict {
    let Some(serial) = serial else { return not_run("no key could be made outside") };
    let name = c(&facts.outside.keys.0);
    let mut ways = vec![("KEYCTL_SEARCH", attempts::find_key(keyring, &name))];
    if keyring == SESSION_KEYRING {
        ways.push(("request_key", attempts::request_key(&name)));
    }
    let found = each(ways, |(what, found)| match found {
        Ok(other) if other == serial => Verdict::Open(format!("{what} finds key {other}")),
        Ok(other) => Verdict::Closed(format!("{what} finds another, {other}")),
        Err(errno) => Verdict::Closed(format!("{what}: {errno}")),
    });
    let mut buffer = [0; 64];
    let read = match attempts::read_key(serial, &mut buffer) {
        Ok(_) if has(&buffer, &facts.outside.secret) => Verdict::Open(format!("key {serial} is read")),
        Ok(_) => Verdict::Closed(format!("key {serial} is another")),
        Err(errno) => Verdict::Closed(format!("KEYCTL_READ: {errno}")),
    };
    each([found, read], |verdict| verdict)
}
