//! Probes of the services of the user's own: what a program does with them beyond what the profile grants.

use super::super::facts::{Facts, Verdict};
use super::tools::{each, not_run, start_of};
use super::{Probe, never};
use std::path::{Path, PathBuf};

/// Files below the home in which git keeps the user's configuration and credentials.
pub(crate) const GIT: [&str; 4] = [".gitconfig", ".config/git/config", ".config/git/credentials", ".git-credentials"];

/// Sections of git's configuration that hold commands, addresses and credentials.
const SECTIONS: [&str; 6] = ["credential", "url", "http", "alias", "filter", "sendemail"];

pub(super) const PROBES: &[Probe] = &[Probe {
    id: "git-secrets",
    title: "credential helpers, commands and addresses of git's configuration",
    attempt: git_secrets,
    granted: never,
}];

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
