//! Flags that podman and docker have for what sbx's own flags and keys say: each is a line of the profile language, as those are.

use super::args::Familiar;
use super::path_flag::absolute;
use crate::error::{Error, Result};
use std::path::Path;

/// What a flag says.
pub(super) enum Line {
    /// A key and its value, which is a text.
    Key(&'static str, String),
    /// A path inside, and its mode with options.
    Path(String, String),
}

/// A flag of these: its name, for its place on the command line; which of its kind it is; how messages name it; and what it says.
pub(super) struct Said {
    pub flag: &'static str,
    pub nth: usize,
    pub label: String,
    pub line: Line,
}

/// What all of these flags say.
///
/// # Errors
///
/// One asks for what sbx does not do, or cannot be read.
pub(super) fn said(args: &Familiar, cwd: &Path) -> Result<Vec<Said>> {
    let mut all = Vec::new();
    if args.privileged {
        return Err(Error::new("--privileged: sbx gives no program the rights that this takes a sandbox's walls down for").hint(
            "name what the program needs: --device for a device, --rw PATH for files, --set security.capabilities for capabilities in \
             the sandbox's own namespaces",
        ));
    }
    for (nth, text) in args.volume.iter().enumerate() {
        let line = volume(text, cwd)?;
        all.push(Said { flag: "volume", nth, label: format!("--volume {text}"), line });
    }
    for (nth, text) in args.mount.iter().enumerate() {
        let line = mount(text, cwd)?;
        all.push(Said { flag: "mount", nth, label: format!("--mount {text}"), line });
    }
    for (nth, text) in args.ulimit.iter().enumerate() {
        let line = ulimit(text)?;
        all.push(Said { flag: "ulimit", nth, label: format!("--ulimit {text}"), line });
    }
    let mut one = |flag: &'static str, text: &str, key: &'static str, value: String| {
        all.push(Said { flag, nth: 0, label: format!("--{flag} {text}"), line: Line::Key(key, value) });
    };
    if args.terminal {
        one("terminal", "", "process.tty", "pty".to_owned());
    }
    if let Some(text) = &args.network {
        one("network", text, "network.mode", network(text)?);
    }
    if let Some(text) = &args.cpu_shares {
        one("cpu-shares", text, "limits.cpu_weight", weight(text)?);
    }
    for (flag, key, given) in [
        ("memory-reservation", "limits.memory_low", &args.memory_reservation),
        ("cpuset-cpus", "limits.cpus", &args.cpuset_cpus),
        ("cpuset-mems", "limits.mems", &args.cpuset_mems),
    ] {
        if let Some(text) = given {
            one(flag, text, key, text.to_ascii_uppercase());
        }
    }
    Ok(all)
}

/// What the flag `-v HOST:INSIDE[:OPTIONS]` says.
fn volume(text: &str, cwd: &Path) -> Result<Line> {
    let wrong = |why: &str| Error::new(format!("--volume {text}: {why}"));
    let mut parts = text.splitn(3, ':');
    let (Some(host), Some(inside), options) = (parts.next(), parts.next(), parts.next().unwrap_or_default()) else {
        return Err(wrong("sbx has no volumes of its own").hint("name a directory of the host: -v DIR:PATH"));
    };
    if !host.contains('/') && host != "." && host != ".." && host != "~" {
        return Err(wrong("sbx has no volumes of its own")
            .hint(format!("a directory of the host has a `/`: -v ./{host}:{inside}")));
    }
    let mut mode = "rw";
    let mut more = String::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => mode = "ro",
            "rw" => mode = "rw",
            "O" => mode = "overlay",
            "noexec" => more.push_str(",noexec"),
            // Labels of SELinux, which sbx leaves alone; and what mounts of sbx's have anyway.
            "z" | "Z" | "nosuid" | "nodev" | "rbind" | "private" | "rprivate" | "exec" => {}
            _ => {
                return Err(wrong(&format!("sbx does not know the option `{option}`"))
                    .hint("ro, rw, O, noexec, z and Z are known"));
            }
        }
    }
    path(inside, mode, host, &more, cwd)
        .map_err(|error| Error { message: format!("--volume {text}: {}", error.message), ..error })
}

/// What the flag `--mount` says: `--mount type=bind,source=HOST,target=PATH[,readonly]` and `--mount type=tmpfs,target=PATH`.
fn mount(text: &str, cwd: &Path) -> Result<Line> {
    let wrong = |why: &str| {
        Error::new(format!("--mount {text}: {why}"))
            .hint("write type=bind,source=HOST,target=PATH[,readonly], or type=tmpfs,target=PATH")
    };
    let (mut kind, mut source, mut target, mut mode) = ("", None, None, "rw");
    for part in text.split(',') {
        match part.split_once('=').unwrap_or((part, "")) {
            ("type", value) => kind = value,
            ("source" | "src", value) => source = Some(value),
            ("target" | "dst" | "destination", value) => target = Some(value),
            ("readonly" | "ro", "" | "true" | "1") => mode = "ro",
            ("readonly" | "ro", "false" | "0") | ("rw", "" | "true") => mode = "rw",
            ("relabel" | "bind-propagation" | "consistency", _) => {}
            (key, _) => return Err(wrong(&format!("sbx does not know `{key}`"))),
        }
    }
    let target = target.ok_or_else(|| wrong("there is no target"))?;
    match (kind, source) {
        ("bind", Some(source)) => path(target, mode, source, "", cwd)
            .map_err(|error| Error { message: format!("--mount {text}: {}", error.message), ..error }),
        ("bind", None) => Err(wrong("there is no source")),
        ("tmpfs", None) => Ok(Line::Path(inside(target)?, "tmpfs".to_owned())),
        ("tmpfs", Some(_)) => Err(wrong("a tmpfs has no source")),
        _ => Err(wrong("its type is neither bind nor tmpfs")),
    }
}

