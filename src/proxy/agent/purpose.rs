//! What the data of a signature is for. Only data is signed that can be nothing else than a login by SSH or a signature of
//! `ssh-keygen -Y sign`: with any data, a key of a certification authority would sign certificates.

use super::keys::{fingerprint, shown};
use super::message::Reader;

/// What a signature is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// A login by SSH (RFC 4252, 7): the user's name there, and the server's key if the data says it.
    Login {
        /// The user's name on the server.
        user: Vec<u8>,
        /// The server's public key.
        server: Option<Vec<u8>>,
    },
    /// A signature for this namespace (PROTOCOL.sshsig of OpenSSH), such as `git` or `file`.
    Signature(Vec<u8>),
}

impl Purpose {
    /// What this data is for, if it is signed with this key; none if it is for something else.
    pub fn of(data: &[u8], key: &[u8]) -> Option<Purpose> {
        signature(data).or_else(|| login(data, key))
    }
}

impl std::fmt::Display for Purpose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Purpose::Login { user, server: Some(server) } => {
                write!(f, "log in as `{}` by SSH, on the server with the key {}", shown(user), fingerprint(server))
            }
            Purpose::Login { user, server: None } => write!(f, "log in as `{}` by SSH, on any server", shown(user)),
            Purpose::Signature(namespace) => write!(f, "make a signature for `{}`", shown(namespace)),
        }
    }
}

/// A signature in a namespace: what is signed begins with words that no other data begins with.
fn signature(data: &[u8]) -> Option<Purpose> {
    let mut reader = Reader(data.strip_prefix(b"SSHSIG")?);
    let (namespace, _reserved, _algorithm, _hash) =
        (reader.string()?, reader.string()?, reader.string()?, reader.string()?);
    (reader.is_empty() && !namespace.is_empty()).then(|| Purpose::Signature(namespace.to_owned()))
}

/// A request to log in, by `publickey` with the same key.
fn login(data: &[u8], key: &[u8]) -> Option<Purpose> {
    const USERAUTH_REQUEST: u8 = 50;
    let mut reader = Reader(data);
    let session = reader.string()?;
    // A hash of the key exchange.
    if session.len() < 20 || session.len() > 64 || reader.byte()? != USERAUTH_REQUEST {
        return None;
    }
    let (user, service, method) = (reader.string()?, reader.string()?, reader.string()?);
    let (signed, _algorithm, with) = (reader.byte()?, reader.string()?, reader.string()?);
    let server = match method {
        b"publickey" => None,
        b"publickey-hostbound-v00@openssh.com" => Some(reader.string()?.to_owned()),
        _ => return None,
    };
    let fits = reader.is_empty() && service == b"ssh-connection" && signed == 1 && with == key;
    fits.then(|| Purpose::Login { user: user.to_owned(), server })
}
