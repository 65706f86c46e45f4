//! What the user is told of what was refused.

/// Reasons for a note beside the numbers of refused requests.
pub mod reason {
    /// A request of a type that no agent knows.
    pub const UNKNOWN: u8 = 200;
    /// A signature with a key that the profile does not name, or that the agent does not have.
    pub const KEY: u8 = 201;
    /// A signature of something else than a login or a file.
    pub const PURPOSE: u8 = 202;
    /// A signature that the user did not want, or could not be asked about.
    pub const DECLINED: u8 = 203;
    /// An extension.
    pub const EXTENSION: u8 = 204;
}

/// Requests that agents know and that are refused, with what they do.
const REFUSED: &[(u8, &str)] = &[
    (1, "list keys of SSH 1"),
    (3, "answer a challenge of SSH 1"),
    (7, "add a key of SSH 1"),
    (8, "remove a key of SSH 1"),
    (9, "remove the keys of SSH 1"),
    (17, "add a key"),
    (18, "remove a key"),
    (19, "remove all keys"),
    (20, "add the keys of a smartcard"),
    (21, "remove the keys of a smartcard"),
    (22, "lock the agent"),
    (23, "unlock the agent"),
    (24, "add a key of SSH 1"),
    (25, "add a key"),
    (26, "add the keys of a smartcard"),
];

/// The number by which a refused request is told.
pub fn refused(kind: u8) -> u8 {
    if REFUSED.iter().any(|(known, _)| *known == kind) { kind } else { reason::UNKNOWN }
}

/// The sentence for a reason of [`Output::notes`](crate::proxy::filter::Output::notes).
pub fn note(reason: u8) -> Option<String> {
    Some(match reason {
        reason::UNKNOWN => "the program sent an unknown request, which is refused".into(),
        reason::KEY => {
            "the program wants to sign with a key that is not one of services.ssh-agent-keys, or not the agent's".into()
        }
        reason::PURPOSE => {
            "the program wants to sign what is neither a login by SSH nor a signature of ssh-keygen, which is refused"
                .into()
        }
        reason::DECLINED => {
            "a signature is refused: the answer to the question was not yes, or the question could not be shown".into()
        }
        reason::EXTENSION => "the program asked for an extension of the agent, which is refused".into(),
        _ => {
            let (_, what) = REFUSED.iter().find(|(known, _)| *known == reason)?;
            format!("the program wants to {what}, which is refused")
        }
    })
}
