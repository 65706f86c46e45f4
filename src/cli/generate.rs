//! `sbx generate systemd`: a unit of systemd's for one sandbox.

use super::words::without;
use super::{args, output, store};
use crate::error::{Error, Result, printable};
use crate::state::Entry;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Seconds that the manager waits besides for a sandbox that is to stop: podman's.
const PATIENCE: u64 = 60;

/// The flags that a unit says itself.
const OF_THE_UNIT: [&str; 6] = ["cidfile", "detach", "name", "replace", "restart", "rm"];

pub(super) fn systemd(args: &args::Systemd) -> Result<u8> {
    let store = store::store()?;
    let entry = store.find(&args.sandbox)?;
    entry.whole()?;
    if !args.new && !matches!(entry.spec.restart.as_str(), "" | "no") {
        return Err(Error::new(format!(
            "{} is started again by its own monitor (--restart {}), and the unit would do that a second time",
            entry.called(),
            printable(&entry.spec.restart)
        ))
        .hint("`systemctl --user enable sbx-restart` starts it after a boot; --new makes a unit that runs the program anew, without --restart"));
    }
    let program = std::env::current_exe().map_err(|error| {
        Error::new(format!("cannot tell where sbx lies: {}", crate::sys::Errno::from(error)))
            .hint("it may have been replaced while it runs")
    })?;
    let unit = unit(args, &entry, program.as_os_str())?;
    if !args.files {
        return output::print(&unit.text).map(|()| 0);
    }
    let dir = std::env::current_dir().map_err(|error| {
        Error::new(format!("cannot tell the current directory: {}", crate::sys::Errno::from(error)))
    })?;
    let path = dir.join(&unit.name);
    std::fs::write(&path, unit.text)
        .map_err(|error| Error::new(format!("cannot write {}: {}", path.display(), crate::sys::Errno::from(error))))?;
    output::print(&format!("{}\n", path.display())).map(|()| 0)
}

/// A unit, and the name of its file.
struct Unit {
    name: String,
    text: String,
}

fn unit(args: &args::Systemd, entry: &Entry, program: &OsStr) -> Result<Unit> {
    let id = entry.id.as_str();
    let called = if args.name { entry.called() } else { id };
    let name = format!("sbx-{called}.service");
    let stop = args.stop_timeout.unwrap_or(entry.spec.stop_timeout).to_string();
    let line = |words: &[&OsStr]| -> Result<String> {
        words.iter().map(|word| quoted(word)).collect::<Result<Vec<_>>>().map(|words| words.join(" "))
    };
    let sbx = |words: &[&str]| -> Result<String> {
        let words: Vec<_> = std::iter::once(program).chain(words.iter().map(OsStr::new)).collect();
        line(&words)
    };
    let mut text = String::new();
    if !args.no_header {
        text.push_str(&format!("# {name}\n# Made by `sbx generate systemd`, sbx {}\n\n", env!("CARGO_PKG_VERSION")));
    }
    text.push_str(&format!(
        "[Unit]\nDescription=Sandbox {}\nDocumentation=man:sbx(1)\nAfter=sbx.service\n",
        called.replace('%', "%%")
    ));
    text.push_str("\n[Service]\nType=exec\n");
    // Where the records are, if the manager would look elsewhere for them.
    if let Some(dir) = std::env::var_os("XDG_STATE_HOME").filter(|dir| !dir.is_empty()) {
        let mut variable = OsString::from("XDG_STATE_HOME=");
        variable.push(dir);
        text.push_str(&format!("Environment={}\n", escaped(&variable, &['%'])?));
    }
    // The process of systemd's is the sandbox's launcher, or one that ends as the program does: its exit status is the program's.
    if args.new {
        let dir = PathBuf::from(OsString::from(&entry.spec.dir));
        text.push_str(&format!("WorkingDirectory={}\n", directory(dir.as_os_str())?));
        let given: Vec<_> = entry.spec.words.iter().map(OsString::from).collect();
        if given.is_empty() {
            return Err(Error::new(format!("the record of {} has no command line", entry.called()))
                .hint("run it anew, and generate the unit then"));
        }
        let kept = without(&given, &OF_THE_UNIT)?;
        let named = entry.name.as_deref().unwrap_or(id);
        let mut words: Vec<&OsStr> = vec![program];
        words.extend(["run", "--name", named, "--replace", "--rm"].map(OsStr::new));
        words.extend(kept.iter().map(OsString::as_os_str));
        text.push_str(&format!("ExecStart={}\n", line(&words)?));
        text.push_str(&format!("ExecStop={}\n", sbx(&["stop", "--ignore", "--time", &stop, named])?));
        text.push_str(&format!("ExecStopPost={}\n", sbx(&["rm", "--force", "--ignore", named])?));
    } else {
        // The log has what it writes. The journal may be slower than the program is, and who is attached does not keep that waiting.
        text.push_str("StandardOutput=null\nStandardError=null\n");
        text.push_str(&format!("ExecStart={}\n", sbx(&["start", "--attach", called])?));
        text.push_str(&format!("ExecStop={}\n", sbx(&["stop", "--ignore", "--time", &stop, called])?));
    }
    let wait = stop.parse::<u64>().unwrap_or(0).saturating_add(PATIENCE);
    text.push_str(&format!("TimeoutStopSec={wait}\nRestart={}\n", args.restart_policy));
    if let Some(seconds) = args.restart_sec {
        text.push_str(&format!("RestartSec={seconds}\n"));
    }
    // A program that was asked to end, and did, has not failed.
    text.push_str(
        "SuccessExitStatus=143 SIGTERM\nTasksMax=infinity\nOOMPolicy=continue\n\n[Install]\nWantedBy=default.target\n",
    );
    Ok(Unit { name, text })
}

