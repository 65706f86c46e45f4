//! Groups of system calls, with the names that systemd gives them (systemd.exec(5), SystemCallFilter=).

use std::fmt;

/// The bits of groups, as a row has them.
pub(super) mod bits {
    macro_rules! bits {
        ($($name:ident = $bit:literal),* $(,)?) => { $(pub const $name: u32 = 1 << $bit;)* };
    }
    bits! {
        AIO = 0, BASIC_IO = 1, CHOWN = 2, CLOCK = 3, CPU_EMULATION = 4, DEBUG = 5, DEFAULT = 6, FILE_SYSTEM = 7, IO_EVENT = 8,
        IPC = 9, KEYRING = 10, MEMLOCK = 11, MODULE = 12, MOUNT = 13, NETWORK_IO = 14, OBSOLETE = 15, PKEY = 16,
        PRIVILEGED = 17, PROCESS = 18, RAW_IO = 19, REBOOT = 20, RESOURCES = 21, SANDBOX = 22, SETUID = 23, SIGNAL = 24,
        SWAP = 25, SYNC = 26, SYSTEM_SERVICE = 27, TIMER = 28,
    }
    /// No bits: in no group but `@known`.
    pub const UNGROUPED: u32 = 0;
    /// The group `@known`, of every call in the table.
    pub const KNOWN: u32 = u32::MAX;

    /// Adds the groups that consist of others, `@system-service` and `@privileged`.
    pub const fn composed(groups: u32) -> u32 {
        const SERVICE: u32 =
            AIO | BASIC_IO | CHOWN | DEFAULT | FILE_SYSTEM | IO_EVENT | IPC | KEYRING | MEMLOCK | NETWORK_IO;
        const SERVICE_TOO: u32 = PROCESS | RESOURCES | SETUID | SIGNAL | SYNC | TIMER;
        let service = if groups & (SERVICE | SERVICE_TOO) != 0 { SYSTEM_SERVICE } else { 0 };
        let privileged = if groups & (CHOWN | CLOCK | MODULE | RAW_IO | REBOOT | SWAP) != 0 { PRIVILEGED } else { 0 };
        groups | service | privileged
    }
}

use bits::*;

/// A group of system calls, as the bits of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group(pub(super) u32);

/// Names and bits of all groups, sorted by name.
const GROUPS: &[(&str, u32)] = &[
    ("@aio", AIO),
    ("@basic-io", BASIC_IO),
    ("@chown", CHOWN),
    ("@clock", CLOCK),
    ("@cpu-emulation", CPU_EMULATION),
    ("@debug", DEBUG),
    ("@default", DEFAULT),
    ("@file-system", FILE_SYSTEM),
    ("@io-event", IO_EVENT),
    ("@ipc", IPC),
    ("@keyring", KEYRING),
    ("@known", KNOWN),
    ("@memlock", MEMLOCK),
    ("@module", MODULE),
    ("@mount", MOUNT),
    ("@network-io", NETWORK_IO),
    ("@obsolete", OBSOLETE),
    ("@pkey", PKEY),
    ("@privileged", PRIVILEGED),
    ("@process", PROCESS),
    ("@raw-io", RAW_IO),
    ("@reboot", REBOOT),
    ("@resources", RESOURCES),
    ("@sandbox", SANDBOX),
    ("@setuid", SETUID),
    ("@signal", SIGNAL),
    ("@swap", SWAP),
    ("@sync", SYNC),
    ("@system-service", SYSTEM_SERVICE),
    ("@timer", TIMER),
];

impl Group {
    /// `@debug`: calls of debuggers and tracers. Allowing it also allows personality(2) to switch the randomization of
    /// addresses off.
    pub const DEBUG: Group = Group(DEBUG);

    /// Finds a group by its name, which starts with `@`.
    pub fn named(name: &str) -> Option<Group> {
        GROUPS.iter().find(|(known, _)| *known == name).map(|(_, bits)| Group(*bits))
    }

    /// The names of all groups.
    pub fn names() -> impl Iterator<Item = &'static str> {
        GROUPS.iter().map(|(name, _)| *name)
    }

    /// The group's name, with the `@`.
    pub fn name(self) -> &'static str {
        GROUPS.iter().find(|(_, bits)| *bits == self.0).map_or("", |(name, _)| name)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
