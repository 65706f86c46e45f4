//! `--cap-add`, `--cap-drop` and `--security-opt`.

use super::line::{Line, Said};
use crate::cli::args::Sandbox;
use crate::cli::path_flag::absolute;
use crate::error::{Error, Result, printable};
use crate::profile::Merged;
use crate::profile::schema::nearest;
use crate::sys::CAPABILITIES;
use std::path::Path;

const CAPABILITIES_KEY: &str = "security.capabilities";

/// What these flags say.
///
/// # Errors
///
/// One asks for what sbx does not do.
pub(super) fn said(args: &Sandbox, below: &Merged) -> Result<Vec<Said>> {
    let mut all: Vec<_> = capabilities(args, below)?.into_iter().collect();
    for (nth, text) in args.familiar.security_opt.iter().enumerate() {
        let label = format!("--security-opt {}", printable(text));
        let lines = option(text).map_err(|error| Error { message: format!("{label}: {}", error.message), ..error })?;
        all.extend(lines.into_iter().map(|line| Said { flag: "security-opt", nth, label: label.clone(), line }));
    }
    Ok(all)
}

/// A capability's name, as capabilities(7) has it, for one with or without `CAP_`.
fn capability(flag: &str, text: &str) -> Result<String> {
    let lower = text.to_ascii_lowercase();
    let name = if lower.starts_with("cap_") { lower } else { format!("cap_{lower}") };
    if CAPABILITIES.contains(&name) {
        return Ok(name.to_ascii_uppercase());
    }
    let near = nearest(&name, CAPABILITIES.iter().map(String::as_str));
    Err(Error::new(format!("--{flag} {}: it is no capability", printable(text))).hint(match near {
        Some(near) => format!("did you mean {}?", near.to_ascii_uppercase()),
        None => "names are those of capabilities(7), such as NET_RAW".to_owned(),
    }))
}

/// One line for the capabilities that are given and taken. As elsewhere, what is named counts more than ALL.
fn capabilities(args: &Sandbox, below: &Merged) -> Result<Option<Said>> {
    let familiar = &args.familiar;
    let (mut items, mut taken): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let held = || below.list(CAPABILITIES_KEY).iter().map(|text| text.text.as_str());
    let each = |texts: &[String]| -> Vec<String> {
        texts.iter().flat_map(|text| text.split(',')).map(str::to_owned).collect()
    };
    let mut last = None;
    let mut labels = Vec::new();
    for (nth, text) in familiar.cap_drop.iter().enumerate() {
        last = last.max(Some((args.order.of("cap-drop", nth), "cap-drop", nth)));
        labels.push(format!("--cap-drop {}", printable(text)));
    }
    for name in each(&familiar.cap_drop) {
        // A layer below may spell it otherwise, and an item is taken away by its own spelling.
        if name.eq_ignore_ascii_case("all") {
            items.extend(held().map(|item| format!("!{item}")));
            continue;
        }
        let name = capability("cap-drop", &name)?;
        items.extend(held().filter(|item| item.eq_ignore_ascii_case(&name)).map(|item| format!("!{item}")));
        taken.push(name);
    }
    for (nth, text) in familiar.cap_add.iter().enumerate() {
        last = last.max(Some((args.order.of("cap-add", nth), "cap-add", nth)));
        labels.push(format!("--cap-add {}", printable(text)));
    }
    for name in each(&familiar.cap_add) {
        if name.eq_ignore_ascii_case("all") {
            return Err(Error::new("--cap-add ALL: sbx gives a program no capability that nobody has named")
                .hint("name those that it needs, as --cap-add NET_RAW"));
        }
        let name = capability("cap-add", &name)?;
        if taken.contains(&name) {
            return Err(Error::new(format!("{name} is both added and dropped"))
                .hint("leave one of --cap-add and --cap-drop out"));
        }
        items.push(name);
    }
    let Some((_, flag, nth)) = last.filter(|_| !items.is_empty()) else { return Ok(None) };
    Ok(Some(Said { flag, nth, label: labels.join(" "), line: Line::List(CAPABILITIES_KEY, items) }))
}

/// What a `--security-opt` says.
fn option(text: &str) -> Result<Vec<Line>> {
    let (name, value) = match text.find(['=', ':']) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default()),
        None => (text, ""),
    };
    let paths = |mode: &str| -> Result<Vec<Line>> {
        let one = |path: &str| {
            if !path.starts_with('/') {
                return Err(
                    Error::new(format!("{} is no absolute path", printable(path))).hint("write mask=/PATH:/PATH")
                );
            }
            Ok(Line::Path(absolute(path, Path::new("/"))?, mode.to_owned()))
        };
        value.split(':').map(one).collect()
    };
    match (name, value) {
        // No program of sbx's gains rights by executing a file.
        ("no-new-privileges", "" | "true") => Ok(Vec::new()),
        ("no-new-privileges", _) => Err(Error::new("no program in a sandbox gains rights by executing a file, whatever its bits say")
            .hint("leave it out; --user root or range give a program ids that it can change between")),
        ("seccomp", "unconfined") => Ok(vec![Line::Key("security.seccomp", "off".to_owned())]),
        ("seccomp", "builtin" | "default") => Ok(vec![Line::Key("security.seccomp", "default".to_owned())]),
        ("seccomp", _) => Err(Error::new("sbx makes its filter of system calls from the profile, and takes no file of docker's for one")
            .hint("name what is to be let through or refused: --set 'security.syscalls.allow=[\"NAME\"]', or deny; seccomp=unconfined has none")),
        // sbx leaves labels and profiles of these as the caller has them.
        ("label", "disable") | ("apparmor", "unconfined") => Ok(Vec::new()),
        ("label", _) => Err(Error::new("sbx gives programs and files no labels of SELinux").hint("label=disable is how it always is")),
        ("apparmor", _) => Err(Error::new("sbx puts no program under a profile of AppArmor").hint("apparmor=unconfined is how it always is; aa-exec starts a program, or sbx, under a profile")),
        ("mask", _) => paths("masked"),
        ("unmask", _) => Err(Error::new("what sbx masks by itself stays so").hint("a path that a line of the profile masks is shown by --ro PATH or --rw PATH")),
        _ => Err(Error::new("sbx does not know it").hint("no-new-privileges, seccomp=unconfined, label=disable, apparmor=unconfined and mask=PATH are known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_lines_or_refused() {
        for nothing in
            ["no-new-privileges", "no-new-privileges=true", "no-new-privileges:true", "label=disable", "label:disable"]
        {
            assert_eq!(option(nothing), Ok(Vec::new()), "{nothing}");
        }
        assert_eq!(option("seccomp=unconfined"), Ok(vec![Line::Key("security.seccomp", "off".into())]));
        let masked = |path: &str| Line::Path(path.to_owned(), "masked".to_owned());
        assert_eq!(option("mask=/a:/b"), Ok(vec![masked("/a"), masked("/b")]));
        for wrong in [
            "no-new-privileges=false",
            "seccomp=/x.json",
            "label=type:x_t",
            "apparmor=x",
            "unmask=ALL",
            "odd",
            "",
            "mask=x",
        ] {
            assert!(option(wrong).is_err(), "{wrong}");
        }
    }
}