/// A word of a command line of a unit: systemd.service(5), COMMAND LINES.
fn quoted(word: &OsStr) -> Result<String> {
    escaped(word, &['%', '$'])
}

/// A word of a unit, in which these characters mean something unless they are written twice.
fn escaped(word: &OsStr, twice: &[char]) -> Result<String> {
    let text = word.to_str().ok_or_else(|| {
        Error::new(format!("{} is not UTF-8, and a unit is UTF-8 text", word.display()))
            .hint("leave --new out: the unit then starts the sandbox by its record")
    })?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if twice.contains(&c) => out.extend([c, c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    Ok(out)
}

/// A path for `WorkingDirectory=`, which takes no quotes.
fn directory(path: &OsStr) -> Result<String> {
    let text = path
        .to_str()
        .filter(|text| text.starts_with('/') && !text.chars().any(char::is_control) && text.trim_end() == *text);
    text.map(|text| text.replace('%', "%%").replace('\\', "\\\\")).ok_or_else(|| {
        Error::new(format!(
            "no unit can name the directory {}, in which the command line is meant",
            printable(&path.to_string_lossy())
        ))
        .hint("leave --new out: the unit then starts the sandbox by its record")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_systemd_reads_them() {
        for (word, text) in [
            ("plain-1.0/x", "plain-1.0/x"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("50% of $HOME", "\"50%% of $$HOME\""),
            ("say \"x\\y\"", "\"say \\\"x\\\\y\\\"\""),
            ("a\nb\t", "\"a\\nb\\u0009\""),
            (";", "\";\""),
            ("ä'", "\"ä'\""),
        ] {
            assert_eq!(quoted(OsStr::new(word)), Ok(text.to_owned()), "{word}");
        }
        assert_eq!(escaped(OsStr::new("A=$b%"), &['%']), Ok("\"A=$b%%\"".to_owned()));
        assert!(directory(OsStr::new("/a b%")).is_ok_and(|dir| dir == "/a b%%"));
        assert!(directory(OsStr::new("relative")).is_err() && directory(OsStr::new("/a\n")).is_err());
    }
}
