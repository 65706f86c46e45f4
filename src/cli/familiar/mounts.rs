//! `--volume` and `--mount`.

use super::line::{Line, Said, bytes};
use crate::cli::args::Familiar;
use crate::cli::path_flag::absolute;
use crate::error::{Error, Result, printable};
use std::path::Path;

/// What these flags say.
///
/// # Errors
///
/// One cannot be read.
pub(super) fn said(args: &Familiar, cwd: &Path) -> Result<Vec<Said>> {
    let mut all = Vec::new();
    for (nth, text) in args.volume.iter().enumerate() {
        all.push(Said { flag: "volume", nth, label: format!("--volume {text}"), line: volume(text, cwd)? });
    }
    for (nth, text) in args.mount.iter().enumerate() {
        all.push(Said { flag: "mount", nth, label: format!("--mount {text}"), line: mount(text, cwd)? });
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
            .hint("write type=bind,source=HOST,target=PATH[,readonly], or type=tmpfs,target=PATH[,tmpfs-size=SIZE]")
    };
    let (mut kind, mut source, mut target, mut mode, mut size) = ("", None, None, "rw", None);
    for part in text.split(',') {
        match part.split_once('=').unwrap_or((part, "")) {
            ("type", value) => kind = value,
            ("source" | "src", value) => source = Some(value),
            ("target" | "dst" | "destination", value) => target = Some(value),
            ("readonly" | "ro", "" | "true" | "1") => mode = "ro",
            ("readonly" | "ro", "false" | "0") | ("rw", "" | "true") => mode = "rw",
            ("tmpfs-size", value) => size = Some(bytes(value)),
            ("relabel" | "bind-propagation" | "consistency", _) => {}
            (key, _) => return Err(wrong(&format!("sbx does not know `{key}`"))),
        }
    }
    let target = target.ok_or_else(|| wrong("there is no target"))?;
    if size.is_some() && kind != "tmpfs" {
        return Err(wrong("a tmpfs alone has a size"));
    }
    match (kind, source) {
        ("bind", Some(source)) => path(target, mode, source, "", cwd)
            .map_err(|error| Error { message: format!("--mount {text}: {}", error.message), ..error }),
        ("bind", None) => Err(wrong("there is no source")),
        ("tmpfs", None) if mode == "ro" => Err(wrong("an empty directory that nothing can be written to is of no use")),
        ("tmpfs", None) => {
            let size = size.map_or_else(String::new, |size| format!(",size={size}"));
            Ok(Line::Path(inside(target)?, format!("tmpfs{size}")))
        }
        ("tmpfs", Some(_)) => Err(wrong("a tmpfs has no source")),
        _ => Err(wrong("its type is neither bind nor tmpfs")),
    }
}

/// The words of `--tmpfs` for what podman and docker write `PATH:OPTIONS`; none for a path without such options.
///
/// # Errors
///
/// An option is one that sbx has nothing for.
pub(in crate::cli) fn tmpfs(text: &str, cwd: &Path) -> Result<Option<String>> {
    const KNOWN: [&str; 17] = [
        "size",
        "mode",
        "uid",
        "gid",
        "nr_inodes",
        "nr_blocks",
        "rw",
        "ro",
        "noexec",
        "exec",
        "nosuid",
        "suid",
        "nodev",
        "dev",
        "tmpcopyup",
        "notmpcopyup",
        "U",
    ];
    let name = |option: &str| option.split('=').next().unwrap_or_default().to_owned();
    let Some((path, options)) = text.rsplit_once(':') else { return Ok(None) };
    // A path may have a colon itself.
    let is_option = options.split(',').next().is_some_and(|first| KNOWN.contains(&name(first).as_str()));
    if !is_option || cwd.join(text).symlink_metadata().is_ok() {
        return Ok(None);
    }
    let mut said = path.to_owned();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("size", size)) => said.push_str(&format!(",size={}", bytes(size))),
            None if option == "noexec" => said.push_str(",noexec"),
            // What such a directory is anyway: writable, and without set-user-ID programs and devices.
            None if ["rw", "exec", "nosuid", "nodev", "notmpcopyup", "U"].contains(&option) => {}
            _ => {
                return Err(Error::new(format!("--tmpfs {}: sbx has no option `{}` for it", printable(text), printable(option)))
                    .hint("size=SIZE and noexec are known, by `--tmpfs PATH,size=64M,noexec` as well; it is writable, nosuid and nodev anyway"));
            }
        }
    }
    Ok(Some(said))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: Result<Line>) -> String {
        match line {
            Ok(Line::Path(path, value)) => format!("{path} {value}"),
            Ok(line) => format!("{line:?}"),
            Err(error) => format!("! {}", error.message),
        }
    }

    #[test]
    fn what_podman_writes_behind_the_colon_of_a_tmpfs_is_said_in_other_words_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("d:rw")).unwrap();
        let said = |text: &str| tmpfs(text, dir.path()).map_err(|error| error.message);
        for (given, words) in [
            ("/mnt:size=1m", Some("/mnt,size=1M")),
            ("/mnt:rw,size=64k,noexec,nosuid,nodev", Some("/mnt,size=64K,noexec")),
            ("/a:b:rw", Some("/a:b")),
            ("/mnt", None),
            ("/mnt,size=1m", None),
            ("/mnt:there", None),
            ("d:rw", None),
        ] {
            assert_eq!(said(given), Ok(words.map(str::to_owned)), "{given}");
        }
        for wrong in
            ["/mnt:ro", "/mnt:mode=1777", "/mnt:size=1m,huge=always", "/mnt:size", "/mnt:suid", "/mnt:tmpcopyup"]
        {
            assert!(said(wrong).is_err(), "{wrong}");
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
            ("type=tmpfs,target=/t,tmpfs-size=64m", "/t tmpfs,size=64M"),
        ] {
            assert_eq!(text(mount(given, &cwd)), said, "{given}");
        }
        for wrong in [
            "type=bind,target=/b",
            "type=volume,source=v,target=/b",
            "type=tmpfs",
            "type=tmpfs,target=/b,ro",
            "type=bind,source=/a,target=/b,tmpfs-size=1m",
            "type=bind,source=/a,target=/b,odd=1",
        ] {
            assert!(mount(wrong, &cwd).is_err(), "{wrong}");
        }
    }
}
