//! Services of the user's own that the program can use.

use serde::Serialize;

/// Services of the user's own that the program can use: `[services]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Services {
    /// The program is shown who the user is to git, and the settings of git that run nothing and hold no secrets.
    pub git_identity: bool,
}
