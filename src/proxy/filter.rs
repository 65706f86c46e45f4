//! What a filter of one connection is, whatever the protocol.

/// What a filter passes on, and what it answers itself.
#[derive(Debug, Default)]
pub struct Output {
    /// Bytes for the program.
    pub to_client: Vec<u8>,
    /// Bytes for the server.
    pub to_server: Vec<u8>,
    /// Reasons for notes to the user, as [`Filter`] numbers them.
    pub notes: Vec<u8>,
    /// What the user is asked. The answer comes by [`Filter::answered`]; the filter takes nothing from the program before.
    pub question: Option<String>,
}

/// One side does not follow the protocol. The connection is ended, since where the next message begins is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

/// The filter of one connection between a program in the sandbox (the client) and a server outside. It has no access to
/// anything: it is given bytes and gives bytes, so that it can be tested and fuzzed as it is. It takes a message that is
/// larger than it should be for a broken one, so that what is not consumed is bounded.
pub trait Filter {
    /// Takes what the program has sent, from the first byte that was not consumed before. Gives how many bytes are
    /// consumed; the rest is given again, with more behind it.
    ///
    /// # Errors
    ///
    /// The program does not follow the protocol.
    fn client_sent(&mut self, input: &[u8], out: &mut Output) -> Result<usize, Broken>;

    /// Takes what the server has sent; as [`Filter::client_sent`].
    ///
    /// # Errors
    ///
    /// The server does not follow the protocol.
    fn server_sent(&mut self, input: &[u8], out: &mut Output) -> Result<usize, Broken>;

    /// Takes the user's answer to a question. If nobody can be asked, the answer is no.
    fn answered(&mut self, _yes: bool, _out: &mut Output) {}

    /// Whether it takes what the program sends now; if not, it does when the server, or the user, has answered.
    fn takes_more(&self) -> bool {
        true
    }

    /// Bytes that the filter itself keeps back, the more of the two directions.
    fn waiting(&self) -> usize;
}
