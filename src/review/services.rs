//! Reviews the services of the user's own that the program can use.

use super::verdict::{Finding, note};
use crate::spec::Sandbox;

pub(super) fn findings(sandbox: &Sandbox) -> Vec<Finding> {
    let mut found = Vec::new();
    if sandbox.services.git_identity {
        let verdict = note(
            0.1,
            "it learns your name and mail address, as git has them",
            "services.git-identity = false where nothing is committed",
        );
        found.push(verdict.at(&sandbox.origins.of("services.git-identity", ""), "your identity for git"));
    }
    found
}