fn path(target: &str, mode: &str, host: &str, more: &str, cwd: &Path) -> Result<Line> {
    let source = absolute(host, cwd)?.replace('\\', "\\\\").replace('"', "\\\"");
    Ok(Line::Path(inside(target)?, format!("{mode}{more},from=\"{source}\"")))
}

/// A path inside, in the words of the profile language.
fn inside(path: &str) -> Result<String> {
    if !path.starts_with('/') {
        return Err(Error::new(format!("{path} is no absolute path")).hint("write the path inside from / on"));
    }
    absolute(path, Path::new("/"))
}

/// What the flag `--ulimit NAME=SOFT[:HARD]` says: a key of `[rlimits]`, and its value.
fn ulimit(text: &str) -> Result<Line> {
    let wrong = |why: &str| Error::new(format!("--ulimit {text}: {why}")).hint("write --ulimit nofile=1024:4096");
    let (name, value) = text.split_once('=').ok_or_else(|| wrong("there is no `=`"))?;
    const PREFIX: &str = "rlimits.";
    let keys = [
        "rlimits.as",
        "rlimits.core",
        "rlimits.cpu",
        "rlimits.data",
        "rlimits.fsize",
        "rlimits.memlock",
        "rlimits.nofile",
        "rlimits.nproc",
        "rlimits.stack",
    ];
    let key = keys.into_iter().find(|key| key.strip_prefix(PREFIX) == Some(name));
    let known = || keys.map(|key| key.strip_prefix(PREFIX).unwrap_or(key)).join(", ");
    let key = key.ok_or_else(|| wrong(&format!("there is no limit `{name}`; there are {}", known())))?;
    Ok(Line::Key(key, value.replace("-1", "unlimited")))
}

/// The mode of the network by podman's word for it.
fn network(text: &str) -> Result<String> {
    Ok(match text {
        "none" | "host" | "private" => text.to_owned(),
        "bridge" | "pasta" | "slirp4netns" | "default" => "private".to_owned(),
        _ if text.starts_with("join:") => text.to_owned(),
        _ => {
            return Err(Error::new(format!("--network {text}: sbx does not know it"))
                .hint("none, private (also bridge, pasta, slirp4netns), host, or join:PID"));
        }
    })
}

/// cpu.weight for docker's shares, as the OCI runtimes convert them: 2 to 262144 become 1 to 10000.
fn weight(text: &str) -> Result<String> {
    let shares = text.parse::<u64>().ok().filter(|shares| (2..=262_144).contains(shares));
    let shares = shares.ok_or_else(|| {
        Error::new(format!("--cpu-shares {text}: it is no number of shares"))
            .hint("a number from 2 to 262144; 1024 is usual")
    })?;
    Ok((1 + (shares - 2) * 9999 / 262_142).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: Result<Line>) -> String {
        match line {
            Ok(Line::Key(key, value)) => format!("{key} {value}"),
            Ok(Line::Path(path, value)) => format!("{path} {value}"),
            Err(error) => format!("! {}", error.message),
        }
    }

    #[test]
    fn volumes_and_mounts_are_lines_for_paths() {
        let cwd = std::env::current_dir().unwrap().canonicalize().unwrap();
        let here = cwd.display();
        for (given, said) in [
            ("/a:/b", "/b rw,from=\"/a\"".to_owned()),
            ("/a:/b:ro", "/b ro,from=\"/a\"".to_owned()),
            ("./x:/b:ro,z", format!("/b ro,from=\"{here}/x\"")),
            ("/a:/b:O", "/b overlay,from=\"/a\"".to_owned()),
            ("data:/b", "! --volume data:/b: sbx has no volumes of its own".to_owned()),
            ("/b", "! --volume /b: sbx has no volumes of its own".to_owned()),
            ("/a:b", "! --volume /a:b: b is no absolute path".to_owned()),
            ("/a:/b:exec,shared", "! --volume /a:/b:exec,shared: sbx does not know the option `shared`".to_owned()),
        ] {
            assert_eq!(text(volume(given, &cwd)), said, "{given}");
        }
        for (given, said) in [
            ("type=bind,source=/a,target=/b", "/b rw,from=\"/a\""),
            ("type=bind,src=/a,dst=/b,readonly", "/b ro,from=\"/a\""),
            ("type=tmpfs,destination=/t", "/t tmpfs"),
        ] {
            assert_eq!(text(mount(given, &cwd)), said, "{given}");
        }
        for wrong in [
            "type=bind,target=/b",
            "type=volume,source=v,target=/b",
            "type=tmpfs",
            "type=bind,source=/a,target=/b,odd=1",
        ] {
            assert!(mount(wrong, &cwd).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_have_sbxs_own_names() {
        assert_eq!(text(ulimit("nofile=10:20")), "rlimits.nofile 10:20");
        assert_eq!(text(ulimit("core=-1")), "rlimits.core unlimited");
        assert!(ulimit("nofile").is_err() && ulimit("odd=1").is_err());
        assert_eq!(weight("1024"), Ok("39".to_owned()));
        assert_eq!(weight("262144"), Ok("10000".to_owned()));
        assert!(weight("1").is_err());
        assert_eq!(network("bridge"), Ok("private".to_owned()));
        assert!(network("mynet").is_err());
    }
}
