//! What the user is told of the forwarder of names.

/// Reasons for notes.
pub(super) mod reason {
    pub const NO_SERVER: u8 = 1;
    pub const NO_ANSWER: u8 = 2;
    pub const FULL: u8 = 3;
    pub const FILTER: u8 = 4;
    pub const ELSEWHERE: u8 = 5;
}

/// The sentence for a reason that the forwarder of names gives.
pub fn names_note(reason: u8) -> Option<String> {
    let text = match reason {
        reason::NO_SERVER => "no name server can be asked: the host has no network, or /etc/resolv.conf names none",
        reason::NO_ANSWER => "a name was asked for, and no name server has answered",
        reason::FULL => "more names are asked for than can be at a time, and some were given up",
        reason::FILTER => "a name has more addresses than the packet filter takes, and was not answered",
        reason::ELSEWHERE => {
            "a name that is allowed has an address that is not in the Internet, or the host's own, and was told without it: network.allow \
             may have the address"
        }
        _ => return None,
    };
    Some(text.to_owned())
}
