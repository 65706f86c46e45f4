//! `--network`, `--ipc`, `--pid`, `--uts`, and `--share`, which says what the last three do.

use super::line::{Line, Said};
use crate::cli::args::Sandbox;
use crate::cli::store;
use crate::cli::text::utf8;
use crate::error::{Error, Result, printable};
use crate::host;
use crate::profile::{Merged, schema};
use crate::state::{Monitor, Silence, Status};

/// The key that these flags set.
const SHARE: &str = "namespaces.share";

/// The keys by which those of another sandbox are joined.
const IPC: &str = "namespaces.ipc";
const UTS: &str = "namespaces.uts";

/// A sandbox of which a namespace is joined.
pub(in crate::cli) struct Joined {
    /// The flag that says so.
    pub flag: &'static str,
    /// What the sandbox was called there.
    pub name: String,
    /// The connection to its monitor, as long as which stands the process that names the namespace is its own.
    pub monitor: Monitor,
}

/// What the flag `--network` says, and the sandbox that it names.
///
/// # Errors
///
/// It is no mode, or names a sandbox that does not run.
pub(super) fn network(args: &Sandbox, below: &Merged) -> Result<(Vec<Said>, Option<Joined>)> {
    let Some(text) = &args.familiar.network else { return Ok((Vec::new(), None)) };
    let said = |mode: String| Said::once("network", text, "network.mode", mode);
    if let Some(name) = text.strip_prefix("container:") {
        let (pid, hostname, joined) = joined("network", name)?;
        let mut lines = vec![said(format!("join:{pid}"))];
        // Programs of both have one name for the addresses that they share.
        let shares_uts = || {
            below.list(SHARE).iter().any(|item| item.text == "uts")
                || below.text(UTS).is_some_and(|uts| uts.text.starts_with("join:"))
        };
        if args.hostname.is_none()
            && !hostname.is_empty()
            && !shares_uts()
            && !args.familiar.uts.as_deref().is_some_and(|uts| uts == "host" || uts.starts_with("container:"))
        {
            lines.push(Said::once("network", text, "process.hostname", hostname));
        }
        return Ok((lines, Some(joined)));
    }
    Ok((vec![said(mode(text)?)], None))
}

/// The mode of the network by podman's word for it.
fn mode(text: &str) -> Result<String> {
    Ok(match text {
        "none" | "host" | "private" => text.to_owned(),
        "bridge" | "pasta" | "slirp4netns" | "default" => "private".to_owned(),
        _ if text.starts_with("join:") || text.starts_with("net:") => text.to_owned(),
        _ if text.contains([':', ',', '=']) => {
            return Err(Error::new(format!("--network {}: sbx does not know it", printable(text))).hint(
                "none, private (also bridge, pasta, slirp4netns), host, the name of a network, container:NAME, or join:PID",
            ));
        }
        // That of a network, as with podman and docker.
        _ => format!("net:{text}"),
    })
}

/// Refuses what `--net` does not know, and says which flag knows it.
///
/// # Errors
///
/// It is no mode.
pub(in crate::cli) fn check_net(text: &str) -> Result<()> {
    const WORDS: [&str; 3] = ["none", "private", "host"];
    // A slip is the profile language's to tell.
    if WORDS.contains(&text)
        || text.starts_with("net:")
        || text.starts_with("join:")
        || schema::nearest(text, WORDS).is_some()
    {
        return Ok(());
    }
    let known = "it takes none, private, host, net:NAME (a network of `sbx network`) and join:PID";
    Err(Error::new(format!("--net {}: sbx does not know it", printable(text))).hint(match text {
        "bridge" | "pasta" | "slirp4netns" | "default" => format!("{known}; --network {text} is --net private"),
        _ if text.starts_with("container:") => {
            format!("{known}; --network {} joins the network of a running sandbox", printable(text))
        }
        _ => format!("{known}; --network takes the name of a network, container:NAME, and podman's words, too"),
    }))
}

