//! Reads `[security]` and `[assert]`.

use super::builder::Builder;
use crate::profile::schema::nearest;
use crate::spec::{Assert, Capabilities, Filter, Promise, Requirement, Security, Syscalls};
use std::path::{Path, PathBuf};

impl Builder<'_> {
    pub(super) fn security(&mut self) -> Security {
        let merged = self.merged;
        let mut held = 0;
        for text in merged.list("security.capabilities") {
            let name = text.text.to_ascii_lowercase();
            match crate::sys::CAPABILITIES.iter().position(|known| *known == name) {
                Some(number) => held |= 1 << number,
                None => {
                    let near = nearest(&name, crate::sys::CAPABILITIES.iter().map(String::as_str));
                    let help = match near {
                        Some(near) => format!("did you mean `{}`?", near.to_ascii_uppercase()),
                        None => "names are those of capabilities(7), such as `CAP_NET_RAW`".into(),
                    };
                    self.wrong(text, format!("`{}` is no capability", text.text), &help);
                }
            }
        }
        let landlock = merged.text("security.landlock");
        let landlock_tcp = self.landlock_tcp();
        let setuid_bits = merged.text("security.setuid_bits");
        Security {
            capabilities: if held == 0 { Capabilities::None } else { Capabilities::Held(held) },
            own_keyring: true,
            filter: match merged.text("security.seccomp").map(|text| text.text.as_str()) {
                Some("strict") => Filter::Strict,
                Some("off") => Filter::Off,
                _ => Filter::Default,
            },
            syscalls: self.syscalls(),
            setuid_bits: setuid_bits.is_some_and(|text| text.text == "allow"),
            setuid_bits_origin: setuid_bits.map(|text| self.origin(text)).unwrap_or_default(),
            landlock: match landlock.map(|text| text.text.as_str()) {
                Some("require") => Requirement::Require,
                Some("off") => Requirement::Off,
                _ => Requirement::Prefer,
            },
            landlock_origin: landlock.map(|text| self.origin(text)).unwrap_or_default(),
            landlock_tcp,
            ..Security::default()
        }
    }

    fn syscalls(&mut self) -> Syscalls {
        let merged = self.merged;
        let list = |key: &str| merged.list(key).iter().map(|text| (text.text.clone(), self.origin(text))).collect();
        let (allow, deny, arch) =
            (list("security.syscalls.allow"), list("security.syscalls.deny"), list("security.arch"));
        let errno = merged.text("security.syscalls.errno");
        let known = errno.map(|text| crate::sys::Errno::from_name(&text.text));
        if let (Some(text), Some(None)) = (errno, known) {
            let help = "a name of errno(3), such as `EPERM`, `EACCES` or `ENOSYS`";
            self.wrong(text, format!("`{}` is no errno", text.text), help);
        }
        let errno = known.flatten().map_or(libc::EPERM as u16, |errno| errno.0 as u16);
        Syscalls { allow, deny, errno, arch }
    }

    pub(super) fn asserts(&mut self) -> Vec<Assert> {
        let merged = self.merged;
        let mut asserts = Vec::new();
        for (key, promise) in [
            ("assert.cannot_read", Promise::CannotRead),
            ("assert.cannot_write", Promise::CannotWrite),
            ("assert.cannot_reach", Promise::CannotReach),
        ] {
            for text in merged.list(key) {
                let origin = self.origin(text);
                if promise != Promise::CannotReach {
                    if let Some(path) = self.path(text) {
                        let also = self.in_other_homes(&path);
                        asserts.push(Assert { promise, of: path.display().to_string(), also, origin });
                    }
                    continue;
                }
                let port = text
                    .text
                    .rsplit_once(':')
                    .and_then(|(host, port)| (!host.is_empty()).then(|| port.parse::<u16>().ok())?);
                if port.is_none_or(|port| port == 0) {
                    let help = "`HOST:PORT`, such as `127.0.0.1:631` or `[::1]:631`";
                    self.wrong(text, format!("`{}` is no address", text.text), help);
                }
                asserts.push(Assert { promise, of: text.text.clone(), also: Vec::new(), origin });
            }
        }
        asserts
    }

    /// A path of the home that `$HOME` names, in the caller's other homes.
    fn in_other_homes(&self, path: &Path) -> Vec<PathBuf> {
        let home = self.vars.names.get("HOME").map_or(Path::new("/"), Path::new);
        let Ok(inside) = path.strip_prefix(home) else { return Vec::new() };
        // With `HOME=/`, every path lies in there.
        if home.parent().is_none() && !inside.as_os_str().as_encoded_bytes().starts_with(b".") {
            return Vec::new();
        }
        let homes = self.vars.homes.iter().filter(|other| *other != home);
        homes.map(|other| other.join(inside)).collect()
    }
}