/// The first process of a running sandbox, its host name, and what is to be checked once that was looked at.
fn joined(flag: &'static str, name: &str) -> Result<(i32, String, Joined)> {
    let entry = store::store()?.find(name)?;
    entry.whole()?;
    let failed = |why: String| Error::new(format!("--{flag} container:{}: {why}", printable(name)));
    let monitor = entry.monitor().map_err(|silence| match silence {
        Silence::Gone => {
            failed(format!("it is {}, and only a running sandbox has {}", entry.status().word(), noun(flag)))
                .hint(format!("start it first: sbx start {}", entry.called()))
        }
        Silence::Stuck => failed("its monitor does not answer".to_owned()).hint("it may be stopped"),
    })?;
    let first = match entry.status() {
        Status::Running(live) if live.started.is_some() => live.pid,
        _ => return Err(failed("its program has not started yet".to_owned()).hint("try again")),
    };
    // What is recorded is for people: the number counts if it is that of a process which the monitor has made.
    if first <= 0 || !monitor.process().is_some_and(|monitor| host::is_child(first, monitor)) || !monitor.is_there() {
        return Err(
            failed("its first process cannot be told".to_owned()).hint("it may have ended meanwhile: sbx ps -a")
        );
    }
    let joined = Joined { flag, name: name.to_owned(), monitor };
    Ok((first, entry.spec.hostname.clone(), joined))
}

/// What a flag names, in messages.
fn noun(flag: &str) -> String {
    match flag {
        "network" => "a network".to_owned(),
        "ipc" => "an ipc namespace".to_owned(),
        _ => format!("a {flag} namespace"),
    }
}

/// What `--share` and the flags for namespaces say: one line for what is shared, and one for each namespace that is joined, with its sandbox.
///
/// # Errors
///
/// One names what is no namespace to share, or a sandbox that does not run.
pub(super) fn shared(args: &Sandbox, below: &Merged) -> Result<(Vec<Said>, Vec<Joined>)> {
    let familiar = &args.familiar;
    let mut given = Vec::new();
    for (nth, text) in args.share.iter().enumerate() {
        given.push((args.order.of("share", nth), "share", nth, "--share".to_owned(), utf8(text, SHARE)?.to_owned()));
    }
    let (mut lines, mut all) = (Vec::new(), Vec::new());
    for (flag, value) in [("ipc", &familiar.ipc), ("pid", &familiar.pid), ("uts", &familiar.uts)] {
        let Some(text) = value else { continue };
        let key = if flag == "ipc" { IPC } else { UTS };
        if let Some(name) = text.strip_prefix("container:").filter(|_| flag != "pid") {
            let (pid, _, joined) = joined(flag, name)?;
            lines.push(Said::once(flag, text, key, format!("join:{pid}")));
            all.push(joined);
        } else if flag != "pid" && below.text(key).is_some() {
            lines.push(Said::once(flag, text, key, "private"));
        }
        let item = match text.as_str() {
            "host" => flag.to_owned(),
            "private" => format!("!{flag}"),
            _ if text.starts_with("container:") && flag != "pid" => format!("!{flag}"),
            _ => return Err(not_shared(flag, text)),
        };
        given.push((args.order.of(flag, 0), flag, 0, format!("--{flag} {text}"), item));
    }
    given.sort_by_key(|(at, ..)| *at);
    let Some((_, flag, nth, ..)) = given.last() else { return Ok((lines, all)) };
    let (flag, nth) = (*flag, *nth);
    let mut labels: Vec<_> = given.iter().map(|(_, _, _, label, _)| label.clone()).collect();
    labels.dedup();
    let items = given.into_iter().map(|(.., item)| item).collect();
    lines.push(Said { flag, nth, label: labels.join(" "), line: Line::List(SHARE, items) });
    Ok((lines, all))
}

fn not_shared(flag: &str, text: &str) -> Error {
    let text = printable(text);
    if let Some(name) = text.strip_prefix("container:") {
        return Error::new(format!(
            "--{flag} {text}: sbx joins no sandbox's processes: PID 1 there is not this sandbox's, so that what is left here would not end with it"
        ))
        .hint(format!("`sbx exec {name} PROGRAM` runs a program among that sandbox's processes"));
    }
    Error::new(format!("--{flag} {text}: sbx does not know it")).hint(if flag == "pid" {
        "private or host"
    } else {
        "private, host or container:NAME"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_podmans_names_too() {
        assert_eq!(mode("bridge"), Ok("private".to_owned()));
        assert_eq!(mode("mynet"), Ok("net:mynet".to_owned()));
        assert!(mode("ns:/run/netns/x").is_err());
    }
}
